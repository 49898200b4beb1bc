/* crc_join.c: a CRC is linear: that of `a` goes on through as many zero bytes as `b` has, and b's
 * own is added. Going through n zero bits is a 64 by 64 matrix over GF(2); its powers of two come
 * by squaring. (As zlib's crc32_combine, by Mark Adler, does it.) */
#include "rdb/crc_join.h"

enum { BITS = 64 };

struct matrix {
    uint64_t columns[BITS];
};

static uint64_t apply(const struct matrix *m, uint64_t vector) {
    uint64_t sum = 0;
    for (int i = 0; vector != 0; i++, vector >>= 1)
        if (vector & 1) sum ^= m->columns[i];
    return sum;
}

static struct matrix square(const struct matrix *m) {
    struct matrix squared;
    for (int i = 0; i < BITS; i++)
        squared.columns[i] = apply(m, m->columns[i]);
    return squared;
}

uint64_t rdb_crc_join(uint64_t a, uint64_t b, uint64_t b_size) {
    static const uint64_t polynomial = UINT64_C(0x95ac9329ac4bc9b5); /* reflected, see base/crc.h */
    struct matrix zeros = {.columns = {polynomial}};                 /* one zero bit */
    for (int i = 1; i < BITS; i++)
        zeros.columns[i] = UINT64_C(1) << (i - 1);
    for (int i = 0; i < 3; i++) /* one byte */
        zeros = square(&zeros);
    for (; b_size != 0; b_size >>= 1) {
        if (b_size & 1) a = apply(&zeros, a);
        zeros = square(&zeros);
    }
    return a ^ b;
}
