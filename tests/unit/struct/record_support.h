/* record_support.h: what the tests of the record table share: keys and values of every kind made
 * from numbers, and a naive model by id. */
#ifndef REDSTART_TESTS_STRUCT_RECORD_SUPPORT_H
#define REDSTART_TESTS_STRUCT_RECORD_SUPPORT_H

#include "struct/record_table.h"
#include "test_support.h"

enum { RECORD_TEXT_MAX = 700 };

struct record_model {
    struct epochs epochs;
    struct hash_secret secret;
    struct record_world world;
    struct record_table table;
    uint64_t random;
    char *key_at; /* where the next operations write their key's text; NULL: somewhere */
    size_t ids;
    uint32_t *versions; /* by id; 0: absent */
    int64_t *expiries;
    size_t count;
};

/* `size` bytes that depend on id and salt. */
static inline struct item support_text(char *out, size_t size, uint64_t id, uint64_t salt) {
    uint64_t state = id * 1000003 + salt;
    for (size_t i = 0; i < size; i++)
        out[i] = (char)support_random(&state);
    if (size >= sizeof id) memcpy(out, &id, sizeof id);
    return item_make(bytes_make(out, size));
}

/* Different for different ids below 2^32. */
static inline struct item support_key(uint64_t id, char out[RECORD_TEXT_MAX]) {
    static const int64_t offsets[] = {0, INT64_C(1) << 33, -(INT64_C(1) << 40), INT64_MIN};
    if (id == 1) return item_make(bytes_make("", 0));
    if (id % 101 == 0) return support_text(out, 100 + id % 500, id, 1);
    if (id % 3 == 0) return item_integer((int64_t)id + offsets[id / 3 % 4]);
    if (id % 7 == 0) return support_text(out, 120 + id % 16, id, 1);
    return support_text(out, 8 + id % 20, id, 1);
}

static inline struct item support_value(uint64_t id, uint32_t version, char out[RECORD_TEXT_MAX]) {
    static const size_t limits[] = {8, 16, 60, 16, 20, 9, 16, 600};
    size_t limit = limits[version % 8];
    if (version % 4 == 1) {
        uint64_t state = id + version;
        return item_integer((int64_t)support_random(&state) >> version % 63);
    }
    if (version % 16 == 2) return item_make(bytes_make("", 0));
    return support_text(out, 8 + version / 8 % limit, id, version);
}

static inline void record_model_open(struct record_model *m, size_t ids, uint64_t seed) {
    *m = (struct record_model){.random = seed, .ids = ids};
    for (size_t i = 0; i < HASH_SECRET_SIZE; i++)
        m->secret.bytes[i] = (uint8_t)support_random(&seed);
    epochs_init(&m->epochs);
    m->world = (struct record_world){.epochs = &m->epochs, .secret = &m->secret};
    m->versions = calloc(ids, sizeof m->versions[0]);
    m->expiries = calloc(ids, sizeof m->expiries[0]);
    record_table_init(&m->table);
}

static inline void record_model_close(struct record_model *m) {
    record_table_release(&m->table);
    assert_int_equal(m->epochs.limbo_count, 0);
    epochs_release(&m->epochs);
    free(m->versions);
    free(m->expiries);
}

static inline void record_model_put(struct record_model *m, uint64_t id, uint32_t version,
                                    int64_t expiry) {
    char room[RECORD_TEXT_MAX], value[RECORD_TEXT_MAX];
    struct record record = {support_key(id, m->key_at ? m->key_at : room),
                            support_value(id, version, value), expiry};
    assert_int_equal(record_table_put(&m->table, &m->world, &record), m->versions[id] == 0);
    if (m->versions[id] == 0) m->count++;
    m->versions[id] = version;
    m->expiries[id] = expiry;
}

static inline void record_model_add(struct record_model *m, uint64_t id, uint32_t version,
                                    int64_t expiry) {
    char room[RECORD_TEXT_MAX], value[RECORD_TEXT_MAX];
    struct record record = {support_key(id, m->key_at ? m->key_at : room),
                            support_value(id, version, value), expiry};
    struct record present;
    if (record_table_add(&m->table, &m->world, &record, &present)) {
        assert_int_equal(m->versions[id], 0);
        m->count++;
        m->versions[id] = version;
        m->expiries[id] = expiry;
        return;
    }
    struct item expected = support_value(id, m->versions[id], value);
    assert_true(m->versions[id] != 0 && item_equal(&present.key, &record.key));
    assert_true(item_equal(&present.value, &expected));
    assert_int_equal(present.expiry, m->expiries[id]);
}

static inline void record_model_remove(struct record_model *m, uint64_t id) {
    char room[RECORD_TEXT_MAX];
    struct item item = support_key(id, m->key_at ? m->key_at : room);
    assert_int_equal(record_table_remove(&m->table, &m->world, &item), m->versions[id] != 0);
    if (m->versions[id] != 0) m->count--;
    m->versions[id] = 0;
}

static inline void record_expect_at(const struct record_table *table,
                                    const struct record_world *world, const struct item *key,
                                    uint64_t id, uint32_t version, int64_t expiry) {
    char value[RECORD_TEXT_MAX];
    struct record record;
    assert_int_equal(record_table_find(table, world, key, &record), version != 0);
    if (version == 0) return;
    struct item expected = support_value(id, version, value);
    assert_true(item_equal(&record.key, key));
    assert_true(item_equal(&record.value, &expected));
    assert_int_equal(record.expiry, expiry);
}

static inline void record_expect(const struct record_table *table, const struct record_world *world,
                                 uint64_t id, uint32_t version, int64_t expiry) {
    char key[RECORD_TEXT_MAX];
    struct item item = support_key(id, key);
    record_expect_at(table, world, &item, id, version, expiry);
}

static inline void record_model_check(const struct record_model *m) {
    record_table_check(&m->table, &m->world);
    assert_int_equal(m->table.count, m->count);
    for (uint64_t id = 1; id < m->ids; id++)
        record_expect(&m->table, &m->world, id, m->versions[id], m->expiries[id]);
}

/* One random operation; `growth` of 100 that change the count add one. */
static inline void record_model_step(struct record_model *m, unsigned growth) {
    uint64_t id = 1 + support_below(&m->random, m->ids - 1);
    bool grow = support_below(&m->random, 100) < growth;
    uint32_t version = (uint32_t)support_random(&m->random) | 1u << 31;
    int64_t expiry = support_below(&m->random, 5) == 0 ? (int64_t)support_below(&m->random, 100000)
                                                       : RECORD_NO_EXPIRY;
    if (m->versions[id] == 0 ? grow : support_below(&m->random, 3) == 0)
        (version & 1 ? record_model_put : record_model_add)(m, id, version, expiry);
    else if (!grow)
        record_model_remove(m, id);
}

#endif
