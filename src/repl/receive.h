/* receive.h: a whole dataset on its way from the primary: into a file first.
 *
 *     $123456\r\n ... so many bytes          the stream follows at once
 *     $EOF:<40 digits>\r\n ... <40 digits>   nothing follows before it is acknowledged
 *
 *     engine    receives into one buffer | and the other ...
 *     worker             writes the first one | ...
 *
 * Owns the file under its temporary name. */
#ifndef REDSTART_REPL_RECEIVE_H
#define REDSTART_REPL_RECEIVE_H

#include "base/bytes.h"

struct receive;
struct server;

enum { RECEIVE_MARK_SIZE = 40, RECEIVE_BUFFER = 1024 * 1024 };

/* `head` is the line behind the $, without its end. NULL: it says nothing that can be. */
struct receive *receive_begin(struct server *server, struct bytes head);
/* Where to put the next bytes; NULL: the worker is behind (the replicator's step is called when it
 * is not any more). */
char *receive_room(struct receive *receive, size_t *room);
/* So many have come there. Returns how many of the last ones belong to the stream. */
size_t receive_filled(struct receive *receive, size_t size);
/* All is there. */
bool receive_is_whole(const struct receive *receive);
/* The same, and in the file. */
bool receive_is_written(const struct receive *receive);
/* 0, or a negative errno: it cannot be written. */
int receive_error(const struct receive *receive);
const char *receive_path(const struct receive *receive);
uint64_t receive_size(const struct receive *receive); /* of what came */
int64_t receive_total(const struct receive *receive); /* -1: not known */
/* The file stays, as the server's own RDB file (safely, by a worker), or goes. */
void receive_end(struct receive *receive, bool keeps);

#endif
