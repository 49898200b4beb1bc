/* io_real_poller.c: which sockets are ready, by epoll, level triggered.
 *
 * Owns the epoll descriptor, the eventfd that ends a wait, and what is registered for each
 * descriptor, so that asking for what is already registered costs no system call. The kernel hands
 * the watcher's context back itself: an event needs no lookup.
 *
 * A wait is one system call. Only when work has completed it is two: the `done`s run first and may
 * close sockets, so what the first call returned is asked again, which level triggering allows. */
#include "base/memory.h"
#include "io/io_real.h"
#include <errno.h>
#include <limits.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

enum { WATCHES_INITIAL = 64, EVENTS_INITIAL = 64 };

int real_poller_open(struct real_poller *poller) {
    poller->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (poller->epoll_fd < 0) return -errno;
    poller->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (poller->wake_fd < 0) {
        int failure = -errno;
        close(poller->epoll_fd);
        return failure;
    }
    struct epoll_event event = {.events = EPOLLIN | EPOLLET, .data.ptr = poller};
    if (epoll_ctl(poller->epoll_fd, EPOLL_CTL_ADD, poller->wake_fd, &event) < 0) {
        int failure = -errno;
        close(poller->wake_fd);
        close(poller->epoll_fd);
        return failure;
    }
    atomic_init(&poller->wake_is_set, false);
    poller->has_pwait2 = true;
    return 0;
}

void real_poller_close(struct real_poller *poller) {
    close(poller->wake_fd);
    close(poller->epoll_fd);
    memory_free(poller->watches);
    memory_free(poller->events);
}

/* Waits as epoll_wait does, with a timeout in microseconds. An interrupted wait found nothing. */
static int poll_kernel(struct real_poller *poller, int capacity, int64_t timeout_us) {
    int count = -1;
    if (timeout_us > 0 && poller->has_pwait2) {
        struct timespec timeout = {.tv_sec = timeout_us / 1000000,
                                   .tv_nsec = timeout_us % 1000000 * 1000};
        count = epoll_pwait2(poller->epoll_fd, poller->events, capacity, &timeout, NULL);
        if (count >= 0 || errno == EINTR) return count < 0 ? 0 : count;
        poller->has_pwait2 = false; /* ENOSYS, or EPERM from a container's filter */
    }
    int timeout_ms = -1;
    if (timeout_us >= 0) {
        int64_t rounded_up_ms = timeout_us / 1000 + (timeout_us % 1000 != 0);
        timeout_ms = rounded_up_ms > INT_MAX ? INT_MAX : (int)rounded_up_ms;
    }
    count = epoll_wait(poller->epoll_fd, poller->events, capacity, timeout_ms);
    if (count < 0 && errno != EINTR) return -errno;
    return count < 0 ? 0 : count;
}

static uint32_t ready_from_kernel(uint32_t events) {
    uint32_t ready = 0;
    if (events & EPOLLIN) ready |= IO_READABLE;
    if (events & EPOLLOUT) ready |= IO_WRITABLE;
    if (events & (EPOLLHUP | EPOLLERR | EPOLLRDHUP)) ready |= IO_HANGUP;
    return ready;
}

static int poll_once(struct real *real, struct io_event *events, int capacity, int64_t timeout_us) {
    struct real_poller *poller = &real->poller;
    int found = poll_kernel(poller, capacity, timeout_us);
    int count = 0;
    for (int i = 0; i < found; i++) {
        const struct epoll_event *event = &poller->events[i];
        if (event->data.ptr == poller) {
            atomic_store(&poller->wake_is_set, false);
            continue;
        }
        events[count++] = (struct io_event){event->data.ptr, ready_from_kernel(event->events)};
    }
    return found < 0 ? found : count;
}

int real_wait(struct io *io, struct io_event *events, int capacity, int64_t timeout_us) {
    struct real *real = real_of(io);
    struct real_poller *poller = &real->poller;
    if (capacity > poller->events_capacity) {
        int wanted = capacity < EVENTS_INITIAL ? EVENTS_INITIAL : capacity;
        poller->events = memory_resize(poller->events, (size_t)wanted * sizeof(*poller->events));
        poller->events_capacity = wanted;
    }
    if (!real_has_done(real)) {
        int count = poll_once(real, events, capacity, timeout_us);
        if (!real_has_done(real)) return count;
    }
    real_run_done(io);
    return poll_once(real, events, capacity, 0);
}

static uint32_t kernel_from_interest(uint32_t interest) {
    uint32_t events = 0;
    if (interest & IO_READABLE) events |= EPOLLIN;
    if (interest & IO_WRITABLE) events |= EPOLLOUT;
    /* A reader sees the end by reading; who waits for nothing has to be told. */
    if (interest == 0) events |= EPOLLRDHUP;
    return events;
}

static void reserve_watch(struct real_poller *poller, int fd) {
    if (fd < poller->watches_capacity) return;
    int wanted = poller->watches_capacity == 0 ? WATCHES_INITIAL : poller->watches_capacity;
    while (wanted <= fd)
        wanted *= 2;
    poller->watches = memory_resize(poller->watches, (size_t)wanted * sizeof(*poller->watches));
    memset(poller->watches + poller->watches_capacity, 0,
           (size_t)(wanted - poller->watches_capacity) * sizeof(*poller->watches));
    poller->watches_capacity = wanted;
}

int real_watch(struct io *io, io_socket socket, uint32_t interest, void *context) {
    struct real_poller *poller = &real_of(io)->poller;
    if (socket < 0) return -EBADF;
    reserve_watch(poller, socket);
    struct real_watch *watch = &poller->watches[socket];
    if (watch->watched && watch->interest == interest && watch->context == context) return 0;
    struct epoll_event event = {.events = kernel_from_interest(interest), .data.ptr = context};
    int operation = watch->watched ? EPOLL_CTL_MOD : EPOLL_CTL_ADD;
    if (epoll_ctl(poller->epoll_fd, operation, socket, &event) < 0) return -errno;
    *watch = (struct real_watch){context, interest, true};
    return 0;
}

void real_unwatch(struct io *io, io_socket socket) {
    struct real_poller *poller = &real_of(io)->poller;
    if (socket < 0 || socket >= poller->watches_capacity) return;
    if (!poller->watches[socket].watched) return;
    epoll_ctl(poller->epoll_fd, EPOLL_CTL_DEL, socket, NULL);
    real_poller_forget(poller, socket);
}

void real_poller_forget(struct real_poller *poller, int fd) {
    if (fd < poller->watches_capacity) poller->watches[fd] = (struct real_watch){0};
}

/* From any thread and from signal handlers: an atomic and a write, nothing else. The eventfd is
 * edge triggered, so each write is seen by one wait and nobody has to read it. */
void real_wake(struct io *io) {
    struct real_poller *poller = &real_of(io)->poller;
    if (atomic_exchange(&poller->wake_is_set, true)) return;
    int saved_errno = errno;
    uint64_t one = 1;
    ssize_t written = write(poller->wake_fd, &one, sizeof(one));
    (void)written; /* fails only on a counter near 2^64 */
    errno = saved_errno;
}
