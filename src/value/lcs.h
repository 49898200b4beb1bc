/* lcs.h: the longest common subsequence of two strings.
 *
 * Of the table that says how long it is for every pair of prefixes only one bit a cell is kept:
 * whether the length grows with the last byte of b. Those bits of a whole row are computed 64 at a
 * time (Crochemore, Iliopoulos, Pinzon, Reid: "A fast and practical bit-vector algorithm for the
 * longest common subsequence problem", 2001), so that the largest pair that Redis would take, 134
 * million cells, costs milliseconds and some 50 MB instead of a second and 512 MB.
 *
 *              b: m y n e w         a row is the bits of one byte of a: 1 where the length of
 *     a: m        1 0 0 0 0         (prefix of a, prefix of b) is one more than with b's prefix
 *        y        1 1 0 0 0         one byte shorter
 *
 * The bits are also all that the way back needs: where the two bytes differ, it goes up if the bit
 * is 1 and left otherwise. Where several subsequences are equally long, this finds the same as
 * Redis: the end of a moves only when that is strictly better. */
#ifndef REDSTART_VALUE_LCS_H
#define REDSTART_VALUE_LCS_H

#include "base/bytes.h"

struct lcs {
    struct bytes a, b;
    size_t length;       /* of the subsequence */
    size_t row_size;     /* bytes of a row of bits */
    unsigned char *rows; /* one for each byte of a; NULL when there are none */
    size_t a_end, b_end; /* where lcs_next_run goes on */
};

/* Bytes that equal in both, next to each other in both; as long as can be. */
struct lcs_run {
    size_t a_start, b_start, size;
};

/* What Redis would need for its table, in bytes: its limit is on this. SIZE_MAX when it is more
 * than can be counted. */
size_t lcs_cost(struct bytes a, struct bytes b);

/* The length alone, with memory for a few rows. False when there is no memory. */
bool lcs_length(struct bytes a, struct bytes b, size_t *length);

/* Computes everything that lcs_next_run needs; a and b stay borrowed until lcs_close. False when
 * there is no memory; nothing is to be closed then. */
bool lcs_open(struct lcs *lcs, struct bytes a, struct bytes b);
/* The runs of the subsequence from the last to the first; false behind the first. */
bool lcs_next_run(struct lcs *lcs, struct lcs_run *run);
/* Begin with the last run again. */
void lcs_rewind(struct lcs *lcs);
void lcs_close(struct lcs *lcs);

#endif
