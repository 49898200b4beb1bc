/* blob.h: one large run of bytes that several may hold: a big argument on its way in, the value it
 * becomes, a reply that is still being sent. Counted; all holders are on the engine's thread. */
#ifndef REDSTART_BASE_BLOB_H
#define REDSTART_BASE_BLOB_H

#include "base/bytes.h"

struct blob {
    uint32_t holders;
    uint32_t born;   /* the epoch it was made in, for views (struct/epoch.h); 0 until it is a value */
    size_t size;     /* bytes in use */
    size_t capacity; /* bytes that fit */
    char data[];
};

/* One holder, size 0. */
struct blob *blob_make(size_t capacity);
/* The same, or NULL when there is no memory. */
struct blob *blob_try_make(size_t capacity);
/* With these bytes in it, and room for `capacity` or for them, whichever is more. */
struct blob *blob_copy(struct bytes bytes, size_t capacity);
/* The only holder makes room, or gives some back (never less than what is in use); the blob may move. */
struct blob *blob_resize(struct blob *blob, size_t capacity);
static inline struct blob *blob_hold(struct blob *blob) {
    blob->holders++;
    return blob;
}
/* NULL is allowed. The last holder frees. */
void blob_let_go(struct blob *blob);
static inline struct bytes blob_bytes(const struct blob *blob) {
    return (struct bytes){blob->data, blob->size};
}

#endif
