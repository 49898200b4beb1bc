/* sorted_set_pop.c: taking the lowest or highest members, at once or when there are some. */
#include "command/sorted_set.h"

#include "base/memory.h"
#include "command/command_handlers.h"

/* Reply the elements that are lowest or highest, and remove them. */
static void take(struct call *call, struct edit *edit, bool highest, uint64_t count, bool nested) {
    struct sorted_set *set = zset_of(edit);
    uint64_t total = sorted_set_count(set);
    struct sorted_set_span span = {highest ? total - count : 0, count};
    struct sorted_set_element element;
    struct sorted_set_walk walk;
    sorted_set_walk_begin(&walk, set, &span, highest);
    while (sorted_set_walk_next(&walk, &element)) {
        if (nested) reply_array(call->reply, 2);
        reply_item(call->reply, &element.member);
        reply_double(call->reply, element.score);
    }
    sorted_set_remove_span(set, &span);
}

static const char *event_of(bool highest) {
    return highest ? "zpopmax" : "zpopmin";
}

/* The journal gets what was done at once, without waiting or choosing. */
static void effect_pop(struct call *call, struct bytes key, bool highest, uint64_t count) {
    char digits[NUMBER_I64_TEXT_MAX];
    struct bytes words[] = {highest ? BYTES("ZPOPMAX") : BYTES("ZPOPMIN"), key,
                            bytes_make(digits, number_format_u64(digits, count))};
    call_effect(call, call->database, words, 3);
}

/* ---- ZPOPMIN and ZPOPMAX ---- */

static void pop(struct call *call, bool highest) {
    int64_t wanted = 1;
    struct edit edit;
    bool with_count = call->argc > 2;
    if (call->argc > 3) {
        call_error_syntax(call);
        return;
    }
    if (with_count && !call_parse_range(call, 2, 0, INT64_MAX, &wanted,
                                        "ERR value is out of range, must be positive"))
        return;
    if (!call_edit(call, 1, VALUE_SORTED_SET, &edit)) return;
    uint64_t count = sorted_set_count(zset_of(&edit));
    if (count > (uint64_t)wanted) count = (uint64_t)wanted;
    bool nested = with_count && call->reply->protocol > 2;
    reply_array(call->reply, nested ? count : 2 * count);
    if (count == 0) {
        edit_end(&edit);
        return;
    }
    take(call, &edit, highest, count, nested);
    zset_end_changed(call, &edit, event_of(highest));
}

void command_zpopmin(struct call *call) {
    pop(call, false);
}

void command_zpopmax(struct call *call) {
    pop(call, true);
}

/* ---- of the first key that has some ---- */

struct pop_first {
    uint32_t first_key, key_count; /* arguments */
    bool highest;
    bool with_key_only; /* BZPOPMIN: key, member, score; ZMPOP: key, pairs */
    uint64_t count;
};

/* Pop from this key: false when it has none, or after an error reply. */
static bool pop_key(struct call *call, const struct pop_first *what, uint32_t index) {
    struct edit edit;
    struct spot spot;
    if (!call_locate_type(call, index, VALUE_SORTED_SET, &spot) || !spot.entry) return false;
    struct key key = call_key(call, index);
    edit_begin(&edit, call->database, &key, &spot, VALUE_SORTED_SET);
    uint64_t count = sorted_set_count(zset_of(&edit));
    if (count > what->count) count = what->count;
    reply_array(call->reply, what->with_key_only ? 3 : 2);
    reply_bulk(call->reply, key.name);
    if (!what->with_key_only) reply_array(call->reply, count);
    take(call, &edit, what->highest, count, !what->with_key_only);
    zset_end_changed(call, &edit, event_of(what->highest));
    effect_pop(call, key.name, what->highest, count);
    return true;
}

/* False when nothing was replied: no key has any. */
static bool pop_first(struct call *call, const struct pop_first *what) {
    if (call->ready != 0) return pop_key(call, what, call->ready) || call->failed;
    for (uint32_t i = 0; i < what->key_count; i++) {
        if (pop_key(call, what, what->first_key + i) || call->failed) return true;
    }
    return false;
}

static void reply_none(struct call *call) {
    reply_null_array(call->reply);
}

static void pop_first_or_wait(struct call *call, const struct pop_first *what, int64_t timeout_ms) {
    enum { KEYS_INLINE = 32 };
    uint32_t some[KEYS_INLINE], *keys = some;
    if (pop_first(call, what)) return;
    if (!call_may_wait(call)) {
        reply_none(call);
        return;
    }
    if (what->key_count > KEYS_INLINE) keys = memory_alloc(what->key_count * sizeof *keys);
    for (uint32_t i = 0; i < what->key_count; i++)
        keys[i] = what->first_key + i;
    struct call_wait wait = {.type = VALUE_SORTED_SET,
                             .keys = keys,
                             .key_count = what->key_count,
                             .timeout_ms = timeout_ms,
                             .timed_out = reply_none};
    call_wait(call, &wait);
    if (keys != some) memory_free(keys);
}

static void pop_waiting(struct call *call, bool highest) {
    int64_t timeout_ms;
    struct pop_first what = {1, call->argc - 2, highest, true, 1};
    if (call_parse_timeout(call, call->argc - 1, &timeout_ms))
        pop_first_or_wait(call, &what, timeout_ms);
}

void command_bzpopmin(struct call *call) {
    pop_waiting(call, false);
}

void command_bzpopmax(struct call *call) {
    pop_waiting(call, true);
}

static bool parse_pop_count(struct call *call, uint32_t index, struct pop_first *what) {
    int64_t count = 0;
    what->count = 1;
    for (; index < call->argc; index += 2) {
        bool is_count = index + 1 < call->argc && call_argument_is(call, index, "count");
        if (!is_count || count > 0) {
            call_error_syntax(call);
            return false;
        }
        if (!call_parse_range(call, index + 1, 1, INT64_MAX, &count,
                              "ERR count should be greater than 0"))
            return false;
        what->count = (uint64_t)count;
    }
    return true;
}

/* numkeys key ... MIN|MAX [COUNT count], from `index` on. */
static bool parse_pop_first(struct call *call, uint32_t index, struct pop_first *what) {
    int64_t keys;
    if (!call_parse_range(call, index, 1, INT64_MAX, &keys, "ERR numkeys should be greater than 0"))
        return false;
    if (keys >= (int64_t)call->argc - index - 1) {
        call_error_syntax(call);
        return false;
    }
    what->first_key = index + 1;
    what->key_count = (uint32_t)keys;
    uint32_t at = what->first_key + what->key_count;
    what->highest = call_argument_is(call, at, "max");
    if (!what->highest && !call_argument_is(call, at, "min")) {
        call_error_syntax(call);
        return false;
    }
    return parse_pop_count(call, at + 1, what);
}

void command_zmpop(struct call *call) {
    struct pop_first what = {0};
    if (parse_pop_first(call, 1, &what) && !pop_first(call, &what)) reply_none(call);
}

void command_bzmpop(struct call *call) {
    struct pop_first what = {0};
    int64_t timeout_ms;
    if (parse_pop_first(call, 2, &what) && call_parse_timeout(call, 1, &timeout_ms))
        pop_first_or_wait(call, &what, timeout_ms);
}
