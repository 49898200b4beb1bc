/* waiting.h: sessions that wait for keys (BLPOP, BZMPOP, XREAD ...), in lines.
 *
 *     (database, name) --> waiting_key            waiter of session 7
 *                          +---------------+      +---------------------------+
 *                          | line, oldest  |----->| link | link | link         |   one for each key
 *                          | first         |      +---------------------------+
 *                          +---------------+          |      `--> the line of another key
 *                                 |                   v
 *                                 |               waiter of session 9, next in this line
 *     ready: keys that were changed and have a line, in the order of their first change
 *     heap:  waiters that have a deadline, the earliest on top
 *
 * A session that waits is held (session.h): the words of its request are the first of its held
 * requests, and run again when one of its keys may serve it. Who is served leaves all lines at
 * once; who is not keeps its place in each.
 *
 * While nobody waits, a change of a key costs one comparison; while nothing happens, those who wait
 * cost nothing: the poller sleeps until the earliest deadline. No structure is ever rebuilt as a
 * whole. */
#ifndef REDSTART_ENGINE_WAITING_H
#define REDSTART_ENGINE_WAITING_H

#include "base/bytes.h"
#include "engine/name_table.h"

struct call;
struct server;
struct session;
struct waiter;
struct waiting_key;

enum { WAITING_TIMEOUTS = 256 }; /* at most, in one turn; more in the next */

struct waiting {
    size_t count;           /* sessions that wait */
    struct name_table keys; /* of struct waiting_key */
    uint32_t gone_keys;     /* keys that somebody wants to know the end of */
    struct waiter **heap;   /* by deadline */
    uint32_t heap_count, heap_capacity;
    struct waiting_key *ready_first, *ready_last;
    struct waiting_key *serving;
    struct waiting_link *next_link;               /* of its line, to be looked at next */
    struct waiter *unkeyed;                       /* those who wait for no key (WAIT) */
    struct session *resumed_first, *resumed_last; /* have been served, and hold further requests */
};

/* The secret stays where it is. */
void waiting_init(struct waiting *waiting, const struct hash_secret *secret);
/* Nobody waits any more. */
void waiting_release(struct waiting *waiting);

/* The key was changed in some way, or is gone. */
void waiting_key_changed(struct server *server, uint32_t database, struct bytes name);
/* All keys of the database were, or of all databases (UINT32_MAX). */
void waiting_database_changed(struct server *server, uint32_t database);
static inline bool waiting_is_ready(const struct waiting *waiting) {
    return waiting->ready_first != NULL;
}
/* Serve those who wait for what has been changed, in order; until no key is ready. After a command,
 * before the next of any session. */
void waiting_serve(struct server *server);
/* Ask those who wait for no key again. */
void waiting_wake(struct server *server);
/* Those who were served go on with the requests that they had sent behind. Between two batches, or
 * at the end of one. */
void waiting_resume(struct server *server);

/* Microseconds of the monotonic clock; INT64_MAX when nobody has a deadline. */
int64_t waiting_due_us(const struct waiting *waiting);
/* Answer those whose time is over. */
void waiting_time_out(struct server *server);

/* The session no longer waits, without an answer; nothing happens if it did not. */
void waiting_cancel(struct session *session);
/* It is about to be freed. */
void waiting_forget(struct session *session);
/* Nobody waits any more: this server has become a replica. */
void waiting_unblock_all(struct server *server);
/* Answer as if its time were over, or with an error. False when it does not wait. */
bool waiting_unblock(struct session *session, bool with_error);

#endif
