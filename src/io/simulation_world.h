/* simulation_world.h: what the parts of the simulated world share. Private to simulation*.c.
 *
 *   simulation.c           seed, clock, events, steps, trace
 *   simulation_host.c      a host: its operations, io_wait, turns, process, crashes
 *   simulation_network.c   connections: what is sent, when it arrives, how it breaks
 *   simulation_sockets.c   the socket calls of struct io
 *   simulation_workers.c   submitted work
 *   simulation_disk.c      what a disk holds and what a power failure leaves of it
 *   simulation_files.c     the file calls of struct io
 *
 * Nothing may depend on the value of a pointer: everything is found by number or by order. */
#ifndef REDSTART_IO_SIMULATION_WORLD_H
#define REDSTART_IO_SIMULATION_WORLD_H

#include "base/buffer.h"
#include "io/simulation.h"

enum {
    SIMULATED_NAME_MAX = 32,
    SIMULATED_PATH_MAX = 1024,
    SIMULATED_HOSTS_MAX = 64,
    SIMULATED_SOCKETS_MAX = 1 << 20, /* of one host */
};
#define SIMULATED_NEVER INT64_MAX

enum simulated_event_kind {
    SIMULATED_TURN,      /* host: its turn, number is the plan's version */
    SIMULATED_SEGMENT,   /* socket: the first segment on its way arrives */
    SIMULATED_CONNECT,   /* socket: its request reaches the other host */
    SIMULATED_TIMEOUT,   /* socket: patience with a silent peer ends */
    SIMULATED_JOB_BEGIN, /* host: a worker takes job `number` */
    SIMULATED_JOB_END,   /* host: it is ready */
};

struct simulated_event {
    int64_t at_us;
    uint64_t tie, sequence;
    enum simulated_event_kind kind;
    uint32_t host, slot; /* slot: the socket's place in simulation.sockets */
    uint64_t number;     /* the socket's id, the job's id, or a version */
};

enum simulated_segment_kind {
    SIMULATED_DATA,
    SIMULATED_OPENED,  /* the connection stands */
    SIMULATED_REFUSED, /* nobody listens */
    SIMULATED_END,     /* the peer closed */
    SIMULATED_RESET,
};

struct simulated_segment {
    struct simulated_segment *next;
    enum simulated_segment_kind kind;
    size_t size;
    char data[];
};

enum simulated_socket_state {
    SIMULATED_LISTENING,
    SIMULATED_CONNECTING,
    SIMULATED_CONNECTED,
    SIMULATED_BROKEN, /* `error` says why until it is told */
};

struct simulated_host;

struct simulated_socket {
    uint64_t id;      /* never used twice */
    uint32_t slot;    /* in simulation.sockets */
    io_socket number; /* in host.sockets; IO_NONE while it waits to be accepted */
    struct simulated_host *host;
    enum simulated_socket_state state;
    int error; /* to be told by receive, send or connect_result; 0 or negative */
    bool is_unix, is_watched;
    uint32_t interest;
    void *context;
    char local[IO_ADDRESS_TEXT_MAX], remote[IO_ADDRESS_TEXT_MAX];
    int keepalive_s;

    /* a connection */
    struct simulated_socket *peer;     /* NULL when it is closed, or not there yet */
    struct simulated_host *other_host; /* where the peer is or was */
    struct buffer arrived;             /* readable from `consumed` on */
    size_t consumed;
    struct simulated_segment *first, *last; /* on their way to here, in order */
    uint64_t bytes_coming;                  /* in those */
    int64_t arrival_us;                     /* of the last of them */
    bool ended;                             /* the peer's end arrived */
    bool silent;                            /* nothing passes, and nobody knows */
    bool waits_for_boot;                    /* silent because the other host is off */
    uint64_t bytes_lost;                    /* sent into silence */
    int64_t connect_until_us;               /* a request is repeated until then */

    /* a listener, and what waits there */
    char address[IO_ADDRESS_TEXT_MAX]; /* "*", "::*", an address or a path */
    uint16_t port;                     /* the one wanted, on a connecting socket */
    int backlog, pending_count;
    struct simulated_socket *first_pending, *last_pending, *next_pending;
};

struct simulated_job {
    struct simulated_job *next;
    uint64_t id;
    uint32_t lane;
    bool begun, ended;
    io_work *work, *done;
    void *context;
};

/* A change of a file's content that is not synced yet. */
struct simulated_write {
    struct simulated_write *next;
    bool is_truncation; /* to `offset` */
    uint64_t offset;
    size_t size;
    char data[];
};

struct simulated_inode {
    uint32_t holders; /* names, open files, changes of names */
    enum io_file_kind kind;
    uint32_t mode;
    int64_t modified_ms;
    struct buffer content; /* as programs see it */
    struct buffer synced;  /* as it surely is after a power failure, without: */
    struct simulated_write *first, *last;
};

struct simulated_name {
    char *path; /* absolute, without . .. and double slashes */
    struct simulated_inode *inode;
};

struct simulated_names {
    struct simulated_name *all; /* sorted by path */
    size_t count, capacity;
};

/* A change of names that is not synced yet: `path` now stands for `inode`, or for nothing; and
 * `from`, if not NULL, for nothing any more. */
struct simulated_name_change {
    struct simulated_name_change *next;
    char *path, *from;
    struct simulated_inode *inode;
};

struct simulated_disk {
    struct simulated_names names;  /* as programs see them */
    struct simulated_names synced; /* as they surely are, without: */
    struct simulated_name_change *first, *last;
    struct simulation_disk_faults faults;
};

struct simulated_file {
    struct simulated_inode *inode; /* NULL: free */
    uint32_t flags;
    uint64_t offset;
};

struct simulated_host {
    struct io io;
    struct io_operations operations;
    struct simulation *simulation;
    uint32_t index;
    char name[SIMULATED_NAME_MAX], address[SIMULATED_NAME_MAX], address_v6[SIMULATED_NAME_MAX];
    uint64_t entropy; /* the state of its own stream */
    int64_t clock_error_us;
    int64_t busy_until_us; /* the host's own clock is ahead until then */
    bool is_off;
    int signal_number;

    simulation_turn *turn;
    void *turn_context;
    int64_t turn_at_us;    /* planned, or SIMULATED_NEVER */
    uint64_t turn_version; /* plans before it are void */
    int64_t deadline_us;   /* the last wait would have ended then */
    bool wait_found;       /* the last wait would not have blocked */
    bool is_awake;         /* io_wake came */
    int64_t waited_at_us;  /* to notice a loop that never lets time pass */
    uint64_t waits_there;

    struct simulated_socket **sockets; /* by number */
    int socket_capacity, socket_count, socket_limit;
    uint16_t port_next; /* for sockets that did not ask for one */

    struct simulated_job *first_job, *last_job; /* in the order of submission */
    uint64_t job_id_next;
    bool in_work;    /* a worker's code runs */
    int64_t work_us; /* how long it took so far */

    struct simulated_disk disk;
    char directory[SIMULATED_PATH_MAX];
    struct simulated_file *files;
    int file_capacity;
};

struct simulation {
    uint64_t random;
    int64_t now_us;
    uint64_t trace;
    struct simulated_event *events; /* a binary heap */
    size_t event_count, event_capacity;
    uint64_t event_sequence;
    struct simulation_network_faults network;
    struct simulated_host *hosts[SIMULATED_HOSTS_MAX];
    uint32_t host_count;
    bool partitioned[SIMULATED_HOSTS_MAX][SIMULATED_HOSTS_MAX];
    struct simulated_socket **sockets; /* of all hosts, by slot; NULL: free */
    uint32_t socket_capacity;
    uint64_t socket_id_next;
};

static inline struct simulated_host *host_of(struct io *io) {
    return (struct simulated_host *)(void *)io;
}

/* simulation.c */
bool simulated_chance(struct simulation *simulation, uint32_t per_million);
/* least to most, both included */
int64_t simulated_between(struct simulation *simulation, int64_t least, int64_t most);
void simulated_plan(struct simulation *simulation, struct simulated_event event);
void simulated_trace(struct simulation *simulation, uint64_t a, uint64_t b, uint64_t c);
void simulated_trace_bytes(struct simulation *simulation, struct bytes bytes);

/* simulation_host.c */
struct simulated_host *simulated_host_open(struct simulation *simulation, const char *name);
void simulated_host_close(struct simulated_host *host);
/* The host's own monotonic clock. */
int64_t simulated_now_us(const struct simulated_host *host);
/* The host, or the worker that runs, is busy for so long. */
void simulated_spend(struct simulated_host *host, int64_t us);
/* A wait that blocks now would end. */
void simulated_rouse(struct simulated_host *host);
void simulated_take_turn(struct simulated_host *host, uint64_t version);

/* simulation_network.c */
struct simulated_socket *simulated_socket_open(struct simulated_host *host);
/* Frees it without a word to the peer. */
void simulated_socket_free(struct simulated_socket *socket);
/* Frees it and whatever waits there, and tells the peers as TCP does. */
void simulated_socket_close(struct simulated_socket *socket);
/* Gives it the host's lowest free number, or returns -EMFILE. */
io_socket simulated_socket_number(struct simulated_socket *socket);
/* All sockets of the host end: told to the peers, or left in silence. */
void simulated_network_off(struct simulated_host *host, bool silently);
/* Who waits in silence for this host learns the truth. */
void simulated_network_on(struct simulated_host *host);
uint32_t simulated_ready(const struct simulated_socket *socket);
/* Its host's wait would end if it watches this. */
void simulated_rouse_socket(struct simulated_socket *socket);
/* Sends a segment to `to`, from the host it talks with. */
void simulated_transmit(struct simulated_socket *to, enum simulated_segment_kind kind,
                        struct bytes data);
size_t simulated_send_room(const struct simulated_socket *socket);
void simulated_break(struct simulated_socket *socket, int error);
void simulated_cut(struct simulated_socket *socket, bool silently);
/* So many bytes that it sent will never arrive, and it does not know. */
void simulated_lose(struct simulated_socket *socket, uint64_t bytes);
void simulated_plan_timeout(struct simulated_socket *socket, int64_t us);
void simulated_plan_connect(struct simulated_socket *socket, int64_t us);
void simulated_segment_arrives(struct simulated_socket *socket);
void simulated_connect_arrives(struct simulated_socket *socket);
void simulated_timeout_comes(struct simulated_socket *socket);

/* simulation_sockets.c: see struct io_operations */
void simulated_socket_operations(struct io_operations *operations);

/* simulation_workers.c */
void simulated_submit(struct io *io, uint32_t lane, io_work *work, io_work *done, void *context);
void simulated_finish_work(struct io *io);
void simulated_finish_work_until(struct io *io, io_work_over *is_over, const void *context);
void simulated_job_begins(struct simulated_host *host, uint64_t id);
void simulated_job_ends(struct simulated_host *host, uint64_t id);
/* Runs the `done`s that wait, and says whether there were any. */
bool simulated_run_done(struct simulated_host *host);

/* simulation_disk.c */
void simulated_disk_open(struct simulated_disk *disk);
void simulated_disk_close(struct simulated_disk *disk);
void simulated_disk_crash(struct simulation *simulation, struct simulated_disk *disk);
struct simulated_inode *simulated_inode_make(enum io_file_kind kind, uint32_t mode);
void simulated_inode_let_go(struct simulated_inode *inode);
/* Changes the content; the change is not synced. */
void simulated_inode_write(struct simulated_inode *inode, uint64_t offset, struct bytes data);
void simulated_inode_truncate(struct simulated_inode *inode, uint64_t size);
/* Makes all changes sure; with `lose`, each with a chance of one half, and forgets the others. */
void simulated_inode_sync(struct simulation *simulation, struct simulated_inode *inode, bool lose);
struct simulated_inode *simulated_names_find(const struct simulated_names *names, const char *path);
/* Where `path` is or would be. */
size_t simulated_names_place(const struct simulated_names *names, const char *path);
/* `path` stands for `inode` (NULL: nothing) from now on, `from` (or NULL) for nothing. */
void simulated_disk_change_name(struct simulated_disk *disk, const char *path, const char *from,
                                struct simulated_inode *inode);
void simulated_disk_sync_names(struct simulated_disk *disk, const char *directory);
/* The length of the path of the directory that holds `path`; 1 for what lies in "/". */
size_t simulated_parent_length(const char *path);

/* simulation_files.c */
void simulated_file_operations(struct io_operations *operations);
/* Closes all open files. */
void simulated_files_off(struct simulated_host *host);

#endif
