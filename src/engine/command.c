/* command.c: finding commands by name, and the keys of a request. The names of flags are listed
 * here. Owns nothing; must never change what it reads. */
#include "engine/command.h"

#include "base/invariant.h"
#include "base/memory.h"
#include "base/number.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "the generated words are little endian");

/* ---- names ---- */

struct name_words {
    uint64_t words[COMMAND_NAME_WORDS];
};

static inline uint64_t load_u64(const char *at) {
    uint64_t word;
    memcpy(&word, at, sizeof word);
    return word;
}

/* 1 to 7 bytes, zeroes above. */
static inline uint64_t load_few(const char *at, size_t size) {
    if (size >= 4) {
        uint32_t low, high;
        memcpy(&low, at, sizeof low);
        memcpy(&high, at + size - 4, sizeof high);
        return low | (uint64_t)high << (8 * (size - 4));
    }
    size_t middle = size / 2, last = size - 1;
    return (uint64_t)(uint8_t)at[0] | (uint64_t)(uint8_t)at[middle] << (8 * middle) |
           (uint64_t)(uint8_t)at[last] << (8 * last);
}

/* Upper case letters to lower case, all eight at once, nothing else touched: bit 7 of each byte of
 * `upper` says that the byte is at least 'A', at most 'Z' and ASCII. */
static inline uint64_t lower_word(uint64_t word) {
    const uint64_t ones = 0x0101010101010101ULL, high = ones * 0x80;
    uint64_t low = word & ~high;
    uint64_t from_a = low + ones * (0x80 - 'A');
    uint64_t above_z = low + ones * (0x7f - 'Z');
    uint64_t upper = ~word & high & (from_a ^ above_z);
    return word | upper >> 2;
}

static inline struct name_words name_words(struct bytes name) {
    struct name_words out = {{0}};
    size_t whole = name.size / 8, rest = name.size % 8;
    for (size_t i = 0; i < whole; i++)
        out.words[i] = lower_word(load_u64(name.data + 8 * i));
    if (rest == 0) return out;
    const char *end = name.data + name.size;
    uint64_t last = whole > 0 ? load_u64(end - 8) >> (8 * (8 - rest)) : load_few(name.data, rest);
    out.words[whole] = lower_word(last);
    return out;
}

/* The same arithmetic stands in generate.py. */
static inline uint64_t name_hash(const struct name_words *name, uint64_t scope) {
    uint64_t hash = name->words[0] * 0x9e3779b97f4a7c15ULL +
                    name->words[1] * 0xc2b2ae3d27d4eb4fULL +
                    name->words[2] * 0x165667b19e3779f9ULL + scope * 0xd6e8feb86659fd93ULL;
    hash ^= hash >> 32;
    hash *= 0xe9846af9b1a615dULL;
    return hash ^ hash >> 29;
}

static const struct command *find_in_scope(const struct command_set *set, uint16_t scope,
                                           struct bytes name) {
    if (name.size == 0 || name.size > COMMAND_NAME_MAX) return NULL;
    struct name_words words = name_words(name);
    uint64_t hash = name_hash(&words, scope);
    uint64_t displacement = set->displacements[hash & set->displacement_mask];
    uint16_t slot = set->slots[((hash >> 16) + displacement * (hash >> 40 | 1)) & set->slot_mask];
    if (slot == 0) return NULL;
    const struct command *command = &set->commands[slot - 1];
    bool same = command->name_words[0] == words.words[0] &&
                command->name_words[1] == words.words[1] &&
                command->name_words[2] == words.words[2] && command->scope == scope &&
                command->name_size == name.size;
    return same ? command : NULL;
}

const struct command *command_find(const struct command_set *set, struct bytes name) {
    return find_in_scope(set, 0, name);
}

const struct command *command_find_subcommand(const struct command_set *set,
                                              const struct command *container, struct bytes name) {
    if (container->subcommand_count == 0) return NULL;
    return find_in_scope(set, (uint16_t)(container->number + 1), name);
}

const struct command *command_find_full(const struct command_set *set, struct bytes full_name) {
    const char *bar = full_name.size == 0 ? NULL : memchr(full_name.data, '|', full_name.size);
    if (bar == NULL) return command_find(set, full_name);
    size_t head = (size_t)(bar - full_name.data);
    const struct command *container = command_find(set, bytes_make(full_name.data, head));
    if (container == NULL) return NULL;
    return command_find_subcommand(set, container, bytes_make(bar + 1, full_name.size - head - 1));
}

const struct command *command_resolve(const struct command_set *set, const struct bytes *argv,
                                      size_t argc, const struct command **container) {
    *container = NULL;
    if (argc == 0) return NULL;
    const struct command *command = command_find(set, argv[0]);
    if (command == NULL || command->subcommand_count == 0 || argc == 1) return command;
    const struct command *subcommand = command_find_subcommand(set, command, argv[1]);
    if (subcommand == NULL) *container = command;
    return subcommand;
}

/* ---- keys ---- */

void command_keys_add(struct command_keys *keys, size_t position, uint32_t flags) {
    if (keys->keys == NULL) {
        keys->keys = keys->own;
        keys->capacity = COMMAND_KEYS_INLINE;
    } else if (keys->count == keys->capacity) {
        INVARIANT(keys->capacity <= UINT32_MAX / 2);
        size_t size = (size_t)keys->capacity * 2 * sizeof *keys->keys;
        if (keys->keys == keys->own) {
            keys->keys = memory_alloc(size);
            memcpy(keys->keys, keys->own, sizeof keys->own);
        } else {
            keys->keys = memory_resize(keys->keys, size);
        }
        keys->capacity *= 2;
    }
    keys->keys[keys->count++] = (struct command_key){(uint32_t)position, flags};
}

void command_keys_release(struct command_keys *keys) {
    if (keys->keys != keys->own) memory_free(keys->keys);
    *keys = (struct command_keys){.keys = NULL};
}

/* Where the spec begins; 0 when its keyword is not there, -1 when that is behind the end. */
static int64_t spec_begin(const struct command_key_spec *spec, const struct bytes *argv,
                          int64_t argc) {
    if (spec->begin == COMMAND_KEY_BEGIN_INDEX) return spec->index < argc ? spec->index : -1;
    int64_t step = spec->index > 0 ? 1 : -1;
    int64_t from = spec->index > 0 ? spec->index : argc + spec->index;
    for (int64_t at = from; at > 0 && at < argc; at += step) {
        if (bytes_is(argv[at], spec->keyword)) return at + 1 < argc ? at + 1 : -1;
    }
    return 0;
}

/* The first and the last key of a spec that begins at *first. False when they are not in the
 * request. */
static bool spec_range(const struct command_key_spec *spec, const struct bytes *argv, int64_t argc,
                       int64_t *first, int64_t *last) {
    int64_t begin = *first;
    if (spec->find == COMMAND_KEY_FIND_RANGE) {
        if (spec->last >= 0) {
            *last = begin + spec->last;
        } else {
            int64_t parts = spec->limit > 1 ? spec->limit : 1;
            *last = begin + (argc - begin) / parts + spec->last;
        }
    } else {
        int64_t at = begin + spec->number_index, number;
        if (at >= argc || !number_parse_i64(argv[at], &number)) return false;
        if (number <= 0 || number > argc) return false;
        *first = begin + spec->first;
        *last = *first + (number - 1) * spec->step;
    }
    return *first < argc && *last < argc && *last >= *first;
}

static bool spec_keys(const struct command_key_spec *spec, const struct bytes *argv, size_t argc,
                      struct command_keys *keys) {
    int64_t first = spec_begin(spec, argv, (int64_t)argc), last;
    if (first == 0) return true;
    if (first < 0 || !spec_range(spec, argv, (int64_t)argc, &first, &last)) return false;
    for (int64_t at = first; at <= last; at += spec->step) {
        command_keys_add(keys, (size_t)at, spec->flags);
    }
    return true;
}

bool command_keys_from_specs(const struct command *command, const struct bytes *argv, size_t argc,
                             struct command_keys *keys) {
    for (unsigned i = 0; i < command->key_spec_count; i++) {
        const struct command_key_spec *spec = &command->key_specs[i];
        if ((spec->flags & COMMAND_KEY_NOT_KEY) != 0) continue;
        if (spec->begin == COMMAND_KEY_BEGIN_UNKNOWN) continue;
        if (!spec_keys(spec, argv, argc, keys)) return false;
    }
    return true;
}

bool command_keys_find(const struct command *command, const struct bytes *argv, size_t argc,
                       struct command_keys *keys) {
    if (command->keys_function != NULL) return command->keys_function(command, argv, argc, keys);
    return command_keys_from_specs(command, argv, argc, keys);
}

bool command_is_absent(struct bytes name) {
    static const char *const absent[] = {"asking",   "cluster",   "migrate",
                                         "readonly", "readwrite", "restore-asking"};
    const char *bar = name.size > 0 ? memchr(name.data, '|', name.size) : NULL;
    struct bytes head = bytes_make(name.data, bar ? (size_t)(bar - name.data) : name.size);
    for (size_t i = 0; i < sizeof absent / sizeof absent[0]; i++)
        if (bytes_is(head, absent[i])) return true;
    return false;
}

/* ---- names of flags ---- */

static const char *const flag_names[] = {
    "write",
    "readonly",
    "denyoom",
    "module",
    "admin",
    "pubsub",
    "noscript",
    "blocking",
    "loading",
    "stale",
    "skip_monitor",
    "skip_slowlog",
    "asking",
    "fast",
    "no_auth",
    "no_mandatory_keys",
    "no_async_loading",
    "no_multi",
    "movablekeys",
    "allow_busy",
};
_Static_assert(sizeof flag_names / sizeof *flag_names == COMMAND_FLAGS_SHOWN, "one name a flag");

static const char *const category_names[] = {
    "keyspace", "read",   "write",       "set",       "sortedset",  "list",        "hash",
    "string",   "bitmap", "hyperloglog", "geo",       "stream",     "pubsub",      "admin",
    "fast",     "slow",   "blocking",    "dangerous", "connection", "transaction", "scripting",
};
_Static_assert(sizeof category_names / sizeof *category_names == COMMAND_CATEGORIES,
               "one name a category");

static const char *const key_flag_names[] = {
    "RO",     "RW",     "OW",      "RM",         "access",         "update",
    "insert", "delete", "not_key", "incomplete", "variable_flags",
};
_Static_assert(sizeof key_flag_names / sizeof *key_flag_names == COMMAND_KEY_FLAGS,
               "one name a flag");

const char *command_flag_name(unsigned bit) {
    INVARIANT(bit < COMMAND_FLAGS_SHOWN);
    return flag_names[bit];
}

const char *command_category_name(unsigned bit) {
    INVARIANT(bit < COMMAND_CATEGORIES);
    return category_names[bit];
}

uint32_t command_category_find(struct bytes name) {
    for (unsigned bit = 0; bit < COMMAND_CATEGORIES; bit++) {
        if (bytes_is(name, category_names[bit])) return UINT32_C(1) << bit;
    }
    return 0;
}

const char *command_key_flag_name(unsigned bit) {
    INVARIANT(bit < COMMAND_KEY_FLAGS);
    return key_flag_names[bit];
}

const char *command_argument_flag_name(unsigned bit) {
    static const char *const names[] = {"optional", "multiple", "multiple_token"};
    INVARIANT(bit < COMMAND_ARGUMENT_FLAGS);
    return names[bit];
}

const char *command_argument_type_name(enum command_argument_type type) {
    switch (type) {
    case COMMAND_ARGUMENT_STRING: return "string";
    case COMMAND_ARGUMENT_INTEGER: return "integer";
    case COMMAND_ARGUMENT_DOUBLE: return "double";
    case COMMAND_ARGUMENT_KEY: return "key";
    case COMMAND_ARGUMENT_PATTERN: return "pattern";
    case COMMAND_ARGUMENT_UNIX_TIME: return "unix-time";
    case COMMAND_ARGUMENT_PURE_TOKEN: return "pure-token";
    case COMMAND_ARGUMENT_ONEOF: return "oneof";
    case COMMAND_ARGUMENT_BLOCK: return "block";
    }
    invariant_panic("argument type %d is unknown", (int)type);
}
