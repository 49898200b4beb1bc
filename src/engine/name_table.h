/* name_table.h: what the engine remembers of a key or a channel, found by its name and a number.
 *
 *     (number, name) --> record: | struct named | what its owner keeps |
 *                                     hash, name, number
 *
 * The number tells equal names apart: that of the key's database, or 0. A record begins with a
 * struct named, lies in a slab of the table, and stays at its address until it is removed. Adding,
 * finding and removing take constant time; nothing is ever rebuilt as a whole. Used by those who
 * wait for keys, watch them or keep copies of them, and for channels. */
#ifndef REDSTART_ENGINE_NAME_TABLE_H
#define REDSTART_ENGINE_NAME_TABLE_H

#include "base/bytes.h"
#include "base/hash.h"
#include "struct/slab.h"
#include "struct/table.h"

struct named {
    uint64_t hash;
    struct bytes name; /* the table's own copy */
    slab_handle handle;
    uint32_t number;
};

struct name_table {
    struct table table; /* of handles of records */
    struct slab slab;   /* where they are */
    struct table_owner owner;
    struct epochs epochs;             /* never frozen */
    const struct hash_secret *secret; /* borrowed */
    size_t record_size;
};

/* Stays at its address. Records have `record_size` bytes, up to SLAB_BLOCK_MAX. */
void name_table_init(struct name_table *table, const struct hash_secret *secret,
                     size_t record_size);
/* It is empty. */
void name_table_release(struct name_table *table);

static inline size_t name_table_count(const struct name_table *table) {
    return table_count(&table->table);
}
/* NULL when there is none. */
void *name_table_find(const struct name_table *table, uint32_t number, struct bytes name);
/* What is there, or a new record whose bytes behind struct named are 0. */
void *name_table_find_or_add(struct name_table *table, uint32_t number, struct bytes name);
/* Take the record out and free it, with its name. */
void name_table_remove(struct name_table *table, void *record);
/* Any one, with equal probability; NULL when there is none. `random` gives 64 random bits. */
void *name_table_random(const struct name_table *table, uint64_t (*random)(void *), void *context);

/* Visit all records; `visit` adds and removes none. */
typedef void name_table_visit(void *context, void *record);
void name_table_each(const struct name_table *table, name_table_visit *visit, void *context);
/* Remove all records, after `release` has had each. */
void name_table_clear(struct name_table *table, name_table_visit *release, void *context);

#endif
