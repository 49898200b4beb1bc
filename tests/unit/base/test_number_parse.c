/* test_number_parse.c: text to doubles: what is a number (as tried on Redis), and that it is
 * rounded as strtod rounds it, whatever its length. */
#include "base/memory.h"
#include "base/number.h"

#include "cmocka_all.h"
#include "random.h"

#include <math.h>

static void expect(const char *text, double number) {
    double got;
    if (!number_parse_double(bytes_from_text(text), &got)) fail_msg("'%s' is refused", text);
    assert_memory_equal(&got, &number, sizeof(got));
}

static const char *const refused[] = {
    "",      " 1",    "1 ",   "\t1",   "1\n",   "nan",  "NaN", "-nan", "nan(1)",
    "++1",   "-",     "+",    ".",     "-.",    "e5",   "1e",  "1e+",  "0x",
    "0x.",   "0x1p",  "1_0",  "1d",    "1f",    "1e5x", "0b1", "infi", "infinit",
    "inf ",  "- 1",   "1e 5", "1.0.0", "1..0",  "0xg",  "x10", "1,5",  "infinityx",
    "0x1p+", "1e+-5", "--1",  "0x0x1", "1e1.5", "--inf"};

static void test_accepted(void **state) {
    (void)state;
    expect("0", 0.0);
    expect("-0", -0.0);
    expect("+1", 1);
    expect("00012", 12);
    expect("1.", 1);
    expect(".5", .5);
    expect("-.5", -.5);
    expect("0x10", 16);
    expect("0X1P3", 8);
    expect("0x.8", .5);
    expect("0x1.8p1", 3);
    expect("inf", INFINITY);
    expect("+inf", INFINITY);
    expect("-INF", -INFINITY);
    expect("+Infinity", INFINITY);
    expect("1e308", 1e308);
    expect("1.7976931348623157e308", 1.7976931348623157e308);
    expect("1e-310", 1e-310);
    expect("4.9e-324", 5e-324);
    expect("2.2250738585072011e-308", 2.2250738585072011e-308);
    expect("9007199254740993", 9007199254740992.0);
    expect("9007199254740993.0000000000000001", 9007199254740994.0);
    expect("0.1", 0.1);
    expect("123456789012345678", 123456789012345678.0);
    expect("0e999999999999999999999", 0.0);
    expect("-0e-99999999999999999999", -0.0);
    expect("1e00000000000000000000000002", 100);
    expect("0.000001e6", 1);
}

static void test_refused(void **state) {
    (void)state;
    double got;
    long double got_long;
    for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
        if (number_parse_double(bytes_from_text(refused[i]), &got) ||
            number_parse_long_double(bytes_from_text(refused[i]), &got_long))
            fail_msg("'%s' is accepted", refused[i]);
    }
    assert_false(number_parse_double(BYTES("1\0"), &got));
    assert_false(number_parse_double(bytes_make(NULL, 0), &got));
    static const char *const out_of_range[] = {"1e400",
                                               "-1e400",
                                               "1.7976931348623159e308",
                                               "1e-400",
                                               "2e-324",
                                               "0x1p1024",
                                               "0x1p-1080",
                                               "1e999999999999999999999",
                                               "1e-99999999999999999999"};
    for (size_t i = 0; i < sizeof(out_of_range) / sizeof(out_of_range[0]); i++)
        assert_false(number_parse_double(bytes_from_text(out_of_range[i]), &got));
}

/* Against strtod, which takes all of these texts. */
static void check(const char *text, size_t size) {
    double expected = strtod(text, NULL);
    double got;
    bool valid = number_parse_double(bytes_make(text, size), &got);
    if (isinf(expected) || (expected == 0 && strpbrk(text, "123456789") != NULL)) {
        /* a zero's exponent may have such digits, too */
        if (valid && !(expected == 0 && got == 0)) fail_msg("'%.100s' is accepted", text);
        return;
    }
    if (!valid || memcmp(&got, &expected, sizeof(got)) != 0)
        fail_msg("'%.100s' is read as %a, not %a", text, valid ? got : 0, expected);
}

static size_t append_digits(struct random *r, char *out, size_t count) {
    uint64_t style = random_below(r, 4); /* all kinds, zeros, nines, zeros and an end */
    for (size_t i = 0; i < count; i++)
        out[i] = (char)('0' + (style == 0   ? random_below(r, 10)
                               : style == 2 ? 9
                                            : (style == 3 && i + 1 == count)));
    return count;
}

static void test_against_strtod(void **state) {
    (void)state;
    struct random r = random_from_seed();
    for (int i = 0; i < 300000; i++) {
        char text[256];
        size_t size = 0;
        if (random_below(&r, 2)) text[size++] = "+-"[random_below(&r, 2)];
        size += append_digits(&r, text + size, 1 + random_below(&r, i % 2 ? 9 : 40));
        if (random_below(&r, 2)) {
            text[size++] = '.';
            size += append_digits(&r, text + size, random_below(&r, i % 2 ? 9 : 40));
        }
        if (random_below(&r, 2))
            size += (size_t)snprintf(text + size, sizeof(text) - size, "e%d",
                                     (int)random_below(&r, i % 3 ? 50 : 700) - (i % 3 ? 25 : 350));
        text[size] = '\0';
        check(text, size);
    }
    for (int i = 0; i < 100000; i++) { /* halfway between neighbours, and hexadecimal */
        uint64_t bits = random_next(&r) >> 1;
        double number;
        memcpy(&number, &bits, sizeof(number));
        if (isnan(number) || isinf(number)) continue;
        char text[1500];
        long double middle = ((long double)number + (long double)nextafter(number, INFINITY)) / 2;
        int size = snprintf(text, sizeof(text), "%.*Lg", 17 + (int)random_below(&r, 1000), middle);
        check(text, (size_t)size);
        size = snprintf(text, sizeof(text), "%.*La", (int)random_below(&r, 20), middle);
        check(text, (size_t)size);
    }
}

static void test_long_texts(void **state) {
    (void)state;
    struct random r = random_from_seed();
    enum { SIZE = 200000 };
    char *text = memory_alloc(SIZE);
    for (int i = 0; i < 300; i++) {
        size_t size = 0;
        bool hexadecimal = random_below(&r, 3) == 0;
        if (random_below(&r, 2)) text[size++] = '-';
        if (hexadecimal) {
            memcpy(text + size, "0x", 2);
            size += 2;
        }
        size += append_digits(&r, text + size, random_below(&r, 20));
        text[size++] = '0';
        size_t whole = random_below(&r, 3) * random_below(&r, 3000);
        size += append_digits(&r, text + size, whole);
        text[size++] = '.';
        size_t parts = 1 + random_below(&r, 4);
        for (size_t part = 0; part < parts; part++)
            size += append_digits(&r, text + size, random_below(&r, 20000));
        int64_t exponent = (int64_t)random_below(&r, 600) - 300;
        if (random_below(&r, 2)) exponent -= (int64_t)whole;
        size += (size_t)snprintf(text + size, SIZE - size, "%c%" PRId64, hexadecimal ? 'p' : 'e',
                                 exponent);
        check(text, size);
    }
    /* What is far behind the point decides the rounding. */
    strcpy(text, "9007199254740993.");
    size_t size = strlen(text);
    memset(text + size, '0', 100000);
    size += 100000;
    text[size] = '\0';
    check(text, size);
    text[size++] = '1';
    text[size] = '\0';
    check(text, size);
    double got;
    assert_true(number_parse_double(bytes_make(text, size), &got) && got == 9007199254740994.0);
    /* A million zeros and an exponent that takes them back. */
    memory_free(text);
    text = memory_alloc(1000100);
    text[0] = '.';
    memset(text + 1, '0', 1000000);
    size = 1000001 + (size_t)sprintf(text + 1000001, "25e1000001");
    assert_true(number_parse_double(bytes_make(text, size), &got) && got == 2.5);
    memory_free(text);
}

static void check_long(const char *text, size_t size) {
    long double got;
    long double expected = strtold(text, NULL);
    if (!number_parse_long_double(bytes_make(text, size), &got))
        got = expected == 0 ? 0 : -1; /* too small is refused */
    if (got != expected) fail_msg("'%.100s' is read as %La, not %La", text, got, expected);
}

static void test_long_double(void **state) {
    (void)state;
    struct random r = random_from_seed();
    for (int i = 0; i < 200000; i++) {
        char text[256];
        size_t size = append_digits(&r, text, 1 + random_below(&r, 25));
        text[size++] = '.';
        size += append_digits(&r, text + size, random_below(&r, 25));
        if (random_below(&r, 2))
            size += (size_t)snprintf(text + size, sizeof(text) - size, "e%d",
                                     (int)random_below(&r, 80) - 40);
        text[size] = '\0';
        check_long(text, size);
    }
    long double got;
    assert_true(number_parse_long_double(BYTES("1e400"), &got) && got == 1e400L);
    assert_true(number_parse_long_double(BYTES("-inf"), &got) && isinf(got) && got < 0);
    assert_true(number_parse_long_double(BYTES("0x10"), &got) && got == 16);
    assert_true(number_parse_long_double(BYTES("1e-4950"), &got));
    assert_false(number_parse_long_double(BYTES("1e4933"), &got));
    assert_false(number_parse_long_double(BYTES("1e-5000"), &got));
    char text[5120];
    memset(text, '0', sizeof(text));
    text[5118] = '1';
    assert_true(number_parse_long_double(bytes_make(text, 5119), &got) && got == 1);
    assert_false(number_parse_long_double(bytes_make(text, 5120), &got));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_accepted),       cmocka_unit_test(test_refused),
        cmocka_unit_test(test_against_strtod), cmocka_unit_test(test_long_texts),
        cmocka_unit_test(test_long_double),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
