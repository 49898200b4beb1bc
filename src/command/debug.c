/* debug.c: DEBUG: which subcommands there are, and those that are about the server. Those about
 * data are in debug_data.c, those about the protocol in debug_protocol.c. Whether DEBUG is allowed
 * at all has been decided before. */
#include "command/debug.h"
#include "command/command_handlers.h"

#include "base/glob.h"
#include "base/invariant.h"
#include "base/memory.h"
#include "base/number.h"
#include "engine/config.h"
#include "engine/server.h"
#include <stdio.h>

enum {
    LOG_SHOWN_MAX = LOG_LINE_MAX - 64,
    ARGUMENTS_ANY = -1,
};
#define SLEEP_SECONDS_MAX       1e9
#define QUICKLIST_THRESHOLD_MAX (UINT64_C(4) << 30)

/* ---- the server ---- */

/* What is no number is 0, as in Redis. */
static void debug_sleep(struct call *call) {
    struct io *io = call->server->io;
    double seconds;
    if (!number_parse_double(call->argv[2], &seconds) || seconds < 0) seconds = 0;
    if (seconds > SLEEP_SECONDS_MAX) seconds = SLEEP_SECONDS_MAX;
    if (seconds > 0) io->operations->sleep_us(io, (int64_t)(seconds * 1e6));
    reply_ok(call->reply);
}

/* Anything but 0 is 1. */
static void debug_set_active_expire(struct call *call) {
    int64_t wanted;
    call->server->active_expire = number_parse_i64(call->argv[2], &wanted) && wanted != 0;
    reply_ok(call->reply);
}

static void debug_log(struct call *call) {
    struct bytes text = call->argv[2];
    int size = text.size < LOG_SHOWN_MAX ? (int)text.size : LOG_SHOWN_MAX;
    log_warning(call->server->log, "DEBUG LOG: %.*s", size, text.data);
    reply_ok(call->reply);
}

static void debug_stringmatch_len(struct call *call) {
    int64_t size, size_max = (int64_t)call->server->config->proto_max_bulk_len;
    if (!number_parse_i64(call->argv[2], &size)) {
        call_error_subcommand_words(call);
        return;
    }
    if (!call_parse_range(call, 2, 0, size_max, &size, NULL)) return;
    char *text = memory_try_alloc((size_t)size + 1);
    if (text == NULL) {
        call_error(call, "ERR there is no memory for a text of that length");
        return;
    }
    memset(text, 'A', (size_t)size);
    reply_integer(call->reply, glob_match(call->argv[3], bytes_make(text, (size_t)size), false));
    memory_free(text);
}

static void debug_structsize(struct call *call) {
    char text[128];
    int size = snprintf(text, sizeof text, "bits:%zu entry:%zu blob:%zu session:%zu database:%zu",
                        sizeof(void *) * 8, sizeof(struct entry), sizeof(struct blob),
                        sizeof(struct session), sizeof(struct database));
    reply_bulk(call->reply, bytes_make(text, (size_t)size));
}

/* From now on the history of this server is another one. */
static void debug_change_repl_id(struct call *call) {
    replication_forget(call->server);
    reply_ok(call->reply);
}

/* Into the stream, and not run here. Replicas stop at what they cannot run: only whole commands. */
static void debug_replicate(struct call *call) {
    const struct server *server = call->server;
    const struct bytes *words = call->argv + 2;
    size_t count = call->argc - 2;
    const struct command *container,
        *command = command_resolve(server->commands, words, count, &container);
    if (server->replication.is_replica) {
        call_error(call, "ERR This server is a replica: the stream is its primary's");
        return;
    }
    if (!command || !command_arity_fits(command, count)) {
        call_error(call, "ERR DEBUG REPLICATE needs a command with its arguments");
        return;
    }
    call_effect(call, call->database, words, count);
    reply_ok(call->reply);
}

/* ---- crashes ---- */

static void debug_assert(struct call *call) {
    (void)call;
    invariant_broken("DEBUG ASSERT", __FILE__, __LINE__);
}

static void debug_panic(struct call *call) {
    (void)call;
    invariant_panic("DEBUG PANIC was asked for");
}

static void debug_segfault(struct call *call) {
    volatile char *volatile nowhere = NULL;
    *nowhere = 'x';
    reply_ok(call->reply);
}

/* ---- accepted, without effect ---- */

/* Knobs of Redis's insides that have no counterpart here. */
static void debug_accept(struct call *call) {
    reply_ok(call->reply);
}

static void debug_quicklist_packed_threshold(struct call *call) {
    uint64_t size;
    if (number_parse_memory(call->argv[2], &size) && call->argv[2].size > 0 &&
        call->argv[2].data[0] >= '0' && call->argv[2].data[0] <= '9' &&
        size <= QUICKLIST_THRESHOLD_MAX) {
        reply_ok(call->reply);
        return;
    }
    call_error(call, "ERR argument must be a memory value bigger than 1 and smaller than 4gb");
}

/* PEAK-RESET-TIME and RESIZING, of buffers that are not resized by a clock here. */
static void debug_replybuffer(struct call *call) {
    if (call_argument_is(call, 2, "peak-reset-time") || call_argument_is(call, 2, "resizing"))
        reply_ok(call->reply);
    else
        call_error_syntax(call);
}

/* ---- not there yet ---- */

static void refuse(struct call *call, const char *missing) {
    struct bytes name = call->argv[1];
    call_error(call, "ERR DEBUG %.*s is not there yet: it needs %s", (int)name.size, name.data,
               missing);
}

static void debug_needs_restart(struct call *call) {
    refuse(call, "restarting in place");
}

/* ---- the table ---- */

static void debug_help(struct call *call) {
    command_help(call);
}

struct subcommand {
    const char *name;
    int argc_min, argc_max; /* with DEBUG and the name */
    command_handler *handler;
};

static const struct subcommand subcommands[] = {
    {"aof-flush-sleep", 3, 3, debug_accept},
    {"assert", 2, 2, debug_assert},
    {"change-repl-id", 2, 2, debug_change_repl_id},
    {"client-enforce-reply-list", 3, 3, debug_accept},
    {"crash-and-recover", 2, 3, debug_needs_restart},
    {"dict-resizing", 3, 3, debug_accept},
    {"digest", 2, 2, debug_digest},
    {"digest-value", 2, ARGUMENTS_ANY, debug_digest_value},
    {"digest-exact", 2, 2, debug_digest_exact},
    {"error", 3, 3, debug_error},
    {"help", 2, 2, debug_help},
    {"htstats", 3, 4, debug_htstats},
    {"htstats-key", 3, 4, debug_htstats_key},
    {"listpack", 3, 3, debug_listpack},
    {"log", 3, 3, debug_log},
    {"object", 3, 4, debug_object},
    {"panic", 2, 2, debug_panic},
    {"populate", 3, 5, debug_populate},
    {"protocol", 3, 3, debug_protocol},
    {"quicklist", 3, 4, debug_quicklist},
    {"quicklist-packed-threshold", 3, 3, debug_quicklist_packed_threshold},
    {"reload", 2, ARGUMENTS_ANY, debug_reload},
    {"loadaof", 2, 2, debug_loadaof},
    {"replicate", 3, ARGUMENTS_ANY, debug_replicate},
    {"replybuffer", 4, 4, debug_replybuffer},
    {"restart", 2, 3, debug_needs_restart},
    {"sdslen", 3, 3, debug_sdslen},
    {"segfault", 2, 2, debug_segfault},
    {"set-active-expire", 3, 3, debug_set_active_expire},
    {"set-disable-deny-scripts", 3, 3, debug_accept},
    {"set-skip-checksum-validation", 3, 3, debug_accept},
    {"sleep", 3, 3, debug_sleep},
    {"stringmatch-len", 4, 4, debug_stringmatch_len},
    {"structsize", 2, 2, debug_structsize},
};
enum { SUBCOMMANDS = sizeof subcommands / sizeof subcommands[0] };

void command_debug(struct call *call) {
    struct bytes name = call->argv[1];
    int argc = (int)call->argc;
    for (size_t i = 0; i < SUBCOMMANDS; i++) {
        const struct subcommand *subcommand = &subcommands[i];
        if (!bytes_is(name, subcommand->name)) continue;
        if (argc < subcommand->argc_min) break;
        if (subcommand->argc_max != ARGUMENTS_ANY && argc > subcommand->argc_max) break;
        subcommand->handler(call);
        return;
    }
    call_error_subcommand_words(call);
}
