/* protection.c: see protection.h. What is not there yet is accepted elsewhere and said in the log;
 * but who asks for TLS would be served without it, and may not notice. */
#include "server/protection.h"

static bool refuse(struct log *log, const char *directive, const char *feature) {
    log_warning(log,
                "%s is configured, but %s not part of this version yet: without it the server "
                "would be less protected than the configuration says. Take the directive out to "
                "start. Exiting.",
                directive, feature);
    return false;
}

bool protection_check(const struct config *config, struct log *log) {
    if (config->tls_port != 0) return refuse(log, "tls-port", "TLS is");
    if (config->tls_replication) return refuse(log, "tls-replication", "TLS is");
    if (config->tls_cluster) return refuse(log, "tls-cluster", "TLS is");
    return true;
}
