/* edit.c: collections between an entry's block and an object. */
#include "keyspace/edit.h"

#include "base/invariant.h"
#include "base/memory.h"
#include "keyspace/keyspace.h"
#include "keyspace/store.h"

/* An object of this many flat bytes or fewer goes back into its entry's block. */
enum { EMBED_AGAIN_MAX = ENTRY_SIZE_MAX / 2 };

const struct object *entry_read_object(const struct entry *entry, struct record_world *world,
                                       union object_room *room) {
    if (entry_encoding(entry) == ENTRY_OBJECT) return entry_object(entry);
    INVARIANT(entry_encoding(entry) == ENTRY_EMBEDDED);
    room->object = (struct object){
        .type = (uint8_t)entry_type(entry),
        .format = (uint8_t)entry_format(entry),
        .world = world,
        .flat = {(char *)(uintptr_t)entry_value_part(entry), entry->value_size, 0},
    };
    return &room->object;
}

/* ---- benches: buffers that are used again and again ---- */

static struct buffer take_bench(struct keyspace *keyspace) {
    for (uint32_t i = 0; i < KEYSPACE_BENCHES; i++) {
        if (keyspace->benches_used & 1u << i) continue;
        keyspace->benches_used |= 1u << i;
        struct buffer bench = keyspace->benches[i];
        keyspace->benches[i] = (struct buffer){0};
        bench.size = 0;
        return bench;
    }
    return (struct buffer){0};
}

/* Keep a buffer for the next edit, unless it is a large one. */
static void give_bench(struct keyspace *keyspace, struct buffer *buffer) {
    enum { KEPT_MAX = 64 * 1024 };
    for (uint32_t i = 0; i < KEYSPACE_BENCHES; i++) {
        if (!(keyspace->benches_used & 1u << i)) continue;
        keyspace->benches_used &= ~(1u << i);
        if (buffer->capacity > KEPT_MAX) break;
        keyspace->benches[i] = *buffer;
        *buffer = (struct buffer){0};
        return;
    }
    buffer_release(buffer);
}

/* ---- storing ---- */

/* The object on the heap; the flat buffer remains the caller's. */
static struct object *to_heap(const struct object *object) {
    size_t size = object_class_of((enum value_type)object->type)->size;
    struct object *kept = memory_alloc(size);
    memcpy(kept, object, size);
    kept->flat = (struct buffer){0};
    if (object_is_flat(object)) buffer_append(&kept->flat, object->flat.data, object->flat.size);
    return kept;
}

/* Put an object whose struct is the caller's into the keyspace: bytes into the block, or all of it
 * onto the heap. The flat buffer remains the caller's. */
static void store_object(struct database *db, const struct key *key, struct spot *spot,
                         struct object *object, int64_t expiry) {
    enum value_type type = (enum value_type)object->type;
    if (object_is_flat(object) && database_fits_block(key, object->flat.size, expiry)) {
        struct shape shape = {type, ENTRY_EMBEDDED, object->flat.size, expiry,
                              (uint8_t)(object->format << ENTRY_FORMAT_SHIFT)};
        database_put_shape(db, key, spot, &shape, object->flat.data);
        return;
    }
    struct object *kept = to_heap(object);
    struct shape shape = {type, ENTRY_OBJECT, sizeof kept, expiry, 0};
    database_put_shape(db, key, spot, &shape, &kept);
}

/* ---- edits ---- */

/* Is there nothing to be kept? */
static bool is_gone(const struct edit *edit) {
    return edit->removes || (object_count(edit->object) == 0 && edit->object->type != VALUE_STREAM);
}

static void begin_block(struct edit *edit, struct keyspace *keyspace, const struct entry *entry) {
    struct object *object = &edit->room.object;
    object_init(object, entry_type(entry), &keyspace->world);
    object->format = (uint8_t)entry_format(entry);
    object->flat = take_bench(keyspace);
    buffer_append(&object->flat, entry_value_part(entry), entry->value_size);
    edit->object = object;
}

static void release_alone(void *owner, uint64_t node) {
    (void)owner;
    object_free_alone((void *)(uintptr_t)node);
}

static void begin_object(struct edit *edit, struct keyspace *keyspace) {
    struct store *store = edit->db->store;
    struct object *object = entry_object(edit->spot.entry);
    if (epoch_shared(&keyspace->epochs, object->born)) {
        struct object *clone = object_clone(object);
        database_exchange_object(edit->db, &edit->spot, clone);
        edit->version = store->version;
        epochs_retire(&keyspace->epochs, release_alone, NULL, (uint64_t)(uintptr_t)object,
                      object_class_of((enum value_type)object->type)->size);
        object = clone;
    }
    store->outside_bytes -= object_bytes(object);
    edit->object = object;
}

void edit_begin(struct edit *edit, struct database *db, const struct key *key,
                const struct spot *spot, enum value_type type) {
    struct keyspace *keyspace = db->store->keyspace;
    edit->db = db;
    edit->key = *key;
    edit->spot = *spot;
    edit->version = db->store->version;
    edit->was_absent = spot->entry == NULL;
    edit->removes = false;
    if (edit->was_absent) {
        edit->object = &edit->room.object;
        object_init(edit->object, type, &keyspace->world);
        if (object_is_flat(edit->object)) edit->object->flat = take_bench(keyspace);
        return;
    }
    INVARIANT(entry_type(spot->entry) == type);
    if (entry_encoding(spot->entry) == ENTRY_OBJECT)
        begin_object(edit, keyspace);
    else
        begin_block(edit, keyspace, spot->entry);
}

void edit_exchange(struct edit *edit, struct object *made) {
    struct store *store = edit->db->store;
    struct object *old = edit->object;
    if (old == &edit->room.object) { /* small, or a structure since a moment */
        object_release(old);
        memcpy(old, made, object_class_of((enum value_type)made->type)->size);
        return;
    }
    store->outside_bytes += object_bytes(old);
    struct object *kept = to_heap(made);
    buffer_release(&made->flat);
    database_exchange_object(edit->db, &edit->spot, kept);
    edit->version = store->version;
    store->outside_bytes -= object_bytes(kept);
    edit->object = kept;
    store_retire_object(store, old);
}

static void end_absent(struct edit *edit, struct keyspace *keyspace) {
    struct object *object = edit->object;
    if (is_gone(edit)) {
        if (!object_is_flat(object))
            object_class_of((enum value_type)object->type)->release(object);
    } else {
        store_object(edit->db, &edit->key, &edit->spot, object, ENTRY_NO_EXPIRY);
    }
    give_bench(keyspace, &object->flat);
}

static void end_block(struct edit *edit, struct keyspace *keyspace) {
    struct object *object = edit->object;
    if (is_gone(edit)) {
        if (!object_is_flat(object))
            object_class_of((enum value_type)object->type)->release(object);
        database_remove(edit->db, &edit->spot);
    } else {
        store_object(edit->db, &edit->key, &edit->spot, object, entry_expiry(edit->spot.entry));
    }
    give_bench(keyspace, &object->flat);
}

static void end_object(struct edit *edit, struct keyspace *keyspace) {
    struct store *store = edit->db->store;
    struct object *object = edit->object;
    struct entry *entry = edit->spot.entry;
    if (!object_is_flat(object) && object->flat.data) /* it became a structure */
        buffer_release(&object->flat);
    store->outside_bytes += object_bytes(object);
    if (is_gone(edit)) {
        database_remove(edit->db, &edit->spot);
        return;
    }
    int64_t expiry = entry_expiry(entry);
    if (object_is_flat(object) && object->flat.size <= EMBED_AGAIN_MAX &&
        database_fits_block(&edit->key, object->flat.size, expiry)) {
        union object_room room;
        room.object = *object;
        room.object.flat = (struct buffer){0};
        buffer_append(&room.object.flat, object->flat.data, object->flat.size);
        store_object(edit->db, &edit->key, &edit->spot, &room.object, expiry);
        buffer_release(&room.object.flat);
        return;
    }
    use_change(&keyspace->use, entry);
    if (object->type == VALUE_HASH) {
        int64_t next = database_next_expiry(entry);
        if (next != ENTRY_NO_EXPIRY) table_note_bound(&store->table, &edit->spot.place, next);
    }
}

void edit_end(struct edit *edit) {
    struct keyspace *keyspace = edit->db->store->keyspace;
    bool in_room = edit->object == &edit->room.object;
    if (unlikely(edit->version != edit->db->store->version))
        edit->spot = database_locate(edit->db, &edit->key);
    if (edit->was_absent)
        end_absent(edit, keyspace);
    else if (in_room)
        end_block(edit, keyspace);
    else
        end_object(edit, keyspace);
    edit->object = NULL;
}

void database_put_object_quietly(struct database *db, const struct key *key, struct spot *spot,
                                 struct object *object, int64_t expiry) {
    store_object(db, key, spot, object, expiry);
    buffer_release(&object->flat);
}

void database_put_object(struct database *db, const struct key *key, struct spot *spot,
                         struct object *object, int64_t expiry) {
    if (object_count(object) == 0 && object->type != VALUE_STREAM) {
        object_release(object);
        if (spot->entry) database_remove(db, spot);
        return;
    }
    database_note_replaced(db, key, spot, object->type);
    database_put_object_quietly(db, key, spot, object, expiry);
}
