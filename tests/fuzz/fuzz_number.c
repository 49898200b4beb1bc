/* fuzz_number.c: every parser of numbers on any bytes: what it accepts has to be what strtod reads,
 * and has to survive being written and read again. */
#include "base/number.h"

#include <math.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void expect(bool condition) {
    if (!condition) abort();
}

static void fuzz_integers(struct bytes text) {
    char again[NUMBER_I64_TEXT_MAX];
    int64_t i;
    if (number_parse_i64(text, &i))
        expect(bytes_equal(bytes_make(again, number_format_i64(again, i)), text));
    uint64_t u;
    if (number_parse_u64(text, &u))
        expect(bytes_equal(bytes_make(again, number_format_u64(again, u)), text));
    number_parse_memory(text, &u);
}

static void fuzz_double(struct bytes text, const char *with_zero) {
    char *end;
    double expected = strtod(with_zero, &end);
    bool whole = text.size != 0 && end == with_zero + text.size;
    double got;
    if (!number_parse_double(text, &got)) {
        /* refused: no number to strtod either, or a blank before it, NaN, out of range */
        bool blank = text.size != 0 && strchr(" \t\n\v\f\r", text.data[0]) != NULL;
        expect(!whole || blank || isnan(expected) || isinf(expected) || expected == 0);
        return;
    }
    expect(whole && memcmp(&got, &expected, sizeof(got)) == 0);
    char again[NUMBER_DOUBLE_TEXT_MAX];
    double back;
    expect(number_parse_double(bytes_make(again, number_format_double(again, got)), &back));
    expect(memcmp(&got, &back, sizeof(got)) == 0);
}

static void fuzz_long_double(struct bytes text, const char *with_zero) {
    char *end;
    long double expected = strtold(with_zero, &end);
    long double got;
    if (!number_parse_long_double(text, &got)) return;
    expect(end == with_zero + text.size && got == expected);
    char again[NUMBER_LONG_DOUBLE_TEXT_MAX];
    expect(number_format_long_double(again, sizeof(again), got) != 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    enum { TEXT_MAX = 6000 };
    if (size > TEXT_MAX) return 0;
    /* A block of exactly this size, so that a sanitizer sees a step behind its end. */
    char *exact = malloc(size != 0 ? size : 1);
    char *with_zero = malloc(size + 1);
    expect(exact != NULL && with_zero != NULL);
    if (size != 0) {
        memcpy(exact, data, size);
        memcpy(with_zero, data, size);
    }
    with_zero[size] = '\0';
    struct bytes text = bytes_make(exact, size);
    fuzz_integers(text);
    fuzz_double(text, with_zero);
    fuzz_long_double(text, with_zero);
    free(exact);
    free(with_zero);
    return 0;
}
