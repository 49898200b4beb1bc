/* keys.c: commands on keys of any type: removing, naming, copying, counting. Expiry is in
 * keys_expiry.c, walking in keys_scan.c. */
#include "command/command_handlers.h"

#include "base/number.h"
#include "engine/call.h"
#include "engine/config.h"
#include "engine/server.h"

/* ---- removing and counting ---- */

static void delete_keys(struct call *call) {
    int64_t removed = 0;
    for (uint32_t i = 1; i < call->argc; i++) {
        struct key key = call_key(call, i);
        struct spot spot = call_locate_key(call, call->database, &key);
        if (!spot.entry) continue;
        database_remove(call->database, &spot);
        call_changed(call, call->database, key.name, NOTIFY_GENERIC, "del");
        removed++;
    }
    reply_integer(call->reply, removed);
}

void command_del(struct call *call) {
    delete_keys(call);
}

/* Large values are freed by a worker in either case. */
void command_unlink(struct call *call) {
    delete_keys(call);
}

void command_exists(struct call *call) {
    int64_t count = 0;
    for (uint32_t i = 1; i < call->argc; i++)
        count += call_read_untouched(call, i) != NULL;
    reply_integer(call->reply, count);
}

void command_touch(struct call *call) {
    int64_t count = 0;
    for (uint32_t i = 1; i < call->argc; i++) {
        const struct entry *entry = call_read_untouched(call, i);
        if (!entry) continue;
        use_touch(&call->server->keyspace.use, entry, false);
        count++;
    }
    reply_integer(call->reply, count);
}

void command_type(struct call *call) {
    const struct entry *entry = call_read_untouched(call, 1);
    reply_simple(call->reply, entry ? value_type_name(entry_type(entry)) : "none");
}

/* ---- random ---- */

static uint64_t random_number(void *call) {
    return call_random(call);
}

void command_randomkey(struct call *call) {
    enum { TRIES = 100 }; /* expired entries that are removed on the way */
    for (int i = 0; i < TRIES; i++) {
        const struct entry *entry = database_random(call->database, random_number, call);
        if (!entry) break;
        if (entry_expiry(entry) > call->now_ms) {
            reply_bulk(call->reply, entry_key(entry));
            return;
        }
        if (call->server->replication.is_replica) { /* which removes nothing by itself */
            if (i < TRIES - 1) continue;
            reply_bulk(call->reply, entry_key(entry));
            return;
        }
        struct key key = key_make(&call->server->keyspace, entry_key(entry));
        call_locate_key(call, call->database, &key);
    }
    reply_null(call->reply);
}

/* ---- naming and copying ---- */

/* False after a reply. */
static bool rename_key(struct call *call, bool only_if_absent) {
    struct key from = call_key(call, 1), to = call_key(call, 2);
    struct database *db = call->database;
    if (!call_locate_key(call, db, &from).entry) {
        call_error_no_key(call);
        return false;
    }
    bool same = bytes_equal(from.name, to.name);
    struct spot spot = call_locate_key(call, db, &to);
    if (only_if_absent && (same || spot.entry)) {
        reply_integer(call->reply, 0);
        return false;
    }
    if (same) return true;
    bool replaces = spot.entry != NULL;
    bool same_type = replaces && entry_type(spot.entry) == entry_type(database_find(db, &from));
    database_move(db, &from, db, &to);
    if (replaces) call_notify(call, db, to.name, NOTIFY_NEW, "new"); /* as if it had gone before */
    call_changed_uncounted(call, db, from.name);
    call_notify(call, db, from.name, NOTIFY_GENERIC, "rename_from");
    call_changed(call, db, to.name, NOTIFY_GENERIC, "rename_to");
    if (replaces) notify_replaced(call->server, db->number, to.name, same_type);
    return true;
}

void command_rename(struct call *call) {
    if (rename_key(call, false)) reply_ok(call->reply);
}

void command_renamenx(struct call *call) {
    if (rename_key(call, true)) reply_integer(call->reply, 1);
}

static bool parse_database(struct call *call, uint32_t index, struct database **db) {
    int64_t number;
    struct keyspace *keyspace = &call->server->keyspace;
    if (!call_parse_range(call, index, INT32_MIN, INT32_MAX, &number, NULL)) return false;
    if (number < 0 || number >= keyspace->database_count) {
        call_error(call, "ERR DB index is out of range");
        return false;
    }
    *db = &keyspace->databases[number];
    return true;
}

void command_move(struct call *call) {
    struct database *to_db;
    if (!parse_database(call, 2, &to_db)) return;
    if (to_db == call->database) {
        call_error(call, "ERR source and destination objects are the same");
        return;
    }
    struct key key = call_key(call, 1);
    if (!call_locate_key(call, call->database, &key).entry) {
        reply_integer(call->reply, 0);
        return;
    }
    struct spot spot = call_locate_key(call, to_db, &key);
    if (spot.entry) {
        reply_integer(call->reply, 0);
        return;
    }
    database_move(call->database, &key, to_db, &key);
    call_changed(call, call->database, key.name, NOTIFY_GENERIC, "move_from");
    call_changed_uncounted(call, to_db, key.name);
    call_notify(call, to_db, key.name, NOTIFY_GENERIC, "move_to");
    reply_integer(call->reply, 1);
}

static bool parse_copy(struct call *call, struct database **to_db, bool *replace) {
    *to_db = call->database;
    *replace = false;
    for (uint32_t i = 3; i < call->argc; i++) {
        if (call_argument_is(call, i, "replace")) {
            *replace = true;
        } else if (call_argument_is(call, i, "db") && i + 1 < call->argc) {
            if (!parse_database(call, ++i, to_db)) return false;
        } else {
            call_error_syntax(call);
            return false;
        }
    }
    return true;
}

void command_copy(struct call *call) {
    struct database *to_db;
    bool replace;
    if (!parse_copy(call, &to_db, &replace)) return;
    struct key from = call_key(call, 1), to = call_key(call, 2);
    if (to_db == call->database && bytes_equal(from.name, to.name)) {
        call_error(call, "ERR source and destination objects are the same");
        return;
    }
    if (!call_read(call, 1)) {
        reply_integer(call->reply, 0);
        return;
    }
    struct spot spot = call_locate_key(call, to_db, &to);
    if (spot.entry && !replace) {
        reply_integer(call->reply, 0);
        return;
    }
    const struct entry *entry = database_find(call->database, &from);
    bool replaces = spot.entry != NULL;
    bool same_type = replaces && entry_type(spot.entry) == entry_type(entry);
    database_put_copy(to_db, &to, &spot, entry, entry_expiry(entry));
    if (replaces) call_notify(call, to_db, to.name, NOTIFY_NEW, "new");
    call_changed(call, to_db, to.name, NOTIFY_GENERIC, "copy_to");
    if (replaces) notify_replaced(call->server, to_db->number, to.name, same_type);
    reply_integer(call->reply, 1);
}

/* ---- OBJECT ---- */

#define SWITCHING                                                                                  \
    "Please note that when switching between policies at runtime LRU and LFU data will take some " \
    "time to adjust."

/* Null for an absent key. */
static const struct entry *object_of(struct call *call) {
    const struct entry *entry = call_peek(call, 2);
    if (!entry) reply_null(call->reply);
    return entry;
}

void command_object_encoding(struct call *call) {
    const struct entry *entry = object_of(call);
    if (entry) reply_bulk_text(call->reply, entry_encoding_name(entry));
}

void command_object_refcount(struct call *call) {
    const struct entry *entry = object_of(call);
    if (entry) reply_integer(call->reply, entry_reference_count(entry));
}

void command_object_idletime(struct call *call) {
    const struct entry *entry = object_of(call);
    const struct keyspace *keyspace = &call->server->keyspace;
    if (!entry) return;
    if (keyspace->use.kind == USE_BY_COUNT) {
        call_error(call,
                   "ERR An LFU maxmemory policy is selected, idle time not tracked. " SWITCHING);
        return;
    }
    reply_integer(call->reply, use_idle_s(&keyspace->use, entry));
}

void command_object_freq(struct call *call) {
    const struct entry *entry = object_of(call);
    const struct keyspace *keyspace = &call->server->keyspace;
    if (!entry) return;
    if (keyspace->use.kind == USE_BY_COUNT)
        reply_integer(call->reply, use_count(&keyspace->use, entry));
    else
        call_error(call, "ERR An LFU maxmemory policy is not selected, access frequency not "
                         "tracked. " SWITCHING);
}
