/* turn.h: gather, parse, prefetch, execute, commit, reply; each for a batch of sessions together.
 *
 * A turn is a wait and as many batches as there is work; a batch takes at most TURN_BATCH_SESSIONS
 * sessions and TURN_BATCH_REQUESTS requests, of one session at most TURN_SHARE; a session with more
 * work stands in line again behind the others.
 *
 * What a batch has not begun when its time is over is late: the sessions hold it and stand in line
 * with it. When its turn comes a late session is a batch of its own. */
#ifndef REDSTART_ENGINE_TURN_H
#define REDSTART_ENGINE_TURN_H

#include "resp/request.h"
#include "struct/epoch.h"

struct server;
struct session;
struct command;
struct database;
struct entry;

enum {
    TURN_EVENTS = 512,
    TURN_BATCH_SESSIONS = 32,
    TURN_HASHES = 16 * 1024, /* of a batch; requests beyond go without prefetch */
    /* Enough to keep memory at work, and what they need still fits into the processor's first
     * cache. Turns are over in time, too: they end between batches. */
    TURN_BATCH_REQUESTS = 128,
    TURN_DELIVERY_US = 300, /* for sending messages, in a turn */
    TURN_US = 300,          /* after that no further batch is begun in a turn */
    TURN_EXECUTE_US = 500,  /* after that no further request of a batch is begun */
    TURN_POLL_US = 1000,    /* the poller is asked at least so often, however long the line is */
    TURN_SHARE = TURN_BATCH_REQUESTS,                     /* of one session in one batch */
    TURN_PREFETCH_KEYS = 16,                              /* of one request */
    TURN_KEYS = TURN_BATCH_REQUESTS * TURN_PREFETCH_KEYS, /* of a batch, prefetched */
    TURN_RECEIVE_SIZE = 16 * 1024, /* bytes asked for at once into the inbox */
    TURN_INBOX_SIZE = TURN_BATCH_SESSIONS * TURN_RECEIVE_SIZE, /* where the batch's input lands */
    TURN_OUTBOX_SIZE = 1024 * 1024, /* where the batch's replies are written */
};

struct turn_item {
    struct session *session;
    const struct command *command; /* NULL: unknown */
    struct request request;
    uint64_t *hashes; /* by argument, NULL when none was computed */
};

/* A key of the batch on its way into the cache. */
struct turn_key {
    const struct database *database;
    uint64_t hash;
    const struct entry *entry;     /* the likely one, once its bucket was there; NULL: none */
    bool is_elsewhere;             /* not in its home bucket, if there is one */
    bool is_again;                 /* the key before is the same one */
    const struct bytes *arguments; /* behind the key */
    uint32_t argument_count;
};

struct turn {
    struct turn_item *items;
    uint32_t item_count;
    struct session *queue_first, *queue_last;       /* sessions with work, in line */
    struct session *flush_first;                    /* sessions with output */
    struct session *delivery_first, *delivery_last; /* sessions with messages, in line */
    struct session *horizon_first; /* sessions whose output waits for the horizon */
    struct request_arena arena;
    char *inbox, *outbox;
    size_t inbox_used, outbox_used;
    uint64_t *hashes; /* room for the batch's */
    size_t hashes_used;
    struct turn_key *keys;
    size_t key_count;
    char *discard; /* where muted replies go */
    size_t discard_size;
    uint64_t ticks;            /* when the last command ended, or the batch's execution began */
    uint64_t ticks_end;        /* from then on what is left is late */
    struct session *writer;    /* whose reply is being written */
    struct session *executing; /* for the crash report */
    const struct turn_item *executing_item;
    struct turn *interrupted; /* the one that was put aside; NULL: none */
};

void turn_init(struct turn *turn);
void turn_release(struct turn *turn);

/* The batch's time is over. */
static inline bool turn_is_late(const struct turn *turn) {
    return turn->ticks >= turn->ticks_end;
}

/* Take the session out of all lists (it is about to be freed). */
void turn_forget(struct server *server, struct session *session);
/* The horizon moved: what waited for it is to be sent now. */
void turn_horizon_moved(struct server *server);
/* The session has got a message that many get: it is sent when its turn comes. A turn sends only
 * for a while, so that a message to ten thousand stalls nobody; who is still in line when the next
 * one comes gets both at once. */
void turn_deliver_later(struct server *server, struct session *session);
/* Put the session in line, if it is not. */
void turn_enqueue(struct server *server, struct session *session);
/* Serve the sessions in line, each once, until the turn's time is over. Those with more work are in
 * line again afterwards. */
void turn_batches(struct server *server);

/* ---- interrupts ----
 *
 * A command that runs for long (a script) may let others be served in between: the turn at hand is
 * put aside and another takes its place, with buffers of its own. What the batch's other sessions
 * had sent is run first, so that each session's requests stay in order. The session whose command
 * runs is left alone; nothing is handed to the journal's readers. Commands refuse by themselves
 * what may not run then (dispatch.c: busy). */
void turn_interrupt_begin(struct server *server);
void turn_interrupt(struct server *server);
void turn_interrupt_end(struct server *server);
#endif
