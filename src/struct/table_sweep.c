/* table_sweep.c: finding the elements whose number is due.
 *
 *     page, bound 50        segment, bound 50    segment, bound 90    segment, none
 *
 * Bounds are only lowered when an element comes and never raised when one goes, so a sweep that
 * finds nothing due where a bound said so raises it: a segment's after looking at its elements, a
 * page's after a sweep went through all its segments from the first to the last. The page remembers
 * how far that is: `sweep_bound` is the least bound between its start and `sweep_covered`. Another
 * sweep that starts anew on the same page takes that back, and the first one then raises nothing.
 *
 * Must never hand out an element while it walks: `due` may change the table. */
#include "struct/table_node.h"

struct sweep {
    struct table *table;
    int64_t limit;
    int64_t (*bound_of)(void *context, table_element);
    void (*due)(void *context, table_element);
    void *context;
};

enum {
    PREFETCH_AHEAD = 12,
    DUE_MAX = 128, /* handed out at once: whoever sweeps looks at the clock in between */
};

/* Set the segment's bound to what was found. */
static void segment_raise(struct table *table, uint64_t hash, int64_t bound) {
    const struct table_segment *segment = table_word_pointer(table_word(table->root, hash));
    if (segment->bound != bound) table_segment_private(table, hash)->bound = bound;
}

static size_t segment_elements(const struct table_segment *segment, table_element *elements) {
    size_t count = 0;
    for (unsigned at = 0; at < segment->size; at++)
        for (unsigned slot = 0; slot < TABLE_SLOTS; slot++) {
            table_element element = table_bucket_element(&segment->buckets[at], slot);
            if (element != 0) elements[count++] = element;
        }
    return count;
}

/* Look at all elements of the segment, hand out those that are due, tighten its bound. True when
 * some are left for the next time, as enough were handed out of which some have gone. */
static bool segment_sweep(const struct sweep *sweep, uint64_t hash) {
    struct table *table = sweep->table;
    table_element elements[TABLE_ITEMS_MAX];
    const struct table_segment *segment = table_word_pointer(table_word(table->root, hash));
    unsigned depth = segment->depth;
    size_t count = segment_elements(segment, elements), due = 0;
    int64_t bound_all = TABLE_NO_BOUND, bound_rest = TABLE_NO_BOUND;
    for (size_t i = 0; i < count; i++) {
        if (i + PREFETCH_AHEAD < count) table_prefetch(table, elements[i + PREFETCH_AHEAD]);
        int64_t bound = sweep->bound_of(sweep->context, elements[i]);
        if (bound < bound_all) bound_all = bound;
        if (bound <= sweep->limit)
            elements[due++] = elements[i];
        else if (bound < bound_rest)
            bound_rest = bound;
    }
    size_t before = table->count;
    for (size_t i = 0; i < due; i++) {
        if (i >= DUE_MAX && table->count < before) return true;
        sweep->due(sweep->context, elements[i]);
    }
    /* What was not removed stays due, and what was merged with others is not known any more. */
    uint64_t word = table_word(table->root, hash);
    if (word == 0 || table_word_depth(word) != depth) return false;
    segment = table_word_pointer(word);
    segment_raise(table, hash, segment->count == count - due ? bound_rest : bound_all);
    return false;
}

/* The sweep enters a page at its start. */
static void page_begin(struct table *table, uint64_t cursor) {
    struct table_page *page = directory_page_private(table, cursor_hash(cursor));
    page->sweep_bound = TABLE_NO_BOUND;
    page->sweep_covered = cursor;
}

/* The sweep has passed a segment: between these cursors nothing is bound below `bound`. */
static void page_passed(struct table *table, uint64_t start, uint64_t end, int64_t bound) {
    if (directory_root(table) == NULL) return;
    const struct table_page *seen = directory_page(table, cursor_hash(start));
    uint64_t page_start = cursor_start(start, seen->prefix);
    uint64_t page_end = page_start + cursor_width(seen->prefix);
    if (seen->sweep_covered < start || seen->sweep_covered >= end || end > page_end) return;
    struct table_page *page = directory_page_private(table, cursor_hash(start));
    page->sweep_covered = end;
    if (page->sweep_bound > bound) page->sweep_bound = bound;
    if (end == page_end) page->bound = page->sweep_bound;
}

/* Where the sweep may go on when the page at the cursor has nothing due, else the cursor. */
static uint64_t page_skip(struct table *table, uint64_t cursor, int64_t limit) {
    if (directory_root(table) == NULL) return cursor;
    const struct table_page *page = directory_page(table, cursor_hash(cursor));
    uint64_t start = cursor_start(cursor, page->prefix);
    if (page->bound > limit) return start + cursor_width(page->prefix);
    if (cursor == start) page_begin(table, cursor);
    return cursor;
}

bool table_sweep(struct table *table, uint64_t *cursor, int64_t limit, size_t segments_max,
                 int64_t (*bound_of)(void *context, table_element),
                 void (*due)(void *context, table_element), void *context, bool *wrapped) {
    const struct sweep sweep = {table, limit, bound_of, due, context};
    uint64_t at = table->root != 0 ? *cursor & (TABLE_CURSOR_END - 1) : TABLE_CURSOR_END;
    bool visited = false;
    for (size_t looked = 0; looked < segments_max && at < TABLE_CURSOR_END && !visited; looked++) {
        uint64_t next = page_skip(table, at, limit);
        if (next == at) {
            uint64_t hash = cursor_hash(at);
            const struct table_segment *segment = table_word_pointer(table_word(table->root, hash));
            uint64_t start = cursor_start(at, segment->depth);
            next = start + cursor_width(segment->depth);
            visited = segment->bound <= limit;
            if (visited && segment_sweep(&sweep, hash)) break;
            uint64_t word = table_word(table->root, hash);
            if (word == 0) { /* the last elements of all were due */
                at = TABLE_CURSOR_END;
                break;
            }
            segment = table_word_pointer(word);
            page_passed(table, start, next, segment->bound);
        }
        at = next;
    }
    *wrapped = at == TABLE_CURSOR_END;
    *cursor = *wrapped ? 0 : at;
    return visited;
}
