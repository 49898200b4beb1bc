/* stream_group.c: XGROUP, XACK, XACKDEL, XPENDING. */
#include "command/command_handlers.h"
#include "command/stream_arguments.h"

#include "engine/server.h"

/* ---- XGROUP ---- */

struct group_options {
    bool make_stream;
    int64_t read;
};

/* From an argument to the end; false after an error reply. */
static bool parse_group_options(struct call *call, uint32_t first, bool creates,
                                struct group_options *options) {
    enum { CREATE_MAX = 8, SET_ID_MAX = 7 };
    *options = (struct group_options){.read = STREAM_READ_UNKNOWN};
    for (uint32_t i = first; i < call->argc; i++) {
        if (creates && call_argument_is(call, i, "mkstream")) {
            options->make_stream = true;
        } else if (call_argument_is(call, i, "entriesread") && i + 1 < call->argc) {
            if (!call_parse_i64(call, ++i, &options->read, NULL)) return false;
            if (options->read < STREAM_READ_UNKNOWN) {
                call_error(call, "ERR value for ENTRIESREAD must be positive or -1");
                return false;
            }
        } else {
            call_error_subcommand_words(call);
            return false;
        }
    }
    if (call->argc > (creates ? CREATE_MAX : SET_ID_MAX)) {
        call_error_subcommand_words(call);
        return false;
    }
    return true;
}

/* The stream has to be there; false after an error reply. */
static bool look_at_stream(struct call *call, struct stream_edit *edit) {
    if (!stream_edit_look(call, 2, edit)) return false;
    if (edit->seen) return true;
    call_error(call, "ERR The XGROUP subcommand requires the key to exist. Note that for CREATE "
                     "you may want to use the MKSTREAM option to create an empty stream "
                     "automatically.");
    return false;
}

static bool look_at_group(struct call *call, struct stream_edit *edit) {
    struct bytes key = call->argv[2], group = call->argv[3];
    if (!look_at_stream(call, edit)) return false;
    if (stream_group_find(edit->seen, group)) return true;
    call_error(call, "NOGROUP No such consumer group '%.*s' for key name '%.*s'", (int)group.size,
               group.data, (int)key.size, key.data);
    return false;
}

void command_xgroup_create(struct call *call) {
    struct group_options options;
    struct stream_edit edit;
    struct stream_id id = STREAM_ID_MIN;
    if (!parse_group_options(call, 5, true, &options)) return;
    if (options.make_stream ? !stream_edit_look(call, 2, &edit) : !look_at_stream(call, &edit))
        return;
    if (!bytes_equal(call->argv[4], BYTES("$"))) {
        if (!stream_take_id(call, 4, 0, &id)) return;
    } else if (edit.seen) {
        id = edit.seen->last;
    }
    bool was_there = edit.seen != NULL;
    if (was_there && stream_group_find(edit.seen, call->argv[3])) {
        call_error(call, "BUSYGROUP Consumer Group name already exists");
        return;
    }
    stream_edit_begin(call, &edit);
    stream_group_create(edit.stream, call->argv[3], &id, options.read);
    stream_edit_end(&edit);
    if (was_there)
        call_changed_inside(call, call->database, edit.key.name, NOTIFY_STREAM, "xgroup-create");
    else
        call_changed(call, call->database, edit.key.name, NOTIFY_STREAM, "xgroup-create");
    reply_ok(call->reply);
}

void command_xgroup_setid(struct call *call) {
    struct group_options options;
    struct stream_edit edit;
    struct stream_id id;
    if (!parse_group_options(call, 5, false, &options) || !look_at_group(call, &edit)) return;
    if (bytes_equal(call->argv[4], BYTES("$")))
        id = edit.seen->last;
    else if (bytes_equal(call->argv[4], BYTES("-")))
        id = STREAM_ID_MIN;
    else if (bytes_equal(call->argv[4], BYTES("+")))
        id = STREAM_ID_MAX;
    else if (!stream_take_id(call, 4, 0, &id))
        return;
    stream_edit_begin(call, &edit);
    struct stream_group *group = stream_edit_group(call, &edit, 3);
    group->last = id;
    group->read = options.read;
    stream_edit_end(&edit);
    call_changed_inside(call, call->database, edit.key.name, NOTIFY_STREAM, "xgroup-setid");
    reply_ok(call->reply);
}

void command_xgroup_destroy(struct call *call) {
    struct stream_edit edit;
    if (!look_at_stream(call, &edit)) return;
    if (!stream_group_find(edit.seen, call->argv[3])) {
        reply_integer(call->reply, 0);
        return;
    }
    stream_edit_begin(call, &edit);
    stream_group_destroy(edit.stream, stream_group_find(edit.stream, call->argv[3]));
    stream_edit_end(&edit);
    call_changed_inside(call, call->database, edit.key.name, NOTIFY_STREAM, "xgroup-destroy");
    reply_integer(call->reply, 1);
}

void command_xgroup_createconsumer(struct call *call) {
    struct stream_edit edit;
    if (!look_at_group(call, &edit)) return;
    stream_edit_begin(call, &edit);
    struct stream_group *group = stream_edit_group(call, &edit, 3);
    stream_consumer_obtain(call, &edit, group, call->argv[4]);
    stream_edit_end(&edit);
    reply_integer(call->reply, call->changes > 0);
}

void command_xgroup_delconsumer(struct call *call) {
    struct stream_edit edit;
    uint64_t pending = 0;
    if (!look_at_group(call, &edit)) return;
    stream_edit_begin(call, &edit);
    struct stream_group *group = stream_edit_group(call, &edit, 3);
    const struct stream_consumer *consumer = stream_consumer_find(group, call->argv[4]);
    if (consumer) pending = stream_consumer_destroy(edit.stream, group, consumer);
    stream_edit_end(&edit);
    if (consumer)
        call_changed_inside(call, call->database, edit.key.name, NOTIFY_STREAM,
                            "xgroup-delconsumer");
    reply_integer(call->reply, (int64_t)pending);
}

/* ---- XACK, XACKDEL ---- */

void command_xack(struct call *call) {
    struct stream_edit edit;
    int64_t acknowledged = 0;
    if (!stream_edit_look(call, 1, &edit)) return;
    if (!edit.seen) call_missed(call, 1);
    if (!edit.seen || !stream_group_find(edit.seen, call->argv[2])) {
        reply_integer(call->reply, 0);
        return;
    }
    if (!stream_check_ids(call, 3, call->argc - 3)) return;
    stream_edit_begin(call, &edit);
    struct stream_group *group = stream_edit_group(call, &edit, 2);
    for (uint32_t i = 3; i < call->argc; i++) {
        struct stream_id id;
        stream_id_parse(call->argv[i], 0, &id);
        acknowledged += stream_pending_remove(edit.stream, group, &id);
    }
    stream_edit_end(&edit);
    if (acknowledged > 0)
        call_changed_inside(call, call->database, edit.key.name, NOTIFY_STREAM, NULL);
    reply_integer(call->reply, acknowledged);
}

struct ack_result {
    bool acknowledged, deleted;
};

/* 1: acknowledged and deleted, 2: not deleted as another group needs it, -1: it was not pending. */
static int64_t acknowledge_and_delete(struct call *call, struct stream_edit *edit,
                                      const struct stream_id *id, enum stream_references references,
                                      struct ack_result *result) {
    struct stream *stream = edit->stream;
    struct bytes group_name = call->argv[2];
    struct stream_group *group = stream_group_open(stream, stream_group_find(stream, group_name));
    if (!stream_pending_remove(stream, group, id)) return -1;
    result->acknowledged = true;
    stream_effect_ack(call, edit->key.name, group_name, id);
    if (references == STREAM_REFERENCES_DELETED)
        stream_effect_forget(call, edit->key.name, stream, id);
    enum stream_removal removal = stream_remove(stream, id, references);
    if (removal == STREAM_REMOVED) stream_effect_delete(call, edit->key.name, id);
    result->deleted |= removal == STREAM_REMOVED;
    return removal == STREAM_REFERENCED ? 2 : 1;
}

void command_xackdel(struct call *call) {
    struct stream_ids ids;
    struct stream_edit edit;
    struct ack_result result = {false, false};
    if (!stream_take_ids(call, 3, &ids) || !stream_edit_look(call, 1, &edit)) return;
    if (!stream_check_ids(call, ids.first, ids.count)) return;
    bool known = edit.seen && stream_group_find(edit.seen, call->argv[2]);
    reply_array(call->reply, ids.count);
    if (known) stream_edit_begin(call, &edit);
    for (uint32_t i = 0; i < ids.count; i++) {
        struct stream_id id;
        stream_id_parse(call->argv[ids.first + i], 0, &id);
        reply_integer(call->reply,
                      known ? acknowledge_and_delete(call, &edit, &id, ids.references, &result)
                            : -1);
    }
    if (!known) return;
    stream_edit_end(&edit);
    if (result.deleted)
        call_changed(call, call->database, edit.key.name, NOTIFY_STREAM, "xdel");
    else if (result.acknowledged)
        call_changed_inside(call, call->database, edit.key.name, NOTIFY_STREAM, NULL);
}

/* ---- XPENDING ---- */

struct pending_query {
    bool ranged;
    int64_t idle_ms_min, count;
    struct stream_id from, to;
    uint32_t consumer_at; /* argument; 0: all */
};

static bool parse_pending_query(struct call *call, struct pending_query *query) {
    enum { ARGUMENTS_MAX = 9 };
    uint32_t start = 3;
    *query = (struct pending_query){.ranged = call->argc != 3};
    if (!query->ranged) return true;
    if (call->argc < 6 || call->argc > ARGUMENTS_MAX) {
        call_error_syntax(call);
        return false;
    }
    if (call_argument_is(call, 3, "idle")) {
        if (!call_parse_i64(call, 4, &query->idle_ms_min, NULL)) return false;
        if (call->argc < 8) {
            call_error_syntax(call);
            return false;
        }
        start = 5;
    }
    if (!call_parse_i64(call, start + 2, &query->count, NULL)) return false;
    if (!stream_take_start(call, start, &query->from) ||
        !stream_take_end(call, start + 1, &query->to))
        return false;
    if (start + 3 < call->argc) query->consumer_at = start + 3;
    return true;
}

/* How many, from where to where, and how many of each consumer that has any. */
static void reply_summary(struct call *call, const struct stream_group *group) {
    uint32_t consumers = stream_consumer_count(group), having = 0;
    reply_array(call->reply, 4);
    reply_integer(call->reply, (int64_t)group->pending.count);
    if (group->pending.count == 0) {
        reply_null(call->reply);
        reply_null(call->reply);
        reply_null_array(call->reply);
        return;
    }
    struct stream_id first, last;
    stream_pending_bounds(group, &first, &last);
    stream_reply_id(call, &first);
    stream_reply_id(call, &last);
    for (uint32_t i = 0; i < consumers; i++)
        having += stream_consumer_at(group, i)->pending.count > 0;
    reply_array(call->reply, having);
    for (uint32_t i = 0; i < consumers; i++) {
        const struct stream_consumer *consumer = stream_consumer_at(group, i);
        if (consumer->pending.count == 0) continue;
        reply_array(call->reply, 2);
        reply_bulk(call->reply, stream_consumer_name(consumer));
        reply_bulk_integer(call->reply, (int64_t)consumer->pending.count);
    }
}

/* The next that the query means; false at the end. */
static bool next_pending(const struct call *call, const struct pending_query *query,
                         struct stream_pending_walk *walk, struct stream_pending *pending) {
    while (stream_pending_next(walk, pending)) {
        if (stream_id_compare(&pending->id, &query->to) > 0) return false;
        if (query->idle_ms_min > 0 && call->now_ms - pending->delivered_ms < query->idle_ms_min)
            continue;
        return true;
    }
    return false;
}

static void reply_pending(struct call *call, const struct stream_group *group,
                          const struct stream_pending *pending) {
    int64_t idle = call->now_ms - pending->delivered_ms;
    reply_array(call->reply, 4);
    stream_reply_id(call, &pending->id);
    reply_bulk(call->reply,
               stream_consumer_name(stream_consumer_numbered(group, pending->consumer)));
    reply_integer(call->reply, idle > 0 ? idle : 0);
    reply_integer(call->reply, (int64_t)pending->deliveries);
}

static void reply_range(struct call *call, const struct stream_group *group,
                        const struct pending_query *query) {
    const struct stream_consumer *consumer = NULL;
    struct stream_pending_walk walk;
    struct stream_pending pending;
    int64_t count = 0;
    if (query->consumer_at > 0) {
        consumer = stream_consumer_find(group, call->argv[query->consumer_at]);
        if (!consumer) {
            reply_array(call->reply, 0);
            return;
        }
    }
    stream_pending_begin(&walk, group, consumer, &query->from);
    while (count < query->count && next_pending(call, query, &walk, &pending))
        count++;
    reply_array(call->reply, (size_t)count);
    stream_pending_begin(&walk, group, consumer, &query->from);
    while (count-- > 0 && next_pending(call, query, &walk, &pending))
        reply_pending(call, group, &pending);
}

void command_xpending(struct call *call) {
    struct pending_query query;
    const struct stream *stream;
    struct bytes key = call->argv[1], name = call->argv[2];
    if (!parse_pending_query(call, &query) || !stream_read(call, 1, &stream)) return;
    const struct stream_group *group = stream ? stream_group_find(stream, name) : NULL;
    if (!group) {
        call_error(call, "NOGROUP No such key '%.*s' or consumer group '%.*s'", (int)key.size,
                   key.data, (int)name.size, name.data);
        return;
    }
    if (query.ranged)
        reply_range(call, group, &query);
    else
        reply_summary(call, group);
}
