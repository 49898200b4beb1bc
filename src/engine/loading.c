/* loading.c: the dataset from its files, in slices or at once.
 *
 *     appendonly no:   dump.rdb
 *     appendonly yes:  the manifest's base and increments, in order; where there are none, the old
 *                      single file, which is taken over; where there is none, dump.rdb, and then a
 *                      base is written before the first client is served
 *
 * A file that begins as an RDB file does is one, and may go on with commands. */
#include "engine/loading.h"

#include "base/invariant.h"
#include "base/memory.h"
#include "engine/config.h"
#include "engine/dispatch.h"
#include "engine/notify.h"
#include "engine/server.h"
#include "journal/replay.h"
#include "rdb/load.h"
#include <errno.h>
#include <stdio.h>

enum {
    SLICE_US = 2000,        /* of a turn */
    ASIDE_SLICE_US = 500,   /* while another dataset is being served */
    STEP_BYTES = 32 * 1024, /* between two looks at the clock */
    STEP_COMMANDS = 200,
};

enum state { MORE, WAITS, DONE, FAILED };

/* One of the append-only file's. */
struct part {
    char *path;
    uint64_t size;
    bool is_base;
};

struct loading {
    struct server *server;
    struct rdb_load load;
    struct replay replay;
    bool has_load, has_replay; /* are open */
    bool from_log;             /* the append-only file's parts are loaded */
    bool keeps_history;        /* the stream has readers, and has made what is loaded again */
    bool awaits_base;          /* all is loaded, and a base of it is being written */
    bool merges;
    bool is_served;   /* the engine goes on meanwhile: a worker reads ahead */
    bool is_hopeless; /* the file could not even be begun */
    bool waits;       /* for the worker */
    struct part *parts;
    size_t part_count, part; /* the one being loaded */
    struct session *session; /* runs commands */
    struct rdb_limits limits;
    uint64_t total, passed; /* bytes of all files, and of those before the present one */
    uint64_t commands;
    /* Of another server's dataset: */
    char *path;                 /* NULL: it is this server's own */
    struct database *databases; /* aside; NULL: the keyspace's */
    struct buffer libraries;    /* aside, each with its size in front */
    void (*ended)(struct server *server, const struct rdb_history *history);
    int64_t begun_us; /* monotonic */
    int64_t begun_s;
};

void loading_limits(const struct server *server, struct rdb_limits *limits) {
    const struct config *config = server->config;
    *limits = (struct rdb_limits){
        .list = {config->list_max_listpack_size},
        .set = {(uint64_t)config->set_max_intset_entries,
                (uint64_t)config->set_max_listpack_entries,
                (uint64_t)config->set_max_listpack_value},
        .hash = {(uint64_t)config->hash_max_listpack_entries,
                 (uint64_t)config->hash_max_listpack_value},
        .sorted_set = {(uint64_t)config->zset_max_listpack_entries,
                       (uint64_t)config->zset_max_listpack_value},
    };
}

/* ---- what is said ---- */

static void log_head(const struct server *server, const struct rdb_load *load) {
    int64_t now_s = server->now_ms / 1000;
    if (load->created_s > 0)
        log_notice(server->log, "RDB age %lld seconds",
                   (long long)(load->created_s < now_s ? now_s - load->created_s : 0));
    if (load->memory > 0)
        log_notice(server->log, "RDB memory usage when created %.2f Mb",
                   (double)load->memory / (1024 * 1024));
}

static const char *file_name(const struct loading *loading) {
    if (loading->path) return loading->path;
    return loading->from_log ? loading->parts[loading->part].path
                             : loading->server->config->dbfilename.data;
}

static void log_failure(const struct loading *loading) {
    const struct rdb_load *load = &loading->load;
    struct log *log = loading->server->log;
    switch (load->failure) {
    case RDB_LOAD_NO_RDB: log_warning(log, "Wrong signature trying to load DB from file"); break;
    case RDB_LOAD_TOO_NEW:
        log_warning(log, "Can't handle RDB format version %s", load->error);
        break;
    case RDB_LOAD_BAD_CHECKSUM:
        log_warning(log, "Wrong RDB checksum %s. Aborting now.", load->error);
        break;
    case RDB_LOAD_MALFORMED:
        log_warning(log,
                    "Short read or corrupt data loading DB. Unrecoverable error, aborting now.");
        log_warning(log, "Internal error in RDB reading offset %llu -> %s",
                    (unsigned long long)rdb_load_offset(load), load->error);
        break;
    case RDB_LOAD_UNREADABLE:
    case RDB_LOAD_GOOD: break;
    }
    log_warning(log, "Fatal error loading the DB from %s: %s.%s", file_name(loading), load->error,
                loading->path ? "" : " Exiting.");
}

static void log_rdb(const struct loading *loading) {
    struct log *log = loading->server->log;
    const struct rdb_load *load = &loading->load;
    log_head(loading->server, load);
    log_notice(log, "Done loading RDB, keys loaded: %llu, keys expired: %llu.",
               (unsigned long long)load->keys, (unsigned long long)load->expired);
}

static double seconds_taken(const struct loading *loading) {
    return (double)(io_monotonic_us(loading->server->io) - loading->begun_us) / 1e6;
}

/* ---- an RDB file ---- */

static bool load_library(void *context, struct bytes text) {
    struct server *server = context;
    return server->scripting.load_library(server->scripting.host, text);
}

/* Not before its dataset is there too. */
static bool keep_library(void *context, struct bytes text) {
    struct buffer *libraries = context;
    buffer_append(libraries, &text.size, sizeof text.size);
    buffer_append(libraries, text.data, text.size);
    return true;
}

/* False: it cannot begin; load.failure says why. */
static bool begin_rdb(struct loading *loading, const char *path) {
    struct server *server = loading->server;
    struct rdb_load_options options = {
        .io = server->io,
        .log = server->log,
        .keyspace = &server->keyspace,
        .limits = &loading->limits,
        /* The log says itself when a key went, and so does a primary. */
        .now_ms = loading->from_log || loading->path ? 0 : server->now_ms,
        .checksums = server->config->rdbchecksum,
        .merges = loading->merges,
        .uses_worker = loading->is_served,
    };
    if (server->scripting.host) {
        options.library = load_library;
        options.library_context = server;
    }
    if (loading->databases) {
        options.databases = loading->databases;
        options.library = keep_library;
        options.library_context = &loading->libraries;
    }
    loading->has_load = true;
    return rdb_load_begin(&loading->load, &options, path);
}

static enum state step_rdb(struct loading *loading) {
    switch (rdb_load_step(&loading->load, STEP_BYTES)) {
    case RDB_LOAD_MORE: return MORE;
    case RDB_LOAD_WAITS: return WAITS;
    case RDB_LOAD_DONE: return DONE;
    case RDB_LOAD_FAILED: break;
    }
    log_failure(loading);
    return FAILED;
}

static void end_rdb(struct loading *loading) {
    if (loading->has_load) rdb_load_end(&loading->load);
    loading->has_load = false;
}

/* ---- commands ---- */

static bool execute(void *context, struct request *request, char *error, size_t error_size) {
    struct loading *loading = context;
    loading->commands++;
    return dispatch_effect(loading->session, request, error, error_size);
}

static enum state unreadable(const struct loading *loading, int error) {
    log_warning(loading->server->log, "Can't open the append log file %s for reading: %s",
                loading->parts[loading->part].path, strerror(-error));
    return FAILED;
}

/* Commands from `offset` of the present part on. */
static enum state begin_commands(struct loading *loading, uint64_t offset) {
    struct server *server = loading->server;
    const char *path = loading->parts[loading->part].path;
    int error = replay_open(&loading->replay, server->io, path, offset);
    if (error < 0) return unreadable(loading, error);
    loading->has_replay = true;
    loading->replay.was_whole = loading->parts[loading->part].is_base;
    loading->session->database = 0;
    return MORE;
}

static void end_commands(struct loading *loading) {
    if (loading->has_replay) replay_close(&loading->replay);
    loading->has_replay = false;
}

/* Nothing is written behind the present part. */
static bool is_last(const struct loading *loading) {
    for (size_t i = loading->part + 1; i < loading->part_count; i++)
        if (loading->parts[i].size > 0) return false;
    return true;
}

static int cut(struct io *io, const char *path, uint64_t size) {
    const struct io_operations *files = io->operations;
    io_file file = files->open(io, path, IO_WRITE, 0);
    if (file < 0) return file;
    int error = files->truncate(io, file, size);
    if (error >= 0) error = files->sync(io, file, false);
    files->close(io, file);
    return error;
}

/* Cut the present part behind what is good of it. */
static enum state cut_at_good(struct loading *loading, const char *why) {
    struct server *server = loading->server;
    struct log *log = server->log;
    const struct part *part = &loading->parts[loading->part];
    unsigned long long good = loading->replay.good;
    int error = cut(server->io, part->path, good);
    if (error < 0) {
        log_warning(log, "Error truncating the AOF file %s: %s", part->path, strerror(-error));
        return FAILED;
    }
    log_warning(log, "Truncated the AOF file %s at offset %llu: %llu bytes less", part->path, good,
                (unsigned long long)part->size - good);
    log_warning(log, "AOF %s loaded anyway because %s", part->path, why);
    return DONE;
}

/* The file ends in what a crash has left. */
static enum state cut_tail(struct loading *loading) {
    struct server *server = loading->server;
    struct log *log = server->log;
    const char *path = loading->parts[loading->part].path;
    unsigned long long good = loading->replay.good;
    log_warning(log, "!!! Warning: short read while loading the AOF file %s!!! %s", path,
                loading->replay.error);
    if (!is_last(loading)) {
        log_warning(log,
                    "Unexpected end of file reading the append only file %s at offset %llu, which "
                    "is not the last one. Make a backup, then see what a repair would drop with "
                    "`redstart check aof`, and repair it with --fix.",
                    path, good);
        return FAILED;
    }
    if (!server->config->aof_load_truncated) {
        log_warning(log,
                    "Unexpected end of file reading the append only file %s at offset %llu. Make "
                    "a backup and repair it with `redstart check aof --fix`, or set "
                    "aof-load-truncated to yes and start again.",
                    path, good);
        return FAILED;
    }
    return cut_at_good(loading, "aof-load-truncated is enabled");
}

/* What no crash of ours has left: it is cut only as far as the configuration lets it be. */
static enum state cut_corrupt(struct loading *loading) {
    const struct replay *replay = &loading->replay;
    struct log *log = loading->server->log;
    const struct part *part = &loading->parts[loading->part];
    uint64_t most = (uint64_t)loading->server->config->aof_load_corrupt_tail_max_size;
    uint64_t bad = part->size - replay->good;
    log_warning(log, "Bad file format reading the append only file %s: %s", part->path,
                replay->error);
    if (is_last(loading) && bad <= most)
        return cut_at_good(loading, "aof-load-corrupt-tail-max-size allows it");
    log_warning(log,
                "%llu bytes stand behind that place. Make a backup, then see what a repair would "
                "drop with `redstart check aof`, and repair it with --fix, or set "
                "aof-load-corrupt-tail-max-size.",
                (unsigned long long)bad);
    return FAILED;
}

static enum state step_commands(struct loading *loading) {
    struct server *server = loading->server;
    struct replay *replay = &loading->replay;
    const char *path = loading->parts[loading->part].path;
    switch (replay_step(replay, STEP_COMMANDS, execute, loading)) {
    case REPLAY_MORE: return MORE;
    case REPLAY_DONE: return DONE;
    case REPLAY_TORN: return cut_tail(loading);
    case REPLAY_CORRUPT: return cut_corrupt(loading);
    case REPLAY_ROTTEN:
        log_warning(server->log,
                    "Bad file format reading the append only file %s: %s. This is no crash's "
                    "leftover: the disk gave back other bytes than were written. Make a backup, "
                    "then see what a repair would drop with `redstart check aof`, or start from a "
                    "backup of the file.",
                    path, replay->error);
        return FAILED;
    case REPLAY_REFUSED:
        log_warning(server->log, "Can't load the append only file %s, offset %llu: %s", path,
                    (unsigned long long)replay->offset, replay->error);
        return FAILED;
    }
    return FAILED;
}

/* ---- the append-only file's parts ---- */

static enum state begin_part(struct loading *loading) {
    const struct part *part = &loading->parts[loading->part];
    int is_rdb = rdb_begins(loading->server->io, part->path);
    if (is_rdb < 0) return unreadable(loading, is_rdb);
    if (is_rdb == 0) return begin_commands(loading, 0);
    if (begin_rdb(loading, part->path)) return MORE;
    log_failure(loading);
    return FAILED;
}

static void continue_history(struct loading *loading, const struct rdb_history *history) {
    if (!loading->keeps_history) replication_continue(loading->server, history);
}

static void note_history(struct loading *loading) {
    const struct replay *replay = &loading->replay;
    if (!loading->has_replay) return;
    if (!replay->announced) { /* who wrote these changes did not count them */
        if (replay->commands > 0) loading->server->replication.is_loaded = false;
        return;
    }
    struct rdb_history history = {.offset = replay->last.offset + replay->last.bytes,
                                  .database = loading->session->database};
    memcpy(history.id, replay->last.id, sizeof history.id);
    continue_history(loading, &history);
}

static enum state next_part(struct loading *loading) {
    note_history(loading);
    end_rdb(loading);
    end_commands(loading);
    loading->passed += loading->parts[loading->part].size;
    if (++loading->part == loading->part_count) return DONE;
    return begin_part(loading);
}

/* False: it is not there, or nobody can tell. */
static bool add_part(struct loading *loading, const struct manifest_file *file) {
    struct server *server = loading->server;
    struct buffer path = {0};
    struct io_file_status status = {0};
    aof_path(&server->appending.aof, file->name, &path);
    int error = server->io->operations->status(server->io, path.data, &status);
    if (error == -ENOENT)
        log_warning(server->log, "The AOF file %s that the manifest names doesn't exist",
                    path.data);
    else if (error < 0)
        log_warning(server->log, "Can't tell what the AOF file %s is: %s", path.data,
                    strerror(-error));
    loading->parts[loading->part_count++] = (struct part){memory_copy_text(path.data), status.size,
                                                          .is_base = file->type == MANIFEST_BASE};
    loading->total += status.size;
    buffer_release(&path);
    return error == 0;
}

/* 1, 0, or a negative errno. */
static int exists(struct io *io, const char *path) {
    struct io_file_status status;
    int error = io->operations->status(io, path, &status);
    return error == -ENOENT ? 0 : error < 0 ? error : 1;
}

/* An old log, of one file beside the folder, becomes the folder's base; also where a crash left the
 * manifest written and the file not moved. */
static bool take_over(struct server *server) {
    struct aof *aof = &server->appending.aof;
    const struct io_operations *files = server->io->operations;
    const char *old = server->config->appendfilename.data;
    const struct manifest_file *base = manifest_base(&aof->manifest);
    int is_old = exists(server->io, old);
    if (is_old == 0) return true;
    if (base && strcmp(base->name, old) != 0) return true;
    if (!base && aof->manifest.count > 0) return true;
    struct buffer path = {0};
    aof_path(aof, old, &path);
    int is_there = exists(server->io, path.data);
    int error = is_old < 0 ? is_old : is_there < 0 ? is_there : 0;
    if (error == 0 && !is_there) {
        if (!base) manifest_adopt(&aof->manifest, old);
        error = aof_make_directory(aof);
        if (error == 0) error = aof_write_manifest(aof, &aof->manifest);
        if (error == 0) error = files->rename(server->io, old, path.data);
        if (error == 0) error = files->sync_directory(server->io, aof->directory);
        if (error == 0) error = files->sync_directory(server->io, aof->parent);
    }
    if (error < 0)
        log_warning(server->log, "Can't move the old append only file %s to %s: %s", old, path.data,
                    strerror(-error));
    else if (!is_there)
        log_notice(server->log,
                   "Successfully migrated an old-style AOF configuration (%s) into the AOF "
                   "directory (%s).",
                   old, server->config->appenddirname.data);
    buffer_release(&path);
    return error == 0;
}

/* Everything that the manifest names and a start needs. */
static bool list_parts(struct loading *loading) {
    struct server *server = loading->server;
    const struct manifest *manifest = &server->appending.aof.manifest;
    loading->parts = memory_alloc_zeroed(manifest->count + 1, sizeof *loading->parts);
    for (size_t i = 0; i < manifest->count; i++) {
        const struct manifest_file *file = &manifest->files[i];
        if (file->type == MANIFEST_HISTORY) continue;
        if (!add_part(loading, file)) return false;
    }
    return true;
}

/* DONE: there is no append-only file. */
static enum state begin_log(struct loading *loading) {
    struct server *server = loading->server;
    if (!appending_open(server) || !take_over(server) || !list_parts(loading)) return FAILED;
    if (loading->part_count == 0) return DONE;
    loading->from_log = true;
    loading->session = session_open(server, IO_NONE, 0);
    loading->session->reply.muted = true;
    return begin_part(loading);
}

static enum state step_log(struct loading *loading) {
    enum state state;
    if (loading->has_replay) {
        state = step_commands(loading);
    } else {
        state = step_rdb(loading);
        if (state == DONE) {
            uint64_t offset = rdb_load_offset(&loading->load);
            log_rdb(loading);
            loading->server->loaded_keys = loading->load.keys;
            continue_history(loading, &loading->load.history);
            end_rdb(loading);
            if (offset < loading->parts[loading->part].size) return begin_commands(loading, offset);
        }
    }
    return state == DONE ? next_part(loading) : state;
}

/* ---- from beginning to end ---- */

static enum state begin_dump(struct loading *loading) {
    if (begin_rdb(loading, loading->server->config->dbfilename.data)) {
        loading->total = loading->load.size;
        return MORE;
    }
    if (loading->load.io_error != -ENOENT) {
        log_failure(loading);
        return FAILED;
    }
    end_rdb(loading);
    return DONE;
}

/* The log has all, or a base of what was loaded is written. */
static enum state begin_appending(struct loading *loading) {
    struct server *server = loading->server;
    if (!server->config->appendonly) return DONE;
    bool is_complete = loading->from_log;
    if (!is_complete && keyspace_count(&server->keyspace) > 0)
        log_notice(server->log,
                   "There is no append only file yet: the dataset is that of %s, and "
                   "its base is written now",
                   server->config->dbfilename.data);
    if (!appending_begin(server, is_complete)) return FAILED;
    loading->awaits_base = !is_complete;
    return is_complete ? DONE : MORE;
}

static enum state loaded(struct loading *loading) {
    struct server *server = loading->server;
    if (loading->from_log) {
        log_notice(server->log, "DB loaded from append only file: %.3f seconds",
                   seconds_taken(loading));
    } else if (loading->has_load) {
        server->loaded_keys = loading->load.keys;
        server->loaded_expired = loading->load.expired;
        replication_continue(server, &loading->load.history);
        log_rdb(loading);
        log_notice(server->log, "DB loaded from disk: %.3f seconds", seconds_taken(loading));
    }
    replication_loaded(server);
    return begin_appending(loading);
}

static enum state step_base(struct loading *loading) {
    struct server *server = loading->server;
    const struct appending *appending = &server->appending;
    if (appending->rewriting) return MORE;
    if (appending->rewrite_failed) return FAILED;
    return appending_is_established(appending) && aof_is_settled(&appending->aof) ? DONE : MORE;
}

static enum state step(struct loading *loading) {
    if (loading->is_hopeless) {
        log_failure(loading);
        return FAILED;
    }
    if (loading->path) return step_rdb(loading);
    if (loading->awaits_base) return step_base(loading);
    enum state state = loading->from_log ? step_log(loading) : step_rdb(loading);
    return state == DONE ? loaded(loading) : state;
}

static struct loading *open_loading(struct server *server) {
    struct loading *loading = memory_alloc_zeroed(1, sizeof *loading);
    loading->server = server;
    loading_limits(server, &loading->limits);
    loading->begun_us = io_monotonic_us(server->io);
    loading->begun_s = server->now_ms / 1000;
    return loading;
}

static void close_loading(struct loading *loading) {
    if (loading->databases) keyspace_drop_aside(&loading->server->keyspace, loading->databases);
    buffer_release(&loading->libraries);
    memory_free(loading->path);
    end_rdb(loading);
    end_commands(loading);
    if (loading->session) session_close(loading->session);
    for (size_t i = 0; i < loading->part_count; i++)
        memory_free(loading->parts[i].path);
    memory_free(loading->parts);
    memory_free(loading);
}

static void drop(struct loading **held) {
    struct loading *loading = *held;
    *held = NULL;
    if (loading) close_loading(loading);
}

static void complete(struct server *server) {
    loading_end(server);
    replication_start(server);
}

bool loading_begin(struct server *server) {
    struct loading *loading = open_loading(server);
    server->loading = loading;
    loading->is_served = true;
    enum state state = DONE;
    if (server->config->appendonly) state = begin_log(loading);
    if (state == DONE) state = begin_dump(loading);
    if (state == DONE) state = begin_appending(loading);
    if (state == DONE) complete(server);
    if (state == FAILED) loading_end(server);
    return state != FAILED;
}

void loading_end(struct server *server) {
    drop(&server->loading);
    drop(&server->aside);
}

void loading_drop_aside(struct server *server) {
    drop(&server->aside);
}

/* ---- another server's ---- */

static void empty_dataset(struct server *server) {
    for (uint32_t i = 0; i < server->keyspace.database_count; i++)
        keyspace_flush(&server->keyspace, i);
    if (server->scripting.host) server->scripting.flush_libraries(server->scripting.host);
    if (server->interests) server_database_changed(server, UINT32_MAX);
}

void loading_replace(struct server *server, const struct loading_replacement *replacement) {
    struct loading *loading = open_loading(server);
    loading->path = memory_copy_text(replacement->path);
    loading->ended = replacement->ended;
    /* Aside the dataset changes meanwhile, which a worker that builds values must not see. */
    loading->is_served = !replacement->is_aside;
    INVARIANT(!server->loading && !server->aside);
    if (replacement->is_aside) {
        loading->databases = keyspace_open_aside(&server->keyspace);
        server->aside = loading;
    } else {
        empty_dataset(server);
        server->loading = loading;
    }
    loading->is_hopeless = !begin_rdb(loading, loading->path);
    loading->total = loading->load.size;
}

static bool load_libraries(struct loading *loading) {
    struct server *server = loading->server;
    for (size_t at = 0; at < loading->libraries.size;) {
        size_t size;
        memcpy(&size, loading->libraries.data + at, sizeof size);
        at += sizeof size;
        if (!load_library(server, bytes_make(loading->libraries.data + at, size))) return false;
        at += size;
    }
    return true;
}

/* What was loaded aside takes the place of the old dataset. */
static bool take_aside(struct loading *loading) {
    struct server *server = loading->server;
    if (server->scripting.host) {
        server->scripting.flush_libraries(server->scripting.host);
        if (!load_libraries(loading)) return false;
    }
    keyspace_take_aside(&server->keyspace, loading->databases);
    loading->databases = NULL;
    if (server->interests) server_database_changed(server, UINT32_MAX);
    return true;
}

static void end_replacement(struct loading *loading, bool good) {
    struct server *server = loading->server;
    struct rdb_history history = loading->load.history;
    if (good && loading->databases) good = take_aside(loading);
    if (good) log_rdb(loading);
    if (!good && !loading->databases) empty_dataset(server);
    void (*ended)(struct server *, const struct rdb_history *) = loading->ended;
    if (server->aside == loading) server->aside = NULL;
    if (server->loading == loading) server->loading = NULL;
    close_loading(loading);
    ended(server, good ? &history : NULL);
}

/* ---- in slices ---- */

void loading_step(struct server *server) {
    struct loading *loading = server->loading ? server->loading : server->aside;
    int64_t slice_us = server->loading ? SLICE_US : ASIDE_SLICE_US;
    int64_t end_us = io_monotonic_us(server->io) + slice_us;
    enum state state;
    do
        state = step(loading);
    while (state == MORE && !loading->awaits_base && io_monotonic_us(server->io) < end_us);
    loading->waits = state == WAITS;
    if (state == MORE || state == WAITS) return;
    if (loading->path) {
        end_replacement(loading, state == DONE);
        return;
    }
    if (state == FAILED) {
        server->exit_code = 1;
        server->stopped = true;
        loading_end(server);
    } else {
        complete(server);
    }
}

bool loading_waits(const struct server *server) {
    const struct loading *loading = server->loading ? server->loading : server->aside;
    return loading && (loading->awaits_base || loading->waits);
}

bool loading_run(struct server *server, bool merges) {
    struct loading *loading = open_loading(server);
    loading->merges = merges;
    notify_nobody(server);
    enum state state = FAILED;
    if (!begin_rdb(loading, server->config->dbfilename.data)) {
        log_failure(loading);
    } else {
        do
            state = step_rdb(loading);
        while (state == MORE);
    }
    if (state == DONE) {
        server->loaded_keys = loading->load.keys;
        server->loaded_expired = loading->load.expired;
        log_rdb(loading);
        log_notice(server->log, "DB loaded from disk: %.3f seconds", seconds_taken(loading));
    }
    close_loading(loading);
    notify_configure(server);
    return state == DONE;
}

bool loading_run_log(struct server *server) {
    struct journal *journal = &server->journal;
    struct loading *loading = open_loading(server);
    bool was_muted = journal->muted;
    loading->keeps_history = journal_active(journal);
    journal->muted = true;
    notify_nobody(server);
    enum state state = begin_log(loading);
    while (state == MORE)
        state = step_log(loading);
    journal->muted = was_muted;
    notify_configure(server);
    close_loading(loading);
    return state == DONE && appending_begin(server, true);
}

struct loading_report loading_report(const struct server *server) {
    const struct loading *loading = server->loading;
    struct loading_report report = {.total_bytes = loading->total,
                                    .loaded_bytes = loading->passed,
                                    .begun_s = loading->begun_s};
    if (loading->has_load)
        report.loaded_bytes += rdb_load_offset(&loading->load);
    else if (loading->has_replay)
        report.loaded_bytes += loading->replay.offset;
    report.took_s = (server->monotonic_us - loading->begun_us) / 1000000;
    if (report.took_s == 0 || report.loaded_bytes == 0)
        report.eta_s = 1;
    else
        report.eta_s =
            (int64_t)((double)report.took_s * (double)(report.total_bytes - report.loaded_bytes) /
                      (double)report.loaded_bytes);
    return report;
}
