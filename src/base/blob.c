/* blob.c: counted runs of bytes. Owns the memory of a blob until its last holder lets go, on
 * whatever thread; must never touch a blob's bytes but for a single holder. */
#include "base/blob.h"

#include "base/invariant.h"
#include "base/memory.h"

static size_t allocation_size(size_t capacity) {
    size_t size;
    if (__builtin_add_overflow(sizeof(struct blob), capacity, &size))
        return SIZE_MAX; /* more than any allocator gives */
    return size;
}

size_t blob_memory(size_t capacity) {
    return memory_size_class(allocation_size(capacity));
}

static struct blob *blob_init(struct blob *blob, size_t capacity) {
    blob->holders = 1;
    blob->size = 0;
    blob->capacity = capacity;
    return blob;
}

struct blob *blob_make(size_t capacity) {
    return blob_init(memory_alloc(allocation_size(capacity)), capacity);
}

struct blob *blob_try_make(size_t capacity) {
    struct blob *blob = memory_try_alloc(allocation_size(capacity));
    return blob != NULL ? blob_init(blob, capacity) : NULL;
}

struct blob *blob_copy(struct bytes bytes, size_t capacity) {
    struct blob *blob = blob_make(capacity > bytes.size ? capacity : bytes.size);
    if (bytes.size != 0) memcpy(blob->data, bytes.data, bytes.size);
    blob->size = bytes.size;
    return blob;
}

struct blob *blob_resize(struct blob *blob, size_t capacity) {
    INVARIANT(blob_is_single(blob) && capacity >= blob->size);
    struct blob *moved = memory_resize(blob, allocation_size(capacity));
    moved->capacity = capacity;
    return moved;
}

struct blob *blob_pack(struct blob *blob) {
    INVARIANT(blob_is_single(blob));
    if (!memory_is_sparse(blob)) return blob;
    struct blob *moved = memory_alloc_packed(allocation_size(blob->capacity));
    memcpy(moved, blob, sizeof *blob + blob->size);
    memory_free_packed(blob);
    return moved;
}

void blob_let_go(struct blob *blob) {
    if (blob == NULL) return;
    uint32_t before = __atomic_fetch_sub(&blob->holders, 1, __ATOMIC_ACQ_REL);
    INVARIANT(before > 0);
    if (before == 1) memory_free(blob);
}
