/* stream.h: streams: entries of fields and values, in the order of their ids, and consumer groups.
 *
 *     struct stream
 *     +--------+------------+------------------+        nodes: see stream_node.h
 *     | object | tree of    | last id, counts, |        groups: see stream_group.h
 *     |        | nodes      | groups           |
 *     +--------+------------+------------------+
 *
 * A stream is always a structure, and may be empty. Groups and consumers are nodes of their own
 * with births: what a view can see is copied before it is changed. */
#ifndef REDSTART_VALUE_STREAM_H
#define REDSTART_VALUE_STREAM_H

#include "value/object.h"
#include "value/stream_id.h"
#include "value/stream_node.h"

struct stream_roster;

struct stream {
    struct object object;
    struct tree tree;             /* of nodes; its count is the stream's length */
    struct stream_id first;       /* of the first entry; 0-0 when empty */
    struct stream_id last;        /* the greatest that was ever given */
    struct stream_id max_deleted; /* the greatest that XDEL deleted */
    uint64_t added;               /* entries that were ever added */
    struct stream_roster *groups; /* NULL: none */
    size_t groups_bytes;          /* of all that hangs there */
};

extern const struct object_class stream_class;

static inline struct epochs *stream_epochs(const struct stream *stream) {
    return stream->object.world->epochs;
}
static inline uint64_t stream_length(const struct stream *stream) {
    return stream->tree.count;
}

/* How large nodes get; 0: no limit. */
struct stream_limits {
    uint64_t node_bytes, node_entries;
};

enum { STREAM_ENTRY_SIZE_MAX = 1 << 30 }; /* bytes of all words of an entry, at most */

/* Put an entry at the end. Its id is greater than the last one, its words are not too large. */
void stream_add(struct stream *stream, const struct stream_id *id, const struct bytes *words,
                size_t fields, const struct stream_limits *limits);

/* What becomes of the groups' references to entries that are deleted. */
enum stream_references {
    STREAM_REFERENCES_KEPT,    /* they stay */
    STREAM_REFERENCES_DELETED, /* they go, too */
    STREAM_REFERENCES_NONE,    /* only what no group still needs is deleted */
};

enum stream_removal {
    STREAM_REMOVED,
    STREAM_ABSENT,
    STREAM_REFERENCED, /* it stays, as a group needs it */
};
enum stream_removal stream_remove(struct stream *stream, const struct stream_id *id,
                                  enum stream_references references);

struct stream_trim {
    bool by_id;       /* entries before `min_id` go, else all but the last `length_max` */
    bool whole_nodes; /* only if all of their node goes */
    uint64_t length_max;
    struct stream_id min_id;
    uint64_t limit; /* with whole_nodes: look at no more entries; 0: no limit */
    enum stream_references references;
};
/* Returns how many were deleted. `end` is the id before which entries were looked at. */
uint64_t stream_trim(struct stream *stream, const struct stream_trim *trim, struct stream_id *end);

/* As if entries up to this id had been added and deleted (XSETID, RDB). */
void stream_set_last(struct stream *stream, const struct stream_id *last, uint64_t added,
                     const struct stream_id *max_deleted);

/* ---- walking: live entries with ids from `from` to `to` ---- */

struct stream_walk {
    const struct stream *stream;
    struct stream_id from, to;
    struct tree_place place;
    struct stream_node_walk node; /* the entry: node.id, and its fields by stream_node_take */
    uint64_t rank;                /* entries of the stream before this one */
    bool backwards;
};
void stream_walk_begin(struct stream_walk *walk, const struct stream *stream,
                       const struct stream_id *from, const struct stream_id *to, bool backwards);
bool stream_walk_next(struct stream_walk *walk);
/* How many the walk still has, the present one included. O(log n). */
uint64_t stream_walk_left(const struct stream_walk *walk);
/* Entries before this id. */
uint64_t stream_rank(const struct stream *stream, const struct stream_id *id);
bool stream_has(const struct stream *stream, const struct stream_id *id);

/* ---- what can be known of how many were added ---- */

/* May an entry from `from` on have been deleted from the middle? */
bool stream_has_gaps(const struct stream *stream, const struct stream_id *from);
/* How many entries were added up to this id; -1: it cannot be known. */
int64_t stream_added_until(const struct stream *stream, const struct stream_id *id);

/* ---- nodes as RDB files have them ---- */

/* Walk by tree_first and tree_next over stream->tree: stream_chunk_id is the node's key (in files
 * 16 bytes, big-endian), stream_node_put_file makes its content. */
/* Put a node behind all others; false when it is not well-formed or not in order. The stream's
 * last id and counts are set afterwards, by stream_set_last. */
bool stream_load_node(struct stream *stream, const struct stream_id *master, struct bytes listpack);

/* Ends the process when an invariant of the structure is broken; for tests. */
void stream_check(const struct stream *stream);

#endif
