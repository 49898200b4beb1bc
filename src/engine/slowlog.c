/* slowlog.c: keeping the commands that took long. */
#include "engine/slowlog.h"

#include "base/memory.h"
#include "engine/call.h"
#include "engine/insight.h"
#include "engine/server.h"
#include <stdio.h>

static const int64_t SECOND_US = 1000000;

/* The word as the log shows it, in `room` when it is not all of it. */
static struct bytes shown_word(const struct call *call, uint32_t index, char *room) {
    struct bytes word = insight_word(call, index);
    if (word.size <= SLOWLOG_WORD_SIZE_MAX) return word;
    memcpy(room, word.data, SLOWLOG_WORD_SIZE_MAX);
    int more = snprintf(room + SLOWLOG_WORD_SIZE_MAX, SLOWLOG_MORE_SIZE_MAX, "... (%zu more bytes)",
                        word.size - SLOWLOG_WORD_SIZE_MAX);
    return bytes_make(room, SLOWLOG_WORD_SIZE_MAX + (size_t)more);
}

struct shown {
    struct bytes words[SLOWLOG_WORDS_MAX];
    char rooms[SLOWLOG_WORDS_MAX][SLOWLOG_WORD_SIZE_MAX + SLOWLOG_MORE_SIZE_MAX];
    uint32_t count;
    size_t bytes;
};

static void show(const struct call *call, struct shown *shown) {
    bool all = call->argc <= SLOWLOG_WORDS_MAX;
    shown->count = all ? call->argc : SLOWLOG_WORDS_MAX;
    uint32_t whole = all ? call->argc : SLOWLOG_WORDS_MAX - 1;
    for (uint32_t i = 0; i < whole; i++)
        shown->words[i] = shown_word(call, i, shown->rooms[i]);
    if (!all) {
        char *room = shown->rooms[whole];
        int size =
            snprintf(room, sizeof shown->rooms[0], "... (%u more arguments)", call->argc - whole);
        shown->words[whole] = bytes_make(room, (size_t)size);
    }
    shown->bytes = 0;
    for (uint32_t i = 0; i < shown->count; i++)
        shown->bytes += shown->words[i].size;
}

static struct bytes put(char **at, struct bytes text) {
    memcpy(*at, text.data, text.size);
    struct bytes copy = bytes_make(*at, text.size);
    *at += text.size;
    return copy;
}

static void remove_oldest(struct slowlog *slowlog) {
    struct slowlog_entry *entry = slowlog->oldest;
    slowlog->oldest = entry->newer;
    if (slowlog->oldest)
        slowlog->oldest->older = NULL;
    else
        slowlog->newest = NULL;
    slowlog->count--;
    memory_free(entry);
}

void slowlog_add(struct slowlog *slowlog, const struct call *call, int64_t took_us,
                 uint64_t entries_max) {
    const struct session *session = call->session;
    struct bytes client = session->name ? bytes_from_text(session->name) : BYTES("");
    struct shown shown;
    show(call, &shown);
    struct slowlog_entry *entry = memory_alloc(sizeof *entry + shown.count * sizeof(struct bytes) +
                                               shown.bytes + client.size);
    *entry = (struct slowlog_entry){
        .older = slowlog->newest,
        .id = slowlog->next_id++,
        .time_s = io_wall_us(call->server->io) / SECOND_US,
        .took_us = took_us,
        .word_count = shown.count,
    };
    session_address(session, entry->address);
    char *at = (char *)&entry->words[shown.count];
    for (uint32_t i = 0; i < shown.count; i++)
        entry->words[i] = put(&at, shown.words[i]);
    entry->client = put(&at, client);
    if (slowlog->newest)
        slowlog->newest->newer = entry;
    else
        slowlog->oldest = entry;
    slowlog->newest = entry;
    slowlog->count++;
    while (slowlog->count > entries_max)
        remove_oldest(slowlog);
}

void slowlog_clear(struct slowlog *slowlog) {
    while (slowlog->oldest)
        remove_oldest(slowlog);
}
