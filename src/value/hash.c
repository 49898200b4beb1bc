/* hash.c: hashes, flat or as a table. Must never change anything while reading. */
#include "value/hash.h"

#include "base/invariant.h"
#include "struct/listpack.h"
#include "value/object_digest.h"

/* ---- flat ---- */

/* Items of a field. */
static unsigned flat_width(const struct hash *hash) {
    return hash->object.format == FLAT_LISTPACK_EXPIRING ? 3 : 2;
}

/* Read the field at *at and step behind it. False at the end. */
static bool flat_take(const struct hash *hash, size_t *at, struct record *out) {
    const char *lp = hash->object.flat.data;
    if (!listpack_take(lp, at, &out->key)) return false;
    listpack_take(lp, at, &out->value);
    out->expiry = RECORD_NO_EXPIRY;
    if (hash->object.format == FLAT_LISTPACK_EXPIRING) {
        struct item when;
        listpack_take(lp, at, &when);
        if (when.integer != 0) out->expiry = when.integer;
    }
    return true;
}

static size_t flat_first(const struct hash *hash) {
    return hash->object.flat.size == 0 ? 0 : listpack_first(hash->object.flat.data);
}

/* The offset of the field; 0 when it is not there. */
static size_t flat_find(const struct hash *hash, const struct item *field) {
    size_t first = flat_first(hash);
    if (first == 0) return 0;
    return listpack_find(hash->object.flat.data, first, field, flat_width(hash) - 1);
}

/* Where a field with this time belongs: behind those that end before or with it. */
static size_t flat_place(const struct hash *hash, int64_t expiry) {
    struct record record;
    if (expiry == RECORD_NO_EXPIRY) return 0;
    size_t at = flat_first(hash), next = at;
    while (flat_take(hash, &next, &record) && record.expiry <= expiry)
        at = next;
    return at;
}

static void flat_insert(struct hash *hash, const struct record *record) {
    struct buffer *flat = &hash->object.flat;
    if (hash->object.format == FLAT_LISTPACK) {
        listpack_put(flat, 0, &record->key);
        listpack_put(flat, 0, &record->value);
        return;
    }
    struct item when = item_integer(record->expiry == RECORD_NO_EXPIRY ? 0 : record->expiry);
    const struct item *items[] = {&when, &record->value, &record->key};
    size_t at = flat_place(hash, record->expiry);
    /* The last one first, as each stands before the one that follows. */
    for (size_t i = 0; i < sizeof items / sizeof items[0]; i++)
        at = listpack_put(flat, at, items[i]);
}

/* Give every field a time: none. */
static void flat_make_expiring(struct hash *hash) {
    struct buffer old = hash->object.flat;
    struct hash pairs = {.object = {.format = FLAT_LISTPACK, .flat = old}};
    hash->object.flat = (struct buffer){0};
    hash->object.format = FLAT_LISTPACK_EXPIRING;
    listpack_begin(&hash->object.flat);
    struct record record;
    size_t at = flat_first(&pairs);
    while (flat_take(&pairs, &at, &record))
        flat_insert(hash, &record);
    buffer_release(&old);
}

static bool flat_put(struct hash *hash, const struct record *record, size_t at) {
    struct buffer *flat = &hash->object.flat;
    if (at != 0) {
        size_t value_at = listpack_next(flat->data, at), next = at;
        struct record old;
        flat_take(hash, &next, &old);
        if (old.expiry == record->expiry) {
            listpack_put_replace(flat, value_at, &record->value);
            return false;
        }
        listpack_put_remove(flat, at, flat_width(hash));
    }
    flat_insert(hash, record);
    return at == 0;
}

/* ---- from flat to table ---- */

static bool fits_flat(const struct hash *hash, const struct hash_limits *limits,
                      const struct record *record, bool is_new) {
    size_t key_size = item_text_size(&record->key), value_size = item_text_size(&record->value);
    if (key_size > limits->value || value_size > limits->value) return false;
    if (is_new && hash_count(hash) >= limits->entries) return false;
    return hash->object.flat.size + key_size + value_size < LISTPACK_SIZE_MAX - 100;
}

static void make_table(struct hash *hash) {
    struct hash flat = {.object = hash->object};
    hash->object.format = FLAT_NONE;
    hash->object.flat = (struct buffer){0};
    record_table_init(&hash->table);
    struct record record;
    size_t at = flat_first(&flat);
    while (flat_take(&flat, &at, &record))
        record_table_put(&hash->table, hash->object.world, &record);
    buffer_release(&flat.object.flat);
}

/* ---- operations ---- */

uint64_t hash_count(const struct hash *hash) {
    if (!object_is_flat(&hash->object)) return hash->table.count;
    if (hash->object.flat.size == 0) return 0;
    return listpack_count(hash->object.flat.data) / flat_width(hash);
}

bool hash_find(const struct hash *hash, const struct item *field, struct record *out) {
    if (!object_is_flat(&hash->object))
        return record_table_find(&hash->table, hash->object.world, field, out);
    size_t at = flat_find(hash, field);
    return at != 0 && flat_take(hash, &at, out);
}

bool hash_put(struct hash *hash, const struct hash_limits *limits, const struct record *record) {
    if (object_is_flat(&hash->object)) {
        if (hash->object.flat.size == 0) listpack_begin(&hash->object.flat);
        size_t at = flat_find(hash, &record->key);
        if (fits_flat(hash, limits, record, at == 0)) {
            if (record->expiry != RECORD_NO_EXPIRY && hash->object.format == FLAT_LISTPACK) {
                flat_make_expiring(hash);
                at = flat_find(hash, &record->key);
            }
            return flat_put(hash, record, at);
        }
        make_table(hash);
    }
    return record_table_put(&hash->table, hash->object.world, record);
}

void hash_set_expiry(struct hash *hash, const struct hash_limits *limits, const struct item *field,
                     int64_t expiry) {
    struct record record;
    bool found = hash_find(hash, field, &record);
    INVARIANT(found);
    record.key = *field;
    record.expiry = expiry;
    if (!object_is_flat(&hash->object)) {
        record_table_put(&hash->table, hash->object.world, &record);
        return;
    }
    struct buffer value = {0};
    if (record.value.text) {
        buffer_append(&value, record.value.text, record.value.size);
        if (value.size > 0) record.value.text = value.data;
    }
    hash_put(hash, limits, &record);
    buffer_release(&value);
}

bool hash_remove(struct hash *hash, const struct item *field) {
    if (!object_is_flat(&hash->object))
        return record_table_remove(&hash->table, hash->object.world, field);
    size_t at = flat_find(hash, field);
    if (at == 0) return false;
    listpack_put_remove(&hash->object.flat, at, flat_width(hash));
    return true;
}

int64_t hash_next_expiry(const struct hash *hash) {
    if (!object_is_flat(&hash->object)) return hash->table.expiry_bound;
    struct record record;
    size_t at = flat_first(hash);
    if (hash->object.format == FLAT_LISTPACK || !flat_take(hash, &at, &record))
        return RECORD_NO_EXPIRY;
    return record.expiry;
}

uint64_t hash_scan(const struct hash *hash, uint64_t cursor, record_visit *visit, void *context) {
    if (!object_is_flat(&hash->object))
        return record_table_scan(&hash->table, hash->object.world, cursor, visit, context);
    struct record record;
    size_t at = flat_first(hash);
    while (flat_take(hash, &at, &record))
        visit(context, &record);
    return 0;
}

uint64_t hash_count_alive_at(const struct hash *hash, int64_t now_ms) {
    if (!object_is_flat(&hash->object))
        return hash->table.count - record_table_count_due(&hash->table, now_ms);
    if (hash_next_expiry(hash) > now_ms) return hash_count(hash);
    struct record record;
    uint64_t count = 0;
    size_t at = flat_first(hash);
    while (flat_take(hash, &at, &record))
        count += record.expiry > now_ms;
    return count;
}

bool hash_due(struct hash *hash, int64_t now_ms, size_t max, record_visit *visit, void *context) {
    if (!object_is_flat(&hash->object))
        return record_table_due(&hash->table, hash->object.world, now_ms, max, visit, context);
    if (hash->object.format != FLAT_LISTPACK_EXPIRING) return false;
    struct record record;
    size_t at = flat_first(hash), count = 0;
    while (count < max && flat_take(hash, &at, &record) && record.expiry <= now_ms) {
        visit(context, &record);
        count++;
    }
    return count > 0;
}

/* ---- random ---- */

/* Those whose time has come stand in front. */
static bool flat_random(const struct hash *hash, int64_t now_ms, uint64_t (*random)(void *),
                        void *context, struct record *out) {
    uint64_t count = hash_count(hash), over = 0;
    size_t at = flat_first(hash);
    while (hash->object.format == FLAT_LISTPACK_EXPIRING && flat_take(hash, &at, out) &&
           out->expiry <= now_ms)
        over++;
    if (over == count) return false;
    uint64_t index = over + random(context) % (count - over);
    at = listpack_seek(hash->object.flat.data, (int64_t)(index * flat_width(hash)));
    return flat_take(hash, &at, out);
}

struct survivor {
    int64_t now_ms;
    struct record record;
    bool found;
};

static void note_survivor(void *context, const struct record *record) {
    struct survivor *survivor = context;
    if (survivor->found || record->expiry <= survivor->now_ms) return;
    survivor->record = *record;
    survivor->found = true;
}

/* Nearly all are over: the first of the others behind a random place. */
static bool find_survivor(const struct hash *hash, int64_t now_ms, uint64_t start,
                          struct record *out) {
    enum { CURSOR_BITS = 48 };
    struct survivor survivor = {.now_ms = now_ms};
    start &= (UINT64_C(1) << CURSOR_BITS) - 1;
    uint64_t cursor = start;
    do
        cursor = hash_scan(hash, cursor, note_survivor, &survivor);
    while (cursor != 0 && !survivor.found);
    while (cursor < start && !survivor.found) {
        cursor = hash_scan(hash, cursor, note_survivor, &survivor);
        if (cursor == 0) break;
    }
    *out = survivor.record;
    return survivor.found;
}

bool hash_random(const struct hash *hash, int64_t now_ms, uint64_t (*random)(void *), void *context,
                 struct record *out) {
    enum { TRIES = 100 };
    if (hash_count(hash) == 0) return false;
    if (object_is_flat(&hash->object)) return flat_random(hash, now_ms, random, context, out);
    for (unsigned i = 0; i < TRIES; i++)
        if (record_table_random(&hash->table, random, context, out) && out->expiry > now_ms)
            return true;
    return find_survivor(hash, now_ms, random(context), out);
}

/* ---- class ---- */

static const struct hash *as_hash(const struct object *object) {
    return (const struct hash *)(const void *)object;
}

static void class_release(struct object *object) {
    record_table_release(&((struct hash *)(void *)object)->table);
}

static size_t class_bytes(const struct object *object) {
    return as_hash(object)->table.bytes;
}

static void class_copy(struct object *to, const struct object *from) {
    record_table_copy(&((struct hash *)(void *)to)->table, &as_hash(from)->table, to->world);
}

static uint64_t class_count(const struct object *object) {
    return hash_count(as_hash(object));
}

static void digest_record(void *context, const struct record *record) {
    struct object_digest *digest = context;
    object_digest_element_begin(digest);
    object_digest_item(digest, &record->key);
    object_digest_item(digest, &record->value);
    if (record->expiry != RECORD_NO_EXPIRY) object_digest_number(digest, (uint64_t)record->expiry);
    object_digest_element_end(digest);
}

static void class_digest(const struct object *object, struct object_digest *digest) {
    uint64_t cursor = 0;
    do
        cursor = hash_scan(as_hash(object), cursor, digest_record, digest);
    while (cursor != 0);
}

static int64_t class_next_expiry(const struct object *object) {
    return hash_next_expiry(as_hash(object));
}

static bool class_prefetch(const struct object *object, const struct bytes *arguments, size_t count,
                           unsigned step, uint64_t *hash) {
    const struct hash *hashes = as_hash(object);
    (void)count;
    if (step == 0) {
        struct item field = item_make(arguments[0]);
        *hash = record_table_hash(object->world, &field);
        record_table_prefetch_way(&hashes->table, *hash);
    } else if (step == 1) {
        record_table_prefetch_chunk(&hashes->table, *hash);
    } else {
        record_table_prefetch_lookup(&hashes->table, object->world, arguments[0].data, *hash);
        return false;
    }
    return true;
}

static const char *class_encoding_name(const struct object *object) {
    switch (object->format) {
    case FLAT_LISTPACK: return "listpack";
    case FLAT_LISTPACK_EXPIRING: return "listpackex";
    default: return "hashtable";
    }
}

const struct object_class hash_class = {
    .size = sizeof(struct hash),
    .release = class_release,
    .bytes = class_bytes,
    .copy = class_copy,
    .count = class_count,
    .digest = class_digest,
    .next_expiry = class_next_expiry,
    .prefetch = class_prefetch,
    .encoding_name = class_encoding_name,
};
