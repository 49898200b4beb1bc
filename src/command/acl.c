/* acl.c: the commands about users. What users are and may do is in engine/acl.h. */
#include "command/command_handlers.h"

#include "base/memory.h"
#include "base/number.h"
#include "engine/acl.h"
#include "engine/acl_user.h"
#include "engine/call.h"
#include "engine/command.h"
#include "engine/config.h"
#include "engine/server.h"
#include <stdio.h>

static int shown(struct bytes text) {
    return text.size < 128 ? (int)text.size : 128;
}

/* ---- what users are ---- */

void command_acl_whoami(struct call *call) {
    reply_bulk(call->reply, acl_user_name(call->session->user));
}

void command_acl_users(struct call *call) {
    size_t count = acl_user_count(call->server);
    reply_array(call->reply, count);
    for (size_t i = 0; i < count; i++)
        reply_bulk(call->reply, acl_user_name(acl_user_at(call->server, i)));
}

void command_acl_list(struct call *call) {
    size_t count = acl_user_count(call->server);
    struct buffer line = {0};
    reply_array(call->reply, count);
    for (size_t i = 0; i < count; i++) {
        const struct user *user = acl_user_at(call->server, i);
        struct bytes name = acl_user_name(user);
        buffer_clear(&line);
        buffer_append_text(&line, "user ");
        buffer_append(&line, name.data, name.size);
        buffer_append_byte(&line, ' ');
        user_describe(user, &line);
        reply_bulk(call->reply, buffer_bytes(&line));
    }
    buffer_release(&line);
}

static void reply_part(struct call *call, const char *name, const struct selector *selector,
                       void (*describe)(const struct selector *, struct buffer *)) {
    struct buffer text = {0};
    describe(selector, &text);
    reply_bulk_text(call->reply, name);
    reply_bulk(call->reply, buffer_bytes(&text));
    buffer_release(&text);
}

static void reply_selector(struct call *call, const struct selector *selector) {
    reply_part(call, "commands", selector, selector_describe_commands);
    reply_part(call, "keys", selector, selector_describe_keys);
    reply_part(call, "channels", selector, selector_describe_channels);
}

static void reply_flags(struct call *call, const struct user *user) {
    struct reply *reply = call->reply;
    reply_set(reply, 1u + user->no_password + user->sanitizes + user->skips_sanitizing);
    reply_bulk_text(reply, user->is_on ? "on" : "off");
    if (user->no_password) reply_bulk_text(reply, "nopass");
    if (user->sanitizes) reply_bulk_text(reply, "sanitize-payload");
    if (user->skips_sanitizing) reply_bulk_text(reply, "skip-sanitize-payload");
}

void command_acl_getuser(struct call *call) {
    const struct user *user = acl_find(call->server, call->argv[2]);
    struct reply *reply = call->reply;
    if (!user) {
        reply_null(reply);
        return;
    }
    reply_map(reply, 6);
    reply_bulk_text(reply, "flags");
    reply_flags(call, user);
    reply_bulk_text(reply, "passwords");
    reply_array(reply, user->password_count);
    for (size_t i = 0; i < user->password_count; i++) {
        char text[SHA256_TEXT_SIZE];
        password_describe(user->passwords[i], text);
        reply_bulk(reply, bytes_make(text, sizeof text));
    }
    reply_selector(call, &user->selectors[0]);
    reply_bulk_text(reply, "selectors");
    reply_array(reply, user->selector_count - 1);
    for (size_t i = 1; i < user->selector_count; i++) {
        reply_map(reply, 3);
        reply_selector(call, &user->selectors[i]);
    }
}

/* ---- changing them ---- */

void command_acl_setuser(struct call *call) {
    struct buffer error = {0};
    for (uint32_t i = 2; i < call->argc; i++)
        call_hide(call, i);
    if (!acl_name_valid(call->argv[2])) {
        call_error(call, "ERR Usernames can't contain spaces or null characters");
        return;
    }
    buffer_append_text(&error, "ERR ");
    if (acl_set_user(call->server, call->argv[2], call->argv + 3, call->argc - 3, call->session,
                     &error))
        reply_ok(call->reply);
    else
        call_error_text(call, buffer_bytes(&error), true);
    buffer_release(&error);
}

void command_acl_deluser(struct call *call) {
    int64_t deleted = 0;
    for (uint32_t i = 2; i < call->argc; i++) {
        if (!bytes_equal(call->argv[i], BYTES("default"))) continue;
        call_error(call, "ERR The 'default' user cannot be removed");
        return;
    }
    for (uint32_t i = 2; i < call->argc; i++)
        deleted += acl_delete_user(call->server, call->argv[i], call->session);
    reply_integer(call->reply, deleted);
}

/* ---- files ---- */

static bool has_file(struct call *call) {
    if (call->server->config->aclfile.size > 0) return true;
    call_error(call, "ERR This Redis instance is not configured to use an ACL file. You may want "
                     "to specify users via the ACL SETUSER command and then issue a CONFIG REWRITE "
                     "(assuming you have a Redis configuration file set) in order to store users "
                     "in the Redis configuration.");
    return false;
}

void command_acl_load(struct call *call) {
    struct buffer text = {0}, error = {0};
    if (!has_file(call)) return;
    if (acl_load_file(call->server, call->session, &text)) {
        reply_ok(call->reply);
    } else {
        buffer_append_text(&error, "ERR ");
        buffer_append(&error, text.data, text.size);
        call_error_text(call, buffer_bytes(&error), true);
    }
    buffer_release(&text);
    buffer_release(&error);
}

void command_acl_save(struct call *call) {
    if (!has_file(call)) return;
    int result = acl_save_file(call->server);
    if (result == 0) {
        reply_ok(call->reply);
        return;
    }
    log_warning(call->server->log, "Saving ACL file failed: %s", strerror(-result));
    call_error(call, "ERR There was an error trying to save the ACLs. Please check the server logs "
                     "for more information");
}

/* ---- what is there ---- */

static bool is_in(const struct command *command, uint32_t category) {
    return command->categories & category && command->handler;
}

void command_acl_cat(struct call *call) {
    const struct command_set *set = call->server->commands;
    if (call->argc > 3) {
        call_error_subcommand_words(call);
        return;
    }
    if (call->argc == 2) {
        reply_array(call->reply, COMMAND_CATEGORIES);
        for (unsigned i = 0; i < COMMAND_CATEGORIES; i++)
            reply_bulk_text(call->reply, command_category_name(i));
        return;
    }
    uint32_t category = command_category_find(call->argv[2]);
    size_t count = 0;
    if (category == 0) {
        call_error(call, "ERR Unknown category '%.*s'", shown(call->argv[2]), call->argv[2].data);
        return;
    }
    for (uint16_t i = 0; i < set->count; i++)
        count += is_in(&set->commands[i], category);
    reply_array(call->reply, count);
    for (uint16_t i = 0; i < set->count; i++)
        if (is_in(&set->commands[i], category)) reply_bulk(call->reply, set->commands[i].full_name);
}

void command_acl_genpass(struct call *call) {
    enum { BITS = 256, BITS_MAX = 4096 };
    static const char digits[] = "0123456789abcdef";
    uint8_t random[BITS_MAX / 8];
    char text[BITS_MAX / 4];
    int64_t bits = BITS;
    if (call->argc > 3) {
        call_error_subcommand_words(call);
        return;
    }
    if (call->argc == 3 && !call_parse_i64(call, 2, &bits, NULL)) return;
    if (bits <= 0 || bits > BITS_MAX) {
        call_error(call, "ERR ACL GENPASS argument must be the number of bits for the output "
                         "password, a positive number up to 4096");
        return;
    }
    size_t size = ((size_t)bits + 3) / 4;
    io_entropy(call->server->io, random, (size + 1) / 2);
    for (size_t i = 0; i < size; i++)
        text[i] = digits[random[i / 2] >> (i % 2 * 4) & 15];
    reply_bulk(call->reply, bytes_make(text, size));
}

/* ---- what somebody may do ---- */

static void reply_denied(struct call *call, const struct user *user, enum acl_verdict verdict,
                         const struct command *command, const struct bytes *object) {
    struct buffer text = {0};
    acl_describe(&text, bytes_make(user->name, user->name_size), verdict, command, object);
    reply_bulk(call->reply, buffer_bytes(&text));
    buffer_release(&text);
}

void command_acl_dryrun(struct call *call) {
    const struct user *user = acl_find(call->server, call->argv[2]);
    const struct bytes *argv = call->argv + 3;
    size_t argc = call->argc - 3;
    if (!user) {
        call_error(call, "ERR User '%.*s' not found", shown(call->argv[2]), call->argv[2].data);
        return;
    }
    const struct command *command = server_find_command(call->server, argv[0]);
    if (command && command->subcommand_count > 0 && argc > 1)
        command = command_find_subcommand(call->server->commands, command, argv[1]);
    if (!command) {
        call_error(call, "ERR Command '%.*s' not found", shown(argv[0]), argv[0].data);
        return;
    }
    if (!command_arity_fits(command, argc) || !command->handler) {
        call_error(call, "ERR wrong number of arguments for '%.*s' command",
                   (int)command->full_name.size, command->full_name.data);
        return;
    }
    uint32_t position;
    enum acl_verdict verdict = acl_check(user, command, argv, argc, &position);
    if (verdict == ACL_ALLOWED)
        reply_ok(call->reply);
    else
        reply_denied(call, user, verdict, command, &argv[position]);
}

/* ---- what was refused ---- */

static void reply_entry(struct call *call, const struct acl_entry *entry) {
    struct reply *reply = call->reply;
    int64_t age_ms = call->server->now_ms - entry->updated_ms;
    reply_map(reply, 10);
    reply_bulk_text(reply, "count");
    reply_integer(reply, (int64_t)entry->count);
    reply_bulk_text(reply, "reason");
    reply_bulk_text(reply, acl_reason_name(entry->reason));
    reply_bulk_text(reply, "context");
    reply_bulk_text(reply, acl_context_name(entry->context));
    reply_bulk_text(reply, "object");
    reply_bulk(reply, entry->object);
    reply_bulk_text(reply, "username");
    reply_bulk(reply, entry->user);
    reply_bulk_text(reply, "age-seconds");
    reply_double(reply, (double)age_ms / 1000);
    reply_bulk_text(reply, "client-info");
    reply_bulk(reply, entry->client);
    reply_bulk_text(reply, "entry-id");
    reply_integer(reply, (int64_t)entry->id);
    reply_bulk_text(reply, "timestamp-created");
    reply_integer(reply, entry->created_ms);
    reply_bulk_text(reply, "timestamp-last-updated");
    reply_integer(reply, entry->updated_ms);
}

void command_acl_log(struct call *call) {
    enum { SHOWN = 10 };
    int64_t wanted = SHOWN, count = 0;
    if (call->argc > 3) {
        call_error_subcommand_words(call);
        return;
    }
    if (call_argument_is(call, 2, "reset")) {
        acl_log_reset(call->server);
        reply_ok(call->reply);
        return;
    }
    if (call->argc == 3 && !call_parse_i64(call, 2, &wanted, NULL)) return;
    const struct acl_entry *first = acl_log_first(call->server);
    for (const struct acl_entry *entry = first; entry && count < wanted; entry = entry->next)
        count++;
    reply_array(call->reply, (size_t)count);
    for (const struct acl_entry *entry = first; count > 0; entry = entry->next, count--)
        reply_entry(call, entry);
}
