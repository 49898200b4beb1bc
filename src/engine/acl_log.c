/* acl_log.c: what was refused, the newest first. The same again within a minute is counted, not
 * kept anew. Owns the entries. */
#include "base/memory.h"
#include "engine/acl.h"
#include "engine/acl_registry.h"
#include "engine/config.h"
#include "engine/server.h"

enum { SAME_WITHIN_MS = 60 * 1000, OBJECT_MAX = 1024 };

static struct bytes keep(struct bytes text) {
    return bytes_make(memory_copy(text.data, text.size), text.size);
}

static void release(struct acl_entry *entry) {
    memory_free((char *)entry->object.data);
    memory_free((char *)entry->user.data);
    memory_free((char *)entry->client.data);
    memory_free(entry);
}

static void shorten(struct acl *acl, uint64_t most) {
    struct acl_entry **at = &acl->log;
    for (uint64_t i = 0; i < most && *at; i++)
        at = &(*at)->next;
    while (*at) {
        struct acl_entry *entry = *at;
        *at = entry->next;
        acl->log_count--;
        release(entry);
    }
}

/* Taken out of the list; NULL: nothing like that has happened lately. */
static struct acl_entry *take_same(struct acl *acl, enum acl_reason reason,
                                   enum acl_context context, struct bytes object, struct bytes user,
                                   int64_t now_ms) {
    enum { SEARCHED_MAX = 10 };
    struct acl_entry **at = &acl->log;
    for (int i = 0; i < SEARCHED_MAX && *at; i++, at = &(*at)->next) {
        struct acl_entry *entry = *at;
        if (entry->reason != reason || entry->context != context ||
            now_ms - entry->updated_ms > SAME_WITHIN_MS || !bytes_equal(entry->object, object) ||
            !bytes_equal(entry->user, user))
            continue;
        *at = entry->next;
        return entry;
    }
    return NULL;
}

static void count(struct statistics *statistics, enum acl_reason reason) {
    switch (reason) {
    case ACL_REASON_COMMAND: statistics->acl_denied_command++; break;
    case ACL_REASON_KEY: statistics->acl_denied_key++; break;
    case ACL_REASON_CHANNEL: statistics->acl_denied_channel++; break;
    case ACL_REASON_AUTH: statistics->acl_denied_auth++; break;
    }
}

void acl_note(struct session *session, enum acl_reason reason, enum acl_context context,
              struct bytes object, struct bytes user) {
    struct server *server = session->server;
    struct acl *acl = server->acl;
    if (object.size > OBJECT_MAX) object.size = OBJECT_MAX;
    if (user.size > OBJECT_MAX) user.size = OBJECT_MAX;
    count(&server->statistics, reason);
    struct acl_entry *entry = take_same(acl, reason, context, object, user, server->now_ms);
    struct buffer client = {0};
    session_describe(session, &client);
    if (entry) {
        memory_free((char *)entry->client.data);
    } else {
        entry = memory_alloc_zeroed(1, sizeof *entry);
        entry->id = acl->log_next_id++;
        entry->reason = reason;
        entry->context = context;
        entry->object = keep(object);
        entry->user = keep(user);
        entry->created_ms = server->now_ms;
        acl->log_count++;
    }
    entry->count++;
    entry->updated_ms = server->now_ms;
    entry->client = keep(buffer_bytes(&client));
    entry->next = acl->log;
    acl->log = entry;
    buffer_release(&client);
    shorten(acl, (uint64_t)server->config->acllog_max_len);
}

const struct acl_entry *acl_log_first(const struct server *server) {
    return server->acl->log;
}

void acl_log_reset(struct server *server) {
    shorten(server->acl, 0);
}

const char *acl_reason_name(enum acl_reason reason) {
    static const char *const names[] = {[ACL_REASON_COMMAND] = "command",
                                        [ACL_REASON_KEY] = "key",
                                        [ACL_REASON_CHANNEL] = "channel",
                                        [ACL_REASON_AUTH] = "auth"};
    return names[reason];
}

const char *acl_context_name(enum acl_context context) {
    static const char *const names[] = {"toplevel", "multi", "lua"};
    return names[context];
}
