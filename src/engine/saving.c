/* saving.c: when an RDB file is saved, and what is said of it. */
#include "engine/saving.h"

#include "base/invariant.h"
#include "base/memory.h"
#include "engine/config.h"
#include "engine/server.h"
#include "engine/version.h"
#include "io/files.h"
#include "rdb/save.h"
#include <errno.h>
#include <stdio.h>

enum { PATH_SIZE = 4096, RETRY_S = 5 };

struct saving_job {
    struct rdb_save save;
    struct buffer libraries; /* of functions */
    struct server *server;
    struct view *view;
    uint64_t changes; /* since the save before, when it began */
    int64_t begun_us; /* monotonic */
    uint64_t copied;  /* the most bytes that waited for the view's end */
    char folder[PATH_SIZE], path[2 * PATH_SIZE], temporary[2 * PATH_SIZE];
};

/* ---- a job ---- */

static enum rdb_writer_use use_of(const struct config *config) {
    switch (config->maxmemory_policy) {
    case POLICY_ALLKEYS_LFU:
    case POLICY_VOLATILE_LFU: return RDB_WRITER_FREQUENCY;
    case POLICY_ALLKEYS_LRU:
    case POLICY_VOLATILE_LRU:
    case POLICY_ALLKEYS_LRM:
    case POLICY_VOLATILE_LRM: return RDB_WRITER_IDLE;
    default: return RDB_WRITER_NO_USE;
    }
}

void saving_describe(struct server *server, struct view *view, struct buffer *libraries,
                     struct rdb_writer_options *options) {
    const struct config *config = server->config;
    struct scripting *scripting = &server->scripting;
    if (scripting->host)
        scripting->encode_libraries(scripting->host, config->rdbcompression, libraries);
    *options = (struct rdb_writer_options){
        .view = view,
        .world = &server->keyspace.world,
        .policy = server->keyspace.use,
        .use = use_of(config),
        .redis_version = REDIS_VERSION,
        .memory = server_used_memory(server),
        .libraries = buffer_bytes(libraries),
        .now_s = server->now_ms / 1000,
        .compresses = config->rdbcompression,
        .checksums = config->rdbchecksum,
    };
    replication_history(server, &options->history);
}

/* Absolute paths: `dir` may change while it is written. */
static void set_paths(struct saving_job *job, const struct server *server) {
    io_folder(server->io, job->folder, sizeof job->folder);
    snprintf(job->path, sizeof job->path, "%s/%s", job->folder, server->config->dbfilename.data);
    snprintf(job->temporary, sizeof job->temporary, "%s/temp-%lld.rdb", job->folder,
             (long long)server->log->pid);
    job->save.folder = job->folder;
    job->save.path = job->path;
    job->save.temporary = job->temporary;
}

/* NULL when no view can be had. */
static struct saving_job *job_open(struct server *server) {
    struct view *view = view_open(&server->keyspace);
    if (!view) {
        log_warning(server->log, "Can't save: too many views of the dataset are open");
        return NULL;
    }
    struct saving_job *job = memory_alloc_zeroed(1, sizeof *job);
    job->server = server;
    job->view = view;
    job->changes = server->changes_since_save;
    job->begun_us = io_monotonic_us(server->io);
    job->save = (struct rdb_save){
        .io = server->io,
        .syncs_on_the_way = server->config->rdb_save_incremental_fsync,
        .keys_total = keyspace_count(&server->keyspace),
    };
    saving_describe(server, view, &job->libraries, &job->save.content);
    set_paths(job, server);
    return job;
}

static void log_failure(const struct saving_job *job) {
    const struct rdb_save *save = &job->save;
    if (save->error == -ECANCELED) return;
    log_warning(job->server->log, "Write error while saving DB to the disk(%s): %s (%s)",
                save->failed_at, strerror(-save->error), job->path);
}

static void log_success(const struct saving_job *job) {
    int64_t us = io_monotonic_us(job->server->io) - job->begun_us;
    double seconds = (double)us / 1e6, mebibytes = (double)job->save.bytes / (1024 * 1024);
    log_notice(job->server->log, "DB saved on disk");
    log_verbose(job->server->log, "Saved %llu keys, %.2f MB in %.3f seconds (%.0f MB/s)",
                (unsigned long long)job->save.keys_done, mebibytes, seconds,
                seconds > 0 ? mebibytes / seconds : 0);
}

static void job_close(struct saving_job *job) {
    struct server *server = job->server;
    size_t copied = server->keyspace.epochs.limbo_bytes;
    server->saving.copied = copied > job->copied ? copied : job->copied;
    view_close(&server->keyspace, job->view);
    server->drain_unfinished = true;
    buffer_release(&job->libraries);
    memory_free(job);
}

static void note_success(struct server *server, const struct saving_job *job) {
    server->changes_since_save -= job->changes;
    server->last_save_s = io_wall_us(server->io) / 1000000;
    server->saving.saves++;
    server->saving.failed = false;
}

/* ---- in front ---- */

static bool job_is_over(const void *context) {
    const struct saving *saving = context;
    return !saving->job;
}

bool saving_run(struct server *server) {
    saving_cancel(server);
    server->io->operations->finish_work_until(server->io, job_is_over, &server->saving);
    struct saving_job *job = job_open(server);
    if (!job) return false;
    bool good = rdb_save_run(&job->save);
    if (good) {
        note_success(server, job);
        log_success(job);
    } else {
        log_failure(job);
    }
    job_close(job);
    return good;
}

/* ---- in the background ---- */

static void save_work(void *context) {
    struct saving_job *job = context;
    rdb_save_run(&job->save);
}

static void save_done(void *context) {
    struct saving_job *job = context;
    struct server *server = job->server;
    struct saving *saving = &server->saving;
    saving->took_s = (io_monotonic_us(server->io) - job->begun_us) / 1000000;
    if (job->save.error == 0) {
        note_success(server, job);
        log_success(job);
        log_notice(server->log, "Background saving terminated with success");
    } else if (job->save.error == -ECANCELED) {
        log_notice(server->log, "Background saving cancelled");
    } else {
        saving->failed = true;
        log_failure(job);
        log_warning(server->log, "Background saving error");
    }
    saving->job = NULL;
    job_close(job);
}

bool saving_begin(struct server *server) {
    struct saving *saving = &server->saving;
    INVARIANT(!saving->job);
    saving->scheduled = false;
    saving->tried = true;
    saving->tried_s = server->now_ms / 1000;
    saving->job = job_open(server);
    if (!saving->job) {
        saving->failed = true;
        return false;
    }
    log_notice(server->log, "Background saving started by pid %lld", (long long)server->log->pid);
    io_submit(server->io, IO_LANE_SAVE, save_work, save_done, saving->job);
    return true;
}

bool saving_cancel(struct server *server) {
    struct saving *saving = &server->saving;
    bool was = saving->scheduled || saving->job;
    saving->scheduled = false;
    if (saving->job) __atomic_store_n(&saving->job->save.cancelled, 1, __ATOMIC_RELAXED);
    return was;
}

/* ---- by itself ---- */

static const struct config_save_point *point_due(const struct server *server) {
    const struct config_save *points = &server->config->save;
    const struct saving *saving = &server->saving;
    int64_t now_s = server->now_ms / 1000;
    if (saving->failed && now_s - saving->tried_s <= RETRY_S) return NULL;
    for (size_t i = 0; i < points->count; i++) {
        const struct config_save_point *point = &points->points[i];
        if (server->changes_since_save >= (uint64_t)point->changes &&
            now_s - server->last_save_s > point->seconds)
            return point;
    }
    return NULL;
}

void saving_check(struct server *server) {
    struct saving *saving = &server->saving;
    if (saving->job) {
        size_t copied = server->keyspace.epochs.limbo_bytes;
        if (copied > saving->job->copied) saving->job->copied = copied;
        return;
    }
    const struct config_save_point *point = point_due(server);
    if (point) {
        log_notice(server->log, "%lld changes in %lld seconds. Saving...",
                   (long long)point->changes, (long long)point->seconds);
        saving_begin(server);
    } else if (saving->scheduled) {
        saving_begin(server);
    }
}

bool saving_refuses_writes(const struct server *server) {
    return server->saving.failed && server->config->stop_writes_on_bgsave_error &&
           server->config->save.count > 0;
}

struct saving_progress saving_progress(const struct server *server) {
    const struct saving_job *job = server->saving.job;
    if (!job) return (struct saving_progress){.took_s = -1};
    return (struct saving_progress){
        .keys_total = job->save.keys_total,
        .keys_done = __atomic_load_n(&job->save.keys_done, __ATOMIC_RELAXED),
        .bytes = __atomic_load_n(&job->save.bytes, __ATOMIC_RELAXED),
        .took_s = (server->monotonic_us - job->begun_us) / 1000000,
    };
}
