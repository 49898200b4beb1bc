/* sorted_set_common.c: what the commands on sorted sets have in common. */
#include "command/sorted_set.h"

#include "engine/config.h"
#include "engine/server.h"

struct sorted_set_limits zset_limits(const struct call *call) {
    const struct config *config = call->server->config;
    return (struct sorted_set_limits){(uint64_t)config->zset_max_listpack_entries,
                                      (uint64_t)config->zset_max_listpack_value};
}

bool zset_read(struct call *call, uint32_t index, union object_room *room,
               const struct sorted_set **set) {
    const struct object *object;
    if (!call_read_object(call, index, VALUE_SORTED_SET, room, &object)) return false;
    *set = (const struct sorted_set *)object;
    return true;
}

void zset_end_changed(struct call *call, struct edit *edit, const char *event) {
    struct bytes name = edit->key.name;
    edit_end(edit);
    call_changed(call, call->database, name, NOTIFY_SORTED_SET, event);
    if (!edit->spot.entry) call_notify(call, call->database, name, NOTIFY_GENERIC, "del");
}

void zset_store(struct call *call, uint32_t index, struct sorted_set *result, const char *event) {
    struct key key = call_key(call, index);
    struct spot spot = call_locate_key(call, call->database, &key);
    bool was_there = spot.entry != NULL;
    uint64_t count = sorted_set_count(result);
    database_put_object(call->database, &key, &spot, &result->object, ENTRY_NO_EXPIRY);
    if (count > 0)
        call_changed(call, call->database, key.name, NOTIFY_SORTED_SET, event);
    else if (was_there)
        call_changed(call, call->database, key.name, NOTIFY_GENERIC, "del");
    reply_integer(call->reply, (int64_t)count);
}

bool zset_parse_score(struct call *call, uint32_t index, double *score) {
    int64_t integer;
    if (number_parse_i64(call->argv[index], &integer)) {
        *score = (double)integer;
        return true;
    }
    if (number_parse_double(call->argv[index], score)) return true;
    call_error(call, "ERR value is not a valid float");
    return false;
}

/* ---- replies ---- */

void zset_reply_head(struct call *call, uint64_t count, bool with_scores) {
    reply_array(call->reply, with_scores && call->reply->protocol == 2 ? 2 * count : count);
}

void zset_reply_element(struct call *call, const struct sorted_set_element *element,
                        bool with_scores) {
    if (with_scores && call->reply->protocol > 2) reply_array(call->reply, 2);
    reply_item(call->reply, &element->member);
    if (with_scores) reply_double(call->reply, element->score);
}

void zset_reply_span(struct call *call, const struct sorted_set *set,
                     const struct sorted_set_span *span, bool backwards, bool with_scores) {
    struct sorted_set_element element;
    struct sorted_set_walk walk;
    zset_reply_head(call, span->count, with_scores);
    sorted_set_walk_begin(&walk, set, span, backwards);
    while (sorted_set_walk_next(&walk, &element))
        zset_reply_element(call, &element, with_scores);
}

uint64_t zset_random_below(struct call *call, uint64_t limit) {
    return (uint64_t)(((unsigned __int128)call_random(call) * limit) >> 64);
}

/* ---- adding ---- */

bool zset_add_begin(struct call *call, struct zset_adding *adding, unsigned conditions) {
    adding->limits = zset_limits(call);
    adding->conditions = conditions;
    adding->added = adding->updated = 0;
    return call_edit(call, 1, VALUE_SORTED_SET, &adding->edit);
}

void zset_add(struct zset_adding *adding, struct bytes member, double score) {
    struct item item = item_make(member);
    enum sorted_set_outcome outcome =
        sorted_set_add(zset_of(&adding->edit), &item, &score, adding->conditions, &adding->limits);
    adding->added += outcome == SORTED_SET_ADDED;
    adding->updated += outcome == SORTED_SET_UPDATED;
}

void zset_add_end(struct call *call, struct zset_adding *adding, bool count_changed) {
    int64_t changed = adding->added + adding->updated;
    if (changed > 0)
        zset_end_changed(call, &adding->edit, "zadd");
    else
        edit_end(&adding->edit);
    reply_integer(call->reply, count_changed ? changed : adding->added);
}
