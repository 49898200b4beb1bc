/* sorted_set.h: members, each once, in the order of their scores; where scores are equal, in the
 * order of the members' bytes.
 *
 *     flat                                 structure
 *     +---------------------------------+  +--------+-------------------------------------+
 *     | m 0 | score 0 | m 1 | score 1 | |  | object | table          | tree               |
 *     +---------------------------------+  |        | member ->      | (score, member)    |
 *       a listpack, in order; a score is   |        | score          | in order, in chunks|
 *       an integer or its shortest text    +--------+----------------+--------------------+
 *
 * The tree answers what asks for order: ranks, ranges, and how many there are between two bounds,
 * all in O(log n), as it counts its elements. The table answers what asks for a member. Every
 * range, of ranks, scores or members, becomes a span of ranks first; what is done with it (count,
 * walk, remove) is then the same for all.
 *
 * Scores are never NaN. -0 and 0 are the same score in order. */
#ifndef REDSTART_VALUE_SORTED_SET_H
#define REDSTART_VALUE_SORTED_SET_H

#include "struct/tree.h"
#include "value/object.h"

struct sorted_set {
    struct object object;
    struct record_table table;
    struct tree tree;
    size_t blob_bytes; /* of members that stand in blobs of the tree */
};

extern const struct object_class sorted_set_class;

/* Up to where it stays flat. */
struct sorted_set_limits {
    uint64_t entries_max; /* members */
    uint64_t value_max;   /* bytes of a member */
};

/* What a walk gives. Borrowed, as items are. */
struct sorted_set_element {
    struct item member;
    double score;
};

/* ---- members ---- */

uint64_t sorted_set_count(const struct sorted_set *set);
/* False: it is no member. */
bool sorted_set_score(const struct sorted_set *set, const struct item *member, double *score);
/* From the lowest, beginning with 0. `score` may be NULL. */
bool sorted_set_rank(const struct sorted_set *set, const struct item *member, uint64_t *rank,
                     double *score);

enum sorted_set_condition {
    SORTED_SET_IF_ABSENT = 1 << 0,
    SORTED_SET_IF_PRESENT = 1 << 1,
    SORTED_SET_IF_GREATER = 1 << 2, /* a present one only gets a greater score */
    SORTED_SET_IF_LESS = 1 << 3,
    SORTED_SET_INCREMENT = 1 << 4, /* the score given is added to the present one */
};
enum sorted_set_outcome {
    SORTED_SET_ADDED,
    SORTED_SET_UPDATED,
    SORTED_SET_SAME,         /* it has that score already */
    SORTED_SET_NOT_WANTED,   /* a condition does not hold */
    SORTED_SET_NOT_A_NUMBER, /* the sum would not be one: nothing was changed */
};
/* Give the member this score, which is not NaN. Afterwards *score is the one that it has, but for
 * SORTED_SET_NOT_WANTED and SORTED_SET_NOT_A_NUMBER. The member's text is outside the set. */
enum sorted_set_outcome sorted_set_add(struct sorted_set *set, const struct item *member,
                                       double *score, unsigned conditions,
                                       const struct sorted_set_limits *limits);
/* For sets that are made from what is in order: quicker when the member, which should not be there,
 * belongs behind all others. False: it was there, and the set is good for nothing but its release.
 */
bool sorted_set_add_last(struct sorted_set *set, const struct item *member, double score,
                         const struct sorted_set_limits *limits);
/* Bring near what adding this member will touch. */
void sorted_set_prefetch(const struct sorted_set *set, const struct item *member);
/* False: it was no member. */
bool sorted_set_remove(struct sorted_set *set, const struct item *member);

/* A structure that could be flat becomes so: for results that were built apart. */
void sorted_set_flatten(struct sorted_set *set, const struct sorted_set_limits *limits);

/* ---- spans of ranks ---- */

struct sorted_set_span {
    uint64_t first; /* rank, from the lowest */
    uint64_t count;
};

struct sorted_set_scores {
    double min, max;
    bool min_excluded, max_excluded;
};
struct sorted_set_span sorted_set_span_of_scores(const struct sorted_set *set,
                                                 const struct sorted_set_scores *scores);

enum sorted_set_end { SORTED_SET_LOWEST, SORTED_SET_HIGHEST, SORTED_SET_MEMBER };
struct sorted_set_limit {
    enum sorted_set_end end; /* before all, behind all, or: */
    struct item member;
    bool excluded;
};
/* For sets whose scores are all equal; otherwise some span. */
struct sorted_set_span sorted_set_span_of_members(const struct sorted_set *set,
                                                  const struct sorted_set_limit *min,
                                                  const struct sorted_set_limit *max);
/* From `start` to `end`, both included; negative ones count from the end. Forwards: 0 is the
 * lowest; backwards: 0 is the highest. What is outside is cut off. */
struct sorted_set_span sorted_set_span_of_ranks(const struct sorted_set *set, int64_t start,
                                                int64_t end, bool backwards);

/* Are so few left without those that a set of what is left is sooner made than they are removed? */
bool sorted_set_leaves_few(const struct sorted_set *set, const struct sorted_set_span *span);
/* The others in a struct that was not in use, as a structure. */
void sorted_set_copy_others(struct sorted_set *out, const struct sorted_set *set,
                            const struct sorted_set_span *span);
/* Remove those. */
void sorted_set_remove_span(struct sorted_set *set, const struct sorted_set_span *span);

/* ---- walks; also by readers of views ---- */

struct sorted_set_walk {
    const struct sorted_set *set;
    uint64_t left; /* elements still to come */
    bool backwards;
    uint32_t index;          /* in the chunk */
    size_t at;               /* flat: offset of the next member */
    struct tree_place place; /* of the chunk with the next element */
};
/* From the lowest of the span upwards, or from its highest down. The set is not changed until the
 * walk is over. */
void sorted_set_walk_begin(struct sorted_set_walk *walk, const struct sorted_set *set,
                           const struct sorted_set_span *span, bool backwards);
/* False at the end. */
bool sorted_set_walk_next(struct sorted_set_walk *walk, struct sorted_set_element *element);
static inline struct sorted_set_span sorted_set_span_whole(const struct sorted_set *set) {
    return (struct sorted_set_span){0, sorted_set_count(set)};
}

/* As SCAN: some elements, the next cursor, 0 at the end; a flat one gives all at once. */
typedef void sorted_set_visit(void *context, const struct sorted_set_element *element);
uint64_t sorted_set_scan(const struct sorted_set *set, uint64_t cursor, sorted_set_visit *visit,
                         void *context);

/* Ends the process when an invariant is broken; for tests. */
void sorted_set_check(const struct sorted_set *set);

#endif
