/* output.c: lengths, strings and numbers as RDB has them. */
#include "rdb/output.h"

#include "base/invariant.h"
#include "rdb/format.h"
#include <lzf.h>

enum {
    COMPRESS_MIN = 21,               /* bytes: shorter ones gain nothing */
    COMPRESS_GAIN = 4,               /* bytes that it must save */
    COMPRESS_MAX = 64 * 1024 * 1024, /* as the result is made in memory */
    LENGTH_SIZE_MAX = 9,
    NUMBER_TEXT_MAX = 11, /* of 32 bits */
};

void rdb_output_init(struct rdb_output *out, bool compresses) {
    *out = (struct rdb_output){.compresses = compresses, .version = RDB_VERSION_MIN};
}

void rdb_output_release(struct rdb_output *out) {
    buffer_release(&out->buffer);
}

void rdb_output_flush(struct rdb_output *out) {
    if (!out->write) return;
    if (!out->failed && out->buffer.size > 0)
        out->failed = !out->write(out->context, buffer_bytes(&out->buffer));
    buffer_clear(&out->buffer);
}

void rdb_output_raw(struct rdb_output *out, struct bytes bytes) {
    if (out->write && bytes.size >= RDB_OUTPUT_BLOCK) {
        rdb_output_flush(out);
        if (!out->failed) out->failed = !out->write(out->context, bytes);
        return;
    }
    buffer_append(&out->buffer, bytes.data, bytes.size);
}

/* ---- numbers ---- */

static void put_big_endian(char *to, uint64_t number, unsigned size) {
    for (unsigned i = 0; i < size; i++)
        to[i] = (char)(number >> (8 * (size - 1 - i)));
}

static size_t put_length(char *to, uint64_t length) {
    if (length < 1 << 6) {
        to[0] = (char)length;
        return 1;
    }
    if (length < 1 << 14) {
        put_big_endian(to, (uint64_t)RDB_LENGTH_14 << 8 | length, 2);
        return 2;
    }
    if (length <= UINT32_MAX) {
        to[0] = (char)RDB_LENGTH_32;
        put_big_endian(to + 1, length, 4);
        return 5;
    }
    to[0] = (char)RDB_LENGTH_64;
    put_big_endian(to + 1, length, 8);
    return 9;
}

void rdb_output_length(struct rdb_output *out, uint64_t length) {
    out->buffer.size += put_length(buffer_reserve(&out->buffer, LENGTH_SIZE_MAX), length);
}

static void put_little_endian(struct rdb_output *out, uint64_t number, unsigned size) {
    char *to = buffer_reserve(&out->buffer, size);
    for (unsigned i = 0; i < size; i++)
        to[i] = (char)(number >> (8 * i));
    out->buffer.size += size;
}

void rdb_output_u64(struct rdb_output *out, uint64_t number) {
    put_little_endian(out, number, 8);
}

void rdb_output_double(struct rdb_output *out, double number) {
    uint64_t bits;
    memcpy(&bits, &number, sizeof bits);
    put_little_endian(out, bits, 8);
}

/* ---- strings ---- */

/* False when it has more than 32 bits. */
static bool put_number(struct rdb_output *out, int64_t number) {
    if (number != (int32_t)number) return false;
    if (number == (int8_t)number) {
        rdb_output_byte(out, RDB_ENCODED_8);
        put_little_endian(out, (uint64_t)number, 1);
    } else if (number == (int16_t)number) {
        rdb_output_byte(out, RDB_ENCODED_16);
        put_little_endian(out, (uint64_t)number, 2);
    } else {
        rdb_output_byte(out, RDB_ENCODED_32);
        put_little_endian(out, (uint64_t)number, 4);
    }
    return true;
}

/* The compressed bytes are made where they go, behind room for the longest head, and then moved to
 * their head. */
static bool put_compressed(struct rdb_output *out, struct bytes string) {
    enum { HEAD_MAX = 1 + 2 * LENGTH_SIZE_MAX };
    char *to = buffer_reserve(&out->buffer, HEAD_MAX + string.size);
    unsigned size = lzf_compress(string.data, (unsigned)string.size, to + HEAD_MAX,
                                 (unsigned)string.size - COMPRESS_GAIN);
    if (size == 0) return false;
    size_t head = 1;
    to[0] = (char)RDB_ENCODED_LZF;
    head += put_length(to + head, size);
    head += put_length(to + head, string.size);
    memmove(to + head, to + HEAD_MAX, size);
    out->buffer.size += head + size;
    return true;
}

void rdb_output_string(struct rdb_output *out, struct bytes string) {
    int64_t number;
    if (string.size <= NUMBER_TEXT_MAX && number_parse_i64(string, &number) &&
        put_number(out, number))
        return;
    if (out->compresses && string.size >= COMPRESS_MIN && string.size <= COMPRESS_MAX &&
        put_compressed(out, string))
        return;
    rdb_output_length(out, string.size);
    rdb_output_raw(out, string);
}

void rdb_output_integer_string(struct rdb_output *out, int64_t number) {
    char text[NUMBER_I64_TEXT_MAX];
    if (put_number(out, number)) return;
    struct bytes digits = bytes_make(text, number_format_i64(text, number));
    rdb_output_length(out, digits.size);
    rdb_output_raw(out, digits);
}

void rdb_output_item(struct rdb_output *out, const struct item *item) {
    if (item->text)
        rdb_output_string(out, bytes_make(item->text, item->size));
    else
        rdb_output_integer_string(out, item->integer);
}
