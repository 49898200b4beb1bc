/* use.h: how lately, or how often, an entry was used: 24 bits in each.
 *
 *     by time     0  | 23 bits of 1/256 s    9 hours
 *                 10 | 22 bits of 1 s        48 days
 *                 11 | 22 bits of 8 s        a year
 *     by count    0  | 15 bits of 1/16 s     34 minutes | counter, 8 bits
 *                 1  | 15 bits of 1 minute   22 days    | counter, 8 bits
 *
 * A time is what the clock showed, modulo its field. While memory is limited entries get the finest
 * unit, in which a server under load can tell which of two keys was used later; else a coarse one,
 * so that a key in use is written to once a second at most. Before a field overflows use_age
 * writes the time in the next coarser one: whoever owns the entries calls it for each of them every
 * USE_ROUND_S seconds. What is older than the coarsest can say stays as old as that.
 *
 * The counter is logarithmic: the fuller it is the rarer a use adds one, so that 255 stand for
 * about a million uses with a factor of 10; it loses one for each decay period without a use. (The
 * scheme that Redis's documentation of its LFU eviction describes.) */
#ifndef REDSTART_KEYSPACE_USE_H
#define REDSTART_KEYSPACE_USE_H

#include "keyspace/entry.h"

enum {
    USE_TICKS = 256,   /* of the clock, in a second */
    USE_ROUND_S = 600, /* an entry's time is looked at so often */
    USE_NEW_COUNT = 5, /* the counter of a new one, so that it is not the first to go */
};

enum use_kind {
    USE_BY_TIME,   /* the last use */
    USE_BY_CHANGE, /* the last change: reading is no use */
    USE_BY_COUNT,
};

/* By count: how much longer an entry is kept than one that was used at the same time and never
 * before (eviction.h). Entries whose worth is just above that of the last one evicted are at the
 * margin: they are used again, or go. What share of them is used, of new ones and of others, says
 * which of the two deserve more room. */
struct use_worth {
    uint64_t lifetime_ticks;      /* to replace all entries, at the present pace; 0: not known */
    uint64_t used_eighths;        /* of it: what a use after the first is worth */
    uint64_t frontier;            /* the worth of the last one evicted */
    uint64_t hits_new, hits_used; /* at the margin, since they were last looked at */
};

struct use_policy {
    enum use_kind kind;
    bool is_fine;           /* memory is limited: the finest units */
    uint64_t ticks;         /* the present */
    uint32_t clock;         /* the same as a used entry gets it; by count: without the counter */
    uint32_t factor;        /* lfu-log-factor */
    uint32_t decay_minutes; /* lfu-decay-time; 0: never */
    uint64_t random;        /* state of the generator that decides whether a use adds one */
    struct use_worth worth;
};

/* The present, in microseconds of a clock that never goes back. */
void use_set_time(struct use_policy *policy, int64_t now_us);

/* What a new entry has. */
static inline uint32_t use_first(const struct use_policy *policy) {
    return policy->kind == USE_BY_COUNT ? policy->clock | USE_NEW_COUNT : policy->clock;
}

/* The counter, less what has decayed; by count alone. */
uint32_t use_count(const struct use_policy *policy, const struct entry *entry);
/* Which one is to be kept longer, by count: the last use, put off by what was counted. In ticks. */
uint64_t use_worth(const struct use_policy *policy, uint32_t clock);
/* The counter of one that was never used since it was new. */
static inline bool use_is_new(uint32_t clock) {
    return (clock & 0xff) <= USE_NEW_COUNT;
}
void use_add(struct use_policy *policy, const struct entry *entry);
/* Ticks since the last use. */
uint64_t use_age_ticks(const struct use_policy *policy, uint32_t clock);
/* Seconds since the last use; by time alone. */
static inline uint32_t use_idle_s(const struct use_policy *policy, const struct entry *entry) {
    return (uint32_t)(use_age_ticks(policy, entry_clock(entry)) / USE_TICKS);
}

/* What an entry has that was last used so long ago, or so often (0 to 255). */
uint32_t use_of_idle(const struct use_policy *policy, uint64_t idle_s);
uint32_t use_of_count(const struct use_policy *policy, uint32_t count);
/* Write the entry's time in a coarser unit, if it is about to overflow. */
void use_age(const struct use_policy *policy, const struct entry *entry);

/* The entry was changed (in part; a new one has use_first). Uses by count are added by use_touch,
 * once for a command. */
static inline void use_change(const struct use_policy *policy, const struct entry *entry) {
    if (policy->kind != USE_BY_COUNT && entry_clock(entry) != policy->clock)
        entry_set_clock(entry, policy->clock);
}

/* The entry was used, for reading or (`changes`) to be changed. */
static inline void use_touch(struct use_policy *policy, const struct entry *entry, bool changes) {
    if (__builtin_expect(policy->kind != USE_BY_TIME, 0)) {
        if (policy->kind == USE_BY_COUNT)
            use_add(policy, entry);
        else if (changes)
            entry_set_clock(entry, policy->clock);
    } else if (entry_clock(entry) != policy->clock) {
        entry_set_clock(entry, policy->clock);
    }
}

#endif
