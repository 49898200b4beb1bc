/* buffer.h: bytes that grow at the end. Owns its memory; buffer_release gives it back.
 * A zeroed struct is an empty buffer. */
#ifndef REDSTART_BASE_BUFFER_H
#define REDSTART_BASE_BUFFER_H

#include "base/bytes.h"

struct buffer {
    char *data;
    size_t size;
    size_t capacity;
};

/* Room for `more` bytes behind the end; returns where they go. Does not change size. */
char *buffer_reserve(struct buffer *b, size_t more);
void buffer_append(struct buffer *b, const void *data, size_t size);
void buffer_append_text(struct buffer *b, const char *text);
void buffer_append_byte(struct buffer *b, char c);
void buffer_append_i64(struct buffer *b, int64_t number);
__attribute__((format(printf, 2, 3))) void buffer_append_format(struct buffer *b,
                                                                const char *format, ...);
/* Drop `size` bytes from the front, by moving the rest. */
void buffer_consume(struct buffer *b, size_t size);
static inline void buffer_clear(struct buffer *b) {
    b->size = 0;
}
void buffer_release(struct buffer *b);
static inline struct bytes buffer_bytes(const struct buffer *b) {
    return (struct bytes){b->data, b->size};
}

#endif
