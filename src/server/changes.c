/* changes.c: see changes.h. Everything here is either an observer, or puts into effect what one
 * would. */
#include "server/changes.h"
#include "base/number.h"
#include "engine/server.h"
#include <inttypes.h>
#include <stdio.h>

/* ---- dir ---- */

void changes_note_directory(struct changes *changes) {
    char folder[4096];
    if (changes->io->operations->directory(changes->io, folder, sizeof(folder)) == 0)
        config_amend(changes->config, CONFIG_dir, bytes_from_text(folder));
}

static bool change_directory(void *context, struct config *config, char *error, size_t error_size) {
    struct changes *changes = context;
    int result = changes->io->operations->change_directory(changes->io, config->dir.data);
    if (result < 0) {
        snprintf(error, error_size, "%s", strerror(-result));
        return false;
    }
    changes_note_directory(changes);
    return true;
}

/* ---- log level ---- */

static bool change_log_level(void *context, struct config *config, char *error, size_t error_size) {
    (void)error, (void)error_size;
    struct changes *changes = context;
    changes->log->level = (enum log_level)config->loglevel;
    return true;
}

/* ---- clients ---- */

/* How many clients the system allows, of those wanted. */
static int64_t clients_allowed(struct changes *changes) {
    int64_t wanted = changes->config->maxclients + FILES_RESERVED;
    int64_t got = changes->io->operations->raise_file_limit(changes->io, wanted);
    return (got < wanted ? got : wanted) - FILES_RESERVED;
}

static bool change_clients(void *context, struct config *config, char *error, size_t error_size) {
    int64_t allowed = clients_allowed(context);
    if (allowed >= config->maxclients) return true;
    snprintf(error, error_size,
             "The operating system is not able to handle the specified number of clients, try "
             "with %" PRId64,
             allowed);
    return false;
}

bool changes_fit_clients(struct changes *changes) {
    int64_t wanted = changes->config->maxclients, allowed = clients_allowed(changes);
    if (allowed >= wanted) return true;
    if (allowed <= 0) {
        log_warning(changes->log,
                    "The limit of %" PRId64 " open files ('ulimit -n') is too low to start; "
                    "raise it to at least %" PRId64 ". Exiting.",
                    allowed + FILES_RESERVED, wanted + FILES_RESERVED);
        return false;
    }
    char text[NUMBER_I64_TEXT_MAX + 1];
    int size = snprintf(text, sizeof(text), "%" PRId64, allowed);
    config_amend(changes->config, CONFIG_maxclients, bytes_make(text, (size_t)size));
    log_warning(changes->log,
                "maxclients of %" PRId64 " needs %" PRId64 " open files, the system allows %" PRId64
                ". maxclients has been reduced to %" PRId64 "; raise 'ulimit -n' if you need more.",
                wanted, wanted + FILES_RESERVED, allowed + FILES_RESERVED, allowed);
    return true;
}

/* ---- addresses ---- */

/* Called again with the old values when an address cannot be had, it listens there again. */
static bool change_addresses(void *context, struct config *config, char *error, size_t error_size) {
    struct changes *changes = context;
    char reason[CONFIG_ERROR_SIZE];
    bool is_port = changes->port != config->port;
    changes->port = config->port;
    if (server_listen_again(changes->server, reason, sizeof(reason))) return true;
    snprintf(error, error_size, "%s",
             is_port ? "Unable to listen on this port. Check server logs."
                     : "Failed to bind to specified addresses.");
    return false;
}

void changes_watch_addresses(struct changes *changes, struct server *server) {
    changes->server = server;
    changes->port = changes->config->port;
    config_observe(changes->config, "port", change_addresses, changes);
    config_observe(changes->config, "bind", change_addresses, changes);
}

/* ---- TLS ---- */

/* Who asks for encrypted connections must not believe to have them. */
static bool change_tls(void *context, struct config *config, char *error, size_t error_size) {
    (void)context;
    if (config->tls_port == 0 && !config->tls_replication && !config->tls_cluster) return true;
    snprintf(error, error_size, "TLS is not part of this version yet");
    return false;
}

/* ---- the title ---- */

/* Where it listens, as Redis's titles say it: "*:6379", "127.0.0.1:6379", or the unix socket. */
static void append_address(struct buffer *out, const struct config *config) {
    int64_t port = config->port != 0 ? config->port : config->tls_port;
    if (port == 0) {
        buffer_append(out, config->unixsocket.data, config->unixsocket.size);
        return;
    }
    struct bytes address = config->bind.count > 0 ? config->bind.items[0] : BYTES("*");
    if (address.size > 0 && address.data[0] == '-')
        address = bytes_make(address.data + 1, address.size - 1);
    buffer_append(out, address.data, address.size);
    buffer_append_format(out, ":%" PRId64, port);
}

static void append_variable(struct buffer *out, struct bytes name, const struct changes *changes) {
    const struct config *config = changes->config;
    if (bytes_is(name, "{title}"))
        buffer_append_text(out, changes->program);
    else if (bytes_is(name, "{listen-addr}"))
        append_address(out, config);
    else if (bytes_is(name, "{server-mode}"))
        buffer_append_text(out, config->cluster_enabled ? "[cluster]" : "");
    else if (bytes_is(name, "{port}"))
        buffer_append_i64(out, config->port);
    else if (bytes_is(name, "{tls-port}"))
        buffer_append_i64(out, config->tls_port);
    else if (bytes_is(name, "{unixsocket}"))
        buffer_append(out, config->unixsocket.data, config->unixsocket.size);
    else if (bytes_is(name, "{config-file}"))
        buffer_append(out, config->file.data, config->file.size);
}

static bool change_title(void *context, struct config *config, char *error, size_t error_size) {
    (void)error, (void)error_size;
    const struct changes *changes = context;
    if (!config->set_proc_title) return true;
    struct buffer title = {0};
    struct bytes rest = config->proc_title_template;
    while (rest.size > 0) {
        const char *close = rest.data[0] == '{' ? memchr(rest.data, '}', rest.size) : NULL;
        size_t size = close == NULL ? 1 : (size_t)(close - rest.data) + 1;
        if (close == NULL)
            buffer_append_byte(&title, rest.data[0]);
        else
            append_variable(&title, bytes_make(rest.data, size), changes);
        rest = bytes_make(rest.data + size, rest.size - size);
    }
    while (title.size > 0 && title.data[title.size - 1] == ' ')
        title.size--;
    process_title_set(changes->title, buffer_bytes(&title));
    buffer_release(&title);
    return true;
}

void changes_watch(struct changes *changes) {
    struct config *config = changes->config;
    change_log_level(changes, config, NULL, 0);
    change_title(changes, config, NULL, 0);
    config_observe(config, "maxclients", change_clients, changes);
    config_observe(config, "loglevel", change_log_level, changes);
    config_observe(config, "dir", change_directory, changes);
    static const char *const encrypting[] = {"tls-port", "tls-replication", "tls-cluster"};
    for (size_t i = 0; i < sizeof(encrypting) / sizeof(encrypting[0]); i++)
        config_observe(config, encrypting[i], change_tls, changes);
    static const char *const titled[] = {"proc-title-template", "port", "tls-port", "bind"};
    for (size_t i = 0; i < sizeof(titled) / sizeof(titled[0]); i++)
        config_observe(config, titled[i], change_title, changes);
}
