/* record_table_check.c: every invariant of a record table. */
#include "struct/record_table_node.h"

struct check {
    const struct record_world *world;
    uint64_t count, chunks, expiring;
    size_t bytes;
};

static void check_record(struct check *check, const struct record_chunk *chunk, unsigned index,
                         const uint8_t *at, uint64_t hash_prefix) {
    struct record record;
    record_read(at, chunk->slots[index].size, &record);
    uint64_t hash = record_hash(check->world, &record.key);
    INVARIANT(chunk->slots[index].tag == record_tag(hash));
    INVARIANT(chunk->depth == 0 || hash >> (64 - chunk->depth) == hash_prefix);
    INVARIANT(chunk_bound(chunk) <= (record.expiry < 0 ? 0 : record.expiry));
    INVARIANT(record.expiry == record_expiry_at(at));
    struct record_place place;
    INVARIANT(chunk_find(chunk, record_tag(hash), &record.key, &place));
    INVARIANT(place.index == index && place.at == at);
    const struct record_block *block = record_block_at(at);
    if (block != NULL) check->bytes += record_block_size(block);
    if (record.expiry != RECORD_NO_EXPIRY) check->expiring++;
    check->count++;
}

/* `hash_prefix` has the chunk's depth in bits. */
static void check_chunk(struct check *check, const struct record_chunk *chunk,
                        uint64_t hash_prefix) {
    INVARIANT(chunk->depth <= RECORD_DEPTH_MAX);
    INVARIANT(chunk_need(chunk->count, chunk->used) <= chunk_size(chunk));
    check->chunks++;
    check->bytes += chunk_size(chunk);
    unsigned large = 0;
    size_t used = 0;
    struct record_place walk = {0, chunk_end(chunk)};
    while (chunk_step(chunk, &walk)) {
        used += chunk->slots[walk.index - 1].size;
        if (record_block_at(walk.at) != NULL) large++;
        check_record(check, chunk, walk.index - 1, walk.at, hash_prefix);
    }
    INVARIANT(used == chunk->used && large == chunk->large);
}

/* Returns the lowest bound of a chunk below. */
static int64_t check_word(struct check *check, uint64_t word, unsigned prefix,
                          uint64_t hash_prefix) {
    if (!word_is_node(word)) {
        const struct record_chunk *chunk = word_chunk(word);
        INVARIANT(chunk->depth <= prefix);
        check_chunk(check, chunk, hash_prefix >> (prefix - chunk->depth));
        return chunk_bound(chunk);
    }
    const struct record_node *node = word_node(word);
    INVARIANT(node->prefix == prefix && node->bits >= 1 && node->bits <= RECORD_NODE_BITS_MAX);
    check->bytes += node_size(node->bits);
    int64_t bound = RECORD_NO_EXPIRY;
    bool deepest = false; /* something needs all the bits */
    for (size_t i = 0; i < (size_t)1 << node->bits;) {
        uint64_t below = node->words[i];
        size_t span = word_is_node(below) ? 1 : node_span(node, word_chunk(below)->depth);
        INVARIANT(word_is_node(below) || word_chunk(below)->depth > node->prefix);
        INVARIANT(i % span == 0);
        for (size_t j = 0; j < span; j++)
            INVARIANT(node->words[i + j] == below);
        int64_t bound_below = check_word(check, below, (unsigned)node->prefix + node->bits,
                                         hash_prefix << node->bits | i);
        bound = bound_min(bound, bound_below);
        deepest = deepest || span == 1;
        i += span;
    }
    INVARIANT(deepest && node->bound <= bound);
    return bound;
}

void record_table_check(const struct record_table *table, const struct record_world *world) {
    struct check check = {.world = world};
    if (table->root != 0) {
        int64_t bound = check_word(&check, table->root, 0, 0);
        INVARIANT(table->expiry_bound <= bound);
    }
    INVARIANT((table->root == 0) == (table->count == 0));
    INVARIANT(table->count == check.count && table->chunks == check.chunks);
    INVARIANT(table->expiring == check.expiring && table->bytes == check.bytes);
    INVARIANT(table->expiring > 0 || table->expiry_bound == RECORD_NO_EXPIRY);
}
