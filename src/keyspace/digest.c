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

/* Numbers go in as C programs send them over a network. */
static void fold_number(struct digest *digest, uint32_t number) {
    char bytes[] = {(char)(number >> 24), (char)(number >> 16), (char)(number >> 8), (char)number};
    digest_fold_mix(digest, bytes_make(bytes, sizeof bytes));
}

static void fold_value(struct digest *digest, const struct entry *entry) {
    char scratch[NUMBER_I64_TEXT_MAX];
    union object_room room;
    /* Redis counts modules' values before streams. */
    uint32_t type = entry_type(entry);
    fold_number(digest, type == VALUE_STREAM ? type + 1 : type);
    if (entry_type(entry) == VALUE_STRING)
        digest_fold_mix(digest, entry_string(entry, scratch));
    else
        object_digest_fold(entry_read_object(entry, NULL, &room), digest);
    if (entry_expiry(entry) != ENTRY_NO_EXPIRY) digest_fold_add(digest, BYTES("!!expire!!"));
}

struct digest digest_fold_value(const struct entry *entry) {
    struct digest digest = {.bytes = {0}};
    fold_value(&digest, entry);
    return digest;
}

struct digest_walk {
    struct digest digest;
    bool is_folded;
    uint32_t database;
    int64_t now_ms;
    size_t seen;
};

static void walk_entry(void *context, const struct entry *entry) {
    struct digest_walk *walk = context;
    walk->seen++;
    if (entry_expiry(entry) <= walk->now_ms) return;
    if (walk->is_folded) {
        struct digest one = {.bytes = {0}};
        digest_fold_mix(&one, entry_key(entry));
        fold_value(&one, entry);
        digest_fold_add(&walk->digest, bytes_make((const char *)one.bytes, sizeof one.bytes));
        return;
    }
    struct digest one = digest_entry(walk->database, entry);
    digest_mix(&walk->digest, &one);
}

static struct digest walk_keyspace(const struct keyspace *keyspace, bool is_folded,
                                   int64_t now_ms) {
    struct digest_walk walk = {.is_folded = is_folded, .now_ms = now_ms};
    for (uint32_t i = 0; i < keyspace->database_count; i++) {
        const struct database *db = &keyspace->databases[i];
        uint64_t cursor = 0;
        walk.database = i;
        walk.seen = 0;
        if (is_folded && database_count(db) > 0) fold_number(&walk.digest, i);
        do {
            cursor = database_scan(db, cursor, walk_entry, &walk);
        } while (cursor != 0);
        /* An entry seen twice would cancel itself. */
        INVARIANT(walk.seen == database_count(db));
    }
    return walk.digest;
}

struct digest digest_keyspace(const struct keyspace *keyspace, int64_t now_ms) {
    return walk_keyspace(keyspace, false, now_ms);
}

struct digest digest_fold_keyspace(const struct keyspace *keyspace, int64_t now_ms) {
    return walk_keyspace(keyspace, true, now_ms);
}
