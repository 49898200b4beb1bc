/* sorted_set_index.h: the tree of a sorted set's structure: elements in order, found by score,
 * by element, by member or by rank. Knows nothing of the table beside it. */
#ifndef REDSTART_VALUE_SORTED_SET_INDEX_H
#define REDSTART_VALUE_SORTED_SET_INDEX_H

#include "value/sorted_set.h"

/* A cut in the order: every element stands before it or behind it. */
enum index_cut_kind {
    CUT_AT_SCORE,   /* before all elements of this score, or behind them */
    CUT_AT_ELEMENT, /* before this element */
    CUT_AT_MEMBER,  /* where all scores are the same: before this member, or behind it */
};
struct index_cut {
    enum index_cut_kind kind;
    bool behind;
    struct sorted_set_element at;
};
/* Does the element stand before the cut? */
bool sorted_index_is_before(const struct sorted_set_element *element, const struct index_cut *cut);
/* How many elements stand before the cut. */
uint64_t sorted_index_rank(const struct sorted_set *set, const struct index_cut *cut);

/* Bring near the elements around a score, in three steps: as tree_prefetch_node. */
const struct tree_node *sorted_index_prefetch_node(const struct sorted_set *set, double score);
const struct tree_chunk *const *sorted_index_prefetch_link(const struct tree_node *node,
                                                           double score);
void sorted_index_prefetch_chunk(const struct tree_chunk *chunk);

/* It is not there yet. */
void sorted_index_insert(struct sorted_set *set, const struct sorted_set_element *element);
/* The same, quicker when it belongs behind all others. */
void sorted_index_insert_last(struct sorted_set *set, const struct sorted_set_element *element);
/* It is there. */
void sorted_index_remove(struct sorted_set *set, const struct sorted_set_element *element);
/* Remove these; each is told before, while it is still there. */
void sorted_index_remove_span(struct sorted_set *set, const struct sorted_set_span *span,
                              void (*removed)(struct sorted_set *set,
                                              const struct sorted_set_element *element));

void sorted_index_release(struct sorted_set *set);
void sorted_index_copy(struct sorted_set *to, const struct sorted_set *from);
/* Ends the process when an invariant is broken; for tests. */
void sorted_index_check(const struct sorted_set *set);

#endif
