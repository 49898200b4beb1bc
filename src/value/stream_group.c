/* stream_group.c: groups, consumers and what is pending. Never changes a node that a view can see.
 */
#include "value/stream_group.h"

#include "base/invariant.h"
#include "base/memory.h"

enum { PENDING = sizeof(struct stream_pending), ID = sizeof(struct stream_id) };

/* ---- freeing and copying members ---- */

static void release_consumer(struct stream_member *member) {
    tree_release(&((struct stream_consumer *)member)->pending, NULL);
}

static void release_group(struct stream_member *member) {
    struct stream_group *group = (struct stream_group *)member;
    tree_release(&group->pending, NULL);
    stream_roster_release(group->consumers, release_consumer);
}

void stream_groups_release(struct stream *stream) {
    stream_roster_release(stream->groups, release_group);
    stream->groups = NULL;
}

static void copy_consumer(struct stream_member *member, const struct epochs *epochs) {
    struct stream_consumer *consumer = (struct stream_consumer *)member;
    struct tree pending = consumer->pending;
    tree_copy(&consumer->pending, &pending, epochs);
}

static void copy_group(struct stream_member *member, const struct epochs *epochs) {
    struct stream_group *group = (struct stream_group *)member;
    struct tree pending = group->pending;
    tree_copy(&group->pending, &pending, epochs);
    group->consumers = stream_roster_copy(group->consumers, epochs, copy_consumer);
}

void stream_groups_copy(struct stream *to, const struct stream *from) {
    to->groups = stream_roster_copy(from->groups, stream_epochs(from), copy_group);
    to->groups_bytes = from->groups_bytes;
}

/* Nodes that are taken out go when no view needs them. */
static void free_consumer(void *owner, uint64_t node) {
    struct stream_member *member = (struct stream_member *)(uintptr_t)node;
    (void)owner;
    release_consumer(member);
    memory_free(member);
}

static void free_group(void *owner, uint64_t node) {
    struct stream_member *member = (struct stream_member *)(uintptr_t)node;
    (void)owner;
    release_group(member);
    memory_free(member);
}

/* ---- groups ---- */

/* Counting bytes: what the roster takes before and after a change. */
static void count_roster(struct stream *stream, size_t before, const struct stream_roster *roster) {
    stream->groups_bytes += stream_roster_bytes(roster) - before;
}

struct stream_group *stream_group_open(struct stream *stream, const struct stream_group *group) {
    return (struct stream_group *)stream_roster_open(&stream->groups, stream_epochs(stream),
                                                     group->member.number);
}

struct stream_group *stream_group_create(struct stream *stream, struct bytes name,
                                         const struct stream_id *last, int64_t read) {
    size_t before = stream_roster_bytes(stream->groups);
    struct stream_group *group = (struct stream_group *)stream_roster_add(
        &stream->groups, stream_epochs(stream), name, sizeof *group);
    count_roster(stream, before, stream->groups);
    stream->groups_bytes += group->member.size;
    group->last = *last;
    group->read = read;
    tree_init(&group->pending);
    return group;
}

static size_t consumer_bytes(const struct stream_consumer *consumer) {
    return consumer->member.size + consumer->pending.bytes;
}

static size_t group_bytes(const struct stream_group *group) {
    size_t bytes =
        group->member.size + group->pending.bytes + stream_roster_bytes(group->consumers);
    for (uint32_t i = 0; i < stream_consumer_count(group); i++)
        bytes += consumer_bytes(stream_consumer_at(group, i));
    return bytes;
}

void stream_group_destroy(struct stream *stream, const struct stream_group *group) {
    struct epochs *epochs = stream_epochs(stream);
    size_t bytes = group_bytes(group);
    stream->groups_bytes -= bytes;
    struct stream_member *member =
        stream_roster_remove(&stream->groups, epochs, group->member.number);
    epochs_retire(epochs, free_group, NULL, (uint64_t)(uintptr_t)member, bytes);
}

/* What was deleted stands before all that is left, and so does the group. */
static bool group_is_before_all(const struct stream *stream, const struct stream_group *group) {
    return stream_length(stream) > 0 && stream_id_compare(&group->last, &stream->first) < 0 &&
           stream_id_compare(&stream->max_deleted, &stream->first) < 0;
}

bool stream_group_lag(const struct stream *stream, const struct stream_group *group, int64_t *lag) {
    int64_t read = group->read;
    *lag = 0;
    if (stream->added == 0) return true;
    if (group_is_before_all(stream, group)) {
        *lag = (int64_t)stream_length(stream);
        return true;
    }
    if (read == STREAM_READ_UNKNOWN || stream_has_gaps(stream, &group->last))
        read = stream_added_until(stream, &group->last);
    if (read < 0) return false;
    *lag = (int64_t)stream->added - read;
    return true;
}

/* Its count goes on by one where nothing is missing between its last entry and this one. */
void stream_group_delivered(const struct stream *stream, struct stream_group *group,
                            const struct stream_id *id) {
    if (stream_id_compare(id, &group->last) <= 0) return;
    bool is_next = stream_id_compare(&group->last, &stream->first) >= 0 &&
                   !stream_has_gaps(stream, &group->last);
    if (group->read != STREAM_READ_UNKNOWN && is_next)
        group->read += group->read < INT64_MAX;
    else if (stream->added > 0)
        group->read = stream_added_until(stream, id);
    group->last = *id;
}

/* ---- consumers ---- */

struct stream_consumer *stream_consumer_open(struct stream *stream, struct stream_group *group,
                                             uint64_t number) {
    return (struct stream_consumer *)stream_roster_open(&group->consumers, stream_epochs(stream),
                                                        (uint32_t)number);
}

struct stream_consumer *stream_consumer_create(struct stream *stream, struct stream_group *group,
                                               struct bytes name, int64_t now_ms) {
    size_t before = stream_roster_bytes(group->consumers);
    struct stream_consumer *consumer = (struct stream_consumer *)stream_roster_add(
        &group->consumers, stream_epochs(stream), name, sizeof *consumer);
    count_roster(stream, before, group->consumers);
    stream->groups_bytes += consumer->member.size;
    consumer->seen_ms = now_ms;
    consumer->active_ms = STREAM_NEVER;
    tree_init(&consumer->pending);
    return consumer;
}

uint64_t stream_consumer_destroy(struct stream *stream, struct stream_group *group,
                                 const struct stream_consumer *consumer) {
    struct epochs *epochs = stream_epochs(stream);
    struct stream_records_walk walk;
    const void *record;
    uint64_t count = consumer->pending.count;
    size_t before = group->pending.bytes, bytes = consumer_bytes(consumer);
    stream_records_begin(&walk, &consumer->pending, ID, &STREAM_ID_MIN);
    while ((record = stream_records_next(&walk)))
        stream_records_remove(&group->pending, epochs, PENDING, record);
    stream->groups_bytes += group->pending.bytes - before - bytes;
    struct stream_member *member =
        stream_roster_remove(&group->consumers, epochs, consumer->member.number);
    epochs_retire(epochs, free_consumer, NULL, (uint64_t)(uintptr_t)member, bytes);
    return count;
}

/* ---- pending entries ---- */

bool stream_pending_find(const struct stream_group *group, const struct stream_id *id,
                         struct stream_pending *out) {
    const void *record = stream_records_find(&group->pending, PENDING, id);
    if (record) memcpy(out, record, sizeof *out);
    return record != NULL;
}

static void give(struct stream *stream, struct stream_group *group, uint64_t number,
                 const struct stream_id *id) {
    struct stream_consumer *consumer = stream_consumer_open(stream, group, number);
    size_t before = consumer->pending.bytes;
    stream_records_put(&consumer->pending, stream_epochs(stream), ID, id);
    stream->groups_bytes += consumer->pending.bytes - before;
}

static void take_away(struct stream *stream, struct stream_group *group, uint64_t number,
                      const struct stream_id *id) {
    struct stream_consumer *consumer = stream_consumer_open(stream, group, number);
    size_t before = consumer->pending.bytes;
    stream_records_remove(&consumer->pending, stream_epochs(stream), ID, id);
    stream->groups_bytes += consumer->pending.bytes - before;
}

void stream_pending_put(struct stream *stream, struct stream_group *group,
                        const struct stream_pending *pending) {
    struct stream_pending old;
    bool was = stream_pending_find(group, &pending->id, &old);
    size_t before = group->pending.bytes;
    stream_records_put(&group->pending, stream_epochs(stream), PENDING, pending);
    stream->groups_bytes += group->pending.bytes - before;
    if (was && old.consumer == pending->consumer) return;
    if (was) take_away(stream, group, old.consumer, &pending->id);
    give(stream, group, pending->consumer, &pending->id);
}

bool stream_pending_remove(struct stream *stream, struct stream_group *group,
                           const struct stream_id *id) {
    struct stream_pending old;
    if (!stream_pending_find(group, id, &old)) return false;
    size_t before = group->pending.bytes;
    stream_records_remove(&group->pending, stream_epochs(stream), PENDING, id);
    stream->groups_bytes += group->pending.bytes - before;
    take_away(stream, group, old.consumer, id);
    return true;
}

void stream_pending_begin(struct stream_pending_walk *walk, const struct stream_group *group,
                          const struct stream_consumer *consumer, const struct stream_id *from) {
    walk->group = group;
    walk->consumer = consumer;
    if (consumer)
        stream_records_begin(&walk->records, &consumer->pending, ID, from);
    else
        stream_records_begin(&walk->records, &group->pending, PENDING, from);
}

bool stream_pending_next(struct stream_pending_walk *walk, struct stream_pending *out) {
    const void *record = stream_records_next(&walk->records);
    if (!record) return false;
    if (walk->consumer) {
        INVARIANT(stream_pending_find(walk->group, record, out));
    } else {
        memcpy(out, record, sizeof *out);
    }
    return true;
}

void stream_pending_bounds(const struct stream_group *group, struct stream_id *first,
                           struct stream_id *last) {
    struct tree_place place;
    INVARIANT(tree_first(&group->pending, &place));
    *first = stream_chunk_id(place.chunk);
    memcpy(last, stream_records_last(&group->pending, PENDING), sizeof *last);
}

/* ---- all groups ---- */

bool stream_is_referenced(const struct stream *stream, const struct stream_id *id) {
    for (uint32_t i = 0; i < stream_group_count(stream); i++) {
        const struct stream_group *group = stream_group_at(stream, i);
        if (stream_id_compare(id, &group->last) > 0) return true;
        if (stream_records_find(&group->pending, PENDING, id)) return true;
    }
    return false;
}

bool stream_is_pending(const struct stream *stream, const struct stream_id *id) {
    for (uint32_t i = 0; i < stream_group_count(stream); i++)
        if (stream_records_find(&stream_group_at(stream, i)->pending, PENDING, id)) return true;
    return false;
}

void stream_forget(struct stream *stream, const struct stream_id *id) {
    for (uint32_t i = 0; i < stream_group_count(stream); i++) {
        const struct stream_group *group = stream_group_at(stream, i);
        if (stream_records_find(&group->pending, PENDING, id))
            stream_pending_remove(stream, stream_group_open(stream, group), id);
    }
}

/* ---- fingerprint and check ---- */

static void digest_name(struct object_digest *digest, struct bytes name) {
    struct item item = {name.size ? name.data : "", name.size, 0};
    object_digest_item(digest, &item);
}

static void digest_id(struct object_digest *digest, const struct stream_id *id) {
    object_digest_number(digest, id->ms);
    object_digest_number(digest, id->seq);
}

/* Not when its consumers were last seen: that is told by no effect. */
static void digest_group(const struct stream_group *group, struct object_digest *digest) {
    struct stream_pending_walk walk;
    struct stream_pending pending;
    digest_name(digest, stream_group_name(group));
    digest_id(digest, &group->last);
    object_digest_number(digest, (uint64_t)group->read);
    object_digest_number(digest, stream_consumer_count(group));
    for (uint32_t i = 0; i < stream_consumer_count(group); i++)
        digest_name(digest, stream_consumer_name(stream_consumer_at(group, i)));
    stream_pending_begin(&walk, group, NULL, &STREAM_ID_MIN);
    while (stream_pending_next(&walk, &pending)) {
        digest_id(digest, &pending.id);
        object_digest_number(digest, (uint64_t)pending.delivered_ms);
        object_digest_number(digest, pending.deliveries);
        digest_name(digest,
                    stream_consumer_name(stream_consumer_numbered(group, pending.consumer)));
    }
}

void stream_groups_digest(const struct stream *stream, struct object_digest *digest) {
    for (uint32_t i = 0; i < stream_group_count(stream); i++) {
        object_digest_element_begin(digest);
        digest_group(stream_group_at(stream, i), digest);
        object_digest_element_end(digest);
    }
}

static void check_group(const struct stream_group *group) {
    struct stream_pending_walk walk;
    struct stream_pending pending;
    uint64_t owned = 0, seen = 0;
    tree_check(&group->pending, stream_chunk_hint);
    for (uint32_t i = 0; i < stream_consumer_count(group); i++) {
        const struct stream_consumer *consumer = stream_consumer_at(group, i);
        tree_check(&consumer->pending, stream_chunk_hint);
        owned += consumer->pending.count;
    }
    INVARIANT(owned == group->pending.count);
    stream_pending_begin(&walk, group, NULL, &STREAM_ID_MIN);
    for (struct stream_id last = {0}; stream_pending_next(&walk, &pending); last = pending.id) {
        INVARIANT(seen++ == 0 || stream_id_compare(&last, &pending.id) < 0);
        const struct stream_consumer *consumer = stream_consumer_numbered(group, pending.consumer);
        INVARIANT(stream_records_find(&consumer->pending, ID, &pending.id));
    }
    INVARIANT(seen == group->pending.count);
}

void stream_groups_check(const struct stream *stream) {
    size_t bytes = stream_roster_bytes(stream->groups);
    for (uint32_t i = 0; i < stream_group_count(stream); i++) {
        check_group(stream_group_at(stream, i));
        bytes += group_bytes(stream_group_at(stream, i));
    }
    INVARIANT(bytes == stream->groups_bytes);
}
