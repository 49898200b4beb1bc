/* defragment.c: see defragment.h. Changes where things lie, and nothing else: no entry's bytes, no
 * clock, no count. */
#include "keyspace/defragment.h"

#include "base/invariant.h"
#include "base/prefetch.h"
#include "keyspace/store.h"

enum {
    PAGES_LOOKED_AT = 1024, /* of slabs, in one step */
    BUCKETS = 16,           /* of the table */
    STRINGS_MAX = 512,      /* in a scan of so many; more are left for the next round */
    AHEAD = 8,              /* entries that are fetched before their turn */
    MOVED_SIZE_MAX = 16384, /* larger strings have pages of their own */
};

bool defragment_may_run(const struct keyspace *keyspace) {
    return keyspace->epochs.open_count == 0 && keyspace->epochs.limbo_count == 0;
}

/* ---- entries ---- */

struct moving {
    table_element element;
    uint64_t hash;
};

static bool is_the_one(const void *context, table_element element) {
    const table_element *wanted = context;
    return *wanted == element;
}

static void move_entry(struct store *store, const struct moving *moving) {
    struct table_place place;
    table_element found =
        table_find(&store->table, moving->hash, is_the_one, &moving->element, &place);
    INVARIANT(found == moving->element && table_may_change(&store->table, &place));
    const struct entry *entry = store_entry(store, found);
    table_element fresh = slab_alloc(&store->slab, slab_block_size(&store->slab, found));
    memcpy(store_entry(store, fresh), entry, entry_size(entry));
    table_replace(&store->table, &place, fresh);
    slab_free(&store->slab, found);
}

/* What is found in the table by hash is fetched for all entries before the first is moved. */
static void move_all(struct store *store, const slab_handle *handles, size_t count) {
    struct moving moving[SLAB_PAGE_BLOCKS_MAX];
    for (size_t i = 0; i < count; i++) {
        if (i + AHEAD < count) memory_prefetch(store_entry(store, handles[i + AHEAD]));
        moving[i] = (struct moving){handles[i], store_hash(store, handles[i])};
        table_prefetch_directory(&store->table, moving[i].hash);
    }
    for (size_t i = 0; i < count && i < AHEAD; i++)
        table_prefetch_bucket(&store->table, moving[i].hash);
    for (size_t i = 0; i < count; i++) {
        if (i + AHEAD < count) table_prefetch_bucket(&store->table, moving[i + AHEAD].hash);
        move_entry(store, &moving[i]);
    }
    store->version++;
}

/* True when all pages have been looked at. */
static bool empty_page(struct store *store, struct defragment *at,
                       struct defragment_counts *counts) {
    slab_handle handles[SLAB_PAGE_BLOCKS_MAX];
    bool wrapped;
    size_t count =
        slab_empty_begin(&store->slab, &at->page_cursor, PAGES_LOOKED_AT, handles, &wrapped);
    move_all(store, handles, count);
    counts->moved += count;
    counts->keys_moved += count;
    return wrapped;
}

/* ---- strings ---- */

struct strings {
    const struct store *store;
    struct entry *entries[STRINGS_MAX];
    size_t count;
};

static void note_string(void *context, table_element element) {
    struct strings *strings = context;
    struct entry *entry = store_entry(strings->store, element);
    if (entry_encoding(entry) != ENTRY_BLOB || strings->count == STRINGS_MAX) return;
    memory_prefetch(entry_blob(entry));
    strings->entries[strings->count++] = entry;
}

static void pack_string(struct entry *entry, struct defragment_counts *counts) {
    struct blob *blob = entry_blob(entry);
    if (blob->capacity > MOVED_SIZE_MAX || !blob_is_single(blob)) return;
    struct blob *packed = blob_pack(blob);
    if (packed == blob) {
        counts->kept++;
        counts->keys_kept++;
        return;
    }
    memcpy((char *)(uintptr_t)entry_value_part(entry), &packed, sizeof packed);
    counts->moved++;
    counts->keys_moved++;
}

/* True at the table's end. */
static bool pack_strings(struct store *store, struct defragment *at,
                         struct defragment_counts *counts) {
    struct strings strings = {.store = store};
    if (store->outside_bytes == 0) return true;
    for (int i = 0; i < BUCKETS; i++) {
        at->scan_cursor = table_scan(&store->table, at->scan_cursor, note_string, &strings);
        if (at->scan_cursor == 0) break;
    }
    for (size_t i = 0; i < strings.count; i++)
        pack_string(strings.entries[i], counts);
    return at->scan_cursor == 0;
}

/* ---- the round ---- */

bool defragment_step(struct keyspace *keyspace, struct defragment *at,
                     struct defragment_counts *counts) {
    INVARIANT(defragment_may_run(keyspace));
    struct store *store = keyspace->databases[at->database].store;
    if (at->store != store) *at = (struct defragment){.database = at->database, .store = store};
    if (!at->pages_done) {
        at->pages_done = table_count(&store->table) == 0 || empty_page(store, at, counts);
        return false;
    }
    if (!pack_strings(store, at, counts)) return false;
    *at = (struct defragment){.database = at->database + 1};
    if (at->database < keyspace->database_count) return false;
    *at = (struct defragment){0};
    return true;
}
