/* request.h: bytes from a client cut into requests, RESP arrays of bulk strings or inline lines.
 *
 * Small arguments are not copied: they are slices of the input, which therefore has to stay as it
 * is until its requests have been executed. What is known of an incomplete request is kept (offsets
 * from its first byte), so that a request of a million arguments in small pieces is still parsed
 * once.
 *
 * A bulk string of REQUEST_LARGE_MIN bytes or more that has not wholly arrived goes into a blob of
 * its own, which the session receives into directly and which a command may take as the value,
 * without a second copy:
 *
 *     *3\r\n $3\r\nSET\r\n $3\r\nkey\r\n $5000000\r\n vvvvvvvvv      <- the input ends here
 *     |      '---- kept ---------------'              '-------'
 *     |                                               copied into parser->filling
 *     '------------- all of it is consumed -------------------'
 *
 * When the blob is begun, the arguments before it (slices until then) are copied into a piece of
 * memory of the parser, so the input is consumed to its last byte and the session's buffer is empty
 * while the blob fills. The small arguments behind it are slices of the input again. Kept bytes and
 * blobs belong to the request once it is ready: request_release.
 *
 * Nothing is reserved because it was announced: argument arrays and kept bytes grow with what has
 * come, and a blob begins with REQUEST_FILL_FIRST bytes at most (address space, until bytes come).
 *
 * Any split of the bytes gives the same requests and the same error. Limits and error texts are
 * Redis's; its documentation of the protocol and what it answers are the source. As there, the byte
 * behind the CR of a count and the two bytes behind an argument are skipped unseen. Other than
 * there, a zero byte is a byte like any other, and a line that is too long is refused also when its
 * end is already there. */
#ifndef REDSTART_RESP_REQUEST_H
#define REDSTART_RESP_REQUEST_H

#include "base/blob.h"
#include "base/bytes.h"

enum {
    REQUEST_LINE_MAX = 64 * 1024,      /* bytes of an inline request or a count before its end */
    REQUEST_LARGE_MIN = 32 * 1024,     /* bytes of an argument that travels as a blob */
    REQUEST_FILL_FIRST = 64 << 20,     /* bytes of room that a blob begins with, at most */
    REQUEST_FILL_GROWTH = 8,           /* a full blob may grow to so many times what has come */
    REQUEST_ARGUMENTS_MAX = INT32_MAX, /* "invalid multibulk length" above */
    REQUEST_ARGUMENTS_MAX_UNAUTHENTICATED = 10,
    REQUEST_BULK_MAX_UNAUTHENTICATED = 16384,
};

struct request_large {
    uint32_t index; /* of the argument */
    struct blob *blob;
};

/* One request. The arguments array belongs to the arena; what they point to is the input, the arena
 * (inline words), or what the request holds below. */
struct request {
    struct bytes *arguments;
    uint32_t count; /* 0 for an empty line or "*0", which is to be skipped */
    uint32_t large_count;
    struct request_large *large; /* in order of index; NULL when there are none; from the heap */
    char *kept;                  /* small arguments before a large one; only beside `large` */
    size_t size;                 /* bytes on the wire, for accounting */
};
void request_release_held(struct request *request);
/* Let go of kept bytes and of the blobs. Arguments in them are gone. */
static inline void request_release(struct request *request) {
    if (__builtin_expect(request->large != NULL, 0)) request_release_held(request);
}
/* Bytes of the arguments that are no blobs. */
size_t request_small_size(const struct request *request);
/* The arguments stand in `words`, room for all of them, and those that are no blobs at `to`, room
 * for request_small_size: neither the arena nor the input is needed any more. The end of what was
 * written there. */
char *request_move_words(struct request *request, struct bytes *words, char *to);
/* The blob behind an argument, with a hold for the caller; NULL when it is a slice. The argument
 * points into it and stays as it is until request_release, whatever becomes of the other holds. */
struct blob *request_hold_blob(struct request *request, uint32_t index);

/* Where argument arrays are put: blocks that never move, reset once a turn. Zeroed at first. */
struct request_arena {
    struct bytes *next, *end; /* what is free of the current block */
    struct request_arena_block *first, *current;
};
/* Make end - next at least `count`. */
void request_arena_grow(struct request_arena *arena, size_t count);
static inline struct bytes *request_arena_reserve(struct request_arena *arena, size_t count) {
    if (__builtin_expect((size_t)(arena->end - arena->next) < count, 0))
        request_arena_grow(arena, count);
    struct bytes *slots = arena->next;
    arena->next += count;
    return slots;
}
/* All arrays are gone; some memory is kept for the next turn. */
void request_arena_reset(struct request_arena *arena);
void request_arena_release(struct request_arena *arena);

struct request_limits {
    uint64_t bulk_max;  /* proto-max-bulk-len */
    bool authenticated; /* otherwise the smaller limits hold too */
    bool asks;          /* before memory is taken for a large argument: REQUEST_ASKS */
};

/* State between calls; zeroed at first. Offsets count from the input's first byte, which is the
 * same byte in the next call unless bytes were consumed. */
struct request_parser {
    uint8_t state;                /* enum in request.c; 0 between requests */
    bool admitted;                /* memory may be taken for the next large argument */
    char error[22];               /* an error text that names a byte */
    uint32_t expected;            /* arguments announced by the current request */
    uint32_t parsed;              /* complete ones */
    size_t line;                  /* where the current line begins */
    size_t position;              /* next byte to look at */
    size_t taken;                 /* bytes of this request that earlier calls consumed */
    uint64_t bulk_size;           /* of the argument being read */
    struct request_piece *pieces; /* complete arguments */
    uint32_t piece_capacity;
    uint32_t kept_count; /* so many pieces are in `kept`, the later ones in the input */
    char *kept;
    size_t kept_size;
    size_t kept_capacity;
    struct blob
        *filling; /* a large argument under way: filling->size of bulk_size bytes have come */
    struct request_large *large;
    uint32_t large_count;
    size_t large_size; /* bytes of their blobs */
};
void request_parser_release(struct request_parser *parser);
/* Bytes that the parser holds for an incomplete request, besides the caller's input. */
size_t request_parser_memory(const struct request_parser *parser);

enum request_result {
    REQUEST_READY,   /* *request is set; *consumed bytes of the input end it */
    REQUEST_PARTIAL, /* more bytes are needed. The caller drops *consumed bytes; the rest must be
                      * there again, in front, in the next call. *consumed is 0 unless a large
                      * argument is under way, and then it is everything (but at most one byte, half
                      * a CRLF) */
    REQUEST_ASKS,    /* a large argument is about to be begun, and the limits say that it is to be
                      * asked for: request_parser_asks says for how much. *consumed is 0. Admit it
                      * and call again with the same input, now or later */
    REQUEST_ERROR,   /* protocol error: *error is the text for "-ERR Protocol error: <text>"; it may
                      * be in   the parser. Answer, close, and do not parse again */
};

/* Cut the next request from `input`, which begins where the last one ended. Sets what its result
 * names and nothing else. Memory that is not there for a large argument is a protocol error. */
enum request_result request_parse(struct request_parser *parser, struct bytes input,
                                  const struct request_limits *limits, struct request_arena *arena,
                                  struct request *request, size_t *consumed, const char **error);

/* How much memory the large argument takes at first; it may have it. */
size_t request_parser_asks(const struct request_parser *parser);
void request_parser_admit(struct request_parser *parser);
/* Large arguments of an incomplete request have come, or are coming. */
static inline bool request_parser_has_large(const struct request_parser *parser) {
    return parser->filling || parser->large_count > 0;
}

/* While a large argument is under way (request_parse said REQUEST_PARTIAL and consumed all): where
 * to receive its next bytes, NULL when there is none. `*room` (never 0) is how many may be put
 * there, at most to the argument's end, without its CRLF. After receiving, say how many came. When
 * NULL follows, go on with request_parse and the bytes behind. To use it is optional: request_parse
 * copies what it is given. */
char *request_parser_fill(struct request_parser *parser, size_t *room);
void request_parser_filled(struct request_parser *parser, size_t size);

/* Split a line as redis-cli and inline requests do: blanks, "double" with escapes, 'single'. The
 * words are written, unescaped, into `scratch` (line.size bytes) and listed in the arena. Returns
 * -1 for unbalanced quotes, else how many words. */
int64_t request_split_line(struct bytes line, char *scratch, struct request_arena *arena,
                           struct bytes **words);

#endif
