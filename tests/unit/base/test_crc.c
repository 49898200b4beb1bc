/* test_crc.c: both checksums against their definitions, bit by bit. */
#include "base/crc.h"

#include "cmocka_all.h"
#include "random.h"

static uint64_t crc64_by_bit(uint64_t crc, const char *data, size_t size) {
    const uint64_t reflected = 0x95ac9329ac4bc9b5ULL; /* of 0xad93d23594c935a9 */
    for (size_t i = 0; i < size; i++) {
        crc ^= (uint8_t)data[i];
        for (int bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (crc & 1 ? reflected : 0);
    }
    return crc;
}

static uint16_t crc16_by_bit(const char *data, size_t size) {
    uint32_t crc = 0;
    for (size_t i = 0; i < size; i++) {
        crc ^= (uint32_t)(uint8_t)data[i] << 8;
        for (int bit = 0; bit < 8; bit++)
            crc = crc << 1 ^ (crc & 0x8000 ? 0x11021u : 0);
    }
    return (uint16_t)crc;
}

static void test_vectors(void **state) {
    (void)state;
    assert_int_equal(crc16(BYTES("123456789")), 0x31c3);
    assert_int_equal(crc16(BYTES("")), 0);
    assert_int_equal(crc16(BYTES("foo")) % 16384, 12182); /* CLUSTER KEYSLOT foo */
    assert_true(crc64(0, BYTES("123456789")) == 0xe9c6d914c4b8d9caULL);
    assert_true(crc64(0, BYTES("")) == 0);
    assert_true(crc64(7, bytes_make(NULL, 0)) == 7);
}

static void test_sizes_and_alignments(void **state) {
    (void)state;
    enum { SIZE_MAX_TRIED = 700, ALIGNMENTS = 17 };
    struct random r = random_from_seed();
    char data[SIZE_MAX_TRIED + ALIGNMENTS];
    for (size_t i = 0; i < sizeof(data); i++)
        data[i] = (char)random_next(&r);
    for (size_t from = 0; from < ALIGNMENTS; from++) {
        uint64_t start = random_next(&r);
        uint64_t expected = start;
        for (size_t size = 0; size <= SIZE_MAX_TRIED; size++) {
            assert_true(crc64(start, bytes_make(data + from, size)) == expected);
            expected = crc64_by_bit(expected, data + from + size, size < SIZE_MAX_TRIED);
        }
    }
    for (size_t size = 0; size < 200; size++)
        assert_int_equal(crc16(bytes_make(data, size)), crc16_by_bit(data, size));
}

static void test_continues(void **state) {
    (void)state;
    enum { SIZE = 100000 };
    static char data[SIZE];
    struct random r = random_from_seed();
    for (size_t i = 0; i < SIZE; i++)
        data[i] = (char)random_next(&r);
    uint64_t whole = crc64_by_bit(0, data, SIZE);
    for (int i = 0; i < 200; i++) {
        uint64_t crc = 0;
        for (size_t at = 0; at < SIZE;) {
            size_t size = random_below(&r, 3000);
            size = size < SIZE - at ? size : SIZE - at;
            crc = crc64(crc, bytes_make(data + at, size));
            at += size;
        }
        assert_true(crc == whole);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_vectors),
        cmocka_unit_test(test_sizes_and_alignments),
        cmocka_unit_test(test_continues),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
