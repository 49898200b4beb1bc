/* stream_group.h: consumer groups of a stream.
 *
 *     stream -> roster -> group: last id, read -> roster -> consumer: times
 *                           |                                 |
 *                           v                                 v
 *                         pending: id, time, deliveries,    pending: ids
 *                         consumer, by id
 *
 * Whoever changes a group or a consumer opens it first: the pointer is then its own, until a view
 * is opened. Everything that takes const is for readers of views as well. */
#ifndef REDSTART_VALUE_STREAM_GROUP_H
#define REDSTART_VALUE_STREAM_GROUP_H

#include "value/stream.h"
#include "value/stream_records.h"
#include "value/stream_roster.h"

#define STREAM_READ_UNKNOWN ((int64_t)-1)
#define STREAM_NEVER        ((int64_t)-1)

struct stream_group {
    struct stream_member member;
    struct stream_id last;           /* delivered */
    int64_t read;                    /* entries up to there; STREAM_READ_UNKNOWN */
    struct tree pending;             /* struct stream_pending */
    struct stream_roster *consumers; /* NULL: none */
};

struct stream_consumer {
    struct stream_member member;
    int64_t seen_ms;     /* when it last asked */
    int64_t active_ms;   /* when it last got something; STREAM_NEVER */
    struct tree pending; /* struct stream_id */
};

struct stream_pending {
    struct stream_id id;
    int64_t delivered_ms;
    uint64_t deliveries;
    uint64_t consumer; /* the member's number */
};

/* Once more; as far as a command can say it. */
static inline void stream_pending_delivered(struct stream_pending *pending) {
    if (pending->deliveries < INT64_MAX) pending->deliveries++;
}

/* ---- groups ---- */

static inline uint32_t stream_group_count(const struct stream *stream) {
    return stream_roster_count(stream->groups);
}
static inline const struct stream_group *stream_group_at(const struct stream *stream,
                                                         uint32_t index) {
    return (const struct stream_group *)stream_roster_at(stream->groups, index);
}
static inline const struct stream_group *stream_group_find(const struct stream *stream,
                                                           struct bytes name) {
    return (const struct stream_group *)stream_roster_find(stream->groups, name);
}
struct stream_group *stream_group_open(struct stream *stream, const struct stream_group *group);
/* There is none of this name. */
struct stream_group *stream_group_create(struct stream *stream, struct bytes name,
                                         const struct stream_id *last, int64_t read);
void stream_group_destroy(struct stream *stream, const struct stream_group *group);
/* How many entries the group has not been given yet (less than none, if somebody said so); false:
 * it cannot be known. */
bool stream_group_lag(const struct stream *stream, const struct stream_group *group, int64_t *lag);
/* This entry was delivered: the group's last id and count of entries go on. Ids before the last
 * change nothing. */
void stream_group_delivered(const struct stream *stream, struct stream_group *group,
                            const struct stream_id *id);

/* ---- consumers; for changing them the group is open ---- */

static inline uint32_t stream_consumer_count(const struct stream_group *group) {
    return stream_roster_count(group->consumers);
}
static inline const struct stream_consumer *stream_consumer_at(const struct stream_group *group,
                                                               uint32_t index) {
    return (const struct stream_consumer *)stream_roster_at(group->consumers, index);
}
static inline const struct stream_consumer *stream_consumer_find(const struct stream_group *group,
                                                                 struct bytes name) {
    return (const struct stream_consumer *)stream_roster_find(group->consumers, name);
}
static inline const struct stream_consumer *
stream_consumer_numbered(const struct stream_group *group, uint64_t number) {
    return (const struct stream_consumer *)stream_roster_member(group->consumers, (uint32_t)number);
}
static inline struct bytes stream_consumer_name(const struct stream_consumer *consumer) {
    return stream_member_name(&consumer->member);
}
static inline struct bytes stream_group_name(const struct stream_group *group) {
    return stream_member_name(&group->member);
}
struct stream_consumer *stream_consumer_open(struct stream *stream, struct stream_group *group,
                                             uint64_t number);
/* There is none of this name. */
struct stream_consumer *stream_consumer_create(struct stream *stream, struct stream_group *group,
                                               struct bytes name, int64_t now_ms);
/* Together with what is pending for it; returns how many that were. */
uint64_t stream_consumer_destroy(struct stream *stream, struct stream_group *group,
                                 const struct stream_consumer *consumer);

/* ---- pending entries; for changing them the group is open ---- */

/* False when it is not pending. */
bool stream_pending_find(const struct stream_group *group, const struct stream_id *id,
                         struct stream_pending *out);
/* Put it in, or in the place of the one with this id, from whose consumer it is taken. */
void stream_pending_put(struct stream *stream, struct stream_group *group,
                        const struct stream_pending *pending);
/* False: it was not pending. */
bool stream_pending_remove(struct stream *stream, struct stream_group *group,
                           const struct stream_id *id);
/* Of the group in the order of ids, or of one of its consumers. Nothing is changed meanwhile. */
struct stream_pending_walk {
    const struct stream_group *group;
    const struct stream_consumer *consumer; /* NULL: of all */
    struct stream_records_walk records;
};
void stream_pending_begin(struct stream_pending_walk *walk, const struct stream_group *group,
                          const struct stream_consumer *consumer, const struct stream_id *from);
bool stream_pending_next(struct stream_pending_walk *walk, struct stream_pending *out);
/* The first and the last; something is pending. */
void stream_pending_bounds(const struct stream_group *group, struct stream_id *first,
                           struct stream_id *last);

/* ---- all groups ---- */

/* Does a group still need this entry: is it pending, or not yet delivered? */
bool stream_is_referenced(const struct stream *stream, const struct stream_id *id);
/* Is it pending in some group? */
bool stream_is_pending(const struct stream *stream, const struct stream_id *id);
/* It is no longer pending in any group. */
void stream_forget(struct stream *stream, const struct stream_id *id);

/* For stream.c. */
void stream_groups_release(struct stream *stream);
void stream_groups_copy(struct stream *to, const struct stream *from);
void stream_groups_digest(const struct stream *stream, struct object_digest *digest);
void stream_groups_check(const struct stream *stream);

#endif
