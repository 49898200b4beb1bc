/* value.c: names of the value types. */
#include "value/value.h"

const char *value_type_name(enum value_type type) {
    static const char *const names[VALUE_TYPE_COUNT] = {"string", "list", "set",
                                                        "zset",   "hash", "stream"};
    return names[type];
}
