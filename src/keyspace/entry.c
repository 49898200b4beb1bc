/* entry.c: reading entries. Changes nothing and owns nothing. */
#include "keyspace/entry.h"

#include "base/invariant.h"
#include "base/number.h"
#include "keyspace/edit.h"

enum { EMBEDDED_NAME_MAX = 44 }; /* bytes up to which clients expect "embstr" */

int64_t entry_integer(const struct entry *e) {
    const char *at = entry_value_part(e);
    int8_t one;
    int16_t two;
    int32_t four;
    int64_t eight;
    switch (e->value_size) {
    case 1: memcpy(&one, at, 1); return one;
    case 2: memcpy(&two, at, 2); return two;
    case 4: memcpy(&four, at, 4); return four;
    default:
        INVARIANT(e->value_size == 8);
        memcpy(&eight, at, 8);
        return eight;
    }
}

struct bytes entry_string(const struct entry *e, char *scratch) {
    switch (entry_encoding(e)) {
    case ENTRY_EMBEDDED: return bytes_make(entry_value_part(e), e->value_size);
    case ENTRY_INTEGER: return bytes_make(scratch, number_format_i64(scratch, entry_integer(e)));
    case ENTRY_BLOB: return blob_bytes(entry_blob(e));
    case ENTRY_OBJECT: break;
    }
    invariant_panic("a string entry with encoding %d", (int)entry_encoding(e));
}

size_t entry_string_size(const struct entry *e) {
    char scratch[NUMBER_I64_TEXT_MAX];
    return entry_string(e, scratch).size;
}

int64_t entry_reference_count(const struct entry *e) {
    enum { SHARED_INTEGERS = 10000 };
    if (entry_encoding(e) != ENTRY_INTEGER) return 1;
    int64_t number = entry_integer(e);
    return number >= 0 && number < SHARED_INTEGERS ? INT32_MAX : 1;
}

const char *entry_encoding_name(const struct entry *e) {
    union object_room room;
    if (entry_type(e) != VALUE_STRING)
        return object_encoding_name(entry_read_object(e, NULL, &room));
    if (entry_encoding(e) == ENTRY_INTEGER) return "int";
    if (e->flags & ENTRY_MODIFIED) return "raw";
    return entry_string_size(e) <= EMBEDDED_NAME_MAX ? "embstr" : "raw";
}
