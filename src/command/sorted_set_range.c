/* sorted_set_range.c: ranges of sorted sets, by rank, score or member: giving them, storing them,
 * counting them, removing them. */
#include "command/sorted_set.h"

#include "base/memory.h"
#include "command/command_handlers.h"
#include "engine/server.h"
#include <math.h>
#include <stdlib.h>

/* ---- bounds ---- */

/* As C's strtod reads the text up to a zero byte: blanks in front, nothing at all, and what does
 * not fit in a double are numbers too. */
static bool parse_bound_number(struct bytes text, double *number) {
    if (number_parse_double(text, number)) return true;
    char *end, *copy = memory_copy(text.data, text.size);
    *number = strtod(copy, &end);
    bool whole = *end == 0 && !isnan(*number);
    memory_free(copy);
    return whole;
}

static bool parse_bound(struct bytes text, double *number, bool *excluded) {
    *excluded = text.size > 0 && text.data[0] == '(';
    if (*excluded) text = bytes_make(text.data + 1, text.size - 1);
    return parse_bound_number(text, number);
}

static bool parse_scores(struct call *call, uint32_t min, uint32_t max,
                         struct sorted_set_scores *scores) {
    if (parse_bound(call->argv[min], &scores->min, &scores->min_excluded) &&
        parse_bound(call->argv[max], &scores->max, &scores->max_excluded))
        return true;
    call_error(call, "ERR min or max is not a float");
    return false;
}

static bool parse_limit(struct bytes text, struct sorted_set_limit *limit) {
    char kind = text.size > 0 ? text.data[0] : 0;
    bool alone = text.size == 1 || (text.size > 1 && text.data[1] == 0);
    *limit = (struct sorted_set_limit){.end = SORTED_SET_MEMBER, .excluded = kind == '('};
    if ((kind == '-' || kind == '+') && alone) {
        limit->end = kind == '-' ? SORTED_SET_LOWEST : SORTED_SET_HIGHEST;
        return true;
    }
    if (kind != '(' && kind != '[') return false;
    limit->member = item_make(bytes_make(text.data + 1, text.size - 1));
    return true;
}

struct members {
    struct sorted_set_limit min, max;
};

static bool parse_members(struct call *call, uint32_t min, uint32_t max, struct members *members) {
    if (parse_limit(call->argv[min], &members->min) && parse_limit(call->argv[max], &members->max))
        return true;
    call_error(call, "ERR min or max not valid string range item");
    return false;
}

/* ---- a range: what is asked for, and then where it is ---- */

enum range_by { BY_ANY, BY_RANK, BY_SCORE, BY_MEMBER };

struct range {
    enum range_by by;
    bool any_direction; /* REV may still be said */
    bool backwards;
    bool with_scores;
    bool has_limit;
    int64_t offset, count;
    int64_t start, end;
    struct sorted_set_scores scores;
    struct members members;
};

/* The two bounds at `index`: when going backwards by score or member, the higher one comes first.
 */
static bool parse_bounds(struct call *call, uint32_t index, struct range *range) {
    uint32_t min = range->backwards ? index + 1 : index, max = range->backwards ? index : index + 1;
    switch (range->by) {
    case BY_SCORE: return parse_scores(call, min, max, &range->scores);
    case BY_MEMBER: return parse_members(call, min, max, &range->members);
    default:
        return call_parse_i64(call, index, &range->start, NULL) &&
               call_parse_i64(call, index + 1, &range->end, NULL);
    }
}

static bool parse_range_options(struct call *call, uint32_t index, bool storing,
                                struct range *range) {
    for (uint32_t i = index; i < call->argc; i++) {
        uint32_t left = call->argc - i - 1;
        if (!storing && call_argument_is(call, i, "withscores")) {
            range->with_scores = true;
        } else if (left >= 2 && call_argument_is(call, i, "limit")) {
            if (!call_parse_i64(call, i + 1, &range->offset, NULL) ||
                !call_parse_i64(call, i + 2, &range->count, NULL))
                return false;
            range->has_limit = true;
            i += 2;
        } else if (range->any_direction && call_argument_is(call, i, "rev")) {
            range->any_direction = false;
            range->backwards = true;
        } else if (range->by == BY_ANY && call_argument_is(call, i, "bylex")) {
            range->by = BY_MEMBER;
        } else if (range->by == BY_ANY && call_argument_is(call, i, "byscore")) {
            range->by = BY_SCORE;
        } else {
            call_error_syntax(call);
            return false;
        }
    }
    return true;
}

/* Bounds at `index`, options behind them. */
static bool parse_range(struct call *call, uint32_t index, bool storing, struct range *range) {
    range->count = -1;
    if (!parse_range_options(call, index + 2, storing, range)) return false;
    if (range->by == BY_ANY) range->by = BY_RANK;
    if (range->has_limit && range->count != -1 && range->by == BY_RANK) {
        call_error(call, "ERR syntax error, LIMIT is only supported in combination with either "
                         "BYSCORE or BYLEX");
        return false;
    }
    if (range->with_scores && range->by == BY_MEMBER) {
        call_error(call, "ERR syntax error, WITHSCORES not supported in combination with BYLEX");
        return false;
    }
    return parse_bounds(call, index, range);
}

static struct sorted_set_span span_of(const struct range *range, const struct sorted_set *set) {
    switch (range->by) {
    case BY_SCORE: return sorted_set_span_of_scores(set, &range->scores);
    case BY_MEMBER:
        return sorted_set_span_of_members(set, &range->members.min, &range->members.max);
    default: return sorted_set_span_of_ranks(set, range->start, range->end, range->backwards);
    }
}

/* Cut the span as LIMIT says. */
static struct sorted_set_span limited(const struct range *range, struct sorted_set_span span) {
    if (!range->has_limit || range->by == BY_RANK) return span;
    if (range->offset < 0 || (uint64_t)range->offset >= span.count)
        return (struct sorted_set_span){0, 0};
    uint64_t offset = (uint64_t)range->offset, count = span.count - offset;
    if (range->count >= 0 && (uint64_t)range->count < count) count = (uint64_t)range->count;
    if (range->backwards) offset = span.count - offset - count;
    return (struct sorted_set_span){span.first + offset, count};
}

static void reply_range(struct call *call, struct range *range) {
    const struct sorted_set *set;
    union object_room room;
    if (!parse_range(call, 2, false, range)) return;
    if (!zset_read(call, 1, &room, &set)) return;
    if (!set) {
        reply_array(call->reply, 0);
        return;
    }
    struct sorted_set_span span = limited(range, span_of(range, set));
    zset_reply_span(call, set, &span, range->backwards, range->with_scores);
}

void command_zrange(struct call *call) {
    struct range range = {.by = BY_ANY, .any_direction = true};
    reply_range(call, &range);
}

void command_zrevrange(struct call *call) {
    struct range range = {.by = BY_RANK, .backwards = true};
    reply_range(call, &range);
}

void command_zrangebyscore(struct call *call) {
    struct range range = {.by = BY_SCORE};
    reply_range(call, &range);
}

void command_zrevrangebyscore(struct call *call) {
    struct range range = {.by = BY_SCORE, .backwards = true};
    reply_range(call, &range);
}

void command_zrangebylex(struct call *call) {
    struct range range = {.by = BY_MEMBER};
    reply_range(call, &range);
}

void command_zrevrangebylex(struct call *call) {
    struct range range = {.by = BY_MEMBER, .backwards = true};
    reply_range(call, &range);
}

void command_zrangestore(struct call *call) {
    struct range range = {.by = BY_ANY, .any_direction = true};
    const struct sorted_set *set;
    union object_room room, result;
    if (!parse_range(call, 3, true, &range)) return;
    if (!zset_read(call, 2, &room, &set)) return;
    object_init(&result.object, VALUE_SORTED_SET, &call->server->keyspace.world);
    if (set) {
        struct sorted_set_span span = limited(&range, span_of(&range, set));
        struct sorted_set_limits limits = zset_limits(call);
        struct sorted_set_element element;
        struct sorted_set_walk walk;
        /* As Redis does: how many it will be is known from ranks alone. */
        if (range.by == BY_RANK && span.count > limits.entries_max) limits.entries_max = 0;
        /* The order can be seen where the result begins flat, since what is flat knows no -0. */
        bool backwards = range.backwards && limits.entries_max > 0;
        sorted_set_walk_begin(&walk, set, &span, backwards);
        while (sorted_set_walk_next(&walk, &element)) {
            struct sorted_set *into = (struct sorted_set *)&result;
            if (backwards)
                sorted_set_add(into, &element.member, &element.score, 0, &limits);
            else
                sorted_set_add_last(into, &element.member, element.score, &limits);
        }
    }
    zset_store(call, 1, (struct sorted_set *)&result, "zrangestore");
}

/* ---- counting ---- */

static void reply_count(struct call *call, const struct range *range) {
    const struct sorted_set *set;
    union object_room room;
    if (!zset_read(call, 1, &room, &set)) return;
    reply_integer(call->reply, set ? (int64_t)span_of(range, set).count : 0);
}

void command_zcount(struct call *call) {
    struct range range = {.by = BY_SCORE};
    if (parse_bounds(call, 2, &range)) reply_count(call, &range);
}

void command_zlexcount(struct call *call) {
    struct range range = {.by = BY_MEMBER};
    if (parse_bounds(call, 2, &range)) reply_count(call, &range);
}

/* ---- removing ---- */

static void remove_span(struct edit *edit, const struct sorted_set_span *span) {
    union object_room room;
    if (!sorted_set_leaves_few(zset_of(edit), span)) {
        sorted_set_remove_span(zset_of(edit), span);
        return;
    }
    sorted_set_copy_others((struct sorted_set *)&room.object, zset_of(edit), span);
    edit_exchange(edit, &room.object);
}

static void remove_range(struct call *call, enum range_by by, const char *event) {
    struct range range = {.by = by};
    struct edit edit;
    if (!parse_bounds(call, 2, &range)) return;
    if (!call_edit(call, 1, VALUE_SORTED_SET, &edit)) return;
    struct sorted_set_span span = span_of(&range, zset_of(&edit));
    edit.removes = span.count == sorted_set_count(zset_of(&edit));
    if (!edit.removes) remove_span(&edit, &span);
    if (span.count > 0)
        zset_end_changed(call, &edit, event);
    else
        edit_end(&edit);
    reply_integer(call->reply, (int64_t)span.count);
}

void command_zremrangebyrank(struct call *call) {
    remove_range(call, BY_RANK, "zremrangebyrank");
}

void command_zremrangebyscore(struct call *call) {
    remove_range(call, BY_SCORE, "zremrangebyscore");
}

void command_zremrangebylex(struct call *call) {
    remove_range(call, BY_MEMBER, "zremrangebylex");
}
