/* transaction.c: MULTI, EXEC, DISCARD, WATCH, UNWATCH. Queueing and running stand in
 * engine/transaction.h, watched keys in engine/watching.h. */
#include "engine/transaction.h"

#include "command/command_handlers.h"
#include "engine/call.h"
#include "engine/server.h"

void command_multi(struct call *call) {
    if (call->session->flags & SESSION_MULTI) {
        call_error(call, "ERR MULTI calls can not be nested");
        return;
    }
    transaction_begin(call->session);
    reply_ok(call->reply);
}

void command_exec(struct call *call) {
    transaction_execute(call);
}

void command_discard(struct call *call) {
    if (!(call->session->flags & SESSION_MULTI)) {
        call_error(call, "ERR DISCARD without MULTI");
        return;
    }
    transaction_discard(call->session);
    reply_ok(call->reply);
}

/* Once a key was changed, EXEC will do nothing, whatever else is watched. */
void command_watch(struct call *call) {
    struct session *session = call->session;
    if (session->flags & SESSION_MULTI) {
        call_error(call, "ERR WATCH inside MULTI is not allowed");
        return;
    }
    for (uint32_t i = 1; i < call->argc && !(session->flags & SESSION_WATCH_BROKEN); i++)
        watching_add(session, call->argv[i]);
    reply_ok(call->reply);
}

void command_unwatch(struct call *call) {
    watching_drop(call->session);
    call->session->flags &= ~(uint32_t)SESSION_WATCH_BROKEN;
    reply_ok(call->reply);
}
