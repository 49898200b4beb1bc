/* acl.h: who may do what: the users, the sessions that are them, decisions, and the log of what was
 * refused.
 *
 *   acl.c        the users of a server, logging in, sessions
 *   acl_user.c   one user, as it is kept and described     (acl_user.h)
 *   acl_rule.c   rules, as they change a user
 *   acl_check.c  may this user run this request?
 *   acl_log.c    ACL LOG
 *   acl_file.c   users from the configuration and from the file of users, and back
 *
 * Decisions are prepared when a user is changed: a byte for each command says that it is allowed
 * whatever its arguments, or if its one key is, and session->restricted says that there is anything
 * to ask at all. */
#ifndef REDSTART_ENGINE_ACL_H
#define REDSTART_ENGINE_ACL_H

#include "base/buffer.h"

struct acl;
struct call;
struct command;
struct server;
struct session;
struct user;

/* The later ones tell of a request that got further. */
enum acl_verdict { ACL_ALLOWED, ACL_DENIED_COMMAND, ACL_DENIED_KEY, ACL_DENIED_CHANNEL };
enum acl_reason {
    ACL_REASON_COMMAND = ACL_DENIED_COMMAND,
    ACL_REASON_KEY = ACL_DENIED_KEY,
    ACL_REASON_CHANNEL = ACL_DENIED_CHANNEL,
    ACL_REASON_AUTH,
};
enum acl_context { ACL_TOPLEVEL, ACL_MULTI, ACL_LUA };

/* ---- life ---- */

/* The default user, and those that the configuration or its file names. False with a text. */
bool acl_open(struct server *server, char *error, size_t error_size);
void acl_close(struct server *server);

/* ---- users ---- */

/* Is this a name that a user may have? */
bool acl_name_valid(struct bytes name);
/* NULL: there is none. */
struct user *acl_find(const struct server *server, struct bytes name);
struct bytes acl_user_name(const struct user *user);
size_t acl_user_count(const struct server *server);
/* By name, in the order of bytes. */
struct user *acl_user_at(const struct server *server, size_t index);
/* All rules or none: false with "Error in ACL SETUSER ..." in `error`. The user is made when it is
 * not there. Sessions of it that listen to what it may not hear any more are closed, `self` behind
 * its reply. */
bool acl_set_user(struct server *server, struct bytes name, const struct bytes *rules, size_t count,
                  struct session *self, struct buffer *error);
/* Its sessions are closed, `self` behind its reply. False: there is none, or it is the default. */
bool acl_delete_user(struct server *server, struct bytes name, struct session *self);

/* ---- sessions ---- */

/* The default user, who may need no password. */
void acl_begin_session(struct session *session);
/* Becomes that user; false, and a line in the log of what was refused. `command`: its name as it
 * was sent. */
bool acl_log_in(struct session *session, struct bytes command, struct bytes name,
                struct bytes password);
/* May whoever connects do without AUTH? */
bool acl_is_open(const struct server *server);
/* The default user has no password, whether it is on or not. */
bool acl_has_no_password(const struct server *server);
/* session->restricted anew. */
void acl_refresh_session(struct session *session);

/* ---- decisions ---- */

/* `position`: the argument that is refused. NULL as user may do everything. */
enum acl_verdict acl_check(const struct user *user, const struct command *command,
                           const struct bytes *argv, size_t argc, uint32_t *position);
/* May it run this command on keys that nobody can name beforehand (SORT's BY and GET)? */
bool acl_reads_any_key(const struct user *user, const struct command *command);
/* Does a selector of the user allow all that the session listens to, each by any of them? */
bool acl_may_listen(const struct user *user, const struct session *session);
/* True after a NOPERM reply; noted in the log. */
bool acl_refuses(struct call *call);
/* The same inside of EXEC, where the rules have changed since. */
bool acl_refuses_queued(struct call *call);
/* A request of a script, for the session that runs it: true after an error reply; noted in the
 * log. */
bool acl_refuses_script(struct call *call, struct session *session);
/* Append what is denied to whom: the command, or `object`, a key or a channel, which is not named
 * when it is NULL. */
void acl_describe(struct buffer *text, struct bytes user, enum acl_verdict verdict,
                  const struct command *command, const struct bytes *object);

/* ---- the log ---- */

struct acl_entry {
    struct acl_entry *next;
    uint64_t id, count;
    enum acl_reason reason;
    enum acl_context context;
    struct bytes object, user, client; /* client: as CLIENT INFO describes it */
    int64_t created_ms, updated_ms;    /* since 1970 */
};
void acl_note(struct session *session, enum acl_reason reason, enum acl_context context,
              struct bytes object, struct bytes user);
/* The newest first. */
const struct acl_entry *acl_log_first(const struct server *server);
void acl_log_reset(struct server *server);
const char *acl_reason_name(enum acl_reason reason);
const char *acl_context_name(enum acl_context context);

/* ---- files ---- */

/* False with a text: what is wrong, line by line; nothing has changed then. */
bool acl_load_file(struct server *server, struct session *self, struct buffer *error);
/* 0 or a negative errno value. */
int acl_save_file(struct server *server);
/* What CONFIG REWRITE shall write of users. */
void acl_tell_config(struct server *server);

#endif
