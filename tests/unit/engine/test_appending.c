/* test_appending.c: the append-only file of a whole server on a simulated disk that is slow,
 * full or failing, with writers and a reader, rewritings, switches of policy and of the file
 * itself, until the process is killed or the power fails; then the server starts on what is left.
 * From seeds.
 *
 *     test-engine-appending [--seeds N] [--seed FIRST]
 *
 * Each writer's steps are numbered; step i is `RPUSH order writer:i`, or, of an odd number, a unit
 * of that and of two keys that must always be equal. What has to hold after a start:
 *   - each writer's steps are there from the first to some last one, in order, none twice and none
 *     in half;
 *   - with `always`, all that was answered is there, and all that the reader has seen;
 *   - with `everysec`, between the first answer that was lost and the last one is no more than the
 *     longest wait that is not passed on to writers. */
#include "simulated.h"

#include "engine/loading.h"

enum {
    WRITERS = 5,
    STEPS_MAX = 4000, /* of one writer, in one life */
    LIVES = 4,
    SLACK_US = 100000, /* a reply is on its way, or the engine in a turn */
    START_US = 60 * 1000000,
    REDO = 8 * 1024, /* bytes of the redo file: it is full now and then */
};

struct line {
    io_socket socket;
    struct buffer in;
    struct answer answer;
    bool asked, refused;
};

struct writer {
    struct line line;
    uint64_t applied; /* steps that were there at the last start */
    uint64_t sent, answered;
    bool is_promised;              /* the step that was sent last: `always` was in force */
    uint64_t sure;                 /* must be there, whatever happens */
    int64_t answers_us[STEPS_MAX]; /* since the last start, of step applied + 1 + index */
};

struct world {
    struct simulation *simulation;
    struct simulated s;
    struct io *io; /* the clients' */
    uint64_t seed;
    struct writer writers[WRITERS];
    struct line reader, chief;
    uint64_t seen, seen_sure; /* elements that the reader has seen */
    bool reads_on;            /* while the reader waited, the disk failed */
    int policy;               /* config's number; -1: it is being changed */
    bool is_off;              /* or not on again */
    bool lost_pages;          /* an fsync may have failed: only a crash shows what the disk has */
    bool may_lose_pages;
    int64_t everysec_since_us;
    char log[16384]; /* what was said lately */
    size_t log_size;
};

#define CHECK(world, condition, ...)                                                               \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "%.*s", (int)(world)->log_size, (world)->log);                         \
            fprintf(stderr, "seed %" PRIu64 ": ", (world)->seed);                                  \
            fprintf(stderr, __VA_ARGS__);                                                          \
            fail();                                                                                \
        }                                                                                          \
    } while (0)

static uint64_t below(struct world *w, uint64_t limit) {
    return simulation_random_below(w->simulation, limit);
}

/* ---- clients ---- */

static void line_open(struct world *w, struct line *line) {
    *line = (struct line){0};
    line->socket = w->io->operations->connect_tcp(w->io, "server", 6379, NULL);
    assert_true(line->socket >= 0);
}

static void line_close(struct world *w, struct line *line) {
    io_close_socket(w->io, line->socket);
    buffer_release(&line->in);
    answer_release(&line->answer);
}

__attribute__((format(printf, 3, 4))) static void say(struct world *w, struct line *line,
                                                      const char *format, ...) {
    char text[2048];
    va_list arguments;
    va_start(arguments, format);
    int size = vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    struct bytes bytes = bytes_make(text, (size_t)size);
    while (bytes.size > 0) {
        int64_t sent = io_send(w->io, line->socket, &bytes, 1);
        assert_true(sent > 0 || sent == -EAGAIN);
        if (sent > 0) bytes = bytes_make(bytes.data + sent, bytes.size - (size_t)sent);
        if (bytes.size > 0) simulation_run_for(w->simulation, 20);
    }
    line->asked = true;
    line->refused = false;
}

/* What a disk in trouble makes the server say. */
static bool is_known_error(struct bytes text) {
    static const char *const known[] = {"MISCONF", "EXECABORT", "ERR CONFIG SET failed",
                                        "ERR Can't execute an AOF background rewriting",
                                        "ERR Background append only file rewriting already"};
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (text.size >= strlen(known[i]) && memcmp(text.data, known[i], strlen(known[i])) == 0)
            return true;
    return false;
}

/* `count` replies are there: line->answer is the last. A refusal is noted. */
static bool hear(struct world *w, struct line *line, int count) {
    enum { SIZE = 65536 };
    int64_t got = io_receive(w->io, line->socket, buffer_reserve(&line->in, SIZE), SIZE);
    CHECK(w, got > 0 || got == -EAGAIN, "the connection is over\n");
    if (got > 0) line->in.size += (size_t)got;
    size_t at = 0;
    bool refused = false;
    for (int i = 0; i < count; i++) {
        struct bytes rest = bytes_make(line->in.data + at, line->in.size - at);
        int64_t size = rest.size > 0 ? answer_parse(&line->answer, rest) : 0;
        CHECK(w, size >= 0, "no reply: %.*s\n", (int)rest.size, rest.data);
        if (size == 0) return false;
        at += (size_t)size;
        if (line->answer.nodes[0].kind == ANSWER_ERROR) {
            CHECK(w, is_known_error(line->answer.nodes[0].text), "refused: %.*s\n",
                  (int)line->answer.nodes[0].text.size, line->answer.nodes[0].text.data);
            refused = true;
        }
    }
    buffer_consume(&line->in, at);
    line->asked = false;
    line->refused = refused;
    return true;
}

static bool is_unit(uint64_t step) {
    return step % 2 == 1;
}

static void write_step(struct world *w, uint32_t number, const char *filling) {
    struct writer *writer = &w->writers[number];
    uint64_t step = writer->answered + 1;
    struct line *line = &writer->line;
    if (step - writer->applied > STEPS_MAX) return;
    writer->sent = step;
    writer->is_promised = w->policy == AOF_ALWAYS && !w->is_off;
    if (is_unit(step))
        say(w, line,
            "MULTI\r\nSET a:%u %" PRIu64 "\r\nRPUSH order %u:%" PRIu64 ":%s\r\nSET b:%u %" PRIu64
            "\r\nEXEC\r\n",
            number, step, number, step, filling, number, step);
    else
        say(w, line, "RPUSH order %u:%" PRIu64 ":%s\r\n", number, step, filling);
}

static void hear_writer(struct world *w, uint32_t number) {
    struct writer *writer = &w->writers[number];
    if (!hear(w, &writer->line, is_unit(writer->sent) ? 5 : 1)) return;
    if (writer->line.refused) return; /* the same step again */
    writer->answered = writer->sent;
    writer->answers_us[writer->answered - writer->applied - 1] = simulation_now_us(w->simulation);
    if (writer->is_promised && w->policy == AOF_ALWAYS && !w->is_off)
        writer->sure = writer->answered;
}

static void writers_go_on(struct world *w) {
    char filling[600];
    for (uint32_t i = 0; i < WRITERS; i++) {
        struct line *line = &w->writers[i].line;
        if (line->asked) hear_writer(w, i);
        if (line->asked || below(w, 3) == 0) continue;
        size_t size = below(w, below(w, 10) == 0 ? sizeof filling : 20);
        memset(filling, 'x', size);
        filling[size < sizeof filling ? size : sizeof filling - 1] = 0;
        write_step(w, i, filling);
    }
}

static void reader_goes_on(struct world *w) {
    bool fails = aof_failing(&w->s.server->appending.aof);
    w->reads_on |= fails; /* then reads are answered at once */
    if (!w->reader.asked) {
        w->reads_on = fails || w->policy != AOF_ALWAYS;
        say(w, &w->reader, "LLEN order\r\n");
    } else if (hear(w, &w->reader, 1)) {
        w->seen = (uint64_t)w->reader.answer.nodes[0].integer;
        if (w->policy == AOF_ALWAYS && !w->is_off && !w->reads_on) w->seen_sure = w->seen;
    }
}

static void step_all(struct world *w) {
    writers_go_on(w);
    reader_goes_on(w);
    simulation_run_for(w->simulation, (int64_t)below(w, 400));
}

/* While the others go on. */
static void ask_chief(struct world *w, const char *text) {
    say(w, &w->chief, "%s\r\n", text);
    while (!hear(w, &w->chief, 1))
        step_all(w);
}

/* ---- what happens ---- */

static void change_policy(struct world *w) {
    static const char *const names[] = {"no", "everysec", "always"};
    char text[64];
    int policy = (int)below(w, 3);
    if (w->may_lose_pages && policy == AOF_NO) return;
    snprintf(text, sizeof text, "CONFIG SET appendfsync %s", names[policy]);
    w->policy = -1;
    ask_chief(w, text);
    w->policy = policy;
    w->everysec_since_us = simulation_now_us(w->simulation);
}

static bool is_on_again(const struct world *w) {
    const struct appending *appending = &w->s.server->appending;
    return appending_is_established(appending) && aof_is_settled(&appending->aof) &&
           !appending->rewriting && !aof_failing(&appending->aof);
}

static void switch_it(struct world *w) {
    if (w->is_off) {
        if (is_on_again(w)) {
            w->is_off = false;
            w->everysec_since_us = simulation_now_us(w->simulation);
        }
        return;
    }
    w->is_off = true;
    ask_chief(w, "CONFIG SET appendonly no");
    for (uint64_t i = below(w, 30); i > 0; i--)
        step_all(w);
    ask_chief(w, "CONFIG SET appendonly yes");
    while (w->chief.refused) {
        /* A disk that is full stays so until somebody makes room. */
        simulation_disk(w->s.io)->capacity_bytes = 0;
        ask_chief(w, "CONFIG SET appendonly yes");
    }
}

static void make_trouble(struct world *w) {
    struct simulation_disk_faults *faults = simulation_disk(w->s.io);
    switch (below(w, 7)) {
    case 0: faults->write_error = 300000; break;
    case 1:
        if (!w->may_lose_pages) break;
        faults->sync_error = 300000;
        w->lost_pages = true;
        break;
    case 2: faults->capacity_bytes = 2000 + below(w, 60000); break;
    case 3: faults->sync_us_max = 6000000; break;
    case 4: faults->partial_write = 500000; break;
    case 5: faults->open_error = 500000; break;
    default: faults->call_us_max = 20000; break;
    }
}

static void end_trouble(struct world *w) {
    *simulation_disk(w->s.io) = (struct simulation_disk_faults){.sync_us_max = 2000};
}

static void live(struct world *w) {
    for (uint64_t i = 100 + below(w, 1500); i > 0; i--) {
        step_all(w);
        if (below(w, 200) == 0) make_trouble(w);
        if (below(w, 100) == 0) end_trouble(w);
        if (below(w, 150) == 0) change_policy(w);
        if (w->is_off || below(w, 400) == 0) switch_it(w);
        if (below(w, 150) == 0 && !w->s.server->appending.rewriting) {
            say(w, &w->chief, "BGREWRITEAOF\r\n");
            while (!hear(w, &w->chief, 1))
                step_all(w);
        }
        if (below(w, 100) == 0) simulation_run_for(w->simulation, (int64_t)below(w, 3000000));
    }
}

/* ---- lives ---- */

static void note(void *context, enum log_level level, struct bytes line) {
    struct world *w = context;
    (void)level;
    /* An error may come and go between two steps. */
    if (memmem(line.data, line.size, "Error writing to the AOF", 24)) w->reads_on = true;
    if (sizeof w->log - w->log_size < line.size) w->log_size = 0;
    memcpy(w->log + w->log_size, line.data, line.size);
    w->log_size += line.size;
}

static int64_t no_time(void *context) {
    (void)context;
    return 0;
}

static void begin_life(struct world *w, int policy) {
    struct simulated *s = &w->s;
    simulated_start(s, w->simulation, "server", 100, 0);
    s->log.level = LOG_NOTICE;
    s->log.write = note;
    s->log.wall_us = no_time;
    s->log.context = w;
    struct config *config = s->config;
    config->appendonly = true;
    config->appendfsync = policy;
    config->aof_increment_size = 1024 + below(w, 20000);
    config->auto_aof_rewrite_min_size = below(w, 2) ? 4000 : 100000;
    config->aof_retention_size = below(w, 2) ? 0 : 1 << 20;
    config->aof_timestamp_enabled = below(w, 2);
    config->aof_use_rdb_preamble = below(w, 2);
    config->save.count = 0;
    end_trouble(w);
    CHECK(w, loading_begin(s->server), "loading does not begin\n");
    s->server->appending.aof.redo.size = REDO;
    int64_t end = simulation_now_us(w->simulation) + START_US;
    while (s->server->loading) {
        CHECK(w, simulation_now_us(w->simulation) < end, "loading does not end\n");
        simulation_run_for(w->simulation, 100);
    }
    CHECK(w, !s->server->stopped, "the start failed\n");
    for (uint32_t i = 0; i < WRITERS; i++)
        line_open(w, &w->writers[i].line);
    line_open(w, &w->reader);
    line_open(w, &w->chief);
    w->policy = policy;
    w->is_off = w->lost_pages = false;
    w->everysec_since_us = simulation_now_us(w->simulation);
}

static void end_life(struct world *w) {
    for (uint32_t i = 0; i < WRITERS; i++)
        line_close(w, &w->writers[i].line);
    line_close(w, &w->reader);
    line_close(w, &w->chief);
    if (below(w, 2) == 0 && !w->lost_pages)
        simulation_kill(w->s.io);
    else
        simulation_crash(w->s.io);
    simulated_stop(&w->s);
    simulation_boot(w->s.io);
}

/* ---- what is there after a start ---- */

static const struct answer *ask(struct world *w, const char *text) {
    say(w, &w->chief, "%s\r\n", text);
    while (!hear(w, &w->chief, 1))
        simulation_run_for(w->simulation, 100);
    return &w->chief.answer;
}

static uint64_t number_at(struct world *w, char letter, uint32_t writer) {
    char text[64];
    snprintf(text, sizeof text, "GET %c:%u", letter, writer);
    const struct answer_node *node = &ask(w, text)->nodes[0];
    return node->kind == ANSWER_NULL ? 0 : strtoull(node->text.data, NULL, 10);
}

/* Of answers that are lost, the first and the last. */
static void check_everysec(struct world *w, const uint64_t *found) {
    int64_t first = INT64_MAX, last = 0;
    for (uint32_t i = 0; i < WRITERS; i++) {
        const struct writer *writer = &w->writers[i];
        if (found[i] >= writer->answered) continue;
        int64_t from = writer->answers_us[found[i] - writer->applied],
                to = writer->answers_us[writer->answered - writer->applied - 1];
        if (from < first) first = from;
        if (to > last) last = to;
    }
    if (first < w->everysec_since_us) return; /* another policy then */
    CHECK(w, last - first <= AOF_LAG_US + SLACK_US, "%" PRId64 " ms of answers are lost\n",
          (last - first) / 1000);
}

static void check_order(struct world *w, uint64_t *found) {
    struct answer *answer = &w->chief.answer;
    ask(w, "LRANGE order 0 -1");
    uint64_t count = answer->nodes[0].kind == ANSWER_ARRAY ? answer->nodes[0].count : 0;
    for (uint64_t i = 1; i <= count; i++) {
        char *end;
        struct bytes text = answer->nodes[i].text;
        uint64_t writer = strtoull(text.data, &end, 10);
        assert_true(writer < WRITERS);
        uint64_t step = strtoull(end + 1, NULL, 10);
        CHECK(w, step == found[writer] + 1,
              "writer %" PRIu64 "'s step %" PRIu64 " stands behind %" PRIu64 "\n", writer, step,
              found[writer]);
        found[writer] = step;
    }
    CHECK(w, count >= w->seen_sure, "%" PRIu64 " were seen, %" PRIu64 " are there\n", w->seen_sure,
          count);
    w->seen = w->seen_sure = 0;
}

static void check_dataset(struct world *w, int policy, bool was_off) {
    uint64_t found[WRITERS] = {0};
    check_order(w, found);
    if (policy == AOF_EVERYSEC && !was_off) check_everysec(w, found);
    for (uint32_t i = 0; i < WRITERS; i++) {
        struct writer *writer = &w->writers[i];
        uint64_t a = number_at(w, 'a', i), b = number_at(w, 'b', i);
        uint64_t unit = is_unit(found[i]) || found[i] == 0 ? found[i] : found[i] - 1;
        CHECK(w, a == unit && b == unit,
              "writer %u: a %" PRIu64 ", b %" PRIu64 ", steps %" PRIu64 "\n", i, a, b, found[i]);
        CHECK(w, found[i] <= writer->sent, "writer %u: step %" PRIu64 " was never sent\n", i,
              found[i]);
        CHECK(w, found[i] >= writer->sure,
              "writer %u: %" PRIu64 " of %" PRIu64 " sure steps are there\n", i, found[i],
              writer->sure);
        writer->applied = writer->sent = writer->answered = writer->sure = found[i];
    }
}

static void run_world(uint64_t seed) {
    struct world *w = calloc(1, sizeof *w);
    w->seed = seed;
    w->simulation = simulation_open(seed);
    w->io = simulation_host(w->simulation, "client");
    w->may_lose_pages = seed % 2 == 0;
    begin_life(w, AOF_ALWAYS);
    for (int i = 0; i < LIVES; i++) {
        live(w);
        int policy = w->policy;
        bool was_off = w->is_off;
        end_life(w);
        begin_life(w, w->may_lose_pages ? 1 + (int)below(w, 2) : (int)below(w, 3));
        check_dataset(w, policy, was_off);
    }
    end_life(w);
    simulation_close(w->simulation);
    free(w);
}

static struct simulated_seeds seeds;

static void test_worlds(void **state) {
    (void)state;
    for (uint64_t i = 0; i < seeds.count; i++)
        run_world(seeds.first + i);
}

int main(int argc, char **argv) {
    seeds = simulated_seeds(argc, argv, 20);
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_worlds)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
