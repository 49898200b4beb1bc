/* save.h: a view of the keyspace into a file, an RDB file as a rule, on any thread.
 *
 *     view -> rdb_writer -> temporary file -> fsync -> renamed to its name -> fsync of the folder
 *
 * Until the rename the old file stays; on an error, or when it is cancelled, the temporary one is
 * removed. Uses only the file calls of struct io. */
#ifndef REDSTART_RDB_SAVE_H
#define REDSTART_RDB_SAVE_H

#include "io/io.h"
#include "rdb/writer.h"

enum { RDB_SAVE_SYNC = 32 * 1024 * 1024 };

struct rdb_save {
    /* what is wanted */
    struct io *io;
    struct rdb_writer_options content;     /* its sink and keys_done are rdb_save_run's */
    const char *folder, *path, *temporary; /* absolute; path and temporary are in the folder */
    /* NULL: an RDB file; otherwise what this makes of the content. False: the sink refused. */
    bool (*produce)(const struct rdb_writer_options *content);
    /* NULL, or gets the file, open for reading, or IO_NONE on an error; the caller's. Whatever
     * takes its name later is another one. */
    io_file *reader;
    bool syncs_on_the_way; /* every RDB_SAVE_SYNC bytes, so that the end does not wait for all */
    /* how it stands; may be read by other threads, atomically */
    uint64_t keys_total, keys_done, bytes;
    uint32_t cancelled; /* set by who does not want it any more */
    /* the result: 0, or a negative errno (-ECANCELED), and what was being done */
    int error;
    const char *failed_at;
};

/* Needs io, content and paths; true when the file is there. */
bool rdb_save_run(struct rdb_save *save);

#endif
