/* aof.h: append-only files looked through, one alone or all that a manifest lists, as a start would
 * read them, and told about line by line. */
#ifndef REDSTART_TOOL_CHECK_AOF_H
#define REDSTART_TOOL_CHECK_AOF_H

#include "io/io.h"

struct check_aof_options {
    struct io *io;
    const char *path; /* a file, a manifest, or a folder that has one */
    bool fixes;
    bool is_sure;        /* asks nothing */
    int64_t truncate_to; /* seconds since 1970; 0: not asked for */
};

/* True: all is sound, or is now. */
bool check_aof(const struct check_aof_options *options);

#endif
