/* hotkeys.h: HOTKEYS: which keys take the most time, or the most bytes of input and output.
 *
 *     key --> counter    the heap of counters, the smallest on top
 *                        +-----+     a key without a counter takes over the smallest one, with
 *                        | min |     what it had counted: so whoever has more than one part in
 *                        +-----+     HOTKEYS_COUNTERS of all is among them (space saving:
 *                        /     \     Metwally, Agrawal, El Abbadi 2005)
 *
 * A command's time and bytes are shared among its keys. What a script does is its own, for the keys
 * that it names; of a transaction each command is counted. While nobody asks, a command pays one
 * branch. */
#ifndef REDSTART_ENGINE_HOTKEYS_H
#define REDSTART_ENGINE_HOTKEYS_H

#include "engine/name_table.h"
#include <stdbool.h>

struct call;
struct server;

enum { HOTKEYS_COUNTERS = 1024, HOTKEYS_MAX = 64 };

enum hotkeys_metric { HOTKEYS_CPU, HOTKEYS_NET, HOTKEYS_METRICS };

struct hotkey;

/* The keys with the most of something. */
struct hotkeys_top {
    struct name_table keys; /* of struct hotkey */
    struct hotkey *heap[HOTKEYS_COUNTERS];
    uint32_t count;
};

struct hotkeys_options {
    bool counts[HOTKEYS_METRICS];
    uint32_t most;         /* keys that are shown */
    uint64_t sample_ratio; /* one access of so many is counted */
    int64_t duration_ms;   /* 0: until it is stopped */
};

/* A session of counting; what it counted stays until the next, or a reset. */
struct hotkeys_report {
    struct hotkeys_options options;
    int64_t begun_ms;            /* since 1970 */
    int64_t begun_us;            /* monotonic */
    int64_t took_us;             /* once it is over */
    uint64_t ticks, bytes;       /* of all commands */
    uint64_t user_us, system_us; /* of the process: when it began; then those since */
};

struct hotkeys {
    bool is_active; /* the only field that a command looks at otherwise */
    bool is_there;  /* counting, or counted */
    struct hotkeys_report report;
    struct hotkeys_top *tops[HOTKEYS_METRICS]; /* NULL where nothing is counted */
    uint64_t output_before[2]; /* what the session had written: before the command that runs, and
                                * before that of a transaction which it runs */
    uint64_t random;
};

void hotkeys_start(struct server *server, const struct hotkeys_options *options);
void hotkeys_stop(struct server *server);
/* Nothing is there any more. */
void hotkeys_reset(struct server *server);
/* Its time may be over: in each turn while it is active. */
void hotkeys_check(struct server *server);

/* A command begins; it has ended after so many ticks. */
void hotkeys_begin(const struct call *call);
void hotkeys_end(const struct call *call, uint64_t ticks);

/* The totals as of now. */
struct hotkeys_report hotkeys_report(const struct server *server);
/* The keys with the most, in order; how many were written. The names live until the next command.
 */
struct hotkeys_line {
    struct bytes name;
    uint64_t weight; /* ticks or bytes */
};
uint32_t hotkeys_list(const struct hotkeys *hotkeys, enum hotkeys_metric metric,
                      struct hotkeys_line lines[HOTKEYS_MAX]);

#endif
