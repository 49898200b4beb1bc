/* transfer.c: the dataset of a moment, to all replicas that wait for one. Owns the view, the writer
 * and the blocks that no output has yet. */
#include "repl/transfer.h"

#include "base/invariant.h"
#include "base/memory.h"
#include "engine/config.h"
#include "engine/saving.h"
#include "engine/server.h"
#include "engine/session.h"
#include "io/files.h"
#include "rdb/save.h"
#include "repl/replicator.h"
#include <errno.h>
#include <stdio.h>

enum {
    MARK_SIZE = 40,
    PIECE = 2 * 1024 * 1024, /* bytes that a worker makes in one go, about */
    AHEAD = 8 * 1024 * 1024, /* bytes that may wait in an output before more are made */
    PATH_SIZE = 4096,
    BLOCKS_FIRST = 8,
};

enum phase { WRITES, SAVES, READS };

struct transfer {
    struct server *server;
    struct view *view;
    struct buffer libraries;
    struct rdb_writer writer; /* WRITES */
    struct rdb_save save;     /* SAVES */
    io_file file;             /* READS */
    uint64_t file_left;
    enum phase phase;
    bool is_working, is_done, is_cancelled;
    bool removes; /* the file, once it is open: nobody else wants it */
    int error;
    struct output_shared **blocks; /* made and not handed out */
    uint32_t block_count, block_capacity;
    uint64_t offset, bytes;
    int64_t begun_us;
    char mark[MARK_SIZE + 1];
    char folder[PATH_SIZE], path[2 * PATH_SIZE], temporary[2 * PATH_SIZE];
};

/* ---- the worker's part ---- */

static void add_block(struct transfer *transfer, struct output_shared *block) {
    if (transfer->block_count == transfer->block_capacity) {
        transfer->block_capacity =
            transfer->block_capacity ? transfer->block_capacity * 2 : BLOCKS_FIRST;
        transfer->blocks = memory_resize(transfer->blocks,
                                         transfer->block_capacity * sizeof(struct output_shared *));
    }
    transfer->blocks[transfer->block_count++] = block;
}

static bool take_block(void *context, struct bytes bytes) {
    struct transfer *transfer = context;
    struct output_shared *block = output_share(bytes.size);
    memcpy(block->data, bytes.data, bytes.size);
    block->size = bytes.size;
    add_block(transfer, block);
    return !__atomic_load_n(&transfer->is_cancelled, __ATOMIC_RELAXED);
}

static void write_piece(struct transfer *transfer) {
    switch (rdb_writer_step(&transfer->writer, PIECE)) {
    case RDB_WRITER_MORE: break;
    case RDB_WRITER_DONE: transfer->is_done = true; break;
    case RDB_WRITER_FAILED: transfer->error = -ECANCELED; break;
    }
}

static void read_piece(struct transfer *transfer) {
    struct io *io = transfer->server->io;
    size_t size = transfer->file_left < PIECE ? (size_t)transfer->file_left : PIECE;
    struct output_shared *block = output_share(size);
    while (block->size < size) {
        int64_t got =
            io->operations->read(io, transfer->file, block->data + block->size, size - block->size);
        if (got <= 0) {
            transfer->error = got < 0 ? (int)got : -EIO;
            break;
        }
        block->size += (size_t)got;
    }
    transfer->file_left -= block->size;
    add_block(transfer, block);
    if (transfer->file_left == 0) transfer->is_done = true;
}

static void save_file(struct transfer *transfer) {
    const struct io_operations *files = transfer->server->io->operations;
    if (!rdb_save_run(&transfer->save)) {
        transfer->error = transfer->save.error;
        return;
    }
    transfer->file_left = transfer->save.bytes;
    if (transfer->removes) files->remove(transfer->server->io, transfer->path);
}

static void work(void *context) {
    struct transfer *transfer = context;
    switch (transfer->phase) {
    case WRITES: write_piece(transfer); break;
    case SAVES: save_file(transfer); break;
    case READS: read_piece(transfer); break;
    }
}

/* ---- the engine's part ---- */

static void close_transfer(struct transfer *transfer) {
    struct server *server = transfer->server;
    INVARIANT(!transfer->is_working);
    for (uint32_t i = 0; i < transfer->block_count; i++)
        output_unshare(transfer->blocks[i]);
    memory_free(transfer->blocks);
    if (transfer->phase == WRITES) rdb_writer_close(&transfer->writer);
    if (transfer->file >= 0) io_close_later(server->io, transfer->file);
    if (transfer->view) {
        view_close(&server->keyspace, transfer->view);
        server->drain_unfinished = true;
    }
    buffer_release(&transfer->libraries);
    replicator_of(server)->primary.transfer = NULL;
    memory_free(transfer);
}

static void done(void *context) {
    struct transfer *transfer = context;
    transfer->is_working = false;
    transfer->server->replication.wanted = true;
}

static void set_paths(struct transfer *transfer) {
    const struct server *server = transfer->server;
    io_folder(server->io, transfer->folder, sizeof transfer->folder);
    snprintf(transfer->path, sizeof transfer->path, "%s/%s", transfer->folder,
             server->config->dbfilename.data);
    snprintf(transfer->temporary, sizeof transfer->temporary, "%s/temp-repl-%lld.rdb",
             transfer->folder, (long long)server->log->pid);
}

static void say(struct replica *replica, const char *text) {
    session_send(replica->session, bytes_from_text(text));
}

/* What stands before the dataset. */
static void greet(struct replica *replica, const struct transfer *transfer) {
    char text[128];
    const struct server *server = transfer->server;
    if (!replica->wants_bare) {
        snprintf(text, sizeof text, "+FULLRESYNC %s %llu\r\n", server->replication.id,
                 (unsigned long long)transfer->offset);
        say(replica, text);
    }
    if (transfer->phase == WRITES) {
        snprintf(text, sizeof text, "$EOF:%s\r\n", transfer->mark);
        say(replica, text);
    }
}

static void join(struct replica *replica, struct transfer *transfer) {
    replica->transfer = transfer;
    replica->state = REPLICA_RECEIVES;
    replica->waits_since_us = transfer->server->monotonic_us;
    if (!replica->rdb_only) primary_gather(replica, transfer->offset);
    greet(replica, transfer);
}

static bool may_join(const struct replica *replica, bool by_file, bool libraries_only) {
    if (replica->state != REPLICA_WAITS || replica->libraries_only != libraries_only) return false;
    return by_file || replica->capabilities & REPLICA_EOF;
}

static void begin_phase(struct transfer *transfer, bool by_file, bool libraries_only) {
    struct server *server = transfer->server;
    const struct config *config = server->config;
    struct rdb_writer_options content;
    saving_describe(server, transfer->view, &transfer->libraries, &content);
    content.leaves_out_keys = libraries_only;
    if (!by_file) {
        content.is_stream = true;
        content.write = take_block;
        content.context = transfer;
        transfer->phase = WRITES;
        rdb_writer_open(&transfer->writer, &content);
        return;
    }
    transfer->phase = SAVES;
    transfer->removes =
        config->rdb_del_sync_files && !config->appendonly && config->save.count == 0;
    set_paths(transfer);
    transfer->save = (struct rdb_save){
        .io = server->io,
        .content = content,
        .folder = transfer->folder,
        .path = transfer->path,
        .temporary = transfer->temporary,
        .reader = &transfer->file,
        .keys_total = keyspace_count(&server->keyspace),
    };
}

static void submit(struct transfer *transfer) {
    transfer->is_working = true;
    io_submit(transfer->server->io, IO_LANE_TRANSFER, work, done, transfer);
}

/* The dataset as it is now, for all that wait and can take it this way. */
static void begin(struct server *server, bool by_file, bool libraries_only) {
    struct primary *primary = &replicator_of(server)->primary;
    journal_commit(&server->journal);
    primary_open_backlog(server);
    journal_forget_database(&server->journal);
    struct view *view = view_open(&server->keyspace);
    if (!view) {
        log_warning(server->log, "Can't synchronize: too many views of the dataset are open");
        return;
    }
    struct transfer *transfer = memory_alloc_zeroed(1, sizeof *transfer);
    transfer->server = server;
    transfer->view = view;
    transfer->file = IO_NONE;
    transfer->offset = server->journal.offset;
    transfer->begun_us = server->monotonic_us;
    server_make_id(server->io, transfer->mark);
    begin_phase(transfer, by_file, libraries_only);
    primary->transfer = transfer;
    log_notice(server->log, "Starting BGSAVE for SYNC with target: %s",
               by_file ? "disk" : "replicas sockets");
    for (struct replica *replica = primary->replicas; replica; replica = replica->next)
        if (may_join(replica, by_file, libraries_only)) join(replica, transfer);
    submit(transfer);
}

void transfer_check(struct server *server) {
    struct primary *primary = &replicator_of(server)->primary;
    const struct config *config = server->config;
    uint32_t waiting = 0, without_mark = 0;
    int64_t first_us = INT64_MAX;
    bool libraries_only = false;
    if (primary->transfer || server->loading) return;
    for (const struct replica *replica = primary->replicas; replica; replica = replica->next) {
        if (replica->state != REPLICA_WAITS) continue;
        if (waiting++ == 0) libraries_only = replica->libraries_only;
        without_mark += !(replica->capabilities & REPLICA_EOF);
        if (replica->waits_since_us < first_us) first_us = replica->waits_since_us;
    }
    if (waiting == 0) return;
    bool by_file = !config->repl_diskless_sync || without_mark == waiting;
    bool delays = config->given[CONFIG_repl_diskless_sync_delay];
    int64_t due_us = delays ? first_us + config->repl_diskless_sync_delay * 1000000 : 0;
    int64_t enough = config->repl_diskless_sync_max_replicas;
    if (!by_file && server->monotonic_us < due_us && (enough == 0 || waiting < enough)) {
        replicator_due(server, due_us);
        return;
    }
    begin(server, by_file, libraries_only);
}

/* ---- on its way ---- */

static void hand_out(struct transfer *transfer) {
    struct primary *primary = &replicator_of(transfer->server)->primary;
    for (uint32_t i = 0; i < transfer->block_count; i++) {
        struct output_shared *block = transfer->blocks[i];
        output_count(block, &transfer->server->replication.memory.blocks);
        for (struct replica *replica = primary->replicas; replica; replica = replica->next)
            if (replica->transfer == transfer && block->size > 0)
                session_send_shared(replica->session, block, 0, block->size);
        transfer->bytes += block->size;
        output_unshare(block);
    }
    transfer->block_count = 0;
}

/* The most that waits in an output; *count: how many replicas there are. */
static size_t most_waiting(const struct transfer *transfer, uint32_t *count) {
    const struct primary *primary = &replicator_of(transfer->server)->primary;
    size_t most = 0;
    *count = 0;
    for (struct replica *replica = primary->replicas; replica; replica = replica->next) {
        if (replica->transfer != transfer) continue;
        size_t waiting = output_pending(&replica->session->output);
        if (waiting > most) most = waiting;
        ++*count;
    }
    return most;
}

static void finish(struct transfer *transfer) {
    struct server *server = transfer->server;
    struct primary *primary = &replicator_of(server)->primary;
    for (struct replica *replica = primary->replicas; replica; replica = replica->next) {
        if (replica->transfer != transfer) continue;
        replica->transfer = NULL;
        replica->acknowledged_ms = server->monotonic_ms;
        if (transfer->phase == WRITES) {
            /* It finds the mark at the end of what it has got: nothing may follow before it has
             * said that it is there. */
            say(replica, transfer->mark);
            replica->state = REPLICA_LOADS;
        } else if (!replica->rdb_only) {
            primary_put_online(replica);
        }
    }
    log_notice(server->log, "Synchronization: %.2f MB sent in %.3f seconds",
               (double)transfer->bytes / (1024 * 1024),
               (double)(server->monotonic_us - transfer->begun_us) / 1e6);
    close_transfer(transfer);
}

static void fail(struct transfer *transfer) {
    struct server *server = transfer->server;
    struct primary *primary = &replicator_of(server)->primary;
    if (transfer->error != -ECANCELED)
        log_warning(server->log, "SYNC failed. Can't read or write the dataset: %s",
                    strerror(-transfer->error));
    for (struct replica *replica = primary->replicas; replica; replica = replica->next) {
        if (replica->transfer != transfer) continue;
        replica->transfer = NULL;
        session_close_later(replica->session);
    }
    close_transfer(transfer);
}

/* The file is there: say how long it is. */
static void begin_reading(struct transfer *transfer) {
    struct primary *primary = &replicator_of(transfer->server)->primary;
    char text[64];
    snprintf(text, sizeof text, "$%llu\r\n", (unsigned long long)transfer->file_left);
    for (struct replica *replica = primary->replicas; replica; replica = replica->next)
        if (replica->transfer == transfer) say(replica, text);
    transfer->phase = READS;
    view_close(&transfer->server->keyspace, transfer->view);
    transfer->server->drain_unfinished = true;
    transfer->view = NULL;
}

bool transfer_is_saving(const struct transfer *transfer) {
    return transfer && transfer->phase == SAVES;
}

void transfer_step(struct server *server) {
    struct transfer *transfer = replicator_of(server)->primary.transfer;
    uint32_t replicas;
    if (!transfer || transfer->is_working) return;
    if (transfer->error < 0) {
        fail(transfer);
        return;
    }
    if (transfer->phase == SAVES) begin_reading(transfer);
    hand_out(transfer);
    size_t waiting = most_waiting(transfer, &replicas);
    if (replicas == 0)
        close_transfer(transfer);
    else if (transfer->is_done)
        finish(transfer);
    else if (waiting <= AHEAD)
        submit(transfer);
}

void transfer_leave(struct replica *replica) {
    struct transfer *transfer = replica->transfer;
    uint32_t others;
    if (!transfer) return;
    replica->transfer = NULL;
    most_waiting(transfer, &others);
    if (others == 0) {
        __atomic_store_n(&transfer->is_cancelled, true, __ATOMIC_RELAXED);
        __atomic_store_n(&transfer->save.cancelled, 1, __ATOMIC_RELAXED);
    }
    transfer->server->replication.wanted = true;
}

static bool rests(const void *context) {
    const struct transfer *transfer = context;
    return !transfer->is_working;
}

void transfer_cancel(struct server *server) {
    struct transfer *transfer = replicator_of(server)->primary.transfer;
    if (!transfer) return;
    __atomic_store_n(&transfer->is_cancelled, true, __ATOMIC_RELAXED);
    __atomic_store_n(&transfer->save.cancelled, 1, __ATOMIC_RELAXED);
    server->io->operations->finish_work_until(server->io, rests, transfer); /* a piece, at most */
    transfer->error = -ECANCELED;
    fail(transfer);
}
