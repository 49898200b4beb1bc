/* simulation_workers.c: submitted work of a simulated host.
 *
 * A job begins some time after it was submitted, runs at once in that moment, and is ready as much
 * later as it says it took; then its host is roused and io_wait runs its `done`. Jobs of a lane
 * follow each other, as in the real world; those of IO_LANE_FREE overlap. */
#include "base/invariant.h"
#include "base/memory.h"
#include "io/simulation_world.h"

enum { BEGIN_US_MAX = 200, RUN_US_MAX = 500 };

static struct simulated_job *find_job(struct simulated_host *host, uint64_t id) {
    struct simulated_job *job = host->first_job;
    while (job != NULL && job->id != id)
        job = job->next;
    return job;
}

static void plan_begin(struct simulated_host *host, const struct simulated_job *job) {
    struct simulation *simulation = host->simulation;
    int64_t at_us = simulated_now_us(host) + simulated_between(simulation, 1, BEGIN_US_MAX);
    simulated_plan(simulation, (struct simulated_event){.at_us = at_us,
                                                        .kind = SIMULATED_JOB_BEGIN,
                                                        .host = host->index,
                                                        .number = job->id});
}

/* The first of its lane that has not ended, or NULL. */
static struct simulated_job *first_of_lane(struct simulated_host *host, uint32_t lane) {
    struct simulated_job *job = host->first_job;
    while (job != NULL && (job->lane != lane || job->ended))
        job = job->next;
    return job;
}

void simulated_submit(struct io *io, uint32_t lane, io_work *work, io_work *done, void *context) {
    INVARIANT(lane < IO_LANE_COUNT);
    struct simulated_host *host = host_of(io);
    INVARIANT(!host->in_work);
    struct simulated_job *job = memory_alloc(sizeof(*job));
    *job = (struct simulated_job){
        .id = host->job_id_next++, .lane = lane, .work = work, .done = done, .context = context};
    bool may_begin = lane == IO_LANE_FREE || first_of_lane(host, lane) == NULL;
    if (host->last_job == NULL) {
        host->first_job = job;
    } else {
        host->last_job->next = job;
    }
    host->last_job = job;
    if (may_begin) plan_begin(host, job);
}

/* Returns how long it took. */
static int64_t run_work(struct simulated_host *host, struct simulated_job *job) {
    INVARIANT(!job->begun && !host->in_work);
    job->begun = true;
    host->in_work = true;
    host->work_us = 0;
    job->work(job->context);
    host->in_work = false;
    return host->work_us;
}

void simulated_job_begins(struct simulated_host *host, uint64_t id) {
    struct simulated_job *job = find_job(host, id);
    if (job == NULL || job->begun || host->is_off) return;
    struct simulation *simulation = host->simulation;
    int64_t took_us = run_work(host, job) + simulated_between(simulation, 1, RUN_US_MAX);
    simulated_plan(simulation, (struct simulated_event){.at_us = simulation->now_us + took_us,
                                                        .kind = SIMULATED_JOB_END,
                                                        .host = host->index,
                                                        .number = id});
}

void simulated_job_ends(struct simulated_host *host, uint64_t id) {
    struct simulated_job *job = find_job(host, id);
    if (job == NULL || job->ended) return;
    job->ended = true;
    struct simulated_job *next = NULL;
    if (job->lane != IO_LANE_FREE) next = first_of_lane(host, job->lane);
    if (next != NULL) plan_begin(host, next);
    simulated_rouse(host);
}

static struct simulated_job *take_ended(struct simulated_host *host) {
    struct simulated_job *before = NULL, *job = host->first_job;
    while (job != NULL && !job->ended) {
        before = job;
        job = job->next;
    }
    if (job == NULL) return NULL;
    if (before == NULL) {
        host->first_job = job->next;
    } else {
        before->next = job->next;
    }
    if (host->last_job == job) host->last_job = before;
    return job;
}

bool simulated_run_done(struct simulated_host *host) {
    bool any = false;
    struct simulated_job *job;
    while ((job = take_ended(host)) != NULL) {
        any = true;
        io_work *done = job->done;
        void *context = job->context;
        memory_free(job);
        if (done != NULL) done(context);
    }
    return any;
}

static void end_job(struct simulated_host *host, struct simulated_job *job) {
    if (!job->begun) simulated_spend(host, run_work(host, job));
    job->ended = true;
}

/* In the order of submission; the host is busy as long as the work takes. */
void simulated_finish_work(struct io *io) {
    struct simulated_host *host = host_of(io);
    INVARIANT(!host->in_work);
    while (host->first_job != NULL) {
        for (struct simulated_job *job = host->first_job; job != NULL; job = job->next)
            end_job(host, job);
        simulated_run_done(host);
    }
}

void simulated_finish_work_until(struct io *io, io_work_over *is_over, const void *context) {
    struct simulated_host *host = host_of(io);
    INVARIANT(!host->in_work);
    while (!is_over(context)) {
        struct simulated_job *job = host->first_job;
        INVARIANT(job != NULL);
        while (job->ended && job->next != NULL)
            job = job->next;
        end_job(host, job);
        simulated_run_done(host);
    }
}
