/* use.c: counting uses. */
#include "keyspace/use.h"

enum { COUNT_MAX = 255, NEW_COUNT = 5, MINUTES_MASK = 0xffff };

uint32_t use_count(const struct use_policy *policy, const struct entry *entry) {
    uint32_t clock = entry_clock(entry), count = clock & 0xff;
    if (policy->decay_minutes == 0) return count;
    uint32_t periods = ((policy->minutes - (clock >> 8)) & MINUTES_MASK) / policy->decay_minutes;
    return periods > count ? 0 : count - periods;
}

/* xorshift64, Marsaglia 2003. */
static uint64_t next_random(struct use_policy *policy) {
    uint64_t x = policy->random;
    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
    return policy->random = x;
}

void use_add(struct use_policy *policy, const struct entry *entry) {
    uint32_t count = use_count(policy, entry);
    if (count < COUNT_MAX) {
        uint32_t above = count > NEW_COUNT ? count - NEW_COUNT : 0;
        uint64_t chances = (uint64_t)above * policy->factor + 1;
        if (next_random(policy) % chances == 0) count++;
    }
    entry_set_clock(entry, policy->minutes << 8 | count);
}
