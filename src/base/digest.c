/* digest.c: the two hashes side by side. Owns nothing. */
#include "base/digest.h"

enum { NARROW_SEED = 1 };

void digest_begin(struct digest_stream *stream) {
    XXH3_INITSTATE(&stream->wide);
    XXH3_INITSTATE(&stream->narrow);
    XXH3_128bits_reset(&stream->wide);
    XXH3_64bits_reset_withSeed(&stream->narrow, NARROW_SEED);
}

void digest_add(struct digest_stream *stream, const void *data, size_t size) {
    XXH3_128bits_update(&stream->wide, data, size);
    XXH3_64bits_update(&stream->narrow, data, size);
}

void digest_add_number(struct digest_stream *stream, uint64_t number, size_t size) {
    uint8_t bytes[sizeof number];
    for (size_t i = 0; i < size; i++)
        bytes[i] = (uint8_t)(number >> 8 * i);
    digest_add(stream, bytes, size);
}

struct digest digest_end(struct digest_stream *stream) {
    struct digest digest;
    XXH128_canonical_t wide;
    XXH64_canonical_t narrow;
    enum { WIDE = sizeof wide.digest, REST = DIGEST_SIZE - WIDE };
    XXH128_canonicalFromHash(&wide, XXH3_128bits_digest(&stream->wide));
    XXH64_canonicalFromHash(&narrow, XXH3_64bits_digest(&stream->narrow));
    memcpy(digest.bytes, wide.digest, WIDE);
    memcpy(digest.bytes + WIDE, narrow.digest + sizeof narrow.digest - REST, REST);
    return digest;
}

void digest_mix(struct digest *sum, const struct digest *one) {
    for (size_t i = 0; i < DIGEST_SIZE; i++)
        sum->bytes[i] ^= one->bytes[i];
}

void digest_format(const struct digest *digest, char out[DIGEST_TEXT_SIZE + 1]) {
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < DIGEST_SIZE; i++) {
        out[2 * i] = digits[digest->bytes[i] >> 4];
        out[2 * i + 1] = digits[digest->bytes[i] & 15];
    }
    out[DIGEST_TEXT_SIZE] = 0;
}
