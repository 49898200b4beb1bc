/* reply.c: writing replies, and requests as clients send them.
 *
 * Nothing is kept here: bytes go to the cursor, and what a reply is made of is known to the caller
 * alone (that an array of three is followed by three replies is the caller's promise). */
#include "resp/reply.h"

#include "base/buffer.h"
#include "base/invariant.h"

enum {
    REPLY_PIECE_MAX = 16 * 1024, /* bytes of room asked for at once by long text */
};

/* Text longer than the room that is left: fill that, and go on in pieces. */
static __attribute__((noinline)) void write_long(struct reply *reply, const char *data,
                                                 size_t size) {
    while (size > 0) {
        size_t room = (size_t)(reply->end - reply->cursor);
        if (room == 0) {
            reply_reserve(reply, size < REPLY_PIECE_MAX ? size : REPLY_PIECE_MAX);
            room = (size_t)(reply->end - reply->cursor);
        }
        size_t part = size < room ? size : room;
        memcpy(reply->cursor, data, part);
        reply->cursor += part;
        data += part;
        size -= part;
    }
}

void reply_raw(struct reply *reply, struct bytes bytes) {
    if (likely((size_t)(reply->end - reply->cursor) >= bytes.size)) {
        if (bytes.size) /* an empty run may have no address */
            memcpy(reply->cursor, bytes.data, bytes.size);
        reply->cursor += bytes.size;
    } else {
        write_long(reply, bytes.data, bytes.size);
    }
}

void reply_head_long(struct reply *reply, char kind, uint64_t number) {
    char *out = reply_reserve(reply, NUMBER_I64_TEXT_MAX + 3);
    *out++ = kind;
    out += number_format_u64(out, number);
    *out++ = '\r';
    *out++ = '\n';
    reply->cursor = out;
}

/* A line: a letter, text and CRLF. */
static void write_line(struct reply *reply, char kind, struct bytes text) {
    *reply_reserve(reply, 1) = kind;
    reply->cursor++;
    reply_raw(reply, text);
    reply_raw(reply, BYTES("\r\n"));
}

void reply_simple(struct reply *reply, const char *text) {
    write_line(reply, '+', bytes_from_text(text));
}

void reply_error(struct reply *reply, struct bytes text) {
    *reply_reserve(reply, 1) = '-';
    reply->cursor++;
    size_t begin = 0;
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] != '\r' && text.data[i] != '\n') continue;
        reply_raw(reply, bytes_make(text.data + begin, i - begin));
        reply_raw(reply, BYTES(" "));
        begin = i + 1;
    }
    reply_raw(reply, bytes_make(text.data + begin, text.size - begin));
    reply_raw(reply, BYTES("\r\n"));
}

void reply_integer_long(struct reply *reply, int64_t number) {
    char *out = reply_reserve(reply, NUMBER_I64_TEXT_MAX + 3);
    *out++ = ':';
    out += number_format_i64(out, number);
    *out++ = '\r';
    *out++ = '\n';
    reply->cursor = out;
}

__attribute__((noinline)) void reply_bulk_long(struct reply *reply, struct bytes bytes) {
    reply_head(reply, '$', bytes.size);
    reply_raw(reply, bytes);
    reply_raw(reply, BYTES("\r\n"));
}

void reply_bulk_text(struct reply *reply, const char *text) {
    reply_bulk(reply, bytes_from_text(text));
}

void reply_bulk_integer(struct reply *reply, int64_t number) {
    char digits[NUMBER_I64_TEXT_MAX];
    reply_bulk(reply, bytes_make(digits, number_format_i64(digits, number)));
}

void reply_null_array(struct reply *reply) {
    reply_raw(reply, reply->protocol == 2 ? BYTES("*-1\r\n") : BYTES("_\r\n"));
}

void reply_map(struct reply *reply, size_t pairs) {
    if (reply->protocol == 2)
        reply_head(reply, '*', pairs * 2);
    else
        reply_head(reply, '%', pairs);
}

void reply_set(struct reply *reply, size_t count) {
    reply_head(reply, reply->protocol == 2 ? '*' : '~', count);
}

void reply_push(struct reply *reply, size_t count) {
    reply_head(reply, reply->protocol == 2 ? '*' : '>', count);
}

void reply_attribute(struct reply *reply, size_t pairs) {
    INVARIANT(reply->protocol != 2);
    reply_head(reply, '|', pairs);
}

void reply_boolean(struct reply *reply, bool value) {
    if (reply->protocol == 2)
        reply_raw(reply, value ? BYTES(":1\r\n") : BYTES(":0\r\n"));
    else
        reply_raw(reply, value ? BYTES("#t\r\n") : BYTES("#f\r\n"));
}

void reply_double(struct reply *reply, double number) {
    char digits[NUMBER_DOUBLE_TEXT_MAX];
    struct bytes text = bytes_make(digits, number_format_double(digits, number));
    if (reply->protocol == 2)
        reply_bulk(reply, text);
    else
        write_line(reply, ',', text);
}

void reply_long_double(struct reply *reply, long double number) {
    char digits[NUMBER_LONG_DOUBLE_TEXT_MAX];
    size_t size = number_format_long_double(digits, sizeof(digits), number);
    reply_bulk(reply, bytes_make(digits, size));
}

void reply_big_number(struct reply *reply, struct bytes digits) {
    if (reply->protocol == 2)
        reply_bulk(reply, digits);
    else
        write_line(reply, '(', digits);
}

void reply_verbatim(struct reply *reply, const char *format, struct bytes text) {
    if (reply->protocol == 2) {
        reply_bulk(reply, text);
        return;
    }
    reply_head(reply, '=', text.size + 4);
    reply_raw(reply, bytes_make(format, 3));
    reply_raw(reply, BYTES(":"));
    reply_raw(reply, text);
    reply_raw(reply, BYTES("\r\n"));
}

/* ---- requests ---- */

static char *encode_head(char *out, char kind, size_t number) {
    *out++ = kind;
    out += number_format_u64(out, number);
    *out++ = '\r';
    *out++ = '\n';
    return out;
}

void request_encode(struct buffer *out, const struct bytes *arguments, size_t count) {
    size_t size_max = NUMBER_I64_TEXT_MAX + 3;
    for (size_t i = 0; i < count; i++)
        size_max += NUMBER_I64_TEXT_MAX + 5 + arguments[i].size;
    char *start = buffer_reserve(out, size_max);
    char *p = encode_head(start, '*', count);
    for (size_t i = 0; i < count; i++) {
        p = encode_head(p, '$', arguments[i].size);
        if (arguments[i].size) memcpy(p, arguments[i].data, arguments[i].size);
        p += arguments[i].size;
        *p++ = '\r';
        *p++ = '\n';
    }
    out->size += (size_t)(p - start);
}
