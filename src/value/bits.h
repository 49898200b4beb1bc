/* bits.h: runs of bits in strings: counting, finding, combining. Bit 0 is the highest of byte 0.
 *
 * Counting uses what the processor has for it, found out at run time (AVX-512 with VPOPCNTDQ, or
 * POPCNT), and arithmetic on words elsewhere. Nothing here reads outside of the bytes given. */
#ifndef REDSTART_VALUE_BITS_H
#define REDSTART_VALUE_BITS_H

#include "base/bytes.h"

/* Ones among all bits, and among those from `first` to `last`, which are there. */
uint64_t bits_count(struct bytes bytes);
uint64_t bits_count_range(struct bytes bytes, uint64_t first, uint64_t last);
/* The first bit of that value from `first` to `last`; -1 when there is none. */
int64_t bits_find(struct bytes bytes, bool value, uint64_t first, uint64_t last);

static inline bool bits_get(struct bytes bytes, uint64_t bit) {
    if (bit >> 3 >= bytes.size) return false;
    return (uint8_t)bytes.data[bit >> 3] >> (7 - (bit & 7)) & 1;
}
/* Up to 64 bits as an unsigned number, the highest first; bits behind the end are 0. */
uint64_t bits_get_field(struct bytes bytes, uint64_t first, unsigned count);
/* All of them are there. */
void bits_set_field(char *data, uint64_t first, unsigned count, uint64_t value);

enum bits_operation {
    BITS_AND,
    BITS_OR,
    BITS_XOR,
    BITS_NOT,   /* of one */
    BITS_DIFF,  /* in the first and in none of the others */
    BITS_DIFF1, /* in any of the others and not in the first */
    BITS_ANDOR, /* in the first and in any of the others */
    BITS_ONE,   /* in exactly one */
};
/* Write the combination of all sources, at least one, `size` bytes (that of the longest), to `out`.
 * Shorter ones go on with zeros. */
void bits_combine(enum bits_operation operation, const struct bytes *sources, size_t count,
                  char *out, size_t size);

#endif
