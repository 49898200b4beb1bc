/* primary.c: the replicas of this server: what they ask for, what they get, how far they are. Owns
 * the list of replicas and the backlog. */
#include "repl/primary.h"

#include "base/invariant.h"
#include "base/memory.h"
#include "engine/call.h"
#include "engine/command.h"
#include "engine/config.h"
#include "engine/dispatch.h"
#include "engine/report_section.h"
#include "engine/server.h"
#include "repl/history.h"
#include "repl/replicator.h"
#include "repl/transfer.h"
#include <stdio.h>

enum { SECOND_US = 1000000, POLL_US = 1000 };

static struct primary *primary_of(const struct server *server) {
    return &replicator_of(server)->primary;
}

/* ---- the stream ---- */

struct sending {
    struct server *server;
    struct replica *replica;
};

static void gather_stretch(void *context, struct output_shared *shared, size_t from, size_t size) {
    const struct sending *sending = context;
    output_append_shared(&sending->replica->later, shared, from, size);
}

static void send_stretch(void *context, struct output_shared *shared, size_t from, size_t size) {
    const struct sending *sending = context;
    sending->replica->followed += size;
    session_send_shared(sending->replica->session, shared, from, size);
}

/* Behind a dataset there is nothing but the stream. */
size_t primary_waits_for(const struct session *session) {
    const struct replica *replica = primary_find(session->server, session);
    if (!replica) return 0;
    size_t sending = output_pending(&session->output);
    if (sending > replica->followed) sending = (size_t)replica->followed;
    return sending + replica->later.chunk_bytes;
}

static void feed(struct server *server, struct replica *replica, uint64_t from) {
    const struct backlog *backlog = &primary_of(server)->backlog;
    struct sending sending = {server, replica};
    bool is_writing = replica->session->reply_base != NULL;
    bool gathers = replica->transfer || replica->history || replica->state == REPLICA_LOADS;
    if (replica->rdb_only || replica->state < REPLICA_RECEIVES) return;
    if (!gathers && !is_writing && replica->later.chunk_bytes == 0) {
        backlog_each(backlog, from, send_stretch, &sending);
        return;
    }
    backlog_each(backlog, from, gather_stretch, &sending);
    if (!gathers) server->replication.wanted = true;
    if (!session_check_output(replica->session)) session_close_later(replica->session);
}

/* The journal's reader. */
static void consume(void *context, uint64_t offset, struct bytes bytes) {
    struct server *server = context;
    struct primary *primary = primary_of(server);
    INVARIANT(offset == primary->backlog.end);
    backlog_append(&primary->backlog, bytes);
    for (struct replica *replica = primary->replicas; replica; replica = replica->next)
        feed(server, replica, offset);
    backlog_trim(&primary->backlog);
}

void primary_open_backlog(struct server *server) {
    struct primary *primary = primary_of(server);
    if (primary->backlog.is_open) return;
    replication_count(server);
    journal_add_reader(&server->journal, consume, server);
    server->replication.feeds = true;
    backlog_open(&primary->backlog, server->journal.offset, server->config->repl_backlog_size,
                 &server->replication.memory);
    primary->pinged_us = server->monotonic_us;
}

void primary_close_backlog(struct server *server) {
    struct primary *primary = primary_of(server);
    if (!primary->backlog.is_open) return;
    journal_remove_reader(&server->journal, consume, server);
    backlog_close(&primary->backlog);
    server->replication.feeds = false;
}

void primary_gather(struct replica *replica, uint64_t from) {
    struct sending sending = {replica->session->server, replica};
    INVARIANT(replica->later.chunk_bytes == 0);
    backlog_each(&primary_of(sending.server)->backlog, from, gather_stretch, &sending);
}

static void send_gathered(struct replica *replica) {
    replica->followed += replica->later.chunk_bytes;
    for (const struct output_chunk *chunk = replica->later.first; chunk; chunk = chunk->next)
        session_send_shared(replica->session, chunk->shared,
                            (size_t)(chunk->data - chunk->shared->data), chunk->size);
    output_release(&replica->later);
    replica->later = (struct output){0};
}

void primary_put_online(struct replica *replica) {
    struct session *session = replica->session;
    struct server *server = session->server;
    char address[IO_ADDRESS_TEXT_MAX];
    replica->state = REPLICA_ONLINE;
    replica->acknowledged_ms = server->monotonic_ms;
    send_gathered(replica);
    session_address(session, address);
    log_notice(server->log, "Synchronization with replica %s succeeded", address);
    server->replication.wanted = true;
}

/* ---- replicas ---- */

struct replica *primary_find(const struct server *server, const struct session *session) {
    struct replica *replica = primary_of(server)->replicas;
    while (replica && replica->session != session)
        replica = replica->next;
    return replica;
}

static struct replica *find_or_add(struct session *session) {
    struct server *server = session->server;
    struct replica *replica = primary_find(server, session);
    if (replica) return replica;
    replica = memory_alloc_zeroed(1, sizeof *replica);
    replica->session = session;
    replica->next = primary_of(server)->replicas;
    primary_of(server)->replicas = replica;
    session->flags |= SESSION_REPLICA;
    return replica;
}

void primary_forget(struct session *session) {
    struct server *server = session->server;
    struct replica **link = &primary_of(server)->replicas;
    while (*link && (*link)->session != session)
        link = &(*link)->next;
    struct replica *replica = *link;
    if (!replica) return;
    *link = replica->next;
    if (replica->state > REPLICA_SPEAKS) {
        char address[IO_ADDRESS_TEXT_MAX];
        session_address(session, address);
        log_notice(server->log, "Connection with replica %s lost.", address);
    }
    transfer_leave(replica);
    history_leave(replica);
    output_release(&replica->later);
    memory_free(replica->address);
    memory_free(replica);
    server->replication.wanted = true;
}

void primary_drop_replicas(struct server *server) {
    for (struct replica *replica = primary_of(server)->replicas; replica; replica = replica->next)
        if (replica->state > REPLICA_SPEAKS) session_close_later(replica->session);
}

uint32_t primary_count(const struct server *server) {
    uint32_t count = 0;
    for (const struct replica *r = primary_of(server)->replicas; r; r = r->next)
        count += r->state > REPLICA_SPEAKS;
    return count;
}

/* Has it a say in what is acknowledged? */
static bool counts(const struct replica *replica) {
    return replica->state == REPLICA_ONLINE && !replica->is_succeeded;
}

uint32_t primary_good(const struct server *server) {
    int64_t lag_ms = server->config->min_replicas_max_lag * 1000;
    uint32_t count = 0;
    for (const struct replica *r = primary_of(server)->replicas; r; r = r->next)
        count += counts(r) && server->monotonic_ms - r->acknowledged_ms <= lag_ms;
    return count;
}

uint32_t primary_acknowledged(const struct server *server, uint64_t offset, bool on_disk) {
    uint32_t count = 0;
    for (const struct replica *r = primary_of(server)->replicas; r; r = r->next)
        count += counts(r) && (on_disk ? r->on_disk : r->acknowledged) >= offset;
    return count;
}

/* ---- REPLCONF ---- */

/* The primary's, or a file that has it: nobody there wants to be a replica. */
static bool is_of_stream(const struct session *session) {
    return session->flags & (SESSION_INTERNAL | SESSION_PRIMARY);
}

/* No reply: it would stand in the stream. */
static void take_acknowledgement(struct call *call) {
    struct replica *replica = primary_find(call->server, call->session);
    uint64_t offset;
    if (!replica || replica->state == REPLICA_SPEAKS) return;
    if (!number_parse_u64(call->argv[2], &offset)) return;
    if (offset > replica->acknowledged) replica->acknowledged = offset;
    replica->has_acknowledged = true;
    if (call->argc > 4 && call_argument_is(call, 3, "fack") &&
        number_parse_u64(call->argv[4], &offset) && offset > replica->on_disk)
        replica->on_disk = offset;
    replica->acknowledged_ms = call->server->monotonic_ms;
    call->server->replication.wanted = true;
}

static bool take_option(struct call *call, struct replica *replica, uint32_t i) {
    struct bytes value = call->argv[i + 1];
    if (call_argument_is(call, i, "listening-port")) {
        return call_parse_i64(call, i + 1, &replica->port, NULL);
    }
    if (call_argument_is(call, i, "ip-address")) {
        if (value.size >= IO_ADDRESS_TEXT_MAX / 2) {
            call_error(call,
                       "ERR REPLCONF ip-address provided by replica instance is too long: "
                       "%zu bytes",
                       value.size);
            return false;
        }
        memory_free(replica->address);
        replica->address = memory_copy(value.data, value.size);
        return true;
    }
    if (call_argument_is(call, i, "capa")) {
        if (bytes_is(value, "eof")) replica->capabilities |= REPLICA_EOF;
        if (bytes_is(value, "psync2")) replica->capabilities |= REPLICA_PSYNC2;
        return true;
    }
    if (call_argument_is(call, i, "rdb-only")) {
        int64_t number;
        if (!call_parse_range(call, i + 1, 0, 1, &number, NULL)) return false;
        replica->rdb_only = number == 1;
        return true;
    }
    if (call_argument_is(call, i, "rdb-filter-only")) {
        replica->libraries_only = bytes_is(value, "functions");
        if (replica->libraries_only || value.size == 0) return true;
        call_error(call, "ERR Unsupported rdb-filter-only option: %.*s",
                   (int)(value.size < 64 ? value.size : 64), value.data);
        return false;
    }
    if (call_argument_is(call, i, "version")) return true;
    struct bytes name = call->argv[i];
    call_error(call, "ERR Unrecognized REPLCONF option: %.*s",
               (int)(name.size < 128 ? name.size : 128), name.data);
    return false;
}

void primary_replconf(struct call *call) {
    if (call->argc % 2 == 0) {
        call_error_syntax(call);
        return;
    }
    if (call_argument_is(call, 1, "ack")) {
        take_acknowledgement(call);
        return;
    }
    if (call_argument_is(call, 1, "getack")) { /* of the primary's stream */
        if (call->session->flags & SESSION_PRIMARY) link_acknowledge_soon(call->server);
        return;
    }
    if (is_of_stream(call->session)) return;
    struct replica *replica = find_or_add(call->session);
    if (replica->state != REPLICA_SPEAKS) { /* there is no room for a reply */
        session_close_later(call->session);
        return;
    }
    for (uint32_t i = 1; i + 1 < call->argc; i += 2)
        if (!take_option(call, replica, i)) return;
    reply_ok(call->reply);
}

/* ---- PSYNC ---- */

/* A connection may live on for a while after the server at its other end has died and come again.
 * Servers are told apart by what they say of themselves: address and port. */
static void succeed(const struct replica *replica) {
    char address[IO_ADDRESS_TEXT_MAX], other[IO_ADDRESS_TEXT_MAX];
    if (replica->port == 0) return;
    replica_address(replica, address);
    for (struct replica *r = primary_of(replica->session->server)->replicas; r; r = r->next) {
        if (r == replica || r->port != replica->port) continue;
        replica_address(r, other);
        r->is_succeeded |= strcmp(other, address) == 0;
    }
}

static void become_replica(struct replica *replica) {
    struct session *session = replica->session;
    struct server *server = session->server;
    session->class = SESSION_CLASS_REPLICA;
    succeed(replica);
    replica->acknowledged_ms = server->monotonic_ms;
    replica->waits_since_us = server->monotonic_us;
    if (server->config->repl_disable_tcp_nodelay)
        server->io->operations->set_no_delay(server->io, session->socket, false);
    primary_of(server)->alone_since_us = 0;
    server->replication.wanted = true;
}

/* Is what it has read so far the beginning of this server's stream? */
static bool is_of_history(const struct server *server, struct bytes id, uint64_t offset) {
    const struct replication *replication = &server->replication;
    if (bytes_equal(id, bytes_from_text(replication->id))) return offset <= server->journal.offset;
    return replication->second_id[0] && bytes_is(id, replication->second_id) &&
           offset <= replication->second_offset;
}

static void continue_line(const struct replica *replica, char *out, size_t size) {
    const char *id = replica->session->server->replication.id;
    if (replica->capabilities & REPLICA_PSYNC2)
        snprintf(out, size, "+CONTINUE %s\r\n", id);
    else
        snprintf(out, size, "+CONTINUE\r\n");
}

void primary_say_continue(struct replica *replica) {
    struct server *server = replica->session->server;
    char text[64], address[IO_ADDRESS_TEXT_MAX];
    continue_line(replica, text, sizeof text);
    session_send(replica->session, bytes_from_text(text));
    session_address(replica->session, address);
    server->statistics.partial_syncs++;
    log_notice(server->log,
               "Partial resynchronization request from %s accepted: the append only "
               "file reaches back so far",
               address);
}

void primary_want_all(struct replica *replica) {
    struct server *server = replica->session->server;
    output_release(&replica->later);
    replica->later = (struct output){0};
    replica->state = REPLICA_WAITS;
    replica->waits_since_us = server->monotonic_us;
    server->statistics.refused_partial_syncs++;
    server->statistics.full_syncs++;
    server->replication.wanted = true;
}

/* Of "10.0.0.1:6379" or "[::1]:6379" what is before the port. */
void replica_address(const struct replica *replica, char out[]) {
    char text[IO_ADDRESS_TEXT_MAX];
    if (replica->address && replica->address[0]) {
        snprintf(out, IO_ADDRESS_TEXT_MAX, "%s", replica->address);
        return;
    }
    session_address(replica->session, text);
    char *end = strrchr(text, ':'), *begin = text;
    if (end) *end = 0;
    if (*begin == '[' && end && end[-1] == ']') {
        begin++;
        end[-1] = 0;
    }
    snprintf(out, IO_ADDRESS_TEXT_MAX, "%s", begin);
}

/* True: it reads on from that offset. */
static bool try_partial(struct call *call, struct replica *replica, struct bytes id,
                        uint64_t offset) {
    struct server *server = call->server;
    struct primary *primary = primary_of(server);
    char address[IO_ADDRESS_TEXT_MAX];
    session_address(call->session, address);
    if (!is_of_history(server, id, offset)) {
        log_notice(server->log,
                   "Partial resynchronization not accepted: %s's history (%.*s:%llu) is not the "
                   "beginning of mine (%s:%llu)",
                   address, (int)(id.size < 40 ? id.size : 40), id.data, (unsigned long long)offset,
                   server->replication.id, (unsigned long long)server->journal.offset);
        server->statistics.refused_partial_syncs++;
        return false;
    }
    journal_commit(&server->journal);
    if (journal_active(&server->journal)) primary_open_backlog(server);
    if (!primary->backlog.is_open ||
        (offset < primary->backlog.begin && !history_begin(server, replica, offset))) {
        log_notice(server->log,
                   "Unable to partial resync with replica %s: what follows offset %llu is kept "
                   "neither in memory nor in files",
                   address, (unsigned long long)offset);
        server->statistics.refused_partial_syncs++;
        return false;
    }
    become_replica(replica);
    if (replica->history) return true; /* answered once the past was found */
    char text[64];
    continue_line(replica, text, sizeof text);
    reply_raw(call->reply, bytes_from_text(text));
    primary_gather(replica, offset);
    replica->state = REPLICA_ONLINE;
    replica->acknowledged = offset;
    server->statistics.partial_syncs++;
    log_notice(server->log,
               "Partial resynchronization request from %s accepted. Sending %llu bytes of backlog "
               "starting from offset %llu.",
               address, (unsigned long long)(server->journal.offset - offset),
               (unsigned long long)offset + 1);
    return true;
}

/* The reply comes when a transfer begins. */
static void wait_for_transfer(struct call *call, struct replica *replica) {
    char address[IO_ADDRESS_TEXT_MAX];
    session_address(call->session, address);
    log_notice(call->server->log, "Replica %s asks for synchronization: all of the dataset",
               address);
    become_replica(replica);
    replica->state = REPLICA_WAITS;
    call->server->statistics.full_syncs++;
}

void primary_psync(struct call *call) {
    struct server *server = call->server;
    bool is_bare = bytes_is(call->command->full_name, "sync");
    int64_t next = 0;
    struct replica *replica = primary_find(server, call->session);
    if (is_of_stream(call->session) || (replica && replica->state > REPLICA_SPEAKS)) return;
    if (!is_bare && call->argc > 3) { /* FAILOVER: the primary steps down for this server */
        if (!failover_take(call)) return;
    }
    if (server->replication.is_replica && !link_is_up(server)) {
        call_error(call, "NOMASTERLINK Can't SYNC while not connected with my master");
        return;
    }
    if (!is_bare && !number_parse_i64(call->argv[2], &next)) {
        call_error_integer(call);
        return;
    }
    replica = find_or_add(call->session);
    if (!is_bare && next > 0 && try_partial(call, replica, call->argv[1], (uint64_t)next - 1))
        return;
    replica->wants_bare = is_bare;
    wait_for_transfer(call, replica);
}

/* ---- WAIT ---- */

void primary_ask(struct server *server) {
    static const struct bytes words[] = {BYTES("REPLCONF"), BYTES("GETACK"), BYTES("*")};
    struct primary *primary = primary_of(server);
    if (!primary->backlog.is_open || primary->asked == server->journal.offset) return;
    journal_say(&server->journal, words, 3);
    primary->asked = server->journal.offset;
}

static void reply_acknowledged(struct call *call) {
    reply_integer(call->reply,
                  (int64_t)primary_acknowledged(call->server, call->session->wrote, false));
}

static bool refuse_on_replica(struct call *call, const char *name) {
    if (!call->server->replication.is_replica) return false;
    call_error(call,
               "ERR %s cannot be used with replica instances. Please also note that since Redis "
               "4.0 if a replica is configured to be writable (which is not the default) writes "
               "to replicas are just local and are not propagated.",
               name);
    return true;
}

static bool parse_wait_timeout(struct call *call, uint32_t index, int64_t *timeout_ms) {
    if (!call_parse_i64(call, index, timeout_ms, "ERR timeout is not an integer or out of range"))
        return false;
    if (*timeout_ms >= 0) return true;
    call_error(call, "ERR timeout is negative");
    return false;
}

/* Once for who waits: asking anew whenever it is looked at again would fill the stream. */
static void ask_for(struct call *call) {
    if (call->ready == CALL_WOKEN) return;
    replicator_of(call->server)->primary.asked = 0;
    call->server->replication.wanted = true;
}

void primary_wait(struct call *call) {
    int64_t wanted, timeout_ms;
    if (refuse_on_replica(call, "WAIT") || !call_parse_i64(call, 1, &wanted, NULL) ||
        !parse_wait_timeout(call, 2, &timeout_ms))
        return;
    if ((int64_t)primary_acknowledged(call->server, call->session->wrote, false) >= wanted ||
        !call_may_wait(call)) {
        reply_acknowledged(call);
        return;
    }
    struct call_wait wait = {.timeout_ms = timeout_ms, .timed_out = reply_acknowledged};
    call_wait(call, &wait);
    ask_for(call);
}

static bool is_local_on_disk(const struct call *call) {
    const struct appending *appending = &call->server->appending;
    return appending_is_established(appending) &&
           aof_safe_offset(&appending->aof) >= call->session->wrote;
}

static void reply_on_disk(struct call *call) {
    reply_array(call->reply, 2);
    reply_integer(call->reply, is_local_on_disk(call));
    reply_integer(call->reply,
                  (int64_t)primary_acknowledged(call->server, call->session->wrote, true));
}

void primary_wait_for_files(struct call *call) {
    int64_t local, wanted, timeout_ms;
    if (!call_parse_range(call, 1, 0, 1, &local, NULL) ||
        !call_parse_range(call, 2, 0, INT64_MAX, &wanted, NULL) ||
        !parse_wait_timeout(call, 3, &timeout_ms) || refuse_on_replica(call, "WAITAOF"))
        return;
    if (local > 0 && !call->server->appending.is_on) {
        call_error(call, "ERR WAITAOF cannot be used when numlocal is set but appendonly is "
                         "disabled.");
        return;
    }
    bool is_there =
        local <= is_local_on_disk(call) &&
        (int64_t)primary_acknowledged(call->server, call->session->wrote, true) >= wanted;
    if (is_there || !call_may_wait(call)) {
        reply_on_disk(call);
        return;
    }
    struct call_wait wait = {.timeout_ms = timeout_ms, .timed_out = reply_on_disk};
    call_wait(call, &wait);
    ask_for(call);
}

/* ---- what may not run ---- */

bool primary_refuses(struct call *call) {
    const struct server *server = call->server;
    const struct config *config = server->config;
    uint32_t flags = dispatch_flags(call);
    if (call->session->flags & SESSION_PRIMARY) return false;
    if (server->replication.is_replica) {
        if (flags & COMMAND_WRITE && config->replica_read_only) {
            call_error(call, "READONLY You can't write against a read only replica.");
            return true;
        }
        if (flags & COMMAND_STALE || config->replica_serve_stale_data || link_is_up(server))
            return false;
        if (call->session->flags & SESSION_SCRIPT)
            call_error(call, "ERR Can not execute the command on a stale replica");
        else
            call_error(call, "MASTERDOWN Link with MASTER is down and replica-serve-stale-data is "
                             "set to 'no'.");
        return true;
    }
    if (!(flags & COMMAND_WRITE)) return false;
    bool too_few = config->min_replicas_to_write > 0 && config->min_replicas_max_lag > 0 &&
                   primary_good(server) < config->min_replicas_to_write;
    bool is_broken = primary_of(server)->is_broken && config->min_replicas_to_ack > 0 &&
                     config->min_replicas_to_ack_policy == ACK_REFUSE;
    if (!too_few && !is_broken) return false;
    call_error(call, "NOREPLICAS Not enough good replicas to write.");
    return true;
}

/* ---- the promise ---- */

/* The offset that so many replicas have acknowledged; 0 when there are fewer. */
static uint64_t acknowledged_by(const struct primary *primary, int64_t wanted) {
    uint64_t best = 0;
    for (const struct replica *one = primary->replicas; one; one = one->next) {
        int64_t count = 0;
        if (!counts(one) || one->acknowledged <= best) continue;
        for (const struct replica *r = primary->replicas; r; r = r->next)
            count += counts(r) && r->acknowledged >= one->acknowledged;
        if (count >= wanted) best = one->acknowledged;
    }
    return best;
}

static void log_broken(const struct server *server, bool is_broken) {
    if (is_broken)
        log_warning(server->log,
                    "min-replicas-to-ack: fewer than %lld replicas acknowledge in "
                    "time; writes are %s",
                    (long long)server->config->min_replicas_to_ack,
                    server->config->min_replicas_to_ack_policy == ACK_DEGRADE
                        ? "answered without them"
                        : "refused");
    else
        log_notice(server->log, "min-replicas-to-ack: enough replicas acknowledge again");
}

static void judge_time(struct server *server, uint64_t kept) {
    struct primary *primary = primary_of(server);
    const struct config *config = server->config;
    bool was_broken = primary->is_broken;
    if (kept >= server->journal.changed) {
        primary->behind_since_us = 0;
        primary->is_broken = false;
    } else if (primary->behind_since_us == 0) {
        primary->behind_since_us = server->monotonic_us;
    }
    if (config->min_replicas_to_ack_policy != ACK_WAIT && primary->behind_since_us != 0) {
        int64_t due_us = primary->behind_since_us + config->min_replicas_to_ack_timeout * 1000;
        if (server->monotonic_us >= due_us)
            primary->is_broken = true;
        else
            replicator_due(server, due_us);
    }
    if (was_broken == primary->is_broken) return;
    primary->broken += primary->is_broken;
    log_broken(server, primary->is_broken);
}

/* This server is none that promises any more: what nobody has acknowledged may be gone, and who
 * waits for a reply that shows it is told nothing. */
static void close_unkept(struct server *server) {
    uint64_t kept = server->journal.promised[JOURNAL_ON_REPLICAS];
    for (uint32_t i = 0; i < server->session_count; i++) {
        struct session *session = server->sessions[i];
        if (session->depends_on > kept &&
            !(session->flags & (SESSION_REPLICATION | SESSION_INTERNAL)))
            session_close_later(session);
    }
}

static void judge_promise(struct server *server) {
    struct primary *primary = primary_of(server);
    struct journal *journal = &server->journal;
    const struct config *config = server->config;
    bool promises = config->min_replicas_to_ack > 0 && !server->replication.is_replica;
    uint64_t before = journal->promised[JOURNAL_ON_REPLICAS];
    uint64_t now = JOURNAL_HORIZON_ALL;
    if (promises) {
        primary_open_backlog(server);
        uint64_t kept = acknowledged_by(primary, config->min_replicas_to_ack);
        if (!server->replication.promises) primary->kept = journal->changed;
        if (kept > primary->kept) primary->kept = kept;
        judge_time(server, primary->kept);
        bool is_open = primary->is_broken && config->min_replicas_to_ack_policy == ACK_DEGRADE;
        now = is_open ? JOURNAL_HORIZON_ALL : primary->kept;
    } else {
        primary->is_broken = false;
        primary->behind_since_us = 0;
    }
    if (server->replication.promises && server->replication.is_replica) close_unkept(server);
    server->replication.promises = promises;
    journal_promise(journal, JOURNAL_ON_REPLICAS, now, promises);
    if (now != before) turn_horizon_moved(server);
}

void primary_before_commit(struct server *server) {
    struct primary *primary = primary_of(server);
    if (server->journal.changed <= primary->asked || server->journal.unit_depth > 0) return;
    primary_ask(server);
    if (primary->behind_since_us == 0) server->replication.wanted = true;
}

void primary_judge(struct server *server) {
    struct replication *replication = &server->replication;
    const struct config *config = server->config;
    replication->may_refuse =
        replication->is_replica || config->min_replicas_to_ack > 0 ||
        (config->min_replicas_to_write > 0 && config->min_replicas_max_lag > 0);
    judge_promise(server);
    if (server->waiting.unkeyed) waiting_wake(server);
}

/* ---- time ---- */

static void ping(struct server *server) {
    struct primary *primary = primary_of(server);
    int64_t period_us = server->config->repl_ping_replica_period * SECOND_US;
    if (server->replication.is_replica || primary_count(server) == 0 || failover_pauses(server))
        return;
    if (server->monotonic_us - primary->pinged_us < period_us) return;
    primary->pinged_us = server->monotonic_us;
    journal_say(&server->journal, &BYTES("PING"), 1);
}

/* Who waits for a dataset gets a sign of life, which it skips. */
static void soothe(struct server *server) {
    for (struct replica *r = primary_of(server)->replicas; r; r = r->next)
        if (!r->wants_bare && (r->state == REPLICA_WAITS ||
                               (r->state == REPLICA_RECEIVES && transfer_is_saving(r->transfer))))
            session_send(r->session, BYTES("\n"));
}

static void drop_silent(struct server *server) {
    int64_t limit_ms = server->config->repl_timeout * 1000;
    for (struct replica *r = primary_of(server)->replicas; r; r = r->next) {
        if (r->session->bytes_out != r->seen_out) {
            r->seen_out = r->session->bytes_out;
            r->moved_ms = server->monotonic_ms;
        }
        int64_t sign_ms = r->state == REPLICA_RECEIVES ? r->moved_ms : r->acknowledged_ms;
        if (r->state >= REPLICA_LOADS && sign_ms < r->session->active_ms)
            sign_ms = r->session->active_ms; /* while it loads it sends empty lines */
        if (r->state < REPLICA_RECEIVES || (r->rdb_only && !r->transfer)) continue;
        if (server->monotonic_ms - sign_ms <= limit_ms) continue;
        char address[IO_ADDRESS_TEXT_MAX];
        session_address(r->session, address);
        log_warning(server->log, "Disconnecting timedout replica (%s): %s",
                    r->state == REPLICA_ONLINE ? "streaming sync" : "full sync", address);
        session_close_later(r->session);
    }
}

/* Nobody is there, and nobody has been for long. */
static void check_backlog(struct server *server) {
    struct primary *primary = primary_of(server);
    int64_t ttl_us = server->config->repl_backlog_ttl * SECOND_US;
    if (primary_count(server) > 0 || !primary->backlog.is_open) {
        primary->alone_since_us = 0;
        return;
    }
    if (primary->alone_since_us == 0) primary->alone_since_us = server->monotonic_us;
    if (server->replication.is_replica || server->replication.promises || ttl_us == 0 ||
        server->monotonic_us - primary->alone_since_us <= ttl_us)
        return;
    log_notice(server->log,
               "Replication backlog freed after %lld seconds without connected replicas.",
               (long long)server->config->repl_backlog_ttl);
    primary_close_backlog(server);
}

void primary_step(struct server *server) {
    struct primary *primary = primary_of(server);
    for (struct replica *r = primary->replicas; r; r = r->next) {
        bool gathers = r->transfer || r->history || r->state < REPLICA_LOADS;
        if (r->state == REPLICA_LOADS && !r->rdb_only && r->has_acknowledged)
            primary_put_online(r);
        else if (r->state == REPLICA_ONLINE && !gathers)
            send_gathered(r);
    }
    transfer_check(server);
    transfer_step(server);
    if (server->waiting.unkeyed && primary->asked == 0) primary_ask(server);
    primary_judge(server);
    if (server->monotonic_us - primary->spoke_us >= SECOND_US) {
        primary->spoke_us = server->monotonic_us;
        ping(server);
        soothe(server);
        drop_silent(server);
        check_backlog(server);
    }
    if (primary->replicas || primary->backlog.is_open)
        replicator_due(server, primary->spoke_us + SECOND_US);
    if (primary->transfer) replicator_due(server, server->monotonic_us + POLL_US);
}

bool primary_may_end(struct server *server) {
    bool all = true;
    if (server->replication.is_replica) return true;
    for (const struct replica *r = primary_of(server)->replicas; r; r = r->next)
        all &= r->state != REPLICA_ONLINE || r->acknowledged >= server->journal.changed;
    if (all) return true;
    primary_ask(server);
    journal_commit(&server->journal);
    replicator_due(server, server->monotonic_us + POLL_US);
    return false;
}

void primary_close(struct server *server) {
    transfer_cancel(server);
    history_cancel(server);
    primary_close_backlog(server);
}
