/* test_load.c: when the engine is to rest between its turns. */
#include "engine/load.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

enum { SESSIONS = 50 };

struct scene {
    struct load load;
    uint32_t heard[SESSIONS];
    int64_t now_us;
    unsigned next;
};

/* So many turns, each begun so long after the last, busy for a part of it, that each hear the next
 * few sessions. */
static void pass(struct scene *scene, int turns, int64_t apart_us, int64_t busy_us, unsigned each,
                 unsigned of) {
    for (int i = 0; i < turns; i++) {
        for (unsigned j = 0; j < each; j++)
            load_heard(&scene->load, &scene->heard[scene->next++ % of]);
        scene->now_us += apart_us;
        load_turned(&scene->load, scene->now_us, busy_us);
    }
}

static void test_rests_under_many_short_turns_in_every_window(void **state) {
    (void)state;
    /* Each session speaks every 500 us, so that none is silent in any window, wherever a window
     * begins. */
    struct scene scene = {.now_us = 1000};
    pass(&scene, 1000, 16, 6, 2, SESSIONS);
    for (int i = 0; i < 20000; i++) {
        pass(&scene, 1, 16, 6, 2, SESSIONS);
        assert_true(scene.load.moderate);
    }
}

static void test_does_not_rest_for_few_sessions(void **state) {
    (void)state;
    struct scene scene = {.now_us = 1000};
    for (int i = 0; i < 20000; i++) {
        pass(&scene, 1, 16, 12, 2, LOAD_SESSIONS_MIN - 1);
        assert_false(scene.load.moderate);
    }
}

static void test_does_not_rest_when_mostly_idle_or_in_long_turns(void **state) {
    (void)state;
    struct scene idle = {.now_us = 1000}, heavy = {.now_us = 1000};
    for (int i = 0; i < 20000; i++) {
        pass(&idle, 1, 100, 20, 5, SESSIONS);
        assert_false(idle.load.moderate);
        pass(&heavy, 1, 400, 390, SESSIONS, SESSIONS);
        assert_false(heavy.load.moderate);
    }
}

static void test_ends_with_the_load(void **state) {
    (void)state;
    struct scene scene = {.now_us = 1000};
    pass(&scene, 1000, 16, 6, 2, SESSIONS);
    assert_true(scene.load.moderate);
    pass(&scene, 2, LOAD_WINDOW_US, 6, 2, SESSIONS);
    assert_false(scene.load.moderate);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rests_under_many_short_turns_in_every_window),
        cmocka_unit_test(test_does_not_rest_for_few_sessions),
        cmocka_unit_test(test_does_not_rest_when_mostly_idle_or_in_long_turns),
        cmocka_unit_test(test_ends_with_the_load),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
