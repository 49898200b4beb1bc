/* slowlog.c: SLOWLOG, and MONITOR. What they show is kept by engine/insight.h. */
#include "command/command_handlers.h"

#include "engine/call.h"
#include "engine/server.h"

/* ---- SLOWLOG ---- */

static void reply_entry(struct reply *reply, const struct slowlog_entry *entry) {
    enum { FIELDS = 6 };
    reply_array(reply, FIELDS);
    reply_integer(reply, (int64_t)entry->id);
    reply_integer(reply, entry->time_s);
    reply_integer(reply, entry->took_us);
    reply_array(reply, entry->word_count);
    for (uint32_t i = 0; i < entry->word_count; i++)
        reply_bulk(reply, entry->words[i]);
    reply_bulk_text(reply, entry->address);
    reply_bulk(reply, entry->client);
}

void command_slowlog_get(struct call *call) {
    enum { DEFAULT_COUNT = 10 };
    const struct slowlog *slowlog = &call->server->insight.slowlog;
    int64_t wanted = DEFAULT_COUNT;
    if (call->argc > 3) {
        call_error_subcommand_words(call);
        return;
    }
    if (call->argc == 3 && !call_parse_range(call, 2, -1, INT64_MAX, &wanted,
                                             "ERR count should be greater than or equal to -1"))
        return;
    uint64_t count = slowlog->count;
    if (wanted >= 0 && (uint64_t)wanted < count) count = (uint64_t)wanted;
    const struct slowlog_entry *entry = slowlog->newest;
    reply_array(call->reply, count);
    for (uint64_t i = 0; i < count; i++, entry = entry->older)
        reply_entry(call->reply, entry);
}

void command_slowlog_len(struct call *call) {
    reply_integer(call->reply, (int64_t)call->server->insight.slowlog.count);
}

void command_slowlog_reset(struct call *call) {
    slowlog_clear(&call->server->insight.slowlog);
    reply_ok(call->reply);
}

/* ---- MONITOR ---- */

void command_monitor(struct call *call) {
    if (!call_may_wait(call)) {
        call_error(call, "ERR MONITOR isn't allowed for DENY BLOCKING client");
        return;
    }
    if (call->session->flags & SESSION_MONITOR) return; /* without a reply, as in Redis */
    monitor_add(call->session);
    reply_ok(call->reply);
}
