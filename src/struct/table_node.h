/* table_node.h: what the files of the segment table share, and nobody else includes.
 *
 *     table_segment.c     one segment: slots, copies, building one from a list of items
 *     table_directory.c   root and pages: finding, making private, splitting and merging them
 *     table_grow.c        a segment grows, splits, shrinks, merges with its buddy
 *     table.c             insert, replace, remove, bounds
 *     table_scan.c        scan, random element
 *     table_sweep.c       elements that are due
 *     table_view.c        how far views have been read, and what of them is free
 *     table_check.c       every invariant
 *
 * Privacy goes upwards: a segment that no view can see stands in a page that none can see, and that
 * in such a root; but for segments that all views have passed, which are taken back where they
 * stand. So what changes a word makes page and root private first, and what changes a segment in
 * place needs to look at its birth alone. */
#ifndef REDSTART_STRUCT_TABLE_NODE_H
#define REDSTART_STRUCT_TABLE_NODE_H

#include "struct/table.h"

enum {
    TABLE_SIZE_MAX = 79,    /* buckets of the largest segment */
    TABLE_SIZE_EXACT = 32,  /* from here on, bucket and tag give the position back */
    TABLE_DISTANCE_MAX = 3, /* from home */
    TABLE_LOAD_MAX = 90,    /* percent: beyond, a segment grows */
    TABLE_PAGE_DEPTH_MAX = 9,
    TABLE_PAGE_DEPTH_MERGE = 6, /* two pages at most this deep become one */
    TABLE_ITEMS_MAX = TABLE_SIZE_MAX * TABLE_SLOTS,
    /* Elements of two buddies that become one segment. Few: where a sweep has emptied all on one
     * side, those of the other stand close together in the merged one, and many would not fit. */
    TABLE_MERGE_MAX = TABLE_ITEMS_MAX / 8,
};

/* An element on its way from one segment to another. */
struct table_item {
    table_element element;
    uint32_t position; /* in the segment that it goes to */
    bool fresh;
};

/* -- table_segment.c ----------------------------------------------------------------------------
 */

static inline size_t segment_bytes(unsigned size) {
    return sizeof(struct table_segment) + (size_t)size * TABLE_BUCKET_SIZE;
}
static inline uint64_t segment_word(const struct table_segment *segment) {
    return (uint64_t)(uintptr_t)segment | (uint64_t)segment->size << 48 |
           (uint64_t)segment->depth << 56;
}
static inline uint64_t table_hash(const struct table *table, table_element element) {
    return table->owner->hash(table->owner->context, element);
}
static inline void table_prefetch(const struct table *table, table_element element) {
    if (table->owner->prefetch != NULL) table->owner->prefetch(table->owner->context, element);
}

struct table_segment *segment_create(struct table *table, unsigned size, unsigned depth,
                                     int64_t bound);
/* A copy of one that is shared: nothing in it is fresh. */
struct table_segment *segment_copy(struct table *table, const struct table_segment *segment);
/* One that all views have passed: it is the present's alone again, with all in it. */
void segment_take(struct table *table, struct table_segment *segment);
/* Releases it (epoch_release); the owner is its pool. */
void segment_free(void *pool, uint64_t node);
/* It is no longer part of the table: free it, or retire it when a view can see it. Moves nothing.
 */
void segment_drop(struct table *table, struct table_segment *segment);
/* Free a segment of this size of a table that goes. */
void segment_release(struct table *table, struct table_segment *segment, unsigned size);
/* Move some segments to where their pool has holes: no address of one may be held across it. */
void segments_tidy(struct table *table);
/* The smallest size that holds so many at the load after a resize; at most the largest. */
unsigned segment_size_for(size_t count);
/* The next larger size; 0 after the largest. */
unsigned segment_size_after(unsigned size);
/* How many elements it may hold before it grows. */
static inline unsigned segment_limit(unsigned size) {
    return size < TABLE_SIZE_EXACT ? size * TABLE_SLOTS : size * TABLE_SLOTS * TABLE_LOAD_MAX / 100;
}

static inline void bucket_set_meta(struct table_bucket *bucket, uint32_t meta) {
    memcpy(bucket->bytes + TABLE_SLOTS, &meta, sizeof(meta));
}

static inline void bucket_set(struct table_bucket *bucket, unsigned slot, unsigned tag,
                              table_element element, bool fresh, unsigned distance) {
    uint32_t low = (uint32_t)element;
    uint8_t *at = bucket->bytes + TABLE_SLOTS + sizeof(uint32_t) + (size_t)slot * 5;
    memcpy(at, &low, sizeof(low));
    at[4] = (uint8_t)(element >> 32);
    bucket->bytes[slot] = (uint8_t)tag;
    uint32_t meta = table_bucket_meta(bucket);
    meta &= ~(1u << slot | 3u << (TABLE_SLOTS + 2 * slot));
    meta |= (uint32_t)fresh << slot | distance << (TABLE_SLOTS + 2 * slot);
    bucket_set_meta(bucket, meta);
}

/* Into the free slot that is nearest to its home; false when there is none. */
bool segment_put(struct table_segment *segment, const struct table_item *item,
                 struct table_place *place);
void segment_remove(struct table_segment *segment, unsigned bucket, unsigned slot);
/* All elements with their positions in this segment. Asks for hashes when it is small. */
size_t segment_gather(const struct table *table, const struct table_segment *segment,
                      struct table_item *items);
/* A segment with these items; NULL when some finds no place near its home. */
struct table_segment *segment_build(struct table *table, const struct table_item *items,
                                    size_t count, unsigned size, unsigned depth, int64_t bound);

/* -- table_directory.c --------------------------------------------------------------------------
 */

static inline struct table_root *directory_root(const struct table *table) {
    return table->root & 1 ? (struct table_root *)table_word_pointer(table->root) : NULL;
}
static inline size_t root_bytes(unsigned depth) {
    return sizeof(struct table_root) + (sizeof(uint64_t) << depth);
}
static inline size_t page_bytes(unsigned depth) {
    return sizeof(struct table_page) + (sizeof(uint64_t) << depth);
}
static inline uint64_t root_word(const struct table_root *root) {
    return (uint64_t)(uintptr_t)root | 1 | (uint64_t)(63 - root->depth) << 56;
}
static inline uint64_t page_word(const struct table_page *page) {
    return (uint64_t)(uintptr_t)page | (uint64_t)page->depth << 48 |
           (uint64_t)((64 - page->prefix - page->depth) & 63) << 56;
}
static inline size_t root_index(const struct table_root *root, uint64_t hash) {
    return (size_t)((hash >> 1) >> (63 - root->depth));
}
static inline size_t page_index(const struct table_page *page, uint64_t hash) {
    return (size_t)(hash >> ((64 - page->prefix - page->depth) & 63)) &
           (((size_t)1 << page->depth) - 1);
}
static inline struct table_page *directory_page(const struct table *table, uint64_t hash) {
    const struct table_root *root = directory_root(table);
    return (struct table_page *)table_word_pointer(root->words[root_index(root, hash)]);
}

/* The page for this hash, with its root, as only the present sees them. */
struct table_page *directory_page_private(struct table *table, uint64_t hash);
/* Another segment in the place of the one for this hash, of the same depth. */
void directory_set(struct table *table, uint64_t hash, struct table_segment *segment);
/* Two segments in the place of the one for this hash. */
void directory_split(struct table *table, uint64_t hash, struct table_segment *left,
                     struct table_segment *right);
/* One segment in the place of the two that differ in the last bit of their depth. */
void directory_merge(struct table *table, uint64_t hash, struct table_segment *segment);
/* A directory of segments of this depth, all of this size, for an empty table. */
void directory_presize(struct table *table, unsigned depth, unsigned size);
void directory_release(struct table *table);

/* -- table_grow.c -------------------------------------------------------------------------------
 */

/* Make room for one more element of this hash; the caller looks whether it is enough. */
void table_grow(struct table *table, uint64_t hash);
/* An element of this segment was removed. */
void table_shrink(struct table *table, uint64_t hash, struct table_segment *segment);

/* -- table.c ------------------------------------------------------------------------------------
 */

/* The segment for this hash, as only the present sees it. */
struct table_segment *table_segment_private(struct table *table, uint64_t hash);
/* Insert, without counting. */
void table_put(struct table *table, uint64_t hash, table_element element, bool fresh,
               struct table_place *place);

/* -- places in the space of hashes, in units of cursors ------------------------------------------
 */

#define TABLE_CURSOR_END (UINT64_C(1) << TABLE_CURSOR_BITS)

/* Where a node with a prefix of `depth` bits around `cursor` begins, and how wide it is. */
static inline uint64_t cursor_width(unsigned depth) {
    return TABLE_CURSOR_END >> depth;
}
static inline uint64_t cursor_start(uint64_t cursor, unsigned depth) {
    return cursor & ~(cursor_width(depth) - 1);
}
static inline uint64_t cursor_of_hash(uint64_t hash) {
    return hash >> (64 - TABLE_CURSOR_BITS);
}
static inline uint64_t cursor_hash(uint64_t cursor) {
    return cursor << (64 - TABLE_CURSOR_BITS);
}
/* -- table_view.c -------------------------------------------------------------------------------
 */

/* Have all views of the table that were opened in `epoch` or later passed the segment? */
bool views_have_passed(const struct table *table, const struct table_segment *segment,
                       uint32_t epoch);
/* The segment was retired: free it once the view that sees it has passed it. Frees some that waited
 * longer. */
void views_release_passed(struct table *table, const struct table_segment *segment,
                          struct epoch_limbo_record *record);

/* The bucket at the cursor in a segment, its elements, and the cursor behind it. */
typedef void table_bucket_visit(void *context, table_element element);
uint64_t segment_scan_bucket(const struct table_segment *segment, uint64_t cursor,
                             table_visit *visit, void *context);

#endif
