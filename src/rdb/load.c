/* load.c: reading an RDB file. */
#include "rdb/load.h"

#include "base/crc.h"
#include "base/memory.h"
#include "keyspace/edit.h"
#include "rdb/format.h"
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
        if (got == -EINTR) continue;
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

uint64_t rdb_load_offset(const struct rdb_load *load) {
    if (load->piece.data == NULL) return 0;
    return load->consumed + (uint64_t)(load->input.at - load->piece.data);
}

/* ---- failures ---- */

static enum rdb_load_state fail(struct rdb_load *load, enum rdb_load_failure failure,
                                const char *why) {
    load->failure = failure;
    snprintf(load->error, sizeof load->error, "%s", why);
    return RDB_LOAD_FAILED;
}

/* The input's error; with the key that was being read, if one was. */
static enum rdb_load_state fail_input(struct rdb_load *load) {
    if (load->io_error < 0) return fail(load, RDB_LOAD_UNREADABLE, strerror(-load->io_error));
    load->failure = RDB_LOAD_MALFORMED;
    enum { SHOWN_MAX = 64 };
    if (load->key.size > 0)
        snprintf(load->error, sizeof load->error, "key '%.*s': %s",
                 (int)(load->key.size < SHOWN_MAX ? load->key.size : SHOWN_MAX), load->key.data,
                 load->input.error);
    else
        snprintf(load->error, sizeof load->error, "%s", load->input.error);
    return RDB_LOAD_FAILED;
}

/* ---- beginning ---- */

static bool read_magic(struct rdb_load *load) {
    struct bytes magic;
    int64_t version = 0;
    if (!rdb_input_raw(&load->input, RDB_MAGIC_SIZE, &magic)) {
        if (load->io_error == 0)
            fail(load, RDB_LOAD_MALFORMED, "it is too short");
        else
            fail_input(load);
        return false;
    }
    if (memcmp(magic.data, "REDIS", 5) != 0) {
        fail(load, RDB_LOAD_NO_RDB, "it does not begin with REDIS");
        return false;
    }
    for (int i = 5; i < RDB_MAGIC_SIZE; i++) {
        if (magic.data[i] < '0' || magic.data[i] > '9') version = INT32_MIN;
        version = version * 10 + (magic.data[i] - '0');
    }
    if (version < 1 || version > RDB_VERSION_MAX) {
        fail(load, RDB_LOAD_TOO_NEW, "");
        snprintf(load->error, sizeof load->error, "%.4s", magic.data + 5);
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

bool rdb_load_begin(struct rdb_load *load, const struct rdb_load_options *options,
                    const char *path) {
    const struct io_operations *files = options->io->operations;
    struct io_file_status status;
    *load = (struct rdb_load){.options = *options, .file = IO_NONE};
    load->reader.world = &options->keyspace->world;
    load->reader.limits = options->limits;
    load->reader.now_ms = options->now_ms;
    if (!options->databases) load->options.databases = options->keyspace->databases;
    load->database = &load->options.databases[0];
    load->history.database = -1;
    forget_key(load);
    int result = files->status(options->io, path, &status);
    if (result >= 0) {
        load->file = files->open(options->io, path, IO_READ, 0);
        result = load->file;
    }
    if (result < 0) {
        load->io_error = result;
        fail(load, RDB_LOAD_UNREADABLE, strerror(-result));
        return false;
    }
    load->size = load->input.more = status.size;
    load->input.fill = fill;
    buffer_reserve(&load->piece, RDB_LOAD_PIECE);
    load->input.at = load->input.end = load->checked = load->piece.data;
    return read_magic(load);
}

static void release_waiting(struct rdb_load *load);

void rdb_load_end(struct rdb_load *load) {
    if (load->file >= 0) load->options.io->operations->close(load->options.io, load->file);
    load->file = IO_NONE;
    buffer_release(&load->piece);
    buffer_release(&load->key);
    release_waiting(load);
    rdb_reader_release(&load->reader);
}

/* ---- what stands between the keys ---- */

static void read_history(struct rdb_history *history, struct bytes name, struct bytes value) {
    if (bytes_is(name, "repl-id") && value.size == sizeof history->id - 1)
        memcpy(history->id, value.data, value.size);
    if (bytes_is(name, "repl-offset")) number_parse_u64(value, &history->offset);
    if (bytes_is(name, "repl-stream-db")) number_parse_i64(value, &history->database);
}

static bool read_aux(struct rdb_load *load) {
    struct rdb_input *in = &load->input;
    const struct rdb_load_watch *watch = load->options.watch;
    struct bytes name, value;
    if (!rdb_input_string_copy(in, &load->reader.rooms[1], &name) ||
        !rdb_input_string(in, &load->reader.rooms[0], &value))
        return false;
    if (bytes_is(name, "redis-ver") && load->options.log)
        log_notice(load->options.log, "Loading RDB produced by version %.*s",
                   (int)(value.size < 64 ? value.size : 64), value.data);
    if (bytes_is(name, "ctime")) number_parse_i64(value, &load->created_s);
    if (bytes_is(name, "used-mem")) number_parse_u64(value, &load->memory);
    read_history(&load->history, name, value);
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
    load->database = &load->options.databases[number];
    return true;
}

/* Room for as many keys as the rest of the file may really have. */
static bool read_resize(struct rdb_load *load) {
    enum { KEY_SIZE_MIN = 3 };
    uint64_t keys, expiring;
    if (!rdb_input_length(&load->input, &keys) || !rdb_input_length(&load->input, &expiring))
        return false;
    if (keys > rdb_input_left(&load->input) / KEY_SIZE_MIN)
        return rdb_input_fail(&load->input, "it is too short for the keys that it announces");
    if (!load->options.watch && database_count(load->database) == 0)
        table_presize(&load->database->store->table, (size_t)keys);
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

static bool read_library(struct rdb_load *load) {
    const struct rdb_load_watch *watch = load->options.watch;
    struct bytes code;
    if (!rdb_input_string(&load->input, &load->reader.rooms[0], &code)) return false;
    load->libraries++;
    if (watch && watch->library) watch->library(watch->context, code);
    const struct rdb_load_options *options = &load->options;
    if (!options->library || options->library(options->library_context, code)) return true;
    return rdb_input_fail(&load->input, "a library of functions cannot be loaded");
}

/* False: it is none of these, or it failed. */
static bool read_opcode(struct rdb_load *load, uint8_t opcode, bool *known) {
    *known = true;
    switch (opcode) {
    case RDB_AUX: return read_aux(load);
    case RDB_SELECT: return read_select(load);
    case RDB_RESIZE: return read_resize(load);
    case RDB_EXPIRE_MS: return read_milliseconds(load);
    case RDB_EXPIRE_S: return read_seconds(load);
    case RDB_IDLE: return read_idle(load);
    case RDB_FREQ: return read_frequency(load);
    case RDB_SLOT_INFO: return skip_slot_info(&load->input);
    case RDB_MODULE_AUX: return skip_module_aux(load);
    case RDB_FUNCTION_2: return read_library(load);
    case RDB_FUNCTION_OLD:
        return rdb_input_fail(&load->input,
                              "it has functions in the format of a release candidate of Redis 7");
    default: *known = false; return false;
    }
}

/* ---- keys ---- */

/* A key that was read waits until some more have been: the places that they will have in the table
 * are in no cache, and are fetched meanwhile. A ring, the oldest one at `first`. */

enum { WAITING_MAX = 32, COPIED_MAX = 16 * 1024 }; /* keys; bytes of a string that waits */

struct rdb_load_key {
    struct database *database;
    uint64_t hash;
    int64_t expiry, idle_s, frequency;
    struct buffer text; /* the key, and its string */
    size_t name_size;
    struct rdb_value value; /* its string points into `text` */
};

struct rdb_load_keys {
    uint32_t first, count;
    struct rdb_load_key ring[WAITING_MAX];
};

static struct rdb_load_key *waiting_key(struct rdb_load *load, uint32_t index) {
    return &load->waiting->ring[(load->waiting->first + index) % WAITING_MAX];
}

static void set_use(struct rdb_load *load, const struct rdb_load_key *key,
                    const struct entry *entry) {
    const struct use_policy *use = &load->options.keyspace->use;
    bool counts = use->kind == USE_BY_COUNT;
    if (counts && key->frequency >= 0)
        entry_set_clock(entry, use_of_count(use, (uint32_t)key->frequency));
    else if (!counts && key->idle_s >= 0)
        entry_set_clock(entry, use_of_idle(use, (uint64_t)key->idle_s));
}

static void release_value(struct rdb_value *value) {
    if (value->is_object) object_release(&value->room.object);
    value->is_object = false;
}

static bool put(struct rdb_load *load, struct rdb_load_key *from) {
    struct database *db = from->database;
    struct bytes name = bytes_make(from->text.data, from->name_size);
    struct key key = {name, from->hash};
    struct rdb_value *value = &from->value;
    struct spot spot = database_locate(db, &key);
    if (spot.entry && !load->options.merges) {
        release_value(value);
        buffer_clear(&load->key);
        buffer_append(&load->key, name.data, name.size);
        return rdb_input_fail(&load->input, "it is there twice");
    }
    if (value->is_object)
        database_put_object(db, &key, &spot, &value->room.object, from->expiry);
    else
        database_put_string(db, &key, &spot, value->string, from->expiry);
    value->is_object = false;
    if (from->idle_s >= 0 || from->frequency >= 0) set_use(load, from, spot.entry);
    load->keys++;
    return true;
}

/* Put the oldest ones, until so many are left. */
static bool settle(struct rdb_load *load, uint32_t left) {
    struct rdb_load_keys *waiting = load->waiting;
    while (waiting && waiting->count > left) {
        struct rdb_load_key *key = waiting_key(load, 0);
        waiting->first = (waiting->first + 1) % WAITING_MAX;
        waiting->count--;
        if (!put(load, key)) return false;
    }
    return true;
}

static void release_waiting(struct rdb_load *load) {
    if (!load->waiting) return;
    while (load->waiting->count > 0)
        release_value(&waiting_key(load, --load->waiting->count)->value);
    for (uint32_t i = 0; i < WAITING_MAX; i++)
        buffer_release(&load->waiting->ring[i].text);
    memory_free(load->waiting);
    load->waiting = NULL;
}

/* The slot behind the last one, whose value the key in load->key gets. */
static struct rdb_load_key *waiting_slot(struct rdb_load *load) {
    if (!load->waiting) load->waiting = memory_alloc_zeroed(1, sizeof *load->waiting);
    return waiting_key(load, load->waiting->count);
}

/* The slot is filled: line it up, and go on with those that have waited. */
static bool line_up(struct rdb_load *load, struct rdb_load_key *key) {
    struct database *db = load->database;
    uint32_t *count = &load->waiting->count;
    struct bytes string = key->value.string;
    key->database = db;
    key->expiry = load->expiry;
    key->idle_s = load->idle_s;
    key->frequency = load->frequency;
    key->name_size = load->key.size;
    key->hash = key_make(load->options.keyspace, buffer_bytes(&load->key)).hash;
    bool waits = key->value.is_object || string.size <= COPIED_MAX;
    buffer_clear(&key->text);
    buffer_reserve(&key->text, 0); /* a name and a string of nothing have an address, too */
    buffer_append(&key->text, load->key.data, load->key.size);
    if (waits && !key->value.is_object) {
        buffer_reserve(&key->text, string.size);
        buffer_append(&key->text, string.data, string.size);
        key->value.string = bytes_make(key->text.data + key->name_size, string.size);
    }
    database_prefetch_directory(db, key->hash);
    ++*count;
    if (*count > WAITING_MAX / 2) {
        const struct rdb_load_key *middle = waiting_key(load, WAITING_MAX / 2);
        database_prefetch_bucket(middle->database, middle->hash);
    }
    return settle(load, waits ? WAITING_MAX - 1 : 0);
}

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
    release_value(value);
    forget_key(load);
    return true;
}

static bool read_key(struct rdb_load *load, uint8_t form) {
    struct bytes name;
    load->form = form;
    if (!rdb_input_string_copy(&load->input, &load->key, &name)) {
        buffer_clear(&load->key);
        return false;
    }
    if (form == RDB_MODULE_2 && load->options.watch) return pass_module_value(load);
    struct rdb_load_key *key = waiting_slot(load);
    struct rdb_value *value = &key->value;
    value->is_object = false;
    if (!rdb_value_read(&load->input, &load->reader, form, value)) return false;
    if (load->options.watch) return show_key(load, form, value);
    bool is_gone = value->is_object && value->room.object.type != VALUE_STREAM &&
                   object_count(&value->room.object) == 0;
    if (load->expiry <= load->options.now_ms || is_gone) {
        load->expired++;
        release_value(value);
    } else if (!line_up(load, key)) {
        return false;
    }
    forget_key(load);
    return true;
}

/* ---- the end ---- */

static enum rdb_load_state finish(struct rdb_load *load) {
    enum { CHECKSUM_SINCE = 5 };
    check_to(load, load->input.at);
    if (load->version < CHECKSUM_SINCE) return RDB_LOAD_DONE;
    if (!rdb_input_u64(&load->input, &load->file_crc)) return fail_input(load);
    if (!load->options.checksums || load->file_crc == 0 || load->file_crc == load->crc)
        return RDB_LOAD_DONE;
    fail(load, RDB_LOAD_BAD_CHECKSUM, "");
    snprintf(load->error, sizeof load->error, "expected: (%llx) but got (%llx)",
             (unsigned long long)load->crc, (unsigned long long)load->file_crc);
    return RDB_LOAD_FAILED;
}

static enum rdb_load_state step(struct rdb_load *load, uint64_t bytes) {
    uint64_t end = rdb_load_offset(load) + bytes;
    while (rdb_load_offset(load) < end) {
        uint8_t opcode;
        bool known;
        bool in_between =
            load->expiry == ENTRY_NO_EXPIRY && load->idle_s < 0 && load->frequency < 0;
        if (in_between) load->good = rdb_load_offset(load);
        if (!rdb_input_byte(&load->input, &opcode)) return fail_input(load);
        if (opcode == RDB_END) return settle(load, 0) ? finish(load) : fail_input(load);
        if (opcode < RDB_FORM_COUNT) {
            if (!read_key(load, opcode)) return fail_input(load);
            continue;
        }
        if (!read_opcode(load, opcode, &known)) {
            if (!known) rdb_input_fail(&load->input, "there is neither a key nor a known opcode");
            return fail_input(load);
        }
    }
    return RDB_LOAD_MORE;
}

/* Between two steps no key waits. */
enum rdb_load_state rdb_load_step(struct rdb_load *load, uint64_t bytes) {
    enum rdb_load_state state = step(load, bytes);
    if (state == RDB_LOAD_MORE && !settle(load, 0)) return fail_input(load);
    return state;
}
