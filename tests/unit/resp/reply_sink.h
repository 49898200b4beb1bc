/* reply_sink.h: an owner for a reply under test. It gives memory in pieces of a chosen size, each
 * of its own allocation, so that a byte written too far is seen, and gathers what was written. */
#ifndef REDSTART_TESTS_REPLY_SINK_H
#define REDSTART_TESTS_REPLY_SINK_H

#include "base/buffer.h"
#include "base/memory.h"
#include "resp/reply.h"

struct reply_sink {
    struct reply reply;
    char *piece;
    size_t piece_size;
    size_t asked_max; /* the most that grow was asked for */
    struct buffer written;
};

/* Gather what has been written so far. */
static inline void sink_flush(struct reply_sink *sink) {
    buffer_append(&sink->written, sink->piece, (size_t)(sink->reply.cursor - sink->piece));
    memory_free(sink->piece);
    sink->piece = NULL;
    sink->reply.cursor = sink->reply.end = NULL;
}

static inline void sink_grow(struct reply *reply, size_t size) {
    struct reply_sink *sink = (struct reply_sink *)reply->context;
    sink_flush(sink);
    if (size > sink->asked_max) sink->asked_max = size;
    size_t room = size > sink->piece_size ? size : sink->piece_size;
    reply->cursor = sink->piece = (char *)memory_alloc(room);
    reply->end = reply->cursor + room;
}

static inline void sink_init(struct reply_sink *sink, uint8_t protocol, size_t piece_size) {
    memset(sink, 0, sizeof(*sink));
    sink->piece_size = piece_size;
    sink->reply.protocol = protocol;
    sink->reply.grow = sink_grow;
    sink->reply.context = sink;
    sink_grow(&sink->reply, 1);
    sink->asked_max = 0;
}

static inline void sink_release(struct reply_sink *sink) {
    memory_free(sink->piece);
    buffer_release(&sink->written);
}

#endif
