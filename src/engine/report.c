/* report.c: the sections of INFO that say who we are and how we stand. Memory is in
 * report_memory.c, what is counted in report_statistics.c. Reads everything and changes nothing. */
#include "engine/report_section.h"

#include "base/number.h"
#include "engine/config.h"
#include "engine/server.h"
#include "engine/version.h"

#define QUOTE(text)        #text
#define QUOTE_VALUE(macro) QUOTE(macro)

/* ---- fields ---- */

void report_number(struct report *report, const char *name, uint64_t value) {
    buffer_append_format(report->out, "%s:%llu\r\n", name, (unsigned long long)value);
}

void report_text(struct report *report, const char *name, const char *value) {
    buffer_append_format(report->out, "%s:%s\r\n", name, value);
}

void report_decimal(struct report *report, const char *name, double value) {
    buffer_append_format(report->out, "%s:%.2f\r\n", name, value);
}

void report_human(struct report *report, const char *name, uint64_t bytes) {
    static const char units[] = "KMGTPE";
    double value = (double)bytes / 1024;
    unsigned unit = 0;
    if (bytes < 1024) {
        buffer_append_format(report->out, "%s:%lluB\r\n", name, (unsigned long long)bytes);
        return;
    }
    for (; value >= 1024 && unit + 2 < sizeof units; unit++)
        value /= 1024;
    buffer_append_format(report->out, "%s:%.2f%c\r\n", name, value, units[unit]);
}

void report_zeros(struct report *report, const char *const *names) {
    for (; *names != NULL; names++)
        buffer_append_format(report->out, "%s:0\r\n", *names);
}

void report_directive(struct report *report, const char *name, const char *directive) {
    struct config_match matches[CONFIG_MATCHES_MAX];
    struct bytes pattern = bytes_from_text(directive);
    size_t count = config_match(&pattern, 1, matches);
    buffer_append_format(report->out, "%s:", name);
    if (count > 0) config_format(report->server->config, matches[0].directive, report->out);
    buffer_append_text(report->out, "\r\n");
}

/* ---- Server ---- */

static void append_listeners(struct report *report) {
    const struct config *config = report->server->config;
    unsigned number = 0;
    if (config->port != 0 && config->bind.count > 0) {
        buffer_append_format(report->out, "listener%u:name=tcp", number++);
        for (size_t i = 0; i < config->bind.count; i++)
            buffer_append_format(report->out, ",bind=%s", config->bind.items[i].data);
        buffer_append_format(report->out, ",port=%lld\r\n", (long long)config->port);
    }
    if (config->unixsocket.size > 0)
        buffer_append_format(report->out, "listener%u:name=unix,bind=%s\r\n", number,
                             config->unixsocket.data);
}

static void append_build(struct report *report) {
    report_text(report, "redis_version", REDIS_VERSION);
    report_text(report, "redstart_version", REDSTART_VERSION);
    report_text(report, "redis_git_sha1", "00000000");
    report_text(report, "redis_git_dirty", "0");
    report_text(report, "redis_build_id", "0");
    report_text(report, "redis_mode", "standalone");
    report_text(report, "os", report->process.os);
    report_number(report, "arch_bits", sizeof(void *) * 8);
    report_text(report, "monotonic_clock", "POSIX clock_gettime");
    report_text(report, "multiplexing_api", "epoll");
    report_text(report, "atomicvar_api", "c11-builtin");
    report_text(
        report, "gcc_version",
        QUOTE_VALUE(__GNUC__) "." QUOTE_VALUE(__GNUC_MINOR__) "." QUOTE_VALUE(__GNUC_PATCHLEVEL__));
}

static const char *supervisor_name(enum config_supervised supervisor) {
    switch (supervisor) {
    case SUPERVISED_SYSTEMD: return "systemd";
    case SUPERVISED_UPSTART: return "upstart";
    default: return "no";
    }
}

static void append_server(struct report *report) {
    const struct server *server = report->server;
    int64_t up_s = (server->monotonic_ms - server->started_monotonic_ms) / 1000;
    append_build(report);
    report_number(report, "process_id", (uint64_t)report->process.pid);
    report_text(report, "process_supervised", supervisor_name(server->supervisor));
    report_text(report, "run_id", server->run_id);
    report_number(report, "tcp_port", (uint64_t)server->config->port);
    report_number(report, "server_time_usec", (uint64_t)io_wall_us(server->io));
    report_number(report, "uptime_in_seconds", (uint64_t)up_s);
    report_number(report, "uptime_in_days", (uint64_t)up_s / 86400);
    report_number(report, "hz", (uint64_t)server->config->hz);
    report_number(report, "configured_hz", (uint64_t)server->config->hz);
    report_number(report, "lru_clock", (uint64_t)(server->now_ms / 1000) & 0xffffff);
    report_text(report, "executable", report->process.executable);
    report_text(report, "config_file", server->config->file.size ? server->config->file.data : "");
    report_number(report, "io_threads_active", 0);
    append_listeners(report);
}

/* ---- Clients ---- */

static void append_clients(struct report *report) {
    const struct server *server = report->server;
    uint64_t connected = 0, blocked = 0, input = 0, output = 0;
    for (uint32_t i = 0; i < server->session_count; i++) {
        const struct session *session = server->sessions[i];
        if (session->flags & SESSION_INTERNAL) continue;
        connected += session->class != SESSION_CLASS_REPLICA;
        blocked += session_is_blocked(session);
        if (session->input.capacity > input) input = session->input.capacity;
        if (session_output_size(session) > output) output = session_output_size(session);
    }
    report_number(report, "connected_clients", connected);
    report_number(report, "cluster_connections", 0);
    report_number(report, "maxclients", (uint64_t)server->config->maxclients);
    report_number(report, "client_recent_max_input_buffer", input);
    report_number(report, "client_recent_max_output_buffer", output);
    report_number(report, "blocked_clients", blocked);
    report_number(report, "tracking_clients", server->tracking.sessions);
    report_number(report, "pubsub_clients", server->pubsub.sessions);
    report_number(report, "watching_clients", server->watching.sessions);
    report_number(report, "clients_in_timeout_table", server->waiting.heap_count);
    report_number(report, "total_watched_keys", name_table_count(&server->watching.keys));
    report_number(report, "total_blocking_keys", name_table_count(&server->waiting.keys));
    report_number(report, "total_blocking_keys_on_nokey", server->waiting.gone_keys);
}

/* ---- Persistence ---- */

static void report_signed(struct report *report, const char *name, int64_t value) {
    buffer_append_format(report->out, "%s:%lld\r\n", name, (long long)value);
}

static void append_loading(struct report *report) {
    const struct server *server = report->server;
    if (!server->loading) return;
    struct loading_report loading = loading_report(server);
    double share = loading.total_bytes == 0
                       ? 0
                       : (double)loading.loaded_bytes / (double)loading.total_bytes * 100;
    report_number(report, "loading_start_time", (uint64_t)loading.begun_s);
    report_number(report, "loading_total_bytes", loading.total_bytes);
    report_number(report, "loading_rdb_used_mem", 0);
    report_number(report, "loading_loaded_bytes", loading.loaded_bytes);
    report_decimal(report, "loading_loaded_perc", share);
    report_number(report, "loading_eta_seconds", (uint64_t)loading.eta_s);
}

static void append_saving(struct report *report) {
    const struct server *server = report->server;
    const struct saving *saving = &server->saving;
    struct saving_progress progress = saving_progress(server);
    bool running = saving_is_running(saving);
    size_t copied = running ? server->keyspace.epochs.limbo_bytes : 0;
    report_number(report, "current_cow_peak", copied);
    report_number(report, "current_cow_size", copied);
    report_number(report, "current_cow_size_age", 0);
    report_decimal(report, "current_fork_perc",
                   progress.keys_total == 0
                       ? 0
                       : (double)progress.keys_done / (double)progress.keys_total * 100);
    report_number(report, "current_save_keys_processed", progress.keys_done);
    report_number(report, "current_save_keys_total", progress.keys_total);
    report_number(report, "rdb_changes_since_last_save", server->changes_since_save);
    report_number(report, "rdb_bgsave_in_progress", running);
    report_number(report, "rdb_last_save_time", (uint64_t)server->last_save_s);
    report_text(report, "rdb_last_bgsave_status", saving->failed ? "err" : "ok");
    report_signed(report, "rdb_last_bgsave_time_sec", saving->tried ? saving->took_s : -1);
    report_signed(report, "rdb_current_bgsave_time_sec", progress.took_s);
    report_number(report, "rdb_saves", saving->saves);
    report_number(report, "rdb_last_cow_size", saving->copied);
    report_number(report, "rdb_last_load_keys_expired", server->loaded_expired);
    report_number(report, "rdb_last_load_keys_loaded", server->loaded_keys);
    report_number(report, "redstart_current_save_bytes", progress.bytes);
}

static void append_appending(struct report *report) {
    const struct server *server = report->server;
    const struct appending *appending = &server->appending;
    report_number(report, "aof_enabled", appending->is_on);
    report_number(report, "aof_rewrite_in_progress", appending_is_rewriting(appending));
    report_number(report, "aof_rewrite_scheduled", appending->scheduled);
    report_signed(report, "aof_last_rewrite_time_sec", appending->rewrite_took_s);
    report_signed(report, "aof_current_rewrite_time_sec", appending_rewrite_seconds(server));
    report_text(report, "aof_last_bgrewrite_status", appending->rewrite_failed ? "err" : "ok");
    report_number(report, "aof_rewrites", appending->rewrites);
    report_number(report, "aof_rewrites_consecutive_failures", appending->failures_in_row);
    report_text(report, "aof_last_write_status", appending->refuses ? "err" : "ok");
    report_number(report, "aof_last_cow_size", appending->copied);
}

/* What there is to tell while it is written. */
static void append_log(struct report *report) {
    const struct appending *appending = &report->server->appending;
    const struct aof *aof = &appending->aof;
    if (!appending->is_on) return;
    report_number(report, "aof_current_size", aof_size(aof));
    report_number(report, "aof_base_size", appending->base_size);
    report_number(report, "aof_pending_rewrite", appending->scheduled);
    report_number(report, "aof_buffer_length", aof->appended - aof->written);
    report_number(report, "aof_pending_bio_fsync", aof->running != NULL);
    report_number(report, "aof_delayed_fsync", aof->delayed);
    report_number(report, "redstart_aof_lags", aof->lags);
    report_number(report, "redstart_aof_synced_offset", aof->synced_offset);
}

static void append_persistence(struct report *report) {
    static const char *const end[] = {"module_fork_in_progress", "module_fork_last_cow_size", NULL};
    report_number(report, "loading", report->server->loading != NULL);
    report_number(report, "async_loading", 0);
    append_saving(report);
    append_appending(report);
    report_zeros(report, end);
    append_log(report);
    append_loading(report);
}

/* ---- Replication, CPU, Modules, Cluster ---- */

static void append_replication(struct report *report) {
    const struct server *server = report->server;
    if (server->replication.host) {
        server->replication.hooks->report(report);
        return;
    }
    report_text(report, "role", "master");
    report_number(report, "connected_slaves", 0);
    report_text(report, "master_failover_state", "no-failover");
    report_text(report, "master_replid", server->replication.id);
    report_text(report, "master_replid2", "0000000000000000000000000000000000000000");
    report_number(report, "master_repl_offset", server->journal.offset);
    report_text(report, "second_repl_offset", "-1");
    report_number(report, "repl_backlog_active", 0);
    report_number(report, "repl_backlog_size", server->config->repl_backlog_size);
    report_number(report, "repl_backlog_first_byte_offset", 0);
    report_number(report, "repl_backlog_histlen", 0);
}

static void append_seconds(struct report *report, const char *name, uint64_t us) {
    buffer_append_format(report->out, "%s:%llu.%06llu\r\n", name,
                         (unsigned long long)(us / 1000000), (unsigned long long)(us % 1000000));
}

static void append_cpu(struct report *report) {
    const struct io_process_status *process = &report->process;
    append_seconds(report, "used_cpu_sys", process->cpu_system_us);
    append_seconds(report, "used_cpu_user", process->cpu_user_us);
    append_seconds(report, "used_cpu_sys_children", process->cpu_system_children_us);
    append_seconds(report, "used_cpu_user_children", process->cpu_user_children_us);
    append_seconds(report, "used_cpu_sys_main_thread", process->cpu_system_main_us);
    append_seconds(report, "used_cpu_user_main_thread", process->cpu_user_main_us);
}

static void append_cluster(struct report *report) {
    report_number(report, "cluster_enabled", 0);
}

static void append_nothing(struct report *report) {
    (void)report;
}

/* ---- Keyspace ---- */

static void append_keyspace(struct report *report) {
    const struct keyspace *keyspace = &report->server->keyspace;
    for (uint32_t i = 0; i < keyspace->database_count; i++) {
        const struct database *db = &keyspace->databases[i];
        size_t keys = database_count(db);
        if (keys == 0) continue;
        long long average_ttl = database_average_ttl(db, report->server->now_ms);
        unsigned long long with_fields = key_sizes_with_fields(report->server, i);
        buffer_append_format(report->out,
                             "db%u:keys=%zu,expires=%zu,avg_ttl=%lld,subexpiry=%llu\r\n", i, keys,
                             db->store->expiring, average_ttl, with_fields);
    }
}

static void append_key_sizes(struct report *report) {
    key_sizes_append(report->server, report->out);
}

/* ---- the whole ---- */

struct section {
    const char *name, *title;
    void (*append)(struct report *report);
};

/* By the number of the bit in enum report_section. */
static const struct section sections_known[] = {
    {"server", "Server", append_server},
    {"clients", "Clients", append_clients},
    {"memory", "Memory", report_append_memory},
    {"persistence", "Persistence", append_persistence},
    {"stats", "Stats", report_append_stats},
    {"replication", "Replication", append_replication},
    {"cpu", "CPU", append_cpu},
    {"modules", "Modules", append_nothing},
    {"commandstats", "Commandstats", report_append_commandstats},
    {"errorstats", "Errorstats", report_append_errorstats},
    {"latencystats", "Latencystats", report_append_latencystats},
    {"cluster", "Cluster", append_cluster},
    {"keyspace", "Keyspace", append_keyspace},
    {"keysizes", "Keysizes", append_key_sizes},
};
enum { SECTIONS = sizeof sections_known / sizeof sections_known[0] };

uint32_t report_sections(struct bytes name) {
    for (unsigned i = 0; i < SECTIONS; i++) {
        if (bytes_is(name, sections_known[i].name)) return UINT32_C(1) << i;
    }
    if (bytes_is(name, "default")) return REPORT_DEFAULT;
    return bytes_is(name, "all") || bytes_is(name, "everything") ? REPORT_ALL : 0;
}

void report_append_all(struct report *report, uint32_t sections) {
    bool is_first = true;
    struct io *io = report->server->io;
    io->operations->process_status(io, &report->process);
    for (unsigned i = 0; i < SECTIONS; i++) {
        if ((sections & UINT32_C(1) << i) == 0) continue;
        buffer_append_format(report->out, "%s# %s\r\n", is_first ? "" : "\r\n",
                             sections_known[i].title);
        sections_known[i].append(report);
        is_first = false;
    }
}

void report_append(const struct server *server, uint32_t sections, struct buffer *out) {
    struct report report = {.server = server, .out = out};
    report_append_all(&report, sections);
}
