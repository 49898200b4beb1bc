/* set_random.c: SPOP and SRANDMEMBER. */
#include "command/command_handlers.h"
#include "command/set.h"

#include "base/memory.h"
#include "base/number.h"
#include "engine/server.h"

static uint64_t draw(void *context) {
    return call_random(context);
}

/* Draws of members of one set: those of the next calls are brought near, as they most likely are
 * for the same set. */
struct draws {
    struct call *call;
    const struct set *set;
};

static uint64_t draw_for_pop(void *context) {
    enum { DISTANCE = SERVER_RANDOM_AHEAD / SET_PREFETCH_STEPS };
    const struct draws *draws = context;
    for (unsigned i = 1; i <= SET_PREFETCH_STEPS; i++) {
        uint64_t word = server_random_ahead(draws->call->server, i * DISTANCE);
        set_prefetch_drawn(draws->set, word, SET_PREFETCH_STEPS - i);
    }
    return call_random(draws->call);
}

/* ---- SPOP ---- */

/* The members that were taken, one behind the other: what the reply and the journal need after they
 * have left the set. */
struct taken {
    struct buffer text;
    size_t *ends;
    size_t count;
};

static void take_members(struct call *call, struct set *set, uint64_t count, struct taken *taken) {
    char scratch[ITEM_TEXT_MAX];
    struct draws draws = {call, set};
    taken->ends = memory_alloc(count * sizeof *taken->ends);
    for (; taken->count < count; taken->count++) {
        struct item member = set_random(set, draw_for_pop, &draws);
        struct bytes bytes = item_bytes(&member, scratch);
        size_t start = taken->text.size;
        buffer_append(&taken->text, bytes.data, bytes.size);
        buffer_append_byte(&taken->text, 0); /* so that an empty one has an address */
        taken->ends[taken->count] = taken->text.size;
        member = item_make(bytes_make(taken->text.data + start, bytes.size));
        set_remove(set, &member);
    }
}

static struct bytes taken_member(const struct taken *taken, size_t index) {
    size_t start = index == 0 ? 0 : taken->ends[index - 1];
    return bytes_make(taken->text.data + start, taken->ends[index] - start - 1);
}

static void effect_taken(struct call *call, const struct taken *taken) {
    enum { FEW = 16 };
    struct bytes few[2 + FEW];
    struct bytes *words = few;
    if (taken->count > FEW) words = memory_alloc((taken->count + 2) * sizeof *words);
    words[0] = BYTES("SREM");
    words[1] = call->argv[1];
    for (size_t i = 0; i < taken->count; i++)
        words[2 + i] = taken_member(taken, i);
    call_effect(call, call->database, words, taken->count + 2);
    if (words != few) memory_free(words);
}

/* Fewer than there are. */
static void pop_members(struct call *call, struct edit *edit, uint64_t count, bool as_set) {
    struct taken taken = {0};
    take_members(call, (struct set *)edit->object, count, &taken);
    edit_end(edit);
    if (as_set) reply_set(call->reply, taken.count);
    for (size_t i = 0; i < taken.count; i++)
        reply_bulk(call->reply, taken_member(&taken, i));
    set_changed(call, edit, "spop");
    call->changes += taken.count - 1;
    effect_taken(call, &taken);
    buffer_release(&taken.text);
    memory_free(taken.ends);
}

/* All that there are: the key goes, and a worker frees what is large. */
static void pop_all(struct call *call, const struct set *set, struct spot *spot, bool as_set) {
    uint64_t count = set_count(set);
    struct bytes words[] = {BYTES("DEL"), call->argv[1]};
    if (as_set) {
        reply_members(call, set);
    } else {
        struct item member = set_random(set, draw, call);
        reply_item(call->reply, &member);
    }
    database_remove(call->database, spot);
    call_changed(call, call->database, call->argv[1], NOTIFY_SET, "spop");
    call_notify(call, call->database, call->argv[1], NOTIFY_GENERIC, "del");
    call->changes += count - 1;
    call_effect(call, call->database, words, 2);
}

static void pop(struct call *call, struct spot *spot, uint64_t count, bool as_set) {
    union object_room room;
    struct edit edit;
    struct key key = call_key(call, 1);
    const struct object *object =
        entry_read_object(spot->entry, &call->server->keyspace.world, &room);
    if (count >= object_count(object)) {
        pop_all(call, (const struct set *)object, spot, as_set);
        return;
    }
    edit_begin(&edit, call->database, &key, spot, VALUE_SET);
    pop_members(call, &edit, count, as_set);
}

void command_spop(struct call *call) {
    int64_t wanted = 1;
    bool as_set = call->argc > 2;
    struct spot spot;
    if (call->argc > 3) {
        call_error_syntax(call);
        return;
    }
    if (as_set && !call_parse_range(call, 2, 0, INT64_MAX, &wanted,
                                    "ERR value is out of range, must be positive"))
        return;
    if (!call_locate_type(call, 1, VALUE_SET, &spot)) return;
    if (spot.entry && wanted > 0)
        pop(call, &spot, (uint64_t)wanted, as_set);
    else if (as_set)
        reply_set(call->reply, 0);
    else
        reply_null(call->reply);
}

/* ---- SRANDMEMBER ---- */

/* So many different members out of all of them: each of those that are left with the same chance.
 */
static void reply_shuffled(struct call *call, const struct set *set, uint64_t count) {
    uint64_t all = set_count(set), kept = 0;
    struct item *members = memory_alloc(all * sizeof *members);
    struct set_cursor *cursors = memory_alloc(sizeof *cursors);
    uint64_t place = 0;
    /* A table's members stay where they are while nothing is changed. */
    set_begin(set, cursors);
    while (set_take(cursors, &members[kept]))
        kept++;
    set_end(cursors);
    memory_free(cursors);
    for (; place < count; place++) {
        uint64_t other = place + call_random(call) % (all - place);
        struct item member = members[other];
        members[other] = members[place];
        reply_item(call->reply, &member);
    }
    memory_free(members);
}

/* Few out of many: drawn again when one comes twice. */
static void reply_drawn(struct call *call, const struct set *set, uint64_t count) {
    static const struct set_limits none = {0};
    union object_room room;
    struct set *drawn = (struct set *)&room.object;
    object_init(&room.object, VALUE_SET, &call->server->keyspace.world);
    while (set_count(drawn) < count) {
        struct item member = set_random(set, draw, call);
        if (set_add(drawn, &none, &member)) reply_item(call->reply, &member);
    }
    object_release(&room.object);
}

static void reply_different(struct call *call, const struct set *set, uint64_t count) {
    enum { FEW = 3, SMALL = 1024 };
    uint64_t all = set_count(set);
    if (count > all) count = all;
    reply_array(call->reply, count);
    if (all <= SMALL || count > all / FEW)
        reply_shuffled(call, set, count);
    else
        reply_drawn(call, set, count);
}

static void reply_repeated(struct call *call, const struct set *set, uint64_t count) {
    reply_array(call->reply, count);
    for (; count > 0; count--) {
        struct item member = set_random(set, draw, call);
        reply_item(call->reply, &member);
    }
}

void command_srandmember(struct call *call) {
    int64_t count = 0;
    union object_room room;
    const struct set *set;
    if (call->argc > 3) {
        call_error_syntax(call);
        return;
    }
    bool many = call->argc == 3;
    if (many && !call_parse_range(call, 2, -INT64_MAX, INT64_MAX, &count, NULL)) return;
    if (!set_read(call, 1, &room, &set)) return;
    if (many && (!set || count == 0)) {
        reply_array(call->reply, 0);
    } else if (!set) {
        reply_null(call->reply);
    } else if (!many) {
        struct item member = set_random(set, draw, call);
        reply_item(call->reply, &member);
    } else if (count > 0) {
        reply_different(call, set, (uint64_t)count);
    } else if (call_can_draw(call, (uint64_t)-count)) {
        reply_repeated(call, set, (uint64_t)-count);
    }
}
