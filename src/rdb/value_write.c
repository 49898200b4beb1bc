/* value_write.c: which form a value takes, strings, and a value alone. */
#include "base/crc.h"
#include "base/invariant.h"
#include "rdb/value_forms.h"

static uint8_t object_form(const struct object *object) {
    switch ((enum value_type)object->type) {
    case VALUE_LIST: return rdb_list_form(object);
    case VALUE_SET: return rdb_set_form(object);
    case VALUE_HASH: return rdb_hash_form(object);
    case VALUE_SORTED_SET: return rdb_sorted_set_form(object);
    case VALUE_STREAM: return RDB_STREAM_2;
    default: invariant_panic("No form for a value of type %u", object->type);
    }
}

/* The least version that knows a form; of those of version 11 none is written. */
static uint32_t form_version(uint8_t form) {
    return form >= RDB_HASH_EXPIRING_OLD ? RDB_VERSION_FIELD_EXPIRY : RDB_VERSION_MIN;
}

uint8_t rdb_value_form(struct rdb_output *out, const struct entry *entry,
                       struct record_world *world) {
    union object_room room;
    if (entry_type(entry) == VALUE_STRING) return RDB_STRING;
    uint8_t form = object_form(entry_read_object(entry, world, &room));
    uint32_t version = form_version(form);
    if (version > out->version) out->version = version;
    return form;
}

static void write_string(struct rdb_output *out, const struct entry *entry) {
    char scratch[NUMBER_I64_TEXT_MAX];
    if (entry_encoding(entry) == ENTRY_INTEGER)
        rdb_output_integer_string(out, entry_integer(entry));
    else
        rdb_output_string(out, entry_string(entry, scratch));
}

void rdb_value_write(struct rdb_output *out, uint8_t form, const struct entry *entry,
                     struct record_world *world) {
    union object_room room;
    if (entry_type(entry) == VALUE_STRING) {
        write_string(out, entry);
        return;
    }
    const struct object *object = entry_read_object(entry, world, &room);
    switch ((enum value_type)object->type) {
    case VALUE_LIST: rdb_list_write(out, form, object); break;
    case VALUE_SET: rdb_set_write(out, form, object); break;
    case VALUE_HASH: rdb_hash_write(out, form, object); break;
    case VALUE_SORTED_SET: rdb_sorted_set_write(out, form, object); break;
    case VALUE_STREAM: rdb_stream_write(out, object); break;
    default: invariant_panic("No form for a value of type %u", object->type);
    }
}

static void put_little_endian(struct rdb_output *out, uint64_t number, unsigned size) {
    for (unsigned i = 0; i < size; i++)
        rdb_output_byte(out, (unsigned)(number >> (8 * i)) & 255);
}

void rdb_value_dump(struct rdb_output *out, const struct entry *entry, struct record_world *world) {
    uint8_t form = rdb_value_form(out, entry, world);
    rdb_output_byte(out, form);
    rdb_value_write(out, form, entry, world);
    put_little_endian(out, out->version, 2);
    rdb_output_u64(out, crc64(0, buffer_bytes(&out->buffer)));
}
