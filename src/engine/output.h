/* output.h: what waits to be sent to one session.
 *
 * Replies are written first into the batch's outbox, a piece of memory that all sessions of the
 * batch share one after another, and sent from there: a session whose peer keeps up owns no output
 * memory. What does not fit or does not leave at once goes into chunks of the session's own.
 *
 *     piece (in the outbox, this batch only)   chunks (the session's)
 *     +-----------------+                      +--------+   +--------+
 *     | +OK.. $3..      |  then                | ...    |-->| ...    |
 *     +-----------------+                      +--------+   +--------+ */
#ifndef REDSTART_ENGINE_OUTPUT_H
#define REDSTART_ENGINE_OUTPUT_H

#include "base/bytes.h"

enum {
    OUTPUT_CHUNK_SIZE = 16 * 1024, /* least capacity of a chunk */
    OUTPUT_PARTS_MAX = 64,         /* parts of one send */
};

struct output_chunk {
    struct output_chunk *next;
    size_t size, sent, capacity;
    char data[];
};

struct output {
    struct bytes piece; /* in the outbox; only during a batch */
    struct output_chunk *first, *last;
    size_t chunk_bytes; /* waiting in chunks */
    uint32_t chunk_count;
};

static inline size_t output_pending(const struct output *output) {
    return output->piece.size + output->chunk_bytes;
}
/* Append a copy to the chunks. */
void output_append(struct output *output, struct bytes bytes);
/* An empty chunk at the end with room for at least `size` bytes; its size is set by the caller. */
struct output_chunk *output_add_chunk(struct output *output, size_t size);
/* What to send next: fills parts, returns how many. */
int output_parts(const struct output *output, struct bytes parts[OUTPUT_PARTS_MAX]);
/* `size` bytes have left. */
void output_sent(struct output *output, size_t size);
/* The outbox is about to be used again: what is left of the piece moves into a chunk in front. */
void output_keep(struct output *output);
void output_release(struct output *output);

#endif
