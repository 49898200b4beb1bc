/* sorted_set.c: commands on members of sorted sets: adding, scores, ranks, removing, picking at
 * random, scanning. Ranges are in sorted_set_range.c, taking from the ends in sorted_set_pop.c,
 * several sets in sorted_set_combine.c. */
#include "command/sorted_set.h"

#include "base/memory.h"
#include "command/command_handlers.h"
#include "command/scan.h"
#include "value/sorted_set_score.h"

/* ---- adding ---- */

struct add_options {
    unsigned conditions; /* of enum sorted_set_condition */
    bool count_changed;  /* CH */
    uint32_t first;      /* argument of the first score */
    uint32_t pairs;
};

static bool take_add_option(struct bytes word, struct add_options *options) {
    static const struct {
        const char *word;
        unsigned condition;
    } words[] = {{"nx", SORTED_SET_IF_ABSENT},
                 {"xx", SORTED_SET_IF_PRESENT},
                 {"gt", SORTED_SET_IF_GREATER},
                 {"lt", SORTED_SET_IF_LESS},
                 {"incr", SORTED_SET_INCREMENT}};
    if (word.size != 2 && word.size != 4) return false;
    if (bytes_is(word, "ch")) {
        options->count_changed = true;
        return true;
    }
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (!bytes_is(word, words[i].word)) continue;
        options->conditions |= words[i].condition;
        return true;
    }
    return false;
}

static bool parse_add(struct call *call, struct add_options *options) {
    options->first = 2;
    while (options->first < call->argc && take_add_option(call->argv[options->first], options))
        options->first++;
    uint32_t left = call->argc - options->first;
    unsigned conditions = options->conditions;
    bool absent = conditions & SORTED_SET_IF_ABSENT, greater = conditions & SORTED_SET_IF_GREATER,
         less = conditions & SORTED_SET_IF_LESS;
    options->pairs = left / 2;
    if (left == 0 || left % 2 != 0)
        call_error_syntax(call);
    else if (absent && conditions & SORTED_SET_IF_PRESENT)
        call_error(call, "ERR XX and NX options at the same time are not compatible");
    else if ((absent && (greater || less)) || (greater && less))
        call_error(call, "ERR GT, LT, and/or NX options at the same time are not compatible");
    else if (conditions & SORTED_SET_INCREMENT && options->pairs > 1)
        call_error(call, "ERR INCR option supports a single increment-element pair");
    else
        return true;
    return false;
}

static void reply_not_a_number(struct call *call) {
    call_error(call, "ERR resulting score is not a number (NaN)");
}

/* One pair that is incremented: the reply is the score. */
static void increment(struct call *call, uint32_t index, double by, unsigned conditions) {
    struct sorted_set_limits limits = zset_limits(call);
    struct edit edit;
    if (!call_edit(call, 1, VALUE_SORTED_SET, &edit)) return;
    struct item member = item_make(call->argv[index]);
    enum sorted_set_outcome outcome =
        sorted_set_add(zset_of(&edit), &member, &by, conditions | SORTED_SET_INCREMENT, &limits);
    if (outcome == SORTED_SET_ADDED || outcome == SORTED_SET_UPDATED)
        zset_end_changed(call, &edit, "zincr");
    else
        edit_end(&edit);
    if (outcome == SORTED_SET_NOT_A_NUMBER)
        reply_not_a_number(call);
    else if (outcome == SORTED_SET_NOT_WANTED)
        reply_null(call->reply);
    else
        reply_double(call->reply, by);
}

/* Scores of a command that has few are kept on the stack. */
enum { SCORES_INLINE = 64 };

static bool parse_scores(struct call *call, const struct add_options *options, double *scores) {
    for (uint32_t i = 0; i < options->pairs; i++) {
        if (!zset_parse_score(call, options->first + 2 * i, &scores[i])) return false;
    }
    return true;
}

static void add_pairs(struct call *call, const struct add_options *options, const double *scores) {
    struct zset_adding adding;
    if (!zset_add_begin(call, &adding, options->conditions)) return;
    for (uint32_t i = 0; i < options->pairs; i++)
        zset_add(&adding, call->argv[options->first + 2 * i + 1], scores[i]);
    zset_add_end(call, &adding, options->count_changed);
}

void command_zadd(struct call *call) {
    struct add_options options = {0};
    double some[SCORES_INLINE];
    if (!parse_add(call, &options)) return;
    if (options.conditions & SORTED_SET_INCREMENT) {
        double by;
        if (!zset_parse_score(call, options.first, &by)) return;
        increment(call, options.first + 1, by, options.conditions);
        return;
    }
    double *scores = some;
    if (options.pairs > SCORES_INLINE) scores = memory_alloc(options.pairs * sizeof *scores);
    if (parse_scores(call, &options, scores)) add_pairs(call, &options, scores);
    if (scores != some) memory_free(scores);
}

/* ZADD's options are read from its place, which leaves no pair. */
static bool is_option(struct call *call, uint32_t index) {
    static const char *const names[] = {"nx", "xx", "gt", "lt", "ch", "incr"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (call_argument_is(call, index, names[i])) return true;
    return false;
}

void command_zincrby(struct call *call) {
    double by;
    if (is_option(call, 2)) {
        call_error_syntax(call);
        return;
    }
    if (zset_parse_score(call, 2, &by)) increment(call, 3, by, 0);
}

void command_zrem(struct call *call) {
    struct edit edit;
    int64_t removed = 0;
    if (!call_edit(call, 1, VALUE_SORTED_SET, &edit)) return;
    for (uint32_t i = 2; i < call->argc; i++) {
        struct item member = item_make(call->argv[i]);
        removed += sorted_set_remove(zset_of(&edit), &member);
    }
    if (removed > 0)
        zset_end_changed(call, &edit, "zrem");
    else
        edit_end(&edit);
    reply_integer(call->reply, removed);
}

/* ---- asking ---- */

void command_zcard(struct call *call) {
    const struct sorted_set *set;
    union object_room room;
    if (!zset_read(call, 1, &room, &set)) return;
    reply_integer(call->reply, set ? (int64_t)sorted_set_count(set) : 0);
}

static void reply_score(struct call *call, const struct sorted_set *set, uint32_t index) {
    struct item member = item_make(call->argv[index]);
    double score;
    if (set && sorted_set_score(set, &member, &score))
        reply_double(call->reply, score);
    else
        reply_null(call->reply);
}

void command_zscore(struct call *call) {
    const struct sorted_set *set;
    union object_room room;
    if (zset_read(call, 1, &room, &set)) reply_score(call, set, 2);
}

void command_zmscore(struct call *call) {
    const struct sorted_set *set;
    union object_room room;
    if (!zset_read(call, 1, &room, &set)) return;
    reply_array(call->reply, call->argc - 2);
    for (uint32_t i = 2; i < call->argc; i++)
        reply_score(call, set, i);
}

static void rank(struct call *call, bool backwards) {
    const struct sorted_set *set;
    union object_room room;
    bool with_score = call->argc == 4;
    uint64_t rank;
    double score;
    if (call->argc > 4) {
        call_error_arity(call);
        return;
    }
    if (with_score && !call_argument_is(call, 3, "withscore")) {
        call_error_syntax(call);
        return;
    }
    if (!zset_read(call, 1, &room, &set)) return;
    struct item member = item_make(call->argv[2]);
    if (!set || !sorted_set_rank(set, &member, &rank, &score)) {
        if (with_score)
            reply_null_array(call->reply);
        else
            reply_null(call->reply);
        return;
    }
    if (backwards) rank = sorted_set_count(set) - 1 - rank;
    if (with_score) reply_array(call->reply, 2);
    reply_integer(call->reply, (int64_t)rank);
    if (with_score) reply_double(call->reply, score);
}

void command_zrank(struct call *call) {
    rank(call, false);
}

void command_zrevrank(struct call *call) {
    rank(call, true);
}

/* ---- at random ---- */

static void reply_rank(struct call *call, const struct sorted_set *set, uint64_t rank,
                       bool with_scores) {
    struct sorted_set_span span = {rank, 1};
    struct sorted_set_element element;
    struct sorted_set_walk walk;
    sorted_set_walk_begin(&walk, set, &span, false);
    sorted_set_walk_next(&walk, &element);
    zset_reply_element(call, &element, with_scores);
}

/* Many of them: go through all, and take each with the probability that makes `count` of them in
 * the end (Knuth's algorithm S). */
static void reply_many(struct call *call, const struct sorted_set *set, uint64_t count,
                       bool with_scores) {
    struct sorted_set_span whole = sorted_set_span_whole(set);
    struct sorted_set_element element;
    struct sorted_set_walk walk;
    uint64_t left = whole.count;
    sorted_set_walk_begin(&walk, set, &whole, false);
    for (; sorted_set_walk_next(&walk, &element); left--) {
        if (zset_random_below(call, left) >= count) continue;
        zset_reply_element(call, &element, with_scores);
        count--;
    }
}

/* Few of them: ranks at random, those that were there already in a table of `size` places. */
static void reply_few(struct call *call, const struct sorted_set *set, uint64_t count,
                      bool with_scores) {
    uint64_t size = 4, total = sorted_set_count(set);
    while (size < 2 * count)
        size *= 2;
    uint64_t *seen = memory_alloc_zeroed(size, sizeof *seen); /* rank + 1 */
    while (count > 0) {
        uint64_t rank = zset_random_below(call, total), at = rank & (size - 1);
        while (seen[at] != 0 && seen[at] != rank + 1)
            at = (at + 1) & (size - 1);
        if (seen[at] != 0) continue;
        seen[at] = rank + 1;
        reply_rank(call, set, rank, with_scores);
        count--;
    }
    memory_free(seen);
}

static void reply_random(struct call *call, const struct sorted_set *set, int64_t wanted,
                         bool with_scores) {
    enum { MANY = 3 }; /* more than one in so many */
    uint64_t count = wanted < 0 ? -(uint64_t)wanted : (uint64_t)wanted;
    uint64_t total = set ? sorted_set_count(set) : 0;
    if (total == 0 || (wanted > 0 && count > total)) count = total;
    if (wanted < 0 && !call_can_draw(call, count)) return;
    zset_reply_head(call, count, with_scores);
    if (count == 0) return;
    if (wanted > 0 && count > total / MANY) {
        reply_many(call, set, count, with_scores);
    } else if (wanted > 0) {
        reply_few(call, set, count, with_scores);
    } else {
        for (; count > 0; count--)
            reply_rank(call, set, zset_random_below(call, total), with_scores);
    }
}

void command_zrandmember(struct call *call) {
    const struct sorted_set *set;
    union object_room room;
    int64_t count = 1;
    bool with_scores = call->argc == 4;
    if (call->argc > 2) {
        if (!call_parse_range(call, 2, -INT64_MAX, INT64_MAX, &count, NULL)) return;
        if (call->argc > 4 || (with_scores && !call_argument_is(call, 3, "withscores"))) {
            call_error_syntax(call);
            return;
        }
        if (with_scores && (count < -INT64_MAX / 2 || count > INT64_MAX / 2)) {
            call_error(call, "ERR value is out of range");
            return;
        }
    }
    if (!zset_read(call, 1, &room, &set)) return;
    if (call->argc > 2)
        reply_random(call, set, count, with_scores);
    else if (set)
        reply_rank(call, set, zset_random_below(call, sorted_set_count(set)), false);
    else
        reply_null(call->reply);
}

/* ---- scanning ---- */

struct gather {
    struct reply *reply;
    const struct scan_options *options;
    bool flat;
    uint64_t found;
};

static void count_element(void *context, const struct sorted_set_element *element) {
    struct gather *gather = context;
    gather->found += scan_matches_item(gather->options, &element->member);
}

static void reply_scanned(void *context, const struct sorted_set_element *element) {
    struct gather *gather = context;
    char text[NUMBER_DOUBLE_TEXT_MAX];
    if (!scan_matches_item(gather->options, &element->member)) return;
    reply_item(gather->reply, &element->member);
    int64_t integer;
    /* A flat set's integers are shown as they are kept: 1e17 with all its digits. */
    if (gather->flat && score_is_flat_integer(element->score, &integer))
        reply_bulk_integer(gather->reply, integer);
    else
        reply_bulk(gather->reply, bytes_make(text, number_format_double(text, element->score)));
}

/* Twice over the same elements: the reply begins with their number. */
static void reply_scan(struct call *call, const struct sorted_set *set, uint64_t cursor,
                       const struct scan_options *options) {
    struct gather gather = {call->reply, options, object_is_flat(&set->object), 0};
    uint64_t next = cursor;
    int64_t rounds = scan_rounds(options), done = 0;
    do
        next = sorted_set_scan(set, next, count_element, &gather);
    while (++done < rounds && next != 0 && gather.found < (uint64_t)options->count);
    scan_reply_head(call, next);
    reply_array(call->reply, 2 * gather.found);
    for (; done > 0; done--)
        cursor = sorted_set_scan(set, cursor, reply_scanned, &gather);
}

void command_zscan(struct call *call) {
    const struct sorted_set *set;
    union object_room room;
    struct scan_options options;
    uint64_t cursor;
    if (!scan_parse_cursor(call, 2, &cursor)) return;
    if (!zset_read(call, 1, &room, &set)) return;
    if (!set) {
        scan_reply_head(call, 0);
        reply_array(call->reply, 0);
    } else if (scan_parse_options(call, 3, &options)) {
        reply_scan(call, set, cursor, &options);
    }
}
