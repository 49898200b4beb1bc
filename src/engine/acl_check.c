/* acl_check.c: may this user run this request? Changes no user, knows no rule's words. */
#include "base/glob.h"
#include "base/invariant.h"
#include "base/memory.h"
#include "engine/acl.h"
#include "engine/acl_user.h"
#include "engine/call.h"
#include "engine/command.h"
#include "engine/server.h"

/* ---- channels ---- */

bool acl_command_channels(const struct command *command, struct acl_channels *channels) {
    static const struct {
        const char *name;
        struct acl_channels channels;
    } known[] = {
        {"publish", {1, 1, false}},    {"spublish", {1, 1, false}},  {"subscribe", {1, 0, false}},
        {"ssubscribe", {1, 0, false}}, {"psubscribe", {1, 0, true}},
    };
    if (!(command->flags & COMMAND_PUBSUB)) return false;
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        if (!bytes_is(command->full_name, known[i].name)) continue;
        *channels = known[i].channels;
        return true;
    }
    return false;
}

/* A pattern is allowed only by its equal: what it matches is not known. */
static bool allows_channel(const struct acl_patterns *patterns, struct bytes name,
                           bool by_pattern) {
    if (patterns->all) return true;
    for (size_t i = 0; i < patterns->count; i++) {
        struct bytes pattern = bytes_make(patterns->items[i].text, patterns->items[i].size);
        if (by_pattern ? bytes_equal(pattern, name) : glob_match(pattern, name, false)) return true;
    }
    return false;
}

static bool channels_fit(const struct selector *selector, const struct command *command,
                         const struct bytes *argv, size_t argc, uint32_t *position) {
    struct acl_channels channels;
    if (!acl_command_channels(command, &channels)) return true;
    size_t last = channels.last == 0 || channels.last >= argc ? argc - 1 : channels.last;
    for (size_t i = channels.first; i <= last; i++) {
        if (allows_channel(&selector->channels, argv[i], channels.by_pattern)) continue;
        *position = (uint32_t)i;
        return false;
    }
    return true;
}

static bool hears(const void *context, enum pubsub_kind kind, struct bytes name) {
    const struct user *user = context;
    for (size_t i = 0; i < user->selector_count; i++)
        if (allows_channel(&user->selectors[i].channels, name, kind == PUBSUB_PATTERN)) return true;
    return false;
}

bool acl_may_listen(const struct user *user, const struct session *session) {
    return pubsub_all(session, hears, user);
}

/* ---- keys ---- */

static inline bool key_matches(const struct acl_pattern *pattern, struct bytes key) {
    if (pattern->is_prefix && key.size > 0)
        return key.size >= pattern->size - 1 &&
               memcmp(key.data, pattern->text, pattern->size - 1) == 0;
    return glob_match(bytes_make(pattern->text, pattern->size), key, false);
}

static bool allows_key(const struct acl_patterns *patterns, struct bytes key, uint32_t wanted) {
    for (size_t i = 0; i < patterns->count; i++) {
        const struct acl_pattern *pattern = &patterns->items[i];
        if ((pattern->flags & wanted) == wanted && key_matches(pattern, key)) return true;
    }
    return false;
}

/* The keys of a request, found once for all selectors. */
struct key_search {
    struct command_keys keys;
    bool done;
};

static bool keys_fit(const struct selector *selector, const struct command *command,
                     const struct bytes *argv, size_t argc, struct key_search *search,
                     uint32_t *position) {
    if (selector->keys.all || !command_has_keys(command)) return true;
    if (!search->done) {
        search->done = true;
        command_keys_find(command, argv, argc, &search->keys);
    }
    for (uint32_t i = 0; i < search->keys.count; i++) {
        const struct command_key *key = &search->keys.keys[i];
        if (allows_key(&selector->keys, argv[key->position], acl_wanted_of(key->flags))) continue;
        *position = key->position;
        return false;
    }
    return true;
}

/* ---- the whole ---- */

static bool allows_first(const struct selector *selector, const struct command *command,
                         const struct bytes *argv, size_t argc) {
    if (argc < 2) return false;
    for (size_t i = 0; i < selector->first.count; i++) {
        const struct acl_word *word = &selector->first.items[i];
        if (word->command == command->number &&
            bytes_equal_ignore_case(bytes_make(word->text, word->size), argv[1]))
            return true;
    }
    return false;
}

static enum acl_verdict judge(const struct selector *selector, const struct command *command,
                              const struct bytes *argv, size_t argc, struct key_search *search,
                              uint32_t *position) {
    *position = 0;
    bool allowed = acl_bit(selector->allowed, command->number) ||
                   command->flags & COMMAND_NO_AUTH || allows_first(selector, command, argv, argc);
    if (!allowed) return ACL_DENIED_COMMAND;
    if (!keys_fit(selector, command, argv, argc, search, position)) return ACL_DENIED_KEY;
    if (!channels_fit(selector, command, argv, argc, position)) return ACL_DENIED_CHANNEL;
    return ACL_ALLOWED;
}

static enum acl_verdict judge_all(const struct user *user, const struct command *command,
                                  const struct bytes *argv, size_t argc, uint32_t *position) {
    struct key_search search;
    search.keys.keys = NULL;
    search.keys.count = search.keys.capacity = 0;
    search.done = false;
    enum acl_verdict worst = ACL_ALLOWED;
    *position = 0;
    for (size_t i = 0; i < user->selector_count; i++) {
        uint32_t at;
        enum acl_verdict verdict = judge(&user->selectors[i], command, argv, argc, &search, &at);
        if (verdict == ACL_ALLOWED) {
            worst = ACL_ALLOWED;
            break;
        }
        if (verdict > worst || (verdict == worst && at > *position)) {
            worst = verdict;
            *position = at;
        }
    }
    if (search.keys.keys != NULL && search.keys.keys != search.keys.own)
        memory_free(search.keys.keys);
    return worst;
}

enum acl_verdict acl_check(const struct user *user, const struct command *command,
                           const struct bytes *argv, size_t argc, uint32_t *position) {
    uint8_t prepared = user ? user->prepared[command->number] : ACL_PREPARED_FREE;
    if (prepared == ACL_PREPARED_FREE) return ACL_ALLOWED;
    if (prepared >= ACL_PREPARED_KEY && argc > 1 &&
        allows_key(&user->selectors[0].keys, argv[1], prepared - (uint32_t)ACL_PREPARED_KEY))
        return ACL_ALLOWED;
    return judge_all(user, command, argv, argc, position); /* also says what is wrong */
}

bool acl_reads_any_key(const struct user *user, const struct command *command) {
    if (!user) return true;
    for (size_t i = 0; i < user->selector_count; i++) {
        const struct selector *selector = &user->selectors[i];
        bool any = selector->keys.all;
        for (size_t k = 0; k < selector->keys.count && !any; k++)
            any = selector->keys.items[k].flags & ACL_READ && selector->keys.items[k].size == 1 &&
                  selector->keys.items[k].text[0] == '*';
        if (any && acl_bit(selector->allowed, command->number)) return true;
    }
    return false;
}

/* ---- refusals ---- */

static void note(struct session *session, enum acl_context context, enum acl_verdict verdict,
                 const struct command *command, struct bytes object) {
    if (verdict == ACL_DENIED_COMMAND) object = command->full_name;
    acl_note(session, (enum acl_reason)verdict, context, object, acl_user_name(session->user));
}

static enum acl_context context_of(const struct session *session) {
    return session->flags & SESSION_MULTI ? ACL_MULTI : ACL_TOPLEVEL;
}

/* Noted; what is wrong with the request. */
static enum acl_verdict judge_call(struct call *call, enum acl_context context) {
    uint32_t position;
    struct session *session = call->session;
    enum acl_verdict verdict =
        acl_check(session->user, call->command, call->argv, call->argc, &position);
    if (likely(verdict == ACL_ALLOWED)) return verdict;
    note(session, context, verdict, call->command, call->argv[position]);
    return verdict;
}

void acl_describe(struct buffer *text, struct bytes user, enum acl_verdict verdict,
                  const struct command *command, const struct bytes *object) {
    const char *what = verdict == ACL_DENIED_KEY ? "key" : "channel";
    if (verdict != ACL_DENIED_COMMAND && !object) {
        buffer_append_format(text, "No permissions to access a %s", what);
        return;
    }
    buffer_append_text(text, "User ");
    buffer_append(text, user.data, user.size);
    buffer_append_text(text, " has no permissions to ");
    if (verdict == ACL_DENIED_COMMAND) {
        object = &command->full_name;
        what = "command";
    }
    buffer_append_text(text, verdict == ACL_DENIED_COMMAND ? "run the '" : "access the '");
    buffer_append(text, object->data, object->size);
    buffer_append_format(text, "' %s", what);
}

static void deny(struct call *call, const char *head, const struct user *user,
                 enum acl_verdict verdict) {
    struct buffer text = {0};
    acl_describe(&text, acl_user_name(user), verdict, call->command, NULL);
    call_error(call, "%s %.*s", head, (int)text.size, text.data);
    buffer_release(&text);
}

bool acl_refuses(struct call *call) {
    enum acl_verdict verdict = judge_call(call, context_of(call->session));
    if (likely(verdict == ACL_ALLOWED)) return false;
    deny(call, "NOPERM", call->session->user, verdict);
    return true;
}

bool acl_refuses_queued(struct call *call) {
    static const char *const reasons[] = {
        [ACL_DENIED_COMMAND] = "no permission to execute the command or subcommand",
        [ACL_DENIED_KEY] = "no permission to touch the specified keys",
        [ACL_DENIED_CHANNEL] = "no permission to access one of the channels used as arguments",
    };
    enum acl_verdict verdict = judge_call(call, ACL_MULTI);
    if (verdict == ACL_ALLOWED) return false;
    call_error(call,
               "NOPERM ACLs rules changed between the moment the transaction was accumulated and "
               "the EXEC call. This command is no longer allowed for the following reason: %s",
               reasons[verdict]);
    return true;
}

bool acl_refuses_script(struct call *call, struct session *session) {
    uint32_t position;
    enum acl_verdict verdict =
        acl_check(session->user, call->command, call->argv, call->argc, &position);
    if (likely(verdict == ACL_ALLOWED)) return false;
    note(session, ACL_LUA, verdict, call->command, call->argv[position]);
    deny(call, "ERR ACL failure in script:", session->user, verdict);
    return true;
}
