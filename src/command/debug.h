/* debug.h: DEBUG's subcommands, shared by its files. argv[1] is the subcommand; their number of
 * arguments has been checked. */
#ifndef REDSTART_COMMAND_DEBUG_H
#define REDSTART_COMMAND_DEBUG_H

#include "engine/call.h"

/* debug_data.c */
void debug_reload(struct call *call);
void debug_loadaof(struct call *call);
void debug_digest(struct call *call);
void debug_digest_value(struct call *call);
void debug_digest_exact(struct call *call);
void debug_htstats(struct call *call);
void debug_htstats_key(struct call *call);
void debug_listpack(struct call *call);
void debug_object(struct call *call);
void debug_sdslen(struct call *call);
void debug_populate(struct call *call);
void debug_quicklist(struct call *call);

/* debug_protocol.c */
void debug_error(struct call *call);
void debug_protocol(struct call *call);

#endif
