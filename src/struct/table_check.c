/* table_check.c: looks at every node and element of a table, for tests and DEBUG: what it checks is
 * the list of the table's invariants. */
#include "struct/table_node.h"

struct check {
    const struct table *table;
    struct table_report report;
    size_t count;
    uint32_t segments[TABLE_DEPTH_MAX + 1];
};

static void check_bucket(struct check *check, const struct table_segment *segment, uint64_t prefix,
                         unsigned at) {
    const struct table_bucket *bucket = &segment->buckets[at];
    uint32_t meta = table_bucket_meta(bucket);
    for (unsigned slot = 0; slot < TABLE_SLOTS; slot++) {
        table_element element = table_bucket_element(bucket, slot);
        unsigned distance = table_meta_distance(meta, slot);
        if (element == 0) {
            INVARIANT(distance == 0 && (meta >> slot & 1) == 0);
            continue;
        }
        uint64_t hash = table_hash(check->table, element);
        unsigned position = table_position(hash, segment->depth);
        unsigned home = table_home(position, segment->size);
        INVARIANT(cursor_start(cursor_of_hash(hash), segment->depth) == prefix);
        INVARIANT((home + distance) % segment->size == at);
        INVARIANT(bucket->bytes[slot] == (position & 0xff));
        INVARIANT(distance < segment->size);
        INVARIANT(distance <= table_meta_reach(table_bucket_meta(&segment->buckets[home])));
        check->report.displaced += distance > 0;
        check->count++;
    }
}

/* Returns the segment's bound. */
static int64_t check_segment(struct check *check, uint64_t word, uint64_t prefix) {
    const struct table_segment *segment = table_word_pointer(word);
    INVARIANT(segment_word(segment) == word);
    INVARIANT(segment->depth <= TABLE_DEPTH_MAX && segment->size <= TABLE_SIZE_MAX);
    INVARIANT(segment->born <= check->table->epochs->now);
    INVARIANT(segment->table == check->table);
    INVARIANT(cursor_start(cursor_of_hash(segment->hash), segment->depth) == prefix);
    size_t before = check->count;
    for (unsigned at = 0; at < segment->size; at++)
        check_bucket(check, segment, prefix, at);
    INVARIANT(check->count - before == segment->count);
    check->segments[segment->depth]++;
    check->report.segments++;
    check->report.buckets += segment->size;
    check->report.bytes += segment_bytes(segment->size);
    return segment->bound;
}

static void check_page(struct check *check, const struct table_page *page, uint64_t prefix) {
    unsigned depth = (unsigned)page->prefix + page->depth, deepest = 0;
    INVARIANT(page->depth <= TABLE_PAGE_DEPTH_MAX);
    for (size_t i = 0; i < (size_t)1 << page->depth;) {
        uint64_t word = page->words[i], start = prefix + i * cursor_width(depth);
        unsigned below = table_word_depth(word);
        INVARIANT(below >= page->prefix && below <= depth);
        INVARIANT(cursor_start(start, below) == start);
        int64_t bound = check_segment(check, word, start);
        INVARIANT(page->bound <= bound);
        const struct table_segment *segment = table_word_pointer(word);
        INVARIANT(!epoch_shared(check->table->epochs, page->born) ||
                  epoch_shared(check->table->epochs, segment->born) ||
                  views_have_passed(check->table, segment, 0));
        deepest += below == depth;
        for (size_t end = i + ((size_t)1 << (depth - below)); i < end; i++)
            INVARIANT(page->words[i] == word);
    }
    INVARIANT(deepest == page->deepest && deepest > 0);
    check->report.pages++;
    check->report.bytes += page_bytes(page->depth);
}

static void check_root(struct check *check, const struct table_root *root) {
    unsigned deepest = 0;
    for (size_t i = 0; i < (size_t)1 << root->depth;) {
        uint64_t word = root->words[i], start = i * cursor_width(root->depth);
        const struct table_page *page = table_word_pointer(word);
        INVARIANT(page_word(page) == word);
        INVARIANT(page->prefix <= root->depth);
        INVARIANT(cursor_start(start, page->prefix) == start);
        INVARIANT(!epoch_shared(check->table->epochs, root->born) ||
                  epoch_shared(check->table->epochs, page->born));
        check_page(check, page, start);
        deepest += page->prefix == root->depth;
        for (size_t end = i + ((size_t)1 << (root->depth - page->prefix)); i < end; i++)
            INVARIANT(root->words[i] == word);
    }
    INVARIANT(deepest == root->deepest && deepest > 0);
    INVARIANT(check->report.pages == root->pages);
    INVARIANT(memcmp(check->segments, root->segments, sizeof(check->segments)) == 0);
    INVARIANT(check->report.segments > 1);
    check->report.bytes += root_bytes(root->depth);
}

struct table_report table_check(const struct table *table) {
    struct check check = {.table = table};
    const struct table_root *root = directory_root(table);
    if (root != NULL)
        check_root(&check, root);
    else if (table->root != 0)
        check_segment(&check, table->root, 0);
    INVARIANT(check.count == table->count);
    INVARIANT(check.report.bytes == table->bytes);
    return check.report;
}
