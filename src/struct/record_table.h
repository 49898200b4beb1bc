/* record_table.h: the table of large sets and hashes: records of a key, a value and perhaps a time,
 * packed into chunks that are found by hash.
 *
 *     hash, 64 bits:  | 1 to 10 bits | 1 to 10 bits | ...         a trie of nodes; a chunk of depth
 *                                                                 L has all records with its L bits
 *     node                    chunk, 64 bytes to 1 KiB
 *     +----+----+---       +-----------+-------------------+------+-----------------------------+
 *     |    |  --+-------->  | born, L,  | tag and size of   | free | records: head, time, key,   |
 *     +----+----+---       | count ... | each, 2 bytes     |      | value; the last one first   |
 *                          +-----------+-------------------+------+-----------------------------+
 *
 * Why not a slab block for each and a handle in the segment table: that costs 8 bytes of table, the
 * rounding up of blocks, a pointer's miss for each element, and every element's block has to be
 * freed by the thread that owns the slab. A chunk is one allocation for some thirty records, is
 * copied whole when a view sees it, and a worker frees it. Numbers are kept as integers.
 *
 * A chunk that is full splits in two, two that are nearly empty merge: no operation touches more
 * than a node, two chunks and the way to them. The order of hashes gives SCAN its cursors, as in
 * table.h: a cursor is a place in the space of hashes, below 2^48, and survives every split and
 * merge. Records of more than RECORD_INLINE_MAX bytes stand in a block of their own.
 *
 * A lookup compares the tags of eight records at a time and adds up their sizes on the way: that
 * sum is where the record stands. So a record costs three bytes beyond its own, a fortieth of the
 * chunk's header, and its share of what the chunk has free: a chunk takes what the allocator's size
 * classes have, and moves to the next class when it must.
 *
 * A frozen copy of the struct is a view of it (value/object.h makes it, with epochs frozen). The
 * struct may be moved by copying it. */
#ifndef REDSTART_STRUCT_RECORD_TABLE_H
#define REDSTART_STRUCT_RECORD_TABLE_H

#include "base/hash.h"
#include "struct/epoch.h"
#include "struct/item.h"

enum { RECORD_INLINE_MAX = 240 }; /* bytes of key and value together */
#define RECORD_NO_EXPIRY INT64_MAX

struct record {
    struct item key;
    struct item value; /* of sets: size 0, text not NULL */
    int64_t expiry;    /* ms since 1970; RECORD_NO_EXPIRY */
};

struct record_table {
    uint64_t root; /* the implementation's */
    uint64_t count;
    uint64_t chunks;
    size_t bytes;         /* of chunks, nodes and large records */
    int64_t expiry_bound; /* no record expires before; RECORD_NO_EXPIRY when none does; a time
                           * before 1970 counts as 0 in bounds */
    uint64_t expiring;    /* records with a time */
};

/* What a batch's prefetch saw, so that the lookup that follows need not go the same way again: it
 * is known by the address of the key's text in the request, compares the key with the record, and
 * goes the whole way when they differ. A record that moves is forgotten; what frees a table's
 * chunks without a record_world has to see that the memos are cleared (record_table_release).
 * Belongs to one thread. */
enum { RECORD_MEMOS_MAX = 128, RECORD_MEMO_FILTER = 2048 };
struct record_memo {
    const char *text; /* never NULL */
    const struct record_table *table;
    struct record_chunk *chunk; /* NULL: its records have moved since */
    uint16_t index, offset; /* of a record with the key's tag: its slot, and bytes from the chunk's
                             * beginning */
};
struct record_memos {
    uint32_t count;
    uint32_t next;                            /* lookups come in the order of the prefetch */
    uint64_t filter[RECORD_MEMO_FILTER / 64]; /* a bit for each chunk, or for several */
    struct record_memo items[RECORD_MEMOS_MAX];
};
void record_memos_clear(struct record_memos *memos);

/* What every call needs beside the table: the same for all tables of a keyspace. Borrowed. */
struct record_world {
    struct epochs *epochs;
    const struct hash_secret *secret;
    struct record_memos *memos; /* NULL: none are kept */
};

void record_table_init(struct record_table *table);
/* Frees everything at once; nothing may be in view, and nothing of it in memos. Any one thread. */
void record_table_release(struct record_table *table);

/* Batch prefetch of a lookup, in three steps, each for the whole batch: the way, the chunk, the
 * record. */
uint64_t record_table_hash(const struct record_world *world, const struct item *key);
void record_table_prefetch_way(const struct record_table *table, uint64_t hash);
void record_table_prefetch_chunk(const struct record_table *table, uint64_t hash);
void record_table_prefetch_record(const struct record_table *table, uint64_t hash);
/* The third step, and a memo of what was seen: `text` is where the key's text stands, then as now.
 */
void record_table_prefetch_lookup(const struct record_table *table,
                                  const struct record_world *world, const char *text,
                                  uint64_t hash);

bool record_table_find(const struct record_table *table, const struct record_world *world,
                       const struct item *key, struct record *out);
/* Add, or replace value and time. True: it was not there. */
bool record_table_put(struct record_table *table, const struct record_world *world,
                      const struct record *record);
/* Add, unless the key is there: then false, nothing is changed, and *present is its record. */
bool record_table_add(struct record_table *table, const struct record_world *world,
                      const struct record *record, struct record *present);
/* False: it was not there. */
bool record_table_remove(struct record_table *table, const struct record_world *world,
                         const struct item *key);

/* Visit the records of at least one chunk, return the next cursor, 0 at the end. `visit` changes
 * nothing. May be called on a frozen copy, by another thread. */
typedef void record_visit(void *context, const struct record *record);
uint64_t record_table_scan(const struct record_table *table, const struct record_world *world,
                           uint64_t cursor, record_visit *visit, void *context);
/* Each with the same probability (as far as hashes are random); false when empty. */
bool record_table_random(const struct record_table *table, uint64_t (*random)(void *),
                         void *context, struct record *out);
/* Of a word that will be drawn later: brings near what it stands for, once its chunk is near
 * (record_table_prefetch_chunk with the word for a hash). */
void record_table_prefetch_drawn(const struct record_table *table, uint64_t word);

/* Visit records whose time is at or before `now_ms`, at most `max` (it removes none); false when
 * there are none. Skips what the bounds of chunks and nodes exclude; when it did not stop at `max`,
 * expiry_bound is exact afterwards. `visit` changes nothing. */
bool record_table_due(struct record_table *table, const struct record_world *world, int64_t now_ms,
                      size_t max, record_visit *visit, void *context);

/* How many records' time is at or before `now_ms`. Reads only, and skips the same. */
uint64_t record_table_count_due(const struct record_table *table, int64_t now_ms);

/* Every record once, by a deep copy for a new owner. */
void record_table_copy(struct record_table *to, const struct record_table *from,
                       const struct record_world *world);
/* Ends the process when an invariant of the structure is broken; for tests. */
void record_table_check(const struct record_table *table, const struct record_world *world);

#endif
