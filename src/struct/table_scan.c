/* table_scan.c: walking the table in the order of hashes, and picking from it at random.
 *
 * A cursor is a place in the space of hashes, in units of 2^16: everything before it has been
 * returned. It names a bucket of whatever structure there is when it is used, and that bucket is
 * returned whole, with the elements that are displaced from it. A segment of depth L has its bucket
 * borders at multiples of 2^(35 - L), so at depth 34 two still differ.
 *
 * Must never write: views are read with it on other threads. */
#include "struct/table_node.h"

/* -- scan ---------------------------------------------------------------------------------------
 */

/* Calls `each` for the elements of one home, wherever they stand. */
static void home_visit(const struct table_segment *segment, unsigned home, table_visit *visit,
                       void *context) {
    unsigned reach = table_meta_reach(table_bucket_meta(&segment->buckets[home]));
    for (unsigned distance = 0; distance <= reach; distance++) {
        const struct table_bucket *bucket = &segment->buckets[(home + distance) % segment->size];
        uint32_t meta = table_bucket_meta(bucket);
        for (unsigned slot = 0; slot < TABLE_SLOTS; slot++) {
            table_element element = table_bucket_element(bucket, slot);
            if (element != 0 && table_meta_distance(meta, slot) == distance)
                visit(context, element);
        }
    }
}

static unsigned cursor_home(const struct table_segment *segment, uint64_t cursor) {
    return table_home(table_position(cursor_hash(cursor), segment->depth), segment->size);
}

/* Where the bucket after `home` begins, in the space of hashes around the cursor. */
static uint64_t cursor_after(const struct table_segment *segment, uint64_t cursor, unsigned home) {
    uint64_t next = ((uint64_t)(home + 1) << TABLE_POSITION_BITS) + segment->size - 1;
    unsigned shift = TABLE_CURSOR_BITS - TABLE_POSITION_BITS - segment->depth;
    return cursor_start(cursor, segment->depth) + (next / segment->size << shift);
}

uint64_t segment_scan_bucket(const struct table_segment *segment, uint64_t cursor,
                             table_visit *visit, void *context) {
    unsigned home = cursor_home(segment, cursor);
    home_visit(segment, home, visit, context);
    return cursor_after(segment, cursor, home);
}

static uint64_t scan(uint64_t root, uint64_t cursor, table_visit *visit, void *context) {
    cursor &= TABLE_CURSOR_END - 1;
    uint64_t word = table_word(root, cursor_hash(cursor));
    if (word == 0) return 0;
    const struct table_segment *segment = table_word_pointer(word);
    return segment_scan_bucket(segment, cursor, visit, context) & (TABLE_CURSOR_END - 1);
}

/* Bring nearer what home_visit will hand out. */
static void home_prefetch(const struct table *table, uint64_t cursor) {
    uint64_t word = table_word(table->root, cursor_hash(cursor));
    if (word == 0) return;
    const struct table_segment *segment = table_word_pointer(word);
    const struct table_bucket *bucket = &segment->buckets[cursor_home(segment, cursor)];
    for (unsigned slot = 0; slot < TABLE_SLOTS; slot++) {
        table_element element = table_bucket_element(bucket, slot);
        if (element != 0) table_prefetch(table, element);
    }
}

uint64_t table_scan(const struct table *table, uint64_t cursor, table_visit *visit, void *context) {
    if (table->owner->prefetch != NULL) home_prefetch(table, cursor & (TABLE_CURSOR_END - 1));
    return scan(table->root, cursor, visit, context);
}

uint64_t table_scan_bounded(const struct table *table, uint64_t cursor, int64_t limit,
                            size_t hops_max, table_visit *visit, void *context) {
    cursor &= TABLE_CURSOR_END - 1;
    for (size_t hops = 0; hops < hops_max && cursor < TABLE_CURSOR_END; hops++) {
        uint64_t word = table_word(table->root, cursor_hash(cursor));
        if (word == 0) return 0;
        const struct table_page *page =
            directory_root(table) ? directory_page(table, cursor_hash(cursor)) : NULL;
        const struct table_segment *segment = table_word_pointer(word);
        if (page && page->bound > limit)
            cursor = cursor_start(cursor, page->prefix) + cursor_width(page->prefix);
        else if (segment->bound > limit)
            cursor = cursor_start(cursor, segment->depth) + cursor_width(segment->depth);
        else
            return table_scan(table, cursor, visit, context);
    }
    return cursor & (TABLE_CURSOR_END - 1);
}

uint64_t table_view_scan(const struct table_view *view, uint64_t cursor, table_visit *visit,
                         void *context) {
    INVARIANT(cursor >= view->passed); /* which only this thread moves */
    return scan(view->root, cursor, visit, context);
}

/* -- random -------------------------------------------------------------------------------------
 */

/* With random hashes a try succeeds once in two or three in a full table, in ten in the emptiest.
 */
enum { RANDOM_TRIES_MAX = 400 };

static unsigned depth_max(const struct table *table) {
    const struct table_root *root = directory_root(table);
    if (root == NULL) return 0;
    unsigned depth = TABLE_DEPTH_MAX;
    while (root->segments[depth] == 0)
        depth--;
    return depth;
}

/* One try: a place in the space of hashes chooses a segment, with a probability of 2^-L, of which
 * as many are let pass as makes it the same for each; then a slot out of as many as a segment can
 * have. */
static table_element random_try(const struct table *table, unsigned depth, unsigned slots,
                                uint64_t hash, uint64_t choice) {
    uint64_t word = table_word(table->root, hash);
    unsigned shallower = depth - table_word_depth(word);
    if (shallower > 31 || (choice & ((UINT64_C(1) << shallower) - 1)) != 0) return 0;
    unsigned at = (unsigned)((choice >> 32) * slots >> 32);
    if (at >= table_word_size(word) * TABLE_SLOTS) return 0;
    const struct table_segment *segment = table_word_pointer(word);
    return table_bucket_element(&segment->buckets[at / TABLE_SLOTS], at % TABLE_SLOTS);
}

struct random_pick {
    table_element elements[TABLE_SLOTS * (TABLE_DISTANCE_MAX + 1)];
    unsigned count;
};

static void random_collect(void *context, table_element element) {
    struct random_pick *pick = context;
    pick->elements[pick->count++] = element;
}

/* Any element behind a random place: fair enough for tables whose hashes are not. */
static table_element random_near(const struct table *table, uint64_t hash, uint64_t choice) {
    uint64_t cursor = cursor_of_hash(hash);
    struct random_pick pick = {.count = 0};
    while (pick.count == 0) {
        const struct table_segment *segment =
            table_word_pointer(table_word(table->root, cursor_hash(cursor)));
        if (segment->count == 0)
            cursor = cursor_start(cursor, segment->depth) + cursor_width(segment->depth);
        else
            cursor = segment_scan_bucket(segment, cursor, random_collect, &pick);
        cursor &= TABLE_CURSOR_END - 1;
    }
    return pick.elements[choice % pick.count];
}

table_element table_random(const struct table *table, uint64_t (*random)(void *), void *context) {
    if (table->count == 0) return 0;
    unsigned depth = depth_max(table);
    unsigned size = depth == 0 ? table_word_size(table_word(table->root, 0)) : TABLE_SIZE_MAX;
    for (unsigned i = 0; i < RANDOM_TRIES_MAX; i++) {
        uint64_t hash = random(context), choice = random(context);
        table_element element = random_try(table, depth, size * TABLE_SLOTS, hash, choice);
        if (element != 0) return element;
    }
    uint64_t hash = random(context), choice = random(context);
    return random_near(table, hash, choice);
}
