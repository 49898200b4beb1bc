/* statistics.c: rates from samples. */
#include "engine/statistics.h"

void statistics_reset(struct statistics *statistics) {
    uint64_t peak = statistics->memory_peak;
    *statistics = (struct statistics){.memory_peak = peak};
}

void statistics_sample(struct statistics_rate *rate, int64_t now_ms, uint64_t count) {
    int64_t elapsed_ms = now_ms - rate->last_ms;
    if (rate->last_ms != 0 && elapsed_ms > 0 && count >= rate->last_count) {
        rate->per_second[rate->next] = (count - rate->last_count) * 1000 / (uint64_t)elapsed_ms;
        rate->next = (rate->next + 1) % STATISTICS_SAMPLES;
    }
    rate->last_ms = now_ms;
    rate->last_count = count;
}

uint64_t statistics_rate_now(const struct statistics_rate *rate) {
    uint64_t sum = 0;
    for (int i = 0; i < STATISTICS_SAMPLES; i++)
        sum += rate->per_second[i];
    return sum / STATISTICS_SAMPLES;
}
