/* call.h: one command being run: what a handler gets, and all that it may do.
 *
 * A handler reads its arguments, asks for keys, does the value's operation, writes one reply, and
 * says what it changed. What it must never do: keep a slice beyond its return, write a second
 * reply, look at a socket, ask a clock (now_ms is the time of the whole turn;
 * what counts from now on counts from server->now_ms).
 *
 * Effects. A handler that changed something calls call_changed for each key; if it says nothing
 * more, the journal gets the command as it came. A command whose words would not give the same
 * result again (relative times, random picks, floats) says what the journal shall have:
 * call_effect, once for each command. */
#ifndef REDSTART_ENGINE_CALL_H
#define REDSTART_ENGINE_CALL_H

#include "engine/notify.h"
#include "keyspace/edit.h"
#include "keyspace/keyspace.h"
#include "resp/reply.h"
#include "resp/request.h"

struct command;
struct server;
struct session;

enum { CALL_WOKEN = UINT16_MAX }; /* `ready` of who waits for no key */
enum { CALL_HIDDEN_BITS = 64 };   /* the last one stands for all further arguments */

struct call {
    struct server *server;
    struct session *session;       /* who asks; never NULL */
    const struct command *command; /* the subcommand, when it is one */
    const struct bytes *argv;      /* argv[0] is the name as it was sent */
    uint32_t argc;
    const uint64_t *hashes;  /* of argv's keys, by position, where not 0; NULL when not computed */
    struct request *request; /* whose blobs may be taken; NULL inside scripts and replay */
    struct reply *reply;
    struct database *database; /* the session's selected one */
    int64_t now_ms;            /* what ends is over at this time; 0 in replay, where nothing is */
    uint64_t hidden;           /* arguments that MONITOR and the slow log do not show: call_hide */
    uint64_t changes;  /* call_changed's count: what INFO calls changes since the last save */
    uint32_t ready;    /* it has waited: the argument of the key that woke it; 0: it has not */
    bool failed;       /* an error was replied */
    bool may_wait;     /* it may be held: call_may_wait */
    bool waits;        /* call_wait was called: no reply yet */
    bool effects_said; /* call_effect or call_effect_none was called */
    bool unit_begun;   /* in the journal, for them: whoever runs the handler ends it */
    bool in_unit;      /* it is one of several commands that are one unit (EXEC) */
    bool refuses_unit; /* an error now ends a transaction before it began */
};

/* It comes from a file or the primary's stream: it does here what it did there. */
static inline bool call_is_replayed(const struct call *call) {
    return call->now_ms == 0;
}

/* ---- errors: each writes the reply ---- */

/* "ERR ..." or another code word first. */
__attribute__((format(printf, 2, 3))) void call_error(struct call *call, const char *format, ...);
/* A whole error of any length; `counts` is false for one that was counted before. */
void call_error_text(struct call *call, struct bytes text, bool counts);
void call_error_syntax(struct call *call);     /* ERR syntax error */
void call_error_integer(struct call *call);    /* ERR value is not an integer or out of range */
void call_error_wrong_type(struct call *call); /* WRONGTYPE ... */
void call_error_no_key(struct call *call);     /* ERR no such key */
void call_error_busy(struct call *call);       /* BUSY ... a script has been running for too long */
void call_error_arity(struct call *call);      /* ERR wrong number of arguments for 'x' command */
void call_error_subcommand(struct call *call); /* ERR unknown subcommand 'x'. Try Y HELP. */
/* ERR unknown subcommand or wrong number of arguments for 'x'. Try Y HELP. */
void call_error_subcommand_words(struct call *call);

/* ---- arguments ---- */

static inline bool call_argument_is(const struct call *call, uint32_t index, const char *text) {
    return index < call->argc && bytes_is(call->argv[index], text);
}
/* False after an error reply. The error is `error` when not NULL, else call_error_integer's. */
bool call_parse_i64(struct call *call, uint32_t index, int64_t *out, const char *error);
/* The same, in a range; outside it the error says the range, or is `error`. */
bool call_parse_range(struct call *call, uint32_t index, int64_t min, int64_t max, int64_t *out,
                      const char *error);
/* May so many elements be drawn, of which some may be the same? False after an error reply: an
 * argument must not make the server draw for hours and fill its memory. */
enum { CALL_DRAWS_MAX = 1 << 26 };
bool call_can_draw(struct call *call, uint64_t count);

/* ---- keys ---- */

struct key call_key(const struct call *call, uint32_t index);

/* Find the key of an argument for reading: counted as hit or miss, its clock touched. An expired
 * one is removed and counts as absent. */
const struct entry *call_read(struct call *call, uint32_t index);
/* The same for any database and any name. */
const struct entry *call_read_key(struct call *call, struct database *db, const struct key *key);
/* Remove a key that is past its time, as reading it would. */
void call_expire(struct call *call, struct bytes name);
/* The same as call_read, for a value of one type: false after a WRONGTYPE reply; *entry is NULL
 * when absent. */
bool call_read_type(struct call *call, uint32_t index, enum value_type type,
                    const struct entry **entry);
/* The same, without touching its clock or telling of a miss (OBJECT, MEMORY USAGE). */
const struct entry *call_peek(struct call *call, uint32_t index);
/* The same, and a miss is told as an event (EXISTS, TYPE, TTL). */
const struct entry *call_read_untouched(struct call *call, uint32_t index);
/* Somebody is told, as an event, that it is not there: by call_read too. */
void call_missed(struct call *call, uint32_t index);
/* Find it for changing it (see database.h). */
struct spot call_locate(struct call *call, uint32_t index);
bool call_locate_type(struct call *call, uint32_t index, enum value_type type, struct spot *spot);
/* The same for any database and any name. */
struct spot call_locate_key(struct call *call, struct database *db, const struct key *key);
/* An entry that was found by database_find_private has been used: it was changed. */
void call_used_to_change(struct call *call, const struct entry *entry);

/* Find a collection for reading: false after a WRONGTYPE reply; *object is NULL when absent, else
 * it is in `room` or the keyspace's own, valid until the keyspace is changed. */
bool call_read_object(struct call *call, uint32_t index, enum value_type type,
                      union object_room *room, const struct object **object);
/* The same for a look before a change, which is neither a hit nor a miss. */
bool call_look_object(struct call *call, uint32_t index, enum value_type type,
                      union object_room *room, const struct object **object);
/* Begin changing a collection, an empty one when the key is absent: false after a WRONGTYPE reply.
 * To be ended by edit_end (keyspace/edit.h), then call_changed. */
bool call_edit(struct call *call, uint32_t index, enum value_type type, struct edit *edit);
void reply_item(struct reply *reply, const struct item *item); /* as a bulk string */

/* ---- waiting ---- */

/* What a call waits for, and what then. */
struct call_wait {
    enum value_type type;     /* one of the keys holds this */
    bool wake_when_gone;      /* or stops being what it was: deleted, another type (XREADGROUP) */
    const uint32_t *keys;     /* arguments; the same keys whenever it is run again */
    uint32_t key_count;       /* 0: waiting_wake ends it */
    int64_t timeout_ms;       /* from now; 0: for ever */
    const struct bytes *argv; /* what to run then, copied, the keys where they are; NULL: the same
                               * words */
    size_t argc;
    void (*timed_out)(struct call *call); /* writes the reply */
};

/* False where waiting makes no sense (a transaction, a script, replay): the handler then replies as
 * if the time were over. */
bool call_may_wait(const struct call *call);
/* Hold the session until then. The handler changes nothing and returns without a reply. It is run
 * again from the start when a key has been changed and holds the type (or wake_when_gone), with
 * `ready` its argument: it serves that key alone, or waits again by calling this again, which keeps
 * its place in the line, its deadline and its words. Those who wait for a key are asked in the
 * order in which they came; keys in the order in which they were changed; all after the command
 * that changed them and before the next one. */
void call_wait(struct call *call, const struct call_wait *wait);
/* A timeout in seconds with fractions, rounded up to milliseconds, 0 for ever: false after "ERR
 * timeout ..." */
bool call_parse_timeout(struct call *call, uint32_t index, int64_t *timeout_ms);

/* ---- changes ---- */

/* The key was changed: counts one change, tells watchers, and makes the event "set", "del" ... */
void call_changed(struct call *call, struct database *db, struct bytes key, enum notify_class class,
                  const char *event);
/* As call_changed, without an event. */
void call_changed_silently(struct call *call, struct database *db, struct bytes key);
/* As call_changed_silently, without counting it: the second key of one change (MOVE, RENAME). */
void call_changed_uncounted(struct call *call, struct database *db, struct bytes key);
/* An event without a change of its own (the second of a pair: "set" and "expire"). */
void call_notify(struct call *call, struct database *db, struct bytes key, enum notify_class class,
                 const char *event);
/* What hangs on the key was changed, and not what it holds: a stream's groups, the form of a value.
 * As call_changed, but who watches the key or has it in a cache is not told. `event` may be NULL.
 */
void call_changed_inside(struct call *call, struct database *db, struct bytes key,
                         enum notify_class class, const char *event);
/* A whole database (or all, with NULL) was emptied or exchanged: as many changes as `keys`. */
void call_changed_database(struct call *call, struct database *db, uint64_t keys);

/* The journal gets these words instead of the command's own; several calls, several commands. */
void call_effect(struct call *call, struct database *db, const struct bytes *argv, size_t argc);
/* The journal gets nothing, although something changed. */
void call_effect_none(struct call *call);

/* The argument is a secret: MONITOR and the slow log show "(redacted)" instead. */
void call_hide(struct call *call, uint32_t index);

/* A random number of the server's generator. */
uint64_t call_random(struct call *call);

#endif
