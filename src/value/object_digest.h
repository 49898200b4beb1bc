/* object_digest.h: fingerprints of a collection's content, whatever its encoding. Two kinds:
 *
 * Exact: sees everything that effects tell.
 *     type (1 byte) | pieces in order | the exclusive or of its elements' digests, where order has
 *     no meaning
 *     piece: size (8 bytes) and bytes of an item, or a number (8 bytes)
 *
 * As Redis's DEBUG DIGEST has it, found by asking Redis 7.0: SHA-1, folded. It does not see when
 * fields end, nor groups of streams.
 *     mix(digest, bytes) = SHA1(digest xor SHA1(bytes))      in order
 *     add(digest, bytes) = digest xor SHA1(bytes)            in any order
 *     list, stream   mix the items; an entry's id as "1.2"
 *     set            add each member
 *     hash, zset     for each element: mix field and value (member and score as "%.17g") into 0,
 *                    and add what comes out */
#ifndef REDSTART_VALUE_OBJECT_DIGEST_H
#define REDSTART_VALUE_OBJECT_DIGEST_H

#include "base/digest.h"
#include "value/object.h"

struct object_digest {
    bool is_folded;                      /* as Redis's */
    struct digest_stream whole, element; /* exact */
    struct digest elements;              /* exact: of those that ended */
    struct digest folded;                /* of the whole */
    struct digest folded_element;
    bool in_element;
};

struct digest object_digest_of(const struct object *object);
/* `digest` is what came before: the key, the type. */
void object_digest_fold(const struct object *object, struct digest *digest);

void digest_fold_mix(struct digest *digest, struct bytes bytes);
void digest_fold_add(struct digest *digest, struct bytes bytes);

#endif
