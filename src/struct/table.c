/* table.c: the segment table's operations on one element.
 *
 * Owns nothing beyond the table's nodes: elements are the owner's, before, in and after the table.
 * All changes of a segment in place happen here, after making it private. */
#include "struct/table.h"
#include "base/memory.h"
#include "base/prefetch.h"
#include "struct/table_node.h"

void table_init(struct table *table, struct epochs *epochs, const struct table_owner *owner) {
    *table = (struct table){.epochs = epochs, .owner = owner};
}

void table_release(struct table *table) {
    if (directory_root(table) != NULL)
        directory_release(table);
    else if (table->root != 0)
        segment_release(table, table_word_pointer(table->root), table_word_size(table->root));
    table->root = 0;
    table->count = table->bytes = 0;
}

size_t table_size(const struct table *table) {
    return table->bytes;
}

void table_presize(struct table *table, size_t count) {
    if (table->root != 0 || count == 0) return;
    unsigned depth = 0;
    /* So that nearly all segments stay below the load at which they grow. */
    while ((count >> depth) > (size_t)TABLE_ITEMS_MAX * 3 / 4 && depth < TABLE_DEPTH_MAX)
        depth++;
    directory_presize(table, depth, segment_size_for((count >> depth) + 1));
}

struct table_segment *table_segment_private(struct table *table, uint64_t hash) {
    struct table_segment *segment = table_word_pointer(table_word(table->root, hash));
    if (!epoch_shared(table->epochs, segment->born)) return segment;
    if (views_have_passed(table, segment, 0)) {
        segment_take(table, segment);
        return segment;
    }
    struct table_segment *copy = segment_copy(table, segment);
    directory_set(table, hash, copy);
    segment_drop(table, segment);
    return copy;
}

void table_put(struct table *table, uint64_t hash, table_element element, bool fresh,
               struct table_place *place) {
    if (unlikely(table->root == 0))
        table->root = segment_word(segment_create(table, 1, 0, TABLE_NO_BOUND));
    for (;;) {
        uint64_t word = table_word(table->root, hash);
        const struct table_segment *segment = table_word_pointer(word);
        unsigned size = table_word_size(word);
        struct table_item item = {.element = element,
                                  .position = table_position(hash, table_word_depth(word)),
                                  .fresh = fresh};
        /* From the word alone, so that the misses of header and bucket overlap. */
        memory_prefetch_to_write(&segment->buckets[table_home(item.position, size)]);
        if (likely(segment->count < segment_limit(size))) {
            place->hash = hash;
            if (likely(segment_put(table_segment_private(table, hash), &item, place))) return;
        }
        table_grow(table, hash);
    }
}

void table_insert(struct table *table, uint64_t hash, table_element element,
                  struct table_place *place) {
    INVARIANT(element != 0 && element >> TABLE_ELEMENT_BITS == 0);
    struct table_place ignored;
    table_put(table, hash, element, true, place != NULL ? place : &ignored);
    table->count++;
}

/* The place's segment as only the present sees it; the place follows. */
static struct table_segment *place_private(struct table *table, struct table_place *place) {
    place->segment = table_segment_private(table, place->hash);
    return place->segment;
}

void table_replace(struct table *table, struct table_place *place, table_element element) {
    INVARIANT(element != 0 && element >> TABLE_ELEMENT_BITS == 0);
    struct table_bucket *bucket = &place_private(table, place)->buckets[place->bucket];
    unsigned distance = table_meta_distance(table_bucket_meta(bucket), place->slot);
    bucket_set(bucket, place->slot, bucket->bytes[place->slot], element, true, distance);
}

void table_remove(struct table *table, struct table_place *place) {
    struct table_segment *segment = place_private(table, place);
    INVARIANT(table_bucket_element(&segment->buckets[place->bucket], place->slot) != 0);
    segment_remove(segment, place->bucket, place->slot);
    table->count--;
    table_shrink(table, place->hash, segment);
    segments_tidy(table);
}

void table_note_bound(struct table *table, struct table_place *place, int64_t bound) {
    if (place->segment->bound > bound) place_private(table, place)->bound = bound;
    if (directory_root(table) == NULL) return;
    const struct table_page *page = directory_page(table, place->hash);
    bool swept = cursor_of_hash(place->hash) < page->sweep_covered;
    if (page->bound <= bound && (!swept || page->sweep_bound <= bound)) return;
    struct table_page *private_page = directory_page_private(table, place->hash);
    if (private_page->bound > bound) private_page->bound = bound;
    if (private_page->sweep_bound > bound) private_page->sweep_bound = bound;
}
