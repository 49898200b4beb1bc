/* test_number_double.c: doubles to text: examples, layout, and on many bit patterns the two
 * promises, that the text reads back as the same number and that no shorter one would. */
#include "base/number.h"

#include "cmocka_all.h"
#include "random.h"

#include <math.h>

static void expect(double number, const char *text) {
    char out[NUMBER_DOUBLE_TEXT_MAX + 1];
    size_t size = number_format_double(out, number);
    out[size] = '\0';
    assert_string_equal(out, text);
}

static void test_examples(void **state) {
    (void)state;
    expect(3, "3");
    expect(-3, "-3");
    expect(0, "0");
    expect(-0.0, "-0");
    expect(0.1, "0.1");
    expect(0.3, "0.3");
    expect(0.1 + 0.2, "0.30000000000000004");
    expect(-1.5, "-1.5");
    expect(123456.789, "123456.789");
    expect(INFINITY, "inf");
    expect(-INFINITY, "-inf");
    expect((double)NAN, "nan");
    expect(-(double)NAN, "nan");
    expect(1e20, "1e+20");
    expect(1e16, "10000000000000000");
    expect(1e17, "1e+17");
    expect(-1e17, "-1e+17");
    expect(99999999999999984.0, "99999999999999984");
    expect(72057594037927936.0, "72057594037927936");
    expect(9007199254740993.0, "9007199254740992");
    expect(123456789012345678.0, "123456789012345680");
    expect(1e23, "1e+23");
    expect(9.5e-7, "9.5e-7");
    expect(1e-7, "1e-7");
    expect(0.0000015, "1.5e-6");
    expect(1.5e-5, "0.000015");
    expect(1.234e-4, "1.234e-4");
    expect(1234.5678901, "1234.5678901");
    expect(12345.6789012, "1.23456789012e+4");
    expect(1694102400.123456, "1694102400.123456");
    expect(9223372036854775808.0, "9223372036854776000");
    expect(1.5e25, "1.5e+25");
    expect(-123456789012345670000000.0, "-123456789012345670000000");
    expect(1e-4, "0.0001");
    expect(0.000123, "0.000123");
    expect(1e-5, "0.00001");
    expect(1.2345e-100, "1.2345e-100");
    expect(5e-324, "5e-324");
    expect(2.2250738585072014e-308, "2.2250738585072014e-308");
    expect(2.225073858507201e-308, "2.225073858507201e-308");
    expect(1.7976931348623157e308, "1.7976931348623157e+308");
    expect(9007199254740990.5, "9007199254740990");
    expect(4503599627370495.5, "4503599627370495.5");
}

static size_t count_digits(const char *text) {
    size_t digits = 0;
    size_t zeros = 0; /* that may turn out to be trailing */
    for (; *text != '\0' && *text != 'e'; text++) {
        if (*text == '0' && digits != 0) {
            zeros++;
        } else if (*text >= '1' && *text <= '9') {
            digits += zeros + 1;
            zeros = 0;
        }
    }
    return digits;
}

static double from_bits(uint64_t bits) {
    double number;
    memcpy(&number, &bits, sizeof(number));
    return number;
}

static void check(double number) {
    if (isnan(number) || isinf(number)) return;
    char out[NUMBER_DOUBLE_TEXT_MAX + 1];
    size_t size = number_format_double(out, number);
    assert_true(size <= NUMBER_DOUBLE_TEXT_MAX);
    out[size] = '\0';
    char *end;
    double back = strtod(out, &end);
    if (*end != '\0' || memcmp(&back, &number, sizeof(back)) != 0)
        fail_msg("%a printed as %s", number, out);

    const bool integer = fabs(number) < 1e17 && number == trunc(number);
    char other[64];
    for (int precision = 15; precision <= 17; precision++) {
        snprintf(other, sizeof(other), "%.*g", precision, number);
        if (strtod(other, NULL) != number) continue;
        if (!integer && count_digits(out) > count_digits(other))
            fail_msg("%a printed as %s, %s is shorter", number, out, other);
        break;
    }
    snprintf(other, sizeof(other), "%.17g", number);
    if (integer) assert_string_equal(out, other);
    const char *exponent = strchr(out, 'e');
    if (exponent) assert_true(exponent[2] >= '1' && exponent[2] <= '9');
    if (!exponent && isfinite(number)) assert_true(size <= sizeof "-123456789012345670000000");
}

static void test_properties(void **state) {
    (void)state;
    struct random r = random_from_seed();
    for (int i = 0; i < 200000; i++) {
        check(from_bits(random_next(&r)));
        check(from_bits(random_next(&r) >> random_below(&r, 64))); /* denormals, too */
        check((double)(int64_t)random_next(&r) / (double)(1 << random_below(&r, 31)));
        check((double)random_below(&r, 1000000) / 1000);
    }
    for (uint64_t exponent = 0; exponent < 2047; exponent++) {
        for (uint64_t near = 0; near < 4; near++) {
            check(from_bits((exponent << 52) + near));
            check(from_bits((exponent << 52) - near - 1));
        }
    }
    for (int power = -330; power < 310; power++) {
        char text[32];
        for (int digit = 1; digit < 10; digit++) {
            snprintf(text, sizeof(text), "%de%d", digit, power);
            double number = strtod(text, NULL);
            check(number);
            check(nextafter(number, INFINITY));
            check(nextafter(number, 0));
        }
    }
}

static void expect_long(long double number, const char *text) {
    char out[NUMBER_LONG_DOUBLE_TEXT_MAX];
    size_t size = number_format_long_double(out, sizeof(out), number);
    assert_int_equal(size, strlen(text));
    assert_memory_equal(out, text, size);
}

static void test_long_double(void **state) {
    (void)state;
    expect_long(0.1L + 0.2L, "0.3");
    expect_long(3, "3");
    expect_long(5200, "5200");
    expect_long(10.6L, "10.6");
    expect_long(100, "100");
    expect_long(-0.0L, "0");
    expect_long(-1e-20L, "0");
    expect_long(1.5e-17L, "0.00000000000000002");
    expect_long(-2.5L, "-2.5");
    expect_long(1 - 1e-17L, "0.99999999999999999");
    expect_long(1e20L, "100000000000000000000");
    expect_long((long double)INFINITY, "inf");
    expect_long(-(long double)INFINITY, "-inf");
    expect_long((long double)NAN, "nan");
    char out[NUMBER_LONG_DOUBLE_TEXT_MAX];
    assert_true(number_format_long_double(out, sizeof(out), -1.18e4932L) == 4934);
    assert_int_equal(number_format_long_double(out, 2, 100), 0);
    assert_int_equal(number_format_long_double(out, 3, 100), 3);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_examples),
        cmocka_unit_test(test_properties),
        cmocka_unit_test(test_long_double),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
