/* set.c: commands on one set, and SMOVE. */
#include "command/set.h"

#include "base/memory.h"
#include "base/number.h"
#include "command/command_handlers.h"
#include "command/scan.h"
#include "engine/config.h"
#include "engine/server.h"

struct set_limits set_limits_of(const struct call *call) {
    const struct config *config = call->server->config;
    return (struct set_limits){
        .integers = (uint64_t)config->set_max_intset_entries,
        .members = (uint64_t)config->set_max_listpack_entries,
        .size = (uint64_t)config->set_max_listpack_value,
    };
}

bool set_read(struct call *call, uint32_t index, union object_room *room, const struct set **set) {
    const struct object *object;
    bool good = call_read_object(call, index, VALUE_SET, room, &object);
    *set = (const struct set *)object;
    return good;
}

static bool look(struct call *call, uint32_t index, union object_room *room,
                 const struct set **set) {
    const struct object *object;
    bool good = call_look_object(call, index, VALUE_SET, room, &object);
    *set = (const struct set *)object;
    return good;
}

void set_changed(struct call *call, const struct edit *edit, const char *event) {
    call_changed(call, edit->db, edit->key.name, NOTIFY_SET, event);
    if (!edit->spot.entry) call_notify(call, edit->db, edit->key.name, NOTIFY_GENERIC, "del");
}

void reply_members(struct call *call, const struct set *set) {
    struct set_cursor cursor;
    struct item member;
    reply_set(call->reply, set ? set_count(set) : 0);
    if (!set) return;
    set_begin(set, &cursor);
    while (set_take(&cursor, &member))
        reply_item(call->reply, &member);
    set_end(&cursor);
}

/* ---- adding and removing ---- */

void command_sadd(struct call *call) {
    struct edit edit;
    if (!call_edit(call, 1, VALUE_SET, &edit)) return;
    struct set_limits limits = set_limits_of(call);
    int64_t added = 0;
    for (uint32_t i = 2; i < call->argc; i++) {
        struct item member = item_make(call->argv[i]);
        added += set_add((struct set *)edit.object, &limits, &member);
    }
    edit_end(&edit);
    if (added > 0) {
        set_changed(call, &edit, "sadd");
        call->changes += (uint64_t)added - 1;
    }
    reply_integer(call->reply, added);
}

void command_srem(struct call *call) {
    struct edit edit;
    if (!call_edit(call, 1, VALUE_SET, &edit)) return;
    int64_t removed = 0;
    for (uint32_t i = 2; i < call->argc; i++) {
        struct item member = item_make(call->argv[i]);
        removed += set_remove((struct set *)edit.object, &member);
    }
    edit_end(&edit);
    if (removed > 0) {
        set_changed(call, &edit, "srem");
        call->changes += (uint64_t)removed - 1;
    }
    reply_integer(call->reply, removed);
}

/* From one set to another one, which both have the right type. */
static bool move_member(struct call *call, const struct item *member) {
    struct edit edit;
    struct set_limits limits = set_limits_of(call);
    if (!call_edit(call, 1, VALUE_SET, &edit)) return false;
    bool removed = set_remove((struct set *)edit.object, member);
    edit_end(&edit);
    if (!removed) return false;
    set_changed(call, &edit, "srem");
    if (!call_edit(call, 2, VALUE_SET, &edit)) return false;
    bool added = set_add((struct set *)edit.object, &limits, member);
    edit_end(&edit);
    if (added) set_changed(call, &edit, "sadd");
    return true;
}

void command_smove(struct call *call) {
    union object_room room;
    const struct set *source, *destination;
    struct item member = item_make(call->argv[3]);
    if (!look(call, 1, &room, &source)) return;
    if (!source) {
        reply_integer(call->reply, 0);
        return;
    }
    bool is_member = set_contains(source, &member);
    if (!look(call, 2, &room, &destination)) return;
    if (is_member && !bytes_equal(call->argv[1], call->argv[2]))
        is_member = move_member(call, &member);
    reply_integer(call->reply, is_member);
}

/* ---- reading ---- */

void command_scard(struct call *call) {
    union object_room room;
    const struct set *set;
    if (!set_read(call, 1, &room, &set)) return;
    reply_integer(call->reply, set ? (int64_t)set_count(set) : 0);
}

void command_sismember(struct call *call) {
    union object_room room;
    const struct set *set;
    struct item member = item_make(call->argv[2]);
    if (!set_read(call, 1, &room, &set)) return;
    reply_integer(call->reply, set && set_contains(set, &member));
}

void command_smismember(struct call *call) {
    union object_room room;
    const struct set *set;
    if (!set_read(call, 1, &room, &set)) return;
    reply_array(call->reply, call->argc - 2);
    for (uint32_t i = 2; i < call->argc; i++) {
        struct item member = item_make(call->argv[i]);
        reply_integer(call->reply, set && set_contains(set, &member));
    }
}

void command_smembers(struct call *call) {
    union object_room room;
    const struct set *set;
    if (set_read(call, 1, &room, &set)) reply_members(call, set);
}

/* ---- SSCAN ---- */

struct walk {
    struct scan_options options;
    struct item *found;
    size_t count, capacity;
};

static void walk_member(void *context, const struct item *member) {
    enum { FIRST = 64 };
    struct walk *walk = context;
    if (!scan_matches_item(&walk->options, member)) return;
    if (walk->count == walk->capacity) {
        walk->capacity = walk->capacity ? walk->capacity * 2 : FIRST;
        walk->found = memory_resize(walk->found, walk->capacity * sizeof *walk->found);
    }
    walk->found[walk->count++] = *member;
}

void command_sscan(struct call *call) {
    struct walk walk = {0};
    union object_room room;
    const struct set *set;
    uint64_t cursor;
    if (!scan_parse_cursor(call, 2, &cursor) || !set_read(call, 1, &room, &set)) return;
    if (set) {
        if (!scan_parse_options(call, 3, &walk.options)) return;
        int64_t rounds = scan_rounds(&walk.options);
        bool more = cursor < SCAN_CURSOR_END;
        while (more) {
            cursor = set_scan(set, cursor, walk_member, &walk);
            more = cursor != 0 && --rounds > 0 && walk.count < (uint64_t)walk.options.count;
        }
        if (cursor >= SCAN_CURSOR_END) cursor = 0;
    }
    scan_reply_head(call, set ? cursor : 0);
    reply_array(call->reply, walk.count);
    for (size_t i = 0; i < walk.count; i++)
        reply_item(call->reply, &walk.found[i]);
    memory_free(walk.found);
}
