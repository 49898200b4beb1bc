/* server.h: one server: everything that lives as long as it does, in one struct.
 *
 * Two servers fit in one process; there is no other state. */
#ifndef REDSTART_ENGINE_SERVER_H
#define REDSTART_ENGINE_SERVER_H

#include "base/log.h"
#include "base/memory.h"
#include "engine/appending.h"
#include "engine/client_limit.h"
#include "engine/config.h"
#include "engine/defragmenting.h"
#include "engine/insight.h"
#include "engine/key_sizes.h"
#include "engine/load.h"
#include "engine/loading.h"
#include "engine/memory_limit.h"
#include "engine/memory_room.h"
#include "engine/notify.h"
#include "engine/pubsub.h"
#include "engine/replication.h"
#include "engine/saving.h"
#include "engine/scripting.h"
#include "engine/session.h"
#include "engine/statistics.h"
#include "engine/tracking.h"
#include "engine/turn.h"
#include "engine/waiting.h"
#include "engine/watching.h"
#include "io/io.h"
#include "journal/journal.h"
#include "keyspace/keyspace.h"

struct acl;
struct config;
struct command_set;

enum {
    SERVER_LISTENERS_MAX = 32,
    SERVER_RUN_ID_SIZE = 40, /* hexadecimal digits */
};

struct server_listener {
    struct server *server;
    io_socket socket;
    bool is_unix;
    uint16_t index;
};

/* A pause without end, on the monotonic clock; it can still be counted in microseconds. */
#define SERVER_PAUSE_UNTIL_MAX_MS (INT64_MAX / 1000)

enum server_pause { SERVER_PAUSE_NONE, SERVER_PAUSE_WRITES, SERVER_PAUSE_ALL };
/* Each ends only its own: writes that wait for a shutdown or a failover are not let through by a
 * client. */
enum server_pauser { PAUSER_CLIENT, PAUSER_SHUTDOWN, PAUSER_FAILOVER, SERVER_PAUSERS };

/* Who wants to be told of each key that is changed: tested once for all of them. */
enum server_interest {
    SERVER_INTEREST_WAITING = 1 << 0,  /* sessions that wait for keys (waiting.h) */
    SERVER_INTEREST_WATCHING = 1 << 1, /* sessions that watch keys (watching.h) */
    SERVER_INTEREST_TRACKING = 1 << 2, /* sessions that keep copies (tracking.h) */
};

/* A command that has another name here. */
struct server_rename {
    const struct command *command;
    struct bytes name; /* of the configuration; size 0: none at all */
};

enum { SERVER_RANDOM_AHEAD = 32 };

/* The generator, seeded from the world's entropy, and the next words that it gives: who draws
 * places in memory can have them fetched before they are drawn. */
struct server_random {
    uint64_t state[4];
    uint64_t ahead[SERVER_RANDOM_AHEAD];
    unsigned next;
};

struct server {
    struct io *io;
    struct config *config;
    struct log *log;
    const struct command_set *commands;
    enum config_supervised supervisor; /* the one that is there; never SUPERVISED_AUTO */

    struct server_rename *renames; /* of the directive rename-command */
    uint32_t rename_count;

    struct keyspace keyspace;
    struct journal journal;
    struct turn turn;
    struct waiting waiting;
    struct watching watching;
    struct pubsub pubsub;
    struct tracking tracking;
    struct session_message *put_off_first, *put_off_last; /* (session.c) */
    uint32_t interests;                                   /* of enum server_interest */
    struct scripting scripting;
    struct replication replication;
    struct statistics statistics;
    struct acl *acl; /* users (acl.h) */
    struct key_sizes key_sizes;
    struct memory_limit limit;
    struct memory_room room;
    struct client_limit client_limit;
    struct defragmenting defragmenting;
    struct memory_meter meter; /* of the engine's thread */
    struct insight insight;
    struct server_random random;

    struct server_listener listeners[SERVER_LISTENERS_MAX];
    uint32_t listener_count;
    uint32_t accept_from; /* a bit for each listener where clients wait */

    struct session **sessions; /* the registry, dense */
    uint32_t session_count, session_capacity;
    uint64_t session_next_id;
    struct session *close_first; /* sessions to close at the end of the turn */

    /* The time of this turn. */
    int64_t now_ms; /* since 1970 */
    int64_t monotonic_ms;
    int64_t monotonic_us;
    int64_t polled_us; /* when the poller was last asked */
    struct load load;
    int64_t started_ms, started_monotonic_ms;

    enum server_pause pause; /* the strictest of them */
    int64_t pause_until_ms;  /* monotonic: the first of them ends */
    struct {
        enum server_pause what;
        int64_t until_ms;
    } pauses[SERVER_PAUSERS];

    bool active_expire; /* DEBUG SET-ACTIVE-EXPIRE */
    uint64_t changes_since_save;
    int64_t last_save_s;
    struct saving saving;
    struct appending appending;
    struct loading *loading;              /* NULL: the dataset is complete */
    struct loading *aside;                /* another dataset, which takes its place; NULL: none */
    uint64_t loaded_keys, loaded_expired; /* by the last loading */
    int64_t housekeeping_due_us;          /* monotonic */
    uint32_t session_checked;             /* index of the session that housekeeping looks at next */
    bool resume_held;                     /* what they waited for is over */
    bool drain_unfinished;                /* nodes of a closed view wait to be freed */
    uint64_t disposals, disposed;         /* given to workers to free: under way, and in all */
    size_t disposing_bytes;               /* of those under way, nearly */
    uint64_t housekeeping_count;
    bool is_prompt;          /* its thread has asked to run before others (io.h) */
    uint32_t sweep_database; /* which the active expiry looks at next */
    bool sweep_unfinished;   /* something due was left for the next turn */
    bool sweep_again;        /* a hash was left with fields that are due: once more round */

    bool shutdown_wanted;
    int64_t shutdown_until_us; /* it waits for replicas until then, monotonic; 0: it does not */
    uint32_t shutdown_flags;   /* SHUTDOWN_SAVE ..., 0: save if there are save points */
    bool stopped;
    int exit_code;
    size_t startup_memory; /* server_used_memory once it was open */
    char run_id[SERVER_RUN_ID_SIZE + 1];

    struct command_statistics *command_statistics; /* by command number */

    /* Told of keyspace events (enum notify_class); NULL: nobody listens. */
    void (*notify)(struct server *server, uint32_t database, struct bytes key, uint32_t class,
                   const char *event);
};

struct server_options {
    struct io *io;         /* borrowed, outlives the server */
    struct config *config; /* borrowed */
    struct log *log;       /* borrowed */
    const struct command_set *commands;
    enum config_supervised supervisor; /* the one that is there */
};

/* NULL and a text in `error` when it cannot be. Listens on nothing yet. */
struct server *server_open(const struct server_options *options, char *error, size_t error_size);
/* Listen on everything that the configuration names. */
bool server_listen(struct server *server, char *error, size_t error_size);
/* The TCP part again, after port or bind changed. False and a text when an address cannot be had;
 * nothing is listened on then but what was reached. */
bool server_listen_again(struct server *server, char *error, size_t error_size);
void server_close_listeners(struct server *server);
void server_accept(struct server *server, uint16_t listener);
/* A random name of so many hexadecimal digits. */
void server_make_id(struct io *io, char out[SERVER_RUN_ID_SIZE + 1]);
/* Turns until shutdown; the exit code. For the real world. */
int server_run(struct server *server);
/* One turn: wait at most as long as nothing is due (never in a simulated world), serve what is
 * ready. */
void server_turn(struct server *server);
void server_close(struct server *server);
/* Serve those who wait for what was changed outside of the batches, and commit. */
void server_serve_waiting(struct server *server);
/* Serve whoever has something, while a command is running (turn.h, interrupts). */
void server_serve_others(struct server *server);

/* Ask for a shutdown, with SHUTDOWN_SAVE and such (engine/config.h). */
void server_stop(struct server *server, int exit_code, uint32_t flags);
/* It shall not end after all. False: nobody wanted it to. */
bool server_go_on(struct server *server);

uint64_t server_random(struct server *server);
/* What server_random will give after `index` others, below SERVER_RANDOM_AHEAD. */
uint64_t server_random_ahead(const struct server *server, unsigned index);
/* Remove an entry that is past its time: counted, journaled, told. spot->entry is NULL afterwards.
 */
void server_expire(struct server *server, struct database *db, struct spot *spot);
/* Remove an entry that nobody asked to be removed: a DEL for the journal, and everyone is told. */
void server_remove_key(struct server *server, struct database *db, struct spot *spot,
                       enum notify_class class, const char *event);
/* The key was changed, or is gone: whoever has said so in `interests` is told. Call it when there
 * are any, once the change is done. */
void server_key_changed(struct server *server, uint32_t database, struct bytes name);
/* The same for all keys of a database that was emptied, or of all (UINT32_MAX). */
void server_database_changed(struct server *server, uint32_t database);
/* The same for those of two databases that have changed places. */
void server_databases_exchanged(struct server *server, uint32_t a, uint32_t b);
/* Bytes in use, of the whole process where the allocator counts (report_memory.c). Cheap. */
size_t server_used_memory(const struct server *server);
/* At least that; cheaper. SIZE_MAX where the allocator does not count. */
static inline size_t server_used_memory_at_most(const struct server *server) {
    if (unlikely(!server->meter.given)) return SIZE_MAX;
    int64_t balance = memory_meter_balance(&server->meter) + server->io->worker_balance;
    return balance > 0 ? (size_t)balance : 0;
}
/* Look at it for the peak: now and then, and before anybody is told. */
void server_note_memory(struct server *server);
/* Close what was marked during the turn. */
void server_close_marked(struct server *server);
/* The top-level command of this name, or NULL; as renamed by the configuration. */
const struct command *server_find_command(const struct server *server, struct bytes name);
/* The session of this number, or NULL. */
struct session *server_find_session(const struct server *server, uint64_t id);
/* Stop serving (all or those that write) until a moment of the monotonic clock; end it. */
void server_pause(struct server *server, enum server_pauser pauser, enum server_pause what,
                  int64_t until_ms);
void server_unpause(struct server *server, enum server_pauser pauser);

/* A session for a socket that was accepted, or without one (IO_NONE). */
struct session *session_open(struct server *server, io_socket socket, uint16_t listener);
void session_close(struct session *session);

#endif
