/* process_syslog.c: the system's log. The libc keeps the connection, one for the process. */
#include "io/process_syslog.h"
#include <syslog.h>

bool process_syslog_open(const char *identity, const char *facility) {
    static const struct {
        const char *name;
        int number;
    } facilities[] = {
        {"user", LOG_USER},     {"local0", LOG_LOCAL0}, {"local1", LOG_LOCAL1},
        {"local2", LOG_LOCAL2}, {"local3", LOG_LOCAL3}, {"local4", LOG_LOCAL4},
        {"local5", LOG_LOCAL5}, {"local6", LOG_LOCAL6}, {"local7", LOG_LOCAL7},
    };
    for (size_t i = 0; i < sizeof(facilities) / sizeof(facilities[0]); i++) {
        if (!bytes_is(bytes_from_text(facility), facilities[i].name)) continue;
        openlog(identity, LOG_PID | LOG_NDELAY | LOG_NOWAIT, facilities[i].number);
        return true;
    }
    return false;
}

void process_syslog_close(void) {
    closelog();
}

void process_syslog_write(enum process_urgency urgency, struct bytes line) {
    static const int priorities[] = {
        [PROCESS_URGENCY_DEBUG] = LOG_DEBUG,
        [PROCESS_URGENCY_INFORMATION] = LOG_INFO,
        [PROCESS_URGENCY_NOTICE] = LOG_NOTICE,
        [PROCESS_URGENCY_WARNING] = LOG_WARNING,
    };
    syslog(priorities[urgency], "%.*s", (int)line.size, line.data);
}
