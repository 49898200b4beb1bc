/* log.h: lines for the operator.
 *
 *   12345:M 21 Nov 2026 03:04:05.678 * Ready to accept connections tcp
 *
 * This module makes the line; where it goes (stdout, a file, syslog), what time it is and who we
 * are come from the sink, which the world above provides. */
#ifndef REDSTART_BASE_LOG_H
#define REDSTART_BASE_LOG_H

#include "base/bytes.h"

enum log_level { LOG_DEBUG, LOG_VERBOSE, LOG_NOTICE, LOG_WARNING, LOG_NOTHING };

enum { LOG_LINE_MAX = 1024 }; /* bytes of a message; longer ones are cut */

struct log {
    enum log_level level; /* lines below it are dropped */
    char role;            /* 'M' primary, 'S' replica, 'X' sentinel, 'C' child */
    int64_t pid;
    int64_t utc_offset_s;              /* added to the wall clock for printing */
    int64_t (*wall_us)(void *context); /* microseconds since 1970 */
    void (*write)(void *context, enum log_level,
                  struct bytes line); /* one whole line with its newline */
    void *context;
};

__attribute__((format(printf, 3, 4))) void log_line(struct log *log, enum log_level level,
                                                    const char *format, ...);
/* The message as it is, without prefix (for banners and reports). */
void log_raw(struct log *log, enum log_level level, struct bytes text);

#define log_debug(log, ...)   log_line((log), LOG_DEBUG, __VA_ARGS__)
#define log_verbose(log, ...) log_line((log), LOG_VERBOSE, __VA_ARGS__)
#define log_notice(log, ...)  log_line((log), LOG_NOTICE, __VA_ARGS__)
#define log_warning(log, ...) log_line((log), LOG_WARNING, __VA_ARGS__)

#endif
