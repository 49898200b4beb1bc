/* load_read.c: the half of the loading that reads the file and makes keys and values of it.
 *
 * Runs on a worker while the owner puts the batch before into the keyspace, or on the owner's
 * thread. Must not touch the keyspace's content, nor the log. */
#include "base/crc.h"
#include "base/memory.h"
#include "rdb/format.h"
#include "rdb/load_batch.h"
#include <errno.h>
#include <stddef.h>
#include <stdio.h>

/* ---- the file ---- */

static struct rdb_load *load_of(struct rdb_input *in) {
    return (struct rdb_load *)(void *)((char *)in - offsetof(struct rdb_load, input));
}

/* Everything up to here belongs to the checksum. */
static void check_to(struct rdb_load *load, const char *to) {
    if (load->options.checksums)
        load->crc = crc64(load->crc, bytes_make(load->checked, (size_t)(to - load->checked)));
    load->checked = to;
}

/* Keep what is at hand and not used, and read more behind it. */
static bool fill(struct rdb_input *in, size_t size) {
    struct rdb_load *load = load_of(in);
    struct buffer *piece = &load->piece;
    struct io *io = load->options.io;
    check_to(load, in->at);
    size_t used = (size_t)(in->at - piece->data);
    buffer_consume(piece, used);
    load->consumed += used;
    size_t wanted = size > RDB_LOAD_PIECE ? size : RDB_LOAD_PIECE;
    if (wanted - piece->size > in->more) wanted = piece->size + (size_t)in->more;
    buffer_reserve(piece, wanted - piece->size);
    while (piece->size < wanted) {
        int64_t got =
            io->operations->read(io, load->file, piece->data + piece->size, wanted - piece->size);
        if (got <= 0) {
            load->io_error = got < 0 ? (int)got : -EIO;
            break;
        }
        piece->size += (size_t)got;
        in->more -= (uint64_t)got;
    }
    in->at = load->checked = piece->data;
    in->end = piece->data + piece->size;
    return piece->size >= size;
}

uint64_t rdb_load_position(const struct rdb_load *load) {
    if (load->piece.data == NULL) return 0;
    return load->consumed + (uint64_t)(load->input.at - load->piece.data);
}

/* ---- failures ---- */

void rdb_load_fail(struct rdb_load *load, enum rdb_load_failure failure, const char *why) {
    load->failure = failure;
    snprintf(load->error, sizeof load->error, "%s", why);
}

void rdb_load_fail_at(struct rdb_load *load, struct bytes name, const char *why) {
    enum { SHOWN_MAX = 64 };
    load->failure = RDB_LOAD_MALFORMED;
    snprintf(load->error, sizeof load->error, "key '%.*s': %s",
             (int)(name.size < SHOWN_MAX ? name.size : SHOWN_MAX), name.data, why);
}

/* The input's error; with the key that was being read, if one was. */
static void fail_input(struct rdb_load *load) {
    if (load->io_error < 0)
        rdb_load_fail(load, RDB_LOAD_UNREADABLE, strerror(-load->io_error));
    else if (load->key.size > 0)
        rdb_load_fail_at(load, buffer_bytes(&load->key), load->input.error);
    else
        rdb_load_fail(load, RDB_LOAD_MALFORMED, load->input.error);
}

/* ---- beginning ---- */

static const char magic_word[] = {'R', 'E', 'D', 'I', 'S'};

int rdb_begins(struct io *io, const char *path) {
    char word[sizeof magic_word];
    io_file file = io->operations->open(io, path, IO_READ, 0);
    if (file < 0) return file;
    int64_t got = io->operations->read_at(io, file, word, sizeof word, 0);
    io->operations->close(io, file);
    if (got < 0) return (int)got;
    return got == sizeof word && memcmp(word, magic_word, sizeof word) == 0;
}

static bool read_magic(struct rdb_load *load) {
    struct bytes magic;
    int64_t version = 0;
    if (!rdb_input_raw(&load->input, RDB_MAGIC_SIZE, &magic)) {
        if (load->io_error == 0)
            rdb_load_fail(load, RDB_LOAD_MALFORMED, "it is too short");
        else
            fail_input(load);
        return false;
    }
    if (memcmp(magic.data, magic_word, sizeof magic_word) != 0) {
        rdb_load_fail(load, RDB_LOAD_NO_RDB, "it does not begin with REDIS");
        return false;
    }
    for (size_t i = sizeof magic_word; i < RDB_MAGIC_SIZE; i++) {
        if (magic.data[i] < '0' || magic.data[i] > '9') version = INT32_MIN;
        version = version * 10 + (magic.data[i] - '0');
    }
    if (version < 1 || version > RDB_VERSION_MAX) {
        rdb_load_fail(load, RDB_LOAD_TOO_NEW, "");
        snprintf(load->error, sizeof load->error, "%.4s", magic.data + sizeof magic_word);
        return false;
    }
    load->version = (uint32_t)version;
    return true;
}

static void forget_key(struct rdb_load *load) {
    load->expiry = ENTRY_NO_EXPIRY;
    load->idle_s = load->frequency = -1;
    buffer_clear(&load->key);
}

bool rdb_load_open(struct rdb_load *load, const char *path) {
    const struct io_operations *files = load->options.io->operations;
    struct io_file_status status;
    forget_key(load);
    int result = files->status(load->options.io, path, &status);
    if (result >= 0) {
        load->file = files->open(load->options.io, path, IO_READ, 0);
        result = load->file;
    }
    if (result < 0) {
        load->io_error = result;
        rdb_load_fail(load, RDB_LOAD_UNREADABLE, strerror(-result));
        return false;
    }
    load->size = load->input.more = status.size;
    load->input.fill = fill;
    buffer_reserve(&load->piece, RDB_LOAD_PIECE);
    load->input.at = load->input.end = load->checked = load->piece.data;
    return read_magic(load);
}

/* ---- what stands between the keys ---- */

/* Where others may read on from, what ended is ended in the stream and not here: else they would
 * keep it. */
static void read_history(struct rdb_load *load, struct bytes name, struct bytes value) {
    struct rdb_history *history = &load->history;
    if (bytes_is(name, "repl-id") && value.size == sizeof history->id - 1) {
        memcpy(history->id, value.data, value.size);
        if (!load->options.watch) load->options.now_ms = load->reader.now_ms = 0;
    }
    if (bytes_is(name, "repl-offset")) number_parse_u64(value, &history->offset);
    if (bytes_is(name, "repl-stream-db")) number_parse_i64(value, &history->database);
}

static bool read_aux(struct rdb_load *load, struct rdb_batch *batch) {
    struct rdb_input *in = &load->input;
    const struct rdb_load_watch *watch = load->options.watch;
    struct bytes name, value;
    if (!rdb_input_string_copy(in, &load->reader.rooms[1], &name) ||
        !rdb_input_string(in, &load->reader.rooms[0], &value))
        return false;
    if (bytes_is(name, "redis-ver"))
        snprintf(batch->producer, sizeof batch->producer, "%.*s",
                 (int)(value.size < sizeof batch->producer ? value.size : sizeof batch->producer),
                 value.data);
    if (bytes_is(name, "ctime")) number_parse_i64(value, &load->created_s);
    if (bytes_is(name, "used-mem")) number_parse_u64(value, &load->memory);
    read_history(load, name, value);
    if (watch && watch->aux) watch->aux(watch->context, name, value);
    return true;
}

static bool read_select(struct rdb_load *load) {
    struct keyspace *keyspace = load->options.keyspace;
    const struct rdb_load_watch *watch = load->options.watch;
    uint64_t number;
    if (!rdb_input_length(&load->input, &number)) return false;
    if (watch) {
        if (watch->database) watch->database(watch->context, number);
        return true;
    }
    if (number >= keyspace->database_count)
        return rdb_input_fail(&load->input,
                              "it has a database whose number is not below `databases`");
    load->database = (uint32_t)number;
    return true;
}

/* A hint, which tools that cut or join files leave as it was: no more than the rest of the file may
 * really have. */
static bool read_resize(struct rdb_load *load, struct rdb_batch *batch) {
    enum { KEY_SIZE_MIN = 3 };
    uint64_t keys, expiring;
    if (!rdb_input_length(&load->input, &keys) || !rdb_input_length(&load->input, &expiring))
        return false;
    if (load->options.watch) return true;
    uint64_t most = rdb_input_left(&load->input) / KEY_SIZE_MIN;
    if (keys > most) keys = most;
    batch->end = RDB_BATCH_RESIZE;
    batch->database = load->database;
    batch->announced = keys;
    return true;
}

static bool skip_module_word(struct rdb_input *in, uint64_t kind) {
    uint64_t ignored;
    struct bytes skipped;
    switch (kind) {
    case RDB_WORD_SIGNED:
    case RDB_WORD_UNSIGNED: return rdb_input_length(in, &ignored);
    case RDB_WORD_FLOAT: return rdb_input_raw(in, 4, &skipped);
    case RDB_WORD_DOUBLE: return rdb_input_raw(in, 8, &skipped);
    case RDB_WORD_STRING: return rdb_input_skip_string(in);
    default: return rdb_input_fail(in, "a module's data are malformed");
    }
}

/* What a module wanted to have beside the keys, or as a key's value. */
static bool skip_module(struct rdb_input *in) {
    uint64_t module, kind;
    if (!rdb_input_length(in, &module)) return false;
    for (;;) {
        if (!rdb_input_length(in, &kind)) return false;
        if (kind == RDB_WORD_END) return true;
        if (!skip_module_word(in, kind)) return false;
    }
}

static bool skip_module_aux(struct rdb_load *load) {
    const struct rdb_load_watch *watch = load->options.watch;
    if (!skip_module(&load->input)) return false;
    if (watch && watch->module_aux) watch->module_aux(watch->context);
    return true;
}

static bool skip_slot_info(struct rdb_input *in) {
    uint64_t ignored;
    return rdb_input_length(in, &ignored) && rdb_input_length(in, &ignored) &&
           rdb_input_length(in, &ignored);
}

static bool read_seconds(struct rdb_load *load) {
    uint32_t seconds;
    if (!rdb_input_u32(&load->input, &seconds)) return false;
    load->expiry = (int64_t)(int32_t)seconds * 1000;
    return true;
}

/* Until version 8 these bytes were in the order of the machine, which was this one almost always.
 */
static bool read_milliseconds(struct rdb_load *load) {
    uint64_t expiry;
    if (!rdb_input_u64(&load->input, &expiry)) return false;
    load->expiry = (int64_t)expiry;
    return true;
}

static bool read_idle(struct rdb_load *load) {
    uint64_t idle;
    if (!rdb_input_length(&load->input, &idle)) return false;
    load->idle_s = idle > INT32_MAX ? INT32_MAX : (int64_t)idle;
    return true;
}

static bool read_frequency(struct rdb_load *load) {
    uint8_t frequency;
    if (!rdb_input_byte(&load->input, &frequency)) return false;
    load->frequency = frequency;
    return true;
}

static bool read_library(struct rdb_load *load, struct rdb_batch *batch) {
    const struct rdb_load_watch *watch = load->options.watch;
    struct bytes code;
    if (!rdb_input_string(&load->input, &load->reader.rooms[0], &code)) return false;
    load->libraries++;
    if (watch && watch->library) watch->library(watch->context, code);
    if (load->options.library) {
        batch->end = RDB_BATCH_LIBRARY;
        buffer_append(&batch->library, code.data, code.size);
    }
    return true;
}

/* False: it is none of these, or it failed. */
static bool read_opcode(struct rdb_load *load, struct rdb_batch *batch, uint8_t opcode,
                        bool *known) {
    *known = true;
    switch (opcode) {
    case RDB_AUX: return read_aux(load, batch);
    case RDB_SELECT: return read_select(load);
    case RDB_RESIZE: return read_resize(load, batch);
    case RDB_EXPIRE_MS: return read_milliseconds(load);
    case RDB_EXPIRE_S: return read_seconds(load);
    case RDB_IDLE: return read_idle(load);
    case RDB_FREQ: return read_frequency(load);
    case RDB_SLOT_INFO: return skip_slot_info(&load->input);
    case RDB_MODULE_AUX: return skip_module_aux(load);
    case RDB_FUNCTION_2: return read_library(load, batch);
    case RDB_FUNCTION_OLD:
        return rdb_input_fail(&load->input,
                              "it has functions in the format of a release candidate of Redis 7");
    default: *known = false; return false;
    }
}

/* ---- keys ---- */

/* A module's value has its parts marked in this form, so that who only looks can pass it over. */
static bool pass_module_value(struct rdb_load *load) {
    const struct rdb_load_watch *watch = load->options.watch;
    if (!skip_module(&load->input)) return false;
    load->keys++;
    if (watch->key) watch->key(watch->context, load, RDB_MODULE_2, NULL);
    forget_key(load);
    return true;
}

static bool show_key(struct rdb_load *load, uint8_t form, struct rdb_value *value) {
    const struct rdb_load_watch *watch = load->options.watch;
    load->keys++;
    load->expired += load->expiry <= load->options.now_ms;
    if (watch->key) watch->key(watch->context, load, form, value);
    if (value->is_object) object_release(&value->room.object);
    forget_key(load);
    return true;
}

/* The key in load->key and what was read for it wait in the batch. */
static void keep_key(struct rdb_load *load, struct rdb_batch *batch,
                     const struct rdb_value *value) {
    struct rdb_batch_key *key = &batch->keys[batch->count++];
    struct buffer *text = &batch->text;
    *key = (struct rdb_batch_key){
        .hash = key_make(load->options.keyspace, buffer_bytes(&load->key)).hash,
        .expiry = load->expiry,
        .database = load->database,
        .name_size = (uint32_t)load->key.size,
        .idle_s = (int32_t)load->idle_s,
        .frequency = (int16_t)load->frequency,
    };
    buffer_append(text, load->key.data, load->key.size);
    if (value->is_object) {
        key->kind = RDB_BATCH_OBJECT;
        key->value = batch->object_count++;
    } else if (value->string.size >= RDB_BATCH_BLOB) {
        key->kind = RDB_BATCH_BLOB_STRING;
        key->value = batch->blob_count;
        batch->blobs[batch->blob_count++] = blob_copy(value->string, 0);
    } else {
        key->value = (uint32_t)value->string.size;
        buffer_append(text, value->string.data, value->string.size);
    }
}

static bool read_key(struct rdb_load *load, struct rdb_batch *batch, uint8_t form) {
    struct bytes name;
    struct rdb_value value;
    load->form = form;
    if (!rdb_input_string_copy(&load->input, &load->key, &name)) {
        buffer_clear(&load->key);
        return false;
    }
    if (form == RDB_MODULE_2 && load->options.watch) return pass_module_value(load);
    if (!rdb_value_read(&load->input, &load->reader, form, &value)) return false;
    if (load->options.watch) return show_key(load, form, &value);
    bool is_gone = value.is_object && value.room.object.type != VALUE_STREAM &&
                   object_count(&value.room.object) == 0;
    if (load->expiry <= load->options.now_ms || is_gone) {
        load->expired++;
        if (value.is_object) object_release(&value.room.object);
    } else {
        if (value.is_object) batch->objects[batch->object_count] = value.room;
        keep_key(load, batch, &value);
    }
    forget_key(load);
    return true;
}

/* ---- the end ---- */

/* False: it is not what was written. */
static bool read_checksum(struct rdb_load *load) {
    enum { CHECKSUM_SINCE = 5 };
    check_to(load, load->input.at);
    if (load->version < CHECKSUM_SINCE) return true;
    if (!rdb_input_u64(&load->input, &load->file_crc)) {
        fail_input(load);
        return false;
    }
    if (!load->options.checksums || load->file_crc == 0 || load->file_crc == load->crc) return true;
    rdb_load_fail(load, RDB_LOAD_BAD_CHECKSUM, "");
    snprintf(load->error, sizeof load->error, "expected: (%llx) but got (%llx)",
             (unsigned long long)load->crc, (unsigned long long)load->file_crc);
    return false;
}

/* ---- a batch ---- */

static bool is_full(const struct rdb_batch *batch) {
    return batch->count == RDB_BATCH_KEYS || batch->object_count == RDB_BATCH_OBJECTS ||
           batch->blob_count == RDB_BATCH_OBJECTS || batch->text.size >= RDB_BATCH_TEXT;
}

static enum rdb_batch_end read_some(struct rdb_load *load, struct rdb_batch *batch,
                                    uint64_t bytes) {
    uint64_t end = rdb_load_position(load) + bytes;
    while (rdb_load_position(load) < end && !is_full(batch) && batch->end == RDB_BATCH_GOES_ON) {
        uint8_t opcode;
        bool known = true;
        bool in_between =
            load->expiry == ENTRY_NO_EXPIRY && load->idle_s < 0 && load->frequency < 0;
        if (in_between) load->good = rdb_load_position(load);
        bool good = rdb_input_byte(&load->input, &opcode);
        if (good && opcode == RDB_END)
            return read_checksum(load) ? RDB_BATCH_LAST : RDB_BATCH_FAILED;
        if (good && opcode < RDB_FORM_COUNT)
            good = read_key(load, batch, opcode);
        else if (good)
            good = read_opcode(load, batch, opcode, &known);
        if (good) continue;
        if (!known) rdb_input_fail(&load->input, "there is neither a key nor a known opcode");
        fail_input(load);
        return RDB_BATCH_FAILED;
    }
    return batch->end;
}

void rdb_batch_read(struct rdb_batch *batch, uint64_t bytes) {
    struct rdb_load *load = batch->load;
    batch->count = batch->object_count = batch->blob_count = 0;
    batch->end = RDB_BATCH_GOES_ON;
    batch->producer[0] = 0;
    buffer_clear(&batch->text);
    buffer_clear(&batch->library);
    buffer_reserve(&batch->text, 0); /* names and strings of nothing have an address, too */
    batch->end = read_some(load, batch, bytes);
    load->is_read = batch->end == RDB_BATCH_LAST || batch->end == RDB_BATCH_FAILED;
    batch->offset = rdb_load_position(load);
}

void rdb_batch_drop(struct rdb_batch *batch, uint32_t from) {
    for (uint32_t i = from; i < batch->count; i++) {
        struct rdb_batch_key *key = &batch->keys[i];
        if (key->kind == RDB_BATCH_OBJECT) object_release(&batch->objects[key->value].object);
        if (key->kind == RDB_BATCH_BLOB_STRING) blob_let_go(batch->blobs[key->value]);
    }
    batch->count = 0;
}
