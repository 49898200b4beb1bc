/* value_forms.h: the types' own parts of reading and writing values, for value_write.c and
 * value_read.c alone. */
#ifndef REDSTART_RDB_VALUE_FORMS_H
#define REDSTART_RDB_VALUE_FORMS_H

#include "rdb/format.h"
#include "rdb/value.h"

/* What was packed stays so, whatever the size of its items, as in Redis; but not without bound. */
enum { RDB_PACKED_MAX = 64 * 1024 };

/* How it is written; writing it in that form; and reading: `object` is an empty one, and what was
 * built when it fails is the caller's to release. */
uint8_t rdb_list_form(const struct object *object);
void rdb_list_write(struct rdb_output *out, uint8_t form, const struct object *object);
bool rdb_list_read(struct rdb_input *in, struct rdb_reader *reader, uint8_t form,
                   struct object *object);

uint8_t rdb_hash_form(const struct object *object);
void rdb_hash_write(struct rdb_output *out, uint8_t form, const struct object *object);
bool rdb_hash_read(struct rdb_input *in, struct rdb_reader *reader, uint8_t form,
                   struct object *object);

uint8_t rdb_sorted_set_form(const struct object *object);
void rdb_sorted_set_write(struct rdb_output *out, uint8_t form, const struct object *object);
bool rdb_sorted_set_read(struct rdb_input *in, struct rdb_reader *reader, uint8_t form,
                         struct object *object);

uint8_t rdb_set_form(const struct object *object);
void rdb_set_write(struct rdb_output *out, uint8_t form, const struct object *object);
bool rdb_set_read(struct rdb_input *in, struct rdb_reader *reader, uint8_t form,
                  struct object *object);

/* In the second form, which Redis 7.0 reads: when a consumer last got something is not in it. */
void rdb_stream_write(struct rdb_output *out, const struct object *object);
bool rdb_stream_read(struct rdb_input *in, struct rdb_reader *reader, uint8_t form,
                     struct object *object);

#endif
