/* loading.c: loading the RDB file, in slices or at once. */
#include "engine/loading.h"

#include "base/memory.h"
#include "engine/config.h"
#include "engine/server.h"
#include "rdb/load.h"
#include <errno.h>

enum {
    SLICE_US = 2000,         /* of a turn */
    STEP_BYTES = 256 * 1024, /* between two looks at the clock */
};

struct loading {
    struct rdb_load load;
    struct rdb_limits limits;
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

static void log_failure(const struct server *server, const struct rdb_load *load) {
    struct log *log = server->log;
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
    log_warning(log, "Fatal error loading the DB from %s: %s. Exiting.",
                server->config->dbfilename.data, load->error);
}

static void log_success(const struct server *server, const struct loading *loading) {
    const struct rdb_load *load = &loading->load;
    log_head(server, load);
    log_notice(server->log, "Done loading RDB, keys loaded: %llu, keys expired: %llu.",
               (unsigned long long)load->keys, (unsigned long long)load->expired);
    if (load->libraries > 0)
        log_warning(server->log,
                    "The file has %llu function libraries, which were not loaded: functions are "
                    "not part of this version yet",
                    (unsigned long long)load->libraries);
    log_notice(server->log, "DB loaded from disk: %.3f seconds",
               (double)(io_monotonic_us(server->io) - loading->begun_us) / 1e6);
}

/* ---- loading ---- */

/* False: it cannot begin; load->failure says why. */
static bool begin(struct server *server, struct loading *loading, bool merges) {
    loading_limits(server, &loading->limits);
    loading->begun_us = io_monotonic_us(server->io);
    loading->begun_s = server->now_ms / 1000;
    struct rdb_load_options options = {
        .io = server->io,
        .log = server->log,
        .keyspace = &server->keyspace,
        .limits = &loading->limits,
        .now_ms = server->now_ms,
        .checksums = server->config->rdbchecksum,
        .merges = merges,
    };
    return rdb_load_begin(&loading->load, &options, server->config->dbfilename.data);
}

static void finish(struct server *server, struct loading *loading) {
    server->loaded_keys = loading->load.keys;
    server->loaded_expired = loading->load.expired;
    log_success(server, loading);
}

bool loading_begin(struct server *server) {
    struct loading *loading = memory_alloc_zeroed(1, sizeof *loading);
    server->loading = loading;
    if (begin(server, loading, false)) return true;
    bool is_absent = loading->load.io_error == -ENOENT;
    if (!is_absent) log_failure(server, &loading->load);
    loading_end(server);
    return is_absent;
}

void loading_end(struct server *server) {
    if (!server->loading) return;
    rdb_load_end(&server->loading->load);
    memory_free(server->loading);
    server->loading = NULL;
}

void loading_step(struct server *server) {
    struct loading *loading = server->loading;
    int64_t end_us = io_monotonic_us(server->io) + SLICE_US;
    enum rdb_load_state state;
    do
        state = rdb_load_step(&loading->load, STEP_BYTES);
    while (state == RDB_LOAD_MORE && io_monotonic_us(server->io) < end_us);
    if (state == RDB_LOAD_MORE) return;
    if (state == RDB_LOAD_DONE) {
        finish(server, loading);
    } else {
        log_failure(server, &loading->load);
        server->exit_code = 1;
        server->stopped = true;
    }
    loading_end(server);
}

bool loading_run(struct server *server, bool merges) {
    struct loading *loading = memory_alloc_zeroed(1, sizeof *loading);
    enum rdb_load_state state = RDB_LOAD_FAILED;
    if (begin(server, loading, merges)) {
        do
            state = rdb_load_step(&loading->load, UINT32_MAX);
        while (state == RDB_LOAD_MORE);
    }
    if (state == RDB_LOAD_DONE)
        finish(server, loading);
    else
        log_failure(server, &loading->load);
    rdb_load_end(&loading->load);
    memory_free(loading);
    return state == RDB_LOAD_DONE;
}

struct loading_report loading_report(const struct server *server) {
    const struct loading *loading = server->loading;
    struct loading_report report = {.loaded_bytes = rdb_load_offset(&loading->load)};
    report.total_bytes = loading->load.size;
    report.begun_s = loading->begun_s;
    report.took_s = (server->monotonic_us - loading->begun_us) / 1000000;
    report.eta_s =
        report.took_s == 0 || report.loaded_bytes == 0
            ? 1
            : (int64_t)((double)report.took_s * (double)(report.total_bytes - report.loaded_bytes) /
                        (double)report.loaded_bytes);
    return report;
}
