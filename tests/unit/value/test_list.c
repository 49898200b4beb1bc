/* test_list.c: lists against an array of numbers, each of which stands for an element: short and
 * long texts, integers, some larger than a chunk. Views are read on threads of their own while the
 * owner goes on: to be run with the thread and address sanitizers too. */
#include "../base/cmocka_all.h"
#include "../base/random.h"

#include "base/memory.h"
#include "struct/listpack.h"
#include "value/list.h"

#include <pthread.h>
#include <stdatomic.h>

enum { TEXT_MAX = 3000, MODEL_MAX = 20000, VIEWS = 3, KINDS = 500 };

struct model {
    struct epochs epochs;
    struct hash_secret secret;
    struct record_world world;
    struct random random;
    struct list_limits limits;
    struct list *list;
    uint16_t *kinds;
    size_t count;
};

/* The element that a number stands for. */
static struct item kind_item(unsigned kind, char text[TEXT_MAX]) {
    int size;
    if (kind % 3 == 0)
        size = snprintf(text, TEXT_MAX, "%lld", (long long)kind * (kind % 2 ? -7 : 100100100100));
    else if (kind % 5 == 1)
        size = snprintf(text, TEXT_MAX, "%0*lld", (int)(kind % 23),
                        (long long)kind * (1LL << kind % 47));
    else if (kind % 97 == 1)
        size = snprintf(text, TEXT_MAX, "%u:%0*d", kind, 200 + (int)kind * 5, 7);
    else
        size = snprintf(text, TEXT_MAX, "e%.*s%u", (int)(kind % 8), "aaaaaaaa", kind);
    return item_make(bytes_make(text, (size_t)size));
}

static void same_item(const struct item *item, unsigned kind) {
    char text[TEXT_MAX];
    struct item wanted = kind_item(kind, text);
    INVARIANT(item_equal(item, &wanted));
}

static void model_open(struct model *m, struct random random, int64_t limit) {
    *m = (struct model){.random = random, .limits = {limit}};
    epochs_init(&m->epochs);
    m->world = (struct record_world){.epochs = &m->epochs, .secret = &m->secret};
    m->list = memory_alloc(sizeof *m->list);
    object_init(&m->list->object, VALUE_LIST, &m->world);
    m->kinds = calloc(MODEL_MAX, sizeof m->kinds[0]);
}

static struct random model_close(struct model *m) {
    object_free(m->list);
    assert_int_equal(m->epochs.limbo_count, 0);
    epochs_release(&m->epochs);
    free(m->kinds);
    return m->random;
}

static uint16_t *copy_kinds(const struct model *m) {
    uint16_t *kinds = memory_alloc(MODEL_MAX * sizeof *kinds);
    memcpy(kinds, m->kinds, MODEL_MAX * sizeof *kinds);
    return kinds;
}

/* ---- is it the same ---- */

static void same_range(const struct list *list, const uint16_t *kinds, size_t count, size_t index,
                       bool backward, size_t most) {
    struct list_cursor cursor;
    struct item item;
    list_seek(list, index, backward, &cursor);
    for (; most > 0 && index < count; most--, index += backward ? SIZE_MAX : 1) {
        INVARIANT(list_take(&cursor, &item));
        same_item(&item, kinds[index]);
    }
    if (index >= count) INVARIANT(!list_take(&cursor, &item));
}

static void same_list(const struct list *list, const uint16_t *kinds, size_t count) {
    INVARIANT(list_count(list) == count);
    if (!object_is_flat(&list->object)) tree_check(&list->tree, NULL);
    same_range(list, kinds, count, 0, false, SIZE_MAX);
    if (count > 0) same_range(list, kinds, count, count - 1, true, SIZE_MAX);
}

/* What Redis's documentation says of the limits, and of chunks that each is well filled. */
static void well_kept(const struct model *m) {
    const struct list *list = m->list;
    struct tree_place place;
    if (object_is_flat(&list->object)) {
        if (m->limits.max > 0) assert_true(m->count <= (size_t)m->limits.max);
        return;
    }
    size_t before = LIST_CHUNK_MAX, small = 0;
    for (bool more = tree_first(&list->tree, &place); more; more = tree_next(&list->tree, &place)) {
        struct bytes bytes = bytes_make(place.chunk->data, place.chunk->size);
        struct buffer loose = {0};
        size_t count;
        listpack_put_loosened(&loose, place.chunk->data);
        assert_true(listpack_validate(buffer_bytes(&loose), &count));
        buffer_release(&loose);
        assert_int_equal(count, place.chunk->count);
        assert_true(bytes.size <= LIST_CHUNK_MAX || count == 1);
        if (before + bytes.size < LIST_CHUNK_MAX / 4) small++;
        before = bytes.size;
    }
    /* An end that is taken from element by element is left as it is. */
    assert_in_range(small, 0, 2);
}

/* ---- the same change to both ---- */

static void insert_kind(struct model *m, size_t index, unsigned kind) {
    memmove(&m->kinds[index + 1], &m->kinds[index], (m->count - index) * sizeof m->kinds[0]);
    m->kinds[index] = (uint16_t)kind;
    m->count++;
}

static void remove_kinds(struct model *m, size_t index, size_t count) {
    memmove(&m->kinds[index], &m->kinds[index + count],
            (m->count - index - count) * sizeof m->kinds[0]);
    m->count -= count;
}

static void add(struct model *m, unsigned kind) {
    char text[TEXT_MAX];
    struct item item = kind_item(kind, text);
    uint64_t way = random_below(&m->random, 4);
    if (m->count == MODEL_MAX) return;
    size_t index = way == 0 ? 0 : way == 1 ? m->count : random_below(&m->random, m->count + 1);
    if (way < 2)
        list_push(m->list, &m->limits, &item, way == 0);
    else
        list_insert(m->list, &m->limits, index, &item);
    insert_kind(m, index, kind);
}

static void set(struct model *m, unsigned kind) {
    char text[TEXT_MAX];
    struct item item = kind_item(kind, text);
    if (m->count == 0) return;
    size_t index = random_below(&m->random, m->count);
    list_set(m->list, &m->limits, index, &item);
    m->kinds[index] = (uint16_t)kind;
    char scratch[ITEM_TEXT_MAX];
    struct item there = list_get(m->list, index, scratch);
    same_item(&there, kind);
}

/* One, a few, or a large part; at an end or in the middle. */
static void take_out(struct model *m) {
    if (m->count == 0) return;
    uint64_t dice = random_below(&m->random, 400);
    size_t most = dice == 0 ? m->count : dice < 20 ? 100 : 1;
    size_t count = 1 + random_below(&m->random, most < m->count ? most : m->count);
    size_t room = m->count - count;
    uint64_t way = random_below(&m->random, 3);
    size_t index = way == 0 ? 0 : way == 1 ? room : random_below(&m->random, room + 1);
    struct list_end end;
    if (count == 1 && way < 2) {
        list_find_end(m->list, way == 0, &end);
        same_item(&end.item, m->kinds[index]);
        list_remove_end(m->list, &m->limits, &end);
    } else {
        list_remove(m->list, &m->limits, index, count);
    }
    remove_kinds(m, index, count);
}

static void remove_equal(struct model *m, unsigned kind) {
    char text[TEXT_MAX];
    struct item item = kind_item(kind, text);
    bool from_tail = random_below(&m->random, 2);
    uint64_t max = random_below(&m->random, 3) ? UINT64_MAX : 1 + random_below(&m->random, 4);
    uint64_t removed = 0;
    for (size_t i = 0; i < m->count && removed < max;) {
        size_t index = from_tail ? m->count - 1 - i : i;
        if (m->kinds[index] == kind) {
            remove_kinds(m, index, 1);
            removed++;
        } else {
            i++;
        }
    }
    assert_int_equal(list_remove_equal(m->list, &m->limits, &item, max, from_tail), removed);
}

static void step(struct model *m, unsigned growth) {
    unsigned kind = (unsigned)random_below(&m->random, KINDS);
    /* Some are there often. */
    if (random_below(&m->random, 4) == 0) kind = 10 + kind % 5;
    uint64_t dice = random_below(&m->random, 100);
    if (dice < growth)
        add(m, kind);
    else if (dice < growth + (100 - growth) / 4)
        set(m, kind);
    else if (dice == 99 && random_below(&m->random, 4) == 0)
        remove_equal(m, kind);
    else
        take_out(m);
}

static void look(struct model *m) {
    same_list(m->list, m->kinds, m->count);
    well_kept(m);
    for (int i = 0; i < 5 && m->count > 0; i++) {
        size_t index = random_below(&m->random, m->count);
        char scratch[ITEM_TEXT_MAX];
        struct item item = list_get(m->list, index, scratch);
        same_item(&item, m->kinds[index]);
        same_range(m->list, m->kinds, m->count, index, random_below(&m->random, 2), 700);
    }
}

static const int64_t limits[] = {-2, -1, -5, 1, 7, 128, 0};
static const unsigned growths[] = {95, 50, 30, 80, 5};

static void test_against_model(void **state) {
    (void)state;
    struct random random = random_from_seed();
    for (size_t i = 0; i < sizeof limits / sizeof limits[0]; i++) {
        struct model m;
        model_open(&m, random, limits[i]);
        for (unsigned round = 0; round < 50; round++) {
            for (unsigned j = 0; j < 300; j++)
                step(&m, growths[round / 2 % 5]);
            look(&m);
        }
        random = model_close(&m);
    }
}

static void test_copy(void **state) {
    (void)state;
    struct model m;
    model_open(&m, random_from_seed(), 16);
    for (unsigned round = 0; round < 4; round++) {
        for (unsigned j = 0; j < (round == 0 ? 10 : 1000); j++)
            step(&m, 97);
        struct list *copy = memory_alloc(sizeof *copy);
        object_copy(&copy->object, &m.list->object);
        look(&m);
        same_list(copy, m.kinds, m.count);
        struct list *old = m.list;
        m.list = copy; /* the copy is changed, the old one is not */
        uint16_t *kinds = copy_kinds(&m);
        size_t count = m.count;
        for (unsigned j = 0; j < 300; j++)
            step(&m, 40);
        look(&m);
        same_list(old, kinds, count);
        memory_free(kinds);
        object_free(old);
    }
    model_close(&m);
}

/* ---- views ---- */

struct view {
    uint32_t epoch; /* 0: not open */
    const struct list *list;
    uint16_t *kinds;
    size_t count;
    pthread_t thread;
    atomic_bool stop;
};

static void *read_view(void *argument) {
    struct view *view = argument;
    do
        same_list(view->list, view->kinds, view->count);
    while (!atomic_load(&view->stop));
    return NULL;
}

static void release_struct(void *owner, uint64_t node) {
    (void)owner;
    object_free_alone((void *)(uintptr_t)node);
}

/* The writer goes on with a copy of the struct, as the keyspace does. */
static void open_view(struct model *m, struct view *view) {
    view->epoch = epochs_freeze(&m->epochs);
    view->list = m->list;
    view->kinds = copy_kinds(m);
    view->count = m->count;
    struct object *clone = object_clone(&m->list->object);
    epochs_retire(&m->epochs, release_struct, NULL, (uint64_t)(uintptr_t)m->list, sizeof *m->list);
    m->list = (struct list *)clone;
    atomic_store(&view->stop, false);
    assert_int_equal(pthread_create(&view->thread, NULL, read_view, view), 0);
}

static void close_view(struct model *m, struct view *view) {
    atomic_store(&view->stop, true);
    assert_int_equal(pthread_join(view->thread, NULL), 0);
    epochs_thaw(&m->epochs, view->epoch, SIZE_MAX);
    view->epoch = 0;
    memory_free(view->kinds);
}

static void test_views(void **state) {
    (void)state;
    static struct view views[VIEWS];
    struct model m;
    model_open(&m, random_from_seed(), 32);
    for (unsigned round = 0; round < 60; round++) {
        struct view *view = &views[random_below(&m.random, VIEWS)];
        if (view->epoch != 0)
            close_view(&m, view);
        else
            open_view(&m, view);
        for (unsigned j = 0; j < 400; j++)
            step(&m, growths[round / 5 % 5]);
        look(&m);
    }
    for (unsigned i = 0; i < VIEWS; i++)
        if (views[i].epoch != 0) close_view(&m, &views[i]);
    look(&m);
    model_close(&m);
}

/* A queue whose head is taken while its tail grows stays as small as its content. */
static void test_queue(void **state) {
    (void)state;
    enum { LENGTH = 20000, TURNS = 200000 };
    struct model m;
    model_open(&m, random_from_seed(), -2);
    for (int64_t i = 0; i < TURNS; i++) {
        struct item item = item_integer(1000000000000000 + i);
        list_push(m.list, &m.limits, &item, false);
        if (i < LENGTH) continue;
        char scratch[ITEM_TEXT_MAX];
        struct item first = list_get(m.list, 0, scratch);
        assert_true(first.integer == 1000000000000000 + i - LENGTH);
        list_remove(m.list, &m.limits, 0, 1);
    }
    assert_true(list_count(m.list) == LENGTH);
    assert_true(object_bytes(&m.list->object) < LENGTH * 11);
    model_close(&m);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_against_model),
        cmocka_unit_test(test_copy),
        cmocka_unit_test(test_views),
        cmocka_unit_test(test_queue),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
