/* bench_record_table.c: what the table of large sets and hashes costs: nanoseconds an operation,
 * with what it will touch on its way for a whole batch, as in the server; bytes a record.
 *
 *     bench_record_table [records ...]        1000000 if not given */
#include "base/hash.h"
#include "struct/record_table.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { BATCH = 192, KEY_SIZE = 20, VALUE_SIZE_MAX = 100 };

static uint64_t processor_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

struct bench {
    struct epochs epochs;
    struct hash_secret secret;
    struct record_world world;
    struct record_table table;
    uint64_t random;
    size_t value_size; /* 0: a set */
    char keys[BATCH][KEY_SIZE + 1];
    struct item items[BATCH];
    uint64_t hashes[BATCH];
    uint64_t took_ns;
};

static uint64_t next_random(struct bench *b) {
    return hash_mix(++b->random * 0x9e3779b97f4a7c15u);
}

/* Keys of the next batch: numbers below the limit, or from it on. */
static void choose(struct bench *b, uint64_t first, uint64_t limit, bool in_order) {
    for (size_t i = 0; i < BATCH; i++) {
        uint64_t number = in_order ? first + i : first + next_random(b) % limit;
        snprintf(b->keys[i], sizeof b->keys[i], "element:%012llu", (unsigned long long)number);
        b->items[i] = item_make(bytes_make(b->keys[i], KEY_SIZE));
    }
}

static void bring_near(struct bench *b) {
    for (size_t i = 0; i < BATCH; i++) {
        b->hashes[i] = record_table_hash(&b->world, &b->items[i]);
        record_table_prefetch_way(&b->table, b->hashes[i]);
    }
    for (size_t i = 0; i < BATCH; i++)
        record_table_prefetch_chunk(&b->table, b->hashes[i]);
    for (size_t i = 0; i < BATCH; i++)
        record_table_prefetch_record(&b->table, b->hashes[i]);
}

static size_t put_batch(struct bench *b) {
    static const char value[VALUE_SIZE_MAX] = "value";
    size_t added = 0;
    uint64_t begin = processor_ns();
    bring_near(b);
    for (size_t i = 0; i < BATCH; i++) {
        struct record record = {.key = b->items[i],
                                .value = {.text = value, .size = b->value_size},
                                .expiry = RECORD_NO_EXPIRY};
        added += record_table_put(&b->table, &b->world, &record);
    }
    b->took_ns += processor_ns() - begin;
    return added;
}

static size_t find_batch(struct bench *b) {
    struct record record;
    size_t found = 0;
    uint64_t begin = processor_ns();
    bring_near(b);
    for (size_t i = 0; i < BATCH; i++)
        found += record_table_find(&b->table, &b->world, &b->items[i], &record);
    b->took_ns += processor_ns() - begin;
    return found;
}

static void report(struct bench *b, const char *what, size_t batches) {
    printf("  %-28s %8.1f ns\n", what, (double)b->took_ns / (double)(batches * BATCH));
    b->took_ns = 0;
}

static void run(size_t count, size_t value_size) {
    struct bench *b = calloc(1, sizeof *b);
    if (!b) abort();
    b->value_size = value_size;
    epochs_init(&b->epochs);
    for (size_t i = 0; i < sizeof b->secret.bytes; i++)
        b->secret.bytes[i] = (uint8_t)next_random(b);
    b->world = (struct record_world){.epochs = &b->epochs, .secret = &b->secret};
    record_table_init(&b->table);
    size_t batches = count / BATCH, rounds = 2000000 / BATCH, found = 0;
    printf("%zu records, values of %zu bytes\n", batches * BATCH, value_size);
    for (size_t i = 0; i < batches; i++) {
        choose(b, i * BATCH, 0, true);
        if (put_batch(b) != BATCH) abort();
    }
    report(b, "put, growing", batches);
    printf("  %-28s %8.2f\n", "bytes a record", (double)b->table.bytes / (double)b->table.count);
    for (size_t i = 0; i < rounds; i++) {
        choose(b, 0, batches * BATCH, false);
        found += find_batch(b);
    }
    if (found != rounds * BATCH) abort();
    report(b, "find", rounds);
    for (size_t i = 0; i < rounds; i++) {
        choose(b, count, count, false);
        if (find_batch(b) != 0) abort();
    }
    report(b, "miss", rounds);
    for (size_t i = 0; i < rounds; i++) {
        choose(b, 0, batches * BATCH, false);
        if (put_batch(b) != 0) abort();
    }
    report(b, "put, over one that is there", rounds);
    record_table_release(&b->table);
    epochs_release(&b->epochs);
    free(b);
}

int main(int argc, char **argv) {
    for (int i = 1; i < argc || i == 1; i++) {
        size_t count = argc > 1 ? (size_t)strtoull(argv[i], NULL, 10) : 1000000;
        if (count < BATCH) count = BATCH;
        run(count, 0);
        run(count, 16);
        run(count, VALUE_SIZE_MAX);
    }
    return 0;
}
