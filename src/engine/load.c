/* load.c: see load.h. Must never reach for a clock. */
#include "engine/load.h"

void load_turned(struct load *load, int64_t now_us, int64_t took_us) {
    int64_t elapsed_us = now_us - load->begun_us;
    load->turns++;
    load->busy_us += took_us;
    if (elapsed_us < LOAD_WINDOW_US) return;
    bool moderate = load->busy_us * LOAD_BUSY_PART > elapsed_us && load->turns >= LOAD_TURNS_MIN &&
                    load->sessions >= LOAD_SESSIONS_MIN;
    *load = (struct load){.begun_us = now_us, .window = load->window + 1, .moderate = moderate};
}
