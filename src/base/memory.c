/* memory.c: the allocator behind one door. Owns the choice of jemalloc's options and the words that
 * a process out of memory dies with. The one place below src/io that asks the kernel for anything,
 * and only for pages (madvise). It must never log, and never call back into what allocates. */
#include "base/memory.h"

#include "base/invariant.h"

#include <malloc.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#ifdef REDSTART_JEMALLOC
#include <jemalloc/jemalloc.h>

/* Read by jemalloc before main; the symbol has to be called malloc_conf, and the assembler's name
 * lets it be constant, which jemalloc's own declaration is not.
 *   background_thread  pages go back to the system from a thread of jemalloc's, not in a turn
 *   dirty_decay_ms     after two seconds and not ten: what a mass expiry frees is soon seen to be
 * free muzzy_decay_ms     and then at once for good, so that RSS says what is used metadata_thp no
 * huge pages for jemalloc's own books: they would dwarf a small server */
extern const char *const memory_options __asm__("malloc_conf");
__attribute__((used, visibility("default"))) const char *const memory_options =
    "background_thread:true,dirty_decay_ms:2000,muzzy_decay_ms:0,metadata_thp:disabled";
#endif

__attribute__((noreturn, cold)) static void exhausted(size_t size) {
    invariant_panic("Out of memory: cannot allocate %zu bytes", size);
}

void *memory_alloc(size_t size) {
    void *block = malloc(size);
    if (unlikely(block == NULL)) exhausted(size);
    return block;
}

void *memory_alloc_zeroed(size_t count, size_t size) {
    void *block = calloc(count, size);
    if (unlikely(block == NULL)) {
        size_t total;
        exhausted(__builtin_mul_overflow(count, size, &total) ? SIZE_MAX : total);
    }
    return block;
}

void *memory_alloc_aligned(size_t alignment, size_t size) {
    void *block = NULL;
    if (alignment < sizeof(void *)) alignment = sizeof(void *);
    INVARIANT((alignment & (alignment - 1)) == 0);
    if (unlikely(posix_memalign(&block, alignment, size) != 0 || block == NULL)) exhausted(size);
    return block;
}

/* realloc(block, 0) may free and answer NULL; the callers want a block that they can free later. */
static size_t at_least_one(size_t size) {
    return size != 0 ? size : 1;
}

void *memory_resize(void *block, size_t size) {
    void *moved = realloc(block, at_least_one(size));
    if (unlikely(moved == NULL)) exhausted(size);
    return moved;
}

void *memory_try_alloc(size_t size) {
    return malloc(size);
}

void *memory_try_resize(void *block, size_t size) {
    return realloc(block, at_least_one(size));
}

void memory_free(void *block) {
    free(block);
}

size_t memory_usable_size(const void *block) {
    return malloc_usable_size((void *)(uintptr_t)block);
}

size_t memory_size_class(size_t size) {
#ifdef REDSTART_JEMALLOC
    size_t class = nallocx(at_least_one(size), 0);
    return class != 0 ? class : size;
#else
    return size;
#endif
}

char *memory_copy(const void *data, size_t size) {
    INVARIANT(size < SIZE_MAX);
    char *copy = memory_alloc(size + 1);
    if (size != 0) memcpy(copy, data, size);
    copy[size] = '\0';
    return copy;
}

char *memory_copy_text(const char *text) {
    return memory_copy(text, strlen(text));
}

#ifdef REDSTART_JEMALLOC

#define TEXT_OF(x)       #x
#define TEXT_OF_VALUE(x) TEXT_OF(x)
/* jemalloc's number for "all arenas together". */
#define ALL_ARENAS TEXT_OF_VALUE(MALLCTL_ARENAS_ALL)

static size_t read_size(const char *name) {
    size_t value = 0;
    size_t size = sizeof(value);
    return mallctl(name, &value, &size, NULL, 0) == 0 ? value : 0;
}

/* What jemalloc says of a block (experimental.utilization.query, jemalloc 5.2 and later). */
struct utilization {
    const void *current; /* the slab that it hands out from */
    size_t free, blocks; /* of the block's slab */
    size_t size;         /* of that slab */
    size_t bin_free, bin_blocks;
};

bool memory_is_sparse(const void *block) {
    struct utilization seen;
    size_t size = sizeof seen;
    if (mallctl("experimental.utilization.query", &seen, &size, &block, sizeof block) != 0 ||
        seen.blocks < 2 || seen.free == 0)
        return false;
    uintptr_t current = (uintptr_t)seen.current, at = (uintptr_t)block;
    if (at >= current && at < current + seen.size) return false;
    return seen.free * seen.bin_blocks >= seen.bin_free * seen.blocks;
}

void *memory_alloc_packed(size_t size) {
    void *block = mallocx(size, MALLOCX_TCACHE_NONE);
    if (unlikely(block == NULL)) exhausted(size);
    return block;
}

void memory_free_packed(void *block) {
    dallocx(block, MALLOCX_TCACHE_NONE);
}

struct memory_report memory_report(void) {
    uint64_t epoch = 1; /* any write makes jemalloc count anew */
    mallctl("epoch", NULL, NULL, &epoch, sizeof(epoch));
    return (struct memory_report){
        .allocated = read_size("stats.allocated"),
        .active = read_size("stats.active"),
        .resident = read_size("stats.resident"),
        .retained = read_size("stats.retained"),
        .muzzy = read_size("stats.arenas." ALL_ARENAS ".pmuzzy") * read_size("arenas.page"),
        .metadata = read_size("stats.metadata"),
    };
}

struct memory_meter memory_meter(void) {
    struct memory_meter meter = {NULL, NULL};
    size_t size = sizeof meter.given;
    if (mallctl("thread.allocatedp", &meter.given, &size, NULL, 0) != 0 ||
        mallctl("thread.deallocatedp", &meter.returned, &size, NULL, 0) != 0)
        meter.given = NULL;
    return meter;
}

const char *memory_allocator_name(void) {
    return "jemalloc-" TEXT_OF_VALUE(JEMALLOC_VERSION_MAJOR) "." TEXT_OF_VALUE(
        JEMALLOC_VERSION_MINOR) "." TEXT_OF_VALUE(JEMALLOC_VERSION_BUGFIX);
}

void memory_describe(void (*append)(void *context, const char *text), void *context) {
    malloc_stats_print(append, context, NULL);
}

void memory_purge(void) {
    mallctl("thread.tcache.flush", NULL, NULL, NULL, 0);
    mallctl("arena." ALL_ARENAS ".purge", NULL, NULL, NULL, 0);
}

void memory_purge_in_background(bool wanted) {
    mallctl("background_thread", NULL, NULL, &wanted, sizeof(wanted));
}

#else

bool memory_is_sparse(const void *block) {
    (void)block;
    return false;
}

void *memory_alloc_packed(size_t size) {
    return memory_alloc(size);
}

void memory_free_packed(void *block) {
    memory_free(block);
}

struct memory_report memory_report(void) {
    return (struct memory_report){0};
}

struct memory_meter memory_meter(void) {
    return (struct memory_meter){NULL, NULL};
}

const char *memory_allocator_name(void) {
    return "libc";
}

void memory_describe(void (*append)(void *context, const char *text), void *context) {
    append(context, "Stats not supported for the current allocator");
}

void memory_purge(void) {
    malloc_trim(0);
}

void memory_purge_in_background(bool wanted) {
    (void)wanted;
}

#endif

void memory_discard_pages(void *start, size_t size) {
    /* Locked pages are refused; they are to read as zero all the same. */
    if (madvise(start, size, MADV_DONTNEED) != 0) memset(start, 0, size);
}
