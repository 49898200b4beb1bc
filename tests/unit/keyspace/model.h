/* model.h: a naive keyspace to compare the real one with: for each database an array, by key, of
 * what the key holds. Values are counted texts that never change, so that a copy of the model (what
 * a view has to show) is an array of pointers, and another thread may read it. */
#ifndef REDSTART_TESTS_KEYSPACE_MODEL_H
#define REDSTART_TESTS_KEYSPACE_MODEL_H

#include "../base/cmocka_all.h"
#include "../base/random.h"
#include "base/memory.h"
#include "base/number.h"
#include "keyspace/keyspace.h"
#include "keyspace/store.h"

enum { MODEL_DATABASES = 3, MODEL_NAME_MAX = 400 };

struct model_text {
    uint32_t holders; /* the owner's thread alone counts */
    size_t size;
    char data[];
};

struct model_value {
    struct model_text *text; /* NULL: the key is absent */
    int64_t expiry;
    uint32_t clock;
    bool integer, modified;
};

struct model {
    struct keyspace keyspace;
    struct random random;
    uint32_t keys;
    struct bytes *names; /* in order */
    struct model_value *values[MODEL_DATABASES];
    int64_t now_ms;
    uint64_t sweeps_due; /* entries that a sweep handed out */
};

/* ---- texts ---- */

static inline struct model_text *model_text_make(const void *data, size_t size) {
    struct model_text *text = malloc(sizeof *text + size);
    text->holders = 1;
    text->size = size;
    if (size > 0) memcpy(text->data, data, size);
    return text;
}

static inline void model_text_drop(struct model_text *text) {
    if (text && --text->holders == 0) free(text);
}

static inline void model_set(struct model_value *value, struct model_text *text) {
    model_text_drop(value->text);
    value->text = text;
}

static inline void model_clear(struct model_value *value) {
    model_set(value, NULL);
    *value = (struct model_value){.expiry = ENTRY_NO_EXPIRY};
}

/* ---- keys ---- */

static inline int model_compare_names(const void *a, const void *b) {
    return bytes_compare(*(const struct bytes *)a, *(const struct bytes *)b);
}

/* All lengths up to MODEL_NAME_MAX, those around the border between block and blob most often. */
static inline struct bytes model_name(struct random *random, uint32_t number) {
    size_t size = number <= MODEL_NAME_MAX       ? number
                  : random_below(random, 4) == 0 ? 250 + random_below(random, 10)
                                                 : 5 + random_below(random, 40);
    char *name = malloc(size + 1);
    for (size_t i = 0; i < size; i++)
        name[i] = (char)random_next(random);
    if (number > MODEL_NAME_MAX) memcpy(name, &number, sizeof number);
    return (struct bytes){name, size};
}

static inline bool model_find_name(const struct bytes *names, uint32_t count, struct bytes name,
                                   uint32_t *at) {
    const struct bytes *found = bsearch(&name, names, count, sizeof *names, model_compare_names);
    if (!found) return false;
    *at = (uint32_t)(found - names);
    return true;
}

static inline void model_open(struct model *m, uint32_t keys) {
    struct hash_secret secret;
    *m = (struct model){.random = random_from_seed(), .keys = keys, .now_ms = 1000000};
    for (size_t i = 0; i < sizeof secret; i++)
        secret.bytes[i] = (uint8_t)random_next(&m->random);
    keyspace_init(&m->keyspace, MODEL_DATABASES, &secret);
    m->names = malloc(keys * sizeof *m->names);
    for (uint32_t i = 0; i < keys; i++) {
        m->names[i] = model_name(&m->random, i);
        /* Short random names may be the same. */
        for (uint32_t j = 0; j < i && m->names[i].size < 5; j++)
            if (bytes_equal(m->names[j], m->names[i])) {
                free((void *)(uintptr_t)m->names[i].data);
                m->names[i] = model_name(&m->random, i);
                j = UINT32_MAX;
            }
    }
    qsort(m->names, keys, sizeof *m->names, model_compare_names);
    for (uint32_t i = 1; i < keys; i++)
        assert_false(bytes_equal(m->names[i - 1], m->names[i]));
    for (uint32_t db = 0; db < MODEL_DATABASES; db++) {
        m->values[db] = calloc(keys, sizeof *m->values[db]);
        for (uint32_t i = 0; i < keys; i++)
            m->values[db][i].expiry = ENTRY_NO_EXPIRY;
    }
}

/* The keyspace is released by the test before. */
static inline void model_close(struct model *m) {
    for (uint32_t db = 0; db < MODEL_DATABASES; db++) {
        for (uint32_t i = 0; i < m->keys; i++)
            model_clear(&m->values[db][i]);
        free(m->values[db]);
    }
    for (uint32_t i = 0; i < m->keys; i++)
        free((void *)(uintptr_t)m->names[i].data);
    free(m->names);
}

/* ---- comparing ---- */

/* May be called on any thread. */
static inline bool model_entry_is(const struct entry *entry, const struct model_value *value) {
    char scratch[NUMBER_I64_TEXT_MAX];
    return entry_type(entry) == VALUE_STRING && entry_expiry(entry) == value->expiry &&
           bytes_equal(entry_string(entry, scratch),
                       bytes_make(value->text->data, value->text->size));
}

static inline void model_check_entry(struct model *m, const struct database *db,
                                     const struct entry *entry, const struct model_value *value) {
    (void)m;
    assert_true(model_entry_is(entry, value));
    assert_int_equal(entry_clock(entry), value->clock);
    assert_int_equal(entry_string_size(entry), value->text->size);
    const char *name = value->integer            ? "int"
                       : value->modified         ? "raw"
                       : value->text->size <= 44 ? "embstr"
                                                 : "raw";
    assert_string_equal(entry_encoding_name(entry), name);
    assert_int_equal(database_entry_memory(db, entry),
                     slab_class_size(entry_size(entry)) + entry_outside(entry) + 8);
}

static inline void model_check_key(struct model *m, uint32_t number, uint32_t at) {
    struct database *db = &m->keyspace.databases[number];
    const struct model_value *value = &m->values[number][at];
    struct key key = key_make(&m->keyspace, m->names[at]);
    const struct entry *entry = database_find(db, &key);
    assert_int_equal(entry != NULL, value->text != NULL);
    if (!entry) return;
    assert_true(bytes_equal(entry_key(entry), m->names[at]));
    model_check_entry(m, db, entry, value);
}

static inline void model_count_visit(void *context, const struct entry *entry) {
    (void)entry;
    ++*(size_t *)context;
}

/* Everything, and the sums. */
static inline void model_check(struct model *m) {
    size_t count_all = 0;
    for (uint32_t number = 0; number < MODEL_DATABASES; number++) {
        struct database *db = &m->keyspace.databases[number];
        const struct store *store = db->store;
        size_t count = 0, expiring = 0, outside = 0, blocks = 0, scanned = 0;
        __int128 sum = 0;
        for (uint32_t i = 0; i < m->keys; i++) {
            const struct model_value *value = &m->values[number][i];
            model_check_key(m, number, i);
            if (!value->text) continue;
            struct key key = key_make(&m->keyspace, m->names[i]);
            const struct entry *entry = database_find(db, &key);
            count++;
            outside += entry_outside(entry);
            blocks += slab_class_size(entry_size(entry));
            if (value->expiry != ENTRY_NO_EXPIRY) {
                expiring++;
                sum += value->expiry;
            }
        }
        uint64_t cursor = 0;
        do
            cursor = database_scan(db, cursor, model_count_visit, &scanned);
        while (cursor != 0);
        assert_int_equal(scanned, count);
        assert_int_equal(database_count(db), count);
        assert_int_equal(store->expiring, expiring);
        assert_int_equal(store->outside_bytes, outside);
        assert_true(slab_used(&store->slab) >= blocks);
        assert_int_equal(database_memory(db),
                         table_size(&store->table) + slab_used(&store->slab) + outside);
        int64_t mean = expiring > 0 ? (int64_t)(sum / (__int128)expiring) - m->now_ms : 0;
        assert_int_equal(database_average_ttl(db, m->now_ms), mean > 0 ? mean : 0);
        count_all += count;
    }
    assert_int_equal(keyspace_count(&m->keyspace), count_all);
}

/* ---- random changes ---- */

static inline int64_t model_random_expiry(struct model *m) {
    if (random_below(&m->random, 2) == 0) return ENTRY_NO_EXPIRY;
    return m->now_ms + 1 + (int64_t)random_below(&m->random, 3000);
}

static inline int64_t model_random_integer(struct model *m) {
    int64_t number = (int64_t)(random_next(&m->random) >> random_below(&m->random, 64));
    return random_below(&m->random, 2) == 0 ? number : (int64_t)(0 - (uint64_t)number);
}

/* Sizes around the borders of block and blob, few large ones. */
static inline size_t model_random_size(struct model *m, uint32_t at) {
    size_t key = m->names[at].size > ENTRY_KEY_MAX ? 8 : m->names[at].size;
    switch (random_below(&m->random, 8)) {
    case 0: return ENTRY_SIZE_MAX - 30 - key + random_below(&m->random, 40);
    case 1: return random_below(&m->random, 2000);
    case 2:
        if (random_below(&m->random, 100) == 0)
            return KEYSPACE_LARGE_MIN + random_below(&m->random, 999);
        return 40 + random_below(&m->random, 10);
    default: return random_below(&m->random, 60);
    }
}

static inline struct model_text *model_random_text(struct model *m, uint32_t at) {
    char digits[NUMBER_I64_TEXT_MAX];
    if (random_below(&m->random, 4) == 0)
        return model_text_make(digits, number_format_i64(digits, model_random_integer(m)));
    size_t size = model_random_size(m, at);
    struct model_text *text = model_text_make(NULL, 0);
    text = realloc(text, sizeof *text + size);
    text->size = size;
    for (size_t i = 0; i < size; i++)
        text->data[i] = (char)random_next(&m->random);
    return text;
}

static inline void model_put_text(struct model *m, struct database *db, uint32_t at,
                                  struct spot *spot, const struct key *key) {
    struct model_value *value = &m->values[db->number][at];
    struct model_text *text = model_random_text(m, at);
    struct bytes bytes = bytes_make(text->data, text->size);
    int64_t number, expiry = model_random_expiry(m);
    if (random_below(&m->random, 2) == 0)
        database_put_blob(db, key, spot, blob_copy(bytes, bytes.size), expiry);
    else
        database_put_string(db, key, spot, bytes, expiry);
    model_set(value, text);
    value->expiry = expiry;
    value->clock = m->keyspace.use.clock;
    value->modified = false;
    value->integer = bytes.size <= ENTRY_INTEGER_TEXT_MAX && number_parse_i64(bytes, &number);
}

static inline void model_put_integer(struct model *m, struct database *db, uint32_t at,
                                     struct spot *spot, const struct key *key) {
    struct model_value *value = &m->values[db->number][at];
    char digits[NUMBER_I64_TEXT_MAX];
    int64_t number = model_random_integer(m), expiry = model_random_expiry(m);
    database_put_integer(db, key, spot, number, expiry);
    model_set(value, model_text_make(digits, number_format_i64(digits, number)));
    value->expiry = expiry;
    value->clock = m->keyspace.use.clock;
    value->modified = false;
    value->integer = true;
}

static inline void model_resize(struct model *m, struct database *db, uint32_t at,
                                struct spot *spot, const struct key *key) {
    struct model_value *value = &m->values[db->number][at];
    size_t before = value->text ? value->text->size : 0;
    size_t size = random_below(&m->random, 3) == 0 ? before + random_below(&m->random, 50)
                                                   : model_random_size(m, at);
    struct model_text *text = model_text_make(NULL, 0);
    text = realloc(text, sizeof *text + size);
    text->size = size;
    memset(text->data, 0, size);
    if (value->text) memcpy(text->data, value->text->data, before < size ? before : size);
    char *data = database_resize_string(db, key, spot, size);
    assert_true(bytes_equal(bytes_make(data, size), bytes_make(text->data, size)));
    if (size > 0) {
        size_t from = random_below(&m->random, size);
        size_t part = random_below(&m->random, size - from + 1);
        memset(data + from, 'x', part);
        memset(text->data + from, 'x', part);
    }
    model_set(value, text);
    value->clock = m->keyspace.use.clock;
    value->modified = true;
    value->integer = false;
}

/* As COPY, RENAME and MOVE do. */
static inline void model_copy(struct model *m, struct database *db, uint32_t at, struct spot *spot,
                              const struct key *key) {
    uint32_t from_number = (uint32_t)random_below(&m->random, MODEL_DATABASES);
    uint32_t from_at = (uint32_t)random_below(&m->random, m->keys);
    struct model_value *from = &m->values[from_number][from_at];
    struct model_value *value = &m->values[db->number][at];
    if (!from->text || from == value) return;
    struct database *from_db = &m->keyspace.databases[from_number];
    struct key from_key = key_make(&m->keyspace, m->names[from_at]);
    int64_t expiry = random_below(&m->random, 2) == 0 ? from->expiry : model_random_expiry(m);
    database_put_copy(db, key, spot, database_find(from_db, &from_key), expiry);
    from->text->holders++;
    model_set(value, from->text);
    struct model_text *text = value->text;
    *value = *from;
    value->text = text;
    value->expiry = expiry;
    if (random_below(&m->random, 2) == 0) return;
    struct spot gone = database_locate(from_db, &from_key);
    database_remove(from_db, &gone);
    assert_null(gone.entry);
    model_clear(from);
}

static inline void model_due(void *context, struct database *db, const struct entry *entry) {
    struct model *m = context;
    uint32_t at = 0;
    assert_true(model_find_name(m->names, m->keys, entry_key(entry), &at));
    struct model_value *value = &m->values[db->number][at];
    assert_non_null(value->text);
    assert_true(value->expiry <= m->now_ms);
    struct key key = key_make(&m->keyspace, entry_key(entry));
    struct spot spot = database_locate(db, &key);
    assert_ptr_equal(spot.entry, entry);
    database_remove(db, &spot);
    model_clear(value);
    m->sweeps_due++;
}

/* Time goes on, and a sweep finds exactly what is due: model_due says that it is, and nothing due
 * is left. */
static inline void model_sweep(struct model *m) {
    m->now_ms += (int64_t)random_below(&m->random, 400);
    for (uint32_t number = 0; number < MODEL_DATABASES; number++) {
        bool wrapped = false;
        while (!wrapped)
            database_sweep(&m->keyspace.databases[number], m->now_ms,
                           1 + random_below(&m->random, 20), model_due, m, &wrapped);
        for (uint32_t i = 0; i < m->keys; i++)
            assert_false(m->values[number][i].text && m->values[number][i].expiry <= m->now_ms);
    }
}

static inline void model_flush(struct model *m, uint32_t number) {
    keyspace_flush(&m->keyspace, number);
    assert_int_equal(database_count(&m->keyspace.databases[number]), 0);
    assert_int_equal(database_memory(&m->keyspace.databases[number]), 0);
    for (uint32_t i = 0; i < m->keys; i++)
        model_clear(&m->values[number][i]);
}

static inline void model_swap(struct model *m, uint32_t a, uint32_t b) {
    keyspace_swap(&m->keyspace, a, b);
    struct model_value *values = m->values[a];
    m->values[a] = m->values[b];
    m->values[b] = values;
}

/* One random change. */
static inline void model_step(struct model *m) {
    uint32_t number = (uint32_t)random_below(&m->random, MODEL_DATABASES);
    uint32_t at = (uint32_t)random_below(&m->random, m->keys);
    struct database *db = &m->keyspace.databases[number];
    struct model_value *value = &m->values[number][at];
    struct key key = key_make(&m->keyspace, m->names[at]);
    struct spot spot = database_locate(db, &key);
    m->keyspace.use.clock = (uint32_t)random_below(&m->random, 1 << 24);
    switch (random_below(&m->random, 10)) {
    case 0:
    case 1: model_put_text(m, db, at, &spot, &key); break;
    case 2: model_put_integer(m, db, at, &spot, &key); break;
    case 3:
    case 4: model_resize(m, db, at, &spot, &key); break;
    case 5:
        if (!spot.entry) break;
        value->expiry = model_random_expiry(m);
        database_set_expiry(db, &spot, value->expiry);
        break;
    case 6:
        if (!spot.entry) break;
        database_remove(db, &spot);
        model_clear(value);
        break;
    case 7: model_copy(m, db, at, &spot, &key); break;
    default: break;
    }
    model_check_key(m, number, at);
    if (random_below(&m->random, 500) == 0) model_sweep(m);
    if (random_below(&m->random, 4000) == 0) model_flush(m, number);
    if (random_below(&m->random, 1000) == 0)
        model_swap(m, number, (uint32_t)random_below(&m->random, MODEL_DATABASES));
}

#endif
