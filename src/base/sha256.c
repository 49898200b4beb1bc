/* sha256.c: SHA-256 by libcrypto. */
#include "base/sha256.h"

#include <openssl/sha.h>

_Static_assert((int)SHA256_SIZE == SHA256_DIGEST_LENGTH, "bytes of a SHA-256");

void sha256(struct bytes input, uint8_t out[SHA256_SIZE]) {
    SHA256((const unsigned char *)input.data, input.size, out);
}
