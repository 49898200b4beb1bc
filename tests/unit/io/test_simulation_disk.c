/* The simulated disk and workers: what a crash may leave, injected failures, order of work. */
#include "base/buffer.h"
#include "io/simulation.h"
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

enum { SEEDS = 300 };

static io_file open_file(struct io *io, const char *path, uint32_t flags) {
    return io->operations->open(io, path, flags, 0644);
}

static void write_text(struct io *io, io_file file, const char *text) {
    assert_int_equal(io->operations->write(io, file, text, strlen(text)), strlen(text));
}

/* The file's content, or "-" when there is none. */
static void content_of(struct io *io, const char *path, char *out, size_t size) {
    io_file file = open_file(io, path, IO_READ);
    if (file < 0) {
        assert_int_equal(file, -ENOENT);
        snprintf(out, size, "-");
        return;
    }
    int64_t got = io->operations->read(io, file, out, size - 1);
    assert_true(got >= 0);
    out[got] = '\0';
    io->operations->close(io, file);
}

static void append_name(void *context, const char *name) {
    buffer_append_text(context, name);
    buffer_append_byte(context, ' ');
}

static void test_files(void **state) {
    (void)state;
    struct simulation *simulation = simulation_open(1);
    struct io *io = simulation_host(simulation, "h");
    const struct io_operations *call = io->operations;
    char text[64], path[64];
    io_file file = open_file(io, "a", IO_READ | IO_WRITE | IO_CREATE);
    assert_true(file >= 0);
    write_text(io, file, "hello world");
    assert_int_equal(call->read_at(io, file, text, sizeof(text), 6), 5);
    assert_memory_equal(text, "world", 5);
    assert_int_equal(call->read(io, file, text, sizeof(text)), 0);
    assert_int_equal(call->truncate(io, file, 5), 0);
    call->close(io, file);
    file = open_file(io, "/a", IO_WRITE | IO_APPEND);
    write_text(io, file, "!");
    assert_int_equal(call->read(io, file, text, 1), -EBADF);
    call->close(io, file);
    content_of(io, "./x/../a", text, sizeof(text));
    assert_string_equal(text, "hello!");
    assert_int_equal(open_file(io, "a", IO_WRITE | IO_CREATE | IO_EXCLUSIVE), -EEXIST);
    assert_int_equal(open_file(io, "none", IO_READ), -ENOENT);
    assert_int_equal(open_file(io, "none/a", IO_WRITE | IO_CREATE), -ENOENT);
    assert_int_equal(call->make_directory(io, "d", 0755), 0);
    assert_int_equal(call->make_directory(io, "d", 0755), -EEXIST);
    assert_int_equal(call->rename(io, "a", "d/b"), 0);
    assert_int_equal(call->rename(io, "a", "d/b"), -ENOENT);
    assert_int_equal(call->change_directory(io, "d"), 0);
    assert_int_equal(call->directory(io, path, sizeof(path)), 0);
    assert_string_equal(path, "/d");
    content_of(io, "b", text, sizeof(text));
    assert_string_equal(text, "hello!");
    call->close(io, open_file(io, "/d-x", IO_WRITE | IO_CREATE));
    call->close(io, open_file(io, "c", IO_WRITE | IO_CREATE));
    struct buffer names = {0};
    assert_int_equal(call->list(io, ".", append_name, &names), 0);
    assert_int_equal(call->list(io, "/", append_name, &names), 0);
    assert_true(bytes_equal(buffer_bytes(&names), BYTES("b c d d-x ")));
    buffer_release(&names);
    struct io_file_status status;
    assert_int_equal(call->status(io, "b", &status), 0);
    assert_int_equal(status.size, 6);
    assert_int_equal(status.mode, 0644);
    assert_int_equal(call->status(io, "/d", &status), 0);
    assert_int_equal(status.kind, IO_KIND_DIRECTORY);
    /* A removed file lives as long as it is open. */
    file = open_file(io, "b", IO_READ);
    assert_int_equal(call->remove(io, "b"), 0);
    assert_int_equal(call->remove(io, "b"), -ENOENT);
    assert_int_equal(call->read(io, file, text, sizeof(text)), 6);
    call->close(io, file);
    simulation_close(simulation);
}

static struct io *open_with_file(struct simulation *simulation, io_file *file) {
    struct io *io = simulation_host(simulation, "h");
    *file = open_file(io, "log", IO_READ | IO_WRITE | IO_CREATE | IO_APPEND);
    return io;
}

/* What was synced is there after every crash; what was not is there whole, in part, or not; all of
 * these happen. */
static void test_crash_tears_what_is_not_synced(void **state) {
    (void)state;
    int whole = 0, none = 0, torn = 0, holes = 0;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        struct simulation *simulation = simulation_open(seed);
        io_file file;
        struct io *io = open_with_file(simulation, &file);
        write_text(io, file, "safe.");
        assert_int_equal(io->operations->sync(io, file, true), 0);
        assert_int_equal(io->operations->sync_directory(io, "."), 0);
        write_text(io, file, "first.");
        write_text(io, file, "second.");
        simulation_crash(io);
        assert_int_equal(open_file(io, "log", IO_READ), -EIO);
        simulation_boot(io);
        char text[64] = {0}, hole[32] = {0};
        file = open_file(io, "log", IO_READ);
        int64_t size = io->operations->read(io, file, text, sizeof(text));
        if (size < 5 || memcmp(text, "safe.", 5) != 0)
            fail_msg("seed %llu lost what was synced", (unsigned long long)seed);
        if (size == 5) none++;
        if (size == 18 && memcmp(text, "safe.first.second.", 18) == 0) whole++;
        if (size > 5 && size < 18) torn++;
        if (size > 11 && memcmp(text + 5, hole, 6) == 0) holes++;
        simulation_close(simulation);
    }
    assert_true(whole > 0 && none > 0 && torn > 0 && holes > 0);
}

/* The usual dance: write aside, sync, rename, sync the directory. Without the last step either file
 * may be there, and never anything else; with it, the new one. Without the first sync it may be
 * torn. */
static void test_crash_and_rename(void **state) {
    (void)state;
    int old = 0, new = 0, torn = 0;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        bool syncs_file = seed % 3 != 0, syncs_directory = seed % 3 == 2;
        struct simulation *simulation = simulation_open(seed);
        struct io *io = simulation_host(simulation, "h");
        const struct io_operations *call = io->operations;
        io_file file = open_file(io, "data", IO_WRITE | IO_CREATE);
        write_text(io, file, "old");
        assert_int_equal(call->sync(io, file, false), 0);
        call->close(io, file);
        assert_int_equal(call->sync_directory(io, "/"), 0);
        file = open_file(io, "temp", IO_WRITE | IO_CREATE);
        write_text(io, file, "brand new");
        if (syncs_file) assert_int_equal(call->sync(io, file, false), 0);
        call->close(io, file);
        assert_int_equal(call->rename(io, "temp", "data"), 0);
        if (syncs_directory) assert_int_equal(call->sync_directory(io, "/"), 0);
        simulation_crash(io);
        simulation_boot(io);
        char text[64];
        content_of(io, "data", text, sizeof(text));
        bool is_old = strcmp(text, "old") == 0, is_new = strcmp(text, "brand new") == 0;
        if (syncs_file) assert_true(is_old || is_new);
        if (syncs_directory) assert_true(is_new);
        if (!syncs_directory && syncs_file) old += is_old;
        if (!syncs_directory && syncs_file) new += is_new;
        if (!syncs_file && !is_old && !is_new) torn++;
        simulation_close(simulation);
    }
    assert_true(old > 0 && new > 0 && torn > 0);
}

static void test_unsynced_names_may_vanish(void **state) {
    (void)state;
    int there = 0, gone = 0;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        struct simulation *simulation = simulation_open(seed);
        struct io *io = simulation_host(simulation, "h");
        assert_int_equal(io->operations->make_directory(io, "d", 0755), 0);
        io_file file = open_file(io, "d/f", IO_WRITE | IO_CREATE);
        write_text(io, file, "text");
        assert_int_equal(io->operations->sync(io, file, false), 0);
        assert_int_equal(io->operations->sync_directory(io, "d"), 0);
        simulation_crash(io);
        simulation_boot(io);
        char text[64];
        content_of(io, "d/f", text, sizeof(text));
        assert_true(strcmp(text, "-") == 0 || strcmp(text, "text") == 0);
        there += text[0] == 't';
        gone += text[0] == '-';
        simulation_close(simulation);
    }
    assert_true(there > 0 && gone > 0);
}

/* A killed process leaves what it wrote; only a power failure takes that. */
static void test_kill_keeps_the_disk(void **state) {
    (void)state;
    struct simulation *simulation = simulation_open(2);
    io_file file;
    struct io *io = open_with_file(simulation, &file);
    write_text(io, file, "not synced");
    simulation_kill(io);
    simulation_boot(io);
    char text[64];
    content_of(io, "log", text, sizeof(text));
    assert_string_equal(text, "not synced");
    simulation_close(simulation);
}

static void test_injected_failures(void **state) {
    (void)state;
    struct simulation *simulation = simulation_open(3);
    io_file file;
    struct io *io = open_with_file(simulation, &file);
    const struct io_operations *call = io->operations;
    struct simulation_disk_faults *faults = simulation_disk(io);
    faults->capacity_bytes = 8;
    assert_int_equal(call->write(io, file, "hello", 5), 5);
    assert_int_equal(call->write(io, file, "hello", 5), 3);
    assert_int_equal(call->write(io, file, "hello", 5), -ENOSPC);
    assert_int_equal(call->truncate(io, file, 0), 0);
    assert_int_equal(call->write(io, file, "hello", 5), 5);
    faults->capacity_bytes = 0;
    faults->write_error = 1000000;
    assert_int_equal(call->write(io, file, "hello", 5), -EIO);
    faults->write_error = 0;
    faults->read_error = 1000000;
    char text[8];
    assert_int_equal(call->read_at(io, file, text, 5, 0), -EIO);
    faults->read_error = 0;
    faults->open_error = 1000000;
    assert_int_equal(open_file(io, "log", IO_READ), -EIO);
    faults->open_error = 0;
    faults->sync_error = 1000000;
    assert_int_equal(call->sync(io, file, true), -EIO);
    assert_int_equal(call->sync_directory(io, "/"), -EIO);
    faults->sync_error = 0;
    faults->partial_write = 1000000;
    int64_t written = call->write(io, file, "0123456789", 10);
    assert_in_range(written, 1, 10);
    int64_t before = io_monotonic_us(io);
    faults->call_us_max = faults->sync_us_max = 1000;
    for (int i = 0; i < 10; i++)
        assert_int_equal(call->sync(io, file, true), 0);
    assert_true(io_monotonic_us(io) > before);
    simulation_close(simulation);
}

/* After a sync that failed, one that succeeds does not bring the data to the disk. */
static void test_failed_sync_loses_for_good(void **state) {
    (void)state;
    int lost = 0, kept = 0;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        struct simulation *simulation = simulation_open(seed);
        io_file file;
        struct io *io = open_with_file(simulation, &file);
        assert_int_equal(io->operations->sync_directory(io, "/"), 0);
        write_text(io, file, "text");
        simulation_disk(io)->sync_error = 1000000;
        assert_int_equal(io->operations->sync(io, file, true), -EIO);
        simulation_disk(io)->sync_error = 0;
        assert_int_equal(io->operations->sync(io, file, true), 0);
        simulation_crash(io);
        simulation_boot(io);
        char text[64];
        content_of(io, "log", text, sizeof(text));
        lost += text[0] == '\0';
        kept += strcmp(text, "text") == 0;
        simulation_close(simulation);
    }
    assert_int_equal(lost + kept, SEEDS);
    assert_true(lost > 0 && kept > 0);
}

enum { JOBS = 40 };

struct numbered_job {
    struct io *io;
    struct buffer *worked, *done;
    int number;
};

static void job_work(void *context) {
    struct numbered_job *job = context;
    buffer_append_byte(job->worked, (char)job->number);
    int64_t before = io_monotonic_us(job->io);
    job->io->operations->sleep_us(job->io, 300);
    assert_true(io_monotonic_us(job->io) == before + 300);
}

static void job_done(void *context) {
    struct numbered_job *job = context;
    buffer_append_byte(job->done, (char)job->number);
}

static void wait_turn(void *context) {
    struct io_event events[1];
    io_wait(context, events, 1, -1);
}

static bool is_sorted(const struct buffer *numbers) {
    for (size_t i = 0; i < numbers->size; i++)
        if (numbers->data[i] != (char)i) return false;
    return numbers->size == JOBS;
}

/* Runs jobs in a lane and says whether their work and their `done`s came in order. */
static void run_jobs(uint64_t seed, uint32_t lane, bool finish, bool *work_sorted,
                     bool *done_sorted) {
    struct simulation *simulation = simulation_open(seed);
    struct io *io = simulation_host(simulation, "h");
    simulation_set_turn(io, wait_turn, io);
    struct buffer worked = {0}, done = {0};
    struct numbered_job jobs[JOBS];
    for (int i = 0; i < JOBS; i++) {
        jobs[i] = (struct numbered_job){io, &worked, &done, i};
        io_submit(io, lane, job_work, job_done, &jobs[i]);
    }
    assert_int_equal(worked.size, 0);
    if (finish) {
        simulation_run_for(simulation, 500);
        io->operations->finish_work(io);
    } else {
        simulation_run_for(simulation, 1000000);
    }
    assert_int_equal(worked.size, JOBS);
    assert_int_equal(done.size, JOBS);
    *work_sorted = is_sorted(&worked);
    *done_sorted = is_sorted(&done);
    buffer_release(&worked);
    buffer_release(&done);
    simulation_close(simulation);
}

static void test_workers(void **state) {
    (void)state;
    bool work_sorted, done_sorted;
    for (uint64_t seed = 0; seed < 50; seed++) {
        run_jobs(seed, IO_LANE_SYNC, seed % 2, &work_sorted, &done_sorted);
        assert_true(work_sorted && done_sorted);
        run_jobs(seed, IO_LANE_FREE, false, &work_sorted, &done_sorted);
        assert_false(work_sorted);
    }
}

/* The memory of work that a crash interrupts comes back through finish_work, with the disk gone. */
static void fail_to_write(void *context) {
    struct numbered_job *job = context;
    assert_int_equal(open_file(job->io, "f", IO_WRITE | IO_CREATE), -EIO);
}

static void test_work_after_a_crash(void **state) {
    (void)state;
    struct simulation *simulation = simulation_open(4);
    struct io *io = simulation_host(simulation, "h");
    struct buffer done = {0};
    struct numbered_job job = {io, NULL, &done, 1};
    io_submit(io, IO_LANE_SAVE, fail_to_write, job_done, &job);
    simulation_crash(io);
    simulation_run_for(simulation, 1000000);
    assert_int_equal(done.size, 0);
    io->operations->finish_work(io);
    assert_int_equal(done.size, 1);
    simulation_boot(io);
    assert_true(open_file(io, "f", IO_WRITE | IO_CREATE) >= 0);
    buffer_release(&done);
    simulation_close(simulation);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_files),
        cmocka_unit_test(test_crash_tears_what_is_not_synced),
        cmocka_unit_test(test_crash_and_rename),
        cmocka_unit_test(test_unsynced_names_may_vanish),
        cmocka_unit_test(test_kill_keeps_the_disk),
        cmocka_unit_test(test_injected_failures),
        cmocka_unit_test(test_failed_sync_loses_for_good),
        cmocka_unit_test(test_workers),
        cmocka_unit_test(test_work_after_a_crash),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
