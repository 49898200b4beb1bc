/* number_double.c: doubles and long doubles to text. Owns nothing; must never depend on the locale.
 *
 * The shortest digits are found by Schubfach (Raffaello Giulietti, "The Schubfach way to render
 * doubles", 2020; https://drive.google.com/file/d/1IEeATSVnEE6TkrHlCYNY2GjaraBjOT4f): of the two
 * decimals of 17 digits around the number, or the two of 16, that lie in its rounding interval, the
 * one closest to it. A few multiplications of 64 by 128 bits, no loop. */
#include "base/number.h"

#include "base/invariant.h"
#include "base/number_powers.h"

#include <math.h>
#include <stdio.h>

enum {
    FRACTION_BITS = 52,
    EXPONENT_BIAS = 1075, /* of the significand as an integer */
};

/* digits * 10^exponent */
struct decimal {
    uint64_t digits;
    int exponent;
};

/* floor(e * log10(2)), or of 3/4 * 2^e */
static int floor_log10_of_power_of_two(int e, bool three_quarters) {
    return (e * 1262611 - (three_quarters ? 524031 : 0)) >> 22;
}

/* The high part of power * c, its lowest bit set when anything was dropped ("round to odd"): such
 * numbers compare as the exact ones would. */
static uint64_t multiply_high(const struct power_of_ten *power, uint64_t c) {
    unsigned __int128 low = (unsigned __int128)power->low * c;
    unsigned __int128 high = (unsigned __int128)power->high * c + (uint64_t)(low >> 64);
    return (uint64_t)(high >> 64) | ((uint64_t)high > 1);
}

/* Of a finite double that is not zero, given as the bits of its fraction and its exponent. */
static struct decimal shortest_decimal(uint64_t fraction, int biased_exponent) {
    const bool normal = biased_exponent != 0;
    const uint64_t c = normal ? fraction | 1ull << FRACTION_BITS : fraction;
    const int q = (normal ? biased_exponent : 1) - EXPONENT_BIAS;
    /* At a power of two the neighbour below is half as far away as the one above. */
    const bool lower_is_closer = fraction == 0 && biased_exponent > 1;
    /* The ends of the interval read back as this number when it is even. */
    const uint64_t open = c & 1;

    const int k = floor_log10_of_power_of_two(q, lower_is_closer);
    const int shift = q + floor_log2_of_power_of_ten(-k) + 1;
    INVARIANT(-k >= POWER_OF_TEN_MIN && -k <= POWER_OF_TEN_MAX);
    const struct power_of_ten *power = &powers_of_ten[-k - POWER_OF_TEN_MIN];
    /* Four times the number and the ends of its interval, in units of 10^k. */
    const uint64_t value = multiply_high(power, 4 * c << shift);
    const uint64_t lower = multiply_high(power, (4 * c - 2 + lower_is_closer) << shift) + open;
    const uint64_t upper = multiply_high(power, (4 * c + 2) << shift) - open;

    const uint64_t below = value / 4;
    if (below >= 10) { /* one digit less? */
        const uint64_t tens = below / 10;
        const bool tens_inside = lower <= 40 * tens;
        const bool next_inside = 40 * tens + 40 <= upper;
        if (tens_inside != next_inside) return (struct decimal){tens + next_inside, k + 1};
    }
    const bool below_inside = lower <= 4 * below;
    const bool above_inside = 4 * below + 4 <= upper;
    if (below_inside != above_inside) return (struct decimal){below + above_inside, k};
    const uint64_t middle = 4 * below + 2;
    const bool up = value > middle || (value == middle && (below & 1) != 0);
    return (struct decimal){below + up, k};
}

static struct decimal without_trailing_zeros(struct decimal d) {
    if (d.digits % 100000000 == 0) {
        d.digits /= 100000000;
        d.exponent += 8;
    }
    while (d.digits % 100 == 0) {
        d.digits /= 100;
        d.exponent += 2;
    }
    if (d.digits % 10 == 0) {
        d.digits /= 10;
        d.exponent += 1;
    }
    return d;
}

/* Both layouts: `digits` as text, `size` of them, the first one worth 10^exponent. */
static size_t lay_out_fixed(char *out, const char *digits, size_t size, int exponent) {
    if (exponent < 0) {
        size_t zeros = (size_t)(-exponent - 1);
        memcpy(out, "0.00000", 7);
        memcpy(out + 2 + zeros, digits, size);
        return 2 + zeros + size;
    }
    size_t whole = (size_t)exponent + 1;
    if (size <= whole) {
        memcpy(out, digits, size);
        memset(out + size, '0', whole - size);
        return whole;
    }
    memcpy(out, digits, whole);
    out[whole] = '.';
    memcpy(out + whole + 1, digits + whole, size - whole);
    return size + 1;
}

static size_t lay_out_scientific(char *out, const char *digits, size_t size, int exponent) {
    size_t at = 0;
    out[at++] = digits[0];
    if (size > 1) {
        out[at++] = '.';
        memcpy(out + at, digits + 1, size - 1);
        at += size - 1;
    }
    out[at++] = 'e';
    out[at++] = exponent < 0 ? '-' : '+';
    uint64_t magnitude = (uint64_t)(exponent < 0 ? -exponent : exponent);
    return at + number_format_u64(out + at, magnitude);
}

/* The layout of Redis 7.2 and later: few zeros stand in for an exponent, and few digits behind the
 * point do, but not both many digits and an order of magnitude. */
static bool is_fixed(size_t size, int exponent) {
    const int zeros_max = 7, fraction_max = 6, magnitude_max = 3;
    int last = exponent - (int)size + 1; /* of the last digit */
    if (last >= 0) return last <= zeros_max;
    return -last <= fraction_max || (exponent >= -magnitude_max && exponent <= magnitude_max);
}

/* Redis 7.0 prints all of %.17g's digits ("0.10000000000000001"); newer ones the shortest ("0.1").
 */
size_t number_format_double(char *out, double number) {
    const double integer_limit = 1e17; /* the first that %.17g writes with an exponent */
    /* Minus zero is left for below: it is "-0", as in Redis. */
    if (number > -integer_limit && number < integer_limit && number != 0) {
        int64_t integer = (int64_t)number;
        if ((double)integer == number) return number_format_i64(out, integer);
    }
    uint64_t bits;
    memcpy(&bits, &number, sizeof(bits));
    size_t at = 0;
    const uint64_t fraction = bits & ((1ull << FRACTION_BITS) - 1);
    const int biased_exponent = (int)(bits >> FRACTION_BITS & 0x7ff);
    if (biased_exponent == 0x7ff && fraction != 0) {
        memcpy(out, "nan", 3);
        return 3;
    }
    if (bits >> 63) out[at++] = '-';
    if (biased_exponent == 0x7ff) {
        memcpy(out + at, "inf", 3);
        return at + 3;
    }
    if (biased_exponent == 0 && fraction == 0) {
        out[at++] = '0';
        return at;
    }
    struct decimal d = without_trailing_zeros(shortest_decimal(fraction, biased_exponent));
    char digits[NUMBER_I64_TEXT_MAX];
    size_t size = number_format_u64(digits, d.digits);
    int exponent = d.exponent + (int)size - 1;
    if (is_fixed(size, exponent)) return at + lay_out_fixed(out + at, digits, size, exponent);
    return at + lay_out_scientific(out + at, digits, size, exponent);
}

size_t number_format_long_double(char *out, size_t capacity, long double number) {
    char text[NUMBER_LONG_DOUBLE_TEXT_MAX]; /* 4933 digits, a point, 17 more, a sign */
    size_t size;
    if (isinf(number)) {
        size = (size_t)snprintf(text, sizeof(text), "%s", number < 0 ? "-inf" : "inf");
    } else if (isnan(number)) {
        size = (size_t)snprintf(text, sizeof(text), "nan");
    } else {
        int printed = snprintf(text, sizeof(text), "%.17Lf", number);
        INVARIANT(printed > 18 && (size_t)printed < sizeof(text));
        size = (size_t)printed;
        while (text[size - 1] == '0')
            size--;
        if (text[size - 1] == '.') size--;
        if (size == 2 && memcmp(text, "-0", 2) == 0) {
            text[0] = '0';
            size = 1;
        }
    }
    if (size > capacity) return 0;
    memcpy(out, text, size);
    return size;
}
