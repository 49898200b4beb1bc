/* set.h: what the files of set commands share. */
#ifndef REDSTART_COMMAND_SET_H
#define REDSTART_COMMAND_SET_H

#include "engine/call.h"
#include "value/set.h"

struct set_limits set_limits_of(const struct call *call);
/* As call_read_object; *set is NULL when absent. */
bool set_read(struct call *call, uint32_t index, union object_room *room, const struct set **set);
/* The set was changed: an event, and "del" when it is gone. After edit_end. */
void set_changed(struct call *call, const struct edit *edit, const char *event);
void reply_members(struct call *call, const struct set *set);

#endif
