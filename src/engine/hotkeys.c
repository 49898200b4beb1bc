/* hotkeys.c: see hotkeys.h. Owns the counters. */
#include "engine/hotkeys.h"

#include "base/memory.h"
#include "base/random.h"
#include "engine/call.h"
#include "engine/command.h"
#include "engine/server.h"

struct hotkey {
    struct named named;
    uint64_t weight;
    uint32_t place; /* in the heap */
};

/* ---- the heap ---- */

static void put(struct hotkeys_top *top, uint32_t place, struct hotkey *hotkey) {
    top->heap[place] = hotkey;
    hotkey->place = place;
}

static void rise(struct hotkeys_top *top, struct hotkey *hotkey) {
    uint32_t place = hotkey->place;
    for (; place > 0 && top->heap[(place - 1) / 2]->weight > hotkey->weight;
         place = (place - 1) / 2)
        put(top, place, top->heap[(place - 1) / 2]);
    put(top, place, hotkey);
}

static void sink(struct hotkeys_top *top, struct hotkey *hotkey) {
    uint32_t place = hotkey->place;
    while (true) {
        uint32_t child = 2 * place + 1;
        if (child >= top->count) break;
        if (child + 1 < top->count && top->heap[child + 1]->weight < top->heap[child]->weight)
            child++;
        if (top->heap[child]->weight >= hotkey->weight) break;
        put(top, place, top->heap[child]);
        place = child;
    }
    put(top, place, hotkey);
}

static void count(struct hotkeys_top *top, struct bytes name, uint64_t weight) {
    struct hotkey *hotkey = name_table_find(&top->keys, 0, name);
    if (hotkey) {
        hotkey->weight += weight;
        sink(top, hotkey);
    } else if (top->count < HOTKEYS_COUNTERS) {
        hotkey = name_table_find_or_add(&top->keys, 0, name);
        hotkey->weight = weight;
        hotkey->place = top->count++;
        rise(top, hotkey);
    } else {
        struct hotkey *least = top->heap[0];
        uint64_t before = least->weight;
        name_table_remove(&top->keys, least);
        hotkey = name_table_find_or_add(&top->keys, 0, name);
        hotkey->weight = before + weight;
        put(top, 0, hotkey);
        sink(top, hotkey);
    }
}

/* ---- a session of counting ---- */

static void forget(void *context, void *record) {
    (void)context;
    (void)record;
}

void hotkeys_reset(struct server *server) {
    struct hotkeys *hotkeys = &server->insight.hotkeys;
    for (int metric = 0; metric < HOTKEYS_METRICS; metric++) {
        struct hotkeys_top *top = hotkeys->tops[metric];
        if (!top) continue;
        name_table_clear(&top->keys, forget, NULL);
        name_table_release(&top->keys);
        memory_free(top);
    }
    *hotkeys = (struct hotkeys){0};
    insight_update(server);
}

void hotkeys_start(struct server *server, const struct hotkeys_options *options) {
    struct hotkeys *hotkeys = &server->insight.hotkeys;
    struct io_process_status process;
    hotkeys_reset(server);
    server->io->operations->process_status(server->io, &process);
    hotkeys->is_active = hotkeys->is_there = true;
    hotkeys->random = server_random(server) | 1; /* never 0 */
    hotkeys->output_before[0] = UINT64_MAX;      /* the command that begins it is not counted */
    hotkeys->report = (struct hotkeys_report){
        .options = *options,
        .begun_ms = server->now_ms,
        .begun_us = server->monotonic_us,
        .user_us = process.cpu_user_us,
        .system_us = process.cpu_system_us,
    };
    for (int metric = 0; metric < HOTKEYS_METRICS; metric++) {
        if (!options->counts[metric]) continue;
        struct hotkeys_top *top = memory_alloc_zeroed(1, sizeof *top);
        name_table_init(&top->keys, &server->keyspace.secret, sizeof(struct hotkey));
        hotkeys->tops[metric] = top;
    }
    insight_update(server);
}

struct hotkeys_report hotkeys_report(const struct server *server) {
    const struct hotkeys *hotkeys = &server->insight.hotkeys;
    struct hotkeys_report report = hotkeys->report;
    struct io_process_status process;
    if (!hotkeys->is_active) return report;
    server->io->operations->process_status(server->io, &process);
    report.took_us = server->monotonic_us - report.begun_us;
    report.user_us = process.cpu_user_us - report.user_us;
    report.system_us = process.cpu_system_us - report.system_us;
    return report;
}

void hotkeys_stop(struct server *server) {
    struct hotkeys *hotkeys = &server->insight.hotkeys;
    hotkeys->report = hotkeys_report(server);
    hotkeys->is_active = false;
    insight_update(server);
}

void hotkeys_check(struct server *server) {
    const struct hotkeys_report *report = &server->insight.hotkeys.report;
    int64_t limit_ms = report->options.duration_ms;
    if (limit_ms > 0 && (server->monotonic_us - report->begun_us) / 1000 >= limit_ms)
        hotkeys_stop(server);
}

/* ---- commands ---- */

/* What the session has written so far, sent or not. */
static uint64_t output_so_far(const struct session *session) {
    uint64_t bytes = session->bytes_out + output_pending(&session->output);
    if (session->reply_base && !session->reply.muted)
        bytes += (uint64_t)(session->reply.cursor - session->reply_base);
    return bytes;
}

void hotkeys_begin(const struct call *call) {
    if (call->session->flags & SESSION_SCRIPT) return;
    call->server->insight.hotkeys.output_before[call->in_unit] = output_so_far(call->session);
}

static uint64_t input_of(const struct call *call) {
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < call->argc; i++)
        bytes += call->argv[i].size;
    return bytes;
}

void hotkeys_end(const struct call *call, uint64_t ticks) {
    struct hotkeys *hotkeys = &call->server->insight.hotkeys;
    struct command_keys keys = {.count = 0};
    uint64_t after = output_so_far(call->session), bytes = input_of(call);
    if (call->session->flags & SESSION_SCRIPT) return;
    uint64_t before = hotkeys->output_before[call->in_unit];
    if (after > before) bytes += after - before;
    if (!call->in_unit) { /* else it is part of what EXEC took */
        hotkeys->report.ticks += ticks;
        hotkeys->report.bytes += bytes;
    }
    if (!command_keys_find(call->command, call->argv, call->argc, &keys)) return;
    const uint64_t weights[HOTKEYS_METRICS] = {[HOTKEYS_CPU] = ticks, [HOTKEYS_NET] = bytes};
    for (uint32_t i = 0; i < keys.count; i++) {
        struct bytes name = call->argv[keys.keys[i].position];
        uint64_t ratio = hotkeys->report.options.sample_ratio;
        if (ratio > 1 && random_next(&hotkeys->random) % ratio != 0) continue;
        for (int metric = 0; metric < HOTKEYS_METRICS; metric++)
            if (hotkeys->tops[metric])
                count(hotkeys->tops[metric], name, weights[metric] / keys.count);
    }
    command_keys_release(&keys);
}

/* ---- looking ---- */

uint32_t hotkeys_list(const struct hotkeys *hotkeys, enum hotkeys_metric metric,
                      struct hotkeys_line lines[HOTKEYS_MAX]) {
    const struct hotkeys_top *top = hotkeys->tops[metric];
    uint32_t most = hotkeys->report.options.most, found = 0;
    for (uint32_t i = 0; i < top->count; i++) {
        const struct hotkey *hotkey = top->heap[i];
        if (found == most && lines[found - 1].weight >= hotkey->weight) continue;
        uint32_t at = found < most ? found++ : found - 1;
        for (; at > 0 && lines[at - 1].weight < hotkey->weight; at--)
            lines[at] = lines[at - 1];
        lines[at] = (struct hotkeys_line){hotkey->named.name, hotkey->weight};
    }
    return found;
}
