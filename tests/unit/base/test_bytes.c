/* test_bytes.c: byte runs, buffers and blobs. */
#include "base/blob.h"
#include "base/buffer.h"
#include "base/bytes.h"
#include "base/memory.h"

#include "cmocka_all.h"
#include "random.h"

static void test_compare(void **state) {
    (void)state;
    assert_int_equal(bytes_compare(BYTES(""), bytes_make(NULL, 0)), 0);
    assert_true(bytes_compare(BYTES("a"), BYTES("b")) < 0);
    assert_true(bytes_compare(BYTES("a"), BYTES("ab")) < 0);
    assert_true(bytes_compare(BYTES("b"), BYTES("ab")) > 0);
    assert_true(bytes_compare(BYTES("\xff"), BYTES("\x01")) > 0);
    assert_true(bytes_compare(BYTES("a\0b"), BYTES("a\0c")) < 0);
    assert_int_equal(bytes_compare(BYTES("abc"), BYTES("abc")), 0);
}

static void test_equal(void **state) {
    (void)state;
    assert_true(bytes_equal_ignore_case(BYTES("GeT"), BYTES("gEt")));
    assert_false(bytes_equal_ignore_case(BYTES("get"), BYTES("getx")));
    assert_false(bytes_equal_ignore_case(BYTES("@"), BYTES("`")));
    assert_false(bytes_equal_ignore_case(BYTES("\xc4"), BYTES("\xe4")));
    assert_true(bytes_equal_constant_time(BYTES("secret"), BYTES("secret")));
    assert_false(bytes_equal_constant_time(BYTES("secret"), BYTES("Secret")));
    assert_false(bytes_equal_constant_time(BYTES("secret"), BYTES("secre")));
    assert_false(bytes_equal_constant_time(BYTES("ab"), BYTES("bb")));
    assert_true(bytes_equal_constant_time(bytes_make(NULL, 0), BYTES("")));
}

static void test_buffer(void **state) {
    (void)state;
    struct buffer b = {0};
    buffer_append(&b, NULL, 0);
    assert_null(b.data);
    buffer_append_text(&b, "count ");
    buffer_append_i64(&b, INT64_MIN);
    buffer_append_byte(&b, ';');
    buffer_append_format(&b, " %s=%d", "x", 42);
    assert_true(bytes_is(buffer_bytes(&b), "count -9223372036854775808; x=42"));
    buffer_consume(&b, 6);
    assert_true(bytes_is(buffer_bytes(&b), "-9223372036854775808; x=42"));
    buffer_consume(&b, b.size);
    assert_int_equal(b.size, 0);
    buffer_append_format(&b, "%0500d", 7); /* longer than the guess */
    assert_int_equal(b.size, 500);
    assert_int_equal(b.data[499], '7');
    buffer_clear(&b);
    assert_int_equal(b.size, 0);
    buffer_release(&b);
    assert_null(b.data);
    assert_int_equal(b.capacity, 0);
}

static void test_buffer_against_array(void **state) {
    (void)state;
    enum { MODEL_MAX = 1 << 16 };
    static char model[MODEL_MAX];
    size_t model_size = 0;
    struct random r = random_from_seed();
    struct buffer b = {0};
    for (int i = 0; i < 20000; i++) {
        char piece[300];
        size_t size = random_below(&r, sizeof(piece));
        if (random_below(&r, 3) != 0 && model_size + size <= MODEL_MAX) {
            for (size_t j = 0; j < size; j++)
                piece[j] = (char)random_next(&r);
            memcpy(model + model_size, piece, size);
            model_size += size;
            buffer_append(&b, piece, size);
        } else {
            size = random_below(&r, model_size + 1);
            memmove(model, model + size, model_size - size);
            model_size -= size;
            buffer_consume(&b, size);
        }
        assert_true(b.size <= b.capacity);
        assert_true(bytes_equal(buffer_bytes(&b), bytes_make(model, model_size)));
    }
    buffer_release(&b);
}

static char lower(char c) {
    return c >= 'A' && c <= 'Z' ? (char)(c + 'a' - 'A') : c;
}

/* Against one byte after another: sizes below, at and above those that are compared as words. */
static void test_equal_against_bytes(void **state) {
    (void)state;
    struct random r = random_from_seed();
    enum { SIZE_MAX_TRIED = 40 };
    for (int i = 0; i < 200000; i++) {
        char a[SIZE_MAX_TRIED], b[SIZE_MAX_TRIED];
        size_t size = random_below(&r, sizeof a + 1);
        for (size_t j = 0; j < size; j++) {
            a[j] = b[j] = (char)random_next(&r);
            if (random_below(&r, 2) == 0) b[j] ^= 0x20;
            if (random_below(&r, 2) == 0) b[j] = lower(a[j]);
        }
        if (size > 0 && random_below(&r, 2) == 0)
            b[random_below(&r, size)] ^= (char)(1 << random_below(&r, 8));
        bool equal = true, alike = true;
        for (size_t j = 0; j < size; j++) {
            equal = equal && a[j] == b[j];
            alike = alike && lower(a[j]) == lower(b[j]);
        }
        assert_true(bytes_equal(bytes_make(a, size), bytes_make(b, size)) == equal);
        assert_true(bytes_equal(bytes_make(a, size), bytes_make(a, size)));
        assert_true(bytes_equal_ignore_case(bytes_make(a, size), bytes_make(b, size)) == alike);
    }
}

static void test_blob(void **state) {
    (void)state;
    struct blob *blob = blob_copy(BYTES("hello"), 3);
    assert_int_equal(blob->capacity, 5);
    assert_int_equal(blob->holders, 1);
    blob = blob_resize(blob, 1000);
    assert_int_equal(blob->capacity, 1000);
    assert_true(bytes_is(blob_bytes(blob), "hello"));
    assert_ptr_equal(blob_hold(blob), blob);
    blob_let_go(blob);
    assert_true(bytes_is(blob_bytes(blob), "hello"));
    blob_let_go(blob);
    blob_let_go(NULL);

    blob = blob_make(10);
    assert_int_equal(blob->size, 0);
    blob_let_go(blob);
    blob = blob_copy(bytes_make(NULL, 0), 0);
    assert_int_equal(blob->size, 0);
    blob_let_go(blob);
    blob = blob_try_make(100);
    assert_non_null(blob);
    blob_let_go(blob);
#ifdef REDSTART_JEMALLOC /* a sanitizer's allocator ends the process instead */
    assert_null(blob_try_make(SIZE_MAX - 100));
    assert_null(blob_try_make(SIZE_MAX));
#endif
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_compare),
        cmocka_unit_test(test_equal),
        cmocka_unit_test(test_buffer),
        cmocka_unit_test(test_buffer_against_array),
        cmocka_unit_test(test_equal_against_bytes),
        cmocka_unit_test(test_blob),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
