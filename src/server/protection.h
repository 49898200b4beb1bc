/* protection.h: settings that are meant to protect and would not. */
#ifndef REDSTART_SERVER_PROTECTION_H
#define REDSTART_SERVER_PROTECTION_H

#include "base/log.h"
#include "engine/config.h"

/* False, with the reason in the log, when the configuration relies on a protection that this
 * version does not give: then the server must not start. */
bool protection_check(const struct config *config, struct log *log);

#endif
