/* test_table_scan.c: what a scan promises: it ends, and whatever stays in the table from its
 * beginning to its end is returned, however the table grows and shrinks meanwhile. */
#include "test_support.h"

struct seen {
    uint32_t *times; /* by id */
    size_t total;
};

static void seen_visit(void *context, table_element element) {
    struct seen *seen = context;
    seen->times[element & SUPPORT_ID_MASK]++;
    seen->total++;
}

/* A stable table: cursors grow, every element comes once. */
static void check_stable(struct support *s) {
    struct seen seen = {.times = calloc(s->ids, sizeof(uint32_t))};
    uint64_t cursor = 0;
    size_t calls = 0, buckets = table_check(&s->table).buckets;
    do {
        uint64_t next = table_scan(&s->table, cursor, seen_visit, &seen);
        assert_true(next == 0 || next > cursor);
        assert_true(next < UINT64_C(1) << 48);
        cursor = next;
        calls++;
    } while (cursor != 0);
    assert_true(calls <= buckets + 1);
    assert_int_equal(seen.total, s->count);
    for (uint64_t id = 1; id < s->ids; id++)
        assert_int_equal(seen.times[id], s->versions[id] != 0);
    free(seen.times);
}

static void test_stable(void **state) {
    (void)state;
    uint64_t seed = support_seed("scan_stable");
    static const size_t counts[] = {0, 1, 10, 11, 29, 69, 150, 300, 711, 712, 5000, 60000};
    for (unsigned hashing = 0; hashing < HASHING_COUNT; hashing++)
        for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
            struct support s;
            support_open(&s, hashing, counts[i] + 2, seed);
            for (uint64_t id = 1; id <= counts[i]; id++)
                support_insert(&s, id);
            check_stable(&s);
            support_close(&s);
        }
}

/* Ids below `staying` are put in first and never removed; others come in floods and go again. */
static void run_changing(enum support_hashing hashing, size_t staying, size_t ids, uint64_t seed) {
    struct support s;
    support_open(&s, hashing, ids, seed);
    for (uint64_t id = 1; id < staying; id++)
        support_insert(&s, id);
    for (unsigned round = 0; round < EFFORT(8); round++) {
        struct seen seen = {.times = calloc(s.ids, sizeof(uint32_t))};
        uint64_t cursor = 0;
        unsigned growth = 50;
        size_t calls = 0;
        do {
            cursor = table_scan(&s.table, cursor, seen_visit, &seen);
            if (calls++ % 16 == 0) growth = (unsigned)support_below(&s.random, 101);
            size_t burst = support_below(&s.random, 1 + ids / 300);
            for (size_t i = 0; i < burst; i++) {
                uint64_t id = staying + support_below(&s.random, ids - staying);
                if (s.versions[id] == 0) {
                    if (support_below(&s.random, 100) < growth) support_insert(&s, id);
                } else if (support_below(&s.random, 100) >= growth) {
                    support_remove(&s, id);
                }
            }
        } while (cursor != 0);
        for (uint64_t id = 1; id < staying; id++)
            if (seen.times[id] == 0) fail_msg("id %llu missed", (unsigned long long)id);
        free(seen.times);
        support_check(&s);
    }
    support_close(&s);
}

static void test_changing(void **state) {
    (void)state;
    uint64_t seed = support_seed("scan_changing");
    for (unsigned hashing = 0; hashing < HASHING_COUNT; hashing++) {
        for (unsigned i = 0; i < EFFORT(20); i++)
            run_changing(hashing, 3 + i, 400, seed + i);
        run_changing(hashing, 200, 5000, seed);
        run_changing(hashing, 2000, 6000, seed);
        run_changing(hashing, 50, 30000, seed);
    }
}

/* Any number is a cursor. */
static void test_strange_cursors(void **state) {
    (void)state;
    struct support s;
    support_open(&s, HASHING_GOOD, 5000, support_seed("strange_cursors"));
    struct seen seen = {.times = calloc(s.ids, sizeof(uint32_t))};
    assert_int_equal(table_scan(&s.table, 12345, seen_visit, &seen), 0);
    for (uint64_t id = 1; id < s.ids; id++)
        support_insert(&s, id);
    for (size_t i = 0; i < 10000; i++) {
        uint64_t next = table_scan(&s.table, support_random(&s.random), seen_visit, &seen);
        assert_true(next < UINT64_C(1) << 48);
    }
    assert_int_equal(table_scan(&s.table, UINT64_MAX, seen_visit, &seen), 0);
    free(seen.times);
    support_close(&s);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_stable),
        cmocka_unit_test(test_changing),
        cmocka_unit_test(test_strange_cursors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
