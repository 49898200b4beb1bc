/* debug_protocol.c: DEBUG PROTOCOL and DEBUG ERROR: replies of each kind, for tests of clients. */
#include "command/debug.h"

enum { ERROR_COUNTED_MAX = 500 }; /* bytes of a text that call_error takes whole */

static void reply_three(struct reply *reply) {
    for (int i = 0; i < 3; i++)
        reply_integer(reply, i);
}

static void protocol_map(struct reply *reply) {
    reply_map(reply, 3);
    for (int i = 0; i < 3; i++) {
        reply_integer(reply, i);
        reply_boolean(reply, i == 1);
    }
}

static void protocol_attribute(struct reply *reply) {
    if (reply->protocol > 2) {
        reply_attribute(reply, 1);
        reply_bulk_text(reply, "key-popularity");
        reply_array(reply, 2);
        reply_bulk_text(reply, "key:123");
        reply_integer(reply, 90);
    }
    reply_bulk_text(reply, "Some real reply following the attribute");
}

static void protocol_push(struct call *call) {
    struct reply *reply = call->reply;
    if (reply->protocol < 3) {
        call_error(call, "ERR RESP2 is not supported by this command");
        return;
    }
    reply_push(reply, 2);
    reply_bulk_text(reply, "server-cpu-usage");
    reply_integer(reply, 42);
    reply_bulk_text(reply, "Some real reply following the push reply");
}

static void protocol_array(struct reply *reply) {
    reply_array(reply, 3);
    reply_three(reply);
}

static void protocol_set(struct reply *reply) {
    reply_set(reply, 3);
    reply_three(reply);
}

static void protocol_scalar(struct call *call, struct bytes kind) {
    struct reply *reply = call->reply;
    if (bytes_is(kind, "string"))
        reply_bulk_text(reply, "Hello World");
    else if (bytes_is(kind, "integer"))
        reply_integer(reply, 12345);
    else if (bytes_is(kind, "double"))
        reply_double(reply, 3.141);
    else if (bytes_is(kind, "bignum"))
        reply_big_number(reply, BYTES("1234567999999999999999999999999999999"));
    else if (bytes_is(kind, "null"))
        reply_null(reply);
    else if (bytes_is(kind, "verbatim"))
        reply_verbatim(reply, "txt", BYTES("This is a verbatim\nstring"));
    else if (bytes_is(kind, "true"))
        reply_boolean(reply, true);
    else if (bytes_is(kind, "false"))
        reply_boolean(reply, false);
    else
        call_error(call, "ERR Wrong protocol type name. Please use one of the following: "
                         "string|integer|double|bignum|null|array|set|map|attrib|push|verbatim|"
                         "true|false");
}

void debug_protocol(struct call *call) {
    struct bytes kind = call->argv[2];
    if (bytes_is(kind, "array"))
        protocol_array(call->reply);
    else if (bytes_is(kind, "set"))
        protocol_set(call->reply);
    else if (bytes_is(kind, "map"))
        protocol_map(call->reply);
    else if (bytes_is(kind, "attrib"))
        protocol_attribute(call->reply);
    else if (bytes_is(kind, "push"))
        protocol_push(call);
    else
        protocol_scalar(call, kind);
}

/* Counted by its first word as all errors are; one that is empty, long or binary is only sent. */
void debug_error(struct call *call) {
    struct bytes text = call->argv[2];
    if (text.size > 0 && text.size <= ERROR_COUNTED_MAX &&
        memchr(text.data, 0, text.size) == NULL) {
        call_error(call, "%.*s", (int)text.size, text.data);
        return;
    }
    reply_error(call->reply, text);
    call->failed = true;
}
