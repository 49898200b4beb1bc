/* test_packed.c: ziplists and zipmaps, byte by byte, and what they must not be. */
#include "../base/cmocka_all.h"
#include "../base/random.h"
#include "base/memory.h"
#include "rdb/packed.h"
#include "struct/listpack.h"

static const char zipmap[] = "\x02\003foo\x03\x00"
                             "bar\001k\x02\x01"
                             "12\x00\xff";

/* A ziplist of these entries (encoding and data). */
static void make_ziplist(struct buffer *out, const struct bytes *entries, size_t count) {
    size_t previous = 0, last = 10;
    char head[10] = {0};
    buffer_clear(out);
    buffer_append(out, head, sizeof head);
    for (size_t i = 0; i < count; i++) {
        last = out->size;
        if (previous < 254) {
            buffer_append_byte(out, (char)previous);
        } else {
            char big[5] = {(char)254, (char)previous, (char)(previous >> 8), 0, 0};
            buffer_append(out, big, sizeof big);
        }
        buffer_append(out, entries[i].data, entries[i].size);
        previous = out->size - last;
    }
    buffer_append_byte(out, (char)255);
    uint32_t size = (uint32_t)out->size, tail = (uint32_t)last;
    uint16_t said = (uint16_t)count;
    memcpy(out->data, &size, 4);
    memcpy(out->data + 4, &tail, 4);
    memcpy(out->data + 8, &said, 2);
}

static char long_text[2 + 300] = {0x41, 0x2c};

static const struct bytes entries[] = {
    {"\002hi", 3},
    {"\xf1", 1},
    {"\xfd", 1},
    {"\xfe\x80", 2},
    {"\xc0\x00\x01", 3},
    {"\xf0\x00\x00\x80", 4},
    {"\xd0\x01\x00\x00\x01", 5},
    {long_text, 302},
    {"\xe0\xff\xff\xff\xff\xff\xff\xff\x7f", 9},
    {"\x80\x00\x00\x00\001x", 6},
};
enum { ENTRIES = sizeof entries / sizeof entries[0], LONG_AT = 7 };

static void expect(struct packed *packed, const char *text) {
    struct item item;
    char scratch[ITEM_TEXT_MAX];
    assert_true(packed_take(packed, &item));
    assert_true(bytes_equal(item_bytes(&item, scratch), bytes_from_text(text)));
}

static void test_ziplist(void **state) {
    (void)state;
    struct buffer bytes = {0};
    struct packed packed;
    struct item item;
    make_ziplist(&bytes, entries, ENTRIES);
    assert_true(packed_begin(&packed, PACKED_ZIPLIST, buffer_bytes(&bytes)));
    assert_int_equal(packed.count, ENTRIES);
    for (int round = 0; round < 2; round++) {
        static const char *const texts[] = {"hi", "0", "12", "-128", "256", "-8388608", "16777217"};
        for (int i = 0; i < LONG_AT; i++)
            expect(&packed, texts[i]);
        assert_true(packed_take(&packed, &item) && item.size == 300);
        expect(&packed, "9223372036854775807");
        expect(&packed, "x");
        assert_false(packed_take(&packed, &item));
        packed_rewind(&packed);
    }
    buffer_release(&bytes);
}

static void test_zipmap(void **state) {
    (void)state;
    struct packed packed;
    struct item item;
    assert_true(packed_begin(&packed, PACKED_ZIPMAP, bytes_make(zipmap, sizeof zipmap - 1)));
    assert_int_equal(packed.count, 4);
    expect(&packed, "foo");
    expect(&packed, "bar");
    expect(&packed, "k");
    expect(&packed, "12");
    assert_false(packed_take(&packed, &item));
}

/* Whatever passes can be walked to its count; an allocation of its own lets a sanitizer see each
 * step outside. */
static void walk_if_good(enum packed_kind kind, const char *bytes, size_t size) {
    struct packed packed;
    struct item item;
    char *exact = memory_alloc(size > 0 ? size : 1);
    memcpy(exact, bytes, size);
    if (packed_begin(&packed, kind, bytes_make(exact, size))) {
        size_t count = 0;
        while (packed_take(&packed, &item))
            count++;
        assert_int_equal(count, packed.count);
    }
    memory_free(exact);
}

static void break_it(struct random *random, enum packed_kind kind, struct bytes good) {
    enum { ROUNDS = 100000, CHANGES = 3 };
    char *bytes = memory_alloc(good.size);
    for (size_t cut = 0; cut <= good.size; cut++)
        walk_if_good(kind, good.data, cut);
    for (int round = 0; round < ROUNDS; round++) {
        memcpy(bytes, good.data, good.size);
        for (uint64_t left = 1 + random_below(random, CHANGES); left > 0; left--)
            bytes[random_below(random, good.size)] = (char)random_below(random, 256);
        walk_if_good(kind, bytes, good.size);
    }
    memory_free(bytes);
}

static void test_broken(void **state) {
    (void)state;
    struct random random = random_from_seed();
    struct buffer bytes = {0};
    make_ziplist(&bytes, entries, LONG_AT);
    break_it(&random, PACKED_ZIPLIST, buffer_bytes(&bytes));
    break_it(&random, PACKED_ZIPMAP, bytes_make(zipmap, sizeof zipmap - 1));
    buffer_release(&bytes);
}

static void put_pair(struct buffer *lp, int64_t number) {
    struct item key = item_integer(number), value = item_integer(0);
    listpack_put(lp, 0, &key);
    listpack_put(lp, 0, &value);
}

static void test_unique(void **state) {
    (void)state;
    static const struct hash_secret secret;
    struct buffer lp = {0}, room = {0};
    for (size_t count = 2; count < 200; count += 13) {
        listpack_begin(&lp);
        for (size_t i = 0; i < count; i++)
            put_pair(&lp, (int64_t)i * 3);
        assert_true(packed_is_unique(buffer_bytes(&lp), 2 * count, 2, &secret, &room));
        assert_false(packed_is_unique(buffer_bytes(&lp), 2 * count, 1, &secret, &room));
        put_pair(&lp, (int64_t)(count - 1) * 3);
        assert_false(packed_is_unique(buffer_bytes(&lp), 2 * count + 2, 2, &secret, &room));
    }
    buffer_release(&lp);
    buffer_release(&room);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ziplist),
        cmocka_unit_test(test_zipmap),
        cmocka_unit_test(test_broken),
        cmocka_unit_test(test_unique),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
