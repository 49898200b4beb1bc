/* save.h: a view of the keyspace into an RDB file, on any thread.
 *
 *     view -> entries, some ahead brought near -> block of 1 MiB -> checksum -> temporary file
 *          -> fsync -> renamed to its name -> fsync of the folder
 *
 * Until the rename the old file stays; on an error, or when it is cancelled, the temporary one is
 * removed. Uses only the file calls of struct io. */
#ifndef REDSTART_RDB_SAVE_H
#define REDSTART_RDB_SAVE_H

#include "io/io.h"
#include "keyspace/keyspace.h"

enum { RDB_SAVE_SYNC = 32 * 1024 * 1024 };

enum rdb_save_use { RDB_SAVE_NO_USE, RDB_SAVE_IDLE, RDB_SAVE_FREQUENCY };

struct rdb_save {
    /* what is wanted */
    struct io *io;
    const struct view *view;
    struct record_world *world;
    struct use_policy policy; /* for use: how lately or how often entries were used */
    enum rdb_save_use use;
    const char *folder, *path, *temporary; /* absolute; path and temporary are in the folder */
    const char *redis_version;
    uint64_t memory;        /* in use, to be noted in the file */
    struct bytes libraries; /* of functions, encoded */
    int64_t now_s;
    bool compresses, checksums;
    bool is_aof_base;
    bool syncs_on_the_way; /* every RDB_SAVE_SYNC bytes, so that the end does not wait for all */
    /* how it stands; may be read by other threads, atomically */
    uint64_t keys_total, keys_done, bytes;
    uint32_t cancelled; /* set by who does not want it any more */
    /* the result: 0, or a negative errno (-ECANCELED), and what was being done */
    int error;
    const char *failed_at;
};

/* Needs io, view, world, paths and what is wanted; true when the file is there. */
bool rdb_save_run(struct rdb_save *save);

#endif
