/* session.h: one client's connection and what it has agreed with the server.
 *
 * A session owns its input (bytes received and not yet parsed), its parser, its output (bytes that
 * have not left), and its settings. Sessions are kept in the server's registry, by number. */
#ifndef REDSTART_ENGINE_SESSION_H
#define REDSTART_ENGINE_SESSION_H

#include "base/buffer.h"
#include "engine/output.h"
#include "io/io.h"
#include "resp/reply.h"
#include "resp/request.h"

struct command;
struct memory_room_wait;
struct server;
struct subscriptions;
struct user;
struct tracker;
struct transaction;
struct waiter;
struct watch;

enum session_flag {
    SESSION_CLOSE_AFTER_REPLY = 1 << 0, /* nothing more is read; closed when the output is out */
    SESSION_CLOSE_NOW = 1 << 1,         /* closed at the end of the batch */
    SESSION_UNIX = 1 << 2,              /* came by the unix socket */
    SESSION_NO_EVICT = 1 << 3,
    SESSION_NO_TOUCH = 1 << 4,
    SESSION_REPLY_OFF = 1 << 5,
    SESSION_REPLY_SKIP_NEXT = 1 << 6,
    SESSION_PRIMARY = 1 << 7,      /* its requests are the primary's stream (replication.h) */
    SESSION_REPLICA = 1 << 8,      /* gets this server's stream */
    SESSION_QUEUED = 1 << 9,       /* stands in the server's list of sessions with work */
    SESSION_WANTS_WRITE = 1 << 10, /* output waits for the peer */
    SESSION_IN_BATCH = 1 << 11,
    SESSION_INTERNAL = 1 << 12, /* has no socket: scripts, replay, tests */
    SESSION_FLUSHING = 1 << 13, /* in the turn's list of sessions with output */
    SESSION_MORE = 1 << 14,     /* its input may hold a whole request: parse before receiving */
    SESSION_AWAITS_HORIZON = 1 << 17, /* in the server's list of those whose replies wait */
    SESSION_IN_OUTBOX = 1 << 15,      /* its reply is being written into the outbox, not a chunk */
    SESSION_RESUMED = 1 << 16, /* stands in the list of sessions that have waited (waiting.h) */
    SESSION_SCRIPT = 1 << 22,  /* runs the commands of scripts */
    SESSION_PINNED =
        1 << 21, /* of a batch that is interrupted (turn.h): not closed before its end */
    SESSION_MULTI = 1 << 18,        /* between MULTI and EXEC (transaction.h) */
    SESSION_MULTI_BROKEN = 1 << 19, /* something could not be queued */
    SESSION_WATCH_BROKEN = 1 << 20, /* a key that it watched was changed (watching.h) */
    SESSION_RAW = 1 << 23,          /* what comes is no request: replication reads it by itself */
    SESSION_MONITOR = 1 << 24,      /* is told of every command (monitor.h) */
    SESSION_SUBSCRIBED = 1 << 28,   /* to something (pubsub.h) */
    SESSION_DEAF = 1 << 29,         /* not read from for the time being */
    SESSION_DELIVERING = 1 << 25,   /* in the turn's line of sessions that have got messages */
    SESSION_LATE = 1 << 30,         /* what it holds waits for nothing but its turn (turn.h) */
    SESSION_TOLD = 1 << 26, /* its output has messages, which depend on all that came before */
    /* Of any of these a request needs another way through dispatch.c. */
    SESSION_TRACKING = 1 << 27, /* keys that it reads (tracking.h) */
    SESSION_REPLICATION = SESSION_PRIMARY | SESSION_REPLICA | SESSION_RAW,
    SESSION_UNUSUAL = SESSION_REPLY_OFF | SESSION_REPLY_SKIP_NEXT | SESSION_MULTI |
                      SESSION_SUBSCRIBED | SESSION_TRACKING,
};

enum session_class {
    SESSION_CLASS_NORMAL,
    SESSION_CLASS_REPLICA,
    SESSION_CLASS_PUBSUB,
    SESSION_CLASS_COUNT,
};

struct session {
    struct server *server;
    io_socket socket;
    uint32_t flags;
    uint32_t database;
    uint8_t protocol;     /* 2 or 3 */
    uint8_t class;        /* enum session_class, for output limits */
    bool has_ended;       /* its client sends nothing more, and may still read */
    bool overflows;       /* it is to be closed: its output is over the limit, and thrown away */
    bool authenticated;   /* it gave a password, or none was asked for when it came */
    bool restricted;      /* there is something that it may not do (acl.h) */
    uint16_t listener;    /* which of the server's listeners it came by */
    uint32_t load_window; /* of the server's load in which it last sent something */

    struct buffer input;   /* received, not yet parsed away; empty for most */
    size_t input_position; /* where in input the next request begins */
    struct bytes unread;   /* the same, or in the inbox; only during a batch */
    struct request_parser parser;
    struct session_held *held; /* requests parsed and not run, oldest first (pause, blocking) */
    size_t held_bytes;         /* of them, words and all */

    struct reply reply;
    struct reply *muted; /* while a command runs whose reply is not wanted: the real one */
    struct output output;
    uint64_t depends_on; /* journal offset that the newest reply that shows data depends on */
    uint64_t wrote;      /* journal offset behind the session's last own change */
    /* While the horizon is behind: of the output's bytes the first may leave, the next may once the
     * horizon is at the mark, and what the rest depends on is seen then. So a session whose newest
     * message always is ahead of the horizon gets the older ones. */
    size_t clear_bytes, marked_bytes;
    uint64_t mark;
    size_t counted_bytes;        /* of it in the sum of client_limit.h */
    int64_t soft_limit_since_ms; /* output over its soft limit since; 0: is not */

    const char *protocol_error; /* found by the parser, to be answered behind what came before */

    struct user *user;                  /* NULL: the server itself, who may do everything */
    const struct command *last_command; /* top level, as last looked up */
    const struct command *last_executed;
    uint64_t id;
    int64_t created_ms, active_ms; /* monotonic; active: it sent, or took, something */
    uint64_t commands, bytes_in, bytes_out;
    char *name;         /* NULL: none */
    char *library_name; /* CLIENT SETINFO */
    char *library_version;
    struct session *queue_next;      /* of the sessions with work */
    struct session *flush_next;      /* of the sessions with output */
    struct session *close_next;      /* of the sessions to close */
    struct session *horizon_next;    /* of the sessions that wait for the horizon */
    char *reply_base;                /* where the reply being written began in its piece or chunk */
    struct session *outer;           /* whose reply this one's interrupts */
    struct session *resumed_next;    /* of those that have waited and hold more requests */
    struct waiter *waiter;           /* its first held request waits for keys; NULL: for no key */
    struct transaction *transaction; /* NULL: it has never been in one */
    struct watch *watches;           /* NULL: it watches nothing */
    uint32_t watch_count;
    struct memory_room_wait *room; /* for a large argument (memory_room.h); NULL: needs none */
    struct tracker *tracker;       /* NULL: it has never tracked */
    struct subscriptions *subscriptions;             /* NULL: it has none */
    struct session *delivery_next, *delivery_before; /* in the turn's line */
    struct session *broken_next; /* of those whose watches are broken together (watching.c) */
    uint32_t index;              /* in the registry's array */
    uint32_t watched;            /* interest that the poller knows */
};

/* Requests that were parsed and could not run yet (CLIENT PAUSE), or wait for keys and will run
 * again (waiting.h), and what came behind them. The words are copies. */
struct session_held {
    struct session_held *next;
    size_t bytes; /* of the request, and of this */
    struct request request;
    const struct command *command; /* when it waits for keys; then its arity and all that has been
                                    * looked at */
    bool muted;                    /* the same; nobody wants its reply */
    struct bytes words[];
};
/* Takes the request's blobs. The socket's input is not looked at as long as something is held; the
 * poller is told when more comes (session_watch). */
void session_hold(struct session *session, struct request *request);
void session_drop_held(struct session *session, struct session_held *held);
void session_drop_first_held(struct session *session);
/* It holds requests that wait for a key or for the end of a pause, not just for their turn. */
bool session_is_blocked(const struct session *session);
/* Reply with it, and close behind that. Nothing may be held. */
void session_answer_protocol_error(struct session *session);

/* Where the session's replies go: begin before the first of a run of requests, end after the last.
 * In between `reply` may be written, and another session's begun and ended. */
void session_reply_begin(struct session *session);
void session_reply_end(struct session *session);
/* The reply of the present command is wanted after all. */
void session_unmute(struct session *session);
/* Send a message that is no reply. It leaves once all that came before it may be known. To a
 * session that is writing a reply it goes behind the present command (session_send_put_off). */
void session_send(struct session *session, struct bytes encoded);
/* Send what was put off: behind a command, when no reply is half written. */
void session_send_put_off(struct server *server);
/* The same message to many: a stretch of shared memory. The session must not be writing. */
void session_send_shared(struct session *session, struct output_shared *shared, size_t from,
                         size_t size);
/* The batch will try to send what waits. */
void session_flush_later(struct session *session);
/* Send what may leave. False when the session is to be closed. */
bool session_flush(struct session *session);
/* False when it is over the output limits of its class, and is to be closed. */
bool session_check_output(struct session *session);
/* Bytes that wait, in chunks and outbox. */
size_t session_output_size(const struct session *session);

/* Closed at the end of the turn; nothing more of it is executed or sent. */
void session_close_later(struct session *session);
/* The poller's interest follows from the session's state: call after changing it. */
void session_watch(struct session *session);

/* Put a text in the place of one of the names; NULL removes it. */
void session_set_text(char **place, const struct bytes *text);
/* As CLIENT LIST and CLIENT INFO describe it, without newline. */
void session_describe(const struct session *session, struct buffer *out);
/* The same without what the client chose itself, where hide-user-data-from-log says so. */
void session_describe_in_log(const struct session *session, struct buffer *out);
/* "127.0.0.1:1234" or "/path:0". */
void session_address(const struct session *session, char out[IO_ADDRESS_TEXT_MAX]);
void session_local_address(const struct session *session, char out[IO_ADDRESS_TEXT_MAX]);
/* Bytes of buffers and struct. */
size_t session_memory(const struct session *session);
/* False while a password is asked for that it has not given. */
bool session_is_authenticated(const struct session *session);
/* Settings back to those of a new connection (RESET). */
void session_reset(struct session *session);

#endif
