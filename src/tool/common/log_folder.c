/* log_folder.c: looking for a manifest, and at the redo file beside it; times in lines. */
#include "tool/common/log_folder.h"

#include "base/number.h"
#include "tool/common/files.h"
#include "tool/common/say.h"
#include <inttypes.h>

static void set_text(struct buffer *buffer, const char *text) {
    buffer_clear(buffer);
    buffer_append_text(buffer, text);
    buffer_append_byte(buffer, 0);
}

static void join(struct buffer *out, const char *folder, const char *name) {
    buffer_clear(out);
    buffer_append_format(out, "%s/%s", folder, name);
    buffer_append_byte(out, 0);
}

static bool is_manifest(const char *name) {
    static const char end[] = ".manifest";
    size_t size = strlen(name);
    return size >= sizeof end && strcmp(name + size - (sizeof end - 1), end) == 0 &&
           strncmp(name, "temp-", 5) != 0;
}

struct search {
    struct log_folder *log;
    struct io *io;
    const char *folder, *below;
    struct buffer folders; /* names of folders in it, each with a zero behind */
};

static void see_name(void *context, const char *name) {
    struct search *search = context;
    struct io_file_status status;
    struct buffer path = {0};
    join(&path, search->folder, name);
    int result = search->io->operations->status(search->io, path.data, &status);
    if (result == 0 && status.kind == IO_KIND_DIRECTORY)
        buffer_append(&search->folders, name, strlen(name) + 1);
    if (result == 0 && status.kind == IO_KIND_FILE && is_manifest(name)) {
        search->log->found++;
        set_text(&search->log->path, path.data);
        set_text(&search->log->folder, search->folder);
        set_text(&search->log->name, name);
        set_text(&search->log->below, search->below);
    }
    buffer_release(&path);
}

static void look_below(struct log_folder *log, struct io *io, const char *path, const char *name) {
    struct buffer folder = {0};
    join(&folder, path, name);
    struct search below = {.log = log, .io = io, .folder = folder.data, .below = name};
    io->operations->list(io, folder.data, see_name, &below);
    buffer_release(&folder);
    buffer_release(&below.folders);
}

bool log_folder_find(struct log_folder *log, struct io *io, const char *path) {
    struct search here = {.log = log, .io = io, .folder = path, .below = ""};
    *log = (struct log_folder){0};
    io->operations->list(io, path, see_name, &here);
    if (log->found == 0) look_below(log, io, path, "appendonlydir");
    if (log->found == 0 && here.folders.size > 0) {
        const char *end = here.folders.data + here.folders.size;
        for (const char *name = here.folders.data; name < end; name += strlen(name) + 1)
            look_below(log, io, path, name);
    }
    buffer_release(&here.folders);
    return log->found == 1;
}

void log_folder_release(struct log_folder *log) {
    buffer_release(&log->path);
    buffer_release(&log->folder);
    buffer_release(&log->name);
    buffer_release(&log->below);
}

void log_folder_redo(struct redo *redo, struct io *io, const char *folder, const char *manifest) {
    struct buffer name = {0};
    const char *slash = strrchr(manifest, '/');
    if (slash) manifest = slash + 1;
    buffer_append_text(&name, manifest);
    if (is_manifest(manifest)) name.size -= strlen(".manifest");
    buffer_append_byte(&name, 0);
    redo_init(redo, io, folder, name.data);
    buffer_release(&name);
}

void log_folder_say_redo(const struct redo *redo, const struct manifest *manifest) {
    const struct manifest_file *last = manifest_last_increment(manifest);
    struct redo_outcome outcome;
    struct buffer path = {0};
    if (!last) return;
    buffer_append_format(&path, "%s/%s", redo->directory, last->name);
    buffer_append_byte(&path, 0);
    int error = redo_apply(redo, last->sequence, path.data, false, &outcome);
    if (error < 0)
        say("[info] %s cannot be read: %s\n", redo->path, strerror(-error));
    else if (outcome.is_continued)
        say("[info] %s is of no use: another server has written to the last file since\n",
            redo->path);
    else if (outcome.missing > 0)
        say("[info] %s has %" PRIu64
            " bytes that the last file lacks, as a failure of power leaves it: a start puts them "
            "there\n",
            redo->path, outcome.missing);
    buffer_release(&path);
}

int64_t log_line_time(struct bytes line, struct annotation *annotation) {
    static const char beginning[] = "#TS:";
    enum { BEGINNING = sizeof beginning - 1 };
    int64_t seconds = 0;
    if (annotation_parse(line, annotation)) return annotation->time_ms;
    annotation->id[0] = 0;
    while (line.size > 0 && (line.data[line.size - 1] == '\n' || line.data[line.size - 1] == '\r'))
        line.size--;
    if (line.size <= BEGINNING || memcmp(line.data, beginning, BEGINNING) != 0) return 0;
    number_parse_i64(bytes_make(line.data + BEGINNING, line.size - BEGINNING), &seconds);
    return seconds > 0 && seconds < INT64_MAX / 1000 ? seconds * 1000 : 0;
}
