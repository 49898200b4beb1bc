/* memory.h: the allocator. Everything on the heap goes through here, so that it is counted in one
 * place and an exhausted machine ends in one message.
 *
 * Behind it stands jemalloc (the libc's malloc in sanitizer builds). Sizes that come from outside
 * are asked for with memory_try_alloc, which may say no; all others never return NULL: when memory
 * is exhausted the process ends with a report, as no caller could do better. */
#ifndef REDSTART_BASE_MEMORY_H
#define REDSTART_BASE_MEMORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

void *memory_alloc(size_t size) __attribute__((malloc, alloc_size(1), returns_nonnull));
void *memory_alloc_zeroed(size_t count, size_t size)
    __attribute__((malloc, alloc_size(1, 2), returns_nonnull));
void *memory_alloc_aligned(size_t alignment, size_t size)
    __attribute__((malloc, alloc_size(2), returns_nonnull));
/* `block` may be NULL. */
void *memory_resize(void *block, size_t size) __attribute__((alloc_size(2), returns_nonnull));
/* NULL when there is no memory. */
void *memory_try_alloc(size_t size) __attribute__((malloc, alloc_size(1)));
void *memory_try_resize(void *block, size_t size) __attribute__((alloc_size(2)));
/* `block` may be NULL. */
void memory_free(void *block);
/* Bytes that the allocator really set aside for a block. */
size_t memory_usable_size(const void *block);
/* Bytes that it would set aside for one of that size, as far as it says. */
size_t memory_size_class(size_t size);
char *memory_copy_text(const char *text);
/* A copy of `size` bytes with a zero behind it. */
char *memory_copy(const void *data, size_t size);

/* Would a block like this one be better off elsewhere: does it lie among fewer others than blocks
 * of its size do on average? Then memory_alloc_packed gives another place, as near to other blocks
 * as the allocator can, past what it keeps at hand; and memory_free_packed gives the old one back
 * at once. */
bool memory_is_sparse(const void *block);
void *memory_alloc_packed(size_t size) __attribute__((malloc, alloc_size(1), returns_nonnull));
void memory_free_packed(void *block);

/* What the allocator says of itself, in bytes; all 0 where it does not say. */
struct memory_report {
    size_t allocated; /* handed out */
    size_t active;    /* in pages with something handed out */
    size_t resident;  /* mapped, as the allocator knows it */
    size_t retained;
    size_t muzzy;
    size_t metadata;
};
struct memory_report memory_report(void);

/* What the allocator has given to one thread and got back from it, to the byte, without asking the
 * allocator each time: two words of its own that it keeps for the thread, and that are there as
 * long as the thread is. NULL where it does not count. */
struct memory_meter {
    const uint64_t *given, *returned;
};
/* Of the calling thread. */
struct memory_meter memory_meter(void);
/* Bytes given and not returned since the thread began; what another thread frees is counted there,
 * so a balance may be negative. On the meter's thread alone. */
static inline int64_t memory_meter_balance(const struct memory_meter *meter) {
    return meter->given ? (int64_t)(*meter->given - *meter->returned) : 0;
}
/* "jemalloc-5.3.0" or "libc". */
const char *memory_allocator_name(void);
/* The allocator's own account of itself, piece by piece. */
void memory_describe(void (*append)(void *context, const char *text), void *context);
/* Give unused pages back to the system now. */
void memory_purge(void);
/* Whether a thread of the allocator's gives them back as time passes (it does from the start, but
 * such a thread does not survive a fork: say true again after becoming a daemon). */
void memory_purge_in_background(bool wanted);

/* Tell the system that the content of these whole pages is no longer wanted: they read as zero
 * afterwards. `start` and `size` are multiples of 4096. */
void memory_discard_pages(void *start, size_t size);

#endif
