/* hash.h: fields with values, each perhaps with a time at which it ends.
 *
 *     FLAT_LISTPACK            field value field value ...
 *     FLAT_LISTPACK_EXPIRING   field value time field value time ...   the earliest time first;
 * those without one last, with 0 FLAT_NONE                a table of records
 * (struct/record_table.h)
 *
 * A hash becomes a table when a field or value is larger, or there are more fields, than the limits
 * say; a listpack becomes an expiring one with the first time. Neither turns back.
 *
 * Nothing here asks what time it is: fields whose time has come are found and counted like any
 * other until they are removed. Who reads compares a record's expiry with the time. */
#ifndef REDSTART_VALUE_HASH_H
#define REDSTART_VALUE_HASH_H

#include "value/object.h"

/* The largest time that a field may have, in ms: bounds have 48 bits (struct/record_table.h). */
#define HASH_WHEN_MAX ((INT64_C(1) << 48) - 2)

/* The largest that a command may ask for, as in Redis 7.4. */
#define HASH_WHEN_ASKED_MAX ((INT64_C(1) << 46) - 1)

struct hash {
    struct object object;
    struct record_table table;
};

extern const struct object_class hash_class;

struct hash_limits {
    uint64_t entries; /* of a flat one */
    uint64_t value;   /* bytes of a field or value of a flat one */
};

uint64_t hash_count(const struct hash *hash);
/* What is found points into the hash and is valid until it is changed. */
bool hash_find(const struct hash *hash, const struct item *field, struct record *out);
/* Add, or replace value and time. True: the field was not there. The record is outside the hash. */
bool hash_put(struct hash *hash, const struct hash_limits *limits, const struct record *record);
/* Another time for a field that is there; RECORD_NO_EXPIRY for none. */
void hash_set_expiry(struct hash *hash, const struct hash_limits *limits, const struct item *field,
                     int64_t expiry);
/* False: it was not there. */
bool hash_remove(struct hash *hash, const struct item *field);
/* No field ends before; RECORD_NO_EXPIRY when none ends. */
int64_t hash_next_expiry(const struct hash *hash);

/* As record_table_scan; a flat one is visited whole. */
uint64_t hash_scan(const struct hash *hash, uint64_t cursor, record_visit *visit, void *context);
/* Each field that does not end at or before `now_ms` with the same probability; false when there is
 * none. */
bool hash_random(const struct hash *hash, int64_t now_ms, uint64_t (*random)(void *), void *context,
                 struct record *out);
/* Fields whose time is not over. */
uint64_t hash_count_alive_at(const struct hash *hash, int64_t now_ms);
/* As record_table_due. */
bool hash_due(struct hash *hash, int64_t now_ms, size_t max, record_visit *visit, void *context);

#endif
