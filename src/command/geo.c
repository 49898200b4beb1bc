/* geo.c: places as members of sorted sets: adding them, where they are, how far apart. What is near
 * a place is in geo_search.c.
 *
 * GEOADD goes to the journal as it came: a code is made by additions, multiplications and divisions
 * alone, which give the same on every machine. */
#include "command/geo.h"

#include "command/command_handlers.h"
#include <stdio.h>

/* ---- in common ---- */

bool geo_parse_place(struct call *call, uint32_t index, struct geo_place *place) {
    if (!zset_parse_score(call, index, &place->longitude) ||
        !zset_parse_score(call, index + 1, &place->latitude))
        return false;
    if (geo_place_is_valid(place)) return true;
    call_error(call, "ERR invalid longitude,latitude pair %f,%f", place->longitude,
               place->latitude);
    return false;
}

bool geo_parse_unit(struct call *call, uint32_t index, double *metres) {
    static const struct {
        const char *name;
        double metres;
    } units[] = {{"m", 1}, {"km", 1000}, {"ft", 0.3048}, {"mi", 1609.34}};
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
        if (!call_argument_is(call, index, units[i].name)) continue;
        *metres = units[i].metres;
        return true;
    }
    call_error(call, "ERR unsupported unit provided. please use M, KM, FT, MI");
    return false;
}

bool geo_find(const struct sorted_set *set, struct bytes name, struct geo_place *place) {
    struct item member = item_make(name);
    double score;
    if (!sorted_set_score(set, &member, &score)) return false;
    *place = geo_decode(score);
    return true;
}

void geo_reply_distance(struct reply *reply, double distance) {
    char text[64]; /* the longest is an infinite one's 3, or half of a globe's 13 */
    int size = snprintf(text, sizeof text, "%.4f", distance);
    reply_bulk(reply, bytes_make(text, (size_t)size));
}

/* RESP3's double, but with all digits. */
static void reply_degrees(struct reply *reply, double degrees) {
    char text[64];
    if (reply->protocol == 2) {
        reply_long_double(reply, degrees);
        return;
    }
    size_t size = number_format_long_double(text, sizeof text, degrees);
    reply_raw(reply, bytes_make(",", 1));
    reply_raw(reply, bytes_make(text, size));
    reply_raw(reply, bytes_make("\r\n", 2));
}

void geo_reply_place(struct reply *reply, const struct geo_place *place) {
    reply_array(reply, 2);
    reply_degrees(reply, place->longitude);
    reply_degrees(reply, place->latitude);
}

/* ---- GEOADD ---- */

struct add {
    unsigned conditions;
    bool count_changed;
    uint32_t first; /* argument of the first longitude */
};

static bool parse_add(struct call *call, struct add *add) {
    for (add->first = 2; add->first < call->argc; add->first++) {
        if (call_argument_is(call, add->first, "nx"))
            add->conditions |= SORTED_SET_IF_ABSENT;
        else if (call_argument_is(call, add->first, "xx"))
            add->conditions |= SORTED_SET_IF_PRESENT;
        else if (call_argument_is(call, add->first, "ch"))
            add->count_changed = true;
        else
            break;
    }
    uint32_t left = call->argc - add->first;
    bool both = add->conditions == (SORTED_SET_IF_ABSENT | SORTED_SET_IF_PRESENT);
    if (!both && left > 0 && left % 3 == 0) return true;
    call_error_syntax(call);
    return false;
}

void command_geoadd(struct call *call) {
    struct add add = {0};
    struct zset_adding adding;
    struct geo_place place;
    if (!parse_add(call, &add)) return;
    for (uint32_t i = add.first; i < call->argc; i += 3)
        if (!geo_parse_place(call, i, &place)) return;
    if (!zset_add_begin(call, &adding, add.conditions)) return;
    for (uint32_t i = add.first; i < call->argc; i += 3) {
        geo_parse_place(call, i, &place);
        zset_add(&adding, call->argv[i + 2], (double)geo_encode(&place));
    }
    zset_add_end(call, &adding, add.count_changed);
}

/* ---- members ---- */

void command_geopos(struct call *call) {
    const struct sorted_set *set;
    union object_room room;
    if (!zset_read(call, 1, &room, &set)) return;
    reply_array(call->reply, call->argc - 2);
    for (uint32_t i = 2; i < call->argc; i++) {
        struct geo_place place;
        if (set && geo_find(set, call->argv[i], &place))
            geo_reply_place(call->reply, &place);
        else
            reply_null_array(call->reply);
    }
}

void command_geohash(struct call *call) {
    const struct sorted_set *set;
    union object_room room;
    if (!zset_read(call, 1, &room, &set)) return;
    reply_array(call->reply, call->argc - 2);
    for (uint32_t i = 2; i < call->argc; i++) {
        struct geo_place place;
        char text[GEO_HASH_TEXT_SIZE];
        if (set && geo_find(set, call->argv[i], &place)) {
            geo_hash_text(&place, text);
            reply_bulk(call->reply, bytes_make(text, sizeof text));
        } else {
            reply_null(call->reply);
        }
    }
}

void command_geodist(struct call *call) {
    const struct sorted_set *set;
    union object_room room;
    struct geo_place a, b;
    double unit = 1;
    if (call->argc > 5) {
        call_error_syntax(call);
        return;
    }
    if (call->argc == 5 && !geo_parse_unit(call, 4, &unit)) return;
    if (!zset_read(call, 1, &room, &set)) return;
    if (set && geo_find(set, call->argv[2], &a) && geo_find(set, call->argv[3], &b))
        geo_reply_distance(call->reply, geo_distance(&a, &b) / unit);
    else
        reply_null(call->reply);
}
