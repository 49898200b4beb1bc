/* replicator.c: where the engine meets this folder. */
#include "repl/replicator.h"

#include "base/memory.h"
#include "engine/config.h"
#include "engine/server.h"
#include "engine/session.h"
#include "repl/history.h"
#include "repl/transfer.h"

/* Follow who the configuration says, and let replicas come back. */
static void start(struct server *server) {
    struct replicator *host = replicator_of(server);
    const struct config_replicaof *primary = &server->config->replicaof;
    if (primary->host.size > 0) {
        host->link.has_history = server->replication.is_loaded || journal_active(&server->journal);
        role_follow(server, primary->host.data, (uint16_t)primary->port);
    } else if (server->replication.second_id[0]) {
        primary_open_backlog(server); /* replicas may come back */
    }
    primary_judge(server);
}

static void step(struct server *server) {
    server->replication.wanted = false;
    server->replication.due_us = INT64_MAX;
    link_step(server);
    failover_step(server);
    history_step(server);
    primary_step(server);
    waiting_resume(server); /* who waited for replicas goes on */
    if (server->replication.promises) primary_before_commit(server);
    journal_commit(&server->journal);
    server_close_marked(server);
}

static void gone(struct session *session) {
    if (session->flags & (SESSION_RAW | SESSION_PRIMARY)) link_forget(session);
    if (session->flags & SESSION_REPLICA) primary_forget(session);
}

static void close_host(struct server *server) {
    struct replicator *host = replicator_of(server);
    link_close(server);
    primary_close(server);
    for (uint32_t i = 0; i < server->session_count; i++)
        if (server->sessions[i]->flags & SESSION_REPLICA) {
            primary_forget(server->sessions[i]);
            server->sessions[i]->flags &= ~(uint32_t)SESSION_REPLICA;
        }
    server->replication.host = NULL;
    memory_free(host);
}

static const struct replication_hooks hooks = {
    .start = start,
    .step = step,
    .event = link_event,
    .apply = link_apply,
    .gone = gone,
    .refuses = primary_refuses,
    .waits_for = primary_waits_for,
    .before_commit = primary_before_commit,
    .report = primary_report,
    .may_end = primary_may_end,
    .close = close_host,
};

static bool changed(void *context, struct config *config, char *error, size_t error_size) {
    struct server *server = context;
    (void)error, (void)error_size;
    if (!server->replication.host) return true;
    backlog_set_wanted(&replicator_of(server)->primary.backlog, config->repl_backlog_size);
    primary_judge(server);
    return true;
}

void replicator_attach(struct server *server) {
    static const char *const watched[] = {
        "repl-backlog-size",   "min-replicas-to-write",      "min-replicas-max-lag",
        "min-replicas-to-ack", "min-replicas-to-ack-policy", "min-replicas-to-ack-timeout"};
    struct replicator *host = memory_alloc_zeroed(1, sizeof *host);
    server->replication.host = host;
    server->replication.hooks = &hooks;
    server->replication.due_us = INT64_MAX;
    for (size_t i = 0; i < sizeof watched / sizeof watched[0]; i++)
        config_observe(server->config, watched[i], changed, server);
    if (server->config->replicaof.host.size > 0) { /* the dataset is a replica's from the start */
        server->replication.is_replica = true;
        server->journal.follows = true;
        server->log->role = 'S';
    }
}
