/* gathering.h: with appendfsync always, how long the next fsync waits for those who were just
 * answered.
 *
 *     disk    |==== fsync ====|          |==== fsync ====|        all in one: a round takes
 *     clients                 |-- back --|                        fsync + back
 *
 *     disk    |==== A ====|==== B ====|==== A ====|               two groups: a round takes two
 *     clients             |-- A back -|-- B back -|               fsyncs, or what clients take
 *
 * Clients that wait for their replies come back in a moment. One fsync for all of them is better
 * when an fsync takes longer than their coming back; when it is the shorter of the two, they come
 * back while the other group's is under way. Then the groups should be equal: a small one's fsync
 * keeps a large one waiting. Both times are measured, and nobody waits longer than an fsync takes.
 *
 * Times in microseconds, amounts in bytes of the stream. Owns nothing, calls nobody. */
#ifndef REDSTART_JOURNAL_GATHERING_H
#define REDSTART_JOURNAL_GATHERING_H

#include <stdbool.h>
#include <stdint.h>

struct gathering {
    int64_t sync_us;   /* as a rule, from the submission to the answers */
    int64_t return_us; /* as a rule, until all who wait, or were answered, would be back */
    int64_t answered_us;
    uint64_t answered; /* bytes; 0: they are back, or nobody is expected */
    uint64_t expected; /* those, and what waited already */
    uint64_t mark;     /* of the stream: when it is there, they are back */
    int64_t until_us;  /* the next fsync waits until then, or for so many bytes */
    uint64_t size;
};

/* An fsync that began at `submitted_us` is over, and has answered so many bytes, while so many wait
 * already; `appended` is the stream's end. */
void gathering_begin(struct gathering *gathering, int64_t submitted_us, int64_t now_us,
                     uint64_t answered, uint64_t waiting, uint64_t appended);
/* The stream has grown to `appended`. */
void gathering_take(struct gathering *gathering, int64_t now_us, uint64_t appended);
/* Shall so many bytes that wait go on waiting? */
bool gathering_holds(const struct gathering *gathering, int64_t now_us, uint64_t waiting);

#endif
