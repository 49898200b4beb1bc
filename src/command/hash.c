/* hash.c: commands on the fields of hashes. */
#include "command/command_handlers.h"
#include "command/hash_call.h"

#include "base/number.h"
#include <math.h>

/* ---- reading ---- */

void command_hget(struct call *call) {
    union object_room room;
    const struct hash *hash;
    struct record record;
    if (!hash_read(call, 1, &room, &hash)) return;
    struct item field = item_make(call->argv[2]);
    if (hash_find_alive(call, hash, &field, &record))
        reply_item(call->reply, &record.value);
    else
        reply_null(call->reply);
}

void command_hmget(struct call *call) {
    union object_room room;
    const struct hash *hash;
    if (!hash_read(call, 1, &room, &hash)) return;
    hash_reply_values(call, hash, 2, call->argc - 2);
}

void command_hexists(struct call *call) {
    union object_room room;
    const struct hash *hash;
    struct record record;
    if (!hash_read(call, 1, &room, &hash)) return;
    struct item field = item_make(call->argv[2]);
    reply_integer(call->reply, hash_find_alive(call, hash, &field, &record));
}

void command_hstrlen(struct call *call) {
    union object_room room;
    const struct hash *hash;
    struct record record;
    if (!hash_read(call, 1, &room, &hash)) return;
    struct item field = item_make(call->argv[2]);
    bool found = hash_find_alive(call, hash, &field, &record);
    reply_integer(call->reply, found ? (int64_t)item_text_size(&record.value) : 0);
}

void command_hlen(struct call *call) {
    union object_room room;
    const struct hash *hash;
    if (!hash_read(call, 1, &room, &hash)) return;
    reply_integer(call->reply, hash ? (int64_t)hash_count(hash) : 0);
}

struct listing {
    struct reply *reply;
    int64_t now_ms;
    bool fields, values;
};

static void list_record(void *context, const struct record *record) {
    struct listing *listing = context;
    if (record->expiry <= listing->now_ms) return;
    if (listing->fields) reply_item(listing->reply, &record->key);
    if (listing->values) reply_item(listing->reply, &record->value);
}

static void list_hash(struct call *call, bool fields, bool values) {
    union object_room room;
    const struct hash *hash;
    if (!hash_read(call, 1, &room, &hash)) return;
    uint64_t count = hash_count_alive(call, hash), cursor = 0;
    struct listing listing = {call->reply, call->now_ms, fields, values};
    if (fields && values)
        reply_map(call->reply, count);
    else
        reply_array(call->reply, count);
    if (!hash) return;
    do
        cursor = hash_scan(hash, cursor, list_record, &listing);
    while (cursor != 0);
}

void command_hgetall(struct call *call) {
    list_hash(call, true, true);
}

void command_hkeys(struct call *call) {
    list_hash(call, true, false);
}

void command_hvals(struct call *call) {
    list_hash(call, false, true);
}

/* ---- setting and deleting ---- */

static bool set_pairs(struct call *call, int64_t *created) {
    struct hash_edit edit;
    *created = 0;
    if (call->argc % 2 != 0) {
        call_error_arity(call);
        return false;
    }
    if (!hash_edit_begin(call, &edit)) return false;
    for (uint32_t i = 2; i < call->argc; i += 2) {
        struct record record = {item_make(call->argv[i]), item_make(call->argv[i + 1]),
                                RECORD_NO_EXPIRY};
        hash_edit_drop_over(call, &edit, &record.key);
        *created += hash_put(edit.hash, &edit.limits, &record);
    }
    hash_edit_end(call, &edit, "hset");
    return true;
}

void command_hset(struct call *call) {
    int64_t created;
    if (set_pairs(call, &created)) reply_integer(call->reply, created);
}

void command_hmset(struct call *call) {
    int64_t created;
    if (set_pairs(call, &created)) reply_ok(call->reply);
}

void command_hsetnx(struct call *call) {
    struct hash_edit edit;
    struct record record = {item_make(call->argv[2]), item_make(call->argv[3]), RECORD_NO_EXPIRY};
    struct record old;
    if (!hash_edit_begin(call, &edit)) return;
    bool found = hash_edit_find(call, &edit, &record.key, &old);
    if (!found) hash_put(edit.hash, &edit.limits, &record);
    hash_edit_end(call, &edit, found ? NULL : "hset");
    reply_integer(call->reply, !found);
}

void command_hdel(struct call *call) {
    struct hash_edit edit;
    int64_t removed = 0;
    if (!hash_edit_begin(call, &edit)) return;
    for (uint32_t i = 2; i < call->argc; i++) {
        struct item field = item_make(call->argv[i]);
        hash_edit_drop_over(call, &edit, &field);
        removed += hash_remove(edit.hash, &field);
    }
    hash_edit_end(call, &edit, removed > 0 ? "hdel" : NULL);
    reply_integer(call->reply, removed);
}

/* ---- numbers ---- */

static bool item_number(const struct item *item, int64_t *number) {
    *number = item->integer;
    return item_is_integer(item);
}

void command_hincrby(struct call *call) {
    struct hash_edit edit;
    struct record record;
    int64_t by, number = 0;
    if (!call_parse_i64(call, 3, &by, NULL) || !hash_edit_begin(call, &edit)) return;
    struct item field = item_make(call->argv[2]);
    bool found = hash_edit_find(call, &edit, &field, &record);
    const char *error = NULL;
    if (found && !item_number(&record.value, &number))
        error = "ERR hash value is not an integer";
    else if (__builtin_add_overflow(number, by, &number))
        error = "ERR increment or decrement would overflow";
    if (!error) {
        record =
            (struct record){field, item_integer(number), found ? record.expiry : RECORD_NO_EXPIRY};
        hash_put(edit.hash, &edit.limits, &record);
    }
    hash_edit_end(call, &edit, error ? NULL : "hincrby");
    if (error)
        call_error(call, "%s", error);
    else
        reply_integer(call->reply, number);
}

/* The sum as HSET's words, and the field's time again where it has one. */
static void effect_float(struct call *call, struct bytes value, int64_t expiry) {
    struct bytes words[] = {BYTES("HSET"), call->argv[1], call->argv[2], value};
    call_effect(call, call->database, words, 4);
    if (expiry == RECORD_NO_EXPIRY) return;
    struct hash_words more;
    hash_words_open(&more, 1);
    hash_words_begin_expire(&more, call->argv[1], expiry);
    hash_words_add(&more, call->argv[2]);
    hash_words_say(call, &more);
}

void command_hincrbyfloat(struct call *call) {
    char scratch[ITEM_TEXT_MAX], text[NUMBER_LONG_DOUBLE_TEXT_MAX];
    struct hash_edit edit;
    struct record record;
    long double number = 0, by;
    if (!number_parse_long_double(call->argv[3], &by)) {
        call_error(call, "ERR value is not a valid float");
        return;
    }
    if (isnan(by) || isinf(by)) {
        call_error(call, "ERR value is NaN or Infinity");
        return;
    }
    if (!hash_edit_begin(call, &edit)) return;
    struct item field = item_make(call->argv[2]);
    const char *error = NULL;
    bool found = hash_edit_find(call, &edit, &field, &record);
    if (found && !number_parse_long_double(item_bytes(&record.value, scratch), &number))
        error = "ERR hash value is not a float";
    number += by;
    if (!error && (isnan(number) || isinf(number)))
        error = "ERR increment would produce NaN or Infinity";
    struct bytes value = BYTES("");
    int64_t expiry = found ? record.expiry : RECORD_NO_EXPIRY;
    if (!error) {
        value = bytes_make(text, number_format_long_double(text, sizeof text, number));
        record = (struct record){field, item_make(value), expiry};
        hash_put(edit.hash, &edit.limits, &record);
    }
    hash_edit_end(call, &edit, error ? NULL : "hincrbyfloat");
    if (error) {
        call_error(call, "%s", error);
        return;
    }
    effect_float(call, value, expiry);
    reply_bulk(call->reply, value);
}
