/* transfer.h: a whole dataset on its way to replicas.
 *
 *     engine   view ... blocks -> outputs of all its replicas ... view_close
 *     worker      rdb_writer_step  -> blocks (some MiB at a time, when the slowest has room)
 *
 * With a file in between (repl-diskless-sync no, or a replica that does not know the end marker)
 * the worker saves it first and then reads it. Replicas that ask while one is under way wait for
 * the next. */
#ifndef REDSTART_REPL_TRANSFER_H
#define REDSTART_REPL_TRANSFER_H

#include <stdbool.h>
#include <stdint.h>

struct replica;
struct server;
struct transfer;

/* Begin one if replicas wait for it and it is time. */
void transfer_check(struct server *server);
/* A file is being made, of which nothing is sent yet. */
bool transfer_is_saving(const struct transfer *transfer);
/* Send what is there, ask for more. Each turn, while one is under way. */
void transfer_step(struct server *server);
/* The replica is gone, or wants no more. */
void transfer_leave(struct replica *replica);
/* Give it up; waits for the worker. */
void transfer_cancel(struct server *server);

#endif
