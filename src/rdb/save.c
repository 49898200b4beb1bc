/* save.c: writing an RDB file. */
#include "rdb/save.h"

#include "base/crc.h"
#include "base/memory.h"
#include "base/prefetch.h"
#include "rdb/crc_join.h"
#include "rdb/format.h"
#include "rdb/value.h"
#include <errno.h>
#include <stdio.h>

/* Entries found ahead of the one being written, while memory fetches them. */
enum { AHEAD = 64, COUNT_STEP = 1024 };

struct writing {
    struct rdb_save *save;
    struct rdb_output out;
    io_file file;
    uint64_t crc; /* of what is behind the magic */
    uint64_t size, synced;
    uint32_t database;
    uint64_t keys; /* since they were last told */
    const struct entry *ahead[AHEAD];
    uint32_t ahead_count;
    char magic[RDB_MAGIC_SIZE + 1];
};

static bool fail(struct rdb_save *save, int error, const char *at) {
    if (save->error == 0) {
        save->error = error;
        save->failed_at = at;
    }
    return false;
}

/* ---- the file ---- */

static bool write_all(struct rdb_save *save, io_file file, struct bytes bytes) {
    while (bytes.size > 0) {
        int64_t written = save->io->operations->write(save->io, file, bytes.data, bytes.size);
        if (written == -EINTR) continue;
        if (written <= 0) return fail(save, written < 0 ? (int)written : -EIO, "writing");
        bytes = bytes_make(bytes.data + written, bytes.size - (size_t)written);
    }
    return true;
}

/* The output's sink. */
static bool write_block(void *context, struct bytes bytes) {
    struct writing *writing = context;
    struct rdb_save *save = writing->save;
    if (__atomic_load_n(&save->cancelled, __ATOMIC_RELAXED))
        return fail(save, -ECANCELED, "writing");
    if (save->checksums) writing->crc = crc64(writing->crc, bytes);
    writing->size += bytes.size;
    __atomic_store_n(&save->bytes, writing->size, __ATOMIC_RELAXED);
    if (!write_all(save, writing->file, bytes)) return false;
    if (!save->syncs_on_the_way || writing->size - writing->synced < RDB_SAVE_SYNC) return true;
    writing->synced = writing->size;
    int result = save->io->operations->sync(save->io, writing->file, true);
    return result >= 0 || fail(save, result, "syncing");
}

/* ---- what stands before the keys ---- */

static void write_aux(struct rdb_output *out, const char *name, struct bytes value) {
    rdb_output_byte(out, RDB_AUX);
    rdb_output_string(out, bytes_from_text(name));
    rdb_output_string(out, value);
}

static void write_aux_number(struct rdb_output *out, const char *name, uint64_t value) {
    char text[NUMBER_I64_TEXT_MAX];
    write_aux(out, name, bytes_make(text, number_format_u64(text, value)));
}

static void write_head(struct writing *writing) {
    const struct rdb_save *save = writing->save;
    struct rdb_output *out = &writing->out;
    write_aux(out, "redis-ver", bytes_from_text(save->redis_version));
    write_aux_number(out, "redis-bits", sizeof(void *) * 8);
    write_aux_number(out, "ctime", (uint64_t)save->now_s);
    write_aux_number(out, "used-mem", save->memory);
    write_aux_number(out, "aof-base", save->is_aof_base);
}

/* ---- keys ---- */

static void write_use(struct writing *writing, const struct entry *entry) {
    const struct rdb_save *save = writing->save;
    if (save->use == RDB_SAVE_IDLE) {
        rdb_output_byte(&writing->out, RDB_IDLE);
        rdb_output_length(&writing->out, use_idle_s(&save->policy, entry));
    } else if (save->use == RDB_SAVE_FREQUENCY) {
        rdb_output_byte(&writing->out, RDB_FREQ);
        rdb_output_byte(&writing->out, use_count(&save->policy, entry) & 255);
    }
}

static void write_entry(struct writing *writing, const struct entry *entry) {
    struct rdb_output *out = &writing->out;
    struct record_world *world = writing->save->world;
    if (entry_expiry(entry) != ENTRY_NO_EXPIRY) {
        rdb_output_byte(out, RDB_EXPIRE_MS);
        rdb_output_u64(out, (uint64_t)entry_expiry(entry));
    }
    write_use(writing, entry);
    uint8_t form = rdb_value_form(out, entry, world);
    rdb_output_byte(out, form);
    rdb_output_string(out, entry_key(entry));
    rdb_value_write(out, form, entry, world);
    rdb_output_step(out);
}

static void write_ahead(struct writing *writing) {
    for (uint32_t i = 0; i < writing->ahead_count; i++) {
        if (writing->out.failed) break;
        write_entry(writing, writing->ahead[i]);
    }
    writing->keys += writing->ahead_count;
    writing->ahead_count = 0;
    if (writing->keys < COUNT_STEP) return;
    __atomic_fetch_add(&writing->save->keys_done, writing->keys, __ATOMIC_RELAXED);
    writing->keys = 0;
}

static void visit(void *context, const struct entry *entry) {
    struct writing *writing = context;
    memory_prefetch(entry);
    memory_prefetch((const char *)entry + 64);
    writing->ahead[writing->ahead_count++] = entry;
    if (writing->ahead_count == AHEAD) write_ahead(writing);
}

static void write_database(struct writing *writing, uint32_t number) {
    const struct view *view = writing->save->view;
    size_t count = view_count(view, number);
    struct rdb_output *out = &writing->out;
    if (count == 0) return;
    rdb_output_byte(out, RDB_SELECT);
    rdb_output_length(out, number);
    rdb_output_byte(out, RDB_RESIZE);
    rdb_output_length(out, count);
    rdb_output_length(out, view_expiring(view, number));
    writing->database = number;
    uint64_t cursor = 0;
    do
        cursor = view_scan(view, number, cursor, visit, writing);
    while (cursor != 0 && !out->failed);
    write_ahead(writing);
}

/* ---- the end ---- */

/* The checksum is over the magic, which says the version, and what was written behind it. */
static bool write_end(struct writing *writing) {
    struct rdb_save *save = writing->save;
    struct rdb_output *out = &writing->out;
    rdb_output_byte(out, RDB_END);
    rdb_output_flush(out);
    if (out->failed) return false;
    uint64_t crc = 0;
    snprintf(writing->magic, sizeof writing->magic, "REDIS%04u", out->version);
    if (save->checksums) {
        crc = crc64(0, bytes_make(writing->magic, RDB_MAGIC_SIZE));
        crc = rdb_crc_join(crc, writing->crc, writing->size);
    }
    rdb_output_u64(out, crc);
    return write_all(save, writing->file, buffer_bytes(&out->buffer));
}

/* The version is known at last. */
static bool write_magic_again(struct writing *writing) {
    struct rdb_save *save = writing->save;
    const struct io_operations *files = save->io->operations;
    if (writing->out.version == RDB_VERSION_MIN) return true;
    io_file file = files->open(save->io, save->temporary, IO_WRITE, 0);
    if (file < 0) return fail(save, file, "opening");
    bool good = write_all(save, file, bytes_make(writing->magic, RDB_MAGIC_SIZE));
    files->close(save->io, file);
    return good;
}

static bool write_file(struct writing *writing) {
    struct rdb_save *save = writing->save;
    snprintf(writing->magic, sizeof writing->magic, "REDIS%04u", RDB_VERSION_MIN);
    if (!write_all(save, writing->file, bytes_make(writing->magic, RDB_MAGIC_SIZE))) return false;
    write_head(writing);
    rdb_output_raw(&writing->out, save->libraries);
    uint32_t databases = view_database_count(save->view);
    for (uint32_t i = 0; i < databases && !writing->out.failed; i++)
        write_database(writing, i);
    __atomic_fetch_add(&save->keys_done, writing->keys, __ATOMIC_RELAXED);
    if (!write_end(writing) || !write_magic_again(writing)) return false;
    int result = save->io->operations->sync(save->io, writing->file, false);
    return result >= 0 || fail(save, result, "syncing");
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
    save->error = 0;
    save->failed_at = NULL;
    io_file file = files->open(save->io, save->temporary, IO_WRITE | IO_CREATE | IO_TRUNCATE, 0644);
    if (file < 0) return fail(save, file, "opening");
    struct writing *writing = memory_alloc_zeroed(1, sizeof *writing);
    writing->save = save;
    writing->file = file;
    rdb_output_init(&writing->out, save->compresses);
    writing->out.write = write_block;
    writing->out.context = writing;
    bool good = write_file(writing);
    files->close(save->io, file);
    rdb_output_release(&writing->out);
    memory_free(writing);
    good = good && install(save);
    if (!good) files->remove(save->io, save->temporary);
    return good;
}
