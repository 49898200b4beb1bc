/* tree.h: a counted B+tree of chunks: a long sequence of elements, packed into runs of bytes whose
 * format belongs to the owner. Lists, sorted sets and streams are made of it.
 *
 *     node   +-------------------------------------------+
 *            | born | level | n | child, count, hint | ...|    count: elements below the child
 *            +-------------------------|-----------------+     hint: see tree_hint
 *                                      v
 *     chunk  +------------------------------------+------+
 *            | born | count | size | capacity     | data |     data: a listpack, say
 *            +------------------------------------+------+
 *
 * Rank, selection and search cost O(log n). The tree splits and merges nodes; chunks are split and
 * merged by the owner, who knows what is in them: a chunk is opened for change (and copied first
 * when a view can see it, with the way to it), changed, and closed, which brings the counts on the
 * way up to date. Every chunk and node carries its birth; what is replaced is retired.
 *
 * The nodes and chunks are allocations of their own, so that any thread may free them. A frozen
 * copy of the struct is a view of it (value/object.h makes it, with epochs frozen). The struct may
 * be moved by copying it. */
#ifndef REDSTART_STRUCT_TREE_H
#define REDSTART_STRUCT_TREE_H

#include "struct/epoch.h"

enum {
    TREE_FANOUT = 36,    /* a node then fills its size class */
    TREE_DEPTH_MAX = 12, /* a path's room; nodes are a quarter full or more, but at the ends */
};

struct tree_node;

struct tree_chunk {
    uint32_t born;
    uint32_t count;    /* elements */
    uint32_t size;     /* bytes of data in use */
    uint32_t capacity; /* bytes of data that fit */
    char data[];
};

struct tree {
    void *root;     /* NULL, a chunk (depth 0) or a node */
    uint64_t count; /* elements */
    uint64_t chunks;
    size_t bytes;   /* of nodes and chunks */
    uint32_t depth; /* levels of nodes */
};

/* Where a chunk stands, with the way to it. Valid until the tree is changed other than by the
 * functions that are given this place, which keep it valid. */
struct tree_place {
    struct tree_chunk *chunk;                /* NULL: no chunk (end, empty tree) */
    uint64_t before;                         /* elements in the chunks before it */
    struct tree_node *nodes[TREE_DEPTH_MAX]; /* from the root on */
    uint16_t slots[TREE_DEPTH_MAX];
};

/* A number that grows (not strictly) along the chunks, made from a chunk's first element: kept in
 * the nodes, so that a search touches no chunk but where numbers are equal. NULL where nothing is
 * searched for (lists). */
typedef uint64_t tree_hint(const struct tree_chunk *chunk);

void tree_init(struct tree *tree);
/* Frees everything at once; nothing may be in view. Any one thread. `release` (may be NULL) is told
 * of every chunk before. */
void tree_release(struct tree *tree, void (*release)(struct tree_chunk *chunk));

/* ---- finding; changes nothing, also for readers of views ---- */

bool tree_first(const struct tree *tree, struct tree_place *place);
bool tree_last(const struct tree *tree, struct tree_place *place);
/* False (and chunk NULL) at the end. */
bool tree_next(const struct tree *tree, struct tree_place *place);
bool tree_previous(const struct tree *tree, struct tree_place *place);
/* The chunk with element `index`, which is below the count; its place in the chunk is index -
 * place->before. */
void tree_seek_index(const struct tree *tree, uint64_t index, struct tree_place *place);
/* The last chunk that begins at or before what is sought: whose hint is less than `hint`, or equal
 * and begins_after(context, chunk) is false. The first chunk when all begin after it. False when
 * the tree is empty. begins_after NULL: equal hints do not begin after. */
typedef bool tree_begins_after(const void *context, const struct tree_chunk *chunk);
bool tree_seek(const struct tree *tree, uint64_t hint, tree_begins_after *begins_after,
               const void *context, struct tree_place *place);

/* Batch prefetch of what a search will touch, in three steps, each for the whole batch, while
 * nothing is changed: the lowest node on the way to this hint (those above it are few, and near);
 * the link in it; the link's chunk is for the owner. NULL: the tree is so small that it is near. */
const struct tree_node *tree_prefetch_node(const struct tree *tree, uint64_t hint);
const struct tree_chunk *const *tree_prefetch_link(const struct tree_node *node, uint64_t hint);

/* ---- changing ---- */

/* Make the chunk at the place, and all above it, private, with at least this capacity (rounded up
 * to what the allocator gives), and its data kept. The caller changes count, size and data, and
 * closes it before any other call on this tree. A smaller capacity than before gives memory back,
 * never less than what is in use. */
struct tree_chunk *tree_open(struct tree *tree, struct epochs *epochs, struct tree_place *place,
                             size_t capacity);
/* The chunk was changed: counts and hints above are brought up to date. */
void tree_close(struct tree *tree, struct tree_place *place, tree_hint *hint);
/* A new, empty chunk behind (or in front of) the one at the place, or the only one of an empty
 * tree (place then zeroed). The place is the new one's, and it is open: fill and close it. */
struct tree_chunk *tree_add(struct tree *tree, struct epochs *epochs, struct tree_place *place,
                            bool in_front, size_t capacity);
/* Take the chunk out (it is freed or retired). The place is that of the chunk that followed. */
void tree_remove(struct tree *tree, struct epochs *epochs, struct tree_place *place,
                 tree_hint *hint);

/* A deep copy for a new owner. */
void tree_copy(struct tree *to, const struct tree *from, const struct epochs *epochs);
/* Ends the process when an invariant of the structure is broken; for tests. */
void tree_check(const struct tree *tree, tree_hint *hint);

#endif
