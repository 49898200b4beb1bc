/* simulation_network.c: connections between simulated hosts.
 *
 *   send ──> segments on their way, in order ──(SIMULATED_SEGMENT)──> arrived ──> receive
 *
 * Each end owns what comes to it. Segments arrive in the order they were sent; a partition holds
 * them back and tries again, as TCP does. Sockets are named in events by slot and id, so that an
 * event for one that is gone finds nothing. */
#include "base/invariant.h"
#include "base/memory.h"
#include "io/simulation_world.h"
#include <errno.h>
#include <stdio.h>

enum {
    RETRY_SEGMENT_US = 200000,
    RETRY_CONNECT_US = 1000000,
    TINY_SEGMENT_BYTES = 16,
    TINY_SEGMENTS_MAX = 64, /* of one send; the rest of it comes in large ones */
};
static const int64_t silence_us_max =
    INT64_C(924000000); /* Linux' patience with unacknowledged data */

struct simulated_socket *simulated_socket_open(struct simulated_host *host) {
    struct simulation *simulation = host->simulation;
    uint32_t slot = 0;
    while (slot < simulation->socket_capacity && simulation->sockets[slot] != NULL)
        slot++;
    if (slot == simulation->socket_capacity) {
        uint32_t wanted = slot == 0 ? 64 : 2 * slot;
        simulation->sockets =
            memory_resize(simulation->sockets, wanted * sizeof(*simulation->sockets));
        memset(simulation->sockets + slot, 0, (wanted - slot) * sizeof(*simulation->sockets));
        simulation->socket_capacity = wanted;
    }
    struct simulated_socket *socket = memory_alloc_zeroed(1, sizeof(*socket));
    socket->id = simulation->socket_id_next++;
    socket->slot = slot;
    socket->number = IO_NONE;
    socket->host = host;
    simulation->sockets[slot] = socket;
    return socket;
}

io_socket simulated_socket_number(struct simulated_socket *socket) {
    struct simulated_host *host = socket->host;
    if (host->socket_count >= host->socket_limit) return -EMFILE;
    int number = 0;
    while (number < host->socket_capacity && host->sockets[number] != NULL)
        number++;
    if (number == host->socket_capacity) {
        int wanted = number == 0 ? 16 : 2 * number;
        host->sockets = memory_resize(host->sockets, (size_t)wanted * sizeof(*host->sockets));
        memset(host->sockets + number, 0, (size_t)(wanted - number) * sizeof(*host->sockets));
        host->socket_capacity = wanted;
    }
    host->sockets[number] = socket;
    host->socket_count++;
    socket->number = number;
    return number;
}

static void drop_segments(struct simulated_socket *socket) {
    while (socket->first != NULL) {
        struct simulated_segment *segment = socket->first;
        socket->first = segment->next;
        memory_free(segment);
    }
    socket->last = NULL;
    socket->bytes_coming = 0;
}

void simulated_socket_free(struct simulated_socket *socket) {
    struct simulated_host *host = socket->host;
    if (socket->peer != NULL) socket->peer->peer = NULL;
    if (socket->number != IO_NONE) {
        host->sockets[socket->number] = NULL;
        host->socket_count--;
    }
    host->simulation->sockets[socket->slot] = NULL;
    drop_segments(socket);
    buffer_release(&socket->arrived);
    memory_free(socket);
}

void simulated_socket_close(struct simulated_socket *socket) {
    while (socket->first_pending != NULL) {
        struct simulated_socket *pending = socket->first_pending;
        socket->first_pending = pending->next_pending;
        simulated_socket_close(pending);
    }
    struct simulated_socket *peer = socket->peer;
    if (peer != NULL && !socket->silent) {
        /* What was sent here and not read is lost, which the sender has to know. */
        bool lost = socket->arrived.size > socket->consumed || socket->bytes_coming > 0;
        simulated_transmit(peer, lost ? SIMULATED_RESET : SIMULATED_END, (struct bytes){0});
    }
    simulated_socket_free(socket);
}

uint32_t simulated_ready(const struct simulated_socket *socket) {
    uint32_t ready = 0;
    if (socket->state == SIMULATED_LISTENING) {
        if (socket->pending_count > 0) ready = IO_READABLE;
        return ready & socket->interest;
    }
    if (socket->state == SIMULATED_CONNECTING) return 0;
    if (socket->arrived.size > socket->consumed || socket->ended) ready |= IO_READABLE;
    if (simulated_send_room(socket) > 0) ready |= IO_WRITABLE;
    if (socket->state == SIMULATED_BROKEN) ready = IO_READABLE | IO_WRITABLE;
    ready &= socket->interest;
    if (socket->state == SIMULATED_BROKEN) ready |= IO_HANGUP;
    if (socket->ended && socket->interest == 0) ready |= IO_HANGUP;
    return ready;
}

void simulated_rouse_socket(struct simulated_socket *socket) {
    if (socket->is_watched && simulated_ready(socket) != 0) simulated_rouse(socket->host);
}

size_t simulated_send_room(const struct simulated_socket *socket) {
    uint64_t limit = socket->host->simulation->network.send_buffer_bytes;
    const struct simulated_socket *peer = socket->peer;
    uint64_t used = socket->bytes_lost;
    if (peer != NULL) used += peer->bytes_coming + (peer->arrived.size - peer->consumed);
    return used < limit ? (size_t)(limit - used) : 0;
}

static void plan(struct simulated_socket *socket, enum simulated_event_kind kind, int64_t at_us) {
    simulated_plan(socket->host->simulation, (struct simulated_event){.at_us = at_us,
                                                                      .kind = kind,
                                                                      .host = socket->host->index,
                                                                      .slot = socket->slot,
                                                                      .number = socket->id});
}

void simulated_plan_timeout(struct simulated_socket *socket, int64_t us) {
    plan(socket, SIMULATED_TIMEOUT, socket->host->simulation->now_us + us);
}

void simulated_plan_connect(struct simulated_socket *socket, int64_t us) {
    plan(socket, SIMULATED_CONNECT, simulated_now_us(socket->host) + us);
}

static int64_t latency_us(struct simulation *simulation) {
    const struct simulation_network_faults *faults = &simulation->network;
    return simulated_between(simulation, faults->latency_us_min, faults->latency_us_max);
}

static void transmit_one(struct simulated_socket *to, enum simulated_segment_kind kind,
                         struct bytes data) {
    struct simulated_segment *segment = memory_alloc(sizeof(*segment) + data.size);
    *segment = (struct simulated_segment){.kind = kind, .size = data.size};
    if (data.size > 0) memcpy(segment->data, data.data, data.size);
    if (to->last == NULL) {
        to->first = segment;
    } else {
        to->last->next = segment;
    }
    to->last = segment;
    to->bytes_coming += data.size;
    int64_t sent_us = simulated_now_us(to->other_host);
    int64_t at_us = sent_us + latency_us(to->host->simulation);
    if (at_us < to->arrival_us) at_us = to->arrival_us;
    to->arrival_us = at_us;
    plan(to, SIMULATED_SEGMENT, at_us);
}

void simulated_transmit(struct simulated_socket *to, enum simulated_segment_kind kind,
                        struct bytes data) {
    struct simulation *simulation = to->host->simulation;
    if (data.size == 0) {
        transmit_one(to, kind, data);
        return;
    }
    const struct simulation_network_faults *faults = &simulation->network;
    int tiny = simulated_chance(simulation, faults->tiny_segments) ? TINY_SEGMENTS_MAX : 0;
    while (data.size > 0) {
        int64_t most = faults->segment_bytes_max > 0 ? faults->segment_bytes_max : 1;
        int64_t least = most;
        if (tiny > 0) {
            tiny--;
            least = 1;
            most = TINY_SEGMENT_BYTES;
        }
        size_t size = (size_t)simulated_between(simulation, least, most);
        if (size > data.size) size = data.size;
        transmit_one(to, kind, bytes_make(data.data, size));
        data = bytes_make(data.data + size, data.size - size);
    }
}

void simulated_break(struct simulated_socket *socket, int error) {
    if (socket->state == SIMULATED_BROKEN) return;
    socket->state = SIMULATED_BROKEN;
    socket->error = error;
    socket->silent = false;
    if (socket->peer != NULL) socket->peer->peer = NULL;
    socket->peer = NULL;
    drop_segments(socket);
    simulated_rouse_socket(socket);
}

void simulated_lose(struct simulated_socket *socket, uint64_t bytes) {
    if (socket->bytes_lost == 0 && bytes > 0) simulated_plan_timeout(socket, silence_us_max);
    socket->bytes_lost += bytes;
}

/* The socket hears nothing any more. Keepalive, unacknowledged data or an unanswered request will
 * tell in the end. What is on its way to here the peer has to count as lost. */
static void silence(struct simulated_socket *socket) {
    socket->silent = true;
    if (socket->peer != NULL) simulated_lose(socket->peer, socket->bytes_coming);
    drop_segments(socket);
    if (socket->keepalive_s > 0)
        simulated_plan_timeout(socket, (int64_t)socket->keepalive_s * 2000000);
    if (socket->state == SIMULATED_CONNECTING) simulated_plan_timeout(socket, silence_us_max);
}

void simulated_cut(struct simulated_socket *socket, bool silently) {
    struct simulated_socket *peer = socket->peer;
    simulated_trace(socket->host->simulation, 'x', socket->id, silently);
    if (!silently) {
        simulated_break(socket, -ECONNRESET);
        if (peer != NULL) simulated_break(peer, -ECONNRESET);
        return;
    }
    silence(socket);
    if (peer == NULL) return;
    silence(peer);
    socket->peer = peer->peer = NULL;
}

void simulation_cut(struct io *io, io_socket number, bool silently) {
    struct simulated_host *host = host_of(io);
    INVARIANT(number >= 0 && number < host->socket_capacity && host->sockets[number] != NULL);
    struct simulated_socket *socket = host->sockets[number];
    if (socket->state == SIMULATED_CONNECTED) simulated_cut(socket, silently);
}

/* The other host lost its power: this end keeps what had arrived and hears no more. */
static void abandon(struct simulated_socket *socket) {
    simulated_lose(socket, socket->peer->bytes_coming);
    silence(socket);
    socket->waits_for_boot = true;
    socket->peer = NULL;
}

void simulated_network_off(struct simulated_host *host, bool silently) {
    struct simulation *simulation = host->simulation;
    for (uint32_t slot = 0; slot < simulation->socket_capacity; slot++) {
        struct simulated_socket *socket = simulation->sockets[slot];
        if (socket == NULL || socket->host != host) continue;
        bool waits = socket->number == IO_NONE; /* its listener closes it */
        if (!silently) {
            if (!waits) simulated_socket_close(socket);
            continue;
        }
        struct simulated_socket *peer = socket->peer;
        if (peer != NULL) {
            abandon(peer);
            socket->peer = NULL;
        }
        simulated_socket_free(socket);
    }
}

void simulated_network_on(struct simulated_host *host) {
    struct simulation *simulation = host->simulation;
    for (uint32_t slot = 0; slot < simulation->socket_capacity; slot++) {
        struct simulated_socket *socket = simulation->sockets[slot];
        if (socket == NULL || socket->other_host != host || !socket->waits_for_boot) continue;
        socket->waits_for_boot = false;
        socket->silent = false;
        /* What it sent meanwhile is sent again and answered: no such connection. */
        if (socket->bytes_lost > 0) simulated_transmit(socket, SIMULATED_RESET, (struct bytes){0});
        socket->bytes_lost = 0;
    }
}

static bool is_partitioned(const struct simulated_socket *socket) {
    return socket->host->simulation->partitioned[socket->host->index][socket->other_host->index];
}

void simulated_segment_arrives(struct simulated_socket *socket) {
    struct simulated_segment *segment = socket->first;
    if (segment == NULL) return;
    if (is_partitioned(socket)) {
        int64_t at_us = socket->host->simulation->now_us + RETRY_SEGMENT_US;
        if (socket->arrival_us < at_us) socket->arrival_us = at_us;
        plan(socket, SIMULATED_SEGMENT, at_us);
        return;
    }
    socket->first = segment->next;
    if (socket->first == NULL) socket->last = NULL;
    socket->bytes_coming -= segment->size;
    switch (segment->kind) {
    case SIMULATED_DATA: {
        struct bytes data = bytes_make(segment->data, segment->size);
        simulated_trace_bytes(socket->host->simulation, data);
        buffer_append(&socket->arrived, data.data, data.size);
        break;
    }
    case SIMULATED_OPENED: socket->state = SIMULATED_CONNECTED; break;
    case SIMULATED_END: socket->ended = true; break;
    case SIMULATED_REFUSED: simulated_break(socket, -ECONNREFUSED); break;
    case SIMULATED_RESET: simulated_break(socket, -ECONNRESET); break;
    }
    memory_free(segment);
    simulated_rouse_socket(socket);
}

static bool is_wildcard(const char *address) {
    return strcmp(address, "*") == 0 || strcmp(address, "::*") == 0;
}

/* Who listens on the other host for what the socket wants, or NULL. */
static struct simulated_socket *find_listener(const struct simulated_socket *socket) {
    const struct simulated_host *host = socket->other_host;
    bool wants_v6 = strchr(socket->address, ':') != NULL;
    for (int i = 0; i < host->socket_capacity; i++) {
        struct simulated_socket *listener = host->sockets[i];
        if (listener == NULL || listener->state != SIMULATED_LISTENING) continue;
        if (listener->is_unix != socket->is_unix || listener->port != socket->port) continue;
        if (strcmp(listener->address, socket->address) == 0) return listener;
        bool is_v6 = strchr(listener->address, ':') != NULL;
        if (!socket->is_unix && is_wildcard(listener->address) && is_v6 == wants_v6)
            return listener;
    }
    return NULL;
}

static void add_pending(struct simulated_socket *listener, struct simulated_socket *client) {
    struct simulated_socket *socket = simulated_socket_open(listener->host);
    socket->state = SIMULATED_CONNECTED;
    socket->is_unix = client->is_unix;
    socket->peer = client;
    socket->other_host = client->host;
    memcpy(socket->local, client->remote, sizeof(socket->local));
    memcpy(socket->remote, client->local, sizeof(socket->remote));
    client->peer = socket;
    if (listener->last_pending == NULL) {
        listener->first_pending = socket;
    } else {
        listener->last_pending->next_pending = socket;
    }
    listener->last_pending = socket;
    listener->pending_count++;
    simulated_transmit(client, SIMULATED_OPENED, (struct bytes){0});
    simulated_rouse_socket(listener);
}

/* A request that gets no answer (host off, partition, full backlog) is repeated for a while. */
void simulated_connect_arrives(struct simulated_socket *client) {
    if (client->state != SIMULATED_CONNECTING || client->peer != NULL) return;
    struct simulation *simulation = client->host->simulation;
    struct simulated_socket *listener = NULL;
    bool reached = !client->other_host->is_off && !is_partitioned(client);
    if (reached && !simulated_chance(simulation, simulation->network.refuse))
        listener = find_listener(client);
    if (reached && listener == NULL) {
        simulated_transmit(client, SIMULATED_REFUSED, (struct bytes){0});
        return;
    }
    if (reached && listener->pending_count < listener->backlog) {
        add_pending(listener, client);
        return;
    }
    if (simulation->now_us >= client->connect_until_us) {
        simulated_break(client, -ETIMEDOUT);
        return;
    }
    simulated_plan_connect(client, RETRY_CONNECT_US);
}

void simulated_timeout_comes(struct simulated_socket *socket) {
    if (socket->silent) simulated_break(socket, -ETIMEDOUT);
}
