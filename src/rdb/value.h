/* value.h: values to and from the RDB format.
 *
 * Writing reads the value as a view's reader may, on any thread. Flat collections are written as
 * their bytes where Redis 7.0 knows the form, large ones element by element or chunk by chunk.
 *
 * Reading knows every form of every version, checks all of it, and gives a value in today's
 * encodings, on the engine's thread. */
#ifndef REDSTART_RDB_VALUE_H
#define REDSTART_RDB_VALUE_H

#include "keyspace/edit.h"
#include "keyspace/keyspace.h"
#include "rdb/input.h"
#include "rdb/output.h"
#include "value/hash.h"
#include "value/list.h"
#include "value/set.h"
#include "value/sorted_set.h"

/* How this value will be written: an enum rdb_form. Raises out->version to what knows it. */
uint8_t rdb_value_form(struct rdb_output *out, const struct entry *entry,
                       struct record_world *world);
/* The value alone, in that form. */
void rdb_value_write(struct rdb_output *out, uint8_t form, const struct entry *entry,
                     struct record_world *world);

/* The value with its form in front, version and checksum behind: what DUMP gives. `out` is empty
 * and keeps all. */
void rdb_value_dump(struct rdb_output *out, const struct entry *entry, struct record_world *world);

/* When collections are flat; what the configuration says. */
struct rdb_limits {
    struct list_limits list;
    struct set_limits set;
    struct hash_limits hash;
    struct sorted_set_limits sorted_set;
};

/* What was read: a string, which is borrowed (from the input or the reader's room), or an object,
 * whose struct is here and which owns what hangs on it. */
struct rdb_value {
    bool is_object;
    struct bytes string;
    union object_room room;
};

struct rdb_reader {
    struct record_world *world;
    const struct rdb_limits *limits; /* borrowed */
    int64_t now_ms;                  /* fields of hashes that ended before are left out; 0: none */
    uint64_t left_out;               /* how many those were, of the last value */
    struct buffer rooms[2];          /* for strings, from element to element */
};
void rdb_reader_release(struct rdb_reader *reader);
/* False: in->error says why; nothing is left. A collection without elements is refused, unless it
 * has had some that were left out. */
bool rdb_value_read(struct rdb_input *in, struct rdb_reader *reader, uint8_t form,
                    struct rdb_value *out);

#endif
