/* writer.h: a view of the keyspace as the bytes of an RDB file, step by step, on any thread.
 *
 *     view -> entries, some ahead brought near -> block of 1 MiB -> checksum -> sink
 *
 * Owns the state between two steps, and no file. The version that the bytes need is known at the
 * end only: who can go back (a file) asks to write the magic again, who cannot (a socket) has said
 * so and gets a checksum over the magic that has left. */
#ifndef REDSTART_RDB_WRITER_H
#define REDSTART_RDB_WRITER_H

#include "keyspace/keyspace.h"
#include "rdb/format.h"
#include "rdb/output.h"

enum rdb_writer_use { RDB_WRITER_NO_USE, RDB_WRITER_IDLE, RDB_WRITER_FREQUENCY };

/* Where the dataset stands in the stream of changes. */
struct rdb_history {
    char id[41];      /* replication id; empty: it stands nowhere */
    uint64_t offset;  /* bytes of the stream that made it */
    int64_t database; /* that the stream had selected there; -1: it will say so itself */
};

struct rdb_writer_options {
    struct view *view;
    struct record_world *world;
    struct use_policy policy; /* for use: how lately or how often entries were used */
    enum rdb_writer_use use;
    const char *redis_version;
    uint64_t memory;        /* in use, to be noted */
    struct bytes libraries; /* of functions, encoded */
    struct rdb_history history;
    int64_t now_s;
    bool compresses, checksums;
    bool is_aof_base;
    bool is_stream;       /* what has left cannot be written again */
    bool leaves_out_keys; /* the libraries alone */
    /* Takes the bytes; false: it failed, or they are not wanted any more. */
    bool (*write)(void *context, struct bytes bytes);
    void *context;
    uint64_t *keys_done; /* counted up, atomically; may be NULL */
};

enum { RDB_WRITER_AHEAD = 64 };
enum rdb_writer_state { RDB_WRITER_MORE, RDB_WRITER_DONE, RDB_WRITER_FAILED };

struct rdb_writer {
    struct rdb_writer_options options;
    struct rdb_output out;
    uint64_t crc;      /* of what is behind the magic */
    uint64_t size;     /* the same in bytes */
    uint32_t database; /* being written */
    uint64_t cursor;
    bool begun, in_database;
    uint64_t keys; /* since they were last told */
    const struct entry *ahead[RDB_WRITER_AHEAD];
    uint32_t ahead_count;
    char magic[RDB_MAGIC_SIZE + 1];
};

void rdb_writer_open(struct rdb_writer *writer, const struct rdb_writer_options *options);
/* Go on until about so many bytes have gone to the sink. Done: writer->magic is the one that
 * belongs to what was written. */
enum rdb_writer_state rdb_writer_step(struct rdb_writer *writer, uint64_t bytes);
void rdb_writer_close(struct rdb_writer *writer);

#endif
