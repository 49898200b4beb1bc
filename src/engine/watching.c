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
    uint64_t hash;     /* in `keys` */
    struct bytes name; /* owned */
    slab_handle handle;
    uint32_t database;
    struct watch *first;
};

/* ---- keys ---- */

static uint64_t element_hash(void *context, table_element element) {
    const struct watching *watching = context;
    const struct watched_key *key = slab_at(&watching->slab, element);
    return key->hash;
}

void watching_init(struct watching *watching) {
    *watching = (struct watching){.owner = {.context = watching, .hash = element_hash}};
    epochs_init(&watching->epochs);
    slab_init(&watching->slab);
    table_init(&watching->keys, &watching->epochs, &watching->owner);
}

void watching_release(struct watching *watching) {
    INVARIANT(watching->count == 0 && table_count(&watching->keys) == 0);
    table_release(&watching->keys);
    slab_release(&watching->slab);
    epochs_release(&watching->epochs);
}

struct name_in {
    const struct watching *watching;
    struct key key; /* of the keyspace */
    uint64_t hash;
    uint32_t database;
};

static struct name_in name_in(const struct server *server, uint32_t database, struct bytes name) {
    struct key key = key_make(&server->keyspace, name);
    return (struct name_in){&server->watching, key, key.hash ^ hash_mix(database), database};
}

static inline bool matches(const void *context, table_element element) {
    const struct name_in *wanted = context;
    const struct watched_key *key = slab_at(&wanted->watching->slab, element);
    return key->hash == wanted->hash && key->database == wanted->database &&
           bytes_equal(key->name, wanted->key.name);
}

static struct watched_key *find_key(const struct name_in *wanted, struct table_place *place) {
    table_element element =
        table_find(&wanted->watching->keys, wanted->hash, matches, wanted, place);
    return element ? slab_at(&wanted->watching->slab, element) : NULL;
}

static struct watched_key *find_or_add_key(struct watching *watching,
                                           const struct name_in *wanted) {
    struct watched_key *key = find_key(wanted, NULL);
    if (key) return key;
    struct bytes name = wanted->key.name;
    slab_handle handle = slab_alloc(&watching->slab, sizeof *key);
    key = slab_at(&watching->slab, handle);
    *key = (struct watched_key){
        .hash = wanted->hash,
        .name = bytes_make(memory_copy(name.data, name.size), name.size),
        .handle = handle,
        .database = wanted->database,
    };
    struct table_place place;
    table_insert(&watching->keys, key->hash, handle, &place);
    return key;
}

/* Nobody watches it any more. */
static void drop_key(struct server *server, struct watched_key *key) {
    struct watching *watching = &server->watching;
    struct name_in wanted = name_in(server, key->database, key->name);
    struct table_place place;
    INVARIANT(find_key(&wanted, &place) == key);
    table_remove(&watching->keys, &place);
    memory_free((char *)(uintptr_t)key->name.data);
    slab_free(&watching->slab, key->handle);
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

static void note_state(const struct server *server, const struct name_in *wanted,
                       struct watch *watch) {
    const struct entry *entry =
        database_find(&server->keyspace.databases[wanted->database], &wanted->key);
    watch->state = WATCH_ABSENT;
    watch->expiry = ENTRY_NO_EXPIRY;
    if (!entry) return;
    watch->expiry = entry_expiry(entry);
    watch->state = watch->expiry <= server->now_ms ? WATCH_EXPIRED : WATCH_PRESENT;
}

void watching_add(struct session *session, struct bytes name) {
    struct server *server = session->server;
    struct watching *watching = &server->watching;
    struct name_in wanted = name_in(server, session->database, name);
    struct watched_key *key = find_or_add_key(watching, &wanted);
    if (watches(session, key)) return;
    struct watch *watch = memory_alloc(sizeof *watch);
    *watch = (struct watch){
        .session = session, .key = key, .key_next = key->first, .session_next = session->watches};
    note_state(server, &wanted, watch);
    if (key->first) key->first->key_before = watch;
    key->first = watch;
    if (!session->watches) watching->sessions++;
    session->watches = watch;
    session->watch_count++;
    watching->count++;
    server->interests |= SERVER_INTEREST_WATCHING;
}

static void leave_key(struct server *server, struct watch *watch) {
    struct watched_key *key = watch->key;
    if (watch->key_before)
        watch->key_before->key_next = watch->key_next;
    else
        key->first = watch->key_next;
    if (watch->key_next) watch->key_next->key_before = watch->key_before;
    if (!key->first) drop_key(server, key);
}

void watching_drop(struct session *session) {
    struct server *server = session->server;
    struct watching *watching = &server->watching;
    struct watch *watch = session->watches;
    if (!watch) return;
    while (watch) {
        struct watch *next = watch->session_next;
        leave_key(server, watch);
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
        bytes += sizeof *watch + watch->key->name.size;
    return bytes;
}

/* ---- being told ---- */

static void break_watches(struct session *session) {
    session->flags |= SESSION_WATCH_BROKEN;
    watching_drop(session);
}

void watching_key_changed(struct server *server, uint32_t database, struct bytes name) {
    struct name_in wanted = name_in(server, database, name);
    const struct watched_key *key = find_key(&wanted, NULL);
    if (!key) return;
    bool is_there = database_find(&server->keyspace.databases[database], &wanted.key) != NULL;
    struct watch *next;
    for (struct watch *watch = key->first; watch; watch = next) {
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
static bool outlives(const struct server *server, const struct name_in *wanted,
                     struct watch *watch) {
    enum watch_state before = watch->state;
    struct watch now = *watch;
    note_state(server, wanted, &now);
    if (before == WATCH_PRESENT || now.state == WATCH_PRESENT) return false;
    watch->state = now.state;
    watch->expiry = now.expiry;
    return before == WATCH_EXPIRED || now.state == WATCH_ABSENT;
}

static void check_element(void *context, table_element element) {
    struct change *change = context;
    struct server *server = change->server;
    const struct watched_key *key = slab_at(&server->watching.slab, element);
    if (change->database != UINT32_MAX && key->database != change->database) return;
    struct name_in wanted = name_in(server, key->database, key->name);
    for (struct watch *watch = key->first; watch; watch = watch->key_next) {
        struct session *session = watch->session;
        if (outlives(server, &wanted, watch) || session->flags & SESSION_WATCH_BROKEN) continue;
        session->flags |= SESSION_WATCH_BROKEN;
        session->broken_next = change->broken;
        change->broken = session;
    }
}

void watching_database_changed(struct server *server, uint32_t database) {
    struct change change = {.server = server, .database = database};
    uint64_t cursor = 0;
    do
        cursor = table_scan(&server->watching.keys, cursor, check_element, &change);
    while (cursor != 0);
    while (change.broken) {
        struct session *session = change.broken;
        change.broken = session->broken_next;
        watching_drop(session);
    }
}
