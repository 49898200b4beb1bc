/* object.c: what is the same for every collection: flat bytes, copying, freeing. */
#include "value/object.h"

#include "base/invariant.h"
#include "base/memory.h"
#include "value/hash.h"
#include "value/list.h"
#include "value/set.h"
#include "value/sorted_set.h"
#include "value/stream.h"

/* By enum value_type. */
static const struct object_class *const classes[VALUE_TYPE_COUNT] = {
    [VALUE_LIST] = &list_class,
    [VALUE_SET] = &set_class,
    [VALUE_SORTED_SET] = &sorted_set_class,
    [VALUE_HASH] = &hash_class,
    [VALUE_STREAM] = &stream_class,
};

const struct object_class *object_class_of(enum value_type type) {
    return type < VALUE_TYPE_COUNT ? classes[type] : NULL;
}

static const struct object_class *class_of(const struct object *object) {
    const struct object_class *class = object_class_of((enum value_type)object->type);
    INVARIANT(class != NULL);
    return class;
}

void object_init(struct object *object, enum value_type type, struct record_world *world) {
    const struct object_class *class = object_class_of(type);
    INVARIANT(class != NULL && class->size <= OBJECT_SIZE_MAX);
    memset(object, 0, class->size);
    object->born = world->epochs->now;
    object->type = (uint8_t)type;
    object->format = FLAT_LISTPACK;
    object->world = world;
    if (class->init) class->init(object);
}

void object_release(struct object *object) {
    if (!object_is_flat(object)) class_of(object)->release(object);
    buffer_release(&object->flat);
}

void object_free(void *object) {
    object_release(object);
    memory_free(object);
}

void object_free_alone(void *what) {
    struct object *object = what;
    buffer_release(&object->flat);
    memory_free(object);
}

static struct buffer copy_buffer(const struct buffer *from) {
    struct buffer to = {0};
    if (from->size > 0) buffer_append(&to, from->data, from->size);
    return to;
}

struct object *object_clone(const struct object *object) {
    size_t size = class_of(object)->size;
    struct object *clone = memory_alloc(size);
    memcpy(clone, object, size);
    clone->born = object->world->epochs->now;
    clone->flat = copy_buffer(&object->flat);
    return clone;
}

void object_copy(struct object *to, const struct object *from) {
    const struct object_class *class = class_of(from);
    memset(to, 0, class->size);
    to->born = from->world->epochs->now;
    to->type = from->type;
    to->format = from->format;
    to->world = from->world;
    to->flat = copy_buffer(&from->flat);
    if (!object_is_flat(from)) class->copy(to, from);
}

size_t object_bytes(const struct object *object) {
    const struct object_class *class = class_of(object);
    size_t bytes = class->size + object->flat.capacity;
    return object_is_flat(object) ? bytes : bytes + class->bytes(object);
}

uint64_t object_count(const struct object *object) {
    return class_of(object)->count(object);
}

int64_t object_next_expiry(const struct object *object) {
    const struct object_class *class = class_of(object);
    return class->next_expiry ? class->next_expiry(object) : INT64_MAX;
}

const char *object_encoding_name(const struct object *object) {
    return class_of(object)->encoding_name(object);
}
