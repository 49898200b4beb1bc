/* expiry.c: times to live as commands take them. */
#include "command/expiry.h"

#include "engine/command.h"
#include "engine/server.h"

static bool refuse(struct call *call) {
    struct bytes name = call->command->full_name;
    call_error(call, "ERR invalid expire time in '%.*s' command", (int)name.size, name.data);
    return false;
}

bool expiry_parse(struct call *call, uint32_t index, enum expiry_unit unit, bool relative,
                  int64_t *when_ms) {
    int64_t value;
    if (!call_parse_i64(call, index, &value, NULL)) return false;
    if (value <= 0) return refuse(call);
    if (unit == EXPIRY_SECONDS && __builtin_mul_overflow(value, 1000, &value)) return refuse(call);
    if (relative && __builtin_add_overflow(value, call->server->now_ms, &value))
        return refuse(call);
    /* The last millisecond of all stands for never: the one before it will do. */
    *when_ms = value == ENTRY_NO_EXPIRY ? ENTRY_NO_EXPIRY - 1 : value;
    return true;
}

enum expiry_option expiry_option_of(struct bytes word) {
    if (bytes_is(word, "ex")) return EXPIRY_OPTION_EX;
    if (bytes_is(word, "px")) return EXPIRY_OPTION_PX;
    if (bytes_is(word, "exat")) return EXPIRY_OPTION_EXAT;
    if (bytes_is(word, "pxat")) return EXPIRY_OPTION_PXAT;
    return EXPIRY_OPTION_NONE;
}

bool expiry_parse_option(struct call *call, enum expiry_option option, uint32_t index,
                         int64_t *when_ms) {
    bool seconds = option == EXPIRY_OPTION_EX || option == EXPIRY_OPTION_EXAT;
    bool relative = option == EXPIRY_OPTION_EX || option == EXPIRY_OPTION_PX;
    return expiry_parse(call, index, seconds ? EXPIRY_SECONDS : EXPIRY_MILLISECONDS, relative,
                        when_ms);
}

void expiry_effect(struct call *call, struct bytes key, int64_t when_ms) {
    char digits[NUMBER_I64_TEXT_MAX];
    struct bytes words[] = {BYTES("PEXPIREAT"), key,
                            bytes_make(digits, number_format_i64(digits, when_ms))};
    call_effect(call, call->database, words, 3);
}
