/* io_real_workers.c: threads that do what the engine must not wait for.
 *
 *   submit ──> lanes ──> a worker runs `work` ──> finished ──> wait (owner's thread) runs `done`
 *
 * A lane's work runs in order, one at a time; that of IO_LANE_FREE side by side. Three crews of
 * threads serve the lanes, so that patient work, which yields, never holds up other work, and
 * urgent work is held up by none. Threads start when work has no idle one to go to, up to the
 * crew's limit, and stay. They take no signals but those of their own crashes. Must never run
 * `done` on a worker, nor hold the mutex while anything runs. */
#include "base/invariant.h"
#include "base/memory.h"
#include "io/io_real.h"
#include <signal.h>
#include <stdio.h>

static void queue_push(struct real_queue *queue, struct real_job *job) {
    job->next = NULL;
    if (queue->last == NULL) {
        queue->first = job;
    } else {
        queue->last->next = job;
    }
    queue->last = job;
}

static struct real_job *queue_pop(struct real_queue *queue) {
    struct real_job *job = queue->first;
    if (job == NULL) return NULL;
    queue->first = job->next;
    if (queue->first == NULL) queue->last = NULL;
    return job;
}

void real_workers_open(struct io *io, int limit) {
    struct real_workers *workers = &real_of(io)->workers;
    pthread_mutex_init(&workers->mutex, NULL);
    pthread_cond_init(&workers->completed, NULL);
    atomic_init(&workers->has_finished, false);
    workers->crews[REAL_CREW_PROMPT] =
        (struct real_crew){.io = io, .name = "worker", .lane_end = IO_LANE_URGENT, .limit = limit};
    workers->crews[REAL_CREW_URGENT] =
        (struct real_crew){.io = io,
                           .name = "urgent",
                           .lane_begin = IO_LANE_URGENT,
                           .lane_end = IO_LANE_PATIENT,
                           .limit = IO_LANE_PATIENT - IO_LANE_URGENT};
    workers->crews[REAL_CREW_PATIENT] =
        (struct real_crew){.io = io,
                           .name = "patient",
                           .lane_begin = IO_LANE_PATIENT,
                           .lane_end = IO_LANE_COUNT,
                           .limit = IO_LANE_COUNT - IO_LANE_PATIENT};
    for (int i = 0; i < REAL_CREW_COUNT; i++) {
        workers->crews[i].lane_next = workers->crews[i].lane_begin;
        pthread_cond_init(&workers->crews[i].submitted, NULL);
    }
}

static struct real_crew *crew_of(struct real_workers *workers, uint32_t lane) {
    return &workers->crews[lane >= IO_LANE_PATIENT  ? REAL_CREW_PATIENT
                           : lane >= IO_LANE_URGENT ? REAL_CREW_URGENT
                                                    : REAL_CREW_PROMPT];
}

/* The next work of its lanes that may run now, or NULL. The mutex is held. */
static struct real_job *take_job(struct real_workers *workers, struct real_crew *crew) {
    uint32_t count = crew->lane_end - crew->lane_begin;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t lane = crew->lane_begin + (crew->lane_next - crew->lane_begin + i) % count;
        if (workers->lane_is_running[lane]) continue;
        struct real_job *job = queue_pop(&workers->lanes[lane]);
        if (job == NULL) continue;
        if (lane != IO_LANE_FREE) workers->lane_is_running[lane] = true;
        crew->queued--;
        crew->lane_next = lane + 1;
        return job;
    }
    return NULL;
}

/* Runs one job. The mutex is held before and after, not while it runs. `meter` is of a worker's
 * thread, NULL on the owner's. */
static void run_job(struct io *io, struct real_job *job, const struct memory_meter *meter) {
    struct real_workers *workers = &real_of(io)->workers;
    pthread_mutex_unlock(&workers->mutex);
    int64_t before = meter ? memory_meter_balance(meter) : 0;
    job->work(job->context);
    if (meter) job->memory = memory_meter_balance(meter) - before;
    pthread_mutex_lock(&workers->mutex);
    if (job->lane != IO_LANE_FREE) workers->lane_is_running[job->lane] = false;
    queue_push(&workers->finished, job);
    atomic_store_explicit(&workers->has_finished, true, memory_order_release);
    if (workers->is_awaited) pthread_cond_signal(&workers->completed);
    /* The owner needs the mutex as soon as it wakes. */
    pthread_mutex_unlock(&workers->mutex);
    real_wake(io);
    pthread_mutex_lock(&workers->mutex);
}

static void *worker_main(void *argument) {
    struct real_crew *crew = argument;
    struct real_workers *workers = &real_of(crew->io)->workers;
    const struct memory_meter meter = memory_meter();
    real_schedule_worker((int)(crew - workers->crews));
    pthread_mutex_lock(&workers->mutex);
    for (;;) {
        struct real_job *job = take_job(workers, crew);
        if (job != NULL) {
            run_job(crew->io, job, &meter);
            continue;
        }
        if (workers->stopping) break;
        crew->idle++;
        pthread_cond_wait(&crew->submitted, &workers->mutex);
        crew->idle--;
    }
    pthread_mutex_unlock(&workers->mutex);
    return NULL;
}

/* A crash must end in its report on the thread where it happened; all else is the owner's. */
static void block_signals(sigset_t *before) {
    static const int own[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTRAP, SIGSYS};
    sigset_t blocked;
    sigfillset(&blocked);
    for (size_t i = 0; i < sizeof(own) / sizeof(own[0]); i++)
        sigdelset(&blocked, own[i]);
    pthread_sigmask(SIG_SETMASK, &blocked, before);
}

/* The mutex is held. Says whether there is a thread now that will look for work. */
static bool start_thread(struct real_crew *crew) {
    if (crew->started == crew->limit) return true;
    sigset_t before;
    block_signals(&before);
    pthread_t *thread = &crew->threads[crew->started];
    int result = pthread_create(thread, NULL, worker_main, crew);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (result != 0) return crew->started > 0;
    char name[16];
    snprintf(name, sizeof(name), "%s-%d", crew->name, crew->started);
    pthread_setname_np(*thread, name);
    crew->started++;
    return true;
}

/* When the system gives not even one thread, the owner does the work itself: slow, but right. */
void real_submit(struct io *io, uint32_t lane, io_work *work, io_work *done, void *context) {
    INVARIANT(lane < IO_LANE_COUNT);
    struct real_workers *workers = &real_of(io)->workers;
    struct real_job *job = memory_alloc(sizeof(*job));
    *job = (struct real_job){.work = work, .done = done, .context = context, .lane = lane};
    workers->outstanding++;
    pthread_mutex_lock(&workers->mutex);
    queue_push(&workers->lanes[lane], job);
    struct real_crew *crew = crew_of(workers, lane);
    crew->queued++;
    /* An idle thread may have been called already, for what waits beside this. */
    bool will_run = crew->queued <= crew->idle || start_thread(crew);
    if (!will_run) run_job(io, take_job(workers, crew), NULL);
    pthread_cond_signal(&crew->submitted);
    pthread_mutex_unlock(&workers->mutex);
}

bool real_run_done(struct io *io) {
    struct real_workers *workers = &real_of(io)->workers;
    pthread_mutex_lock(&workers->mutex);
    struct real_queue finished = workers->finished;
    workers->finished = (struct real_queue){NULL, NULL};
    atomic_store_explicit(&workers->has_finished, false, memory_order_release);
    pthread_mutex_unlock(&workers->mutex);
    bool any = finished.first != NULL;
    struct real_job *job;
    while ((job = queue_pop(&finished)) != NULL) {
        workers->outstanding--;
        io->worker_balance += job->memory;
        io_work *done = job->done;
        void *context = job->context;
        memory_free(job);
        if (done != NULL) done(context);
    }
    return any;
}

/* Until something has been done. */
static void wait_for_job(struct real_workers *workers) {
    pthread_mutex_lock(&workers->mutex);
    workers->is_awaited = true;
    while (workers->finished.first == NULL)
        pthread_cond_wait(&workers->completed, &workers->mutex);
    workers->is_awaited = false;
    pthread_mutex_unlock(&workers->mutex);
}

void real_finish_work(struct io *io) {
    struct real_workers *workers = &real_of(io)->workers;
    while (workers->outstanding > 0) {
        wait_for_job(workers);
        real_run_done(io);
    }
}

void real_finish_work_until(struct io *io, io_work_over *is_over, const void *context) {
    struct real_workers *workers = &real_of(io)->workers;
    while (!is_over(context)) {
        INVARIANT(workers->outstanding > 0);
        wait_for_job(workers);
        real_run_done(io);
    }
}

void real_workers_close(struct io *io) {
    struct real_workers *workers = &real_of(io)->workers;
    real_finish_work(io);
    pthread_mutex_lock(&workers->mutex);
    workers->stopping = true;
    for (int i = 0; i < REAL_CREW_COUNT; i++)
        pthread_cond_broadcast(&workers->crews[i].submitted);
    pthread_mutex_unlock(&workers->mutex);
    for (int i = 0; i < REAL_CREW_COUNT; i++) {
        struct real_crew *crew = &workers->crews[i];
        for (int j = 0; j < crew->started; j++)
            pthread_join(crew->threads[j], NULL);
        pthread_cond_destroy(&crew->submitted);
    }
    pthread_cond_destroy(&workers->completed);
    pthread_mutex_destroy(&workers->mutex);
}
