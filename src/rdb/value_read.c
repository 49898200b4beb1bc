/* value_read.c: from a form to the type that reads it. */
#include "rdb/value_forms.h"

void rdb_reader_release(struct rdb_reader *reader) {
    for (size_t i = 0; i < sizeof reader->rooms / sizeof reader->rooms[0]; i++)
        buffer_release(&reader->rooms[i]);
}

typedef bool rdb_read_form(struct rdb_input *in, struct rdb_reader *reader, uint8_t form,
                           struct object *object);

static const struct {
    uint8_t type; /* enum value_type */
    rdb_read_form *read;
} forms[RDB_FORM_COUNT] = {
    [RDB_LIST] = {VALUE_LIST, rdb_list_read},
    [RDB_LIST_ZIPLIST] = {VALUE_LIST, rdb_list_read},
    [RDB_LIST_QUICKLIST] = {VALUE_LIST, rdb_list_read},
    [RDB_LIST_QUICKLIST_2] = {VALUE_LIST, rdb_list_read},
    [RDB_SET] = {VALUE_SET, rdb_set_read},
    [RDB_SET_INTSET] = {VALUE_SET, rdb_set_read},
    [RDB_SET_LISTPACK] = {VALUE_SET, rdb_set_read},
    [RDB_ZSET] = {VALUE_SORTED_SET, rdb_sorted_set_read},
    [RDB_ZSET_2] = {VALUE_SORTED_SET, rdb_sorted_set_read},
    [RDB_ZSET_ZIPLIST] = {VALUE_SORTED_SET, rdb_sorted_set_read},
    [RDB_ZSET_LISTPACK] = {VALUE_SORTED_SET, rdb_sorted_set_read},
    [RDB_HASH] = {VALUE_HASH, rdb_hash_read},
    [RDB_HASH_ZIPMAP] = {VALUE_HASH, rdb_hash_read},
    [RDB_HASH_ZIPLIST] = {VALUE_HASH, rdb_hash_read},
    [RDB_HASH_LISTPACK] = {VALUE_HASH, rdb_hash_read},
    [RDB_HASH_EXPIRING_OLD] = {VALUE_HASH, rdb_hash_read},
    [RDB_HASH_LISTPACK_EXPIRING_OLD] = {VALUE_HASH, rdb_hash_read},
    [RDB_HASH_EXPIRING] = {VALUE_HASH, rdb_hash_read},
    [RDB_HASH_LISTPACK_EXPIRING] = {VALUE_HASH, rdb_hash_read},
    [RDB_STREAM_1] = {VALUE_STREAM, rdb_stream_read},
    [RDB_STREAM_2] = {VALUE_STREAM, rdb_stream_read},
    [RDB_STREAM_3] = {VALUE_STREAM, rdb_stream_read},
};

bool rdb_value_read(struct rdb_input *in, struct rdb_reader *reader, uint8_t form,
                    struct rdb_value *out) {
    out->is_object = false;
    if (form == RDB_STRING) return rdb_input_string(in, &reader->rooms[0], &out->string);
    if (form == RDB_MODULE || form == RDB_MODULE_2)
        return rdb_input_fail(in, "it is a module's value, and there are no modules here");
    if (form >= RDB_FORM_COUNT || !forms[form].read)
        return rdb_input_fail(in, "its type is unknown");
    struct object *object = &out->room.object;
    out->is_object = true;
    reader->left_out = 0;
    object_init(object, (enum value_type)forms[form].type, reader->world);
    bool good = forms[form].read(in, reader, form, object);
    if (good && object_count(object) == 0 && object->type != VALUE_STREAM && reader->left_out == 0)
        good = rdb_input_fail(in, "a collection has no elements");
    if (!good) object_release(object);
    return good;
}
