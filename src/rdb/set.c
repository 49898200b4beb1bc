/* set.c: sets in the RDB format.
 *
 *     count, member ...     a large one, and a small one of any members: the form that has a
 * listpack instead is not known to Redis 7.0, and saves nothing intset                a small one
 * of integers listpack: member ...  a small one, as Redis 7.2 writes it */
#include "value/set.h"
#include "rdb/packed.h"
#include "rdb/value_forms.h"
#include "struct/intset.h"

uint8_t rdb_set_form(const struct object *object) {
    return object->format == FLAT_INTSET ? RDB_SET_INTSET : RDB_SET;
}

static void write_member(void *context, const struct item *member) {
    struct rdb_output *out = context;
    rdb_output_item(out, member);
    rdb_output_step(out);
}

void rdb_set_write(struct rdb_output *out, uint8_t form, const struct object *object) {
    const struct set *set = (const struct set *)object;
    if (form == RDB_SET_INTSET) {
        rdb_output_string(out, buffer_bytes(&object->flat));
        return;
    }
    rdb_output_length(out, set_count(set));
    uint64_t cursor = 0;
    do
        cursor = set_scan(set, cursor, write_member, out);
    while (cursor != 0);
}

static bool add(struct rdb_input *in, struct rdb_reader *reader, struct set *set,
                const struct item *member) {
    return set_add(set, &reader->limits->set, member) ||
           rdb_input_fail(in, "a set has a member twice");
}

static bool read_members(struct rdb_input *in, struct rdb_reader *reader, struct set *set) {
    uint64_t count;
    struct bytes name;
    if (!rdb_input_count(in, 1, &count)) return false;
    while (count-- > 0) {
        if (!rdb_input_string(in, &reader->rooms[0], &name)) return false;
        struct item member = item_make(name);
        if (!add(in, reader, set, &member)) return false;
    }
    return true;
}

static bool read_intset(struct rdb_input *in, struct rdb_reader *reader, struct set *set) {
    struct bytes bytes;
    if (!rdb_input_string(in, &reader->rooms[0], &bytes)) return false;
    if (!intset_validate(bytes)) return rdb_input_fail(in, "a set is malformed");
    size_t count = intset_count(bytes.data);
    if (count > 0 && count <= reader->limits->set.integers) {
        buffer_append(&set->object.flat, bytes.data, bytes.size);
        set->object.format = FLAT_INTSET;
        return true;
    }
    for (size_t i = 0; i < count; i++) {
        struct item member = item_integer(intset_get(bytes.data, i));
        if (!add(in, reader, set, &member)) return false;
    }
    return true;
}

static bool read_listpack(struct rdb_input *in, struct rdb_reader *reader, struct set *set) {
    struct bytes bytes;
    struct packed packed;
    struct item member;
    if (!rdb_input_string(in, &reader->rooms[0], &bytes)) return false;
    if (!packed_begin(&packed, PACKED_LISTPACK, bytes))
        return rdb_input_fail(in, "a set is malformed");
    while (packed_take(&packed, &member))
        if (!add(in, reader, set, &member)) return false;
    return true;
}

bool rdb_set_read(struct rdb_input *in, struct rdb_reader *reader, uint8_t form,
                  struct object *object) {
    struct set *set = (struct set *)object;
    if (form == RDB_SET_INTSET) return read_intset(in, reader, set);
    if (form == RDB_SET_LISTPACK) return read_listpack(in, reader, set);
    return read_members(in, reader, set);
}
