/* tree.c: making and freeing trees, and finding chunks in them. Finding changes nothing. */
#include "struct/tree_node.h"

#include "base/invariant.h"
#include "base/memory.h"
#include "base/prefetch.h"

#include <string.h>

void tree_init(struct tree *tree) {
    *tree = (struct tree){0};
}

static void release_below(void *child, uint32_t level, void (*release)(struct tree_chunk *chunk)) {
    if (level == 0) {
        if (release) release(child);
    } else {
        struct tree_node *node = child;
        for (unsigned i = 0; i < node->n; i++)
            release_below(node->children[i], level - 1, release);
    }
    memory_free(child);
}

void tree_release(struct tree *tree, void (*release)(struct tree_chunk *chunk)) {
    if (tree->root) release_below(tree->root, tree->depth, release);
    tree_init(tree);
}

/* ---- copies ---- */

static void *copy_below(const void *child, uint32_t level, uint32_t born) {
    size_t size = memory_usable_size(child);
    if (level == 0) {
        const struct tree_chunk *from = child;
        struct tree_chunk *chunk = memory_alloc(size);
        memcpy(chunk, from, sizeof *from + from->size);
        chunk->born = born;
        return chunk;
    }
    struct tree_node *node = memory_alloc(sizeof *node);
    memcpy(node, child, sizeof *node);
    node->born = born;
    for (unsigned i = 0; i < node->n; i++)
        node->children[i] = copy_below(node->children[i], level - 1, born);
    return node;
}

void tree_copy(struct tree *to, const struct tree *from, const struct epochs *epochs) {
    *to = *from;
    if (from->root) to->root = copy_below(from->root, from->depth, epochs->now);
}

/* ---- finding ---- */

/* From the node at this index on downwards, to the first or the last chunk. */
static void descend(const struct tree *tree, struct tree_place *place, uint32_t index,
                    bool to_last) {
    void *child =
        index == 0 ? tree->root : place->nodes[index - 1]->children[place->slots[index - 1]];
    for (; index < tree->depth; index++) {
        struct tree_node *node = child;
        place->nodes[index] = node;
        place->slots[index] = to_last ? (uint16_t)(node->n - 1) : 0;
        child = node->children[place->slots[index]];
    }
    place->chunk = child;
}

bool tree_first(const struct tree *tree, struct tree_place *place) {
    place->before = 0;
    place->chunk = NULL;
    if (!tree->root) return false;
    descend(tree, place, 0, false);
    return true;
}

bool tree_last(const struct tree *tree, struct tree_place *place) {
    place->before = 0;
    place->chunk = NULL;
    if (!tree->root) return false;
    descend(tree, place, 0, true);
    place->before = tree->count - place->chunk->count;
    return true;
}

bool tree_next(const struct tree *tree, struct tree_place *place) {
    place->before += place->chunk->count;
    uint32_t index = tree->depth;
    while (index > 0 && place->slots[index - 1] + 1 == place->nodes[index - 1]->n)
        index--;
    if (index == 0) {
        place->chunk = NULL;
        return false;
    }
    place->slots[index - 1]++;
    descend(tree, place, index, false);
    return true;
}

bool tree_previous(const struct tree *tree, struct tree_place *place) {
    uint32_t index = tree->depth;
    while (index > 0 && place->slots[index - 1] == 0)
        index--;
    if (index == 0) {
        place->chunk = NULL;
        return false;
    }
    place->slots[index - 1]--;
    descend(tree, place, index, true);
    place->before -= place->chunk->count;
    return true;
}

void tree_seek_index(const struct tree *tree, uint64_t index, struct tree_place *place) {
    INVARIANT(index < tree->count);
    void *child = tree->root;
    place->before = 0;
    for (uint32_t i = 0; i < tree->depth; i++) {
        struct tree_node *node = child;
        unsigned slot = 0;
        while (index >= node->counts[slot]) {
            index -= node->counts[slot];
            place->before += node->counts[slot];
            slot++;
        }
        place->nodes[i] = node;
        place->slots[i] = (uint16_t)slot;
        child = node->children[slot];
    }
    place->chunk = child;
}

/* How many of the node's hints are less. Without a branch that depends on them: which way it goes
 * cannot be predicted, and searches that do not depend on one another run side by side. */
static inline unsigned hints_less(const struct tree_node *node, uint64_t hint) {
    const uint64_t *from = node->hints;
    for (unsigned left = node->n; left > 0;) {
        unsigned half = (left + 1) / 2;
        from += from[half - 1] < hint ? half : 0;
        left -= half;
    }
    return (unsigned)(from - node->hints);
}

/* The last child that begins at or before what is sought, or the first. */
static unsigned seek_slot(const struct tree_node *node, uint64_t hint,
                          tree_begins_after *begins_after, const void *context) {
    unsigned less = hints_less(node, hint), high = less;
    while (high < node->n && node->hints[high] == hint)
        high++;
    unsigned low = begins_after ? less : high;
    while (low < high) {
        unsigned middle = low + (high - low) / 2;
        if (begins_after(context, tree_first_below(node, middle)))
            high = middle;
        else
            low = middle + 1;
    }
    return low > 0 ? low - 1 : 0;
}

bool tree_seek(const struct tree *tree, uint64_t hint, tree_begins_after *begins_after,
               const void *context, struct tree_place *place) {
    place->before = 0;
    place->chunk = NULL;
    if (!tree->root) return false;
    void *child = tree->root;
    for (uint32_t i = 0; i < tree->depth; i++) {
        struct tree_node *node = child;
        unsigned slot = seek_slot(node, hint, begins_after, context);
        for (unsigned j = 0; j < slot; j++)
            place->before += node->counts[j];
        place->nodes[i] = node;
        place->slots[i] = (uint16_t)slot;
        child = node->children[slot];
    }
    place->chunk = child;
    return true;
}

/* ---- fetching ahead ---- */

enum { LINE = 64 };

const struct tree_node *tree_prefetch_node(const struct tree *tree, uint64_t hint) {
    if (tree->depth < 2) return NULL;
    const struct tree_node *node = tree->root;
    for (; node->level > 1;)
        node = node->children[seek_slot(node, hint, NULL, NULL)];
    for (const char *at = (const char *)node; at < (const char *)node->counts; at += LINE)
        memory_prefetch_to_write(at);
    return node;
}

const struct tree_chunk *const *tree_prefetch_link(const struct tree_node *node, uint64_t hint) {
    unsigned slot = seek_slot(node, hint, NULL, NULL);
    for (unsigned i = 0; i <= slot; i += LINE / sizeof node->counts[0])
        memory_prefetch_to_write(&node->counts[i]);
    memory_prefetch(&node->children[slot]);
    return (const struct tree_chunk *const *)&node->children[slot];
}
