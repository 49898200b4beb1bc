/* store.c: making and freeing a database's content. */
#include "keyspace/store.h"

#include "base/invariant.h"
#include "base/memory.h"
#include "base/prefetch.h"
#include "keyspace/keyspace.h"

uint64_t store_hash(void *context, table_element element) {
    const struct store *store = context;
    return hash_bytes(&store->keyspace->secret, entry_key(store_entry(store, element)));
}

void store_prefetch(void *context, table_element element) {
    const struct store *store = context;
    memory_prefetch(store_entry(store, element));
}

struct store *store_open(struct keyspace *keyspace) {
    struct store *store = memory_alloc_zeroed(1, sizeof *store);
    store->owner = (struct table_owner){store, store_hash, store_prefetch, &store->pool};
    store->keyspace = keyspace;
    slab_init(&store->slab);
    pool_init(&store->pool);
    table_init(&store->table, &keyspace->epochs, &store->owner);
    return store;
}

size_t store_unused(const struct store *store) {
    return slab_unused(&store->slab) + pool_unused(&store->pool);
}

size_t store_footprint(const struct store *store) {
    return table_size(&store->table) + slab_used(&store->slab) + store->outside_bytes +
           store_unused(store);
}

size_t entry_outside(const struct entry *entry) {
    size_t bytes = 0;
    if (entry->flags & ENTRY_KEY_BLOB) bytes += sizeof(struct blob) + entry_key(entry).size;
    if (entry_encoding(entry) == ENTRY_BLOB)
        bytes += sizeof(struct blob) + entry_blob(entry)->capacity;
    else if (entry_encoding(entry) == ENTRY_OBJECT)
        bytes += object_bytes(entry_object(entry));
    return bytes;
}

void entry_release_key(const struct entry *entry) {
    struct blob *blob;
    if (likely(!(entry->flags & ENTRY_KEY_BLOB))) return;
    memcpy(&blob, entry->rest + entry_expiry_size(entry), sizeof blob);
    blob_let_go(blob);
}

static void let_go(void *blob) {
    blob_let_go(blob);
}

static void release_value(const struct keyspace *keyspace, enum entry_encoding encoding,
                          void *value) {
    bool is_blob = encoding == ENTRY_BLOB;
    size_t size = is_blob ? ((struct blob *)value)->capacity : object_bytes(value);
    void (*free_it)(void *) = is_blob ? let_go : object_free;
    if (!is_blob) record_memos_clear(keyspace->world.memos);
    if (size >= KEYSPACE_LARGE_MIN && keyspace->dispose)
        keyspace->dispose(keyspace->dispose_context, free_it, value, size);
    else
        free_it(value);
}

void entry_release_outside(struct store *store, const struct entry *entry) {
    entry_release_key(entry);
    if (entry_encoding(entry) == ENTRY_BLOB)
        release_value(store->keyspace, ENTRY_BLOB, entry_blob(entry));
    else if (entry_encoding(entry) == ENTRY_OBJECT)
        release_value(store->keyspace, ENTRY_OBJECT, entry_object(entry));
}

static void release_object(void *owner, uint64_t node) {
    release_value(owner, ENTRY_OBJECT, (void *)(uintptr_t)node);
}

void store_retire_object(struct store *store, struct object *object) {
    struct keyspace *keyspace = store->keyspace;
    epochs_retire(&keyspace->epochs, release_object, keyspace, (uint64_t)(uintptr_t)object,
                  object_bytes(object));
}

static void release_visited(void *context, table_element element) {
    const struct store *store = context;
    const struct entry *entry = store_entry(store, element);
    entry_release_key(entry);
    if (entry_encoding(entry) == ENTRY_BLOB) blob_let_go(entry_blob(entry));
    if (entry_encoding(entry) == ENTRY_OBJECT) object_free(entry_object(entry));
}

void store_close(void *what) {
    struct store *store = what;
    if (store->outside_bytes > 0) {
        uint64_t cursor = 0;
        do
            cursor = table_scan(&store->table, cursor, release_visited, store);
        while (cursor != 0);
    }
    table_release(&store->table);
    pool_release(&store->pool);
    slab_release(&store->slab);
    memory_free(store);
}
