/* report.h: what the server says of itself, in the sections and fields of Redis's INFO.
 *
 * Text is appended to a buffer, so that INFO, the crash report and whoever else wants the numbers
 * have them from one place:
 *
 *     # Server                        a section
 *     redis_version:7.4.0             its fields, as Redis 7.4 names and writes them
 *     redstart_version:0.1.0          and our own, which begin with redstart_
 *
 * Every value is true: where the feature is not there yet, it is what Redis says while the feature
 * is not used. Fields whose value nobody could say are left out (tests/outside/test_info.py lists
 * them). */
#ifndef REDSTART_ENGINE_REPORT_H
#define REDSTART_ENGINE_REPORT_H

#include "base/buffer.h"
#include "io/io.h"

struct server;

/* In the order in which INFO gives them. */
enum report_section {
    REPORT_SERVER = 1 << 0,
    REPORT_CLIENTS = 1 << 1,
    REPORT_MEMORY = 1 << 2,
    REPORT_PERSISTENCE = 1 << 3,
    REPORT_STATS = 1 << 4,
    REPORT_REPLICATION = 1 << 5,
    REPORT_CPU = 1 << 6,
    REPORT_MODULES = 1 << 7,
    REPORT_COMMANDSTATS = 1 << 8,
    REPORT_ERRORSTATS = 1 << 9,
    REPORT_LATENCYSTATS = 1 << 10,
    REPORT_CLUSTER = 1 << 11,
    REPORT_KEYSPACE = 1 << 12,
    REPORT_KEYSIZES = 1 << 13,
    REPORT_COUNTED = REPORT_KEYSPACE | REPORT_KEYSIZES, /* as key_sizes_prepare found it */
    REPORT_ALL = (1 << 14) - 1,
    REPORT_DEFAULT = REPORT_ALL & ~(REPORT_COMMANDSTATS | REPORT_LATENCYSTATS),
};

/* The sections that a word asks for: a section's name, "default", "all" or "everything", in any
 * case of letters. 0: none is called so. */
uint32_t report_sections(struct bytes name);

/* Append the sections, an empty line between two of them. Lines end with CR and LF. Takes time in
 * proportion to the sessions and databases, never to the keys. */
void report_append(const struct server *server, uint32_t sections, struct buffer *out);

/* Where the memory is. All in bytes. */
struct report_memory {
    size_t used;     /* server_used_memory */
    size_t peak;     /* the most that was ever sampled, or seen now */
    size_t startup;  /* used when the server had just opened */
    size_t tables;   /* of the keyspace: finding keys, not holding them */
    size_t clients;  /* sessions with their buffers, without those of replicas */
    size_t replicas; /* theirs, with the stream and datasets that wait beyond the backlog */
    size_t backlog;  /* the stream's end */
    size_t overhead; /* startup, tables, clients, replicas and backlog */
    size_t dataset;  /* used without overhead */
    size_t active,
        resident; /* pages with something in use; mapped. The allocator's word, 0: unknown */
    size_t muzzy; /* pages given back, and not yet taken by the system */
};
struct report_memory report_memory(const struct server *server);

/* What CONFIG RESETSTAT does: all counters to zero, those of commands and errors too. */
void server_reset_statistics(struct server *server);

/* While installed, a crash report of this process (base/invariant.h) shows the request that was
 * running and INFO of this server. Arguments are cut short; those of commands that carry secrets
 * are never shown, and none while hide-user-data-from-log is set. One server of a process can have
 * it. `invariant` is borrowed; its fd stays the caller's, the rest is filled in here. */
struct invariant_reporter;
struct server_reporter;
struct server_reporter *server_install_reporter(struct server *server,
                                                struct invariant_reporter *invariant);
/* Before the server is closed. NULL is allowed. */
void server_remove_reporter(struct server_reporter *reporter);

#endif
