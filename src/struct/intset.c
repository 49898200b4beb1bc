/* intset.c: sorted arrays of integers of 2, 4 or 8 bytes, changed in place. */
#include "struct/intset.h"

#include <string.h>

enum { WIDTH_LEAST = 2, WIDTH_MOST = 8 };

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "numbers are copied as they are");

static uint32_t width_of(const char *set) {
    uint32_t width;
    memcpy(&width, set, sizeof width);
    return width;
}

size_t intset_count(const char *set) {
    uint32_t count;
    memcpy(&count, set + 4, sizeof count);
    return count;
}

static void set_head(char *set, uint32_t width, size_t count) {
    uint32_t head[2] = {width, (uint32_t)count};
    memcpy(set, head, sizeof head);
}

static int64_t get(const char *set, uint32_t width, size_t index) {
    const char *at = set + INTSET_HEADER_SIZE + index * width;
    int16_t two;
    int32_t four;
    int64_t eight;
    if (width == 2) {
        memcpy(&two, at, sizeof two);
        return two;
    }
    if (width == 4) {
        memcpy(&four, at, sizeof four);
        return four;
    }
    memcpy(&eight, at, sizeof eight);
    return eight;
}

int64_t intset_get(const char *set, size_t index) {
    return get(set, width_of(set), index);
}

static uint32_t width_for(int64_t number) {
    if (number >= INT16_MIN && number <= INT16_MAX) return WIDTH_LEAST;
    return number >= INT32_MIN && number <= INT32_MAX ? 4 : WIDTH_MOST;
}

bool intset_find(const char *set, int64_t number, size_t *index) {
    uint32_t width = width_of(set);
    size_t low = 0, high = intset_count(set);
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (get(set, width, middle) < number)
            low = middle + 1;
        else
            high = middle;
    }
    *index = low;
    return low < intset_count(set) && get(set, width, low) == number;
}

bool intset_validate(struct bytes bytes) {
    if (bytes.size < INTSET_HEADER_SIZE) return false;
    uint32_t width = width_of(bytes.data);
    size_t count = intset_count(bytes.data);
    if (width != 2 && width != 4 && width != 8) return false;
    if (count == 0 || (bytes.size - INTSET_HEADER_SIZE) / width != count ||
        (bytes.size - INTSET_HEADER_SIZE) % width != 0)
        return false;
    for (size_t i = 1; i < count; i++)
        if (get(bytes.data, width, i - 1) >= get(bytes.data, width, i)) return false;
    return true;
}

/* ---- changing ---- */

void intset_begin(struct buffer *b) {
    buffer_clear(b);
    set_head(buffer_reserve(b, INTSET_HEADER_SIZE), WIDTH_LEAST, 0);
    b->size = INTSET_HEADER_SIZE;
}

/* From the last on, as the new places lie behind the old ones. */
static void widen(struct buffer *b, uint32_t width) {
    uint32_t old = width_of(b->data);
    size_t count = intset_count(b->data);
    buffer_reserve(b, count * (width - old));
    for (size_t i = count; i-- > 0;) {
        int64_t number = get(b->data, old, i);
        memcpy(b->data + INTSET_HEADER_SIZE + i * width, &number, width);
    }
    set_head(b->data, width, count);
    b->size = INTSET_HEADER_SIZE + count * width;
}

bool intset_add(struct buffer *b, int64_t number) {
    size_t index;
    if (intset_find(b->data, number, &index)) return false;
    if (width_for(number) > width_of(b->data)) widen(b, width_for(number));
    uint32_t width = width_of(b->data);
    buffer_reserve(b, width);
    char *at = b->data + INTSET_HEADER_SIZE + index * width;
    memmove(at + width, at, b->size - (size_t)(at - b->data));
    memcpy(at, &number, width);
    b->size += width;
    set_head(b->data, width, intset_count(b->data) + 1);
    return true;
}

bool intset_remove(struct buffer *b, int64_t number) {
    size_t index;
    if (!intset_find(b->data, number, &index)) return false;
    uint32_t width = width_of(b->data);
    char *at = b->data + INTSET_HEADER_SIZE + index * width;
    memmove(at, at + width, b->size - (size_t)(at - b->data) - width);
    b->size -= width;
    set_head(b->data, width, intset_count(b->data) - 1);
    return true;
}
