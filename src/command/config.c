/* config.c: CONFIG: arguments in, replies out. What directives are and how they change stands in
 * src/engine/config*; HELP is made from the descriptions. */
#include "engine/config.h"
#include "command/command_handlers.h"
#include "engine/acl.h"
#include "engine/call.h"
#include "engine/config_store.h"
#include "engine/report.h"
#include "engine/server.h"

void command_config_get(struct call *call) {
    struct config_match matches[CONFIG_MATCHES_MAX];
    size_t count = config_match(call->argv + 2, call->argc - 2, matches);
    struct buffer value = {0};
    reply_map(call->reply, count);
    for (size_t i = 0; i < count; i++) {
        buffer_clear(&value);
        config_format(call->server->config, matches[i].directive, &value);
        reply_bulk(call->reply, matches[i].name);
        reply_bulk(call->reply, buffer_bytes(&value));
    }
    buffer_release(&value);
}

/* Sessions without a socket are the server's own. */
static bool is_local(const struct call *call) {
    struct io *io = call->server->io;
    io_socket socket = call->session->socket;
    return socket == IO_NONE || io->operations->peer_is_local(io, socket);
}

void command_config_set(struct call *call) {
    for (uint32_t i = 2; i + 1 < call->argc; i += 2) {
        const struct config_directive *directive = config_find(call->argv[i]);
        if (!directive || directive->flags & SENSITIVE) call_hide(call, i + 1);
    }
    if (call->argc % 2 != 0) {
        call_error_syntax(call);
        return;
    }
    struct config_access access = {.is_local = is_local(call),
                                   .is_loading = call->server->loading != NULL};
    struct buffer error = {0};
    if (config_set(call->server->config, call->argv + 2, (call->argc - 2) / 2, access, &error))
        reply_ok(call->reply);
    else
        call_error(call, "%.*s", (int)error.size, error.data);
    buffer_release(&error);
}

void command_config_rewrite(struct call *call) {
    struct server *server = call->server;
    if (server->config->file.size == 0) {
        call_error(call, "ERR The server is running without a config file");
        return;
    }
    acl_tell_config(server);
    int result = config_store_rewrite(server->io, server->config);
    if (result < 0) {
        log_warning(server->log, "CONFIG REWRITE failed: %s", strerror(-result));
        call_error(call, "ERR Rewriting config file: %s", strerror(-result));
        return;
    }
    log_notice(server->log, "CONFIG REWRITE executed with success.");
    reply_ok(call->reply);
}

void command_config_resetstat(struct call *call) {
    server_reset_statistics(call->server);
    reply_ok(call->reply);
}
