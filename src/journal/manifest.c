/* manifest.c: the list of files: text to list, list to text, and its few changes. Touches no file.
 */
#include "journal/manifest.h"

#include "base/memory.h"
#include "base/number.h"
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

void manifest_release(struct manifest *manifest) {
    for (size_t i = 0; i < manifest->count; i++)
        memory_free(manifest->files[i].name);
    memory_free(manifest->files);
    *manifest = (struct manifest){0};
}

/* Behind all files whose kind comes before or is the same. */
static struct manifest_file *add(struct manifest *manifest, const struct manifest_file *file) {
    if (manifest->count == manifest->capacity) {
        manifest->capacity = manifest->capacity ? manifest->capacity * 2 : 8;
        manifest->files =
            memory_resize(manifest->files, manifest->capacity * sizeof *manifest->files);
    }
    static const char order[] = {MANIFEST_BASE, MANIFEST_INCREMENT, MANIFEST_HISTORY};
    const char *kind = memchr(order, file->type, sizeof order);
    size_t at = manifest->count;
    while (at > 0 && (const char *)memchr(order, manifest->files[at - 1].type, sizeof order) > kind)
        at--;
    memmove(&manifest->files[at + 1], &manifest->files[at],
            (manifest->count - at) * sizeof *manifest->files);
    manifest->files[at] = *file;
    manifest->count++;
    return &manifest->files[at];
}

/* ---- text to list ---- */

/* The next word of a line: plain, or in double quotes with \" \\ \xHH and the like. */
static bool take_word(struct bytes *line, char *out, size_t out_size, size_t *size) {
    const char *at = line->data, *end = line->data + line->size;
    while (at < end && *at == ' ')
        at++;
    *size = 0;
    if (at == end) return false;
    bool quoted = *at == '"';
    if (quoted) at++;
    for (; at < end && (quoted ? *at != '"' : *at != ' '); at++) {
        char byte = *at;
        if (quoted && byte == '\\' && at + 1 < end) {
            byte = *++at;
            if (byte == 'n') byte = '\n';
            if (byte == 'r') byte = '\r';
            if (byte == 't') byte = '\t';
            if (byte == 'x' && end - at > 2) {
                char digits[3] = {at[1], at[2], 0};
                byte = (char)strtol(digits, NULL, 16);
                at += 2;
            }
        }
        if (*size + 1 >= out_size) return false;
        out[(*size)++] = byte;
    }
    if (quoted && at == end) return false;
    if (quoted) at++;
    out[*size] = 0;
    *line = bytes_make(at, (size_t)(end - at));
    return true;
}

/* A name without a folder, that stays in its own. */
static bool is_plain_name(const char *name, size_t size) {
    return size > 0 && strlen(name) == size && !strchr(name, '/') && strcmp(name, ".") != 0 &&
           strcmp(name, "..") != 0;
}

struct line {
    struct manifest_file file;
    char name[MANIFEST_NAME_MAX + 1];
    bool has_name, has_sequence, has_type;
};

static bool set_pair(struct line *line, struct bytes key, const char *value, size_t size) {
    struct bytes text = bytes_make(value, size);
    if (bytes_is(key, "file")) {
        if (!is_plain_name(value, size) || size > MANIFEST_NAME_MAX) return false;
        memcpy(line->name, value, size + 1);
        line->has_name = true;
    } else if (bytes_is(key, "seq")) {
        line->has_sequence = number_parse_u64(text, &line->file.sequence);
        return line->has_sequence && line->file.sequence <= INT64_MAX;
    } else if (bytes_is(key, "type")) {
        line->has_type = size == 1 && strchr("bih", value[0]) != NULL;
        if (line->has_type) line->file.type = (enum manifest_type)value[0];
        return line->has_type;
    } else if (bytes_is(key, "startoffset")) {
        return number_parse_i64(text, &line->file.start_offset);
    } else if (bytes_is(key, "endoffset")) {
        return number_parse_i64(text, &line->file.end_offset);
    }
    return true;
}

static bool parse_line(struct bytes text, struct line *line) {
    char key[64], value[MANIFEST_NAME_MAX + 2];
    size_t key_size, value_size;
    *line = (struct line){.file = {.start_offset = -1, .end_offset = -1}};
    while (take_word(&text, key, sizeof key, &key_size)) {
        if (!take_word(&text, value, sizeof value, &value_size)) return false;
        if (!set_pair(line, bytes_make(key, key_size), value, value_size)) return false;
    }
    while (text.size > 0 && text.data[0] == ' ')
        text = bytes_make(text.data + 1, text.size - 1);
    return text.size == 0 && line->has_name && line->has_sequence && line->has_type;
}

__attribute__((format(printf, 3, 4))) static bool fail(char *error, size_t size, const char *format,
                                                       ...) {
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(error, size, format, arguments);
    va_end(arguments);
    return false;
}

static bool take_line(struct manifest *manifest, const struct line *line, size_t number,
                      char *error, size_t error_size) {
    struct manifest_file file = line->file;
    if (file.type == MANIFEST_BASE && manifest_base(manifest))
        return fail(error, error_size, "line %zu names a second base file", number);
    if (file.type == MANIFEST_INCREMENT && file.sequence <= manifest->increment_sequence)
        return fail(error, error_size, "line %zu: increments are not in order", number);
    if (manifest->count == MANIFEST_FILES_MAX)
        return fail(error, error_size, "it names more than %d files", MANIFEST_FILES_MAX);
    file.name = memory_copy(line->name, strlen(line->name));
    add(manifest, &file);
    if (file.type == MANIFEST_BASE) manifest->base_sequence = file.sequence;
    if (file.type == MANIFEST_INCREMENT) manifest->increment_sequence = file.sequence;
    return true;
}

/* A new file shall not have the name of one that is kept. */
static void count_history(struct manifest *manifest) {
    for (size_t i = 0; i < manifest->count; i++) {
        const struct manifest_file *file = &manifest->files[i];
        uint64_t *sequence =
            strstr(file->name, ".base.") ? &manifest->base_sequence : &manifest->increment_sequence;
        if (file->type == MANIFEST_HISTORY && file->sequence > *sequence)
            *sequence = file->sequence;
    }
}

bool manifest_parse(struct manifest *manifest, struct bytes text, char *error, size_t error_size) {
    size_t number = 0;
    *manifest = (struct manifest){0};
    while (text.size > 0) {
        const char *newline = memchr(text.data, '\n', text.size);
        size_t size = newline ? (size_t)(newline - text.data) : text.size;
        struct bytes one = bytes_make(text.data, size);
        struct line line;
        number++;
        text = newline ? bytes_make(newline + 1, text.size - size - 1) : bytes_make(NULL, 0);
        if (one.size > 0 && one.data[one.size - 1] == '\r') one.size--;
        if (one.size == 0 || one.data[0] == '#') continue;
        bool good = parse_line(one, &line) || fail(error, error_size, "line %zu is malformed: %.*s",
                                                   number, (int)(size < 80 ? size : 80), one.data);
        if (!good || !take_line(manifest, &line, number, error, error_size)) {
            manifest_release(manifest);
            return false;
        }
    }
    count_history(manifest);
    if (manifest->count > 0) return true;
    return fail(error, error_size, "it names no file");
}

/* ---- list to text ---- */

static void format_name(struct buffer *out, const char *name) {
    bool plain = true;
    for (const char *at = name; *at; at++)
        plain = plain && *at > ' ' && *at != '"' && *at != '\\' && *at != 127 && !(*at & 0x80);
    if (plain) {
        buffer_append_text(out, name);
        return;
    }
    buffer_append_byte(out, '"');
    for (const char *at = name; *at; at++) {
        if (*at == '"' || *at == '\\')
            buffer_append_format(out, "\\%c", *at);
        else if (*at >= ' ' && *at < 127)
            buffer_append_byte(out, *at);
        else
            buffer_append_format(out, "\\x%02x", (unsigned char)*at);
    }
    buffer_append_byte(out, '"');
}

void manifest_format(const struct manifest *manifest, struct buffer *out) {
    for (size_t i = 0; i < manifest->count; i++) {
        const struct manifest_file *file = &manifest->files[i];
        buffer_append_text(out, "file ");
        format_name(out, file->name);
        buffer_append_format(out, " seq %llu type %c", (unsigned long long)file->sequence,
                             file->type);
        if (file->start_offset >= 0)
            buffer_append_format(out, " startoffset %lld", (long long)file->start_offset);
        if (file->end_offset >= 0)
            buffer_append_format(out, " endoffset %lld", (long long)file->end_offset);
        buffer_append_byte(out, '\n');
    }
}

/* ---- changes ---- */

void manifest_copy(struct manifest *to, const struct manifest *from) {
    *to = (struct manifest){.base_sequence = from->base_sequence,
                            .increment_sequence = from->increment_sequence};
    for (size_t i = 0; i < from->count; i++) {
        struct manifest_file file = from->files[i];
        file.name = memory_copy(file.name, strlen(file.name));
        add(to, &file);
    }
}

const struct manifest_file *manifest_base(const struct manifest *manifest) {
    if (manifest->count == 0 || manifest->files[0].type != MANIFEST_BASE) return NULL;
    return &manifest->files[0];
}

static char *make_name(const char *log, uint64_t sequence, const char *suffix) {
    struct buffer name = {0};
    buffer_append_format(&name, "%s.%llu.%s", log, (unsigned long long)sequence, suffix);
    buffer_append_byte(&name, 0);
    return name.data;
}

bool manifest_pass_over(struct manifest *manifest, const char *log, const char *name) {
    static const struct {
        const char *suffix;
        bool is_base;
    } kinds[] = {{".incr.aof", false}, {".base.rdb", true}, {".base.aof", true}};
    size_t size = strlen(name), log_size = strlen(log);
    if (strncmp(name, log, log_size) != 0 || name[log_size] != '.') return false;
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        size_t begin = log_size + 1, suffix = strlen(kinds[i].suffix);
        uint64_t sequence;
        if (size < begin + suffix || strcmp(name + size - suffix, kinds[i].suffix) != 0 ||
            !number_parse_u64(bytes_make(name + begin, size - suffix - begin), &sequence) ||
            sequence > INT64_MAX)
            continue;
        uint64_t *taken =
            kinds[i].is_base ? &manifest->base_sequence : &manifest->increment_sequence;
        if (sequence > *taken) *taken = sequence;
        return true;
    }
    return false;
}

struct manifest_file *manifest_add_increment(struct manifest *manifest, const char *log,
                                             int64_t start_offset) {
    uint64_t sequence = ++manifest->increment_sequence;
    struct manifest_file file = {make_name(log, sequence, "incr.aof"), sequence, MANIFEST_INCREMENT,
                                 start_offset, -1};
    return add(manifest, &file);
}

static void make_history(struct manifest *manifest, size_t index) {
    struct manifest_file file = manifest->files[index];
    memmove(&manifest->files[index], &manifest->files[index + 1],
            (manifest->count - index - 1) * sizeof file);
    manifest->count--;
    file.type = MANIFEST_HISTORY;
    add(manifest, &file);
}

struct manifest_file *manifest_add_base(struct manifest *manifest, const char *log, bool is_rdb,
                                        uint64_t first_increment) {
    uint64_t sequence = ++manifest->base_sequence;
    int64_t start_offset = -1;
    for (size_t i = 0; i < manifest->count; i++) {
        const struct manifest_file *other = &manifest->files[i];
        if (other->type == MANIFEST_INCREMENT && other->sequence == first_increment)
            start_offset = other->start_offset;
    }
    while (manifest->count > 0) {
        const struct manifest_file *first = &manifest->files[0];
        bool is_old = first->type == MANIFEST_BASE ||
                      (first->type == MANIFEST_INCREMENT && first->sequence < first_increment);
        if (!is_old) break;
        make_history(manifest, 0);
    }
    struct manifest_file file = {make_name(log, sequence, is_rdb ? "base.rdb" : "base.aof"),
                                 sequence, MANIFEST_BASE, start_offset, -1};
    return add(manifest, &file);
}

void manifest_adopt(struct manifest *manifest, const char *name) {
    struct manifest_file file = {memory_copy(name, strlen(name)), ++manifest->base_sequence,
                                 MANIFEST_BASE, -1, -1};
    add(manifest, &file);
}

const struct manifest_file *manifest_last_increment(const struct manifest *manifest) {
    const struct manifest_file *last = NULL;
    for (size_t i = 0; i < manifest->count; i++)
        if (manifest->files[i].type == MANIFEST_INCREMENT) last = &manifest->files[i];
    return last;
}

void manifest_remove(struct manifest *manifest, size_t index) {
    memory_free(manifest->files[index].name);
    memmove(&manifest->files[index], &manifest->files[index + 1],
            (manifest->count - index - 1) * sizeof *manifest->files);
    manifest->count--;
}
