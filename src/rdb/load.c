/* load.c: batches of keys into the keyspace, and who reads them when. */
#include "rdb/load.h"

#include "base/invariant.h"
#include "base/memory.h"
#include "keyspace/edit.h"
#include "rdb/load_batch.h"
#include <stdio.h>

static bool worker_rests(const void *context) {
    const struct rdb_load *load = context;
    return !load->is_reading;
}

/* Nothing is under way any more. */
static void stop_worker(struct rdb_load *load) {
    struct io *io = load->options.io;
    __atomic_store_n(&load->cancelled, true, __ATOMIC_RELAXED);
    io->operations->finish_work_until(io, worker_rests, load);
}

/* ---- into the keyspace ---- */

static void set_use(struct rdb_load *load, const struct rdb_batch_key *key,
                    const struct entry *entry) {
    const struct use_policy *use = &load->options.keyspace->use;
    bool counts = use->kind == USE_BY_COUNT;
    if (counts && key->frequency >= 0)
        entry_set_clock(entry, use_of_count(use, (uint32_t)key->frequency));
    else if (!counts && key->idle_s >= 0)
        entry_set_clock(entry, use_of_idle(use, (uint64_t)key->idle_s));
}

/* False: it may not be; nothing was taken. `text` is the key's. */
static bool put(struct rdb_load *load, struct rdb_batch *batch, const struct rdb_batch_key *from,
                const char *text) {
    struct keyspace *keyspace = load->options.keyspace;
    struct database *db = &load->options.databases[from->database];
    struct key key = {bytes_make(text, from->name_size), from->hash};
    struct spot spot = database_locate(db, &key);
    if (spot.entry && !load->options.merges) {
        stop_worker(load);
        rdb_load_fail_at(load, key.name, "it is there twice");
        return false;
    }
    switch ((enum rdb_batch_kind)from->kind) {
    case RDB_BATCH_STRING:
        database_put_string(db, &key, &spot, bytes_make(text + from->name_size, from->value),
                            from->expiry);
        break;
    case RDB_BATCH_BLOB_STRING:
        database_put_blob(db, &key, &spot, batch->blobs[from->value], from->expiry);
        break;
    case RDB_BATCH_OBJECT: {
        struct object *object = &batch->objects[from->value].object;
        object->world = &keyspace->world;
        database_put_object(db, &key, &spot, object, from->expiry);
        break;
    }
    }
    if (from->idle_s >= 0 || from->frequency >= 0) set_use(load, from, spot.entry);
    load->keys++;
    return true;
}

/* The batch itself is in the cache of whoever read it, and the places that its keys will have in
 * the table are in none: all are fetched while those before are put. */
static void prefetch(const struct rdb_load *load, const struct rdb_batch *batch, uint32_t next) {
    enum { DIRECTORY = 32, BUCKET = 16 };
    const struct database *databases = load->options.databases;
    if (next + DIRECTORY < batch->count) {
        const struct rdb_batch_key *key = &batch->keys[next + DIRECTORY];
        database_prefetch_directory(&databases[key->database], key->hash);
    }
    if (next + BUCKET < batch->count) {
        const struct rdb_batch_key *key = &batch->keys[next + BUCKET];
        database_prefetch_bucket(&databases[key->database], key->hash);
    }
}

static bool put_all(struct rdb_load *load, struct rdb_batch *batch) {
    const char *text = batch->text.data;
    for (uint32_t i = 0; i < batch->count; i++) {
        const struct rdb_batch_key *key = &batch->keys[i];
        prefetch(load, batch, i);
        if (!put(load, batch, key, text)) {
            rdb_batch_drop(batch, i);
            return false;
        }
        text += key->name_size + (key->kind == RDB_BATCH_STRING ? key->value : 0);
    }
    batch->count = 0;
    return true;
}

static bool take_library(struct rdb_load *load, struct rdb_batch *batch) {
    const struct rdb_load_options *options = &load->options;
    if (options->library(options->library_context, buffer_bytes(&batch->library))) return true;
    stop_worker(load);
    rdb_load_fail(load, RDB_LOAD_MALFORMED, "a library of functions cannot be loaded");
    return false;
}

/* Where another dataset is being served meanwhile a large table grows, which takes longer and
 * stalls nobody. */
static void presize(const struct rdb_load *load, struct database *db, uint64_t keys) {
    bool is_aside = load->options.databases != load->options.keyspace->databases;
    if (is_aside && keys > RDB_LOAD_PRESIZE_ASIDE) keys = RDB_LOAD_PRESIZE_ASIDE;
    if (database_count(db) == 0) table_presize(&db->store->table, (size_t)keys);
}

static enum rdb_load_state settle(struct rdb_load *load, struct rdb_batch *batch) {
    load->settled = batch->offset;
    if (batch->producer[0] && load->options.log)
        log_notice(load->options.log, "Loading RDB produced by version %s", batch->producer);
    if (!put_all(load, batch)) return RDB_LOAD_FAILED;
    switch (batch->end) {
    case RDB_BATCH_GOES_ON: break;
    case RDB_BATCH_RESIZE:
        presize(load, &load->options.databases[batch->database], batch->announced);
        break;
    case RDB_BATCH_LIBRARY: return take_library(load, batch) ? RDB_LOAD_MORE : RDB_LOAD_FAILED;
    case RDB_BATCH_LAST: return RDB_LOAD_DONE;
    case RDB_BATCH_FAILED: return RDB_LOAD_FAILED;
    }
    return RDB_LOAD_MORE;
}

/* ---- beginning and end ---- */

bool rdb_load_begin(struct rdb_load *load, const struct rdb_load_options *options,
                    const char *path) {
    *load = (struct rdb_load){.options = *options, .file = IO_NONE};
    /* What is read is not in the keyspace, and no view of it can see it. */
    epochs_init(&load->epochs);
    load->world =
        (struct record_world){.epochs = &load->epochs, .secret = options->keyspace->world.secret};
    if (!options->databases) load->options.databases = options->keyspace->databases;
    load->history.database = -1;
    load->reader.world = &load->world;
    load->reader.limits = options->limits;
    load->reader.now_ms = options->now_ms;
    return rdb_load_open(load, path);
}

static void release_batches(struct rdb_load *load) {
    for (uint32_t i = 0; i < RDB_LOAD_BATCHES; i++) {
        struct rdb_batch *batch = load->batches[i];
        if (!batch) continue;
        rdb_batch_drop(batch, 0);
        buffer_release(&batch->text);
        buffer_release(&batch->library);
        memory_free(batch);
    }
}

void rdb_load_end(struct rdb_load *load) {
    stop_worker(load);
    if (load->file >= 0) load->options.io->operations->close(load->options.io, load->file);
    load->file = IO_NONE;
    release_batches(load);
    buffer_release(&load->piece);
    buffer_release(&load->key);
    rdb_reader_release(&load->reader);
    epochs_release(&load->epochs);
}

uint64_t rdb_load_offset(const struct rdb_load *load) {
    return load->options.watch ? rdb_load_position(load) : load->settled;
}

/* ---- who reads when ---- */

static struct rdb_batch *batch_of(struct rdb_load *load, uint64_t number) {
    struct rdb_batch **batch = &load->batches[number % RDB_LOAD_BATCHES];
    if (!*batch) {
        *batch = memory_alloc_zeroed(1, sizeof **batch);
        (*batch)->load = load;
    }
    return *batch;
}

static enum rdb_load_state read_and_settle(struct rdb_load *load, uint64_t bytes) {
    uint64_t end = load->settled + bytes;
    enum rdb_load_state state = RDB_LOAD_MORE;
    struct rdb_batch *batch = batch_of(load, 0);
    while (state == RDB_LOAD_MORE && load->settled < end) {
        rdb_batch_read(batch, end - load->settled);
        state = settle(load, batch);
    }
    return state;
}

/* As far ahead as there is room. */
static void read_work(void *context) {
    struct rdb_load *load = context;
    uint64_t filled = load->filled;
    while (!load->is_read && !__atomic_load_n(&load->cancelled, __ATOMIC_RELAXED) &&
           filled - __atomic_load_n(&load->taken, __ATOMIC_ACQUIRE) < RDB_LOAD_BATCHES) {
        rdb_batch_read(batch_of(load, filled), RDB_BATCH_BYTES);
        __atomic_store_n(&load->filled, ++filled, __ATOMIC_SEQ_CST);
        if (__atomic_exchange_n(&load->owner_waits, false, __ATOMIC_SEQ_CST))
            io_wake(load->options.io);
    }
}

static void read_done(void *context) {
    struct rdb_load *load = context;
    load->is_reading = false;
}

/* Let a worker go on as soon as there is room for some more. */
static void read_ahead(struct rdb_load *load) {
    if (load->is_reading || load->is_read || load->filled - load->taken > RDB_LOAD_BATCHES / 2)
        return;
    load->is_reading = true;
    io_submit(load->options.io, IO_LANE_LOAD, read_work, read_done, load);
}

/* False: the owner will be woken when there is one. */
static bool has_batch(struct rdb_load *load) {
    if (load->taken < __atomic_load_n(&load->filled, __ATOMIC_ACQUIRE)) return true;
    __atomic_store_n(&load->owner_waits, true, __ATOMIC_SEQ_CST);
    return load->taken < __atomic_load_n(&load->filled, __ATOMIC_SEQ_CST);
}

enum rdb_load_state rdb_load_step(struct rdb_load *load, uint64_t bytes) {
    if (!load->options.uses_worker) return read_and_settle(load, bytes);
    uint64_t end = load->settled + bytes;
    enum rdb_load_state state = RDB_LOAD_MORE;
    while (state == RDB_LOAD_MORE && load->settled < end) {
        read_ahead(load);
        if (!has_batch(load)) return RDB_LOAD_WAITS;
        state = settle(load, batch_of(load, load->taken));
        __atomic_store_n(&load->taken, load->taken + 1, __ATOMIC_RELEASE);
    }
    return state;
}
