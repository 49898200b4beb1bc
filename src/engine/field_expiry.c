/* field_expiry.c: fields of hashes whose time has come: removed a portion at a time. */
#include "engine/field_expiry.h"

#include "base/invariant.h"
#include "engine/notify.h"
#include "engine/server.h"
#include "keyspace/edit.h"
#include "value/hash.h"

enum { PORTION = 32 }; /* fields in one effect */

void field_expiry_say(struct server *server, struct database *db, struct bytes key,
                      const struct bytes *fields, size_t count) {
    struct bytes words[PORTION + 2] = {BYTES("HDEL"), key};
    INVARIANT(count <= PORTION);
    memcpy(words + 2, fields, count * sizeof *fields);
    journal_append(&server->journal, db->number, words, count + 2);
    server->statistics.expired_fields += count;
    if (server->notify) server->notify(server, db->number, key, NOTIFY_HASH, "hexpired");
}

/* The names of fields that are due, one behind another. */
struct portion {
    struct buffer names;
    size_t sizes[PORTION];
    size_t count;
};

static void note_field(void *context, const struct record *record) {
    struct portion *portion = context;
    char scratch[ITEM_TEXT_MAX];
    struct bytes name = item_bytes(&record->key, scratch);
    portion->sizes[portion->count++] = name.size;
    buffer_append(&portion->names, name.data, name.size);
}

static void remove_portion(struct server *server, struct database *db, struct bytes key,
                           struct hash *hash, const struct portion *portion) {
    struct bytes names[PORTION];
    size_t at = 0;
    for (size_t i = 0; i < portion->count; i++) {
        names[i] = bytes_make(portion->sizes[i] ? portion->names.data + at : "", portion->sizes[i]);
        struct item field = item_make(names[i]);
        hash_remove(hash, &field);
        at += portion->sizes[i];
    }
    field_expiry_say(server, db, key, names, portion->count);
}

size_t field_expiry_due(struct server *server, struct database *db, const struct entry *entry,
                        size_t max) {
    struct edit edit;
    struct portion portion = {.count = 0};
    struct buffer name = {0}; /* the entry's block may move */
    struct bytes key_name = entry_key(entry);
    buffer_append(&name, key_name.data, key_name.size);
    struct key key = key_make(&server->keyspace, bytes_make(name.size ? name.data : "", name.size));
    struct spot spot = database_locate(db, &key);
    INVARIANT(spot.entry == entry);
    edit_begin(&edit, db, &key, &spot, VALUE_HASH);
    struct hash *hash = (struct hash *)(void *)edit.object;
    size_t removed = 0;
    bool more = true;
    while (more && removed < max) {
        size_t wanted = max - removed < PORTION ? max - removed : PORTION;
        portion.count = 0;
        buffer_clear(&portion.names);
        more = hash_due(hash, server->now_ms, wanted, note_field, &portion);
        if (more) remove_portion(server, db, key.name, hash, &portion);
        removed += portion.count;
    }
    edit_end(&edit);
    if (removed > 0 && unlikely(server->interests))
        server_key_changed(server, db->number, key.name);
    if (edit.spot.entry == NULL && server->notify)
        server->notify(server, db->number, key.name, NOTIFY_GENERIC, "del");
    buffer_release(&portion.names);
    buffer_release(&name);
    return removed;
}
