/* write.c: a plan carried out: a new folder, whole on disk before it is said to be there. The
 * manifest comes last, so that a folder without one is an unfinished one. */
#include "tool/restore/plan.h"

#include "base/crc.h"
#include "base/memory.h"
#include "io/files.h"
#include "tool/common/files.h"
#include "tool/common/say.h"
#include <errno.h>
#include <stdio.h>

struct writing {
    struct plan *plan;
    struct buffer folder; /* of the log, in the new data folder; with a zero behind */
    struct progress progress;
};

static int fail(struct plan *plan, const char *path, int error) {
    snprintf(plan->error, sizeof plan->error, "%s: %s", path, strerror(-error));
    return error;
}

static void step(void *context, uint64_t copied) {
    progress_step(context, copied);
}

static void paths_of(const struct writing *writing, const char *name, struct buffer *from,
                     struct buffer *to) {
    buffer_clear(from);
    buffer_clear(to);
    buffer_append_format(from, "%s/%s", writing->plan->log->folder.data, name);
    buffer_append_byte(from, 0);
    buffer_append_format(to, "%s/%s", writing->folder.data, name);
    buffer_append_byte(to, 0);
}

/* The stretch that the cut goes through, announced again as what is left of it. */
static int write_stretch(struct io *io, const char *from, const struct plan_place *end,
                         io_file into) {
    struct buffer bytes = {0}, line = {0};
    size_t size = (size_t)(end->at - end->stretch_data);
    io_file file = io->operations->open(io, from, IO_READ, 0);
    if (file < 0) return file;
    int error = io_read_range(io, file, end->stretch_data, size, &bytes);
    io->operations->close(io, file);
    if (error == 0 && bytes.size < size) error = -EIO;
    struct annotation annotation = end->annotation;
    annotation.bytes = size;
    annotation.crc = crc64(0, buffer_bytes(&bytes));
    annotation_format(&annotation, &line);
    if (error == 0) error = io_write_all(io, into, buffer_bytes(&line));
    if (error == 0) error = io_write_all(io, into, buffer_bytes(&bytes));
    buffer_release(&bytes);
    buffer_release(&line);
    return error;
}

/* The first bytes of a file: up to `end`, which may be NULL. */
static int write_file(struct writing *writing, const char *name, uint64_t size,
                      const struct plan_place *end) {
    struct plan *plan = writing->plan;
    struct io *io = plan->io;
    struct buffer from = {0}, to = {0};
    paths_of(writing, name, &from, &to);
    bool is_inside = end && end->stretch_data > 0;
    uint64_t plain = is_inside ? end->stretch_begin : size;
    io_file file = io->operations->open(io, to.data, IO_WRITE | IO_CREATE | IO_EXCLUSIVE, 0644);
    int result = file < 0 ? file : 0;
    progress_begin(&writing->progress, io, name, size);
    if (result == 0)
        result = files_copy_range(io, from.data, 0, plain, file, step, &writing->progress);
    if (result == 0 && is_inside) result = write_stretch(io, from.data, end, file);
    if (result == 0) result = io->operations->sync(io, file, false);
    if (file >= 0) io->operations->close(io, file);
    progress_end(&writing->progress);
    if (result < 0) fail(plan, to.data, result);
    buffer_release(&from);
    buffer_release(&to);
    return result;
}

static void add_line(struct manifest *manifest, const struct manifest_file *file,
                     enum manifest_type type) {
    struct manifest_file *line = &manifest->files[manifest->count++];
    *line = *file;
    line->type = type;
    line->name = memory_copy_text(file->name);
}

static int write_manifest(struct writing *writing) {
    struct plan *plan = writing->plan;
    struct manifest manifest = {.files =
                                    memory_alloc_zeroed(plan->count + 1, sizeof *manifest.files)};
    struct buffer text = {0}, from = {0}, to = {0};
    if (plan->base) add_line(&manifest, plan->base, MANIFEST_BASE);
    for (size_t i = 0; i < plan->count; i++)
        if (plan->increments[i].kept > 0)
            add_line(&manifest, plan->increments[i].file, MANIFEST_INCREMENT);
    manifest_format(&manifest, &text);
    paths_of(writing, plan->log->name.data, &from, &to);
    int result = files_write_new(plan->io, to.data, buffer_bytes(&text));
    if (result < 0) fail(plan, to.data, result);
    manifest_release(&manifest);
    buffer_release(&text);
    buffer_release(&from);
    buffer_release(&to);
    return result;
}

static int write_files(struct writing *writing) {
    struct plan *plan = writing->plan;
    int result = 0;
    if (plan->base) result = write_file(writing, plan->base->name, plan->base_size, NULL);
    for (size_t i = 0; result == 0 && i < plan->count; i++) {
        const struct plan_increment *increment = &plan->increments[i];
        bool is_end = plan->is_cut && plan->end.file == i;
        if (increment->kept > 0)
            result = write_file(writing, increment->file->name, increment->kept,
                                is_end ? &plan->end : NULL);
    }
    if (result == 0) result = plan->io->operations->sync_directory(plan->io, writing->folder.data);
    return result == 0 ? write_manifest(writing) : result;
}

bool plan_write(struct plan *plan, const char *to) {
    const struct io_operations *files = plan->io->operations;
    struct writing writing = {.plan = plan};
    struct buffer parent = {0};
    bool is_below = plan->log->below.data[0] != 0;
    buffer_append_format(&writing.folder, "%s%s%s", to, is_below ? "/" : "", plan->log->below.data);
    buffer_append_byte(&writing.folder, 0);
    files_folder(to, &parent);
    int result = files->make_directory(plan->io, to, 0755);
    if (result == 0 && is_below)
        result = files->make_directory(plan->io, writing.folder.data, 0755);
    if (result < 0) fail(plan, to, result);
    if (result == 0) result = write_files(&writing);
    if (result == 0) result = files->sync_directory(plan->io, writing.folder.data);
    if (result == 0) result = files->sync_directory(plan->io, to);
    if (result == 0) result = files->sync_directory(plan->io, parent.data);
    if (result < 0 && !plan->error[0]) fail(plan, to, result);
    buffer_release(&writing.folder);
    buffer_release(&parent);
    return result == 0;
}
