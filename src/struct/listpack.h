/* listpack.h: a list of small items in one run of bytes, in Redis's format, so that RDB files and
 * memory have the same.
 *
 *     +-------+-------+--------+--------+-----+------+
 *     | bytes | count | item 0 | item 1 | ... | 0xff |      numbers are little-endian
 *     | 4     | 2     |        |        |     | 1    |      count 65535: more, or not known
 *     +-------+-------+--------+--------+-----+------+
 *     item: encoding and data | size of that, 1 to 5 bytes, to be read backwards
 *
 * (Format: Redis's public specification of listpack.) The functions that change one work in place
 * on a run of bytes that has room; the struct buffer ones make it. An offset names an item, 0 is no
 * item (the end). Offsets behind a change move with it. */
#ifndef REDSTART_STRUCT_LISTPACK_H
#define REDSTART_STRUCT_LISTPACK_H

#include "base/buffer.h"
#include "struct/item.h"

enum {
    LISTPACK_HEADER_SIZE = 6,
    LISTPACK_EMPTY_SIZE = 7,
    LISTPACK_ITEM_EXTRA_MAX = 10, /* bytes that an item may take beyond its text's */
};
#define LISTPACK_SIZE_MAX ((size_t)1 << 30) /* of one that we make */

/* ---- reading; the listpack is well-formed ---- */

size_t listpack_size(const char *lp); /* bytes of it all */
size_t listpack_count(const char *lp);
/* Offsets; 0 when there is none. */
size_t listpack_first(const char *lp);
size_t listpack_last(const char *lp);
size_t listpack_next(const char *lp, size_t at);
size_t listpack_previous(const char *lp, size_t at); /* at 0: the last */
/* Negative from the end: -1 is the last. Walks from the nearer end. */
size_t listpack_seek(const char *lp, int64_t index);
struct item listpack_get(const char *lp, size_t at);
/* Get the item and step to the next, in one walk; false when at is 0. */
bool listpack_take(const char *lp, size_t *at, struct item *item);
/* The first item from `at` on that equals, looking at every (skip + 1)th; 0 when none does. */
size_t listpack_find(const char *lp, size_t at, const struct item *wanted, unsigned skip);

/* Is this a well-formed listpack of exactly these bytes? Looks at every item: use it on all that
 * comes from outside. `count` may be NULL. */
bool listpack_validate(struct bytes bytes, size_t *count);

/* ---- changing, where there is room ---- */

/* Bytes that this item takes in a listpack. */
size_t listpack_item_size(const struct item *item);
/* Bytes that the item at this offset takes. */
size_t listpack_size_at(const char *lp, size_t at);
void listpack_init(char *lp); /* empty; LISTPACK_EMPTY_SIZE bytes of room */
/* Before the item at `at`, 0: at the end. Needs listpack_item_size(item) more bytes. The item's
 * text is outside the listpack. Returns the offset of the new one. */
size_t listpack_insert(char *lp, size_t at, const struct item *item);
/* Needs the new item's size less the old one's. */
void listpack_replace(char *lp, size_t at, const struct item *item);
/* Take `count` items away, or all up to the end; returns the offset of the one that follows, 0 at
 * the end. */
size_t listpack_remove(char *lp, size_t at, size_t count);
/* Put a run of `count` whole items, as they stand in another listpack, at the end. Needs its size.
 */
void listpack_append_run(char *lp, struct bytes run, size_t count);
/* Put all of `from` behind (or in front of) what is in `lp`; needs from's size less 7 more. */
void listpack_join(char *lp, const char *from, bool in_front);

/* ---- tight: inside memory alone ----
 *
 * A listpack that no file and no other server sees may have items in codes of our own: integers of
 * 5 to 7 bytes, and digits with zeros in front as their number and how many they are. Timestamps,
 * prices and ids come so. Sizes, offsets and steps are found by the functions above; what gives or
 * takes items of such a listpack is here. listpack_validate refuses what is tight. */

size_t listpack_item_size_tight(const struct item *item);
size_t listpack_insert_tight(char *lp, size_t at, const struct item *item);
void listpack_replace_tight(char *lp, size_t at, const struct item *item);
/* The item may be made in `scratch`. */
struct item listpack_get_tight(const char *lp, size_t at, char scratch[ITEM_TEXT_MAX]);
bool listpack_take_tight(const char *lp, size_t *at, struct item *item,
                         char scratch[ITEM_TEXT_MAX]);
size_t listpack_find_tight(const char *lp, size_t at, const struct item *wanted);
/* Bytes that the items from `at` on would take more in a file. */
size_t listpack_saved_from(const char *lp, size_t at);

/* ---- the same on a buffer that holds exactly one listpack ---- */

void listpack_begin(struct buffer *b); /* empty, whatever it held */
size_t listpack_put(struct buffer *b, size_t at, const struct item *item);
void listpack_put_replace(struct buffer *b, size_t at, const struct item *item);
size_t listpack_put_remove(struct buffer *b, size_t at, size_t count);
/* The buffer becomes the same list as files have it, or in tight codes. */
void listpack_put_loosened(struct buffer *b, const char *tight);
void listpack_put_tightened(struct buffer *b, const char *loose);

#endif
