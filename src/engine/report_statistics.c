/* report_statistics.c: the sections of INFO that give what was counted, and the way to zero. */
#include "base/memory.h"
#include "base/number.h"
#include "engine/command.h"
#include "engine/config.h"
#include "engine/report_section.h"
#include "engine/server.h"
#include <stdlib.h>

/* ---- Stats ---- */

static void append_kilobytes(struct report *report, const char *name,
                             const struct statistics_rate *rate) {
    report_decimal(report, name, (double)statistics_rate_now(rate) / 1024);
}

static void append_rates(struct report *report) {
    const struct statistics *counted = &report->server->statistics;
    report_number(report, "instantaneous_ops_per_sec",
                  statistics_rate_now(&counted->rate_commands));
    report_number(report, "total_net_input_bytes", counted->bytes_in);
    report_number(report, "total_net_output_bytes", counted->bytes_out);
    report_number(report, "total_net_repl_input_bytes", counted->replicated_in);
    report_number(report, "total_net_repl_output_bytes", counted->replicated_out);
    append_kilobytes(report, "instantaneous_input_kbps", &counted->rate_in);
    append_kilobytes(report, "instantaneous_output_kbps", &counted->rate_out);
    append_kilobytes(report, "instantaneous_input_repl_kbps", &counted->rate_replicated_in);
    append_kilobytes(report, "instantaneous_output_repl_kbps", &counted->rate_replicated_out);
}

static uint64_t evicted_scripts(const struct server *server) {
    struct scripting_report scripts = {0};
    if (server->scripting.measure) server->scripting.measure(server->scripting.host, &scripts);
    return scripts.scripts_evicted;
}

static void append_removed(struct report *report) {
    const struct statistics *counted = &report->server->statistics;
    report_number(report, "expired_subkeys", counted->expired_fields);
    report_number(report, "expired_keys", counted->expired_keys);
    report_text(report, "expired_stale_perc", "0.00");
    report_number(report, "expired_time_cap_reached_count", counted->expired_time_cap_reached);
    report_number(report, "expire_cycle_cpu_milliseconds", counted->expire_us / 1000);
    report_number(report, "evicted_keys", counted->evicted_keys);
    report_number(report, "evicted_clients", counted->evicted_clients);
    report_number(report, "evicted_scripts", evicted_scripts(report->server));
    report_number(report, "total_eviction_exceeded_time",
                  memory_limit_exceeded_total_ms(report->server));
    report_number(report, "current_eviction_exceeded_time",
                  memory_limit_exceeded_ms(report->server));
    report_number(report, "keyspace_hits", counted->hits);
    report_number(report, "keyspace_misses", counted->misses);
}

static void append_refused(struct report *report) {
    const struct statistics *counted = &report->server->statistics;
    report_number(report, "acl_access_denied_auth", counted->acl_denied_auth);
    report_number(report, "acl_access_denied_cmd", counted->acl_denied_command);
    report_number(report, "acl_access_denied_key", counted->acl_denied_key);
    report_number(report, "acl_access_denied_channel", counted->acl_denied_channel);
}

/* What commands took, that is a part of their turns. */
static uint64_t commands_us(const struct server *server) {
    double ticks_per_us = server->io->operations->ticks_per_us;
    uint64_t ticks = 0;
    for (unsigned i = 0; i < server->commands->count; i++)
        ticks += server->command_statistics[i].ticks;
    return ticks_per_us > 0 ? (uint64_t)((double)ticks / ticks_per_us) : 0;
}

static void append_turns(struct report *report) {
    const struct statistics *counted = &report->server->statistics;
    uint64_t per_second = statistics_rate_now(&counted->rate_turns);
    uint64_t us = statistics_rate_now(&counted->rate_turns_us);
    report_number(report, "eventloop_cycles", counted->turns);
    report_number(report, "eventloop_duration_sum", counted->turns_us);
    report_number(report, "eventloop_duration_cmd_sum", commands_us(report->server));
    report_number(report, "instantaneous_eventloop_cycles_per_sec", per_second);
    report_number(report, "instantaneous_eventloop_duration_usec",
                  per_second > 0 ? us / per_second : 0);
    report_number(report, "redstart_turn_usec_max", counted->turn_us_max);
}

static void append_traffic(struct report *report) {
    static const char *const unused[] = {"io_threaded_reads_processed",
                                         "io_threaded_writes_processed", "reply_buffer_shrinks",
                                         "reply_buffer_expands", NULL};
    const struct statistics *counted = &report->server->statistics;
    report_number(report, "unexpected_error_replies", counted->unexpected_errors);
    report_number(report, "total_error_replies", counted->errors);
    report_number(report, "dump_payload_sanitizations", 0);
    report_number(report, "total_reads_processed", counted->reads);
    report_number(report, "total_writes_processed", counted->writes);
    report_zeros(report, unused);
    append_turns(report);
    report_number(report, "client_query_buffer_limit_disconnections",
                  counted->query_buffer_disconnections);
    report_number(report, "client_output_buffer_limit_disconnections",
                  counted->output_buffer_disconnections);
    append_refused(report);
}

static void append_pubsub(struct report *report) {
    const struct pubsub *pubsub = &report->server->pubsub;
    report_number(report, "pubsub_channels", name_table_count(&pubsub->topics[PUBSUB_CHANNEL]));
    report_number(report, "pubsub_patterns", pubsub->pattern_count);
    report_number(report, "pubsubshard_channels", name_table_count(&pubsub->topics[PUBSUB_SHARD]));
}

static void append_defragmenting(struct report *report) {
    const struct defragment_counts *counts = &report->server->defragmenting.counts;
    report_number(report, "active_defrag_hits", counts->moved);
    report_number(report, "active_defrag_misses", counts->kept);
    report_number(report, "active_defrag_key_hits", counts->keys_moved);
    report_number(report, "active_defrag_key_misses", counts->keys_kept);
    report_number(report, "total_active_defrag_time",
                  (uint64_t)defragmenting_total_us(report->server) / 1000);
    report_number(report, "current_active_defrag_time",
                  (uint64_t)defragmenting_current_us(report->server) / 1000);
}

void report_append_stats(struct report *report) {
    static const char *const unused[] = {"latest_fork_usec", "total_forks",
                                         "migrate_cached_sockets", "slave_expires_tracked_keys",
                                         NULL};
    const struct statistics *counted = &report->server->statistics;
    report_number(report, "total_connections_received", counted->connections);
    report_number(report, "total_commands_processed", counted->commands);
    append_rates(report);
    report_number(report, "rejected_connections", counted->rejected_connections);
    report_number(report, "sync_full", counted->full_syncs);
    report_number(report, "sync_partial_ok", counted->partial_syncs);
    report_number(report, "sync_partial_err", counted->refused_partial_syncs);
    append_removed(report);
    append_pubsub(report);
    report_zeros(report, unused);
    append_defragmenting(report);
    report_number(report, "tracking_total_keys", tracking_keys(&report->server->tracking));
    report_number(report, "tracking_total_items", report->server->tracking.items);
    report_number(report, "tracking_total_prefixes", report->server->tracking.prefix_count);
    append_traffic(report);
}

/* ---- Commandstats, Latencystats, Errorstats ---- */

void report_append_commandstats(struct report *report) {
    const struct server *server = report->server;
    double ticks_per_us = server->io->operations->ticks_per_us;
    for (unsigned i = 0; i < server->commands->count; i++) {
        const struct command_statistics *counted = &server->command_statistics[i];
        struct bytes name = server->commands->commands[i].full_name;
        if (counted->calls == 0 && counted->rejected == 0 && counted->failed == 0) continue;
        double us = ticks_per_us > 0 ? (double)counted->ticks / ticks_per_us : 0;
        double us_per_call = counted->calls > 0 ? us / (double)counted->calls : 0;
        buffer_append_format(report->out,
                             "cmdstat_%.*s:calls=%llu,usec=%.0f,usec_per_call=%.2f,"
                             "rejected_calls=%llu,failed_calls=%llu\r\n",
                             (int)name.size, name.data, (unsigned long long)counted->calls, us,
                             us_per_call, (unsigned long long)counted->rejected,
                             (unsigned long long)counted->failed);
    }
}

/* Of the commands that ran while latency-tracking was on. */
void report_append_latencystats(struct report *report) {
    const struct server *server = report->server;
    const struct config_percentiles *wanted = &server->config->latency_tracking_info_percentiles;
    double ticks_per_us = server->io->operations->ticks_per_us;
    if (!server->config->latency_tracking || !(ticks_per_us > 0)) return;
    for (unsigned i = 0; i < server->commands->count; i++) {
        const struct latency *latency = server->command_statistics[i].latency;
        struct bytes name = server->commands->commands[i].full_name;
        if (latency == NULL) continue;
        buffer_append_format(report->out, "latency_percentiles_usec_%.*s:", (int)name.size,
                             name.data);
        for (size_t j = 0; j < wanted->count; j++) {
            char text[NUMBER_DOUBLE_TEXT_MAX];
            size_t size = number_format_double(text, wanted->items[j]);
            double us = (double)latency_percentile(latency, wanted->items[j]) / ticks_per_us;
            buffer_append_format(report->out, "%sp%.*s=%.3f", j > 0 ? "," : "", (int)size, text,
                                 us);
        }
        buffer_append_text(report->out, "\r\n");
    }
}

static int compare_codes(const void *a, const void *b) {
    const struct error_count *const *one = a, *const *other = b;
    return strcmp((*one)->code, (*other)->code);
}

/* In the order of the codes. */
void report_append_errorstats(struct report *report) {
    const struct statistics *counted = &report->server->statistics;
    const struct error_count *sorted[ERROR_CODES_MAX];
    for (uint32_t i = 0; i < counted->error_code_count; i++)
        sorted[i] = &counted->error_codes[i];
    qsort(sorted, counted->error_code_count, sizeof sorted[0], compare_codes);
    for (uint32_t i = 0; i < counted->error_code_count; i++) {
        buffer_append_format(report->out, "errorstat_%s:count=%llu\r\n", sorted[i]->code,
                             (unsigned long long)sorted[i]->count);
    }
    if (counted->errors_full)
        buffer_append_text(report->out, "errorstat_ERRORSTATS_DISABLED:count=1\r\n");
}

void server_reset_statistics(struct server *server) {
    statistics_reset(&server->statistics);
    for (unsigned i = 0; i < server->commands->count; i++)
        memory_free(server->command_statistics[i].latency);
    memset(server->command_statistics, 0,
           server->commands->count * sizeof *server->command_statistics);
}
