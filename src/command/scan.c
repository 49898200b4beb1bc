/* scan.c: what SCAN, HSCAN, SSCAN and ZSCAN have in common. */
#include "command/scan.h"

#include "base/glob.h"

/* As C's strtoul reads a number: a sign is allowed, no digits at all, and a zero byte ends it. */
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

bool scan_parse_cursor(struct call *call, uint32_t index, uint64_t *cursor) {
    if (parse_cursor(call->argv[index], cursor)) return true;
    call_error(call, "ERR invalid cursor");
    return false;
}

struct scan_options scan_options_default(void) {
    return (struct scan_options){.all = true, .count = SCAN_COUNT_DEFAULT};
}

bool scan_take_option(struct call *call, uint32_t index, struct scan_options *options,
                      bool *taken) {
    *taken = false;
    if (index + 1 >= call->argc) return true;
    if (call_argument_is(call, index, "count")) {
        *taken = true;
        if (!call_parse_i64(call, index + 1, &options->count, NULL)) return false;
        if (options->count < 1) {
            call_error_syntax(call);
            return false;
        }
    } else if (call_argument_is(call, index, "match")) {
        *taken = true;
        options->pattern = call->argv[index + 1];
        options->all = bytes_equal(options->pattern, BYTES("*"));
    }
    return true;
}

bool scan_parse_options(struct call *call, uint32_t index, struct scan_options *options) {
    *options = scan_options_default();
    for (bool taken; index < call->argc; index += 2) {
        if (!scan_take_option(call, index, options, &taken)) return false;
        if (!taken) {
            call_error_syntax(call);
            return false;
        }
    }
    return true;
}

bool scan_matches(const struct scan_options *options, struct bytes text) {
    return options->all || glob_match(options->pattern, text, false);
}

bool scan_matches_item(const struct scan_options *options, const struct item *item) {
    char scratch[ITEM_TEXT_MAX];
    return options->all || glob_match(options->pattern, item_bytes(item, scratch), false);
}

int64_t scan_rounds(const struct scan_options *options) {
    int64_t count = options->count;
    return count > INT64_MAX / SCAN_ROUNDS_MAX_FACTOR ? INT64_MAX : count * SCAN_ROUNDS_MAX_FACTOR;
}

void scan_reply_head(struct call *call, uint64_t cursor) {
    char digits[NUMBER_I64_TEXT_MAX];
    if (cursor >= SCAN_CURSOR_END) cursor = 0;
    reply_array(call->reply, 2);
    reply_bulk(call->reply, bytes_make(digits, number_format_u64(digits, cursor)));
}
