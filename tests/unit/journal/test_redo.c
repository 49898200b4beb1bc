/* test_redo.c: what the redo file puts back into the log after a failure of power, and when it
 * keeps its hands off. */
#include "../base/cmocka_all.h"
#include "base/memory.h"
#include "io/files.h"
#include "io/simulation.h"
#include "journal/redo.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

enum { SEQUENCE = 7, BEGIN = 100, SEEDS = 500 };

struct world {
    struct simulation *simulation;
    struct io *io;
    struct redo redo;
    struct buffer log; /* as it should be */
};

static void open_world(struct world *w, uint64_t seed) {
    memset(w, 0, sizeof *w);
    w->simulation = simulation_open(seed);
    w->io = simulation_host(w->simulation, "server");
    redo_init(&w->redo, w->io, ".", "log");
    w->redo.size = 4096;
}

static void close_world(struct world *w) {
    redo_release(&w->redo);
    buffer_release(&w->log);
    simulation_close(w->simulation);
}

static void write_file(struct world *w, const char *path, uint64_t offset, struct bytes bytes) {
    io_file file = w->io->operations->open(w->io, path, IO_WRITE | IO_CREATE, 0644);
    assert_true(file >= 0);
    assert_int_equal(io_write_all_at(w->io, file, bytes, offset), 0);
    w->io->operations->close(w->io, file);
}

static void set_file(struct world *w, const char *path, struct bytes bytes) {
    w->io->operations->remove(w->io, path);
    write_file(w, path, 0, bytes);
}

/* A log of BEGIN bytes, safe, and behind it `count` stretches that only the redo file has. */
static void promise(struct world *w, int count) {
    for (int i = 0; i < BEGIN; i++)
        buffer_append_byte(&w->log, 'b');
    set_file(w, "log.7", buffer_bytes(&w->log));
    assert_int_equal(redo_begin(&w->redo), 0);
    for (int i = 0; i < count; i++) {
        struct buffer record = {0};
        uint64_t position = w->log.size;
        buffer_reserve(&record, REDO_HEADER_SIZE);
        record.size = REDO_HEADER_SIZE;
        buffer_append_format(&record, "stretch %d of the log;", i);
        buffer_append(&w->log, record.data + REDO_HEADER_SIZE, record.size - REDO_HEADER_SIZE);
        assert_true(redo_has_room(&w->redo, record.size - REDO_HEADER_SIZE));
        assert_int_equal(redo_write(&w->redo, SEQUENCE, position, &record), 0);
        buffer_release(&record);
    }
}

static struct redo_outcome apply(struct world *w, uint64_t sequence, bool changes) {
    struct redo_outcome outcome;
    assert_int_equal(redo_apply(&w->redo, sequence, "log.7", changes, &outcome), 0);
    return outcome;
}

static void expect_log(struct world *w, struct bytes wanted) {
    struct buffer found = {0};
    assert_int_equal(io_read_file(w->io, "log.7", UINT64_MAX, &found), 0);
    assert_true(bytes_equal(buffer_bytes(&found), wanted));
    buffer_release(&found);
}

/* Whatever is missing at the end, or zeros, comes back. */
static void test_puts_back(void **state) {
    (void)state;
    struct world w;
    open_world(&w, 1);
    promise(&w, 5);
    struct bytes all = buffer_bytes(&w.log);
    for (size_t kept = BEGIN; kept <= all.size; kept++) {
        set_file(&w, "log.7", bytes_make(all.data, kept));
        assert_int_equal(apply(&w, SEQUENCE, false).missing, all.size - kept);
        expect_log(&w, bytes_make(all.data, kept));
        struct redo_outcome outcome = apply(&w, SEQUENCE, true);
        assert_int_equal(outcome.missing, all.size - kept);
        assert_false(outcome.is_continued);
        expect_log(&w, all);
    }
    set_file(&w, "log.7", all);
    write_file(&w, "log.7", BEGIN + 3, BYTES("\0\0\0\0\0"));
    assert_int_equal(apply(&w, SEQUENCE, true).missing, 5);
    expect_log(&w, all);
    write_file(&w, "log.7", BEGIN + 3, BYTES("###"));
    struct redo_outcome outcome = apply(&w, SEQUENCE, true);
    assert_int_equal(outcome.missing, 3);
    assert_false(outcome.is_continued);
    expect_log(&w, all);
    close_world(&w);
}

/* What was written behind it since stays. */
static void test_goes_on(void **state) {
    (void)state;
    struct world w;
    open_world(&w, 2);
    promise(&w, 5);
    buffer_append(&w.log, "more", 4);
    set_file(&w, "log.7", buffer_bytes(&w.log));
    assert_int_equal(apply(&w, SEQUENCE, true).missing, 0);
    expect_log(&w, buffer_bytes(&w.log));
    close_world(&w);
}

/* Another server has cut the log and gone on; another file; a part of the log is missing before it;
 * none of ours. */
static void test_keeps_off(void **state) {
    (void)state;
    struct world w;
    open_world(&w, 3);
    promise(&w, 5);
    struct bytes begin = bytes_make(w.log.data, BEGIN + 30);
    set_file(&w, "log.7", begin);
    write_file(&w, "log.7", begin.size, BYTES("*1\r\n$4\r\nPING\r\n"));
    struct redo_outcome outcome = apply(&w, SEQUENCE, true);
    assert_true(outcome.is_continued);
    assert_int_equal(redo_set_aside(&w.redo), 0);
    assert_int_equal(apply(&w, SEQUENCE, true).missing, 0);
    close_world(&w);

    open_world(&w, 4);
    promise(&w, 5);
    set_file(&w, "log.7", begin = bytes_make(w.log.data, BEGIN));
    assert_int_equal(apply(&w, SEQUENCE + 1, true).missing, 0);
    expect_log(&w, begin);
    set_file(&w, "log.7", begin = bytes_make(w.log.data, BEGIN - 1));
    assert_int_equal(apply(&w, SEQUENCE, true).missing, 0);
    expect_log(&w, begin);
    w.io->operations->remove(w.io, "log.7");
    assert_int_equal(apply(&w, SEQUENCE, true).missing, 0);
    set_file(&w, "./log.redo",
             BYTES("RSREDO1\n and nothing that could be a record, however long it is"));
    assert_int_equal(apply(&w, SEQUENCE, true).missing, 0);
    close_world(&w);
}

/* Bytes of it that are wrong end it there, and break nothing. */
static void test_damage(void **state) {
    (void)state;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        struct world w;
        open_world(&w, seed);
        promise(&w, 20);
        struct bytes all = buffer_bytes(&w.log);
        set_file(&w, "log.7", bytes_make(all.data, BEGIN));
        for (uint64_t i = simulation_random_below(w.simulation, 4) + 1; i > 0; i--) {
            char byte = (char)simulation_random_below(w.simulation, 256);
            write_file(&w, "./log.redo", simulation_random_below(w.simulation, w.redo.used),
                       bytes_make(&byte, 1));
        }
        struct redo_outcome outcome = apply(&w, SEQUENCE, true);
        assert_false(outcome.is_continued);
        expect_log(&w, bytes_make(all.data, BEGIN + (size_t)outcome.missing));
        close_world(&w);
    }
}

/* It begins anew: what an earlier generation has left behind the last record is not for the log. */
static void test_generations(void **state) {
    (void)state;
    struct world w;
    open_world(&w, 5);
    promise(&w, 10);
    w.log.size = 0;
    promise(&w, 3);
    struct bytes all = buffer_bytes(&w.log);
    set_file(&w, "log.7", bytes_make(all.data, BEGIN));
    apply(&w, SEQUENCE, true);
    expect_log(&w, all);
    assert_int_equal(redo_remove(&w.redo), 0);
    assert_int_equal(redo_remove(&w.redo), 0);
    close_world(&w);
}

/* The disk fails while it is made or written: nobody is told that it was done. */
static void test_failing_disk(void **state) {
    (void)state;
    struct world w;
    open_world(&w, 6);
    simulation_disk(w.io)->capacity_bytes = 1000;
    assert_int_equal(redo_begin(&w.redo), -ENOSPC);
    assert_false(redo_has_room(&w.redo, 10));
    simulation_disk(w.io)->capacity_bytes = 0;
    promise(&w, 1);
    assert_false(redo_has_room(&w.redo, 4096));
    struct buffer record = {0};
    memset(buffer_reserve(&record, 100), 'x', 100);
    record.size = 100;
    simulation_disk(w.io)->write_error = 1000000;
    assert_int_equal(redo_write(&w.redo, SEQUENCE, w.log.size, &record), -EIO);
    assert_false(redo_has_room(&w.redo, 10));
    buffer_release(&record);
    close_world(&w);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_puts_back),   cmocka_unit_test(test_goes_on),
        cmocka_unit_test(test_keeps_off),   cmocka_unit_test(test_damage),
        cmocka_unit_test(test_generations), cmocka_unit_test(test_failing_disk),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
