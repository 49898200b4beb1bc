/* eviction.c: sampling, ranking, choosing. */
#include "keyspace/eviction.h"

#include "base/random.h"
#include "keyspace/store.h"

enum {
    BUCKETS_MAX = 16,     /* looked at for one choice */
    HOPS_MAX = 64,        /* pages and segments without a time of expiry that are passed for it */
    OVERSAMPLING = 2,     /* keys looked at, for each of maxmemory-samples */
    PACE_EVICTIONS = 256, /* at least, after which the pace is measured again */
    PACE_SHARE = 8,       /* and this part of the keys */
    MARGIN_SEEN = 512,    /* entries, before they are judged */
    USED_EIGHTHS_FIRST = 48, /* struct use_worth, of lifetimes; and its bounds */
    USED_EIGHTHS_MIN = 8,
    USED_EIGHTHS_MAX = 256,
};

void eviction_init(struct eviction *eviction, struct keyspace *keyspace) {
    *eviction = (struct eviction){.keyspace = keyspace, .samples = 1};
    eviction->random = keyspace->use.random;
    keyspace->use.worth.used_eighths = USED_EIGHTHS_FIRST;
}

void eviction_set(struct eviction *eviction, enum eviction_rank rank, bool expiring_only,
                  uint32_t samples) {
    eviction->rank = rank;
    eviction->expiring_only = expiring_only;
    eviction->samples = samples;
    eviction->count = 0;
}

/* ---- ranking ---- */

static uint64_t rank(const struct eviction *eviction, const struct entry *entry) {
    const struct use_policy *use = &eviction->keyspace->use;
    if (eviction->rank == EVICTION_BY_EXPIRY) return (uint64_t)entry_expiry(entry);
    if (eviction->rank == EVICTION_RANDOM) return 0;
    if (use->kind == USE_BY_COUNT) return use_worth(use, entry_clock(entry));
    return use->ticks - use_age_ticks(use, entry_clock(entry));
}

/* Of the entries at the margin, those that have been new and those that have not: whichever are
 * used again more often get more room. */
static void weigh(struct eviction *eviction) {
    struct use_worth *worth = &eviction->keyspace->use.worth;
    uint64_t new_in_all = worth->hits_new + eviction->evicted_new;
    uint64_t used_in_all = worth->hits_used + eviction->evicted_used;
    if (new_in_all + used_in_all < MARGIN_SEEN) return;
    /* As shares; those of which none was seen have been used none too often. */
    bool used_earn_more =
        (worth->hits_used + 1) * (new_in_all + 2) > (worth->hits_new + 1) * (used_in_all + 2);
    uint64_t eighths = worth->used_eighths;
    eighths = used_earn_more ? eighths + eighths / 16 + 1 : eighths - eighths / 2 - 1;
    if (eighths < USED_EIGHTHS_MIN) eighths = USED_EIGHTHS_MIN;
    if (eighths > USED_EIGHTHS_MAX) eighths = USED_EIGHTHS_MAX;
    worth->used_eighths = eighths;
    worth->hits_new = worth->hits_used = 0;
    eviction->evicted_new = eviction->evicted_used = 0;
}

/* How long it takes to replace all keys: over as many evictions as a part of them, so that moments
 * in which nobody asks, or all do, do not count for much. */
static void note_pace(struct eviction *eviction) {
    if (++eviction->pace_evicted < PACE_EVICTIONS) return;
    struct use_policy *use = &eviction->keyspace->use;
    uint64_t count = keyspace_count(eviction->keyspace);
    if (eviction->pace_evicted < count / PACE_SHARE) return;
    uint64_t since = eviction->pace_since_ticks, before = use->worth.lifetime_ticks;
    uint64_t lifetime = count * (use->ticks - since) / eviction->pace_evicted;
    eviction->pace_evicted = 0;
    eviction->pace_since_ticks = use->ticks;
    if (since == 0) return;
    use->worth.lifetime_ticks = before == 0 ? lifetime : (before * 3 + lifetime) / 4;
}

/* This one goes. */
static void note_choice(struct eviction *eviction, const struct eviction_candidate *candidate) {
    struct use_policy *use = &eviction->keyspace->use;
    if (use->kind != USE_BY_COUNT || eviction->rank != EVICTION_BY_USE) return;
    use->worth.frontier = candidate->score;
    if (use_is_new(candidate->clock))
        eviction->evicted_new++;
    else
        eviction->evicted_used++;
    weigh(eviction);
    note_pace(eviction);
}

/* ---- the pool ---- */

static void pool_put(struct eviction *eviction, const struct eviction_candidate *candidate) {
    struct eviction_candidate *pool = eviction->pool;
    uint32_t at = eviction->count;
    if (at == EVICTION_POOL) {
        if (candidate->score >= pool[0].score) return;
        at = 0; /* the worst makes room */
        while (at + 1 < EVICTION_POOL && pool[at + 1].score > candidate->score)
            at++;
        memmove(pool, pool + 1, at * sizeof *pool);
    } else {
        while (at > 0 && pool[at - 1].score <= candidate->score)
            at--;
        memmove(pool + at + 1, pool + at, (eviction->count - at) * sizeof *pool);
        eviction->count++;
    }
    pool[at] = *candidate;
}

/* ---- sampling ---- */

struct sampling {
    struct eviction *eviction;
    const struct store *store;
    uint32_t database;
    uint32_t seen;
};

static void consider(void *context, table_element element) {
    struct sampling *sampling = context;
    struct eviction *eviction = sampling->eviction;
    const struct entry *entry = store_entry(sampling->store, element);
    if (eviction->expiring_only && !(entry->flags & ENTRY_EXPIRES)) return;
    sampling->seen++;
    struct eviction_candidate candidate = {.element = element,
                                           .score = rank(eviction, entry),
                                           .clock = entry_clock(entry),
                                           .database = sampling->database};
    if (eviction->count == EVICTION_POOL && candidate.score >= eviction->pool[0].score) return;
    candidate.hash = hash_bytes(&eviction->keyspace->secret, entry_key(entry));
    pool_put(eviction, &candidate);
}

static size_t eligible(const struct eviction *eviction, const struct store *store) {
    return eviction->expiring_only ? store->expiring : table_count(&store->table);
}

/* A database, each with the probability that its keys have; NULL when there are none. */
static struct database *choose_database(struct eviction *eviction) {
    struct keyspace *keyspace = eviction->keyspace;
    uint64_t total = 0;
    for (uint32_t i = 0; i < keyspace->database_count; i++)
        total += eligible(eviction, keyspace->databases[i].store);
    if (total == 0) return NULL;
    uint64_t chosen = random_next(&eviction->random) % total;
    for (uint32_t i = 0; i < keyspace->database_count; i++) {
        uint64_t count = eligible(eviction, keyspace->databases[i].store);
        if (chosen < count) return &keyspace->databases[i];
        chosen -= count;
    }
    return NULL;
}

static bool sample(struct eviction *eviction) {
    struct database *db = choose_database(eviction);
    if (!db) return false;
    struct store *store = db->store;
    struct sampling sampling = {eviction, store, db->number, 0};
    uint64_t wanted = (uint64_t)eviction->samples * OVERSAMPLING;
    for (int i = 0; i < BUCKETS_MAX && sampling.seen < wanted; i++)
        store->sample_cursor =
            eviction->expiring_only
                ? table_scan_bounded(&store->table, store->sample_cursor, TABLE_NO_BOUND - 1,
                                     HOPS_MAX, consider, &sampling)
                : table_scan(&store->table, store->sample_cursor, consider, &sampling);
    return true;
}

/* ---- choosing ---- */

static bool is_the_one(const void *context, table_element element) {
    const struct eviction_candidate *candidate = context;
    return candidate->element == element;
}

/* Is it still there, and as it was when it was seen? */
static bool find(const struct eviction *eviction, const struct eviction_candidate *candidate,
                 struct database **db, struct spot *spot) {
    *db = &eviction->keyspace->databases[candidate->database];
    struct store *store = (*db)->store;
    table_element element =
        table_find(&store->table, candidate->hash, is_the_one, candidate, &spot->place);
    if (element == 0) return false;
    spot->entry = store_entry(store, element);
    if (eviction->rank == EVICTION_BY_EXPIRY)
        return (uint64_t)entry_expiry(spot->entry) == candidate->score;
    if (eviction->expiring_only && !(spot->entry->flags & ENTRY_EXPIRES)) return false;
    return eviction->rank == EVICTION_RANDOM || entry_clock(spot->entry) == candidate->clock;
}

enum eviction_result eviction_choose(struct eviction *eviction, struct database **db,
                                     struct spot *spot) {
    if (!sample(eviction)) return EVICTION_NONE;
    while (eviction->count > 0) {
        const struct eviction_candidate candidate = eviction->pool[--eviction->count];
        if (!find(eviction, &candidate, db, spot)) continue;
        note_choice(eviction, &candidate);
        return EVICTION_FOUND;
    }
    return EVICTION_LATER;
}
