/* test_words.c: lengths, strings and numbers out and in again; what is cut or broken is refused. */
#include "../base/cmocka_all.h"
#include "../base/random.h"
#include "base/crc.h"
#include "base/memory.h"
#include "rdb/crc_join.h"
#include "rdb/format.h"
#include "rdb/input.h"
#include "rdb/output.h"
#include <math.h>

static void test_lengths(void **state) {
    (void)state;
    static const uint64_t lengths[] = {
        0, 1, 63, 64, 16383, 16384, UINT32_MAX, (uint64_t)UINT32_MAX + 1, UINT64_MAX};
    enum { COUNT = sizeof lengths / sizeof lengths[0] };
    struct rdb_output out;
    rdb_output_init(&out, true);
    for (size_t i = 0; i < COUNT; i++)
        rdb_output_length(&out, lengths[i]);
    assert_int_equal(out.buffer.size, 1 + 1 + 1 + 2 + 2 + 5 + 5 + 9 + 9);
    struct rdb_input in = rdb_input_of(buffer_bytes(&out.buffer));
    uint64_t length;
    for (size_t i = 0; i < COUNT; i++) {
        assert_true(rdb_input_length(&in, &length));
        assert_true(length == lengths[i]);
    }
    assert_int_equal(rdb_input_left(&in), 0);
    assert_false(rdb_input_length(&in, &length));
    assert_non_null(in.error);
    rdb_output_release(&out);
}

static void known_string(const char *text, struct bytes expected) {
    struct rdb_output out;
    rdb_output_init(&out, true);
    rdb_output_string(&out, bytes_from_text(text));
    assert_int_equal(out.buffer.size, expected.size);
    assert_memory_equal(out.buffer.data, expected.data, expected.size);
    rdb_output_release(&out);
}

/* As Redis writes them. */
static void test_known_strings(void **state) {
    (void)state;
    known_string("", BYTES("\0"));
    known_string("abc", BYTES("\003abc"));
    known_string("7", BYTES("\xc0\x07"));
    known_string("-129", BYTES("\xc1\x7f\xff"));
    known_string("70000", BYTES("\xc2\x70\x11\x01\x00"));
    known_string("2147483648", BYTES("\012"
                                     "2147483648"));
    known_string("007", BYTES("\003"
                              "007"));
}

/* Words of a few letters, so that some compress. */
static struct bytes random_string(struct random *random, char *room, size_t size_max) {
    size_t size = (size_t)random_below(random, size_max);
    uint64_t letters = 1 + random_below(random, 64);
    for (size_t i = 0; i < size; i++)
        room[i] = (char)random_below(random, letters);
    return bytes_make(room, size);
}

static void check_string(struct bytes string, bool compresses) {
    enum { CUTS = 40 };
    struct rdb_output out;
    struct buffer room = {0};
    struct bytes got;
    rdb_output_init(&out, compresses);
    rdb_output_string(&out, string);
    struct rdb_input in = rdb_input_of(buffer_bytes(&out.buffer));
    assert_true(rdb_input_string(&in, &room, &got));
    assert_true(bytes_equal(got, string));
    assert_int_equal(rdb_input_left(&in), 0);
    in = rdb_input_of(buffer_bytes(&out.buffer));
    assert_true(rdb_input_skip_string(&in));
    assert_int_equal(rdb_input_left(&in), 0);
    for (size_t cut = 0; cut < out.buffer.size && cut < CUTS; cut++) {
        char *copy = memory_copy(out.buffer.data, cut);
        in = rdb_input_of(bytes_make(copy, cut));
        assert_false(rdb_input_string(&in, &room, &got));
        memory_free(copy);
    }
    buffer_release(&room);
    rdb_output_release(&out);
}

static void test_random_strings(void **state) {
    (void)state;
    enum { ROUNDS = 3000, LONG = 5000, SHORT = 100 };
    struct random random = random_from_seed();
    char *text = malloc(LONG);
    for (int round = 0; round < ROUNDS; round++)
        check_string(random_string(&random, text, round % 100 == 0 ? LONG : SHORT), round % 2 == 0);
    free(text);
}

/* A few bytes must not announce gigabytes. */
static void test_hostile(void **state) {
    (void)state;
    static const struct bytes hostile[] = {
        {"\x81\xff\xff\xff\xff\xff\xff\xff\xff", 9},
        {"\x80\x7f\xff\xff\xff", 5},
        {"\xc3\x04\x80\x7f\xff\xff\xff xyz", 11},
        {"\xc3\x00\x00", 3},
        {"\xc3\x02\x05\xff\xff", 5},
        {"\xc4", 1},
        {"\x82\x00\x00\x00\x00", 5},
    };
    for (size_t i = 0; i < sizeof hostile / sizeof hostile[0]; i++) {
        struct rdb_input in = rdb_input_of(hostile[i]);
        struct buffer room = {0};
        struct bytes got;
        assert_false(rdb_input_string(&in, &room, &got));
        assert_non_null(in.error);
        assert_true(room.capacity < 4096);
        buffer_release(&room);
    }
}

static double old_double(struct bytes bytes) {
    double number = 0;
    struct rdb_input in = rdb_input_of(bytes);
    assert_true(rdb_input_old_double(&in, &number));
    return number;
}

static void test_doubles(void **state) {
    (void)state;
    double number;
    assert_true(old_double(BYTES("\003"
                                 "1.5")) == 1.5);
    assert_true(old_double(BYTES("\xfe")) == INFINITY);
    assert_true(old_double(BYTES("\xff")) == -INFINITY);
    assert_true(isnan(old_double(BYTES("\xfd"))));
    struct rdb_input in = rdb_input_of(BYTES("\002xy"));
    assert_false(rdb_input_old_double(&in, &number));
}

static void test_crc_join(void **state) {
    (void)state;
    struct random random = random_from_seed();
    char bytes[1000];
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (char)random_below(&random, 256);
    uint64_t whole = crc64(0, bytes_make(bytes, sizeof bytes));
    for (size_t cut = 0; cut <= sizeof bytes; cut++) {
        uint64_t a = crc64(0, bytes_make(bytes, cut));
        uint64_t b = crc64(0, bytes_make(bytes + cut, sizeof bytes - cut));
        assert_true(rdb_crc_join(a, b, sizeof bytes - cut) == whole);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lengths),        cmocka_unit_test(test_known_strings),
        cmocka_unit_test(test_random_strings), cmocka_unit_test(test_hostile),
        cmocka_unit_test(test_doubles),        cmocka_unit_test(test_crc_join),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
