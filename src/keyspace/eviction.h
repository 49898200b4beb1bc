/* eviction.h: which key goes when memory is short.
 *
 *     database, by its share of the keys
 *        |  a bucket at the database's cursor, and the next, until enough keys were seen
 *        v
 *     pool: the best candidates seen so far, kept from one choice to the next
 *        |
 *        v
 *     the best of them that has not been used since
 *
 * Keys lie in the table in the order of their hashes, so the keys behind a cursor are a sample as
 * good as random ones, and cheaper: those of a bucket come from memory together. A key is
 * named in the pool by hash and element, which cost nothing to compare; whether it is still
 * there, and was not used since, is found out when it is chosen.
 *
 * What ranks them. By time: the last use, in ticks. By count: the last use, put off by a time for
 * what was counted: the counter's decay period for each; or, where keys are evicted sooner than
 * that, so many times as long as it takes to replace as many keys as there are, as experience says
 * (struct use_worth). So what was popular is forgotten in a time that fits how fast things change
 * here, and a scan of keys that never come again takes little room. By expiry: the nearest.
 *
 * Owns the pool. Must never change an entry, nor look further than a bounded number of buckets. */
#ifndef REDSTART_KEYSPACE_EVICTION_H
#define REDSTART_KEYSPACE_EVICTION_H

#include "keyspace/keyspace.h"

enum eviction_rank { EVICTION_BY_USE, EVICTION_BY_EXPIRY, EVICTION_RANDOM };

enum { EVICTION_POOL = 128 };

struct eviction_candidate {
    uint64_t hash;
    table_element element;
    uint64_t score; /* the lowest goes first */
    uint32_t clock; /* of the entry, when it was seen */
    uint32_t database;
};

struct eviction {
    struct keyspace *keyspace;
    enum eviction_rank rank;
    bool expiring_only;
    uint32_t samples; /* keys looked at for each choice */
    uint64_t random;
    struct eviction_candidate pool[EVICTION_POOL]; /* the best last */
    uint32_t count;
    uint64_t evicted_new, evicted_used; /* by count, since the margin was last judged */
    uint64_t pace_since_ticks;
    uint32_t pace_evicted;
};

void eviction_init(struct eviction *eviction, struct keyspace *keyspace);
/* Rank otherwise from now on; the pool is empty. */
void eviction_set(struct eviction *eviction, enum eviction_rank rank, bool expiring_only,
                  uint32_t samples);

enum eviction_result {
    EVICTION_FOUND,
    EVICTION_LATER, /* nothing found so far: ask again */
    EVICTION_NONE,  /* there is nothing to evict */
};
/* The key that should go. The caller removes it: its entry stands at *spot. */
enum eviction_result eviction_choose(struct eviction *eviction, struct database **db,
                                     struct spot *spot);

#endif
