/* files.c: see files.h. */
#include "io/files.h"

#include "base/memory.h"
#include <errno.h>
#include <stdio.h>

enum { STEP_MIN = 16 * 1024, STEP_MAX = 1 << 20 };

int io_write_all(struct io *io, io_file file, struct bytes bytes) {
    while (bytes.size > 0) {
        int64_t written = io->operations->write(io, file, bytes.data, bytes.size);
        if (written < 0) return (int)written;
        if (written == 0) return -EIO;
        bytes = bytes_make(bytes.data + written, bytes.size - (size_t)written);
    }
    return 0;
}

int io_write_all_at(struct io *io, io_file file, struct bytes bytes, uint64_t offset) {
    while (bytes.size > 0) {
        int64_t written = io->operations->write_at(io, file, bytes.data, bytes.size, offset);
        if (written < 0) return (int)written;
        if (written == 0) return -EIO;
        offset += (uint64_t)written;
        bytes = bytes_make(bytes.data + written, bytes.size - (size_t)written);
    }
    return 0;
}

int io_read_file(struct io *io, const char *path, uint64_t size_max, struct buffer *out) {
    const struct io_operations *files = io->operations;
    struct io_file_status status;
    int result = files->status(io, path, &status);
    if (result < 0) return result;
    if (status.kind == IO_KIND_DIRECTORY) return -EISDIR;
    if (status.kind == IO_KIND_FILE && status.size > size_max) return -EFBIG;
    io_file file = files->open(io, path, IO_READ, 0);
    if (file < 0) return file;
    size_t begin = out->size, step = status.size < STEP_MAX ? (size_t)status.size + 1 : STEP_MAX;
    if (step < STEP_MIN) step = STEP_MIN;
    int64_t got;
    do {
        got = files->read(io, file, buffer_reserve(out, step), step);
        if (got > 0) out->size += (size_t)got;
        if (out->size - begin > size_max) got = -EFBIG;
    } while (got > 0);
    files->close(io, file);
    return got < 0 ? (int)got : 0;
}

int io_read_range(struct io *io, io_file file, uint64_t offset, size_t size, struct buffer *out) {
    char *room = buffer_reserve(out, size);
    for (size_t done = 0; done < size;) {
        int64_t got = io->operations->read_at(io, file, room + done, size - done, offset + done);
        if (got < 0) return (int)got;
        if (got == 0) break;
        done += (size_t)got;
        out->size += (size_t)got;
    }
    return 0;
}

struct closing {
    struct io *io;
    io_file file;
};

static void close_work(void *context) {
    struct closing *closing = context;
    closing->io->operations->close(closing->io, closing->file);
}

void io_close_later(struct io *io, io_file file) {
    struct closing *closing = memory_alloc(sizeof *closing);
    *closing = (struct closing){io, file};
    io_submit(io, IO_LANE_DISPOSE, close_work, memory_free, closing);
}

void io_folder(struct io *io, char *folder, size_t size) {
    if (io->operations->directory(io, folder, size) < 0) snprintf(folder, size, ".");
}
