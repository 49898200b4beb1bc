/* defragmenting.c: see defragmenting.h. Must never run inside a command. */
#include "engine/defragmenting.h"

#include "engine/config.h"
#include "engine/report.h"
#include "engine/server.h"

enum { MOVED_SHARE = 64 }; /* of the keys; a round that moved less has found little */

static uint64_t holes_of(const struct report_memory *memory) {
    return memory->active > memory->used ? memory->active - memory->used : 0;
}

/* The share of time that the holes are worth; 0: none. */
static uint32_t effort_wanted(const struct server *server, const struct report_memory *memory) {
    const struct config *config = server->config;
    uint64_t bytes = holes_of(memory);
    if (bytes == 0 || memory->used == 0) return 0;
    uint64_t percent = bytes * 100 / memory->used;
    uint64_t lower = (uint64_t)config->active_defrag_threshold_lower;
    uint64_t upper = (uint64_t)config->active_defrag_threshold_upper;
    uint32_t least = (uint32_t)config->active_defrag_cycle_min;
    uint32_t most = (uint32_t)config->active_defrag_cycle_max;
    if (bytes <= (uint64_t)config->active_defrag_ignore_bytes || percent <= lower) return 0;
    if (percent >= upper || most <= least) return most > least ? most : least;
    return least + (uint32_t)((most - least) * (percent - lower) / (upper - lower));
}

static void begin(struct server *server, uint32_t effort) {
    struct defragmenting *own = &server->defragmenting;
    own->effort = effort;
    own->at = (struct defragment){0};
    own->moved_before = own->counts.moved;
    own->due_us = own->running_since_us = server->monotonic_us;
}

static void end(struct server *server) {
    struct defragmenting *own = &server->defragmenting;
    own->ran_us += server->monotonic_us - own->running_since_us;
    own->effort = 0;
}

void defragmenting_check(struct server *server) {
    struct defragmenting *own = &server->defragmenting;
    bool is_wanted = server->config->activedefrag && !server->loading;
    if (!is_wanted) {
        if (defragmenting_runs(own)) end(server);
        return;
    }
    struct report_memory memory = report_memory(server);
    bool rests =
        server->monotonic_us < own->rest_until_us && holes_of(&memory) * 2 / 3 <= own->holes;
    if (!defragmenting_runs(own) && rests) return;
    uint32_t effort = effort_wanted(server, &memory);
    if (!defragmenting_runs(own) && effort > 0)
        begin(server, effort);
    else if (effort > 0)
        own->effort = effort;
}

static void end_round(struct server *server) {
    struct defragmenting *own = &server->defragmenting;
    uint64_t moved = own->counts.moved - own->moved_before;
    end(server);
    if (moved < keyspace_count(&server->keyspace) / MOVED_SHARE) {
        struct report_memory memory = report_memory(server);
        own->rest_until_us = server->monotonic_us + DEFRAGMENTING_REST_S * INT64_C(1000000);
        own->holes = holes_of(&memory);
    }
    defragmenting_check(server);
}

void defragmenting_step(struct server *server) {
    struct defragmenting *own = &server->defragmenting;
    if (server->monotonic_us < own->due_us) return;
    if (!defragment_may_run(&server->keyspace)) {
        own->due_us = server->monotonic_us + DEFRAGMENTING_FORBIDDEN_MS * 1000;
        return;
    }
    int64_t begun_us = io_monotonic_us(server->io), took_us = 0;
    bool finished = false;
    while (!finished && took_us < DEFRAGMENTING_TURN_US) {
        finished = defragment_step(&server->keyspace, &own->at, &own->counts);
        took_us = io_monotonic_us(server->io) - begun_us;
    }
    insight_note(server, "active-defrag-cycle", took_us);
    own->due_us = server->monotonic_us + took_us * 100 / own->effort;
    if (finished) end_round(server);
}

int64_t defragmenting_current_us(const struct server *server) {
    const struct defragmenting *own = &server->defragmenting;
    return defragmenting_runs(own) ? server->monotonic_us - own->running_since_us : 0;
}

int64_t defragmenting_total_us(const struct server *server) {
    return server->defragmenting.ran_us + defragmenting_current_us(server);
}
