/* string_condition.c: see string_condition.h; and the commands DELEX and DIGEST. */
#include "command/string_condition.h"
#include "command/command_handlers.h"

#include "base/hash.h"
#include "base/number.h"
#include "engine/server.h"
#include <stdio.h>
#include <strings.h>

enum { DIGEST_TEXT_SIZE = 16 };

static enum string_condition_kind kind_of(struct bytes word) {
    static const char *const names[] = {[STRING_CONDITION_IFEQ] = "ifeq",
                                        [STRING_CONDITION_IFNE] = "ifne",
                                        [STRING_CONDITION_IFDEQ] = "ifdeq",
                                        [STRING_CONDITION_IFDNE] = "ifdne"};
    for (size_t i = STRING_CONDITION_IFEQ; i < sizeof names / sizeof names[0]; i++)
        if (bytes_is(word, names[i])) return (enum string_condition_kind)i;
    return STRING_CONDITION_NONE;
}

bool string_condition_take(const struct call *call, uint32_t *i,
                           struct string_condition *condition) {
    enum string_condition_kind kind = kind_of(call->argv[*i]);
    if (!kind || condition->kind || *i + 1 >= call->argc) return false;
    *condition = (struct string_condition){kind, ++*i};
    return true;
}

/* ---- digests ---- */

/* 16 hexadecimal digits. */
static void write_digest(const struct entry *entry, char text[DIGEST_TEXT_SIZE + 1]) {
    char digits[NUMBER_I64_TEXT_MAX];
    snprintf(text, DIGEST_TEXT_SIZE + 1, "%016llx",
             (unsigned long long)hash_plain(entry_string(entry, digits)));
}

static bool is_digest(struct bytes text) {
    if (text.size != DIGEST_TEXT_SIZE) return false;
    for (size_t i = 0; i < text.size; i++)
        if (!strchr("0123456789abcdefABCDEF", text.data[i]) || text.data[i] == 0) return false;
    return true;
}

static bool has_digest(const struct entry *entry, struct bytes wanted) {
    char text[DIGEST_TEXT_SIZE + 1];
    write_digest(entry, text);
    return strncasecmp(text, wanted.data, DIGEST_TEXT_SIZE) == 0;
}

static bool has_value(const struct entry *entry, struct bytes wanted) {
    char digits[NUMBER_I64_TEXT_MAX];
    return bytes_equal(entry_string(entry, digits), wanted);
}

bool string_condition_met(struct call *call, const struct string_condition *condition,
                          const struct entry *entry, bool *failed) {
    struct bytes wanted = call->argv[condition->index];
    bool by_digest = condition->kind >= STRING_CONDITION_IFDEQ;
    bool negates =
        condition->kind == STRING_CONDITION_IFNE || condition->kind == STRING_CONDITION_IFDNE;
    *failed = true;
    if (by_digest && !is_digest(wanted)) {
        call_error(call, "ERR a digest is %d hexadecimal digits", DIGEST_TEXT_SIZE);
        return false;
    }
    if (entry && entry_type(entry) != VALUE_STRING) {
        call_error_wrong_type(call);
        return false;
    }
    *failed = false;
    if (!entry) return negates;
    return (by_digest ? has_digest(entry, wanted) : has_value(entry, wanted)) != negates;
}

/* ---- commands ---- */

void command_digest(struct call *call) {
    const struct entry *entry;
    char text[DIGEST_TEXT_SIZE + 1];
    if (!call_read_type(call, 1, VALUE_STRING, &entry)) return;
    if (!entry) {
        reply_null(call->reply);
        return;
    }
    write_digest(entry, text);
    reply_bulk(call->reply, bytes_make(text, DIGEST_TEXT_SIZE));
}

void command_delex(struct call *call) {
    struct string_condition condition = {0};
    bool failed = false;
    uint32_t i = 2;
    if (call->argc > 2 && (!string_condition_take(call, &i, &condition) || i + 1 != call->argc)) {
        call_error_syntax(call);
        return;
    }
    struct spot spot = call_locate(call, 1);
    bool goes = spot.entry != NULL;
    if (condition.kind) goes &= string_condition_met(call, &condition, spot.entry, &failed);
    if (failed) return;
    if (goes) {
        struct bytes words[] = {BYTES("DEL"), call->argv[1]};
        database_remove(call->database, &spot);
        call_changed(call, call->database, call->argv[1], NOTIFY_GENERIC, "del");
        call_effect(call, call->database, words, 2);
    }
    reply_integer(call->reply, goes);
}
