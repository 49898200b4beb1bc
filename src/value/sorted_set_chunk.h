/* sorted_set_chunk.h: what the chunks of a sorted set's tree have in them.
 *
 *     +----------+----------+-----+-----------+-----------+-----
 *     | offset 0 | offset 1 | ... | element 0 | element 1 | ...      offsets: 2 bytes each,
 *     +----------+----------+-----+-----------+-----------+-----     from element 0 on
 *
 *     element  | code | score, 0 to 8 bytes | member |
 *     code     low half:  bytes of a score that is an integer, 0 to 7; 8: a double, 9: a float
 *              high half: 0: the member's text; 1: pointer to a blob that the tree holds;
 *                         2 to 10: an integer of 0 to 8 bytes
 *
 * The offsets make a search in a chunk binary and tell the sizes, so that an element has three
 * bytes beyond its own. Integers are little-endian, of two's complement. A member's text over
 * CHUNK_MEMBER_MAX bytes stands in a blob: it belongs to the tree as it is now, not to older copies
 * of the chunk, which only views still see; the blob is retired when its element is removed. */
#ifndef REDSTART_VALUE_SORTED_SET_CHUNK_H
#define REDSTART_VALUE_SORTED_SET_CHUNK_H

#include "base/blob.h"
#include "struct/tree.h"
#include "value/sorted_set.h"
#include "value/sorted_set_score.h"

enum {
    CHUNK_DATA_MAX = 1024 - sizeof(struct tree_chunk), /* bytes; then it is split */
    CHUNK_MEMBER_MAX = 128,
    CHUNK_ELEMENT_MAX = 1 + 8 + CHUNK_MEMBER_MAX,
    CHUNK_OFFSET_SIZE = 2,
};

/* An element as it stands in a chunk. */
struct chunk_element {
    size_t size;
    char bytes[CHUNK_ELEMENT_MAX];
};

/* In the order of scores, then members. */
static inline int element_compare(const struct sorted_set_element *a,
                                  const struct sorted_set_element *b) {
    if (a->score != b->score) return a->score < b->score ? -1 : 1;
    return item_compare(&a->member, &b->member);
}

/* ---- reading ---- */

void sorted_chunk_get(const struct tree_chunk *chunk, uint32_t index,
                      struct sorted_set_element *element);
double sorted_chunk_score(const struct tree_chunk *chunk, uint32_t index);
/* NULL where the member stands in the chunk. */
struct blob *sorted_chunk_blob(const struct tree_chunk *chunk, uint32_t index);
/* For the tree: the order of the first score. */
uint64_t sorted_chunk_hint(const struct tree_chunk *chunk);

/* ---- changing a chunk that is open and has room ---- */

/* Makes a blob where the member needs one. */
void sorted_chunk_encode(const struct sorted_set_element *element, struct chunk_element *out);
void sorted_chunk_insert(struct tree_chunk *chunk, uint32_t index,
                         const struct chunk_element *element);
void sorted_chunk_remove(struct tree_chunk *chunk, uint32_t index, uint32_t count);
/* Bytes that the elements from `first` on take, without their offsets. */
size_t sorted_chunk_size_of(const struct tree_chunk *chunk, uint32_t first, uint32_t count);
/* Put elements of another chunk behind those in this one. */
void sorted_chunk_append(struct tree_chunk *to, const struct tree_chunk *from, uint32_t first,
                         uint32_t count);

#endif
