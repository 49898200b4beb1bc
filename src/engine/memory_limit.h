/* memory_limit.h: maxmemory: how much is in use, what is evicted to stay below, what is refused.
 *
 * Before a command that may need memory, and once a turn, what is in use is compared with the
 * limit; as long as it is above, keys are evicted, each a DEL in the journal. Eviction has a share
 * of each turn (maxmemory-eviction-tenacity); when that is spent, commands go on, each evicting
 * some keys first, and the rest is for the next turns. When there is nothing to evict, or nothing
 * may be, commands that need memory are refused. So they are while a search among many keys that
 * may not be evicted has found none yet, and the limit is passed by more than a little.
 *
 * What waits for a view's end, or for a worker that frees it, counts as free already: evicting more
 * would not make it so sooner. */
#ifndef REDSTART_ENGINE_MEMORY_LIMIT_H
#define REDSTART_ENGINE_MEMORY_LIMIT_H

#include "keyspace/eviction.h"

struct server;

enum {
    MEMORY_LIMIT_TURN_US_MAX = 1500, /* of one turn, for eviction, unless tenacity is 100 */
    MEMORY_LIMIT_KEYS = 8,           /* evicted for a command after the turn's share is spent */
    MEMORY_LIMIT_TRIES = 16,         /* to find a key among many that may not be evicted */
    MEMORY_LIMIT_PART = 64,          /* this part of the limit may be passed during a search, */
    MEMORY_LIMIT_LEAST = 1 << 20,    /* or so many bytes, if that is more */
};

struct memory_limit {
    bool is_set;     /* there is a limit: the only field that a command looks at otherwise */
    bool evicts;     /* by the policy */
    bool unfinished; /* to be gone on with in the next turn */
    bool is_reached; /* as of the last look: above the limit, and nothing found to evict */
    int64_t share_us;
    uint64_t turn, spent_ticks; /* in this turn */
    bool found;                 /* a key to evict, in this turn */
    int64_t exceeded_since_us;  /* monotonic; 0: below the limit */
    uint64_t exceeded_us;       /* before that */
    struct eviction eviction;
};

void memory_limit_init(struct server *server);
/* The directives changed. */
void memory_limit_configure(struct server *server);
/* Bytes that do not count towards the limit: the journal's buffer, what waits for replicas beyond
 * the backlog (each key evicted would make it more), and what is as good as free. */
size_t memory_limit_apart(const struct server *server);
/* Bytes that do. */
size_t memory_limit_used(const struct server *server);
/* Is there so much room below the limit, with what is promised taken (memory_room.h)? */
bool memory_limit_has_room(const struct server *server, size_t more);
/* Is memory limited here and now? */
bool memory_limit_applies(const struct server *server);
enum memory_limit_progress {
    MEMORY_LIMIT_BELOW,
    MEMORY_LIMIT_UNFINISHED, /* the turn's share is spent */
    MEMORY_LIMIT_NOTHING_LEFT,
};
/* Evict until there is so much room, as far as time allows. Between commands. */
enum memory_limit_progress memory_limit_make_room(struct server *server, size_t more);
/* Evict as far as time allows. True when a command that needs memory is to be refused. */
bool memory_limit_check(struct server *server);
/* Once a turn. */
void memory_limit_step(struct server *server);
/* Milliseconds above the limit: since then, and in all. */
uint64_t memory_limit_exceeded_ms(const struct server *server);
uint64_t memory_limit_exceeded_total_ms(const struct server *server);

#endif
