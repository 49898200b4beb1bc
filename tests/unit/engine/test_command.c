/* test_command.c: lookup in the table of every description there is, and keys of requests.
 *
 * The table is generated for this test from all families, without handlers, so that it needs none.
 */
#include "engine/command.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

extern const struct command_set all_commands;

enum { ROUNDS = 200000 };

static uint64_t seed_from_environment(void) {
    const char *text = getenv("SEED");
    uint64_t seed = text != NULL ? strtoull(text, NULL, 0) : (uint64_t)time(NULL);
    print_message("SEED=%llu\n", (unsigned long long)seed);
    return seed;
}

static uint64_t next_random(uint64_t *state) {
    uint64_t x = *state += 0x9e3779b97f4a7c15ULL;
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9ULL;
    x = (x ^ x >> 27) * 0x94d049bb133111ebULL;
    return x ^ x >> 31;
}

static size_t pick(uint64_t *state, size_t count) {
    return (size_t)(next_random(state) % count);
}

/* ---- lookup ---- */

static const struct command *naive_find(const struct command_set *set,
                                        const struct command *container, struct bytes name) {
    for (unsigned i = 0; i < set->count; i++) {
        const struct command *command = &set->commands[i];
        if (command->parent != container) continue;
        if (bytes_equal_ignore_case(command->name, name)) return command;
    }
    return NULL;
}

static const struct command *find(const struct command_set *set, const struct command *container,
                                  struct bytes name) {
    return container == NULL ? command_find(set, name)
                             : command_find_subcommand(set, container, name);
}

static void test_every_name_is_found_in_any_case(void **state) {
    (void)state;
    uint64_t random = seed_from_environment();
    for (unsigned i = 0; i < all_commands.count; i++) {
        const struct command *command = &all_commands.commands[i];
        assert_int_equal(command->number, i);
        assert_ptr_equal(command_find_full(&all_commands, command->full_name), command);
        char *text = malloc(command->name.size); /* no byte too many, for the sanitizer */
        for (int round = 0; round < 64; round++) {
            for (size_t j = 0; j < command->name.size; j++) {
                char c = command->name.data[j];
                bool upper = c >= 'a' && c <= 'z' && (round == 0 || pick(&random, 2) == 0);
                text[j] = upper ? (char)(c - 'a' + 'A') : c;
            }
            struct bytes name = {text, command->name.size};
            assert_ptr_equal(find(&all_commands, command->parent, name), command);
        }
        free(text);
    }
}

/* A name of the table, changed a little, or some bytes. */
static size_t make_name(uint64_t *random, char *out, size_t max) {
    struct bytes name = all_commands.commands[pick(random, all_commands.count)].name;
    size_t size = name.size;
    memcpy(out, name.data, size);
    switch (pick(random, 5)) {
    case 0: out[pick(random, size)] = (char)next_random(random); break;
    case 1: out[pick(random, size)] ^= 0x20; break;
    case 2: size = pick(random, size + 1); break;
    case 3: out[size++] = pick(random, 2) == 0 ? '\0' : (char)next_random(random); break;
    default:
        size = pick(random, max);
        for (size_t i = 0; i < size; i++)
            out[i] = (char)next_random(random);
    }
    return size;
}

static void test_lookup_agrees_with_a_search(void **state) {
    (void)state;
    uint64_t random = seed_from_environment();
    for (int round = 0; round < ROUNDS; round++) {
        char text[48];
        size_t size = make_name(&random, text, sizeof text);
        char *exact = malloc(size > 0 ? size : 1);
        memcpy(exact, text, size);
        struct bytes name = {exact, size};
        const struct command *container = NULL;
        if (pick(&random, 2) == 0) {
            container = &all_commands.commands[pick(&random, all_commands.top_count)];
        }
        assert_ptr_equal(find(&all_commands, container, name),
                         naive_find(&all_commands, container, name));
        free(exact);
    }
}

static void test_set_is_well_formed(void **state) {
    (void)state;
    for (unsigned i = 0; i < all_commands.count; i++) {
        const struct command *command = &all_commands.commands[i];
        assert_int_equal(command->parent == NULL, i < all_commands.top_count);
        for (unsigned j = 0; j < command->subcommand_count; j++) {
            assert_ptr_equal(command->subcommands[j].parent, command);
        }
        bool write = (command->flags & COMMAND_WRITE) != 0;
        assert_int_equal(write, (command->categories & COMMAND_CATEGORY_WRITE) != 0);
        uint32_t speed = COMMAND_CATEGORY_FAST | COMMAND_CATEGORY_SLOW;
        assert_int_equal(__builtin_popcount(command->categories & speed), 1);
    }
}

static void test_resolve(void **state) {
    (void)state;
    const struct command *container;
    struct bytes get[] = {BYTES("GET"), BYTES("k")};
    const struct command *command = command_resolve(&all_commands, get, 2, &container);
    assert_ptr_equal(command, command_find(&all_commands, BYTES("get")));
    assert_true(command_arity_fits(command, 2));
    assert_false(command_arity_fits(command, 1));
    assert_false(command_arity_fits(command, 3));

    struct bytes config[] = {BYTES("Config"), BYTES("gEt"), BYTES("*")};
    command = command_resolve(&all_commands, config, 3, &container);
    assert_string_equal(command->full_name.data, "config|get");
    assert_false(command_arity_fits(command, 2));
    assert_true(command_arity_fits(command, 9));
    command = command_resolve(&all_commands, config, 1, &container);
    assert_string_equal(command->full_name.data, "config");
    assert_false(command_arity_fits(command, 1));

    struct bytes unknown[] = {BYTES("config"), BYTES("set|"), BYTES("*")};
    assert_null(command_resolve(&all_commands, unknown, 3, &container));
    assert_string_equal(container->full_name.data, "config");
    struct bytes none[] = {BYTES("config|get"), BYTES("*")};
    assert_null(command_resolve(&all_commands, none, 2, &container));
    assert_null(container);
    assert_null(command_resolve(&all_commands, none, 0, &container));
    assert_null(command_find_full(&all_commands, BYTES("config|")));
    assert_null(command_find_full(&all_commands, BYTES("|get")));
    assert_null(command_find_full(&all_commands, BYTES("config|get|get")));
    assert_null(command_find_full(&all_commands, BYTES("")));
}

static void test_categories_by_name(void **state) {
    (void)state;
    assert_int_equal(command_category_find(BYTES("READ")), COMMAND_CATEGORY_READ);
    assert_int_equal(command_category_find(BYTES("scripting")), COMMAND_CATEGORY_SCRIPTING);
    assert_int_equal(command_category_find(BYTES("@read")), 0);
    assert_string_equal(command_category_name(17), "dangerous");
    assert_string_equal(command_flag_name(19), "allow_busy");
}

/* ---- keys ---- */

enum { WORDS_MAX = 40 };

/* Cut at blanks. */
static size_t split(const char *line, struct bytes *words) {
    size_t count = 0;
    while (*line != '\0') {
        size_t size = strcspn(line, " ");
        words[count++] = bytes_make(line, size);
        line += size;
        if (*line == ' ') line++;
    }
    return count;
}

/* The keys as text: "a b", or "-" where the arguments make no sense. */
static void assert_keys(const struct command *command, const char *request, const char *expected) {
    struct bytes words[WORDS_MAX];
    size_t count = split(request, words);
    struct command_keys keys = {.count = 0};
    char found[256] = "-";
    if (command_keys_find(command, words, count, &keys)) {
        size_t size = 0;
        for (uint32_t i = 0; i < keys.count; i++) {
            struct bytes key = words[keys.keys[i].position];
            size += (size_t)snprintf(found + size, sizeof found - size, i > 0 ? " %.*s" : "%.*s",
                                     (int)key.size, key.data);
        }
        found[size] = '\0';
    }
    command_keys_release(&keys);
    assert_string_equal(found, expected);
}

static void test_keys_of_commands(void **state) {
    (void)state;
    static const struct {
        const char *request, *keys;
    } cases[] = {
        {"GET a", "a"},
        {"MGET a b c", "a b c"},
        {"MSET a 1 b 2", "a b"},
        {"MSET a 1 b", "a b"},
        {"COPY a b DB 3", "a b"},
        {"LCS a b LEN", "a b"},
        {"OBJECT ENCODING a", "a"},
        {"DEL a b c d e f g h i j k l m n o p q r s t", "a b c d e f g h i j k l m n o p q r s t"},
        {"SET a b GET", "a"},
        {"PING a", ""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct bytes words[WORDS_MAX];
        const struct command *container;
        size_t count = split(cases[i].request, words);
        const struct command *command = command_resolve(&all_commands, words, count, &container);
        assert_non_null(command);
        assert_keys(command, cases[i].request, cases[i].keys);
    }
}

/* For every command of the table: the quick range is what the specs say, or a part of it. */
static void test_key_range_agrees_with_specs(void **state) {
    (void)state;
    struct bytes words[WORDS_MAX];
    for (size_t i = 0; i < WORDS_MAX; i++)
        words[i] = BYTES("1"); /* a number of keys, too */
    for (unsigned i = 0; i < all_commands.count; i++) {
        const struct command *command = &all_commands.commands[i];
        /* The range of shard channels is known, as in Redis, though they are no keys. */
        if (command->key_spec_count == 1 && command->key_specs->flags & COMMAND_KEY_NOT_KEY)
            continue;
        for (size_t argc = 1; argc < WORDS_MAX; argc++) {
            size_t first = 0, last = 0, step = 1, count = 0;
            bool found = command_key_range(command, argc, &first, &last, &step);
            if (found) assert_in_range(last, first, argc - 1);
            if (!command_arity_fits(command, argc)) continue;
            struct command_keys keys = {.count = 0};
            if (!command_keys_find(command, words, argc, &keys)) {
                /* A second spec may begin behind what the arity demands (PFMERGE), as in Redis; and
                 * EVAL says how many keys it has. */
                bool second = command->key_spec_count > 1;
                bool counted = command->flags & COMMAND_NO_MANDATORY_KEYS;
                assert_true((second || counted) && (int)argc == -command->arity);
                continue;
            }
            bool movable = (command->flags & COMMAND_MOVABLEKEYS) != 0;
            assert_true(movable ? !found || keys.count > 0 : found == (keys.count > 0));
            for (size_t at = first; found && at <= last; at += step) {
                assert_int_equal(keys.keys[count++].position, at);
            }
            assert_true(movable ? count <= keys.count : count == keys.count);
            command_keys_release(&keys);
        }
    }
}

static uint32_t set_flags(const char *request) {
    struct bytes words[WORDS_MAX];
    size_t count = split(request, words);
    struct command_keys keys = {.count = 0};
    const struct command *set = command_find(&all_commands, BYTES("set"));
    assert_true(command_keys_find(set, words, count, &keys));
    assert_int_equal(keys.count, 1);
    uint32_t flags = keys.keys[0].flags;
    command_keys_release(&keys);
    return flags;
}

static void test_set_reads_only_with_get(void **state) {
    (void)state;
    const uint32_t writes = COMMAND_KEY_OW | COMMAND_KEY_UPDATE;
    const uint32_t reads = COMMAND_KEY_RW | COMMAND_KEY_ACCESS | COMMAND_KEY_UPDATE;
    assert_int_equal(set_flags("SET a b"), writes);
    assert_int_equal(set_flags("SET get get NX"), writes);
    assert_int_equal(set_flags("SET a b EX 10 gEt"), reads);
}

static struct command command_with(const struct command_key_spec *specs, uint8_t count) {
    return (struct command){.key_specs = specs, .key_spec_count = count};
}

static void test_keys_by_number(void **state) {
    (void)state;
    static const struct command_key_spec specs[] = {
        {.flags = COMMAND_KEY_OW,
         .begin = COMMAND_KEY_BEGIN_INDEX,
         .index = 1,
         .find = COMMAND_KEY_FIND_RANGE,
         .step = 1},
        {.flags = COMMAND_KEY_RO,
         .begin = COMMAND_KEY_BEGIN_INDEX,
         .index = 2,
         .find = COMMAND_KEY_FIND_KEYNUM,
         .number_index = 0,
         .first = 1,
         .step = 1},
    };
    struct command store = command_with(specs, 2);
    assert_keys(&store, "X to 2 a b WEIGHTS 1 2", "to a b");
    assert_keys(&store, "X to 1 a", "to a");
    assert_keys(&store, "X to 0 a", "-");
    assert_keys(&store, "X to -1 a", "-");
    assert_keys(&store, "X to 2 a", "-");
    assert_keys(&store, "X to two a b", "-");
    assert_keys(&store, "X to 9223372036854775807 a", "-");
    assert_keys(&store, "X to", "-");
}

static void test_keys_behind_a_keyword(void **state) {
    (void)state;
    static const struct command_key_spec forward[] = {
        {.flags = COMMAND_KEY_RO,
         .begin = COMMAND_KEY_BEGIN_KEYWORD,
         .keyword = "STREAMS",
         .index = 1,
         .find = COMMAND_KEY_FIND_RANGE,
         .last = -1,
         .limit = 2,
         .step = 1},
    };
    struct command read = command_with(forward, 1);
    assert_keys(&read, "X COUNT 2 streams a b 0 0", "a b");
    assert_keys(&read, "X STREAMS a 0", "a");
    assert_keys(&read, "X STREAMS a b 0", "a");
    assert_keys(&read, "X STREAMS a", "-");
    assert_keys(&read, "X STREAMS", "-");
    assert_keys(&read, "X a", "");

    static const struct command_key_spec backward[] = {
        {.flags = COMMAND_KEY_RW,
         .begin = COMMAND_KEY_BEGIN_KEYWORD,
         .keyword = "KEYS",
         .index = -2,
         .find = COMMAND_KEY_FIND_RANGE,
         .last = -1,
         .step = 1},
    };
    struct command migrate = command_with(backward, 1);
    assert_keys(&migrate, "X h p 0 KEYS 1 KEYS a b", "a b");
    assert_keys(&migrate, "X h p 0 a KEYS", "");
    assert_keys(&migrate, "X KEYS", "");
    assert_keys(&migrate, "X", "");
}

static void test_specs_that_find_nothing(void **state) {
    (void)state;
    static const struct command_key_spec specs[] = {
        {.flags = COMMAND_KEY_NOT_KEY,
         .begin = COMMAND_KEY_BEGIN_INDEX,
         .index = 1,
         .find = COMMAND_KEY_FIND_RANGE,
         .step = 1},
        {.flags = COMMAND_KEY_OW, .begin = COMMAND_KEY_BEGIN_UNKNOWN},
        {.flags = COMMAND_KEY_RO,
         .begin = COMMAND_KEY_BEGIN_INDEX,
         .index = 2,
         .find = COMMAND_KEY_FIND_RANGE,
         .last = -2,
         .step = 2},
    };
    struct command command = command_with(specs, 3);
    assert_keys(&command, "X channel a 1 b 2 end", "a b");
    assert_keys(&command, "X channel a", "-");
}

static struct command_key_spec random_spec(uint64_t *random) {
    return (struct command_key_spec){
        .flags = COMMAND_KEY_RO,
        .keyword = "K",
        .begin = (uint8_t)pick(random, 3),
        .find = (uint8_t)(1 + pick(random, 2)),
        .index =
            (int16_t)(pick(random, 2) == 0 ? 1 + (int)pick(random, 4) : -1 - (int)pick(random, 4)),
        .last = (int16_t)((int)pick(random, 7) - 3),
        .limit = (int16_t)pick(random, 4),
        .step = (int16_t)(1 + pick(random, 3)),
        .number_index = (int16_t)pick(random, 3),
        .first = (int16_t)pick(random, 3),
    };
}

/* Whatever a spec says and whatever is sent: keys are arguments of the request, never its name. */
static void test_keys_stay_in_the_request(void **state) {
    (void)state;
    static const char *const vocabulary[] = {"a", "k", "K",  "0",           "1",
                                             "2", "3", "-1", "999999999999"};
    uint64_t random = seed_from_environment();
    for (int round = 0; round < ROUNDS; round++) {
        struct command_key_spec spec = random_spec(&random);
        if (spec.begin == COMMAND_KEY_BEGIN_INDEX && spec.index < 0) spec.index = 1;
        struct command command = command_with(&spec, 1);
        size_t count = 1 + pick(&random, 8);
        struct bytes *words = malloc(count * sizeof *words);
        for (size_t i = 0; i < count; i++) {
            words[i] = bytes_from_text(vocabulary[pick(&random, 9)]);
        }
        struct command_keys keys = {.count = 0};
        command_keys_find(&command, words, count, &keys);
        for (uint32_t i = 0; i < keys.count; i++) {
            assert_in_range(keys.keys[i].position, 1, count - 1);
        }
        command_keys_release(&keys);
        free(words);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_name_is_found_in_any_case),
        cmocka_unit_test(test_lookup_agrees_with_a_search),
        cmocka_unit_test(test_set_is_well_formed),
        cmocka_unit_test(test_resolve),
        cmocka_unit_test(test_categories_by_name),
        cmocka_unit_test(test_keys_of_commands),
        cmocka_unit_test(test_key_range_agrees_with_specs),
        cmocka_unit_test(test_set_reads_only_with_get),
        cmocka_unit_test(test_keys_by_number),
        cmocka_unit_test(test_keys_behind_a_keyword),
        cmocka_unit_test(test_specs_that_find_nothing),
        cmocka_unit_test(test_keys_stay_in_the_request),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
