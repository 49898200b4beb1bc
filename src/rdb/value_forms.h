/* value_forms.h: the types' own parts of reading and writing values, for value_write.c and
 * value_read.c alone. */
#ifndef REDSTART_RDB_VALUE_FORMS_H
#define REDSTART_RDB_VALUE_FORMS_H

#include "rdb/format.h"
#include "rdb/value.h"

uint8_t rdb_stream_form(const struct object *object);
void rdb_stream_write(struct rdb_output *out, uint8_t form, const struct object *object);
/* `object` is an empty one; what was built when it fails is the caller's to release. */
bool rdb_stream_read(struct rdb_input *in, struct rdb_reader *reader, uint8_t form,
                     struct object *object);

#endif
