/* test_aof.c: what the append-only file's writer leaves on a simulated disk that is slow, full,
 * failing, or loses its power, read again as a start would read it. From seeds, printed. */
#include "../base/cmocka_all.h"
#include "../base/effort.h"
#include "base/memory.h"
#include "io/simulation.h"
#include "journal/aof.h"
#include "journal/replay.h"
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

enum { SEEDS = EFFORT(1000), STEPS = 400 };

struct world {
    uint64_t seed;
    struct simulation *simulation;
    struct io *host;
    struct log log;
    struct journal journal;
    struct aof aof;
    bool lost_pages; /* an fsync may have failed: the system shows bytes that the disk never gets */
    uint64_t next;   /* number of the next command */
    uint64_t offsets[STEPS * 8 + 8]; /* the journal's, behind each command */
};

static void nothing(void *context) {
    (void)context;
}

static int64_t log_time(void *context) {
    (void)context;
    return 0;
}

static void log_nothing(void *context, enum log_level level, struct bytes line) {
    (void)context, (void)level, (void)line;
}

static void turn(void *context) {
    struct world *world = context;
    struct io_event events[4];
    int64_t due = aof_due_us(&world->aof), now = io_monotonic_us(world->host);
    io_wait(world->host, events, 4, due == INT64_MAX ? -1 : due > now ? due - now : 0);
    aof_step(&world->aof, io_monotonic_us(world->host));
}

static void open_aof(struct world *world, enum aof_policy policy) {
    struct aof_options options = {
        .io = world->host,
        .log = &world->log,
        .journal = &world->journal,
        .parent = ".",
        .directory = "aofdir",
        .name = "a.aof",
        .id = "0123456789abcdef0123456789abcdef01234567",
        .moved = nothing,
    };
    journal_init(&world->journal);
    aof_init(&world->aof, &options);
    world->aof.policy = policy;
}

static void append_some(struct world *world) {
    uint64_t count = 1 + simulation_random_below(world->simulation, 4);
    bool unit = simulation_random_below(world->simulation, 4) == 0;
    uint64_t first = world->next;
    if (unit) journal_begin_unit(&world->journal);
    for (uint64_t i = 0; i < count; i++) {
        char number[24], filling[600];
        int size = snprintf(number, sizeof number, "%" PRIu64, world->next++);
        size_t more = simulation_random_below(world->simulation, sizeof filling);
        memset(filling, 'x', sizeof filling);
        struct bytes words[] = {BYTES("SET"), bytes_make(number, (size_t)size),
                                bytes_make(filling, more)};
        journal_append(&world->journal, 0, words, 3);
        world->offsets[world->next] = world->journal.offset;
    }
    if (unit) journal_end_unit(&world->journal);
    if (unit)
        for (uint64_t i = first + 1; i <= world->next; i++)
            world->offsets[i] = world->journal.offset;
    journal_commit(&world->journal);
    aof_step(&world->aof, io_monotonic_us(world->host));
}

/* ---- reading again ---- */

struct reader {
    uint64_t next; /* the command that must come */
};

static bool execute(void *context, struct request *request, char *error, size_t error_size) {
    struct reader *reader = context;
    char number[24];
    (void)error, (void)error_size;
    if (bytes_is(request->arguments[0], "select")) return true;
    assert_true(bytes_is(request->arguments[0], "set"));
    snprintf(number, sizeof number, "%" PRIu64, reader->next);
    assert_true(bytes_equal(request->arguments[1], bytes_from_text(number)));
    reader->next++;
    return true;
}

static int64_t size_of(struct world *world, size_t index) {
    struct buffer path = {0};
    struct io_file_status status = {0};
    aof_path(&world->aof, world->aof.manifest.files[index].name, &path);
    assert_int_equal(world->host->operations->status(world->host, path.data, &status), 0);
    buffer_release(&path);
    return (int64_t)status.size;
}

/* Behind a torn file there may be one that was begun and could not be used. */
static bool rest_is_empty(struct world *world, size_t index) {
    for (size_t i = index + 1; i < world->aof.manifest.count; i++)
        if (size_of(world, i) > 0) return false;
    return true;
}

/* Cut what is torn, as a start does. */
static void cut(struct world *world, size_t index, uint64_t good) {
    struct buffer path = {0};
    aof_path(&world->aof, world->aof.manifest.files[index].name, &path);
    io_file file = world->host->operations->open(world->host, path.data, IO_WRITE, 0);
    assert_true(file >= 0);
    assert_int_equal(world->host->operations->truncate(world->host, file, good), 0);
    assert_int_equal(world->host->operations->sync(world->host, file, false), 0);
    world->host->operations->close(world->host, file);
    buffer_release(&path);
}

/* All files of the manifest. */
static void read_all(struct world *world, struct reader *reader, bool *torn) {
    struct buffer path = {0};
    char error[256];
    enum replay_result result = REPLAY_DONE;
    if (!aof_read_manifest(&world->aof, error, sizeof error)) fail_msg("%s", error);
    for (size_t i = 0; i < world->aof.manifest.count; i++) {
        struct replay replay;
        aof_path(&world->aof, world->aof.manifest.files[i].name, &path);
        assert_int_equal(result, REPLAY_DONE);
        assert_int_equal(replay_open(&replay, world->host, path.data, 0), 0);
        do
            result = replay_step(&replay, 10, execute, reader);
        while (result == REPLAY_MORE);
        if (result != REPLAY_DONE && result != REPLAY_TORN)
            fail_msg("seed %" PRIu64 ": file %zu: %s", world->seed, i, replay.error);
        if (result == REPLAY_TORN) {
            if (!rest_is_empty(world, i))
                fail_msg("seed %" PRIu64 ": file %zu of %zu: %s", world->seed, i,
                         world->aof.manifest.count, replay.error);
            cut(world, i, replay.good);
            *torn = true;
            result = REPLAY_DONE;
        }
        replay_close(&replay);
    }
    buffer_release(&path);
}

/* A second reading finds the same, and nothing torn. */
static uint64_t read_and_mend(struct world *world) {
    struct reader first = {0}, second = {0};
    bool torn = false;
    read_all(world, &first, &torn);
    torn = false;
    read_all(world, &second, &torn);
    assert_false(torn);
    assert_int_equal(first.next, second.next);
    return first.next;
}

/* ---- the test ---- */

static void begin_world(struct world *world, uint64_t seed) {
    memset(world, 0, sizeof *world);
    world->seed = seed;
    world->simulation = simulation_open(seed);
    world->host = simulation_host(world->simulation, "server");
    world->log = (struct log){.level = LOG_WARNING, .wall_us = log_time, .write = log_nothing};
}

static void make_trouble(struct world *world) {
    struct simulation_disk_faults *faults = simulation_disk(world->host);
    switch (simulation_random_below(world->simulation, 6)) {
    case 0: faults->write_error = 300000; break;
    case 1:
        /* With `no`, nobody keeps what such a disk throws away. */
        if (world->aof.policy != AOF_NO) faults->sync_error = 300000;
        world->lost_pages = true;
        break;
    case 2:
        faults->capacity_bytes = 2000 + simulation_random_below(world->simulation, 30000);
        break;
    case 3: faults->sync_us_max = 3000000; break;
    case 4: faults->partial_write = 500000; break;
    default: break;
    }
}

static void end_trouble(struct world *world) {
    *simulation_disk(world->host) = (struct simulation_disk_faults){.sync_us_max = 2000};
}

static void run_steps(struct world *world, uint64_t steps) {
    for (uint64_t i = 0; i < steps; i++) {
        append_some(world);
        if (simulation_random_below(world->simulation, 40) == 0) aof_roll(&world->aof);
        if (simulation_random_below(world->simulation, 60) == 0) make_trouble(world);
        if (simulation_random_below(world->simulation, 30) == 0) end_trouble(world);
        bool long_wait = simulation_random_below(world->simulation, 20) == 0;
        simulation_run_for(world->simulation, (int64_t)simulation_random_below(
                                                  world->simulation, long_wait ? 3000000 : 3000));
        /* The horizon says no more than the disk has. */
        if (world->aof.policy == AOF_ALWAYS)
            assert_int_equal(world->journal.horizon, world->aof.synced_offset);
    }
}

static void end_world(struct world *world) {
    world->host->operations->finish_work(world->host);
    aof_release(&world->aof);
    journal_release(&world->journal);
}

/* Commands up to this number were on disk for sure. */
static uint64_t sure(const struct world *world) {
    uint64_t n = 0;
    while (n < world->next && world->offsets[n + 1] <= world->aof.synced_offset)
        n++;
    return n;
}

static void test_power_failures(void **state) {
    (void)state;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        struct world *world = malloc(sizeof *world);
        begin_world(world, seed);
        enum aof_policy policy = (enum aof_policy)(seed % 3);
        open_aof(world, policy);
        for (int life = 0; life < 3; life++) {
            uint64_t base = world->next;
            if (aof_start(&world->aof, io_monotonic_us(world->host)) < 0) {
                end_trouble(world);
                assert_int_equal(aof_start(&world->aof, 0), 0);
            }
            simulation_set_turn(world->host, turn, world);
            run_steps(world, 1 + simulation_random_below(world->simulation, STEPS / 3));
            bool gentle = simulation_random_below(world->simulation, 3) == 0;
            end_trouble(world);
            if (gentle) {
                aof_stop(&world->aof);
                simulation_run_for(world->simulation, 30000000); /* a job has up to five syncs */
                assert_int_equal(world->aof.synced_offset, world->journal.offset);
            }
            uint64_t least = gentle ? world->next : policy == AOF_NO ? base : sure(world);
            if (least < base) least = base;
            if (simulation_random_below(world->simulation, 2) == 0 && !gentle && !world->lost_pages)
                simulation_kill(world->host);
            else
                simulation_crash(world->host);
            end_world(world);
            simulation_boot(world->host);
            world->lost_pages = false;
            open_aof(world, policy);
            uint64_t found = read_and_mend(world);
            if (found < least || found > world->next)
                fail_msg("seed %" PRIu64 ": %" PRIu64 " commands, at least %" PRIu64
                         " were safe, %" PRIu64 " were made",
                         seed, found, least, world->next);
            world->next = found;
            for (uint64_t i = 0; i <= found; i++)
                world->offsets[i] = 0;
        }
        end_world(world);
        simulation_close(world->simulation);
        free(world);
    }
}

/* ---- who is synced together ---- */

static void append_one(struct world *world) {
    static const struct bytes words[] = {BYTES("SET"), BYTES("key"), BYTES("value")};
    journal_append(&world->journal, 0, words, 3);
    journal_commit(&world->journal);
    aof_step(&world->aof, io_monotonic_us(world->host));
}

/* Time passes for an engine that is called when it wants to be. */
static void pass_time(struct world *world) {
    simulation_run_for(world->simulation, 10);
    aof_step(&world->aof, io_monotonic_us(world->host));
}

/* Until all is promised. */
static void await_sync(struct world *world) {
    while (world->aof.running || world->aof.synced_offset < world->aof.appended)
        pass_time(world);
}

/* A disk and a log in which some have been synced already, so that it is known how long one takes.
 */
static struct world *open_synced_world(uint64_t seed) {
    struct world *world = malloc(sizeof *world);
    begin_world(world, seed);
    open_aof(world, AOF_ALWAYS);
    assert_int_equal(aof_start(&world->aof, 0), 0);
    simulation_set_turn(world->host, turn, world);
    for (int i = 0; i < 100; i++) {
        append_one(world);
        await_sync(world);
    }
    return world;
}

/* One writer in a thousand turns: none of its changes waits for others. */
static void test_alone(void **state) {
    (void)state;
    struct world *world = open_synced_world(1);
    for (int i = 0; i < 1000; i++) {
        append_one(world);
        assert_non_null(world->aof.running);
        await_sync(world);
        assert_int_equal(world->journal.horizon, world->journal.offset);
    }
    end_world(world);
    simulation_close(world->simulation);
    free(world);
}

/* One was answered just now, and another one waits already: how long until it is under way, if the
 * first one comes back at once, or stays away? */
static int64_t wait_of_second(struct world *world, bool comes_back) {
    struct aof *aof = &world->aof;
    append_one(world); /* alone: nobody else is expected */
    await_sync(world);
    append_one(world);
    uint64_t first = aof->appended;
    append_one(world); /* while the first is being synced */
    while (aof->synced_offset < first)
        simulation_run_for(world->simulation, 1);
    int64_t answered_us = io_monotonic_us(world->host);
    if (comes_back) append_one(world);
    while (!aof->running)
        pass_time(world);
    int64_t waited_us = io_monotonic_us(world->host) - answered_us;
    if (comes_back) assert_int_equal(aof->written, first); /* they are one group now */
    await_sync(world);
    assert_int_equal(world->journal.horizon, world->journal.offset);
    return waited_us;
}

/* Two groups of writers become one, as long as those who were answered come back soon; who stays
 * away keeps the others waiting no longer than an fsync takes, and not always. */
static void test_together(void **state) {
    (void)state;
    struct world *world = open_synced_world(2);
    for (int round = 0; round < 100; round++)
        assert_int_equal(wait_of_second(world, true), 0);
    assert_in_range(wait_of_second(world, false), 1, world->aof.gathering.sync_us + 500);
    int at_once = 0;
    for (int round = 0; round < 30; round++) {
        int64_t waited_us = wait_of_second(world, false);
        assert_in_range(waited_us, 0, world->aof.gathering.sync_us + 500);
        at_once += waited_us == 0;
    }
    assert_true(at_once >= 10);
    end_world(world);
    simulation_close(world->simulation);
    free(world);
}

/* ---- what is kept ---- */

/* A base of 500 bytes stands for all before, and an increment of about a thousand begins. */
static void rewrite(struct world *world) {
    char filling[500];
    struct buffer path = {0};
    memset(filling, '#', sizeof filling);
    aof_roll(&world->aof);
    uint64_t increment = aof_increment(&world->aof);
    char *name = aof_next_base(&world->aof, false);
    aof_path(&world->aof, name, &path);
    io_file file =
        world->host->operations->open(world->host, path.data, IO_WRITE | IO_CREATE, 0644);
    assert_int_equal(world->host->operations->write(world->host, file, filling, sizeof filling),
                     sizeof filling);
    world->host->operations->close(world->host, file);
    aof_set_base(&world->aof, false, increment);
    for (int i = 0; i < 30; i++)
        append_one(world);
    await_sync(world);
    simulation_run_for(world->simulation, 1000000);
    buffer_release(&path);
    memory_free(name);
}

/* What is left of history. */
static void check_history(struct world *world, size_t bases, size_t increments) {
    const struct manifest *manifest = &world->aof.manifest;
    size_t found_bases = 0, found_increments = 0;
    for (size_t i = 0; i < manifest->count; i++) {
        const struct manifest_file *file = &manifest->files[i];
        if (file->type != MANIFEST_HISTORY) continue;
        bool is_base = strstr(file->name, ".base.") != NULL;
        found_bases += is_base;
        found_increments += !is_base;
    }
    assert_int_equal(found_bases, bases);
    assert_int_equal(found_increments, increments);
}

/* Five bases, each with an increment; the last of them are not history. */
static void test_retention(void **state) {
    (void)state;
    struct world *world = open_synced_world(3);
    for (int i = 0; i < 5; i++)
        rewrite(world);
    uint64_t increment = 0;
    for (size_t i = 0; i < world->aof.manifest.count; i++)
        if (world->aof.manifest.files[i].type == MANIFEST_INCREMENT)
            increment = (uint64_t)size_of(world, i);
    uint64_t pair = increment + 500;
    assert_in_range(increment, 1000, 10000);
    check_history(world, 4, 5); /* the first increment has no base, as nothing was before it */
    aof_prune(&world->aof, INT64_MIN, UINT64_MAX);
    check_history(world, 4, 5);
    aof_prune(&world->aof, INT64_MIN, 4 * pair + 100);
    check_history(world, 4, 4);
    aof_prune(&world->aof, INT64_MIN, 4 * pair - 100);
    check_history(world, 3, 3);
    aof_prune(&world->aof, INT64_MIN, 2 * pair + 10 + increment); /* one has lost its base */
    check_history(world, 2, 2);
    aof_prune(&world->aof, INT64_MIN, increment);
    check_history(world, 0, 0);
    await_sync(world);
    end_world(world);
    simulation_close(world->simulation);
    free(world);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_power_failures),
        cmocka_unit_test(test_alone),
        cmocka_unit_test(test_together),
        cmocka_unit_test(test_retention),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
