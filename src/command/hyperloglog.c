/* hyperloglog.c: commands on HyperLogLogs.
 *
 * PFCOUNT of one key keeps its count in the value, as in Redis: a change like any other, made
 * through the keyspace and written to the journal as PFCOUNT, so that copies have the same bytes.
 */
#include "value/hyperloglog.h"

#include "base/memory.h"
#include "base/number.h"
#include "command/command_handlers.h"
#include "engine/call.h"
#include "engine/config.h"
#include "engine/server.h"
#include <math.h>

static void error_corrupt(struct call *call) {
    call_error(call, "INVALIDOBJ Corrupted HLL object detected");
}

/* The bytes of an entry that holds one; false after an error reply. */
static bool check(struct call *call, const struct entry *entry, char *scratch,
                  struct bytes *bytes) {
    *bytes = entry_string(entry, scratch);
    if (hyperloglog_is_one(*bytes)) return true;
    call_error(call, "WRONGTYPE Key is not a valid HyperLogLog string value.");
    return false;
}

static size_t sparse_max(const struct call *call) {
    return (size_t)call->server->config->hll_sparse_max_bytes;
}

/* Give the key these bytes. */
static void put(struct call *call, const struct key *key, struct spot *spot,
                const struct buffer *hll) {
    memcpy(database_resize_string(call->database, key, spot, hll->size), hll->data, hll->size);
}

/* ---- PFADD ---- */

static bool add_to_dense(struct call *call, const struct key *key, struct spot *spot,
                         struct bytes bytes) {
    struct buffer hll = {0}; /* over the value, once it is open for changes */
    for (uint32_t i = 2; i < call->argc; i++) {
        struct hyperloglog_mark mark = hyperloglog_mark(call->argv[i]);
        if (hyperloglog_dense_has(bytes, mark)) continue;
        if (!hll.data) {
            hll.data = database_resize_string(call->database, key, spot, bytes.size);
            hll.size = hll.capacity = bytes.size;
            bytes = buffer_bytes(&hll);
        }
        hyperloglog_raise(&hll, 0, mark);
    }
    if (hll.data) hyperloglog_forget_cached(hll.data);
    return hll.data != NULL;
}

static enum hyperloglog_result add_to_sparse(struct call *call, struct buffer *hll) {
    enum hyperloglog_result all = HYPERLOGLOG_SAME;
    for (uint32_t i = 2; i < call->argc; i++) {
        enum hyperloglog_result one =
            hyperloglog_raise(hll, sparse_max(call), hyperloglog_mark(call->argv[i]));
        if (one == HYPERLOGLOG_CORRUPT) return one;
        if (one == HYPERLOGLOG_CHANGED) all = one;
    }
    return all;
}

void command_pfadd(struct call *call) {
    struct spot spot;
    char scratch[NUMBER_I64_TEXT_MAX];
    struct bytes bytes;
    struct key key = call_key(call, 1);
    if (!call_locate_type(call, 1, VALUE_STRING, &spot)) return;
    bool was_absent = spot.entry == NULL, changed;
    if (!was_absent && !check(call, spot.entry, scratch, &bytes)) return;
    if (!was_absent && hyperloglog_is_dense(bytes)) {
        changed = add_to_dense(call, &key, &spot, bytes);
    } else {
        struct buffer hll = {0};
        if (was_absent)
            hyperloglog_begin(&hll);
        else
            buffer_append(&hll, bytes.data, bytes.size);
        enum hyperloglog_result result = add_to_sparse(call, &hll);
        changed = result == HYPERLOGLOG_CHANGED || was_absent;
        if (changed) hyperloglog_forget_cached(hll.data);
        if (result != HYPERLOGLOG_CORRUPT && changed) put(call, &key, &spot, &hll);
        buffer_release(&hll);
        if (result == HYPERLOGLOG_CORRUPT) {
            error_corrupt(call);
            return;
        }
    }
    if (changed) call_changed(call, call->database, key.name, NOTIFY_STRING, "pfadd");
    reply_integer(call->reply, changed);
}

/* ---- PFCOUNT and PFMERGE ---- */

/* Merge the keys from `first` on; false after an error reply. */
static bool merge_keys(struct call *call, uint32_t first, uint8_t *registers, bool *any_dense) {
    char scratch[NUMBER_I64_TEXT_MAX];
    for (uint32_t i = first; i < call->argc; i++) {
        const struct entry *entry;
        struct bytes bytes;
        if (!call_read_type(call, i, VALUE_STRING, &entry)) return false;
        if (!entry) continue;
        if (!check(call, entry, scratch, &bytes)) return false;
        *any_dense = *any_dense || hyperloglog_is_dense(bytes);
        if (hyperloglog_merge(bytes, registers)) continue;
        error_corrupt(call);
        return false;
    }
    return true;
}

/* For the next time. In a replica only when the primary says so: there a value is what it is
 * here. */
static void keep_count(struct call *call, size_t size, uint64_t count) {
    struct key key = call_key(call, 1);
    struct spot spot = database_locate(call->database, &key);
    hyperloglog_set_cached(database_resize_string(call->database, &key, &spot, size), count);
    call_changed_silently(call, call->database, key.name);
}

static void count_one(struct call *call) {
    char scratch[NUMBER_I64_TEXT_MAX];
    uint8_t registers[HYPERLOGLOG_REGISTERS] = {0};
    struct bytes bytes;
    const struct entry *entry;
    uint64_t count;
    if (!call_read_type(call, 1, VALUE_STRING, &entry)) return;
    if (!entry) {
        reply_integer(call->reply, 0);
        return;
    }
    if (!check(call, entry, scratch, &bytes)) return;
    if (!hyperloglog_cached(bytes, &count)) {
        if (!hyperloglog_merge(bytes, registers)) {
            error_corrupt(call);
            return;
        }
        count = hyperloglog_estimate(registers);
        if (call_is_replayed(call) || !call->server->replication.is_replica)
            keep_count(call, bytes.size, count);
    }
    reply_integer(call->reply, (int64_t)count);
}

void command_pfcount(struct call *call) {
    uint8_t registers[HYPERLOGLOG_REGISTERS] = {0};
    bool any_dense = false;
    if (call->argc == 2)
        count_one(call);
    else if (merge_keys(call, 1, registers, &any_dense))
        reply_integer(call->reply, (int64_t)hyperloglog_estimate(registers));
}

/* The destination's own value, or an empty one, raised to the registers. */
static bool make_merged(struct call *call, const struct entry *entry, const uint8_t *registers,
                        bool dense, struct buffer *hll) {
    char scratch[NUMBER_I64_TEXT_MAX];
    struct bytes bytes;
    hyperloglog_begin(hll);
    if (entry) {
        bytes = entry_string(entry, scratch);
        buffer_clear(hll);
        buffer_append(hll, bytes.data, bytes.size);
    }
    if (dense && !hyperloglog_make_dense(hll)) return false;
    for (unsigned i = 0; i < HYPERLOGLOG_REGISTERS; i++) {
        struct hyperloglog_mark mark = {(uint16_t)i, registers[i]};
        if (registers[i] != 0 &&
            hyperloglog_raise(hll, sparse_max(call), mark) == HYPERLOGLOG_CORRUPT)
            return false;
    }
    hyperloglog_forget_cached(hll->data);
    return true;
}

void command_pfmerge(struct call *call) {
    uint8_t registers[HYPERLOGLOG_REGISTERS] = {0};
    bool any_dense = false;
    struct buffer hll = {0};
    if (!merge_keys(call, 1, registers, &any_dense)) return;
    struct key key = call_key(call, 1);
    struct spot spot = call_locate_key(call, call->database, &key);
    if (make_merged(call, spot.entry, registers, any_dense, &hll)) {
        put(call, &key, &spot, &hll);
        call_changed(call, call->database, key.name, NOTIFY_STRING, "pfadd");
        reply_ok(call->reply);
    } else {
        error_corrupt(call);
    }
    buffer_release(&hll);
}

/* ---- for tests ---- */

static void reply_registers(struct call *call, const struct buffer *hll) {
    uint8_t registers[HYPERLOGLOG_REGISTERS] = {0};
    hyperloglog_merge(buffer_bytes(hll), registers);
    reply_array(call->reply, HYPERLOGLOG_REGISTERS);
    for (unsigned i = 0; i < HYPERLOGLOG_REGISTERS; i++)
        reply_integer(call->reply, registers[i]);
}

/* "z:3 Z:700 v:2,1 ..." */
static void reply_opcodes(struct call *call, struct bytes hll) {
    struct buffer text = {0};
    for (size_t i = HYPERLOGLOG_HEADER; i < hll.size; i++) {
        unsigned code = (uint8_t)hll.data[i];
        if (code & 0x80) {
            buffer_append_format(&text, "v:%u,%u ", (code >> 2 & 31) + 1, (code & 3) + 1);
        } else if (code & 0x40 && i + 1 < hll.size) {
            i++;
            buffer_append_format(&text, "Z:%u ", ((code & 63) << 8 | (uint8_t)hll.data[i]) + 1);
        } else {
            buffer_append_format(&text, "z:%u ", (code & 63) + 1);
        }
    }
    if (text.size > 0) text.size--;
    reply_bulk(call->reply, buffer_bytes(&text));
    buffer_release(&text);
}

/* The value becomes dense, if it is not; false after an error reply. */
static bool densify(struct call *call, struct spot *spot, struct buffer *hll, bool *converted) {
    struct key key = call_key(call, 2);
    *converted = !hyperloglog_is_dense(buffer_bytes(hll));
    if (!*converted) return true;
    if (!hyperloglog_make_dense(hll)) {
        error_corrupt(call);
        return false;
    }
    put(call, &key, spot, hll);
    call_changed_inside(call, call->database, key.name, NOTIFY_STRING, NULL);
    return true;
}

static void debug(struct call *call, struct spot *spot, struct buffer *hll) {
    bool converted;
    if (call_argument_is(call, 1, "getreg")) {
        if (densify(call, spot, hll, &converted)) reply_registers(call, hll);
    } else if (call_argument_is(call, 1, "decode")) {
        if (hyperloglog_is_dense(buffer_bytes(hll)))
            call_error(call, "ERR HLL encoding is not sparse");
        else
            reply_opcodes(call, buffer_bytes(hll));
    } else if (call_argument_is(call, 1, "encoding")) {
        reply_simple(call->reply, hyperloglog_is_dense(buffer_bytes(hll)) ? "dense" : "sparse");
    } else if (call_argument_is(call, 1, "todense")) {
        if (densify(call, spot, hll, &converted)) reply_integer(call->reply, converted);
    } else {
        int size = (int)(call->argv[1].size < 128 ? call->argv[1].size : 128);
        call_error(call, "ERR Unknown PFDEBUG subcommand '%.*s'", size, call->argv[1].data);
    }
}

void command_pfdebug(struct call *call) {
    struct spot spot;
    char scratch[NUMBER_I64_TEXT_MAX];
    struct bytes bytes;
    if (!call_locate_type(call, 2, VALUE_STRING, &spot)) return;
    if (!spot.entry) {
        call_error(call, "ERR The specified key does not exist");
        return;
    }
    if (!check(call, spot.entry, scratch, &bytes)) return;
    struct buffer hll = {0};
    buffer_append(&hll, bytes.data, bytes.size);
    debug(call, &spot, &hll);
    buffer_release(&hll);
}

/* A million elements, in a sparse and in a dense one: both have the same registers, and the
 * estimate stays within five standard errors. */
void command_pfselftest(struct call *call) {
    enum { ELEMENTS = 100000, CHECKED_EVERY = 1000 };
    const double error = 1.04 / sqrt(HYPERLOGLOG_REGISTERS);
    struct buffer sparse = {0}, dense = {0};
    bool good = true;
    hyperloglog_begin(&sparse);
    hyperloglog_begin(&dense);
    hyperloglog_make_dense(&dense);
    for (uint64_t i = 1; good && i <= ELEMENTS; i++) {
        uint64_t element = call_random(call);
        struct hyperloglog_mark mark = hyperloglog_mark(bytes_make(&element, sizeof element));
        good = hyperloglog_raise(&sparse, 3000, mark) == hyperloglog_raise(&dense, 3000, mark);
        if (!good || i % CHECKED_EVERY != 0) continue;
        uint8_t a[HYPERLOGLOG_REGISTERS] = {0}, b[HYPERLOGLOG_REGISTERS] = {0};
        good = hyperloglog_merge(buffer_bytes(&sparse), a) &&
               hyperloglog_merge(buffer_bytes(&dense), b) && memcmp(a, b, sizeof a) == 0;
        double off = fabs((double)hyperloglog_estimate(a) - (double)i) / (double)i;
        good = good && off < 5 * error;
    }
    buffer_release(&sparse);
    buffer_release(&dense);
    if (good)
        reply_ok(call->reply);
    else
        call_error(call, "TESTFAILED the registers or the estimate are wrong");
}
