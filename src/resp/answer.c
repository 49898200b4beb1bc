/* answer.c: reading replies.
 *
 * One pass over the input with an explicit stack of the aggregates that are open. Nothing is
 * believed before it is seen: nodes are made as their bytes come, so an announced count costs
 * nothing. The format is that of the RESP3 specification, without streamed types. */
#include "resp/answer.h"

#include <math.h>

#include "base/memory.h"
#include "base/number.h"

/* An aggregate whose children are being read. */
struct level {
    uint32_t node;
    uint32_t left; /* children still to come */
};

enum outcome { OUTCOME_DONE, OUTCOME_INCOMPLETE, OUTCOME_MALFORMED };

struct reading {
    struct answer *answer;
    const char *cursor;
    const char *end;
    uint32_t depth;
    struct level levels[ANSWER_DEPTH_MAX];
};

void answer_release(struct answer *answer) {
    memory_free(answer->nodes);
    memset(answer, 0, sizeof(*answer));
}

static struct answer_node *node_add(struct answer *answer, enum answer_kind kind) {
    if (answer->count == answer->capacity) {
        uint32_t capacity = answer->capacity ? answer->capacity * 2 : 16;
        answer->nodes = memory_resize(answer->nodes, capacity * sizeof(*answer->nodes));
        answer->capacity = capacity;
    }
    struct answer_node *node = &answer->nodes[answer->count++];
    *node = (struct answer_node){.kind = kind, .next = answer->count};
    return node;
}

/* The text up to CRLF; the cursor goes behind it. */
static enum outcome line_read(struct reading *r, struct bytes *line) {
    size_t left = (size_t)(r->end - r->cursor);
    size_t scan = left <= ANSWER_LINE_MAX ? left : ANSWER_LINE_MAX + 1;
    const char *cr = memchr(r->cursor, '\r', scan);
    *line = bytes_make(r->cursor, cr ? (size_t)(cr - r->cursor) : scan);
    if (line->size && memchr(line->data, '\n', line->size)) return OUTCOME_MALFORMED;
    if (!cr) return left > ANSWER_LINE_MAX ? OUTCOME_MALFORMED : OUTCOME_INCOMPLETE;
    if (cr + 1 == r->end) return OUTCOME_INCOMPLETE;
    if (cr[1] != '\n') return OUTCOME_MALFORMED;
    r->cursor = cr + 2;
    return OUTCOME_DONE;
}

static bool digits_are(struct bytes text) {
    for (size_t i = 0; i < text.size; i++)
        if (text.data[i] < '0' || text.data[i] > '9') return false;
    return text.size > 0;
}

static struct bytes without_plus(struct bytes text) {
    bool plus = text.size > 1 && text.data[0] == '+' && text.data[1] != '-';
    return plus ? bytes_make(text.data + 1, text.size - 1) : text;
}

/* A size or count of 0 to `max`, or -1 where `nullable`. */
static bool length_read(struct bytes line, int64_t max, bool nullable, int64_t *length) {
    if (!number_parse_i64(line, length) || *length > max) return false;
    return *length >= 0 || (nullable && *length == -1);
}

static bool double_read(struct bytes line, double *number) {
    if (bytes_is(line, "nan") || bytes_is(line, "-nan")) {
        *number = (double)NAN;
        return true;
    }
    return number_parse_double(without_plus(line), number);
}

/* A big number is an optional sign and digits. */
static bool big_number_is(struct bytes line) {
    bool sign = line.size > 0 && (line.data[0] == '-' || line.data[0] == '+');
    return digits_are(bytes_make(line.data + sign, line.size - sign));
}

/* Whatever is on one line. */
static bool scalar_read(struct answer *answer, enum answer_kind kind, struct bytes line) {
    struct answer_node *node = node_add(answer, kind);
    switch (kind) {
    case ANSWER_SIMPLE:
    case ANSWER_ERROR: node->text = line; return true;
    case ANSWER_INTEGER: return number_parse_i64(without_plus(line), &node->integer);
    case ANSWER_NULL: return line.size == 0;
    case ANSWER_DOUBLE: node->text = line; return double_read(line, &node->number);
    case ANSWER_BIG_NUMBER: node->text = line; return big_number_is(line);
    case ANSWER_BOOLEAN:
        node->integer = line.size == 1 && line.data[0] == 't';
        return line.size == 1 && (line.data[0] == 't' || line.data[0] == 'f');
    default: return false;
    }
}

/* Bytes with their size before them; `line` is the size. */
static enum outcome bulk_read(struct reading *r, enum answer_kind kind, struct bytes line) {
    int64_t length;
    if (!length_read(line, ANSWER_BULK_MAX, kind == ANSWER_BULK, &length)) return OUTCOME_MALFORMED;
    if (length < 0) {
        node_add(r->answer, ANSWER_NULL);
        return OUTCOME_DONE;
    }
    size_t size = (size_t)length, left = (size_t)(r->end - r->cursor);
    const char *text = r->cursor;
    if (left > size && text[size] != '\r') return OUTCOME_MALFORMED;
    if (left < size + 2) return OUTCOME_INCOMPLETE;
    if (text[size + 1] != '\n') return OUTCOME_MALFORMED;
    size_t format_size = kind == ANSWER_VERBATIM ? ANSWER_FORMAT_SIZE : 0;
    if (size < format_size || (format_size && text[format_size - 1] != ':'))
        return OUTCOME_MALFORMED;
    node_add(r->answer, kind)->text = bytes_make(text + format_size, size - format_size);
    r->cursor += size + 2;
    return OUTCOME_DONE;
}

/* The head of an aggregate, which opens a level unless it is empty or null. */
static enum outcome aggregate_read(struct reading *r, enum answer_kind kind, struct bytes line) {
    int64_t length;
    if (!length_read(line, ANSWER_CHILDREN_MAX, kind == ANSWER_ARRAY, &length))
        return OUTCOME_MALFORMED;
    if (length < 0) {
        node_add(r->answer, ANSWER_NULL);
        return OUTCOME_DONE;
    }
    bool pairs = kind == ANSWER_MAP || kind == ANSWER_ATTRIBUTE;
    if (pairs && (length *= 2) > ANSWER_CHILDREN_MAX) return OUTCOME_MALFORMED;
    if (r->depth == ANSWER_DEPTH_MAX) return OUTCOME_MALFORMED;
    node_add(r->answer, kind)->count = (uint32_t)length;
    r->levels[r->depth++] = (struct level){r->answer->count - 1, (uint32_t)length};
    return OUTCOME_DONE;
}

static enum outcome node_read(struct reading *r) {
    if (r->cursor == r->end) return OUTCOME_INCOMPLETE;
    enum answer_kind kind = (enum answer_kind) * r->cursor++;
    if (!memchr("+-:$*_,#!=(%~>|", kind, 15)) return OUTCOME_MALFORMED;
    struct bytes line;
    enum outcome outcome = line_read(r, &line);
    if (outcome != OUTCOME_DONE) return outcome;
    switch (kind) {
    case ANSWER_BULK:
    case ANSWER_BULK_ERROR:
    case ANSWER_VERBATIM: return bulk_read(r, kind, line);
    case ANSWER_ARRAY:
    case ANSWER_MAP:
    case ANSWER_SET:
    case ANSWER_PUSH:
    case ANSWER_ATTRIBUTE: return aggregate_read(r, kind, line);
    default: return scalar_read(r->answer, kind, line) ? OUTCOME_DONE : OUTCOME_MALFORMED;
    }
}

/* A node has been read: close the aggregates that it completes. True when the reply is whole. */
static bool levels_close(struct reading *r, uint32_t first) {
    const struct answer_node *nodes = r->answer->nodes;
    /* What was completed last; an aggregate that has just been opened is not. */
    bool opened = r->depth > 0 && r->levels[r->depth - 1].node == first;
    uint32_t done = first;
    if (opened && r->levels[r->depth - 1].left > 0) return false;
    for (;;) {
        if (opened) {
            done = r->levels[--r->depth].node;
            r->answer->nodes[done].next = r->answer->count;
        }
        if (nodes[done].kind == ANSWER_ATTRIBUTE) return false;
        if (r->depth == 0) return true;
        if (--r->levels[r->depth - 1].left > 0) return false;
        opened = true;
    }
}

int64_t answer_parse(struct answer *answer, struct bytes input) {
    if (input.size == 0) return 0;
    struct reading r;
    r.answer = answer;
    r.cursor = input.data;
    r.end = input.data + input.size;
    r.depth = 0;
    answer->count = 0;
    for (;;) {
        uint32_t node = answer->count;
        enum outcome outcome = node_read(&r);
        if (outcome != OUTCOME_DONE) return outcome == OUTCOME_INCOMPLETE ? 0 : -1;
        if (levels_close(&r, node)) return r.cursor - input.data;
    }
}
