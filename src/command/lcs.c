/* lcs.c: LCS. Reads two strings; the algorithm is in value/lcs.h. */
#include "command/command_handlers.h"

#include "base/memory.h"
#include "engine/call.h"
#include "engine/config.h"
#include "engine/server.h"
#include "value/lcs.h"

struct lcs_options {
    bool length, positions, with_sizes;
    int64_t size_min;
};

/* False after an error reply. */
static bool parse_options(struct call *call, struct lcs_options *options) {
    for (uint32_t i = 3; i < call->argc; i++) {
        if (call_argument_is(call, i, "idx")) {
            options->positions = true;
        } else if (call_argument_is(call, i, "len")) {
            options->length = true;
        } else if (call_argument_is(call, i, "withmatchlen")) {
            options->with_sizes = true;
        } else if (call_argument_is(call, i, "minmatchlen") && i + 1 < call->argc) {
            if (!call_parse_i64(call, ++i, &options->size_min, NULL)) return false;
        } else {
            call_error_syntax(call);
            return false;
        }
    }
    if (options->positions && options->length) {
        call_error(call, "ERR If you want both the length and indexes, please just use IDX.");
        return false;
    }
    return true;
}

/* An integer's digits go to scratch. False after an error reply. */
static bool read_strings(struct call *call, char scratch[2][NUMBER_I64_TEXT_MAX],
                         struct bytes strings[2]) {
    const struct entry *entries[2];
    for (uint32_t i = 0; i < 2; i++) {
        entries[i] = call_read(call, i + 1);
    }
    for (uint32_t i = 0; i < 2; i++) {
        if (entries[i] && entry_type(entries[i]) != VALUE_STRING) {
            call_error(call, "ERR The specified keys must contain string values");
            return false;
        }
        strings[i] = entries[i] ? entry_string(entries[i], scratch[i]) : BYTES("");
    }
    return true;
}

static void refuse_memory(struct call *call) {
    call_error(call, "ERR Insufficient memory, failed allocating transient memory for LCS");
}

static void reply_text(struct call *call, struct lcs *lcs) {
    struct lcs_run run;
    char *text = memory_try_alloc(lcs->length + 1);
    if (text == NULL) {
        refuse_memory(call);
        return;
    }
    size_t begin = lcs->length;
    while (lcs_next_run(lcs, &run)) {
        begin -= run.size;
        memcpy(text + begin, lcs->a.data + run.a_start, run.size);
    }
    reply_bulk(call->reply, bytes_make(text, lcs->length));
    memory_free(text);
}

static void reply_range(struct reply *reply, size_t start, size_t size) {
    reply_array(reply, 2);
    reply_integer(reply, (int64_t)start);
    reply_integer(reply, (int64_t)(start + size - 1));
}

static bool is_wanted(const struct lcs_options *options, const struct lcs_run *run) {
    return options->size_min <= 0 || run->size >= (uint64_t)options->size_min;
}

static void reply_positions(struct call *call, struct lcs *lcs, const struct lcs_options *options) {
    struct reply *reply = call->reply;
    struct lcs_run run;
    size_t count = 0;
    while (lcs_next_run(lcs, &run))
        count += is_wanted(options, &run);
    lcs_rewind(lcs);
    reply_map(reply, 2);
    reply_bulk_text(reply, "matches");
    reply_array(reply, count);
    while (lcs_next_run(lcs, &run)) {
        if (!is_wanted(options, &run)) continue;
        reply_array(reply, options->with_sizes ? 3 : 2);
        reply_range(reply, run.a_start, run.size);
        reply_range(reply, run.b_start, run.size);
        if (options->with_sizes) reply_integer(reply, (int64_t)run.size);
    }
    reply_bulk_text(reply, "len");
    reply_integer(reply, (int64_t)lcs->length);
}

static void reply_length(struct call *call, struct bytes a, struct bytes b) {
    size_t length;
    if (lcs_length(a, b, &length))
        reply_integer(call->reply, (int64_t)length);
    else
        refuse_memory(call);
}

void command_lcs(struct call *call) {
    char scratch[2][NUMBER_I64_TEXT_MAX];
    struct bytes strings[2];
    struct lcs_options options = {.length = false};
    struct lcs lcs;
    if (!read_strings(call, scratch, strings) || !parse_options(call, &options)) return;
    if (lcs_cost(strings[0], strings[1]) > call->server->config->proto_max_bulk_len) {
        call_error(call,
                   "ERR Insufficient memory, transient memory for LCS exceeds proto-max-bulk-len");
        return;
    }
    if (options.length) {
        reply_length(call, strings[0], strings[1]);
        return;
    }
    if (!lcs_open(&lcs, strings[0], strings[1])) {
        refuse_memory(call);
        return;
    }
    if (options.positions)
        reply_positions(call, &lcs, &options);
    else
        reply_text(call, &lcs);
    lcs_close(&lcs);
}
