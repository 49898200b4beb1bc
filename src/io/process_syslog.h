/* process_syslog.h: syslog without its header. <syslog.h> calls its levels by the
 * names that base/log.h uses, so that no file can include both. */
#ifndef REDSTART_IO_PROCESS_SYSLOG_H
#define REDSTART_IO_PROCESS_SYSLOG_H

#include "base/bytes.h"

enum process_urgency {
    PROCESS_URGENCY_DEBUG,
    PROCESS_URGENCY_INFORMATION,
    PROCESS_URGENCY_NOTICE,
    PROCESS_URGENCY_WARNING,
};

/* `identity` is borrowed for as long as syslog is used. `facility`: "user", "local0" ... "local7",
 * in any case. False when the facility is unknown. */
bool process_syslog_open(const char *identity, const char *facility);
void process_syslog_close(void);
void process_syslog_write(enum process_urgency urgency, struct bytes line);

#endif
