/* store.h: a database's content, for the files of this folder alone. */
#ifndef REDSTART_KEYSPACE_STORE_H
#define REDSTART_KEYSPACE_STORE_H

#include "keyspace/keyspace.h"
#include "value/object.h"

struct store *store_open(struct keyspace *keyspace);
/* Frees everything, on any one thread, once nobody sees it. */
void store_close(void *store);

/* Bytes that it has from the allocator, nearly: with the room in its chunks that nothing uses. */
size_t store_footprint(const struct store *store);
/* The room in its chunks that nothing uses. */
size_t store_unused(const struct store *store);

/* It gets an entry. */
static inline void store_note_use(struct store *store) {
    if (__builtin_expect(store->is_used, 1)) return;
    store->is_used = true;
    store->next_used = store->keyspace->used;
    store->keyspace->used = store;
}

/* How a table asks about its elements; context is the store. */
uint64_t store_hash(void *context, table_element element);
void store_prefetch(void *context, table_element element);

static inline struct entry *store_entry(const struct store *store, table_element element) {
    return slab_at(&store->slab, element);
}

/* Let go of what the entry holds outside its block; of the key's part of that alone. */
void entry_release_outside(struct store *store, const struct entry *entry);
void entry_release_key(const struct entry *entry);
/* Bytes that it holds outside. */
size_t entry_outside(const struct entry *entry);
/* No entry holds this object any more: free it when no view needs it. */
void store_retire_object(struct store *store, struct object *object);

/* ---- database.c, for edit.c ---- */

/* What an entry shall look like. */
struct shape {
    enum value_type type;
    enum entry_encoding encoding;
    size_t value_size; /* of the value's part of the block */
    int64_t expiry;
    uint8_t flags; /* ENTRY_MODIFIED, ENTRY_FORMAT's bits */
};

/* Give the key these bytes or this pointer as its value. */
void database_put_shape(struct database *db, const struct key *key, struct spot *spot,
                        const struct shape *shape, const void *value);
/* Can a value of this size stand in the key's block? */
bool database_fits_block(const struct key *key, size_t value_size, int64_t expiry);
/* The entry has an object: let it have this one instead. The old one is the caller's. */
void database_exchange_object(struct database *db, struct spot *spot, struct object *object);

#endif
