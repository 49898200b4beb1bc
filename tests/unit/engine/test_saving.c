/* test_saving.c: BGSAVE and what stands around it, in a simulated server: the file has the dataset
 * of the moment at which the save began, whatever writers do meanwhile; a save that fails stops
 * writes until one succeeds; a server that starts says LOADING, and then has everything.
 *
 *     test-engine-saving [--seeds N] [--seed FIRST]
 */
#include "simulated_client.h"

static void write_something(struct client *c) {
    uint64_t key = simulation_random_below(c->simulation, 60),
             n = simulation_random_below(c->simulation, 1000);
    switch (simulation_random_below(c->simulation, 10)) {
    case 0: ask(c, "SET s:%d %d\r\n", (int)key, (int)n); break;
    case 1: ask(c, "APPEND s:%d some-more-text-%d\r\n", (int)key, (int)n); break;
    case 2: ask(c, "RPUSH l:%d a%d b %d\r\n", (int)(key % 7), (int)n, (int)n); break;
    case 3: ask(c, "LPOP l:%d\r\n", (int)(key % 7)); break;
    case 4: ask(c, "HSET h:%d f%d %d\r\n", (int)(key % 5), (int)n, (int)n); break;
    case 5: ask(c, "ZADD z:%d %d m%d\r\n", (int)(key % 5), (int)n, (int)(n % 300)); break;
    case 6: ask(c, "SADD t:%d %d\r\n", (int)(key % 5), (int)(n % 400)); break;
    case 7: ask(c, "XADD x:%d * f %d\r\n", (int)(key % 3), (int)n); break;
    case 8: ask(c, "DEL s:%d h:%d\r\n", (int)key, (int)(n % 50)); break;
    default: ask(c, "EXPIRE s:%d 100000\r\n", (int)key); break;
    }
}

static void wait_for_save(struct client *c, struct simulated *s) {
    for (int i = 0; i < 100000 && s->server->saving.job; i++)
        simulation_run_for(c->simulation, 100);
    assert_null(s->server->saving.job);
}

static void start(struct simulated *s, struct simulation *simulation) {
    simulated_start(s, simulation, "server", 100, 0);
    s->config->enable_debug_command = GUARD_YES;
}

/* The file has what was there when the save began; a server that starts on it has the same. */
static void save_while_writing(uint64_t seed) {
    struct simulation *simulation = simulation_open(seed);
    struct simulated s;
    struct client c;
    char digest[64];
    start(&s, simulation);
    client_open(&c, simulation, "server");
    for (int i = 0; i < 600; i++)
        write_something(&c);
    snprintf(digest, sizeof digest, "%s", ask(&c, "DEBUG DIGEST\r\n"));
    simulation_disk(s.io)->call_us_max = 20000;
    assert_true(begins(ask(&c, "BGSAVE\r\n"), "Background saving started"));
    for (int i = 0; i < 100; i++)
        write_something(&c);
    wait_for_save(&c, &s);
    assert_false(s.server->saving.failed);
    assert_string_not_equal(ask(&c, "DEBUG DIGEST\r\n"), digest);
    client_close(&c);
    simulated_stop(&s);
    simulation_disk(simulation_host(simulation, "server"))->call_us_max = 0;
    start(&s, simulation);
    assert_true(loading_begin(s.server));
    client_open(&c, simulation, "server");
    while (s.server->loading)
        simulation_run_for(simulation, 100);
    assert_string_equal(ask(&c, "DEBUG DIGEST\r\n"), digest);
    assert_true(begins(ask(&c, "DEBUG RELOAD\r\n"), "OK"));
    assert_string_equal(ask(&c, "DEBUG DIGEST\r\n"), digest);
    client_close(&c);
    simulated_stop(&s);
    simulation_close(simulation);
}

static struct simulated_seeds seeds;

static void test_save_while_writing(void **state) {
    (void)state;
    for (uint64_t i = 0; i < seeds.count; i++)
        save_while_writing(seeds.first + i);
}

/* A disk that fails: writes are refused, reads go on, and service returns with the disk. */
static void test_refused_writes(void **state) {
    (void)state;
    struct simulation *simulation = simulation_open(11);
    struct simulated s;
    struct client c;
    start(&s, simulation);
    client_open(&c, simulation, "server");
    ask(&c, "SET a 1\r\n");
    simulation_disk(s.io)->write_error = 1000000;
    assert_true(begins(ask(&c, "SAVE\r\n"), "ERR"));
    assert_true(begins(ask(&c, "SET a 2\r\n"), "OK"));
    ask(&c, "BGSAVE\r\n");
    wait_for_save(&c, &s);
    assert_true(s.server->saving.failed);
    assert_true(begins(ask(&c, "SET a 3\r\n"), "MISCONF"));
    assert_string_equal(ask(&c, "GET a\r\n"), "2");
    assert_true(begins(ask(&c, "CONFIG SET stop-writes-on-bgsave-error no\r\n"), "OK"));
    assert_true(begins(ask(&c, "SET a 4\r\n"), "OK"));
    assert_true(begins(ask(&c, "CONFIG SET stop-writes-on-bgsave-error yes\r\n"), "OK"));
    simulation_disk(s.io)->write_error = 0;
    ask(&c, "BGSAVE\r\n");
    wait_for_save(&c, &s);
    assert_true(begins(ask(&c, "SET a 5\r\n"), "OK"));
    client_close(&c);
    simulated_stop(&s);
    simulation_close(simulation);
}

static void test_cancel_and_points(void **state) {
    (void)state;
    struct simulation *simulation = simulation_open(12);
    struct simulated s;
    struct client c;
    start(&s, simulation);
    client_open(&c, simulation, "server");
    assert_true(begins(ask(&c, "BGSAVE CANCEL\r\n"), "ERR"));
    for (int i = 0; i < 100; i++)
        write_something(&c);
    simulation_disk(s.io)->call_us_max = 1000000;
    ask(&c, "BGSAVE\r\n");
    if (s.server->saving.job) {
        assert_true(begins(ask(&c, "BGSAVE\r\n"), "ERR Background save already in progress") ||
                    !s.server->saving.job);
        ask(&c, "BGSAVE CANCEL\r\n");
    }
    wait_for_save(&c, &s);
    assert_false(s.server->saving.failed);
    simulation_disk(s.io)->call_us_max = 0;
    uint64_t saves = s.server->saving.saves;
    assert_true(begins(ask(&c, "CONFIG SET save \"2 3\"\r\n"), "OK"));
    for (int i = 0; i < 50; i++)
        write_something(&c);
    simulation_run_for(simulation, 5000000);
    assert_true(s.server->saving.saves > saves);
    assert_int_equal(s.server->changes_since_save, 0);
    client_close(&c);
    simulated_stop(&s);
    simulation_close(simulation);
}

int main(int argc, char **argv) {
    seeds = simulated_seeds(argc, argv, 8);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_save_while_writing),
        cmocka_unit_test(test_refused_writes),
        cmocka_unit_test(test_cancel_and_points),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
