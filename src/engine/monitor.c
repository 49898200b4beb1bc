/* monitor.c: who is told of every command, and in which words. */
#include "engine/monitor.h"

#include "base/memory.h"
#include "engine/call.h"
#include "engine/insight.h"
#include "engine/server.h"

enum { FIRST_CAPACITY = 4 };

void monitor_add(struct session *session) {
    struct server *server = session->server;
    struct monitors *monitors = &server->insight.monitors;
    if (monitors->count == monitors->capacity) {
        monitors->capacity = monitors->capacity ? monitors->capacity * 2 : FIRST_CAPACITY;
        monitors->sessions =
            memory_resize(monitors->sessions, monitors->capacity * sizeof(struct session *));
    }
    monitors->sessions[monitors->count++] = session;
    session->flags |= SESSION_MONITOR;
    insight_update(server);
}

void monitor_remove(struct session *session) {
    struct server *server = session->server;
    struct monitors *monitors = &server->insight.monitors;
    if (!(session->flags & SESSION_MONITOR)) return;
    session->flags &= ~(uint32_t)SESSION_MONITOR;
    uint32_t i = 0;
    while (monitors->sessions[i] != session)
        i++;
    monitors->sessions[i] = monitors->sessions[--monitors->count];
    if (monitors->count == 0) {
        memory_free(monitors->sessions);
        *monitors = (struct monitors){0};
    }
    insight_update(server);
}

/* In double quotes; what is no plain character as a backslash and a letter, or as \xff. */
static void append_quoted(struct buffer *out, struct bytes word) {
    static const char special[] = "\\\"\n\r\t\a\b", letters[] = "\\\"nrtab";
    buffer_append_byte(out, '"');
    for (size_t i = 0; i < word.size; i++) {
        char c = word.data[i];
        const char *found = c ? strchr(special, c) : NULL;
        if (found) {
            buffer_append_byte(out, '\\');
            buffer_append_byte(out, letters[found - special]);
        } else if (c >= ' ' && c <= '~') {
            buffer_append_byte(out, c);
        } else {
            buffer_append_format(out, "\\x%02x", (unsigned char)c);
        }
    }
    buffer_append_byte(out, '"');
}

static void append_source(struct buffer *out, const struct session *session) {
    char address[IO_ADDRESS_TEXT_MAX];
    session_address(session, address);
    if (session->socket == IO_NONE)
        buffer_append_text(out, "lua");
    else if (session->flags & SESSION_UNIX)
        buffer_append_format(out, "unix:%.*s", (int)(strlen(address) - strlen(":0")), address);
    else
        buffer_append_text(out, address);
}

void monitor_tell(const struct call *call) {
    enum { SECOND_US = 1000000 };
    struct server *server = call->server;
    const struct monitors *monitors = &server->insight.monitors;
    struct buffer line = {0};
    int64_t now_us = io_wall_us(server->io);
    buffer_append_format(&line, "+%lld.%06lld [%u ", (long long)(now_us / SECOND_US),
                         (long long)(now_us % SECOND_US), call->session->database);
    append_source(&line, call->session);
    buffer_append_byte(&line, ']');
    for (uint32_t i = 0; i < call->argc; i++) {
        buffer_append_byte(&line, ' ');
        append_quoted(&line, insight_word(call, i));
    }
    buffer_append_text(&line, "\r\n");
    for (uint32_t i = 0; i < monitors->count; i++)
        if (!(monitors->sessions[i]->flags & SESSION_CLOSE_NOW))
            session_send(monitors->sessions[i], buffer_bytes(&line));
    buffer_release(&line);
}
