/* glob.h: Redis's patterns: * ? [a-z] [^a] and backslash, over bytes.
 * Linear: O(pattern * text) at worst, never exponential, no recursion. */
#ifndef REDSTART_BASE_GLOB_H
#define REDSTART_BASE_GLOB_H

#include "base/bytes.h"

bool glob_match(struct bytes pattern, struct bytes text, bool ignore_case);

#endif
