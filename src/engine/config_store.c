/* config_store.c: see config_store.h. Knows files, not what is in them. */
#include "engine/config_store.h"
#include "engine/config_file.h"
#include "io/files.h"
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

enum { MODE_NEW = 0644 };

/* The folder of a path, in place. */
static void cut_name(struct buffer *path) {
    while (path->size > 1 && path->data[path->size - 1] != '/')
        path->size--;
    buffer_append_byte(path, 0);
}

static int replace_file(struct io *io, const char *path, uint32_t mode, struct bytes text) {
    const struct io_operations *files = io->operations;
    struct buffer temporary = {0}, folder = {0};
    buffer_append_format(&temporary, "%s.%" PRId64 ".tmp", path, io_wall_us(io));
    buffer_append_byte(&temporary, 0);
    buffer_append_text(&folder, path);
    cut_name(&folder);

    io_file file = files->open(io, temporary.data, IO_WRITE | IO_CREATE | IO_EXCLUSIVE, mode);
    int result = file < 0 ? file : 0;
    if (result == 0) {
        result = io_write_all(io, file, text);
        if (result == 0) result = files->sync(io, file, false);
        files->close(io, file);
        if (result == 0) result = files->rename(io, temporary.data, path);
        if (result < 0) files->remove(io, temporary.data);
    }
    if (result == 0) result = files->sync_directory(io, folder.data);
    buffer_release(&temporary);
    buffer_release(&folder);
    return result;
}

int config_store_replace(struct io *io, const char *path, struct bytes text) {
    struct io_file_status status = {.mode = MODE_NEW};
    int result = io->operations->status(io, path, &status);
    if (result < 0 && result != -ENOENT) return result;
    return replace_file(io, path, status.mode & 0777, text);
}

int config_store_rewrite(struct io *io, const struct config *config) {
    struct buffer old = {0}, new = {0};
    struct io_file_status status = {.mode = MODE_NEW};
    int result = io->operations->status(io, config->file.data, &status);
    if (result == 0) result = io_read_file(io, config->file.data, CONFIG_FILE_MAX, &old);
    if (result == -ENOENT) result = 0;
    if (result == 0) {
        config_rewrite(config, buffer_bytes(&old), &new);
        result = replace_file(io, config->file.data, status.mode & 0777, buffer_bytes(&new));
    }
    buffer_release(&old);
    buffer_release(&new);
    return result;
}
