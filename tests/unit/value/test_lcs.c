/* test_lcs.c: the longest common subsequence against the table of textbooks, runs and ties as Redis
 * has them included. */
#include "base/buffer.h"
#include "base/memory.h"
#include "value/lcs.h"

#include "../base/cmocka_all.h"
#include "../base/random.h"

enum { SIZE_LIMIT = 150, ROUNDS = 3000 };

/* lengths[i][j]: of the first i bytes of a and the first j of b. */
struct naive {
    uint32_t lengths[SIZE_LIMIT + 1][SIZE_LIMIT + 1];
    struct lcs_run runs[SIZE_LIMIT];
    size_t run_count;
};

static void naive_fill(struct naive *naive, struct bytes a, struct bytes b) {
    for (size_t i = 0; i <= a.size; i++) {
        for (size_t j = 0; j <= b.size; j++) {
            uint32_t length = 0;
            if (i > 0 && j > 0) {
                uint32_t up = naive->lengths[i - 1][j], left = naive->lengths[i][j - 1];
                length = up > left ? up : left;
                if (a.data[i - 1] == b.data[j - 1]) length = naive->lengths[i - 1][j - 1] + 1;
            }
            naive->lengths[i][j] = length;
        }
    }
}

/* A match next to the last one, in both strings, belongs to its run. */
static void naive_add_match(struct naive *naive, size_t i, size_t j) {
    if (naive->run_count > 0) {
        struct lcs_run *last = &naive->runs[naive->run_count - 1];
        if (last->a_start == i + 1 && last->b_start == j + 1) {
            *last = (struct lcs_run){i, j, last->size + 1};
            return;
        }
    }
    naive->runs[naive->run_count++] = (struct lcs_run){i, j, 1};
}

static void naive_walk(struct naive *naive, struct bytes a, struct bytes b) {
    size_t i = a.size, j = b.size;
    naive->run_count = 0;
    while (i > 0 && j > 0) {
        if (a.data[i - 1] == b.data[j - 1])
            naive_add_match(naive, --i, --j);
        else if (naive->lengths[i - 1][j] > naive->lengths[i][j - 1])
            i--;
        else
            j--;
    }
}

static void check(struct naive *naive, struct bytes a, struct bytes b) {
    struct lcs lcs;
    struct lcs_run run;
    size_t length;
    naive_fill(naive, a, b);
    naive_walk(naive, a, b);
    assert_true(lcs_length(a, b, &length));
    assert_int_equal(length, naive->lengths[a.size][b.size]);
    assert_true(lcs_open(&lcs, a, b));
    assert_int_equal(lcs.length, length);
    for (int round = 0; round < 2; round++) { /* the second after going back */
        for (size_t i = 0; i < naive->run_count; i++) {
            assert_true(lcs_next_run(&lcs, &run));
            assert_int_equal(run.a_start, naive->runs[i].a_start);
            assert_int_equal(run.b_start, naive->runs[i].b_start);
            assert_int_equal(run.size, naive->runs[i].size);
        }
        assert_false(lcs_next_run(&lcs, &run));
        assert_false(lcs_next_run(&lcs, &run));
        lcs_rewind(&lcs);
    }
    lcs_close(&lcs);
}

static void test_known(void **state) {
    struct naive *naive = memory_alloc(sizeof *naive);
    (void)state;
    check(naive, BYTES("ohmytext"), BYTES("mynewtext"));
    assert_int_equal(naive->run_count, 2);
    check(naive, BYTES(""), BYTES("abc"));
    check(naive, BYTES("abc"), bytes_make(NULL, 0));
    check(naive, BYTES("abc"), BYTES("xyz"));
    check(naive, BYTES("\0\xff\0"), BYTES("\xff\0\xff"));
    memory_free(naive);
}

/* Sizes around the borders of words, alphabets from one byte to all. */
static void test_random(void **state) {
    static const uint64_t alphabets[] = {1, 2, 3, 8, 26, 256};
    struct naive *naive = memory_alloc(sizeof *naive);
    struct random random = random_from_seed();
    (void)state;
    for (int round = 0; round < ROUNDS; round++) {
        char text[2][SIZE_LIMIT];
        size_t size[2];
        uint64_t alphabet = alphabets[random_below(&random, 6)];
        for (int side = 0; side < 2; side++) {
            size[side] = random_below(&random, 3) == 0 ? 62 + random_below(&random, 5)
                                                       : random_below(&random, SIZE_LIMIT + 1);
            for (size_t i = 0; i < size[side]; i++)
                text[side][i] = (char)random_below(&random, alphabet);
        }
        check(naive, bytes_make(text[0], size[0]), bytes_make(text[1], size[1]));
    }
    memory_free(naive);
}

static void test_cost(void **state) {
    (void)state;
    assert_int_equal(lcs_cost(BYTES("ab"), BYTES("abc")), 3 * 4 * 4);
    struct bytes huge = {.data = "", .size = SIZE_MAX / 8};
    assert_true(lcs_cost(huge, huge) == SIZE_MAX);
}

/* The largest pairs that the default of proto-max-bulk-len lets pass. */
static void test_large(void **state) {
    enum { LARGE = 11000 };
    struct lcs lcs;
    struct lcs_run run;
    char *text = memory_alloc(2 * LARGE);
    (void)state;
    memset(text, 'x', 2 * LARGE);
    text[LARGE / 2] = 'y';
    assert_true(lcs_open(&lcs, bytes_make(text, LARGE), bytes_make(text + LARGE, LARGE)));
    assert_int_equal(lcs.length, LARGE - 1);
    assert_true(lcs_next_run(&lcs, &run));
    assert_int_equal(run.size, LARGE - LARGE / 2 - 1);
    lcs_close(&lcs);
    memory_free(text);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_known), cmocka_unit_test(test_random),
                                       cmocka_unit_test(test_cost), cmocka_unit_test(test_large)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
