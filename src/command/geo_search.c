/* geo_search.c: GEOSEARCH, GEORADIUS and their kin: what is inside of a shape, given or stored.
 *
 *     parse     a middle (a place, or where a member is), a shape, options; a missing key is
 *               only noticed, as errors in the options come first
 *     gather    what is found is kept with its score and distance; texts are copied together
 *     order     by distance where that is asked for; without it, as the cells come
 *     answer    a reply, or a sorted set in place of the destination's value */
#include "command/geo.h"

#include "base/buffer.h"
#include "base/memory.h"
#include "command/command_handlers.h"
#include "engine/server.h"
#include <stdlib.h>

enum order { AS_FOUND, NEAREST_FIRST, FARTHEST_FIRST };

struct found {
    size_t text, text_size, index; /* index: in the order of finding */
    double score, distance;        /* metres */
    struct geo_place place;
};

struct search {
    struct call *call;
    const struct sorted_set *set; /* NULL: there is none */
    bool is_general;              /* GEOSEARCH, with FROM... and BY... among its options */
    bool may_store;
    bool has_middle, has_shape;
    bool from_member; /* the middle is that of a member */
    bool with_distance, with_hash, with_place;
    bool any, store_distance;
    enum order order;
    uint64_t count;       /* 0: all */
    uint32_t destination; /* argument; 0: none */
    double unit;          /* metres */
    struct geo_shape shape;
    struct found *found;
    size_t found_count, capacity;
    struct buffer texts;
};

/* ---- arguments ---- */

static bool parse_length(struct call *call, uint32_t index, const char *name, double *length) {
    if (number_parse_double(call->argv[index], length)) return true;
    call_error(call, "ERR need numeric %s", name);
    return false;
}

static bool parse_circle(struct search *search, uint32_t index) {
    double radius;
    if (!parse_length(search->call, index, "radius", &radius)) return false;
    if (radius < 0) {
        call_error(search->call, "ERR radius cannot be negative");
        return false;
    }
    if (!geo_parse_unit(search->call, index + 1, &search->unit)) return false;
    search->shape.is_box = false;
    search->shape.radius = radius * search->unit;
    return search->has_shape = true;
}

static bool parse_box(struct search *search, uint32_t index) {
    double width, height;
    if (!parse_length(search->call, index, "width", &width) ||
        !parse_length(search->call, index + 1, "height", &height))
        return false;
    if (width < 0 || height < 0) {
        call_error(search->call, "ERR height or width cannot be negative");
        return false;
    }
    if (!geo_parse_unit(search->call, index + 2, &search->unit)) return false;
    search->shape.is_box = true;
    search->shape.width = width * search->unit;
    search->shape.height = height * search->unit;
    return search->has_shape = true;
}

/* Where there is no set, there is no member that could be missing. */
static bool parse_member(struct search *search, uint32_t index) {
    search->has_middle = search->from_member = true;
    if (!search->set || geo_find(search->set, search->call->argv[index], &search->shape.middle))
        return true;
    call_error(search->call, "ERR could not decode requested zset member");
    return false;
}

static bool parse_middle(struct search *search, uint32_t index) {
    search->has_middle = true;
    return geo_parse_place(search->call, index, &search->shape.middle);
}

static bool parse_count(struct search *search, uint32_t index) {
    int64_t count;
    if (!call_parse_i64(search->call, index, &count, NULL)) return false;
    if (count <= 0) {
        call_error(search->call, "ERR COUNT must be > 0");
        return false;
    }
    search->count = (uint64_t)count;
    return true;
}

static bool take_flag(struct search *search, uint32_t i) {
    struct call *call = search->call;
    if (call_argument_is(call, i, "withdist"))
        search->with_distance = true;
    else if (call_argument_is(call, i, "withhash"))
        search->with_hash = true;
    else if (call_argument_is(call, i, "withcoord"))
        search->with_place = true;
    else if (call_argument_is(call, i, "any"))
        search->any = true;
    else if (call_argument_is(call, i, "asc"))
        search->order = NEAREST_FIRST;
    else if (call_argument_is(call, i, "desc"))
        search->order = FARTHEST_FIRST;
    else if (search->is_general && search->may_store && call_argument_is(call, i, "storedist"))
        search->store_distance = true;
    else
        return false;
    return true;
}

/* GEORADIUS's way to store: the last one said is the one that counts. */
static bool take_store(struct search *search, uint32_t i) {
    if (search->is_general || !search->may_store || i + 1 >= search->call->argc) return false;
    bool distance = call_argument_is(search->call, i, "storedist");
    if (!distance && !call_argument_is(search->call, i, "store")) return false;
    search->store_distance = distance;
    search->destination = i + 1;
    return true;
}

/* Words that the option takes behind its name; -1 after an error. */
static int take_option(struct search *search, uint32_t i) {
    struct call *call = search->call;
    uint32_t left = call->argc - i - 1;
    if (take_flag(search, i)) return 0;
    if (take_store(search, i)) return 1;
    if (left >= 1 && call_argument_is(call, i, "count")) return parse_count(search, i + 1) ? 1 : -1;
    if (search->is_general) {
        /* One of either, which may be said again: the last one counts. */
        bool has_place = search->has_middle && !search->from_member;
        bool has_box = search->has_shape && search->shape.is_box;
        bool has_circle = search->has_shape && !search->shape.is_box;
        if (left >= 1 && !has_place && call_argument_is(call, i, "frommember"))
            return parse_member(search, i + 1) ? 1 : -1;
        if (left >= 2 && !search->from_member && call_argument_is(call, i, "fromlonlat"))
            return parse_middle(search, i + 1) ? 2 : -1;
        if (left >= 2 && !has_box && call_argument_is(call, i, "byradius"))
            return parse_circle(search, i + 1) ? 2 : -1;
        if (left >= 3 && !has_circle && call_argument_is(call, i, "bybox"))
            return parse_box(search, i + 1) ? 3 : -1;
    }
    call_error_syntax(call);
    return -1;
}

/* What the options say together. */
static bool options_agree(struct search *search) {
    struct call *call = search->call;
    bool with_more = search->with_distance || search->with_hash || search->with_place;
    if (search->destination > 0 && with_more)
        call_error(call, "ERR %s is not compatible with WITHDIST, WITHHASH and WITHCOORD options",
                   search->is_general ? "GEOSEARCHSTORE" : "STORE option in GEORADIUS");
    else if (!search->has_middle)
        call_error(call, "ERR exactly one of FROMMEMBER or FROMLONLAT can be specified for %.*s",
                   (int)call->argv[0].size, call->argv[0].data);
    else if (!search->has_shape)
        call_error(call, "ERR exactly one of BYRADIUS and BYBOX can be specified for %.*s",
                   (int)call->argv[0].size, call->argv[0].data);
    else if (search->any && search->count == 0)
        call_error(call, "ERR the ANY argument requires COUNT argument");
    else
        return true;
    return false;
}

static bool parse_options(struct search *search, uint32_t first) {
    for (uint32_t i = first; i < search->call->argc; i++) {
        int words = take_option(search, i);
        if (words < 0) return false;
        i += (uint32_t)words;
    }
    if (!options_agree(search)) return false;
    /* As many as are wanted, and not whichever come first, are the nearest ones. */
    if (search->count > 0 && search->order == AS_FOUND && !search->any)
        search->order = NEAREST_FIRST;
    return true;
}

/* ---- gather ---- */

static void keep(struct search *search, const struct sorted_set_element *element,
                 const struct geo_place *place, double distance) {
    char text[ITEM_TEXT_MAX];
    struct bytes member = item_bytes(&element->member, text);
    if (search->found_count == search->capacity) {
        search->capacity = search->capacity ? 2 * search->capacity : 32;
        search->found = memory_resize(search->found, search->capacity * sizeof *search->found);
    }
    search->found[search->found_count] = (struct found){
        search->texts.size, member.size, search->found_count, element->score, distance, *place};
    search->found_count++;
    buffer_append(&search->texts, member.data, member.size);
}

/* False: enough. */
static bool gather_range(struct search *search, const struct geo_range *range) {
    /* Beyond 2^53, where the codes of the eastern edge are, both may round to one number. */
    double min = (double)range->min, end = (double)range->end;
    struct sorted_set_scores scores = {min, end, false, end > min};
    struct sorted_set_span span = sorted_set_span_of_scores(search->set, &scores);
    struct sorted_set_element element;
    struct sorted_set_walk walk;
    if (span.count == 0) return true;
    sorted_set_walk_begin(&walk, search->set, &span, false);
    while (sorted_set_walk_next(&walk, &element)) {
        double distance;
        struct geo_place place = geo_decode(element.score);
        if (!geo_shape_contains(&search->shape, &place, &distance)) continue;
        keep(search, &element, &place, distance);
        if (search->any && search->found_count >= search->count) return false;
    }
    return true;
}

static void gather(struct search *search) {
    struct geo_range ranges[GEO_RANGES_MAX];
    if (!search->set) return;
    geo_shape_begin(&search->shape);
    size_t count = geo_shape_ranges(&search->shape, ranges);
    for (size_t i = 0; i < count; i++)
        if (!gather_range(search, &ranges[i])) return;
}

/* ---- order ---- */

static int compare_nearest(const void *left, const void *right) {
    const struct found *a = left, *b = right;
    if (a->distance != b->distance) return a->distance < b->distance ? -1 : 1;
    return a->index < b->index ? -1 : a->index > b->index;
}

static int compare_farthest(const void *left, const void *right) {
    const struct found *a = left, *b = right;
    if (a->distance != b->distance) return a->distance > b->distance ? -1 : 1;
    return a->index < b->index ? -1 : a->index > b->index;
}

static void order(struct search *search) {
    if (search->order != AS_FOUND && search->found_count > 1)
        qsort(search->found, search->found_count, sizeof *search->found,
              search->order == NEAREST_FIRST ? compare_nearest : compare_farthest);
    if (search->count > 0 && search->found_count > search->count)
        search->found_count = search->count;
}

/* ---- answer ---- */

static struct bytes text_of(const struct search *search, const struct found *found) {
    return bytes_make(search->texts.data + found->text, found->text_size);
}

static void reply_found(const struct search *search, const struct found *found) {
    struct reply *reply = search->call->reply;
    unsigned more = search->with_distance + search->with_hash + search->with_place;
    if (more > 0) reply_array(reply, more + 1);
    reply_bulk(reply, text_of(search, found));
    if (search->with_distance) geo_reply_distance(reply, found->distance / search->unit);
    if (search->with_hash) reply_integer(reply, (int64_t)found->score);
    if (search->with_place) geo_reply_place(reply, &found->place);
}

static void store(struct search *search) {
    struct call *call = search->call;
    struct sorted_set_limits limits = zset_limits(call);
    union object_room result;
    object_init(&result.object, VALUE_SORTED_SET, &call->server->keyspace.world);
    for (size_t i = 0; i < search->found_count; i++) {
        const struct found *found = &search->found[i];
        struct item member = item_make(text_of(search, found));
        double score = search->store_distance ? found->distance / search->unit : found->score;
        sorted_set_add((struct sorted_set *)&result, &member, &score, 0, &limits);
    }
    zset_store(call, search->destination, (struct sorted_set *)&result,
               search->is_general ? "geosearchstore" : "georadiusstore");
}

static void answer(struct search *search) {
    gather(search);
    order(search);
    if (search->destination > 0) {
        store(search);
    } else {
        reply_array(search->call->reply, search->found_count);
        for (size_t i = 0; i < search->found_count; i++)
            reply_found(search, &search->found[i]);
    }
    memory_free(search->found);
    buffer_release(&search->texts);
}

/* ---- the commands ---- */

static void search_general(struct call *call, uint32_t key, uint32_t destination) {
    struct search search = {.call = call,
                            .is_general = true,
                            .may_store = destination > 0,
                            .destination = destination,
                            .unit = 1};
    union object_room room;
    if (!zset_read(call, key, &room, &search.set)) return;
    if (parse_options(&search, key + 1)) answer(&search);
}

void command_geosearch(struct call *call) {
    search_general(call, 1, 0);
}

void command_geosearchstore(struct call *call) {
    search_general(call, 2, 1);
}

static void search_around_place(struct call *call, bool may_store) {
    struct search search = {.call = call, .may_store = may_store};
    union object_room room;
    if (!zset_read(call, 1, &room, &search.set)) return;
    if (parse_middle(&search, 2) && parse_circle(&search, 4) && parse_options(&search, 6))
        answer(&search);
}

void command_georadius(struct call *call) {
    search_around_place(call, true);
}

void command_georadius_ro(struct call *call) {
    search_around_place(call, false);
}

/* Without a set the circle is not even read, as in Redis. */
static void search_around_member(struct call *call, bool may_store) {
    struct search search = {.call = call, .may_store = may_store, .unit = 1};
    union object_room room;
    if (!zset_read(call, 1, &room, &search.set)) return;
    search.has_middle = search.has_shape = true;
    if (search.set && !(parse_member(&search, 2) && parse_circle(&search, 3))) return;
    if (parse_options(&search, 5)) answer(&search);
}

void command_georadiusbymember(struct call *call) {
    search_around_member(call, true);
}

void command_georadiusbymember_ro(struct call *call) {
    search_around_member(call, false);
}
