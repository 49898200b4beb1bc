/* pool.h: blocks of some hundred bytes to 8 KiB that are replaced by larger ones all the time,
 * packed without holes.
 *
 *     class k: blocks of k granules of 512 bytes, a stack of them in chunks of 256 KiB
 *     +---+---+---+---+---+---+     +---+---+---+- - - - - - +
 *     | * |   |   |hol|   |   | ... | * |   |las|  not in use |
 *     +---+---+---+---+---+---+     +---+---+---+- - - - - - +
 *       * the chunk's books             <- tidy moves the last block into a hole
 *
 * The segments of a table pass from one size to the next at about the same time. Whatever keeps
 * blocks where they are loses memory then, as holes of the old size do not fit the new one:
 * jemalloc 2.3 bytes for each key of a million, and best fit among all sizes a fifth of the blocks,
 * as a simulation showed. So blocks are moved: whoever owns them can find the one place that points
 * to a block. At most one block in 64 is a hole, for long.
 *
 * A chunk that gets empty goes back to the allocator, which has it ready for the next class: pages
 * that went to the system and came back cost more than the blocks in them. So chunks are small.
 *
 * A pool and the owners of its blocks belong to one thread at a time, as a slab does. */
#ifndef REDSTART_STRUCT_POOL_H
#define REDSTART_STRUCT_POOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    POOL_GRANULE = 512,
    POOL_CLASSES = 16,
    POOL_BLOCK_MAX = POOL_CLASSES * POOL_GRANULE,
};

struct pool_chunk;
struct pool_hole;

struct pool {
    struct pool_class {
        struct pool_chunk *last; /* NULL: no blocks; the others of the class are before it */
        struct pool_hole *holes;
        uint32_t blocks, hole_count;
    } classes[POOL_CLASSES];
    size_t granules; /* in blocks */
    size_t chunks;
    uint32_t untidy; /* a bit for each class with more holes than it may have */
};

void pool_init(struct pool *pool);
/* Gives everything back at once, whatever is still allocated. May be called on another thread than
 * the one that allocated, once that has let go of it. */
void pool_release(struct pool *pool);

/* A block of at least `size` bytes, 1 to POOL_BLOCK_MAX, aligned to POOL_GRANULE, with whatever is
 * in it. Moves nothing. */
void *pool_alloc(struct pool *pool, size_t size) __attribute__((returns_nonnull));
/* `size` as it was asked for. Moves nothing. */
void pool_free(struct pool *pool, void *block, size_t size);

/* Copy the block of this size to the other place, and let everything point there; or do nothing and
 * return false when it must stay where it is for now. Must not call the pool. */
typedef bool pool_move(void *to, void *from, size_t size);
/* Close some holes, by at most `moves_max` moves. Nobody may hold the address of a block from
 * before this call, but where `move` finds and changes it. Cheap when there is nothing to do. */
void pool_tidy_now(struct pool *pool, pool_move *move, unsigned moves_max);
static inline void pool_tidy(struct pool *pool, pool_move *move, unsigned moves_max) {
    if (pool->untidy != 0) pool_tidy_now(pool, move, moves_max);
}

struct pool_report {
    size_t blocks, block_bytes; /* allocated */
    size_t hole_bytes;          /* between them */
    size_t tail_bytes;          /* behind the last of each class, in memory or not */
    size_t chunk_bytes;         /* from the allocator */
};
struct pool_report pool_report(const struct pool *pool);
/* block_bytes alone, cheap. */
static inline size_t pool_used(const struct pool *pool) {
    return pool->granules * POOL_GRANULE;
}
/* chunk_bytes less that, cheap too. */
size_t pool_unused(const struct pool *pool);

#endif
