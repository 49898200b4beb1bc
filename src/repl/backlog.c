/* backlog.c: blocks of the stream, the newest last. Owns one reference to each. */
#include "repl/backlog.h"

#include "base/invariant.h"
#include "base/memory.h"

struct backlog_block {
    struct backlog_block *next, *before;
    struct output_shared *shared;
    uint64_t offset; /* of its first byte */
};

void backlog_open(struct backlog *backlog, uint64_t offset, uint64_t wanted,
                  struct replication_memory *memory) {
    INVARIANT(!backlog->is_open);
    *backlog = (struct backlog){
        .is_open = true, .begin = offset, .end = offset, .wanted = wanted, .memory = memory};
}

static void drop_first(struct backlog *backlog) {
    struct backlog_block *block = backlog->first;
    backlog->first = block->next;
    if (block->next)
        block->next->before = NULL;
    else
        backlog->last = NULL;
    backlog->begin = block->offset + block->shared->size;
    backlog->memory->backlog -= block->shared->capacity;
    output_unshare(block->shared);
    memory_free(block);
}

void backlog_close(struct backlog *backlog) {
    while (backlog->first)
        drop_first(backlog);
    *backlog = (struct backlog){0};
}

void backlog_trim(struct backlog *backlog) {
    while (backlog->first != backlog->last &&
           backlog->end - backlog->first->next->offset >= backlog->wanted)
        drop_first(backlog);
}

void backlog_set_wanted(struct backlog *backlog, uint64_t wanted) {
    backlog->wanted = wanted;
    if (backlog->is_open) backlog_trim(backlog);
}

static void add_block(struct backlog *backlog) {
    uint64_t capacity = backlog->wanted / 8;
    if (capacity < BACKLOG_BLOCK_MIN) capacity = BACKLOG_BLOCK_MIN;
    if (capacity > BACKLOG_BLOCK_MAX) capacity = BACKLOG_BLOCK_MAX;
    struct backlog_block *block = memory_alloc(sizeof *block);
    *block = (struct backlog_block){
        .before = backlog->last, .shared = output_share(capacity), .offset = backlog->end};
    if (backlog->last)
        backlog->last->next = block;
    else
        backlog->first = block;
    backlog->last = block;
    output_count(block->shared, &backlog->memory->blocks);
    backlog->memory->backlog += capacity;
}

void backlog_append(struct backlog *backlog, struct bytes bytes) {
    while (bytes.size > 0) {
        if (!backlog->last || backlog->last->shared->size == backlog->last->shared->capacity)
            add_block(backlog);
        struct output_shared *shared = backlog->last->shared;
        size_t room = shared->capacity - shared->size;
        size_t size = bytes.size < room ? bytes.size : room;
        memcpy(shared->data + shared->size, bytes.data, size);
        shared->size += size;
        backlog->end += size;
        bytes = bytes_make(bytes.data + size, bytes.size - size);
    }
}

void backlog_each(const struct backlog *backlog, uint64_t from, backlog_visit *visit,
                  void *context) {
    const struct backlog_block *block = backlog->last;
    INVARIANT(backlog->begin <= from && from <= backlog->end);
    while (block && block->offset > from)
        block = block->before;
    for (; block; block = block->next) {
        size_t skipped = from > block->offset ? (size_t)(from - block->offset) : 0;
        size_t size = block->shared->size - skipped;
        if (size > 0) visit(context, block->shared, skipped, size);
    }
}
