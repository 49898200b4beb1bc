/* crc.c: CRC-16/XMODEM by table; CRC-64/Jones by eight tables, or by carry-less multiplication
 * where the processor has it and the run is long. Owns nothing but constant tables (crc_tables.h).
 *
 * Slicing by eight: M. Kounavis, F. Berry, "A Systematic Approach to Building High Performance,
 * Software-based, CRC Generators" (2005). Folding: V. Gopal et al., "Fast CRC Computation for
 * Generic Polynomials Using PCLMULQDQ Instruction" (Intel, 2009). */
#include "base/crc.h"

#include "base/crc_tables.h"

uint16_t crc16(struct bytes bytes) {
    uint32_t crc = 0;
    for (size_t i = 0; i < bytes.size; i++)
        crc = (crc << 8 & 0xffff) ^ crc16_table[(crc >> 8) ^ (uint8_t)bytes.data[i]];
    return (uint16_t)crc;
}

static uint64_t load_little_endian(const char *data) {
    uint64_t word;
    memcpy(&word, data, sizeof(word));
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    word = __builtin_bswap64(word);
#endif
    return word;
}

static uint64_t crc64_by_table(uint64_t crc, const char *data, size_t size) {
    for (; size >= 8; data += 8, size -= 8) {
        crc ^= load_little_endian(data);
        crc = crc64_tables[7][crc & 0xff] ^ crc64_tables[6][crc >> 8 & 0xff] ^
              crc64_tables[5][crc >> 16 & 0xff] ^ crc64_tables[4][crc >> 24 & 0xff] ^
              crc64_tables[3][crc >> 32 & 0xff] ^ crc64_tables[2][crc >> 40 & 0xff] ^
              crc64_tables[1][crc >> 48 & 0xff] ^ crc64_tables[0][crc >> 56];
    }
    for (; size > 0; data++, size--)
        crc = crc >> 8 ^ crc64_tables[0][(crc ^ (uint8_t)*data) & 0xff];
    return crc;
}

#ifdef __x86_64__
#include <immintrin.h>

enum { FOLD_WORTHWHILE = 128 }; /* bytes from which on folding wins */

/* `remainder` moved on by the distance of `constants`, and what stands there added. */
__attribute__((target("pclmul"))) static inline __m128i fold(__m128i remainder, __m128i constants,
                                                             __m128i there) {
    __m128i earlier = _mm_clmulepi64_si128(remainder, constants, 0x00);
    __m128i later = _mm_clmulepi64_si128(remainder, constants, 0x11);
    return _mm_xor_si128(_mm_xor_si128(earlier, later), there);
}

static inline __m128i load_16(const char *data) {
    return _mm_loadu_si128((const __m128i *)(const void *)data);
}

static inline __m128i constants_of(const uint64_t pair[2]) {
    return _mm_set_epi64x((long long)pair[CRC64_FOLD_LATER], (long long)pair[CRC64_FOLD_EARLIER]);
}

/* At least 64 bytes. Four remainders of 128 bits hide the multiplier's latency; in the end one is
 * left, and its sixteen bytes have the checksum of all that was folded into them. */
__attribute__((target("pclmul"))) static uint64_t crc64_by_folding(uint64_t crc, const char *data,
                                                                   size_t size) {
    const __m128i by_64 = constants_of(crc64_fold_512);
    const __m128i by_16 = constants_of(crc64_fold_128);
    __m128i a = _mm_xor_si128(load_16(data), _mm_set_epi64x(0, (long long)crc));
    __m128i b = load_16(data + 16);
    __m128i c = load_16(data + 32);
    __m128i d = load_16(data + 48);
    for (data += 64, size -= 64; size >= 64; data += 64, size -= 64) {
        a = fold(a, by_64, load_16(data));
        b = fold(b, by_64, load_16(data + 16));
        c = fold(c, by_64, load_16(data + 32));
        d = fold(d, by_64, load_16(data + 48));
    }
    a = fold(fold(fold(a, by_16, b), by_16, c), by_16, d);
    for (; size >= 16; data += 16, size -= 16)
        a = fold(a, by_16, load_16(data));
    char rest[16];
    _mm_storeu_si128((__m128i *)(void *)rest, a);
    return crc64_by_table(crc64_by_table(0, rest, sizeof(rest)), data, size);
}
#endif

uint64_t crc64(uint64_t crc, struct bytes bytes) {
#ifdef __x86_64__
    if (bytes.size >= FOLD_WORTHWHILE && __builtin_cpu_supports("pclmul"))
        return crc64_by_folding(crc, bytes.data, bytes.size);
#endif
    return crc64_by_table(crc, bytes.data, bytes.size);
}
