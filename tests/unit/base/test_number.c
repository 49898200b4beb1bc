/* test_number.c: integers and memory sizes. */
#include "base/number.h"

#include "cmocka_all.h"
#include "random.h"

static void expect_i64(const char *text, bool valid, int64_t value) {
    int64_t got = 77;
    assert_true(number_parse_i64(bytes_from_text(text), &got) == valid);
    assert_true(got == (valid ? value : 77));
}

static void test_parse_edges(void **state) {
    (void)state;
    expect_i64("0", true, 0);
    expect_i64("-1", true, -1);
    expect_i64("9223372036854775807", true, INT64_MAX);
    expect_i64("-9223372036854775808", true, INT64_MIN);
    static const char *const invalid[] = {"",
                                          "-",
                                          "+1",
                                          "-0",
                                          "00",
                                          "01",
                                          "-01",
                                          " 1",
                                          "1 ",
                                          "1a",
                                          "a",
                                          "0x1",
                                          "1.0",
                                          "--1",
                                          "9223372036854775808",
                                          "-9223372036854775809",
                                          "18446744073709551616",
                                          "99999999999999999999",
                                          "100000000000000000000",
                                          "-"};
    for (size_t i = 0; i < sizeof(invalid) / sizeof(invalid[0]); i++)
        expect_i64(invalid[i], false, 0);
    int64_t out;
    assert_false(number_parse_i64(BYTES("1\0"), &out));
    assert_false(number_parse_i64(bytes_make(NULL, 0), &out));
    uint64_t u;
    assert_true(number_parse_u64(BYTES("18446744073709551615"), &u) && u == UINT64_MAX);
    assert_false(number_parse_u64(BYTES("18446744073709551616"), &u));
    assert_false(number_parse_u64(BYTES("99999999999999999999"), &u));
    assert_false(number_parse_u64(BYTES("-1"), &u));
}

static void check_u64(uint64_t number) {
    char expected[32];
    char text[NUMBER_I64_TEXT_MAX];
    int size = snprintf(expected, sizeof(expected), "%" PRIu64, number);
    assert_int_equal(number_format_u64(text, number), size);
    assert_memory_equal(text, expected, size);
    assert_int_equal(number_digits_u64(number), size);
    uint64_t back;
    assert_true(number_parse_u64(bytes_make(text, (size_t)size), &back) && back == number);

    size = snprintf(expected, sizeof(expected), "%" PRId64, (int64_t)number);
    assert_int_equal(number_format_i64(text, (int64_t)number), size);
    assert_memory_equal(text, expected, size);
    int64_t signed_back;
    assert_true(number_parse_i64(bytes_make(text, (size_t)size), &signed_back));
    assert_true(signed_back == (int64_t)number);
}

static void test_round_trip(void **state) {
    (void)state;
    struct random r = random_from_seed();
    for (uint64_t power = 1;; power *= 10) {
        check_u64(power - 1);
        check_u64(power);
        check_u64(power + 1);
        check_u64(0 - power);
        if (power > UINT64_MAX / 10) break;
    }
    check_u64(UINT64_MAX);
    check_u64(INT64_MAX);
    check_u64((uint64_t)INT64_MAX + 1);
    for (int i = 0; i < 300000; i++)
        check_u64(random_next(&r) >> random_below(&r, 64));
}

static void expect_size_of_memory(const char *text, uint64_t value) {
    uint64_t got = 77;
    assert_true(number_parse_memory(bytes_from_text(text), &got));
    assert_true(got == value);
}

static void test_memory_sizes(void **state) {
    (void)state;
    expect_size_of_memory("1073741824", 1073741824);
    expect_size_of_memory("1gb", 1 << 30);
    expect_size_of_memory("512MB", 512 << 20);
    expect_size_of_memory("64k", 64000);
    expect_size_of_memory("64Kb", 64 << 10);
    expect_size_of_memory("10b", 10);
    expect_size_of_memory("2m", 2000000);
    expect_size_of_memory("3G", 3000000000);
    expect_size_of_memory("007", 7);
    expect_size_of_memory("", 0);
    expect_size_of_memory("k", 0);
    expect_size_of_memory("18446744073709551615", UINT64_MAX);
    expect_size_of_memory("17179869183gb", UINT64_C(17179869183) << 30);
    static const char *const invalid[] = {"1t",
                                          "1tb",
                                          "-1",
                                          "+1",
                                          " 1",
                                          "1 ",
                                          "1 k",
                                          "1.5k",
                                          "0x1",
                                          "1e3",
                                          "1kbb",
                                          "1%",
                                          "18446744073709551616",
                                          "17179869184gb",
                                          "18446744073709551615b1"};
    for (size_t i = 0; i < sizeof(invalid) / sizeof(invalid[0]); i++) {
        uint64_t got;
        assert_false(number_parse_memory(bytes_from_text(invalid[i]), &got));
    }
    char zeros[128];
    memset(zeros, '0', sizeof(zeros));
    uint64_t got;
    assert_true(number_parse_memory(bytes_make(zeros, 127), &got));
    assert_false(number_parse_memory(bytes_make(zeros, 128), &got));
    assert_true(number_parse_memory(bytes_make(NULL, 0), &got));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parse_edges),
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_memory_sizes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
