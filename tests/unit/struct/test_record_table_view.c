/* test_record_table_view.c: a frozen copy of the struct shows what was there when the epoch ended.
 * The owner changes a table while several views, opened at random moments, are read on threads of
 * their own and compared with copies of the model. To be run with the thread sanitizer, which sees
 * any write into what a reader reads, and with the address sanitizer, which sees what is released
 * too early or never. */
#include "record_support.h"
#include <pthread.h>
#include <stdatomic.h>

enum { IDS = 6000, VIEWS = 4 };

struct view {
    const struct record_world *world;
    struct record_table table;
    uint32_t name; /* 0: not open */
    uint32_t versions[IDS];
    int64_t expiries[IDS];
    size_t count;
    pthread_t thread;
    atomic_bool stop;
    size_t seen;
};

static void count_record(void *context, const struct record *record) {
    struct view *view = context;
    INVARIANT(record->key.text == NULL || record->key.size < RECORD_TEXT_MAX);
    view->seen++;
}

static void *read_view(void *argument) {
    struct view *view = argument;
    for (unsigned round = 0; round < 2 || !atomic_load(&view->stop); round++) {
        uint64_t cursor = 0;
        view->seen = 0;
        do
            cursor = record_table_scan(&view->table, view->world, cursor, count_record, view);
        while (cursor != 0);
        INVARIANT(view->seen == view->count);
        for (uint64_t id = 1; id < IDS; id++)
            record_expect(&view->table, view->world, id, view->versions[id], view->expiries[id]);
    }
    return NULL;
}

static void open_view(struct record_model *m, struct view *view) {
    view->world = &m->world;
    view->name = epochs_freeze(&m->epochs);
    view->table = m->table;
    view->count = m->count;
    memcpy(view->versions, m->versions, sizeof view->versions);
    memcpy(view->expiries, m->expiries, sizeof view->expiries);
    atomic_store(&view->stop, false);
    assert_int_equal(pthread_create(&view->thread, NULL, read_view, view), 0);
}

static void close_view(struct record_model *m, struct view *view) {
    atomic_store(&view->stop, true);
    assert_int_equal(pthread_join(view->thread, NULL), 0);
    epochs_thaw(&m->epochs, view->name, SIZE_MAX);
    view->name = 0;
}

static void no_record(void *context, const struct record *record) {
    (void)context;
    (void)record;
}

static void test_views(void **state) {
    (void)state;
    static struct view views[VIEWS];
    static const unsigned phases[] = {90, 50, 10, 70, 3};
    struct record_model m;
    record_model_open(&m, IDS, support_seed("record_views"));
    for (unsigned round = 0; round < 60; round++) {
        struct view *view = &views[support_below(&m.random, VIEWS)];
        if (view->name != 0)
            close_view(&m, view);
        else
            open_view(&m, view);
        unsigned growth = phases[round / 4 % 5];
        for (unsigned i = 0; i < 2000; i++)
            record_model_step(&m, growth);
        record_table_due(&m.table, &m.world, (int64_t)support_below(&m.random, 100000), 100,
                         no_record, NULL);
        record_model_check(&m);
    }
    for (unsigned i = 0; i < VIEWS; i++)
        if (views[i].name != 0) close_view(&m, &views[i]);
    record_model_check(&m);
    record_model_close(&m);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_views)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
