/* listen.c: listening and accepting. */
#include "base/memory.h"
#include "engine/acl.h"
#include "engine/config.h"
#include "engine/server.h"
#include <errno.h>
#include <stdio.h>

static bool add_listener(struct server *server, io_socket socket, bool is_unix) {
    uint32_t index = server->listener_count++;
    struct server_listener *listener = &server->listeners[index];
    *listener = (struct server_listener){server, socket, is_unix, (uint16_t)index};
    io_watch(server->io, socket, IO_READABLE, listener);
    return true;
}

/* One word of the bind directive; a '-' in front allows it to fail. */
static bool listen_address(struct server *server, struct bytes word, char *error, size_t size) {
    const struct config *config = server->config;
    bool optional = word.size > 0 && word.data[0] == '-';
    if (optional) word = bytes_make(word.data + 1, word.size - 1);
    char *address = memory_copy(word.data, word.size);
    struct io_listen_tcp options = {address, (uint16_t)config->port, (int)config->tcp_backlog,
                                    (uint32_t)config->socket_mark_id};
    char reason[256] = "";
    io_socket socket =
        server->io->operations->listen_tcp(server->io, &options, reason, sizeof reason);
    if (socket >= 0) {
        add_listener(server, socket, false);
    } else {
        log_warning(server->log, "Warning: Could not create server TCP listening socket %s:%d: %s",
                    address, (int)config->port, reason);
        snprintf(error, size, "%s:%d: %s", address, (int)config->port, reason);
    }
    memory_free(address);
    return socket >= 0 || optional;
}

static bool listen_tcp(struct server *server, char *error, size_t size) {
    const struct config *config = server->config;
    if (config->port == 0) return true;
    uint32_t before = server->listener_count;
    for (size_t i = 0; i < config->bind.count; i++) {
        if (server->listener_count == SERVER_LISTENERS_MAX - 1) {
            snprintf(error, size, "too many addresses to bind");
            log_warning(server->log, "Warning: %s", error);
            return false;
        }
        if (!listen_address(server, config->bind.items[i], error, size)) return false;
    }
    if (config->bind.count > 0 && server->listener_count == before) return false;
    return true;
}

static bool listen_unix(struct server *server, char *error, size_t size) {
    const struct config *config = server->config;
    if (config->unixsocket.size == 0) return true;
    struct io_listen_unix options = {config->unixsocket.data, (uint32_t)config->unixsocketperm,
                                     (int)config->tcp_backlog};
    char reason[256] = "";
    io_socket socket =
        server->io->operations->listen_unix(server->io, &options, reason, sizeof reason);
    if (socket >= 0) return add_listener(server, socket, true);
    snprintf(error, size, "Failed opening Unix socket: %s", reason);
    return false;
}

bool server_listen(struct server *server, char *error, size_t error_size) {
    if (!listen_tcp(server, error, error_size)) {
        snprintf(error, error_size, "Failed listening on port %d (TCP), aborting.",
                 (int)server->config->port);
        return false;
    }
    if (!listen_unix(server, error, error_size)) return false;
    if (server->listener_count > 0) return true;
    snprintf(error, error_size, "Configured to not listen anywhere, exiting.");
    return false;
}

bool server_listen_again(struct server *server, char *error, size_t error_size) {
    struct server_listener old[SERVER_LISTENERS_MAX];
    uint32_t count = server->listener_count;
    memcpy(old, server->listeners, sizeof old);
    server->listener_count = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (!old[i].is_unix) io_unwatch(server->io, old[i].socket);
    }
    for (uint32_t i = 0; i < count; i++)
        if (!old[i].is_unix) server->io->operations->close_socket(server->io, old[i].socket);
    bool listening = listen_tcp(server, error, error_size);
    for (uint32_t i = 0; i < count; i++)
        if (old[i].is_unix) add_listener(server, old[i].socket, true);
    return listening;
}

void server_close_listeners(struct server *server) {
    for (uint32_t i = 0; i < server->listener_count; i++) {
        struct server_listener *listener = &server->listeners[i];
        io_unwatch(server->io, listener->socket);
        io_close_socket(server->io, listener->socket);
        if (listener->is_unix)
            server->io->operations->remove(server->io, server->config->unixsocket.data);
    }
    server->listener_count = 0;
}

/* A client that we will not serve gets one line and is closed. */
static void turn_away(struct server *server, io_socket socket, struct bytes line) {
    io_send(server->io, socket, &line, 1);
    io_close_socket(server->io, socket);
    server->statistics.rejected_connections++;
}

static bool is_protected(struct server *server, io_socket socket) {
    const struct config *config = server->config;
    return config->protected_mode && acl_has_no_password(server) &&
           !server->io->operations->peer_is_local(server->io, socket);
}

static void welcome(struct server *server, io_socket socket, uint16_t listener) {
    const struct config *config = server->config;
    if (server->session_count >= (uint64_t)config->maxclients) {
        turn_away(server, socket, BYTES("-ERR max number of clients reached\r\n"));
        return;
    }
    if (is_protected(server, socket)) {
        turn_away(server, socket,
                  BYTES("-DENIED Redis is running in protected mode because protected mode is "
                        "enabled and no password is set for the default user. In this mode "
                        "connections are only accepted from the loopback interface. Connect from "
                        "this machine and set a password (CONFIG SET requirepass, or ACL SETUSER), "
                        "or switch it off with 'CONFIG SET protected-mode no' if the network is "
                        "trusted.\r\n"));
        return;
    }
    server->statistics.connections++;
    if (!server->listeners[listener].is_unix) {
        server->io->operations->set_no_delay(server->io, socket, true);
        if (config->tcp_keepalive > 0)
            server->io->operations->set_keepalive(server->io, socket, (int)config->tcp_keepalive);
    }
    session_open(server, socket, listener);
}

void server_accept(struct server *server, uint16_t listener) {
    for (int64_t i = 0; i < server->config->max_new_connections_per_cycle; i++) {
        io_socket socket =
            server->io->operations->accept(server->io, server->listeners[listener].socket);
        if (socket == -EAGAIN) return;
        if (socket < 0) {
            log_warning(server->log, "Error accepting a client connection: %s", strerror(-socket));
            return;
        }
        welcome(server, socket, listener);
    }
}
