/* database.h: keys to entries, for one numbered database.
 *
 * A database's content is a store: a table of handles into a slab of entries. FLUSHDB exchanges the
 * store for an empty one, and whoever frees the old one (a worker) never meets the engine.
 *
 * Reading never changes anything: an expired entry is found like any other, and what to do about it
 * is the engine's decision (engine/keys.h). A value is changed only through the functions here,
 * which copy what a view can see. */
#ifndef REDSTART_KEYSPACE_DATABASE_H
#define REDSTART_KEYSPACE_DATABASE_H

#include "base/hash.h"
#include "base/prefetch.h"
#include "keyspace/entry.h"
#include "struct/table.h"

struct keyspace;

struct key {
    struct bytes name;
    uint64_t hash;
};

/* Where a key's entry stands, found for changing it. Valid until the database is next changed other
 * than through this spot. */
struct spot {
    struct entry
        *entry; /* NULL: the key is absent. Read it; change it through database_... alone */
    struct table_place place;
};

/* The object that was last looked for, likely to be the next one too: found as long as nothing has
 * moved since (entries: version; segments: a view was opened). */
struct last_spot {
    struct spot spot; /* entry NULL: none */
    uint64_t version;
    uint32_t epoch;
};

struct store {
    struct table table;
    struct table_owner owner; /* of the table: this store */
    struct pool pool;         /* of the table's segments */
    struct slab slab;
    struct keyspace *keyspace; /* for its secret and its disposal of large values */
    struct store *next_used;   /* in the keyspace's list of those that have had an entry */
    bool is_used;              /* it is in that list */
    uint64_t version;          /* changes whenever spots become invalid */
    struct last_spot last;
    size_t expiring;        /* entries with an expiry */
    __int128 expiry_sum_ms; /* of their times, for the average */
    size_t outside_bytes;   /* in blobs and objects of the entries */
    uint64_t sweep_cursor;  /* of the active expiry */
    uint64_t sample_cursor; /* of the eviction (eviction.h) */
    uint64_t age_cursor;    /* of keyspace_age */
};

struct database {
    struct store *store; /* never NULL */
    uint32_t number;
};

struct key key_make(const struct keyspace *keyspace, struct bytes name);

static inline size_t database_count(const struct database *db) {
    return table_count(&db->store->table);
}
/* The entry, or NULL. */
const struct entry *database_find(const struct database *db, const struct key *key);
/* The same, for changing it. Changes nothing yet. */
struct spot database_locate(struct database *db, const struct key *key);
/* The same for what may only be changed where it stands: NULL also when a view can see the entry;
 * *absent says whether there is none. */
struct entry *database_find_private(struct database *db, const struct key *key, bool *absent);

/* Batch prefetch in four steps, each for the whole batch (see struct/table.h): the directory, the
 * bucket, the entry that the key's tag points to (NULL when there is none in its home bucket; it
 * may then be elsewhere), and what stands outside of the entry, or the entry that is elsewhere. */
static inline void database_prefetch_directory(const struct database *db, uint64_t hash) {
    table_prefetch_directory(&db->store->table, hash);
}
static inline void database_prefetch_bucket(const struct database *db, uint64_t hash) {
    table_prefetch_bucket(&db->store->table, hash);
}
static inline const struct entry *database_prefetch_element(const struct database *db,
                                                            table_element element) {
    if (element == 0) return NULL;
    enum { HALF_LINE = 32 }; /* every other small entry goes on in the next line */
    const char *entry = slab_at(&db->store->slab, element);
    memory_prefetch_to_write(entry);
    memory_prefetch_to_write(entry + HALF_LINE);
    return (const struct entry *)entry;
}
static inline const struct entry *database_prefetch_entry(const struct database *db, uint64_t hash,
                                                          bool *elsewhere) {
    return database_prefetch_element(db,
                                     table_candidate_at_home(&db->store->table, hash, elsewhere));
}
static inline const struct entry *database_prefetch_displaced(const struct database *db,
                                                              uint64_t hash) {
    return database_prefetch_element(db, table_candidate(&db->store->table, hash));
}
static inline void database_prefetch_value(const struct entry *entry) {
    enum { LINE = 64, LINES = 6 }; /* of a blob; from there on the processor sees the pattern */
    if (entry_encoding(entry) == ENTRY_OBJECT) {
        const char *object = entry_object(entry);
        memory_prefetch(object);
        memory_prefetch(object + LINE);
        return;
    }
    if (entry_encoding(entry) != ENTRY_BLOB) return;
    const char *blob = (const char *)entry_blob(entry);
    for (int i = 0; i < LINES; i++)
        memory_prefetch(blob + i * LINE);
}

/* A value of this type is about to take the place of what `spot` has: whoever asks for that is
 * told. */
void database_note_replaced(struct database *db, const struct key *key, const struct spot *spot,
                            enum value_type type);

/* Give the key this string, whatever it held. `spot` is the key's, as database_locate gave it, and
 * stands for the new entry afterwards. `expiry` is absolute, or ENTRY_NO_EXPIRY. A text that is an
 * integer of at most ENTRY_INTEGER_TEXT_MAX characters is kept as one. The clock is set to the
 * keyspace's. */
void database_put_string(struct database *db, const struct key *key, struct spot *spot,
                         struct bytes value, int64_t expiry);
/* The same for bytes that shall not be tried as an integer and are marked as modified (APPEND,
 * SETRANGE ...): a block of `size` bytes to fill, with the old string's first bytes kept and zeros
 * behind them. The key holds a string or nothing. */
char *database_resize_string(struct database *db, const struct key *key, struct spot *spot,
                             size_t size);
/* The same, kept as text even if it looks like an integer (INCRBYFLOAT). */
void database_put_bytes(struct database *db, const struct key *key, struct spot *spot,
                        struct bytes value, int64_t expiry);
/* The same, whatever the key held, without a time of expiry and marked as modified (BITOP). */
void database_put_result(struct database *db, const struct key *key, struct spot *spot,
                         struct bytes value);
void database_put_integer(struct database *db, const struct key *key, struct spot *spot,
                          int64_t value, int64_t expiry);
/* Another number in an entry that is ENTRY_INTEGER and private; false, and nothing changed, when
 * that takes more or fewer bytes than the one it has. */
bool database_change_integer(struct entry *entry, int64_t value);
/* Takes the caller's hold on the blob. Small ones are copied into the entry and let go. */
void database_put_blob(struct database *db, const struct key *key, struct spot *spot,
                       struct blob *blob, int64_t expiry);
/* Copy an entry of any database (value, clock; not its expiry) to this key. `from` is not in the
 * way of the change: it is of another key, or its bytes were held. */
void database_put_copy(struct database *db, const struct key *key, struct spot *spot,
                       const struct entry *from, int64_t expiry);
/* Give the value of `from`, as it is and with its expiry, to another key, of this or another
 * database, and remove `from`. Both keys' spots are made anew. */
void database_move(struct database *from_db, const struct key *from, struct database *db,
                   const struct key *key);
/* ENTRY_NO_EXPIRY removes it. */
void database_set_expiry(struct database *db, struct spot *spot, int64_t expiry);
/* Remove the entry. spot->entry is NULL afterwards. */
void database_remove(struct database *db, struct spot *spot);

/* As SCAN: entries of at least one bucket, the next cursor, 0 at the end. */
typedef void database_visit(void *context, const struct entry *entry);
uint64_t database_scan(const struct database *db, uint64_t cursor, database_visit *visit,
                       void *context);
/* NULL when empty. */
const struct entry *database_random(const struct database *db, uint64_t (*random)(void *),
                                    void *context);

/* The earliest time at which it, or a part of it (a hash's field), expires; ENTRY_NO_EXPIRY. */
int64_t database_next_expiry(const struct entry *entry);
/* Visit the entries of one part of the database that expire at or before `now_ms`, wholly or in
 * part; `due` may remove each of them. As table_sweep: false when nothing is due so far, *wrapped
 * at the end. */
bool database_sweep(struct database *db, int64_t now_ms, size_t segments_max,
                    void (*due)(void *context, struct database *db, const struct entry *entry),
                    void *context, bool *wrapped);

/* Mean of what the expiring entries have left, in milliseconds; 0 when there are none. */
int64_t database_average_ttl(const struct database *db, int64_t now_ms);
/* Bytes of table, entries and values. */
size_t database_memory(const struct database *db);
/* Bytes of one entry with its value. */
size_t database_entry_memory(const struct database *db, const struct entry *entry);

#endif
