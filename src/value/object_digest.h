/* object_digest.h: the fingerprint of a collection's content, whatever its encoding.
 *
 *     type (1 byte) | pieces in order | the exclusive or of its elements' digests, where order has
 * no meaning piece: size (8 bytes) and bytes of an item, or a number (8 bytes) */
#ifndef REDSTART_VALUE_OBJECT_DIGEST_H
#define REDSTART_VALUE_OBJECT_DIGEST_H

#include "base/digest.h"
#include "value/object.h"

struct object_digest {
    struct digest_stream whole, element;
    struct digest elements; /* of those that ended */
    bool in_element;
};

struct digest object_digest_of(const struct object *object);

#endif
