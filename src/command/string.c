/* string.c: commands on strings. */
#include "command/command_handlers.h"
#include "command/expiry.h"
#include "command/string_condition.h"

#include "base/invariant.h"
#include "base/memory.h"
#include "base/number.h"
#include "engine/call.h"
#include "engine/config.h"
#include "engine/server.h"
#include <math.h>

/* ---- shared ---- */

/* A string's bytes as a bulk reply. */
static void reply_entry(struct call *call, const struct entry *entry) {
    if (entry_encoding(entry) == ENTRY_INTEGER) {
        reply_bulk_integer(call->reply, entry_integer(entry));
        return;
    }
    reply_bulk(call->reply, entry_string(entry, NULL));
}

/* The value of GET: false after WRONGTYPE. */
static bool reply_value(struct call *call, uint32_t index) {
    const struct entry *entry;
    if (!call_read_type(call, index, VALUE_STRING, &entry)) return false;
    if (entry)
        reply_entry(call, entry);
    else
        reply_null(call->reply);
    return true;
}

/* Give the key the argument as its value, without copying a large one. The request goes on holding
 * it too: the words are an effect even when a later pair of the same command replaces the value. */
static void put_argument(struct call *call, const struct key *key, struct spot *spot,
                         uint32_t index, int64_t expiry) {
    if (unlikely(call->request && call->request->large_count > 0)) {
        struct blob *blob = request_hold_blob(call->request, index);
        if (blob) {
            database_put_blob(call->database, key, spot, blob, expiry);
            return;
        }
    }
    database_put_string(call->database, key, spot, call->argv[index], expiry);
}

/* SET key value PXAT ms, whatever the user's words for the time were. */
static void effect_set(struct call *call, struct bytes key, struct bytes value, int64_t expiry) {
    char digits[NUMBER_I64_TEXT_MAX];
    struct bytes words[] = {BYTES("SET"), key, value, BYTES("PXAT"),
                            bytes_make(digits, number_format_i64(digits, expiry))};
    call_effect(call, call->database, words, 5);
}

static void effect_del(struct call *call, struct bytes key) {
    struct bytes words[] = {BYTES("DEL"), key};
    call_effect(call, call->database, words, 2);
}

static bool is_past(const struct call *call, int64_t expiry) {
    return expiry <= call->now_ms;
}

/* The key is given a time that is over: it is gone. */
static void remove_past(struct call *call, const struct key *key, struct spot *spot) {
    if (spot->entry) {
        database_remove(call->database, spot);
        call_changed(call, call->database, key->name, NOTIFY_GENERIC, "del");
        effect_del(call, key->name);
    }
}

static bool size_allowed(struct call *call, uint64_t size) {
    if (size <= call->server->config->proto_max_bulk_len) return true;
    call_error(call, "ERR string exceeds maximum allowed size (proto-max-bulk-len)");
    return false;
}

/* ---- GET and SET ---- */

void command_get(struct call *call) {
    reply_value(call, 1);
}

void command_mget(struct call *call) {
    reply_array(call->reply, call->argc - 1);
    for (uint32_t i = 1; i < call->argc; i++) {
        const struct entry *entry = call_read(call, i);
        if (entry && entry_type(entry) == VALUE_STRING)
            reply_entry(call, entry);
        else
            reply_null(call->reply);
    }
}

/* EX, PX, EXAT or PXAT, and where its number stands. */
struct expiry_words {
    enum expiry_option unit; /* EXPIRY_OPTION_NONE: not given */
    uint32_t index;
};

/* Take the option at *i with its number; given twice the last one counts, but not two different
 * ones. */
static bool take_expiry(const struct call *call, uint32_t *i, enum expiry_option unit,
                        struct expiry_words *words) {
    if (!unit || (words->unit && words->unit != unit) || *i + 1 >= call->argc) return false;
    *words = (struct expiry_words){unit, ++*i};
    return true;
}

struct set_options {
    bool if_absent, if_present, keep_ttl, get;
    struct string_condition condition;
    struct expiry_words expiry;
};

/* From that argument on. Of one key alone more may be asked than of many. */
static bool parse_set_options(struct call *call, uint32_t first, bool is_one,
                              struct set_options *options) {
    *options = (struct set_options){0};
    for (uint32_t i = first; i < call->argc; i++) {
        struct bytes word = call->argv[i];
        enum expiry_option unit = expiry_option_of(word);
        bool is_conditional = options->condition.kind != STRING_CONDITION_NONE;
        if (bytes_is(word, "nx") && !options->if_present && !is_conditional) {
            options->if_absent = true;
        } else if (bytes_is(word, "xx") && !options->if_absent && !is_conditional) {
            options->if_present = true;
        } else if (is_one && !options->if_absent && !options->if_present &&
                   string_condition_take(call, &i, &options->condition)) {
            continue;
        } else if (is_one && bytes_is(word, "get")) {
            options->get = true;
        } else if (bytes_is(word, "keepttl") && !options->expiry.unit) {
            options->keep_ttl = true;
        } else if (!options->keep_ttl && take_expiry(call, &i, unit, &options->expiry)) {
            continue;
        } else {
            call_error_syntax(call);
            return false;
        }
    }
    return true;
}

/* Where something failed, it has been answered. */
static bool may_set(struct call *call, const struct set_options *options, const struct entry *entry,
                    bool *failed) {
    *failed = false;
    if (options->condition.kind)
        return string_condition_met(call, &options->condition, entry, failed);
    return entry ? !options->if_absent : !options->if_present;
}

/* As a server without conditions knows it. */
static void effect_set_unconditional(struct call *call, const struct set_options *options) {
    struct bytes words[] = {BYTES("SET"), call->argv[1], call->argv[2], BYTES("KEEPTTL")};
    call_effect(call, call->database, words, options->keep_ttl ? 4 : 3);
}

static void set_with_options(struct call *call) {
    struct set_options options;
    int64_t expiry = ENTRY_NO_EXPIRY;
    bool failed;
    if (!parse_set_options(call, 3, true, &options)) return;
    if (options.expiry.unit &&
        !expiry_parse_option(call, options.expiry.unit, options.expiry.index, &expiry))
        return;
    if (options.get && !reply_value(call, 1)) return;
    struct key key = call_key(call, 1);
    struct spot spot = call_locate_key(call, call->database, &key);
    if (!may_set(call, &options, spot.entry, &failed)) {
        if (!options.get && !failed) reply_null(call->reply);
        return;
    }
    if (options.keep_ttl && spot.entry) expiry = entry_expiry(spot.entry);
    if (options.expiry.unit && is_past(call, expiry)) {
        /* Set and gone at once: who watches an absent key has missed something all the same. */
        if (!spot.entry) call_changed_uncounted(call, call->database, key.name);
        remove_past(call, &key, &spot);
    } else {
        put_argument(call, &key, &spot, 2, expiry);
        call_changed(call, call->database, key.name, NOTIFY_STRING, "set");
        if (options.expiry.unit) {
            call_notify(call, call->database, key.name, NOTIFY_GENERIC, "expire");
            effect_set(call, key.name, call->argv[2], expiry);
        } else if (options.condition.kind) {
            effect_set_unconditional(call, &options);
        }
    }
    if (!options.get) reply_ok(call->reply);
}

void command_set(struct call *call) {
    if (unlikely(call->argc > 3)) {
        set_with_options(call);
        return;
    }
    struct key key = call_key(call, 1);
    struct spot spot = call_locate_key(call, call->database, &key);
    put_argument(call, &key, &spot, 2, ENTRY_NO_EXPIRY);
    call_changed(call, call->database, key.name, NOTIFY_STRING, "set");
    reply_ok(call->reply);
}

void command_setnx(struct call *call) {
    struct key key = call_key(call, 1);
    struct spot spot = call_locate_key(call, call->database, &key);
    if (spot.entry) {
        reply_integer(call->reply, 0);
        return;
    }
    put_argument(call, &key, &spot, 2, ENTRY_NO_EXPIRY);
    call_changed(call, call->database, key.name, NOTIFY_STRING, "set");
    reply_integer(call->reply, 1);
}

static void set_expiring(struct call *call, enum expiry_unit unit) {
    int64_t expiry;
    if (!expiry_parse(call, 2, unit, true, &expiry)) return;
    struct key key = call_key(call, 1);
    struct spot spot = call_locate_key(call, call->database, &key);
    put_argument(call, &key, &spot, 3, expiry);
    call_changed(call, call->database, key.name, NOTIFY_STRING, "set");
    call_notify(call, call->database, key.name, NOTIFY_GENERIC, "expire");
    effect_set(call, key.name, call->argv[3], expiry);
    reply_ok(call->reply);
}

void command_setex(struct call *call) {
    set_expiring(call, EXPIRY_SECONDS);
}

void command_psetex(struct call *call) {
    set_expiring(call, EXPIRY_MILLISECONDS);
}

void command_getset(struct call *call) {
    if (!reply_value(call, 1)) return;
    struct key key = call_key(call, 1);
    struct spot spot = call_locate_key(call, call->database, &key);
    put_argument(call, &key, &spot, 2, ENTRY_NO_EXPIRY);
    call_changed(call, call->database, key.name, NOTIFY_STRING, "set");
    struct bytes words[] = {BYTES("SET"), key.name, call->argv[2]};
    call_effect(call, call->database, words, 3);
}

void command_getdel(struct call *call) {
    if (!reply_value(call, 1)) return;
    struct key key = call_key(call, 1);
    struct spot spot = call_locate_key(call, call->database, &key);
    if (!spot.entry) return;
    database_remove(call->database, &spot);
    call_changed(call, call->database, key.name, NOTIFY_GENERIC, "del");
    effect_del(call, key.name);
}

struct getex_options {
    bool persist;
    struct expiry_words expiry;
};

static bool parse_getex_options(struct call *call, struct getex_options *options) {
    *options = (struct getex_options){0};
    for (uint32_t i = 2; i < call->argc; i++) {
        enum expiry_option unit = expiry_option_of(call->argv[i]);
        if (bytes_is(call->argv[i], "persist") && !options->expiry.unit) {
            options->persist = true;
        } else if (!options->persist && take_expiry(call, &i, unit, &options->expiry)) {
            continue;
        } else {
            call_error_syntax(call);
            return false;
        }
    }
    return true;
}

void command_getex(struct call *call) {
    struct getex_options options;
    int64_t expiry = ENTRY_NO_EXPIRY;
    const struct entry *entry;
    if (!parse_getex_options(call, &options)) return;
    if (!call_read_type(call, 1, VALUE_STRING, &entry)) return;
    if (!entry) {
        reply_null(call->reply);
        return;
    }
    if (options.expiry.unit &&
        !expiry_parse_option(call, options.expiry.unit, options.expiry.index, &expiry))
        return;
    reply_entry(call, entry);
    struct key key = call_key(call, 1);
    struct spot spot = database_locate(call->database, &key);
    if (options.expiry.unit && is_past(call, expiry)) {
        remove_past(call, &key, &spot);
    } else if (options.expiry.unit) {
        database_set_expiry(call->database, &spot, expiry);
        call_changed(call, call->database, key.name, NOTIFY_GENERIC, "expire");
        expiry_effect(call, key.name, expiry);
    } else if (options.persist && entry_expiry(entry) != ENTRY_NO_EXPIRY) {
        database_set_expiry(call->database, &spot, ENTRY_NO_EXPIRY);
        call_changed(call, call->database, key.name, NOTIFY_GENERIC, "persist");
        struct bytes words[] = {BYTES("PERSIST"), key.name};
        call_effect(call, call->database, words, 2);
    }
}

/* ---- many keys ---- */

static bool pairs_whole(struct call *call) {
    if (call->argc % 2 == 1) return true;
    call_error_arity(call);
    return false;
}

static void set_pairs(struct call *call) {
    for (uint32_t i = 1; i < call->argc; i += 2) {
        struct key key = call_key(call, i);
        struct spot spot = call_locate_key(call, call->database, &key);
        put_argument(call, &key, &spot, i + 1, ENTRY_NO_EXPIRY);
        call_changed(call, call->database, key.name, NOTIFY_STRING, "set");
    }
}

void command_mset(struct call *call) {
    if (!pairs_whole(call)) return;
    set_pairs(call);
    reply_ok(call->reply);
}

void command_msetnx(struct call *call) {
    if (!pairs_whole(call)) return;
    for (uint32_t i = 1; i < call->argc; i += 2) {
        if (call_locate(call, i).entry) {
            reply_integer(call->reply, 0);
            return;
        }
    }
    set_pairs(call);
    reply_integer(call->reply, 1);
}

/* One of the pairs, as SET with these options sets it. */
static void msetex_pair(struct call *call, const struct set_options *options, uint32_t index,
                        int64_t expiry) {
    struct key key = call_key(call, index);
    struct spot spot = call_locate_key(call, call->database, &key);
    if (options->expiry.unit && is_past(call, expiry)) {
        if (!spot.entry) call_changed_uncounted(call, call->database, key.name);
        remove_past(call, &key, &spot);
        return;
    }
    bool has_time = options->expiry.unit;
    if (options->keep_ttl && spot.entry) {
        expiry = entry_expiry(spot.entry);
        has_time = expiry != ENTRY_NO_EXPIRY;
    }
    put_argument(call, &key, &spot, index + 1, expiry);
    call_changed(call, call->database, key.name, NOTIFY_STRING, "set");
    if (options->expiry.unit) call_notify(call, call->database, key.name, NOTIFY_GENERIC, "expire");
    if (has_time) {
        effect_set(call, key.name, call->argv[index + 1], expiry);
    } else {
        struct bytes words[] = {BYTES("SET"), key.name, call->argv[index + 1]};
        call_effect(call, call->database, words, 3);
    }
}

void command_msetex(struct call *call) {
    struct set_options options;
    int64_t keys, expiry = ENTRY_NO_EXPIRY;
    if (!call_parse_range(call, 1, 1, INT64_MAX, &keys, "ERR numkeys should be greater than 0"))
        return;
    if (keys > (call->argc - 2) / 2) {
        call_error_arity(call);
        return;
    }
    uint32_t end = 2 + 2 * (uint32_t)keys;
    if (!parse_set_options(call, end, false, &options)) return;
    if (options.expiry.unit &&
        !expiry_parse_option(call, options.expiry.unit, options.expiry.index, &expiry))
        return;
    bool sets = true;
    if (options.if_absent || options.if_present)
        for (uint32_t i = 2; i < end && sets; i += 2)
            sets = (call_locate(call, i).entry != NULL) == options.if_present;
    if (sets)
        for (uint32_t i = 2; i < end; i += 2)
            msetex_pair(call, &options, i, expiry);
    reply_integer(call->reply, sets);
}

/* ---- numbers ---- */

static bool entry_number(struct call *call, const struct entry *entry, int64_t *number) {
    if (!entry)
        *number = 0;
    else if (entry_encoding(entry) == ENTRY_INTEGER)
        *number = entry_integer(entry);
    else if (!number_parse_i64(entry_string(entry, NULL), number)) {
        call_error_integer(call);
        return false;
    }
    return true;
}

/* The usual counter is there, no view can see it, and its next number takes as many bytes. */
static bool increment_in_place(struct call *call, struct entry *entry, int64_t by,
                               int64_t *number) {
    if (entry_encoding(entry) != ENTRY_INTEGER || entry_expiry(entry) <= call->now_ms) return false;
    if (__builtin_add_overflow(entry_integer(entry), by, number)) return false;
    if (!database_change_integer(entry, *number)) return false;
    call_used_to_change(call, entry);
    return true;
}

static void increment(struct call *call, int64_t by) {
    struct key key = call_key(call, 1);
    struct spot spot = {0};
    int64_t number;
    bool absent;
    struct entry *entry = database_find_private(call->database, &key, &absent);
    if (entry && likely(increment_in_place(call, entry, by, &number))) {
        call_changed(call, call->database, key.name, NOTIFY_STRING, "incrby");
        reply_integer(call->reply, number);
        return;
    }
    if (!absent && !call_locate_type(call, 1, VALUE_STRING, &spot)) return;
    if (!entry_number(call, spot.entry, &number)) return;
    if (__builtin_add_overflow(number, by, &number)) {
        call_error(call, "ERR increment or decrement would overflow");
        return;
    }
    int64_t expiry = spot.entry ? entry_expiry(spot.entry) : ENTRY_NO_EXPIRY;
    database_put_integer(call->database, &key, &spot, number, expiry);
    call_changed(call, call->database, key.name, NOTIFY_STRING, "incrby");
    reply_integer(call->reply, number);
}

void command_incr(struct call *call) {
    increment(call, 1);
}

void command_decr(struct call *call) {
    increment(call, -1);
}

void command_incrby(struct call *call) {
    int64_t by;
    if (call_parse_i64(call, 2, &by, NULL)) increment(call, by);
}

void command_decrby(struct call *call) {
    int64_t by;
    if (!call_parse_i64(call, 2, &by, NULL)) return;
    if (by == INT64_MIN) {
        call_error(call, "ERR decrement would overflow");
        return;
    }
    increment(call, -by);
}

void command_incrbyfloat(struct call *call) {
    char scratch[NUMBER_I64_TEXT_MAX], text[NUMBER_LONG_DOUBLE_TEXT_MAX];
    long double number = 0, by;
    struct key key = call_key(call, 1);
    struct spot spot;
    if (!call_locate_type(call, 1, VALUE_STRING, &spot)) return;
    if ((spot.entry && !number_parse_long_double(entry_string(spot.entry, scratch), &number)) ||
        !number_parse_long_double(call->argv[2], &by)) {
        call_error(call, "ERR value is not a valid float");
        return;
    }
    number += by;
    if (isnan(number) || isinf(number)) {
        call_error(call, "ERR increment would produce NaN or Infinity");
        return;
    }
    struct bytes value = bytes_make(text, number_format_long_double(text, sizeof text, number));
    int64_t expiry = spot.entry ? entry_expiry(spot.entry) : ENTRY_NO_EXPIRY;
    database_put_bytes(call->database, &key, &spot, value, expiry);
    call_changed(call, call->database, key.name, NOTIFY_STRING, "incrbyfloat");
    struct bytes words[] = {BYTES("SET"), key.name, value, BYTES("KEEPTTL")};
    call_effect(call, call->database, words, 4);
    reply_bulk(call->reply, value);
}

/* ---- parts ---- */

void command_strlen(struct call *call) {
    const struct entry *entry;
    if (!call_read_type(call, 1, VALUE_STRING, &entry)) return;
    reply_integer(call->reply, entry ? (int64_t)entry_string_size(entry) : 0);
}

void command_append(struct call *call) {
    struct key key = call_key(call, 1);
    struct spot spot = call_locate_key(call, call->database, &key);
    struct bytes more = call->argv[2];
    size_t size = more.size;
    if (!spot.entry) {
        put_argument(call, &key, &spot, 2, ENTRY_NO_EXPIRY);
    } else {
        if (entry_type(spot.entry) != VALUE_STRING) {
            call_error_wrong_type(call);
            return;
        }
        size_t before = entry_string_size(spot.entry);
        size = before + more.size;
        if (!size_allowed(call, size)) return;
        char *value = database_resize_string(call->database, &key, &spot, size);
        memcpy(value + before, more.data, more.size);
    }
    call_changed(call, call->database, key.name, NOTIFY_STRING, "append");
    reply_integer(call->reply, (int64_t)size);
}

void command_setrange(struct call *call) {
    int64_t offset;
    struct bytes part = call->argv[3];
    if (!call_parse_i64(call, 2, &offset, NULL)) return;
    if (offset < 0) {
        call_error(call, "ERR offset is out of range");
        return;
    }
    struct key key = call_key(call, 1);
    struct spot spot;
    if (!call_locate_type(call, 1, VALUE_STRING, &spot)) return;
    size_t size = spot.entry ? entry_string_size(spot.entry) : 0;
    if (part.size == 0) {
        reply_integer(call->reply, (int64_t)size);
        return;
    }
    if (!size_allowed(call, (uint64_t)offset + part.size)) return;
    size_t end = (size_t)offset + part.size;
    if (end > size) size = end;
    char *value = database_resize_string(call->database, &key, &spot, size);
    memcpy(value + offset, part.data, part.size);
    call_changed(call, call->database, key.name, NOTIFY_STRING, "setrange");
    reply_integer(call->reply, (int64_t)size);
}

void command_getrange(struct call *call) {
    char scratch[NUMBER_I64_TEXT_MAX];
    const struct entry *entry;
    int64_t first, last;
    if (!call_parse_i64(call, 2, &first, NULL) || !call_parse_i64(call, 3, &last, NULL)) return;
    if (!call_read_type(call, 1, VALUE_STRING, &entry)) return;
    struct bytes value = entry ? entry_string(entry, scratch) : BYTES("");
    int64_t size = (int64_t)value.size;
    if (first < 0 && last < 0 && first > last) size = 0;
    if (first < 0) first = first + size < 0 ? 0 : first + size;
    if (last < 0) last = last + size < 0 ? 0 : last + size;
    if (last >= size) last = size - 1;
    if (size == 0 || first > last)
        reply_bulk(call->reply, BYTES(""));
    else
        reply_bulk(call->reply, bytes_make(value.data + first, (size_t)(last - first + 1)));
}

void command_substr(struct call *call) {
    command_getrange(call);
}
