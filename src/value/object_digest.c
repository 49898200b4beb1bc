/* object_digest.c: pieces of collections on their way into a fingerprint. Changes nothing else. */
#include "value/object_digest.h"

#include "base/sha1.h"
#include <stdio.h>

_Static_assert((int)SHA1_SIZE == DIGEST_SIZE, "a digest is as long as a SHA-1");

void digest_fold_add(struct digest *digest, struct bytes bytes) {
    struct digest one;
    sha1(bytes, one.bytes);
    digest_mix(digest, &one);
}

void digest_fold_mix(struct digest *digest, struct bytes bytes) {
    digest_fold_add(digest, bytes);
    sha1(bytes_make((const char *)digest->bytes, sizeof digest->bytes), digest->bytes);
}

static struct digest_stream *stream_of(struct object_digest *digest) {
    return digest->in_element ? &digest->element : &digest->whole;
}

static void fold(struct object_digest *digest, struct bytes bytes) {
    digest_fold_mix(digest->in_element ? &digest->folded_element : &digest->folded, bytes);
}

void object_digest_item(struct object_digest *digest, const struct item *item) {
    char scratch[ITEM_TEXT_MAX];
    struct bytes bytes = item_bytes(item, scratch);
    if (digest->is_folded) {
        fold(digest, bytes);
        return;
    }
    object_digest_number(digest, bytes.size);
    digest_add(stream_of(digest), bytes.data, bytes.size);
}

void object_digest_number(struct object_digest *digest, uint64_t number) {
    if (!digest->is_folded) digest_add_number(stream_of(digest), number, sizeof number);
}

void object_digest_score(struct object_digest *digest, double score, uint64_t order) {
    char text[64];
    if (digest->is_folded)
        fold(digest, bytes_make(text, (size_t)snprintf(text, sizeof text, "%.17g", score)));
    else
        object_digest_number(digest, order);
}

void object_digest_id(struct object_digest *digest, uint64_t ms, uint64_t sequence) {
    char text[64];
    if (digest->is_folded) {
        fold(digest, bytes_make(text, (size_t)snprintf(text, sizeof text, "%llu.%llu",
                                                       (unsigned long long)ms,
                                                       (unsigned long long)sequence)));
        return;
    }
    object_digest_number(digest, ms);
    object_digest_number(digest, sequence);
}

void object_digest_member(struct object_digest *digest, const struct item *member) {
    char scratch[ITEM_TEXT_MAX];
    if (digest->is_folded) {
        digest_fold_add(&digest->folded, item_bytes(member, scratch));
        return;
    }
    object_digest_element_begin(digest);
    object_digest_item(digest, member);
    object_digest_element_end(digest);
}

bool object_digest_is_exact(const struct object_digest *digest) {
    return !digest->is_folded;
}

void object_digest_element_begin(struct object_digest *digest) {
    digest->in_element = true;
    if (digest->is_folded)
        digest->folded_element = (struct digest){.bytes = {0}};
    else
        digest_begin(&digest->element);
}

void object_digest_element_end(struct object_digest *digest) {
    digest->in_element = false;
    if (digest->is_folded) {
        digest_fold_add(&digest->folded,
                        bytes_make((const char *)digest->folded_element.bytes, DIGEST_SIZE));
        return;
    }
    struct digest one = digest_end(&digest->element);
    digest_mix(&digest->elements, &one);
}

struct digest object_digest_of(const struct object *object) {
    struct object_digest digest = {.in_element = false};
    digest_begin(&digest.whole);
    digest_add_number(&digest.whole, object->type, 1);
    object_class_of((enum value_type)object->type)->digest(object, &digest);
    digest_add(&digest.whole, digest.elements.bytes, DIGEST_SIZE);
    return digest_end(&digest.whole);
}

void object_digest_fold(const struct object *object, struct digest *digest) {
    struct object_digest folding = {.is_folded = true, .folded = *digest};
    object_class_of((enum value_type)object->type)->digest(object, &folding);
    *digest = folding.folded;
}
