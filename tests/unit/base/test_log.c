/* test_log.c: the log's lines, and the calendar that dates them. */
#include "base/log.h"
#include "base/time.h"

#include "cmocka_all.h"
#include "random.h"

#include <time.h>

struct sink {
    char text[4096];
    size_t size;
    enum log_level level;
    int64_t now_us;
};

static int64_t sink_now(void *context) {
    return ((struct sink *)context)->now_us;
}

static void sink_write(void *context, enum log_level level, struct bytes line) {
    struct sink *sink = context;
    assert_true(line.size <= sizeof(sink->text));
    memcpy(sink->text, line.data, line.size);
    sink->size = line.size;
    sink->level = level;
}

static struct log log_into(struct sink *sink) {
    return (struct log){.level = LOG_NOTICE,
                        .role = 'M',
                        .pid = 12345,
                        .wall_us = sink_now,
                        .write = sink_write,
                        .context = sink};
}

static void expect(struct sink *sink, const char *line) {
    assert_int_equal(sink->size, strlen(line));
    assert_memory_equal(sink->text, line, sink->size);
    sink->size = 0;
}

static void test_lines(void **state) {
    (void)state;
    struct sink sink = {.now_us = 1795230245678901}; /* 2026-11-21 03:04:05.678901 */
    struct log log = log_into(&sink);
    log_notice(&log, "Ready to accept connections %s", "tcp");
    expect(&sink, "12345:M 21 Nov 2026 03:04:05.678 * Ready to accept connections tcp\n");
    log.role = 'S';
    log.utc_offset_s = 3600;
    log_warning(&log, "x");
    assert_int_equal(sink.level, LOG_WARNING);
    expect(&sink, "12345:S 21 Nov 2026 04:04:05.678 # x\n");
    log_verbose(&log, "dropped");
    assert_int_equal(sink.size, 0);
    log.level = LOG_DEBUG;
    log_verbose(&log, "v");
    expect(&sink, "12345:S 21 Nov 2026 04:04:05.678 - v\n");
    log_debug(&log, "d");
    expect(&sink, "12345:S 21 Nov 2026 04:04:05.678 . d\n");
    log_raw(&log, LOG_NOTICE, BYTES("banner"));
    expect(&sink, "banner");
    log.level = LOG_NOTHING;
    log_warning(&log, "dropped");
    log_raw(&log, LOG_WARNING, BYTES("dropped"));
    assert_int_equal(sink.size, 0);
}

static void test_long_lines_are_cut(void **state) {
    (void)state;
    struct sink sink = {.now_us = 0};
    struct log log = log_into(&sink);
    for (int size = LOG_LINE_MAX - 2; size <= LOG_LINE_MAX + 2; size++) {
        log_notice(&log, "%0*d", size, 7);
        size_t prefix = strlen("12345:M 01 Jan 1970 00:00:00.000 * ");
        size_t message = size < LOG_LINE_MAX ? (size_t)size : LOG_LINE_MAX;
        assert_int_equal(sink.size, prefix + message + 1);
        assert_int_equal(sink.text[sink.size - 1], '\n');
    }
    log.pid = INT64_MIN;
    sink.now_us = INT64_MIN;
    log_notice(&log, "the longest prefix");
}

static void test_calendar_against_libc(void **state) {
    (void)state;
    struct random r = random_from_seed();
    for (int i = 0; i < 200000; i++) {
        int64_t us = (int64_t)(random_next(&r) >> 1) / 16 * (random_below(&r, 2) ? 1 : -1);
        struct time_civil civil = time_civil_from_us(us);
        assert_true(time_us_from_civil(&civil) == us);
        time_t seconds = (us - civil.microsecond) / 1000000;
        struct tm tm;
        assert_non_null(gmtime_r(&seconds, &tm));
        assert_true(civil.year == tm.tm_year + 1900 && civil.month == tm.tm_mon + 1 &&
                    civil.day == tm.tm_mday && civil.hour == tm.tm_hour &&
                    civil.minute == tm.tm_min && civil.second == tm.tm_sec &&
                    civil.weekday == tm.tm_wday);
    }
}

static void test_every_day(void **state) {
    (void)state;
    struct time_civil before = time_civil_from_days(-800001);
    for (int64_t days = -800000; days < 800000; days++) {
        struct time_civil day = time_civil_from_days(days);
        assert_true(time_days_from_civil(day.year, day.month, day.day) == days);
        assert_true(day.weekday == (before.weekday + 1) % 7);
        bool next_day = day.day == before.day + 1 && day.month == before.month;
        bool first_day = day.day == 1 && before.day >= 28 && day.month == before.month % 12 + 1;
        assert_true(next_day || first_day);
        before = day;
    }
    assert_string_equal(time_month_name(1), "Jan");
    assert_string_equal(time_month_name(12), "Dec");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lines),
        cmocka_unit_test(test_long_lines_are_cut),
        cmocka_unit_test(test_calendar_against_libc),
        cmocka_unit_test(test_every_day),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
