/* fuzz_rdb_value.c: bytes that pass for a value are one: it is written and read again, and is the
 * same; every element can be looked at. */
#include "base/digest.h"
#include "keyspace/digest.h"
#include "keyspace/edit.h"
#include "rdb/value.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct rdb_limits limits = {
    .list = {4}, .set = {8, 8, 16}, .hash = {8, 16}, .sorted_set = {8, 16}};

static const struct entry *put(struct keyspace *keyspace, const char *name,
                               struct rdb_value *value) {
    struct database *db = &keyspace->databases[0];
    struct key key = key_make(keyspace, bytes_from_text(name));
    struct spot spot = database_locate(db, &key);
    if (value->is_object)
        database_put_object(db, &key, &spot, &value->room.object, ENTRY_NO_EXPIRY);
    else
        database_put_string(db, &key, &spot, value->string, ENTRY_NO_EXPIRY);
    return spot.entry;
}

static void write_and_read(struct keyspace *keyspace, struct rdb_reader *reader,
                           const struct entry *entry) {
    struct rdb_output out;
    struct rdb_value value;
    rdb_output_init(&out, true);
    uint8_t form = rdb_value_form(&out, entry, &keyspace->world);
    rdb_value_write(&out, form, entry, &keyspace->world);
    struct digest before = digest_value(entry);
    struct rdb_input in = rdb_input_of(buffer_bytes(&out.buffer));
    if (!rdb_value_read(&in, reader, form, &value) || rdb_input_left(&in) > 0) abort();
    struct digest after = digest_value(put(keyspace, "again", &value));
    if (memcmp(&before, &after, sizeof before) != 0) abort();
    rdb_output_release(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const struct hash_secret secret;
    struct keyspace keyspace;
    struct rdb_value value;
    if (size == 0) return 0;
    keyspace_init(&keyspace, 1, &secret);
    struct rdb_reader reader = {.world = &keyspace.world, .limits = &limits};
    struct rdb_input in = rdb_input_of(bytes_make(data + 1, size - 1));
    if (rdb_value_read(&in, &reader, data[0], &value)) {
        const struct entry *entry = put(&keyspace, "once", &value);
        if (entry) write_and_read(&keyspace, &reader, entry);
    }
    rdb_reader_release(&reader);
    keyspace_release(&keyspace);
    return 0;
}
