/* glob.c: Redis's patterns over bytes. Owns nothing, allocates nothing, does not recurse.
 *
 * Every element of a pattern but the star takes exactly one byte of the text, so when the rest does
 * not fit it is enough to let the last star take one byte more: an earlier star could not help.
 *
 * What Redis does at the edges, and so do we:
 *   [c-a]     is [a-c]; bytes from 0x80 on are below 0, so [a-\xff] is [\xff-a]
 *   [Z-a]     where case is ignored is put in order first and then folded: z to a, no byte at all
 *   [\A]      takes A alone, also where case is ignored
 *   [a-]      is a range up to ']', and the class then has no end
 *   [abc      without an end is a class of all that follows
 *   []  [^]   no byte; any byte
 *   a\        a backslash at the very end stands for itself
 *   **        takes any text but the empty one, which only the empty pattern matches */
#include "base/glob.h"

struct matcher {
    struct bytes pattern;
    bool ignore_case;
};

static unsigned char fold_case(const struct matcher *m, char c) {
    return (unsigned char)(m->ignore_case ? byte_to_lower(c) : c);
}

static bool range_takes(const struct matcher *m, char from, char to, unsigned char c) {
    const bool reversed = (signed char)from > (signed char)to;
    const signed char low = (signed char)fold_case(m, reversed ? to : from);
    const signed char high = (signed char)fold_case(m, reversed ? from : to);
    return low <= (signed char)c && (signed char)c <= high;
}

/* The class whose '[' stands at `at`: is `byte` in it? `at` moves behind its end. */
static bool class_takes(const struct matcher *m, size_t *at, char byte) {
    const unsigned char c = fold_case(m, byte);
    const char *p = m->pattern.data;
    const size_t end = m->pattern.size;
    size_t i = *at + 1;
    bool found = false;
    bool negated = i < end && p[i] == '^';
    if (negated) i++;
    while (i < end && p[i] != ']') {
        if (p[i] == '\\' && i + 1 < end) {
            found |= p[i + 1] == byte;
            i += 2;
        } else if (i + 2 < end && p[i + 1] == '-') {
            found |= range_takes(m, p[i], p[i + 2], c);
            i += 3;
        } else {
            found |= fold_case(m, p[i]) == c;
            i++;
        }
    }
    *at = i < end ? i + 1 : end;
    return found != negated;
}

/* The element at `at`, which is no star: does it take `byte`? `at` moves behind it. */
static bool element_takes(const struct matcher *m, size_t *at, char byte) {
    const char *p = m->pattern.data;
    size_t i = *at;
    switch (p[i]) {
    case '?': *at = i + 1; return true;
    case '[': return class_takes(m, at, byte);
    case '\\':
        if (i + 1 < m->pattern.size) i++;
        break;
    default: break;
    }
    *at = i + 1;
    return fold_case(m, p[i]) == fold_case(m, byte);
}

bool glob_match(struct bytes pattern, struct bytes text, bool ignore_case) {
    const struct matcher m = {pattern, ignore_case};
    const size_t none = SIZE_MAX;
    size_t in_pattern = 0;
    size_t in_text = 0;
    size_t behind_star = none; /* where the pattern goes on behind the last star */
    size_t star_ends = 0;      /* where the text goes on behind what that star took */

    if (text.size == 0) return pattern.size == 0;

    while (in_text < text.size) {
        if (in_pattern < pattern.size && pattern.data[in_pattern] == '*') {
            behind_star = ++in_pattern;
            star_ends = in_text;
        } else if (in_pattern < pattern.size &&
                   element_takes(&m, &in_pattern, text.data[in_text])) {
            in_text++;
        } else if (behind_star != none) {
            in_pattern = behind_star;
            in_text = ++star_ends;
        } else {
            return false;
        }
    }
    while (in_pattern < pattern.size && pattern.data[in_pattern] == '*')
        in_pattern++;
    return in_pattern == pattern.size;
}
