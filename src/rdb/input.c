/* input.c: lengths, strings and numbers as RDB has them. */
#include "rdb/input.h"

#include "rdb/format.h"
#include <lzf.h>
#include <math.h>

/* A compressed byte stands for at most so many: three make at most 264. */
enum { EXPANSION_MAX = 88 };

static const char truncated[] = "it ends too early";
static const char no_length[] = "a length is malformed";

bool rdb_input_fail(struct rdb_input *in, const char *error) {
    if (!in->error) in->error = error;
    return false;
}

bool rdb_input_fill(struct rdb_input *in, uint64_t size) {
    if (in->error) return false;
    if (rdb_input_left(in) < size) return rdb_input_fail(in, truncated);
    if (!in->fill(in, (size_t)size)) return rdb_input_fail(in, "it cannot be read");
    return true;
}

/* ---- numbers ---- */

bool rdb_input_byte(struct rdb_input *in, uint8_t *out) {
    if (!rdb_input_need(in, 1)) return false;
    *out = (uint8_t)*in->at++;
    return true;
}

bool rdb_input_raw(struct rdb_input *in, uint64_t size, struct bytes *out) {
    if (!rdb_input_need(in, size)) return false;
    *out = bytes_make(in->at, (size_t)size);
    in->at += size;
    return true;
}

bool rdb_input_u32(struct rdb_input *in, uint32_t *out) {
    if (!rdb_input_need(in, 4)) return false;
    *out = (uint32_t)rdb_little_endian(in->at, 4);
    in->at += 4;
    return true;
}

bool rdb_input_u64(struct rdb_input *in, uint64_t *out) {
    if (!rdb_input_need(in, 8)) return false;
    *out = rdb_little_endian(in->at, 8);
    in->at += 8;
    return true;
}

bool rdb_input_double(struct rdb_input *in, double *out) {
    uint64_t bits;
    if (!rdb_input_u64(in, &bits)) return false;
    memcpy(out, &bits, sizeof bits);
    return true;
}

bool rdb_input_old_double(struct rdb_input *in, double *out) {
    enum { NOT_A_NUMBER = 253, INFINITE = 254, MINUS_INFINITE = 255 };
    uint8_t size;
    struct bytes text;
    if (!rdb_input_byte(in, &size)) return false;
    if (size == NOT_A_NUMBER) *out = NAN;
    if (size == INFINITE) *out = INFINITY;
    if (size == MINUS_INFINITE) *out = -INFINITY;
    if (size >= NOT_A_NUMBER) return true;
    if (!rdb_input_raw(in, size, &text)) return false;
    return number_parse_double(text, out) || rdb_input_fail(in, "a score is no number");
}

/* A length, or with `encoded` (may be NULL: not allowed) the first byte of an encoded string. */
static bool take_length(struct rdb_input *in, uint64_t *out, uint8_t *encoded) {
    uint8_t first;
    if (!rdb_input_byte(in, &first)) return false;
    if (encoded) *encoded = 0;
    switch (first & RDB_ENCODED) {
    case RDB_LENGTH_6: *out = first; return true;
    case RDB_LENGTH_14:
        if (!rdb_input_need(in, 1)) return false;
        *out = (uint64_t)(first & 63) << 8 | (uint8_t)*in->at++;
        return true;
    case RDB_ENCODED:
        if (!encoded) return rdb_input_fail(in, no_length);
        *encoded = first;
        return true;
    default: break;
    }
    if (first != RDB_LENGTH_32 && first != RDB_LENGTH_64) return rdb_input_fail(in, no_length);
    unsigned size = first == RDB_LENGTH_32 ? 4 : 8;
    if (!rdb_input_need(in, size)) return false;
    *out = rdb_big_endian(in->at, size);
    in->at += size;
    return true;
}

bool rdb_input_length(struct rdb_input *in, uint64_t *out) {
    return take_length(in, out, NULL);
}

bool rdb_input_count(struct rdb_input *in, size_t size, uint64_t *out) {
    if (!rdb_input_length(in, out)) return false;
    return *out <= rdb_input_left(in) / size || rdb_input_fail(in, truncated);
}

/* ---- strings ---- */

static bool take_number(struct rdb_input *in, uint8_t encoded, struct buffer *room,
                        struct bytes *out) {
    unsigned size = 1u << (encoded - RDB_ENCODED_8);
    if (!rdb_input_need(in, size)) return false;
    uint64_t bits = rdb_little_endian(in->at, size);
    int64_t number = size == 1 ? (int8_t)bits : size == 2 ? (int16_t)bits : (int32_t)bits;
    in->at += size;
    buffer_clear(room);
    buffer_append_i64(room, number);
    *out = buffer_bytes(room);
    return true;
}

static bool take_compressed(struct rdb_input *in, struct buffer *room, struct bytes *out) {
    uint64_t packed, size;
    struct bytes from;
    if (!rdb_input_length(in, &packed) || !rdb_input_length(in, &size)) return false;
    if (packed > rdb_input_left(in)) return rdb_input_fail(in, truncated);
    if (size == 0 || packed == 0 || size / EXPANSION_MAX > packed || size > UINT32_MAX)
        return rdb_input_fail(in, "a compressed string has an impossible size");
    if (!rdb_input_raw(in, packed, &from)) return false;
    buffer_clear(room);
    char *to = buffer_reserve(room, (size_t)size);
    if (lzf_decompress(from.data, (unsigned)packed, to, (unsigned)size) != size)
        return rdb_input_fail(in, "a compressed string is malformed");
    room->size = (size_t)size;
    *out = buffer_bytes(room);
    return true;
}

bool rdb_input_string(struct rdb_input *in, struct buffer *room, struct bytes *out) {
    uint64_t size = 0;
    uint8_t encoded;
    if (!take_length(in, &size, &encoded)) return false;
    if (encoded == 0) return rdb_input_raw(in, size, out);
    if (encoded == RDB_ENCODED_LZF) return take_compressed(in, room, out);
    if (encoded > RDB_ENCODED_LZF) return rdb_input_fail(in, "a string's encoding is unknown");
    return take_number(in, encoded, room, out);
}

bool rdb_input_string_copy(struct rdb_input *in, struct buffer *room, struct bytes *out) {
    if (!rdb_input_string(in, room, out)) return false;
    if (out->data != room->data) {
        buffer_clear(room);
        buffer_reserve(room, 1); /* data that are not NULL, even for an empty one */
        buffer_append(room, out->data, out->size);
        *out = buffer_bytes(room);
    }
    return true;
}

bool rdb_input_skip_string(struct rdb_input *in) {
    uint64_t size = 0;
    uint8_t encoded;
    struct bytes skipped;
    if (!take_length(in, &size, &encoded)) return false;
    if (encoded == RDB_ENCODED_LZF) {
        uint64_t unpacked;
        if (!rdb_input_length(in, &size) || !rdb_input_length(in, &unpacked)) return false;
    } else if (encoded > RDB_ENCODED_LZF) {
        return rdb_input_fail(in, "a string's encoding is unknown");
    } else if (encoded != 0) {
        size = UINT64_C(1) << (encoded - RDB_ENCODED_8);
    }
    return rdb_input_raw(in, size, &skipped);
}
