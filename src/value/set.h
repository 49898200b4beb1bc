/* set.h: members, each once, in no order.
 *
 *     FLAT_INTSET      integers, sorted (struct/intset.h)
 *     FLAT_LISTPACK    a few short members of any kind
 *     FLAT_NONE        a table of records without values (struct/record_table.h)
 *
 * A set of integers becomes a listpack with the first member that is none (a table, when the
 * listpack would be beyond its limits); a table is never turned back. */
#ifndef REDSTART_VALUE_SET_H
#define REDSTART_VALUE_SET_H

#include "value/object.h"

struct set {
    struct object object;
    struct record_table table;
};

extern const struct object_class set_class;

struct set_limits {
    uint64_t integers; /* members of an intset */
    uint64_t members;  /* of a listpack */
    uint64_t size;     /* bytes of a member of a listpack */
};

uint64_t set_count(const struct set *set);
bool set_contains(const struct set *set, const struct item *member);
/* False: it was there. The member is outside the set. */
bool set_add(struct set *set, const struct set_limits *limits, const struct item *member);
/* False: it was not there. The member is outside the set. */
bool set_remove(struct set *set, const struct item *member);
/* Each with the same probability; the set is not empty. Borrowed until the set is changed. */
struct item set_random(const struct set *set, uint64_t (*random)(void *), void *context);
/* Bring near what set_random will touch with this word, in steps from 0 on. */
enum { SET_PREFETCH_STEPS = 3 };
void set_prefetch_drawn(const struct set *set, uint64_t word, unsigned step);

/* Visit the members of some part of the set, return the next cursor, 0 at the end. Begin with 0. A
 * flat set is visited whole. */
typedef void set_visit(void *context, const struct item *member);
uint64_t set_scan(const struct set *set, uint64_t cursor, set_visit *visit, void *context);

/* Every member once, one after another. The set stays as it is. */
struct set_cursor {
    const struct set *set;
    size_t at;      /* flat: index or offset of the next */
    uint64_t place; /* of the table */
    bool at_end;
    struct item *found; /* of the part of the table that is being walked */
    size_t count, capacity, next;
};
void set_begin(const struct set *set, struct set_cursor *cursor);
/* False at the end. Borrowed until the set is changed. */
bool set_take(struct set_cursor *cursor, struct item *member);
/* Frees what the cursor holds. */
void set_end(struct set_cursor *cursor);

#endif
