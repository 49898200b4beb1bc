/* table_inline.h: the part of the segment table that runs for every request, and the layout of its
 * nodes. Included at the end of table.h and nowhere else.
 *
 *     word of a page        segment's address | n << 48 | L << 56
 *     word of the root      page's address    | d << 48 | (64 - prefix - d) << 56
 *     table.root            0: empty;  a page's word: one segment alone, no directory;
 *                           root's address | 1 | (63 - r) << 56
 *
 *     bucket     bytes 0..9    tags, so that one 16-byte load reads them all and stays in the line
 *                      10..13  bits 0..9 fresh, 10..29 distances, 30..31 reach of this home
 *                      14..63  elements, little-endian; 0 is a free slot
 *
 * Must never write: everything here may run on what a view shares. */
#ifndef REDSTART_STRUCT_TABLE_INLINE_H
#define REDSTART_STRUCT_TABLE_INLINE_H

#include "base/prefetch.h"
#include <stdalign.h>
#include <string.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "elements are read as little-endian");

enum {
    TABLE_POSITION_BITS = 13,
    TABLE_CURSOR_BITS = 48,
    TABLE_DEPTH_MAX = 34, /* L: the last position still ends above a cursor's last bit */
    TABLE_BUCKET_SIZE = 64,
};

struct table {
    uint64_t root;
    struct epochs *epochs;
    const struct table_owner *owner;
    size_t count;
    size_t bytes;
    struct table_view *views; /* open ones that were opened when it was there */
};

struct table_bucket {
    alignas(TABLE_BUCKET_SIZE) uint8_t bytes[TABLE_BUCKET_SIZE];
};

struct table_segment {
    alignas(TABLE_BUCKET_SIZE) uint32_t born;
    uint16_t count; /* elements */
    uint8_t size;   /* n, buckets */
    uint8_t depth;  /* L */
    int64_t bound;
    struct table *table; /* these two to find its word, when it is moved; NULL: retired */
    uint64_t hash;       /* one of those it serves */
    struct table_bucket buckets[];
};

struct table_page {
    alignas(TABLE_BUCKET_SIZE) uint32_t born;
    uint8_t prefix;   /* bits of the hash before those that choose a word here */
    uint8_t depth;    /* d: bits that do */
    uint16_t deepest; /* segments with L == prefix + d */
    int64_t bound;
    int64_t sweep_bound;    /* bound of the segments between the page's start and ... */
    uint64_t sweep_covered; /* ... this cursor, if it lies behind the start */
    alignas(TABLE_BUCKET_SIZE) uint64_t words[];
};

struct table_root {
    alignas(TABLE_BUCKET_SIZE) uint32_t born;
    uint32_t depth; /* r */
    uint32_t pages;
    uint32_t deepest;                       /* pages with prefix == r */
    uint32_t segments[TABLE_DEPTH_MAX + 1]; /* by their depth */
    alignas(TABLE_BUCKET_SIZE) uint64_t words[];
};

static inline void *table_word_pointer(uint64_t word) {
    return (void *)(uintptr_t)(word & UINT64_C(0x0000ffffffffffc0));
}
static inline unsigned table_word_size(uint64_t word) {
    return (unsigned)(word >> 48) & 0xff;
}
static inline unsigned table_word_depth(uint64_t word) {
    return (unsigned)(word >> 56);
}

/* Where the page's word for this hash stands; `root` is a table's root with a directory. */
static inline const uint64_t *table_word_at(uint64_t root, uint64_t hash) {
    const struct table_root *top = (const struct table_root *)table_word_pointer(root);
    uint64_t word = top->words[(hash >> 1) >> (root >> 56)];
    const struct table_page *page = (const struct table_page *)table_word_pointer(word);
    uint64_t mask = (UINT64_C(1) << (word >> 48 & 0xf)) - 1;
    return &page->words[(hash >> (word >> 56)) & mask];
}

/* The word of the segment for this hash; 0 in an empty table. */
static inline uint64_t table_word(uint64_t root, uint64_t hash) {
    if (unlikely((root & 1) == 0)) return root;
    return *table_word_at(root, hash);
}

static inline unsigned table_position(uint64_t hash, unsigned depth) {
    return (unsigned)((hash << depth) >> (64 - TABLE_POSITION_BITS));
}
static inline unsigned table_home(unsigned position, unsigned size) {
    return position * size >> TABLE_POSITION_BITS;
}

static inline uint32_t table_bucket_meta(const struct table_bucket *bucket) {
    uint32_t meta;
    memcpy(&meta, bucket->bytes + TABLE_SLOTS, sizeof(meta));
    return meta;
}
static inline unsigned table_meta_distance(uint32_t meta, unsigned slot) {
    return meta >> (TABLE_SLOTS + 2 * slot) & 3;
}
static inline unsigned table_meta_reach(uint32_t meta) {
    return meta >> 30;
}
static inline table_element table_bucket_element(const struct table_bucket *bucket, unsigned slot) {
    uint64_t bytes; /* the eight that end with the element: they stay in the bucket */
    memcpy(&bytes, bucket->bytes + 11 + slot * 5, sizeof(bytes));
    return bytes >> (64 - TABLE_ELEMENT_BITS);
}

/* A bit for each slot with this tag; free slots may be among them. */
static inline uint32_t table_bucket_match(const struct table_bucket *bucket, unsigned tag) {
#ifdef __SSE2__
    __m128i tags = _mm_load_si128((const __m128i *)(const void *)bucket->bytes);
    __m128i equal = _mm_cmpeq_epi8(tags, _mm_set1_epi8((char)tag));
    return (uint32_t)_mm_movemask_epi8(equal) & ((1u << TABLE_SLOTS) - 1);
#else
    uint32_t mask = 0;
    for (unsigned slot = 0; slot < TABLE_SLOTS; slot++)
        mask |= (uint32_t)(bucket->bytes[slot] == (tag & 0xff)) << slot;
    return mask;
#endif
}

static inline size_t table_count(const struct table *table) {
    return table->count;
}

static inline void table_prefetch_directory(const struct table *table, uint64_t hash) {
    if (likely((table->root & 1) != 0)) memory_prefetch(table_word_at(table->root, hash));
}

static inline void table_prefetch_bucket(const struct table *table, uint64_t hash) {
    uint64_t word = table_word(table->root, hash);
    if (unlikely(word == 0)) return;
    const struct table_segment *segment = (const struct table_segment *)table_word_pointer(word);
    unsigned position = table_position(hash, table_word_depth(word));
    memory_prefetch(segment); /* which an insert counts in: finds are no slower for it */
    memory_prefetch(&segment->buckets[table_home(position, table_word_size(word))]);
}

static inline table_element table_find(const struct table *table, uint64_t hash,
                                       table_matches *matches, const void *context,
                                       struct table_place *place) {
    uint64_t word = table_word(table->root, hash);
    if (unlikely(word == 0)) return 0;
    struct table_segment *segment = (struct table_segment *)table_word_pointer(word);
    unsigned size = table_word_size(word);
    unsigned position = table_position(hash, table_word_depth(word));
    unsigned at = table_home(position, size);
    unsigned reach = table_meta_reach(table_bucket_meta(&segment->buckets[at]));
    for (unsigned distance = 0;; distance++) {
        const struct table_bucket *bucket = &segment->buckets[at];
        uint32_t meta = table_bucket_meta(bucket);
        for (uint32_t mask = table_bucket_match(bucket, position & 0xff); mask != 0;
             mask &= mask - 1) {
            unsigned slot = (unsigned)__builtin_ctz(mask);
            table_element element = table_bucket_element(bucket, slot);
            if (table_meta_distance(meta, slot) != distance || element == 0) continue;
            if (!matches(context, element)) continue;
            if (place != NULL) *place = (struct table_place){segment, hash, at, slot};
            return element;
        }
        if (likely(distance == reach)) return 0;
        at = at + 1 == size ? 0 : at + 1;
    }
}

static inline bool table_matches_any(const void *context, table_element element) {
    (void)context;
    (void)element;
    return true;
}

static inline table_element table_candidate(const struct table *table, uint64_t hash) {
    return table_find(table, hash, table_matches_any, NULL, NULL);
}

static inline table_element table_candidate_at_home(const struct table *table, uint64_t hash,
                                                    bool *elsewhere) {
    *elsewhere = false;
    uint64_t word = table_word(table->root, hash);
    if (unlikely(word == 0)) return 0;
    const struct table_segment *segment = (const struct table_segment *)table_word_pointer(word);
    unsigned size = table_word_size(word);
    unsigned position = table_position(hash, table_word_depth(word));
    unsigned at = table_home(position, size);
    const struct table_bucket *bucket = &segment->buckets[at];
    uint32_t meta = table_bucket_meta(bucket);
    for (uint32_t mask = table_bucket_match(bucket, position & 0xff); mask != 0; mask &= mask - 1) {
        unsigned slot = (unsigned)__builtin_ctz(mask);
        table_element element = table_bucket_element(bucket, slot);
        if (table_meta_distance(meta, slot) == 0 && element != 0) return element;
    }
    /* There it may be, or come to stand. */
    memory_prefetch(&segment->buckets[at + 1 == size ? 0 : at + 1]);
    *elsewhere = table_meta_reach(meta) > 0;
    return 0;
}

static inline table_element table_place_element(const struct table_place *place) {
    return table_bucket_element(&place->segment->buckets[place->bucket], place->slot);
}

static inline bool table_may_change(const struct table *table, const struct table_place *place) {
    if (likely(table->epochs->frozen == 0)) return true;
    return !epoch_shared(table->epochs, place->segment->born) &&
           (table_bucket_meta(&place->segment->buckets[place->bucket]) >> place->slot & 1) != 0;
}

#endif
