/* test_hash.c: the keyed hash. Not that XXH3 is right, which is its own tests', but that ours is
 * XXH3, keyed, and spreads. */
#include "base/hash.h"

#include "cmocka_all.h"
#include "random.h"

#include <xxhash.h>

static struct hash_secret secret_from(struct random *r) {
    struct hash_secret secret;
    for (size_t i = 0; i < sizeof(secret.bytes); i++)
        secret.bytes[i] = (uint8_t)random_next(r);
    return secret;
}

static void test_is_xxh3(void **state) {
    (void)state;
    struct random r = random_from_seed();
    struct hash_secret secret = secret_from(&r);
    char data[600];
    for (size_t i = 0; i < sizeof(data); i++)
        data[i] = (char)random_next(&r);
    for (size_t size = 0; size <= sizeof(data); size++)
        assert_true(hash_bytes(&secret, bytes_make(data, size)) ==
                    XXH3_64bits_withSecret(data, size, secret.bytes, HASH_SECRET_SIZE));
    assert_true(hash_bytes(&secret, bytes_make(NULL, 0)) == hash_bytes(&secret, BYTES("")));
}

static void test_is_keyed(void **state) {
    (void)state;
    struct random r = random_from_seed();
    struct hash_secret one = secret_from(&r);
    struct hash_secret other = secret_from(&r);
    for (uint64_t i = 0; i < 1000; i++) {
        struct bytes key = bytes_make(&i, sizeof(i));
        assert_true(hash_bytes(&one, key) != hash_bytes(&other, key));
        assert_true(hash_bytes(&one, key) == hash_bytes(&one, key));
    }
}

static void test_spreads(void **state) {
    (void)state;
    enum { BUCKETS = 256, KEYS = 256 * 400 };
    struct random r = random_from_seed();
    struct hash_secret secret = secret_from(&r);
    static int low[BUCKETS];
    static int high[BUCKETS];
    for (int i = 0; i < KEYS; i++) {
        char key[32];
        int size = snprintf(key, sizeof(key), "key:%d", i);
        uint64_t hash = hash_bytes(&secret, bytes_make(key, (size_t)size));
        low[hash % BUCKETS]++;
        high[hash >> 56]++;
    }
    for (int i = 0; i < BUCKETS; i++) { /* 400 expected; ten standard deviations */
        assert_in_range(low[i], 200, 600);
        assert_in_range(high[i], 200, 600);
    }
    assert_true(hash_mix(1) != hash_mix(2));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_is_xxh3),
        cmocka_unit_test(test_is_keyed),
        cmocka_unit_test(test_spreads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
