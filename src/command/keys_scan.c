/* keys_scan.c: walking over keys. */
#include "command/command_handlers.h"

#include "base/memory.h"
#include "command/scan.h"
#include "engine/server.h"

enum { GATHER_FIRST = 64 };

/* Which entries are wanted, and those found. */
struct gather {
    struct scan_options options;
    int type; /* enum value_type, or -1 for any */
    bool unknown_type;
    int64_t now_ms;
    const struct entry **found;
    size_t count, capacity;
    bool expires;        /* what is past its time shall go */
    struct buffer ended; /* names, each with its size in front */
};

static void note_ended(struct gather *gather, struct bytes name) {
    buffer_append(&gather->ended, &name.size, sizeof name.size);
    buffer_append(&gather->ended, name.data, name.size);
}

static void gather_entry(void *context, const struct entry *entry) {
    struct gather *gather = context;
    if (entry_expiry(entry) <= gather->now_ms) {
        if (gather->expires) note_ended(gather, entry_key(entry));
        return;
    }
    if (gather->unknown_type || (gather->type >= 0 && (int)entry_type(entry) != gather->type))
        return;
    if (!scan_matches(&gather->options, entry_key(entry))) return;
    if (gather->count == gather->capacity) {
        gather->capacity = gather->capacity ? gather->capacity * 2 : GATHER_FIRST;
        gather->found = memory_resize(gather->found, gather->capacity * sizeof *gather->found);
    }
    gather->found[gather->count++] = entry;
}

static void reply_gathered(struct call *call, struct gather *gather) {
    reply_array(call->reply, gather->count);
    for (size_t i = 0; i < gather->count; i++)
        reply_bulk(call->reply, entry_key(gather->found[i]));
    memory_free(gather->found);
}

void command_keys(struct call *call) {
    struct gather gather = {.type = -1, .now_ms = call->now_ms};
    uint64_t cursor = 0;
    gather.options.pattern = call->argv[1];
    gather.options.all = bytes_equal(call->argv[1], BYTES("*"));
    do
        cursor = database_scan(call->database, cursor, gather_entry, &gather);
    while (cursor != 0);
    reply_gathered(call, &gather);
}

static void set_type(struct gather *gather, struct bytes name) {
    gather->unknown_type = true;
    for (int type = 0; type < VALUE_TYPE_COUNT; type++) {
        if (!bytes_is(name, value_type_name((enum value_type)type))) continue;
        gather->type = type;
        gather->unknown_type = false;
    }
}

static bool parse_scan(struct call *call, struct gather *gather) {
    for (uint32_t i = 2; i < call->argc; i += 2) {
        bool taken;
        if (!scan_take_option(call, i, &gather->options, &taken)) return false;
        if (taken) continue;
        if (i + 1 >= call->argc || !call_argument_is(call, i, "type")) {
            call_error_syntax(call);
            return false;
        }
        set_type(gather, call->argv[i + 1]);
    }
    return true;
}

/* The walk has seen them, so others need not find them any more. */
static void expire_ended(struct call *call, struct gather *gather) {
    for (size_t at = 0, size; at < gather->ended.size; at += size) {
        memcpy(&size, gather->ended.data + at, sizeof size);
        at += sizeof size;
        call_expire(call, bytes_make(gather->ended.data + at, size));
    }
    buffer_release(&gather->ended);
}

void command_scan(struct call *call) {
    struct gather gather = {
        .options = scan_options_default(), .type = -1, .now_ms = call->now_ms, .expires = true};
    uint64_t cursor;
    if (!scan_parse_cursor(call, 1, &cursor)) return;
    if (!parse_scan(call, &gather)) return;
    /* As many buckets as would hold `count` entries, were each to have one or more. */
    int64_t rounds = scan_rounds(&gather.options);
    bool more = cursor < SCAN_CURSOR_END;
    while (more) {
        cursor = database_scan(call->database, cursor, gather_entry, &gather);
        more = cursor != 0 && --rounds > 0 && gather.count < (size_t)gather.options.count;
    }
    scan_reply_head(call, cursor);
    reply_gathered(call, &gather);
    expire_ended(call, &gather);
}
