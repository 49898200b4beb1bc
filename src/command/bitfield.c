/* bitfield.c: BITFIELD: integers of any width at any bit of a string. */
#include "command/bitmap.h"

#include "base/memory.h"
#include "base/number.h"
#include "command/command_handlers.h"
#include "value/bits.h"

enum overflow { OVERFLOW_WRAP, OVERFLOW_SATURATE, OVERFLOW_FAIL };
enum action { ACTION_GET, ACTION_SET, ACTION_INCREMENT };

struct step {
    enum action action;
    enum overflow overflow;
    bool is_signed;
    unsigned width; /* bits */
    uint64_t first; /* bit */
    int64_t operand;
};

/* ---- words ---- */

static bool parse_type(struct call *call, uint32_t index, struct step *step) {
    struct bytes text = call->argv[index];
    int64_t width = 0;
    bool good = text.size > 1 && (text.data[0] == 'i' || text.data[0] == 'u');
    step->is_signed = good && text.data[0] == 'i';
    good = good && number_parse_i64(bytes_make(text.data + 1, text.size - 1), &width);
    if (!good || width < 1 || width > (step->is_signed ? 64 : 63)) {
        call_error(call, "ERR Invalid bitfield type. Use something like i16 u8. Note that u64 is "
                         "not supported but i64 is.");
        return false;
    }
    step->width = (unsigned)width;
    return true;
}

static bool parse_overflow(struct call *call, uint32_t index, enum overflow *overflow) {
    static const char *const names[] = {"wrap", "sat", "fail"};
    for (unsigned i = 0; i < 3; i++) {
        if (!call_argument_is(call, index, names[i])) continue;
        *overflow = (enum overflow)i;
        return true;
    }
    call_error(call, "ERR Invalid OVERFLOW type specified");
    return false;
}

/* One operation from *i on; *is_step is false for OVERFLOW. */
static bool parse_step(struct call *call, uint32_t *i, enum overflow *overflow, struct step *step,
                       bool *is_step) {
    uint32_t left = call->argc - *i - 1;
    *is_step = true;
    if (left >= 1 && call_argument_is(call, *i, "overflow")) {
        *is_step = false;
        if (!parse_overflow(call, *i + 1, overflow)) return false;
        *i += 2;
        return true;
    }
    bool writes = true;
    if (left >= 2 && call_argument_is(call, *i, "get")) {
        step->action = ACTION_GET;
        writes = false;
    } else if (left >= 3 && call_argument_is(call, *i, "set")) {
        step->action = ACTION_SET;
    } else if (left >= 3 && call_argument_is(call, *i, "incrby")) {
        step->action = ACTION_INCREMENT;
    } else {
        call_error_syntax(call);
        return false;
    }
    step->overflow = *overflow;
    if (!parse_type(call, *i + 1, step)) return false;
    if (!bitmap_parse_offset(call, *i + 2, step->width, &step->first)) return false;
    if (writes && !call_parse_i64(call, *i + 3, &step->operand, NULL)) return false;
    *i += writes ? 4 : 3;
    return true;
}

/* ---- arithmetic ---- */

static int64_t sign_extend(uint64_t value, unsigned width) {
    unsigned unused = 64 - width;
    return (int64_t)(value << unused) >> unused;
}

/* The sum, or a value to be set (with `before` 0), as the field can hold it; false: it cannot, and
 * the operation fails. */
static bool fit(const struct step *step, int64_t before, int64_t *value) {
    __int128 sum = (__int128)before + step->operand;
    __int128 most =
        step->is_signed ? ((__int128)1 << (step->width - 1)) - 1 : ((__int128)1 << step->width) - 1;
    __int128 least = step->is_signed ? -most - 1 : 0;
    if (!step->is_signed && step->action == ACTION_SET) sum = (uint64_t)step->operand;
    if (sum >= least && sum <= most) {
        *value = (int64_t)sum;
        return true;
    }
    if (step->overflow == OVERFLOW_FAIL) return false;
    if (step->overflow == OVERFLOW_SATURATE)
        *value = (int64_t)(sum > most ? most : least);
    else if (step->is_signed)
        *value = sign_extend((uint64_t)sum, step->width);
    else
        *value = (int64_t)((uint64_t)sum & (uint64_t)most);
    return true;
}

static int64_t field_value(const struct step *step, struct bytes bytes) {
    uint64_t value = bits_get_field(bytes, step->first, step->width);
    return step->is_signed ? sign_extend(value, step->width) : (int64_t)value;
}

/* True when it changed something; what made the string longer always has. */
static bool run_step(struct call *call, const struct step *step, char *data, size_t size,
                     bool grew) {
    int64_t before = field_value(step, bytes_make(data, size)), value;
    if (step->action == ACTION_GET) {
        reply_integer(call->reply, before);
        return false;
    }
    if (!fit(step, step->action == ACTION_INCREMENT ? before : 0, &value)) {
        reply_null(call->reply);
        return false;
    }
    bits_set_field(data, step->first, step->width, (uint64_t)value);
    reply_integer(call->reply, step->action == ACTION_INCREMENT ? value : before);
    return grew || value != before;
}

/* ---- running ---- */

static void run_reading(struct call *call, const struct step *steps, size_t count) {
    char scratch[NUMBER_I64_TEXT_MAX];
    struct bytes bytes;
    bool is_there;
    if (!bitmap_read(call, 1, scratch, &bytes, &is_there)) return;
    reply_array(call->reply, count);
    for (size_t i = 0; i < count; i++)
        reply_integer(call->reply, field_value(&steps[i], bytes));
}

static void run_writing(struct call *call, const struct step *steps, size_t count, uint64_t end) {
    struct key key = call_key(call, 1);
    struct spot spot;
    if (!call_locate_type(call, 1, VALUE_STRING, &spot)) return;
    size_t size = spot.entry ? entry_string_size(spot.entry) : 0;
    if (size < (end + 7) / 8) size = (size_t)((end + 7) / 8);
    bool grew = !spot.entry || size > entry_string_size(spot.entry);
    char *data = database_resize_string(call->database, &key, &spot, size);
    uint64_t changes = 0;
    reply_array(call->reply, count);
    for (size_t i = 0; i < count; i++)
        changes += run_step(call, &steps[i], data, size, grew);
    /* Made longer and nothing else: no change to those who watch, as in Redis, but an effect. */
    if (grew && changes == 0) call_effect(call, call->database, call->argv, call->argc);
    if (changes > 0) {
        call_changed_silently(call, call->database, key.name);
        call_notify(call, call->database, key.name, NOTIFY_STRING, "setbit");
        call->changes += changes - 1;
    }
}

static void run_bitfield(struct call *call, bool read_only) {
    struct step *steps = memory_alloc(call->argc * sizeof *steps);
    enum overflow overflow = OVERFLOW_WRAP;
    size_t count = 0;
    uint64_t end = 0; /* of the bits that are written */
    bool good = true, is_step;
    for (uint32_t i = 2; good && i < call->argc; count += good && is_step) {
        struct step *step = &steps[count];
        good = parse_step(call, &i, &overflow, step, &is_step);
        if (!good || !is_step || step->action == ACTION_GET) continue;
        if (step->first + step->width > end) end = step->first + step->width;
    }
    if (good && end > 0 && read_only) {
        call_error(call, "ERR BITFIELD_RO only supports the GET subcommand");
        good = false;
    }
    if (good && end == 0) run_reading(call, steps, count);
    if (good && end > 0) run_writing(call, steps, count, end);
    memory_free(steps);
}

void command_bitfield(struct call *call) {
    run_bitfield(call, false);
}

void command_bitfield_ro(struct call *call) {
    run_bitfield(call, true);
}
