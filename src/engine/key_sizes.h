/* key_sizes.h: how large the keys are, for INFO's section keysizes: for each database and type a
 * count of keys by size, in powers of two; of a string its bytes, of a collection its elements. And
 * how many hashes have fields that expire, for its section keyspace.
 *
 * Writes count nothing. A small database is counted when somebody asks. A large one is walked
 * afterwards, some keys every few milliseconds, and what was counted last is what is said; until
 * a walk has come to its end, the part that was seen stands for the whole (keys lie in the order of
 * their hashes, so any part is a fair sample). While nobody asks nothing is walked. */
#ifndef REDSTART_ENGINE_KEY_SIZES_H
#define REDSTART_ENGINE_KEY_SIZES_H

#include "base/buffer.h"
#include "keyspace/database.h"

struct server;

enum {
    KEY_SIZES_AT_ONCE = 2048,        /* keys counted while somebody waits */
    KEY_SIZES_STEP = 1024,           /* keys of a step */
    KEY_SIZES_STEP_US = 5000,        /* from one to the next */
    KEY_SIZES_REST_US = 10 * 1000000 /* from the end of a walk to the next one's beginning */
};

enum {
    KEY_SIZES_TYPES = 5, /* that have sizes */
    KEY_SIZES_BINS = 65, /* 0, 1, 2 to 3, 4 to 7 ... */
};

struct key_sizes_counts {
    uint64_t bins[KEY_SIZES_TYPES][KEY_SIZES_BINS];
    uint64_t keys;        /* seen */
    uint64_t with_fields; /* of them: hashes with fields that expire */
};

struct key_sizes_database {
    struct key_sizes_counts shown;   /* what INFO says */
    struct key_sizes_counts counted; /* by the walk, so far */
    bool is_shown;                   /* `shown` is of a walk that came to its end */
};

struct key_sizes {
    struct key_sizes_database **databases; /* as many as there are; NULL: never asked for */
    bool is_walking;
    uint32_t at; /* database */
    uint64_t cursor;
    int64_t due_us; /* the next step, or the next walk at the earliest; monotonic */
};

void key_sizes_release(struct server *server);
/* Somebody asks: count what can be counted at once, and begin a walk when one is due. */
void key_sizes_prepare(struct server *server);
/* Hashes with fields that expire, as key_sizes_prepare found them. */
uint64_t key_sizes_with_fields(const struct server *server, uint32_t database);
/* As key_sizes_prepare found them. Takes no memory but the buffer's. */
void key_sizes_append(const struct server *server, struct buffer *out);
static inline bool key_sizes_walks(const struct key_sizes *sizes) {
    return sizes->is_walking;
}
/* Once a turn while it walks. */
void key_sizes_step(struct server *server);

#endif
