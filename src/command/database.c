/* database.c: commands on whole databases. */
#include "command/command_handlers.h"

#include "engine/call.h"
#include "engine/server.h"

void command_dbsize(struct call *call) {
    reply_integer(call->reply, (int64_t)database_count(call->database));
}

static bool parse_flush(struct call *call) {
    if (call->argc == 1) return true;
    if (call->argc == 2 &&
        (call_argument_is(call, 1, "sync") || call_argument_is(call, 1, "async")))
        return true;
    call_error_syntax(call);
    return false;
}

/* Both ways take constant time here; a worker frees. */
static void flush(struct call *call, uint32_t first, uint32_t end) {
    struct keyspace *keyspace = &call->server->keyspace;
    uint64_t keys = 0;
    for (uint32_t i = first; i < end; i++) {
        keys += database_count(&keyspace->databases[i]);
        if (database_count(&keyspace->databases[i]) > 0) keyspace_flush(keyspace, i);
    }
    call_changed_database(call, end - first == 1 ? &keyspace->databases[first] : NULL,
                          keys > 0 ? keys : 1);
    reply_ok(call->reply);
}

void command_flushdb(struct call *call) {
    if (!parse_flush(call)) return;
    flush(call, call->database->number, call->database->number + 1);
}

void command_flushall(struct call *call) {
    if (!parse_flush(call)) return;
    flush(call, 0, call->server->keyspace.database_count);
}

void command_swapdb(struct call *call) {
    struct keyspace *keyspace = &call->server->keyspace;
    int64_t a, b;
    if (!call_parse_range(call, 1, INT32_MIN, INT32_MAX, &a, "ERR invalid first DB index") ||
        !call_parse_range(call, 2, INT32_MIN, INT32_MAX, &b, "ERR invalid second DB index"))
        return;
    if (a < 0 || b < 0 || a >= keyspace->database_count || b >= keyspace->database_count) {
        call_error(call, "ERR DB index is out of range");
        return;
    }
    keyspace_swap(keyspace, (uint32_t)a, (uint32_t)b);
    call->changes++; /* as Redis counts, when the two are one too */
    if (a != b && unlikely(call->server->interests))
        server_databases_exchanged(call->server, (uint32_t)a, (uint32_t)b);
    reply_ok(call->reply);
}
