/* config_kind_compound.c: the types of value of directives that have structure: lists, save points,
 * limits of classes of clients, a primary's address; and what is common to reading and writing all
 * types. */
#include "base/invariant.h"
#include "base/memory.h"
#include "base/number.h"
#include "engine/config_kind.h"
#include <inttypes.h>
#include <stdio.h>

enum { OOM_MIN = -2000, OOM_MAX = 2000, PERCENTILE_TEXT_MAX = 64 };

/* ---- lists of words ---- */

static void list_add(struct config_list *list, struct bytes word) {
    list->items = memory_resize(list->items, (list->count + 1) * sizeof(list->items[0]));
    list->items[list->count++] = config_text_copy(word);
}

static void list_release(void *value) {
    struct config_list *list = value;
    for (size_t i = 0; i < list->count; i++)
        config_text_release(&list->items[i]);
    memory_free(list->items);
    *list = (struct config_list){0};
}

static void list_copy(const void *value, void *copy) {
    const struct config_list *list = value;
    *(struct config_list *)copy = (struct config_list){0};
    for (size_t i = 0; i < list->count; i++)
        list_add(copy, list->items[i]);
}

static bool list_equal(const void *a, const void *b) {
    const struct config_list *left = a, *right = b;
    if (left->count != right->count) return false;
    for (size_t i = 0; i < left->count; i++)
        if (!bytes_equal(left->items[i], right->items[i])) return false;
    return true;
}

static void list_format(const struct config_directive *directive, const void *value,
                        struct buffer *out) {
    (void)directive;
    const struct config_list *list = value;
    for (size_t i = 0; i < list->count; i++) {
        if (i > 0) buffer_append_byte(out, ' ');
        buffer_append(out, list->items[i].data, list->items[i].size);
    }
}

/* No words, or an empty one, are no addresses. */
static bool addresses_parse(const struct config_directive *directive, const struct bytes *words,
                            size_t count, void *value, char *error) {
    (void)directive;
    if (count > CONFIG_ADDRESSES_MAX)
        return config_refuse(error, "Too many bind addresses specified.");
    list_release(value);
    if (count == 1 && words[0].size == 0) return true;
    for (size_t i = 0; i < count; i++)
        list_add(value, words[i]);
    return true;
}

static void append_words(struct buffer *out, const struct config_list *list) {
    for (size_t i = 0; i < list->count; i++) {
        struct bytes word = list->items[i];
        bool is_plain = word.size > 0;
        for (size_t at = 0; at < word.size && is_plain; at++)
            is_plain = word.data[at] > ' ' && word.data[at] < 0x7f && word.data[at] != '"' &&
                       word.data[at] != '\'' && word.data[at] != '\\';
        buffer_append_byte(out, ' ');
        if (is_plain)
            buffer_append(out, word.data, word.size);
        else
            config_append_quoted(out, word);
    }
}

static void addresses_write(const struct config_directive *directive, const void *value,
                            struct buffer *out) {
    const struct config_list *list = value;
    buffer_append_text(out, directive->name);
    append_words(out, list);
    if (list->count == 0) buffer_append_text(out, " \"\"");
    buffer_append_byte(out, '\n');
}

const struct config_kind config_kind_addresses = {
    .description = "addresses",
    .size = sizeof(struct config_list),
    .words_min = 0,
    .words_max = SIZE_MAX,
    .splits = true,
    .parse = addresses_parse,
    .format = list_format,
    .equal = list_equal,
    .copy = list_copy,
    .release = list_release,
    .write = addresses_write,
};

/* ---- statements: directives given many times ---- */

static bool statements_parse(const struct config_directive *directive, const struct bytes *words,
                             size_t count, void *value, char *error) {
    (void)directive, (void)error;
    struct config_statements *statements = value;
    statements->items =
        memory_resize(statements->items, (statements->count + 1) * sizeof(statements->items[0]));
    struct config_list *list = &statements->items[statements->count++];
    *list = (struct config_list){0};
    for (size_t i = 0; i < count; i++)
        list_add(list, words[i]);
    return true;
}

static bool renames_parse(const struct config_directive *directive, const struct bytes *words,
                          size_t count, void *value, char *error) {
    if (count != 2) return config_refuse(error, "Bad directive or wrong number of arguments");
    return statements_parse(directive, words, count, value, error);
}

static void statements_release(void *value) {
    struct config_statements *statements = value;
    for (size_t i = 0; i < statements->count; i++)
        list_release(&statements->items[i]);
    memory_free(statements->items);
    *statements = (struct config_statements){0};
}

static void statements_copy(const void *value, void *copy) {
    const struct config_statements *from = value;
    struct config_statements *to = copy;
    to->items = memory_resize(NULL, (from->count + 1) * sizeof(to->items[0]));
    to->count = from->count;
    for (size_t i = 0; i < from->count; i++)
        list_copy(&from->items[i], &to->items[i]);
}

static bool statements_equal(const void *a, const void *b) {
    const struct config_statements *left = a, *right = b;
    if (left->count != right->count) return false;
    for (size_t i = 0; i < left->count; i++)
        if (!list_equal(&left->items[i], &right->items[i])) return false;
    return true;
}

static void statements_write(const struct config_directive *directive, const void *value,
                             struct buffer *out) {
    const struct config_statements *statements = value;
    for (size_t i = 0; i < statements->count; i++) {
        buffer_append_text(out, directive->name);
        append_words(out, &statements->items[i]);
        buffer_append_byte(out, '\n');
    }
}

static void statements_format(const struct config_directive *directive, const void *value,
                              struct buffer *out) {
    statements_write(directive, value, out);
}

#define STATEMENTS_KIND(parse_function, words)                                                     \
    {                                                                                              \
        .description = (words), .size = sizeof(struct config_statements), .words_min = 1,          \
        .words_max = SIZE_MAX, .base = CONFIG_ADDS, .parse = (parse_function),                     \
        .format = statements_format, .equal = statements_equal, .copy = statements_copy,           \
        .release = statements_release, .write = statements_write                                   \
    }

const struct config_kind config_kind_statements =
    STATEMENTS_KIND(statements_parse, "words; may be given many times");
const struct config_kind config_kind_renames =
    STATEMENTS_KIND(renames_parse, "command and new name; may be given many times");

/* ---- save points ---- */

static bool save_parse(const struct config_directive *directive, const struct bytes *words,
                       size_t count, void *value, char *error) {
    (void)directive;
    struct config_save *save = value;
    if (count == 1 && words[0].size == 0) {
        memory_free(save->points);
        *save = (struct config_save){0};
        return true;
    }
    if (count % 2 != 0) return config_refuse(error, "Invalid save parameters");
    for (size_t i = 0; i < count; i += 2) {
        struct config_save_point point;
        if (!number_parse_i64(words[i], &point.seconds) || point.seconds < 1 ||
            !number_parse_i64(words[i + 1], &point.changes) || point.changes < 0)
            return config_refuse(error, "Invalid save parameters");
        save->points = memory_resize(save->points, (save->count + 1) * sizeof(point));
        save->points[save->count++] = point;
    }
    return true;
}

static void save_format(const struct config_directive *directive, const void *value,
                        struct buffer *out) {
    (void)directive;
    const struct config_save *save = value;
    for (size_t i = 0; i < save->count; i++)
        buffer_append_format(out, "%s%" PRId64 " %" PRId64, i > 0 ? " " : "",
                             save->points[i].seconds, save->points[i].changes);
}

static bool save_equal(const void *a, const void *b) {
    const struct config_save *left = a, *right = b;
    return left->count == right->count &&
           (left->count == 0 ||
            memcmp(left->points, right->points, left->count * sizeof(left->points[0])) == 0);
}

static void save_copy(const void *value, void *copy) {
    const struct config_save *from = value;
    struct config_save *to = copy;
    *to = (struct config_save){0};
    if (from->count == 0) return;
    to->points = memory_alloc(from->count * sizeof(to->points[0]));
    memcpy(to->points, from->points, from->count * sizeof(to->points[0]));
    to->count = from->count;
}

static void save_release(void *value) {
    struct config_save *save = value;
    memory_free(save->points);
    *save = (struct config_save){0};
}

static void save_write(const struct config_directive *directive, const void *value,
                       struct buffer *out) {
    const struct config_save *save = value;
    if (save->count == 0) buffer_append_format(out, "%s \"\"\n", directive->name);
    for (size_t i = 0; i < save->count; i++)
        buffer_append_format(out, "%s %" PRId64 " %" PRId64 "\n", directive->name,
                             save->points[i].seconds, save->points[i].changes);
}

const struct config_kind config_kind_save = {
    .description = "pairs of seconds and changes, or \"\"",
    .size = sizeof(struct config_save),
    .words_min = 0,
    .words_max = SIZE_MAX,
    .splits = true,
    .base = CONFIG_ACCUMULATES,
    .parse = save_parse,
    .format = save_format,
    .equal = save_equal,
    .copy = save_copy,
    .release = save_release,
    .write = save_write,
};

/* ---- limits of classes of clients ---- */

static const char *const class_names[CONFIG_CLASSES] = {"normal", "slave", "pubsub"};
static const char *const class_names_written[CONFIG_CLASSES] = {"normal", "replica", "pubsub"};

static bool class_find(struct bytes word, size_t *class) {
    for (*class = 0; *class < CONFIG_CLASSES; ++*class)
        if (bytes_is(word, class_names[*class]) || bytes_is(word, class_names_written[*class]))
            return true;
    return false;
}

static bool output_limits_parse(const struct config_directive *directive, const struct bytes *words,
                                size_t count, void *value, char *error) {
    (void)directive;
    struct config_output_limits *limits = value;
    if (count == 1 && words[0].size == 0) return true;
    if (count % 4 != 0)
        return config_refuse(error, "Wrong number of arguments in buffer limit configuration.");
    for (size_t i = 0; i < count; i += 4) {
        size_t class;
        struct config_output_limit limit;
        if (!class_find(words[i], &class))
            return config_refuse(error,
                                 "Invalid client class specified in buffer limit configuration.");
        if (!number_parse_memory(words[i + 1], &limit.hard) ||
            !number_parse_memory(words[i + 2], &limit.soft) ||
            !number_parse_i64(words[i + 3], &limit.soft_seconds) || limit.soft_seconds < 0)
            return config_refuse(error, "Error in hard, soft or soft_seconds setting in buffer "
                                        "limit configuration.");
        limits->of[class] = limit;
    }
    return true;
}

static void output_limits_format(const struct config_directive *directive, const void *value,
                                 struct buffer *out) {
    (void)directive;
    const struct config_output_limits *limits = value;
    for (size_t i = 0; i < CONFIG_CLASSES; i++)
        buffer_append_format(out, "%s%s %" PRIu64 " %" PRIu64 " %" PRId64, i > 0 ? " " : "",
                             class_names[i], limits->of[i].hard, limits->of[i].soft,
                             limits->of[i].soft_seconds);
}

static bool output_limits_equal(const void *a, const void *b) {
    return memcmp(a, b, sizeof(struct config_output_limits)) == 0;
}

static void output_limits_write(const struct config_directive *directive, const void *value,
                                struct buffer *out) {
    const struct config_output_limits *limits = value;
    for (size_t i = 0; i < CONFIG_CLASSES; i++) {
        buffer_append_format(out, "%s %s ", directive->name, class_names_written[i]);
        config_append_memory(out, limits->of[i].hard);
        buffer_append_byte(out, ' ');
        config_append_memory(out, limits->of[i].soft);
        buffer_append_format(out, " %" PRId64 "\n", limits->of[i].soft_seconds);
    }
}

const struct config_kind config_kind_output_limits = {
    .description = "class, hard limit, soft limit, seconds; again for other classes",
    .size = sizeof(struct config_output_limits),
    .words_min = 0,
    .words_max = SIZE_MAX,
    .splits = true,
    .base = CONFIG_ADDS,
    .parse = output_limits_parse,
    .format = output_limits_format,
    .equal = output_limits_equal,
    .write = output_limits_write,
};

/* ---- the primary ---- */

static bool replicaof_parse(const struct config_directive *directive, const struct bytes *words,
                            size_t count, void *value, char *error) {
    (void)directive;
    struct config_replicaof *replicaof = value;
    bool is_nobody = (count == 1 && words[0].size == 0) ||
                     (count == 2 && bytes_is(words[0], "no") && bytes_is(words[1], "one"));
    if (!is_nobody && count != 2) return config_refuse(error, "wrong number of arguments");
    config_text_release(&replicaof->host);
    replicaof->port = 0;
    if (is_nobody) {
        replicaof->host = config_text_copy(BYTES(""));
        return true;
    }
    if (!number_parse_i64(words[1], &replicaof->port) || replicaof->port < 0 ||
        replicaof->port > UINT16_MAX)
        return config_refuse(error, "Invalid master port");
    replicaof->host = config_text_copy(words[0]);
    return true;
}

static void replicaof_format(const struct config_directive *directive, const void *value,
                             struct buffer *out) {
    (void)directive;
    const struct config_replicaof *replicaof = value;
    if (replicaof->host.size == 0) return;
    buffer_append(out, replicaof->host.data, replicaof->host.size);
    buffer_append_format(out, " %" PRId64, replicaof->port);
}

static bool replicaof_equal(const void *a, const void *b) {
    const struct config_replicaof *left = a, *right = b;
    return bytes_equal(left->host, right->host) &&
           (left->host.size == 0 || left->port == right->port);
}

static void replicaof_copy(const void *value, void *copy) {
    const struct config_replicaof *from = value;
    *(struct config_replicaof *)copy =
        (struct config_replicaof){config_text_copy(from->host), from->port};
}

static void replicaof_release(void *value) {
    config_text_release(&((struct config_replicaof *)value)->host);
}

static void replicaof_write(const struct config_directive *directive, const void *value,
                            struct buffer *out) {
    const struct config_replicaof *replicaof = value;
    if (replicaof->host.size == 0) return;
    struct config_list list = {.items = (struct bytes[]){replicaof->host}, .count = 1};
    buffer_append_text(out, directive->name);
    append_words(out, &list);
    buffer_append_format(out, " %" PRId64 "\n", replicaof->port);
}

const struct config_kind config_kind_replicaof = {
    .description = "host and port",
    .size = sizeof(struct config_replicaof),
    .words_min = 1,
    .words_max = 2,
    .splits = true,
    .parse = replicaof_parse,
    .format = replicaof_format,
    .equal = replicaof_equal,
    .copy = replicaof_copy,
    .release = replicaof_release,
    .write = replicaof_write,
};

/* ---- numbers ---- */

static bool oom_values_parse(const struct config_directive *directive, const struct bytes *words,
                             size_t count, void *value, char *error) {
    struct config_oom_values *values = value;
    if (count != 3) return config_refuse(error, "wrong number of arguments");
    for (size_t i = 0; i < count; i++)
        if (!number_parse_i64(words[i], &values->of[i]) || values->of[i] < OOM_MIN ||
            values->of[i] > OOM_MAX)
            return config_refuse(error, "Invalid %s, elements must be between %d and %d.",
                                 directive->name, OOM_MIN, OOM_MAX);
    return true;
}

static void oom_values_format(const struct config_directive *directive, const void *value,
                              struct buffer *out) {
    (void)directive;
    const struct config_oom_values *values = value;
    buffer_append_format(out, "%" PRId64 " %" PRId64 " %" PRId64, values->of[0], values->of[1],
                         values->of[2]);
}

static bool oom_values_equal(const void *a, const void *b) {
    return memcmp(a, b, sizeof(struct config_oom_values)) == 0;
}

const struct config_kind config_kind_oom_values = {
    .description = "three numbers",
    .size = sizeof(struct config_oom_values),
    .words_min = 1,
    .words_max = SIZE_MAX,
    .splits = true,
    .parse = oom_values_parse,
    .format = oom_values_format,
    .equal = oom_values_equal,
};

static bool percentiles_parse(const struct config_directive *directive, const struct bytes *words,
                              size_t count, void *value, char *error) {
    struct config_percentiles *percentiles = value;
    memory_free(percentiles->items);
    *percentiles = (struct config_percentiles){0};
    if (count == 0 || (count == 1 && words[0].size == 0)) return true;
    percentiles->items = memory_alloc(count * sizeof(percentiles->items[0]));
    for (size_t i = 0; i < count; i++) {
        double number;
        if (words[i].size > PERCENTILE_TEXT_MAX || !number_parse_double(words[i], &number))
            return config_refuse(error, "Invalid %s parameters", directive->name);
        if (!(number >= 0 && number <= 100))
            return config_refuse(error, "%s parameters should sit between [0.0,100.0]",
                                 directive->name);
        percentiles->items[percentiles->count++] = number;
    }
    return true;
}

/* Up to six digits behind the point, no zeros at the end. */
static void percentiles_format(const struct config_directive *directive, const void *value,
                               struct buffer *out) {
    (void)directive;
    const struct config_percentiles *percentiles = value;
    for (size_t i = 0; i < percentiles->count; i++) {
        char text[PERCENTILE_TEXT_MAX];
        int size = snprintf(text, sizeof(text), "%.6f", percentiles->items[i]);
        INVARIANT(size > 0 && (size_t)size < sizeof(text));
        while (text[size - 1] == '0')
            size--;
        if (text[size - 1] == '.') size--;
        if (i > 0) buffer_append_byte(out, ' ');
        buffer_append(out, text, (size_t)size);
    }
}

static bool percentiles_equal(const void *a, const void *b) {
    const struct config_percentiles *left = a, *right = b;
    if (left->count != right->count) return false;
    for (size_t i = 0; i < left->count; i++)
        if (left->items[i] < right->items[i] || left->items[i] > right->items[i]) return false;
    return true;
}

static void percentiles_copy(const void *value, void *copy) {
    const struct config_percentiles *from = value;
    struct config_percentiles *to = copy;
    *to = (struct config_percentiles){0};
    if (from->count == 0) return;
    to->items = memory_alloc(from->count * sizeof(to->items[0]));
    memcpy(to->items, from->items, from->count * sizeof(to->items[0]));
    to->count = from->count;
}

static void percentiles_release(void *value) {
    struct config_percentiles *percentiles = value;
    memory_free(percentiles->items);
    *percentiles = (struct config_percentiles){0};
}

static void percentiles_write(const struct config_directive *directive, const void *value,
                              struct buffer *out) {
    const struct config_percentiles *percentiles = value;
    buffer_append_format(out, "%s ", directive->name);
    if (percentiles->count == 0) buffer_append_text(out, "\"\"");
    percentiles_format(directive, value, out);
    buffer_append_byte(out, '\n');
}

const struct config_kind config_kind_percentiles = {
    .description = "numbers between 0 and 100",
    .size = sizeof(struct config_percentiles),
    .words_min = 0,
    .words_max = SIZE_MAX,
    .splits = true,
    .parse = percentiles_parse,
    .format = percentiles_format,
    .equal = percentiles_equal,
    .copy = percentiles_copy,
    .release = percentiles_release,
    .write = percentiles_write,
};

/* ---- common to all ---- */

void config_value_copy(const struct config_directive *directive, const void *value, void *copy) {
    if (directive->kind->copy != NULL)
        directive->kind->copy(value, copy);
    else
        memcpy(copy, value, directive->kind->size);
}

void config_value_release(const struct config_directive *directive, void *value) {
    if (directive->kind->release != NULL) directive->kind->release(value);
}

/* At each blank: two in a row have an empty word between them, as in Redis. */
static size_t split_at_blanks(struct bytes text, struct bytes **words) {
    size_t count = 1;
    for (size_t i = 0; i < text.size; i++)
        count += text.data[i] == ' ';
    *words = memory_alloc(count * sizeof(**words));
    const char *start = text.data, *end = text.data + text.size;
    for (size_t i = 0; i < count; i++) {
        size_t size = (size_t)(end - start);
        const char *blank = size > 0 ? memchr(start, ' ', size) : NULL;
        (*words)[i] = bytes_make(start, blank == NULL ? size : (size_t)(blank - start));
        if (blank != NULL) start = blank + 1;
    }
    return count;
}

bool config_value_parse(const struct config_directive *directive, const struct bytes *words,
                        size_t count, const void *present, bool repeated, void *value,
                        char *error) {
    const struct config_kind *kind = directive->kind;
    memset(value, 0, kind->size);
    if (count < kind->words_min || count > kind->words_max)
        return config_refuse(error, "wrong number of arguments");
    bool is_based = kind->base == CONFIG_ADDS || (kind->base == CONFIG_ACCUMULATES && repeated);
    if (present != NULL && is_based) config_value_copy(directive, present, value);
    if (count == 1 && kind->splits && words[0].size > 0) {
        struct bytes *pieces;
        size_t piece_count = split_at_blanks(words[0], &pieces);
        bool parsed = kind->parse(directive, pieces, piece_count, value, error);
        memory_free(pieces);
        return parsed;
    }
    return kind->parse(directive, words, count, value, error);
}

void config_append_quoted(struct buffer *out, struct bytes text) {
    buffer_append_byte(out, '"');
    for (size_t i = 0; i < text.size; i++) {
        char c = text.data[i];
        switch (c) {
        case '\\':
        case '"': buffer_append_format(out, "\\%c", c); break;
        case '\n': buffer_append_text(out, "\\n"); break;
        case '\r': buffer_append_text(out, "\\r"); break;
        case '\t': buffer_append_text(out, "\\t"); break;
        case '\a': buffer_append_text(out, "\\a"); break;
        case '\b': buffer_append_text(out, "\\b"); break;
        default:
            if (c >= ' ' && c < 0x7f)
                buffer_append_byte(out, c);
            else
                buffer_append_format(out, "\\x%02x", (unsigned)(unsigned char)c);
        }
    }
    buffer_append_byte(out, '"');
}

void config_value_write(const struct config_directive *directive, const void *value,
                        struct buffer *out) {
    if (directive->kind->write != NULL) {
        directive->kind->write(directive, value, out);
        return;
    }
    struct buffer text = {0};
    directive->kind->format(directive, value, &text);
    buffer_append_format(out, "%s ", directive->name);
    if (directive->kind->quoted)
        config_append_quoted(out, buffer_bytes(&text));
    else
        buffer_append(out, text.data, text.size);
    buffer_append_byte(out, '\n');
    buffer_release(&text);
}
