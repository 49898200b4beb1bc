/* pubsub.c: topics and subscriptions, and the messages that go to them. Owns both; sends through
 * the sessions alone. */
#include "engine/pubsub.h"

#include "base/glob.h"
#include "base/invariant.h"
#include "base/memory.h"
#include "engine/server.h"

enum {
    FIRST_SUBSCRIBERS = 1,
    FIRST_PATTERNS = 16,
    HEAD_MAX = 64,
    PROTOCOLS = 2,
    PREFETCH_AHEAD = 4
};

struct subscription {
    struct session *session;
    struct topic *topic;
    slab_handle handle;
    struct subscription *before, *next; /* of the same session and kind, in the order they began */
    uint32_t place;                     /* among the topic's subscribers */
};

struct subscriber {
    struct session *session;
    struct subscription *subscription;
};

struct topic {
    struct named named;
    enum pubsub_kind kind;
    uint32_t place; /* among the patterns */
    struct subscriber *subscribers;
    uint32_t count, capacity;
    struct output_shared *pages[PROTOCOLS]; /* by protocol; NULL: none */
};

/* Of a session that has any. */
struct subscriptions {
    struct subscription *first[PUBSUB_KINDS], *last[PUBSUB_KINDS];
    uint32_t counts[PUBSUB_KINDS];
    size_t bytes; /* of the names */
};

/* ---- finding ---- */

static uint64_t hash_pair(const struct topic *topic, const struct session *session) {
    return hash_mix(hash_mix(topic->named.handle * PUBSUB_KINDS + topic->kind) ^ session->id);
}

static uint64_t subscription_hash(void *context, table_element element) {
    const struct pubsub *pubsub = context;
    const struct subscription *subscription = slab_at(&pubsub->slab, element);
    return hash_pair(subscription->topic, subscription->session);
}

static struct topic *find_topic(const struct pubsub *pubsub, enum pubsub_kind kind,
                                struct bytes name) {
    return name_table_find(&pubsub->topics[kind], 0, name);
}

struct wanted_pair {
    const struct pubsub *pubsub;
    const struct topic *topic;
    const struct session *session;
};

static inline bool pair_matches(const void *context, table_element element) {
    const struct wanted_pair *wanted = context;
    const struct subscription *subscription = slab_at(&wanted->pubsub->slab, element);
    return subscription->topic == wanted->topic && subscription->session == wanted->session;
}

static struct subscription *find_subscription(const struct pubsub *pubsub,
                                              const struct topic *topic,
                                              const struct session *session,
                                              struct table_place *place) {
    struct wanted_pair wanted = {pubsub, topic, session};
    table_element element =
        table_find(&pubsub->subscriptions, hash_pair(topic, session), pair_matches, &wanted, place);
    return element ? slab_at(&pubsub->slab, element) : NULL;
}

void pubsub_init(struct pubsub *pubsub, const struct hash_secret *secret) {
    *pubsub = (struct pubsub){.owner = {.context = pubsub, .hash = subscription_hash}};
    epochs_init(&pubsub->epochs);
    slab_init(&pubsub->slab);
    for (int kind = 0; kind < PUBSUB_KINDS; kind++)
        name_table_init(&pubsub->topics[kind], secret, sizeof(struct topic));
    table_init(&pubsub->subscriptions, &pubsub->epochs, &pubsub->owner);
}

void pubsub_release(struct pubsub *pubsub) {
    INVARIANT(pubsub->sessions == 0 && table_count(&pubsub->subscriptions) == 0);
    for (int kind = 0; kind < PUBSUB_KINDS; kind++)
        name_table_release(&pubsub->topics[kind]);
    table_release(&pubsub->subscriptions);
    slab_release(&pubsub->slab);
    epochs_release(&pubsub->epochs);
    memory_free(pubsub->patterns);
}

/* ---- topics ---- */

static void add_pattern(struct pubsub *pubsub, struct topic *topic) {
    if (pubsub->pattern_count == pubsub->pattern_capacity) {
        pubsub->pattern_capacity =
            pubsub->pattern_capacity ? pubsub->pattern_capacity * 2 : FIRST_PATTERNS;
        pubsub->patterns =
            memory_resize(pubsub->patterns, pubsub->pattern_capacity * sizeof pubsub->patterns[0]);
    }
    topic->place = pubsub->pattern_count;
    pubsub->patterns[pubsub->pattern_count++] = topic;
}

/* A new one has no subscribers yet. */
static struct topic *find_or_add_topic(struct pubsub *pubsub, enum pubsub_kind kind,
                                       struct bytes name) {
    struct topic *topic = name_table_find_or_add(&pubsub->topics[kind], 0, name);
    if (topic->count > 0) return topic;
    topic->kind = kind;
    if (kind == PUBSUB_PATTERN) add_pattern(pubsub, topic);
    return topic;
}

/* Nobody listens to it any more. */
static void drop_topic(struct pubsub *pubsub, struct topic *topic) {
    if (topic->kind == PUBSUB_PATTERN) {
        struct topic *last = pubsub->patterns[--pubsub->pattern_count];
        pubsub->patterns[topic->place] = last;
        last->place = topic->place;
    }
    for (int i = 0; i < PROTOCOLS; i++)
        if (topic->pages[i]) output_unshare(topic->pages[i]);
    memory_free(topic->subscribers);
    name_table_remove(&pubsub->topics[topic->kind], topic);
}

static void join(struct topic *topic, struct subscription *subscription) {
    if (topic->count == topic->capacity) {
        topic->capacity = topic->capacity ? topic->capacity * 2 : FIRST_SUBSCRIBERS;
        topic->subscribers =
            memory_resize(topic->subscribers, topic->capacity * sizeof topic->subscribers[0]);
    }
    subscription->place = topic->count;
    topic->subscribers[topic->count++] = (struct subscriber){subscription->session, subscription};
}

static void leave(struct topic *topic, const struct subscription *subscription) {
    struct subscriber last = topic->subscribers[--topic->count];
    topic->subscribers[subscription->place] = last;
    last.subscription->place = subscription->place;
    if (topic->count < topic->capacity / 4) {
        topic->capacity /= 2;
        topic->subscribers =
            memory_resize(topic->subscribers, topic->capacity * sizeof topic->subscribers[0]);
    }
}

/* ---- subscriptions ---- */

static struct subscriptions *of_session(struct session *session) {
    if (session->subscriptions) return session->subscriptions;
    session->subscriptions = memory_alloc_zeroed(1, sizeof *session->subscriptions);
    session->flags |= SESSION_SUBSCRIBED;
    if (session->class == SESSION_CLASS_NORMAL) session->class = SESSION_CLASS_PUBSUB;
    session->server->pubsub.sessions++;
    return session->subscriptions;
}

static void check_empty(struct session *session) {
    struct subscriptions *all = session->subscriptions;
    for (int kind = 0; kind < PUBSUB_KINDS; kind++)
        if (all->counts[kind] > 0) return;
    memory_free(all);
    session->subscriptions = NULL;
    session->flags &= ~(uint32_t)SESSION_SUBSCRIBED;
    if (session->class == SESSION_CLASS_PUBSUB) session->class = SESSION_CLASS_NORMAL;
    session->server->pubsub.sessions--;
}

bool pubsub_subscribe(struct session *session, enum pubsub_kind kind, struct bytes name) {
    struct pubsub *pubsub = &session->server->pubsub;
    struct topic *topic = find_or_add_topic(pubsub, kind, name);
    if (find_subscription(pubsub, topic, session, NULL)) return false;
    struct subscriptions *all = of_session(session);
    slab_handle handle = slab_alloc(&pubsub->slab, sizeof(struct subscription));
    struct subscription *subscription = slab_at(&pubsub->slab, handle);
    *subscription = (struct subscription){
        .session = session, .topic = topic, .handle = handle, .before = all->last[kind]};
    struct table_place place;
    table_insert(&pubsub->subscriptions, hash_pair(topic, session), handle, &place);
    join(topic, subscription);
    if (all->last[kind])
        all->last[kind]->next = subscription;
    else
        all->first[kind] = subscription;
    all->last[kind] = subscription;
    all->counts[kind]++;
    all->bytes += name.size;
    return true;
}

/* The session keeps its struct, which may be empty then. */
static void end_subscription(struct pubsub *pubsub, struct subscription *subscription) {
    struct topic *topic = subscription->topic;
    struct subscriptions *all = subscription->session->subscriptions;
    struct table_place place;
    struct subscription *found = find_subscription(pubsub, topic, subscription->session, &place);
    INVARIANT(found == subscription);
    table_remove(&pubsub->subscriptions, &place);
    leave(topic, subscription);
    if (subscription->before)
        subscription->before->next = subscription->next;
    else
        all->first[topic->kind] = subscription->next;
    if (subscription->next)
        subscription->next->before = subscription->before;
    else
        all->last[topic->kind] = subscription->before;
    all->counts[topic->kind]--;
    all->bytes -= topic->named.name.size;
    slab_free(&pubsub->slab, subscription->handle);
    if (topic->count == 0) drop_topic(pubsub, topic);
}

bool pubsub_unsubscribe(struct session *session, enum pubsub_kind kind, struct bytes name) {
    struct pubsub *pubsub = &session->server->pubsub;
    if (!session->subscriptions) return false;
    const struct topic *topic = find_topic(pubsub, kind, name);
    if (!topic) return false;
    struct subscription *subscription = find_subscription(pubsub, topic, session, NULL);
    if (!subscription) return false;
    end_subscription(pubsub, subscription);
    check_empty(session);
    return true;
}

bool pubsub_first(const struct session *session, enum pubsub_kind kind, struct bytes *name) {
    const struct subscriptions *all = session->subscriptions;
    if (!all || !all->first[kind]) return false;
    *name = all->first[kind]->topic->named.name;
    return true;
}

uint32_t pubsub_count(const struct session *session, enum pubsub_kind kind) {
    return session->subscriptions ? session->subscriptions->counts[kind] : 0;
}

bool pubsub_all(const struct session *session, pubsub_allows *allows, const void *context) {
    const struct subscriptions *all = session->subscriptions;
    for (int kind = 0; all && kind < PUBSUB_KINDS; kind++)
        for (const struct subscription *one = all->first[kind]; one; one = one->next)
            if (!allows(context, (enum pubsub_kind)kind, one->topic->named.name)) return false;
    return true;
}

void pubsub_forget(struct session *session) {
    struct subscriptions *all = session->subscriptions;
    if (!all) return;
    for (int kind = 0; kind < PUBSUB_KINDS; kind++)
        while (all->first[kind])
            end_subscription(&session->server->pubsub, all->first[kind]);
    check_empty(session);
}

size_t pubsub_memory(const struct session *session) {
    const struct subscriptions *all = session->subscriptions;
    if (!all) return 0;
    size_t count = 0;
    for (int kind = 0; kind < PUBSUB_KINDS; kind++)
        count += all->counts[kind];
    return sizeof *all + all->bytes +
           count * (sizeof(struct subscription) + sizeof(struct subscriber));
}

/* ---- messages ---- */

static const char *const names[PUBSUB_KINDS] = {"message", "pmessage", "smessage"};

/* A message as one topic's subscribers get it. */
struct message {
    const struct topic *topic;
    struct bytes channel, payload;
};

static size_t size_max(const struct message *message) {
    return HEAD_MAX + 3 * 24 + message->topic->named.name.size + message->channel.size +
           message->payload.size;
}

/* There is room for all of it, and one reply_reserve more. */
static void encode(struct reply *reply, const struct message *message) {
    bool is_pattern = message->topic->kind == PUBSUB_PATTERN;
    reply_push(reply, is_pattern ? 4 : 3);
    reply_bulk_text(reply, names[message->topic->kind]);
    if (is_pattern) reply_bulk(reply, message->topic->named.name);
    reply_bulk(reply, message->channel);
    reply_bulk(reply, message->payload);
}

/* Memory that a message is encoded into; it has been made large enough. */
static void refuse_growth(struct reply *reply, size_t size) {
    (void)reply;
    (void)size;
    INVARIANT(false && "a message is larger than was reckoned");
}

/* A stretch of a page. */
struct stretch {
    struct output_shared *page; /* NULL: not encoded yet */
    size_t from, size;
};

/* Room for `size` more bytes behind the topic's newest message, or a new page. */
static struct output_shared *page_with_room(struct output_shared **place, size_t size) {
    struct output_shared *page = *place;
    if (page && page->references == 1) page->size = 0;
    if (page && page->capacity - page->size >= size) return page;
    if (page) output_unshare(page);
    *place = output_share(size > PUBSUB_PAGE_SIZE ? size : PUBSUB_PAGE_SIZE);
    return *place;
}

static struct stretch write_page(struct topic *topic, uint8_t protocol,
                                 const struct message *message) {
    struct output_shared *page = page_with_room(&topic->pages[protocol - 2], size_max(message));
    struct stretch stretch = {page, page->size, 0};
    struct reply reply = {
        .cursor = page->data + page->size,
        .end = page->data + page->capacity,
        .protocol = protocol,
        .grow = refuse_growth,
    };
    encode(&reply, message);
    stretch.size = (size_t)(reply.cursor - page->data) - page->size;
    page->size += stretch.size;
    return stretch;
}

/* Pages for a large message are not kept, nor is the memory of them. */
static void drop_large_page(struct output_shared **place) {
    if (!*place || (*place)->capacity <= PUBSUB_PAGE_SIZE) return;
    output_unshare(*place);
    *place = NULL;
}

static void send_shared(struct topic *topic, const struct message *message) {
    struct stretch stretches[PROTOCOLS] = {{0}};
    for (uint32_t i = 0; i < topic->count; i++) {
        struct session *session = topic->subscribers[i].session;
        if (i + PREFETCH_AHEAD < topic->count)
            __builtin_prefetch(topic->subscribers[i + PREFETCH_AHEAD].session);
        struct stretch *stretch = &stretches[session->protocol - 2];
        if (!stretch->page) *stretch = write_page(topic, session->protocol, message);
        if (likely(!session->reply_base))
            session_send_shared(session, stretch->page, stretch->from, stretch->size);
        else
            session_send(session, bytes_make(stretch->page->data + stretch->from, stretch->size));
    }
    for (int i = 0; i < PROTOCOLS; i++)
        drop_large_page(&topic->pages[i]);
}

static void send_each(struct topic *topic, const struct message *message) {
    struct buffer encoded[PROTOCOLS] = {{0}};
    for (uint32_t i = 0; i < topic->count; i++) {
        struct session *session = topic->subscribers[i].session;
        struct buffer *buffer = &encoded[session->protocol - 2];
        if (buffer->size == 0) {
            size_t room = size_max(message);
            struct reply reply = {.protocol = session->protocol, .grow = refuse_growth};
            reply.cursor = buffer_reserve(buffer, room);
            reply.end = reply.cursor + room;
            encode(&reply, message);
            buffer->size = (size_t)(reply.cursor - buffer->data);
        }
        session_send(session, buffer_bytes(buffer));
    }
    for (int i = 0; i < PROTOCOLS; i++)
        buffer_release(&encoded[i]);
}

static uint64_t tell(struct topic *topic, struct bytes channel, struct bytes payload) {
    struct message message = {topic, channel, payload};
    if (topic->count >= PUBSUB_SHARED_FROM)
        send_shared(topic, &message);
    else
        send_each(topic, &message);
    return topic->count;
}

uint64_t pubsub_publish(struct server *server, enum pubsub_kind kind, struct bytes channel,
                        struct bytes message) {
    const struct pubsub *pubsub = &server->pubsub;
    uint64_t told = 0;
    struct topic *topic = find_topic(pubsub, kind, channel);
    if (topic) told += tell(topic, channel, message);
    if (kind != PUBSUB_CHANNEL) return told;
    for (uint32_t i = 0; i < pubsub->pattern_count; i++)
        if (glob_match(pubsub->patterns[i]->named.name, channel, false))
            told += tell(pubsub->patterns[i], channel, message);
    return told;
}

/* ---- looking ---- */

uint32_t pubsub_subscribers(const struct server *server, enum pubsub_kind kind, struct bytes name) {
    const struct topic *topic = find_topic(&server->pubsub, kind, name);
    return topic ? topic->count : 0;
}

struct visiting {
    pubsub_visit *visit;
    void *context;
};

static void visit_topic(void *context, void *record) {
    const struct visiting *visiting = context;
    const struct named *named = record;
    visiting->visit(visiting->context, named->name);
}

void pubsub_each(const struct server *server, enum pubsub_kind kind, pubsub_visit *visit,
                 void *context) {
    struct visiting visiting = {visit, context};
    name_table_each(&server->pubsub.topics[kind], visit_topic, &visiting);
}
