/* Requests cut out of bytes: each rule and error text, and, against a model that knows what it
 * wrote, random streams cut anywhere. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "request_driver.h"
#include "resp/reply.h"

enum { BULK_MAX = 512 << 20 };

static const struct request_limits limits_usual = {.bulk_max = BULK_MAX, .authenticated = true};
static const struct request_limits limits_stranger = {.bulk_max = BULK_MAX};

/* ---- numbers from a seed ---- */

static uint64_t random_next(uint64_t *state) {
    uint64_t z = (*state += 0x9e3779b97f4a7c15ULL);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
    return z ^ (z >> 31);
}

static size_t random_below(uint64_t *state, size_t bound) {
    return random_next(state) % bound;
}

static uint64_t seed_of_run(void) {
    const char *text = getenv("SEED");
    uint64_t seed = text ? strtoull(text, NULL, 0) : (uint64_t)(uintptr_t)&text ^ 0x5eed;
    print_message("SEED=%llu\n", (unsigned long long)seed);
    return seed;
}

/* ---- each rule ---- */

/* Feed `input` in pieces of `piece` bytes, and compare what comes out. */
static void expect_cut(struct bytes input, struct request_limits limits, const struct buffer *log,
                       size_t piece) {
    struct request_driver d = {.limits = limits, .fill = piece & 1, .fresh = true};
    d.limits.asks = piece & 2;
    for (size_t at = 0; at < input.size; at += piece) {
        size_t left = input.size - at;
        driver_feed(&d, bytes_make(input.data + at, left < piece ? left : piece));
    }
    if (!bytes_equal(buffer_bytes(&d.log), buffer_bytes(log)))
        fail_msg("cut by %zu, input %.*s\ngives %.*s\nnot %.*s", piece,
                 (int)(input.size < 200 ? input.size : 200), input.data,
                 (int)(d.log.size < 200 ? d.log.size : 200), d.log.data,
                 (int)(log->size < 200 ? log->size : 200), log->data);
    driver_release(&d);
}

static void expect_bytes(struct bytes input, struct request_limits limits, const char *want) {
    struct buffer log = {0};
    buffer_append_text(&log, want);
    expect_cut(input, limits, &log, input.size);
    expect_cut(input, limits, &log, 1);
    expect_cut(input, limits, &log, 3);
    expect_cut(input, limits, &log, 1000);
    buffer_release(&log);
}

#define EXPECT(literal, want)          expect_bytes(BYTES(literal), limits_usual, want)
#define EXPECT_STRANGER(literal, want) expect_bytes(BYTES(literal), limits_stranger, want)
#define PING                           "*1\r\n$4\r\nPING\r\n"
#define PONG                           "<4:PING,>\n"

static void test_arrays(void **state) {
    (void)state;
    EXPECT(PING, PONG);
    EXPECT(PING PING PING, PONG PONG PONG);
    EXPECT("*2\r\n$4\r\nECHO\r\n$0\r\n\r\n" PING, "<4:ECHO,0:,>\n" PONG);
    EXPECT("*3\r\n$3\r\nSET\r\n$12\r\nkey:00000012\r\n$3\r\nxyz\r\n",
           "<3:SET,12:key:00000012,3:xyz,>\n");
    EXPECT("*11\r\n" /* two digits */
           "$1\r\na\r\n$1\r\nb\r\n$1\r\nc\r\n$1\r\nd\r\n$1\r\ne\r\n$1\r\nf\r\n"
           "$1\r\ng\r\n$1\r\nh\r\n$1\r\ni\r\n$1\r\nj\r\n$10\r\n\r\n\r\n\r\n\r\n\r\n\r\n",
           "<1:a,1:b,1:c,1:d,1:e,1:f,1:g,1:h,1:i,1:j,10:\r\n\r\n\r\n\r\n\r\n,>\n");
    EXPECT("*1\r\n$4\r\nPI", "");
    EXPECT("*1\r", "");
}

static void test_skipped_bytes(void **state) {
    (void)state;
    EXPECT("*1\r\n$4\r\nPINGxx" PING, PONG PONG);
    EXPECT("*1\rx$4\rxPING\r\n", PONG);
    EXPECT("*0\r\n" PING, PONG);
    EXPECT("*-1\r\n" PING, PONG);
    EXPECT("*-9223372036854775808\r\n" PING, PONG);
    EXPECT("\r\n\n  \r\n\r\r\n" PING, PONG);
    EXPECT("*1\n$4\nPING\n", "");
}

static void test_bad_counts(void **state) {
    (void)state;
    static const char *const bad[] = {"*abc\r\n",        "*\r\n",
                                      "*+1\r\n",         "*01\r\n",
                                      "*-0\r\n",         "*1 \r\n",
                                      "*2147483648\r\n", "*99999999999999999999\r\n",
                                      "* 1\r\n",         "*-99999999999999999999\r\n"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        expect_bytes(bytes_from_text(bad[i]), limits_usual, "error: invalid multibulk length\n");
    EXPECT("*2147483647\r\n", "");
    EXPECT(PING "*x\r\n", PONG "error: invalid multibulk length\n");
}

static void test_bad_lengths(void **state) {
    (void)state;
    static const char *const bad[] = {
        "$-1\r\n", "$+4\r\n", "$04\r\n", "$\r\n",          "$-0\r\n",
        "$4x\r\n", "$ 4\r\n", "$x4\r\n", "$536870913\r\n", "$99999999999999999999999\r\n"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        char text[64];
        int size = snprintf(text, sizeof(text), "*1\r\n%s", bad[i]);
        expect_bytes(bytes_make(text, size), limits_usual, "error: invalid bulk length\n");
    }
    EXPECT("*1\r\n$536870912\r\n", "");
    EXPECT("*1\r\nPING\r\n", "error: expected '$', got 'P'\n");
    EXPECT("*1\r\n\r\nPING\r\n", "error: expected '$', got '\r'\n");
    EXPECT("*1\r\n\n4\r\n", "error: expected '$', got '\n'\n");
    EXPECT("*1\r\n*1\r\n", "error: expected '$', got '*'\n");
    EXPECT("*1\r\n\xff\r\n", "error: expected '$', got '\xff'\n");
    EXPECT("*1\r\n\0\r\n", "error: expected '$', got ' '\n");
    EXPECT("*1\r\nx", "");
    EXPECT("*1000\r\nx\r\n", "error: expected '$', got 'x'\n");
}

static void test_strangers(void **state) {
    (void)state;
    EXPECT_STRANGER("*11\r\n", "error: unauthenticated multibulk length\n");
    EXPECT_STRANGER("*10\r\n", "");
    EXPECT_STRANGER("*-11\r\n" PING, PONG);
    EXPECT_STRANGER("*2147483648\r\n", "error: invalid multibulk length\n");
    EXPECT_STRANGER("*1\r\n$16384\r\n", "");
    EXPECT_STRANGER("*1\r\n$16385\r\n", "error: unauthenticated bulk length\n");
    EXPECT_STRANGER("*1\r\n$999999999999\r\n", "error: invalid bulk length\n");
    EXPECT_STRANGER("P 1 2 3 4 5 6 7 8 9 10\n",
                    "<1:P,1:1,1:2,1:3,1:4,1:5,1:6,1:7,1:8,1:9,2:10,>\n");
}

static void test_inline(void **state) {
    (void)state;
    EXPECT("PING\n", PONG);
    EXPECT(" PING \r\n" PING, PONG PONG);
    EXPECT("\vPING\r\n", PONG);
    EXPECT("a \ta\tb\rc\r\r\n", "<1:a,1:a,1:b,1:c,>\n");
    EXPECT("a\vb \fc\r\n", "<3:a\vb,1:c,>\n");
    EXPECT("a \"a\\x41\\n b\"\r\n", "<1:a,5:aA\n b,>\n");
    EXPECT("a 'a\\'b\\n'\r\n", "<1:a,5:a'b\\n,>\n");
    EXPECT("a ab\"c\"\r\n", "<1:a,3:abc,>\n");
    EXPECT("a \"\" '' b''\r\n", "<1:a,0:,0:,1:b,>\n");
    EXPECT("a \"\\x4\" \"\\xAf\\xg1\"\r\n", "<1:a,2:x4,4:\xafxg1,>\n");
    EXPECT("a \"\\q\\r\\t\\b\\a\\\\\\\"\"\r\n", "<1:a,7:q\r\t\b\a\\\",>\n");
    EXPECT("a \"b\"\vc\r\n", "<1:a,1:b,1:c,>\n");
    EXPECT("\\x41\r\n", "<4:\\x41,>\n");
    EXPECT("$-1\r\n" PING, "<3:$-1,>\n" PONG);
    EXPECT(" *1\r\n$4\r\n", "<2:*1,>\n<2:$4,>\n");
    EXPECT("\"PING\" x\r\n", "<4:PING,1:x,>\n");
}

static void test_unbalanced_quotes(void **state) {
    (void)state;
    static const char *const bad[] = {"a \"abc\r\n",      "a \"abc\"d\r\n", "a 'abc'd\r\n",
                                      "a ab\"c d\"e\r\n", "a \"abc\\\r\n",  "a '\r\n",
                                      "a \"a\"'b'\r\n",   "a 'b\\\\'\r\n",  "a \"a\nb\"\r\n"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        expect_bytes(bytes_from_text(bad[i]), limits_usual,
                     "error: unbalanced quotes in request\n");
}

static void test_long_lines(void **state) {
    (void)state;
    enum { SIZE = REQUEST_LINE_MAX + 10 };
    char *text = memory_alloc(SIZE);
    struct buffer want = {0};
    memset(text, '1', SIZE);
    expect_bytes(bytes_make(text, REQUEST_LINE_MAX), limits_usual, "");
    expect_bytes(bytes_make(text, SIZE), limits_usual, "error: too big inline request\n");
    text[SIZE - 1] = '\n';
    expect_bytes(bytes_make(text, SIZE), limits_usual, "error: too big inline request\n");
    text[REQUEST_LINE_MAX] = '\n';
    buffer_append_format(&want, "<%d:", REQUEST_LINE_MAX);
    buffer_append(&want, text, REQUEST_LINE_MAX);
    buffer_append(&want, ",>\n", 4);
    expect_bytes(bytes_make(text, REQUEST_LINE_MAX + 1), limits_usual, want.data);
    text[REQUEST_LINE_MAX] = '1';
    text[0] = '*';
    expect_bytes(bytes_make(text, REQUEST_LINE_MAX), limits_usual, "");
    expect_bytes(bytes_make(text, SIZE), limits_usual, "error: too big mbulk count string\n");
    text[REQUEST_LINE_MAX] = '\r';
    expect_bytes(bytes_make(text, SIZE), limits_usual, "error: invalid multibulk length\n");
    text[REQUEST_LINE_MAX] = '1';
    memcpy(text, "*1\r\n$", 5);
    expect_bytes(bytes_make(text, REQUEST_LINE_MAX + 4), limits_usual, "");
    expect_bytes(bytes_make(text, REQUEST_LINE_MAX + 5), limits_usual,
                 "error: too big bulk count string\n");
    buffer_release(&want);
    memory_free(text);
}

/* ---- what is announced costs nothing ---- */

static void test_announced_is_not_reserved(void **state) {
    (void)state;
    struct request_driver d = {.limits = limits_usual};
    driver_feed(&d, BYTES("*2147483647\r\n$1\r\nx\r\n"));
    assert_true(request_parser_memory(&d.parser) < 4096);
    driver_release(&d);

    struct request_driver e = {.limits = limits_usual};
    driver_feed(&e, BYTES("*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$536870912\r\nabc"));
    assert_int_equal(e.unread.size, 0);
    assert_true(request_parser_memory(&e.parser) < REQUEST_FILL_FIRST + 4096);
    size_t room, filled = 3;
    assert_non_null(request_parser_fill(&e.parser, &room));
    assert_int_equal(room, REQUEST_FILL_FIRST - 3);
    while (request_parser_fill(&e.parser, &room)) { /* as if so much had come */
        request_parser_filled(&e.parser, room);
        filled += room;
        assert_true(e.parser.filling->capacity <= filled * REQUEST_FILL_GROWTH);
    }
    assert_int_equal(filled, 536870912);
    assert_memory_equal(e.parser.filling->data, "abc", 3);
    driver_release(&e);
}

static void test_no_memory_is_an_error(void **state) {
    (void)state;
    struct request_driver d = {.limits = {.bulk_max = INT64_MAX, .authenticated = true}};
    driver_feed(&d, BYTES("*1\r\n$9223372036854775807\r\nabc"));
    size_t room;
    assert_non_null(request_parser_fill(&d.parser, &room));
    assert_int_equal(room, REQUEST_FILL_FIRST - 3);
    /* Pretend that the blob is full and vast: its growth cannot be had. */
    d.parser.filling->size = d.parser.filling->capacity = (size_t)1 << 58;
    assert_null(request_parser_fill(&d.parser, &room));
    driver_feed(&d, BYTES("d"));
    assert_true(d.failed);
    assert_int_equal(d.log.size, strlen("error: out of memory for a bulk string\n"));
    driver_release(&d);
}

/* What is wholly there stays a slice, however large. */
static void test_large_slice(void **state) {
    (void)state;
    struct buffer wire = {0};
    char *value = memory_alloc(100000);
    memset(value, 'v', 100000);
    struct bytes arguments[] = {BYTES("SET"), BYTES("k"), {value, 100000}};
    request_encode(&wire, arguments, 3);
    struct request_parser parser = {0};
    struct request_arena arena = {0};
    struct request request;
    size_t consumed;
    const char *error;
    assert_int_equal(request_parse(&parser, buffer_bytes(&wire), &limits_usual, &arena, &request,
                                   &consumed, &error),
                     REQUEST_READY);
    assert_int_equal(consumed, wire.size);
    assert_int_equal(request.large_count, 0);
    assert_ptr_equal(request.arguments[2].data, wire.data + wire.size - 100002);
    assert_null(request_hold_blob(&request, 2));
    request_arena_release(&arena);
    buffer_release(&wire);
    memory_free(value);
}

/* ---- the arena ---- */

static void test_arena(void **state) {
    (void)state;
    uint64_t seed = seed_of_run();
    struct request_arena arena = {0};
    for (int turn = 0; turn < 20; turn++) {
        struct bytes *arrays[200];
        size_t counts[200];
        for (size_t i = 0; i < 200; i++) {
            counts[i] = 1 + random_below(&seed, random_below(&seed, 10) ? 100 : 10000);
            arrays[i] = request_arena_reserve(&arena, counts[i]);
            for (size_t j = 0; j < counts[i]; j++)
                arrays[i][j] = bytes_make(&arena, i);
        }
        for (size_t i = 0; i < 200; i++)
            for (size_t j = 0; j < counts[i]; j++)
                assert_int_equal(arrays[i][j].size, i);
        request_arena_reset(&arena);
    }
    request_arena_release(&arena);
    request_arena_reset(&arena);
    assert_null(arena.first);
}

/* ---- random streams ---- */

static size_t random_argument_size(uint64_t *seed) {
    switch (random_below(seed, 12)) {
    case 0: return 0;
    case 1: return random_below(seed, 200);
    case 2: return random_below(seed, 5000);
    case 3: return REQUEST_LARGE_MIN - 4 + random_below(seed, 8);
    case 4: return random_below(seed, 4) ? 10 : 30000 + random_below(seed, 70000);
    default: return random_below(seed, 20);
    }
}

static void random_fill(uint64_t *seed, char *data, size_t size) {
    static const char alphabet[] = "\r\n$*0123456789 abc'\"\\x";
    bool any = random_below(seed, 2);
    for (size_t i = 0; i < size; i++)
        data[i] =
            any ? (char)random_next(seed) : alphabet[random_below(seed, sizeof(alphabet) - 1)];
}

static void random_array(uint64_t *seed, struct buffer *wire, struct buffer *log) {
    struct bytes arguments[80];
    size_t count = 1 + random_below(seed, random_below(seed, 8) ? 5 : 80);
    for (size_t i = 0; i < count; i++) {
        size_t size = count > 8 ? random_below(seed, 30) : random_argument_size(seed);
        char *data = memory_alloc(size ? size : 1);
        random_fill(seed, data, size);
        arguments[i] = bytes_make(data, size);
    }
    request_encode(wire, arguments, count);
    if (random_below(seed, 4) == 0) wire->data[wire->size - 1] = 'x'; /* never looked at */
    log_request(log, arguments, count);
    for (size_t i = 0; i < count; i++)
        memory_free((void *)(uintptr_t)arguments[i].data);
}

/* Words of letters, quoted one way or another. */
static void random_line(uint64_t *seed, struct buffer *wire, struct buffer *log) {
    struct bytes words[10];
    size_t count = random_below(seed, 10);
    for (size_t i = 0; i < count; i++) {
        static const char letters[] = "wordslettersabcdefghi";
        size_t style = random_below(seed, 3);
        words[i] = bytes_make(letters + random_below(seed, 10), 1 + random_below(seed, 10));
        static const char *const quotes[] = {"", "\"", "'"};
        buffer_append_text(wire, random_below(seed, 2) ? " " : "\t ");
        buffer_append_text(wire, quotes[style]);
        buffer_append(wire, words[i].data, words[i].size);
        buffer_append_text(wire, quotes[style]);
    }
    buffer_append_text(wire, random_below(seed, 2) ? "\r\n" : "\n");
    log_request(log, words, count);
}

static void random_stream(uint64_t *seed, struct buffer *wire, struct buffer *log) {
    for (size_t left = 1 + random_below(seed, 20); left > 0; left--) {
        switch (random_below(seed, 10)) {
        case 0: random_line(seed, wire, log); break;
        case 1: buffer_append_text(wire, random_below(seed, 2) ? "*0\r\n" : "*-7\r\n"); break;
        default: random_array(seed, wire, log); break;
        }
    }
    if (random_below(seed, 2)) {
        buffer_append_text(wire, "*2\r\n$1\r\na\r\n$-4\r\n");
        log_error(log, "invalid bulk length");
    }
}

static void feed_at_random(uint64_t *seed, struct request_driver *d, struct bytes wire) {
    static const size_t piece_max[] = {2, 10, 100, 1500, 16384, 200000};
    size_t max = piece_max[random_below(seed, 6)];
    while (wire.size) {
        size_t piece = 1 + random_below(seed, max);
        if (piece > wire.size) piece = wire.size;
        driver_feed(d, bytes_make(wire.data, piece));
        wire.data += piece;
        wire.size -= piece;
    }
}

static void test_random_streams(void **state) {
    (void)state;
    uint64_t seed = seed_of_run();
    for (int round = 0; round < 400; round++) {
        struct buffer wire = {0}, log = {0};
        random_stream(&seed, &wire, &log);
        struct request_driver d = {
            .limits = limits_usual, .fill = random_below(&seed, 2), .fresh = wire.size < 20000};
        d.limits.asks = random_below(&seed, 2);
        feed_at_random(&seed, &d, buffer_bytes(&wire));
        if (!bytes_equal(buffer_bytes(&d.log), buffer_bytes(&log)))
            fail_msg("round %d: %zu bytes of requests, expected %zu", round, d.log.size, log.size);
        driver_release(&d);
        buffer_release(&wire);
        buffer_release(&log);
    }
}

/* Two pieces, cut at every byte in turn. */
static void test_every_cut(void **state) {
    (void)state;
    char *large = memory_alloc(REQUEST_LARGE_MIN + 1);
    memset(large, 'L', REQUEST_LARGE_MIN + 1);
    struct bytes arguments[] = {BYTES("MSET"),
                                BYTES("a"),
                                {large, REQUEST_LARGE_MIN},
                                BYTES("b"),
                                {large, REQUEST_LARGE_MIN + 1},
                                BYTES("c"),
                                BYTES("")};
    struct buffer wire = {0}, log = {0};
    for (int i = 0; i < 2; i++) {
        request_encode(&wire, arguments, 7);
        log_request(&log, arguments, 7);
        buffer_append_text(&wire, "PING\r\n");
        buffer_append_text(&log, PONG);
    }
    for (size_t cut = 0; cut < wire.size / 2 + 2; cut++) {
        if (cut > 40 && cut % 61 && wire.data[cut] == 'L' && wire.data[cut - 1] == 'L' &&
            wire.data[cut + 1] == 'L')
            continue; /* the middle of a value: a sample will do */
        struct request_driver d = {.limits = limits_usual, .fill = cut & 1};
        driver_feed(&d, bytes_make(wire.data, cut));
        driver_feed(&d, bytes_make(wire.data + cut, wire.size - cut));
        assert_true(bytes_equal(buffer_bytes(&d.log), buffer_bytes(&log)));
        assert_int_equal(request_parser_memory(&d.parser), 0);
        driver_release(&d);
    }
    for (int fill = 0; fill < 2; fill++) {
        struct request_driver d = {.limits = limits_usual, .fill = fill};
        for (size_t at = 0; at < wire.size; at++)
            driver_feed(&d, bytes_make(wire.data + at, 1));
        assert_true(bytes_equal(buffer_bytes(&d.log), buffer_bytes(&log)));
        driver_release(&d);
    }
    buffer_release(&wire);
    buffer_release(&log);
    memory_free(large);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_arrays),
        cmocka_unit_test(test_skipped_bytes),
        cmocka_unit_test(test_bad_counts),
        cmocka_unit_test(test_bad_lengths),
        cmocka_unit_test(test_strangers),
        cmocka_unit_test(test_inline),
        cmocka_unit_test(test_unbalanced_quotes),
        cmocka_unit_test(test_long_lines),
        cmocka_unit_test(test_announced_is_not_reserved),
        cmocka_unit_test(test_no_memory_is_an_error),
        cmocka_unit_test(test_large_slice),
        cmocka_unit_test(test_arena),
        cmocka_unit_test(test_random_streams),
        cmocka_unit_test(test_every_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
