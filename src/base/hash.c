/* hash.c: XXH3 under a secret, compiled into this file so that short keys pay one call and no
 * dispatch. Owns nothing; the secret belongs to the server. */
#include "base/hash.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

_Static_assert(HASH_SECRET_SIZE >= XXH3_SECRET_SIZE_MIN, "XXH3 needs a longer secret");

uint64_t hash_bytes(const struct hash_secret *secret, struct bytes bytes) {
    return XXH3_64bits_withSecret(bytes.data, bytes.size, secret->bytes, HASH_SECRET_SIZE);
}

uint64_t hash_plain(struct bytes bytes) {
    return XXH3_64bits(bytes.data, bytes.size);
}
