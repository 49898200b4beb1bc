/* test_view.c: views under load. Several are open at once, each read by a worker's thread while the
 * owner goes on changing, flushing and exchanging databases; each shows the keyspace as it was when
 * it was opened. What the engine disposes of is freed by workers, too. */
#include "model.h"

#include "io/io.h"
#include "keyspace/edit.h"
#include "value/set.h"
#include <stdlib.h>
#include <time.h>

enum { WORKERS = 4, VIEWS_MAX = 6 };

/* One view and what it has to show. */
struct reading {
    struct view *view;
    const struct bytes *names;
    uint32_t keys;
    struct model_value *expected[MODEL_DATABASES];
    bool *seen;
    uint32_t database;
    size_t wrong, visited;
    bool done;
    bool passes; /* says how far it is */
};

/* ---- the reader's side ---- */

static void read_entry(void *context, const struct entry *entry) {
    struct reading *r = context;
    uint32_t at = 0;
    r->visited++;
    if (!model_find_name(r->names, r->keys, entry_key(entry), &at) || r->seen[at]) {
        r->wrong++;
        return;
    }
    const struct model_value *value = &r->expected[r->database][at];
    r->seen[at] = true;
    if (!value->text || !model_entry_is(entry, value)) r->wrong++;
    if (entry_clock(entry) > 0xffffff) r->wrong++;
}

static void read_view(void *context) {
    struct reading *r = context;
    for (r->database = 0; r->database < MODEL_DATABASES; r->database++) {
        size_t before = r->visited, count = view_count(r->view, r->database), expected = 0;
        uint64_t cursor = 0;
        memset(r->seen, 0, r->keys * sizeof *r->seen);
        do {
            cursor = view_scan(r->view, r->database, cursor, read_entry, r);
            if (r->passes) view_pass(r->view, r->database, cursor);
        } while (cursor != 0);
        for (uint32_t i = 0; i < r->keys; i++)
            expected += r->expected[r->database][i].text != NULL;
        if (r->visited - before != count || count != expected) r->wrong++;
    }
}

static void read_done(void *context) {
    struct reading *r = context;
    r->done = true;
}

/* ---- the owner's side ---- */

static void open_reading(struct reading *r, struct model *m) {
    *r = (struct reading){
        .names = m->names, .keys = m->keys, .passes = random_below(&m->random, 3) > 0};
    r->view = view_open(&m->keyspace);
    assert_non_null(r->view);
    assert_int_equal(view_database_count(r->view), MODEL_DATABASES);
    r->seen = calloc(m->keys, sizeof *r->seen);
    for (uint32_t db = 0; db < MODEL_DATABASES; db++) {
        r->expected[db] = malloc(m->keys * sizeof *r->expected[db]);
        memcpy(r->expected[db], m->values[db], m->keys * sizeof *r->expected[db]);
        for (uint32_t i = 0; i < m->keys; i++)
            if (r->expected[db][i].text) r->expected[db][i].text->holders++;
    }
}

static void close_reading(struct reading *r, struct model *m) {
    view_close(&m->keyspace, r->view);
    assert_int_equal(r->wrong, 0);
    for (uint32_t db = 0; db < MODEL_DATABASES; db++) {
        for (uint32_t i = 0; i < r->keys; i++)
            model_text_drop(r->expected[db][i].text);
        free(r->expected[db]);
    }
    free(r->seen);
    *r = (struct reading){0};
}

struct disposal {
    void (*free_it)(void *);
    void *what;
};

static void dispose_work(void *context) {
    struct disposal *disposal = context;
    disposal->free_it(disposal->what);
}

static void dispose_on_worker(void *context, void (*free_it)(void *), void *what, size_t size) {
    (void)size;
    struct disposal *disposal = malloc(sizeof *disposal);
    *disposal = (struct disposal){free_it, what};
    io_submit(context, IO_LANE_FREE, dispose_work, free, disposal);
}

static void finish(struct io *io) {
    io->operations->finish_work(io);
}

static void test_under_load(void **state) {
    (void)state;
    enum { STEPS = 300000, KEYS = 1200 };
    char error[200];
    struct io *io = io_real_open(WORKERS, error, sizeof error);
    struct io_event events[8];
    struct reading readings[VIEWS_MAX] = {0};
    struct model m;
    size_t read = 0;
    assert_non_null(io);
    model_open(&m, KEYS);
    m.keyspace.dispose = dispose_on_worker;
    m.keyspace.dispose_context = io;
    for (int i = 0; i < STEPS; i++) {
        model_step(&m);
        if (random_below(&m.random, 50) == 0) io_wait(io, events, 8, 0);
        if (random_below(&m.random, 100) == 0)
            keyspace_drain(&m.keyspace, random_below(&m.random, 300));
        /* Random moments, and now and then a long time without any view. */
        struct reading *r = &readings[random_below(&m.random, VIEWS_MAX)];
        if (!r->view && i / 5000 % 4 != 3 && random_below(&m.random, 200) == 0) {
            open_reading(r, &m);
            io_submit(io, IO_LANE_FREE, read_view, read_done, r);
        } else if (r->done && random_below(&m.random, 100) == 0) {
            read += r->visited;
            close_reading(r, &m);
            if (random_below(&m.random, 3) == 0)
                model_flush(&m, (uint32_t)random_below(&m.random, MODEL_DATABASES));
        }
        if (i % 20000 == 0) model_check(&m);
    }
    finish(io);
    for (int i = 0; i < VIEWS_MAX; i++) {
        if (!readings[i].view) continue;
        assert_true(readings[i].done);
        read += readings[i].visited;
        close_reading(&readings[i], &m);
    }
    while (!keyspace_drain(&m.keyspace, 100)) {
    }
    assert_int_equal(m.keyspace.epochs.limbo_count, 0);
    assert_int_equal(m.keyspace.epochs.limbo_bytes, 0);
    model_check(&m);
    for (uint32_t db = 0; db < MODEL_DATABASES; db++)
        model_flush(&m, db);
    finish(io);
    print_message("%zu entries read in views\n", read);
    keyspace_release(&m.keyspace);
    model_close(&m);
    io_close(io);
}

/* A database is flushed again and again under open views and between closing one and draining it:
 * its entries in limbo are released before their store is. */
static void test_flush_with_limbo(void **state) {
    (void)state;
    enum { ROUNDS = 8, CHANGES = 9000, KEYS = 4000 };
    char error[200];
    struct io *io = io_real_open(WORKERS, error, sizeof error);
    struct model m;
    struct reading r;
    size_t limbo_max = 0;
    assert_non_null(io);
    model_open(&m, KEYS);
    m.keyspace.dispose = dispose_on_worker;
    m.keyspace.dispose_context = io;
    for (int round = 0; round < ROUNDS; round++) {
        for (int i = 0; i < CHANGES; i++)
            model_step(&m);
        open_reading(&r, &m);
        r.passes = false; /* all is to wait */
        io_submit(io, IO_LANE_FREE, read_view, read_done, &r);
        for (int i = 0; i < CHANGES; i++)
            model_step(&m);
        if (round % 2 == 0)
            for (uint32_t db = 0; db < MODEL_DATABASES; db++)
                model_flush(&m, db);
        while (!r.done) {
            struct io_event events[8];
            io_wait(io, events, 8, 1000);
            model_step(&m);
        }
        close_reading(&r, &m); /* more is in limbo than it releases at once */
        limbo_max =
            m.keyspace.epochs.limbo_count > limbo_max ? m.keyspace.epochs.limbo_count : limbo_max;
        for (uint32_t db = 0; db < MODEL_DATABASES; db++)
            model_flush(&m, db);
        while (!keyspace_drain(&m.keyspace, 50))
            model_step(&m);
        model_check(&m);
    }
    finish(io);
    assert_true(limbo_max > 0);
    assert_int_equal(m.keyspace.epochs.limbo_count, 0);
    keyspace_release(&m.keyspace);
    model_close(&m);
    io_close(io);
}

static void due_stays(void *context, struct database *db, const struct entry *entry) {
    (void)context, (void)db, (void)entry;
}

static struct spot locate_text(struct keyspace *keyspace, const char *name) {
    struct key key = key_make(keyspace, bytes_from_text(name));
    return database_locate(&keyspace->databases[0], &key);
}

/* Whatever was looked for under a view, and copied under it without any change: who looks for it
 * again finds it where it is, and not where it was. */
static void test_what_is_found_under_a_view(void **state) {
    (void)state;
    enum { MEMBERS = 2000, PAST_MS = 500, LATER_MS = 10000, NOW_MS = 1000 };
    struct hash_secret secret = {{3}};
    struct set_limits limits = {16, 16, 64};
    struct keyspace keyspace;
    bool wrapped = false;
    keyspace_init(&keyspace, 1, &secret);
    struct database *db = &keyspace.databases[0];
    struct edit edit;
    struct key big = key_make(&keyspace, BYTES("big")), past = key_make(&keyspace, BYTES("past")),
               later = key_make(&keyspace, BYTES("later"));
    struct spot spot = database_locate(db, &big);
    edit_begin(&edit, db, &big, &spot, VALUE_SET);
    for (int64_t i = 0; i < MEMBERS; i++) {
        struct item item = item_integer(i);
        set_add((struct set *)edit.object, &limits, &item);
    }
    edit_end(&edit);
    spot = database_locate(db, &past);
    database_put_integer(db, &past, &spot, 1, PAST_MS);
    spot = database_locate(db, &later);
    database_put_integer(db, &later, &spot, 1, LATER_MS);
    spot = database_locate(db, &past);
    database_set_expiry(db, &spot, ENTRY_NO_EXPIRY); /* the segment's bound stays */

    struct view *view = view_open(&keyspace);
    struct table_segment *seen = locate_text(&keyspace, "big").place.segment;
    while (!wrapped)
        database_sweep(db, NOW_MS, 100, due_stays, NULL, &wrapped); /* makes it exact, in a copy */
    view_close(&keyspace, view);
    while (!keyspace_drain(&keyspace, 100)) {
    }
    spot = locate_text(&keyspace, "big");
    assert_ptr_not_equal(spot.place.segment, seen);
    database_remove(db, &spot);
    assert_null(locate_text(&keyspace, "big").entry);
    assert_non_null(locate_text(&keyspace, "later").entry);
    keyspace_release(&keyspace);
}

static int64_t now_ns(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * INT64_C(1000000000) + time.tv_nsec;
}

/* What opening costs does not depend on how much there is. Times are printed, not judged. */
static void test_cost(void **state) {
    (void)state;
    enum { OPENINGS = 1000 };
    struct hash_secret secret = {{3}};
    for (uint64_t keys = 1000; keys <= 100000; keys *= 10) {
        struct keyspace keyspace;
        keyspace_init(&keyspace, 16, &secret);
        struct database *db = &keyspace.databases[0];
        for (uint64_t i = 0; i < keys; i++) {
            struct key key = key_make(&keyspace, bytes_make(&i, sizeof i));
            struct spot spot = database_locate(db, &key);
            database_put_integer(db, &key, &spot, (int64_t)i, ENTRY_NO_EXPIRY);
        }
        int64_t begun = now_ns();
        for (int i = 0; i < OPENINGS; i++) {
            struct view *view = view_open(&keyspace);
            assert_int_equal(view_count(view, 0), keys);
            view_close(&keyspace, view);
        }
        print_message("%" PRIu64 " keys in %zu bytes: %" PRId64 " ns to open and close a view\n",
                      keys, database_memory(db), (now_ns() - begun) / OPENINGS);
        keyspace_release(&keyspace);
    }
}

static void test_views_max(void **state) {
    (void)state;
    struct hash_secret secret = {{3}};
    struct keyspace keyspace;
    struct view *views[EPOCH_VIEWS_MAX];
    keyspace_init(&keyspace, 2, &secret);
    for (int i = 0; i < EPOCH_VIEWS_MAX; i++) {
        views[i] = view_open(&keyspace);
        assert_non_null(views[i]);
    }
    assert_null(view_open(&keyspace));
    view_close(&keyspace, views[5]);
    views[5] = view_open(&keyspace);
    assert_non_null(views[5]);
    for (int i = EPOCH_VIEWS_MAX - 1; i >= 0; i--)
        view_close(&keyspace, views[i]);
    keyspace_release(&keyspace);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_under_load),
        cmocka_unit_test(test_flush_with_limbo),
        cmocka_unit_test(test_what_is_found_under_a_view),
        cmocka_unit_test(test_cost),
        cmocka_unit_test(test_views_max),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
