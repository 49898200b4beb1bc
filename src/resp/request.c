/* request.c: bytes from a client cut into requests.
 *
 * Two ways through. The quick one takes a request that is wholly there and has nothing unusual
 * about it, keeps no state, and leaves everything else, errors too, to the stepwise one, which
 * starts over from the request's first byte and remembers where it was. So each rule stands in the
 * stepwise way; the quick one only has to be sure when it says yes. A request that is not wholly
 * there and short is simply read again when more has come.
 *
 * Owns the kept pieces and blobs of an incomplete request. Must never reserve memory for what was
 * only announced, nor look at a byte twice without bound. */
#include "resp/request.h"

#include "base/invariant.h"
#include "base/memory.h"
#include "base/number.h"

enum {
    REREAD_MAX = 1024, /* bytes of an incomplete request that is read again from its beginning */
    QUICK_ROOM = 64,   /* arguments that are made room for unseen */
    BULK_END_SIZE = 2, /* CRLF */
    BULK_SIZE_MIN = 6, /* bytes of the shortest argument on the wire, "$0\r\n\r\n" */
    LENGTH_DIGITS_MAX = 18 /* what surely fits an int64_t */
};

enum state {
    STATE_START,  /* at a request's first byte */
    STATE_INLINE, /* in an inline request */
    STATE_COUNT,  /* in "*3\r\n" */
    STATE_LENGTH, /* in "$5\r\n" */
    STATE_BULK,   /* bulk_size is known, position is at its first byte */
    STATE_FILL,   /* position is at the next byte for the blob */
    STATE_FILLED, /* position is behind the blob's last byte, at its CRLF */
};

/* A complete argument: where it is in the input or in the kept bytes. */
struct request_piece {
    size_t offset;
    size_t size;
};

/* ---- requests ---- */

static void large_free(struct request_large *large, uint32_t count) {
    for (uint32_t i = 0; i < count; i++)
        blob_let_go(large[i].blob);
    memory_free(large);
}

void request_release_held(struct request *request) {
    large_free(request->large, request->large_count);
    memory_free(request->kept);
    request->large = NULL;
    request->large_count = 0;
    request->kept = NULL;
}

static bool is_large(const struct request *request, uint32_t *next, uint32_t index) {
    if (*next == request->large_count || request->large[*next].index != index) return false;
    ++*next;
    return true;
}

size_t request_small_size(const struct request *request) {
    size_t size = 0;
    uint32_t large = 0;
    for (uint32_t i = 0; i < request->count; i++)
        if (!is_large(request, &large, i)) size += request->arguments[i].size;
    return size;
}

char *request_move_words(struct request *request, struct bytes *words, char *to) {
    uint32_t large = 0;
    for (uint32_t i = 0; i < request->count; i++) {
        words[i] = request->arguments[i];
        if (is_large(request, &large, i)) continue;
        memcpy(to, words[i].data, words[i].size);
        words[i].data = to;
        to += words[i].size;
    }
    request->arguments = words;
    return to;
}

struct blob *request_hold_blob(struct request *request, uint32_t index) {
    uint32_t low = 0, high = request->large_count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (request->large[middle].index < index)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == request->large_count || request->large[low].index != index) return NULL;
    return blob_hold(request->large[low].blob);
}

/* ---- the quick way ---- */

enum quick {
    QUICK_DONE,
    QUICK_SHORT,   /* fine so far, but the input ends before the request */
    QUICK_UNUSUAL, /* let the stepwise way look at it */
};

/* Digits, CR and one more byte: the number, and *cursor behind them. */
static inline __attribute__((always_inline)) enum quick
quick_length(const char **cursor, const char *end, uint64_t *length) {
    const char *p = *cursor;
    if (unlikely(end - p < 3))
        return p == end || (*p >= '0' && *p <= '9') ? QUICK_SHORT : QUICK_UNUSUAL;
    uint64_t value = (uint8_t)(*p++ - '0');
    if (value > 9) return QUICK_UNUSUAL;
    if (unlikely(*p != '\r')) {
        if (value == 0) return QUICK_UNUSUAL;
        const char *digits_end = end - p > LENGTH_DIGITS_MAX ? p + LENGTH_DIGITS_MAX : end;
        do {
            unsigned digit = (uint8_t)(*p - '0');
            if (digit > 9) return QUICK_UNUSUAL;
            value = value * 10 + digit;
            if (++p == digits_end) return p == end ? QUICK_SHORT : QUICK_UNUSUAL;
        } while (*p != '\r');
        if (end - p < 2) return QUICK_SHORT;
    }
    *length = value;
    *cursor = p + 2;
    return QUICK_DONE;
}

/* Whether room for so many arguments is worth making when `left` bytes have come. */
static bool quick_count_is_usual(uint64_t count, size_t left, const struct request_limits *limits) {
    if (count - 1 >= REQUEST_ARGUMENTS_MAX) return false;
    if (!limits->authenticated && count > REQUEST_ARGUMENTS_MAX_UNAUTHENTICATED) return false;
    return count <= QUICK_ROOM || count <= left / BULK_SIZE_MIN;
}

static uint64_t bulk_size_max(const struct request_limits *limits) {
    if (!limits->authenticated && limits->bulk_max > REQUEST_BULK_MAX_UNAUTHENTICATED)
        return REQUEST_BULK_MAX_UNAUTHENTICATED;
    return limits->bulk_max;
}

static enum quick parse_quick(struct bytes input, const struct request_limits *limits,
                              struct request_arena *arena, struct request *request,
                              size_t *consumed) {
    if (input.size == 0) return QUICK_SHORT;
    const char *p = input.data;
    const char *end = p + input.size;
    if (*p++ != '*') return QUICK_UNUSUAL;
    uint64_t count;
    enum quick quick = quick_length(&p, end, &count);
    if (quick != QUICK_DONE) return quick;
    if (unlikely(!quick_count_is_usual(count, (size_t)(end - p), limits))) return QUICK_UNUSUAL;
    if (unlikely((size_t)(arena->end - arena->next) < count)) request_arena_grow(arena, count);

    struct bytes *argument = arena->next, *behind = argument + count;
    uint64_t size_max = bulk_size_max(limits);
    for (; argument < behind; argument++) {
        if (p == end) return QUICK_SHORT;
        if (unlikely(*p++ != '$')) return QUICK_UNUSUAL;
        uint64_t size;
        quick = quick_length(&p, end, &size);
        if (unlikely(quick != QUICK_DONE)) return quick;
        if (unlikely(size > size_max)) return QUICK_UNUSUAL;
        if (unlikely((size_t)(end - p) < size + BULK_END_SIZE))
            return size < REQUEST_LARGE_MIN ? QUICK_SHORT : QUICK_UNUSUAL;
        *argument = (struct bytes){p, size};
        p += size + BULK_END_SIZE;
    }
    request->arguments = arena->next;
    arena->next = behind;
    request->count = (uint32_t)count;
    request->large_count = 0;
    request->large = NULL;
    request->kept = NULL;
    *consumed = request->size = (size_t)(p - input.data);
    return QUICK_DONE;
}

/* ---- the stepwise way ---- */

/* What a step leads to, besides the results of request_parse: the next step. */
enum step { STEP_READY, STEP_PARTIAL, STEP_ASKS, STEP_ERROR, STEP_ON };

/* One call of request_parse. */
struct parse {
    struct request_parser *parser;
    struct bytes input;
    const struct request_limits *limits;
    struct request_arena *arena;
    struct request *request;
    const char **error;
};

static enum step step_fail(struct parse *s, const char *text) {
    *s->error = text;
    return STEP_ERROR;
}

/* The request is complete and ends at the parser's position. */
static enum step step_ready(struct parse *s, struct bytes *arguments, size_t count) {
    struct request_parser *parser = s->parser;
    *s->request = (struct request){
        .arguments = arguments,
        .count = (uint32_t)count,
        .large_count = parser->large_count,
        .large = parser->large,
        .kept = parser->kept,
        .size = parser->taken + parser->position,
    };
    memory_free(parser->pieces);
    *parser = (struct request_parser){.position = parser->position};
    return STEP_READY;
}

/* Find the byte that ends the current line, which is refused when it has more than REQUEST_LINE_MAX
 * bytes before that. */
static enum step line_find_end(struct parse *s, char ending, const char *too_big,
                               const char **line_end) {
    struct request_parser *parser = s->parser;
    size_t line_max = (size_t)REQUEST_LINE_MAX + 1, left = s->input.size - parser->line;
    size_t scan_end = parser->line + (left < line_max ? left : line_max);
    *line_end = memchr(s->input.data + parser->position, ending, scan_end - parser->position);
    if (*line_end) return STEP_ON;
    parser->position = scan_end;
    return left < line_max ? STEP_PARTIAL : step_fail(s, too_big);
}

static enum step step_inline(struct parse *s) {
    struct request_parser *parser = s->parser;
    const char *line_end;
    enum step step = line_find_end(s, '\n', "too big inline request", &line_end);
    if (step != STEP_ON) return step;
    struct bytes line = {s->input.data, (size_t)(line_end - s->input.data)};
    parser->position = line.size + 1;
    size_t slots = line.size / sizeof(struct bytes) + 1;
    char *scratch = (char *)request_arena_reserve(s->arena, slots);
    struct bytes *words;
    int64_t count = request_split_line(line, scratch, s->arena, &words);
    if (count < 0) return step_fail(s, "unbalanced quotes in request");
    return step_ready(s, words, (size_t)count);
}

/* A line of a letter and a number: `number` is what it says, `valid` whether it says one. */
static enum step length_line(struct parse *s, const char *too_big, int64_t *number, bool *valid) {
    struct request_parser *parser = s->parser;
    const char *line_end;
    enum step step = line_find_end(s, '\r', too_big, &line_end);
    if (step != STEP_ON) return step;
    size_t end = (size_t)(line_end - s->input.data);
    if (s->input.size - end < 2) {
        parser->position = end;
        return STEP_PARTIAL;
    }
    parser->position = end + 2;
    size_t digits = parser->line + 1; /* behind the end when the line is empty */
    *valid =
        digits <= end && number_parse_i64(bytes_make(s->input.data + digits, end - digits), number);
    return STEP_ON;
}

static enum step step_count(struct parse *s) {
    struct request_parser *parser = s->parser;
    int64_t count;
    bool valid;
    enum step step = length_line(s, "too big mbulk count string", &count, &valid);
    if (step != STEP_ON) return step;
    if (!valid || count > REQUEST_ARGUMENTS_MAX) return step_fail(s, "invalid multibulk length");
    if (count > REQUEST_ARGUMENTS_MAX_UNAUTHENTICATED && !s->limits->authenticated)
        return step_fail(s, "unauthenticated multibulk length");
    if (count <= 0) return step_ready(s, NULL, 0);
    parser->expected = (uint32_t)count;
    parser->line = parser->position;
    parser->state = STATE_LENGTH;
    return STEP_ON;
}

static enum step step_fail_unexpected(struct parse *s, char got) {
    static const char before[] = "expected '$', got '";
    char *text = s->parser->error;
    _Static_assert(sizeof(before) + 2 <= sizeof(s->parser->error), "the text fits");
    memcpy(text, before, sizeof(before) - 1);
    text[sizeof(before) - 1] = got ? got : ' ';
    text[sizeof(before)] = '\'';
    text[sizeof(before) + 1] = 0;
    return step_fail(s, text);
}

static enum step step_length(struct parse *s) {
    struct request_parser *parser = s->parser;
    int64_t size;
    bool valid;
    enum step step = length_line(s, "too big bulk count string", &size, &valid);
    if (step != STEP_ON) return step;
    char letter = s->input.data[parser->line];
    if (letter != '$') return step_fail_unexpected(s, letter);
    if (!valid || size < 0 || (uint64_t)size > s->limits->bulk_max)
        return step_fail(s, "invalid bulk length");
    if (size > REQUEST_BULK_MAX_UNAUTHENTICATED && !s->limits->authenticated)
        return step_fail(s, "unauthenticated bulk length");
    parser->bulk_size = (uint64_t)size;
    parser->state = STATE_BULK;
    return STEP_ON;
}

/* All arguments are there: list them. */
static enum step request_assemble(struct parse *s) {
    struct request_parser *parser = s->parser;
    struct bytes *arguments = request_arena_reserve(s->arena, parser->expected);
    for (uint32_t i = 0; i < parser->expected; i++) {
        const struct request_piece *piece = &parser->pieces[i];
        const char *base = i < parser->kept_count ? parser->kept : s->input.data;
        arguments[i] = piece->size ? bytes_make(base + piece->offset, piece->size)
                                   : bytes_make(s->input.data, 0);
    }
    for (uint32_t i = 0; i < parser->large_count; i++)
        arguments[parser->large[i].index] = blob_bytes(parser->large[i].blob);
    return step_ready(s, arguments, parser->expected);
}

/* An argument is complete; position is behind its CRLF. */
static enum step argument_done(struct parse *s, struct request_piece piece) {
    struct request_parser *parser = s->parser;
    if (parser->parsed == parser->piece_capacity) {
        uint32_t capacity = parser->piece_capacity ? parser->piece_capacity * 2 : 16;
        parser->pieces = memory_resize(parser->pieces, capacity * sizeof(*parser->pieces));
        parser->piece_capacity = capacity;
    }
    parser->pieces[parser->parsed++] = piece;
    if (parser->parsed == parser->expected) return request_assemble(s);
    parser->line = parser->position;
    parser->state = STATE_LENGTH;
    return STEP_ON;
}

/* ---- large arguments ---- */

/* The input is about to be consumed: copy the arguments that are still in it. */
static void pieces_keep(struct request_parser *parser, const char *input) {
    size_t size = parser->kept_size;
    for (uint32_t i = parser->kept_count; i < parser->parsed; i++)
        size += parser->pieces[i].size;
    if (size > parser->kept_capacity) {
        size_t doubled = parser->kept_capacity * 2;
        parser->kept_capacity = size > doubled ? size : doubled;
        parser->kept = memory_resize(parser->kept, parser->kept_capacity);
    }
    for (uint32_t i = parser->kept_count; i < parser->parsed; i++) {
        struct request_piece *piece = &parser->pieces[i];
        if (piece->size)
            memcpy(parser->kept + parser->kept_size, input + piece->offset, piece->size);
        piece->offset = parser->kept_size;
        parser->kept_size += piece->size;
    }
    parser->kept_count = parser->parsed;
}

/* Make room in the blob being filled, when it is full: for all that is to come, unless that is many
 * times what has come. False when there is no memory. */
static bool fill_grow(struct request_parser *parser) {
    struct blob *old = parser->filling;
    if (old && (old->size < old->capacity || old->size == parser->bulk_size)) return true;
    uint64_t capacity = old ? (uint64_t)old->size * REQUEST_FILL_GROWTH : REQUEST_FILL_FIRST;
    if (capacity > parser->bulk_size) capacity = parser->bulk_size;
    struct blob *grown = blob_try_make(capacity);
    if (!grown) return false;
    if (old) {
        memcpy(grown->data, old->data, old->size);
        grown->size = old->size;
        blob_let_go(old);
    }
    parser->filling = grown;
    return true;
}

char *request_parser_fill(struct request_parser *parser, size_t *room) {
    if (parser->state != STATE_FILL || !fill_grow(parser)) return NULL;
    struct blob *blob = parser->filling;
    *room = blob->capacity - blob->size;
    if (*room > parser->bulk_size - blob->size) *room = parser->bulk_size - blob->size;
    return blob->data + blob->size;
}

/* So many bytes have been put where request_parser_fill said. */
static void fill_advance(struct request_parser *parser, size_t size) {
    INVARIANT(parser->state == STATE_FILL);
    INVARIANT(size <= parser->filling->capacity - parser->filling->size);
    parser->filling->size += size;
    INVARIANT(parser->filling->size <= parser->bulk_size);
    if (parser->filling->size == parser->bulk_size) parser->state = STATE_FILLED;
}

void request_parser_filled(struct request_parser *parser, size_t size) {
    fill_advance(parser, size);
    parser->taken += size;
}

static enum step step_fill(struct parse *s) {
    struct request_parser *parser = s->parser;
    while (parser->state == STATE_FILL) {
        size_t room, left = s->input.size - parser->position;
        if (left == 0) return STEP_PARTIAL;
        char *to = request_parser_fill(parser, &room);
        if (!to) return step_fail(s, "out of memory for a bulk string");
        size_t part = left < room ? left : room;
        memcpy(to, s->input.data + parser->position, part);
        parser->position += part;
        fill_advance(parser, part);
    }
    return STEP_ON;
}

static enum step step_bulk(struct parse *s) {
    struct request_parser *parser = s->parser;
    size_t left = s->input.size - parser->position;
    if (left >= BULK_END_SIZE && left - BULK_END_SIZE >= parser->bulk_size) {
        struct request_piece piece = {parser->position, parser->bulk_size};
        parser->position += parser->bulk_size + BULK_END_SIZE;
        return argument_done(s, piece);
    }
    if (parser->bulk_size < REQUEST_LARGE_MIN) return STEP_PARTIAL;
    if (s->limits->asks && !parser->admitted) return STEP_ASKS;
    parser->admitted = false;
    pieces_keep(parser, s->input.data);
    if (!fill_grow(parser)) return step_fail(s, "out of memory for a bulk string");
    parser->state = STATE_FILL;
    return STEP_ON;
}

static enum step step_filled(struct parse *s) {
    struct request_parser *parser = s->parser;
    if (s->input.size - parser->position < BULK_END_SIZE) return STEP_PARTIAL;
    parser->position += BULK_END_SIZE;
    uint32_t count = parser->large_count;
    if ((count & (count - 1)) == 0) { /* full: capacities are powers of two */
        size_t capacity = count ? (size_t)count * 2 : 1;
        parser->large = memory_resize(parser->large, capacity * sizeof(*parser->large));
    }
    parser->large[parser->large_count++] = (struct request_large){parser->parsed, parser->filling};
    parser->large_size += parser->filling->capacity;
    parser->filling = NULL;
    return argument_done(s, (struct request_piece){0, 0});
}

/* ---- both ways ---- */

static enum step step_once(struct parse *s) {
    switch ((enum state)s->parser->state) {
    case STATE_START:
        if (s->input.size == 0) return STEP_PARTIAL;
        s->parser->state = s->input.data[0] == '*' ? STATE_COUNT : STATE_INLINE;
        return STEP_ON;
    case STATE_INLINE: return step_inline(s);
    case STATE_COUNT: return step_count(s);
    case STATE_LENGTH: return step_length(s);
    case STATE_BULK: return step_bulk(s);
    case STATE_FILL: return step_fill(s);
    case STATE_FILLED: return step_filled(s);
    }
    __builtin_unreachable();
}

/* Nothing more to be had from this input; what a blob has swallowed need not come again. */
static enum request_result parse_pause(struct request_parser *parser, size_t *consumed) {
    *consumed = 0;
    if (parser->state == STATE_FILL || parser->state == STATE_FILLED) {
        *consumed = parser->position;
        parser->taken += parser->position;
        parser->position = 0;
    }
    return REQUEST_PARTIAL;
}

static __attribute__((noinline)) enum request_result parse_stepwise(struct parse *s,
                                                                    size_t *consumed) {
    struct request_parser *parser = s->parser;
    for (;;) {
        switch (step_once(s)) {
        case STEP_READY:
            *consumed = parser->position;
            parser->position = 0;
            return REQUEST_READY;
        case STEP_PARTIAL: return parse_pause(parser, consumed);
        case STEP_ASKS: *consumed = 0; return REQUEST_ASKS;
        case STEP_ERROR: return REQUEST_ERROR;
        case STEP_ON: break;
        }
    }
}

enum request_result request_parse(struct request_parser *parser, struct bytes input,
                                  const struct request_limits *limits, struct request_arena *arena,
                                  struct request *request, size_t *consumed, const char **error) {
    if (likely(parser->state == STATE_START)) {
        enum quick quick = parse_quick(input, limits, arena, request, consumed);
        if (likely(quick == QUICK_DONE)) return REQUEST_READY;
        if (quick == QUICK_SHORT && input.size < REREAD_MAX) {
            *consumed = 0;
            return REQUEST_PARTIAL;
        }
    }
    struct parse s = {parser, input, limits, arena, request, error};
    return parse_stepwise(&s, consumed);
}

size_t request_parser_asks(const struct request_parser *parser) {
    bool is_vast = parser->bulk_size > REQUEST_FILL_FIRST;
    return blob_memory(is_vast ? REQUEST_FILL_FIRST : parser->bulk_size);
}

void request_parser_admit(struct request_parser *parser) {
    parser->admitted = true;
}

void request_parser_release(struct request_parser *parser) {
    blob_let_go(parser->filling);
    large_free(parser->large, parser->large_count);
    memory_free(parser->kept);
    memory_free(parser->pieces);
    memset(parser, 0, sizeof(*parser));
}

size_t request_parser_memory(const struct request_parser *parser) {
    size_t size = parser->piece_capacity * sizeof(*parser->pieces) + parser->kept_capacity;
    size += parser->large_size + parser->large_count * sizeof(*parser->large);
    return parser->filling ? size + parser->filling->capacity : size;
}
