/* test_sha1.c: the examples of FIPS 180 and of RFC 3174, and all sizes around the blocks' ends. */
#include "base/sha1.h"

#include "cmocka_all.h"
#include <stdlib.h>

static void check(struct bytes input, const char *expected) {
    char text[SHA1_TEXT_SIZE + 1];
    sha1_text(input, text);
    assert_string_equal(text, expected);
}

static void test_examples(void **state) {
    (void)state;
    check(BYTES("abc"), "a9993e364706816aba3e25717850c26c9cd0d89d");
    check(BYTES(""), "da39a3ee5e6b4b0d3255bfef95601890afd80709");
    check(BYTES("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"),
          "84983e441c3bd26ebaae4aa1f95129e5e54670f1");
    enum { MILLION = 1000000 };
    char *many = malloc(MILLION);
    memset(many, 'a', MILLION);
    check(bytes_make(many, MILLION), "34aa973cd4c4daa4f61eeb2bdbad27316534016f");
    free(many);
}

/* The digests of 0 to 200 bytes "x", one after another: their digest was made by sha1sum. */
static void test_sizes(void **state) {
    (void)state;
    enum { SIZES = 201 };
    char input[SIZES], all[SIZES * SHA1_TEXT_SIZE];
    memset(input, 'x', sizeof input);
    for (size_t size = 0; size < SIZES; size++) {
        char text[SHA1_TEXT_SIZE + 1];
        sha1_text(bytes_make(input, size), text);
        memcpy(all + size * SHA1_TEXT_SIZE, text, SHA1_TEXT_SIZE);
    }
    check(bytes_make(all, sizeof all), "1f67da40a499e887e43c141418cc90ce5c8f9002");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_examples),
        cmocka_unit_test(test_sizes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
