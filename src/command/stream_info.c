/* stream_info.c: XINFO: what is known of a stream, its groups and their consumers. */
#include "command/command_handlers.h"
#include "command/stream_arguments.h"

#include "engine/server.h"

static void reply_name(struct call *call, const char *name) {
    reply_bulk_text(call->reply, name);
}

static void reply_field(struct call *call, const char *name, int64_t number) {
    reply_name(call, name);
    reply_integer(call->reply, number);
}

static void reply_id_field(struct call *call, const char *name, const struct stream_id *id) {
    reply_name(call, name);
    stream_reply_id(call, id);
}

/* A number, or null where it is below 0. */
static void reply_known_field(struct call *call, const char *name, int64_t number, bool known) {
    reply_name(call, name);
    if (known)
        reply_integer(call->reply, number);
    else
        reply_null(call->reply);
}

/* The stream of argument 2, false after an error reply. */
static bool read_stream(struct call *call, const struct stream **stream) {
    if (!stream_read(call, 2, stream)) return false;
    if (!*stream) call_error_no_key(call);
    return *stream != NULL;
}

/* ---- XINFO STREAM ---- */

/* What both forms begin with; nodes are told as keys of a tree, whose own nodes are one more. */
static void reply_head_of(struct call *call, const struct stream *stream) {
    reply_field(call, "length", (int64_t)stream_length(stream));
    reply_field(call, "radix-tree-keys", (int64_t)stream->tree.chunks);
    reply_field(call, "radix-tree-nodes", (int64_t)stream->tree.chunks + 1);
    reply_id_field(call, "last-generated-id", &stream->last);
    reply_id_field(call, "max-deleted-entry-id", &stream->max_deleted);
    reply_field(call, "entries-added", (int64_t)stream->added);
    reply_id_field(call, "recorded-first-entry-id", &stream->first);
}

static void reply_edge(struct call *call, const struct stream *stream, const char *name,
                       bool last) {
    struct stream_walk walk;
    reply_name(call, name);
    stream_walk_begin(&walk, stream, &STREAM_ID_MIN, &STREAM_ID_MAX, last);
    if (stream_walk_next(&walk))
        stream_reply_entry(call, &walk);
    else
        reply_null(call->reply);
}

static void reply_short(struct call *call, const struct stream *stream) {
    reply_map(call->reply, 10);
    reply_head_of(call, stream);
    reply_field(call, "groups", stream_group_count(stream));
    reply_edge(call, stream, "first-entry", false);
    reply_edge(call, stream, "last-entry", true);
}

static uint64_t smaller(uint64_t a, uint64_t b) {
    return a < b ? a : b;
}

/* What is pending, of a group with the consumers' names or of one consumer without. */
static void reply_pending(struct call *call, const struct stream_group *group,
                          const struct stream_consumer *consumer, uint64_t max) {
    struct stream_pending_walk walk;
    struct stream_pending pending;
    uint64_t all = consumer ? consumer->pending.count : group->pending.count;
    reply_field(call, "pel-count", (int64_t)all);
    reply_name(call, "pending");
    uint64_t count = smaller(all, max);
    reply_array(call->reply, count);
    stream_pending_begin(&walk, group, consumer, &STREAM_ID_MIN);
    for (; count > 0 && stream_pending_next(&walk, &pending); count--) {
        reply_array(call->reply, consumer ? 3 : 4);
        stream_reply_id(call, &pending.id);
        if (!consumer)
            reply_bulk(call->reply,
                       stream_consumer_name(stream_consumer_numbered(group, pending.consumer)));
        reply_integer(call->reply, pending.delivered_ms);
        reply_integer(call->reply, (int64_t)pending.deliveries);
    }
}

/* Last id, entries read, lag. */
static void reply_progress(struct call *call, const struct stream *stream,
                           const struct stream_group *group) {
    int64_t lag;
    reply_id_field(call, "last-delivered-id", &group->last);
    reply_known_field(call, "entries-read", group->read, group->read != STREAM_READ_UNKNOWN);
    bool known = stream_group_lag(stream, group, &lag);
    reply_known_field(call, "lag", lag, known);
}

static void reply_full_group(struct call *call, const struct stream *stream,
                             const struct stream_group *group, uint64_t max) {
    uint32_t consumers = stream_consumer_count(group);
    reply_map(call->reply, 7);
    reply_name(call, "name");
    reply_bulk(call->reply, stream_group_name(group));
    reply_progress(call, stream, group);
    reply_pending(call, group, NULL, max);
    reply_name(call, "consumers");
    reply_array(call->reply, consumers);
    for (uint32_t i = 0; i < consumers; i++) {
        const struct stream_consumer *consumer = stream_consumer_at(group, i);
        reply_map(call->reply, 5);
        reply_name(call, "name");
        reply_bulk(call->reply, stream_consumer_name(consumer));
        reply_field(call, "seen-time", consumer->seen_ms);
        reply_field(call, "active-time", consumer->active_ms);
        reply_pending(call, group, consumer, max);
    }
}

static void reply_full(struct call *call, const struct stream *stream, uint64_t max) {
    struct stream_walk walk;
    reply_map(call->reply, 9);
    reply_head_of(call, stream);
    reply_name(call, "entries");
    stream_walk_begin(&walk, stream, &STREAM_ID_MIN, &STREAM_ID_MAX, false);
    stream_reply_walk(call, &walk, max);
    reply_name(call, "groups");
    reply_array(call->reply, stream_group_count(stream));
    for (uint32_t i = 0; i < stream_group_count(stream); i++)
        reply_full_group(call, stream, stream_group_at(stream, i), max);
}

void command_xinfo_stream(struct call *call) {
    enum { SHORT_ARGUMENTS = 3, FULL_ARGUMENTS = 4, COUNT_ARGUMENTS = 6, COUNT = 10 };
    const struct stream *stream;
    int64_t count = COUNT;
    if (!read_stream(call, &stream)) return;
    if (call->argc == SHORT_ARGUMENTS) {
        reply_short(call, stream);
        return;
    }
    bool counted = call->argc == COUNT_ARGUMENTS && call_argument_is(call, 4, "count");
    if (!call_argument_is(call, 3, "full") || (call->argc != FULL_ARGUMENTS && !counted)) {
        call_error_subcommand_words(call);
        return;
    }
    if (counted && !call_parse_i64(call, 5, &count, NULL)) return;
    if (count < 0) count = COUNT;
    reply_full(call, stream, count == 0 ? UINT64_MAX : (uint64_t)count);
}

/* ---- XINFO GROUPS, XINFO CONSUMERS ---- */

void command_xinfo_groups(struct call *call) {
    const struct stream *stream;
    if (!read_stream(call, &stream)) return;
    reply_array(call->reply, stream_group_count(stream));
    for (uint32_t i = 0; i < stream_group_count(stream); i++) {
        const struct stream_group *group = stream_group_at(stream, i);
        reply_map(call->reply, 6);
        reply_name(call, "name");
        reply_bulk(call->reply, stream_group_name(group));
        reply_field(call, "consumers", stream_consumer_count(group));
        reply_field(call, "pending", (int64_t)group->pending.count);
        reply_progress(call, stream, group);
    }
}

/* Milliseconds since then, -1 for never. */
static int64_t since(const struct call *call, int64_t when_ms) {
    if (when_ms == STREAM_NEVER) return -1;
    return when_ms < call->now_ms ? call->now_ms - when_ms : 0;
}

void command_xinfo_consumers(struct call *call) {
    const struct stream *stream;
    struct bytes key = call->argv[2], name = call->argv[3];
    if (!read_stream(call, &stream)) return;
    const struct stream_group *group = stream_group_find(stream, name);
    if (!group) {
        call_error(call, "NOGROUP No such consumer group '%.*s' for key name '%.*s'",
                   (int)name.size, name.data, (int)key.size, key.data);
        return;
    }
    reply_array(call->reply, stream_consumer_count(group));
    for (uint32_t i = 0; i < stream_consumer_count(group); i++) {
        const struct stream_consumer *consumer = stream_consumer_at(group, i);
        reply_map(call->reply, 4);
        reply_name(call, "name");
        reply_bulk(call->reply, stream_consumer_name(consumer));
        reply_field(call, "pending", (int64_t)consumer->pending.count);
        reply_field(call, "idle", since(call, consumer->seen_ms));
        reply_field(call, "inactive", since(call, consumer->active_ms));
    }
}
