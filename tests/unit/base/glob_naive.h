/* glob_naive.h: the plainest matcher of Redis's patterns, to hold glob_match against: each element
 * of the pattern becomes the set of bytes that it takes, and a table says which prefixes match. */
#ifndef REDSTART_TESTS_GLOB_NAIVE_H
#define REDSTART_TESTS_GLOB_NAIVE_H

#include "base/bytes.h"

enum { GLOB_NAIVE_MAX = 64 }; /* bytes of a pattern or a text */

struct glob_naive_element {
    bool star;
    bool takes[256];
};

static inline void glob_naive_add(struct glob_naive_element *e, char c, bool ignore_case) {
    for (int b = 0; b < 256; b++) {
        if ((char)b == c || (ignore_case && byte_to_lower((char)b) == byte_to_lower(c)))
            e->takes[b] = true;
    }
}

static inline void glob_naive_add_range(struct glob_naive_element *e, char from, char to,
                                        bool ignore_case) {
    int low = (signed char)from;
    int high = (signed char)to;
    if (low > high) {
        int swap = low;
        low = high;
        high = swap;
    }
    if (ignore_case) {
        low = (signed char)byte_to_lower((char)low);
        high = (signed char)byte_to_lower((char)high);
    }
    for (int b = 0; b < 256; b++) {
        int value = (signed char)(ignore_case ? byte_to_lower((char)b) : (char)b);
        if (low <= value && value <= high) e->takes[b] = true;
    }
}

/* Returns where the class that begins at `at` ends. */
static inline size_t glob_naive_class(struct glob_naive_element *e, struct bytes p, size_t at,
                                      bool ignore_case) {
    bool negated = false;
    at++;
    if (at < p.size && p.data[at] == '^') {
        negated = true;
        at++;
    }
    while (true) {
        if (at == p.size) break;
        if (p.size - at >= 2 && p.data[at] == '\\') {
            e->takes[(unsigned char)p.data[at + 1]] = true;
            at += 2;
            continue;
        }
        if (p.data[at] == ']') {
            at++;
            break;
        }
        if (p.size - at >= 3 && p.data[at + 1] == '-') {
            glob_naive_add_range(e, p.data[at], p.data[at + 2], ignore_case);
            at += 3;
            continue;
        }
        glob_naive_add(e, p.data[at], ignore_case);
        at++;
    }
    for (int b = 0; b < 256; b++)
        e->takes[b] = e->takes[b] != negated;
    return at;
}

static inline bool glob_naive_match(struct bytes pattern, struct bytes text, bool ignore_case) {
    struct glob_naive_element elements[GLOB_NAIVE_MAX];
    size_t count = 0;
    for (size_t at = 0; at < pattern.size; count++) {
        struct glob_naive_element *e = &elements[count];
        memset(e, 0, sizeof(*e));
        char c = pattern.data[at];
        if (c == '[') {
            at = glob_naive_class(e, pattern, at, ignore_case);
            continue;
        }
        if (c == '*')
            e->star = true;
        else if (c == '?')
            memset(e->takes, true, sizeof(e->takes));
        else if (c == '\\' && at + 1 < pattern.size)
            glob_naive_add(e, pattern.data[++at], ignore_case);
        else
            glob_naive_add(e, c, ignore_case);
        at++;
    }
    if (text.size == 0) return pattern.size == 0;
    /* matches[t]: the elements so far take exactly the first t bytes. */
    bool matches[GLOB_NAIVE_MAX + 1] = {true};
    for (size_t i = 0; i < count; i++) {
        bool next[GLOB_NAIVE_MAX + 1] = {false};
        for (size_t t = 0; t <= text.size; t++) {
            if (elements[i].star)
                next[t] = matches[t] || (t > 0 && next[t - 1]);
            else
                next[t] =
                    t > 0 && matches[t - 1] && elements[i].takes[(unsigned char)text.data[t - 1]];
        }
        memcpy(matches, next, sizeof(matches));
    }
    return matches[text.size];
}

#endif
