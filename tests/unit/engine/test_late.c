/* test_late.c: a batch whose time is over before its requests: others get their turn between them,
 * those who wait share the time alike, and each session's requests stay in order, whatever they
 * are. A simulated DEBUG SLEEP is a command that takes as long. */
#include "simulated_client.h"

struct world {
    struct simulation *simulation;
    struct simulated server;
};

static void world_open(struct world *w, uint64_t seed) {
    w->simulation = simulation_open(seed);
    simulated_start(&w->server, w->simulation, "server", 100, 0);
    w->server.config->enable_debug_command = GUARD_YES;
}

static void world_close(struct world *w) {
    simulated_stop(&w->server);
    simulation_close(w->simulation);
}

static void open_all(struct world *w, struct client *clients, int count) {
    for (int i = 0; i < count; i++)
        client_open(&clients[i], w->simulation, "server");
}

static void close_all(struct client *clients, int count) {
    for (int i = 0; i < count; i++)
        client_close(&clients[i]);
}

/* So many requests that each take a millisecond, at once. */
static void send_slow(struct client *c, int count) {
    struct buffer text = {0};
    for (int i = 0; i < count; i++)
        buffer_append_text(&text, "DEBUG SLEEP 0.001\r\n");
    assert_true(client_try_send(c, buffer_bytes(&text)));
    buffer_release(&text);
}

static int hear_all(struct client *c) {
    int replies = 0;
    while (client_has_reply(c))
        replies++;
    return replies;
}

static const char *hear(struct client *c) {
    for (int i = 0; !client_has_reply(c); i++) {
        assert_true(i < 1000000);
        simulation_run_for(c->simulation, 10);
    }
    return c->text;
}

static int64_t number_of(const struct client *c) {
    assert_int_equal(c->answer.nodes[0].kind, ANSWER_INTEGER);
    return c->answer.nodes[0].integer;
}

static int64_t hear_number(struct client *c) {
    hear(c);
    return number_of(c);
}

static void test_others_come_between(void **state) {
    (void)state;
    struct world w;
    struct client hog, other;
    world_open(&w, 1);
    client_open(&hog, w.simulation, "server");
    client_open(&other, w.simulation, "server");
    send_slow(&hog, 100);
    simulation_run_for(w.simulation, 3000);
    client_send(&other, "PING\r\n");
    assert_string_equal(hear(&other), "PONG");
    int before = hear_all(&hog);
    assert_true(before < 20);
    for (int i = before; i < 100; i++)
        assert_string_equal(hear(&hog), "OK");
    client_close(&hog);
    client_close(&other);
    world_close(&w);
}

static void test_time_is_shared(void **state) {
    (void)state;
    enum { HOGS = 7, EACH = 100 };
    struct world w;
    struct client hogs[HOGS];
    int replies[HOGS] = {0};
    world_open(&w, 2);
    open_all(&w, hogs, HOGS);
    for (int i = 0; i < HOGS; i++)
        send_slow(&hogs[i], EACH);
    for (int left = HOGS * EACH; left > 0;) {
        int least = EACH, most = 0;
        simulation_run_for(w.simulation, 1000);
        for (int i = 0; i < HOGS; i++) {
            int heard = hear_all(&hogs[i]);
            replies[i] += heard;
            left -= heard;
            if (replies[i] < least) least = replies[i];
            if (replies[i] > most) most = replies[i];
        }
        assert_true(most - least < 5);
    }
    close_all(hogs, HOGS);
    world_close(&w);
}

/* What runs late is no blocked client. */
static void test_not_blocked(void **state) {
    (void)state;
    struct world w;
    struct client hog, other;
    world_open(&w, 3);
    client_open(&hog, w.simulation, "server");
    client_open(&other, w.simulation, "server");
    send_slow(&hog, 50);
    for (int i = 0; i < 10; i++) {
        const char *line = ask(&other, "CLIENT LIST ID 1\r\n");
        assert_non_null(strstr(line, "flags=N"));
    }
    client_send(&other, "INFO clients\r\n");
    for (int i = 0; hear_all(&other) == 0; i++) {
        assert_true(i < 1000000);
        simulation_run_for(w.simulation, 10);
    }
    assert_true(hear_all(&hog) < 49);
    client_close(&hog);
    client_close(&other);
    world_close(&w);
}

/* A pipeline of everything that dispatch treats in a way of its own, and at its end what is no
 * request. */
static void test_order(void **state) {
    (void)state;
    struct world w;
    struct client c, other;
    world_open(&w, 4);
    client_open(&c, w.simulation, "server");
    client_open(&other, w.simulation, "server");
    static const char *const slow = "DEBUG SLEEP 0.0004\r\n";
    struct buffer text = {0};
    for (int i = 0; i < 20; i++) {
        buffer_append_text(&text, slow);
        buffer_append_text(&text, "INCR n\r\n");
        buffer_append_text(&text, slow);
        buffer_append_text(&text, "MULTI\r\nINCR n\r\nINCR n\r\nEXEC\r\n");
        buffer_append_text(&text, slow);
        buffer_append_text(&text, "CLIENT REPLY SKIP\r\nINCR n\r\nINCR n\r\n");
        buffer_append_text(&text, slow);
        buffer_append_text(&text, "BLPOP list 0\r\nINCR n\r\nNOTHING\r\n");
    }
    buffer_append_text(&text, "*1\r\n$what\r\n");
    assert_true(client_try_send(&c, buffer_bytes(&text)));
    buffer_release(&text);
    int n = 0;
    for (int i = 0; i < 20; i++) {
        assert_string_equal(hear(&c), "OK");
        assert_int_equal(hear_number(&c), n += 1);
        assert_string_equal(hear(&c), "OK");
        assert_string_equal(hear(&c), "OK");
        assert_string_equal(hear(&c), "QUEUED");
        assert_string_equal(hear(&c), "QUEUED");
        hear(&c);
        n += 2;
        assert_string_equal(hear(&c), "OK");
        assert_int_equal(hear_number(&c), n += 2);
        assert_string_equal(hear(&c), "OK");
        for (int j = 0; j < 100; j++) {
            simulation_run_for(w.simulation, 50);
            assert_int_equal(hear_all(&c), 0);
        }
        ask(&other, "RPUSH list %d\r\n", i);
        assert_int_equal(number_of(&other), 1);
        hear(&c);
        assert_int_equal(hear_number(&c), n += 1);
        assert_true(begins(hear(&c), "ERR unknown command"));
    }
    assert_true(begins(hear(&c), "ERR Protocol error: invalid bulk length"));
    simulation_run_for(w.simulation, 100000);
    assert_int_equal(client_hear(&c), CLIENT_GONE);
    assert_int_equal(w.server.server->session_count, 1);
    client_close(&c);
    client_close(&other);
    world_close(&w);
}

/* Behind what waits comes what is no request, and nothing else; in one read, and in two. */
static void test_waits_before_an_error(void **state) {
    (void)state;
    static const char *const ends[] = {"RPUSH list a\r\n", "CLIENT UNBLOCK 1\r\n"};
    for (int i = 0; i < 4; i++) {
        struct world w;
        struct client c, other;
        world_open(&w, 7);
        client_open(&c, w.simulation, "server");
        client_open(&other, w.simulation, "server");
        client_send(&c, i / 2 ? "BLPOP list 0\r\n" : "BLPOP list 0\r\n*1\r\n$what\r\n");
        if (i / 2) client_send(&c, "*1\r\n$what\r\n");
        simulation_run_for(w.simulation, 10000);
        assert_int_equal(hear_all(&c), 0);
        ask(&other, "%s", ends[i % 2]);
        hear(&c);
        assert_true(begins(hear(&c), "ERR Protocol error: invalid bulk length"));
        simulation_run_for(w.simulation, 100000);
        assert_int_equal(client_hear(&c), CLIENT_GONE);
        client_close(&c);
        client_close(&other);
        world_close(&w);
    }
}

/* A pause comes while requests are late. */
static void test_pause(void **state) {
    (void)state;
    struct world w;
    struct client hogs[3], other;
    world_open(&w, 5);
    client_open(&other, w.simulation, "server");
    open_all(&w, hogs, 3);
    for (int i = 0; i < 3; i++) {
        struct buffer text = {0};
        for (int j = 0; j < 40; j++)
            buffer_append_text(&text, "DEBUG SLEEP 0.0007\r\nINCR n\r\n");
        assert_true(client_try_send(&hogs[i], buffer_bytes(&text)));
        buffer_release(&text);
    }
    simulation_run_for(w.simulation, 5000);
    assert_string_equal(ask(&other, "CLIENT PAUSE 1000 WRITE\r\n"), "OK");
    simulation_run_for(w.simulation, 500000);
    int heard[3];
    for (int i = 0; i < 3; i++) {
        heard[i] = hear_all(&hogs[i]);
        assert_true(heard[i] > 0 && heard[i] < 60);
    }
    for (int i = 0; i < 3; i++)
        for (int j = heard[i]; j < 80; j++)
            hear(&hogs[i]);
    assert_string_equal(ask(&other, "GET n\r\n"), "120");
    close_all(hogs, 3);
    client_close(&other);
    world_close(&w);
}

/* They go while their requests are late; so does who was killed. */
static void test_gone(void **state) {
    (void)state;
    struct world w;
    struct client hogs[4], other;
    world_open(&w, 6);
    client_open(&other, w.simulation, "server");
    open_all(&w, hogs, 4);
    for (int i = 0; i < 4; i++)
        send_slow(&hogs[i], 120);
    simulation_run_for(w.simulation, 3000);
    close_all(hogs, 2);
    ask(&other, "CLIENT KILL ID 4\r\n");
    assert_int_equal(number_of(&other), 1);
    simulation_run_for(w.simulation, 20000);
    int heard = 0;
    for (enum client_news news; (news = client_hear(&hogs[2])) != CLIENT_GONE; heard++)
        assert_int_equal(news, CLIENT_REPLY);
    assert_true(heard < 100);
    for (int i = 0; i < 120; i++)
        assert_string_equal(hear(&hogs[3]), "OK");
    assert_int_equal(w.server.server->session_count, 2);
    close_all(hogs + 2, 2);
    client_close(&other);
    world_close(&w);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_others_come_between),
        cmocka_unit_test(test_time_is_shared),
        cmocka_unit_test(test_not_blocked),
        cmocka_unit_test(test_order),
        cmocka_unit_test(test_waits_before_an_error),
        cmocka_unit_test(test_pause),
        cmocka_unit_test(test_gone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
