/* acl_registry.h: what a server keeps of its users, for the files of acl*.c alone. */
#ifndef REDSTART_ENGINE_ACL_REGISTRY_H
#define REDSTART_ENGINE_ACL_REGISTRY_H

#include "base/buffer.h"

struct acl_entry;
struct server;
struct session;
struct user;

struct acl {
    struct user **users; /* by name */
    size_t count;
    struct user *standard; /* "default", which is always there and always the same */
    struct acl_entry *log;
    uint64_t log_count, log_next_id;
};

/* "default on nopass ~* &* +@all". */
void acl_make_standard(struct user *user);
/* Where a name stands, or would. */
size_t acl_place(struct user *const *users, size_t count, struct bytes name, bool *found);
/* Apply rules, parentheses that were cut at their blanks put together. False, and what is wrong
 * with which rule. */
struct acl_fault {
    struct buffer rule;
    const char *reason; /* NULL: a parenthesis without its other one */
};
bool acl_apply(struct server *server, struct user *user, const struct bytes *rules, size_t count,
               struct acl_fault *fault);
/* Take these users in the place of all: those of the same name stay what sessions point to. The
 * default is among them. */
void acl_replace(struct server *server, struct user **users, size_t count, struct session *self);
/* Users of the configuration's lines. */
bool acl_load_statements(struct server *server, char *error, size_t error_size);

#endif
