/* value.h: what kinds of value there are.
 *
 * A value stands behind a key, in the same allocation when it is small (keyspace/entry.h). */
#ifndef REDSTART_VALUE_VALUE_H
#define REDSTART_VALUE_VALUE_H

enum value_type {
    VALUE_STRING,
    VALUE_LIST,
    VALUE_SET,
    VALUE_SORTED_SET,
    VALUE_HASH,
    VALUE_STREAM,
    VALUE_TYPE_COUNT,
};

/* "string", "list", "set", "zset", "hash", "stream": as TYPE answers. */
const char *value_type_name(enum value_type type);

#endif
