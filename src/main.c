/* main.c: which of its programs redstart shall be: by the name that it was called by
 * (redis-server), or by its first word (redstart server). */
#include "base/buffer.h"
#include "base/memory.h"
#include "engine/config.h"
#include "engine/version.h"
#include "io/process.h"
#include "server/start.h"
#include "tool/check/check.h"
#include "tool/restore/restore.h"
#include <stdio.h>
#include <stdlib.h>

typedef int program_main(const char *program, const struct bytes *words, size_t count,
                         const struct process_title *title);

static int version_main(const char *program, const struct bytes *words, size_t count,
                        const struct process_title *title);
static int config_main(const char *program, const struct bytes *words, size_t count,
                       const struct process_title *title);
static int help_main(const char *program, const struct bytes *words, size_t count,
                     const struct process_title *title);

static const struct program {
    const char *word;
    const char *redis_name; /* NULL: none */
    program_main *main;     /* NULL: not there yet */
    const char *summary;
} programs[] = {
    {"server", "redis-server", server_main, "the server"},
    {"cli", "redis-cli", NULL, "a client for the terminal"},
    {"sentinel", "redis-sentinel", NULL, "watches servers and fails over"},
    {"benchmark", "redis-benchmark", NULL, "measures a server"},
    {"check", NULL, check_main, "checks RDB files and append-only files"},
    {"check-rdb", "redis-check-rdb", check_rdb_main, "checks RDB files"},
    {"check-aof", "redis-check-aof", check_aof_main, "checks append-only files"},
    {"restore", NULL, restore_main, "makes a data folder as of a moment"},
    {"dump", NULL, NULL, "writes a dataset as text"},
    {"load", NULL, NULL, "loads such a text"},
    {"proxy", NULL, NULL, "one address for many servers"},
    {"console", NULL, NULL, "servers in the browser"},
    {"config", NULL, config_main, "prints a documented configuration file"},
    {"version", NULL, version_main, "prints the version"},
    {"help", NULL, help_main, "prints this"},
};
enum { PROGRAMS = sizeof(programs) / sizeof(programs[0]) };

static int version_main(const char *program, const struct bytes *words, size_t count,
                        const struct process_title *title) {
    (void)program, (void)words, (void)count, (void)title;
    printf("redstart %s (as Redis %s, %s)\n", REDSTART_VERSION, REDIS_VERSION,
           memory_allocator_name());
    return EXIT_SUCCESS;
}

static int config_main(const char *program, const struct bytes *words, size_t count,
                       const struct process_title *title) {
    (void)program, (void)words, (void)count, (void)title;
    struct buffer text = {0};
    config_write_example(&text);
    int result = process_write_standard_output(buffer_bytes(&text));
    buffer_release(&text);
    return result == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

static int help_main(const char *program, const struct bytes *words, size_t count,
                     const struct process_title *title) {
    (void)program, (void)words, (void)count, (void)title;
    printf("Redstart %s, an in-memory data server that speaks Redis's protocols.\n\n"
           "Usage: redstart PROGRAM [WORD...]\n\n",
           REDSTART_VERSION);
    for (size_t i = 0; i < PROGRAMS; i++)
        if (programs[i].main != NULL) printf("  %-10s %s\n", programs[i].word, programs[i].summary);
    printf("\n`redstart server --help` tells more of the server. Called as redis-server, redstart "
           "is the server.\n");
    return EXIT_SUCCESS;
}

static int run(const struct program *program, const char *called, const struct bytes *words,
               size_t count, const struct process_title *title) {
    if (program->main != NULL) return program->main(called, words, count, title);
    fprintf(stderr, "%s is not part of this version yet.\n", called);
    return EXIT_FAILURE;
}

/* The last part of a path, as text. */
static const char *name_of(struct bytes path) {
    const char *slash = memrchr(path.data, '/', path.size);
    return slash == NULL ? path.data : slash + 1;
}

static int dispatch(const struct bytes *words, size_t count, const struct process_title *title) {
    const char *name = name_of(words[0]);
    for (size_t i = 0; i < PROGRAMS; i++)
        if (programs[i].redis_name != NULL && strcmp(programs[i].redis_name, name) == 0)
            return run(&programs[i], name, words + 1, count - 1, title);
    if (count < 2 || bytes_is(words[1], "--help") || bytes_is(words[1], "-h"))
        return help_main(name, NULL, 0, title);
    if (bytes_is(words[1], "--version") || bytes_is(words[1], "-v"))
        return version_main(name, NULL, 0, title);
    for (size_t i = 0; i < PROGRAMS; i++) {
        if (!bytes_is(words[1], programs[i].word)) continue;
        char called[64];
        snprintf(called, sizeof(called), "redstart %s", programs[i].word);
        return run(&programs[i], called, words + 2, count - 2, title);
    }
    fprintf(stderr, "redstart has no program '%s'; `redstart help` lists them.\n", words[1].data);
    return EXIT_FAILURE;
}

/* The arguments are copied, as setting the process's title overwrites them. */
int main(int argument_count, char **arguments) {
    size_t count = argument_count > 0 ? (size_t)argument_count : 1;
    struct bytes *words = memory_alloc(count * sizeof(*words));
    words[0] = BYTES("redstart");
    for (size_t i = 0; i < (size_t)argument_count; i++)
        words[i] = bytes_from_text(memory_copy_text(arguments[i]));
    struct process_title title = process_title_open(argument_count, arguments);
    int exit_code = dispatch(words, count, &title);
    for (size_t i = 0; i < (size_t)argument_count; i++)
        memory_free((char *)(uintptr_t)words[i].data);
    memory_free(words);
    return exit_code;
}
