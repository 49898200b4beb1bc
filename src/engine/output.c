/* output.c: chunks of output that waits. Sends nothing itself. */
#include "engine/output.h"

#include "base/invariant.h"
#include "base/memory.h"

static void add_last(struct output *output, struct output_chunk *chunk) {
    if (output->last)
        output->last->next = chunk;
    else
        output->first = chunk;
    output->last = chunk;
    output->chunk_count++;
}

struct output_chunk *output_add_chunk(struct output *output, size_t size) {
    size_t capacity = size > OUTPUT_CHUNK_SIZE ? size : OUTPUT_CHUNK_SIZE;
    struct output_chunk *chunk = memory_alloc(sizeof *chunk + capacity);
    *chunk = (struct output_chunk){.capacity = capacity, .data = chunk->own};
    add_last(output, chunk);
    return chunk;
}

struct output_shared *output_share(size_t capacity) {
    struct output_shared *shared = memory_alloc(sizeof *shared + capacity);
    *shared = (struct output_shared){.references = 1, .capacity = capacity};
    return shared;
}

void output_unshare(struct output_shared *shared) {
    INVARIANT(shared->references > 0);
    if (--shared->references > 0) return;
    if (shared->account) *shared->account -= shared->capacity;
    memory_free(shared);
}

void output_count(struct output_shared *shared, size_t *account) {
    INVARIANT(!shared->account);
    shared->account = account;
    *account += shared->capacity;
}

void output_append_shared(struct output *output, struct output_shared *shared, size_t from,
                          size_t size) {
    struct output_chunk *last = output->last;
    INVARIANT(from + size <= shared->size);
    output->chunk_bytes += size;
    if (last && last->shared == shared && last->data + last->size == shared->data + from) {
        last->size += size;
        last->capacity += size;
        return;
    }
    struct output_chunk *chunk = memory_alloc(sizeof *chunk);
    *chunk = (struct output_chunk){
        .size = size, .capacity = size, .shared = shared, .data = shared->data + from};
    shared->references++;
    add_last(output, chunk);
}

static void free_chunk(struct output_chunk *chunk) {
    if (chunk->shared) output_unshare(chunk->shared);
    memory_free(chunk);
}

void output_append(struct output *output, struct bytes bytes) {
    struct output_chunk *chunk = output->last;
    if (bytes.size == 0) return;
    if (!chunk || chunk->capacity - chunk->size < bytes.size)
        chunk = output_add_chunk(output, bytes.size);
    memcpy(chunk->data + chunk->size, bytes.data, bytes.size);
    chunk->size += bytes.size;
    output->chunk_bytes += bytes.size;
}

int output_parts(const struct output *output, struct bytes parts[OUTPUT_PARTS_MAX]) {
    int count = 0;
    if (output->piece.size > 0) parts[count++] = output->piece;
    for (const struct output_chunk *chunk = output->first; chunk && count < OUTPUT_PARTS_MAX;
         chunk = chunk->next) {
        if (chunk->size > chunk->sent)
            parts[count++] = bytes_make(chunk->data + chunk->sent, chunk->size - chunk->sent);
    }
    return count;
}

void output_sent(struct output *output, size_t size) {
    size_t of_piece = size < output->piece.size ? size : output->piece.size;
    if (of_piece > 0) {
        output->piece.data += of_piece;
        output->piece.size -= of_piece;
        size -= of_piece;
    }
    INVARIANT(size <= output->chunk_bytes);
    output->chunk_bytes -= size;
    while (output->first) {
        struct output_chunk *chunk = output->first;
        size_t waiting = chunk->size - chunk->sent;
        if (size < waiting) {
            chunk->sent += size;
            return;
        }
        size -= waiting;
        output->first = chunk->next;
        if (!output->first) output->last = NULL;
        output->chunk_count--;
        free_chunk(chunk);
    }
}

void output_keep(struct output *output) {
    size_t size = output->piece.size;
    if (size == 0) return;
    struct output_chunk *chunk = memory_alloc(sizeof *chunk + size);
    *chunk = (struct output_chunk){
        .next = output->first, .size = size, .capacity = size, .data = chunk->own};
    memcpy(chunk->data, output->piece.data, size);
    output->first = chunk;
    if (!output->last) output->last = chunk;
    output->chunk_count++;
    output->chunk_bytes += size;
    output->piece = bytes_make(NULL, 0);
}

void output_release(struct output *output) {
    output->piece = bytes_make(NULL, 0);
    output_sent(output, output->chunk_bytes);
    INVARIANT(output->first == NULL);
}
