/* test_intset.c: intsets against a plain array, and what comes from outside. */
#include "../base/cmocka_all.h"
#include "../base/random.h"
#include "struct/intset.h"

enum { RANGE = 400 };

/* Every number of a small set of them, of all widths. */
static int64_t number_of(uint64_t index) {
    int64_t step = index % 4 == 0   ? 1
                   : index % 4 == 1 ? 1000
                   : index % 4 == 2 ? 1 << 20
                                    : 1LL << 50;
    return ((int64_t)index - RANGE / 2) * step;
}

static void test_against_model(void **state) {
    (void)state;
    struct random random = random_from_seed();
    for (int round = 0; round < 50; round++) {
        bool there[RANGE] = {0};
        size_t count = 0;
        struct buffer b = {0};
        intset_begin(&b);
        uint64_t range = round % 2 ? RANGE : RANGE / 8;
        for (int i = 0; i < 1000; i++) {
            uint64_t index = random_below(&random, range);
            int64_t number = number_of(index);
            size_t at;
            assert_int_equal(intset_find(b.data, number, &at), there[index]);
            if (random_below(&random, 3)) {
                assert_int_equal(intset_add(&b, number), !there[index]);
                count += !there[index];
                there[index] = true;
            } else {
                assert_int_equal(intset_remove(&b, number), there[index]);
                count -= there[index];
                there[index] = false;
            }
            assert_int_equal(intset_count(b.data), count);
            if (count > 0) assert_true(intset_validate(buffer_bytes(&b)));
        }
        for (size_t i = 1; i < count; i++)
            assert_true(intset_get(b.data, i - 1) < intset_get(b.data, i));
        buffer_release(&b);
    }
}

static void test_known_bytes(void **state) {
    (void)state;
    struct buffer b = {0};
    intset_begin(&b);
    intset_add(&b, 5);
    intset_add(&b, -1);
    assert_int_equal(b.size, 12);
    assert_memory_equal(b.data, "\x02\0\0\0\x02\0\0\0\xff\xff\x05\0", 12);
    intset_add(&b, 70000);
    assert_memory_equal(b.data, "\x04\0\0\0\x03\0\0\0\xff\xff\xff\xff\x05\0\0\0\x70\x11\x01\0", 20);
    buffer_release(&b);
}

static void test_refuses(void **state) {
    (void)state;
    assert_true(intset_validate(bytes_make("\x02\0\0\0\x01\0\0\0\xff\xff", 10)));
    assert_false(intset_validate(bytes_make("\x02\0\0\0\x01\0\0\0\xff\xff", 9)));
    assert_false(intset_validate(bytes_make("\x02\0\0\0\x02\0\0\0\xff\xff", 10)));
    assert_false(intset_validate(bytes_make("\x03\0\0\0\x01\0\0\0\xff\xff\xff", 11)));
    assert_false(intset_validate(bytes_make("\x02\0\0\0\x02\0\0\0\x01\0\x01\0", 12)));
    assert_false(intset_validate(bytes_make("\x02\0\0\0\x00\0\0\0", 8)));
    assert_false(intset_validate(bytes_make("\x02\0\0\0", 4)));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_against_model),
        cmocka_unit_test(test_known_bytes),
        cmocka_unit_test(test_refuses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
