/* pubsub.c: SUBSCRIBE and its kin, PUBLISH, PUBSUB. Who listens to what stands in engine/pubsub.h.
 */
#include "engine/pubsub.h"

#include "base/glob.h"
#include "command/command_handlers.h"
#include "engine/call.h"
#include "engine/server.h"

/* ---- listening ---- */

/* What the session is told of a change: for channels and patterns how many of both it has now. */
static void reply_change(struct call *call, const char *what, enum pubsub_kind kind,
                         const struct bytes *name, uint32_t gone) {
    const struct session *session = call->session;
    uint32_t count = pubsub_count(session, kind);
    if (kind == PUBSUB_CHANNEL) count += pubsub_count(session, PUBSUB_PATTERN);
    if (kind == PUBSUB_PATTERN) count += pubsub_count(session, PUBSUB_CHANNEL);
    reply_push(call->reply, 3);
    reply_bulk_text(call->reply, what);
    if (name)
        reply_bulk(call->reply, *name);
    else
        reply_null(call->reply);
    reply_integer(call->reply, count - gone);
}

static void subscribe(struct call *call, const char *what, enum pubsub_kind kind) {
    session_unmute(call->session); /* these are no replies, but messages */
    for (uint32_t i = 1; i < call->argc; i++) {
        pubsub_subscribe(call->session, kind, call->argv[i]);
        reply_change(call, what, kind, &call->argv[i], 0);
    }
}

static void unsubscribe_all(struct call *call, const char *what, enum pubsub_kind kind) {
    struct bytes name;
    if (!pubsub_first(call->session, kind, &name)) reply_change(call, what, kind, NULL, 0);
    while (pubsub_first(call->session, kind, &name)) {
        reply_change(call, what, kind, &name, 1);
        pubsub_unsubscribe(call->session, kind, name);
    }
}

static void unsubscribe(struct call *call, const char *what, enum pubsub_kind kind) {
    session_unmute(call->session);
    if (call->argc == 1) unsubscribe_all(call, what, kind);
    for (uint32_t i = 1; i < call->argc; i++) {
        pubsub_unsubscribe(call->session, kind, call->argv[i]);
        reply_change(call, what, kind, &call->argv[i], 0);
    }
}

void command_subscribe(struct call *call) {
    subscribe(call, "subscribe", PUBSUB_CHANNEL);
}

void command_psubscribe(struct call *call) {
    subscribe(call, "psubscribe", PUBSUB_PATTERN);
}

void command_ssubscribe(struct call *call) {
    subscribe(call, "ssubscribe", PUBSUB_SHARD);
}

void command_unsubscribe(struct call *call) {
    unsubscribe(call, "unsubscribe", PUBSUB_CHANNEL);
}

void command_punsubscribe(struct call *call) {
    unsubscribe(call, "punsubscribe", PUBSUB_PATTERN);
}

void command_sunsubscribe(struct call *call) {
    unsubscribe(call, "sunsubscribe", PUBSUB_SHARD);
}

/* ---- speaking ---- */

static void publish(struct call *call, enum pubsub_kind kind) {
    uint64_t told = pubsub_publish(call->server, kind, call->argv[1], call->argv[2]);
    reply_integer(call->reply, (int64_t)told);
    /* Files would have no use for it. */
    if (call->server->replication.feeds) call_effect(call, call->database, call->argv, call->argc);
}

void command_publish(struct call *call) {
    publish(call, PUBSUB_CHANNEL);
}

void command_spublish(struct call *call) {
    publish(call, PUBSUB_SHARD);
}

/* ---- asking ---- */

struct listing {
    struct reply *reply; /* NULL: only count */
    const struct bytes *pattern;
    size_t count;
};

static void list_name(void *context, struct bytes name) {
    struct listing *listing = context;
    if (listing->pattern && !glob_match(*listing->pattern, name, false)) return;
    listing->count++;
    if (listing->reply) reply_bulk(listing->reply, name);
}

static void list(struct call *call, enum pubsub_kind kind) {
    struct listing listing = {NULL, call->argc == 3 ? &call->argv[2] : NULL, 0};
    if (call->argc > 3) {
        call_error_subcommand_words(call);
        return;
    }
    pubsub_each(call->server, kind, list_name, &listing);
    listing.reply = call->reply;
    reply_array(call->reply, listing.count);
    pubsub_each(call->server, kind, list_name, &listing);
}

static void count(struct call *call, enum pubsub_kind kind) {
    reply_array(call->reply, 2 * (size_t)(call->argc - 2));
    for (uint32_t i = 2; i < call->argc; i++) {
        reply_bulk(call->reply, call->argv[i]);
        reply_integer(call->reply, pubsub_subscribers(call->server, kind, call->argv[i]));
    }
}

void command_pubsub_channels(struct call *call) {
    list(call, PUBSUB_CHANNEL);
}

void command_pubsub_shardchannels(struct call *call) {
    list(call, PUBSUB_SHARD);
}

void command_pubsub_numsub(struct call *call) {
    count(call, PUBSUB_CHANNEL);
}

void command_pubsub_shardnumsub(struct call *call) {
    count(call, PUBSUB_SHARD);
}

void command_pubsub_numpat(struct call *call) {
    reply_integer(call->reply, call->server->pubsub.pattern_count);
}
