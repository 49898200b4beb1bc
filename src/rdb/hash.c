/* hash.c: hashes in the RDB format.
 *
 *     count, (field, value) ...                               a large one
 *     zipmap, ziplist or listpack: field, value ...           a small one, by age
 *     earliest time (8 bytes), count, (time, field, value)    a large one with times: 0 for none,
 *                                                             else the time less the earliest, + 1
 *     earliest time (8 bytes), listpack: field, value, time   a small one with times: 0 for none
 *
 * The last two without the earliest time, and with absolute ones, were in a release candidate. */
#include "value/hash.h"
#include "rdb/packed.h"
#include "rdb/value_forms.h"

static const char malformed[] = "a hash is malformed";

/* ---- writing ---- */

uint8_t rdb_hash_form(const struct object *object) {
    const struct hash *hash = (const struct hash *)object;
    switch ((enum flat_format)object->format) {
    case FLAT_LISTPACK: return RDB_HASH_LISTPACK;
    case FLAT_LISTPACK_EXPIRING: /* whose times may have been taken away again */
        return hash_next_expiry(hash) == RECORD_NO_EXPIRY ? RDB_HASH : RDB_HASH_LISTPACK_EXPIRING;
    default: return hash->table.expiring > 0 ? RDB_HASH_EXPIRING : RDB_HASH;
    }
}

struct hash_writing {
    struct rdb_output *out;
    uint8_t form;
    uint64_t earliest;
};

static void write_record(void *context, const struct record *record) {
    struct hash_writing *writing = context;
    if (writing->form == RDB_HASH_EXPIRING)
        rdb_output_length(writing->out, record->expiry == RECORD_NO_EXPIRY
                                            ? 0
                                            : (uint64_t)record->expiry - writing->earliest + 1);
    rdb_output_item(writing->out, &record->key);
    rdb_output_item(writing->out, &record->value);
    rdb_output_step(writing->out);
}

void rdb_hash_write(struct rdb_output *out, uint8_t form, const struct object *object) {
    const struct hash *hash = (const struct hash *)object;
    int64_t earliest = hash_next_expiry(hash);
    struct hash_writing writing = {out, form, (uint64_t)earliest};
    if (form == RDB_HASH_EXPIRING || form == RDB_HASH_LISTPACK_EXPIRING)
        rdb_output_u64(out, writing.earliest);
    if (form != RDB_HASH && object_is_flat(object)) {
        rdb_output_string(out, buffer_bytes(&object->flat));
        return;
    }
    rdb_output_length(out, hash_count(hash));
    uint64_t cursor = 0;
    do
        cursor = hash_scan(hash, cursor, write_record, &writing);
    while (cursor != 0);
}

/* ---- reading ---- */

/* Fields that are past their time are left out. */
static bool put(struct rdb_input *in, struct rdb_reader *reader, struct hash *hash,
                const struct hash_limits *limits, const struct record *record) {
    if (record->expiry <= reader->now_ms) {
        reader->left_out++;
        return true;
    }
    return hash_put(hash, limits, record) || rdb_input_fail(in, "a hash has a field twice");
}

static bool read_pairs(struct rdb_input *in, struct rdb_reader *reader, uint8_t form,
                       struct hash *hash, uint64_t earliest) {
    uint64_t count, time = 0;
    if (!rdb_input_count(in, 2, &count)) return false;
    while (count-- > 0) {
        struct bytes field, value;
        if (form != RDB_HASH && !rdb_input_length(in, &time)) return false;
        if (!rdb_input_string_copy(in, &reader->rooms[0], &field) ||
            !rdb_input_string(in, &reader->rooms[1], &value))
            return false;
        struct record record = {item_make(field), item_make(value), RECORD_NO_EXPIRY};
        if (time != 0 && form == RDB_HASH_EXPIRING) time += earliest - 1;
        if (time > HASH_WHEN_MAX) return rdb_input_fail(in, "a field's time is malformed");
        if (time != 0) record.expiry = (int64_t)time;
        if (!put(in, reader, hash, &reader->limits->hash, &record)) return false;
    }
    return true;
}

static struct hash_limits packed_limits(const struct rdb_reader *reader,
                                        const struct packed *packed) {
    struct hash_limits limits = reader->limits->hash;
    if (packed->kind != PACKED_ZIPMAP && packed->bytes.size <= RDB_PACKED_MAX)
        limits.value = RDB_PACKED_MAX;
    return limits;
}

static bool read_packed(struct rdb_input *in, struct rdb_reader *reader, struct packed *packed,
                        bool has_times, struct hash *hash) {
    struct hash_limits limits = packed_limits(reader, packed);
    struct item time;
    for (;;) {
        struct record record = {.expiry = RECORD_NO_EXPIRY};
        if (!packed_take(packed, &record.key)) return true;
        if (!packed_take(packed, &record.value)) return rdb_input_fail(in, malformed);
        if (has_times) {
            if (!packed_take(packed, &time) || !item_is_integer(&time) || time.integer < 0 ||
                time.integer > HASH_WHEN_MAX)
                return rdb_input_fail(in, "a field's time is malformed");
            if (time.integer != 0) record.expiry = time.integer;
        }
        if (!put(in, reader, hash, &limits, &record)) return false;
    }
}

/* A listpack without times that is within the limits is taken as it is. */
static bool may_stay(struct rdb_reader *reader, const struct packed *packed) {
    struct hash_limits limits = packed_limits(reader, packed);
    struct packed walk = *packed;
    struct item item;
    if (packed->count == 0 || packed->count % 2 != 0 || packed->count / 2 > limits.entries)
        return false;
    while (packed_take(&walk, &item))
        if (item_text_size(&item) > limits.value) return false;
    return packed_is_unique(packed->bytes, packed->count, 2, reader->world->secret,
                            &reader->rooms[1]);
}

static bool read_flat(struct rdb_input *in, struct rdb_reader *reader, uint8_t form,
                      struct object *object) {
    struct packed packed;
    struct bytes bytes;
    bool has_times = form == RDB_HASH_LISTPACK_EXPIRING || form == RDB_HASH_LISTPACK_EXPIRING_OLD;
    enum packed_kind kind = form == RDB_HASH_ZIPMAP    ? PACKED_ZIPMAP
                            : form == RDB_HASH_ZIPLIST ? PACKED_ZIPLIST
                                                       : PACKED_LISTPACK;
    if (!rdb_input_string(in, &reader->rooms[0], &bytes)) return false;
    if (!packed_begin(&packed, kind, bytes)) return rdb_input_fail(in, malformed);
    if (form == RDB_HASH_LISTPACK && may_stay(reader, &packed)) {
        buffer_append(&object->flat, bytes.data, bytes.size);
        return true;
    }
    return read_packed(in, reader, &packed, has_times, (struct hash *)object);
}

bool rdb_hash_read(struct rdb_input *in, struct rdb_reader *reader, uint8_t form,
                   struct object *object) {
    uint64_t earliest = 0;
    if ((form == RDB_HASH_EXPIRING || form == RDB_HASH_LISTPACK_EXPIRING) &&
        !rdb_input_u64(in, &earliest))
        return false;
    if (form == RDB_HASH || form == RDB_HASH_EXPIRING || form == RDB_HASH_EXPIRING_OLD)
        return read_pairs(in, reader, form, (struct hash *)object, earliest);
    return read_flat(in, reader, form, object);
}
