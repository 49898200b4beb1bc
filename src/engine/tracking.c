/* tracking.c: who has read which key. Owns trackers, keys and prefixes; speaks through sessions. */
#include "engine/tracking.h"

#include "base/invariant.h"
#include "base/memory.h"
#include "engine/call.h"
#include "engine/command.h"
#include "engine/config.h"
#include "engine/server.h"
#include <stdlib.h>

enum { FIRST_TRACKERS = 2, CHANGES_KEPT = 1024 };

struct tracker {
    struct session *session; /* NULL: it has ended */
    uint32_t mode;           /* of enum tracking_mode */
    uint32_t references;     /* of keys, and one of the session */
    uint64_t target;         /* 0: the session itself */
    struct tracking_prefix **prefixes;
    uint32_t prefix_count;
};

struct tracker_list {
    struct tracker **items;
    uint32_t count, capacity;
};

struct tracked_key {
    struct named named;
    struct tracker_list trackers;
};

/* A name, and who changed it last. */
struct change {
    struct bytes name; /* owned */
    uint64_t changer;  /* session; 0: nobody */
};

struct tracking_prefix {
    struct bytes name; /* owned */
    struct tracker_list trackers;
    struct change *changes;
    uint32_t change_count, change_capacity;
};

static struct bytes copy_name(struct bytes name) {
    return bytes_make(memory_copy(name.data, name.size), name.size);
}

static void free_name(struct bytes name) {
    memory_free((char *)(uintptr_t)name.data);
}

static void list_add(struct tracker_list *list, struct tracker *tracker) {
    if (list->count == list->capacity) {
        list->capacity = list->capacity ? list->capacity * 2 : FIRST_TRACKERS;
        list->items = memory_resize(list->items, list->capacity * sizeof list->items[0]);
    }
    list->items[list->count++] = tracker;
}

static void release_tracker(struct tracker *tracker) {
    INVARIANT(tracker->references > 0);
    if (--tracker->references > 0) return;
    memory_free(tracker->prefixes);
    memory_free(tracker);
}

/* ---- telling ---- */

static const struct bytes channel = BYTES("__redis__:invalidate");

/* `names` is encoded: an array of names, or NULL for all. */
static void encode_push(struct buffer *out, const struct buffer *names) {
    buffer_append_text(out, ">2\r\n$10\r\ninvalidate\r\n");
    if (names)
        buffer_append(out, names->data, names->size);
    else
        buffer_append_text(out, "_\r\n");
}

static void encode_message(struct buffer *out, const struct buffer *names) {
    buffer_append_format(out, "*3\r\n$7\r\nmessage\r\n$%zu\r\n%s\r\n", channel.size, channel.data);
    if (names)
        buffer_append(out, names->data, names->size);
    else
        buffer_append_text(out, "$-1\r\n");
}

static void append_name(struct buffer *out, struct bytes name) {
    buffer_append_format(out, "$%zu\r\n", name.size);
    buffer_append(out, name.data, name.size);
    buffer_append_text(out, "\r\n");
}

static void tell_broken(struct tracker *tracker) {
    struct buffer out = {0};
    tracker->mode |= TRACKING_BROKEN;
    if (tracker->session->protocol < 3) return;
    buffer_append_format(&out, ">2\r\n$21\r\ntracking-redir-broken\r\n:%llu\r\n",
                         (unsigned long long)tracker->target);
    session_send(tracker->session, buffer_bytes(&out));
    buffer_release(&out);
}

/* `names` is an encoded array; NULL: all keys. */
static void tell(struct tracker *tracker, const struct buffer *names) {
    struct session *session = tracker->session;
    struct buffer out = {0};
    if (tracker->target != 0) {
        session = server_find_session(session->server, tracker->target);
        if (!session || session->flags & SESSION_CLOSE_NOW) {
            tell_broken(tracker);
            return;
        }
    }
    if (session->protocol == 3)
        encode_push(&out, names);
    else if (tracker->target != 0 && session->flags & SESSION_SUBSCRIBED)
        encode_message(&out, names);
    if (out.size > 0) session_send(session, buffer_bytes(&out));
    buffer_release(&out);
}

/* ---- keys ---- */

enum { ANY_DATABASE = 0 }; /* a copy is good for none of them, or for all */

void tracking_init(struct tracking *tracking, const struct hash_secret *secret) {
    *tracking = (struct tracking){0};
    name_table_init(&tracking->keys, secret, sizeof(struct tracked_key));
}

/* It is about to be removed. */
static void release_key(void *context, void *record) {
    struct tracking *tracking = context;
    struct tracked_key *key = record;
    for (uint32_t i = 0; i < key->trackers.count; i++)
        release_tracker(key->trackers.items[i]);
    tracking->items -= key->trackers.count;
    memory_free(key->trackers.items);
}

static void forget_keys(struct tracking *tracking) {
    name_table_clear(&tracking->keys, release_key, tracking);
    INVARIANT(tracking->items == 0);
}

void tracking_release(struct tracking *tracking) {
    INVARIANT(tracking->sessions == 0 && tracking->prefix_count == 0);
    forget_keys(tracking);
    name_table_release(&tracking->keys);
    memory_free(tracking->prefixes);
}

static void add_tracker(struct tracking *tracking, struct tracked_key *key,
                        struct tracker *tracker) {
    for (uint32_t i = key->trackers.count; i-- > 0;)
        if (key->trackers.items[i] == tracker) return;
    list_add(&key->trackers, tracker);
    tracker->references++;
    tracking->items++;
}

/* Tell those who have read the key, and forget it. */
static void invalidate(struct tracking *tracking, struct tracked_key *key,
                       const struct session *changer) {
    struct buffer names = {0};
    buffer_append_text(&names, "*1\r\n");
    append_name(&names, key->named.name);
    for (uint32_t i = 0; i < key->trackers.count; i++) {
        struct tracker *tracker = key->trackers.items[i];
        bool own = tracker->session == changer && tracker->mode & TRACKING_NOLOOP;
        if (!tracker->session || !(tracker->mode & TRACKING_ON) || tracker->mode & TRACKING_BCAST)
            continue;
        if (!own) tell(tracker, &names);
    }
    buffer_release(&names);
    release_key(tracking, key);
    name_table_remove(&tracking->keys, key);
}

static uint64_t draw(void *context) {
    return server_random(context);
}

void tracking_limit(struct server *server) {
    struct tracking *tracking = &server->tracking;
    int64_t max = server->config->tracking_table_max_keys;
    if (max == 0) return;
    for (int i = 0; i < TRACKING_EVICT_MAX && tracking_keys(tracking) > (uint64_t)max; i++)
        invalidate(tracking, name_table_random(&tracking->keys, draw, server), NULL);
}

/* ---- prefixes ---- */

/* Where it stands, or would. */
static uint32_t prefix_place(const struct tracking *tracking, struct bytes name, bool *found) {
    uint32_t low = 0, high = tracking->prefix_count;
    *found = false;
    while (low < high && !*found) {
        uint32_t middle = low + (high - low) / 2;
        int order = bytes_compare(tracking->prefixes[middle]->name, name);
        if (order == 0) {
            *found = true;
            low = middle;
        } else if (order < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

static struct tracking_prefix *find_or_add_prefix(struct tracking *tracking, struct bytes name) {
    bool found;
    uint32_t place = prefix_place(tracking, name, &found);
    if (found) return tracking->prefixes[place];
    tracking->prefixes = memory_resize(tracking->prefixes,
                                       (tracking->prefix_count + 1) * sizeof tracking->prefixes[0]);
    memmove(tracking->prefixes + place + 1, tracking->prefixes + place,
            (tracking->prefix_count - place) * sizeof tracking->prefixes[0]);
    struct tracking_prefix *prefix = memory_alloc_zeroed(1, sizeof *prefix);
    prefix->name = copy_name(name);
    tracking->prefixes[place] = prefix;
    tracking->prefix_count++;
    return prefix;
}

static void drop_changes(struct tracking_prefix *prefix) {
    for (uint32_t i = 0; i < prefix->change_count; i++)
        free_name(prefix->changes[i].name);
    prefix->change_count = 0;
    if (prefix->change_capacity <= CHANGES_KEPT) return;
    memory_free(prefix->changes);
    prefix->changes = NULL;
    prefix->change_capacity = 0;
}

static void drop_prefix(struct tracking *tracking, struct tracking_prefix *prefix) {
    bool found;
    uint32_t place = prefix_place(tracking, prefix->name, &found);
    INVARIANT(found && tracking->prefixes[place] == prefix);
    memmove(tracking->prefixes + place, tracking->prefixes + place + 1,
            (--tracking->prefix_count - place) * sizeof tracking->prefixes[0]);
    drop_changes(prefix);
    memory_free(prefix->changes);
    memory_free(prefix->trackers.items);
    free_name(prefix->name);
    memory_free(prefix);
}

static void join_prefix(struct tracking *tracking, struct tracker *tracker, struct bytes name) {
    struct tracking_prefix *prefix = find_or_add_prefix(tracking, name);
    uint32_t place = 0;
    while (place < tracker->prefix_count && bytes_compare(tracker->prefixes[place]->name, name) < 0)
        place++;
    if (place < tracker->prefix_count && tracker->prefixes[place] == prefix) return;
    tracker->prefixes =
        memory_resize(tracker->prefixes, (tracker->prefix_count + 1) * sizeof tracker->prefixes[0]);
    memmove(tracker->prefixes + place + 1, tracker->prefixes + place,
            (tracker->prefix_count - place) * sizeof tracker->prefixes[0]);
    tracker->prefixes[place] = prefix;
    tracker->prefix_count++;
    list_add(&prefix->trackers, tracker);
}

static void leave_prefixes(struct tracking *tracking, struct tracker *tracker) {
    for (uint32_t i = 0; i < tracker->prefix_count; i++) {
        struct tracker_list *list = &tracker->prefixes[i]->trackers;
        uint32_t at = 0;
        while (list->items[at] != tracker)
            at++;
        list->items[at] = list->items[--list->count];
        if (list->count == 0) drop_prefix(tracking, tracker->prefixes[i]);
    }
    memory_free(tracker->prefixes);
    tracker->prefixes = NULL;
    tracker->prefix_count = 0;
}

static void note_change(struct tracking_prefix *prefix, struct bytes name, uint64_t changer) {
    if (prefix->change_count > 0) { /* the same key again and again is common */
        struct change *last = &prefix->changes[prefix->change_count - 1];
        if (bytes_equal(last->name, name)) {
            last->changer = changer;
            return;
        }
    }
    if (prefix->change_count == prefix->change_capacity) {
        prefix->change_capacity = prefix->change_capacity ? prefix->change_capacity * 2 : 16;
        prefix->changes =
            memory_resize(prefix->changes, prefix->change_capacity * sizeof prefix->changes[0]);
    }
    prefix->changes[prefix->change_count++] = (struct change){copy_name(name), changer};
}

static void note_prefixes(struct tracking *tracking, struct bytes name,
                          const struct session *changer) {
    for (uint32_t i = 0; i < tracking->prefix_count; i++) {
        struct tracking_prefix *prefix = tracking->prefixes[i];
        if (prefix->name.size > name.size ||
            (prefix->name.size > 0 && memcmp(prefix->name.data, name.data, prefix->name.size) != 0))
            continue;
        note_change(prefix, name, changer ? changer->id : 0);
        tracking->has_changes = true;
    }
}

static int compare_changes(const void *a, const void *b) {
    const struct change *x = a, *y = b;
    return bytes_compare(x->name, y->name);
}

/* Sorted, each name once; who changed it last cannot be told any more when several did. */
static void sort_changes(struct tracking_prefix *prefix) {
    struct change *changes = prefix->changes;
    uint32_t kept = 0;
    qsort(changes, prefix->change_count, sizeof *changes, compare_changes);
    for (uint32_t i = 0; i < prefix->change_count; i++) {
        if (kept > 0 && bytes_equal(changes[kept - 1].name, changes[i].name)) {
            if (changes[kept - 1].changer != changes[i].changer) changes[kept - 1].changer = 0;
            free_name(changes[i].name);
        } else {
            changes[kept++] = changes[i];
        }
    }
    prefix->change_count = kept;
}

/* Without what this session changed, if not 0. */
static void encode_changes(const struct tracking_prefix *prefix, uint64_t without,
                           struct buffer *out) {
    uint32_t count = 0;
    for (uint32_t i = 0; i < prefix->change_count; i++)
        count += without == 0 || prefix->changes[i].changer != without;
    buffer_clear(out);
    if (count == 0) return;
    buffer_append_format(out, "*%u\r\n", count);
    for (uint32_t i = 0; i < prefix->change_count; i++)
        if (without == 0 || prefix->changes[i].changer != without)
            append_name(out, prefix->changes[i].name);
}

static void broadcast_prefix(struct tracking_prefix *prefix) {
    struct buffer all = {0}, others = {0};
    sort_changes(prefix);
    encode_changes(prefix, 0, &all);
    for (uint32_t i = 0; i < prefix->trackers.count; i++) {
        struct tracker *tracker = prefix->trackers.items[i];
        if (tracker->mode & TRACKING_NOLOOP) {
            encode_changes(prefix, tracker->session->id, &others);
            if (others.size > 0) tell(tracker, &others);
        } else {
            tell(tracker, &all);
        }
    }
    buffer_release(&all);
    buffer_release(&others);
    drop_changes(prefix);
}

void tracking_broadcast(struct server *server) {
    struct tracking *tracking = &server->tracking;
    tracking->has_changes = false;
    for (uint32_t i = 0; i < tracking->prefix_count; i++)
        if (tracking->prefixes[i]->change_count > 0) broadcast_prefix(tracking->prefixes[i]);
}

/* ---- being told ---- */

void tracking_key_changed(struct server *server, struct bytes name, const struct session *changer) {
    struct tracking *tracking = &server->tracking;
    if (tracking->prefix_count > 0) note_prefixes(tracking, name, changer);
    struct tracked_key *key = name_table_find(&tracking->keys, ANY_DATABASE, name);
    if (key) invalidate(tracking, key, changer);
}

void tracking_all_changed(struct server *server) {
    forget_keys(&server->tracking);
    for (uint32_t i = 0; i < server->session_count; i++) {
        struct tracker *tracker = server->sessions[i]->tracker;
        if (tracker && tracker->mode & TRACKING_ON) tell(tracker, NULL);
    }
}

/* ---- sessions ---- */

void tracking_begin(struct session *session, uint32_t mode, uint64_t target,
                    const struct bytes *prefixes, uint32_t prefix_count) {
    struct server *server = session->server;
    struct tracking *tracking = &server->tracking;
    struct tracker *tracker = session->tracker;
    if (!tracker) {
        tracker = session->tracker = memory_alloc_zeroed(1, sizeof *tracker);
        tracker->session = session;
        tracker->references = 1;
    }
    if (!(tracker->mode & TRACKING_ON)) tracking->sessions++;
    tracker->mode = mode | TRACKING_ON;
    tracker->target = target;
    session->flags |= SESSION_TRACKING;
    server->interests |= SERVER_INTEREST_TRACKING;
    for (uint32_t i = 0; i < prefix_count; i++)
        join_prefix(tracking, tracker, prefixes[i]);
    if (prefix_count == 0 && mode & TRACKING_BCAST)
        join_prefix(tracking, tracker, bytes_make("", 0));
}

void tracking_end(struct session *session) {
    struct server *server = session->server;
    struct tracking *tracking = &server->tracking;
    struct tracker *tracker = session->tracker;
    if (!tracker || !(tracker->mode & TRACKING_ON)) return;
    leave_prefixes(tracking, tracker);
    tracker->mode = 0;
    session->flags &= ~(uint32_t)SESSION_TRACKING;
    if (--tracking->sessions > 0) return;
    forget_keys(tracking);
    server->interests &= ~(uint32_t)SERVER_INTEREST_TRACKING;
}

void tracking_forget(struct session *session) {
    tracking_end(session);
    if (!session->tracker) return;
    session->tracker->session = NULL;
    release_tracker(session->tracker);
    session->tracker = NULL;
}

uint32_t tracking_mode(const struct session *session) {
    return session->tracker ? session->tracker->mode : 0;
}

void tracking_set_caching(struct session *session) {
    session->tracker->mode |= TRACKING_CACHING;
}

int64_t tracking_target(const struct session *session) {
    return tracking_mode(session) ? (int64_t)session->tracker->target : -1;
}

uint32_t tracking_prefix_count(const struct session *session) {
    return session->tracker ? session->tracker->prefix_count : 0;
}

struct bytes tracking_prefix_at(const struct session *session, uint32_t index) {
    return session->tracker->prefixes[index]->name;
}

static bool notes_reads(const struct tracker *tracker) {
    bool said = tracker->mode & TRACKING_CACHING;
    if (tracker->mode & TRACKING_BCAST) return false;
    if (tracker->mode & TRACKING_OPTIN) return said;
    return !(tracker->mode & TRACKING_OPTOUT && said);
}

void tracking_note(struct call *call) {
    struct tracking *tracking = &call->server->tracking;
    struct tracker *tracker = call->session->tracker;
    const struct command *command = call->command;
    struct command_keys keys = {.count = 0};
    if (!(command->flags & COMMAND_READONLY) || command->flags & COMMAND_NOSCRIPT) return;
    if (!notes_reads(tracker) || !command_keys_find(command, call->argv, call->argc, &keys)) return;
    for (uint32_t i = 0; i < keys.count; i++) {
        struct bytes name = call->argv[keys.keys[i].position];
        add_tracker(tracking, name_table_find_or_add(&tracking->keys, ANY_DATABASE, name), tracker);
    }
    command_keys_release(&keys);
    tracking_limit(call->server);
}

void tracking_end_request(struct session *session, const struct command *command) {
    struct tracker *tracker = session->tracker;
    if (session->flags & SESSION_MULTI) return;
    if (command && command->full_name.size > 7 &&
        memcmp(command->full_name.data, "client|", 7) == 0)
        return;
    tracker->mode &= ~(uint32_t)TRACKING_CACHING;
}
