/* test_moment.c: times and offsets as somebody types them. */
#include "../base/cmocka_all.h"
#include "tool/restore/moment.h"

static int64_t time_of(const char *text, int64_t zone_s) {
    struct moment moment;
    if (!moment_parse(bytes_from_text(text), zone_s, &moment)) return -1;
    assert_int_equal(moment.kind, MOMENT_TIME);
    return moment.time_ms;
}

static void test_times(void **state) {
    (void)state;
    assert_int_equal(time_of("@0", 0), 999);
    assert_int_equal(time_of("@1763712000", 3600), 1763712000999);
    assert_int_equal(time_of("@1763712000.25", 0), 1763712000250);
    assert_int_equal(time_of("@1763712000.000", 0), 1763712000000);
    assert_int_equal(time_of("2025-11-21 08:00:00Z", 3600), 1763712000999);
    assert_int_equal(time_of("2025-11-21T08:00:00 UTC", 3600), 1763712000999);
    assert_int_equal(time_of("2025-11-21 09:00:00", 3600), 1763712000999);
    assert_int_equal(time_of("2025-11-21 09:00:00+01:00", 0), 1763712000999);
    assert_int_equal(time_of("2025-11-21 02:30:00-05:30", 0), 1763712000999);
    assert_int_equal(time_of("2025-11-21 08:00:00.5", 0), 1763712000500);
    assert_int_equal(time_of("2025-11-21 08:00:00.123456Z", 7), 1763712000123);
    assert_int_equal(time_of("2025-11-21 08:00", 0), 1763712059999);
    assert_int_equal(time_of("2024-02-29 00:00:00", 0), 1709164800999);
}

static void test_offsets(void **state) {
    (void)state;
    struct moment moment;
    assert_true(moment_parse(BYTES("0"), 0, &moment));
    assert_int_equal(moment.kind, MOMENT_OFFSET);
    assert_true(moment_parse(BYTES("18446744073709551615"), 0, &moment));
    assert_true(moment.offset == UINT64_MAX);
}

static void test_what_is_neither(void **state) {
    (void)state;
    static const char *const texts[] = {
        "",
        "now",
        "@",
        "@-1",
        "@1.",
        "@1.5x",
        "@99999999999999999999",
        "-5",
        "1.5",
        "2025-11-21",
        "2025-11-21 08",
        "2025-13-21 08:00",
        "2025-02-29 08:00",
        "2025-11-21 24:00",
        "2025-11-21 08:60",
        "2025-11-21 08:00:61",
        "2025-11-21 08:00:00+1",
        "2025-11-21 08:00:00 CET",
        "2025-11-21 08:00:00.",
        "2025-11-21 08:00:00.1234567",
        "2025-11-21 08:00:00+25:00",
        "1900-01-01 00:00:00",
    };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        if (time_of(texts[i], 0) != -1) fail_msg("%s was taken for a time", texts[i]);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_times),
        cmocka_unit_test(test_offsets),
        cmocka_unit_test(test_what_is_neither),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
