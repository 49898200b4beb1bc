/* digest.c: fingerprints of values, entries and the whole keyspace. Reads and changes nothing. */
#include "keyspace/digest.h"

#include "base/invariant.h"
#include "base/number.h"
#include "keyspace/edit.h"
#include "value/object_digest.h"

struct digest digest_value(const struct entry *entry) {
    struct digest_stream stream;
    char scratch[NUMBER_I64_TEXT_MAX];
    if (entry_type(entry) != VALUE_STRING) {
        union object_room room;
        return object_digest_of(entry_read_object(entry, NULL, &room));
    }
    struct bytes content = entry_string(entry, scratch);
    digest_begin(&stream);
    digest_add_number(&stream, entry_type(entry), 1);
    digest_add(&stream, content.data, content.size);
    return digest_end(&stream);
}

struct digest digest_entry(uint32_t database, const struct entry *entry) {
    struct digest_stream stream;
    struct digest value = digest_value(entry);
    struct bytes key = entry_key(entry);
    digest_begin(&stream);
    digest_add_number(&stream, database, 4);
    digest_add_number(&stream, (uint64_t)entry_expiry(entry), 8);
    digest_add_number(&stream, key.size, 8);
    digest_add(&stream, key.data, key.size);
    digest_add(&stream, value.bytes, sizeof value.bytes);
    return digest_end(&stream);
}

struct digest_walk {
    struct digest digest;
    uint32_t database;
    int64_t now_ms;
    size_t seen;
};

static void walk_entry(void *context, const struct entry *entry) {
    struct digest_walk *walk = context;
    walk->seen++;
    if (entry_expiry(entry) <= walk->now_ms) return;
    struct digest one = digest_entry(walk->database, entry);
    digest_mix(&walk->digest, &one);
}

struct digest digest_keyspace(const struct keyspace *keyspace, int64_t now_ms) {
    struct digest_walk walk = {.now_ms = now_ms};
    for (uint32_t i = 0; i < keyspace->database_count; i++) {
        const struct database *db = &keyspace->databases[i];
        uint64_t cursor = 0;
        walk.database = i;
        walk.seen = 0;
        do {
            cursor = database_scan(db, cursor, walk_entry, &walk);
        } while (cursor != 0);
        /* An entry seen twice would cancel itself. */
        INVARIANT(walk.seen == database_count(db));
    }
    return walk.digest;
}
