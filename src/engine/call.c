/* call.c: what a handler may ask for: errors, arguments, keys, and saying what it changed. */
#include "engine/call.h"

#include "base/invariant.h"
#include "base/number.h"
#include "engine/command.h"
#include "engine/server.h"
#include <stdarg.h>
#include <stdio.h>

enum { ERROR_TEXT_MAX = 512, SHOWN_MAX = 128 };

/* ---- errors ---- */

/* By its code, the first word; what has none, or none that names anything, is an ERR. */
static void count_error(struct server *server, struct bytes text) {
    enum { CODE_MAX = 32 };
    size_t size = 0;
    while (size < text.size && (unsigned char)text.data[size] > ' ')
        size++;
    bool has_code = size > 0 && size <= CODE_MAX && size < text.size && text.data[size] == ' ';
    if (!has_code) text = BYTES("ERR"), size = 3;
    if (statistics_count_error(&server->statistics, text.data, size)) return;
    log_warning(server->log,
                "Errorstats stopped adding new errors because the number of errors reached the "
                "limit (%d), may be misuse of error replies of scripts, please check INFO "
                "ERRORSTATS, this can be re-enabled via CONFIG RESETSTAT.",
                ERROR_CODES_MAX);
}

static void refuse_unit(struct call *call, const char *text, size_t size) {
    bool plain = size > 4 && memcmp(text, "ERR ", 4) == 0;
    call->refuses_unit = false;
    call_error(call, "EXECABORT Transaction discarded because of: %.*s",
               (int)(plain ? size - 4 : size), plain ? text + 4 : text);
}

void call_error(struct call *call, const char *format, ...) {
    char text[ERROR_TEXT_MAX];
    va_list arguments;
    va_start(arguments, format);
    int written = vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    INVARIANT(written > 0);
    size_t size = (size_t)written < sizeof text ? (size_t)written : sizeof text - 1;
    /* A line's end that came with an argument does not become a blank. */
    while (size > 1 && (text[size - 1] == '\r' || text[size - 1] == '\n'))
        size--;
    if (unlikely(call->refuses_unit)) {
        refuse_unit(call, text, size);
        return;
    }
    call->failed = true;
    count_error(call->server, bytes_make(text, size));
    reply_error(call->reply, bytes_make(text, size));
}

void call_error_text(struct call *call, struct bytes text, bool counts) {
    call->failed = true;
    if (counts) count_error(call->server, text);
    reply_error(call->reply, text);
}

void call_error_syntax(struct call *call) {
    call_error(call, "ERR syntax error");
}

void call_error_integer(struct call *call) {
    call_error(call, "ERR value is not an integer or out of range");
}

void call_error_wrong_type(struct call *call) {
    call_error(call, "WRONGTYPE Operation against a key holding the wrong kind of value");
}

void call_error_no_key(struct call *call) {
    call_error(call, "ERR no such key");
}

void call_error_busy(struct call *call) {
    call_error(call, "BUSY Redis is busy running a script. You can only call SCRIPT KILL or "
                     "SHUTDOWN NOSAVE.");
}

void call_error_arity(struct call *call) {
    struct bytes name = call->command->full_name;
    call_error(call, "ERR wrong number of arguments for '%.*s' command", (int)name.size, name.data);
}

/* `format` has places for the subcommand and its container, in upper case. */
static void error_with_help(struct call *call, const char *format) {
    struct bytes name = call->argv[0], sub = call->argv[1];
    char upper[SHOWN_MAX];
    size_t size = name.size < sizeof upper ? name.size : sizeof upper;
    for (size_t i = 0; i < size; i++)
        upper[i] =
            name.data[i] >= 'a' && name.data[i] <= 'z' ? (char)(name.data[i] - 32) : name.data[i];
    call_error(call, format, (int)(sub.size < SHOWN_MAX ? sub.size : SHOWN_MAX), sub.data,
               (int)size, upper);
}

void call_error_subcommand(struct call *call) {
    error_with_help(call, "ERR unknown subcommand '%.*s'. Try %.*s HELP.");
}

void call_error_subcommand_words(struct call *call) {
    error_with_help(call, "ERR unknown subcommand or wrong number of arguments for '%.*s'. Try "
                          "%.*s HELP.");
}

/* ---- arguments ---- */

bool call_parse_i64(struct call *call, uint32_t index, int64_t *out, const char *error) {
    if (number_parse_i64(call->argv[index], out)) return true;
    if (error)
        call_error(call, "%s", error);
    else
        call_error_integer(call);
    return false;
}

bool call_parse_range(struct call *call, uint32_t index, int64_t min, int64_t max, int64_t *out,
                      const char *error) {
    bool is_number = number_parse_i64(call->argv[index], out);
    if (is_number && *out >= min && *out <= max) return true;
    if (error)
        call_error(call, "%s", error);
    else if (!is_number)
        call_error_integer(call);
    else
        call_error(call, "ERR value is out of range, value must between %lld and %lld",
                   (long long)min, (long long)max);
    return false;
}

bool call_can_draw(struct call *call, uint64_t count) {
    if (count <= CALL_DRAWS_MAX) return true;
    call_error(call, "ERR value is out of range");
    return false;
}

bool call_parse_timeout(struct call *call, uint32_t index, int64_t *timeout_ms) {
    static const long double limit = 9223372036854775808.0L; /* 2^63 */
    long double ms;
    if (!number_parse_long_double(call->argv[index], &ms)) {
        call_error(call, "ERR timeout is not a float or out of range");
        return false;
    }
    ms *= 1000;
    if (ms <= -1) {
        call_error(call, "ERR timeout is negative");
        return false;
    }
    if (ms >= limit) {
        call_error(call, "ERR timeout is out of range");
        return false;
    }
    *timeout_ms = (int64_t)ms;
    if ((long double)*timeout_ms < ms) ++*timeout_ms; /* up: what is not 0 does not become it */
    return true;
}

/* ---- keys ---- */

struct key call_key(const struct call *call, uint32_t index) {
    struct bytes name = call->argv[index];
    if (call->hashes && call->hashes[index] != 0) return (struct key){name, call->hashes[index]};
    return key_make(&call->server->keyspace, name);
}

/* The key is past its time: remove it, and let everyone know. */
static void expire(struct call *call, struct database *db, struct spot *spot) {
    server_expire(call->server, db, spot);
}

static const struct entry *find_alive(struct call *call, struct database *db,
                                      const struct key *key) {
    const struct entry *entry = database_find(db, key);
    if (!entry || likely(entry_expiry(entry) > call->now_ms)) return entry;
    /* As if it were gone, where the primary or a pause decides when it is. */
    if (call->server->replication.is_replica || call->server->pause != SERVER_PAUSE_NONE)
        return NULL;
    struct spot spot = database_locate(db, key);
    expire(call, db, &spot);
    return NULL;
}

const struct entry *call_read_key(struct call *call, struct database *db, const struct key *key) {
    const struct entry *entry = find_alive(call, db, key);
    struct server *server = call->server;
    if (!entry) {
        server->statistics.misses++;
        call_notify(call, db, key->name, NOTIFY_MISS, "keymiss");
        return NULL;
    }
    server->statistics.hits++;
    if (!(call->session->flags & SESSION_NO_TOUCH)) use_touch(&server->keyspace.use, entry, false);
    return entry;
}

void call_expire(struct call *call, struct bytes name) {
    struct key key = key_make(&call->server->keyspace, name);
    find_alive(call, call->database, &key);
}

const struct entry *call_read(struct call *call, uint32_t index) {
    struct key key = call_key(call, index);
    return call_read_key(call, call->database, &key);
}

static bool is_type(struct call *call, const struct entry *entry, enum value_type type) {
    if (!entry || entry_type(entry) == type) return true;
    call_error_wrong_type(call);
    return false;
}

bool call_read_type(struct call *call, uint32_t index, enum value_type type,
                    const struct entry **entry) {
    *entry = call_read(call, index);
    return is_type(call, *entry, type);
}

const struct entry *call_peek(struct call *call, uint32_t index) {
    struct key key = call_key(call, index);
    const struct entry *entry = find_alive(call, call->database, &key);
    if (entry)
        call->server->statistics.hits++;
    else
        call->server->statistics.misses++;
    return entry;
}

const struct entry *call_read_untouched(struct call *call, uint32_t index) {
    const struct entry *entry = call_peek(call, index);
    if (!entry) call_missed(call, index);
    return entry;
}

struct spot call_locate_key(struct call *call, struct database *db, const struct key *key) {
    struct spot spot = database_locate(db, key);
    if (!spot.entry) return spot;
    if (unlikely(entry_expiry(spot.entry) <= call->now_ms))
        expire(call, db, &spot);
    else if (!(call->session->flags & SESSION_NO_TOUCH))
        use_touch(&call->server->keyspace.use, spot.entry, true);
    return spot;
}

void call_used_to_change(struct call *call, const struct entry *entry) {
    struct use_policy *use = &call->server->keyspace.use;
    if (unlikely(call->session->flags & SESSION_NO_TOUCH))
        use_change(use, entry);
    else
        use_touch(use, entry, true);
}

struct spot call_locate(struct call *call, uint32_t index) {
    struct key key = call_key(call, index);
    return call_locate_key(call, call->database, &key);
}

bool call_locate_type(struct call *call, uint32_t index, enum value_type type, struct spot *spot) {
    *spot = call_locate(call, index);
    return is_type(call, spot->entry, type);
}

bool call_read_object(struct call *call, uint32_t index, enum value_type type,
                      union object_room *room, const struct object **object) {
    const struct entry *entry;
    *object = NULL;
    if (!call_read_type(call, index, type, &entry)) return false;
    if (entry) *object = entry_read_object(entry, &call->server->keyspace.world, room);
    return true;
}

bool call_look_object(struct call *call, uint32_t index, enum value_type type,
                      union object_room *room, const struct object **object) {
    struct spot spot;
    *object = NULL;
    if (!call_locate_type(call, index, type, &spot)) return false;
    if (spot.entry) *object = entry_read_object(spot.entry, &call->server->keyspace.world, room);
    return true;
}

void call_missed(struct call *call, uint32_t index) {
    call_notify(call, call->database, call->argv[index], NOTIFY_MISS, "keymiss");
}

bool call_edit(struct call *call, uint32_t index, enum value_type type, struct edit *edit) {
    struct key key = call_key(call, index);
    struct spot spot = call_locate_key(call, call->database, &key);
    if (!is_type(call, spot.entry, type)) return false;
    edit_begin(edit, call->database, &key, &spot, type);
    return true;
}

void reply_item(struct reply *reply, const struct item *item) {
    if (item->text)
        reply_bulk(reply, bytes_make(item->text, item->size));
    else
        reply_bulk_integer(reply, item->integer);
}

/* ---- changes ---- */

void call_changed_uncounted(struct call *call, struct database *db, struct bytes key) {
    if (unlikely(call->server->interests)) server_key_changed(call->server, db->number, key);
}

void call_changed_silently(struct call *call, struct database *db, struct bytes key) {
    call->changes++;
    call_changed_uncounted(call, db, key);
}

void call_notify(struct call *call, struct database *db, struct bytes key, enum notify_class class,
                 const char *event) {
    struct server *server = call->server;
    if (likely(!server->notify)) return;
    server->notify(server, db->number, key, class, event);
}

void call_changed(struct call *call, struct database *db, struct bytes key, enum notify_class class,
                  const char *event) {
    call_changed_silently(call, db, key);
    call_notify(call, db, key, class, event);
}

void call_changed_inside(struct call *call, struct database *db, struct bytes key,
                         enum notify_class class, const char *event) {
    call->changes++;
    if (call->server->waiting.count > 0) waiting_key_changed(call->server, db->number, key);
    if (event) call_notify(call, db, key, class, event);
}

void call_changed_database(struct call *call, struct database *db, uint64_t keys) {
    call->changes += keys;
    if (unlikely(call->server->interests))
        server_database_changed(call->server, db ? db->number : UINT32_MAX);
}

static void say_effects(struct call *call) {
    if (call->effects_said) return;
    call->effects_said = true;
    const struct journal *journal = &call->server->journal;
    call->unit_begun = journal_active(journal) && !journal->muted;
    if (call->unit_begun) journal_begin_unit(&call->server->journal);
}

void call_effect(struct call *call, struct database *db, const struct bytes *argv, size_t argc) {
    say_effects(call);
    journal_append(&call->server->journal, db->number, argv, argc);
}

void call_effect_none(struct call *call) {
    say_effects(call);
}

void call_hide(struct call *call, uint32_t index) {
    uint32_t bit = index < CALL_HIDDEN_BITS ? index : CALL_HIDDEN_BITS - 1;
    call->hidden |= UINT64_C(1) << bit;
}

uint64_t call_random(struct call *call) {
    return server_random(call->server);
}
