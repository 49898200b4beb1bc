/* tree_check.c: every invariant of a tree. Changes nothing. */
#include "struct/tree_node.h"

#include "base/invariant.h"
#include "base/memory.h"

struct sums {
    uint64_t count, chunks;
    size_t bytes;
};

static uint64_t check_below(const void *child, uint32_t level, tree_hint *hint, uint64_t *first,
                            struct sums *sums) {
    sums->bytes += memory_usable_size(child);
    if (level == 0) {
        const struct tree_chunk *chunk = child;
        INVARIANT(chunk->size <= chunk->capacity && chunk->count > 0);
        sums->chunks++;
        *first = hint ? hint(chunk) : 0;
        return chunk->count;
    }
    const struct tree_node *node = child;
    uint64_t count = 0;
    INVARIANT(node->level == level && node->n > 0 && node->n <= TREE_FANOUT);
    for (unsigned i = 0; i < node->n; i++) {
        uint64_t below_first;
        uint64_t below = check_below(node->children[i], level - 1, hint, &below_first, sums);
        INVARIANT(below == node->counts[i]);
        if (hint) INVARIANT(below_first == node->hints[i]);
        if (hint && i > 0) INVARIANT(node->hints[i - 1] <= node->hints[i]);
        if (i == 0) *first = below_first;
        count += below;
    }
    return count;
}

void tree_check(const struct tree *tree, tree_hint *hint) {
    struct sums sums = {0};
    uint64_t first;
    if (tree->root) sums.count = check_below(tree->root, tree->depth, hint, &first, &sums);
    INVARIANT(sums.count == tree->count && sums.chunks == tree->chunks);
    INVARIANT(sums.bytes == tree->bytes);
    INVARIANT(tree->depth == 0 || ((const struct tree_node *)tree->root)->n > 1);
}
