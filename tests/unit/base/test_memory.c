/* test_memory.c: the allocator's door. */
#include "base/bytes.h"
#include "base/memory.h"

#include "cmocka_all.h"

#ifdef REDSTART_JEMALLOC
#include <jemalloc/jemalloc.h>
#endif

enum { PAGE = 4096 };

static void test_blocks(void **state) {
    (void)state;
    char *block = memory_alloc(10);
    assert_true(memory_usable_size(block) >= 10);
    assert_in_range(memory_size_class(10), 10, memory_usable_size(block));
    memcpy(block, "123456789", 10);
    block = memory_resize(block, 100000);
    assert_string_equal(block, "123456789");
    block = memory_try_resize(block, 20);
    assert_string_equal(block, "123456789");
    memory_free(block);
    memory_free(NULL);

    block = memory_resize(NULL, 0);
    assert_non_null(block);
    block = memory_resize(block, 0);
    assert_non_null(block);
    memory_free(block);
    block = memory_alloc(0);
    assert_non_null(block);
    memory_free(block);

    block = memory_alloc_zeroed(100, 7);
    for (int i = 0; i < 700; i++)
        assert_int_equal(block[i], 0);
    memory_free(block);
    for (size_t alignment = 1; alignment <= 1 << 20; alignment *= 2) {
        block = memory_alloc_aligned(alignment, 100);
        assert_int_equal((uintptr_t)block % alignment, 0);
        memory_free(block);
    }
}

static void test_copies(void **state) {
    (void)state;
    char *text = memory_copy_text("redstart");
    assert_string_equal(text, "redstart");
    memory_free(text);
    text = memory_copy("a\0b", 3);
    assert_memory_equal(text, "a\0b\0", 4);
    memory_free(text);
    text = memory_copy(NULL, 0);
    assert_string_equal(text, "");
    memory_free(text);
}

static void test_pages(void **state) {
    (void)state;
    char *pages = memory_alloc_aligned(PAGE, 8 * PAGE);
    memset(pages, 'x', 8 * PAGE);
    memory_discard_pages(pages + PAGE, 2 * PAGE);
    assert_int_equal(pages[PAGE - 1], 'x');
    for (size_t i = PAGE; i < 3 * PAGE; i++)
        assert_int_equal(pages[i], 0);
    assert_int_equal(pages[3 * PAGE], 'x');
    memory_free(pages);
}

#ifdef REDSTART_JEMALLOC

static void test_try_says_no(void **state) {
    (void)state;
    volatile size_t too_much = SIZE_MAX / 2;
    assert_null(memory_try_alloc(too_much));
    char *block = memory_alloc(10);
    assert_null(memory_try_resize(block, too_much));
    memory_free(block);
}

static void test_report(void **state) {
    (void)state;
    struct memory_report before = memory_report();
    char *block = memory_alloc(64 << 20);
    memset(block, 1, 64 << 20);
    struct memory_report during = memory_report();
    assert_true(during.allocated >= before.allocated + (64 << 20));
    assert_true(during.active >= during.allocated);
    assert_true(during.resident >= during.active);
    assert_true(during.metadata > 0);
    memory_free(block);
    memory_purge();
    struct memory_report after = memory_report();
    assert_true(after.allocated < during.allocated);
    assert_true(after.resident < during.resident);
    assert_true(bytes_is(bytes_make(memory_allocator_name(), 9), "jemalloc-"));
}

static void test_options_are_read(void **state) {
    (void)state;
    ssize_t decay_ms = 0;
    size_t size = sizeof(decay_ms);
    assert_int_equal(mallctl("opt.dirty_decay_ms", &decay_ms, &size, NULL, 0), 0);
    assert_int_equal(decay_ms, 2000);
    bool background = false;
    size = sizeof(background);
    memory_purge_in_background(true);
    assert_int_equal(mallctl("background_thread", &background, &size, NULL, 0), 0);
    assert_true(background);
    memory_purge_in_background(false);
    assert_int_equal(mallctl("background_thread", &background, &size, NULL, 0), 0);
    assert_false(background);
}

#endif

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_blocks),
        cmocka_unit_test(test_copies),
        cmocka_unit_test(test_pages),
#ifdef REDSTART_JEMALLOC
        cmocka_unit_test(test_try_says_no),
        cmocka_unit_test(test_report),
        cmocka_unit_test(test_options_are_read),
#endif
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
