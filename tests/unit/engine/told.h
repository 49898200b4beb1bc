/* told.h: sessions without sockets, and what they were told: for property tests of what speaks
 * through sessions. What is expected of a step is a heap of messages for each session; they may
 * come in any order, each must come once. */
#ifndef REDSTART_TESTS_ENGINE_TOLD_H
#define REDSTART_TESTS_ENGINE_TOLD_H

#include "../base/random.h"
#include "simulated.h"

enum { TOLD_MESSAGES = 512 };

struct told_message {
    uint32_t order; /* of lower ones all come before */
    struct buffer text;
};

struct listener {
    struct session *session; /* NULL: closed */
    struct told_message expected[TOLD_MESSAGES];
    uint32_t expected_count;
};

static inline void listener_open(struct listener *listener, struct server *server,
                                 uint8_t protocol) {
    listener->session = session_open(server, IO_NONE, 0);
    listener->session->protocol = protocol;
}

static inline void listener_close(struct listener *listener) {
    session_close(listener->session);
    listener->session = NULL;
    for (uint32_t i = 0; i < listener->expected_count; i++)
        buffer_release(&listener->expected[i].text);
    listener->expected_count = 0;
}

/* An empty buffer for a message that it shall get. */
static inline struct buffer *listener_expect(struct listener *listener, uint32_t order) {
    assert_true(listener->expected_count < TOLD_MESSAGES);
    struct told_message *message = &listener->expected[listener->expected_count++];
    *message = (struct told_message){.order = order};
    return &message->text;
}

static inline void told_word(struct buffer *out, struct bytes word) {
    buffer_append_format(out, "$%zu\r\n", word.size);
    buffer_append(out, word.data, word.size);
    buffer_append_text(out, "\r\n");
}

/* What has been sent to it, and is now gone. */
static inline struct buffer listener_take(struct listener *listener) {
    struct output *output = &listener->session->output;
    struct buffer text = {0};
    struct bytes parts[OUTPUT_PARTS_MAX];
    int count;
    while ((count = output_parts(output, parts)) > 0) {
        size_t size = 0;
        for (int i = 0; i < count; i++) {
            buffer_append(&text, parts[i].data, parts[i].size);
            size += parts[i].size;
        }
        output_sent(output, size);
    }
    return text;
}

/* Of the messages expected next: the one that the text begins with; -1: none. */
static inline int listener_match(const struct listener *listener, struct bytes text) {
    uint32_t least = UINT32_MAX;
    for (uint32_t i = 0; i < listener->expected_count; i++)
        if (listener->expected[i].order < least) least = listener->expected[i].order;
    for (uint32_t i = 0; i < listener->expected_count; i++) {
        struct bytes wanted = buffer_bytes(&listener->expected[i].text);
        if (listener->expected[i].order == least && wanted.size <= text.size &&
            memcmp(wanted.data, text.data, wanted.size) == 0)
            return (int)i;
    }
    return -1;
}

/* It got what was expected, and nothing else. */
static inline void listener_check(struct listener *listener) {
    struct buffer text = listener_take(listener);
    struct bytes rest = buffer_bytes(&text);
    while (rest.size > 0) {
        int at = listener_match(listener, rest);
        if (at < 0)
            fail_msg("session %" PRIu64 " was told %.*s; %u others expected", listener->session->id,
                     (int)(rest.size < 300 ? rest.size : 300), rest.data, listener->expected_count);
        rest.data += listener->expected[at].text.size;
        rest.size -= listener->expected[at].text.size;
        buffer_release(&listener->expected[at].text);
        listener->expected[at] = listener->expected[--listener->expected_count];
    }
    if (listener->expected_count > 0)
        fail_msg("session %" PRIu64 " was not told %s", listener->session->id,
                 listener->expected[0].text.data);
    buffer_release(&text);
}

#endif
