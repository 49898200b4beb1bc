/* monitor.h: sessions that are told of every command (MONITOR). A line is written once and given to
 * each of them; while there are none, nothing is written. */
#ifndef REDSTART_ENGINE_MONITOR_H
#define REDSTART_ENGINE_MONITOR_H

#include <stdint.h>

struct call;
struct session;

struct monitors {
    struct session **sessions;
    uint32_t count, capacity;
};

void monitor_add(struct session *session);
/* Nothing happens when it is none. */
void monitor_remove(struct session *session);
void monitor_tell(const struct call *call);

#endif
