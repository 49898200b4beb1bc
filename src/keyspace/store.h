/* store.h: a database's content, for the files of this folder alone. */
#ifndef REDSTART_KEYSPACE_STORE_H
#define REDSTART_KEYSPACE_STORE_H

#include "keyspace/database.h"

struct store *store_open(struct keyspace *keyspace);
/* Frees everything, on any one thread, once nobody sees it. */
void store_close(void *store);

/* How a table asks about its elements; context is the store. */
uint64_t store_hash(void *context, table_element element);
void store_prefetch(void *context, table_element element);

static inline struct entry *store_entry(const struct store *store, table_element element) {
    return slab_at(&store->slab, element);
}

/* Let go of what the entry holds outside its block. */
void entry_release_outside(struct store *store, const struct entry *entry);
/* Bytes that it holds outside. */
size_t entry_outside(const struct entry *entry);

#endif
