/* test_active_expiry.c: a million keys that end in the same second are gone within two, without
 * being asked for, and their memory with them. As other programs share the machine the two seconds
 * are the processor's, and how long the longest turn was is printed, not judged. */
#include "simulated.h"

#include <time.h>

enum { KEYS = EFFORT(1000000), LEFT_BYTES_MAX = 64 * 1024 };

static int64_t cpu_us(void) {
    struct timespec time;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return time.tv_sec * INT64_C(1000000) + time.tv_nsec / 1000;
}

static void fill(struct server *server, int64_t until_ms) {
    struct database *db = &server->keyspace.databases[3];
    for (uint64_t i = 0; i < KEYS; i++) {
        char name[32];
        struct key key =
            key_make(&server->keyspace,
                     bytes_make(name, (size_t)snprintf(name, sizeof name, "key:%012" PRIu64, i)));
        struct spot spot = database_locate(db, &key);
        int64_t expiry = until_ms + (int64_t)(i % 1000);
        database_put_string(db, &key, &spot, BYTES("a value of some bytes"), expiry);
    }
}

static void test_million(void **state) {
    (void)state;
    char error[256] = "";
    struct simulated s = {.io = io_real_open(1, error, sizeof error), .config = config_open()};
    assert_non_null(s.io);
    s.log = (struct log){.level = LOG_NOTHING,
                         .wall_us = simulated_wall_us,
                         .write = simulated_log,
                         .context = s.io};
    struct server_options options = {
        .io = s.io, .config = s.config, .log = &s.log, .commands = &command_table};
    s.server = server_open(&options, error, sizeof error);
    assert_non_null(s.server);
    struct server *server = s.server;
    struct database *db = &server->keyspace.databases[3];
    int64_t due_ms = io_wall_us(s.io) / 1000 + 2000;
    fill(server, due_ms - 1000);
    assert_int_equal(database_count(db), KEYS);
    size_t memory = simulated_keyspace_memory(&s);
    while (io_wall_us(s.io) / 1000 < due_ms)
        continue;
    int64_t longest_us = 0, all_us = 0;
    while (database_count(db) > 0) {
        int64_t begun_us = cpu_us();
        server_turn(server);
        int64_t took_us = cpu_us() - begun_us;
        all_us += took_us;
        if (took_us > longest_us) longest_us = took_us;
    }
    int64_t took_ms = io_wall_us(s.io) / 1000 - due_ms;
    print_message("%d keys, %zu bytes: gone %" PRId64 " ms after the last was due, %" PRId64
                  " us of them ours, in %" PRIu64 " turns, the longest %" PRId64
                  " us (by the clock %" PRIu64 " us)\n",
                  KEYS, memory, took_ms, all_us, server->statistics.turns, longest_us,
                  server->statistics.turn_us_max);
    assert_int_equal(db->store->expiring, 0);
    assert_int_equal(server->statistics.expired_keys, KEYS);
    assert_true(simulated_keyspace_memory(&s) <= LEFT_BYTES_MAX);
    server_close(server);
    config_close(s.config);
    io_close(s.io);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_million)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
