/* Replies read back: random trees written by reply.c, what is malformed, and limits. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>
#include <math.h>

#include "reply_sink.h"
#include "resp/answer.h"

static uint64_t random_next(uint64_t *state) {
    uint64_t z = (*state += 0x9e3779b97f4a7c15ULL);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
    return z ^ (z >> 31);
}

static size_t random_below(uint64_t *state, size_t bound) {
    return random_next(state) % bound;
}

static uint64_t seed_of_run(void) {
    const char *text = getenv("SEED");
    uint64_t seed = text ? strtoull(text, NULL, 0) : (uint64_t)(uintptr_t)&text ^ 0x5eed;
    print_message("SEED=%llu\n", (unsigned long long)seed);
    return seed;
}

/* ---- random trees ---- */

enum { TREE_NODES_MAX = 4000, TREE_TEXT_MAX = 300 };

/* The model: what was written, in order. */
struct tree {
    uint64_t seed;
    struct reply *reply;
    struct answer_node nodes[TREE_NODES_MAX];
    uint32_t count;
    uint32_t pending; /* nodes that open aggregates still want */
    char text[TREE_NODES_MAX * 16];
    size_t text_size;
};

static struct answer_node *tree_add(struct tree *tree, enum answer_kind kind) {
    struct answer_node *node = &tree->nodes[tree->count++];
    *node = (struct answer_node){.kind = kind, .next = tree->count};
    return node;
}

static struct bytes random_text(struct tree *tree) {
    char *text = tree->text + tree->text_size;
    size_t left = sizeof(tree->text) - tree->text_size;
    size_t size = random_below(&tree->seed, random_below(&tree->seed, 5) ? 12 : TREE_TEXT_MAX);
    if (size > left) size = left;
    for (size_t i = 0; i < size; i++)
        text[i] = (char)random_next(&tree->seed);
    tree->text_size += size;
    return bytes_make(text, size);
}

static int64_t random_integer(uint64_t *seed) {
    return (int64_t)(random_next(seed) >> random_below(seed, 64)) *
           (random_below(seed, 2) ? 1 : -1);
}

static void tree_leaf(struct tree *tree) {
    struct reply *reply = tree->reply;
    bool old = reply->protocol == 2;
    struct answer_node *node;
    switch (random_below(&tree->seed, 10)) {
    case 0:
        tree_add(tree, ANSWER_SIMPLE)->text = BYTES("OK");
        reply_ok(reply);
        break;
    case 1:
        tree_add(tree, ANSWER_ERROR)->text = BYTES("ERR some text");
        reply_error(reply, BYTES("ERR some text"));
        break;
    case 2:
        node = tree_add(tree, ANSWER_INTEGER);
        reply_integer(reply, node->integer = random_integer(&tree->seed));
        break;
    case 3:
        tree_add(tree, ANSWER_NULL);
        if (random_below(&tree->seed, 2))
            reply_null(reply);
        else
            reply_null_array(reply);
        break;
    case 4:
        node = tree_add(tree, old ? ANSWER_INTEGER : ANSWER_BOOLEAN);
        node->integer = (int64_t)random_below(&tree->seed, 2);
        reply_boolean(reply, node->integer);
        break;
    case 5:
        node = tree_add(tree, old ? ANSWER_BULK : ANSWER_DOUBLE);
        node->text = BYTES("-2.5");
        node->number = old ? 0 : -2.5;
        reply_double(reply, -2.5);
        break;
    case 6:
        tree_add(tree, old ? ANSWER_BULK : ANSWER_BIG_NUMBER)->text = BYTES("+1234567890123456789");
        reply_big_number(reply, BYTES("+1234567890123456789"));
        break;
    case 7:
        node = tree_add(tree, old ? ANSWER_BULK : ANSWER_VERBATIM);
        node->text = random_text(tree);
        reply_verbatim(reply, "mkd", node->text);
        break;
    default:
        node = tree_add(tree, ANSWER_BULK);
        node->text = random_text(tree);
        reply_bulk(reply, node->text);
    }
}

static void tree_node(struct tree *tree, uint32_t depth);

static void tree_children(struct tree *tree, struct answer_node *parent, uint32_t depth) {
    tree->pending += parent->count;
    for (uint32_t i = 0; i < parent->count; i++) {
        tree->pending--;
        tree_node(tree, depth + 1);
    }
    parent->next = tree->count;
}

static void tree_aggregate(struct tree *tree, uint32_t depth) {
    struct reply *reply = tree->reply;
    bool old = reply->protocol == 2;
    size_t count = random_below(&tree->seed, random_below(&tree->seed, 4) ? 4 : 150);
    if (tree->count + tree->pending + 2 * count + 10 > TREE_NODES_MAX) count = 0;
    struct answer_node *node = tree_add(tree, ANSWER_ARRAY);
    node->count = (uint32_t)count;
    switch (random_below(&tree->seed, 4)) {
    case 0: reply_array(reply, count); break;
    case 1:
        if (!old) node->kind = ANSWER_MAP;
        node->count = (uint32_t)count * 2;
        reply_map(reply, count);
        break;
    case 2:
        if (!old) node->kind = ANSWER_SET;
        reply_set(reply, count);
        break;
    default:
        if (!old) node->kind = ANSWER_PUSH;
        reply_push(reply, count);
    }
    tree_children(tree, node, depth);
}

static void tree_attribute(struct tree *tree, uint32_t depth) {
    struct answer_node *node = tree_add(tree, ANSWER_ATTRIBUTE);
    node->count = 2 * (uint32_t)random_below(&tree->seed, 3);
    reply_attribute(tree->reply, node->count / 2);
    tree_children(tree, node, depth);
}

static void tree_node(struct tree *tree, uint32_t depth) {
    bool deeper = depth < 10 && tree->count + tree->pending + 10 < TREE_NODES_MAX;
    if (deeper && tree->reply->protocol == 3 && random_below(&tree->seed, 20) == 0) {
        tree->pending++;
        tree_attribute(tree, depth);
        tree->pending--;
    }
    deeper = depth < 10 && tree->count + tree->pending + 10 < TREE_NODES_MAX;
    if (deeper && random_below(&tree->seed, 3) == 0)
        tree_aggregate(tree, depth);
    else
        tree_leaf(tree);
}

static void expect_tree(const struct tree *tree, const struct answer *answer) {
    assert_int_equal(answer->count, tree->count);
    for (uint32_t i = 0; i < tree->count; i++) {
        const struct answer_node *got = &answer->nodes[i], *want = &tree->nodes[i];
        assert_int_equal(got->kind, want->kind);
        assert_int_equal(got->count, want->count);
        assert_int_equal(got->next, want->next);
        assert_int_equal(got->integer, want->integer);
        assert_true(got->number == want->number);
        assert_true(bytes_equal(got->text, want->text));
        if (got->kind == ANSWER_VERBATIM)
            assert_memory_equal(got->text.data - ANSWER_FORMAT_SIZE, "mkd:", ANSWER_FORMAT_SIZE);
    }
}

/* Anything less than the whole is incomplete; what follows is not looked at. */
static void expect_cuts(struct answer *answer, struct buffer *wire, uint64_t *seed) {
    size_t size = wire->size;
    for (size_t cut = 0; cut < size; cut += size < 3000 ? 1 : 1 + random_below(seed, size / 100)) {
        char *copy = memory_alloc(cut + 1);
        memcpy(copy, wire->data, cut);
        assert_int_equal(answer_parse(answer, bytes_make(copy, cut)), 0);
        memory_free(copy);
    }
    buffer_append_text(wire, "?\r\n");
    assert_int_equal(answer_parse(answer, buffer_bytes(wire)), size);
}

static void test_random_trees(void **state) {
    (void)state;
    uint64_t seed = seed_of_run();
    struct answer answer = {0};
    struct tree *tree = memory_alloc(sizeof(*tree));
    for (int round = 0; round < 300; round++) {
        struct reply_sink sink;
        sink_init(&sink, random_below(&seed, 2) ? 2 : 3, 1 + random_below(&seed, 3000));
        tree->seed = random_next(&seed);
        tree->reply = &sink.reply;
        tree->count = tree->pending = 0;
        tree->text_size = 0;
        tree_node(tree, 0);
        sink_flush(&sink);
        assert_int_equal(answer_parse(&answer, buffer_bytes(&sink.written)), sink.written.size);
        expect_tree(tree, &answer);
        expect_cuts(&answer, &sink.written, &seed);
        sink_release(&sink);
    }
    memory_free(tree);
    answer_release(&answer);
}

/* ---- single replies ---- */

static int64_t parse_text(struct answer *answer, const char *text) {
    return answer_parse(answer, bytes_from_text(text));
}

static void test_malformed(void **state) {
    (void)state;
    static const char *const bad[] = {"x\r\n",
                                      "PING\r\n",
                                      "\r\n",
                                      ":\r\n",
                                      ":1x\r\n",
                                      ":01\r\n",
                                      ":+-1\r\n",
                                      ":9223372036854775808\r\n",
                                      "+a\rb\r\n",
                                      "+a\nb\r\n",
                                      "$x\r\n",
                                      "$-2\r\n",
                                      "$1073741825\r\n",
                                      "$3\r\nabcd\r\n",
                                      "$3\r\nabc\rx",
                                      "*-2\r\n",
                                      "*2147483648\r\n",
                                      "%-1\r\n",
                                      "%1073741824\r\n",
                                      "~-1\r\n",
                                      "!-1\r\n",
                                      "=-1\r\n",
                                      "=3\r\ntxt\r\n",
                                      "=5\r\ntxtab\r\n",
                                      "#x\r\n",
                                      "#tt\r\n",
                                      "#\r\n",
                                      "_x\r\n",
                                      ",\r\n",
                                      ",abc\r\n",
                                      "(\r\n",
                                      "(-\r\n",
                                      "(12a\r\n",
                                      "$?\r\n",
                                      "*1\r\n*1\r\n?",
                                      "*+1\r\n",
                                      "|1\r\n+a\r\nb"};
    struct answer answer = {0};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        if (parse_text(&answer, bad[i]) != -1) fail_msg("%s is taken for a reply", bad[i]);
    answer_release(&answer);
}

static void test_single(void **state) {
    (void)state;
    struct answer answer = {0};
    assert_int_equal(parse_text(&answer, ""), 0);
    assert_int_equal(parse_text(&answer, ":+12\r\n"), 6);
    assert_int_equal(answer.nodes[0].integer, 12);
    assert_int_equal(parse_text(&answer, ",inf\r\n"), 6);
    assert_true(isinf(answer.nodes[0].number));
    assert_int_equal(parse_text(&answer, ",-inf\r\n"), 7);
    assert_true(answer.nodes[0].number < 0);
    assert_int_equal(parse_text(&answer, ",nan\r\n"), 6);
    assert_true(isnan(answer.nodes[0].number));
    assert_int_equal(parse_text(&answer, "!8\r\nERR a\r\nb\r\n"), 14);
    assert_int_equal(answer.nodes[0].kind, ANSWER_BULK_ERROR);
    assert_int_equal(answer.nodes[0].text.size, 8);
    assert_int_equal(parse_text(&answer, "*-1\r\n:1\r\n"), 5);
    assert_int_equal(answer.nodes[0].kind, ANSWER_NULL);
    assert_int_equal(parse_text(&answer, "|1\r\n+a\r\n+b\r\n"), 0);
    assert_int_equal(parse_text(&answer, "|1\r\n+a\r\n+b\r\n:5\r\n"), 16);
    assert_int_equal(answer_skip_attributes(&answer, 0), 3);
    answer_release(&answer);
}

static void test_depth(void **state) {
    (void)state;
    struct answer answer = {0};
    for (size_t depth = ANSWER_DEPTH_MAX - 1; depth <= ANSWER_DEPTH_MAX + 1; depth++) {
        struct buffer wire = {0};
        for (size_t i = 0; i < depth; i++)
            buffer_append_text(&wire, "*1\r\n");
        buffer_append_text(&wire, ":1\r\n");
        int64_t want = depth > ANSWER_DEPTH_MAX ? -1 : (int64_t)wire.size;
        assert_int_equal(answer_parse(&answer, buffer_bytes(&wire)), want);
        buffer_release(&wire);
    }
    answer_release(&answer);
}

static void test_long_line(void **state) {
    (void)state;
    struct answer answer = {0};
    char *line = memory_alloc(ANSWER_LINE_MAX + 4);
    memset(line, '+', ANSWER_LINE_MAX + 4);
    assert_int_equal(answer_parse(&answer, bytes_make(line, ANSWER_LINE_MAX + 1)), 0);
    assert_int_equal(answer_parse(&answer, bytes_make(line, ANSWER_LINE_MAX + 2)), -1);
    memcpy(line + ANSWER_LINE_MAX + 1, "\r\n", 2);
    assert_int_equal(answer_parse(&answer, bytes_make(line, ANSWER_LINE_MAX + 3)),
                     ANSWER_LINE_MAX + 3);
    memory_free(line);
    answer_release(&answer);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random_trees), cmocka_unit_test(test_malformed),
        cmocka_unit_test(test_single),       cmocka_unit_test(test_depth),
        cmocka_unit_test(test_long_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
