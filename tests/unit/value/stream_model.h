/* stream_model.h: streams as arrays, for the tests: everything that a stream promises, in the
 * simplest way. */
#ifndef REDSTART_TESTS_STREAM_MODEL_H
#define REDSTART_TESTS_STREAM_MODEL_H

#include "value/stream_group.h"

#include "../base/cmocka_all.h"
#include "../base/random.h"

enum {
    MODEL_ENTRIES = 600,
    MODEL_GROUPS = 3,
    MODEL_CONSUMERS = 4,
    MODEL_WORDS = 8,
    MODEL_WORD = 40
};

struct model_entry {
    struct stream_id id;
    uint32_t fields;
    char words[MODEL_WORDS][MODEL_WORD];
    bool live;
};

struct model_pending {
    bool pending;
    uint32_t consumer;
    int64_t time;
    uint64_t deliveries;
};

struct model_group {
    bool exists;
    struct stream_id last;
    bool consumers[MODEL_CONSUMERS];
    struct model_pending pending[MODEL_ENTRIES]; /* by entry */
};

struct model {
    struct model_entry entries[MODEL_ENTRIES];
    uint32_t count; /* ever added */
    uint32_t live;
    struct stream_id max_deleted;
    struct model_group groups[MODEL_GROUPS];
};

static inline bool model_is_pending(const struct model *model, uint32_t entry) {
    for (uint32_t g = 0; g < MODEL_GROUPS; g++)
        if (model->groups[g].exists && model->groups[g].pending[entry].pending) return true;
    return false;
}

static inline bool model_is_referenced(const struct model *model, uint32_t entry) {
    for (uint32_t g = 0; g < MODEL_GROUPS; g++)
        if (model->groups[g].exists &&
            stream_id_compare(&model->entries[entry].id, &model->groups[g].last) > 0)
            return true;
    return model_is_pending(model, entry);
}

static inline void model_forget(struct model *model, uint32_t entry) {
    for (uint32_t g = 0; g < MODEL_GROUPS; g++)
        model->groups[g].pending[entry].pending = false;
}

/* True: the entry goes. */
static inline bool model_delete(struct model *model, uint32_t entry,
                                enum stream_references references) {
    if (references == STREAM_REFERENCES_NONE && model_is_referenced(model, entry)) return false;
    if (references == STREAM_REFERENCES_DELETED) model_forget(model, entry);
    model->entries[entry].live = false;
    model->live--;
    return true;
}

static inline struct bytes model_name(char kind, uint32_t number, char room[2]) {
    room[0] = kind;
    room[1] = (char)('0' + number);
    return bytes_make(room, 2);
}

static inline void model_check_entry(struct stream_walk *walk, const struct model_entry *entry) {
    struct item name, value;
    char scratch[ITEM_TEXT_MAX];
    assert_int_equal(stream_id_compare(&walk->node.id, &entry->id), 0);
    assert_int_equal(walk->node.fields, entry->fields);
    for (uint32_t i = 0; i < entry->fields; i++) {
        assert_true(stream_node_take(&walk->node, &name, &value));
        assert_true(bytes_equal(item_bytes(&name, scratch), bytes_from_text(entry->words[2 * i])));
        assert_true(
            bytes_equal(item_bytes(&value, scratch), bytes_from_text(entry->words[2 * i + 1])));
    }
    assert_false(stream_node_take(&walk->node, &name, &value));
}

/* A range forwards or backwards has just what the model has, and says how many. */
static inline void model_check_range(const struct model *model, const struct stream *stream,
                                     const struct stream_id *from, const struct stream_id *to,
                                     bool backwards) {
    struct stream_walk walk;
    uint32_t left = 0, rank = 0;
    for (uint32_t i = 0; i < model->count; i++) {
        const struct model_entry *entry = &model->entries[i];
        left += entry->live && stream_id_compare(&entry->id, from) >= 0 &&
                stream_id_compare(&entry->id, to) <= 0;
        rank += entry->live && stream_id_compare(&entry->id, from) < 0;
    }
    assert_int_equal(stream_rank(stream, from), rank);
    stream_walk_begin(&walk, stream, from, to, backwards);
    for (uint32_t k = 0; k < model->count; k++) {
        const struct model_entry *entry = &model->entries[backwards ? model->count - 1 - k : k];
        if (!entry->live || stream_id_compare(&entry->id, from) < 0 ||
            stream_id_compare(&entry->id, to) > 0)
            continue;
        assert_true(stream_walk_next(&walk));
        assert_int_equal(stream_walk_left(&walk), left--);
        model_check_entry(&walk, entry);
    }
    assert_int_equal(left, 0);
    assert_false(stream_walk_next(&walk));
}

static inline void model_check_group(const struct model *model, const struct stream *stream,
                                     uint32_t number) {
    const struct model_group *group = &model->groups[number];
    char room[2];
    const struct stream_group *real = stream_group_find(stream, model_name('g', number, room));
    struct stream_pending_walk walk;
    struct stream_pending pending;
    assert_true((real != NULL) == group->exists);
    if (!real) return;
    assert_int_equal(stream_id_compare(&real->last, &group->last), 0);
    for (uint32_t c = 0; c < MODEL_CONSUMERS; c++) {
        const struct stream_consumer *consumer =
            stream_consumer_find(real, model_name('c', c, room));
        assert_true((consumer != NULL) == group->consumers[c]);
        if (!consumer) continue;
        stream_pending_begin(&walk, real, consumer, &STREAM_ID_MIN);
        for (uint32_t i = 0; i < model->count; i++) {
            if (!group->pending[i].pending || group->pending[i].consumer != c) continue;
            assert_true(stream_pending_next(&walk, &pending));
            assert_int_equal(stream_id_compare(&pending.id, &model->entries[i].id), 0);
        }
        assert_false(stream_pending_next(&walk, &pending));
    }
    stream_pending_begin(&walk, real, NULL, &STREAM_ID_MIN);
    for (uint32_t i = 0; i < model->count; i++) {
        const struct model_pending *expected = &group->pending[i];
        if (!expected->pending) continue;
        assert_true(stream_pending_next(&walk, &pending));
        assert_int_equal(stream_id_compare(&pending.id, &model->entries[i].id), 0);
        assert_int_equal(pending.delivered_ms, expected->time);
        assert_int_equal(pending.deliveries, expected->deliveries);
        const struct stream_consumer *consumer = stream_consumer_numbered(real, pending.consumer);
        assert_true(
            bytes_equal(stream_consumer_name(consumer), model_name('c', expected->consumer, room)));
    }
    assert_false(stream_pending_next(&walk, &pending));
}

static inline void model_check(const struct model *model, const struct stream *stream) {
    stream_check(stream);
    assert_int_equal(stream_length(stream), model->live);
    assert_int_equal(stream->added, model->count);
    assert_int_equal(stream_id_compare(&stream->max_deleted, &model->max_deleted), 0);
    model_check_range(model, stream, &STREAM_ID_MIN, &STREAM_ID_MAX, false);
    for (uint32_t g = 0; g < MODEL_GROUPS; g++)
        model_check_group(model, stream, g);
}

#endif
