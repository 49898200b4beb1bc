/* stream_roster.h: what is known by name: the groups of a stream, the consumers of a group.
 *
 *     roster   | born | members by number, free ones NULL | numbers in the order of names, free  |
 *                        |                                   ones behind
 *                        v
 *     member   | born | number | size | ... its owner's fields ... | name |
 *
 * A member keeps its number, by which others remember it, as long as it lives. Both kinds of nodes
 * carry their birth: what a view can see is copied before it is changed, and retired. An empty
 * roster is NULL. */
#ifndef REDSTART_VALUE_STREAM_ROSTER_H
#define REDSTART_VALUE_STREAM_ROSTER_H

#include "base/bytes.h"
#include "struct/epoch.h"

/* What a member's struct begins with. */
struct stream_member {
    uint32_t born;
    uint32_t number;
    size_t size; /* of all of it, with the name at its end */
    size_t name_size;
};

struct stream_roster;

static inline struct bytes stream_member_name(const struct stream_member *member) {
    return bytes_make((const char *)member + member->size - member->name_size, member->name_size);
}

uint32_t stream_roster_count(const struct stream_roster *roster);
size_t stream_roster_bytes(const struct stream_roster *roster); /* without the members */
/* In the order of names; index is below the count. */
const struct stream_member *stream_roster_at(const struct stream_roster *roster, uint32_t index);
/* NULL when there is none. */
const struct stream_member *stream_roster_find(const struct stream_roster *roster,
                                               struct bytes name);
const struct stream_member *stream_roster_member(const struct stream_roster *roster,
                                                 uint32_t number);

/* A new member, whose name is not there yet: `size` bytes of fields, zeroed but for the head. */
struct stream_member *stream_roster_add(struct stream_roster **roster, struct epochs *epochs,
                                        struct bytes name, size_t size);
/* The member, for changing it: a copy of it when a view can see it. */
struct stream_member *stream_roster_open(struct stream_roster **roster, struct epochs *epochs,
                                         uint32_t number);
/* Takes the member out; the caller retires it. */
struct stream_member *stream_roster_remove(struct stream_roster **roster, struct epochs *epochs,
                                           uint32_t number);

/* Frees the roster and its members, after `release` was told of each. Nothing is in view. */
void stream_roster_release(struct stream_roster *roster,
                           void (*release)(struct stream_member *member));
/* A copy with copies of the members, born now; `copy` makes each independent of what it is a copy
 * of. */
struct stream_roster *
stream_roster_copy(const struct stream_roster *roster, const struct epochs *epochs,
                   void (*copy)(struct stream_member *member, const struct epochs *epochs));

#endif
