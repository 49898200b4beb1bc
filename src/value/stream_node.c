/* stream_node.c: reads and writes the entries of one chunk. Knows neither the tree nor the groups.
 */
#include "value/stream_node.h"

#include "base/invariant.h"

/* Items of an entry beside its values: flags, ms, seq, and the number of fields if it has its own.
 */
enum { ITEMS_SAME = 3, ITEMS_OWN = 4 };

/* ---- reading ---- */

static uint64_t take_number(const char *lp, size_t *at) {
    struct item item;
    INVARIANT(listpack_take(lp, at, &item) && item_is_integer(&item));
    return (uint64_t)item.integer;
}

static size_t skip(const char *lp, size_t at, uint64_t items) {
    for (; items > 0; items--)
        at = listpack_next(lp, at);
    return at;
}

void stream_node_begin(struct stream_node_walk *walk, const struct tree_chunk *chunk) {
    const char *lp = stream_node_listpack(chunk);
    size_t at = listpack_first(lp);
    walk->lp = lp;
    walk->master = stream_chunk_id(chunk);
    walk->flags = 0;
    walk->fields = 0;
    walk->entry_at = walk->at = walk->name_at = 0;
    walk->in_entry = false;
    walk->live = take_number(lp, &at);
    walk->deleted_at = at;
    walk->deleted = take_number(lp, &at);
    walk->master_fields = take_number(lp, &at);
    walk->names_at = at;
    walk->entries_at = skip(lp, at, walk->master_fields + 1);
}

/* The entry that begins here becomes the present one. */
static void enter(struct stream_node_walk *walk, size_t at) {
    const char *lp = walk->lp;
    walk->entry_at = at;
    walk->in_entry = true;
    walk->flags = (uint32_t)take_number(lp, &at);
    walk->id.ms = walk->master.ms + take_number(lp, &at);
    walk->id.seq = walk->master.seq + take_number(lp, &at);
    if (walk->flags & STREAM_ENTRY_SAME_FIELDS) {
        walk->fields = walk->master_fields;
        walk->name_at = walk->names_at;
    } else {
        walk->fields = take_number(lp, &at);
        walk->name_at = 0;
    }
    walk->at = at;
}

bool stream_node_next(struct stream_node_walk *walk) {
    size_t at = walk->entries_at;
    if (walk->in_entry) {
        uint64_t left = walk->name_at ? walk->fields : walk->fields * 2;
        at = skip(walk->lp, walk->at, left + 1);
    }
    if (at == 0) {
        walk->in_entry = false;
        walk->entry_at = 0;
        return false;
    }
    enter(walk, at);
    return true;
}

bool stream_node_previous(struct stream_node_walk *walk) {
    if (walk->entries_at == 0 || walk->entry_at == walk->entries_at) return false;
    size_t at = listpack_previous(walk->lp, walk->entry_at), count_at = at;
    for (uint64_t items = take_number(walk->lp, &count_at); items > 0; items--)
        at = listpack_previous(walk->lp, at);
    enter(walk, at);
    return true;
}

bool stream_node_take(struct stream_node_walk *walk, struct item *name, struct item *value) {
    if (walk->fields == 0) return false;
    walk->fields--;
    size_t *name_at = walk->name_at ? &walk->name_at : &walk->at;
    return listpack_take_tight(walk->lp, name_at, name, walk->scratch[0]) &&
           listpack_take_tight(walk->lp, &walk->at, value, walk->scratch[1]);
}

/* ---- writing ---- */

static size_t number_size(uint64_t number) {
    struct item item = item_integer((int64_t)number);
    return listpack_item_size_tight(&item);
}

static void put(char *lp, const struct item *item) {
    listpack_insert_tight(lp, 0, item);
}

static void put_number(char *lp, uint64_t number) {
    struct item item = item_integer((int64_t)number);
    put(lp, &item);
}

static void set_size(struct tree_chunk *chunk) {
    chunk->size = (uint32_t)(STREAM_NODE_HEAD + listpack_size(stream_node_listpack(chunk)));
    INVARIANT(chunk->size <= chunk->capacity);
}

static uint32_t saved_of(const struct tree_chunk *chunk) {
    uint32_t saved;
    memcpy(&saved, chunk->data + sizeof(struct stream_id), sizeof saved);
    return saved;
}

static void set_saved(char *data, size_t saved) {
    uint32_t low = (uint32_t)saved;
    memcpy(data + sizeof(struct stream_id), &low, sizeof low);
}

/* Put an integer in the place of one; the node has room. */
static void replace_number(char *lp, size_t at, uint64_t number) {
    struct item item = item_integer((int64_t)number);
    listpack_replace_tight(lp, at, &item);
}

static size_t items_of(const struct stream_entry *entry, bool same) {
    return same ? ITEMS_SAME + entry->fields : ITEMS_OWN + entry->fields * 2;
}

static size_t entry_size(const struct stream_id *master, const struct stream_entry *entry,
                         bool same) {
    size_t size = number_size(same ? STREAM_ENTRY_SAME_FIELDS : 0) +
                  number_size(entry->id.ms - master->ms) +
                  number_size(entry->id.seq - master->seq) + number_size(items_of(entry, same));
    if (!same) size += number_size(entry->fields);
    for (size_t i = same; i < entry->fields * 2; i += 1 + same)
        size += listpack_item_size_tight(&entry->items[i]);
    return size;
}

static void put_entry(char *lp, const struct stream_id *master, const struct stream_entry *entry,
                      bool same) {
    put_number(lp, same ? STREAM_ENTRY_SAME_FIELDS : 0);
    put_number(lp, entry->id.ms - master->ms);
    put_number(lp, entry->id.seq - master->seq);
    if (!same) put_number(lp, entry->fields);
    for (size_t i = same; i < entry->fields * 2; i += 1 + same)
        put(lp, &entry->items[i]);
    put_number(lp, items_of(entry, same));
}

size_t stream_node_size_of_first(const struct stream_entry *entry) {
    size_t size = STREAM_NODE_HEAD + LISTPACK_EMPTY_SIZE + number_size(1) + number_size(0) +
                  number_size(entry->fields) + number_size(0);
    for (size_t i = 0; i < entry->fields; i++)
        size += listpack_item_size_tight(&entry->items[2 * i]);
    return size + entry_size(&entry->id, entry, true);
}

void stream_node_begin_with(struct tree_chunk *chunk, const struct stream_entry *entry) {
    char *lp = stream_node_listpack(chunk);
    memcpy(chunk->data, &entry->id, sizeof entry->id);
    listpack_init(lp);
    put_number(lp, 1);
    put_number(lp, 0);
    put_number(lp, entry->fields);
    for (size_t i = 0; i < entry->fields; i++)
        put(lp, &entry->items[2 * i]);
    put_number(lp, 0);
    put_entry(lp, &entry->id, entry, true);
    set_saved(chunk->data, listpack_saved_from(lp, LISTPACK_HEADER_SIZE));
    chunk->count = 1;
    set_size(chunk);
}

static bool has_fields_of_master(const struct stream_node_walk *walk,
                                 const struct stream_entry *entry) {
    if (walk->master_fields != entry->fields) return false;
    size_t at = walk->names_at;
    for (size_t i = 0; i < entry->fields; i++) {
        struct item name;
        char scratch[ITEM_TEXT_MAX];
        if (!listpack_take_tight(walk->lp, &at, &name, scratch)) return false;
        if (!item_equal(&name, &entry->items[2 * i])) return false;
    }
    return true;
}

size_t stream_node_size_of_next(const struct stream_node_walk *walk,
                                const struct stream_entry *entry, bool *same) {
    *same = has_fields_of_master(walk, entry);
    return entry_size(&walk->master, entry, *same) + number_size(walk->live + 1) -
           number_size(walk->live);
}

void stream_node_append(struct tree_chunk *chunk, const struct stream_node_walk *walk,
                        const struct stream_entry *entry, bool same) {
    char *lp = stream_node_listpack(chunk);
    replace_number(lp, listpack_first(lp), walk->live + 1);
    size_t at = listpack_size(lp) - 1;
    put_entry(lp, &walk->master, entry, same);
    set_saved(chunk->data, saved_of(chunk) + listpack_saved_from(lp, at));
    chunk->count++;
    set_size(chunk);
}

void stream_node_mark_deleted(struct tree_chunk *chunk, size_t entry_at) {
    char *lp = stream_node_listpack(chunk);
    struct item flags = listpack_get(lp, entry_at);
    replace_number(lp, entry_at, (uint64_t)flags.integer | STREAM_ENTRY_DELETED);
}

/* Take the deleted entries out. Changes no offset before the first entry. */
static void pack(struct tree_chunk *chunk, size_t entries_at) {
    char *lp = stream_node_listpack(chunk);
    for (size_t at = entries_at; at != 0;) {
        size_t start = at;
        uint64_t flags = take_number(lp, &at);
        at = skip(lp, at, 2);
        uint64_t items = ITEMS_SAME;
        if (flags & STREAM_ENTRY_SAME_FIELDS) {
            size_t fields_at = skip(lp, listpack_first(lp), 2);
            items += take_number(lp, &fields_at);
        } else {
            items = ITEMS_OWN + 2 * take_number(lp, &at);
        }
        if (flags & STREAM_ENTRY_DELETED)
            at = listpack_remove(lp, start, (size_t)items + 1);
        else
            at = skip(lp, start, items + 1);
    }
    set_saved(chunk->data, listpack_saved_from(lp, LISTPACK_HEADER_SIZE));
}

void stream_node_count_deleted(struct tree_chunk *chunk, uint64_t more, bool pack_it) {
    enum { PACKED_FROM = 16 }; /* deleted entries */
    struct stream_node_walk walk;
    char *lp = stream_node_listpack(chunk);
    stream_node_begin(&walk, chunk);
    uint64_t live = walk.live - more, deleted = walk.deleted + more;
    if (pack_it && deleted > live && deleted >= PACKED_FROM) {
        pack(chunk, walk.entries_at);
        deleted = 0;
    }
    replace_number(lp, walk.deleted_at, deleted);
    replace_number(lp, listpack_first(lp), live);
    chunk->count = (uint32_t)live;
    set_size(chunk);
}

/* ---- as in files ---- */

size_t stream_node_file_size(const struct tree_chunk *chunk) {
    return listpack_size(stream_node_listpack(chunk)) + saved_of(chunk);
}

void stream_node_put_file(struct buffer *b, const struct tree_chunk *chunk) {
    listpack_put_loosened(b, stream_node_listpack(chunk));
}

void stream_node_take_file(struct buffer *b, const struct stream_id *master, const char *listpack) {
    struct buffer tight = {0};
    listpack_put_tightened(&tight, listpack);
    buffer_clear(b);
    memcpy(buffer_reserve(b, STREAM_NODE_HEAD), master, sizeof *master);
    set_saved(b->data, listpack_saved_from(tight.data, LISTPACK_HEADER_SIZE));
    b->size = STREAM_NODE_HEAD;
    buffer_append(b, tight.data, tight.size);
    buffer_release(&tight);
}

/* ---- bytes from outside ---- */

struct reading {
    const char *lp;
    size_t at;
};

static bool read_number(struct reading *reading, uint64_t *number) {
    struct item item;
    if (!listpack_take(reading->lp, &reading->at, &item) || !item_is_integer(&item)) return false;
    *number = (uint64_t)item.integer;
    return true;
}

static bool read_over(struct reading *reading, uint64_t items) {
    struct item item;
    for (; items > 0; items--)
        if (!listpack_take(reading->lp, &reading->at, &item)) return false;
    return true;
}

/* An entry has one at least. */
static bool are_fields(uint64_t count) {
    return count > 0 && count <= UINT32_MAX;
}

/* The entry that begins here; false when it is not well-formed. */
static bool read_entry(struct reading *reading, const struct stream_id *master, uint64_t fields,
                       struct stream_id *id, uint64_t *flags) {
    uint64_t items, said, ms, seq;
    if (!read_number(reading, flags) || !read_number(reading, &ms) || !read_number(reading, &seq))
        return false;
    if (*flags & ~(uint64_t)(STREAM_ENTRY_DELETED | STREAM_ENTRY_SAME_FIELDS)) return false;
    *id = (struct stream_id){master->ms + ms, master->seq + seq};
    items = ITEMS_SAME + fields;
    if (*flags & STREAM_ENTRY_SAME_FIELDS) {
        if (!read_over(reading, fields)) return false;
    } else {
        if (!read_number(reading, &fields) || !are_fields(fields)) return false;
        if (!read_over(reading, fields * 2)) return false;
        items = ITEMS_OWN + fields * 2;
    }
    return read_number(reading, &said) && said == items;
}

bool stream_node_validate(const struct stream_id *master, struct bytes listpack,
                          struct stream_id *last, bool *has_last, uint64_t *live) {
    struct reading reading = {listpack.data, 0};
    uint64_t deleted, fields, zero, seen[2] = {0, 0};
    if (!listpack_validate(listpack, NULL)) return false;
    reading.at = listpack_first(listpack.data);
    if (!read_number(&reading, live) || !read_number(&reading, &deleted)) return false;
    if (!read_number(&reading, &fields) || !are_fields(fields)) return false;
    if (!read_over(&reading, fields) || !read_number(&reading, &zero) || zero != 0) return false;
    while (reading.at != 0) {
        struct stream_id id;
        uint64_t flags;
        if (!read_entry(&reading, master, fields, &id, &flags)) return false;
        if (stream_id_compare(&id, master) < 0) return false;
        if (*has_last && stream_id_compare(&id, last) <= 0) return false;
        seen[flags & STREAM_ENTRY_DELETED]++;
        if (flags & STREAM_ENTRY_DELETED) continue;
        *last = id;
        *has_last = true;
    }
    return seen[0] == *live && seen[1] == deleted;
}
