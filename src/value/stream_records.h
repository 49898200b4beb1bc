/* stream_records.h: records of one size, each beginning with a stream id, in the order of the ids:
 * what waits to be acknowledged, of a group and of each consumer.
 *
 *     chunk   | id, ... | id, ... | id, ... |      as many as fit in STREAM_RECORDS_CHUNK bytes
 *
 * The tree belongs to the caller; `width` is the record's size in bytes, the same in every call on
 * one tree. Records that come in order fill their chunks. */
#ifndef REDSTART_VALUE_STREAM_RECORDS_H
#define REDSTART_VALUE_STREAM_RECORDS_H

#include "value/stream_id.h"

enum { STREAM_RECORDS_CHUNK = 2000 };

/* NULL when there is none. Valid until the tree is changed. */
const void *stream_records_find(const struct tree *tree, size_t width, const struct stream_id *id);
/* Put it in, in the place of the one with its id if there is one. True: there was none. */
bool stream_records_put(struct tree *tree, struct epochs *epochs, size_t width, const void *record);
/* False: there was none. */
bool stream_records_remove(struct tree *tree, struct epochs *epochs, size_t width,
                           const struct stream_id *id);

/* From one on, in order. The tree is not changed meanwhile. */
struct stream_records_walk {
    const struct tree *tree;
    struct tree_place place;
    size_t width;
    uint32_t slot;
};
void stream_records_begin(struct stream_records_walk *walk, const struct tree *tree, size_t width,
                          const struct stream_id *from);
/* NULL at the end. */
const void *stream_records_next(struct stream_records_walk *walk);
/* NULL when empty. */
const void *stream_records_last(const struct tree *tree, size_t width);

#endif
