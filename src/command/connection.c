/* connection.c: who a client is and how it wants to be spoken to. CLIENT is in client.c. */
#include "command/client.h"
#include "command/command_handlers.h"

#include "base/number.h"
#include "engine/acl.h"
#include "engine/call.h"
#include "engine/server.h"
#include "engine/version.h"

/* ---- AUTH ---- */

/* False after a WRONGPASS reply. */
static bool authenticate(struct call *call, struct bytes name, struct bytes password) {
    if (acl_log_in(call->session, call->argv[0], name, password)) return true;
    call_error(call, "WRONGPASS invalid username-password pair or user is disabled.");
    return false;
}

void command_auth(struct call *call) {
    for (uint32_t i = 1; i < call->argc; i++)
        call_hide(call, i);
    if (call->argc > 3) {
        call_error_syntax(call);
        return;
    }
    if (call->argc == 2 && acl_has_no_password(call->server)) {
        call_error(call, "ERR AUTH <password> called without any password configured for the "
                         "default user. Are you sure your configuration is correct?");
        return;
    }
    struct bytes name = call->argc == 3 ? call->argv[1] : BYTES("default");
    if (authenticate(call, name, call->argv[call->argc - 1])) reply_ok(call->reply);
}

/* ---- HELLO ---- */

static void reply_hello(struct call *call) {
    struct reply *reply = call->reply;
    reply_map(reply, 7);
    reply_bulk_text(reply, "server");
    reply_bulk_text(reply, "redis");
    reply_bulk_text(reply, "version");
    reply_bulk_text(reply, REDIS_VERSION);
    reply_bulk_text(reply, "proto");
    reply_integer(reply, call->session->protocol);
    reply_bulk_text(reply, "id");
    reply_integer(reply, (int64_t)call->session->id);
    reply_bulk_text(reply, "mode");
    reply_bulk_text(reply, "standalone");
    reply_bulk_text(reply, "role");
    reply_bulk_text(reply, call->server->replication.is_replica ? "replica" : "master");
    reply_bulk_text(reply, "modules");
    reply_array(reply, 0);
}

struct hello {
    int64_t protocol; /* 0: as it is */
    const struct bytes *user, *password, *name;
};

/* False after a reply. */
static bool parse_hello(struct call *call, struct hello *hello) {
    *hello = (struct hello){0};
    if (call->argc > 1) {
        if (!call_parse_i64(call, 1, &hello->protocol,
                            "ERR Protocol version is not an integer or out of range"))
            return false;
        if (hello->protocol < 2 || hello->protocol > 3) {
            call_error(call, "NOPROTO unsupported protocol version");
            return false;
        }
    }
    for (uint32_t i = 2; i < call->argc; i++) {
        uint32_t more = call->argc - 1 - i;
        if (call_argument_is(call, i, "auth") && more >= 2) {
            hello->user = &call->argv[i + 1];
            hello->password = &call->argv[i + 2];
            call_hide(call, i + 1);
            call_hide(call, i + 2);
            i += 2;
        } else if (call_argument_is(call, i, "setname") && more >= 1) {
            hello->name = &call->argv[++i];
            if (!client_name_valid(*hello->name)) {
                call_error(call, "ERR Client names cannot contain spaces, newlines or special "
                                 "characters.");
                return false;
            }
        } else {
            struct bytes word = call->argv[i];
            call_error(call, "ERR Syntax error in HELLO option '%.*s'",
                       (int)(word.size < 128 ? word.size : 128), word.data);
            return false;
        }
    }
    return true;
}

void command_hello(struct call *call) {
    struct hello hello;
    struct session *session = call->session;
    if (!parse_hello(call, &hello)) return;
    if (hello.user && !authenticate(call, *hello.user, *hello.password)) return;
    if (!session_is_authenticated(session)) {
        call_error(call, "NOAUTH HELLO must be called with the client already authenticated, "
                         "otherwise the HELLO <proto> AUTH <user> <pass> option can be used to "
                         "authenticate the client and select the RESP protocol version at the same "
                         "time");
        return;
    }
    if (hello.name) session_set_text(&session->name, hello.name->size > 0 ? hello.name : NULL);
    if (hello.protocol != 0) session->protocol = session->reply.protocol = (uint8_t)hello.protocol;
    reply_hello(call);
}

/* ---- the rest ---- */

/* What a subscribed client of RESP2 gets must look like a message. */
static void reply_pong(struct call *call) {
    reply_array(call->reply, 2);
    reply_bulk_text(call->reply, "pong");
    reply_bulk(call->reply, call->argc == 2 ? call->argv[1] : bytes_make("", 0));
}

void command_ping(struct call *call) {
    if (call->argc > 2)
        call_error_arity(call);
    else if (call->session->flags & SESSION_SUBSCRIBED && call->session->protocol == 2)
        reply_pong(call);
    else if (call->argc == 2)
        reply_bulk(call->reply, call->argv[1]);
    else
        reply_simple(call->reply, "PONG");
}

void command_echo(struct call *call) {
    reply_bulk(call->reply, call->argv[1]);
}

void command_quit(struct call *call) {
    reply_ok(call->reply);
    call->session->flags |= SESSION_CLOSE_AFTER_REPLY;
}

void command_reset(struct call *call) {
    bool was_off = call->session->flags & SESSION_REPLY_OFF; /* SKIP has this reply skipped */
    session_reset(call->session);
    if (was_off) session_unmute(call->session);
    reply_simple(call->reply, "RESET");
}

void command_select(struct call *call) {
    int64_t number;
    if (!call_parse_range(call, 1, INT32_MIN, INT32_MAX, &number, NULL)) return;
    if (number < 0 || number >= call->server->keyspace.database_count) {
        call_error(call, "ERR DB index is out of range");
        return;
    }
    call->session->database = (uint32_t)number;
    reply_ok(call->reply);
}
