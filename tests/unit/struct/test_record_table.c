/* test_record_table.c: the record table against a naive model: put, remove, find, copy; scanning
 * while it grows and shrinks; picking at random; records that are due; sizes. */
#include "base/memory.h"
#include "record_support.h"
#include <time.h>

static void run_model(size_t ids, size_t steps, uint64_t seed) {
    struct record_model m;
    record_model_open(&m, ids, seed);
    static const unsigned phases[] = {80, 50, 20, 95, 5};
    for (size_t phase = 0; phase < sizeof phases / sizeof phases[0]; phase++)
        for (size_t i = 0; i < steps; i++) {
            record_model_step(&m, phases[phase]);
            if (i % (steps / 4) == 0) record_model_check(&m);
        }
    record_model_check(&m);
    struct record_table copy;
    record_table_copy(&copy, &m.table, &m.world);
    for (uint64_t id = 1; id < ids; id++) {
        if (m.versions[id] == 0) continue;
        record_model_remove(&m, id);
        if (m.count % (1 + ids / 8) == 0) record_model_check(&m);
        assert_true(m.count > 0 || m.table.bytes == 0);
    }
    record_table_check(&copy, &m.world);
    record_table_release(&copy);
    record_model_close(&m);
}

static void test_model_small(void **state) {
    (void)state;
    uint64_t seed = support_seed("record_model_small");
    for (size_t round = 0; round < EFFORT(200); round++)
        run_model(2 + support_below(&seed, 300), 200, seed + round);
}

static void test_model_large(void **state) {
    (void)state;
    uint64_t seed = support_seed("record_model_large");
    run_model(6000, 20000, seed);
    run_model(EFFORT(150000), EFFORT(300000), seed);
}

/* A key and a value that point into the table; a replacement that makes the chunk split. */
static void test_own_bytes(void **state) {
    (void)state;
    struct record_model m;
    record_model_open(&m, 4000, support_seed("record_own_bytes"));
    for (uint64_t id = 1; id < m.ids; id++)
        record_model_put(&m, id, 3, RECORD_NO_EXPIRY);
    for (uint64_t id = 1; id < m.ids; id++) {
        char key[RECORD_TEXT_MAX], wide[200];
        struct item item = support_key(id, key);
        struct record record, again;
        assert_true(record_table_find(&m.table, &m.world, &item, &record));
        record.expiry = (int64_t)id;
        assert_false(record_table_put(&m.table, &m.world, &record));
        m.expiries[id] = (int64_t)id;
        record_expect(&m.table, &m.world, id, 3, (int64_t)id);
        if (id % 2 == 0) continue;
        assert_true(record_table_find(&m.table, &m.world, &item, &record));
        record.value = support_text(wide, sizeof wide, id, 0);
        assert_false(record_table_put(&m.table, &m.world, &record));
        assert_true(record_table_find(&m.table, &m.world, &item, &again));
        assert_true(item_equal(&again.value, &record.value));
        assert_int_equal(again.expiry, id);
        record_model_put(&m, id, 3, (int64_t)id);
    }
    record_model_check(&m);
    record_model_close(&m);
}

/* ---- scan ---- */

struct seen {
    uint8_t *times; /* by id */
    size_t count;
};

/* Keys of the scan's test are integers. */
static void see(void *context, const struct record *record) {
    struct seen *seen = context;
    assert_true(item_is_integer(&record->key));
    if (seen->times[record->key.integer] < UINT8_MAX) seen->times[record->key.integer]++;
    seen->count++;
}

static void put_number(struct record_model *m, uint64_t id) {
    struct record record = {item_integer((int64_t)id), item_make(bytes_make("some value", 10)),
                            RECORD_NO_EXPIRY};
    record_table_put(&m->table, &m->world, &record);
}

static void remove_number(struct record_model *m, uint64_t id) {
    struct item key = item_integer((int64_t)id);
    record_table_remove(&m->table, &m->world, &key);
}

/* The first ids stay throughout; others come and go by the thousand between two steps. */
static void scan_while_changing(struct record_model *m, size_t stay, size_t come, bool growing) {
    for (uint64_t id = 0; id < stay + (growing ? 0 : come); id++)
        put_number(m, id);
    struct seen seen = {calloc(stay + come, 1), 0};
    uint64_t cursor = 0, next = stay, steps = 0;
    do {
        cursor = record_table_scan(&m->table, &m->world, cursor, see, &seen);
        assert_true(cursor < UINT64_C(1) << 48);
        for (size_t i = 0; i < come / 20 && next < stay + come; i++, next++)
            if (growing)
                put_number(m, next);
            else
                remove_number(m, next);
        steps++;
    } while (cursor != 0);
    for (size_t id = 0; id < stay; id++)
        assert_true(seen.times[id] >= 1);
    record_table_check(&m->table, &m->world);
    assert_true(steps > 2);
    free(seen.times);
}

static void test_scan(void **state) {
    (void)state;
    uint64_t seed = support_seed("record_scan");
    for (unsigned round = 0; round < EFFORT(20); round++) {
        struct record_model m;
        record_model_open(&m, 1, seed + round);
        scan_while_changing(&m, 300 + 500 * round, 20000, round % 2 == 0);
        record_model_close(&m);
    }
}

static void test_scan_still(void **state) {
    (void)state;
    struct record_model m;
    record_model_open(&m, 1, support_seed("record_scan_still"));
    assert_int_equal(record_table_scan(&m.table, &m.world, 77, see, NULL), 0);
    for (uint64_t id = 0; id < 30000; id++)
        put_number(&m, id);
    struct seen seen = {calloc(30000, 1), 0};
    uint64_t cursor = 0;
    do
        cursor = record_table_scan(&m.table, &m.world, cursor, see, &seen);
    while (cursor != 0);
    assert_int_equal(seen.count, 30000);
    for (size_t id = 0; id < 30000; id++)
        assert_int_equal(seen.times[id], 1);
    /* Any number is a cursor. */
    record_table_scan(&m.table, &m.world, UINT64_MAX, see, &seen);
    free(seen.times);
    record_model_close(&m);
}

/* ---- random ---- */

/* The statistic divided by its expectation: 1 within a few hundredths for thousands of records. */
static double chi_square(struct record_model *m, size_t count, size_t draws) {
    uint32_t *times = calloc(count, sizeof *times);
    for (size_t i = 0; i < draws; i++) {
        struct record record;
        assert_true(record_table_random(&m->table, support_random, &m->random, &record));
        times[record.key.integer]++;
    }
    double expected = (double)draws / (double)count, sum = 0;
    for (size_t i = 0; i < count; i++)
        sum += ((double)times[i] - expected) * ((double)times[i] - expected) / expected;
    free(times);
    return sum / (double)(count - 1);
}

static void test_random(void **state) {
    (void)state;
    static const size_t counts[] = {1, 2, 50, 129, 1000, 10000, 14000, 20000};
    uint64_t seed = support_seed("record_random");
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
        struct record_model m;
        struct record record;
        record_model_open(&m, 1, seed);
        assert_false(record_table_random(&m.table, support_random, &m.random, &record));
        for (uint64_t id = 0; id < counts[i]; id++)
            put_number(&m, id);
        if (counts[i] > 1) {
            double chi = chi_square(&m, counts[i], counts[i] * 40);
            print_message("%zu records: chi-square %.3f of what is expected\n", counts[i], chi);
            /* its deviation is sqrt(2 / (count - 1)) */
            assert_true(counts[i] < 1000 || (chi > 0.85 && chi < 1.15));
            assert_true(chi < 8);
        }
        record_model_close(&m);
    }
}

/* Records of 200 bytes, few in a chunk, after most were removed. */
static void test_random_sparse(void **state) {
    (void)state;
    struct record_model m;
    record_model_open(&m, 1, support_seed("record_random_sparse"));
    char text[200];
    for (uint64_t id = 0; id < 20000; id++) {
        struct record record = {item_integer((int64_t)id), support_text(text, 200, id, 9),
                                RECORD_NO_EXPIRY};
        record_table_put(&m.table, &m.world, &record);
    }
    for (uint64_t id = 10000; id < 20000; id++)
        remove_number(&m, id);
    double chi = chi_square(&m, 10000, 400000);
    print_message("sparse: chi-square %.3f of what is expected\n", chi);
    assert_true(chi > 0.9 && chi < 1.1);
    record_model_close(&m);
}

/* ---- due ---- */

struct portion {
    int64_t keys[100];
    size_t count;
    int64_t now;
};

static void note_due(void *context, const struct record *record) {
    struct portion *portion = context;
    assert_true(record->expiry <= portion->now);
    portion->keys[portion->count++] = record->key.integer;
}

static void test_due(void **state) {
    (void)state;
    enum { COUNT = 100000 };
    struct record_model m;
    record_model_open(&m, 1, support_seed("record_due"));
    size_t due[11] = {0};
    for (uint64_t id = 0; id < COUNT; id++) {
        int64_t expiry = support_below(&m.random, 20) == 0
                             ? 1000 + (int64_t)support_below(&m.random, 1000)
                             : RECORD_NO_EXPIRY;
        struct record record = {item_integer((int64_t)id), item_integer(7), expiry};
        record_table_put(&m.table, &m.world, &record);
        if (expiry != RECORD_NO_EXPIRY) due[(expiry - 1000) / 100]++;
    }
    assert_int_equal(m.table.expiry_bound, 1000);
    uint64_t left = COUNT;
    for (int64_t i = 0; i <= 10; i++) {
        struct portion portion = {.now = 1099 + 100 * (i - 1)};
        size_t expected = i == 0 ? 0 : due[i - 1];
        assert_int_equal(record_table_count_due(&m.table, portion.now), expected);
        while (record_table_due(&m.table, &m.world, portion.now, 100, note_due, &portion)) {
            assert_true(portion.count > 0 && portion.count <= 100);
            for (size_t j = 0; j < portion.count; j++)
                remove_number(&m, (uint64_t)portion.keys[j]);
            left -= portion.count;
            expected -= portion.count;
            portion.count = 0;
        }
        assert_int_equal(expected, 0);
        assert_true(m.table.expiry_bound > portion.now);
        record_table_check(&m.table, &m.world);
    }
    assert_int_equal(m.table.count, left);
    assert_int_equal(m.table.expiring, 0);
    assert_int_equal(m.table.expiry_bound, RECORD_NO_EXPIRY);
    record_model_close(&m);
}

static void count_due(void *context, const struct record *record) {
    (void)record;
    ++*(size_t *)context;
}

/* Times that no clock will show. */
static void test_odd_times(void **state) {
    (void)state;
    static const int64_t times[] = {INT64_MIN, -1, 0, 1, INT64_C(1) << 48, INT64_MAX - 1};
    struct record_model m;
    record_model_open(&m, 10, support_seed("record_odd_times"));
    for (uint64_t i = 0; i < 6; i++)
        record_model_put(&m, i + 2, 3, times[i]);
    record_model_check(&m);
    assert_int_equal(m.table.expiring, 6);
    size_t count = 0;
    assert_true(record_table_due(&m.table, &m.world, 0, 100, count_due, &count));
    assert_int_equal(count, 3);
    for (uint64_t i = 0; i < 6; i++)
        record_model_remove(&m, i + 2);
    record_model_check(&m);
    record_model_close(&m);
}

/* ---- sizes ---- */

static double seconds(void) {
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* Bytes a record, as the allocator sees them, for keys of 16 bytes; the worst of the last halving
 * of the distance to a million. */
static double bytes_a_record(size_t value_size, double limit) {
    struct record_model m;
    char key[16], value[256];
    double worst = 0, start = seconds();
    record_model_open(&m, 1, 7);
    size_t before = memory_report().allocated, count = EFFORT(1000000);
    for (uint64_t id = 1; id <= count; id++) {
        struct record record = {support_text(key, sizeof key, id, 1),
                                support_text(value, value_size, id, 2), RECORD_NO_EXPIRY};
        record_table_put(&m.table, &m.world, &record);
        if (id < count / 2 || id % 10000 != 0) continue;
        double each = (double)m.table.bytes / (double)id;
        if (each > worst) worst = each;
    }
    double put = seconds() - start;
    size_t after = memory_report().allocated;
    start = seconds();
    for (uint64_t id = 1; id <= count; id++) {
        struct item item = support_text(key, sizeof key, id * 7919 % count + 1, 1);
        struct record record;
        assert_true(record_table_find(&m.table, &m.world, &item, &record));
    }
    double find = seconds() - start;
    print_message("16/%zu: %.2f bytes a record, worst %.2f, allocated %.2f; put %.0f ns, find %.0f "
                  "ns, with making the text\n",
                  value_size, (double)m.table.bytes / (double)count, worst,
                  (double)(after - before) / (double)count, put * 1e3, find * 1e3);
    assert_true(worst < limit);
    record_model_close(&m);
    return worst;
}

static void test_sizes(void **state) {
    (void)state;
    bytes_a_record(0, 24);
    bytes_a_record(16, 42);
    bytes_a_record(100, 140);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_model_small),   cmocka_unit_test(test_model_large),
        cmocka_unit_test(test_own_bytes),     cmocka_unit_test(test_scan),
        cmocka_unit_test(test_scan_still),    cmocka_unit_test(test_random),
        cmocka_unit_test(test_random_sparse), cmocka_unit_test(test_due),
        cmocka_unit_test(test_odd_times),     cmocka_unit_test(test_sizes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
