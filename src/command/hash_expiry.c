/* hash_expiry.c: when the fields of hashes end. */
#include "command/command_handlers.h"
#include "command/expiry.h"
#include "command/hash_call.h"

#include "engine/command.h"
#include "engine/server.h"

static bool refuse(struct call *call) {
    struct bytes name = call->command->full_name;
    call_error(call, "ERR invalid expire time in '%.*s' command", (int)name.size, name.data);
    return false;
}

static bool parse_when(struct call *call, uint32_t index, enum expiry_unit unit, bool relative,
                       int64_t *when) {
    if (!call_parse_i64(call, index, when, NULL)) return false;
    if (*when < 0) {
        call_error(call, "ERR invalid expire time, must be >= 0");
        return false;
    }
    if (unit == EXPIRY_SECONDS && __builtin_mul_overflow(*when, 1000, when)) return refuse(call);
    if (relative && __builtin_add_overflow(*when, call->server->now_ms, when)) return refuse(call);
    return *when <= (call_is_replayed(call) ? HASH_WHEN_MAX : HASH_WHEN_ASKED_MAX) || refuse(call);
}

/* ---- HEXPIRE and its like ---- */

enum condition { ALWAYS, IF_NONE, IF_ANY, IF_LATER, IF_EARLIER };

static enum condition condition_of(struct bytes word) {
    if (bytes_is(word, "nx")) return IF_NONE;
    if (bytes_is(word, "xx")) return IF_ANY;
    if (bytes_is(word, "gt")) return IF_LATER;
    if (bytes_is(word, "lt")) return IF_EARLIER;
    return ALWAYS;
}

/* No time counts as later than any. */
static bool condition_holds(enum condition condition, int64_t before, int64_t when) {
    switch (condition) {
    case IF_NONE: return before == RECORD_NO_EXPIRY;
    case IF_ANY: return before != RECORD_NO_EXPIRY;
    case IF_LATER: return when > before;
    case IF_EARLIER: return when < before;
    default: return true;
    }
}

enum outcome { FIELD_ABSENT = -2, NOTHING_TO_DO = -1, CONDITION_FAILED = 0, DONE = 1, DELETED = 2 };

/* Give the field this time, or take it away when the time is over. */
static enum outcome expire_field(struct call *call, struct hash_edit *edit, struct bytes name,
                                 enum condition condition, int64_t when) {
    struct record record;
    struct item field = item_make(name);
    if (!hash_edit_find(call, edit, &field, &record)) return FIELD_ABSENT;
    if (!condition_holds(condition, record.expiry, when)) return CONDITION_FAILED;
    if (when <= call->now_ms) {
        hash_remove(edit->hash, &field);
        return DELETED;
    }
    hash_set_expiry(edit->hash, &edit->limits, &field, when);
    return DONE;
}

/* Every field of the arguments; what was done is said to the journal and returned. */
static enum outcome expire_fields(struct call *call, struct hash_edit *edit, uint32_t first,
                                  uint32_t count, enum condition condition, int64_t when,
                                  bool reply) {
    struct hash_words words;
    enum outcome all = CONDITION_FAILED;
    hash_words_open(&words, count);
    if (when <= call->now_ms)
        hash_words_begin_hdel(&words, call->argv[1]);
    else
        hash_words_begin_expire(&words, call->argv[1], when);
    for (uint32_t i = first; i < first + count; i++) {
        enum outcome one = expire_field(call, edit, call->argv[i], condition, when);
        if (reply) reply_integer(call->reply, one);
        if (one <= CONDITION_FAILED) continue;
        hash_words_add(&words, call->argv[i]);
        all = one;
    }
    hash_words_say(call, &words);
    return all;
}

static const char *event_of(enum outcome outcome) {
    return outcome == DELETED ? "hdel" : outcome == DONE ? "hexpire" : NULL;
}

static void expire_at(struct call *call, enum expiry_unit unit, bool relative) {
    uint32_t at = 3, first, count;
    int64_t when;
    struct hash_edit edit;
    if (!parse_when(call, 2, unit, relative, &when)) return;
    enum condition condition = condition_of(call->argv[at]);
    if (condition != ALWAYS) at++;
    if (!hash_parse_fields(call, at, 1, &first, &count)) return;
    if (!hash_edit_begin(call, &edit)) return;
    reply_array(call->reply, count);
    enum outcome all = expire_fields(call, &edit, first, count, condition, when, true);
    hash_edit_end(call, &edit, event_of(all));
}

void command_hexpire(struct call *call) {
    expire_at(call, EXPIRY_SECONDS, true);
}

void command_hpexpire(struct call *call) {
    expire_at(call, EXPIRY_MILLISECONDS, true);
}

void command_hexpireat(struct call *call) {
    expire_at(call, EXPIRY_SECONDS, false);
}

void command_hpexpireat(struct call *call) {
    expire_at(call, EXPIRY_MILLISECONDS, false);
}

/* ---- HPERSIST ---- */

static enum outcome persist_field(struct call *call, struct hash_edit *edit, struct bytes name) {
    struct record record;
    struct item field = item_make(name);
    if (!hash_edit_find(call, edit, &field, &record)) return FIELD_ABSENT;
    if (record.expiry == RECORD_NO_EXPIRY) return NOTHING_TO_DO;
    hash_set_expiry(edit->hash, &edit->limits, &field, RECORD_NO_EXPIRY);
    return DONE;
}

/* Whether one of them had a time. */
static bool persist_fields(struct call *call, struct hash_edit *edit, uint32_t first,
                           uint32_t count, bool reply) {
    bool any = false;
    for (uint32_t i = first; i < first + count; i++) {
        enum outcome one = persist_field(call, edit, call->argv[i]);
        if (reply) reply_integer(call->reply, one);
        any = any || one == DONE;
    }
    return any;
}

void command_hpersist(struct call *call) {
    uint32_t first, count;
    struct hash_edit edit;
    if (!hash_parse_fields(call, 2, 1, &first, &count) || !hash_edit_begin(call, &edit)) return;
    reply_array(call->reply, count);
    bool any = persist_fields(call, &edit, first, count, true);
    hash_edit_end(call, &edit, any ? "hpersist" : NULL);
}

/* ---- HTTL and its like ---- */

/* Milliseconds, counted from `since`; in seconds rounded up. */
static void reply_times(struct call *call, enum expiry_unit unit, int64_t since) {
    uint32_t first, count;
    union object_room room;
    const struct hash *hash;
    if (!hash_parse_fields(call, 2, 1, &first, &count) || !hash_read(call, 1, &room, &hash)) return;
    reply_array(call->reply, count);
    for (uint32_t i = first; i < first + count; i++) {
        struct record record;
        struct item field = item_make(call->argv[i]);
        int64_t left = FIELD_ABSENT;
        if (hash_find_alive(call, hash, &field, &record)) {
            left = record.expiry == RECORD_NO_EXPIRY ? NOTHING_TO_DO : record.expiry - since;
            if (left > 0 && unit == EXPIRY_SECONDS) left = (left + 999) / 1000;
        }
        reply_integer(call->reply, left);
    }
}

void command_httl(struct call *call) {
    reply_times(call, EXPIRY_SECONDS, call->now_ms);
}

void command_hpttl(struct call *call) {
    reply_times(call, EXPIRY_MILLISECONDS, call->now_ms);
}

void command_hexpiretime(struct call *call) {
    reply_times(call, EXPIRY_SECONDS, 0);
}

void command_hpexpiretime(struct call *call) {
    reply_times(call, EXPIRY_MILLISECONDS, 0);
}

/* ---- HGETEX, HSETEX, HGETDEL ---- */

/* The words before FIELDS. */
struct options {
    bool if_absent, if_present; /* FNX, FXX */
    bool keep, persist;         /* KEEPTTL, PERSIST */
    bool expires;
    int64_t when;
    uint32_t fields; /* where FIELDS stands */
};

static bool refuse_second(struct call *call, bool setting) {
    call_error(call, "ERR Only one of EX, PX, EXAT, PXAT or %s arguments can be specified",
               setting ? "KEEPTTL" : "PERSIST");
    return false;
}

static bool take_expiry(struct call *call, enum expiry_option option, uint32_t *at,
                        struct options *options, bool setting) {
    if (options->expires || options->keep || options->persist) return refuse_second(call, setting);
    if (*at + 1 >= call->argc) {
        call_error(call, "ERR missing expire time");
        return false;
    }
    bool seconds = option == EXPIRY_OPTION_EX || option == EXPIRY_OPTION_EXAT;
    bool relative = option == EXPIRY_OPTION_EX || option == EXPIRY_OPTION_PX;
    options->expires = true;
    return parse_when(call, ++*at, seconds ? EXPIRY_SECONDS : EXPIRY_MILLISECONDS, relative,
                      &options->when);
}

static bool parse_options(struct call *call, bool setting, struct options *options) {
    *options = (struct options){.when = RECORD_NO_EXPIRY};
    for (uint32_t i = 2; i < call->argc; i++) {
        struct bytes word = call->argv[i];
        enum expiry_option option = expiry_option_of(word);
        options->fields = i;
        if (bytes_is(word, "fields")) return true;
        if (option != EXPIRY_OPTION_NONE) {
            if (!take_expiry(call, option, &i, options, setting)) return false;
        } else if (bytes_is(word, setting ? "keepttl" : "persist")) {
            if (options->expires || options->keep || options->persist)
                return refuse_second(call, setting);
            *(setting ? &options->keep : &options->persist) = true;
        } else if (setting && (bytes_is(word, "fnx") || bytes_is(word, "fxx"))) {
            if (options->if_absent || options->if_present) {
                call_error(call, "ERR Only one of FXX or FNX arguments can be specified");
                return false;
            }
            *(bytes_is(word, "fnx") ? &options->if_absent : &options->if_present) = true;
        } else {
            call_error(call, "ERR unknown argument: %.*s", (int)(word.size < 128 ? word.size : 128),
                       word.data);
            return false;
        }
    }
    options->fields = call->argc;
    return true;
}

void command_hgetex(struct call *call) {
    struct options options;
    struct hash_edit edit;
    union object_room room;
    const struct hash *hash;
    uint32_t first, count;
    if (!parse_options(call, false, &options)) return;
    if (!hash_parse_fields(call, options.fields, 1, &first, &count)) return;
    if (!hash_read(call, 1, &room, &hash)) return;
    hash_reply_values(call, hash, first, count);
    if (!hash || (!options.expires && !options.persist)) return;
    if (!hash_edit_begin(call, &edit)) return;
    const char *event = NULL;
    if (options.expires) {
        event = event_of(expire_fields(call, &edit, first, count, ALWAYS, options.when, false));
    } else if (persist_fields(call, &edit, first, count, false)) {
        event = "hpersist";
        struct hash_words words;
        hash_words_open(&words, count);
        hash_words_add(&words, BYTES("HPERSIST"));
        hash_words_add(&words, call->argv[1]);
        words.fixed = words.count;
        for (uint32_t i = first - 2; i < first + count; i++)
            hash_words_add(&words, call->argv[i]);
        hash_words_say(call, &words);
    }
    hash_edit_end(call, &edit, event);
}

/* Take fields away, with the effect of HDEL. */
static bool delete_fields(struct call *call, struct hash_edit *edit, uint32_t first, uint32_t count,
                          uint32_t width) {
    struct hash_words words;
    hash_words_open(&words, count);
    hash_words_begin_hdel(&words, call->argv[1]);
    for (uint32_t i = first; i < first + count * width; i += width) {
        struct item field = item_make(call->argv[i]);
        hash_edit_drop_over(call, edit, &field);
        if (hash_remove(edit->hash, &field)) hash_words_add(&words, call->argv[i]);
    }
    bool any = words.count > words.fixed;
    hash_words_say(call, &words);
    return any;
}

void command_hgetdel(struct call *call) {
    struct hash_edit edit;
    union object_room room;
    const struct hash *hash;
    uint32_t first, count;
    if (!hash_parse_fields(call, 2, 1, &first, &count)) return;
    if (!hash_read(call, 1, &room, &hash)) return;
    hash_reply_values(call, hash, first, count);
    if (!hash || !hash_edit_begin(call, &edit)) return;
    bool any = delete_fields(call, &edit, first, count, 1);
    hash_edit_end(call, &edit, any ? "hdel" : NULL);
}

/* Do FNX or FXX allow it? */
static bool may_set(struct call *call, struct hash_edit *edit, const struct options *options,
                    uint32_t first, uint32_t count) {
    if (!options->if_absent && !options->if_present) return true;
    for (uint32_t i = first; i < first + 2 * count; i += 2) {
        struct record record;
        struct item field = item_make(call->argv[i]);
        if (hash_edit_find(call, edit, &field, &record) != options->if_present) return false;
    }
    return true;
}

static void put_field(struct call *call, struct hash_edit *edit, const struct options *options,
                      uint32_t index) {
    struct record old,
        record = {item_make(call->argv[index]), item_make(call->argv[index + 1]), options->when};
    if (hash_edit_find(call, edit, &record.key, &old) && options->keep) record.expiry = old.expiry;
    hash_put(edit->hash, &edit->limits, &record);
}

/* HSETEX key [KEEPTTL | PXAT ms] FIELDS n field value ..., without its condition; where no times
 * are said nor kept HSET key field value ..., which older servers know. */
static void effect_setex(struct call *call, const struct options *options, uint32_t first,
                         uint32_t count) {
    struct hash_words words;
    bool has_times = options->keep || options->expires;
    hash_words_open(&words, (size_t)count * 2 + 1);
    hash_words_add(&words, has_times ? BYTES("HSETEX") : BYTES("HSET"));
    hash_words_add(&words, call->argv[1]);
    if (options->keep) hash_words_add(&words, BYTES("KEEPTTL"));
    if (options->expires) {
        char *digits = words.digits[0];
        hash_words_add(&words, BYTES("PXAT"));
        hash_words_add(&words, bytes_make(digits, number_format_i64(digits, options->when)));
    }
    words.fixed = 0;
    for (uint32_t i = has_times ? first - 2 : first; i < first + 2 * count; i++)
        hash_words_add(&words, call->argv[i]);
    hash_words_say(call, &words);
}

void command_hsetex(struct call *call) {
    struct options options;
    struct hash_edit edit;
    uint32_t first, count;
    if (!parse_options(call, true, &options)) return;
    if (!hash_parse_fields(call, options.fields, 2, &first, &count)) return;
    if (!hash_edit_begin(call, &edit)) return;
    if (!may_set(call, &edit, &options, first, count)) {
        hash_edit_end(call, &edit, NULL);
        reply_integer(call->reply, 0);
        return;
    }
    reply_integer(call->reply, 1);
    if (options.expires && options.when <= call->now_ms) {
        bool any = delete_fields(call, &edit, first, count, 2);
        hash_edit_end(call, &edit, any ? "hdel" : NULL);
        return;
    }
    for (uint32_t i = first; i < first + 2 * count; i += 2)
        put_field(call, &edit, &options, i);
    hash_edit_end(call, &edit, "hset");
    if (options.expires) call_notify(call, call->database, call->argv[1], NOTIFY_HASH, "hexpire");
    effect_setex(call, &options, first, count);
}
