/* config_example.c: the documented example file, redstart.conf, made from the table. Every line of
 * it is a comment: directives at their defaults begin with # and no blank. */
#include "engine/config_kind.h"
#include "engine/version.h"
#include <inttypes.h>

enum { COLUMNS = 100 };

/* The table's order with its headings: a heading, or a directive. */
static const struct row {
    const char *heading;
    enum config_index index;
} rows[] = {
#define SECTION(title)                {title, CONFIG_COUNT},
#define BOOLEAN(field, ...)           {NULL, CONFIG_##field},
#define INTEGER(field, ...)           {NULL, CONFIG_##field},
#define MEMORY(field, ...)            {NULL, CONFIG_##field},
#define TEXT(field, ...)              {NULL, CONFIG_##field},
#define CHOICE(field, ...)            {NULL, CONFIG_##field},
#define OTHER(kind, type, field, ...) {NULL, CONFIG_##field},
#include "engine/directives.def"
};

/* A paragraph as comment lines of COLUMNS at most. */
static void append_comment(struct buffer *out, struct bytes text) {
    size_t column = 0;
    while (text.size > 0) {
        const char *blank = memchr(text.data, ' ', text.size);
        size_t size = blank == NULL ? text.size : (size_t)(blank - text.data);
        if (column > 0 && column + 1 + size > COLUMNS) {
            buffer_append_byte(out, '\n');
            column = 0;
        }
        if (column == 0) {
            buffer_append_byte(out, '#');
            column = 1;
        }
        buffer_append_byte(out, ' ');
        buffer_append(out, text.data, size);
        column += 1 + size;
        size_t taken = blank == NULL ? size : size + 1;
        text.data += taken;
        text.size -= taken;
    }
    buffer_append_byte(out, '\n');
}

static void append_type(struct buffer *text, const struct config_directive *d) {
    buffer_append_text(text, d->kind->description);
    for (const struct config_choice *c = d->choices; c != NULL && c->word != NULL; c++)
        buffer_append_format(text, "%s%s", c == d->choices ? " " : ", ", c->word);
    bool is_integer = d->kind == &config_kind_integer;
    if (is_integer && d->unit[0] != 0) buffer_append_format(text, ", %s", d->unit);
    if (is_integer && d->max < INT32_MAX)
        buffer_append_format(text, ", %" PRId64 " to %" PRIu64, d->min, d->max);
    else if ((is_integer || d->kind == &config_kind_memory) && d->min != 0 && d->min > INT32_MIN)
        buffer_append_format(text, ", at least %" PRId64, d->min);
    if (d->flags & IMMUTABLE) buffer_append_text(text, "; fixed at the start");
}

static void append_directive(struct buffer *out, const struct config_directive *d) {
    struct buffer text = {0};
    buffer_append_format(&text, "%s (", d->sentence);
    append_type(&text, d);
    buffer_append_text(&text, ")");
    if (d->alias != NULL) buffer_append_format(&text, " Also called %s.", d->alias);
    if (d->state == CONFIG_LATER)
        buffer_append_text(&text, " Accepted; not part of this version yet.");
    if (d->state == CONFIG_POINTLESS)
        buffer_append_format(&text, " Accepted and without effect: %s.", d->reason);
    append_comment(out, buffer_bytes(&text));
    buffer_release(&text);

    struct bytes standard = bytes_from_text(d->standard);
    if (d->kind->base == CONFIG_ADDS && standard.size == 0) {
        buffer_append_byte(out, '\n');
        return;
    }
    buffer_append_format(out, "#%s ", d->name);
    if (d->kind->quoted || standard.size == 0)
        config_append_quoted(out, standard);
    else
        buffer_append(out, standard.data, standard.size);
    buffer_append_text(out, "\n\n");
}

void config_write_example(struct buffer *out) {
    append_comment(out, BYTES("Configuration of Redstart " REDSTART_VERSION
                              ", every directive with its default."));
    buffer_append_text(out, "#\n");
    append_comment(
        out,
        BYTES("Start with it as `redstart server redstart.conf`. To change something, take away "
              "the # in front of the directive. Words with blanks stand in \"quotes\", with "
              "\\n, \\\" and \\x41 in them, or in 'single ones'. Memory is given in bytes or as "
              "1k (1000), 1kb (1024), 1m, 1mb, 1g, 1gb. What is not fixed at the start can be "
              "changed while running, by CONFIG SET, and kept by CONFIG REWRITE."));
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (rows[i].heading != NULL) {
            buffer_append_format(out, "\n# ---- %s ----\n\n", rows[i].heading);
            continue;
        }
        const struct config_directive *d = &config_directives[rows[i].index];
        if (!(d->flags & HIDDEN) && d->kind != &config_kind_ignored) append_directive(out, d);
    }
}
