/* io.h: the seam to the world. Clock, entropy, network, files, workers and the process are reached
 * through `struct io` and in no other way. There are two worlds:
 *
 *   io_real_open      the operating system's
 *   simulation_host   a simulated one, in which several servers run on one thread, on a simulated
 *                     clock, network and disk, all from one seed (io/simulation.h)
 *
 * All calls are made on the thread that owns the io, except those that say otherwise. Errors are
 * negative errno values (-EAGAIN, -ECONNRESET ...). */
#ifndef REDSTART_IO_IO_H
#define REDSTART_IO_IO_H

#include "base/bytes.h"
#include <stdbool.h>
#include <stdint.h>

struct io;

/* A socket or listener, small and dense like a file descriptor; IO_NONE is none. */
typedef int io_socket;
/* A file or directory. */
typedef int io_file;
enum { IO_NONE = -1 };

/* IO_HANGUP comes unasked when the connection has failed or both sides are closed; to who asked for
 * nothing else also when the peer has closed its side. Being level triggered it comes again until
 * the socket is closed or unwatched. */
enum { IO_READABLE = 1, IO_WRITABLE = 2, IO_HANGUP = 4 };

struct io_event {
    void *context;  /* as given to io_watch */
    uint32_t ready; /* IO_READABLE, IO_WRITABLE, IO_HANGUP */
};

enum { IO_ADDRESS_TEXT_MAX = 128 }; /* "127.0.0.1:6379", "[::1]:6379", "/path/to.sock:0" */

enum io_open_flags {
    IO_READ = 1,
    IO_WRITE = 2,
    IO_CREATE = 4,
    IO_TRUNCATE = 8,
    IO_APPEND = 16,
    IO_EXCLUSIVE = 32,
};

enum io_file_kind { IO_KIND_FILE, IO_KIND_DIRECTORY, IO_KIND_OTHER };

struct io_file_status {
    enum io_file_kind kind;
    uint64_t size;
    int64_t modified_ms;
    uint32_t mode; /* permission bits */
};

struct io_listen_tcp {
    const char *address; /* numeric IPv4 or IPv6, or a host name, "*" or "::*" for all */
    uint16_t port;
    int backlog;
    uint32_t mark_id; /* socket-mark-id, 0 for none */
};

struct io_listen_unix {
    const char *path;
    uint32_t mode; /* permission bits, 0 to leave them */
    int backlog;
};

/* What runs on a worker. It may use the file calls and clocks of its io, and connect_tcp (a name
 * may have to be looked up), and nothing else that is not its own. */
typedef void io_work(void *context);
/* Asked by the engine. */
typedef bool io_work_over(const void *context);

/* What the system says of this process and machine, for INFO and for limits. */
struct io_process_status {
    int64_t pid;
    uint64_t memory_resident, memory_peak, memory_total; /* bytes; total is the machine's */
    uint64_t cpu_user_us, cpu_system_us;
    uint64_t cpu_user_children_us, cpu_system_children_us;
    uint64_t cpu_user_main_us, cpu_system_main_us;
    int processors; /* this process may use */
    char os[160];   /* "Linux 6.1.0 x86_64" */
    char executable[1024];
};

struct io_operations {
    /* time */
    int64_t (*wall_us)(struct io *);      /* microseconds since 1970 */
    int64_t (*monotonic_us)(struct io *); /* microseconds since some moment; any thread */
    int64_t (*utc_offset_s)(struct io *, int64_t wall_s);
    uint64_t (*ticks)(struct io *); /* a fast counter for measuring; any thread */
    double ticks_per_us;
    bool ticks_are_cycles; /* ticks is what io_cycles counts */
    void (*sleep_us)(struct io *, int64_t us);

    /* entropy: fills, never fails */
    void (*entropy)(struct io *, void *out, size_t size);

    /* poller */
    int (*wait)(struct io *, struct io_event *events, int capacity,
                int64_t timeout_us); /* -1: forever */
    int (*watch)(struct io *, io_socket, uint32_t interest,
                 void *context); /* add or change; 0 interest: only hangups */
    void (*unwatch)(struct io *, io_socket);
    void (*wake)(struct io *); /* ends a wait; any thread, and signal handlers */

    /* network; all sockets are non-blocking. A failed listen_ returns the negative errno, and says
     * "bind: Address already in use" in `error`. */
    io_socket (*listen_tcp)(struct io *, const struct io_listen_tcp *, char *error,
                            size_t error_size);
    io_socket (*listen_unix)(struct io *, const struct io_listen_unix *, char *error,
                             size_t error_size);
    io_socket (*accept)(struct io *, io_socket listener); /* -EAGAIN when none waits, -EMFILE ... */
    io_socket (*connect_tcp)(struct io *, const char *address, uint16_t port,
                             const char *source_address);
    io_socket (*connect_unix)(struct io *, const char *path);
    int (*connect_result)(struct io *, io_socket); /* once writable: 0 or why not */
    int64_t (*receive)(struct io *, io_socket, void *into, size_t size); /* 0: closed by the peer */
    int64_t (*send)(struct io *, io_socket, const struct bytes *parts, int count);
    void (*close_socket)(struct io *, io_socket);
    int (*set_keepalive)(struct io *, io_socket, int interval_s); /* 0: off */
    int (*set_no_delay)(struct io *, io_socket, bool on);
    void (*peer_name)(struct io *, io_socket, char out[IO_ADDRESS_TEXT_MAX]);
    void (*local_name)(struct io *, io_socket, char out[IO_ADDRESS_TEXT_MAX]);
    bool (*peer_is_local)(struct io *, io_socket); /* loopback or unix */
    int (*socket_number)(struct io *, io_socket);  /* as CLIENT LIST's fd= shows it */

    /* files; any thread. Paths are relative to the io's directory. */
    int (*change_directory)(struct io *, const char *path);
    int (*directory)(struct io *, char *out, size_t size); /* absolute */
    io_file (*open)(struct io *, const char *path, uint32_t flags, uint32_t mode);
    void (*close)(struct io *, io_file);
    int64_t (*read)(struct io *, io_file, void *into, size_t size);
    int64_t (*read_at)(struct io *, io_file, void *into, size_t size, uint64_t offset);
    int64_t (*write)(struct io *, io_file, const void *from, size_t size);
    /* Not for files that were opened with IO_APPEND. */
    int64_t (*write_at)(struct io *, io_file, const void *from, size_t size, uint64_t offset);
    int (*sync)(struct io *, io_file, bool data_only);
    int (*sync_directory)(struct io *, const char *path);
    int (*truncate)(struct io *, io_file, uint64_t size);
    int (*status)(struct io *, const char *path, struct io_file_status *);
    int (*rename)(struct io *, const char *from, const char *to);
    int (*remove)(struct io *, const char *path); /* a file */
    int (*make_directory)(struct io *, const char *path, uint32_t mode);
    /* Calls `each` for every name except . and .. */
    int (*list)(struct io *, const char *path, void (*each)(void *, const char *name),
                void *context);

    /* workers: `work` runs on one of them, then `done` on the owner's thread, inside io_wait
     * (before it looks which sockets are ready, so that a `done` may close some). Work of the same
     * lane runs one at a time, in order; that of IO_LANE_FREE and of different lanes side by side.
     */
    void (*submit)(struct io *, uint32_t lane, io_work *work, io_work *done, void *context);
    /* Wait until nothing is submitted any more, running the `done`s. */
    void (*finish_work)(struct io *);
    /* The same, but only until what is under way is over: a `done` sees to that. */
    void (*finish_work_until)(struct io *, io_work_over *is_over, const void *context);

    /* process */
    void (*process_status)(struct io *, struct io_process_status *);
    /* Ask for SIGTERM, SIGINT (and SIGHUP ignored): take_signal gives the last one that came, or 0.
     */
    void (*catch_signals)(struct io *);
    int (*take_signal)(struct io *);
    /* Whether the owner's thread is to run before others as soon as something comes, as one that
     * sleeps most of the time may ask, and one that computes for long must not. At first not. */
    void (*set_prompt)(struct io *, bool is_prompt);
    int64_t (*raise_file_limit)(struct io *, int64_t wanted); /* returns what is allowed now */
    void (*close_io)(struct io *);                            /* finishes work first */
};

enum {
    IO_LANE_FREE,
    IO_LANE_LOAD,
    /* An urgent lane, for work that hardly computes and must go on as soon as the disk has
     * answered. */
    IO_LANE_SYNC,
    /* Patient lanes, for long work that nobody waits for: it yields to everyone else's where there
     * are too few processors. */
    IO_LANE_SAVE,
    IO_LANE_TRANSFER,
    IO_LANE_DISPOSE,
    IO_LANE_COUNT,
    IO_LANE_URGENT = IO_LANE_SYNC,  /* the first of them */
    IO_LANE_PATIENT = IO_LANE_SAVE, /* the first of them */
};

struct io {
    const struct io_operations *operations;
    int64_t worker_balance; /* bytes that finished work took from the allocator, less what it gave
                             * back (base/memory.h) */
    /* what the world keeps follows, in the struct that embeds this one */
};

/* The operating system's world. `workers`: how many threads may run work, 1 to 64, besides one for
 * each urgent or patient lane; they start when first needed. NULL and a message in `error` when the
 * system refuses. */
struct io *io_real_open(int workers, char *error, size_t error_size);

/* The calls, by name. */
static inline int64_t io_wall_us(struct io *io) {
    return io->operations->wall_us(io);
}
static inline int64_t io_monotonic_us(struct io *io) {
    return io->operations->monotonic_us(io);
}
/* The processor's own counter; 0 where there is none. Only for io_ticks and the real world. */
static inline uint64_t io_cycles(void) {
#if defined(__x86_64__)
    return __builtin_ia32_rdtsc();
#elif defined(__aarch64__)
    uint64_t value;
    __asm__ volatile("mrs %0, cntvct_el0" : "=r"(value));
    return value;
#else
    return 0;
#endif
}
/* Read twice a command: without a call where it can be. */
static inline uint64_t io_ticks(struct io *io) {
    if (io->operations->ticks_are_cycles) return io_cycles();
    return io->operations->ticks(io);
}
static inline void io_entropy(struct io *io, void *out, size_t size) {
    io->operations->entropy(io, out, size);
}
static inline int io_wait(struct io *io, struct io_event *events, int capacity,
                          int64_t timeout_us) {
    return io->operations->wait(io, events, capacity, timeout_us);
}
static inline int io_watch(struct io *io, io_socket socket, uint32_t interest, void *context) {
    return io->operations->watch(io, socket, interest, context);
}
static inline void io_unwatch(struct io *io, io_socket socket) {
    io->operations->unwatch(io, socket);
}
static inline void io_wake(struct io *io) {
    io->operations->wake(io);
}
static inline int64_t io_receive(struct io *io, io_socket socket, void *into, size_t size) {
    return io->operations->receive(io, socket, into, size);
}
static inline int64_t io_send(struct io *io, io_socket socket, const struct bytes *parts,
                              int count) {
    return io->operations->send(io, socket, parts, count);
}
static inline void io_close_socket(struct io *io, io_socket socket) {
    io->operations->close_socket(io, socket);
}
static inline void io_submit(struct io *io, uint32_t lane, io_work *work, io_work *done,
                             void *context) {
    io->operations->submit(io, lane, work, done, context);
}
static inline void io_close(struct io *io) {
    io->operations->close_io(io);
}

#endif
