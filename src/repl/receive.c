/* receive.c: the bytes of a dataset, from the primary's socket to a file. */
#include "repl/receive.h"

#include "base/buffer.h"
#include "base/memory.h"
#include "base/number.h"
#include "engine/config.h"
#include "engine/server.h"
#include "io/files.h"
#include <errno.h>
#include <stdio.h>

enum { PATH_SIZE = 4096 };

struct receive {
    struct server *server;
    io_file file;
    bool has_mark, is_whole, is_writing, is_left, keeps;
    char mark[RECEIVE_MARK_SIZE];
    int64_t total; /* -1: until the mark */
    uint64_t size; /* came */
    struct buffer filling, writing;
    int error;
    char folder[PATH_SIZE], path[2 * PATH_SIZE], kept[2 * PATH_SIZE];
};

/* ---- the worker's part ---- */

static void write_work(void *context) {
    struct receive *receive = context;
    receive->error =
        io_write_all(receive->server->io, receive->file, buffer_bytes(&receive->writing));
}

static int keep(struct receive *receive) {
    struct io *io = receive->server->io;
    const struct io_operations *files = io->operations;
    int error = files->sync(io, receive->file, false);
    if (error >= 0) error = files->rename(io, receive->path, receive->kept);
    if (error >= 0) error = files->sync_directory(io, receive->folder);
    return error < 0 ? error : 0;
}

/* Taking away a large file takes a while, too. */
static void end_work(void *context) {
    struct receive *receive = context;
    struct io *io = receive->server->io;
    if (receive->keeps) receive->error = keep(receive);
    if (receive->file >= 0) io->operations->close(io, receive->file);
    if (!receive->keeps || receive->error < 0) io->operations->remove(io, receive->path);
}

/* ---- the engine's part ---- */

static void end_done(void *context) {
    struct receive *receive = context;
    if (receive->keeps && receive->error < 0)
        log_warning(receive->server->log, "Can't keep the dataset as %s: %s", receive->kept,
                    strerror(-receive->error));
    buffer_release(&receive->filling);
    buffer_release(&receive->writing);
    memory_free(receive);
}

/* Once nobody writes any more. */
static void let_go(struct receive *receive) {
    io_submit(receive->server->io, IO_LANE_TRANSFER, end_work, end_done, receive);
}

static void write_done(void *context) {
    struct receive *receive = context;
    receive->is_writing = false;
    receive->server->replication.wanted = true;
    if (receive->is_left) let_go(receive);
}

static void write_later(struct receive *receive) {
    struct buffer swap = receive->writing;
    if (receive->is_writing || receive->error < 0) return;
    receive->writing = receive->filling;
    receive->filling = swap;
    buffer_clear(&receive->filling);
    size_t kept = 0;
    if (receive->has_mark && !receive->is_whole) /* these may be the mark's beginning */
        kept =
            receive->writing.size < RECEIVE_MARK_SIZE ? receive->writing.size : RECEIVE_MARK_SIZE;
    receive->writing.size -= kept;
    buffer_append(&receive->filling, receive->writing.data + receive->writing.size, kept);
    if (receive->writing.size == 0) return;
    receive->is_writing = true;
    io_submit(receive->server->io, IO_LANE_TRANSFER, write_work, write_done, receive);
}

static bool parse_head(struct receive *receive, struct bytes head) {
    static const struct bytes mark = BYTES("EOF:");
    if (head.size == mark.size + RECEIVE_MARK_SIZE &&
        memcmp(head.data, mark.data, mark.size) == 0) {
        memcpy(receive->mark, head.data + mark.size, RECEIVE_MARK_SIZE);
        receive->has_mark = true;
        receive->total = -1;
        return true;
    }
    return number_parse_i64(head, &receive->total) && receive->total >= 0;
}

struct receive *receive_begin(struct server *server, struct bytes head) {
    struct receive *receive = memory_alloc_zeroed(1, sizeof *receive);
    struct io *io = server->io;
    receive->server = server;
    receive->file = IO_NONE;
    if (!parse_head(receive, head)) {
        memory_free(receive);
        return NULL;
    }
    io_folder(io, receive->folder, sizeof receive->folder);
    snprintf(receive->path, sizeof receive->path, "%s/temp-sync-%lld.%llu.rdb", receive->folder,
             (long long)server->log->pid, (unsigned long long)server_random(server));
    snprintf(receive->kept, sizeof receive->kept, "%s/%s", receive->folder,
             server->config->dbfilename.data);
    receive->file =
        io->operations->open(io, receive->path, IO_WRITE | IO_CREATE | IO_TRUNCATE, 0644);
    if (receive->file < 0) receive->error = receive->file;
    if (receive->total == 0) receive->is_whole = true;
    return receive;
}

char *receive_room(struct receive *receive, size_t *room) {
    if (receive->filling.size >= RECEIVE_BUFFER) {
        write_later(receive);
        if (receive->filling.size >= RECEIVE_BUFFER) return NULL;
    }
    *room = RECEIVE_BUFFER + RECEIVE_MARK_SIZE - receive->filling.size;
    return buffer_reserve(&receive->filling, *room);
}

size_t receive_filled(struct receive *receive, size_t size) {
    size_t beyond = 0;
    struct buffer *filling = &receive->filling;
    if (!receive->has_mark && receive->size + size > (uint64_t)receive->total)
        beyond = (size_t)(receive->size + size - (uint64_t)receive->total);
    filling->size += size - beyond;
    receive->size += size - beyond;
    if (receive->has_mark) {
        receive->is_whole = filling->size >= RECEIVE_MARK_SIZE &&
                            memcmp(filling->data + filling->size - RECEIVE_MARK_SIZE, receive->mark,
                                   RECEIVE_MARK_SIZE) == 0;
        if (receive->is_whole) filling->size -= RECEIVE_MARK_SIZE;
    } else {
        receive->is_whole = receive->size == (uint64_t)receive->total;
    }
    if (receive->is_whole || filling->size >= RECEIVE_BUFFER / 4) write_later(receive);
    return beyond;
}

bool receive_is_whole(const struct receive *receive) {
    return receive->is_whole;
}

bool receive_is_written(const struct receive *receive) {
    if (!receive->is_whole || receive->is_writing) return false;
    if (receive->filling.size == 0) return true;
    write_later((struct receive *)receive);
    return false;
}

int receive_error(const struct receive *receive) {
    return receive->error;
}

const char *receive_path(const struct receive *receive) {
    return receive->path;
}

uint64_t receive_size(const struct receive *receive) {
    return receive->size;
}

int64_t receive_total(const struct receive *receive) {
    return receive->total;
}

void receive_end(struct receive *receive, bool keeps) {
    receive->keeps = keeps;
    receive->is_left = true;
    if (!receive->is_writing) let_go(receive);
}
