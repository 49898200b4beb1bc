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
 * any case; no blanks, nothing behind, not NaN, not empty, and false on overflow and where what is
 * not zero would become zero. Correctly rounded. */
bool number_parse_double(struct bytes text, double *out);
/* The same in the long double that INCRBYFLOAT computes with; not from 5120 bytes or more. */
bool number_parse_long_double(struct bytes text, long double *out);

/* "1073741824", "1gb", "512MB", "64k", "10b": k m g are powers of 1000, kb mb gb of 1024. Without
 * digits ("", "k") it is 0, as in Redis. False when the product does not fit. */
bool number_parse_memory(struct bytes text, uint64_t *out);

/* Write without terminating zero, return the bytes written. */
size_t number_format_i64(char *out, int64_t number);
size_t number_format_u64(char *out, uint64_t number);
/* Digits that number_format_u64 would write. */
size_t number_digits_u64(uint64_t number);

/* Shortest decimal text that reads back as the same double, laid out as Redis does since 7.2 ("3",
 * "0.1", "1e+20", "0.00001", "1.234e-4", "inf", "-inf", "nan", "-0"); integers below 10^17, which
 * fit in 17 digits, are written as they are. */
size_t number_format_double(char *out, double number);

/* Fixed notation with up to 17 digits behind the point, trailing zeros removed, never "-0": how
 * INCRBYFLOAT and HINCRBYFLOAT answer. 0 when it does not fit in `capacity`. */
size_t number_format_long_double(char *out, size_t capacity, long double number);

#endif
