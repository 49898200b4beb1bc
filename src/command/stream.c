/* stream.c: commands on streams and their entries: adding, deleting, trimming, ranges. Reading on
 * is in stream_read.c, groups are in stream_group.c and stream_claim.c, XINFO in stream_info.c. */
#include "command/command_handlers.h"
#include "command/stream_arguments.h"

#include "base/memory.h"
#include "engine/config.h"
#include "engine/server.h"

/* ---- options of XADD and XTRIM ---- */

struct trim_options {
    bool given; /* MAXLEN or MINID */
    bool limited;
    bool no_make; /* NOMKSTREAM */
    struct stream_trim trim;
    uint32_t next; /* argument behind the options */
};

/* MAXLEN or MINID at *i, with what follows. */
static bool take_strategy(struct call *call, uint32_t *i, bool by_id,
                          struct trim_options *options) {
    struct stream_trim *trim = &options->trim;
    int64_t length;
    if (options->given) {
        call_error(call, "ERR syntax error, MAXLEN and MINID options at the same time are not "
                         "compatible");
        return false;
    }
    options->given = true;
    trim->by_id = by_id;
    if (*i + 2 < call->argc) {
        trim->whole_nodes = call_argument_is(call, *i + 1, "~");
        if (trim->whole_nodes || call_argument_is(call, *i + 1, "=")) ++*i;
    }
    ++*i;
    if (by_id) return stream_take_id(call, *i, 0, &trim->min_id);
    if (!call_parse_i64(call, *i, &length, NULL)) return false;
    if (length < 0) {
        call_error(call, "ERR The MAXLEN argument must be >= 0.");
        return false;
    }
    trim->length_max = (uint64_t)length;
    return true;
}

static bool take_limit(struct call *call, uint32_t index, struct trim_options *options) {
    int64_t limit;
    if (!call_parse_i64(call, index, &limit, NULL)) return false;
    if (limit < 0) {
        call_error(call, "ERR The LIMIT argument must be >= 0.");
        return false;
    }
    options->limited = true;
    options->trim.limit = (uint64_t)limit;
    return true;
}

/* What does not fit together, and how much an inexact trimming looks at. */
static bool settle_limit(struct call *call, struct trim_options *options) {
    enum { NODES = 100, NO_NODES = 10000, LIMIT_MAX = 1000000 };
    if (options->limited && !options->given) {
        call_error(call, "ERR syntax error, LIMIT cannot be used without specifying a trimming "
                         "strategy");
        return false;
    }
    if (options->limited && !options->trim.whole_nodes) {
        call_error(call, "ERR syntax error, LIMIT cannot be used without the special ~ option");
        return false;
    }
    if (!options->limited && options->trim.whole_nodes) {
        uint64_t entries = stream_limits_of(call).node_entries;
        uint64_t limit = entries > LIMIT_MAX / NODES ? LIMIT_MAX : entries * NODES;
        options->trim.limit = limit > 0 ? limit : NO_NODES;
    }
    return true;
}

/* True and `next` at the word that is no option. */
static bool parse_trim_options(struct call *call, bool adds, struct trim_options *options) {
    uint32_t i = 2;
    *options = (struct trim_options){.given = false};
    for (; i < call->argc; i++) {
        bool more = i + 1 < call->argc;
        if (adds && call_argument_is(call, i, "*")) break;
        if (more && (call_argument_is(call, i, "maxlen") || call_argument_is(call, i, "minid"))) {
            if (!take_strategy(call, &i, call_argument_is(call, i, "minid"), options)) return false;
        } else if (more && call_argument_is(call, i, "limit")) {
            if (!take_limit(call, ++i, options)) return false;
        } else if (adds && call_argument_is(call, i, "nomkstream")) {
            options->no_make = true;
        } else if (!stream_references_parse(call->argv[i], &options->trim.references)) {
            break;
        }
    }
    options->next = i;
    return true;
}

/* ---- effects of trimming ---- */

/* The journal gets the trimming so that it gives the same whatever the nodes are. */
static void effect_trim(struct call *call, struct bytes key, const struct stream *stream,
                        const struct stream_trim *trim, const struct stream_id *end) {
    char text[STREAM_ID_TEXT_MAX];
    bool by_end =
        trim->references == STREAM_REFERENCES_NONE && stream_id_compare(end, &STREAM_ID_MAX) < 0;
    size_t size = by_end ? stream_id_format(text, end)
                         : number_format_u64(text, trim->references == STREAM_REFERENCES_NONE
                                                       ? 0
                                                       : stream_length(stream));
    struct bytes words[] = {BYTES("XTRIM"),
                            key,
                            by_end ? BYTES("MINID") : BYTES("MAXLEN"),
                            BYTES("="),
                            bytes_make(text, size),
                            bytes_from_text(stream_references_word(trim->references))};
    size_t count = sizeof words / sizeof words[0];
    if (trim->references == STREAM_REFERENCES_KEPT) count--;
    call_effect(call, call->database, words, count);
}

/* ---- XADD ---- */

struct new_id {
    struct stream_id id;
    bool any;     /* "*" */
    bool any_seq; /* "ms-*" */
};

static bool parse_new_id(struct call *call, uint32_t index, struct new_id *out) {
    struct bytes text = call->argv[index];
    *out = (struct new_id){.any = bytes_equal(text, BYTES("*"))};
    if (out->any) return true;
    out->any_seq = text.size > 2 && memcmp(text.data + text.size - 2, "-*", 2) == 0;
    if (!out->any_seq) {
        if (!stream_take_id(call, index, 0, &out->id)) return false;
    } else if (memchr(text.data, '-', text.size - 2) ||
               !stream_id_parse(bytes_make(text.data, text.size - 2), 0, &out->id)) {
        stream_error_id(call);
        return false;
    }
    return true;
}

/* Settle the id, behind the last one; false after an error. */
static bool settle_new_id(struct call *call, const struct stream_id *last, struct new_id *wanted) {
    struct stream_id *id = &wanted->id;
    if (stream_id_compare(last, &STREAM_ID_MAX) == 0) {
        call_error(call, "ERR The stream has exhausted the last possible ID, unable to add more "
                         "items");
        return false;
    }
    if (wanted->any) {
        *id = (struct stream_id){(uint64_t)call->now_ms, 0};
        if (id->ms > last->ms) return true;
        *id = *last;
        return stream_id_increment(id);
    }
    if (wanted->any_seq) {
        id->seq = 0;
        if (id->ms == last->ms) id->seq = last->seq + (last->seq < UINT64_MAX);
    }
    if (stream_id_compare(id, last) > 0) return true;
    call_error(call, "ERR The ID specified in XADD is equal or smaller than the target stream top "
                     "item");
    return false;
}

/* Are all words together small enough for one entry? */
static bool words_fit(struct call *call, uint32_t first) {
    uint64_t size = 0;
    for (uint32_t i = first; i < call->argc; i++)
        size += call->argv[i].size + LISTPACK_ITEM_EXTRA_MAX;
    if (size < STREAM_ENTRY_SIZE_MAX / 2) return true;
    call_error(call, "ERR Elements are too large to be stored");
    return false;
}

/* XADD key id fields, without options. */
static void effect_add(struct call *call, uint32_t fields_at, struct bytes id) {
    enum { HEAD = 3, FEW = 32 };
    struct bytes few[FEW], *words = few;
    size_t count = HEAD + call->argc - fields_at;
    if (count > FEW) words = memory_alloc(count * sizeof *words);
    words[0] = BYTES("XADD");
    words[1] = call->argv[1];
    words[2] = id;
    memcpy(words + HEAD, call->argv + fields_at, (count - HEAD) * sizeof *words);
    call_effect(call, call->database, words, count);
    if (words != few) memory_free(words);
}

static void add(struct call *call, struct stream_edit *edit, const struct trim_options *options,
                const struct stream_id *id) {
    char text[STREAM_ID_TEXT_MAX];
    struct bytes id_text = bytes_make(text, stream_id_format(text, id));
    uint32_t fields_at = options->next + 1;
    struct stream_limits limits = stream_limits_of(call);
    struct stream_id end;
    uint64_t trimmed = 0;
    stream_edit_begin(call, edit);
    stream_add(edit->stream, id, call->argv + fields_at, (call->argc - fields_at) / 2, &limits);
    if (options->given) trimmed = stream_trim(edit->stream, &options->trim, &end);
    if (stream_wants_effects(call)) {
        effect_add(call, fields_at, id_text);
        if (trimmed > 0) effect_trim(call, edit->key.name, edit->stream, &options->trim, &end);
    }
    stream_edit_end(edit);
    call_changed(call, call->database, edit->key.name, NOTIFY_STREAM, "xadd");
    if (trimmed > 0) call_notify(call, call->database, edit->key.name, NOTIFY_STREAM, "xtrim");
    reply_bulk(call->reply, id_text);
}

void command_xadd(struct call *call) {
    struct trim_options options;
    struct stream_edit edit;
    struct new_id wanted;
    if (!parse_trim_options(call, true, &options)) return;
    if (options.next < call->argc && !parse_new_id(call, options.next, &wanted)) return;
    if (!settle_limit(call, &options)) return;
    uint32_t words = options.next < call->argc ? call->argc - options.next - 1 : 0;
    if (words < 2 || words % 2 != 0) {
        call_error_arity(call);
        return;
    }
    if (!wanted.any && !wanted.any_seq && stream_id_is_zero(&wanted.id)) {
        call_error(call, "ERR The ID specified in XADD must be greater than 0-0");
        return;
    }
    if (!words_fit(call, options.next + 1) || !stream_edit_look(call, 1, &edit)) return;
    if (!edit.seen && options.no_make) {
        reply_null(call->reply);
        return;
    }
    if (settle_new_id(call, edit.seen ? &edit.seen->last : &STREAM_ID_MIN, &wanted))
        add(call, &edit, &options, &wanted.id);
}

/* ---- XTRIM ---- */

void command_xtrim(struct call *call) {
    struct trim_options options;
    struct stream_edit edit;
    struct stream_id end;
    if (!parse_trim_options(call, false, &options)) return;
    if (options.next < call->argc) {
        call_error_syntax(call);
        return;
    }
    if (!settle_limit(call, &options)) return;
    if (!options.given) {
        call_error(call, "ERR syntax error, XTRIM must be called with MAXLEN or MINID");
        return;
    }
    if (!stream_edit_look(call, 1, &edit)) return;
    if (!edit.seen) {
        reply_integer(call->reply, 0);
        return;
    }
    stream_edit_begin(call, &edit);
    uint64_t trimmed = stream_trim(edit.stream, &options.trim, &end);
    if (trimmed > 0) effect_trim(call, edit.key.name, edit.stream, &options.trim, &end);
    stream_edit_end(&edit);
    if (trimmed > 0) call_changed(call, call->database, edit.key.name, NOTIFY_STREAM, "xtrim");
    reply_integer(call->reply, (int64_t)trimmed);
}

/* ---- XLEN, XDEL, XDELEX, XSETID ---- */

void command_xlen(struct call *call) {
    const struct stream *stream;
    if (!stream_read(call, 1, &stream)) return;
    reply_integer(call->reply, stream ? (int64_t)stream_length(stream) : 0);
}

void command_xdel(struct call *call) {
    struct stream_edit edit;
    int64_t removed = 0;
    if (!stream_edit_look(call, 1, &edit)) return;
    if (!edit.seen) {
        reply_integer(call->reply, 0);
        return;
    }
    if (!stream_check_ids(call, 2, call->argc - 2)) return;
    stream_edit_begin(call, &edit);
    for (uint32_t i = 2; i < call->argc; i++) {
        struct stream_id id;
        stream_id_parse(call->argv[i], 0, &id);
        removed += stream_remove(edit.stream, &id, STREAM_REFERENCES_KEPT) == STREAM_REMOVED;
    }
    stream_edit_end(&edit);
    if (removed > 0) call_changed(call, call->database, edit.key.name, NOTIFY_STREAM, "xdel");
    reply_integer(call->reply, removed);
}

/* Counts what one id's removal changed: XDELEX answers 1, 2 when a group needs it, -1. */
static int64_t remove_one(struct call *call, struct stream_edit *edit, const struct stream_id *id,
                          enum stream_references references, uint64_t *changes) {
    struct stream *stream = edit->stream;
    bool referenced = references == STREAM_REFERENCES_DELETED && stream_is_pending(stream, id);
    if (referenced) stream_effect_forget(call, edit->key.name, stream, id);
    enum stream_removal removal = stream_remove(stream, id, references);
    if (removal == STREAM_REMOVED) stream_effect_delete(call, edit->key.name, id);
    *changes += removal == STREAM_REMOVED || referenced;
    if (removal == STREAM_REFERENCED) return 2;
    return removal == STREAM_REMOVED ? 1 : -1;
}

void command_xdelex(struct call *call) {
    struct stream_ids ids;
    struct stream_edit edit;
    uint64_t changes = 0;
    if (!stream_take_ids(call, 2, &ids) || !stream_edit_look(call, 1, &edit)) return;
    if (!stream_check_ids(call, ids.first, ids.count)) return;
    reply_array(call->reply, ids.count);
    if (edit.seen) stream_edit_begin(call, &edit);
    for (uint32_t i = 0; i < ids.count; i++) {
        struct stream_id id;
        stream_id_parse(call->argv[ids.first + i], 0, &id);
        reply_integer(call->reply,
                      edit.seen ? remove_one(call, &edit, &id, ids.references, &changes) : -1);
    }
    if (edit.seen) stream_edit_end(&edit);
    if (changes > 0) call_changed(call, call->database, edit.key.name, NOTIFY_STREAM, "xdel");
}

struct set_id {
    struct stream_id last, max_deleted; /* 0-0: not given */
    int64_t added;                      /* -1: not given */
};

static bool parse_set_id(struct call *call, struct set_id *set) {
    *set = (struct set_id){.added = -1};
    if (!stream_take_id(call, 2, 0, &set->last)) return false;
    for (uint32_t i = 3; i < call->argc; i++) {
        bool more = i + 1 < call->argc;
        if (more && call_argument_is(call, i, "entriesadded")) {
            if (!call_parse_i64(call, ++i, &set->added, NULL)) return false;
            if (set->added < 0) {
                call_error(call, "ERR entries_added must be positive");
                return false;
            }
        } else if (more && call_argument_is(call, i, "maxdeletedid")) {
            if (!stream_take_id(call, ++i, 0, &set->max_deleted)) return false;
            if (stream_id_compare(&set->last, &set->max_deleted) < 0) {
                call_error(call, "ERR The ID specified in XSETID is smaller than the provided "
                                 "max_deleted_entry_id");
                return false;
            }
        } else {
            call_error_syntax(call);
            return false;
        }
    }
    return true;
}

/* Does it go together with what is in the stream? */
static bool check_set_id(struct call *call, const struct stream *stream, const struct set_id *set) {
    if (stream_length(stream) > 0) {
        struct stream_walk walk;
        stream_walk_begin(&walk, stream, &STREAM_ID_MIN, &STREAM_ID_MAX, true);
        if (stream_walk_next(&walk) && stream_id_compare(&set->last, &walk.node.id) < 0) {
            call_error(call, "ERR The ID specified in XSETID is smaller than the target stream top "
                             "item");
            return false;
        }
        if (set->added >= 0 && (uint64_t)set->added < stream_length(stream)) {
            call_error(call, "ERR The entries_added specified in XSETID is smaller than the target "
                             "stream length");
            return false;
        }
    }
    return true;
}

void command_xsetid(struct call *call) {
    struct set_id set;
    struct stream_edit edit;
    if (!parse_set_id(call, &set) || !stream_edit_look(call, 1, &edit)) return;
    if (!edit.seen) {
        call_error_no_key(call);
        return;
    }
    if (!check_set_id(call, edit.seen, &set)) return;
    stream_edit_begin(call, &edit);
    struct stream *stream = edit.stream;
    if (stream_id_is_zero(&set.max_deleted)) set.max_deleted = stream->max_deleted;
    stream_set_last(stream, &set.last, set.added >= 0 ? (uint64_t)set.added : stream->added,
                    &set.max_deleted);
    stream_edit_end(&edit);
    call_changed_inside(call, call->database, edit.key.name, NOTIFY_STREAM, "xsetid");
    reply_ok(call->reply);
}

/* ---- XRANGE, XREVRANGE ---- */

static void range(struct call *call, bool backwards) {
    struct stream_id from, to;
    struct stream_walk walk;
    const struct stream *stream;
    int64_t count = INT64_MAX;
    if (!stream_take_start(call, backwards ? 3 : 2, &from)) return;
    if (!stream_take_end(call, backwards ? 2 : 3, &to)) return;
    for (uint32_t i = 4; i < call->argc; i += 2) {
        if (i + 1 == call->argc || !call_argument_is(call, i, "count")) {
            call_error_syntax(call);
            return;
        }
        if (!call_parse_i64(call, i + 1, &count, NULL)) return;
    }
    if (!stream_read(call, 1, &stream)) return;
    if (!stream) {
        reply_array(call->reply, 0);
        return;
    }
    if (count <= 0) {
        reply_null_array(call->reply);
        return;
    }
    stream_walk_begin(&walk, stream, &from, &to, backwards);
    stream_reply_walk(call, &walk, (uint64_t)count);
}

void command_xrange(struct call *call) {
    range(call, false);
}

void command_xrevrange(struct call *call) {
    range(call, true);
}
