/* say.c: texts on the standard streams. */
#include "tool/common/say.h"

#include "base/time.h"
#include "io/process.h"
#include <ctype.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

static void write_text(const char *format, va_list arguments, int (*write)(struct bytes text)) {
    char small[512];
    struct buffer large = {0};
    va_list again;
    va_copy(again, arguments);
    int size = vsnprintf(small, sizeof small, format, arguments);
    if (size >= 0 && (size_t)size < sizeof small) {
        write(bytes_make(small, (size_t)size));
    } else if (size >= 0) {
        vsnprintf(buffer_reserve(&large, (size_t)size + 1), (size_t)size + 1, format, again);
        write(bytes_make(large.data, (size_t)size));
        buffer_release(&large);
    }
    va_end(again);
}

void say(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    write_text(format, arguments, process_write_standard_output);
    va_end(arguments);
}

void complain(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    write_text(format, arguments, process_write_standard_error);
    va_end(arguments);
}

void say_append_bytes(struct buffer *out, struct bytes bytes, size_t max) {
    size_t size = bytes.size < max ? bytes.size : max;
    for (size_t i = 0; i < size; i++) {
        unsigned char byte = (unsigned char)bytes.data[i];
        if (isprint(byte) && byte != '\\')
            buffer_append_byte(out, (char)byte);
        else
            buffer_append_format(out, "\\x%02x", byte);
    }
    if (size < bytes.size) buffer_append_text(out, "...");
}

void say_append_time(struct buffer *out, int64_t time_ms) {
    struct time_civil civil = time_civil_from_us(time_ms * 1000);
    buffer_append_format(out, "%04" PRId64 "-%02d-%02d %02d:%02d:%02d.%03d UTC", civil.year,
                         civil.month, civil.day, civil.hour, civil.minute, civil.second,
                         civil.microsecond / 1000);
}

void say_append_size(struct buffer *out, uint64_t bytes) {
    static const char *const units[] = {"KiB", "MiB", "GiB", "TiB"};
    if (bytes < 1024) {
        buffer_append_format(out, "%" PRIu64 " bytes", bytes);
        return;
    }
    double size = (double)bytes / 1024;
    size_t unit = 0;
    for (; size >= 1024 && unit + 1 < sizeof units / sizeof units[0]; unit++)
        size /= 1024;
    buffer_append_format(out, "%.1f %s", size, units[unit]);
}

bool say_and_confirm(void) {
    enum { ANSWER_MAX = 64 };
    struct buffer answer = {0};
    say("Continue? [y/N]: ");
    bool is_yes = process_read_line(&answer, ANSWER_MAX) >= 0 && answer.size > 0 &&
                  (answer.data[0] == 'y' || answer.data[0] == 'Y');
    buffer_release(&answer);
    return is_yes;
}

/* ---- progress ---- */

enum { SHOW_AFTER_US = 1000000, SHOW_EVERY_US = 100000, BAR = 30 };

void progress_begin(struct progress *progress, struct io *io, const char *what, uint64_t total) {
    int64_t now_us = io_monotonic_us(io);
    *progress = (struct progress){.io = io,
                                  .what = what,
                                  .total = total,
                                  .begun_us = now_us,
                                  .shown_us = now_us,
                                  .is_wanted = process_is_terminal(PROCESS_ERROR)};
}

void progress_step(struct progress *progress, uint64_t done) {
    if (!progress->is_wanted) return;
    int64_t now_us = io_monotonic_us(progress->io), took_us = now_us - progress->begun_us;
    if (took_us < SHOW_AFTER_US || now_us - progress->shown_us < SHOW_EVERY_US) return;
    progress->shown_us = now_us;
    progress->is_shown = true;
    char bar[BAR + 1];
    double part = progress->total ? (double)done / (double)progress->total : 1;
    if (part > 1) part = 1;
    for (int i = 0; i < BAR; i++)
        bar[i] = i < (int)(part * BAR) ? '#' : '.';
    bar[BAR] = 0;
    complain("\r%s [%s] %3d%%  %.0f MB/s \033[K", progress->what, bar, (int)(part * 100),
             (double)done / (double)took_us);
}

void progress_end(struct progress *progress) {
    if (progress->is_shown) complain("\r\033[K");
    progress->is_shown = false;
}
