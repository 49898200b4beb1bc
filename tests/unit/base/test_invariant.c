/* test_invariant.c: deaths. Each is died by a child, whose report and exit status are looked at. */
#include "base/bytes.h"
#include "base/invariant.h"

#include "cmocka_all.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

struct death {
    char report[32768];
    char copy[32768]; /* what went to the reporter's descriptor */
    int signal;
};

static void read_all(int fd, char *out, size_t capacity) {
    size_t size = 0;
    ssize_t got;
    while ((got = read(fd, out + size, capacity - 1 - size)) > 0)
        size += (size_t)got;
    out[size] = '\0';
    close(fd);
}

static void write_more(void *context, void (*print)(const char *text)) {
    print("reporter says: ");
    print(context);
    print("\n");
}

#ifndef __SANITIZE_THREAD__
static void crash_in_reporter(void *context, void (*print)(const char *text)) {
    print("reporter dies\n");
    *(volatile int *)context = 1;
}
#endif

/* cmocka catches some signals of the parent's, too: the child begins with none caught. */
static void reset_signals(void) {
    const int numbers[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT};
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
        signal(numbers[i], SIG_DFL);
    setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
}

static struct death *die(void (*how)(void), const struct invariant_reporter *reporter) {
    static struct death death;
    int report[2];
    int copy[2];
    assert_int_equal(pipe(report), 0);
    assert_int_equal(pipe(copy), 0);
    fflush(NULL);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        reset_signals();
        dup2(report[1], STDERR_FILENO);
        struct invariant_reporter with_fd =
            reporter != NULL ? *reporter : (struct invariant_reporter){0};
        with_fd.fd = copy[1];
        invariant_set_reporter(reporter != NULL ? &with_fd : NULL);
        how();
        _exit(0);
    }
    close(report[1]);
    close(copy[1]);
    read_all(report[0], death.report, sizeof(death.report));
    read_all(copy[0], death.copy, sizeof(death.copy));
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status));
    death.signal = WTERMSIG(status);
    return &death;
}

static void expect_in(const char *report, const char *text) {
    if (report == NULL || strstr(report, text) == NULL) {
        print_error("'%s' is not in the report:\n%s", text, report != NULL ? report : "");
        fail();
    }
}

static void expect_frame(const char *report) {
    const char *start =
        strstr(report, "=== REDSTART BUG REPORT START: Cut & paste starting from here");
    assert_non_null(start);
    expect_in(start, "------ STACK TRACE ------");
    expect_in(start, "=== REDSTART BUG REPORT END.");
}

static void break_invariant(void) {
    INVARIANT(2 + 2 == 4);
    INVARIANT(2 + 2 == 5);
}

static void test_broken(void **state) {
    (void)state;
    const struct death *death = die(break_invariant, NULL);
    assert_int_equal(death->signal, SIGABRT);
    expect_frame(death->report);
    expect_in(death->report, "test_invariant.c:");
    expect_in(death->report, "'2 + 2 == 5' is not true");
    assert_string_equal(death->copy, "");
}

static void panic(void) {
    invariant_catch_signals();
    invariant_panic("disk of %d bytes is full", 42);
}

static void test_panic_and_reporter(void **state) {
    (void)state;
    char context[] = "GET key";
    const struct death *death =
        die(panic, &(struct invariant_reporter){.write_more = write_more, .context = context});
    assert_int_equal(death->signal, SIGABRT);
    expect_frame(death->report);
    expect_in(death->report, "disk of 42 bytes is full");
    expect_in(death->report, "reporter says: GET key");
    expect_frame(death->copy);
    expect_in(death->copy, "disk of 42 bytes is full");
    expect_in(death->copy, "reporter says: GET key");
}

static void write_to_nowhere(void) {
    invariant_catch_signals();
    *(volatile int *)(uintptr_t)0x1230 = 1;
}

static void test_signal(void **state) {
    (void)state;
    const struct death *death = die(write_to_nowhere, NULL);
    assert_int_equal(death->signal, SIGSEGV);
    expect_frame(death->report);
    expect_in(death->report, "crashed by signal: 11");
    expect_in(death->report, "Accessing address: 0x0000000000001230");
}

static void be_killed(void) {
    invariant_catch_signals();
    kill(getpid(), SIGBUS);
}

static void test_signal_from_outside(void **state) {
    (void)state;
    const struct death *death = die(be_killed, NULL);
    assert_int_equal(death->signal, SIGBUS);
    expect_in(death->report, "Killed by PID: ");
}

#ifndef __SANITIZE_THREAD__ /* which ends a process that faults inside its handler of a fault */
static void test_reporter_that_crashes(void **state) {
    (void)state;
    const struct death *death =
        die(write_to_nowhere, &(struct invariant_reporter){.write_more = crash_in_reporter,
                                                           .context = (void *)(uintptr_t)0x1238});
    assert_int_equal(death->signal, SIGSEGV);
    expect_in(death->report, "reporter dies");
    expect_in(death->report, "(crashed while writing the report)");
}
#endif

#ifndef __SANITIZE_ADDRESS__ /* which keeps a stack of its own */
__attribute__((noinline)) static int recurse(volatile char *above) {
    volatile char frame[4096];
    if (above == frame) return 0; /* never, but the compiler does not know */
    frame[0] = above != NULL ? above[0] : 1;
    return recurse(frame) + frame[0];
}

static void overflow_stack(void) {
    invariant_catch_signals();
    setrlimit(RLIMIT_STACK, &(struct rlimit){1 << 20, 1 << 20});
    recurse(NULL);
}

static void test_stack_overflow(void **state) {
    (void)state;
    const struct death *death = die(overflow_stack, NULL);
    assert_int_equal(death->signal, SIGSEGV);
    expect_frame(death->report);
}
#endif

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_broken),
        cmocka_unit_test(test_panic_and_reporter),
        cmocka_unit_test(test_signal),
        cmocka_unit_test(test_signal_from_outside),
#ifndef __SANITIZE_THREAD__
        cmocka_unit_test(test_reporter_that_crashes),
#endif
#ifndef __SANITIZE_ADDRESS__
        cmocka_unit_test(test_stack_overflow),
#endif
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
