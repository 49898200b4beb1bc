/* list.h: what the two files of list commands share. */
#ifndef REDSTART_COMMAND_LIST_H
#define REDSTART_COMMAND_LIST_H

#include "engine/call.h"
#include "value/list.h"

struct list_limits list_limits_of(const struct call *call);
/* Something is larger than LIST_ELEMENT_MAX. */
void list_error_too_large(struct call *call);
/* "left" is the head: false, without a reply, when the word is neither. */
bool list_parse_end(const struct call *call, uint32_t index, bool *at_head);
/* Take elements away from an end, at most as many as there are, and reply each. */
void list_reply_and_remove(struct call *call, struct list *list, uint64_t count, bool at_head);
/* The list was changed: an event, and "del" when it is gone. After edit_end. */
void list_changed(struct call *call, const struct edit *edit, const char *event);

#endif
