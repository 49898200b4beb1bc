/* bytes.h: a run of bytes with its length, which nothing ends but the length.
 *
 * `struct bytes` borrows: it owns nothing, and is valid as long as what it points into. */
#ifndef REDSTART_BASE_BYTES_H
#define REDSTART_BASE_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct bytes {
    const char *data; /* may be NULL only when size is 0 */
    size_t size;      /* in bytes */
};

/* A literal as bytes, without its terminating zero. */
#define BYTES(literal) ((struct bytes){(literal), sizeof(literal) - 1})

static inline struct bytes bytes_make(const void *data, size_t size) {
    return (struct bytes){(const char *)data, size};
}

static inline struct bytes bytes_from_text(const char *text) {
    return (struct bytes){text, strlen(text)};
}

static inline uint64_t bytes_word(const char *at) {
    uint64_t word;
    memcpy(&word, at, sizeof word);
    return word;
}

/* 0 to 8 bytes as a number: another one for each other content of the same size. */
static inline uint64_t bytes_short_word(const char *at, size_t size) {
    if (size >= sizeof(uint32_t)) {
        uint32_t first, last;
        memcpy(&first, at, sizeof first);
        memcpy(&last, at + size - sizeof last, sizeof last);
        return (uint64_t)first << 32 | last;
    }
    if (size == 0) return 0;
    return (uint64_t)(uint8_t)at[0] << 16 | (uint64_t)(uint8_t)at[size / 2] << 8 |
           (uint8_t)at[size - 1];
}

/* The usual key has at most 32 bytes: up to four words that overlap, without a call. */
static inline bool bytes_equal(struct bytes a, struct bytes b) {
    enum { WORD = 8, WORDS_MAX = 4 * WORD };
    if (a.size != b.size) return false;
    size_t size = a.size;
    if (size > WORDS_MAX) return memcmp(a.data, b.data, size) == 0;
    if (size < WORD) return bytes_short_word(a.data, size) == bytes_short_word(b.data, size);
    uint64_t difference = (bytes_word(a.data) ^ bytes_word(b.data)) |
                          (bytes_word(a.data + size - WORD) ^ bytes_word(b.data + size - WORD));
    if (size <= 2 * WORD) return difference == 0;
    difference |= bytes_word(a.data + WORD) ^ bytes_word(b.data + WORD);
    difference |= bytes_word(a.data + size - 2 * WORD) ^ bytes_word(b.data + size - 2 * WORD);
    return difference == 0;
}

/* Compare as memcmp does, a shorter run before a longer one that begins with it. */
int bytes_compare(struct bytes a, struct bytes b);

/* Equal but for the case of ASCII letters; never looks at the locale. */
bool bytes_equal_ignore_case(struct bytes a, struct bytes b);

static inline bool bytes_is(struct bytes a, const char *text) {
    return bytes_equal_ignore_case(a, bytes_from_text(text));
}

/* Compare in a time that depends on the sizes alone (for secrets). */
bool bytes_equal_constant_time(struct bytes a, struct bytes b);

static inline char byte_to_lower(char c) {
    return (c >= 'A' && c <= 'Z') ? (char)(c + ('a' - 'A')) : c;
}

#endif
