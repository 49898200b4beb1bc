/* stream_read.c: XREAD and XREADGROUP: what is new in several streams, now or when it comes.
 *
 * A reading is parsed whole, each key's group and id are looked at, then everything is delivered
 * (which may change groups), and then the reply is written from what was delivered. */
#include "command/command_handlers.h"
#include "command/stream_arguments.h"

#include "base/memory.h"
#include "engine/server.h"

struct reading {
    bool by_group;
    uint64_t count;   /* UINT64_MAX: all */
    int64_t block_ms; /* -1: do not wait */
    bool no_ack;
    uint32_t group_at; /* argument; 0: not given */
    uint32_t keys_at;  /* first of the keys; 0: not given */
    uint32_t keys;
};

/* What is read from one key. */
struct portion {
    struct stream_id after; /* entries behind this one */
    bool history;           /* of the consumer, instead of new ones */
    bool last_one;          /* "+" */
    /* when delivered: the entries from `from` to `to`, so many */
    struct stream_id from, to;
    uint64_t count;
    bool served;
};

/* ---- words ---- */

static bool take_count(struct call *call, uint32_t index, struct reading *reading) {
    int64_t count;
    if (!call_parse_i64(call, index, &count, NULL)) return false;
    reading->count = count > 0 ? (uint64_t)count : UINT64_MAX;
    return true;
}

static bool take_block(struct call *call, uint32_t index, struct reading *reading) {
    if (call->session->flags & SESSION_SCRIPT) {
        call_error(call, "ERR %.*s command is not allowed with BLOCK option from scripts",
                   (int)call->argv[0].size, call->argv[0].data);
        return false;
    }
    if (!call_parse_i64(call, index, &reading->block_ms,
                        "ERR timeout is not an integer or out of range"))
        return false;
    if (reading->block_ms < 0) {
        call_error(call, "ERR timeout is negative");
        return false;
    }
    if (__builtin_add_overflow(call->now_ms, reading->block_ms, &(int64_t){0})) {
        call_error(call, "ERR timeout is out of range");
        return false;
    }
    return true;
}

static bool take_streams(struct call *call, uint32_t index, struct reading *reading) {
    uint32_t words = call->argc - index;
    if (words % 2 != 0) {
        call_error(call, "ERR Unbalanced XREAD list of streams: for each stream key an ID or '$' "
                         "must be specified.");
        return false;
    }
    reading->keys_at = index;
    reading->keys = words / 2;
    return true;
}

static bool refuse_option(struct call *call, const char *option) {
    call_error(call, "ERR The %s option is only supported by XREADGROUP. You called XREAD instead.",
               option);
    return false;
}

/* One option at *i; false after an error reply. */
static bool take_option(struct call *call, uint32_t *i, struct reading *reading) {
    uint32_t more = call->argc - *i - 1;
    if (more >= 1 && call_argument_is(call, *i, "block")) return take_block(call, ++*i, reading);
    if (more >= 1 && call_argument_is(call, *i, "count")) return take_count(call, ++*i, reading);
    if (more >= 2 && call_argument_is(call, *i, "group")) {
        if (!reading->by_group) return refuse_option(call, "GROUP");
        reading->group_at = *i + 1;
        *i += 2;
        return true;
    }
    if (call_argument_is(call, *i, "noack")) {
        if (!reading->by_group) return refuse_option(call, "NOACK");
        reading->no_ack = true;
        return true;
    }
    call_error_syntax(call);
    return false;
}

static bool parse_reading(struct call *call, bool by_group, struct reading *reading) {
    *reading = (struct reading){.by_group = by_group, .count = UINT64_MAX, .block_ms = -1};
    for (uint32_t i = 1; i < call->argc && reading->keys_at == 0; i++) {
        if (i + 1 < call->argc && call_argument_is(call, i, "streams")) {
            if (!take_streams(call, i + 1, reading)) return false;
        } else if (!take_option(call, &i, reading)) {
            return false;
        }
    }
    if (reading->keys_at == 0) {
        call_error_syntax(call);
        return false;
    }
    if (by_group && reading->group_at == 0) {
        call_error(call, "ERR Missing GROUP option for XREADGROUP");
        return false;
    }
    return true;
}

/* ---- ids and groups ---- */

static bool check_group(struct call *call, const struct reading *reading, uint32_t key_at,
                        const struct stream *stream) {
    struct bytes group = call->argv[reading->group_at], key = call->argv[key_at];
    if (stream && stream_group_find(stream, group)) return true;
    call_error(call,
               "NOGROUP No such key '%.*s' or consumer group '%.*s' in XREADGROUP with GROUP "
               "option",
               (int)key.size, key.data, (int)group.size, group.data);
    return false;
}

/* "+": behind the last entry but one, or what "$" means where there is none. */
static struct stream_id before_last(const struct stream *stream) {
    struct stream_walk walk;
    if (!stream) return STREAM_ID_MIN;
    stream_walk_begin(&walk, stream, &STREAM_ID_MIN, &STREAM_ID_MAX, true);
    if (!stream_walk_next(&walk)) return stream->last;
    struct stream_id id = walk.node.id;
    stream_id_decrement(&id);
    return id;
}

static bool parse_portion(struct call *call, const struct reading *reading, uint32_t index,
                          struct portion *portion) {
    uint32_t key_at = reading->keys_at + index, id_at = key_at + reading->keys;
    struct bytes text = call->argv[id_at];
    const struct stream *stream;
    *portion = (struct portion){.history = reading->by_group};
    if (!stream_read(call, key_at, &stream)) return false;
    if (reading->by_group && !check_group(call, reading, key_at, stream)) return false;
    if (bytes_equal(text, BYTES("$"))) {
        if (reading->by_group) {
            call_error(call, "ERR The $ ID is meaningless in the context of XREADGROUP: you want "
                             "to read the history of this consumer by specifying a proper ID, or "
                             "use the > ID to get new messages. The $ ID would just return an "
                             "empty result set.");
            return false;
        }
        if (stream) portion->after = stream->last;
    } else if (bytes_equal(text, BYTES("+")) && !reading->by_group) {
        portion->after = before_last(stream);
    } else if (bytes_equal(text, BYTES(">"))) {
        if (!reading->by_group) {
            call_error(call, "ERR The > ID can be specified only when calling XREADGROUP using the "
                             "GROUP <group> <consumer> option.");
            return false;
        }
        portion->history = false;
    } else {
        if (!stream_take_id(call, id_at, 0, &portion->after)) return false;
        /* Nothing is behind it: another way to say ">". */
        if (stream_id_compare(&portion->after, &STREAM_ID_MAX) == 0) portion->history = false;
    }
    return true;
}

/* ---- delivering ---- */

/* The present entry of a walk is part of what is delivered. */
static void count_in(struct portion *portion, const struct stream_id *id) {
    if (portion->count++ == 0) portion->from = *id;
    portion->to = *id;
}

/* New entries for a consumer: they become pending, the group goes on. */
static void deliver_new(struct call *call, const struct reading *reading, struct stream_edit *edit,
                        struct stream_group *group, uint32_t consumer, struct portion *portion) {
    struct stream_walk walk;
    struct stream_id from = group->last;
    if (!stream_id_increment(&from)) return;
    stream_walk_begin(&walk, edit->stream, &from, &STREAM_ID_MAX, false);
    while (portion->count < reading->count && stream_walk_next(&walk)) {
        struct stream_pending pending = {walk.node.id, call->now_ms, 1, consumer};
        count_in(portion, &walk.node.id);
        stream_group_delivered(edit->stream, group, &walk.node.id);
        if (reading->no_ack) continue;
        stream_pending_put(edit->stream, group, &pending);
        if (stream_wants_effects(call)) stream_effect_claim(call, edit->key.name, group, &pending);
    }
    portion->served = portion->count > 0;
    if (portion->served) stream_effect_group_id(call, edit->key.name, group);
}

/* What is pending for the consumer is delivered again, as far as it still exists. */
static void deliver_history(struct call *call, const struct reading *reading,
                            struct stream_edit *edit, struct stream_group *group, uint32_t consumer,
                            struct portion *portion) {
    struct stream_id from = portion->after;
    portion->served = true;
    while (portion->count < reading->count && stream_id_increment(&from)) {
        struct stream_pending_walk walk;
        struct stream_pending pending;
        stream_pending_begin(&walk, group, stream_consumer_numbered(group, consumer), &from);
        if (!stream_pending_next(&walk, &pending)) break;
        from = pending.id;
        count_in(portion, &pending.id);
        if (!stream_has(edit->stream, &pending.id)) continue;
        pending.delivered_ms = call->now_ms;
        stream_pending_delivered(&pending);
        stream_pending_put(edit->stream, group, &pending);
        call_changed_inside(call, call->database, edit->key.name, NOTIFY_STREAM, NULL);
        stream_effect_claim(call, edit->key.name, group, &pending);
    }
}

static void deliver_to_consumer(struct call *call, const struct reading *reading, uint32_t key_at,
                                struct portion *portion) {
    struct stream_edit edit;
    if (!stream_edit_look(call, key_at, &edit)) return;
    stream_edit_begin(call, &edit);
    struct stream_group *group = stream_edit_group(call, &edit, reading->group_at);
    struct stream_consumer *consumer =
        stream_consumer_obtain(call, &edit, group, call->argv[reading->group_at + 1]);
    uint32_t number = consumer->member.number;
    consumer->seen_ms = call->server->now_ms;
    if (portion->history)
        deliver_history(call, reading, &edit, group, number, portion);
    else
        deliver_new(call, reading, &edit, group, number, portion);
    if (portion->count > 0 && !portion->history) {
        stream_consumer_open(edit.stream, group, number)->active_ms = call->server->now_ms;
        call_changed_inside(call, call->database, edit.key.name, NOTIFY_STREAM, NULL);
    }
    stream_edit_end(&edit);
}

static void deliver_plain(struct call *call, const struct reading *reading, uint32_t key_at,
                          struct portion *portion) {
    struct stream_walk walk;
    struct key key = call_key(call, key_at);
    const struct entry *entry = database_find(call->database, &key);
    portion->from = portion->after;
    portion->to = STREAM_ID_MAX;
    if (!entry || !stream_id_increment(&portion->from)) return;
    stream_walk_begin(&walk, entry_object(entry), &portion->from, &portion->to, false);
    portion->served = stream_walk_next(&walk);
    portion->count = reading->count;
}

/* ---- replies ---- */

/* The consumer's pending entries between the two; deleted ones without fields. */
static void reply_history(struct call *call, const struct reading *reading,
                          const struct stream *stream, const struct portion *portion) {
    const struct stream_group *group = stream_group_find(stream, call->argv[reading->group_at]);
    struct stream_pending_walk walk;
    struct stream_pending pending;
    reply_array(call->reply, portion->count);
    if (portion->count == 0) return;
    stream_pending_begin(&walk, group,
                         stream_consumer_find(group, call->argv[reading->group_at + 1]),
                         &portion->from);
    for (uint64_t i = 0; i < portion->count && stream_pending_next(&walk, &pending); i++) {
        struct stream_walk entry;
        stream_walk_begin(&entry, stream, &pending.id, &pending.id, false);
        if (stream_walk_next(&entry)) {
            stream_reply_entry(call, &entry);
            continue;
        }
        reply_array(call->reply, 2);
        stream_reply_id(call, &pending.id);
        reply_null_array(call->reply);
    }
}

static void reply_portion(struct call *call, const struct reading *reading, uint32_t key_at,
                          const struct portion *portion) {
    struct key key = call_key(call, key_at);
    const struct stream *stream = entry_object(database_find(call->database, &key));
    struct stream_walk walk;
    if (call->reply->protocol == 2) reply_array(call->reply, 2);
    reply_bulk(call->reply, key.name);
    if (portion->history) {
        reply_history(call, reading, stream, portion);
        return;
    }
    stream_walk_begin(&walk, stream, &portion->from, &portion->to, false);
    stream_reply_walk(call, &walk, portion->count);
}

/* ---- waiting ---- */

static void timed_out(struct call *call) {
    reply_null_array(call->reply);
}

/* Wait with the ids that were meant when the words were first read. */
static void wait_for(struct call *call, const struct reading *reading,
                     const struct portion *portions) {
    struct bytes *words = memory_alloc(call->argc * sizeof *words);
    char(*texts)[STREAM_ID_TEXT_MAX] = memory_alloc(reading->keys * sizeof *texts);
    uint32_t *keys = memory_alloc(reading->keys * sizeof *keys);
    memcpy(words, call->argv, call->argc * sizeof *words);
    for (uint32_t i = 0; i < reading->keys; i++) {
        keys[i] = reading->keys_at + i;
        if (reading->by_group) continue;
        size_t size = stream_id_format(texts[i], &portions[i].after);
        words[keys[i] + reading->keys] = bytes_make(texts[i], size);
    }
    struct call_wait wait = {
        .type = VALUE_STREAM,
        .wake_when_gone = reading->by_group,
        .keys = keys,
        .key_count = reading->keys,
        .timeout_ms = reading->block_ms,
        .argv = words,
        .argc = call->argc,
        .timed_out = timed_out,
    };
    call_wait(call, &wait);
    memory_free(keys);
    memory_free(texts);
    memory_free(words);
}

/* ---- the commands ---- */

/* Of a call that has waited only the key that woke it counts. */
static bool counts(const struct call *call, const struct reading *reading, uint32_t index) {
    return call->ready == 0 || call->ready == reading->keys_at + index;
}

static void reply_all(struct call *call, const struct reading *reading,
                      const struct portion *portions, uint32_t served) {
    if (call->reply->protocol == 2)
        reply_array(call->reply, served);
    else
        reply_map(call->reply, served);
    for (uint32_t i = 0; i < reading->keys; i++)
        if (portions[i].served) reply_portion(call, reading, reading->keys_at + i, &portions[i]);
}

static void read_portions(struct call *call, const struct reading *reading,
                          struct portion *portions) {
    uint32_t served = 0;
    for (uint32_t i = 0; i < reading->keys; i++)
        if (counts(call, reading, i) && !parse_portion(call, reading, i, &portions[i])) return;
    for (uint32_t i = 0; i < reading->keys; i++) {
        if (!counts(call, reading, i)) continue;
        if (reading->by_group)
            deliver_to_consumer(call, reading, reading->keys_at + i, &portions[i]);
        else
            deliver_plain(call, reading, reading->keys_at + i, &portions[i]);
        served += portions[i].served;
    }
    if (served > 0)
        reply_all(call, reading, portions, served);
    else if (reading->block_ms >= 0 && call_may_wait(call))
        wait_for(call, reading, portions);
    else
        reply_null_array(call->reply);
}

static void read_streams(struct call *call, bool by_group) {
    struct reading reading;
    if (!parse_reading(call, by_group, &reading)) return;
    struct portion *portions = memory_alloc_zeroed(reading.keys, sizeof *portions);
    read_portions(call, &reading, portions);
    memory_free(portions);
}

void command_xread(struct call *call) {
    read_streams(call, false);
}

void command_xreadgroup(struct call *call) {
    read_streams(call, true);
}
