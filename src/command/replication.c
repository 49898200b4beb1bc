/* replication.c: FAILOVER, PSYNC, REPLCONF, REPLICAOF, ROLE, SYNC, WAIT and WAITAOF. What they do
 * stands in src/repl. */
#include "command/command_handlers.h"
#include "engine/call.h"
#include "engine/server.h"
#include "repl/replicator.h"

/* A server in a test may be without. */
static bool has_replicator(struct call *call) {
    if (call->server->replication.host) return true;
    call_error(call, "ERR This server does not replicate");
    return false;
}

void command_failover(struct call *call) {
    if (has_replicator(call)) role_failover(call);
}

void command_psync(struct call *call) {
    if (has_replicator(call)) primary_psync(call);
}

void command_replconf(struct call *call) {
    if (has_replicator(call)) primary_replconf(call);
}

void command_replicaof(struct call *call) {
    if (has_replicator(call)) role_replicaof(call);
}

void command_slaveof(struct call *call) {
    command_replicaof(call);
}

void command_sync(struct call *call) {
    command_psync(call);
}

void command_wait(struct call *call) {
    if (has_replicator(call)) primary_wait(call);
}

void command_waitaof(struct call *call) {
    if (has_replicator(call)) primary_wait_for_files(call);
}

/* ---- ROLE ---- */

static void reply_replica(struct reply *reply, const struct replica *replica) {
    char address[IO_ADDRESS_TEXT_MAX];
    replica_address(replica, address);
    reply_array(reply, 3);
    reply_bulk_text(reply, address);
    reply_bulk_integer(reply, replica->port);
    reply_bulk_integer(reply, (int64_t)replica->acknowledged);
}

static void reply_primary_role(struct call *call) {
    const struct replica *first = replicator_of(call->server)->primary.replicas;
    uint32_t count = 0;
    for (const struct replica *r = first; r; r = r->next)
        count += r->state == REPLICA_ONLINE;
    reply_array(call->reply, 3);
    reply_bulk_text(call->reply, "master");
    reply_integer(call->reply, (int64_t)call->server->journal.offset);
    reply_array(call->reply, count);
    for (const struct replica *r = first; r; r = r->next)
        if (r->state == REPLICA_ONLINE) reply_replica(call->reply, r);
}

static const char *link_name(const struct link *link) {
    switch (link->state) {
    case LINK_NONE: return "none";
    case LINK_WANTED: return "connect";
    case LINK_CONNECTING: return "connecting";
    case LINK_SPEAKS: return "handshake";
    case LINK_RECEIVES:
    case LINK_LOADS: return "sync";
    case LINK_UP: return "connected";
    }
    return "unknown";
}

void command_role(struct call *call) {
    if (!has_replicator(call)) return;
    const struct link *link = &replicator_of(call->server)->link;
    if (!call->server->replication.is_replica) {
        reply_primary_role(call);
        return;
    }
    reply_array(call->reply, 5);
    reply_bulk_text(call->reply, "slave");
    reply_bulk_text(call->reply, link->host);
    reply_integer(call->reply, link->port);
    reply_bulk_text(call->reply, link_name(link));
    reply_integer(call->reply, link->state == LINK_UP ? (int64_t)call->server->journal.offset : -1);
}
