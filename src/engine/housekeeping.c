/* housekeeping.c: the server's own work, in portions that no client feels. */
#include "engine/housekeeping.h"

#include "base/invariant.h"
#include "engine/config.h"
#include "engine/field_expiry.h"
#include "engine/server.h"

/* ---- active expiry ---- */

struct sweeping {
    struct server *server;
    size_t fields_left; /* of hashes, that may be removed in this step */
};

/* A hash's fields may be due while its key is not. */
static void expire_due(void *context, struct database *db, const struct entry *entry) {
    struct sweeping *sweeping = context;
    struct server *server = sweeping->server;
    if (entry_expiry(entry) > server->now_ms) {
        if (sweeping->fields_left > 0)
            sweeping->fields_left -= field_expiry_due(server, db, entry, sweeping->fields_left);
        if (sweeping->fields_left == 0) server->sweep_again = true;
        return;
    }
    struct key key = key_make(&server->keyspace, entry_key(entry));
    struct spot spot = database_locate(db, &key);
    INVARIANT(spot.entry == entry);
    server_expire(server, db, &spot);
}

/* One database until it is swept or the time is over; false when the time is over. A segment full
 * of what is due takes longer than all else here, so another is not begun unless one like the last
 * would end in time. */
static bool sweep_database(struct server *server, struct database *db, int64_t end_us) {
    bool wrapped = false;
    struct sweeping sweeping = {.server = server};
    int64_t before_us = io_monotonic_us(server->io);
    while (!wrapped) {
        sweeping.fields_left = HOUSEKEEPING_SWEEP_FIELDS;
        database_sweep(db, server->now_ms, HOUSEKEEPING_SWEEP_STEP, expire_due, &sweeping,
                       &wrapped);
        if (wrapped && server->sweep_again) wrapped = server->sweep_again = false;
        int64_t now_us = io_monotonic_us(server->io);
        if (now_us + (now_us - before_us) >= end_us) return wrapped;
        before_us = now_us;
    }
    return true;
}

/* Each database once, going on where the last turn's time was over. */
static void sweep(struct server *server) {
    int64_t begun_us = io_monotonic_us(server->io);
    int64_t end_us = begun_us + HOUSEKEEPING_SWEEP_US;
    bool finished = true;
    uint32_t count = server->keyspace.database_count;
    while (finished && server->sweep_database < count) {
        struct database *db = &server->keyspace.databases[server->sweep_database];
        finished = sweep_database(server, db, end_us);
        if (finished) server->sweep_database++;
    }
    server->sweep_unfinished = !finished;
    if (finished)
        server->sweep_database = 0;
    else
        server->statistics.expired_time_cap_reached++;
    int64_t took_us = io_monotonic_us(server->io) - begun_us;
    server->statistics.expire_us += (uint64_t)took_us;
    insight_note(server, "expire-cycle", took_us);
    server_serve_waiting(server);
}

/* ---- sessions ---- */

/* Not who only listens, waits, or is the other end of replication. */
static bool may_idle_out(const struct session *session) {
    enum { LISTENS = SESSION_MONITOR | SESSION_PRIMARY | SESSION_RAW };
    return session->class == SESSION_CLASS_NORMAL && !(session->flags & LISTENS) && !session->held;
}

enum { ENDED_MS_MAX = 5000 };

static void check_session(struct server *server, struct session *session) {
    int64_t timeout_s = server->config->timeout;
    if (session->flags & (SESSION_INTERNAL | SESSION_CLOSE_NOW)) return;
    /* Nobody knows whether its client is still there; what it waits for may not come. */
    if (session->has_ended && server->monotonic_ms - session->active_ms > ENDED_MS_MAX) {
        session_close_later(session);
        return;
    }
    if (timeout_s > 0 && may_idle_out(session) &&
        server->monotonic_ms - session->active_ms > timeout_s * 1000) {
        log_verbose(server->log, "Closing idle client");
        session_close_later(session);
        return;
    }
    if (session->soft_limit_since_ms && !session_check_output(session))
        session_close_later(session);
}

/* All sessions within a second. */
static void check_sessions(struct server *server) {
    uint32_t count = server->session_count, hz = (uint32_t)server->config->hz;
    uint32_t share = count / hz + HOUSEKEEPING_SESSIONS;
    if (share > count) share = count;
    for (uint32_t i = 0; i < share; i++) {
        if (server->session_checked >= count) server->session_checked = 0;
        check_session(server, server->sessions[server->session_checked++]);
    }
    server_close_marked(server);
}

/* ---- now and then ---- */

static enum use_kind use_kind_of(int policy) {
    switch (policy) {
    case POLICY_ALLKEYS_LFU:
    case POLICY_VOLATILE_LFU: return USE_BY_COUNT;
    case POLICY_ALLKEYS_LRM:
    case POLICY_VOLATILE_LRM: return USE_BY_CHANGE;
    default: return USE_BY_TIME;
    }
}

/* So many that each entry's turn comes in USE_ROUND_S. */
static void age_entries(struct server *server) {
    size_t rounds = (size_t)(USE_ROUND_S * server->config->hz);
    keyspace_age(&server->keyspace, keyspace_count(&server->keyspace) / rounds + 1);
}

void housekeeping_set_clock(struct server *server) {
    const struct config *config = server->config;
    struct use_policy *use = &server->keyspace.use;
    use->kind = use_kind_of(config->maxmemory_policy);
    use->is_fine = config->maxmemory > 0 && config->maxmemory_policy != POLICY_NOEVICTION;
    use->factor = (uint32_t)config->lfu_log_factor;
    use->decay_minutes = (uint32_t)config->lfu_decay_time;
    use_set_time(use, server->monotonic_us);
}

static void sample(struct server *server) {
    struct statistics *statistics = &server->statistics;
    int64_t now = server->monotonic_ms;
    statistics_sample(&statistics->rate_commands, now, statistics->commands);
    statistics_sample(&statistics->rate_turns, now, statistics->turns);
    statistics_sample(&statistics->rate_turns_us, now, statistics->turns_us);
    statistics_sample(&statistics->rate_in, now, statistics->bytes_in);
    statistics_sample(&statistics->rate_out, now, statistics->bytes_out);
    statistics_sample(&statistics->rate_replicated_in, now, statistics->replicated_in);
    statistics_sample(&statistics->rate_replicated_out, now, statistics->replicated_out);
    server_note_memory(server);
}

/* A dataset that is not complete yet must not replace the file. False: it shall not end. */
static bool save_before_end(struct server *server) {
    uint32_t flags = server->shutdown_flags;
    bool wanted = flags & SHUTDOWN_SAVE || server->config->save.count > 0;
    if (server->loading || (flags & SHUTDOWN_NOSAVE) || !wanted) return true;
    log_notice(server->log, "Saving the final RDB snapshot before exiting.");
    if (saving_run(server)) return true;
    if (flags & SHUTDOWN_FORCE) {
        log_warning(server->log, "Error trying to save the DB, but it was forced to exit.");
        return true;
    }
    log_warning(server->log, "Error trying to save the DB, can't exit.");
    return false;
}

/* Those that are behind get some time, while nothing is written. */
static bool waits_for_replicas(struct server *server) {
    const struct replication *replication = &server->replication;
    int64_t timeout_us = server->config->shutdown_timeout * 1000000;
    if (!replication->host || server->shutdown_flags & (SHUTDOWN_NOW | SHUTDOWN_FORCE) ||
        timeout_us == 0 || replication->hooks->may_end(server))
        return false;
    if (server->shutdown_until_us == 0) {
        log_notice(server->log, "Waiting for replicas before shutting down.");
        server->shutdown_until_us = server->monotonic_us + timeout_us;
    }
    if (server->monotonic_us < server->shutdown_until_us) return true;
    log_warning(server->log, "Some replicas are lagging: they do not have everything");
    return false;
}

static void check_shutdown(struct server *server) {
    int signal_number = server->io->operations->take_signal(server->io);
    if (signal_number != 0) {
        log_warning(server->log, "Received %s scheduling shutdown...",
                    signal_number == 2 ? "SIGINT" : "SIGTERM");
        const struct config *config = server->config;
        server_stop(server, 0,
                    (uint32_t)(signal_number == 2 ? config->shutdown_on_sigint
                                                  : config->shutdown_on_sigterm));
    }
    if (!server->shutdown_wanted || server->stopped || waits_for_replicas(server)) return;
    log_warning(server->log, "User requested shutdown...");
    /* With half a script in the dataset there is no going on. */
    bool is_forced = server->shutdown_flags & SHUTDOWN_FORCE || server->journal.muted;
    if ((!appending_may_end(server) && !is_forced) || !save_before_end(server)) {
        server_go_on(server);
        return;
    }
    if (server->appending.is_on) {
        log_notice(server->log, "Calling fsync() on the AOF file.");
        appending_end(server);
    }
    log_warning(server->log, "%s is now ready to exit, bye bye...", "Redis");
    server->stopped = true;
}

void housekeeping_begin(struct server *server) {
    housekeeping_set_clock(server);
    server->housekeeping_due_us = server->monotonic_us;
}

/* While it loads it does nothing but compute, and answers only that it loads. */
static void choose_promptness(struct server *server) {
    bool is_prompt = !server->loading;
    if (is_prompt == server->is_prompt) return;
    server->is_prompt = is_prompt;
    server->io->operations->set_prompt(server->io, is_prompt);
}

void housekeeping(struct server *server) {
    bool due = server->monotonic_us >= server->housekeeping_due_us;
    if (server->shutdown_wanted) check_shutdown(server);
    if (due) {
        housekeeping_set_clock(server);
        choose_promptness(server);
        check_shutdown(server);
        check_sessions(server);
        tracking_limit(server);
        if (server->insight.hotkeys.is_active) hotkeys_check(server);
        sample(server);
        age_entries(server);
        if (!server->loading) saving_check(server);
        if (!server->loading) appending_check(server);
        if (server->housekeeping_count % (uint64_t)server->config->hz == 0)
            defragmenting_check(server);
        server->housekeeping_count++;
        server->housekeeping_due_us = server->monotonic_us + 1000000 / server->config->hz;
    }
    if (server->active_expire && !server->loading && !server->replication.is_replica &&
        server->pause == SERVER_PAUSE_NONE && (due || server->sweep_unfinished))
        sweep(server);
    else
        server->sweep_unfinished = false;
    if (unlikely(server->limit.is_set)) memory_limit_step(server);
    if (unlikely(server->client_limit.is_set)) client_limit_step(server);
    if (unlikely(key_sizes_walks(&server->key_sizes))) key_sizes_step(server);
    if (unlikely(defragmenting_runs(&server->defragmenting))) defragmenting_step(server);
    if (due || server->drain_unfinished)
        server->drain_unfinished = !keyspace_drain(&server->keyspace, HOUSEKEEPING_DRAIN_NODES);
}
