/* housekeeping.h: what a server does by itself: expiry, timeouts, samples, the end. */
#ifndef REDSTART_ENGINE_HOUSEKEEPING_H
#define REDSTART_ENGINE_HOUSEKEEPING_H

struct server;

enum {
    HOUSEKEEPING_SWEEP_US = 300,  /* of a turn, for active expiry */
    HOUSEKEEPING_SWEEP_STEP = 64, /* segment headers looked at between two glances at the clock */
    HOUSEKEEPING_SWEEP_FIELDS = 256, /* of hashes, removed between two glances */
    HOUSEKEEPING_DRAIN_NODES = 2000, /* of closed views, freed in a turn */
    HOUSEKEEPING_SESSIONS = 64,      /* at least, looked at each time */
};

void housekeeping_begin(struct server *server);
/* What entries are marked with when they are used: the time, or counts, as maxmemory-policy says.
 */
void housekeeping_set_clock(struct server *server);
/* Once a turn; returns at once when nothing is due. */
void housekeeping(struct server *server);

#endif
