/* io_real.c: the operating system's world: its clock, its entropy, and the table of all operations.
 *
 * Owns struct real. Must never add a system call, an allocation or a lock to what a turn does. */
#include "io/io_real.h"
#include "base/invariant.h"
#include "base/memory.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>
#if defined(__x86_64__)
#include <cpuid.h>
#endif

enum { CALIBRATION_NS = 1000000, CALIBRATION_READINGS = 8 };

static int64_t clock_ns(clockid_t clock) {
    struct timespec now;
    clock_gettime(clock, &now); /* cannot fail for the clocks used here */
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static int64_t real_wall_us(struct io *io) {
    (void)io;
    return clock_ns(CLOCK_REALTIME) / 1000;
}

static int64_t real_monotonic_us(struct io *io) {
    (void)io;
    return clock_ns(CLOCK_MONOTONIC) / 1000;
}

static int64_t real_utc_offset_s(struct io *io, int64_t wall_s) {
    (void)io;
    time_t moment = (time_t)wall_s;
    struct tm local;
    if (localtime_r(&moment, &local) == NULL) return 0;
    return local.tm_gmtoff;
}

static void real_sleep_us(struct io *io, int64_t us) {
    (void)io;
    if (us <= 0) return;
    struct timespec left = {.tv_sec = us / 1000000, .tv_nsec = us % 1000000 * 1000};
    while (nanosleep(&left, &left) != 0 && errno == EINTR) {
    }
}

static void real_entropy(struct io *io, void *out, size_t size) {
    (void)io;
    char *at = out;
    while (size > 0) {
        ssize_t got = getrandom(at, size, 0);
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) invariant_panic("The system gives no random bytes (getrandom): %m");
        at += got;
        size -= (size_t)got;
    }
}

/* A processor's counter is used only where it runs at one speed, whatever the processor does. */
#if defined(__x86_64__)
static bool cycle_counter_is_steady(void) {
    unsigned a, b, c, d;
    return __get_cpuid(0x80000007, &a, &b, &c, &d) && (d & (1u << 8)) != 0;
}
#elif defined(__aarch64__)
static bool cycle_counter_is_steady(void) {
    return true;
}
#else
static bool cycle_counter_is_steady(void) {
    return false;
}
#endif

static uint64_t ticks_from_cycles(struct io *io) {
    (void)io;
    return io_cycles();
}

static uint64_t ticks_from_clock(struct io *io) {
    (void)io;
    return (uint64_t)clock_ns(CLOCK_MONOTONIC);
}

struct instant {
    uint64_t cycles;
    int64_t ns;
};

/* The clock and the cycles at once: of some readings the one that took the least, as whatever comes
 * between them (an interrupt, another program) makes it take longer. */
static struct instant read_instant(void) {
    struct instant best = {0};
    uint64_t least = UINT64_MAX;
    for (int i = 0; i < CALIBRATION_READINGS; i++) {
        uint64_t before = io_cycles();
        int64_t ns = clock_ns(CLOCK_MONOTONIC);
        uint64_t took = io_cycles() - before;
        if (took >= least) continue;
        least = took;
        best = (struct instant){before + took / 2, ns};
    }
    return best;
}

/* Counts cycles for a millisecond: readings of the clock are 50 ns off at most, which makes the
 * rate right to 0.01 %. */
static void calibrate_ticks(struct io_operations *operations) {
    operations->ticks = ticks_from_clock;
    operations->ticks_per_us = 1000.0;
    if (!cycle_counter_is_steady()) return;
    struct instant start = read_instant(), end;
    do {
        end = read_instant();
    } while (end.ns - start.ns < CALIBRATION_NS);
    if (end.cycles <= start.cycles) return;
    operations->ticks = ticks_from_cycles;
    operations->ticks_are_cycles = true;
    operations->ticks_per_us =
        (double)(end.cycles - start.cycles) * 1000.0 / (double)(end.ns - start.ns);
}

static void real_close_io(struct io *io) {
    struct real *real = real_of(io);
    real_forget_signals(real);
    real_workers_close(io);
    real_poller_close(&real->poller);
    close(real->directory_fd);
    memory_free(real);
}

static const struct io_operations real_operations = {
    .wall_us = real_wall_us,
    .monotonic_us = real_monotonic_us,
    .utc_offset_s = real_utc_offset_s,
    .sleep_us = real_sleep_us,
    .entropy = real_entropy,
    .wait = real_wait,
    .watch = real_watch,
    .unwatch = real_unwatch,
    .wake = real_wake,
    .listen_tcp = real_listen_tcp,
    .listen_unix = real_listen_unix,
    .accept = real_accept,
    .connect_tcp = real_connect_tcp,
    .connect_unix = real_connect_unix,
    .connect_result = real_connect_result,
    .receive = real_receive,
    .send = real_send,
    .close_socket = real_close_socket,
    .set_keepalive = real_set_keepalive,
    .set_no_delay = real_set_no_delay,
    .peer_name = real_peer_name,
    .local_name = real_local_name,
    .peer_is_local = real_peer_is_local,
    .socket_number = real_socket_number,
    .change_directory = real_change_directory,
    .directory = real_directory,
    .open = real_open,
    .close = real_close,
    .read = real_read,
    .read_at = real_read_at,
    .write = real_write,
    .write_at = real_write_at,
    .sync = real_sync,
    .sync_directory = real_sync_directory,
    .truncate = real_truncate,
    .status = real_status,
    .rename = real_rename,
    .remove = real_remove,
    .make_directory = real_make_directory,
    .list = real_list,
    .submit = real_submit,
    .finish_work = real_finish_work,
    .finish_work_until = real_finish_work_until,
    .process_status = real_process_status,
    .catch_signals = real_catch_signals,
    .take_signal = real_take_signal,
    .set_prompt = real_set_prompt,
    .raise_file_limit = real_raise_file_limit,
    .close_io = real_close_io,
};

struct io *io_real_open(int workers, char *error, size_t error_size) {
    INVARIANT(workers >= 1 && workers <= REAL_WORKERS_MAX);
    tzset();
    int directory_fd = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (directory_fd < 0) {
        snprintf(error, error_size, "Can't open the current directory: %m");
        return NULL;
    }
    struct real *real = memory_alloc_zeroed(1, sizeof(*real));
    real->directory_fd = directory_fd;
    real->operations = real_operations;
    real->io.operations = &real->operations;
    calibrate_ticks(&real->operations);
    int failure = real_poller_open(&real->poller);
    if (failure < 0) {
        snprintf(error, error_size, "Can't set up epoll: %s", strerror(-failure));
        close(directory_fd);
        memory_free(real);
        return NULL;
    }
    real_workers_open(&real->io, workers);
    return &real->io;
}
