/* files.h: whole files, over the pieces that struct io reads and writes. */
#ifndef REDSTART_IO_FILES_H
#define REDSTART_IO_FILES_H

#include "base/buffer.h"
#include "io/io.h"

/* 0 or a negative errno. */
int io_write_all(struct io *io, io_file file, struct bytes bytes);
int io_write_all_at(struct io *io, io_file file, struct bytes bytes, uint64_t offset);
/* Behind what `out` has; -EISDIR for a directory, -EFBIG when there are more than `size_max` bytes.
 * What was read before an error stays in `out`. */
int io_read_file(struct io *io, const char *path, uint64_t size_max, struct buffer *out);
/* Behind what `out` has, `size` bytes from that offset on, or as many as there are. 0 or a negative
 * errno; what was read before an error stays in `out`. */
int io_read_range(struct io *io, io_file file, uint64_t offset, size_t size, struct buffer *out);
/* By a worker: the last close of a large file that has no name any more frees all of it. */
void io_close_later(struct io *io, io_file file);
/* The present directory, or "." where nobody knows it. */
void io_folder(struct io *io, char *folder, size_t size);

#endif
