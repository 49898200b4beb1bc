/* Start-up: pidfile, supervisors, title, standard input, path patterns, log sink. */
#include "io/process.h"
#include "io/process_log.h"
#include "io/process_syslog.h"
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static void read_whole(const char *path, char *out, size_t size) {
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    size_t length = fread(out, 1, size - 1, file);
    out[length] = '\0';
    fclose(file);
}

static void make_directory(char *directory, size_t size) {
    snprintf(directory, size, "/tmp/redstart-process-XXXXXX");
    assert_non_null(mkdtemp(directory));
}

static void test_pidfile(void **state) {
    (void)state;
    char directory[64], path[96], text[64], expected[64];
    make_directory(directory, sizeof(directory));
    snprintf(path, sizeof(path), "%s/pid", directory);
    assert_int_equal(process_write_pidfile(path), 0);
    read_whole(path, text, sizeof(text));
    snprintf(expected, sizeof(expected), "%d\n", (int)getpid());
    assert_string_equal(text, expected);
    process_remove_pidfile(path);
    assert_int_equal(access(path, F_OK), -1);
    assert_int_equal(process_write_pidfile("/nonexistent/pid"), -ENOENT);
    rmdir(directory);
}

static void receive_notice(const char *name, size_t bound_size, struct sockaddr_un *address) {
    int fd = socket(AF_UNIX, SOCK_DGRAM, 0);
    socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + bound_size);
    assert_int_equal(bind(fd, (struct sockaddr *)address, size), 0);
    setenv("NOTIFY_SOCKET", name, 1);
    assert_true(process_notify_systemd("READY=1\nSTATUS=Ready"));
    char text[64];
    assert_int_equal(recv(fd, text, sizeof(text), 0), 20);
    assert_memory_equal(text, "READY=1\nSTATUS=Ready", 20);
    close(fd);
    assert_false(process_notify_systemd("READY=1"));
    unsetenv("NOTIFY_SOCKET");
}

static void test_systemd(void **state) {
    (void)state;
    unsetenv("NOTIFY_SOCKET");
    assert_false(process_notify_systemd("READY=1"));
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    char directory[64], name[96];
    make_directory(directory, sizeof(directory));
    snprintf(name, sizeof(name), "%s/notify", directory);
    strcpy(address.sun_path, name);
    receive_notice(name, strlen(name) + 1, &address);
    unlink(name);
    rmdir(directory);
    snprintf(name, sizeof(name), "@redstart-test-%d", (int)getpid());
    memcpy(address.sun_path, name, strlen(name));
    address.sun_path[0] = '\0';
    receive_notice(name, strlen(name), &address);
}

static void test_upstart(void **state) {
    (void)state;
    unsetenv("UPSTART_JOB");
    assert_false(process_notify_upstart());
    pid_t child = fork();
    if (child == 0) {
        setenv("UPSTART_JOB", "redstart", 1);
        _exit(process_notify_upstart() && process_environment("UPSTART_JOB") == NULL ? 0 : 1);
    }
    int status;
    assert_int_equal(waitpid(child, &status, WUNTRACED), child);
    assert_true(WIFSTOPPED(status));
    kill(child, SIGCONT);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

static void test_daemonize(void **state) {
    (void)state;
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    pid_t child = fork();
    if (child == 0) {
        process_daemonize();
        bool right = getsid(0) == getpid() && !process_is_terminal(PROCESS_OUTPUT) &&
                     read(STDIN_FILENO, &(char){0}, 1) == 0;
        ssize_t written = write(ends[1], right ? "y" : "n", 1);
        _exit(written == 1 ? 0 : 1);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    char answer = 0;
    assert_int_equal(read(ends[0], &answer, 1), 1);
    assert_int_equal(answer, 'y');
    close(ends[0]);
    close(ends[1]);
}

/* As the kernel lays them out: arguments, then the environment, in one run. */
static void test_title(void **state) {
    (void)state;
    pid_t child = fork();
    if (child == 0) {
        static char block[] = "prog\0arg\0A=1\0B=22";
        char *arguments[] = {block, block + 5, NULL};
        char *environment[] = {block + 9, block + 13, NULL};
        environ = environment;
        struct process_title title = process_title_open(2, arguments);
        bool right = title.size == sizeof(block);
        process_title_set(&title, BYTES("a rather long title for it"));
        right = right && strcmp(block, "a rather long tit") == 0;
        right = right && strcmp(process_environment("A"), "1") == 0;
        right = right && strcmp(process_environment("B"), "22") == 0;
        process_title_set(&title, BYTES("short"));
        right = right && strcmp(block, "short") == 0 && block[16] == '\0';
        _exit(right ? 0 : 1);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

static void test_standard_input(void **state) {
    (void)state;
    int ends[2], saved = dup(STDIN_FILENO);
    for (int round = 0; round < 2; round++) {
        assert_int_equal(pipe(ends), 0);
        assert_int_equal(write(ends[1], "port 7000\n", 10), 10);
        close(ends[1]);
        dup2(ends[0], STDIN_FILENO);
        close(ends[0]);
        struct buffer text = {0};
        assert_int_equal(process_read_standard_input(&text, round == 0 ? 10 : 9),
                         round == 0 ? 0 : -EFBIG);
        if (round == 0) assert_true(bytes_equal(buffer_bytes(&text), BYTES("port 7000\n")));
        buffer_release(&text);
    }
    dup2(saved, STDIN_FILENO);
    close(saved);
}

static void append_path(void *context, const char *path) {
    buffer_append_text(context, path);
    buffer_append_byte(context, ' ');
}

static void test_expand_paths(void **state) {
    (void)state;
    char directory[64], path[160], expected[400];
    make_directory(directory, sizeof(directory));
    for (char name = 'c'; name >= 'a'; name--) {
        snprintf(path, sizeof(path), "%s/%c.conf", directory, name);
        close(open(path, O_CREAT | O_WRONLY, 0600));
    }
    struct buffer found = {0};
    snprintf(path, sizeof(path), "%s/*.conf", directory);
    assert_int_equal(process_expand_paths(path, append_path, &found), 3);
    snprintf(expected, sizeof(expected), "%s/a.conf %s/b.conf %s/c.conf ", directory, directory,
             directory);
    assert_true(bytes_equal(buffer_bytes(&found), bytes_from_text(expected)));
    snprintf(path, sizeof(path), "%s/*.none", directory);
    assert_int_equal(process_expand_paths(path, append_path, &found), 0);
    buffer_clear(&found);
    assert_int_equal(process_expand_paths("/nonexistent/file", append_path, &found), 1);
    assert_true(bytes_equal(buffer_bytes(&found), BYTES("/nonexistent/file ")));
    buffer_release(&found);
    for (char name = 'a'; name <= 'c'; name++) {
        snprintf(path, sizeof(path), "%s/%c.conf", directory, name);
        unlink(path);
    }
    rmdir(directory);
}

/* A file that is moved away gets no further lines. */
static void test_log_file(void **state) {
    (void)state;
    char directory[64], path[96], moved[96], text[64], error[256];
    make_directory(directory, sizeof(directory));
    snprintf(path, sizeof(path), "%s/log", directory);
    snprintf(moved, sizeof(moved), "%s/log.1", directory);
    struct io *io = io_real_open(1, error, sizeof(error));
    struct process_log log = {.io = io, .path = path};
    process_log_write(&log, LOG_NOTICE, BYTES("one\n"));
    process_log_write(&log, LOG_NOTICE, BYTES("two\n"));
    rename(path, moved);
    process_log_write(&log, LOG_WARNING, BYTES("three\n"));
    read_whole(moved, text, sizeof(text));
    assert_string_equal(text, "one\ntwo\n");
    read_whole(path, text, sizeof(text));
    assert_string_equal(text, "three\n");
    assert_false(process_syslog_open("redstart-test", "nobody"));
    unlink(path);
    unlink(moved);
    rmdir(directory);
    io_close(io);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pidfile),      cmocka_unit_test(test_systemd),
        cmocka_unit_test(test_upstart),      cmocka_unit_test(test_daemonize),
        cmocka_unit_test(test_title),        cmocka_unit_test(test_standard_input),
        cmocka_unit_test(test_expand_paths), cmocka_unit_test(test_log_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
