/* keyspace.c: the databases together, and views of them. */
#include "keyspace/keyspace.h"

#include "base/invariant.h"
#include "base/memory.h"
#include "keyspace/store.h"

void keyspace_init(struct keyspace *keyspace, uint32_t databases,
                   const struct hash_secret *secret) {
    *keyspace = (struct keyspace){.database_count = databases, .secret = *secret};
    memcpy(&keyspace->use.random, secret->bytes, sizeof keyspace->use.random);
    keyspace->use.random |= 1; /* xorshift must not begin with 0 */
    epochs_init(&keyspace->epochs);
    keyspace->world = (struct record_world){&keyspace->epochs, &keyspace->secret, &keyspace->memos};
    keyspace->databases = memory_alloc_zeroed(databases, sizeof *keyspace->databases);
    for (uint32_t i = 0; i < databases; i++)
        keyspace->databases[i] = (struct database){store_open(keyspace), i};
}

void keyspace_release(struct keyspace *keyspace) {
    INVARIANT(keyspace->epochs.open_count == 0);
    keyspace->dispose = NULL;
    while (!epochs_drain(&keyspace->epochs, SIZE_MAX)) {
    }
    for (uint32_t i = 0; i < keyspace->database_count; i++)
        store_close(keyspace->databases[i].store);
    memory_free(keyspace->databases);
    for (int i = 0; i < KEYSPACE_BENCHES; i++)
        buffer_release(&keyspace->benches[i]);
    epochs_release(&keyspace->epochs);
}

static void release_store(void *owner, uint64_t node) {
    const struct keyspace *keyspace = owner;
    struct store *store = (struct store *)(uintptr_t)node;
    if (keyspace->dispose)
        keyspace->dispose(keyspace->dispose_context, store_close, store, store_footprint(store));
    else
        store_close(store);
}

static void leave_used(struct keyspace *keyspace, struct store *store) {
    if (!store->is_used) return;
    struct store **link = &keyspace->used;
    while (*link != store)
        link = &(*link)->next_used;
    *link = store->next_used;
}

static void retire_store(struct keyspace *keyspace, struct store *store) {
    leave_used(keyspace, store);
    size_t size = store_footprint(store);
    record_memos_clear(&keyspace->memos);
    epochs_retire(&keyspace->epochs, release_store, keyspace, (uint64_t)(uintptr_t)store, size);
}

void keyspace_flush(struct keyspace *keyspace, uint32_t number) {
    INVARIANT(number < keyspace->database_count);
    struct database *db = &keyspace->databases[number];
    retire_store(keyspace, db->store);
    db->store = store_open(keyspace);
}

struct database *keyspace_open_aside(struct keyspace *keyspace) {
    struct database *aside = memory_alloc_zeroed(keyspace->database_count, sizeof *aside);
    for (uint32_t i = 0; i < keyspace->database_count; i++)
        aside[i] = (struct database){store_open(keyspace), i};
    return aside;
}

void keyspace_take_aside(struct keyspace *keyspace, struct database *aside) {
    for (uint32_t i = 0; i < keyspace->database_count; i++) {
        retire_store(keyspace, keyspace->databases[i].store);
        keyspace->databases[i].store = aside[i].store;
    }
    memory_free(aside);
}

void keyspace_drop_aside(struct keyspace *keyspace, struct database *aside) {
    for (uint32_t i = 0; i < keyspace->database_count; i++)
        retire_store(keyspace, aside[i].store);
    memory_free(aside);
}

void keyspace_swap(struct keyspace *keyspace, uint32_t a, uint32_t b) {
    INVARIANT(a < keyspace->database_count && b < keyspace->database_count);
    struct store *store = keyspace->databases[a].store;
    keyspace->databases[a].store = keyspace->databases[b].store;
    keyspace->databases[b].store = store;
}

size_t keyspace_unused(const struct keyspace *keyspace) {
    size_t bytes = 0;
    for (const struct store *store = keyspace->used; store != NULL; store = store->next_used)
        bytes += store_unused(store);
    return bytes;
}

size_t keyspace_count(const struct keyspace *keyspace) {
    size_t count = 0;
    for (uint32_t i = 0; i < keyspace->database_count; i++)
        count += database_count(&keyspace->databases[i]);
    return count;
}

/* ---- times of use ---- */

struct ageing {
    const struct store *store;
    size_t seen;
};

static void age_element(void *context, table_element element) {
    struct ageing *ageing = context;
    use_age(&ageing->store->keyspace->use, store_entry(ageing->store, element));
    ageing->seen++;
}

void keyspace_age(struct keyspace *keyspace, size_t entries) {
    size_t seen = 0;
    for (uint32_t passed = 0; seen < entries && passed <= keyspace->database_count;) {
        struct store *store = keyspace->databases[keyspace->age_database].store;
        struct ageing ageing = {store, 0};
        store->age_cursor = table_scan(&store->table, store->age_cursor, age_element, &ageing);
        seen += ageing.seen;
        if (store->age_cursor != 0) continue;
        keyspace->age_database = (keyspace->age_database + 1) % keyspace->database_count;
        passed++;
    }
}

/* ---- views ---- */

struct view_part {
    struct table_view table;
    char *const *chunks;
    size_t expiring;
};

struct view {
    uint32_t epoch;
    uint32_t count;
    struct view_part parts[];
};

struct view *view_open(struct keyspace *keyspace) {
    if (keyspace->epochs.open_count == EPOCH_VIEWS_MAX) return NULL;
    uint32_t count = keyspace->database_count;
    struct view *view = memory_alloc(sizeof *view + count * sizeof view->parts[0]);
    view->epoch = epochs_freeze(&keyspace->epochs);
    view->count = count;
    for (uint32_t i = 0; i < count; i++) {
        struct store *store = keyspace->databases[i].store;
        table_freeze(&store->table, &view->parts[i].table);
        view->parts[i].chunks = store->slab.chunks;
        view->parts[i].expiring = store->expiring;
    }
    return view;
}

void view_close(struct keyspace *keyspace, struct view *view) {
    enum { AT_ONCE = 1000 };
    for (uint32_t i = 0; i < view->count; i++)
        table_thaw(&view->parts[i].table);
    epochs_thaw(&keyspace->epochs, view->epoch, AT_ONCE);
    memory_free(view);
}

bool keyspace_drain(struct keyspace *keyspace, size_t budget) {
    return epochs_drain(&keyspace->epochs, budget);
}

uint32_t view_database_count(const struct view *view) {
    return view->count;
}

size_t view_count(const struct view *view, uint32_t database) {
    return view->parts[database].table.count;
}

size_t view_expiring(const struct view *view, uint32_t database) {
    return view->parts[database].expiring;
}

struct view_walk {
    char *const *chunks;
    database_visit *visit;
    void *context;
};

static void view_element(void *context, table_element element) {
    struct view_walk *walk = context;
    walk->visit(walk->context, slab_at_chunks(walk->chunks, element));
}

uint64_t view_scan(const struct view *view, uint32_t database, uint64_t cursor,
                   database_visit *visit, void *context) {
    const struct view_part *part = &view->parts[database];
    struct view_walk walk = {part->chunks, visit, context};
    return table_view_scan(&part->table, cursor, view_element, &walk);
}

void view_pass(struct view *view, uint32_t database, uint64_t cursor) {
    table_view_pass(&view->parts[database].table, cursor ? cursor : TABLE_VIEW_END);
}
