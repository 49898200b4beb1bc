/* request_driver.h: feeds the request parser as a session does, and writes down what comes out, so
 * that two ways of cutting the same bytes can be compared. For the parser's tests and its fuzzer.
 */
#ifndef REDSTART_TESTS_REQUEST_DRIVER_H
#define REDSTART_TESTS_REQUEST_DRIVER_H

#include <stdio.h>

#include "base/buffer.h"
#include "base/invariant.h"
#include "base/memory.h"
#include "resp/request.h"

struct request_driver {
    struct request_parser parser;
    struct request_arena arena;
    struct request_limits limits;
    struct buffer unread; /* what a session's read buffer would have */
    size_t wire_size;     /* bytes fed since the last request ended */
    bool fill;            /* receive into blobs directly */
    bool fresh;           /* show every call of the parser a copy of its own, freed behind it */
    bool failed;
    uint32_t asked;    /* how often the parser asked for room */
    struct buffer log; /* what came out */
};

/* How a request is written down: "<2: SET,3:key>" with sizes; nothing for one without arguments. */
static inline void log_request(struct buffer *log, const struct bytes *arguments, size_t count) {
    if (count == 0) return;
    buffer_append_text(log, "<");
    for (size_t i = 0; i < count; i++) {
        buffer_append_format(log, "%zu:", arguments[i].size);
        buffer_append(log, arguments[i].data, arguments[i].size);
        buffer_append_text(log, ",");
    }
    buffer_append_text(log, ">\n");
}

static inline void log_error(struct buffer *log, const char *error) {
    buffer_append_format(log, "error: %s\n", error);
}

static inline void driver_take_request(struct request_driver *d, struct request *request,
                                       size_t consumed) {
    d->wire_size += consumed;
    INVARIANT(request->size == d->wire_size);
    d->wire_size = 0;
    log_request(&d->log, request->arguments, request->count);
    for (uint32_t i = 0; i < request->count; i += 2) {
        struct blob *blob = request_hold_blob(request, i);
        if (!blob) continue;
        INVARIANT(blob->holders == 2 && blob->data == request->arguments[i].data);
        INVARIANT(blob->size == request->arguments[i].size && blob->size >= REQUEST_LARGE_MIN);
        blob_let_go(blob);
    }
    request_release(request);
}

/* One call of the parser; false when there is nothing more to be had. */
static inline bool driver_parse(struct request_driver *d, struct bytes input, size_t *consumed) {
    struct request request;
    const char *error;
    switch (request_parse(&d->parser, input, &d->limits, &d->arena, &request, consumed, &error)) {
    case REQUEST_READY:
        INVARIANT(*consumed <= input.size);
        driver_take_request(d, &request, *consumed);
        return true;
    case REQUEST_PARTIAL:
        INVARIANT(*consumed <= input.size);
        INVARIANT(*consumed == 0 || *consumed + 1 >= input.size);
        d->wire_size += *consumed;
        return false;
    case REQUEST_ASKS:
        INVARIANT(d->limits.asks && *consumed == 0);
        INVARIANT(request_parser_asks(&d->parser) >= REQUEST_LARGE_MIN);
        if (d->asked++ % 2 == 0) return false; /* not before more has come */
        request_parser_admit(&d->parser);
        return true;
    case REQUEST_ERROR:
        log_error(&d->log, error);
        *consumed = input.size;
        d->failed = true;
        return false;
    }
    return false;
}

static inline void driver_parse_all(struct request_driver *d) {
    size_t position = 0, consumed;
    bool more = true;
    while (more) {
        struct bytes input = {d->unread.data + position, d->unread.size - position};
        char *copy = NULL;
        if (d->fresh && input.size) {
            copy = (char *)memory_alloc(input.size);
            memcpy(copy, input.data, input.size);
            input.data = copy;
        }
        more = driver_parse(d, input, &consumed);
        memory_free(copy);
        position += consumed;
    }
    buffer_consume(&d->unread, position);
    request_arena_reset(&d->arena);
}

/* More bytes from the client. */
static inline void driver_feed(struct request_driver *d, struct bytes bytes) {
    size_t room;
    while (!d->failed && d->fill && bytes.size && d->unread.size == 0) {
        char *to = request_parser_fill(&d->parser, &room);
        if (!to) break;
        size_t part = bytes.size < room ? bytes.size : room;
        memcpy(to, bytes.data, part);
        request_parser_filled(&d->parser, part);
        d->wire_size += part;
        bytes.data += part;
        bytes.size -= part;
    }
    if (d->failed || bytes.size == 0) return;
    buffer_append(&d->unread, bytes.data, bytes.size);
    driver_parse_all(d);
}

static inline void driver_release(struct request_driver *d) {
    request_parser_release(&d->parser);
    request_arena_release(&d->arena);
    buffer_release(&d->unread);
    buffer_release(&d->log);
}

#endif
