/* watching.h: keys that sessions watch (WATCH), so that EXEC knows whether one was changed.
 *
 *     (database, name) --> watched_key          watch of session 7
 *                          +-------------+      +-----------------+
 *                          | watches     |----->| of this key     |---> the watch of session 9
 *                          +-------------+      | of this session |---> its watch of another key
 *                                               +-----------------+
 *
 * Who is told that a key was changed has its session marked (SESSION_WATCH_BROKEN) and watches
 * nothing more. While nobody watches, a change of a key costs what server_key_changed's test costs;
 * sessions that watch nothing never come here. */
#ifndef REDSTART_ENGINE_WATCHING_H
#define REDSTART_ENGINE_WATCHING_H

#include "base/bytes.h"
#include "engine/name_table.h"

struct server;
struct session;

struct watching {
    size_t count;           /* watches */
    size_t sessions;        /* that watch something */
    struct name_table keys; /* of struct watched_key */
};

/* The secret stays where it is. */
void watching_init(struct watching *watching, const struct hash_secret *secret);
/* Nobody watches any more. */
void watching_release(struct watching *watching);

/* The session watches this key of its database from now on, if it did not yet. */
void watching_add(struct session *session, struct bytes name);
/* It watches nothing more. */
void watching_drop(struct session *session);
/* Is one of its keys past its time, that was not when it was watched? */
bool watching_is_expired(const struct session *session);
/* Bytes that its watches take. */
size_t watching_memory(const struct session *session);

/* The key was changed in some way, or is gone. */
void watching_key_changed(struct server *server, uint32_t database, struct bytes name);
/* All keys of the database were changed at once: emptied or exchanged. UINT32_MAX: of all. Keys
 * that were absent before and are now have not been changed. */
void watching_database_changed(struct server *server, uint32_t database);

#endif
