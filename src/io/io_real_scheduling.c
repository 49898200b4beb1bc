/* io_real_scheduling.c: whom the system runs first when there are fewer processors than threads.
 *
 * The owner's thread asks, where it is mostly asleep and must run at once when something came, for
 * short slices, and whoever asks for a shorter one than another who is running takes its place when
 * it wakes (Linux 6.12 and later; elsewhere it changes nothing). Workers of patient lanes yield to
 * it, and to everyone, by being nice. That of the urgent lane sleeps twice for each fsync, and each
 * time its turn would come late, after whoever computes: it is the opposite of nice, where we may
 * (root, or RLIMIT_NICE). All of it is a wish: where the system or whoever started us has said
 * otherwise, it stays as it is. */
#include "io/io_real.h"
#include <sys/syscall.h>
#include <unistd.h>

enum {
    OWNER_SLICE_NS = 500000, /* shorter ones were not better, and cost the others more switches */
    URGENT_SLICE_NS = 100000,
    URGENT_NICE = -15,
    PATIENT_NICE = 5, /* a third of the others' share */
    NICE_MIN = -20,
    NICE_MAX = 19,
    POLICY_NORMAL = 0,
};

/* The kernel's struct sched_attr in its first version; sched.h has it since glibc 2.41, and
 * linux/sched/types.h cannot stand beside the older ones. Source: sched_setattr(2). */
struct attributes {
    uint32_t size, sched_policy;
    uint64_t sched_flags;
    int32_t sched_nice;
    uint32_t sched_priority;
    uint64_t sched_runtime, sched_deadline, sched_period; /* nanoseconds */
};

/* Of the calling thread. A slice of 0 is the system's own choice. */
static void set_scheduling(uint64_t slice_ns, int nicer) {
    struct attributes attributes;
    if (syscall(SYS_sched_getattr, 0, &attributes, sizeof attributes, 0) != 0) return;
    if (attributes.sched_policy != POLICY_NORMAL) return;
    attributes.size = sizeof attributes;
    int32_t nice = attributes.sched_nice;
    attributes.sched_runtime = slice_ns;
    attributes.sched_nice += nicer;
    if (attributes.sched_nice > NICE_MAX) attributes.sched_nice = NICE_MAX;
    if (attributes.sched_nice < NICE_MIN) attributes.sched_nice = NICE_MIN;
    if (syscall(SYS_sched_setattr, 0, &attributes, 0) == 0 || nicer >= 0) return;
    attributes.sched_nice = nice;
    syscall(SYS_sched_setattr, 0, &attributes, 0);
}

void real_set_prompt(struct io *io, bool is_prompt) {
    (void)io;
    set_scheduling(is_prompt ? OWNER_SLICE_NS : 0, 0);
}

void real_schedule_worker(int crew) {
    if (crew == REAL_CREW_URGENT) set_scheduling(URGENT_SLICE_NS, URGENT_NICE);
    if (crew == REAL_CREW_PATIENT) set_scheduling(0, PATIENT_NICE);
}
