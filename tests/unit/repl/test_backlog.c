/* test_backlog.c: the stream's end in blocks, against a plain buffer. */
#include "../base/cmocka_all.h"
#include "../base/random.h"
#include "base/buffer.h"
#include "repl/backlog.h"

struct reading {
    struct buffer bytes;
};

static void read_stretch(void *context, struct output_shared *shared, size_t from, size_t size) {
    struct reading *reading = context;
    assert_true(size > 0 && from + size <= shared->size);
    buffer_append(&reading->bytes, shared->data + from, size);
}

static void expect_from(const struct backlog *backlog, const struct buffer *all, uint64_t base,
                        uint64_t from) {
    struct reading reading = {0};
    backlog_each(backlog, from, read_stretch, &reading);
    assert_int_equal(reading.bytes.size, backlog->end - from);
    if (reading.bytes.size > 0)
        assert_memory_equal(reading.bytes.data, all->data + (from - base), reading.bytes.size);
    buffer_release(&reading.bytes);
}

/* What was appended is read from any place that is kept; at least `wanted` bytes are. */
static void test_against_a_buffer(void **state) {
    (void)state;
    struct random random = random_from_seed();
    enum { ROUNDS = 40, STEPS = 200, SIZE_MAX_HERE = 60000 };
    char bytes[SIZE_MAX_HERE];
    struct replication_memory memory = {0};
    for (int round = 0; round < ROUNDS; round++) {
        uint64_t base = random_below(&random, 1000000), wanted = random_below(&random, 400000);
        struct backlog backlog = {0};
        struct buffer all = {0};
        backlog_open(&backlog, base, wanted, &memory);
        for (int step = 0; step < STEPS; step++) {
            size_t size = random_below(&random, random_below(&random, 4) ? 200 : SIZE_MAX_HERE);
            for (size_t i = 0; i < size; i++)
                bytes[i] = (char)random_below(&random, 256);
            buffer_append(&all, bytes, size);
            uint64_t before = backlog.end;
            backlog_append(&backlog, bytes_make(bytes, size));
            assert_int_equal(backlog.end, base + all.size);
            expect_from(&backlog, &all, base, before); /* not trimmed away before it was sent */
            backlog_trim(&backlog);
            uint64_t kept = backlog.end - backlog.begin;
            assert_true(backlog.begin == base || kept >= wanted);
            assert_true(kept <= wanted + BACKLOG_BLOCK_MAX + size);
            if (random_below(&random, 20) == 0) {
                wanted = random_below(&random, wanted + 1);
                backlog_set_wanted(&backlog, wanted);
                kept = backlog.end - backlog.begin;
            }
            expect_from(&backlog, &all, base, backlog.begin + random_below(&random, kept + 1));
        }
        assert_true(memory.backlog >= backlog.end - backlog.begin);
        assert_int_equal(memory.blocks, memory.backlog);
        backlog_close(&backlog);
        assert_int_equal(memory.blocks, 0);
        assert_int_equal(memory.backlog, 0);
        buffer_release(&all);
    }
}

static void take_stretch(void *context, struct output_shared *block, size_t from, size_t size) {
    output_append_shared(context, block, from, size);
}

/* A block that an output has a stretch of stays when the backlog lets go of it, and counts. */
static void test_a_slow_reader(void **state) {
    (void)state;
    struct backlog backlog = {0};
    struct output output = {0};
    struct bytes parts[OUTPUT_PARTS_MAX];
    struct replication_memory memory = {0};
    backlog_open(&backlog, 0, 0, &memory);
    backlog_append(&backlog, BYTES("first"));
    backlog_each(&backlog, 0, take_stretch, &output);
    for (int i = 0; i < 100; i++) {
        char much[BACKLOG_BLOCK_MIN];
        memset(much, 'x', sizeof much);
        backlog_append(&backlog, bytes_make(much, sizeof much));
        backlog_trim(&backlog);
    }
    assert_true(backlog.begin > 5);
    assert_int_equal(memory.blocks, memory.backlog + BACKLOG_BLOCK_MIN);
    backlog_close(&backlog);
    assert_int_equal(memory.blocks, BACKLOG_BLOCK_MIN);
    assert_int_equal(output_parts(&output, parts), 1);
    assert_true(bytes_equal(parts[0], BYTES("first")));
    output_release(&output);
    assert_int_equal(memory.blocks, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_against_a_buffer),
        cmocka_unit_test(test_a_slow_reader),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
