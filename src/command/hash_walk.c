/* hash_walk.c: HSCAN, and fields picked at random. */
#include "command/command_handlers.h"
#include "command/hash_call.h"
#include "command/scan.h"

#include "base/memory.h"
#include "engine/server.h"

/* ---- HSCAN ---- */

struct walk {
    struct scan_options options;
    bool no_values;
    int64_t now_ms;
    struct record *found; /* all of it stays where it is until the reply is written */
    size_t count, capacity;
};

static void walk_record(void *context, const struct record *record) {
    enum { FOUND_FIRST = 64 };
    struct walk *walk = context;
    if (record->expiry <= walk->now_ms || !scan_matches_item(&walk->options, &record->key)) return;
    if (walk->count == walk->capacity) {
        walk->capacity = walk->capacity ? walk->capacity * 2 : FOUND_FIRST;
        walk->found = memory_resize(walk->found, walk->capacity * sizeof *walk->found);
    }
    walk->found[walk->count++] = *record;
}

static bool parse_options(struct call *call, struct walk *walk) {
    walk->options = scan_options_default();
    for (uint32_t i = 3; i < call->argc; i++) {
        bool taken;
        if (!scan_take_option(call, i, &walk->options, &taken)) return false;
        if (taken) {
            i++;
        } else if (call_argument_is(call, i, "novalues")) {
            walk->no_values = true;
        } else {
            call_error_syntax(call);
            return false;
        }
    }
    return true;
}

static void walk_hash(const struct hash *hash, uint64_t *cursor, struct walk *walk) {
    int64_t rounds = scan_rounds(&walk->options);
    bool more = object_is_flat(&hash->object) || *cursor < SCAN_CURSOR_END;
    while (more) {
        *cursor = hash_scan(hash, *cursor, walk_record, walk);
        more = *cursor != 0 && --rounds > 0 && walk->count < (uint64_t)walk->options.count;
    }
    if (*cursor >= SCAN_CURSOR_END) *cursor = 0;
}

void command_hscan(struct call *call) {
    struct walk walk = {.now_ms = call->now_ms};
    union object_room room;
    const struct hash *hash;
    uint64_t cursor;
    if (!scan_parse_cursor(call, 2, &cursor) || !hash_read(call, 1, &room, &hash)) return;
    if (hash) { /* otherwise no option is looked at */
        if (!parse_options(call, &walk)) return;
        walk_hash(hash, &cursor, &walk);
    }
    scan_reply_head(call, hash ? cursor : 0);
    reply_array(call->reply, walk.no_values ? walk.count : walk.count * 2);
    for (size_t i = 0; i < walk.count; i++) {
        reply_item(call->reply, &walk.found[i].key);
        if (!walk.no_values) reply_item(call->reply, &walk.found[i].value);
    }
    memory_free(walk.found);
}

/* ---- HRANDFIELD ---- */

static uint64_t draw(void *context) {
    return call_random(context);
}

static void reply_record(struct call *call, const struct record *record, bool values) {
    if (values && call->reply->protocol > 2) reply_array(call->reply, 2);
    reply_item(call->reply, &record->key);
    if (values) reply_item(call->reply, &record->value);
}

static void reply_count(struct call *call, uint64_t count, bool values) {
    reply_array(call->reply, values && call->reply->protocol == 2 ? count * 2 : count);
}

/* So many, each drawn from all. */
static void reply_drawn(struct call *call, const struct hash *hash, uint64_t count, bool values) {
    struct record record;
    reply_count(call, count, values);
    for (uint64_t i = 0; i < count; i++)
        if (hash_random(hash, call->now_ms, draw, call, &record))
            reply_record(call, &record, values);
}

/* A walk that takes `wanted` of the `left` that it has still to see, each subset with the same
 * probability. */
struct sample {
    struct call *call;
    uint64_t wanted, left;
    bool values;
};

static void sample_record(void *context, const struct record *record) {
    struct sample *sample = context;
    if (record->expiry <= sample->call->now_ms) return;
    if (call_random(sample->call) % sample->left < sample->wanted) {
        reply_record(sample->call, record, sample->values);
        sample->wanted--;
    }
    sample->left--;
}

static void reply_sample(struct call *call, const struct hash *hash, uint64_t count, uint64_t alive,
                         bool values) {
    struct sample sample = {call, count, alive, values};
    uint64_t cursor = 0;
    reply_count(call, count, values);
    do
        cursor = hash_scan(hash, cursor, sample_record, &sample);
    while (cursor != 0);
}

/* Few of many: draw until so many different ones were seen. */
static void reply_different(struct call *call, const struct hash *hash, uint64_t count,
                            bool values) {
    const struct record_world *world = &call->server->keyspace.world;
    struct record_table seen;
    record_table_init(&seen);
    reply_count(call, count, values);
    while (seen.count < count) {
        struct record record, mark;
        if (!hash_random(hash, call->now_ms, draw, call, &record)) break;
        mark = (struct record){record.key, item_integer(0), RECORD_NO_EXPIRY};
        if (record_table_put(&seen, world, &mark)) reply_record(call, &record, values);
    }
    record_table_release(&seen);
}

static void reply_fields(struct call *call, const struct hash *hash, int64_t count, bool values) {
    enum { FEW = 3 }; /* a third of all */
    uint64_t alive = hash_count_alive(call, hash);
    uint64_t wanted = count < 0 ? -(uint64_t)count : (uint64_t)count;
    if (alive == 0 || wanted == 0) {
        reply_array(call->reply, 0);
    } else if (count < 0) {
        if (call_can_draw(call, wanted)) reply_drawn(call, hash, wanted, values);
    } else if (object_is_flat(&hash->object) || wanted > alive / FEW) {
        reply_sample(call, hash, wanted < alive ? wanted : alive, alive, values);
    } else {
        reply_different(call, hash, wanted, values);
    }
}

void command_hrandfield(struct call *call) {
    union object_room room;
    const struct hash *hash;
    struct record record;
    int64_t count = 1;
    bool values = call->argc == 4;
    if (call->argc > 2) {
        if (!call_parse_range(call, 2, -INT64_MAX, INT64_MAX, &count, NULL)) return;
        if (call->argc > 4 || (values && !call_argument_is(call, 3, "withvalues"))) {
            call_error_syntax(call);
            return;
        }
        if (values && (count < -(INT64_MAX / 2) || count > INT64_MAX / 2)) {
            call_error(call, "ERR value is out of range");
            return;
        }
    }
    if (!hash_read(call, 1, &room, &hash)) return;
    if (call->argc > 2)
        reply_fields(call, hash, count, values);
    else if (hash && hash_random(hash, call->now_ms, draw, call, &record))
        reply_item(call->reply, &record.key);
    else
        reply_null(call->reply);
}
