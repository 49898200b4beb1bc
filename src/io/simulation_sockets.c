/* simulation_sockets.c: the socket calls of a simulated host.
 *
 * Owns the reading of addresses. An unknown number is -EBADF; on a host that is off every call
 * fails, and closing does nothing. */
#include "io/simulation_world.h"
#include <errno.h>
#include <stdio.h>

static const int64_t connect_patience_us = INT64_C(127000000); /* as Linux repeats a SYN */

static struct simulated_socket *find_socket(struct io *io, io_socket number) {
    struct simulated_host *host = host_of(io);
    if (number < 0 || number >= host->socket_capacity) return NULL;
    return host->sockets[number];
}

static int watch_socket(struct io *io, io_socket number, uint32_t interest, void *context) {
    struct simulated_socket *socket = find_socket(io, number);
    if (socket == NULL) return -EBADF;
    socket->is_watched = true;
    socket->interest = interest;
    socket->context = context;
    simulated_rouse_socket(socket);
    return 0;
}

static void unwatch_socket(struct io *io, io_socket number) {
    struct simulated_socket *socket = find_socket(io, number);
    if (socket != NULL) socket->is_watched = false;
}

static bool is_loopback(const char *address) {
    return strcmp(address, "127.0.0.1") == 0 || strcmp(address, "::1") == 0;
}

/* Finds whose address or name it is, and writes the address as it is listened on. */
static struct simulated_host *resolve(struct simulated_host *from, const char *text,
                                      char out[IO_ADDRESS_TEXT_MAX]) {
    const char *address = strcmp(text, "localhost") == 0 ? "127.0.0.1" : text;
    if (is_loopback(address)) {
        snprintf(out, IO_ADDRESS_TEXT_MAX, "%s", address);
        return from;
    }
    struct simulation *simulation = from->simulation;
    for (uint32_t i = 0; i < simulation->host_count; i++) {
        struct simulated_host *host = simulation->hosts[i];
        bool is_v6 = strcmp(address, host->address_v6) == 0;
        if (!is_v6 && strcmp(address, host->name) != 0 && strcmp(address, host->address) != 0)
            continue;
        snprintf(out, IO_ADDRESS_TEXT_MAX, "%s", is_v6 ? host->address_v6 : host->address);
        return host;
    }
    return NULL;
}

static void name_address(char out[IO_ADDRESS_TEXT_MAX], const char *address, uint16_t port) {
    const char *format = strchr(address, ':') != NULL ? "[%.60s]:%u" : "%.60s:%u";
    snprintf(out, IO_ADDRESS_TEXT_MAX, format, address, port);
}

static uint16_t take_port(struct simulated_host *host) {
    uint16_t port = host->port_next++;
    if (host->port_next == 0) host->port_next = UINT16_C(32768);
    return port;
}

static int refuse_listener(int failure, char *error, size_t error_size) {
    snprintf(error, error_size, "bind: %s", strerror(-failure));
    return failure;
}

/* Both take the port: the same address, or one and all of the same family. */
static bool collide(const struct simulated_socket *a, const char *address, uint16_t port) {
    if (a->state != SIMULATED_LISTENING || a->is_unix || a->port != port) return false;
    bool a_all = a->address[0] == '*' || strcmp(a->address, "::*") == 0;
    bool b_all = address[0] == '*' || strcmp(address, "::*") == 0;
    if (strcmp(a->address, address) == 0) return true;
    bool same_family = (strchr(a->address, ':') != NULL) == (strchr(address, ':') != NULL);
    return same_family && (a_all || b_all);
}

static io_socket listen_tcp(struct io *io, const struct io_listen_tcp *where, char *error,
                            size_t error_size) {
    struct simulated_host *host = host_of(io);
    if (host->is_off) return refuse_listener(-EIO, error, error_size);
    const char *wanted = where->address;
    if (strcmp(wanted, "0.0.0.0") == 0) wanted = "*";
    if (strcmp(wanted, "::") == 0) wanted = "::*";
    char address[IO_ADDRESS_TEXT_MAX];
    if (wanted[0] == '*' || strcmp(wanted, "::*") == 0) {
        snprintf(address, sizeof(address), "%s", wanted);
    } else if (resolve(host, wanted, address) != host) {
        return refuse_listener(-EADDRNOTAVAIL, error, error_size);
    }
    uint16_t port = where->port != 0 ? where->port : take_port(host);
    for (int i = 0; i < host->socket_capacity; i++)
        if (host->sockets[i] != NULL && collide(host->sockets[i], address, port))
            return refuse_listener(-EADDRINUSE, error, error_size);
    struct simulated_socket *socket = simulated_socket_open(host);
    socket->state = SIMULATED_LISTENING;
    memcpy(socket->address, address, sizeof(address));
    socket->port = port;
    socket->backlog = where->backlog;
    const char *shown = address[0] == '*' ? "0.0.0.0" : address;
    if (strcmp(address, "::*") == 0) shown = "::";
    name_address(socket->local, shown, port);
    snprintf(socket->remote, sizeof(socket->remote), "?:0");
    io_socket number = simulated_socket_number(socket);
    if (number >= 0) return number;
    simulated_socket_free(socket);
    return refuse_listener(number, error, error_size);
}

static io_socket listen_unix(struct io *io, const struct io_listen_unix *where, char *error,
                             size_t error_size) {
    struct simulated_host *host = host_of(io);
    if (host->is_off) return refuse_listener(-EIO, error, error_size);
    struct simulated_socket *socket = simulated_socket_open(host);
    socket->state = SIMULATED_LISTENING;
    socket->is_unix = true;
    socket->backlog = where->backlog;
    snprintf(socket->address, sizeof(socket->address), "%s", where->path);
    snprintf(socket->local, sizeof(socket->local), "%.107s:0", where->path);
    memcpy(socket->remote, socket->local, sizeof(socket->local));
    io_socket number = simulated_socket_number(socket);
    if (number >= 0) return number;
    simulated_socket_free(socket);
    return refuse_listener(number, error, error_size);
}

static io_socket accept_socket(struct io *io, io_socket number) {
    struct simulated_socket *listener = find_socket(io, number);
    if (listener == NULL || listener->state != SIMULATED_LISTENING) return -EBADF;
    struct simulated_socket *socket = listener->first_pending;
    if (socket == NULL) return -EAGAIN;
    io_socket accepted = simulated_socket_number(socket);
    if (accepted < 0) return accepted;
    listener->first_pending = socket->next_pending;
    if (listener->first_pending == NULL) listener->last_pending = NULL;
    listener->pending_count--;
    socket->next_pending = NULL;
    return accepted;
}

static io_socket begin_connect(struct simulated_socket *socket, struct simulated_host *other) {
    const struct simulation_network_faults *faults = simulation_network(other->simulation);
    socket->state = SIMULATED_CONNECTING;
    socket->other_host = other;
    int64_t now_us = simulated_now_us(socket->host);
    socket->connect_until_us = now_us + connect_patience_us;
    io_socket number = simulated_socket_number(socket);
    if (number < 0) {
        simulated_socket_free(socket);
        return number;
    }
    int64_t latency_us =
        simulated_between(other->simulation, faults->latency_us_min, faults->latency_us_max);
    simulated_plan_connect(socket, latency_us);
    return number;
}

static io_socket connect_tcp(struct io *io, const char *address, uint16_t port,
                             const char *source_address) {
    (void)source_address; /* a host has one address of each family */
    struct simulated_host *host = host_of(io);
    if (host->is_off) return -EIO;
    char target[IO_ADDRESS_TEXT_MAX];
    struct simulated_host *other = resolve(host, address, target);
    if (other == NULL) return -EHOSTUNREACH;
    struct simulated_socket *socket = simulated_socket_open(host);
    memcpy(socket->address, target, sizeof(target));
    socket->port = port;
    const char *own = strchr(target, ':') != NULL ? host->address_v6 : host->address;
    name_address(socket->local, is_loopback(target) ? target : own, take_port(host));
    name_address(socket->remote, target, port);
    return begin_connect(socket, other);
}

static io_socket connect_unix(struct io *io, const char *path) {
    struct simulated_host *host = host_of(io);
    if (host->is_off) return -EIO;
    struct simulated_socket *socket = simulated_socket_open(host);
    socket->is_unix = true;
    snprintf(socket->address, sizeof(socket->address), "%s", path);
    snprintf(socket->local, sizeof(socket->local), "%.107s:0", path);
    memcpy(socket->remote, socket->local, sizeof(socket->local));
    return begin_connect(socket, host);
}

static int take_error(struct simulated_socket *socket) {
    int error = socket->error;
    socket->error = 0;
    return error;
}

static int connect_result(struct io *io, io_socket number) {
    struct simulated_socket *socket = find_socket(io, number);
    if (socket == NULL) return -EBADF;
    return take_error(socket);
}

/* What arrived before a connection broke can still be read, as on Linux. */
static int64_t receive(struct io *io, io_socket number, void *into, size_t size) {
    struct simulated_socket *socket = find_socket(io, number);
    if (socket == NULL) return -EBADF;
    if (socket->state == SIMULATED_LISTENING) return -ENOTCONN;
    struct simulation *simulation = socket->host->simulation;
    size_t there = socket->arrived.size - socket->consumed;
    if (there == 0) {
        int error = take_error(socket);
        if (error != 0) return error;
        return socket->ended || socket->state == SIMULATED_BROKEN ? 0 : -EAGAIN;
    }
    if (size > there) size = there;
    if (size > 1 && simulated_chance(simulation, simulation->network.partial_receive))
        size = 1 + simulation_random_below(simulation, size);
    memcpy(into, socket->arrived.data + socket->consumed, size);
    socket->consumed += size;
    if (socket->consumed == socket->arrived.size) {
        buffer_clear(&socket->arrived);
        socket->consumed = 0;
    }
    simulated_trace(simulation, 'r', socket->id, size);
    if (socket->peer != NULL) simulated_rouse_socket(socket->peer);
    return (int64_t)size;
}

/* Takes `size` bytes of the parts, as one run. */
static void join_parts(struct buffer *out, const struct bytes *parts, int count, size_t size) {
    for (int i = 0; i < count && size > 0; i++) {
        size_t part = parts[i].size < size ? parts[i].size : size;
        buffer_append(out, parts[i].data, part);
        size -= part;
    }
}

/* Where sent bytes go: to the peer, into silence, or to a host that knows no such connection. */
static void carry(struct simulated_socket *socket, const struct bytes *parts, int count,
                  size_t size) {
    if (socket->silent) {
        simulated_lose(socket, size);
        return;
    }
    if (socket->peer == NULL) {
        simulated_transmit(socket, SIMULATED_RESET, (struct bytes){0});
        return;
    }
    struct buffer data = {0};
    join_parts(&data, parts, count, size);
    simulated_transmit(socket->peer, SIMULATED_DATA, buffer_bytes(&data));
    buffer_release(&data);
}

static int64_t send_parts(struct io *io, io_socket number, const struct bytes *parts, int count) {
    struct simulated_socket *socket = find_socket(io, number);
    if (socket == NULL) return -EBADF;
    if (socket->state == SIMULATED_LISTENING) return -ENOTCONN;
    if (socket->state == SIMULATED_CONNECTING) return -EAGAIN;
    if (socket->state == SIMULATED_BROKEN) {
        int error = take_error(socket);
        return error != 0 ? error : -EPIPE;
    }
    struct simulation *simulation = socket->host->simulation;
    const struct simulation_network_faults *faults = &simulation->network;
    if (!socket->silent && simulated_chance(simulation, faults->cut)) {
        bool silently = simulated_chance(simulation, faults->cut_is_silent);
        simulated_cut(socket, silently);
        if (!silently) return take_error(socket);
    }
    size_t size = 0, room = simulated_send_room(socket);
    for (int i = 0; i < count; i++)
        size += parts[i].size;
    if (size == 0) return 0;
    if (room == 0) return -EAGAIN;
    if (size > room) size = room;
    if (size > 1 && simulated_chance(simulation, faults->partial_send))
        size = 1 + simulation_random_below(simulation, size);
    simulated_trace(simulation, 's', socket->id, size);
    carry(socket, parts, count, size);
    return (int64_t)size;
}

static void close_socket(struct io *io, io_socket number) {
    struct simulated_socket *socket = find_socket(io, number);
    if (socket != NULL) simulated_socket_close(socket);
}

static int set_keepalive(struct io *io, io_socket number, int interval_s) {
    struct simulated_socket *socket = find_socket(io, number);
    if (socket == NULL) return -EBADF;
    socket->keepalive_s = interval_s;
    if (socket->silent && interval_s > 0)
        simulated_plan_timeout(socket, (int64_t)interval_s * 2000000);
    return 0;
}

static int set_no_delay(struct io *io, io_socket number, bool on) {
    (void)on;
    return find_socket(io, number) == NULL ? -EBADF : 0;
}

static void peer_name(struct io *io, io_socket number, char out[IO_ADDRESS_TEXT_MAX]) {
    const struct simulated_socket *socket = find_socket(io, number);
    snprintf(out, IO_ADDRESS_TEXT_MAX, "%s", socket != NULL ? socket->remote : "?:0");
}

static void local_name(struct io *io, io_socket number, char out[IO_ADDRESS_TEXT_MAX]) {
    const struct simulated_socket *socket = find_socket(io, number);
    snprintf(out, IO_ADDRESS_TEXT_MAX, "%s", socket != NULL ? socket->local : "?:0");
}

static bool peer_is_local(struct io *io, io_socket number) {
    const struct simulated_socket *socket = find_socket(io, number);
    return socket != NULL && socket->other_host == socket->host;
}

static int socket_number(struct io *io, io_socket number) {
    (void)io;
    return number;
}

void simulated_socket_operations(struct io_operations *operations) {
    operations->watch = watch_socket;
    operations->unwatch = unwatch_socket;
    operations->listen_tcp = listen_tcp;
    operations->listen_unix = listen_unix;
    operations->accept = accept_socket;
    operations->connect_tcp = connect_tcp;
    operations->connect_unix = connect_unix;
    operations->connect_result = connect_result;
    operations->receive = receive;
    operations->send = send_parts;
    operations->close_socket = close_socket;
    operations->set_keepalive = set_keepalive;
    operations->set_no_delay = set_no_delay;
    operations->peer_name = peer_name;
    operations->local_name = local_name;
    operations->peer_is_local = peer_is_local;
    operations->socket_number = socket_number;
}
