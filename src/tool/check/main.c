/* main.c: the command lines of the programs that check files. */
#include "base/number.h"
#include "engine/version.h"
#include "tool/check/aof.h"
#include "tool/check/check.h"
#include "tool/check/rdb.h"
#include "tool/common/say.h"
#include <stdlib.h>

static struct io *open_world(void) {
    char error[256];
    struct io *io = io_real_open(1, error, sizeof error);
    if (!io) complain("Cannot start: %s\n", error);
    return io;
}

static bool is_version(struct bytes word) {
    return bytes_is(word, "-v") || bytes_is(word, "--version");
}

static bool is_help(struct bytes word) {
    return bytes_is(word, "-h") || bytes_is(word, "--help");
}

/* ---- RDB ---- */

static int check_rdb_run(struct bytes path, bool fixes, bool is_sure) {
    struct check_rdb result;
    struct io *io = open_world();
    if (!io) return EXIT_FAILURE;
    check_rdb_file(io, path.data, path.data, &result);
    bool is_good = result.is_sound;
    if (!is_good && fixes) is_good = check_rdb_fix(io, path.data, &result, is_sure);
    io_close(io);
    return is_good ? EXIT_SUCCESS : EXIT_FAILURE;
}

int check_rdb_main(const char *program, const struct bytes *words, size_t count,
                   const struct process_title *title) {
    bool fixes = false, is_sure = false;
    (void)title;
    if (count == 1 && is_version(words[0])) {
        say("%s %s\n", program, REDIS_VERSION);
        return EXIT_SUCCESS;
    }
    for (; count > 1; words++, count--) {
        if (bytes_is(words[0], "--fix"))
            fixes = true;
        else if (bytes_is(words[0], "--yes"))
            is_sure = true;
        else
            break;
    }
    if (count != 1 || is_help(words[0])) {
        complain("Usage: %s [--fix [--yes]] <rdb-file-name>\n", program);
        return EXIT_FAILURE;
    }
    return check_rdb_run(words[0], fixes, is_sure);
}

/* ---- AOF ---- */

static int aof_usage(const char *program) {
    say("Usage: %s [--fix [--yes]|--truncate-to-timestamp $timestamp] <file.manifest|file.aof>\n",
        program);
    return EXIT_FAILURE;
}

int check_aof_main(const char *program, const struct bytes *words, size_t count,
                   const struct process_title *title) {
    struct check_aof_options options = {0};
    (void)title;
    if (count == 1 && is_version(words[0])) {
        say("%s %s\n", program, REDIS_VERSION);
        return EXIT_SUCCESS;
    }
    for (; count > 1; words++, count--) {
        if (bytes_is(words[0], "--fix")) {
            options.fixes = true;
        } else if (bytes_is(words[0], "--yes")) {
            options.is_sure = true;
        } else if (bytes_is(words[0], "--truncate-to-timestamp") && count > 2) {
            if (!number_parse_i64(words[1], &options.truncate_to) || options.truncate_to <= 0) {
                say("Invalid timestamp, aborting...\n");
                return EXIT_FAILURE;
            }
            words++, count--;
        } else {
            break;
        }
    }
    if (count != 1 || is_help(words[0]) || (options.fixes && options.truncate_to > 0))
        return aof_usage(program);
    options.path = words[0].data;
    options.io = open_world();
    if (!options.io) return EXIT_FAILURE;
    bool is_good = check_aof(&options);
    io_close(options.io);
    return is_good ? EXIT_SUCCESS : EXIT_FAILURE;
}

/* ---- both ---- */

int check_main(const char *program, const struct bytes *words, size_t count,
               const struct process_title *title) {
    if (count > 0 && bytes_is(words[0], "rdb"))
        return check_rdb_main("redstart check rdb", words + 1, count - 1, title);
    if (count > 0 && bytes_is(words[0], "aof"))
        return check_aof_main("redstart check aof", words + 1, count - 1, title);
    say("Usage: %s rdb [--fix [--yes]] FILE\n"
        "       %s aof [--fix [--yes] | --truncate-to-timestamp SECONDS] FILE|MANIFEST|FOLDER\n\n"
        "Says what is inside, whether a start would load it, where it breaks and what a repair "
        "would drop.\nWith --fix what cannot be read is dropped, after asking (--yes: without); "
        "the original is kept\nbeside it as FILE.before-fix. Exit code 0: sound, or is now; 1: "
        "not.\n",
        program, program);
    return count > 0 && is_help(words[0]) ? EXIT_SUCCESS : EXIT_FAILURE;
}
