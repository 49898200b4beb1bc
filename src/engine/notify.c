/* notify.c: keyspace events become messages. Owns nothing. */
#include "engine/notify.h"

#include "base/number.h"
#include "engine/config.h"
#include "engine/server.h"

static void append_head(struct buffer *out, const char *kind, uint32_t database) {
    buffer_append_text(out, kind);
    buffer_append_i64(out, database);
    buffer_append_text(out, "__:");
}

static void notify(struct server *server, uint32_t database, struct bytes key, uint32_t class,
                   const char *event) {
    int64_t wanted = server->config->notify_keyspace_events;
    struct buffer channel = {0};
    if (!(wanted & class) || !pubsub_has_listeners(&server->pubsub)) return;
    if (wanted & NOTIFY_KEYSPACE) {
        append_head(&channel, "__keyspace@", database);
        buffer_append(&channel, key.data, key.size);
        pubsub_publish(server, PUBSUB_CHANNEL, buffer_bytes(&channel), bytes_from_text(event));
        buffer_clear(&channel);
    }
    if (wanted & NOTIFY_KEYEVENT) {
        append_head(&channel, "__keyevent@", database);
        buffer_append_text(&channel, event);
        pubsub_publish(server, PUBSUB_CHANNEL, buffer_bytes(&channel), key);
    }
    buffer_release(&channel);
}

/* What a file brings is not new. */
static void notify_new(void *context, const struct store *store, struct bytes name) {
    struct server *server = context;
    if (server->loading) return;
    for (uint32_t i = 0; i < server->keyspace.database_count; i++)
        if (server->keyspace.databases[i].store == store)
            notify(server, i, name, NOTIFY_NEW, "new");
}

void notify_replaced(struct server *server, uint32_t database, struct bytes key, bool same_type) {
    if (!server->notify) return;
    notify(server, database, key, NOTIFY_OVERWRITTEN, "overwritten");
    if (!same_type) notify(server, database, key, NOTIFY_TYPE_CHANGED, "type_changed");
}

static void note_replaced(void *context, const struct store *store, struct bytes name,
                          enum value_type before, enum value_type now) {
    struct server *server = context;
    if (server->loading) return;
    for (uint32_t i = 0; i < server->keyspace.database_count; i++)
        if (server->keyspace.databases[i].store == store)
            notify_replaced(server, i, name, before == now);
}

void notify_nobody(struct server *server) {
    server->notify = NULL;
    server->keyspace.created = NULL;
    server->keyspace.replaced = NULL;
}

void notify_configure(struct server *server) {
    enum { TARGETS = NOTIFY_KEYSPACE | NOTIFY_KEYEVENT };
    int64_t wanted = server->config->notify_keyspace_events;
    bool is_on = wanted & TARGETS && wanted & ~(int64_t)TARGETS;
    server->notify = is_on ? notify : NULL;
    server->keyspace.created = is_on && wanted & NOTIFY_NEW ? notify_new : NULL;
    bool wants_replaced = wanted & (NOTIFY_OVERWRITTEN | NOTIFY_TYPE_CHANGED);
    server->keyspace.replaced = is_on && wants_replaced ? note_replaced : NULL;
    server->keyspace.events_context = server;
}
