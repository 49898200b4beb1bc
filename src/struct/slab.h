/* slab.h: many small blocks, packed, with names shorter than pointers.
 *
 *     chunk, 2 MiB, aligned        page, 16 KiB: blocks of one size class
 *     +------+------+-----+        +-------+-------+-------+---
 *     | page | page | ... |        | block | block | block | ...
 *     +------+------+-----+        +-------+-------+-------+---
 *     handle = chunk number << 18 | offset in the chunk / 8        40 bits in all: 8 TiB
 *
 * Classes are 8 bytes apart up to 256 and further apart above (at most 1/8 lost), because for small
 * entries the difference between 40 and 48 bytes is a sixth of the memory. Freed blocks are linked
 * inside their page; an empty page goes back to its arena for any class, and when enough are empty
 * their memory goes back to the system. An arena belongs to one thread; others may read blocks
 * through the array `chunks` as it was when the view was opened: arrays that were
 * outgrown live as long as the arena. */
#ifndef REDSTART_STRUCT_SLAB_H
#define REDSTART_STRUCT_SLAB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    SLAB_BLOCK_MAX = 1024, /* largest block, in bytes */
    SLAB_HANDLE_BITS = 40,
    SLAB_PAGE_BLOCKS_MAX = 2048, /* blocks of one page, at most */
};

/* Names a block: never 0, below 2^40. */
typedef uint64_t slab_handle;

struct slab {
    char **chunks; /* by chunk number: where they are */
    struct slab_state *state;
};

void slab_init(struct slab *slab);
/* Gives back everything at once, whatever is still allocated. May be called on another thread than
 * the one that allocated, once that has let go of it. */
void slab_release(struct slab *slab);

static inline void *slab_at_chunks(char *const *chunks, slab_handle handle) {
    return chunks[handle >> 18] + ((handle & 0x3ffff) << 3);
}
static inline void *slab_at(const struct slab *slab, slab_handle handle) {
    return slab_at_chunks(slab->chunks, handle);
}

/* A block of at least `size` bytes, 1 to SLAB_BLOCK_MAX, aligned to 8. */
slab_handle slab_alloc(struct slab *slab, size_t size);
void slab_free(struct slab *slab, slab_handle handle);
/* What a request of `size` really gets; a block may be used up to that. */
size_t slab_class_size(size_t size);
/* The size of this block, as slab_class_size gave it. */
size_t slab_block_size(const struct slab *slab, slab_handle handle);

/* A page that is no fuller than those of its class are on average, while all of them together have
 * room to spare for what it has: the next at *cursor, which goes round all pages. Looks at no more
 * than `pages_max`; returns how many handles of blocks in use were written, 0 when no such page was
 * found, and *wrapped at the end of all. From then on the page hands out no block. The caller gives
 * each block another place and frees it, after which the page is empty; or says that one of them
 * stays. */
size_t slab_empty_begin(struct slab *slab, uint32_t *cursor, uint32_t pages_max,
                        slab_handle handles[SLAB_PAGE_BLOCKS_MAX], bool *wrapped);
void slab_empty_cancel(struct slab *slab, slab_handle stays);

struct slab_report {
    size_t blocks;      /* allocated */
    size_t block_bytes; /* their class sizes together */
    size_t page_bytes;  /* pages in use */
    size_t chunk_bytes; /* reserved from the system */
};
struct slab_report slab_report(const struct slab *slab);
/* block_bytes alone, cheap. */
size_t slab_used(const struct slab *slab);
/* chunk_bytes less that, cheap too. */
size_t slab_unused(const struct slab *slab);
/* As much of that as the system has back: bytes of empty pages. */
size_t slab_discarded(const struct slab *slab);

#endif
