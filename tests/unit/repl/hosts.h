/* hosts.h: several whole simulated servers that replicate, and what must hold between them: whoever
 * stands at the same place of the same history has the same dataset.
 *
 *     place      id and offset of the stream ---> digest of the dataset, exact, noted when a server
 *                is first seen there; every other server that is ever seen there must have it, also
 *                one that was started anew since. Where one id follows upon another (the second id
 *                of PSYNC2) both places are the same.
 *
 * Options of a test: [--seeds N] [--seed FIRST] [--log 1], the last one for what the servers say.
 */
#ifndef REDSTART_TESTS_REPL_HOSTS_H
#define REDSTART_TESTS_REPL_HOSTS_H

#include "../engine/simulated_client.h"
#include "base/hash.h"
#include "keyspace/digest.h"
#include "repl/replicator.h"
#include "script/script.h"

enum { HOSTS_MAX = 4, PLACES = 1 << 15, HOST_NAME_SIZE = 8, HOST_ADDRESS_SIZE = 64 };

struct hosts;

struct host {
    struct hosts *all;
    char name[HOST_NAME_SIZE];
    char address[HOST_ADDRESS_SIZE];
    struct simulated server;
    bool is_up;
    /* The configuration file. */
    bool appends, loads_aside, sends_files;
    enum config_fsync policy;
    uint64_t backlog_size;
    int64_t to_ack;
    enum config_ack_policy ack_policy;
    int primary; /* a host's index; -1: none */
};

struct place {
    char id[REPLICATION_ID_SIZE + 1];
    uint64_t offset;
    struct digest digest;
    const char *first; /* who was seen there first */
};

struct hosts {
    uint64_t seed;
    struct simulation *simulation;
    struct host of[HOSTS_MAX];
    int count;
    struct place *places; /* by hash, PLACES of them */
    size_t place_count;
    bool checks_often; /* behind many turns, not only when asked to */
    bool says;         /* the servers' logs go to standard error */
};

static inline uint64_t hosts_below(struct hosts *hosts, uint64_t limit) {
    return simulation_random_below(hosts->simulation, limit);
}

static inline bool hosts_chance(struct hosts *hosts, uint64_t one_in) {
    return hosts_below(hosts, one_in) == 0;
}

/* ---- what is said when something is wrong ---- */

static inline void host_describe(const struct host *host) {
    if (!host->is_up) {
        fprintf(stderr, "    %s: down\n", host->name);
        return;
    }
    const struct server *server = host->server.server;
    const struct link *link = &replicator_of(server)->link;
    char digest[DIGEST_TEXT_SIZE + 1];
    struct digest exact = digest_keyspace(&server->keyspace, 0);
    digest_format(&exact, digest);
    fprintf(stderr,
            "    %s: %s%s id %.8s second %.8s:%" PRIu64 " offset %" PRIu64
            " digest %.8s keys %" PRIu64 " link %d to %s, %u replicas, failover %s%s%s\n",
            host->name, server->replication.is_replica ? "replica" : "primary",
            server->loading ? " (loading)" : "", server->replication.id,
            server->replication.second_id, server->replication.second_offset,
            server->journal.offset, digest, (uint64_t)keyspace_count(&server->keyspace),
            (int)link->state, link->host, primary_count(server), failover_name(server),
            host->appends ? ", appends" : "", server->stopped ? ", stopped" : "");
}

static inline void hosts_describe(const struct hosts *hosts) {
    fprintf(stderr, "seed %" PRIu64 ", %" PRId64 " us:\n", hosts->seed,
            simulation_now_us(hosts->simulation));
    for (int i = 0; i < hosts->count; i++)
        host_describe(&hosts->of[i]);
}

/* A broken invariant says of which seed. */
static inline void hosts_write_more(void *hosts, void (*print)(const char *text)) {
    (void)print;
    hosts_describe(hosts);
}

static inline void hosts_report(struct hosts *hosts) {
    static struct invariant_reporter reporter = {.write_more = hosts_write_more, .fd = -1};
    reporter.context = hosts;
    invariant_set_reporter(hosts ? &reporter : NULL);
}

/* ---- places ---- */

static inline struct place *hosts_place(struct hosts *hosts, const char *id, uint64_t offset) {
    uint64_t word;
    memcpy(&word, id, sizeof word); /* random digits */
    for (size_t i = (size_t)hash_mix(word ^ hash_mix(offset)) % PLACES;; i = (i + 1) % PLACES) {
        struct place *place = &hosts->places[i];
        if (!place->first || (place->offset == offset && strcmp(place->id, id) == 0)) return place;
    }
}

static inline void host_note(struct host *host, const char *id, uint64_t offset,
                             const struct digest *digest) {
    struct hosts *hosts = host->all;
    struct place *place = hosts_place(hosts, id, offset);
    if (!place->first) {
        if (++hosts->place_count > PLACES / 2)
            fail_msg("seed %" PRIu64 ": too many places", hosts->seed);
        memcpy(place->id, id, sizeof place->id);
        place->offset = offset;
        place->digest = *digest;
        place->first = host->name;
    } else if (memcmp(&place->digest, digest, sizeof *digest) != 0) {
        hosts_describe(hosts);
        char known[DIGEST_TEXT_SIZE + 1];
        digest_format(&place->digest, known);
        fail_msg("seed %" PRIu64 ": %s is not what %s was at %s:%" PRIu64 " (digest %s)",
                 hosts->seed, host->name, place->first, id, offset, known);
    }
}

/* Its id and offset say what its dataset is. */
static inline bool host_has_place(const struct host *host) {
    if (!host->is_up) return false;
    const struct server *server = host->server.server;
    if (server->loading || server->stopped) return false;
    return server->replication.is_replica ? replicator_of(server)->link.has_history
                                          : journal_active(&server->journal);
}

static inline void host_check(struct host *host) {
    if (!host_has_place(host)) return;
    const struct server *server = host->server.server;
    const struct replication *replication = &server->replication;
    uint64_t offset = server->journal.offset;
    struct digest digest = digest_keyspace(&server->keyspace, 0);
    assert_true(server->journal.committed == offset);
    host_note(host, replication->id, offset, &digest);
    if (replication->second_id[0] && replication->second_offset == offset)
        host_note(host, replication->second_id, offset, &digest);
}

static inline void hosts_check(struct hosts *hosts) {
    for (int i = 0; i < hosts->count; i++)
        host_check(&hosts->of[i]);
}

/* ---- lives ---- */

static inline void host_turn(void *context) {
    struct host *host = context;
    struct server *server = host->server.server;
    uint64_t before = server->journal.offset;
    server_turn(server);
    if (host->all->checks_often && server->journal.offset != before) host_check(host);
}

static inline void host_log(void *context, enum log_level level, struct bytes line) {
    const struct host *host = context;
    (void)level;
    fprintf(stderr, "%10" PRId64 " %s %.*s", simulation_now_us(host->all->simulation), host->name,
            (int)line.size, line.data);
}

static inline int64_t host_wall_us(void *host) {
    return io_wall_us(((struct host *)host)->server.io);
}

static inline void host_configure(struct host *host) {
    struct config *config = host->server.config;
    config->appendonly = host->appends;
    config->appendfsync = host->policy;
    config->aof_timestamp_enabled = true;
    config->repl_backlog_size = host->backlog_size;
    config->repl_diskless_load = host->loads_aside ? DISKLESS_LOAD_SWAPDB : DISKLESS_LOAD_DISABLED;
    config->repl_diskless_sync = !host->sends_files;
    config->repl_timeout = 5;
    config->repl_ping_replica_period = 1;
    config->propagation_error_behavior = PROPAGATION_PANIC;
    config->min_replicas_to_ack = host->to_ack;
    config->min_replicas_to_ack_policy = host->ack_policy;
    if (host->primary >= 0) {
        struct bytes words[] = {bytes_from_text(host->all->of[host->primary].address),
                                BYTES("6379")};
        config_amend_words(config, CONFIG_replicaof, words, 2);
    }
}

static inline void host_boot(struct host *host) {
    struct hosts *hosts = host->all;
    struct simulated *s = &host->server;
    simulated_configure(s, hosts->simulation, host->name);
    s->log.context = host;
    s->log.wall_us = host_wall_us;
    s->log.write = host_log;
    if (hosts->says) s->log.level = LOG_NOTICE;
    host_configure(host);
    simulated_open(s, &command_table);
    script_attach(s->server);
    replicator_attach(s->server);
    host->is_up = true;
    if (!loading_begin(s->server))
        fail_msg("seed %" PRIu64 ": %s does not start", hosts->seed, host->name);
    simulation_set_turn(s->io, host_turn, host);
}

/* The configuration file names whom it follows now. */
static inline void host_remember_primary(struct host *host) {
    const struct config_replicaof *primary = &host->server.config->replicaof;
    host->primary = -1;
    for (int i = 0; i < host->all->count; i++)
        if (bytes_is(primary->host, host->all->of[i].address)) host->primary = i;
}

enum death { DEATH_KILL, DEATH_CRASH };

static inline void host_die(struct host *host, enum death death) {
    if (!host->is_up) return;
    host_check(host);
    host_remember_primary(host);
    if (death == DEATH_KILL)
        simulation_kill(host->server.io);
    else
        simulation_crash(host->server.io);
    host->is_up = false;
    simulated_stop(&host->server);
}

static inline void host_rise(struct host *host) {
    if (host->is_up) return;
    simulation_boot(simulation_host(host->all->simulation, host->name));
    host_boot(host);
}

/* Who has stopped by itself could not load its files. */
static inline void hosts_check_alive(const struct hosts *hosts) {
    for (int i = 0; i < hosts->count; i++)
        if (hosts->of[i].is_up && hosts->of[i].server.server->stopped)
            fail_msg("seed %" PRIu64 ": %s has stopped", hosts->seed, hosts->of[i].name);
}

/* Of that name from then on; booted by whoever has filled in its configuration. */
static inline void hosts_open(struct hosts *hosts, uint64_t seed, int count, bool says) {
    *hosts = (struct hosts){
        .seed = seed, .simulation = simulation_open(seed), .count = count, .says = says};
    hosts->places = calloc(PLACES, sizeof *hosts->places);
    hosts_report(hosts);
    for (int i = 0; i < count; i++) {
        struct host *host = &hosts->of[i];
        *host = (struct host){.all = hosts, .backlog_size = 1 << 20, .primary = i > 0 ? 0 : -1};
        snprintf(host->name, sizeof host->name, "%c", 'A' + i);
        snprintf(host->address, sizeof host->address, "%s",
                 simulation_address(simulation_host(hosts->simulation, host->name)));
    }
}

static inline void hosts_close(struct hosts *hosts) {
    for (int i = 0; i < hosts->count; i++)
        if (hosts->of[i].is_up) simulated_stop(&hosts->of[i].server);
    hosts_report(NULL);
    simulation_close(hosts->simulation);
    free(hosts->places);
}

/* ---- what an operator does ---- */

/* Said to that server by somebody who does not wait for the reply. */
__attribute__((format(printf, 2, 3))) static inline void host_tell(struct host *host,
                                                                   const char *format, ...) {
    char line[256];
    struct client client;
    va_list arguments;
    va_start(arguments, format);
    int size = vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    if (!host->is_up || !client_try_open(&client, host->all->simulation, host->name)) return;
    if (host->all->says)
        fprintf(stderr, "%10" PRId64 " %s <- %s", simulation_now_us(host->all->simulation),
                host->name, line);
    simulation_run_for(host->all->simulation, 1000);
    client_try_send(&client, bytes_make(line, (size_t)size));
    simulation_run_for(host->all->simulation, 2000);
    client_close(&client);
}

static inline void host_follow(struct host *host, const struct host *primary) {
    if (primary)
        host_tell(host, "REPLICAOF %s 6379\r\n", primary->address);
    else
        host_tell(host, "REPLICAOF NO ONE\r\n");
}

/* ---- the end ---- */

static inline bool host_is_like(const struct host *host, const struct host *primary) {
    const struct server *a = host->server.server, *b = primary->server.server;
    return link_is_up(a) && host_has_place(host) &&
           strcmp(a->replication.id, b->replication.id) == 0 &&
           a->journal.offset == b->journal.offset;
}

/* All follow that one in the end, and have what it has. */
static inline void hosts_settle(struct hosts *hosts, int primary) {
    enum { STEP_US = 20000, STEPS_MAX = 120 * 1000000 / STEP_US };
    for (int step = 0; step < STEPS_MAX; step++) {
        simulation_run_for(hosts->simulation, STEP_US);
        hosts_check_alive(hosts);
        hosts_check(hosts);
        int alike = 0;
        for (int i = 0; i < hosts->count; i++)
            alike += i == primary || host_is_like(&hosts->of[i], &hosts->of[primary]);
        if (alike == hosts->count && host_has_place(&hosts->of[primary])) return;
    }
    hosts_describe(hosts);
    fail_msg("seed %" PRIu64 ": they do not come together", hosts->seed);
}

/* A seed that found a bug. Only as long as the test draws the same numbers does it live the same
 * life: who changes that puts the bug in again and looks for another seed. */
struct hosts_found {
    uint64_t seed;
    const char *bug;
};

/* What a test's program lives through: each of those, and then those that are asked for. */
struct hosts_lives {
    void (*live)(uint64_t seed);
    const struct hosts_found *found;
    size_t found_count;
    struct simulated_seeds seeds;
};

static inline void hosts_test_found(void **state) {
    const struct hosts_lives *lives = *state;
    for (size_t i = 0; i < lives->found_count; i++)
        lives->live(lives->found[i].seed);
}

static inline void hosts_test_lives(void **state) {
    const struct hosts_lives *lives = *state;
    for (uint64_t i = 0; i < lives->seeds.count; i++)
        lives->live(lives->seeds.first + i);
}

static inline int hosts_run(struct hosts_lives *lives) {
    const struct CMUnitTest tests[] = {
        {.name = "test_found", .test_func = hosts_test_found, .initial_state = lives},
        {.name = "test_lives", .test_func = hosts_test_lives, .initial_state = lives},
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

static inline bool hosts_option(int argc, char **argv, const char *name) {
    for (int i = 1; i + 1 < argc; i += 2)
        if (strcmp(argv[i], name) == 0) return strtoull(argv[i + 1], NULL, 10) != 0;
    return false;
}

#endif
