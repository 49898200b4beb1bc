/* process_log.c: writes the lines of a log to standard output or a file, and to syslog.
 *
 * Owns nothing. */
#include "io/process_log.h"
#include "io/process.h"
#include "io/process_syslog.h"

static void write_to_file(struct io *io, const char *path, struct bytes line) {
    io_file file = io->operations->open(io, path, IO_WRITE | IO_CREATE | IO_APPEND, 0644);
    if (file < 0) return;
    while (line.size > 0) {
        int64_t written = io->operations->write(io, file, line.data, line.size);
        if (written <= 0) break;
        line = bytes_make(line.data + written, line.size - (size_t)written);
    }
    io->operations->close(io, file);
}

static enum process_urgency urgency_of(enum log_level level) {
    switch (level) {
    case LOG_DEBUG: return PROCESS_URGENCY_DEBUG;
    case LOG_VERBOSE: return PROCESS_URGENCY_INFORMATION;
    case LOG_NOTICE: return PROCESS_URGENCY_NOTICE;
    default: return PROCESS_URGENCY_WARNING;
    }
}

void process_log_write(void *context, enum log_level level, struct bytes line) {
    const struct process_log *log = context;
    if (log->path == NULL || log->path[0] == '\0') {
        process_write_standard_output(line);
    } else {
        write_to_file(log->io, log->path, line);
    }
    if (log->to_syslog) process_syslog_write(urgency_of(level), line);
}
