/* test_stream.c: streams and their groups against a model, with views open while they change. */
#include "stream_model.h"

#include "base/memory.h"
#include "value/object_digest.h"

enum { VIEWS = 3 };

struct fixture {
    struct random random;
    struct epochs epochs;
    struct hash_secret secret;
    struct record_world world;
    struct stream *stream;
    struct model model;
    struct stream_limits limits;
    int64_t now_ms;
};

/* A view of the stream: its struct, frozen, and what was in it. */
struct frozen {
    uint32_t view;
    const struct stream *stream;
    struct model *model;
    struct digest digest;
};

static uint64_t below(struct fixture *f, uint64_t limit) {
    return random_below(&f->random, limit);
}

static void open_fixture(struct fixture *f, struct random *random) {
    memset(f, 0, sizeof *f);
    f->random = *random;
    epochs_init(&f->epochs);
    f->world = (struct record_world){.epochs = &f->epochs, .secret = &f->secret};
    f->stream = memory_alloc(stream_class.size);
    object_init(&f->stream->object, VALUE_STREAM, &f->world);
    f->limits = (struct stream_limits){below(f, 3) ? 50 + below(f, 600) : 0, below(f, 40)};
    f->now_ms = 1000;
}

static void close_fixture(struct fixture *f, struct random *random) {
    object_free(f->stream);
    epochs_release(&f->epochs);
    *random = f->random;
}

static void release_alone(void *owner, uint64_t node) {
    (void)owner;
    object_free_alone((void *)(uintptr_t)node);
}

/* As the keyspace gives an object for writing. */
static struct stream *for_writing(struct fixture *f) {
    struct object *object = &f->stream->object;
    if (!epoch_shared(&f->epochs, object->born)) return f->stream;
    f->stream = (struct stream *)object_clone(object);
    epochs_retire(&f->epochs, release_alone, NULL, (uint64_t)(uintptr_t)object, 1);
    return f->stream;
}

/* ---- operations ---- */

static void make_word(struct fixture *f, char *word, bool name) {
    if (name)
        snprintf(word, MODEL_WORD, "%s%u", below(f, 6) ? "field" : "", (unsigned)below(f, 3));
    else if (below(f, 2))
        snprintf(word, MODEL_WORD, "%lld",
                 (long long)(int64_t)(random_next(&f->random) >> below(f, 64)));
    else
        snprintf(word, MODEL_WORD, "%.*s", (int)below(f, 30),
                 "abcdefghijklmnopqrstuvwxyz0123456789");
}

static void op_add(struct fixture *f) {
    struct model *model = &f->model;
    struct stream *stream = for_writing(f);
    struct bytes words[MODEL_WORDS];
    if (model->count == MODEL_ENTRIES) return;
    struct model_entry *entry = &model->entries[model->count];
    *entry = (struct model_entry){.id = stream->last, .live = true};
    entry->fields = (uint32_t)(below(f, 4) ? 2 : 1 + below(f, MODEL_WORDS / 2));
    if (below(f, 2))
        stream_id_increment(&entry->id);
    else
        entry->id =
            (struct stream_id){entry->id.ms + 1 + below(f, below(f, 9) ? 5 : UINT64_MAX / 4096),
                               below(f, 3) ? 0 : random_next(&f->random)};
    for (uint32_t i = 0; i < entry->fields * 2; i++) {
        bool usual = i % 2 == 0 && entry->fields == 2 && below(f, 8);
        if (usual)
            snprintf(entry->words[i], MODEL_WORD, "usual%u", i);
        else
            make_word(f, entry->words[i], i % 2 == 0);
        words[i] = bytes_from_text(entry->words[i]);
    }
    stream_add(stream, &entry->id, words, entry->fields, &f->limits);
    model->count++;
    model->live++;
}

static enum stream_references some_references(struct fixture *f) {
    return (enum stream_references)below(f, 3);
}

static void op_remove(struct fixture *f) {
    struct model *model = &f->model;
    enum stream_references references = some_references(f);
    if (model->count == 0) return;
    uint32_t at = (uint32_t)below(f, model->count);
    struct stream_id id = model->entries[at].id;
    enum stream_removal removal = stream_remove(for_writing(f), &id, references);
    if (!model->entries[at].live) {
        assert_int_equal(removal, STREAM_ABSENT);
        if (references == STREAM_REFERENCES_DELETED) model_forget(model, at);
    } else if (model_delete(model, at, references)) {
        assert_int_equal(removal, STREAM_REMOVED);
        if (stream_id_compare(&id, &model->max_deleted) > 0) model->max_deleted = id;
    } else {
        assert_int_equal(removal, STREAM_REFERENCED);
    }
}

/* Exact trimming, which does not depend on the nodes. */
static void op_trim(struct fixture *f) {
    struct model *model = &f->model;
    struct stream_trim trim = {.by_id = below(f, 2), .references = some_references(f)};
    struct stream_id end;
    uint64_t wanted = 0, deleted = 0, looked = 0;
    if (model->count == 0) return;
    trim.min_id = model->entries[below(f, model->count)].id;
    trim.length_max = model->live - (model->live ? below(f, model->live / 2 + 1) : 0);
    wanted = model->live - (trim.length_max < model->live ? trim.length_max : model->live);
    bool done = false, passed = false;
    struct stream_id expected_end = STREAM_ID_MAX;
    for (uint32_t i = 0; i < model->count && !done; i++) {
        if (!model->entries[i].live) continue;
        done = trim.by_id ? stream_id_compare(&model->entries[i].id, &trim.min_id) >= 0
                          : looked == wanted;
        if (done) expected_end = model->entries[i].id;
        if (done) break;
        looked++;
        bool goes = model_delete(model, i, trim.references);
        deleted += goes;
        passed |= !goes;
        if (goes && passed && stream_id_compare(&model->entries[i].id, &model->max_deleted) > 0)
            model->max_deleted = model->entries[i].id;
    }
    assert_int_equal(stream_trim(for_writing(f), &trim, &end), deleted);
    if (deleted > 0) assert_int_equal(stream_id_compare(&end, &expected_end), 0);
}

/* Inexact trimming: never more than the exact one, and only from the front. */
static void op_trim_nodes(struct fixture *f) {
    struct model *model = &f->model;
    struct stream_trim trim = {.whole_nodes = true, .limit = below(f, 2) ? below(f, 100) : 0};
    struct stream_id end;
    trim.length_max = below(f, (uint64_t)model->live + 1);
    uint64_t deleted = stream_trim(for_writing(f), &trim, &end), left = deleted;
    assert_true(deleted <= model->live - trim.length_max);
    if (trim.limit > 0) assert_true(deleted <= trim.limit);
    for (uint32_t i = 0; i < model->count && left > 0; i++)
        left -= model->entries[i].live && model_delete(model, i, STREAM_REFERENCES_KEPT);
}

static struct stream_group *some_group(struct fixture *f, struct stream *stream, uint32_t *number) {
    char room[2];
    *number = (uint32_t)below(f, MODEL_GROUPS);
    const struct stream_group *group = stream_group_find(stream, model_name('g', *number, room));
    return group ? stream_group_open(stream, group) : NULL;
}

static void op_group(struct fixture *f) {
    uint32_t number;
    char room[2];
    struct stream *stream = for_writing(f);
    struct stream_group *group = some_group(f, stream, &number);
    struct model_group *model = &f->model.groups[number];
    if (!group) {
        memset(model, 0, sizeof *model);
        model->exists = true;
        if (f->model.count > 0) model->last = f->model.entries[below(f, f->model.count)].id;
        stream_group_create(stream, model_name('g', number, room), &model->last,
                            STREAM_READ_UNKNOWN);
    } else if (below(f, 6) == 0) {
        stream_group_destroy(stream, group);
        model->exists = false;
        for (uint32_t i = 0; i < MODEL_ENTRIES; i++)
            model->pending[i].pending = false;
    } else {
        model->last =
            f->model.count ? f->model.entries[below(f, f->model.count)].id : STREAM_ID_MIN;
        group->last = model->last;
    }
}

static void op_consumer(struct fixture *f) {
    uint32_t number, at = (uint32_t)below(f, MODEL_CONSUMERS);
    char room[2];
    struct stream *stream = for_writing(f);
    struct stream_group *group = some_group(f, stream, &number);
    struct model_group *model = &f->model.groups[number];
    if (!group) return;
    struct bytes name = model_name('c', at, room);
    const struct stream_consumer *consumer = stream_consumer_find(group, name);
    if (!consumer) {
        stream_consumer_create(stream, group, name, f->now_ms);
        model->consumers[at] = true;
    } else if (below(f, 5) == 0) {
        uint64_t expected = 0;
        for (uint32_t i = 0; i < f->model.count; i++) {
            if (!model->pending[i].pending || model->pending[i].consumer != at) continue;
            model->pending[i].pending = false;
            expected++;
        }
        assert_int_equal(stream_consumer_destroy(stream, group, consumer), expected);
        model->consumers[at] = false;
    } else {
        stream_consumer_open(stream, group, consumer->member.number)->seen_ms = f->now_ms;
    }
}

/* A run of entries, or one, becomes pending for a consumer. */
static void op_pending(struct fixture *f) {
    uint32_t number, at = (uint32_t)below(f, MODEL_CONSUMERS);
    char room[2];
    struct stream *stream = for_writing(f);
    struct stream_group *group = some_group(f, stream, &number);
    struct model_group *model = &f->model.groups[number];
    if (!group || !model->consumers[at] || f->model.count == 0) return;
    const struct stream_consumer *consumer = stream_consumer_find(group, model_name('c', at, room));
    uint64_t consumer_number = consumer->member.number;
    uint32_t run = (uint32_t)(below(f, 3) ? 1 : below(f, 200)),
             i = (uint32_t)below(f, f->model.count);
    for (; run-- > 0 && i < f->model.count; i++) {
        struct model_pending *pending = &model->pending[i];
        *pending = (struct model_pending){true, at, f->now_ms, below(f, 5)};
        struct stream_pending real = {f->model.entries[i].id, f->now_ms, pending->deliveries,
                                      consumer_number};
        stream_pending_put(stream, group, &real);
    }
}

static void op_acknowledge(struct fixture *f) {
    uint32_t number;
    struct stream *stream = for_writing(f);
    struct stream_group *group = some_group(f, stream, &number);
    struct model_group *model = &f->model.groups[number];
    if (!group || f->model.count == 0) return;
    uint32_t run = (uint32_t)(below(f, 3) ? 1 : below(f, 200)),
             i = (uint32_t)below(f, f->model.count);
    for (; run-- > 0 && i < f->model.count; i++) {
        assert_int_equal(stream_pending_remove(stream, group, &f->model.entries[i].id),
                         model->pending[i].pending);
        model->pending[i].pending = false;
    }
}

static void step(struct fixture *f) {
    static void (*const operations[])(struct fixture *) = {
        op_add,      op_add,     op_add,     op_add,         op_add,
        op_add,      op_remove,  op_remove,  op_trim_nodes,  op_group,
        op_consumer, op_pending, op_pending, op_acknowledge, op_acknowledge,
    };
    f->now_ms++;
    if (below(f, 60) == 0)
        op_trim(f);
    else
        operations[below(f, sizeof operations / sizeof operations[0])](f);
}

static void check_some_range(struct fixture *f) {
    struct stream_id from = STREAM_ID_MIN, to = STREAM_ID_MAX;
    if (f->model.count > 0) {
        from = f->model.entries[below(f, f->model.count)].id;
        to = f->model.entries[below(f, f->model.count)].id;
        if (stream_id_compare(&from, &to) > 0) {
            struct stream_id swap = from;
            from = to;
            to = swap;
        }
        if (below(f, 2)) stream_id_increment(&from);
        if (below(f, 4) == 0) to = STREAM_ID_MAX;
    }
    if (stream_id_compare(&from, &to) > 0) return;
    model_check_range(&f->model, f->stream, &from, &to, below(f, 2));
}

/* ---- tests ---- */

static void test_against_model(void **state) {
    struct random random = random_from_seed();
    struct fixture *f = memory_alloc(sizeof *f);
    (void)state;
    for (int round = 0; round < 60; round++) {
        open_fixture(f, &random);
        for (int i = 0; i < 900; i++) {
            step(f);
            if (i % 20 == 0) model_check(&f->model, f->stream);
            if (i % 10 == 0) check_some_range(f);
        }
        model_check(&f->model, f->stream);
        close_fixture(f, &random);
    }
    memory_free(f);
}

static void freeze(struct fixture *f, struct frozen *frozen) {
    frozen->stream = f->stream;
    frozen->digest = object_digest_of(&f->stream->object);
    frozen->model = memory_alloc(sizeof f->model);
    *frozen->model = f->model;
    frozen->view = epochs_freeze(&f->epochs);
}

static void thaw(struct fixture *f, struct frozen *frozen) {
    struct digest digest = object_digest_of(&frozen->stream->object);
    assert_memory_equal(&digest, &frozen->digest, sizeof digest);
    model_check(frozen->model, frozen->stream);
    epochs_thaw(&f->epochs, frozen->view, SIZE_MAX);
    memory_free(frozen->model);
    *frozen = (struct frozen){.view = 0};
}

static void test_views(void **state) {
    struct random random = random_from_seed();
    struct fixture *f = memory_alloc(sizeof *f);
    (void)state;
    for (int round = 0; round < 40; round++) {
        struct frozen views[VIEWS] = {{.view = 0}};
        open_fixture(f, &random);
        for (int i = 0; i < 800; i++) {
            struct frozen *view = &views[below(f, VIEWS)];
            if (below(f, 25) == 0) {
                if (view->view)
                    thaw(f, view);
                else
                    freeze(f, view);
            }
            step(f);
        }
        for (int i = 0; i < VIEWS; i++)
            if (views[i].view) thaw(f, &views[i]);
        model_check(&f->model, f->stream);
        assert_int_equal(f->epochs.limbo_count, 0);
        close_fixture(f, &random);
    }
    memory_free(f);
}

/* A copy is the same and independent; what nodes a stream has does not matter for its digest. */
static void test_copies(void **state) {
    struct random random = random_from_seed();
    struct fixture *f = memory_alloc(sizeof *f);
    (void)state;
    for (int round = 0; round < 30; round++) {
        open_fixture(f, &random);
        for (int i = 0; i < 500; i++)
            step(f);
        struct stream copy;
        struct digest before = object_digest_of(&f->stream->object);
        object_copy(&copy.object, &f->stream->object);
        model_check(&f->model, &copy);
        struct digest same = object_digest_of(&copy.object);
        assert_memory_equal(&before, &same, sizeof before);
        for (int i = 0; i < 100; i++)
            step(f);
        same = object_digest_of(&copy.object);
        assert_memory_equal(&before, &same, sizeof before);
        object_release(&copy.object);
        close_fixture(f, &random);
    }
    memory_free(f);
}

static void load_nodes(const struct stream *from, struct stream *to) {
    struct tree_place place;
    for (bool more = tree_first(&from->tree, &place); more; more = tree_next(&from->tree, &place)) {
        struct stream_id id = stream_chunk_id(place.chunk);
        struct buffer node = {0};
        stream_node_put_file(&node, place.chunk);
        assert_true(stream_load_node(to, &id, buffer_bytes(&node)));
        assert_false(stream_load_node(to, &id, buffer_bytes(&node)));
        buffer_release(&node);
    }
    stream_set_last(to, &from->last, from->added, &from->max_deleted);
}

static void test_nodes_as_in_files(void **state) {
    struct random random = random_from_seed();
    struct fixture *f = memory_alloc(sizeof *f);
    (void)state;
    for (int round = 0; round < 30; round++) {
        open_fixture(f, &random);
        for (int i = 0; i < 300; i++)
            below(f, 3) ? op_add(f) : op_remove(f);
        struct stream loaded;
        object_init(&loaded.object, VALUE_STREAM, &f->world);
        load_nodes(f->stream, &loaded);
        model_check_range(&f->model, &loaded, &STREAM_ID_MIN, &STREAM_ID_MAX, false);
        stream_check(&loaded);
        struct digest a = object_digest_of(&f->stream->object);
        struct digest b = object_digest_of(&loaded.object);
        assert_memory_equal(&a, &b, sizeof a);
        object_release(&loaded.object);
        close_fixture(f, &random);
    }
    memory_free(f);
}

/* Nodes with bytes changed are refused, or are nodes all the same: never read beyond their end. */
static void test_rotten_nodes(void **state) {
    struct random random = random_from_seed();
    struct fixture *f = memory_alloc(sizeof *f);
    (void)state;
    for (int round = 0; round < 300; round++) {
        open_fixture(f, &random);
        f->limits = (struct stream_limits){0, 0};
        for (int i = 0; i < 12; i++)
            below(f, 5) ? op_add(f) : op_remove(f);
        struct tree_place place;
        if (tree_first(&f->stream->tree, &place)) {
            struct stream_id id = stream_chunk_id(place.chunk);
            struct buffer node = {0};
            stream_node_put_file(&node, place.chunk);
            size_t size = node.size;
            for (int i = 0; i < 40; i++) {
                struct stream loaded;
                char *rotten = memory_copy(node.data, size);
                for (uint64_t n = 1 + below(f, 3); n > 0; n--)
                    rotten[below(f, size)] = (char)random_next(&f->random);
                object_init(&loaded.object, VALUE_STREAM, &f->world);
                if (stream_load_node(&loaded, &id, bytes_make(rotten, size))) {
                    loaded.last = STREAM_ID_MAX;
                    stream_check(&loaded);
                }
                object_release(&loaded.object);
                memory_free(rotten);
            }
            buffer_release(&node);
        }
        close_fixture(f, &random);
    }
    memory_free(f);
}

/* ---- lag ---- */

static uint64_t live_behind(const struct model *model, const struct stream_id *last) {
    uint64_t count = 0;
    for (uint32_t i = 0; i < model->count; i++)
        count += model->entries[i].live && stream_id_compare(&model->entries[i].id, last) > 0;
    return count;
}

/* The next live entry goes to the group, as XREADGROUP delivers it. */
static void deliver(struct fixture *f, struct stream_group *group) {
    for (uint32_t i = 0; i < f->model.count; i++) {
        struct model_entry *entry = &f->model.entries[i];
        if (!entry->live || stream_id_compare(&entry->id, &group->last) <= 0) continue;
        stream_group_delivered(f->stream, group, &entry->id);
        return;
    }
}

static void remove_one(struct fixture *f) {
    struct model *model = &f->model;
    if (model->count == 0) return;
    uint32_t at = (uint32_t)below(f, model->count);
    struct stream_id id = model->entries[at].id;
    if (stream_remove(f->stream, &id, STREAM_REFERENCES_KEPT) == STREAM_REMOVED)
        model_delete(model, at, STREAM_REFERENCES_KEPT);
}

static void trim_some(struct fixture *f) {
    struct model *model = &f->model;
    struct stream_trim trim = {.length_max = model->live - below(f, model->live / 4 + 1)};
    struct stream_id end;
    uint64_t deleted = stream_trim(f->stream, &trim, &end);
    for (uint32_t i = 0; i < model->count && deleted > 0; i++)
        deleted -= model->entries[i].live && model_delete(model, i, STREAM_REFERENCES_KEPT);
}

/* What is said to be left for a group is, and it is said where nothing was deleted behind it. */
static void test_lag(void **state) {
    struct random random = random_from_seed();
    struct fixture *f = memory_alloc(sizeof *f);
    uint64_t known = 0;
    (void)state;
    for (int round = 0; round < 200; round++) {
        open_fixture(f, &random);
        struct stream_id zero = STREAM_ID_MIN;
        struct stream_group *group =
            stream_group_create(f->stream, bytes_from_text("g"), &zero, below(f, 2) ? 0 : -1);
        for (int i = 0; i < 150; i++) {
            uint64_t what = below(f, 20);
            if (what < 8)
                op_add(f);
            else if (what < 16)
                deliver(f, group);
            else if (what < 18)
                remove_one(f);
            else if (what < 19)
                trim_some(f);
            int64_t lag;
            bool is_known = stream_group_lag(f->stream, group, &lag);
            if (f->model.live == 0) continue;
            if (is_known) assert_int_equal(lag, live_behind(&f->model, &group->last));
            if (stream_id_is_zero(&f->stream->max_deleted)) assert_true(is_known);
            known += is_known;
        }
        close_fixture(f, &random);
    }
    assert_true(known > 10000);
    memory_free(f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_against_model), cmocka_unit_test(test_views),
        cmocka_unit_test(test_copies),        cmocka_unit_test(test_nodes_as_in_files),
        cmocka_unit_test(test_rotten_nodes),  cmocka_unit_test(test_lag),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
