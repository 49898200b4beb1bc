/* tracking.h: keys that clients keep copies of, and telling them when a copy is no longer good
 * (CLIENT TRACKING).
 *
 *     name --> tracked_key            tracker of session 7        session 7
 *              +-------------+        +----------------------+    +---------+
 *              | trackers    |------->| mode, prefixes       |<-->| tracker |
 *              +-------------+        | session, or NULL     |    +---------+
 *                                     +----------------------+
 *     prefix   [ trackers | names changed since the last batch ]       mode BCAST
 *
 * In the default mode a key that the session reads is noted, in whatever database; when the key is
 * changed, or gone, those who have read it are told once, and it is forgotten. With BCAST nothing
 * is noted: who names a prefix is told, at the end of a batch, of all keys with it that were
 * changed. A tracker outlives its session as long as keys point to it, so that ending costs
 * nothing.
 *
 * Who tracks nothing pays for none of this: reading is noted on the way that unusual sessions take
 * (dispatch.c), and a change asks server.interests. */
#ifndef REDSTART_ENGINE_TRACKING_H
#define REDSTART_ENGINE_TRACKING_H

#include "base/bytes.h"
#include "engine/name_table.h"

struct call;
struct command;
struct server;
struct session;
struct tracker;
struct tracking_prefix;

enum tracking_mode {
    TRACKING_ON = 1 << 0,
    TRACKING_BCAST = 1 << 1,
    TRACKING_OPTIN = 1 << 2,   /* only what is read behind CLIENT CACHING YES is noted */
    TRACKING_OPTOUT = 1 << 3,  /* all but what is read behind CLIENT CACHING NO */
    TRACKING_NOLOOP = 1 << 4,  /* of its own changes it is not told */
    TRACKING_CACHING = 1 << 5, /* CLIENT CACHING was called: it is for the next command */
    TRACKING_BROKEN = 1 << 6,  /* the session that it wants told is gone */
};

enum { TRACKING_EVICT_MAX = 1000 }; /* keys forgotten at once when there are too many */

struct tracking {
    struct name_table keys;            /* of struct tracked_key */
    uint64_t items;                    /* trackers of all keys together */
    struct tracking_prefix **prefixes; /* sorted */
    uint32_t prefix_count;
    bool has_changes;  /* some prefix has */
    uint32_t sessions; /* that track */
};

/* The secret stays where it is. */
void tracking_init(struct tracking *tracking, const struct hash_secret *secret);
/* Nobody tracks any more. */
void tracking_release(struct tracking *tracking);

static inline size_t tracking_keys(const struct tracking *tracking) {
    return name_table_count(&tracking->keys);
}

/* Track in this mode from now on, or in another mode; `target`, when not 0, is told instead. The
 * prefixes are more than those it has. */
void tracking_begin(struct session *session, uint32_t mode, uint64_t target,
                    const struct bytes *prefixes, uint32_t prefix_count);
void tracking_end(struct session *session);
/* The session is about to be freed. */
void tracking_forget(struct session *session);

/* Of enum tracking_mode; 0: it tracks nothing. */
uint32_t tracking_mode(const struct session *session);
void tracking_set_caching(struct session *session);
/* The number of the session that is told: 0: itself, -1: it tracks nothing. */
int64_t tracking_target(const struct session *session);
uint32_t tracking_prefix_count(const struct session *session);
struct bytes tracking_prefix_at(const struct session *session, uint32_t index);

/* The command has read these keys. */
void tracking_note(struct call *call);
/* A request of the session is over: what CLIENT CACHING said was for it. */
void tracking_end_request(struct session *session, const struct command *command);

/* The key was changed, by this session if not NULL, or is gone. */
void tracking_key_changed(struct server *server, struct bytes name, const struct session *changer);
/* All keys were, of some database. */
void tracking_all_changed(struct server *server);
/* Tell of what was changed with a prefix: at the end of a batch. */
void tracking_broadcast(struct server *server);
/* There may be more keys than tracking-table-max-keys allows: forget some. */
void tracking_limit(struct server *server);

#endif
