/* bench_table.c: what the segment table and the slabs cost: nanoseconds an operation, bytes an
 * element, and the worst single operation. Entries are slab blocks of 40 bytes that begin with
 * their hash, so that looking at a candidate touches its memory, as with real keys.
 *
 *     bench_table [elements ...]        1000000 and 10000000 if not given */
#include "base/hash.h"
#include "struct/slab.h"
#include "struct/table.h"
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>

enum { BATCH = 64, ENTRY_SIZE = 40 };

static uint64_t now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* Processor time of this process: what others do on the machine does not count, but for caches. */
static uint64_t processor_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static uint64_t hash_of_id(uint64_t id) {
    return hash_mix(id + 0x9e3779b97f4a7c15u);
}

static uint64_t next_random(void *state) {
    uint64_t *s = state;
    return hash_mix(++*s * 0x9e3779b97f4a7c15u);
}

struct bench {
    struct epochs epochs;
    struct slab slab;
    struct pool pool;
    struct table_owner owner;
    struct table table;
    size_t count;
};

static uint64_t entry_hash(void *context, table_element element) {
    struct bench *b = context;
    return *(uint64_t *)slab_at(&b->slab, element);
}

static void entry_prefetch(void *context, table_element element) {
    struct bench *b = context;
    __builtin_prefetch(slab_at(&b->slab, element));
}

struct probe {
    const struct bench *bench;
    uint64_t hash;
};

static bool entry_matches(const void *context, table_element element) {
    const struct probe *p = context;
    return *(uint64_t *)slab_at(&p->bench->slab, element) == p->hash;
}

static table_element find(const struct bench *b, uint64_t hash, struct table_place *place) {
    struct probe probe = {b, hash};
    return table_find(&b->table, hash, entry_matches, &probe, place);
}

/* The slowest operation, without those in which another process had the processor. */
struct worst {
    uint64_t last, worst_ns;
    long switches;
    size_t slow, preempted;
};

enum { SLOW_NS = 100000 };

static long switches_now(void) {
    struct rusage usage;
    getrusage(RUSAGE_THREAD, &usage);
    return usage.ru_nivcsw;
}

static struct worst worst_begin(void) {
    return (struct worst){.switches = switches_now(), .last = now_ns()};
}

static inline void worst_note(struct worst *w) {
    uint64_t now = now_ns(), took = now - w->last;
    if (took > 15000) {
        long switches = switches_now();
        bool preempted = switches != w->switches;
        w->switches = switches;
        w->preempted += preempted;
        if (!preempted && took > w->worst_ns) w->worst_ns = took;
        w->slow += !preempted && took > SLOW_NS;
        now = now_ns();
    }
    w->last = now;
}

static void worst_report(const struct worst *w, const char *what) {
    printf("  worst %-30s %8.1f us; over 100 us: %zu, preempted: %zu\n", what,
           (double)w->worst_ns / 1000, w->slow, w->preempted);
}

static void report(const char *what, uint64_t begin, size_t operations) {
    printf("  %-36s %8.1f ns\n", what, (double)(processor_ns() - begin) / (double)operations);
}

/* In batches, as the server does it: what a lookup will touch is on its way before the first
 * insert. */
static void bench_insert(struct bench *b, bool timed) {
    struct worst worst = worst_begin();
    uint64_t begin = processor_ns();
    for (uint64_t id = 0; id < b->count; id += BATCH) {
        uint64_t hashes[BATCH];
        for (size_t i = 0; i < BATCH; i++) {
            hashes[i] = hash_of_id(id + i);
            table_prefetch_directory(&b->table, hashes[i]);
        }
        for (size_t i = 0; i < BATCH; i++)
            table_prefetch_bucket(&b->table, hashes[i]);
        worst.last = now_ns();
        for (size_t i = 0; i < BATCH && id + i < b->count; i++) {
            if (find(b, hashes[i], NULL) != 0) abort();
            slab_handle handle = slab_alloc(&b->slab, ENTRY_SIZE);
            *(uint64_t *)slab_at(&b->slab, handle) = hashes[i];
            table_insert(&b->table, hashes[i], handle, NULL);
            if (timed) worst_note(&worst);
        }
    }
    if (timed)
        worst_report(&worst, "insert");
    else
        report("find and insert, growing, with slab", begin, b->count);
}

static void bench_find(const struct bench *b, uint64_t misses) {
    uint64_t state = 5, hashes[BATCH];
    size_t rounds = 4000000 / BATCH, found = 0;
    uint64_t begin = processor_ns();
    for (size_t round = 0; round < rounds; round++) {
        for (size_t i = 0; i < BATCH; i++) {
            hashes[i] = hash_of_id(misses + next_random(&state) % b->count);
            table_prefetch_directory(&b->table, hashes[i]);
        }
        for (size_t i = 0; i < BATCH; i++)
            table_prefetch_bucket(&b->table, hashes[i]);
        for (size_t i = 0; i < BATCH; i++) {
            table_element candidate = table_candidate(&b->table, hashes[i]);
            if (candidate != 0) __builtin_prefetch(slab_at(&b->slab, candidate));
        }
        for (size_t i = 0; i < BATCH; i++)
            found += find(b, hashes[i], NULL) != 0;
    }
    report(misses ? "miss, batches of 64" : "find, batches of 64", begin, rounds * BATCH);
    if (found != (misses ? 0 : rounds * BATCH)) abort();
}

static void bench_find_alone(const struct bench *b) {
    uint64_t state = 5;
    size_t rounds = 1000000, found = 0;
    uint64_t begin = processor_ns();
    for (size_t i = 0; i < rounds; i++)
        found += find(b, hash_of_id(next_random(&state) % b->count), NULL) != 0;
    report("find, one by one", begin, rounds);
    if (found != rounds) abort();
}

static void bench_random(const struct bench *b) {
    uint64_t state = 5, begin = processor_ns(), sum = 0;
    for (size_t i = 0; i < 300000; i++)
        sum += table_random(&b->table, next_random, &state);
    report("random element", begin, 300000);
    if (sum == 0) abort();
}

static void count_visit(void *context, table_element element) {
    *(size_t *)context += element != 0;
}

static void bench_scan(const struct bench *b) {
    size_t seen = 0;
    uint64_t cursor = 0, begin = processor_ns();
    do
        cursor = table_scan(&b->table, cursor, count_visit, &seen);
    while (cursor != 0);
    report("scan, an element", begin, b->count);
    if (seen != b->count) abort();
}

/* Replace random elements while a view is open: the first touch of each segment copies it. */
static void bench_view(struct bench *b) {
    uint64_t begin = processor_ns();
    uint32_t view = epochs_freeze(&b->epochs);
    printf("  %-36s %8.1f ns\n", "open a view", (double)(processor_ns() - begin));
    uint64_t state = 9;
    struct worst worst = worst_begin();
    begin = processor_ns();
    for (size_t i = 0; i < 1000000; i++) {
        struct table_place place;
        table_element element = find(b, hash_of_id(next_random(&state) % b->count), &place);
        table_replace(&b->table, &place, element);
        worst_note(&worst);
    }
    report("replace under a view, one by one", begin, 1000000);
    worst_report(&worst, "replace");
    printf("  %-36s %8.1f MB\n", "copied", (double)b->epochs.limbo_bytes / 1e6);
    epochs_thaw(&b->epochs, view, SIZE_MAX);
}

static void bench_remove(struct bench *b) {
    struct worst worst = worst_begin();
    uint64_t begin = processor_ns();
    for (uint64_t id = 0; id < b->count; id++) {
        struct table_place place;
        table_element element = find(b, hash_of_id(id), &place);
        table_remove(&b->table, &place);
        slab_free(&b->slab, element);
        worst_note(&worst);
    }
    report("remove, shrinking, timed", begin, b->count);
    worst_report(&worst, "remove");
}

static void bench_slab(size_t count) {
    struct slab slab;
    slab_init(&slab);
    slab_handle *handles = malloc(count * sizeof(*handles));
    uint64_t begin = processor_ns(), state = 3;
    for (size_t i = 0; i < count; i++)
        handles[i] = slab_alloc(&slab, ENTRY_SIZE);
    report("slab: alloc, untouched", begin, count);
    for (size_t i = 0; i < count; i++)
        *(uint64_t *)slab_at(&slab, handles[i]) = i;
    begin = processor_ns();
    for (size_t i = 0; i < count; i++) {
        slab_free(&slab, handles[i]);
        handles[i] = slab_alloc(&slab, ENTRY_SIZE);
    }
    report("slab: free and alloc, in order", begin, count);
    begin = processor_ns();
    for (size_t i = 0; i < count; i++) {
        size_t at = next_random(&state) % count;
        slab_free(&slab, handles[at]);
        handles[at] = slab_alloc(&slab, 8 * (1 + at % 16));
    }
    report("slab: free and alloc, random", begin, count);
    begin = processor_ns();
    for (size_t i = 0; i < count; i++)
        slab_free(&slab, handles[i]);
    report("slab: free", begin, count);
    slab_release(&slab);
    free(handles);
}

static void bench_run(size_t count) {
    struct bench *b = calloc(1, sizeof(*b));
    b->count = count;
    b->owner = (struct table_owner){b, entry_hash, entry_prefetch, &b->pool};
    epochs_init(&b->epochs);
    slab_init(&b->slab);
    pool_init(&b->pool);
    table_init(&b->table, &b->epochs, &b->owner);
    printf("%zu elements\n", count);
    bench_insert(b, false);
    table_release(&b->table);
    pool_release(&b->pool);
    slab_release(&b->slab);
    slab_init(&b->slab);
    bench_insert(b, true);
    struct table_report structure = table_check(&b->table);
    printf("  %-36s %8.2f bytes; load %.3f, displaced %.3f\n", "table, an element",
           (double)structure.bytes / (double)count,
           (double)count / (double)(structure.buckets * TABLE_SLOTS),
           (double)structure.displaced / (double)count);
    printf("  %-36s %8.2f bytes\n", "slab, an element",
           (double)slab_report(&b->slab).chunk_bytes / (double)count);
    bench_find(b, 0);
    bench_find(b, UINT64_C(1) << 40);
    bench_find_alone(b);
    bench_random(b);
    bench_scan(b);
    bench_view(b);
    bench_remove(b);
    table_release(&b->table);
    pool_release(&b->pool);
    slab_release(&b->slab);
    epochs_release(&b->epochs);
    free(b);
    bench_slab(count);
}

int main(int argc, char **argv) {
    if (argc < 2) {
        bench_run(1000000);
        bench_run(10000000);
    }
    for (int i = 1; i < argc; i++)
        bench_run(strtoull(argv[i], NULL, 10));
    return 0;
}
