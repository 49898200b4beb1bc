/* test_journal.c: the stream of effects: its offset, SELECT in front of another database's
 * commands, MULTI and EXEC around units of several, and readers that come and go. */
#include "../base/cmocka_all.h"
#include "../base/random.h"
#include "journal/journal.h"
#include "resp/reply.h"

/* Collects the stream from one offset on. */
struct collector {
    struct buffer stream;
    uint64_t begin; /* offset of its first byte */
    uint64_t next;
    bool begun;
    size_t calls;
};

static void collect(void *context, uint64_t offset, struct bytes bytes) {
    struct collector *c = context;
    assert_true(bytes.size > 0);
    if (!c->begun) c->begin = c->next = offset;
    c->begun = true;
    assert_int_equal(offset, c->next);
    buffer_append(&c->stream, bytes.data, bytes.size);
    c->next = offset + bytes.size;
    c->calls++;
}

static void append_text(struct journal *journal, uint32_t database, const char *text) {
    struct bytes words[8];
    size_t count = 0;
    while (*text != 0) {
        size_t size = strcspn(text, " ");
        words[count++] = bytes_make(text, size);
        text += size + (text[size] == ' ');
    }
    journal_append(journal, database, words, count);
}

/* The stream in words: one line for each command. */
static void stream_is(const struct collector *c, const char *expected) {
    struct buffer text = {0}, stream = {0};
    buffer_append(&stream, c->stream.data, c->stream.size);
    buffer_append_byte(&stream, 0);
    const char *at = stream.data, *end = at + c->stream.size;
    while (at < end) {
        assert_int_equal(*at, '*');
        long words = strtol(at + 1, (char **)(uintptr_t)&at, 10);
        at += 2;
        for (long i = 0; i < words; i++) {
            assert_int_equal(*at, '$');
            long size = strtol(at + 1, (char **)(uintptr_t)&at, 10);
            at += 2;
            if (i > 0) buffer_append_byte(&text, ' ');
            buffer_append(&text, at, (size_t)size);
            at += size + 2;
        }
        buffer_append_byte(&text, '\n');
    }
    assert_ptr_equal(at, end);
    buffer_append_byte(&text, 0);
    assert_string_equal(text.data, expected);
    buffer_release(&text);
    buffer_release(&stream);
}

static void test_nobody_reads(void **state) {
    (void)state;
    struct journal journal;
    journal_init(&journal);
    assert_false(journal_active(&journal));
    append_text(&journal, 0, "SET a 1");
    journal_begin_unit(&journal);
    append_text(&journal, 0, "SET a 1");
    append_text(&journal, 0, "SET a 1");
    journal_end_unit(&journal);
    journal_commit(&journal);
    assert_int_equal(journal.offset, 0);
    assert_int_equal(journal.committed, 0);
    assert_int_equal(journal.pending.capacity, 0);
    assert_true(journal.horizon == JOURNAL_HORIZON_ALL);
    journal_release(&journal);
}

static void test_select(void **state) {
    (void)state;
    struct journal journal;
    struct collector c = {0};
    journal_init(&journal);
    assert_true(journal_add_reader(&journal, collect, &c));
    append_text(&journal, 0, "SET a 1");
    append_text(&journal, 0, "SET b 2");
    append_text(&journal, 3, "DEL a");
    journal_commit(&journal);
    append_text(&journal, 3, "DEL b");
    append_text(&journal, 12, "DEL c");
    append_text(&journal, 0, "DEL d");
    assert_int_equal(c.calls, 1);
    assert_int_equal(journal.committed, c.stream.size);
    assert_true(journal.offset > journal.committed);
    journal_commit(&journal);
    journal_commit(&journal);
    assert_int_equal(c.calls, 2);
    stream_is(&c, "SELECT 0\nSET a 1\nSET b 2\nSELECT 3\nDEL a\nDEL b\nSELECT 12\nDEL c\n"
                  "SELECT 0\nDEL d\n");
    assert_int_equal(journal.offset, c.next);
    journal_remove_reader(&journal, collect, &c);
    buffer_release(&c.stream);
    journal_release(&journal);
}

static void test_units(void **state) {
    (void)state;
    struct journal journal;
    struct collector c = {0};
    journal_init(&journal);
    assert_true(journal_add_reader(&journal, collect, &c));
    journal_begin_unit(&journal); /* of nothing */
    journal_end_unit(&journal);
    assert_int_equal(journal.offset, 0);
    journal_begin_unit(&journal); /* of one */
    append_text(&journal, 1, "SET a 1");
    journal_end_unit(&journal);
    journal_begin_unit(&journal); /* of three, in two databases */
    append_text(&journal, 1, "SET b 1");
    append_text(&journal, 2, "SET c 1");
    append_text(&journal, 2, "SET d 1");
    journal_end_unit(&journal);
    append_text(&journal, 2, "SET e 1");
    journal_begin_unit(&journal); /* whose first command has another database */
    append_text(&journal, 0, "SET f 1");
    append_text(&journal, 0, "SET g 1");
    journal_end_unit(&journal);
    journal_commit(&journal);
    stream_is(&c, "SELECT 1\nSET a 1\nMULTI\nSET b 1\nSELECT 2\nSET c 1\nSET d 1\nEXEC\nSET e 1\n"
                  "SELECT 0\nMULTI\nSET f 1\nSET g 1\nEXEC\n");
    assert_int_equal(journal.offset, c.stream.size);
    journal_remove_reader(&journal, collect, &c);
    buffer_release(&c.stream);
    journal_release(&journal);
}

static void test_readers_max(void **state) {
    (void)state;
    struct journal journal;
    struct collector c[JOURNAL_READERS_MAX + 1] = {0};
    journal_init(&journal);
    for (int i = 0; i < JOURNAL_READERS_MAX; i++)
        assert_true(journal_add_reader(&journal, collect, &c[i]));
    assert_false(journal_add_reader(&journal, collect, &c[JOURNAL_READERS_MAX]));
    journal_remove_reader(&journal, collect, &c[3]);
    assert_true(journal_add_reader(&journal, collect, &c[JOURNAL_READERS_MAX]));
    append_text(&journal, 0, "SET a 1");
    journal_commit(&journal);
    assert_int_equal(c[3].calls, 0);
    assert_int_equal(c[JOURNAL_READERS_MAX].calls, 1);
    for (int i = 0; i <= JOURNAL_READERS_MAX; i++) {
        journal_remove_reader(&journal, collect, &c[i]);
        buffer_release(&c[i].stream);
    }
    assert_false(journal_active(&journal));
    journal_release(&journal);
}

/* ---- readers in mid-stream, against one that has everything ---- */

static void random_append(struct journal *journal, struct random *random) {
    static const char *const commands[] = {"SET a 1", "DEL b", "PEXPIREAT c 1000",
                                           "MSET d 1 e 2 f 3"};
    uint32_t database = (uint32_t)random_below(random, 3);
    if (random_below(random, 4) != 0) {
        append_text(journal, database, commands[random_below(random, 4)]);
        return;
    }
    journal_begin_unit(journal);
    for (uint64_t count = random_below(random, 4); count > 0; count--)
        append_text(journal, database, commands[random_below(random, 4)]);
    journal_end_unit(journal);
}

static void check_part(const struct collector *whole, const struct collector *part) {
    static const char select[] = "*2\r\n$6\r\nSELECT\r\n";
    if (!part->begun) return;
    /* It begins with a SELECT, as its reader knows of none, and is a stretch of the whole. */
    assert_true(part->stream.size > sizeof select);
    assert_memory_equal(part->stream.data, select, sizeof select - 1);
    assert_true(part->next <= whole->next);
    assert_memory_equal(part->stream.data, whole->stream.data + (part->begin - whole->begin),
                        part->stream.size);
}

static void test_readers_come_and_go(void **state) {
    (void)state;
    enum { STEPS = 20000, READERS = 5 };
    struct random random = random_from_seed();
    struct journal journal;
    struct collector whole = {0}, parts[READERS] = {0};
    bool reading[READERS] = {0};
    journal_init(&journal);
    assert_true(journal_add_reader(&journal, collect, &whole));
    for (int i = 0; i < STEPS; i++) {
        random_append(&journal, &random);
        if (random_below(&random, 10) == 0) journal_commit(&journal);
        if (random_below(&random, 50) != 0) continue;
        uint64_t at = random_below(&random, READERS);
        if (reading[at]) {
            journal_remove_reader(&journal, collect, &parts[at]);
            if (parts[at].begun) assert_int_equal(parts[at].next, journal.offset);
            check_part(&whole, &parts[at]);
            buffer_release(&parts[at].stream);
            parts[at] = (struct collector){0};
        } else {
            uint64_t offset = journal.offset;
            assert_true(journal_add_reader(&journal, collect, &parts[at]));
            parts[at].begin = parts[at].next = offset;
            parts[at].begun = false;
            assert_int_equal(journal.committed, offset);
        }
        reading[at] = !reading[at];
    }
    journal_commit(&journal);
    assert_int_equal(whole.stream.size, journal.offset);
    for (int i = 0; i < READERS; i++) {
        if (reading[i]) journal_remove_reader(&journal, collect, &parts[i]);
        check_part(&whole, &parts[i]);
        buffer_release(&parts[i].stream);
    }
    journal_remove_reader(&journal, collect, &whole);
    buffer_release(&whole.stream);
    journal_release(&journal);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nobody_reads),
        cmocka_unit_test(test_select),
        cmocka_unit_test(test_units),
        cmocka_unit_test(test_readers_max),
        cmocka_unit_test(test_readers_come_and_go),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
