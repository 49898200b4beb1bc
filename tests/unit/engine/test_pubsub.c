/* test_pubsub.c: who listens and what they are told, against lists that are looked through: random
 * sessions of both protocols listen to channels, patterns and shard channels, and leave. */
#include "told.h"

#include "base/glob.h"
#include "engine/pubsub.h"

enum { SESSIONS = 30, NAMES = 9, STEPS = 30000, CHECK_EVERY = 7, PAYLOAD_MAX = 3000 };

static const char *const names[PUBSUB_KINDS][NAMES] = {
    {"", "a", "b", "news", "news.art", "news.music", "[ab]", "a*", "long channel's name"},
    {"*", "a", "a*", "?", "[ab]", "news.*", "news.?rt", "\\[ab]", "nothing"},
    {"", "a", "b", "news", "news.art", "news.music", "shard", "a*", "other"},
};

/* The names that a session listens to, in the order they began. */
struct list {
    uint32_t count;
    uint8_t names[NAMES];
};

struct model {
    struct simulation *simulation;
    struct simulated simulated;
    struct random random;
    struct listener listeners[SESSIONS];
    struct list lists[SESSIONS][PUBSUB_KINDS];
    uint32_t sequence;
    char payload[40 * 1024];
};

static uint32_t below(struct model *m, uint32_t limit) {
    return (uint32_t)random_below(&m->random, limit);
}

static struct bytes name_of(uint32_t kind, uint32_t name) {
    return bytes_make(names[kind][name], strlen(names[kind][name]));
}

static int place_in(const struct list *list, uint32_t name) {
    for (uint32_t i = 0; i < list->count; i++)
        if (list->names[i] == name) return (int)i;
    return -1;
}

static void drop_from(struct list *list, uint32_t at) {
    memmove(list->names + at, list->names + at + 1, list->count - at - 1);
    list->count--;
}

/* ---- steps ---- */

static void open_or_close(struct model *m, uint32_t session) {
    struct listener *listener = &m->listeners[session];
    if (listener->session) {
        listener_check(listener);
        listener_close(listener);
        memset(m->lists[session], 0, sizeof m->lists[session]);
    } else {
        listener_open(listener, m->simulated.server, below(m, 2) ? 3 : 2);
    }
}

static void subscribe(struct model *m, uint32_t session, uint32_t kind, uint32_t name) {
    struct list *list = &m->lists[session][kind];
    bool is_new = place_in(list, name) < 0;
    assert_int_equal(pubsub_subscribe(m->listeners[session].session, (enum pubsub_kind)kind,
                                      name_of(kind, name)),
                     is_new);
    if (is_new) list->names[list->count++] = (uint8_t)name;
}

static void unsubscribe(struct model *m, uint32_t session, uint32_t kind, uint32_t name) {
    struct list *list = &m->lists[session][kind];
    int at = place_in(list, name);
    assert_int_equal(pubsub_unsubscribe(m->listeners[session].session, (enum pubsub_kind)kind,
                                        name_of(kind, name)),
                     at >= 0);
    if (at >= 0) drop_from(list, (uint32_t)at);
}

static void expect_message(struct model *m, uint32_t session, uint32_t kind, uint32_t name,
                           struct bytes channel, struct bytes payload) {
    static const char *const words[PUBSUB_KINDS] = {"message", "pmessage", "smessage"};
    struct listener *listener = &m->listeners[session];
    bool is_pattern = kind == PUBSUB_PATTERN;
    /* What the channel's own listeners get comes first. */
    struct buffer *out = listener_expect(listener, m->sequence * 2 + is_pattern);
    buffer_append_format(out, "%c%d\r\n", listener->session->protocol == 3 ? '>' : '*',
                         is_pattern ? 4 : 3);
    told_word(out, bytes_make(words[kind], strlen(words[kind])));
    if (is_pattern) told_word(out, name_of(kind, name));
    told_word(out, channel);
    told_word(out, payload);
}

static uint64_t expect_all(struct model *m, uint32_t kind, struct bytes channel,
                           struct bytes payload) {
    uint64_t told = 0;
    for (uint32_t session = 0; session < SESSIONS; session++)
        for (uint32_t other = 0; other < PUBSUB_KINDS; other++)
            for (uint32_t i = 0; i < m->lists[session][other].count; i++) {
                uint32_t name = m->lists[session][other].names[i];
                bool hears = other == kind && bytes_equal(name_of(kind, name), channel);
                if (kind == PUBSUB_CHANNEL && other == PUBSUB_PATTERN)
                    hears = glob_match(name_of(other, name), channel, false);
                if (!hears) continue;
                expect_message(m, session, other, name, channel, payload);
                told++;
            }
    return told;
}

static void publish(struct model *m) {
    uint32_t kind = below(m, 3) ? PUBSUB_CHANNEL : PUBSUB_SHARD;
    struct bytes channel = name_of(kind, below(m, NAMES));
    size_t size = below(m, 100) ? below(m, PAYLOAD_MAX) : below(m, sizeof m->payload);
    m->sequence++;
    snprintf(m->payload, 16, "%u ", m->sequence);
    struct bytes payload = bytes_make(m->payload, size);
    uint64_t told = expect_all(m, kind, channel, payload);
    assert_int_equal(pubsub_publish(m->simulated.server, (enum pubsub_kind)kind, channel, payload),
                     told);
}

/* ---- what can be asked ---- */

struct seen {
    uint32_t kind;
    bool names[NAMES];
};

static void see(void *context, struct bytes name) {
    struct seen *seen = context;
    for (uint32_t i = 0; i < NAMES; i++) {
        if (!bytes_equal(name_of(seen->kind, i), name)) continue;
        assert_false(seen->names[i]);
        seen->names[i] = true;
        return;
    }
    fail_msg("nobody listens to this");
}

static void check_names(const struct model *m, uint32_t kind) {
    struct seen seen = {.kind = kind};
    pubsub_each(m->simulated.server, (enum pubsub_kind)kind, see, &seen);
    for (uint32_t name = 0; name < NAMES; name++) {
        uint32_t listening = 0;
        for (uint32_t session = 0; session < SESSIONS; session++)
            listening += place_in(&m->lists[session][kind], name) >= 0;
        assert_int_equal(
            pubsub_subscribers(m->simulated.server, (enum pubsub_kind)kind, name_of(kind, name)),
            listening);
        assert_int_equal(seen.names[name], listening > 0);
    }
}

static bool is_allowed(const void *context, enum pubsub_kind kind, struct bytes name) {
    (void)kind;
    return !bytes_equal(*(const struct bytes *)context, name);
}

static void check_session(struct model *m, uint32_t session) {
    struct listener *listener = &m->listeners[session];
    struct bytes forbidden = name_of(PUBSUB_CHANNEL, below(m, NAMES)), first;
    uint32_t all = 0;
    bool has_forbidden = false;
    listener_check(listener);
    for (uint32_t kind = 0; kind < PUBSUB_KINDS; kind++) {
        const struct list *list = &m->lists[session][kind];
        assert_int_equal(pubsub_count(listener->session, (enum pubsub_kind)kind), list->count);
        assert_int_equal(pubsub_first(listener->session, (enum pubsub_kind)kind, &first),
                         list->count > 0);
        if (list->count > 0) assert_true(bytes_equal(first, name_of(kind, list->names[0])));
        for (uint32_t i = 0; i < list->count; i++)
            has_forbidden |= bytes_equal(name_of(kind, list->names[i]), forbidden);
        all += list->count;
    }
    assert_int_equal(pubsub_all(listener->session, is_allowed, &forbidden), !has_forbidden);
    assert_int_equal((listener->session->flags & SESSION_SUBSCRIBED) != 0, all > 0);
    assert_int_equal(pubsub_memory(listener->session) > 0, all > 0);
}

static void check_all(struct model *m) {
    uint32_t listening = 0;
    for (uint32_t kind = 0; kind < PUBSUB_KINDS; kind++)
        check_names(m, kind);
    for (uint32_t session = 0; session < SESSIONS; session++) {
        if (!m->listeners[session].session) continue;
        check_session(m, session);
        listening += m->listeners[session].session->subscriptions != NULL;
    }
    assert_int_equal(m->simulated.server->pubsub.sessions, listening);
}

/* ---- */

static void step(struct model *m) {
    uint32_t session = below(m, SESSIONS), kind = below(m, PUBSUB_KINDS), name = below(m, NAMES);
    bool is_open = m->listeners[session].session != NULL;
    switch (below(m, 40)) {
    case 0: open_or_close(m, session); break;
    case 1:
        if (!is_open) break;
        pubsub_forget(m->listeners[session].session);
        memset(m->lists[session], 0, sizeof m->lists[session]);
        break;
    case 2: check_all(m); break;
    default:
        if (below(m, 3) == 0)
            publish(m);
        else if (is_open && below(m, 3))
            subscribe(m, session, kind, name);
        else if (is_open)
            unsubscribe(m, session, kind, name);
    }
}

static void test_random_sessions(void **state) {
    (void)state;
    struct model *m = memory_alloc_zeroed(1, sizeof *m);
    m->random = random_from_seed();
    memset(m->payload, 'p', sizeof m->payload);
    m->simulation = simulation_open(1);
    simulated_configure(&m->simulated, m->simulation, "server");
    simulated_open(&m->simulated, &command_table);
    for (uint32_t i = 0; i < STEPS; i++) {
        step(m);
        /* Some are read from at once, some later: pages are begun anew, filled, and replaced. */
        uint32_t session = below(m, SESSIONS);
        if (i % CHECK_EVERY == 0)
            check_all(m);
        else if (m->listeners[session].session)
            listener_check(&m->listeners[session]);
    }
    for (uint32_t session = 0; session < SESSIONS; session++)
        if (m->listeners[session].session) open_or_close(m, session);
    check_all(m);
    assert_int_equal(m->simulated.server->pubsub.pattern_count, 0);
    simulated_stop(&m->simulated);
    simulation_close(m->simulation);
    memory_free(m);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_random_sessions)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
