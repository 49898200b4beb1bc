/* glob.h: Redis's patterns: * ? [a-z] [^a] and backslash, over bytes.
 * O(pattern * text) at worst, never exponential, no recursion. Only the empty pattern matches the
 * empty text: as in Redis, where KEYS, SCAN and ACL rules look for a lone "*" before they ask. */
#ifndef REDSTART_BASE_GLOB_H
#define REDSTART_BASE_GLOB_H

#include "base/bytes.h"

bool glob_match(struct bytes pattern, struct bytes text, bool ignore_case);

#endif
