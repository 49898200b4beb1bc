/* config_kind.c: the simple types of value of directives: reading, writing, comparing.
 *
 * Texts of errors are Redis's, found out by asking redis-server. Types with structure are in
 * config_kind_compound.c. */
#include "engine/config_kind.h"
#include "base/invariant.h"
#include "base/memory.h"
#include "base/number.h"
#include "engine/notify.h"
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

enum {
    HOSTNAME_MAX = 255,
    BACKLOG_MIN = 16 * 1024,
    HZ_MIN = 1,
    HZ_MAX = 500,
    WATCHDOG_MIN_MS = 200
};

bool config_refuse(char *error, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(error, CONFIG_ERROR_SIZE, format, arguments);
    va_end(arguments);
    return false;
}

/* ---- yes or no ---- */

static bool boolean_parse(const struct config_directive *directive, const struct bytes *words,
                          size_t count, void *value, char *error) {
    (void)directive, (void)count;
    bool yes = bytes_is(words[0], "yes");
    if (!yes && !bytes_is(words[0], "no"))
        return config_refuse(error, "argument must be 'yes' or 'no'");
    *(bool *)value = yes;
    return true;
}

static void boolean_format(const struct config_directive *directive, const void *value,
                           struct buffer *out) {
    (void)directive;
    buffer_append_text(out, *(const bool *)value ? "yes" : "no");
}

static bool boolean_equal(const void *a, const void *b) {
    return *(const bool *)a == *(const bool *)b;
}

const struct config_kind config_kind_boolean = {
    .description = "yes or no",
    .size = sizeof(bool),
    .words_min = 1,
    .words_max = 1,
    .parse = boolean_parse,
    .format = boolean_format,
    .equal = boolean_equal,
};

/* ---- integers ---- */

static bool integer_read(struct bytes word, int64_t min, int64_t max, int64_t *number,
                         char *error) {
    if (!number_parse_i64(word, number))
        return config_refuse(error, "argument couldn't be parsed into an integer");
    if (*number < min || *number > max)
        return config_refuse(
            error, "argument must be between %" PRId64 " and %" PRId64 " inclusive", min, max);
    return true;
}

static bool integer_parse(const struct config_directive *directive, const struct bytes *words,
                          size_t count, void *value, char *error) {
    (void)count;
    return integer_read(words[0], directive->min, (int64_t)directive->max, value, error);
}

static void integer_format(const struct config_directive *directive, const void *value,
                           struct buffer *out) {
    (void)directive;
    buffer_append_i64(out, *(const int64_t *)value);
}

static bool integer_equal(const void *a, const void *b) {
    return *(const int64_t *)a == *(const int64_t *)b;
}

const struct config_kind config_kind_integer = {
    .description = "integer",
    .size = sizeof(int64_t),
    .words_min = 1,
    .words_max = 1,
    .parse = integer_parse,
    .format = integer_format,
    .equal = integer_equal,
};

/* Any number is taken, and brought into the range that makes sense. */
static bool hz_parse(const struct config_directive *directive, const struct bytes *words,
                     size_t count, void *value, char *error) {
    (void)directive, (void)count;
    int64_t *hz = value;
    if (!integer_read(words[0], 0, INT32_MAX, hz, error)) return false;
    *hz = *hz < HZ_MIN ? HZ_MIN : *hz > HZ_MAX ? HZ_MAX : *hz;
    return true;
}

const struct config_kind config_kind_hz = {
    .description = "integer",
    .size = sizeof(int64_t),
    .words_min = 1,
    .words_max = 1,
    .parse = hz_parse,
    .format = integer_format,
    .equal = integer_equal,
};

static bool watchdog_parse(const struct config_directive *directive, const struct bytes *words,
                           size_t count, void *value, char *error) {
    (void)directive, (void)count;
    int64_t *period_ms = value;
    if (!integer_read(words[0], 0, INT32_MAX, period_ms, error)) return false;
    if (*period_ms != 0 && *period_ms < WATCHDOG_MIN_MS) *period_ms = WATCHDOG_MIN_MS;
    return true;
}

const struct config_kind config_kind_watchdog = {
    .description = "integer",
    .size = sizeof(int64_t),
    .words_min = 1,
    .words_max = 1,
    .parse = watchdog_parse,
    .format = integer_format,
    .equal = integer_equal,
};

static bool octal_parse(const struct config_directive *directive, const struct bytes *words,
                        size_t count, void *value, char *error) {
    (void)directive, (void)count;
    struct bytes word = words[0];
    bool is_negative = word.size > 0 && word.data[0] == '-';
    int64_t bits = 0;
    size_t first = is_negative ? 1 : 0;
    bool is_octal = word.size > first && word.size <= first + 8;
    for (size_t i = first; is_octal && i < word.size; i++) {
        is_octal = word.data[i] >= '0' && word.data[i] <= '7';
        bits = bits * 8 + (word.data[i] - '0');
    }
    if (!is_octal) return config_refuse(error, "argument couldn't be parsed as an octal number");
    if (bits > 0777 || (is_negative && bits > 0))
        return config_refuse(error, "argument must be between 0 and 777 inclusive");
    *(int64_t *)value = bits;
    return true;
}

static void octal_format(const struct config_directive *directive, const void *value,
                         struct buffer *out) {
    (void)directive;
    buffer_append_format(out, "%" PRIo64, *(const int64_t *)value);
}

const struct config_kind config_kind_octal = {
    .description = "octal, 0 to 777",
    .size = sizeof(int64_t),
    .words_min = 1,
    .words_max = 1,
    .parse = octal_parse,
    .format = octal_format,
    .equal = integer_equal,
};

/* ---- memory ---- */

static bool memory_read(struct bytes word, uint64_t min, uint64_t max, uint64_t *bytes,
                        char *error) {
    *bytes = 0;
    if (word.size > 0 && !number_parse_memory(word, bytes))
        return config_refuse(error, "argument must be a memory value");
    if (*bytes < min || *bytes > max)
        return config_refuse(
            error, "argument must be between %" PRIu64 " and %" PRIu64 " inclusive", min, max);
    return true;
}

static bool memory_parse(const struct config_directive *directive, const struct bytes *words,
                         size_t count, void *value, char *error) {
    (void)count;
    return memory_read(words[0], (uint64_t)directive->min, directive->max, value, error);
}

static void memory_format(const struct config_directive *directive, const void *value,
                          struct buffer *out) {
    (void)directive;
    buffer_append_format(out, "%" PRIu64, *(const uint64_t *)value);
}

static bool memory_equal(const void *a, const void *b) {
    return *(const uint64_t *)a == *(const uint64_t *)b;
}

void config_append_memory(struct buffer *out, uint64_t bytes) {
    static const struct {
        uint64_t bytes;
        const char *name;
    } units[] = {{1ULL << 30, "gb"}, {1ULL << 20, "mb"}, {1ULL << 10, "kb"}};
    for (size_t i = 0; i < sizeof(units) / sizeof(units[0]) && bytes > 0; i++) {
        if (bytes % units[i].bytes != 0) continue;
        buffer_append_format(out, "%" PRIu64 "%s", bytes / units[i].bytes, units[i].name);
        return;
    }
    buffer_append_format(out, "%" PRIu64, bytes);
}

static void memory_write(const struct config_directive *directive, const void *value,
                         struct buffer *out) {
    buffer_append_format(out, "%s ", directive->name);
    config_append_memory(out, *(const uint64_t *)value);
    buffer_append_byte(out, '\n');
}

const struct config_kind config_kind_memory = {
    .description = "memory",
    .size = sizeof(uint64_t),
    .words_min = 1,
    .words_max = 1,
    .parse = memory_parse,
    .format = memory_format,
    .equal = memory_equal,
    .write = memory_write,
};

/* Too little is taken, and made the least that makes sense. */
static bool backlog_parse(const struct config_directive *directive, const struct bytes *words,
                          size_t count, void *value, char *error) {
    (void)directive, (void)count;
    uint64_t *bytes = value;
    if (!memory_read(words[0], 1, INT64_MAX, bytes, error)) return false;
    if (*bytes < BACKLOG_MIN) *bytes = BACKLOG_MIN;
    return true;
}

const struct config_kind config_kind_backlog = {
    .description = "memory",
    .size = sizeof(uint64_t),
    .words_min = 1,
    .words_max = 1,
    .parse = backlog_parse,
    .format = memory_format,
    .equal = memory_equal,
    .write = memory_write,
};

static bool percent_parse(const struct config_directive *directive, const struct bytes *words,
                          size_t count, void *value, char *error) {
    (void)directive, (void)count;
    struct config_percent *percent = value;
    struct bytes word = words[0];
    *percent = (struct config_percent){0};
    percent->is_percent = word.size > 0 && word.data[word.size - 1] == '%';
    if (percent->is_percent) {
        word.size--;
        if (!number_parse_u64(word, &percent->amount))
            return config_refuse(error, "argument must be a memory or percent value");
        if (percent->amount > 100)
            return config_refuse(error, "percentage argument must be less or equal to 100");
        return true;
    }
    if (word.size > 0 && !number_parse_memory(word, &percent->amount))
        return config_refuse(error, "argument must be a memory or percent value");
    return true;
}

static void percent_format(const struct config_directive *directive, const void *value,
                           struct buffer *out) {
    (void)directive;
    const struct config_percent *percent = value;
    buffer_append_format(out, "%" PRIu64 "%s", percent->amount, percent->is_percent ? "%" : "");
}

static bool percent_equal(const void *a, const void *b) {
    const struct config_percent *left = a, *right = b;
    return left->amount == right->amount && left->is_percent == right->is_percent;
}

const struct config_kind config_kind_percent = {
    .description = "memory, or percent as in 5%",
    .size = sizeof(struct config_percent),
    .words_min = 1,
    .words_max = 1,
    .parse = percent_parse,
    .format = percent_format,
    .equal = percent_equal,
};

/* ---- texts ---- */

struct bytes config_text_copy(struct bytes text) {
    return (struct bytes){memory_copy(text.size > 0 ? text.data : "", text.size), text.size};
}

void config_text_release(struct bytes *text) {
    memory_free((char *)(uintptr_t)text->data);
    *text = (struct bytes){NULL, 0};
}

static bool text_parse(const struct config_directive *directive, const struct bytes *words,
                       size_t count, void *value, char *error) {
    (void)directive, (void)count, (void)error;
    config_text_release(value);
    *(struct bytes *)value = config_text_copy(words[0]);
    return true;
}

static void text_format(const struct config_directive *directive, const void *value,
                        struct buffer *out) {
    (void)directive;
    const struct bytes *text = value;
    buffer_append(out, text->data, text->size);
}

static bool text_equal(const void *a, const void *b) {
    return bytes_equal(*(const struct bytes *)a, *(const struct bytes *)b);
}

static void text_copy(const void *value, void *copy) {
    *(struct bytes *)copy = config_text_copy(*(const struct bytes *)value);
}

static void text_release(void *value) {
    config_text_release(value);
}

#define TEXT_KIND(parse_function, words)                                                           \
    {                                                                                              \
        .description = (words), .size = sizeof(struct bytes), .words_min = 1, .words_max = 1,      \
        .quoted = true, .parse = (parse_function), .format = text_format, .equal = text_equal,     \
        .copy = text_copy, .release = text_release                                                 \
    }

const struct config_kind config_kind_text = TEXT_KIND(text_parse, "text");

/* A name inside a folder. */
static bool filename_parse(const struct config_directive *directive, const struct bytes *words,
                           size_t count, void *value, char *error) {
    bool is_folder = bytes_is(bytes_from_text(directive->name), "appenddirname");
    bool may_be_empty = bytes_is(bytes_from_text(directive->name), "dbfilename");
    if (words[0].size == 0 && !may_be_empty)
        return config_refuse(error, "%s can't be empty", directive->name);
    if (words[0].size > 0 && (memchr(words[0].data, '/', words[0].size) != NULL ||
                              memchr(words[0].data, 0, words[0].size) != NULL))
        return config_refuse(error, "%s can't be a path, just a %s", directive->name,
                             is_folder ? "dirname" : "filename");
    return text_parse(directive, words, count, value, error);
}

const struct config_kind config_kind_filename = TEXT_KIND(filename_parse, "name of a file");

static bool hostname_parse(const struct config_directive *directive, const struct bytes *words,
                           size_t count, void *value, char *error) {
    struct bytes name = words[0];
    if (name.size > HOSTNAME_MAX)
        return config_refuse(error, "Hostnames must be less than %d characters", HOSTNAME_MAX + 1);
    for (size_t i = 0; i < name.size; i++) {
        char c = byte_to_lower(name.data[i]);
        if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.'))
            return config_refuse(
                error, "Hostnames may only contain alphanumeric characters, hyphens or dots");
    }
    return text_parse(directive, words, count, value, error);
}

const struct config_kind config_kind_hostname = TEXT_KIND(hostname_parse, "host name");

/* Every { opens one of the names known. */
static bool title_is_sound(struct bytes title) {
    static const char *const names[] = {"{title}",    "{listen-addr}", "{server-mode}", "{port}",
                                        "{tls-port}", "{unixsocket}",  "{config-file}"};
    for (size_t at = 0; at < title.size; at++) {
        if (title.data[at] != '{') continue;
        bool known = false;
        for (size_t i = 0; i < sizeof(names) / sizeof(names[0]) && !known; i++) {
            size_t size = strlen(names[i]);
            known = title.size - at >= size && memcmp(title.data + at, names[i], size) == 0;
        }
        if (!known) return false;
    }
    return title.size > 0;
}

static bool title_parse(const struct config_directive *directive, const struct bytes *words,
                        size_t count, void *value, char *error) {
    if (!title_is_sound(words[0]))
        return config_refuse(error, "template format is invalid or contains unknown variables");
    return text_parse(directive, words, count, value, error);
}

const struct config_kind config_kind_title = TEXT_KIND(title_parse, "text with {names}");

/* Taken and forgotten. */
static bool ignored_parse(const struct config_directive *directive, const struct bytes *words,
                          size_t count, void *value, char *error) {
    (void)directive, (void)words, (void)count, (void)value, (void)error;
    return true;
}

const struct config_kind config_kind_ignored = TEXT_KIND(ignored_parse, "anything");

/* ---- choices ---- */

static bool refuse_choice(const struct config_choice *choices, char *error) {
    char words[CONFIG_ERROR_SIZE - 64];
    size_t size = 0;
    for (const struct config_choice *c = choices; c->word != NULL; c++) {
        int added =
            snprintf(words + size, sizeof(words) - size, "%s%s", c == choices ? "" : ", ", c->word);
        INVARIANT(added > 0 && (size_t)added < sizeof(words) - size);
        size += (size_t)added;
    }
    return config_refuse(error, "argument(s) must be one of the following: %s", words);
}

static const struct config_choice *choice_find(const struct config_choice *choices,
                                               struct bytes word) {
    for (; choices->word != NULL; choices++)
        if (bytes_is(word, choices->word)) return choices;
    return NULL;
}

static bool choice_parse(const struct config_directive *directive, const struct bytes *words,
                         size_t count, void *value, char *error) {
    (void)count;
    const struct config_choice *choice = choice_find(directive->choices, words[0]);
    if (choice == NULL) return refuse_choice(directive->choices, error);
    *(int *)value = choice->value;
    return true;
}

static void choice_format(const struct config_directive *directive, const void *value,
                          struct buffer *out) {
    for (const struct config_choice *c = directive->choices; c->word != NULL; c++) {
        if (c->value != *(const int *)value) continue;
        buffer_append_text(out, c->word);
        return;
    }
    invariant_panic("no word for %d, the value of %s", *(const int *)value, directive->name);
}

static bool choice_equal(const void *a, const void *b) {
    return *(const int *)a == *(const int *)b;
}

const struct config_kind config_kind_choice = {
    .description = "one of",
    .size = sizeof(int),
    .words_min = 1,
    .words_max = 1,
    .parse = choice_parse,
    .format = choice_format,
    .equal = choice_equal,
};

/* Several words at once; the first of the list is 0 and stands for none. */
static bool flags_parse(const struct config_directive *directive, const struct bytes *words,
                        size_t count, void *value, char *error) {
    int flags = 0;
    for (size_t i = 0; i < count; i++) {
        const struct config_choice *choice = choice_find(directive->choices, words[i]);
        if (choice == NULL) return refuse_choice(directive->choices, error);
        flags |= choice->value;
    }
    if ((flags & SHUTDOWN_SAVE) && (flags & SHUTDOWN_NOSAVE))
        return config_refuse(error,
                             "shutdown options SAVE and NOSAVE can't be used simultaneously");
    *(int *)value = flags;
    return true;
}

static void flags_format(const struct config_directive *directive, const void *value,
                         struct buffer *out) {
    int flags = *(const int *)value;
    bool is_first = true;
    for (const struct config_choice *c = directive->choices; c->word != NULL; c++) {
        if (flags == 0 ? c->value != 0 : (flags & c->value) == 0) continue;
        buffer_append_format(out, "%s%s", is_first ? "" : " ", c->word);
        is_first = false;
    }
}

const struct config_kind config_kind_flags = {
    .description = "some of",
    .size = sizeof(int),
    .words_min = 1,
    .words_max = SIZE_MAX,
    .splits = true,
    .parse = flags_parse,
    .format = flags_format,
    .equal = choice_equal,
};

/* ---- events ---- */

static const struct {
    char letter;
    int64_t bit;
} event_letters[] = {
    {'g', NOTIFY_GENERIC}, {'$', NOTIFY_STRING},     {'l', NOTIFY_LIST},    {'s', NOTIFY_SET},
    {'h', NOTIFY_HASH},    {'z', NOTIFY_SORTED_SET}, {'x', NOTIFY_EXPIRED}, {'e', NOTIFY_EVICTED},
    {'t', NOTIFY_STREAM},  {'d', NOTIFY_MODULE},
};
enum {
    EVENT_LETTERS = sizeof(event_letters) / sizeof(event_letters[0]),
    EVENTS_ALL = NOTIFY_GENERIC | NOTIFY_STRING | NOTIFY_LIST | NOTIFY_SET | NOTIFY_HASH |
                 NOTIFY_SORTED_SET | NOTIFY_EXPIRED | NOTIFY_EVICTED | NOTIFY_STREAM |
                 NOTIFY_MODULE,
};

/* The bit of a letter, 0 when there is none. */
static int64_t event_bit(char letter) {
    for (size_t i = 0; i < EVENT_LETTERS; i++)
        if (event_letters[i].letter == letter) return event_letters[i].bit;
    switch (letter) {
    case 'A': return EVENTS_ALL;
    case 'K': return NOTIFY_KEYSPACE;
    case 'E': return NOTIFY_KEYEVENT;
    case 'm': return NOTIFY_MISS;
    case 'n': return NOTIFY_NEW;
    case 'o': return NOTIFY_OVERWRITTEN;
    case 'c': return NOTIFY_TYPE_CHANGED;
    default: return 0;
    }
}

static bool events_parse(const struct config_directive *directive, const struct bytes *words,
                         size_t count, void *value, char *error) {
    (void)directive, (void)count;
    int64_t events = 0;
    for (size_t i = 0; i < words[0].size; i++) {
        int64_t bit = event_bit(words[0].data[i]);
        if (bit == 0)
            return config_refuse(error, "Invalid event class character. Use 'Ag$lshzxeKEtmdn'.");
        events |= bit;
    }
    *(int64_t *)value = events;
    return true;
}

/* As Redis does: n is not shown beside A. */
static void events_format(const struct config_directive *directive, const void *value,
                          struct buffer *out) {
    (void)directive;
    int64_t events = *(const int64_t *)value;
    if ((events & EVENTS_ALL) == EVENTS_ALL) {
        buffer_append_byte(out, 'A');
    } else {
        for (size_t i = 0; i < EVENT_LETTERS; i++)
            if (events & event_letters[i].bit) buffer_append_byte(out, event_letters[i].letter);
        if (events & NOTIFY_NEW) buffer_append_byte(out, 'n');
    }
    if (events & NOTIFY_KEYSPACE) buffer_append_byte(out, 'K');
    if (events & NOTIFY_KEYEVENT) buffer_append_byte(out, 'E');
    if (events & NOTIFY_MISS) buffer_append_byte(out, 'm');
    if (events & NOTIFY_OVERWRITTEN) buffer_append_byte(out, 'o');
    if (events & NOTIFY_TYPE_CHANGED) buffer_append_byte(out, 'c');
}

/* In a file the n beside A is kept, or it would be lost at the next start. */
static void events_write(const struct config_directive *directive, const void *value,
                         struct buffer *out) {
    int64_t events = *(const int64_t *)value;
    buffer_append_format(out, "%s \"", directive->name);
    events_format(directive, value, out);
    if ((events & EVENTS_ALL) == EVENTS_ALL && (events & NOTIFY_NEW)) buffer_append_byte(out, 'n');
    buffer_append_text(out, "\"\n");
}

const struct config_kind config_kind_events = {
    .description = "letters",
    .size = sizeof(int64_t),
    .words_min = 1,
    .words_max = 1,
    .parse = events_parse,
    .format = events_format,
    .equal = integer_equal,
    .write = events_write,
};
