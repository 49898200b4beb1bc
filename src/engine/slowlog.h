/* slowlog.h: the commands that took long, the newest first: what SLOWLOG shows. Owns copies of
 * their words, cut short. */
#ifndef REDSTART_ENGINE_SLOWLOG_H
#define REDSTART_ENGINE_SLOWLOG_H

#include "base/bytes.h"
#include "io/io.h"

struct call;

enum {
    SLOWLOG_WORDS_MAX = 32,      /* of a command; the last of more says how many are missing */
    SLOWLOG_WORD_SIZE_MAX = 128, /* bytes of a word; behind them stands how many are missing */
    SLOWLOG_MORE_SIZE_MAX = 48,  /* of what says so */
};

struct slowlog_entry {
    struct slowlog_entry *newer, *older;
    uint64_t id;
    int64_t time_s; /* since 1970 */
    int64_t took_us;
    char address[IO_ADDRESS_TEXT_MAX];
    struct bytes client; /* its name */
    uint32_t word_count;
    struct bytes words[];
};

struct slowlog {
    struct slowlog_entry *newest, *oldest;
    uint64_t count;
    uint64_t next_id;
};

/* Remember the call, and forget the oldest ones, so that at most `entries_max` are left. */
void slowlog_add(struct slowlog *slowlog, const struct call *call, int64_t took_us,
                 uint64_t entries_max);
void slowlog_clear(struct slowlog *slowlog);

#endif
