/* acl_file.c: users from the configuration's lines and from the file of users, and back. A file is
 * taken whole or not at all. */
#include "base/memory.h"
#include "engine/acl.h"
#include "engine/acl_registry.h"
#include "engine/acl_user.h"
#include "engine/config.h"
#include "engine/config_store.h"
#include "engine/server.h"
#include "io/files.h"
#include <stdio.h>

/* ---- a set of users that is being read ---- */

struct reading {
    struct server *server;
    struct user **users; /* by name */
    size_t count;
};

static void reading_begin(struct reading *reading, struct server *server) {
    struct user *standard = user_open(server->commands, BYTES("default"), true);
    acl_make_standard(standard);
    *reading = (struct reading){.server = server, .count = 1};
    reading->users = memory_alloc(sizeof *reading->users);
    reading->users[0] = standard;
}

static void reading_release(struct reading *reading) {
    for (size_t i = 0; i < reading->count; i++)
        user_close(reading->users[i]);
    memory_free(reading->users);
}

/* A line's user: a new one, or the default, which its line describes whole. */
static struct user *reading_user(struct reading *reading, struct bytes name) {
    bool all_channels = reading->server->config->acl_pubsub_default == PUBSUB_ALLCHANNELS;
    bool found;
    size_t at = acl_place(reading->users, reading->count, name, &found);
    if (found) {
        user_apply(reading->users[at], BYTES("reset"), all_channels);
        return reading->users[at];
    }
    reading->users = memory_resize(reading->users, (reading->count + 1) * sizeof *reading->users);
    memmove(&reading->users[at + 1], &reading->users[at],
            (reading->count - at) * sizeof *reading->users);
    reading->users[at] = user_open(reading->server->commands, name, all_channels);
    reading->count++;
    return reading->users[at];
}

static int shown(struct bytes text) {
    return text.size < 128 ? (int)text.size : 128;
}

/* ---- lines of the configuration ---- */

static bool was_named(const struct config_statements *lines, size_t before, struct bytes name) {
    for (size_t i = 0; i < before; i++)
        if (bytes_equal(lines->items[i].items[0], name)) return true;
    return false;
}

/* What begins like a password, or like nothing that is known (a password without its sign), stays
 * out of the log. */
static struct bytes rule_to_show(const struct acl_fault *fault) {
    struct bytes rule = buffer_bytes(&fault->rule);
    return rule.size > 0 && memchr("+-~%&(", rule.data[0], 6) ? rule : BYTES("*redacted*");
}

static bool read_statement(struct reading *reading, size_t index, char *error, size_t error_size) {
    const struct config_statements *lines = &reading->server->config->user;
    const struct config_list *line = &lines->items[index];
    struct bytes name = line->items[0];
    struct acl_fault fault;
    if (!acl_name_valid(name)) {
        snprintf(error, error_size, "Spaces not allowed in ACL usernames");
        return false;
    }
    if (was_named(lines, index, name)) {
        snprintf(error, error_size,
                 "Error in user declaration '%.*s': Duplicate user found. A user can only be "
                 "defined once in config files",
                 shown(name), name.data);
        return false;
    }
    struct user *user = reading_user(reading, name);
    if (acl_apply(reading->server, user, &line->items[1], line->count - 1, &fault)) return true;
    struct bytes rule = rule_to_show(&fault);
    snprintf(error, error_size, "Error loading ACL rule '%.*s' for the user named '%.*s': %s",
             shown(rule), rule.data, shown(name), name.data,
             fault.reason ? fault.reason : "Unmatched parenthesis in selector definition");
    buffer_release(&fault.rule);
    return false;
}

bool acl_load_statements(struct server *server, char *error, size_t error_size) {
    const struct config_statements *lines = &server->config->user;
    struct reading reading;
    if (lines->count == 0) return true;
    reading_begin(&reading, server);
    user_close(reading.users[0]);
    reading.users[0] = user_copy(server->acl->standard); /* with requirepass's password */
    for (size_t i = 0; i < lines->count; i++) {
        if (read_statement(&reading, i, error, error_size)) continue;
        log_warning(server->log, "%s", error);
        snprintf(error, error_size, "Critical error while loading ACLs. Exiting.");
        reading_release(&reading);
        return false;
    }
    acl_replace(server, reading.users, reading.count, NULL);
    return true;
}

/* ---- the file of users ---- */

static struct bytes next_line(struct bytes *rest) {
    const char *end = memchr(rest->data, '\n', rest->size);
    size_t size = end ? (size_t)(end - rest->data) : rest->size;
    struct bytes line = {rest->data, size};
    size += end != NULL;
    *rest = bytes_make(rest->data + size, rest->size - size);
    while (line.size > 0 && strchr(" \t\r", line.data[0]) && line.data[0])
        line = bytes_make(line.data + 1, line.size - 1);
    while (line.size > 0 && strchr(" \t\r", line.data[line.size - 1]) && line.data[line.size - 1])
        line.size--;
    return line;
}

/* The words between single blanks; several blanks have empty words between them. */
static struct bytes *split(struct bytes line, size_t *count) {
    struct bytes *words = memory_alloc((line.size + 1) * sizeof *words);
    *count = 0;
    while (true) {
        const char *blank = memchr(line.data, ' ', line.size);
        size_t size = blank ? (size_t)(blank - line.data) : line.size;
        words[(*count)++] = bytes_make(line.data, size);
        if (!blank) return words;
        line = bytes_make(line.data + size + 1, line.size - size - 1);
    }
}

struct line {
    const char *path;
    unsigned number;
    const struct bytes *words;
    size_t count;
};

static void read_line(struct reading *reading, const struct line *line, bool *standard_named,
                      struct buffer *error) {
    if (line->count < 2 || !bytes_equal(line->words[0], BYTES("user"))) {
        buffer_append_format(error,
                             "%s:%u should start with user keyword followed by the "
                             "username. ",
                             line->path, line->number);
        return;
    }
    struct bytes name = line->words[1];
    bool found;
    acl_place(reading->users, reading->count, name, &found);
    bool is_standard = bytes_equal(name, BYTES("default"));
    if (found && (!is_standard || *standard_named)) {
        buffer_append_format(error, "WARNING: Duplicate user '%.*s' found on line %u. ",
                             shown(name), name.data, line->number);
        return;
    }
    *standard_named |= is_standard;
    struct acl_fault fault;
    struct user *user = reading_user(reading, name);
    if (acl_apply(reading->server, user, line->words + 2, line->count - 2, &fault)) return;
    struct bytes rule = rule_to_show(&fault);
    if (fault.reason)
        buffer_append_format(error, "%s:%u: Error in applying operation '%.*s': %s. ", line->path,
                             line->number, shown(rule), rule.data, fault.reason);
    else
        buffer_append_format(error, "%s:%u: Unmatched parenthesis in selector definition.",
                             line->path, line->number);
    buffer_release(&fault.rule);
}

bool acl_load_file(struct server *server, struct session *self, struct buffer *error) {
    const char *path = server->config->aclfile.data;
    struct buffer text = {0};
    int result = io_read_file(server->io, path, CONFIG_FILE_MAX, &text);
    if (result < 0) {
        buffer_append_format(error, "Error loading ACLs, opening file '%s': %s", path,
                             strerror(-result));
        buffer_release(&text);
        return false;
    }
    struct reading reading;
    bool standard_named = false;
    struct bytes rest = buffer_bytes(&text);
    reading_begin(&reading, server);
    for (unsigned number = 1; rest.size > 0; number++) {
        struct line line = {.path = path, .number = number};
        struct bytes written = next_line(&rest);
        if (written.size == 0) continue;
        struct bytes *words = split(written, &line.count);
        line.words = words;
        read_line(&reading, &line, &standard_named, error);
        memory_free(words);
    }
    buffer_release(&text);
    if (error->size > 0) {
        buffer_append_text(error, "WARNING: ACL errors detected, no change to the previously "
                                  "active ACL rules was performed");
        reading_release(&reading);
        return false;
    }
    acl_replace(server, reading.users, reading.count, self);
    return true;
}

int acl_save_file(struct server *server) {
    struct buffer text = {0};
    for (size_t i = 0; i < server->acl->count; i++) {
        struct bytes name = acl_user_name(server->acl->users[i]);
        buffer_append_text(&text, "user ");
        buffer_append(&text, name.data, name.size);
        buffer_append_byte(&text, ' ');
        user_describe(server->acl->users[i], &text);
        buffer_append_byte(&text, '\n');
    }
    int result =
        config_store_replace(server->io, server->config->aclfile.data, buffer_bytes(&text));
    buffer_release(&text);
    return result;
}

/* ---- CONFIG REWRITE ---- */

/* There is only the default user, as requirepass describes it. */
static bool is_plain(const struct server *server) {
    const struct config *config = server->config;
    if (server->acl->count > 1 || config->user.count > 0) return false;
    struct user *plain = user_open(server->commands, BYTES("default"), true);
    struct buffer rule = {0};
    acl_make_standard(plain);
    buffer_append_byte(&rule, '>');
    buffer_append(&rule, config->requirepass.data, config->requirepass.size);
    if (config->requirepass.size > 0) user_apply(plain, buffer_bytes(&rule), true);
    bool same = user_equal(plain, server->acl->standard);
    buffer_release(&rule);
    user_close(plain);
    return same;
}

void acl_tell_config(struct server *server) {
    struct buffer text = {0};
    bool wanted = server->config->aclfile.size == 0 && !is_plain(server);
    for (size_t i = 0; wanted && i < server->acl->count; i++) {
        struct bytes name = acl_user_name(server->acl->users[i]);
        buffer_append(&text, name.data, name.size);
        buffer_append_byte(&text, ' ');
        user_describe(server->acl->users[i], &text);
        buffer_append_byte(&text, '\n');
    }
    config_amend_statements(server->config, CONFIG_user, buffer_bytes(&text));
    buffer_release(&text);
}
