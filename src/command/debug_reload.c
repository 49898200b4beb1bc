/* debug_reload.c: DEBUG RELOAD: the dataset to its file and back. */
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

/* What a reload does is no change: nothing goes to the journal. */
void debug_reload(struct call *call) {
    struct server *server = call->server;
    struct reload reload;
    if (!parse(call, &reload)) return;
    if (reload.saves && !saving_run(server)) {
        call_error(call, "ERR");
        return;
    }
    for (uint32_t i = 0; reload.flushes && i < server->keyspace.database_count; i++)
        keyspace_flush(&server->keyspace, i);
    if (server->interests) server_database_changed(server, UINT32_MAX);
    if (loading_run(server, reload.merges)) {
        log_warning(server->log, "DB reloaded by DEBUG RELOAD");
        reply_ok(call->reply);
    } else {
        call_error(call, "ERR Error trying to load the RDB dump, check server logs.");
    }
}
