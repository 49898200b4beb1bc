/* config_kind.h: the types of value that directives have. For the files of the configuration alone.
 */
#ifndef REDSTART_ENGINE_CONFIG_KIND_H
#define REDSTART_ENGINE_CONFIG_KIND_H

#include "engine/config.h"

/* Room for a value of any kind. */
union config_value {
    bool boolean;
    int64_t integer;
    uint64_t memory;
    int choice;
    struct bytes text;
    struct config_list list;
    struct config_statements statements;
    struct config_save save;
    struct config_output_limits output_limits;
    struct config_percent percent;
    struct config_replicaof replicaof;
    struct config_oom_values oom_values;
    struct config_percentiles percentiles;
};

/* What a value read from a file begins with. */
enum config_base {
    CONFIG_REPLACES,    /* nothing: the last line wins */
    CONFIG_ACCUMULATES, /* the lines before it in the same files; the default is dropped */
    CONFIG_ADDS,        /* always what is there */
};

struct config_kind {
    const char *description; /* "yes or no" */
    size_t size;
    size_t words_min, words_max; /* in a file */
    bool splits;                 /* a single word is split at blanks; in a file like a line */
    bool quoted;                 /* written between double quotes */
    enum config_base base;
    /* Read words into *value, which holds the base (zeroed, or a copy of the present value) and is
     * the caller's to release in any case. False with a reason. */
    bool (*parse)(const struct config_directive *directive, const struct bytes *words, size_t count,
                  void *value, char *error);
    void (*format)(const struct config_directive *directive, const void *value, struct buffer *out);
    bool (*equal)(const void *a, const void *b);
    /* NULL: plain bytes. */
    void (*copy)(const void *value, void *copy);
    void (*release)(void *value);
    /* Whole lines for the file; NULL: one, name and value. */
    void (*write)(const struct config_directive *directive, const void *value, struct buffer *out);
};

extern const struct config_kind config_kind_boolean, config_kind_integer, config_kind_memory,
    config_kind_text, config_kind_choice, config_kind_flags, config_kind_filename,
    config_kind_hostname, config_kind_title, config_kind_octal, config_kind_hz,
    config_kind_watchdog, config_kind_backlog, config_kind_percent, config_kind_addresses,
    config_kind_save, config_kind_output_limits, config_kind_replicaof, config_kind_oom_values,
    config_kind_percentiles, config_kind_events, config_kind_statements, config_kind_renames,
    config_kind_ignored;

/* A text of one's own, with a zero behind it. */
struct bytes config_text_copy(struct bytes text);
void config_text_release(struct bytes *text);
/* In the largest unit that divides it. */
void config_append_memory(struct buffer *out, uint64_t bytes);
/* "text" with escapes, as the reader of files takes them. */
void config_append_quoted(struct buffer *out, struct bytes text);
__attribute__((format(printf, 2, 3))) bool config_refuse(char *error, const char *format, ...);

static inline void *config_field(struct config *config, const struct config_directive *directive) {
    return (char *)config + directive->offset;
}
static inline const void *config_field_const(const struct config *config,
                                             const struct config_directive *directive) {
    return (const char *)config + directive->offset;
}

void config_value_copy(const struct config_directive *directive, const void *value, void *copy);
void config_value_release(const struct config_directive *directive, void *value);
/* Read the words of a file's line or of CONFIG SET, checking their number. `present` is the value
 * there is; `repeated`: an earlier line of the same files gave one. */
bool config_value_parse(const struct config_directive *directive, const struct bytes *words,
                        size_t count, const void *present, bool repeated, void *value, char *error);
/* Without blanks at either end. */
struct bytes config_line_trim(struct bytes line);
/* The text's first line, without its newline, which is taken off. */
struct bytes config_line_next(struct bytes *text);
/* The lines that give this value in a file. */
void config_value_write(const struct config_directive *directive, const void *value,
                        struct buffer *out);

#endif
