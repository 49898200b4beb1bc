/* history.h: the stream's past, read back from the append-only file for a replica that was away
 * longer than memory reaches.
 *
 *     [ increments on disk ........................... ]
 *               ^ offset wanted            [ backlog .................. ]
 *               '------- read back --------^ from here it gathers at once
 *
 * A worker reads and checks the announced stretches; only when the first of them was found is the
 * replica told that it may continue, otherwise it gets the whole dataset. */
#ifndef REDSTART_REPL_HISTORY_H
#define REDSTART_REPL_HISTORY_H

#include <stdbool.h>
#include <stdint.h>

struct replica;
struct server;

/* False: the files do not reach back so far. Else the replica is answered later. */
bool history_begin(struct server *server, struct replica *replica, uint64_t offset);
/* Send what was read, ask for more. */
void history_step(struct server *server);
/* The replica is gone. */
void history_leave(struct replica *replica);
/* Waits for the worker. */
void history_cancel(struct server *server);

#endif
