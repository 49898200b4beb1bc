/* introspection.c: COMMAND, and HELP of all families: what the server says of its own commands.
 * Reads the descriptions and nothing else; owns nothing; must never touch a key. */
#include "base/glob.h"
#include "command/command_handlers.h"
#include "engine/call.h"
#include "engine/command.h"
#include "engine/server.h"

/* ---- COMMAND INFO ---- */

static void reply_flags(struct reply *reply, uint32_t flags, unsigned bits,
                        const char *(*name)(unsigned bit)) {
    uint32_t shown = flags & (uint32_t)((UINT64_C(1) << bits) - 1);
    reply_set(reply, (size_t)__builtin_popcount(shown));
    for (unsigned bit = 0; bit < bits; bit++) {
        if ((shown & UINT32_C(1) << bit) != 0) reply_simple(reply, name(bit));
    }
}

static void reply_categories(struct reply *reply, uint32_t categories) {
    reply_set(reply, (size_t)__builtin_popcount(categories));
    for (unsigned bit = 0; bit < COMMAND_CATEGORIES; bit++) {
        if ((categories & UINT32_C(1) << bit) == 0) continue;
        char text[COMMAND_NAME_MAX + 2] = "@";
        strncat(text, command_category_name(bit), sizeof text - 2);
        reply_simple(reply, text);
    }
}

static void reply_field_integer(struct reply *reply, const char *name, int64_t number) {
    reply_bulk_text(reply, name);
    reply_integer(reply, number);
}

static void reply_field_text(struct reply *reply, const char *name, const char *text) {
    reply_bulk_text(reply, name);
    reply_bulk_text(reply, text);
}

/* How a key is looked for: of this type, with so many fields, which follow. */
static void reply_search(struct reply *reply, const char *type, uint32_t fields) {
    reply_field_text(reply, "type", type);
    reply_bulk_text(reply, "spec");
    reply_map(reply, fields);
}

static void reply_key_begin(struct reply *reply, const struct command_key_spec *spec) {
    reply_bulk_text(reply, "begin_search");
    reply_map(reply, 2);
    switch ((enum command_key_begin)spec->begin) {
    case COMMAND_KEY_BEGIN_UNKNOWN: reply_search(reply, "unknown", 0); break;
    case COMMAND_KEY_BEGIN_INDEX:
        reply_search(reply, "index", 1);
        reply_field_integer(reply, "index", spec->index);
        break;
    case COMMAND_KEY_BEGIN_KEYWORD:
        reply_search(reply, "keyword", 2);
        reply_field_text(reply, "keyword", spec->keyword);
        reply_field_integer(reply, "startfrom", spec->index);
        break;
    }
}

static void reply_key_find(struct reply *reply, const struct command_key_spec *spec) {
    reply_bulk_text(reply, "find_keys");
    reply_map(reply, 2);
    switch ((enum command_key_find)spec->find) {
    case COMMAND_KEY_FIND_UNKNOWN: reply_search(reply, "unknown", 0); break;
    case COMMAND_KEY_FIND_RANGE:
        reply_search(reply, "range", 3);
        reply_field_integer(reply, "lastkey", spec->last);
        reply_field_integer(reply, "keystep", spec->step);
        reply_field_integer(reply, "limit", spec->limit);
        break;
    case COMMAND_KEY_FIND_KEYNUM:
        reply_search(reply, "keynum", 3);
        reply_field_integer(reply, "keynumidx", spec->number_index);
        reply_field_integer(reply, "firstkey", spec->first);
        reply_field_integer(reply, "keystep", spec->step);
        break;
    }
}

static void reply_key_specs(struct reply *reply, const struct command *command) {
    reply_set(reply, command->key_spec_count);
    for (unsigned i = 0; i < command->key_spec_count; i++) {
        const struct command_key_spec *spec = &command->key_specs[i];
        reply_map(reply, spec->notes != NULL ? 4 : 3);
        if (spec->notes != NULL) reply_field_text(reply, "notes", spec->notes);
        reply_bulk_text(reply, "flags");
        reply_flags(reply, spec->flags, COMMAND_KEY_FLAGS, command_key_flag_name);
        reply_key_begin(reply, spec);
        reply_key_find(reply, spec);
    }
}

/* NULL: an unknown command. */
static void reply_command_info(struct reply *reply, const struct command *command) {
    if (command == NULL) {
        reply_null(reply);
        return;
    }
    reply_array(reply, 10);
    reply_bulk(reply, command->full_name);
    reply_integer(reply, command->arity);
    reply_flags(reply, command->flags, COMMAND_FLAGS_SHOWN, command_flag_name);
    reply_integer(reply, command->first_key);
    reply_integer(reply, command->last_key);
    reply_integer(reply, command->key_step);
    reply_categories(reply, command->categories);
    reply_set(reply, command->docs->tip_count);
    for (unsigned i = 0; i < command->docs->tip_count; i++) {
        reply_bulk_text(reply, command->docs->tips[i]);
    }
    reply_key_specs(reply, command);
    reply_set(reply, command->subcommand_count);
    for (unsigned i = 0; i < command->subcommand_count; i++) {
        reply_command_info(reply, &command->subcommands[i]);
    }
}

static void reply_all_info(struct call *call) {
    const struct command_set *set = call->server->commands;
    reply_array(call->reply, set->top_count);
    for (unsigned i = 0; i < set->top_count; i++) {
        reply_command_info(call->reply, &set->commands[i]);
    }
}

void command_command(struct call *call) {
    reply_all_info(call);
}

void command_command_info(struct call *call) {
    if (call->argc == 2) {
        reply_all_info(call);
        return;
    }
    reply_array(call->reply, call->argc - 2);
    for (uint32_t i = 2; i < call->argc; i++) {
        reply_command_info(call->reply, command_find_full(call->server->commands, call->argv[i]));
    }
}

void command_command_count(struct call *call) {
    reply_integer(call->reply, call->server->commands->top_count);
}

/* ---- COMMAND DOCS ---- */

static void reply_arguments(struct reply *reply, const struct command_argument *arguments,
                            unsigned count);

static void reply_argument(struct reply *reply, const struct command_argument *argument) {
    size_t fields = 2 + (argument->display != NULL) + (argument->key_spec >= 0) +
                    (argument->token != NULL) + (argument->since != NULL) +
                    (argument->deprecated_since != NULL) + (argument->flags != 0) +
                    (argument->argument_count > 0);
    reply_map(reply, fields);
    reply_field_text(reply, "name", argument->name);
    reply_field_text(reply, "type", command_argument_type_name(argument->type));
    if (argument->display != NULL) reply_field_text(reply, "display_text", argument->display);
    if (argument->key_spec >= 0) {
        reply_field_integer(reply, "key_spec_index", argument->key_spec);
    }
    if (argument->token != NULL) reply_field_text(reply, "token", argument->token);
    if (argument->since != NULL) reply_field_text(reply, "since", argument->since);
    if (argument->deprecated_since != NULL) {
        reply_field_text(reply, "deprecated_since", argument->deprecated_since);
    }
    if (argument->flags != 0) {
        reply_bulk_text(reply, "flags");
        reply_flags(reply, argument->flags, COMMAND_ARGUMENT_FLAGS, command_argument_flag_name);
    }
    if (argument->argument_count > 0) {
        reply_bulk_text(reply, "arguments");
        reply_arguments(reply, argument->arguments, argument->argument_count);
    }
}

static void reply_arguments(struct reply *reply, const struct command_argument *arguments,
                            unsigned count) {
    reply_array(reply, count);
    for (unsigned i = 0; i < count; i++)
        reply_argument(reply, &arguments[i]);
}

static void reply_history(struct reply *reply, const struct command_docs *docs) {
    reply_bulk_text(reply, "history");
    reply_set(reply, docs->history_count);
    for (unsigned i = 0; i < docs->history_count; i++) {
        reply_array(reply, 2);
        reply_bulk_text(reply, docs->history[i].since);
        reply_bulk_text(reply, docs->history[i].text);
    }
}

static void reply_doc_flags(struct reply *reply, const struct command_docs *docs) {
    bool deprecated = docs->deprecated_since != NULL;
    reply_bulk_text(reply, "doc_flags");
    reply_set(reply, (size_t)deprecated + (size_t)docs->syscmd);
    if (deprecated) reply_simple(reply, "deprecated");
    if (docs->syscmd) reply_simple(reply, "syscmd");
}

/* One pair of a map: the name and what there is to say. */
static void reply_command_docs(struct reply *reply, const struct command *command) {
    const struct command_docs *docs = command->docs;
    bool deprecated = docs->deprecated_since != NULL;
    size_t fields = 3 + (docs->complexity != NULL) + (deprecated || docs->syscmd) +
                    2 * (size_t)deprecated + (docs->history_count > 0) +
                    (docs->argument_count > 0) + (command->subcommand_count > 0);
    reply_bulk(reply, command->full_name);
    reply_map(reply, fields);
    reply_field_text(reply, "summary", docs->summary);
    reply_field_text(reply, "since", docs->since);
    reply_field_text(reply, "group", docs->group);
    if (docs->complexity != NULL) reply_field_text(reply, "complexity", docs->complexity);
    if (deprecated || docs->syscmd) reply_doc_flags(reply, docs);
    if (deprecated) {
        reply_field_text(reply, "deprecated_since", docs->deprecated_since);
        reply_field_text(reply, "replaced_by", docs->replaced_by);
    }
    if (docs->history_count > 0) reply_history(reply, docs);
    if (docs->argument_count > 0) {
        reply_bulk_text(reply, "arguments");
        reply_arguments(reply, docs->arguments, docs->argument_count);
    }
    if (command->subcommand_count > 0) {
        reply_bulk_text(reply, "subcommands");
        reply_map(reply, command->subcommand_count);
        for (unsigned i = 0; i < command->subcommand_count; i++) {
            reply_command_docs(reply, &command->subcommands[i]);
        }
    }
}

void command_command_docs(struct call *call) {
    const struct command_set *set = call->server->commands;
    if (call->argc == 2) {
        reply_map(call->reply, set->top_count);
        for (unsigned i = 0; i < set->top_count; i++) {
            reply_command_docs(call->reply, &set->commands[i]);
        }
        return;
    }
    size_t known = 0;
    for (uint32_t i = 2; i < call->argc; i++) {
        known += command_find_full(set, call->argv[i]) != NULL;
    }
    reply_map(call->reply, known);
    for (uint32_t i = 2; i < call->argc; i++) {
        const struct command *command = command_find_full(set, call->argv[i]);
        if (command != NULL) reply_command_docs(call->reply, command);
    }
}

/* ---- COMMAND LIST ---- */

enum list_by { LIST_NONE, LIST_ALL, LIST_BY_CATEGORY, LIST_BY_PATTERN };

struct list_filter {
    enum list_by by;
    uint32_t category;
    struct bytes pattern;
};

static bool list_includes(const struct list_filter *filter, const struct command *command) {
    switch (filter->by) {
    case LIST_NONE: return false;
    case LIST_ALL: return true;
    case LIST_BY_CATEGORY: return (command->categories & filter->category) != 0;
    case LIST_BY_PATTERN: return glob_match(filter->pattern, command->full_name, true);
    }
    return false;
}

/* Replies the names that pass the filter when `reply` is not NULL; returns how many. */
static size_t list_names(const struct command_set *set, const struct list_filter *filter,
                         struct reply *reply) {
    size_t count = 0;
    for (unsigned i = 0; i < set->top_count; i++) {
        const struct command *command = &set->commands[i];
        for (unsigned j = 0; j <= command->subcommand_count; j++) {
            const struct command *one = j == 0 ? command : &command->subcommands[j - 1];
            if (!list_includes(filter, one)) continue;
            if (reply != NULL) reply_bulk(reply, one->full_name);
            count++;
        }
    }
    return count;
}

/* False after an error reply. There are no modules, so none has a command. */
static bool parse_list_filter(struct call *call, struct list_filter *filter) {
    bool filtered = call->argc == 5 && call_argument_is(call, 2, "filterby");
    if (call->argc == 2) {
        filter->by = LIST_ALL;
    } else if (filtered && call_argument_is(call, 3, "module")) {
        filter->by = LIST_NONE;
    } else if (filtered && call_argument_is(call, 3, "aclcat")) {
        filter->by = LIST_BY_CATEGORY;
        filter->category = command_category_find(call->argv[4]);
    } else if (filtered && call_argument_is(call, 3, "pattern")) {
        filter->by = LIST_BY_PATTERN;
        filter->pattern = call->argv[4];
    } else {
        call_error_syntax(call);
        return false;
    }
    return true;
}

void command_command_list(struct call *call) {
    const struct command_set *set = call->server->commands;
    struct list_filter filter = {.by = LIST_NONE};
    if (!parse_list_filter(call, &filter)) return;
    reply_array(call->reply, list_names(set, &filter, NULL));
    list_names(set, &filter, call->reply);
}

/* ---- COMMAND GETKEYS ---- */

static void reply_keys(struct call *call, const struct bytes *argv, const struct command_keys *keys,
                       bool with_flags) {
    reply_array(call->reply, keys->count);
    for (uint32_t i = 0; i < keys->count; i++) {
        const struct command_key *key = &keys->keys[i];
        if (with_flags) reply_array(call->reply, 2);
        reply_bulk(call->reply, argv[key->position]);
        if (with_flags) {
            reply_flags(call->reply, key->flags, COMMAND_KEY_FLAGS, command_key_flag_name);
        }
    }
}

static void get_keys(struct call *call, bool with_flags) {
    const struct bytes *argv = call->argv + 2;
    size_t argc = call->argc - 2;
    const struct command *container;
    const struct command *command = command_resolve(call->server->commands, argv, argc, &container);
    if (command == NULL) {
        call_error(call, "ERR Invalid command specified");
        return;
    }
    if (!command_has_keys(command)) {
        call_error(call, "ERR The command has no key arguments");
        return;
    }
    if (!command_arity_fits(command, argc)) {
        call_error(call, "ERR Invalid number of arguments specified for command");
        return;
    }
    struct command_keys keys = {.count = 0};
    bool sound = command_keys_find(command, argv, argc, &keys);
    if (!sound || keys.count == 0) {
        if ((command->flags & COMMAND_NO_MANDATORY_KEYS) != 0) {
            reply_array(call->reply, 0);
        } else {
            call_error(call, "ERR Invalid arguments specified for command");
        }
    } else {
        reply_keys(call, argv, &keys, with_flags);
    }
    command_keys_release(&keys);
}

void command_command_getkeys(struct call *call) {
    get_keys(call, false);
}

void command_command_getkeysandflags(struct call *call) {
    get_keys(call, true);
}

/* ---- HELP ---- */

/* The lines of the container, or of the command itself where its handler knows the subcommands. */
void command_help(struct call *call) {
    const struct command *command = call->command;
    if (command->parent != NULL) command = command->parent;
    reply_array(call->reply, command->docs->help_count);
    for (unsigned i = 0; i < command->docs->help_count; i++) {
        reply_simple(call->reply, command->docs->help[i]);
    }
}
