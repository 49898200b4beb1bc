/* test_database.c: every change of a database, in random order, against a naive model: what keys
 * hold, when they end, and every sum that the databases keep. */
#include "model.h"

#include "keyspace/edit.h"
#include "value/list.h"

#include <stdlib.h>

/* Disposal by the engine goes through a hook: here it is done at once, and counted. */
static void dispose_now(void *context, void (*free_it)(void *), void *what, size_t size) {
    (void)size;
    ++*(size_t *)context;
    free_it(what);
}

static void test_random_changes(void **state) {
    (void)state;
    enum { STEPS = 600000, KEYS = 1500 };
    struct model m;
    size_t disposed = 0;
    model_open(&m, KEYS);
    m.keyspace.dispose = dispose_now;
    m.keyspace.dispose_context = &disposed;
    for (int i = 0; i < STEPS; i++) {
        model_step(&m);
        if (i % 20000 == 0) model_check(&m);
    }
    model_check(&m);
    assert_true(m.sweeps_due > 0 && disposed > 0);
    keyspace_release(&m.keyspace);
    model_close(&m);
}

/* An edit that leaves nothing removes the key, whatever is in the object: what is large is disposed
 * of as a whole, small and new things are freed at once. */
static void test_edit_removes(void **state) {
    (void)state;
    static const int sizes[] = {0, 1, 100, 200000};
    const struct list_limits limits = {-2};
    struct model m;
    size_t disposed = 0;
    model_open(&m, 1);
    m.keyspace.dispose = dispose_now;
    m.keyspace.dispose_context = &disposed;
    struct database *db = &m.keyspace.databases[0];
    struct key key = key_make(&m.keyspace, BYTES("list"));
    for (int round = 0; round < 8; round++) {
        int size = sizes[round / 2];
        bool stored_before = round % 2; /* else all is one edit */
        struct spot spot = database_locate(db, &key);
        struct edit edit;
        edit_begin(&edit, db, &key, &spot, VALUE_LIST);
        for (int i = 0; i < size; i++) {
            struct item item = item_integer(i);
            list_push((struct list *)edit.object, &limits, &item, false);
        }
        if (stored_before) {
            edit_end(&edit);
            spot = database_locate(db, &key);
            assert_true((spot.entry != NULL) == (size > 0));
            edit_begin(&edit, db, &key, &spot, VALUE_LIST);
        }
        edit.removes = true;
        edit_end(&edit);
        assert_null(edit.spot.entry);
        assert_null(database_locate(db, &key).entry);
        assert_int_equal(db->store->outside_bytes, 0);
    }
    assert_int_equal(disposed, 1);
    keyspace_release(&m.keyspace);
    model_close(&m);
}

/* When the last key is gone nothing is left, of entries, expiries and bytes. */
static void test_nothing_left(void **state) {
    (void)state;
    enum { STEPS = 100000, KEYS = 900 };
    struct model m;
    model_open(&m, KEYS);
    for (int i = 0; i < STEPS; i++)
        model_step(&m);
    for (uint32_t number = 0; number < MODEL_DATABASES; number++) {
        struct database *db = &m.keyspace.databases[number];
        for (uint32_t i = 0; i < m.keys; i++) {
            struct key key = key_make(&m.keyspace, m.names[i]);
            struct spot spot = database_locate(db, &key);
            if (spot.entry) database_remove(db, &spot);
            model_clear(&m.values[number][i]);
        }
        assert_int_equal(database_count(db), 0);
        assert_int_equal(db->store->expiring, 0);
        assert_true(db->store->expiry_sum_ms == 0);
        assert_int_equal(db->store->outside_bytes, 0);
        assert_int_equal(slab_used(&db->store->slab), 0);
    }
    keyspace_release(&m.keyspace);
    model_close(&m);
}

/* Every length of key, with a value at each border. */
static void test_every_length(void **state) {
    (void)state;
    char name[MODEL_NAME_MAX], value[2 * ENTRY_SIZE_MAX];
    struct hash_secret secret = {{7}};
    struct keyspace keyspace;
    memset(name, 'k', sizeof name);
    memset(value, 'v', sizeof value);
    keyspace_init(&keyspace, 1, &secret);
    struct database *db = &keyspace.databases[0];
    for (size_t size = 0; size <= MODEL_NAME_MAX; size++) {
        struct key key = key_make(&keyspace, bytes_make(name, size));
        size_t key_part = size > ENTRY_KEY_MAX ? 8 : size;
        for (size_t room = ENTRY_SIZE_MAX - 20; room <= ENTRY_SIZE_MAX + 4; room++) {
            size_t value_size = room - sizeof(struct entry) - key_part;
            struct bytes bytes = bytes_make(value, value_size);
            struct spot spot = database_locate(db, &key);
            database_put_string(db, &key, &spot, bytes, ENTRY_NO_EXPIRY);
            const struct entry *entry = database_find(db, &key);
            assert_int_equal(entry_encoding(entry),
                             room <= ENTRY_SIZE_MAX ? ENTRY_EMBEDDED : ENTRY_BLOB);
            spot = database_locate(db, &key);
            database_set_expiry(db, &spot, 5);
            entry = database_find(db, &key);
            assert_ptr_equal(entry, spot.entry);
            assert_int_equal(entry_encoding(entry),
                             room + 8 <= ENTRY_SIZE_MAX ? ENTRY_EMBEDDED : ENTRY_BLOB);
            assert_true(bytes_equal(entry_key(entry), key.name));
            assert_true(bytes_equal(entry_string(entry, NULL), bytes));
            assert_int_equal(entry_expiry(entry), 5);
            database_set_expiry(db, &spot, ENTRY_NO_EXPIRY);
            assert_true(bytes_equal(entry_string(spot.entry, NULL), bytes));
            assert_int_equal(db->store->expiring, 0);
        }
    }
    assert_int_equal(database_count(db), MODEL_NAME_MAX + 1);
    keyspace_release(&keyspace);
}

static uint64_t random_of(void *random) {
    return random_next(random);
}

/* Each key comes up, about equally often. */
static void test_random_key(void **state) {
    (void)state;
    enum { KEYS = 50, DRAWS = 20000 };
    struct hash_secret secret = {{7}};
    struct keyspace keyspace;
    struct random random = random_from_seed();
    size_t drawn[KEYS] = {0};
    keyspace_init(&keyspace, 1, &secret);
    struct database *db = &keyspace.databases[0];
    assert_null(database_random(db, random_of, &random));
    for (uint8_t i = 0; i < KEYS; i++) {
        struct key key = key_make(&keyspace, bytes_make(&i, 1));
        struct spot spot = database_locate(db, &key);
        database_put_integer(db, &key, &spot, i, ENTRY_NO_EXPIRY);
    }
    for (int i = 0; i < DRAWS; i++)
        drawn[entry_integer(database_random(db, random_of, &random))]++;
    for (int i = 0; i < KEYS; i++)
        assert_in_range(drawn[i], DRAWS / KEYS / 3, DRAWS / KEYS * 3);
    keyspace_release(&keyspace);
}

/* What is not used is that of the databases there are, whatever was flushed, swapped or loaded. */
static void test_unused(void **state) {
    (void)state;
    enum { DATABASES = 5, STEPS = 3000 };
    struct hash_secret secret = {{7}};
    struct keyspace keyspace;
    struct random random = random_from_seed();
    struct database *aside = NULL;
    keyspace_init(&keyspace, DATABASES, &secret);
    for (uint64_t i = 0; i < STEPS; i++) {
        uint32_t number = (uint32_t)random_below(&random, DATABASES);
        struct database *db = &(aside && i % 2 ? aside : keyspace.databases)[number];
        struct key key = key_make(&keyspace, bytes_make(&i, sizeof i));
        struct spot spot = database_locate(db, &key);
        database_put_integer(db, &key, &spot, (int64_t)i, ENTRY_NO_EXPIRY);
        switch (random_below(&random, 40)) {
        case 0: keyspace_flush(&keyspace, number); break;
        case 1: keyspace_swap(&keyspace, number, (uint32_t)random_below(&random, DATABASES)); break;
        case 2:
            if (!aside) aside = keyspace_open_aside(&keyspace);
            break;
        case 3:
            if (aside) keyspace_take_aside(&keyspace, aside);
            aside = NULL;
            break;
        case 4:
            if (aside) keyspace_drop_aside(&keyspace, aside);
            aside = NULL;
            break;
        }
        size_t unused = 0;
        for (uint32_t j = 0; j < DATABASES; j++)
            unused += store_unused(keyspace.databases[j].store) +
                      (aside ? store_unused(aside[j].store) : 0);
        assert_int_equal(keyspace_unused(&keyspace), unused);
    }
    if (aside) keyspace_drop_aside(&keyspace, aside);
    keyspace_release(&keyspace);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random_changes), cmocka_unit_test(test_edit_removes),
        cmocka_unit_test(test_nothing_left),   cmocka_unit_test(test_every_length),
        cmocka_unit_test(test_random_key),     cmocka_unit_test(test_unused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
