/* test_listpack.c: listpacks against an array of strings, their bytes against known ones, and what
 * comes from outside. */
#include "../base/cmocka_all.h"
#include "../base/random.h"
#include "struct/listpack.h"

enum { MODEL_MAX = 300 };

struct model {
    char *text[MODEL_MAX];
    size_t size[MODEL_MAX];
    size_t count;
};

static void model_insert(struct model *model, size_t index, struct bytes bytes) {
    memmove(&model->text[index + 1], &model->text[index], (model->count - index) * sizeof(char *));
    memmove(&model->size[index + 1], &model->size[index], (model->count - index) * sizeof(size_t));
    model->text[index] = malloc(bytes.size + 1);
    memcpy(model->text[index], bytes.data, bytes.size);
    model->size[index] = bytes.size;
    model->count++;
}

static void model_remove(struct model *model, size_t index) {
    free(model->text[index]);
    model->count--;
    memmove(&model->text[index], &model->text[index + 1], (model->count - index) * sizeof(char *));
    memmove(&model->size[index], &model->size[index + 1], (model->count - index) * sizeof(size_t));
}

/* Integers of all widths, texts of all size classes, and texts that only look like integers. */
static struct bytes random_text(struct random *random, char *room) {
    static const char *const odd[] = {"",
                                      "-",
                                      "-0",
                                      "00",
                                      "+1",
                                      "1 ",
                                      "9223372036854775808",
                                      "-9223372036854775808",
                                      "9223372036854775807",
                                      "12a"};
    uint64_t kind = random_below(random, 11);
    if (kind == 0) return bytes_from_text(odd[random_below(random, sizeof odd / sizeof odd[0])]);
    if (kind < 5) {
        int64_t number = (int64_t)(random_next(random) >> random_below(random, 64));
        if (random_below(random, 2)) number = -number;
        return bytes_make(room, number_format_i64(room, number));
    }
    if (kind == 10) { /* digits with zeros in front */
        size_t size = 1 + random_below(random, 24);
        memset(room, '0', size);
        for (size_t i = random_below(random, size); i < size; i++)
            room[i] = (char)('0' + random_below(random, 10));
        if (random_below(random, 8) == 0) room[random_below(random, size)] = '/';
        return bytes_make(room, size);
    }
    static const size_t most[] = {10, 70, 300, 5000, 20};
    size_t size = random_below(random, most[kind - 5] + 1);
    memset(room, (int)('a' + random_below(random, 26)), size);
    return bytes_make(room, size);
}

static void check(const struct buffer *b, const struct model *model) {
    const char *lp = b->data;
    char scratch[ITEM_TEXT_MAX];
    size_t count, i = 0, at, last = 0;
    assert_true(listpack_validate(buffer_bytes(b), &count));
    assert_int_equal(count, model->count);
    assert_int_equal(listpack_count(lp), model->count);
    for (at = listpack_first(lp); at != 0; at = listpack_next(lp, at), i++) {
        struct item item = listpack_get(lp, at);
        struct bytes bytes = item_bytes(&item, scratch);
        assert_true(bytes_equal(bytes, bytes_make(model->text[i], model->size[i])));
        assert_int_equal(listpack_previous(lp, at), last);
        if (i % 16 == 0) {
            assert_int_equal(listpack_seek(lp, (int64_t)i), at);
            assert_int_equal(listpack_seek(lp, (int64_t)i - (int64_t)model->count), at);
        }
        last = at;
    }
    assert_int_equal(i, model->count);
    assert_int_equal(listpack_last(lp), last);
    assert_int_equal(listpack_seek(lp, (int64_t)model->count), 0);
    assert_int_equal(listpack_seek(lp, -1 - (int64_t)model->count), 0);
}

/* The same items one by one in a tight listpack: to be read and changed there, and to come out as
 * files have them. */
static void check_tight(struct random *random, const struct buffer *b, const struct model *model) {
    struct buffer tight = {0}, loose = {0};
    char scratch[ITEM_TEXT_MAX];
    struct item item;
    buffer_reserve(&tight, b->size + 64);
    listpack_init(tight.data);
    for (size_t i = 0; i < model->count; i++) {
        item = item_make(bytes_make(model->text[i], model->size[i]));
        size_t before = listpack_size(tight.data), size = listpack_item_size_tight(&item);
        assert_true(size <= listpack_item_size(&item));
        size_t at = listpack_insert_tight(tight.data, 0, &item);
        assert_int_equal(listpack_size(tight.data), before + size);
        assert_int_equal(listpack_size_at(tight.data, at), size);
        assert_int_equal(listpack_last(tight.data), at);
    }
    if (model->count > 0) {
        size_t at = listpack_seek(tight.data, (int64_t)random_below(random, model->count));
        item = listpack_get_tight(tight.data, at, scratch);
        size_t found = listpack_find_tight(tight.data, listpack_first(tight.data), &item);
        assert_true(found != 0 && found <= at);
        listpack_replace_tight(tight.data, at, &item);
    }
    size_t at = listpack_first(tight.data);
    for (size_t i = 0; listpack_take_tight(tight.data, &at, &item, scratch); i++) {
        char digits[ITEM_TEXT_MAX];
        struct bytes bytes = item_bytes(&item, digits);
        assert_true(bytes_equal(bytes, bytes_make(model->text[i], model->size[i])));
    }
    listpack_put_loosened(&loose, tight.data);
    assert_true(bytes_equal(buffer_bytes(&loose), buffer_bytes(b)));
    buffer_release(&tight);
    buffer_release(&loose);
}

static void step(struct random *random, struct buffer *b, struct model *model) {
    static char room[6000];
    struct bytes text = random_text(random, room);
    struct item item = item_make(text);
    size_t index = random_below(random, model->count + 1);
    size_t at = index < model->count ? listpack_seek(b->data, (int64_t)index) : 0;
    uint64_t kind = random_below(random, 8);
    if (kind < 5 && model->count < MODEL_MAX) {
        size_t put = listpack_put(b, at, &item);
        model_insert(model, index, text);
        assert_int_equal(listpack_seek(b->data, (int64_t)index), put);
    } else if (kind == 5 && at) {
        listpack_put_replace(b, at, &item);
        model_remove(model, index);
        model_insert(model, index, text);
    } else if (at) {
        size_t count = 1 + random_below(random, 3);
        if (random_below(random, 30) == 0) count = SIZE_MAX;
        size_t next = listpack_put_remove(b, at, count);
        for (size_t i = 0; i < count && index < model->count; i++)
            model_remove(model, index);
        assert_int_equal(next, index < model->count ? listpack_seek(b->data, (int64_t)index) : 0);
    }
}

static void test_against_model(void **state) {
    (void)state;
    struct random random = random_from_seed();
    for (int round = 0; round < 30; round++) {
        struct buffer b = {0};
        struct model model = {.count = 0};
        listpack_begin(&b);
        for (int i = 0; i < 600; i++) {
            step(&random, &b, &model);
            if (i % 7 == 0) check(&b, &model);
            if (i % 50 == 0) check_tight(&random, &b, &model);
        }
        for (size_t i = 0; i < model.count; i++) {
            struct item wanted = item_make(bytes_make(model.text[i], model.size[i]));
            size_t at = listpack_find(b.data, listpack_first(b.data), &wanted, 0);
            struct item found = listpack_get(b.data, at);
            assert_true(at != 0 && item_equal(&found, &wanted));
        }
        while (model.count > 0)
            model_remove(&model, 0);
        buffer_release(&b);
    }
}

static void test_join(void **state) {
    (void)state;
    struct random random = random_from_seed();
    for (int round = 0; round < 100; round++) {
        struct buffer a = {0}, b = {0};
        struct model both = {.count = 0};
        char room[6000];
        bool in_front = round % 2;
        listpack_begin(&a);
        listpack_begin(&b);
        size_t a_count = random_below(&random, 20), b_count = random_below(&random, 20);
        for (size_t i = 0; i < a_count + b_count; i++) {
            struct bytes text = random_text(&random, room);
            struct item item = item_make(text);
            bool first = in_front ? i < b_count : i >= a_count;
            listpack_put(first ? &b : &a, 0, &item);
            model_insert(&both, both.count, text);
        }
        buffer_reserve(&a, b.size);
        listpack_join(a.data, b.data, in_front);
        a.size = listpack_size(a.data);
        check(&a, &both);
        while (both.count > 0)
            model_remove(&both, 0);
        buffer_release(&a);
        buffer_release(&b);
    }
}

/* As Redis's specification of the format has them. */
static void test_known_bytes(void **state) {
    (void)state;
    static const struct {
        const char *text, *bytes;
        size_t size;
    } known[] = {
        {"0", "\x00\x01", 2},
        {"127", "\x7f\x01", 2},
        {"128", "\xc0\x80\x02", 3},
        {"-1", "\xdf\xff\x02", 3},
        {"4095", "\xcf\xff\x02", 3},
        {"-4096", "\xd0\x00\x02", 3},
        {"4096", "\xf1\x00\x10\x03", 4},
        {"-32769", "\xf2\xff\x7f\xff\x04", 5},
        {"8388608", "\xf3\x00\x00\x80\x00\x05", 6},
        {"2147483648", "\xf4\x00\x00\x00\x80\x00\x00\x00\x00\x09", 10},
        {"abc",
         "\x83"
         "abc\x04",
         5},
        {"", "\x80\x01", 2},
    };
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        struct buffer b = {0};
        struct item item = item_make(bytes_from_text(known[i].text));
        listpack_begin(&b);
        listpack_put(&b, 0, &item);
        assert_int_equal(b.size, LISTPACK_EMPTY_SIZE + known[i].size);
        assert_memory_equal(b.data + LISTPACK_HEADER_SIZE, known[i].bytes, known[i].size);
        assert_int_equal(listpack_item_size(&item), known[i].size);
        buffer_release(&b);
    }
}

/* Any damage is refused, or leaves something that can be walked both ways. */
static void test_damage(void **state) {
    (void)state;
    struct random random = random_from_seed();
    for (int round = 0; round < 3000; round++) {
        struct buffer b = {0};
        char room[6000];
        listpack_begin(&b);
        for (uint64_t i = random_below(&random, 12); i > 0; i--) {
            struct item item = item_make(random_text(&random, room));
            listpack_put(&b, 0, &item);
        }
        char *exact = malloc(b.size);
        size_t size = b.size;
        memcpy(exact, b.data, size);
        for (uint64_t i = random_below(&random, 3); i > 0; i--)
            exact[random_below(&random, size)] ^= (char)(1 << random_below(&random, 8));
        if (random_below(&random, 4) == 0) size = random_below(&random, size);
        size_t count, forward = 0, backward = 0;
        if (listpack_validate(bytes_make(exact, size), &count)) {
            for (size_t at = listpack_first(exact); at != 0; at = listpack_next(exact, at))
                forward++;
            for (size_t at = listpack_last(exact); at != 0; at = listpack_previous(exact, at))
                backward++;
            assert_int_equal(forward, count);
            assert_int_equal(backward, count);
        }
        free(exact);
        buffer_release(&b);
    }
}

static void test_many(void **state) {
    (void)state;
    struct buffer b = {0};
    enum { MANY = 70000 };
    listpack_begin(&b);
    for (int i = 0; i < MANY; i++) {
        struct item item = item_integer(i);
        listpack_put(&b, 0, &item);
    }
    assert_int_equal(listpack_count(b.data), MANY);
    assert_int_equal(listpack_get(b.data, listpack_seek(b.data, MANY - 2)).integer, MANY - 2);
    assert_int_equal(listpack_seek(b.data, MANY), 0);
    listpack_put_remove(&b, listpack_seek(b.data, 10), SIZE_MAX);
    assert_int_equal(listpack_count(b.data), 10);
    buffer_release(&b);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_against_model), cmocka_unit_test(test_join),
        cmocka_unit_test(test_known_bytes),   cmocka_unit_test(test_damage),
        cmocka_unit_test(test_many),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
