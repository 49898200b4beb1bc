/* link.h: the side that has a primary: the connection to it.
 *
 *     wanted --> connecting --> speaks --PSYNC--+--> up                      (+CONTINUE)
 *       ^                                       '--> receives --> loads --> up  (+FULLRESYNC)
 *       '------------------------- lost, after a while -------------------------'
 *
 * While it is up its session's requests are the primary's stream: each is run, and its bytes go to
 * this server's journal as they are, so that offset and id mean the same on both sides. */
#ifndef REDSTART_REPL_LINK_H
#define REDSTART_REPL_LINK_H

#include "base/buffer.h"

struct command;
struct rdb_history;
struct receive;
struct request;
struct server;
struct session;

enum link_state {
    LINK_NONE,
    LINK_WANTED,
    LINK_CONNECTING,
    LINK_SPEAKS,
    LINK_RECEIVES,
    LINK_LOADS,
    LINK_UP,
};

enum { LINK_HOST_SIZE = 256, LINK_ID_SIZE = 40 };

struct connecting;

struct link {
    enum link_state state;
    struct connecting *connecting; /* being looked up; NULL: nothing is */
    struct session *session;       /* NULL: not connected */
    char host[LINK_HOST_SIZE];
    uint16_t port;
    bool has_history;    /* the replication id and the journal's offset say what was read so far */
    unsigned step;       /* of what is said at the beginning */
    bool steps_down;     /* asks the other side to be the primary (FAILOVER) */
    struct buffer input; /* of lines, and what stands behind a dataset */
    char id[LINK_ID_SIZE + 1]; /* of the dataset that comes */
    uint64_t offset;
    struct receive *receive; /* the dataset on its way; NULL: none */
    struct buffer unit;      /* of the stream: read and not yet whole */
    bool ack_wanted;
    int64_t try_us, acked_us, down_since_us; /* monotonic */
    uint32_t failures;                       /* in a row */
};

/* Follow that primary from now on, or nobody (host NULL). */
void link_follow(struct server *server, const char *host, uint16_t port);
/* Come back soon to the same one. */
void link_break(struct server *server);
bool link_is_up(const struct server *server);
void link_acknowledge_soon(struct server *server);
void link_step(struct server *server);
void link_event(struct session *session, uint32_t ready);
void link_apply(struct session *session, const struct command *command, struct request *request,
                const uint64_t *hashes);
/* Its session is being freed. */
void link_forget(struct session *session);
void link_close(struct server *server);

#endif
