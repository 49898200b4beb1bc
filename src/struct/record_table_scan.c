/* record_table_scan.c: walking a record table in the order of hashes, and picking a record at
 * random.
 *
 * A cursor is a place in the space of hashes, in units of 2^16: everything before it has been
 * returned. The chunk that has this place is returned whole, and the next cursor is its end.
 *
 * Must never write: views are read with it on other threads. */
#include "base/prefetch.h"
#include "struct/record_table_node.h"

#include <math.h>

#define CURSOR_END (UINT64_C(1) << RECORD_CURSOR_BITS)

uint64_t record_table_scan(const struct record_table *table, const struct record_world *world,
                           uint64_t cursor, record_visit *visit, void *context) {
    (void)world;
    if (table->root == 0) return 0;
    cursor &= CURSOR_END - 1;
    const struct record_chunk *chunk =
        record_chunk_of(table->root, cursor << (64 - RECORD_CURSOR_BITS));
    struct record_place walk = {0, chunk_end(chunk)};
    while (chunk_step(chunk, &walk)) {
        struct record record;
        record_read(walk.at, chunk->slots[walk.index - 1].size, &record);
        visit(context, &record);
    }
    uint64_t width = CURSOR_END >> chunk->depth;
    return ((cursor & ~(width - 1)) + width) & (CURSOR_END - 1);
}

/* -- random -------------------------------------------------------------------------------------
 */

enum { RANDOM_TRIES_MAX = 1000 };

/* A place in the space of hashes chooses a chunk of depth L with a probability of 2^-L; then one of
 * m * 2^-L numbers chooses a record or nothing, m being the same for all chunks: each record comes
 * with the same probability, as long as no chunk has more than m * 2^-L records. Chunks hold what
 * chance puts there, `mean` on the average: five times its deviation and some more on top is so
 * much that what the fullest of chunks lack does not show. */
static double density_limit(const struct record_table *table) {
    double count = (double)table->count, mean = count / (double)table->chunks;
    if (table->chunks == 1) return count;
    return count * (1 + (5 * sqrt(mean) + 3) / mean);
}

/* What one random word stands for: its first bits for a chunk, the others for a record of it; an
 * index that the chunk does not have is nothing. */
static const struct record_chunk *chunk_drawn(const struct record_table *table, double limit,
                                              uint64_t word, uint64_t *index) {
    const struct record_chunk *chunk = record_chunk_of(table->root, word);
    double share = limit / (double)(UINT64_C(1) << chunk->depth);
    double place = (double)(word << chunk->depth >> 11) * 0x1p-53;
    if (share <= chunk->count) share = chunk->count;
    *index = (uint64_t)(place * share);
    return chunk;
}

static const struct record_chunk *random_chunk(const struct record_table *table, double limit,
                                               uint64_t (*random)(void *), void *context,
                                               uint64_t *index) {
    for (unsigned i = 0; i < RANDOM_TRIES_MAX; i++) {
        const struct record_chunk *chunk = chunk_drawn(table, limit, random(context), index);
        if (*index < chunk->count) return chunk;
    }
    return NULL;
}

void record_table_prefetch_drawn(const struct record_table *table, uint64_t word) {
    enum { LINE = 64 };
    uint64_t index;
    if (table->count == 0) return;
    const struct record_chunk *chunk = chunk_drawn(table, density_limit(table), word, &index);
    if (index >= chunk->count) return;
    const uint8_t *at = chunk_place(chunk, (unsigned)index).at;
    memory_prefetch_to_write(at);
    memory_prefetch_to_write(at + LINE / 2);
    memory_prefetch_to_write(chunk_end(chunk) - chunk->used); /* what takes the place of it */
}

/* Where hashes are not random (tests): the first record behind a random place. */
static const struct record_chunk *chunk_near(const struct record_table *table, uint64_t hash) {
    for (;;) {
        const struct record_chunk *chunk = record_chunk_of(table->root, hash);
        if (chunk->count > 0) return chunk;
        uint64_t width = chunk->depth == 0 ? 0 : UINT64_C(1) << (64 - chunk->depth);
        hash = (hash & ~(width - 1)) + width;
    }
}

bool record_table_random(const struct record_table *table, uint64_t (*random)(void *),
                         void *context, struct record *out) {
    if (table->count == 0) return false;
    uint64_t index = 0;
    const struct record_chunk *chunk =
        random_chunk(table, density_limit(table), random, context, &index);
    if (chunk == NULL) {
        chunk = chunk_near(table, random(context));
        index = 0;
    }
    struct record_place place = chunk_place(chunk, (unsigned)index);
    record_read(place.at, chunk->slots[index].size, out);
    return true;
}
