/* statistics.c: rates from samples, percentiles from histograms. */
#include "engine/statistics.h"

#include <string.h>

void statistics_reset(struct statistics *statistics) {
    uint64_t peak = statistics->memory_peak;
    *statistics = (struct statistics){.memory_peak = peak};
}

bool statistics_count_error(struct statistics *statistics, const char *code, size_t size) {
    statistics->errors++;
    if (size >= ERROR_CODE_SIZE) size = ERROR_CODE_SIZE - 1;
    for (uint32_t i = 0; i < statistics->error_code_count; i++) {
        struct error_count *count = &statistics->error_codes[i];
        if (count->code[size] != 0 || memcmp(count->code, code, size) != 0) continue;
        count->count++;
        return true;
    }
    if (statistics->error_code_count == ERROR_CODES_MAX) {
        bool is_first = !statistics->errors_full;
        statistics->errors_full = true;
        return !is_first;
    }
    struct error_count *count = &statistics->error_codes[statistics->error_code_count++];
    memset(count, 0, sizeof *count);
    memcpy(count->code, code, size);
    count->count = 1;
    return true;
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

/* The greatest number of ticks that falls in this bucket. */
static uint64_t bucket_end(uint32_t bucket) {
    if (bucket < LATENCY_STEPS) return bucket;
    uint32_t shift = bucket / LATENCY_STEPS - 1;
    return ((uint64_t)(bucket % LATENCY_STEPS + LATENCY_STEPS + 1) << shift) - 1;
}

uint64_t latency_total(const struct latency *latency) {
    uint64_t total = 0;
    for (uint32_t i = 0; i < LATENCY_BUCKETS; i++)
        total += latency->counts[i];
    return total;
}

uint64_t latency_count_within(const struct latency *latency, uint64_t ticks) {
    uint64_t count = 0;
    for (uint32_t i = 0; i < LATENCY_BUCKETS && bucket_end(i) <= ticks; i++)
        count += latency->counts[i];
    return count;
}

uint64_t latency_percentile(const struct latency *latency, double percentage) {
    uint64_t total = 0, seen = 0;
    uint32_t last = 0;
    for (uint32_t i = 0; i < LATENCY_BUCKETS; i++) {
        total += latency->counts[i];
        if (latency->counts[i] > 0) last = i;
    }
    double wanted = (double)total * percentage / 100;
    for (uint32_t i = 0; i < last; i++) {
        seen += latency->counts[i];
        if (seen > 0 && (double)seen >= wanted) return bucket_end(i);
    }
    return total > 0 ? bucket_end(last) : 0;
}
