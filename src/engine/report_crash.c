/* report_crash.c: what a crash report says of the server: the request that was running, and INFO.
 *
 * Runs on a thread that is dying, perhaps inside the allocator: it takes no memory (the buffer was
 * made large enough before, and is used anew for each part), no lock, and asks the allocator
 * nothing. It reads structures that may be broken; should that fault again, base/invariant.c ends
 * the report. */
#include "base/invariant.h"
#include "base/memory.h"
#include "engine/command.h"
#include "engine/config.h"
#include "engine/report_section.h"
#include "engine/server.h"

enum {
    CRASH_BUFFER_SIZE = 256 * 1024, /* more than the largest section needs */
    CRASH_DATABASES_MAX = 1024,     /* with more of them, their section might not fit */
    ARGUMENTS_MAX = 16,
    ARGUMENT_SHOWN_MAX = 96,
    PRINT_STEP = 512,
};

struct server_reporter {
    const struct server *server;
    struct buffer text;
};

/* Commands whose arguments are secrets, or may be, whatever name they were given. */
static bool is_secret(const struct command *command) {
    static const char *const secret[] = {"auth",    "hello",    "acl",       "config",
                                         "migrate", "sentinel", "replicaof", "slaveof"};
    if (!command) return true;
    struct bytes name = command->parent ? command->parent->name : command->name;
    for (size_t i = 0; i < sizeof secret / sizeof secret[0]; i++) {
        if (bytes_is(name, secret[i])) return true;
    }
    return false;
}

/* What is not printable, and the quote itself, as \xNN. */
static void append_argument(struct buffer *out, struct bytes argument) {
    size_t shown = argument.size < ARGUMENT_SHOWN_MAX ? argument.size : ARGUMENT_SHOWN_MAX;
    buffer_append_byte(out, '\'');
    for (size_t i = 0; i < shown; i++) {
        char c = argument.data[i];
        if (c >= ' ' && c <= '~' && c != '\'' && c != '\\')
            buffer_append_byte(out, c);
        else
            buffer_append_format(out, "\\x%02x", (unsigned)(uint8_t)c);
    }
    buffer_append_byte(out, '\'');
    if (shown < argument.size)
        buffer_append_format(out, "... (%zu more bytes)", argument.size - shown);
}

static void append_request(const struct server *server, struct buffer *out) {
    const struct turn_item *item = server->turn.executing_item;
    if (item == NULL || item->request.count == 0) {
        buffer_append_text(out, "None\n");
        return;
    }
    const struct request *request = &item->request;
    bool hidden = server->config->hide_user_data_from_log || is_secret(item->command);
    uint32_t shown = request->count < ARGUMENTS_MAX ? request->count : ARGUMENTS_MAX;
    for (uint32_t i = 0; i < shown; i++) {
        struct bytes argument = request->arguments[i];
        buffer_append_format(out, "argv[%u]: ", i);
        if (i == 0 || !hidden)
            append_argument(out, argument);
        else
            buffer_append_format(out, "(%zu bytes, not shown)", argument.size);
        buffer_append_byte(out, '\n');
    }
    if (shown < request->count)
        buffer_append_format(out, "... (%u more arguments)\n", request->count - shown);
}

static void append_session(const struct server *server, struct buffer *out) {
    if (server->turn.executing == NULL)
        buffer_append_text(out, "None");
    else
        session_describe_in_log(server->turn.executing, out);
    buffer_append_byte(out, '\n');
}

/* `print` wants a zero behind the text, and the text may be long. */
static void print_all(struct buffer *text, void (*print)(const char *text)) {
    char step[PRINT_STEP];
    for (size_t at = 0; at < text->size;) {
        size_t size = text->size - at < sizeof step - 1 ? text->size - at : sizeof step - 1;
        memcpy(step, text->data + at, size);
        step[size] = 0;
        print(step);
        at += size;
    }
    buffer_clear(text);
}

static void write_more(void *context, void (*print)(const char *text)) {
    struct server_reporter *reporter = context;
    const struct server *server = reporter->server;
    struct report report = {.server = server, .out = &reporter->text, .is_crash = true};
    buffer_clear(&reporter->text);
    print("\n------ CURRENT CLIENT INFO ------\n");
    append_session(server, &reporter->text);
    print_all(&reporter->text, print);
    print("\n------ CURRENT REQUEST ------\n");
    append_request(server, &reporter->text);
    print_all(&reporter->text, print);
    print("\n------ INFO OUTPUT ------\n");
    for (uint32_t section = 1; (section & REPORT_ALL) != 0; section <<= 1) {
        if (section == REPORT_KEYSPACE && server->keyspace.database_count > CRASH_DATABASES_MAX)
            continue;
        report_append_all(&report, section);
        print_all(&reporter->text, print);
        print("\n");
    }
}

struct server_reporter *server_install_reporter(struct server *server,
                                                struct invariant_reporter *invariant) {
    struct server_reporter *reporter = memory_alloc_zeroed(1, sizeof *reporter);
    reporter->server = server;
    memset(buffer_reserve(&reporter->text, CRASH_BUFFER_SIZE), 0, CRASH_BUFFER_SIZE);
    invariant->write_more = write_more;
    invariant->context = reporter;
    invariant_set_reporter(invariant);
    return reporter;
}

void server_remove_reporter(struct server_reporter *reporter) {
    if (reporter == NULL) return;
    invariant_set_reporter(NULL);
    buffer_release(&reporter->text);
    memory_free(reporter);
}
