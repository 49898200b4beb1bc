/* config.h: what the operator has decided, as plain typed fields: config->maxclients.
 *
 *   directives.def      describes each directive once
 *   config_table.c      that table, and the words that choices are made of
 *   config_kind.c       each type of value: reading, writing, comparing
 *   config.c            a config's life, CONFIG GET and SET, observers
 *   config_file.c       configuration files and command lines
 *   config_rewrite.c    CONFIG REWRITE
 *   config_example.c    the documented example file
 *
 * Who needs a value reads the field; who has to act when it changes, or may have to refuse,
 * observes it. Nothing here touches a file system: files come through a config_reader, and
 * REWRITE's text goes back to the caller. Fields are written by this module alone. */
#ifndef REDSTART_ENGINE_CONFIG_H
#define REDSTART_ENGINE_CONFIG_H

#include "base/buffer.h"
#include "base/bytes.h"

enum {
    CONFIG_ERROR_SIZE = 512,   /* bytes of a reason, with its zero */
    CONFIG_ADDRESSES_MAX = 16, /* of bind */
    CONFIG_CLASSES = 3,        /* of client-output-buffer-limit, as enum session_class */
};

/* ---- values ---- */

struct config_list {
    struct bytes *items; /* each with a zero behind it */
    size_t count;
};
struct config_statements { /* directives that may be given many times, each as its words */
    struct config_list *items;
    size_t count;
};
struct config_save_point {
    int64_t seconds, changes;
};
struct config_save {
    struct config_save_point *points;
    size_t count;
};
struct config_output_limit {
    uint64_t hard, soft; /* bytes, 0: none */
    int64_t soft_seconds;
};
struct config_output_limits {
    struct config_output_limit of[CONFIG_CLASSES];
};
struct config_percent {
    uint64_t amount; /* bytes, or percent */
    bool is_percent;
};
struct config_replicaof {
    struct bytes host; /* size 0: none */
    int64_t port;
};
struct config_oom_values {
    int64_t of[3];
};
struct config_percentiles {
    double *items;
    size_t count;
};

/* The meanings of choices. log levels are enum log_level's. */
enum config_guard { GUARD_NO, GUARD_YES, GUARD_LOCAL };
enum config_supervised { SUPERVISED_NONE, SUPERVISED_AUTO, SUPERVISED_SYSTEMD, SUPERVISED_UPSTART };
enum config_policy { /* maxmemory-policy */
                     POLICY_NOEVICTION,
                     POLICY_ALLKEYS_LRU,
                     POLICY_ALLKEYS_LFU,
                     POLICY_ALLKEYS_RANDOM,
                     POLICY_VOLATILE_LRU,
                     POLICY_VOLATILE_LFU,
                     POLICY_VOLATILE_RANDOM,
                     POLICY_VOLATILE_TTL,
                     POLICY_ALLKEYS_LRM,
                     POLICY_VOLATILE_LRM,
};
enum config_fsync { FSYNC_NO, FSYNC_EVERYSEC, FSYNC_ALWAYS };
enum config_sanitize { SANITIZE_NO, SANITIZE_YES, SANITIZE_CLIENTS };
enum config_diskless_load {
    DISKLESS_LOAD_DISABLED,
    DISKLESS_LOAD_ON_EMPTY_DB,
    DISKLESS_LOAD_SWAPDB
};
enum config_propagation { PROPAGATION_IGNORE, PROPAGATION_PANIC, PROPAGATION_PANIC_ON_REPLICAS };
enum config_pubsub { PUBSUB_RESETCHANNELS, PUBSUB_ALLCHANNELS };
enum config_tls_auth { TLS_AUTH_NO, TLS_AUTH_YES, TLS_AUTH_OPTIONAL };
enum config_ack_policy { ACK_WAIT, ACK_REFUSE, ACK_DEGRADE };
enum config_oom { OOM_NO, OOM_RELATIVE, OOM_ABSOLUTE };
enum config_endpoint { ENDPOINT_IP, ENDPOINT_HOSTNAME, ENDPOINT_UNKNOWN };
/* notify-keyspace-events holds bits of enum notify_class and notify_target (engine/notify.h). */
enum config_shutdown { /* shutdown-on-...; 0 is the default */
                       SHUTDOWN_SAVE = 1,
                       SHUTDOWN_NOSAVE = 2,
                       SHUTDOWN_NOW = 4,
                       SHUTDOWN_FORCE = 8,
};

/* ---- the table ---- */

enum config_flag {
    IMMUTABLE = 1 << 0,            /* not by CONFIG SET */
    PROTECTED = 1 << 1,            /* only where enable-protected-configs allows it */
    SENSITIVE = 1 << 2,            /* never logged */
    HIDDEN = 1 << 3,               /* CONFIG GET gives it only by its whole name */
    DENIED_WHILE_LOADING = 1 << 4, /* not by CONFIG SET while loading */
    FILE_ONLY = 1 << 5,            /* unknown to CONFIG GET and SET */
};

enum config_state { CONFIG_WORKS, CONFIG_LATER, CONFIG_POINTLESS };

struct config_choice {
    const char *word; /* NULL ends the list */
    int value;
};

/* Positions in the table: CONFIG_port ... */
enum config_index {
#define SECTION(title)
#define BOOLEAN(field, ...)           CONFIG_##field,
#define INTEGER(field, ...)           CONFIG_##field,
#define MEMORY(field, ...)            CONFIG_##field,
#define TEXT(field, ...)              CONFIG_##field,
#define CHOICE(field, ...)            CONFIG_##field,
#define OTHER(kind, type, field, ...) CONFIG_##field,
#include "engine/directives.def"
#undef BOOLEAN
#undef INTEGER
#undef MEMORY
#undef TEXT
#undef CHOICE
#undef OTHER
    CONFIG_COUNT
};

struct config_directive {
    const char *name;
    const char *alias; /* NULL: none */
    const struct config_kind *kind;
    size_t offset;        /* of its field */
    const char *standard; /* the default, as written in a file */
    int64_t min;          /* of integers */
    uint64_t max;
    const char *unit;
    const struct config_choice *choices;
    uint32_t flags;
    enum config_state state;
    const char *reason; /* why it is pointless */
    const char *sentence;
};

extern const struct config_directive config_directives[CONFIG_COUNT];

/* By name or alias, in any case; NULL when unknown. */
const struct config_directive *config_find(struct bytes name);

/* ---- a config ---- */

struct config_observer;

struct config {
#define BOOLEAN(field, ...)           bool field;
#define INTEGER(field, ...)           int64_t field;
#define MEMORY(field, ...)            uint64_t field;
#define TEXT(field, ...)              struct bytes field;
#define CHOICE(field, ...)            int field;
#define OTHER(kind, type, field, ...) type field;
#include "engine/directives.def"
#undef SECTION
#undef BOOLEAN
#undef INTEGER
#undef MEMORY
#undef TEXT
#undef CHOICE
#undef OTHER

    bool given[CONFIG_COUNT]; /* named by a file, the command line or CONFIG SET */
    struct bytes file;        /* absolute path of the configuration file; size 0: none */
    struct config_observer *observers, *followers;
};

/* All defaults. */
struct config *config_open(void);
void config_close(struct config *config);

/* Where the configuration file lies (for REWRITE and INFO). */
void config_set_file(struct config *config, struct bytes path);

/* Told after a change of the directive, when the new value stands in its field. May refuse, with a
 * text of at most CONFIG_ERROR_SIZE bytes in `error`: then all fields go back to their old values,
 * and it and all that were told before it are told again, to go back as well; what they say to that
 * is not heard. One that observes several directives is told once for all that one CONFIG SET
 * changed. */
typedef bool config_observe_function(void *context, struct config *config, char *error,
                                     size_t error_size);
void config_observe(struct config *config, const char *name, config_observe_function *function,
                    void *context);
/* The same, told once nobody refuses any more: for what cannot go back. May not refuse itself. */
void config_follow(struct config *config, const char *name, config_observe_function *function,
                   void *context);

/* Put a value, as written in a file, in a field: what the start finds out (the absolute path of
 * dir, how many clients the system allows). It must be right; nobody is told. */
void config_amend(struct config *config, enum config_index index, struct bytes text);
void config_amend_words(struct config *config, enum config_index index, const struct bytes *words,
                        size_t count);
/* The same for statements: each a line of `text`, its words between single blanks. */
void config_amend_statements(struct config *config, enum config_index index, struct bytes text);

/* ---- CONFIG GET and SET ---- */

struct config_match {
    const struct config_directive *directive;
    struct bytes name; /* or alias; as it was asked for, when by its whole name */
};
enum { CONFIG_MATCHES_MAX = 2 * CONFIG_COUNT };
/* What the patterns name, each name once, in the table's order; how many. */
size_t config_match(const struct bytes *patterns, size_t count,
                    struct config_match matches[CONFIG_MATCHES_MAX]);
/* The value as CONFIG GET shows it, appended. */
void config_format(const struct config *config, const struct config_directive *directive,
                   struct buffer *out);

struct config_access {
    bool is_local; /* asked for from this machine */
    bool is_loading;
};
/* pairs: name, value, name, value ...; all of them or none. False with the whole error reply ("ERR
 * CONFIG SET failed ...") in `error`. */
bool config_set(struct config *config, const struct bytes *pairs, size_t pair_count,
                struct config_access access, struct buffer *error);

/* ---- what was accepted without effect, for the log at the start ---- */

/* Names of the directives given whose feature is not there yet, separated by ", "; how many. */
size_t config_list_later(const struct config *config, struct buffer *out);
/* "name: reason" of the next one given that is pointless, from *position on; NULL at the end. */
const struct config_directive *config_next_pointless(const struct config *config, size_t *position);

/* ---- the example ---- */

/* The documented example file. */
void config_write_example(struct buffer *out);

#endif
