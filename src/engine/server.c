/* server.c: a server's life: opening, listening, turns, closing. */
#include "engine/server.h"

#include "base/invariant.h"
#include "base/memory.h"
#include "engine/acl.h"
#include "engine/command.h"
#include "engine/config.h"
#include "engine/dispatch.h"
#include "engine/housekeeping.h"
#include "engine/notify.h"
#include "engine/report.h"
#include <stdio.h>

/* ---- randomness ---- */

static uint64_t rotate(uint64_t x, int k) {
    return (x << k) | (x >> (64 - k));
}

/* xoshiro256**, Blackman and Vigna, https://prng.di.unimi.it */
static uint64_t generate(uint64_t s[4]) {
    uint64_t result = rotate(s[1] * 5, 7) * 9;
    uint64_t t = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rotate(s[3], 45);
    return result;
}

uint64_t server_random(struct server *server) {
    struct server_random *random = &server->random;
    uint64_t *word = &random->ahead[random->next++ % SERVER_RANDOM_AHEAD];
    uint64_t result = *word;
    *word = generate(random->state);
    return result;
}

uint64_t server_random_ahead(const struct server *server, unsigned index) {
    const struct server_random *random = &server->random;
    return random->ahead[(random->next + index) % SERVER_RANDOM_AHEAD];
}

static void random_init(struct server_random *random, struct io *io) {
    io_entropy(io, random->state, sizeof random->state);
    for (unsigned i = 0; i < SERVER_RANDOM_AHEAD; i++)
        random->ahead[i] = generate(random->state);
}

void server_make_id(struct io *io, char out[SERVER_RUN_ID_SIZE + 1]) {
    static const char digits[] = "0123456789abcdef";
    uint8_t random[SERVER_RUN_ID_SIZE / 2];
    io_entropy(io, random, sizeof random);
    for (size_t i = 0; i < sizeof random; i++) {
        out[2 * i] = digits[random[i] >> 4];
        out[2 * i + 1] = digits[random[i] & 15];
    }
    out[SERVER_RUN_ID_SIZE] = 0;
}

/* ---- disposal on a worker ---- */

struct disposal {
    void (*free_it)(void *);
    void *what;
    size_t size;
    struct server *server;
};

static void dispose_work(void *context) {
    struct disposal *disposal = context;
    disposal->free_it(disposal->what);
}

static void dispose_done(void *context) {
    struct disposal *disposal = context;
    disposal->server->disposals--;
    disposal->server->disposing_bytes -= disposal->size;
    disposal->server->disposed++;
    memory_free(disposal);
}

static void dispose(void *context, void (*free_it)(void *), void *what, size_t size) {
    struct server *server = context;
    struct disposal *disposal = memory_alloc(sizeof *disposal);
    *disposal = (struct disposal){free_it, what, size, server};
    server->disposals++;
    server->disposing_bytes += size;
    io_submit(server->io, IO_LANE_DISPOSE, dispose_work, dispose_done, disposal);
}

/* ---- time ---- */

static void take_time(struct server *server) {
    server->monotonic_us = io_monotonic_us(server->io);
    server->monotonic_ms = server->monotonic_us / 1000;
    server->now_ms = io_wall_us(server->io) / 1000;
    if (server->keyspace.use.is_fine) use_set_time(&server->keyspace.use, server->monotonic_us);
}

/* ---- commands by other names ---- */

/* False with a text when a name is unknown or taken. */
static bool rename_commands(struct server *server, char *error, size_t error_size) {
    const struct config_statements *statements = &server->config->rename_command;
    server->renames = memory_alloc(statements->count * sizeof *server->renames + 1);
    for (size_t i = 0; i < statements->count; i++) {
        struct bytes from = statements->items[i].items[0], to = statements->items[i].items[1];
        const struct command *command = server_find_command(server, from);
        if (!command && to.size == 0 && command_is_absent(from)) continue;
        if (!command) {
            snprintf(error, error_size, "rename-command: no such command: '%s'", from.data);
            return false;
        }
        if (to.size > 0 && server_find_command(server, to)) {
            snprintf(error, error_size, "rename-command: target command name already exists: '%s'",
                     to.data);
            return false;
        }
        server->renames[server->rename_count++] = (struct server_rename){command, to};
    }
    return true;
}

const struct command *server_find_command(const struct server *server, struct bytes name) {
    const struct command *command = command_find(server->commands, name);
    if (likely(server->rename_count == 0)) return command;
    for (uint32_t i = server->rename_count; i-- > 0;) {
        const struct server_rename *rename = &server->renames[i];
        if (rename->name.size > 0 && bytes_equal_ignore_case(rename->name, name))
            return rename->command;
        if (rename->command == command) return NULL;
    }
    return command;
}

/* ---- opening ---- */

static bool policy_changed(void *context, struct config *config, char *error, size_t error_size) {
    (void)config;
    (void)error;
    (void)error_size;
    housekeeping_set_clock(context);
    memory_limit_configure(context);
    client_limit_configure(context);
    return true;
}

static bool limit_changed(void *context, struct config *config, char *error, size_t error_size) {
    const struct server *server = context;
    uint64_t used = server_used_memory(server);
    if (config->maxmemory > 0 && used > config->maxmemory)
        log_warning(
            server->log,
            "WARNING: the new maxmemory value set via CONFIG SET (%llu) is smaller than the "
            "current memory usage (%llu). This will result in key eviction and/or the "
            "inability to accept new write commands depending on the maxmemory-policy.",
            (unsigned long long)config->maxmemory, (unsigned long long)used);
    return policy_changed(context, config, error, error_size);
}

static bool events_changed(void *context, struct config *config, char *error, size_t error_size) {
    (void)config;
    (void)error;
    (void)error_size;
    notify_configure(context);
    return true;
}

struct server *server_open(const struct server_options *options, char *error, size_t error_size) {
    struct server *server = memory_alloc_zeroed(1, sizeof *server);
    struct hash_secret secret;
    server->io = options->io;
    server->config = options->config;
    server->log = options->log;
    server->commands = options->commands;
    server->supervisor = options->supervisor;
    io_entropy(server->io, &secret, sizeof secret);
    random_init(&server->random, server->io);
    server_make_id(server->io, server->run_id);
    server_make_id(server->io, server->replication.id);
    take_time(server);
    server->started_ms = server->now_ms;
    server->started_monotonic_ms = server->monotonic_ms;
    server->last_save_s = server->now_ms / 1000;
    server->active_expire = true;
    server->meter = memory_meter();
    keyspace_init(&server->keyspace, (uint32_t)server->config->databases, &secret);
    server->keyspace.dispose = dispose;
    server->keyspace.dispose_context = server;
    journal_init(&server->journal);
    turn_init(&server->turn);
    const struct hash_secret *names = &server->keyspace.secret;
    waiting_init(&server->waiting, names);
    watching_init(&server->watching, names);
    pubsub_init(&server->pubsub, names);
    tracking_init(&server->tracking, names);
    statistics_reset(&server->statistics);
    server->command_statistics =
        memory_alloc_zeroed(server->commands->count, sizeof *server->command_statistics);
    housekeeping_begin(server);
    memory_limit_init(server);
    client_limit_configure(server);
    config_observe(server->config, "notify-keyspace-events", events_changed, server);
    notify_configure(server);
    config_observe(server->config, "maxmemory", limit_changed, server);
    insight_open(server);
    config_observe(server->config, "maxmemory-policy", policy_changed, server);
    config_observe(server->config, "maxmemory-clients", policy_changed, server);
    config_observe(server->config, "maxmemory-samples", policy_changed, server);
    config_observe(server->config, "maxmemory-eviction-tenacity", policy_changed, server);
    config_observe(server->config, "lfu-log-factor", policy_changed, server);
    config_observe(server->config, "lfu-decay-time", policy_changed, server);
    appending_observe(server);
    server->startup_memory = server_used_memory(server);
    if (rename_commands(server, error, error_size) && acl_open(server, error, error_size))
        return server;
    server_close(server);
    return NULL;
}

void server_close(struct server *server) {
    if (server->replication.host) server->replication.hooks->close(server);
    loading_end(server); /* which has a session of its own */
    while (server->session_count > 0)
        session_close(server->sessions[server->session_count - 1]);
    server_close_listeners(server);
    saving_cancel(server);
    appending_close(server);
    server->io->operations->finish_work(server->io);
    if (server->scripting.host) server->scripting.close(server->scripting.host);
    insight_close(server);
    acl_close(server);
    waiting_release(&server->waiting);
    watching_release(&server->watching);
    pubsub_release(&server->pubsub);
    tracking_release(&server->tracking);
    key_sizes_release(server);
    keyspace_release(&server->keyspace);
    journal_release(&server->journal);
    turn_release(&server->turn);
    memory_free(server->sessions);
    memory_free(server->renames);
    server_reset_statistics(server);
    memory_free(server->command_statistics);
    memory_free(server);
}

/* ---- sessions ---- */

void server_close_marked(struct server *server) {
    struct session *next = server->close_first;
    server->close_first = NULL;
    while (next) {
        struct session *session = next;
        next = session->close_next;
        if (unlikely(session->flags & SESSION_PINNED)) {
            session->close_next = server->close_first;
            server->close_first = session;
        } else {
            session_close(session);
        }
    }
}

struct session *server_find_session(const struct server *server, uint64_t id) {
    for (uint32_t i = 0; i < server->session_count; i++)
        if (server->sessions[i]->id == id) return server->sessions[i];
    return NULL;
}

/* What all pauses make together. */
static void settle_pause(struct server *server) {
    enum server_pause before = server->pause;
    server->pause = SERVER_PAUSE_NONE;
    server->pause_until_ms = SERVER_PAUSE_UNTIL_MAX_MS;
    for (int i = 0; i < SERVER_PAUSERS; i++) {
        if (server->pauses[i].what == SERVER_PAUSE_NONE) continue;
        if (server->pauses[i].what > server->pause) server->pause = server->pauses[i].what;
        if (server->pauses[i].until_ms < server->pause_until_ms)
            server->pause_until_ms = server->pauses[i].until_ms;
    }
    if (server->pause < before) server->resume_held = true;
}

void server_pause(struct server *server, enum server_pauser pauser, enum server_pause what,
                  int64_t until_ms) {
    if (what > server->pauses[pauser].what) server->pauses[pauser].what = what;
    if (until_ms > server->pauses[pauser].until_ms) server->pauses[pauser].until_ms = until_ms;
    settle_pause(server);
}

void server_unpause(struct server *server, enum server_pauser pauser) {
    server->pauses[pauser].what = SERVER_PAUSE_NONE;
    server->pauses[pauser].until_ms = 0;
    settle_pause(server);
}

static void end_pauses(struct server *server) {
    for (int i = 0; i < SERVER_PAUSERS; i++)
        if (server->pauses[i].what != SERVER_PAUSE_NONE &&
            server->monotonic_ms >= server->pauses[i].until_ms)
            server_unpause(server, (enum server_pauser)i);
}

/* Sessions that waited for the end of the pause go on, behind whatever runs now. */
static void resume_held(struct server *server) {
    server->resume_held = false;
    for (uint32_t i = 0; i < server->session_count; i++)
        if (server->sessions[i]->held) dispatch_held(server->sessions[i]);
    waiting_resume(server);
    journal_commit(&server->journal);
}

/* The time of some that wait for keys is over. */
static void time_out(struct server *server) {
    waiting_time_out(server);
    waiting_resume(server);
    journal_commit(&server->journal);
}

void server_serve_waiting(struct server *server) {
    if (waiting_is_ready(&server->waiting)) {
        waiting_serve(server);
        waiting_resume(server);
    }
    journal_commit(&server->journal);
}

/* ---- turns ---- */

enum { MODERATION_US = 40 }; /* how long a rest is */

static void handle_event(struct server *server, const struct io_event *event) {
    const struct server_listener *listener = event->context;
    if (listener >= server->listeners && listener < server->listeners + SERVER_LISTENERS_MAX) {
        server->accept_from |= UINT32_C(1) << (listener - server->listeners);
        return;
    }
    struct session *session = event->context;
    if (unlikely(session->flags & SESSION_RAW)) {
        server->replication.hooks->event(session, event->ready);
        if (!(event->ready & IO_WRITABLE) || session->flags & SESSION_CLOSE_NOW) return;
    } else if (session->held) {
        /* Not before what is held has run; from now on the poller tells only of the end. */
        session_watch(session);
        if (event->ready & IO_HANGUP && session_is_blocked(session)) session_close_later(session);
    } else if (event->ready & (IO_READABLE | IO_HANGUP)) {
        if (session->watched & IO_READABLE)
            turn_enqueue(server, session);
        else if (event->ready & IO_HANGUP)
            session_close_later(session);
    }
    if (event->ready & IO_WRITABLE) session_flush_later(session);
}

/* Behind the batches, so that clients that have gone make room first. */
static void accept_waiting(struct server *server) {
    for (uint16_t i = 0; i < server->listener_count; i++)
        if (server->accept_from >> i & 1) server_accept(server, i);
    server->accept_from = 0;
}

/* Microseconds until something must be done without being asked; 0: now. */
static int64_t until_due(const struct server *server) {
    if (server->turn.queue_first || server->turn.flush_first || server->turn.delivery_first ||
        server->tracking.has_changes || server->sweep_unfinished || server->drain_unfinished ||
        server->limit.unfinished || server->client_limit.unfinished || server->resume_held ||
        (server->shutdown_wanted && server->shutdown_until_us == 0) ||
        ((server->loading || server->aside) && !loading_waits(server)))
        return 0;
    int64_t due = server->housekeeping_due_us;
    if (server->pause != SERVER_PAUSE_NONE && server->pause_until_ms * 1000 < due)
        due = server->pause_until_ms * 1000;
    if (server->replication.host) {
        if (server->replication.wanted) return 0;
        if (server->replication.due_us < due) due = server->replication.due_us;
    }
    int64_t waiting_due = waiting_due_us(&server->waiting);
    if (waiting_due < due) due = waiting_due;
    int64_t room_due = memory_room_due_us(server);
    if (room_due < due) due = room_due;
    int64_t appending_due = appending_due_us(&server->appending);
    if (appending_due < due) due = appending_due;
    const struct defragmenting *defragmenting = &server->defragmenting;
    if (defragmenting_runs(defragmenting) && defragmenting->due_us < due)
        due = defragmenting->due_us;
    if (unlikely(key_sizes_walks(&server->key_sizes)) && server->key_sizes.due_us < due)
        due = server->key_sizes.due_us;
    int64_t left = due - io_monotonic_us(server->io);
    return left > 0 ? left : 0;
}

/* Wait for events. Under load from many clients that each wait for their answer, falling asleep and
 * waking for every few requests costs more than serving them: then a short rest gathers more of
 * them. */
static int wait_events(struct server *server, struct io_event *events) {
    int64_t due_us = until_due(server);
    if (server->load.moderate && due_us > MODERATION_US) {
        int count = io_wait(server->io, events, TURN_EVENTS, 0);
        if (count != 0) return count;
        server->io->operations->sleep_us(server->io, MODERATION_US);
        due_us = until_due(server);
    }
    return io_wait(server->io, events, TURN_EVENTS, due_us);
}

/* Ask the poller, unless sessions are in line and it was asked a moment ago. */
static void poll_events(struct server *server) {
    struct io_event events[TURN_EVENTS];
    if (server->turn.queue_first && server->monotonic_us - server->polled_us < TURN_POLL_US) {
        take_time(server);
        return;
    }
    int count = wait_events(server, events);
    take_time(server);
    server->polled_us = server->monotonic_us;
    for (int i = 0; i < count; i++)
        handle_event(server, &events[i]);
}

void server_turn(struct server *server) {
    poll_events(server);
    if (server->pause != SERVER_PAUSE_NONE && server->monotonic_ms >= server->pause_until_ms)
        end_pauses(server);
    if (unlikely(server->resume_held)) resume_held(server);
    if (server->monotonic_us >= waiting_due_us(&server->waiting)) time_out(server);
    turn_batches(server);
    if (server->accept_from) accept_waiting(server);
    if (unlikely(replication_is_due(&server->replication, server->monotonic_us)))
        server->replication.hooks->step(server);
    if (unlikely(server->loading || server->aside)) {
        loading_step(server);
        server_serve_waiting(server);
    }
    housekeeping(server);
    appending_step(&server->appending, server->monotonic_us);
    server->statistics.turns++;
    int64_t now_us = io_monotonic_us(server->io);
    int64_t took = now_us - server->monotonic_us;
    load_turned(&server->load, now_us, took);
    server->statistics.turns_us += (uint64_t)(took > 0 ? took : 0);
    if (took > (int64_t)server->statistics.turn_us_max)
        server->statistics.turn_us_max = (uint64_t)took;
}

void server_serve_others(struct server *server) {
    struct io_event events[TURN_EVENTS];
    int count = io_wait(server->io, events, TURN_EVENTS, 0);
    take_time(server);
    for (int i = 0; i < count; i++)
        handle_event(server, &events[i]);
    turn_batches(server);
    if (server->accept_from) accept_waiting(server);
}

int server_run(struct server *server) {
    while (!server->stopped)
        server_turn(server);
    return server->exit_code;
}

void server_stop(struct server *server, int exit_code, uint32_t flags) {
    if (server->shutdown_wanted) return;
    server->shutdown_wanted = true;
    server->shutdown_flags = flags;
    server->exit_code = exit_code;
    server_pause(server, PAUSER_SHUTDOWN, SERVER_PAUSE_WRITES, SERVER_PAUSE_UNTIL_MAX_MS);
}

bool server_go_on(struct server *server) {
    if (!server->shutdown_wanted || server->stopped) return false;
    /* Half of a script is in the dataset and not in the journal: there is no way back. */
    if (server->journal.muted) return false;
    server->shutdown_wanted = false;
    server->shutdown_until_us = 0;
    for (uint32_t i = 0; i < server->session_count; i++)
        if (server->sessions[i]->flags & SESSION_CLOSE_AFTER_REPLY)
            session_flush_later(server->sessions[i]);
    server_unpause(server, PAUSER_SHUTDOWN);
    return true;
}

void server_key_changed(struct server *server, uint32_t database, struct bytes name) {
    if (server->waiting.count > 0) waiting_key_changed(server, database, name);
    if (server->watching.count > 0) watching_key_changed(server, database, name);
    if (server->tracking.sessions > 0) tracking_key_changed(server, name, server->turn.writer);
}

static void note_database(struct server *server, uint32_t database) {
    if (server->waiting.count > 0) waiting_database_changed(server, database);
    if (server->watching.count > 0) watching_database_changed(server, database);
}

void server_database_changed(struct server *server, uint32_t database) {
    note_database(server, database);
    if (server->tracking.sessions > 0) tracking_all_changed(server);
}

void server_databases_exchanged(struct server *server, uint32_t a, uint32_t b) {
    note_database(server, a);
    note_database(server, b);
    if (server->tracking.sessions > 0) tracking_all_changed(server);
}

/* Of those who wait only some want to know of it. */
static void server_key_gone(struct server *server, uint32_t database, struct bytes name) {
    if (server->waiting.gone_keys > 0) waiting_key_changed(server, database, name);
    if (server->watching.count > 0) watching_key_changed(server, database, name);
    if (server->tracking.sessions > 0) tracking_key_changed(server, name, NULL);
}

void server_remove_key(struct server *server, struct database *db, struct spot *spot,
                       enum notify_class class, const char *event) {
    struct bytes words[] = {BYTES("DEL"), entry_key(spot->entry)};
    struct buffer name = {0};
    bool is_told = server->interests || server->notify;
    journal_append(&server->journal, db->number, words, 2);
    if (unlikely(is_told)) buffer_append(&name, words[1].data, words[1].size);
    database_remove(db, spot);
    if (likely(!is_told)) return;
    if (server->interests) server_key_gone(server, db->number, buffer_bytes(&name));
    if (server->notify) server->notify(server, db->number, buffer_bytes(&name), class, event);
    buffer_release(&name);
}

void server_expire(struct server *server, struct database *db, struct spot *spot) {
    server->statistics.expired_keys++;
    server_remove_key(server, db, spot, NOTIFY_EXPIRED, "expired");
}
