/* module.c: MODULE. There are no modules: what lists them finds none, what loads one is refused, in
 * Redis's words for a library that cannot be loaded. */
#include "command/command_handlers.h"

#include "engine/call.h"
#include "engine/server.h"

void command_module_list(struct call *call) {
    reply_array(call->reply, 0);
}

void command_module_load(struct call *call) {
    log_warning(call->server->log, "Module %.*s failed to load: this server has no modules",
                (int)call->argv[2].size, call->argv[2].data);
    call_error(call, "ERR Error loading the extension. Please check the server logs.");
}

void command_module_loadex(struct call *call) {
    command_module_load(call);
}

void command_module_unload(struct call *call) {
    call_error(call, "ERR Error unloading module: no such module with that name");
}
