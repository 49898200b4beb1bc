/* Real workers, signals and the process. */
#include "io/io.h"
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

enum { JOBS = 300 };

static struct io *open_world(int workers) {
    char error[256] = "";
    struct io *io = io_real_open(workers, error, sizeof(error));
    assert_non_null(io);
    return io;
}

struct lane_log {
    atomic_int running, most_running;
    int order[JOBS], count; /* by the lane's work: no two may write at once */
};

struct numbered_job {
    struct lane_log *log;
    int number;
    pthread_t owner;
    bool done;
};

static void record_work(void *context) {
    struct numbered_job *job = context;
    int running = atomic_fetch_add(&job->log->running, 1) + 1;
    if (running > atomic_load(&job->log->most_running))
        atomic_store(&job->log->most_running, running);
    assert_false(pthread_equal(pthread_self(), job->owner));
    if (job->number % 16 == 0) usleep(500);
    job->log->order[job->log->count++] = job->number;
    atomic_fetch_sub(&job->log->running, 1);
}

static void record_done(void *context) {
    struct numbered_job *job = context;
    assert_true(pthread_equal(pthread_self(), job->owner));
    assert_false(job->done);
    job->done = true;
}

/* Two serial lanes at once: each in order, never two of one lane at a time. */
static void test_lanes_are_ordered(void **state) {
    (void)state;
    struct io *io = open_world(4);
    static struct lane_log logs[2];
    static struct numbered_job jobs[2][JOBS];
    const uint32_t lanes[2] = {IO_LANE_SAVE, IO_LANE_SYNC};
    for (int i = 0; i < JOBS; i++) {
        for (int lane = 0; lane < 2; lane++) {
            jobs[lane][i] = (struct numbered_job){&logs[lane], i, pthread_self(), false};
            io_submit(io, lanes[lane], record_work, record_done, &jobs[lane][i]);
        }
    }
    io->operations->finish_work(io);
    for (int lane = 0; lane < 2; lane++) {
        assert_int_equal(logs[lane].count, JOBS);
        assert_int_equal(logs[lane].most_running, 1);
        for (int i = 0; i < JOBS; i++) {
            assert_int_equal(logs[lane].order[i], i);
            assert_true(jobs[lane][i].done);
        }
    }
    io_close(io);
}

static void meet(void *context) {
    pthread_barrier_wait(context);
}

static void count_done(void *context) {
    (void)context;
}

/* Free work runs side by side: three that wait for each other end. */
static void test_free_lane_is_parallel(void **state) {
    (void)state;
    struct io *io = open_world(3);
    pthread_barrier_t barrier;
    pthread_barrier_init(&barrier, NULL, 3);
    for (int i = 0; i < 3; i++)
        io_submit(io, IO_LANE_FREE, meet, count_done, &barrier);
    io->operations->finish_work(io);
    pthread_barrier_destroy(&barrier);
    io_close(io);
}

static void short_work(void *context) {
    (void)context;
    usleep(5000);
}

static void note_done(void *context) {
    *(bool *)context = true;
}

/* A wait without end is ended by work that completes, and has run its `done`. */
static void test_wait_runs_done(void **state) {
    (void)state;
    struct io *io = open_world(1);
    struct io_event events[4];
    for (int i = 0; i < 20; i++) {
        bool done = false;
        io_submit(io, IO_LANE_TRANSFER, short_work, note_done, &done);
        while (!done)
            assert_int_equal(io_wait(io, events, 4, -1), 0);
    }
    io_submit(io, IO_LANE_TRANSFER, short_work, NULL, NULL);
    io_close(io); /* finishes what was submitted */
}

struct chain {
    struct io *io;
    int left;
};

static void no_work(void *context) {
    (void)context;
}

static void submit_next(void *context) {
    struct chain *chain = context;
    if (--chain->left > 0) io_submit(chain->io, IO_LANE_SAVE, no_work, submit_next, chain);
}

static void test_done_may_submit(void **state) {
    (void)state;
    struct io *io = open_world(1);
    struct chain chain = {io, 50};
    io_submit(io, IO_LANE_SAVE, no_work, submit_next, &chain);
    io->operations->finish_work(io);
    assert_int_equal(chain.left, 0);
    io_close(io);
}

static void test_signals(void **state) {
    (void)state;
    struct io *io = open_world(1);
    struct io_event events[4];
    bool done = false;
    io->operations->catch_signals(io);
    io_submit(io, IO_LANE_FREE, no_work, note_done, &done); /* a thread that must not take it */
    io->operations->finish_work(io);
    kill(getpid(), SIGHUP);
    kill(getpid(), SIGPIPE);
    assert_int_equal(io->operations->take_signal(io), 0);
    kill(getpid(), SIGTERM);
    assert_int_equal(io_wait(io, events, 4, 5000000), 0);
    assert_int_equal(io->operations->take_signal(io), SIGTERM);
    assert_int_equal(io->operations->take_signal(io), 0);
    kill(getpid(), SIGINT);
    assert_int_equal(io->operations->take_signal(io), SIGINT);
    io_close(io);
    kill(getpid(), SIGTERM); /* nobody receives it: nothing happens */
    signal(SIGTERM, SIG_DFL);
    signal(SIGINT, SIG_DFL);
}

static void test_second_interrupt_exits(void **state) {
    (void)state;
    pid_t child = fork();
    if (child == 0) {
        char error[256];
        close(STDERR_FILENO);
        struct io *io = io_real_open(1, error, sizeof(error));
        io->operations->catch_signals(io);
        raise(SIGINT);
        raise(SIGINT);
        _exit(7);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 1);
}

static void test_process_status(void **state) {
    (void)state;
    struct io *io = open_world(1);
    struct io_process_status status;
    io->operations->process_status(io, &status);
    assert_int_equal(status.pid, getpid());
    assert_true(status.memory_resident > 100000);
    assert_true(status.memory_peak > 100000);
    assert_true(status.memory_total > status.memory_resident);
    assert_true(status.processors >= 1);
    assert_non_null(strstr(status.os, "Linux "));
    assert_int_equal(status.executable[0], '/');
    int64_t limit = io->operations->raise_file_limit(io, 256);
    assert_true(limit >= 256);
    assert_true(io->operations->raise_file_limit(io, limit) >= limit);
    io_close(io);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lanes_are_ordered), cmocka_unit_test(test_free_lane_is_parallel),
        cmocka_unit_test(test_wait_runs_done),    cmocka_unit_test(test_done_may_submit),
        cmocka_unit_test(test_signals),           cmocka_unit_test(test_second_interrupt_exits),
        cmocka_unit_test(test_process_status),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
