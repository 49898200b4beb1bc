/* test_output.c: what leaves an output is what went in, byte for byte and in order, whatever was
 * copied, shared or kept from the outbox, however little is sent at a time; and shared memory is
 * freed by the last who has it. */
#include "engine/output.h"

#include "../base/cmocka_all.h"
#include "../base/random.h"
#include "base/buffer.h"
#include "base/memory.h"

enum { OUTPUTS = 5, STEPS = 20000, PAGE = 4000 };

struct model {
    struct output output;
    struct buffer wanted; /* all that went in */
    size_t sent;
};

static void append_random(struct random *random, char *to, size_t size) {
    for (size_t i = 0; i < size; i++)
        to[i] = (char)random_next(random);
}

/* Take what the parts show, but no more than `limit`, and compare it. */
static void send_some(struct model *model, size_t limit) {
    struct bytes parts[OUTPUT_PARTS_MAX];
    int count = output_parts(&model->output, parts);
    size_t taken = 0;
    for (int i = 0; i < count && taken < limit; i++) {
        size_t size = parts[i].size < limit - taken ? parts[i].size : limit - taken;
        assert_memory_equal(parts[i].data, model->wanted.data + model->sent + taken, size);
        taken += size;
    }
    output_sent(&model->output, taken);
    model->sent += taken;
    assert_int_equal(output_pending(&model->output), model->wanted.size - model->sent);
}

static void put_copy(struct model *model, struct random *random) {
    char bytes[600];
    size_t size = random_below(random, sizeof bytes);
    append_random(random, bytes, size);
    output_append(&model->output, bytes_make(bytes, size));
    buffer_append(&model->wanted, bytes, size);
}

/* A message for some of them, behind what is in the page; a new page when it is full. */
static void put_shared(struct model models[OUTPUTS], struct random *random,
                       struct output_shared **page) {
    size_t size = 1 + random_below(random, 300);
    if ((*page)->capacity - (*page)->size < size) {
        output_unshare(*page);
        *page = output_share(PAGE);
    }
    size_t from = (*page)->size;
    append_random(random, (*page)->data + from, size);
    (*page)->size += size;
    for (int i = 0; i < OUTPUTS; i++) {
        if (random_below(random, 3) == 0) continue;
        output_append_shared(&models[i].output, *page, from, size);
        buffer_append(&models[i].wanted, (*page)->data + from, size);
    }
}

/* A batch: a reply in the outbox goes before nothing else, and what is not sent of it is kept. */
static void put_piece(struct model *model, struct random *random) {
    char outbox[500];
    if (output_pending(&model->output) > 0) return;
    size_t size = random_below(random, sizeof outbox);
    append_random(random, outbox, size);
    model->output.piece = bytes_make(outbox, size);
    buffer_append(&model->wanted, outbox, size);
    if (random_below(random, 2) == 0) put_copy(model, random);
    send_some(model, random_below(random, 800));
    output_keep(&model->output);
    memset(outbox, '!', sizeof outbox);
}

static void test_against_a_model(void **state) {
    (void)state;
    struct random random = random_from_seed();
    struct model models[OUTPUTS] = {0};
    struct output_shared *page = output_share(PAGE);
    for (int step = 0; step < STEPS; step++) {
        struct model *model = &models[random_below(&random, OUTPUTS)];
        switch (random_below(&random, 4)) {
        case 0: put_copy(model, &random); break;
        case 1: put_shared(models, &random, &page); break;
        case 2: put_piece(model, &random); break;
        default: send_some(model, random_below(&random, 3000)); break;
        }
    }
    for (int i = 0; i < OUTPUTS; i++) {
        while (output_pending(&models[i].output) > 0)
            send_some(&models[i], 10000);
        assert_null(models[i].output.first);
        assert_int_equal(models[i].output.chunk_count, 0);
        buffer_release(&models[i].wanted);
    }
    assert_int_equal(page->references, 1);
    output_unshare(page);
}

/* Messages that follow one another are one chunk; with something between they are two. */
static void test_stretches_are_joined(void **state) {
    (void)state;
    struct output output = {0};
    struct output_shared *page = output_share(PAGE);
    page->size = 30;
    output_append_shared(&output, page, 0, 10);
    output_append_shared(&output, page, 10, 10);
    assert_int_equal(output.chunk_count, 1);
    assert_int_equal(page->references, 2);
    output_append(&output, BYTES("between"));
    output_append_shared(&output, page, 20, 10);
    assert_int_equal(output.chunk_count, 3);
    assert_int_equal(page->references, 3);
    output_release(&output);
    assert_int_equal(page->references, 1);
    assert_int_equal(output_pending(&output), 0);
    output_unshare(page);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_against_a_model),
        cmocka_unit_test(test_stretches_are_joined),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
