/* insight.h: what the server lets people see of commands as they end: MONITOR, the slow log, the
 * spikes of latency, the keys that cost most.
 *
 * All are behind one number: a command that took fewer ticks than `notable_ticks` concerns none of
 * them. It is 0 while somebody monitors or keys are counted. */
#ifndef REDSTART_ENGINE_INSIGHT_H
#define REDSTART_ENGINE_INSIGHT_H

#include "engine/hotkeys.h"
#include "engine/monitor.h"
#include "engine/slowlog.h"
#include "engine/spikes.h"

struct server;

struct insight {
    uint64_t notable_ticks;
    struct hotkeys hotkeys;
    struct monitors monitors;
    struct slowlog slowlog;
    struct spikes spikes;
};

void insight_open(struct server *server);
void insight_close(struct server *server);
/* A directive or the number of monitors has changed: notable_ticks anew. */
void insight_update(struct server *server);

/* A command begins that runs others (flag skip_monitor): who monitors is told of it before them. */
void insight_begin(struct call *call);
/* A command has ended, or begun to wait, after so many ticks, of which there are at least
 * notable_ticks. `again`: it had waited. */
void insight_command(struct call *call, uint64_t ticks, bool again);
/* Something else kept everybody waiting for so long: a spike, if it is one. The name lives for
 * ever.
 */
void insight_note(struct server *server, const char *name, int64_t took_us);

void insight_note_ticks(struct server *server, const char *name, uint64_t ticks);

/* Microseconds that so many ticks are. */
int64_t insight_us(const struct server *server, uint64_t ticks);

/* The call's word, as people may see it. */
struct bytes insight_word(const struct call *call, uint32_t index);

#endif
