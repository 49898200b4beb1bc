/* journal.h: the stream of effects.
 *
 * Every change is appended as the RESP command that makes it again, in the order of execution, to
 * one stream with one offset, counted in bytes. Changes of one turn are handed over together when
 * the turn commits. Readers (the AOF's writer, replica links, tests) get each turn's bytes as they
 * are committed; while there is no reader nothing is encoded and the offset stands still.
 *
 * The horizon is the highest offset whose promise is kept; a reply leaves when the offset that it
 * depends on is not beyond it. With no promise configured it is infinite. */
#ifndef REDSTART_JOURNAL_JOURNAL_H
#define REDSTART_JOURNAL_JOURNAL_H

#include "base/buffer.h"

enum { JOURNAL_READERS_MAX = 16 };
#define JOURNAL_HORIZON_ALL UINT64_MAX

/* What the horizon waits for. */
enum journal_promise { JOURNAL_ON_DISK, JOURNAL_ON_REPLICAS, JOURNAL_PROMISES };

/* Takes the bytes [offset, offset + bytes.size) of the stream; they are valid during the call. */
typedef void journal_consume(void *context, uint64_t offset, struct bytes bytes);

struct journal_reader {
    journal_consume *consume;
    void *context;
};

struct journal {
    uint64_t offset;    /* behind the last byte appended */
    uint64_t changed;   /* behind the last change: what else is said changes nothing */
    uint64_t committed; /* behind the last byte handed over */
    uint64_t horizon;   /* the least of promised */
    uint64_t promised[JOURNAL_PROMISES];
    bool is_strict[JOURNAL_PROMISES];
    bool horizon_is_strict; /* it holds for every reply; else for those to the session's own writes
                             */
    struct buffer pending;  /* [committed, offset) */
    int64_t database;       /* that the last command was for, -1: unknown, SELECT comes first */
    bool muted;             /* what is appended is left out: redis.set_repl(REPL_NONE) */
    bool follows;           /* the stream is another server's: only journal_copy adds to it */
    uint32_t unit_depth;    /* units that were begun and not ended, one inside another; 0: none */
    uint32_t unit_count;    /* commands in it so far */
    size_t unit_start;      /* where in pending its first command begins */
    struct journal_reader readers[JOURNAL_READERS_MAX];
    uint32_t reader_count;
};

void journal_init(struct journal *journal);
void journal_release(struct journal *journal);

static inline bool journal_active(const struct journal *journal) {
    return journal->reader_count != 0;
}
/* Append one command for one database. A SELECT is put in front when the database changed. */
void journal_append(struct journal *journal, uint32_t database, const struct bytes *argv,
                    size_t argc);
/* The same for what is no change of a database: no SELECT in front. */
void journal_say(struct journal *journal, const struct bytes *argv, size_t argc);
/* Bytes of the primary's stream, as they are: whole commands and units. */
void journal_copy(struct journal *journal, struct bytes bytes);
/* Commands between these two are one unit: MULTI and EXEC stand around them when they are several.
 * What is a unit inside of another belongs to it. A reader that comes or goes in the middle cuts it
 * in two.
 */
void journal_begin_unit(struct journal *journal);
void journal_end_unit(struct journal *journal);
/* The next command has a SELECT in front: a reader begins a new file with it. */
void journal_forget_database(struct journal *journal);
/* The primary's stream has selected this one. */
void journal_set_database(struct journal *journal, int64_t database);
/* Go on with a history that was read from files or from a primary; nothing is pending. */
void journal_continue(struct journal *journal, uint64_t offset);
/* One of the promises is kept up to there, to all replies or to those to a session's own writes;
 * the horizon is where all are. */
void journal_promise(struct journal *journal, enum journal_promise promise, uint64_t offset,
                     bool is_strict);
/* The server ends in the middle of a unit: what was appended since it was begun is forgotten, and
 * nothing more is taken. */
void journal_abandon_unit(struct journal *journal);
/* Hand what is pending to every reader. */
void journal_commit(struct journal *journal);

/* The reader gets everything from the present offset on. False when there are too many. */
bool journal_add_reader(struct journal *journal, journal_consume *consume, void *context);
void journal_remove_reader(struct journal *journal, journal_consume *consume, void *context);

#endif
