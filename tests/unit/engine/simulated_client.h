/* simulated_client.h: a client of a simulated server, which asks and waits. */
#ifndef REDSTART_TESTS_ENGINE_SIMULATED_CLIENT_H
#define REDSTART_TESTS_ENGINE_SIMULATED_CLIENT_H

#include "simulated.h"

enum { PATIENCE_US = 60 * 1000000 };

struct client {
    struct simulation *simulation;
    struct io *io;
    io_socket socket;
    struct buffer in;
    struct answer answer;
    char text[256]; /* of the last reply, cut */
};

/* False: the host cannot be reached. */
static inline bool client_try_open(struct client *c, struct simulation *simulation,
                                   const char *server) {
    *c = (struct client){.simulation = simulation, .io = simulation_host(simulation, "client")};
    c->socket = c->io->operations->connect_tcp(
        c->io, simulation_address(simulation_host(simulation, server)), 6379, NULL);
    return c->socket >= 0;
}

static inline void client_open(struct client *c, struct simulation *simulation,
                               const char *server) {
    assert_true(client_try_open(c, simulation, server));
    simulation_run_for(simulation, 1000);
}

static inline void client_close(struct client *c) {
    io_close_socket(c->io, c->socket);
    buffer_release(&c->in);
    answer_release(&c->answer);
}

enum client_news { CLIENT_NOTHING, CLIENT_REPLY, CLIENT_GONE };

static inline enum client_news client_hear(struct client *c) {
    enum { SIZE = 65536 };
    int64_t got = io_receive(c->io, c->socket, buffer_reserve(&c->in, SIZE), SIZE);
    if (got > 0) c->in.size += (size_t)got;
    int64_t size = answer_parse(&c->answer, buffer_bytes(&c->in));
    assert_true(size >= 0);
    if (size == 0) return got > 0 || got == -EAGAIN ? CLIENT_NOTHING : CLIENT_GONE;
    struct bytes text = c->answer.nodes[0].text;
    snprintf(c->text, sizeof c->text, "%.*s", (int)text.size, text.data ? text.data : "");
    buffer_consume(&c->in, (size_t)size);
    return CLIENT_REPLY;
}

static inline bool client_has_reply(struct client *c) {
    enum client_news news = client_hear(c);
    assert_true(news != CLIENT_GONE);
    return news == CLIENT_REPLY;
}

/* False: the connection is broken, or takes nothing for too long. */
static inline bool client_try_send(struct client *c, struct bytes bytes) {
    int64_t end = simulation_now_us(c->simulation) + PATIENCE_US;
    while (bytes.size > 0) {
        if (simulation_now_us(c->simulation) > end) return false;
        int64_t sent = io_send(c->io, c->socket, &bytes, 1);
        if (sent < 0 && sent != -EAGAIN) return false;
        if (sent > 0) bytes = bytes_make(bytes.data + sent, bytes.size - (size_t)sent);
        simulation_run_for(c->simulation, 10);
    }
    return true;
}

/* An inline command. */
__attribute__((format(printf, 2, 3))) static inline void client_send(struct client *c,
                                                                     const char *format, ...) {
    char line[1024];
    va_list arguments;
    va_start(arguments, format);
    int size = vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    assert_true(client_try_send(c, bytes_make(line, (size_t)size)));
}

/* An inline command; the reply's text. */
__attribute__((format(printf, 2, 3))) static inline const char *ask(struct client *c,
                                                                    const char *format, ...) {
    char line[1024];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    client_send(c, "%s", line);
    int64_t end = simulation_now_us(c->simulation) + PATIENCE_US;
    while (!client_has_reply(c)) {
        assert_true(simulation_now_us(c->simulation) < end);
        simulation_run_for(c->simulation, 50);
    }
    return c->text;
}

static inline bool begins(const char *text, const char *with) {
    return strncmp(text, with, strlen(with)) == 0;
}

#endif
