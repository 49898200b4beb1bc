/* watching.c: who watches which key. Owns the watches; knows nothing of transactions. */
#include "engine/watching.h"

#include "base/invariant.h"
#include "base/memory.h"
#include "engine/server.h"

struct watched_key;

/* How a key was found: as long as its watch lives it has been changed by nothing but time. */
enum watch_state { WATCH_ABSENT, WATCH_PRESENT, WATCH_EXPIRED };

struct watch {
    struct session *session;
    struct watched_key *key;
    struct watch *key_before, *key_next; /* of the same key */
    struct watch *session_next;          /* of the same session */
    int64_t expiry;                      /* of the key; ENTRY_NO_EXPIRY */
    enum watch_state state;
};

struct watched_key {
    struct named named; /* by database */
    struct watch *first;
};

void watching_init(struct watching *watching, const struct hash_secret *secret) {
    *watching = (struct watching){0};
    name_table_init(&watching->keys, secret, sizeof(struct watched_key));
}

void watching_release(struct watching *watching) {
    INVARIANT(watching->count == 0);
    name_table_release(&watching->keys);
}

/* ---- watches ---- */

/* The shorter of the two lists decides how long this takes. */
static bool watches(const struct session *session, const struct watched_key *key) {
    const struct watch *of_key = key->first, *of_session = session->watches;
    while (of_key && of_session) {
        if (of_key->session == session || of_session->key == key) return true;
        of_key = of_key->key_next;
        of_session = of_session->session_next;
    }
    return false;
}

static void note_state(const struct server *server, struct watch *watch) {
    const struct named *named = &watch->key->named;
    struct key key = key_make(&server->keyspace, named->name);
    const struct entry *entry = database_find(&server->keyspace.databases[named->number], &key);
    watch->state = WATCH_ABSENT;
    watch->expiry = ENTRY_NO_EXPIRY;
    if (!entry) return;
    watch->expiry = entry_expiry(entry);
    watch->state = watch->expiry <= server->now_ms ? WATCH_EXPIRED : WATCH_PRESENT;
}

void watching_add(struct session *session, struct bytes name) {
    struct server *server = session->server;
    struct watching *watching = &server->watching;
    struct watched_key *key = name_table_find_or_add(&watching->keys, session->database, name);
    if (watches(session, key)) return;
    struct watch *watch = memory_alloc(sizeof *watch);
    *watch = (struct watch){
        .session = session, .key = key, .key_next = key->first, .session_next = session->watches};
    note_state(server, watch);
    if (key->first) key->first->key_before = watch;
    key->first = watch;
    if (!session->watches) watching->sessions++;
    session->watches = watch;
    session->watch_count++;
    watching->count++;
    server->interests |= SERVER_INTEREST_WATCHING;
}

static void leave_key(struct watching *watching, struct watch *watch) {
    struct watched_key *key = watch->key;
    if (watch->key_before)
        watch->key_before->key_next = watch->key_next;
    else
        key->first = watch->key_next;
    if (watch->key_next) watch->key_next->key_before = watch->key_before;
    if (!key->first) name_table_remove(&watching->keys, key);
}

void watching_drop(struct session *session) {
    struct server *server = session->server;
    struct watching *watching = &server->watching;
    struct watch *watch = session->watches;
    if (!watch) return;
    while (watch) {
        struct watch *next = watch->session_next;
        leave_key(watching, watch);
        memory_free(watch);
        watch = next;
    }
    watching->count -= session->watch_count;
    watching->sessions--;
    session->watches = NULL;
    session->watch_count = 0;
    if (watching->count == 0) server->interests &= ~(uint32_t)SERVER_INTEREST_WATCHING;
}

bool watching_is_expired(const struct session *session) {
    int64_t now_ms = session->server->now_ms;
    for (const struct watch *watch = session->watches; watch; watch = watch->session_next)
        if (watch->state == WATCH_PRESENT && watch->expiry <= now_ms) return true;
    return false;
}

size_t watching_memory(const struct session *session) {
    size_t bytes = 0;
    for (const struct watch *watch = session->watches; watch; watch = watch->session_next)
        bytes += sizeof *watch + watch->key->named.name.size;
    return bytes;
}

/* ---- being told ---- */

static void break_watches(struct session *session) {
    session->flags |= SESSION_WATCH_BROKEN;
    watching_drop(session);
}

void watching_key_changed(struct server *server, uint32_t database, struct bytes name) {
    const struct watched_key *watched = name_table_find(&server->watching.keys, database, name);
    if (!watched) return;
    struct key key = key_make(&server->keyspace, name);
    bool is_there = database_find(&server->keyspace.databases[database], &key) != NULL;
    struct watch *next;
    for (struct watch *watch = watched->first; watch; watch = next) {
        next = watch->key_next; /* with the last of them the key goes too */
        if (watch->state == WATCH_EXPIRED && !is_there)
            watch->state = WATCH_ABSENT; /* it had ended already, and now is removed */
        else
            break_watches(watch->session);
    }
}

struct change {
    struct server *server;
    uint32_t database;
    struct session *broken; /* by broken_next */
};

/* Whether the watch outlives that the key's database is another one now. */
static bool outlives(const struct server *server, struct watch *watch) {
    enum watch_state before = watch->state;
    struct watch now = *watch;
    note_state(server, &now);
    if (before == WATCH_PRESENT || now.state == WATCH_PRESENT) return false;
    watch->state = now.state;
    watch->expiry = now.expiry;
    return before == WATCH_EXPIRED || now.state == WATCH_ABSENT;
}

static void check_key(void *context, void *record) {
    struct change *change = context;
    const struct watched_key *key = record;
    if (change->database != UINT32_MAX && key->named.number != change->database) return;
    for (struct watch *watch = key->first; watch; watch = watch->key_next) {
        struct session *session = watch->session;
        if (outlives(change->server, watch) || session->flags & SESSION_WATCH_BROKEN) continue;
        session->flags |= SESSION_WATCH_BROKEN;
        session->broken_next = change->broken;
        change->broken = session;
    }
}

void watching_database_changed(struct server *server, uint32_t database) {
    struct change change = {.server = server, .database = database};
    name_table_each(&server->watching.keys, check_key, &change);
    while (change.broken) {
        struct session *session = change.broken;
        change.broken = session->broken_next;
        watching_drop(session);
    }
}
