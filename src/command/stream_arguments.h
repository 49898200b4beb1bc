/* stream_arguments.h: what the commands on streams share: ids in words and replies, looking streams
 * and groups up, errors. Changes nothing but the reply. */
#ifndef REDSTART_COMMAND_STREAM_ARGUMENTS_H
#define REDSTART_COMMAND_STREAM_ARGUMENTS_H

#include "engine/call.h"
#include "value/stream_group.h"

void stream_reply_id(struct call *call, const struct stream_id *id);
/* Id, and an array of fields and values, of the walk's present entry. */
void stream_reply_entry(struct call *call, struct stream_walk *walk);
/* The array of all entries of a walk that has begun, at most `max`. */
void stream_reply_walk(struct call *call, struct stream_walk *walk, uint64_t max);

/* "ms-seq" or "ms", whose seq is then `missing_seq`. */
bool stream_id_parse(struct bytes text, uint64_t missing_seq, struct stream_id *id);
void stream_error_id(struct call *call); /* ERR Invalid stream ID ... */
/* False after an error reply. */
bool stream_take_id(struct call *call, uint32_t index, uint64_t missing_seq, struct stream_id *id);
/* All from one argument up to the end make sense; false after an error reply. */
bool stream_check_ids(struct call *call, uint32_t first, uint32_t count);
/* The end of an interval: also "-", "+" and "(id", which leaves the id itself out. */
bool stream_take_start(struct call *call, uint32_t index, struct stream_id *id);
bool stream_take_end(struct call *call, uint32_t index, struct stream_id *id);

/* Find the stream of an argument for reading: false after WRONGTYPE; *stream is NULL when absent.
 */
bool stream_read(struct call *call, uint32_t index, const struct stream **stream);

/* A stream that is to be changed. First looked at, then begun, then ended. */
struct stream_edit {
    struct key key;
    struct spot spot;
    const struct stream *seen; /* as it is; NULL: absent */
    struct edit edit;
    struct stream *stream; /* once begun */
};
/* False after WRONGTYPE. */
bool stream_edit_look(struct call *call, uint32_t index, struct stream_edit *edit);
/* It is made, empty, when it was absent. */
void stream_edit_begin(struct call *call, struct stream_edit *edit);
void stream_edit_end(struct stream_edit *edit);
/* The group of an argument, opened: it was there when looked at. */
struct stream_group *stream_edit_group(struct call *call, struct stream_edit *edit, uint32_t index);

struct stream_limits stream_limits_of(const struct call *call);
/* Would anyone read what call_effect says? */
bool stream_wants_effects(const struct call *call);

/* A word KEEPREF, DELREF or ACKED. */
bool stream_references_parse(struct bytes word, enum stream_references *references);
const char *stream_references_word(enum stream_references references);

/* [KEEPREF | DELREF | ACKED] IDS count id ..., in any order. */
struct stream_ids {
    enum stream_references references;
    uint32_t first, count; /* arguments */
};
/* From this argument to the end; false after an error reply. */
bool stream_take_ids(struct call *call, uint32_t index, struct stream_ids *ids);

/* ---- effects of several commands ---- */

/* XGROUP CREATECONSUMER, with event and change: gives the consumer of this name, new or old. */
struct stream_consumer *stream_consumer_obtain(struct call *call, struct stream_edit *edit,
                                               struct stream_group *group, struct bytes name);
/* XCLAIM key group consumer 0 id TIME RETRYCOUNT FORCE JUSTID LASTID: this is pending, just so. */
void stream_effect_claim(struct call *call, struct bytes key, const struct stream_group *group,
                         const struct stream_pending *pending);
/* XGROUP SETID key group id ENTRIESREAD */
void stream_effect_group_id(struct call *call, struct bytes key, const struct stream_group *group);
/* XACK key group id */
void stream_effect_ack(struct call *call, struct bytes key, struct bytes group,
                       const struct stream_id *id);
/* The same for every group that waits for it, before it no longer does. */
void stream_effect_forget(struct call *call, struct bytes key, const struct stream *stream,
                          const struct stream_id *id);
/* XDEL key id */
void stream_effect_delete(struct call *call, struct bytes key, const struct stream_id *id);

#endif
