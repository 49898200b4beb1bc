/* The simulated network and turns: an echo server beside several clients, with and without faults.
 * Every test runs over many seeds; a failure prints its seed. */
#include "base/buffer.h"
#include "io/simulation.h"
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

enum { PORT = 7000, SEEDS = 60, CLIENTS = 5, MESSAGE_BYTES = 30000, SECOND_US = 1000000 };

/* An echo server as a real one is built: watch, wait, read, write what fits, remember the rest. */
struct echo_session {
    struct echo *echo;
    io_socket socket;
    struct buffer waiting;
    struct echo_session *next;
};

struct echo {
    struct io *io;
    io_socket listener;
    struct echo_session *sessions;
    int accepted, closed, turns;
};

static void echo_open(struct echo *echo, struct io *io) {
    *echo = (struct echo){.io = io};
    char error[128] = "";
    struct io_listen_tcp where = {.address = "*", .port = PORT, .backlog = 16};
    echo->listener = io->operations->listen_tcp(io, &where, error, sizeof(error));
    if (echo->listener < 0) fail_msg("%s", error);
    assert_int_equal(io_watch(io, echo->listener, IO_READABLE, echo), 0);
}

static void session_close(struct echo_session *session) {
    struct echo *echo = session->echo;
    struct echo_session **link = &echo->sessions;
    while (*link != session)
        link = &(*link)->next;
    *link = session->next;
    io_close_socket(echo->io, session->socket);
    buffer_release(&session->waiting);
    free(session);
    echo->closed++;
}

static void echo_close(struct echo *echo) {
    while (echo->sessions != NULL)
        session_close(echo->sessions);
    io_close_socket(echo->io, echo->listener);
}

static void echo_accept(struct echo *echo) {
    io_socket socket;
    while ((socket = echo->io->operations->accept(echo->io, echo->listener)) >= 0) {
        struct echo_session *session = calloc(1, sizeof(*session));
        session->echo = echo;
        session->socket = socket;
        session->next = echo->sessions;
        echo->sessions = session;
        assert_int_equal(io_watch(echo->io, socket, IO_READABLE, session), 0);
        echo->accepted++;
    }
    assert_true(socket == -EAGAIN || socket == -EMFILE);
}

static bool session_flush(struct echo_session *session) {
    struct io *io = session->echo->io;
    while (session->waiting.size > 0) {
        size_t half = session->waiting.size / 2;
        struct bytes parts[2] = {{session->waiting.data, half},
                                 {session->waiting.data + half, session->waiting.size - half}};
        int64_t sent = io_send(io, session->socket, parts, 2);
        if (sent == -EAGAIN) break;
        if (sent < 0) return false;
        buffer_consume(&session->waiting, (size_t)sent);
    }
    uint32_t interest = session->waiting.size > 0 ? IO_WRITABLE : IO_READABLE;
    return io_watch(io, session->socket, interest, session) == 0;
}

static void session_serve(struct echo_session *session) {
    char block[4096];
    bool alive = true;
    if (session->waiting.size == 0) {
        int64_t got = io_receive(session->echo->io, session->socket, block, sizeof(block));
        alive = got > 0 || got == -EAGAIN;
        if (got > 0) buffer_append(&session->waiting, block, (size_t)got);
    }
    if (!alive || !session_flush(session)) session_close(session);
}

static void echo_turn(void *context) {
    struct echo *echo = context;
    struct io_event events[4];
    int count = io_wait(echo->io, events, 4, 100000);
    echo->turns++;
    for (int i = 0; i < count; i++) {
        if (events[i].context == echo) {
            echo_accept(echo);
        } else {
            session_serve(events[i].context);
        }
    }
}

/* A client with a turn of its own: sends a message of its own bytes and compares what comes back.
 */
struct client {
    struct io *io;
    io_socket socket;
    size_t sent, received;
    int error;
    bool finished;
};

static char byte_at(const struct client *client, size_t at) {
    return (char)((at * 31 + (size_t)client->socket * 7 + at / 251) & 0xff);
}

static void client_open(struct client *client, struct io *io) {
    *client = (struct client){.io = io};
    client->socket = io->operations->connect_tcp(io, "server", PORT, NULL);
    assert_true(client->socket >= 0);
    assert_int_equal(io_watch(io, client->socket, IO_READABLE | IO_WRITABLE, client), 0);
}

static void client_stop(struct client *client, int error) {
    client->error = error;
    client->finished = true;
    io_unwatch(client->io, client->socket);
}

static void client_send(struct client *client) {
    char block[1000];
    while (client->sent < MESSAGE_BYTES && !client->finished) {
        size_t size = MESSAGE_BYTES - client->sent;
        if (size > sizeof(block)) size = sizeof(block);
        for (size_t i = 0; i < size; i++)
            block[i] = byte_at(client, client->sent + i);
        struct bytes part = {block, size};
        int64_t sent = io_send(client->io, client->socket, &part, 1);
        if (sent == -EAGAIN) return;
        if (sent < 0) {
            client_stop(client, (int)sent);
            return;
        }
        client->sent += (size_t)sent;
    }
    if (!client->finished) io_watch(client->io, client->socket, IO_READABLE, client);
}

static void client_receive(struct client *client) {
    char block[777];
    int64_t got = io_receive(client->io, client->socket, block, sizeof(block));
    if (got == -EAGAIN) return;
    if (got <= 0) {
        client_stop(client, got == 0 ? -EPIPE : (int)got);
        return;
    }
    for (int64_t i = 0; i < got; i++)
        assert_int_equal(block[i], byte_at(client, client->received + (size_t)i));
    client->received += (size_t)got;
    if (client->received == MESSAGE_BYTES) client_stop(client, 0);
}

static void clients_turn(void *context) {
    struct io *io = context;
    struct io_event events[8];
    int count = io_wait(io, events, 8, -1);
    for (int i = 0; i < count; i++) {
        struct client *client = events[i].context;
        if (client->finished) continue;
        if (events[i].ready & (IO_READABLE | IO_HANGUP)) client_receive(client);
        if (!client->finished && (events[i].ready & IO_WRITABLE)) client_send(client);
    }
}

static bool all_finished(void *context) {
    const struct client *clients = context;
    for (int i = 0; i < CLIENTS; i++)
        if (!clients[i].finished) return false;
    return true;
}

struct outcome {
    uint64_t trace;
    int succeeded, failed;
    int64_t took_us;
};

/* One whole run from a seed: server and clients on hosts of their own until all have ended. */
static struct outcome run_echo(uint64_t seed, const struct simulation_network_faults *faults) {
    struct simulation *simulation = simulation_open(seed);
    if (faults != NULL) *simulation_network(simulation) = *faults;
    struct io *server = simulation_host(simulation, "server");
    struct io *other = simulation_host(simulation, "clients");
    struct echo echo;
    echo_open(&echo, server);
    simulation_set_turn(server, echo_turn, &echo);
    struct client clients[CLIENTS];
    for (int i = 0; i < CLIENTS; i++)
        client_open(&clients[i], other);
    simulation_set_turn(other, clients_turn, other);
    bool ended = simulation_run_until(simulation, 3600LL * SECOND_US, all_finished, clients);
    if (!ended) fail_msg("seed %llu: not all clients ended", (unsigned long long)seed);
    struct outcome outcome = {.took_us = simulation_now_us(simulation)};
    for (int i = 0; i < CLIENTS; i++) {
        if (clients[i].error == 0) outcome.succeeded++;
        if (clients[i].error != 0) outcome.failed++;
        io_close_socket(other, clients[i].socket);
    }
    simulation_run_for(simulation, 10LL * SECOND_US);
    if (faults == NULL) assert_null(echo.sessions);
    outcome.trace = simulation_trace_hash(simulation);
    echo_close(&echo);
    simulation_close(simulation);
    return outcome;
}

static void test_echo_without_faults(void **state) {
    (void)state;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        struct outcome outcome = run_echo(seed, NULL);
        assert_int_equal(outcome.succeeded, CLIENTS);
        assert_true(outcome.took_us < SECOND_US);
    }
}

static struct simulation_network_faults all_faults(void) {
    return (struct simulation_network_faults){
        .latency_us_min = 1,
        .latency_us_max = 50000,
        .segment_bytes_max = 700,
        .send_buffer_bytes = 2000,
        .tiny_segments = 300000,
        .partial_send = 300000,
        .partial_receive = 500000,
        .cut = 4000,
        .cut_is_silent = 300000,
        .refuse = 50000,
    };
}

/* Under all faults every client ends: with all its bytes, or with an error; never with wrong ones.
 */
static void test_echo_with_all_faults(void **state) {
    (void)state;
    struct simulation_network_faults faults = all_faults();
    int succeeded = 0, failed = 0;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        struct outcome outcome = run_echo(seed, &faults);
        succeeded += outcome.succeeded;
        failed += outcome.failed;
    }
    assert_true(succeeded > 0);
    assert_true(failed > 0);
}

static void test_seed_decides_all(void **state) {
    (void)state;
    struct simulation_network_faults faults = all_faults();
    uint64_t before = 0;
    for (uint64_t seed = 100; seed < 110; seed++) {
        void *elsewhere = malloc(12345 * (seed - 99)); /* other addresses, the same trace */
        struct outcome first = run_echo(seed, &faults);
        free(elsewhere);
        struct outcome second = run_echo(seed, &faults);
        assert_true(first.trace == second.trace);
        assert_int_equal(first.took_us, second.took_us);
        assert_true(first.trace != before);
        before = first.trace;
    }
}

/* One connection, driven by hand. */
struct hand {
    struct simulation *simulation;
    struct io *a, *b;
    io_socket listener, client, server;
};

static struct hand hand_open(uint64_t seed) {
    struct hand hand = {.simulation = simulation_open(seed)};
    struct simulation_network_faults *faults = simulation_network(hand.simulation);
    faults->partial_send = faults->partial_receive = faults->tiny_segments = 0;
    hand.a = simulation_host(hand.simulation, "a");
    hand.b = simulation_host(hand.simulation, "b");
    char error[64];
    struct io_listen_tcp where = {.address = "10.0.0.2", .port = PORT, .backlog = 1};
    hand.listener = hand.b->operations->listen_tcp(hand.b, &where, error, sizeof(error));
    hand.client = hand.a->operations->connect_tcp(hand.a, "10.0.0.2", PORT, NULL);
    assert_int_equal(hand.a->operations->send(hand.a, hand.client, &BYTES("x"), 1), -EAGAIN);
    simulation_run_for(hand.simulation, 10000);
    hand.server = hand.b->operations->accept(hand.b, hand.listener);
    assert_true(hand.server >= 0);
    return hand;
}

static int64_t hand_receive(struct io *io, io_socket socket) {
    char block[100];
    return io_receive(io, socket, block, sizeof(block));
}

static int64_t hand_send(struct io *io, io_socket socket) {
    struct bytes part = BYTES("hello");
    return io_send(io, socket, &part, 1);
}

static void test_names_and_end(void **state) {
    (void)state;
    struct hand hand = hand_open(1);
    char name[IO_ADDRESS_TEXT_MAX], other[IO_ADDRESS_TEXT_MAX];
    hand.b->operations->peer_name(hand.b, hand.server, name);
    hand.a->operations->local_name(hand.a, hand.client, other);
    assert_string_equal(name, other);
    assert_memory_equal(name, "10.0.0.1:", 9);
    hand.b->operations->local_name(hand.b, hand.server, name);
    assert_string_equal(name, "10.0.0.2:7000");
    assert_false(hand.b->operations->peer_is_local(hand.b, hand.server));
    assert_string_equal(simulation_address(hand.b), "10.0.0.2");
    assert_int_equal(hand_receive(hand.b, hand.server), -EAGAIN);
    assert_int_equal(hand_send(hand.a, hand.client), 5);
    io_close_socket(hand.a, hand.client);
    simulation_run_for(hand.simulation, 10000);
    assert_int_equal(hand_receive(hand.b, hand.server), 5);
    assert_int_equal(hand_receive(hand.b, hand.server), 0);
    assert_int_equal(hand_send(hand.b, hand.server), 5); /* nobody reads it: a reset comes back */
    simulation_run_for(hand.simulation, 10000);
    assert_int_equal(hand_receive(hand.b, hand.server), -ECONNRESET);
    assert_int_equal(hand_send(hand.b, hand.server), -EPIPE);
    simulation_close(hand.simulation);
}

/* Unread bytes turn a close into a reset. */
static void test_close_with_unread_bytes(void **state) {
    (void)state;
    struct hand hand = hand_open(2);
    hand_send(hand.a, hand.client);
    simulation_run_for(hand.simulation, 10000);
    io_close_socket(hand.b, hand.server);
    simulation_run_for(hand.simulation, 10000);
    assert_int_equal(hand_receive(hand.a, hand.client), -ECONNRESET);
    simulation_close(hand.simulation);
}

static void test_refused_and_unknown(void **state) {
    (void)state;
    struct hand hand = hand_open(3);
    struct io *a = hand.a;
    io_socket refused = a->operations->connect_tcp(a, "b", PORT + 1, NULL);
    io_socket loopback = a->operations->connect_tcp(a, "127.0.0.1", PORT, NULL);
    simulation_run_for(hand.simulation, 10000);
    assert_int_equal(a->operations->connect_result(a, refused), -ECONNREFUSED);
    assert_int_equal(a->operations->connect_result(a, loopback), -ECONNREFUSED);
    assert_int_equal(a->operations->connect_tcp(a, "nobody", PORT, NULL), -EHOSTUNREACH);
    char error[64];
    struct io_listen_tcp where = {.address = "*", .port = PORT, .backlog = 1};
    struct io *b = hand.b;
    assert_int_equal(b->operations->listen_tcp(b, &where, error, sizeof(error)), -EADDRINUSE);
    assert_string_equal(error, "bind: Address already in use");
    where.address = "::*";
    assert_true(b->operations->listen_tcp(b, &where, error, sizeof(error)) >= 0);
    io_socket v6 = a->operations->connect_tcp(a, "fd00::2", PORT, NULL);
    simulation_run_for(hand.simulation, 10000);
    char name[IO_ADDRESS_TEXT_MAX];
    a->operations->peer_name(a, v6, name);
    assert_string_equal(name, "[fd00::2]:7000");
    assert_int_equal(hand_send(a, v6), 5);
    simulation_close(hand.simulation);
}

static void test_unix_and_limits(void **state) {
    (void)state;
    struct hand hand = hand_open(4);
    struct io *b = hand.b;
    char error[64];
    struct io_listen_unix where = {.path = "/run/s.sock", .backlog = 2};
    io_socket listener = b->operations->listen_unix(b, &where, error, sizeof(error));
    io_socket client = b->operations->connect_unix(b, "/run/s.sock");
    simulation_run_for(hand.simulation, 10000);
    simulation_set_socket_limit(b, 1);
    assert_int_equal(b->operations->accept(b, listener), -EMFILE);
    simulation_set_socket_limit(b, 100);
    io_socket server = b->operations->accept(b, listener);
    assert_true(server >= 0);
    char name[IO_ADDRESS_TEXT_MAX];
    b->operations->peer_name(b, server, name);
    assert_string_equal(name, "/run/s.sock:0");
    assert_true(b->operations->peer_is_local(b, server));
    assert_int_equal(hand_send(b, client), 5);
    simulation_run_for(hand.simulation, 10000);
    assert_int_equal(hand_receive(b, server), 5);
    simulation_close(hand.simulation);
}

static void test_bounded_buffer(void **state) {
    (void)state;
    struct hand hand = hand_open(5);
    simulation_network(hand.simulation)->send_buffer_bytes = 12;
    assert_int_equal(hand_send(hand.a, hand.client), 5);
    assert_int_equal(hand_send(hand.a, hand.client), 5);
    assert_int_equal(hand_send(hand.a, hand.client), 2);
    assert_int_equal(hand_send(hand.a, hand.client), -EAGAIN);
    struct io_event events[2];
    assert_int_equal(io_watch(hand.a, hand.client, IO_WRITABLE, NULL), 0);
    assert_int_equal(io_wait(hand.a, events, 2, -1), 0);
    simulation_run_for(hand.simulation, 10000);
    assert_int_equal(hand_receive(hand.b, hand.server), 12);
    assert_int_equal(io_wait(hand.a, events, 2, -1), 1);
    assert_int_equal(events[0].ready, IO_WRITABLE);
    simulation_close(hand.simulation);
}

static void test_cuts(void **state) {
    (void)state;
    struct hand hand = hand_open(6);
    simulation_cut(hand.a, hand.client, false);
    assert_int_equal(hand_receive(hand.a, hand.client), -ECONNRESET);
    assert_int_equal(hand_receive(hand.a, hand.client), 0);
    assert_int_equal(hand_send(hand.b, hand.server), -ECONNRESET);
    assert_int_equal(hand_send(hand.b, hand.server), -EPIPE);
    simulation_close(hand.simulation);

    hand = hand_open(7);
    hand.b->operations->set_keepalive(hand.b, hand.server, 60);
    simulation_cut(hand.a, hand.client, true);
    assert_int_equal(hand_send(hand.a, hand.client), 5);
    simulation_run_for(hand.simulation, 100LL * SECOND_US);
    assert_int_equal(hand_receive(hand.a, hand.client), -EAGAIN);
    assert_int_equal(hand_receive(hand.b, hand.server), -EAGAIN);
    simulation_run_for(hand.simulation, 30LL * SECOND_US);
    assert_int_equal(hand_receive(hand.b, hand.server), -ETIMEDOUT); /* keepalive */
    assert_int_equal(hand_receive(hand.a, hand.client), -EAGAIN);
    simulation_run_for(hand.simulation, 1000LL * SECOND_US);
    assert_int_equal(hand_receive(hand.a, hand.client), -ETIMEDOUT); /* unacknowledged data */
    simulation_close(hand.simulation);
}

static void test_partition_heals(void **state) {
    (void)state;
    struct hand hand = hand_open(8);
    simulation_partition(hand.a, hand.b);
    assert_int_equal(hand_send(hand.a, hand.client), 5);
    io_socket late = hand.a->operations->connect_tcp(hand.a, "b", PORT, NULL);
    simulation_run_for(hand.simulation, 5LL * SECOND_US);
    assert_int_equal(hand_receive(hand.b, hand.server), -EAGAIN);
    simulation_heal(hand.a, hand.b);
    assert_int_equal(hand_send(hand.a, hand.client), 5);
    simulation_run_for(hand.simulation, 2LL * SECOND_US);
    assert_int_equal(hand_receive(hand.b, hand.server), 10);
    assert_true(hand.b->operations->accept(hand.b, hand.listener) >= 0);
    assert_int_equal(hand.a->operations->connect_result(hand.a, late), 0);
    simulation_close(hand.simulation);
}

/* Killed: the system closes the sockets. Without power: silence, until it boots and denies all. */
static void test_kill_and_crash(void **state) {
    (void)state;
    struct hand hand = hand_open(9);
    simulation_kill(hand.b);
    simulation_run_for(hand.simulation, 10000);
    assert_int_equal(hand_receive(hand.a, hand.client), 0);
    io_close_socket(hand.b, hand.server); /* does nothing any more */
    assert_int_equal(hand_receive(hand.b, hand.server), -EBADF);
    simulation_close(hand.simulation);

    hand = hand_open(10);
    simulation_crash(hand.b);
    hand_send(hand.a, hand.client);
    io_socket late = hand.a->operations->connect_tcp(hand.a, "b", PORT, NULL);
    simulation_run_for(hand.simulation, 5LL * SECOND_US);
    assert_int_equal(hand_receive(hand.a, hand.client), -EAGAIN);
    simulation_boot(hand.b);
    simulation_run_for(hand.simulation, 5LL * SECOND_US);
    assert_int_equal(hand_receive(hand.a, hand.client), -ECONNRESET);
    assert_int_equal(hand.a->operations->connect_result(hand.a, late), -ECONNREFUSED);
    simulation_close(hand.simulation);
}

struct ticker {
    struct io *io;
    int turns;
    int64_t last_us;
};

static void ticker_turn(void *context) {
    struct ticker *ticker = context;
    struct io_event events[1];
    io_wait(ticker->io, events, 1, 100000);
    ticker->turns++;
    ticker->last_us = io_monotonic_us(ticker->io);
}

/* Deadlines, wakes, signals and sleeps decide when a turn comes. */
static void test_turns(void **state) {
    (void)state;
    struct simulation *simulation = simulation_open(11);
    struct ticker ticker = {.io = simulation_host(simulation, "t")};
    struct io *io = ticker.io;
    simulation_set_turn(io, ticker_turn, &ticker);
    simulation_run_for(simulation, 10LL * SECOND_US);
    assert_in_range(ticker.turns, 98, 102);
    int before = ticker.turns;
    io_wake(io);
    simulation_run_for(simulation, 50);
    assert_in_range(ticker.turns, before + 1, before + 2);
    simulation_signal(io, 15);
    assert_int_equal(io->operations->take_signal(io), 15);
    assert_int_equal(io->operations->take_signal(io), 0);
    before = ticker.turns;
    int64_t now_us = io_monotonic_us(io);
    io->operations->sleep_us(io, 10LL * SECOND_US);
    assert_true(io_monotonic_us(io) >= now_us + 10LL * SECOND_US);
    assert_int_equal(simulation_now_us(simulation), now_us);
    simulation_run_for(simulation, 9LL * SECOND_US);
    assert_in_range(ticker.turns, before, before + 1); /* one was planned already */
    simulation_run_for(simulation, 5LL * SECOND_US);
    assert_true(ticker.turns > before + 30);
    simulation_set_clock_error(io, 5LL * SECOND_US);
    int64_t wall_us = io_wall_us(io);
    simulation_set_clock_error(io, 0);
    assert_int_equal(wall_us - io_wall_us(io), 5LL * SECOND_US);
    uint64_t random[2] = {0};
    io_entropy(io, random, sizeof(random));
    assert_true(random[0] != random[1]);
    simulation_set_turn(io, NULL, NULL);
    before = ticker.turns;
    simulation_run_for(simulation, SECOND_US);
    assert_int_equal(ticker.turns, before);
    assert_false(simulation_step(simulation));
    simulation_close(simulation);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_echo_without_faults),
        cmocka_unit_test(test_echo_with_all_faults),
        cmocka_unit_test(test_seed_decides_all),
        cmocka_unit_test(test_names_and_end),
        cmocka_unit_test(test_close_with_unread_bytes),
        cmocka_unit_test(test_refused_and_unknown),
        cmocka_unit_test(test_unix_and_limits),
        cmocka_unit_test(test_bounded_buffer),
        cmocka_unit_test(test_cuts),
        cmocka_unit_test(test_partition_heals),
        cmocka_unit_test(test_kill_and_crash),
        cmocka_unit_test(test_turns),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
