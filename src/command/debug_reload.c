/* debug_reload.c: DEBUG RELOAD and LOADAOF: the dataset to its files and back. */
#include "command/debug.h"

#include "engine/server.h"

struct reload {
    bool saves, flushes, merges;
};

/* False after an error reply. */
static bool parse(struct call *call, struct reload *reload) {
    *reload = (struct reload){.saves = true, .flushes = true};
    for (uint32_t i = 2; i < call->argc; i++) {
        if (call_argument_is(call, i, "nosave")) {
            reload->saves = false;
        } else if (call_argument_is(call, i, "noflush")) {
            reload->flushes = false;
        } else if (call_argument_is(call, i, "merge")) {
            reload->merges = true;
        } else {
            call_error(call,
                       "ERR DEBUG RELOAD only supports the MERGE, NOFLUSH and NOSAVE options.");
            return false;
        }
    }
    return true;
}

static void flush_all(struct server *server) {
    for (uint32_t i = 0; i < server->keyspace.database_count; i++)
        keyspace_flush(&server->keyspace, i);
    if (server->interests) server_database_changed(server, UINT32_MAX);
    if (server->scripting.host) server->scripting.flush_libraries(server->scripting.host);
}

/* What a reload does is no change: nothing goes to the journal. */
void debug_reload(struct call *call) {
    struct server *server = call->server;
    struct reload reload;
    if (!parse(call, &reload)) return;
    if (reload.saves && !saving_run(server)) {
        call_error(call, "ERR");
        return;
    }
    if (reload.flushes) flush_all(server);
    if (loading_run(server, reload.merges)) {
        log_warning(server->log, "DB reloaded by DEBUG RELOAD");
        reply_ok(call->reply);
    } else {
        call_error(call, "ERR Error trying to load the RDB dump, check server logs.");
    }
}

void debug_loadaof(struct call *call) {
    struct server *server = call->server;
    if (!appending_is_established(&server->appending)) {
        call_error(call, "ERR There is no append only file to load, or not yet");
        return;
    }
    appending_end(server);
    flush_all(server);
    if (loading_run_log(server)) {
        log_warning(server->log, "Append Only File loaded by DEBUG LOADAOF");
        reply_ok(call->reply);
    } else {
        call_error(call, "ERR Error trying to load the AOF files, check server logs.");
    }
}
