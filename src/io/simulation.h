/* simulation.h: a world of several hosts in one process and one thread, all from one seed.
 *
 *   simulation ─┬─ clock: stands still while code runs, jumps to the next event
 *               ├─ events: ordered by time, ties broken by the seed
 *               ├─ network: latency, segments, cuts, partitions
 *               └─ hosts, each a `struct io` of its own, with
 *                    sockets ── workers ── disk (what is synced, what is not yet) ── entropy
 *
 * How a server's loop runs beside others. A real server is `for (;;) server_turn(server)`, where
 * the turn begins with io_wait, which blocks. Here io_wait never blocks: it returns what is ready,
 * and notes until when the host would have slept. The simulation calls the turn instead, whenever a
 * blocked io_wait would have returned:
 *
 *     simulation_run_until                           a host
 *     ────────────────────                           ──────
 *     take the earliest event ─── deliver ──────────> bytes arrive, work ends, a cut ...
 *     clock = its time                                 │ something watched is ready, a `done`
 *          ▲                                           │ waits, io_wake, or the deadline came
 *          │                                           ▼
 *          │                                         turn(context)
 *          │                                           └─ io_wait: ready events, 0 if none;
 *          └─────── next turn is planned ────────────────  deadline = now + timeout
 *
 * After a turn whose io_wait found something (or had the timeout 0) the next follows some
 * microseconds later, as in a real loop; otherwise when something gets ready or at the deadline.
 * A host without a turn is driven by the test itself, through the same calls of struct io, between
 * steps: that is how clients are written.
 *
 *     struct simulation *simulation = simulation_open(seed);
 *     struct io *host = simulation_host(simulation, "server");
 *     struct server *server = ... host ...;             // listens on port 6379
 *     simulation_set_turn(host, server_turn, server);
 *     struct io *client = simulation_host(simulation, "client");
 *     io_socket socket = client->operations->connect_tcp(client, "server", 6379, NULL);
 *     simulation_run_for(simulation, 1000000);          // then io_send, run, io_receive ...
 *
 * Time. Code takes none: what reads the clock in a loop without waiting would never end, and a host
 * that waits a million times in one moment ends in a report. sleep_us and slow disks put the host's
 * own clock ahead, and its next turn off, while others go on. ticks are microseconds.
 *
 * Addresses. A host is called by its name or its address (10.0.0.1, fd00::1 for the first); it sees
 * itself as 127.0.0.1, ::1 and localhost too. "*" and "::*" listen as in the real world.
 *
 * Crashes. What is written and not synced may be lost, whole or in part, and what is created,
 * renamed or removed may not have happened unless sync_directory came after it: see
 * simulation_crash. Not modelled: permissions, links, renaming directories.
 *
 * The same seed and the same calls give the same trace, on every machine: simulation_trace_hash
 * folds all events and transfers into one number, so that a test can say so. */
#ifndef REDSTART_IO_SIMULATION_H
#define REDSTART_IO_SIMULATION_H

#include "io/io.h"

struct simulation;

/* Chances are in parts per million. All may be changed at any time. */
struct simulation_network_faults {
    int64_t latency_us_min, latency_us_max; /* one way; 20 to 300 */
    uint32_t segment_bytes_max;             /* what arrives at once; 16384 */
    uint32_t send_buffer_bytes;             /* sent and not yet received; 65536 */
    uint32_t tiny_segments;                 /* a send arrives in pieces of a few bytes; 50000 */
    uint32_t partial_send;                  /* a send takes only some of what fits; 50000 */
    uint32_t partial_receive;               /* a receive gives only some of what is there; 50000 */
    uint32_t cut;                           /* a send breaks the connection; 0 */
    uint32_t cut_is_silent;                 /* of the cuts: nobody is told; 0 */
    uint32_t refuse;                        /* a connection is refused; 0 */
};

struct simulation_disk_faults {
    int64_t call_us_max, sync_us_max; /* how long a call takes at most; 0 and 2000 */
    uint64_t capacity_bytes;          /* -ENOSPC beyond; 0: without end */
    uint32_t partial_write;           /* a write takes only some; 0 */
    uint32_t write_error;             /* -EIO; 0 */
    uint32_t read_error;              /* -EIO; 0 */
    uint32_t sync_error;              /* -EIO, and what was to be synced may be lost for good; 0 */
    uint32_t open_error;              /* -EIO; 0 */
    uint64_t failing_call; /* -EIO, once, for the call that comes so many calls later; 0 */
};

struct simulation *simulation_open(uint64_t seed);
/* All hosts end with it; what runs on them has to be closed before. */
void simulation_close(struct simulation *simulation);

/* The host of that name (up to 31 bytes), made and switched on when it is asked for first. */
struct io *simulation_host(struct simulation *simulation, const char *name);
/* Its IPv4 address, as text. */
const char *simulation_address(const struct io *host);
/* `turn` is called as described above, the first time soon. NULL: no more. */
typedef void simulation_turn(void *context);
void simulation_set_turn(struct io *host, simulation_turn *turn, void *context);

/* Delivers one event. False when there is none: nothing will ever happen by itself again. */
bool simulation_step(struct simulation *simulation);
/* Delivers events up to that time, until `predicate` holds (looked at before each; NULL: never).
 * Returns whether it did; if not, the clock stands at `until_us`. */
bool simulation_run_until(struct simulation *simulation, int64_t until_us,
                          bool (*predicate)(void *context), void *context);
void simulation_run_for(struct simulation *simulation, int64_t us);
/* Microseconds since the simulation began; what monotonic_us tells its hosts. */
int64_t simulation_now_us(const struct simulation *simulation);
uint64_t simulation_trace_hash(const struct simulation *simulation);
/* The seed's next number, for tests that decide by it. */
uint64_t simulation_random(struct simulation *simulation);
/* 0 to limit - 1. */
uint64_t simulation_random_below(struct simulation *simulation, uint64_t limit);

struct simulation_network_faults *simulation_network(struct simulation *simulation);
struct simulation_disk_faults *simulation_disk(struct io *host);
/* The host's wall clock is off by so much. */
void simulation_set_clock_error(struct io *host, int64_t us);
/* As if the process got it: take_signal will tell. */
void simulation_signal(struct io *host, int signal_number);
/* How many sockets the host may have open; 100000. -EMFILE beyond. */
void simulation_set_socket_limit(struct io *host, int limit);

/* Breaks the connection of that socket: both ends see -ECONNRESET, or, silently, nothing at all
 * until keepalive or the patience of TCP ends (then -ETIMEDOUT). */
void simulation_cut(struct io *host, io_socket socket, bool silently);
/* Nothing passes between the two until healed. Connections stay: what was sent arrives afterwards.
 */
void simulation_partition(struct io *a, struct io *b);
void simulation_heal(struct io *a, struct io *b);

/* The process dies (kill -9): its sockets are closed by the system, its disk stays as it is. */
void simulation_kill(struct io *host);
/* The power fails: peers hear nothing, and of the disk only what was synced is sure; the rest is
 * kept, torn or lost as the seed wants.
 *
 * After either the host is off: its turn is gone, all calls fail with -EIO or do nothing, so that
 * the server's memory can be freed in the usual way (finish_work still runs what was submitted,
 * with the disk gone). simulation_boot switches it on again, with the disk that was left. */
void simulation_crash(struct io *host);
void simulation_boot(struct io *host);

#endif
