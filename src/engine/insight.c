/* insight.c: which command concerns whom. */
#include "engine/insight.h"

#include "base/memory.h"
#include "engine/call.h"
#include "engine/command.h"
#include "engine/config.h"
#include "engine/server.h"

static const int64_t MILLISECOND_US = 1000, SECOND_US = 1000000;

/* ---- life ---- */

static bool changed(void *context, struct config *config, char *error, size_t error_size) {
    (void)config;
    (void)error;
    (void)error_size;
    insight_update(context);
    return true;
}

void insight_open(struct server *server) {
    config_observe(server->config, "slowlog-log-slower-than", changed, server);
    config_observe(server->config, "latency-monitor-threshold", changed, server);
    insight_update(server);
}

void insight_close(struct server *server) {
    hotkeys_reset(server);
    slowlog_clear(&server->insight.slowlog);
    spikes_clear(&server->insight.spikes);
}

static uint64_t ticks_of(const struct server *server, double us) {
    static const double limit = 9e18; /* below 2^63 */
    double ticks = us * server->io->operations->ticks_per_us;
    return ticks < limit ? (uint64_t)ticks : UINT64_MAX;
}

void insight_update(struct server *server) {
    const struct config *config = server->config;
    struct insight *insight = &server->insight;
    int64_t slow_us = config->slowlog_log_slower_than;
    uint64_t notable = UINT64_MAX;
    if (slow_us >= 0) notable = ticks_of(server, (double)slow_us);
    if (config->latency_monitor_threshold > 0) {
        double us = (double)config->latency_monitor_threshold * (double)MILLISECOND_US;
        uint64_t ticks = ticks_of(server, us);
        if (ticks < notable) notable = ticks;
    }
    bool is_all = insight->monitors.count > 0 || insight->hotkeys.is_active;
    insight->notable_ticks = is_all ? 0 : notable;
}

/* ---- what happens ---- */

struct bytes insight_word(const struct call *call, uint32_t index) {
    uint32_t bit = index < CALL_HIDDEN_BITS ? index : CALL_HIDDEN_BITS - 1;
    return call->hidden >> bit & 1 ? BYTES("(redacted)") : call->argv[index];
}

void insight_note(struct server *server, const char *name, int64_t took_us) {
    int64_t threshold_ms = server->config->latency_monitor_threshold;
    int64_t took_ms = took_us / MILLISECOND_US;
    if (threshold_ms == 0 || took_ms < threshold_ms) return;
    spikes_add(&server->insight.spikes, name, io_wall_us(server->io) / SECOND_US,
               took_ms < UINT32_MAX ? (uint32_t)took_ms : UINT32_MAX);
}

int64_t insight_us(const struct server *server, uint64_t ticks) {
    double ticks_per_us = server->io->operations->ticks_per_us;
    return ticks_per_us > 0 ? (int64_t)((double)ticks / ticks_per_us) : 0;
}

void insight_note_ticks(struct server *server, const char *name, uint64_t ticks) {
    if (server->config->latency_monitor_threshold > 0)
        insight_note(server, name, insight_us(server, ticks));
}

void insight_begin(struct call *call) {
    if (unlikely(call->server->insight.monitors.count > 0)) monitor_tell(call);
}

void insight_command(struct call *call, uint64_t ticks, bool again) {
    struct server *server = call->server;
    const struct config *config = server->config;
    uint32_t flags = call->command->flags;
    int64_t took_us = insight_us(server, ticks);
    if (server->insight.monitors.count > 0 && !again &&
        !(flags & (COMMAND_ADMIN | COMMAND_SKIP_MONITOR)))
        monitor_tell(call);
    if (call->waits) return;
    if (unlikely(server->insight.hotkeys.is_active)) hotkeys_end(call, ticks);
    insight_note(server, flags & COMMAND_FAST ? "fast-command" : "command", took_us);
    if (config->slowlog_log_slower_than >= 0 && took_us >= config->slowlog_log_slower_than &&
        !(flags & COMMAND_SKIP_SLOWLOG))
        slowlog_add(&server->insight.slowlog, call, took_us, (uint64_t)config->slowlog_max_len);
}
