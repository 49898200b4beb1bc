/* bits.c: counting, finding and combining bits of strings. Owns nothing. */
#include "value/bits.h"

#include "base/invariant.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

static inline uint64_t word_at(const char *at) {
    uint64_t word;
    memcpy(&word, at, sizeof word);
    return word;
}

/* ---- counting ---- */

/* Pairs, then fours, then bytes; the product sums the bytes (Hacker's Delight, 5-1). */
static uint64_t count_plain(const char *data, size_t size) {
    uint64_t count = 0;
    size_t i = 0;
    for (; i + sizeof(uint64_t) <= size; i += sizeof(uint64_t)) {
        uint64_t x = word_at(data + i);
        x -= x >> 1 & 0x5555555555555555u;
        x = (x & 0x3333333333333333u) + (x >> 2 & 0x3333333333333333u);
        x = (x + (x >> 4)) & 0x0f0f0f0f0f0f0f0fu;
        count += x * 0x0101010101010101u >> 56;
    }
    for (; i < size; i++)
        for (unsigned byte = (uint8_t)data[i]; byte != 0; byte &= byte - 1)
            count++;
    return count;
}

#if defined(__x86_64__)
__attribute__((target("popcnt"))) static uint64_t count_popcnt(const char *data, size_t size) {
    uint64_t a = 0, b = 0, c = 0, d = 0;
    size_t i = 0;
    for (; i + 32 <= size; i += 32) {
        a += (uint64_t)__builtin_popcountll(word_at(data + i));
        b += (uint64_t)__builtin_popcountll(word_at(data + i + 8));
        c += (uint64_t)__builtin_popcountll(word_at(data + i + 16));
        d += (uint64_t)__builtin_popcountll(word_at(data + i + 24));
    }
    return a + b + c + d + count_plain(data + i, size - i);
}

__attribute__((target("avx512f,avx512vpopcntdq"))) static uint64_t count_wide(const char *data,
                                                                              size_t size) {
    __m512i a = _mm512_setzero_si512(), b = a;
    size_t i = 0;
    for (; i + 128 <= size; i += 128) {
        a = _mm512_add_epi64(a, _mm512_popcnt_epi64(_mm512_loadu_si512(data + i)));
        b = _mm512_add_epi64(b, _mm512_popcnt_epi64(_mm512_loadu_si512(data + i + 64)));
    }
    return (uint64_t)_mm512_reduce_add_epi64(_mm512_add_epi64(a, b)) +
           count_plain(data + i, size - i);
}
#endif

uint64_t bits_count(struct bytes bytes) {
#if defined(__x86_64__)
    enum { WIDE_MIN = 256 };
    if (bytes.size >= WIDE_MIN && __builtin_cpu_supports("avx512vpopcntdq"))
        return count_wide(bytes.data, bytes.size);
    if (__builtin_cpu_supports("popcnt")) return count_popcnt(bytes.data, bytes.size);
#endif
    return count_plain(bytes.data, bytes.size);
}

uint64_t bits_count_range(struct bytes bytes, uint64_t first, uint64_t last) {
    size_t from = (size_t)(first >> 3), to = (size_t)(last >> 3);
    INVARIANT(first <= last && to < bytes.size);
    uint64_t count = bits_count(bytes_make(bytes.data + from, to - from + 1));
    uint8_t before = (uint8_t)(0xff00u >> (first & 7)),
            behind = (uint8_t)(0xffu >> ((last & 7) + 1));
    char cut[2] = {(char)((uint8_t)bytes.data[from] & before),
                   (char)((uint8_t)bytes.data[to] & behind)};
    return count - count_plain(cut, sizeof cut);
}

/* ---- finding ---- */

static int64_t find_in_byte(uint8_t byte, bool value, unsigned first, unsigned last) {
    for (unsigned i = first; i <= last; i++)
        if ((byte >> (7 - i) & 1) == value) return i;
    return -1;
}

int64_t bits_find(struct bytes bytes, bool value, uint64_t first, uint64_t last) {
    uint64_t none = value ? 0 : UINT64_MAX;
    size_t at = (size_t)(first >> 3), end = (size_t)(last >> 3);
    INVARIANT(first <= last && end < bytes.size);
    unsigned start = (unsigned)(first & 7);
    while (at <= end) {
        if (start == 0)
            while (at + sizeof none <= end && word_at(bytes.data + at) == none)
                at += sizeof none;
        unsigned stop = at == end ? (unsigned)(last & 7) : 7;
        int64_t found = find_in_byte((uint8_t)bytes.data[at], value, start, stop);
        if (found >= 0) return (int64_t)at * 8 + found;
        start = 0;
        at++;
    }
    return -1;
}

/* ---- fields ---- */

uint64_t bits_get_field(struct bytes bytes, uint64_t first, unsigned count) {
    uint64_t value = 0;
    for (unsigned done = 0; done < count;) {
        unsigned inside = (unsigned)((first + done) & 7), taken = 8 - inside;
        if (taken > count - done) taken = count - done;
        size_t at = (size_t)((first + done) >> 3);
        unsigned byte = at < bytes.size ? (uint8_t)bytes.data[at] : 0;
        value = value << taken | (byte >> (8 - inside - taken) & ((1u << taken) - 1));
        done += taken;
    }
    return value;
}

void bits_set_field(char *data, uint64_t first, unsigned count, uint64_t value) {
    for (unsigned done = 0; done < count;) {
        unsigned inside = (unsigned)((first + done) & 7), taken = 8 - inside;
        if (taken > count - done) taken = count - done;
        unsigned mask = ((1u << taken) - 1) << (8 - inside - taken);
        unsigned bits = (unsigned)(value >> (count - done - taken)) << (8 - inside - taken);
        char *byte = &data[(first + done) >> 3];
        *byte = (char)(((uint8_t)*byte & ~mask) | (bits & mask));
        done += taken;
    }
}

/* ---- combining ---- */

enum { BLOCK = 4096 }; /* bytes: what is combined at a time, so that it stays in the cache */

/* The source's bytes of this block, with zeros where it has ended. */
static const char *block_of(struct bytes source, size_t start, size_t size, char *room) {
    if (start + size <= source.size) return source.data + start;
    size_t there = start < source.size ? source.size - start : 0;
    if (there > 0) memcpy(room, source.data + start, there);
    memset(room + there, 0, size - there);
    return room;
}

static void fold(enum bits_operation operation, char *restrict out, char *restrict twice,
                 const char *restrict in, size_t size) {
    switch (operation) {
    case BITS_AND:
        for (size_t i = 0; i < size; i++)
            out[i] &= in[i];
        break;
    case BITS_XOR:
        for (size_t i = 0; i < size; i++)
            out[i] ^= in[i];
        break;
    case BITS_ONE:
        for (size_t i = 0; i < size; i++) {
            twice[i] |= out[i] & in[i];
            out[i] |= in[i];
        }
        break;
    default:
        for (size_t i = 0; i < size; i++)
            out[i] |= in[i];
    }
}

/* What the first source does to the union of the others. */
static void finish(enum bits_operation operation, char *restrict out, const char *restrict first,
                   const char *restrict twice, size_t size) {
    for (size_t i = 0; i < size; i++) {
        if (operation == BITS_NOT) out[i] = (char)~out[i];
        if (operation == BITS_DIFF) out[i] = (char)(first[i] & ~out[i]);
        if (operation == BITS_DIFF1) out[i] = (char)(out[i] & ~first[i]);
        if (operation == BITS_ANDOR) out[i] &= first[i];
        if (operation == BITS_ONE) out[i] = (char)(out[i] & ~twice[i]);
    }
}

void bits_combine(enum bits_operation operation, const struct bytes *sources, size_t count,
                  char *out, size_t size) {
    bool first_is_apart =
        operation == BITS_DIFF || operation == BITS_DIFF1 || operation == BITS_ANDOR;
    for (size_t start = 0; start < size; start += BLOCK) {
        char room[BLOCK], first_room[BLOCK], twice[BLOCK];
        size_t part = size - start < BLOCK ? size - start : BLOCK;
        const char *first = block_of(sources[0], start, part, first_room);
        memset(twice, 0, part);
        if (first_is_apart)
            memset(out + start, 0, part);
        else
            memcpy(out + start, first, part);
        for (size_t i = 1; i < count; i++)
            fold(operation, out + start, twice, block_of(sources[i], start, part, room), part);
        if (operation >= BITS_NOT) finish(operation, out + start, first, twice, part);
    }
}
