/* rdb.h: one RDB file looked through, as a start would read it, and told about line by line. */
#ifndef REDSTART_TOOL_CHECK_RDB_H
#define REDSTART_TOOL_CHECK_RDB_H

#include "io/io.h"

struct check_rdb {
    bool is_sound;
    bool is_malformed; /* it begins like one and breaks at some place: could be cut at `good` */
    bool is_checksum;  /* all could be read; only the checksum is another */
    uint64_t size;     /* of the file */
    uint64_t end;      /* behind the RDB part, when that is sound */
    uint64_t good;     /* behind the last whole key */
    uint64_t keys;
    uint32_t version;
};

/* `shown` is how the file is called in what is said. */
void check_rdb_file(struct io *io, const char *path, const char *shown, struct check_rdb *result);
/* Make the file end behind its last whole key, with the original kept beside it; asks first, unless
 * `is_sure`. False: it was not done, and why was said. */
bool check_rdb_fix(struct io *io, const char *path, const struct check_rdb *result, bool is_sure);

#endif
