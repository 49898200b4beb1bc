/* io_real_system.c: what the system says of the process and machine, limits, and signals.
 *
 * Owns the handlers of SIGTERM and SIGINT. A handler does nothing but note and wake. */
#include "io/io_real.h"
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/utsname.h>
#include <unistd.h>

static uint64_t microseconds(struct timeval time) {
    return (uint64_t)time.tv_sec * 1000000 + (uint64_t)time.tv_usec;
}

static uint64_t resident_pages(void) {
    FILE *file = fopen("/proc/self/statm", "re");
    if (file == NULL) return 0;
    unsigned long long total = 0, resident = 0;
    int fields = fscanf(file, "%llu %llu", &total, &resident);
    fclose(file);
    return fields == 2 ? resident : 0;
}

void real_process_status(struct io *io, struct io_process_status *out) {
    (void)io;
    *out = (struct io_process_status){.pid = getpid(), .processors = 1};
    uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
    long pages = sysconf(_SC_PHYS_PAGES);
    out->memory_resident = resident_pages() * page;
    out->memory_total = pages > 0 ? (uint64_t)pages * page : 0;
    struct rusage self, children, main_thread;
    getrusage(RUSAGE_SELF, &self);
    getrusage(RUSAGE_CHILDREN, &children);
    getrusage(RUSAGE_THREAD, &main_thread);
    out->memory_peak = (uint64_t)self.ru_maxrss * 1024;
    out->cpu_user_us = microseconds(self.ru_utime);
    out->cpu_system_us = microseconds(self.ru_stime);
    out->cpu_user_children_us = microseconds(children.ru_utime);
    out->cpu_system_children_us = microseconds(children.ru_stime);
    out->cpu_user_main_us = microseconds(main_thread.ru_utime);
    out->cpu_system_main_us = microseconds(main_thread.ru_stime);
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof(set), &set) == 0) out->processors = CPU_COUNT(&set);
    struct utsname name;
    if (uname(&name) == 0)
        snprintf(out->os, sizeof(out->os), "%.40s %.70s %.40s", name.sysname, name.release,
                 name.machine);
    ssize_t length = readlink("/proc/self/exe", out->executable, sizeof(out->executable) - 1);
    out->executable[length > 0 ? length : 0] = '\0';
}

/* A signal handler gets no argument to find its world by, so the process keeps the one that asked
 * for signals last here: the only mutable state at file scope in the house. */
static _Atomic(struct real *) signal_receiver;

/* An interrupt that finds the one before still not taken comes from someone in front of a process
 * that does not answer: it ends. */
static void on_signal(int signal_number) {
    struct real *real = atomic_load(&signal_receiver);
    if (real == NULL) return;
    int before = atomic_exchange(&real->signal, signal_number);
    if (signal_number == SIGINT && before == SIGINT) {
        static const char message[] = "Interrupted twice while busy: exiting now.\n";
        ssize_t written = write(STDERR_FILENO, message, sizeof(message) - 1);
        (void)written;
        _exit(1);
    }
    real_wake(&real->io);
}

void real_catch_signals(struct io *io) {
    atomic_store(&signal_receiver, real_of(io));
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
    sigemptyset(&action.sa_mask);
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGINT, &action, NULL);
    action.sa_handler = SIG_IGN;
    sigaction(SIGHUP, &action, NULL);
    sigaction(SIGPIPE, &action, NULL);
}

int real_take_signal(struct io *io) {
    struct real *real = real_of(io);
    /* Looked at every turn: the exchange, which costs more, only when there is one. */
    if (atomic_load_explicit(&real->signal, memory_order_relaxed) == 0) return 0;
    return atomic_exchange(&real->signal, 0);
}

void real_forget_signals(struct real *real) {
    struct real *expected = real;
    atomic_compare_exchange_strong(&signal_receiver, &expected, NULL);
}

int64_t real_raise_file_limit(struct io *io, int64_t wanted) {
    (void)io;
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) < 0) return -errno;
    rlim_t target = (rlim_t)wanted;
    if (limit.rlim_cur >= target) return (int64_t)limit.rlim_cur;
    struct rlimit raised = {target, limit.rlim_max > target ? limit.rlim_max : target};
    if (setrlimit(RLIMIT_NOFILE, &raised) == 0) return wanted;
    /* Without privilege the hard limit is the end. */
    raised = (struct rlimit){limit.rlim_max < target ? limit.rlim_max : target, limit.rlim_max};
    if (setrlimit(RLIMIT_NOFILE, &raised) == 0) return (int64_t)raised.rlim_cur;
    return (int64_t)limit.rlim_cur;
}
