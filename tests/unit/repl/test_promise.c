/* test_promise.c: simulated servers under min-replicas-to-ack, with appendfsync always everywhere.
 * Primaries die, are cut off or hand over, and somebody is promoted the way that the promise asks
 * for: of so many replicas that one of them must have acknowledged, the one that has read most.
 * What was answered, to who wrote it or to who read it, is never missing afterwards.
 *
 *     replicas R, acknowledgements N: any R - N + 1 replicas have one that acknowledged
 *
 * One machine at a time: nobody else dies or is promoted before those that were started anew, or
 * given another primary, have caught up.
 *
 *     test-repl-promise [--seeds N] [--seed FIRST] [--log 1]
 */
#include "hosts.h"

enum { WRITERS = 4, LIVES = 4, STEPS = 60, NUMBERS_MAX = 4096 };

struct writer {
    struct client client;
    int host; /* -1: not connected */
    bool waits, reads;
    int64_t since_us;
    uint64_t number;
    char id[REPLICATION_ID_SIZE + 1]; /* of the primary, when it was asked; empty: it was none */
};

struct world {
    struct hosts hosts;
    struct writer writers[WRITERS];
    uint64_t sent;
    bool answered[NUMBERS_MAX]; /* the number is known to be there */
    int primary;
    int to_ack;
    bool is_behind[HOSTS_MAX];      /* has to catch up, until the offset below */
    uint64_t catches_up[HOSTS_MAX]; /* 0: the link is not up yet */
};

static uint64_t below(struct world *w, uint64_t limit) {
    return hosts_below(&w->hosts, limit);
}

static bool chance(struct world *w, uint64_t one_in) {
    return below(w, one_in) == 0;
}

/* ---- writers ---- */

static void leave(struct writer *writer) {
    if (writer->host >= 0) client_close(&writer->client);
    writer->host = -1;
    writer->waits = false;
}

static void note_primary(struct world *w, struct writer *writer, char id[REPLICATION_ID_SIZE + 1]) {
    const struct host *host = &w->hosts.of[writer->host];
    id[0] = 0;
    if (host->is_up && !host->server.server->replication.is_replica)
        memcpy(id, host->server.server->replication.id, REPLICATION_ID_SIZE + 1);
}

static void take_reply(struct world *w, struct writer *writer) {
    const struct answer_node *node = &writer->client.answer.nodes[0];
    char id[REPLICATION_ID_SIZE + 1];
    writer->waits = false;
    if (node->kind != ANSWER_INTEGER || node->integer != 1) return;
    note_primary(w, writer, id);
    if (writer->reads && (!id[0] || strcmp(id, writer->id) != 0)) return;
    w->answered[writer->number] = true;
    if (w->hosts.says)
        fprintf(stderr, "%10" PRId64 " %s: %" PRIu64 " is %s\n",
                simulation_now_us(w->hosts.simulation), w->hosts.of[writer->host].name,
                writer->number, writer->reads ? "read" : "written");
}

static void hear(struct world *w, struct writer *writer) {
    enum { PATIENCE_MAX_US = 4000000 };
    if (writer->host < 0) return;
    enum client_news news = client_hear(&writer->client);
    if (news == CLIENT_REPLY) take_reply(w, writer);
    bool is_tired = writer->waits &&
                    simulation_now_us(w->hosts.simulation) - writer->since_us > PATIENCE_MAX_US;
    if (news == CLIENT_GONE || is_tired) leave(writer);
}

static void arrive(struct world *w, struct writer *writer) {
    int index = chance(w, 4) ? (int)below(w, (uint64_t)w->hosts.count) : w->primary;
    struct host *host = &w->hosts.of[index];
    if (!host->is_up || !client_try_open(&writer->client, w->hosts.simulation, host->name)) return;
    writer->host = index;
    writer->waits = false;
}

static void write_something(struct world *w, struct writer *writer) {
    char line[64];
    if (writer->host < 0) arrive(w, writer);
    if (writer->host < 0 || writer->waits) return;
    writer->reads = w->sent > 0 && chance(w, 3);
    writer->number = writer->reads ? w->sent - below(w, w->sent < 5 ? w->sent : 5) : ++w->sent;
    assert_true(w->sent < NUMBERS_MAX);
    writer->waits = true;
    writer->since_us = simulation_now_us(w->hosts.simulation);
    note_primary(w, writer, writer->id);
    int size = snprintf(line, sizeof line, "%s numbers %" PRIu64 "\r\n",
                        writer->reads ? "SISMEMBER" : "SADD", writer->number);
    if (!client_try_send(&writer->client, bytes_make(line, (size_t)size))) leave(writer);
}

/* ---- who is how far ---- */

static void note_progress(struct world *w) {
    const struct host *primary = &w->hosts.of[w->primary];
    if (!primary->is_up) return;
    const struct server *leader = primary->server.server;
    for (int i = 0; i < w->hosts.count; i++) {
        const struct host *host = &w->hosts.of[i];
        if (!w->is_behind[i] || !host->is_up || i == w->primary) continue;
        const struct server *server = host->server.server;
        if (server->loading || !link_is_up(server) ||
            strcmp(server->replication.id, leader->replication.id) != 0)
            continue;
        if (w->catches_up[i] == 0) w->catches_up[i] = leader->journal.offset;
        if (server->journal.offset >= w->catches_up[i]) w->is_behind[i] = false;
    }
}

static void set_behind(struct world *w, int i) {
    w->is_behind[i] = true;
    w->catches_up[i] = 0;
}

static bool anybody_is_behind(const struct world *w) {
    for (int i = 0; i < w->hosts.count; i++)
        if (i != w->primary && w->is_behind[i]) return true;
    return false;
}

static void listen_for(struct world *w, int64_t us) {
    enum { SLICE_US = 5000 };
    for (; us > 0; us -= SLICE_US) {
        simulation_run_for(w->hosts.simulation, us < SLICE_US ? us : SLICE_US);
        hosts_check_alive(&w->hosts);
        hosts_check(&w->hosts);
        note_progress(w);
        for (int i = 0; i < WRITERS; i++)
            hear(w, &w->writers[i]);
    }
}

/* ---- trouble ---- */

static struct io *io_of(struct world *w, int i) {
    return simulation_host(w->hosts.simulation, w->hosts.of[i].name);
}

static void cut_off(struct world *w, int i, bool is_cut) {
    for (int j = 0; j < w->hosts.count; j++)
        if (i != j) (is_cut ? simulation_partition : simulation_heal)(io_of(w, i), io_of(w, j));
}

static void heal_all(struct world *w) {
    for (int i = 0; i < w->hosts.count; i++)
        cut_off(w, i, false);
}

static void disturb(struct world *w) {
    struct simulation_network_faults *network = simulation_network(w->hosts.simulation);
    int i = (int)below(w, (uint64_t)w->hosts.count);
    if (chance(w, 15)) {
        network->cut = (uint32_t)(chance(w, 2) ? below(w, 20000) : 0);
        network->cut_is_silent = (uint32_t)below(w, 500000);
        network->latency_us_max = network->latency_us_min + (chance(w, 3) ? 50000 : 300);
    }
    if (chance(w, 15) && w->hosts.of[i].is_up)
        simulation_disk(w->hosts.of[i].server.io)->sync_us_max = chance(w, 2) ? 300000 : 2000;
    if (i == w->primary) return;
    if (chance(w, 15)) cut_off(w, i, true);
    if (chance(w, 10)) cut_off(w, i, false);
    if (!w->hosts.of[i].is_up) {
        if (chance(w, 8)) host_rise(&w->hosts.of[i]);
    } else if (chance(w, 30) && !anybody_is_behind(w)) {
        host_die(&w->hosts.of[i], chance(w, 2) ? DEATH_KILL : DEATH_CRASH);
        set_behind(w, i);
    }
}

static void live_for_a_while(struct world *w) {
    uint64_t steps = 5 + below(w, STEPS);
    for (uint64_t step = 0; step < steps; step++) {
        write_something(w, &w->writers[below(w, WRITERS)]);
        disturb(w);
        listen_for(w, (int64_t)below(w, chance(w, 20) ? 1500000 : 10000));
    }
}

/* ---- another primary ---- */

static void wait_for_all(struct world *w) {
    enum { WAITS_MAX = 6000 };
    heal_all(w);
    simulation_network(w->hosts.simulation)->cut = 0;
    for (int i = 0; i < w->hosts.count; i++)
        host_rise(&w->hosts.of[i]);
    for (int i = 0; i < WAITS_MAX && anybody_is_behind(w); i++)
        listen_for(w, 20000);
    if (!anybody_is_behind(w)) return;
    hosts_describe(&w->hosts);
    fail_msg("seed %" PRIu64 ": not all catch up", w->hosts.seed);
}

/* Said until it is so. NULL: nobody. */
static void order(struct world *w, struct host *host, const struct host *primary) {
    enum { TIMES = 200 };
    host->primary = primary ? (int)(primary - w->hosts.of) : -1;
    for (int i = 0; i < TIMES; i++) {
        if (!host->is_up) return; /* it reads its configuration file when it comes */
        const struct server *server = host->server.server;
        bool follows =
            server->replication.is_replica &&
            (!primary || bytes_is(host->server.config->replicaof.host, primary->address));
        if (follows == (primary != NULL)) return;
        host_follow(host, primary);
        listen_for(w, 10000);
    }
    hosts_describe(&w->hosts);
    fail_msg("seed %" PRIu64 ": %s does not obey", w->hosts.seed, host->name);
}

/* Of so many replicas that must do, the one that has read most; -1: there are not so many. */
static int choose(struct world *w, const char *id) {
    int wanted = w->hosts.count - 1 - w->to_ack + 1, best = -1,
        begin = (int)below(w, (uint64_t)w->hosts.count);
    uint64_t offset = 0;
    for (int n = 0; n < w->hosts.count && wanted > 0; n++) {
        int i = (begin + n) % w->hosts.count;
        const struct host *host = &w->hosts.of[i];
        if (i == w->primary || !host->is_up || host->server.server->loading || w->is_behind[i])
            continue;
        const struct server *server = host->server.server;
        wanted--;
        if (strcmp(server->replication.id, id) != 0 ||
            (best >= 0 && server->journal.offset <= offset))
            continue;
        best = i;
        offset = server->journal.offset;
    }
    return wanted > 0 ? -1 : best;
}

static void crown(struct world *w, int primary) {
    struct hosts *hosts = &w->hosts;
    int old = w->primary;
    order(w, &hosts->of[primary], NULL);
    w->primary = primary;
    for (int i = 0; i < hosts->count; i++) {
        if (i == primary) continue;
        set_behind(w, i);
        hosts->of[i].primary = primary;
        if (i != old && hosts->of[i].is_up) order(w, &hosts->of[i], &hosts->of[primary]);
    }
    if (!hosts->of[old].is_up) return;
    live_for_a_while(w); /* it may still be asked, and does not know */
    heal_all(w);
    if (chance(w, 2)) listen_for(w, 100000);
    order(w, &hosts->of[old], &hosts->of[primary]);
}

/* The primary dies, or nobody but clients reaches it. */
static void lose_primary(struct world *w) {
    struct host *host = &w->hosts.of[w->primary];
    char id[REPLICATION_ID_SIZE + 1];
    memcpy(id, host->server.server->replication.id, sizeof id);
    bool dies = chance(w, 2);
    if (dies)
        host_die(host, chance(w, 2) ? DEATH_KILL : DEATH_CRASH);
    else
        cut_off(w, w->primary, true);
    simulation_network(w->hosts.simulation)->cut = 0;
    listen_for(w, (int64_t)below(w, 300000));
    int next = choose(w, id);
    if (next >= 0) {
        crown(w, next);
    } else {
        heal_all(w);
        host->primary = -1;
        host_rise(host); /* it goes on, under another id */
        for (int i = 0; i < w->hosts.count; i++)
            if (i != w->primary) set_behind(w, i);
    }
}

static void hand_over(struct world *w) {
    enum { WAITS_MAX = 2000 };
    struct hosts *hosts = &w->hosts;
    int leaders = 0, leader = -1, pending = 1;
    host_tell(&hosts->of[w->primary], "FAILOVER TIMEOUT 2000\r\n");
    listen_for(w, 500000);
    for (int i = 0; i < WAITS_MAX && pending; i++) {
        listen_for(w, 10000);
        if (i == 100) {
            heal_all(w);
            simulation_network(hosts->simulation)->cut = 0;
        }
        pending = leaders = 0;
        for (int j = 0; j < hosts->count; j++) {
            if (!hosts->of[j].is_up) continue;
            const struct server *server = hosts->of[j].server.server;
            pending += failover_pauses(server);
            if (!server->replication.is_replica) leader = j;
            leaders += !server->replication.is_replica;
        }
    }
    if (leaders != 1 || pending) {
        hosts_describe(hosts);
        fail_msg("seed %" PRIu64 ": %d lead after a failover", hosts->seed, leaders);
    }
    if (leader != w->primary) crown(w, leader);
}

/* ---- the whole ---- */

static void check_answered(struct world *w, int host) {
    struct client client;
    client_open(&client, w->hosts.simulation, w->hosts.of[host].name);
    for (uint64_t n = 1; n <= w->sent; n++)
        if (w->answered[n] &&
            strcmp(ask(&client, "SMISMEMBER numbers %" PRIu64 "\r\n", n), "") == 0 &&
            client.answer.nodes[1].integer != 1) {
            hosts_describe(&w->hosts);
            fail_msg("seed %" PRIu64 ": %" PRIu64 " was answered and is not there", w->hosts.seed,
                     n);
        }
    client_close(&client);
}

static void make_peace(struct world *w) {
    struct hosts *hosts = &w->hosts;
    wait_for_all(w);
    for (int i = 0; i < WRITERS; i++)
        leave(&w->writers[i]);
    for (int i = 0; i < hosts->count; i++)
        host_tell(&hosts->of[i], "CONFIG SET min-replicas-to-ack 0\r\n");
    hosts_settle(hosts, w->primary);
    check_answered(w, w->primary);
}

static bool says;

static void live(uint64_t seed) {
    struct world *w = calloc(1, sizeof *w);
    struct hosts *hosts = &w->hosts;
    hosts_open(hosts, seed, 3 + (int)(seed % 2), says);
    w->to_ack = 1 + (int)below(w, (uint64_t)hosts->count - 1);
    enum config_ack_policy policy = chance(w, 2) ? ACK_WAIT : ACK_REFUSE;
    for (int i = 0; i < hosts->count; i++) {
        struct host *host = &hosts->of[i];
        host->appends = host->loads_aside = true;
        host->policy = FSYNC_ALWAYS;
        host->to_ack = w->to_ack;
        host->ack_policy = policy;
        host_boot(host);
        set_behind(w, i);
    }
    for (int i = 0; i < WRITERS; i++)
        w->writers[i].host = -1;
    wait_for_all(w);
    for (int life = 0; life < LIVES; life++) {
        live_for_a_while(w);
        if (anybody_is_behind(w)) wait_for_all(w);
        if (chance(w, 3))
            hand_over(w);
        else
            lose_primary(w);
        if (chance(w, 2)) live_for_a_while(w);
        wait_for_all(w);
    }
    make_peace(w);
    hosts_close(hosts);
    free(w);
}

static const struct hosts_found found[] = {
    {1, "a primary that was made a replica let replies leave that nobody had acknowledged"},
    {36, "the answer to a hand-over was lost, and both led"},
    {402, "a replica that came again was counted twice"},
};

int main(int argc, char **argv) {
    struct hosts_lives lives = {.live = live,
                                .found = found,
                                .found_count = sizeof found / sizeof *found,
                                .seeds = simulated_seeds(argc, argv, 100)};
    says = hosts_option(argc, argv, "--log");
    return hosts_run(&lives);
}
