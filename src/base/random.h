/* random.h: a small generator for choices that nobody has to be kept from guessing: samples, coins.
 */
#ifndef REDSTART_BASE_RANDOM_H
#define REDSTART_BASE_RANDOM_H

#include <stdint.h>

/* xorshift64, Marsaglia 2003. The state must not be 0. */
static inline uint64_t random_next(uint64_t *state) {
    uint64_t x = *state;
    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
    return *state = x;
}

#endif
