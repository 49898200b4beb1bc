/* test_name_table.c: records by name and number against a naive model: equal names of different
 * numbers are different records, a record stays where it is, and walks see each once. */
#include "engine/name_table.h"

#include "../base/cmocka_all.h"
#include "../base/random.h"
#include "base/memory.h"

enum { NAMES = 400, NUMBERS = 3, STEPS = 200000 };

struct record {
    struct named named;
    uint64_t value;
};

struct model {
    struct name_table table;
    struct hash_secret secret;
    struct random random;
    struct record *records[NUMBERS][NAMES]; /* NULL: absent */
    uint64_t values[NUMBERS][NAMES];
    size_t count;
};

/* The empty name too, and some that begin with others. */
static struct bytes name_of(uint32_t at, char text[64]) {
    return bytes_make(text, (size_t)snprintf(text, 64, "%.*s%u", (int)(at % 40),
                                             "########################################", at) *
                                (at != 0));
}

static void open_model(struct model *model) {
    *model = (struct model){.random = random_from_seed()};
    for (size_t i = 0; i < sizeof model->secret; i++)
        model->secret.bytes[i] = (uint8_t)random_next(&model->random);
    name_table_init(&model->table, &model->secret, sizeof(struct record));
}

static void step(struct model *model) {
    char text[64];
    uint32_t number = (uint32_t)random_below(&model->random, NUMBERS);
    uint32_t at = (uint32_t)random_below(&model->random, NAMES);
    struct bytes name = name_of(at, text);
    struct record **known = &model->records[number][at];
    assert_ptr_equal(name_table_find(&model->table, number, name), *known);
    if (*known) assert_int_equal((*known)->value, model->values[number][at]);
    if (random_below(&model->random, 2) == 0) {
        struct record *record = name_table_find_or_add(&model->table, number, name);
        if (*known) {
            assert_ptr_equal(record, *known);
            return;
        }
        assert_int_equal(record->value, 0);
        assert_int_equal(record->named.number, number);
        assert_true(bytes_equal(record->named.name, name));
        record->value = model->values[number][at] = random_next(&model->random);
        *known = record;
        model->count++;
    } else if (*known) {
        name_table_remove(&model->table, *known);
        *known = NULL;
        model->count--;
    }
}

static void count_record(void *context, void *record) {
    (void)record;
    ++*(size_t *)context;
}

static uint64_t draw(void *context) {
    return random_next(context);
}

static void test_against_a_model(void **state) {
    (void)state;
    struct model model;
    open_model(&model);
    for (int i = 0; i < STEPS; i++) {
        step(&model);
        assert_int_equal(name_table_count(&model.table), model.count);
        if (i % 1000 != 0) continue;
        size_t seen = 0;
        name_table_each(&model.table, count_record, &seen);
        assert_int_equal(seen, model.count);
        const struct record *any = name_table_random(&model.table, draw, &model.random);
        if (any)
            assert_ptr_equal(name_table_find(&model.table, any->named.number, any->named.name),
                             any);
    }
    size_t released = 0;
    name_table_clear(&model.table, count_record, &released);
    assert_int_equal(released, model.count);
    assert_int_equal(name_table_count(&model.table), 0);
    assert_null(name_table_random(&model.table, draw, &model.random));
    assert_null(name_table_find(&model.table, 0, BYTES("1")));
    name_table_release(&model.table);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_against_a_model)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
