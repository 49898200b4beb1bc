/* history.c: stretches of the stream from the files of the append-only log. Owns the open file and
 * what was read and not sent. */
#include "repl/history.h"

#include "base/crc.h"
#include "base/invariant.h"
#include "base/memory.h"
#include "engine/server.h"
#include "engine/session.h"
#include "journal/annotation.h"
#include "repl/replicator.h"
#include <errno.h>
#include <stdlib.h>

enum {
    PIECE = 2 * 1024 * 1024, /* bytes of the stream read in one go, about */
    AHEAD = 4 * 1024 * 1024, /* bytes that may wait in the output before more are read */
    READ = 256 * 1024,
    LINE_MAX_SIZE = 1024,
};

struct history {
    struct server *server;
    struct replica *replica; /* NULL: it is gone */
    char **paths;            /* increments, oldest first */
    uint32_t count, next;    /* the next to open */
    io_file file;
    struct buffer input; /* read, and not yet looked at */
    size_t position;
    bool at_end;
    uint64_t at, to; /* the stream's: read so far, and up to where */
    char ids[2][ANNOTATION_ID_SIZE + 1];
    struct output_shared *piece; /* read, to be sent; NULL: none */
    bool is_ready, is_working, has_begun;
    int error;
};

/* ---- the worker's part ---- */

static bool read_more(struct history *history) {
    struct io *io = history->server->io;
    if (history->at_end) return false;
    buffer_consume(&history->input, history->position);
    history->position = 0;
    int64_t got =
        io->operations->read(io, history->file, buffer_reserve(&history->input, READ), READ);
    if (got < 0) history->error = (int)got;
    if (got <= 0) {
        history->at_end = true;
        return false;
    }
    history->input.size += (size_t)got;
    return true;
}

static struct bytes unread(const struct history *history) {
    if (history->input.size == history->position) return bytes_make("", 0);
    return bytes_make(history->input.data + history->position,
                      history->input.size - history->position);
}

/* A whole line with its end. */
static bool take_line(struct history *history, struct bytes *line) {
    for (;;) {
        struct bytes rest = unread(history);
        const char *end = memchr(rest.data, '\n', rest.size);
        if (end) {
            *line = bytes_make(rest.data, (size_t)(end - rest.data) + 1);
            history->position += line->size;
            return true;
        }
        if (rest.size > LINE_MAX_SIZE || !read_more(history)) return false;
    }
}

static bool open_next(struct history *history) {
    struct io *io = history->server->io;
    if (history->file >= 0) io->operations->close(io, history->file);
    history->file = IO_NONE;
    if (history->next == history->count) return false;
    history->file = io->operations->open(io, history->paths[history->next++], IO_READ, 0);
    if (history->file < 0) {
        history->error = history->file;
        history->file = IO_NONE;
        return false;
    }
    buffer_clear(&history->input);
    history->position = 0;
    history->at_end = false;
    return true;
}

static bool is_known(const struct history *history, const char *id) {
    return strcmp(id, history->ids[0]) == 0 || strcmp(id, history->ids[1]) == 0;
}

static void add_bytes(struct history *history, struct bytes bytes) {
    struct output_shared *piece = history->piece;
    size_t size = piece ? piece->size : 0;
    if (!piece || piece->capacity - size < bytes.size) {
        struct output_shared *larger = output_share(size + bytes.size + PIECE);
        if (piece) {
            memcpy(larger->data, piece->data, size);
            larger->size = size;
            output_unshare(piece);
        }
        history->piece = piece = larger;
    }
    memcpy(piece->data + size, bytes.data, bytes.size);
    piece->size += bytes.size;
    history->at += bytes.size;
}

/* The stretch behind an announcement: what of it is wanted. False: the history has a gap, is not
 * this one, or is not as it was written. */
static bool take_stretch(struct history *history, const struct annotation *announced) {
    uint64_t begin = announced->offset, end = begin + announced->bytes;
    while (unread(history).size < announced->bytes)
        if (!read_more(history)) return false;
    struct bytes bytes = bytes_make(unread(history).data, (size_t)announced->bytes);
    history->position += bytes.size;
    if (end <= history->at || begin >= history->to) return true;
    if (begin > history->at || !is_known(history, announced->id)) return false;
    if (crc64(0, bytes) != announced->crc) return false;
    if (end > history->to) bytes.size -= (size_t)(end - history->to);
    size_t skipped = (size_t)(history->at - begin);
    add_bytes(history, bytes_make(bytes.data + skipped, bytes.size - skipped));
    return true;
}

/* What is not announced is no part of the stream: the selection at the beginning of a file. */
static bool skip_selection(struct history *history) {
    struct bytes line;
    for (int i = 0; i < 4; i++)
        if (!take_line(history, &line)) return false;
    return true;
}

/* Up to a piece; an error when it does not go on. */
static int read_piece(struct history *history) {
    while (history->at < history->to && (!history->piece || history->piece->size < PIECE)) {
        struct bytes line;
        struct annotation announced;
        if (history->file < 0 && !open_next(history))
            return history->error ? history->error : -ENOENT;
        if (!take_line(history, &line)) {
            if (unread(history).size > 0 || history->error) return -EIO;
            if (!open_next(history)) return history->error ? history->error : -ENOENT;
            continue;
        }
        bool good = true;
        if (annotation_parse(line, &announced))
            good = take_stretch(history, &announced);
        else if (line.data[0] == '*')
            good = skip_selection(history);
        else if (line.data[0] != '#')
            good = false;
        if (!good) return -EIO;
    }
    return 0;
}

static void work(void *context) {
    struct history *history = context;
    history->error = read_piece(history);
}

/* ---- the engine's part ---- */

static void free_history(struct history *history) {
    struct io *io = history->server->io;
    INVARIANT(!history->is_working);
    if (history->file >= 0) io->operations->close(io, history->file);
    for (uint32_t i = 0; i < history->count; i++)
        memory_free(history->paths[i]);
    memory_free(history->paths);
    if (history->piece) output_unshare(history->piece);
    buffer_release(&history->input);
    memory_free(history);
}

static void done(void *context) {
    struct history *history = context;
    history->is_working = false;
    if (!history->replica) {
        free_history(history);
        return;
    }
    history->server->replication.wanted = true;
}

static void submit(struct history *history) {
    history->is_working = true;
    io_submit(history->server->io, IO_LANE_FREE, work, done, history);
}

struct candidate {
    uint64_t sequence;
    const char *name;
};

static int compare(const void *a, const void *b) {
    const struct candidate *left = a, *right = b;
    return left->sequence < right->sequence ? -1 : left->sequence > right->sequence;
}

/* The increments from the one that has `offset` on. False: none has. */
static bool list_paths(struct history *history, uint64_t offset) {
    const struct aof *aof = &history->server->appending.aof;
    const struct manifest *manifest = &aof->manifest;
    struct candidate *all = memory_alloc((manifest->count + 1) * sizeof *all);
    uint32_t count = 0, first = UINT32_MAX;
    for (size_t i = 0; i < manifest->count; i++) {
        const struct manifest_file *file = &manifest->files[i];
        if (strstr(file->name, ".base.") || file->start_offset < 0) continue;
        all[count++] = (struct candidate){file->sequence, file->name};
    }
    qsort(all, count, sizeof *all, compare);
    for (uint32_t i = count; i-- > 0 && first == UINT32_MAX;)
        for (size_t j = 0; j < manifest->count; j++)
            if (manifest->files[j].name == all[i].name &&
                (uint64_t)manifest->files[j].start_offset <= offset)
                first = i;
    history->paths = memory_alloc_zeroed(count + 1, sizeof *history->paths);
    for (uint32_t i = first; i < count; i++) {
        struct buffer path = {0};
        aof_path(aof, all[i].name, &path);
        history->paths[history->count++] = memory_copy_text(path.data);
        buffer_release(&path);
    }
    memory_free(all);
    return history->count > 0;
}

bool history_begin(struct server *server, struct replica *replica, uint64_t offset) {
    const struct appending *appending = &server->appending;
    const struct backlog *backlog = &replicator_of(server)->primary.backlog;
    if (!appending_is_established(appending)) return false;
    struct history *history = memory_alloc_zeroed(1, sizeof *history);
    *history = (struct history){
        .server = server, .replica = replica, .file = IO_NONE, .at = offset, .to = backlog->begin};
    memcpy(history->ids[0], server->replication.id, sizeof history->ids[0]);
    memcpy(history->ids[1], server->replication.second_id, sizeof history->ids[1]);
    if (!list_paths(history, offset)) {
        free_history(history);
        return false;
    }
    replica->history = history;
    replica->state = REPLICA_RECEIVES;
    primary_gather(replica, backlog->begin);
    server->replication.wanted = true;
    return true;
}

/* The files have all that memory has not. */
static bool is_written(const struct history *history) {
    const struct appending *appending = &history->server->appending;
    return appending->is_on && appending->aof.written >= history->to;
}

static void step(struct replica *replica) {
    struct history *history = replica->history;
    struct server *server = history->server;
    if (history->is_working) return;
    if (!history->is_ready) {
        if (is_written(history)) {
            history->is_ready = true;
            submit(history);
        } else if (!appending_is_established(&server->appending) ||
                   aof_failing(&server->appending.aof)) {
            history->error = -EIO;
        } else {
            replicator_due(server, server->monotonic_us + 1000);
        }
        if (history->error == 0) return;
    }
    if (history->error < 0) {
        bool has_begun = history->has_begun;
        log_notice(server->log,
                   "The past of the stream could not be read from the append "
                   "only file at offset %llu: %s",
                   (unsigned long long)history->at, strerror(-history->error));
        replica->history = NULL;
        free_history(history);
        if (has_begun)
            session_close_later(replica->session);
        else
            primary_want_all(replica);
        return;
    }
    if (!history->has_begun) primary_say_continue(replica);
    history->has_begun = true;
    if (history->piece) {
        output_count(history->piece, &server->replication.memory.blocks);
        session_send_shared(replica->session, history->piece, 0, history->piece->size);
        output_unshare(history->piece);
        history->piece = NULL;
    }
    if (history->at == history->to) {
        replica->history = NULL;
        free_history(history);
        primary_put_online(replica);
    } else if (output_pending(&replica->session->output) <= AHEAD) {
        submit(history);
    } else {
        replicator_due(server, server->monotonic_us + 1000);
    }
}

void history_step(struct server *server) {
    for (struct replica *r = replicator_of(server)->primary.replicas; r; r = r->next)
        if (r->history) step(r);
}

void history_leave(struct replica *replica) {
    struct history *history = replica->history;
    if (!history) return;
    replica->history = NULL;
    history->replica = NULL;
    if (!history->is_working) free_history(history);
}

void history_cancel(struct server *server) {
    for (struct replica *r = replicator_of(server)->primary.replicas; r; r = r->next)
        history_leave(r);
    server->io->operations->finish_work(server->io);
}
