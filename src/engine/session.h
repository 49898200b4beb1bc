/* session.h: one client's connection and what it has agreed with the server.
 *
 * A session owns its input (bytes received and not yet parsed), its parser, its output (bytes that have
 * not left), and its settings. Sessions are kept in the server's registry, by number. */
#ifndef REDSTART_ENGINE_SESSION_H
#define REDSTART_ENGINE_SESSION_H

#include "base/buffer.h"
#include "engine/output.h"
#include "io/io.h"
#include "resp/reply.h"
#include "resp/request.h"

struct command;
struct server;
struct user;

enum session_flag {
    SESSION_CLOSE_AFTER_REPLY = 1 << 0, /* nothing more is read; closed when the output is out */
    SESSION_CLOSE_NOW = 1 << 1,         /* closed at the end of the batch */
    SESSION_UNIX = 1 << 2,              /* came by the unix socket */
    SESSION_NO_EVICT = 1 << 3,
    SESSION_NO_TOUCH = 1 << 4,
    SESSION_REPLY_OFF = 1 << 5,
    SESSION_REPLY_SKIP_NEXT = 1 << 6,
    SESSION_REPLY_SKIP = 1 << 7, /* the present command */
    SESSION_PAUSED = 1 << 8,     /* its next request waits for the end of CLIENT PAUSE */
    SESSION_QUEUED = 1 << 9,     /* stands in the server's list of sessions with work */
    SESSION_WANTS_WRITE = 1 << 10, /* the poller watches for writability */
    SESSION_IN_BATCH = 1 << 11,
    SESSION_INTERNAL = 1 << 12, /* has no socket: scripts, replay, tests */
    SESSION_FLUSHING = 1 << 13, /* in the batch's list of sessions with output */
};

enum session_class { SESSION_CLASS_NORMAL, SESSION_CLASS_REPLICA, SESSION_CLASS_PUBSUB };

struct session {
    struct server *server;
    io_socket socket;
    uint32_t flags;
    uint32_t database;
    uint8_t protocol; /* 2 or 3 */
    uint8_t class;    /* enum session_class, for output limits */
    bool authenticated;
    uint16_t listener; /* which of the server's listeners it came by */

    struct buffer input;     /* received, not yet parsed away; empty for most */
    size_t input_position;   /* where in input the next request begins */
    size_t input_peak;
    struct request_parser parser;
    struct session_held *held; /* requests parsed and not run, oldest first (pause, blocking) */

    struct reply reply;
    struct output output;
    uint64_t depends_on;      /* journal offset that the newest reply depends on */
    int64_t soft_limit_since_ms; /* output over its soft limit since; 0: is not */

    const struct command *last_command;
    uint64_t id;
    int64_t created_ms, active_ms; /* monotonic */
    uint64_t commands, bytes_in, bytes_out;
    char *name;            /* NULL: none */
    char *library_name;    /* CLIENT SETINFO */
    char *library_version;
    struct session *queue_next; /* of the sessions with work */
    uint32_t index;             /* in the registry's array */
};

/* Nothing of the session is looked at again after its batch. */
static inline void session_close_later(struct session *session) {
    session->flags |= SESSION_CLOSE_NOW;
}

/* Put a text in the place of one of the names; NULL removes it. */
void session_set_text(char **place, const struct bytes *text);
/* As CLIENT LIST and CLIENT INFO describe it, without newline. */
void session_describe(const struct session *session, struct buffer *out);
/* "127.0.0.1:1234" or "/path:0". */
void session_address(const struct session *session, char out[IO_ADDRESS_TEXT_MAX]);
void session_local_address(const struct session *session, char out[IO_ADDRESS_TEXT_MAX]);
/* Bytes of buffers and struct. */
size_t session_memory(const struct session *session);
/* Settings back to those of a new connection (RESET). */
void session_reset(struct session *session);

#endif
