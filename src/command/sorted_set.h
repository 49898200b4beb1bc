/* sorted_set.h: what the commands on sorted sets have in common. */
#ifndef REDSTART_COMMAND_SORTED_SET_H
#define REDSTART_COMMAND_SORTED_SET_H

#include "engine/call.h"
#include "value/sorted_set.h"

/* As configured. */
struct sorted_set_limits zset_limits(const struct call *call);
/* False after an error reply; *set is NULL when there is none. */
bool zset_read(struct call *call, uint32_t index, union object_room *room,
               const struct sorted_set **set);
static inline struct sorted_set *zset_of(const struct edit *edit) {
    return (struct sorted_set *)edit->object;
}
/* Adding members one by one, and what came of it. */
struct zset_adding {
    struct edit edit; /* of argument 1, begun */
    struct sorted_set_limits limits;
    unsigned conditions;
    int64_t added, updated;
};
/* False after an error reply. */
bool zset_add_begin(struct call *call, struct zset_adding *adding, unsigned conditions);
void zset_add(struct zset_adding *adding, struct bytes member, double score);
/* The event, and the reply: how many were added, or `count_changed` too. */
void zset_add_end(struct call *call, struct zset_adding *adding, bool count_changed);
/* End a change of argument 1: edit_end, the event, and "del" when nothing is left. */
void zset_end_changed(struct call *call, struct edit *edit, const char *event);
/* Give the key of the argument this result, built apart, which is used up; the reply is its count.
 * An empty one removes the key. */
void zset_store(struct call *call, uint32_t index, struct sorted_set *result, const char *event);

/* Any text for a score as ZADD takes it: false after an error reply. */
bool zset_parse_score(struct call *call, uint32_t index, double *score);

/* An array of members; with scores flat in RESP2, as pairs in RESP3. */
void zset_reply_head(struct call *call, uint64_t count, bool with_scores);
void zset_reply_element(struct call *call, const struct sorted_set_element *element,
                        bool with_scores);
void zset_reply_span(struct call *call, const struct sorted_set *set,
                     const struct sorted_set_span *span, bool backwards, bool with_scores);

/* Random numbers below a limit, which is not 0, all with the same probability. */
uint64_t zset_random_below(struct call *call, uint64_t limit);

#endif
