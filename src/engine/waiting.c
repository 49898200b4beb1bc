/* waiting.c: who waits for which key, since when and until when. Owns waiters and lines. Runs
 * nothing itself: dispatch.c does. Never looks at values, only at types. */
#include "engine/waiting.h"

#include "base/invariant.h"
#include "base/memory.h"
#include "engine/call.h"
#include "engine/command.h"
#include "engine/dispatch.h"
#include "engine/server.h"

enum { NO_DEADLINE = UINT32_MAX, FIRST_HEAP = 64 };

/* A place in the line of one key. */
struct waiting_link {
    struct waiter *waiter;
    struct waiting_key *key;
    struct waiting_link *before, *next;
    uint32_t argument; /* of the held request: where the key stands first */
};

struct waiter {
    struct session *session;
    struct waiter *next, *before; /* of those who wait for no key */
    int64_t deadline_us;          /* on the monotonic clock */
    uint32_t heap_index;          /* NO_DEADLINE: for ever */
    enum value_type type;
    bool wake_when_gone;
    void (*timed_out)(struct call *call);
    uint32_t link_count;
    struct waiting_link links[];
};

struct waiting_key {
    struct named named;                   /* by database */
    uint32_t waits_for[VALUE_TYPE_COUNT]; /* waiters by the type that they wait for */
    uint32_t wants_end;                   /* waiters with wake_when_gone */
    bool is_ready;
    struct waiting_link *first, *last;
    struct waiting_key *ready_next;
};

/* ---- keys ---- */

void waiting_init(struct waiting *waiting, const struct hash_secret *secret) {
    *waiting = (struct waiting){0};
    name_table_init(&waiting->keys, secret, sizeof(struct waiting_key));
}

/* Nobody stands in its line: forget it, unless it is yet to be looked at. */
static void drop_key(struct waiting *waiting, struct waiting_key *key) {
    if (key->first || key->is_ready || key == waiting->serving) return;
    name_table_remove(&waiting->keys, key);
}

void waiting_release(struct waiting *waiting) {
    INVARIANT(waiting->count == 0 && waiting->heap_count == 0);
    while (waiting->ready_first) { /* changed, and not looked at any more */
        struct waiting_key *key = waiting->ready_first;
        waiting->ready_first = key->ready_next;
        key->is_ready = false;
        drop_key(waiting, key);
    }
    name_table_release(&waiting->keys);
    memory_free(waiting->heap);
}

/* ---- deadlines ---- */

static void heap_put(struct waiting *waiting, uint32_t index, struct waiter *waiter) {
    waiting->heap[index] = waiter;
    waiter->heap_index = index;
}

static void heap_rise(struct waiting *waiting, uint32_t index) {
    struct waiter *waiter = waiting->heap[index];
    while (index > 0) {
        struct waiter *above = waiting->heap[(index - 1) / 2];
        if (above->deadline_us <= waiter->deadline_us) break;
        heap_put(waiting, index, above);
        index = (index - 1) / 2;
    }
    heap_put(waiting, index, waiter);
}

static void heap_sink(struct waiting *waiting, uint32_t index) {
    struct waiter *waiter = waiting->heap[index];
    while (true) {
        uint32_t child = 2 * index + 1;
        if (child >= waiting->heap_count) break;
        if (child + 1 < waiting->heap_count &&
            waiting->heap[child + 1]->deadline_us < waiting->heap[child]->deadline_us)
            child++;
        if (waiter->deadline_us <= waiting->heap[child]->deadline_us) break;
        heap_put(waiting, index, waiting->heap[child]);
        index = child;
    }
    heap_put(waiting, index, waiter);
}

static void heap_add(struct waiting *waiting, struct waiter *waiter) {
    if (waiting->heap_count == waiting->heap_capacity) {
        waiting->heap_capacity = waiting->heap_capacity ? waiting->heap_capacity * 2 : FIRST_HEAP;
        waiting->heap =
            memory_resize(waiting->heap, waiting->heap_capacity * sizeof(struct waiter *));
    }
    waiting->heap[waiting->heap_count++] = waiter;
    heap_rise(waiting, waiting->heap_count - 1);
}

static void heap_remove(struct waiting *waiting, struct waiter *waiter) {
    uint32_t index = waiter->heap_index;
    if (index == NO_DEADLINE) return;
    struct waiter *last = waiting->heap[--waiting->heap_count];
    if (last == waiter) return;
    heap_put(waiting, index, last);
    heap_rise(waiting, index);
    heap_sink(waiting, last->heap_index);
}

int64_t waiting_due_us(const struct waiting *waiting) {
    return waiting->heap_count > 0 ? waiting->heap[0]->deadline_us : INT64_MAX;
}

/* ---- lines ---- */

static void enter_line(struct waiting *waiting, struct waiter *waiter, struct waiting_key *key,
                       uint32_t argument) {
    /* The same name once more: it already stands there, as the last. */
    if (key->last && key->last->waiter == waiter) return;
    struct waiting_link *link = &waiter->links[waiter->link_count++];
    *link = (struct waiting_link){waiter, key, key->last, NULL, argument};
    if (key->last)
        key->last->next = link;
    else
        key->first = link;
    key->last = link;
    key->waits_for[waiter->type]++;
    if (waiter->wake_when_gone && key->wants_end++ == 0) waiting->gone_keys++;
}

static void leave_line(struct waiting *waiting, struct waiting_link *link) {
    struct waiting_key *key = link->key;
    if (waiting->next_link == link) waiting->next_link = link->next;
    if (link->before)
        link->before->next = link->next;
    else
        key->first = link->next;
    if (link->next)
        link->next->before = link->before;
    else
        key->last = link->before;
    key->waits_for[link->waiter->type]--;
    if (link->waiter->wake_when_gone && --key->wants_end == 0) waiting->gone_keys--;
    drop_key(waiting, key);
}

static void enter_unkeyed(struct waiting *waiting, struct waiter *waiter) {
    waiter->next = waiting->unkeyed;
    if (waiter->next) waiter->next->before = waiter;
    waiting->unkeyed = waiter;
}

static void leave_unkeyed(struct waiting *waiting, struct waiter *waiter) {
    if (waiter->before)
        waiter->before->next = waiter->next;
    else
        waiting->unkeyed = waiter->next;
    if (waiter->next) waiter->next->before = waiter->before;
}

/* Keep the words to be run again. */
static void hold(struct call *call, const struct call_wait *wait) {
    struct session *session = call->session;
    struct request other = {.arguments = (struct bytes *)(uintptr_t)wait->argv,
                            .count = (uint32_t)wait->argc};
    INVARIANT(session->held == NULL);
    session_hold(session, wait->argv ? &other : call->request);
    session->held->command = call->command;
    session->held->muted = session->muted != NULL;
}

static void take_deadline(struct server *server, struct waiter *waiter, int64_t timeout_ms) {
    if (timeout_ms == 0) return;
    if (__builtin_mul_overflow(timeout_ms, 1000, &waiter->deadline_us) ||
        __builtin_add_overflow(server->monotonic_us, waiter->deadline_us, &waiter->deadline_us))
        waiter->deadline_us = INT64_MAX;
    heap_add(&server->waiting, waiter);
}

bool call_may_wait(const struct call *call) {
    return call->may_wait;
}

void call_wait(struct call *call, const struct call_wait *wait) {
    struct session *session = call->session;
    struct server *server = call->server;
    struct waiting *waiting = &server->waiting;
    INVARIANT(call->may_wait);
    call->waits = true;
    if (session->waiter) return; /* in its lines as before */
    struct waiter *waiter =
        memory_alloc(sizeof *waiter + wait->key_count * sizeof waiter->links[0]);
    *waiter = (struct waiter){
        .session = session,
        .heap_index = NO_DEADLINE,
        .type = wait->type,
        .wake_when_gone = wait->wake_when_gone,
        .timed_out = wait->timed_out,
    };
    session->waiter = waiter;
    waiting->count++;
    server->interests |= SERVER_INTEREST_WAITING;
    for (uint32_t i = 0; i < wait->key_count; i++) {
        uint32_t argument = wait->keys[i];
        struct waiting_key *key =
            name_table_find_or_add(&waiting->keys, call->database->number, call->argv[argument]);
        enter_line(waiting, waiter, key, argument);
    }
    if (wait->key_count == 0) enter_unkeyed(waiting, waiter);
    take_deadline(server, waiter, wait->timeout_ms);
    hold(call, wait);
}

void waiting_cancel(struct session *session) {
    struct waiter *waiter = session->waiter;
    struct waiting *waiting = &session->server->waiting;
    if (!waiter) return;
    for (uint32_t i = 0; i < waiter->link_count; i++)
        leave_line(waiting, &waiter->links[i]);
    if (waiter->link_count == 0) leave_unkeyed(waiting, waiter);
    heap_remove(waiting, waiter);
    if (--waiting->count == 0) session->server->interests &= ~(uint32_t)SERVER_INTEREST_WAITING;
    session->waiter = NULL;
    memory_free(waiter);
}

/* ---- being told ---- */

static void mark_ready(struct waiting *waiting, struct waiting_key *key) {
    /* What one of a line does to its key, the rest of the line sees without being told. */
    if (key->is_ready || key == waiting->serving) return;
    key->is_ready = true;
    key->ready_next = NULL;
    if (waiting->ready_last)
        waiting->ready_last->ready_next = key;
    else
        waiting->ready_first = key;
    waiting->ready_last = key;
}

void waiting_key_changed(struct server *server, uint32_t database, struct bytes name) {
    struct waiting_key *key = name_table_find(&server->waiting.keys, database, name);
    if (key) mark_ready(&server->waiting, key);
}

struct marking {
    struct waiting *waiting;
    uint32_t database;
};

static void mark_key(void *context, void *record) {
    const struct marking *marking = context;
    struct waiting_key *key = record;
    if (marking->database == UINT32_MAX || key->named.number == marking->database)
        mark_ready(marking->waiting, key);
}

void waiting_database_changed(struct server *server, uint32_t database) {
    struct marking marking = {&server->waiting, database};
    name_table_each(&server->waiting.keys, mark_key, &marking);
}

/* ---- serving ---- */

/* The type that the key holds, -1 when it is absent. */
static int type_of(struct server *server, const struct waiting_key *waited) {
    const struct named *named = &waited->named;
    struct key key = key_make(&server->keyspace, named->name);
    const struct entry *entry = database_find(&server->keyspace.databases[named->number], &key);
    if (!entry || entry_expiry(entry) <= server->now_ms) return -1;
    return (int)entry_type(entry);
}

/* Is there anybody in the line who has to be asked while the key holds this type? */
static bool concerns(const struct waiting_key *key, int type) {
    return key->wants_end > 0 || (type >= 0 && key->waits_for[type] > 0);
}

static void resume_later(struct waiting *waiting, struct session *session) {
    session_watch(session);
    if (session->flags & SESSION_RESUMED) return;
    if (!session->held && !(session->flags & SESSION_MORE) && !session->protocol_error) return;
    session->flags |= SESSION_RESUMED;
    session->resumed_next = NULL;
    if (waiting->resumed_last)
        waiting->resumed_last->resumed_next = session;
    else
        waiting->resumed_first = session;
    waiting->resumed_last = session;
}

/* What ended the wait has been answered. */
static void end_wait(struct session *session) {
    waiting_cancel(session);
    session_drop_first_held(session);
    resume_later(&session->server->waiting, session);
}

static void serve_line(struct server *server, struct waiting_key *key) {
    int type = type_of(server, key);
    struct waiting_link *link = key->first;
    while (link && concerns(key, type)) {
        const struct waiter *waiter = link->waiter;
        struct session *session = waiter->session;
        bool is_meant = waiter->wake_when_gone || (int)waiter->type == type;
        server->waiting.next_link = link->next;
        /* Who is writing has joined the line just now, and looked before that. */
        if (is_meant && !session->reply_base) {
            if (dispatch_waiting(session, link->argument, NULL)) end_wait(session);
            type = type_of(server, key);
        }
        link = server->waiting.next_link;
    }
}

void waiting_serve(struct server *server) {
    struct waiting *waiting = &server->waiting;
    if (waiting->serving) return;
    while (waiting->ready_first) {
        struct waiting_key *key = waiting->ready_first;
        waiting->ready_first = key->ready_next;
        if (!waiting->ready_first) waiting->ready_last = NULL;
        key->is_ready = false;
        waiting->serving = key;
        serve_line(server, key);
        waiting->serving = NULL;
        drop_key(waiting, key);
    }
}

void waiting_wake(struct server *server) {
    struct waiter *next;
    for (struct waiter *waiter = server->waiting.unkeyed; waiter; waiter = next) {
        struct session *session = waiter->session;
        next = waiter->next;
        if (dispatch_waiting(session, CALL_WOKEN, NULL)) end_wait(session);
    }
}

void waiting_resume(struct server *server) {
    struct waiting *waiting = &server->waiting;
    while (waiting->resumed_first) {
        struct session *session = waiting->resumed_first;
        waiting_forget(session);
        dispatch_held(session);
    }
}

void waiting_forget(struct session *session) {
    struct waiting *waiting = &session->server->waiting;
    waiting_cancel(session);
    if (!(session->flags & SESSION_RESUMED)) return;
    session->flags &= ~(uint32_t)SESSION_RESUMED;
    struct session **link = &waiting->resumed_first, *before = NULL;
    while (*link != session) {
        before = *link;
        link = &before->resumed_next;
    }
    *link = session->resumed_next;
    if (waiting->resumed_last == session) waiting->resumed_last = before;
}

/* ---- ends without a key ---- */

void waiting_time_out(struct server *server) {
    struct waiting *waiting = &server->waiting;
    for (int i = 0; i < WAITING_TIMEOUTS && waiting->heap_count > 0; i++) {
        struct waiter *waiter = waiting->heap[0];
        if (waiter->deadline_us > server->monotonic_us) return;
        waiting_unblock(waiter->session, false);
    }
}

static void answer_unblocked(struct call *call) {
    call_error(call, "UNBLOCKED client unblocked via CLIENT UNBLOCK");
}

static void answer_other_part(struct call *call) {
    call_error(call, "UNBLOCKED force unblock from blocking operation, instance state changed "
                     "(master -> replica?)");
}

void waiting_unblock_all(struct server *server) {
    for (uint32_t i = 0; i < server->session_count; i++) {
        struct session *session = server->sessions[i];
        if (!session->waiter) continue;
        dispatch_waiting(session, 0, answer_other_part);
        end_wait(session);
    }
}

bool waiting_unblock(struct session *session, bool with_error) {
    if (!session->waiter) return false;
    dispatch_waiting(session, 0, with_error ? answer_unblocked : session->waiter->timed_out);
    end_wait(session);
    return true;
}
