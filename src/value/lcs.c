/* lcs.c: rows of bits for the longest common subsequence, and the way back through them. Knows two
 * runs of bytes and nothing else. */
#include "value/lcs.h"

#include "base/invariant.h"
#include "base/memory.h"

enum { WORD_BITS = 64, BYTE_VALUES = 256, NO_MASK = BYTE_VALUES, CELL_SIZE = 4 };

/* Of each byte that occurs in a, where it stands in b. */
struct masks {
    uint16_t number[BYTE_VALUES]; /* NO_MASK: does not occur in a */
    uint16_t count;               /* different bytes of a */
    size_t words;                 /* of one mask */
    uint64_t *bits;               /* the masks, and behind them the row that is worked on */
};

size_t lcs_cost(struct bytes a, struct bytes b) {
    size_t cells, size;
    if (__builtin_mul_overflow(a.size + 1, b.size + 1, &cells) ||
        __builtin_mul_overflow(cells, (size_t)CELL_SIZE, &size))
        return SIZE_MAX;
    return size;
}

static uint64_t *masks_row(const struct masks *masks) {
    return masks->bits + masks->count * masks->words;
}

static bool masks_open(struct masks *masks, struct bytes a, struct bytes b) {
    size_t size;
    masks->count = 0;
    for (size_t i = 0; i < BYTE_VALUES; i++)
        masks->number[i] = NO_MASK;
    for (size_t i = 0; i < a.size; i++) {
        uint16_t *number = &masks->number[(uint8_t)a.data[i]];
        if (*number == NO_MASK) *number = masks->count++;
    }
    masks->words = b.size / WORD_BITS + 1;
    if (__builtin_mul_overflow(masks->words, (masks->count + 1u) * sizeof(uint64_t), &size))
        return false;
    masks->bits = memory_try_alloc(size);
    if (masks->bits == NULL) return false;
    memset(masks->bits, 0, size);
    for (size_t j = 0; j < b.size; j++) {
        uint16_t number = masks->number[(uint8_t)b.data[j]];
        if (number == NO_MASK) continue;
        masks->bits[number * masks->words + j / WORD_BITS] |= UINT64_C(1) << j % WORD_BITS;
    }
    for (size_t word = 0; word < masks->words; word++)
        masks_row(masks)[word] = UINT64_MAX;
    return true;
}

/* The next row from the last. A bit of `row` is 0 where the length grows. */
static void row_advance(uint64_t *row, const uint64_t *mask, size_t words) {
    unsigned long long carry = 0;
    for (size_t word = 0; word < words; word++) {
        unsigned long long old = row[word], hits = old & mask[word], sum;
        bool over = __builtin_uaddll_overflow(old, hits, &sum);
        over |= __builtin_uaddll_overflow(sum, carry, &sum);
        carry = over;
        row[word] = sum | (old & ~mask[word]);
    }
}

/* The length of the subsequence: zeros among the first `bits`. */
static size_t row_length(const uint64_t *row, size_t bits) {
    size_t length = 0;
    for (size_t j = 0; j < bits; j += WORD_BITS) {
        uint64_t zeros = ~row[j / WORD_BITS];
        if (bits - j < WORD_BITS) zeros &= (UINT64_C(1) << (bits - j)) - 1;
        length += (size_t)__builtin_popcountll(zeros);
    }
    return length;
}

/* Runs the rows, and keeps them in `rows` when that is not NULL, as they stand in memory on a
 * little-endian machine, turned over. */
static size_t run_rows(struct masks *masks, struct bytes a, struct bytes b, unsigned char *rows,
                       size_t row_size) {
    uint64_t *row = masks_row(masks);
    for (size_t i = 0; i < a.size; i++) {
        const uint64_t *mask = masks->bits + masks->number[(uint8_t)a.data[i]] * masks->words;
        row_advance(row, mask, masks->words);
        if (rows != NULL) memcpy(rows + i * row_size, row, row_size);
    }
    return row_length(row, b.size);
}

bool lcs_length(struct bytes a, struct bytes b, size_t *length) {
    struct masks masks;
    if (!masks_open(&masks, a, b)) return false;
    *length = run_rows(&masks, a, b, NULL, 0);
    memory_free(masks.bits);
    return true;
}

bool lcs_open(struct lcs *lcs, struct bytes a, struct bytes b) {
    struct masks masks;
    size_t size;
    *lcs = (struct lcs){.a = a, .b = b, .row_size = (b.size + 7) / 8};
    if (__builtin_mul_overflow(lcs->row_size, a.size, &size)) return false;
    if (size > 0) {
        lcs->rows = memory_try_alloc(size);
        if (lcs->rows == NULL) return false;
    }
    if (!masks_open(&masks, a, b)) {
        memory_free(lcs->rows);
        return false;
    }
    lcs->length = run_rows(&masks, a, b, lcs->rows, lcs->row_size);
    memory_free(masks.bits);
    lcs_rewind(lcs);
    return true;
}

void lcs_rewind(struct lcs *lcs) {
    lcs->a_end = lcs->a.size;
    lcs->b_end = lcs->b.size;
}

static bool ends_equal(const struct lcs *lcs) {
    return lcs->a_end > 0 && lcs->b_end > 0 &&
           lcs->a.data[lcs->a_end - 1] == lcs->b.data[lcs->b_end - 1];
}

/* Is the length of the two prefixes more than with b's one byte shorter? Both are not empty. */
static bool grows(const struct lcs *lcs) {
    size_t column = lcs->b_end - 1;
    return (lcs->rows[(lcs->a_end - 1) * lcs->row_size + column / 8] >> column % 8 & 1) == 0;
}

bool lcs_next_run(struct lcs *lcs, struct lcs_run *run) {
    while (!ends_equal(lcs)) {
        if (lcs->a_end == 0 || lcs->b_end == 0) return false;
        if (grows(lcs))
            lcs->a_end--;
        else
            lcs->b_end--;
    }
    size_t end = lcs->a_end;
    while (ends_equal(lcs)) {
        lcs->a_end--;
        lcs->b_end--;
    }
    *run = (struct lcs_run){lcs->a_end, lcs->b_end, end - lcs->a_end};
    return true;
}

void lcs_close(struct lcs *lcs) {
    memory_free(lcs->rows);
    lcs->rows = NULL;
}
