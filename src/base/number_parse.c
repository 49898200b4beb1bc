/* number_parse.c: text to double and long double, correctly rounded. Owns nothing but constant
 * tables.
 *
 * A scan of our own decides what is a number, so that neither strtod's taste for blanks and NaN nor
 * the locale (which the server never sets) has a say. Most numbers are then a small integer times
 * or divided by a power of ten, both exact, which one operation rounds right (W. D. Clinger, "How
 * to Read Floating Point Numbers Accurately", 1990). The rest goes to strtod in a copy of bounded
 * size.
 *
 * What Redis 7.0 accepts where it wants a float, tried on a server: "0x10", "1.", ".5", "+1", "-0",
 * "inf" and "infinity" in any case, "0X1P3"; not: blanks anywhere, "nan", "", "1e", "0x", "1e400"
 * and "1e-400" (neither infinity nor zero is what was meant), but "1e-310", which is denormal.
 * INCRBYFLOAT takes what fits in a long double, in fewer than 5120 bytes; others take any length.
 * (Where Redis 7.0 reads an end of a score range it is laxer: "" and " 1" pass there. That is not
 * this module's.) */
#include "base/number.h"

#include "base/invariant.h"
#include "base/number_powers.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>

enum scan_kind { SCAN_INVALID, SCAN_INFINITE, SCAN_DECIMAL, SCAN_HEXADECIMAL };

struct scan {
    enum scan_kind kind;
    bool negative;
    bool zero;    /* no digit but 0 */
    bool dropped; /* significand does not have them all */
    uint64_t
        significand;  /* the first SIGNIFICAND_DIGITS digits after leading zeros; decimal only */
    int64_t exponent; /* value = significand * 10^exponent, when nothing was dropped */
    int64_t exponent_written; /* what stood behind e or p */
    struct bytes mantissa;    /* digits and perhaps a point */
};

enum {
    SIGNIFICAND_DIGITS = 19,         /* 10^19 < 2^64 */
    LONG_DOUBLE_SIZE_MAX = 5 * 1024, /* bytes that Redis reads as a long double, and a zero */
};
/* Beyond any digits that fit in memory, and far from overflow when added to. */
static const int64_t exponent_limit = INT64_C(1) << 60;

static int digit_value(char c, bool hexadecimal) {
    if (c >= '0' && c <= '9') return c - '0';
    char lower = byte_to_lower(c);
    if (hexadecimal && lower >= 'a' && lower <= 'f') return lower - 'a' + 10;
    return -1;
}

/* Digits with at most one point; sets mantissa, zero, and for decimals significand and exponent.
 * Returns where it ends; an empty mantissa means that there was none. */
static size_t scan_mantissa(struct scan *s, struct bytes text, size_t at) {
    const bool hexadecimal = s->kind == SCAN_HEXADECIMAL;
    const size_t begin = at;
    size_t digits = 0;
    int kept = 0;
    bool point = false;
    s->zero = true;
    for (; at < text.size; at++) {
        char c = text.data[at];
        if (c == '.' && !point) {
            point = true;
            continue;
        }
        int digit = digit_value(c, hexadecimal);
        if (digit < 0) break;
        digits++;
        s->zero &= digit == 0;
        if (hexadecimal) continue;
        if (kept < SIGNIFICAND_DIGITS) {
            s->significand = s->significand * 10 + (unsigned)digit;
            kept += !s->zero;
            s->exponent -= point;
        } else {
            s->dropped |= digit != 0;
            s->exponent += !point;
        }
    }
    s->mantissa = bytes_make(text.data + begin, digits != 0 ? at - begin : 0);
    return at;
}

/* What stands behind e or p: a sign, perhaps, and digits. False without digits. */
static bool scan_exponent(struct scan *s, struct bytes text, size_t *at) {
    size_t i = *at;
    bool negative = false;
    if (i < text.size && (text.data[i] == '+' || text.data[i] == '-'))
        negative = text.data[i++] == '-';
    const size_t begin = i;
    int64_t value = 0;
    for (; i < text.size && digit_value(text.data[i], false) >= 0; i++) {
        if (value < exponent_limit / 16) value = value * 10 + digit_value(text.data[i], false);
    }
    s->exponent_written = negative ? -value : value;
    *at = i;
    return i > begin;
}

static struct scan scan_number(struct bytes text) {
    struct scan s = {.kind = SCAN_INVALID};
    size_t at = 0;
    if (at < text.size && (text.data[at] == '+' || text.data[at] == '-'))
        s.negative = text.data[at++] == '-';
    if (at == text.size) return s;
    struct bytes rest = bytes_make(text.data + at, text.size - at);
    if (bytes_is(rest, "inf") || bytes_is(rest, "infinity")) {
        s.kind = SCAN_INFINITE;
        return s;
    }
    bool hexadecimal = rest.size > 2 && rest.data[0] == '0' && byte_to_lower(rest.data[1]) == 'x';
    s.kind = hexadecimal ? SCAN_HEXADECIMAL : SCAN_DECIMAL;
    at = scan_mantissa(&s, text, hexadecimal ? at + 2 : at);
    bool valid = s.mantissa.size != 0;
    if (valid && at < text.size && byte_to_lower(text.data[at]) == (hexadecimal ? 'p' : 'e')) {
        at++;
        valid = scan_exponent(&s, text, &at);
        s.exponent += s.exponent_written;
    }
    if (!valid || at != text.size) s.kind = SCAN_INVALID;
    return s;
}

/* Room for a text that strtod reads as it reads the number: no double lies so close to the middle
 * of two others that more than 767 digits matter, if one more stands for all that follow. */
enum { DIGITS_KEPT = 800, COPY_MAX = DIGITS_KEPT + 64 };

static void copy_text(char copy[COPY_MAX], struct bytes text) {
    memcpy(copy, text.data, text.size);
    copy[text.size] = '\0';
}

static void copy_reduced(char copy[COPY_MAX], const struct scan *s) {
    const bool hexadecimal = s->kind == SCAN_HEXADECIMAL;
    const int per_digit = hexadecimal ? 4 : 1; /* what a digit's place is worth in the exponent */
    int64_t exponent = 0;                      /* in digits */
    size_t size = 0;
    size_t kept = 0;
    bool point = false;
    bool more = false;
    if (s->negative) copy[size++] = '-';
    if (hexadecimal) {
        copy[size++] = '0';
        copy[size++] = 'x';
    }
    for (size_t i = 0; i < s->mantissa.size; i++) {
        char c = s->mantissa.data[i];
        if (c == '.') {
            point = true;
        } else if (kept < DIGITS_KEPT) {
            if (kept != 0 || c != '0') copy[size + kept++] = c;
            exponent -= point;
        } else {
            more |= c != '0';
            exponent += !point;
        }
    }
    size += kept;
    if (kept == 0) copy[size++] = '0';
    if (more) {
        copy[size++] = '1';
        exponent--;
    }
    exponent = exponent * per_digit + s->exponent_written;
    const int64_t far = 1000000; /* beyond what any significand of that size can make good */
    exponent = exponent > far ? far : exponent < -far ? -far : exponent;
    copy[size++] = hexadecimal ? 'p' : 'e';
    size += number_format_i64(copy + size, exponent);
    copy[size] = '\0';
}

static bool by_strtod(struct bytes text, const struct scan *s, double *out) {
    char copy[COPY_MAX];
    if (text.size < sizeof(copy))
        copy_text(copy, text);
    else
        copy_reduced(copy, s);
    char *end;
    double value = strtod(copy, &end);
    INVARIANT(end > copy && *end == '\0');
    if (isinf(value) || (value == 0 && !s->zero)) return false;
    *out = value;
    return true;
}

/* significand * 10^exponent, when 128 bits of the power tell how to round it and the result is a
 * normal number; false otherwise. The power is rounded up, by less than one in its last bit, so the
 * product of 192 bits is too large by less than 2^64. */
static bool by_wide_product(uint64_t significand, int exponent, double *out) {
    const struct power_of_ten *power = &powers_of_ten[exponent - POWER_OF_TEN_MIN];
    const int leading_zeros = __builtin_clzll(significand);
    significand <<= leading_zeros;
    const unsigned __int128 low = (unsigned __int128)significand * power->low;
    unsigned __int128 product =
        (unsigned __int128)significand * power->high + (uint64_t)(low >> 64);
    int binary_exponent = floor_log2_of_power_of_ten(exponent) + 64 - leading_zeros;
    if (product >> 127 == 0) {
        product <<= 1;
        binary_exponent--;
    }
    enum { DROPPED = 128 - DBL_MANT_DIG };
    uint64_t mantissa = (uint64_t)(product >> DROPPED);
    const unsigned __int128 rest = product & (((unsigned __int128)1 << DROPPED) - 1);
    const unsigned __int128 half = (unsigned __int128)1 << (DROPPED - 1);
    /* In units of the product's last bit the truth lies above rest - 2 and below rest + 2: what was
     * cut off, and the power's error, each doubled by the shift. Below 0 it still rounds to
     * mantissa. */
    if (rest + 2 > half && rest < half + 2) return false;
    if (rest > half && ++mantissa >> DBL_MANT_DIG != 0) {
        mantissa >>= 1;
        binary_exponent++;
    }
    if (binary_exponent < DBL_MIN_EXP - 1 || binary_exponent > DBL_MAX_EXP - 1) return false;
    uint64_t bits = (uint64_t)(binary_exponent + DBL_MAX_EXP - 1) << (DBL_MANT_DIG - 1) |
                    (mantissa & ((UINT64_C(1) << (DBL_MANT_DIG - 1)) - 1));
    memcpy(out, &bits, sizeof(*out));
    return true;
}

bool number_parse_double(struct bytes text, double *out) {
    static const double powers[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                    1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
                                    1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22}; /* all exact */
    const int64_t power_max = sizeof(powers) / sizeof(powers[0]) - 1;
    const struct scan s = scan_number(text);
    if (s.kind == SCAN_INVALID) return false;
    if (s.kind == SCAN_INFINITE) {
        *out = s.negative ? -INFINITY : INFINITY;
        return true;
    }
    if (s.zero) {
        *out = s.negative ? -0.0 : 0.0;
        return true;
    }
    if (s.kind == SCAN_DECIMAL && !s.dropped && s.significand <= UINT64_C(1) << DBL_MANT_DIG &&
        s.exponent >= -power_max && s.exponent <= power_max) {
        double value = (double)s.significand;
        value = s.exponent < 0 ? value / powers[-s.exponent] : value * powers[s.exponent];
        *out = s.negative ? -value : value;
        return true;
    }
    if (s.kind == SCAN_DECIMAL && !s.dropped && s.exponent >= POWER_OF_TEN_MIN &&
        s.exponent <= POWER_OF_TEN_MAX && by_wide_product(s.significand, (int)s.exponent, out)) {
        *out = s.negative ? -*out : *out;
        return true;
    }
    return by_strtod(text, &s, out);
}

bool number_parse_long_double(struct bytes text, long double *out) {
    if (text.size >= LONG_DOUBLE_SIZE_MAX) return false;
    const struct scan s = scan_number(text);
    if (s.kind == SCAN_INVALID) return false;
    if (s.kind == SCAN_INFINITE) {
        *out = s.negative ? -(long double)INFINITY : (long double)INFINITY;
        return true;
    }
#if LDBL_MANT_DIG >= 64
    static const long double powers[] = {1e0L,  1e1L,  1e2L,  1e3L,  1e4L,  1e5L,  1e6L,
                                         1e7L,  1e8L,  1e9L,  1e10L, 1e11L, 1e12L, 1e13L,
                                         1e14L, 1e15L, 1e16L, 1e17L, 1e18L, 1e19L, 1e20L,
                                         1e21L, 1e22L, 1e23L, 1e24L, 1e25L, 1e26L, 1e27L};
    const int64_t power_max = sizeof(powers) / sizeof(powers[0]) - 1;
    if (s.kind == SCAN_DECIMAL && !s.dropped && s.exponent >= -power_max &&
        s.exponent <= power_max) {
        long double value = (long double)s.significand;
        value = s.exponent < 0 ? value / powers[-s.exponent] : value * powers[s.exponent];
        *out = s.negative ? -value : value;
        return true;
    }
#endif
    char copy[LONG_DOUBLE_SIZE_MAX];
    memcpy(copy, text.data, text.size);
    copy[text.size] = '\0';
    char *end;
    long double value = strtold(copy, &end);
    INVARIANT(end > copy && *end == '\0');
    if (isinf(value) || (value == 0 && !s.zero)) return false;
    *out = value;
    return true;
}
