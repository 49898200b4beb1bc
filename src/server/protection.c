/* protection.c: see protection.h. What is not there yet is accepted elsewhere and said in the log;
 * but who names users or asks for TLS would be served without either, and may not notice.
 *
 * One user line is in every file that Redis's CONFIG REWRITE has written: that of the default user,
 * who may do everything. It says no more than requirepass does, and is taken as that. */
#include "server/protection.h"

/* What gives the default user everything, as it has it here. */
static bool is_without_limits(struct bytes word) {
    static const char *const words[] = {
        "on",
        "~*",
        "allkeys",
        "&*",
        "allchannels",
        "+@all",
        "allcommands",
        "sanitize-payload",
        "skip-sanitize-payload",
    };
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
        if (bytes_is(word, words[i])) return true;
    return false;
}

/* "default on nopass ~* &* +@all", or a password's digest in place of nopass where requirepass
 * gives the password itself. */
static bool is_plain_default(const struct config *config, const struct config_list *user) {
    bool is_on = false;
    if (user->count == 0 || !bytes_equal(user->items[0], BYTES("default"))) return false;
    for (size_t i = 1; i < user->count; i++) {
        struct bytes word = user->items[i];
        bool is_digest = word.size > 0 && word.data[0] == '#' && config->requirepass.size > 0;
        if (bytes_is(word, "on")) is_on = true;
        if (!is_without_limits(word) && !bytes_is(word, "nopass") && !is_digest) return false;
    }
    return is_on;
}

static bool refuse(struct log *log, const char *directive, const char *feature) {
    log_warning(log,
                "%s is configured, but %s not part of this version yet: without it the server "
                "would be less protected than the configuration says. Take the directive out to "
                "start. Exiting.",
                directive, feature);
    return false;
}

bool protection_check(const struct config *config, struct log *log) {
    for (size_t i = 0; i < config->user.count; i++)
        if (!is_plain_default(config, &config->user.items[i]))
            return refuse(log, "user", "ACL users are");
    if (config->aclfile.size > 0) return refuse(log, "aclfile", "ACL users are");
    if (config->tls_port != 0) return refuse(log, "tls-port", "TLS is");
    if (config->tls_replication) return refuse(log, "tls-replication", "TLS is");
    if (config->tls_cluster) return refuse(log, "tls-cluster", "TLS is");
    return true;
}
