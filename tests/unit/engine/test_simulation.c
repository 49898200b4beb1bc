/* test_simulation.c: a whole server and many clients in a simulated world: a network that delays,
 * cuts into pieces, breaks and refuses, pipelines that end anywhere, large values, pauses, kills,
 * timeouts and too many clients, all from one seed.
 *
 * What has to hold: every reply is what a model says, in order and never another's; a command that
 * was sent is answered unless its connection is over; what a broken connection leaves behind is the
 * state after some of its commands in order, and at least those that were answered; with all
 * clients gone the server has no sessions, and its memory is back; the same seed makes the same
 * trace.
 *
 *     test-engine-simulation [--seeds N] [--seed FIRST]
 */
#include "simulated.h"

#include "../base/random.h"
#include "base/hash.h"

enum { CLIENTS = 60, KEYS = 6, STEPS = 4000, LARGE = 300000 };

enum expected_kind {
    EXPECT_SIMPLE,  /* text */
    EXPECT_BULK,    /* text */
    EXPECT_INTEGER, /* number */
    EXPECT_NULL,
    EXPECT_ERROR,   /* text is how it begins */
    EXPECT_COUNTER, /* the shared counter: it only grows */
    EXPECT_ANY,     /* whatever it is, it is no error */
    EXPECT_SILENCE, /* CLIENT REPLY SKIP */
};

struct expected {
    enum expected_kind kind;
    struct buffer text;
    int64_t number;
    /* What the command did: key `key` is now so; -1: nothing. */
    int key;
    bool present;
    uint64_t hash;
};

/* One connection, each with keys of its own, which nobody else uses. */
struct connection {
    struct connection *next; /* of those that are over */
    uint64_t number;
    io_socket socket;
    struct buffer out, in;
    struct buffer values[KEYS]; /* when all that was made has been executed */
    bool present[KEYS];
    bool known_present[KEYS]; /* when what was answered has been executed */
    uint64_t known_hash[KEYS];
    struct expected *queue;
    size_t queue_begin, queue_end, queue_capacity;
    int64_t counter_seen;
    bool silent_next, turned_away;
    size_t answered;
};

struct world {
    struct simulation *simulation;
    struct simulated server;
    struct io *host;
    struct connection *clients[CLIENTS];
    struct connection *over;
    struct answer answer;
    uint64_t connections, replies, incremented, increments_answered;
};

static uint64_t below(struct world *w, uint64_t limit) {
    return simulation_random_below(w->simulation, limit);
}

static uint64_t text_hash(struct bytes text) {
    uint64_t hash = text.size;
    for (size_t i = 0; i < text.size; i++)
        hash = hash * 0x100000001b3 + (uint8_t)text.data[i];
    return hash;
}

/* ---- connections ---- */

static struct connection *connection_open(struct world *w) {
    struct connection *c = calloc(1, sizeof *c);
    c->number = w->connections++;
    c->socket = w->host->operations->connect_tcp(w->host, "server", 6379, NULL);
    INVARIANT(c->socket >= 0);
    enum { KEEPALIVE_S = 60 }; /* or it may wait for ever for a server that is silently gone */
    w->host->operations->set_keepalive(w->host, c->socket, KEEPALIVE_S);
    return c;
}

static struct expected *expect(struct connection *c, enum expected_kind kind) {
    if (c->queue_end == c->queue_capacity) {
        c->queue_capacity = c->queue_capacity * 2 + 16;
        c->queue = realloc(c->queue, c->queue_capacity * sizeof *c->queue);
    }
    struct expected *e = &c->queue[c->queue_end++];
    *e = (struct expected){.kind = c->silent_next ? EXPECT_SILENCE : kind, .key = -1};
    c->silent_next = false;
    return e;
}

static void expect_text(struct connection *c, enum expected_kind kind, struct bytes text) {
    buffer_append(&expect(c, kind)->text, text.data, text.size);
}

static void connection_free(struct connection *c) {
    for (size_t i = 0; i < c->queue_end; i++)
        buffer_release(&c->queue[i].text);
    for (int i = 0; i < KEYS; i++)
        buffer_release(&c->values[i]);
    buffer_release(&c->out);
    buffer_release(&c->in);
    free(c->queue);
    free(c);
}

/* The client has gone; what it left in the server is looked at in the end. */
static void connection_end(struct world *w, uint64_t at) {
    struct connection *c = w->clients[at];
    io_close_socket(w->host, c->socket);
    c->next = w->over;
    w->over = c;
    w->clients[at] = NULL;
}

/* ---- commands ---- */

static struct bytes key_name(const struct connection *c, int key, char out[48]) {
    return bytes_make(out, (size_t)snprintf(out, 48, "c%" PRIu64 ":%d", c->number, key));
}

static void send_words(struct connection *c, const struct bytes *words, size_t count) {
    request_encode(&c->out, words, count);
}

static void send_text(struct connection *c, const char *text) {
    buffer_append_text(&c->out, text);
    buffer_append_text(&c->out, "\r\n");
}

static void say_effect(struct connection *c, struct expected *e, int key) {
    e->key = key;
    e->present = c->present[key];
    e->hash = c->present[key] ? text_hash(buffer_bytes(&c->values[key])) : 0;
}

static void random_text(struct world *w, struct buffer *out) {
    size_t size = below(w, 30) == 0 ? below(w, LARGE) : below(w, 60);
    char *at = buffer_reserve(out, size);
    uint64_t bits = simulation_random(w->simulation);
    for (size_t i = 0; i < size; i++)
        at[i] = (char)(bits >> (i % 57));
    out->size += size;
}

static void do_set(struct world *w, struct connection *c, int key) {
    char name[48];
    buffer_clear(&c->values[key]);
    random_text(w, &c->values[key]);
    c->present[key] = true;
    struct bytes words[] = {BYTES("SET"), key_name(c, key, name), buffer_bytes(&c->values[key])};
    send_words(c, words, 3);
    expect_text(c, EXPECT_SIMPLE, BYTES("OK"));
    say_effect(c, &c->queue[c->queue_end - 1], key);
}

static void do_append(struct world *w, struct connection *c, int key) {
    char name[48];
    struct buffer more = {0};
    random_text(w, &more);
    if (!c->present[key]) buffer_clear(&c->values[key]);
    buffer_append(&c->values[key], more.data, more.size);
    c->present[key] = true;
    struct bytes words[] = {BYTES("APPEND"), key_name(c, key, name), buffer_bytes(&more)};
    send_words(c, words, 3);
    struct expected *e = expect(c, EXPECT_INTEGER);
    e->number = (int64_t)c->values[key].size;
    say_effect(c, e, key);
    buffer_release(&more);
}

static void do_get(struct connection *c, int key) {
    char name[48];
    struct bytes words[] = {BYTES("GET"), key_name(c, key, name)};
    send_words(c, words, 2);
    if (c->present[key])
        expect_text(c, EXPECT_BULK, buffer_bytes(&c->values[key]));
    else
        expect(c, EXPECT_NULL);
}

static void do_delete(struct connection *c, int key) {
    char name[48];
    struct bytes words[] = {BYTES("UNLINK"), key_name(c, key, name)};
    send_words(c, words, 2);
    struct expected *e = expect(c, EXPECT_INTEGER);
    e->number = c->present[key];
    c->present[key] = false;
    say_effect(c, e, key);
}

static void do_echo(struct world *w, struct connection *c) {
    struct buffer text = {0};
    random_text(w, &text);
    struct bytes words[] = {BYTES("ECHO"), buffer_bytes(&text)};
    send_words(c, words, 2);
    expect_text(c, EXPECT_BULK, buffer_bytes(&text));
    buffer_release(&text);
}

static void do_rare(struct world *w, struct connection *c) {
    char line[100];
    switch (below(w, 9)) {
    case 0:
        snprintf(line, sizeof line, "CLIENT PAUSE %d %s", (int)below(w, 60),
                 below(w, 2) ? "WRITE" : "ALL");
        send_text(c, line);
        expect_text(c, EXPECT_SIMPLE, BYTES("OK"));
        break;
    case 1:
        send_text(c, "CLIENT LIST");
        expect(c, EXPECT_ANY);
        break;
    case 2:
        send_text(c, below(w, 2) ? "HELLO 3" : "HELLO 2");
        expect(c, EXPECT_ANY);
        break;
    case 3:
        send_text(c, "CLIENT REPLY SKIP");
        c->silent_next = true;
        break;
    case 4:
        send_text(c, "nonsense a b");
        expect_text(c, EXPECT_ERROR, BYTES("ERR unknown command 'nonsense'"));
        break;
    case 5:
        send_text(c, "GET");
        expect_text(c, EXPECT_ERROR, BYTES("ERR wrong number of arguments for 'get' command"));
        break;
    case 6:
        if (below(w, 10) != 0) break;
        send_text(c, "CLIENT KILL TYPE normal SKIPME yes");
        expect(c, EXPECT_ANY);
        break;
    case 7:
        if (below(w, 4) != 0) break;
        snprintf(line, sizeof line, "CLIENT KILL ID %d", 1 + (int)below(w, w->connections));
        send_text(c, line);
        expect(c, EXPECT_ANY);
        break;
    default: send_text(c, "CLIENT UNPAUSE"); expect_text(c, EXPECT_SIMPLE, BYTES("OK"));
    }
}

static void make_command(struct world *w, struct connection *c) {
    int key = (int)below(w, KEYS);
    switch (below(w, 12)) {
    case 0:
    case 1: do_set(w, c, key); break;
    case 2: do_append(w, c, key); break;
    case 3:
    case 4:
    case 5: do_get(c, key); break;
    case 6: do_delete(c, key); break;
    case 7:
    case 8:
        send_text(c, "INCR total");
        expect(c, EXPECT_COUNTER);
        w->incremented++;
        break;
    case 9: do_echo(w, c); break;
    case 10:
        send_text(c, "PING");
        expect_text(c, EXPECT_SIMPLE, BYTES("PONG"));
        break;
    default: do_rare(w, c);
    }
}

/* ---- replies ---- */

static bool is_reply(struct world *w, struct connection *c, const struct expected *e,
                     const struct answer_node *node) {
    switch (e->kind) {
    case EXPECT_SIMPLE:
        return node->kind == ANSWER_SIMPLE && bytes_equal(node->text, buffer_bytes(&e->text));
    case EXPECT_BULK:
        return node->kind == ANSWER_BULK && bytes_equal(node->text, buffer_bytes(&e->text));
    case EXPECT_INTEGER: return node->kind == ANSWER_INTEGER && node->integer == e->number;
    case EXPECT_NULL: return node->kind == ANSWER_NULL;
    case EXPECT_ERROR:
        return node->kind == ANSWER_ERROR && node->text.size >= e->text.size &&
               memcmp(node->text.data, e->text.data, e->text.size) == 0;
    case EXPECT_COUNTER:
        if (node->kind != ANSWER_INTEGER || node->integer <= c->counter_seen ||
            node->integer > (int64_t)w->incremented)
            return false;
        c->counter_seen = node->integer;
        w->increments_answered++;
        return true;
    /* CLIENT KILL ID says so when there is none. */
    default:
        return node->kind != ANSWER_ERROR || bytes_equal(node->text, BYTES("ERR No such client"));
    }
}

/* The oldest that was expected has been executed. */
static void settle(struct connection *c) {
    struct expected *e = &c->queue[c->queue_begin++];
    if (e->key >= 0) {
        c->known_present[e->key] = e->present;
        c->known_hash[e->key] = e->hash;
    }
    c->answered++;
}

static void take_reply(struct world *w, struct connection *c, const struct answer_node *node) {
    static const struct bytes full = {"ERR max number of clients reached", 33};
    if (c->answered == 0 && node->kind == ANSWER_ERROR && bytes_equal(node->text, full)) {
        c->turned_away = true;
        return;
    }
    assert_false(c->turned_away);
    while (c->queue_begin < c->queue_end && c->queue[c->queue_begin].kind == EXPECT_SILENCE)
        settle(c);
    assert_true(c->queue_begin < c->queue_end);
    const struct expected *e = &c->queue[c->queue_begin];
    if (!is_reply(w, c, e, node))
        fail_msg("connection %" PRIu64 ", reply %zu: expected %d %.60s, got %c %.*s", c->number,
                 c->answered, (int)e->kind, e->text.data ? e->text.data : "", (int)node->kind,
                 (int)(node->text.size < 60 ? node->text.size : 60),
                 node->text.data ? node->text.data : "");
    settle(c);
    w->replies++;
}

static void take_replies(struct world *w, struct connection *c) {
    for (;;) {
        int64_t size = answer_parse(&w->answer, buffer_bytes(&c->in));
        assert_true(size >= 0);
        if (size == 0) return;
        take_reply(w, c, &w->answer.nodes[answer_skip_attributes(&w->answer, 0)]);
        buffer_consume(&c->in, (size_t)size);
    }
}

/* False when the connection is over. */
static bool client_receive(struct world *w, struct connection *c, size_t size) {
    int64_t got = io_receive(w->host, c->socket, buffer_reserve(&c->in, size), size);
    if (got > 0) {
        c->in.size += (size_t)got;
        take_replies(w, c);
    }
    return got > 0 || got == -EAGAIN;
}

static bool client_send(struct world *w, struct connection *c, size_t size) {
    struct bytes part = bytes_make(c->out.data, size < c->out.size ? size : c->out.size);
    if (part.size == 0) return true;
    int64_t sent = io_send(w->host, c->socket, &part, 1);
    if (sent > 0) buffer_consume(&c->out, (size_t)sent);
    return sent >= 0 || sent == -EAGAIN;
}

/* ---- the run ---- */

static void client_act(struct world *w, uint64_t at) {
    struct connection *c = w->clients[at];
    bool alive = true;
    if (!c) {
        w->clients[at] = connection_open(w);
        return;
    }
    switch (below(w, 8)) {
    case 0:
        if (below(w, 20) == 0) alive = false;
        break;
    case 1:
    case 2:
        for (uint64_t count = below(w, 10); count > 0; count--)
            make_command(w, c);
        break;
    case 3:
    case 4: alive = client_send(w, c, 1 + below(w, below(w, 3) == 0 ? 40 : 100000)); break;
    default: alive = client_receive(w, c, 1 + below(w, below(w, 3) == 0 ? 40 : 100000)); break;
    }
    if (!alive) connection_end(w, at);
}

static void set_faults(struct world *w) {
    struct simulation_network_faults *f = simulation_network(w->simulation);
    f->latency_us_max = (int64_t)(300 + below(w, 10000));
    f->segment_bytes_max = (uint32_t)(20 + below(w, below(w, 2) ? 100 : 16384));
    f->send_buffer_bytes = (uint32_t)(1000 + below(w, 65536));
    f->tiny_segments = f->partial_send = f->partial_receive = (uint32_t)below(w, 300000);
    f->cut = (uint32_t)below(w, 3000);
    f->cut_is_silent = 200000;
    f->refuse = 50000;
}

/* The network is good now: what was sent is answered, or the connection is over. */
static void finish_clients(struct world *w) {
    struct simulation_network_faults *f = simulation_network(w->simulation);
    enum {
        PATIENCE = 4100
    }; /* rounds: over 924 s, as TCP waits for a peer that is silently gone */
    f->cut = f->refuse = f->tiny_segments = f->partial_send = f->partial_receive = 0;
    f->segment_bytes_max = 65536;
    f->send_buffer_bytes = 1 << 20;
    f->latency_us_max = 300;
    bool waiting = true;
    for (int round = 0; round < PATIENCE && waiting; round++) {
        waiting = false;
        simulation_run_for(w->simulation, round < 2000 ? 2000 : 500000);
        for (uint64_t at = 0; at < CLIENTS; at++) {
            struct connection *c = w->clients[at];
            if (!c) continue;
            if (!client_send(w, c, c->out.size) || !client_receive(w, c, 1 << 16))
                connection_end(w, at);
            else if (c->out.size > 0 || (c->queue_begin < c->queue_end &&
                                         c->queue[c->queue_end - 1].kind != EXPECT_SILENCE))
                waiting = true;
        }
    }
    for (uint64_t at = 0; at < CLIENTS && waiting; at++) {
        const struct connection *c = w->clients[at];
        if (c)
            print_message("connection %" PRIu64 " has %zu bytes to send and waits for %zu replies, "
                          "of kind %d\n",
                          c->number, c->out.size, c->queue_end - c->queue_begin,
                          c->queue_begin < c->queue_end ? (int)c->queue[c->queue_begin].kind : -1);
    }
    assert_false(waiting);
    for (uint64_t at = 0; at < CLIENTS; at++)
        if (w->clients[at]) connection_end(w, at);
}

/* ---- what is left ---- */

static bool same_state(struct world *w, const struct connection *c) {
    struct server *server = w->server.server;
    for (int i = 0; i < KEYS; i++) {
        char name[48];
        struct key key = key_make(&server->keyspace, key_name(c, i, name));
        const struct entry *entry = database_find(&server->keyspace.databases[0], &key);
        char scratch[NUMBER_I64_TEXT_MAX];
        if ((entry != NULL) != c->known_present[i]) return false;
        if (entry && text_hash(entry_string(entry, scratch)) != c->known_hash[i]) return false;
    }
    return true;
}

/* The keys are as after some of the commands that were not answered. */
static void check_left(struct world *w, struct connection *c) {
    bool found = same_state(w, c);
    while (!found && !c->turned_away && c->queue_begin < c->queue_end) {
        settle(c);
        found = same_state(w, c);
    }
    if (!found) fail_msg("connection %" PRIu64 " left a state that never was", c->number);
}

static void check_counter(struct world *w) {
    struct server *server = w->server.server;
    struct key key = key_make(&server->keyspace, BYTES("total"));
    const struct entry *entry = database_find(&server->keyspace.databases[0], &key);
    int64_t total = entry ? entry_integer(entry) : 0;
    assert_in_range(total, w->increments_answered, w->incremented);
}

static void check_empty(struct world *w) {
    struct server *server = w->server.server;
    assert_int_equal(server->session_count, 0);
    assert_null(server->close_first);
    assert_null(server->turn.queue_first);
    assert_null(server->turn.flush_first);
    check_counter(w);
    for (struct connection *next, *c = w->over; c; c = next) {
        next = c->next;
        check_left(w, c);
        connection_free(c);
    }
    w->over = NULL;
    keyspace_flush(&server->keyspace, 0);
    w->incremented = w->increments_answered = 0;
    simulation_run_for(w->simulation, 1000000);
    assert_int_equal(server->disposals, 0);
    assert_int_equal(simulated_keyspace_memory(&w->server), 0);
}

/* Clients come, act and vanish; returns the bytes that are allocated afterwards. */
static size_t load(struct world *w) {
    enum { KEEPALIVE_US = 1000 * 1000 * 1000 }; /* tcp-keepalive has found who is gone */
    set_faults(w);
    for (int step = 0; step < STEPS; step++) {
        client_act(w, below(w, CLIENTS));
        simulation_run_for(w->simulation, (int64_t)below(w, below(w, 100) == 0 ? 300000 : 500));
    }
    finish_clients(w);
    simulation_run_for(w->simulation, KEEPALIVE_US);
    check_empty(w);
    return memory_report().allocated;
}

static uint64_t run(uint64_t seed) {
    enum { TOLERANCE = 1 << 20 };
    struct world w = {.simulation = simulation_open(seed)};
    int64_t maxclients = (int64_t)below(&w, 3) == 0 ? CLIENTS / 2 : 10000;
    int64_t timeout_s = (int64_t)below(&w, 3) == 0 ? 2 : 0;
    simulated_start(&w.server, w.simulation, "server", maxclients, timeout_s);
    w.host = simulation_host(w.simulation, "client");
    size_t before = load(&w);
    size_t after = load(&w);
    assert_true(after < before + TOLERANCE);
    uint64_t hash = simulation_trace_hash(w.simulation);
    print_message("seed %" PRIu64 ": %" PRIu64 " connections, %" PRIu64
                  " replies, trace %016" PRIx64 "\n",
                  seed, w.connections, w.replies, hash);
    simulated_stop(&w.server);
    simulation_close(w.simulation);
    answer_release(&w.answer);
    return hash;
}

static void test_seeds(void **state) {
    const struct simulated_seeds *seeds = *state;
    for (uint64_t i = 0; i < seeds->count; i++) {
        uint64_t hash = run(seeds->first + i);
        if (i == 0) assert_int_equal(run(seeds->first), hash);
    }
}

/* ---- half requests ---- */

/* Clients that connect, send a part of a request and vanish leave nothing behind. */
static void test_half_requests(void **state) {
    (void)state;
    enum { VANISHING = 1000, TOLERANCE = 1 << 20 };
    static const char *const halves[] = {
        "*",
        "*3\r\n$3\r\nSET\r\n",
        "*2\r\n$3\r\nGET\r\n$10\r\nhal",
        "PING",
        "SET a \"unfinished",
        "*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$100000000\r\nthe first bytes of many",
        "*100000\r\n$1\r\na\r\n",
        "PING\r\nPING\r\n*1\r\n$4\r\nPI"};
    struct simulation *simulation = simulation_open(7);
    struct simulated s;
    size_t allocated[3];
    simulated_start(&s, simulation, "server", 10000, 0);
    struct io *host = simulation_host(simulation, "client");
    for (int round = 0; round < 3; round++) {
        io_socket sockets[VANISHING];
        for (int i = 0; i < VANISHING; i++)
            sockets[i] = host->operations->connect_tcp(host, "server", 6379, NULL);
        simulation_run_for(simulation, 100000);
        assert_int_equal(s.server->session_count, VANISHING);
        for (int i = 0; i < VANISHING; i++) {
            struct bytes half = bytes_from_text(halves[i % 8]);
            assert_int_equal(io_send(host, sockets[i], &half, 1) > 0, true);
        }
        simulation_run_for(simulation, 100000);
        for (int i = 0; i < VANISHING; i++)
            io_close_socket(host, sockets[i]);
        simulation_run_for(simulation, 2000000);
        assert_int_equal(s.server->session_count, 0);
        assert_int_equal(simulated_keyspace_memory(&s), 0);
        allocated[round] = memory_report().allocated;
    }
    assert_true(allocated[2] < allocated[0] + TOLERANCE);
    simulated_stop(&s);
    simulation_close(simulation);
}

int main(int argc, char **argv) {
    struct simulated_seeds seeds = simulated_seeds(argc, argv, 6);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_prestate(test_seeds, &seeds),
        cmocka_unit_test(test_half_requests),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
