/* sorted_set_score.h: a score, which is a double and never NaN, in other forms: as a number that
 * keeps the order, as an exact integer, and as the value of a record. */
#ifndef REDSTART_VALUE_SORTED_SET_SCORE_H
#define REDSTART_VALUE_SORTED_SET_SCORE_H

#include "struct/item.h"
#include <float.h>
#include <math.h>

/* A number that grows with the score; 0 and -0 are the same. */
static inline uint64_t score_order(double score) {
    uint64_t bits;
    if (score == 0) score = 0; /* no sign */
    memcpy(&bits, &score, sizeof bits);
    const uint64_t sign = UINT64_C(1) << 63;
    return bits & sign ? ~bits : bits | sign;
}

/* Is it an integer that a double can tell from its neighbours, and not -0? */
static inline bool score_is_integer(double score, int64_t *integer) {
    const double limit = 9007199254740992.0; /* 2^53 */
    if (!(score > -limit && score < limit)) return false;
    *integer = (int64_t)score;
    return (double)*integer == score && (score != 0 || !signbit(score));
}

/* Is it an integer that a flat set keeps as one? As in Redis: up to 2^62, and -0 is 0. */
static inline bool score_is_flat_integer(double score, int64_t *integer) {
    const double limit = 4611686018427387904.0; /* 2^62 */
    if (!(score >= -limit && score <= limit)) return false;
    *integer = (int64_t)score;
    return (double)*integer == score;
}

/* Does a float have all of it? */
static inline bool score_is_float(double score, float *narrow) {
    if (!(score >= -(double)FLT_MAX && score <= (double)FLT_MAX)) return false;
    *narrow = (float)score;
    return (double)*narrow == score;
}

/* ---- the value of a member's record: an integer, or the bytes of a float or a double ---- */

struct score_record {
    float narrow;
    double wide;
};

/* Points to `room`. */
static inline struct item score_to_record(struct score_record *room, double score) {
    int64_t integer;
    if (score_is_integer(score, &integer)) return item_integer(integer);
    if (score_is_float(score, &room->narrow))
        return (struct item){(const char *)&room->narrow, sizeof room->narrow, 0};
    room->wide = score;
    return (struct item){(const char *)&room->wide, sizeof room->wide, 0};
}

static inline double score_from_record(const struct item *item) {
    float narrow;
    double wide;
    if (item_is_integer(item)) return (double)item->integer;
    if (item->size == sizeof narrow) {
        memcpy(&narrow, item->text, sizeof narrow);
        return (double)narrow;
    }
    memcpy(&wide, item->text, sizeof wide);
    return wide;
}

#endif
