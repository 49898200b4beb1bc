/* test_tree.c: the counted tree against an array of chunks, and its views against copies of that
 * array. Chunks hold ascending numbers, the first of which is the hint. */
#include "../base/cmocka_all.h"
#include "../base/random.h"
#include "base/memory.h"
#include "struct/tree.h"
#include <string.h>

enum { MODEL_MAX = 4000, CHUNK_MAX = 12, VIEWS = 3 };

struct model {
    uint64_t numbers[MODEL_MAX][CHUNK_MAX];
    uint32_t counts[MODEL_MAX];
    size_t n;
    uint64_t total;
};

static uint64_t first_number(const struct tree_chunk *chunk) {
    uint64_t number;
    memcpy(&number, chunk->data, sizeof number);
    return number / 4; /* so that neighbours may have the same */
}

static void write_chunk(struct tree_chunk *chunk, const uint64_t *numbers, uint32_t count) {
    assert_true(chunk->capacity >= count * sizeof *numbers);
    memcpy(chunk->data, numbers, count * sizeof *numbers);
    chunk->size = (uint32_t)(count * sizeof *numbers);
    chunk->count = count;
}

static void same_chunk(const struct tree_chunk *chunk, const struct model *model, size_t index) {
    assert_int_equal(chunk->count, model->counts[index]);
    assert_int_equal(chunk->size, model->counts[index] * sizeof model->numbers[0][0]);
    assert_memory_equal(chunk->data, model->numbers[index], chunk->size);
}

static void same(const struct tree *tree, const struct model *model) {
    struct tree_place place;
    uint64_t before = 0;
    size_t i = 0;
    assert_int_equal(tree->count, model->total);
    assert_int_equal(tree->chunks, model->n);
    for (bool more = tree_first(tree, &place); more; more = tree_next(tree, &place), i++) {
        same_chunk(place.chunk, model, i);
        assert_int_equal(place.before, before);
        before += place.chunk->count;
    }
    assert_int_equal(i, model->n);
    for (bool more = tree_last(tree, &place); more; more = tree_previous(tree, &place)) {
        same_chunk(place.chunk, model, --i);
        before -= place.chunk->count;
        assert_int_equal(place.before, before);
    }
    assert_int_equal(i, 0);
}

static bool begins_after(const void *context, const struct tree_chunk *chunk) {
    uint64_t number;
    memcpy(&number, chunk->data, sizeof number);
    return number > *(const uint64_t *)context;
}

static void same_seek(const struct tree *tree, const struct model *model, struct random *random) {
    struct tree_place place;
    if (model->n == 0) {
        assert_false(tree_seek(tree, 0, NULL, NULL, &place));
        return;
    }
    uint64_t index = random_below(random, model->total), before = 0;
    size_t at = 0;
    while (index >= before + model->counts[at])
        before += model->counts[at++];
    tree_seek_index(tree, index, &place);
    same_chunk(place.chunk, model, at);
    assert_int_equal(place.before, before);
    uint64_t wanted = random_below(random, model->numbers[model->n - 1][0] + 10);
    for (at = model->n - 1; at > 0 && model->numbers[at][0] > wanted; at--)
        continue;
    before = 0;
    for (size_t i = 0; i < at; i++)
        before += model->counts[i];
    assert_true(tree_seek(tree, wanted / 4, begins_after, &wanted, &place));
    same_chunk(place.chunk, model, at);
    assert_int_equal(place.before, before);
    assert_true(tree_seek(tree, wanted / 4, NULL, NULL, &place));
    const struct tree_node *node = tree_prefetch_node(tree, wanted / 4);
    assert_int_equal(node != NULL, tree->depth > 1);
    if (node) assert_ptr_equal(*tree_prefetch_link(node, wanted / 4), place.chunk);
}

/* ---- the same change to both ---- */

struct both {
    struct tree tree;
    struct model *model;
    struct epochs epochs;
    struct random *random;
};

static void place_of(const struct both *both, size_t index, struct tree_place *place) {
    uint64_t before = 0;
    for (size_t i = 0; i < index; i++)
        before += both->model->counts[i];
    tree_seek_index(&both->tree, before, place);
}

/* Numbers that belong between the neighbours: `next` is the index of the one behind. */
static uint32_t make_numbers(const struct both *both, size_t index, size_t next,
                             uint64_t *numbers) {
    enum { STEP_MAX = 1000 }; /* at the end */
    const struct model *model = both->model;
    uint64_t low = index > 0 ? model->numbers[index - 1][model->counts[index - 1] - 1] : 0;
    uint32_t count = 1 + (uint32_t)random_below(both->random, CHUNK_MAX);
    uint64_t high = next < model->n ? model->numbers[next][0] : low + STEP_MAX;
    assert_true(low <= high);
    for (uint32_t i = 0; i < count; i++)
        numbers[i] = low + (high - low) * i / count;
    return count;
}

static void insert(struct both *both, size_t index, uint64_t kind) {
    struct model *model = both->model;
    struct tree_place place = {0};
    uint64_t numbers[CHUNK_MAX];
    uint32_t count = make_numbers(both, index, index, numbers);
    bool in_front = index < model->n && (index == 0 || kind % 2);
    if (model->n > 0) place_of(both, in_front ? index : index - 1, &place);
    struct tree_chunk *chunk =
        tree_add(&both->tree, &both->epochs, &place, in_front, count * sizeof numbers[0]);
    write_chunk(chunk, numbers, count);
    tree_close(&both->tree, &place, first_number);
    memmove(model->numbers[index + 1], model->numbers[index],
            (model->n - index) * sizeof model->numbers[0]);
    memmove(&model->counts[index + 1], &model->counts[index],
            (model->n - index) * sizeof model->counts[0]);
    memcpy(model->numbers[index], numbers, sizeof numbers);
    model->counts[index] = count;
    model->n++;
    model->total += count;
    /* The place is the new one's: from there both ways. */
    same_chunk(place.chunk, model, index);
    if (tree_next(&both->tree, &place)) same_chunk(place.chunk, model, index + 1);
}

static void change(struct both *both, size_t index) {
    struct model *model = both->model;
    struct tree_place place;
    uint64_t numbers[CHUNK_MAX];
    uint32_t before = model->counts[index];
    uint32_t count = make_numbers(both, index, index + 1, numbers);
    place_of(both, index, &place);
    struct tree_chunk *chunk =
        tree_open(&both->tree, &both->epochs, &place, count * sizeof numbers[0]);
    write_chunk(chunk, numbers, count);
    tree_close(&both->tree, &place, first_number);
    memcpy(model->numbers[index], numbers, sizeof numbers);
    model->counts[index] = count;
    model->total = model->total + count - before;
    same_chunk(place.chunk, model, index);
}

static void take_out(struct both *both, size_t index) {
    struct model *model = both->model;
    struct tree_place place;
    place_of(both, index, &place);
    tree_remove(&both->tree, &both->epochs, &place, first_number);
    model->n--;
    model->total -= model->counts[index];
    memmove(model->numbers[index], model->numbers[index + 1],
            (model->n - index) * sizeof model->numbers[0]);
    memmove(&model->counts[index], &model->counts[index + 1],
            (model->n - index) * sizeof model->counts[0]);
    if (index < model->n)
        same_chunk(place.chunk, model, index);
    else
        assert_null(place.chunk);
}

/* Growing, shrinking, at the ends and in the middle, in phases. */
static void step(struct both *both, uint64_t phase) {
    struct model *model = both->model;
    uint64_t kind = random_below(both->random, 100);
    uint64_t growing = phase % 2 == 0 ? 70 : 15;
    size_t index = random_below(both->random, model->n + 1);
    if (phase % 6 < 2) index = random_below(both->random, 10) ? model->n : 0;
    if (kind < growing && model->n < MODEL_MAX - 1)
        insert(both, index, kind);
    else if (kind < growing + 15 && model->n > 0)
        change(both, index < model->n ? index : model->n - 1);
    else if (model->n > 0)
        take_out(both, index < model->n ? index : model->n - 1);
}

struct view {
    uint32_t epoch;
    struct tree tree;
    struct model *model;
};

static void toggle_view(struct both *both, struct view *view) {
    if (view->epoch) {
        same(&view->tree, view->model);
        tree_check(&view->tree, first_number);
        epochs_thaw(&both->epochs, view->epoch, SIZE_MAX);
        view->epoch = 0;
        return;
    }
    view->epoch = epochs_freeze(&both->epochs);
    view->tree = both->tree;
    memcpy(view->model, both->model, sizeof *view->model);
}

static void run(struct random *random, bool with_views, int steps) {
    struct both both = {.model = calloc(1, sizeof(struct model)), .random = random};
    struct view views[VIEWS] = {0};
    for (int i = 0; i < VIEWS; i++)
        views[i].model = malloc(sizeof(struct model));
    epochs_init(&both.epochs);
    tree_init(&both.tree);
    for (int i = 0; i < steps; i++) {
        step(&both, (uint64_t)i / 700);
        if (i % 50 == 0) {
            tree_check(&both.tree, first_number);
            same_seek(&both.tree, both.model, random);
        }
        if (i % 500 == 0) same(&both.tree, both.model);
        if (with_views && random_below(random, 150) == 0)
            toggle_view(&both, &views[random_below(random, VIEWS)]);
    }
    same(&both.tree, both.model);
    struct tree copy;
    tree_copy(&copy, &both.tree, &both.epochs);
    tree_check(&copy, first_number);
    same(&copy, both.model);
    tree_release(&copy, NULL);
    for (int i = 0; i < VIEWS; i++) {
        if (views[i].epoch) toggle_view(&both, &views[i]);
        free(views[i].model);
    }
    assert_int_equal(both.epochs.limbo_count, 0);
    tree_release(&both.tree, NULL);
    epochs_release(&both.epochs);
    free(both.model);
}

static void test_against_model(void **state) {
    (void)state;
    struct random random = random_from_seed();
    for (int i = 0; i < 6; i++)
        run(&random, false, 8000);
}

static void test_views(void **state) {
    (void)state;
    struct random random = random_from_seed();
    for (int i = 0; i < 6; i++)
        run(&random, true, 8000);
}

/* What is put at the end only leaves full nodes. */
static void test_appending_fills(void **state) {
    (void)state;
    struct epochs epochs;
    struct tree tree;
    enum { CHUNKS = 100000 };
    epochs_init(&epochs);
    tree_init(&tree);
    struct tree_place place = {0};
    for (uint64_t i = 0; i < CHUNKS; i++) {
        struct tree_chunk *chunk = tree_add(&tree, &epochs, &place, false, sizeof i);
        write_chunk(chunk, &i, 1);
        tree_close(&tree, &place, first_number);
    }
    tree_check(&tree, first_number);
    assert_int_equal(tree.depth, 4);
    struct tree_chunk *any = place.chunk;
    size_t chunk_bytes = CHUNKS * memory_usable_size(any);
    assert_true(tree.bytes - chunk_bytes < CHUNKS * 27);
    while (tree_first(&tree, &place))
        tree_remove(&tree, &epochs, &place, first_number);
    assert_int_equal(tree.bytes, 0);
    tree_release(&tree, NULL);
    epochs_release(&epochs);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_against_model),
        cmocka_unit_test(test_views),
        cmocka_unit_test(test_appending_fills),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
