/* test_waiting.c: sessions that wait for keys, in a simulated server that has three commands of
 * this test in the place of others: they do for strings what BLPOP, BLMOVE and XREADGROUP do.
 *
 *     GETDEL key [key ...] timeout     the first that is there: its name and value, and it is gone
 *     GETSET from to timeout           rename it, give its value
 *     GETEX key timeout                tells when the string is gone
 *
 * Random clients are compared, byte by byte, with a model that looks through one list of all who
 * wait.
 *
 *     test-engine-waiting [--seeds N] [--seed FIRST]
 */
#include "simulated.h"

#include "engine/call.h"

enum { CLIENTS = 24, KEYS = 6, WAIT_KEYS = 3, STEPS = 1500, SLACK_US = 20000, QUIET_US = 6000 };

/* ---- the commands ---- */

static void timed_out(struct call *call) {
    reply_null_array(call->reply);
}

static void wait_for(struct call *call, uint32_t first, uint32_t count, bool gone) {
    uint32_t keys[8];
    int64_t timeout_ms;
    if (!call_parse_timeout(call, call->argc - 1, &timeout_ms)) return;
    for (uint32_t i = 0; i < count; i++)
        keys[i] = first + i;
    struct call_wait wait = {.type = VALUE_STRING,
                             .wake_when_gone = gone,
                             .keys = keys,
                             .key_count = count,
                             .timeout_ms = timeout_ms,
                             .timed_out = timed_out};
    if (call_may_wait(call))
        call_wait(call, &wait);
    else
        timed_out(call);
}

static bool pop(struct call *call, uint32_t index) {
    char scratch[NUMBER_I64_TEXT_MAX];
    struct spot spot = call_locate(call, index);
    if (!spot.entry) return false;
    reply_array(call->reply, 2);
    reply_bulk(call->reply, call->argv[index]);
    reply_bulk(call->reply, entry_string(spot.entry, scratch));
    database_remove(call->database, &spot);
    struct bytes words[] = {BYTES("DEL"), call->argv[index]};
    call_changed(call, call->database, call->argv[index], NOTIFY_GENERIC, "del");
    call_effect(call, call->database, words, 2);
    return true;
}

static void test_pop(struct call *call) {
    uint32_t count = call->argc - 2;
    if (call->ready) {
        if (pop(call, call->ready)) return;
    } else {
        for (uint32_t i = 1; i <= count; i++)
            if (pop(call, i)) return;
    }
    wait_for(call, 1, count, false);
}

static void test_move(struct call *call) {
    char scratch[NUMBER_I64_TEXT_MAX];
    struct key from = call_key(call, 1), to = call_key(call, 2);
    struct spot spot = call_locate(call, 1);
    if (!spot.entry) {
        wait_for(call, 1, 1, false);
        return;
    }
    reply_bulk(call->reply, entry_string(spot.entry, scratch));
    struct bytes words[] = {BYTES("RENAME"), from.name, to.name};
    if (!bytes_equal(from.name, to.name)) {
        database_move(call->database, &from, call->database, &to);
        call_changed(call, call->database, from.name, NOTIFY_GENERIC, "del");
    }
    call_changed(call, call->database, to.name, NOTIFY_GENERIC, "set");
    call_effect(call, call->database, words, 3);
}

static void test_gone(struct call *call) {
    const struct entry *entry = call_peek(call, 1);
    if (!entry)
        call_error(call, "GONE");
    else
        wait_for(call, 1, 1, true);
}

/* ---- a server and its clients ---- */

struct client {
    struct io *io;
    io_socket socket;
    uint64_t id;
    struct buffer in, expected;
};

/* One who waits, in the model. */
struct waits {
    uint32_t client;
    uint32_t keys[WAIT_KEYS], count;
    int to; /* of a move, -1: a pop */
    int64_t deadline_us;
    bool pings; /* behind */
};

struct world {
    struct simulation *simulation;
    struct simulated server;
    struct command *commands;
    struct command_set set;
    struct io *host;
    struct client clients[CLIENTS];
    struct buffer journal;
    /* the model */
    struct waits waits[CLIENTS]; /* in the order in which they came */
    uint32_t waiting;
    bool present[KEYS];
    uint32_t value[KEYS], next_value;
    uint32_t ready[KEYS * 4], ready_count;
    uint64_t served, timed_out;
};

static void replace_handler(struct world *w, const char *name, command_handler *handler) {
    const struct command *command = command_find(&command_table, bytes_from_text(name));
    struct command *own = &w->commands[command - command_table.commands];
    own->handler = handler;
    own->arity = -3;
}

static void client_open(struct world *w, struct client *c) {
    *c = (struct client){.io = w->host};
    c->socket = w->host->operations->connect_tcp(w->host, "server", 6379, NULL);
    assert_true(c->socket >= 0);
}

static void client_close(struct client *c) {
    io_close_socket(c->io, c->socket);
    buffer_release(&c->in);
    buffer_release(&c->expected);
}

static void collect(void *context, uint64_t offset, struct bytes bytes) {
    struct world *w = context;
    (void)offset;
    buffer_append(&w->journal, bytes.data, bytes.size);
}

static void world_open(struct world *w, uint64_t seed) {
    *w = (struct world){.simulation = simulation_open(seed), .set = command_table};
    w->commands = calloc(command_table.count, sizeof *w->commands);
    memcpy(w->commands, command_table.commands, command_table.count * sizeof *w->commands);
    replace_handler(w, "getdel", test_pop);
    replace_handler(w, "getset", test_move);
    replace_handler(w, "getex", test_gone);
    w->set.commands = w->commands;
    simulated_start_with(&w->server, w->simulation, "server", 1000, 0, &w->set);
    journal_add_reader(&w->server.server->journal, collect, w);
    w->host = simulation_host(w->simulation, "client");
    for (int i = 0; i < CLIENTS; i++)
        client_open(w, &w->clients[i]);
    simulation_run_for(w->simulation, QUIET_US);
}

static void world_close(struct world *w) {
    for (int i = 0; i < CLIENTS; i++)
        client_close(&w->clients[i]);
    simulation_run_for(w->simulation, SLACK_US);
    assert_int_equal(w->server.server->waiting.count, 0);
    assert_int_equal(w->server.server->session_count, 0);
    journal_remove_reader(&w->server.server->journal, collect, w);
    simulated_stop(&w->server);
    buffer_release(&w->journal);
    simulation_close(w->simulation);
    free(w->commands);
}

/* The network takes what it likes. */
static void send_bytes(struct world *w, struct client *c, struct bytes left) {
    while (left.size > 0) {
        int64_t sent = io_send(c->io, c->socket, &left, 1);
        assert_true(sent > 0 || sent == -EAGAIN);
        if (sent > 0)
            left = bytes_make(left.data + sent, left.size - (size_t)sent);
        else
            simulation_run_for(w->simulation, 300);
    }
}

static void send_line(struct world *w, struct client *c, const char *line) {
    send_bytes(w, c, bytes_from_text(line));
}

static void receive(struct client *c) {
    enum { SIZE = 65536 };
    int64_t got;
    while ((got = io_receive(c->io, c->socket, buffer_reserve(&c->in, SIZE), SIZE)) > 0)
        c->in.size += (size_t)got;
    assert_int_equal(got, -EAGAIN);
}

/* Let everything happen that has been caused. */
static void settle(struct world *w) {
    simulation_run_for(w->simulation, QUIET_US);
    for (int i = 0; i < CLIENTS; i++)
        receive(&w->clients[i]);
}

static void assert_got(struct client *c, const char *text) {
    receive(c);
    if (c->in.size != strlen(text) || memcmp(c->in.data, text, c->in.size) != 0)
        fail_msg("got %.*s instead of %s", (int)c->in.size, c->in.data ? c->in.data : "", text);
    buffer_clear(&c->in);
}

static void say(struct world *w, int client, const char *line, const char *reply) {
    send_line(w, &w->clients[client], line);
    settle(w);
    assert_got(&w->clients[client], reply);
}

/* ---- one thing at a time ---- */

static void test_order(void **state) {
    (void)state;
    struct world w;
    world_open(&w, 1);
    say(&w, 0, "GETDEL a b 0\r\n", "");
    say(&w, 1, "GETDEL b 0\r\n", "");
    say(&w, 2, "GETDEL b b a 0\r\nPING\r\n", "");
    /* Keys in the order in which they were set, sessions in the order in which they came. */
    say(&w, 9, "MSET b 1 a 2\r\n", "+OK\r\n");
    assert_got(&w.clients[0], "*2\r\n$1\r\nb\r\n$1\r\n1\r\n");
    assert_got(&w.clients[2], "*2\r\n$1\r\na\r\n$1\r\n2\r\n+PONG\r\n");
    assert_got(&w.clients[1], "");
    /* The next request of the same pipeline comes after those who were served. */
    say(&w, 0, "GETDEL b 0\r\n", "");
    say(&w, 9, "SET b 3\r\nEXISTS b\r\nSET b 4\r\nSET b 5\r\nGETDEL b 0\r\n",
        "+OK\r\n:0\r\n+OK\r\n+OK\r\n*2\r\n$1\r\nb\r\n$1\r\n5\r\n");
    assert_got(&w.clients[1], "*2\r\n$1\r\nb\r\n$1\r\n3\r\n");
    assert_got(&w.clients[0], "*2\r\n$1\r\nb\r\n$1\r\n4\r\n");
    assert_int_equal(name_table_count(&w.server.server->waiting.keys), 0);
    world_close(&w);
}

/* A is moved to b, and by another to c, where the third waits; the journal has it in that order. */
static void test_chain(void **state) {
    (void)state;
    struct world w;
    world_open(&w, 2);
    say(&w, 2, "GETDEL c 0\r\n", "");
    say(&w, 1, "GETSET b c 0\r\n", "");
    say(&w, 0, "GETSET a b 0\r\n", "");
    buffer_clear(&w.journal);
    say(&w, 9, "SET a 1\r\nEXISTS a b c\r\n", "+OK\r\n:0\r\n");
    assert_got(&w.clients[0], "$1\r\n1\r\n");
    assert_got(&w.clients[1], "$1\r\n1\r\n");
    assert_got(&w.clients[2], "*2\r\n$1\r\nc\r\n$1\r\n1\r\n");
    static const char stream[] = "*2\r\n$6\r\nSELECT\r\n$1\r\n0\r\n"
                                 "*3\r\n$3\r\nSET\r\n$1\r\na\r\n$1\r\n1\r\n"
                                 "*3\r\n$6\r\nRENAME\r\n$1\r\na\r\n$1\r\nb\r\n"
                                 "*3\r\n$6\r\nRENAME\r\n$1\r\nb\r\n$1\r\nc\r\n"
                                 "*2\r\n$3\r\nDEL\r\n$1\r\nc\r\n";
    assert_int_equal(w.journal.size, sizeof stream - 1);
    assert_memory_equal(w.journal.data, stream, sizeof stream - 1);
    world_close(&w);
}

static void test_writers(void **state) {
    (void)state;
    struct world w;
    world_open(&w, 3);
    say(&w, 0, "SELECT 3\r\nGETDEL k 0\r\n", "+OK\r\n");
    say(&w, 9, "SET k 1\r\nMOVE k 3\r\n", "+OK\r\n:1\r\n");
    assert_got(&w.clients[0], "*2\r\n$1\r\nk\r\n$1\r\n1\r\n");
    say(&w, 0, "GETDEL k 0\r\n", "");
    say(&w, 9, "SET k 2\r\nSWAPDB 0 3\r\n", "+OK\r\n+OK\r\n");
    assert_got(&w.clients[0], "*2\r\n$1\r\nk\r\n$1\r\n2\r\n");
    say(&w, 0, "GETDEL k 0\r\n", "");
    say(&w, 9, "SET j 3\r\nCOPY j k DB 3\r\nEXISTS j\r\n", "+OK\r\n:1\r\n:1\r\n");
    assert_got(&w.clients[0], "*2\r\n$1\r\nk\r\n$1\r\n3\r\n");
    say(&w, 1, "GETDEL k 0\r\n", "");
    say(&w, 9, "RENAME j k\r\n", "+OK\r\n");
    assert_got(&w.clients[1], "*2\r\n$1\r\nk\r\n$1\r\n3\r\n");
    /* The end of a key: removed, flushed, and by its time. */
    static const char *const ends[] = {"DEL k\r\n", "FLUSHALL\r\n", "PEXPIRE k 5\r\n"};
    static const char *const replies[] = {":1\r\n", "+OK\r\n", ":1\r\n"};
    for (int i = 0; i < 3; i++) {
        say(&w, 9, "SET k 4\r\n", "+OK\r\n");
        say(&w, 1, "GETEX k 0\r\n", "");
        say(&w, 9, "APPEND k 4\r\n", ":2\r\n");
        assert_got(&w.clients[1], "");
        say(&w, 9, ends[i], replies[i]);
        simulation_run_for(w.simulation, 300000);
        assert_got(&w.clients[1], "-GONE\r\n");
    }
    assert_int_equal(w.server.server->waiting.gone_keys, 0);
    world_close(&w);
}

/* To the millisecond, although housekeeping comes ten times a second. */
static void test_deadline(void **state) {
    (void)state;
    struct world w;
    world_open(&w, 4);
    simulation_network(w.simulation)->latency_us_max = 20;
    simulation_run_for(w.simulation, 1000000);
    static const int timeouts_ms[] = {1, 2, 3, 7, 40, 99, 101, 555, 1001};
    for (size_t i = 0; i < sizeof timeouts_ms / sizeof timeouts_ms[0]; i++) {
        char line[64];
        int64_t begun_us = simulation_now_us(w.simulation), due_us = timeouts_ms[i] * 1000;
        snprintf(line, sizeof line, "GETDEL k %d.%03d\r\n", timeouts_ms[i] / 1000,
                 timeouts_ms[i] % 1000);
        send_line(&w, &w.clients[0], line);
        while (w.clients[0].in.size == 0) {
            assert_true(simulation_step(w.simulation));
            receive(&w.clients[0]);
        }
        int64_t took_us = simulation_now_us(w.simulation) - begun_us;
        assert_in_range(took_us, due_us, due_us + 2000);
        assert_got(&w.clients[0], "*-1\r\n");
    }
    world_close(&w);
}

static void test_ends(void **state) {
    (void)state;
    struct world w;
    char line[160], id[64];
    world_open(&w, 5);
    send_line(&w, &w.clients[0], "CLIENT ID\r\n");
    settle(&w);
    snprintf(id, sizeof id, "%.*s", (int)w.clients[0].in.size - 3, w.clients[0].in.data + 1);
    buffer_clear(&w.clients[0].in);
    snprintf(line, sizeof line, "CLIENT UNBLOCK %s ERROR\r\n", id);
    say(&w, 9, line, ":0\r\n");
    say(&w, 0, "GETDEL k 0\r\nPING\r\n", "");
    say(&w, 9, line, ":1\r\n");
    assert_got(&w.clients[0], "-UNBLOCKED client unblocked via CLIENT UNBLOCK\r\n+PONG\r\n");
    snprintf(line, sizeof line, "CLIENT UNBLOCK %s\r\n", id);
    send_line(&w, &w.clients[0], "HELLO 3 SETNAME a\r\n");
    settle(&w);
    buffer_clear(&w.clients[0].in);
    say(&w, 0, "GETDEL k 10\r\nGETDEL k 0\r\n", "");
    say(&w, 9, line, ":1\r\n");
    assert_got(&w.clients[0], "_\r\n");
    assert_int_equal(w.server.server->waiting.count, 1);
    assert_int_equal(w.server.server->waiting.heap_count, 0);
    /* Killed: no longer in the line, also for what follows at once. */
    snprintf(line, sizeof line, "CLIENT KILL ID %s\r\nSET k 1\r\nEXISTS k\r\n", id);
    say(&w, 1, "GETDEL j 0\r\n", "");
    send_line(&w, &w.clients[9], line);
    simulation_run_for(w.simulation, QUIET_US);
    assert_got(&w.clients[9], ":1\r\n+OK\r\n:1\r\n");
    client_close(&w.clients[0]);
    client_open(&w, &w.clients[0]);
    /* Gone, with requests behind; the next in line is served. */
    say(&w, 0, "GETDEL j 0\r\nPING\r\n", "");
    say(&w, 2, "GETDEL j 0\r\n", "");
    client_close(&w.clients[1]);
    client_open(&w, &w.clients[1]);
    client_close(&w.clients[0]);
    client_open(&w, &w.clients[0]);
    settle(&w);
    say(&w, 9, "SET j 1\r\n", "+OK\r\n");
    assert_got(&w.clients[2], "*2\r\n$1\r\nj\r\n$1\r\n1\r\n");
    /* Replies that nobody wants. */
    say(&w, 0, "CLIENT REPLY SKIP\r\nGETDEL j 0\r\nPING\r\n", "");
    say(&w, 9, "SET j 1\r\nEXISTS j\r\n", "+OK\r\n:0\r\n");
    assert_got(&w.clients[0], "+PONG\r\n");
    say(&w, 0, "CLIENT REPLY OFF\r\nGETDEL j 0.01\r\nGETDEL j 0\r\nCLIENT REPLY ON\r\n", "");
    simulation_run_for(w.simulation, SLACK_US);
    say(&w, 9, "SET j 1\r\nEXISTS j\r\n", "+OK\r\n:0\r\n");
    assert_got(&w.clients[0], "+OK\r\n");
    /* Pauses do not end a wait, and what waits does not run when they end. */
    say(&w, 0, "GETDEL j 0\r\n", "");
    say(&w, 1, "GETDEL x 0.02\r\n", "");
    say(&w, 9, "CLIENT PAUSE 100 WRITE\r\n", "+OK\r\n");
    say(&w, 2, "SET j 1\r\n", "");
    simulation_run_for(w.simulation, SLACK_US);
    assert_got(&w.clients[1], "*-1\r\n");
    assert_got(&w.clients[0], "");
    simulation_run_for(w.simulation, 100000);
    assert_got(&w.clients[2], "+OK\r\n");
    assert_got(&w.clients[0], "*2\r\n$1\r\nj\r\n$1\r\n1\r\n");
    world_close(&w);
}

/* More replies than the outbox holds, in the middle of another session's. */
static void test_large(void **state) {
    enum { SIZE = 300000 };
    (void)state;
    struct world w;
    struct buffer line = {0};
    world_open(&w, 6);
    buffer_append_text(&line, "*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$300000\r\n");
    memset(buffer_reserve(&line, SIZE), 'x', SIZE);
    line.size += SIZE;
    buffer_append_text(&line, "\r\nECHO abc\r\n");
    for (int i = 0; i < 10; i++)
        say(&w, i, "GETDEL k 0\r\n", "");
    for (int i = 0; i < 10; i++)
        send_bytes(&w, &w.clients[10], buffer_bytes(&line));
    for (int i = 0; i < 100; i++)
        settle(&w);
    for (int i = 0; i < 10; i++) {
        assert_got(&w.clients[10], i == 0 ? "+OK\r\n$3\r\nabc\r\n+OK\r\n$3\r\nabc\r\n+OK\r\n$3\r\n"
                                            "abc\r\n+OK\r\n$3\r\nabc\r\n+OK\r\n$3\r\nabc\r\n+OK\r\n"
                                            "$3\r\nabc\r\n+OK\r\n$3\r\nabc\r\n+OK\r\n$3\r\nabc\r\n"
                                            "+OK\r\n$3\r\nabc\r\n+OK\r\n$3\r\nabc\r\n"
                                          : "");
        assert_int_equal(w.clients[i].in.size, SIZE + 22);
    }
    buffer_release(&line);
    world_close(&w);
}

/* ---- against the model ---- */

static uint64_t below(struct world *w, uint64_t limit) {
    return simulation_random_below(w->simulation, limit);
}

static void model_ready(struct world *w, uint32_t key) {
    for (uint32_t i = 0; i < w->ready_count; i++)
        if (w->ready[i] == key) return;
    w->ready[w->ready_count++] = key;
}

static void model_end(struct world *w, uint32_t at) {
    if (w->waits[at].pings)
        buffer_append_text(&w->clients[w->waits[at].client].expected, "+PONG\r\n");
    memmove(&w->waits[at], &w->waits[at + 1], (--w->waiting - at) * sizeof w->waits[0]);
}

/* One is given the key's value. */
static void model_take(struct world *w, const struct waits *waits, uint32_t key) {
    char value[16];
    struct buffer *out = &w->clients[waits->client].expected;
    int size = snprintf(value, sizeof value, "%u", w->value[key]);
    if (waits->to < 0) buffer_append_format(out, "*2\r\n$1\r\n%u\r\n", key);
    buffer_append_format(out, "$%d\r\n%s\r\n", size, value);
    w->present[key] = false;
    if (waits->to < 0) return;
    w->present[waits->to] = true;
    w->value[waits->to] = w->value[key];
    if (waits->to != (int)key) model_ready(w, (uint32_t)waits->to);
}

static void model_serve(struct world *w) {
    while (w->ready_count > 0) {
        uint32_t key = w->ready[0];
        memmove(w->ready, w->ready + 1, --w->ready_count * sizeof w->ready[0]);
        for (uint32_t i = 0; i < w->waiting && w->present[key]; i++) {
            struct waits waits = w->waits[i];
            bool concerned = false;
            for (uint32_t k = 0; k < waits.count; k++)
                concerned |= waits.keys[k] == key;
            if (!concerned) continue;
            model_take(w, &waits, key);
            model_end(w, i--);
            w->served++;
        }
    }
}

static void model_set(struct world *w, uint32_t key) {
    w->present[key] = true;
    w->value[key] = ++w->next_value;
    model_ready(w, key);
}

/* Those whose time is over are over; of none is it uncertain. */
static void model_time(struct world *w) {
    for (uint32_t i = 0; i < w->waiting;) {
        int64_t left = w->waits[i].deadline_us - simulation_now_us(w->simulation);
        if (left > SLACK_US) {
            i++;
        } else if (left > -SLACK_US) {
            simulation_run_for(w->simulation, left + SLACK_US);
            i = 0;
        } else {
            buffer_append_text(&w->clients[w->waits[i].client].expected, "*-1\r\n");
            model_end(w, i);
            w->timed_out++;
        }
    }
}

static void do_wait(struct world *w, uint32_t client) {
    struct waits waits = {.client = client, .to = -1, .pings = below(w, 3) == 0};
    struct buffer line = {0};
    static const int timeouts_ms[] = {0, 0, 0, 100, 500, 3000};
    int timeout_ms = timeouts_ms[below(w, 6)];
    waits.deadline_us =
        timeout_ms ? simulation_now_us(w->simulation) + timeout_ms * 1000 : INT64_MAX / 2;
    bool moves = below(w, 3) == 0;
    waits.count = moves ? 1 : 1 + (uint32_t)below(w, WAIT_KEYS);
    buffer_append_text(&line, moves ? "GETSET" : "GETDEL");
    for (uint32_t i = 0; i < waits.count; i++) {
        waits.keys[i] = (uint32_t)below(w, KEYS);
        buffer_append_format(&line, " %u", waits.keys[i]);
    }
    if (moves) {
        waits.to = (int)below(w, KEYS);
        buffer_append_format(&line, " %d", waits.to);
    }
    buffer_append_format(&line, " %d.%03d\r\n%s", timeout_ms / 1000, timeout_ms % 1000,
                         waits.pings ? "PING\r\n" : "");
    buffer_append_byte(&line, 0);
    send_line(w, &w->clients[client], line.data);
    buffer_release(&line);
    w->waits[w->waiting++] = waits;
    for (uint32_t i = 0; i < waits.count; i++) {
        if (!w->present[waits.keys[i]]) continue;
        model_take(w, &waits, waits.keys[i]);
        model_end(w, w->waiting - 1);
        break;
    }
    model_serve(w);
}

static void do_write(struct world *w, uint32_t client) {
    char line[256] = "";
    size_t size = 0;
    struct buffer *out = &w->clients[client].expected;
    /* Several at once: each is served before the next. */
    for (uint64_t count = 1 + below(w, 3); count > 0; count--) {
        uint32_t a = (uint32_t)below(w, KEYS), b = (uint32_t)below(w, KEYS);
        uint64_t which = below(w, 5);
        if (which < 2) {
            model_set(w, a);
            size +=
                (size_t)snprintf(line + size, sizeof line - size, "SET %u %u\r\n", a, w->value[a]);
            buffer_append_text(out, "+OK\r\n");
        } else if (which == 2) {
            model_set(w, a);
            model_set(w, b);
            size += (size_t)snprintf(line + size, sizeof line - size, "MSET %u %u %u %u\r\n", a,
                                     w->value[a], b, w->value[b]);
            buffer_append_text(out, "+OK\r\n");
        } else if (which == 3) {
            size += (size_t)snprintf(line + size, sizeof line - size, "DEL %u\r\n", a);
            buffer_append_text(out, w->present[a] ? ":1\r\n" : ":0\r\n");
            w->present[a] = false;
        } else {
            size += (size_t)snprintf(line + size, sizeof line - size, "RENAME %u %u\r\n", a, b);
            buffer_append_text(out, w->present[a] ? "+OK\r\n" : "-ERR no such key\r\n");
            if (w->present[a] && a != b) {
                w->present[a] = false;
                w->present[b] = true;
                w->value[b] = w->value[a];
                model_ready(w, b);
            }
        }
        model_serve(w);
    }
    send_line(w, &w->clients[client], line);
}

static void do_leave(struct world *w, uint32_t client) {
    for (uint32_t i = 0; i < w->waiting; i++)
        if (w->waits[i].client == client) model_end(w, i--);
    client_close(&w->clients[client]);
    client_open(w, &w->clients[client]);
}

static bool is_waiting(const struct world *w, uint32_t client) {
    for (uint32_t i = 0; i < w->waiting; i++)
        if (w->waits[i].client == client) return true;
    return false;
}

static void compare(struct world *w) {
    for (int i = 0; i < CLIENTS; i++) {
        struct client *c = &w->clients[i];
        if (c->in.size != c->expected.size ||
            (c->in.size > 0 && memcmp(c->in.data, c->expected.data, c->in.size) != 0))
            fail_msg("client %d got %.*s instead of %.*s", i, (int)c->in.size,
                     c->in.size ? c->in.data : "", (int)c->expected.size,
                     c->expected.size ? c->expected.data : "");
        buffer_clear(&c->in);
        buffer_clear(&c->expected);
    }
    assert_int_equal(w->server.server->waiting.count, w->waiting);
}

static void run(uint64_t seed) {
    struct world w;
    world_open(&w, seed);
    for (int step = 0; step < STEPS; step++) {
        uint32_t client = (uint32_t)below(&w, CLIENTS);
        model_time(&w);
        if (below(&w, 40) == 0)
            do_leave(&w, client);
        else if (is_waiting(&w, client))
            simulation_run_for(w.simulation, (int64_t)below(&w, 100000));
        else if (below(&w, 5) < 3)
            do_wait(&w, client);
        else
            do_write(&w, client);
        model_time(&w);
        settle(&w);
        compare(&w);
    }
    print_message("seed %" PRIu64 ": %" PRIu64 " served, %" PRIu64 " timed out\n", seed, w.served,
                  w.timed_out);
    world_close(&w);
}

static void test_seeds(void **state) {
    const struct simulated_seeds *seeds = *state;
    for (uint64_t i = 0; i < seeds->count; i++)
        run(seeds->first + i);
}

int main(int argc, char **argv) {
    struct simulated_seeds seeds = simulated_seeds(argc, argv, 6);
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_order),
                                       cmocka_unit_test(test_chain),
                                       cmocka_unit_test(test_writers),
                                       cmocka_unit_test(test_deadline),
                                       cmocka_unit_test(test_ends),
                                       cmocka_unit_test(test_large),
                                       cmocka_unit_test_prestate(test_seeds, &seeds)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
