/* start.c: from the command line to a running server, and to its end.
 *
 *   options -> configuration -> background -> log -> limits -> pid file -> server -> ready -> run
 * -> end
 *
 * Only wiring: what a server is and does stands in src/engine. */
#include "server/start.h"
#include "base/invariant.h"
#include "base/memory.h"
#include "command/command_handlers.h"
#include "engine/config.h"
#include "engine/report.h"
#include "engine/server.h"
#include "engine/version.h"
#include "io/process.h"
#include "io/process_log.h"
#include "io/process_syslog.h"
#include "repl/replicator.h"
#include "script/script.h"
#include "server/changes.h"
#include "server/options.h"
#include "server/protection.h"
#include "server/reading.h"
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum { ERROR_SIZE = 512, WORKERS = 4 };

struct start {
    const char *program;
    struct options options;
    struct config *config;
    struct io *io;
    struct log log;
    struct process_log sink;
    struct changes changes;
    struct server *server;
    const struct process_title *title;
    enum config_supervised supervisor; /* the one that is there; never SUPERVISED_AUTO */
    bool has_pidfile;
    struct invariant_reporter reporter;
    struct server_reporter *server_reporter; /* NULL: a crash says nothing of the server */
};

/* ---- what is said and done ---- */

static void print(const char *text) {
    process_write_standard_output(bytes_from_text(text));
}

/* On standard error, for what happens before there is a log. */
__attribute__((format(printf, 1, 2))) static void complain(const char *format, ...) {
    char text[ERROR_SIZE];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    process_write_standard_error(bytes_from_text(text));
}

static void print_version(void) {
    struct buffer out = {0};
    buffer_append_format(
        &out, "Redstart server v=%s sha=00000000:0 malloc=%s bits=%zu build=redstart-%s\n",
        REDIS_VERSION, memory_allocator_name(), sizeof(void *) * 8, REDSTART_VERSION);
    process_write_standard_output(buffer_bytes(&out));
    buffer_release(&out);
}

static void print_help(const char *program) {
    struct buffer out = {0};
    buffer_append_format(
        &out,
        "Usage: %s [FILE] [--DIRECTIVE VALUE...]... [-]\n"
        "\n"
        "  FILE               configuration file (`redstart config` prints a documented one)\n"
        "  --DIRECTIVE VALUE  any directive of the configuration; wins over the file\n"
        "  -                  read more configuration from standard input\n"
        "  -v, --version      print the version\n"
        "  -h, --help         print this\n"
        "  --check-system     check whether the system is set up well\n"
        "\n"
        "Examples:\n"
        "  %s\n"
        "  %s /etc/redis/redis.conf --port 7777\n"
        "  echo 'maxclients 100' | %s -\n",
        program, program, program, program);
    process_write_standard_output(buffer_bytes(&out));
    buffer_release(&out);
}

/* What needs no server; false when one is wanted. Sets the exit code. */
static bool answer_request(const struct start *start, int *exit_code) {
    *exit_code = 0;
    switch (start->options.request) {
    case OPTIONS_VERSION: print_version(); return true;
    case OPTIONS_HELP: /* Redis exits with 1, and scripts may rely on either */
        print_help(start->program);
        *exit_code = 1;
        return true;
    case OPTIONS_CHECK_SYSTEM:
        print("Nothing to check: without fork, neither memory overcommit nor transparent huge "
              "pages have to be set.\n");
        return true;
    case OPTIONS_TEST_MEMORY:
        process_write_standard_error(
            BYTES("--test-memory is not offered: use a tool made for it, such as memtester or "
                  "memtest86+.\n"));
        *exit_code = 1;
        return true;
    case OPTIONS_START: break;
    }
    if (!start->options.is_sentinel) return false;
    complain("Sentinel is not part of this version yet.\n");
    *exit_code = 1;
    return true;
}

/* ---- the world and the log ---- */

static int64_t log_wall_us(void *context) {
    return io_wall_us(((const struct process_log *)context)->io);
}

static bool open_world(struct start *start) {
    char error[ERROR_SIZE];
    start->io = io_real_open(WORKERS, error, sizeof(error));
    if (start->io == NULL) {
        complain("Cannot start: %s\n", error);
        return false;
    }
    int64_t wall_s = io_wall_us(start->io) / 1000000;
    start->sink.io = start->io;
    start->log = (struct log){
        .level = LOG_NOTICE,
        .role = 'C',
        .pid = process_id(),
        .utc_offset_s = start->io->operations->utc_offset_s(start->io, wall_s),
        .wall_us = log_wall_us,
        .write = process_log_write,
        .context = &start->sink,
    };
    return true;
}

/* A log file that cannot be written is found now, while there is somebody to read of it. */
static bool check_log_file(struct start *start) {
    const struct config *config = start->config;
    if (config->logfile.size == 0) return true;
    const struct io_operations *files = start->io->operations;
    io_file file =
        files->open(start->io, config->logfile.data, IO_WRITE | IO_CREATE | IO_APPEND, 0644);
    if (file >= 0) {
        files->close(start->io, file);
        return true;
    }
    complain("\n*** FATAL CONFIG FILE ERROR (Redis %s) ***\nCan't open the log file: %s\n",
             REDIS_VERSION, strerror(-file));
    return false;
}

static const char *facility_name(const struct config *config) {
    const struct config_choice *choice = config_directives[CONFIG_syslog_facility].choices;
    while (choice->word != NULL && choice->value != config->syslog_facility)
        choice++;
    return choice->word;
}

static void open_log(struct start *start) {
    const struct config *config = start->config;
    start->sink.path = config->logfile.data;
    start->log.level = (enum log_level)config->loglevel;
    if (config->syslog_enabled)
        start->sink.to_syslog =
            process_syslog_open(config->syslog_ident.data, facility_name(config));
}

/* ---- background and supervisors ---- */

/* Who waits to be told that the server is ready: the one that the configuration names, or with
 * "auto" the one that is there. */
static enum config_supervised find_supervisor(const struct config *config) {
    enum config_supervised wanted = (enum config_supervised)config->supervised;
    bool has_upstart = process_environment("UPSTART_JOB") != NULL;
    bool has_systemd = process_environment("NOTIFY_SOCKET") != NULL;
    if ((wanted == SUPERVISED_AUTO || wanted == SUPERVISED_UPSTART) && has_upstart)
        return SUPERVISED_UPSTART;
    if ((wanted == SUPERVISED_AUTO || wanted == SUPERVISED_SYSTEMD) && has_systemd)
        return SUPERVISED_SYSTEMD;
    return SUPERVISED_NONE;
}

static void tell_supervisor(struct start *start, const char *state) {
    if (start->supervisor == SUPERVISED_SYSTEMD) process_notify_systemd(state);
}

static void meet_supervisor(struct start *start) {
    enum config_supervised wanted = (enum config_supervised)start->config->supervised;
    switch (start->supervisor) {
    case SUPERVISED_UPSTART:
        log_notice(&start->log, "supervised by upstart, will stop to signal readiness.");
        process_notify_upstart();
        return;
    case SUPERVISED_SYSTEMD:
        if (process_notify_systemd("STATUS=Starting")) {
            log_notice(&start->log, "supervised by systemd. Please make sure you set appropriate "
                                    "values for TimeoutStartSec and TimeoutStopSec in your "
                                    "service unit.");
            return;
        }
        log_warning(&start->log, "systemd supervision error: $NOTIFY_SOCKET takes no message");
        start->supervisor = SUPERVISED_NONE;
        return;
    default:
        if (wanted == SUPERVISED_UPSTART)
            log_warning(&start->log, "upstart supervision requested, but UPSTART_JOB not found!");
        if (wanted == SUPERVISED_SYSTEMD)
            log_warning(&start->log, "systemd supervision error: NOTIFY_SOCKET not found!");
    }
}

/* The world has threads and a poller, so it is closed for the fork and opened again. */
static bool go_to_background(struct start *start) {
    io_close(start->io);
    start->io = NULL;
    int result = process_daemonize();
    if (result < 0) {
        complain("Cannot go to the background: %s\n", strerror(-result));
        return false;
    }
    return open_world(start);
}

static void write_pidfile(struct start *start) {
    struct config *config = start->config;
    bool is_daemon = config->daemonize && start->supervisor == SUPERVISED_NONE;
    if (config->pidfile.size == 0 && !is_daemon) return;
    if (config->pidfile.size == 0)
        config_amend(config, CONFIG_pidfile, BYTES("/var/run/redis.pid"));
    int result = process_write_pidfile(config->pidfile.data);
    start->has_pidfile = result == 0;
    if (result < 0)
        log_notice(&start->log, "Failed to write PID file: %s: %s", config->pidfile.data,
                   strerror(-result));
}

/* ---- the log's first lines ---- */

static void log_beginning(struct start *start) {
    struct log *log = &start->log;
    log_notice(log, "oO0OoO0OoO0Oo Redstart is starting oO0OoO0OoO0Oo");
    log_notice(log,
               "Redstart version=%s, Redis version=%s, bits=%zu, pid=%" PRId64 ", just started",
               REDSTART_VERSION, REDIS_VERSION, sizeof(void *) * 8, log->pid);
    if (start->options.file.size > 0 || start->options.reads_input || start->options.lines.size > 0)
        log_notice(log, "Configuration loaded");
    else
        log_warning(log,
                    "Warning: no config file specified, using the default config. To use "
                    "one: %s /path/to/redstart.conf",
                    start->program);
}

/* The line's length is bounded, so the names may need several. */
static void log_names(struct log *log, struct bytes names) {
    enum { NAMES_MAX = LOG_LINE_MAX - 128 };
    while (names.size > 0) {
        size_t size = names.size;
        if (size > NAMES_MAX) {
            size = NAMES_MAX;
            while (names.data[size - 1] != ' ')
                size--;
        }
        log_notice(log, "Accepted, but not part of this version yet: %.*s", (int)size, names.data);
        names = bytes_make(names.data + size, names.size - size);
    }
}

static void log_without_effect(struct start *start) {
    struct buffer names = {0};
    if (config_list_later(start->config, &names) > 0) log_names(&start->log, buffer_bytes(&names));
    buffer_release(&names);
    size_t position = 0;
    const struct config_directive *directive;
    while ((directive = config_next_pointless(start->config, &position)) != NULL)
        log_notice(&start->log, "%s has no effect: %s", directive->name, directive->reason);
}

static void log_ready(struct start *start) {
    const struct config *config = start->config;
    if (config->port != 0 && config->bind.count > 0)
        log_notice(&start->log, "Ready to accept connections tcp");
    if (config->unixsocket.size > 0) log_notice(&start->log, "Ready to accept connections unix");
}

/* ---- the sequence ---- */

static bool configure(struct start *start) {
    start->config = config_open();
    if (!reading_load(start->io, start->config, &start->options, &start->log)) return false;
    if (!check_log_file(start)) return false;
    start->supervisor = find_supervisor(start->config);
    bool is_daemon = start->config->daemonize && start->supervisor == SUPERVISED_NONE;
    if (is_daemon && !go_to_background(start)) return false;
    open_log(start);
    return true;
}

/* A crash is told on standard error and in the log file, which is kept open for that: there is no
 * opening it then. */
static void report_crashes(struct start *start) {
    const struct config *config = start->config;
    if (config->logfile.size > 0 && start->reporter.fd == IO_NONE) {
        io_file file = start->io->operations->open(start->io, config->logfile.data,
                                                   IO_WRITE | IO_CREATE | IO_APPEND, 0644);
        if (file >= 0) start->reporter.fd = file;
    }
    invariant_set_reporter(&start->reporter);
    if (start->server != NULL)
        start->server_reporter = server_install_reporter(start->server, &start->reporter);
    invariant_catch_signals();
}

static void leave_crashes(struct start *start) {
    invariant_release_signals();
    server_remove_reporter(start->server_reporter);
    invariant_set_reporter(NULL);
    start->server_reporter = NULL;
    start->reporter = (struct invariant_reporter){.fd = start->reporter.fd};
}

static bool change_crash_log(void *context, struct config *config, char *error, size_t error_size) {
    (void)error, (void)error_size;
    leave_crashes(context);
    if (config->crash_log_enabled) report_crashes(context);
    return true;
}

static bool prepare(struct start *start) {
    log_beginning(start);
    if (!protection_check(start->config, &start->log)) return false;
    start->log.role = 'M';
    start->changes = (struct changes){.io = start->io,
                                      .config = start->config,
                                      .log = &start->log,
                                      .title = start->title,
                                      .program = start->program};
    changes_note_directory(&start->changes);
    if (!changes_fit_clients(&start->changes)) return false;
    changes_watch(&start->changes);
    change_crash_log(start, start->config, NULL, 0);
    config_observe(start->config, "crash-log-enabled", change_crash_log, start);
    meet_supervisor(start);
    return true;
}

static bool open_server(struct start *start) {
    char error[ERROR_SIZE] = "";
    const struct server_options options = {.io = start->io,
                                           .config = start->config,
                                           .log = &start->log,
                                           .commands = &command_table,
                                           .supervisor = start->supervisor};
    start->io->operations->catch_signals(start->io);
    start->server = server_open(&options, error, sizeof(error));
    if (start->server != NULL) {
        script_attach(start->server);
        replicator_attach(start->server);
    }
    if (start->server == NULL || !server_listen(start->server, error, sizeof(error))) {
        log_warning(&start->log, "%s", error);
        return false;
    }
    write_pidfile(start); /* not before: another server that runs here may have one */
    change_crash_log(start, start->config, NULL, 0);
    changes_watch_addresses(&start->changes, start->server);
    log_notice(&start->log, "Running mode=standalone, port=%" PRId64 ".", start->config->port);
    log_notice(&start->log, "Server initialized");
    log_without_effect(start);
    return true;
}

/* Clients that come meanwhile are told to wait. False: it cannot be loaded, or it shall end. */
static bool load(struct start *start) {
    struct server *server = start->server;
    tell_supervisor(start, "STATUS=Loading the dataset");
    if (!loading_begin(server)) return false;
    while (server->loading && !server->stopped)
        server_turn(server);
    if (server->stopped) return false;
    log_ready(start);
    tell_supervisor(start, "STATUS=Ready to accept connections\nREADY=1");
    return true;
}

static void finish(struct start *start) {
    server_remove_reporter(start->server_reporter);
    invariant_set_reporter(NULL);
    if (start->server != NULL) server_close(start->server);
    if (start->has_pidfile) {
        log_notice(&start->log, "Removing the pid file.");
        process_remove_pidfile(start->config->pidfile.data);
    }
    if (start->sink.to_syslog) process_syslog_close();
    options_release(&start->options);
    config_close(start->config);
    if (start->reporter.fd != IO_NONE) start->io->operations->close(start->io, start->reporter.fd);
    if (start->io != NULL) io_close(start->io);
}

int server_main(const char *program, const struct bytes *words, size_t count,
                const struct process_title *title) {
    struct start start = {.program = program, .title = title, .reporter = {.fd = IO_NONE}};
    int exit_code;
    options_parse(&start.options, words, count);
    if (answer_request(&start, &exit_code)) {
        options_release(&start.options);
        return exit_code;
    }
    exit_code = EXIT_FAILURE;
    if (open_world(&start) && configure(&start) && prepare(&start) && open_server(&start)) {
        exit_code = load(&start) || start.server->stopped ? server_run(start.server) : EXIT_FAILURE;
        tell_supervisor(&start, "STOPPING=1");
    }
    finish(&start);
    return exit_code;
}
