/* manifest.h: the list of an append-only log's files, as it stands in appendonlydir/NAME.manifest.
 *
 *     file appendonly.aof.2.base.rdb seq 2 type b
 *     file appendonly.aof.4.incr.aof seq 4 type i startoffset 1200
 *
 * One base (b) at most, then increments (i) in the order of their numbers; files that are no longer
 * needed for a start are history (h). The format is Redis 7's (its documentation of multi-part
 * AOF); words that we do not know are kept. */
#ifndef REDSTART_JOURNAL_MANIFEST_H
#define REDSTART_JOURNAL_MANIFEST_H

#include "base/buffer.h"

enum { MANIFEST_NAME_MAX = 255, MANIFEST_FILES_MAX = 100000, MANIFEST_SIZE_MAX = 64 << 20 };

enum manifest_type { MANIFEST_BASE = 'b', MANIFEST_INCREMENT = 'i', MANIFEST_HISTORY = 'h' };

struct manifest_file {
    char *name; /* no folder; owned */
    uint64_t sequence;
    enum manifest_type type;
    int64_t start_offset; /* of the journal, where the file begins; -1: not said */
    int64_t end_offset;
};

/* Zeroed: empty. */
struct manifest {
    struct manifest_file *files; /* base, increments, history; each in the order of their numbers */
    size_t count, capacity;
    uint64_t base_sequence, increment_sequence; /* the highest in use, 0: none */
};

void manifest_release(struct manifest *manifest);
/* False, and why in `error`, on anything that is not a manifest. */
bool manifest_parse(struct manifest *manifest, struct bytes text, char *error, size_t error_size);
void manifest_format(const struct manifest *manifest, struct buffer *out);
void manifest_copy(struct manifest *to, const struct manifest *from);

/* NULL: none. */
const struct manifest_file *manifest_base(const struct manifest *manifest);
/* The one that is written, or was when the server ended; NULL: there is none. */
const struct manifest_file *manifest_last_increment(const struct manifest *manifest);
/* Add a file with the next number of its kind, named after `log`: "LOG.3.incr.aof",
 * "LOG.2.base.rdb" or, as a log itself, "LOG.2.base.aof". Valid until the manifest is changed. */
struct manifest_file *manifest_add_increment(struct manifest *manifest, const char *log,
                                             int64_t start_offset);
/* The base before, if any, becomes history, and with it all increments of a number below
 * `first_increment`, at whose start_offset the base stands: so it can be told later which
 * increments go on from a base of history. */
struct manifest_file *manifest_add_base(struct manifest *manifest, const char *log, bool is_rdb,
                                        uint64_t first_increment);
/* A file of this name is in the folder. True when it is named as a file of `log` is, with a number:
 * then that number is taken. */
bool manifest_pass_over(struct manifest *manifest, const char *log, const char *name);
/* An old log, of one file, becomes the base. */
void manifest_adopt(struct manifest *manifest, const char *name);
void manifest_remove(struct manifest *manifest, size_t index);

#endif
