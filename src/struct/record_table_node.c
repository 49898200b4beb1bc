/* record_table_node.c: the trie of a record table: the way to a chunk with private nodes, chunks
 * that split and merge, nodes that grow, shrink, come and go with them. A node is a directory as
 * in extendible hashing: it has as many words as its deepest chunks need, up to
 * RECORD_NODE_BITS_MAX bits; what must be deeper stands in a node below. */
#include "struct/record_table_node.h"

/* -- nodes --------------------------------------------------------------------------------------
 */

static struct record_node *node_create(struct record_table *table, const struct record_world *world,
                                       unsigned prefix, unsigned bits, int64_t bound) {
    struct record_node *node = memory_alloc(node_size(bits));
    *node = (struct record_node){.born = world->epochs->now,
                                 .prefix = (uint8_t)prefix,
                                 .bits = (uint8_t)bits,
                                 .bound = bound};
    table->bytes += node_size(bits);
    return node;
}

static void release_node(void *owner, uint64_t node) {
    (void)owner;
    memory_free((void *)(uintptr_t)node);
}

static void node_drop(struct record_table *table, const struct record_world *world,
                      struct record_node *node) {
    size_t size = node_size(node->bits);
    table->bytes -= size;
    if (epoch_shared(world->epochs, node->born))
        epochs_retire(world->epochs, release_node, NULL, (uint64_t)(uintptr_t)node, size);
    else
        memory_free(node);
}

static struct record_node *node_copy(struct record_table *table, const struct record_world *world,
                                     const struct record_node *node) {
    struct record_node *copy = node_create(table, world, node->prefix, node->bits, node->bound);
    memcpy(copy->words, node->words, sizeof(uint64_t) << node->bits);
    return copy;
}

/* What stands at the end of the first `levels` nodes of the path. */
static void path_set_word(struct record_table *table, struct record_path *path, unsigned levels,
                          uint64_t word) {
    if (levels == 0) {
        table->root = word;
        return;
    }
    struct record_node *node = path->nodes[levels - 1];
    node->words[node_index(node, path->hash)] = word;
}

/* Another node in the place of the last one, which is dropped. */
static void path_set_node(struct record_table *table, const struct record_world *world,
                          struct record_path *path, struct record_node *node) {
    struct record_node *old = path->nodes[path->levels - 1];
    path->nodes[path->levels - 1] = node;
    path_set_word(table, path, path->levels - 1, node_word(node));
    node_drop(table, world, old);
}

void path_find(struct record_table *table, const struct record_world *world, uint64_t hash,
               struct record_path *path) {
    uint64_t word = table->root;
    path->hash = hash;
    path->levels = 0;
    while (word_is_node(word)) {
        struct record_node *node = word_node(word);
        INVARIANT(path->levels < RECORD_LEVELS_MAX);
        path->nodes[path->levels++] = node;
        if (epoch_shared(world->epochs, node->born)) {
            node = node_copy(table, world, node);
            path_set_node(table, world, path, node);
        }
        word = node->words[node_index(node, hash)];
    }
    path->chunk = word_chunk(word);
}

/* All words that a chunk of this depth and hash has in the node. */
static void node_set(struct record_node *node, uint64_t hash, unsigned depth, uint64_t word) {
    size_t span = node_span(node, depth);
    size_t first = node_index(node, hash) & ~(span - 1);
    for (size_t i = 0; i < span; i++)
        node->words[first + i] = word;
}

void path_set(struct record_table *table, struct record_path *path, struct record_chunk *chunk) {
    path->chunk = chunk;
    if (path->levels == 0)
        table->root = chunk_word(chunk);
    else
        node_set(path->nodes[path->levels - 1], path->hash, chunk->depth, chunk_word(chunk));
}

void path_note_bound(struct record_table *table, struct record_path *path, int64_t expiry) {
    table->expiry_bound = bound_min(table->expiry_bound, expiry);
    for (unsigned i = 0; i < path->levels; i++)
        path->nodes[i]->bound = bound_min(path->nodes[i]->bound, expiry);
}

/* -- splitting ----------------------------------------------------------------------------------
 */

/* Each word of the last node twice. */
static void path_double(struct record_table *table, const struct record_world *world,
                        struct record_path *path) {
    struct record_node *node = path->nodes[path->levels - 1];
    struct record_node *wider =
        node_create(table, world, node->prefix, node->bits + 1u, node->bound);
    for (size_t i = 0; i < (size_t)1 << node->bits; i++)
        wider->words[2 * i] = wider->words[2 * i + 1] = node->words[i];
    path_set_node(table, world, path, wider);
}

/* A node where the chunk stands, which is as deep as its word. */
static void path_deepen(struct record_table *table, const struct record_world *world,
                        struct record_path *path) {
    const struct record_chunk *chunk = path->chunk;
    struct record_node *node = node_create(table, world, chunk->depth, 1, chunk_bound(chunk));
    node->words[0] = node->words[1] = chunk_word(chunk);
    path_set_word(table, path, path->levels, node_word(node));
    INVARIANT(path->levels < RECORD_LEVELS_MAX);
    path->nodes[path->levels++] = node;
}

static bool hash_bit(uint64_t hash, unsigned depth) {
    return hash >> (63 - depth) & 1;
}

/* The hashes of the chunk's records; `used` and `count` of those on either side. */
static void hash_records(const struct record_chunk *chunk, const struct record_world *world,
                         uint64_t *hashes, size_t used[2], size_t count[2]) {
    struct record_place walk = {0, chunk_end(chunk)};
    for (unsigned i = 0; chunk_step(chunk, &walk); i++) {
        struct record record;
        record_read(walk.at, chunk->slots[i].size, &record);
        hashes[i] = record_hash(world, &record.key);
        bool side = hash_bit(hashes[i], chunk->depth);
        used[side] += chunk->slots[i].size;
        count[side]++;
    }
}

void path_split(struct record_table *table, const struct record_world *world,
                struct record_path *path) {
    struct record_chunk *chunk = path->chunk;
    uint64_t hashes[UINT8_MAX];
    size_t used[2] = {0}, count[2] = {0};
    chunk_approach(chunk);
    hash_records(chunk, world, hashes, used, count);
    struct record_chunk *sides[2];
    for (int i = 0; i < 2; i++)
        sides[i] = chunk_create(table, world, chunk->depth + 1u, chunk_need(count[i], used[i]));
    struct record_place walk = {0, chunk_end(chunk)};
    for (unsigned i = 0; chunk_step(chunk, &walk); i++)
        chunk_append(sides[hash_bit(hashes[i], chunk->depth)], record_tag(hashes[i]), walk.at,
                     chunk->slots[i].size);
    if (chunk_bound(chunk) != RECORD_NO_EXPIRY)
        for (int i = 0; i < 2; i++)
            chunk_tighten_bound(sides[i]);

    struct record_node *node = path->levels > 0 ? path->nodes[path->levels - 1] : NULL;
    if (node == NULL || node->prefix + node->bits == chunk->depth) {
        if (node != NULL && node->bits < RECORD_NODE_BITS_MAX)
            path_double(table, world, path);
        else
            path_deepen(table, world, path);
        node = path->nodes[path->levels - 1];
    }
    uint64_t bit = UINT64_C(1) << (63 - chunk->depth);
    node_set(node, path->hash & ~bit, chunk->depth + 1u, chunk_word(sides[0]));
    node_set(node, path->hash | bit, chunk->depth + 1u, chunk_word(sides[1]));
    chunk_drop(table, world, chunk);
}

/* -- merging ------------------------------------------------------------------------------------
 */

/* The chunk that differs in the last bit of its depth; NULL when there is none as deep. */
static struct record_chunk *path_buddy(const struct record_path *path) {
    if (path->levels == 0) return NULL;
    const struct record_node *node = path->nodes[path->levels - 1];
    unsigned depth = path->chunk->depth;
    uint64_t word = node->words[node_index(node, path->hash) ^ node_span(node, depth)];
    if (word_is_node(word) || word_chunk(word)->depth != depth) return NULL;
    return word_chunk(word);
}

static void chunk_append_all(struct record_chunk *chunk, const struct record_chunk *from) {
    struct record_place walk = {0, chunk_end(from)};
    while (chunk_step(from, &walk)) {
        struct record_slot slot = from->slots[walk.index - 1];
        chunk_append(chunk, slot.tag, walk.at, slot.size);
    }
    int64_t bound = chunk_bound(from);
    if (bound != RECORD_NO_EXPIRY) chunk_note_bound(chunk, bound);
}

static bool node_halves(const struct record_node *node) {
    for (size_t i = 0; i < (size_t)1 << node->bits; i += 2)
        if (node->words[i] != node->words[i + 1]) return false;
    return true;
}

/* The last node has words to spare: every other one of them, or only its one chunk. */
static void path_narrow(struct record_table *table, const struct record_world *world,
                        struct record_path *path) {
    struct record_node *node = path->nodes[path->levels - 1];
    while (node->bits > 1 && node_halves(node)) {
        struct record_node *half =
            node_create(table, world, node->prefix, node->bits - 1u, node->bound);
        for (size_t i = 0; i < (size_t)1 << half->bits; i++)
            half->words[i] = node->words[2 * i];
        path_set_node(table, world, path, half);
        node = half;
    }
    if (path->chunk->depth > node->prefix) return;
    path->levels--;
    path_set_word(table, path, path->levels, chunk_word(path->chunk));
    node_drop(table, world, node);
}

static bool worth_merging(size_t count, size_t used) {
    return count <= RECORD_MERGE_COUNT && chunk_need(count, used) <= RECORD_MERGE_MAX;
}

void path_merge(struct record_table *table, const struct record_world *world,
                struct record_path *path) {
    for (;;) {
        struct record_chunk *chunk = path->chunk;
        if (chunk_need(chunk->count, chunk->used) > RECORD_MERGE_MAX / 2) return;
        struct record_chunk *buddy = path_buddy(path);
        if (buddy == NULL) return;
        size_t count = (size_t)chunk->count + buddy->count;
        size_t used = (size_t)chunk->used + buddy->used;
        if (!worth_merging(count, used)) return;
        struct record_chunk *merged =
            chunk_create(table, world, chunk->depth - 1u, chunk_need(count, used));
        chunk_append_all(merged, chunk);
        chunk_append_all(merged, buddy);
        path_set(table, path, merged);
        chunk_drop(table, world, chunk);
        chunk_drop(table, world, buddy);
        path_narrow(table, world, path);
    }
}
