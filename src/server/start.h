/* start.h: the program `redstart server`, also called redis-server. */
#ifndef REDSTART_SERVER_START_H
#define REDSTART_SERVER_START_H

#include "base/bytes.h"

struct process_title;

/* Read the configuration, start a server, run it until its end. `program` is how it was called
 * ("redis-server", "redstart server"), `words` what stands behind that. The exit code, as Redis has
 * them: 0 after a shutdown, 1 when it could not start. */
int server_main(const char *program, const struct bytes *words, size_t count,
                const struct process_title *title);

#endif
