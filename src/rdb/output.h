/* output.h: words of the RDB format on their way out: into memory (DUMP), or in blocks to a sink (a
 * file).
 *
 * Owns the buffer. A sink that fails is told nothing more; `failed` says so. */
#ifndef REDSTART_RDB_OUTPUT_H
#define REDSTART_RDB_OUTPUT_H

#include "base/buffer.h"
#include "struct/item.h"

enum { RDB_OUTPUT_BLOCK = 1024 * 1024 }; /* bytes handed to the sink at once, about */

struct rdb_output {
    struct buffer buffer;
    bool compresses;
    bool failed;
    uint32_t version; /* the least that knows all that was written */
    /* False: it failed. NULL: everything stays in the buffer. */
    bool (*write)(void *context, struct bytes bytes);
    void *context;
};

void rdb_output_init(struct rdb_output *out, bool compresses);
void rdb_output_release(struct rdb_output *out);
/* Hand what the buffer has to the sink. */
void rdb_output_flush(struct rdb_output *out);
/* The same once there is a block of it: call it between the elements of something large. */
static inline void rdb_output_step(struct rdb_output *out) {
    if (out->buffer.size >= RDB_OUTPUT_BLOCK) rdb_output_flush(out);
}

static inline void rdb_output_byte(struct rdb_output *out, unsigned byte) {
    *buffer_reserve(&out->buffer, 1) = (char)byte;
    out->buffer.size++;
}
/* As they are, without a length. */
void rdb_output_raw(struct rdb_output *out, struct bytes bytes);
void rdb_output_length(struct rdb_output *out, uint64_t length);
/* With its length; as a number or compressed where that is shorter. */
void rdb_output_string(struct rdb_output *out, struct bytes string);
void rdb_output_integer_string(struct rdb_output *out, int64_t number);
void rdb_output_item(struct rdb_output *out, const struct item *item);
void rdb_output_u64(struct rdb_output *out, uint64_t number); /* 8 bytes, little-endian */
void rdb_output_double(struct rdb_output *out, double number);

#endif
