/* record_table_memo.c: what a batch's prefetch saw of record tables, and forgetting it. */
#include "struct/record_table_node.h"

void record_memos_clear(struct record_memos *memos) {
    if (memos->count == 0) return;
    memos->count = memos->next = 0;
    memset(memos->filter, 0, sizeof memos->filter);
}

void memo_add(struct record_memos *memos, const struct record_table *table, const char *text,
              struct record_chunk *chunk, struct record_place place) {
    if (memos->count == RECORD_MEMOS_MAX) return;
    memos->items[memos->count++] =
        (struct record_memo){.text = text,
                             .table = table,
                             .chunk = chunk,
                             .index = (uint16_t)place.index,
                             .offset = (uint16_t)(place.at - (const uint8_t *)chunk)};
    unsigned bit = memo_bit(chunk);
    memos->filter[bit / 64] |= UINT64_C(1) << bit % 64;
}

void memo_forget_slowly(struct record_memos *memos, const struct record_chunk *chunk) {
    for (uint32_t i = memos->next; i < memos->count; i++)
        if (memos->items[i].chunk == chunk) memos->items[i].chunk = NULL;
}
