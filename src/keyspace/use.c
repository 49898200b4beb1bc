/* use.c: times and counts in 24 bits. */
#include "keyspace/use.h"

#include "base/random.h"

enum { COUNT_MAX = 255, COUNT_BITS = 8, TICKS_A_MINUTE = 60 * USE_TICKS };

/* How a time is written: its first bits are `prefix`, then as many as `mask` has, of this unit. */
struct form {
    uint32_t prefix, mask, unit;
};

enum { FORMS_BY_TIME = 3, FORMS_BY_COUNT = 2 };
static const struct form by_time[FORMS_BY_TIME] = {
    {0, 0x7fffff, 1}, {0x800000, 0x3fffff, USE_TICKS}, {0xc00000, 0x3fffff, 8 * USE_TICKS}};
static const struct form by_count[FORMS_BY_COUNT] = {{0, 0x7fff, USE_TICKS / 16},
                                                     {0x8000, 0x7fff, TICKS_A_MINUTE}};

static const struct form *forms_of(const struct use_policy *policy, unsigned *count) {
    bool counts = policy->kind == USE_BY_COUNT;
    *count = counts ? FORMS_BY_COUNT : FORMS_BY_TIME;
    return counts ? by_count : by_time;
}

/* The field with the time; by count it stands above the counter. */
static uint32_t time_field(const struct use_policy *policy, uint32_t clock) {
    return policy->kind == USE_BY_COUNT ? clock >> COUNT_BITS : clock;
}

static unsigned form_of(const struct use_policy *policy, uint32_t clock) {
    uint32_t field = time_field(policy, clock);
    if (policy->kind == USE_BY_COUNT) return field >> 15;
    return field >> 23 == 0 ? 0 : 1 + (field >> 22 & 1);
}

/* A moment in this form, with nothing in the counter. */
static uint32_t write_time(const struct use_policy *policy, uint64_t ticks, unsigned form) {
    unsigned count;
    const struct form *f = &forms_of(policy, &count)[form];
    uint32_t field = f->prefix | ((uint32_t)(ticks / f->unit) & f->mask);
    return policy->kind == USE_BY_COUNT ? field << COUNT_BITS : field;
}

/* Can a time of this age be written so, and still be read for a while? */
static bool form_holds(const struct form *form, uint64_t age) {
    return age / form->unit <= form->mask / 2;
}

/* The longest age that a form holds so. */
static uint64_t age_max(const struct form *form) {
    return (uint64_t)(form->mask / 2) * form->unit;
}

void use_set_time(struct use_policy *policy, int64_t now_us) {
    /* A server that has just begun knows of keys that were last used long before. */
    const uint64_t beginning = (uint64_t)TICKS_A_MINUTE << 26;
    enum { US = 1000000 };
    uint64_t us = (uint64_t)now_us;
    policy->ticks = beginning + us / US * USE_TICKS + us % US * USE_TICKS / US;
    policy->clock = write_time(policy, policy->ticks, policy->is_fine ? 0 : 1);
}

uint64_t use_age_ticks(const struct use_policy *policy, uint32_t clock) {
    unsigned count;
    const struct form *form = &forms_of(policy, &count)[form_of(policy, clock)];
    uint64_t now = policy->ticks / form->unit;
    uint32_t ago = ((uint32_t)now - time_field(policy, clock)) & form->mask;
    return ago * (uint64_t)form->unit;
}

/* The moment of the last use, of this age, in the finest form that holds it; nothing is older than
 * the coarsest can say. */
static uint32_t write_age(const struct use_policy *policy, uint64_t age, unsigned form) {
    unsigned count;
    const struct form *forms = forms_of(policy, &count);
    while (form + 1 < count && !form_holds(&forms[form], age))
        form++;
    if (age > age_max(&forms[form])) age = age_max(&forms[form]);
    return write_time(policy, policy->ticks - age, form);
}

void use_age(const struct use_policy *policy, const struct entry *entry) {
    unsigned count, form = form_of(policy, entry_clock(entry));
    uint64_t age = use_age_ticks(policy, entry_clock(entry));
    if (form_holds(&forms_of(policy, &count)[form], age)) return;
    uint32_t counter = policy->kind == USE_BY_COUNT ? entry_clock(entry) & COUNT_MAX : 0;
    entry_set_clock(entry, write_age(policy, age, form) | counter);
}

uint32_t use_of_idle(const struct use_policy *policy, uint64_t idle_s) {
    const uint64_t longest = UINT64_C(1) << 32;
    uint64_t age = (idle_s < longest ? idle_s : longest) * USE_TICKS;
    return write_age(policy, age, policy->is_fine ? 0 : 1);
}

uint32_t use_of_count(const struct use_policy *policy, uint32_t count) {
    return policy->clock | (count < COUNT_MAX ? count : COUNT_MAX);
}

/* ---- counting ---- */

uint32_t use_count(const struct use_policy *policy, const struct entry *entry) {
    uint32_t clock = entry_clock(entry), count = clock & COUNT_MAX;
    if (policy->decay_minutes == 0) return count;
    uint64_t last = policy->ticks - use_age_ticks(policy, clock);
    uint64_t minutes = policy->ticks / TICKS_A_MINUTE - last / TICKS_A_MINUTE;
    uint64_t periods = minutes / policy->decay_minutes;
    return periods > count ? 0 : count - (uint32_t)periods;
}

/* Each count is worth the decay period; where entries are evicted sooner than that, a small part of
 * a lifetime, and any use after the first a share that fits (see struct use_worth). */
uint64_t use_worth(const struct use_policy *policy, uint32_t clock) {
    enum { UNKNOWN_SHIFT = 40 }; /* the counter alone decides, until the pace is known */
    const struct use_worth *worth = &policy->worth;
    uint64_t count = clock & COUNT_MAX, last = policy->ticks - use_age_ticks(policy, clock);
    uint64_t decay = (uint64_t)policy->decay_minutes * TICKS_A_MINUTE * count;
    uint64_t eighths = count + (use_is_new(clock) ? 0 : worth->used_eighths);
    uint64_t paced = eighths * worth->lifetime_ticks / 8;
    if (worth->lifetime_ticks == 0) paced = count << UNKNOWN_SHIFT;
    return last + (policy->decay_minutes != 0 && decay < paced ? decay : paced);
}

/* An entry is used: was it at the margin? */
static void note_margin(struct use_policy *policy, uint32_t clock) {
    struct use_worth *worth = &policy->worth;
    if (use_worth(policy, clock) > worth->frontier + worth->lifetime_ticks / 2) return;
    if (use_is_new(clock))
        worth->hits_new++;
    else
        worth->hits_used++;
}

void use_add(struct use_policy *policy, const struct entry *entry) {
    uint32_t count = use_count(policy, entry);
    if (policy->worth.lifetime_ticks != 0) note_margin(policy, entry_clock(entry));
    if (count < COUNT_MAX) {
        uint32_t above = count > USE_NEW_COUNT ? count - USE_NEW_COUNT : 0;
        uint64_t chances = (uint64_t)above * policy->factor + 1;
        if (random_next(&policy->random) % chances == 0) count++;
    }
    entry_set_clock(entry, policy->clock | count);
}
