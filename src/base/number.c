/* number.c: integers and sizes of memory, to text and back. Owns nothing but constant tables; must
 * never accept what it would not write (but for memory sizes, which people write).
 * Doubles: number_double.c (to text) and number_parse.c (from text). */
#include "base/number.h"

bool number_parse_u64(struct bytes text, uint64_t *out) {
    enum { DIGITS_MAX = 20 };
    if (text.size == 0 || text.size > DIGITS_MAX) return false;
    if (text.data[0] == '0') { /* only by itself */
        *out = 0;
        return text.size == 1;
    }
    uint64_t value = 0;
    for (size_t i = 0; i < text.size; i++) {
        unsigned digit = (unsigned)(unsigned char)text.data[i] - '0';
        if (digit > 9) return false;
        if (i == DIGITS_MAX - 1) { /* fewer cannot overflow */
            if (__builtin_mul_overflow(value, 10u, &value) ||
                __builtin_add_overflow(value, digit, &value))
                return false;
        } else {
            value = value * 10 + digit;
        }
    }
    *out = value;
    return true;
}

bool number_parse_i64(struct bytes text, int64_t *out) {
    bool negative = text.size > 0 && text.data[0] == '-';
    if (negative) {
        text.data++;
        text.size--;
    }
    uint64_t magnitude;
    if (!number_parse_u64(text, &magnitude)) return false;
    if (negative) {
        if (magnitude == 0 || magnitude > (uint64_t)INT64_MAX + 1) return false;
        *out = (int64_t)(0 - magnitude);
    } else {
        if (magnitude > INT64_MAX) return false;
        *out = (int64_t)magnitude;
    }
    return true;
}

/* 0 for what is no unit. */
static uint64_t unit_of_memory(struct bytes unit) {
    static const struct {
        const char *name;
        uint64_t bytes;
    } units[] = {
        {"", 1},
        {"b", 1},
        {"k", 1000},
        {"kb", 1024},
        {"m", 1000 * 1000},
        {"mb", 1024 * 1024},
        {"g", 1000 * 1000 * 1000},
        {"gb", 1024 * 1024 * 1024},
    };
    for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
        if (bytes_is(unit, units[i].name)) return units[i].bytes;
    }
    return 0;
}

/* As Redis reads them, tried on 7.0: leading zeros are fine, up to 127 digits; no digits at all, as
 * in
 * "" or "k", are 0; a sign, a blank, a fraction are not accepted. Where the product does not fit in
 * 64 bits Redis goes on with a wrapped or clipped number; we say no. */
bool number_parse_memory(struct bytes text, uint64_t *out) {
    enum { DIGITS_MAX = 127 };
    uint64_t value = 0;
    size_t i = 0;
    for (; i < text.size && text.data[i] >= '0' && text.data[i] <= '9'; i++) {
        if (i == DIGITS_MAX || __builtin_mul_overflow(value, 10u, &value) ||
            __builtin_add_overflow(value, (unsigned)(text.data[i] - '0'), &value))
            return false;
    }
    uint64_t unit =
        unit_of_memory(bytes_make(text.size != 0 ? text.data + i : NULL, text.size - i));
    if (unit == 0 || __builtin_mul_overflow(value, unit, &value)) return false;
    *out = value;
    return true;
}

static const char digit_pairs[] = "0001020304050607080910111213141516171819"
                                  "2021222324252627282930313233343536373839"
                                  "4041424344454647484950515253545556575859"
                                  "6061626364656667686970717273747576777879"
                                  "8081828384858687888990919293949596979899";

size_t number_digits_u64(uint64_t number) {
    static const uint64_t powers[] = {
        0,
        10,
        100,
        1000,
        10000,
        100000,
        1000000,
        10000000,
        100000000,
        1000000000,
        10000000000,
        100000000000,
        1000000000000,
        10000000000000,
        100000000000000,
        1000000000000000,
        10000000000000000,
        100000000000000000,
        1000000000000000000,
        10000000000000000000u,
    };
    /* bits * log10(2), rounded down, is the number of digits or one less. */
    unsigned bits = 64 - (unsigned)__builtin_clzll(number | 1);
    unsigned guess = bits * 1233 >> 12;
    return guess + (number >= powers[guess]);
}

/* Exactly eight digits; the divisions do not wait for one another. */
static void write_eight_digits(char *out, uint32_t number) {
    const uint32_t high = number / 10000;
    const uint32_t low = number % 10000;
    memcpy(out, digit_pairs + high / 100 * 2, 2);
    memcpy(out + 2, digit_pairs + high % 100 * 2, 2);
    memcpy(out + 4, digit_pairs + low / 100 * 2, 2);
    memcpy(out + 6, digit_pairs + low % 100 * 2, 2);
}

size_t number_format_u64(char *out, uint64_t number) {
    const size_t size = number_digits_u64(number);
    char *end = out + size;
    while (number >= 100000000) {
        end -= 8;
        write_eight_digits(end, (uint32_t)(number % 100000000));
        number /= 100000000;
    }
    uint32_t rest = (uint32_t)number;
    while (rest >= 100) {
        end -= 2;
        memcpy(end, digit_pairs + rest % 100 * 2, 2);
        rest /= 100;
    }
    if (rest >= 10)
        memcpy(end - 2, digit_pairs + rest * 2, 2);
    else
        end[-1] = (char)('0' + rest);
    return size;
}

size_t number_format_i64(char *out, int64_t number) {
    if (number >= 0) return number_format_u64(out, (uint64_t)number);
    *out = '-';
    return 1 + number_format_u64(out + 1, 0 - (uint64_t)number);
}
