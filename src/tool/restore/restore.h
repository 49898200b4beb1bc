/* restore.h: `redstart restore`: a data folder as it was at a moment, made as a new folder from the
 * append-only log of another, which stays as it is. */
#ifndef REDSTART_TOOL_RESTORE_RESTORE_H
#define REDSTART_TOOL_RESTORE_RESTORE_H

#include "io/process.h"

int restore_main(const char *program, const struct bytes *words, size_t count,
                 const struct process_title *title);

#endif
