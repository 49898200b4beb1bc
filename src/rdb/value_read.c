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
    object_init(object, (enum value_type)forms[form].type, reader->world);
    bool good = forms[form].read(in, reader, form, object);
    if (good && object_count(object) == 0 && object->type != VALUE_STREAM)
        good = rdb_input_fail(in, "a collection has no elements");
    if (!good) object_release(object);
    return good;
}
