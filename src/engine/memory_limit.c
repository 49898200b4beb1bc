/* memory_limit.c: see memory_limit.h. Must never run inside a command: a command's keys stay where
 * they are from its beginning to its end. */
#include "engine/memory_limit.h"

#include "base/invariant.h"
#include "engine/config.h"
#include "engine/server.h"

/* ---- configuration ---- */

/* Up to 10 in steps of 50 us; from there 15 % more for each. */
static int64_t share_us(int64_t tenacity) {
    enum { STEP_US = 50, STEADY = 10, ALL = 100 };
    if (tenacity >= ALL) return INT64_MAX;
    if (tenacity <= STEADY) return tenacity * STEP_US;
    double share = STEADY * STEP_US;
    for (int64_t i = STEADY; i < tenacity; i++)
        share *= 1.15;
    return (int64_t)share;
}

static bool is_volatile(int policy) {
    return policy == POLICY_VOLATILE_LRU || policy == POLICY_VOLATILE_LFU ||
           policy == POLICY_VOLATILE_LRM || policy == POLICY_VOLATILE_RANDOM ||
           policy == POLICY_VOLATILE_TTL;
}

static enum eviction_rank rank_of(int policy) {
    switch (policy) {
    case POLICY_VOLATILE_TTL: return EVICTION_BY_EXPIRY;
    case POLICY_ALLKEYS_RANDOM:
    case POLICY_VOLATILE_RANDOM: return EVICTION_RANDOM;
    default: return EVICTION_BY_USE;
    }
}

void memory_limit_init(struct server *server) {
    eviction_init(&server->limit.eviction, &server->keyspace);
    memory_limit_configure(server);
}

void memory_limit_configure(struct server *server) {
    const struct config *config = server->config;
    struct memory_limit *limit = &server->limit;
    int policy = config->maxmemory_policy;
    limit->is_set = config->maxmemory > 0;
    limit->evicts = policy != POLICY_NOEVICTION;
    limit->share_us = share_us(config->maxmemory_eviction_tenacity);
    eviction_set(&limit->eviction, rank_of(policy), is_volatile(policy),
                 (uint32_t)config->maxmemory_samples);
    limit->is_reached = false;
    if (!limit->is_set) memory_room_step(server);
}

/* ---- what counts ---- */

size_t memory_limit_apart(const struct server *server) {
    const struct replication_memory *replication = &server->replication.memory;
    return server->keyspace.epochs.limbo_bytes + server->disposing_bytes +
           server->journal.pending.capacity + (replication->blocks - replication->backlog);
}

size_t memory_limit_used(const struct server *server) {
    size_t used = server_used_memory(server), apart = memory_limit_apart(server);
    return used > apart ? used - apart : 0;
}

/* ---- evicting ---- */

static uint64_t ticks_of(const struct server *server, int64_t us) {
    uint64_t per_us = (uint64_t)server->io->operations->ticks_per_us;
    return us >= INT64_MAX / (int64_t)(per_us + 1) ? UINT64_MAX : (uint64_t)us * per_us;
}

static void evict(struct server *server, struct database *db, struct spot *spot) {
    server->statistics.evicted_keys++;
    server_remove_key(server, db, spot, NOTIFY_EVICTED, "evicted");
}

bool memory_limit_has_room(const struct server *server, size_t more) {
    size_t wanted = server->room.promised + more, maxmemory = server->config->maxmemory;
    /* Far from the limit nothing need be subtracted. */
    size_t at_most = server_used_memory_at_most(server);
    if (likely(at_most <= maxmemory && wanted <= maxmemory - at_most)) return true;
    return memory_limit_used(server) + wanted <= maxmemory;
}

/* May one more be evicted in this turn, `count` having been since this call? */
static bool has_time(const struct server *server, uint64_t begun, uint32_t count) {
    const struct memory_limit *limit = &server->limit;
    uint64_t spent = limit->spent_ticks + (io_ticks(server->io) - begun);
    if (spent < ticks_of(server, limit->share_us)) return true;
    return count < MEMORY_LIMIT_KEYS && spent < ticks_of(server, MEMORY_LIMIT_TURN_US_MAX);
}

static enum memory_limit_progress evict_some(struct server *server, size_t more, uint64_t begun) {
    uint32_t count = 0, tries = 0;
    while (has_time(server, begun, count)) {
        struct database *db;
        struct spot spot;
        enum eviction_result result = eviction_choose(&server->limit.eviction, &db, &spot);
        if (result == EVICTION_NONE) return MEMORY_LIMIT_NOTHING_LEFT;
        if (result == EVICTION_LATER) {
            if (++tries == MEMORY_LIMIT_TRIES) return MEMORY_LIMIT_UNFINISHED;
            continue;
        }
        evict(server, db, &spot);
        server->limit.found = true;
        count++;
        if (memory_limit_has_room(server, more)) return MEMORY_LIMIT_BELOW;
    }
    return MEMORY_LIMIT_UNFINISHED;
}

static enum memory_limit_progress evict_in_turn(struct server *server, size_t more) {
    struct memory_limit *limit = &server->limit;
    uint64_t begun = io_ticks(server->io);
    if (limit->turn != server->statistics.turns) {
        limit->turn = server->statistics.turns;
        limit->spent_ticks = 0;
        limit->found = false;
    }
    enum memory_limit_progress progress = evict_some(server, more, begun);
    uint64_t ticks = io_ticks(server->io) - begun;
    limit->spent_ticks += ticks;
    insight_note_ticks(server, "eviction-cycle", ticks);
    return progress;
}

static void note_exceeded(struct server *server, bool exceeded) {
    struct memory_limit *limit = &server->limit;
    if (exceeded == (limit->exceeded_since_us != 0)) return;
    if (exceeded) {
        limit->exceeded_since_us = server->monotonic_us;
    } else {
        limit->exceeded_us += (uint64_t)(server->monotonic_us - limit->exceeded_since_us);
        limit->exceeded_since_us = 0;
    }
}

/* The primary says what goes. */
static bool replica_ignores(const struct server *server) {
    return server->replication.is_replica && server->config->replica_ignore_maxmemory;
}

bool memory_limit_applies(const struct server *server) {
    return server->limit.is_set && !server->loading && !replica_ignores(server) &&
           server->pause == SERVER_PAUSE_NONE;
}

enum memory_limit_progress memory_limit_make_room(struct server *server, size_t more) {
    struct memory_limit *limit = &server->limit;
    if (likely(memory_limit_has_room(server, more))) return MEMORY_LIMIT_BELOW;
    if (!limit->evicts) return MEMORY_LIMIT_NOTHING_LEFT;
    enum memory_limit_progress progress = evict_in_turn(server, more);
    limit->unfinished |= progress == MEMORY_LIMIT_UNFINISHED;
    return progress;
}

/* There may be a key that can go, but memory must not grow for as long as none is found. */
static bool searches_in_vain(const struct server *server) {
    uint64_t maxmemory = server->config->maxmemory, more = maxmemory / MEMORY_LIMIT_PART;
    if (server->limit.found) return false;
    return memory_limit_used(server) >
           maxmemory + (more > MEMORY_LIMIT_LEAST ? more : MEMORY_LIMIT_LEAST);
}

bool memory_limit_check(struct server *server) {
    struct memory_limit *limit = &server->limit;
    limit->unfinished = limit->is_reached = false;
    if (!memory_limit_applies(server)) return false;
    enum memory_limit_progress progress = memory_limit_make_room(server, 0);
    limit->is_reached = progress == MEMORY_LIMIT_NOTHING_LEFT ||
                        (progress == MEMORY_LIMIT_UNFINISHED && searches_in_vain(server));
    note_exceeded(server, progress != MEMORY_LIMIT_BELOW);
    return limit->is_reached;
}

void memory_limit_step(struct server *server) {
    memory_limit_check(server);
    if (unlikely(server->room.first || server->room.beyond)) memory_room_step(server);
    if (waiting_is_ready(&server->waiting)) {
        waiting_serve(server);
        waiting_resume(server);
    }
    journal_commit(&server->journal);
}

uint64_t memory_limit_exceeded_ms(const struct server *server) {
    const struct memory_limit *limit = &server->limit;
    if (limit->exceeded_since_us == 0) return 0;
    return (uint64_t)(server->monotonic_us - limit->exceeded_since_us) / 1000;
}

uint64_t memory_limit_exceeded_total_ms(const struct server *server) {
    return server->limit.exceeded_us / 1000 + memory_limit_exceeded_ms(server);
}
