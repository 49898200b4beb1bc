/* digest.h: fingerprints of 160 bits: XXH3's 128-bit hash, and the lower 32 bits of its 64-bit hash
 * with seed 1. They find accidents; they are no proof against someone who wants a collision. */
#ifndef REDSTART_BASE_DIGEST_H
#define REDSTART_BASE_DIGEST_H

#include "base/bytes.h"

#define XXH_STATIC_LINKING_ONLY /* says how large the states are */
#include <xxhash.h>

enum { DIGEST_SIZE = 20, DIGEST_TEXT_SIZE = 2 * DIGEST_SIZE };

struct digest {
    uint8_t bytes[DIGEST_SIZE];
};

/* Bytes go into both hashes, whose states are kept side by side. */
struct digest_stream {
    XXH3_state_t wide, narrow;
};

void digest_begin(struct digest_stream *stream);
void digest_add(struct digest_stream *stream, const void *data, size_t size);
/* The lower `size` bytes, little-endian. */
void digest_add_number(struct digest_stream *stream, uint64_t number, size_t size);
struct digest digest_end(struct digest_stream *stream);
/* Exclusive or: what does not depend on the order of several. */
void digest_mix(struct digest *sum, const struct digest *one);
/* Hexadecimal, in lower case, with a zero behind it. */
void digest_format(const struct digest *digest, char out[DIGEST_TEXT_SIZE + 1]);

#endif
