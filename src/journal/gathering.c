/* gathering.c: see gathering.h. */
#include "journal/gathering.h"

enum {
    WEIGHT = 8, /* of the past against the last, in what is so "as a rule" */
    PATIENCE_US_MAX = 4000,
    ALL = 88,  /* percent of those who may come: some think longer, or have gone */
    HALF = 50, /* of all, where there are two groups */
};

static void learn(int64_t *rule_us, int64_t last_us) {
    *rule_us += (last_us - *rule_us) / WEIGHT;
}

/* So much of the answered has come back by now: what would it be for all? */
static void learn_return(struct gathering *gathering, int64_t now_us) {
    double part = (double)gathering->expected / (double)gathering->answered;
    learn(&gathering->return_us, (int64_t)((double)(now_us - gathering->answered_us) * part));
    gathering->answered = 0;
}

static int64_t patience_us(const struct gathering *gathering) {
    return gathering->sync_us < PATIENCE_US_MAX ? gathering->sync_us : PATIENCE_US_MAX;
}

void gathering_begin(struct gathering *gathering, int64_t submitted_us, int64_t now_us,
                     uint64_t answered, uint64_t waiting, uint64_t appended) {
    learn(&gathering->sync_us, now_us - submitted_us);
    /* They are not back yet, and take so long at least. */
    if (gathering->answered > 0) learn_return(gathering, now_us);
    gathering->answered_us = now_us;
    gathering->answered = answered;
    gathering->expected = answered + waiting;
    gathering->mark = appended + answered * ALL / 100;
    gathering->until_us = now_us + patience_us(gathering);
    unsigned percent = gathering->sync_us > gathering->return_us ? ALL : HALF;
    gathering->size = gathering->expected * percent / 100;
}

void gathering_take(struct gathering *gathering, int64_t now_us, uint64_t appended) {
    if (gathering->answered > 0 && appended >= gathering->mark) learn_return(gathering, now_us);
}

bool gathering_holds(const struct gathering *gathering, int64_t now_us, uint64_t waiting) {
    return now_us < gathering->until_us && waiting < gathering->size;
}
