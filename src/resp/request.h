/* request.h: bytes from a client cut into requests, RESP arrays of bulk strings or inline lines.
 *
 * The parser copies nothing: arguments are slices of the input. It keeps what it knows of an incomplete
 * request (offsets from the request's first byte), so that a request of a million arguments in small
 * pieces is still parsed once. A bulk string of REQUEST_LARGE_MIN bytes or more that has not fully
 * arrived goes into a blob of its own, which the session receives into directly and which a command may
 * take as the value, without a second copy.
 *
 * Limits and error texts are Redis's; its documentation of the protocol is the source. */
#ifndef REDSTART_RESP_REQUEST_H
#define REDSTART_RESP_REQUEST_H

#include "base/blob.h"
#include "base/bytes.h"

enum {
    REQUEST_INLINE_MAX = 64 * 1024,          /* bytes of an inline request, or of a count line */
    REQUEST_LARGE_MIN = 32 * 1024,           /* bytes of an argument that travels as a blob */
    REQUEST_ARGUMENTS_MAX = INT32_MAX,       /* "invalid multibulk length" above */
    REQUEST_ARGUMENTS_MAX_UNAUTHENTICATED = 10,
    REQUEST_BULK_MAX_UNAUTHENTICATED = 16384,
};

struct request_large {
    uint32_t index; /* of the argument */
    struct blob *blob;
};

/* One request. The arguments array belongs to the arena, the blobs to the request. */
struct request {
    struct bytes *arguments;
    uint32_t count; /* 0 for an empty line, which is to be skipped */
    uint32_t large_count;
    struct request_large *large; /* NULL when there are none; from the heap */
    size_t size;                 /* bytes on the wire, for accounting */
};
/* Let go of the blobs that nobody took. */
void request_release(struct request *request);
/* The blob behind an argument, now the caller's; NULL when it is a slice. */
struct blob *request_take_blob(struct request *request, uint32_t index);

/* Where argument arrays are put: blocks that never move, reset once a turn. */
struct request_arena {
    struct request_arena_block *first, *current;
};
struct bytes *request_arena_reserve(struct request_arena *arena, size_t count);
void request_arena_reset(struct request_arena *arena);
void request_arena_release(struct request_arena *arena);

struct request_limits {
    uint64_t bulk_max;      /* proto-max-bulk-len */
    bool authenticated;     /* otherwise the smaller limits */
};

/* State between calls; zeroed at first. */
struct request_parser {
    uint8_t state;
    uint32_t expected;      /* arguments announced by the current request */
    uint32_t parsed;        /* complete ones */
    size_t position;        /* next byte to look at, from the request's first byte in the input */
    uint64_t bulk_size;     /* of the argument being read */
    struct request_piece *pieces; /* complete arguments of an incomplete request */
    uint32_t piece_capacity;
    struct blob *filling;   /* a large argument under way: filling->size bytes have come */
    uint64_t filling_size;  /* bytes it will have */
    struct request_large *large;
    uint32_t large_count;
};
void request_parser_release(struct request_parser *parser);

enum request_result {
    REQUEST_READY,  /* *request is set, *consumed bytes of the input belong to it */
    REQUEST_PARTIAL, /* more bytes are needed. *consumed may be more than 0: bytes that went into a
                      * blob; the caller drops them, the rest must be there again, in front, in the next call */
    REQUEST_ERROR,  /* protocol error: *error is the text for "-ERR Protocol error: <text>"; close */
};

/* Cut the next request from `input`, which begins where the last one ended. */
enum request_result request_parse(struct request_parser *parser, struct bytes input,
                                  const struct request_limits *limits,
                                  struct request_arena *arena, struct request *request,
                                  size_t *consumed, const char **error);

/* While a large argument is under way and nothing else is buffered: where to receive its next bytes, NULL
 * when there is none. `*room` is how many may be put there (the argument's end, without its CRLF). After
 * receiving, say how many came. */
char *request_parser_fill(struct request_parser *parser, size_t *room);
void request_parser_filled(struct request_parser *parser, size_t size);

/* Split a line as redis-cli and inline requests do: blanks, "double" with escapes, 'single'. The words are
 * written, unescaped, into `scratch` (line.size bytes) and listed in the arena. Returns -1 for unbalanced
 * quotes, else how many words. */
int64_t request_split_line(struct bytes line, char *scratch, struct request_arena *arena,
                           struct bytes **words);

#endif
