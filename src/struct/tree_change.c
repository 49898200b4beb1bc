/* tree_change.c: chunks are opened, added and removed; nodes split, merge and go.
 *
 * Must never change a node or chunk that a view can see: private_path first. */
#include "struct/tree_node.h"

#include "base/invariant.h"
#include "base/memory.h"

#include <string.h>

enum {
    MERGE_BELOW = TREE_FANOUT / 4,   /* children: a node that has fewer looks for a neighbour */
    MERGE_MAX = TREE_FANOUT * 3 / 4, /* children of both together */
    CHUNK_DATA_MAX = INT32_MAX,
};

/* ---- memory ---- */

static void release_memory(void *owner, uint64_t node) {
    (void)owner;
    memory_free((void *)(uintptr_t)node);
}

/* It is no longer part of the tree. */
static void drop(struct tree *tree, struct epochs *epochs, void *block, uint32_t born) {
    size_t size = memory_usable_size(block);
    tree->bytes -= size;
    if (epoch_shared(epochs, born))
        epochs_retire(epochs, release_memory, NULL, (uint64_t)(uintptr_t)block, size);
    else
        memory_free(block);
}

static struct tree_node *make_node(struct tree *tree, const struct epochs *epochs, uint32_t level) {
    struct tree_node *node = memory_alloc(sizeof *node);
    node->born = epochs->now;
    node->level = (uint16_t)level;
    node->n = 0;
    tree->bytes += memory_usable_size(node);
    return node;
}

static struct tree_node *copy_node(struct tree *tree, struct epochs *epochs,
                                   struct tree_node *from) {
    struct tree_node *node = memory_alloc(sizeof *node);
    memcpy(node, from, sizeof *node);
    node->born = epochs->now;
    tree->bytes += memory_usable_size(node);
    drop(tree, epochs, from, from->born);
    return node;
}

static struct tree_chunk *make_chunk(struct tree *tree, const struct epochs *epochs,
                                     size_t capacity) {
    INVARIANT(capacity <= CHUNK_DATA_MAX);
    struct tree_chunk *chunk = memory_alloc(sizeof *chunk + capacity);
    size_t size = memory_usable_size(chunk);
    *chunk = (struct tree_chunk){.born = epochs->now, .capacity = (uint32_t)(size - sizeof *chunk)};
    tree->bytes += size;
    return chunk;
}

/* ---- the way down ---- */

static void **link_at(struct tree *tree, struct tree_place *place, uint32_t index) {
    if (index == 0) return &tree->root;
    return &place->nodes[index - 1]->children[place->slots[index - 1]];
}

/* All nodes on the way are ours to change. */
static void private_path(struct tree *tree, struct epochs *epochs, struct tree_place *place) {
    if (likely(epochs->frozen == 0)) return;
    for (uint32_t i = 0; i < tree->depth; i++) {
        if (!epoch_shared(epochs, place->nodes[i]->born)) continue;
        place->nodes[i] = copy_node(tree, epochs, place->nodes[i]);
        *link_at(tree, place, i) = place->nodes[i];
    }
}

struct tree_chunk *tree_open(struct tree *tree, struct epochs *epochs, struct tree_place *place,
                             size_t capacity) {
    struct tree_chunk *chunk = place->chunk;
    private_path(tree, epochs, place);
    if (capacity < chunk->size) capacity = chunk->size;
    bool shared = epoch_shared(epochs, chunk->born);
    bool fits = capacity <= chunk->capacity && capacity >= chunk->capacity / 2;
    if (likely(fits && !shared)) return chunk;
    if (!shared) {
        INVARIANT(capacity <= CHUNK_DATA_MAX);
        tree->bytes -= memory_usable_size(chunk);
        chunk = memory_resize(chunk, sizeof *chunk + capacity);
        size_t size = memory_usable_size(chunk);
        chunk->capacity = (uint32_t)(size - sizeof *chunk);
        tree->bytes += size;
    } else {
        struct tree_chunk *copy = make_chunk(tree, epochs, capacity);
        copy->count = chunk->count;
        copy->size = chunk->size;
        memcpy(copy->data, chunk->data, chunk->size);
        drop(tree, epochs, chunk, chunk->born);
        chunk = copy;
    }
    *link_at(tree, place, tree->depth) = chunk;
    place->chunk = chunk;
    return chunk;
}

/* A node's first hint changed: so did those of its parents as long as it is the first in them. */
static void raise_hint(struct tree *tree, struct tree_place *place, uint32_t index) {
    for (; index > 0 && place->slots[index] == 0; index--)
        place->nodes[index - 1]->hints[place->slots[index - 1]] = place->nodes[index]->hints[0];
    (void)tree;
}

void tree_close(struct tree *tree, struct tree_place *place, tree_hint *hint) {
    const struct tree_chunk *chunk = place->chunk;
    INVARIANT(chunk->size <= chunk->capacity);
    if (tree->depth == 0) {
        tree->count = chunk->count;
        return;
    }
    uint32_t last = tree->depth - 1;
    uint64_t change = chunk->count - place->nodes[last]->counts[place->slots[last]];
    if (change != 0) {
        for (uint32_t i = 0; i < tree->depth; i++)
            place->nodes[i]->counts[place->slots[i]] += change;
        tree->count += change;
    }
    if (!hint) return;
    /* The only chunk of a tree had no node to keep its hint. */
    struct tree_node *node = place->nodes[last];
    if (tree->depth == 1 && node->n == 2 && node->counts[0] > 0)
        node->hints[0] = hint(node->children[0]);
    if (tree->depth == 1 && node->n == 2 && node->counts[1] > 0)
        node->hints[1] = hint(node->children[1]);
    uint64_t value = hint(chunk);
    uint64_t *kept = &place->nodes[last]->hints[place->slots[last]];
    if (*kept == value) return;
    *kept = value;
    raise_hint(tree, place, last);
}

/* ---- adding ---- */

static void insert_slot(struct tree_node *node, unsigned slot, void *child, uint64_t count,
                        uint64_t hint) {
    size_t behind = node->n - slot;
    memmove(&node->hints[slot + 1], &node->hints[slot], behind * sizeof node->hints[0]);
    memmove(&node->counts[slot + 1], &node->counts[slot], behind * sizeof node->counts[0]);
    memmove(&node->children[slot + 1], &node->children[slot], behind * sizeof node->children[0]);
    node->hints[slot] = hint;
    node->counts[slot] = count;
    node->children[slot] = child;
    node->n++;
}

static void remove_slot(struct tree_node *node, unsigned slot) {
    size_t behind = node->n - slot - 1;
    memmove(&node->hints[slot], &node->hints[slot + 1], behind * sizeof node->hints[0]);
    memmove(&node->counts[slot], &node->counts[slot + 1], behind * sizeof node->counts[0]);
    memmove(&node->children[slot], &node->children[slot + 1], behind * sizeof node->children[0]);
    node->n--;
}

/* The children from `slot` on go behind those of another node. */
static void move_slots(struct tree_node *to, struct tree_node *from, unsigned slot) {
    size_t moved = from->n - slot;
    memcpy(&to->hints[to->n], &from->hints[slot], moved * sizeof from->hints[0]);
    memcpy(&to->counts[to->n], &from->counts[slot], moved * sizeof from->counts[0]);
    memcpy(&to->children[to->n], &from->children[slot], moved * sizeof from->children[0]);
    to->n = (uint16_t)(to->n + moved);
    from->n = (uint16_t)slot;
}

static uint64_t count_below(const struct tree_node *node) {
    uint64_t count = 0;
    for (unsigned i = 0; i < node->n; i++)
        count += node->counts[i];
    return count;
}

/* A new root above the present one. */
static void grow_root(struct tree *tree, const struct epochs *epochs, struct tree_place *place,
                      uint64_t hint) {
    struct tree_node *root = make_node(tree, epochs, tree->depth + 1);
    INVARIANT(tree->depth + 1 < TREE_DEPTH_MAX);
    insert_slot(root, 0, tree->root, tree->count, hint);
    memmove(&place->nodes[1], &place->nodes[0], tree->depth * sizeof place->nodes[0]);
    memmove(&place->slots[1], &place->slots[0], tree->depth * sizeof place->slots[0]);
    place->nodes[0] = root;
    place->slots[0] = 0;
    tree->root = root;
    tree->depth++;
}

/* The way, as far as this level, leads to the neighbour before. */
static void step_back(const struct tree *tree, struct tree_place *place, uint32_t level) {
    uint32_t index = tree_index(tree, level), at = index;
    while (place->slots[at] == 0) {
        INVARIANT(at > 0);
        at--;
    }
    place->slots[at]--;
    for (; at < index; at++) {
        place->nodes[at + 1] = place->nodes[at]->children[place->slots[at]];
        place->slots[at + 1] = (uint16_t)(place->nodes[at + 1]->n - 1);
    }
}

/* Put a child into the node of this level on the way, whose slot will be the child's. */
static void insert_child(struct tree *tree, const struct epochs *epochs, struct tree_place *place,
                         uint32_t level, unsigned slot, void *child, uint64_t count,
                         uint64_t hint) {
    struct tree_node *node = place->nodes[tree_index(tree, level)];
    if (node->n < TREE_FANOUT) {
        insert_slot(node, slot, child, count, hint);
        place->slots[tree_index(tree, level)] = (uint16_t)slot;
        return;
    }
    /* At either end the full node stays full: what comes next will come there too. */
    unsigned split = slot == node->n ? node->n : slot == 0 ? 0 : node->n / 2;
    bool goes_left = slot < split || (slot == split && split < node->n);
    struct tree_node *right = make_node(tree, epochs, level);
    move_slots(right, node, split);
    if (goes_left)
        insert_slot(node, slot, child, count, hint);
    else
        insert_slot(right, slot - split, child, count, hint);
    if (level == tree->depth) grow_root(tree, epochs, place, node->hints[0]);
    struct tree_node *parent = place->nodes[tree_index(tree, level + 1)];
    unsigned parent_slot = place->slots[tree_index(tree, level + 1)];
    parent->counts[parent_slot] = count_below(node);
    parent->hints[parent_slot] = node->hints[0];
    insert_child(tree, epochs, place, level + 1, parent_slot + 1, right, count_below(right),
                 right->hints[0]);
    if (goes_left) step_back(tree, place, level + 1);
    place->nodes[tree_index(tree, level)] = goes_left ? node : right;
    place->slots[tree_index(tree, level)] = (uint16_t)(goes_left ? slot : slot - split);
}

struct tree_chunk *tree_add(struct tree *tree, struct epochs *epochs, struct tree_place *place,
                            bool in_front, size_t capacity) {
    struct tree_chunk *chunk = make_chunk(tree, epochs, capacity);
    tree->chunks++;
    if (!tree->root) {
        tree->root = chunk;
        place->before = 0;
        place->chunk = chunk;
        return chunk;
    }
    private_path(tree, epochs, place);
    uint64_t hint = 0;
    if (tree->depth == 0) {
        grow_root(tree, epochs, place, 0);
        place->nodes[0]->counts[0] = place->chunk->count;
    } else {
        hint = place->nodes[tree->depth - 1]->hints[place->slots[tree->depth - 1]];
    }
    if (!in_front) place->before += place->chunk->count;
    unsigned slot = place->slots[tree->depth - 1] + (in_front ? 0u : 1u);
    insert_child(tree, epochs, place, 1, slot, chunk, 0, hint);
    place->chunk = chunk;
    return chunk;
}

/* ---- removing ---- */

/* Two neighbours under one parent become one, if they are small. */
static void merge(struct tree *tree, struct epochs *epochs, struct tree_place *place,
                  uint32_t index) {
    struct tree_node *node = place->nodes[index], *parent = place->nodes[index - 1];
    unsigned slot = place->slots[index - 1];
    unsigned left_slot = slot > 0 ? slot - 1 : 0;
    if (node->n >= MERGE_BELOW || left_slot + 1 >= parent->n) return;
    struct tree_node *left = parent->children[left_slot], *right = parent->children[left_slot + 1];
    if (left->n + right->n > MERGE_MAX) return;
    if (epoch_shared(epochs, left->born))
        parent->children[left_slot] = left = copy_node(tree, epochs, left);
    if (epoch_shared(epochs, right->born))
        parent->children[left_slot + 1] = right = copy_node(tree, epochs, right);
    move_slots(left, right, 0);
    parent->counts[left_slot] += parent->counts[left_slot + 1];
    remove_slot(parent, left_slot + 1);
    drop(tree, epochs, right, right->born);
}

/* Take the slot on the way out of its node, and see whether the node is still wanted. */
static void remove_child(struct tree *tree, struct epochs *epochs, struct tree_place *place,
                         uint32_t index) {
    struct tree_node *node = place->nodes[index];
    remove_slot(node, place->slots[index]);
    if (node->n == 0) {
        drop(tree, epochs, node, node->born);
        if (index > 0)
            remove_child(tree, epochs, place, index - 1);
        else
            tree->root = NULL;
        return;
    }
    if (index == 0) return;
    if (place->slots[index] == 0) {
        place->nodes[index - 1]->hints[place->slots[index - 1]] = node->hints[0];
        raise_hint(tree, place, index - 1);
    }
    merge(tree, epochs, place, index);
}

static void shrink_root(struct tree *tree, struct epochs *epochs) {
    if (!tree->root) tree->depth = 0;
    while (tree->depth > 0 && ((struct tree_node *)tree->root)->n == 1) {
        struct tree_node *root = tree->root;
        tree->root = root->children[0];
        tree->depth--;
        drop(tree, epochs, root, root->born);
    }
}

void tree_remove(struct tree *tree, struct epochs *epochs, struct tree_place *place,
                 tree_hint *hint) {
    struct tree_chunk *chunk = place->chunk;
    uint64_t before = place->before;
    (void)hint; /* the hints of what is left are in the nodes */
    private_path(tree, epochs, place);
    tree->chunks--;
    if (tree->depth == 0) {
        tree->root = NULL;
        tree->count = 0;
    } else {
        uint64_t count = place->nodes[tree->depth - 1]->counts[place->slots[tree->depth - 1]];
        for (uint32_t i = 0; i < tree->depth; i++)
            place->nodes[i]->counts[place->slots[i]] -= count;
        tree->count -= count;
        remove_child(tree, epochs, place, tree->depth - 1);
        shrink_root(tree, epochs);
    }
    drop(tree, epochs, chunk, chunk->born);
    place->chunk = NULL;
    if (before < tree->count) tree_seek_index(tree, before, place);
}
