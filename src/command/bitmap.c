/* bitmap.c: commands on strings as rows of bits. */
#include "command/bitmap.h"

#include "base/memory.h"
#include "base/number.h"
#include "command/command_handlers.h"
#include "engine/config.h"
#include "engine/server.h"
#include "value/bits.h"

bool bitmap_parse_offset(struct call *call, uint32_t index, unsigned scale, uint64_t *bit) {
    struct bytes text = call->argv[index];
    int64_t number;
    bool scaled = scale > 0 && text.size > 0 && text.data[0] == '#';
    if (scaled) text = bytes_make(text.data + 1, text.size - 1);
    uint64_t limit = call->server->config->proto_max_bulk_len * UINT64_C(8);
    bool good = number_parse_i64(text, &number) && number >= 0;
    if (good && scaled) good = (uint64_t)number <= UINT64_MAX / 64;
    if (good) *bit = scaled ? (uint64_t)number * scale : (uint64_t)number;
    if (good && *bit < limit) return true;
    call_error(call, "ERR bit offset is not an integer or out of range");
    return false;
}

bool bitmap_read(struct call *call, uint32_t index, char *scratch, struct bytes *bytes,
                 bool *is_there) {
    const struct entry *entry;
    if (!call_read_type(call, index, VALUE_STRING, &entry)) return false;
    *is_there = entry != NULL;
    *bytes = entry ? entry_string(entry, scratch) : BYTES("");
    return true;
}

/* ---- one bit ---- */

void command_getbit(struct call *call) {
    uint64_t bit;
    char scratch[NUMBER_I64_TEXT_MAX];
    struct bytes bytes;
    bool is_there;
    if (!bitmap_parse_offset(call, 2, 0, &bit)) return;
    if (!bitmap_read(call, 1, scratch, &bytes, &is_there)) return;
    reply_integer(call->reply, bits_get(bytes, bit));
}

void command_setbit(struct call *call) {
    uint64_t bit;
    int64_t value;
    struct spot spot;
    if (!bitmap_parse_offset(call, 2, 0, &bit)) return;
    if (!call_parse_range(call, 3, 0, 1, &value, "ERR bit is not an integer or out of range"))
        return;
    struct key key = call_key(call, 1);
    if (!call_locate_type(call, 1, VALUE_STRING, &spot)) return;
    size_t size = spot.entry ? entry_string_size(spot.entry) : 0;
    bool grows = !spot.entry || size < (bit >> 3) + 1;
    if (grows) size = (size_t)(bit >> 3) + 1;
    char *data = database_resize_string(call->database, &key, &spot, size);
    bool before = bits_get(bytes_make(data, size), bit);
    bits_set_field(data, bit, 1, (uint64_t)value);
    if (grows || before != value)
        call_changed(call, call->database, key.name, NOTIFY_STRING, "setbit");
    reply_integer(call->reply, before);
}

/* ---- ranges ---- */

/* A range of bytes or bits as the user counts it, negative from the end; false when it is empty. */
static bool cut_range(int64_t start, int64_t end, bool in_bits, size_t size, uint64_t *first,
                      uint64_t *last) {
    int64_t total = (int64_t)(in_bits ? size * 8 : size);
    if (start < 0) start += total;
    if (end < 0) end += total;
    if (start < 0) start = 0;
    if (end < 0) end = 0;
    if (end >= total) end = total - 1;
    if (start > end) return false;
    *first = in_bits ? (uint64_t)start : (uint64_t)start * 8;
    *last = in_bits ? (uint64_t)end : (uint64_t)end * 8 + 7;
    return true;
}

static bool parse_unit(struct call *call, uint32_t index, bool *in_bits) {
    *in_bits = false;
    if (index >= call->argc) return true;
    *in_bits = call_argument_is(call, index, "bit");
    if (*in_bits || call_argument_is(call, index, "byte")) return true;
    call_error_syntax(call);
    return false;
}

void command_bitcount(struct call *call) {
    int64_t start = 0, end = -1;
    bool in_bits = false, is_there;
    char scratch[NUMBER_I64_TEXT_MAX];
    struct bytes bytes;
    uint64_t first, last;
    if (!bitmap_read(call, 1, scratch, &bytes, &is_there)) return;
    if (!is_there) { /* whatever else is said */
        reply_integer(call->reply, 0);
        return;
    }
    if (call->argc == 3 || call->argc > 5) {
        call_error_syntax(call);
        return;
    }
    if (call->argc > 3 &&
        (!call_parse_i64(call, 2, &start, NULL) || !call_parse_i64(call, 3, &end, NULL)))
        return;
    if (start < 0 && end < 0 && start > end) { /* whatever the unit is */
        reply_integer(call->reply, 0);
        return;
    }
    if (!parse_unit(call, 4, &in_bits)) return;
    if (call->argc == 2)
        reply_integer(call->reply, (int64_t)bits_count(bytes));
    else if (bytes.size == 0 || !cut_range(start, end, in_bits, bytes.size, &first, &last))
        reply_integer(call->reply, 0);
    else
        reply_integer(call->reply, (int64_t)bits_count_range(bytes, first, last));
}

void command_bitpos(struct call *call) {
    int64_t bit, start = 0, end = -1;
    bool in_bits = false, is_there, has_end = call->argc > 4;
    char scratch[NUMBER_I64_TEXT_MAX];
    struct bytes bytes;
    uint64_t first, last;
    if (!call_parse_i64(call, 2, &bit, NULL)) return;
    if (bit != 0 && bit != 1) {
        call_error(call, "ERR The bit argument must be 1 or 0.");
        return;
    }
    if (!bitmap_read(call, 1, scratch, &bytes, &is_there)) return;
    if (!is_there) {
        reply_integer(call->reply, bit ? -1 : 0);
        return;
    }
    if (call->argc > 6) {
        call_error_syntax(call);
        return;
    }
    if (call->argc > 3 && !call_parse_i64(call, 3, &start, NULL)) return;
    if (call->argc > 5 && !parse_unit(call, 5, &in_bits)) return;
    if (has_end && !call_parse_i64(call, 4, &end, NULL)) return;
    if (bytes.size == 0 || !cut_range(start, end, in_bits, bytes.size, &first, &last)) {
        reply_integer(call->reply, -1);
        return;
    }
    int64_t found = bits_find(bytes, bit, first, last);
    /* Without an end the string is thought to go on with zeros. */
    if (found < 0 && bit == 0 && !has_end) found = (int64_t)bytes.size * 8;
    reply_integer(call->reply, found);
}

/* ---- BITOP ---- */

static const struct operation {
    const char *name;
    enum bits_operation operation;
    uint32_t least; /* sources */
    bool is_new;    /* of Redis 8.2 */
} operations[] = {
    {"AND", BITS_AND, 1, false},    {"OR", BITS_OR, 1, false},    {"XOR", BITS_XOR, 1, false},
    {"NOT", BITS_NOT, 1, false},    {"DIFF", BITS_DIFF, 2, true}, {"DIFF1", BITS_DIFF1, 2, true},
    {"ANDOR", BITS_ANDOR, 2, true}, {"ONE", BITS_ONE, 1, true},
};

static const struct operation *parse_operation(struct call *call) {
    for (size_t i = 0; i < sizeof operations / sizeof operations[0]; i++) {
        const struct operation *operation = &operations[i];
        if (!call_argument_is(call, 1, operation->name)) continue;
        if (operation->operation == BITS_NOT && call->argc != 4) {
            call_error(call, "ERR BITOP NOT must be called with a single source key.");
            return NULL;
        }
        if (call->argc - 3 < operation->least) {
            call_error(call, "ERR BITOP %s must be called with at least two source keys.",
                       operation->name);
            return NULL;
        }
        return operation;
    }
    call_error_syntax(call);
    return NULL;
}

/* The longest source's size; false after WRONGTYPE. */
static bool read_sources(struct call *call, struct bytes *sources,
                         char (*scratch)[NUMBER_I64_TEXT_MAX], size_t *longest) {
    bool is_there;
    *longest = 0;
    for (uint32_t i = 3; i < call->argc; i++) {
        if (!bitmap_read(call, i, scratch[i - 3], &sources[i - 3], &is_there)) return false;
        if (sources[i - 3].size > *longest) *longest = sources[i - 3].size;
    }
    return true;
}

/* Older servers do not know the operation: they get what it made. */
static void effect_store(struct call *call, struct bytes result) {
    struct bytes words[] = {result.size > 0 ? BYTES("SET") : BYTES("DEL"), call->argv[2], result};
    call_effect(call, call->database, words, result.size > 0 ? 3 : 2);
}

static void store(struct call *call, const struct operation *operation, struct blob *result) {
    struct key key = call_key(call, 2);
    struct spot spot = call_locate_key(call, call->database, &key);
    size_t size = result->size;
    bool changes = size > 0 || spot.entry;
    if (size > 0) {
        database_put_result(call->database, &key, &spot, blob_bytes(result));
        call_changed(call, call->database, key.name, NOTIFY_STRING, "set");
    } else if (spot.entry) {
        database_remove(call->database, &spot);
        call_changed(call, call->database, key.name, NOTIFY_GENERIC, "del");
    }
    if (operation->is_new && changes) effect_store(call, blob_bytes(result));
    reply_integer(call->reply, (int64_t)size);
}

void command_bitop(struct call *call) {
    const struct operation *operation = parse_operation(call);
    uint32_t count = call->argc - 3;
    size_t size;
    if (!operation) return;
    struct bytes *sources = memory_alloc(count * sizeof *sources);
    char(*scratch)[NUMBER_I64_TEXT_MAX] = memory_alloc(count * sizeof *scratch);
    if (read_sources(call, sources, scratch, &size)) {
        struct blob *result = blob_make(size);
        result->size = size;
        bits_combine(operation->operation, sources, count, result->data, size);
        store(call, operation, result);
        blob_let_go(result);
    }
    memory_free(sources);
    memory_free(scratch);
}
