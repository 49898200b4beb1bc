/* packed.c: listpacks, ziplists and zipmaps from outside. */
#include "rdb/packed.h"

#include "rdb/format.h"
#include "struct/listpack.h"

enum { END = 255, BIG = 254, ZIPLIST_HEAD = 10, DIGITS_MAX = 20 };

/* ---- ziplists ---- */

/* What stands behind the size of the previous one. False: it cannot be. */
static bool ziplist_item(const char *from, size_t left, size_t *size, struct item *item) {
    if (left < 1) return false;
    uint8_t first = (uint8_t)*from;
    size_t head = 1, data = 0;
    if (first < 0xc0) {
        head = first < 0x40 ? 1 : first < 0x80 ? 2 : 5;
        if (left < head) return false;
        data = head == 1   ? first
               : head == 2 ? (size_t)(first & 63) << 8 | (uint8_t)from[1]
                           : (size_t)rdb_big_endian(from + 1, 4);
        if (head == 5 && first != 0x80) return false;
        if (data > left - head) return false;
        *item = item_make(bytes_make(from + head, data));
        *size = head + data;
        return true;
    }
    if (first >= 0xf1 && first <= 0xfd) {
        *item = item_integer(first - 0xf1);
        *size = 1;
        return true;
    }
    switch (first) {
    case 0xc0: data = 2; break;
    case 0xd0: data = 4; break;
    case 0xe0: data = 8; break;
    case 0xf0: data = 3; break;
    case 0xfe: data = 1; break;
    default: return false;
    }
    if (left < head + data) return false;
    uint64_t shift = 64 - 8 * data;
    *item = item_integer((int64_t)(rdb_little_endian(from + head, data) << shift) >> shift);
    *size = head + data;
    return true;
}

/* The entry at `at`, which is not the end; `previous` is the size of the one before. */
static bool ziplist_entry(struct bytes bytes, size_t at, size_t previous, size_t *size,
                          struct item *item) {
    size_t left = bytes.size - at, head = 1, data;
    uint64_t said = (uint8_t)bytes.data[at];
    if (said >= BIG) {
        head = 5;
        if (left < head) return false;
        said = rdb_little_endian(bytes.data + at + 1, 4);
    }
    if (said != previous) return false;
    if (!ziplist_item(bytes.data + at + head, left - head, &data, item)) return false;
    *size = head + data;
    return true;
}

static bool ziplist_validate(struct bytes bytes, size_t *count) {
    struct item item;
    if (bytes.size < ZIPLIST_HEAD + 1 || rdb_little_endian(bytes.data, 4) != bytes.size)
        return false;
    size_t at = ZIPLIST_HEAD, previous = 0, last = ZIPLIST_HEAD;
    *count = 0;
    while (at < bytes.size && (uint8_t)bytes.data[at] != END) {
        size_t size;
        if (!ziplist_entry(bytes, at, previous, &size, &item)) return false;
        last = at;
        at += size;
        previous = size;
        ++*count;
    }
    uint64_t said = rdb_little_endian(bytes.data + 8, 2);
    return at == bytes.size - 1 && rdb_little_endian(bytes.data + 4, 4) == last &&
           (said == UINT16_MAX || said == *count);
}

static bool ziplist_take(struct packed *packed, struct item *item) {
    const char *at = packed->bytes.data + packed->at;
    size_t head = (uint8_t)*at >= BIG ? 5 : 1, size;
    if ((uint8_t)*at == END) return false;
    ziplist_item(at + head, packed->bytes.size - packed->at - head, &size, item);
    packed->at += head + size;
    return true;
}

/* ---- zipmaps ---- */

static bool zipmap_size(struct bytes bytes, size_t *at, size_t *size) {
    if (*at >= bytes.size) return false;
    *size = (uint8_t)bytes.data[(*at)++];
    if (*size < BIG) return true;
    if (*size == END || bytes.size - *at < 4) return false;
    *size = (size_t)rdb_little_endian(bytes.data + *at, 4);
    *at += 4;
    return true;
}

/* The key, or with `in_pair` the value, at *at, which is not the end. */
static bool zipmap_item(struct bytes bytes, size_t *at, bool in_pair, struct item *item) {
    size_t size, unused = 0;
    if (!zipmap_size(bytes, at, &size)) return false;
    if (in_pair) {
        if (*at >= bytes.size) return false;
        unused = (uint8_t)bytes.data[(*at)++];
    }
    if (size > bytes.size - *at || unused > bytes.size - *at - size) return false;
    *item = item_make(bytes_make(bytes.data + *at, size));
    *at += size + unused;
    return true;
}

static bool zipmap_validate(struct bytes bytes, size_t *count) {
    size_t at = 1;
    struct item item;
    *count = 0;
    if (bytes.size < 2) return false;
    while (at < bytes.size && (uint8_t)bytes.data[at] != END) {
        if (!zipmap_item(bytes, &at, false, &item) || !zipmap_item(bytes, &at, true, &item))
            return false;
        *count += 2;
    }
    uint8_t said = (uint8_t)bytes.data[0];
    return at == bytes.size - 1 && (said >= BIG || said == *count / 2);
}

static bool zipmap_take(struct packed *packed, struct item *item) {
    if (!packed->in_pair && (uint8_t)packed->bytes.data[packed->at] == END) return false;
    zipmap_item(packed->bytes, &packed->at, packed->in_pair, item);
    packed->in_pair = !packed->in_pair;
    return true;
}

/* ---- all ---- */

bool packed_begin(struct packed *packed, enum packed_kind kind, struct bytes bytes) {
    *packed = (struct packed){.kind = kind, .bytes = bytes};
    bool good = false;
    switch (kind) {
    case PACKED_LISTPACK: good = listpack_validate(bytes, &packed->count); break;
    case PACKED_ZIPLIST: good = ziplist_validate(bytes, &packed->count); break;
    case PACKED_ZIPMAP: good = zipmap_validate(bytes, &packed->count); break;
    }
    if (good) packed_rewind(packed);
    return good;
}

void packed_rewind(struct packed *packed) {
    packed->in_pair = false;
    switch (packed->kind) {
    case PACKED_LISTPACK: packed->at = listpack_first(packed->bytes.data); break;
    case PACKED_ZIPLIST: packed->at = ZIPLIST_HEAD; break;
    case PACKED_ZIPMAP: packed->at = 1; break;
    }
}

bool packed_take(struct packed *packed, struct item *item) {
    switch (packed->kind) {
    case PACKED_LISTPACK:
        if (!listpack_take(packed->bytes.data, &packed->at, item)) return false;
        if (item->text) *item = item_make(bytes_make(item->text, item->size));
        return true;
    case PACKED_ZIPLIST: return ziplist_take(packed, item);
    case PACKED_ZIPMAP: return zipmap_take(packed, item);
    }
    return false;
}

/* ---- each once ---- */

static bool is_canonical(const struct item *item) {
    int64_t number;
    return !item->text || item->size > DIGITS_MAX ||
           !number_parse_i64(bytes_make(item->text, item->size), &number);
}

static uint64_t item_hash(const struct item *item, const struct hash_secret *secret) {
    char scratch[ITEM_TEXT_MAX];
    return hash_bytes(secret, item_bytes(item, scratch));
}

/* By a table of offsets, a power of two at least twice as many as the items. */
static bool search_unique(const char *lp, size_t count, unsigned step,
                          const struct hash_secret *secret, struct buffer *room) {
    size_t slots = 16;
    while (slots < 2 * (count / step))
        slots *= 2;
    buffer_clear(room);
    uint32_t *table = (uint32_t *)(void *)buffer_reserve(room, slots * sizeof *table);
    memset(table, 0, slots * sizeof *table);
    size_t at = listpack_first(lp), index = 0;
    while (at != 0) {
        size_t here = at;
        struct item item;
        listpack_take(lp, &at, &item);
        if (index++ % step != 0) continue;
        size_t slot = item_hash(&item, secret) & (slots - 1);
        for (; table[slot] != 0; slot = (slot + 1) & (slots - 1)) {
            struct item other = listpack_get(lp, table[slot]);
            if (item_equal(&item, &other)) return false;
        }
        table[slot] = (uint32_t)here;
    }
    return true;
}

enum { COMPARED_MAX = 16 };

/* What items that are equal have the same: most often others have not. */
static uint64_t item_mark(const struct item *item) {
    uint64_t mark = 0;
    if (!item->text) return (uint64_t)item->integer;
    size_t size = item->size < sizeof mark ? item->size : sizeof mark;
    memcpy(&mark, item->text + item->size - size, size);
    return mark + item->size;
}

static bool compare_unique(const char *lp, unsigned step) {
    struct item items[COMPARED_MAX], item;
    uint64_t marks[COMPARED_MAX];
    size_t at = listpack_first(lp), count = 0, index = 0;
    while (listpack_take(lp, &at, &item)) {
        if (index++ % step != 0) continue;
        uint64_t mark = item_mark(&item);
        for (size_t i = 0; i < count; i++)
            if (marks[i] == mark && item_equal(&items[i], &item)) return false;
        marks[count] = mark;
        items[count++] = item;
    }
    return true;
}

bool packed_is_unique(struct bytes listpack, size_t count, unsigned step,
                      const struct hash_secret *secret, struct buffer *room) {
    size_t at = listpack_first(listpack.data);
    struct item item;
    while (listpack_take(listpack.data, &at, &item))
        if (!is_canonical(&item)) return false;
    if (count <= (size_t)COMPARED_MAX * step) return compare_unique(listpack.data, step);
    return search_unique(listpack.data, count, step, secret, room);
}
