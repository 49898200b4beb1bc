/* test_table_view.c: views show what was there when they were opened. The owner changes a table of
 * slab blocks while several views, opened at random moments, are read on threads of their own and
 * compared with copies of the model. To be run with the thread sanitizer, which sees any write into
 * what a reader reads, and with the address sanitizer, which sees what is released too early or
 * never. */
#include "struct/slab.h"
#include "test_support.h"
#include <pthread.h>
#include <stdatomic.h>
#include <time.h>

enum { IDS = 12000, VIEWS = 5 };

struct entry {
    uint64_t hash;
    uint32_t id;
    uint32_t version;
};

struct world {
    struct epochs epochs;
    struct slab slab;
    struct table_owner owner;
    struct pool pool;
    struct table table;
    enum support_hashing hashing;
    uint64_t random;
    uint32_t versions[IDS]; /* 0: absent */
    size_t count;
    size_t live; /* entries allocated */
};

struct view {
    struct table_view table;
    uint32_t name; /* 0: not open */
    bool passes;   /* is read once, and says how far it is */
    char *const *chunks;
    uint32_t versions[IDS];
    uint32_t seen[IDS]; /* in which round */
    uint32_t round;
    size_t seen_count;
    pthread_t thread;
    atomic_bool stop;
};

static struct entry *entry_at(const struct world *w, table_element element) {
    return slab_at(&w->slab, element);
}

static uint64_t entry_hash(void *context, table_element element) {
    return entry_at(context, element)->hash;
}

struct probe {
    const struct world *world;
    uint64_t id;
};

static bool entry_matches(const void *context, table_element element) {
    const struct probe *probe = context;
    return entry_at(probe->world, element)->id == probe->id;
}

static table_element find(const struct world *w, uint64_t id, struct table_place *place) {
    struct probe probe = {w, id};
    return table_find(&w->table, support_hash(w->hashing, id), entry_matches, &probe, place);
}

static table_element entry_create(struct world *w, uint64_t id, uint32_t version) {
    slab_handle handle = slab_alloc(&w->slab, sizeof(struct entry));
    *entry_at(w, handle) = (struct entry){support_hash(w->hashing, id), (uint32_t)id, version};
    w->live++;
    return handle;
}

static void entry_free(void *owner, uint64_t node) {
    struct world *w = owner;
    memset(entry_at(w, node), 0xdd, sizeof(struct entry));
    slab_free(&w->slab, node);
    w->live--;
}

static void entry_give_up(struct world *w, table_element element, bool may_change) {
    if (may_change)
        entry_free(w, element);
    else
        epochs_retire(&w->epochs, entry_free, w, element, 0); /* what is counted is the table's */
}

static void change(struct world *w, uint64_t id) {
    struct table_place place;
    table_element element = find(w, id, &place);
    uint32_t version = (uint32_t)support_random(&w->random) | 1;
    if (table_may_change(&w->table, &place)) {
        entry_at(w, element)->version = version;
    } else {
        table_replace(&w->table, &place, entry_create(w, id, version));
        entry_give_up(w, element, false);
    }
    assert_true(table_may_change(&w->table, &place));
    w->versions[id] = version;
}

static void take_out(struct world *w, uint64_t id) {
    struct table_place place;
    table_element element = find(w, id, &place);
    bool may_change = table_may_change(&w->table, &place);
    table_remove(&w->table, &place);
    entry_give_up(w, element, may_change);
    w->versions[id] = 0;
    w->count--;
}

static void put_in(struct world *w, uint64_t id) {
    struct table_place place;
    uint32_t version = (uint32_t)support_random(&w->random) | 1;
    uint64_t hash = support_hash(w->hashing, id);
    table_insert(&w->table, hash, entry_create(w, id, version), &place);
    assert_true(table_may_change(&w->table, &place));
    w->versions[id] = version;
    w->count++;
    if (id % 7 == 0) table_note_bound(&w->table, &place, (int64_t)support_below(&w->random, 100));
}

static int64_t entry_bound(void *context, table_element element) {
    const struct world *w = context;
    return entry_at(w, element)->id % 7 == 0 ? 50 : TABLE_NO_BOUND;
}

static void entry_due(void *context, table_element element) {
    take_out(context, entry_at(context, element)->id);
}

static void step(struct world *w, unsigned growth) {
    uint64_t id = 1 + support_below(&w->random, IDS - 1);
    bool grow = support_below(&w->random, 100) < growth;
    table_element element = find(w, id, NULL);
    assert_int_equal(element != 0, w->versions[id] != 0);
    if (element != 0) assert_int_equal(entry_at(w, element)->version, w->versions[id]);
    if (element == 0 && grow)
        put_in(w, id);
    else if (element != 0 && support_below(&w->random, 3) == 0)
        change(w, id);
    else if (element != 0 && !grow)
        take_out(w, id);
}

/* On a view's thread: cmocka cannot fail there, so a difference ends the process. */
static void view_visit(void *context, table_element element) {
    struct view *v = context;
    const struct entry *entry = slab_at_chunks(v->chunks, element);
    INVARIANT(entry->id > 0 && entry->id < IDS);
    INVARIANT(entry->version == v->versions[entry->id]);
    INVARIANT(v->seen[entry->id] != v->round);
    v->seen[entry->id] = v->round;
    v->seen_count++;
}

/* For who waits, or is to be slower than the owner. */
static void rest(void) {
    nanosleep(&(struct timespec){.tv_nsec = 20000}, NULL);
}

static uint64_t view_step(struct view *v, uint64_t cursor) {
    cursor = table_view_scan(&v->table, cursor, view_visit, v);
    if (v->passes && cursor % 3 == 0) table_view_pass(&v->table, cursor ? cursor : TABLE_VIEW_END);
    if (v->passes && cursor % 32 == 0) rest();
    return cursor;
}

static void *view_run(void *context) {
    struct view *v = context;
    do {
        if (v->passes && v->round > 0) {
            rest();
            continue;
        }
        v->round++;
        v->seen_count = 0;
        uint64_t cursor = 0;
        do
            cursor = view_step(v, cursor);
        while (cursor != 0);
        INVARIANT(v->seen_count == v->table.count);
    } while (!atomic_load(&v->stop));
    return NULL;
}

static void view_freeze(struct world *w, struct view *v) {
    v->name = epochs_freeze(&w->epochs);
    table_freeze(&w->table, &v->table);
    v->chunks = w->slab.chunks;
    memcpy(v->versions, w->versions, sizeof(v->versions));
    assert_int_equal(v->table.count, w->count);
    memset(v->seen, 0, sizeof(v->seen));
    v->round = 0;
}

static void view_open(struct world *w, struct view *v) {
    v->passes = support_below(&w->random, 3) > 0;
    view_freeze(w, v);
    atomic_store(&v->stop, false);
    assert_int_equal(pthread_create(&v->thread, NULL, view_run, v), 0);
}

static void view_thaw(struct world *w, struct view *v) {
    table_thaw(&v->table);
    epochs_thaw(&w->epochs, v->name, support_below(&w->random, 2000));
    v->name = 0;
}

static void view_close(struct world *w, struct view *v) {
    atomic_store(&v->stop, true);
    pthread_join(v->thread, NULL);
    view_thaw(w, v);
}

static struct world *world_open(enum support_hashing hashing, uint64_t seed) {
    struct world *w = calloc(1, sizeof(*w));
    w->hashing = hashing;
    w->random = seed;
    w->owner = (struct table_owner){.context = w, .hash = entry_hash, .pool = &w->pool};
    epochs_init(&w->epochs);
    slab_init(&w->slab);
    pool_init(&w->pool);
    table_init(&w->table, &w->epochs, &w->owner);
    return w;
}

static void world_close(struct world *w) {
    while (!epochs_drain(&w->epochs, 1000))
        continue;
    assert_int_equal(w->epochs.limbo_count, 0);
    assert_int_equal(w->epochs.limbo_bytes, 0);
    assert_int_equal(w->live, w->count);
    assert_int_equal(slab_report(&w->slab).blocks, w->count);
    for (uint64_t id = 1; id < IDS; id++)
        if (w->versions[id] != 0) take_out(w, id);
    assert_int_equal(w->live, 0);
    table_release(&w->table);
    assert_int_equal(pool_used(&w->pool), 0);
    pool_release(&w->pool);
    slab_release(&w->slab);
    epochs_release(&w->epochs);
    free(w);
}

static void run(enum support_hashing hashing, uint64_t seed) {
    struct world *w = world_open(hashing, seed);
    struct view *views = calloc(VIEWS, sizeof(*views));
    uint64_t cursor = 0;
    for (unsigned event = 0; event < 60; event++) {
        unsigned growth = 10 + (unsigned)support_below(&w->random, 81);
        size_t steps = support_below(&w->random, 3000);
        for (size_t i = 0; i < steps; i++)
            step(w, growth);
        bool wrapped;
        if (event % 5 == 0)
            for (unsigned i = 0; i < 5; i++)
                table_sweep(&w->table, &cursor, 60, 3, entry_bound, entry_due, w, &wrapped);
        table_check(&w->table);
        struct view *v = &views[support_below(&w->random, VIEWS)];
        if (v->name == 0)
            view_open(w, v);
        else
            view_close(w, v);
    }
    for (unsigned i = 0; i < VIEWS; i++)
        if (views[i].name != 0) view_close(w, &views[i]);
    world_close(w);
    free(views);
}

static void test_views(void **state) {
    (void)state;
    uint64_t seed = support_seed("views");
    for (unsigned hashing = 0; hashing < HASHING_COUNT; hashing++)
        for (unsigned i = 0; i < 2; i++)
            run(hashing, seed + i);
}

/* Overwrite all whose hashes lie between two quarters. */
static void change_quarters(struct world *w, unsigned from, unsigned to) {
    for (uint64_t id = 1; id < IDS; id++) {
        unsigned quarter = (unsigned)(support_hash(w->hashing, id) >> 62);
        if (quarter >= from && quarter < to) change(w, id);
    }
}

static uint64_t read_to_quarter(struct view *v, uint64_t cursor, unsigned quarter) {
    do
        cursor = view_step(v, cursor);
    while (cursor != 0 && cursor < TABLE_VIEW_END / 4 * quarter);
    return cursor;
}

/* What the only view has passed is changed without copies, and copies that it needed are freed
 * while it is open. */
static void test_passing(void **state) {
    (void)state;
    struct world *w = world_open(0, support_seed("passing"));
    struct view *v = calloc(1, sizeof(*v));
    for (uint64_t id = 1; id < IDS; id++)
        put_in(w, id);
    size_t quarter = table_size(&w->table) / 4;
    v->passes = true;
    view_freeze(w, v);
    v->round = 1;
    uint64_t cursor = read_to_quarter(v, 0, 2);
    change_quarters(w, 0, 1);
    assert_in_range(w->epochs.limbo_bytes, 0, quarter / 10);
    change_quarters(w, 2, 3);
    assert_in_range(w->epochs.limbo_bytes, quarter / 2, quarter * 3 / 2);
    cursor = read_to_quarter(v, cursor, 3);
    change_quarters(w, 3, 4);
    assert_in_range(w->epochs.limbo_bytes, quarter / 2, quarter * 3 / 2);
    cursor = read_to_quarter(v, cursor, 4);
    assert_int_equal(cursor, 0);
    assert_int_equal(v->seen_count, v->table.count);
    change_quarters(w, 0, 4);
    table_check(&w->table);
    view_thaw(w, v);
    world_close(w);
    free(v);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_views),
                                       cmocka_unit_test(test_passing)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
