/* files.h: whole files read, written and copied by a tool, safely on disk before it goes on. */
#ifndef REDSTART_TOOL_COMMON_FILES_H
#define REDSTART_TOOL_COMMON_FILES_H

#include "base/buffer.h"
#include "io/io.h"

/* All functions: 0 or a negative errno. */

/* A new file: -EEXIST when there is one. */
int files_write_new(struct io *io, const char *path, struct bytes bytes);
/* The bytes [begin, end) of a file behind what `into` has; `step` may be NULL. */
int files_copy_range(struct io *io, const char *from, uint64_t begin, uint64_t end, io_file into,
                     void (*step)(void *context, uint64_t copied), void *context);
/* All of it, as a new file of that name. */
int files_copy_new(struct io *io, const char *from, const char *to);
/* A copy beside it, PATH.before-fix, or PATH.before-fix.2 ... when that is there; `name` gets it,
 * with a zero behind. */
int files_keep(struct io *io, const char *path, struct buffer *name);
/* Cut it, on disk. */
int files_truncate(struct io *io, const char *path, uint64_t size);
/* The folder that a path is in, with a zero behind. */
void files_folder(const char *path, struct buffer *out);

#endif
