/* use.h: how lately, or how often, an entry was used: 24 bits in each.
 *
 *     by time:    seconds, modulo 2^24                 when maxmemory-policy is not an LFU one
 *     by count:   minutes, 16 bits | counter, 8 bits   when it is
 *
 * The counter is logarithmic: the fuller it is the rarer a use adds one, so that 255 stand for
 * about a million uses with a factor of 10; it loses one for each decay period without a use. (The
 * scheme that Redis's documentation of its LFU eviction describes.) */
#ifndef REDSTART_KEYSPACE_USE_H
#define REDSTART_KEYSPACE_USE_H

#include "keyspace/entry.h"

struct use_policy {
    uint32_t seconds;       /* 24 bits: the present, for use by time */
    uint32_t minutes;       /* 16 bits: the same, for use by count */
    bool counts;            /* which of the two */
    uint32_t factor;        /* lfu-log-factor */
    uint32_t decay_minutes; /* lfu-decay-time; 0: never */
    uint64_t random;        /* state of the generator that decides whether a use adds one */
};

/* What a new entry has. */
static inline uint32_t use_first(const struct use_policy *policy) {
    enum { NEW_COUNT = 5 }; /* so that it is not the first to go */
    return policy->counts ? policy->minutes << 8 | NEW_COUNT : policy->seconds;
}

/* The counter, less what has decayed. */
uint32_t use_count(const struct use_policy *policy, const struct entry *entry);
void use_add(struct use_policy *policy, const struct entry *entry);

/* The entry was used. */
static inline void use_touch(struct use_policy *policy, const struct entry *entry) {
    if (__builtin_expect(policy->counts, 0))
        use_add(policy, entry);
    else if (entry_clock(entry) != policy->seconds)
        entry_set_clock(entry, policy->seconds);
}

/* Seconds since the last use, when used by time. */
static inline uint32_t use_idle_s(const struct use_policy *policy, const struct entry *entry) {
    return (policy->seconds - entry_clock(entry)) & 0xffffff;
}

#endif
