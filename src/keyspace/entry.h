/* entry.h: a key and its value in one allocation.
 *
 *     +------+-------+------------+-----------------+----------+-----+-------+
 *     | kind | flags | value_size | key size, clock | expiry   | key | value |
 *     | 1    | 1     | 2          | 1 + 3           | 8 if any |     |       |
 *     +------+-------+------------+-----------------+----------+-----+-------+
 *
 * A key over 254 bytes, and a value that would make the block larger than ENTRY_SIZE_MAX, stand in
 * blobs of their own, and the block holds the pointer. An integer is kept in 1, 2, 4 or 8 bytes.
 *
 * An entry that a view can see is never changed, but for its clock, which is written by one thread
 * and read by any (relaxed atomics) and belongs to no view. */
#ifndef REDSTART_KEYSPACE_ENTRY_H
#define REDSTART_KEYSPACE_ENTRY_H

#include "base/blob.h"
#include "base/bytes.h"
#include "struct/slab.h"
#include "value/value.h"

enum {
    ENTRY_SIZE_MAX = SLAB_BLOCK_MAX, /* bytes of a block */
    ENTRY_KEY_MAX = 254,             /* bytes of a key that stands in the block */
    ENTRY_INTEGER_TEXT_MAX = 20,     /* longest text that may be kept as an integer */
};
#define ENTRY_NO_EXPIRY INT64_MAX

enum entry_encoding {
    ENTRY_EMBEDDED, /* the value's bytes: a string's, or a flat collection's */
    ENTRY_INTEGER,  /* a signed integer, little-endian, of value_size bytes */
    ENTRY_BLOB,     /* pointer to a struct blob that the entry holds */
    ENTRY_OBJECT,   /* pointer to a struct object (value/object.h) that the entry owns */
};

enum entry_flag {
    ENTRY_EXPIRES = 1,
    ENTRY_KEY_BLOB = 2,
    ENTRY_MODIFIED = 4,   /* a string that was changed in part: OBJECT ENCODING says raw */
    ENTRY_FORMAT = 3 * 8, /* two bits: enum flat_format of a collection's bytes */
    ENTRY_FORMAT_SHIFT = 3,
};

struct entry {
    uint8_t kind; /* enum value_type | enum entry_encoding << 4 */
    uint8_t flags;
    uint16_t value_size; /* bytes of the value's part of the block */
    uint32_t access;     /* key size << 24 | clock */
    char rest[];
};

static inline enum value_type entry_type(const struct entry *e) {
    return (enum value_type)(e->kind & 15);
}
static inline enum entry_encoding entry_encoding(const struct entry *e) {
    return (enum entry_encoding)(e->kind >> 4);
}
/* For a collection that is ENTRY_EMBEDDED: enum flat_format. */
static inline unsigned entry_format(const struct entry *e) {
    return (e->flags & (unsigned)ENTRY_FORMAT) >> ENTRY_FORMAT_SHIFT;
}
static inline size_t entry_expiry_size(const struct entry *e) {
    return (size_t)(e->flags & ENTRY_EXPIRES) << 3;
}
/* Milliseconds since 1970, ENTRY_NO_EXPIRY for never. */
static inline int64_t entry_expiry(const struct entry *e) {
    int64_t when;
    if (!(e->flags & ENTRY_EXPIRES)) return ENTRY_NO_EXPIRY;
    memcpy(&when, e->rest, sizeof when);
    return when;
}
static inline uint32_t entry_access(const struct entry *e) {
    return __atomic_load_n(&e->access, __ATOMIC_RELAXED);
}
/* 24 bits: see use.h. */
static inline uint32_t entry_clock(const struct entry *e) {
    return entry_access(e) & 0xffffff;
}
static inline void entry_set_clock(const struct entry *e, uint32_t clock) {
    uint32_t access = (entry_access(e) & 0xff000000u) | clock;
    __atomic_store_n((uint32_t *)(uintptr_t)&e->access, access, __ATOMIC_RELAXED);
}
/* Bytes that the key takes in the block. */
static inline size_t entry_key_part(const struct entry *e) {
    return entry_access(e) >> 24;
}
static inline struct bytes entry_key(const struct entry *e) {
    const char *at = e->rest + entry_expiry_size(e);
    if (__builtin_expect(e->flags & ENTRY_KEY_BLOB, 0)) {
        const struct blob *blob;
        memcpy(&blob, at, sizeof blob);
        return blob_bytes(blob);
    }
    return (struct bytes){at, entry_key_part(e)};
}
static inline const char *entry_value_part(const struct entry *e) {
    return e->rest + entry_expiry_size(e) + entry_key_part(e);
}
static inline size_t entry_size(const struct entry *e) {
    return sizeof *e + entry_expiry_size(e) + entry_key_part(e) + e->value_size;
}
/* For ENTRY_BLOB. */
static inline struct blob *entry_blob(const struct entry *e) {
    struct blob *blob;
    memcpy(&blob, entry_value_part(e), sizeof blob);
    return blob;
}
/* For ENTRY_OBJECT. */
static inline void *entry_object(const struct entry *e) {
    void *object;
    memcpy(&object, entry_value_part(e), sizeof object);
    return object;
}
/* For ENTRY_INTEGER. */
int64_t entry_integer(const struct entry *e);

/* The bytes of a string value; an integer's digits are written to `scratch` (at least
 * NUMBER_I64_TEXT_MAX). Valid until the entry is changed. */
struct bytes entry_string(const struct entry *e, char *scratch);
/* Bytes of a string value, without writing any digits. */
size_t entry_string_size(const struct entry *e);
/* As OBJECT REFCOUNT answers: 2147483647 for the small integers that clients know to be shared by
 * all. */
int64_t entry_reference_count(const struct entry *e);
/* "int", "embstr" or "raw" for strings, and the names that clients expect for collections. */
const char *entry_encoding_name(const struct entry *e);

#endif
