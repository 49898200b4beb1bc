/* memory.c: MEMORY: what memory is used for. */
#include "command/command_handlers.h"

#include "engine/call.h"

/* SAMPLES is checked and changes nothing: the size of every value is known. */
static bool parse_samples(struct call *call) {
    int64_t samples;
    for (uint32_t i = 3; i < call->argc; i += 2) {
        if (!call_argument_is(call, i, "samples") || i + 1 >= call->argc) {
            call_error_syntax(call);
            return false;
        }
        if (!call_parse_i64(call, i + 1, &samples, NULL)) return false;
        if (samples >= 0) continue;
        call_error_syntax(call);
        return false;
    }
    return true;
}

void command_memory_usage(struct call *call) {
    if (!parse_samples(call)) return;
    const struct entry *entry = call_peek(call, 2);
    if (entry)
        reply_integer(call->reply, (int64_t)database_entry_memory(call->database, entry));
    else
        reply_null(call->reply);
}
