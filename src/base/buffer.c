/* buffer.c: bytes that grow at the end. Owns the memory behind a struct buffer; capacity doubles,
 * so that appending is linear in what is appended. It must never shrink behind the owner's back. */
#include "base/buffer.h"

#include "base/invariant.h"
#include "base/memory.h"
#include "base/number.h"

#include <stdarg.h>
#include <stdio.h>

enum { CAPACITY_FIRST = 64 };

char *buffer_reserve(struct buffer *b, size_t more) {
    if (likely(b->data != NULL && more <= b->capacity - b->size)) return b->data + b->size;
    size_t needed;
    if (__builtin_add_overflow(b->size, more, &needed) || needed > SIZE_MAX / 2)
        invariant_panic("A buffer of %zu bytes cannot grow by %zu", b->size, more);
    size_t capacity = b->capacity < CAPACITY_FIRST ? CAPACITY_FIRST : b->capacity * 2;
    if (capacity < needed) capacity = needed;
    b->data = memory_resize(b->data, capacity);
    b->capacity = capacity;
    return b->data + b->size;
}

void buffer_append(struct buffer *b, const void *data, size_t size) {
    if (size == 0) return;
    memcpy(buffer_reserve(b, size), data, size);
    b->size += size;
}

void buffer_append_text(struct buffer *b, const char *text) {
    buffer_append(b, text, strlen(text));
}

void buffer_append_byte(struct buffer *b, char c) {
    *buffer_reserve(b, 1) = c;
    b->size++;
}

void buffer_append_i64(struct buffer *b, int64_t number) {
    b->size += number_format_i64(buffer_reserve(b, NUMBER_I64_TEXT_MAX), number);
}

void buffer_append_format(struct buffer *b, const char *format, ...) {
    enum { GUESS = 128 };
    char *end = buffer_reserve(b, GUESS);
    size_t room = b->capacity - b->size;
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(end, room, format, arguments);
    va_end(arguments);
    INVARIANT(length >= 0);
    if ((size_t)length >= room) { /* also one byte for the zero that vsnprintf insists on */
        end = buffer_reserve(b, (size_t)length + 1);
        va_start(arguments, format);
        vsnprintf(end, (size_t)length + 1, format, arguments);
        va_end(arguments);
    }
    b->size += (size_t)length;
}

void buffer_consume(struct buffer *b, size_t size) {
    INVARIANT(size <= b->size);
    b->size -= size;
    if (b->size != 0 && size != 0) memmove(b->data, b->data + size, b->size);
}

void buffer_release(struct buffer *b) {
    memory_free(b->data);
    *b = (struct buffer){0};
}
