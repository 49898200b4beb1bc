/* record_table_node.h: what the files of the record table share, and nobody else includes.
 *
 *     record_table_chunk.c    one chunk: records in and out, finding one, sizes, copies
 *     record_table_node.c     the trie: the way to a chunk, made private; splits and merges
 *     record_table.c          find, put, remove, release, copy
 *     record_table_scan.c     scan, random record
 *     record_table_due.c      records whose time has come
 *     record_table_memo.c     what a prefetch saw
 *     record_table_check.c    every invariant
 *
 * A word is a pointer to a chunk; or to a node, with its lowest bit set, and above the pointer's 48
 * bits what the way down needs to know of it, so that its header is not touched; 0 is the root of
 * an empty table.
 *
 *     | bits 8 | shift 8 | pointer 47 | 1 |     which bits of the hash choose among the node's
 * words
 *
 * A node has 2^bits words; a chunk that is shallower than the node's words stands in several
 * of them, a node below in one. Privacy goes upwards: a chunk that no view can see stands in nodes
 * that none can see. */
#ifndef REDSTART_STRUCT_RECORD_TABLE_NODE_H
#define REDSTART_STRUCT_RECORD_TABLE_NODE_H

#include "base/memory.h"
#include "struct/record_table.h"

enum {
    RECORD_NODE_BITS_MAX = 10,
    RECORD_CURSOR_BITS = 48,
    RECORD_DEPTH_MAX = RECORD_CURSOR_BITS,
    /* Nodes below one another: all but the last have all their bits. */
    RECORD_LEVELS_MAX = RECORD_DEPTH_MAX / RECORD_NODE_BITS_MAX + 2,

    RECORD_CHUNK_UNIT = 16, /* bytes in which a chunk's capacity is counted */
    /* Bytes of a chunk before it splits. Twice as many cost a fifth more for each lookup, save one
     * byte in a hundred, and a tenth of what it costs to add records of 40 bytes and more. */
    RECORD_CHUNK_MAX = 1024,
    RECORD_CHUNK_COUNT = 128,    /* records of a chunk before it splits */
    RECORD_CHUNK_LARGEST = 3840, /* bytes of one so deep that it cannot split */
    RECORD_MERGE_MAX = 448,      /* bytes of two chunks that become one */
    RECORD_MERGE_COUNT = 60,     /* records */
    RECORD_SIZE_MAX = 250,       /* bytes of a record in its chunk: head, time, key and value */
};

struct record_slot {
    uint8_t tag;  /* low bits of the hash */
    uint8_t size; /* bytes of the record */
};

/* Record i ends where record i - 1 begins, the first at the end of the chunk. */
struct record_chunk {
    uint32_t born;
    uint8_t depth;
    uint8_t capacity; /* bytes of all of it, in RECORD_CHUNK_UNIT */
    uint16_t used;    /* bytes of records */
    uint8_t count;
    uint8_t large;    /* records that stand in blocks of their own */
    uint8_t bound[6]; /* ms: no record expires before; all ones: none does */
    struct record_slot slots[];
};

struct record_node {
    uint32_t born;
    uint8_t prefix; /* bits of hashes above this node */
    uint8_t bits;
    int64_t bound; /* as in struct record_table */
    uint64_t words[];
};

/* A large record. */
struct record_block {
    uint32_t born;
    size_t key_size, value_size;
    char bytes[];
};

static inline uint64_t record_hash(const struct record_world *world, const struct item *key) {
    if (key->text) return hash_bytes(world->secret, bytes_make(key->text, key->size));
    return hash_bytes(world->secret, bytes_make(&key->integer, sizeof key->integer));
}
static inline unsigned record_tag(uint64_t hash) {
    return hash & 0xff;
}

/* -- words ------------------------------------------------------------------------------------- */

#define WORD_POINTER ((UINT64_C(1) << 48) - 2)
enum { WORD_SHIFT_AT = 48, WORD_BITS_AT = 56 };

static inline bool word_is_node(uint64_t word) {
    return (word & 1) != 0;
}
static inline struct record_node *word_node(uint64_t word) {
    return (struct record_node *)(uintptr_t)(word & WORD_POINTER);
}
static inline struct record_chunk *word_chunk(uint64_t word) {
    return (struct record_chunk *)(uintptr_t)word;
}
static inline uint64_t node_word(const struct record_node *node) {
    uint64_t shift = 64 - (uint64_t)node->prefix - node->bits;
    return (uint64_t)(uintptr_t)node | 1 | shift << WORD_SHIFT_AT |
           (uint64_t)node->bits << WORD_BITS_AT;
}
static inline uint64_t chunk_word(const struct record_chunk *chunk) {
    return (uint64_t)(uintptr_t)chunk;
}
static inline size_t node_size(unsigned bits) {
    return sizeof(struct record_node) + (sizeof(uint64_t) << bits);
}
static inline size_t node_index(const struct record_node *node, uint64_t hash) {
    return (size_t)(hash >> (64 - node->prefix - node->bits)) & (((size_t)1 << node->bits) - 1);
}
/* How many words of this node a chunk of this depth stands in. */
static inline size_t node_span(const struct record_node *node, unsigned depth) {
    return (size_t)1 << (node->prefix + node->bits - depth);
}
/* The place of the next word on the way of this hash, in the node of this one. */
static inline const uint64_t *word_next(uint64_t word, uint64_t hash) {
    uint64_t index = hash >> (word >> WORD_SHIFT_AT & 63);
    index &= (UINT64_C(1) << (word >> WORD_BITS_AT)) - 1;
    return &word_node(word)->words[index];
}
/* The chunk for this hash; the root is not 0. */
static inline struct record_chunk *record_chunk_of(uint64_t word, uint64_t hash) {
    while (word_is_node(word))
        word = *word_next(word, hash);
    return word_chunk(word);
}
static inline int64_t bound_min(int64_t a, int64_t b) {
    return a < b ? a : b;
}

/* -- record_table_chunk.c ------------------------------------------------------------------------
 */

#define RECORD_BOUND_NONE ((UINT64_C(1) << 48) - 1)

static inline size_t chunk_size(const struct record_chunk *chunk) {
    return (size_t)chunk->capacity * RECORD_CHUNK_UNIT;
}
/* Bytes that so many records of so many bytes need. */
static inline size_t chunk_need(size_t count, size_t used) {
    return sizeof(struct record_chunk) + count * sizeof(struct record_slot) + used;
}
/* RECORD_NO_EXPIRY when nothing expires. */
int64_t chunk_bound(const struct record_chunk *chunk);
/* Lower it to this time, if it is higher. */
void chunk_note_bound(struct record_chunk *chunk, int64_t expiry);
/* Set it to what the records say. */
void chunk_tighten_bound(struct record_chunk *chunk);

/* A chunk with room for `need` bytes at least. Counted in table->bytes and chunks. */
struct record_chunk *chunk_create(struct record_table *table, const struct record_world *world,
                                  unsigned depth, size_t need);
/* Another chunk with the same records, private, with room for `need` bytes and for them; the old
 * one is dropped. */
struct record_chunk *chunk_remake(struct record_table *table, const struct record_world *world,
                                  struct record_chunk *chunk, size_t need);
/* Bring all its records near. */
void chunk_approach(const struct record_chunk *chunk);
/* It is no longer part of the table; its large records are not freed. */
void chunk_drop(struct record_table *table, const struct record_world *world,
                struct record_chunk *chunk);
/* Is so much larger than what it needs that a smaller one is worth the work? */
bool chunk_is_roomy(const struct record_chunk *chunk);

/* Where a record stands. */
struct record_place {
    unsigned index;
    const uint8_t *at;
};
/* The first record with this tag; where the next one would stand when there is none, with the index
 * that it would have. */
struct record_place chunk_candidate(const struct record_chunk *chunk, unsigned tag);
/* Is this the record's key? */
bool record_has_key(const uint8_t *at, const struct item *key);
bool chunk_find(const struct record_chunk *chunk, unsigned tag, const struct item *key,
                struct record_place *place);
static inline const uint8_t *chunk_end(const struct record_chunk *chunk) {
    return (const uint8_t *)chunk + chunk_size(chunk);
}
struct record_place chunk_place(const struct record_chunk *chunk, unsigned index);
/* Walk over all records: begin with {0, chunk_end(chunk)}, true while there is one. */
static inline bool chunk_step(const struct record_chunk *chunk, struct record_place *walk) {
    if (walk->index == chunk->count) return false;
    walk->at -= chunk->slots[walk->index++].size;
    return true;
}
void record_read(const uint8_t *at, size_t size, struct record *out);
/* The time alone. */
int64_t record_expiry_at(const uint8_t *at);
/* The block of a large record, NULL of others. */
struct record_block *record_block_at(const uint8_t *at);
static inline size_t record_block_size(const struct record_block *block) {
    return sizeof *block + block->key_size + block->value_size;
}

/* A record's bytes as they stand in a chunk; what reads an integer of them may read `size` too. */
struct record_bytes {
    size_t size;
    uint8_t bytes[RECORD_SIZE_MAX + 1];
};
/* Makes the block of a large record. */
void record_write(struct record_table *table, const struct record_world *world,
                  const struct record *record, struct record_bytes *out);
/* A large record's block goes. */
void record_block_drop(struct record_table *table, const struct record_world *world,
                       struct record_block *block);

/* Behind the last one; there is room. The bound is not touched. */
void chunk_append(struct record_chunk *chunk, unsigned tag, const uint8_t *bytes, size_t size);
/* Other bytes in place of a record's; there is room. The bound is not touched. */
void chunk_exchange(const struct record_world *world, struct record_chunk *chunk,
                    struct record_place place, const uint8_t *bytes, size_t size);
void chunk_remove(const struct record_world *world, struct record_chunk *chunk,
                  struct record_place place);

/* -- record_table_memo.c -------------------------------------------------------------------------
 */

void memo_add(struct record_memos *memos, const struct record_table *table, const char *text,
              struct record_chunk *chunk, struct record_place place);
/* The records of this chunk stand elsewhere, or nowhere any more. */
void memo_forget_slowly(struct record_memos *memos, const struct record_chunk *chunk);

static inline unsigned memo_bit(const struct record_chunk *chunk) {
    uint64_t word = chunk_word(chunk) / RECORD_CHUNK_UNIT;
    return (unsigned)(word ^ word >> 11) % RECORD_MEMO_FILTER;
}
static inline void memo_forget(const struct record_world *world, const struct record_chunk *chunk) {
    struct record_memos *memos = world->memos;
    unsigned bit = memo_bit(chunk);
    if (memos != NULL && memos->count > 0 && unlikely(memos->filter[bit / 64] >> bit % 64 & 1))
        memo_forget_slowly(memos, chunk);
}

/* Where the key's record stands, if that is known. Looks a few memos further, as not every command
 * that was prefetched for is run. */
static inline bool memo_find(const struct record_table *table, const struct record_world *world,
                             const struct item *key, struct record_chunk **chunk,
                             struct record_place *place) {
    enum { LOOK = 4 };
    struct record_memos *memos = world->memos;
    if (memos == NULL || key->text == NULL) return false;
    for (uint32_t i = memos->next; i < memos->count && i < memos->next + LOOK; i++) {
        const struct record_memo *memo = &memos->items[i];
        if (memo->text != key->text || memo->table != table) continue;
        memos->next = i;
        if (memo->chunk == NULL) return false;
        *chunk = memo->chunk;
        *place = (struct record_place){memo->index, (const uint8_t *)memo->chunk + memo->offset};
        return record_has_key(place->at, key);
    }
    return false;
}

/* -- record_table_node.c -------------------------------------------------------------------------
 */

/* The way from the root to a chunk. */
struct record_path {
    uint64_t hash;
    unsigned levels;
    struct record_node *nodes[RECORD_LEVELS_MAX];
    struct record_chunk *chunk;
};
/* Find the chunk; the nodes on the way are private afterwards, the chunk is as it was. */
void path_find(struct record_table *table, const struct record_world *world, uint64_t hash,
               struct record_path *path);
/* Another chunk in the place of the path's, of the same depth. */
void path_set(struct record_table *table, struct record_path *path, struct record_chunk *chunk);
/* A record with this time is on the path. */
void path_note_bound(struct record_table *table, struct record_path *path, int64_t expiry);
/* Two chunks in place of one. The path is no longer valid. */
void path_split(struct record_table *table, const struct record_world *world,
                struct record_path *path);
/* Merge the chunk with its buddy, again and again while both are small. The path is no longer
 * valid. */
void path_merge(struct record_table *table, const struct record_world *world,
                struct record_path *path);

#endif
