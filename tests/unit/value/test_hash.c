/* test_hash.c: hashes against a naive model, in all three forms and through the changes between
 * them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/memory.h"
#include "struct/listpack.h"
#include "value/hash.h"
#include "value/object_digest.h"

enum { FIELDS = 300 };

static uint64_t next_random(void *state) {
    uint64_t *s = state;
    uint64_t z = (*s += 0x9e3779b97f4a7c15ULL);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
    return z ^ (z >> 31);
}

struct model {
    struct epochs epochs;
    struct hash_secret secret;
    struct record_world world;
    struct hash hash;
    struct hash_limits limits;
    uint64_t random;
    uint32_t values[FIELDS]; /* 0: absent */
    int64_t expiries[FIELDS];
    size_t count;
};

static struct item field_of(uint64_t id, char out[64]) {
    if (id == 0) return item_make(bytes_make("", 0));
    if (id % 2) return item_integer((int64_t)id * (id % 4 == 1 ? 1 : -100000));
    int size = snprintf(out, 64, "field:%llu:%.*s", (unsigned long long)id, (int)(id % 30),
                        "abcdefghijklmnopqrstuvwxyzabcdefghij");
    return item_make(bytes_make(out, (size_t)size));
}

static struct item value_of(uint32_t value, char out[128]) {
    if (value % 3 == 0) return item_integer(value);
    if (value % 31 == 0) return item_make(bytes_make("", 0));
    size_t size = value % 100;
    memset(out, (int)('a' + value % 26), size);
    return item_make(bytes_make(out, size));
}

static void model_open(struct model *m, uint64_t seed) {
    memset(m, 0, sizeof *m);
    m->random = seed;
    for (size_t i = 0; i < HASH_SECRET_SIZE; i++)
        m->secret.bytes[i] = (uint8_t)next_random(&m->random);
    epochs_init(&m->epochs);
    m->world = (struct record_world){.epochs = &m->epochs, .secret = &m->secret};
    m->limits = (struct hash_limits){next_random(&m->random) % 200, 20 + seed % 100};
    object_init(&m->hash.object, VALUE_HASH, &m->world);
}

static void model_close(struct model *m) {
    object_release(&m->hash.object);
    epochs_release(&m->epochs);
}

struct count {
    const struct model *model;
    size_t seen;
    int64_t last;
};

static void see(void *context, const struct record *record) {
    struct count *count = context;
    count->seen++;
    if (count->model->hash.object.format == FLAT_LISTPACK_EXPIRING)
        assert_true(record->expiry >= count->last);
    count->last = record->expiry;
}

static void check(const struct model *m) {
    char field_text[64], value_text[128];
    int64_t earliest = RECORD_NO_EXPIRY;
    struct record record;
    assert_int_equal(hash_count(&m->hash), m->count);
    for (uint64_t id = 0; id < FIELDS; id++) {
        struct item field = field_of(id, field_text);
        bool found = hash_find(&m->hash, &field, &record);
        assert_int_equal(found, m->values[id] != 0);
        if (!found) continue;
        struct item value = value_of(m->values[id], value_text);
        assert_true(item_equal(&record.key, &field) && item_equal(&record.value, &value));
        assert_int_equal(record.expiry, m->expiries[id]);
        if (record.expiry < earliest) earliest = record.expiry;
    }
    if (m->hash.object.format == FLAT_NONE)
        assert_true(hash_next_expiry(&m->hash) <= earliest);
    else
        assert_int_equal(hash_next_expiry(&m->hash), earliest);
    struct count count = {m, 0, INT64_MIN};
    uint64_t cursor = 0;
    do
        cursor = hash_scan(&m->hash, cursor, see, &count);
    while (cursor != 0);
    assert_int_equal(count.seen, m->count);
    assert_int_equal(
        hash_random(&m->hash, INT64_MIN, next_random, (void *)(uintptr_t)&m->random, &record),
        m->count > 0);
}

static void step(struct model *m, bool times) {
    char field_text[64], value_text[128];
    uint64_t id = next_random(&m->random) % FIELDS;
    struct item field = field_of(id, field_text);
    uint64_t dice = next_random(&m->random) % 10;
    int64_t expiry = RECORD_NO_EXPIRY;
    if (times && next_random(&m->random) % 2) expiry = 1 + (int64_t)(next_random(&m->random) % 50);
    if (dice < 5) {
        uint32_t version = (uint32_t)next_random(&m->random) | 1;
        struct record record = {field, value_of(version, value_text), expiry};
        assert_int_equal(hash_put(&m->hash, &m->limits, &record), m->values[id] == 0);
        m->count += m->values[id] == 0;
        m->values[id] = version;
        m->expiries[id] = expiry;
    } else if (dice < 7 && m->values[id]) {
        hash_set_expiry(&m->hash, &m->limits, &field, expiry);
        m->expiries[id] = expiry;
    } else {
        assert_int_equal(hash_remove(&m->hash, &field), m->values[id] != 0);
        m->count -= m->values[id] != 0;
        m->values[id] = 0;
    }
}

static void test_model(void **state) {
    (void)state;
    bool seen[4] = {false};
    for (uint64_t seed = 1; seed <= 300; seed++) {
        struct model m;
        model_open(&m, seed);
        for (unsigned i = 0; i < 400; i++) {
            step(&m, i > 100 && seed % 3 != 0);
            if (i % 20 == 0) check(&m);
            seen[m.hash.object.format] = true;
        }
        check(&m);
        struct hash copy;
        object_copy(&copy.object, &m.hash.object);
        struct digest a = object_digest_of(&copy.object), b = object_digest_of(&m.hash.object);
        assert_memory_equal(a.bytes, b.bytes, DIGEST_SIZE);
        object_release(&copy.object);
        model_close(&m);
    }
    assert_true(seen[FLAT_LISTPACK] && seen[FLAT_LISTPACK_EXPIRING] && seen[FLAT_NONE]);
}

/* The same content has the same fingerprint, flat or not, in any order. */
static void test_digest(void **state) {
    (void)state;
    struct model flat, table;
    char field_text[64], value_text[128];
    model_open(&flat, 1);
    model_open(&table, 2);
    flat.limits = (struct hash_limits){1000, 1000};
    table.limits = (struct hash_limits){0, 0};
    for (uint32_t id = 0; id < 200; id++) {
        uint32_t other = 199 - id;
        struct record a = {field_of(id, field_text), value_of(id, value_text),
                           id % 5 ? RECORD_NO_EXPIRY : (int64_t)id + 1};
        hash_put(&flat.hash, &flat.limits, &a);
        struct record b = {field_of(other, field_text), value_of(other, value_text),
                           other % 5 ? RECORD_NO_EXPIRY : (int64_t)other + 1};
        hash_put(&table.hash, &table.limits, &b);
    }
    assert_string_equal(object_encoding_name(&flat.hash.object), "listpackex");
    assert_string_equal(object_encoding_name(&table.hash.object), "hashtable");
    struct digest a = object_digest_of(&flat.hash.object);
    struct digest b = object_digest_of(&table.hash.object);
    assert_memory_equal(a.bytes, b.bytes, DIGEST_SIZE);
    model_close(&flat);
    model_close(&table);
}

struct removal {
    struct model *model;
    int64_t keys[64];
    size_t count;
};

static void note(void *context, const struct record *record) {
    struct removal *removal = context;
    removal->keys[removal->count++] = record->key.integer;
}

/* Random picks and removals when most fields are over. */
static void run_over(struct hash_limits limits, int64_t count) {
    struct model m;
    struct record record;
    model_open(&m, 7);
    for (int64_t id = 0; id < count; id++) {
        record = (struct record){item_integer(id), item_integer(id),
                                 id % 97 == 5 ? (id % 2 ? RECORD_NO_EXPIRY : 1000) : 1 + id % 50};
        hash_put(&m.hash, &limits, &record);
    }
    for (unsigned i = 0; i < 500; i++) {
        assert_true(hash_random(&m.hash, 100, next_random, &m.random, &record));
        assert_int_equal(record.key.integer % 97, 5);
    }
    struct removal removal = {&m, {0}, 0};
    uint64_t left = (uint64_t)count;
    while (hash_due(&m.hash, 100, 64, note, &removal)) {
        for (size_t i = 0; i < removal.count; i++) {
            struct item field = item_integer(removal.keys[i]);
            assert_true(hash_remove(&m.hash, &field));
        }
        left -= removal.count;
        removal.count = 0;
    }
    assert_int_equal(left, (count + 91) / 97);
    assert_int_equal(hash_count(&m.hash), left);
    assert_int_equal(hash_next_expiry(&m.hash), 1000);
    while (hash_due(&m.hash, 5000, 64, note, &removal)) {
        struct item field = item_integer(removal.keys[0]);
        assert_true(hash_remove(&m.hash, &field));
        removal.count = 0;
    }
    assert_int_equal(hash_next_expiry(&m.hash), RECORD_NO_EXPIRY);
    model_close(&m);
}

static void test_over(void **state) {
    (void)state;
    run_over((struct hash_limits){1000, 64}, 400);
    run_over((struct hash_limits){0, 0}, 20000);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_model),
        cmocka_unit_test(test_digest),
        cmocka_unit_test(test_over),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
