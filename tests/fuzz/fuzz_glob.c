/* fuzz_glob.c: glob_match against the naive matcher. The first byte of the input says whether case
 * matters and how long the pattern is; the rest is pattern and text. */
#include "base/glob.h"

#include "../unit/base/glob_naive.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size == 0 || size > GLOB_NAIVE_MAX) return 0;
    const bool ignore_case = data[0] & 1;
    const size_t rest = size - 1;
    const size_t split = rest != 0 ? (data[0] >> 1) % (rest + 1) : 0;
    const struct bytes pattern = bytes_make(data + 1, split);
    const struct bytes text = bytes_make(data + 1 + split, rest - split);
    if (glob_match(pattern, text, ignore_case) != glob_naive_match(pattern, text, ignore_case))
        abort();
    return 0;
}
