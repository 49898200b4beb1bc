/* say.h: what a tool tells who called it: results on standard output, complaints on standard error,
 * and a bar that shows how far something is. */
#ifndef REDSTART_TOOL_COMMON_SAY_H
#define REDSTART_TOOL_COMMON_SAY_H

#include "base/buffer.h"
#include "io/io.h"

__attribute__((format(printf, 1, 2))) void say(const char *format, ...);
__attribute__((format(printf, 1, 2))) void complain(const char *format, ...);

/* Bytes as they may be shown: quoted where they are no plain text, cut after `max` of them. */
void say_append_bytes(struct buffer *out, struct bytes bytes, size_t max);
/* "2026-11-21 09:41:07.250 UTC" of milliseconds since 1970. */
void say_append_time(struct buffer *out, int64_t time_ms);
/* "12.3 MiB" */
void say_append_size(struct buffer *out, uint64_t bytes);

/* "y", "Y" as a line on standard input? Asks with "Continue? [y/N]: ". */
bool say_and_confirm(void);

/* On standard error, when that is a terminal, and not before a second has gone by. */
struct progress {
    struct io *io;
    const char *what;
    uint64_t total; /* bytes */
    int64_t begun_us, shown_us;
    bool is_wanted, is_shown;
};
void progress_begin(struct progress *progress, struct io *io, const char *what, uint64_t total);
void progress_step(struct progress *progress, uint64_t done);
/* Takes it away. */
void progress_end(struct progress *progress);

#endif
