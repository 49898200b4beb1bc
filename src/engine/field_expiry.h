/* field_expiry.h: fields of hashes whose time has come. */
#ifndef REDSTART_ENGINE_FIELD_EXPIRY_H
#define REDSTART_ENGINE_FIELD_EXPIRY_H

#include "keyspace/database.h"

struct server;

/* These fields of the key were removed because they were over: counted, journaled as HDEL, told as
 * "hexpired". */
void field_expiry_say(struct server *server, struct database *db, struct bytes key,
                      const struct bytes *fields, size_t count);
/* Remove at most `max` fields that are over from the hash of this entry, and the key with the last
 * one. Returns how many; fewer than `max` when none are left. */
size_t field_expiry_due(struct server *server, struct database *db, const struct entry *entry,
                        size_t max);

#endif
