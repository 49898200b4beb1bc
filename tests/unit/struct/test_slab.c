/* test_slab.c: blocks do not overlap (each is full of its own pattern), reports add up, memory goes
 * back. */
#include "struct/slab.h"
#include "test_support.h"

enum { BLOCKS = 60000 };

struct block {
    slab_handle handle; /* 0: none */
    size_t size;
    uint8_t pattern;
};

static void block_fill(struct slab *slab, struct block *b, size_t size, uint64_t *random) {
    b->size = size;
    b->handle = slab_alloc(slab, size);
    b->pattern = (uint8_t)support_random(random);
    assert_true(b->handle != 0 && b->handle < UINT64_C(1) << SLAB_HANDLE_BITS);
    assert_int_equal(slab_block_size(slab, b->handle), slab_class_size(size));
    char *at = slab_at(slab, b->handle);
    assert_int_equal((uintptr_t)at % 8, 0);
    memset(at, b->pattern, slab_class_size(size));
}

static void block_check_and_free(struct slab *slab, struct block *b) {
    const uint8_t *at = slab_at(slab, b->handle);
    for (size_t i = 0; i < slab_class_size(b->size); i++)
        if (at[i] != b->pattern) fail_msg("block of %zu overwritten at %zu", b->size, i);
    slab_free(slab, b->handle);
    b->handle = 0;
}

static void report_check(const struct slab *slab, const struct block *blocks, size_t count) {
    size_t live = 0, bytes = 0;
    for (size_t i = 0; i < count; i++)
        if (blocks[i].handle != 0) {
            live++;
            bytes += slab_class_size(blocks[i].size);
        }
    struct slab_report report = slab_report(slab);
    assert_int_equal(report.blocks, live);
    assert_int_equal(report.block_bytes, bytes);
    assert_int_equal(slab_used(slab), bytes);
    assert_true(report.page_bytes >= bytes && report.chunk_bytes >= report.page_bytes);
}

static void test_classes(void **state) {
    (void)state;
    size_t before = 0;
    for (size_t size = 1; size <= SLAB_BLOCK_MAX; size++) {
        size_t class = slab_class_size(size);
        assert_true(class >= size && class >= before && class % 8 == 0);
        assert_int_equal(slab_class_size(class), class);
        if (size <= 256)
            assert_true(class < size + 8);
        else
            assert_true((class - size) * 8 <= class);
        before = class;
    }
    assert_int_equal(before, SLAB_BLOCK_MAX);
}

static void test_model(void **state) {
    (void)state;
    uint64_t random = support_seed("slab_model");
    struct block *blocks = calloc(BLOCKS, sizeof(*blocks));
    struct slab slab;
    slab_init(&slab);
    static const size_t sizes_max[] = {8, 64, SLAB_BLOCK_MAX, 40, 300};
    for (size_t phase = 0; phase < sizeof(sizes_max) / sizeof(sizes_max[0]); phase++) {
        for (size_t i = 0; i < 200000; i++) {
            struct block *b = &blocks[support_below(&random, BLOCKS)];
            if (b->handle != 0)
                block_check_and_free(&slab, b);
            else
                block_fill(&slab, b, 1 + support_below(&random, sizes_max[phase]), &random);
            if (i % 20000 == 0) report_check(&slab, blocks, BLOCKS);
        }
    }
    for (size_t i = 0; i < BLOCKS; i++)
        if (blocks[i].handle != 0) block_check_and_free(&slab, &blocks[i]);
    report_check(&slab, blocks, BLOCKS);
    assert_int_equal(slab_report(&slab).page_bytes, 0);
    assert_true(slab_report(&slab).chunk_bytes <= 2 << 20);
    slab_release(&slab);
    free(blocks);
}

/* Blocks fill pages, pages fill chunks, and nothing is lost on the way. */
static void test_density(void **state) {
    (void)state;
    for (size_t size = 8; size <= SLAB_BLOCK_MAX; size += 56) {
        struct slab slab;
        slab_init(&slab);
        size_t count = (24 << 20) / size;
        for (size_t i = 0; i < count; i++)
            slab_alloc(&slab, size);
        struct slab_report report = slab_report(&slab);
        assert_int_equal(report.blocks, count);
        assert_true((double)report.page_bytes < (double)report.block_bytes * 1.03 + 20000);
        assert_true(report.chunk_bytes < report.page_bytes + (2 << 20));
        slab_release(&slab);
    }
}

/* Old arrays of chunks stay readable while the arena grows. */
static void test_arrays(void **state) {
    (void)state;
    struct slab slab;
    slab_init(&slab);
    enum { COUNT = 150000 };
    slab_handle first = slab_alloc(&slab, 1000);
    memset(slab_at(&slab, first), 'x', 1000);
    char *const *chunks = slab.chunks;
    slab_handle *handles = calloc(COUNT, sizeof(*handles));
    for (size_t i = 0; i < COUNT; i++)
        handles[i] = slab_alloc(&slab, 1000);
    assert_true(slab.chunks != chunks);
    assert_ptr_equal(slab_at_chunks(chunks, first), slab_at(&slab, first));
    assert_int_equal(*(char *)slab_at_chunks(chunks, first), 'x');
    /* Chunks are given back, and their numbers used again. */
    size_t full = slab_report(&slab).chunk_bytes;
    for (size_t i = 0; i < COUNT; i++)
        slab_free(&slab, handles[i]);
    assert_true(slab_report(&slab).chunk_bytes <= 4 << 20);
    for (size_t i = 0; i < COUNT; i++) {
        handles[i] = slab_alloc(&slab, 1000);
        memset(slab_at(&slab, handles[i]), 'y', 1000);
    }
    assert_int_equal(slab_report(&slab).chunk_bytes, full);
    assert_int_equal(*(char *)slab_at(&slab, first), 'x');
    free(handles);
    slab_release(&slab);
}

/* Blocks of a page that is emptied go into others; one that stays keeps its page; and pages are
 * emptied until few could be spared. */
static void test_emptying(void **state) {
    (void)state;
    enum { COUNT = 30000, SIZE = 100 };
    uint64_t random = support_seed("slab_emptying");
    struct slab slab;
    slab_init(&slab);
    slab_handle *handles = calloc(COUNT, sizeof(*handles)), page[SLAB_PAGE_BLOCKS_MAX];
    size_t live = 0, stayed = 0;
    for (size_t i = 0; i < COUNT; i++)
        *(size_t *)slab_at(&slab, handles[i] = slab_alloc(&slab, SIZE)) = i;
    for (size_t i = 0; i < COUNT; i++)
        if (support_below(&random, 3) != 0) {
            slab_free(&slab, handles[i]);
            handles[i] = 0;
        } else {
            live++;
        }
    uint32_t cursor = 0;
    bool wrapped = false;
    while (!wrapped) {
        size_t count = slab_empty_begin(&slab, &cursor, 10, page, &wrapped);
        bool cancels = count > 0 && support_below(&random, 10) == 0;
        for (size_t i = 0; i < count - cancels; i++) {
            size_t owner = *(size_t *)slab_at(&slab, page[i]);
            assert_int_equal(handles[owner], page[i]);
            handles[owner] = slab_alloc(&slab, SIZE);
            assert_true(handles[owner] >> 11 != page[i] >> 11); /* of another page */
            *(size_t *)slab_at(&slab, handles[owner]) = owner;
            slab_free(&slab, page[i]);
        }
        if (cancels) slab_empty_cancel(&slab, page[count - 1]);
        stayed += cancels;
    }
    struct slab_report report = slab_report(&slab);
    assert_int_equal(report.blocks, live);
    assert_true(stayed > 0 && report.page_bytes < report.block_bytes * 5 / 4);
    for (size_t i = 0; i < COUNT; i++) {
        if (handles[i] == 0) continue;
        assert_int_equal(*(size_t *)slab_at(&slab, handles[i]), i);
        slab_free(&slab, handles[i]);
    }
    assert_int_equal(slab_report(&slab).page_bytes, 0);
    free(handles);
    slab_release(&slab);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_classes),  cmocka_unit_test(test_model),
        cmocka_unit_test(test_density),  cmocka_unit_test(test_arrays),
        cmocka_unit_test(test_emptying),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
