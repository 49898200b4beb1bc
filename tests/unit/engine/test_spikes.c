/* test_spikes.c: the ring of the worst moments, and their picture; errors by kind. */
#include "engine/spikes.h"

#include "../base/cmocka_all.h"
#include "engine/statistics.h"
#include <stdio.h>
#include <string.h>

static void test_one_a_second(void **state) {
    struct spikes spikes = {.count = 0};
    struct spike samples[SPIKES_SAMPLES];
    (void)state;
    spikes_add(&spikes, "command", 1000, 20);
    spikes_add(&spikes, "command", 1000, 50);
    spikes_add(&spikes, "command", 1000, 30);
    spikes_add(&spikes, "other", 1000, 7);
    spikes_add(&spikes, "command", 1001, 10);
    const struct spike_kind *kind = spikes_find(&spikes, BYTES("command"));
    assert_int_equal(spikes_list(kind, samples), 2);
    assert_int_equal(samples[0].took_ms, 50);
    assert_int_equal(samples[1].time_s, 1001);
    assert_int_equal(kind->worst_ms, 50);
    assert_null(spikes_find(&spikes, BYTES("nothing")));
    assert_true(spikes_remove(&spikes, BYTES("command")));
    assert_false(spikes_remove(&spikes, BYTES("command")));
    assert_non_null(spikes_find(&spikes, BYTES("other")));
    assert_int_equal(spikes_clear(&spikes), 1);
}

static void test_the_oldest_goes(void **state) {
    enum { COUNT = SPIKES_SAMPLES + 37 };
    struct spikes spikes = {.count = 0};
    struct spike samples[SPIKES_SAMPLES];
    (void)state;
    spikes_add(&spikes, "command", 1, 9999);
    for (int i = 0; i < COUNT; i++)
        spikes_add(&spikes, "command", 100 + i, (uint32_t)i);
    const struct spike_kind *kind = spikes_find(&spikes, BYTES("command"));
    assert_int_equal(spikes_list(kind, samples), SPIKES_SAMPLES);
    for (int i = 0; i < SPIKES_SAMPLES; i++)
        assert_int_equal(samples[i].time_s, 100 + COUNT - SPIKES_SAMPLES + i);
    assert_int_equal(kind->worst_ms, 9999);
    spikes_clear(&spikes);
}

static void test_kinds_are_bounded(void **state) {
    struct spikes spikes = {.count = 0};
    char names[SPIKES_KINDS_MAX + 5][8];
    (void)state;
    for (int i = 0; i < SPIKES_KINDS_MAX + 5; i++) {
        snprintf(names[i], sizeof names[i], "k%d", i);
        spikes_add(&spikes, names[i], 1, 1);
    }
    assert_int_equal(spikes.count, SPIKES_KINDS_MAX);
    assert_int_equal(spikes_clear(&spikes), SPIKES_KINDS_MAX);
}

static void expect_picture(const struct spikes *spikes, int64_t now_s, const char *expected) {
    struct buffer text = {0};
    spikes_draw(spikes->kinds[0], now_s, &text);
    buffer_append_byte(&text, 0);
    const char *picture = strchr(strchr(text.data, '\n') + 1, '\n') + 1; /* behind the head */
    assert_string_equal(picture, expected);
    buffer_release(&text);
}

static void test_picture(void **state) {
    static const uint32_t took_ms[] = {20, 100, 30, 60, 80};
    static const int64_t ages_s[] = {200000, 7200, 125, 59, 0};
    struct spikes spikes = {.count = 0};
    (void)state;
    spikes_add(&spikes, "command", 1000000 - ages_s[0], took_ms[0]);
    expect_picture(&spikes, 1000000, " \n \n \n_\n \n2\nd\n");
    for (int i = 1; i < 5; i++)
        spikes_add(&spikes, "command", 1000000 - ages_s[i], took_ms[i]);
    expect_picture(&spikes, 1000000, " #  _\n | _|\n | ||\n_|o||\n     \n22250\ndhm9s\n   s \n");
    spikes_clear(&spikes);
}

/* More than a strip holds: two strips, one below the other. */
static void test_wide_picture(void **state) {
    enum { STRIP = 80, LINES = 2 * 7 };
    struct spikes spikes = {.count = 0};
    struct buffer text = {0};
    (void)state;
    for (int i = 0; i < SPIKES_SAMPLES; i++)
        spikes_add(&spikes, "command", 1000 + i, 1);
    spikes_draw(spikes.kinds[0], 1000 + SPIKES_SAMPLES - 1, &text);
    size_t lines = 0;
    for (size_t i = 0; i < text.size; i++)
        lines += text.data[i] == '\n';
    assert_int_equal(lines, 2 + LINES + 1); /* two digits of an age in one of the strips */
    buffer_release(&text);
    spikes_clear(&spikes);
}

static void test_errors_are_bounded(void **state) {
    struct statistics statistics = {.errors = 0};
    char code[16];
    int first = 0;
    (void)state;
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < 2 * ERROR_CODES_MAX; i++) {
            int size = snprintf(code, sizeof code, "E%d", i);
            first += !statistics_count_error(&statistics, code, (size_t)size);
        }
    }
    assert_int_equal(first, 1);
    assert_int_equal(statistics.error_code_count, ERROR_CODES_MAX);
    assert_int_equal(statistics.errors, 4 * ERROR_CODES_MAX);
    assert_string_equal(statistics.error_codes[7].code, "E7");
    assert_int_equal(statistics.error_codes[7].count, 2);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_a_second),      cmocka_unit_test(test_the_oldest_goes),
        cmocka_unit_test(test_kinds_are_bounded), cmocka_unit_test(test_picture),
        cmocka_unit_test(test_wide_picture),      cmocka_unit_test(test_errors_are_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
