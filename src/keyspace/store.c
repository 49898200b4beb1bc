/* store.c: making and freeing a database's content. */
#include "keyspace/store.h"

#include "base/invariant.h"
#include "base/memory.h"
#include "keyspace/keyspace.h"

uint64_t store_hash(void *context, table_element element) {
    const struct store *store = context;
    return hash_bytes(&store->keyspace->secret, entry_key(store_entry(store, element)));
}

void store_prefetch(void *context, table_element element) {
    const struct store *store = context;
    __builtin_prefetch(store_entry(store, element));
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

size_t entry_outside(const struct entry *entry) {
    size_t bytes = 0;
    if (entry->flags & ENTRY_KEY_BLOB) bytes += sizeof(struct blob) + entry_key(entry).size;
    if (entry_encoding(entry) == ENTRY_BLOB)
        bytes += sizeof(struct blob) + entry_blob(entry)->capacity;
    return bytes;
}

static struct blob *key_blob(const struct entry *entry) {
    struct blob *blob;
    memcpy(&blob, entry->rest + entry_expiry_size(entry), sizeof blob);
    return blob;
}

static void let_go(void *blob) {
    blob_let_go(blob);
}

void entry_release_outside(struct store *store, const struct entry *entry) {
    if (unlikely(entry->flags & ENTRY_KEY_BLOB)) blob_let_go(key_blob(entry));
    if (entry_encoding(entry) != ENTRY_BLOB) return;
    struct blob *blob = entry_blob(entry);
    const struct keyspace *keyspace = store->keyspace;
    if (blob->capacity >= KEYSPACE_LARGE_MIN && keyspace->dispose)
        keyspace->dispose(keyspace->dispose_context, let_go, blob);
    else
        blob_let_go(blob);
}

static void release_visited(void *context, table_element element) {
    struct store *store = context;
    const struct entry *entry = store_entry(store, element);
    if (entry->flags & ENTRY_KEY_BLOB) blob_let_go(key_blob(entry));
    if (entry_encoding(entry) == ENTRY_BLOB) blob_let_go(entry_blob(entry));
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
