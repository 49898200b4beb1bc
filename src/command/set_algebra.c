/* set_algebra.c: intersections, unions and differences of sets. */
#include "command/command_handlers.h"
#include "command/set.h"

#include "base/memory.h"
#include "engine/server.h"

enum operation { INTERSECTION, UNION, DIFFERENCE };

struct sources {
    union object_room *rooms;
    const struct set **sets; /* NULL: absent */
    uint32_t count;
};

static void release_sources(struct sources *sources) {
    memory_free(sources->rooms);
    memory_free(sources->sets);
}

/* All keys are looked at, for their types, before anything is done. */
static bool read_sources(struct call *call, uint32_t first, uint32_t count,
                         struct sources *sources) {
    sources->rooms = memory_alloc(count * sizeof *sources->rooms);
    sources->sets = memory_alloc(count * sizeof *sources->sets);
    sources->count = count;
    for (uint32_t i = 0; i < count; i++) {
        if (set_read(call, first + i, &sources->rooms[i], &sources->sets[i])) continue;
        release_sources(sources);
        return false;
    }
    return true;
}

typedef bool found_member(void *context, const struct item *member); /* false: enough */

static void intersect(const struct sources *sources, found_member *found, void *context) {
    uint32_t smallest = 0;
    for (uint32_t i = 0; i < sources->count; i++) {
        if (!sources->sets[i]) return;
        if (set_count(sources->sets[i]) < set_count(sources->sets[smallest])) smallest = i;
    }
    struct set_cursor cursor;
    struct item member;
    bool more = true;
    set_begin(sources->sets[smallest], &cursor);
    while (more && set_take(&cursor, &member)) {
        uint32_t i = 0;
        while (i < sources->count && (i == smallest || set_contains(sources->sets[i], &member)))
            i++;
        if (i == sources->count) more = found(context, &member);
    }
    set_end(&cursor);
}

static void unite(const struct sources *sources, found_member *found, void *context) {
    for (uint32_t i = 0; i < sources->count; i++) {
        struct set_cursor cursor;
        struct item member;
        if (!sources->sets[i]) continue;
        set_begin(sources->sets[i], &cursor);
        while (set_take(&cursor, &member))
            found(context, &member);
        set_end(&cursor);
    }
}

static void subtract(const struct sources *sources, found_member *found, void *context) {
    struct set_cursor cursor;
    struct item member;
    if (!sources->sets[0]) return;
    set_begin(sources->sets[0], &cursor);
    while (set_take(&cursor, &member)) {
        uint32_t i = 1;
        while (i < sources->count && !(sources->sets[i] && set_contains(sources->sets[i], &member)))
            i++;
        if (i == sources->count) found(context, &member);
    }
    set_end(&cursor);
}

static void combine(enum operation operation, const struct sources *sources, found_member *found,
                    void *context) {
    switch (operation) {
    case INTERSECTION: intersect(sources, found, context); break;
    case UNION: unite(sources, found, context); break;
    case DIFFERENCE: subtract(sources, found, context); break;
    }
}

/* ---- the result as a set of its own ---- */

struct result {
    union object_room room;
    struct set_limits limits;
};

static bool keep(void *context, const struct item *member) {
    struct result *result = context;
    set_add((struct set *)&result->room.object, &result->limits, member);
    return true;
}

static bool make_result(struct call *call, enum operation operation, uint32_t first,
                        struct result *result) {
    struct sources sources;
    if (!read_sources(call, first, call->argc - first, &sources)) return false;
    object_init(&result->room.object, VALUE_SET, &call->server->keyspace.world);
    result->limits = set_limits_of(call);
    combine(operation, &sources, keep, result);
    release_sources(&sources);
    return true;
}

static void reply_result(struct call *call, enum operation operation) {
    struct result result;
    if (!make_result(call, operation, 1, &result)) return;
    reply_members(call, (const struct set *)&result.room.object);
    object_release(&result.room.object);
}

static void store_result(struct call *call, enum operation operation, const char *event) {
    struct result result;
    if (!make_result(call, operation, 2, &result)) return;
    uint64_t count = object_count(&result.room.object);
    struct key key = call_key(call, 1);
    struct spot spot = call_locate_key(call, call->database, &key);
    bool was_there = spot.entry != NULL;
    database_put_object(call->database, &key, &spot, &result.room.object, ENTRY_NO_EXPIRY);
    if (count > 0)
        call_changed(call, call->database, key.name, NOTIFY_SET, event);
    else if (was_there)
        call_changed(call, call->database, key.name, NOTIFY_GENERIC, "del");
    reply_integer(call->reply, (int64_t)count);
}

void command_sinter(struct call *call) {
    reply_result(call, INTERSECTION);
}

void command_sunion(struct call *call) {
    reply_result(call, UNION);
}

void command_sdiff(struct call *call) {
    reply_result(call, DIFFERENCE);
}

void command_sinterstore(struct call *call) {
    store_result(call, INTERSECTION, "sinterstore");
}

void command_sunionstore(struct call *call) {
    store_result(call, UNION, "sunionstore");
}

void command_sdiffstore(struct call *call) {
    store_result(call, DIFFERENCE, "sdiffstore");
}

/* ---- SINTERCARD ---- */

struct counting {
    uint64_t count, limit; /* 0: none */
};

static bool count_member(void *context, const struct item *member) {
    struct counting *counting = context;
    (void)member;
    counting->count++;
    return counting->limit == 0 || counting->count < counting->limit;
}

static bool parse_limit(struct call *call, uint32_t from, uint64_t *limit) {
    int64_t number = 0;
    for (uint32_t i = from; i < call->argc; i += 2) {
        if (i + 1 >= call->argc || !call_argument_is(call, i, "limit")) {
            call_error_syntax(call);
            return false;
        }
        if (!call_parse_range(call, i + 1, 0, INT64_MAX, &number, "ERR LIMIT can't be negative"))
            return false;
    }
    *limit = (uint64_t)number;
    return true;
}

void command_sintercard(struct call *call) {
    int64_t keys;
    struct counting counting = {0};
    struct sources sources;
    if (!call_parse_range(call, 1, 1, INT64_MAX, &keys, "ERR numkeys should be greater than 0"))
        return;
    if (keys > (int64_t)call->argc - 2) {
        call_error(call, "ERR Number of keys can't be greater than number of args");
        return;
    }
    if (!parse_limit(call, 2 + (uint32_t)keys, &counting.limit)) return;
    if (!read_sources(call, 2, (uint32_t)keys, &sources)) return;
    combine(INTERSECTION, &sources, count_member, &counting);
    release_sources(&sources);
    reply_integer(call->reply, (int64_t)counting.count);
}
