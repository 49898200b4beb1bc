/* main.c: the command line of `redstart restore`, and what it says. */
#include "tool/common/files.h"
#include "tool/common/say.h"
#include "tool/restore/plan.h"
#include "tool/restore/restore.h"
#include <inttypes.h>
#include <stdlib.h>

struct arguments {
    const char *dir, *to; /* to NULL: DIR.restored */
    bool is_dry;
    struct bytes until; /* as typed; data NULL: not said */
    const struct bytes *last;
    size_t last_count;
};

static int usage(const char *program, bool is_wanted) {
    void (*tell)(const char *format, ...) = is_wanted ? say : complain;
    tell(
        "Usage: %s --dir FOLDER [--until TIME|OFFSET] [--to FOLDER] [--dry-run]\n"
        "       [--before-last COMMAND [ARGUMENT...]]\n\n"
        "Makes a new data folder with the dataset as it was at a moment, from the append-only log "
        "of\n"
        "another, which stays as it is. A server may run there meanwhile.\n\n"
        "  --dir FOLDER     the data folder (the server's `dir`)\n"
        "  --until TIME     \"2026-11-21 09:41:07\", with \"Z\" or \"+01:00\" behind, or local "
        "time; or\n"
        "                   @SECONDS since 1970. What was written until then, that second "
        "included\n"
        "  --until OFFSET   digits alone: of the journal, as `redstart check aof` shows it\n"
        "  --before-last COMMAND [ARGUMENT...]\n"
        "                   up to the last such command, without it: --before-last FLUSHALL. With\n"
        "                   --until: the last one until then. Ends the command line\n"
        "  --to FOLDER      the new folder; FOLDER.restored beside the old one when not said\n"
        "  --dry-run        only say what would be kept and dropped\n",
        program);
    return is_wanted ? EXIT_SUCCESS : EXIT_FAILURE;
}

static bool take_arguments(const struct bytes *words, size_t count, struct arguments *arguments) {
    *arguments = (struct arguments){0};
    for (; count > 0; words++, count--) {
        if (bytes_is(words[0], "--dry-run")) {
            arguments->is_dry = true;
            continue;
        }
        if (count < 2) return false;
        if (bytes_is(words[0], "--before-last")) {
            arguments->last = words + 1;
            arguments->last_count = count - 1;
            break;
        }
        if (bytes_is(words[0], "--dir"))
            arguments->dir = words[1].data;
        else if (bytes_is(words[0], "--to"))
            arguments->to = words[1].data;
        else if (bytes_is(words[0], "--until"))
            arguments->until = words[1];
        else
            return false;
        words++, count--;
    }
    return arguments->dir && (arguments->until.data || arguments->last_count > 0);
}

/* ---- what is said ---- */

static void append_span(struct buffer *out, int64_t first_ms, int64_t last_ms) {
    if (first_ms == 0) return;
    buffer_append_text(out, ", ");
    say_append_time(out, first_ms);
    buffer_append_text(out, " to ");
    say_append_time(out, last_ms);
}

static void say_increment(const struct plan *plan, size_t index) {
    const struct plan_increment *increment = &plan->increments[index];
    struct buffer line = {0};
    bool is_end = plan->is_cut && plan->end.file == index;
    if (increment->kept == 0)
        buffer_append_format(&line, "dropped    %s", increment->file->name);
    else
        buffer_append_format(&line, "%s %s: ", is_end ? "kept until" : "kept      ",
                             increment->file->name);
    if (increment->kept > 0 && is_end)
        buffer_append_format(&line, "byte %" PRIu64 " of ", increment->kept);
    if (increment->kept > 0) {
        say_append_size(&line, increment->size);
        buffer_append_format(&line, ", %" PRIu64 " commands", increment->commands_kept);
        append_span(&line, increment->first_ms,
                    is_end && plan->end.time_ms ? plan->end.time_ms : increment->last_ms);
    }
    say("%.*s\n", (int)line.size, line.data);
    buffer_release(&line);
}

static int by_count(const void *a, const void *b) {
    uint64_t x = ((const struct plan_dropped *)a)->count;
    uint64_t y = ((const struct plan_dropped *)b)->count;
    return x < y ? 1 : x > y ? -1 : 0;
}

static void say_dropped(struct plan *plan) {
    struct buffer line = {0};
    qsort(plan->dropped, plan->dropped_names, sizeof plan->dropped[0], by_count);
    for (size_t i = 0; i < plan->dropped_names; i++) {
        buffer_append_text(&line, i == 0 ? ": " : ", ");
        say_append_bytes(&line, bytes_from_text(plan->dropped[i].name), PLAN_NAME_MAX);
        buffer_append_format(&line, " %" PRIu64, plan->dropped[i].count);
    }
    say("\nNot in it:  %" PRIu64 " commands (%" PRIu64 " bytes)%.*s\n", plan->commands_dropped,
        plan->bytes_dropped, (int)line.size, line.size > 0 ? line.data : "");
    buffer_release(&line);
}

static void say_plan(struct plan *plan) {
    struct buffer line = {0};
    if (plan->base) {
        buffer_append_format(&line, "base       %s: ", plan->base->name);
        say_append_size(&line, plan->base_size);
        if (plan->base_ms > 0) {
            buffer_append_text(&line, ", of ");
            say_append_time(&line, plan->base_ms);
        }
        if (plan->base->type == MANIFEST_HISTORY) buffer_append_text(&line, ", from history");
        say("%.*s\n", (int)line.size, line.data);
    }
    for (size_t i = 0; i < plan->count; i++)
        say_increment(plan, i);
    say_dropped(plan);
    buffer_clear(&line);
    if (plan->end.time_ms > 0) {
        buffer_append_text(&line, "The last write that is kept is of about ");
        say_append_time(&line, plan->end.time_ms);
    }
    if (plan->end.has_offset)
        buffer_append_format(&line, "%sthe journal's offset is %" PRIu64, line.size > 0 ? "; " : "",
                             plan->end.offset);
    if (line.size > 0) say("%.*s\n", (int)line.size, line.data);
    buffer_release(&line);
}

/* ---- the whole ---- */

static bool restore(const struct arguments *arguments, struct io *io, const struct log_folder *log,
                    const struct wanted *wanted) {
    struct plan plan;
    struct buffer to = {0};
    size_t size = strlen(arguments->dir);
    while (size > 1 && arguments->dir[size - 1] == '/')
        size--;
    if (arguments->to)
        buffer_append_text(&to, arguments->to);
    else
        buffer_append_format(&to, "%.*s.restored", (int)size, arguments->dir);
    buffer_append_byte(&to, 0);
    bool good = plan_make(&plan, io, log, wanted);
    if (good) {
        struct redo redo;
        log_folder_redo(&redo, io, log->folder.data, log->name.data);
        log_folder_say_redo(&redo, &plan.manifest);
        redo_release(&redo);
        say_plan(&plan);
    }
    if (good && arguments->is_dry)
        say("\nNothing was written: this was a dry run (it would be %s)\n", to.data);
    else if (good && (good = plan_write(&plan, to.data)))
        say("\nMade %s, with the append-only log in it and nothing else: start a server there "
            "with\n`--dir %s --appendonly yes`. %s is as it was.\n",
            to.data, to.data, arguments->dir);
    if (!good) complain("Cannot restore: %s\n", plan.error);
    plan_release(&plan);
    buffer_release(&to);
    return good;
}

static bool run(const struct arguments *arguments, struct io *io) {
    struct wanted wanted = {.last = arguments->last, .last_count = arguments->last_count};
    int64_t zone_s = io->operations->utc_offset_s(io, io_wall_us(io) / 1000000);
    if (arguments->until.data && !moment_parse(arguments->until, zone_s, &wanted.until)) {
        complain(
            "Cannot restore: '%s' is neither a time (\"2026-11-21 09:41:07\", @SECONDS) nor an "
            "offset (digits)\n",
            arguments->until.data);
        return false;
    }
    struct log_folder log;
    bool good = log_folder_find(&log, io, arguments->dir);
    if (good)
        good = restore(arguments, io, &log, &wanted);
    else
        complain("Cannot restore: there is %s append-only log in %s\n",
                 log.found == 0 ? "no" : "more than one", arguments->dir);
    log_folder_release(&log);
    return good;
}

int restore_main(const char *program, const struct bytes *words, size_t count,
                 const struct process_title *title) {
    struct arguments arguments;
    char error[256];
    (void)title;
    if (count == 1 && (bytes_is(words[0], "--help") || bytes_is(words[0], "-h")))
        return usage(program, true);
    if (!take_arguments(words, count, &arguments)) return usage(program, false);
    struct io *io = io_real_open(1, error, sizeof error);
    if (!io) {
        complain("Cannot start: %s\n", error);
        return EXIT_FAILURE;
    }
    bool good = run(&arguments, io);
    io_close(io);
    return good ? EXIT_SUCCESS : EXIT_FAILURE;
}
