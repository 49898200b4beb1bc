/* answer.h: reading replies, for whoever is a client: tests, tools, replica links.
 *
 * A whole reply is parsed into nodes in one flat array, in the order in which they stand on the
 * wire; an aggregate's children follow it. Strings are slices of the input.
 *
 *     *2\r\n :1\r\n ~1\r\n +a\r\n        kind  *  :  ~  +
 *                                       count 2  0  1  0
 *                                       next  4  2  4  4
 *
 * An attribute stands before the node that it says something about and counts as nobody's child:
 * the reply is the first node that is none (answer_skip_attributes). */
#ifndef REDSTART_RESP_ANSWER_H
#define REDSTART_RESP_ANSWER_H

#include "base/bytes.h"

enum answer_kind {
    ANSWER_SIMPLE = '+',
    ANSWER_ERROR = '-',
    ANSWER_INTEGER = ':',
    ANSWER_BULK = '$',
    ANSWER_ARRAY = '*',
    ANSWER_NULL = '_',
    ANSWER_DOUBLE = ',',
    ANSWER_BOOLEAN = '#',
    ANSWER_BULK_ERROR = '!',
    ANSWER_VERBATIM = '=',
    ANSWER_BIG_NUMBER = '(',
    ANSWER_MAP = '%',
    ANSWER_SET = '~',
    ANSWER_PUSH = '>',
    ANSWER_ATTRIBUTE = '|',
};

/* What is beyond them is malformed. */
enum {
    ANSWER_DEPTH_MAX = 128,          /* aggregates in each other */
    ANSWER_BULK_MAX = 1 << 30,       /* bytes */
    ANSWER_LINE_MAX = 1 << 20,       /* bytes of a line before its CRLF */
    ANSWER_CHILDREN_MAX = INT32_MAX, /* of one aggregate */
    ANSWER_FORMAT_SIZE = 4,          /* "txt:", before a verbatim string's text */
};

struct answer_node {
    enum answer_kind kind; /* $-1 and *-1 are ANSWER_NULL */
    uint32_t count;        /* children of an aggregate (a map of n pairs has 2n) */
    uint32_t next;         /* index of the node behind this one and all its children */
    int64_t integer;       /* integer, boolean */
    double number;
    struct bytes text; /* simple, error, bulk, verbatim (without its format), big number, double.
                        * A verbatim string's format is the 4 bytes before: "txt:" */
};

struct answer {
    struct answer_node *nodes;
    uint32_t count, capacity;
};
void answer_release(struct answer *answer);

/* The index of the node at `index`, or behind it if that is an attribute. */
static inline uint32_t answer_skip_attributes(const struct answer *answer, uint32_t index) {
    while (answer->nodes[index].kind == ANSWER_ATTRIBUTE)
        index = answer->nodes[index].next;
    return index;
}

/* Bytes of the first whole reply in `input`, 0 when it is incomplete, -1 when it is malformed.
 * `answer` may be reused from call to call; zeroed at first. */
int64_t answer_parse(struct answer *answer, struct bytes input);

#endif
