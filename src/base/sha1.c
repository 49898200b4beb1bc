/* sha1.c: SHA-1 by libcrypto. */
#include "base/sha1.h"

#include <openssl/sha.h>

_Static_assert((int)SHA1_SIZE == SHA_DIGEST_LENGTH, "bytes of a SHA-1");

void sha1(struct bytes input, uint8_t out[SHA1_SIZE]) {
    SHA1((const unsigned char *)input.data, input.size, out);
}

void sha1_text(struct bytes input, char out[SHA1_TEXT_SIZE + 1]) {
    static const char digits[] = "0123456789abcdef";
    uint8_t hash[SHA1_SIZE];
    sha1(input, hash);
    for (size_t i = 0; i < SHA1_SIZE; i++) {
        out[2 * i] = digits[hash[i] >> 4];
        out[2 * i + 1] = digits[hash[i] & 15];
    }
    out[SHA1_TEXT_SIZE] = 0;
}
