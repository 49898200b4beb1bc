/* io_real.h: what the parts of the real world share. Private to io_real*.c.
 *
 *   io_real.c          opening, closing, clock, entropy, the table of operations
 *   io_real_poller.c   epoll and its wake-up
 *   io_real_network.c  sockets
 *   io_real_files.c    files and directories
 *   io_real_workers.c  threads that run submitted work
 *   io_real_system.c   process status, limits, signals
 *
 * A socket is its file descriptor, and so is a file. TLS, when it comes, replaces receive, send and
 * close_socket for the sockets that carry it: nothing else here looks into what is sent. */
#ifndef REDSTART_IO_IO_REAL_H
#define REDSTART_IO_IO_REAL_H

#include "io/io.h"
#include <pthread.h>
#include <stdatomic.h>
#include <sys/epoll.h>

enum { REAL_WORKERS_MAX = 64 };

/* What the poller keeps of one file descriptor, found by its number. */
struct real_watch {
    void *context;
    uint32_t interest;
    bool watched;
};

struct real_poller {
    int epoll_fd;
    int wake_fd;             /* eventfd, edge triggered: never read */
    atomic_bool wake_is_set; /* a wake was written that no wait has seen yet */
    bool has_pwait2;         /* the kernel takes timeouts finer than a millisecond */
    struct real_watch *watches;
    int watches_capacity;
    struct epoll_event *events; /* what the kernel fills in one wait */
    int events_capacity;
};

struct real_job {
    struct real_job *next;
    io_work *work, *done;
    void *context;
    int64_t memory; /* bytes it took from the allocator, less what it gave back */
    uint32_t lane;
};

struct real_queue {
    struct real_job *first, *last;
};

/* Threads for some of the lanes. */
struct real_crew {
    struct io *io;
    const char *name; /* of its threads, with their numbers behind */
    uint32_t lane_begin, lane_end;
    uint32_t lane_next;       /* where the next look for work begins, for fairness */
    pthread_cond_t submitted; /* one of them may have something to do */
    pthread_t threads[REAL_WORKERS_MAX];
    int queued; /* jobs in its lanes, not yet taken by a thread */
    int started, idle, limit;
};

enum { REAL_CREW_PROMPT, REAL_CREW_URGENT, REAL_CREW_PATIENT, REAL_CREW_COUNT };

struct real_workers {
    pthread_mutex_t mutex;    /* guards all below but `outstanding` */
    pthread_cond_t completed; /* finish_work may have something to do */
    bool is_awaited;          /* by finish_work */
    struct real_queue lanes[IO_LANE_COUNT];
    bool lane_is_running[IO_LANE_COUNT]; /* never for IO_LANE_FREE */
    struct real_queue finished;          /* their `done` has not run */
    struct real_crew crews[REAL_CREW_COUNT];
    bool stopping;
    atomic_bool has_finished; /* `finished` is not empty; readable without the mutex */
    uint64_t outstanding;     /* submitted, `done` not run; the owner's alone */
};

struct real {
    struct io io;
    struct io_operations operations; /* this world's own copy, for ticks_per_us */
    struct real_poller poller;
    struct real_workers workers;
    int directory_fd;  /* paths are relative to it; the number never changes */
    atomic_int signal; /* the last SIGTERM or SIGINT, 0 when taken */
};

static inline struct real *real_of(struct io *io) {
    return (struct real *)(void *)io;
}

int real_poller_open(struct real_poller *poller);
void real_poller_close(struct real_poller *poller);
int real_wait(struct io *io, struct io_event *events, int capacity, int64_t timeout_us);
int real_watch(struct io *io, io_socket socket, uint32_t interest, void *context);
void real_unwatch(struct io *io, io_socket socket);
/* The descriptor is about to be closed, which ends the kernel's watch of it. */
void real_poller_forget(struct real_poller *poller, int fd);
void real_wake(struct io *io);

io_socket real_listen_tcp(struct io *io, const struct io_listen_tcp *where, char *error,
                          size_t error_size);
io_socket real_listen_unix(struct io *io, const struct io_listen_unix *where, char *error,
                           size_t error_size);
io_socket real_accept(struct io *io, io_socket listener);
io_socket real_connect_tcp(struct io *io, const char *address, uint16_t port,
                           const char *source_address);
io_socket real_connect_unix(struct io *io, const char *path);
int real_connect_result(struct io *io, io_socket socket);
int64_t real_receive(struct io *io, io_socket socket, void *into, size_t size);
int64_t real_send(struct io *io, io_socket socket, const struct bytes *parts, int count);
void real_close_socket(struct io *io, io_socket socket);
int real_set_keepalive(struct io *io, io_socket socket, int interval_s);
int real_set_no_delay(struct io *io, io_socket socket, bool on);
void real_peer_name(struct io *io, io_socket socket, char out[IO_ADDRESS_TEXT_MAX]);
void real_local_name(struct io *io, io_socket socket, char out[IO_ADDRESS_TEXT_MAX]);
bool real_peer_is_local(struct io *io, io_socket socket);
int real_socket_number(struct io *io, io_socket socket);

int real_change_directory(struct io *io, const char *path);
int real_directory(struct io *io, char *out, size_t size);
io_file real_open(struct io *io, const char *path, uint32_t flags, uint32_t mode);
void real_close(struct io *io, io_file file);
int64_t real_read(struct io *io, io_file file, void *into, size_t size);
int64_t real_read_at(struct io *io, io_file file, void *into, size_t size, uint64_t offset);
int64_t real_write(struct io *io, io_file file, const void *from, size_t size);
int64_t real_write_at(struct io *io, io_file file, const void *from, size_t size, uint64_t offset);
int real_sync(struct io *io, io_file file, bool data_only);
int real_sync_directory(struct io *io, const char *path);
int real_truncate(struct io *io, io_file file, uint64_t size);
int real_status(struct io *io, const char *path, struct io_file_status *out);
int real_rename(struct io *io, const char *from, const char *to);
int real_remove(struct io *io, const char *path);
int real_make_directory(struct io *io, const char *path, uint32_t mode);
int real_list(struct io *io, const char *path, void (*each)(void *, const char *name),
              void *context);

/* `limit`: threads for the lanes that are not patient; those have one each. */
void real_workers_open(struct io *io, int limit);
/* Finishes what was submitted, then ends the threads. */
void real_workers_close(struct io *io);
void real_submit(struct io *io, uint32_t lane, io_work *work, io_work *done, void *context);
void real_finish_work(struct io *io);
void real_finish_work_until(struct io *io, io_work_over *is_over, const void *context);
/* Runs the `done`s that wait, and says whether there were any. */
bool real_run_done(struct io *io);
static inline bool real_has_done(struct real *real) {
    return atomic_load_explicit(&real->workers.has_finished, memory_order_acquire);
}

void real_set_prompt(struct io *io, bool is_prompt);
/* The calling thread, of the crew REAL_CREW_... */
void real_schedule_worker(int crew);

void real_process_status(struct io *io, struct io_process_status *out);
void real_catch_signals(struct io *io);
int real_take_signal(struct io *io);
int64_t real_raise_file_limit(struct io *io, int64_t wanted);
/* Signals do not find this world any more. */
void real_forget_signals(struct real *real);

#endif
