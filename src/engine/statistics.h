/* statistics.h: what the server counts. Plain numbers that handlers and the turn add to; INFO reads
 * them. */
#ifndef REDSTART_ENGINE_STATISTICS_H
#define REDSTART_ENGINE_STATISTICS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { STATISTICS_SAMPLES = 16, ERROR_CODES_MAX = 128, ERROR_CODE_SIZE = 32 };

/* A rate, from samples taken at housekeeping. */
struct statistics_rate {
    int64_t last_ms;
    uint64_t last_count;
    uint64_t per_second[STATISTICS_SAMPLES];
    uint32_t next;
};

struct error_count {
    char code[ERROR_CODE_SIZE]; /* "ERR", "WRONGTYPE" ... */
    uint64_t count;
};

struct statistics {
    uint64_t connections, rejected_connections, commands, expired_keys, expired_fields,
        evicted_keys;
    uint64_t full_syncs, partial_syncs, refused_partial_syncs; /* asked for by replicas */
    uint64_t evicted_clients, hits, misses, bytes_in, bytes_out, errors, unexpected_errors;
    uint64_t replicated_in, replicated_out; /* bytes, from the primary and to replicas */
    uint64_t query_buffer_disconnections, output_buffer_disconnections;
    uint64_t expired_time_cap_reached, acl_denied_auth, acl_denied_command;
    uint64_t acl_denied_key, acl_denied_channel;
    uint64_t reads, writes; /* system calls that moved bytes */
    uint64_t turns, turns_us, turn_us_max, expire_us, memory_peak;
    struct statistics_rate rate_commands, rate_in, rate_out;
    struct statistics_rate rate_turns, rate_turns_us;
    struct statistics_rate rate_replicated_in, rate_replicated_out;
    struct error_count error_codes[ERROR_CODES_MAX];
    uint32_t error_code_count;
    bool errors_full; /* there were more kinds */
};

/* How often something took how long, in buckets of an eighth of an octave: a percentile read from
 * it is at most 12.5 % too high. Counting touches one cache line.
 *
 *     ticks    0 1 ... 7 | 8 9 ... 15 | 16,17 18,19 ... 30,31 | 32-35 ...
 *     bucket   0 1 ... 7 | 8 9 ... 15 | 16    17    ... 23    | 24    ... */
enum { LATENCY_STEPS = 8, LATENCY_BUCKETS = 62 * LATENCY_STEPS };
struct latency {
    uint64_t counts[LATENCY_BUCKETS];
};

static inline uint32_t latency_bucket(uint64_t ticks) {
    if (ticks < LATENCY_STEPS) return (uint32_t)ticks;
    uint32_t octave = 63 - (uint32_t)__builtin_clzll(ticks);
    return (octave - 2) * LATENCY_STEPS + ((uint32_t)(ticks >> (octave - 3)) & (LATENCY_STEPS - 1));
}
static inline void latency_add(struct latency *latency, uint64_t ticks) {
    latency->counts[latency_bucket(ticks)]++;
}
uint64_t latency_total(const struct latency *latency);
/* How many took so many ticks or fewer, those of a bucket that lies on the border not counted. */
uint64_t latency_count_within(const struct latency *latency, uint64_t ticks);
/* Ticks that this percentage, 0 to 100, of what was counted did not exceed; 0 when nothing was. */
uint64_t latency_percentile(const struct latency *latency, double percentage);

struct command_statistics {
    uint64_t calls, ticks, rejected, failed; /* ticks of struct io */
    struct latency *latency;                 /* NULL: none counted yet */
};

/* Count an error by its code word. False when it is the first of a new kind for which there is no
 * room: then no more kinds are added, until the reset. */
bool statistics_count_error(struct statistics *statistics, const char *code, size_t size);
void statistics_reset(struct statistics *statistics);
void statistics_sample(struct statistics_rate *rate, int64_t now_ms, uint64_t count);
uint64_t statistics_rate_now(const struct statistics_rate *rate);

#endif
