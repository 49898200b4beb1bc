/* sha256.h: SHA-256, as FIPS 180-4 says: what is kept of a password. */
#ifndef REDSTART_BASE_SHA256_H
#define REDSTART_BASE_SHA256_H

#include "base/bytes.h"

enum { SHA256_SIZE = 32, SHA256_TEXT_SIZE = 64 };

void sha256(struct bytes input, uint8_t out[SHA256_SIZE]);

#endif
