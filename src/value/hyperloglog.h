/* hyperloglog.h: how many different elements there were, to about 0.8 %, in a string of Redis's
 * format.
 *
 *     +------+----------+--------+-------------------+-----------+
 *     | HYLL | encoding | unused | cached count, LE  | registers |
 *     | 4    | 1        | 3      | 8 (bit 63: stale) |           |
 *     +------+----------+--------+-------------------+-----------+
 *     dense     16384 registers of 6 bits, the lowest bits first: 12288 bytes
 *     sparse    00xxxxxx            x+1 registers are 0
 *               01xxxxxx yyyyyyyy   xy+1 are 0
 *               1vvvvvxx            x+1 are v+1
 *
 * The register of an element is chosen by the low 14 bits of its hash (MurmurHash64A, which the
 * format prescribes) and keeps the longest run of zeros seen in the rest. The estimate is Ertl's
 * ("New cardinality estimation algorithms for HyperLogLog sketches", 2017). Format: Redis's
 * documentation of its strings for PFADD. Everything here takes bytes from outside and trusts none.
 */
#ifndef REDSTART_VALUE_HYPERLOGLOG_H
#define REDSTART_VALUE_HYPERLOGLOG_H

#include "base/buffer.h"

enum {
    HYPERLOGLOG_REGISTERS = 16384,
    HYPERLOGLOG_HEADER = 16,
    HYPERLOGLOG_DENSE_SIZE = HYPERLOGLOG_HEADER + HYPERLOGLOG_REGISTERS * 6 / 8,
};

/* Is it one, by its header and size? Its registers may still be corrupt. */
bool hyperloglog_is_one(struct bytes bytes);
bool hyperloglog_is_dense(struct bytes bytes);
/* An empty, sparse one. */
void hyperloglog_begin(struct buffer *out);

enum hyperloglog_result { HYPERLOGLOG_SAME, HYPERLOGLOG_CHANGED, HYPERLOGLOG_CORRUPT };

/* What an element does: this register has at least this value afterwards. */
struct hyperloglog_mark {
    uint16_t index;
    uint8_t value;
};
struct hyperloglog_mark hyperloglog_mark(struct bytes element);
/* Would it change a dense one? */
bool hyperloglog_dense_has(struct bytes hll, struct hyperloglog_mark mark);
/* Raise one register. A sparse one becomes dense beyond `sparse_max` bytes; a dense one keeps its
 * size and place. */
enum hyperloglog_result hyperloglog_raise(struct buffer *hll, size_t sparse_max,
                                          struct hyperloglog_mark mark);
/* False: it is corrupt. */
bool hyperloglog_make_dense(struct buffer *hll);
/* Raise each of the 16384 registers to at least what this one has. False: it is corrupt. */
bool hyperloglog_merge(struct bytes hll, uint8_t *registers);
uint64_t hyperloglog_estimate(const uint8_t *registers);

/* The count that was kept; false when it is stale. */
bool hyperloglog_cached(struct bytes hll, uint64_t *count);
void hyperloglog_set_cached(char *hll, uint64_t count);
void hyperloglog_forget_cached(char *hll);

#endif
