/* defragmenting.h: activedefrag: when memory is moved together (keyspace/defragment.h), and how
 * much of the time that may take.
 *
 *     holes, in percent of what is used
 *        0 ........ threshold-lower ........................ threshold-upper ....
 *        nothing    cycle-min of the time, more and more,    cycle-max
 *                   in steps of DEFRAGMENTING_TURN_US
 *
 * Looked at once a second, and at the end of each round; a round that was begun goes on to its end.
 * Below active-defrag-ignore-bytes nothing is begun, nor soon again after a round that found little
 * to move, unless there are half as many holes more by then: what was left is not ours to close. */
#ifndef REDSTART_ENGINE_DEFRAGMENTING_H
#define REDSTART_ENGINE_DEFRAGMENTING_H

#include "keyspace/defragment.h"

struct server;

enum {
    DEFRAGMENTING_TURN_US = 250,     /* of one turn, and one step of it longer at most */
    DEFRAGMENTING_REST_S = 60,       /* after a round that moved little */
    DEFRAGMENTING_FORBIDDEN_MS = 50, /* until it is looked at again whether it may run */
};

struct defragmenting {
    uint32_t effort; /* percent of the time; 0: it does not run */
    struct defragment at;
    struct defragment_counts counts;
    uint64_t moved_before;            /* when the round began */
    int64_t due_us;                   /* of the next step; monotonic */
    int64_t rest_until_us;            /* no new round before */
    uint64_t holes;                   /* bytes, when the rest began */
    int64_t running_since_us, ran_us; /* this time, and all times before */
};

static inline bool defragmenting_runs(const struct defragmenting *defragmenting) {
    return defragmenting->effort > 0;
}
/* Once a second: begin, go on with another effort, or end. */
void defragmenting_check(struct server *server);
/* In each turn while it runs: do some, if it is due. */
void defragmenting_step(struct server *server);
/* Microseconds of having run: this time, and in all. */
int64_t defragmenting_current_us(const struct server *server);
int64_t defragmenting_total_us(const struct server *server);

#endif
