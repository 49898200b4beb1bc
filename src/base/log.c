/* log.c: makes the lines of the log, on the stack. Owns nothing; must never allocate, ask for the
 * time zone, or write anything itself: that is the sink's. */
#include "base/log.h"

#include "base/invariant.h"
#include "base/time.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

enum { PREFIX_MAX = 96 }; /* two numbers of 64 bits, a role, a date, a level */

static size_t write_prefix(char *out, const struct log *log, enum log_level level) {
    static const char marks[] = {
        [LOG_DEBUG] = '.', [LOG_VERBOSE] = '-', [LOG_NOTICE] = '*', [LOG_WARNING] = '#'};
    const int64_t now_us = log->wall_us(log->context) + log->utc_offset_s * 1000000;
    const struct time_civil now = time_civil_from_us(now_us);
    int size =
        snprintf(out, PREFIX_MAX, "%" PRId64 ":%c %02d %s %" PRId64 " %02d:%02d:%02d.%03d %c ",
                 log->pid, log->role, now.day, time_month_name(now.month), now.year, now.hour,
                 now.minute, now.second, now.microsecond / 1000, marks[level]);
    INVARIANT(size > 0 && size < PREFIX_MAX);
    return (size_t)size;
}

void log_line(struct log *log, enum log_level level, const char *format, ...) {
    if (level < log->level || level >= LOG_NOTHING) return;
    char line[PREFIX_MAX + LOG_LINE_MAX + 1]; /* the newline takes the place of the zero */
    size_t size = write_prefix(line, log, level);
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(line + size, LOG_LINE_MAX + 1, format, arguments);
    va_end(arguments);
    INVARIANT(length >= 0);
    size += length < LOG_LINE_MAX ? (size_t)length : LOG_LINE_MAX;
    line[size++] = '\n';
    log->write(log->context, level, bytes_make(line, size));
}

void log_raw(struct log *log, enum log_level level, struct bytes text) {
    if (level < log->level || level >= LOG_NOTHING) return;
    log->write(log->context, level, text);
}
