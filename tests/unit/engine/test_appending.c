/* test_appending.c: a whole simulated server with an append-only file, on a disk that is slow, full
 * or failing, and that loses its power: what was acknowledged under `always` is there afterwards,
 * under `everysec` what was so two seconds before the last reply, and nothing is half there. The
 * file is rewritten, rolled, switched off and on meanwhile.
 *
 *     test-engine-appending [--seeds N] [--seed FIRST]
 */
#include "simulated_client.h"

enum { WRITERS = 3, LIVES = 3, STEPS = 150, ACKNOWLEDGED_MAX = 4096 };

struct acknowledged {
    int64_t at_us;
    uint64_t count;
};

struct writer {
    struct client client;
    bool waits; /* for a reply */
    uint64_t sent;
    uint64_t acknowledged; /* the highest */
    struct acknowledged history[ACKNOWLEDGED_MAX];
    size_t history_count;
};

struct world {
    uint64_t seed;
    struct simulation *simulation;
    struct simulated server;
    struct client admin;
    bool admin_waits;
    bool lost_pages; /* an fsync may have failed: the system shows bytes that the disk never gets */
    enum config_fsync policy;
    struct writer writers[WRITERS];
};

static uint64_t below(struct world *w, uint64_t limit) {
    return simulation_random_below(w->simulation, limit);
}

static void boot(struct world *w) {
    struct simulated *s = &w->server;
    simulated_start(s, w->simulation, "server", 100, 0);
    s->config->appendonly = true;
    s->config->appendfsync = w->policy;
    s->config->aof_increment_size = 1024 + below(w, 20000);
    s->config->auto_aof_rewrite_min_size = below(w, 2) ? 4000 : 100 << 20;
    s->config->aof_retention_size = below(w, 2) ? 0 : 1 << 20;
    s->config->aof_timestamp_enabled = below(w, 2);
    if (!loading_begin(s->server)) fail_msg("seed %" PRIu64 ": the server does not start", w->seed);
    for (int i = 0; i < 200000 && s->server->loading && !s->server->stopped; i++)
        simulation_run_for(w->simulation, 100);
    if (s->server->stopped || s->server->loading)
        fail_msg("seed %" PRIu64 ": loading fails", w->seed);
    client_open(&w->admin, w->simulation, "server");
    w->admin_waits = false;
    for (int i = 0; i < WRITERS; i++) {
        client_open(&w->writers[i].client, w->simulation, "server");
        w->writers[i].waits = false;
    }
}

static void take_reply(struct world *w, struct writer *writer) {
    if (!writer->waits || !client_has_reply(&writer->client)) return;
    writer->waits = false;
    if (strcmp(writer->client.text, "OK") != 0) {
        assert_true(begins(writer->client.text, "MISCONF"));
        return;
    }
    writer->acknowledged = writer->sent;
    assert_true(writer->history_count < ACKNOWLEDGED_MAX);
    writer->history[writer->history_count++] =
        (struct acknowledged){simulation_now_us(w->simulation), writer->sent};
}

/* Replies are noted when they come. */
static void listen_for(struct world *w, int64_t us) {
    enum { SLICE_US = 2000 };
    while (us > 0) {
        simulation_run_for(w->simulation, us < SLICE_US ? us : SLICE_US);
        us -= SLICE_US;
        for (int i = 0; i < WRITERS; i++)
            take_reply(w, &w->writers[i]);
    }
}

static void make_trouble(struct world *w) {
    struct simulation_disk_faults *faults = simulation_disk(w->server.io);
    switch (below(w, 6)) {
    case 0: faults->write_error = 300000; break;
    case 1:
        /* With `no`, nobody keeps what such a disk throws away. */
        if (w->policy != FSYNC_NO) faults->sync_error = 300000;
        w->lost_pages = true;
        break;
    case 2: faults->capacity_bytes = 5000 + below(w, 60000); break;
    case 3: faults->sync_us_max = 3000000; break;
    case 4: faults->partial_write = 500000; break;
    default: faults->call_us_max = 20000; break;
    }
}

static void end_trouble(struct world *w) {
    *simulation_disk(w->server.io) = (struct simulation_disk_faults){.sync_us_max = 2000};
}

static void disturb(struct world *w) {
    if (w->admin_waits) {
        w->admin_waits = !client_has_reply(&w->admin);
        return;
    }
    if (below(w, 25) == 0) {
        client_send(&w->admin, "BGREWRITEAOF\r\n");
        w->admin_waits = true;
    }
    if (below(w, 40) == 0) make_trouble(w);
    if (below(w, 20) == 0) end_trouble(w);
}

static void write_for_a_while(struct world *w) {
    uint64_t steps = 1 + below(w, STEPS);
    for (uint64_t step = 0; step < steps; step++) {
        struct writer *writer = &w->writers[below(w, WRITERS)];
        int number = (int)(writer - w->writers);
        if (!writer->waits) {
            unsigned long long count = ++writer->sent;
            if (below(w, 3) == 0) {
                client_send(&writer->client, "MSET a:%d %llu b:%d %llu fill:%llu %0*d\r\n", number,
                            count, number, count, count % 20, (int)(1 + below(w, 600)), 1);
            } else {
                client_send(&writer->client, "MSET a:%d %llu b:%d %llu\r\n", number, count, number,
                            count);
            }
            writer->waits = true;
        }
        disturb(w);
        bool long_wait = below(w, 25) == 0;
        listen_for(w, (int64_t)below(w, long_wait ? 2000000 : 3000));
    }
}

static int64_t last_reply_us(const struct world *w) {
    int64_t last = 0;
    for (int i = 0; i < WRITERS; i++) {
        const struct writer *writer = &w->writers[i];
        if (writer->history_count == 0) continue;
        int64_t at = writer->history[writer->history_count - 1].at_us;
        if (at > last) last = at;
    }
    return last;
}

/* What must be there after a crash now. With `everysec` replies stop when the disk is two seconds
 * behind: no more than that is between what is lost and the last reply. */
static uint64_t sure_of(const struct world *w, const struct writer *writer) {
    if (w->policy == FSYNC_ALWAYS) return writer->acknowledged;
    if (w->policy == FSYNC_NO) return 0;
    uint64_t sure = 0;
    for (size_t i = 0; i < writer->history_count; i++)
        if (writer->history[i].at_us < last_reply_us(w) - 2200000) sure = writer->history[i].count;
    return sure;
}

static uint64_t number_of(struct world *w, char name, int writer) {
    const char *text = ask(&w->admin, "GET %c:%d\r\n", name, writer);
    return strtoull(text, NULL, 10);
}

static void check(struct world *w, const uint64_t sure[WRITERS]) {
    for (int i = 0; i < WRITERS; i++) {
        uint64_t a = number_of(w, 'a', i), b = number_of(w, 'b', i);
        if (a != b)
            fail_msg("seed %" PRIu64 ": writer %d: half a command: %" PRIu64 " and %" PRIu64,
                     w->seed, i, a, b);
        if (a < sure[i] || a > w->writers[i].sent)
            fail_msg("seed %" PRIu64 ": writer %d: %" PRIu64 " is there, %" PRIu64
                     " was sure, %" PRIu64 " was sent",
                     w->seed, i, a, sure[i], w->writers[i].sent);
        w->writers[i].sent = w->writers[i].acknowledged = a;
        w->writers[i].history_count = 0;
        if (a > 0)
            w->writers[i].history[w->writers[i].history_count++] = (struct acknowledged){0, a};
    }
}

static void close_clients(struct world *w) {
    client_close(&w->admin);
    for (int i = 0; i < WRITERS; i++)
        client_close(&w->writers[i].client);
}

/* The power goes, or the process alone. */
static void die(struct world *w, uint64_t sure[WRITERS]) {
    for (int i = 0; i < WRITERS; i++)
        sure[i] = sure_of(w, &w->writers[i]);
    end_trouble(w);
    if (below(w, 2) == 0 && !w->lost_pages)
        simulation_kill(w->server.io);
    else
        simulation_crash(w->server.io);
    close_clients(w);
    simulated_stop(&w->server);
    simulation_boot(w->server.io);
    w->lost_pages = false;
}

static void live_and_die(uint64_t seed) {
    struct world *w = calloc(1, sizeof *w);
    uint64_t sure[WRITERS] = {0};
    w->seed = seed;
    w->simulation = simulation_open(seed);
    w->policy = (enum config_fsync)(seed % 3);
    for (int life = 0; life < LIVES; life++) {
        boot(w);
        check(w, sure);
        write_for_a_while(w);
        die(w, sure);
    }
    boot(w);
    check(w, sure);
    close_clients(w);
    simulated_stop(&w->server);
    simulation_close(w->simulation);
    free(w);
}

static struct simulated_seeds seeds;

static void test_lives(void **state) {
    (void)state;
    for (uint64_t i = 0; i < seeds.count; i++)
        live_and_die(seeds.first + i);
}

int main(int argc, char **argv) {
    seeds = simulated_seeds(argc, argv, 60);
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_lives)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
