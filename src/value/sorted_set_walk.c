/* sorted_set_walk.c: going through sorted sets, in order or as SCAN does. Changes nothing: these
 * are also for readers of views. */
#include "value/sorted_set.h"

#include "value/sorted_set_chunk.h"
#include "value/sorted_set_flat.h"

void sorted_set_walk_begin(struct sorted_set_walk *walk, const struct sorted_set *set,
                           const struct sorted_set_span *span, bool backwards) {
    walk->set = set;
    walk->left = span->count;
    walk->backwards = backwards;
    if (span->count == 0) return;
    uint64_t rank = backwards ? span->first + span->count - 1 : span->first;
    if (object_is_flat(&set->object)) {
        walk->at = sorted_flat_seek(set, rank);
    } else {
        tree_seek_index(&set->tree, rank, &walk->place);
        walk->index = (uint32_t)(rank - walk->place.before);
    }
}

static void flat_next(struct sorted_set_walk *walk, struct sorted_set_element *element) {
    size_t at = walk->at;
    sorted_flat_take(walk->set, &walk->at, element);
    if (walk->backwards) walk->at = sorted_flat_previous(walk->set, at);
}

bool sorted_set_walk_next(struct sorted_set_walk *walk, struct sorted_set_element *element) {
    if (walk->left == 0) return false;
    walk->left--;
    if (object_is_flat(&walk->set->object)) {
        flat_next(walk, element);
        return true;
    }
    sorted_chunk_get(walk->place.chunk, walk->index, element);
    if (walk->left == 0) return true;
    if (walk->backwards) {
        if (walk->index-- == 0) {
            tree_previous(&walk->set->tree, &walk->place);
            walk->index = walk->place.chunk->count - 1;
        }
    } else if (++walk->index == walk->place.chunk->count) {
        tree_next(&walk->set->tree, &walk->place);
        walk->index = 0;
    }
    return true;
}

/* ---- as SCAN does ---- */

struct scan {
    sorted_set_visit *visit;
    void *context;
};

static void visit_record(void *context, const struct record *record) {
    const struct scan *scan = context;
    struct sorted_set_element element = {record->key, score_from_record(&record->value)};
    scan->visit(scan->context, &element);
}

uint64_t sorted_set_scan(const struct sorted_set *set, uint64_t cursor, sorted_set_visit *visit,
                         void *context) {
    const uint64_t end = UINT64_C(1) << 48; /* of record_table.h's cursors */
    if (!object_is_flat(&set->object)) {
        if (cursor >= end) return 0;
        struct scan scan = {visit, context};
        return record_table_scan(&set->table, set->object.world, cursor, visit_record, &scan);
    }
    struct sorted_set_span whole = sorted_set_span_whole(set);
    struct sorted_set_element element;
    struct sorted_set_walk walk;
    sorted_set_walk_begin(&walk, set, &whole, false);
    while (sorted_set_walk_next(&walk, &element))
        visit(context, &element);
    return 0;
}
