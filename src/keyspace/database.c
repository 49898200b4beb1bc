/* database.c: finding, changing and removing entries.
 *
 * All changes go through shape(): it decides whether the entry's block can be used again (it is
 * private and of the right class), or makes a new one, puts it into the table, and retires the old.
 */
#include "keyspace/database.h"

#include "base/invariant.h"
#include "base/number.h"
#include "keyspace/edit.h"
#include "keyspace/keyspace.h"
#include "keyspace/store.h"

struct key key_make(const struct keyspace *keyspace, struct bytes name) {
    return (struct key){name, hash_bytes(&keyspace->secret, name)};
}

/* ---- finding ---- */

struct match {
    const struct store *store;
    struct bytes name;
};

static inline bool matches(const void *context, table_element element) {
    const struct match *match = context;
    return bytes_equal(entry_key(store_entry(match->store, element)), match->name);
}

const struct entry *database_find(const struct database *db, const struct key *key) {
    struct match match = {db->store, key->name};
    table_element element = table_find(&db->store->table, key->hash, matches, &match, NULL);
    return element == 0 ? NULL : store_entry(db->store, element);
}

struct entry *database_find_private(struct database *db, const struct key *key, bool *absent) {
    const struct store *store = db->store;
    struct match match = {store, key->name};
    struct table_place place;
    table_element element = table_find(&store->table, key->hash, matches, &match, &place);
    *absent = element == 0;
    if (element == 0 || !table_may_change(&store->table, &place)) return NULL;
    return store_entry(store, element);
}

/* While a view is open, segments are copied when they are written, and the old ones go with it:
 * then nothing is kept. */
static inline bool is_last(const struct store *store, const struct key *key) {
    const struct last_spot *last = &store->last;
    const struct epochs *epochs = &store->keyspace->epochs;
    return last->spot.entry && last->spot.place.hash == key->hash &&
           last->version == store->version && last->epoch == epochs->now && epochs->frozen == 0 &&
           bytes_equal(entry_key(last->spot.entry), key->name);
}

struct spot database_locate(struct database *db, const struct key *key) {
    struct store *store = db->store;
    if (is_last(store, key)) return store->last.spot;
    struct match match = {store, key->name};
    struct spot spot = {0};
    table_element element = table_find(&store->table, key->hash, matches, &match, &spot.place);
    if (element == 0) return spot;
    spot.entry = store_entry(store, element);
    if (entry_encoding(spot.entry) == ENTRY_OBJECT && store->keyspace->epochs.frozen == 0)
        store->last = (struct last_spot){spot, store->version, store->keyspace->epochs.now};
    return spot;
}

/* ---- blocks ---- */

static void release_block(void *owner, uint64_t element) {
    struct store *store = owner;
    entry_release_outside(store, store_entry(store, element));
    slab_free(&store->slab, element);
}

/* The same when its value has gone on to another entry. */
static void release_block_alone(void *owner, uint64_t element) {
    struct store *store = owner;
    entry_release_key(store_entry(store, element));
    slab_free(&store->slab, element);
}

/* The entry is out of the table: free its block and what it holds, or leave both to the views. An
 * object may be older than its entry: with a view open, somebody may read in it all the same. */
static void discard(struct store *store, table_element element, bool shared) {
    struct epochs *epochs = &store->keyspace->epochs;
    const struct entry *entry = store_entry(store, element);
    if (unlikely(shared) || (entry_encoding(entry) == ENTRY_OBJECT && epochs->frozen != 0)) {
        epochs_retire(epochs, release_block, store, element,
                      slab_block_size(&store->slab, element) + entry_outside(entry));
    } else {
        release_block(store, element);
    }
}

static void discard_alone(struct store *store, table_element element, bool shared) {
    if (unlikely(shared))
        epochs_retire(&store->keyspace->epochs, release_block_alone, store, element,
                      slab_block_size(&store->slab, element));
    else
        release_block_alone(store, element);
}

static void count_in(struct store *store, const struct entry *entry) {
    store->outside_bytes += entry_outside(entry);
    if (entry->flags & ENTRY_EXPIRES) {
        store->expiring++;
        store->expiry_sum_ms += entry_expiry(entry);
    }
}

static void count_out(struct store *store, const struct entry *entry) {
    store->outside_bytes -= entry_outside(entry);
    if (entry->flags & ENTRY_EXPIRES) {
        store->expiring--;
        store->expiry_sum_ms -= entry_expiry(entry);
    }
}

static size_t key_part_size(const struct key *key) {
    return key->name.size > ENTRY_KEY_MAX ? sizeof(struct blob *) : key->name.size;
}

static size_t shape_size(const struct key *key, size_t value_size, int64_t expiry) {
    return sizeof(struct entry) + (expiry != ENTRY_NO_EXPIRY ? 8 : 0) + key_part_size(key) +
           value_size;
}

bool database_fits_block(const struct key *key, size_t value_size, int64_t expiry) {
    return value_size <= ENTRY_SIZE_MAX && shape_size(key, value_size, expiry) <= ENTRY_SIZE_MAX;
}

static void write_head(struct entry *entry, const struct shape *shape) {
    bool expires = shape->expiry != ENTRY_NO_EXPIRY;
    entry->kind = (uint8_t)((unsigned)shape->type | (unsigned)shape->encoding << 4);
    entry->flags =
        (uint8_t)((entry->flags & ENTRY_KEY_BLOB) | shape->flags | (expires ? ENTRY_EXPIRES : 0));
    entry->value_size = (uint16_t)shape->value_size;
    if (expires) memcpy(entry->rest, &shape->expiry, sizeof shape->expiry);
}

static void write_key(struct entry *entry, const struct key *key, bool expires,
                      const struct entry *old, uint32_t clock) {
    char *at = entry->rest + (expires ? 8 : 0);
    if (unlikely(key->name.size > ENTRY_KEY_MAX)) {
        struct blob *blob;
        if (old) memcpy(&blob, old->rest + entry_expiry_size(old), sizeof blob);
        blob = old ? blob_hold(blob) : blob_copy(key->name, key->name.size);
        entry->flags = ENTRY_KEY_BLOB;
        entry->access = (uint32_t)sizeof blob << 24 | clock;
        memcpy(at, &blob, sizeof blob);
    } else {
        entry->flags = 0;
        entry->access = (uint32_t)key->name.size << 24 | clock;
        memcpy(at, key->name.data, key->name.size);
    }
}

/* The old value's hold is given up when its block is used again. */
static void release_value(struct store *store, struct entry *entry) {
    if (entry_encoding(entry) == ENTRY_OBJECT) store_retire_object(store, entry_object(entry));
    if (entry_encoding(entry) != ENTRY_BLOB) return;
    uint8_t flags = entry->flags;
    entry->flags &= (uint8_t)~ENTRY_KEY_BLOB;
    entry_release_outside(store, entry);
    entry->flags = flags;
}

/* Make the key's entry be of this shape, its value's part undefined and to be written by the
 * caller, who then calls count_in. What the entry held is released, after which no byte of the old
 * value may be read; when `keep` is not NULL, the old entry stays whole there and the caller
 * discards it. */
struct kept {
    table_element element;
    bool shared;
};

static struct entry *shape_entry(struct database *db, const struct key *key, struct spot *spot,
                                 const struct shape *shape, struct kept *keep) {
    struct store *store = db->store;
    const struct use_policy *use = &store->keyspace->use;
    bool keeps_count = use->kind == USE_BY_COUNT && spot->entry;
    uint32_t clock = keeps_count ? entry_clock(spot->entry) : use_first(use);
    bool expires = shape->expiry != ENTRY_NO_EXPIRY;
    size_t size = shape_size(key, shape->value_size, shape->expiry);
    struct entry *old = spot->entry;
    if (keep) keep->element = 0;
    if (old) {
        table_element element = table_place_element(&spot->place);
        bool may_change = table_may_change(&store->table, &spot->place);
        count_out(store, old);
        if (!keep && may_change && (old->flags & ENTRY_EXPIRES) == (expires ? ENTRY_EXPIRES : 0) &&
            slab_class_size(size) == slab_class_size(entry_size(old))) {
            release_value(store, old);
            write_head(old, shape);
            entry_set_clock(old, clock);
            return old;
        }
        table_element fresh = slab_alloc(&store->slab, size);
        spot->entry = store_entry(store, fresh);
        write_key(spot->entry, key, expires, old, clock);
        write_head(spot->entry, shape);
        store->version++;
        table_replace(&store->table, &spot->place, fresh);
        if (keep)
            *keep = (struct kept){element, !may_change};
        else
            discard(store, element, !may_change);
        return spot->entry;
    }
    store_note_use(store);
    table_element fresh = slab_alloc(&store->slab, size);
    spot->entry = store_entry(store, fresh);
    write_key(spot->entry, key, expires, NULL, clock);
    write_head(spot->entry, shape);
    store->version++;
    table_insert(&store->table, key->hash, fresh, &spot->place);
    if (unlikely(store->keyspace->created != NULL))
        store->keyspace->created(store->keyspace->events_context, store, key->name);
    return spot->entry;
}

int64_t database_next_expiry(const struct entry *entry) {
    int64_t expiry = entry_expiry(entry);
    if (entry_type(entry) != VALUE_HASH) return expiry;
    if (entry_encoding(entry) == ENTRY_EMBEDDED && entry_format(entry) == FLAT_LISTPACK)
        return expiry;
    union object_room room;
    int64_t part = object_next_expiry(entry_read_object(entry, NULL, &room));
    return part < expiry ? part : expiry;
}

static void finish_entry(struct database *db, struct spot *spot) {
    struct store *store = db->store;
    count_in(store, spot->entry);
    int64_t expiry = database_next_expiry(spot->entry);
    if (expiry != ENTRY_NO_EXPIRY) table_note_bound(&store->table, &spot->place, expiry);
}

static char *value_part(struct entry *entry) {
    return entry->rest + entry_expiry_size(entry) + entry_key_part(entry);
}

/* ---- strings ---- */

static inline unsigned integer_size(int64_t value) {
    return value == (int8_t)value    ? 1
           : value == (int16_t)value ? 2
           : value == (int32_t)value ? 4
                                     : 8;
}

/* Each size by itself: a copy of so few bytes whose number is not known costs more than all else.
 */
static inline void write_integer(char *at, int64_t value, unsigned size) {
    switch (size) {
    case 1: memcpy(at, &value, 1); return;
    case 2: memcpy(at, &value, 2); return;
    case 4: memcpy(at, &value, 4); return;
    default: memcpy(at, &value, 8); return;
    }
}

void database_put_integer(struct database *db, const struct key *key, struct spot *spot,
                          int64_t value, int64_t expiry) {
    unsigned size = integer_size(value);
    struct shape shape = {VALUE_STRING, ENTRY_INTEGER, size, expiry, 0};
    struct entry *entry = shape_entry(db, key, spot, &shape, NULL);
    write_integer(value_part(entry), value, size);
    finish_entry(db, spot);
}

bool database_change_integer(struct entry *entry, int64_t value) {
    unsigned size = integer_size(value);
    if (size != entry->value_size) return false;
    write_integer(value_part(entry), value, size);
    return true;
}

static void put_pointer(struct database *db, const struct key *key, struct spot *spot,
                        struct blob *blob, int64_t expiry, uint8_t flags) {
    struct shape shape = {VALUE_STRING, ENTRY_BLOB, sizeof blob, expiry, flags};
    struct entry *entry = shape_entry(db, key, spot, &shape, NULL);
    memcpy(value_part(entry), &blob, sizeof blob);
    finish_entry(db, spot);
}

/* `value` may be part of the entry that is replaced only when it is held elsewhere too. */
static void put_bytes(struct database *db, const struct key *key, struct spot *spot,
                      struct bytes value, int64_t expiry, uint8_t flags) {
    if (!database_fits_block(key, value.size, expiry)) {
        put_pointer(db, key, spot, blob_copy(value, value.size), expiry, flags);
        return;
    }
    struct shape shape = {VALUE_STRING, ENTRY_EMBEDDED, value.size, expiry, flags};
    struct entry *entry = shape_entry(db, key, spot, &shape, NULL);
    memcpy(value_part(entry), value.data, value.size);
    finish_entry(db, spot);
}

void database_note_replaced(struct database *db, const struct key *key, const struct spot *spot,
                            enum value_type type) {
    const struct keyspace *keyspace = db->store->keyspace;
    if (likely(!keyspace->replaced) || !spot->entry) return;
    keyspace->replaced(keyspace->events_context, db->store, key->name, entry_type(spot->entry),
                       type);
}

void database_put_string(struct database *db, const struct key *key, struct spot *spot,
                         struct bytes value, int64_t expiry) {
    int64_t number;
    database_note_replaced(db, key, spot, VALUE_STRING);
    if (value.size <= ENTRY_INTEGER_TEXT_MAX && number_parse_i64(value, &number))
        database_put_integer(db, key, spot, number, expiry);
    else
        put_bytes(db, key, spot, value, expiry, 0);
}

void database_put_bytes(struct database *db, const struct key *key, struct spot *spot,
                        struct bytes value, int64_t expiry) {
    put_bytes(db, key, spot, value, expiry, 0);
}

void database_put_result(struct database *db, const struct key *key, struct spot *spot,
                         struct bytes value) {
    database_note_replaced(db, key, spot, VALUE_STRING);
    put_bytes(db, key, spot, value, ENTRY_NO_EXPIRY, ENTRY_MODIFIED);
}

void database_put_blob(struct database *db, const struct key *key, struct spot *spot,
                       struct blob *blob, int64_t expiry) {
    if (database_fits_block(key, blob->size, expiry)) {
        database_put_string(db, key, spot, blob_bytes(blob), expiry);
        blob_let_go(blob);
    } else {
        database_note_replaced(db, key, spot, VALUE_STRING);
        put_pointer(db, key, spot, blob, expiry, 0);
    }
}

/* A blob's capacity for a string that is likely to grow on. */
static size_t growing_capacity(size_t size) {
    enum { STEP_MAX = 1024 * 1024 };
    return size < STEP_MAX ? size * 2 : size + STEP_MAX;
}

/* The string is in a blob that nobody else holds: change it where it is. */
static char *resize_blob(struct database *db, struct spot *spot, size_t size) {
    struct store *store = db->store;
    struct entry *entry = spot->entry;
    struct blob *blob = entry_blob(entry);
    count_out(store, entry);
    if (size > blob->capacity) {
        blob = blob_resize(blob, growing_capacity(size));
        memcpy(value_part(entry), &blob, sizeof blob);
    }
    if (size > blob->size) memset(blob->data + blob->size, 0, size - blob->size);
    blob->size = size;
    entry->flags |= ENTRY_MODIFIED;
    use_change(&store->keyspace->use, entry);
    count_in(store, entry);
    return blob->data;
}

/* The same for a string in the block, when block and class allow. */
static char *resize_embedded(struct database *db, struct spot *spot, size_t size) {
    struct store *store = db->store;
    struct entry *entry = spot->entry;
    table_element element = table_place_element(&spot->place);
    size_t needed = entry_size(entry) - entry->value_size + size;
    if (needed > slab_block_size(&store->slab, element)) return NULL;
    char *value = value_part(entry);
    if (size > entry->value_size) memset(value + entry->value_size, 0, size - entry->value_size);
    entry->value_size = (uint16_t)size;
    entry->flags |= ENTRY_MODIFIED;
    use_change(&store->keyspace->use, entry);
    return value;
}

char *database_resize_string(struct database *db, const struct key *key, struct spot *spot,
                             size_t size) {
    struct store *store = db->store;
    struct entry *old = spot->entry;
    if (old && table_may_change(&store->table, &spot->place)) {
        char *value = NULL;
        if (entry_encoding(old) == ENTRY_BLOB && blob_is_single(entry_blob(old)))
            value = resize_blob(db, spot, size);
        else if (entry_encoding(old) == ENTRY_EMBEDDED)
            value = resize_embedded(db, spot, size);
        if (value) return value;
    }
    char scratch[NUMBER_I64_TEXT_MAX];
    struct bytes before = old ? entry_string(old, scratch) : BYTES("");
    size_t kept_size = before.size < size ? before.size : size;
    int64_t expiry = old ? entry_expiry(old) : ENTRY_NO_EXPIRY;
    bool in_block = database_fits_block(key, size, expiry);
    struct shape shape = {VALUE_STRING, in_block ? ENTRY_EMBEDDED : ENTRY_BLOB,
                          in_block ? size : sizeof(struct blob *), expiry, ENTRY_MODIFIED};
    struct kept kept;
    struct entry *entry = shape_entry(db, key, spot, &shape, &kept);
    char *value = value_part(entry);
    if (!in_block) {
        struct blob *blob = blob_make(old ? growing_capacity(size) : size);
        blob->size = size;
        memcpy(value, &blob, sizeof blob);
        value = blob->data;
    }
    memcpy(value, before.data, kept_size);
    memset(value + kept_size, 0, size - kept_size);
    if (kept.element) discard(store, kept.element, kept.shared);
    finish_entry(db, spot);
    return value;
}

/* ---- whole entries ---- */

void database_put_shape(struct database *db, const struct key *key, struct spot *spot,
                        const struct shape *shape, const void *value) {
    struct entry *entry = shape_entry(db, key, spot, shape, NULL);
    memcpy(value_part(entry), value, shape->value_size);
    finish_entry(db, spot);
}

void database_exchange_object(struct database *db, struct spot *spot, struct object *object) {
    struct store *store = db->store;
    struct entry *old = spot->entry;
    if (!table_may_change(&store->table, &spot->place)) {
        struct key key = {entry_key(old), spot->place.hash};
        struct shape shape = {entry_type(old), ENTRY_OBJECT, sizeof object, entry_expiry(old), 0};
        struct kept kept;
        uint32_t clock = entry_clock(old);
        shape_entry(db, &key, spot, &shape, &kept);
        memcpy(value_part(spot->entry), &object, sizeof object);
        entry_set_clock(spot->entry, clock);
        discard_alone(store, kept.element, kept.shared);
        finish_entry(db, spot);
        return;
    }
    count_out(store, old);
    memcpy(value_part(old), &object, sizeof object);
    count_in(store, old);
}

/* A block with the same bytes; where they do not fit behind this key, outside. */
static void put_embedded_copy(struct database *db, const struct key *key, struct spot *spot,
                              const struct entry *from, int64_t expiry) {
    uint8_t flags = from->flags & (ENTRY_MODIFIED | ENTRY_FORMAT);
    struct bytes value = bytes_make(entry_value_part(from), from->value_size);
    if (entry_type(from) == VALUE_STRING) {
        put_bytes(db, key, spot, value, expiry, flags);
        return;
    }
    if (database_fits_block(key, value.size, expiry)) {
        struct shape shape = {entry_type(from), ENTRY_EMBEDDED, value.size, expiry, flags};
        database_put_shape(db, key, spot, &shape, value.data);
        return;
    }
    union object_room room, copy;
    object_copy(&copy.object, entry_read_object(from, &db->store->keyspace->world, &room));
    database_put_object_quietly(db, key, spot, &copy.object, expiry);
}

static void put_object_copy(struct database *db, const struct key *key, struct spot *spot,
                            const struct entry *from, int64_t expiry) {
    union object_room copy;
    object_copy(&copy.object, entry_object(from));
    database_put_object_quietly(db, key, spot, &copy.object, expiry);
}

void database_put_copy(struct database *db, const struct key *key, struct spot *spot,
                       const struct entry *from, int64_t expiry) {
    uint32_t clock = entry_clock(from);
    uint8_t flags = from->flags & ENTRY_MODIFIED;
    switch (entry_encoding(from)) {
    case ENTRY_INTEGER: database_put_integer(db, key, spot, entry_integer(from), expiry); break;
    case ENTRY_EMBEDDED: put_embedded_copy(db, key, spot, from, expiry); break;
    case ENTRY_BLOB: put_pointer(db, key, spot, blob_hold(entry_blob(from)), expiry, flags); break;
    case ENTRY_OBJECT: put_object_copy(db, key, spot, from, expiry); break;
    }
    entry_set_clock(spot->entry, clock);
}

/* A new block with the same key and value, as `old` has them, for another expiry. */
static void reshape(struct database *db, struct spot *spot, int64_t expiry) {
    struct entry *old = spot->entry;
    struct key key = {entry_key(old), spot->place.hash};
    uint32_t clock = entry_clock(old);
    struct shape shape = {entry_type(old), entry_encoding(old), old->value_size, expiry,
                          old->flags & (ENTRY_MODIFIED | ENTRY_FORMAT)};
    struct kept kept;
    struct entry *entry = shape_entry(db, &key, spot, &shape, &kept);
    memcpy(value_part(entry), entry_value_part(old), old->value_size);
    if (entry_encoding(entry) == ENTRY_BLOB) blob_hold(entry_blob(entry));
    entry_set_clock(entry, clock);
    if (entry_encoding(entry) == ENTRY_OBJECT)
        discard_alone(db->store, kept.element, kept.shared);
    else
        discard(db->store, kept.element, kept.shared);
    finish_entry(db, spot);
}

/* A flat collection whose block is full already gets an expiry as well. */
static void put_flat_outside(struct database *db, const struct key *key, struct spot *spot,
                             int64_t expiry) {
    union object_room room, copy;
    uint32_t clock = entry_clock(spot->entry);
    object_copy(&copy.object, entry_read_object(spot->entry, &db->store->keyspace->world, &room));
    database_put_object_quietly(db, key, spot, &copy.object, expiry);
    entry_set_clock(spot->entry, clock);
}

void database_set_expiry(struct database *db, struct spot *spot, int64_t expiry) {
    struct store *store = db->store;
    struct entry *entry = spot->entry;
    bool expires = expiry != ENTRY_NO_EXPIRY;
    if (!expires && !(entry->flags & ENTRY_EXPIRES)) return;
    if (expires && (entry->flags & ENTRY_EXPIRES) &&
        table_may_change(&store->table, &spot->place)) {
        store->expiry_sum_ms += expiry - entry_expiry(entry);
        memcpy(entry->rest, &expiry, sizeof expiry);
        table_note_bound(&store->table, &spot->place, expiry);
        return;
    }
    struct key key = {entry_key(entry), spot->place.hash};
    if (entry_encoding(entry) == ENTRY_EMBEDDED &&
        !database_fits_block(&key, entry->value_size, expiry)) {
        struct bytes value = bytes_make(entry_value_part(entry), entry->value_size);
        uint32_t clock = entry_clock(entry);
        if (entry_type(entry) != VALUE_STRING) {
            put_flat_outside(db, &key, spot, expiry);
            return;
        }
        put_pointer(db, &key, spot, blob_copy(value, value.size), expiry,
                    entry->flags & ENTRY_MODIFIED);
        entry_set_clock(spot->entry, clock);
        return;
    }
    reshape(db, spot, expiry);
}

/* Out of the table; what is left is to be discarded. */
static struct kept take_out(struct database *db, struct spot *spot) {
    struct store *store = db->store;
    struct kept kept = {table_place_element(&spot->place),
                        !table_may_change(&store->table, &spot->place)};
    count_out(store, spot->entry);
    store->version++;
    table_remove(&store->table, &spot->place);
    spot->entry = NULL;
    return kept;
}

void database_remove(struct database *db, struct spot *spot) {
    struct kept kept = take_out(db, spot);
    discard(db->store, kept.element, kept.shared);
}

void database_move(struct database *from_db, const struct key *from, struct database *db,
                   const struct key *key) {
    struct spot spot = database_locate(db, key), from_spot = database_locate(from_db, from);
    const struct entry *entry = from_spot.entry;
    bool is_object = entry_encoding(entry) == ENTRY_OBJECT;
    if (is_object) {
        struct object *object = entry_object(entry);
        struct shape shape = {entry_type(entry), ENTRY_OBJECT, sizeof object, entry_expiry(entry),
                              0};
        uint32_t clock = entry_clock(entry);
        database_put_shape(db, key, &spot, &shape, &object);
        entry_set_clock(spot.entry, clock);
    } else {
        database_put_copy(db, key, &spot, entry, entry_expiry(entry));
    }
    from_spot = database_locate(from_db, from);
    struct kept kept = take_out(from_db, &from_spot);
    if (is_object)
        discard_alone(from_db->store, kept.element, kept.shared);
    else
        discard(from_db->store, kept.element, kept.shared);
}

/* ---- walking ---- */

struct walk {
    const struct store *store;
    database_visit *visit;
    void *context;
};

static void walk_element(void *context, table_element element) {
    struct walk *walk = context;
    walk->visit(walk->context, store_entry(walk->store, element));
}

uint64_t database_scan(const struct database *db, uint64_t cursor, database_visit *visit,
                       void *context) {
    struct walk walk = {db->store, visit, context};
    return table_scan(&db->store->table, cursor, walk_element, &walk);
}

const struct entry *database_random(const struct database *db, uint64_t (*random)(void *),
                                    void *context) {
    table_element element = table_random(&db->store->table, random, context);
    return element == 0 ? NULL : store_entry(db->store, element);
}

struct sweep {
    struct database *db;
    void (*due)(void *context, struct database *db, const struct entry *entry);
    void *context;
};

static int64_t sweep_bound(void *context, table_element element) {
    const struct sweep *sweep = context;
    return database_next_expiry(store_entry(sweep->db->store, element));
}

static void sweep_due(void *context, table_element element) {
    struct sweep *sweep = context;
    sweep->due(sweep->context, sweep->db, store_entry(sweep->db->store, element));
}

bool database_sweep(struct database *db, int64_t now_ms, size_t segments_max,
                    void (*due)(void *context, struct database *db, const struct entry *entry),
                    void *context, bool *wrapped) {
    struct sweep sweep = {db, due, context};
    return table_sweep(&db->store->table, &db->store->sweep_cursor, now_ms, segments_max,
                       sweep_bound, sweep_due, &sweep, wrapped);
}

/* ---- figures ---- */

int64_t database_average_ttl(const struct database *db, int64_t now_ms) {
    const struct store *store = db->store;
    if (store->expiring == 0) return 0;
    int64_t mean = (int64_t)(store->expiry_sum_ms / (__int128)store->expiring) - now_ms;
    return mean > 0 ? mean : 0;
}

size_t database_memory(const struct database *db) {
    const struct store *store = db->store;
    return table_size(&store->table) + slab_used(&store->slab) + store->outside_bytes;
}

size_t database_entry_memory(const struct database *db, const struct entry *entry) {
    (void)db;
    enum { TABLE_SHARE = 8 }; /* bytes that the table takes for an entry at its usual load */
    return slab_class_size(entry_size(entry)) + entry_outside(entry) + TABLE_SHARE;
}
