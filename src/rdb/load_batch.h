/* load_batch.h: what one half of the loading hands to the other.
 *
 *     load_read.c    file -> pieces -> keys and values, hashed and built     the owner, or a worker
 *          | batches, one after another
 *     load.c         into the keyspace, what the file says beside the keys   the owner
 *
 * A batch is some keys in the order of the file, and then perhaps one thing that stands between
 * keys and is the owner's to do. What was built hangs on the batch until it is settled. Reading
 * knows of the keyspace what does not change: its secret and how many databases there are. */
#ifndef REDSTART_RDB_LOAD_BATCH_H
#define REDSTART_RDB_LOAD_BATCH_H

#include "base/blob.h"
#include "rdb/load.h"

enum {
    RDB_BATCH_KEYS = 1024,
    RDB_BATCH_OBJECTS = 128,      /* and so many blobs */
    RDB_BATCH_TEXT = 128 * 1024,  /* bytes of names and strings, but for the last one's */
    RDB_BATCH_BLOB = 16 * 1024,   /* strings of so many bytes are built as blobs */
    RDB_BATCH_BYTES = 512 * 1024, /* of the file, that a worker reads for one */
};

enum rdb_batch_end {
    RDB_BATCH_GOES_ON,
    RDB_BATCH_RESIZE,  /* `announced` keys will come for `database` */
    RDB_BATCH_LIBRARY, /* of functions; its code is `library` */
    RDB_BATCH_LAST,    /* nothing comes behind it */
    RDB_BATCH_FAILED,  /* load->failure says why; the keys before are good */
};

enum rdb_batch_kind { RDB_BATCH_STRING, RDB_BATCH_BLOB_STRING, RDB_BATCH_OBJECT };

/* Small: it goes from one processor's cache to another's. */
struct rdb_batch_key {
    uint64_t hash;
    int64_t expiry;
    uint32_t database;
    uint32_t name_size; /* in `text`, behind what the key before has there */
    uint32_t value;     /* bytes of a string, behind the name; or where in `objects`, `blobs` */
    int32_t idle_s;     /* -1: not said */
    int16_t frequency;  /* -1: not said */
    uint8_t kind;       /* enum rdb_batch_kind */
};

struct rdb_batch {
    struct rdb_load *load;
    uint32_t count, object_count, blob_count;
    enum rdb_batch_end end;
    uint32_t database;
    uint64_t announced;
    uint64_t offset;   /* of the file, behind it */
    char producer[64]; /* redis-ver, where it was said */
    struct buffer text, library;
    struct rdb_batch_key keys[RDB_BATCH_KEYS];
    union object_room objects[RDB_BATCH_OBJECTS];
    struct blob *blobs[RDB_BATCH_OBJECTS]; /* held */
};

/* Open the file and read its head. */
bool rdb_load_open(struct rdb_load *load, const char *path);
/* Bytes of the file that were read. */
uint64_t rdb_load_position(const struct rdb_load *load);
/* Read until the batch is full, or about so many bytes of the file are; not behind the last one. */
void rdb_batch_read(struct rdb_batch *batch, uint64_t bytes);
/* Let go of what was not settled, from that key on. */
void rdb_batch_drop(struct rdb_batch *batch, uint32_t from);
/* Note why loading ends; the file's offset stays where it is. */
void rdb_load_fail(struct rdb_load *load, enum rdb_load_failure failure, const char *why);
/* The same for what is malformed, of the key of that name. */
void rdb_load_fail_at(struct rdb_load *load, struct bytes name, const char *why);

#endif
