/* aof.c: what is in append-only files, and where they break. They are read by what a start uses
 * (journal/replay.h), so what passes here is run there. */
#include "tool/check/aof.h"

#include "base/memory.h"
#include "io/files.h"
#include "journal/manifest.h"
#include "journal/redo.h"
#include "journal/replay.h"
#include "rdb/load.h"
#include "tool/check/rdb.h"
#include "tool/common/files.h"
#include "tool/common/log_folder.h"
#include "tool/common/say.h"
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

enum { COMMANDS_COUNTED = 64, COMMANDS_SHOWN = 10, NAME_MAX_SIZE = 32, STEP = 1000 };

struct command_count {
    char name[NAME_MAX_SIZE];
    uint64_t count;
};

/* One file under examination. */
struct examined {
    const struct check_aof_options *options;
    const char *path, *shown; /* where it is, and how it is called in what is said */
    bool is_last;
    struct replay replay;
    uint64_t size, begin; /* of the file; where its commands begin, behind an RDB part */
    struct command_count counts[COMMANDS_COUNTED];
    size_t count;
    uint64_t commands, uncounted;
    int64_t first_ms, last_ms; /* as lines in it say; 0: they do not */
    uint64_t first_offset, last_offset;
    bool is_late;           /* a line is later than truncate_to ... */
    uint64_t late_at;       /* ... the first one, here */
    struct annotation last; /* that was seen before it */
};

/* ---- what is in it ---- */

static bool see_command(void *context, struct request *request, char *error, size_t error_size) {
    struct examined *examined = context;
    (void)error, (void)error_size;
    struct bytes name = request->arguments[0];
    examined->commands++;
    for (size_t i = 0; i < examined->count; i++) {
        if (!bytes_is(name, examined->counts[i].name)) continue;
        examined->counts[i].count++;
        return true;
    }
    if (examined->count == COMMANDS_COUNTED || name.size >= NAME_MAX_SIZE) {
        examined->uncounted++;
        return true;
    }
    struct command_count *count = &examined->counts[examined->count++];
    for (size_t i = 0; i < name.size; i++)
        count->name[i] =
            name.data[i] >= 'a' && name.data[i] <= 'z' ? (char)(name.data[i] - 32) : name.data[i];
    count->name[name.size] = 0;
    count->count = 1;
    return true;
}

static void see_line(void *context, struct bytes line) {
    struct examined *examined = context;
    struct annotation annotation;
    int64_t time_ms = log_line_time(line, &annotation);
    if (time_ms == 0) return;
    int64_t limit_s = examined->options->truncate_to;
    if (limit_s > 0 && time_ms / 1000 > limit_s && !examined->is_late) {
        examined->is_late = true;
        examined->late_at = examined->replay.offset;
    }
    if (examined->is_late) return;
    if (examined->first_ms == 0) examined->first_ms = time_ms;
    examined->last_ms = time_ms;
    if (annotation.id[0] == 0) return;
    if (examined->last.id[0] == 0) examined->first_offset = annotation.offset;
    examined->last_offset = annotation.offset + annotation.bytes;
    examined->last = annotation;
}

static int by_count(const void *a, const void *b) {
    uint64_t x = ((const struct command_count *)a)->count;
    uint64_t y = ((const struct command_count *)b)->count;
    return x < y ? 1 : x > y ? -1 : 0;
}

static void say_contents(struct examined *examined) {
    struct buffer line = {0};
    qsort(examined->counts, examined->count, sizeof examined->counts[0], by_count);
    buffer_append_format(&line, "[info] %" PRIu64 " commands", examined->commands);
    uint64_t others = examined->uncounted;
    for (size_t i = 0; i < examined->count; i++) {
        if (i >= COMMANDS_SHOWN) {
            others += examined->counts[i].count;
            continue;
        }
        buffer_append_text(&line, i == 0 ? ": " : ", ");
        say_append_bytes(&line, bytes_from_text(examined->counts[i].name), NAME_MAX_SIZE);
        buffer_append_format(&line, " %" PRIu64, examined->counts[i].count);
    }
    if (others > 0) buffer_append_format(&line, ", others %" PRIu64, others);
    if (examined->first_ms > 0) {
        buffer_append_text(&line, "\n[info] from ");
        say_append_time(&line, examined->first_ms);
        buffer_append_text(&line, " to ");
        say_append_time(&line, examined->last_ms);
    }
    if (examined->last.id[0])
        buffer_append_format(&line, "\n[info] offsets %" PRIu64 " to %" PRIu64 " of history %s",
                             examined->first_offset, examined->last_offset, examined->last.id);
    say("%.*s\n", (int)line.size, line.data);
    buffer_release(&line);
}

/* ---- cutting ---- */

static bool cut(const struct examined *examined, uint64_t size) {
    struct buffer kept = {0};
    int error = files_keep(examined->options->io, examined->path, &kept);
    if (error == 0) error = files_truncate(examined->options->io, examined->path, size);
    if (error == 0)
        say("The original is kept as %s\n", kept.data);
    else
        say("Failed to truncate AOF %s: %s\n", examined->shown, strerror(-error));
    buffer_release(&kept);
    return error == 0;
}

static bool truncate_to_time(const struct examined *examined) {
    const char *path = examined->path;
    int64_t time = examined->options->truncate_to;
    if (!examined->is_late) {
        say("Truncate nothing in AOF %s to timestamp %" PRId64 "\n", examined->shown, time);
        return true;
    }
    if (examined->late_at == 0) {
        say("AOF %s has nothing before timestamp %" PRId64 ", aborting...\n", path, time);
        return false;
    }
    if (!examined->is_last) {
        say("Failed to truncate AOF %s to timestamp %" PRId64 " to offset %" PRIu64
            " because it is not the last file.\n"
            "`redstart restore` makes a folder as of that moment from all files, and leaves these "
            "as they are.\n",
            path, time, examined->late_at);
        return false;
    }
    if (!cut(examined, examined->late_at)) return false;
    say("Successfully truncated AOF %s to timestamp %" PRId64 "\n", examined->shown, time);
    return true;
}

/* What stands behind `good` is dropped, once the user wants that. */
static bool fix(const struct examined *examined, uint64_t good, bool is_rotten) {
    if (!examined->is_last) {
        say("Failed to truncate AOF %s because it is not the last file\n", examined->shown);
        return false;
    }
    if (is_rotten)
        say("Warning: this is no crash's leftover: what is dropped was safe on disk once, and "
            "whole commands follow the damage. Restore a copy of the file if there is one.\n");
    say("This will shrink the AOF %s from %" PRIu64 " bytes, with %" PRIu64 " bytes, to %" PRIu64
        " bytes\n",
        examined->shown, examined->size, examined->size - good, good);
    if (!examined->options->is_sure && !say_and_confirm()) {
        say("Aborting...\n");
        return false;
    }
    if (!cut(examined, good)) return false;
    say("Successfully truncated AOF %s\n", examined->shown);
    return true;
}

/* ---- one file ---- */

static enum replay_result read_all(struct examined *examined) {
    struct progress progress;
    enum replay_result result;
    progress_begin(&progress, examined->options->io, examined->shown, examined->size);
    do {
        result = replay_step(&examined->replay, STEP, see_command, examined);
        progress_step(&progress, examined->replay.offset);
    } while (result == REPLAY_MORE && !examined->is_late);
    progress_end(&progress);
    return result;
}

static bool judge(struct examined *examined, enum replay_result result) {
    const struct replay *replay = &examined->replay;
    if (result == REPLAY_REFUSED) {
        say("Cannot read file %s behind offset %" PRIu64 ": %s, aborting...\n", examined->path,
            replay->offset, replay->error);
        return false;
    }
    uint64_t good = result == REPLAY_DONE ? replay->offset : replay->good;
    /* A stretch is kept whole or not at all: cut in the middle it would not be what it is announced
     * to be. */
    if (good > replay->stretch_begin && good < replay->stretch_end) good = replay->stretch_begin;
    if (result != REPLAY_DONE) say("0x%16" PRIx64 ": %s\n", replay->offset, replay->error);
    say("AOF analyzed: filename=%s, size=%" PRIu64 ", ok_up_to=%" PRIu64 ", ok_up_to_line=%" PRIu64
        ", diff=%" PRIu64 "\n",
        examined->shown, examined->size, good, replay->lines + 1, examined->size - good);
    if (examined->commands > 0 || examined->first_ms > 0) say_contents(examined);
    if (result == REPLAY_DONE) return true;
    if (examined->options->fixes) return fix(examined, good, result == REPLAY_ROTTEN);
    if (result == REPLAY_ROTTEN)
        say("AOF %s is damaged in the middle: what follows was safe on disk once.\n",
            examined->shown);
    say("AOF %s is not valid. Use the --fix option to try fixing it.\n", examined->shown);
    return false;
}

static bool read_commands(struct examined *examined, bool *was_cut) {
    int error =
        replay_open(&examined->replay, examined->options->io, examined->path, examined->begin);
    if (error < 0) {
        say("Cannot open file %s: %s, aborting...\n", examined->path, strerror(-error));
        return false;
    }
    examined->replay.see_line = see_line;
    enum replay_result result = read_all(examined);
    bool is_good;
    if (examined->options->truncate_to > 0 && (examined->is_late || result == REPLAY_DONE)) {
        is_good = truncate_to_time(examined);
        *was_cut = examined->is_late;
    } else {
        is_good = judge(examined, result);
        *was_cut = result != REPLAY_DONE;
    }
    replay_close(&examined->replay);
    return is_good;
}

/* An RDB part first, if it has one. */
static bool read_preamble(struct examined *examined) {
    struct check_rdb result;
    struct io *io = examined->options->io;
    int is_rdb = rdb_begins(io, examined->path);
    if (is_rdb < 0) {
        say("Cannot read file %s: %s, aborting...\n", examined->path, strerror(-is_rdb));
        return false;
    }
    if (is_rdb == 0) return true;
    check_rdb_file(io, examined->path, examined->shown, &result);
    if (!result.is_sound) {
        say("RDB preamble of AOF file is not sane, aborting.\n");
        return false;
    }
    say("RDB preamble is OK, proceeding with AOF tail...\n");
    examined->begin = result.end;
    return true;
}

/* `kind` stands before the name in what is said: "AOF", "BASE AOF", "INCR AOF". */
static bool examine(struct examined *examined, const char *kind) {
    struct io_file_status status;
    bool was_cut;
    struct io *io = examined->options->io;
    int error = io->operations->status(io, examined->path, &status);
    if (error < 0) {
        say("Cannot open file %s: %s, aborting...\n", examined->path, strerror(-error));
        return false;
    }
    if (status.kind != IO_KIND_FILE) {
        say("Cannot read file: %s\n", examined->path);
        return false;
    }
    examined->size = status.size;
    if (status.size == 0) {
        say("%s %s is empty\n", kind, examined->shown);
        return true;
    }
    if (!read_preamble(examined) || !read_commands(examined, &was_cut)) return false;
    if (!was_cut) say("%s %s is valid\n", kind, examined->shown);
    return true;
}

/* ---- what a manifest lists ---- */

static bool examine_listed(const struct check_aof_options *options, const struct manifest *manifest,
                           const char *folder, size_t index, size_t last) {
    const struct manifest_file *file = &manifest->files[index];
    struct buffer path = {0};
    struct examined *examined = memory_alloc_zeroed(1, sizeof *examined);
    buffer_append_format(&path, "%s/%s", folder, file->name);
    buffer_append_byte(&path, 0);
    *examined = (struct examined){
        .options = options, .path = path.data, .shown = file->name, .is_last = index == last};
    bool is_base = file->type == MANIFEST_BASE;
    if (is_base)
        say("Start to check BASE AOF (%s format).\n",
            rdb_begins(options->io, path.data) == 1 ? "RDB" : "RESP");
    bool is_good = examine(examined, is_base ? "BASE AOF" : "INCR AOF");
    memory_free(examined);
    buffer_release(&path);
    return is_good;
}

/* The last file that a start needs and that is not empty: behind one that a crash has torn there
 * may be another that was begun and could not be used. */
static size_t last_index(struct io *io, const struct manifest *manifest, const char *folder,
                         size_t needed) {
    if (needed == 0) return 0;
    size_t last = needed - 1;
    for (bool is_empty = true; is_empty && last > 0;) {
        struct buffer path = {0};
        struct io_file_status status = {0};
        buffer_append_format(&path, "%s/%s", folder, manifest->files[last].name);
        buffer_append_byte(&path, 0);
        is_empty = io->operations->status(io, path.data, &status) == 0 && status.size == 0;
        buffer_release(&path);
        if (is_empty) last--;
    }
    return last;
}

/* What comes after that moment is not wanted, and it would put it back. */
static bool drop_redo(struct redo *redo) {
    int error = redo_set_aside(redo);
    if (error == 0) say("%s is kept as %s.aside\n", redo->path, redo->path);
    if (error == 0 || error == -ENOENT) return true;
    say("Failed to set %s aside: %s\n", redo->path, strerror(-error));
    return false;
}

static bool examine_manifest(const struct check_aof_options *options,
                             const struct manifest *manifest, const char *path) {
    struct buffer folder = {0};
    size_t needed = 0, history = 0;
    for (size_t i = 0; i < manifest->count; i++)
        if (manifest->files[i].type != MANIFEST_HISTORY)
            needed++;
        else
            history++;
    files_folder(path, &folder);
    size_t last = last_index(options->io, manifest, folder.data, needed);
    say("Start checking Multi Part AOF\n");
    struct redo redo;
    log_folder_redo(&redo, options->io, folder.data, path);
    log_folder_say_redo(&redo, manifest);
    bool is_good = true, said = false;
    for (size_t i = 0; is_good && i < needed; i++) {
        if (!said && manifest->files[i].type == MANIFEST_INCREMENT) {
            say("Start to check INCR files.\n");
            said = true;
        }
        is_good = examine_listed(options, manifest, folder.data, i, last);
    }
    if (is_good && options->truncate_to > 0) is_good = drop_redo(&redo);
    redo_release(&redo);
    if (is_good) say("All AOF files and manifest are valid\n");
    if (history > 0)
        say("[info] %zu files of history are listed besides; a start does not need them\n",
            history);
    buffer_release(&folder);
    return is_good;
}

/* ---- what is it? ---- */

static bool ends_with(const char *text, const char *end) {
    size_t size = strlen(text), end_size = strlen(end);
    return size >= end_size && strcmp(text + size - end_size, end) == 0;
}

/* A manifest, by its name, or as it can be read as one. */
static bool check_file(const struct check_aof_options *options, const char *path) {
    struct buffer text = {0};
    struct manifest manifest;
    char error[256] = "";
    enum { PEEK = 5 };
    bool is_named = ends_with(path, ".manifest"), is_good;
    int result = io_read_file(options->io, path, MANIFEST_SIZE_MAX, &text);
    bool looks = result == 0 && text.size > PEEK && memcmp(text.data, "file ", PEEK) == 0;
    if (result == 0 && (is_named || looks) &&
        manifest_parse(&manifest, buffer_bytes(&text), error, sizeof error)) {
        is_good = examine_manifest(options, &manifest, path);
        manifest_release(&manifest);
    } else if (result == 0 && is_named) {
        say("Invalid AOF manifest %s: %s\n", path, error);
        is_good = false;
    } else {
        struct examined *examined = memory_alloc_zeroed(1, sizeof *examined);
        *examined =
            (struct examined){.options = options, .path = path, .shown = path, .is_last = true};
        say("Start checking Old-Style AOF\n");
        is_good = examine(examined, "AOF");
        memory_free(examined);
    }
    buffer_release(&text);
    return is_good;
}

/* The manifest of a folder, or of a folder in it. */
static bool check_folder(const struct check_aof_options *options) {
    struct log_folder log;
    bool is_good = false;
    if (log_folder_find(&log, options->io, options->path))
        is_good = check_file(options, log.path.data);
    else
        say("%s manifest in %s: name the one that is meant\n",
            log.found == 0 ? "There is no" : "There is more than one", options->path);
    log_folder_release(&log);
    return is_good;
}

bool check_aof(const struct check_aof_options *options) {
    struct io *io = options->io;
    struct io_file_status status;
    int error = io->operations->status(io, options->path, &status);
    if (error < 0) {
        say("Cannot open file %s: %s\n", options->path, strerror(-error));
        return false;
    }
    if (status.kind == IO_KIND_DIRECTORY) return check_folder(options);
    return check_file(options, options->path);
}
