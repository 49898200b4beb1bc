/* persistence.c: SAVE, BGSAVE, LASTSAVE, BGREWRITEAOF. How it is done stands in engine/saving.h and
 * engine/appending.h. */
#include "command/command_handlers.h"

#include "engine/call.h"
#include "engine/server.h"

static const char in_progress[] = "ERR Background save already in progress";

void command_save(struct call *call) {
    struct server *server = call->server;
    if (saving_is_running(&server->saving))
        call_error(call, "%s", in_progress);
    else if (saving_run(server))
        reply_ok(call->reply);
    else
        call_error(call, "ERR");
}

static void cancel(struct call *call) {
    bool running = saving_is_running(&call->server->saving);
    if (!saving_cancel(call->server))
        call_error(call, "ERR Background saving is currently not in progress or scheduled");
    else
        reply_simple(call->reply, running ? "Background saving cancelled"
                                          : "Scheduled background saving cancelled");
}

/* A save waits for nothing but the end of a unit, so SCHEDULE begins it like BGSAVE alone does. */
void command_bgsave(struct call *call) {
    struct server *server = call->server;
    bool schedules = call->argc == 2 && call_argument_is(call, 1, "schedule");
    if (call->argc == 2 && call_argument_is(call, 1, "cancel")) {
        cancel(call);
        return;
    }
    if (call->argc > 1 && !schedules) {
        call_error_syntax(call);
        return;
    }
    if (saving_is_running(&server->saving)) {
        call_error(call, "%s", in_progress);
    } else if (call->in_unit) { /* which no file may have half of */
        server->saving.scheduled = true;
        reply_simple(call->reply, "Background saving scheduled");
    } else if (saving_begin(server))
        reply_simple(call->reply, "Background saving started");
    else
        call_error(call, "ERR");
}

/* It waits for no save, nor a save for it. */
void command_bgrewriteaof(struct call *call) {
    struct server *server = call->server;
    if (appending_is_rewriting(&server->appending)) {
        call_error(call, "ERR Background append only file rewriting already in progress");
    } else if (call->in_unit) { /* no file may begin with half of it */
        server->appending.scheduled = true;
        reply_simple(call->reply, "Background append only file rewriting scheduled");
    } else if (appending_rewrite(server))
        reply_simple(call->reply, "Background append only file rewriting started");
    else
        call_error(call, "ERR Can't execute an AOF background rewriting. Please check the server "
                         "logs for more information.");
}

void command_lastsave(struct call *call) {
    reply_integer(call->reply, call->server->last_save_s);
}
