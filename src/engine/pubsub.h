/* pubsub.h: who listens to which channel, and telling them.
 *
 *     kind, name --> topic                        subscription of session 7
 *                    +------------------+         +-----------------------------+
 *                    | subscribers, an  |<------->| place among the subscribers |---> its next one
 *                    | array            |         +-----------------------------+
 *                    | page RESP2, RESP3|---> the newest messages, as they leave
 *                    +------------------+
 *     (topic, session) --> subscription
 *     patterns: the topics that are patterns, an array, each tried for each message
 *
 * A topic is a channel, a pattern or a shard channel, and lives as long as somebody listens to it.
 * All steps but those over subscribers and patterns take constant time, however many there are.
 *
 * Delivery. To few subscribers a message is copied into the output of each. For many it is written
 * once into the topic's page, which their outputs share (output.h): messages of a topic stand in it
 * one behind another, so a session that got five of them has one stretch of 5 and sends it at once.
 * The page is begun anew when nobody reads it any more, and replaced by another when it is full. */
#ifndef REDSTART_ENGINE_PUBSUB_H
#define REDSTART_ENGINE_PUBSUB_H

#include "base/bytes.h"
#include "engine/name_table.h"

struct server;
struct session;
struct topic;

enum pubsub_kind { PUBSUB_CHANNEL, PUBSUB_PATTERN, PUBSUB_SHARD, PUBSUB_KINDS };

enum {
    PUBSUB_SHARED_FROM = 8,            /* subscribers of a topic from which on they share a page */
    PUBSUB_PAGE_SIZE = 16 * 1024 - 64, /* of messages; larger ones get a page of their own size */
};

struct pubsub {
    struct name_table topics[PUBSUB_KINDS]; /* of struct topic */
    struct table subscriptions;             /* of handles of struct subscription */
    struct slab slab;                       /* where those are */
    struct table_owner owner;
    struct epochs epochs; /* of their table; never frozen */
    struct topic **patterns;
    uint32_t pattern_count, pattern_capacity;
    uint32_t sessions; /* that listen to something */
};

/* The secret stays where it is. */
void pubsub_init(struct pubsub *pubsub, const struct hash_secret *secret);
/* Nobody listens any more. */
void pubsub_release(struct pubsub *pubsub);

/* False when the session listened already, or did not. */
bool pubsub_subscribe(struct session *session, enum pubsub_kind kind, struct bytes name);
bool pubsub_unsubscribe(struct session *session, enum pubsub_kind kind, struct bytes name);
/* The oldest of the session's; false: none. The name lives as long as somebody listens to it. */
bool pubsub_first(const struct session *session, enum pubsub_kind kind, struct bytes *name);
uint32_t pubsub_count(const struct session *session, enum pubsub_kind kind);
/* Is `allows` true of all that it listens to? */
typedef bool pubsub_allows(const void *context, enum pubsub_kind kind, struct bytes name);
bool pubsub_all(const struct session *session, pubsub_allows *allows, const void *context);
/* It listens to nothing any more. */
void pubsub_forget(struct session *session);
/* Bytes that its subscriptions take. */
size_t pubsub_memory(const struct session *session);

/* Tell those who listen to the channel, and for PUBSUB_CHANNEL those whose patterns match; how many
 * times somebody was told. */
uint64_t pubsub_publish(struct server *server, enum pubsub_kind kind, struct bytes channel,
                        struct bytes message);

/* Sessions that listen to a channel. */
uint32_t pubsub_subscribers(const struct server *server, enum pubsub_kind kind, struct bytes name);
static inline bool pubsub_has_listeners(const struct pubsub *pubsub) {
    return pubsub->sessions > 0;
}
/* Visit the name of each topic of a kind. */
typedef void pubsub_visit(void *context, struct bytes name);
void pubsub_each(const struct server *server, enum pubsub_kind kind, pubsub_visit *visit,
                 void *context);

#endif
