/* test_statistics.c: percentiles of latency against a sorted list. */
#include "engine/statistics.h"

#include "../base/cmocka_all.h"
#include "../base/random.h"
#include <string.h>

enum { VALUES_MAX = 500, ROUNDS = 300 };

static int compare(const void *a, const void *b) {
    const uint64_t *one = a, *other = b;
    return (*one > *other) - (*one < *other);
}

static void test_buckets(void **state) {
    (void)state;
    assert_int_equal(latency_bucket(0), 0);
    assert_int_equal(latency_bucket(7), 7);
    assert_int_equal(latency_bucket(8), 8);
    assert_int_equal(latency_bucket(15), 15);
    assert_int_equal(latency_bucket(16), 16);
    assert_int_equal(latency_bucket(17), 16);
    assert_int_equal(latency_bucket(32), 24);
    assert_int_equal(latency_bucket(UINT64_MAX), LATENCY_BUCKETS - 1);
    for (uint64_t ticks = 1; ticks < 100000; ticks++) {
        uint32_t step = latency_bucket(ticks) - latency_bucket(ticks - 1);
        assert_true(step <= 1);
    }
}

static void test_empty(void **state) {
    struct latency latency = {.counts = {0}};
    (void)state;
    assert_int_equal(latency_percentile(&latency, 50), 0);
    latency_add(&latency, UINT64_MAX);
    assert_true(latency_percentile(&latency, 0) == UINT64_MAX);
}

/* What is counted within a border lies within it, and what is missing is close to it. */
static void check_counts(const struct latency *latency, const uint64_t *sorted, size_t count) {
    assert_int_equal(latency_total(latency), count);
    for (uint32_t bit = 3; bit < 63; bit++) {
        uint64_t border = UINT64_C(1) << bit, found = latency_count_within(latency, border);
        size_t exact = 0, surely = 0;
        for (size_t i = 0; i < count; i++) {
            exact += sorted[i] <= border;
            surely += sorted[i] < border;
        }
        assert_true(found <= exact && found >= surely);
    }
}

/* Never less than the value itself, and at most an eighth more. */
static void test_percentiles(void **state) {
    static const double percentages[] = {0, 1, 50, 90, 99, 99.9, 100};
    struct random random = random_from_seed();
    uint64_t values[VALUES_MAX];
    (void)state;
    for (int round = 0; round < ROUNDS; round++) {
        struct latency latency;
        memset(&latency, 0, sizeof latency);
        size_t count = 1 + random_below(&random, VALUES_MAX);
        for (size_t i = 0; i < count; i++) {
            values[i] = random_next(&random) >> (1 + random_below(&random, 63));
            latency_add(&latency, values[i]);
        }
        qsort(values, count, sizeof values[0], compare);
        check_counts(&latency, values, count);
        for (size_t i = 0; i < sizeof percentages / sizeof percentages[0]; i++) {
            double wanted = (double)count * percentages[i] / 100;
            size_t rank = (size_t)wanted;
            if ((double)rank < wanted) rank++;
            uint64_t exact = values[rank > 0 ? rank - 1 : 0];
            uint64_t found = latency_percentile(&latency, percentages[i]);
            assert_true(found >= exact && found - exact <= exact / LATENCY_STEPS);
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_buckets), cmocka_unit_test(test_empty),
                                       cmocka_unit_test(test_percentiles)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
