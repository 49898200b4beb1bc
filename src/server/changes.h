/* changes.h: what CONFIG SET changes of the process itself: its folder, its log, its limits, its
 * title. */
#ifndef REDSTART_SERVER_CHANGES_H
#define REDSTART_SERVER_CHANGES_H

#include "base/log.h"
#include "engine/config.h"
#include "io/io.h"
#include "io/process.h"

enum { FILES_RESERVED = 32 }; /* descriptors that are not for clients */

struct server;

struct changes {
    struct io *io;
    struct config *config;
    struct log *log;
    const struct process_title *title;
    const char *program;
    struct server *server; /* NULL until it listens */
    int64_t port;          /* that it listens on */
};

/* Put the present values into effect and observe further ones. `changes` outlives the config's
 * observers. */
void changes_watch(struct changes *changes);

/* Ask for as many descriptors as maxclients needs; lowers maxclients, saying so in the log, when
 * the system does not give them. False when it gives too few for anything. */
bool changes_fit_clients(struct changes *changes);

/* Let the server listen elsewhere when port or bind change. */
void changes_watch_addresses(struct changes *changes, struct server *server);

/* dir as an absolute path. */
void changes_note_directory(struct changes *changes);

#endif
