/* load.h: judges, window by window, whether the engine has so many short turns for so many clients
 * that resting a moment between them, so that the next turn finds more to do, costs less than
 * falling asleep and waking. */
#ifndef REDSTART_ENGINE_LOAD_H
#define REDSTART_ENGINE_LOAD_H

#include <stdbool.h>
#include <stdint.h>

enum {
    LOAD_WINDOW_US = 4000,
    LOAD_TURNS_MIN = 20, /* in a window, to speak of many short turns */
    /* With requests in a window: fewer would all be waiting while we rest. */
    LOAD_SESSIONS_MIN = 24,
    /* One part in so many of the window was spent in turns. What it costs to ask the poller does
     * not count: with a request or two a turn, that is as much again. */
    LOAD_BUSY_PART = 4,
};

/* Zeroed: nothing has been seen. */
struct load {
    int64_t begun_us; /* of the window, monotonic */
    int64_t busy_us;  /* in turns */
    uint32_t turns;
    uint32_t sessions; /* that sent something */
    uint32_t window;   /* its number */
    bool moderate;     /* by the last window: rest between turns */
};

/* A session has sent something; last is its own, of the window in which it did so before. */
static inline void load_heard(struct load *load, uint32_t *last) {
    load->sessions += *last != load->window;
    *last = load->window;
}

/* A turn is over at that moment, monotonic, and took so long. */
void load_turned(struct load *load, int64_t now_us, int64_t took_us);

#endif
