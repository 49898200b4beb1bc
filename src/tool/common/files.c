/* files.c: files of any size, a piece at a time. */
#include "tool/common/files.h"
#include "io/files.h"

#include <errno.h>

enum { PIECE = 1 << 20 };

/* Sync and close; what went wrong before goes on. */
static int finish(struct io *io, io_file file, int result) {
    if (result == 0) result = io->operations->sync(io, file, false);
    io->operations->close(io, file);
    return result;
}

static io_file open_new(struct io *io, const char *path) {
    return io->operations->open(io, path, IO_WRITE | IO_CREATE | IO_EXCLUSIVE, 0644);
}

int files_write_new(struct io *io, const char *path, struct bytes bytes) {
    io_file file = open_new(io, path);
    if (file < 0) return file;
    return finish(io, file, io_write_all(io, file, bytes));
}

int files_copy_range(struct io *io, const char *from, uint64_t begin, uint64_t end, io_file into,
                     void (*step)(void *context, uint64_t copied), void *context) {
    const struct io_operations *files = io->operations;
    struct buffer piece = {0};
    io_file file = files->open(io, from, IO_READ, 0);
    int result = file < 0 ? file : 0;
    char *room = buffer_reserve(&piece, PIECE);
    for (uint64_t at = begin; result == 0 && at < end;) {
        size_t wanted = end - at < PIECE ? (size_t)(end - at) : PIECE;
        int64_t got = files->read_at(io, file, room, wanted, at);
        if (got <= 0) {
            result = got < 0 ? (int)got : -EIO;
            break;
        }
        result = io_write_all(io, into, bytes_make(room, (size_t)got));
        at += (uint64_t)got;
        if (step) step(context, at - begin);
    }
    if (file >= 0) files->close(io, file);
    buffer_release(&piece);
    return result;
}

int files_copy_new(struct io *io, const char *from, const char *to) {
    struct io_file_status status;
    int result = io->operations->status(io, from, &status);
    if (result < 0) return result;
    io_file file = open_new(io, to);
    if (file < 0) return file;
    return finish(io, file, files_copy_range(io, from, 0, status.size, file, NULL, NULL));
}

int files_keep(struct io *io, const char *path, struct buffer *name) {
    enum { KEPT_MAX = 1000 };
    struct buffer folder = {0};
    int result = -EEXIST;
    for (int i = 1; result == -EEXIST && i <= KEPT_MAX; i++) {
        buffer_clear(name);
        buffer_append_format(name, i == 1 ? "%s.before-fix" : "%s.before-fix.%d", path, i);
        buffer_append_byte(name, 0);
        result = files_copy_new(io, path, name->data);
    }
    files_folder(path, &folder);
    if (result == 0) result = io->operations->sync_directory(io, folder.data);
    buffer_release(&folder);
    return result;
}

int files_truncate(struct io *io, const char *path, uint64_t size) {
    io_file file = io->operations->open(io, path, IO_READ | IO_WRITE, 0);
    if (file < 0) return file;
    return finish(io, file, io->operations->truncate(io, file, size));
}

void files_folder(const char *path, struct buffer *out) {
    const char *slash = strrchr(path, '/');
    buffer_clear(out);
    if (!slash)
        buffer_append_text(out, ".");
    else
        buffer_append(out, path, slash == path ? 1 : (size_t)(slash - path));
    buffer_append_byte(out, 0);
}
