/* random.h: repeatable randomness for property tests (xorshift64*). The seed is printed; give it
 * back in REDSTART_TEST_SEED to see the same failure again. */
#ifndef REDSTART_TESTS_RANDOM_H
#define REDSTART_TESTS_RANDOM_H

#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

struct random {
    uint64_t state;
};

static inline struct random random_from_seed(void) {
    const char *given = getenv("REDSTART_TEST_SEED");
    uint64_t seed = given != NULL ? strtoull(given, NULL, 10) : (uint64_t)time(NULL);
    printf("REDSTART_TEST_SEED=%" PRIu64 "\n", seed);
    return (struct random){seed * 0x9e3779b97f4a7c15ULL | 1};
}

static inline uint64_t random_next(struct random *r) {
    r->state ^= r->state >> 12;
    r->state ^= r->state << 25;
    r->state ^= r->state >> 27;
    return r->state * 0x2545f4914f6cdd1dULL;
}

static inline uint64_t random_below(struct random *r, uint64_t limit) {
    return (random_next(r) >> 11) % limit;
}

#endif
