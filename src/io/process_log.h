/* process_log.h: where the lines of a log go in the real world: standard output or a file, and
 * syslog beside it. */
#ifndef REDSTART_IO_PROCESS_LOG_H
#define REDSTART_IO_PROCESS_LOG_H

#include "base/log.h"
#include "io/io.h"

struct process_log {
    struct io *io;    /* the path is relative to its directory */
    const char *path; /* a file, opened for each line, so that it may be moved away at any time;
                       * NULL or "" for standard output; borrowed */
    bool to_syslog;   /* as well; process_syslog_open (io/process_syslog.h) was called */
};

/* Fits struct log's `write`; the context is a struct process_log. A line that cannot be written is
 * lost: there is nowhere left to complain. */
void process_log_write(void *context, enum log_level level, struct bytes line);

#endif
