/* test_support.h: what the tests of this floor share: a random generator from a printed seed, and a
 * naive table to compare with. */
#ifndef REDSTART_TESTS_STRUCT_SUPPORT_H
#define REDSTART_TESTS_STRUCT_SUPPORT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../base/effort.h"
#include "struct/table.h"

/* splitmix64 (public domain, Vigna) */
static inline uint64_t support_random(void *state) {
    uint64_t *s = state;
    uint64_t z = (*s += 0x9e3779b97f4a7c15ULL);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
    return z ^ (z >> 31);
}

static inline uint64_t support_below(uint64_t *state, uint64_t limit) {
    return support_random(state) % limit;
}

/* From REDSTART_SEED, or always the same. */
static inline uint64_t support_seed(const char *test) {
    const char *text = getenv("REDSTART_SEED");
    uint64_t seed = text != NULL ? strtoull(text, NULL, 0) : 20261121;
    print_message("%s: REDSTART_SEED=%llu\n", test, (unsigned long long)seed);
    return seed;
}

/* How the hashes of a test are made from ids. */
enum support_hashing {
    HASHING_GOOD,     /* random */
    HASHING_PREFIX,   /* the upper 21 bits are all the same */
    HASHING_FEW,      /* only 3 of the upper 16 bits differ */
    HASHING_CLUSTERS, /* runs of neighbours in the space of hashes */
    HASHING_COUNT,
};

static inline uint64_t support_hash(enum support_hashing hashing, uint64_t id) {
    uint64_t state = id * 0x9e3779b97f4a7c15ULL + 77, hash = support_random(&state);
    switch (hashing) {
    case HASHING_PREFIX: return hash >> 21 | UINT64_C(0x2aaaa) << 43;
    case HASHING_FEW: return hash & UINT64_C(0x8420ffffffffffff);
    case HASHING_CLUSTERS:
        return (hash & UINT64_C(0xff)) << 56 | (hash & UINT64_C(0xffffffff)) << 6;
    default: return hash;
    }
}

/* A table of elements that carry an id: element = id | version << 24, with 1 <= id < 2^24. The
 * naive model is an array by id of the versions that are in the table. */
enum { SUPPORT_ID_BITS = 24, SUPPORT_ID_MASK = (1 << SUPPORT_ID_BITS) - 1 };

struct support {
    struct epochs epochs;
    struct table_owner owner;
    struct pool pool;
    struct table table;
    enum support_hashing hashing;
    uint64_t random;
    size_t ids;
    uint16_t *versions; /* by id; 0: absent */
    int64_t *bounds;    /* by id; where a test has any */
    size_t count;
};

static inline uint64_t support_owner_hash(void *context, table_element element) {
    const struct support *s = context;
    return support_hash(s->hashing, element & SUPPORT_ID_MASK);
}

static inline table_element support_element(uint64_t id, uint16_t version) {
    return id | (uint64_t)version << SUPPORT_ID_BITS;
}

static inline void support_open(struct support *s, enum support_hashing hashing, size_t ids,
                                uint64_t seed) {
    *s = (struct support){.hashing = hashing, .random = seed, .ids = ids};
    s->owner = (struct table_owner){.context = s, .hash = support_owner_hash, .pool = &s->pool};
    if (hashing == HASHING_CLUSTERS) s->owner.pool = NULL; /* which must do as well */
    s->versions = calloc(ids, sizeof(s->versions[0]));
    s->bounds = calloc(ids, sizeof(s->bounds[0]));
    epochs_init(&s->epochs);
    pool_init(&s->pool);
    table_init(&s->table, &s->epochs, &s->owner);
}

static inline void support_close(struct support *s) {
    table_release(&s->table);
    assert_int_equal(s->epochs.limbo_count, 0);
    assert_int_equal(s->epochs.limbo_bytes, 0);
    assert_int_equal(pool_used(&s->pool), 0);
    pool_release(&s->pool);
    epochs_release(&s->epochs);
    free(s->versions);
    free(s->bounds);
}

static inline bool support_matches(const void *context, table_element element) {
    return (element & SUPPORT_ID_MASK) == *(const uint64_t *)context;
}

static inline table_element support_find(const struct support *s, uint64_t id,
                                         struct table_place *place) {
    return table_find(&s->table, support_hash(s->hashing, id), support_matches, &id, place);
}

static inline void support_insert(struct support *s, uint64_t id) {
    uint16_t version = (uint16_t)(1 + support_below(&s->random, 1000));
    table_insert(&s->table, support_hash(s->hashing, id), support_element(id, version), NULL);
    s->versions[id] = version;
    s->count++;
}

static inline void support_replace(struct support *s, uint64_t id) {
    struct table_place place;
    uint16_t version = (uint16_t)(1 + support_below(&s->random, 1000));
    assert_int_equal(support_find(s, id, &place), support_element(id, s->versions[id]));
    table_replace(&s->table, &place, support_element(id, version));
    assert_true(table_may_change(&s->table, &place));
    assert_int_equal(table_bucket_element(&place.segment->buckets[place.bucket], place.slot),
                     support_element(id, version));
    s->versions[id] = version;
}

static inline void support_remove(struct support *s, uint64_t id) {
    struct table_place place;
    assert_int_equal(support_find(s, id, &place), support_element(id, s->versions[id]));
    table_remove(&s->table, &place);
    s->versions[id] = 0;
    s->count--;
}

/* One random operation; `growth` of 100 that change the count are insertions. */
static inline void support_step(struct support *s, unsigned growth) {
    uint64_t id = 1 + support_below(&s->random, s->ids - 1);
    bool grow = support_below(&s->random, 100) < growth;
    if (s->versions[id] == 0) {
        if (grow)
            support_insert(s, id);
        else
            assert_int_equal(support_find(s, id, NULL), 0);
    } else if (support_below(&s->random, 4) == 0) {
        support_replace(s, id);
    } else if (!grow) {
        support_remove(s, id);
    }
}

/* Everything is in the table that the model says, and nothing else. */
static inline struct table_report support_check(const struct support *s) {
    struct table_report report = table_check(&s->table);
    assert_int_equal(table_count(&s->table), s->count);
    assert_int_equal(table_size(&s->table), report.bytes);
    for (uint64_t id = 1; id < s->ids; id++) {
        table_element expected = s->versions[id] ? support_element(id, s->versions[id]) : 0;
        assert_int_equal(support_find(s, id, NULL), expected);
    }
    return report;
}

#endif
