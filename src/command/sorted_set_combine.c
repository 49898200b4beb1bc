/* sorted_set_combine.c: unions, intersections and differences. Sources are sorted sets, and sets,
 * whose members have a score of 1. The result is built apart, then given or stored. */
#include "command/sorted_set.h"

#include "base/memory.h"
#include "command/command_handlers.h"
#include "engine/command.h"
#include "engine/server.h"
#include "value/set.h"
#include <math.h>

enum combine { UNION, INTERSECTION, DIFFERENCE };
enum aggregate { AGGREGATE_SUM, AGGREGATE_MIN, AGGREGATE_MAX };

struct source {
    union object_room room;
    const struct object *object; /* NULL: there is none */
    uint64_t count;
    double weight;
};

struct combination {
    enum combine kind;
    enum aggregate aggregate;
    bool with_scores;
    int64_t limit; /* of ZINTERCARD; 0: none */
    struct source *sources;
    uint32_t source_count;
    struct sorted_set *result;
    struct sorted_set_limits limits;
};

/* ---- sources ---- */

static bool source_score(const struct source *source, const struct item *member, double *score) {
    if (!source->object) return false;
    if (source->object->type == VALUE_SET) {
        *score = 1;
        return set_contains((const struct set *)source->object, member);
    }
    return sorted_set_score((const struct sorted_set *)source->object, member, score);
}

/* False: no more is wanted. */
typedef bool source_visit(struct combination *combination, const struct source *source,
                          const struct sorted_set_element *element);

static void each_of_set(struct combination *combination, const struct source *source,
                        source_visit *visit) {
    struct sorted_set_element element = {.score = 1};
    struct set_cursor cursor;
    set_begin((const struct set *)source->object, &cursor);
    while (set_take(&cursor, &element.member) && visit(combination, source, &element))
        ;
    set_end(&cursor);
}

static void source_each(struct combination *combination, const struct source *source,
                        source_visit *visit) {
    if (!source->object) return;
    if (source->object->type == VALUE_SET) {
        each_of_set(combination, source, visit);
        return;
    }
    const struct sorted_set *set = (const struct sorted_set *)source->object;
    struct sorted_set_span whole = sorted_set_span_whole(set);
    struct sorted_set_element element;
    struct sorted_set_walk walk;
    sorted_set_walk_begin(&walk, set, &whole, false);
    while (sorted_set_walk_next(&walk, &element) && visit(combination, source, &element))
        ;
}

static bool read_source(struct call *call, uint32_t index, struct source *source) {
    const struct entry *entry = call_read(call, index);
    source->weight = 1;
    if (!entry) return true;
    if (entry_type(entry) != VALUE_SORTED_SET && entry_type(entry) != VALUE_SET) {
        call_error_wrong_type(call);
        return false;
    }
    source->object = entry_read_object(entry, &call->server->keyspace.world, &source->room);
    source->count = object_count(source->object);
    return true;
}

/* The smaller ones first; those of the same size in the order in which they were given. */
static void sort_sources(struct combination *combination, const struct source **sorted) {
    for (uint32_t i = 0; i < combination->source_count; i++) {
        const struct source *source = &combination->sources[i];
        uint32_t at = i;
        for (; at > 0 && sorted[at - 1]->count > source->count; at--)
            sorted[at] = sorted[at - 1];
        sorted[at] = source;
    }
}

/* ---- combining ---- */

static double aggregated(enum aggregate how, double a, double b) {
    if (how == AGGREGATE_MIN) return b < a ? b : a;
    if (how == AGGREGATE_MAX) return b > a ? b : a;
    double sum = a + b;
    return isnan(sum) ? 0 : sum; /* of both infinities */
}

static double weighted(const struct source *source, double score) {
    double product = source->weight * score;
    return isnan(product) ? 0 : product; /* of 0 and an infinity */
}

/* What is flat does not know -0; sums do. A result with one is flat in the end, if at all. */
static void add(struct combination *combination, const struct item *member, double score) {
    static const struct sorted_set_limits none = {0, 0};
    bool negative_zero = score == 0 && signbit(score);
    sorted_set_add(combination->result, member, &score, 0,
                   negative_zero ? &none : &combination->limits);
}

static bool visit_union(struct combination *combination, const struct source *source,
                        const struct sorted_set_element *element) {
    double score = weighted(source, element->score), before;
    if (sorted_set_score(combination->result, &element->member, &before)) {
        score = aggregated(combination->aggregate, before, score);
        /* 0 and -0 are the same to a sorted set, which would keep the one it has; and a flat one
         * knows no -0. */
        if (score == 0) sorted_set_remove(combination->result, &element->member);
    }
    add(combination, &element->member, score);
    return true;
}

static void unite(struct combination *combination, const struct source **sorted) {
    for (uint32_t i = 0; i < combination->source_count; i++)
        source_each(combination, sorted[i], visit_union);
}

/* What a visit of the smallest source gets: the others, in the order of sizes. */
struct intersection {
    struct combination combination; /* first: it is what a visit gets */
    const struct source **others;
    uint32_t other_count;
    uint64_t found;
};

static bool visit_intersection(struct combination *combination, const struct source *source,
                               const struct sorted_set_element *element) {
    struct intersection *intersection = (struct intersection *)combination;
    double score = weighted(source, element->score), other;
    for (uint32_t i = 0; i < intersection->other_count; i++) {
        if (!source_score(intersection->others[i], &element->member, &other)) return true;
        other *= intersection->others[i]->weight;
        score = aggregated(combination->aggregate, score, other);
    }
    intersection->found++;
    if (combination->result) add(combination, &element->member, score);
    return combination->limit == 0 || intersection->found < (uint64_t)combination->limit;
}

static uint64_t intersect(const struct combination *combination, const struct source **sorted) {
    struct intersection intersection = {*combination, sorted + 1, combination->source_count - 1, 0};
    source_each(&intersection.combination, sorted[0], visit_intersection);
    return intersection.found;
}

static bool visit_difference(struct combination *combination, const struct source *source,
                             const struct sorted_set_element *element) {
    double score;
    for (const struct source *other = source + 1;
         other < combination->sources + combination->source_count; other++) {
        if (source_score(other, &element->member, &score)) return true;
    }
    add(combination, &element->member, element->score);
    return true;
}

/* Into the result, if there is one; returns how many there are in an intersection. */
static uint64_t combine(struct combination *combination) {
    uint64_t found = 0;
    const struct source **sorted = memory_alloc(combination->source_count * sizeof(*sorted));
    sort_sources(combination, sorted);
    if (combination->kind == UNION)
        unite(combination, sorted);
    else if (combination->kind == INTERSECTION)
        found = intersect(combination, sorted);
    else
        source_each(combination, &combination->sources[0], visit_difference);
    memory_free(sorted);
    return found;
}

/* ---- arguments ---- */

static bool parse_weights(struct call *call, uint32_t index, struct combination *combination) {
    for (uint32_t i = 0; i < combination->source_count; i++) {
        if (number_parse_double(call->argv[index + i], &combination->sources[i].weight)) continue;
        call_error(call, "ERR weight value is not a float");
        return false;
    }
    return true;
}

static bool parse_aggregate(struct call *call, uint32_t index, struct combination *combination) {
    if (call_argument_is(call, index, "sum"))
        combination->aggregate = AGGREGATE_SUM;
    else if (call_argument_is(call, index, "min"))
        combination->aggregate = AGGREGATE_MIN;
    else if (call_argument_is(call, index, "max"))
        combination->aggregate = AGGREGATE_MAX;
    else {
        call_error_syntax(call);
        return false;
    }
    return true;
}

enum options { OPTIONS_OF_GIVING, OPTIONS_OF_STORING, OPTIONS_OF_COUNTING };

static bool parse_options(struct call *call, uint32_t index, enum options allowed,
                          struct combination *combination) {
    bool scores = allowed != OPTIONS_OF_COUNTING && combination->kind != DIFFERENCE;
    while (index < call->argc) {
        uint32_t left = call->argc - index;
        if (scores && left > combination->source_count &&
            call_argument_is(call, index, "weights")) {
            if (!parse_weights(call, index + 1, combination)) return false;
            index += 1 + combination->source_count;
        } else if (scores && left >= 2 && call_argument_is(call, index, "aggregate")) {
            if (!parse_aggregate(call, index + 1, combination)) return false;
            index += 2;
        } else if (allowed == OPTIONS_OF_GIVING && call_argument_is(call, index, "withscores")) {
            combination->with_scores = true;
            index++;
        } else if (allowed == OPTIONS_OF_COUNTING && left >= 2 &&
                   call_argument_is(call, index, "limit")) {
            if (!call_parse_range(call, index + 1, 0, INT64_MAX, &combination->limit,
                                  "ERR LIMIT can't be negative"))
                return false;
            index += 2;
        } else {
            call_error_syntax(call);
            return false;
        }
    }
    return true;
}

static bool parse_sources(struct call *call, uint32_t index, struct combination *combination) {
    int64_t count;
    if (!call_parse_i64(call, index, &count, NULL)) return false;
    if (count < 1) {
        struct bytes name = call->command->full_name;
        call_error(call, "ERR at least 1 input key is needed for '%.*s' command", (int)name.size,
                   name.data);
        return false;
    }
    if (count > (int64_t)call->argc - index - 1) {
        call_error_syntax(call);
        return false;
    }
    combination->source_count = (uint32_t)count;
    combination->sources = memory_alloc_zeroed((size_t)count, sizeof *combination->sources);
    for (uint32_t i = 0; i < combination->source_count; i++) {
        if (!read_source(call, index + 1 + i, &combination->sources[i])) return false;
    }
    return true;
}

/* Sources and options from argument `index` on; the caller frees the sources in any case. */
static bool parse(struct call *call, uint32_t index, enum options allowed,
                  struct combination *combination) {
    combination->limits = zset_limits(call);
    return parse_sources(call, index, combination) &&
           parse_options(call, index + 1 + combination->source_count, allowed, combination);
}

/* ---- commands ---- */

static void give(struct call *call, enum combine kind) {
    struct combination combination = {.kind = kind};
    union object_room result;
    if (parse(call, 1, OPTIONS_OF_GIVING, &combination)) {
        object_init(&result.object, VALUE_SORTED_SET, &call->server->keyspace.world);
        combination.result = (struct sorted_set *)&result;
        combine(&combination);
        struct sorted_set_span whole = sorted_set_span_whole(combination.result);
        zset_reply_span(call, combination.result, &whole, false, combination.with_scores);
        object_release(&result.object);
    }
    memory_free(combination.sources);
}

static void store(struct call *call, enum combine kind, const char *event) {
    struct combination combination = {.kind = kind};
    union object_room result;
    if (parse(call, 2, OPTIONS_OF_STORING, &combination)) {
        object_init(&result.object, VALUE_SORTED_SET, &call->server->keyspace.world);
        combination.result = (struct sorted_set *)&result;
        combine(&combination);
        sorted_set_flatten(combination.result, &combination.limits);
        zset_store(call, 1, combination.result, event);
    }
    memory_free(combination.sources);
}

void command_zunion(struct call *call) {
    give(call, UNION);
}

void command_zunionstore(struct call *call) {
    store(call, UNION, "zunionstore");
}

void command_zinter(struct call *call) {
    give(call, INTERSECTION);
}

void command_zinterstore(struct call *call) {
    store(call, INTERSECTION, "zinterstore");
}

void command_zdiff(struct call *call) {
    give(call, DIFFERENCE);
}

void command_zdiffstore(struct call *call) {
    store(call, DIFFERENCE, "zdiffstore");
}

void command_zintercard(struct call *call) {
    struct combination combination = {.kind = INTERSECTION};
    if (parse(call, 1, OPTIONS_OF_COUNTING, &combination))
        reply_integer(call->reply, (int64_t)combine(&combination));
    memory_free(combination.sources);
}
