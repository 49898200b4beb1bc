/* dataset.h: a view of the keyspace as commands that make it: the base of an append-only file whose
 * reader shall need to know no RDB format (aof-use-rdb-preamble no).
 *
 *     FUNCTION LOAD ... | SELECT n, keys of database n | ... | annotation: id and offset
 *
 * Collections come in commands of at most DATASET_ELEMENTS_MAX elements, each key's time of expiry
 * behind its value. The annotation at the end announces nothing, and says where the dataset stands
 * in its history. Every command is one that Redis 7.0 knows, but for the times of a hash's fields
 * and for a stream whose groups have entries pending that were deleted: XCLAIM cannot make these,
 * so that the stream is a RESTORE. Runs on any thread. */
#ifndef REDSTART_JOURNAL_DATASET_H
#define REDSTART_JOURNAL_DATASET_H

#include "rdb/writer.h"

enum { DATASET_ELEMENTS_MAX = 64 };

/* What is wanted is said as for an RDB file: view, world, libraries, history, now_s, and the sink
 * (write, context, keys_done). False: the sink does not want more. */
bool dataset_write(const struct rdb_writer_options *options);

#endif
