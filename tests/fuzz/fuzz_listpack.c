/* fuzz_listpack.c: bytes that pass for a listpack or an intset can be walked without leaving them.
 */
#include "struct/intset.h"
#include "struct/listpack.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct bytes bytes = bytes_make(data, size);
    char scratch[ITEM_TEXT_MAX];
    size_t count, forward = 0, backward = 0, total = 0;
    if (intset_validate(bytes))
        for (size_t i = 0; i < intset_count(bytes.data); i++)
            total += (size_t)intset_get(bytes.data, i) & 1;
    if (!listpack_validate(bytes, &count)) return 0;
    struct item item;
    for (size_t at = listpack_first(bytes.data); listpack_take(bytes.data, &at, &item); forward++) {
        struct bytes text = item_bytes(&item, scratch);
        for (size_t i = 0; i < text.size; i++)
            total += (unsigned char)text.data[i];
    }
    for (size_t at = listpack_last(bytes.data); at != 0; at = listpack_previous(bytes.data, at))
        backward++;
    if (forward != count || backward != count || total == SIZE_MAX) abort();
    return 0;
}
