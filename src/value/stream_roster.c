/* stream_roster.c: members by name and by number. Never changes what a view can see. */
#include "value/stream_roster.h"

#include "base/memory.h"

struct stream_roster {
    uint32_t born;
    uint32_t count, capacity;
    struct stream_member *members[]; /* behind them capacity numbers */
};

static size_t roster_size(uint32_t capacity) {
    return sizeof(struct stream_roster) +
           capacity * (sizeof(struct stream_member *) + sizeof(uint32_t));
}

static uint32_t *order_of(const struct stream_roster *roster) {
    return (uint32_t *)(uintptr_t)(roster->members + roster->capacity);
}

uint32_t stream_roster_count(const struct stream_roster *roster) {
    return roster ? roster->count : 0;
}

size_t stream_roster_bytes(const struct stream_roster *roster) {
    return roster ? roster_size(roster->capacity) : 0;
}

const struct stream_member *stream_roster_at(const struct stream_roster *roster, uint32_t index) {
    INVARIANT(index < roster->count);
    return roster->members[order_of(roster)[index]];
}

/* Where the name is or would be, in the order; true: it is there. */
static bool search(const struct stream_roster *roster, struct bytes name, uint32_t *index) {
    uint32_t low = 0, high = roster->count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        int order = bytes_compare(stream_member_name(stream_roster_at(roster, middle)), name);
        if (order == 0) {
            *index = middle;
            return true;
        }
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    *index = low;
    return false;
}

const struct stream_member *stream_roster_find(const struct stream_roster *roster,
                                               struct bytes name) {
    uint32_t index;
    return roster && search(roster, name, &index) ? stream_roster_at(roster, index) : NULL;
}

const struct stream_member *stream_roster_member(const struct stream_roster *roster,
                                                 uint32_t number) {
    INVARIANT(roster && number < roster->capacity && roster->members[number]);
    return roster->members[number];
}

/* ---- changing ---- */

static void free_node(void *owner, uint64_t node) {
    (void)owner;
    memory_free((void *)(uintptr_t)node);
}

/* The same roster with room for `capacity`, born now. */
static struct stream_roster *remake(const struct stream_roster *old, uint32_t capacity,
                                    uint32_t now) {
    struct stream_roster *roster = memory_alloc_zeroed(1, roster_size(capacity));
    uint32_t had = old ? old->capacity : 0;
    roster->born = now;
    roster->count = old ? old->count : 0;
    roster->capacity = capacity;
    uint32_t *order = order_of(roster);
    if (had > 0) {
        memcpy(roster->members, old->members, had * sizeof old->members[0]);
        memcpy(order, order_of(old), had * sizeof order[0]);
    }
    for (uint32_t i = had; i < capacity; i++)
        order[i] = i;
    return roster;
}

static struct stream_roster *make_private(struct stream_roster **place, struct epochs *epochs,
                                          bool one_more) {
    enum { FIRST = 4 };
    struct stream_roster *old = *place;
    uint32_t capacity = old ? old->capacity : 0;
    bool grows = one_more && (!old || old->count == capacity);
    if (old && !grows && !epoch_shared(epochs, old->born)) return old;
    if (grows) capacity = capacity < FIRST ? FIRST : capacity * 2;
    *place = remake(old, capacity, epochs->now);
    if (old)
        epochs_retire(epochs, free_node, NULL, (uint64_t)(uintptr_t)old,
                      roster_size(old->capacity));
    return *place;
}

struct stream_member *stream_roster_add(struct stream_roster **place, struct epochs *epochs,
                                        struct bytes name, size_t size) {
    struct stream_roster *roster = make_private(place, epochs, true);
    struct stream_member *member = memory_alloc_zeroed(1, size + name.size);
    uint32_t *order = order_of(roster), index, number = order[roster->count];
    INVARIANT(!search(roster, name, &index) && !roster->members[number]);
    *member = (struct stream_member){epochs->now, number, size + name.size, name.size};
    if (name.size > 0) memcpy((char *)member + size, name.data, name.size);
    memmove(order + index + 1, order + index, (roster->count - index) * sizeof order[0]);
    order[index] = number;
    roster->members[number] = member;
    roster->count++;
    return member;
}

struct stream_member *stream_roster_open(struct stream_roster **place, struct epochs *epochs,
                                         uint32_t number) {
    struct stream_member *member = (*place)->members[number];
    INVARIANT(member);
    if (!epoch_shared(epochs, member->born)) return member;
    struct stream_roster *roster = make_private(place, epochs, false);
    struct stream_member *copy = memory_alloc(member->size);
    memcpy(copy, member, member->size);
    copy->born = epochs->now;
    roster->members[number] = copy;
    epochs_retire(epochs, free_node, NULL, (uint64_t)(uintptr_t)member, member->size);
    return copy;
}

struct stream_member *stream_roster_remove(struct stream_roster **place, struct epochs *epochs,
                                           uint32_t number) {
    struct stream_roster *roster = make_private(place, epochs, false);
    struct stream_member *member = roster->members[number];
    uint32_t *order = order_of(roster), index = 0;
    INVARIANT(search(roster, stream_member_name(member), &index));
    memmove(order + index, order + index + 1, (roster->count - index - 1) * sizeof order[0]);
    order[--roster->count] = number;
    roster->members[number] = NULL;
    return member;
}

void stream_roster_release(struct stream_roster *roster,
                           void (*release)(struct stream_member *member)) {
    if (!roster) return;
    for (uint32_t i = 0; i < roster->count; i++) {
        struct stream_member *member = roster->members[order_of(roster)[i]];
        release(member);
        memory_free(member);
    }
    memory_free(roster);
}

struct stream_roster *
stream_roster_copy(const struct stream_roster *from, const struct epochs *epochs,
                   void (*copy)(struct stream_member *member, const struct epochs *epochs)) {
    if (!from) return NULL;
    struct stream_roster *roster = remake(from, from->capacity, epochs->now);
    for (uint32_t i = 0; i < roster->count; i++) {
        struct stream_member **place = &roster->members[order_of(roster)[i]];
        const struct stream_member *old = *place;
        *place = memory_alloc(old->size);
        memcpy(*place, old, old->size);
        (*place)->born = epochs->now;
        copy(*place, epochs);
    }
    return roster;
}
