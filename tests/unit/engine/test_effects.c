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

#include "keyspace/digest.h"

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
    size_t commands, effects, units, unit_commands;
    bool in_unit;
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
        for (size_t i = 0; i < c->answer.count && !errors_allowed; i++)
            if (node[i].kind == ANSWER_ERROR)
                fail_msg("an effect was refused: %.*s", (int)node[i].text.size, node[i].text.data);
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

/* ---- collections: each form is words, and letters for what is random in it:
 *
 *     L S H Z X   a key that mostly holds that type     e  an element, few different ones
 *     n           a small number                        f  a number with a fraction
 *     t           a time in milliseconds from now       i  the id of a stream's entry
 */

static const char *const collection_forms[] = {
    "RPUSH L e e",
    "LPUSH L e",
    "RPUSH L e e e e e e e e e e e e e",
    "LPOP L",
    "RPOP L n",
    "LINSERT L BEFORE e e",
    "LREM L n e",
    "LTRIM L 1 -2",
    "LSET L 0 e",
    "LMOVE L L LEFT RIGHT",
    "RPOPLPUSH L L",
    "LMPOP 2 L L LEFT COUNT 2",
    "BLPOP L L 0.003",
    "BRPOP L 0.003",
    "BLMOVE L L RIGHT LEFT 0.003",
    "BLMPOP 0.003 2 L L LEFT COUNT 3",
    "SADD S e e e",
    "SADD S n n",
    "SADD S e e e e e e e e e e e e e e e e e e e e",
    "SREM S e e",
    "SPOP S",
    "SPOP S n",
    "SMOVE S S e",
    "SUNIONSTORE S S S",
    "SDIFFSTORE S S S",
    "SINTERSTORE S S S",
    "HSET H e e e e",
    "HSET H e e e e e e e e e e e e e e e e",
    "HSETNX H e e",
    "HDEL H e e",
    "HINCRBY H n n",
    "HINCRBYFLOAT H n f",
    "HPEXPIRE H t FIELDS 1 e",
    "HPEXPIRE H t NX FIELDS 2 e e",
    "HPERSIST H FIELDS 1 e",
    "HGETDEL H FIELDS 1 e",
    "HGETEX H PX t FIELDS 1 e",
    "HSETEX H PX t FIELDS 1 e e",
    "HSETEX H KEEPTTL FIELDS 1 e e",
    "HSETEX H FNX PX t FIELDS 1 e e",
    "HSETEX H PXAT 1 FIELDS 1 e e",
    "HGETEX H PERSIST FIELDS 1 e",
    "HPEXPIRE H 0 FIELDS 1 e",
    "HGETALL H",
    "ZADD Z n e f e",
    "ZADD Z f e f e f e f e f e f e f e f e f e",
    "ZADD Z GT CH f e",
    "ZADD Z INCR f e",
    "ZINCRBY Z f e",
    "ZREM Z e e",
    "ZPOPMIN Z",
    "ZPOPMAX Z n",
    "ZMPOP 2 Z Z MIN COUNT 2",
    "BZPOPMIN Z Z 0.003",
    "BZPOPMAX Z 0.003",
    "BZMPOP 0.003 1 Z MAX",
    "ZREMRANGEBYRANK Z 0 1",
    "ZREMRANGEBYSCORE Z n n",
    "ZUNIONSTORE Z 2 Z S",
    "ZINTERSTORE Z 2 Z Z AGGREGATE MAX",
    "ZDIFFSTORE Z 2 Z Z",
    "ZRANGESTORE Z Z 0 n",
    "XADD X * e e",
    "XADD X MAXLEN ~ 10 * e e",
    "XADD X NOMKSTREAM * e e e e",
    "XTRIM X MAXLEN 5",
    "XDEL X i",
    "XGROUP CREATE X g 0 MKSTREAM",
    "XGROUP CREATECONSUMER X g c",
    "XREADGROUP GROUP g d NOACK COUNT n STREAMS X >",
    "XREADGROUP GROUP g d BLOCK 3 NOACK STREAMS X >",
    "XGROUP DELCONSUMER X g d",
    "XGROUP DESTROY X g",
    "SORT L ALPHA STORE L",
    "SORT S BY nosort STORE L",
    "SORT S ALPHA DESC LIMIT 0 3 STORE L",
    "SORT Z BY k* GET # GET k* ALPHA STORE L",
    "COPY L L REPLACE",
    "COPY H H REPLACE",
    "COPY X X REPLACE",
    "RENAME Z Z",
    "RENAME S S",
    "MOVE L 1",
    "MOVE H 2",
    "PEXPIRE L t",
    "PEXPIRE H t",
    "PEXPIRE Z t",
    "PERSIST S",
    "DEL L",
    "UNLINK S H",
    "BITOP AND k1 k2 k3",
    "SETBIT k4 n 1",
    "PFADD p1 e e",
    "PFMERGE p1 p2",
};

static void add_letter(struct world *w, struct buffer *line, char letter) {
    static const char *const elements[] = {"a",  "b",  "c",      "dd",  "1", "2",
                                           "30", "-4", "longer", "0.5", NULL};
    switch (letter) {
    case 'e': buffer_append_text(line, pick(w, elements)); break;
    case 'n': buffer_append_format(line, "%d", (int)below(w, 5)); break;
    case 'f': buffer_append_format(line, "%.17g", ((double)below(w, 1000) - 300) / 77); break;
    case 't': buffer_append_format(line, "%d", 1 + (int)below(w, below(w, 2) ? 300 : 4000)); break;
    case 'i': buffer_append_format(line, "%d-0", (int)below(w, 3)); break;
    default:
        /* now and then a key of another type */
        if (below(w, 30) == 0) letter = "LSHZXk"[below(w, 6)];
        buffer_append_format(line, "%c%d", letter, (int)below(w, 4));
    }
}

static void make_collection(struct world *w, struct buffer *line) {
    enum { FORMS = sizeof collection_forms / sizeof collection_forms[0] };
    const char *form = collection_forms[below(w, FORMS)];
    while (*form) {
        const char *end = strchrnul(form, ' ');
        if (end - form == 1 && strchr("LSHZXenfti", *form))
            add_letter(w, line, *form);
        else
            buffer_append(line, form, (size_t)(end - form));
        if (!*end) break;
        buffer_append_byte(line, ' ');
        form = end + 1;
    }
}

/* ---- streams, under keys of their own, so that they grow: entries that are pending, too, which an
 * effect's XCLAIM makes so whatever the clock says ---- */

static void add_stream(struct world *w, struct buffer *line) {
    buffer_append_format(line, " x%d", (int)below(w, 3));
}

/* Ids are counted, not clock times, but for some. */
static void add_stream_id(struct world *w, struct buffer *line) {
    uint64_t last = w->commands / 4, back = below(w, 200);
    buffer_append_format(line, " %" PRIu64 "-%d", last > back ? last - back : 0, (int)below(w, 3));
}

static void add_references(struct world *w, struct buffer *line) {
    static const char *const words[] = {"", " KEEPREF", " DELREF", " ACKED", NULL};
    buffer_append_text(line, pick(w, words));
}

static void add_trimming(struct world *w, struct buffer *line) {
    bool inexact = below(w, 2);
    if (below(w, 2)) {
        buffer_append_format(line, " MAXLEN %s %d", inexact ? "~" : "=", (int)below(w, 150));
    } else {
        buffer_append_format(line, " MINID %s", inexact ? "~" : "=");
        add_stream_id(w, line);
    }
    add_references(w, line);
}

static void make_stream_entry(struct world *w, struct buffer *line) {
    buffer_append_text(line, "XADD");
    add_stream(w, line);
    if (below(w, 6) == 0) buffer_append_text(line, " NOMKSTREAM");
    if (below(w, 8) == 0) add_trimming(w, line);
    if (below(w, 300) == 0)
        buffer_append_text(line, " *");
    else
        buffer_append_format(line, " %zu-*", w->commands / 4);
    buffer_append_format(line, " a %d b", (int)below(w, 300));
    add_value(w, line);
}

static void add_group(struct world *w, struct buffer *line, const char *command, bool consumer) {
    buffer_append_text(line, command);
    add_stream(w, line);
    buffer_append_format(line, " g%d", (int)below(w, 2));
    if (consumer) buffer_append_format(line, " c%d", (int)below(w, 3));
}

static void make_stream_reading(struct world *w, struct buffer *line) {
    static const char *const ids[] = {" >", " >", " >", " 0", NULL};
    buffer_append_format(line, "XREADGROUP GROUP g%d c%d COUNT %d%s STREAMS", (int)below(w, 2),
                         (int)below(w, 3), (int)below(w, 40), below(w, 5) ? "" : " NOACK");
    add_stream(w, line);
    buffer_append_text(line, pick(w, ids));
}

static void make_stream_claim(struct world *w, struct buffer *line) {
    static const char *const options[] = {"",           " JUSTID", " FORCE", " RETRYCOUNT 7",
                                          " IDLE 5000", NULL};
    bool automatic = below(w, 2);
    add_group(w, line, automatic ? "XAUTOCLAIM" : "XCLAIM", true);
    buffer_append_format(line, " %d", (int)below(w, 3) * 100);
    add_stream_id(w, line);
    if (!automatic) add_stream_id(w, line);
    buffer_append_text(line, automatic ? " COUNT 7" : pick(w, options));
}

static void make_stream_removal(struct world *w, struct buffer *line) {
    switch (below(w, 6)) {
    case 0:
        buffer_append_text(line, "XTRIM");
        add_stream(w, line);
        add_trimming(w, line);
        return;
    case 1:
        buffer_append_text(line, "XDELEX");
        add_stream(w, line);
        break;
    case 2: add_group(w, line, "XACKDEL", false); break;
    case 3:
    case 4:
        add_group(w, line, "XACK", false);
        add_stream_id(w, line);
        add_stream_id(w, line);
        return;
    default:
        buffer_append_text(line, "XDEL");
        add_stream(w, line);
        add_stream_id(w, line);
        return;
    }
    add_references(w, line);
    buffer_append_text(line, " IDS 2");
    add_stream_id(w, line);
    add_stream_id(w, line);
}

static void make_stream_group(struct world *w, struct buffer *line) {
    static const char *const places[] = {" $", " 0", " 5 ENTRIESREAD 3", NULL};
    switch (below(w, 12)) {
    case 0: add_group(w, line, "XGROUP DESTROY", false); break;
    case 1: add_group(w, line, "XGROUP DELCONSUMER", true); break;
    case 2: add_group(w, line, "XGROUP CREATECONSUMER", true); break;
    case 3:
        add_group(w, line, "XGROUP SETID", false);
        buffer_append_text(line, pick(w, places));
        break;
    case 4:
        buffer_append_text(line, "XSETID");
        add_stream(w, line);
        add_stream_id(w, line);
        break;
    default:
        add_group(w, line, "XGROUP CREATE", false);
        buffer_append_text(line, pick(w, places));
        if (below(w, 4) == 0) buffer_append_text(line, " MKSTREAM");
    }
}

static void make_stream(struct world *w, struct buffer *line) {
    static void (*const makers[])(struct world *, struct buffer *) = {
        make_stream_entry,   make_stream_entry, make_stream_entry,   make_stream_entry,
        make_stream_reading, make_stream_claim, make_stream_removal, make_stream_group,
    };
    makers[below(w, sizeof makers / sizeof makers[0])](w, line);
}

static void make_command(struct world *w, struct buffer *line) {
    if (below(w, 6) == 0) {
        make_stream(w, line);
        return;
    }
    if (below(w, 5) < 3) {
        make_collection(w, line);
        return;
    }
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

static void send_line(struct world *w, struct connection *c, struct buffer line) {
    enum { WORDS_MAX = 32 };
    struct bytes words[WORDS_MAX];
    size_t count = 0;
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

static void send_text(struct world *w, struct connection *c, const char *text) {
    struct buffer line = {0};
    buffer_append_text(&line, text);
    send_line(w, c, line);
}

static void send_made(struct world *w, struct connection *c) {
    struct buffer line = {0};
    make_command(w, &line);
    send_line(w, c, line);
}

static void send_command(struct world *w, struct connection *c) {
    if (below(w, 8) > 0) {
        send_made(w, c);
        return;
    }
    if (below(w, 3) == 0) {
        struct buffer line = {0};
        buffer_append_text(&line, "WATCH");
        add_key(w, &line);
        send_line(w, c, line);
    }
    send_text(w, c, "MULTI");
    for (uint64_t count = below(w, 6); count > 0; count--)
        send_made(w, c);
    send_text(w, c, below(w, 10) ? "EXEC" : "DISCARD");
}

/* ---- the second server ---- */

static void take_stream(void *context, uint64_t offset, struct bytes bytes) {
    struct world *w = context;
    (void)offset;
    buffer_append(&w->stream, bytes.data, bytes.size);
}

/* Units are not empty, not of one command, and not in each other. */
static void check_unit(struct world *w, struct bytes name) {
    if (bytes_is(name, "multi")) {
        assert_false(w->in_unit);
        w->in_unit = true;
        w->unit_commands = 0;
    } else if (bytes_is(name, "exec")) {
        assert_true(w->in_unit && w->unit_commands > 1);
        w->in_unit = false;
        w->units++;
    } else if (!bytes_is(name, "select")) {
        w->unit_commands++;
    }
}

/* Send what the journal said. */
static void send_stream(struct world *w) {
    struct bytes left = buffer_bytes(&w->stream);
    while (left.size > 0) {
        int64_t size = answer_parse(&w->answer, left);
        assert_true(size > 0);
        check_unit(w, w->answer.nodes[1].text);
        buffer_append(&w->link.out, left.data, (size_t)size);
        w->link.waiting++;
        w->effects++;
        left = bytes_make(left.data + size, left.size - (size_t)size);
    }
    buffer_clear(&w->stream);
    assert_false(w->in_unit);
    finish(w, &w->link, false);
}

struct comparison {
    struct world *w;
    uint32_t number;
};

static void compare_collection(const struct comparison *comparison, const struct entry *entry,
                               const struct entry *other) {
    struct digest a = digest_value(entry), b = {.bytes = {0}};
    if (other) b = digest_value(other);
    struct bytes name = entry_key(entry);
    if (!other || entry_type(other) != entry_type(entry) ||
        memcmp(a.bytes, b.bytes, sizeof a.bytes) != 0 || entry_expiry(other) != entry_expiry(entry))
        fail_msg("db %u key %.*s: %s differs by its effects from what it is", comparison->number,
                 (int)name.size, name.data, value_type_name(entry_type(entry)));
}

static void compare_entry(void *context, const struct entry *entry) {
    const struct comparison *comparison = context;
    struct keyspace *keyspace = &comparison->w->replica.server->keyspace;
    char a[NUMBER_I64_TEXT_MAX], b[NUMBER_I64_TEXT_MAX];
    struct key key = key_make(keyspace, entry_key(entry));
    const struct entry *other = database_find(&keyspace->databases[comparison->number], &key);
    if (entry_type(entry) != VALUE_STRING || (other && entry_type(other) != VALUE_STRING)) {
        compare_collection(comparison, entry, other);
        return;
    }
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
    print_message("seed %" PRIu64 ": %zu commands, %zu effects, %zu units, %" PRIu64 " expired\n",
                  seed, w.commands, w.effects, w.units, w.primary.server->statistics.expired_keys);
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
