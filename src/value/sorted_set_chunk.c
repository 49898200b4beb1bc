/* sorted_set_chunk.c: elements of a sorted set's tree, to and from bytes. */
#include "value/sorted_set_chunk.h"

#include "base/invariant.h"

enum {
    SCORE_INTEGER_MAX = 7, /* bytes */
    SCORE_DOUBLE = 8,
    SCORE_FLOAT = 9,
    MEMBER_TEXT = 0,
    MEMBER_BLOB = 1,
    MEMBER_INTEGER = 2, /* and its bytes */
};

/* ---- integers of any size ---- */

/* The integer that ends here. Reads eight bytes, of which those in front may be anything, but are
 * the chunk's: in front of the data stands its head. */
static inline int64_t load_integer(const char *end, unsigned size) {
    int64_t number;
    if (size == 0) return 0;
    memcpy(&number, end - sizeof number, sizeof number);
    return number >> (64 - 8 * size);
}
_Static_assert(offsetof(struct tree_chunk, data) >= sizeof(int64_t), "room for load_integer");

static unsigned integer_size(int64_t number) {
    if (number == 0) return 0;
    uint64_t bits = (uint64_t)(number < 0 ? ~number : number);
    unsigned used = bits == 0 ? 0 : 64 - (unsigned)__builtin_clzll(bits);
    return used / 8 + 1; /* one more bit for the sign */
}

/* ---- where things stand ---- */

static inline uint16_t offset_get(const struct tree_chunk *chunk, uint32_t index) {
    uint16_t offset;
    memcpy(&offset, chunk->data + (size_t)index * CHUNK_OFFSET_SIZE, sizeof offset);
    return offset;
}

static inline void offset_set(struct tree_chunk *chunk, uint32_t index, size_t offset) {
    uint16_t narrow = (uint16_t)offset;
    memcpy(chunk->data + (size_t)index * CHUNK_OFFSET_SIZE, &narrow, sizeof narrow);
}

static inline size_t offsets_size(const struct tree_chunk *chunk) {
    return (size_t)chunk->count * CHUNK_OFFSET_SIZE;
}

/* Where an element begins, or, for the count, where the last one ends. */
static inline size_t offset_at(const struct tree_chunk *chunk, uint32_t index) {
    return index < chunk->count ? offset_get(chunk, index) : chunk->size - offsets_size(chunk);
}

static inline const char *element_at(const struct tree_chunk *chunk, uint32_t index) {
    return chunk->data + offsets_size(chunk) + offset_get(chunk, index);
}

/* ---- reading ---- */

static inline unsigned score_size(unsigned kind) {
    return kind == SCORE_FLOAT ? sizeof(float) : kind;
}

static inline double score_read(const char *at, unsigned kind) {
    if (kind <= SCORE_INTEGER_MAX) return (double)load_integer(at + kind, kind);
    if (kind == SCORE_FLOAT) {
        float narrow;
        memcpy(&narrow, at, sizeof narrow);
        return (double)narrow;
    }
    double score;
    memcpy(&score, at, sizeof score);
    return score;
}

double sorted_chunk_score(const struct tree_chunk *chunk, uint32_t index) {
    const char *at = element_at(chunk, index);
    return score_read(at + 1, (uint8_t)*at & 15);
}

static struct blob *blob_at(const char *member) {
    struct blob *blob;
    memcpy(&blob, member, sizeof blob);
    return blob;
}

struct blob *sorted_chunk_blob(const struct tree_chunk *chunk, uint32_t index) {
    const char *at = element_at(chunk, index);
    unsigned code = (uint8_t)*at;
    return code >> 4 == MEMBER_BLOB ? blob_at(at + 1 + score_size(code & 15)) : NULL;
}

void sorted_chunk_get(const struct tree_chunk *chunk, uint32_t index,
                      struct sorted_set_element *element) {
    const char *elements = chunk->data + offsets_size(chunk);
    const char *at = elements + offset_get(chunk, index);
    unsigned code = (uint8_t)*at++, kind = code & 15, member = code >> 4;
    element->score = score_read(at, kind);
    at += score_size(kind);
    if (member == MEMBER_TEXT) {
        size_t size = (size_t)(elements + offset_at(chunk, index + 1) - at);
        element->member = (struct item){at, size, 0};
    } else if (member == MEMBER_BLOB) {
        struct bytes bytes = blob_bytes(blob_at(at));
        element->member = (struct item){bytes.data, bytes.size, 0};
    } else {
        unsigned size = member - MEMBER_INTEGER;
        element->member = item_integer(load_integer(at + size, size));
    }
}

uint64_t sorted_chunk_hint(const struct tree_chunk *chunk) {
    return score_order(sorted_chunk_score(chunk, 0));
}

size_t sorted_chunk_size_of(const struct tree_chunk *chunk, uint32_t first, uint32_t count) {
    return offset_at(chunk, first + count) - offset_at(chunk, first);
}

/* ---- changing ---- */

static char *encode_score(char *out, double score, unsigned *kind) {
    int64_t integer;
    float narrow;
    if (score_is_integer(score, &integer)) {
        *kind = integer_size(integer);
        memcpy(out, &integer, *kind);
        return out + *kind;
    }
    if (score_is_float(score, &narrow)) {
        *kind = SCORE_FLOAT;
        memcpy(out, &narrow, sizeof narrow);
        return out + sizeof narrow;
    }
    *kind = SCORE_DOUBLE;
    memcpy(out, &score, sizeof score);
    return out + sizeof score;
}

void sorted_chunk_encode(const struct sorted_set_element *element, struct chunk_element *out) {
    unsigned kind, code;
    const struct item *member = &element->member;
    char *at = encode_score(out->bytes + 1, element->score, &kind);
    if (item_is_integer(member)) {
        unsigned size = integer_size(member->integer);
        memcpy(at, &member->integer, size);
        at += size;
        code = MEMBER_INTEGER + size;
    } else if (member->size <= CHUNK_MEMBER_MAX) {
        memcpy(at, member->text, member->size);
        at += member->size;
        code = MEMBER_TEXT;
    } else {
        struct blob *blob = blob_copy(bytes_make(member->text, member->size), 0);
        memcpy(at, &blob, sizeof blob);
        at += sizeof blob;
        code = MEMBER_BLOB;
    }
    out->bytes[0] = (char)(code << 4 | kind);
    out->size = (size_t)(at - out->bytes);
}

static void move_offsets(struct tree_chunk *chunk, uint32_t first, size_t by) {
    for (uint32_t i = first; i < chunk->count; i++)
        offset_set(chunk, i, offset_get(chunk, i) + by); /* modulo 2^16: may also be downwards */
}

void sorted_chunk_insert(struct tree_chunk *chunk, uint32_t index,
                         const struct chunk_element *element) {
    INVARIANT(chunk->size + element->size + CHUNK_OFFSET_SIZE <= chunk->capacity);
    size_t at = offset_at(chunk, index), head = (size_t)index * CHUNK_OFFSET_SIZE;
    char *place = chunk->data + offsets_size(chunk) + at;
    size_t behind = chunk->size - offsets_size(chunk) - at;
    memmove(place + CHUNK_OFFSET_SIZE + element->size, place, behind);
    memmove(chunk->data + head + CHUNK_OFFSET_SIZE, chunk->data + head,
            offsets_size(chunk) - head + at);
    memcpy(place + CHUNK_OFFSET_SIZE, element->bytes, element->size);
    chunk->size += (uint32_t)(element->size + CHUNK_OFFSET_SIZE);
    chunk->count++;
    offset_set(chunk, index, at);
    move_offsets(chunk, index + 1, element->size);
}

void sorted_chunk_remove(struct tree_chunk *chunk, uint32_t index, uint32_t count) {
    size_t from = offset_at(chunk, index), to = offset_at(chunk, index + count);
    size_t elements = offsets_size(chunk), head = (size_t)index * CHUNK_OFFSET_SIZE;
    size_t gone = (size_t)count * CHUNK_OFFSET_SIZE;
    memmove(chunk->data + head, chunk->data + head + gone, elements - head - gone + from);
    memmove(chunk->data + elements - gone + from, chunk->data + elements + to,
            chunk->size - elements - to);
    chunk->size -= (uint32_t)(to - from + gone);
    chunk->count -= count;
    move_offsets(chunk, index, from - to);
}

void sorted_chunk_append(struct tree_chunk *to, const struct tree_chunk *from, uint32_t first,
                         uint32_t count) {
    size_t bytes = sorted_chunk_size_of(from, first, count),
           more = (size_t)count * CHUNK_OFFSET_SIZE;
    size_t before = to->size - offsets_size(to), start = offset_at(from, first);
    INVARIANT(to->size + bytes + more <= to->capacity);
    memmove(to->data + offsets_size(to) + more, to->data + offsets_size(to), before);
    for (uint32_t i = 0; i < count; i++)
        offset_set(to, to->count + i, before + offset_get(from, first + i) - start);
    to->count += count;
    memcpy(to->data + offsets_size(to) + before, from->data + offsets_size(from) + start, bytes);
    to->size += (uint32_t)(bytes + more);
}
