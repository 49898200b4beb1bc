/* role.h: primary or replica: becoming the one or the other, by command or by a failover.
 *
 * FAILOVER hands the part of the primary to a replica that has everything: writes wait, the replica
 * is awaited, then this server follows it and asks it, with its PSYNC, to be the primary. */
#ifndef REDSTART_REPL_ROLE_H
#define REDSTART_REPL_ROLE_H

#include <stdbool.h>
#include <stdint.h>

struct call;
struct server;

enum failover_state { FAILOVER_NONE, FAILOVER_WAITS, FAILOVER_HANDS_OVER };
enum { FAILOVER_HOST_SIZE = 256 };

struct failover {
    enum failover_state state;
    bool is_targeted, is_forced;
    char host[FAILOVER_HOST_SIZE]; /* of the target */
    uint16_t port;
    int64_t until_us; /* 0: without end */
};

void role_replicaof(struct call *call);
void role_failover(struct call *call);
/* Follow a primary from now on; the configuration says so too. */
void role_follow(struct server *server, const char *host, uint16_t port);
/* Be a primary, with a history that goes on from the present offset. */
void role_lead(struct server *server);

void failover_step(struct server *server);
/* Nothing may be added to the stream. */
bool failover_pauses(const struct server *server);
/* PSYNC asks for it. False: after an error reply. */
bool failover_take(struct call *call);
/* The link is up, or could not be. */
void failover_end(struct server *server, bool good);
const char *failover_name(const struct server *server); /* as INFO has it */

#endif
