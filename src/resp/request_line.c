/* request_line.c: a line of text split into words, as inline requests and redis-cli's prompt have
 * it.
 *
 *   set key "two words\n\x00"  'it\'s'
 *
 * Words end at a blank. Quotes may begin anywhere in a word and, when they close, end it. Between
 * double quotes, \n \r \t \b \a and \xHH are what they are in C, and a backslash before another
 * byte is that byte; between single quotes only \' is known. Found out by asking redis-server. */
#include "resp/request.h"

struct split {
    const char *cursor;
    const char *end;
    char *out;
};

/* Between words and behind a closing quote. */
static bool byte_is_space(char c) {
    return c == ' ' || (c >= '\t' && c <= '\r');
}

/* What ends a word outside quotes: vertical tab and form feed do not. */
static bool byte_ends_word(char c) {
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static int hex_digit(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    c = byte_to_lower(c);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static char unescape(char c) {
    switch (c) {
    case 'n': return '\n';
    case 'r': return '\r';
    case 't': return '\t';
    case 'b': return '\b';
    case 'a': return '\a';
    default: return c;
    }
}

/* A closing quote must end the word. */
static bool quote_closes(const struct split *s) {
    return s->cursor == s->end || byte_is_space(*s->cursor);
}

/* From behind the opening quote to behind the closing one; false when it is missing or misplaced.
 */
static bool take_double_quoted(struct split *s) {
    while (s->cursor < s->end) {
        char c = *s->cursor++;
        if (c == '"') return quote_closes(s);
        if (c == '\\' && s->cursor < s->end) {
            const char *p = s->cursor;
            if (s->end - p >= 3 && p[0] == 'x' && hex_digit(p[1]) >= 0 && hex_digit(p[2]) >= 0) {
                c = (char)(hex_digit(p[1]) * 16 + hex_digit(p[2]));
                s->cursor += 3;
            } else {
                c = unescape(*s->cursor++);
            }
        }
        *s->out++ = c;
    }
    return false;
}

static bool take_single_quoted(struct split *s) {
    while (s->cursor < s->end) {
        char c = *s->cursor++;
        if (c == '\'') return quote_closes(s);
        if (c == '\\' && s->cursor < s->end && *s->cursor == '\'') c = *s->cursor++;
        *s->out++ = c;
    }
    return false;
}

static bool take_word(struct split *s) {
    while (s->cursor < s->end && !byte_ends_word(*s->cursor)) {
        char c = *s->cursor++;
        if (c == '"') return take_double_quoted(s);
        if (c == '\'') return take_single_quoted(s);
        *s->out++ = c;
    }
    return true;
}

int64_t request_split_line(struct bytes line, char *scratch, struct request_arena *arena,
                           struct bytes **words) {
    size_t count_max = line.size / 2 + 1;
    if ((size_t)(arena->end - arena->next) < count_max) request_arena_grow(arena, count_max);
    struct bytes *list = arena->next;
    int64_t count = 0;
    struct split s = {line.data, line.data + line.size, scratch};
    for (;;) {
        while (s.cursor < s.end && byte_is_space(*s.cursor))
            s.cursor++;
        if (s.cursor == s.end) break;
        char *word = s.out;
        if (!take_word(&s)) return -1;
        list[count++] = bytes_make(word, (size_t)(s.out - word));
    }
    *words = request_arena_reserve(arena, (size_t)count);
    return count;
}
