/* table_grow.c: segments that grow, split, shrink and merge.
 *
 *     buckets     39 -> 47 -> 55 -> 63 -> 79 -> two of about 47          when 90 % full, or when
 * the
 *                  <---- half empty, to 78 % at most ----                four buckets are
 *     two buddies with at most 98 elements between them -> one
 *
 * One change of an element causes at most one of these steps, but for hashes that share so many
 * bits that the halves of a split still do not fit. A shrunk segment must lose a third of its
 * elements, a grown one gain a tenth, before the next step: nothing oscillates. */
#include "struct/table_node.h"

enum { PREFETCH_AHEAD = 32 };

/* Build at the smallest size from `size` on that takes all; NULL when not even the largest does. */
static struct table_segment *build_from(struct table *table, const struct table_item *items,
                                        size_t count, unsigned size, unsigned depth,
                                        int64_t bound) {
    for (; size != 0; size = segment_size_after(size)) {
        if (count > segment_limit(size)) continue;
        struct table_segment *segment = segment_build(table, items, count, size, depth, bound);
        if (segment != NULL) return segment;
    }
    return NULL;
}

/* Put elements back one by one that no segment takes at once: each may split further. */
static void put_again(struct table *table, const struct table_item *items, size_t count) {
    for (size_t i = 0; i < count; i++) {
        struct table_place place;
        uint64_t hash = table_hash(table, items[i].element);
        table_put(table, hash, items[i].element, items[i].fresh, &place);
    }
}

/* Split the items of a segment of this depth into those of its halves, the second from the end of
 * the array downwards; sets their positions there. Returns how many are in the first. */
static size_t items_split(const struct table *table, const struct table_item *items, size_t count,
                          unsigned depth, struct table_item *halves) {
    size_t left = 0, right = TABLE_ITEMS_MAX;
    for (size_t i = 0; i < count; i++) {
        if (i + PREFETCH_AHEAD < count) table_prefetch(table, items[i + PREFETCH_AHEAD].element);
        uint64_t hash = table_hash(table, items[i].element);
        INVARIANT(table_position(hash, depth) == items[i].position);
        struct table_item *item = (hash << depth >> 63) != 0 ? &halves[--right] : &halves[left++];
        *item = items[i];
        item->position = table_position(hash, depth + 1);
    }
    return left;
}

static void segment_split(struct table *table, uint64_t hash, struct table_segment *segment,
                          const struct table_item *items, size_t count) {
    struct table_item halves[TABLE_ITEMS_MAX];
    unsigned depth = segment->depth;
    if (depth >= TABLE_DEPTH_MAX)
        invariant_panic("table: more than 40 elements share %u bits of their hashes", depth);
    size_t counts[2];
    counts[0] = items_split(table, items, count, depth, halves);
    counts[1] = count - counts[0];
    struct table_item *parts[2] = {halves, halves + TABLE_ITEMS_MAX - counts[1]};

    struct table_segment *built[2];
    bool fits[2];
    for (unsigned half = 0; half < 2; half++) {
        built[half] = build_from(table, parts[half], counts[half], segment_size_for(counts[half]),
                                 depth + 1, segment->bound);
        fits[half] = built[half] != NULL;
        if (!fits[half])
            built[half] = segment_create(table, TABLE_SIZE_MAX, depth + 1, segment->bound);
    }
    directory_split(table, hash, built[0], built[1]);
    segment_drop(table, segment);
    for (unsigned half = 0; half < 2; half++)
        if (!fits[half]) put_again(table, parts[half], counts[half]);
}

void table_grow(struct table *table, uint64_t hash) {
    segments_tidy(table);
    struct table_item items[TABLE_ITEMS_MAX];
    struct table_segment *segment = table_word_pointer(table_word(table->root, hash));
    size_t count = segment_gather(table, segment, items);
    unsigned size = segment_size_after(segment->size);
    while (size != 0 && count + 1 > segment_limit(size))
        size = segment_size_after(size);
    struct table_segment *larger =
        build_from(table, items, count, size, segment->depth, segment->bound);
    if (larger == NULL) {
        segment_split(table, hash, segment, items, count);
        return;
    }
    directory_set(table, hash, larger);
    segment_drop(table, segment);
}

/* -- the way down -------------------------------------------------------------------------------
 */

static size_t gather_half(const struct table *table, const struct table_segment *segment,
                          unsigned half, struct table_item *items) {
    size_t count = segment_gather(table, segment, items);
    for (size_t i = 0; i < count; i++)
        items[i].position = items[i].position >> 1 | half << (TABLE_POSITION_BITS - 1);
    return count;
}

/* Merge the segment with its buddy, if there is one of the same depth and both are small. */
static bool segment_merge(struct table *table, uint64_t hash, struct table_segment *segment) {
    unsigned depth = segment->depth;
    if (depth == 0) return false;
    uint64_t bit = UINT64_C(1) << (64 - depth);
    uint64_t word = table_word(table->root, hash ^ bit);
    if (table_word_depth(word) != depth) return false;
    struct table_segment *buddy = table_word_pointer(word);
    if ((size_t)segment->count + buddy->count > TABLE_MERGE_MAX) return false;

    struct table_item items[TABLE_ITEMS_MAX];
    struct table_segment *left = hash & bit ? buddy : segment;
    struct table_segment *right = hash & bit ? segment : buddy;
    size_t count = gather_half(table, left, 0, items);
    count += gather_half(table, right, 1, items + count);
    int64_t bound = left->bound < right->bound ? left->bound : right->bound;
    struct table_segment *merged =
        build_from(table, items, count, segment_size_for(count), depth - 1, bound);
    if (merged == NULL) return false;
    directory_merge(table, hash, merged);
    segment_drop(table, left);
    segment_drop(table, right);
    return true;
}

/* Nothing left: no node either. */
static void table_become_empty(struct table *table, struct table_segment *segment) {
    table->root = 0;
    segment_drop(table, segment);
}

/* Eight counts from each power of two to the next. Elements that a sweep or a merge has left close
 * together may fit nothing smaller: the next try comes when some more are gone. */
static bool is_worth_a_look(unsigned count) {
    enum { ALL_BELOW = 16 };
    if (count < ALL_BELOW) return true;
    unsigned top = 31 - (unsigned)__builtin_clz(count);
    return (count & ((1u << (top - 3)) - 1)) == 0;
}

void table_shrink(struct table *table, uint64_t hash, struct table_segment *segment) {
    unsigned count = segment->count;
    if (!is_worth_a_look(count)) return;
    if (count <= TABLE_MERGE_MAX && segment_merge(table, hash, segment)) {
        segment = table_word_pointer(table_word(table->root, hash));
        while (segment->count == 0 && segment_merge(table, hash, segment))
            segment = table_word_pointer(table_word(table->root, hash));
        if (segment->count > 0) return;
    }
    if (segment->count == 0 && segment->depth == 0) {
        table_become_empty(table, segment);
        return;
    }
    if (count * 2 >= (unsigned)segment->size * TABLE_SLOTS) return;
    unsigned size = segment_size_for(count);
    if (size >= segment->size) return;
    struct table_item items[TABLE_ITEMS_MAX];
    segment_gather(table, segment, items);
    struct table_segment *smaller =
        segment_build(table, items, count, size, segment->depth, segment->bound);
    if (smaller == NULL) return;
    directory_set(table, hash, smaller);
    segment_drop(table, segment);
}
