/* record_table_chunk.c: one chunk of a record table: how a record stands in it, finding, adding,
 * removing, and the sizes that chunks have. Knows nothing of the trie.
 *
 * A record's bytes:
 *
 *     0 sssssss | key, s bytes | value, text                                      most records
 *     1 1 v e 0 nnn | time, 8 bytes if e | key, integer of n + 1 bytes | value
 *     1 0 v e 000 0 | key size, 1 byte | time, 8 bytes if e | key | value
 *     1 0 0 e 000 1 | time, 8 bytes if e | pointer to a struct record_block
 *
 * v: the value is an integer, of as many bytes as are left. Integers are little-endian. */
#include "base/prefetch.h"
#include "struct/record_table_node.h"

#ifdef __SSE2__
#include <emmintrin.h>
#endif

_Static_assert(sizeof(struct record_chunk) == 16, "SIMD loads of slots are aligned with the chunk");
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "integers are little-endian");

enum {
    HEAD_EXTENDED = 0x80,
    HEAD_KEY_INTEGER = 0x40,
    HEAD_VALUE_INTEGER = 0x20,
    HEAD_EXPIRES = 0x10,
    HEAD_LARGE = 0x01,
    HEAD_WIDTH = 0x07,
    HEAD_KEY_MAX = 127,
    TIME_SIZE = sizeof(int64_t),
};

/* -- integers -----------------------------------------------------------------------------------
 */

static unsigned integer_width(int64_t integer) {
    uint64_t magnitude = (uint64_t)(integer ^ (integer >> 63));
    return magnitude == 0 ? 1 : (unsigned)(64 - __builtin_clzll(magnitude)) / 8 + 1;
}

/* Loads the eight bytes that end with it: there is always a chunk's header before a record. */
static inline int64_t integer_load(const uint8_t *at, size_t width) {
    int64_t integer;
    memcpy(&integer, at + width - sizeof integer, sizeof integer);
    return integer >> (64 - 8 * width);
}

static inline int64_t time_load(const uint8_t *at) {
    int64_t when;
    memcpy(&when, at, sizeof when);
    return when;
}

/* -- reading a record ---------------------------------------------------------------------------
 */

struct record_block *record_block_at(const uint8_t *at) {
    if ((*at & (HEAD_EXTENDED | HEAD_KEY_INTEGER | HEAD_LARGE)) != (HEAD_EXTENDED | HEAD_LARGE))
        return NULL;
    struct record_block *block;
    memcpy(&block, at + 1 + (*at & HEAD_EXPIRES ? TIME_SIZE : 0), sizeof block);
    return block;
}

int64_t record_expiry_at(const uint8_t *at) {
    if ((*at & (HEAD_EXTENDED | HEAD_EXPIRES)) != (HEAD_EXTENDED | HEAD_EXPIRES))
        return RECORD_NO_EXPIRY;
    bool has_key_size = !(*at & (HEAD_KEY_INTEGER | HEAD_LARGE));
    return time_load(at + 1 + has_key_size);
}

static struct item text_item(const uint8_t *at, size_t size) {
    return (struct item){.text = (const char *)at, .size = size};
}

static void read_block(const struct record_block *block, struct record *out) {
    out->key = item_make(bytes_make(block->bytes, block->key_size));
    out->value = item_make(bytes_make(block->bytes + block->key_size, block->value_size));
}

static void read_extended(const uint8_t *at, size_t size, struct record *out) {
    const uint8_t *end = at + size;
    unsigned head = *at;
    out->expiry = record_expiry_at(at);
    const struct record_block *block = record_block_at(at);
    if (block != NULL) {
        read_block(block, out);
        return;
    }
    size_t key_size = (head & HEAD_WIDTH) + 1;
    at++;
    if (!(head & HEAD_KEY_INTEGER)) key_size = *at++;
    if (head & HEAD_EXPIRES) at += TIME_SIZE;
    if (head & HEAD_KEY_INTEGER)
        out->key = item_integer(integer_load(at, key_size));
    else
        out->key = text_item(at, key_size);
    at += key_size;
    if (head & HEAD_VALUE_INTEGER)
        out->value = item_integer(integer_load(at, (size_t)(end - at)));
    else
        out->value = text_item(at, (size_t)(end - at));
}

void record_read(const uint8_t *at, size_t size, struct record *out) {
    if (*at & HEAD_EXTENDED) {
        read_extended(at, size, out);
        return;
    }
    out->key = text_item(at + 1, *at);
    out->value = text_item(at + 1 + *at, size - 1 - *at);
    out->expiry = RECORD_NO_EXPIRY;
}

static bool extended_key_equal(const uint8_t *at, const struct item *key) {
    const struct record_block *block = record_block_at(at);
    if (block != NULL) {
        char scratch[ITEM_TEXT_MAX];
        struct bytes bytes = item_bytes(key, scratch);
        return bytes_equal(bytes, bytes_make(block->bytes, block->key_size));
    }
    size_t time_size = *at & HEAD_EXPIRES ? TIME_SIZE : 0;
    if (*at & HEAD_KEY_INTEGER)
        return key->text == NULL &&
               integer_load(at + 1 + time_size, (*at & HEAD_WIDTH) + 1) == key->integer;
    return key->text != NULL &&
           bytes_equal(bytes_make(at + 2 + time_size, at[1]), bytes_make(key->text, key->size));
}

bool record_has_key(const uint8_t *at, const struct item *key) {
    if (unlikely(*at & HEAD_EXTENDED)) return extended_key_equal(at, key);
    return key->text != NULL &&
           bytes_equal(bytes_make(at + 1, *at), bytes_make(key->text, key->size));
}

/* -- writing a record ---------------------------------------------------------------------------
 */

static void write_large(struct record_table *table, const struct record_world *world,
                        const struct record *record, uint8_t *at) {
    char key_scratch[ITEM_TEXT_MAX], value_scratch[ITEM_TEXT_MAX];
    struct bytes key = item_bytes(&record->key, key_scratch);
    struct bytes value = item_bytes(&record->value, value_scratch);
    struct record_block *block = memory_alloc(sizeof *block + key.size + value.size);
    block->born = world->epochs->now;
    block->key_size = key.size;
    block->value_size = value.size;
    memcpy(block->bytes, key.data, key.size);
    memcpy(block->bytes + key.size, value.data, value.size);
    table->bytes += record_block_size(block);
    memcpy(at, &block, sizeof block);
}

static uint8_t *write_item(uint8_t *at, const struct item *item, size_t size) {
    if (size > 0) memcpy(at, item->text ? (const void *)item->text : &item->integer, size);
    return at + size;
}

static uint8_t *write_expiry(uint8_t *at, int64_t expiry) {
    if (expiry == RECORD_NO_EXPIRY) return at;
    memcpy(at, &expiry, sizeof expiry);
    return at + sizeof expiry;
}

void record_write(struct record_table *table, const struct record_world *world,
                  const struct record *record, struct record_bytes *out) {
    const struct item *key = &record->key, *value = &record->value;
    size_t key_size = key->text ? key->size : integer_width(key->integer);
    size_t value_size = value->text ? value->size : integer_width(value->integer);
    bool expires = record->expiry != RECORD_NO_EXPIRY;
    uint8_t *at = out->bytes;
    if (key->text && key_size <= HEAD_KEY_MAX && value->text && !expires &&
        key_size + value_size <= RECORD_INLINE_MAX) {
        *at++ = (uint8_t)key_size;
        at = write_item(write_item(at, key, key_size), value, value_size);
        out->size = (size_t)(at - out->bytes);
        return;
    }
    unsigned head = HEAD_EXTENDED | (expires ? HEAD_EXPIRES : 0);
    if (key_size > RECORD_INLINE_MAX || value_size > RECORD_INLINE_MAX - key_size) {
        *at++ = (uint8_t)(head | HEAD_LARGE);
        at = write_expiry(at, record->expiry);
        write_large(table, world, record, at);
        out->size = (size_t)(at - out->bytes) + sizeof(void *);
        return;
    }
    if (!value->text) head |= HEAD_VALUE_INTEGER;
    if (key->text) {
        *at++ = (uint8_t)head;
        *at++ = (uint8_t)key_size;
    } else {
        *at++ = (uint8_t)(head | HEAD_KEY_INTEGER | (unsigned)(key_size - 1));
    }
    at = write_expiry(at, record->expiry);
    at = write_item(write_item(at, key, key_size), value, value_size);
    out->size = (size_t)(at - out->bytes);
}

static void release_node(void *owner, uint64_t node) {
    (void)owner;
    memory_free((void *)(uintptr_t)node);
}

void record_block_drop(struct record_table *table, const struct record_world *world,
                       struct record_block *block) {
    size_t size = record_block_size(block);
    table->bytes -= size;
    if (epoch_shared(world->epochs, block->born))
        epochs_retire(world->epochs, release_node, NULL, (uint64_t)(uintptr_t)block, size);
    else
        memory_free(block);
}

/* -- bounds -------------------------------------------------------------------------------------
 */

/* A time as bounds have it: lower than the time where they cannot have it exactly. */
static uint64_t bound_of_time(int64_t expiry) {
    if (expiry == RECORD_NO_EXPIRY) return RECORD_BOUND_NONE;
    if (expiry < 0) return 0;
    return (uint64_t)expiry < RECORD_BOUND_NONE ? (uint64_t)expiry : RECORD_BOUND_NONE - 1;
}

static uint64_t bound_load(const struct record_chunk *chunk) {
    uint64_t bound = 0;
    memcpy(&bound, chunk->bound, sizeof chunk->bound);
    return bound;
}

static void bound_store(struct record_chunk *chunk, uint64_t bound) {
    memcpy(chunk->bound, &bound, sizeof chunk->bound);
}

int64_t chunk_bound(const struct record_chunk *chunk) {
    uint64_t bound = bound_load(chunk);
    return bound == RECORD_BOUND_NONE ? RECORD_NO_EXPIRY : (int64_t)bound;
}

void chunk_note_bound(struct record_chunk *chunk, int64_t expiry) {
    uint64_t bound = bound_of_time(expiry);
    if (bound < bound_load(chunk)) bound_store(chunk, bound);
}

void chunk_tighten_bound(struct record_chunk *chunk) {
    uint64_t bound = RECORD_BOUND_NONE;
    struct record_place walk = {0, chunk_end(chunk)};
    while (chunk_step(chunk, &walk)) {
        uint64_t each = bound_of_time(record_expiry_at(walk.at));
        if (each < bound) bound = each;
    }
    bound_store(chunk, bound);
}

/* -- chunks -------------------------------------------------------------------------------------
 */

/* The allocator's size classes, in units. */
static const uint8_t classes[] = {4,  5,  6,  7,  8,  10, 12,  14,  16,  20,  24,  28, 32,
                                  40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 240};
enum { CLASS_COUNT = sizeof classes };

static unsigned class_of(size_t need) {
    size_t units = (need + RECORD_CHUNK_UNIT - 1) / RECORD_CHUNK_UNIT;
    unsigned class = 0;
    while (class < CLASS_COUNT && classes[class] < units)
        class ++;
    INVARIANT(class < CLASS_COUNT);
    return class;
}

struct record_chunk *chunk_create(struct record_table *table, const struct record_world *world,
                                  unsigned depth, size_t need) {
    uint8_t capacity = classes[class_of(need)];
    size_t size = (size_t)capacity * RECORD_CHUNK_UNIT;
    struct record_chunk *chunk = memory_alloc(size);
    *chunk = (struct record_chunk){
        .born = world->epochs->now, .depth = (uint8_t)depth, .capacity = capacity};
    bound_store(chunk, RECORD_BOUND_NONE);
    table->bytes += size;
    table->chunks++;
    return chunk;
}

struct record_chunk *chunk_remake(struct record_table *table, const struct record_world *world,
                                  struct record_chunk *chunk, size_t need) {
    size_t least = chunk_need(chunk->count, chunk->used);
    chunk_approach(chunk);
    struct record_chunk *other =
        chunk_create(table, world, chunk->depth, need > least ? need : least);
    uint8_t capacity = other->capacity;
    memcpy(other, chunk, chunk_need(chunk->count, 0));
    other->born = world->epochs->now;
    other->capacity = capacity;
    memcpy((uint8_t *)other + chunk_size(other) - other->used, chunk_end(chunk) - chunk->used,
           chunk->used);
    chunk_drop(table, world, chunk);
    return other;
}

void chunk_drop(struct record_table *table, const struct record_world *world,
                struct record_chunk *chunk) {
    memo_forget(world, chunk);
    table->bytes -= chunk_size(chunk);
    table->chunks--;
    if (epoch_shared(world->epochs, chunk->born))
        epochs_retire(world->epochs, release_node, NULL, chunk_word(chunk), chunk_size(chunk));
    else
        memory_free(chunk);
}

void chunk_approach(const struct record_chunk *chunk) {
    enum { LINE = 64 };
    for (const uint8_t *at = chunk_end(chunk) - chunk->used; at < chunk_end(chunk); at += LINE)
        memory_prefetch(at);
}

bool chunk_is_roomy(const struct record_chunk *chunk) {
    unsigned class = class_of(chunk_need(chunk->count, chunk->used));
    return class + 1 < CLASS_COUNT && chunk->capacity > classes[class + 1];
}

/* -- finding ------------------------------------------------------------------------------------
 */

#ifdef __SSE2__

enum {
    SLOTS_A_LOAD = 8,
    SLOTS_A_MASK = 64, /* a bit each */
};

static inline __m128i slots_load(const struct record_slot *slots) {
    return _mm_load_si128((const __m128i *)(const void *)slots);
}

/* Which of 1 to SLOTS_A_MASK slots have the tag. Reads whole sixteens: even the smallest chunk with
 * so many records has that much memory. */
static inline uint64_t slots_hits(const struct record_slot *slots, unsigned count, unsigned tag) {
    const __m128i wanted = _mm_set1_epi8((char)tag), low = _mm_set1_epi16(0xff);
    uint64_t hits = 0;
    for (unsigned i = 0; i < count; i += 2 * SLOTS_A_LOAD) {
        __m128i tags = _mm_packus_epi16(_mm_and_si128(slots_load(slots + i), low),
                                        _mm_and_si128(slots_load(slots + i + SLOTS_A_LOAD), low));
        hits |= (uint64_t)(unsigned)_mm_movemask_epi8(_mm_cmpeq_epi8(tags, wanted)) << i;
    }
    return hits & (~UINT64_C(0) >> (SLOTS_A_MASK - count));
}
static inline size_t sums_total(__m128i sums) {
    return (size_t)_mm_cvtsi128_si64(sums) +
           (size_t)_mm_cvtsi128_si64(_mm_unpackhi_epi64(sums, sums));
}
/* The sizes of the first `wanted` of `count` slots. Goes through all of them, as slots_hits does:
 * steps whose number depends on what was found are steps that the processor guesses wrong. */
static inline size_t slots_sum(const struct record_slot *slots, unsigned count, unsigned wanted) {
    const __m128i end = _mm_set1_epi16((short)wanted), step = _mm_set1_epi16(SLOTS_A_LOAD);
    __m128i index = _mm_setr_epi16(0, 1, 2, 3, 4, 5, 6, 7), sums = _mm_setzero_si128();
    for (unsigned i = 0; i < count; i += SLOTS_A_LOAD) {
        __m128i sizes = _mm_srli_epi16(slots_load(slots + i), 8);
        sizes = _mm_and_si128(sizes, _mm_cmpgt_epi16(end, index));
        sums = _mm_add_epi64(sums, _mm_sad_epu8(sizes, _mm_setzero_si128()));
        index = _mm_add_epi16(index, step);
    }
    return sums_total(sums);
}

static inline unsigned mask_count(const struct record_chunk *chunk, unsigned base) {
    unsigned left = chunk->count - base;
    return left < SLOTS_A_MASK ? left : SLOTS_A_MASK;
}

bool chunk_find(const struct record_chunk *chunk, unsigned tag, const struct item *key,
                struct record_place *place) {
    for (unsigned base = 0; base < chunk->count; base += SLOTS_A_MASK) {
        uint64_t hits = slots_hits(chunk->slots + base, mask_count(chunk, base), tag);
        for (; hits != 0; hits &= hits - 1) {
            unsigned slot = base + (unsigned)__builtin_ctzll(hits);
            const uint8_t *at = chunk_end(chunk) - slots_sum(chunk->slots, chunk->count, slot + 1);
            if (!record_has_key(at, key)) continue;
            *place = (struct record_place){slot, at};
            return true;
        }
    }
    return false;
}

struct record_place chunk_candidate(const struct record_chunk *chunk, unsigned tag) {
    for (unsigned base = 0; base < chunk->count; base += SLOTS_A_MASK) {
        uint64_t hits = slots_hits(chunk->slots + base, mask_count(chunk, base), tag);
        if (hits == 0) continue;
        return chunk_place(chunk, base + (unsigned)__builtin_ctzll(hits));
    }
    return (struct record_place){chunk->count, chunk_end(chunk) - chunk->used};
}

struct record_place chunk_place(const struct record_chunk *chunk, unsigned index) {
    return (struct record_place){index, chunk_end(chunk) -
                                            slots_sum(chunk->slots, chunk->count, index + 1)};
}

#else

struct record_place chunk_candidate(const struct record_chunk *chunk, unsigned tag) {
    struct record_place walk = {0, chunk_end(chunk)};
    while (chunk_step(chunk, &walk))
        if (chunk->slots[walk.index - 1].tag == tag)
            return (struct record_place){walk.index - 1, walk.at};
    return walk;
}

bool chunk_find(const struct record_chunk *chunk, unsigned tag, const struct item *key,
                struct record_place *place) {
    struct record_place walk = {0, chunk_end(chunk)};
    while (chunk_step(chunk, &walk)) {
        if (chunk->slots[walk.index - 1].tag != tag || !record_has_key(walk.at, key)) continue;
        *place = (struct record_place){walk.index - 1, walk.at};
        return true;
    }
    return false;
}

struct record_place chunk_place(const struct record_chunk *chunk, unsigned index) {
    size_t sum = 0;
    for (unsigned i = 0; i <= index; i++)
        sum += chunk->slots[i].size;
    return (struct record_place){index, chunk_end(chunk) - sum};
}

#endif

/* -- changing -----------------------------------------------------------------------------------
 */

void chunk_append(struct record_chunk *chunk, unsigned tag, const uint8_t *bytes, size_t size) {
    INVARIANT(chunk_need((size_t)chunk->count + 1, chunk->used + size) <= chunk_size(chunk));
    memcpy((uint8_t *)chunk + chunk_size(chunk) - chunk->used - size, bytes, size);
    chunk->slots[chunk->count] = (struct record_slot){(uint8_t)tag, (uint8_t)size};
    chunk->used = (uint16_t)(chunk->used + size);
    chunk->count++;
    if (record_block_at(bytes) != NULL) chunk->large++;
}

void chunk_exchange(const struct record_world *world, struct record_chunk *chunk,
                    struct record_place place, const uint8_t *bytes, size_t size) {
    struct record_slot *slot = &chunk->slots[place.index];
    size_t old_size = slot->size;
    uint8_t *first = (uint8_t *)chunk + chunk_size(chunk) - chunk->used;
    uint8_t *at = (uint8_t *)chunk + (place.at - (const uint8_t *)chunk);
    if (record_block_at(at) != NULL) chunk->large--;
    if (record_block_at(bytes) != NULL) chunk->large++;
    INVARIANT(chunk_need(chunk->count, chunk->used - old_size + size) <= chunk_size(chunk));
    if (size != old_size) {
        memo_forget(world, chunk);
        memmove(first + old_size - size, first, (size_t)(at - first));
        slot->size = (uint8_t)size;
        chunk->used = (uint16_t)(chunk->used + size - old_size);
    }
    memcpy(at + old_size - size, bytes, size);
}

void chunk_remove(const struct record_world *world, struct record_chunk *chunk,
                  struct record_place place) {
    memo_forget(world, chunk);
    size_t size = chunk->slots[place.index].size;
    uint8_t *first = (uint8_t *)chunk + chunk_size(chunk) - chunk->used;
    if (record_block_at(place.at) != NULL) chunk->large--;
    if (chunk->slots[chunk->count - 1].size == size) { /* the last one into its place */
        uint8_t *at = (uint8_t *)chunk + (place.at - (const uint8_t *)chunk);
        if (at != first) memcpy(at, first, size);
        chunk->slots[place.index] = chunk->slots[chunk->count - 1];
    } else {
        memmove(first + size, first, (size_t)(place.at - first));
        memmove(&chunk->slots[place.index], &chunk->slots[place.index + 1],
                (size_t)(chunk->count - place.index - 1) * sizeof chunk->slots[0]);
    }
    chunk->used = (uint16_t)(chunk->used - size);
    chunk->count--;
}
