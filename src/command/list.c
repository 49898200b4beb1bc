/* list.c: commands on one list. */
#include "command/list.h"

#include "command/command_handlers.h"
#include "engine/config.h"
#include "engine/server.h"

struct list_limits list_limits_of(const struct call *call) {
    return (struct list_limits){call->server->config->list_max_listpack_size};
}

bool list_parse_end(const struct call *call, uint32_t index, bool *at_head) {
    *at_head = call_argument_is(call, index, "left");
    return *at_head || call_argument_is(call, index, "right");
}

void list_changed(struct call *call, const struct edit *edit, const char *event) {
    call_changed(call, edit->db, edit->key.name, NOTIFY_LIST, event);
    if (!edit->spot.entry) call_notify(call, edit->db, edit->key.name, NOTIFY_GENERIC, "del");
}

/* ---- pushing ---- */

void list_error_too_large(struct call *call) {
    call_error(call, "ERR element exceeds the maximum size of a list's");
}

/* With the usual limit of the protocol it always fits. */
static bool fits(struct call *call, uint32_t from) {
    for (uint32_t i = from; i < call->argc; i++) {
        if (likely(call->argv[i].size <= LIST_ELEMENT_MAX)) continue;
        list_error_too_large(call);
        return false;
    }
    return true;
}

static void push(struct call *call, bool at_head, bool only_if_present) {
    struct edit edit;
    if (!fits(call, 2) || !call_edit(call, 1, VALUE_LIST, &edit)) return;
    if (only_if_present && edit.was_absent) {
        edit_end(&edit);
        reply_integer(call->reply, 0);
        return;
    }
    struct list *list = (struct list *)edit.object;
    struct list_limits limits = list_limits_of(call);
    for (uint32_t i = 2; i < call->argc; i++) {
        struct item item = item_make(call->argv[i]);
        list_push(list, &limits, &item, at_head);
    }
    uint64_t count = list_count(list);
    edit_end(&edit);
    list_changed(call, &edit, at_head ? "lpush" : "rpush");
    call->changes += call->argc - 3;
    reply_integer(call->reply, (int64_t)count);
}

void command_lpush(struct call *call) {
    push(call, true, false);
}

void command_rpush(struct call *call) {
    push(call, false, false);
}

void command_lpushx(struct call *call) {
    push(call, true, true);
}

void command_rpushx(struct call *call) {
    push(call, false, true);
}

void command_linsert(struct call *call) {
    bool after = call_argument_is(call, 2, "after");
    if (!after && !call_argument_is(call, 2, "before")) {
        call_error_syntax(call);
        return;
    }
    struct edit edit;
    if (!fits(call, 4) || !call_edit(call, 1, VALUE_LIST, &edit)) return;
    struct list *list = (struct list *)edit.object;
    struct item pivot = item_make(call->argv[3]), item = item_make(call->argv[4]), here;
    struct list_cursor cursor;
    uint64_t index = 0;
    bool found = false;
    list_seek(list, 0, false, &cursor);
    while (!found && list_take(&cursor, &here)) {
        found = item_equal(&here, &pivot);
        index++;
    }
    if (found) {
        struct list_limits limits = list_limits_of(call);
        list_insert(list, &limits, after ? index : index - 1, &item);
    }
    int64_t count = (int64_t)list_count(list);
    edit_end(&edit);
    if (found) list_changed(call, &edit, "linsert");
    reply_integer(call->reply, edit.was_absent ? 0 : found ? count : -1);
}

/* ---- taking ---- */

void list_reply_and_remove(struct call *call, struct list *list, uint64_t count, bool at_head) {
    struct list_limits limits = list_limits_of(call);
    if (count == 1) {
        struct list_end end;
        list_find_end(list, at_head, &end);
        reply_item(call->reply, &end.item);
        list_remove_end(list, &limits, &end);
        return;
    }
    uint64_t length = list_count(list);
    struct list_cursor cursor;
    struct item item;
    list_seek(list, at_head ? 0 : length - 1, !at_head, &cursor);
    for (uint64_t i = 0; i < count && list_take(&cursor, &item); i++)
        reply_item(call->reply, &item);
    list_remove(list, &limits, at_head ? 0 : length - count, count);
}

static void pop(struct call *call, bool at_head) {
    int64_t wanted = 1;
    bool as_array = call->argc > 2;
    if (call->argc > 3) {
        call_error_arity(call);
        return;
    }
    if (as_array && !call_parse_range(call, 2, 0, INT64_MAX, &wanted,
                                      "ERR value is out of range, must be positive"))
        return;
    struct edit edit;
    if (!call_edit(call, 1, VALUE_LIST, &edit)) return;
    struct list *list = (struct list *)edit.object;
    uint64_t count = list_count(list);
    if (edit.was_absent || wanted == 0) {
        edit_end(&edit);
        if (!edit.was_absent)
            reply_array(call->reply, 0);
        else if (as_array)
            reply_null_array(call->reply);
        else
            reply_null(call->reply);
        return;
    }
    if (count > (uint64_t)wanted) count = (uint64_t)wanted;
    if (as_array) reply_array(call->reply, count);
    list_reply_and_remove(call, list, count, at_head);
    edit_end(&edit);
    list_changed(call, &edit, at_head ? "lpop" : "rpop");
    call->changes += count - 1;
}

void command_lpop(struct call *call) {
    pop(call, true);
}

void command_rpop(struct call *call) {
    pop(call, false);
}

/* ---- reading ---- */

static bool read_list(struct call *call, union object_room *room, const struct list **list) {
    const struct object *object;
    bool good = call_read_object(call, 1, VALUE_LIST, room, &object);
    *list = (const struct list *)object;
    return good;
}

void command_llen(struct call *call) {
    union object_room room;
    const struct list *list;
    if (!read_list(call, &room, &list)) return;
    reply_integer(call->reply, list ? (int64_t)list_count(list) : 0);
}

/* The index of an argument, from the front; false when there is no such element. */
static bool in_list(const struct list *list, int64_t index, uint64_t *place) {
    int64_t count = (int64_t)list_count(list);
    if (index < 0) index += count;
    *place = (uint64_t)index;
    return index >= 0 && index < count;
}

void command_lindex(struct call *call) {
    union object_room room;
    const struct list *list;
    int64_t index;
    uint64_t place;
    if (!read_list(call, &room, &list)) return;
    if (!list) {
        reply_null(call->reply);
        return;
    }
    if (!call_parse_i64(call, 2, &index, NULL)) return;
    if (!in_list(list, index, &place)) {
        reply_null(call->reply);
        return;
    }
    char scratch[ITEM_TEXT_MAX];
    struct item item = list_get(list, place, scratch);
    reply_item(call->reply, &item);
}

/* A range as LRANGE and LTRIM take it, cut to what is there; how many elements. */
static uint64_t cut_range(int64_t start, int64_t stop, uint64_t length, uint64_t *first) {
    int64_t count = (int64_t)length;
    if (start < 0) start += count;
    if (stop < 0) stop += count;
    if (start < 0) start = 0;
    if (stop >= count) stop = count - 1;
    *first = (uint64_t)start;
    return start > stop || start >= count ? 0 : (uint64_t)(stop - start) + 1;
}

static bool parse_range(struct call *call, int64_t *start, int64_t *stop) {
    return call_parse_i64(call, 2, start, NULL) && call_parse_i64(call, 3, stop, NULL);
}

void command_lrange(struct call *call) {
    union object_room room;
    const struct list *list;
    int64_t start, stop;
    uint64_t first = 0, count = 0;
    if (!parse_range(call, &start, &stop) || !read_list(call, &room, &list)) return;
    if (list) count = cut_range(start, stop, list_count(list), &first);
    reply_array(call->reply, count);
    if (count == 0) return;
    struct list_cursor cursor;
    struct item item;
    list_seek(list, first, false, &cursor);
    for (; count > 0 && list_take(&cursor, &item); count--)
        reply_item(call->reply, &item);
}

/* ---- LPOS ---- */

struct position_options {
    int64_t rank, count, length_max; /* count -1: not given; length_max 0: all */
};

static bool parse_position(struct call *call, struct position_options *options) {
    *options = (struct position_options){1, -1, 0};
    for (uint32_t i = 3; i < call->argc; i += 2) {
        bool more = i + 1 < call->argc;
        if (more && call_argument_is(call, i, "rank")) {
            if (!call_parse_range(call, i + 1, -INT64_MAX, INT64_MAX, &options->rank, NULL))
                return false;
            if (options->rank == 0) {
                call_error(call, "ERR RANK can't be zero: use 1 to start from the first match, 2 "
                                 "from the second ... or use negative to start from the end of "
                                 "the list");
                return false;
            }
        } else if (more && call_argument_is(call, i, "count")) {
            if (!call_parse_range(call, i + 1, 0, INT64_MAX, &options->count,
                                  "ERR COUNT can't be negative"))
                return false;
        } else if (more && call_argument_is(call, i, "maxlen")) {
            if (!call_parse_range(call, i + 1, 0, INT64_MAX, &options->length_max,
                                  "ERR MAXLEN can't be negative"))
                return false;
        } else {
            call_error_syntax(call);
            return false;
        }
    }
    return true;
}

/* Where the matches are goes into `found`, as 8-byte numbers. */
static void find_positions(const struct list *list, const struct item *wanted,
                           const struct position_options *options, struct buffer *found) {
    uint64_t length = list_count(list), limit = (uint64_t)options->length_max;
    bool backward = options->rank < 0;
    uint64_t skip = (backward ? 0 - (uint64_t)options->rank : (uint64_t)options->rank) - 1;
    uint64_t most = options->count < 0    ? 1
                    : options->count == 0 ? UINT64_MAX
                                          : (uint64_t)options->count;
    struct list_cursor cursor;
    struct item item;
    if (limit == 0 || limit > length) limit = length;
    list_seek(list, backward ? length - 1 : 0, backward, &cursor);
    for (uint64_t i = 0; i < limit && most > 0 && list_take(&cursor, &item); i++) {
        if (!item_equal(&item, wanted)) continue;
        if (skip > 0) {
            skip--;
            continue;
        }
        uint64_t place = backward ? length - 1 - i : i;
        buffer_append(found, &place, sizeof place);
        most--;
    }
}

static void reply_positions(struct call *call, const struct buffer *found, bool as_array) {
    size_t count = found->size / sizeof(uint64_t);
    if (!as_array && count == 0) {
        reply_null(call->reply);
        return;
    }
    if (as_array) reply_array(call->reply, count);
    for (size_t i = 0; i < count; i++) {
        uint64_t place;
        memcpy(&place, found->data + i * sizeof place, sizeof place);
        reply_integer(call->reply, (int64_t)place);
    }
}

void command_lpos(struct call *call) {
    struct position_options options;
    union object_room room;
    const struct list *list;
    if (!parse_position(call, &options) || !read_list(call, &room, &list)) return;
    struct buffer found = {0};
    struct item wanted = item_make(call->argv[2]);
    if (list) find_positions(list, &wanted, &options, &found);
    reply_positions(call, &found, options.count >= 0);
    buffer_release(&found);
}

/* ---- changing in the middle ---- */

void command_lset(struct call *call) {
    struct edit edit;
    int64_t index;
    uint64_t place;
    if (!fits(call, 3) || !call_edit(call, 1, VALUE_LIST, &edit)) return;
    struct list *list = (struct list *)edit.object;
    bool good = false;
    if (edit.was_absent)
        call_error_no_key(call);
    else
        good = call_parse_i64(call, 2, &index, NULL);
    if (good && !in_list(list, index, &place)) {
        call_error(call, "ERR index out of range");
        good = false;
    }
    if (good) {
        struct list_limits limits = list_limits_of(call);
        struct item item = item_make(call->argv[3]);
        list_set(list, &limits, place, &item);
    }
    edit_end(&edit);
    if (!good) return;
    list_changed(call, &edit, "lset");
    reply_ok(call->reply);
}

void command_lrem(struct call *call) {
    int64_t count;
    struct edit edit;
    if (!call_parse_i64(call, 2, &count, NULL)) return;
    if (!call_edit(call, 1, VALUE_LIST, &edit)) return;
    uint64_t removed = 0;
    if (!edit.was_absent) {
        struct list_limits limits = list_limits_of(call);
        struct item item = item_make(call->argv[3]);
        uint64_t most = count == 0 ? UINT64_MAX : count < 0 ? 0 - (uint64_t)count : (uint64_t)count;
        removed = list_remove_equal((struct list *)edit.object, &limits, &item, most, count < 0);
    }
    edit_end(&edit);
    if (removed > 0) {
        list_changed(call, &edit, "lrem");
        call->changes += removed - 1;
    }
    reply_integer(call->reply, (int64_t)removed);
}

void command_ltrim(struct call *call) {
    int64_t start, stop;
    struct edit edit;
    if (!parse_range(call, &start, &stop)) return;
    if (!call_edit(call, 1, VALUE_LIST, &edit)) return;
    if (!edit.was_absent) {
        struct list *list = (struct list *)edit.object;
        struct list_limits limits = list_limits_of(call);
        uint64_t length = list_count(list), first;
        uint64_t count = cut_range(start, stop, length, &first);
        edit.removes = count == 0;
        if (count > 0) {
            list_remove(list, &limits, first + count, length - first - count);
            list_remove(list, &limits, 0, first);
        }
        call->changes += length - count > 0 ? length - count - 1 : 0;
    }
    edit_end(&edit);
    if (!edit.was_absent) list_changed(call, &edit, "ltrim");
    reply_ok(call->reply);
}
