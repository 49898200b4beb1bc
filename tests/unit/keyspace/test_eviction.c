/* test_eviction.c: what eviction chooses, with a clock of the test's own: hit ratios on synthetic
 * traces beside exact LRU (tests/bench/eviction measures whole servers), and the promises of the
 * other policies. */
#include "../base/cmocka_all.h"
#include "../base/effort.h"
#include "../base/random.h"
#include "base/memory.h"
#include "keyspace/eviction.h"
#include "keyspace/store.h"
#include <math.h>

enum { KEYS = 100000, ROOM = 10000, REQUESTS = 1000000, REQUESTS_A_SECOND = 100000 };

struct fixture {
    struct keyspace keyspace;
    struct eviction eviction;
    struct random random;
};

static void open_fixture(struct fixture *f, enum use_kind kind) {
    struct hash_secret secret;
    *f = (struct fixture){.random = random_from_seed()};
    for (size_t i = 0; i < sizeof secret; i++)
        secret.bytes[i] = (uint8_t)random_next(&f->random);
    keyspace_init(&f->keyspace, 4, &secret);
    f->keyspace.use.kind = kind;
    f->keyspace.use.is_fine = true;
    f->keyspace.use.factor = 10;
    f->keyspace.use.decay_minutes = 1;
    use_set_time(&f->keyspace.use, 0);
    eviction_init(&f->eviction, &f->keyspace);
    eviction_set(&f->eviction, EVICTION_BY_USE, false, 5);
}

static struct key name_key(struct fixture *f, uint32_t number, char name[16]) {
    int size = snprintf(name, 16, "key:%u", number);
    return key_make(&f->keyspace, bytes_make(name, (size_t)size));
}

static void put(struct fixture *f, uint32_t database, uint32_t number, int64_t expiry) {
    char name[16];
    struct database *db = &f->keyspace.databases[database];
    struct key key = name_key(f, number, name);
    struct spot spot = database_locate(db, &key);
    database_put_string(db, &key, &spot, BYTES("some value"), expiry);
}

static uint32_t number_of(const struct entry *entry) {
    char text[16] = "";
    struct bytes key = entry_key(entry);
    memcpy(text, key.data, key.size);
    return (uint32_t)strtoul(text + 4, NULL, 10);
}

/* False when there is nothing left. */
static bool evict_one(struct fixture *f, uint32_t *number, int64_t *expiry) {
    struct database *db;
    struct spot spot;
    enum eviction_result result;
    while ((result = eviction_choose(&f->eviction, &db, &spot)) == EVICTION_LATER) {
    }
    if (result == EVICTION_NONE) return false;
    if (number) *number = number_of(spot.entry);
    if (expiry) *expiry = entry_expiry(spot.entry);
    database_remove(db, &spot);
    return true;
}

/* ---- traces ---- */

struct trace {
    double alpha;
    bool scans;  /* one request in four is for a key that never comes again */
    bool shifts; /* what is popular changes ten times */
};

static uint32_t *make_trace(struct random *random, const struct trace *trace) {
    double *sums = malloc(KEYS * sizeof *sums), sum = 0;
    uint32_t *requests = malloc(REQUESTS * sizeof *requests), fresh = KEYS;
    for (uint32_t i = 0; i < KEYS; i++)
        sums[i] = sum += pow(i + 1, -trace->alpha);
    for (uint32_t i = 0; i < REQUESTS; i++) {
        if (trace->scans && i % 20000 >= 15000) {
            requests[i] = fresh++;
            continue;
        }
        double chosen = (double)(random_next(random) >> 11) * 0x1p-53 * sum;
        uint32_t low = 0, high = KEYS - 1;
        while (low < high) {
            uint32_t middle = (low + high) / 2;
            if (sums[middle] > chosen)
                high = middle;
            else
                low = middle + 1;
        }
        uint32_t shift = trace->shifts ? i / (REQUESTS / 10) * 9973 : 0;
        requests[i] = (low + shift) % KEYS;
    }
    free(sums);
    return requests;
}

/* Exact LRU: a ring of keys in the order of their last use. */
static double exact_lru(const uint32_t *requests) {
    uint32_t names = KEYS + REQUESTS, held = 0, hits = 0;
    uint32_t *before = malloc((names + 1) * sizeof *before),
             *after = malloc((names + 1) * sizeof *after);
    bool *is_held = calloc(names, sizeof *is_held);
    before[names] = after[names] = names;
    for (uint32_t i = 0; i < REQUESTS; i++) {
        uint32_t key = requests[i];
        if (is_held[key]) {
            hits++;
            after[before[key]] = after[key];
            before[after[key]] = before[key];
        } else if (held == ROOM) {
            uint32_t oldest = before[names];
            is_held[oldest] = false;
            before[names] = before[oldest];
            after[before[oldest]] = names;
        } else {
            held++;
        }
        is_held[key] = true;
        after[key] = after[names];
        before[key] = names;
        before[after[key]] = key;
        after[names] = key;
    }
    free(before);
    free(after);
    free(is_held);
    return 100.0 * hits / REQUESTS;
}

static double ours(const uint32_t *requests, enum use_kind kind) {
    struct fixture f;
    uint32_t hits = 0;
    open_fixture(&f, kind);
    struct database *db = &f.keyspace.databases[0];
    for (uint32_t i = 0; i < REQUESTS; i++) {
        char name[16];
        if (i % 16 == 0) use_set_time(&f.keyspace.use, (int64_t)i * (1000000 / REQUESTS_A_SECOND));
        struct key key = name_key(&f, requests[i], name);
        const struct entry *entry = database_find(db, &key);
        if (entry) {
            hits++;
            use_touch(&f.keyspace.use, entry, false);
            continue;
        }
        if (database_count(db) == ROOM) assert_true(evict_one(&f, NULL, NULL));
        put(&f, 0, requests[i], ENTRY_NO_EXPIRY);
    }
    keyspace_release(&f.keyspace);
    return 100.0 * hits / REQUESTS;
}

static void test_hit_ratios(void **state) {
    (void)state;
    static const struct trace traces[] = {{.alpha = 0.9},
                                          {.alpha = 1.1},
                                          {.alpha = 0.9, .scans = true},
                                          {.alpha = 1.1, .scans = true},
                                          {.alpha = 0.9, .shifts = true},
                                          {.alpha = 1.1, .shifts = true},
                                          {.alpha = 0.9, .scans = true, .shifts = true}};
    struct random random = random_from_seed();
    for (size_t i = 0; i < sizeof traces / sizeof traces[0]; i += EFFORT_SHARE) {
        uint32_t *requests = make_trace(&random, &traces[i]);
        double exact = exact_lru(requests), lru = ours(requests, USE_BY_TIME),
               lfu = ours(requests, USE_BY_COUNT);
        print_message("Zipf %.1f%s%s: exact LRU %.2f %%, LRU %.2f %%, LFU %.2f %%\n",
                      traces[i].alpha, traces[i].scans ? ", scans" : "",
                      traces[i].shifts ? ", shifts" : "", exact, lru, lfu);
        assert_true(lru > exact - 1);
        assert_true(traces[i].shifts ? lfu > lru - 8 : lfu > lru);
        free(requests);
    }
}

/* ---- the other policies ---- */

/* The nearest go first, or nearly so; what does not expire stays. */
static void test_nearest(void **state) {
    (void)state;
    enum { COUNT = 20000, EVICTED = 2000, NEAR = 3, FAR_MAX = EVICTED / 100 };
    struct fixture f;
    int far = 0; /* sampling finds one of these now and then */
    open_fixture(&f, USE_BY_TIME);
    eviction_set(&f.eviction, EVICTION_BY_EXPIRY, true, 5);
    for (uint32_t i = 0; i < COUNT; i++)
        put(&f, i % 4, i, i % 2 ? 1000000 + (int64_t)i : ENTRY_NO_EXPIRY);
    for (int i = 0; i < EVICTED; i++) {
        int64_t expiry;
        assert_true(evict_one(&f, NULL, &expiry));
        assert_true(expiry != ENTRY_NO_EXPIRY);
        far += expiry >= 1000000 + COUNT / NEAR;
    }
    assert_true(far <= FAR_MAX);
    for (int i = EVICTED; i < COUNT / 2; i++)
        assert_true(evict_one(&f, NULL, NULL));
    assert_false(evict_one(&f, NULL, NULL));
    assert_int_equal(keyspace_count(&f.keyspace), COUNT / 2);
    keyspace_release(&f.keyspace);
}

/* One key in many thousands expires: it is found. */
static void test_needles(void **state) {
    (void)state;
    enum { COUNT = 200000, NEEDLES = 10 };
    struct fixture f;
    open_fixture(&f, USE_BY_TIME);
    eviction_set(&f.eviction, EVICTION_BY_USE, true, 5);
    for (uint32_t i = 0; i < COUNT; i++)
        put(&f, 2, i, i % (COUNT / NEEDLES) == 7 ? 5000 : ENTRY_NO_EXPIRY);
    for (int i = 0; i < NEEDLES; i++) {
        uint32_t number;
        assert_true(evict_one(&f, &number, NULL));
        assert_int_equal(number % (COUNT / NEEDLES), 7);
    }
    assert_false(evict_one(&f, NULL, NULL));
    keyspace_release(&f.keyspace);
}

/* What was used, removed or made again since it was seen is not taken for what it was. */
static void test_stale_candidates(void **state) {
    (void)state;
    enum { COUNT = 3000, STEPS = 200000 };
    struct fixture f;
    open_fixture(&f, USE_BY_TIME);
    for (int i = 0; i < STEPS; i++) {
        char name[16];
        uint32_t number = (uint32_t)random_below(&f.random, COUNT), database = number % 4;
        struct database *db = &f.keyspace.databases[database];
        struct key key = name_key(&f, number, name);
        struct spot spot = database_locate(db, &key);
        use_set_time(&f.keyspace.use, (int64_t)i * 10000);
        switch (random_below(&f.random, 5)) {
        case 0:
            if (spot.entry) database_remove(db, &spot);
            break;
        case 1:
            if (spot.entry) use_touch(&f.keyspace.use, spot.entry, false);
            break;
        case 2:
            if (random_below(&f.random, 10000) == 0) keyspace_flush(&f.keyspace, database);
            if (random_below(&f.random, 1000) == 0) keyspace_swap(&f.keyspace, 0, 1);
            if (random_below(&f.random, 1000) == 0) keyspace_swap(&f.keyspace, 1, 0);
            break;
        case 3: {
            size_t before = keyspace_count(&f.keyspace);
            bool found = evict_one(&f, NULL, NULL);
            assert_int_equal(keyspace_count(&f.keyspace), before - found);
            assert_int_equal(found, before > 0);
            break;
        }
        default: put(&f, database, number, ENTRY_NO_EXPIRY);
        }
    }
    while (evict_one(&f, NULL, NULL)) {
    }
    assert_int_equal(keyspace_count(&f.keyspace), 0);
    keyspace_release(&f.keyspace);
}

/* Every key has its chance, in every database. */
static void test_random(void **state) {
    (void)state;
    enum { COUNT = 8000 };
    struct fixture f;
    open_fixture(&f, USE_BY_TIME);
    eviction_set(&f.eviction, EVICTION_RANDOM, false, 5);
    for (uint32_t i = 0; i < COUNT; i++)
        put(&f, i % 4, i, ENTRY_NO_EXPIRY);
    uint32_t of_database[4] = {0};
    for (int i = 0; i < COUNT / 2; i++) {
        uint32_t number;
        assert_true(evict_one(&f, &number, NULL));
        of_database[number % 4]++;
    }
    for (int i = 0; i < 4; i++)
        assert_in_range(of_database[i], COUNT / 8 - 200, COUNT / 8 + 200);
    keyspace_release(&f.keyspace);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hit_ratios), cmocka_unit_test(test_nearest),
        cmocka_unit_test(test_needles), cmocka_unit_test(test_stale_candidates),
        cmocka_unit_test(test_random)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
