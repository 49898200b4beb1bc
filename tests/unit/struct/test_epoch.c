/* test_epoch.c: retired nodes are released when, and only when, no view that was open at their
 * death is left: against a model that remembers for each node which views those were. */
#include "test_support.h"

enum { NODES_MAX = 20000 };

struct node {
    uint64_t seen_by; /* a bit for each of the model's views */
    bool retired, released;
};

struct model {
    struct epochs epochs;
    struct node nodes[NODES_MAX];
    size_t released;
};

/* Nodes are never 0: they are told with one more. */
static void release_node(void *owner, uint64_t node) {
    struct model *m = owner;
    uint64_t at = node - 1;
    assert_true(m->nodes[at].retired && !m->nodes[at].released);
    assert_int_equal(m->nodes[at].seen_by, 0);
    m->nodes[at].released = true;
    m->released++;
}

static struct epoch_limbo_record *retire(struct model *m, uint64_t at, size_t size) {
    return epochs_retire(&m->epochs, release_node, m, at + 1, size);
}

static void test_no_view(void **state) {
    (void)state;
    struct model *m = calloc(1, sizeof(*m));
    epochs_init(&m->epochs);
    assert_int_equal(m->epochs.now, 1);
    assert_false(epoch_shared(&m->epochs, 1));
    m->nodes[0].retired = true;
    assert_null(retire(m, 0, 10));
    assert_true(m->nodes[0].released);
    assert_true(epochs_drain(&m->epochs, 0));
    epochs_release(&m->epochs);
    free(m);
}

static void test_budget(void **state) {
    (void)state;
    struct model *m = calloc(1, sizeof(*m));
    epochs_init(&m->epochs);
    uint32_t view = epochs_freeze(&m->epochs);
    assert_true(epoch_shared(&m->epochs, view));
    assert_false(epoch_shared(&m->epochs, m->epochs.now));
    for (uint64_t i = 0; i < 1000; i++) {
        m->nodes[i].retired = true;
        m->nodes[i].seen_by = 1;
        assert_non_null(retire(m, i, 3));
    }
    assert_int_equal(m->epochs.limbo_count, 1000);
    assert_int_equal(m->epochs.limbo_bytes, 3000);
    for (uint64_t i = 0; i < 1000; i++)
        m->nodes[i].seen_by = 0;
    assert_false(epochs_thaw(&m->epochs, view, 100));
    assert_int_equal(m->released, 100);
    assert_false(epochs_drain(&m->epochs, 899));
    assert_int_equal(m->epochs.limbo_count, 1);
    /* No view is open, but something waits: this comes after it. */
    m->nodes[1000].retired = true;
    assert_non_null(retire(m, 1000, 3));
    assert_false(m->nodes[1000].released);
    assert_false(epochs_drain(&m->epochs, 1));
    assert_true(m->nodes[999].released && !m->nodes[1000].released);
    assert_true(epochs_drain(&m->epochs, 1));
    assert_int_equal(m->released, 1001);
    epochs_release(&m->epochs);
    free(m);
}

static void test_model(void **state) {
    (void)state;
    uint64_t random = support_seed("epoch_model");
    struct model *m = calloc(1, sizeof(*m));
    epochs_init(&m->epochs);
    uint32_t views[EPOCH_VIEWS_MAX] = {0}; /* by bit; 0: not open */
    uint64_t open = 0;
    size_t retired = 0;
    while (retired < NODES_MAX) {
        unsigned bit = (unsigned)support_below(&random, EPOCH_VIEWS_MAX);
        switch (support_below(&random, 20)) {
        case 0:
        case 1:
            if (views[bit] != 0) break;
            views[bit] = epochs_freeze(&m->epochs);
            assert_int_equal(m->epochs.frozen, views[bit]);
            open |= UINT64_C(1) << bit;
            break;
        case 2:
        case 3:
        case 4:
            if (views[bit] == 0) break;
            open &= ~(UINT64_C(1) << bit);
            for (size_t i = 0; i < retired; i++)
                m->nodes[i].seen_by &= ~(UINT64_C(1) << bit);
            if (epochs_thaw(&m->epochs, views[bit], support_below(&random, 200)) && open == 0)
                assert_int_equal(m->released, retired);
            views[bit] = 0;
            break;
        default:
            m->nodes[retired] = (struct node){.seen_by = open, .retired = true};
            struct epoch_limbo_record *record = retire(m, retired, 1);
            if (record && support_below(&random, 3) == 0) {
                assert_int_equal(epochs_take_back(&m->epochs, record), retired + 1);
                m->nodes[retired].seen_by = 0;
                release_node(m, retired + 1);
            }
            retired++;
            assert_int_equal(m->epochs.limbo_count, retired - m->released);
            assert_int_equal(m->epochs.limbo_bytes, retired - m->released);
        }
    }
    for (unsigned bit = 0; bit < EPOCH_VIEWS_MAX; bit++) {
        for (size_t i = 0; i < retired; i++)
            m->nodes[i].seen_by &= ~(UINT64_C(1) << bit);
        if (views[bit] != 0) epochs_thaw(&m->epochs, views[bit], 0);
    }
    assert_int_equal(m->epochs.frozen, 0);
    epochs_release(&m->epochs);
    assert_int_equal(m->released, retired);
    free(m);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_no_view),
        cmocka_unit_test(test_budget),
        cmocka_unit_test(test_model),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
