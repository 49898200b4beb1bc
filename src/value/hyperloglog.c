/* hyperloglog.c: registers, sparse and dense, and what they say. Owns nothing. */
#include "value/hyperloglog.h"

#include <math.h>

enum {
    INDEX_BITS = 14,
    RUN_BITS = 64 - INDEX_BITS, /* of the hash, in which zeros are counted */
    REGISTER_MAX = RUN_BITS + 1,
    DENSE = 0,
    SPARSE = 1,
    ENCODING_AT = 4,
    CACHED_AT = 8,
    VALUE_RUN_MAX = 4, /* registers of one sparse value opcode */
    SPARSE_VALUE_MAX = 32,
    ZERO_RUN_MAX = 64,
};

static const char magic[4] = {'H', 'Y', 'L', 'L'};

/* ---- head ---- */

bool hyperloglog_is_one(struct bytes bytes) {
    if (bytes.size < HYPERLOGLOG_HEADER || memcmp(bytes.data, magic, sizeof magic) != 0)
        return false;
    if (bytes.data[ENCODING_AT] == DENSE) return bytes.size == HYPERLOGLOG_DENSE_SIZE;
    return bytes.data[ENCODING_AT] == SPARSE;
}

bool hyperloglog_is_dense(struct bytes bytes) {
    return bytes.data[ENCODING_AT] == DENSE;
}

bool hyperloglog_cached(struct bytes hll, uint64_t *count) {
    memcpy(count, hll.data + CACHED_AT, sizeof *count);
    return *count >> 63 == 0;
}

void hyperloglog_set_cached(char *hll, uint64_t count) {
    memcpy(hll + CACHED_AT, &count, sizeof count);
}

void hyperloglog_forget_cached(char *hll) {
    hll[HYPERLOGLOG_HEADER - 1] = (char)((uint8_t)hll[HYPERLOGLOG_HEADER - 1] | 0x80);
}

static void append_zeros(struct buffer *out, unsigned count) {
    if (count > ZERO_RUN_MAX) {
        buffer_append_byte(out, (char)(0x40 | (count - 1) >> 8));
        buffer_append_byte(out, (char)(count - 1));
    } else if (count > 0) {
        buffer_append_byte(out, (char)(count - 1));
    }
}

void hyperloglog_begin(struct buffer *out) {
    static const char head[HYPERLOGLOG_HEADER] = {'H', 'Y', 'L', 'L', SPARSE};
    buffer_clear(out);
    buffer_append(out, head, sizeof head);
    append_zeros(out, HYPERLOGLOG_REGISTERS);
}

/* ---- elements ---- */

/* MurmurHash64A by Austin Appleby, as the format wants it. */
static uint64_t murmur(struct bytes bytes) {
    const uint64_t m = UINT64_C(0xc6a4a7935bd1e995), seed = UINT64_C(0xadc83b19);
    uint64_t hash = seed ^ bytes.size * m;
    const char *at = bytes.data;
    size_t left = bytes.size;
    for (; left >= 8; left -= 8, at += 8) {
        uint64_t k;
        memcpy(&k, at, sizeof k);
        k *= m;
        k ^= k >> 47;
        hash = (hash ^ k * m) * m;
    }
    if (left > 0) {
        uint64_t k = 0;
        memcpy(&k, at, left);
        hash = (hash ^ k) * m;
    }
    hash ^= hash >> 47;
    hash *= m;
    return hash ^ hash >> 47;
}

struct hyperloglog_mark hyperloglog_mark(struct bytes element) {
    uint64_t hash = murmur(element);
    uint64_t rest = hash >> INDEX_BITS | UINT64_C(1) << RUN_BITS;
    return (struct hyperloglog_mark){(uint16_t)(hash & (HYPERLOGLOG_REGISTERS - 1)),
                                     (uint8_t)(__builtin_ctzll(rest) + 1)};
}

/* ---- dense ---- */

static uint8_t dense_get(const char *registers, unsigned index) {
    unsigned bit = index * 6, byte = bit / 8, shift = bit & 7;
    unsigned word = (uint8_t)registers[byte];
    if (shift > 2) word |= (unsigned)(uint8_t)registers[byte + 1] << 8;
    return word >> shift & 63;
}

bool hyperloglog_dense_has(struct bytes hll, struct hyperloglog_mark mark) {
    return dense_get(hll.data + HYPERLOGLOG_HEADER, mark.index) >= mark.value;
}

static void dense_set(char *registers, unsigned index, uint8_t value) {
    unsigned bit = index * 6, byte = bit / 8, shift = bit & 7;
    unsigned mask = 63u << shift, wanted = (unsigned)value << shift;
    registers[byte] = (char)(((uint8_t)registers[byte] & ~mask) | wanted);
    if (shift > 2)
        registers[byte + 1] = (char)(((uint8_t)registers[byte + 1] & ~(mask >> 8)) | wanted >> 8);
}

/* ---- sparse ---- */

struct run {
    unsigned count; /* registers */
    uint8_t value;
    unsigned size; /* bytes of the opcode */
};

/* False when there is no whole opcode. */
static bool take_run(const char *at, const char *end, struct run *run) {
    if (at >= end) return false;
    uint8_t code = (uint8_t)*at;
    if (code & 0x80) {
        *run = (struct run){(code & 3u) + 1, (uint8_t)((code >> 2 & 31) + 1), 1};
    } else if (code & 0x40) {
        if (end - at < 2) return false;
        *run = (struct run){((code & 63u) << 8 | (uint8_t)at[1]) + 1, 0, 2};
    } else {
        *run = (struct run){(code & 63u) + 1, 0, 1};
    }
    return true;
}

static char value_code(uint8_t value, unsigned count) {
    return (char)(0x80 | (value - 1) << 2 | (count - 1));
}

bool hyperloglog_make_dense(struct buffer *hll) {
    if (hyperloglog_is_dense(buffer_bytes(hll))) return true;
    struct buffer dense = {0};
    buffer_append(&dense, hll->data, HYPERLOGLOG_HEADER);
    memset(buffer_reserve(&dense, HYPERLOGLOG_DENSE_SIZE), 0, HYPERLOGLOG_DENSE_SIZE);
    dense.size = HYPERLOGLOG_DENSE_SIZE;
    dense.data[ENCODING_AT] = DENSE;
    const char *at = hll->data + HYPERLOGLOG_HEADER, *end = hll->data + hll->size;
    unsigned index = 0;
    struct run run;
    bool good = true;
    while (good && at < end) {
        good = take_run(at, end, &run) && index + run.count <= HYPERLOGLOG_REGISTERS;
        if (!good) break;
        for (unsigned i = 0; run.value != 0 && i < run.count; i++)
            dense_set(dense.data + HYPERLOGLOG_HEADER, index + i, run.value);
        index += run.count;
        at += run.size;
    }
    good = good && index == HYPERLOGLOG_REGISTERS;
    if (good) {
        buffer_clear(hll);
        buffer_append(hll, dense.data, dense.size);
    }
    buffer_release(&dense);
    return good;
}

/* Neighbouring opcodes of the same value become one, from the opcode at `at` on, five at most. */
static void merge_runs(struct buffer *hll, size_t at) {
    enum { LOOKED_AT = 5 };
    for (int i = 0; i < LOOKED_AT && at < hll->size; i++) {
        uint8_t code = (uint8_t)hll->data[at];
        if (!(code & 0x80)) {
            at += code & 0x40 ? 2 : 1;
            continue;
        }
        uint8_t next = at + 1 < hll->size ? (uint8_t)hll->data[at + 1] : 0;
        unsigned count = (code & 3u) + (next & 3u) + 2;
        if ((next & 0x80) && (code & 0x7c) == (next & 0x7c) && count <= VALUE_RUN_MAX) {
            hll->data[at + 1] = value_code((uint8_t)((code >> 2 & 31) + 1), count);
            memmove(hll->data + at, hll->data + at + 1, hll->size - at - 1);
            hll->size--;
            continue;
        }
        at++;
    }
}

/* Put other opcodes in the place of one. */
static void replace_run(struct buffer *hll, size_t at, size_t old, struct bytes codes) {
    if (codes.size > old) buffer_reserve(hll, codes.size - old);
    memmove(hll->data + at + codes.size, hll->data + at + old, hll->size - at - old);
    memcpy(hll->data + at, codes.data, codes.size);
    hll->size = hll->size - old + codes.size;
}

/* The opcode of `run`, which begins with register `first`, with one register raised. */
static void split_run(struct buffer *codes, const struct run *run, unsigned first, unsigned index,
                      uint8_t value) {
    unsigned before = index - first, behind = run->count - before - 1;
    if (run->value == 0)
        append_zeros(codes, before);
    else if (before > 0)
        buffer_append_byte(codes, value_code(run->value, before));
    buffer_append_byte(codes, value_code(value, 1));
    if (run->value == 0)
        append_zeros(codes, behind);
    else if (behind > 0)
        buffer_append_byte(codes, value_code(run->value, behind));
}

static enum hyperloglog_result raise_dense(struct buffer *hll, unsigned index, uint8_t value) {
    char *registers = hll->data + HYPERLOGLOG_HEADER;
    if (dense_get(registers, index) >= value) return HYPERLOGLOG_SAME;
    dense_set(registers, index, value);
    return HYPERLOGLOG_CHANGED;
}

static enum hyperloglog_result promote(struct buffer *hll, unsigned index, uint8_t value) {
    if (!hyperloglog_make_dense(hll)) return HYPERLOGLOG_CORRUPT;
    return raise_dense(hll, index, value);
}

enum hyperloglog_result hyperloglog_raise(struct buffer *hll, size_t sparse_max,
                                          struct hyperloglog_mark mark) {
    unsigned index = mark.index;
    uint8_t value = mark.value;
    if (hyperloglog_is_dense(buffer_bytes(hll))) return raise_dense(hll, index, value);
    if (value > SPARSE_VALUE_MAX) return promote(hll, index, value);
    size_t at = HYPERLOGLOG_HEADER, previous = at;
    unsigned first = 0;
    struct run run;
    for (;;) {
        if (!take_run(hll->data + at, hll->data + hll->size, &run)) return HYPERLOGLOG_CORRUPT;
        if (index < first + run.count) break;
        first += run.count;
        previous = at;
        at += run.size;
    }
    if (run.value >= value) return HYPERLOGLOG_SAME;
    struct buffer codes = {0};
    split_run(&codes, &run, first, index, value);
    bool fits = codes.size <= run.size || hll->size + codes.size - run.size <= sparse_max;
    if (fits) {
        replace_run(hll, at, run.size, buffer_bytes(&codes));
        merge_runs(hll, previous);
    }
    buffer_release(&codes);
    return fits ? HYPERLOGLOG_CHANGED : promote(hll, index, value);
}

/* ---- all registers ---- */

bool hyperloglog_merge(struct bytes hll, uint8_t *registers) {
    const char *at = hll.data + HYPERLOGLOG_HEADER, *end = hll.data + hll.size;
    if (hyperloglog_is_dense(hll)) {
        for (unsigned i = 0; i < HYPERLOGLOG_REGISTERS; i++) {
            uint8_t value = dense_get(at, i);
            if (value > registers[i]) registers[i] = value;
        }
        return true;
    }
    unsigned index = 0;
    struct run run;
    while (at < end) {
        if (!take_run(at, end, &run) || index + run.count > HYPERLOGLOG_REGISTERS) return false;
        for (unsigned i = 0; run.value != 0 && i < run.count; i++)
            if (run.value > registers[index + i]) registers[index + i] = run.value;
        index += run.count;
        at += run.size;
    }
    return index == HYPERLOGLOG_REGISTERS;
}

static double tau(double x) {
    if (x == 0.0 || x == 1.0) return 0.0;
    double y = 1.0, z = 1 - x, before;
    do {
        x = sqrt(x);
        before = z;
        y *= 0.5;
        z -= pow(1 - x, 2) * y;
    } while (before != z);
    return z / 3;
}

static double sigma(double x) {
    if (x == 1.0) return INFINITY;
    double y = 1, z = x, before;
    do {
        x *= x;
        before = z;
        z += x * y;
        y += y;
    } while (before != z);
    return z;
}

uint64_t hyperloglog_estimate(const uint8_t *registers) {
    const double m = HYPERLOGLOG_REGISTERS, alpha = 0.721347520444481703680; /* 1 / (2 ln 2) */
    int histogram[64] = {0};
    for (unsigned i = 0; i < HYPERLOGLOG_REGISTERS; i++)
        histogram[registers[i] & 63]++;
    double z = m * tau((m - histogram[REGISTER_MAX]) / m);
    for (int i = RUN_BITS; i >= 1; i--) {
        z += histogram[i];
        z *= 0.5;
    }
    z += m * sigma(histogram[0] / m);
    return (uint64_t)llroundl(alpha * m * m / z);
}
