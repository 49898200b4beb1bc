/* sorted_set_index.c: elements in order, in a tree of chunks. */
#include "value/sorted_set_index.h"

#include "base/invariant.h"
#include "base/prefetch.h"
#include "value/sorted_set_chunk.h"

enum {
    MERGE_BELOW = CHUNK_DATA_MAX / 4,     /* a chunk of fewer bytes looks for a neighbour */
    MERGED_MAX = CHUNK_DATA_MAX * 3 / 4,  /* bytes of two that become one */
    APPEND_CAPACITY = CHUNK_DATA_MAX / 2, /* of a chunk at an end, which will grow */
    SLACK_MAX = CHUNK_DATA_MAX / 4,       /* bytes that a shrinking chunk keeps */
};

/* ---- finding ---- */

bool sorted_index_is_before(const struct sorted_set_element *element, const struct index_cut *cut) {
    int order = 0;
    if (cut->kind != CUT_AT_MEMBER && element->score != cut->at.score)
        return element->score < cut->at.score;
    if (cut->kind != CUT_AT_SCORE) order = item_compare(&element->member, &cut->at.member);
    return order < 0 || (order == 0 && cut->behind);
}

static bool chunk_element_is_before(const struct tree_chunk *chunk, uint32_t index,
                                    const struct index_cut *cut) {
    struct sorted_set_element element;
    if (cut->kind != CUT_AT_MEMBER) { /* mostly the scores decide */
        double score = sorted_chunk_score(chunk, index);
        if (score != cut->at.score) return score < cut->at.score;
        if (cut->kind == CUT_AT_SCORE) return cut->behind;
    }
    sorted_chunk_get(chunk, index, &element);
    return sorted_index_is_before(&element, cut);
}

/* How many of the chunk's elements stand before the cut. */
static uint32_t chunk_search(const struct tree_chunk *chunk, const struct index_cut *cut) {
    uint32_t low = 0, high = chunk->count;
    while (low < high) {
        uint32_t middle = (low + high) / 2;
        if (chunk_element_is_before(chunk, middle, cut))
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* For the tree: an element that is sought may be a chunk's first. */
static bool begins_after(const void *context, const struct tree_chunk *chunk) {
    struct index_cut cut = *(const struct index_cut *)context;
    if (cut.kind == CUT_AT_ELEMENT) cut.behind = true;
    return !chunk_element_is_before(chunk, 0, &cut);
}

/* The chunk in which the cut is; false when there are none. */
static bool seek(const struct tree *tree, const struct index_cut *cut, struct tree_place *place) {
    switch (cut->kind) {
    case CUT_AT_SCORE: {
        /* Hints alone tell it; no number is an order of 0. */
        uint64_t order = score_order(cut->at.score);
        return tree_seek(tree, cut->behind ? order : order - 1, NULL, NULL, place);
    }
    case CUT_AT_MEMBER:
        if (!tree_first(tree, place)) return false;
        return tree_seek(tree, sorted_chunk_hint(place->chunk), begins_after, cut, place);
    default: return tree_seek(tree, score_order(cut->at.score), begins_after, cut, place);
    }
}

uint64_t sorted_index_rank(const struct sorted_set *set, const struct index_cut *cut) {
    struct tree_place place;
    if (!seek(&set->tree, cut, &place)) return 0;
    return place.before + chunk_search(place.chunk, cut);
}

const struct tree_node *sorted_index_prefetch_node(const struct sorted_set *set, double score) {
    return tree_prefetch_node(&set->tree, score_order(score));
}

const struct tree_chunk *const *sorted_index_prefetch_link(const struct tree_node *node,
                                                           double score) {
    return tree_prefetch_link(node, score_order(score));
}

/* All of it, as chunks are on average: a search jumps about in it, and an insertion moves half. */
void sorted_index_prefetch_chunk(const struct tree_chunk *chunk) {
    enum { LINE = 64, LINES = 4 };
    for (size_t i = 0; i < LINES; i++)
        memory_prefetch_to_write((const char *)chunk + i * LINE);
    memory_prefetch_to_write(chunk->data + CHUNK_DATA_MAX / 2);
}

static struct index_cut cut_at(const struct sorted_set_element *element) {
    return (struct index_cut){CUT_AT_ELEMENT, false, *element};
}

/* ---- inserting ---- */

static void fill_new(struct sorted_set *set, struct tree_place *place, bool in_front,
                     const struct chunk_element *element) {
    struct epochs *epochs = set->object.world->epochs;
    size_t capacity = set->tree.count > 0 ? APPEND_CAPACITY : element->size + CHUNK_OFFSET_SIZE;
    struct tree_chunk *chunk = tree_add(&set->tree, epochs, place, in_front, capacity);
    sorted_chunk_insert(chunk, 0, element);
    tree_close(&set->tree, place, sorted_chunk_hint);
}

/* Room for a chunk outside of the tree. */
union chunk_room {
    struct tree_chunk chunk;
    char room[sizeof(struct tree_chunk) + CHUNK_DATA_MAX + CHUNK_ELEMENT_MAX + CHUNK_OFFSET_SIZE];
};

static struct tree_chunk *chunk_apart(union chunk_room *room) {
    room->chunk = (struct tree_chunk){.capacity = sizeof room->room - sizeof room->chunk};
    return &room->chunk;
}

/* The element after which about half of the chunk's bytes have come. */
static uint32_t middle_of(const struct tree_chunk *chunk) {
    size_t half = sorted_chunk_size_of(chunk, 0, chunk->count) / 2;
    uint32_t low = 1, high = chunk->count - 1;
    while (low < high) {
        uint32_t middle = (low + high) / 2;
        if (sorted_chunk_size_of(chunk, 0, middle) < half)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* The chunk is full: the upper half of it becomes one of its own. */
static void split_and_insert(struct sorted_set *set, struct tree_place *place, uint32_t index,
                             const struct chunk_element *element) {
    struct epochs *epochs = set->object.world->epochs;
    union chunk_room room;
    struct tree_chunk *upper = chunk_apart(&room);
    struct tree_chunk *chunk = tree_open(&set->tree, epochs, place, place->chunk->size);
    uint32_t middle = middle_of(chunk), count = chunk->count - middle;
    sorted_chunk_append(upper, chunk, middle, count);
    sorted_chunk_remove(chunk, middle, count);
    size_t more = index <= middle ? element->size + CHUNK_OFFSET_SIZE : 0;
    if (more == 0) sorted_chunk_insert(upper, index - middle, element);
    tree_close(&set->tree, place, sorted_chunk_hint);
    chunk = tree_open(&set->tree, epochs, place, chunk->size + more); /* gives memory back */
    if (more > 0) sorted_chunk_insert(chunk, index, element);
    tree_close(&set->tree, place, sorted_chunk_hint);
    chunk = tree_add(&set->tree, epochs, place, false, upper->size);
    sorted_chunk_append(chunk, upper, 0, upper->count);
    tree_close(&set->tree, place, sorted_chunk_hint);
}

/* The element belongs before the one of this index in the chunk at the place (NULL: the only one).
 */
static void insert_at(struct sorted_set *set, struct tree_place *place, uint32_t index,
                      const struct sorted_set_element *element) {
    struct chunk_element encoded;
    sorted_chunk_encode(element, &encoded);
    if (element->member.text && element->member.size > CHUNK_MEMBER_MAX)
        set->blob_bytes += sizeof(struct blob) + element->member.size;
    if (!place->chunk) {
        fill_new(set, place, false, &encoded);
        return;
    }
    uint32_t count = place->chunk->count;
    size_t size = place->chunk->size + encoded.size + CHUNK_OFFSET_SIZE;
    if (size <= CHUNK_DATA_MAX) {
        size_t capacity = size > place->chunk->capacity ? size : place->chunk->capacity;
        struct tree_chunk *chunk =
            tree_open(&set->tree, set->object.world->epochs, place, capacity);
        sorted_chunk_insert(chunk, index, &encoded);
        tree_close(&set->tree, place, sorted_chunk_hint);
    } else if (index == count && place->before + count == set->tree.count) {
        fill_new(set, place, false, &encoded);
    } else if (index == 0 && place->before == 0) {
        fill_new(set, place, true, &encoded);
    } else {
        split_and_insert(set, place, index, &encoded);
    }
}

void sorted_index_insert(struct sorted_set *set, const struct sorted_set_element *element) {
    struct tree_place place = {0};
    struct index_cut cut = cut_at(element);
    uint32_t index = seek(&set->tree, &cut, &place) ? chunk_search(place.chunk, &cut) : 0;
    insert_at(set, &place, index, element);
}

void sorted_index_insert_last(struct sorted_set *set, const struct sorted_set_element *element) {
    struct tree_place place = {0};
    struct index_cut cut = cut_at(element);
    if (tree_last(&set->tree, &place) &&
        !chunk_element_is_before(place.chunk, place.chunk->count - 1, &cut))
        sorted_index_insert(set, element);
    else
        insert_at(set, &place, place.chunk ? place.chunk->count : 0, element);
}

/* ---- removing ---- */

static void let_go(void *owner, uint64_t node) {
    (void)owner;
    blob_let_go((struct blob *)(uintptr_t)node);
}

static void retire_blobs(struct sorted_set *set, const struct tree_chunk *chunk, uint32_t first,
                         uint32_t count) {
    if (likely(set->blob_bytes == 0)) return;
    for (uint32_t i = first; i < first + count; i++) {
        struct blob *blob = sorted_chunk_blob(chunk, i);
        if (!blob) continue;
        size_t bytes = sizeof *blob + blob->size;
        set->blob_bytes -= bytes;
        epochs_retire(set->object.world->epochs, let_go, NULL, (uint64_t)(uintptr_t)blob, bytes);
    }
}

/* Put what is in the chunk at the place behind its neighbour to the left, if both fit in one. */
static bool merge_left(struct sorted_set *set, struct tree_place *place) {
    struct epochs *epochs = set->object.world->epochs;
    struct tree_place left = *place;
    union chunk_room room;
    if (!tree_previous(&set->tree, &left)) return false;
    size_t size = left.chunk->size + place->chunk->size;
    if (size > MERGED_MAX) return false;
    struct tree_chunk *apart = chunk_apart(&room);
    sorted_chunk_append(apart, place->chunk, 0, place->chunk->count);
    uint64_t before = left.before;
    tree_remove(&set->tree, epochs, place, sorted_chunk_hint);
    tree_seek_index(&set->tree, before, &left);
    struct tree_chunk *chunk = tree_open(&set->tree, epochs, &left, size);
    sorted_chunk_append(chunk, apart, 0, apart->count);
    tree_close(&set->tree, &left, sorted_chunk_hint);
    return true;
}

/* The chunk at the place became smaller. */
static void merge(struct sorted_set *set, struct tree_place *place) {
    if (place->chunk->size >= MERGE_BELOW || set->tree.chunks == 1) return;
    /* Chunks at the ends are often those that are taken from or added to: leave them alone. */
    if (place->before == 0 || place->before + place->chunk->count == set->tree.count) return;
    struct tree_place right = *place;
    if (merge_left(set, place)) return;
    if (tree_next(&set->tree, &right)) merge_left(set, &right);
}

/* Take elements out of the chunk at the place. */
static void remove_at(struct sorted_set *set, struct tree_place *place, uint32_t index,
                      uint32_t count) {
    struct epochs *epochs = set->object.world->epochs;
    struct tree_chunk *chunk = place->chunk;
    retire_blobs(set, chunk, index, count);
    if (count == chunk->count) {
        tree_remove(&set->tree, epochs, place, sorted_chunk_hint);
        return;
    }
    size_t rest = chunk->size - sorted_chunk_size_of(chunk, index, count);
    bool slack = chunk->capacity - rest > SLACK_MAX;
    chunk = tree_open(&set->tree, epochs, place, chunk->capacity);
    sorted_chunk_remove(chunk, index, count);
    tree_close(&set->tree, place, sorted_chunk_hint);
    if (slack) {
        tree_open(&set->tree, epochs, place, chunk->size);
        tree_close(&set->tree, place, sorted_chunk_hint);
    }
    merge(set, place);
}

void sorted_index_remove(struct sorted_set *set, const struct sorted_set_element *element) {
    struct tree_place place;
    struct index_cut cut = cut_at(element);
    bool found = seek(&set->tree, &cut, &place);
    INVARIANT(found);
    uint32_t index = chunk_search(place.chunk, &cut);
    INVARIANT(index < place.chunk->count);
    remove_at(set, &place, index, 1);
}

/* What is removed next, now or by calls to come, is most likely the chunk's next elements: their
 * members' records are brought near, one step for each removal. */
static void prefetch_behind(const struct sorted_set *set, const struct tree_chunk *chunk,
                            uint32_t index, bool backwards) {
    static void (*const steps[])(const struct record_table *, uint64_t) = {
        record_table_prefetch_record, record_table_prefetch_chunk, record_table_prefetch_way};
    enum { STEPS = sizeof steps / sizeof steps[0], DISTANCE = 5 };
    struct sorted_set_element element;
    uint32_t room = backwards ? index : chunk->count - 1 - index;
    for (uint32_t i = 0; i < STEPS; i++) {
        uint32_t ahead = (i + 1) * DISTANCE;
        if (ahead > room) return;
        sorted_chunk_get(chunk, backwards ? index - ahead : index + ahead, &element);
        steps[i](&set->table, record_table_hash(set->object.world, &element.member));
    }
}

void sorted_index_remove_span(struct sorted_set *set, const struct sorted_set_span *span,
                              void (*removed)(struct sorted_set *set,
                                              const struct sorted_set_element *element)) {
    uint64_t left = span->count;
    bool backwards = left == 1 && span->first + 1 == set->tree.count;
    while (left > 0) {
        struct tree_place place;
        struct sorted_set_element element;
        tree_seek_index(&set->tree, span->first, &place);
        uint32_t index = (uint32_t)(span->first - place.before);
        uint32_t count = place.chunk->count - index;
        if (count > left) count = (uint32_t)left;
        for (uint32_t i = index; i < index + count; i++) {
            prefetch_behind(set, place.chunk, i, backwards);
            sorted_chunk_get(place.chunk, i, &element);
            removed(set, &element);
        }
        remove_at(set, &place, index, count);
        left -= count;
    }
}

/* ---- the whole ---- */

static void release_chunk(struct tree_chunk *chunk) {
    for (uint32_t i = 0; i < chunk->count; i++)
        blob_let_go(sorted_chunk_blob(chunk, i));
}

void sorted_index_release(struct sorted_set *set) {
    tree_release(&set->tree, set->blob_bytes > 0 ? release_chunk : NULL);
}

void sorted_index_copy(struct sorted_set *to, const struct sorted_set *from) {
    struct tree_place place;
    tree_copy(&to->tree, &from->tree, from->object.world->epochs);
    to->blob_bytes = from->blob_bytes;
    if (from->blob_bytes == 0) return;
    for (bool more = tree_first(&to->tree, &place); more; more = tree_next(&to->tree, &place)) {
        for (uint32_t i = 0; i < place.chunk->count; i++) {
            struct blob *blob = sorted_chunk_blob(place.chunk, i);
            if (blob) blob_hold(blob);
        }
    }
}

void sorted_index_check(const struct sorted_set *set) {
    struct tree_place place;
    struct sorted_set_element last, element;
    size_t blob_bytes = 0;
    uint64_t count = 0;
    tree_check(&set->tree, sorted_chunk_hint);
    for (bool more = tree_first(&set->tree, &place); more; more = tree_next(&set->tree, &place)) {
        INVARIANT(place.chunk->count > 0 && place.chunk->size <= CHUNK_DATA_MAX);
        for (uint32_t i = 0; i < place.chunk->count; i++) {
            struct blob *blob = sorted_chunk_blob(place.chunk, i);
            if (blob) blob_bytes += sizeof *blob + blob->size;
            sorted_chunk_get(place.chunk, i, &element);
            if (count++ > 0) {
                struct index_cut cut = cut_at(&element);
                INVARIANT(sorted_index_is_before(&last, &cut));
            }
            last = element;
        }
    }
    INVARIANT(count == set->tree.count && blob_bytes == set->blob_bytes);
}
