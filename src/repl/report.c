/* report.c: what INFO says of replication. */
#include "engine/config.h"
#include "engine/report_section.h"
#include "engine/server.h"
#include "engine/session.h"
#include "repl/receive.h"
#include "repl/replicator.h"

static void report_link(struct report *report) {
    const struct server *server = report->server;
    const struct link *link = &replicator_of(server)->link;
    const struct config *config = server->config;
    bool is_up = link->state == LINK_UP;
    bool receives = link->state == LINK_RECEIVES || link->state == LINK_LOADS;
    buffer_append_format(report->out, "master_host:%s\r\nmaster_port:%u\r\n", link->host,
                         link->port);
    report_text(report, "master_link_status", is_up ? "up" : "down");
    int64_t heard_s =
        link->session && is_up ? (server->monotonic_ms - link->session->active_ms) / 1000 : -1;
    buffer_append_format(report->out, "master_last_io_seconds_ago:%lld\r\n", (long long)heard_s);
    report_number(report, "master_sync_in_progress", receives);
    report_number(report, "slave_read_repl_offset", server->journal.offset);
    report_number(report, "slave_repl_offset", server->journal.offset);
    if (receives && link->receive) {
        int64_t total = receive_total(link->receive);
        uint64_t size = receive_size(link->receive);
        buffer_append_format(report->out, "master_sync_total_bytes:%lld\r\n",
                             (long long)(total < 0 ? 0 : total));
        report_number(report, "master_sync_read_bytes", size);
        buffer_append_format(report->out, "master_sync_left_bytes:%lld\r\n",
                             (long long)(total < 0 ? 0 : total - (int64_t)size));
        report_decimal(report, "master_sync_perc",
                       total > 0 ? (double)size * 100 / (double)total : 0);
        report_number(report, "master_sync_last_io_seconds_ago", 0);
    }
    if (!is_up)
        buffer_append_format(report->out, "master_link_down_since_seconds:%lld\r\n",
                             (long long)((server->monotonic_us - link->down_since_us) / 1000000));
    report_number(report, "slave_priority", (uint64_t)config->replica_priority);
    report_number(report, "slave_read_only", config->replica_read_only);
    report_number(report, "replica_announced", config->replica_announced);
}

static const char *state_name(const struct replica *replica) {
    switch (replica->state) {
    case REPLICA_WAITS: return "wait_bgsave";
    case REPLICA_RECEIVES:
    case REPLICA_LOADS: return "send_bulk";
    default: return "online";
    }
}

static void report_replicas(struct report *report) {
    const struct server *server = report->server;
    const struct primary *primary = &replicator_of(server)->primary;
    unsigned index = 0;
    report_number(report, "connected_slaves", primary_count(server));
    if (server->config->min_replicas_to_write > 0 && server->config->min_replicas_max_lag > 0)
        report_number(report, "min_slaves_good_slaves", primary_good(server));
    for (const struct replica *r = primary->replicas; r; r = r->next) {
        char address[IO_ADDRESS_TEXT_MAX];
        if (r->state == REPLICA_SPEAKS) continue;
        replica_address(r, address);
        buffer_append_format(
            report->out, "slave%u:ip=%s,port=%lld,state=%s,offset=%llu,lag=%lld\r\n", index++,
            address, (long long)r->port, state_name(r), (unsigned long long)r->acknowledged,
            r->state == REPLICA_ONLINE
                ? (long long)(server->monotonic_ms - r->acknowledged_ms) / 1000
                : 0LL);
    }
}

void primary_report(struct report *report) {
    const struct server *server = report->server;
    const struct replication *replication = &server->replication;
    const struct primary *primary = &replicator_of(server)->primary;
    const struct backlog *backlog = &primary->backlog;
    bool has_second = replication->second_id[0] != 0;
    report_text(report, "role", replication->is_replica ? "slave" : "master");
    if (replication->is_replica) report_link(report);
    report_replicas(report);
    report_text(report, "master_failover_state", failover_name(server));
    report_text(report, "master_replid", replication->id);
    report_text(report, "master_replid2",
                has_second ? replication->second_id : "0000000000000000000000000000000000000000");
    report_number(report, "master_repl_offset", server->journal.offset);
    buffer_append_format(report->out, "second_repl_offset:%lld\r\n",
                         has_second ? (long long)replication->second_offset + 1 : -1LL);
    report_number(report, "repl_backlog_active", backlog->is_open);
    report_number(report, "repl_backlog_size", server->config->repl_backlog_size);
    report_number(report, "repl_backlog_first_byte_offset",
                  backlog->is_open ? backlog->begin + 1 : 0);
    report_number(report, "repl_backlog_histlen", backlog->end - backlog->begin);
    if (!replication->promises) return;
    report_number(report, "redstart_ack_offset", primary->kept);
    report_text(report, "redstart_ack_promise", primary->is_broken ? "broken" : "kept");
    report_number(report, "redstart_ack_broken", primary->broken);
}
