/* stream.c: adding, deleting, trimming and walking entries over the nodes of a stream.
 *
 * A node that is full is never added to again; a node whose last live entry is deleted goes. */
#include "value/stream.h"

#include "base/invariant.h"
#include "base/memory.h"
#include "value/stream_group.h"

/* ---- adding ---- */

static bool node_is_full(const struct tree_chunk *chunk, const struct stream_node_walk *node,
                         size_t more, const struct stream_limits *limits) {
    size_t size = stream_node_file_size(chunk);
    if (limits->node_bytes > 0 && size + more >= limits->node_bytes) return true;
    if (size + more >= STREAM_ENTRY_SIZE_MAX) return true;
    return limits->node_entries > 0 && node->live + node->deleted >= limits->node_entries;
}

/* Nothing will be added to this node: give back what it has too much. */
static void finish_node(struct stream *stream, struct tree_place *place) {
    if (place->chunk->capacity == place->chunk->size) return;
    tree_open(&stream->tree, stream_epochs(stream), place, place->chunk->size);
    tree_close(&stream->tree, place, stream_chunk_hint);
}

/* Nodes double up to their full size. */
static size_t grown(size_t size, size_t needed, const struct stream_limits *limits) {
    enum { SPARE_MAX = 4096 };
    size_t wanted = size + (size < SPARE_MAX ? size : SPARE_MAX);
    uint64_t full = limits->node_bytes + STREAM_NODE_HEAD;
    if (limits->node_bytes > 0 && wanted > full) wanted = (size_t)full;
    return wanted > needed ? wanted : needed;
}

static void add_to_node(struct stream *stream, struct tree_place *place,
                        struct stream_node_walk *node, const struct stream_entry *entry,
                        const struct stream_limits *limits) {
    bool same;
    struct tree_chunk *chunk = place->chunk;
    size_t needed = chunk->size + stream_node_size_of_next(node, entry, &same);
    size_t capacity = chunk->capacity;
    if (needed > capacity) capacity = grown(chunk->size, needed, limits);
    chunk = tree_open(&stream->tree, stream_epochs(stream), place, capacity);
    stream_node_append(chunk, node, entry, same);
    tree_close(&stream->tree, place, stream_chunk_hint);
}

static void add_node(struct stream *stream, struct tree_place *place,
                     const struct stream_entry *entry) {
    struct tree_chunk *chunk = tree_add(&stream->tree, stream_epochs(stream), place, false,
                                        stream_node_size_of_first(entry));
    stream_node_begin_with(chunk, entry);
    tree_close(&stream->tree, place, stream_chunk_hint);
}

static void add_entry(struct stream *stream, const struct stream_entry *entry, size_t size,
                      const struct stream_limits *limits) {
    struct tree_place place;
    struct stream_node_walk node;
    if (!tree_last(&stream->tree, &place)) {
        memset(&place, 0, sizeof place);
        add_node(stream, &place, entry);
        return;
    }
    stream_node_begin(&node, place.chunk);
    if (node_is_full(place.chunk, &node, size, limits)) {
        finish_node(stream, &place);
        add_node(stream, &place, entry);
    } else {
        add_to_node(stream, &place, &node, entry, limits);
    }
}

void stream_add(struct stream *stream, const struct stream_id *id, const struct bytes *words,
                size_t fields, const struct stream_limits *limits) {
    enum { FEW = 32 };
    struct item few[FEW], *items = few;
    size_t size = 0;
    INVARIANT(fields > 0 && stream_id_compare(id, &stream->last) > 0);
    if (fields * 2 > FEW) items = memory_alloc(fields * 2 * sizeof *items);
    for (size_t i = 0; i < fields * 2; i++) {
        items[i] = item_make(bytes_make(words[i].size ? words[i].data : "", words[i].size));
        size += words[i].size;
    }
    struct stream_entry entry = {*id, items, fields};
    add_entry(stream, &entry, size, limits);
    if (items != few) memory_free(items);
    if (stream_length(stream) == 1) stream->first = *id;
    stream->last = *id;
    if (stream->added < INT64_MAX) stream->added++;
}

/* ---- walking ---- */

/* Stand before the entries of the chunk at the place, or the end. */
static void enter_node(struct stream_walk *walk) {
    const struct tree_chunk *chunk = walk->place.chunk;
    if (!chunk) return;
    stream_node_begin(&walk->node, chunk);
    walk->node.flags = STREAM_ENTRY_DELETED; /* of no entry: counts for nothing */
    walk->rank = walk->place.before + (walk->backwards ? chunk->count : 0);
}

void stream_walk_begin(struct stream_walk *walk, const struct stream *stream,
                       const struct stream_id *from, const struct stream_id *to, bool backwards) {
    const struct stream_id *start = backwards ? to : from;
    walk->stream = stream;
    walk->from = *from;
    walk->to = *to;
    walk->backwards = backwards;
    if (stream_id_compare(from, to) > 0 ||
        !tree_seek(&stream->tree, start->ms, stream_chunk_begins_after, start, &walk->place))
        walk->place.chunk = NULL;
    enter_node(walk);
}

static bool step(struct stream_walk *walk) {
    const struct tree *tree = &walk->stream->tree;
    while (walk->place.chunk) {
        if (!walk->backwards && !(walk->node.flags & STREAM_ENTRY_DELETED)) walk->rank++;
        if (walk->backwards ? stream_node_previous(&walk->node) : stream_node_next(&walk->node))
            return true;
        if (!(walk->backwards ? tree_previous(tree, &walk->place) : tree_next(tree, &walk->place)))
            walk->place.chunk = NULL;
        enter_node(walk);
    }
    return false;
}

bool stream_walk_next(struct stream_walk *walk) {
    while (step(walk)) {
        const struct stream_id *id = &walk->node.id;
        if (walk->node.flags & STREAM_ENTRY_DELETED) continue;
        if (walk->backwards) walk->rank--;
        bool below = stream_id_compare(id, &walk->from) < 0;
        bool above = stream_id_compare(id, &walk->to) > 0;
        if (walk->backwards ? below : above) {
            walk->place.chunk = NULL;
            return false;
        }
        if (!below && !above) return true;
    }
    return false;
}

uint64_t stream_rank(const struct stream *stream, const struct stream_id *id) {
    struct stream_walk walk;
    stream_walk_begin(&walk, stream, id, &STREAM_ID_MAX, false);
    return stream_walk_next(&walk) ? walk.rank : stream_length(stream);
}

uint64_t stream_walk_left(const struct stream_walk *walk) {
    const struct stream *stream = walk->stream;
    if (walk->backwards) {
        bool all = stream_id_compare(&walk->from, &stream->first) <= 0;
        return walk->rank + 1 - (all ? 0 : stream_rank(stream, &walk->from));
    }
    struct stream_id behind = walk->to;
    bool all = stream_id_compare(&walk->to, &stream->last) >= 0 || !stream_id_increment(&behind);
    return (all ? stream_length(stream) : stream_rank(stream, &behind)) - walk->rank;
}

bool stream_has(const struct stream *stream, const struct stream_id *id) {
    struct stream_walk walk;
    stream_walk_begin(&walk, stream, id, id, false);
    return stream_walk_next(&walk);
}

static void find_first(struct stream *stream) {
    struct stream_walk walk;
    stream_walk_begin(&walk, stream, &STREAM_ID_MIN, &STREAM_ID_MAX, false);
    stream->first = stream_walk_next(&walk) ? walk.node.id : STREAM_ID_MIN;
}

/* ---- deleting ---- */

static bool is_last_chunk(const struct stream *stream, const struct tree_place *place) {
    struct tree_place next = *place;
    return !tree_next(&stream->tree, &next);
}

enum stream_removal stream_remove(struct stream *stream, const struct stream_id *id,
                                  enum stream_references references) {
    struct epochs *epochs = stream_epochs(stream);
    struct stream_walk walk;
    stream_walk_begin(&walk, stream, id, id, false);
    bool found = stream_walk_next(&walk);
    if (found && references == STREAM_REFERENCES_NONE && stream_is_referenced(stream, id))
        return STREAM_REFERENCED;
    if (references == STREAM_REFERENCES_DELETED) stream_forget(stream, id);
    if (!found) return STREAM_ABSENT;
    if (walk.node.live == 1) {
        tree_remove(&stream->tree, epochs, &walk.place, stream_chunk_hint);
    } else {
        size_t needed = walk.place.chunk->size + STREAM_NODE_DELETE_GROWTH;
        if (needed < walk.place.chunk->capacity) needed = walk.place.chunk->capacity;
        bool pack = !is_last_chunk(stream, &walk.place);
        struct tree_chunk *chunk = tree_open(&stream->tree, epochs, &walk.place, needed);
        stream_node_mark_deleted(chunk, walk.node.entry_at);
        stream_node_count_deleted(chunk, 1, pack);
        tree_close(&stream->tree, &walk.place, stream_chunk_hint);
    }
    if (stream_id_compare(id, &stream->first) == 0) find_first(stream);
    if (stream_id_compare(id, &stream->max_deleted) > 0) stream->max_deleted = *id;
    return STREAM_REMOVED;
}

/* ---- trimming ---- */

struct trimming {
    const struct stream_trim *trim;
    uint64_t left;   /* entries that may still be looked at, by length */
    uint64_t looked; /* entries that were */
    uint64_t deleted;
    bool passed; /* by one that had to stay: what goes now leaves a gap */
    struct stream_id *end;
};

static bool is_wanted(const struct trimming *trimming, const struct stream_node_walk *node) {
    if (trimming->trim->by_id) return stream_id_compare(&node->id, &trimming->trim->min_id) < 0;
    return trimming->left > 0;
}

/* Does all of this node go? */
static bool all_wanted(const struct trimming *trimming, const struct tree_chunk *chunk) {
    struct stream_node_walk node;
    stream_node_begin(&node, chunk);
    if (!trimming->trim->by_id) return node.live <= trimming->left;
    return stream_node_previous(&node) && is_wanted(trimming, &node);
}

static void count_looked(struct trimming *trimming, uint64_t entries) {
    trimming->looked += entries;
    trimming->left -= trimming->left < entries ? trimming->left : entries;
}

/* Should this entry, which is wanted, really go? References go before it does. */
static bool settle_references(struct stream *stream, const struct stream_trim *trim,
                              const struct stream_id *id) {
    if (trim->references == STREAM_REFERENCES_NONE) return !stream_is_referenced(stream, id);
    if (trim->references == STREAM_REFERENCES_DELETED) stream_forget(stream, id);
    return true;
}

/* Mark what goes in an open chunk; true: go on with the next one. */
static bool mark_wanted(struct stream *stream, struct trimming *trimming, struct tree_chunk *chunk,
                        uint64_t *marked) {
    struct stream_node_walk node;
    stream_node_begin(&node, chunk);
    while (stream_node_next(&node)) {
        if (node.flags & STREAM_ENTRY_DELETED) continue;
        if (!is_wanted(trimming, &node)) {
            *trimming->end = node.id;
            return false;
        }
        count_looked(trimming, 1);
        if (!settle_references(stream, trimming->trim, &node.id)) {
            trimming->passed = true;
            continue;
        }
        stream_node_mark_deleted(chunk, node.entry_at);
        if (trimming->passed && stream_id_compare(&node.id, &stream->max_deleted) > 0)
            stream->max_deleted = node.id;
        ++*marked;
    }
    return true;
}

/* Trim entry by entry. True: there may be more to do in the next chunk, which is the place's. */
static bool trim_chunk(struct stream *stream, struct trimming *trimming, struct tree_place *place) {
    struct epochs *epochs = stream_epochs(stream);
    uint64_t marked = 0, live = place->chunk->count;
    size_t capacity = place->chunk->size + STREAM_NODE_DELETE_GROWTH;
    if (capacity < place->chunk->capacity) capacity = place->chunk->capacity;
    bool pack = !is_last_chunk(stream, place);
    struct tree_chunk *chunk = tree_open(&stream->tree, epochs, place, capacity);
    bool goes_on = mark_wanted(stream, trimming, chunk, &marked);
    trimming->deleted += marked;
    bool empty = marked == live;
    if (marked > 0 && !empty) stream_node_count_deleted(chunk, marked, pack);
    tree_close(&stream->tree, place, stream_chunk_hint);
    if (empty) {
        tree_remove(&stream->tree, epochs, place, stream_chunk_hint);
        return goes_on && place->chunk;
    }
    return goes_on && tree_next(&stream->tree, place);
}

/* The next chunk; false when it is not to be trimmed. */
static bool trim_next(struct stream *stream, struct trimming *trimming, struct tree_place *place) {
    const struct stream_trim *trim = trimming->trim;
    bool simple = trim->references == STREAM_REFERENCES_KEPT || stream_group_count(stream) == 0;
    uint64_t live = place->chunk->count;
    bool all = all_wanted(trimming, place->chunk);
    if (trim->whole_nodes) {
        if (!all) return false;
        if (trim->limit > 0 && trimming->looked + live > trim->limit) return false;
    }
    if (!all || !simple) return trim_chunk(stream, trimming, place);
    tree_remove(&stream->tree, stream_epochs(stream), place, stream_chunk_hint);
    count_looked(trimming, live);
    trimming->deleted += live;
    return place->chunk != NULL;
}

/* The id of the first live entry of this chunk. */
static struct stream_id first_of(const struct tree_chunk *chunk) {
    struct stream_node_walk node;
    stream_node_begin(&node, chunk);
    do
        INVARIANT(stream_node_next(&node));
    while (node.flags & STREAM_ENTRY_DELETED);
    return node.id;
}

uint64_t stream_trim(struct stream *stream, const struct stream_trim *trim, struct stream_id *end) {
    struct tree_place place;
    struct trimming trimming = {.trim = trim, .end = end};
    uint64_t length = stream_length(stream);
    *end = STREAM_ID_MIN;
    if (length == 0 || (trim->by_id ? stream_id_compare(&trim->min_id, &stream->first) <= 0
                                    : length <= trim->length_max))
        return 0;
    if (!trim->by_id) trimming.left = length - trim->length_max;
    bool goes_on = tree_first(&stream->tree, &place);
    while (goes_on && (trim->by_id || trimming.left > 0)) {
        *end = STREAM_ID_MAX;
        goes_on = trim_next(stream, &trimming, &place);
    }
    if (place.chunk && stream_id_compare(end, &STREAM_ID_MAX) == 0) *end = first_of(place.chunk);
    if (trimming.deleted > 0) find_first(stream);
    return trimming.deleted;
}

/* ---- what was added ---- */

void stream_set_last(struct stream *stream, const struct stream_id *last, uint64_t added,
                     const struct stream_id *max_deleted) {
    stream->last = *last;
    stream->added = added;
    stream->max_deleted = *max_deleted;
}

bool stream_has_gaps(const struct stream *stream, const struct stream_id *from) {
    if (stream_length(stream) == 0 || stream_id_is_zero(&stream->max_deleted)) return false;
    return stream_id_compare(from, &stream->max_deleted) <= 0;
}

int64_t stream_added_until(const struct stream *stream, const struct stream_id *id) {
    if (stream->added == 0) return 0;
    uint64_t length = stream_length(stream);
    int against_last = stream_id_compare(id, &stream->last);
    if (length == 0 && against_last < 0) return (int64_t)stream->added;
    if (against_last == 0) return (int64_t)stream->added;
    if (against_last > 0) return -1;
    int against_first = stream_id_compare(id, &stream->first);
    if (stream_id_is_zero(&stream->max_deleted) ||
        stream_id_compare(&stream->max_deleted, &stream->first) < 0) {
        if (against_first < 0) return (int64_t)(stream->added - length);
        if (against_first == 0) return (int64_t)(stream->added - length + 1);
    }
    return -1;
}

/* ---- nodes from RDB files ---- */

bool stream_load_node(struct stream *stream, const struct stream_id *master,
                      struct bytes listpack) {
    struct tree_place place;
    struct stream_id last = STREAM_ID_MIN;
    uint64_t live;
    if (listpack.size > STREAM_ENTRY_SIZE_MAX) return false;
    bool has_last = tree_last(&stream->tree, &place);
    if (has_last) {
        struct stream_node_walk node;
        stream_node_begin(&node, place.chunk);
        do
            INVARIANT(stream_node_previous(&node));
        while (node.flags & STREAM_ENTRY_DELETED);
        last = node.id;
    } else {
        memset(&place, 0, sizeof place);
    }
    bool is_first = !has_last;
    if (!is_first && stream_id_compare(master, &last) <= 0) return false;
    if (!stream_node_validate(master, listpack, &last, &has_last, &live)) return false;
    if (live > UINT32_MAX) return false;
    if (live == 0) return true;
    struct buffer node = {0};
    stream_node_take_file(&node, master, listpack.data);
    struct tree_chunk *chunk =
        tree_add(&stream->tree, stream_epochs(stream), &place, false, node.size);
    memcpy(chunk->data, node.data, node.size);
    chunk->size = (uint32_t)node.size;
    chunk->count = (uint32_t)live;
    tree_close(&stream->tree, &place, stream_chunk_hint);
    buffer_release(&node);
    if (is_first) find_first(stream);
    return true;
}

void stream_check(const struct stream *stream) {
    struct tree_place place;
    struct stream_id last = STREAM_ID_MIN, first = STREAM_ID_MIN;
    bool has_last = false;
    tree_check(&stream->tree, stream_chunk_hint);
    for (bool more = tree_first(&stream->tree, &place); more;
         more = tree_next(&stream->tree, &place)) {
        struct stream_id master = stream_chunk_id(place.chunk);
        uint64_t live;
        struct buffer file = {0};
        stream_node_put_file(&file, place.chunk);
        INVARIANT(listpack_size(stream_node_listpack(place.chunk)) ==
                  place.chunk->size - STREAM_NODE_HEAD);
        INVARIANT(file.size == stream_node_file_size(place.chunk));
        INVARIANT(stream_node_validate(&master, buffer_bytes(&file), &last, &has_last, &live));
        buffer_release(&file);
        INVARIANT(live == place.chunk->count && live > 0);
        if (stream_id_is_zero(&first)) first = first_of(place.chunk);
    }
    INVARIANT(stream_id_compare(&first, &stream->first) == 0);
    INVARIANT(stream_id_compare(&last, &stream->last) <= 0);
    stream_groups_check(stream);
}

/* ---- the class ---- */

static const struct stream *stream_of(const struct object *object) {
    return (const struct stream *)object;
}

static void class_init(struct object *object) {
    struct stream *stream = (struct stream *)object;
    object->format = FLAT_NONE;
    tree_init(&stream->tree);
}

static void class_release(struct object *object) {
    struct stream *stream = (struct stream *)object;
    tree_release(&stream->tree, NULL);
    stream_groups_release(stream);
}

static size_t class_bytes(const struct object *object) {
    return stream_of(object)->tree.bytes + stream_of(object)->groups_bytes;
}

static void class_copy(struct object *to, const struct object *from) {
    struct stream *copy = (struct stream *)to;
    struct object head = *to;
    *copy = *stream_of(from);
    copy->object = head;
    tree_copy(&copy->tree, &stream_of(from)->tree, from->world->epochs);
    stream_groups_copy(copy, stream_of(from));
}

static uint64_t class_count(const struct object *object) {
    return stream_length(stream_of(object));
}

static void class_digest(const struct object *object, struct object_digest *digest) {
    const struct stream *stream = stream_of(object);
    struct stream_walk walk;
    struct item name, value;
    stream_walk_begin(&walk, stream, &STREAM_ID_MIN, &STREAM_ID_MAX, false);
    while (stream_walk_next(&walk)) {
        object_digest_id(digest, walk.node.id.ms, walk.node.id.seq);
        object_digest_number(digest, walk.node.fields);
        while (stream_node_take(&walk.node, &name, &value)) {
            object_digest_item(digest, &name);
            object_digest_item(digest, &value);
        }
    }
    if (!object_digest_is_exact(digest)) return;
    object_digest_id(digest, stream->last.ms, stream->last.seq);
    object_digest_id(digest, stream->max_deleted.ms, stream->max_deleted.seq);
    object_digest_number(digest, stream->added);
    stream_groups_digest(stream, digest);
}

static const char *class_encoding_name(const struct object *object) {
    (void)object;
    return "stream";
}

const struct object_class stream_class = {
    .size = sizeof(struct stream),
    .init = class_init,
    .release = class_release,
    .bytes = class_bytes,
    .copy = class_copy,
    .count = class_count,
    .digest = class_digest,
    .encoding_name = class_encoding_name,
};
_Static_assert(sizeof(struct stream) <= OBJECT_SIZE_MAX, "an object's struct");
