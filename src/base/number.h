/* number.h: numbers to text and back, exactly, without locale and without allocation. */
#ifndef REDSTART_BASE_NUMBER_H
#define REDSTART_BASE_NUMBER_H

#include "base/bytes.h"

enum {
    NUMBER_I64_TEXT_MAX = 21,    /* bytes that number_format_i64 and _u64 may write */
    NUMBER_DOUBLE_TEXT_MAX = 32, /* bytes that number_format_double may write */
    NUMBER_LONG_DOUBLE_TEXT_MAX = 5 * 1024,
};

/* Text to integer, strict: optional '-', no '+', no leading zeros, no blanks, nothing behind, in
 * range; what is accepted is exactly what number_format_i64 writes. */
bool number_parse_i64(struct bytes text, int64_t *out);
bool number_parse_u64(struct bytes text, uint64_t *out);

/* Text to double: decimal or hexadecimal as strtod reads them, "inf", "+inf", "-inf", "infinity" in
 * any case; no blanks, nothing behind, not NaN, not empty, and false on overflow. Correctly rounded. */
bool number_parse_double(struct bytes text, double *out);
/* The same in the long double that INCRBYFLOAT computes with. */
bool number_parse_long_double(struct bytes text, long double *out);

/* "1073741824", "1gb", "512MB", "64k", "10b": k m g are powers of 1000, kb mb gb of 1024. */
bool number_parse_memory(struct bytes text, uint64_t *out);

/* Write without terminating zero, return the bytes written. */
size_t number_format_i64(char *out, int64_t number);
size_t number_format_u64(char *out, uint64_t number);
/* Digits that number_format_u64 would write. */
size_t number_digits_u64(uint64_t number);

/* Shortest decimal text that reads back as the same double, laid out as Redis does ("3", "0.1",
 * "1e+20", "inf", "-inf", "nan"): integers in the range that a double keeps exactly are written as
 * integers, otherwise as printf's %.17g would lay the shortest digits out. */
size_t number_format_double(char *out, double number);

/* Fixed notation with up to 17 digits behind the point, trailing zeros removed: how INCRBYFLOAT and
 * HINCRBYFLOAT answer. */
size_t number_format_long_double(char *out, size_t capacity, long double number);

#endif
