/* test_restore.c: a log that the append-only file's writer has made, with several increments and
 * bases, restored to random times, offsets and commands: what the new folder has is what was there
 * then. From seeds, printed. */
#include "../base/cmocka_all.h"
#include "../base/effort.h"
#include "io/files.h"
#include "io/simulation.h"
#include "journal/aof.h"
#include "tool/common/files.h"
#include "tool/restore/plan.h"
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    SEEDS = EFFORT(1000),
    STEPS = 120,
    COMMANDS_MAX = STEPS * 5 + 1,
    MOMENTS = 12,
    SLOW_SYNC_US = 2500000
};

struct command {
    uint64_t end;    /* of the journal, behind it or the unit that it is in */
    int64_t time_ms; /* when it was committed */
    bool is_first;   /* of its unit */
    bool is_mark;    /* "MARK" and not "SET" */
};

struct world {
    uint64_t seed;
    struct simulation *simulation;
    struct io *host;
    struct log log;
    struct journal journal;
    struct aof aof;
    char refusal[512]; /* of the last restore that was refused */
    uint64_t count;
    struct command commands[COMMANDS_MAX];
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

/* ---- the log ---- */

static void append_some(struct world *world) {
    uint64_t count = 1 + simulation_random_below(world->simulation, 4), first = world->count;
    bool unit = simulation_random_below(world->simulation, 4) == 0;
    if (unit) journal_begin_unit(&world->journal);
    for (uint64_t i = 0; i < count; i++) {
        char number[24];
        struct command *command = &world->commands[world->count];
        int size = snprintf(number, sizeof number, "%" PRIu64, world->count++);
        command->is_mark = simulation_random_below(world->simulation, 20) == 0;
        command->is_first = i == 0 || !unit;
        command->time_ms = io_wall_us(world->host) / 1000;
        struct bytes words[] = {command->is_mark ? BYTES("MARK") : BYTES("SET"),
                                bytes_make(number, (size_t)size)};
        journal_append(&world->journal, 0, words, 2);
        command->end = world->journal.offset;
    }
    if (unit) journal_end_unit(&world->journal);
    for (uint64_t i = first; unit && i < world->count; i++)
        world->commands[i].end = world->journal.offset;
    journal_commit(&world->journal);
    aof_step(&world->aof, io_monotonic_us(world->host));
}

/* As a rewrite does: a new increment, and a base of all that is before it. */
static void rewrite(struct world *world) {
    struct buffer path = {0}, text = {0};
    aof_roll(&world->aof);
    aof_step(&world->aof, io_monotonic_us(world->host));
    while (!aof_is_clean(&world->aof) || world->aof.first)
        simulation_run_for(world->simulation, 100000);
    struct manifest *manifest = &world->aof.manifest;
    const struct manifest_file *base =
        manifest_add_base(manifest, "a.aof", false, manifest->increment_sequence);
    aof_path(&world->aof, base->name, &path);
    buffer_append_format(&text, "*2\r\n$4\r\nBASE\r\n$10\r\n%010" PRIu64 "\r\n", world->count);
    io_file file =
        world->host->operations->open(world->host, path.data, IO_WRITE | IO_CREATE, 0644);
    assert_int_equal(world->host->operations->write(world->host, file, text.data, text.size),
                     (int64_t)text.size);
    world->host->operations->close(world->host, file);
    assert_int_equal(aof_write_manifest(&world->aof, manifest), 0);
    buffer_release(&path);
    buffer_release(&text);
}

static void open_world(struct world *world, uint64_t seed) {
    memset(world, 0, sizeof *world);
    world->seed = seed;
    world->simulation = simulation_open(seed);
    world->host = simulation_host(world->simulation, "server");
    world->log = (struct log){.level = LOG_WARNING, .wall_us = log_time, .write = log_nothing};
    assert_int_equal(world->host->operations->make_directory(world->host, "/data", 0755), 0);
    struct aof_options options = {
        .io = world->host,
        .log = &world->log,
        .journal = &world->journal,
        .parent = ".",
        .directory = "/data/aofdir",
        .name = "a.aof",
        .id = "0123456789abcdef0123456789abcdef01234567",
        .moved = nothing,
    };
    journal_init(&world->journal);
    aof_init(&world->aof, &options);
    world->aof.policy = (enum aof_policy)(seed % 3);
    world->aof.timestamps = seed % 2 == 0;
    assert_int_equal(aof_start(&world->aof, io_monotonic_us(world->host)), 0);
    simulation_set_turn(world->host, turn, world);
}

static void make_log(struct world *world) {
    uint64_t steps = 1 + simulation_random_below(world->simulation, STEPS);
    if (world->seed % 5 != 0) rewrite(world);
    if (world->seed % 4 == 0) simulation_disk(world->host)->sync_us_max = SLOW_SYNC_US;
    for (uint64_t i = 0; i < steps; i++) {
        append_some(world);
        simulation_run_for(world->simulation,
                           (int64_t)simulation_random_below(world->simulation, 1500000));
        uint64_t event = simulation_random_below(world->simulation, 30);
        if (event == 0) aof_roll(&world->aof);
        if (event == 1 && world->seed % 5 != 0) rewrite(world);
    }
    aof_stop(&world->aof);
    while (!aof_is_clean(&world->aof))
        simulation_run_for(world->simulation, 1000000);
    assert_int_equal(world->aof.synced_offset, world->journal.offset);
    simulation_set_turn(world->host, NULL, NULL);
}

/* ---- what a restored folder has ---- */

struct content {
    uint64_t next; /* all commands before this one are in it */
    bool begun;
};

static bool execute(void *context, struct request *request, char *error, size_t error_size) {
    struct content *content = context;
    char number[24];
    (void)error, (void)error_size;
    if (bytes_is(request->arguments[0], "select")) return true;
    bool is_base = bytes_is(request->arguments[0], "base");
    size_t size = request->arguments[1].size;
    memcpy(number, request->arguments[1].data, size);
    number[size] = 0;
    uint64_t said = strtoull(number, NULL, 10);
    if (is_base) assert_false(content->begun);
    if (!is_base) assert_int_equal(said, content->next);
    content->next = is_base ? said : said + 1;
    content->begun = true;
    return true;
}

static uint64_t read_folder(struct world *world, const char *folder) {
    struct buffer text = {0}, path = {0};
    struct manifest manifest;
    struct content content = {0};
    char error[256];
    buffer_append_format(&path, "%s/aofdir/a.aof.manifest", folder);
    buffer_append_byte(&path, 0);
    assert_int_equal(io_read_file(world->host, path.data, 1 << 20, &text), 0);
    /* Nothing at all is kept of a log that begins with an increment: an empty list. */
    bool is_empty = text.size == 0;
    if (!is_empty && !manifest_parse(&manifest, buffer_bytes(&text), error, sizeof error))
        fail_msg("seed %" PRIu64 ": %s", world->seed, error);
    for (size_t i = 0; !is_empty && i < manifest.count; i++) {
        struct replay replay;
        enum replay_result result;
        buffer_clear(&path);
        buffer_append_format(&path, "%s/aofdir/%s", folder, manifest.files[i].name);
        buffer_append_byte(&path, 0);
        assert_int_equal(replay_open(&replay, world->host, path.data, 0), 0);
        do
            result = replay_step(&replay, 10, execute, &content);
        while (result == REPLAY_MORE);
        if (result != REPLAY_DONE)
            fail_msg("seed %" PRIu64 ": %s: %s", world->seed, path.data, replay.error);
        replay_close(&replay);
    }
    if (!is_empty) manifest_release(&manifest);
    buffer_release(&text);
    buffer_release(&path);
    return content.next;
}

/* How many commands the folder has that is restored so; UINT64_MAX: it was refused. */
static uint64_t restore(struct world *world, const struct wanted *wanted, const char *to) {
    struct log_folder log;
    struct plan plan;
    assert_true(log_folder_find(&log, world->host, "/data"));
    uint64_t count = UINT64_MAX;
    if (!plan_make(&plan, world->host, &log, wanted)) {
        snprintf(world->refusal, sizeof world->refusal, "%s", plan.error);
    } else {
        if (!plan_write(&plan, to)) fail_msg("seed %" PRIu64 ": %s", world->seed, plan.error);
        count = read_folder(world, to);
        if (count + plan.commands_dropped < world->count)
            fail_msg("seed %" PRIu64 ": %" PRIu64 " commands restored, %" PRIu64
                     " dropped, but there were %" PRIu64,
                     world->seed, count, plan.commands_dropped, world->count);
    }
    plan_release(&plan);
    log_folder_release(&log);
    return count;
}

/* ---- moments ---- */

static void check_offset(struct world *world, const char *to) {
    uint64_t offset = simulation_random_below(world->simulation, world->journal.offset + 10);
    struct wanted wanted = {.until = {.kind = MOMENT_OFFSET, .offset = offset}};
    uint64_t expected = 0;
    while (expected < world->count && world->commands[expected].end <= offset)
        expected++;
    uint64_t found = restore(world, &wanted, to);
    if (found != expected)
        fail_msg("seed %" PRIu64 ": offset %" PRIu64 " gives %" PRIu64 " commands and not %" PRIu64
                 ": %s",
                 world->seed, offset, found, expected, world->refusal);
}

/* A whole second is exact, a moment in one is so to the changes that were written together. */
static void check_time(struct world *world, const char *to) {
    enum { SECOND_MS = 1000 };
    const struct command *command =
        &world->commands[simulation_random_below(world->simulation, world->count)];
    int64_t time_ms = command->time_ms + (int64_t)simulation_random_below(world->simulation, 2000);
    struct wanted wanted = {.until = {.kind = MOMENT_TIME, .time_ms = time_ms}};
    bool is_whole = simulation_random_below(world->simulation, 2) == 0;
    if (is_whole) wanted.until.time_ms = time_ms += SECOND_MS - 1 - time_ms % SECOND_MS;
    uint64_t least = 0, most = 0;
    while (least < world->count &&
           world->commands[least].time_ms / SECOND_MS < (time_ms + 1) / SECOND_MS)
        least++;
    while (most < world->count && world->commands[most].time_ms <= time_ms)
        most++;
    uint64_t found = restore(world, &wanted, to);
    if (found < least || found > most)
        fail_msg("seed %" PRIu64 ": time %" PRId64 " gives %" PRIu64 " commands and not %" PRIu64
                 " to %" PRIu64 ": %s",
                 world->seed, time_ms, found, least, most, world->refusal);
}

static void check_mark(struct world *world, const char *to) {
    static const struct bytes mark[] = {BYTES("mark")};
    struct wanted wanted = {.last = mark, .last_count = 1};
    uint64_t until = world->count, expected = UINT64_MAX;
    if (simulation_random_below(world->simulation, 2) == 0) {
        until = simulation_random_below(world->simulation, world->count);
        wanted.until = (struct moment){.kind = MOMENT_OFFSET, .offset = world->commands[until].end};
        while (until < world->count && world->commands[until].end <= wanted.until.offset)
            until++;
    }
    for (uint64_t i = 0; i < until; i++)
        if (world->commands[i].is_mark) expected = i;
    while (expected < world->count && !world->commands[expected].is_first)
        expected--;
    uint64_t found = restore(world, &wanted, to);
    if (found != expected)
        fail_msg("seed %" PRIu64 ": before the last mark are %" PRIu64 " commands and not %" PRIu64
                 ": %s",
                 world->seed, found, expected, world->refusal);
}

static void test_moments(void **state) {
    (void)state;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        struct world *world = malloc(sizeof *world);
        open_world(world, seed);
        make_log(world);
        for (int i = 0; i < MOMENTS; i++) {
            char to[32];
            snprintf(to, sizeof to, "/restored-%d", i);
            if (i % 3 == 0) check_offset(world, to);
            if (i % 3 == 1) check_time(world, to);
            if (i % 3 == 2) check_mark(world, to);
        }
        aof_release(&world->aof);
        journal_release(&world->journal);
        simulation_close(world->simulation);
        free(world);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_moments)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
