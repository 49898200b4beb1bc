/* process.c: start and end of a process.
 *
 * Owns nothing that lasts. Must never be used by what also runs in simulation. */
#include "io/process.h"
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { READ_STEP = 16 * 1024 };

int process_daemonize(void) {
    pid_t child = fork();
    if (child < 0) return -errno;
    if (child > 0) _exit(0);
    if (setsid() < 0) return -errno;
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (null < 0) return -errno;
    for (int stream = STDIN_FILENO; stream <= STDERR_FILENO; stream++)
        dup2(null, stream);
    if (null > STDERR_FILENO) close(null);
    return 0;
}

int64_t process_id(void) {
    return getpid();
}

static int write_all(int fd, const char *data, size_t size) {
    while (size > 0) {
        ssize_t written = write(fd, data, size);
        if (written < 0 && errno == EINTR) continue;
        if (written < 0) return -errno;
        data += written;
        size -= (size_t)written;
    }
    return 0;
}

int process_write_pidfile(const char *path) {
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (fd < 0) return -errno;
    char text[32];
    int length = snprintf(text, sizeof(text), "%d\n", (int)getpid());
    int result = write_all(fd, text, (size_t)length);
    close(fd);
    return result;
}

void process_remove_pidfile(const char *path) {
    unlink(path);
}

bool process_notify_systemd(const char *state) {
    const char *path = getenv("NOTIFY_SOCKET");
    if (path == NULL || (path[0] != '/' && path[0] != '@')) return false;
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    size_t length = strlen(path);
    if (length < 2 || length >= sizeof(address.sun_path)) return false;
    memcpy(address.sun_path, path, length);
    if (path[0] == '@') address.sun_path[0] = '\0'; /* a name outside the file system */
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0) return false;
    socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length);
    size_t state_size = strlen(state);
    ssize_t sent = sendto(fd, state, state_size, MSG_NOSIGNAL, (struct sockaddr *)&address, size);
    close(fd);
    return sent == (ssize_t)state_size;
}

/* The variable goes away, so that a process that we start does not stop as well. */
bool process_notify_upstart(void) {
    if (getenv("UPSTART_JOB") == NULL) return false;
    unsetenv("UPSTART_JOB");
    raise(SIGSTOP);
    return true;
}

/* Moves the environment's strings to the heap, for the life of the process, and returns where the
 * old ones ended, if they lie directly behind `end`. */
static char *move_environment(char *end) {
    size_t count = 0;
    while (environ[count] != NULL)
        count++;
    char **moved = calloc(count + 1, sizeof(*moved));
    if (moved == NULL) return end;
    for (size_t i = 0; i < count; i++) {
        moved[i] = strdup(environ[i]);
        if (moved[i] == NULL) return end;
        if (environ[i] == end) end += strlen(environ[i]) + 1;
    }
    environ = moved;
    return end;
}

struct process_title process_title_open(int argument_count, char **arguments) {
    if (argument_count < 1) return (struct process_title){NULL, 0};
    char *end = arguments[0];
    for (int i = 0; i < argument_count && arguments[i] == end; i++)
        end += strlen(arguments[i]) + 1;
    end = move_environment(end);
    return (struct process_title){arguments[0], (size_t)(end - arguments[0])};
}

void process_title_set(const struct process_title *title, struct bytes text) {
    if (title->size == 0) return;
    size_t size = text.size < title->size - 1 ? text.size : title->size - 1;
    memcpy(title->start, text.data, size);
    memset(title->start + size, 0, title->size - size);
}

int process_read_standard_input(struct buffer *into, size_t limit) {
    for (;;) {
        char *room = buffer_reserve(into, READ_STEP);
        ssize_t got = read(STDIN_FILENO, room, READ_STEP);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return -errno;
        if (got == 0) return 0;
        into->size += (size_t)got;
        if (into->size > limit) return -EFBIG;
    }
}

int process_read_line(struct buffer *into, size_t limit) {
    while (into->size < limit) {
        char byte;
        ssize_t got = read(STDIN_FILENO, &byte, 1);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return -errno;
        if (got == 0) return into->size > 0 ? 0 : -ENODATA;
        if (byte == '\n') return 0;
        buffer_append_byte(into, byte);
    }
    return 0;
}

int process_write_standard_output(struct bytes text) {
    return write_all(STDOUT_FILENO, text.data, text.size);
}

int process_write_standard_error(struct bytes text) {
    return write_all(STDERR_FILENO, text.data, text.size);
}

bool process_is_terminal(enum process_stream stream) {
    return isatty((int)stream) == 1;
}

int process_expand_paths(const char *pattern, void (*each)(void *context, const char *path),
                         void *context) {
    glob_t found;
    int verdict = glob(pattern, GLOB_NOMAGIC, NULL, &found);
    if (verdict == GLOB_NOMATCH) return 0;
    if (verdict != 0) return verdict == GLOB_NOSPACE ? -ENOMEM : -EIO;
    int count = (int)found.gl_pathc;
    for (size_t i = 0; i < found.gl_pathc; i++)
        each(context, found.gl_pathv[i]);
    globfree(&found);
    return count;
}

const char *process_environment(const char *name) {
    return getenv(name);
}
