/* digest.c: fingerprints of values, entries and the whole keyspace. Reads and changes nothing. */
#include "keyspace/digest.h"

#include "base/invariant.h"
#include "base/number.h"

#define XXH_STATIC_LINKING_ONLY /* says how large the states are */
#include <xxhash.h>

/* Bytes go into both hashes, whose states are kept side by side. */
struct digest_stream {
    XXH3_state_t wide, narrow;
};

enum { NARROW_SEED = 1 };

static void stream_begin(struct digest_stream *stream) {
    XXH3_INITSTATE(&stream->wide);
    XXH3_INITSTATE(&stream->narrow);
    XXH3_128bits_reset(&stream->wide);
    XXH3_64bits_reset_withSeed(&stream->narrow, NARROW_SEED);
}

static void stream_add(struct digest_stream *stream, const void *data, size_t size) {
    XXH3_128bits_update(&stream->wide, data, size);
    XXH3_64bits_update(&stream->narrow, data, size);
}

static void stream_add_number(struct digest_stream *stream, uint64_t number, size_t size) {
    uint8_t bytes[sizeof number];
    for (size_t i = 0; i < size; i++)
        bytes[i] = (uint8_t)(number >> 8 * i);
    stream_add(stream, bytes, size);
}

static struct digest stream_end(struct digest_stream *stream) {
    struct digest digest;
    XXH128_canonical_t wide;
    XXH64_canonical_t narrow;
    enum { WIDE = sizeof wide.digest, REST = DIGEST_SIZE - WIDE };
    XXH128_canonicalFromHash(&wide, XXH3_128bits_digest(&stream->wide));
    XXH64_canonicalFromHash(&narrow, XXH3_64bits_digest(&stream->narrow));
    memcpy(digest.bytes, wide.digest, WIDE);
    memcpy(digest.bytes + WIDE, narrow.digest + sizeof narrow.digest - REST, REST);
    return digest;
}

struct digest digest_value(const struct entry *entry) {
    struct digest_stream stream;
    char scratch[NUMBER_I64_TEXT_MAX];
    INVARIANT(entry_type(entry) == VALUE_STRING);
    struct bytes content = entry_string(entry, scratch);
    stream_begin(&stream);
    stream_add_number(&stream, entry_type(entry), 1);
    stream_add(&stream, content.data, content.size);
    return stream_end(&stream);
}

struct digest digest_entry(uint32_t database, const struct entry *entry) {
    struct digest_stream stream;
    struct digest value = digest_value(entry);
    struct bytes key = entry_key(entry);
    stream_begin(&stream);
    stream_add_number(&stream, database, 4);
    stream_add_number(&stream, (uint64_t)entry_expiry(entry), 8);
    stream_add_number(&stream, key.size, 8);
    stream_add(&stream, key.data, key.size);
    stream_add(&stream, value.bytes, sizeof value.bytes);
    return stream_end(&stream);
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
    for (size_t i = 0; i < DIGEST_SIZE; i++)
        walk->digest.bytes[i] ^= one.bytes[i];
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

void digest_format(const struct digest *digest, char out[DIGEST_TEXT_SIZE + 1]) {
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < DIGEST_SIZE; i++) {
        out[2 * i] = digits[digest->bytes[i] >> 4];
        out[2 * i + 1] = digits[digest->bytes[i] & 15];
    }
    out[DIGEST_TEXT_SIZE] = 0;
}
