/* aof.h: the append-only file's writer: a reader of the journal that keeps it on disk.
 *
 *     engine    | consume | consume | ...                 pending
 *     ----------+---------v---------------------------------------------------
 *     worker    |         write (fsync)   write ...       one job at a time
 *
 * What the journal commits gathers in `pending`; when no job is under way and it is time, all of it
 * goes to a worker in one job: write, then fsync when the policy asks for it. Turns that commit
 * meanwhile gather for the next job, so that one fsync serves them all, and the engine waits for
 * none. With `always` the next job may wait a moment for those whom the last one has answered
 * (gathering.h), and what a job has reaches the disk in the redo file first (redo.h); the log's own
 * fsync follows within a second or so.
 *
 * The horizon. With `always` it is what is on disk. With `everysec` it is open, until bytes have
 * waited for the disk for two seconds: then those who write wait for theirs. With `no` it is open.
 *
 * When the disk fails, the job takes back what it wrote in part, and everything is kept and tried
 * again every second; the engine refuses writes meanwhile (aof_failing).
 *
 * Each job's bytes are announced by an annotation (annotation.h), with the time at which they were
 * committed, and all of them in the same second, however late the disk is. Owns the folder's
 * manifest and the open file. */
#ifndef REDSTART_JOURNAL_AOF_H
#define REDSTART_JOURNAL_AOF_H

#include "base/log.h"
#include "io/io.h"
#include "journal/annotation.h"
#include "journal/gathering.h"
#include "journal/journal.h"
#include "journal/manifest.h"
#include "journal/redo.h"

enum aof_policy { AOF_NO, AOF_EVERYSEC, AOF_ALWAYS };

enum {
    AOF_STRETCH_MAX = 1 << 20,   /* bytes between annotations, about */
    AOF_GATHER_US = 1000,        /* least time between jobs, but with `always` */
    AOF_GATHER_MAX = 256 * 1024, /* bytes that do not wait for it */
    AOF_SYNC_US = 1000000,       /* everysec */
    AOF_LAG_US = 2000000,        /* longest wait for the disk that is not passed on to writers */
    AOF_RETRY_US = 1000000,
};

struct aof_job;

/* The end of the file; the worker's while a job is under way. */
struct aof_disk {
    io_file file;
    uint64_t size;
    int64_t stamped_s; /* the last aof-timestamp-enabled line's time */
    int64_t seen_s;    /* when it was last found under its name */
};

struct aof {
    struct io *io;
    struct log *log;
    struct journal *journal;
    char *parent, *directory; /* the second one is in the first one */
    char *name;               /* appendfilename */
    char id[ANNOTATION_ID_SIZE + 1];
    enum aof_policy policy;
    bool timestamps; /* aof-timestamp-enabled */

    struct manifest manifest;     /* as it will be once all jobs are done */
    char *file_name;              /* of the file that is open */
    struct aof_disk disk;         /* as of the last job that ended */
    struct aof_disk synced;       /* as of its last fsync: where a failed job begins again */
    struct redo redo;             /* the worker's while a job is under way */
    bool is_covered;              /* what is not synced of the file is in `redo` */
    uint64_t redo_offset;         /* the journal's, up to which `redo` promises */
    uint64_t sequence;            /* of the file that is open */
    uint64_t safe_size;           /* bytes of the last increment that are on disk for sure */
    uint64_t file_size;           /* of the last increment, as far as written */
    uint64_t others_size;         /* of base and the increments before */
    struct aof_job *first, *last; /* waiting; the last one is being filled */
    struct aof_job *running;
    struct aof_job *kept;                      /* written, the file not yet synced, oldest first */
    uint64_t appended, written, synced_offset; /* of the journal; the last: as far as promised */
    uint64_t safe_offset;                      /* before it all is on disk, or in no increment */
    int64_t waiting_since_us; /* the oldest byte that is not on disk is so old; 0: none */
    int64_t submitted_us, synced_us;
    struct gathering gathering; /* with `always` */
    int64_t retry_us;           /* when to try again what failed */
    int64_t prepare_us;         /* when to begin the redo file at the earliest */
    int error;                  /* errno of the last try; 0: it was good */
    bool is_gone;     /* the file was removed, or its folder: nobody would find what is written */
    bool recovers;    /* the next job takes back what is behind `synced` */
    bool is_reading;  /* the journal */
    bool id_is_new;   /* to be announced when it begins to read */
    bool awaits_base; /* nothing is there yet for the increment to go on from: aof_set_base */
    bool is_established; /* the manifest on disk names the increment and what stands before it */
    bool lags;           /* writers wait for the disk although the policy is everysec */
    uint64_t delayed;    /* times that they had to: aof_delayed_fsync */

    /* The horizon moved, or writing failed or works again. */
    void (*moved)(void *context);
    void *context;
};

struct aof_options {
    struct io *io;
    struct log *log;
    struct journal *journal;
    const char *parent, *directory, *name; /* copied */
    const char *id;                        /* ANNOTATION_ID_SIZE digits */
    void (*moved)(void *context);
    void *context;
};

void aof_init(struct aof *aof, const struct aof_options *options);
/* When no job is under way any more (io's finish_work). Closes the file; what still waits is lost
 * unless aof_stop's last job wrote it. */
void aof_release(struct aof *aof);

/* Read the manifest; an empty one when there is none. What a failure of power kept from the last
 * file, and the redo file has, is put there. False, and why in `error`. */
bool aof_read_manifest(struct aof *aof, char *error, size_t error_size);
/* Replace the manifest's file by what `manifest` says, safely. 0 or a negative errno. */
int aof_write_manifest(const struct aof *aof, const struct manifest *manifest);
/* The folder is there, also after a crash. 0 or a negative errno. */
int aof_make_directory(const struct aof *aof);
/* Path of one of its files, with a zero behind. */
void aof_path(const struct aof *aof, const char *name, struct buffer *out);

/* Go on with the last increment of the manifest, or make one, and read the journal from now on.
 * Makes the folder. 0 or a negative errno; then nothing has changed but the folder. */
int aof_start(struct aof *aof, int64_t now_us);
/* The same for a dataset that the manifest's files do not make: a new increment, which counts only
 * once aof_set_base has given what stands before it. Until then the manifest on disk is as it was.
 */
int aof_start_anew(struct aof *aof, int64_t now_us);
/* Stop reading; what was committed is still written, synced, and the file closed, by a worker. */
void aof_stop(struct aof *aof);
/* Begin a new increment with what the journal commits from now on. */
void aof_roll(struct aof *aof);

/* The sequence number of the increment that aof_roll or aof_start_anew has begun. */
uint64_t aof_increment(const struct aof *aof);
/* The name that the next base will have; owned by the caller. */
char *aof_next_base(const struct aof *aof, bool is_rdb);
/* The file of that name is complete and safe on disk, and stands for all before the increment of
 * that number. */
void aof_set_base(struct aof *aof, bool is_rdb, uint64_t first_increment);
/* What is history goes, but for what was changed at `since_ms` (of the wall clock) or later and
 * what a restore to that moment begins with, as far as these have at most `bytes_max`: what then
 * stays is the newest, and begins with a base. */
void aof_prune(struct aof *aof, int64_t since_ms, uint64_t bytes_max);

/* After every commit, and when aof_due_us has come: give work to the worker. */
void aof_step(struct aof *aof, int64_t now_us);
/* When aof_step wants to be called at the latest; INT64_MAX: not before the next commit. */
int64_t aof_due_us(const struct aof *aof);
/* The history goes on under another id (ANNOTATION_ID_SIZE digits). */
void aof_set_id(struct aof *aof, const char *id);
void aof_set_policy(struct aof *aof, enum aof_policy policy);

static inline bool aof_failing(const struct aof *aof) {
    return aof->error != 0;
}
/* Everything that was committed is on disk. */
static inline bool aof_is_clean(const struct aof *aof) {
    return !aof->running && !aof->kept && aof->synced_offset == aof->appended;
}
/* A process that starts on the files as they are on disk finds all before this offset of the
 * journal. */
static inline uint64_t aof_safe_offset(const struct aof *aof) {
    return aof->is_established ? aof->safe_offset : 0;
}
/* Nothing waits for the worker, also no manifest. */
static inline bool aof_is_settled(const struct aof *aof) {
    return !aof->running && !aof->first;
}
/* Bytes of base and increments. */
static inline uint64_t aof_size(const struct aof *aof) {
    return aof->others_size + aof->file_size;
}

#endif
