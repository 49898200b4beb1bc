/* test_replication.c: whole simulated servers, a primary, replicas and a replica of a replica,
 * while clients change all types of values, and networks, disks, clocks, processes and operators do
 * what they do. Whoever stands at the same place of the same history has the same dataset, at any
 * time (hosts.h); once there is peace all have the same; what has expired stays away.
 *
 *     test-repl-replication [--seeds N] [--seed FIRST] [--log 1]
 */
#include "hosts.h"

enum { USERS = 4, STEPS = 160, KEYS = 8, MORTALS = 64 };

/* A key that is set once and ends. */
struct mortal {
    bool is_sent, is_known;
    int64_t milliseconds;
    int64_t ends_ms; /* at the latest, on every host's wall clock */
};

enum question { ASKS_ANYTHING, ASKS_MORTAL, SETS_MORTAL };

struct user {
    struct client client;
    int host;       /* -1: not connected */
    uint32_t waits; /* for so many replies */
    int64_t since_us;
    enum question question; /* the only one that waits, if it is one of a mortal */
    int mortal;
    bool must_be_gone;
};

struct world {
    struct hosts hosts;
    struct user users[USERS];
    struct mortal mortals[MORTALS];
    int mortal_count;
    bool has_clock_errors; /* and then nothing is said of mortals */
    bool is_bulky;         /* more is written than memory keeps of the stream */
};

static uint64_t below(struct world *w, uint64_t limit) {
    return hosts_below(&w->hosts, limit);
}

static bool chance(struct world *w, uint64_t one_in) {
    return below(w, one_in) == 0;
}

static struct host *any_host(struct world *w) {
    return &w->hosts.of[below(w, (uint64_t)w->hosts.count)];
}

/* ---- commands ---- */

/* In a form: k, m a key; v a value; n a number; t a time in milliseconds; b thousands of bytes. */
static const char *const forms[] = {
    "SET k v",
    "SET k v PX t",
    "SET k v EX 1",
    "SETNX k v",
    "GETSET k v",
    "GETDEL k",
    "APPEND k v",
    "INCR k",
    "DECRBY k n",
    "INCRBYFLOAT k 1.1",
    "SETRANGE k n v",
    "SETBIT k n 1",
    "BITFIELD k SET u8 #n 7 INCRBY i5 n 3",
    "GETEX k PX t",
    "GETEX k PERSIST",
    "MSET k v m v",
    "MSETNX k v m v",
    "DEL k m",
    "UNLINK k",
    "EXPIRE k 1",
    "PEXPIRE k t",
    "PEXPIRE k t GT",
    "PERSIST k",
    "EXPIRE k -1",
    "RENAME k m",
    "RENAMENX k m",
    "COPY k m REPLACE",
    "MOVE k 1",
    "LPUSH k v v",
    "RPUSH k v n v",
    "RPUSHX k v",
    "LPOP k",
    "RPOP k 2",
    "LTRIM k 0 n",
    "LREM k 0 v",
    "LINSERT k BEFORE v n",
    "LSET k 0 v",
    "LMOVE k m LEFT RIGHT",
    "RPOPLPUSH k m",
    "LMPOP 2 k m LEFT COUNT 2",
    "BLPOP k m 0.05",
    "BLPOP k m 3",
    "BZPOPMIN k 3",
    "BLMOVE k m LEFT LEFT 3",
    "BLMOVE k m LEFT LEFT 0.05",
    "SADD k v n v",
    "SADD k n n n",
    "SREM k v n",
    "SPOP k",
    "SPOP k 2",
    "SMOVE k m v",
    "SINTERSTORE k k m",
    "SUNIONSTORE k k m",
    "SDIFFSTORE k k m",
    "HSET k v v n v",
    "HSETNX k v v",
    "HDEL k v n",
    "HINCRBY k n n",
    "HINCRBYFLOAT k n 0.5",
    "HPEXPIRE k t FIELDS 2 n v",
    "HPERSIST k FIELDS 1 n",
    "HEXPIRE k 1 FIELDS 1 n",
    "ZADD k n v n n",
    "ZADD k GT CH n v",
    "ZADD k INCR n v",
    "ZINCRBY k 1.5 v",
    "ZREM k v",
    "ZPOPMIN k",
    "ZPOPMAX k 2",
    "BZPOPMIN k 0.05",
    "ZREMRANGEBYRANK k 0 1",
    "ZREMRANGEBYSCORE k 0 n",
    "ZUNIONSTORE m 2 k m",
    "ZRANGESTORE m k 0 n",
    "GEOADD k 13.3 38.1 v",
    "PFADD k v n",
    "PFMERGE m k",
    "XADD k * v v",
    "XADD k MAXLEN n * v v",
    "XADD k MINID ~ 5 * v n",
    "XTRIM k MAXLEN n",
    "XDEL k 1-1",
    "XGROUP CREATE k g 0 MKSTREAM",
    "XGROUP CREATE k g $ MKSTREAM",
    "XREADGROUP GROUP g c COUNT 2 STREAMS k >",
    "XREADGROUP GROUP g d NOACK COUNT 2 STREAMS k >",
    "XACK k g 1-1",
    "XAUTOCLAIM k g d 0 0",
    "XGROUP DELCONSUMER k g c",
    "XGROUP SETID k g 0",
    "XGROUP DESTROY k g",
    "XSETID k 9999999999999-1",
    "SORT k ALPHA STORE m",
    "EVAL \"redis.call('incr', KEYS[1]) return redis.call('sadd', KEYS[2], ARGV[1])\" 2 k m v",
    ("EVAL \"for i = 1, 3 do redis.call('rpush', KEYS[1], math.random()) end redis.call('pexpire', "
     "KEYS[1], ARGV[1])\" 1 k t"),
    "EVAL \"redis.call('set', KEYS[1], redis.call('time')[2]) redis.call('spop', KEYS[2])\" 2 k m",
    "EVAL \"return redis.call('del', KEYS[1])\" 1 k",
    "SELECT 1",
    "SELECT 0",
    "SELECT 2",
    "GET k",
    "EXISTS k m",
    "TTL k",
    "RANDOMKEY",
    "DBSIZE",
    "LRANGE k 0 -1",
    "HGETALL k",
    "SCAN 0 COUNT 100",
};
static const char *const rare_forms[] = {"FLUSHDB", "FLUSHALL ASYNC", "SWAPDB 0 1", "SWAPDB 1 2",
                                         "FLUSHALL"};

static const char *const bulky_forms[] = {"SET k b", "GETSET k b", "APPEND k b", "HSET k v b",
                                          "SADD k b"};

enum { LINE_SIZE = 8192, BULK_SIZE = 5000 };

static size_t put_line(struct world *w, char *out, const char *form) {
    size_t size = 0;
    const char *end = form + strlen(form);
    for (const char *p = form; p < end; p++) {
        bool alone = (p == form || p[-1] == ' ' || p[-1] == '#') && (p + 1 == end || p[1] == ' ');
        char word[BULK_SIZE + 64] = {*p, 0};
        unsigned long long small = below(w, 6);
        if (alone && (*p == 'k' || *p == 'm'))
            snprintf(word, sizeof word, "k%llu", (unsigned long long)below(w, KEYS));
        else if (alone && *p == 'v')
            snprintf(word, sizeof word, chance(w, 20) ? "v%050llu" : "v%llu", small);
        else if (alone && *p == 'b')
            snprintf(word, sizeof word, "%0*llu", BULK_SIZE, small);
        else if (alone && *p == 'n')
            snprintf(word, sizeof word, "%llu", small);
        else if (alone && *p == 't')
            snprintf(word, sizeof word, "%llu", (unsigned long long)(1 + below(w, 2000)));
        size += (size_t)snprintf(out + size, LINE_SIZE - size, "%s", word);
    }
    return size + (size_t)snprintf(out + size, LINE_SIZE - size, "\r\n");
}

static size_t put_any(struct world *w, char *out) {
    if (chance(w, 150))
        return put_line(w, out, rare_forms[below(w, sizeof rare_forms / sizeof *rare_forms)]);
    if (w->is_bulky && chance(w, 3))
        return put_line(w, out, bulky_forms[below(w, sizeof bulky_forms / sizeof *bulky_forms)]);
    return put_line(w, out, forms[below(w, sizeof forms / sizeof *forms)]);
}

/* ---- users ---- */

static void leave(struct user *user) {
    if (user->host >= 0) client_close(&user->client);
    user->host = -1;
}

static void arrive(struct world *w, struct user *user) {
    struct host *host = any_host(w);
    if (host->is_up && host->server.server->replication.is_replica && !chance(w, 8)) return;
    if (!host->is_up || !client_try_open(&user->client, w->hosts.simulation, host->name)) return;
    user->host = (int)(host - w->hosts.of);
    user->waits = 0;
}

static int64_t wall_ms(struct world *w, int host) {
    return io_wall_us(simulation_host(w->hosts.simulation, w->hosts.of[host].name)) / 1000;
}

static void take_mortal(struct world *w, struct user *user) {
    struct mortal *mortal = &w->mortals[user->mortal];
    const struct answer_node *node = &user->client.answer.nodes[0];
    if (user->question == SETS_MORTAL && strcmp(user->client.text, "OK") == 0) {
        mortal->is_known = true;
        mortal->ends_ms = wall_ms(w, user->host) + mortal->milliseconds + 1;
    } else if (user->question == ASKS_MORTAL && user->must_be_gone && node->kind == ANSWER_BULK) {
        hosts_describe(&w->hosts);
        fail_msg("seed %" PRIu64 ": mortal:%d is there again on %s", w->hosts.seed, user->mortal,
                 w->hosts.of[user->host].name);
    }
}

static void hear(struct world *w, struct user *user) {
    enum { PATIENCE = 3000000 };
    while (user->host >= 0) {
        enum client_news news = client_hear(&user->client);
        if (news == CLIENT_GONE) leave(user);
        if (news != CLIENT_REPLY) break;
        assert_true(user->waits > 0);
        user->waits--;
        if (user->question != ASKS_ANYTHING) take_mortal(w, user);
    }
    if (user->host >= 0 && user->waits > 0 &&
        simulation_now_us(w->hosts.simulation) - user->since_us > PATIENCE)
        leave(user);
}

static size_t put_question(struct world *w, struct user *user, char *out) {
    uint32_t commands = chance(w, 5) ? 1 + (uint32_t)below(w, 6) : 1;
    bool is_unit = chance(w, 8);
    size_t size = 0;
    char line[LINE_SIZE];
    user->question = ASKS_ANYTHING;
    user->waits = commands + (is_unit ? 2 : 0);
    out[0] = 0;
    if (is_unit) strcpy(out, "MULTI\r\n");
    for (uint32_t i = 0; i < commands; i++) {
        put_any(w, line);
        strcat(out, line);
    }
    if (is_unit) strcat(out, "EXEC\r\n");
    size = strlen(out);
    return size;
}

static size_t put_mortal(struct world *w, struct user *user, char *out) {
    user->waits = 1;
    if (w->mortal_count < MORTALS && chance(w, 2)) {
        user->mortal = w->mortal_count++;
        user->question = SETS_MORTAL;
        struct mortal *mortal = &w->mortals[user->mortal];
        mortal->milliseconds = 1 + (int64_t)below(w, 500);
        mortal->is_sent = true;
        return (size_t)snprintf(out, LINE_SIZE, "SET mortal:%d v PX %" PRId64 "\r\n", user->mortal,
                                mortal->milliseconds);
    }
    user->question = ASKS_MORTAL;
    user->mortal = (int)below(w, (uint64_t)w->mortal_count + 1);
    if (user->mortal == w->mortal_count) user->mortal = 0;
    const struct mortal *mortal = &w->mortals[user->mortal];
    user->must_be_gone = mortal->is_known && wall_ms(w, user->host) > mortal->ends_ms;
    return (size_t)snprintf(out, LINE_SIZE, "GET mortal:%d\r\n", user->mortal);
}

static void ask_something(struct world *w, struct user *user) {
    static char text[8 * LINE_SIZE];
    if (user->host < 0) {
        arrive(w, user);
        return;
    }
    if (user->waits > 0) return;
    if (chance(w, 60)) {
        leave(user);
        return;
    }
    size_t size = !w->has_clock_errors && user == &w->users[0] ? put_mortal(w, user, text)
                                                               : put_question(w, user, text);
    user->since_us = simulation_now_us(w->hosts.simulation);
    if (!client_try_send(&user->client, bytes_make(text, size))) leave(user);
}

/* ---- trouble ---- */

static void set_network(struct world *w) {
    struct simulation_network_faults *network = simulation_network(w->hosts.simulation);
    network->cut = (uint32_t)(chance(w, 2) ? below(w, 20000) : 0);
    network->cut_is_silent = (uint32_t)below(w, 600000);
    network->latency_us_max = network->latency_us_min + (chance(w, 4) ? 100000 : 300);
    network->refuse = (uint32_t)(chance(w, 4) ? below(w, 500000) : 0);
}

static void set_disk(struct world *w, struct host *host) {
    struct simulation_disk_faults *disk = simulation_disk(host->server.io);
    disk->sync_us_max = chance(w, 3) ? 500000 : 2000;
    disk->partial_write = (uint32_t)(chance(w, 3) ? below(w, 500000) : 0);
}

static void set_directive(struct world *w, struct host *host) {
    switch (below(w, 6)) {
    case 0:
        host_tell(host, "CONFIG SET repl-backlog-size %d\r\n", (int)(16384 + below(w, 100000)));
        break;
    case 1: host_tell(host, "CONFIG SET appendonly %s\r\n", chance(w, 3) ? "no" : "yes"); break;
    case 2:
        host_tell(host, "CONFIG SET repl-diskless-load %s\r\n",
                  chance(w, 2) ? "swapdb" : "disabled");
        break;
    case 3:
        host_tell(host, "CONFIG SET repl-diskless-sync %s\r\n", chance(w, 2) ? "yes" : "no");
        break;
    case 4: host_tell(host, "CONFIG SET repl-backlog-ttl %d\r\n", chance(w, 2) ? 1 : 3600); break;
    default:
        host_tell(host, "CONFIG SET min-replicas-to-ack %d min-replicas-to-ack-policy %s\r\n",
                  (int)below(w, 2), chance(w, 2) ? "wait" : "degrade");
        break;
    }
}

static void fail_over(struct world *w, struct host *host) {
    struct host *other = any_host(w);
    switch (below(w, 4)) {
    case 0: host_tell(host, "FAILOVER\r\n"); break;
    case 1: host_tell(host, "FAILOVER TO %s 6379 TIMEOUT 300\r\n", other->address); break;
    case 2: host_tell(host, "FAILOVER TO %s 6379 FORCE TIMEOUT 200\r\n", other->address); break;
    default: host_tell(host, "FAILOVER ABORT\r\n"); break;
    }
}

static void command_servers(struct world *w) {
    struct host *host = any_host(w), *other = any_host(w);
    switch (below(w, 8)) {
    case 0: host_follow(host, NULL); break;
    case 1:
    case 2:
        if (host != other) host_follow(host, other);
        break;
    case 3: fail_over(w, host); break;
    case 4: host_tell(host, "BGREWRITEAOF\r\n"); break;
    case 5: host_tell(host, chance(w, 2) ? "BGSAVE\r\n" : "SAVE\r\n"); break;
    case 6: set_directive(w, host); break;
    default: host_tell(host, "CLIENT KILL TYPE %s\r\n", chance(w, 2) ? "replica" : "master"); break;
    }
}

static void disturb(struct world *w) {
    struct simulation *simulation = w->hosts.simulation;
    struct host *host = any_host(w), *other = any_host(w);
    if (chance(w, 30)) set_network(w);
    if (chance(w, 40) && host->is_up) set_disk(w, host);
    if (chance(w, 25) && host != other)
        simulation_partition(simulation_host(simulation, host->name),
                             simulation_host(simulation, other->name));
    if (chance(w, 12) && host != other)
        simulation_heal(simulation_host(simulation, host->name),
                        simulation_host(simulation, other->name));
    if (chance(w, 15)) command_servers(w);
    if (chance(w, 40)) host_die(host, chance(w, 2) ? DEATH_KILL : DEATH_CRASH);
    if (chance(w, 6)) host_rise(host);
    if (w->has_clock_errors && chance(w, 40))
        simulation_set_clock_error(simulation_host(simulation, host->name),
                                   (int64_t)below(w, 4000000) - 2000000);
}

static void listen_for(struct world *w, int64_t us) {
    simulation_run_for(w->hosts.simulation, us);
    hosts_check_alive(&w->hosts);
    hosts_check(&w->hosts);
    for (int i = 0; i < USERS; i++)
        hear(w, &w->users[i]);
}

/* ---- peace ---- */

static void end_trouble(struct world *w) {
    struct hosts *hosts = &w->hosts;
    struct simulation_network_faults *network = simulation_network(hosts->simulation);
    network->cut = network->refuse = 0;
    network->latency_us_max = 300;
    for (int i = 0; i < hosts->count; i++) {
        host_rise(&hosts->of[i]);
        struct io *io = simulation_host(hosts->simulation, hosts->of[i].name);
        *simulation_disk(io) = (struct simulation_disk_faults){.sync_us_max = 2000};
        for (int j = 0; j < i; j++)
            simulation_heal(io, simulation_host(hosts->simulation, hosts->of[j].name));
    }
    for (int i = 0; i < USERS; i++)
        leave(&w->users[i]);
}

static bool is_serving(void *context) {
    const struct hosts *hosts = context;
    for (int i = 0; i < hosts->count; i++)
        if (hosts->of[i].server.server->loading) return false;
    return true;
}

/* One leads, the others follow it, or one that does. */
static void make_peace(struct world *w) {
    struct hosts *hosts = &w->hosts;
    enum { LOADING_US = 30000000 };
    end_trouble(w);
    simulation_run_until(hosts->simulation, simulation_now_us(hosts->simulation) + LOADING_US,
                         is_serving, hosts);
    simulation_run_for(hosts->simulation, 1000000); /* what was said before arrives */
    hosts_check_alive(hosts);
    int primary = (int)below(w, (uint64_t)hosts->count), relay = -1;
    for (int i = 0; i < hosts->count; i++) {
        host_tell(&hosts->of[i], "FAILOVER ABORT\r\n");
        host_tell(&hosts->of[i], "CONFIG SET min-replicas-to-ack 0\r\n");
    }
    host_follow(&hosts->of[primary], NULL);
    for (int i = 0; i < hosts->count; i++) {
        if (i == primary) continue;
        host_follow(&hosts->of[i], &hosts->of[relay >= 0 && chance(w, 2) ? relay : primary]);
        if (relay < 0) relay = i;
    }
    hosts_settle(hosts, primary);
}

static void check_mortals(struct world *w) {
    struct hosts *hosts = &w->hosts;
    struct client client;
    if (w->has_clock_errors || w->mortal_count == 0) return;
    simulation_run_for(hosts->simulation, 1000000);
    for (int i = 0; i < hosts->count; i++) {
        client_open(&client, hosts->simulation, hosts->of[i].name);
        for (int m = 0; m < w->mortal_count; m++)
            if (strcmp(ask(&client, "GET mortal:%d\r\n", m), "v") == 0)
                fail_msg("seed %" PRIu64 ": mortal:%d lives on %s", hosts->seed, m,
                         hosts->of[i].name);
        client_close(&client);
    }
}

/* ---- the whole ---- */

static void choose_configuration(struct world *w) {
    struct hosts *hosts = &w->hosts;
    for (int i = 0; i < hosts->count; i++) {
        struct host *host = &hosts->of[i];
        host->appends = chance(w, 2);
        host->policy = (enum config_fsync)below(w, 3);
        host->loads_aside = chance(w, 2);
        host->sends_files = chance(w, 4);
        host->backlog_size = chance(w, 2) ? 16384 : 1 << 20;
        if (i > 1 && chance(w, 3)) host->primary = i - 1; /* a replica's replica */
        host_boot(host);
    }
}

static bool says;

static void live(uint64_t seed) {
    struct world *w = calloc(1, sizeof *w);
    hosts_open(&w->hosts, seed, 3 + (int)(seed % 2), says);
    w->hosts.checks_often = true;
    w->has_clock_errors = chance(w, 3);
    w->is_bulky = chance(w, 3);
    for (int i = 0; i < USERS; i++)
        w->users[i].host = -1;
    choose_configuration(w);
    uint64_t steps = 20 + below(w, STEPS);
    for (uint64_t step = 0; step < steps; step++) {
        ask_something(w, &w->users[below(w, USERS)]);
        disturb(w);
        listen_for(w, (int64_t)below(w, chance(w, 30) ? 6000000 : chance(w, 4) ? 100000 : 3000));
    }
    make_peace(w);
    check_mortals(w);
    hosts_close(&w->hosts);
    free(w);
}

static const struct hosts_found found[] = {
    {1, "keys that ended before a file was loaded were left out without a word in the stream"},
    {46, "changes of a replica that never reached its primary and then led were counted by nobody"},
    {2059, "a key was ready, and nobody looked at it before the server was closed"},
    {2482, "a server was closed while it read its append-only file"},
    {5394, "a crash left a selection half written, with zeros behind it"},
};

int main(int argc, char **argv) {
    struct hosts_lives lives = {.live = live,
                                .found = found,
                                .found_count = sizeof found / sizeof *found,
                                .seeds = simulated_seeds(argc, argv, 300)};
    says = hosts_option(argc, argv, "--log");
    return hosts_run(&lives);
}
