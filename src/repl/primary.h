/* primary.h: the side that has replicas.
 *
 *     speaks ---PSYNC---> waits ---a transfer begins---> receives ---all sent---> loads
 *        |                                                  |                       | ACK
 *        |                                                  | (no marker)           v
 *        '-----------------PSYNC, partial---------------------------------------> online
 *
 * From the moment that a transfer's dataset is of, and while the stream's past is read back from
 * files, what the stream goes on with gathers in `later`, as references to the backlog's blocks,
 * and follows behind. */
#ifndef REDSTART_REPL_PRIMARY_H
#define REDSTART_REPL_PRIMARY_H

#include "engine/output.h"
#include "repl/backlog.h"

struct call;
struct journal;
struct report;
struct server;
struct session;
struct transfer;
struct history;

enum replica_state {
    REPLICA_SPEAKS,
    REPLICA_WAITS,
    REPLICA_RECEIVES,
    REPLICA_LOADS,
    REPLICA_ONLINE,
};

enum { REPLICA_EOF = 1, REPLICA_PSYNC2 = 2 }; /* capabilities */

struct replica {
    struct replica *next;
    struct session *session;
    enum replica_state state;
    uint32_t capabilities;
    int64_t port;  /* that it listens on */
    char *address; /* that it wants to be known by; NULL: the connection's */
    bool rdb_only; /* goes after the dataset */
    bool libraries_only;
    bool wants_bare;           /* SYNC: nothing is said before the dataset */
    struct transfer *transfer; /* it is part of; NULL: none */
    struct history *history;   /* being read back for it; NULL: none */
    struct output later;
    uint64_t followed; /* bytes of the stream that were put into its session's output */
    bool is_succeeded; /* the same server has come again since: this connection counts no more */
    bool has_acknowledged;
    uint64_t acknowledged;   /* offset */
    uint64_t on_disk;        /* acknowledged as such */
    int64_t acknowledged_ms; /* monotonic; when it last said something of it */
    int64_t waits_since_us;
    uint64_t seen_out; /* bytes sent to it, when that was last looked at */
    int64_t moved_ms;  /* when there were more than before */
};

struct primary {
    struct backlog backlog;
    struct replica *replicas;
    struct transfer *transfer; /* under way; NULL: none */
    int64_t alone_since_us;    /* no replica since; 0: there are some */
    int64_t pinged_us, spoke_us;
    uint64_t asked; /* offset behind the last GETACK in the stream */
    /* min-replicas-to-ack */
    uint64_t kept;           /* so many replicas have acknowledged all before */
    bool is_broken;          /* the promise could not be kept in time */
    int64_t behind_since_us; /* the oldest offset that waits is so old; 0: none does */
    uint64_t broken;         /* times that it was */
};

/* ---- commands ---- */
void primary_replconf(struct call *call);
void primary_psync(struct call *call);
void primary_wait(struct call *call);
void primary_wait_for_files(struct call *call); /* WAITAOF */
bool primary_refuses(struct call *call);

/* ---- the stream ---- */

/* Keep the stream's end, and count it, from now on. */
void primary_open_backlog(struct server *server);
void primary_close_backlog(struct server *server);
/* All replicas have to come again: the stream is another one, or has another name. */
void primary_drop_replicas(struct server *server);
/* All that gathered for it is sent, and what comes follows. */
void primary_put_online(struct replica *replica);
/* Begin to gather the stream for it, from that offset of the backlog on. */
void primary_gather(struct replica *replica, uint64_t from);
/* The past could be read back: tell it so; or it could not: it gets the whole dataset. */
void primary_say_continue(struct replica *replica);
void primary_want_all(struct replica *replica);
size_t primary_waits_for(const struct session *session);
/* Where it can be reached, without the port. */
void replica_address(const struct replica *replica, char out[]);
struct replica *primary_find(const struct server *server, const struct session *session);
/* Its session is being freed. */
void primary_forget(struct session *session);

void primary_step(struct server *server);
void primary_close(struct server *server);
void primary_before_commit(struct server *server);
/* Directives were changed, or replicas came, went or acknowledged. */
void primary_judge(struct server *server);

/* Online and in time (min-replicas-max-lag). */
uint32_t primary_good(const struct server *server);
uint32_t primary_count(const struct server *server); /* of those that asked for the stream */
/* How many have acknowledged that offset. */
uint32_t primary_acknowledged(const struct server *server, uint64_t offset, bool on_disk);
/* All that are online have everything; if not they are asked, and step is called soon. */
bool primary_may_end(struct server *server);
/* Ask all to say how far they are. */
void primary_ask(struct server *server);
void primary_report(struct report *report);

#endif
