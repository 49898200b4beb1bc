/* slab.c: size classes, pages of blocks, chunks of pages.
 *
 * Owns the chunks and what is known of them, which stands apart from the blocks: a page's metadata
 * is 16 bytes in an array beside its chunk, so that walking free pages touches no page.
 *
 *     class -> list of pages with a free block      the head serves; LIFO, so what was just freed
 * into page  -> list of freed blocks, then the       (and is in the cache) is filled again first
 *              blocks that were never handed out    in the order of addresses: memory grows with
 * use arena -> list of chunks with a free page
 *
 * Inside a page blocks are named by their offset in units of 8 bytes (0 to 2047); the link to the
 * next free one is in a block's first two bytes. A free page is clean (never touched, or discarded)
 * or dirty; dirty ones are used first, and discarded a few at a time once there are many. A chunk
 * whose pages are all free is given back, but for one.
 *
 * Huge pages are not asked for: at ten million entries lookups were no faster with them (86 and 90
 * ns, in a virtual machine), and the first touch of a chunk took 100 us and more at once instead of
 * 512 small faults.
 *
 * Must never write into an allocated block, nor into the array of chunks where a reader may look:
 * an entry is written before the first handle into its chunk is handed out and cleared after the
 * last is freed. */
#include "struct/slab.h"
#include "base/invariant.h"
#include "base/memory.h"
#include <stdbool.h>
#include <string.h>

enum {
    CHUNK_SIZE = 2 << 20,
    PAGE_SIZE = 16 << 10,
    CHUNK_PAGES = CHUNK_SIZE / PAGE_SIZE,
    PAGE_UNITS = PAGE_SIZE / 8,
    CHUNKS_MAX = 1 << (SLAB_HANDLE_BITS - 18),
    SMALL_UNITS = 32, /* classes are 8 bytes apart up to 256 */
    CLASS_COUNT = SMALL_UNITS + 12,
    NO_UNIT = 0xffff,
    DIRTY_PAGES_KEPT = 128,  /* empty pages kept in memory, whatever is in use ... */
    DIRTY_PAGES_SHARE = 32,  /* ... plus this part of those in use */
    DISCARD_PAGES_MAX = 16,  /* given back to the system in one operation */
    ARRAY_CAPACITY_MIN = 16, /* chunks */
};
static const uint32_t none = UINT32_MAX;

/* Above 256 bytes: sizes that fill a page with little left at its end, at most 1/8 apart. */
static const uint8_t class_units[CLASS_COUNT] = {
    1,  2,  3,  4,  5,  6,  7,  8,  9,  10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20,  21,  22,
    23, 24, 25, 26, 27, 28, 29, 30, 31, 32, 36, 40, 45, 51, 58, 64, 73, 81, 91, 102, 113, 128,
};
static const uint8_t large_class[SLAB_BLOCK_MAX / 8 - SMALL_UNITS] = {
    [0 ... 3] = 32,   [4 ... 7] = 33,   [8 ... 12] = 34,  [13 ... 18] = 35,
    [19 ... 25] = 36, [26 ... 31] = 37, [32 ... 40] = 38, [41 ... 48] = 39,
    [49 ... 58] = 40, [59 ... 69] = 41, [70 ... 80] = 42, [81 ... 95] = 43,
};

enum page_state {
    PAGE_FULL,    /* or free */
    PAGE_LISTED,  /* in its class's list */
    PAGE_EMPTIED, /* by slab_empty_begin: in no list, though it has free blocks */
};

struct slab_page {
    uint16_t freed;     /* first of the freed blocks, NO_UNIT when there is none */
    uint16_t untouched; /* first block that was never handed out since the page was taken */
    uint16_t used;      /* blocks handed out */
    uint8_t class;
    uint8_t state;       /* enum page_state */
    uint32_t next, prev; /* page numbers */
};

struct slab_chunk {
    struct slab_page pages[CHUNK_PAGES];
    uint64_t free[CHUNK_PAGES / 64];  /* a bit for each page */
    uint64_t dirty[CHUNK_PAGES / 64]; /* free, and its memory may be resident */
    uint32_t free_count;
    uint32_t next, prev; /* chunk numbers */
};

/* An array of chunk addresses, and the smaller ones before it, which a reader may still use. */
struct slab_array {
    struct slab_array *outgrown;
    char *chunks[];
};

struct slab_state {
    uint32_t partial[CLASS_COUNT]; /* page numbers */
    struct slab_chunk **metadata;  /* by chunk number, NULL where there is none */
    struct slab_array *array;
    uint32_t capacity; /* of metadata and array */
    uint32_t numbers;  /* chunk numbers in use so far */
    uint32_t lowest;   /* no number below it is without a chunk */
    uint32_t chunk_count;
    uint32_t room_first, room_last; /* chunks with a free page */
    uint32_t spare;                 /* the chunk whose pages are all free */
    uint32_t class_pages[CLASS_COUNT];
    size_t class_blocks[CLASS_COUNT]; /* handed out */
    size_t block_bytes, pages_used, pages_dirty;
};

static inline unsigned class_of(size_t size) {
    size_t units = (size + 7) / 8;
    return units <= SMALL_UNITS ? (unsigned)units - 1 : large_class[units - SMALL_UNITS - 1];
}

static inline struct slab_page *page_at(const struct slab_state *s, uint32_t page) {
    return &s->metadata[page / CHUNK_PAGES]->pages[page % CHUNK_PAGES];
}

void slab_init(struct slab *slab) {
    struct slab_state *s = memory_alloc_zeroed(1, sizeof(*s));
    for (unsigned class = 0; class < CLASS_COUNT; class ++)
        s->partial[class] = none;
    s->room_first = s->room_last = s->spare = none;
    slab->state = s;
    slab->chunks = NULL;
}

void slab_release(struct slab *slab) {
    struct slab_state *s = slab->state;
    for (uint32_t i = 0; i < s->numbers; i++) {
        if (s->metadata[i] != NULL) memory_free(slab->chunks[i]);
        memory_free(s->metadata[i]);
    }
    while (s->array != NULL) {
        struct slab_array *outgrown = s->array->outgrown;
        memory_free(s->array);
        s->array = outgrown;
    }
    memory_free(s->metadata);
    memory_free(s);
    *slab = (struct slab){0};
}

/* -- chunks -------------------------------------------------------------------------------------
 */

static void room_unlink(struct slab_state *s, uint32_t number) {
    struct slab_chunk *chunk = s->metadata[number];
    if (chunk->prev == none)
        s->room_first = chunk->next;
    else
        s->metadata[chunk->prev]->next = chunk->next;
    if (chunk->next == none)
        s->room_last = chunk->prev;
    else
        s->metadata[chunk->next]->prev = chunk->prev;
}

static void room_link_first(struct slab_state *s, uint32_t number) {
    struct slab_chunk *chunk = s->metadata[number];
    chunk->prev = none;
    chunk->next = s->room_first;
    if (s->room_first == none)
        s->room_last = number;
    else
        s->metadata[s->room_first]->prev = number;
    s->room_first = number;
}

static void room_link_last(struct slab_state *s, uint32_t number) {
    struct slab_chunk *chunk = s->metadata[number];
    chunk->next = none;
    chunk->prev = s->room_last;
    if (s->room_last == none)
        s->room_first = number;
    else
        s->metadata[s->room_last]->next = number;
    s->room_last = number;
}

static void arrays_double(struct slab *slab) {
    struct slab_state *s = slab->state;
    uint32_t capacity = s->capacity == 0 ? ARRAY_CAPACITY_MIN : s->capacity * 2;
    if (capacity > CHUNKS_MAX) invariant_panic("slab: more than 8 TiB in one arena");
    struct slab_array *array = memory_alloc(sizeof(*array) + capacity * sizeof(array->chunks[0]));
    array->outgrown = s->array;
    for (uint32_t i = 0; i < capacity; i++)
        array->chunks[i] = i < s->numbers ? slab->chunks[i] : NULL;
    s->metadata = memory_resize(s->metadata, capacity * sizeof(s->metadata[0]));
    memset(s->metadata + s->capacity, 0, (capacity - s->capacity) * sizeof(s->metadata[0]));
    s->capacity = capacity;
    s->array = array;
    slab->chunks = array->chunks;
}

/* The lowest number without a chunk. */
static uint32_t chunk_number(struct slab *slab) {
    struct slab_state *s = slab->state;
    if (s->chunk_count < s->numbers) {
        while (s->metadata[s->lowest] != NULL)
            s->lowest++;
        return s->lowest++;
    }
    if (s->numbers == s->capacity) arrays_double(slab);
    s->lowest = s->numbers + 1;
    return s->numbers++;
}

static void chunk_open(struct slab *slab) {
    struct slab_state *s = slab->state;
    uint32_t number = chunk_number(slab);
    struct slab_chunk *chunk = memory_alloc_zeroed(1, sizeof(*chunk));
    memset(chunk->free, 0xff, sizeof(chunk->free));
    chunk->free_count = CHUNK_PAGES;
    char *memory = memory_alloc_aligned(CHUNK_SIZE, CHUNK_SIZE);
    slab->chunks[number] = memory;
    s->metadata[number] = chunk;
    s->chunk_count++;
    room_link_first(s, number);
}

static void chunk_close(struct slab *slab, uint32_t number) {
    struct slab_state *s = slab->state;
    struct slab_chunk *chunk = s->metadata[number];
    room_unlink(s, number);
    for (unsigned i = 0; i < CHUNK_PAGES / 64; i++)
        s->pages_dirty -= (size_t)__builtin_popcountll(chunk->dirty[i]);
    memory_free(slab->chunks[number]);
    slab->chunks[number] = NULL;
    memory_free(chunk);
    s->metadata[number] = NULL;
    if (number < s->lowest) s->lowest = number;
    s->chunk_count--;
}

/* -- pages --------------------------------------------------------------------------------------
 */

/* A free page of the chunk, a dirty one if there is one, and the lowest. */
static unsigned chunk_take_page(struct slab_state *s, struct slab_chunk *chunk) {
    const uint64_t *from = (chunk->dirty[0] | chunk->dirty[1]) != 0 ? chunk->dirty : chunk->free;
    unsigned word = from[0] != 0 ? 0 : 1;
    unsigned bit = (unsigned)__builtin_ctzll(from[word]);
    uint64_t mask = UINT64_C(1) << bit;
    if (chunk->dirty[word] & mask) s->pages_dirty--;
    chunk->dirty[word] &= ~mask;
    chunk->free[word] &= ~mask;
    chunk->free_count--;
    return word * 64 + bit;
}

static void partial_link(struct slab_state *s, uint32_t number, struct slab_page *page) {
    uint32_t *head = &s->partial[page->class];
    page->state = PAGE_LISTED;
    page->prev = none;
    page->next = *head;
    if (*head != none) page_at(s, *head)->prev = number;
    *head = number;
}

static void partial_unlink(struct slab_state *s, struct slab_page *page) {
    page->state = PAGE_FULL;
    if (page->prev == none)
        s->partial[page->class] = page->next;
    else
        page_at(s, page->prev)->next = page->next;
    if (page->next != none) page_at(s, page->next)->prev = page->prev;
}

/* A page for the class, put in its list. */
static __attribute__((noinline)) uint32_t page_open(struct slab *slab, unsigned class) {
    struct slab_state *s = slab->state;
    if (s->room_first == none) chunk_open(slab);
    uint32_t chunk_at = s->room_first;
    struct slab_chunk *chunk = s->metadata[chunk_at];
    if (s->spare == chunk_at) s->spare = none;
    uint32_t number = chunk_at * CHUNK_PAGES + chunk_take_page(s, chunk);
    if (chunk->free_count == 0) room_unlink(s, chunk_at);
    struct slab_page *page = page_at(s, number);
    /* The first block of all would have the handle 0. */
    *page = (struct slab_page){.freed = NO_UNIT,
                               .untouched = number == 0 ? class_units[class] : 0,
                               .class = (uint8_t) class};
    partial_link(s, number, page);
    s->class_pages[class]++;
    s->pages_used++;
    return number;
}

/* Give memory of empty pages of this chunk back to the system, runs of neighbours at once. */
static void chunk_discard(struct slab *slab, uint32_t number) {
    struct slab_state *s = slab->state;
    struct slab_chunk *chunk = s->metadata[number];
    unsigned budget = DISCARD_PAGES_MAX;
    for (unsigned page = 0; page < CHUNK_PAGES && budget > 0;) {
        unsigned first = page;
        while (page < CHUNK_PAGES && budget > 0 &&
               (chunk->dirty[page / 64] >> (page % 64) & 1) != 0) {
            chunk->dirty[page / 64] &= ~(UINT64_C(1) << (page % 64));
            s->pages_dirty--;
            budget--;
            page++;
        }
        if (page > first)
            memory_discard_pages(slab->chunks[number] + (size_t)first * PAGE_SIZE,
                                 (size_t)(page - first) * PAGE_SIZE);
        else
            page++;
    }
}

/* The page's last block was freed. */
static __attribute__((noinline)) void page_close(struct slab *slab, uint32_t number) {
    struct slab_state *s = slab->state;
    uint32_t chunk_at = number / CHUNK_PAGES;
    unsigned at = number % CHUNK_PAGES;
    struct slab_chunk *chunk = s->metadata[chunk_at];
    struct slab_page *page = &chunk->pages[at];
    if (page->state == PAGE_LISTED) partial_unlink(s, page);
    page->state = PAGE_FULL;
    s->class_pages[page->class]--;
    s->pages_used--;
    if (chunk->free_count == 0) room_link_first(s, chunk_at);
    chunk->free[at / 64] |= UINT64_C(1) << (at % 64);
    chunk->dirty[at / 64] |= UINT64_C(1) << (at % 64);
    chunk->free_count++;
    s->pages_dirty++;
    if (chunk->free_count == CHUNK_PAGES) {
        if (s->spare != none) {
            chunk_close(slab, chunk_at);
            return;
        }
        s->spare = chunk_at;
        room_unlink(s, chunk_at); /* used after all others */
        room_link_last(s, chunk_at);
    }
    if (s->pages_dirty > DIRTY_PAGES_KEPT + s->pages_used / DIRTY_PAGES_SHARE)
        chunk_discard(slab, chunk_at);
}

/* -- blocks -------------------------------------------------------------------------------------
 */

slab_handle slab_alloc(struct slab *slab, size_t size) {
    INVARIANT(size - 1 < SLAB_BLOCK_MAX);
    struct slab_state *s = slab->state;
    unsigned class = class_of(size), units = class_units[class];
    uint32_t number = s->partial[class];
    if (unlikely(number == none)) number = page_open(slab, class);
    struct slab_page *page = page_at(s, number);
    uint64_t unit;
    if (page->freed != NO_UNIT) {
        unit = page->freed;
        const char *block =
            slab->chunks[number / CHUNK_PAGES] + ((number % CHUNK_PAGES * PAGE_UNITS + unit) << 3);
        memcpy(&page->freed, block, sizeof(page->freed));
    } else {
        unit = page->untouched;
        page->untouched = (uint16_t)(unit + units);
    }
    page->used++;
    if (page->freed == NO_UNIT && page->untouched + units > PAGE_UNITS) partial_unlink(s, page);
    s->class_blocks[class]++;
    s->block_bytes += (size_t)units * 8;
    return (slab_handle)number * PAGE_UNITS + unit;
}

void slab_free(struct slab *slab, slab_handle handle) {
    struct slab_state *s = slab->state;
    uint32_t number = (uint32_t)(handle / PAGE_UNITS);
    struct slab_page *page = page_at(s, number);
    INVARIANT(page->used > 0);
    memcpy(slab_at(slab, handle), &page->freed, sizeof(page->freed));
    page->freed = (uint16_t)(handle % PAGE_UNITS);
    page->used--;
    s->class_blocks[page->class]--;
    s->block_bytes -= (size_t)class_units[page->class] * 8;
    if (unlikely(page->used == 0))
        page_close(slab, number);
    else if (unlikely(page->state == PAGE_FULL))
        partial_link(s, number, page);
}

/* -- emptying pages -----------------------------------------------------------------------------
 */

/* Does it pay to empty this page? Only as long as more than one page in 64 of the class could be
 * spared. Pages may all be as full as each other: the average is rounded up. */
static bool is_worth_emptying(const struct slab_state *s, const struct slab_page *page) {
    enum { SHARE = 64 };
    size_t capacity = PAGE_UNITS / class_units[page->class];
    size_t pages = s->class_pages[page->class], used = s->class_blocks[page->class];
    size_t room = pages * capacity - used;
    return page->state == PAGE_LISTED && page->used * pages < used + pages &&
           room >= capacity + pages / SHARE * capacity;
}

static size_t list_used(const struct slab *slab, uint32_t number,
                        slab_handle handles[SLAB_PAGE_BLOCKS_MAX]) {
    const struct slab_page *page = page_at(slab->state, number);
    unsigned units = class_units[page->class];
    uint64_t is_free[PAGE_UNITS / 64] = {0};
    slab_handle first = (slab_handle)number * PAGE_UNITS;
    for (uint16_t unit = page->freed; unit != NO_UNIT;) {
        is_free[unit / 64] |= UINT64_C(1) << (unit % 64);
        memcpy(&unit, slab_at(slab, first + unit), sizeof unit);
    }
    size_t count = 0;
    for (unsigned unit = number == 0 ? units : 0; unit < page->untouched; unit += units)
        if (!(is_free[unit / 64] >> (unit % 64) & 1)) handles[count++] = first + unit;
    INVARIANT(count == page->used);
    return count;
}

size_t slab_empty_begin(struct slab *slab, uint32_t *cursor, uint32_t pages_max,
                        slab_handle handles[SLAB_PAGE_BLOCKS_MAX], bool *wrapped) {
    struct slab_state *s = slab->state;
    uint32_t end = s->numbers * CHUNK_PAGES;
    for (uint32_t looked = 0; looked < pages_max && *cursor < end; looked++) {
        uint32_t number = *cursor;
        const struct slab_chunk *chunk = s->metadata[number / CHUNK_PAGES];
        unsigned at = number % CHUNK_PAGES;
        if (!chunk || chunk->free_count == CHUNK_PAGES) {
            *cursor += CHUNK_PAGES - at;
            continue;
        }
        ++*cursor;
        if (chunk->free[at / 64] >> (at % 64) & 1) continue;
        struct slab_page *page = page_at(s, number);
        if (!is_worth_emptying(s, page)) continue;
        partial_unlink(s, page);
        page->state = PAGE_EMPTIED;
        *wrapped = false;
        return list_used(slab, number, handles);
    }
    *wrapped = *cursor >= end;
    if (*wrapped) *cursor = 0;
    return 0;
}

void slab_empty_cancel(struct slab *slab, slab_handle stays) {
    uint32_t number = (uint32_t)(stays / PAGE_UNITS);
    struct slab_page *page = page_at(slab->state, number);
    INVARIANT(page->state == PAGE_EMPTIED && page->used > 0);
    partial_link(slab->state, number, page);
}

size_t slab_class_size(size_t size) {
    INVARIANT(size - 1 < SLAB_BLOCK_MAX);
    return (size_t)class_units[class_of(size)] * 8;
}

size_t slab_block_size(const struct slab *slab, slab_handle handle) {
    const struct slab_page *page = page_at(slab->state, (uint32_t)(handle / PAGE_UNITS));
    return (size_t)class_units[page->class] * 8;
}

struct slab_report slab_report(const struct slab *slab) {
    const struct slab_state *s = slab->state;
    size_t blocks = 0;
    for (unsigned class = 0; class < CLASS_COUNT; class ++)
        blocks += s->class_blocks[class];
    return (struct slab_report){.blocks = blocks,
                                .block_bytes = s->block_bytes,
                                .page_bytes = s->pages_used * PAGE_SIZE,
                                .chunk_bytes = (size_t)s->chunk_count * CHUNK_SIZE};
}

size_t slab_used(const struct slab *slab) {
    return slab->state->block_bytes;
}

size_t slab_discarded(const struct slab *slab) {
    const struct slab_state *s = slab->state;
    return ((size_t)s->chunk_count * CHUNK_PAGES - s->pages_used - s->pages_dirty) * PAGE_SIZE;
}

size_t slab_unused(const struct slab *slab) {
    const struct slab_state *s = slab->state;
    return (size_t)s->chunk_count * CHUNK_SIZE - s->block_bytes;
}
