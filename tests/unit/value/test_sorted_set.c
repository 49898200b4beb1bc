/* test_sorted_set.c: sorted sets against a naive model (a sorted array), flat, converting and as a
 * structure; ranges against counting; views against copies of the model. */
#include "../base/cmocka_all.h"
#include "../base/random.h"

#include "base/memory.h"
#include "value/object_digest.h"
#include "value/sorted_set.h"
#include "value/sorted_set_score.h"

#include <math.h>

enum { MEMBER_TEXT_MAX = 400 };

struct pair {
    uint32_t member; /* its number, from which its text is made */
    double score;
};

struct model {
    struct epochs epochs;
    struct hash_secret secret;
    struct record_world world;
    struct sorted_set *set;
    struct sorted_set_limits limits;
    struct random random;
    uint32_t members; /* numbers are below */
    bool scores_equal;
    struct pair *pairs; /* in order */
    size_t count;
};

/* Some members are integers, some are large, some begin with each other. */
static struct item member_item(uint32_t member, char text[MEMBER_TEXT_MAX]) {
    int size;
    if (member % 3 == 0)
        size = snprintf(text, MEMBER_TEXT_MAX, "%d", (int)member * (member % 2 ? -7 : 1001));
    else if (member % 41 == 1)
        size = snprintf(text, MEMBER_TEXT_MAX, "%u:%0*d", member, 60 + (int)(member % 300), 7);
    else
        size = snprintf(text, MEMBER_TEXT_MAX, "m%.*s%u", (int)(member % 8), "aaaaaaaa", member);
    return item_make(bytes_make(text, (size_t)size));
}

static double random_score(struct model *m) {
    if (m->scores_equal) return 1.5;
    switch (random_below(&m->random, 8)) {
    case 0: return (double)random_below(&m->random, 5);
    case 1: return -(double)random_below(&m->random, 1000000);
    case 2: return (double)random_next(&m->random) * 1e-3;
    case 3: return (double)random_below(&m->random, 1000) / 8;
    case 4: return random_below(&m->random, 2) ? HUGE_VAL : -HUGE_VAL;
    case 5: return random_below(&m->random, 2) ? -0.0 : 0.0;
    case 6: return ldexp((double)random_next(&m->random), -(int)random_below(&m->random, 1000));
    default: return (double)random_below(&m->random, 1 << 30);
    }
}

static int pair_compare(const struct pair *a, const struct pair *b) {
    char x[MEMBER_TEXT_MAX], y[MEMBER_TEXT_MAX];
    if (a->score != b->score) return a->score < b->score ? -1 : 1;
    struct item i = member_item(a->member, x), j = member_item(b->member, y);
    return item_compare(&i, &j);
}

static void model_open(struct model *m, uint32_t members, uint64_t entries_max) {
    struct random random = m->random;
    *m = (struct model){.random = random, .members = members, .limits = {entries_max, 64}};
    epochs_init(&m->epochs);
    m->world = (struct record_world){.epochs = &m->epochs, .secret = &m->secret};
    m->set = memory_alloc(sizeof *m->set);
    object_init(&m->set->object, VALUE_SORTED_SET, &m->world);
    m->pairs = calloc(members, sizeof *m->pairs);
}

static void model_close(struct model *m) {
    object_free(m->set);
    assert_int_equal(m->epochs.limbo_count, 0);
    epochs_release(&m->epochs);
    free(m->pairs);
}

static size_t model_find(const struct model *m, uint32_t member) {
    size_t i = 0;
    while (i < m->count && m->pairs[i].member != member)
        i++;
    return i;
}

static void model_remove(struct model *m, size_t at, size_t count) {
    memmove(m->pairs + at, m->pairs + at + count, (m->count - at - count) * sizeof *m->pairs);
    m->count -= count;
}

static void model_insert(struct model *m, const struct pair *pair) {
    size_t low = 0, high = m->count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (pair_compare(&m->pairs[middle], pair) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    memmove(m->pairs + low + 1, m->pairs + low, (m->count - low) * sizeof *m->pairs);
    m->pairs[low] = *pair;
    m->count++;
}

static void step_add(struct model *m) {
    static const unsigned conditions[] = {0,
                                          0,
                                          0,
                                          SORTED_SET_IF_ABSENT,
                                          SORTED_SET_IF_PRESENT,
                                          SORTED_SET_IF_GREATER,
                                          SORTED_SET_IF_LESS,
                                          SORTED_SET_INCREMENT,
                                          SORTED_SET_INCREMENT | SORTED_SET_IF_GREATER,
                                          SORTED_SET_IF_PRESENT | SORTED_SET_IF_LESS};
    char text[MEMBER_TEXT_MAX];
    struct pair pair = {(uint32_t)random_below(&m->random, m->members), random_score(m)};
    unsigned wanted = conditions[random_below(&m->random, sizeof conditions / sizeof *conditions)];
    if (m->scores_equal) wanted &= ~(unsigned)SORTED_SET_INCREMENT;
    size_t at = model_find(m, pair.member);
    bool present = at < m->count;
    double old = present ? m->pairs[at].score : 0, score = pair.score;
    if (present && wanted & SORTED_SET_INCREMENT) pair.score += old;
    enum sorted_set_outcome expected = SORTED_SET_ADDED;
    if (wanted & (present ? SORTED_SET_IF_ABSENT : SORTED_SET_IF_PRESENT))
        expected = SORTED_SET_NOT_WANTED;
    else if (isnan(pair.score))
        expected = SORTED_SET_NOT_A_NUMBER;
    else if (present && ((wanted & SORTED_SET_IF_GREATER && !(pair.score > old)) ||
                         (wanted & SORTED_SET_IF_LESS && !(pair.score < old))))
        expected = SORTED_SET_NOT_WANTED;
    else if (present)
        expected = pair.score == old ? SORTED_SET_SAME : SORTED_SET_UPDATED;
    struct item member = member_item(pair.member, text);
    if (expected == SORTED_SET_ADDED && random_below(&m->random, 2) == 0)
        assert_true(sorted_set_add_last(m->set, &member, score, &m->limits));
    else
        assert_int_equal(sorted_set_add(m->set, &member, &score, wanted, &m->limits), expected);
    if (expected <= SORTED_SET_SAME) assert_true(score == pair.score);
    if (expected == SORTED_SET_UPDATED) model_remove(m, at, 1);
    if (expected <= SORTED_SET_UPDATED) model_insert(m, &pair);
}

static void step_remove(struct model *m) {
    char text[MEMBER_TEXT_MAX];
    uint32_t number = (uint32_t)random_below(&m->random, m->members);
    struct item member = member_item(number, text);
    size_t at = model_find(m, number);
    assert_int_equal(sorted_set_remove(m->set, &member), at < m->count);
    if (at < m->count) model_remove(m, at, 1);
}

static void step_remove_span(struct model *m) {
    if (m->count == 0) return;
    struct sorted_set_span span = {random_below(&m->random, m->count), 0};
    uint64_t left = m->count - span.first;
    span.count =
        1 + random_below(&m->random, random_below(&m->random, 20) ? (left < 9 ? left : 9) : left);
    sorted_set_remove_span(m->set, &span);
    model_remove(m, span.first, span.count);
}

static void step(struct model *m, unsigned growth) {
    if (random_below(&m->random, 100) < growth)
        step_add(m);
    else if (random_below(&m->random, 10) > 0)
        step_remove(m);
    else
        step_remove_span(m);
}

/* ---- comparing ---- */

static void assert_element(const struct sorted_set_element *element, const struct pair *pair) {
    char text[MEMBER_TEXT_MAX];
    struct item member = member_item(pair->member, text);
    assert_true(item_equal(&element->member, &member));
    assert_true(element->score == pair->score);
}

static void check_walks(const struct model *m, const struct sorted_set *set,
                        const struct pair *pairs, size_t count) {
    (void)m;
    struct sorted_set_span whole = sorted_set_span_whole(set);
    struct sorted_set_element element;
    struct sorted_set_walk walk;
    size_t i = 0;
    assert_int_equal(whole.count, count);
    sorted_set_walk_begin(&walk, set, &whole, false);
    while (sorted_set_walk_next(&walk, &element))
        assert_element(&element, &pairs[i++]);
    assert_int_equal(i, count);
    sorted_set_walk_begin(&walk, set, &whole, true);
    while (sorted_set_walk_next(&walk, &element))
        assert_element(&element, &pairs[--i]);
    assert_int_equal(i, 0);
}

static void check_members(const struct model *m) {
    for (size_t i = 0; i < m->count; i += 1 + m->count / 300) {
        char text[MEMBER_TEXT_MAX];
        struct item member = member_item(m->pairs[i].member, text);
        uint64_t rank;
        double score;
        assert_true(sorted_set_rank(m->set, &member, &rank, &score));
        assert_true(rank == i && score == m->pairs[i].score);
    }
}

static void check_scores(struct model *m) {
    for (int i = 0; i < 50; i++) {
        struct sorted_set_scores scores = {random_score(m), random_score(m),
                                           random_below(&m->random, 2) > 0,
                                           random_below(&m->random, 2) > 0};
        if (m->count > 0 && i % 2) scores.min = m->pairs[random_below(&m->random, m->count)].score;
        struct sorted_set_span span = sorted_set_span_of_scores(m->set, &scores);
        uint64_t count = 0, first = 0;
        for (size_t j = 0; j < m->count; j++) {
            double score = m->pairs[j].score;
            if (scores.min_excluded ? score <= scores.min : score < scores.min) continue;
            if (scores.max_excluded ? score >= scores.max : score > scores.max) continue;
            if (count++ == 0) first = j;
        }
        assert_int_equal(span.count, count);
        if (count > 0) assert_int_equal(span.first, first);
    }
}

static void check_limits(struct model *m) {
    for (int i = 0; i < 50 && m->scores_equal; i++) {
        char x[MEMBER_TEXT_MAX], y[MEMBER_TEXT_MAX], z[MEMBER_TEXT_MAX];
        struct sorted_set_limit limits[2];
        char *texts[] = {x, y};
        for (int j = 0; j < 2; j++) {
            uint32_t number = (uint32_t)random_below(&m->random, m->members);
            limits[j] = (struct sorted_set_limit){SORTED_SET_MEMBER, member_item(number, texts[j]),
                                                  random_below(&m->random, 2) > 0};
        }
        struct sorted_set_span span = sorted_set_span_of_members(m->set, &limits[0], &limits[1]);
        uint64_t count = 0, first = 0;
        for (size_t j = 0; j < m->count; j++) {
            struct item member = member_item(m->pairs[j].member, z);
            int low = item_compare(&member, &limits[0].member);
            int high = item_compare(&member, &limits[1].member);
            if (low < 0 || (low == 0 && limits[0].excluded)) continue;
            if (high > 0 || (high == 0 && limits[1].excluded)) continue;
            if (count++ == 0) first = j;
        }
        assert_int_equal(span.count, count);
        if (count > 0) assert_int_equal(span.first, first);
    }
}

struct seen {
    const struct model *m;
    uint8_t *seen; /* by number */
    size_t count;
};

static void see(void *context, const struct sorted_set_element *element) {
    struct seen *seen = context;
    char text[MEMBER_TEXT_MAX];
    for (size_t i = 0; i < seen->m->count; i++) {
        struct item member = member_item(seen->m->pairs[i].member, text);
        if (!item_equal(&member, &element->member)) continue;
        assert_true(element->score == seen->m->pairs[i].score);
        seen->count += seen->seen[seen->m->pairs[i].member]++ == 0;
        return;
    }
    fail_msg("scanned what is no member");
}

static void check_scan(const struct model *m) {
    struct seen seen = {m, calloc(m->members, 1), 0};
    uint64_t cursor = 0;
    do
        cursor = sorted_set_scan(m->set, cursor, see, &seen);
    while (cursor != 0);
    assert_int_equal(seen.count, m->count);
    free(seen.seen);
}

static void check(struct model *m) {
    sorted_set_check(m->set);
    check_walks(m, m->set, m->pairs, m->count);
    check_members(m);
    check_scores(m);
    check_limits(m);
    if (m->count < 400) check_scan(m);
}

/* ---- tests ---- */

static void run(struct model *m, uint32_t members, uint64_t entries_max, bool scores_equal,
                int steps) {
    model_open(m, members, entries_max);
    m->scores_equal = scores_equal;
    for (int i = 0; i < steps; i++) {
        unsigned phase = (unsigned)(i * 4 / steps);
        step(m, phase == 1 ? 55 : phase == 3 ? 30 : 90);
        if (i % (steps / 20) == 0) check(m);
    }
    check(m);
    model_close(m);
}

static void test_flat(void **state) {
    (void)state;
    struct model m = {.random = random_from_seed()};
    for (int round = 0; round < 10; round++) {
        run(&m, 40, 128, false, 2000);
        run(&m, 40, 128, true, 2000);
    }
}

static void test_conversion(void **state) {
    (void)state;
    struct model m = {.random = random_from_seed()};
    for (int round = 0; round < 20; round++) {
        run(&m, 200, random_below(&m.random, 60), false, 2000);
        run(&m, 200, 30, true, 2000);
    }
}

static void test_structure(void **state) {
    (void)state;
    struct model m = {.random = random_from_seed()};
    run(&m, 6000, 0, false, 60000);
    run(&m, 6000, 0, true, 40000);
}

/* The longest and the last: a structure is never flat again. */
static void test_encodings(void **state) {
    (void)state;
    struct model m = {0};
    char text[MEMBER_TEXT_MAX];
    memset(text, 'x', sizeof text);
    struct item member = {text, 65, 0}, small = {text, 64, 0};
    double score = 1;
    model_open(&m, 10, 128);
    sorted_set_add(m.set, &small, &score, 0, &m.limits);
    assert_string_equal(object_encoding_name(&m.set->object), "listpack");
    sorted_set_add(m.set, &member, &score, 0, &m.limits);
    assert_string_equal(object_encoding_name(&m.set->object), "skiplist");
    assert_true(sorted_set_remove(m.set, &member));
    assert_string_equal(object_encoding_name(&m.set->object), "skiplist");
    assert_true(sorted_set_remove(m.set, &small));
    assert_int_equal(object_count(&m.set->object), 0);
    model_close(&m);
}

static struct digest digest_of(const struct sorted_set *set) {
    return object_digest_of(&set->object);
}

/* The same content is the same, flat or not, and a copy goes its own way. */
static void test_copy_and_digest(void **state) {
    (void)state;
    struct model m = {.random = random_from_seed()};
    model_open(&m, 500, 0);
    for (int i = 0; i < 3000; i++)
        step(&m, 80);
    union object_room room, flat;
    object_copy(&room.object, &m.set->object);
    struct sorted_set *copy = (struct sorted_set *)&room, *again = (struct sorted_set *)&flat;
    check_walks(&m, copy, m.pairs, m.count);
    object_init(&flat.object, VALUE_SORTED_SET, &m.world);
    for (size_t i = 0; i < m.count; i++) {
        char text[MEMBER_TEXT_MAX];
        struct item member = member_item(m.pairs[i].member, text);
        double score = m.pairs[i].score;
        sorted_set_add(again, &member, &score, 0, &(struct sorted_set_limits){1000, 1000});
    }
    assert_true(object_is_flat(&again->object));
    struct digest a = digest_of(m.set), b = digest_of(copy), c = digest_of(again);
    assert_memory_equal(&a, &b, sizeof a);
    assert_memory_equal(&a, &c, sizeof a);
    size_t count = m.count;
    struct pair *pairs = memcpy(malloc(count * sizeof *pairs), m.pairs, count * sizeof *pairs);
    for (int i = 0; i < 2000; i++)
        step(&m, 20);
    sorted_set_check(copy);
    check_walks(&m, copy, pairs, count);
    object_release(&room.object);
    object_release(&flat.object);
    free(pairs);
    check(&m);
    model_close(&m);
}

/* What a view froze stays as it was while everything changes, as the keyspace does it: the struct
 * is cloned once, its nodes are shared. */
static void test_views(void **state) {
    (void)state;
    enum { VIEWS = 30 };
    struct model m = {.random = random_from_seed()};
    model_open(&m, 3000, 0);
    for (int i = 0; i < 6000; i++)
        step(&m, 90);
    for (int view = 0; view < VIEWS; view++) {
        size_t count = m.count;
        struct pair *pairs = memcpy(malloc(count * sizeof *pairs), m.pairs, count * sizeof *pairs);
        uint32_t name = epochs_freeze(&m.epochs);
        struct sorted_set *frozen = m.set;
        m.set = (struct sorted_set *)object_clone(&frozen->object);
        for (int i = 0; i < 500; i++)
            step(&m, (unsigned)view * 97 % 100);
        check_walks(&m, frozen, pairs, count);
        sorted_set_check(m.set);
        object_free_alone(frozen);
        epochs_thaw(&m.epochs, name, SIZE_MAX);
        free(pairs);
        check(&m);
    }
    model_close(&m);
}

/* Growing at an end fills the chunks, and a member costs little beside its own bytes. */
static void test_memory(void **state) {
    (void)state;
    enum { MEMBERS = 100000 };
    struct model m = {0};
    model_open(&m, 1, 0);
    for (uint32_t i = 0; i < MEMBERS; i++) {
        char text[MEMBER_TEXT_MAX];
        double score = (double)(i * 2654435761u % 1000003);
        int size = snprintf(text, sizeof text, "member:%09u", i);
        struct item member = item_make(bytes_make(text, (size_t)size));
        sorted_set_add(m.set, &member, &score, 0, &m.limits);
    }
    size_t bytes = object_bytes(&m.set->object);
    printf("%.1f bytes a member of 16: table %.1f, tree %.1f\n", (double)bytes / MEMBERS,
           (double)m.set->table.bytes / MEMBERS, (double)m.set->tree.bytes / MEMBERS);
    assert_true(bytes < 60 * (size_t)MEMBERS);
    model_close(&m);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_flat),
        cmocka_unit_test(test_conversion),
        cmocka_unit_test(test_structure),
        cmocka_unit_test(test_encodings),
        cmocka_unit_test(test_copy_and_digest),
        cmocka_unit_test(test_views),
        cmocka_unit_test(test_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
