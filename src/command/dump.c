/* dump.c: DUMP and RESTORE: one value as bytes.
 *
 *     | form 1 | value | version 2 | CRC-64 of all before 8 |      little-endian */
#include "base/crc.h"
#include "command/command_handlers.h"
#include "engine/call.h"
#include "engine/config.h"
#include "engine/loading.h"
#include "engine/server.h"
#include "rdb/value.h"

enum { FOOTER = 10, VERSION_MAX = 12 };

/* ---- DUMP ---- */

void command_dump(struct call *call) {
    struct server *server = call->server;
    const struct entry *entry = call_read(call, 1);
    struct rdb_output out;
    if (!entry) {
        reply_null(call->reply);
        return;
    }
    rdb_output_init(&out, server->config->rdbcompression);
    rdb_value_dump(&out, entry, &server->keyspace.world);
    reply_bulk(call->reply, buffer_bytes(&out.buffer));
    rdb_output_release(&out);
}

/* ---- RESTORE ---- */

struct restore {
    int64_t ttl;
    int64_t idle_s, frequency; /* -1: not said */
    bool replaces, is_absolute;
};

static bool parse_options(struct call *call, struct restore *restore) {
    for (uint32_t i = 4; i < call->argc; i++) {
        bool has_value = i + 1 < call->argc;
        if (call_argument_is(call, i, "replace")) {
            restore->replaces = true;
        } else if (call_argument_is(call, i, "absttl")) {
            restore->is_absolute = true;
        } else if (call_argument_is(call, i, "idletime") && has_value && restore->frequency == -1) {
            if (!call_parse_i64(call, ++i, &restore->idle_s, NULL)) return false;
            if (restore->idle_s < 0) {
                call_error(call, "ERR Invalid IDLETIME value, must be >= 0");
                return false;
            }
        } else if (call_argument_is(call, i, "freq") && has_value && restore->idle_s == -1) {
            if (!call_parse_i64(call, ++i, &restore->frequency, NULL)) return false;
            if (restore->frequency < 0 || restore->frequency > 255) {
                call_error(call, "ERR Invalid FREQ value, must be >= 0 and <= 255");
                return false;
            }
        } else {
            call_error_syntax(call);
            return false;
        }
    }
    return true;
}

/* Footer and checksum; *body is what stands before them. */
static bool check_payload(struct bytes payload, struct bytes *body) {
    if (payload.size < FOOTER) return false;
    const uint8_t *footer = (const uint8_t *)payload.data + payload.size - FOOTER;
    unsigned version = footer[0] | (unsigned)footer[1] << 8;
    uint64_t crc = 0;
    for (unsigned i = 8; i-- > 0;)
        crc = crc << 8 | footer[2 + i];
    *body = bytes_make(payload.data, payload.size - FOOTER);
    return version <= VERSION_MAX && crc == crc64(0, bytes_make(payload.data, payload.size - 8));
}

/* False after an error reply. The value is borrowed from the reader. */
static bool read_value(struct call *call, struct bytes body, struct rdb_reader *reader,
                       struct rdb_value *value) {
    struct rdb_input in = rdb_input_of(body);
    uint8_t form;
    bool good = rdb_input_byte(&in, &form) && rdb_value_read(&in, reader, form, value);
    if (good && rdb_input_left(&in) > 0) {
        if (value->is_object) object_release(&value->room.object);
        good = false;
    }
    if (!good) call_error(call, "ERR Bad data format");
    return good;
}

static void set_use(struct call *call, const struct restore *restore, const struct entry *entry) {
    const struct use_policy *use = &call->server->keyspace.use;
    bool counts = use->kind == USE_BY_COUNT;
    if (counts && restore->frequency >= 0)
        entry_set_clock(entry, use_of_count(use, (uint32_t)restore->frequency));
    else if (!counts && restore->idle_s >= 0)
        entry_set_clock(entry, use_of_idle(use, (uint64_t)restore->idle_s));
}

/* What another server does: the time is absolute, and what was there is replaced. */
static void say_effect(struct call *call, int64_t expiry) {
    struct bytes words[9];
    char text[NUMBER_I64_TEXT_MAX];
    size_t count = 0;
    words[count++] = BYTES("RESTORE");
    words[count++] = call->argv[1];
    words[count++] =
        expiry == ENTRY_NO_EXPIRY ? BYTES("0") : bytes_make(text, number_format_i64(text, expiry));
    words[count++] = call->argv[3];
    words[count++] = BYTES("REPLACE");
    if (expiry != ENTRY_NO_EXPIRY) words[count++] = BYTES("ABSTTL");
    call_effect(call, call->database, words, count);
}

static void remove_old(struct call *call, struct spot *spot) {
    struct bytes words[] = {BYTES("DEL"), call->argv[1]};
    if (!spot->entry) return;
    database_remove(call->database, spot);
    call_changed(call, call->database, call->argv[1], NOTIFY_GENERIC, "del");
    call_effect(call, call->database, words, 2);
}

static void put(struct call *call, const struct restore *restore, struct rdb_value *value,
                int64_t expiry) {
    struct key key = call_key(call, 1);
    struct spot spot = call_locate(call, 1);
    bool replaces = spot.entry != NULL;
    if (value->is_object)
        database_put_object(call->database, &key, &spot, &value->room.object, expiry);
    else
        database_put_string(call->database, &key, &spot, value->string, expiry);
    if (spot.entry) set_use(call, restore, spot.entry);
    if (replaces)
        call_notify(call, call->database, key.name, NOTIFY_NEW, "new"); /* it was removed */
    call_changed(call, call->database, call->argv[1], NOTIFY_GENERIC, "restore");
    say_effect(call, expiry);
}

/* When the key would be gone again; ENTRY_NO_EXPIRY: never. */
static int64_t expiry_of(const struct call *call, const struct restore *restore) {
    if (restore->ttl == 0) return ENTRY_NO_EXPIRY;
    if (restore->is_absolute || restore->ttl > INT64_MAX - 1 - call->server->now_ms)
        return restore->ttl;
    return call->server->now_ms + restore->ttl;
}

void command_restore(struct call *call) {
    struct restore restore = {.idle_s = -1, .frequency = -1};
    struct server *server = call->server;
    struct bytes body;
    struct rdb_value value;
    struct rdb_limits limits;
    if (!parse_options(call, &restore)) return;
    struct spot spot = call_locate(call, 1);
    if (!restore.replaces && spot.entry) {
        call_error(call, "BUSYKEY Target key name already exists.");
        return;
    }
    if (!call_parse_i64(call, 2, &restore.ttl, NULL)) return;
    if (restore.ttl < 0) {
        call_error(call, "ERR Invalid TTL value, must be >= 0");
        return;
    }
    if (!check_payload(call->argv[3], &body)) {
        call_error(call, "ERR DUMP payload version or checksum are wrong");
        return;
    }
    loading_limits(server, &limits);
    struct rdb_reader reader = {.world = &server->keyspace.world, .limits = &limits};
    if (read_value(call, body, &reader, &value)) {
        int64_t expiry = expiry_of(call, &restore);
        if (expiry <= call->now_ms) {
            spot = call_locate(call, 1);
            remove_old(call, &spot);
            if (value.is_object) object_release(&value.room.object);
        } else {
            put(call, &restore, &value, expiry);
        }
        reply_ok(call->reply);
    }
    rdb_reader_release(&reader);
}
