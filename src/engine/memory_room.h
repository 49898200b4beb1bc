/* memory_room.h: while memory is limited, large arguments wait for room before they are received.
 *
 *     parse: a large argument begins         is there room?  -- yes --> received at once
 *                                                  | no
 *     session waits in line, is not read from  <---'
 *                |
 *     each turn: memory is made free by eviction for the first in line, as far as the turn's share
 *     goes; it is promised to that session, and counts as taken until the argument begins
 *
 * So however many clients send large values, what they send passes the limit by nothing. Where
 * nothing can be evicted, one at a time is received beyond the limit, to be refused then; and
 * nobody waits longer than MEMORY_ROOM_WAIT_US, so that a client that stops in the middle of its
 * value holds up nobody. */
#ifndef REDSTART_ENGINE_MEMORY_ROOM_H
#define REDSTART_ENGINE_MEMORY_ROOM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct server;
struct session;

enum { MEMORY_ROOM_WAIT_US = 100 * 1000 };

struct memory_room_wait;

struct memory_room {
    struct memory_room_wait *first, *last; /* in line */
    size_t promised;                       /* bytes, to sessions that have not begun yet */
    struct session *beyond;                /* receives though there is no room; NULL: nobody does */
};

/* May the session begin a large argument that takes so many bytes at first? When not, it stands in
 * line, and is put into the turn's line when it may. Looks at no key. */
bool memory_room_admit(struct session *session, size_t size);
/* Make room for who waits. Once a turn, while memory is limited, and when it no longer is. */
void memory_room_step(struct server *server);
/* When the next must be let in, whether there is room or not; INT64_MAX: nobody waits. */
int64_t memory_room_due_us(const struct server *server);
/* The session is about to be freed. */
void memory_room_forget(struct session *session);

#endif
