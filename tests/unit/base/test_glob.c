/* test_glob.c: patterns, by example and against the naive matcher. */
#include "base/glob.h"

#include "cmocka_all.h"
#include "glob_naive.h"
#include "random.h"

static bool matches(const char *pattern, const char *text) {
    return glob_match(bytes_from_text(pattern), bytes_from_text(text), false);
}

static void test_examples(void **state) {
    (void)state;
    assert_true(matches("hello", "hello"));
    assert_true(matches("h?llo", "hallo"));
    assert_false(matches("h?llo", "hllo"));
    assert_true(matches("h*llo", "hllo"));
    assert_true(matches("h*llo", "heeeello"));
    assert_true(matches("h[ae]llo", "hello"));
    assert_false(matches("h[ae]llo", "hillo"));
    assert_true(matches("h[^e]llo", "hallo"));
    assert_false(matches("h[^e]llo", "hello"));
    assert_true(matches("h[a-b]llo", "hbllo"));
    assert_true(matches("h[b-a]llo", "hallo"));
    assert_true(matches("a\\*b", "a*b"));
    assert_false(matches("a\\*b", "axb"));
    assert_true(matches("*.com*news", "www.comcom.newsnews"));
    assert_true(matches("a**b", "ab"));
    assert_false(matches("a*b", "abc"));
}

static void test_edges(void **state) {
    (void)state;
    assert_true(matches("", ""));
    assert_false(matches("", "a"));
    assert_false(matches("a", ""));
    assert_false(matches("*", ""));
    assert_false(matches("**", ""));
    assert_true(matches("*", "a"));
    assert_true(matches("a*", "a"));
    assert_true(matches("a\\", "a\\"));
    assert_false(matches("a\\", "a"));
    assert_false(matches("[]", "a"));
    assert_false(matches("[]", "]"));
    assert_true(matches("[^]", "a"));
    assert_true(matches("[abc", "b"));
    assert_false(matches("[abc", "d"));
    assert_false(matches("[abc", "bb"));
    assert_true(matches("[", "a") == false);
    assert_true(matches("[a-]", "]")); /* a range, and no end */
    assert_true(matches("[a-]", "_"));
    assert_true(matches("[\\]]", "]"));
    assert_true(matches("[a\\-z]", "-"));
    assert_false(matches("[a\\-z]", "b"));
    assert_true(matches("[-a]", "-"));
    assert_true(matches("[\xff-a]", "a"));
    assert_true(matches("[\xff-a]", "A"));
    assert_false(matches("[\xff-a]", "b"));
}

static void test_case(void **state) {
    (void)state;
    assert_true(glob_match(BYTES("MAX*"), BYTES("maxmemory"), true));
    assert_true(glob_match(BYTES("m[A-C]x"), BYTES("max"), true));
    assert_true(glob_match(BYTES("\\A"), BYTES("a"), true));
    assert_false(glob_match(BYTES("[\\A]"), BYTES("a"), true));
    assert_false(glob_match(BYTES("[a-Z]"), BYTES("b"), true));
    assert_false(glob_match(BYTES("MAX*"), BYTES("maxmemory"), false));
}

static void test_zero_bytes(void **state) {
    (void)state;
    assert_true(glob_match(BYTES("a\0*"), BYTES("a\0b"), false));
    assert_false(glob_match(BYTES("a\0b"), BYTES("a\0c"), false));
}

static void test_hostile_pattern_ends(void **state) {
    (void)state;
    enum { STARS = 1000, TEXT = 20000 };
    char pattern[2 * STARS + 1];
    static char text[TEXT];
    for (size_t i = 0; i < STARS; i++)
        memcpy(pattern + 2 * i, "a*", 2);
    pattern[2 * STARS] = 'b';
    memset(text, 'a', sizeof(text));
    assert_false(
        glob_match(bytes_make(pattern, sizeof(pattern)), bytes_make(text, sizeof(text)), false));
}

static size_t random_text(struct random *r, char *out, size_t limit, const char *alphabet) {
    size_t size = random_below(r, limit);
    for (size_t i = 0; i < size; i++)
        out[i] = alphabet[random_below(r, strlen(alphabet))];
    return size;
}

static void test_against_naive(void **state) {
    (void)state;
    static const char *const alphabets[] = {"ab*", "abAB*?[]^-\\", "a*b*c*?", "\xff\x7f\x80-[a]z",
                                            "[[]]--az^\\"};
    struct random r = random_from_seed();
    size_t matched = 0;
    for (int i = 0; i < 400000; i++) {
        char pattern[12];
        char text[12];
        const char *alphabet = alphabets[random_below(&r, 5)];
        struct bytes p = bytes_make(pattern, random_text(&r, pattern, sizeof(pattern), alphabet));
        struct bytes t = bytes_make(text, random_text(&r, text, sizeof(text), alphabet));
        bool ignore_case = random_below(&r, 2);
        bool expected = glob_naive_match(p, t, ignore_case);
        matched += expected;
        if (glob_match(p, t, ignore_case) != expected)
            fail_msg("pattern '%.*s' text '%.*s' ignore_case %d", (int)p.size, pattern, (int)t.size,
                     text, ignore_case);
    }
    assert_true(matched > 1000);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_examples),
        cmocka_unit_test(test_edges),
        cmocka_unit_test(test_case),
        cmocka_unit_test(test_zero_bytes),
        cmocka_unit_test(test_hostile_pattern_ends),
        cmocka_unit_test(test_against_naive),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
