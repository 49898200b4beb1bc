/* save.c: writing an RDB file. */
#include "rdb/save.h"

#include "base/memory.h"
#include "io/files.h"
#include <errno.h>

struct saving_file {
    struct rdb_save *save;
    io_file file;
    uint64_t synced;
};

static bool fail(struct rdb_save *save, int error, const char *at) {
    if (save->error == 0) {
        save->error = error;
        save->failed_at = at;
    }
    return false;
}

static bool write_all(struct rdb_save *save, io_file file, struct bytes bytes) {
    int error = io_write_all(save->io, file, bytes);
    return error == 0 || fail(save, error, "writing");
}

/* The writer's sink. */
static bool write_block(void *context, struct bytes bytes) {
    struct saving_file *to = context;
    struct rdb_save *save = to->save;
    if (__atomic_load_n(&save->cancelled, __ATOMIC_RELAXED))
        return fail(save, -ECANCELED, "writing");
    uint64_t size = save->bytes + bytes.size;
    __atomic_store_n(&save->bytes, size, __ATOMIC_RELAXED);
    if (!write_all(save, to->file, bytes)) return false;
    if (!save->syncs_on_the_way || size - to->synced < RDB_SAVE_SYNC) return true;
    to->synced = size;
    int result = save->io->operations->sync(save->io, to->file, true);
    return result >= 0 || fail(save, result, "syncing");
}

/* The version is known at last. */
static bool write_magic_again(struct rdb_save *save, const struct rdb_writer *writer) {
    const struct io_operations *files = save->io->operations;
    if (writer->out.version == RDB_VERSION_MIN) return true;
    io_file file = files->open(save->io, save->temporary, IO_WRITE, 0);
    if (file < 0) return fail(save, file, "opening");
    bool good = write_all(save, file, bytes_make(writer->magic, RDB_MAGIC_SIZE));
    files->close(save->io, file);
    return good;
}

static bool write_rdb(struct rdb_save *save, const struct rdb_writer_options *options) {
    struct rdb_writer *writer = memory_alloc(sizeof *writer);
    rdb_writer_open(writer, options);
    bool good = rdb_writer_step(writer, UINT64_MAX / 2) == RDB_WRITER_DONE;
    good = good && write_magic_again(save, writer);
    rdb_writer_close(writer);
    memory_free(writer);
    return good;
}

static bool write_file(struct saving_file *to) {
    struct rdb_save *save = to->save;
    struct rdb_writer_options options = save->content;
    options.write = write_block;
    options.context = to;
    options.keys_done = &save->keys_done;
    if (save->produce ? !save->produce(&options) : !write_rdb(save, &options)) return false;
    int result = save->io->operations->sync(save->io, to->file, false);
    return result >= 0 || fail(save, result, "syncing");
}

static bool open_reader(struct rdb_save *save) {
    io_file file = save->io->operations->open(save->io, save->temporary, IO_READ, 0);
    if (file < 0) return fail(save, file, "opening");
    *save->reader = file;
    return true;
}

static bool install(struct rdb_save *save) {
    const struct io_operations *files = save->io->operations;
    if (__atomic_load_n(&save->cancelled, __ATOMIC_RELAXED))
        return fail(save, -ECANCELED, "renaming");
    int result = files->rename(save->io, save->temporary, save->path);
    if (result < 0) return fail(save, result, "renaming");
    result = files->sync_directory(save->io, save->folder);
    return result >= 0 || fail(save, result, "syncing the folder");
}

bool rdb_save_run(struct rdb_save *save) {
    const struct io_operations *files = save->io->operations;
    struct saving_file to = {.save = save};
    save->error = 0;
    save->failed_at = NULL;
    if (save->reader) *save->reader = IO_NONE;
    to.file = files->open(save->io, save->temporary, IO_WRITE | IO_CREATE | IO_TRUNCATE, 0644);
    if (to.file < 0) return fail(save, to.file, "opening");
    bool good = write_file(&to);
    files->close(save->io, to.file);
    if (save->reader) good = good && open_reader(save);
    if (good && install(save)) return true;
    if (save->reader && *save->reader != IO_NONE) {
        files->close(save->io, *save->reader);
        *save->reader = IO_NONE;
    }
    files->remove(save->io, save->temporary);
    return false;
}
