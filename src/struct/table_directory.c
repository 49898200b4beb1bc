/* table_directory.c: root and pages of the table.
 *
 *     root, r = 2          pages                     A page serves all hashes with its prefix; it
 * has 00 --+               prefix 1 bit, d = 3       2^d words, and 2^(r - prefix) words of the
 * root 01 --+-------------> [ . . . . . . . . ]       point to it. d is the depth of its deepest 10
 * ----------------> prefix 2, d = 2           segment and never more than 9: a page that 11
 * ----------------> prefix 2, d = 0           would grow beyond splits in two.
 *
 * All segments below a page have at least its prefix, and a page with more than one segment has
 * none that is as wide as itself: so a page can always be split between segments.
 *
 * Every step touches one page (two when they merge) and the root. Must never write into a root or
 * page that a view can see: it is copied first, and the old one retired. */
#include "base/memory.h"
#include "struct/table_node.h"

static void node_free(void *owner, uint64_t node) {
    (void)owner;
    memory_free((void *)(uintptr_t)node);
}

static void node_drop(struct table *table, void *node, uint32_t born, size_t bytes) {
    table->bytes -= bytes;
    if (epoch_shared(table->epochs, born))
        epochs_retire(table->epochs, node_free, NULL, (uint64_t)(uintptr_t)node, bytes);
    else
        memory_free(node);
}

/* -- root ---------------------------------------------------------------------------------------
 */

/* A root of another depth, with words not yet set; all else as in `from`, which may be NULL. */
static struct table_root *root_create(struct table *table, unsigned depth,
                                      const struct table_root *from) {
    size_t bytes = root_bytes(depth);
    struct table_root *root = memory_alloc_aligned(TABLE_BUCKET_SIZE, bytes);
    if (from != NULL)
        *root = *from;
    else
        memset(root, 0, sizeof(*root));
    root->born = table->epochs->now;
    root->depth = depth;
    table->bytes += bytes;
    return root;
}

static void root_install(struct table *table, struct table_root *root) {
    struct table_root *old = directory_root(table);
    table->root = root_word(root);
    if (old != NULL) node_drop(table, old, old->born, root_bytes(old->depth));
}

static struct table_root *root_private(struct table *table) {
    struct table_root *root = directory_root(table);
    if (!epoch_shared(table->epochs, root->born)) return root;
    struct table_root *copy = root_create(table, root->depth, root);
    memcpy(copy->words, root->words, sizeof(uint64_t) << root->depth);
    root_install(table, copy);
    return copy;
}

static void root_double(struct table *table) {
    const struct table_root *root = directory_root(table);
    struct table_root *wide = root_create(table, root->depth + 1, root);
    for (size_t i = 0; i < (size_t)1 << wide->depth; i++)
        wide->words[i] = root->words[i / 2];
    wide->deepest = 0;
    root_install(table, wide);
}

static unsigned root_word_prefix(uint64_t word) {
    return ((const struct table_page *)table_word_pointer(word))->prefix;
}

/* No page needs the last bits of the root any more. */
static void root_narrow(struct table *table) {
    const struct table_root *root = directory_root(table);
    unsigned depth = 0;
    for (size_t i = 0; i < (size_t)1 << root->depth;) {
        unsigned prefix = root_word_prefix(root->words[i]);
        if (prefix > depth) depth = prefix;
        i += (size_t)1 << (root->depth - prefix);
    }
    struct table_root *narrow = root_create(table, depth, root);
    narrow->deepest = 0;
    for (size_t i = 0; i < (size_t)1 << depth; i++) {
        narrow->words[i] = root->words[i << (root->depth - depth)];
        narrow->deepest += root_word_prefix(narrow->words[i]) == depth;
    }
    root_install(table, narrow);
}

/* Point all words for this page's prefix to it. The root is private. */
static void root_set(struct table_root *root, uint64_t hash, const struct table_page *page) {
    size_t span = (size_t)1 << (root->depth - page->prefix);
    size_t first = root_index(root, hash) & ~(span - 1);
    for (size_t i = 0; i < span; i++)
        root->words[first + i] = page_word(page);
}

/* -- pages --------------------------------------------------------------------------------------
 */

static struct table_page *page_create(struct table *table, unsigned prefix, unsigned depth,
                                      int64_t bound) {
    size_t bytes = page_bytes(depth);
    struct table_page *page = memory_alloc_aligned(TABLE_BUCKET_SIZE, bytes);
    memset(page, 0, sizeof(*page));
    page->born = table->epochs->now;
    page->prefix = (uint8_t)prefix;
    page->depth = (uint8_t)depth;
    page->bound = bound;
    page->sweep_bound = TABLE_NO_BOUND;
    table->bytes += bytes;
    return page;
}

static void page_drop(struct table *table, struct table_page *page) {
    node_drop(table, page, page->born, page_bytes(page->depth));
}

static void page_count_deepest(struct table_page *page) {
    page->deepest = 0;
    for (size_t i = 0; i < (size_t)1 << page->depth; i++)
        if (table_word_depth(page->words[i]) == (unsigned)page->prefix + page->depth)
            page->deepest++;
}

/* The depth that 2^depth words need below this prefix: that of their deepest segment. */
static unsigned words_depth(const uint64_t *words, unsigned depth, unsigned prefix) {
    unsigned deepest = prefix;
    for (size_t i = 0; i < (size_t)1 << depth; i++)
        if (table_word_depth(words[i]) > deepest) deepest = table_word_depth(words[i]);
    return deepest - prefix;
}

/* A page of these 2^depth words, reduced to those that are needed. */
static struct table_page *page_from_words(struct table *table, const uint64_t *words,
                                          unsigned depth, unsigned prefix, int64_t bound) {
    unsigned needed = words_depth(words, depth, prefix);
    struct table_page *page = page_create(table, prefix, needed, bound);
    for (size_t i = 0; i < (size_t)1 << needed; i++)
        page->words[i] = words[i << (depth - needed)];
    page_count_deepest(page);
    return page;
}

/* Put another page in the place of this one; root is private. */
static void page_install(struct table *table, uint64_t hash, struct table_page *page) {
    struct table_page *old = directory_page(table, hash);
    root_set(directory_root(table), hash, page);
    page_drop(table, old);
}

struct table_page *directory_page_private(struct table *table, uint64_t hash) {
    root_private(table);
    struct table_page *page = directory_page(table, hash);
    if (!epoch_shared(table->epochs, page->born)) return page;
    struct table_page *copy = page_create(table, page->prefix, page->depth, page->bound);
    copy->deepest = page->deepest;
    copy->sweep_bound = page->sweep_bound;
    copy->sweep_covered = page->sweep_covered;
    memcpy(copy->words, page->words, sizeof(uint64_t) << page->depth);
    page_install(table, hash, copy);
    return copy;
}

static struct table_page *page_double(struct table *table, uint64_t hash) {
    const struct table_page *page = directory_page(table, hash);
    struct table_page *wide = page_create(table, page->prefix, page->depth + 1u, page->bound);
    wide->sweep_bound = page->sweep_bound;
    wide->sweep_covered = page->sweep_covered;
    for (size_t i = 0; i < (size_t)1 << wide->depth; i++)
        wide->words[i] = page->words[i / 2];
    page_install(table, hash, wide);
    return wide;
}

static void page_split(struct table *table, uint64_t hash) {
    struct table_page *page = directory_page(table, hash);
    if (page->prefix == directory_root(table)->depth) root_double(table);
    struct table_root *root = directory_root(table);
    unsigned prefix = page->prefix + 1u, depth = page->depth - 1u;
    uint64_t bit = UINT64_C(1) << (64 - prefix);
    for (unsigned half = 0; half < 2; half++) {
        const uint64_t *words = page->words + ((size_t)half << depth);
        struct table_page *part = page_from_words(table, words, depth, prefix, page->bound);
        root_set(root, half ? hash | bit : hash & ~bit, part);
    }
    root->pages++;
    if (prefix == root->depth) root->deepest += 2;
    page_drop(table, page);
}

/* Merge the page with its buddy when both are small. */
static bool pages_merge(struct table *table, uint64_t hash) {
    struct table_root *root = directory_root(table);
    struct table_page *page = directory_page(table, hash);
    if (page->prefix == 0 || page->depth > TABLE_PAGE_DEPTH_MERGE) return false;
    uint64_t bit = UINT64_C(1) << (64 - page->prefix);
    struct table_page *halves[2] = {directory_page(table, hash & ~bit),
                                    directory_page(table, hash | bit)};
    const struct table_page *buddy = halves[(hash & bit) == 0];
    if (buddy->prefix != page->prefix || buddy->depth > TABLE_PAGE_DEPTH_MERGE) return false;
    unsigned depth = page->depth > buddy->depth ? page->depth : buddy->depth;
    int64_t bound = page->bound < buddy->bound ? page->bound : buddy->bound;
    struct table_page *merged = page_create(table, page->prefix - 1u, depth + 1, bound);
    for (unsigned half = 0; half < 2; half++)
        for (size_t i = 0; i < (size_t)1 << depth; i++)
            merged->words[((size_t)half << depth) + i] =
                halves[half]->words[i >> (depth - halves[half]->depth)];
    page_count_deepest(merged);
    if (page->prefix == root->depth) root->deepest -= 2;
    root->pages--;
    root_set(root, hash, merged);
    page_drop(table, halves[0]);
    page_drop(table, halves[1]);
    return true;
}

/* -- segments in pages --------------------------------------------------------------------------
 */

/* Point all words of the page for this segment's prefix to it. */
static void page_set(struct table_page *page, uint64_t hash, struct table_segment *segment) {
    segment->hash = hash;
    size_t span = (size_t)1 << (page->prefix + page->depth - segment->depth);
    size_t first = page_index(page, hash) & ~(span - 1);
    for (size_t i = 0; i < span; i++)
        page->words[first + i] = segment_word(segment);
}

void directory_set(struct table *table, uint64_t hash, struct table_segment *segment) {
    if (directory_root(table) == NULL)
        table->root = segment_word(segment);
    else
        page_set(directory_page_private(table, hash), hash, segment);
}

/* The first directory, of one page with one word. */
static void directory_create(struct table *table) {
    uint64_t word = table->root;
    const struct table_segment *segment = table_word_pointer(word);
    struct table_page *page = page_create(table, 0, 0, segment->bound);
    page->words[0] = word;
    page->deepest = 1;
    struct table_root *root = root_create(table, 0, NULL);
    root->pages = root->deepest = 1;
    root->segments[0] = 1;
    root->words[0] = page_word(page);
    table->root = root_word(root);
}

void directory_split(struct table *table, uint64_t hash, struct table_segment *left,
                     struct table_segment *right) {
    if (directory_root(table) == NULL) directory_create(table);
    struct table_page *page = directory_page_private(table, hash);
    unsigned depth = left->depth;
    if (depth > (unsigned)page->prefix + page->depth) {
        if (page->depth == TABLE_PAGE_DEPTH_MAX) page_split(table, hash);
        page = page_double(table, hash);
    }
    uint64_t bit = UINT64_C(1) << (64 - depth);
    page_set(page, hash & ~bit, left);
    page_set(page, hash | bit, right);
    if (depth == (unsigned)page->prefix + page->depth)
        page->deepest = (uint16_t)(page->deepest + 2);
    struct table_root *root = directory_root(table);
    root->segments[depth - 1]--;
    root->segments[depth] += 2;
}

/* After a merge: a smaller page, fewer pages, a smaller root, or none at all. */
static void directory_compact(struct table *table, uint64_t hash) {
    struct table_page *page = directory_page(table, hash);
    if (page->deepest == 0) {
        struct table_page *narrow =
            page_from_words(table, page->words, page->depth, page->prefix, page->bound);
        page_install(table, hash, narrow);
    }
    pages_merge(table, hash);
    struct table_root *root = directory_root(table);
    if (root->deepest == 0) root_narrow(table);
    root = directory_root(table);
    page = directory_page(table, hash);
    if (root->depth > 0 || page->depth > 0) return;
    table->root = page->words[0];
    page_drop(table, page);
    node_drop(table, root, root->born, root_bytes(root->depth));
}

void directory_merge(struct table *table, uint64_t hash, struct table_segment *segment) {
    unsigned depth = segment->depth + 1u;
    struct table_page *page = directory_page_private(table, hash);
    if (page->prefix == depth) {
        bool merged = pages_merge(table, hash); /* each has nothing but one of the two */
        INVARIANT(merged);
        page = directory_page(table, hash);
    }
    page_set(page, hash, segment);
    if (depth == (unsigned)page->prefix + page->depth)
        page->deepest = (uint16_t)(page->deepest - 2);
    struct table_root *root = directory_root(table);
    root->segments[depth] -= 2;
    root->segments[depth - 1]++;
    directory_compact(table, hash);
}

/* -- whole directories --------------------------------------------------------------------------
 */

static struct table_page *page_of_empty_segments(struct table *table, unsigned prefix,
                                                 unsigned depth, unsigned size, size_t number) {
    struct table_page *page = page_create(table, prefix, depth, TABLE_NO_BOUND);
    for (size_t i = 0; i < (size_t)1 << depth; i++) {
        uint64_t hash = (number << depth | i) << (64 - prefix - depth);
        page_set(page, hash, segment_create(table, size, prefix + depth, TABLE_NO_BOUND));
    }
    page->deepest = (uint16_t)(1u << depth);
    return page;
}

void directory_presize(struct table *table, unsigned depth, unsigned size) {
    INVARIANT(table->root == 0 && depth <= TABLE_DEPTH_MAX);
    if (depth == 0) {
        table->root = segment_word(segment_create(table, size, 0, TABLE_NO_BOUND));
        return;
    }
    unsigned below = depth < TABLE_PAGE_DEPTH_MAX ? depth : TABLE_PAGE_DEPTH_MAX - 1;
    struct table_root *root = root_create(table, depth - below, NULL);
    for (size_t i = 0; i < (size_t)1 << root->depth; i++)
        root->words[i] = page_word(page_of_empty_segments(table, root->depth, below, size, i));
    root->pages = root->deepest = 1u << root->depth;
    root->segments[depth] = 1u << depth;
    table->root = root_word(root);
}

static void page_release(struct table *table, struct table_page *page) {
    for (size_t i = 0; i < (size_t)1 << page->depth;) {
        const uint64_t word = page->words[i];
        i += (size_t)1 << (page->prefix + page->depth - table_word_depth(word));
        segment_release(table, table_word_pointer(word), table_word_size(word));
    }
    memory_free(page);
}

void directory_release(struct table *table) {
    struct table_root *root = directory_root(table);
    for (size_t i = 0; i < (size_t)1 << root->depth;) {
        struct table_page *page = table_word_pointer(root->words[i]);
        i += (size_t)1 << (root->depth - page->prefix);
        page_release(table, page);
    }
    memory_free(root);
}
