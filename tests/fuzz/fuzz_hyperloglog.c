/* fuzz_hyperloglog.c: bytes that pass for a HyperLogLog are merged, raised and converted, or found
 * corrupt, without leaving them. */
#include "value/hyperloglog.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static uint8_t registers[HYPERLOGLOG_REGISTERS];
    struct bytes bytes = bytes_make(data, size);
    if (!hyperloglog_is_one(bytes)) return 0;
    memset(registers, 0, sizeof registers);
    bool sound = hyperloglog_merge(bytes, registers);
    if (sound) hyperloglog_estimate(registers);
    struct buffer hll = {0};
    buffer_append(&hll, bytes.data, bytes.size);
    hyperloglog_raise(&hll, 3000, hyperloglog_mark(bytes));
    if (hyperloglog_make_dense(&hll) && hll.size != HYPERLOGLOG_DENSE_SIZE) abort();
    buffer_release(&hll);
    return 0;
}
