/* client_limit.h: maxmemory-clients: how much all sessions together take, and who goes when that is
 * too much: the largest first.
 *
 * A session is counted again whenever it was served or sent to, so the sum is there without asking
 * all of them; while there is no limit nothing is counted. */
#ifndef REDSTART_ENGINE_CLIENT_LIMIT_H
#define REDSTART_ENGINE_CLIENT_LIMIT_H

#include <stdbool.h>
#include <stddef.h>

struct server;
struct session;

enum { CLIENT_LIMIT_EVICTED = 32 }; /* at most, in one turn */

struct client_limit {
    bool is_set;
    bool unfinished; /* more are to go in the next turn */
    size_t limit;
    size_t bytes; /* of all that are counted */
};

/* The directives changed. */
void client_limit_configure(struct server *server);
/* The session's buffers changed. */
void client_limit_count(struct session *session);
/* It is about to be freed. */
void client_limit_forget(struct session *session);
/* Once a turn. */
void client_limit_step(struct server *server);

#endif
