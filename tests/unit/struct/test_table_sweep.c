/* test_table_sweep.c: a round of the sweep hands out everything that is due and nothing else, and
 * bounds tighten, so that a table with nothing due is passed a page at a time. */
#include "test_support.h"

struct sweeping {
    struct support *s;
    int64_t limit;
    unsigned removed_percent;
    uint8_t *handed; /* by id */
    size_t handed_count;
};

static int64_t sweeping_bound(void *context, table_element element) {
    const struct sweeping *w = context;
    return w->s->bounds[element & SUPPORT_ID_MASK];
}

static void sweeping_due(void *context, table_element element) {
    struct sweeping *w = context;
    uint64_t id = element & SUPPORT_ID_MASK;
    assert_true(w->s->bounds[id] <= w->limit);
    assert_int_equal(element, support_element(id, w->s->versions[id]));
    w->handed_count += w->handed[id] == 0; /* what is not removed may come again after a merge */
    w->handed[id] = 1;
    if (support_below(&w->s->random, 100) < w->removed_percent) support_remove(w->s, id);
}

static void set_bound(struct support *s, uint64_t id, int64_t bound) {
    struct table_place place = {0};
    assert_true(support_find(s, id, &place) != 0);
    s->bounds[id] = bound;
    if (bound == TABLE_NO_BOUND) return;
    table_note_bound(&s->table, &place, bound);
    assert_true(place.segment->bound <= bound);
}

/* A random operation that keeps the bounds, in times around `now`. */
static void bound_step(struct support *s, int64_t now, unsigned growth) {
    uint64_t id = 1 + support_below(&s->random, s->ids - 1);
    if (s->versions[id] == 0) {
        if (support_below(&s->random, 100) >= growth) return;
        support_insert(s, id);
        s->bounds[id] = TABLE_NO_BOUND;
    } else if (support_below(&s->random, 100) >= growth) {
        support_remove(s, id);
        return;
    }
    if (support_below(&s->random, 3) == 0)
        set_bound(s, id, now + (int64_t)support_below(&s->random, 1000));
}

static void check_bounds(const struct support *s) {
    for (uint64_t id = 1; id < s->ids; id++) {
        struct table_place place = {0};
        if (s->versions[id] == 0 || s->bounds[id] == TABLE_NO_BOUND) continue;
        assert_true(support_find(s, id, &place) != 0);
        assert_true(place.segment->bound <= s->bounds[id]);
    }
    table_check(&s->table);
}

/* One round; returns in how many calls. */
static size_t sweep_round(struct sweeping *w, size_t segments_max, size_t *visited) {
    uint64_t cursor = 0;
    bool wrapped = false;
    size_t calls = 0;
    *visited = 0;
    for (; !wrapped; calls++)
        *visited += table_sweep(&w->s->table, &cursor, w->limit, segments_max, sweeping_bound,
                                sweeping_due, w, &wrapped);
    assert_int_equal(cursor, 0);
    return calls;
}

static void run_model(enum support_hashing hashing, size_t ids, uint64_t seed, bool viewed) {
    struct support s;
    support_open(&s, hashing, ids, seed);
    struct sweeping w = {.s = &s, .handed = calloc(ids, 1)};
    static const unsigned growths[] = {90, 60, 40, 80, 10};
    int64_t now = 0;
    size_t visited;
    for (unsigned round = 0; round < 5; round++) {
        uint32_t view = viewed ? epochs_freeze(&s.epochs) : 0;
        for (size_t i = 0; i < ids * 2; i++)
            bound_step(&s, now, growths[round]);
        now += 500;
        check_bounds(&s);
        size_t due = 0;
        for (uint64_t id = 1; id < ids; id++)
            due += s.versions[id] != 0 && s.bounds[id] <= now;
        memset(w.handed, 0, ids);
        w.handed_count = 0;
        w.limit = now;
        w.removed_percent = round % 2 ? 100 : 70;
        sweep_round(&w, 1 + support_below(&s.random, 20), &visited);
        assert_int_equal(w.handed_count, due);
        check_bounds(&s);
        support_check(&s);
        /* Take all that is due; what a merge left loose is tightened by another round. */
        w.removed_percent = 100;
        sweep_round(&w, 1000, &visited);
        sweep_round(&w, 1000, &visited);
        sweep_round(&w, 1000, &visited);
        assert_int_equal(visited, 0);
        struct table_report report = support_check(&s);
        size_t calls = sweep_round(&w, 1, &visited);
        assert_int_equal(visited, 0);
        assert_true(calls <= report.pages + 1);
        check_bounds(&s);
        if (viewed) epochs_thaw(&s.epochs, view, SIZE_MAX);
    }
    free(w.handed);
    support_close(&s);
}

static void test_model(void **state) {
    (void)state;
    uint64_t seed = support_seed("sweep_model");
    for (unsigned hashing = 0; hashing < HASHING_COUNT; hashing++)
        for (unsigned viewed = 0; viewed < 2; viewed++) {
            for (unsigned i = 0; i < EFFORT(10); i++)
                run_model(hashing, 2 + support_below(&seed, 500), seed + i, viewed);
            run_model(hashing, 30000, seed, viewed);
        }
    run_model(HASHING_GOOD, EFFORT(400000), seed, false);
}

/* Two sweeps at different places, and changes between their calls, lose no bound. */
static void test_interleaved(void **state) {
    (void)state;
    struct support s;
    support_open(&s, HASHING_GOOD, 20000, support_seed("sweep_interleaved"));
    struct sweeping w = {.s = &s, .handed = calloc(s.ids, 1)};
    uint64_t cursors[2] = {0};
    for (size_t i = 0; i < 60000; i++) {
        bound_step(&s, (int64_t)i / 20, i < 30000 ? 80 : 30);
        w.limit = (int64_t)i / 20;
        w.removed_percent = (unsigned)support_below(&s.random, 101);
        bool wrapped;
        for (unsigned k = 0; k < 2; k++)
            if (support_below(&s.random, 10) == 0)
                table_sweep(&s.table, &cursors[k], w.limit, 1 + support_below(&s.random, 5),
                            sweeping_bound, sweeping_due, &w, &wrapped);
        if (i % 5000 == 0) check_bounds(&s);
    }
    check_bounds(&s);
    free(w.handed);
    support_close(&s);
}

/* However many of a segment are due, whoever sweeps soon has the word again; but where nothing
 * goes, all are handed out before the next segment's. */
static void test_portions(void **state) {
    (void)state;
    enum { PORTION_MAX = 128 };
    struct support s;
    support_open(&s, HASHING_GOOD, 20000, support_seed("sweep_portions"));
    struct sweeping w = {.s = &s, .limit = 5, .handed = calloc(s.ids, 1)};
    for (uint64_t id = 1; id < s.ids; id++) {
        support_insert(&s, id);
        set_bound(&s, id, 5);
    }
    size_t visited;
    sweep_round(&w, 1, &visited);
    assert_int_equal(w.handed_count, s.ids - 1);
    w.removed_percent = 100;
    uint64_t cursor = 0;
    bool wrapped = false;
    while (!wrapped) {
        size_t before = table_count(&s.table);
        table_sweep(&s.table, &cursor, w.limit, 1, sweeping_bound, sweeping_due, &w, &wrapped);
        assert_true(before - table_count(&s.table) <= PORTION_MAX);
    }
    assert_int_equal(table_count(&s.table), 0);
    free(w.handed);
    support_close(&s);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_model),
        cmocka_unit_test(test_interleaved),
        cmocka_unit_test(test_portions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
