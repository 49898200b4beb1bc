/* reading.h: the configuration at the start, put together from file, command line and standard
 * input. */
#ifndef REDSTART_SERVER_READING_H
#define REDSTART_SERVER_READING_H

#include "base/log.h"
#include "engine/config.h"
#include "io/io.h"
#include "server/options.h"

/* Enters the folder that dir names. False after having said on standard error, or in the log, what
 * is wrong. */
bool reading_load(struct io *io, struct config *config, const struct options *options,
                  struct log *log);

#endif
