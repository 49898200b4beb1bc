/* request_arena.c: where the argument arrays of a turn's requests are put.
 *
 * A list of blocks, filled in order; an array never spans two. Owns the blocks. Resetting keeps the
 * first ARENA_BLOCKS_KEPT blocks of the usual size, and gives back what an unusual turn has needed.
 */
#include "base/memory.h"
#include "resp/request.h"

enum { ARENA_BLOCK_SLOTS = 4096, ARENA_BLOCKS_KEPT = 16 };

struct request_arena_block {
    struct request_arena_block *next;
    size_t slot_count;
    struct bytes slots[];
};

static struct request_arena_block *block_make(size_t slot_count) {
    struct request_arena_block *block =
        memory_alloc(sizeof(*block) + slot_count * sizeof(struct bytes));
    block->next = NULL;
    block->slot_count = slot_count;
    return block;
}

static void arena_enter(struct request_arena *arena, struct request_arena_block *block) {
    arena->current = block;
    arena->next = block->slots;
    arena->end = block->slots + block->slot_count;
}

void request_arena_grow(struct request_arena *arena, size_t count) {
    struct request_arena_block **link = arena->current ? &arena->current->next : &arena->first;
    if (!*link || (*link)->slot_count < count) {
        struct request_arena_block *block =
            block_make(count > ARENA_BLOCK_SLOTS ? count : ARENA_BLOCK_SLOTS);
        block->next = *link;
        *link = block;
    }
    arena_enter(arena, *link);
}

static void blocks_free(struct request_arena_block *block) {
    while (block) {
        struct request_arena_block *next = block->next;
        memory_free(block);
        block = next;
    }
}

void request_arena_reset(struct request_arena *arena) {
    struct request_arena_block **link = &arena->first;
    for (size_t kept = 0; *link && kept < ARENA_BLOCKS_KEPT;) {
        struct request_arena_block *block = *link;
        if (block->slot_count == ARENA_BLOCK_SLOTS) {
            link = &block->next;
            kept++;
        } else {
            *link = block->next;
            memory_free(block);
        }
    }
    blocks_free(*link);
    *link = NULL;
    arena->next = arena->end = NULL;
    arena->current = NULL;
    if (arena->first) arena_enter(arena, arena->first);
}

void request_arena_release(struct request_arena *arena) {
    blocks_free(arena->first);
    memset(arena, 0, sizeof(*arena));
}
