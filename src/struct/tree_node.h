/* tree_node.h: what the files of the tree share, and nobody else includes.
 *
 *     tree.c           life, finding
 *     tree_change.c    opening, adding and removing chunks; splits and merges of nodes
 *     tree_check.c     every invariant
 *
 * Hints, counts and children stand in arrays of their own, as a search reads only one of them.
 * Privacy goes upwards: what no view can see stands below nodes that none can see. */
#ifndef REDSTART_STRUCT_TREE_NODE_H
#define REDSTART_STRUCT_TREE_NODE_H

#include "struct/tree.h"

struct tree_node {
    uint32_t born;
    uint16_t level; /* 1: the children are chunks */
    uint16_t n;
    uint64_t hints[TREE_FANOUT];
    uint64_t counts[TREE_FANOUT];
    void *children[TREE_FANOUT];
};

/* Index in a place's arrays of the node so many levels above the chunks (1: right above). */
static inline uint32_t tree_index(const struct tree *tree, uint32_t level) {
    return tree->depth - level;
}

/* The first chunk below a child of a node of this level. */
static inline const struct tree_chunk *tree_first_below(const struct tree_node *node,
                                                        unsigned slot) {
    for (; node->level > 1; slot = 0)
        node = node->children[slot];
    return node->children[slot];
}

#endif
