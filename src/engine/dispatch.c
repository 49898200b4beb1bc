/* dispatch.c: finds out which command a request is, refuses what may not run, runs the rest, and
 * hands its effects to the journal. */
#include "engine/dispatch.h"

#include "base/invariant.h"
#include "base/memory.h"
#include "engine/acl.h"
#include "engine/call.h"
#include "engine/command.h"
#include "engine/config.h"
#include "engine/server.h"
#include "engine/transaction.h"
#include <stdio.h>

enum { UNKNOWN_SHOWN_MAX = 128 }; /* bytes of name and arguments that an error repeats */

/* ---- refusals ---- */

static void refuse_unknown(struct call *call) {
    char text[2 * UNKNOWN_SHOWN_MAX + 64];
    size_t used = 0;
    for (uint32_t i = 1; i < call->argc && used < UNKNOWN_SHOWN_MAX; i++) {
        size_t room = UNKNOWN_SHOWN_MAX - used;
        size_t size = call->argv[i].size < room ? call->argv[i].size : room;
        used += (size_t)snprintf(text + used, sizeof text - used, "'%.*s' ", (int)size,
                                 call->argv[i].data);
    }
    size_t name = call->argv[0].size < UNKNOWN_SHOWN_MAX ? call->argv[0].size : UNKNOWN_SHOWN_MAX;
    call_error(call, "ERR unknown command '%.*s', with args beginning with: %.*s", (int)name,
               call->argv[0].data, (int)used, text);
}

/* A web page may make a browser post what looks like requests to a port of this machine. */
static bool is_http(struct bytes name) {
    return bytes_is(name, "post") || bytes_is(name, "host:");
}

static bool refuse_http(struct call *call) {
    char address[IO_ADDRESS_TEXT_MAX];
    session_address(call->session, address);
    log_warning(
        call->server->log,
        "Possible SECURITY ATTACK detected. It looks like somebody is sending POST or Host: "
        "commands to Redis. This is likely due to an attacker attempting to use Cross Protocol "
        "Scripting to compromise your instance. Connection from %s aborted.",
        address);
    session_close_later(call->session);
    return true;
}

/* DEBUG and MODULE, which a directive allows: no, yes, or from this machine only. */
static bool refused_protected(struct call *call) {
    struct server *server = call->server;
    if (!(call->command->flags & COMMAND_PROTECTED)) return false;
    bool is_debug = bytes_is(call->command->name, "debug"); /* of MODULE its subcommands are */
    int allowed =
        is_debug ? server->config->enable_debug_command : server->config->enable_module_command;
    if (allowed == GUARD_YES) return false;
    if (allowed == GUARD_LOCAL &&
        (call->session->socket == IO_NONE ||
         server->io->operations->peer_is_local(server->io, call->session->socket)))
        return false;
    call_error(call,
               "ERR %s command not allowed. If the enable-%s-command option is set to "
               "\"local\", you can run it from a local connection, otherwise you need to set "
               "this option in the configuration file, and then restart the server.",
               is_debug ? "DEBUG" : "MODULE", is_debug ? "debug" : "module");
    return true;
}

static inline bool is_exec(const struct command *command) {
    static const char name[sizeof command->name_words[0]] = "exec";
    return command && command->scope == 0 && command->name_words[0] == bytes_word(name);
}

/* An error follows: for EXEC it is one that ends the transaction. */
static void begin_refusal(struct call *call) {
    call->refuses_unit = is_exec(call->command);
}

/* Of the command, and for EXEC of what it would run. */
uint32_t dispatch_flags(const struct call *call) {
    enum { OF_QUEUED = COMMAND_WRITE | COMMAND_MAY_REPLICATE | COMMAND_DENYOOM };
    uint32_t flags = call->command->flags;
    if (!is_exec(call->command)) return flags;
    return flags | (transaction_command_flags(call->session) & OF_QUEUED);
}

/* Memory is short, and the command may need more; or it is to be queued, which needs some. */
static bool refused_by_memory(struct call *call) {
    static const char *const ends[] = {"exec", "discard", "quit", "reset"};
    bool needs = dispatch_flags(call) & COMMAND_DENYOOM;
    if (call->session->flags & SESSION_MULTI && !needs) {
        needs = true;
        for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++)
            needs &= !bytes_is(call->command->full_name, ends[i]);
    }
    if (!needs || !memory_limit_check(call->server)) return false;
    begin_refusal(call);
    call_error(call, "OOM command not allowed when used memory > 'maxmemory'.");
    return true;
}

/* The dataset is not there yet, or cannot be saved. */
static bool refused_by_state(struct call *call) {
    const struct server *server = call->server;
    uint32_t flags = dispatch_flags(call);
    begin_refusal(call);
    bool writes = flags & COMMAND_WRITE || bytes_is(call->command->full_name, "ping");
    if (unlikely(server->saving.failed) && writes && saving_refuses_writes(server)) {
        call_error(
            call,
            "MISCONF Redis is configured to save RDB snapshots, but it's currently unable to "
            "persist to disk. Commands that may modify the data set are disabled, because this "
            "instance is configured to report errors during writes if RDB snapshotting fails "
            "(stop-writes-on-bgsave-error option). Please check the Redis logs for details about "
            "the RDB error.");
        return true;
    }
    if (unlikely(server->appending.refuses) && writes) {
        call_error(call, "MISCONF Errors writing to the AOF file: %s",
                   strerror(server->appending.aof.error));
        return true;
    }
    if (unlikely(server->loading) && !(flags & COMMAND_LOADING)) {
        call_error(call, "LOADING Redis is loading the dataset in memory");
        return true;
    }
    if (unlikely(server->replication.may_refuse) && server->replication.hooks->refuses(call))
        return true;
    if (unlikely(server->scripting.busy) && !(flags & COMMAND_ALLOW_BUSY) &&
        !(call->session->flags & SESSION_INTERNAL)) {
        call_error_busy(call);
        return true;
    }
    call->refuses_unit = false;
    return false;
}

/* While a session of RESP2 is subscribed, replies could not be told from messages. */
static bool refused_subscribed(struct call *call) {
    const struct session *session = call->session;
    if (!(session->flags & SESSION_SUBSCRIBED) || session->protocol != 2) return false;
    if (call->command->flags & COMMAND_SUBSCRIBED) return false;
    struct bytes name = call->command->full_name;
    begin_refusal(call);
    call_error(call,
               "ERR Can't execute '%.*s': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / "
               "RESET are allowed in this context",
               (int)name.size, name.data);
    return true;
}

/* A reply to a replica would stand in the stream that it gets: it acknowledges, and nothing else.
 */
static bool refused_to_replica(struct call *call) {
    struct bytes name = call->command->full_name;
    if (call->session->class != SESSION_CLASS_REPLICA || bytes_is(name, "replconf") ||
        bytes_is(name, "psync") || bytes_is(name, "sync"))
        return false;
    log_warning(call->server->log, "A replica sent '%.*s', which is not for replicas: closed",
                (int)name.size, name.data);
    call_error(call, "ERR Replica can't interact with the keyspace");
    session_close_later(call->session);
    return true;
}

/* What the session is in the middle of does not go with the command. */
static bool refused_by_session(struct call *call) {
    uint32_t session = call->session->flags, command = call->command->flags;
    const char *error = NULL;
    if (session & SESSION_MULTI && command & COMMAND_NO_MULTI)
        error = "ERR Command not allowed inside a transaction";
    else if (session & SESSION_MONITOR && command & (COMMAND_WRITE | COMMAND_READONLY))
        error = "ERR Replica can't interact with the keyspace"; /* as which it counts in Redis */
    if (error) call_error(call, "%s", error);
    return error != NULL || refused_subscribed(call) || refused_to_replica(call);
}

/* The user may not do that. */
static bool refused_by_rules(struct call *call) {
    begin_refusal(call);
    if (acl_refuses(call)) return true;
    call->refuses_unit = false;
    return false;
}

/* True when the call was answered with an error instead. */
static bool refused(struct call *call, const struct command *container) {
    const struct command *command = call->command;
    if (!command) {
        if (is_http(call->argv[0])) return refuse_http(call);
        if (container)
            call_error_subcommand(call);
        else
            refuse_unknown(call);
        return true;
    }
    if (unlikely(!command_arity_fits(command, call->argc))) {
        begin_refusal(call);
        call_error_arity(call);
        return true;
    }
    if (unlikely(!command->handler)) {
        call_error_arity(call);
        return true;
    }
    if (unlikely(call->session->restricted) && !(command->flags & COMMAND_NO_AUTH) &&
        !session_is_authenticated(call->session)) {
        begin_refusal(call);
        call_error(call, "NOAUTH Authentication required.");
        return true;
    }
    if (refused_protected(call)) return true;
    if (unlikely(call->session->flags & (SESSION_UNUSUAL | SESSION_MONITOR | SESSION_REPLICA)) &&
        refused_by_session(call))
        return true;
    if (unlikely(call->session->restricted) && refused_by_rules(call)) return true;
    return dispatch_refused_by_state(call);
}

bool dispatch_refused_by_state(struct call *call) {
    const struct server *server = call->server;
    /* What a script that lets others in between has seen is not evicted under it. */
    if (unlikely(server->limit.is_set) && !call->in_unit && !server->turn.interrupted &&
        refused_by_memory(call))
        return true;
    return (unlikely(server->saving.failed) || unlikely(server->loading) ||
            unlikely(server->scripting.busy) || unlikely(server->appending.refuses) ||
            unlikely(server->replication.may_refuse)) &&
           refused_by_state(call);
}

/* ---- pause ---- */

static bool must_wait(const struct call *call) {
    const struct server *server = call->server;
    if (likely(server->pause == SERVER_PAUSE_NONE) || (call->session->flags & SESSION_INTERNAL))
        return false;
    if (server->pause == SERVER_PAUSE_ALL)
        return !call->command || !(call->command->flags & COMMAND_ADMIN) ||
               !bytes_is(call->argv[0], "client");
    if (!call->command) return false;
    uint32_t flags = dispatch_flags(call) & (COMMAND_WRITE | COMMAND_MAY_REPLICATE);
    if (flags == COMMAND_MAY_REPLICATE && server->scripting.host)
        return !server->scripting.only_reads(server->scripting.host, call);
    return flags != 0;
}

/* ---- running ---- */

static void propagate(struct call *call) {
    struct server *server = call->server;
    server->changes_since_save += call->changes;
    if (call->unit_begun) journal_end_unit(&server->journal);
    if (!journal_active(&server->journal)) return;
    if (!call->effects_said) {
        journal_append(&server->journal, call->database->number, call->argv, call->argc);
    }
    call->session->wrote = server->journal.changed;
}

static void count_latency(struct command_statistics *counts, uint64_t ticks) {
    if (unlikely(counts->latency == NULL))
        counts->latency = memory_alloc_zeroed(1, sizeof *counts->latency);
    latency_add(counts->latency, ticks);
}

/* The reply may show what others have changed. */
enum { SEES_DATA = COMMAND_WRITE | COMMAND_READONLY | COMMAND_MAY_REPLICATE };

/* Its time is counted, and what it changed goes to the journal. The ticks it took. */
static uint64_t run(struct call *call, command_handler *handler) {
    struct server *server = call->server;
    uint64_t begun = server->turn.ticks; /* the handler may run others */
    if (unlikely(server->insight.hotkeys.is_active)) hotkeys_begin(call);
    handler(call);
    struct command_statistics *counts = &server->command_statistics[call->command->number];
    uint64_t now = io_ticks(server->io);
    counts->ticks += now - begun;
    counts->failed += call->failed;
    if (server->config->latency_tracking && !unlikely(call->waits))
        count_latency(counts, now - begun);
    server->turn.ticks = now;
    if (call->changes || call->effects_said) propagate(call);
    if (call->command->flags & SEES_DATA) call->session->depends_on = server->journal.changed;
    return now - begun;
}

/* A command that waits is counted once, however often it is run. */
static void run_first(struct call *call) {
    struct server *server = call->server;
    uint64_t ticks = run(call, call->command->handler);
    server->command_statistics[call->command->number].calls++;
    server->statistics.commands++;
    call->session->commands++;
    if (unlikely(ticks >= server->insight.notable_ticks)) insight_command(call, ticks, false);
}

/* It was answered with an error instead of being run or queued. */
static void note_refusal(struct call *call) {
    struct session *session = call->session;
    if (call->command) call->server->command_statistics[call->command->number].rejected++;
    if (is_exec(call->command))
        transaction_discard(session); /* also what is watched without a transaction */
    else if (session->flags & SESSION_MULTI)
        transaction_spoil(session);
}

/* False when it was refused. */
static bool answer(struct call *call, const struct command *container) {
    if (unlikely(refused(call, container))) {
        note_refusal(call);
        return false;
    }
    call->session->last_executed = call->command;
    run_first(call);
    return true;
}

static void queue(struct call *call, const struct command *container) {
    struct session *session = call->session;
    if (refused(call, container)) {
        note_refusal(call);
        return;
    }
    session->last_executed = call->command;
    transaction_queue(session, call->command, call->request, call->hashes);
    reply_simple(call->reply, "QUEUED");
}

/* The reply goes nowhere, until session_unmute. */
static void mute(struct session *session, struct reply *kept) {
    *kept = session->reply;
    session->muted = kept;
    session->reply.muted = true;
    session->reply.cursor = session->reply.end = NULL;
}

/* Of a session that has SESSION_UNUSUAL flags. The reply may not be wanted, unless the command says
 * otherwise (CLIENT REPLY ON, RESET). */
static void answer_unusual(struct call *call, const struct command *container) {
    struct session *session = call->session;
    struct reply kept;
    if (session->flags & (SESSION_REPLY_OFF | SESSION_REPLY_SKIP_NEXT)) mute(session, &kept);
    session->flags &= ~(uint32_t)SESSION_REPLY_SKIP_NEXT;
    bool runs = call->command && call->command->flags & COMMAND_NOT_QUEUED;
    if (session->flags & SESSION_MULTI && !runs) {
        queue(call, container);
    } else {
        bool ran = answer(call, container);
        if (session->flags & SESSION_TRACKING && ran) tracking_note(call);
    }
    if (session->flags & SESSION_TRACKING) tracking_end_request(session, call->command);
    session_unmute(session);
}

void dispatch_in_unit(struct call *call) {
    struct session *session = call->session;
    struct reply kept;
    bool unwanted = session->flags & (SESSION_REPLY_OFF | SESSION_CLOSE_AFTER_REPLY);
    bool mutes = unlikely(unwanted) && !session->muted;
    if (mutes) mute(session, &kept);
    if (unlikely(session->restricted) && acl_refuses_queued(call)) {
        call->server->command_statistics[call->command->number].rejected++;
    } else {
        run_first(call);
        if (unlikely(session->flags & SESSION_TRACKING)) tracking_note(call);
    }
    if (mutes) session_unmute(session);
}

/* A request of the session, for which nothing is past its time and which may not wait. */
static inline struct call call_of(struct session *session, const struct command *command,
                                  struct request *request, const uint64_t *hashes) {
    struct server *server = session->server;
    return (struct call){
        .server = server,
        .session = session,
        .command = command,
        .argv = request->arguments,
        .argc = request->count,
        .hashes = hashes,
        .request = request,
        .reply = &session->reply,
        .database = &server->keyspace.databases[session->database],
    };
}

/* False when it has to be held: for a pause, or because it waits for keys (then it is already). */
static bool run_request(struct session *session, const struct command *command,
                        struct request *request, const uint64_t *hashes) {
    struct server *server = session->server;
    const struct command *container = NULL;
    if (command && command->subcommand_count > 0 && request->count > 1) {
        const struct command *sub =
            command_find_subcommand(server->commands, command, request->arguments[1]);
        if (!sub) container = command;
        command = sub;
    }
    struct call call = call_of(session, command, request, hashes);
    call.now_ms = server->now_ms;
    call.may_wait = !(session->flags & SESSION_INTERNAL);
    if (unlikely(must_wait(&call))) {
        session->last_executed = command;
        /* What would be refused need not wait for that. */
        if (session->flags & SESSION_UNUSUAL || !refused(&call, container)) return false;
        note_refusal(&call);
        return true;
    }
    if (unlikely(session->flags & SESSION_UNUSUAL))
        answer_unusual(&call, container);
    else
        answer(&call, container);
    return !unlikely(call.waits);
}

static bool finished(const struct session *session) {
    return session->flags & (SESSION_CLOSE_NOW | SESSION_CLOSE_AFTER_REPLY);
}

/* What is to be done behind a command, before the next one. */
static inline bool has_behind(const struct server *server) {
    return (waiting_is_ready(&server->waiting) | (server->put_off_first != NULL)) != 0;
}

static void run_behind(struct server *server) {
    session_send_put_off(server);
    /* A script that lets others in between is to find its keys as it left them. */
    if (waiting_is_ready(&server->waiting) && !server->turn.interrupted) waiting_serve(server);
}

void dispatch(struct session *session, const struct command *command, struct request *request,
              const uint64_t *hashes) {
    if (unlikely(session->flags &
                 (SESSION_CLOSE_NOW | SESSION_CLOSE_AFTER_REPLY | SESSION_PRIMARY))) {
        if (finished(session)) return;
        /* What runs now is in the middle of something: the primary's changes come behind it. */
        if (session->server->turn.interrupted || session->held)
            session_hold(session, request);
        else
            session->server->replication.hooks->apply(session, command, request, hashes);
        return;
    }
    if (unlikely(session->held)) {
        session_hold(session, request);
        return;
    }
    bool done = run_request(session, command, request, hashes);
    if (unlikely(!done) && !session->held) session_hold(session, request);
    if (unlikely(has_behind(session->server))) run_behind(session->server);
}

static bool run_held(struct session *session, const struct command *command,
                     struct request *request) {
    if (!(session->flags & SESSION_PRIMARY)) return run_request(session, command, request, NULL);
    session->server->replication.hooks->apply(session, command, request, NULL);
    return true;
}

void dispatch_held(struct session *session) {
    if (session->waiter) return;
    struct turn *turn = &session->server->turn;
    struct session_held *first = session->held;
    session->held = NULL;
    session->flags &= ~(uint32_t)SESSION_LATE;
    turn->ticks = io_ticks(session->server->io);
    session_reply_begin(session);
    while (first && !finished(session)) {
        const struct command *command = server_find_command(session->server, first->words[0]);
        bool done = run_held(session, command, &first->request);
        if (!done && !session->held) break;
        if (session->flags & SESSION_MULTI) transaction_keep(session);
        struct session_held *next = first->next;
        session_drop_held(session, first);
        first = next;
        if (has_behind(session->server)) run_behind(session->server);
        if (!done) break;
        if (first && turn_is_late(turn) && !(session->flags & SESSION_PRIMARY)) {
            session->flags |= SESSION_LATE;
            break;
        }
    }
    if (session->waiter)
        session->held->next = first;
    else
        session->held = first;
    if (session->protocol_error && !session->held) session_answer_protocol_error(session);
    session_reply_end(session);
    session_watch(session);
    bool has_work = session->held ? session->flags & SESSION_LATE : session->flags & SESSION_MORE;
    if (has_work) turn_enqueue(session->server, session);
}

bool dispatch_waiting(struct session *session, uint32_t ready, command_handler *instead) {
    struct server *server = session->server;
    struct session_held *held = session->held;
    struct reply kept;
    struct call call = {
        .server = server,
        .session = session,
        .command = held->command,
        .argv = held->words,
        .argc = held->request.count,
        .request = &held->request,
        .reply = &session->reply,
        .database = &server->keyspace.databases[session->database],
        .now_ms = server->now_ms,
        .ready = ready,
        .may_wait = true,
    };
    server->turn.ticks = io_ticks(server->io);
    session_reply_begin(session);
    if (held->muted) mute(session, &kept);
    uint64_t ticks = 0;
    if (unlikely(session->restricted) && !instead && acl_refuses(&call)) {
        server->command_statistics[call.command->number].rejected++; /* the rules have changed */
    } else {
        ticks = run(&call, instead ? instead : held->command->handler);
    }
    if (unlikely(ticks >= server->insight.notable_ticks) && !instead)
        insight_command(&call, ticks, true);
    session_unmute(session);
    session_reply_end(session);
    session_send_put_off(server);
    return !call.waits;
}

/* The subcommand, if it is one. False: it is nothing that can be run. */
static bool find_effect(const struct server *server, const struct request *request,
                        const struct command **command) {
    if (*command && (*command)->subcommand_count > 0 && request->count > 1)
        *command = command_find_subcommand(server->commands, *command, request->arguments[1]);
    return *command && (*command)->handler && command_arity_fits(*command, request->count);
}

bool dispatch_replicated(struct session *session, const struct command *command,
                         struct request *request, const uint64_t *hashes) {
    struct server *server = session->server;
    struct reply kept;
    if (!find_effect(server, request, &command)) return false;
    struct call call = call_of(session, command, request, hashes);
    session->last_executed = command;
    if (session->flags & SESSION_MULTI && !(command->flags & COMMAND_NOT_QUEUED)) {
        transaction_queue(session, command, request, hashes);
        return true;
    }
    mute(session, &kept);
    run_first(&call);
    session_unmute(session);
    if (unlikely(has_behind(server))) run_behind(server);
    return !call.failed;
}

bool dispatch_effect(struct session *session, struct request *request, char *error,
                     size_t error_size) {
    struct server *server = session->server;
    struct bytes name = request->arguments[0];
    const struct command *command = command_find(server->commands, name);
    if (!find_effect(server, request, &command)) {
        int size = name.size < UNKNOWN_SHOWN_MAX ? (int)name.size : UNKNOWN_SHOWN_MAX;
        snprintf(error, error_size, "%s command '%.*s' reading the append only file",
                 command ? "Malformed" : "Unknown", size, name.data);
        return false;
    }
    struct call call = call_of(session, command, request, NULL);
    command->handler(&call);
    INVARIANT(!call.unit_begun); /* nothing of it goes to the journal */
    if (!call.failed) return true;
    log_warning(server->log,
                "An effect in the append only file could not be made again: '%.*s' was answered "
                "with an error",
                (int)command->full_name.size, command->full_name.data);
    return true;
}
