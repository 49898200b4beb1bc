/* invariant.c: how the process dies when it must, with a report that says why.
 *
 * Owns the process's one crash reporter and its alternate signal stack: the only mutable state at
 * file scope in the house, as a signal handler has no argument to hang them on, and, beside
 * memory.c, the only place below src/io that calls the kernel. It must never allocate, lock, or
 * return.
 *
 * Everything that runs after the first line of a report has to be async-signal-safe. vsnprintf into
 * a buffer and glibc's backtrace (once loaded, see invariant_catch_signals) are so in practice. */
#include "base/invariant.h"

#include "base/bytes.h"
#include "base/number.h"

#include <execinfo.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

enum { FRAMES_MAX = 100, MESSAGE_MAX = 1024, ALTERNATE_STACK_SIZE = 128 * 1024 };

static _Atomic(const struct invariant_reporter *) reporter_of_process;
static atomic_long reporting_thread; /* the kernel's id of the thread that is writing a report */
static char alternate_stack[ALTERNATE_STACK_SIZE] __attribute__((aligned(16)));

static const int fatal_signals[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT};
enum { FATAL_SIGNALS = sizeof(fatal_signals) / sizeof(fatal_signals[0]) };

static void print_to(int fd, const char *text, size_t size) {
    while (size > 0) {
        ssize_t written = write(fd, text, size);
        if (written <= 0) return; /* nowhere to complain */
        text += written;
        size -= (size_t)written;
    }
}

/* Where the report goes besides standard error, or -1. */
static int second_fd(void) {
    const struct invariant_reporter *reporter = atomic_load(&reporter_of_process);
    return reporter != NULL && reporter->fd != STDERR_FILENO ? reporter->fd : -1;
}

static void print(const char *text) {
    size_t size = strlen(text);
    int second = second_fd();
    print_to(STDERR_FILENO, text, size);
    if (second >= 0) print_to(second, text, size);
}

static void print_number(int64_t number) {
    char text[NUMBER_I64_TEXT_MAX + 1];
    text[number_format_i64(text, number)] = '\0';
    print(text);
}

static void print_address(const void *address) {
    char text[2 + 16 + 1];
    uint64_t rest = (uint64_t)(uintptr_t)address;
    text[0] = '0';
    text[1] = 'x';
    for (int i = 17; i >= 2; i--, rest >>= 4)
        text[i] = "0123456789abcdef"[rest & 15];
    text[18] = '\0';
    print(text);
}

static void print_stack(void) {
    void *frames[FRAMES_MAX];
    int count = backtrace(frames, FRAMES_MAX);
    int second = second_fd();
    print("\n------ STACK TRACE ------\n");
    backtrace_symbols_fd(frames, count, STDERR_FILENO);
    if (second >= 0) backtrace_symbols_fd(frames, count, second);
}

/* One report a process. Whoever comes second while it is written waits for its end, which is the
 * process's; unless it is the reporting thread itself, which then has crashed over the report. */
static bool begin_report(void) {
    long self = syscall(SYS_gettid);
    long nobody = 0;
    if (atomic_compare_exchange_strong(&reporting_thread, &nobody, self)) {
        print("\n\n=== REDSTART BUG REPORT START: Cut & paste starting from here ===\n");
        return true;
    }
    while (nobody != self)
        pause();
    print("\n(crashed while writing the report)\n");
    return false;
}

static void finish_report(void) {
    print_stack();
    const struct invariant_reporter *reporter = atomic_load(&reporter_of_process);
    if (reporter != NULL && reporter->write_more != NULL)
        reporter->write_more(reporter->context, print);
    print("\n=== REDSTART BUG REPORT END. Make sure to include from START to END. ===\n");
}

/* By the signal itself and no handler of anyone's, so that exit status and core file tell the
 * truth. */
__attribute__((noreturn)) static void die_of(int number) {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, number);
    signal(number, SIG_DFL);
    pthread_sigmask(SIG_UNBLOCK, &set, NULL);
    raise(number);
    _exit(128 + number);
}

void invariant_broken(const char *condition, const char *file, int line) {
    if (begin_report()) {
        print("=== ASSERTION FAILED ===\n==> ");
        print(file);
        print(":");
        print_number(line);
        print(" '");
        print(condition);
        print("' is not true\n");
        finish_report();
    }
    die_of(SIGABRT);
}

void invariant_panic(const char *format, ...) {
    if (begin_report()) {
        char message[MESSAGE_MAX];
        va_list arguments;
        va_start(arguments, format);
        if (vsnprintf(message, sizeof(message), format, arguments) < 0) message[0] = '\0';
        va_end(arguments);
        print("!!! PANIC: ");
        print(message);
        print("\n");
        finish_report();
    }
    die_of(SIGABRT);
}

static const void *instruction_of(const void *context) {
#if defined(__x86_64__)
    return (const void *)(uintptr_t)((const ucontext_t *)context)->uc_mcontext.gregs[REG_RIP];
#elif defined(__aarch64__)
    return (const void *)(uintptr_t)((const ucontext_t *)context)->uc_mcontext.pc;
#else
    (void)context;
    return NULL;
#endif
}

static void on_fatal_signal(int number, siginfo_t *info, void *context) {
    if (begin_report()) {
        print("Redstart crashed by signal: ");
        print_number(number);
        print(", si_code: ");
        print_number(info->si_code);
        if (info->si_code <= 0) { /* sent by someone */
            print("\nKilled by PID: ");
            print_number(info->si_pid);
            print(", UID: ");
            print_number(info->si_uid);
        } else {
            print("\nAccessing address: ");
            print_address(info->si_addr);
        }
        print("\nCrashed running the instruction at: ");
        print_address(instruction_of(context));
        print("\n");
        finish_report();
    }
    die_of(number);
}

void invariant_set_reporter(const struct invariant_reporter *reporter) {
    atomic_store(&reporter_of_process, reporter);
}

void invariant_catch_signals(void) {
    /* The first backtrace loads a library, with malloc: better now than in a handler. */
    void *frame;
    backtrace(&frame, 1);

    /* The stack that overflowed cannot carry the report. Only this thread's: others report on their
     * own stack, or, when that is what broke, die without. */
    const stack_t stack = {.ss_sp = alternate_stack, .ss_size = sizeof(alternate_stack)};
    if (sigaltstack(&stack, NULL) != 0) invariant_panic("sigaltstack failed");

    struct sigaction action = {.sa_sigaction = on_fatal_signal,
                               .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER};
    sigemptyset(&action.sa_mask);
    for (int i = 0; i < FATAL_SIGNALS; i++) {
        if (sigaction(fatal_signals[i], &action, NULL) != 0)
            invariant_panic("sigaction failed for signal %d", fatal_signals[i]);
    }
}

void invariant_release_signals(void) {
    for (int i = 0; i < FATAL_SIGNALS; i++) {
        struct sigaction present;
        if (sigaction(fatal_signals[i], NULL, &present) == 0 && (present.sa_flags & SA_SIGINFO) &&
            present.sa_sigaction == on_fatal_signal)
            signal(fatal_signals[i], SIG_DFL);
    }
}
