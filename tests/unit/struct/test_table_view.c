/* test_table_view.c: views show what was there when they were opened. The owner changes a table of
 * slab blocks while several views, opened at random moments, are read on threads of their own and
 * compared with copies of the model. To be run with the thread sanitizer, which sees any write into
 * what a reader reads, and with the address sanitizer, which sees what is released too early or
 * never. */
#include "struct/slab.h"
#include "test_support.h"
#include <pthread.h>
#include <stdatomic.h>

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
        epochs_retire(&w->epochs, entry_free, w, element, sizeof(struct entry));
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

static void *view_run(void *context) {
    struct view *v = context;
    do {
        v->round++;
        v->seen_count = 0;
        uint64_t cursor = 0;
        do
            cursor = table_view_scan(&v->table, cursor, view_visit, v);
        while (cursor != 0);
        INVARIANT(v->seen_count == v->table.count);
    } while (!atomic_load(&v->stop));
    return NULL;
}

static void view_open(struct world *w, struct view *v) {
    v->name = epochs_freeze(&w->epochs);
    table_freeze(&w->table, &v->table);
    v->chunks = w->slab.chunks;
    memcpy(v->versions, w->versions, sizeof(v->versions));
    assert_int_equal(v->table.count, w->count);
    memset(v->seen, 0, sizeof(v->seen));
    v->round = 0;
    atomic_store(&v->stop, false);
    assert_int_equal(pthread_create(&v->thread, NULL, view_run, v), 0);
}

static void view_close(struct world *w, struct view *v) {
    atomic_store(&v->stop, true);
    pthread_join(v->thread, NULL);
    epochs_thaw(&w->epochs, v->name, support_below(&w->random, 2000));
    v->name = 0;
}

static void run(enum support_hashing hashing, uint64_t seed) {
    struct world *w = calloc(1, sizeof(*w));
    struct view *views = calloc(VIEWS, sizeof(*views));
    w->hashing = hashing;
    w->random = seed;
    w->owner = (struct table_owner){.context = w, .hash = entry_hash, .pool = &w->pool};
    epochs_init(&w->epochs);
    slab_init(&w->slab);
    pool_init(&w->pool);
    table_init(&w->table, &w->epochs, &w->owner);
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
    while (!epochs_drain(&w->epochs, 1000))
        continue;
    assert_int_equal(w->epochs.limbo_count, 0);
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
    free(views);
    free(w);
}

static void test_views(void **state) {
    (void)state;
    uint64_t seed = support_seed("views");
    for (unsigned hashing = 0; hashing < HASHING_COUNT; hashing++)
        for (unsigned i = 0; i < 2; i++)
            run(hashing, seed + i);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_views)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
