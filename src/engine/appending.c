/* appending.c: the append-only file: on and off, rewritten, rolled, pruned. */
#include "engine/appending.h"

#include "base/invariant.h"
#include "base/memory.h"
#include "engine/config.h"
#include "engine/server.h"
#include "io/files.h"
#include "journal/dataset.h"
#include "rdb/save.h"
#include <errno.h>
#include <stdio.h>

enum {
    PATH_SIZE = 4096,
    SWITCH_RETRY_US = 1000000,
    RETRY_US = 60000000, /* a rewriting that failed is not tried again by itself before */
    PRUNE_EVERY = 100,   /* times that appending_check is called */
};

struct rewriting {
    struct rdb_save save;
    struct buffer libraries; /* of functions */
    struct server *server;
    struct view *view;
    uint64_t increment; /* begins at the view */
    int64_t begun_us;   /* monotonic */
    bool is_rdb;
    bool is_alone; /* nothing is written down: the base is all there will be */
    char folder[2 * PATH_SIZE], path[3 * PATH_SIZE], temporary[3 * PATH_SIZE];
};

/* ---- history ---- */

static void prune(struct server *server) {
    const struct config *config = server->config;
    if (config->aof_disable_auto_gc) return;
    int64_t keep_ms = config->aof_retention_time * 1000;
    uint64_t bytes = (uint64_t)config->aof_retention_size;
    if (keep_ms == 0 && bytes == 0) {
        aof_prune(&server->appending.aof, INT64_MAX, 0);
        return;
    }
    aof_prune(&server->appending.aof, keep_ms == 0 ? INT64_MIN : server->now_ms - keep_ms,
              bytes == 0 ? UINT64_MAX : bytes);
}

/* ---- rewriting ---- */

static void set_paths(struct rewriting *job) {
    const struct server *server = job->server;
    const struct aof *aof = &server->appending.aof;
    char *name = aof_next_base(aof, job->is_rdb);
    snprintf(job->folder, sizeof job->folder, "%s", aof->directory);
    snprintf(job->path, sizeof job->path, "%s/%s", job->folder, name);
    snprintf(job->temporary, sizeof job->temporary, "%s/temp-rewriteaof-%lld.aof", job->folder,
             (long long)server->log->pid);
    job->save.folder = job->folder;
    job->save.path = job->path;
    job->save.temporary = job->temporary;
    memory_free(name);
}

static void job_close(struct rewriting *job) {
    struct server *server = job->server;
    struct appending *appending = &server->appending;
    appending->copied = server->keyspace.epochs.limbo_bytes;
    appending->rewrite_took_s = (io_monotonic_us(server->io) - job->begun_us) / 1000000;
    appending->rewriting = NULL;
    view_close(&server->keyspace, job->view);
    server->drain_unfinished = true;
    buffer_release(&job->libraries);
    memory_free(job);
}

static void rewrite_work(void *context) {
    struct rewriting *job = context;
    rdb_save_run(&job->save);
}

/* 0 or a negative errno. */
static int use_base(const struct rewriting *job) {
    struct server *server = job->server;
    struct aof *aof = &server->appending.aof;
    if (!job->is_alone) {
        aof_set_base(aof, job->is_rdb, job->increment);
        prune(server);
        return 0;
    }
    manifest_add_base(&aof->manifest, aof->name, job->is_rdb, UINT64_MAX);
    return aof_write_manifest(aof, &aof->manifest);
}

static void rewrite_done(void *context) {
    struct rewriting *job = context;
    struct server *server = job->server;
    struct appending *appending = &server->appending;
    bool is_wanted = job->is_alone != appending->is_on;
    if (job->save.error == 0 && is_wanted) {
        job->save.failed_at = "the manifest";
        job->save.error = use_base(job);
    }
    if (job->save.error == 0 && is_wanted) {
        appending->rewrite_failed = false;
        appending->rewrites++;
        appending->failures_in_row = 0;
        appending->base_size = aof_size(&appending->aof);
        log_notice(server->log, "Background AOF rewrite finished successfully");
    } else if (job->save.error == -ECANCELED || !is_wanted) {
        log_notice(server->log, "Background AOF rewrite cancelled");
    } else {
        appending->rewrite_failed = true;
        appending->failures_in_row++;
        appending->rewrite_not_before_us = server->monotonic_us + RETRY_US;
        log_warning(server->log, "Background AOF rewrite failed, writing %s: %s (%s)",
                    job->save.failed_at, strerror(-job->save.error), job->path);
    }
    job_close(job);
    appending_step(appending, io_monotonic_us(server->io));
}

/* The increment that is being written begins at this very moment. */
static bool write_base(struct server *server) {
    struct appending *appending = &server->appending;
    INVARIANT(!appending->rewriting);
    struct view *view = view_open(&server->keyspace);
    if (!view) {
        log_warning(server->log, "Can't rewrite: too many views of the dataset are open");
        return false;
    }
    struct rewriting *job = memory_alloc_zeroed(1, sizeof *job);
    job->server = server;
    job->view = view;
    job->increment = aof_increment(&appending->aof);
    job->is_alone = !appending->is_on;
    job->begun_us = io_monotonic_us(server->io);
    job->is_rdb = server->config->aof_use_rdb_preamble;
    job->save = (struct rdb_save){
        .io = server->io,
        .syncs_on_the_way = server->config->aof_rewrite_incremental_fsync,
        .keys_total = keyspace_count(&server->keyspace),
    };
    saving_describe(server, view, &job->libraries, &job->save.content);
    job->save.content.use = RDB_WRITER_NO_USE;
    job->save.content.is_aof_base = true;
    if (!job->is_rdb) job->save.produce = dataset_write;
    set_paths(job);
    appending->scheduled = false;
    appending->rewriting = job;
    io_submit(server->io, IO_LANE_SAVE, rewrite_work, rewrite_done, job);
    return true;
}

static bool make_folder(const struct server *server) {
    int result = aof_make_directory(&server->appending.aof);
    if (result == 0) return true;
    log_warning(server->log, "Can't make the folder %s: %s", server->appending.aof.directory,
                strerror(-result));
    return false;
}

/* From the start, with a new base. Where it cannot be, writes are refused until it can. */
static bool begin_again(struct server *server) {
    struct appending *appending = &server->appending;
    if (appending_begin(server, false)) return true;
    appending->switches = true;
    appending->rewrite_not_before_us = server->monotonic_us + SWITCH_RETRY_US;
    if (appending->is_on) return false;
    appending->refuses = true;
    appending->aof.error = EIO;
    return false;
}

bool appending_rewrite(struct server *server) {
    struct appending *appending = &server->appending;
    INVARIANT(!appending->rewriting);
    if (appending->is_on && appending->aof.awaits_base) return begin_again(server);
    if (appending->is_on)
        aof_roll(&appending->aof);
    else if (server->loading || !appending_open(server) || !make_folder(server))
        return false;
    log_notice(server->log, "Background append only file rewriting started by pid %lld",
               (long long)server->log->pid);
    return write_base(server);
}

static bool rewrite_is_over(const void *context) {
    const struct appending *appending = context;
    return !appending->rewriting;
}

static bool file_is_over(const void *context) {
    const struct appending *appending = context;
    return !appending->aof.running;
}

void appending_cancel_rewrite(struct server *server) {
    struct appending *appending = &server->appending;
    appending->scheduled = false;
    if (!appending->rewriting) return;
    __atomic_store_n(&appending->rewriting->save.cancelled, 1, __ATOMIC_RELAXED);
    server->io->operations->finish_work_until(server->io, rewrite_is_over, appending);
}

int64_t appending_rewrite_seconds(const struct server *server) {
    const struct rewriting *job = server->appending.rewriting;
    return job ? (server->monotonic_us - job->begun_us) / 1000000 : -1;
}

/* ---- on and off ---- */

static void moved(void *context) {
    struct server *server = context;
    server->appending.refuses = aof_failing(&server->appending.aof);
    if (server->waiting.unkeyed) server->replication.wanted = true; /* perhaps for that */
    turn_horizon_moved(server);
}

static void close_file(struct appending *appending) {
    if (appending->is_open) aof_release(&appending->aof);
    appending->is_open = false;
}

bool appending_open(struct server *server) {
    struct appending *appending = &server->appending;
    const struct config *config = server->config;
    char error[512], parent[PATH_SIZE], directory[2 * PATH_SIZE];
    close_file(appending);
    /* It stays there when `dir` is changed. */
    io_folder(server->io, parent, sizeof parent);
    snprintf(directory, sizeof directory, "%s/%s", parent, config->appenddirname.data);
    const struct aof_options options = {
        .io = server->io,
        .log = server->log,
        .journal = &server->journal,
        .parent = parent,
        .directory = directory,
        .name = config->appendfilename.data,
        .id = server->replication.id,
        .moved = moved,
        .context = server,
    };
    aof_init(&appending->aof, &options);
    appending->is_open = true;
    aof_set_policy(&appending->aof, (enum aof_policy)config->appendfsync);
    appending->aof.timestamps = config->aof_timestamp_enabled;
    if (aof_read_manifest(&appending->aof, error, sizeof error)) return true;
    log_warning(server->log, "Can't use the append only file's manifest: %s", error);
    close_file(appending);
    return false;
}

bool appending_begin(struct server *server, bool is_complete) {
    struct appending *appending = &server->appending;
    struct aof *aof = &appending->aof;
    int64_t now_us = io_monotonic_us(server->io);
    if (appending->is_on) appending_end(server);
    if (!appending->is_open && !appending_open(server)) return false;
    replication_count(server);
    int result = is_complete ? aof_start(aof, now_us) : aof_start_anew(aof, now_us);
    if (result < 0) {
        log_warning(server->log, "Can't open the append-only file: %s", strerror(-result));
        return false;
    }
    appending->is_on = true;
    appending->base_size = aof_size(aof);
    return is_complete || write_base(server);
}

void appending_end(struct server *server) {
    struct appending *appending = &server->appending;
    if (!appending->is_on) return;
    appending_cancel_rewrite(server);
    journal_commit(&server->journal);
    aof_stop(&appending->aof);
    appending->is_on = false;
    server->io->operations->finish_work_until(server->io, file_is_over, appending);
    if (!aof_is_clean(&appending->aof))
        log_warning(server->log, "The last changes could not be written to the append only file");
    appending->refuses = false;
    close_file(appending);
}

bool appending_may_end(const struct server *server) {
    const struct appending *appending = &server->appending;
    if (server->loading || !appending->is_on || !appending->aof.awaits_base) return true;
    log_warning(server->log, "Writing initial AOF, can't exit.");
    return false;
}

void appending_close(struct server *server) {
    appending_cancel_rewrite(server);
    appending_end(server);
    close_file(&server->appending);
}

bool appending_switch(struct server *server, bool on, char *error, size_t error_size) {
    struct appending *appending = &server->appending;
    if (server->journal.unit_depth > 0) { /* which no file may have half of */
        appending->switches = true;
        return true;
    }
    appending->switches = false;
    if (!on) appending->refuses = false;
    if (on == appending->is_on || server->loading) return true;
    appending_cancel_rewrite(server);
    if (!on) {
        appending_end(server);
        return true;
    }
    if (appending_begin(server, false)) return true;
    appending_end(server);
    snprintf(error, error_size, "Unable to turn on AOF. Check server logs.");
    return false;
}

/* ---- what directives change ---- */

static bool change_appendonly(void *context, struct config *config, char *error,
                              size_t error_size) {
    return appending_switch(context, config->appendonly, error, error_size);
}

static bool change_policy(void *context, struct config *config, char *error, size_t error_size) {
    struct server *server = context;
    struct aof *aof = &server->appending.aof;
    (void)error, (void)error_size;
    if (!server->appending.is_open) return true;
    aof_set_policy(aof, (enum aof_policy)config->appendfsync);
    aof->timestamps = config->aof_timestamp_enabled;
    return true;
}

static bool stay_in_directory(void *context, struct config *config, char *error,
                              size_t error_size) {
    struct server *server = context;
    (void)config, (void)error, (void)error_size;
    if (server->appending.is_on)
        log_notice(server->log,
                   "The append only file stays in %s until appendonly is switched off and on",
                   server->appending.aof.directory);
    return true;
}

void appending_observe(struct server *server) {
    server->appending.rewrite_took_s = -1;
    config_observe(server->config, "appendonly", change_appendonly, server);
    config_observe(server->config, "dir", stay_in_directory, server);
    config_observe(server->config, "appendfsync", change_policy, server);
    config_observe(server->config, "aof-timestamp-enabled", change_policy, server);
}

/* ---- now and then ---- */

static bool has_grown(const struct server *server) {
    const struct config *config = server->config;
    const struct appending *appending = &server->appending;
    uint64_t size = aof_size(&appending->aof);
    if (config->auto_aof_rewrite_percentage == 0 ||
        size < (uint64_t)config->auto_aof_rewrite_min_size)
        return false;
    uint64_t base = appending->base_size ? appending->base_size : 1;
    if (size <= base) return false;
    return (double)(size - base) * 100 >=
           (double)base * (double)config->auto_aof_rewrite_percentage;
}

/* What was asked for inside of a unit, or could not be done. */
static void switch_at_last(struct server *server) {
    struct appending *appending = &server->appending;
    char error[128];
    if (appending_switch(server, server->config->appendonly, error, sizeof error)) return;
    appending->switches = true;
    appending->rewrite_not_before_us = server->monotonic_us + SWITCH_RETRY_US;
}

void appending_check(struct server *server) {
    struct appending *appending = &server->appending;
    struct aof *aof = &appending->aof;
    bool may_now = server->monotonic_us >= appending->rewrite_not_before_us;
    if (appending->switches && may_now) switch_at_last(server);
    if (appending->rewriting) return;
    if (!appending->is_on) {
        if (appending->scheduled) {
            appending->scheduled = false;
            appending_rewrite(server);
        }
        return;
    }
    if (aof->is_gone && may_now) {
        log_warning(server->log, "The append only file was removed: a new one is begun");
        begin_again(server);
    } else if (appending->scheduled || (aof->awaits_base && may_now)) {
        appending->scheduled = false;
        appending_rewrite(server);
    } else if (aof->awaits_base || appending->refuses) {
        /* not before the disk is well */
    } else if (may_now && has_grown(server)) {
        log_notice(server->log, "Starting automatic rewriting of AOF on %.0f%% growth",
                   (double)(aof_size(aof) - appending->base_size) * 100 /
                       (double)(appending->base_size ? appending->base_size : 1));
        appending_rewrite(server);
    } else if (aof->file_size >= (uint64_t)server->config->aof_increment_size) {
        aof_roll(aof);
    } else if (server->housekeeping_count % PRUNE_EVERY == 0) {
        prune(server);
    }
}
