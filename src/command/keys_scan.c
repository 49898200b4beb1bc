/* keys_scan.c: walking over keys. */
#include "command/command_handlers.h"

#include "base/glob.h"
#include "base/memory.h"
#include "base/number.h"
#include "engine/call.h"
#include "engine/server.h"

#define CURSOR_END (UINT64_C(1) << 48) /* as struct/table.h makes them */
enum { COUNT_DEFAULT = 10, ROUNDS_MAX_FACTOR = 10, GATHER_FIRST = 64 };

/* Which entries are wanted, and those found. */
struct gather {
    struct bytes pattern;
    bool all; /* the pattern matches everything */
    int type; /* enum value_type, or -1 for any */
    bool unknown_type;
    int64_t now_ms;
    const struct entry **found;
    size_t count, capacity;
};

static void gather_entry(void *context, const struct entry *entry) {
    struct gather *gather = context;
    if (entry_expiry(entry) <= gather->now_ms) return;
    if (gather->unknown_type || (gather->type >= 0 && (int)entry_type(entry) != gather->type))
        return;
    if (!gather->all && !glob_match(gather->pattern, entry_key(entry), false)) return;
    if (gather->count == gather->capacity) {
        gather->capacity = gather->capacity ? gather->capacity * 2 : GATHER_FIRST;
        gather->found = memory_resize(gather->found, gather->capacity * sizeof *gather->found);
    }
    gather->found[gather->count++] = entry;
}

static void reply_gathered(struct call *call, struct gather *gather) {
    reply_array(call->reply, gather->count);
    for (size_t i = 0; i < gather->count; i++)
        reply_bulk(call->reply, entry_key(gather->found[i]));
    memory_free(gather->found);
}

static void set_pattern(struct gather *gather, struct bytes pattern) {
    gather->pattern = pattern;
    gather->all = bytes_equal(pattern, BYTES("*"));
}

void command_keys(struct call *call) {
    struct gather gather = {.type = -1, .now_ms = call->now_ms};
    uint64_t cursor = 0;
    set_pattern(&gather, call->argv[1]);
    do
        cursor = database_scan(call->database, cursor, gather_entry, &gather);
    while (cursor != 0);
    reply_gathered(call, &gather);
}

static void set_type(struct gather *gather, struct bytes name) {
    gather->unknown_type = true;
    for (int type = 0; type < VALUE_TYPE_COUNT; type++) {
        if (!bytes_is(name, value_type_name((enum value_type)type))) continue;
        gather->type = type;
        gather->unknown_type = false;
    }
}

static bool parse_scan(struct call *call, struct gather *gather, int64_t *count) {
    for (uint32_t i = 2; i < call->argc; i += 2) {
        bool more = i + 1 < call->argc;
        if (more && call_argument_is(call, i, "count")) {
            if (!call_parse_i64(call, i + 1, count, NULL)) return false;
            if (*count < 1) {
                call_error_syntax(call);
                return false;
            }
        } else if (more && call_argument_is(call, i, "match")) {
            set_pattern(gather, call->argv[i + 1]);
        } else if (more && call_argument_is(call, i, "type")) {
            set_type(gather, call->argv[i + 1]);
        } else {
            call_error_syntax(call);
            return false;
        }
    }
    return true;
}

/* As C's strtoul reads a number: a sign is allowed, no digits at all, and a zero byte ends it. Ours
 * end at CURSOR_END: beyond it nothing is left to return. */
static bool parse_cursor(struct bytes text, uint64_t *cursor) {
    bool negative = text.size > 0 && text.data[0] == '-';
    bool sign = negative || (text.size > 0 && text.data[0] == '+');
    const char *zero = memchr(text.data, 0, text.size);
    if (zero) text.size = (size_t)(zero - text.data);
    *cursor = 0;
    if (sign && text.size == 1) return false;
    for (size_t i = sign; i < text.size; i++) {
        if (text.data[i] < '0' || text.data[i] > '9') return false;
        if (__builtin_mul_overflow(*cursor, 10, cursor) ||
            __builtin_add_overflow(*cursor, (uint64_t)(text.data[i] - '0'), cursor))
            return false;
    }
    if (negative) *cursor = -*cursor;
    return true;
}

void command_scan(struct call *call) {
    struct gather gather = {.all = true, .type = -1, .now_ms = call->now_ms};
    int64_t count = COUNT_DEFAULT;
    uint64_t cursor;
    if (!parse_cursor(call->argv[1], &cursor)) {
        call_error(call, "ERR invalid cursor");
        return;
    }
    if (!parse_scan(call, &gather, &count)) return;
    /* As many buckets as would hold `count` entries, were each to have one or more. */
    int64_t rounds = count > INT64_MAX / ROUNDS_MAX_FACTOR ? INT64_MAX : count * ROUNDS_MAX_FACTOR;
    bool more = cursor < CURSOR_END;
    while (more) {
        cursor = database_scan(call->database, cursor, gather_entry, &gather);
        more = cursor != 0 && --rounds > 0 && gather.count < (size_t)count;
    }
    if (cursor >= CURSOR_END) cursor = 0;
    char digits[NUMBER_I64_TEXT_MAX];
    reply_array(call->reply, 2);
    reply_bulk(call->reply, bytes_make(digits, number_format_u64(digits, cursor)));
    reply_gathered(call, &gather);
}
