/* test_record_table_memo.c: batches of operations that were prefetched for, in two tables with the
 * same keys, against the model: what a memo leads to is what the whole way leads to. */
#include "record_support.h"

enum { BATCH_MAX = RECORD_MEMOS_MAX + 20, TABLES = 2 };

struct batch {
    size_t count;
    struct {
        uint64_t id;
        struct record_model *model;
        char key[RECORD_TEXT_MAX];
    } items[BATCH_MAX];
};

static void prefetch(struct batch *batch) {
    uint64_t hashes[BATCH_MAX];
    for (unsigned step = 0; step < 3; step++)
        for (size_t i = 0; i < batch->count; i++) {
            const struct record_model *m = batch->items[i].model;
            struct item key = support_key(batch->items[i].id, batch->items[i].key);
            if (step == 0) hashes[i] = record_table_hash(&m->world, &key);
            if (step == 0) record_table_prefetch_way(&m->table, hashes[i]);
            if (step == 1) record_table_prefetch_chunk(&m->table, hashes[i]);
            if (step == 2)
                record_table_prefetch_lookup(&m->table, &m->world, batch->items[i].key, hashes[i]);
        }
}

static void open_models(struct record_model models[TABLES], struct record_memos *memos, size_t ids,
                        uint64_t seed) {
    *memos = (struct record_memos){0};
    for (size_t i = 0; i < TABLES; i++) {
        record_model_open(&models[i], ids, seed);
        models[i].world.memos = memos;
    }
}

/* One operation of the batch, or another one, or none; with the key's text where the memo expects
 * it. `changes`: how many of 100 change something. */
static void run(struct batch *batch, size_t index, struct record_model models[TABLES],
                unsigned changes, uint64_t *random) {
    uint64_t id = batch->items[index].id;
    struct record_model *m = batch->items[index].model;
    struct record_model *other = &models[support_below(random, TABLES)];
    uint32_t version = (uint32_t)support_random(random) | 1u << 31;
    int64_t expiry = support_below(random, 8) == 0 ? 77 : RECORD_NO_EXPIRY;
    if (support_below(random, 10) == 0) return; /* refused */
    if (support_below(random, 100) < changes) {
        m->key_at = batch->items[index].key;
        switch (support_below(random, 4)) {
        case 0: record_model_remove(m, id); break;
        case 1: record_model_add(m, id, version, expiry); break;
        default: record_model_put(m, id, version, expiry); break;
        }
        m->key_at = NULL;
    }
    if (support_below(random, 200) < changes) record_model_step(other, 60);
    /* The same text may be looked for in another table, and twice. */
    struct item key = support_key(id, batch->items[index].key);
    record_expect_at(&other->table, &other->world, &key, id, other->versions[id],
                     other->expiries[id]);
    record_expect_at(&m->table, &m->world, &key, id, m->versions[id], m->expiries[id]);
}

static void run_batches(size_t ids, size_t batches, unsigned changes, uint64_t seed) {
    static struct batch batch;
    static struct record_memos memos;
    struct record_model models[TABLES];
    open_models(models, &memos, ids, seed);
    for (size_t i = 0; i < ids; i++)
        for (size_t j = 0; j < TABLES; j++)
            record_model_step(&models[j], 100);
    for (size_t i = 0; i < batches; i++) {
        batch.count = 1 + support_below(&seed, BATCH_MAX);
        for (size_t j = 0; j < batch.count; j++) {
            batch.items[j].id = 1 + support_below(&seed, ids - 1);
            batch.items[j].model = &models[support_below(&seed, TABLES)];
        }
        prefetch(&batch);
        for (size_t j = 0; j < batch.count; j++)
            run(&batch, j, models, changes, &seed);
        record_memos_clear(&memos);
        if (i % 16 != 0) continue;
        for (size_t j = 0; j < TABLES; j++)
            record_model_check(&models[j]);
    }
    for (size_t j = 0; j < TABLES; j++)
        record_model_close(&models[j]);
}

static void test_batches(void **state) {
    (void)state;
    static const unsigned changes[] = {0, 3, 30, 100};
    uint64_t seed = support_seed("record_memo_batches");
    for (size_t round = 0; round < EFFORT(40); round++)
        run_batches(2 + support_below(&seed, round % 2 ? 4000 : 60), 60, changes[round % 4],
                    support_random(&seed));
}

/* All that is there and was prefetched for is found by its memo: texts alone have one. */
static void test_use(void **state) {
    (void)state;
    static struct batch batch;
    static struct record_memos memos;
    struct record_model models[TABLES];
    size_t texts = 0;
    open_models(models, &memos, 5000, support_seed("record_memo_use"));
    for (uint64_t id = 2; id < 5000; id++)
        record_model_put(&models[0], id, 8, RECORD_NO_EXPIRY);
    batch.count = RECORD_MEMOS_MAX;
    for (size_t i = 0; i < batch.count; i++) {
        batch.items[i].id = 2 + i * 7;
        batch.items[i].model = &models[0];
    }
    prefetch(&batch);
    assert_int_equal(memos.count, RECORD_MEMOS_MAX);
    for (size_t i = 0; i < batch.count; i++) {
        struct item key = support_key(batch.items[i].id, batch.items[i].key);
        record_expect_at(&models[0].table, &models[0].world, &key, batch.items[i].id, 8,
                         RECORD_NO_EXPIRY);
        if (item_is_integer(&key)) continue;
        assert_int_equal(memos.next, i);
        texts++;
    }
    assert_true(texts > RECORD_MEMOS_MAX / 2);
    record_memos_clear(&memos);
    for (size_t j = 0; j < TABLES; j++)
        record_model_close(&models[j]);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_batches),
        cmocka_unit_test(test_use),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
