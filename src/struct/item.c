/* item.c: what is too long to stand in item.h. */
#include "struct/item.h"

size_t item_text_size(const struct item *item) {
    if (item->text) return item->size;
    if (item->integer >= 0) return number_digits_u64((uint64_t)item->integer);
    return 1 + number_digits_u64(0 - (uint64_t)item->integer);
}

int item_compare(const struct item *a, const struct item *b) {
    char scratch_a[ITEM_TEXT_MAX], scratch_b[ITEM_TEXT_MAX];
    struct bytes x = item_bytes(a, scratch_a), y = item_bytes(b, scratch_b);
    size_t least = x.size < y.size ? x.size : y.size;
    int order = memcmp(x.data, y.data, least);
    if (order != 0) return order;
    return (x.size > y.size) - (x.size < y.size);
}
