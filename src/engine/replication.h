/* replication.h: what the engine knows of replication: src/repl is above it, and says here how it
 * is to be reached and what the engine has to mind. All zero while no replicator is attached.
 *
 * History. The stream of changes (journal/journal.h) has an id, made by the server that writes it.
 * A replica that becomes a primary, and a server that starts anew, write on under an id of their
 * own; the id before it stays known as the second one, good up to the offset where it ended. So
 * whoever has read as far as that may read on here. */
#ifndef REDSTART_ENGINE_REPLICATION_H
#define REDSTART_ENGINE_REPLICATION_H

#include "base/buffer.h"

struct call;
struct command;
struct rdb_history;
struct replicator;
struct report;
struct request;
struct server;
struct session;

enum { REPLICATION_ID_SIZE = 40 }; /* hexadecimal digits */

/* Bytes of shared memory (output.h). What the backlog has not is there for replicas that are slow,
 * or get a dataset. */
struct replication_memory {
    size_t blocks;  /* of stream and datasets, the backlog's among them */
    size_t backlog; /* the stream's end, kept whether somebody reads it or not */
};

struct replication_hooks {
    /* The dataset of the server's own files is there, and nobody has changed it yet. */
    void (*start)(struct server *server);
    /* Once a turn, behind the batches, when it is due or was asked for. */
    void (*step)(struct server *server);
    /* The socket of a session with SESSION_RAW is ready (enum of io.h). */
    void (*event)(struct session *session, uint32_t ready);
    /* A request of the primary's stream (SESSION_PRIMARY). */
    void (*apply)(struct session *session, const struct command *command, struct request *request,
                  const uint64_t *hashes);
    /* A session with SESSION_RAW, SESSION_PRIMARY or SESSION_REPLICA is about to be freed. */
    void (*gone)(struct session *session);
    /* True after an error reply: the command may not run now. */
    bool (*refuses)(struct call *call);
    /* Bytes of the stream that wait for a session with SESSION_REPLICA; a dataset's are not. */
    size_t (*waits_for)(const struct session *session);
    /* Before a commit, while `promises`. */
    void (*before_commit)(struct server *server);
    void (*report)(struct report *report);
    /* False while replicas are behind: they are asked how far they are. */
    bool (*may_end)(struct server *server);
    /* Before sessions are closed for good. */
    void (*close)(struct server *server);
};

struct replication {
    struct replicator *host;
    const struct replication_hooks *hooks;
    bool is_replica; /* follows a primary: what ends, ends when the primary says so */
    bool may_refuse; /* ask refuses */
    bool promises;   /* replies wait for replicas (min-replicas-to-ack) */
    bool feeds;      /* replicas get the stream, or may come back to it */
    bool wanted;     /* step, at the end of this turn */
    int64_t due_us;  /* step, then; monotonic */
    char id[REPLICATION_ID_SIZE + 1];
    char second_id[REPLICATION_ID_SIZE + 1]; /* empty: none */
    uint64_t second_offset;                  /* bytes of the stream that it is good for */
    struct replication_memory memory;
    bool is_loaded; /* id and offset are those of the files that were loaded */
};

static inline bool replication_is_due(const struct replication *replication, int64_t now_us) {
    return replication->host && (replication->wanted || now_us >= replication->due_us);
}

/* Where the dataset stands now, for a file; no id when nobody has counted the changes. */
void replication_history(const struct server *server, struct rdb_history *history);
/* A new id from here on, and the old one as the second. */
void replication_begin_epoch(struct server *server);
/* A new id, and no second one: what was is nobody's history. */
void replication_forget(struct server *server);
/* This id, of a primary or a file; the second one is as it was. */
void replication_set_id(struct server *server, const char *id);
/* The files that were loaded end there: id and offset are theirs. */
void replication_continue(struct server *server, const struct rdb_history *history);
/* All is loaded: who follows nobody goes on under an id of its own. */
void replication_loaded(struct server *server);
/* Nothing is to be loaded any more: whoever replicates may begin. */
void replication_start(struct server *server);
/* Changes are counted from now on: call it before the journal gets a reader. If they were not until
 * now, the dataset stands nowhere in the history that there was. */
void replication_count(struct server *server);

#endif
