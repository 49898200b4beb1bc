/* role.c: changing sides. */
#include "repl/role.h"

#include "base/buffer.h"
#include "base/number.h"
#include "engine/call.h"
#include "engine/config.h"
#include "engine/server.h"
#include "engine/session.h"
#include "repl/replicator.h"
#include "repl/transfer.h"
#include <stdio.h>

static struct failover *failover_of(const struct server *server) {
    return &replicator_of(server)->failover;
}

/* ---- REPLICAOF ---- */

/* NULL: nobody. */
static void amend(struct server *server, const char *host, uint16_t port) {
    char digits[NUMBER_I64_TEXT_MAX];
    struct bytes words[] = {host ? bytes_from_text(host) : BYTES("no"), BYTES("one")};
    if (host) words[1] = bytes_make(digits, number_format_u64(digits, port));
    config_amend_words(server->config, CONFIG_replicaof, words, 2);
}

void role_follow(struct server *server, const char *host, uint16_t port) {
    struct replicator *replicator = replicator_of(server);
    struct replication *replication = &server->replication;
    char name[FAILOVER_HOST_SIZE]; /* the configuration's own text is about to go */
    snprintf(name, sizeof name, "%s", host);
    journal_commit(&server->journal);
    if (!replication->is_replica)
        replicator->link.has_history = journal_active(&server->journal) || replication->is_loaded;
    if (!replication->is_replica) waiting_unblock_all(server);
    replication->is_replica = true;
    server->journal.follows = true;
    server->log->role = 'S';
    amend(server, name, port);
    transfer_cancel(server);
    primary_drop_replicas(server);
    link_follow(server, name, port);
    primary_judge(server);
}

void role_lead(struct server *server) {
    struct replication *replication = &server->replication;
    bool has_history = replicator_of(server)->link.has_history;
    if (!replication->is_replica) return;
    journal_commit(&server->journal);
    link_follow(server, NULL, 0);
    loading_drop_aside(server); /* or it would take the place of what is written from now on */
    if (has_history) primary_open_backlog(server); /* from here on changes are counted */
    amend(server, NULL, 0);
    replication->is_replica = false;
    server->journal.follows = false;
    server->log->role = 'M';
    primary_drop_replicas(server);
    /* A dataset that could not be loaded has left it off. */
    if (server->config->appendonly && !server->appending.is_on && !server->loading)
        server->appending.switches = true;
    if (!has_history) { /* what is there is of no history that anybody could read on */
        replication_forget(server);
        primary_judge(server);
        return;
    }
    replication_begin_epoch(server);
    primary_judge(server);
    log_notice(server->log,
               "Setting secondary replication ID to %s, valid up to offset: %llu. New replication "
               "ID is %s",
               replication->second_id, (unsigned long long)replication->second_offset + 1,
               replication->id);
}

static void log_request(struct call *call, const char *what) {
    struct buffer text = {0};
    session_describe_in_log(call->session, &text);
    log_notice(call->server->log, "%s (user request from '%.*s')", what, (int)text.size, text.data);
    buffer_release(&text);
}

static bool is_present(const struct server *server, struct bytes host, int64_t port) {
    const struct link *link = &replicator_of(server)->link;
    return server->replication.is_replica && bytes_is(host, link->host) && link->port == port;
}

void role_replicaof(struct call *call) {
    struct server *server = call->server;
    struct bytes host = call->argv[1];
    int64_t port;
    char text[FAILOVER_HOST_SIZE + 64];
    if (failover_of(server)->state != FAILOVER_NONE) {
        call_error(call, "ERR REPLICAOF not allowed while failing over.");
        return;
    }
    if (call_argument_is(call, 1, "no") && call_argument_is(call, 2, "one")) {
        if (server->replication.is_replica) {
            role_lead(server);
            log_request(call, "MASTER MODE enabled");
        }
        reply_ok(call->reply);
        return;
    }
    if (!call_parse_range(call, 2, 0, UINT16_MAX, &port, "ERR Invalid master port")) return;
    if (host.size >= FAILOVER_HOST_SIZE || host.size == 0 || memchr(host.data, 0, host.size)) {
        call_error(call, "ERR Invalid master host");
        return;
    }
    if (is_present(server, host, port)) {
        log_notice(server->log, "REPLICAOF would result into synchronization with the master we "
                                "are already connected with. No operation performed.");
        reply_simple(call->reply, "OK Already connected to specified master");
        return;
    }
    char name[FAILOVER_HOST_SIZE];
    snprintf(name, sizeof name, "%.*s", (int)host.size, host.data);
    role_follow(server, name, (uint16_t)port);
    snprintf(text, sizeof text, "REPLICAOF %s:%lld enabled", name, (long long)port);
    log_request(call, text);
    reply_ok(call->reply);
}

/* ---- failover: the old primary ---- */

bool failover_pauses(const struct server *server) {
    return failover_of(server)->state != FAILOVER_NONE;
}

const char *failover_name(const struct server *server) {
    switch (failover_of(server)->state) {
    case FAILOVER_NONE: return "no-failover";
    case FAILOVER_WAITS: return "waiting-for-sync";
    case FAILOVER_HANDS_OVER: return "failover-in-progress";
    }
    return "";
}

static void forget(struct server *server) {
    *failover_of(server) = (struct failover){0};
    server_unpause(server, PAUSER_FAILOVER);
}

static void abort_failover(struct server *server, const char *why) {
    struct failover *failover = failover_of(server);
    log_notice(server->log, "Aborting manual failover: %s", why);
    if (failover->state == FAILOVER_HANDS_OVER) {
        replicator_of(server)->link.steps_down = false;
        role_lead(server);
    }
    forget(server);
}

static bool is_target(const struct failover *failover, const struct replica *replica) {
    char address[IO_ADDRESS_TEXT_MAX];
    if (!failover->is_targeted) return true;
    replica_address(replica, address);
    return strcmp(address, failover->host) == 0 && replica->port == failover->port;
}

static bool has_target(const struct server *server, const struct failover *failover) {
    for (const struct replica *r = replicator_of(server)->primary.replicas; r; r = r->next)
        if (r->state == REPLICA_ONLINE && is_target(failover, r)) return true;
    return false;
}

static void hand_over(struct server *server, const char *host, uint16_t port) {
    struct replicator *replicator = replicator_of(server);
    log_notice(server->log, "Failover target is in sync, stepping down for %s:%u", host, port);
    replicator->failover.state = FAILOVER_HANDS_OVER;
    replicator->failover.until_us = 0;
    role_follow(server, host, port);
    replicator->link.has_history = true;
    replicator->link.steps_down = true;
}

void failover_step(struct server *server) {
    struct failover *failover = failover_of(server);
    struct replicator *replicator = replicator_of(server);
    if (failover->state != FAILOVER_WAITS) return;
    if (failover->until_us != 0 && server->monotonic_us >= failover->until_us) {
        if (failover->is_forced)
            hand_over(server, failover->host, failover->port);
        else
            abort_failover(server, "the replica did not catch up in time");
        return;
    }
    for (const struct replica *r = replicator->primary.replicas; r; r = r->next) {
        char address[IO_ADDRESS_TEXT_MAX];
        if (r->state != REPLICA_ONLINE || !is_target(failover, r) ||
            r->acknowledged < server->journal.changed)
            continue;
        replica_address(r, address);
        hand_over(server, address, (uint16_t)r->port);
        return;
    }
    primary_ask(server);
    replicator_due(server, server->monotonic_us + 1000);
}

void failover_end(struct server *server, bool good) {
    if (failover_of(server)->state != FAILOVER_HANDS_OVER) return;
    if (good) {
        log_notice(server->log, "Failover completed: the former replica is the primary now");
        forget(server);
    } else {
        abort_failover(server, "the target did not take over");
    }
}

struct failover_words {
    struct bytes host;
    int64_t port, timeout_ms;
    bool aborts, is_forced;
};

static bool parse_failover(struct call *call, struct failover_words *words) {
    for (uint32_t i = 1; i < call->argc; i++) {
        uint32_t left = call->argc - 1 - i;
        if (call_argument_is(call, i, "timeout") && left >= 1 && words->timeout_ms == 0) {
            if (!call_parse_i64(call, ++i, &words->timeout_ms, NULL)) return false;
            if (words->timeout_ms <= 0) {
                call_error(call, "ERR FAILOVER timeout must be greater than 0");
                return false;
            }
        } else if (call_argument_is(call, i, "abort") && call->argc == 2) {
            words->aborts = true;
        } else if (call_argument_is(call, i, "to") && left >= 2 && words->host.size == 0) {
            words->host = call->argv[i + 1];
            if (!call_parse_i64(call, i + 2, &words->port, NULL)) return false;
            i += 2;
        } else if (call_argument_is(call, i, "force") && !words->is_forced) {
            words->is_forced = true;
        } else {
            call_error_syntax(call);
            return false;
        }
    }
    return true;
}

static const char *refusal(const struct server *server, const struct failover_words *words) {
    if (server->replication.is_replica)
        return "ERR FAILOVER is not valid when server is a replica.";
    if (primary_count(server) == 0) return "ERR FAILOVER requires connected replicas.";
    if (words->is_forced && (words->timeout_ms == 0 || words->host.size == 0))
        return "ERR FAILOVER with force option requires both a timeout and target HOST and IP.";
    if (words->host.size >= FAILOVER_HOST_SIZE || words->port < 0 || words->port > UINT16_MAX)
        return "ERR FAILOVER target HOST and PORT is not a replica.";
    return NULL;
}

void role_failover(struct call *call) {
    struct server *server = call->server;
    struct failover *failover = failover_of(server);
    struct failover_words words = {0};
    if (!parse_failover(call, &words)) return;
    if (words.aborts) {
        if (failover->state == FAILOVER_NONE) {
            call_error(call, "ERR No failover in progress.");
            return;
        }
        abort_failover(server, "as asked for");
        reply_ok(call->reply);
        return;
    }
    if (failover->state != FAILOVER_NONE) {
        call_error(call, "ERR FAILOVER already in progress.");
        return;
    }
    const char *error = refusal(server, &words);
    struct failover wanted = {.state = FAILOVER_WAITS,
                              .is_targeted = words.host.size > 0,
                              .is_forced = words.is_forced,
                              .port = (uint16_t)words.port};
    if (!error) {
        snprintf(wanted.host, sizeof wanted.host, "%.*s", (int)words.host.size, words.host.data);
        if (!has_target(server, &wanted))
            error = wanted.is_targeted ? "ERR FAILOVER target HOST and PORT is not a replica."
                                       : "ERR FAILOVER requires connected replicas.";
    }
    if (error) {
        call_error(call, "%s", error);
        return;
    }
    if (words.timeout_ms > 0) wanted.until_us = server->monotonic_us + words.timeout_ms * 1000;
    *failover = wanted;
    server_pause(server, PAUSER_FAILOVER, SERVER_PAUSE_WRITES, SERVER_PAUSE_UNTIL_MAX_MS);
    server->replication.wanted = true;
    log_request(call, "FAILOVER requested");
    reply_ok(call->reply);
}

/* ---- failover: the new primary ---- */

bool failover_take(struct call *call) {
    struct server *server = call->server;
    if (!call_argument_is(call, 3, "failover")) return true;
    if (!server->replication.is_replica) {
        /* It asks once more: that this server has taken over did not reach it. */
        if (bytes_is(call->argv[1], server->replication.second_id)) return true;
        call_error(call, "ERR PSYNC FAILOVER can't be sent to a master.");
        return false;
    }
    if (!bytes_is(call->argv[1], server->replication.id)) {
        call_error(call, "ERR PSYNC FAILOVER replid must match my replid.");
        return false;
    }
    log_notice(server->log, "Failover request received for replid %s.", server->replication.id);
    role_lead(server);
    return true;
}
