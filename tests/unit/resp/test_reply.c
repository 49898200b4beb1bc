/* Replies byte for byte, in both protocols, into memory of any size. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>

#include "reply_sink.h"

/* What `write` writes in protocol 2 or 3, whole and in pieces of memory. */
static void expect_bytes(void (*write)(struct reply *reply), uint8_t protocol, struct bytes want) {
    static const size_t pieces[] = {1 << 20, 64, 40, 37};
    for (size_t i = 0; i < 4; i++) {
        struct reply_sink sink;
        sink_init(&sink, protocol, pieces[i]);
        write(&sink.reply);
        sink_flush(&sink);
        if (!bytes_equal(buffer_bytes(&sink.written), want))
            fail_msg("RESP%d, pieces of %zu: %.*s, not %.*s", protocol, pieces[i],
                     (int)sink.written.size, sink.written.data, (int)want.size, want.data);
        sink_release(&sink);
    }
}

#define EXPECT(call, resp2, resp3)                                                                 \
    do {                                                                                           \
        expect_bytes(call, 2, BYTES(resp2));                                                       \
        expect_bytes(call, 3, BYTES(resp3));                                                       \
    } while (0)

static void write_plain(struct reply *r) {
    reply_ok(r);
    reply_simple(r, "PONG");
    reply_error(r, BYTES("ERR no\r\nnewlines\n"));
    reply_raw(r, BYTES(":7\r\n"));
    reply_raw(r, (struct bytes){0});
}

static void write_integers(struct reply *r) {
    static const int64_t numbers[] = {0, 9, 10, 99, 100, -1, 1000000, INT64_MAX, INT64_MIN};
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
        reply_integer(r, numbers[i]);
    reply_bulk_integer(r, -42);
}

static void write_bulks(struct reply *r) {
    reply_bulk(r, BYTES("hello"));
    reply_bulk(r, (struct bytes){0});
    reply_bulk(r, BYTES("0123456789"));
    reply_bulk_text(r, "a\r\nb");
    reply_null(r);
    reply_null_array(r);
}

static void write_aggregates(struct reply *r) {
    reply_array(r, 0);
    reply_array(r, 3);
    reply_array(r, 1234567);
    reply_map(r, 2);
    reply_map(r, 50);
    reply_set(r, 10);
    reply_push(r, 100);
}

static void write_attribute(struct reply *r) {
    reply_attribute(r, 1);
}

static void write_numbers(struct reply *r) {
    reply_double(r, 1.5);
    reply_double(r, 3);
    reply_double(r, (double)INFINITY);
    reply_double(r, -(double)INFINITY);
    reply_double(r, (double)NAN);
    reply_boolean(r, true);
    reply_boolean(r, false);
    reply_big_number(r, BYTES("-12345678901234567890123"));
    reply_long_double(r, 10.25L);
}

static void write_verbatim(struct reply *r) {
    reply_verbatim(r, "txt", BYTES("Some string"));
    reply_verbatim(r, "mkd", BYTES(""));
}

static void test_each(void **state) {
    (void)state;
    EXPECT(write_plain, "+OK\r\n+PONG\r\n-ERR no  newlines \r\n:7\r\n",
           "+OK\r\n+PONG\r\n-ERR no  newlines \r\n:7\r\n");
#define INTEGERS                                                                                   \
    ":0\r\n:9\r\n:10\r\n:99\r\n:100\r\n:-1\r\n:1000000\r\n:9223372036854775807\r\n"                \
    ":-9223372036854775808\r\n$3\r\n-42\r\n"
    EXPECT(write_integers, INTEGERS, INTEGERS);
#define BULKS "$5\r\nhello\r\n$0\r\n\r\n$10\r\n0123456789\r\n$4\r\na\r\nb\r\n"
    EXPECT(write_bulks, BULKS "$-1\r\n*-1\r\n", BULKS "_\r\n_\r\n");
    EXPECT(write_aggregates, "*0\r\n*3\r\n*1234567\r\n*4\r\n*100\r\n*10\r\n*100\r\n",
           "*0\r\n*3\r\n*1234567\r\n%2\r\n%50\r\n~10\r\n>100\r\n");
    expect_bytes(write_attribute, 3, BYTES("|1\r\n"));
    EXPECT(write_numbers,
           "$3\r\n1.5\r\n$1\r\n3\r\n$3\r\ninf\r\n$4\r\n-inf\r\n$3\r\nnan\r\n:1\r\n:0\r\n"
           "$24\r\n-12345678901234567890123\r\n$5\r\n10.25\r\n",
           ",1.5\r\n,3\r\n,inf\r\n,-inf\r\n,nan\r\n#t\r\n#f\r\n"
           "(-12345678901234567890123\r\n$5\r\n10.25\r\n");
    EXPECT(write_verbatim, "$11\r\nSome string\r\n$0\r\n\r\n",
           "=15\r\ntxt:Some string\r\n=4\r\nmkd:\r\n");
}

/* Bulks of every size around the borders of the short ways, and long ones in pieces. */
static void test_bulk_sizes(void **state) {
    (void)state;
    static char text[100000];
    memset(text, 'x', sizeof(text));
    for (size_t size = 0; size < sizeof(text); size += size < 300 ? 1 : 9999) {
        struct reply_sink sink;
        sink_init(&sink, 2, size % 3 ? 100 : 30000);
        reply_bulk(&sink.reply, bytes_make(text, size));
        sink_flush(&sink);
        struct buffer want = {0};
        buffer_append_format(&want, "$%zu\r\n", size);
        buffer_append(&want, text, size);
        buffer_append_text(&want, "\r\n");
        assert_true(bytes_equal(buffer_bytes(&sink.written), buffer_bytes(&want)));
        assert_true(sink.asked_max < 32768);
        buffer_release(&want);
        sink_release(&sink);
    }
}

static void test_request_encode(void **state) {
    (void)state;
    struct buffer out = {0};
    struct bytes arguments[] = {BYTES("SET"), BYTES(""), {NULL, 0}, BYTES("0123456789ab")};
    buffer_append_text(&out, "before");
    request_encode(&out, arguments, 4);
    struct bytes want =
        BYTES("before*4\r\n$3\r\nSET\r\n$0\r\n\r\n$0\r\n\r\n$12\r\n0123456789ab\r\n");
    assert_true(bytes_equal(buffer_bytes(&out), want));
    buffer_release(&out);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each),
        cmocka_unit_test(test_bulk_sizes),
        cmocka_unit_test(test_request_encode),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
