/* acl.c: the users of a server, and the sessions that are them. Owns the users. A user that
 * sessions point to stays where it is: changes are made on a copy, whose contents it then gets. */
#include "engine/acl.h"

#include "base/invariant.h"
#include "base/memory.h"
#include "engine/acl_registry.h"
#include "engine/acl_user.h"
#include "engine/config.h"
#include "engine/server.h"
#include <stdio.h>

/* ---- users ---- */

static struct bytes standard_name(void) {
    return BYTES("default");
}

struct bytes acl_user_name(const struct user *user) {
    return user ? bytes_make(user->name, user->name_size) : standard_name();
}

size_t acl_place(struct user *const *users, size_t count, struct bytes name, bool *found) {
    size_t low = 0, high = count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        int order = bytes_compare(acl_user_name(users[middle]), name);
        if (order == 0) {
            *found = true;
            return middle;
        }
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    *found = false;
    return low;
}

struct user *acl_find(const struct server *server, struct bytes name) {
    bool found;
    size_t at = acl_place(server->acl->users, server->acl->count, name, &found);
    return found ? server->acl->users[at] : NULL;
}

size_t acl_user_count(const struct server *server) {
    return server->acl->count;
}

struct user *acl_user_at(const struct server *server, size_t index) {
    return server->acl->users[index];
}

static void add_user(struct acl *acl, struct user *user) {
    bool found;
    size_t at = acl_place(acl->users, acl->count, acl_user_name(user), &found);
    INVARIANT(!found);
    acl->users = memory_resize(acl->users, (acl->count + 1) * sizeof *acl->users);
    memmove(&acl->users[at + 1], &acl->users[at], (acl->count - at) * sizeof *acl->users);
    acl->users[at] = user;
    acl->count++;
}

bool acl_name_valid(struct bytes name) {
    for (size_t i = 0; i < name.size; i++)
        if (strchr(" \t\n\v\f\r", name.data[i])) return false;
    return true;
}

void acl_make_standard(struct user *user) {
    static const char *const rules[] = {"+@all", "~*", "&*", "on", "nopass"};
    for (size_t i = 0; i < sizeof rules / sizeof rules[0]; i++) {
        const char *error = user_apply(user, bytes_from_text(rules[i]), false);
        INVARIANT(error == NULL);
    }
    user_settle(user);
}

/* ---- changing them ---- */

static void refresh_sessions(struct server *server) {
    for (uint32_t i = 0; i < server->session_count; i++)
        acl_refresh_session(server->sessions[i]);
}

/* How many words from here on are one rule: 0 when its parenthesis is not closed. */
static size_t join_rule(const struct bytes *rules, size_t count, struct buffer *joined) {
    buffer_clear(joined);
    for (size_t i = 0; i < count; i++) {
        if (i > 0) buffer_append_byte(joined, ' ');
        buffer_append(joined, rules[i].data, rules[i].size);
        bool open = joined->size > 0 && joined->data[0] == '(';
        if (!open || (rules[i].size > 0 && rules[i].data[rules[i].size - 1] == ')')) return i + 1;
    }
    return 0;
}

bool acl_apply(struct server *server, struct user *user, const struct bytes *rules, size_t count,
               struct acl_fault *fault) {
    bool all_channels = server->config->acl_pubsub_default == PUBSUB_ALLCHANNELS;
    *fault = (struct acl_fault){0};
    for (size_t i = 0; i < count;) { /* parentheses first: nothing is half read */
        size_t used = join_rule(&rules[i], count - i, &fault->rule);
        if (used == 0) {
            buffer_clear(&fault->rule);
            buffer_append(&fault->rule, rules[i].data, rules[i].size);
            return false;
        }
        i += used;
    }
    for (size_t i = 0; i < count;) {
        i += join_rule(&rules[i], count - i, &fault->rule);
        fault->reason = user_apply(user, buffer_bytes(&fault->rule), all_channels);
        if (fault->reason) return false;
    }
    user_settle(user);
    buffer_release(&fault->rule);
    return true;
}

static struct user *make_user(struct server *server, struct bytes name) {
    return user_open(server->commands, name,
                     server->config->acl_pubsub_default == PUBSUB_ALLCHANNELS);
}

/* `self` gets its reply first. */
static void close_session(struct session *session, const struct session *self) {
    if (session == self)
        session->flags |= SESSION_CLOSE_AFTER_REPLY;
    else
        session_close_later(session);
}

/* What the user may not hear any more, it would go on hearing. */
static void close_listeners(struct server *server, const struct user *user,
                            const struct session *self) {
    for (uint32_t i = 0; user && i < server->session_count; i++) {
        struct session *session = server->sessions[i];
        if (session->user == user && !acl_may_listen(user, session)) close_session(session, self);
    }
}

bool acl_set_user(struct server *server, struct bytes name, const struct bytes *rules, size_t count,
                  struct session *self, struct buffer *error) {
    struct user *user = acl_find(server, name);
    struct user *changed = user ? user_copy(user) : make_user(server, name);
    struct acl_fault fault;
    if (!acl_apply(server, changed, rules, count, &fault)) {
        int size = fault.rule.size < 4096 ? (int)fault.rule.size : 4096;
        if (fault.reason)
            buffer_append_format(error, "Error in ACL SETUSER modifier '%.*s': %s", size,
                                 fault.rule.data, fault.reason);
        else
            buffer_append_format(error, "Unmatched parenthesis in acl selector starting at '%.*s'.",
                                 size, fault.rule.data);
        buffer_release(&fault.rule);
        user_close(changed);
        return false;
    }
    if (user) {
        user_exchange(user, changed);
        user_close(changed);
    } else {
        add_user(server->acl, changed);
    }
    refresh_sessions(server);
    close_listeners(server, user, self);
    return true;
}

/* They were logged in as someone who is gone, or other than before. */
static void close_sessions(struct server *server, const struct user *user, struct session *self) {
    for (uint32_t i = 0; i < server->session_count; i++) {
        struct session *session = server->sessions[i];
        if (session->user != user || session->socket == IO_NONE) continue;
        session->user = server->acl->standard;
        session->authenticated = false;
        acl_refresh_session(session);
        close_session(session, self);
    }
}

bool acl_delete_user(struct server *server, struct bytes name, struct session *self) {
    struct acl *acl = server->acl;
    bool found;
    size_t at = acl_place(acl->users, acl->count, name, &found);
    if (!found || acl->users[at] == acl->standard) return false;
    struct user *user = acl->users[at];
    acl->count--;
    memmove(&acl->users[at], &acl->users[at + 1], (acl->count - at) * sizeof *acl->users);
    close_sessions(server, user, self);
    user_close(user);
    return true;
}

void acl_replace(struct server *server, struct user **users, size_t count, struct session *self) {
    struct acl *acl = server->acl;
    struct acl old = *acl;
    for (size_t i = 0; i < old.count; i++) {
        struct user *user = old.users[i];
        bool found;
        size_t at = acl_place(users, count, acl_user_name(user), &found);
        if (!found || (user != acl->standard && !user_equal(user, users[at])))
            close_sessions(server, user, self);
        if (!found) {
            user_close(user);
            continue;
        }
        user_exchange(user, users[at]);
        user_close(users[at]);
        users[at] = user;
    }
    memory_free(old.users);
    acl->users = users;
    acl->count = count;
    refresh_sessions(server);
    close_listeners(server, acl->standard,
                    self); /* the only user that may have changed under any */
}

/* ---- requirepass ---- */

static void set_password(struct server *server) {
    struct user *user = server->acl->standard;
    struct bytes password = server->config->requirepass;
    struct buffer rule = {0};
    buffer_append_byte(&rule, '>');
    buffer_append(&rule, password.data, password.size);
    user_apply(user, BYTES("resetpass"), false);
    user_apply(user, password.size > 0 ? buffer_bytes(&rule) : BYTES("nopass"), false);
    buffer_release(&rule);
}

static bool password_changed(void *context, struct config *config, char *error, size_t error_size) {
    (void)config, (void)error, (void)error_size;
    set_password(context);
    refresh_sessions(context);
    return true;
}

/* ---- life ---- */

bool acl_open(struct server *server, char *error, size_t error_size) {
    struct acl *acl = memory_alloc_zeroed(1, sizeof *acl);
    const struct config *config = server->config;
    server->acl = acl;
    acl->standard = user_open(server->commands, standard_name(), true);
    acl_make_standard(acl->standard);
    add_user(acl, acl->standard);
    if (config->requirepass.size > 0) set_password(server);
    /* Other passwords go with it, and would not come back. */
    config_follow(server->config, "requirepass", password_changed, server);
    if (config->user.count > 0 && config->aclfile.size > 0) {
        snprintf(error, error_size,
                 "Configuring Redis with users defined in redis.conf and at the same setting an "
                 "ACL file path is invalid. This setup is very likely to lead to configuration "
                 "errors and security holes, please define either an ACL file or declare users "
                 "directly in your redis.conf, but not both.");
        return false;
    }
    if (config->aclfile.size == 0) return acl_load_statements(server, error, error_size);
    struct buffer text = {0};
    bool loaded = acl_load_file(server, NULL, &text);
    if (!loaded)
        snprintf(error, error_size, "Aborting Redis startup because of ACL errors: %.*s",
                 (int)text.size, text.data);
    buffer_release(&text);
    return loaded;
}

void acl_close(struct server *server) {
    struct acl *acl = server->acl;
    if (!acl) return;
    acl_log_reset(server);
    for (size_t i = 0; i < acl->count; i++)
        user_close(acl->users[i]);
    memory_free(acl->users);
    memory_free(acl);
    server->acl = NULL;
}

/* ---- sessions ---- */

bool acl_is_open(const struct server *server) {
    const struct user *user = server->acl->standard;
    return user->is_on && user->no_password;
}

bool acl_has_no_password(const struct server *server) {
    return server->acl->standard->no_password;
}

void acl_refresh_session(struct session *session) {
    session->restricted =
        !session->authenticated || (session->user && !session->user->is_unrestricted);
}

void acl_begin_session(struct session *session) {
    struct acl *acl = session->server->acl;
    session->user = session->flags & SESSION_INTERNAL ? NULL : acl->standard;
    session->authenticated = !session->user || acl_is_open(session->server);
    acl_refresh_session(session);
}

bool acl_log_in(struct session *session, struct bytes command, struct bytes name,
                struct bytes password) {
    struct user *user = acl_find(session->server, name);
    bool knows = user_knows(user ? user : session->server->acl->standard, password);
    if (user && knows && user->is_on) {
        session->user = user;
        session->authenticated = true;
        acl_refresh_session(session);
        return true;
    }
    acl_note(session, ACL_REASON_AUTH, session->flags & SESSION_MULTI ? ACL_MULTI : ACL_TOPLEVEL,
             command, name);
    return false;
}
