/* input.h: words of the RDB format on their way in, from memory (RESTORE) or from a file piece by
 * piece. Nothing that is read is trusted: every size is checked against what is left before
 * anything is asked of memory, and what cannot be is an error with a text.
 *
 * What a function gives points into the piece at hand and is valid until the next call, unless it
 * was asked to be copied. After an error every call fails. */
#ifndef REDSTART_RDB_INPUT_H
#define REDSTART_RDB_INPUT_H

#include "base/buffer.h"
#include "struct/item.h"

struct rdb_input {
    const char *at, *end; /* at hand */
    uint64_t more;        /* bytes that follow and are not at hand */
    /* Bring at least `size` bytes at hand; they are there. False: an error of the world. NULL when
     * `more` is 0. */
    bool (*fill)(struct rdb_input *in, size_t size);
    const char *error; /* NULL: none */
};

static inline struct rdb_input rdb_input_of(struct bytes bytes) {
    return (struct rdb_input){.at = bytes.data, .end = bytes.data + bytes.size};
}
static inline uint64_t rdb_input_left(const struct rdb_input *in) {
    return (uint64_t)(in->end - in->at) + in->more;
}
/* Always false. The first error counts. */
bool rdb_input_fail(struct rdb_input *in, const char *error);
bool rdb_input_fill(struct rdb_input *in, uint64_t size);
/* So many bytes are at hand from `at` on, or it fails. */
static inline bool rdb_input_need(struct rdb_input *in, uint64_t size) {
    if (__builtin_expect((uint64_t)(in->end - in->at) >= size && !in->error, 1)) return true;
    return rdb_input_fill(in, size);
}

bool rdb_input_byte(struct rdb_input *in, uint8_t *out);
bool rdb_input_raw(struct rdb_input *in, uint64_t size, struct bytes *out);
/* A length; encoded strings are errors here. */
bool rdb_input_length(struct rdb_input *in, uint64_t *out);
/* The length of something whose elements have at least `size` bytes each: more than what is left
 * can hold is an error. */
bool rdb_input_count(struct rdb_input *in, size_t size, uint64_t *out);
/* A string; what does not stand as it is in the input (numbers, compressed ones) is made in `room`,
 * whatever that held. */
bool rdb_input_string(struct rdb_input *in, struct buffer *room, struct bytes *out);
/* The same, always in `room`. */
bool rdb_input_string_copy(struct rdb_input *in, struct buffer *room, struct bytes *out);
bool rdb_input_skip_string(struct rdb_input *in);
bool rdb_input_u32(struct rdb_input *in, uint32_t *out); /* little-endian */
bool rdb_input_u64(struct rdb_input *in, uint64_t *out); /* little-endian */
bool rdb_input_double(struct rdb_input *in, double *out);
/* Of the oldest files: a size and text, or 253 to 255 for what is no number of decimals. */
bool rdb_input_old_double(struct rdb_input *in, double *out);

#endif
