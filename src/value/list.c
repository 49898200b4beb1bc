/* list.c: lists, flat or as a tree of listpacks. Reading changes nothing. */
#include "value/list.h"

#include "base/invariant.h"
#include "struct/listpack.h"

enum {
    CHUNK_SMALL = LIST_CHUNK_MAX / 4,      /* bytes: below, it looks for a neighbour to join */
    CHUNK_JOINED = LIST_CHUNK_MAX * 3 / 4, /* bytes of both together */
    SAFE_SIZE = 8192,                      /* bytes of a flat list that is limited by elements */
};

static struct epochs *epochs_of(struct list *list) {
    return list->object.world->epochs;
}

/* ---- limits ---- */

static size_t size_limit(const struct list_limits *limits) {
    enum { LEAST = 4096, STEPS = 5 };
    if (limits->max >= 0) return SAFE_SIZE;
    int64_t step = limits->max < -STEPS ? STEPS : -limits->max;
    return (size_t)LEAST << (step - 1);
}

static bool within(const struct list_limits *limits, size_t size, uint64_t count) {
    if (limits->max >= 0 && count > (uint64_t)(limits->max > 0 ? limits->max : 1)) return false;
    return size <= size_limit(limits);
}

/* ---- chunks ---- */

/* Write an item into a chunk with room for it, before the offset `at` (0: at the end). */
static void put(struct list *list, struct tree_place *place, size_t at, const struct item *item) {
    struct tree_chunk *chunk = tree_open(&list->tree, epochs_of(list), place,
                                         place->chunk->size + listpack_item_size_tight(item));
    listpack_insert_tight(chunk->data, at, item);
    chunk->count++;
    chunk->size = (uint32_t)listpack_size(chunk->data);
    tree_close(&list->tree, place, NULL);
}

/* A new chunk with this one element, at the place's side. */
static void put_alone(struct list *list, struct tree_place *place, bool in_front,
                      const struct item *item) {
    struct tree_chunk *chunk = tree_add(&list->tree, epochs_of(list), place, in_front,
                                        LISTPACK_EMPTY_SIZE + listpack_item_size_tight(item));
    listpack_init(chunk->data);
    listpack_insert_tight(chunk->data, 0, item);
    chunk->count = 1;
    chunk->size = (uint32_t)listpack_size(chunk->data);
    tree_close(&list->tree, place, NULL);
}

static bool has_room(const struct tree_chunk *chunk, const struct item *item) {
    return chunk->size + listpack_item_size_tight(item) <= LIST_CHUNK_MAX;
}

/* Move the elements from `at` on (the one of this index in the chunk) to a new chunk behind. The
 * place stays that of the first. */
static void split(struct list *list, struct tree_place *place, size_t at, uint32_t index) {
    struct tree_chunk *chunk = place->chunk;
    size_t moved = chunk->size - 1 - at;
    struct buffer kept = {0};
    buffer_append(&kept, chunk->data + at, moved);
    uint32_t moved_count = chunk->count - index;
    chunk = tree_open(&list->tree, epochs_of(list), place, chunk->size);
    listpack_remove(chunk->data, at, moved_count);
    chunk->count = index;
    chunk->size = (uint32_t)listpack_size(chunk->data);
    tree_close(&list->tree, place, NULL);
    uint64_t before = place->before;
    chunk = tree_add(&list->tree, epochs_of(list), place, false, LISTPACK_EMPTY_SIZE + moved);
    listpack_init(chunk->data);
    listpack_append_run(chunk->data, bytes_make(kept.data, kept.size), moved_count);
    chunk->count = moved_count;
    chunk->size = (uint32_t)listpack_size(chunk->data);
    tree_close(&list->tree, place, NULL);
    buffer_release(&kept);
    tree_seek_index(&list->tree, before, place);
}

/* Join the chunk with the one behind it when both are small. */
static bool join_next(struct list *list, struct tree_place *place) {
    struct tree_place next = *place;
    if (!tree_next(&list->tree, &next)) return false;
    size_t both = place->chunk->size + next.chunk->size;
    if (both > CHUNK_JOINED) return false;
    struct tree_chunk *chunk = tree_open(&list->tree, epochs_of(list), place, both);
    uint64_t before = place->before;
    listpack_join(chunk->data, next.chunk->data, false);
    chunk->count += next.chunk->count;
    chunk->size = (uint32_t)listpack_size(chunk->data);
    uint64_t behind = before + chunk->count - next.chunk->count;
    tree_close(&list->tree, place, NULL);
    /* Its elements are in both for a moment, one behind the other. */
    tree_seek_index(&list->tree, behind + next.chunk->count, &next);
    tree_remove(&list->tree, epochs_of(list), &next, NULL);
    tree_seek_index(&list->tree, before, place);
    return true;
}

/* A chunk has become smaller: it looks for neighbours to join. */
static void settle_chunk(struct list *list, struct tree_place *place) {
    if (place->chunk->size >= CHUNK_SMALL) return;
    if (join_next(list, place) && place->chunk->size >= CHUNK_SMALL) return;
    struct tree_place previous = *place;
    if (tree_previous(&list->tree, &previous)) join_next(list, &previous);
}

/* The end of a list is where it grows and shrinks: a chunk there gets all of its room early, and
 * keeps it. */
static size_t room_at_end(const struct tree_chunk *chunk, size_t wanted) {
    if (wanted <= chunk->capacity) return chunk->capacity;
    size_t twice = 2 * (size_t)chunk->capacity;
    return twice < wanted ? wanted : twice < LIST_CHUNK_MAX ? twice : LIST_CHUNK_MAX;
}

static void push_to_tree(struct list *list, const struct item *item, bool at_head) {
    struct tree *tree = &list->tree;
    struct tree_place place;
    bool any = at_head ? tree_first(tree, &place) : tree_last(tree, &place);
    size_t item_size = listpack_item_size_tight(item);
    struct tree_chunk *chunk = place.chunk;
    if (any && chunk->size + item_size <= LIST_CHUNK_MAX) {
        chunk =
            tree_open(tree, epochs_of(list), &place, room_at_end(chunk, chunk->size + item_size));
        listpack_insert_tight(chunk->data, at_head ? LISTPACK_HEADER_SIZE : 0, item);
    } else {
        if (any && chunk->size < CHUNK_SMALL) {
            settle_chunk(list, &place); /* it will no longer be at the end */
            any = at_head ? tree_first(tree, &place) : tree_last(tree, &place);
        }
        size_t size = LISTPACK_EMPTY_SIZE + item_size;
        if (any && size < LIST_CHUNK_MAX) size = LIST_CHUNK_MAX;
        chunk = tree_add(tree, epochs_of(list), &place, at_head, size);
        listpack_init(chunk->data);
        listpack_insert_tight(chunk->data, 0, item);
    }
    chunk->count++;
    chunk->size = (uint32_t)listpack_size(chunk->data);
    tree_close(tree, &place, NULL);
}

/* ---- flat and tree ---- */

static void make_tree(struct list *list) {
    struct buffer flat = list->object.flat;
    tree_init(&list->tree);
    list->object.flat = (struct buffer){0};
    list->object.format = FLAT_NONE;
    if (flat.size > 0) {
        size_t at = listpack_first(flat.data);
        struct item item;
        while (listpack_take(flat.data, &at, &item))
            push_to_tree(list, &item, false);
    }
    /* The buffer goes on being the object's: it may be the keyspace's bench. */
    buffer_clear(&flat);
    list->object.flat = flat;
}

/* One chunk is left, and it is small: flat again. */
static void settle(struct list *list, const struct list_limits *limits) {
    struct tree_place place;
    if (object_is_flat(&list->object) || list->tree.chunks > 1) return;
    if (!tree_first(&list->tree, &place)) return;
    uint64_t count = place.chunk->count;
    struct buffer *flat = &list->object.flat;
    if (place.chunk->size > size_limit(limits) / 2 || !within(limits, 0, count * 2)) return;
    listpack_put_loosened(flat, place.chunk->data);
    if (flat->size > size_limit(limits) / 2 || !within(limits, flat->size, count * 2)) {
        buffer_clear(flat);
        return;
    }
    tree_remove(&list->tree, epochs_of(list), &place, NULL);
    list->object.format = FLAT_LISTPACK;
}

/* Is the list flat, and still when it has this item too? If not, it is a tree afterwards. */
static bool stays_flat(struct list *list, const struct list_limits *limits,
                       const struct item *item) {
    if (!object_is_flat(&list->object)) return false;
    struct buffer *flat = &list->object.flat;
    if (flat->size == 0) listpack_begin(flat);
    size_t size = flat->size + listpack_item_size(item);
    if (within(limits, size, listpack_count(flat->data) + 1)) return true;
    make_tree(list);
    return false;
}

/* ---- reading ---- */

uint64_t list_count(const struct list *list) {
    if (!object_is_flat(&list->object)) return list->tree.count;
    return list->object.flat.size == 0 ? 0 : listpack_count(list->object.flat.data);
}

struct item list_get(const struct list *list, uint64_t index, char scratch[ITEM_TEXT_MAX]) {
    if (object_is_flat(&list->object)) {
        const char *lp = list->object.flat.data;
        return listpack_get(lp, listpack_seek(lp, (int64_t)index));
    }
    struct tree_place place;
    tree_seek_index(&list->tree, index, &place);
    const char *lp = place.chunk->data;
    return listpack_get_tight(lp, listpack_seek(lp, (int64_t)(index - place.before)), scratch);
}

void list_seek(const struct list *list, uint64_t index, bool backward, struct list_cursor *cursor) {
    cursor->list = list;
    cursor->backward = backward;
    cursor->listpack = NULL;
    cursor->at = 0;
    cursor->place.chunk = NULL;
    if (index >= list_count(list)) return;
    uint64_t before = 0;
    if (object_is_flat(&list->object)) {
        cursor->listpack = list->object.flat.data;
    } else {
        tree_seek_index(&list->tree, index, &cursor->place);
        cursor->listpack = cursor->place.chunk->data;
        before = cursor->place.before;
    }
    cursor->at = listpack_seek(cursor->listpack, (int64_t)(index - before));
}

bool list_take(struct list_cursor *cursor, struct item *item) {
    if (cursor->at == 0) {
        if (!cursor->place.chunk) return false;
        const struct tree *tree = &cursor->list->tree;
        if (!(cursor->backward ? tree_previous(tree, &cursor->place)
                               : tree_next(tree, &cursor->place)))
            return false;
        cursor->listpack = cursor->place.chunk->data;
        cursor->at =
            cursor->backward ? listpack_last(cursor->listpack) : listpack_first(cursor->listpack);
    }
    if (!cursor->backward)
        return listpack_take_tight(cursor->listpack, &cursor->at, item, cursor->scratch);
    *item = listpack_get_tight(cursor->listpack, cursor->at, cursor->scratch);
    cursor->at = listpack_previous(cursor->listpack, cursor->at);
    return true;
}

/* ---- changing ---- */

void list_push(struct list *list, const struct list_limits *limits, const struct item *item,
               bool at_head) {
    if (stays_flat(list, limits, item)) {
        struct buffer *flat = &list->object.flat;
        listpack_put(flat, at_head ? listpack_first(flat->data) : 0, item);
        return;
    }
    push_to_tree(list, item, at_head);
}

static void settle_at(struct list *list, uint64_t index) {
    struct tree_place place;
    tree_seek_index(&list->tree, index, &place);
    settle_chunk(list, &place);
}

static void insert_into_tree(struct list *list, uint64_t index, const struct item *item) {
    struct tree_place place;
    tree_seek_index(&list->tree, index, &place);
    uint32_t inside = (uint32_t)(index - place.before);
    size_t at = listpack_seek(place.chunk->data, inside);
    if (has_room(place.chunk, item)) {
        put(list, &place, at, item);
        return;
    }
    if (inside > 0) split(list, &place, at, inside);
    bool behind = inside > 0;
    if (behind && has_room(place.chunk, item))
        put(list, &place, 0, item);
    else
        put_alone(list, &place, !behind, item);
    /* What stands beside it may be small: a part, or what was at the end. */
    if (index > 0) settle_at(list, index - 1);
    if (index + 1 < list->tree.count) settle_at(list, index + 1);
}

void list_insert(struct list *list, const struct list_limits *limits, uint64_t index,
                 const struct item *item) {
    if (stays_flat(list, limits, item)) {
        struct buffer *flat = &list->object.flat;
        bool at_end = index == listpack_count(flat->data);
        listpack_put(flat, at_end ? 0 : listpack_seek(flat->data, (int64_t)index), item);
    } else if (index == list->tree.count) {
        push_to_tree(list, item, false);
    } else {
        insert_into_tree(list, index, item);
    }
}

/* In its place, when the chunk holds it; else taken out and put in again. */
static void set_in_tree(struct list *list, uint64_t index, const struct item *item) {
    struct tree_place place;
    tree_seek_index(&list->tree, index, &place);
    size_t at = listpack_seek(place.chunk->data, (int64_t)(index - place.before));
    size_t old = listpack_size_at(place.chunk->data, at), wanted = listpack_item_size_tight(item);
    size_t size = place.chunk->size - old + wanted;
    if (size > LIST_CHUNK_MAX && place.chunk->count > 1) {
        insert_into_tree(list, index, item);
        list_remove(list, &(struct list_limits){INT64_MAX}, index + 1, 1);
        return;
    }
    struct tree_chunk *chunk =
        tree_open(&list->tree, epochs_of(list), &place, place.chunk->size + wanted);
    listpack_replace_tight(chunk->data, at, item);
    chunk->size = (uint32_t)listpack_size(chunk->data);
    tree_close(&list->tree, &place, NULL);
    if (wanted < old) settle_chunk(list, &place);
}

void list_set(struct list *list, const struct list_limits *limits, uint64_t index,
              const struct item *item) {
    if (stays_flat(list, limits, item)) {
        struct buffer *flat = &list->object.flat;
        listpack_put_replace(flat, listpack_seek(flat->data, (int64_t)index), item);
        return;
    }
    set_in_tree(list, index, item);
    settle(list, limits);
}

/* Take elements out of one chunk, or all of it; how many they were. */
static uint64_t remove_in_chunk(struct list *list, uint64_t index, uint64_t count) {
    struct tree_place place;
    tree_seek_index(&list->tree, index, &place);
    uint64_t inside = index - place.before, there = place.chunk->count - inside;
    if (count > there) count = there;
    if (count == place.chunk->count) {
        tree_remove(&list->tree, epochs_of(list), &place, NULL);
        if (place.chunk) settle_chunk(list, &place);
        return count;
    }
    size_t at = listpack_seek(place.chunk->data, (int64_t)inside);
    struct tree_chunk *chunk = tree_open(&list->tree, epochs_of(list), &place, place.chunk->size);
    listpack_remove(chunk->data, at, count);
    chunk->count -= (uint32_t)count;
    chunk->size = (uint32_t)listpack_size(chunk->data);
    tree_close(&list->tree, &place, NULL);
    settle_chunk(list, &place);
    return count;
}

void list_remove(struct list *list, const struct list_limits *limits, uint64_t index,
                 uint64_t count) {
    if (object_is_flat(&list->object)) {
        struct buffer *flat = &list->object.flat;
        if (count > 0) listpack_put_remove(flat, listpack_seek(flat->data, (int64_t)index), count);
        return;
    }
    while (count > 0)
        count -= remove_in_chunk(list, index, count);
    settle(list, limits);
}

void list_find_end(const struct list *list, bool at_head, struct list_end *end) {
    const char *lp = list->object.flat.data;
    if (!object_is_flat(&list->object)) {
        if (at_head)
            tree_first(&list->tree, &end->place);
        else
            tree_last(&list->tree, &end->place);
        lp = end->place.chunk->data;
    }
    end->at = at_head ? LISTPACK_HEADER_SIZE : listpack_last(lp);
    end->item = listpack_get_tight(lp, end->at, end->scratch);
}

void list_remove_end(struct list *list, const struct list_limits *limits, struct list_end *end) {
    struct tree *tree = &list->tree;
    if (object_is_flat(&list->object)) {
        listpack_put_remove(&list->object.flat, end->at, 1);
        return;
    }
    struct tree_chunk *chunk = end->place.chunk;
    if (chunk->count == 1) {
        tree_remove(tree, epochs_of(list), &end->place, NULL);
    } else {
        chunk = tree_open(tree, epochs_of(list), &end->place, chunk->capacity);
        listpack_remove(chunk->data, end->at, 1);
        chunk->count--;
        chunk->size = (uint32_t)listpack_size(chunk->data);
        tree_close(tree, &end->place, NULL);
    }
    settle(list, limits);
}

/* ---- removing what equals ---- */

/* From the offset `at` on, towards the end or the beginning; how many. */
static uint64_t remove_equal_in(char *lp, const struct item *item, uint64_t max, bool from_tail) {
    uint64_t removed = 0;
    char scratch[ITEM_TEXT_MAX];
    size_t at = from_tail ? listpack_last(lp) : listpack_first(lp);
    while (at != 0 && removed < max) {
        struct item here = listpack_get_tight(lp, at, scratch);
        size_t previous = from_tail ? listpack_previous(lp, at) : 0;
        if (item_equal(&here, item)) {
            size_t next = listpack_remove(lp, at, 1);
            at = from_tail ? previous : next;
            removed++;
        } else {
            at = from_tail ? previous : listpack_next(lp, at);
        }
    }
    return removed;
}

/* After removals: of the chunks of these elements no two neighbours stay that fit into one. */
static void join_between(struct list *list, uint64_t first, uint64_t end) {
    struct tree_place place;
    if (list->tree.count == 0) return;
    tree_seek_index(&list->tree, first > 0 ? first - 1 : 0, &place);
    bool more = true;
    while (more && place.before <= end)
        if (place.chunk->size >= CHUNK_SMALL || !join_next(list, &place))
            more = tree_next(&list->tree, &place);
}

static uint64_t remove_equal_in_tree(struct list *list, const struct item *item, uint64_t max,
                                     bool from_tail) {
    struct tree *tree = &list->tree;
    struct tree_place place;
    uint64_t removed = 0, left = tree->count; /* elements not looked at, in the tail's direction */
    while (left > 0 && removed < max) {
        /* From the head those that stay stand before what is left; from the tail behind. */
        tree_seek_index(tree, from_tail ? left - 1 : tree->count - left, &place);
        uint32_t count = place.chunk->count;
        left -= count;
        if (!listpack_find_tight(place.chunk->data, listpack_first(place.chunk->data), item))
            continue;
        struct tree_chunk *chunk = tree_open(tree, epochs_of(list), &place, place.chunk->size);
        uint64_t here = remove_equal_in(chunk->data, item, max - removed, from_tail);
        chunk->count -= (uint32_t)here;
        chunk->size = (uint32_t)listpack_size(chunk->data);
        tree_close(tree, &place, NULL);
        if (chunk->count == 0) tree_remove(tree, epochs_of(list), &place, NULL);
        removed += here;
    }
    if (removed > 0)
        join_between(list, from_tail ? left : 0, from_tail ? tree->count : tree->count - left);
    return removed;
}

uint64_t list_remove_equal(struct list *list, const struct list_limits *limits,
                           const struct item *item, uint64_t max, bool from_tail) {
    if (object_is_flat(&list->object)) {
        struct buffer *flat = &list->object.flat;
        if (flat->size == 0) return 0;
        uint64_t removed = remove_equal_in(flat->data, item, max, from_tail);
        flat->size = listpack_size(flat->data);
        return removed;
    }
    uint64_t removed = remove_equal_in_tree(list, item, max, from_tail);
    settle(list, limits);
    return removed;
}

/* ---- as an object ---- */

static struct list *list_of(struct object *object) {
    return (struct list *)object;
}

static const struct list *const_list_of(const struct object *object) {
    return (const struct list *)object;
}

static void class_release(struct object *object) {
    tree_release(&list_of(object)->tree, NULL);
}

static size_t class_bytes(const struct object *object) {
    return const_list_of(object)->tree.bytes;
}

static void class_copy(struct object *to, const struct object *from) {
    tree_copy(&list_of(to)->tree, &const_list_of(from)->tree, from->world->epochs);
}

static uint64_t class_count(const struct object *object) {
    return list_count(const_list_of(object));
}

static void class_digest(const struct object *object, struct object_digest *digest) {
    struct list_cursor cursor;
    struct item item;
    list_seek(const_list_of(object), 0, false, &cursor);
    while (list_take(&cursor, &item))
        object_digest_item(digest, &item);
}

static const char *class_encoding_name(const struct object *object) {
    return object_is_flat(object) ? "listpack" : "quicklist";
}

const struct object_class list_class = {
    .size = sizeof(struct list),
    .release = class_release,
    .bytes = class_bytes,
    .copy = class_copy,
    .count = class_count,
    .digest = class_digest,
    .encoding_name = class_encoding_name,
};
