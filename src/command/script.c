/* script.c: EVAL and its forms, SCRIPT: their arguments; what they mean is src/script's matter. */
#include "command/command_handlers.h"

#include "engine/call.h"
#include "engine/config.h"
#include "engine/server.h"
#include "script/script.h"

void command_eval(struct call *call) {
    script_eval(call, false, false);
}

void command_evalsha(struct call *call) {
    script_eval(call, true, false);
}

void command_eval_ro(struct call *call) {
    script_eval(call, false, true);
}

void command_evalsha_ro(struct call *call) {
    script_eval(call, true, true);
}

void command_script_load(struct call *call) {
    script_load(call, call->argv[2]);
}

void command_script_exists(struct call *call) {
    reply_array(call->reply, call->argc - 2);
    for (uint32_t i = 2; i < call->argc; i++)
        reply_integer(call->reply, script_exists(call->server, call->argv[i]));
}

void command_script_show(struct call *call) {
    struct bytes text;
    if (script_text(call->server, call->argv[2], &text))
        reply_bulk(call->reply, text);
    else
        call_error(call, "NOSCRIPT No matching script.");
}

void command_script_flush(struct call *call) {
    bool in_background = call->server->config->lazyfree_lazy_user_flush;
    if (call->argc == 3 && call_argument_is(call, 2, "sync")) {
        in_background = false;
    } else if (call->argc == 3 && call_argument_is(call, 2, "async")) {
        in_background = true;
    } else if (call->argc != 2) {
        call_error(call, "ERR SCRIPT FLUSH only support SYNC|ASYNC option");
        return;
    }
    script_flush(call->server, in_background);
    reply_ok(call->reply);
}

void command_script_kill(struct call *call) {
    script_kill(call, false);
}

void command_script_debug(struct call *call) {
    if (call_argument_is(call, 2, "no"))
        reply_ok(call->reply);
    else if (call_argument_is(call, 2, "yes") || call_argument_is(call, 2, "sync"))
        call_error(call, "ERR There is no debugger of scripts in this server: SCRIPT DEBUG NO is "
                         "all that it knows");
    else
        call_error(call, "ERR Use SCRIPT DEBUG YES/SYNC/NO");
}
