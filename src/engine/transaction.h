/* transaction.h: what a session queues between MULTI and EXEC, and running it as one unit.
 *
 *     commands  | SET k v | INCR n | GET k |     kept_count of them have words of their own
 *                   |         |        |
 *     block     [ SET k v INCR n ]   a batch's input, until the batch ends
 *
 * A queued request is not copied as long as the batch lasts that it came in: a transaction that
 * arrives whole, as pipelines send it, is run from the input's own bytes. What is still queued when
 * the session's part of the batch is over is copied into one block for all of it
 * (transaction_keep); large arguments stay the blobs that they are.
 *
 * A unit: between its commands no other session's is run, sessions that wait for keys are served
 * behind it, and the journal has it between MULTI and EXEC when it has more than one effect. */
#ifndef REDSTART_ENGINE_TRANSACTION_H
#define REDSTART_ENGINE_TRANSACTION_H

#include "resp/request.h"
#include <stddef.h>
#include <stdint.h>

struct call;
struct command;
struct session;

struct transaction_command {
    const struct command *command;
    struct request request;
    const uint64_t *hashes; /* of its keys, by argument, during the batch it came in; NULL */
};

struct transaction_block;

/* Of a session that has used MULTI. */
struct transaction {
    struct transaction_command *commands;
    uint32_t count, capacity;
    uint32_t kept_count;
    struct transaction_block *blocks;
    uint32_t command_flags; /* of all commands together */
    size_t bytes;           /* of all words */
    size_t overhead;        /* of the blocks: all that is not bytes of words */
};

/* MULTI. */
void transaction_begin(struct session *session);
/* Take the request, with what it owns. */
void transaction_queue(struct session *session, const struct command *command,
                       struct request *request, const uint64_t *hashes);
/* Its words are about to go. */
void transaction_keep(struct session *session);
/* Something could not be queued: EXEC will refuse. */
void transaction_spoil(struct session *session);
/* No longer in a transaction, watching nothing. */
void transaction_discard(struct session *session);
/* The session is about to be freed. */
void transaction_forget(struct session *session);

/* EXEC: runs what is queued, and replies. */
void transaction_execute(struct call *call);

/* Flags of the commands that EXEC would run; 0 outside of a transaction. */
uint32_t transaction_command_flags(const struct session *session);
/* Bytes of words that are queued, which count as input not yet run. */
size_t transaction_input(const struct session *session);
/* Bytes that queue and watches take (CLIENT LIST's multi-mem). */
size_t transaction_memory(const struct session *session);

#endif
