/* client_limit.c: see client_limit.h. */
#include "engine/client_limit.h"

#include "engine/config.h"
#include "engine/server.h"

static bool is_client(const struct session *session) {
    enum { NONE = SESSION_INTERNAL | SESSION_CLOSE_NOW | SESSION_PRIMARY | SESSION_RAW };
    return !(session->flags & NONE) && session->class != SESSION_CLASS_REPLICA;
}

/* Who is spared weighs all the same. */
static bool may_go(const struct session *session) {
    return is_client(session) && !(session->flags & SESSION_NO_EVICT);
}

static size_t limit_of(const struct config *config) {
    const struct config_percent *limit = &config->maxmemory_clients;
    return limit->is_percent ? config->maxmemory / 100 * limit->amount : limit->amount;
}

void client_limit_configure(struct server *server) {
    struct client_limit *limit = &server->client_limit;
    *limit = (struct client_limit){.limit = limit_of(server->config)};
    limit->is_set = limit->limit > 0;
    for (uint32_t i = 0; i < server->session_count; i++) {
        server->sessions[i]->counted_bytes = 0;
        if (limit->is_set) client_limit_count(server->sessions[i]);
    }
}

void client_limit_count(struct session *session) {
    struct client_limit *limit = &session->server->client_limit;
    size_t bytes = is_client(session) ? session_memory(session) : 0;
    limit->bytes += bytes - session->counted_bytes;
    session->counted_bytes = bytes;
}

void client_limit_forget(struct session *session) {
    session->server->client_limit.bytes -= session->counted_bytes;
    session->counted_bytes = 0;
}

static void evict(struct session *session) {
    struct server *server = session->server;
    struct buffer text = {0};
    session_describe_in_log(session, &text);
    log_notice(server->log, "Evicting client: %.*s", (int)text.size, text.data);
    buffer_release(&text);
    server->statistics.evicted_clients++;
    session_close_later(session);
    client_limit_forget(session);
}

/* The largest, in order; how many. */
static unsigned find_largest(const struct server *server,
                             struct session *largest[CLIENT_LIMIT_EVICTED]) {
    unsigned count = 0;
    for (uint32_t i = 0; i < server->session_count; i++) {
        struct session *session = server->sessions[i];
        size_t bytes = session->counted_bytes;
        if (bytes == 0 || !may_go(session)) continue;
        if (count == CLIENT_LIMIT_EVICTED && largest[count - 1]->counted_bytes >= bytes) continue;
        if (count < CLIENT_LIMIT_EVICTED) count++;
        unsigned at = count - 1;
        for (; at > 0 && largest[at - 1]->counted_bytes < bytes; at--)
            largest[at] = largest[at - 1];
        largest[at] = session;
    }
    return count;
}

void client_limit_step(struct server *server) {
    struct client_limit *limit = &server->client_limit;
    struct session *largest[CLIENT_LIMIT_EVICTED];
    limit->unfinished = false;
    if (limit->bytes <= limit->limit) return;
    unsigned count = find_largest(server, largest);
    for (unsigned i = 0; i < count && limit->bytes > limit->limit; i++)
        evict(largest[i]);
    server_close_marked(server);
    limit->unfinished = count == CLIENT_LIMIT_EVICTED && limit->bytes > limit->limit;
}
