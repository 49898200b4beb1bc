/* test_pool.c: blocks do not overlap (each is full of its own pattern) and keep what is in them
 * when they are moved; counts add up, holes stay few, memory goes back. */
#include "struct/pool.h"
#include "test_support.h"

enum { BLOCKS = 4000, MOVES = 2, CHUNK = 256 << 10 };

/* A block begins with the address of its owner; the owner knows where it is. */
struct block {
    char *at; /* NULL: none */
    size_t size;
    uint8_t pattern;
    bool pinned;
};

static size_t whole(size_t size) {
    return (size + POOL_GRANULE - 1) / POOL_GRANULE * POOL_GRANULE;
}

static void block_open(struct pool *pool, struct block *b, size_t size, uint64_t *random) {
    *b = (struct block){.at = pool_alloc(pool, size), .size = size};
    b->pattern = (uint8_t)support_random(random);
    assert_int_equal((uintptr_t)b->at % POOL_GRANULE, 0);
    memset(b->at, b->pattern, whole(size));
    memcpy(b->at, &b, sizeof b);
}

static void block_check(const struct block *b) {
    struct block *owner;
    memcpy(&owner, b->at, sizeof owner);
    assert_ptr_equal(owner, b);
    for (size_t i = sizeof owner; i < whole(b->size); i++)
        if ((uint8_t)b->at[i] != b->pattern)
            fail_msg("block of %zu bytes overwritten at %zu", b->size, i);
}

static void block_close(struct pool *pool, struct block *b) {
    block_check(b);
    pool_free(pool, b->at, b->size);
    *b = (struct block){0};
}

static bool block_move(void *to, void *from, size_t size) {
    struct block *owner;
    memcpy(&owner, from, sizeof owner);
    assert_ptr_equal(owner->at, from);
    assert_int_equal(whole(owner->size), size);
    if (owner->pinned) return false;
    memcpy(to, from, size);
    owner->at = to;
    return true;
}

static void report_check(const struct pool *pool, const struct block *blocks, size_t count) {
    size_t live = 0, bytes = 0;
    for (size_t i = 0; i < count; i++)
        if (blocks[i].at != NULL) {
            block_check(&blocks[i]);
            live++;
            bytes += whole(blocks[i].size);
        }
    struct pool_report report = pool_report(pool);
    assert_int_equal(report.blocks, live);
    assert_int_equal(report.block_bytes, bytes);
    assert_int_equal(pool_used(pool), bytes);
    assert_true(report.chunk_bytes >= bytes + report.hole_bytes + report.tail_bytes);
}

/* Blocks come, go, are pinned and let go of, in phases of growth and shrinkage. */
static void test_model(void **state) {
    (void)state;
    uint64_t random = support_seed("pool_model");
    struct block *blocks = calloc(BLOCKS, sizeof *blocks);
    struct pool pool;
    pool_init(&pool);
    static const struct {
        unsigned growth, pins;
        size_t size_max;
    } phases[] = {{80, 0, POOL_BLOCK_MAX}, {20, 0, POOL_BLOCK_MAX}, {90, 5, 3000},
                  {10, 5, 3000},           {95, 30, 700},           {5, 0, POOL_BLOCK_MAX}};
    for (size_t phase = 0; phase < sizeof phases / sizeof phases[0]; phase++) {
        for (size_t i = 0; i < EFFORT(20000); i++) {
            struct block *b = &blocks[support_below(&random, BLOCKS)];
            bool grow = support_below(&random, 100) < phases[phase].growth;
            if (b->at == NULL && grow)
                block_open(&pool, b, 1 + support_below(&random, phases[phase].size_max), &random);
            else if (b->at != NULL && !grow)
                block_close(&pool, b);
            else if (b->at != NULL)
                b->pinned = support_below(&random, 100) < phases[phase].pins;
            if (support_below(&random, 3) == 0) pool_tidy(&pool, block_move, MOVES);
            if (i % 2000 == 0) report_check(&pool, blocks, BLOCKS);
        }
        report_check(&pool, blocks, BLOCKS);
    }
    for (size_t i = 0; i < BLOCKS; i++)
        blocks[i].pinned = false;
    pool_tidy(&pool, block_move, UINT32_MAX);
    report_check(&pool, blocks, BLOCKS);
    struct pool_report report = pool_report(&pool);
    assert_true(report.hole_bytes * 64 <= report.block_bytes);
    for (size_t i = 0; i < BLOCKS; i++)
        if (blocks[i].at != NULL) block_close(&pool, &blocks[i]);
    report_check(&pool, blocks, BLOCKS);
    assert_int_equal(pool_report(&pool).chunk_bytes, 0);
    pool_release(&pool);
    free(blocks);
}

/* A pinned last block keeps the holes below it from being closed, and nothing breaks; it is closed
 * when the pin is gone. */
static void test_pinned(void **state) {
    (void)state;
    uint64_t random = support_seed("pool_pinned");
    enum { COUNT = 3000 };
    struct block *blocks = calloc(COUNT, sizeof *blocks);
    struct pool pool;
    pool_init(&pool);
    for (size_t i = 0; i < COUNT; i++)
        block_open(&pool, &blocks[i], 2560, &random);
    blocks[COUNT - 1].pinned = true;
    for (size_t i = 0; i < COUNT - 1; i += 2) {
        block_close(&pool, &blocks[i]);
        pool_tidy(&pool, block_move, MOVES);
    }
    report_check(&pool, blocks, COUNT);
    assert_int_equal(pool_report(&pool).hole_bytes, COUNT / 2 * 2560);
    blocks[COUNT - 1].pinned = false;
    for (size_t i = 0; i < COUNT / 2; i++)
        pool_tidy(&pool, block_move, 1);
    report_check(&pool, blocks, COUNT);
    assert_true(pool_report(&pool).hole_bytes * 64 <= pool_used(&pool));
    assert_true(pool_report(&pool).chunk_bytes <=
                pool_used(&pool) + pool_used(&pool) / 32 + 2 * CHUNK);
    pool_release(&pool);
    free(blocks);
}

/* The life of a table's segments: each grows at a time of its own. Prints the most that was lost in
 * the middle of a transition, in percent of the blocks. */
static void transitions(size_t count, uint64_t seed) {
    static const unsigned granules[] = {5, 6, 7, 8, 10};
    struct block *blocks = calloc(count, sizeof *blocks);
    size_t *order = calloc(count, sizeof *order);
    struct pool pool;
    pool_init(&pool);
    for (size_t i = 0; i < count; i++) {
        block_open(&pool, &blocks[i], granules[0] * POOL_GRANULE, &seed);
        order[i] = i;
    }
    double worst = 0;
    for (unsigned step = 1; step < sizeof granules / sizeof granules[0]; step++) {
        for (size_t i = count - 1; i > 0; i--) {
            size_t j = support_below(&seed, i + 1), was = order[i];
            order[i] = order[j];
            order[j] = was;
        }
        for (size_t i = 0; i < count; i++) {
            pool_tidy(&pool, block_move, MOVES);
            struct block grown;
            struct block *b = &blocks[order[i]];
            block_open(&pool, &grown, granules[step] * POOL_GRANULE, &seed);
            block_close(&pool, b);
            *b = grown;
            memcpy(b->at, &b, sizeof b);
            if (i < count / 10 || i > count - count / 10) continue;
            struct pool_report report = pool_report(&pool);
            double lost = 100.0 * (double)report.hole_bytes / (double)report.block_bytes;
            if (lost > worst) worst = lost;
            assert_true(report.tail_bytes <= 3 * CHUNK);
        }
    }
    print_message("%zu blocks: at most %.2f %% are holes\n", count, worst);
    assert_true(worst < 2);
    report_check(&pool, blocks, count);
    assert_true(pool_report(&pool).chunk_bytes <=
                pool_used(&pool) + pool_used(&pool) / 32 + 2 * CHUNK);
    pool_release(&pool);
    free(order);
    free(blocks);
}

static void test_transitions(void **state) {
    (void)state;
    uint64_t seed = support_seed("pool_transitions");
    transitions(2000, seed);
    transitions(6000, seed);
    transitions(20000, seed);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_model),
        cmocka_unit_test(test_pinned),
        cmocka_unit_test(test_transitions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
