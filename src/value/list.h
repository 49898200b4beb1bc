/* list.h: elements in an order, cheap at both ends.
 *
 *     FLAT_LISTPACK    a listpack, as long as it is within the limit
 *     FLAT_NONE        a tree (struct/tree.h) of tight listpacks (struct/listpack.h) of up to
 *                      LIST_CHUNK_MAX bytes; an element that is larger has a chunk of its own
 *
 *     tree     +-----------------+
 *              | 31 | 28 | 30    |      elements below each
 *              +--|----|----|----+
 *                 v    v    v
 *              listpack ...             2 KiB each: small enough to insert into anywhere, large
 *                                       enough that the tree costs 2 % of them
 *
 * Becomes a tree beyond the limit, and flat again when one chunk is left that is half the limit. */
#ifndef REDSTART_VALUE_LIST_H
#define REDSTART_VALUE_LIST_H

#include "struct/listpack.h"
#include "struct/tree.h"
#include "value/object.h"

enum { LIST_CHUNK_MAX = 2048 - 16 }; /* bytes of a chunk's data */
/* Bytes of an element: with its head and foot it is to fit into a listpack. */
#define LIST_ELEMENT_MAX (LISTPACK_SIZE_MAX - 64)

struct list {
    struct object object;
    struct tree tree;
};

extern const struct object_class list_class;

/* list-max-listpack-size as it stands in the configuration: -1 to -5 for 4 to 64 KiB, or so many
 * elements (and 8 KiB). */
struct list_limits {
    int64_t max;
};

uint64_t list_count(const struct list *list);
/* The element at an index below the count; borrowed until the list is changed, or made in the
 * scratch. */
struct item list_get(const struct list *list, uint64_t index, char scratch[ITEM_TEXT_MAX]);

/* The item is outside the list. */
void list_push(struct list *list, const struct list_limits *limits, const struct item *item,
               bool at_head);
/* Before the element at `index`, up to the count. */
void list_insert(struct list *list, const struct list_limits *limits, uint64_t index,
                 const struct item *item);
void list_set(struct list *list, const struct list_limits *limits, uint64_t index,
              const struct item *item);
/* Take `count` elements away from `index` on. */
void list_remove(struct list *list, const struct list_limits *limits, uint64_t index,
                 uint64_t count);
/* Take away elements that equal, at most `max`, from either end on; how many there were. */
uint64_t list_remove_equal(struct list *list, const struct list_limits *limits,
                           const struct item *item, uint64_t max, bool from_tail);

/* The first or the last element of a list that has any, and then, with nothing changed in between,
 * without it: what pops do, quicker than by the index. */
struct list_end {
    struct item item; /* borrowed until the list is changed, or made in the scratch */
    struct tree_place place;
    size_t at; /* in the listpack */
    char scratch[ITEM_TEXT_MAX];
};
void list_find_end(const struct list *list, bool at_head, struct list_end *end);
void list_remove_end(struct list *list, const struct list_limits *limits, struct list_end *end);

/* ---- walking, in both directions; the list stays as it is ---- */

struct list_cursor {
    const struct list *list;
    struct tree_place place;
    const char *listpack;
    size_t at; /* the next one's offset; 0: none in this listpack */
    bool backward;
    char scratch[ITEM_TEXT_MAX];
};

/* Before the element at `index` (below the count, or nothing is there), in that direction. */
void list_seek(const struct list *list, uint64_t index, bool backward, struct list_cursor *cursor);
/* The next element; false at the end. Borrowed until the list is changed or the next is taken. */
bool list_take(struct list_cursor *cursor, struct item *item);

#endif
