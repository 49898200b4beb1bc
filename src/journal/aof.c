/* aof.c: jobs that write the append-only file, and when they are given to the worker.
 *
 * A job is made and ended on the engine's thread, and worked on one at a time in the lane
 * IO_LANE_SYNC; in between `disk` and the job are the worker's. */
#include "journal/aof.h"

#include "base/crc.h"
#include "base/invariant.h"
#include "base/memory.h"
#include "base/number.h"
#include "io/files.h"
#include "resp/reply.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    COPIED_MAX = 64 * 1024,
    SECOND_MS = 1000,
};

struct aof_job {
    struct aof_job *next;
    struct aof *aof;
    struct buffer bytes;
    char id[ANNOTATION_ID_SIZE + 1]; /* of their history */
    bool announces;                  /* the id, also when there are no bytes */
    int64_t database;      /* that the stream had selected before them, to be said in a new file
                              ; -1: it says so itself */
    int64_t since_us;      /* when the first of them was appended */
    int64_t time_ms;       /* wall clock's, when the last of them was; all in the same second */
    uint64_t end;          /* the journal's offset behind them */
    struct buffer removes; /* names, each with its zero, of files to remove first */
    char *opens;           /* begin the increment of this name first; NULL: go on. Owned */
    char *manifest;        /* what the manifest says from now on; NULL: as before. Owned */
    size_t manifest_size;
    /* Decided when it is first tried: from then on its bytes in the file are what they are, also
     * when it is written again, since the redo file may have them. */
    bool is_tried;
    bool stamps;          /* says the time as aof-timestamp-enabled wants it */
    uint64_t safe;        /* bytes of the file that are on disk for sure */
    struct aof_disk from; /* with `recovers`: take everything behind this back first */
    bool recovers;
    bool syncs;
    bool redoes;   /* rather in the redo file */
    bool prepares; /* the redo file, for those that follow */
    bool renews;   /* the redo file: the folder is another */
    bool closes;
    bool establishes;  /* its manifest is the first that names the increment */
    uint64_t sequence; /* of the file */
    bool completed;    /* result: the increment before is synced */
    bool opened;       /* result: the new increment is there, too */
    bool redone;       /* result: its bytes are in the redo file, and the file is not synced */
    bool prepared;     /* result: the redo file has begun anew */
    bool is_gone;      /* result: the file is not there under its name */
    bool stated;       /* result: files are removed and the manifest says what it shall */
    int error;         /* result: 0 or an errno */
};

/* ---- files ---- */

void aof_path(const struct aof *aof, const char *name, struct buffer *out) {
    buffer_clear(out);
    buffer_append_format(out, "%s/%s", aof->directory, name);
    buffer_append_byte(out, 0);
}

int aof_make_directory(const struct aof *aof) {
    const struct io_operations *files = aof->io->operations;
    int result = files->make_directory(aof->io, aof->directory, 0755);
    if (result == -EEXIST) return 0;
    return result < 0 ? result : files->sync_directory(aof->io, aof->parent);
}

/* A new file of these bytes in the folder, in the place of an old one. 0 or an errno. */
static int replace_file(const struct aof *aof, const char *name, struct bytes text) {
    const struct io_operations *files = aof->io->operations;
    struct buffer path = {0}, temporary = {0};
    aof_path(aof, name, &path);
    buffer_append_format(&temporary, "%s/temp-%s", aof->directory, name);
    buffer_append_byte(&temporary, 0);
    io_file file =
        files->open(aof->io, temporary.data, IO_WRITE | IO_CREATE | IO_TRUNCATE | IO_APPEND, 0644);
    int error = file < 0 ? -file : -io_write_all(aof->io, file, text);
    if (file >= 0) {
        if (!error) error = -files->sync(aof->io, file, false);
        files->close(aof->io, file);
        if (!error) error = -files->rename(aof->io, temporary.data, path.data);
        if (!error) error = -files->sync_directory(aof->io, aof->directory);
        if (error) files->remove(aof->io, temporary.data);
    }
    buffer_release(&path);
    buffer_release(&temporary);
    return error;
}

static void manifest_name(const struct aof *aof, struct buffer *out) {
    buffer_clear(out);
    buffer_append_format(out, "%s.manifest", aof->name);
    buffer_append_byte(out, 0);
}

int aof_write_manifest(const struct aof *aof, const struct manifest *manifest) {
    struct buffer text = {0}, name = {0};
    manifest_format(manifest, &text);
    manifest_name(aof, &name);
    int error = replace_file(aof, name.data, buffer_bytes(&text));
    buffer_release(&text);
    buffer_release(&name);
    return -error;
}

/* The whole file; false and why when it cannot be had. */
static bool read_file(const struct aof *aof, const char *path, uint64_t size_max,
                      struct buffer *out, char *error, size_t error_size) {
    int result = io_read_file(aof->io, path, size_max, out);
    if (result == 0) return true;
    if (result == -EFBIG)
        snprintf(error, error_size, "%s is larger than a manifest can be", path);
    else
        snprintf(error, error_size, "%s: %s", path, strerror(-result));
    return false;
}

/* What a failure of power kept from the last file, and the redo file has. */
static bool redo(struct aof *aof, char *error, size_t error_size) {
    const struct manifest_file *last = manifest_last_increment(&aof->manifest);
    struct redo_outcome outcome;
    struct buffer path = {0};
    if (!last) return true;
    aof_path(aof, last->name, &path);
    int result = redo_apply(&aof->redo, last->sequence, path.data, true, &outcome);
    if (result == 0 && outcome.is_continued) {
        log_warning(aof->log,
                    "%s goes on otherwise than its redo file, %s: another server has written "
                    "there since. The redo file is set aside.",
                    path.data, aof->redo.path);
        result = redo_set_aside(&aof->redo);
    } else if (result == 0 && outcome.missing > 0) {
        log_notice(aof->log,
                   "%s lacked %llu bytes, as a failure of power may leave it, or had them wrong: "
                   "its redo file had them",
                   path.data, (unsigned long long)outcome.missing);
    }
    if (result < 0)
        snprintf(error, error_size, "%s, or its redo file: %s", path.data, strerror(-result));
    buffer_release(&path);
    return result == 0;
}

struct leftovers {
    struct aof *aof;
    uint32_t count;
};

static void see_leftover(void *context, const char *name) {
    struct leftovers *leftovers = context;
    struct aof *aof = leftovers->aof;
    leftovers->count += manifest_pass_over(&aof->manifest, aof->name, name);
}

/* There is no manifest. Files that look like a log's may be all that somebody has left of it: they
 * stay as they are, and their numbers are not used again. */
static bool pass_over_leftovers(struct aof *aof, char *error, size_t error_size) {
    const struct io_operations *files = aof->io->operations;
    struct leftovers leftovers = {.aof = aof};
    int result = files->list(aof->io, aof->directory, see_leftover, &leftovers);
    if (result == 0 && leftovers.count > 0) {
        log_warning(aof->log,
                    "%s has %u files of an append only log and no manifest that names them: they "
                    "are not loaded, and left as they are",
                    aof->directory, leftovers.count);
        result = redo_set_aside(&aof->redo);
    }
    if (result < 0 && result != -ENOENT)
        snprintf(error, error_size, "%s: %s", aof->directory, strerror(-result));
    return result == 0 || result == -ENOENT;
}

bool aof_read_manifest(struct aof *aof, char *error, size_t error_size) {
    struct buffer name = {0}, path = {0}, text = {0};
    struct io_file_status status;
    manifest_name(aof, &name);
    aof_path(aof, name.data, &path);
    manifest_release(&aof->manifest);
    bool good = true;
    if (aof->io->operations->status(aof->io, path.data, &status) != -ENOENT) {
        char reason[256];
        good = read_file(aof, path.data, MANIFEST_SIZE_MAX, &text, error, error_size);
        if (good && !manifest_parse(&aof->manifest, buffer_bytes(&text), reason, sizeof reason)) {
            snprintf(error, error_size, "%s: %s", path.data, reason);
            good = false;
        }
    } else {
        good = pass_over_leftovers(aof, error, error_size);
    }
    buffer_release(&name);
    buffer_release(&path);
    buffer_release(&text);
    return good && redo(aof, error, error_size);
}

static uint64_t size_of(const struct aof *aof, const char *name) {
    struct buffer path = {0};
    struct io_file_status status = {0};
    aof_path(aof, name, &path);
    bool found = aof->io->operations->status(aof->io, path.data, &status) == 0;
    buffer_release(&path);
    return found ? status.size : 0;
}

/* ---- the worker's part ---- */

static int write_counted(struct aof *aof, struct bytes bytes) {
    aof->disk.size += bytes.size;
    return -io_write_all(aof->io, aof->disk.file, bytes);
}

static void put_announced(const struct aof_job *job, struct buffer *out) {
    struct bytes bytes = buffer_bytes(&job->bytes);
    struct annotation annotation = {
        .offset = job->end - bytes.size,
        .time_ms = job->time_ms,
        .bytes = bytes.size,
        .crc = crc64(0, bytes),
        .safe = job->safe,
    };
    memcpy(annotation.id, job->id, sizeof annotation.id);
    annotation_format(&annotation, out);
}

/* "#TS:1763712000": what aof-timestamp-enabled means in Redis. */
static void put_timestamp(struct aof *aof, const struct aof_job *job, struct buffer *out) {
    if (!job->stamps || aof->disk.stamped_s == job->time_ms / SECOND_MS) return;
    aof->disk.stamped_s = job->time_ms / SECOND_MS;
    buffer_append_format(out, "#TS:%lld\r\n", (long long)aof->disk.stamped_s);
}

/* What a stream that is another server's has said before this file: it is no part of the stream, so
 * no stretch announces it. */
static void put_selection(int64_t database, struct buffer *out) {
    char digits[NUMBER_I64_TEXT_MAX];
    struct bytes words[] = {BYTES("SELECT"),
                            bytes_make(digits, number_format_i64(digits, database))};
    request_encode(out, words, 2);
}

/* What the job has, behind room for a record's header in `text`, but for large bytes: one call is
 * cheaper than two, unless there is much to copy for it. */
static int write_job(struct aof *aof, const struct aof_job *job, struct buffer *text) {
    bool has_bytes = job->bytes.size > 0, is_small = job->bytes.size <= COPIED_MAX;
    buffer_reserve(text, REDO_HEADER_SIZE);
    text->size = REDO_HEADER_SIZE;
    if (job->database >= 0) put_selection(job->database, text);
    if (has_bytes) put_timestamp(aof, job, text);
    if (has_bytes || job->announces) put_announced(job, text);
    if (has_bytes && is_small) buffer_append(text, job->bytes.data, job->bytes.size);
    int error = write_counted(
        aof, bytes_make(text->data + REDO_HEADER_SIZE, text->size - REDO_HEADER_SIZE));
    return error || is_small ? error : write_counted(aof, buffer_bytes(&job->bytes));
}

/* Get it on disk, in the one place or the other. */
static int make_safe(struct aof *aof, struct aof_job *job, struct buffer *text) {
    uint64_t size = text->size - REDO_HEADER_SIZE;
    if (job->redoes && redo_has_room(&aof->redo, size)) {
        job->redone = redo_write(&aof->redo, job->sequence, aof->disk.size - size, text) == 0;
        if (job->redone) return 0;
    }
    int error = -aof->io->operations->sync(aof->io, aof->disk.file, true);
    if (!error && job->prepares) job->prepared = redo_begin(&aof->redo) == 0;
    return error;
}

/* Remove files, and let the manifest say what the job wants it to. */
static int state(struct aof *aof, struct aof_job *job) {
    struct buffer path = {0};
    int error = 0;
    for (size_t at = 0; at < job->removes.size && !error;) {
        const char *name = job->removes.data + at;
        aof_path(aof, name, &path);
        error = -aof->io->operations->remove(aof->io, path.data);
        if (error == ENOENT) error = 0;
        at += strlen(name) + 1;
    }
    if (!error && job->manifest) {
        manifest_name(aof, &path);
        error = replace_file(aof, path.data, bytes_make(job->manifest, job->manifest_size));
    }
    buffer_release(&path);
    job->stated = !error;
    return error;
}

/* A new increment. One that could not be used may have had its name, and what a disk that failed
 * has made of it is not known: the new one is another file, and takes the place of the old one at
 * once, which a manifest may name. */
static io_file create_increment(const struct aof *aof, const char *name) {
    const struct io_operations *files = aof->io->operations;
    struct buffer path = {0}, temporary = {0};
    aof_path(aof, name, &path);
    buffer_append_format(&temporary, "%s/temp-%s", aof->directory, name);
    buffer_append_byte(&temporary, 0);
    int result = files->remove(aof->io, temporary.data);
    io_file file = result < 0 && result != -ENOENT
                       ? result
                       : files->open(aof->io, temporary.data,
                                     IO_WRITE | IO_CREATE | IO_TRUNCATE | IO_APPEND, 0644);
    if (file >= 0) {
        result = files->rename(aof->io, temporary.data, path.data);
        if (result < 0) {
            files->close(aof->io, file);
            file = result;
        }
    }
    buffer_release(&path);
    buffer_release(&temporary);
    return file;
}

/* The file before gets all it has on disk; then it is closed, and the manifest names the new one,
 * which is surely empty: one that could not be used may have had its name. */
static int open_increment(struct aof *aof, struct aof_job *job) {
    const struct io_operations *files = aof->io->operations;
    io_file file = create_increment(aof, job->opens);
    int error = file < 0 ? -file : 0;
    if (!error && aof->disk.file != IO_NONE) error = -files->sync(aof->io, aof->disk.file, true);
    job->completed = !error;
    if (!error) error = -files->sync(aof->io, file, false);
    if (!error) error = state(aof, job);
    if (error && file >= 0) files->close(aof->io, file);
    if (!error) {
        if (aof->disk.file != IO_NONE) files->close(aof->io, aof->disk.file);
        if (job->renews) redo_remove(&aof->redo);
        aof->disk = (struct aof_disk){.file = file};
        job->safe = 0;
        job->opened = true;
    }
    return error;
}

static int recover(struct aof *aof, const struct aof_job *job) {
    int error = -aof->io->operations->truncate(aof->io, aof->disk.file, job->from.size);
    if (!error) aof->disk = job->from;
    return error;
}

/* Is the file there under its name? Asked once a second, and when something has failed before. */
static int see_file(struct aof *aof, struct aof_job *job, int64_t now_ms) {
    struct io_file_status status;
    struct buffer path = {0};
    if (aof->disk.seen_s == now_ms / SECOND_MS && !job->recovers) return 0;
    aof_path(aof, aof->file_name, &path);
    job->is_gone = aof->io->operations->status(aof->io, path.data, &status) == -ENOENT;
    buffer_release(&path);
    aof->disk.seen_s = now_ms / SECOND_MS;
    return job->is_gone ? ENOENT : 0;
}

static int work_on(struct aof *aof, struct aof_job *job) {
    int64_t now_ms = io_wall_us(aof->io) / 1000;
    int error = job->recovers ? recover(aof, job) : 0;
    if (!error) error = see_file(aof, job, now_ms);
    if (!error && job->opens)
        error = open_increment(aof, job);
    else if (!error && (job->manifest || job->removes.size > 0))
        error = state(aof, job);
    struct buffer text = {0};
    if (!error) error = write_job(aof, job, &text);
    if (!error && job->syncs) error = make_safe(aof, job, &text);
    buffer_release(&text);
    if (!error && job->closes) {
        redo_remove(&aof->redo);
        aof->io->operations->close(aof->io, aof->disk.file);
        aof->disk.file = IO_NONE;
    }
    return error;
}

static void work(void *context) {
    struct aof_job *job = context;
    job->error = work_on(job->aof, job);
}

/* ---- jobs ---- */

static void job_free(struct aof_job *job) {
    buffer_release(&job->bytes);
    buffer_release(&job->removes);
    memory_free(job->opens);
    memory_free(job->manifest);
    memory_free(job);
}

static struct aof_job *add_job(struct aof *aof) {
    struct aof_job *job = memory_alloc_zeroed(1, sizeof *job);
    job->aof = aof;
    job->time_ms = io_wall_us(aof->io) / 1000;
    job->end = aof->appended;
    job->database = -1;
    memcpy(job->id, aof->id, sizeof job->id);
    if (aof->last)
        aof->last->next = job;
    else
        aof->first = job;
    aof->last = job;
    return job;
}

static void free_jobs(struct aof_job **first) {
    while (*first) {
        struct aof_job *job = *first;
        *first = job->next;
        job_free(job);
    }
}

static struct aof_job **end_of(struct aof_job **first) {
    while (*first)
        first = &(*first)->next;
    return first;
}

/* ---- the horizon ---- */

static void move_horizon(struct aof *aof) {
    struct journal *journal = aof->journal;
    bool waits = aof->is_reading && (aof->policy == AOF_ALWAYS || aof->lags);
    journal_promise(journal, JOURNAL_ON_DISK, waits ? aof->synced_offset : JOURNAL_HORIZON_ALL,
                    aof->policy == AOF_ALWAYS && !aof_failing(aof));
    aof->moved(aof->context);
}

/* ---- the engine's part ---- */

static void fail(struct aof *aof, struct aof_job *job) {
    if (aof->error != job->error)
        log_warning(aof->log,
                    "Error writing to the AOF file: %s; writes are refused until it works again",
                    strerror(job->error));
    aof->error = job->error;
    aof->is_gone = job->is_gone;
    aof->recovers = true;
    aof->is_covered = false;
    /* All that is not surely on disk waits again, in its order. */
    *end_of(&aof->kept) = job;
    *end_of(&aof->kept) = aof->first;
    aof->first = aof->kept;
    aof->kept = NULL;
    if (!aof->last) aof->last = job;
}

/* When the oldest byte that still waits was appended; 0: none waits. */
static int64_t oldest_us(const struct aof *aof) {
    for (const struct aof_job *job = aof->first; job; job = job->next)
        if (job->bytes.size > 0) return job->since_us;
    return 0;
}

/* What the job has is where the policy wants it. */
static void promise(struct aof *aof, const struct aof_job *job, int64_t now_us) {
    /* Less than before when it is written again behind a failure. */
    uint64_t more = job->end > aof->synced_offset ? job->end - aof->synced_offset : 0;
    if (aof->policy == AOF_ALWAYS)
        gathering_begin(&aof->gathering, aof->submitted_us, now_us, more, aof->appended - job->end,
                        aof->appended);
    aof->synced_offset += more;
    if (job->syncs && job->end > aof->safe_offset) aof->safe_offset = job->end;
    if (job->syncs && aof->disk.size > aof->safe_size) aof->safe_size = aof->disk.size;
    if (job->redone) aof->redo_offset = job->end;
    aof->waiting_since_us = oldest_us(aof);
    /* What came while the disk was busy has waited long, too: it goes on waiting for its own. */
    aof->lags =
        aof->lags && aof->waiting_since_us != 0 && now_us - aof->waiting_since_us >= AOF_LAG_US;
}

static void succeed(struct aof *aof, struct aof_job *job, int64_t now_us) {
    if (aof->error) log_notice(aof->log, "The AOF file can be written again");
    aof->error = 0;
    aof->is_gone = false;
    aof->written = job->end;
    aof->file_size = aof->disk.size;
    bool awaits_sync = !job->syncs && aof->policy != AOF_NO;
    if (!awaits_sync) promise(aof, job, now_us);
    if (awaits_sync || job->redone) {
        aof->is_covered = job->redone;
        *end_of(&aof->kept) = job;
        return;
    }
    free_jobs(&aof->kept);
    aof->synced = aof->disk;
    aof->synced_us = now_us;
    aof->is_covered = job->prepared;
    if (job->prepares && !job->prepared) aof->prepare_us = now_us + AOF_RETRY_US;
    job_free(job);
}

/* Whatever else became of the job: what was written before it is on disk, and is not to be written
 * again; what comes from now on goes into the new file. */
static void pass_opening(struct aof *aof, struct aof_job *job) {
    if (job->completed) {
        free_jobs(&aof->kept);
        aof->synced = aof->disk;
        aof->is_covered = job->completed = false;
    }
    if (!job->opened) return;
    aof->synced = (struct aof_disk){.file = aof->disk.file};
    aof->safe_size = 0;
    aof->is_covered = false;
    aof->sequence = job->sequence;
    memory_free(aof->file_name);
    aof->file_name = job->opens;
    job->opens = NULL;
    job->opened = false;
}

/* Not a second time: a later job's manifest may be there by then. */
static void pass_statement(struct aof *aof, struct aof_job *job) {
    if (!job->stated) return;
    if (job->establishes) aof->is_established = true;
    memory_free(job->manifest);
    buffer_release(&job->removes);
    job->manifest = NULL;
    job->stated = false;
}

static void done(void *context) {
    struct aof_job *job = context;
    struct aof *aof = job->aof;
    int64_t now_us = io_monotonic_us(aof->io);
    aof->running = NULL;
    job->next = NULL;
    pass_opening(aof, job);
    pass_statement(aof, job);
    if (job->error) {
        aof->retry_us = now_us + AOF_RETRY_US;
        fail(aof, job);
    } else {
        succeed(aof, job, now_us);
    }
    /* The disk first: those who are answered now take a while to come back. */
    aof_step(aof, now_us);
    move_horizon(aof);
}

static bool sync_is_due(const struct aof *aof, int64_t now_us) {
    return aof->policy != AOF_NO && now_us - aof->synced_us >= AOF_SYNC_US;
}

/* Behind a failure all that the redo file promises is written again before any of it is synced. */
static bool wants_sync(const struct aof *aof, const struct aof_job *job, int64_t now_us) {
    if (aof->policy == AOF_ALWAYS) return job->end >= aof->redo_offset;
    return sync_is_due(aof, now_us);
}

/* Is it rather for the redo file? Now and then the file itself is synced. */
static bool wants_redo(const struct aof *aof, const struct aof_job *job, int64_t now_us) {
    return aof->policy == AOF_ALWAYS && aof->is_covered && !aof->recovers && !job->closes &&
           !job->opens && !job->manifest && job->bytes.size > 0 && job->bytes.size <= COPIED_MAX &&
           !sync_is_due(aof, now_us);
}

/* Is there anything to do for the worker, and is it time? */
static bool is_due(const struct aof *aof, int64_t now_us) {
    if (aof->running) return false;
    if (aof->error && now_us < aof->retry_us) return false;
    if (!aof->first)
        return aof->kept &&
               (sync_is_due(aof, now_us) || (aof->policy == AOF_ALWAYS && !aof->is_covered));
    if (aof->first != aof->last || aof->first->manifest || aof->first->removes.size > 0 ||
        aof->first->closes)
        return true;
    if (aof->policy == AOF_ALWAYS)
        return !gathering_holds(&aof->gathering, now_us, aof->appended - aof->written);
    return aof->first->bytes.size >= AOF_GATHER_MAX || now_us - aof->submitted_us >= AOF_GATHER_US;
}

/* The disk is behind: from now on writers feel it. */
static void check_lag(struct aof *aof, int64_t now_us) {
    if (aof->lags || aof->policy != AOF_EVERYSEC || aof->waiting_since_us == 0 ||
        now_us - aof->waiting_since_us < AOF_LAG_US)
        return;
    aof->lags = true;
    aof->delayed++;
    log_notice(aof->log, "Asynchronous AOF fsync is taking too long (disk is busy?). Replies to "
                         "writes wait for it; this may slow down clients.");
    move_horizon(aof);
}

void aof_step(struct aof *aof, int64_t now_us) {
    check_lag(aof, now_us);
    if (!is_due(aof, now_us)) return;
    struct aof_job *job = aof->first ? aof->first : add_job(aof);
    aof->first = job->next;
    if (!aof->first) aof->last = NULL;
    job->next = NULL;
    job->syncs = job->closes || wants_sync(aof, job, now_us);
    job->redoes = job->syncs && wants_redo(aof, job, now_us);
    job->prepares = aof->policy == AOF_ALWAYS && !job->closes && job->end >= aof->redo_offset &&
                    now_us >= aof->prepare_us;
    job->redone = job->prepared = false;
    job->renews = job->opens && aof->is_gone;
    if (!job->opens) job->sequence = aof->sequence;
    job->recovers = aof->recovers;
    job->from = aof->synced;
    if (!job->is_tried) {
        job->is_tried = true;
        job->stamps = aof->timestamps;
        job->safe = aof->safe_size;
    }
    aof->recovers = false;
    aof->running = job;
    aof->submitted_us = now_us;
    aof->io->operations->submit(aof->io, IO_LANE_SYNC, work, done, job);
}

int64_t aof_due_us(const struct aof *aof) {
    if (aof->running) {
        bool can_lag = aof->policy == AOF_EVERYSEC && !aof->lags && aof->waiting_since_us != 0;
        return can_lag ? aof->waiting_since_us + AOF_LAG_US : INT64_MAX;
    }
    if (aof->error) return aof->retry_us;
    if (aof->first && (aof->first != aof->last || aof->first->manifest)) return 0;
    if (aof->first && aof->policy == AOF_ALWAYS) return aof->gathering.until_us;
    if (aof->first) return aof->submitted_us + AOF_GATHER_US;
    if (aof->kept && aof->policy == AOF_ALWAYS && !aof->is_covered) return 0;
    if (aof->kept) return aof->synced_us + AOF_SYNC_US;
    return INT64_MAX;
}

static void consume(void *context, uint64_t offset, struct bytes bytes) {
    struct aof *aof = context;
    INVARIANT(offset == aof->appended);
    struct aof_job *job = aof->last;
    int64_t time_ms = io_wall_us(aof->io) / 1000;
    bool is_full =
        job && job->bytes.size > 0 &&
        (job->bytes.size >= AOF_STRETCH_MAX || job->time_ms / SECOND_MS != time_ms / SECOND_MS);
    bool is_other = job && memcmp(job->id, aof->id, ANNOTATION_ID_SIZE) != 0;
    if (!job || job->is_tried || job->closes || is_full || is_other) job = add_job(aof);
    job->time_ms = time_ms;
    if (job->bytes.size == 0) job->since_us = io_monotonic_us(aof->io);
    if (aof->waiting_since_us == 0) aof->waiting_since_us = job->since_us;
    buffer_append(&job->bytes, bytes.data, bytes.size);
    aof->appended = offset + bytes.size;
    job->end = aof->appended;
    if (aof->gathering.answered > 0)
        gathering_take(&aof->gathering, io_monotonic_us(aof->io), aof->appended);
}

/* ---- beginning and end ---- */

void aof_init(struct aof *aof, const struct aof_options *options) {
    *aof = (struct aof){
        .io = options->io,
        .log = options->log,
        .journal = options->journal,
        .parent = memory_copy_text(options->parent),
        .directory = memory_copy_text(options->directory),
        .name = memory_copy_text(options->name),
        .policy = AOF_EVERYSEC,
        .disk = {.file = IO_NONE},
        .synced = {.file = IO_NONE},
        .moved = options->moved,
        .context = options->context,
    };
    memcpy(aof->id, options->id, ANNOTATION_ID_SIZE);
    redo_init(&aof->redo, aof->io, aof->directory, aof->name);
}

void aof_release(struct aof *aof) {
    INVARIANT(!aof->running);
    if (aof->disk.file != IO_NONE) aof->io->operations->close(aof->io, aof->disk.file);
    free_jobs(&aof->first);
    free_jobs(&aof->kept);
    manifest_release(&aof->manifest);
    redo_release(&aof->redo);
    memory_free(aof->file_name);
    memory_free(aof->parent);
    memory_free(aof->directory);
    memory_free(aof->name);
}

static void add_sizes(struct aof *aof, const char *last) {
    aof->others_size = 0;
    for (size_t i = 0; i < aof->manifest.count; i++) {
        const struct manifest_file *file = &aof->manifest.files[i];
        if (file->type != MANIFEST_HISTORY && strcmp(file->name, last) != 0)
            aof->others_size += size_of(aof, file->name);
    }
}

static int start(struct aof *aof, bool anew, int64_t now_us) {
    const struct io_operations *files = aof->io->operations;
    INVARIANT(!aof->is_reading && !aof->running && aof->disk.file == IO_NONE);
    int result = aof_make_directory(aof);
    if (result < 0) return result;
    struct manifest wanted;
    manifest_copy(&wanted, &aof->manifest);
    const struct manifest_file *last = anew ? NULL : manifest_last_increment(&wanted);
    bool is_new = last == NULL;
    if (is_new) last = manifest_add_increment(&wanted, aof->name, (int64_t)aof->journal->offset);
    struct buffer path = {0};
    aof_path(aof, last->name, &path);
    io_file file = is_new ? create_increment(aof, last->name)
                          : files->open(aof->io, path.data, IO_WRITE | IO_CREATE | IO_APPEND, 0644);
    struct io_file_status status = {0};
    if (file >= 0 && (result = files->status(aof->io, path.data, &status)) < 0) {
        files->close(aof->io, file);
        file = result;
    }
    buffer_release(&path);
    /* What an earlier process wrote, and was killed before it was on disk, is relied on from now,
     * as is the manifest that was read; and that nothing is in a new file. */
    result = file < 0 ? file : files->sync(aof->io, file, false);
    if (result >= 0) result = redo_remove(&aof->redo);
    if (result >= 0) result = files->sync_directory(aof->io, aof->directory);
    if (result >= 0 && is_new && !anew) result = aof_write_manifest(aof, &wanted);
    if (result < 0) {
        if (file >= 0) files->close(aof->io, file);
        manifest_release(&wanted);
        return result;
    }
    manifest_release(&aof->manifest);
    aof->manifest = wanted;
    add_sizes(aof, last->name);
    memory_free(aof->file_name);
    aof->file_name = memory_copy_text(last->name);
    aof->sequence = last->sequence;
    aof->is_covered = false;
    journal_add_reader(aof->journal, consume, aof);
    aof->disk = (struct aof_disk){.file = file, .size = status.size};
    aof->synced = aof->disk;
    aof->safe_size = 0;
    aof->file_size = status.size;
    aof->appended = aof->written = aof->synced_offset = aof->safe_offset = aof->journal->offset;
    aof->synced_us = now_us;
    aof->submitted_us = now_us - AOF_GATHER_US;
    aof->is_reading = true;
    aof->awaits_base = anew;
    aof->is_established = !anew;
    /* Also in a file that goes on: what it began with may have been torn off. */
    if (aof->journal->follows) add_job(aof)->database = aof->journal->database;
    if (aof->id_is_new) add_job(aof)->announces = true;
    aof->id_is_new = false;
    move_horizon(aof);
    return 0;
}

int aof_start(struct aof *aof, int64_t now_us) {
    return start(aof, false, now_us);
}

int aof_start_anew(struct aof *aof, int64_t now_us) {
    return start(aof, true, now_us);
}

void aof_stop(struct aof *aof) {
    if (!aof->is_reading) return;
    journal_remove_reader(aof->journal, consume, aof);
    struct aof_job *job = add_job(aof);
    job->closes = true;
    aof->is_reading = false;
    move_horizon(aof);
    aof_step(aof, io_monotonic_us(aof->io));
}

/* A job whose manifest is the present one. */
static struct aof_job *add_statement(struct aof *aof) {
    struct aof_job *job = add_job(aof);
    struct buffer text = {0};
    manifest_format(&aof->manifest, &text);
    job->manifest = text.data;
    job->manifest_size = text.size;
    return job;
}

uint64_t aof_increment(const struct aof *aof) {
    return aof->manifest.increment_sequence;
}

char *aof_next_base(const struct aof *aof, bool is_rdb) {
    struct manifest wanted;
    manifest_copy(&wanted, &aof->manifest);
    char *name = memory_copy_text(manifest_add_base(&wanted, aof->name, is_rdb, 0)->name);
    manifest_release(&wanted);
    return name;
}

void aof_set_base(struct aof *aof, bool is_rdb, uint64_t first_increment) {
    INVARIANT(aof->is_reading);
    manifest_add_base(&aof->manifest, aof->name, is_rdb, first_increment);
    const struct manifest_file *last = manifest_last_increment(&aof->manifest);
    add_sizes(aof, last->name);
    aof->awaits_base = false;
    add_statement(aof)->establishes = true;
}

struct old_file {
    size_t index; /* in the manifest */
    int64_t modified_ms;
    uint64_t size;
    bool is_base;
};

static int compare_age(const void *a, const void *b) {
    const struct old_file *left = a, *right = b;
    if (left->modified_ms != right->modified_ms)
        return left->modified_ms < right->modified_ms ? -1 : 1;
    return left->index < right->index ? -1 : left->index > right->index;
}

/* The files of history, oldest first; owned by the caller. */
static struct old_file *list_history(const struct aof *aof, size_t *count) {
    struct old_file *old = memory_alloc((aof->manifest.count + 1) * sizeof *old);
    struct buffer path = {0};
    *count = 0;
    for (size_t i = 0; i < aof->manifest.count; i++) {
        const struct manifest_file *file = &aof->manifest.files[i];
        struct io_file_status status = {0};
        if (file->type != MANIFEST_HISTORY) continue;
        aof_path(aof, file->name, &path);
        aof->io->operations->status(aof->io, path.data, &status);
        old[(*count)++] = (struct old_file){i, status.modified_ms, status.size,
                                            strstr(file->name, ".base.") != NULL};
    }
    buffer_release(&path);
    if (*count > 1) qsort(old, *count, sizeof *old, compare_age);
    return old;
}

/* How many of the oldest go: those that are not needed since `since_ms`, and of the rest so many
 * that what stays has at most `bytes_max` and begins with a base, unless all of it stays. */
static size_t count_useless(const struct old_file *old, size_t count, int64_t since_ms,
                            uint64_t bytes_max) {
    size_t useless = 0;
    uint64_t bytes = 0;
    if (bytes_max == 0) return count;
    while (useless < count && old[useless].modified_ms < since_ms)
        useless++;
    for (size_t i = useless; i-- > 0;)
        if (old[i].is_base) {
            useless = i;
            break;
        }
    size_t kept = count;
    while (kept > useless && old[kept - 1].size <= bytes_max - bytes)
        bytes += old[--kept].size;
    /* Increments are of no use without the base that they go on from. */
    while (kept > useless && kept < count && !old[kept].is_base)
        kept++;
    return kept;
}

void aof_prune(struct aof *aof, int64_t since_ms, uint64_t bytes_max) {
    size_t count;
    struct old_file *old = list_history(aof, &count);
    size_t useless = count_useless(old, count, since_ms, bytes_max);
    struct buffer names = {0};
    bool *goes = memory_alloc_zeroed(aof->manifest.count + 1, sizeof *goes);
    for (size_t i = 0; i < useless; i++)
        goes[old[i].index] = true;
    for (size_t i = aof->manifest.count; i-- > 0;) {
        if (!goes[i]) continue;
        const char *name = aof->manifest.files[i].name;
        buffer_append(&names, name, strlen(name) + 1);
        manifest_remove(&aof->manifest, i);
    }
    memory_free(goes);
    memory_free(old);
    if (names.size > 0)
        add_statement(aof)->removes = names;
    else
        buffer_release(&names);
}

void aof_roll(struct aof *aof) {
    INVARIANT(aof->is_reading && !aof->awaits_base);
    journal_commit(aof->journal);
    journal_forget_database(aof->journal);
    const struct manifest_file *file =
        manifest_add_increment(&aof->manifest, aof->name, (int64_t)aof->appended);
    struct aof_job *job = add_statement(aof);
    job->opens = memory_copy_text(file->name);
    job->sequence = file->sequence;
    if (aof->journal->follows) job->database = aof->journal->database;
    aof->others_size += aof->file_size;
    aof->file_size = 0;
}

void aof_set_id(struct aof *aof, const char *id) {
    memcpy(aof->id, id, ANNOTATION_ID_SIZE);
    aof->id_is_new = !aof->is_reading;
    if (aof->is_reading) add_job(aof)->announces = true;
}

void aof_set_policy(struct aof *aof, enum aof_policy policy) {
    bool promises = aof->is_reading && aof->policy == AOF_NO && policy != AOF_NO;
    aof->policy = policy;
    if (policy == AOF_NO && !aof->running && !aof->recovers) {
        free_jobs(&aof->kept);
        aof->synced = aof->disk;
        aof->is_covered = false;
    }
    if (promises) { /* also of what nobody has synced so far */
        aof->synced_offset = aof->safe_offset;
        if (!aof->running && !aof->first) add_job(aof);
    }
    aof->lags = false;
    move_horizon(aof);
}
