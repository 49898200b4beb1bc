/* acl_user.h: one user: its passwords and what it may do. For the files of acl*.c alone; who asks
 * what a session may do reads acl.h.
 *
 * A user has one selector or more; a request is allowed when one of them allows all of it. A
 * selector keeps its rules twice: as a bit for each command, which is what requests are judged by,
 * and as the words that made it so, in their order, which is what people see and files keep.
 *
 *     user -> prepared   a byte for each command: allowed whatever its arguments, or if its one key
 *                        is, or to be found out
 *          -> selectors  [0] the root, of the rules outside of parentheses
 *                            allowed    a bit for each command
 *                            first      "+select|0": this command with this first argument
 *                            keys       "~a*", "%R~b", ...
 *                            channels   "&c*"
 *                            words      "+@read" "-get" ... behind "+@all" or "-@all" */
#ifndef REDSTART_ENGINE_ACL_USER_H
#define REDSTART_ENGINE_ACL_USER_H

#include "base/bytes.h"
#include "base/sha256.h"
#include "engine/command.h"

struct buffer;

enum { ACL_READ = 1, ACL_WRITE = 2, ACL_READ_WRITE = 3 };

/* What user_settle found out of a command. Behind the first two: ACL_READ and ACL_WRITE of its one
 * key, the first argument, are what the root has to allow. */
enum { ACL_PREPARED_NOT, ACL_PREPARED_FREE, ACL_PREPARED_KEY };
static inline uint8_t acl_prepared_key(uint32_t wanted) {
    return (uint8_t)(ACL_PREPARED_KEY + wanted);
}
/* What has to be allowed of a key; 0: that it is named. */
static inline uint32_t acl_wanted_of(uint32_t key_flags) {
    enum { CHANGES = COMMAND_KEY_INSERT | COMMAND_KEY_DELETE | COMMAND_KEY_UPDATE };
    uint32_t wanted = 0;
    if (key_flags & COMMAND_KEY_ACCESS) wanted |= ACL_READ;
    if (key_flags & CHANGES) wanted |= ACL_WRITE;
    return wanted;
}

struct acl_pattern {
    char *text;
    size_t size;
    uint8_t flags;  /* ACL_READ, ACL_WRITE; of keys */
    bool is_prefix; /* only its last byte is special, an asterisk */
};

struct acl_patterns {
    struct acl_pattern *items;
    size_t count;
    bool all; /* ~* or allkeys: every one, without looking */
};

struct acl_word {
    char *text;
    size_t size;
    uint16_t command; /* of first arguments */
};

struct acl_words {
    struct acl_word *items;
    size_t count;
};

struct selector {
    uint64_t *allowed;
    struct acl_words first;
    struct acl_patterns keys, channels;
    struct acl_words words;
    bool begins_with_all; /* "+@all", else "-@all" */
};

struct user {
    char *name;
    size_t name_size;
    const struct command_set *commands;
    bool is_on, no_password;
    bool sanitizes, skips_sanitizing; /* sanitize-payload was said, or its opposite */
    uint8_t (*passwords)[SHA256_SIZE];
    size_t password_count;
    struct selector *selectors; /* at least one */
    size_t selector_count;
    uint8_t *prepared;
    bool is_unrestricted; /* everything is allowed */
};

/* Off, no passwords, nothing allowed but the channels, if `all_channels`. */
struct user *user_open(const struct command_set *commands, struct bytes name, bool all_channels);
struct user *user_copy(const struct user *user);
void user_close(struct user *user);
/* Each has what the other had, but for the name. */
void user_exchange(struct user *a, struct user *b);
/* Take in one rule, parentheses with all in them as one. NULL, or why not; the user is then half
 * changed. `all_channels`: what a reset gives. */
const char *user_apply(struct user *user, struct bytes rule, bool all_channels);
/* After rules were applied: the bits that requests are judged by. */
void user_settle(struct user *user);
/* In a time that does not depend on which password, if any, is the one. */
bool user_knows(const struct user *user, struct bytes password);

/* "on nopass ~* &* +@all", as lines and ACL LIST have it. */
void user_describe(const struct user *user, struct buffer *out);
bool user_equal(const struct user *a, const struct user *b);
/* Parts of it, as ACL GETUSER has them. */
void selector_describe_commands(const struct selector *selector, struct buffer *out);
void selector_describe_keys(const struct selector *selector, struct buffer *out);
void selector_describe_channels(const struct selector *selector, struct buffer *out);
void password_describe(const uint8_t password[SHA256_SIZE], char out[SHA256_TEXT_SIZE]);

/* Within one selector, for the files of acl*.c. */
void selector_init(struct selector *selector, const struct command_set *commands,
                   bool all_channels);
void selector_release(struct selector *selector);
/* A rule of a selector; NULL, or why not. */
const char *selector_apply(struct selector *selector, const struct command_set *commands,
                           struct bytes rule);
void patterns_release(struct acl_patterns *patterns);
void words_release(struct acl_words *words);
void words_add(struct acl_words *words, struct bytes text, uint16_t command);

/* Does the command name channels, and where: arguments first to last (0: to the end). Of patterns
 * of channels `by_pattern`. */
struct acl_channels {
    uint32_t first, last;
    bool by_pattern;
};
bool acl_command_channels(const struct command *command, struct acl_channels *channels);

static inline bool acl_bit(const uint64_t *bits, uint16_t number) {
    return bits[number / 64] >> (number % 64) & 1;
}

#endif
