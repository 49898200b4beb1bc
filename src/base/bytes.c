/* bytes.c: comparisons of byte runs that are too large to be inline. Owns nothing, allocates
 * nothing; must never look past a size or at the locale. */
#include "base/bytes.h"

int bytes_compare(struct bytes a, struct bytes b) {
    size_t common = a.size < b.size ? a.size : b.size;
    int order = common != 0 ? memcmp(a.data, b.data, common) : 0;
    if (order != 0) return order;
    return (a.size > b.size) - (a.size < b.size);
}

bool bytes_equal_ignore_case(struct bytes a, struct bytes b) {
    if (a.size != b.size) return false;
    for (size_t i = 0; i < a.size; i++) {
        if (byte_to_lower(a.data[i]) != byte_to_lower(b.data[i])) return false;
    }
    return true;
}

bool bytes_equal_constant_time(struct bytes a, struct bytes b) {
    if (a.size != b.size) return false;
    /* volatile: a compiler that saw where this leads could stop at the first difference. */
    volatile unsigned char difference = 0;
    for (size_t i = 0; i < a.size; i++)
        difference = (unsigned char)(difference | (unsigned char)(a.data[i] ^ b.data[i]));
    return difference == 0;
}
