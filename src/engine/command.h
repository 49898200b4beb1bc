/* command.h: what is known of each command before it runs: its description, as constant data.
 *
 * A description stands once, in src/command/<family>.toml; src/command/generate.py makes a `struct
 * command_set` of those that are in the build: an array of commands, subcommands included, and a
 * perfect hash over their names. Everything that has to know commands reads it here: the turn
 * (handler, arity, key positions), COMMAND, HELP, ACL categories, statistics (by number). Nothing
 * here is ever changed.
 *
 *     commands    | append | auth | ... | client|getname | client|id | ... | config|get | ...
 *                   `----- top level ---'  `--- subcommands, those of one container together ---'
 *
 *     lookup      name, lower case, in 3 words of 8 bytes -> hash -> displacement -> slot ->
 * command, whose own 3 words decide: three loads and a comparison, in any case of letters. */
#ifndef REDSTART_ENGINE_COMMAND_H
#define REDSTART_ENGINE_COMMAND_H

#include "base/bytes.h"

struct call;
struct command;
struct command_keys;

typedef void command_handler(struct call *call);
/* Adds the keys that the key specs cannot say. False: these arguments make no sense. */
typedef bool command_keys_function(const struct command *command, const struct bytes *argv,
                                   size_t argc, struct command_keys *keys);

enum {
    COMMAND_NAME_WORDS = 3,
    COMMAND_NAME_MAX = 24,    /* bytes of a name, container and subcommand each */
    COMMAND_KEYS_INLINE = 16, /* keys of a request that need no memory from the heap */
};

/* In the order in which COMMAND INFO lists them; names are these, in lower case. */
enum command_flag {
    COMMAND_WRITE = 1 << 0,
    COMMAND_READONLY = 1 << 1,
    COMMAND_DENYOOM = 1 << 2,
    COMMAND_MODULE = 1 << 3,
    COMMAND_ADMIN = 1 << 4,
    COMMAND_PUBSUB = 1 << 5,
    COMMAND_NOSCRIPT = 1 << 6,
    COMMAND_BLOCKING = 1 << 7,
    COMMAND_LOADING = 1 << 8,
    COMMAND_STALE = 1 << 9,
    COMMAND_SKIP_MONITOR = 1 << 10,
    COMMAND_SKIP_SLOWLOG = 1 << 11,
    COMMAND_ASKING = 1 << 12,
    COMMAND_FAST = 1 << 13,
    COMMAND_NO_AUTH = 1 << 14,
    COMMAND_NO_MANDATORY_KEYS = 1 << 15,
    COMMAND_NO_ASYNC_LOADING = 1 << 16,
    COMMAND_NO_MULTI = 1 << 17,
    COMMAND_MOVABLEKEYS = 1 << 18, /* derived: first, last and step do not say it all */
    COMMAND_ALLOW_BUSY = 1 << 19,
    COMMAND_FLAGS_SHOWN = 20,
    /* not shown by COMMAND INFO */
    COMMAND_MAY_REPLICATE = 1 << 20, /* no write, but has effects (PUBLISH) */
    COMMAND_PROTECTED = 1 << 21,     /* allowed by a directive of its own (DEBUG, MODULE) */
    COMMAND_NOT_QUEUED = 1 << 22,    /* runs at once between MULTI and EXEC */
    COMMAND_SUBSCRIBED = 1 << 23,    /* allowed to a subscribed session of RESP2 */
};

enum command_category {
    COMMAND_CATEGORY_KEYSPACE = 1 << 0,
    COMMAND_CATEGORY_READ = 1 << 1,
    COMMAND_CATEGORY_WRITE = 1 << 2,
    COMMAND_CATEGORY_SET = 1 << 3,
    COMMAND_CATEGORY_SORTEDSET = 1 << 4,
    COMMAND_CATEGORY_LIST = 1 << 5,
    COMMAND_CATEGORY_HASH = 1 << 6,
    COMMAND_CATEGORY_STRING = 1 << 7,
    COMMAND_CATEGORY_BITMAP = 1 << 8,
    COMMAND_CATEGORY_HYPERLOGLOG = 1 << 9,
    COMMAND_CATEGORY_GEO = 1 << 10,
    COMMAND_CATEGORY_STREAM = 1 << 11,
    COMMAND_CATEGORY_PUBSUB = 1 << 12,
    COMMAND_CATEGORY_ADMIN = 1 << 13,
    COMMAND_CATEGORY_FAST = 1 << 14,
    COMMAND_CATEGORY_SLOW = 1 << 15,
    COMMAND_CATEGORY_BLOCKING = 1 << 16,
    COMMAND_CATEGORY_DANGEROUS = 1 << 17,
    COMMAND_CATEGORY_CONNECTION = 1 << 18,
    COMMAND_CATEGORY_TRANSACTION = 1 << 19,
    COMMAND_CATEGORY_SCRIPTING = 1 << 20,
    COMMAND_CATEGORIES = 21,
};

/* ---- where the keys are ---- */

enum command_key_flag {
    COMMAND_KEY_RO = 1 << 0, /* one of the first four: what happens to the value as a whole */
    COMMAND_KEY_RW = 1 << 1,
    COMMAND_KEY_OW = 1 << 2,
    COMMAND_KEY_RM = 1 << 3,
    COMMAND_KEY_ACCESS = 1 << 4, /* then: what happens to the user's data in it */
    COMMAND_KEY_UPDATE = 1 << 5,
    COMMAND_KEY_INSERT = 1 << 6,
    COMMAND_KEY_DELETE = 1 << 7,
    COMMAND_KEY_NOT_KEY = 1 << 8,         /* stands where keys stand, but is none */
    COMMAND_KEY_INCOMPLETE = 1 << 9,      /* there may be more than this spec finds */
    COMMAND_KEY_VARIABLE_FLAGS = 1 << 10, /* options decide what really happens */
    COMMAND_KEY_FLAGS = 11,
};

enum command_key_begin {
    COMMAND_KEY_BEGIN_UNKNOWN,
    COMMAND_KEY_BEGIN_INDEX,   /* at `index` */
    COMMAND_KEY_BEGIN_KEYWORD, /* behind `keyword`, searched from `index` on, backwards from the end
                                  when < 0 */
};

enum command_key_find {
    COMMAND_KEY_FIND_UNKNOWN,
    COMMAND_KEY_FIND_RANGE,  /* to `last`, counted from the begin; < 0: from the end of the request
                              */
    COMMAND_KEY_FIND_KEYNUM, /* as many as the argument at begin + number_index says, from begin +
                                first */
};

struct command_key_spec {
    const char *notes; /* NULL mostly */
    const char *keyword;
    uint16_t flags; /* of enum command_key_flag */
    uint8_t begin;  /* enum command_key_begin */
    uint8_t find;   /* enum command_key_find */
    int16_t index;
    int16_t last;
    int16_t limit; /* with a negative last: only the first 1/limit of what follows; 0 and 1: all */
    int16_t step;
    int16_t number_index;
    int16_t first;
};

struct command_key {
    uint32_t position; /* in argv */
    uint32_t flags;    /* of enum command_key_flag */
};

/* Keys of one request, in the order of the specs. Zeroed at first. */
struct command_keys {
    struct command_key *keys; /* `own`, or from the heap */
    uint32_t count, capacity;
    struct command_key own[COMMAND_KEYS_INLINE];
};

/* ---- what people read ---- */

enum command_argument_type {
    COMMAND_ARGUMENT_STRING,
    COMMAND_ARGUMENT_INTEGER,
    COMMAND_ARGUMENT_DOUBLE,
    COMMAND_ARGUMENT_KEY,
    COMMAND_ARGUMENT_PATTERN,
    COMMAND_ARGUMENT_UNIX_TIME,
    COMMAND_ARGUMENT_PURE_TOKEN,
    COMMAND_ARGUMENT_ONEOF,
    COMMAND_ARGUMENT_BLOCK,
};

enum command_argument_flag {
    COMMAND_ARGUMENT_OPTIONAL = 1 << 0,
    COMMAND_ARGUMENT_MULTIPLE = 1 << 1,
    COMMAND_ARGUMENT_MULTIPLE_TOKEN = 1 << 2,
    COMMAND_ARGUMENT_FLAGS = 3,
};

struct command_argument {
    const char *name;
    const char *display;          /* NULL for oneof and block */
    const char *token;            /* NULL: none */
    const char *since;            /* NULL: as old as the command */
    const char *deprecated_since; /* NULL: it is not */
    const struct command_argument *arguments;
    uint8_t argument_count;
    uint8_t type;    /* enum command_argument_type */
    uint8_t flags;   /* of enum command_argument_flag */
    int8_t key_spec; /* -1: not a key */
};

struct command_history {
    const char *since;
    const char *text;
};

struct command_docs {
    const char *summary;
    const char *since;
    const char *group;
    const char *complexity;       /* NULL: not said */
    const char *deprecated_since; /* NULL: it is not */
    const char *replaced_by;
    const struct command_history *history;
    const struct command_argument *arguments;
    const char *const *tips;
    const char *const *help; /* the lines of HELP; NULL when there is none */
    uint16_t history_count, argument_count, tip_count, help_count;
    bool syscmd; /* for the server's own use, says the documentation */
};

/* ---- the command ---- */

struct command {
    /* What every request reads: one cache line. */
    uint64_t name_words[COMMAND_NAME_WORDS]; /* lower case, zeroes behind */
    command_handler *handler;                /* NULL: a container that needs a subcommand */
    uint32_t flags;                          /* of enum command_flag */
    uint32_t categories;                     /* of enum command_category */
    uint16_t number;                         /* place in the set; index for statistics */
    uint16_t scope;                          /* 0 at top level, else the container's number + 1 */
    int16_t arity;                           /* arguments with the name; < 0: at least that many */
    /* The scheme before key specs: positions of the first and last key, and the step. 0 0 0: none.
     */
    int16_t first_key, last_key, key_step;
    uint16_t subcommand_count;
    uint8_t name_size;
    uint8_t key_spec_count;

    const struct command_key_spec *key_specs __attribute__((aligned(64)));
    command_keys_function *keys_function; /* NULL: the key specs say all */
    struct bytes name;                    /* "get" */
    struct bytes full_name;               /* "config|get" */
    const struct command *parent;
    const struct command *subcommands;
    const struct command_docs *docs;
};
_Static_assert(offsetof(struct command, key_specs) == 64, "the hot part is one cache line");

struct command_set {
    const struct command *commands;
    const uint16_t *slots; /* number + 1, 0: empty */
    const uint16_t *displacements;
    uint32_t slot_mask;
    uint32_t displacement_mask;
    uint16_t count;     /* subcommands included */
    uint16_t top_count; /* without them: they come first */
};

/* NULL when there is none. Letters in any case. */
const struct command *command_find(const struct command_set *set, struct bytes name);
const struct command *command_find_subcommand(const struct command_set *set,
                                              const struct command *container, struct bytes name);
/* "get" or "config|get". */
const struct command *command_find_full(const struct command_set *set, struct bytes full_name);

/* The command that a request means, NULL when it is unknown; then *container is the command that
 * does not know the subcommand, or NULL. A container alone is returned as such: its arity or
 * handler decides. */
const struct command *command_resolve(const struct command_set *set, const struct bytes *argv,
                                      size_t argc, const struct command **container);

static inline bool command_arity_fits(const struct command *command, size_t argc) {
    return command->arity >= 0 ? argc == (size_t)command->arity
                               : argc >= (size_t) - (int32_t)command->arity;
}

/* Has it keys, in some request? */
static inline bool command_has_keys(const struct command *command) {
    return command->key_spec_count > 0 || command->keys_function != NULL;
}

/* Some keys of a request, quickly: all of them but for commands with COMMAND_MOVABLEKEYS. For
 * touching them early, before the arity is checked: false when there are none in this request. */
static inline bool command_key_range(const struct command *command, size_t argc, size_t *first,
                                     size_t *last, size_t *step) {
    int64_t count = (int64_t)argc, end = command->last_key;
    if (end < 0) end += count;
    if (end >= count) end = count - 1;
    if (command->first_key == 0 || command->first_key > end) return false;
    *first = (size_t)command->first_key;
    *last = (size_t)end;
    *step = (size_t)command->key_step;
    return true;
}

/* The keys of a request that has the right arity. False when the arguments do not make sense
 * (numkeys beyond the end ...); what was found until then is in `keys`. Release it in any case. */
bool command_keys_find(const struct command *command, const struct bytes *argv, size_t argc,
                       struct command_keys *keys);
/* What the specs alone say, for a command_keys_function to begin with; unknown ones are left out.
 */
bool command_keys_from_specs(const struct command *command, const struct bytes *argv, size_t argc,
                             struct command_keys *keys);
void command_keys_add(struct command_keys *keys, size_t position, uint32_t flags);
void command_keys_release(struct command_keys *keys);

/* Does Redis have a command of this name ("cluster|info") which is not there? Users' rules and
 * rename-command may name it, or configurations made for Redis would keep the server from starting.
 */
bool command_is_absent(struct bytes name);

/* Names as COMMAND INFO shows them, by the number of the bit. */
const char *command_flag_name(unsigned bit);
const char *command_category_name(unsigned bit); /* without the '@' */
const char *command_key_flag_name(unsigned bit);
const char *command_argument_flag_name(unsigned bit);
const char *command_argument_type_name(enum command_argument_type type);
/* The category of this name (without '@'), 0 when there is none. */
uint32_t command_category_find(struct bytes name);

#endif
