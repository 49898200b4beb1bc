/* test_set.c: sets against a naive model, in all three forms and through the changes between them.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/memory.h"
#include "struct/intset.h"
#include "struct/listpack.h"
#include "value/object_digest.h"
#include "value/set.h"

enum { MEMBERS = 400, TEXT_MAX = 80 };

static uint64_t next_random(void *state) {
    uint64_t *s = state;
    uint64_t z = (*s += 0x9e3779b97f4a7c15ULL);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
    return z ^ (z >> 31);
}

struct model {
    struct epochs epochs;
    struct hash_secret secret;
    struct record_world world;
    struct set set;
    struct set_limits limits;
    uint64_t random;
    bool is_member[MEMBERS];
    size_t count;
};

/* The lower half are integers. */
static struct item member_of(uint64_t id, char out[TEXT_MAX]) {
    static const int64_t scales[] = {1, -1, 300, 70000, -5000000000};
    if (id < MEMBERS / 2) return item_integer((int64_t)id * 7 * scales[id % 5] + (int64_t)id);
    if (id == MEMBERS / 2) return item_make(bytes_make("", 0));
    int size = snprintf(out, TEXT_MAX, "m%u:%.*s", (unsigned)id, (int)(id % 40),
                        "abcdefghijklmnopqrstuvwxyzabcdefghijklmnop");
    return item_make(bytes_make(out, (size_t)size));
}

static uint64_t id_of(const struct item *member) {
    char text[TEXT_MAX];
    for (uint64_t id = 0; id < MEMBERS; id++) {
        struct item other = member_of(id, text);
        if (item_equal(&other, member)) return id;
    }
    fail_msg("not one of ours");
    return 0;
}

static void model_open(struct model *m, uint64_t seed) {
    memset(m, 0, sizeof *m);
    m->random = seed;
    for (size_t i = 0; i < HASH_SECRET_SIZE; i++)
        m->secret.bytes[i] = (uint8_t)next_random(&m->random);
    epochs_init(&m->epochs);
    m->world = (struct record_world){.epochs = &m->epochs, .secret = &m->secret};
    m->limits = (struct set_limits){next_random(&m->random) % 120, next_random(&m->random) % 60,
                                    4 + next_random(&m->random) % 50};
    object_init(&m->set.object, VALUE_SET, &m->world);
}

static void model_close(struct model *m) {
    object_release(&m->set.object);
    epochs_release(&m->epochs);
}

struct seen {
    unsigned times[MEMBERS];
    size_t count;
};

static void see(void *context, const struct item *member) {
    struct seen *seen = context;
    seen->times[id_of(member)]++;
    seen->count++;
}

static void check_seen(const struct model *m, const struct seen *seen) {
    assert_int_equal(seen->count, m->count);
    for (size_t id = 0; id < MEMBERS; id++)
        assert_int_equal(seen->times[id], m->is_member[id]);
}

static void check_limits(const struct model *m) {
    const struct set *set = &m->set;
    if (!object_is_flat(&set->object) || set->object.flat.size == 0) return;
    struct bytes flat = bytes_make(set->object.flat.data, set->object.flat.size);
    if (set->object.format == FLAT_INTSET) {
        assert_true(m->count == 0 || intset_validate(flat));
        assert_true(m->count <= m->limits.integers);
    } else {
        assert_true(listpack_validate(flat, NULL));
        assert_true(m->count <= m->limits.members);
    }
}

static void check(const struct model *m) {
    struct seen scanned = {0}, taken = {0};
    struct set_cursor cursor;
    struct item member;
    uint64_t place = 0;
    assert_int_equal(set_count(&m->set), m->count);
    do
        place = set_scan(&m->set, place, see, &scanned);
    while (place != 0);
    check_seen(m, &scanned);
    set_begin(&m->set, &cursor);
    while (set_take(&cursor, &member))
        see(&taken, &member);
    set_end(&cursor);
    check_seen(m, &taken);
    check_limits(m);
    if (!object_is_flat(&m->set.object)) record_table_check(&m->set.table, &m->world);
}

static void step(struct model *m, unsigned adding) {
    char text[TEXT_MAX];
    uint64_t id = next_random(&m->random) % MEMBERS;
    if (next_random(&m->random) % 8) id %= MEMBERS / 2; /* long an intset */
    struct item member = member_of(id, text);
    assert_int_equal(set_contains(&m->set, &member), m->is_member[id]);
    if (next_random(&m->random) % 100 < adding) {
        assert_int_equal(set_add(&m->set, &m->limits, &member), !m->is_member[id]);
        m->count += !m->is_member[id];
        m->is_member[id] = true;
    } else {
        assert_int_equal(set_remove(&m->set, &member), m->is_member[id]);
        m->count -= m->is_member[id];
        m->is_member[id] = false;
    }
    assert_int_equal(set_contains(&m->set, &member), m->is_member[id]);
    if (m->count > 0) {
        struct item any = set_random(&m->set, next_random, &m->random);
        assert_true(m->is_member[id_of(&any)]);
    }
}

static void test_model(void **state) {
    (void)state;
    static struct model m;
    unsigned checked[FLAT_NONE + 1] = {0};
    for (uint64_t seed = 1; seed <= 60; seed++) {
        model_open(&m, seed);
        print_message("seed %u\n", (unsigned)seed);
        for (unsigned i = 0; i < 700; i++) {
            step(&m, i / 150 % 2 ? 30 : 75);
            if (i % 14) continue;
            check(&m);
            checked[m.set.object.format]++;
        }
        check(&m);
        model_close(&m);
    }
    assert_true(checked[FLAT_INTSET] > 20);
    assert_true(checked[FLAT_LISTPACK] > 20);
    assert_true(checked[FLAT_NONE] > 20);
}

/* The same members, added in another order and kept in another form, and a copy. */
static void test_digest_and_copy(void **state) {
    (void)state;
    static const struct set_limits small = {0, 0, 0}, large = {1000, 1000, 1000};
    static struct model a, b;
    char text[TEXT_MAX];
    struct set copy;
    model_open(&a, 1);
    model_open(&b, 2);
    for (uint64_t id = 0; id < MEMBERS; id++) {
        struct item member = member_of(id, text);
        assert_true(set_add(&a.set, &small, &member));
        member = member_of(MEMBERS - 1 - id, text);
        assert_true(set_add(&b.set, &large, &member));
    }
    assert_string_equal(set_class.encoding_name(&a.set.object), "hashtable");
    assert_string_equal(set_class.encoding_name(&b.set.object), "listpack");
    object_init(&copy.object, VALUE_SET, &a.world);
    object_copy(&copy.object, &a.set.object);
    struct digest one = object_digest_of(&a.set.object);
    struct digest two = object_digest_of(&b.set.object);
    struct digest three = object_digest_of(&copy.object);
    assert_memory_equal(&one, &two, sizeof one);
    assert_memory_equal(&one, &three, sizeof one);
    struct item member = member_of(3, text);
    assert_true(set_remove(&copy, &member));
    assert_true(set_contains(&a.set, &member));
    object_release(&copy.object);
    model_close(&a);
    model_close(&b);
}

/* Every member as often as any other: chi-square over all, in each form. */
static void check_uniform(uint64_t count, const struct set_limits *limits, uint64_t first) {
    static struct model m;
    static unsigned hits[MEMBERS];
    enum { DRAWS_EACH = 200 };
    char text[TEXT_MAX];
    double chi = 0;
    memset(hits, 0, sizeof hits);
    model_open(&m, count);
    for (uint64_t id = first; id < first + count; id++) {
        struct item member = member_of(id, text);
        set_add(&m.set, limits, &member);
    }
    for (uint64_t i = 0; i < count * DRAWS_EACH; i++) {
        struct item member = set_random(&m.set, next_random, &m.random);
        hits[id_of(&member)]++;
    }
    for (uint64_t id = first; id < first + count; id++) {
        double off = (double)hits[id] - DRAWS_EACH;
        chi += off * off / DRAWS_EACH;
    }
    /* Mean count - 1, variance twice that: six deviations. */
    double bound = (double)count - 1;
    assert_true((chi - bound) * (chi - bound) < 36 * 2 * bound || chi < bound);
    model_close(&m);
}

static void test_random(void **state) {
    (void)state;
    static const struct set_limits flat = {1000, 1000, 1000}, table = {0, 0, 0};
    check_uniform(150, &flat, 0);
    check_uniform(100, &flat, MEMBERS / 2);
    check_uniform(MEMBERS, &table, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_model),
        cmocka_unit_test(test_digest_and_copy),
        cmocka_unit_test(test_random),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
