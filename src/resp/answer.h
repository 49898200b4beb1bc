/* answer.h: reading replies, for whoever is a client: tests, tools, replica links.
 *
 * A whole reply is parsed into nodes in one flat array, in the order in which they stand on the wire; an
 * aggregate's children follow it. Strings are slices of the input. */
#ifndef REDSTART_RESP_ANSWER_H
#define REDSTART_RESP_ANSWER_H

#include "base/bytes.h"

enum answer_kind {
    ANSWER_SIMPLE = '+', ANSWER_ERROR = '-', ANSWER_INTEGER = ':', ANSWER_BULK = '$',
    ANSWER_ARRAY = '*', ANSWER_NULL = '_', ANSWER_DOUBLE = ',', ANSWER_BOOLEAN = '#',
    ANSWER_BULK_ERROR = '!', ANSWER_VERBATIM = '=', ANSWER_BIG_NUMBER = '(', ANSWER_MAP = '%',
    ANSWER_SET = '~', ANSWER_PUSH = '>', ANSWER_ATTRIBUTE = '|',
};

enum { ANSWER_DEPTH_MAX = 128, ANSWER_BULK_MAX = 1 << 30 };

struct answer_node {
    enum answer_kind kind; /* $-1 and *-1 are ANSWER_NULL */
    uint32_t count;        /* children of an aggregate (a map of n pairs has 2n) */
    uint32_t next;         /* index of the node behind this one and all its children */
    int64_t integer;       /* integer, boolean */
    double number;
    struct bytes text;     /* simple, error, bulk, verbatim (without its format), big number, double */
};

struct answer {
    struct answer_node *nodes;
    uint32_t count, capacity;
};
void answer_release(struct answer *answer);

/* Bytes of the first whole reply in `input`, 0 when it is incomplete, -1 when it is malformed. `answer` may
 * be reused from call to call. */
int64_t answer_parse(struct answer *answer, struct bytes input);

#endif
