/* object_digest.c: pieces of collections on their way into a fingerprint. Changes nothing else. */
#include "value/object_digest.h"

static struct digest_stream *stream_of(struct object_digest *digest) {
    return digest->in_element ? &digest->element : &digest->whole;
}

void object_digest_item(struct object_digest *digest, const struct item *item) {
    char scratch[ITEM_TEXT_MAX];
    struct bytes bytes = item_bytes(item, scratch);
    object_digest_number(digest, bytes.size);
    digest_add(stream_of(digest), bytes.data, bytes.size);
}

void object_digest_number(struct object_digest *digest, uint64_t number) {
    digest_add_number(stream_of(digest), number, sizeof number);
}

void object_digest_element_begin(struct object_digest *digest) {
    digest->in_element = true;
    digest_begin(&digest->element);
}

void object_digest_element_end(struct object_digest *digest) {
    struct digest one = digest_end(&digest->element);
    digest_mix(&digest->elements, &one);
    digest->in_element = false;
}

struct digest object_digest_of(const struct object *object) {
    struct object_digest digest = {.in_element = false};
    digest_begin(&digest.whole);
    digest_add_number(&digest.whole, object->type, 1);
    object_class_of((enum value_type)object->type)->digest(object, &digest);
    digest_add(&digest.whole, digest.elements.bytes, DIGEST_SIZE);
    return digest_end(&digest.whole);
}
