/* redo.h: a second place, quick to reach the disk, for what was appended to a file and is promised.
 *
 *     the log     |== on disk ==|-- appended, not synced --|          grows
 *     the redo    | record | record | record | 0 0 0 0 0 0 0 |        written over and over
 *
 * An fsync of a file that grows writes the bytes, and then its new size and place by way of the
 * file system's own journal. One of bytes that replace others, in a file all of whose bytes were
 * written before, writes the bytes alone: half the time, and nobody else's thread is needed for it.
 * So what must be on disk at once is appended to the log without an fsync, and written to the redo
 * file with one. Now and then, and when the redo file is full, the log is synced itself, and the
 * redo file begins anew.
 *
 * After a failure of power redo_apply puts into the log what it lacks. After any other end the log
 * has all of it, and nobody needs the redo file; other servers do not know it.
 *
 *     record   magic (8), generation, sequence of the log's file, position in it, size (u64 each,
 *              little-endian), CRC-64 of all of that and of the bytes, bytes
 *
 * Records of a generation follow each other without gap in both files; the first thing that is none
 * ends them. All calls may come from a worker; one at a time. */
#ifndef REDSTART_JOURNAL_REDO_H
#define REDSTART_JOURNAL_REDO_H

#include "base/buffer.h"
#include "io/io.h"

enum {
    REDO_SIZE = 1 << 20, /* bytes of the file, as a rule */
    REDO_HEADER_SIZE = 48,
};

struct redo {
    struct io *io;
    char *directory, *path; /* owned */
    io_file file;           /* IO_NONE: it is not there, or has failed */
    uint64_t size;          /* may be set before it begins */
    uint64_t generation, used;
};

void redo_init(struct redo *redo, struct io *io, const char *directory, const char *name);
void redo_release(struct redo *redo);

/* All that was promised is safe in the log: begin anew, and make the file if need be. 0 or a
 * negative errno; then there is none. */
int redo_begin(struct redo *redo);
/* Is there room for so many bytes? */
bool redo_has_room(const struct redo *redo, uint64_t size);
/* Write these bytes, which stand at that position of the log's file, and sync. The first
 * REDO_HEADER_SIZE bytes of `record` are room for the header. 0 or a negative errno; then it must
 * begin anew. */
int redo_write(struct redo *redo, uint64_t sequence, uint64_t position, struct buffer *record);
/* The log is safe, and nothing is promised by this file any more. 0 or a negative errno. */
int redo_remove(struct redo *redo);
/* Nobody uses it any more, but somebody may want to look at it: it gets ".aside" behind its name.
 */
int redo_set_aside(struct redo *redo);

struct redo_outcome {
    uint64_t missing;  /* bytes that the log lacked, or had wrong */
    bool is_continued; /* the log's file goes on otherwise: somebody else has written there, and it
                          is left as it is */
};

/* Put what the file has for the log's file of that sequence number and path, if anything, into
 * that, and sync that, whether it lacked something or not. Without `changes` only see what is
 * missing. 0 or a negative errno. */
int redo_apply(const struct redo *redo, uint64_t sequence, const char *path, bool changes,
               struct redo_outcome *outcome);

#endif
