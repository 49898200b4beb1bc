/* spikes.c: keeping and drawing the worst moments. */
#include "engine/spikes.h"

#include "base/memory.h"
#include <stdio.h>
#include <string.h>

/* ---- keeping ---- */

static struct spike_kind *find_or_add(struct spikes *spikes, const char *name) {
    for (uint32_t i = 0; i < spikes->count; i++)
        if (strcmp(spikes->kinds[i]->name, name) == 0) return spikes->kinds[i];
    if (spikes->count == SPIKES_KINDS_MAX) return NULL;
    struct spike_kind *kind = memory_alloc_zeroed(1, sizeof *kind);
    kind->name = name;
    spikes->kinds[spikes->count++] = kind;
    return kind;
}

void spikes_add(struct spikes *spikes, const char *name, int64_t now_s, uint32_t took_ms) {
    struct spike_kind *kind = find_or_add(spikes, name);
    if (!kind) return;
    if (took_ms > kind->worst_ms) kind->worst_ms = took_ms;
    struct spike *last = &kind->samples[(kind->next + SPIKES_SAMPLES - 1) % SPIKES_SAMPLES];
    if (last->time_s == now_s) {
        if (took_ms > last->took_ms) last->took_ms = took_ms;
        return;
    }
    kind->samples[kind->next] = (struct spike){now_s, took_ms};
    kind->next = (kind->next + 1) % SPIKES_SAMPLES;
}

const struct spike_kind *spikes_find(const struct spikes *spikes, struct bytes name) {
    for (uint32_t i = 0; i < spikes->count; i++)
        if (bytes_equal(bytes_from_text(spikes->kinds[i]->name), name)) return spikes->kinds[i];
    return NULL;
}

bool spikes_remove(struct spikes *spikes, struct bytes name) {
    for (uint32_t i = 0; i < spikes->count; i++) {
        if (!bytes_is(name, spikes->kinds[i]->name)) continue;
        memory_free(spikes->kinds[i]);
        spikes->kinds[i] = spikes->kinds[--spikes->count];
        return true;
    }
    return false;
}

uint32_t spikes_clear(struct spikes *spikes) {
    uint32_t count = spikes->count;
    for (uint32_t i = 0; i < count; i++)
        memory_free(spikes->kinds[i]);
    spikes->count = 0;
    return count;
}

uint32_t spikes_list(const struct spike_kind *kind, struct spike out[SPIKES_SAMPLES]) {
    uint32_t count = 0;
    for (uint32_t i = 0; i < SPIKES_SAMPLES; i++) {
        struct spike sample = kind->samples[(kind->next + i) % SPIKES_SAMPLES];
        if (sample.time_s != 0) out[count++] = sample;
    }
    return count;
}

/* ---- drawing ---- */

enum {
    ROWS = 4,
    COLUMNS = 80,
    LEVELS = 3, /* that one character shows: _ o # */
    AGE_SIZE_MAX = 24,
};

struct drawing {
    const struct spike *samples;
    uint32_t count; /* of this strip */
    uint32_t low_ms, high_ms;
    int64_t now_s;
};

/* 0 to ROWS * LEVELS - 1. */
static uint32_t level_of(const struct drawing *drawing, uint32_t took_ms) {
    enum { STEPS = ROWS * LEVELS };
    uint64_t range = drawing->high_ms - drawing->low_ms;
    if (range == 0) return 0;
    uint64_t level = (uint64_t)(took_ms - drawing->low_ms) * STEPS / range;
    return level < STEPS ? (uint32_t)level : STEPS - 1;
}

/* `height`: 0 is the row at the bottom. */
static char character_at(uint32_t level, uint32_t height) {
    static const char marks[LEVELS] = {'_', 'o', '#'};
    if (level < height * LEVELS) return ' ';
    uint32_t above = level - height * LEVELS;
    return above < LEVELS ? marks[above] : '|';
}

static void format_age(int64_t age_s, char out[AGE_SIZE_MAX]) {
    static const int64_t minute = 60, hour = 3600, day = 86400;
    long long shown = age_s < minute ? age_s
                      : age_s < hour ? age_s / minute
                      : age_s < day  ? age_s / hour
                                     : age_s / day;
    snprintf(out, AGE_SIZE_MAX, "%lld%c", shown,
             age_s < minute ? 's'
             : age_s < hour ? 'm'
             : age_s < day  ? 'h'
                            : 'd');
}

/* Ages are read from above to below. False when all have ended. */
static bool draw_ages(const struct drawing *drawing, uint32_t row, struct buffer *out) {
    bool any = false;
    char line[COLUMNS];
    for (uint32_t i = 0; i < drawing->count; i++) {
        char age[AGE_SIZE_MAX];
        format_age(drawing->now_s - drawing->samples[i].time_s, age);
        bool is_there = row < strlen(age);
        line[i] = is_there ? age[row] : ' ';
        any |= is_there;
    }
    if (!any) return false;
    buffer_append(out, line, drawing->count);
    buffer_append_byte(out, '\n');
    return true;
}

static void draw_strip(const struct drawing *drawing, struct buffer *out) {
    for (uint32_t height = ROWS; height-- > 0;) {
        for (uint32_t i = 0; i < drawing->count; i++)
            buffer_append_byte(
                out, character_at(level_of(drawing, drawing->samples[i].took_ms), height));
        buffer_append_byte(out, '\n');
    }
    for (uint32_t i = 0; i < drawing->count; i++)
        buffer_append_byte(out, ' ');
    buffer_append_byte(out, '\n');
    for (uint32_t row = 0; draw_ages(drawing, row, out);)
        row++;
}

void spikes_draw(const struct spike_kind *kind, int64_t now_s, struct buffer *out) {
    struct spike samples[SPIKES_SAMPLES];
    struct drawing drawing = {.low_ms = UINT32_MAX, .now_s = now_s};
    uint32_t count = spikes_list(kind, samples);
    for (uint32_t i = 0; i < count; i++) {
        if (samples[i].took_ms < drawing.low_ms) drawing.low_ms = samples[i].took_ms;
        if (samples[i].took_ms > drawing.high_ms) drawing.high_ms = samples[i].took_ms;
    }
    buffer_append_format(out, "%s - high %u ms, low %u ms (all time high %u ms)\n", kind->name,
                         drawing.high_ms, drawing.low_ms, kind->worst_ms);
    for (int i = 0; i < COLUMNS; i++)
        buffer_append_byte(out, '-');
    buffer_append_byte(out, '\n');
    for (uint32_t begin = 0; begin < count; begin += COLUMNS) {
        drawing.samples = samples + begin;
        drawing.count = count - begin < COLUMNS ? count - begin : COLUMNS;
        draw_strip(&drawing, out);
    }
}
