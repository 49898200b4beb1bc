/* redo.c: see redo.h. Owns the redo file. */
#include "journal/redo.h"

#include "base/crc.h"
#include "base/memory.h"
#include "io/files.h"
#include <errno.h>
#include <string.h>

#define MAGIC "RSREDO1\n"
enum { MAGIC_SIZE = sizeof MAGIC - 1, FIELDS = 4, CRC_AT = REDO_HEADER_SIZE - 8, SAME_END = 32 };

_Static_assert(MAGIC_SIZE + FIELDS * 8 == CRC_AT, "the header is as redo.h says");

struct record {
    uint64_t generation, sequence, position, size;
};

void redo_init(struct redo *redo, struct io *io, const char *directory, const char *name) {
    struct buffer path = {0};
    buffer_append_format(&path, "%s/%s.redo", directory, name);
    buffer_append_byte(&path, 0);
    *redo = (struct redo){.io = io,
                          .directory = memory_copy_text(directory),
                          .path = memory_copy_text(path.data),
                          .file = IO_NONE,
                          .size = REDO_SIZE};
    buffer_release(&path);
}

static void close_file(struct redo *redo) {
    if (redo->file != IO_NONE) redo->io->operations->close(redo->io, redo->file);
    redo->file = IO_NONE;
}

void redo_release(struct redo *redo) {
    close_file(redo);
    memory_free(redo->directory);
    memory_free(redo->path);
}

/* ---- writing ---- */

/* Every byte of it is written, so that later ones only replace some, and its name is sure. */
static int make_file(struct redo *redo) {
    const struct io_operations *files = redo->io->operations;
    io_file file = files->open(redo->io, redo->path, IO_WRITE | IO_CREATE | IO_TRUNCATE, 0644);
    if (file < 0) return file;
    char *zeros = memory_alloc_zeroed(1, (size_t)redo->size);
    int result = io_write_all_at(redo->io, file, bytes_make(zeros, (size_t)redo->size), 0);
    memory_free(zeros);
    if (result == 0) result = files->sync(redo->io, file, false);
    if (result == 0) result = files->sync_directory(redo->io, redo->directory);
    if (result == 0) {
        redo->file = file;
        return 0;
    }
    files->close(redo->io, file);
    files->remove(redo->io, redo->path);
    return result;
}

int redo_begin(struct redo *redo) {
    redo->generation++;
    redo->used = 0;
    return redo->file == IO_NONE ? make_file(redo) : 0;
}

bool redo_has_room(const struct redo *redo, uint64_t size) {
    return redo->file != IO_NONE && size + REDO_HEADER_SIZE <= redo->size - redo->used;
}

static void put_header(const struct record *record, struct bytes bytes, char *header) {
    const uint64_t fields[FIELDS] = {record->generation, record->sequence, record->position,
                                     record->size};
    memcpy(header, MAGIC, MAGIC_SIZE);
    memcpy(header + MAGIC_SIZE, fields, sizeof fields);
    uint64_t crc = crc64(crc64(0, bytes_make(header, CRC_AT)), bytes);
    memcpy(header + CRC_AT, &crc, sizeof crc);
}

int redo_write(struct redo *redo, uint64_t sequence, uint64_t position, struct buffer *record) {
    const struct record fields = {redo->generation, sequence, position,
                                  record->size - REDO_HEADER_SIZE};
    put_header(&fields,
               bytes_make(record->data + REDO_HEADER_SIZE, record->size - REDO_HEADER_SIZE),
               record->data);
    int result = io_write_all_at(redo->io, redo->file, buffer_bytes(record), redo->used);
    if (result == 0) result = redo->io->operations->sync(redo->io, redo->file, true);
    redo->used += record->size;
    if (result < 0) close_file(redo);
    return result;
}

int redo_remove(struct redo *redo) {
    close_file(redo);
    int result = redo->io->operations->remove(redo->io, redo->path);
    return result == -ENOENT ? 0 : result;
}

int redo_set_aside(struct redo *redo) {
    struct buffer aside = {0};
    close_file(redo);
    buffer_append_format(&aside, "%s.aside", redo->path);
    buffer_append_byte(&aside, 0);
    int result = redo->io->operations->rename(redo->io, redo->path, aside.data);
    buffer_release(&aside);
    return result;
}

/* ---- after a failure of power ---- */

/* The record at `at` of the file's bytes, with what it has; false: there is none. */
static bool take_record(struct bytes file, size_t at, struct record *record, struct bytes *bytes) {
    uint64_t fields[FIELDS], crc;
    if (file.size - at < REDO_HEADER_SIZE || memcmp(file.data + at, MAGIC, MAGIC_SIZE) != 0)
        return false;
    memcpy(fields, file.data + at + MAGIC_SIZE, sizeof fields);
    memcpy(&crc, file.data + at + CRC_AT, sizeof crc);
    *record = (struct record){fields[0], fields[1], fields[2], fields[3]};
    if (record->size > file.size - at - REDO_HEADER_SIZE) return false;
    *bytes = bytes_make(file.data + at + REDO_HEADER_SIZE, (size_t)record->size);
    return crc64(crc64(0, bytes_make(file.data + at, CRC_AT)), *bytes) == crc;
}

/* What the records have for that file, one behind the other, and where it belongs. */
static uint64_t collect(struct bytes file, uint64_t sequence, struct buffer *out) {
    struct record record, first;
    struct bytes bytes;
    uint64_t position = 0;
    for (size_t at = 0; take_record(file, at, &record, &bytes);) {
        if (at == 0) {
            first = record;
            position = record.position;
        }
        if (record.generation != first.generation || record.sequence != sequence ||
            record.position != position + out->size)
            break;
        buffer_append(out, bytes.data, bytes.size);
        at += REDO_HEADER_SIZE + bytes.size;
    }
    return position;
}

/* How the log's file, from a position on, differs from what it should have there. What a failure of
 * power leaves out is absent, or zeros; other bytes have rotted where the end is as it should be.
 */
static void compare(struct bytes wanted, struct bytes present, struct redo_outcome *outcome) {
    for (size_t i = 0; i < wanted.size; i++) {
        if (i < present.size && present.data[i] == wanted.data[i]) continue;
        outcome->missing++;
        if (i < present.size && present.data[i] != 0) outcome->is_continued = true;
    }
    if (wanted.size == present.size && wanted.size > SAME_END &&
        memcmp(wanted.data + wanted.size - SAME_END, present.data + wanted.size - SAME_END,
               SAME_END) == 0)
        outcome->is_continued = false;
}

static int put(const struct redo *redo, const char *path, uint64_t position, struct bytes wanted,
               bool changes, struct redo_outcome *outcome) {
    const struct io_operations *files = redo->io->operations;
    struct io_file_status status;
    struct buffer present = {0};
    int result = files->status(redo->io, path, &status);
    /* Another file, or a copy of which this is not a part. */
    if (result == -ENOENT || (result == 0 && status.size < position)) return 0;
    if (result < 0) return result;
    io_file file = files->open(redo->io, path, changes ? IO_READ | IO_WRITE : IO_READ, 0);
    if (file < 0) return file;
    result = io_read_range(redo->io, file, position, wanted.size, &present);
    if (result == 0) {
        compare(wanted, bytes_make(present.data, present.size), outcome);
        /* Also where it is as it should be: behind an fsync that failed the system may show what
         * the disk will never get. */
        bool writes = changes && !outcome->is_continued;
        if (writes) result = io_write_all_at(redo->io, file, wanted, position);
        if (writes && result == 0) result = files->sync(redo->io, file, false);
    }
    files->close(redo->io, file);
    buffer_release(&present);
    return result;
}

int redo_apply(const struct redo *redo, uint64_t sequence, const char *path, bool changes,
               struct redo_outcome *outcome) {
    struct buffer file = {0}, wanted = {0};
    *outcome = (struct redo_outcome){0};
    int result = io_read_file(redo->io, redo->path, REDO_SIZE, &file);
    if (result == -ENOENT || result == -EFBIG) result = 0; /* none, or none of ours */
    if (result == 0 && file.size > 0) {
        uint64_t position = collect(buffer_bytes(&file), sequence, &wanted);
        if (wanted.size > 0)
            result = put(redo, path, position, buffer_bytes(&wanted), changes, outcome);
    }
    buffer_release(&file);
    buffer_release(&wanted);
    return result;
}
