/* stream_records.c: records in the order of their ids, in the chunks of a tree. Never splits or
 * joins more than two chunks in one change. */
#include "value/stream_records.h"

#include "base/invariant.h"

static char *record_at(const struct tree_chunk *chunk, size_t width, uint32_t slot) {
    return (char *)(uintptr_t)chunk->data + slot * width;
}

static struct stream_id id_at(const struct tree_chunk *chunk, size_t width, uint32_t slot) {
    struct stream_id id;
    memcpy(&id, record_at(chunk, width, slot), sizeof id);
    return id;
}

/* The first slot whose id is not below this one; the count when all are below. */
static uint32_t lower_bound(const struct tree_chunk *chunk, size_t width,
                            const struct stream_id *id) {
    uint32_t low = 0, high = chunk->count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        struct stream_id here = id_at(chunk, width, middle);
        if (stream_id_compare(&here, id) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* Where the id is, or would be put in: false when the tree is empty. */
static bool seek(const struct tree *tree, size_t width, const struct stream_id *id,
                 struct tree_place *place, uint32_t *slot) {
    if (!tree_seek(tree, id->ms, stream_chunk_begins_after, id, place)) return false;
    *slot = lower_bound(place->chunk, width, id);
    return true;
}

static bool is_at(const struct tree_chunk *chunk, size_t width, uint32_t slot,
                  const struct stream_id *id) {
    if (slot == chunk->count) return false;
    struct stream_id here = id_at(chunk, width, slot);
    return stream_id_compare(&here, id) == 0;
}

const void *stream_records_find(const struct tree *tree, size_t width, const struct stream_id *id) {
    struct tree_place place;
    uint32_t slot;
    if (!seek(tree, width, id, &place, &slot) || !is_at(place.chunk, width, slot, id)) return NULL;
    return record_at(place.chunk, width, slot);
}

/* ---- changing ---- */

static uint32_t chunk_records_max(size_t width) {
    return (uint32_t)(STREAM_RECORDS_CHUNK / width);
}

static void set_count(struct tree_chunk *chunk, size_t width, uint32_t count) {
    chunk->count = count;
    chunk->size = (uint32_t)(count * width);
}

/* Room for one more: chunks grow by doubling up to their full size. */
static size_t capacity_for(const struct tree_chunk *chunk, size_t width) {
    enum { FIRST = 2 };
    size_t needed = chunk->size + width;
    if (needed <= chunk->capacity) return chunk->capacity;
    size_t doubled = (size_t)chunk->size * 2, full = chunk_records_max(width) * width;
    if (doubled < FIRST * width) doubled = FIRST * width;
    if (doubled > full) doubled = full;
    return doubled > needed ? doubled : needed;
}

static void insert_into(struct tree *tree, struct epochs *epochs, struct tree_place *place,
                        size_t width, uint32_t slot, const void *record) {
    struct tree_chunk *chunk = tree_open(tree, epochs, place, capacity_for(place->chunk, width));
    char *at = record_at(chunk, width, slot);
    memmove(at + width, at, (chunk->count - slot) * width);
    memcpy(at, record, width);
    set_count(chunk, width, chunk->count + 1);
    tree_close(tree, place, stream_chunk_hint);
}

/* A new chunk with this record behind (or in front of) the one at the place. */
static void add_chunk(struct tree *tree, struct epochs *epochs, struct tree_place *place,
                      size_t width, const void *records, uint32_t count) {
    struct tree_chunk *chunk = tree_add(tree, epochs, place, false, count * width);
    memcpy(chunk->data, records, count * width);
    set_count(chunk, width, count);
    tree_close(tree, place, stream_chunk_hint);
}

/* Give the upper half of a full chunk to a new one; the place is that of the half with the slot. */
static void split(struct tree *tree, struct epochs *epochs, struct tree_place *place, size_t width,
                  uint32_t *slot) {
    char upper[STREAM_RECORDS_CHUNK];
    struct tree_chunk *chunk = tree_open(tree, epochs, place, place->chunk->capacity);
    uint32_t half = chunk->count / 2, rest = chunk->count - half;
    memcpy(upper, record_at(chunk, width, half), rest * width);
    struct stream_id first = id_at(chunk, width, *slot < half ? 0 : half);
    set_count(chunk, width, half);
    tree_close(tree, place, stream_chunk_hint);
    add_chunk(tree, epochs, place, width, upper, rest);
    if (*slot >= half) *slot -= half;
    INVARIANT(tree_seek(tree, first.ms, stream_chunk_begins_after, &first, place));
}

bool stream_records_put(struct tree *tree, struct epochs *epochs, size_t width,
                        const void *record) {
    struct tree_place place;
    struct stream_id id;
    uint32_t slot;
    memcpy(&id, record, sizeof id);
    if (!seek(tree, width, &id, &place, &slot)) {
        memset(&place, 0, sizeof place);
        add_chunk(tree, epochs, &place, width, record, 1);
        return true;
    }
    if (is_at(place.chunk, width, slot, &id)) {
        struct tree_chunk *chunk = tree_open(tree, epochs, &place, place.chunk->capacity);
        memcpy(record_at(chunk, width, slot), record, width);
        tree_close(tree, &place, stream_chunk_hint);
        return false;
    }
    if (place.chunk->count >= chunk_records_max(width)) {
        struct tree_place next = place;
        if (slot == place.chunk->count && !tree_next(tree, &next)) {
            add_chunk(tree, epochs, &place, width, record, 1);
            return true;
        }
        split(tree, epochs, &place, width, &slot);
    }
    insert_into(tree, epochs, &place, width, slot, record);
    return true;
}

/* A chunk that has become small takes in the one behind it, if both fit in three quarters of one.
 */
static void join_next(struct tree *tree, struct epochs *epochs, struct tree_place *place,
                      size_t width) {
    uint32_t full = chunk_records_max(width);
    struct tree_place next = *place;
    if (place->chunk->count > full / 4 || !tree_next(tree, &next)) return;
    uint32_t more = next.chunk->count, count = place->chunk->count;
    if (count + more > full / 4 * 3) return;
    char records[STREAM_RECORDS_CHUNK];
    memcpy(records, next.chunk->data, more * width);
    tree_remove(tree, epochs, &next, stream_chunk_hint);
    struct stream_id first = stream_chunk_id(place->chunk);
    INVARIANT(tree_seek(tree, first.ms, stream_chunk_begins_after, &first, place));
    struct tree_chunk *chunk = tree_open(tree, epochs, place, (count + more) * width);
    memcpy(record_at(chunk, width, count), records, more * width);
    set_count(chunk, width, count + more);
    tree_close(tree, place, stream_chunk_hint);
}

bool stream_records_remove(struct tree *tree, struct epochs *epochs, size_t width,
                           const struct stream_id *id) {
    struct tree_place place;
    uint32_t slot;
    if (!seek(tree, width, id, &place, &slot) || !is_at(place.chunk, width, slot, id)) return false;
    if (place.chunk->count == 1) {
        tree_remove(tree, epochs, &place, stream_chunk_hint);
        return true;
    }
    struct tree_chunk *chunk = tree_open(tree, epochs, &place, place.chunk->capacity);
    char *at = record_at(chunk, width, slot);
    memmove(at, at + width, (chunk->count - slot - 1) * width);
    set_count(chunk, width, chunk->count - 1);
    tree_close(tree, &place, stream_chunk_hint);
    join_next(tree, epochs, &place, width);
    return true;
}

/* ---- walking ---- */

void stream_records_begin(struct stream_records_walk *walk, const struct tree *tree, size_t width,
                          const struct stream_id *from) {
    walk->tree = tree;
    walk->width = width;
    walk->slot = 0;
    if (!seek(tree, width, from, &walk->place, &walk->slot)) walk->place.chunk = NULL;
}

const void *stream_records_next(struct stream_records_walk *walk) {
    if (!walk->place.chunk) return NULL;
    if (walk->slot == walk->place.chunk->count) {
        if (!tree_next(walk->tree, &walk->place)) return NULL;
        walk->slot = 0;
    }
    return record_at(walk->place.chunk, walk->width, walk->slot++);
}

const void *stream_records_last(const struct tree *tree, size_t width) {
    struct tree_place place;
    if (!tree_last(tree, &place)) return NULL;
    return record_at(place.chunk, width, place.chunk->count - 1);
}
