/* keyspace.h: all databases, and views of the whole.
 *
 * Owns the epochs that views end, the secret that keys are hashed with and the access clock.
 * Belongs to the engine's thread; a view's reader is another one. */
#ifndef REDSTART_KEYSPACE_KEYSPACE_H
#define REDSTART_KEYSPACE_KEYSPACE_H

#include "keyspace/database.h"
#include "keyspace/use.h"
#include "struct/epoch.h"
#include "value/object.h"

enum { KEYSPACE_BENCHES = 4, KEYSPACE_LARGE_MIN = 256 * 1024 };

struct keyspace {
    struct database *databases;
    uint32_t database_count;
    struct store *used;    /* those that have had an entry, by next_used */
    struct use_policy use; /* what new and touched entries get */
    struct epochs epochs;
    struct hash_secret secret;
    struct record_world world;               /* the two, and memos, for collections */
    struct record_memos memos;               /* of the batch at hand */
    struct buffer benches[KEYSPACE_BENCHES]; /* where edits of small collections happen */
    uint32_t benches_used;                   /* a bit for each */
    uint32_t age_database;                   /* where keyspace_age goes on */
    /* Free these on a worker: a value of KEYSPACE_LARGE_MIN bytes or more; a whole store. NULL: at
     * once, here. `size`: bytes that this will give back, nearly. */
    void (*dispose)(void *context, void (*free_it)(void *), void *what, size_t size);
    void *dispose_context;
    /* A key that was absent gets its entry; it must not touch the keyspace. NULL: nobody asks. */
    void (*created)(void *context, const struct store *store, struct bytes name);
    /* A whole new value takes the place of one of the old type. */
    void (*replaced)(void *context, const struct store *store, struct bytes name,
                     enum value_type before, enum value_type now);
    void *events_context; /* of both */
};

/* Stays at its address. */
void keyspace_init(struct keyspace *keyspace, uint32_t databases, const struct hash_secret *secret);
void keyspace_release(struct keyspace *keyspace);

/* Empty one database in constant time. */
void keyspace_flush(struct keyspace *keyspace, uint32_t number);
void keyspace_swap(struct keyspace *keyspace, uint32_t a, uint32_t b);
/* The room in the allocator's large blocks that stands ready for entries and is not used. */
size_t keyspace_unused(const struct keyspace *keyspace);
/* Entries in all databases. */
size_t keyspace_count(const struct keyspace *keyspace);

/* Databases beside the keyspace's own, as many and empty: what is put into them is seen once they
 * take the places of those, whose content is then freed like a flushed one's. */
struct database *keyspace_open_aside(struct keyspace *keyspace);
void keyspace_take_aside(struct keyspace *keyspace, struct database *aside);
void keyspace_drop_aside(struct keyspace *keyspace, struct database *aside);

/* Look at the times of use of so many entries, on and on round the databases (use_age). */
void keyspace_age(struct keyspace *keyspace, size_t entries);

/* The whole keyspace as it is now, for a reader on any one thread. NULL when EPOCH_VIEWS_MAX are
 * open. */
struct view;
struct view *view_open(struct keyspace *keyspace);
/* On the engine's thread, when the reader has let go. What only this view held is freed in
 * portions: keyspace_drain until it says true. */
void view_close(struct keyspace *keyspace, struct view *view);
bool keyspace_drain(struct keyspace *keyspace, size_t budget);

/* For the reader. */
uint32_t view_database_count(const struct view *view);
size_t view_count(const struct view *view, uint32_t database);
size_t view_expiring(const struct view *view, uint32_t database); /* keys with a time */
uint64_t view_scan(const struct view *view, uint32_t database, uint64_t cursor,
                   database_visit *visit, void *context);
/* Nothing of the entries that were visited before that cursor (0: any) is looked at any more. Who
 * says so as it goes on costs half the memory: see table_view_pass. */
void view_pass(struct view *view, uint32_t database, uint64_t cursor);

#endif
