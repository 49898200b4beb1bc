/* expiry.h: times to live as commands take them. */
#ifndef REDSTART_COMMAND_EXPIRY_H
#define REDSTART_COMMAND_EXPIRY_H

#include "engine/call.h"

enum expiry_unit { EXPIRY_SECONDS, EXPIRY_MILLISECONDS };

/* The argument as milliseconds since 1970. `relative` to now, or absolute. Must be positive: false
 * after "ERR invalid expire time in 'x' command" or the integer error. */
bool expiry_parse(struct call *call, uint32_t index, enum expiry_unit unit, bool relative,
                  int64_t *when_ms);

/* Options that SET and GETEX share. */
enum expiry_option {
    EXPIRY_OPTION_NONE,
    EXPIRY_OPTION_EX,
    EXPIRY_OPTION_PX,
    EXPIRY_OPTION_EXAT,
    EXPIRY_OPTION_PXAT,
};
/* Which option the argument is, by name alone. */
enum expiry_option expiry_option_of(struct bytes word);
/* expiry_parse for the option's argument. */
bool expiry_parse_option(struct call *call, enum expiry_option option, uint32_t index,
                         int64_t *when_ms);

/* The effect of setting a time: PEXPIREAT key ms. */
void expiry_effect(struct call *call, struct bytes key, int64_t when_ms);

#endif
