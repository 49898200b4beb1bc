/* The real network and poller, over loopback and unix sockets. */
#include "io/io.h"
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

enum { TIMEOUT_US = 5000000 };

static struct io *open_world(void) {
    char error[256] = "";
    struct io *io = io_real_open(2, error, sizeof(error));
    assert_non_null(io);
    return io;
}

/* Waits for one event and returns what it says. */
static uint32_t wait_for(struct io *io, void *context) {
    struct io_event events[8];
    for (;;) {
        int count = io_wait(io, events, 8, TIMEOUT_US);
        assert_true(count > 0);
        for (int i = 0; i < count; i++)
            if (events[i].context == context) return events[i].ready;
    }
}

static uint16_t port_of(struct io *io, io_socket socket) {
    char name[IO_ADDRESS_TEXT_MAX];
    io->operations->local_name(io, socket, name);
    return (uint16_t)strtol(strrchr(name, ':') + 1, NULL, 10);
}

struct pair {
    io_socket listener, client, server;
};

static void accept_pair(struct io *io, struct pair *pair) {
    assert_int_equal(io_watch(io, pair->listener, IO_READABLE, &pair->listener), 0);
    assert_int_equal(wait_for(io, &pair->listener), IO_READABLE);
    pair->server = io->operations->accept(io, pair->listener);
    assert_true(pair->server >= 0);
    assert_int_equal(io->operations->accept(io, pair->listener), -EAGAIN);
    assert_int_equal(io_watch(io, pair->client, IO_WRITABLE, &pair->client), 0);
    assert_true(wait_for(io, &pair->client) & IO_WRITABLE);
    assert_int_equal(io->operations->connect_result(io, pair->client), 0);
    io_unwatch(io, pair->client);
}

static struct pair tcp_pair(struct io *io, const char *address) {
    char error[256] = "";
    struct io_listen_tcp where = {.address = address, .port = 0, .backlog = 16};
    struct pair pair = {.listener = io->operations->listen_tcp(io, &where, error, sizeof(error))};
    if (pair.listener < 0) fail_msg("%s: %s", address, error);
    pair.client = io->operations->connect_tcp(io, address, port_of(io, pair.listener), NULL);
    assert_true(pair.client >= 0);
    accept_pair(io, &pair);
    return pair;
}

static void close_pair(struct io *io, struct pair *pair) {
    io_close_socket(io, pair->client);
    io_close_socket(io, pair->server);
    io_close_socket(io, pair->listener);
}

static void say_hello(struct io *io, struct pair *pair) {
    struct bytes parts[3] = {BYTES("he"), BYTES(""), BYTES("llo")};
    assert_int_equal(io_send(io, pair->client, parts, 3), 5);
    assert_int_equal(io_watch(io, pair->server, IO_READABLE, pair), 0);
    assert_int_equal(wait_for(io, pair), IO_READABLE);
    char text[16];
    assert_int_equal(io_receive(io, pair->server, text, sizeof(text)), 5);
    assert_memory_equal(text, "hello", 5);
    assert_int_equal(io_receive(io, pair->server, text, sizeof(text)), -EAGAIN);
    io_close_socket(io, pair->client);
    pair->client = IO_NONE;
    assert_true(wait_for(io, pair) & IO_READABLE);
    assert_int_equal(io_receive(io, pair->server, text, sizeof(text)), 0);
}

/* A container may have no IPv6 at all. */
static bool has_v6(void) {
    struct io *io = open_world();
    char error[256];
    struct io_listen_tcp where = {.address = "::1", .backlog = 1};
    io_socket listener = io->operations->listen_tcp(io, &where, error, sizeof(error));
    io_close_socket(io, listener);
    io_close(io);
    return listener >= 0;
}

static void test_tcp(const char *address, const char *shown) {
    struct io *io = open_world();
    struct pair pair = tcp_pair(io, address);
    char name[IO_ADDRESS_TEXT_MAX], other[IO_ADDRESS_TEXT_MAX];
    io->operations->peer_name(io, pair.server, name);
    io->operations->local_name(io, pair.client, other);
    assert_string_equal(name, other);
    assert_memory_equal(name, shown, strlen(shown));
    assert_true(io->operations->peer_is_local(io, pair.server));
    assert_int_equal(io->operations->set_no_delay(io, pair.server, true), 0);
    assert_int_equal(io->operations->set_keepalive(io, pair.server, 300), 0);
    assert_int_equal(io->operations->set_keepalive(io, pair.server, 0), 0);
    assert_int_equal(io->operations->socket_number(io, pair.server), pair.server);
    say_hello(io, &pair);
    close_pair(io, &pair);
    io_close(io);
}

static void test_tcp_v4(void **state) {
    (void)state;
    test_tcp("127.0.0.1", "127.0.0.1:");
}

static void test_tcp_v6(void **state) {
    (void)state;
    if (!has_v6()) skip();
    test_tcp("::1", "[::1]:");
}

/* "*" and "::*" take the same port side by side; a second "*" is refused in words. */
static void test_wildcards(void **state) {
    (void)state;
    struct io *io = open_world();
    char error[256] = "";
    struct io_listen_tcp where = {.address = "*", .backlog = 16};
    io_socket v4 = io->operations->listen_tcp(io, &where, error, sizeof(error));
    assert_true(v4 >= 0);
    where.port = port_of(io, v4);
    if (has_v6()) {
        where.address = "::*";
        io_socket v6 = io->operations->listen_tcp(io, &where, error, sizeof(error));
        assert_true(v6 >= 0);
        io_close_socket(io, v6);
    }
    where.address = "*";
    assert_int_equal(io->operations->listen_tcp(io, &where, error, sizeof(error)), -EADDRINUSE);
    assert_string_equal(error, "bind: Address already in use");
    where.address = "no.such.host.invalid";
    assert_true(io->operations->listen_tcp(io, &where, error, sizeof(error)) < 0);
    where.address = "192.0.2.1"; /* an address for documentation, never ours */
    assert_int_equal(io->operations->listen_tcp(io, &where, error, sizeof(error)), -EADDRNOTAVAIL);
    io_close_socket(io, v4);
    io_close(io);
}

static void test_refused(void **state) {
    (void)state;
    struct io *io = open_world();
    char error[256];
    struct io_listen_tcp where = {.address = "127.0.0.1", .backlog = 16};
    io_socket listener = io->operations->listen_tcp(io, &where, error, sizeof(error));
    uint16_t port = port_of(io, listener);
    io_close_socket(io, listener);
    io_socket client = io->operations->connect_tcp(io, "127.0.0.1", port, "127.0.0.1");
    if (client >= 0) {
        assert_int_equal(io_watch(io, client, IO_WRITABLE, &client), 0);
        assert_true(wait_for(io, &client) & IO_WRITABLE);
        assert_int_equal(io->operations->connect_result(io, client), -ECONNREFUSED);
        io_close_socket(io, client);
    } else {
        assert_int_equal(client, -ECONNREFUSED);
    }
    io_close(io);
}

static void test_unix(void **state) {
    (void)state;
    struct io *io = open_world();
    char directory[] = "/tmp/redstart-unix-XXXXXX", path[64], shown[80], error[256];
    assert_non_null(mkdtemp(directory));
    snprintf(path, sizeof(path), "%s/s.sock", directory);
    snprintf(shown, sizeof(shown), "%s:0", path);
    struct io_listen_unix where = {.path = path, .mode = 0700, .backlog = 4};
    /* Twice: the second replaces what the first left behind. */
    io_socket stale = io->operations->listen_unix(io, &where, error, sizeof(error));
    assert_true(stale >= 0);
    io_close_socket(io, stale);
    where.mode = 0640;
    struct pair pair = {.listener = io->operations->listen_unix(io, &where, error, sizeof(error))};
    assert_true(pair.listener >= 0);
    struct stat status;
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(status.st_mode & 0777, 0640);
    pair.client = io->operations->connect_unix(io, path);
    assert_true(pair.client >= 0);
    accept_pair(io, &pair);
    char name[IO_ADDRESS_TEXT_MAX];
    io->operations->peer_name(io, pair.server, name);
    assert_string_equal(name, shown);
    io->operations->local_name(io, pair.server, name);
    assert_string_equal(name, shown);
    assert_true(io->operations->peer_is_local(io, pair.server));
    say_hello(io, &pair);
    close_pair(io, &pair);
    /* Another kind of file is left alone. */
    unlink(path);
    io_file file = io->operations->open(io, path, IO_WRITE | IO_CREATE, 0600);
    io->operations->close(io, file);
    assert_int_equal(io->operations->listen_unix(io, &where, error, sizeof(error)), -EADDRINUSE);
    unlink(path);
    rmdir(directory);
    io_close(io);
}

/* A full pipe says EAGAIN, becomes writable when read, and loses nothing. */
static void test_backpressure(void **state) {
    (void)state;
    struct io *io = open_world();
    struct pair pair = tcp_pair(io, "127.0.0.1");
    static char block[65536];
    uint64_t sent = 0, received = 0;
    struct bytes part = {block, sizeof(block)};
    for (;;) {
        int64_t n = io_send(io, pair.client, &part, 1);
        if (n == -EAGAIN) break;
        assert_true(n > 0);
        sent += (uint64_t)n;
    }
    assert_int_equal(io_watch(io, pair.server, IO_READABLE, &pair.server), 0);
    while (received < sent) {
        wait_for(io, &pair.server);
        int64_t n = io_receive(io, pair.server, block, sizeof(block));
        assert_true(n > 0);
        received += (uint64_t)n;
    }
    assert_int_equal(io_watch(io, pair.client, IO_WRITABLE, &pair.client), 0);
    assert_true(wait_for(io, &pair.client) & IO_WRITABLE);
    close_pair(io, &pair);
    io_close(io);
}

/* Who asks for nothing is told of the end alone; a broken peer gives an errno, not a signal. */
static void test_hangup(void **state) {
    (void)state;
    struct io *io = open_world();
    struct pair pair = tcp_pair(io, "127.0.0.1");
    struct bytes hello = BYTES("hello");
    struct io_event events[4];
    assert_int_equal(io_watch(io, pair.server, 0, &pair.server), 0);
    assert_int_equal(io_send(io, pair.client, &hello, 1), 5);
    assert_int_equal(io_wait(io, events, 4, 20000), 0);
    io_close_socket(io, pair.client);
    pair.client = IO_NONE;
    assert_true(wait_for(io, &pair.server) & IO_HANGUP);
    int64_t result = 0;
    for (int i = 0; i < 100 && result >= 0; i++) {
        result = io_send(io, pair.server, &hello, 1);
        usleep(1000);
    }
    assert_true(result == -EPIPE || result == -ECONNRESET);
    close_pair(io, &pair);
    io_close(io);
}

/* Interest changes, context changes, and a number that is used again, all reach the kernel. */
static void test_watch_changes(void **state) {
    (void)state;
    struct io *io = open_world();
    struct pair pair = tcp_pair(io, "127.0.0.1");
    struct io_event events[4];
    int first, second;
    for (int i = 0; i < 3; i++)
        assert_int_equal(io_watch(io, pair.server, IO_WRITABLE, &first), 0);
    assert_int_equal(wait_for(io, &first), IO_WRITABLE);
    assert_int_equal(io_watch(io, pair.server, IO_WRITABLE, &second), 0);
    assert_int_equal(wait_for(io, &second), IO_WRITABLE);
    assert_int_equal(io_watch(io, pair.server, IO_READABLE, &second), 0);
    assert_int_equal(io_wait(io, events, 4, 0), 0);
    io_unwatch(io, pair.server);
    io_unwatch(io, pair.server);
    io_close_socket(io, pair.server);
    io_socket old = pair.server;
    pair.server = IO_NONE;
    struct pair other = tcp_pair(io, "127.0.0.1");
    assert_true(other.client == old || other.listener == old || other.server == old);
    assert_int_equal(io_watch(io, old, IO_WRITABLE, &first), 0);
    io_unwatch(io, old);
    close_pair(io, &pair);
    close_pair(io, &other);
    io_close(io);
}

static void *wake_later(void *io) {
    usleep(20000);
    io_wake(io);
    io_wake(io);
    return NULL;
}

static void test_wake_and_timeouts(void **state) {
    (void)state;
    struct io *io = open_world();
    struct io_event events[4];
    for (int i = 0; i < 3; i++) {
        pthread_t thread;
        pthread_create(&thread, NULL, wake_later, io);
        int64_t start = io_monotonic_us(io);
        assert_int_equal(io_wait(io, events, 4, TIMEOUT_US), 0);
        assert_true(io_monotonic_us(io) - start < TIMEOUT_US);
        pthread_join(thread, NULL);
        io_wait(io, events, 4, 0); /* the second wake may still be there */
    }
    io_wake(io);
    assert_int_equal(io_wait(io, events, 4, -1), 0);
    int64_t start = io_monotonic_us(io);
    assert_int_equal(io_wait(io, events, 4, 0), 0);
    assert_int_equal(io_wait(io, events, 4, 1500), 0);
    assert_true(io_monotonic_us(io) - start >= 1500);
    assert_int_equal(io_wait(io, events, 4, 1), 0);
    io_close(io);
}

static void test_clocks(void **state) {
    (void)state;
    struct io *io = open_world();
    /* The ticks are read between readings of the clock, however long those are apart. */
    int64_t before = io_monotonic_us(io);
    uint64_t ticks = io_ticks(io);
    int64_t start = io_monotonic_us(io);
    io->operations->sleep_us(io, 50000);
    int64_t end = io_monotonic_us(io);
    double measured = (double)(io_ticks(io) - ticks) / io->operations->ticks_per_us;
    int64_t after = io_monotonic_us(io);
    assert_true(end - start >= 50000);
    assert_true(measured > (double)(end - start) * 0.99);
    assert_true(measured < (double)(after - before) * 1.01);
    assert_true(io_wall_us(io) > INT64_C(1700000000000000));
    uint8_t a[64] = {0}, b[64] = {0};
    io_entropy(io, a, sizeof(a));
    io_entropy(io, b, sizeof(b));
    assert_memory_not_equal(a, b, sizeof(a));
    assert_true(io->operations->utc_offset_s(io, 1700000000) >= -86400);
    io_close(io);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tcp_v4),    cmocka_unit_test(test_tcp_v6),
        cmocka_unit_test(test_wildcards), cmocka_unit_test(test_refused),
        cmocka_unit_test(test_unix),      cmocka_unit_test(test_backpressure),
        cmocka_unit_test(test_hangup),    cmocka_unit_test(test_watch_changes),
        cmocka_unit_test(test_clocks),    cmocka_unit_test(test_wake_and_timeouts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
