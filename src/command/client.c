/* client.c: the commands about clients' connections. */
#include "command/client.h"
#include "command/command_handlers.h"

#include "base/memory.h"
#include "base/number.h"
#include "engine/acl.h"
#include "engine/call.h"
#include "engine/server.h"

bool client_name_valid(struct bytes name) {
    for (size_t i = 0; i < name.size; i++)
        if (name.data[i] < '!' || name.data[i] > '~') return false;
    return true;
}

/* ---- of this connection ---- */

void command_client_id(struct call *call) {
    reply_integer(call->reply, (int64_t)call->session->id);
}

void command_client_getname(struct call *call) {
    if (call->session->name)
        reply_bulk_text(call->reply, call->session->name);
    else
        reply_null(call->reply);
}

void command_client_setname(struct call *call) {
    if (!client_name_valid(call->argv[2])) {
        call_error(call, "ERR Client names cannot contain spaces, newlines or special characters.");
        return;
    }
    session_set_text(&call->session->name, call->argv[2].size > 0 ? &call->argv[2] : NULL);
    reply_ok(call->reply);
}

void command_client_setinfo(struct call *call) {
    struct bytes option = call->argv[2], value = call->argv[3];
    bool is_name = bytes_is(option, "lib-name");
    if (!is_name && !bytes_is(option, "lib-ver")) {
        call_error(call, "ERR Unrecognized option '%.*s'",
                   (int)(option.size < 128 ? option.size : 128), option.data);
        return;
    }
    if (!client_name_valid(value)) {
        call_error(call, "ERR %s cannot contain spaces, newlines or special characters.",
                   is_name ? "lib-name" : "lib-ver");
        return;
    }
    char **place = is_name ? &call->session->library_name : &call->session->library_version;
    session_set_text(place, value.size > 0 ? &value : NULL);
    reply_ok(call->reply);
}

void command_client_info(struct call *call) {
    struct buffer text = {0};
    session_describe(call->session, &text);
    buffer_append_byte(&text, '\n');
    reply_verbatim(call->reply, "txt", buffer_bytes(&text));
    buffer_release(&text);
}

void command_client_reply(struct call *call) {
    struct session *session = call->session;
    if (call_argument_is(call, 2, "on")) {
        session->flags &= ~(uint32_t)(SESSION_REPLY_OFF | SESSION_REPLY_SKIP_NEXT);
        session_unmute(session);
        reply_ok(call->reply);
    } else if (call_argument_is(call, 2, "off")) {
        session->flags |= SESSION_REPLY_OFF;
    } else if (call_argument_is(call, 2, "skip")) {
        if (!(session->flags & SESSION_REPLY_OFF)) session->flags |= SESSION_REPLY_SKIP_NEXT;
    } else {
        call_error_syntax(call);
    }
}

static void set_flag(struct call *call, uint32_t flag) {
    if (call_argument_is(call, 2, "on"))
        call->session->flags |= flag;
    else if (call_argument_is(call, 2, "off"))
        call->session->flags &= ~flag;
    else {
        call_error_syntax(call);
        return;
    }
    reply_ok(call->reply);
}

void command_client_no_evict(struct call *call) {
    set_flag(call, SESSION_NO_EVICT);
}

void command_client_no_touch(struct call *call) {
    set_flag(call, SESSION_NO_TOUCH);
}

/* ---- pause ---- */

void command_client_pause(struct call *call) {
    enum server_pause what = SERVER_PAUSE_ALL;
    int64_t timeout_ms, until_ms;
    if (call->argc > 4) {
        call_error_subcommand_words(call);
        return;
    }
    if (call->argc == 4) {
        if (call_argument_is(call, 3, "write"))
            what = SERVER_PAUSE_WRITES;
        else if (!call_argument_is(call, 3, "all")) {
            call_error(call, "ERR CLIENT PAUSE mode must be WRITE or ALL");
            return;
        }
    }
    if (!call_parse_i64(call, 2, &timeout_ms, "ERR timeout is not an integer or out of range"))
        return;
    if (timeout_ms < 0) {
        call_error(call, "ERR timeout is negative");
        return;
    }
    if (__builtin_add_overflow(call->server->monotonic_ms, timeout_ms, &until_ms) ||
        until_ms > SERVER_PAUSE_UNTIL_MAX_MS)
        until_ms = SERVER_PAUSE_UNTIL_MAX_MS;
    server_pause(call->server, PAUSER_CLIENT, what, until_ms);
    reply_ok(call->reply);
}

void command_client_unpause(struct call *call) {
    server_unpause(call->server, PAUSER_CLIENT);
    reply_ok(call->reply);
}

/* ---- waiting ---- */

void command_client_unblock(struct call *call) {
    int64_t id;
    bool with_error = false;
    if (call->argc > 4) {
        call_error_subcommand_words(call);
        return;
    }
    if (call->argc == 4) {
        with_error = call_argument_is(call, 3, "error");
        if (!with_error && !call_argument_is(call, 3, "timeout")) {
            call_error(call, "ERR CLIENT UNBLOCK reason should be TIMEOUT or ERROR");
            return;
        }
    }
    if (!call_parse_i64(call, 2, &id, NULL)) return;
    struct session *session = server_find_session(call->server, (uint64_t)id);
    reply_integer(call->reply, session != NULL && waiting_unblock(session, with_error));
}

/* ---- LIST and KILL ---- */

struct filter {
    const struct user *user; /* NULL: any */
    bool by_id, by_type, by_address, by_local_address, by_age, spare_self;
    uint64_t id;
    int class; /* enum session_class, or CLASS_PRIMARY */
    struct bytes address, local_address;
    int64_t age_s;
};

static bool address_is(const struct session *session, struct bytes wanted,
                       void (*name)(const struct session *, char[IO_ADDRESS_TEXT_MAX])) {
    char text[IO_ADDRESS_TEXT_MAX];
    name(session, text);
    return bytes_equal(bytes_from_text(text), wanted);
}

/* The connection to the primary is a class of its own here, without limits. */
enum { CLASS_PRIMARY = SESSION_CLASS_COUNT };

static int class_of_session(const struct session *session) {
    return session->flags & (SESSION_PRIMARY | SESSION_RAW) ? CLASS_PRIMARY : (int)session->class;
}

static bool filter_passes(const struct filter *filter, const struct session *session,
                          const struct session *self) {
    const struct server *server = session->server;
    if (session->flags & (SESSION_INTERNAL | SESSION_CLOSE_NOW)) return false;
    if (filter->spare_self && session == self) return false;
    if (filter->by_id && session->id != filter->id) return false;
    if (filter->user && session->user != filter->user) return false;
    if (filter->by_type && class_of_session(session) != filter->class) return false;
    if (filter->by_age && (server->monotonic_ms - session->created_ms) / 1000 < filter->age_s)
        return false;
    if (filter->by_address && !address_is(session, filter->address, session_address)) return false;
    return !filter->by_local_address ||
           address_is(session, filter->local_address, session_local_address);
}

/* -1 when unknown. */
static int class_of(struct bytes name) {
    if (bytes_is(name, "normal")) return SESSION_CLASS_NORMAL;
    if (bytes_is(name, "replica") || bytes_is(name, "slave")) return SESSION_CLASS_REPLICA;
    if (bytes_is(name, "pubsub")) return SESSION_CLASS_PUBSUB;
    if (bytes_is(name, "master") || bytes_is(name, "primary")) return CLASS_PRIMARY;
    return -1;
}

static bool parse_class(struct call *call, uint32_t index, struct filter *filter) {
    struct bytes word = call->argv[index];
    int class = class_of(word);
    if (class < 0) {
        call_error(call, "ERR Unknown client type '%.*s'", (int)(word.size < 128 ? word.size : 128),
                   word.data);
        return false;
    }
    filter->by_type = true;
    filter->class = class;
    return true;
}

/* A client that has not given a password is the default user. */
static bool parse_user(struct call *call, uint32_t index, struct filter *filter) {
    struct bytes word = call->argv[index];
    filter->user = acl_find(call->server, word);
    if (filter->user) return true;
    call_error(call, "ERR No such user '%.*s'", (int)(word.size < 128 ? word.size : 128),
               word.data);
    return false;
}

static bool parse_id(struct call *call, uint32_t index, struct filter *filter) {
    int64_t id;
    if (!call_parse_range(call, index, 1, INT64_MAX, &id, "ERR client-id should be greater than 0"))
        return false;
    filter->by_id = true;
    filter->id = (uint64_t)id;
    return true;
}

static bool parse_skip_me(struct call *call, uint32_t index, struct filter *filter) {
    filter->spare_self = call_argument_is(call, index, "yes");
    if (filter->spare_self || call_argument_is(call, index, "no")) return true;
    call_error_syntax(call);
    return false;
}

static bool parse_age(struct call *call, uint32_t index, struct filter *filter) {
    filter->by_age = true;
    if (!call_parse_i64(call, index, &filter->age_s,
                        "ERR maxage is not an integer or out of range"))
        return false;
    if (filter->age_s > 0) return true;
    call_error(call, "ERR maxage should be greater than 0");
    return false;
}

/* One pair of words of KILL's new form. */
static bool parse_filter(struct call *call, uint32_t i, struct filter *filter) {
    struct bytes word = call->argv[i];
    if (i + 1 >= call->argc) {
        call_error_syntax(call);
        return false;
    }
    if (bytes_is(word, "id")) return parse_id(call, i + 1, filter);
    if (bytes_is(word, "type")) return parse_class(call, i + 1, filter);
    if (bytes_is(word, "user")) return parse_user(call, i + 1, filter);
    if (bytes_is(word, "skipme")) return parse_skip_me(call, i + 1, filter);
    if (bytes_is(word, "maxage")) return parse_age(call, i + 1, filter);
    if (bytes_is(word, "addr")) {
        filter->by_address = true;
        filter->address = call->argv[i + 1];
        return true;
    }
    if (bytes_is(word, "laddr")) {
        filter->by_local_address = true;
        filter->local_address = call->argv[i + 1];
        return true;
    }
    call_error_syntax(call);
    return false;
}

static int64_t kill_sessions(struct call *call, const struct filter *filter) {
    struct server *server = call->server;
    int64_t killed = 0;
    for (uint32_t i = 0; i < server->session_count; i++) {
        struct session *session = server->sessions[i];
        if (!filter_passes(filter, session, call->session)) continue;
        if (session == call->session)
            session->flags |= SESSION_CLOSE_AFTER_REPLY;
        else
            session_close_later(session);
        killed++;
    }
    return killed;
}

void command_client_kill(struct call *call) {
    struct filter filter = {0};
    if (call->argc == 3) {
        filter.by_address = true;
        filter.address = call->argv[2];
        if (kill_sessions(call, &filter) > 0)
            reply_ok(call->reply);
        else
            call_error(call, "ERR No such client");
        return;
    }
    filter.spare_self = true;
    for (uint32_t i = 2; i < call->argc; i += 2)
        if (!parse_filter(call, i, &filter)) return;
    reply_integer(call->reply, kill_sessions(call, &filter));
}

static void append_line(const struct session *session, struct buffer *text) {
    session_describe(session, text);
    buffer_append_byte(text, '\n');
}

static void list_ids(struct call *call, struct buffer *text, bool *failed) {
    for (uint32_t i = 3; i < call->argc; i++) {
        int64_t id;
        if (!call_parse_i64(call, i, &id, "ERR Invalid client ID")) {
            *failed = true;
            return;
        }
        const struct session *session = server_find_session(call->server, (uint64_t)id);
        if (session) append_line(session, text);
    }
}

static void list_filtered(struct call *call, const struct filter *filter, struct buffer *text) {
    const struct server *server = call->server;
    for (uint32_t i = 0; i < server->session_count; i++)
        if (filter_passes(filter, server->sessions[i], NULL))
            append_line(server->sessions[i], text);
}

void command_client_list(struct call *call) {
    struct filter filter = {0};
    struct buffer text = {0};
    bool failed = false;
    if (call->argc == 4 && call_argument_is(call, 2, "type")) {
        if (!parse_class(call, 3, &filter)) return;
        list_filtered(call, &filter, &text);
    } else if (call->argc > 3 && call_argument_is(call, 2, "id")) {
        list_ids(call, &text, &failed);
    } else if (call->argc == 2) {
        list_filtered(call, &filter, &text);
    } else {
        call_error_syntax(call);
        return;
    }
    if (!failed) reply_verbatim(call->reply, "txt", buffer_bytes(&text));
    buffer_release(&text);
}
