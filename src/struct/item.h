/* item.h: one element of a collection: bytes, or an integer that stands for its decimal digits.
 *
 * Collections keep what is the decimal text of an integer as that integer; to whoever reads them
 * both are the same bytes. An item borrows: it is valid until what it came from is changed. */
#ifndef REDSTART_STRUCT_ITEM_H
#define REDSTART_STRUCT_ITEM_H

#include "base/bytes.h"
#include "base/number.h"

enum { ITEM_TEXT_MAX = NUMBER_I64_TEXT_MAX };

struct item {
    const char *text; /* NULL: the integer counts */
    size_t size;      /* of the text, in bytes */
    int64_t integer;
};

static inline bool item_is_integer(const struct item *item) {
    return item->text == NULL;
}
/* These bytes; an integer if they are one's canonical digits. Their data is never NULL. */
static inline struct item item_make(struct bytes bytes) {
    enum { DIGITS_MAX = 20 };
    if (bytes.size - 1 >= DIGITS_MAX || *bytes.data > '9')
        return (struct item){bytes.data, bytes.size, 0};
    int64_t integer = 0;
    bool is_integer = number_parse_i64(bytes, &integer);
    return (struct item){is_integer ? NULL : bytes.data, bytes.size, integer};
}
static inline struct item item_integer(int64_t integer) {
    return (struct item){.integer = integer};
}
/* The bytes; an integer's digits are written to `scratch`. */
static inline struct bytes item_bytes(const struct item *item, char scratch[ITEM_TEXT_MAX]) {
    if (item->text) return bytes_make(item->text, item->size);
    return bytes_make(scratch, number_format_i64(scratch, item->integer));
}
/* Both made by item_make, or read from a collection: text is then never an integer's digits. */
static inline bool item_equal(const struct item *a, const struct item *b) {
    if (!a->text || !b->text) return !a->text && !b->text && a->integer == b->integer;
    return a->size == b->size && memcmp(a->text, b->text, a->size) == 0;
}
/* Bytes of the text or of the digits. */
size_t item_text_size(const struct item *item);
/* As memcmp over the texts, then by size: the order of sorted sets. */
int item_compare(const struct item *a, const struct item *b);

#endif
