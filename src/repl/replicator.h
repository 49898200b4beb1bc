/* replicator.h: this server's part in replication: what all files of this folder share.
 *
 *     primary.c     its replicas: requests for the stream, acknowledgements, promises
 *     transfer.c    whole datasets on their way to replicas
 *     history.c     the stream's past, read back from the append-only file for a replica
 *     link.c        the connection to its primary
 *     receive.c     a whole dataset on its way from there
 *     role.c        primary or replica; failover
 *     report.c      INFO and ROLE
 *
 * A server has both sides at once: a replica serves replicas of its own, with the same stream. */
#ifndef REDSTART_REPL_REPLICATOR_H
#define REDSTART_REPL_REPLICATOR_H

#include "engine/server.h"
#include "repl/backlog.h"
#include "repl/link.h"
#include "repl/primary.h"
#include "repl/role.h"

struct replicator {
    struct primary primary;
    struct link link;
    struct failover failover;
};

/* The server can replicate from now on. It is detached when it closes. */
void replicator_attach(struct server *server);

static inline struct replicator *replicator_of(const struct server *server) {
    return server->replication.host;
}
/* Be called at that moment of the monotonic clock at the latest. */
static inline void replicator_due(struct server *server, int64_t us) {
    if (us < server->replication.due_us) server->replication.due_us = us;
}

#endif
