/* bytes.c: comparisons of byte runs that are too large to be inline. Owns nothing, allocates
 * nothing; must never look past a size or at the locale. */
#include "base/bytes.h"

int bytes_compare(struct bytes a, struct bytes b) {
    size_t common = a.size < b.size ? a.size : b.size;
    int order = common != 0 ? memcmp(a.data, b.data, common) : 0;
    if (order != 0) return order;
    return (a.size > b.size) - (a.size < b.size);
}

/* Eight bytes at once, the capital letters of ASCII among them made small. */
static uint64_t word_to_lower(uint64_t word) {
    const uint64_t each = UINT64_C(0x0101010101010101), high = 0x80 * each;
    uint64_t low_bits = word & ~high;
    uint64_t from_a = low_bits + (0x80 - 'A') * each, behind_z = low_bits + (0x7f - 'Z') * each;
    uint64_t capital = (from_a ^ behind_z) & ~word & high; /* 0x80 for each */
    return word | capital >> 2;
}

bool bytes_equal_ignore_case(struct bytes a, struct bytes b) {
    enum { WORD = 8 };
    if (a.size != b.size) return false;
    size_t size = a.size;
    if (size <= WORD)
        return word_to_lower(bytes_short_word(a.data, size)) ==
               word_to_lower(bytes_short_word(b.data, size));
    for (size_t i = 0; i < size - WORD; i += WORD)
        if (word_to_lower(bytes_word(a.data + i)) != word_to_lower(bytes_word(b.data + i)))
            return false;
    return word_to_lower(bytes_word(a.data + size - WORD)) ==
           word_to_lower(bytes_word(b.data + size - WORD));
}

bool bytes_equal_constant_time(struct bytes a, struct bytes b) {
    if (a.size != b.size) return false;
    /* volatile: a compiler that saw where this leads could stop at the first difference. */
    volatile unsigned char difference = 0;
    for (size_t i = 0; i < a.size; i++)
        difference = (unsigned char)(difference | (unsigned char)(a.data[i] ^ b.data[i]));
    return difference == 0;
}
