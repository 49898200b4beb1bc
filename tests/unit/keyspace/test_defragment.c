/* test_defragment.c: entries and strings that are moved stay what they are, to the naive model,
 * whatever else happens between the steps; pages come back; and nothing moves while a view is open.
 */
#include "keyspace/defragment.h"

#include "model.h"

static void test_moves_between_changes(void **state) {
    (void)state;
    enum { STEPS = 300000, KEYS = 3000 };
    struct model m;
    struct defragment at = {0};
    struct defragment_counts counts = {0};
    uint64_t rounds = 0;
    model_open(&m, KEYS);
    for (int i = 0; i < STEPS; i++) {
        model_step(&m);
        if (random_below(&m.random, 10) == 0 && defragment_may_run(&m.keyspace))
            rounds += defragment_step(&m.keyspace, &at, &counts);
        if (i % 20000 == 0) model_check(&m);
    }
    model_check(&m);
    /* Strings move with jemalloc only, which sanitizers replace. */
    assert_true(counts.moved > 100 && rounds > 100);
    keyspace_release(&m.keyspace);
    model_close(&m);
}

/* ---- what comes back ---- */

enum { MANY = 200000 };

static size_t value_size(uint32_t number) {
    return 8 + number * UINT32_C(2654435761) % 900;
}

static void put_many(struct keyspace *keyspace, uint32_t step, uint32_t shift) {
    struct database *db = &keyspace->databases[0];
    char name[16], value[1024];
    for (uint32_t i = 0; i < MANY; i += step) {
        int size = snprintf(name, sizeof name, "key:%u", i);
        memset(value, (int)('a' + i % 26), sizeof value);
        struct key key = key_make(keyspace, bytes_make(name, (size_t)size));
        struct spot spot = database_locate(db, &key);
        database_put_string(db, &key, &spot, bytes_make(value, value_size(i + shift)),
                            ENTRY_NO_EXPIRY);
    }
}

static void remove_odd(struct keyspace *keyspace) {
    struct database *db = &keyspace->databases[0];
    char name[16];
    for (uint32_t i = 1; i < MANY; i += 2) {
        int size = snprintf(name, sizeof name, "key:%u", i);
        struct key key = key_make(keyspace, bytes_make(name, (size_t)size));
        struct spot spot = database_locate(db, &key);
        database_remove(db, &spot);
    }
}

static void check_even(struct keyspace *keyspace, uint32_t shift) {
    char name[16];
    for (uint32_t i = 0; i < MANY; i += 2) {
        int size = snprintf(name, sizeof name, "key:%u", i);
        struct key key = key_make(keyspace, bytes_make(name, (size_t)size));
        const struct entry *entry = database_find(&keyspace->databases[0], &key);
        assert_non_null(entry);
        char scratch[NUMBER_I64_TEXT_MAX];
        struct bytes value = entry_string(entry, scratch);
        assert_int_equal(value.size, value_size(i + shift));
        for (size_t at = 0; at < value.size; at++)
            assert_int_equal(value.data[at], 'a' + i % 26);
    }
}

static void open_keyspace(struct keyspace *keyspace) {
    struct hash_secret secret;
    struct random random = random_from_seed();
    for (size_t i = 0; i < sizeof secret; i++)
        secret.bytes[i] = (uint8_t)random_next(&random);
    keyspace_init(keyspace, 1, &secret);
}

static void test_pages_come_back(void **state) {
    (void)state;
    struct keyspace keyspace;
    struct defragment at = {0};
    struct defragment_counts counts = {0};
    open_keyspace(&keyspace);
    const struct slab *slab = &keyspace.databases[0].store->slab;
    put_many(&keyspace, 1, 0);
    remove_odd(&keyspace);
    put_many(&keyspace, 2, 7);
    struct slab_report before = slab_report(slab);
    assert_true(before.page_bytes > before.block_bytes * 3 / 2);
    for (int round = 0; round < 3; round++)
        while (!defragment_step(&keyspace, &at, &counts)) {
        }
    struct slab_report after = slab_report(slab);
    assert_int_equal(after.blocks, before.blocks);
    assert_int_equal(after.block_bytes, before.block_bytes);
    assert_true(after.page_bytes < after.block_bytes + after.block_bytes / 16);
    assert_true(slab_discarded(slab) + after.page_bytes + (4 << 20) >= after.chunk_bytes);
    /* A bounded number is moved: no entry again and again. */
    assert_true(counts.moved < MANY);
    check_even(&keyspace, 7);
    keyspace_release(&keyspace);
}

static void test_nothing_moves_under_a_view(void **state) {
    (void)state;
    struct keyspace keyspace;
    open_keyspace(&keyspace);
    put_many(&keyspace, 1, 0);
    assert_true(defragment_may_run(&keyspace));
    struct view *view = view_open(&keyspace);
    assert_false(defragment_may_run(&keyspace));
    remove_odd(&keyspace);
    view_close(&keyspace, view);
    assert_false(defragment_may_run(&keyspace)); /* what only the view saw waits to be freed */
    while (!keyspace_drain(&keyspace, 1000)) {
    }
    assert_true(defragment_may_run(&keyspace));
    keyspace_release(&keyspace);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_moves_between_changes),
        cmocka_unit_test(test_pages_come_back),
        cmocka_unit_test(test_nothing_moves_under_a_view),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
