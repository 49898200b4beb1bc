/* stream_id.h: what names an entry of a stream: milliseconds and a sequence number within them. */
#ifndef REDSTART_VALUE_STREAM_ID_H
#define REDSTART_VALUE_STREAM_ID_H

#include "base/number.h"
#include "struct/tree.h"
#include <string.h>

struct stream_id {
    uint64_t ms, seq;
};

#define STREAM_ID_MIN ((struct stream_id){0, 0})
#define STREAM_ID_MAX ((struct stream_id){UINT64_MAX, UINT64_MAX})

static inline int stream_id_compare(const struct stream_id *a, const struct stream_id *b) {
    if (a->ms != b->ms) return a->ms < b->ms ? -1 : 1;
    if (a->seq != b->seq) return a->seq < b->seq ? -1 : 1;
    return 0;
}
static inline bool stream_id_is_zero(const struct stream_id *id) {
    return id->ms == 0 && id->seq == 0;
}
/* The next one; false (and unchanged) at the greatest. */
static inline bool stream_id_increment(struct stream_id *id) {
    if (id->seq < UINT64_MAX) {
        id->seq++;
    } else {
        if (id->ms == UINT64_MAX) return false;
        *id = (struct stream_id){id->ms + 1, 0};
    }
    return true;
}
/* The one before; false (and unchanged) at 0-0. */
static inline bool stream_id_decrement(struct stream_id *id) {
    if (id->seq > 0) {
        id->seq--;
    } else {
        if (id->ms == 0) return false;
        *id = (struct stream_id){id->ms - 1, UINT64_MAX};
    }
    return true;
}

enum { STREAM_ID_TEXT_MAX = 2 * NUMBER_I64_TEXT_MAX };

/* "5-0"; returns its size. */
static inline size_t stream_id_format(char out[STREAM_ID_TEXT_MAX], const struct stream_id *id) {
    size_t size = number_format_u64(out, id->ms);
    out[size++] = '-';
    return size + number_format_u64(out + size, id->seq);
}

/* ---- chunks of a tree that begin with an id: nodes of entries, records of ids ---- */

static inline struct stream_id stream_chunk_id(const struct tree_chunk *chunk) {
    struct stream_id id;
    memcpy(&id, chunk->data, sizeof id);
    return id;
}
/* A tree_hint. */
static inline uint64_t stream_chunk_hint(const struct tree_chunk *chunk) {
    return stream_chunk_id(chunk).ms;
}
/* A tree_begins_after; the context is a struct stream_id. */
static inline bool stream_chunk_begins_after(const void *context, const struct tree_chunk *chunk) {
    struct stream_id id = stream_chunk_id(chunk);
    return stream_id_compare(&id, context) > 0;
}

#endif
