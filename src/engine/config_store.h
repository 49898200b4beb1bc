/* config_store.h: the configuration's files, through struct io: replaced by CONFIG REWRITE. */
#ifndef REDSTART_ENGINE_CONFIG_STORE_H
#define REDSTART_ENGINE_CONFIG_STORE_H

#include "engine/config.h"
#include "io/io.h"

enum { CONFIG_FILE_MAX = 64 * 1024 * 1024 }; /* bytes; larger files are refused with -EFBIG */

/* Put a text in the place of a file, which is there or not: by a new file beside it, as below. 0 or
 * a negative errno value. */
int config_store_replace(struct io *io, const char *path, struct bytes text);

/* Write the present values into the configuration file, by a new file beside it that takes its
 * place once it is on the disk: whatever happens, there is the old file or the new one. A file that
 * has gone is made anew. 0 or a negative errno value. */
int config_store_rewrite(struct io *io, const struct config *config);

#endif
