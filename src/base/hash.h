/* hash.h: the hash of keys and members, keyed by a secret of the server, so that nobody outside can
 * choose keys that collide. XXH3 with a random secret (https://xxhash.com). */
#ifndef REDSTART_BASE_HASH_H
#define REDSTART_BASE_HASH_H

#include "base/bytes.h"

enum { HASH_SECRET_SIZE = 192 };

struct hash_secret {
    uint8_t bytes[HASH_SECRET_SIZE]; /* from the world's entropy, once per server */
};

uint64_t hash_bytes(const struct hash_secret *secret, struct bytes bytes);
/* XXH3 as everybody computes it: for clients that compare, not for tables. */
uint64_t hash_plain(struct bytes bytes);

/* A good mixing of one number, not keyed. */
static inline uint64_t hash_mix(uint64_t x) {
    x ^= x >> 32;
    x *= 0xe9846af9b1a615dULL;
    x ^= x >> 32;
    x *= 0xe9846af9b1a615dULL;
    x ^= x >> 28;
    return x;
}

#endif
