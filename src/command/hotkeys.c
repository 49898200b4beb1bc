/* hotkeys.c: HOTKEYS. What it counts is kept by engine/hotkeys.h. */
#include "command/command_handlers.h"

#include "engine/call.h"
#include "engine/server.h"

enum { DEFAULT_MOST = 10, FIRST_METRIC = 4, DURATION_S_MAX = 1000000 };

/* METRICS 2 CPU NET: where the next word is, or 0 after an error. */
static uint32_t parse_metrics(struct call *call, struct hotkeys_options *options) {
    int64_t count;
    if (!call_argument_is(call, 2, "METRICS")) {
        call_error(call, "ERR METRICS parameter is required");
        return 0;
    }
    if (!call_parse_range(call, 3, 1, HOTKEYS_METRICS, &count,
                          "ERR METRICS count must be positive and at most 2"))
        return 0;
    uint32_t at = FIRST_METRIC;
    for (; count > 0; count--, at++) {
        bool is_cpu = at < call->argc && call_argument_is(call, at, "CPU");
        bool is_net = at < call->argc && call_argument_is(call, at, "NET");
        enum hotkeys_metric metric = is_cpu ? HOTKEYS_CPU : HOTKEYS_NET;
        if ((!is_cpu && !is_net) || options->counts[metric]) {
            call_error(call, "ERR METRICS count does not match number of metric types provided");
            return 0;
        }
        options->counts[metric] = true;
    }
    return at;
}

/* One option at `at`, which has a value; false after an error. */
static bool parse_option(struct call *call, uint32_t at, struct hotkeys_options *options) {
    int64_t number;
    if (call_argument_is(call, at, "COUNT")) {
        if (!call_parse_range(call, at + 1, 1, HOTKEYS_MAX, &number,
                              "ERR COUNT must be between 1 and 64"))
            return false;
        options->most = (uint32_t)number;
    } else if (call_argument_is(call, at, "DURATION")) {
        if (!call_parse_range(call, at + 1, 0, DURATION_S_MAX, &number,
                              "ERR DURATION must be between 0 and 1000000 seconds"))
            return false;
        options->duration_ms = number * 1000;
    } else if (call_argument_is(call, at, "SAMPLE")) {
        if (!call_parse_range(call, at + 1, 1, INT64_MAX, &number,
                              "ERR SAMPLE ratio must be positive"))
            return false;
        options->sample_ratio = (uint64_t)number;
    } else if (call_argument_is(call, at, "SLOTS")) {
        call_error(call, "ERR SLOTS parameter cannot be used in non-cluster mode");
        return false;
    } else {
        call_error_syntax(call);
        return false;
    }
    return true;
}

void command_hotkeys_start(struct call *call) {
    struct hotkeys_options options = {.most = DEFAULT_MOST, .sample_ratio = 1};
    uint32_t at = parse_metrics(call, &options);
    if (at == 0) return;
    for (; at < call->argc; at += 2) {
        if (at + 1 == call->argc) {
            call_error_syntax(call);
            return;
        }
        if (!parse_option(call, at, &options)) return;
    }
    if (call->server->insight.hotkeys.is_active) {
        call_error(call, "ERR hotkeys collection is already in progress");
        return;
    }
    hotkeys_start(call->server, &options);
    reply_ok(call->reply);
}

void command_hotkeys_stop(struct call *call) {
    if (!call->server->insight.hotkeys.is_active) {
        call_error(call, "ERR hotkeys collection is not in progress");
        return;
    }
    hotkeys_stop(call->server);
    reply_ok(call->reply);
}

void command_hotkeys_reset(struct call *call) {
    if (call->server->insight.hotkeys.is_active) {
        call_error(call, "ERR hotkeys collection is in progress: stop it first");
        return;
    }
    hotkeys_reset(call->server);
    reply_ok(call->reply);
}

/* ---- GET ---- */

static void field(struct call *call, const char *name, int64_t value) {
    reply_bulk_text(call->reply, name);
    reply_integer(call->reply, value);
}

static void field_list(struct call *call, const char *name, enum hotkeys_metric metric) {
    struct hotkeys_line lines[HOTKEYS_MAX];
    uint32_t count = hotkeys_list(&call->server->insight.hotkeys, metric, lines);
    reply_bulk_text(call->reply, name);
    reply_array(call->reply, (size_t)count * 2);
    for (uint32_t i = 0; i < count; i++) {
        uint64_t weight = lines[i].weight;
        reply_bulk(call->reply, lines[i].name);
        reply_integer(call->reply,
                      metric == HOTKEYS_CPU ? insight_us(call->server, weight) : (int64_t)weight);
    }
}

/* Without a cluster the only range is that of all slots. */
static void field_slots(struct call *call) {
    enum { LAST_SLOT = 16383 };
    reply_bulk_text(call->reply, "selected-slots");
    reply_array(call->reply, 1);
    reply_array(call->reply, 2);
    reply_integer(call->reply, 0);
    reply_integer(call->reply, LAST_SLOT);
}

void command_hotkeys_get(struct call *call) {
    enum { ALWAYS = 7, OF_CPU = 3, OF_NET = 2, MS_US = 1000 };
    const struct hotkeys *hotkeys = &call->server->insight.hotkeys;
    const struct hotkeys_report report = hotkeys_report(call->server);
    const bool *counts = report.options.counts;
    if (!hotkeys->is_there) {
        reply_null(call->reply);
        return;
    }
    reply_array(call->reply, 1); /* of the nodes that were asked: this one */
    reply_map(call->reply, (size_t)ALWAYS + (counts[HOTKEYS_CPU] ? OF_CPU : 0) +
                               (counts[HOTKEYS_NET] ? OF_NET : 0));
    field(call, "tracking-active", hotkeys->is_active);
    field(call, "sample-ratio", (int64_t)report.options.sample_ratio);
    field_slots(call);
    field(call, "all-commands-all-slots-us", insight_us(call->server, report.ticks));
    field(call, "net-bytes-all-commands-all-slots", (int64_t)report.bytes);
    field(call, "collection-start-time-unix-ms", report.begun_ms);
    field(call, "collection-duration-ms", report.took_us / MS_US);
    if (counts[HOTKEYS_CPU]) {
        field(call, "total-cpu-time-user-ms", (int64_t)(report.user_us / MS_US));
        field(call, "total-cpu-time-sys-ms", (int64_t)(report.system_us / MS_US));
    }
    if (counts[HOTKEYS_NET]) field(call, "total-net-bytes", (int64_t)report.bytes);
    if (counts[HOTKEYS_CPU]) field_list(call, "by-cpu-time-us", HOTKEYS_CPU);
    if (counts[HOTKEYS_NET]) field_list(call, "by-net-bytes", HOTKEYS_NET);
}
