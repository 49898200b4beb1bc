/* reply.h: writing replies, in RESP2 or RESP3.
 *
 * A reply writes through a cursor into a piece of memory that its owner gave; when the piece is
 * full, `grow` gives another. What is written is what leaves: no tree is built. Types that RESP2
 * lacks are written as Redis writes them there (a map as a flat array, a double as a bulk string,
 * null as $-1 or
 * *-1 ...). */
#ifndef REDSTART_RESP_REPLY_H
#define REDSTART_RESP_REPLY_H

#include "base/bytes.h"
#include "base/number.h"

struct reply {
    char *cursor;     /* next byte to write */
    char *end;        /* behind the last byte that may be written */
    uint8_t protocol; /* 2 or 3 */
    bool muted;       /* written, but the owner will throw it away: CLIENT REPLY OFF */
    /* Makes end - cursor at least `size` (the owner keeps what was written until cursor). Long text
     * is written in pieces, so that `size` stays below 32 KiB whatever the reply. */
    void (*grow)(struct reply *reply, size_t size);
    void *context;
};

static inline char *reply_reserve(struct reply *reply, size_t size) {
    if (__builtin_expect((size_t)(reply->end - reply->cursor) < size, 0)) reply->grow(reply, size);
    return reply->cursor;
}

void reply_raw(struct reply *reply, struct bytes bytes);  /* already encoded */
void reply_simple(struct reply *reply, const char *text); /* +text, without CR and LF */
static inline void reply_ok(struct reply *reply) {
    memcpy(reply_reserve(reply, 5), "+OK\r\n", 5);
    reply->cursor += 5;
}
/* -text: with its first word; CR and LF inside are written as blanks. */
void reply_error(struct reply *reply, struct bytes text);
/* A letter, a number below 100 and CRLF. */
static inline void reply_head_short(struct reply *reply, char kind, unsigned number) {
    char *out = reply_reserve(reply, 5);
    *out++ = kind;
    if (number >= 10) *out++ = (char)('0' + number / 10);
    *out++ = (char)('0' + number % 10);
    memcpy(out, "\r\n", 2);
    reply->cursor = out + 2;
}
void reply_head_long(struct reply *reply, char kind, uint64_t number);
/* A letter, a number and CRLF: the head of a bulk string or an aggregate. */
static inline void reply_head(struct reply *reply, char kind, uint64_t number) {
    if (number < 100)
        reply_head_short(reply, kind, (unsigned)number);
    else
        reply_head_long(reply, kind, number);
}
void reply_integer_long(struct reply *reply, int64_t number);
static inline void reply_integer(struct reply *reply, int64_t number) {
    if (number >= 0 && number < 100)
        reply_head_short(reply, ':', (unsigned)number);
    else
        reply_integer_long(reply, number);
}
void reply_bulk_long(struct reply *reply, struct bytes bytes);
static inline void reply_bulk(struct reply *reply, struct bytes bytes) {
    if (bytes.size - 1 >= 99) { /* an empty run may have no address */
        reply_bulk_long(reply, bytes);
        return;
    }
    reply_reserve(reply, bytes.size + 7);
    reply_head_short(reply, '$', (unsigned)bytes.size);
    memcpy(reply->cursor, bytes.data, bytes.size);
    memcpy(reply->cursor + bytes.size, "\r\n", 2);
    reply->cursor += bytes.size + 2;
}
void reply_bulk_text(struct reply *reply, const char *text);
void reply_bulk_integer(struct reply *reply, int64_t number); /* its digits as a bulk string */
static inline void reply_null(struct reply *reply) {          /* $-1 or _ */
    bool old = reply->protocol == 2;
    memcpy(reply_reserve(reply, 5), old ? "$-1\r\n" : "_\r\n\0", 5);
    reply->cursor += old ? 5 : 3;
}
void reply_null_array(struct reply *reply); /* *-1 or _ */
static inline void reply_array(struct reply *reply, size_t count) {
    reply_head(reply, '*', count);
}
void reply_map(struct reply *reply, size_t pairs);
void reply_set(struct reply *reply, size_t count);
void reply_push(struct reply *reply, size_t count);      /* RESP2: an array */
void reply_attribute(struct reply *reply, size_t pairs); /* RESP3 only */
void reply_boolean(struct reply *reply, bool value);     /* RESP2: 1 or 0 */
void reply_double(struct reply *reply, double number);
void reply_long_double(struct reply *reply, long double number); /* as a bulk string */
void reply_big_number(struct reply *reply, struct bytes digits); /* RESP2: a bulk string */
/* format is three letters, "txt" or "mkd"; RESP2: a bulk string. */
void reply_verbatim(struct reply *reply, const char *format, struct bytes text);

/* Encode a request as a client, the journal or a replica link sends it. */
struct buffer;
void request_encode(struct buffer *out, const struct bytes *arguments, size_t count);

#endif
