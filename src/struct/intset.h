/* intset.h: a sorted array of integers of one width, in Redis's format.
 *
 *     +-------+-------+-----+-----+-----+
 *     | width | count | n 0 | n 1 | ... |      width 2, 4 or 8 bytes; all little-endian
 *     | 4     | 4     |     |     |     |
 *     +-------+-------+-----+-----+-----+ */
#ifndef REDSTART_STRUCT_INTSET_H
#define REDSTART_STRUCT_INTSET_H

#include "base/buffer.h"
#include <stdint.h>

enum { INTSET_HEADER_SIZE = 8 };

/* Is it well-formed: width, size, ascending order? For all that comes from outside. */
bool intset_validate(struct bytes bytes);
size_t intset_count(const char *set);
int64_t intset_get(const char *set, size_t index);
/* Where it stands, or where it would. */
bool intset_find(const char *set, int64_t number, size_t *index);

void intset_begin(struct buffer *b);                  /* empty, whatever it held */
bool intset_add(struct buffer *b, int64_t number);    /* false: it was there */
bool intset_remove(struct buffer *b, int64_t number); /* false: it was not */

#endif
