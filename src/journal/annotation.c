/* annotation.c: writing and reading annotation lines. Owns nothing. */
#include "journal/annotation.h"

#include "base/crc.h"
#include <inttypes.h>
#include <stdio.h>

#define BEGINNING "#RS:"
#define CHECK     ",check="
enum { CHECK_DIGITS = 4, BEGINNING_SIZE = sizeof BEGINNING - 1, CHECK_SIZE = sizeof CHECK - 1 };

void annotation_format(const struct annotation *annotation, struct buffer *out) {
    size_t start = out->size;
    buffer_append_format(out,
                         BEGINNING "offset=%" PRIu64 ",time=%" PRId64 ",bytes=%" PRIu64
                                   ",crc=%016" PRIx64 ",safe=%" PRIu64 ",id=%s",
                         annotation->offset, annotation->time_ms, annotation->bytes,
                         annotation->crc, annotation->safe, annotation->id);
    uint16_t check = crc16(bytes_make(out->data + start, out->size - start));
    buffer_append_format(out, CHECK "%04x\r\n", check);
}

bool annotation_parse(struct bytes line, struct annotation *annotation) {
    char text[ANNOTATION_SIZE_MAX];
    while (line.size > 0 && (line.data[line.size - 1] == '\n' || line.data[line.size - 1] == '\r'))
        line.size--;
    if (line.size >= sizeof text || line.size < BEGINNING_SIZE + CHECK_SIZE + CHECK_DIGITS ||
        memcmp(line.data, BEGINNING, BEGINNING_SIZE) != 0)
        return false;
    memcpy(text, line.data, line.size);
    text[line.size] = 0;
    size_t covered = line.size - CHECK_SIZE - CHECK_DIGITS;
    unsigned check;
    int end = 0;
    if (sscanf(text + covered, CHECK "%4x%n", &check, &end) != 1 ||
        (size_t)end != CHECK_SIZE + CHECK_DIGITS || check != crc16(bytes_make(text, covered)))
        return false;
    text[covered] = 0;
    *annotation = (struct annotation){0};
    end = 0;
    int count = sscanf(text,
                       BEGINNING "offset=%" SCNu64 ",time=%" SCNd64 ",bytes=%" SCNu64
                                 ",crc=%" SCNx64 ",safe=%" SCNu64 ",id=%40[0-9a-f]%n",
                       &annotation->offset, &annotation->time_ms, &annotation->bytes,
                       &annotation->crc, &annotation->safe, annotation->id, &end);
    return count == 6 && (size_t)end == covered;
}

bool annotation_find(struct bytes bytes, uint64_t beyond) {
    struct annotation found;
    const char *at = bytes.data, *end = bytes.data + bytes.size;
    while (at < end && (at = memchr(at, '#', (size_t)(end - at))) != NULL) {
        bool begins_line = at == bytes.data || at[-1] == '\n';
        const char *line_end = memchr(at, '\n', (size_t)(end - at));
        if (begins_line && line_end &&
            annotation_parse(bytes_make(at, (size_t)(line_end - at) + 1), &found) &&
            found.safe > beyond)
            return true;
        at++;
    }
    return false;
}
