/* config_file.c: see config_file.h. Reads; rewriting is in config_rewrite.c. Must never open a file
 * itself. */
#include "engine/config_file.h"
#include "base/memory.h"
#include "engine/config_kind.h"
#include "engine/version.h"
#include "resp/request.h"
#include <errno.h>
#include <inttypes.h>

struct load {
    struct config *config;
    const struct config_reader *reader;
    struct config_fault *fault;
    struct request_arena arena;
    bool seen[CONFIG_COUNT]; /* by this load: for what accumulates */
    uint32_t depth;
};

static bool is_blank(char c) {
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

struct bytes config_line_trim(struct bytes line) {
    while (line.size > 0 && is_blank(line.data[0])) {
        line.data++;
        line.size--;
    }
    while (line.size > 0 && is_blank(line.data[line.size - 1]))
        line.size--;
    return line;
}

struct bytes config_line_next(struct bytes *text) {
    const char *newline = text->size > 0 ? memchr(text->data, '\n', text->size) : NULL;
    size_t size = newline == NULL ? text->size : (size_t)(newline - text->data);
    struct bytes line = bytes_make(text->data, size);
    size_t skipped = newline == NULL ? size : size + 1;
    text->data += skipped;
    text->size -= skipped;
    return line;
}

/* ---- faults ---- */

void config_fault_release(struct config_fault *fault) {
    buffer_release(&fault->text);
}

/* May what stands behind this word be a secret? So it may behind one that nobody knows, if that
 * looks like "requirepass" or "masterauth" written wrong. */
static bool may_be_secret(struct bytes name) {
    static const struct bytes hints[] = {{"pas", 3}, {"aut", 3}, {"user", 4}};
    const struct config_directive *directive = config_find(name);
    if (directive) return directive->flags & SENSITIVE || bytes_is(name, "user");
    for (size_t i = 0; i < sizeof hints / sizeof hints[0]; i++)
        for (size_t at = 0; at + hints[i].size <= name.size; at++)
            if (bytes_equal_ignore_case(bytes_make(name.data + at, hints[i].size), hints[i]))
                return true;
    return false;
}

static void append_line(struct buffer *out, struct bytes line) {
    size_t size = 0;
    while (size < line.size && !is_blank(line.data[size]))
        size++;
    bool hides = size < line.size && may_be_secret(bytes_make(line.data, size));
    buffer_append(out, line.data, hides ? size : line.size);
    if (hides) buffer_append_text(out, " (redacted)");
}

void config_fault_describe(const struct config_fault *fault, struct buffer *out) {
    if (!fault->is_line) {
        buffer_append_text(out, "Fatal error, can't open config file '");
        buffer_append(out, fault->text.data, fault->text.size);
        buffer_append_format(out, "': %s", fault->reason);
        return;
    }
    buffer_append_text(out, "\n*** FATAL CONFIG FILE ERROR (Redis " REDIS_VERSION ") ***\n");
    buffer_append_format(out, "Reading the configuration file, at line %" PRIu64 "\n>>> '",
                         fault->line);
    append_line(out, config_line_trim(buffer_bytes(&fault->text)));
    buffer_append_format(out, "'\n%s\n", fault->reason);
}

static bool fault_file(struct load *load, struct bytes path, int error) {
    struct config_fault *fault = load->fault;
    fault->is_line = false;
    buffer_clear(&fault->text);
    buffer_append(&fault->text, path.data, path.size);
    return config_refuse(fault->reason, "%s", strerror(-error));
}

/* ---- include ---- */

static bool load_text(struct load *load, struct bytes text);

static bool load_file(void *context, const char *path) {
    struct load *load = context;
    struct buffer text = {0};
    int result = load->reader->read(load->reader->context, path, &text);
    bool loaded = result < 0 ? fault_file(load, bytes_from_text(path), result)
                             : load_text(load, buffer_bytes(&text));
    buffer_release(&text);
    return loaded;
}

struct include {
    struct load *load;
    bool failed;
};

static bool include_each(void *context, const char *path) {
    struct include *include = context;
    include->failed = !load_file(include->load, path);
    return !include->failed;
}

static bool has_wildcard(struct bytes path) {
    for (size_t i = 0; i < path.size; i++)
        if (strchr("*?[", path.data[i]) != NULL) return true;
    return false;
}

/* The words were kept in the config; one that ends in zero. */
static bool include(struct load *load, const struct config_list *words) {
    if (words->count != 1) return config_refuse(load->fault->reason, "wrong number of arguments");
    if (load->depth >= CONFIG_INCLUDE_DEPTH_MAX)
        return config_refuse(load->fault->reason, "Files include each other more than %d deep",
                             CONFIG_INCLUDE_DEPTH_MAX);
    struct bytes path = words->items[0];
    if (memchr(path.data, 0, path.size + 1) != path.data + path.size)
        return config_refuse(load->fault->reason, "A path cannot contain a zero byte");
    bool loaded;
    load->depth++;
    if (has_wildcard(path)) {
        struct include state = {.load = load};
        load->reader->expand(load->reader->context, path.data, include_each, &state);
        loaded = !state.failed;
    } else {
        loaded = load_file(load, path.data);
    }
    load->depth--;
    return loaded;
}

/* ---- lines ---- */

/* dir holds from its line on: the includes behind it are relative to it, as in Redis. */
static bool enter(struct load *load, struct bytes path) {
    int result = load->reader->enter(load->reader->context, path.data);
    return result == 0 || config_refuse(load->fault->reason, "%s", strerror(-result));
}

static bool parse_value(struct load *load, const struct config_directive *d,
                        const struct bytes *words, size_t count, union config_value *value) {
    return config_value_parse(d, words, count, config_field(load->config, d),
                              load->seen[d - config_directives], value, load->fault->reason);
}

/* A value of several words may be given as one: this is then cut like a line, as in Redis. */
static bool parse_single_word(struct load *load, const struct config_directive *d,
                              struct bytes word, union config_value *value) {
    char *scratch = memory_alloc(word.size + 1);
    struct bytes *pieces, nothing = BYTES("");
    int64_t count = request_split_line(word, scratch, &load->arena, &pieces);
    bool parsed;
    if (count < 0) {
        memset(value, 0, sizeof *value);
        parsed = config_refuse(load->fault->reason, "Unbalanced quotes in configuration line");
    } else {
        parsed = parse_value(load, d, count > 0 ? pieces : &nothing, count > 0 ? (size_t)count : 1,
                             value);
    }
    memory_free(scratch);
    return parsed;
}

static bool load_directive(struct load *load, const struct config_directive *d,
                           const struct bytes *words, size_t count) {
    size_t index = (size_t)(d - config_directives);
    void *field = config_field(load->config, d);
    union config_value value;
    bool is_cut = count == 1 && d->kind->splits && words[0].size > 0;
    bool parsed = is_cut ? parse_single_word(load, d, words[0], &value)
                         : parse_value(load, d, words, count, &value);
    if (!parsed) {
        config_value_release(d, &value);
        return false;
    }
    config_value_release(d, field);
    memcpy(field, &value, d->kind->size);
    if (index == CONFIG_dir && !enter(load, load->config->dir)) return false;
    load->seen[index] = true;
    load->config->given[index] = true;
    if (index != CONFIG_include) return true;
    const struct config_statements *includes = &load->config->include;
    return include(load, &includes->items[includes->count - 1]);
}

static bool load_line(struct load *load, struct bytes line) {
    char *scratch = memory_alloc(line.size + 1);
    struct bytes *words;
    request_arena_reset(&load->arena);
    int64_t count = request_split_line(line, scratch, &load->arena, &words);
    bool loaded = true;
    if (count < 0) {
        loaded = config_refuse(load->fault->reason, "Unbalanced quotes in configuration line");
    } else if (count > 0) {
        const struct config_directive *d = config_find(words[0]);
        loaded = d != NULL ? load_directive(load, d, words + 1, (size_t)count - 1)
                           : config_refuse(load->fault->reason,
                                           "Bad directive or wrong number of arguments");
    }
    memory_free(scratch);
    return loaded;
}

static bool load_text(struct load *load, struct bytes text) {
    for (uint64_t number = 1; text.size > 0; number++) {
        struct bytes line = config_line_trim(config_line_next(&text));
        if (line.size == 0 || line.data[0] == '#') continue;
        load->fault->is_line = true;
        load->fault->line = 0;
        if (load_line(load, line)) continue;
        if (load->fault->is_line && load->fault->line == 0) {
            load->fault->line = number; /* else an included file has already said where */
            buffer_clear(&load->fault->text);
            buffer_append(&load->fault->text, line.data, line.size);
        }
        return false;
    }
    return true;
}

bool config_load(struct config *config, struct bytes text, const struct config_reader *reader,
                 struct config_fault *fault) {
    struct load load = {.config = config, .reader = reader, .fault = fault};
    bool loaded = load_text(&load, text);
    request_arena_release(&load.arena);
    return loaded;
}

/* ---- command lines ---- */

static bool is_option(struct bytes word) {
    return word.size > 2 && word.data[0] == '-' && word.data[1] == '-';
}

/* A word behind an option is its value, also when it begins with --, but for --save, which may
 * stand alone and then means "", and --sentinel, which is no directive. "--name value" may be one
 * word, too. */
void config_append_options(struct buffer *out, const struct bytes *words, size_t count) {
    bool is_value = false;
    size_t start = out->size;
    for (size_t i = 0; i < count; i++) {
        if (!is_option(words[i]) || is_value) {
            buffer_append_byte(out, ' ');
            config_append_quoted(out, words[i]);
            is_value = false;
            continue;
        }
        bool is_alone = i + 1 == count || is_option(words[i + 1]);
        if (out->size > start) buffer_append_byte(out, '\n');
        if (bytes_is(words[i], "--sentinel") && is_alone) continue;
        buffer_append(out, words[i].data + 2, words[i].size - 2);
        if (bytes_is(words[i], "--save") && is_alone)
            buffer_append_text(out, " \"\"");
        else
            is_value = memchr(words[i].data, ' ', words[i].size) == NULL;
    }
    buffer_append_byte(out, '\n');
}
