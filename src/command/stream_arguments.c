/* stream_arguments.c: words, replies and effects that the commands on streams share. */
#include "command/stream_arguments.h"

#include "engine/config.h"
#include "engine/server.h"

/* ---- ids ---- */

void stream_reply_id(struct call *call, const struct stream_id *id) {
    char text[STREAM_ID_TEXT_MAX];
    reply_bulk(call->reply, bytes_make(text, stream_id_format(text, id)));
}

void stream_reply_entry(struct call *call, struct stream_walk *walk) {
    struct item name, value;
    reply_array(call->reply, 2);
    stream_reply_id(call, &walk->node.id);
    reply_array(call->reply, walk->node.fields * 2);
    while (stream_node_take(&walk->node, &name, &value)) {
        reply_item(call->reply, &name);
        reply_item(call->reply, &value);
    }
}

void stream_reply_walk(struct call *call, struct stream_walk *walk, uint64_t max) {
    uint64_t count = stream_walk_next(walk) ? stream_walk_left(walk) : 0;
    if (count > max) count = max;
    reply_array(call->reply, count);
    while (count > 0) {
        stream_reply_entry(call, walk);
        if (--count > 0) stream_walk_next(walk);
    }
}

/* As strtoull reads it, but for a minus: Redis takes blanks, a plus and zeros in front. */
static bool parse_part(struct bytes text, uint64_t *number) {
    if (number_parse_u64(text, number)) return true;
    while (text.size > 0 && (text.data[0] == ' ' || (text.data[0] >= '\t' && text.data[0] <= '\r')))
        text = bytes_make(text.data + 1, text.size - 1);
    if (text.size > 0 && text.data[0] == '+') text = bytes_make(text.data + 1, text.size - 1);
    while (text.size > 1 && text.data[0] == '0')
        text = bytes_make(text.data + 1, text.size - 1);
    return number_parse_u64(text, number);
}

bool stream_id_parse(struct bytes text, uint64_t missing_seq, struct stream_id *id) {
    enum { TEXT_MAX = 127 };
    if (text.size > TEXT_MAX || text.size == 0) return false;
    /* What stands behind a zero byte does not count, as in Redis. */
    text.size = strnlen(text.data, text.size);
    const char *dash = memchr(text.data, '-', text.size);
    if (!dash) {
        id->seq = missing_seq;
        return parse_part(text, &id->ms);
    }
    size_t before = (size_t)(dash - text.data);
    return parse_part(bytes_make(text.data, before), &id->ms) &&
           parse_part(bytes_make(dash + 1, text.size - before - 1), &id->seq);
}

void stream_error_id(struct call *call) {
    call_error(call, "ERR Invalid stream ID specified as stream command argument");
}

bool stream_take_id(struct call *call, uint32_t index, uint64_t missing_seq, struct stream_id *id) {
    if (stream_id_parse(call->argv[index], missing_seq, id)) return true;
    stream_error_id(call);
    return false;
}

bool stream_check_ids(struct call *call, uint32_t first, uint32_t count) {
    struct stream_id id;
    for (uint32_t i = 0; i < count; i++)
        if (!stream_take_id(call, first + i, 0, &id)) return false;
    return true;
}

static bool take_edge(struct call *call, uint32_t index, uint64_t missing_seq, struct stream_id *id,
                      bool *without) {
    struct bytes text = call->argv[index];
    *without = text.size > 1 && text.data[0] == '(';
    if (*without) {
        if (stream_id_parse(bytes_make(text.data + 1, text.size - 1), missing_seq, id)) return true;
        stream_error_id(call);
        return false;
    }
    if (bytes_equal(text, BYTES("-")))
        *id = STREAM_ID_MIN;
    else if (bytes_equal(text, BYTES("+")))
        *id = STREAM_ID_MAX;
    else
        return stream_take_id(call, index, missing_seq, id);
    return true;
}

bool stream_take_start(struct call *call, uint32_t index, struct stream_id *id) {
    bool without;
    if (!take_edge(call, index, 0, id, &without)) return false;
    if (!without || stream_id_increment(id)) return true;
    call_error(call, "ERR invalid start ID for the interval");
    return false;
}

bool stream_take_end(struct call *call, uint32_t index, struct stream_id *id) {
    bool without;
    if (!take_edge(call, index, UINT64_MAX, id, &without)) return false;
    if (!without || stream_id_decrement(id)) return true;
    call_error(call, "ERR invalid end ID for the interval");
    return false;
}

/* ---- streams and groups ---- */

/* A stream is never in its entry's block. */
static const struct stream *stream_in(const struct entry *entry) {
    return entry ? entry_object(entry) : NULL;
}

bool stream_read(struct call *call, uint32_t index, const struct stream **stream) {
    const struct entry *entry;
    if (!call_read_type(call, index, VALUE_STREAM, &entry)) return false;
    *stream = stream_in(entry);
    return true;
}

bool stream_edit_look(struct call *call, uint32_t index, struct stream_edit *edit) {
    edit->key = call_key(call, index);
    if (!call_locate_type(call, index, VALUE_STREAM, &edit->spot)) return false;
    edit->seen = stream_in(edit->spot.entry);
    return true;
}

void stream_edit_begin(struct call *call, struct stream_edit *edit) {
    edit_begin(&edit->edit, call->database, &edit->key, &edit->spot, VALUE_STREAM);
    edit->stream = (struct stream *)edit->edit.object;
}

void stream_edit_end(struct stream_edit *edit) {
    edit_end(&edit->edit);
}

struct stream_group *stream_edit_group(struct call *call, struct stream_edit *edit,
                                       uint32_t index) {
    return stream_group_open(edit->stream, stream_group_find(edit->stream, call->argv[index]));
}

struct stream_limits stream_limits_of(const struct call *call) {
    const struct config *config = call->server->config;
    return (struct stream_limits){(uint64_t)config->stream_node_max_bytes,
                                  (uint64_t)config->stream_node_max_entries};
}

bool stream_wants_effects(const struct call *call) {
    return journal_active(&call->server->journal);
}

/* ---- policies ---- */

static const char *const reference_words[] = {
    [STREAM_REFERENCES_KEPT] = "KEEPREF",
    [STREAM_REFERENCES_DELETED] = "DELREF",
    [STREAM_REFERENCES_NONE] = "ACKED",
};

const char *stream_references_word(enum stream_references references) {
    return reference_words[references];
}

bool stream_references_parse(struct bytes word, enum stream_references *references) {
    for (unsigned i = 0; i < sizeof reference_words / sizeof reference_words[0]; i++) {
        if (!bytes_is(word, reference_words[i])) continue;
        *references = (enum stream_references)i;
        return true;
    }
    return false;
}

static bool take_id_list(struct call *call, uint32_t *index, struct stream_ids *ids) {
    int64_t count;
    if (!call_parse_range(call, *index + 1, 1, INT32_MAX, &count,
                          "ERR Number of IDs must be a positive integer"))
        return false;
    ids->first = *index + 2;
    ids->count = (uint32_t)count;
    *index = ids->first + ids->count - 1;
    if (*index < call->argc) return true;
    call_error(call, "ERR The `numids` parameter must match the number of arguments");
    return false;
}

bool stream_take_ids(struct call *call, uint32_t index, struct stream_ids *ids) {
    *ids = (struct stream_ids){.references = STREAM_REFERENCES_KEPT};
    for (uint32_t i = index; i < call->argc; i++) {
        if (stream_references_parse(call->argv[i], &ids->references)) continue;
        if (call_argument_is(call, i, "ids") && i + 1 < call->argc && ids->count == 0) {
            if (!take_id_list(call, &i, ids)) return false;
        } else {
            call_error_syntax(call);
            return false;
        }
    }
    if (ids->count == 0) call_error_syntax(call);
    return ids->count > 0;
}

/* ---- effects ---- */

struct stream_consumer *stream_consumer_obtain(struct call *call, struct stream_edit *edit,
                                               struct stream_group *group, struct bytes name) {
    const struct stream_consumer *known = stream_consumer_find(group, name);
    if (known) return stream_consumer_open(edit->stream, group, known->member.number);
    call_changed_inside(call, call->database, edit->key.name, NOTIFY_STREAM,
                        "xgroup-createconsumer");
    struct bytes words[] = {BYTES("XGROUP"), BYTES("CREATECONSUMER"), edit->key.name,
                            stream_group_name(group), name};
    call_effect(call, call->database, words, 5);
    return stream_consumer_create(edit->stream, group, name, call->server->now_ms);
}

void stream_effect_claim(struct call *call, struct bytes key, const struct stream_group *group,
                         const struct stream_pending *pending) {
    char id[STREAM_ID_TEXT_MAX], last[STREAM_ID_TEXT_MAX];
    char time[NUMBER_I64_TEXT_MAX], count[NUMBER_I64_TEXT_MAX];
    const struct stream_consumer *consumer = stream_consumer_numbered(group, pending->consumer);
    struct bytes words[] = {
        BYTES("XCLAIM"),
        key,
        stream_group_name(group),
        stream_consumer_name(consumer),
        BYTES("0"),
        bytes_make(id, stream_id_format(id, &pending->id)),
        BYTES("TIME"),
        bytes_make(time, number_format_i64(time, pending->delivered_ms)),
        BYTES("RETRYCOUNT"),
        bytes_make(count, number_format_u64(count, pending->deliveries)),
        BYTES("FORCE"),
        BYTES("JUSTID"),
        BYTES("LASTID"),
        bytes_make(last, stream_id_format(last, &group->last)),
    };
    call_effect(call, call->database, words, sizeof words / sizeof words[0]);
}

void stream_effect_group_id(struct call *call, struct bytes key, const struct stream_group *group) {
    char last[STREAM_ID_TEXT_MAX], read[NUMBER_I64_TEXT_MAX];
    struct bytes words[] = {
        BYTES("XGROUP"),
        BYTES("SETID"),
        key,
        stream_group_name(group),
        bytes_make(last, stream_id_format(last, &group->last)),
        BYTES("ENTRIESREAD"),
        bytes_make(read, number_format_i64(read, group->read)),
    };
    call_effect(call, call->database, words, sizeof words / sizeof words[0]);
}

void stream_effect_ack(struct call *call, struct bytes key, struct bytes group,
                       const struct stream_id *id) {
    char text[STREAM_ID_TEXT_MAX];
    struct bytes words[] = {BYTES("XACK"), key, group,
                            bytes_make(text, stream_id_format(text, id))};
    call_effect(call, call->database, words, 4);
}

void stream_effect_forget(struct call *call, struct bytes key, const struct stream *stream,
                          const struct stream_id *id) {
    struct stream_pending pending;
    if (!stream_wants_effects(call)) return;
    for (uint32_t i = 0; i < stream_group_count(stream); i++) {
        const struct stream_group *group = stream_group_at(stream, i);
        if (stream_pending_find(group, id, &pending))
            stream_effect_ack(call, key, stream_group_name(group), id);
    }
}

void stream_effect_delete(struct call *call, struct bytes key, const struct stream_id *id) {
    char text[STREAM_ID_TEXT_MAX];
    struct bytes words[] = {BYTES("XDEL"), key, bytes_make(text, stream_id_format(text, id))};
    call_effect(call, call->database, words, 3);
}
