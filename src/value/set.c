/* set.c: sets, flat or as a table. Reading changes nothing. */
#include "value/set.h"

#include "base/invariant.h"
#include "base/memory.h"
#include "struct/intset.h"
#include "struct/listpack.h"
#include "value/object_digest.h"

/* ---- reading ---- */

static bool is_empty_flat(const struct set *set) {
    return object_is_flat(&set->object) && set->object.flat.size == 0;
}

uint64_t set_count(const struct set *set) {
    if (is_empty_flat(set)) return 0;
    switch (set->object.format) {
    case FLAT_INTSET: return intset_count(set->object.flat.data);
    case FLAT_LISTPACK: return listpack_count(set->object.flat.data);
    default: return set->table.count;
    }
}

bool set_contains(const struct set *set, const struct item *member) {
    const char *flat = set->object.flat.data;
    size_t index;
    struct record record;
    if (is_empty_flat(set)) return false;
    switch (set->object.format) {
    case FLAT_INTSET: return item_is_integer(member) && intset_find(flat, member->integer, &index);
    case FLAT_LISTPACK: return listpack_find(flat, listpack_first(flat), member, 0) != 0;
    default: return record_table_find(&set->table, set->object.world, member, &record);
    }
}

struct item set_random(const struct set *set, uint64_t (*random)(void *), void *context) {
    const char *flat = set->object.flat.data;
    struct record record;
    switch (set->object.format) {
    case FLAT_INTSET: return item_integer(intset_get(flat, random(context) % intset_count(flat)));
    case FLAT_LISTPACK:
        return listpack_get(flat,
                            listpack_seek(flat, (int64_t)(random(context) % listpack_count(flat))));
    default:
        INVARIANT(record_table_random(&set->table, random, context, &record));
        return record.key;
    }
}

void set_prefetch_drawn(const struct set *set, uint64_t word, unsigned step) {
    if (object_is_flat(&set->object)) return;
    if (step == 0)
        record_table_prefetch_way(&set->table, word);
    else if (step == 1)
        record_table_prefetch_chunk(&set->table, word);
    else
        record_table_prefetch_drawn(&set->table, word);
}

/* ---- changing ---- */

static bool table_add(struct set *set, const struct item *member) {
    struct record record = {.key = *member, .value = {.text = ""}, .expiry = RECORD_NO_EXPIRY};
    struct record present;
    return record_table_add(&set->table, set->object.world, &record, &present);
}

/* The flat buffer stays the object's, empty: it may be the keyspace's bench. */
static void make_table(struct set *set) {
    struct set_cursor cursor;
    struct item member;
    record_table_init(&set->table);
    set_begin(set, &cursor);
    while (set_take(&cursor, &member))
        table_add(set, &member);
    set_end(&cursor);
    set->object.format = FLAT_NONE;
    buffer_clear(&set->object.flat);
}

static void make_listpack(struct set *set) {
    struct buffer listpack = {0};
    const char *intset = set->object.flat.data;
    listpack_begin(&listpack);
    for (size_t i = 0; i < intset_count(intset); i++) {
        struct item member = item_integer(intset_get(intset, i));
        listpack_put(&listpack, 0, &member);
    }
    buffer_clear(&set->object.flat);
    buffer_append(&set->object.flat, listpack.data, listpack.size);
    buffer_release(&listpack);
    set->object.format = FLAT_LISTPACK;
}

/* Digits and sign of the longest of an intset's members: those at its ends. */
static size_t longest_integer(const char *intset) {
    struct item first = item_integer(intset_get(intset, 0));
    struct item last = item_integer(intset_get(intset, intset_count(intset) - 1));
    size_t a = item_text_size(&first), b = item_text_size(&last);
    return a > b ? a : b;
}

static void begin_flat(struct set *set, const struct item *member) {
    if (item_is_integer(member)) {
        intset_begin(&set->object.flat);
        set->object.format = FLAT_INTSET;
    } else {
        listpack_begin(&set->object.flat);
        set->object.format = FLAT_LISTPACK;
    }
}

static bool fits_listpack(const struct set_limits *limits, uint64_t count, size_t longest) {
    return count <= limits->members && longest <= limits->size;
}

/* An intset gets its first member that is no integer. */
static void leave_intset(struct set *set, const struct set_limits *limits,
                         const struct item *member) {
    size_t longest =
        intset_count(set->object.flat.data) ? longest_integer(set->object.flat.data) : 0;
    if (member->size > longest) longest = member->size;
    if (fits_listpack(limits, intset_count(set->object.flat.data) + 1, longest))
        make_listpack(set);
    else
        make_table(set);
}

bool set_add(struct set *set, const struct set_limits *limits, const struct item *member) {
    if (!object_is_flat(&set->object)) return table_add(set, member);
    if (is_empty_flat(set)) begin_flat(set, member);
    if (set->object.format == FLAT_INTSET) {
        if (item_is_integer(member)) {
            bool added = intset_add(&set->object.flat, member->integer);
            uint64_t count = intset_count(set->object.flat.data);
            if (!added || count <= limits->integers) return added;
            if (fits_listpack(limits, count, longest_integer(set->object.flat.data)))
                make_listpack(set);
            else
                make_table(set);
            return true;
        }
        leave_intset(set, limits, member);
    } else if (set_contains(set, member)) {
        return false;
    }
    if (set->object.format == FLAT_LISTPACK &&
        (!fits_listpack(limits, listpack_count(set->object.flat.data) + 1,
                        item_text_size(member)) ||
         set->object.flat.size + item_text_size(member) > LISTPACK_SIZE_MAX - 100))
        make_table(set);
    if (set->object.format == FLAT_LISTPACK)
        listpack_put(&set->object.flat, 0, member);
    else
        table_add(set, member);
    return true;
}

bool set_remove(struct set *set, const struct item *member) {
    struct buffer *flat = &set->object.flat;
    if (is_empty_flat(set)) return false;
    switch (set->object.format) {
    case FLAT_INTSET: return item_is_integer(member) && intset_remove(flat, member->integer);
    case FLAT_LISTPACK: {
        size_t at = listpack_find(flat->data, listpack_first(flat->data), member, 0);
        if (at != 0) listpack_put_remove(flat, at, 1);
        return at != 0;
    }
    default: return record_table_remove(&set->table, set->object.world, member);
    }
}

/* ---- walking ---- */

struct scan {
    set_visit *visit;
    void *context;
};

static void scan_record(void *context, const struct record *record) {
    const struct scan *scan = context;
    scan->visit(scan->context, &record->key);
}

uint64_t set_scan(const struct set *set, uint64_t cursor, set_visit *visit, void *context) {
    if (!object_is_flat(&set->object)) {
        struct scan scan = {visit, context};
        return record_table_scan(&set->table, set->object.world, cursor, scan_record, &scan);
    }
    struct set_cursor walk;
    struct item member;
    set_begin(set, &walk);
    while (set_take(&walk, &member))
        visit(context, &member);
    return 0;
}

void set_begin(const struct set *set, struct set_cursor *cursor) {
    *cursor = (struct set_cursor){.set = set};
    if (is_empty_flat(set))
        cursor->at_end = true;
    else if (set->object.format == FLAT_LISTPACK)
        cursor->at = listpack_first(set->object.flat.data);
}

static void gather(void *context, const struct record *record) {
    enum { FIRST = 64 };
    struct set_cursor *cursor = context;
    if (cursor->count == cursor->capacity) {
        cursor->capacity = cursor->capacity ? cursor->capacity * 2 : FIRST;
        cursor->found = memory_resize(cursor->found, cursor->capacity * sizeof *cursor->found);
    }
    cursor->found[cursor->count++] = record->key;
}

static bool take_record(struct set_cursor *cursor, struct item *member) {
    const struct set *set = cursor->set;
    while (cursor->next == cursor->count) {
        if (cursor->at_end) return false;
        cursor->next = cursor->count = 0;
        cursor->place =
            record_table_scan(&set->table, set->object.world, cursor->place, gather, cursor);
        cursor->at_end = cursor->place == 0;
    }
    *member = cursor->found[cursor->next++];
    return true;
}

bool set_take(struct set_cursor *cursor, struct item *member) {
    const char *flat = cursor->set->object.flat.data;
    if (cursor->set->object.format == FLAT_NONE) return take_record(cursor, member);
    if (cursor->at_end) return false;
    if (cursor->set->object.format == FLAT_LISTPACK)
        return listpack_take(flat, &cursor->at, member);
    if (cursor->at == intset_count(flat)) return false;
    *member = item_integer(intset_get(flat, cursor->at++));
    return true;
}

void set_end(struct set_cursor *cursor) {
    memory_free(cursor->found);
}

/* ---- as an object ---- */

static struct set *set_of(struct object *object) {
    return (struct set *)object;
}

static const struct set *const_set_of(const struct object *object) {
    return (const struct set *)object;
}

static void class_release(struct object *object) {
    record_table_release(&set_of(object)->table);
}

static size_t class_bytes(const struct object *object) {
    return const_set_of(object)->table.bytes;
}

static void class_copy(struct object *to, const struct object *from) {
    record_table_copy(&set_of(to)->table, &const_set_of(from)->table, from->world);
}

static uint64_t class_count(const struct object *object) {
    return set_count(const_set_of(object));
}

static void digest_member(void *context, const struct item *member) {
    object_digest_member(context, member);
}

static void class_digest(const struct object *object, struct object_digest *digest) {
    uint64_t cursor = 0;
    do
        cursor = set_scan(const_set_of(object), cursor, digest_member, digest);
    while (cursor != 0);
}

/* One member is brought near: commands that name many wait for the others. */
static bool class_prefetch(const struct object *object, const struct bytes *arguments, size_t count,
                           unsigned step, uint64_t *hash) {
    const struct record_table *table = &const_set_of(object)->table;
    (void)count;
    if (step == 0) {
        struct item member = item_make(arguments[0]);
        *hash = record_table_hash(object->world, &member);
        record_table_prefetch_way(table, *hash);
    } else if (step == 1) {
        record_table_prefetch_chunk(table, *hash);
    } else {
        record_table_prefetch_lookup(table, object->world, arguments[0].data, *hash);
        return false;
    }
    return true;
}

static const char *class_encoding_name(const struct object *object) {
    return object->format == FLAT_INTSET     ? "intset"
           : object->format == FLAT_LISTPACK ? "listpack"
                                             : "hashtable";
}

const struct object_class set_class = {
    .size = sizeof(struct set),
    .release = class_release,
    .bytes = class_bytes,
    .copy = class_copy,
    .count = class_count,
    .digest = class_digest,
    .prefetch = class_prefetch,
    .encoding_name = class_encoding_name,
};
