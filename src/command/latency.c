/* latency.c: LATENCY: spikes (engine/spikes.h), and how long calls of each command took
 * (engine/statistics.h). */
#include "command/command_handlers.h"

#include "engine/call.h"
#include "engine/command.h"
#include "engine/config.h"
#include "engine/server.h"

/* ---- spikes ---- */

void command_latency_latest(struct call *call) {
    enum { FIELDS = 4 };
    const struct spikes *spikes = &call->server->insight.spikes;
    reply_array(call->reply, spikes->count);
    for (uint32_t i = 0; i < spikes->count; i++) {
        const struct spike_kind *kind = spikes->kinds[i];
        const struct spike *last =
            &kind->samples[(kind->next + SPIKES_SAMPLES - 1) % SPIKES_SAMPLES];
        reply_array(call->reply, FIELDS);
        reply_bulk_text(call->reply, kind->name);
        reply_integer(call->reply, last->time_s);
        reply_integer(call->reply, last->took_ms);
        reply_integer(call->reply, kind->worst_ms);
    }
}

void command_latency_history(struct call *call) {
    struct spike samples[SPIKES_SAMPLES];
    const struct spike_kind *kind = spikes_find(&call->server->insight.spikes, call->argv[2]);
    uint32_t count = kind ? spikes_list(kind, samples) : 0;
    reply_array(call->reply, count);
    for (uint32_t i = 0; i < count; i++) {
        reply_array(call->reply, 2);
        reply_integer(call->reply, samples[i].time_s);
        reply_integer(call->reply, samples[i].took_ms);
    }
}

void command_latency_graph(struct call *call) {
    enum { SHOWN_MAX = 128 };
    struct bytes name = call->argv[2];
    const struct spike_kind *kind = spikes_find(&call->server->insight.spikes, name);
    if (!kind) {
        call_error(call, "ERR No samples available for event '%.*s'",
                   (int)(name.size < SHOWN_MAX ? name.size : SHOWN_MAX), name.data);
        return;
    }
    struct buffer text = {0};
    spikes_draw(kind, call->now_ms / 1000, &text);
    reply_verbatim(call->reply, "txt", buffer_bytes(&text));
    buffer_release(&text);
}

void command_latency_reset(struct call *call) {
    struct spikes *spikes = &call->server->insight.spikes;
    uint32_t count = 0;
    if (call->argc == 2) count = spikes_clear(spikes);
    for (uint32_t i = 2; i < call->argc; i++)
        count += spikes_remove(spikes, call->argv[i]);
    reply_integer(call->reply, count);
}

/* ---- the doctor ---- */

struct diagnosis {
    uint32_t count;
    double mean_ms, deviation_ms; /* mean distance from the mean */
    double period_s;              /* between two of them */
};

static struct diagnosis diagnose(const struct spike_kind *kind, int64_t now_s) {
    struct spike samples[SPIKES_SAMPLES];
    uint32_t count = spikes_list(kind, samples);
    struct diagnosis diagnosis = {.count = count};
    for (uint32_t i = 0; i < count; i++)
        diagnosis.mean_ms += (double)samples[i].took_ms / count;
    for (uint32_t i = 0; i < count; i++) {
        double distance = (double)samples[i].took_ms - diagnosis.mean_ms;
        diagnosis.deviation_ms += (distance < 0 ? -distance : distance) / count;
    }
    if (count > 0) diagnosis.period_s = (double)(now_s - samples[0].time_s) / count;
    return diagnosis;
}

/* What helps against a kind of spike, if something does. */
struct advice {
    const char *kinds[4]; /* names begin like one of these */
    const char *text;
};

static const struct advice advices[] = {
    {{"command", "fast-command"},
     "SLOWLOG GET shows which commands took long. What takes time in proportion to a large "
     "collection (KEYS, SMEMBERS, LRANGE 0 -1, SORT) can be asked for in portions, with SCAN and "
     "its relatives."},
    {{"fast-command"},
     "A command that is always quick was slow: the machine had no time for the server. Look for "
     "swapping, for other programs on the same processors, and for a host that takes processors "
     "away."},
    {{"expire-cycle"},
     "Very many keys end at the same moment. A random part added to their time to live spreads "
     "them."},
    {{"eviction"},
     "Memory is full, and keys are evicted while clients write. More maxmemory, or a shorter life "
     "for what is written, makes this rarer."},
    {{"aof-"},
     "The disk is slow to take the append-only file. A faster disk, one that nobody else uses, or "
     "appendfsync everysec instead of always helps."},
};

static bool concerns(const struct advice *advice, const char *kind) {
    for (unsigned i = 0; i < sizeof advice->kinds / sizeof *advice->kinds; i++) {
        const char *begin = advice->kinds[i];
        if (begin && strncmp(kind, begin, strlen(begin)) == 0) return true;
    }
    return false;
}

static void append_advices(const struct spikes *spikes, struct buffer *text) {
    bool is_first = true;
    for (unsigned i = 0; i < sizeof advices / sizeof *advices; i++) {
        bool helps = false;
        for (uint32_t j = 0; j < spikes->count; j++)
            helps |= concerns(&advices[i], spikes->kinds[j]->name);
        if (!helps) continue;
        if (is_first) buffer_append_text(text, "\nWhat can be done:\n\n");
        buffer_append_format(text, "- %s\n", advices[i].text);
        is_first = false;
    }
}

static void append_report(const struct call *call, struct buffer *text) {
    const struct spikes *spikes = &call->server->insight.spikes;
    buffer_append_text(text, "There were latency spikes: moments at which everybody had to "
                             "wait.\n\n");
    for (uint32_t i = 0; i < spikes->count; i++) {
        const struct spike_kind *kind = spikes->kinds[i];
        struct diagnosis found = diagnose(kind, call->now_ms / 1000);
        buffer_append_format(text,
                             "%u. %s: %u latency spikes (average %.0fms, mean deviation %.0fms, "
                             "period %.2f sec). Worst all time event %ums.\n",
                             i + 1, kind->name, found.count, found.mean_ms, found.deviation_ms,
                             found.period_s, kind->worst_ms);
    }
    append_advices(spikes, text);
}

void command_latency_doctor(struct call *call) {
    struct buffer text = {0};
    if (call->server->insight.spikes.count > 0)
        append_report(call, &text);
    else if (call->server->config->latency_monitor_threshold == 0)
        buffer_append_text(&text, "Latency monitoring is disabled. \"CONFIG SET "
                                  "latency-monitor-threshold <milliseconds>\" enables it: what "
                                  "takes longer is then noted.\n");
    else
        buffer_append_text(&text, "No latency spike has been observed since the server was started "
                                  "or LATENCY RESET was called.\n");
    reply_verbatim(call->reply, "txt", buffer_bytes(&text));
    buffer_release(&text);
}

/* ---- histograms ---- */

enum { STEPS_MAX = 40 }; /* powers of two of a microsecond */

/* Redis's steps: powers of 2 of 1.024 us, as its histogram of 2 significant digits rounds them. */
static uint64_t step_ns(unsigned step) {
    static const uint64_t first_ns = 1024;
    return (first_ns << step) + (first_ns << step) / 128 - 1;
}

static void reply_histogram(struct call *call, const struct command *command) {
    const struct latency *latency = call->server->command_statistics[command->number].latency;
    double ticks_per_us = call->server->io->operations->ticks_per_us;
    uint64_t us[STEPS_MAX], counts[STEPS_MAX], total = latency_total(latency), last = 0;
    unsigned count = 0;
    for (unsigned step = 0; step < STEPS_MAX && last < total; step++) {
        double ticks = (double)step_ns(step) * ticks_per_us / 1000;
        uint64_t below = latency_count_within(latency, (uint64_t)ticks);
        if (step == STEPS_MAX - 1) below = total;
        if (below == last) continue;
        us[count] = step_ns(step) / 1000;
        counts[count++] = last = below;
    }
    reply_bulk(call->reply, command->full_name);
    reply_map(call->reply, 2);
    reply_bulk_text(call->reply, "calls");
    reply_integer(call->reply, (int64_t)total);
    reply_bulk_text(call->reply, "histogram_usec");
    reply_map(call->reply, count);
    for (unsigned i = 0; i < count; i++) {
        reply_integer(call->reply, (int64_t)us[i]);
        reply_integer(call->reply, (int64_t)counts[i]);
    }
}

/* A container's name is one for all its subcommands. */
static bool is_named(const struct command *command, struct bytes name) {
    if (bytes_equal_ignore_case(command->full_name, name)) return true;
    size_t size = name.size;
    return command->full_name.size > size && command->full_name.data[size] == '|' &&
           bytes_equal_ignore_case(bytes_make(command->full_name.data, size), name);
}

/* Visit what was asked for and has been run; how many. */
static size_t visit_histograms(struct call *call, bool replies) {
    const struct server *server = call->server;
    size_t count = 0;
    for (uint32_t word = 2; word < call->argc || (word == 2 && call->argc == 2); word++) {
        for (unsigned i = 0; i < server->commands->count; i++) {
            const struct command *command = &server->commands->commands[i];
            bool wanted = call->argc == 2 || is_named(command, call->argv[word]);
            if (!wanted || !server->command_statistics[i].latency) continue;
            if (replies) reply_histogram(call, command);
            count++;
        }
    }
    return count;
}

void command_latency_histogram(struct call *call) {
    reply_map(call->reply, visit_histograms(call, false));
    visit_histograms(call, true);
}
