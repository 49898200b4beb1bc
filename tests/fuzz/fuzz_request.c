/* Requests: however the bytes are cut, the same requests and the same error must come out.
 *
 * The first bytes choose the limits and how to cut; the rest is the stream. So that a short input
 * can hold large arguments, a byte of 0xe0 or more there stands for a run of up to 62 KiB. */
#include <stdint.h>

#include "../unit/resp/request_driver.h"

enum { HEAD_SIZE = 4, STREAM_MAX = 1 << 18 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void stream_expand(struct buffer *stream, const uint8_t *data, size_t size) {
    for (size_t i = 0; i < size && stream->size < STREAM_MAX; i++) {
        size_t run = data[i] < 0xe0 ? 1 : (size_t)(data[i] - 0xdf) * 2000;
        memset(buffer_reserve(stream, run), data[i], run);
        stream->size += run;
    }
}

static struct request_limits limits_choose(uint8_t choice) {
    static const uint64_t bulk_max[] = {1000000, 100000, 40000, 100};
    return (struct request_limits){.bulk_max = bulk_max[choice & 3], .authenticated = choice & 4};
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < HEAD_SIZE) return 0;
    struct buffer stream = {0};
    stream_expand(&stream, data + HEAD_SIZE, size - HEAD_SIZE);

    struct request_driver whole = {.limits = limits_choose(data[0])};
    struct request_driver cut = {.limits = whole.limits, .fill = data[0] & 8, .fresh = true};
    cut.limits.asks = data[0] & 16;
    driver_feed(&whole, buffer_bytes(&stream));
    uint64_t random = data[1] * 0x9e3779b97f4a7c15ULL + data[2];
    size_t piece_max = (size_t)1 << (data[3] % 18);
    if (piece_max < stream.size / 128) piece_max = stream.size / 128; /* or it takes too long */
    for (size_t at = 0; at < stream.size;) {
        random = random * 6364136223846793005ULL + 1442695040888963407ULL;
        size_t piece = 1 + (size_t)(random >> 33) % piece_max;
        if (piece > stream.size - at) piece = stream.size - at;
        driver_feed(&cut, bytes_make(stream.data + at, piece));
        at += piece;
    }
    INVARIANT(whole.failed == cut.failed);
    INVARIANT(bytes_equal(buffer_bytes(&whole.log), buffer_bytes(&cut.log)));
    driver_release(&whole);
    driver_release(&cut);
    buffer_release(&stream);
    return 0;
}
