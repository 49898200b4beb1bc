/* output.h: what waits to be sent to one session.
 *
 * Replies are written first into the batch's outbox, a piece of memory that all sessions of the
 * batch share one after another, and sent from there: a session whose peer keeps up owns no output
 * memory. What does not fit or does not leave at once goes into chunks of the session's own.
 *
 *     piece (in the outbox, this batch only)   chunks (the session's)
 *     +-----------------+                      +--------+   +--------+
 *     | +OK.. $3..      |  then                | ...    |-->| ...    |
 *     +-----------------+                      +--------+   +--------+
 *
 * What goes to many sessions is encoded once into shared memory, and each of them has a chunk that
 * is a stretch of it and holds a reference:
 *
 *     session 7    ... -->| chunk |--.        +---------------------------------+
 *     session 8    ... -->| chunk |---`------>| message | message | message |   |  references: 2
 *                                             +---------------------------------+
 *
 * Stretches that follow one another are one chunk. */
#ifndef REDSTART_ENGINE_OUTPUT_H
#define REDSTART_ENGINE_OUTPUT_H

#include "base/bytes.h"

enum {
    OUTPUT_CHUNK_SIZE = 16 * 1024, /* least capacity of a chunk */
    OUTPUT_PARTS_MAX = 64,         /* parts of one send */
};

struct output_chunk {
    struct output_chunk *next;
    size_t size, sent, capacity;  /* of a stretch of shared memory capacity is size */
    struct output_shared *shared; /* NULL: `data` is the chunk's own */
    char *data;
    char own[];
};

/* What several outputs have parts of. Only its owner, who holds a reference too, writes into it,
 * behind what is there. */
struct output_shared {
    uint32_t references;
    size_t size, capacity;
    size_t *account; /* where its capacity is counted while it lives; NULL: nowhere */
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
/* One reference is the caller's. */
struct output_shared *output_share(size_t capacity);
void output_unshare(struct output_shared *shared);
/* Count it there from now on; the account outlives it. */
void output_count(struct output_shared *shared, size_t *account);
/* Append a stretch of it, without copying. */
void output_append_shared(struct output *output, struct output_shared *shared, size_t from,
                          size_t size);
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
