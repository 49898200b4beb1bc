/* listpack.c: walking, reading and editing listpacks. Owns nothing; knows no world outside the
 * bytes.
 *
 *     first byte    what follows
 *     0xxxxxxx      nothing: 0 to 127
 *     10xxxxxx      a string of up to 63 bytes
 *     110xxxxx      1 byte: a signed integer of 13 bits
 *     1110xxxx      1 byte: the size of a string of up to 4095 bytes
 *     11110000      4 bytes: the size of a longer string
 *     11110001 to 11110100      an integer of 2, 3, 4 or 8 bytes
 *     11111111      the end
 *
 * and in tight ones, which stay in memory,
 *
 *     11110101 to 11110111      an integer of 5, 6 or 7 bytes
 *     11111000      a byte: 5 bits the digits, 3 bits how many bytes of number follow, less one
 *
 * Sizes of 12 bits have their high bits first; all other numbers are little-endian. The size that
 * ends an item is in groups of 7 bits, the highest first; all but the first have bit 7. */
#include "struct/listpack.h"

#include "base/invariant.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "numbers are copied as they are");

enum {
    COUNT_UNKNOWN = 65535,
    STRING_6_MAX = 63,
    STRING_12_MAX = 4095,
    CODE_13 = 0xc0,
    CODE_STRING_12 = 0xe0,
    CODE_STRING_32 = 0xf0,
    CODE_16 = 0xf1,
    CODE_24 = 0xf2,
    CODE_32 = 0xf3,
    CODE_64 = 0xf4,
    CODE_40 = 0xf5, /* from here on: tight ones only */
    CODE_DIGITS = 0xf8,
    CODE_END = 0xff,
    BACK_SIZE_MAX = 5,
    DIGITS_MIN = 3, /* characters of digits with zeros in front, to be kept as a number */
    DIGITS_MAX = 19,
};

static inline uint8_t byte_at(const char *lp, size_t at) {
    return (uint8_t)lp[at];
}

/* ---- head ---- */

size_t listpack_size(const char *lp) {
    uint32_t size;
    memcpy(&size, lp, sizeof size);
    return size;
}

static void set_size(char *lp, size_t size) {
    uint32_t low = (uint32_t)size;
    memcpy(lp, &low, sizeof low);
}

static size_t kept_count(const char *lp) {
    uint16_t count;
    memcpy(&count, lp + 4, sizeof count);
    return count;
}

static void set_count(char *lp, size_t count) {
    uint16_t kept = count < COUNT_UNKNOWN ? (uint16_t)count : COUNT_UNKNOWN;
    memcpy(lp + 4, &kept, sizeof kept);
}

/* Once it is not known, it stays so until the listpack is empty. */
static void add_count(char *lp, int64_t change) {
    size_t count = kept_count(lp);
    if (count != COUNT_UNKNOWN) set_count(lp, (size_t)((int64_t)count + change));
}

size_t listpack_count(const char *lp) {
    size_t count = kept_count(lp);
    if (count != COUNT_UNKNOWN) return count;
    count = 0;
    for (size_t at = listpack_first(lp); at != 0; at = listpack_next(lp, at))
        count++;
    return count;
}

/* ---- items ---- */

/* Bytes of encoding and data. */
static inline size_t body_size(const char *lp, size_t at) {
    uint8_t code = byte_at(lp, at);
    if (code < 0x80) return 1;
    if (code < CODE_13) return 1 + (size_t)(code & 63);
    if (code < CODE_STRING_12) return 2;
    if (code < CODE_STRING_32) return 2 + ((size_t)(code & 15) << 8 | byte_at(lp, at + 1));
    static const uint8_t sizes[] = {0, 3, 4, 5, 9, 6, 7, 8};
    if (code < CODE_DIGITS && code > CODE_STRING_32) return sizes[code - CODE_STRING_32];
    if (code == CODE_DIGITS) return 3 + (size_t)(byte_at(lp, at + 1) & 7);
    uint32_t size;
    memcpy(&size, lp + at + 1, sizeof size);
    return 5 + (size_t)size;
}

static inline size_t back_size(size_t body) {
    if (body < 1u << 7) return 1;
    if (body < 1u << 14) return 2;
    if (body < 1u << 21) return 3;
    return body < 1u << 28 ? 4 : BACK_SIZE_MAX;
}

static size_t write_back(char *to, size_t body) {
    size_t size = back_size(body);
    for (size_t i = 0; i < size; i++) {
        unsigned group = (unsigned)(body >> 7 * (size - 1 - i)) & 127;
        to[i] = (char)(i == 0 ? group : group | 128);
    }
    return size;
}

size_t listpack_size_at(const char *lp, size_t at) {
    size_t body = body_size(lp, at);
    return body + back_size(body);
}

static inline size_t end_of(const char *lp) {
    return listpack_size(lp) - 1;
}

static inline size_t or_end(const char *lp, size_t at) {
    return byte_at(lp, at) == CODE_END ? 0 : at;
}

size_t listpack_first(const char *lp) {
    return or_end(lp, LISTPACK_HEADER_SIZE);
}

size_t listpack_next(const char *lp, size_t at) {
    return or_end(lp, at + listpack_size_at(lp, at));
}

size_t listpack_last(const char *lp) {
    return listpack_previous(lp, 0);
}

size_t listpack_previous(const char *lp, size_t at) {
    size_t end = at ? at : end_of(lp);
    if (end == LISTPACK_HEADER_SIZE) return 0;
    size_t body = 0, back = 0;
    uint8_t byte;
    do {
        byte = byte_at(lp, end - 1 - back);
        body |= (size_t)(byte & 127) << 7 * back;
        back++;
    } while (byte & 128 && back < BACK_SIZE_MAX);
    return end - back - body;
}

size_t listpack_seek(const char *lp, int64_t index) {
    size_t count = kept_count(lp);
    if (count != COUNT_UNKNOWN) {
        if (index < 0) index += (int64_t)count;
        if (index < 0 || index >= (int64_t)count) return 0;
        if (index > (int64_t)count / 2) index -= (int64_t)count;
    }
    size_t at;
    if (index >= 0) {
        at = listpack_first(lp);
        for (; index > 0 && at != 0; index--)
            at = listpack_next(lp, at);
        return at;
    }
    at = listpack_last(lp);
    for (; index < -1 && at != 0; index++)
        at = listpack_previous(lp, at);
    return at;
}

static inline int64_t read_integer(const char *from, unsigned bytes) {
    uint64_t bits = 0;
    memcpy(&bits, from, bytes);
    unsigned unused = 64 - 8 * bytes;
    return (int64_t)(bits << unused) >> unused;
}

struct item listpack_get(const char *lp, size_t at) {
    uint8_t code = byte_at(lp, at);
    struct item item = {0};
    if (code < 0x80) {
        item.integer = code;
    } else if (code < CODE_13) {
        item.text = lp + at + 1;
        item.size = code & 63;
    } else if (code < CODE_STRING_12) {
        unsigned bits = (unsigned)(code & 31) << 8 | byte_at(lp, at + 1);
        item.integer = bits < 1u << 12 ? (int64_t)bits : (int64_t)bits - (1 << 13);
    } else if (code < CODE_STRING_32) {
        item.text = lp + at + 2;
        item.size = (size_t)(code & 15) << 8 | byte_at(lp, at + 1);
    } else if (code == CODE_STRING_32) {
        uint32_t size;
        memcpy(&size, lp + at + 1, sizeof size);
        item.text = lp + at + 5;
        item.size = size;
    } else {
        item.integer = read_integer(lp + at + 1, (unsigned)body_size(lp, at) - 1);
    }
    return item;
}

bool listpack_take(const char *lp, size_t *at, struct item *item) {
    if (*at == 0) return false;
    *item = listpack_get(lp, *at);
    *at = listpack_next(lp, *at);
    return true;
}

size_t listpack_find(const char *lp, size_t at, const struct item *wanted, unsigned skip) {
    while (at != 0) {
        struct item item = listpack_get(lp, at);
        if (item_equal(&item, wanted)) return at;
        for (unsigned i = 0; i <= skip && at != 0; i++)
            at = listpack_next(lp, at);
    }
    return 0;
}

/* ---- tight ---- */

static struct item get_digits(const char *lp, size_t at, char scratch[ITEM_TEXT_MAX]) {
    unsigned head = byte_at(lp, at + 1), digits = head >> 3;
    uint64_t number = 0;
    memcpy(&number, lp + at + 2, (head & 7) + 1);
    memset(scratch, '0', digits);
    number_format_u64(scratch + digits - number_digits_u64(number), number);
    return (struct item){.text = scratch, .size = digits};
}

struct item listpack_get_tight(const char *lp, size_t at, char scratch[ITEM_TEXT_MAX]) {
    if (unlikely(byte_at(lp, at) == CODE_DIGITS)) return get_digits(lp, at, scratch);
    return listpack_get(lp, at);
}

bool listpack_take_tight(const char *lp, size_t *at, struct item *item,
                         char scratch[ITEM_TEXT_MAX]) {
    if (*at == 0) return false;
    *item = listpack_get_tight(lp, *at, scratch);
    *at = listpack_next(lp, *at);
    return true;
}

size_t listpack_find_tight(const char *lp, size_t at, const struct item *wanted) {
    char scratch[ITEM_TEXT_MAX];
    for (; at != 0; at = listpack_next(lp, at)) {
        struct item item = listpack_get_tight(lp, at, scratch);
        if (item_equal(&item, wanted)) return at;
    }
    return 0;
}

size_t listpack_saved_from(const char *lp, size_t at) {
    size_t saved = 0;
    for (size_t end = end_of(lp); at < end; at += listpack_size_at(lp, at)) {
        uint8_t code = byte_at(lp, at);
        if (code == CODE_DIGITS)
            saved += 1 + (size_t)(byte_at(lp, at + 1) >> 3) - body_size(lp, at);
        else if (code >= CODE_40)
            saved += 1 + sizeof(int64_t) - body_size(lp, at);
    }
    return saved;
}

/* The first item from `at` on that files have otherwise, or the end. */
static size_t find_unfit(const char *lp, size_t at) {
    for (size_t end = end_of(lp); at < end; at += listpack_size_at(lp, at))
        if (byte_at(lp, at) >= CODE_40) break;
    return at;
}

/* ---- bytes from outside ---- */

/* Bytes of the item at `at`, of which `left` bytes are there; 0: it is none. */
static size_t checked_size(const char *lp, size_t at, size_t left) {
    uint8_t code = byte_at(lp, at);
    if (code > CODE_64) return 0;
    size_t head = code == CODE_STRING_32                            ? 5
                  : code >= CODE_STRING_12 && code < CODE_STRING_32 ? 2
                                                                    : 1;
    if (left < head) return 0;
    size_t body = body_size(lp, at);
    if (body > left || back_size(body) > left - body) return 0;
    char back[BACK_SIZE_MAX];
    size_t size = write_back(back, body);
    return memcmp(back, lp + at + body, size) == 0 ? body + size : 0;
}

bool listpack_validate(struct bytes bytes, size_t *count) {
    const char *lp = bytes.data;
    if (bytes.size < LISTPACK_EMPTY_SIZE || listpack_size(lp) != bytes.size) return false;
    if (byte_at(lp, bytes.size - 1) != CODE_END) return false;
    size_t items = 0, at = LISTPACK_HEADER_SIZE, end = bytes.size - 1;
    while (at < end) {
        size_t size = checked_size(lp, at, end - at);
        if (size == 0) return false;
        at += size;
        items++;
    }
    size_t kept = kept_count(lp);
    if (kept != COUNT_UNKNOWN && kept != items) return false;
    if (count) *count = items;
    return true;
}

/* ---- changing ---- */

static inline unsigned integer_bytes(int64_t integer, bool tight) {
    if (integer >= INT16_MIN && integer <= INT16_MAX) return 2;
    if (integer >= -(1 << 23) && integer < 1 << 23) return 3;
    if (integer >= INT32_MIN && integer <= INT32_MAX) return 4;
    if (!tight) return 8;
    uint64_t magnitude = (uint64_t)(integer < 0 ? ~integer : integer); /* without its sign's bit */
    return (unsigned)(64 - __builtin_clzll(magnitude)) / 8 + 1;
}

static inline size_t integer_body(int64_t integer, bool tight) {
    if (integer >= 0 && integer < 128) return 1;
    if (integer >= -(1 << 12) && integer < 1 << 12) return 2;
    return 1 + integer_bytes(integer, tight);
}

static inline unsigned digits_bytes(uint64_t number) {
    return (unsigned)(63 - __builtin_clzll(number | 1)) / 8 + 1;
}

/* Is the text digits with zeros in front, not too many? */
static bool is_digits(const struct item *item, uint64_t *number) {
    if (item->size < DIGITS_MIN || item->size > DIGITS_MAX || item->text[0] != '0') return false;
    *number = 0;
    for (size_t i = 1; i < item->size; i++) {
        unsigned digit = (unsigned char)item->text[i] - (unsigned)'0';
        if (digit > 9) return false;
        *number = *number * 10 + digit;
    }
    return true;
}

static inline size_t item_body(const struct item *item, bool tight) {
    uint64_t number;
    if (!item->text) return integer_body(item->integer, tight);
    if (tight && is_digits(item, &number)) return 2 + digits_bytes(number);
    size_t head = item->size <= STRING_6_MAX ? 1 : item->size <= STRING_12_MAX ? 2 : 5;
    return head + item->size;
}

size_t listpack_item_size(const struct item *item) {
    size_t body = item_body(item, false);
    return body + back_size(body);
}

size_t listpack_item_size_tight(const struct item *item) {
    size_t body = item_body(item, true);
    return body + back_size(body);
}

static void write_integer(char *to, int64_t integer, bool tight) {
    if (integer >= 0 && integer < 128) {
        to[0] = (char)integer;
    } else if (integer >= -(1 << 12) && integer < 1 << 12) {
        unsigned bits = (unsigned)integer & 0x1fff;
        to[0] = (char)(CODE_13 | bits >> 8);
        to[1] = (char)bits;
    } else {
        unsigned bytes = integer_bytes(integer, tight);
        to[0] = (char)(bytes == 8  ? CODE_64
                       : bytes > 4 ? CODE_40 + (int)bytes - 5
                                   : CODE_16 + (int)bytes - 2);
        memcpy(to + 1, &integer, bytes);
    }
}

static void write_text(char *to, const char *text, size_t size) {
    if (size <= STRING_6_MAX) {
        *to++ = (char)(0x80 | size);
    } else if (size <= STRING_12_MAX) {
        *to++ = (char)(CODE_STRING_12 | size >> 8);
        *to++ = (char)size;
    } else {
        uint32_t low = (uint32_t)size;
        *to++ = (char)CODE_STRING_32;
        memcpy(to, &low, sizeof low);
        to += sizeof low;
    }
    memcpy(to, text, size);
}

static void write_digits(char *to, size_t digits, uint64_t number) {
    unsigned bytes = digits_bytes(number);
    to[0] = (char)CODE_DIGITS;
    to[1] = (char)(digits << 3 | (bytes - 1));
    memcpy(to + 2, &number, bytes);
}

static inline void write_item(char *to, const struct item *item, size_t body, bool tight) {
    uint64_t number;
    if (!item->text)
        write_integer(to, item->integer, tight);
    else if (tight && is_digits(item, &number))
        write_digits(to, item->size, number);
    else
        write_text(to, item->text, item->size);
    write_back(to + body, body);
}

/* Make the run of `old` bytes at `at` one of `wanted` bytes. */
static void resize_run(char *lp, size_t at, size_t old, size_t wanted) {
    size_t size = listpack_size(lp);
    INVARIANT(size - old + wanted <= LISTPACK_SIZE_MAX);
    if (old != wanted) memmove(lp + at + wanted, lp + at + old, size - at - old);
    set_size(lp, size - old + wanted);
}

void listpack_init(char *lp) {
    set_size(lp, LISTPACK_EMPTY_SIZE);
    set_count(lp, 0);
    lp[LISTPACK_HEADER_SIZE] = (char)CODE_END;
}

static inline size_t insert(char *lp, size_t at, const struct item *item, bool tight) {
    size_t body = item_body(item, tight);
    if (at == 0) at = end_of(lp);
    resize_run(lp, at, 0, body + back_size(body));
    write_item(lp + at, item, body, tight);
    add_count(lp, 1);
    return at;
}

size_t listpack_insert(char *lp, size_t at, const struct item *item) {
    return insert(lp, at, item, false);
}

size_t listpack_insert_tight(char *lp, size_t at, const struct item *item) {
    return insert(lp, at, item, true);
}

static inline void replace(char *lp, size_t at, const struct item *item, bool tight) {
    size_t body = item_body(item, tight);
    resize_run(lp, at, listpack_size_at(lp, at), body + back_size(body));
    write_item(lp + at, item, body, tight);
}

void listpack_replace(char *lp, size_t at, const struct item *item) {
    replace(lp, at, item, false);
}

void listpack_replace_tight(char *lp, size_t at, const struct item *item) {
    replace(lp, at, item, true);
}

size_t listpack_remove(char *lp, size_t at, size_t count) {
    size_t end = at, removed = 0;
    for (; removed < count && byte_at(lp, end) != CODE_END; removed++)
        end += listpack_size_at(lp, end);
    resize_run(lp, at, end - at, 0);
    if (listpack_size(lp) == LISTPACK_EMPTY_SIZE)
        set_count(lp, 0);
    else
        add_count(lp, -(int64_t)removed);
    return or_end(lp, at);
}

void listpack_append_run(char *lp, struct bytes run, size_t count) {
    size_t at = end_of(lp);
    resize_run(lp, at, 0, run.size);
    memcpy(lp + at, run.data, run.size);
    add_count(lp, (int64_t)count);
}

void listpack_join(char *lp, const char *from, bool in_front) {
    size_t size = listpack_size(from) - LISTPACK_EMPTY_SIZE;
    size_t count = kept_count(lp), more = kept_count(from);
    size_t at = in_front ? LISTPACK_HEADER_SIZE : end_of(lp);
    resize_run(lp, at, 0, size);
    memcpy(lp + at, from + LISTPACK_HEADER_SIZE, size);
    set_count(lp, count == COUNT_UNKNOWN || more == COUNT_UNKNOWN ? COUNT_UNKNOWN : count + more);
}

/* ---- buffers ---- */

void listpack_begin(struct buffer *b) {
    buffer_clear(b);
    listpack_init(buffer_reserve(b, LISTPACK_EMPTY_SIZE));
    b->size = LISTPACK_EMPTY_SIZE;
}

size_t listpack_put(struct buffer *b, size_t at, const struct item *item) {
    buffer_reserve(b, listpack_item_size(item));
    at = listpack_insert(b->data, at, item);
    b->size = listpack_size(b->data);
    return at;
}

void listpack_put_replace(struct buffer *b, size_t at, const struct item *item) {
    buffer_reserve(b, listpack_item_size(item));
    listpack_replace(b->data, at, item);
    b->size = listpack_size(b->data);
}

size_t listpack_put_remove(struct buffer *b, size_t at, size_t count) {
    at = listpack_remove(b->data, at, count);
    b->size = listpack_size(b->data);
    return at;
}

void listpack_put_loosened(struct buffer *b, const char *tight) {
    size_t at = LISTPACK_HEADER_SIZE, end = end_of(tight), fit;
    char scratch[ITEM_TEXT_MAX];
    listpack_begin(b);
    for (; at < end; at = fit) {
        fit = find_unfit(tight, at);
        if (fit == at) {
            struct item item = listpack_get_tight(tight, at, scratch);
            listpack_put(b, 0, &item);
            fit += listpack_size_at(tight, at);
        } else {
            buffer_reserve(b, fit - at);
            listpack_append_run(b->data, bytes_make(tight + at, fit - at), 0);
            b->size += fit - at;
        }
    }
    set_count(b->data, kept_count(tight));
}

void listpack_put_tightened(struct buffer *b, const char *loose) {
    size_t at = listpack_first(loose);
    struct item item;
    buffer_clear(b);
    listpack_init(buffer_reserve(b, listpack_size(loose)));
    while (listpack_take(loose, &at, &item)) {
        if (item.text) item = item_make(bytes_make(item.text, item.size));
        listpack_insert_tight(b->data, 0, &item);
    }
    b->size = listpack_size(b->data);
}
