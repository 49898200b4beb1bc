/* function.c: FCALL and FUNCTION: their arguments; what they mean is src/script's matter. */
#include "script/function.h"

#include "base/crc.h"
#include "base/glob.h"
#include "command/command_handlers.h"
#include "engine/call.h"
#include "engine/config.h"
#include "engine/server.h"
#include "rdb/format.h"
#include "script/script.h"

void command_fcall(struct call *call) {
    function_call(call, false);
}

void command_fcall_ro(struct call *call) {
    function_call(call, true);
}

/* What failed, as the reply. */
static void reply_failure(struct call *call, struct buffer *error) {
    struct buffer text = {0};
    buffer_append_text(&text, "ERR ");
    buffer_append(&text, error->data, error->size);
    call_error_text(call, buffer_bytes(&text), true);
    buffer_release(&text);
}

/* ---- changes ---- */

void command_function_load(struct call *call) {
    bool replaces = false;
    uint32_t last = call->argc - 1;
    for (uint32_t i = 2; i < last; i++) {
        if (!call_argument_is(call, i, "replace")) {
            call_error(call, "ERR Unknown option given: %.*s", (int)call->argv[i].size,
                       call->argv[i].data);
            return;
        }
        replaces = true;
    }
    struct buffer error = {0};
    struct bytes name;
    if (function_load(call->server, call->argv[last], replaces, &name, &error)) {
        call->changes++;
        reply_bulk(call->reply, name);
    } else {
        reply_failure(call, &error);
    }
    buffer_release(&error);
}

void command_function_delete(struct call *call) {
    if (!function_delete(call->server, call->argv[2])) {
        call_error(call, "ERR Library not found");
        return;
    }
    call->changes++;
    reply_ok(call->reply);
}

void command_function_flush(struct call *call) {
    bool in_background = call->server->config->lazyfree_lazy_user_flush;
    if (call->argc > 3) {
        call_error_subcommand_words(call);
        return;
    }
    if (call->argc == 3 && call_argument_is(call, 2, "sync")) {
        in_background = false;
    } else if (call->argc == 3 && call_argument_is(call, 2, "async")) {
        in_background = true;
    } else if (call->argc == 3) {
        call_error(call, "ERR FUNCTION FLUSH only supports SYNC|ASYNC option");
        return;
    }
    function_flush(call->server, in_background);
    call->changes++;
    reply_ok(call->reply);
}

/* ---- all as bytes ---- */

enum { FOOTER = 10 };

/*     | libraries as in RDB files | version 2 | CRC-64 of all before 8 |      little-endian */
void command_function_dump(struct call *call) {
    struct buffer dump = {0};
    struct server *server = call->server;
    if (server->scripting.host)
        function_encode(server->scripting.host, server->config->rdbcompression, &dump);
    buffer_append_byte(&dump, (char)RDB_VERSION_MIN);
    buffer_append_byte(&dump, (char)(RDB_VERSION_MIN >> 8));
    uint64_t crc = crc64(0, buffer_bytes(&dump));
    for (unsigned i = 0; i < sizeof crc; i++)
        buffer_append_byte(&dump, (char)(crc >> 8 * i));
    reply_bulk(call->reply, buffer_bytes(&dump));
    buffer_release(&dump);
}

static bool check_payload(struct bytes payload) {
    if (payload.size < FOOTER) return false;
    const uint8_t *footer = (const uint8_t *)payload.data + payload.size - FOOTER;
    uint64_t crc = 0;
    for (unsigned i = 8; i-- > 0;)
        crc = crc << 8 | footer[2 + i];
    return (footer[0] | footer[1] << 8) <= RDB_VERSION_MAX &&
           crc == crc64(0, bytes_make(payload.data, payload.size - 8));
}

/* False after an error reply. */
static bool parse_policy(struct call *call, enum function_policy *policy) {
    *policy = FUNCTION_APPEND;
    if (call->argc == 3) return true;
    if (call_argument_is(call, 3, "append")) return true;
    if (call_argument_is(call, 3, "replace")) {
        *policy = FUNCTION_REPLACE;
        return true;
    }
    if (call_argument_is(call, 3, "flush")) {
        *policy = FUNCTION_FLUSH;
        return true;
    }
    call_error(call, "ERR Wrong restore policy given, value should be either FLUSH, APPEND or "
                     "REPLACE.");
    return false;
}

void command_function_restore(struct call *call) {
    enum function_policy policy;
    if (call->argc > 4) {
        call_error_subcommand_words(call);
        return;
    }
    struct bytes payload = call->argv[2];
    if (!parse_policy(call, &policy)) return;
    if (!check_payload(payload)) {
        call_error(call, "ERR DUMP payload version or checksum are wrong");
        return;
    }
    struct buffer error = {0};
    struct bytes encoded = bytes_make(payload.data, payload.size - FOOTER);
    if (function_restore(call->server, encoded, policy, &error)) {
        call->changes++;
        reply_ok(call->reply);
    } else {
        reply_failure(call, &error);
    }
    buffer_release(&error);
}

/* ---- what there is ---- */

static void reply_flags(struct call *call, uint32_t flags) {
    uint32_t count = (uint32_t)__builtin_popcount(flags & ((1u << SCRIPT_FLAGS) - 1));
    reply_set(call->reply, count);
    for (unsigned bit = 0; bit < SCRIPT_FLAGS; bit++)
        if (flags >> bit & 1) reply_simple(call->reply, script_flag_name(bit));
}

static void reply_function(struct call *call, const struct function *function) {
    reply_map(call->reply, 3);
    reply_bulk_text(call->reply, "name");
    reply_bulk(call->reply, function->name);
    reply_bulk_text(call->reply, "description");
    if (function->description.data)
        reply_bulk(call->reply, function->description);
    else
        reply_null(call->reply);
    reply_bulk_text(call->reply, "flags");
    reply_flags(call, function->flags);
}

static void reply_library(struct call *call, const struct function_library *library,
                          bool with_code) {
    reply_map(call->reply, with_code ? 4 : 3);
    reply_bulk_text(call->reply, "library_name");
    reply_bulk(call->reply, library->name);
    reply_bulk_text(call->reply, "engine");
    reply_bulk_text(call->reply, "LUA");
    reply_bulk_text(call->reply, "functions");
    reply_array(call->reply, library->count);
    for (const struct function *one = library->first; one; one = one->next)
        reply_function(call, one);
    if (!with_code) return;
    reply_bulk_text(call->reply, "library_code");
    reply_bulk(call->reply, library->text);
}

static bool is_wanted(const struct function_library *library, const struct bytes *pattern) {
    return !pattern->data || glob_match(*pattern, library->name, true);
}

/* False after an error reply. */
static bool parse_list(struct call *call, struct bytes *pattern, bool *with_code) {
    *pattern = bytes_make(NULL, 0);
    *with_code = false;
    for (uint32_t i = 2; i < call->argc; i++) {
        if (!*with_code && call_argument_is(call, i, "withcode")) {
            *with_code = true;
        } else if (!pattern->data && call_argument_is(call, i, "libraryname")) {
            if (++i == call->argc) {
                call_error(call, "ERR library name argument was not given");
                return false;
            }
            *pattern = call->argv[i];
            if (!pattern->data) *pattern = BYTES("");
        } else {
            call_error(call, "ERR Unknown argument %.*s", (int)call->argv[i].size,
                       call->argv[i].data);
            return false;
        }
    }
    return true;
}

void command_function_list(struct call *call) {
    struct bytes pattern;
    bool with_code;
    size_t count = 0;
    if (!parse_list(call, &pattern, &with_code)) return;
    const struct function_library *first = function_first(call->server);
    for (const struct function_library *one = first; one; one = one->next)
        count += is_wanted(one, &pattern);
    reply_array(call->reply, count);
    for (const struct function_library *one = first; one; one = one->next)
        if (is_wanted(one, &pattern)) reply_library(call, one, with_code);
}

void command_function_stats(struct call *call) {
    function_reply_stats(call);
}

void command_function_kill(struct call *call) {
    script_kill(call, true);
}
