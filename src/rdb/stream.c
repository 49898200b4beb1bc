/* stream.c: streams in the RDB format: nodes as their listpacks, then what is known of the whole,
 * then groups with what is pending.
 *
 *     nodes: count, (id as a string of 16 bytes, listpack as a string) ...
 *     length, last id, [2: first id, greatest deleted id, added]
 *     groups: count, (name, last id, [2: read],
 *              pending: count, (id of 16 bytes, delivered: 8 bytes, deliveries) ...
 *              consumers: count, (name, seen: 8 bytes, [3: active: 8 bytes],
 *                         pending: count, id of 16 bytes ...) ...) ...
 *
 * [2] is in the second version of the form and later, [3] in the third. Written is the second,
 * which Redis 7.0 reads: a consumer that asked in vain has other times, and every group has such.
 */
#include "rdb/value_forms.h"
#include "value/stream_group.h"

enum { ID_SIZE = 16 };

/* ---- writing ---- */

static void put_id_bytes(char to[ID_SIZE], const struct stream_id *id) {
    for (unsigned i = 0; i < 8; i++) {
        to[i] = (char)(id->ms >> (56 - 8 * i));
        to[8 + i] = (char)(id->seq >> (56 - 8 * i));
    }
}

static void write_id_bytes(struct rdb_output *out, const struct stream_id *id) {
    char bytes[ID_SIZE];
    put_id_bytes(bytes, id);
    rdb_output_raw(out, bytes_make(bytes, ID_SIZE));
}

static void write_id(struct rdb_output *out, const struct stream_id *id) {
    rdb_output_length(out, id->ms);
    rdb_output_length(out, id->seq);
}

static void write_nodes(struct rdb_output *out, const struct stream *stream) {
    struct tree_place place;
    struct buffer node = {0};
    rdb_output_length(out, stream->tree.chunks);
    for (bool more = tree_first(&stream->tree, &place); more;
         more = tree_next(&stream->tree, &place)) {
        struct stream_id id = stream_chunk_id(place.chunk);
        stream_node_put_file(&node, place.chunk);
        rdb_output_length(out, ID_SIZE);
        write_id_bytes(out, &id);
        rdb_output_string(out, buffer_bytes(&node));
        rdb_output_step(out);
    }
    buffer_release(&node);
}

static void write_pending(struct rdb_output *out, const struct stream_group *group,
                          const struct stream_consumer *consumer) {
    struct stream_pending_walk walk;
    struct stream_pending pending;
    struct stream_id from = STREAM_ID_MIN;
    rdb_output_length(out, consumer ? consumer->pending.count : group->pending.count);
    stream_pending_begin(&walk, group, consumer, &from);
    while (stream_pending_next(&walk, &pending)) {
        write_id_bytes(out, &pending.id);
        if (!consumer) {
            rdb_output_u64(out, (uint64_t)pending.delivered_ms);
            rdb_output_length(out, pending.deliveries);
        }
        rdb_output_step(out);
    }
}

static void write_group(struct rdb_output *out, const struct stream_group *group) {
    rdb_output_string(out, stream_group_name(group));
    write_id(out, &group->last);
    rdb_output_length(out, (uint64_t)group->read);
    write_pending(out, group, NULL);
    rdb_output_length(out, stream_consumer_count(group));
    for (uint32_t i = 0; i < stream_consumer_count(group); i++) {
        const struct stream_consumer *consumer = stream_consumer_at(group, i);
        rdb_output_string(out, stream_consumer_name(consumer));
        rdb_output_u64(out, (uint64_t)consumer->seen_ms);
        write_pending(out, group, consumer);
    }
}

void rdb_stream_write(struct rdb_output *out, const struct object *object) {
    const struct stream *stream = (const struct stream *)object;
    write_nodes(out, stream);
    rdb_output_length(out, stream_length(stream));
    write_id(out, &stream->last);
    write_id(out, &stream->first);
    write_id(out, &stream->max_deleted);
    rdb_output_length(out, stream->added);
    rdb_output_length(out, stream_group_count(stream));
    for (uint32_t i = 0; i < stream_group_count(stream); i++)
        write_group(out, stream_group_at(stream, i));
}

/* ---- reading ---- */

static struct stream_id id_of_bytes(const char *from) {
    struct stream_id id = {0, 0};
    for (unsigned i = 0; i < 8; i++) {
        id.ms = id.ms << 8 | (uint8_t)from[i];
        id.seq = id.seq << 8 | (uint8_t)from[8 + i];
    }
    return id;
}

static bool read_id_bytes(struct rdb_input *in, struct stream_id *id) {
    struct bytes bytes;
    if (!rdb_input_raw(in, ID_SIZE, &bytes)) return false;
    *id = id_of_bytes(bytes.data);
    return true;
}

static bool read_id(struct rdb_input *in, struct stream_id *id) {
    return rdb_input_length(in, &id->ms) && rdb_input_length(in, &id->seq);
}

static bool read_nodes(struct rdb_input *in, struct rdb_reader *reader, struct stream *stream) {
    uint64_t count;
    if (!rdb_input_count(in, ID_SIZE + 2, &count)) return false;
    while (count-- > 0) {
        struct bytes key, listpack;
        if (!rdb_input_string(in, &reader->rooms[0], &key)) return false;
        if (key.size != ID_SIZE) return rdb_input_fail(in, "a stream's node has no id");
        struct stream_id id = id_of_bytes(key.data);
        if (!rdb_input_string(in, &reader->rooms[0], &listpack)) return false;
        if (!stream_load_node(stream, &id, listpack))
            return rdb_input_fail(in, "a stream's node is malformed");
    }
    return true;
}

static bool last_entry_is_after(const struct stream *stream, const struct stream_id *id) {
    struct stream_walk walk;
    struct stream_id first = STREAM_ID_MIN, last = STREAM_ID_MAX;
    stream_walk_begin(&walk, stream, &first, &last, true);
    return stream_walk_next(&walk) && stream_id_compare(&walk.node.id, id) > 0;
}

/* What an older form does not say is taken from the entries. */
static bool read_whole(struct rdb_input *in, uint8_t form, struct stream *stream) {
    uint64_t length, added;
    struct stream_id last, first, deleted = STREAM_ID_MIN;
    if (!rdb_input_length(in, &length) || !read_id(in, &last)) return false;
    added = length;
    if (form != RDB_STREAM_1 &&
        (!read_id(in, &first) || !read_id(in, &deleted) || !rdb_input_length(in, &added)))
        return false;
    if (added > INT64_MAX) return rdb_input_fail(in, "more entries were added than can be counted");
    if (length != stream_length(stream))
        return rdb_input_fail(in, "a stream's length is not that of its nodes");
    if (last_entry_is_after(stream, &last))
        return rdb_input_fail(in, "a stream's last id is before its last entry");
    stream_set_last(stream, &last, added, &deleted);
    return true;
}

/* No moment before 1970 can be told from another one. */
static int64_t time_of(uint64_t ms) {
    return (int64_t)ms < 0 ? 0 : (int64_t)ms;
}

/* So that a consumer is there for each before the consumers are known: they are put in when theirs
 * are read. */
static bool read_pending(struct rdb_input *in, struct buffer *kept) {
    uint64_t count;
    if (!rdb_input_count(in, ID_SIZE + 9, &count)) return false;
    buffer_clear(kept);
    struct stream_id last = STREAM_ID_MIN;
    for (uint64_t i = 0; i < count; i++) {
        struct stream_pending pending = {.consumer = UINT64_MAX};
        uint64_t delivered;
        if (!read_id_bytes(in, &pending.id) || !rdb_input_u64(in, &delivered) ||
            !rdb_input_length(in, &pending.deliveries))
            return false;
        if (pending.deliveries > INT64_MAX)
            return rdb_input_fail(in, "more deliveries than can be counted");
        if (i > 0 && stream_id_compare(&pending.id, &last) <= 0)
            return rdb_input_fail(in, "a group's pending entries are not in order");
        last = pending.id;
        pending.delivered_ms = time_of(delivered);
        buffer_append(kept, &pending, sizeof pending);
    }
    return true;
}

static struct stream_pending *find_pending(const struct buffer *kept, const struct stream_id *id) {
    struct stream_pending *all = (struct stream_pending *)(void *)kept->data;
    size_t low = 0, high = kept->size / sizeof *all;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = stream_id_compare(&all[middle].id, id);
        if (order == 0) return &all[middle];
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

static bool read_consumer(struct rdb_input *in, struct rdb_reader *reader, uint8_t form,
                          struct stream *stream, struct stream_group *group, struct buffer *kept) {
    struct bytes name;
    uint64_t seen, active, count;
    if (!rdb_input_string_copy(in, &reader->rooms[0], &name) || !rdb_input_u64(in, &seen))
        return false;
    active = seen;
    if (form == RDB_STREAM_3 && !rdb_input_u64(in, &active)) return false;
    if (!rdb_input_count(in, ID_SIZE, &count)) return false;
    if (stream_consumer_find(group, name))
        return rdb_input_fail(in, "a group has two consumers of one name");
    struct stream_consumer *consumer = stream_consumer_create(stream, group, name, time_of(seen));
    consumer->active_ms = (int64_t)active == STREAM_NEVER ? STREAM_NEVER : time_of(active);
    uint64_t number = consumer->member.number;
    while (count-- > 0) {
        struct stream_id id;
        if (!read_id_bytes(in, &id)) return false;
        struct stream_pending *pending = find_pending(kept, &id);
        if (!pending || pending->consumer != UINT64_MAX)
            return rdb_input_fail(in, "a consumer's pending entry is not its group's");
        pending->consumer = number;
        stream_pending_put(stream, group, pending);
    }
    return true;
}

static bool read_group(struct rdb_input *in, struct rdb_reader *reader, uint8_t form,
                       struct stream *stream, struct buffer *kept) {
    struct bytes name;
    struct stream_id last;
    uint64_t read = (uint64_t)STREAM_READ_UNKNOWN, consumers;
    if (!rdb_input_string_copy(in, &reader->rooms[0], &name) || !read_id(in, &last)) return false;
    if (form != RDB_STREAM_1 && !rdb_input_length(in, &read)) return false;
    if (read > INT64_MAX && read != (uint64_t)STREAM_READ_UNKNOWN)
        return rdb_input_fail(in, "a group has read more entries than can be counted");
    if (stream_group_find(stream, name))
        return rdb_input_fail(in, "a stream has two groups of one name");
    struct stream_group *group = stream_group_create(stream, name, &last, (int64_t)read);
    if (!read_pending(in, kept) || !rdb_input_count(in, 10, &consumers)) return false;
    while (consumers-- > 0)
        if (!read_consumer(in, reader, form, stream, group, kept)) return false;
    if (group->pending.count != kept->size / sizeof(struct stream_pending))
        return rdb_input_fail(in, "a pending entry belongs to no consumer");
    return true;
}

bool rdb_stream_read(struct rdb_input *in, struct rdb_reader *reader, uint8_t form,
                     struct object *object) {
    struct stream *stream = (struct stream *)object;
    struct buffer kept = {0};
    uint64_t groups = 0;
    bool good = read_nodes(in, reader, stream) && read_whole(in, form, stream) &&
                rdb_input_count(in, 5, &groups);
    while (good && groups-- > 0)
        good = read_group(in, reader, form, stream, &kept);
    buffer_release(&kept);
    return good;
}
