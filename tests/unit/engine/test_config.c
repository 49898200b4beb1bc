/* Tests of the configuration: the table, files, command lines, CONFIG GET, SET and REWRITE. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/memory.h"
#include "engine/config_file.h"
#include "engine/config_kind.h"
#include "engine/notify.h"
#include "engine/version.h"

static const struct config_access anyone = {0};

/* ---- helpers ---- */

static const struct {
    const char *path, *text;
} files[] = {
    {"a.conf", "port 7001\ninclude b.conf\n"},
    {"b.conf", "maxclients 11\n"},
    {"bad.conf", "\nmaxmemory 1x\n"},
    {"loop.conf", "include loop.conf"},
    {"d/1.conf", "hz 20"},
    {"d/2.conf", "hz 30"},
};

static int read_file(void *context, const char *path, struct buffer *out) {
    (void)context;
    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
        if (strcmp(files[i].path, path) != 0) continue;
        buffer_append_text(out, files[i].text);
        return 0;
    }
    return -ENOENT;
}

static void expand(void *context, const char *pattern, bool (*each)(void *, const char *),
                   void *each_context) {
    (void)context;
    if (strcmp(pattern, "d/*.conf") == 0 && each(each_context, "d/1.conf"))
        each(each_context, "d/2.conf");
}

static int enter(void *context, const char *path) {
    (void)context;
    return strcmp(path, "/nosuch") == 0 ? -ENOENT : 0;
}

static const struct config_reader reader = {.read = read_file, .expand = expand, .enter = enter};

static void load(struct config *config, const char *text) {
    struct config_fault fault = {0};
    if (!config_load(config, bytes_from_text(text), &reader, &fault))
        fail_msg("line %d: %s", (int)fault.line, fault.reason);
    config_fault_release(&fault);
}

static void load_fails(const char *text, const char *expected) {
    struct config *config = config_open();
    struct config_fault fault = {0};
    struct buffer said = {0};
    assert_false(config_load(config, bytes_from_text(text), &reader, &fault));
    config_fault_describe(&fault, &said);
    buffer_append(&said, "", 1);
    const char *reason = strstr(said.data, "Reading");
    assert_string_equal(reason != NULL ? reason : said.data, expected);
    buffer_release(&said);
    config_fault_release(&fault);
    config_close(config);
}

static struct buffer value_of(const struct config *config, const char *name) {
    struct buffer out = {0};
    config_format(config, config_find(bytes_from_text(name)), &out);
    return out;
}

static void assert_value(const struct config *config, const char *name, const char *expected) {
    struct buffer value = value_of(config, name);
    buffer_append(&value, "", 1);
    assert_string_equal(value.data, expected);
    buffer_release(&value);
}

static void set_ok(struct config *config, const char *name, const char *value) {
    struct bytes pair[] = {bytes_from_text(name), bytes_from_text(value)};
    struct buffer error = {0};
    if (!config_set(config, pair, 1, anyone, &error))
        fail_msg("%s '%s': %.*s", name, value, (int)error.size, error.data);
    buffer_release(&error);
}

static void set_fails(struct config *config, const struct bytes *pairs, size_t count,
                      const char *expected) {
    struct buffer error = {0};
    assert_false(config_set(config, pairs, count, anyone, &error));
    buffer_append(&error, "", 1);
    assert_string_equal(error.data, expected);
    buffer_release(&error);
}

static void set_refused(struct config *config, const char *name, const char *value,
                        const char *reason) {
    char expected[CONFIG_ERROR_SIZE + 200];
    snprintf(expected, sizeof(expected),
             "ERR CONFIG SET failed (possibly related to argument '%s') - %s", name, reason);
    struct bytes pair[] = {bytes_from_text(name), bytes_from_text(value)};
    set_fails(config, pair, 1, expected);
}

static void assert_rewritten(const struct config *config, const char *old, const char *expected) {
    struct buffer out = {0};
    config_rewrite(config, bytes_from_text(old), &out);
    buffer_append(&out, "", 1);
    assert_string_equal(out.data, expected);
    buffer_release(&out);
}

/* ---- the table ---- */

static void test_table(void **state) {
    (void)state;
    for (size_t i = 0; i < CONFIG_COUNT; i++) {
        const struct config_directive *d = &config_directives[i];
        assert_non_null(d->name);
        assert_ptr_equal(config_find(bytes_from_text(d->name)), d);
        if (d->alias != NULL) assert_ptr_equal(config_find(bytes_from_text(d->alias)), d);
        assert_true(strlen(d->sentence) > 10);
        assert_int_equal(d->sentence[strlen(d->sentence) - 1], '.');
        assert_true(d->kind->size <= sizeof(union config_value));
        assert_int_equal(d->state == CONFIG_POINTLESS, d->reason != NULL);
    }
    assert_ptr_equal(config_find(BYTES("SlaveOf")), &config_directives[CONFIG_replicaof]);
    assert_null(config_find(BYTES("nothing")));
}

/* What CONFIG GET shows of a default is taken by CONFIG SET and by the file, and stays the same. */
static void test_defaults_round_trip(void **state) {
    (void)state;
    struct config *config = config_open();
    for (size_t i = 0; i < CONFIG_COUNT; i++) {
        const struct config_directive *d = &config_directives[i];
        if (d->flags & FILE_ONLY) continue;
        struct buffer value = value_of(config, d->name), lines = {0};
        struct bytes word = buffer_bytes(&value);
        union config_value again;
        char error[CONFIG_ERROR_SIZE];
        if (!config_value_parse(d, &word, 1, config_field(config, d), false, &again, error))
            fail_msg("%s: %s", d->name, error);
        assert_true(d->kind->equal(&again, config_field(config, d)));
        config_value_release(d, &again);

        config_value_write(d, config_field(config, d), &lines);
        buffer_append(&lines, "", 1);
        struct config *other = config_open();
        load(other, lines.data);
        assert_true(d->kind->equal(config_field(config, d), config_field(other, d)));
        config_close(other);
        buffer_release(&lines);
        buffer_release(&value);
    }
    config_close(config);
}

static void test_ranges(void **state) {
    (void)state;
    struct config *config = config_open();
    for (size_t i = 0; i < CONFIG_COUNT; i++) {
        const struct config_directive *d = &config_directives[i];
        if (d->kind != &config_kind_integer || (d->flags & IMMUTABLE)) continue;
        char text[32], reason[CONFIG_ERROR_SIZE];
        snprintf(text, sizeof(text), "%lld", (long long)d->min);
        set_ok(config, d->name, text);
        assert_value(config, d->name, text);
        snprintf(text, sizeof(text), "%lld", (long long)d->max);
        set_ok(config, d->name, text);
        snprintf(reason, sizeof(reason), "argument must be between %lld and %lld inclusive",
                 (long long)d->min, (long long)d->max);
        if ((int64_t)d->max != INT64_MAX) {
            snprintf(text, sizeof(text), "%lld", (long long)d->max + 1);
            set_refused(config, d->name, text, reason);
        }
        snprintf(text, sizeof(text), "%lld", (long long)d->min - 1);
        set_refused(config, d->name, text, reason);
        set_refused(config, d->name, "12a", "argument couldn't be parsed into an integer");
    }
    config_close(config);
}

/* ---- CONFIG SET ---- */

static void test_set_values(void **state) {
    (void)state;
    struct config *config = config_open();
    set_ok(config, "MaxMemory", "1gb");
    assert_int_equal(config->maxmemory, 1 << 30);
    set_ok(config, "maxmemory", "");
    assert_value(config, "maxmemory", "0");
    set_refused(config, "maxmemory", "12xb", "argument must be a memory value");
    set_ok(config, "maxmemory-clients", "5%");
    assert_value(config, "maxmemory-clients", "5%");
    set_refused(config, "maxmemory-clients", "500%",
                "percentage argument must be less or equal to 100");
    set_refused(config, "maxmemory-clients", "-5%", "argument must be a memory or percent value");
    set_ok(config, "save", "900 1 300 10");
    assert_value(config, "save", "900 1 300 10");
    set_ok(config, "save", "");
    assert_int_equal(config->save.count, 0);
    set_refused(config, "save", "1 2 3", "Invalid save parameters");
    set_refused(config, "save", "1 2  3 4", "Invalid save parameters");
    set_ok(config, "client-output-buffer-limit", "replica 1mb 1kb 10");
    assert_value(config, "client-output-buffer-limit",
                 "normal 0 0 0 slave 1048576 1024 10 pubsub 33554432 8388608 60");
    set_refused(config, "client-output-buffer-limit", "master 0 0 0",
                "Invalid client class specified in buffer limit configuration.");
    set_ok(config, "notify-keyspace-events", "KEg$");
    assert_value(config, "notify-keyspace-events", "g$KE");
    assert_int_equal(config->notify_keyspace_events,
                     NOTIFY_KEYSPACE | NOTIFY_KEYEVENT | NOTIFY_GENERIC | NOTIFY_STRING);
    set_ok(config, "notify-keyspace-events", "Kg$lshzxetdmn");
    assert_value(config, "notify-keyspace-events", "AKm");
    set_refused(config, "notify-keyspace-events", "Q",
                "Invalid event class character. Use 'Ag$lshzxeKEtmdn'.");
    set_ok(config, "hz", "1000");
    assert_int_equal(config->hz, 500);
    set_ok(config, "shutdown-on-sigterm", "nosave now");
    assert_int_equal(config->shutdown_on_sigterm, SHUTDOWN_NOSAVE | SHUTDOWN_NOW);
    set_refused(config, "shutdown-on-sigterm", "save nosave",
                "shutdown options SAVE and NOSAVE can't be used simultaneously");
    set_ok(config, "latency-tracking-info-percentiles", "50.123456789 0.00001 100.0");
    assert_value(config, "latency-tracking-info-percentiles", "50.123457 0.00001 100");
    set_ok(config, "bind", "127.0.0.1 -::1");
    assert_int_equal(config->bind.count, 2);
    set_ok(config, "bind", "");
    assert_int_equal(config->bind.count, 0);
    set_refused(config, "loglevel", "foo",
                "argument(s) must be one of the following: debug, verbose, notice, warning, "
                "nothing");
    set_refused(config, "oom-score-adj-values", "0 200", "wrong number of arguments");
    set_refused(config, "proc-title-template", "{foo}",
                "template format is invalid or contains unknown variables");
    config_close(config);
}

static void test_set_denied(void **state) {
    (void)state;
    struct config *config = config_open();
    set_refused(config, "daemonize", "no", "can't set immutable config");
    set_refused(config, "dir", "/tmp", "can't set protected config");
    struct bytes unknown[] = {BYTES("maxclients"), BYTES("100"), BYTES("nosuch"), BYTES("1")};
    set_fails(config, unknown, 2,
              "ERR Unknown option or number of arguments for CONFIG SET - 'nosuch'");
    struct bytes user[] = {BYTES("user"), BYTES("x")};
    set_fails(config, user, 1, "ERR Unknown option or number of arguments for CONFIG SET - 'user'");
    struct bytes twice[] = {BYTES("hz"), BYTES("1"), BYTES("HZ"), BYTES("2")};
    set_fails(config, twice, 2,
              "ERR CONFIG SET failed (possibly related to argument 'HZ') - duplicate parameter");
    load(config, "enable-protected-configs local");
    struct bytes dir[] = {BYTES("dir"), BYTES("/tmp")};
    struct buffer error = {0};
    assert_false(config_set(config, dir, 1, anyone, &error));
    assert_true(config_set(config, dir, 1, (struct config_access){.is_local = true}, &error));
    assert_false(config_set(config, dir, 1,
                            (struct config_access){.is_local = true, .is_loading = true}, &error));
    buffer_release(&error);
    assert_int_equal(config->maxclients, 10000);
    config_close(config);
}

/* ---- observers ---- */

struct watcher {
    int calls;
    int64_t seen;
    bool refuses;
};

static bool watch(void *context, struct config *config, char *error, size_t error_size) {
    struct watcher *watcher = context;
    watcher->calls++;
    watcher->seen = config->port;
    if (watcher->refuses) snprintf(error, error_size, "No.");
    return !watcher->refuses;
}

static void test_observers(void **state) {
    (void)state;
    struct config *config = config_open();
    struct watcher first = {0}, second = {0};
    config_observe(config, "port", watch, &first);
    config_observe(config, "bind", watch, &first);
    config_observe(config, "maxclients", watch, &second);
    struct bytes pairs[] = {BYTES("timeout"), BYTES("9"),    BYTES("bind"),       BYTES("::1"),
                            BYTES("port"),    BYTES("7000"), BYTES("maxclients"), BYTES("5")};
    struct watcher follower = {0};
    config_follow(config, "port", watch, &follower);
    second.refuses = true;
    set_fails(config, pairs, 4,
              "ERR CONFIG SET failed (possibly related to argument 'maxclients') - No.");
    assert_int_equal(first.calls, 2); /* asked once for both, then told of the way back */
    assert_int_equal(first.seen, 6379);
    assert_int_equal(second.calls, 2); /* the one that refuses is told of the way back as well */
    assert_int_equal(config->timeout, 0);
    assert_int_equal(config->maxclients, 10000);
    assert_value(config, "bind", "* -::*");
    assert_false(config->given[CONFIG_port]);
    assert_int_equal(follower.calls, 0); /* told only of what stays */

    second.refuses = false;
    struct buffer error = {0};
    assert_true(config_set(config, pairs, 4, anyone, &error));
    assert_int_equal(first.calls, 3);
    assert_int_equal(first.seen, 7000);
    assert_int_equal(follower.calls, 1);
    assert_true(config_set(config, pairs, 4, anyone, &error)); /* nothing new */
    assert_int_equal(first.calls, 3);
    config_close(config);
}

/* ---- CONFIG GET ---- */

static void test_match(void **state) {
    (void)state;
    struct config_match matches[CONFIG_MATCHES_MAX];
    struct bytes patterns[] = {BYTES("max*"), BYTES("PORT"), BYTES("port"), BYTES("nosuch")};
    size_t count = config_match(patterns, 4, matches);
    size_t ports = 0;
    for (size_t i = 0; i < count; i++) {
        if (bytes_is(matches[i].name, "port"))
            ports++;
        else
            assert_memory_equal(matches[i].name.data, "max", 3);
    }
    assert_int_equal(ports, 1);
    assert_int_equal(config_match(&BYTES("PORT"), 1, matches), 1);
    assert_memory_equal(matches[0].name.data, "PORT", 4);                /* as it was asked for */
    assert_int_equal(config_match(&BYTES("*-priority"), 1, matches), 2); /* slave- and replica- */
    assert_int_equal(config_match(&BYTES("watchdog*"), 1, matches), 0);
    assert_int_equal(config_match(&BYTES("watchdog-period"), 1, matches), 1);
    assert_int_equal(config_match(&BYTES("user"), 1, matches), 0);
    config_match(&BYTES("*"), 1, matches);
}

/* ---- files ---- */

static void test_file(void **state) {
    (void)state;
    struct config *config = config_open();
    load(config, "# comment\n\n  Port 7000\r\n\tunixsocket \"/tmp/a b\\x41\"\n"
                 "save 900 1\nsave 300 10\nrename-command FLUSHALL \"\"\n"
                 "rename-command a b\nslaveof host 6380\nclient-output-buffer-limit normal 1 2 3\n"
                 "user alice on nopass\nbind 127.0.0.1 ::1\ntls-port 7001\nmasterauth 'x y'");
    assert_int_equal(config->port, 7000);
    assert_string_equal(config->unixsocket.data, "/tmp/a bA");
    assert_value(config, "save", "900 1 300 10");
    assert_int_equal(config->rename_command.count, 2);
    assert_int_equal(config->rename_command.items[0].items[1].size, 0);
    assert_value(config, "replicaof", "host 6380");
    assert_value(config, "client-output-buffer-limit",
                 "normal 1 2 3 slave 268435456 67108864 60 pubsub 33554432 8388608 60");
    assert_int_equal(config->user.items[0].count, 3);
    assert_value(config, "bind", "127.0.0.1 ::1");
    assert_value(config, "masterauth", "x y");
    load(config, "save \"\"\n");
    assert_int_equal(config->save.count, 0);
    struct buffer later = {0};
    assert_true(config_list_later(config, &later) > 0);
    buffer_release(&later);
    config_close(config);
}

static void test_include(void **state) {
    (void)state;
    struct config *config = config_open();
    load(config, "port 1\ninclude a.conf\nhz 10\ninclude d/*.conf\ninclude none*.conf\n");
    assert_int_equal(config->port, 7001);
    assert_int_equal(config->maxclients, 11);
    assert_int_equal(config->hz, 30);
    config_close(config);
    load_fails("include nothere.conf\n",
               "Fatal error, can't open config file 'nothere.conf': No such file or directory");
    load_fails("hz 5\nhz 5\n\ninclude bad.conf\n",
               "Reading the configuration file, at line 2\n>>> 'maxmemory 1x'\n"
               "argument must be a memory value\n");
    load_fails("\ninclude loop.conf\n",
               "Reading the configuration file, at line 1\n>>> 'include loop.conf'\n"
               "Files include each other more than 16 deep\n");
}

static void test_file_faults(void **state) {
    (void)state;
    static const struct {
        const char *line, *reason;
    } faults[] = {
        {"foo bar", "Bad directive or wrong number of arguments"},
        {"port \"7411", "Unbalanced quotes in configuration line"},
        {"port 7411 8", "wrong number of arguments"},
        {"port", "wrong number of arguments"},
        {"hz 10 # hi", "wrong number of arguments"},
        {"rename-command get", "Bad directive or wrong number of arguments"},
        {"slaveof a b", "Invalid master port"},
        {"slaveof a", "wrong number of arguments"},
        {"supervised foo", "argument(s) must be one of the following: upstart, systemd, auto, no"},
        {"appendfilename a/b", "appendfilename can't be a path, just a filename"},
        {"appenddirname \"\"", "appenddirname can't be empty"},
        {"unixsocketperm 999", "argument couldn't be parsed as an octal number"},
        {"unixsocketperm 1777", "argument must be between 0 and 777 inclusive"},
        {"dir /nosuch", "No such file or directory"},
        {"save 900", "Invalid save parameters"},
        {"save \"900 1\" \"300 10\"", "Invalid save parameters"},
    };
    for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++) {
        char text[300], expected[600];
        snprintf(text, sizeof(text), "hz 5\n  %s \n", faults[i].line);
        snprintf(expected, sizeof(expected),
                 "Reading the configuration file, at line 2\n>>> '%s'\n%s\n", faults[i].line,
                 faults[i].reason);
        load_fails(text, expected);
    }
}

static void assert_options(const char *const *words, size_t count, const char *expected) {
    struct bytes list[16];
    for (size_t i = 0; i < count; i++)
        list[i] = bytes_from_text(words[i]);
    struct buffer out = {0};
    config_append_options(&out, list, count);
    buffer_append(&out, "", 1);
    assert_string_equal(out.data, expected);
    buffer_release(&out);
}

static void test_options(void **state) {
    (void)state;
    assert_options((const char *[]){"--port", "7000", "--save", "", "--appendonly", "no"}, 6,
                   "port \"7000\"\nsave \"\"\nappendonly \"no\"\n");
    assert_options((const char *[]){"--save", "--appendonly", "yes", "--save"}, 4,
                   "save \"\"\nappendonly \"yes\"\nsave \"\"\n");
    assert_options((const char *[]){"--save", "900", "1", "300", "10"}, 5,
                   "save \"900\" \"1\" \"300\" \"10\"\n");
    assert_options((const char *[]){"--proc-title-template", "--my", "--sentinel"}, 3,
                   "proc-title-template \"--my\"\n\n");
    assert_options((const char *[]){"--maxclients", "--save", "10"}, 3,
                   "maxclients \"--save\" \"10\"\n");
}

/* ---- CONFIG REWRITE ---- */

static void test_rewrite(void **state) {
    (void)state;
    const char *old = "# a comment\nport   7399\n\n# saved\nsave 900 1\nsave 300 10\n"
                      "maxmemory 100mb\n\trename-command FLUSHALL \"\"\nnonsense line\n# tail";
    struct config *config = config_open();
    load(config, "port   7399\nsave 900 1\nsave 300 10\nmaxmemory 100mb\n");
    assert_rewritten(config, old,
                     "# a comment\nport   7399\n\n# saved\nsave 900 1\nsave 300 10\n"
                     "maxmemory 100mb\n\trename-command FLUSHALL \"\"\nnonsense line\n# tail\n");
    set_ok(config, "port", "22");
    set_ok(config, "save", "100 2");
    set_ok(config, "hz", "20");
    set_ok(config, "timeout", "0");
    set_ok(config, "masterauth", "x\x01\n\xff\"\\");
    const char *new = "# a comment\nport 22\n\n# saved\nsave 100 2\n"
                      "maxmemory 100mb\n\trename-command FLUSHALL \"\"\nnonsense line\n# tail\n"
                      "\n# Generated by CONFIG REWRITE\n"
                      "masterauth \"x\\x01\\n\\xff\\\"\\\\\"\nhz 20\n";
    assert_rewritten(config, old, new);
    assert_rewritten(config, new, new);
    set_ok(config, "save", "1 2 3 4 5 6");
    set_ok(config, "loglevel", "debug");
    assert_rewritten(config,
                     "save 1 3\n# Generated by CONFIG REWRITE\nport 22\nhz 20\nmasterauth x\n",
                     "save 1 2\nsave 3 4\nsave 5 6\n# Generated by CONFIG REWRITE\nport 22\nhz 20\n"
                     "masterauth \"x\\x01\\n\\xff\\\"\\\\\"\nloglevel debug\nmaxmemory 100mb\n");
    config_close(config);
}

/* Random settings survive being written and read, and a second rewriting changes nothing. */
static void test_rewrite_random(void **state) {
    (void)state;
    static const char *const values[] = {"yes",
                                         "no",
                                         "0",
                                         "1",
                                         "17",
                                         "64",
                                         "1mb",
                                         "100",
                                         "900 1",
                                         "a\"b \xff\n",
                                         "",
                                         "AKE",
                                         "always",
                                         "allkeys-lru",
                                         "swapdb",
                                         "local",
                                         "50 99",
                                         "1 2 3",
                                         "7%",
                                         "nosave now",
                                         "pubsub 1mb 2mb 3",
                                         "host.example",
                                         "127.0.0.1 ::1",
                                         "{title}"};
    unsigned seed = 20261121;
    print_message("seed %u\n", seed);
    srand(seed);
    for (int round = 0; round < 200; round++) {
        struct config *config = config_open(), *again = config_open();
        for (int i = 0; i < 60; i++) {
            struct bytes pair[] = {
                bytes_from_text(config_directives[rand() % CONFIG_COUNT].name),
                bytes_from_text(values[(size_t)rand() % (sizeof(values) / sizeof(values[0]))])};
            struct buffer error = {0};
            config_set(config, pair, 1, anyone, &error);
            buffer_release(&error);
        }
        struct buffer first = {0}, second = {0};
        config_rewrite(config, BYTES("port 5\n#x\nsave 1 1\nbind ::1\nhz 3"), &first);
        struct config_fault fault = {0};
        assert_true(config_load(again, buffer_bytes(&first), &reader, &fault));
        for (size_t i = 0; i < CONFIG_COUNT; i++) {
            const struct config_directive *d = &config_directives[i];
            if (!d->kind->equal(config_field(config, d), config_field(again, d)))
                fail_msg("%s is lost in round %d", d->name, round);
        }
        config_rewrite(config, buffer_bytes(&first), &second);
        assert_true(bytes_equal(buffer_bytes(&first), buffer_bytes(&second)));
        buffer_release(&first);
        buffer_release(&second);
        config_close(config);
        config_close(again);
    }
}

/* ---- the example ---- */

static struct buffer read_source(const char *name) {
    struct buffer text = {0};
    char path[4096];
    const char *root = getenv("REDSTART_SOURCE_ROOT"); /* set by the build's test runner */
    snprintf(path, sizeof(path), "%s/%s", root != NULL ? root : ".", name);
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    for (int c; (c = fgetc(file)) != EOF;)
        buffer_append_byte(&text, (char)c);
    fclose(file);
    return text;
}

/* The file in the repository is what the table says; with every # taken away, it is the defaults.
 */
static void test_example(void **state) {
    (void)state;
    struct buffer made = {0};
    config_write_example(&made);
    struct buffer kept = read_source("redstart.conf");
    if (!bytes_equal(buffer_bytes(&made), buffer_bytes(&kept)))
        fail_msg("redstart.conf is out of date: redstart config > redstart.conf");
    struct buffer active = {0};
    for (struct bytes rest = buffer_bytes(&kept); rest.size > 0;) {
        struct bytes line = config_line_next(&rest);
        if (line.size < 2 || line.data[0] != '#' || line.data[1] == ' ') continue;
        buffer_append(&active, line.data + 1, line.size - 1);
        buffer_append_byte(&active, '\n');
    }
    buffer_append(&active, "", 1);
    struct config *config = config_open(), *standard = config_open();
    load(config, active.data);
    for (size_t i = 0; i < CONFIG_COUNT; i++) {
        const struct config_directive *d = &config_directives[i];
        assert_true(d->kind->equal(config_field(config, d), config_field(standard, d)));
    }
    config_close(config);
    config_close(standard);
    buffer_release(&active);
    buffer_release(&made);
    buffer_release(&kept);
}

/* The build names the same version. */
static void test_version(void **state) {
    (void)state;
    struct buffer build = read_source("meson.build");
    buffer_append(&build, "", 1);
    assert_non_null(strstr(build.data, "version: '" REDSTART_VERSION "'"));
    buffer_release(&build);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_table),          cmocka_unit_test(test_defaults_round_trip),
        cmocka_unit_test(test_ranges),         cmocka_unit_test(test_set_values),
        cmocka_unit_test(test_set_denied),     cmocka_unit_test(test_observers),
        cmocka_unit_test(test_match),          cmocka_unit_test(test_file),
        cmocka_unit_test(test_include),        cmocka_unit_test(test_file_faults),
        cmocka_unit_test(test_options),        cmocka_unit_test(test_rewrite),
        cmocka_unit_test(test_rewrite_random), cmocka_unit_test(test_example),
        cmocka_unit_test(test_version),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
