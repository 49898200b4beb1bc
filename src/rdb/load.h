/* load.h: an RDB file into the keyspace, step by step, so that the engine can serve between two
 * steps. A worker may read, decode and build ahead, so that a step only puts what is ready
 * (load_batch.h).
 *
 * Reads the file in pieces, checks all that it reads, and builds. Keys that are past their time are
 * left out, keys that are there twice are an error (or replace what was there, with `merges`). */
#ifndef REDSTART_RDB_LOAD_H
#define REDSTART_RDB_LOAD_H

#include "base/log.h"
#include "io/io.h"
#include "keyspace/keyspace.h"
#include "rdb/value.h"
#include "rdb/writer.h"

enum {
    RDB_LOAD_PIECE = 1024 * 1024,    /* bytes read at once */
    RDB_LOAD_PRESIZE_ASIDE = 100000, /* keys, at most, that room is made for in one step */
    RDB_LOAD_BATCHES = 8,            /* that a worker reads ahead */
};

/* RDB_LOAD_WAITS: there will be more to do once the worker is done with something. */
enum rdb_load_state { RDB_LOAD_MORE, RDB_LOAD_WAITS, RDB_LOAD_DONE, RDB_LOAD_FAILED };

enum rdb_load_failure {
    RDB_LOAD_GOOD,
    RDB_LOAD_UNREADABLE,   /* the world said no */
    RDB_LOAD_NO_RDB,       /* it does not begin like one */
    RDB_LOAD_TOO_NEW,      /* a version that we do not know */
    RDB_LOAD_MALFORMED,    /* too short, or what is in it cannot be */
    RDB_LOAD_BAD_CHECKSUM, /* all could be read, but it is not what was written */
};

struct rdb_load;

/* Who looks at what a file has instead of loading it. Each may be NULL. */
struct rdb_load_watch {
    void *context;
    void (*aux)(void *context, struct bytes name, struct bytes value);
    void (*database)(void *context, uint64_t number);
    void (*library)(void *context, struct bytes code);
    void (*module_aux)(void *context);
    /* load->key and load->expiry are the key's; NULL for a module's value, which is passed over. */
    void (*key)(void *context, const struct rdb_load *load, uint8_t form,
                const struct rdb_value *value);
};

struct rdb_load_options {
    /* Not NULL: nothing is put into the keyspace, which only lends its secret, and the file's
     * databases may have any number. */
    const struct rdb_load_watch *watch;
    /* A library of functions; false ends the loading. NULL: they are passed over. */
    bool (*library)(void *context, struct bytes code);
    void *library_context;
    struct io *io;
    struct log *log; /* NULL: says nothing */
    struct keyspace *keyspace;
    struct database *databases;      /* where keys go; NULL: the keyspace's own */
    const struct rdb_limits *limits; /* borrowed while loading */
    int64_t now_ms;                  /* what ended before is left out, if the file stands in no
                                      * history; 0: nothing is */
    bool checksums, merges;
    bool uses_worker; /* not with `watch` */
};

struct rdb_batch;

struct rdb_load {
    struct rdb_load_options options;
    struct rdb_input input; /* first of the fields that the file's reader needs */
    struct rdb_reader reader;
    struct epochs epochs; /* of what is not in the keyspace yet */
    struct record_world world;
    io_file file;
    struct buffer piece;
    uint64_t size;     /* of the file */
    uint64_t consumed; /* bytes of it before `piece` */
    uint64_t crc;      /* of all before `checked` */
    const char *checked;
    uint32_t version;
    uint32_t database;
    struct rdb_batch *batches[RDB_LOAD_BATCHES];
    uint64_t filled, taken; /* batches, with a worker: atomic; the reader's, the owner's */
    bool is_reading;        /* a worker is; the owner's */
    bool owner_waits;       /* atomic: to be woken */
    uint64_t settled;       /* bytes of the file whose content is in the keyspace */
    bool is_read;           /* to its end, or as far as it could be */
    bool cancelled;         /* atomic: nothing more is wanted */
    struct buffer key;
    /* of the next key */
    int64_t expiry, idle_s, frequency; /* -1: not said; expiry ENTRY_NO_EXPIRY */
    /* what was found */
    uint64_t keys, expired, libraries;
    uint64_t good; /* where the file could be cut: behind the last key that was read whole */
    uint8_t form;  /* of the last key: an enum rdb_form */
    uint64_t file_crc;
    int64_t created_s;          /* 0: not said */
    uint64_t memory;            /* used-mem */
    struct rdb_history history; /* where the dataset stands in its stream; empty id: not said */
    int io_error;
    enum rdb_load_failure failure;
    char error[256];
};

/* 1: the file begins as one does, as some of the append-only file's parts do; 0: it does not; or a
 * negative errno. */
int rdb_begins(struct io *io, const char *path);
/* Open it and read its head. Failed: load->failure, load->error; a file that is not there is
 * io_error -ENOENT. To be ended by rdb_load_end in any case. */
bool rdb_load_begin(struct rdb_load *load, const struct rdb_load_options *options,
                    const char *path);
/* Go on for about so many bytes. */
enum rdb_load_state rdb_load_step(struct rdb_load *load, uint64_t bytes);
void rdb_load_end(struct rdb_load *load);
/* Bytes of the file that were read; without a watch, and put into the keyspace. */
uint64_t rdb_load_offset(const struct rdb_load *load);

#endif
