/* process.h: what a program does with its process when it starts and ends, before and beside its
 * `struct io`: going to the background, the pidfile, the supervisor, standard input and output. The
 * real world only: a simulated server needs none of it.
 *
 * No function here sets a locale: the program runs in the C locale, and text is bytes. Errors are
 * negative errno values. */
#ifndef REDSTART_IO_PROCESS_H
#define REDSTART_IO_PROCESS_H

#include "base/buffer.h"
#include <stdbool.h>

/* Goes to the background: the parent exits with 0 here, the child leads a session of its own and
 * has no terminal. Before any thread, io or epoll is made. */
int process_daemonize(void);

int process_write_pidfile(const char *path);
void process_remove_pidfile(const char *path);
int64_t process_id(void);

/* Tells systemd "READY=1", "STATUS=...", "STOPPING=1" (lines, without a newline at the end). False
 * when there is no $NOTIFY_SOCKET or it does not take the message.
 * Protocol: the manual page sd_notify(3). */
bool process_notify_systemd(const char *state);
/* Tells upstart by stopping until it continues us. False when $UPSTART_JOB is not set. */
bool process_notify_upstart(void);

/* What `ps` shows. The room for it is that of the arguments and the environment that the process
 * was started with; process_title_open moves the environment out of it and must be called before
 * any other thread runs. The strings of argv are lost at the first process_title_set: copy them
 * first. */
struct process_title {
    char *start;
    size_t size; /* 0: the title cannot be set */
};
struct process_title process_title_open(int argument_count, char **arguments);
void process_title_set(const struct process_title *title, struct bytes text);

/* All of standard input, up to `limit` bytes; -EFBIG beyond. */
int process_read_standard_input(struct buffer *into, size_t limit);
/* One line of standard input without its newline, up to `limit` bytes; what follows stays there.
 * -ENODATA at the end. */
int process_read_line(struct buffer *into, size_t limit);
/* Writes all of it to standard output or standard error. */
int process_write_standard_output(struct bytes text);
int process_write_standard_error(struct bytes text);
enum process_stream { PROCESS_INPUT, PROCESS_OUTPUT, PROCESS_ERROR };
bool process_is_terminal(enum process_stream stream);

/* Calls `each` for every existing path that matches the shell pattern, sorted. A pattern without
 * wildcards that matches nothing is passed on as it is, so that opening it gives the error.
 * Returns how many, or a negative errno. */
int process_expand_paths(const char *pattern, void (*each)(void *context, const char *path),
                         void *context);

/* NULL when not set. */
const char *process_environment(const char *name);

#endif
