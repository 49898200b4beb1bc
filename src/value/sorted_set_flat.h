/* sorted_set_flat.h: a small sorted set as a listpack of members and scores, in order. Every
 * operation walks over it. Offsets are the listpack's, of members; 0 is none. */
#ifndef REDSTART_VALUE_SORTED_SET_FLAT_H
#define REDSTART_VALUE_SORTED_SET_FLAT_H

#include "value/sorted_set.h"
#include "value/sorted_set_index.h"

uint64_t sorted_flat_count(const struct sorted_set *set);
/* The member's offset and score. */
size_t sorted_flat_find(const struct sorted_set *set, const struct item *member, double *score);
/* How many elements stand before the cut: at once, or before the first that does not. */
uint64_t sorted_flat_rank(const struct sorted_set *set, const struct index_cut *cut);
size_t sorted_flat_seek(const struct sorted_set *set, uint64_t rank);
/* Get the element and step to the next one. */
void sorted_flat_take(const struct sorted_set *set, size_t *at, struct sorted_set_element *element);
size_t sorted_flat_previous(const struct sorted_set *set, size_t at);

/* It is not there yet. */
void sorted_flat_insert(struct sorted_set *set, const struct sorted_set_element *element);
void sorted_flat_remove(struct sorted_set *set, size_t at, uint64_t count);

#endif
