/* test_failing_calls.c: a simulated server whose disk fails one call, each in turn: all calls of a
 * start, of a save, and of a rewriting of the append-only file while it is written. A start has
 * everything or does not take place, and whatever failed, the next start has everything.
 *
 *     test-engine-failing_calls [--seeds N] [--seed FIRST]
 */
#include "simulated_client.h"

#include "engine/loading.h"
#include "io/files.h"
#include "resp/request.h"

enum { REDO = 8 * 1024 };

/* What the files of a server are when it starts. */
enum files {
    A_DUMP,
    A_LOG,         /* a base, and an increment that goes on behind it */
    A_LONG_LOG,    /* the increment's last stretch takes several calls to read */
    A_BASE,        /* an increment of which nothing is there yet */
    A_PLAIN_BASE,  /* of commands */
    A_LEGACY_FILE, /* a log from before there was a folder */
    A_REDO_FILE,   /* what is in it is not in the log */
    FILES_COUNT,
};

struct world {
    struct simulation *simulation;
    struct simulated s;
    enum files files;
    uint64_t seed;
    char digest[64];
};

/* ---- starting ---- */

/* True: it serves. */
static bool start(struct world *w) {
    struct simulated *s = &w->s;
    simulated_configure(s, w->simulation, "server");
    s->config->enable_debug_command = GUARD_YES;
    s->config->save.count = 0;
    s->config->maxclients = 100;
    s->config->appendonly = w->files != A_DUMP;
    s->config->appendfsync = AOF_ALWAYS;
    s->config->aof_use_rdb_preamble = w->files != A_PLAIN_BASE;
    simulated_open(s, &command_table);
    simulation_set_turn(s->io, simulated_turn, s->server);
    if (!loading_begin(s->server)) return false;
    if (s->server->appending.is_open) s->server->appending.aof.redo.size = REDO;
    while (s->server->loading && !s->server->stopped)
        simulation_run_for(w->simulation, 100);
    return !s->server->stopped;
}

/* The process is killed. */
static void end(struct world *w) {
    simulation_kill(w->s.io);
    simulated_stop(&w->s);
    simulation_boot(w->s.io);
    simulation_disk(w->s.io)->failing_call = 0;
}

static void get_digest(struct world *w, char digest[64]) {
    struct client c;
    client_open(&c, w->simulation, "server");
    snprintf(digest, 64, "%s", ask(&c, "DEBUG DIGEST\r\n"));
    client_close(&c);
}

#define CHECK(w, n, condition)                                                                     \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "seed %" PRIu64 ", files %d, call %" PRIu64 ": %s\n", (w)->seed,       \
                    (int)(w)->files, n, #condition);                                               \
            fail();                                                                                \
        }                                                                                          \
    } while (0)

static void check_all_is_there(struct world *w, uint64_t n) {
    char digest[64];
    get_digest(w, digest);
    CHECK(w, n, strcmp(digest, w->digest) == 0);
}

/* ---- files ---- */

static void fill(struct client *c) {
    for (int i = 0; i < 300; i++) {
        uint64_t n = simulation_random_below(c->simulation, 1000);
        switch (simulation_random_below(c->simulation, 5)) {
        case 0: ask(c, "SET s:%d %d\r\n", (int)n, i); break;
        case 1: ask(c, "RPUSH l:%d a%d b %d\r\n", (int)(n % 7), i, i); break;
        case 2: ask(c, "HSET h:%d f%d %d\r\n", (int)(n % 5), (int)n, i); break;
        case 3: ask(c, "ZADD z:%d %d m%d\r\n", (int)(n % 5), i, (int)n); break;
        default: ask(c, "SADD t:%d %d\r\n", (int)(n % 5), (int)n); break;
        }
    }
}

/* One stretch that takes several calls to read, and that nothing follows. */
static void fill_long(struct client *c) {
    enum { VALUE = 2500 * 1000 };
    static char value[VALUE];
    struct buffer request = {0};
    memset(value, 'v', sizeof value);
    struct bytes words[] = {BYTES("SET"), BYTES("long"), bytes_make(value, sizeof value)};
    request_encode(&request, words, 3);
    assert_true(client_try_send(c, buffer_bytes(&request)));
    while (!client_has_reply(c))
        simulation_run_for(c->simulation, 100);
    buffer_release(&request);
}

static void wait_for_base(struct world *w) {
    while (w->s.server->appending.rewriting || w->s.server->appending.scheduled)
        simulation_run_for(w->simulation, 100);
}

static void write_legacy_file(struct io *io) {
    const char text[] = "*3\r\n$3\r\nSET\r\n$1\r\na\r\n$1\r\n1\r\n*2\r\n$4\r\nINCR\r\n$1\r\nb\r\n";
    io_file file =
        io->operations->open(io, "appendonly.aof", IO_WRITE | IO_CREATE | IO_TRUNCATE, 0644);
    assert_true(file >= 0);
    assert_int_equal(io_write_all(io, file, bytes_make(text, sizeof text - 1)), 0);
    assert_int_equal(io->operations->sync(io, file, false), 0);
    io->operations->close(io, file);
}

static void make_files(struct world *w, uint64_t seed, enum files files) {
    struct client c;
    *w = (struct world){.simulation = simulation_open(seed), .files = files, .seed = seed};
    if (files == A_LEGACY_FILE) {
        write_legacy_file(simulation_host(w->simulation, "server"));
        return;
    }
    assert_true(start(w));
    client_open(&c, w->simulation, "server");
    fill(&c);
    if (files == A_LONG_LOG) fill_long(&c);
    if (files == A_DUMP) assert_true(begins(ask(&c, "SAVE\r\n"), "OK"));
    if (files == A_BASE || files == A_PLAIN_BASE) {
        ask(&c, "BGREWRITEAOF\r\n");
        wait_for_base(w);
    }
    client_close(&c);
    get_digest(w, w->digest);
    if (files == A_REDO_FILE) simulation_crash(w->s.io);
    end(w);
}

/* ---- what is tried ---- */

static struct simulated_seeds seeds;

/* The next start has everything. */
static void check_next_start(struct world *w, uint64_t n) {
    CHECK(w, n, start(w));
    check_all_is_there(w, n);
    end(w);
    simulation_close(w->simulation);
}

/* The dataset of a start on files that nobody has read yet. */
static void learn_digest(struct world *w) {
    struct world other;
    make_files(&other, w->seed, w->files);
    assert_true(start(&other));
    get_digest(&other, w->digest);
    end(&other);
    simulation_close(other.simulation);
}

/* Call `n` of a start on these files fails. False: there are fewer. */
static bool start_with_failure(uint64_t seed, enum files files, uint64_t n) {
    struct world w;
    make_files(&w, seed, files);
    if (files == A_LEGACY_FILE) learn_digest(&w);
    struct simulation_disk_faults *faults =
        simulation_disk(simulation_host(w.simulation, "server"));
    faults->failing_call = n;
    if (start(&w)) check_all_is_there(&w, n);
    bool failed = faults->failing_call == 0;
    end(&w);
    check_next_start(&w, n);
    return failed;
}

static void test_starts(void **state) {
    (void)state;
    for (uint64_t seed = seeds.first; seed < seeds.first + seeds.count; seed++)
        for (enum files files = 0; files < FILES_COUNT; files++) {
            uint64_t n = 1;
            while (start_with_failure(seed, files, n))
                n++;
            assert_true(n > 2);
        }
}

/* The disk is well again: until a write is taken, and the log has all there is. */
static void wait_for_service(struct world *w, struct client *c, uint64_t n) {
    int64_t end_us = simulation_now_us(w->simulation) + PATIENCE_US;
    while (!begins(ask(c, "SET service yes\r\n"), "OK")) {
        CHECK(w, n, simulation_now_us(w->simulation) < end_us);
        simulation_run_for(w->simulation, 100000);
    }
}

/* Call `n` behind the command fails, while a client writes. False: there are fewer calls. */
static bool work_with_failure(uint64_t seed, enum files files, const char *command, uint64_t n) {
    struct world w;
    struct client c;
    make_files(&w, seed, files);
    CHECK(&w, n, start(&w));
    client_open(&c, w.simulation, "server");
    struct simulation_disk_faults *faults = simulation_disk(w.s.io);
    faults->failing_call = n;
    ask(&c, "%s\r\n", command);
    for (int i = 0; i < 20; i++)
        ask(&c, "RPUSH meanwhile %d\r\n", i);
    wait_for_base(&w);
    bool failed = faults->failing_call == 0;
    faults->failing_call = 0;
    CHECK(&w, n, begins(ask(&c, "CONFIG SET appendfsync always\r\n"), "OK"));
    wait_for_service(&w, &c, n);
    client_close(&c);
    get_digest(&w, w.digest);
    if (n % 2 == 0) simulation_crash(w.s.io);
    end(&w);
    check_next_start(&w, n);
    return failed;
}

/* Saved is what was there before the save that failed, as long as none succeeds. */
static bool save_with_failure(uint64_t seed, const char *command, uint64_t n) {
    struct world w;
    struct client c;
    make_files(&w, seed, A_DUMP);
    CHECK(&w, n, start(&w));
    client_open(&c, w.simulation, "server");
    ask(&c, "SET more yes\r\n");
    struct simulation_disk_faults *faults = simulation_disk(w.s.io);
    faults->failing_call = n;
    ask(&c, "%s\r\n", command);
    while (w.s.server->saving.job)
        simulation_run_for(w.simulation, 100);
    bool failed = faults->failing_call == 0;
    faults->failing_call = 0;
    char now[64], then[64];
    get_digest(&w, now);
    client_close(&c);
    simulation_crash(w.s.io);
    end(&w);
    CHECK(&w, n, start(&w));
    get_digest(&w, then);
    CHECK(&w, n, strcmp(then, now) == 0 || (failed && strcmp(then, w.digest) == 0));
    end(&w);
    simulation_close(w.simulation);
    return failed;
}

static void test_saves(void **state) {
    (void)state;
    for (uint64_t seed = seeds.first; seed < seeds.first + seeds.count; seed++)
        for (int i = 0; i < 2; i++) {
            uint64_t n = 1;
            while (save_with_failure(seed, i == 0 ? "SAVE" : "BGSAVE", n))
                n++;
            assert_true(n > 3);
        }
}

static void test_work(void **state) {
    (void)state;
    static const struct {
        enum files files;
        const char *command;
    } tried[] = {{A_LOG, "BGREWRITEAOF"},
                 {A_PLAIN_BASE, "BGREWRITEAOF"},
                 {A_LOG, "CONFIG SET appendfsync everysec"},
                 {A_REDO_FILE, "PING"}};
    for (uint64_t seed = seeds.first; seed < seeds.first + seeds.count; seed++)
        for (size_t i = 0; i < sizeof tried / sizeof tried[0]; i++) {
            uint64_t n = 1;
            while (work_with_failure(seed, tried[i].files, tried[i].command, n))
                n++;
            assert_true(n > 3);
        }
}

int main(int argc, char **argv) {
    seeds = simulated_seeds(argc, argv, 2);
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_starts), cmocka_unit_test(test_saves),
                                       cmocka_unit_test(test_work)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
