/* packed.h: lists of items in one run of bytes, of all ages, looked at in whole before the first is
 * taken.
 *
 *     listpack   see struct/listpack.h
 *     ziplist    | bytes 4 | tail 4 | count 2 | entry ... | 0xff |
 *                entry: size of the previous, 1 byte or 254 and 4 | encoding | data
 *     zipmap     | count 1 | key size, key, value size, free 1, value, free bytes ... | 0xff |
 *                size: 1 byte below 254, or 254 and 4 bytes
 *
 * Integers are little-endian, but for sizes in ziplists' encodings. For the files of this folder.
 */
#ifndef REDSTART_RDB_PACKED_H
#define REDSTART_RDB_PACKED_H

#include "base/buffer.h"
#include "base/hash.h"
#include "struct/item.h"

enum packed_kind { PACKED_LISTPACK, PACKED_ZIPLIST, PACKED_ZIPMAP };

struct packed {
    enum packed_kind kind;
    struct bytes bytes;
    size_t at;    /* of the next item */
    size_t count; /* of all items; a zipmap's pairs are two each */
    bool in_pair; /* zipmap: the value comes next */
};

/* False: it is not well-formed. */
bool packed_begin(struct packed *packed, enum packed_kind kind, struct bytes bytes);
/* False at the end. Items are as item_make gives them. */
bool packed_take(struct packed *packed, struct item *item);
/* From the first one again. */
void packed_rewind(struct packed *packed);

/* Is every (step)th item of a well-formed listpack, from the first on, there once, and is every
 * text one that item_make would leave a text? `room` is for the search. */
bool packed_is_unique(struct bytes listpack, size_t count, unsigned step,
                      const struct hash_secret *secret, struct buffer *room);

#endif
