/* simulation.c: the simulated world's seed, clock and events.
 *
 * Owns the order in which things happen: time first, then a number drawn from the seed, then the
 * order of planning. Must never look at a real clock, nor at the value of a pointer. */
#include "io/simulation.h"
#include "base/hash.h"
#include "base/invariant.h"
#include "base/memory.h"
#include "io/simulation_world.h"

enum { PER_MILLION = 1000000, EVENTS_INITIAL = 256 };

/* SplitMix64: Steele, Lea, Flood, "Fast Splittable Pseudorandom Number Generators" (2014). */
uint64_t simulation_random(struct simulation *simulation) {
    uint64_t z = simulation->random += 0x9e3779b97f4a7c15ULL;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
    return z ^ (z >> 31);
}

uint64_t simulation_random_below(struct simulation *simulation, uint64_t limit) {
    INVARIANT(limit > 0);
    return simulation_random(simulation) % limit; /* the bias does not matter here */
}

bool simulated_chance(struct simulation *simulation, uint32_t per_million) {
    return simulation_random_below(simulation, PER_MILLION) < per_million;
}

int64_t simulated_between(struct simulation *simulation, int64_t least, int64_t most) {
    if (most <= least) return least;
    return least + (int64_t)simulation_random_below(simulation, (uint64_t)(most - least) + 1);
}

void simulated_trace(struct simulation *simulation, uint64_t a, uint64_t b, uint64_t c) {
    uint64_t hash = simulation->trace;
    hash = hash_mix(hash ^ (uint64_t)simulation->now_us);
    hash = hash_mix(hash + a);
    hash = hash_mix(hash + b);
    simulation->trace = hash_mix(hash + c);
}

void simulated_trace_bytes(struct simulation *simulation, struct bytes bytes) {
    uint64_t hash = bytes.size;
    for (size_t i = 0; i < bytes.size; i++)
        hash = (hash ^ (uint8_t)bytes.data[i]) * 0x100000001b3ULL; /* FNV-1a */
    simulated_trace(simulation, hash, bytes.size, 0);
}

static bool comes_before(const struct simulated_event *a, const struct simulated_event *b) {
    if (a->at_us != b->at_us) return a->at_us < b->at_us;
    if (a->tie != b->tie) return a->tie < b->tie;
    return a->sequence < b->sequence;
}

void simulated_plan(struct simulation *simulation, struct simulated_event event) {
    if (simulation->event_count == simulation->event_capacity) {
        size_t wanted =
            simulation->event_capacity == 0 ? EVENTS_INITIAL : 2 * simulation->event_capacity;
        simulation->events = memory_resize(simulation->events, wanted * sizeof(event));
        simulation->event_capacity = wanted;
    }
    event.tie = simulation_random(simulation);
    event.sequence = simulation->event_sequence++;
    size_t at = simulation->event_count++;
    while (at > 0 && comes_before(&event, &simulation->events[(at - 1) / 2])) {
        simulation->events[at] = simulation->events[(at - 1) / 2];
        at = (at - 1) / 2;
    }
    simulation->events[at] = event;
}

static struct simulated_event take_first(struct simulation *simulation) {
    struct simulated_event *events = simulation->events;
    struct simulated_event first = events[0], last = events[--simulation->event_count];
    size_t at = 0, count = simulation->event_count;
    for (;;) {
        size_t child = 2 * at + 1;
        if (child >= count) break;
        if (child + 1 < count && comes_before(&events[child + 1], &events[child])) child++;
        if (!comes_before(&events[child], &last)) break;
        events[at] = events[child];
        at = child;
    }
    events[at] = last;
    return first;
}

/* The socket that an event is for, or NULL when it is gone. */
static struct simulated_socket *socket_of(struct simulation *simulation,
                                          const struct simulated_event *event) {
    struct simulated_socket *socket = simulation->sockets[event->slot];
    return socket != NULL && socket->id == event->number ? socket : NULL;
}

static void deliver(struct simulation *simulation, const struct simulated_event *event) {
    struct simulated_host *host = simulation->hosts[event->host];
    switch (event->kind) {
    case SIMULATED_TURN: simulated_take_turn(host, event->number); return;
    case SIMULATED_JOB_BEGIN: simulated_job_begins(host, event->number); return;
    case SIMULATED_JOB_END: simulated_job_ends(host, event->number); return;
    default: break;
    }
    struct simulated_socket *socket = socket_of(simulation, event);
    if (socket == NULL) return;
    if (event->kind == SIMULATED_SEGMENT) simulated_segment_arrives(socket);
    if (event->kind == SIMULATED_CONNECT) simulated_connect_arrives(socket);
    if (event->kind == SIMULATED_TIMEOUT) simulated_timeout_comes(socket);
}

bool simulation_step(struct simulation *simulation) {
    if (simulation->event_count == 0) return false;
    struct simulated_event event = take_first(simulation);
    if (event.at_us > simulation->now_us) simulation->now_us = event.at_us;
    simulated_trace(simulation, event.kind, event.host, event.number);
    deliver(simulation, &event);
    return true;
}

bool simulation_run_until(struct simulation *simulation, int64_t until_us,
                          bool (*predicate)(void *context), void *context) {
    for (;;) {
        if (predicate != NULL && predicate(context)) return true;
        if (simulation->event_count == 0 || simulation->events[0].at_us > until_us) break;
        simulation_step(simulation);
    }
    if (until_us > simulation->now_us) simulation->now_us = until_us;
    return false;
}

void simulation_run_for(struct simulation *simulation, int64_t us) {
    simulation_run_until(simulation, simulation->now_us + us, NULL, NULL);
}

int64_t simulation_now_us(const struct simulation *simulation) {
    return simulation->now_us;
}

uint64_t simulation_trace_hash(const struct simulation *simulation) {
    return simulation->trace;
}

struct simulation_network_faults *simulation_network(struct simulation *simulation) {
    return &simulation->network;
}

struct simulation *simulation_open(uint64_t seed) {
    struct simulation *simulation = memory_alloc_zeroed(1, sizeof(*simulation));
    simulation->random = hash_mix(seed + 1);
    simulation->trace = seed;
    simulation->socket_id_next = 1;
    simulation->network = (struct simulation_network_faults){
        .latency_us_min = 20,
        .latency_us_max = 300,
        .segment_bytes_max = 16384,
        .send_buffer_bytes = 65536,
        .tiny_segments = 50000,
        .partial_send = 50000,
        .partial_receive = 50000,
    };
    return simulation;
}

void simulation_close(struct simulation *simulation) {
    for (uint32_t i = 0; i < simulation->host_count; i++)
        simulated_host_close(simulation->hosts[i]);
    memory_free(simulation->sockets);
    memory_free(simulation->events);
    memory_free(simulation);
}

struct io *simulation_host(struct simulation *simulation, const char *name) {
    for (uint32_t i = 0; i < simulation->host_count; i++) {
        struct simulated_host *host = simulation->hosts[i];
        if (strcmp(host->name, name) == 0) return &host->io;
    }
    INVARIANT(simulation->host_count < SIMULATED_HOSTS_MAX);
    INVARIANT(strlen(name) < SIMULATED_NAME_MAX);
    struct simulated_host *host = simulated_host_open(simulation, name);
    simulation->hosts[simulation->host_count++] = host;
    return &host->io;
}

static void set_partition(struct io *a, struct io *b, bool partitioned) {
    struct simulation *simulation = host_of(a)->simulation;
    uint32_t i = host_of(a)->index, j = host_of(b)->index;
    simulation->partitioned[i][j] = simulation->partitioned[j][i] = partitioned;
}

void simulation_partition(struct io *a, struct io *b) {
    set_partition(a, b, true);
}

void simulation_heal(struct io *a, struct io *b) {
    set_partition(a, b, false);
}
