/* blob.h: one large run of bytes that several may hold: a big argument on its way in, the value it
 * becomes, a reply that is still being sent. Counted, by holders on any thread: what the engine
 * gives up is often let go by a worker. A blob with one holder is that holder's to change. */
#ifndef REDSTART_BASE_BLOB_H
#define REDSTART_BASE_BLOB_H

#include "base/bytes.h"

struct blob {
    uint32_t holders; /* atomic */
    size_t size;      /* bytes in use */
    size_t capacity;  /* bytes that fit */
    char data[];
};

/* Bytes of memory that a blob with so much room takes. */
size_t blob_memory(size_t capacity);
/* One holder, size 0. */
struct blob *blob_make(size_t capacity);
/* The same, or NULL when there is no memory. */
struct blob *blob_try_make(size_t capacity);
/* With these bytes in it, and room for `capacity` or for them, whichever is more. */
struct blob *blob_copy(struct bytes bytes, size_t capacity);
/* The only holder makes room, or gives some back (never less than what is in use); the blob may
 * move. */
struct blob *blob_resize(struct blob *blob, size_t capacity);
/* The only holder's blob may lie better elsewhere (memory_is_sparse): then it is moved there. */
struct blob *blob_pack(struct blob *blob);
static inline struct blob *blob_hold(struct blob *blob) {
    __atomic_fetch_add(&blob->holders, 1, __ATOMIC_RELAXED);
    return blob;
}
/* Nobody else holds it: what other holders did before they let go has happened. */
static inline bool blob_is_single(const struct blob *blob) {
    return __atomic_load_n(&blob->holders, __ATOMIC_ACQUIRE) == 1;
}
/* NULL is allowed. The last holder frees. */
void blob_let_go(struct blob *blob);
static inline struct bytes blob_bytes(const struct blob *blob) {
    return (struct bytes){blob->data, blob->size};
}

#endif
