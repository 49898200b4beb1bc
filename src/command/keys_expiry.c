/* keys_expiry.c: when keys end. */
#include "command/command_handlers.h"
#include "command/expiry.h"

#include "engine/command.h"
#include "engine/server.h"

struct condition {
    bool if_none, if_any, if_later, if_earlier; /* NX, XX, GT, LT */
};

static bool parse_condition(struct call *call, struct condition *condition) {
    *condition = (struct condition){0};
    for (uint32_t i = 3; i < call->argc; i++) {
        struct bytes word = call->argv[i];
        if (bytes_is(word, "nx"))
            condition->if_none = true;
        else if (bytes_is(word, "xx"))
            condition->if_any = true;
        else if (bytes_is(word, "gt"))
            condition->if_later = true;
        else if (bytes_is(word, "lt"))
            condition->if_earlier = true;
        else {
            call_error(call, "ERR Unsupported option %.*s",
                       (int)(word.size < 128 ? word.size : 128), word.data);
            return false;
        }
    }
    if (condition->if_none && (condition->if_any || condition->if_later || condition->if_earlier)) {
        call_error(call, "ERR NX and XX, GT or LT options at the same time are not compatible");
        return false;
    }
    if (condition->if_later && condition->if_earlier) {
        call_error(call, "ERR GT and LT options at the same time are not compatible");
        return false;
    }
    return true;
}

/* No expiry counts as later than any. */
static bool condition_holds(const struct condition *condition, int64_t before, int64_t when) {
    if (condition->if_none && before != ENTRY_NO_EXPIRY) return false;
    if (condition->if_any && before == ENTRY_NO_EXPIRY) return false;
    if (condition->if_later && when <= before) return false;
    return !(condition->if_earlier && when >= before);
}

static bool parse_when(struct call *call, enum expiry_unit unit, bool relative, int64_t *when) {
    if (!call_parse_i64(call, 2, when, NULL)) return false;
    if ((unit == EXPIRY_SECONDS && __builtin_mul_overflow(*when, 1000, when)) ||
        (relative && __builtin_add_overflow(*when, call->server->now_ms, when))) {
        struct bytes name = call->command->full_name;
        call_error(call, "ERR invalid expire time in '%.*s' command", (int)name.size, name.data);
        return false;
    }
    /* The last millisecond of all stands for never: the one before it will do. */
    if (*when == ENTRY_NO_EXPIRY) *when = ENTRY_NO_EXPIRY - 1;
    return true;
}

static void expire_at(struct call *call, enum expiry_unit unit, bool relative) {
    struct condition condition;
    int64_t when;
    if (!parse_condition(call, &condition) || !parse_when(call, unit, relative, &when)) return;
    struct key key = call_key(call, 1);
    struct spot spot = call_locate_key(call, call->database, &key);
    if (!spot.entry || !condition_holds(&condition, entry_expiry(spot.entry), when)) {
        reply_integer(call->reply, 0);
        return;
    }
    if (when <= call->now_ms) {
        database_remove(call->database, &spot);
        call_changed(call, call->database, key.name, NOTIFY_GENERIC, "del");
        struct bytes words[] = {BYTES("DEL"), key.name};
        call_effect(call, call->database, words, 2);
    } else {
        database_set_expiry(call->database, &spot, when);
        call_changed(call, call->database, key.name, NOTIFY_GENERIC, "expire");
        expiry_effect(call, key.name, when);
    }
    reply_integer(call->reply, 1);
}

void command_expire(struct call *call) {
    expire_at(call, EXPIRY_SECONDS, true);
}

void command_pexpire(struct call *call) {
    expire_at(call, EXPIRY_MILLISECONDS, true);
}

void command_expireat(struct call *call) {
    expire_at(call, EXPIRY_SECONDS, false);
}

void command_pexpireat(struct call *call) {
    expire_at(call, EXPIRY_MILLISECONDS, false);
}

/* -2 for no key, -1 for no expiry, else its milliseconds, counted from `since`. */
static int64_t remaining(struct call *call, int64_t since) {
    const struct entry *entry = call_read_untouched(call, 1);
    if (!entry) return -2;
    int64_t when = entry_expiry(entry);
    if (when == ENTRY_NO_EXPIRY) return -1;
    return when > since ? when - since : 0;
}

static int64_t to_seconds(int64_t ms) {
    return ms < 0 ? ms : ms / 1000 + (ms % 1000 >= 500);
}

void command_ttl(struct call *call) {
    reply_integer(call->reply, to_seconds(remaining(call, call->now_ms)));
}

void command_pttl(struct call *call) {
    reply_integer(call->reply, remaining(call, call->now_ms));
}

void command_expiretime(struct call *call) {
    reply_integer(call->reply, to_seconds(remaining(call, 0)));
}

void command_pexpiretime(struct call *call) {
    reply_integer(call->reply, remaining(call, 0));
}

void command_persist(struct call *call) {
    struct key key = call_key(call, 1);
    struct spot spot = call_locate_key(call, call->database, &key);
    if (!spot.entry || entry_expiry(spot.entry) == ENTRY_NO_EXPIRY) {
        reply_integer(call->reply, 0);
        return;
    }
    database_set_expiry(call->database, &spot, ENTRY_NO_EXPIRY);
    call_changed(call, call->database, key.name, NOTIFY_GENERIC, "persist");
    reply_integer(call->reply, 1);
}
