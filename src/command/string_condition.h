/* string_condition.h: what a command may ask of the string that is there before it changes it: its
 * value, or the digest of its value. */
#ifndef REDSTART_COMMAND_STRING_CONDITION_H
#define REDSTART_COMMAND_STRING_CONDITION_H

#include "engine/call.h"

enum string_condition_kind {
    STRING_CONDITION_NONE,
    STRING_CONDITION_IFEQ,
    STRING_CONDITION_IFNE,
    STRING_CONDITION_IFDEQ,
    STRING_CONDITION_IFDNE,
};

struct string_condition {
    enum string_condition_kind kind;
    uint32_t index; /* of what is compared with */
};

/* Take the option at *i with what stands behind it, where it is one: IFEQ, IFNE, IFDEQ, IFDNE.
 * False: it is not, or has nothing behind it, or there was one before. */
bool string_condition_take(const struct call *call, uint32_t *i,
                           struct string_condition *condition);
/* Does the entry (NULL: the key is absent) meet it? False also after an error reply (*failed): what
 * is there is no string, or no digest was given. Of an absent key it is true that its value is
 * another one. */
bool string_condition_met(struct call *call, const struct string_condition *condition,
                          const struct entry *entry, bool *failed);

#endif
