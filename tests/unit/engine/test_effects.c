/* test_effects.c: the journal's commands make the same keyspace again. Random commands that write
 * run in one simulated server, with times that pass and keys that expire; what a reader of its
 * journal gets is sent to a second server, as requests of a client, whose clock stands an hour
 * behind, so that nothing expires there by itself: types, values and times of expiry are compared
 * entry by entry. (Encodings may differ: INCRBYFLOAT's result is no integer, the SET that repeats
 * it is.)
 *
 *     test-engine-effects [--seeds N] [--seed FIRST]
 */
#include "simulated.h"

enum { CONNECTIONS = 2, DATABASES = 4, ROUNDS = 60, LARGE_MIN = 20000, HOUR_S = 3600 };

struct connection {
    struct io *io;
    io_socket socket;
    struct buffer out, in;
    size_t waiting; /* replies */
    struct answer answer;
};

struct world {
    struct simulation *simulation;
    struct simulated primary, replica;
    struct connection clients[CONNECTIONS], link;
    struct buffer stream; /* of the journal, not yet sent on */
    struct answer answer;
    size_t commands, effects;
};

static uint64_t below(struct world *w, uint64_t limit) {
    return simulation_random_below(w->simulation, limit);
}

/* ---- connections ---- */

static void connection_open(struct connection *c, struct io *io, const char *server) {
    *c = (struct connection){.io = io};
    c->socket = io->operations->connect_tcp(io, server, 6379, NULL);
    assert_true(c->socket >= 0);
}

static void connection_close(struct connection *c) {
    io_close_socket(c->io, c->socket);
    buffer_release(&c->out);
    buffer_release(&c->in);
    answer_release(&c->answer);
}

static void connection_pump(struct connection *c, bool errors_allowed) {
    struct bytes out = buffer_bytes(&c->out);
    enum { SIZE = 65536 };
    if (out.size > 0) {
        int64_t sent = io_send(c->io, c->socket, &out, 1);
        assert_true(sent >= 0 || sent == -EAGAIN);
        if (sent > 0) buffer_consume(&c->out, (size_t)sent);
    }
    int64_t got = io_receive(c->io, c->socket, buffer_reserve(&c->in, SIZE), SIZE);
    assert_true(got > 0 || got == -EAGAIN);
    if (got > 0) c->in.size += (size_t)got;
    for (int64_t size; (size = answer_parse(&c->answer, buffer_bytes(&c->in))) != 0;) {
        assert_true(size > 0);
        const struct answer_node *node = &c->answer.nodes[0];
        if (node->kind == ANSWER_ERROR && !errors_allowed)
            fail_msg("an effect was refused: %.*s", (int)node->text.size, node->text.data);
        assert_true(c->waiting > 0);
        c->waiting--;
        buffer_consume(&c->in, (size_t)size);
    }
}

static void finish(struct world *w, struct connection *c, bool errors_allowed) {
    enum { PATIENCE = 100000 };
    for (int i = 0; i < PATIENCE && (c->waiting > 0 || c->out.size > 0); i++) {
        connection_pump(c, errors_allowed);
        simulation_run_for(w->simulation, 100);
    }
    assert_int_equal(c->waiting, 0);
}

/* ---- random commands ---- */

static const char *pick(struct world *w, const char *const *words) {
    size_t count = 0;
    while (words[count])
        count++;
    return words[below(w, count)];
}

static void add_key(struct world *w, struct buffer *line) {
    buffer_append_format(line, " k%d", (int)below(w, 12));
}

static void add_value(struct world *w, struct buffer *line) {
    int64_t number = (int64_t)(simulation_random(w->simulation) >> below(w, 64));
    switch (below(w, 12)) {
    case 0:
    case 1:
    case 2: buffer_append_format(line, " %lld", (long long)(number % 100000)); break;
    case 3: buffer_append_format(line, " %lld", (long long)number); break;
    case 4: buffer_append_format(line, " %.3f", (double)(number % 100000) / 700); break;
    case 5: buffer_append_format(line, " %0*d", (int)(1 + below(w, 1500)), 7); break;
    case 6:
        if (below(w, 10) == 0) {
            buffer_append_format(line, " %0*d", (int)(LARGE_MIN + below(w, 400000)), 7);
            break;
        }
        /* fallthrough */
    default: buffer_append_format(line, " v%0*d", (int)(1 + below(w, 60)), 7);
    }
}

static void add_time(struct world *w, struct buffer *line, bool seconds, bool absolute) {
    int64_t value = (int64_t)below(w, 4000) - (below(w, 10) == 0 ? 1000 : 0);
    if (absolute) value += io_wall_us(w->primary.io) / 1000;
    if (seconds) value /= 1000;
    buffer_append_format(line, " %lld", (long long)value);
}

static void add_expiry_option(struct world *w, struct buffer *line) {
    uint64_t which = below(w, 4);
    static const char *const words[] = {" EX", " PX", " EXAT", " PXAT"};
    buffer_append_text(line, words[which]);
    add_time(w, line, which % 2 == 0, which >= 2);
}

static void make_set(struct world *w, struct buffer *line) {
    static const char *const conditions[] = {"", "", "", " NX", " XX", " GET", " XX GET", NULL};
    buffer_append_text(line, "SET");
    add_key(w, line);
    add_value(w, line);
    buffer_append_text(line, pick(w, conditions));
    uint64_t which = below(w, 5);
    if (which == 0) buffer_append_text(line, " KEEPTTL");
    if (which >= 3) add_expiry_option(w, line);
}

static void make_expiry(struct world *w, struct buffer *line) {
    static const char *const conditions[] = {"",    "",    "",       " NX", " XX",
                                             " GT", " LT", " XX GT", NULL};
    static const char *const names[] = {"EXPIRE", "PEXPIRE", "EXPIREAT", "PEXPIREAT"};
    uint64_t which = below(w, 4);
    buffer_append_text(line, names[which]);
    add_key(w, line);
    add_time(w, line, which % 2 == 0, which >= 2);
    buffer_append_text(line, pick(w, conditions));
}

static void make_other_string(struct world *w, struct buffer *line) {
    switch (below(w, 8)) {
    case 0:
        buffer_append_text(line, below(w, 2) ? "SETNX" : "GETSET");
        add_key(w, line);
        add_value(w, line);
        break;
    case 1: {
        bool seconds = below(w, 2);
        buffer_append_text(line, seconds ? "SETEX" : "PSETEX");
        add_key(w, line);
        add_time(w, line, seconds, false);
        add_value(w, line);
        break;
    }
    case 2:
        buffer_append_text(line, "GETEX");
        add_key(w, line);
        if (below(w, 4) == 0)
            buffer_append_text(line, " PERSIST");
        else
            add_expiry_option(w, line);
        break;
    case 3:
        buffer_append_text(line, "SETRANGE");
        add_key(w, line);
        buffer_append_format(line, " %d", (int)below(w, below(w, 10) ? 50 : 2000));
        add_value(w, line);
        break;
    case 4:
        buffer_append_text(line, "APPEND");
        add_key(w, line);
        add_value(w, line);
        break;
    case 5:
        buffer_append_text(line, below(w, 4) == 0 ? "MSETNX" : "MSET");
        for (uint64_t pairs = 1 + below(w, 4); pairs > 0; pairs--) {
            add_key(w, line);
            add_value(w, line);
        }
        break;
    case 6:
        buffer_append_text(line, "GETDEL");
        add_key(w, line);
        break;
    default: buffer_append_text(line, "PERSIST"); add_key(w, line);
    }
}

static void make_number(struct world *w, struct buffer *line) {
    static const char *const names[] = {"INCR", "DECR", "INCRBY", "DECRBY", "INCRBYFLOAT", NULL};
    const char *name = pick(w, names);
    buffer_append_text(line, name);
    add_key(w, line);
    if (name[4] == 0) return;
    if (strcmp(name, "INCRBYFLOAT") == 0)
        buffer_append_format(line, " %.17g", ((double)below(w, 1000000) - 500000) / 977);
    else
        buffer_append_format(line, " %d", (int)below(w, 1000) - 500);
}

static void make_naming(struct world *w, struct buffer *line) {
    switch (below(w, 4)) {
    case 0:
        buffer_append_text(line, "COPY");
        add_key(w, line);
        add_key(w, line);
        if (below(w, 2)) buffer_append_format(line, " DB %d", (int)below(w, DATABASES));
        if (below(w, 2)) buffer_append_text(line, " REPLACE");
        break;
    case 1:
        buffer_append_text(line, "MOVE");
        add_key(w, line);
        buffer_append_format(line, " %d", (int)below(w, DATABASES));
        break;
    default:
        buffer_append_text(line, below(w, 2) ? "RENAME" : "RENAMENX");
        add_key(w, line);
        add_key(w, line);
    }
}

static void make_reading(struct world *w, struct buffer *line) {
    static const char *const names[] = {"GET", "TTL", "TYPE", "EXISTS", "TOUCH", "STRLEN", NULL};
    static const char *const alone[] = {"RANDOMKEY", "DBSIZE", "SCAN 0", "KEYS *", NULL};
    if (below(w, 4) == 0) {
        buffer_append_text(line, pick(w, alone));
        return;
    }
    buffer_append_text(line, pick(w, names));
    add_key(w, line);
}

static void make_database(struct world *w, struct buffer *line) {
    int a = (int)below(w, DATABASES), b = (int)below(w, DATABASES);
    uint64_t which = below(w, 40);
    if (which < 4)
        buffer_append_format(line, "SWAPDB %d %d", a, b);
    else if (which == 4)
        buffer_append_text(line, "FLUSHDB ASYNC");
    else if (which == 5 && a == 0)
        buffer_append_text(line, "FLUSHALL");
    else
        buffer_append_format(line, "SELECT %d", a);
}

static void make_command(struct world *w, struct buffer *line) {
    switch (below(w, 16)) {
    case 0:
    case 1:
    case 2: make_set(w, line); break;
    case 3:
    case 4: make_expiry(w, line); break;
    case 5:
    case 6:
    case 7: make_other_string(w, line); break;
    case 8:
    case 9: make_number(w, line); break;
    case 10:
    case 11: make_naming(w, line); break;
    case 12: make_database(w, line); break;
    case 13:
        buffer_append_text(line, below(w, 2) ? "DEL" : "UNLINK");
        add_key(w, line);
        add_key(w, line);
        break;
    default: make_reading(w, line);
    }
}

static void send_command(struct world *w, struct connection *c) {
    enum { WORDS_MAX = 16 };
    struct buffer line = {0};
    struct bytes words[WORDS_MAX];
    size_t count = 0;
    make_command(w, &line);
    for (size_t at = 0; at < line.size; count++) {
        const char *space = memchr(line.data + at, ' ', line.size - at);
        size_t size = space ? (size_t)(space - line.data) - at : line.size - at;
        words[count] = bytes_make(line.data + at, size);
        at += size + 1;
    }
    request_encode(&c->out, words, count);
    c->waiting++;
    w->commands++;
    buffer_release(&line);
}

/* ---- the second server ---- */

static void take_stream(void *context, uint64_t offset, struct bytes bytes) {
    struct world *w = context;
    (void)offset;
    buffer_append(&w->stream, bytes.data, bytes.size);
}

/* Send what the journal said, without the words around units, which no command of these needs. */
static void send_stream(struct world *w) {
    struct bytes left = buffer_bytes(&w->stream);
    while (left.size > 0) {
        int64_t size = answer_parse(&w->answer, left);
        assert_true(size > 0);
        struct bytes name = w->answer.nodes[1].text;
        if (!bytes_is(name, "multi") && !bytes_is(name, "exec")) {
            buffer_append(&w->link.out, left.data, (size_t)size);
            w->link.waiting++;
            w->effects++;
        }
        left = bytes_make(left.data + size, left.size - (size_t)size);
    }
    buffer_clear(&w->stream);
    finish(w, &w->link, false);
}

struct comparison {
    struct world *w;
    uint32_t number;
};

static void compare_entry(void *context, const struct entry *entry) {
    const struct comparison *comparison = context;
    struct keyspace *keyspace = &comparison->w->replica.server->keyspace;
    char a[NUMBER_I64_TEXT_MAX], b[NUMBER_I64_TEXT_MAX];
    struct key key = key_make(keyspace, entry_key(entry));
    const struct entry *other = database_find(&keyspace->databases[comparison->number], &key);
    if (other && entry_type(other) == entry_type(entry) &&
        entry_expiry(other) == entry_expiry(entry) &&
        bytes_equal(entry_string(other, b), entry_string(entry, a)))
        return;
    struct bytes is = entry_string(entry, a),
                 made = other ? entry_string(other, b) : BYTES("absent");
    fail_msg("db %u key %.*s: %.*s until %" PRId64 ", by effects %.*s until %" PRId64,
             comparison->number, (int)key.name.size, key.name.data,
             (int)(is.size < 60 ? is.size : 60), is.data, entry_expiry(entry),
             (int)(made.size < 60 ? made.size : 60), made.data, other ? entry_expiry(other) : 0);
}

static void compare(struct world *w) {
    struct keyspace *a = &w->primary.server->keyspace, *b = &w->replica.server->keyspace;
    for (uint32_t number = 0; number < a->database_count; number++) {
        struct comparison comparison = {w, number};
        uint64_t cursor = 0;
        do
            cursor = database_scan(&a->databases[number], cursor, compare_entry, &comparison);
        while (cursor != 0);
        assert_int_equal(database_count(&a->databases[number]),
                         database_count(&b->databases[number]));
        assert_int_equal(a->databases[number].store->expiring,
                         b->databases[number].store->expiring);
    }
}

/* ---- the run ---- */

static void one_round(struct world *w) {
    enum { BATCHES = 30 };
    for (int batch = 0; batch < BATCHES; batch++) {
        struct connection *c = &w->clients[below(w, CONNECTIONS)];
        for (uint64_t count = below(w, 20); count > 0; count--)
            send_command(w, c);
        connection_pump(c, true);
        simulation_run_for(w->simulation, (int64_t)below(w, below(w, 3) ? 3000 : 400000));
    }
    for (int i = 0; i < CONNECTIONS; i++)
        finish(w, &w->clients[i], true);
    simulation_set_turn(w->primary.io, NULL, NULL); /* nothing expires while they are compared */
    send_stream(w);
    compare(w);
    simulation_set_turn(w->primary.io, simulated_turn, w->primary.server);
}

static void run(uint64_t seed) {
    struct world w = {.simulation = simulation_open(seed)};
    simulated_start(&w.primary, w.simulation, "primary", 100, 0);
    struct io *host = simulation_host(w.simulation, "replica");
    simulation_set_clock_error(host, -HOUR_S * INT64_C(1000000));
    simulated_start(&w.replica, w.simulation, "replica", 100, 0);
    struct io *client = simulation_host(w.simulation, "client");
    for (int i = 0; i < CONNECTIONS; i++)
        connection_open(&w.clients[i], client, "primary");
    connection_open(&w.link, client, "replica");
    assert_true(journal_add_reader(&w.primary.server->journal, take_stream, &w));
    simulation_run_for(w.simulation, 10000);
    for (int round = 0; round < ROUNDS; round++)
        one_round(&w);
    print_message("seed %" PRIu64 ": %zu commands, %zu effects, %" PRIu64 " expired\n", seed,
                  w.commands, w.effects, w.primary.server->statistics.expired_keys);
    assert_int_equal(w.replica.server->statistics.expired_keys, 0);
    journal_remove_reader(&w.primary.server->journal, take_stream, &w);
    for (int i = 0; i < CONNECTIONS; i++)
        connection_close(&w.clients[i]);
    connection_close(&w.link);
    simulated_stop(&w.primary);
    simulated_stop(&w.replica);
    simulation_close(w.simulation);
    buffer_release(&w.stream);
    answer_release(&w.answer);
}

/* A large value that a later pair of the same command replaces is still in the journal whole. */
static void test_large_replaced(void **state) {
    (void)state;
    enum { SIZE = 400000 };
    struct world w = {.simulation = simulation_open(1)};
    struct buffer expected = {0};
    simulated_start(&w.primary, w.simulation, "primary", 100, 0);
    connection_open(&w.clients[0], simulation_host(w.simulation, "client"), "primary");
    assert_true(journal_add_reader(&w.primary.server->journal, take_stream, &w));
    simulation_run_for(w.simulation, 10000);
    char *value = memory_alloc(SIZE);
    memset(value, 'v', SIZE);
    struct bytes words[] = {BYTES("MSET"), BYTES("k"), {value, SIZE}, BYTES("k"), BYTES("x")};
    request_encode(&w.clients[0].out, words, 5);
    request_encode(&expected, (struct bytes[]){BYTES("SELECT"), BYTES("0")}, 2);
    request_encode(&expected, words, 5);
    w.clients[0].waiting = 1;
    finish(&w, &w.clients[0], false);
    assert_true(bytes_equal(buffer_bytes(&w.stream), buffer_bytes(&expected)));
    journal_remove_reader(&w.primary.server->journal, take_stream, &w);
    connection_close(&w.clients[0]);
    simulated_stop(&w.primary);
    simulation_close(w.simulation);
    buffer_release(&w.stream);
    buffer_release(&expected);
    memory_free(value);
}

static void test_seeds(void **state) {
    const struct simulated_seeds *seeds = *state;
    for (uint64_t i = 0; i < seeds->count; i++)
        run(seeds->first + i);
}

int main(int argc, char **argv) {
    struct simulated_seeds seeds = simulated_seeds(argc, argv, 4);
    const struct CMUnitTest tests[] = {cmocka_unit_test_prestate(test_seeds, &seeds),
                                       cmocka_unit_test(test_large_replaced)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
