/* object.h: what every collection is to whoever keeps it: a struct that begins with a struct
 * object.
 *
 *     flat                                   structure
 *     +----------------+                     +----------------+
 *     | struct object  |--> a listpack       | struct object  |
 *     | (the rest is   |    or intset        | tables, trees  |--> nodes, chunks
 *     |  not in use)   |                     +----------------+
 *     +----------------+
 *
 * A small collection is flat. In the keyspace a small flat one is only its bytes, in the entry's
 * block; for reading or changing it an object is made around them (keyspace/edit.h). The operations
 * of a type (value/list.h, set.h ...) take the object, turn it from flat into a structure when it
 * outgrows the limits, and know neither keys nor entries nor sessions.
 *
 * Views. `born` is the object's birth. The keyspace gives only objects for writing that no view can
 * see, by copying the struct (object_clone) where one can; what the structure's nodes need is up
 * to the structure (their own births). A reader of a view calls the operations that take const. */
#ifndef REDSTART_VALUE_OBJECT_H
#define REDSTART_VALUE_OBJECT_H

#include "base/buffer.h"
#include "struct/record_table.h"
#include "value/value.h"

struct object_digest;

/* How a flat collection's bytes are to be read. */
enum flat_format {
    FLAT_LISTPACK,
    FLAT_INTSET,            /* sets */
    FLAT_LISTPACK_EXPIRING, /* hashes: field, value, time (0: none) ... in the order of times */
    FLAT_NONE,              /* it is a structure */
};

struct object {
    uint32_t born;
    uint8_t type;               /* enum value_type */
    uint8_t format;             /* enum flat_format */
    struct record_world *world; /* of the keyspace: epochs and secret */
    struct buffer flat;         /* when it is flat; owned */
};

static inline bool object_is_flat(const struct object *object) {
    return object->format != FLAT_NONE;
}

enum { OBJECT_PREFETCH_STEPS = 5 };

/* What a type says of itself: defined once in value/<type>.c, listed in object.c. The functions
 * are for the structure: flat objects are handled in object.c. */
struct object_class {
    size_t size; /* of its struct, at most OBJECT_SIZE_MAX */
    /* Make an empty one a structure at once; NULL: it begins flat. */
    void (*init)(struct object *object);
    /* Free what hangs on it, on any one thread. */
    void (*release)(struct object *object);
    /* Bytes of what hangs on it. */
    size_t (*bytes)(const struct object *object);
    /* Deep copy into a struct whose `struct object` is already set up. */
    void (*copy)(struct object *to, const struct object *from);
    /* Elements, flat or not: 0 means the key goes (but for streams). */
    uint64_t (*count)(const struct object *object);
    /* Adds the content, flat or not, in a way that does not depend on how it is kept. */
    void (*digest)(const struct object *object, struct object_digest *digest);
    /* Earliest time at which a part of it expires, ms; INT64_MAX for never. NULL: never. */
    int64_t (*next_expiry)(const struct object *object);
    /* Bring nearer what a command with these arguments behind the key will look up, in steps, each
     * for a whole batch; *state is kept from one to the next, and nothing is changed meanwhile.
     * False: this was the last one. For structures; NULL: nothing to do. */
    bool (*prefetch)(const struct object *object, const struct bytes *arguments, size_t count,
                     unsigned step, uint64_t *state);
    /* OBJECT ENCODING */
    const char *(*encoding_name)(const struct object *object);
};

/* NULL where the type is no collection. */
const struct object_class *object_class_of(enum value_type type);

/* An empty flat object (streams: an empty structure) in a struct of its class's size. `flat` is
 * left empty: the type's operations make a listpack or intset with the first element. */
void object_init(struct object *object, enum value_type type, struct record_world *world);
/* Free what hangs on it and its flat bytes; not the struct. */
void object_release(struct object *object);
/* The struct on the heap as well. For a worker: void *. */
void object_free(void *object);
/* The struct again, for its only owner to go on with, born now; nodes are shared with the old one,
 * flat bytes are copied. The old struct is then freed by object_free_alone when no view needs it.
 */
struct object *object_clone(const struct object *object);
void object_free_alone(void *object);
/* Everything once more: for COPY. */
void object_copy(struct object *to, const struct object *from);
/* Bytes of struct, flat and nodes. */
size_t object_bytes(const struct object *object);
uint64_t object_count(const struct object *object);
int64_t object_next_expiry(const struct object *object);
const char *object_encoding_name(const struct object *object);

/* False when there is nothing to bring nearer, now and in later steps. */
static inline bool object_prefetch(const struct object *object, const struct bytes *arguments,
                                   size_t count, unsigned step, uint64_t *state) {
    const struct object_class *class = object_class_of((enum value_type)object->type);
    if (!class->prefetch || object_is_flat(object) || count == 0) return false;
    return class->prefetch(object, arguments, count, step, state);
}

/* Room for any object's struct, on the stack. */
enum { OBJECT_SIZE_MAX = 256 };
union object_room {
    struct object object;
    max_align_t align;
    char room[OBJECT_SIZE_MAX];
};

/* ---- fingerprints ---- */

/* Ordered pieces of content are added one after another. Where order has no meaning, each element
 * is made on its own between begin and end, and the elements' sum is what counts. */
void object_digest_item(struct object_digest *digest, const struct item *item); /* size and bytes */
void object_digest_number(struct object_digest *digest, uint64_t number);
void object_digest_score(struct object_digest *digest, double score, uint64_t order);
void object_digest_id(struct object_digest *digest, uint64_t ms,
                      uint64_t sequence);                                           /* of entries */
void object_digest_member(struct object_digest *digest, const struct item *member); /* of a set */
/* False: what is beside the elements (groups of streams) is not wanted. */
bool object_digest_is_exact(const struct object_digest *digest);
void object_digest_element_begin(struct object_digest *digest);
void object_digest_element_end(struct object_digest *digest);

#endif
