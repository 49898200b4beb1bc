/* digest.h: fingerprints of data, for comparing servers: the same data has the same digest on
 * every server, after every restart, however it came to be.
 *
 * Folded: what Redis's DEBUG DIGEST and DIGEST-VALUE answer (value/object_digest.h). Exact: sees
 * all that effects tell, also when what expires.
 *
 *     value    of the type and the value's content, whatever its encoding:
 *                  type (1 byte) | a string's bytes
 *     entry    of the database's number (4 bytes), the expiry (8 bytes, milliseconds since 1970,
 * the greatest number for none), the key's size (8 bytes), the key, and the value's digest dataset
 * the exclusive or of all entries' digests: their order does not matter, and a key is in a database
 * once. 0 when there are none.
 *
 * Numbers are little-endian. A digest is 160 bits: XXH3's 128-bit hash, and the lower 32 bits of
 * its 64-bit hash with seed 1. It finds accidents; it is no proof against someone who wants a
 * collision. */
#ifndef REDSTART_KEYSPACE_DIGEST_H
#define REDSTART_KEYSPACE_DIGEST_H

#include "base/digest.h"
#include "keyspace/keyspace.h"

struct digest digest_value(const struct entry *entry);
struct digest digest_entry(uint32_t database, const struct entry *entry);
/* As Redis's: whether something expires is seen, and not when. */
struct digest digest_fold_value(const struct entry *entry);
struct digest digest_fold_keyspace(const struct keyspace *keyspace, int64_t now_ms);
/* Of everything that has not expired at `now_ms`. Walks the whole keyspace. */
struct digest digest_keyspace(const struct keyspace *keyspace, int64_t now_ms);

#endif
