/* test_gathering.c: how long an fsync waits for those who were answered, played with clients that
 * take a given time to come back and a disk that takes a given time. */
#include "../base/cmocka_all.h"
#include "journal/gathering.h"
#include <string.h>

enum { CLIENTS_MAX = 200, BYTES = 100, ROUNDS_US = 400000 };

struct play {
    int64_t sync_us, service_us, think_us; /* a client's request takes the engine so long */
    int clients;
    /* result */
    uint64_t syncs, served;
};

/* One engine, one disk: events in their order, a microsecond at a time. */
static void run(struct play *play) {
    struct gathering gathering;
    memset(&gathering, 0, sizeof gathering);
    int64_t ready_us[CLIENTS_MAX]; /* when a client asks again; -1: it waits for its reply */
    bool in_sync[CLIENTS_MAX] = {false};
    uint64_t appended = 0, waiting = 0, syncing = 0;
    int64_t submitted_us = -1, engine_us = 0;
    memset(ready_us, 0, sizeof ready_us);
    play->syncs = play->served = 0;
    for (int64_t now = 1; now < ROUNDS_US; now++) {
        if (submitted_us >= 0 && now - submitted_us >= play->sync_us) {
            gathering_begin(&gathering, submitted_us, now, syncing, waiting, appended);
            submitted_us = -1;
            play->served += syncing / BYTES;
            for (int i = 0; i < play->clients; i++) {
                if (!in_sync[i]) continue;
                in_sync[i] = false;
                ready_us[i] = now + play->think_us;
            }
        }
        for (int i = 0; i < play->clients && engine_us <= now; i++) {
            if (ready_us[i] < 0 || ready_us[i] > now) continue;
            ready_us[i] = -1;
            engine_us = now + play->service_us;
            appended += BYTES;
            waiting += BYTES;
            gathering_take(&gathering, now, appended);
        }
        if (submitted_us >= 0 || waiting == 0 || gathering_holds(&gathering, now, waiting))
            continue;
        submitted_us = now;
        syncing = waiting;
        waiting = 0;
        play->syncs++;
        for (int i = 0; i < play->clients; i++)
            in_sync[i] = in_sync[i] || ready_us[i] < 0;
    }
}

/* A slow disk: all go together. */
static void test_slow_disk(void **state) {
    (void)state;
    struct play play = {.sync_us = 2000, .service_us = 10, .think_us = 50, .clients = 50};
    run(&play);
    assert_true(play.served >= play.syncs * 42);
    assert_true(play.served >= ROUNDS_US / 2800 * 50);
}

/* A fast one is not kept waiting: the engine is what all wait for. */
static void test_fast_disk(void **state) {
    (void)state;
    struct play play = {.sync_us = 200, .service_us = 10, .think_us = 50, .clients = 50};
    run(&play);
    assert_true(play.served >= ROUNDS_US / 10 * 90 / 100);
}

/* Who writes alone never waits, on any disk. */
static void test_alone(void **state) {
    (void)state;
    for (int64_t sync_us = 50; sync_us < 5000; sync_us *= 3) {
        struct play play = {.sync_us = sync_us, .service_us = 10, .think_us = 50, .clients = 1};
        run(&play);
        assert_true(play.served >= (uint64_t)(ROUNDS_US / (sync_us + 70)));
    }
}

/* Those who take their time wait for an fsync and half of the next, and little more. */
static void test_rare_writers(void **state) {
    (void)state;
    struct play play = {.sync_us = 300, .service_us = 10, .think_us = 20000, .clients = 10};
    run(&play);
    assert_true(play.served >= ROUNDS_US / (20000 + 1000) * 10);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_slow_disk),
        cmocka_unit_test(test_fast_disk),
        cmocka_unit_test(test_alone),
        cmocka_unit_test(test_rare_writers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
