/* simulation_host.c: one host of the simulated world: its clock, its wait and turns, its process.
 *
 * Owns the plan of the host's next turn: there is at most one that counts, and a newer version
 * makes older ones void. */
#include "base/hash.h"
#include "base/invariant.h"
#include "base/memory.h"
#include "io/simulation_world.h"
#include <errno.h>
#include <stdio.h>

enum {
    ROUSE_US_MAX = 10, /* from being ready to the turn */
    TURN_US_MAX = 5,   /* from turn to turn while there is something to do */
    WAITS_MAX = 1000000,
    SOCKET_LIMIT = 100000,
    PORT_FIRST = 32768, /* for sockets that did not ask for one */
};
static const int64_t wall_start_us = INT64_C(1767225600000000); /* 2026-01-01 00:00:00 UTC */

int64_t simulated_now_us(const struct simulated_host *host) {
    int64_t now_us = host->simulation->now_us;
    if (host->in_work) return now_us + host->work_us;
    return now_us > host->busy_until_us ? now_us : host->busy_until_us;
}

void simulated_spend(struct simulated_host *host, int64_t us) {
    if (us <= 0) return;
    if (host->in_work) {
        host->work_us += us;
    } else {
        host->busy_until_us = simulated_now_us(host) + us;
    }
}

static int64_t wall_us(struct io *io) {
    return wall_start_us + simulated_now_us(host_of(io)) + host_of(io)->clock_error_us;
}

static int64_t monotonic_us(struct io *io) {
    return simulated_now_us(host_of(io));
}

static int64_t utc_offset_s(struct io *io, int64_t wall_s) {
    (void)io;
    (void)wall_s;
    return 0;
}

static uint64_t ticks(struct io *io) {
    return (uint64_t)simulated_now_us(host_of(io));
}

static void sleep_us(struct io *io, int64_t us) {
    simulated_spend(host_of(io), us);
}

/* A stream of the host's own: what it draws does not change what the world does. */
static void entropy(struct io *io, void *out, size_t size) {
    struct simulated_host *host = host_of(io);
    uint8_t *at = out;
    for (size_t i = 0; i < size; i++)
        at[i] = (uint8_t)hash_mix(host->entropy++);
}

static void plan_turn(struct simulated_host *host, int64_t at_us) {
    if (host->turn == NULL || at_us == SIMULATED_NEVER) return;
    if (at_us < host->busy_until_us) at_us = host->busy_until_us;
    if (at_us >= host->turn_at_us) return;
    host->turn_at_us = at_us;
    host->turn_version++;
    simulated_plan(host->simulation, (struct simulated_event){.at_us = at_us,
                                                              .kind = SIMULATED_TURN,
                                                              .host = host->index,
                                                              .number = host->turn_version});
}

void simulated_rouse(struct simulated_host *host) {
    struct simulation *simulation = host->simulation;
    plan_turn(host, simulation->now_us + simulated_between(simulation, 0, ROUSE_US_MAX));
}

static bool is_roused(const struct simulated_host *host) {
    if (host->is_awake) return true;
    for (const struct simulated_job *job = host->first_job; job != NULL; job = job->next)
        if (job->ended) return true;
    for (int i = 0; i < host->socket_capacity; i++) {
        const struct simulated_socket *socket = host->sockets[i];
        if (socket != NULL && socket->is_watched && simulated_ready(socket) != 0) return true;
    }
    return false;
}

void simulated_take_turn(struct simulated_host *host, uint64_t version) {
    if (host->turn == NULL || version != host->turn_version) return;
    host->turn_at_us = SIMULATED_NEVER;
    host->wait_found = true; /* a turn that does not wait is followed by another */
    host->deadline_us = SIMULATED_NEVER;
    host->turn(host->turn_context);
    struct simulation *simulation = host->simulation;
    int64_t next_us = simulation->now_us + simulated_between(simulation, 1, TURN_US_MAX);
    bool at_once = host->wait_found || is_roused(host);
    plan_turn(host, at_once || host->deadline_us < next_us ? next_us : host->deadline_us);
}

/* Ready sockets, beginning behind a random one, so that no order can be relied on. */
static int collect_events(struct simulated_host *host, struct io_event *events, int capacity) {
    if (host->socket_count == 0) return 0;
    int size = host->socket_capacity, count = 0;
    int start = (int)simulation_random_below(host->simulation, (uint64_t)size);
    for (int i = 0; i < size && count < capacity; i++) {
        const struct simulated_socket *socket = host->sockets[(start + i) % size];
        if (socket == NULL || !socket->is_watched) continue;
        uint32_t ready = simulated_ready(socket);
        if (ready == 0) continue;
        events[count++] = (struct io_event){socket->context, ready};
        simulated_trace(host->simulation, host->index, (uint64_t)socket->number, ready);
    }
    return count;
}

static int wait_host(struct io *io, struct io_event *events, int capacity, int64_t timeout_us) {
    struct simulated_host *host = host_of(io);
    int64_t now_us = simulated_now_us(host);
    host->waits_there = host->waited_at_us == now_us ? host->waits_there + 1 : 0;
    host->waited_at_us = now_us;
    if (host->waits_there > WAITS_MAX)
        invariant_panic("Simulated host %s waits again and again without letting time pass",
                        host->name);
    bool ran_done = simulated_run_done(host);
    int count = collect_events(host, events, capacity);
    host->wait_found = count > 0 || ran_done || host->is_awake;
    host->is_awake = false;
    host->deadline_us = timeout_us < 0 ? SIMULATED_NEVER : simulated_now_us(host) + timeout_us;
    return count;
}

static void wake(struct io *io) {
    struct simulated_host *host = host_of(io);
    host->is_awake = true;
    simulated_rouse(host);
}

static void process_status(struct io *io, struct io_process_status *out) {
    const struct simulated_host *host = host_of(io);
    *out = (struct io_process_status){
        .pid = 1000 + host->index,
        .memory_resident = UINT64_C(64) << 20,
        .memory_peak = UINT64_C(64) << 20,
        .memory_total = UINT64_C(16) << 30,
        .processors = 1,
        .os = "Simulated 1.0 none",
        .executable = "/redstart",
    };
}

static void catch_signals(struct io *io) {
    (void)io;
}

static int take_signal(struct io *io) {
    struct simulated_host *host = host_of(io);
    int signal_number = host->signal_number;
    host->signal_number = 0;
    return signal_number;
}

static void set_prompt(struct io *io, bool is_prompt) {
    (void)io, (void)is_prompt;
}

static int64_t raise_file_limit(struct io *io, int64_t wanted) {
    int64_t limit = host_of(io)->socket_limit;
    return wanted > limit ? limit : wanted > 0 ? wanted : 0;
}

/* The program on the host ends in good order; the host belongs to the simulation and stays. */
static void close_io(struct io *io) {
    struct simulated_host *host = host_of(io);
    simulated_finish_work(io);
    simulation_set_turn(io, NULL, NULL);
    simulated_network_off(host, false);
    simulated_files_off(host);
}

static struct io_operations make_operations(void) {
    struct io_operations operations = {
        .wall_us = wall_us,
        .monotonic_us = monotonic_us,
        .utc_offset_s = utc_offset_s,
        .ticks = ticks,
        .ticks_per_us = 1.0,
        .sleep_us = sleep_us,
        .entropy = entropy,
        .wait = wait_host,
        .wake = wake,
        .submit = simulated_submit,
        .finish_work = simulated_finish_work,
        .finish_work_until = simulated_finish_work_until,
        .process_status = process_status,
        .catch_signals = catch_signals,
        .take_signal = take_signal,
        .set_prompt = set_prompt,
        .raise_file_limit = raise_file_limit,
        .close_io = close_io,
    };
    simulated_socket_operations(&operations);
    simulated_file_operations(&operations);
    return operations;
}

struct simulated_host *simulated_host_open(struct simulation *simulation, const char *name) {
    struct simulated_host *host = memory_alloc_zeroed(1, sizeof(*host));
    host->simulation = simulation;
    host->index = simulation->host_count;
    host->operations = make_operations();
    host->io.operations = &host->operations;
    snprintf(host->name, sizeof(host->name), "%s", name);
    snprintf(host->address, sizeof(host->address), "10.0.0.%u", host->index + 1);
    snprintf(host->address_v6, sizeof(host->address_v6), "fd00::%x", host->index + 1);
    host->entropy = simulation_random(simulation);
    host->turn_at_us = host->deadline_us = SIMULATED_NEVER;
    host->socket_limit = SOCKET_LIMIT;
    host->port_next = PORT_FIRST;
    strcpy(host->directory, "/");
    simulated_disk_open(&host->disk);
    return host;
}

void simulated_host_close(struct simulated_host *host) {
    simulated_finish_work(&host->io);
    host->turn = NULL;
    simulated_network_off(host, true);
    simulated_files_off(host);
    simulated_disk_close(&host->disk);
    memory_free(host->sockets);
    memory_free(host->files);
    memory_free(host);
}

const char *simulation_address(const struct io *host) {
    return ((const struct simulated_host *)(const void *)host)->address;
}

void simulation_set_turn(struct io *io, simulation_turn *turn, void *context) {
    struct simulated_host *host = host_of(io);
    INVARIANT(turn == NULL || !host->is_off);
    host->turn = turn;
    host->turn_context = context;
    host->turn_at_us = SIMULATED_NEVER;
    host->turn_version++;
    simulated_rouse(host);
}

struct simulation_disk_faults *simulation_disk(struct io *host) {
    return &host_of(host)->disk.faults;
}

void simulation_set_clock_error(struct io *host, int64_t us) {
    host_of(host)->clock_error_us = us;
}

void simulation_signal(struct io *host, int signal_number) {
    host_of(host)->signal_number = signal_number;
    wake(host);
}

void simulation_set_socket_limit(struct io *host, int limit) {
    INVARIANT(limit >= 0 && limit <= SIMULATED_SOCKETS_MAX);
    host_of(host)->socket_limit = limit;
}

static void switch_off(struct simulated_host *host, bool silently) {
    simulation_set_turn(&host->io, NULL, NULL);
    simulated_network_off(host, silently);
    simulated_files_off(host);
    host->is_off = true;
    host->is_awake = false;
    host->signal_number = 0;
    host->busy_until_us = 0;
}

void simulation_kill(struct io *io) {
    struct simulated_host *host = host_of(io);
    if (host->is_off) return;
    simulated_trace(host->simulation, 'k', host->index, 0);
    switch_off(host, false);
}

void simulation_crash(struct io *io) {
    struct simulated_host *host = host_of(io);
    if (host->is_off) return;
    simulated_trace(host->simulation, 'c', host->index, 0);
    switch_off(host, true);
    simulated_disk_crash(host->simulation, &host->disk);
}

void simulation_boot(struct io *io) {
    struct simulated_host *host = host_of(io);
    if (!host->is_off) return;
    simulated_finish_work(io); /* nothing of the program before may be left */
    host->is_off = false;
    strcpy(host->directory, "/");
    simulated_network_on(host);
}
