/* rdb.c: what is in an RDB file, and where it breaks. It is read by the loader that a start uses
 * (rdb/load.h), but put nowhere: a key that is there twice, a database beyond the server's and a
 * library that does not load are found only by a start. */
#include "tool/check/rdb.h"

#include "base/crc.h"
#include "base/memory.h"
#include "rdb/format.h"
#include "rdb/load.h"
#include "tool/common/files.h"
#include "tool/common/say.h"
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

enum { DATABASES_SHOWN = 1024, SHOWN_MAX = 256, STEP = 256 * 1024 };

static const char *const form_names[RDB_FORM_COUNT] = {
    [RDB_STRING] = "string",
    [RDB_LIST] = "list-linked",
    [RDB_SET] = "set-hashtable",
    [RDB_ZSET] = "zset-v1",
    [RDB_HASH] = "hash-hashtable",
    [RDB_ZSET_2] = "zset-v2",
    [RDB_MODULE] = "module-pre-release",
    [RDB_MODULE_2] = "module-value",
    [RDB_HASH_ZIPMAP] = "hash-zipmap",
    [RDB_LIST_ZIPLIST] = "list-ziplist",
    [RDB_SET_INTSET] = "set-intset",
    [RDB_ZSET_ZIPLIST] = "zset-ziplist",
    [RDB_HASH_ZIPLIST] = "hash-ziplist",
    [RDB_LIST_QUICKLIST] = "quicklist",
    [RDB_STREAM_1] = "stream",
    [RDB_HASH_LISTPACK] = "hash-listpack",
    [RDB_ZSET_LISTPACK] = "zset-listpack",
    [RDB_LIST_QUICKLIST_2] = "quicklist-v2",
    [RDB_STREAM_2] = "stream-v2",
    [RDB_SET_LISTPACK] = "set-listpack",
    [RDB_STREAM_3] = "stream-v3",
    [RDB_HASH_EXPIRING_OLD] = "hash-hashtable-md-pre-release",
    [RDB_HASH_LISTPACK_EXPIRING_OLD] = "hash-listpack-md-pre-release",
    [RDB_HASH_EXPIRING] = "hash-hashtable-md",
    [RDB_HASH_LISTPACK_EXPIRING] = "hash-listpack-md",
};

struct form_count {
    uint64_t keys, bytes, elements;
};

struct database_count {
    uint64_t number, keys, expiring;
};

struct checking {
    struct rdb_load load;
    struct form_count forms[RDB_FORM_COUNT];
    struct database_count databases[DATABASES_SHOWN];
    size_t database_count;
    struct database_count *database;
    uint64_t expiring, module_aux, before; /* where the key at hand begins */
    struct buffer largest;
    uint64_t largest_bytes;
    uint8_t largest_form;
};

/* ---- what the loader shows ---- */

static void see_aux(void *context, struct bytes name, struct bytes value) {
    struct checking *checking = context;
    struct buffer line = {0};
    say_append_bytes(&line, name, SHOWN_MAX);
    buffer_append_text(&line, " = '");
    say_append_bytes(&line, value, SHOWN_MAX);
    say("[offset %" PRIu64 "] AUX FIELD %.*s'\n", rdb_load_offset(&checking->load), (int)line.size,
        line.data);
    buffer_release(&line);
}

/* The counts of a database; beyond a bound all others are counted together. */
static struct database_count *count_of(struct checking *checking, uint64_t number) {
    size_t count = checking->database_count;
    for (size_t i = 0; i < count; i++)
        if (checking->databases[i].number == number) return &checking->databases[i];
    if (count == DATABASES_SHOWN) return &checking->databases[count - 1];
    checking->databases[count].number = number;
    checking->database_count++;
    return &checking->databases[count];
}

static void see_database(void *context, uint64_t number) {
    struct checking *checking = context;
    say("[offset %" PRIu64 "] Selecting DB ID %" PRIu64 "\n", rdb_load_offset(&checking->load),
        number);
    checking->database = count_of(checking, number);
}

static void see_module_aux(void *context) {
    struct checking *checking = context;
    say("[offset %" PRIu64 "] MODULE AUX data, which is passed over\n",
        rdb_load_offset(&checking->load));
    checking->module_aux++;
}

static void see_key(void *context, const struct rdb_load *load, uint8_t form,
                    const struct rdb_value *value) {
    struct checking *checking = context;
    struct form_count *count = &checking->forms[form];
    uint64_t bytes = rdb_load_offset(load) - load->good;
    bool is_collection = value && value->is_object;
    count->keys++;
    count->bytes += bytes;
    count->elements += is_collection ? object_count(&value->room.object) : 1;
    if (!checking->database) checking->database = count_of(checking, 0);
    checking->database->keys++;
    if (load->expiry != ENTRY_NO_EXPIRY) {
        checking->expiring++;
        checking->database->expiring++;
    }
    if (bytes <= checking->largest_bytes) return;
    checking->largest_bytes = bytes;
    checking->largest_form = form;
    buffer_clear(&checking->largest);
    say_append_bytes(&checking->largest, buffer_bytes(&load->key), SHOWN_MAX);
}

/* ---- what is said at the end ---- */

static void say_counts(const struct checking *checking) {
    say("[info] %" PRIu64 " keys read\n[info] %" PRIu64 " expires\n[info] %" PRIu64
        " already expired\n",
        checking->load.keys, checking->expiring, checking->load.expired);
}

static void say_contents(const struct checking *checking) {
    const struct rdb_load *load = &checking->load;
    say("[info] RDB version %u, %" PRIu64 " bytes\n", load->version, rdb_load_offset(load));
    for (size_t i = 0; i < checking->database_count; i++) {
        const struct database_count *database = &checking->databases[i];
        say("[info] %s%" PRIu64 ": %" PRIu64 " keys, %" PRIu64 " with an expiry\n",
            i + 1 == DATABASES_SHOWN ? "databases from " : "db", database->number, database->keys,
            database->expiring);
    }
    for (int form = 0; form < RDB_FORM_COUNT; form++) {
        const struct form_count *count = &checking->forms[form];
        if (count->keys > 0)
            say("[info] %s: %" PRIu64 " keys, %" PRIu64 " elements, %" PRIu64 " bytes\n",
                form_names[form], count->keys, count->elements, count->bytes);
    }
    if (checking->largest_bytes > 0)
        say("[info] largest: '%.*s' (%s), %" PRIu64 " bytes\n", (int)checking->largest.size,
            checking->largest.data, form_names[checking->largest_form], checking->largest_bytes);
    if (load->libraries > 0) say("[info] %" PRIu64 " function libraries\n", load->libraries);
    if (checking->module_aux > 0)
        say("[info] data of modules beside the keys: %" PRIu64 "\n", checking->module_aux);
    if (checking->forms[RDB_MODULE_2].keys > 0)
        say("[info] values of modules: %" PRIu64
            "; a start refuses this file, as there are no modules here\n",
            checking->forms[RDB_MODULE_2].keys);
}

static const char *what_was_done(const struct rdb_load *load) {
    if (load->failure == RDB_LOAD_BAD_CHECKSUM) return "check-sum";
    if (load->failure != RDB_LOAD_MALFORMED || load->version == 0) return "start";
    return load->key.size > 0 ? "read-object-value" : "read-type";
}

static void say_error(const struct rdb_load *load) {
    uint64_t offset = rdb_load_offset(load);
    say("--- RDB ERROR DETECTED ---\n");
    switch (load->failure) {
    case RDB_LOAD_NO_RDB:
        say("[offset %" PRIu64 "] Wrong signature trying to load DB from file\n", offset);
        break;
    case RDB_LOAD_TOO_NEW:
        say("[offset %" PRIu64 "] Can't handle RDB format version %d\n", offset,
            (int)strtol(load->error, NULL, 10));
        break;
    case RDB_LOAD_BAD_CHECKSUM:
        say("[offset %" PRIu64 "] RDB CRC error\n[additional info] %s\n", offset, load->error);
        break;
    case RDB_LOAD_UNREADABLE:
        say("[offset %" PRIu64 "] Cannot read the file: %s\n", offset, load->error);
        break;
    case RDB_LOAD_MALFORMED:
    case RDB_LOAD_GOOD: {
        bool is_short = strstr(load->error, "too early") || strstr(load->error, "too short");
        say("[offset %" PRIu64 "] %s%s\n", offset,
            is_short ? "Unexpected EOF reading RDB file: " : "", load->error);
        break;
    }
    }
    say("[additional info] While doing: %s\n", what_was_done(load));
    if (load->key.size > 0) {
        struct buffer key = {0};
        say_append_bytes(&key, buffer_bytes(&load->key), SHOWN_MAX);
        say("[additional info] Reading key '%.*s'\n", (int)key.size, key.data);
        buffer_release(&key);
        const char *name = load->form < RDB_FORM_COUNT ? form_names[load->form] : NULL;
        say("[additional info] Reading type %u (%s)\n", load->form, name ? name : "unknown");
    }
}

static void say_damage(const struct rdb_load *load) {
    if (load->failure != RDB_LOAD_MALFORMED || load->version == 0) return;
    say("[info] sound up to offset %" PRIu64 " of %" PRIu64 ": a repair would keep %" PRIu64
        " keys and drop the last %" PRIu64 " bytes\n",
        load->good, load->size, load->keys, load->size - load->good);
}

/* ---- the whole ---- */

static enum rdb_load_state look_through(struct checking *checking, struct io *io, const char *path,
                                        const struct rdb_load_options *options) {
    struct progress progress;
    enum rdb_load_state state = RDB_LOAD_FAILED;
    if (!rdb_load_begin(&checking->load, options, path)) return state;
    progress_begin(&progress, io, path, checking->load.size);
    do {
        state = rdb_load_step(&checking->load, STEP);
        progress_step(&progress, rdb_load_offset(&checking->load));
    } while (state == RDB_LOAD_MORE);
    progress_end(&progress);
    return state;
}

static void say_sound(const struct rdb_load *load) {
    enum { CHECKSUM_SINCE = 5 };
    uint64_t offset = rdb_load_offset(load);
    if (load->version >= CHECKSUM_SINCE && load->file_crc == 0)
        say("[offset %" PRIu64 "] RDB file was saved with checksum disabled: no check performed.\n",
            offset);
    else if (load->version >= CHECKSUM_SINCE)
        say("[offset %" PRIu64 "] Checksum OK\n", offset);
    say("[offset %" PRIu64 "] \\o/ RDB looks OK! \\o/\n", offset);
}

static void conclude(struct checking *checking, enum rdb_load_state state,
                     struct check_rdb *result) {
    const struct rdb_load *load = &checking->load;
    *result =
        (struct check_rdb){.is_sound = state == RDB_LOAD_DONE,
                           .is_malformed = load->failure == RDB_LOAD_MALFORMED && load->version > 0,
                           .is_checksum = load->failure == RDB_LOAD_BAD_CHECKSUM,
                           .size = load->size,
                           .end = rdb_load_offset(load),
                           .good = load->good,
                           .keys = load->keys,
                           .version = load->version};
    if (state == RDB_LOAD_DONE)
        say_sound(load);
    else
        say_error(load);
    say_counts(checking);
    if (load->version > 0) say_contents(checking);
    if (state != RDB_LOAD_DONE) say_damage(load);
}

void check_rdb_file(struct io *io, const char *path, const char *shown, struct check_rdb *result) {
    static const struct rdb_limits limits = {
        .list = {-2}, .set = {512, 128, 64}, .hash = {512, 64}, .sorted_set = {128, 64}};
    struct hash_secret secret;
    struct keyspace keyspace;
    struct checking *checking = memory_alloc_zeroed(1, sizeof *checking);
    struct rdb_load_watch watch = {.context = checking,
                                   .aux = see_aux,
                                   .database = see_database,
                                   .module_aux = see_module_aux,
                                   .key = see_key};
    io_entropy(io, &secret, sizeof secret);
    keyspace_init(&keyspace, 1, &secret);
    struct rdb_load_options options = {.io = io,
                                       .keyspace = &keyspace,
                                       .limits = &limits,
                                       .watch = &watch,
                                       .now_ms = io_wall_us(io) / 1000,
                                       .checksums = true};
    say("[offset 0] Checking RDB file %s\n", shown);
    conclude(checking, look_through(checking, io, path, &options), result);
    rdb_load_end(&checking->load);
    keyspace_release(&keyspace);
    buffer_release(&checking->largest);
    memory_free(checking);
}

/* ---- repair ---- */

/* CRC-64 of the file's first `size` bytes. */
static int sum_file(struct io *io, const char *path, uint64_t size, uint64_t *crc) {
    struct buffer piece = {0};
    io_file file = io->operations->open(io, path, IO_READ, 0);
    if (file < 0) return file;
    char *room = buffer_reserve(&piece, STEP);
    int result = 0;
    *crc = 0;
    for (uint64_t at = 0; result == 0 && at < size;) {
        size_t wanted = size - at < STEP ? (size_t)(size - at) : STEP;
        int64_t got = io->operations->read_at(io, file, room, wanted, at);
        if (got <= 0) result = got < 0 ? (int)got : -EIO;
        if (got > 0) *crc = crc64(*crc, bytes_make(room, (size_t)got));
        if (got > 0) at += (uint64_t)got;
    }
    io->operations->close(io, file);
    buffer_release(&piece);
    return result;
}

/* The end that a file has: the opcode, and the checksum of all before. */
static int write_end(struct io *io, const char *path, const struct check_rdb *result) {
    enum { CHECKSUM_SINCE = 5, END_SIZE = 9 };
    char end[END_SIZE] = {(char)RDB_END};
    uint64_t crc;
    int error = sum_file(io, path, result->good, &crc);
    if (error < 0) return error;
    crc = crc64(crc, bytes_make(end, 1));
    for (int i = 1; i < END_SIZE; i++, crc >>= 8)
        end[i] = (char)(crc & 0xff);
    size_t size = result->version >= CHECKSUM_SINCE ? END_SIZE : 1;
    error = files_truncate(io, path, result->good);
    io_file file = error < 0 ? error : io->operations->open(io, path, IO_WRITE | IO_APPEND, 0);
    if (file < 0) return file;
    int64_t written = io->operations->write(io, file, end, size);
    error = written == (int64_t)size ? io->operations->sync(io, file, false) : -EIO;
    io->operations->close(io, file);
    return error;
}

bool check_rdb_fix(struct io *io, const char *path, const struct check_rdb *result, bool is_sure) {
    struct buffer kept = {0};
    if (!result->is_malformed && !result->is_checksum) {
        say("There is nothing to repair in %s: it is no RDB file that can be read.\n", path);
        return false;
    }
    say(result->is_checksum ? "This will give %s a checksum of what it has (%" PRIu64
                              " bytes); whatever was changed in it stays so: %" PRIu64
                              " bytes dropped, %" PRIu64 " keys kept\n"
                            : "This will shrink the RDB file %s to %" PRIu64 " bytes: %" PRIu64
                              " bytes dropped, %" PRIu64 " keys kept\n",
        path, result->good, result->size - result->good, result->keys);
    if (!is_sure && !say_and_confirm()) {
        say("Aborting...\n");
        return false;
    }
    int error = files_keep(io, path, &kept);
    if (error == 0) say("The original is kept as %s\n", kept.data);
    if (error == 0) error = write_end(io, path, result);
    if (error < 0)
        say("Failed to repair %s: %s\n", path, strerror(-error));
    else
        say("Successfully repaired %s\n", path);
    buffer_release(&kept);
    return error == 0;
}
