/* writer.c: writing the bytes of an RDB file. */
#include "rdb/writer.h"

#include "base/crc.h"
#include "base/prefetch.h"
#include "rdb/crc_join.h"
#include "rdb/value.h"
#include <stdio.h>

enum { COUNT_STEP = 1024 };

/* The output's sink. */
static bool write_block(void *context, struct bytes bytes) {
    struct rdb_writer *writer = context;
    const struct rdb_writer_options *options = &writer->options;
    if (options->checksums) writer->crc = crc64(writer->crc, bytes);
    writer->size += bytes.size;
    return options->write(options->context, bytes);
}

static void make_magic(struct rdb_writer *writer, unsigned version) {
    snprintf(writer->magic, sizeof writer->magic, "REDIS%04u", version);
}

void rdb_writer_open(struct rdb_writer *writer, const struct rdb_writer_options *options) {
    *writer = (struct rdb_writer){.options = *options};
    rdb_output_init(&writer->out, options->compresses);
    writer->out.write = write_block;
    writer->out.context = writer;
    make_magic(writer, RDB_VERSION_MIN);
}

void rdb_writer_close(struct rdb_writer *writer) {
    rdb_output_release(&writer->out);
}

/* ---- what stands before the keys ---- */

static void write_aux(struct rdb_output *out, const char *name, struct bytes value) {
    rdb_output_byte(out, RDB_AUX);
    rdb_output_string(out, bytes_from_text(name));
    rdb_output_string(out, value);
}

static void write_aux_number(struct rdb_output *out, const char *name, uint64_t value) {
    char text[NUMBER_I64_TEXT_MAX];
    write_aux(out, name, bytes_make(text, number_format_u64(text, value)));
}

static void write_history(struct rdb_output *out, const struct rdb_history *history) {
    if (history->id[0] == 0) return;
    write_aux_number(out, "repl-stream-db",
                     (uint64_t)(history->database < 0 ? 0 : history->database));
    write_aux(out, "repl-id", bytes_from_text(history->id));
    write_aux_number(out, "repl-offset", history->offset);
}

static void write_head(struct rdb_writer *writer) {
    const struct rdb_writer_options *options = &writer->options;
    struct rdb_output *out = &writer->out;
    write_aux(out, "redis-ver", bytes_from_text(options->redis_version));
    write_aux_number(out, "redis-bits", sizeof(void *) * 8);
    write_aux_number(out, "ctime", (uint64_t)options->now_s);
    write_aux_number(out, "used-mem", options->memory);
    write_history(out, &options->history);
    write_aux_number(out, "aof-base", options->is_aof_base);
    rdb_output_raw(out, options->libraries);
}

/* ---- keys ---- */

static void write_use(struct rdb_writer *writer, const struct entry *entry) {
    const struct rdb_writer_options *options = &writer->options;
    if (options->use == RDB_WRITER_IDLE) {
        rdb_output_byte(&writer->out, RDB_IDLE);
        rdb_output_length(&writer->out, use_idle_s(&options->policy, entry));
    } else if (options->use == RDB_WRITER_FREQUENCY) {
        rdb_output_byte(&writer->out, RDB_FREQ);
        rdb_output_byte(&writer->out, use_count(&options->policy, entry) & 255);
    }
}

static void write_entry(struct rdb_writer *writer, const struct entry *entry) {
    struct rdb_output *out = &writer->out;
    struct record_world *world = writer->options.world;
    if (entry_expiry(entry) != ENTRY_NO_EXPIRY) {
        rdb_output_byte(out, RDB_EXPIRE_MS);
        rdb_output_u64(out, (uint64_t)entry_expiry(entry));
    }
    write_use(writer, entry);
    uint8_t form = rdb_value_form(out, entry, world);
    rdb_output_byte(out, form);
    rdb_output_string(out, entry_key(entry));
    rdb_value_write(out, form, entry, world);
    rdb_output_step(out);
}

static void tell_keys(struct rdb_writer *writer) {
    if (writer->options.keys_done)
        __atomic_fetch_add(writer->options.keys_done, writer->keys, __ATOMIC_RELAXED);
    writer->keys = 0;
}

static void write_ahead(struct rdb_writer *writer) {
    for (uint32_t i = 0; i < writer->ahead_count; i++) {
        if (writer->out.failed) break;
        write_entry(writer, writer->ahead[i]);
    }
    writer->keys += writer->ahead_count;
    writer->ahead_count = 0;
    if (writer->keys >= COUNT_STEP) tell_keys(writer);
}

static void visit(void *context, const struct entry *entry) {
    struct rdb_writer *writer = context;
    memory_prefetch(entry);
    memory_prefetch((const char *)entry + 64);
    writer->ahead[writer->ahead_count++] = entry;
    if (writer->ahead_count < RDB_WRITER_AHEAD) return;
    write_ahead(writer);
    /* Of the bucket that is being visited more may come; what lies before its cursor is written. */
    if (writer->cursor > 0) view_pass(writer->options.view, writer->database, writer->cursor);
}

static void begin_database(struct rdb_writer *writer) {
    const struct view *view = writer->options.view;
    struct rdb_output *out = &writer->out;
    rdb_output_byte(out, RDB_SELECT);
    rdb_output_length(out, writer->database);
    rdb_output_byte(out, RDB_RESIZE);
    rdb_output_length(out, view_count(view, writer->database));
    rdb_output_length(out, view_expiring(view, writer->database));
    writer->cursor = 0;
    writer->in_database = true;
}

/* The next keys of the view. False: there are none any more. */
static bool write_some(struct rdb_writer *writer) {
    struct view *view = writer->options.view;
    if (writer->options.leaves_out_keys) return false;
    while (!writer->in_database) {
        if (writer->database == view_database_count(view)) return false;
        if (view_count(view, writer->database) > 0)
            begin_database(writer);
        else
            writer->database++;
    }
    writer->cursor = view_scan(view, writer->database, writer->cursor, visit, writer);
    if (writer->cursor == 0) {
        write_ahead(writer);
        view_pass(view, writer->database, 0);
        writer->in_database = false;
        writer->database++;
    }
    return true;
}

/* ---- from beginning to end ---- */

/* The checksum is over the magic, which says the version, and what was written behind it. */
static bool write_end(struct rdb_writer *writer) {
    struct rdb_output *out = &writer->out;
    rdb_output_byte(out, RDB_END);
    rdb_output_flush(out);
    tell_keys(writer);
    if (out->failed) return false;
    uint64_t crc = 0;
    if (!writer->options.is_stream) make_magic(writer, out->version);
    if (writer->options.checksums) {
        crc = crc64(0, bytes_make(writer->magic, RDB_MAGIC_SIZE));
        crc = rdb_crc_join(crc, writer->crc, writer->size);
    }
    rdb_output_u64(out, crc);
    return writer->options.write(writer->options.context, buffer_bytes(&out->buffer));
}

enum rdb_writer_state rdb_writer_step(struct rdb_writer *writer, uint64_t bytes) {
    uint64_t end = writer->size + bytes;
    if (!writer->begun) {
        struct bytes magic = bytes_make(writer->magic, RDB_MAGIC_SIZE);
        writer->begun = true;
        if (!writer->options.write(writer->options.context, magic)) return RDB_WRITER_FAILED;
        write_head(writer);
    }
    while (!writer->out.failed && writer->size < end)
        if (!write_some(writer)) return write_end(writer) ? RDB_WRITER_DONE : RDB_WRITER_FAILED;
    return writer->out.failed ? RDB_WRITER_FAILED : RDB_WRITER_MORE;
}
