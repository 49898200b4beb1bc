/* test_use.c: times of use in 24 bits stay as near to the truth as their unit is, whatever time
 * passes, as long as they are looked at once a round; counters decay by the minutes that passed. */
#include "../base/cmocka_all.h"
#include "../base/random.h"
#include "keyspace/use.h"

#define SECOND_US INT64_C(1000000)
#define DAY_S     INT64_C(86400)

struct watched {
    int64_t used_us;
    uint32_t count;
    struct entry entry;
};

/* By the unit that an age of so many seconds may have got. */
static int64_t unit_us(const struct use_policy *policy, int64_t age_us) {
    int64_t age_s = age_us / SECOND_US;
    if (policy->kind == USE_BY_COUNT)
        return policy->is_fine && age_s < 1000 ? SECOND_US / 16 : 60 * SECOND_US;
    if (policy->is_fine && age_s < 16000) return SECOND_US / USE_TICKS;
    return age_s < 24 * DAY_S ? SECOND_US : 8 * SECOND_US;
}

/* Beyond this an age is only known to be at least so much. */
static int64_t age_us_max(const struct use_policy *policy) {
    return (policy->kind == USE_BY_COUNT ? 11 : 190) * DAY_S * SECOND_US;
}

static void check(const struct use_policy *policy, const struct watched *watched, int64_t now_us) {
    int64_t age_us = now_us - watched->used_us;
    int64_t seen_us =
        (int64_t)(use_age_ticks(policy, entry_clock(&watched->entry)) * SECOND_US / USE_TICKS);
    int64_t unit = unit_us(policy, age_us);
    if (age_us > age_us_max(policy)) {
        assert_true(seen_us >= age_us_max(policy));
        return;
    }
    assert_true(seen_us >= age_us - 2 * unit && seen_us <= age_us + 2 * unit);
}

static void run(enum use_kind kind, bool is_fine) {
    enum { ENTRIES = 200, ROUNDS = 60000 };
    struct random random = random_from_seed();
    struct watched watched[ENTRIES] = {0};
    struct use_policy policy = {
        .kind = kind, .is_fine = is_fine, .factor = 10, .decay_minutes = 0, .random = 1};
    int64_t now_us = 0;
    use_set_time(&policy, now_us);
    for (int i = 0; i < ENTRIES; i++)
        entry_set_clock(&watched[i].entry, use_first(&policy));
    for (int round = 0; round < ROUNDS; round++) {
        /* Mostly whole rounds, so that months pass; sometimes moments. */
        int64_t step = random_below(&random, 3) ? USE_ROUND_S * SECOND_US
                                                : (int64_t)random_below(&random, 3 * SECOND_US);
        now_us += step;
        use_set_time(&policy, now_us);
        for (int i = 0; i < ENTRIES; i++) {
            use_age(&policy, &watched[i].entry);
            check(&policy, &watched[i], now_us);
        }
        /* The first ones often, the last ones next to never. */
        uint64_t at = random_below(&random, 1 + random_below(&random, ENTRIES));
        if (round % (1 + (int)at * 7) != 0) continue;
        use_touch(&policy, &watched[at].entry, true);
        watched[at].used_us = now_us;
        check(&policy, &watched[at], now_us);
    }
}

static void test_ages(void **state) {
    (void)state;
    run(USE_BY_TIME, true);
    run(USE_BY_TIME, false);
    run(USE_BY_COUNT, true);
    run(USE_BY_COUNT, false);
}

/* What RESTORE and RDB files say. */
static void test_given(void **state) {
    (void)state;
    struct use_policy policy = {.kind = USE_BY_TIME, .is_fine = true};
    struct entry entry = {0};
    use_set_time(&policy, 5 * SECOND_US);
    static const uint32_t idle_s[] = {0, 1, 100, 9999, 20000, 1000000, 16000000};
    for (size_t i = 0; i < sizeof idle_s / sizeof idle_s[0]; i++) {
        for (int fine = 0; fine < 2; fine++) {
            policy.is_fine = fine;
            entry_set_clock(&entry, use_of_idle(&policy, idle_s[i]));
            uint32_t seen = use_idle_s(&policy, &entry);
            assert_in_range(seen, idle_s[i], idle_s[i] + 8);
        }
    }
    entry_set_clock(&entry, use_of_idle(&policy, UINT64_MAX));
    assert_true(use_idle_s(&policy, &entry) > 190 * DAY_S);
    policy.kind = USE_BY_COUNT;
    for (uint32_t count = 0; count < 256; count++) {
        entry_set_clock(&entry, use_of_count(&policy, count));
        assert_int_equal(use_count(&policy, &entry), count);
    }
}

static void test_counts(void **state) {
    (void)state;
    struct use_policy policy = {
        .kind = USE_BY_COUNT, .is_fine = true, .factor = 0, .decay_minutes = 2, .random = 77};
    struct entry entry = {0};
    use_set_time(&policy, 0);
    entry_set_clock(&entry, use_first(&policy));
    assert_int_equal(use_count(&policy, &entry), 5);
    for (int i = 0; i < 20; i++)
        use_touch(&policy, &entry, i & 1);
    assert_int_equal(use_count(&policy, &entry), 25);
    use_set_time(&policy, 119 * SECOND_US);
    assert_int_equal(use_count(&policy, &entry), 25);
    use_set_time(&policy, 121 * SECOND_US);
    assert_int_equal(use_count(&policy, &entry), 24);
    use_set_time(&policy, 601 * SECOND_US);
    use_age(&policy, &entry);
    assert_int_equal(use_count(&policy, &entry), 20);
    use_touch(&policy, &entry, false);
    assert_int_equal(use_count(&policy, &entry), 21);
    for (int64_t now_s = 601; now_s < DAY_S; now_s += USE_ROUND_S) {
        use_set_time(&policy, now_s * SECOND_US);
        use_age(&policy, &entry);
    }
    assert_int_equal(use_count(&policy, &entry), 0);
    /* A factor makes it logarithmic: about 10 after 100 uses, about 18 after 1000. */
    policy.factor = 10;
    policy.decay_minutes = 0;
    entry_set_clock(&entry, use_first(&policy));
    for (int i = 0; i < 100; i++)
        use_touch(&policy, &entry, false);
    assert_in_range(use_count(&policy, &entry), 7, 14);
    for (int i = 0; i < 900; i++)
        use_touch(&policy, &entry, false);
    assert_in_range(use_count(&policy, &entry), 13, 25);
}

/* Reading is no use where changes count. */
static void test_kinds(void **state) {
    (void)state;
    struct use_policy policy = {.kind = USE_BY_CHANGE, .is_fine = true};
    struct entry entry = {0};
    use_set_time(&policy, 0);
    entry_set_clock(&entry, use_first(&policy));
    use_set_time(&policy, 10 * SECOND_US);
    use_touch(&policy, &entry, false);
    assert_int_equal(use_idle_s(&policy, &entry), 10);
    use_touch(&policy, &entry, true);
    assert_int_equal(use_idle_s(&policy, &entry), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_ages), cmocka_unit_test(test_given),
                                       cmocka_unit_test(test_counts), cmocka_unit_test(test_kinds)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
