/* server.c: TIME, SHUTDOWN: commands about the server as a whole. */
#include "command/command_handlers.h"

#include "engine/call.h"
#include "engine/config.h"
#include "engine/server.h"

/* The one command that asks the clock itself: the turn's time has milliseconds. */
void command_time(struct call *call) {
    int64_t now_us = io_wall_us(call->server->io);
    reply_array(call->reply, 2);
    reply_bulk_integer(call->reply, now_us / 1000000);
    reply_bulk_integer(call->reply, now_us % 1000000);
}

/* ---- SHUTDOWN ---- */

enum shutdown_option {
    OPTION_SAVE = 1 << 0,
    OPTION_NOSAVE = 1 << 1,
    OPTION_NOW = 1 << 2,
    OPTION_FORCE = 1 << 3,
    OPTION_ABORT = 1 << 4,
};

static const struct {
    const char *word;
    uint32_t option;
} shutdown_words[] = {{"save", OPTION_SAVE},
                      {"nosave", OPTION_NOSAVE},
                      {"now", OPTION_NOW},
                      {"force", OPTION_FORCE},
                      {"abort", OPTION_ABORT}};

/* False after an error reply. */
static bool parse_shutdown(struct call *call, uint32_t *options) {
    *options = 0;
    for (uint32_t i = 1; i < call->argc; i++) {
        uint32_t option = 0;
        for (size_t j = 0; j < sizeof shutdown_words / sizeof shutdown_words[0]; j++) {
            if (call_argument_is(call, i, shutdown_words[j].word))
                option = shutdown_words[j].option;
        }
        *options |= option;
        bool both = (*options & OPTION_SAVE) && (*options & OPTION_NOSAVE);
        bool mixed = (*options & OPTION_ABORT) && *options != OPTION_ABORT;
        if (option == 0 || both || mixed) {
            call_error_syntax(call);
            return false;
        }
    }
    return true;
}

/* There is nothing else that a shutdown waits for, so NOW changes nothing and there is never one to
 * abort. It saves here, so that who asked for it is told when that fails. No other reply: the
 * connection closes. */
void command_shutdown(struct call *call) {
    struct server *server = call->server;
    uint32_t options;
    if (!parse_shutdown(call, &options)) return;
    if (options & OPTION_ABORT) {
        if (server_go_on(server))
            reply_ok(call->reply);
        else
            call_error(call, "ERR No shutdown in progress.");
        return;
    }
    if (server->scripting.busy && !(options & OPTION_NOSAVE)) {
        call_error_busy(call);
        return;
    }
    if (!(options & OPTION_FORCE) && !appending_may_end(server)) {
        call_error(call, "ERR Errors trying to SHUTDOWN. Check logs.");
        return;
    }
    bool saves =
        (options & OPTION_SAVE) || (!(options & OPTION_NOSAVE) && server->config->save.count > 0);
    if (saves && !server->loading) {
        log_notice(server->log, "Saving the final RDB snapshot before exiting.");
        if (!saving_run(server) && !(options & OPTION_FORCE)) {
            log_warning(server->log, "Error trying to save the DB, can't exit.");
            call_error(call, "ERR Errors trying to SHUTDOWN. Check logs.");
            return;
        }
    }
    call->session->flags |= SESSION_CLOSE_AFTER_REPLY;
    uint32_t flags = SHUTDOWN_NOSAVE;
    if (options & OPTION_NOW) flags |= SHUTDOWN_NOW;
    if (options & OPTION_FORCE) flags |= SHUTDOWN_FORCE;
    server_stop(server, 0, flags);
}
