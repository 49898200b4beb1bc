/* test_table.c: the segment table against a naive model: insert, replace, remove, find, sizes, and
 * picking at random. */
#include "test_support.h"

/* Up and down again, with the model compared and every invariant checked on the way. */
static void run_model(enum support_hashing hashing, size_t ids, size_t steps, uint64_t seed) {
    struct support s;
    support_open(&s, hashing, ids, seed);
    static const unsigned phases[] = {80, 50, 20, 95, 5};
    for (size_t phase = 0; phase < sizeof(phases) / sizeof(phases[0]); phase++)
        for (size_t i = 0; i < steps; i++) {
            support_step(&s, phases[phase]);
            if (i % (steps / 4) == 0) support_check(&s);
        }
    support_check(&s);
    for (uint64_t id = 1; id < ids; id++) {
        if (s.versions[id] == 0) continue;
        support_remove(&s, id);
        if (s.count % (1 + ids / 8) == 0) support_check(&s);
    }
    assert_int_equal(table_count(&s.table), 0);
    support_check(&s);
    support_close(&s);
}

static void test_model_small(void **state) {
    (void)state;
    uint64_t seed = support_seed("model_small");
    for (size_t round = 0; round < EFFORT(300); round++)
        run_model(round % HASHING_COUNT, 2 + support_below(&seed, 300), 200, seed + round);
}

static void test_model_middle(void **state) {
    (void)state;
    uint64_t seed = support_seed("model_middle");
    for (unsigned hashing = 0; hashing < HASHING_COUNT; hashing++)
        run_model(hashing, 6000, 15000, seed + hashing);
}

static void test_model_large(void **state) {
    (void)state;
    uint64_t seed = support_seed("model_large");
    for (unsigned hashing = 0; hashing < HASHING_COUNT; hashing++)
        run_model(hashing, EFFORT(200000), EFFORT(300000), seed + hashing);
}

/* What is promised about size: nothing, then 128 bytes, and 9 bytes an element at most. */
static void test_sizes(void **state) {
    (void)state;
    struct support s;
    support_open(&s, HASHING_GOOD, EFFORT(1 << 20), support_seed("sizes"));
    assert_int_equal(table_size(&s.table), 0);
    support_insert(&s, 1);
    assert_int_equal(table_size(&s.table), 128);
    double sum = 0, worst = 0;
    size_t samples = 0;
    for (uint64_t id = 2; id < s.ids; id++) {
        support_insert(&s, id);
        if (id < 20000 || id % 256 != 0) continue;
        double each = (double)table_size(&s.table) / (double)id;
        sum += each;
        samples++;
        if (each > worst) worst = each;
    }
    print_message("bytes an element: mean %.2f, worst %.2f\n", sum / (double)samples, worst);
    assert_true(worst < 9.2);
    assert_true(sum / (double)samples < 9.0);
    /* Down to a quarter the load may fall, and the memory goes with it. */
    for (uint64_t id = 2; id < s.ids; id++) {
        support_remove(&s, id);
        if (s.count < 20000 || id % 256 != 0) continue;
        assert_true(table_size(&s.table) < s.count * 18);
    }
    assert_int_equal(table_size(&s.table), 128);
    support_close(&s);
}

/* A count that goes to and fro around any border must not make the structure follow each time. */
static void test_hysteresis(void **state) {
    (void)state;
    struct support s;
    support_open(&s, HASHING_GOOD, 1 << 16, support_seed("hysteresis"));
    for (uint64_t id = 1; id < 40000; id++) {
        support_insert(&s, id);
        if (id % 97 != 0) continue;
        /* The first time may cost one step; from then on the same elements go and come for free. */
        for (unsigned k = 0; k < 2; k++) {
            support_remove(&s, id - k);
            support_insert(&s, id - k);
        }
        size_t before = table_size(&s.table);
        for (unsigned k = 0; k < 2; k++) {
            support_remove(&s, id - k);
            assert_int_equal(table_size(&s.table), before);
            support_insert(&s, id - k);
            assert_int_equal(table_size(&s.table), before);
        }
    }
    support_close(&s);
}

static void test_presize(void **state) {
    (void)state;
    uint64_t seed = support_seed("presize");
    static const size_t counts[] = {1, 9, 300, 700, 5000, EFFORT(100000), EFFORT(600000)};
    for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
        struct support s;
        support_open(&s, HASHING_GOOD, counts[i] + 1, seed);
        table_presize(&s.table, counts[i]);
        size_t before = table_size(&s.table);
        table_check(&s.table);
        for (uint64_t id = 1; id <= counts[i]; id++)
            support_insert(&s, id);
        struct table_report report = support_check(&s);
        /* Few segments had to grow. */
        assert_true(report.bytes <= before + before / 4);
        table_presize(&s.table, 10 * counts[i]);
        assert_int_equal(table_size(&s.table), report.bytes);
        for (uint64_t id = 1; id <= counts[i]; id++)
            support_remove(&s, id);
        support_check(&s);
        support_close(&s);
    }
}

/* Tables that share a pool move each other's segments, but none that a view can see, or could. */
static void test_shared_pool(void **state) {
    (void)state;
    uint64_t seed = support_seed("shared_pool");
    enum { TABLES = 3, STEPS = 60000 };
    struct support s[TABLES];
    for (unsigned i = 0; i < TABLES; i++) {
        support_open(&s[i], HASHING_GOOD, 20000, seed + i);
        s[i].owner.pool = &s[0].pool;
    }
    static const unsigned phases[] = {90, 20, 80, 5};
    uint32_t views[TABLES] = {0};
    for (size_t phase = 0; phase < sizeof(phases) / sizeof(phases[0]); phase++) {
        for (size_t i = 0; i < STEPS; i++) {
            struct support *table = &s[support_below(&seed, TABLES)];
            support_step(table, phases[phase]);
            if (i % 5000 != 0) continue;
            unsigned at = (unsigned)(table - s);
            if (views[at] != 0) epochs_thaw(&table->epochs, views[at], 3);
            views[at] = views[at] == 0 ? epochs_freeze(&table->epochs) : 0;
        }
        for (unsigned i = 0; i < TABLES; i++)
            support_check(&s[i]);
        struct pool_report report = pool_report(&s[0].pool);
        assert_true(report.block_bytes > 0 && report.chunk_bytes > report.block_bytes);
    }
    for (unsigned i = TABLES; i-- > 0;) {
        if (views[i] != 0) epochs_thaw(&s[i].epochs, views[i], 0);
        while (!epochs_drain(&s[i].epochs, 100))
            continue;
        support_close(&s[i]);
    }
}

static void test_candidate(void **state) {
    (void)state;
    struct support s;
    support_open(&s, HASHING_GOOD, 5000, support_seed("candidate"));
    assert_int_equal(table_candidate(&s.table, 1), 0);
    size_t exact = 0;
    for (uint64_t id = 1; id < s.ids; id++)
        support_insert(&s, id);
    for (uint64_t id = 1; id < s.ids; id++) {
        uint64_t hash = support_hash(s.hashing, id);
        table_prefetch_directory(&s.table, hash);
        table_prefetch_bucket(&s.table, hash);
        table_element candidate = table_candidate(&s.table, hash);
        assert_true(candidate != 0);
        exact += (candidate & SUPPORT_ID_MASK) == id;
    }
    assert_true(exact > s.ids * 9 / 10);
    support_close(&s);
}

/* Chi-square over all elements: with k - 1 = n degrees of freedom its mean is n and its deviation
 * sqrt(2n); 6 deviations are not reached by chance. */
static void check_uniform(struct support *s, size_t draws_each) {
    size_t *seen = calloc(s->ids, sizeof(*seen));
    size_t draws = s->count * draws_each;
    for (size_t i = 0; i < draws; i++) {
        table_element element = table_random(&s->table, support_random, &s->random);
        uint64_t id = element & SUPPORT_ID_MASK;
        assert_int_equal(element, support_element(id, s->versions[id]));
        seen[id]++;
    }
    double chi = 0, expected = (double)draws_each, degrees = (double)s->count - 1;
    for (uint64_t id = 1; id < s->ids; id++)
        if (s->versions[id] != 0) {
            double off = (double)seen[id] - expected;
            chi += off * off / expected;
        }
    free(seen);
    if (s->count == 1) return;
    double deviations = (chi - degrees) / __builtin_sqrt(2 * degrees);
    if (deviations > 6 || deviations < -6) print_message("count %zu: %f\n", s->count, deviations);
    assert_true(deviations < 6 && deviations > -6);
}

static void test_random(void **state) {
    (void)state;
    static const size_t counts[] = {1, 2, 9, 11, 60, 700, 720, 1400, 3000, 20000};
    struct support s;
    support_open(&s, HASHING_GOOD, 30000, support_seed("random"));
    assert_int_equal(table_random(&s.table, support_random, &s.random), 0);
    uint64_t id = 1;
    for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
        while (s.count < counts[i])
            support_insert(&s, id++);
        check_uniform(&s, counts[i] < 100 ? 1000 : 50);
    }
    while (s.count > 2000) /* sparse */
        support_remove(&s, --id);
    check_uniform(&s, 50);
    support_close(&s);
}

/* With hopeless hashes an element still comes out. */
static void test_random_bad_hashes(void **state) {
    (void)state;
    for (unsigned hashing = 0; hashing < HASHING_COUNT; hashing++) {
        struct support s;
        support_open(&s, hashing, 20000, support_seed("random_bad_hashes"));
        for (uint64_t id = 1; id < s.ids; id++)
            support_insert(&s, id);
        for (size_t i = 0; i < 2000; i++) {
            table_element element = table_random(&s.table, support_random, &s.random);
            assert_true(s.versions[element & SUPPORT_ID_MASK] == element >> SUPPORT_ID_BITS);
        }
        support_close(&s);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_model_small),       cmocka_unit_test(test_model_middle),
        cmocka_unit_test(test_model_large),       cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_hysteresis),        cmocka_unit_test(test_presize),
        cmocka_unit_test(test_candidate),         cmocka_unit_test(test_random),
        cmocka_unit_test(test_random_bad_hashes), cmocka_unit_test(test_shared_pool),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
