/* test_bits.c: counting, finding, fields and combinations against one bit at a time. */
#include "../base/cmocka_all.h"
#include "../base/random.h"
#include "value/bits.h"
#include <string.h>

enum { SIZE_MAX_TESTED = 700 };

static void fill(struct random *random, char *data, size_t size) {
    unsigned kind = (unsigned)random_below(random, 4);
    for (size_t i = 0; i < size; i++)
        data[i] = (char)(kind == 0   ? 0
                         : kind == 1 ? 0xff
                                     : random_next(random) & (kind == 2 ? 0xff : 0x11));
}

static void test_counting_and_finding(void **state) {
    (void)state;
    struct random random = random_from_seed();
    char data[SIZE_MAX_TESTED];
    for (int round = 0; round < 3000; round++) {
        size_t size = 1 + random_below(&random, SIZE_MAX_TESTED);
        fill(&random, data, size);
        struct bytes bytes = bytes_make(data, size);
        uint64_t first = random_below(&random, size * 8), last = random_below(&random, size * 8);
        if (last < first) last = first;
        uint64_t all = 0, ranged = 0;
        int64_t found[2] = {-1, -1};
        for (uint64_t i = 0; i < size * 8; i++) {
            bool bit = bits_get(bytes, i);
            all += bit;
            if (i < first || i > last) continue;
            ranged += bit;
            if (found[bit] < 0) found[bit] = (int64_t)i;
        }
        assert_int_equal(bits_count(bytes), all);
        assert_int_equal(bits_count_range(bytes, first, last), ranged);
        assert_int_equal(bits_find(bytes, true, first, last), found[1]);
        assert_int_equal(bits_find(bytes, false, first, last), found[0]);
    }
}

static void test_fields(void **state) {
    (void)state;
    struct random random = random_from_seed();
    char data[40], before[40];
    for (int round = 0; round < 5000; round++) {
        unsigned count = 1 + (unsigned)random_below(&random, 64);
        uint64_t first = random_below(&random, sizeof data * 8 - count);
        uint64_t value = random_next(&random);
        fill(&random, data, sizeof data);
        memcpy(before, data, sizeof data);
        bits_set_field(data, first, count, value);
        uint64_t wanted = count == 64 ? value : value & ((UINT64_C(1) << count) - 1);
        assert_int_equal(bits_get_field(bytes_make(data, sizeof data), first, count), wanted);
        for (uint64_t i = 0; i < sizeof data * 8; i++)
            if (i < first || i >= first + count)
                assert_int_equal(bits_get(bytes_make(data, sizeof data), i),
                                 bits_get(bytes_make(before, sizeof data), i));
    }
}

static bool combined(enum bits_operation operation, unsigned ones, unsigned count, bool first) {
    switch (operation) {
    case BITS_AND: return ones == count;
    case BITS_OR: return ones > 0;
    case BITS_XOR: return ones % 2;
    case BITS_NOT: return !first;
    case BITS_DIFF: return first && ones == 1;
    case BITS_DIFF1: return !first && ones > 0;
    case BITS_ANDOR: return first && ones > 1;
    case BITS_ONE: return ones == 1;
    }
    return false;
}

static void test_combinations(void **state) {
    (void)state;
    struct random random = random_from_seed();
    static char data[5][9000], out[9000];
    for (int round = 0; round < 300; round++) {
        enum bits_operation operation = (enum bits_operation)(round % 8);
        unsigned count = operation == BITS_NOT ? 1 : 1 + (unsigned)random_below(&random, 5);
        struct bytes sources[5];
        size_t size = 0;
        for (unsigned i = 0; i < count; i++) {
            size_t own = random_below(&random, round % 3 ? 50 : sizeof data[0]);
            fill(&random, data[i], own);
            sources[i] = bytes_make(data[i], own);
            if (own > size) size = own;
        }
        bits_combine(operation, sources, count, out, size);
        for (uint64_t bit = 0; bit < size * 8; bit++) {
            unsigned ones = 0;
            for (unsigned i = 0; i < count; i++)
                ones += bits_get(sources[i], bit);
            assert_int_equal(bits_get(bytes_make(out, size), bit),
                             combined(operation, ones, count, bits_get(sources[0], bit)));
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_counting_and_finding),
        cmocka_unit_test(test_fields),
        cmocka_unit_test(test_combinations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
