/* reading.c: see reading.h. The order is Redis's: the file, standard input, the options; what comes
 * later wins, and faults give the line's number in all of that. */
#include "server/reading.h"
#include "engine/config_file.h"
#include "engine/config_store.h"
#include "io/files.h"
#include "io/process.h"

/* ---- how the configuration reaches other files ---- */

static int reader_read(void *context, const char *path, struct buffer *out) {
    return io_read_file(context, path, CONFIG_FILE_MAX, out);
}

static int reader_enter(void *context, const char *path) {
    struct io *io = context;
    return io->operations->change_directory(io, path);
}

struct expansion {
    bool (*each)(void *context, const char *path);
    void *context;
    bool stopped;
};

static void expansion_each(void *context, const char *path) {
    struct expansion *expansion = context;
    if (!expansion->stopped) expansion->stopped = !expansion->each(expansion->context, path);
}

static void reader_expand(void *context, const char *pattern,
                          bool (*each)(void *each_context, const char *path), void *each_context) {
    (void)context;
    struct expansion expansion = {.each = each, .context = each_context};
    process_expand_paths(pattern, expansion_each, &expansion);
}

/* ---- the text ---- */

/* "relative" below the present folder; with a zero behind it. */
static void append_absolute(struct io *io, struct buffer *out, struct bytes path) {
    char folder[4096];
    bool is_relative = path.data[0] != '/';
    if (is_relative && io->operations->directory(io, folder, sizeof(folder)) == 0)
        buffer_append_format(out, "%s/", strcmp(folder, "/") == 0 ? "" : folder);
    buffer_append(out, path.data, path.size);
    buffer_append_byte(out, 0);
}

static bool append_file(struct io *io, struct config *config, struct bytes path,
                        struct buffer *text, struct log *log) {
    struct buffer absolute = {0};
    append_absolute(io, &absolute, path);
    int result = io_read_file(io, absolute.data, CONFIG_FILE_MAX, text);
    if (result == 0)
        config_set_file(config, bytes_from_text(absolute.data));
    else
        log_warning(log, "Fatal error, can't open config file '%s': %s", absolute.data,
                    strerror(-result));
    buffer_release(&absolute);
    return result == 0;
}

static bool append_input(struct buffer *text, struct log *log) {
    log_warning(log, "Reading config from stdin");
    int result = process_read_standard_input(text, CONFIG_FILE_MAX);
    if (result < 0)
        log_warning(log, "Fatal error, can't read the config from stdin: %s", strerror(-result));
    return result == 0;
}

static bool load(struct io *io, struct config *config, struct bytes text, struct log *log) {
    const struct config_reader reader = {
        .context = io, .read = reader_read, .expand = reader_expand, .enter = reader_enter};
    struct config_fault fault = {0};
    struct buffer said = {0};
    bool loaded = config_load(config, text, &reader, &fault);
    if (!loaded) {
        config_fault_describe(&fault, &said);
        if (fault.is_line)
            process_write_standard_error(buffer_bytes(&said));
        else
            log_warning(log, "%.*s", (int)said.size, said.data);
    }
    buffer_release(&said);
    config_fault_release(&fault);
    return loaded;
}

bool reading_load(struct io *io, struct config *config, const struct options *options,
                  struct log *log) {
    struct buffer text = {0};
    bool loaded = options->file.size == 0 || append_file(io, config, options->file, &text, log);
    if (loaded && options->reads_input) loaded = append_input(&text, log);
    if (loaded && options->lines.size > 0) {
        buffer_append_byte(&text, '\n');
        buffer_append(&text, options->lines.data, options->lines.size);
    }
    if (loaded) loaded = load(io, config, buffer_bytes(&text), log);
    buffer_release(&text);
    return loaded;
}
