/* list_move.c: commands on several lists, and those that wait. */
#include "command/command_handlers.h"
#include "command/list.h"

#include "base/memory.h"
#include "base/number.h"

/* ---- moving ---- */

/* Bytes of an element that is about to leave its list. */
static struct item hold_item(const struct item *item, struct buffer *kept) {
    if (!item->text) return *item;
    buffer_append(kept, item->text, item->size);
    buffer_append_byte(kept, 0);
    return (struct item){.text = kept->data, .size = item->size};
}

static void effect_words(struct call *call, const char *name, uint32_t from, uint32_t count) {
    struct bytes words[5] = {bytes_from_text(name)};
    for (uint32_t i = 0; i < count; i++)
        words[1 + i] = call->argv[from + i];
    call_effect(call, call->database, words, 1 + count);
}

/* From an end of one list to one of another, or the same. The item is held in `kept`. */
static struct item move_item(const struct call *call, struct list *from, struct list *to,
                             bool from_head, bool to_head, struct buffer *kept) {
    struct list_limits limits = list_limits_of(call);
    struct list_end end;
    list_find_end(from, from_head, &end);
    struct item item = hold_item(&end.item, kept);
    list_remove_end(from, &limits, &end);
    list_push(to, &limits, &item, to_head);
    return item;
}

static void notify_move(struct call *call, const struct edit *from, const struct edit *to,
                        bool from_head, bool to_head) {
    call_notify(call, to->db, to->key.name, NOTIFY_LIST, to_head ? "lpush" : "rpush");
    call_changed(call, from->db, from->key.name, NOTIFY_LIST, from_head ? "lpop" : "rpop");
    if (from != to) call_changed_silently(call, to->db, to->key.name);
    if (!from->spot.entry) call_notify(call, from->db, from->key.name, NOTIFY_GENERIC, "del");
}

static void move_within(struct call *call, bool from_head, bool to_head) {
    struct edit edit;
    struct buffer kept = {0};
    if (!call_edit(call, 1, VALUE_LIST, &edit)) return;
    struct list *list = (struct list *)edit.object;
    struct item item = move_item(call, list, list, from_head, to_head, &kept);
    edit_end(&edit);
    notify_move(call, &edit, &edit, from_head, to_head);
    reply_item(call->reply, &item);
    buffer_release(&kept);
}

static void move_between(struct call *call, bool from_head, bool to_head) {
    struct edit from, to;
    struct buffer kept = {0};
    if (!call_edit(call, 1, VALUE_LIST, &from)) return;
    if (!call_edit(call, 2, VALUE_LIST, &to)) {
        edit_end(&from);
        return;
    }
    struct item item = move_item(call, (struct list *)from.object, (struct list *)to.object,
                                 from_head, to_head, &kept);
    edit_end(&to);
    edit_end(&from);
    notify_move(call, &from, &to, from_head, to_head);
    reply_item(call->reply, &item);
    buffer_release(&kept);
}

/* 1: moved or an error was replied; 0: there is nothing to move. */
static bool move_element(struct call *call, bool from_head, bool to_head) {
    union object_room room;
    const struct object *source, *destination;
    if (!call_look_object(call, 1, VALUE_LIST, &room, &source)) return true;
    if (!source) return false;
    if (!call_look_object(call, 2, VALUE_LIST, &room, &destination)) return true;
    if (bytes_equal(call->argv[1], call->argv[2]))
        move_within(call, from_head, to_head);
    else
        move_between(call, from_head, to_head);
    return true;
}

void command_lmove(struct call *call) {
    bool from_head, to_head;
    if (!list_parse_end(call, 3, &from_head) || !list_parse_end(call, 4, &to_head)) {
        call_error_syntax(call);
        return;
    }
    if (!move_element(call, from_head, to_head)) reply_null(call->reply);
}

void command_rpoplpush(struct call *call) {
    if (!move_element(call, false, true)) reply_null(call->reply);
}

/* ---- waiting ---- */

/* Also where one element was waited for. */
static void reply_no_array(struct call *call) {
    reply_null_array(call->reply);
}

static void wait_for(struct call *call, const uint32_t *keys, uint32_t count, int64_t timeout_ms) {
    struct call_wait wait = {
        .type = VALUE_LIST,
        .keys = keys,
        .key_count = count,
        .timeout_ms = timeout_ms,
        .timed_out = reply_no_array,
    };
    call_wait(call, &wait);
}

static void move_or_wait(struct call *call, bool from_head, bool to_head, uint32_t timeout_index) {
    static const uint32_t source = 1;
    int64_t timeout_ms;
    if (!call_parse_timeout(call, timeout_index, &timeout_ms)) return;
    if (!move_element(call, from_head, to_head)) {
        if (call_may_wait(call))
            wait_for(call, &source, 1, timeout_ms);
        else
            reply_null(call->reply); /* no null array, other than when its time is over */
        return;
    }
    if (call->failed) return;
    if (timeout_index == 3)
        effect_words(call, "RPOPLPUSH", 1, 2);
    else
        effect_words(call, "LMOVE", 1, 4);
}

void command_blmove(struct call *call) {
    bool from_head, to_head;
    if (!list_parse_end(call, 3, &from_head) || !list_parse_end(call, 4, &to_head)) {
        call_error_syntax(call);
        return;
    }
    move_or_wait(call, from_head, to_head, 5);
}

void command_brpoplpush(struct call *call) {
    move_or_wait(call, false, true, 3);
}

/* ---- taking from the first list that has any ---- */

/* LPOP key count. */
static void effect_pop(struct call *call, struct bytes key, bool at_head, uint64_t count,
                       bool with_count) {
    char digits[NUMBER_I64_TEXT_MAX];
    struct bytes words[] = {at_head ? BYTES("LPOP") : BYTES("RPOP"), key,
                            bytes_make(digits, number_format_u64(digits, count))};
    call_effect(call, call->database, words, with_count ? 3 : 2);
}

/* Take elements from the list of one argument and reply them with the key's name: as BLPOP does,
 * or, with `nested`, as LMPOP does. */
static void take_from(struct call *call, uint32_t index, bool at_head, uint64_t most, bool nested) {
    struct edit edit;
    if (!call_edit(call, index, VALUE_LIST, &edit)) return;
    struct list *list = (struct list *)edit.object;
    uint64_t length = list_count(list), count = length < most ? length : most;
    reply_array(call->reply, 2);
    reply_bulk(call->reply, call->argv[index]);
    if (nested) reply_array(call->reply, count);
    list_reply_and_remove(call, list, count, at_head);
    edit_end(&edit);
    list_changed(call, &edit, at_head ? "lpop" : "rpop");
    call->changes += count - 1;
    effect_pop(call, call->argv[index], at_head, count, nested);
}

/* True when there was a reply: elements, or an error. */
static bool take_first(struct call *call, uint32_t first, uint32_t count, bool at_head,
                       uint64_t most, bool nested) {
    for (uint32_t i = first; i < first + count; i++) {
        union object_room room;
        const struct object *object;
        if (call->ready != 0 && call->ready != i) continue;
        if (!call_look_object(call, i, VALUE_LIST, &room, &object)) return true;
        if (!object) continue;
        take_from(call, i, at_head, most, nested);
        return true;
    }
    return false;
}

static void wait_for_range(struct call *call, uint32_t first, uint32_t count, int64_t timeout_ms) {
    uint32_t *keys = memory_alloc(count * sizeof *keys);
    for (uint32_t i = 0; i < count; i++)
        keys[i] = first + i;
    if (call_may_wait(call))
        wait_for(call, keys, count, timeout_ms);
    else
        reply_no_array(call);
    memory_free(keys);
}

static void pop_or_wait(struct call *call, bool at_head) {
    int64_t timeout_ms;
    if (!call_parse_timeout(call, call->argc - 1, &timeout_ms)) return;
    if (!take_first(call, 1, call->argc - 2, at_head, 1, false))
        wait_for_range(call, 1, call->argc - 2, timeout_ms);
}

void command_blpop(struct call *call) {
    pop_or_wait(call, true);
}

void command_brpop(struct call *call) {
    pop_or_wait(call, false);
}

/* ---- LMPOP ---- */

struct many {
    uint32_t first, count; /* keys */
    bool at_head;
    int64_t most;
};

/* numkeys key ... LEFT|RIGHT [COUNT n] from `index` on. */
static bool parse_many(struct call *call, uint32_t index, struct many *many) {
    int64_t keys;
    if (!call_parse_range(call, index, 1, INT64_MAX, &keys, "ERR numkeys should be greater than 0"))
        return false;
    many->first = index + 1;
    many->most = -1;
    bool fits = keys < (int64_t)(call->argc - many->first);
    many->count = fits ? (uint32_t)keys : 0;
    uint32_t end = many->first + many->count;
    bool good = fits && list_parse_end(call, end, &many->at_head);
    for (uint32_t i = end + 1; good && i < call->argc; i += 2) {
        good = many->most < 0 && i + 1 < call->argc && call_argument_is(call, i, "count");
        if (good && !call_parse_range(call, i + 1, 1, INT64_MAX, &many->most,
                                      "ERR count should be greater than 0"))
            return false;
    }
    if (many->most < 0) many->most = 1;
    if (!good) call_error_syntax(call);
    return good;
}

void command_lmpop(struct call *call) {
    struct many many;
    if (!parse_many(call, 1, &many)) return;
    if (!take_first(call, many.first, many.count, many.at_head, (uint64_t)many.most, true))
        reply_null_array(call->reply);
}

void command_blmpop(struct call *call) {
    struct many many;
    int64_t timeout_ms;
    if (!parse_many(call, 2, &many) || !call_parse_timeout(call, 1, &timeout_ms)) return;
    if (!take_first(call, many.first, many.count, many.at_head, (uint64_t)many.most, true))
        wait_for_range(call, many.first, many.count, timeout_ms);
}
