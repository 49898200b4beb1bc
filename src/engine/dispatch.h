/* dispatch.h: one request of one session: what it means, whether it may run, and running it. */
#ifndef REDSTART_ENGINE_DISPATCH_H
#define REDSTART_ENGINE_DISPATCH_H

#include "engine/command.h"
#include "resp/request.h"

struct session;

/* Run a request between session_reply_begin and _end. `command` is the top-level command of its
 * name, NULL when there is none; `hashes` are those of its keys, or NULL. The request may be held
 * for later. */
void dispatch(struct session *session, const struct command *command, struct request *request,
              const uint64_t *hashes);

/* Run one command of a unit (EXEC, a script), which was found to be allowed: it is counted, its
 * effects go to the journal, and its reply to call->reply. */
void dispatch_in_unit(struct call *call);

/* The command's flags, and for EXEC those of what it would run. */
uint32_t dispatch_flags(const struct call *call);
/* The server's state (loading, memory, the disk, a script that runs for long) does not let the
 * command run (for one within a unit, memory was looked at when that began):
 * then the reply is that error. */
bool dispatch_refused_by_state(struct call *call);

/* Run what the session holds, as far as it may run now: not while it waits for a key. When the
 * batch's time is over the rest is late (turn.h), but one request is run. */
void dispatch_held(struct session *session);

/* The request that waits for keys (waiting.h) runs again, with `ready` the argument of one that may
 * serve it; or its end is answered by `instead`. False when it waits as before. */
bool dispatch_waiting(struct session *session, uint32_t ready, command_handler *instead);

/* A request of the primary's stream: it may do anything, nothing is past its time meanwhile, and
 * its reply goes nowhere. False: it is no command of this server, or was answered with an error. */
bool dispatch_replicated(struct session *session, const struct command *command,
                         struct request *request, const uint64_t *hashes);

/* An effect that was read back (replay): run by an internal session whose replies nobody wants.
 * Nothing is past its time meanwhile (call->now_ms is 0), as the journal says when a key went.
 * False, and why in `error`, for what is no command. */
bool dispatch_effect(struct session *session, struct request *request, char *error,
                     size_t error_size);

#endif
