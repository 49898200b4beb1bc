/* test_tracking.c: who has read which key and is told of what, against lists that are looked
 * through: random sessions track in all modes, some for others, read, change, end and go. */
#include "told.h"

#include "engine/call.h"
#include "engine/tracking.h"

enum { SESSIONS = 12, KEYS = 14, PREFIXES = 6, CHANGES = 400, STEPS = 60000 };

static const char *const keys[KEYS] = {"",        "a",      "b",    "ab",    "abc",
                                       "user:1",  "user:2", "user", "user:", "item:1",
                                       "item:12", "item:2", "x",    "xy"};
static const char *const prefixes[PREFIXES] = {"", "a", "user:", "item:1", "x", "nothing"};

struct tracked {
    uint32_t mode;
    uint64_t target;
    bool prefixes[PREFIXES];
};

struct noted_change {
    uint8_t key;
    uint64_t changer;
};

struct model {
    struct simulation *simulation;
    struct simulated simulated;
    struct random random;
    struct listener listeners[SESSIONS];
    struct tracked tracked[SESSIONS];
    bool readers[KEYS][SESSIONS];
    struct noted_change changes[PREFIXES][CHANGES];
    uint32_t change_counts[PREFIXES];
    uint32_t order;
};

static uint32_t below(struct model *m, uint32_t limit) {
    return (uint32_t)random_below(&m->random, limit);
}

static struct bytes text_of(const char *text) {
    return bytes_make(text, strlen(text));
}

static bool is_on(const struct model *m, uint32_t session) {
    return m->listeners[session].session && m->tracked[session].mode & TRACKING_ON;
}

/* ---- what is expected ---- */

static struct listener *listener_of(struct model *m, uint64_t id) {
    for (uint32_t i = 0; i < SESSIONS; i++)
        if (m->listeners[i].session && m->listeners[i].session->id == id) return &m->listeners[i];
    return NULL;
}

static void expect_broken(struct model *m, uint32_t session) {
    struct listener *listener = &m->listeners[session];
    m->tracked[session].mode |= TRACKING_BROKEN;
    if (listener->session->protocol < 3) return;
    buffer_append_format(listener_expect(listener, m->order),
                         ">2\r\n$21\r\ntracking-redir-broken\r\n:%" PRIu64 "\r\n",
                         m->tracked[session].target);
}

/* `names`: an array of them; NULL: all. */
static void expect(struct model *m, uint32_t session, const struct buffer *names) {
    uint64_t target = m->tracked[session].target;
    struct listener *listener = target ? listener_of(m, target) : &m->listeners[session];
    if (!listener) {
        expect_broken(m, session);
        return;
    }
    bool is_push = listener->session->protocol == 3;
    if (!is_push && !(target && listener->session->flags & SESSION_SUBSCRIBED)) return;
    struct buffer *out = listener_expect(listener, m->order);
    buffer_append_text(out, is_push ? ">2\r\n$10\r\ninvalidate\r\n"
                                    : "*3\r\n$7\r\nmessage\r\n$20\r\n__redis__:invalidate\r\n");
    if (names)
        buffer_append(out, names->data, names->size);
    else
        buffer_append_text(out, is_push ? "_\r\n" : "$-1\r\n");
}

static void forget_readers_of_all(struct model *m) {
    memset(m->readers, 0, sizeof m->readers);
}

static bool nobody_tracks(const struct model *m) {
    for (uint32_t i = 0; i < SESSIONS; i++)
        if (is_on(m, i)) return false;
    return true;
}

static void forget_unwanted_changes(struct model *m) {
    for (uint32_t p = 0; p < PREFIXES; p++) {
        bool wanted = false;
        for (uint32_t i = 0; i < SESSIONS; i++)
            wanted |= is_on(m, i) && m->tracked[i].prefixes[p];
        if (!wanted) m->change_counts[p] = 0;
    }
}

static void end_in_model(struct model *m, uint32_t session) {
    if (!is_on(m, session)) return;
    m->tracked[session].mode = 0;
    memset(m->tracked[session].prefixes, 0, sizeof m->tracked[session].prefixes);
    forget_unwanted_changes(m);
    if (nobody_tracks(m)) forget_readers_of_all(m);
}

/* ---- steps ---- */

static void open_session(struct model *m, uint32_t session) {
    listener_open(&m->listeners[session], m->simulated.server, below(m, 3) ? 3 : 2);
    m->tracked[session] = (struct tracked){0};
    if (below(m, 2))
        pubsub_subscribe(m->listeners[session].session, PUBSUB_CHANNEL,
                         BYTES("__redis__:invalidate"));
}

static void close_session(struct model *m, uint32_t session) {
    listener_check(&m->listeners[session]);
    end_in_model(m, session);
    for (uint32_t key = 0; key < KEYS; key++)
        m->readers[key][session] = false;
    listener_close(&m->listeners[session]);
}

static uint32_t random_mode(struct model *m) {
    static const uint32_t ways[] = {0, 0, TRACKING_OPTIN, TRACKING_OPTOUT, TRACKING_BCAST};
    return ways[below(m, 5)] | (below(m, 2) ? (uint32_t)TRACKING_NOLOOP : 0);
}

static void begin(struct model *m, uint32_t session) {
    struct tracked *tracked = &m->tracked[session];
    struct bytes names[PREFIXES];
    uint32_t count = 0;
    uint32_t mode = random_mode(m);
    /* CLIENT TRACKING lets nobody change between reading and prefixes without ending it. */
    if (is_on(m, session) && (mode ^ tracked->mode) & TRACKING_BCAST) return;
    struct session *other = m->listeners[below(m, SESSIONS)].session;
    uint64_t target = below(m, 3) == 0 && other ? other->id : 0;
    if (target == m->listeners[session].session->id) target = 0;
    for (uint32_t p = 1; mode & TRACKING_BCAST && p < PREFIXES; p++) {
        if (below(m, 3)) continue;
        names[count++] = text_of(prefixes[p]);
        tracked->prefixes[p] = true;
    }
    if (mode & TRACKING_BCAST && count == 0) tracked->prefixes[0] = true;
    tracked->mode = mode | TRACKING_ON;
    tracked->target = target;
    tracking_begin(m->listeners[session].session, mode, target, names, count);
}

static void end(struct model *m, uint32_t session) {
    end_in_model(m, session);
    tracking_end(m->listeners[session].session);
}

/* MGET of some keys, perhaps behind CLIENT CACHING. */
static void read_keys(struct model *m, uint32_t session) {
    struct session *reader = m->listeners[session].session;
    uint32_t mode = m->tracked[session].mode, count = 1 + below(m, 3);
    struct bytes words[4] = {BYTES("MGET")};
    bool says = below(m, 2) == 0 && mode & (TRACKING_OPTIN | TRACKING_OPTOUT);
    bool notes = !(mode & TRACKING_BCAST);
    if (mode & TRACKING_OPTIN) notes = says;
    if (mode & TRACKING_OPTOUT) notes = !says;
    for (uint32_t i = 1; i <= count; i++) {
        uint32_t key = below(m, KEYS);
        words[i] = text_of(keys[key]);
        if (notes) m->readers[key][session] = true;
    }
    struct call call = {.server = m->simulated.server,
                        .session = reader,
                        .command = server_find_command(m->simulated.server, words[0]),
                        .argv = words,
                        .argc = count + 1};
    if (says) tracking_set_caching(reader);
    tracking_note(&call);
    tracking_end_request(reader, call.command);
}

static void change_in_model(struct model *m, uint32_t key, const struct session *changer) {
    struct buffer names = {0};
    struct bytes name = text_of(keys[key]);
    buffer_append_text(&names, "*1\r\n");
    told_word(&names, name);
    for (uint32_t p = 0; p < PREFIXES; p++) {
        bool wanted = false;
        for (uint32_t i = 0; i < SESSIONS; i++)
            wanted |= is_on(m, i) && m->tracked[i].prefixes[p];
        if (!wanted || strncmp(keys[key], prefixes[p], strlen(prefixes[p])) != 0) continue;
        assert_true(m->change_counts[p] < CHANGES);
        m->changes[p][m->change_counts[p]++] =
            (struct noted_change){(uint8_t)key, changer ? changer->id : 0};
    }
    for (uint32_t i = 0; i < SESSIONS; i++) {
        bool own = m->listeners[i].session == changer && m->tracked[i].mode & TRACKING_NOLOOP;
        if (m->readers[key][i] && is_on(m, i) && !(m->tracked[i].mode & TRACKING_BCAST) && !own)
            expect(m, i, &names);
        m->readers[key][i] = false;
    }
    buffer_release(&names);
}

static void change(struct model *m) {
    uint32_t key = below(m, KEYS), by = below(m, SESSIONS + 2);
    const struct session *changer = by < SESSIONS ? m->listeners[by].session : NULL;
    m->order++;
    change_in_model(m, key, changer);
    tracking_key_changed(m->simulated.server, text_of(keys[key]), changer);
}

static void change_all(struct model *m) {
    m->order++;
    forget_readers_of_all(m);
    for (uint32_t i = 0; i < SESSIONS; i++)
        if (is_on(m, i)) expect(m, i, NULL);
    tracking_all_changed(m->simulated.server);
}

/* The key's only changer in the batch; 0: there were several. Changes one behind another are one,
 * the last's. */
static uint64_t only_changer(const struct model *m, uint32_t p, uint32_t key) {
    uint64_t changer = UINT64_MAX;
    for (uint32_t i = 0; i < m->change_counts[p]; i++) {
        const struct noted_change *one = &m->changes[p][i];
        bool again = i + 1 < m->change_counts[p] && one[1].key == key;
        if (one->key != key || again) continue;
        changer = changer == UINT64_MAX || changer == one->changer ? one->changer : 0;
    }
    return changer;
}

static int compare_keys(const void *a, const void *b) {
    return strcmp(keys[*(const uint8_t *)a], keys[*(const uint8_t *)b]);
}

static void expect_prefix(struct model *m, uint32_t session, uint32_t p) {
    struct buffer names = {0}, list = {0};
    uint8_t changed[KEYS];
    uint32_t count = 0;
    bool noloop = m->tracked[session].mode & TRACKING_NOLOOP;
    for (uint32_t key = 0; key < KEYS; key++) {
        uint64_t changer = only_changer(m, p, key);
        if (changer == UINT64_MAX) continue;
        if (noloop && changer == m->listeners[session].session->id) continue;
        changed[count++] = (uint8_t)key;
    }
    qsort(changed, count, 1, compare_keys);
    for (uint32_t i = 0; i < count; i++)
        told_word(&names, text_of(keys[changed[i]]));
    buffer_append_format(&list, "*%u\r\n", count);
    buffer_append(&list, names.data, names.size);
    if (count > 0) expect(m, session, &list);
    buffer_release(&names);
    buffer_release(&list);
}

static void broadcast(struct model *m) {
    m->order++;
    for (uint32_t p = 0; p < PREFIXES; p++) {
        for (uint32_t i = 0; i < SESSIONS && m->change_counts[p] > 0; i++)
            if (is_on(m, i) && m->tracked[i].prefixes[p]) expect_prefix(m, i, p);
        m->change_counts[p] = 0;
    }
    if (m->simulated.server->tracking.has_changes) tracking_broadcast(m->simulated.server);
}

/* ---- what can be asked ---- */

static void check_session(struct model *m, uint32_t session) {
    struct session *asked = m->listeners[session].session;
    const struct tracked *tracked = &m->tracked[session];
    uint32_t count = 0;
    listener_check(&m->listeners[session]);
    assert_int_equal(tracking_mode(asked), tracked->mode);
    assert_int_equal(tracking_target(asked), tracked->mode ? (int64_t)tracked->target : -1);
    for (uint32_t p = 0; p < PREFIXES; p++) {
        if (!tracked->prefixes[p]) continue;
        bool found = false;
        for (uint32_t i = 0; i < tracking_prefix_count(asked); i++)
            found |= bytes_equal(tracking_prefix_at(asked, i), text_of(prefixes[p]));
        assert_true(found);
        count++;
    }
    assert_int_equal(tracking_prefix_count(asked), count);
}

static void check(struct model *m) {
    uint32_t tracking = 0, known = 0;
    uint64_t items = 0;
    for (uint32_t i = 0; i < SESSIONS; i++) {
        if (!m->listeners[i].session) continue;
        check_session(m, i);
        tracking += is_on(m, i);
    }
    for (uint32_t key = 0; key < KEYS; key++) {
        uint64_t before = items;
        for (uint32_t i = 0; i < SESSIONS; i++)
            items += m->readers[key][i];
        known += items > before;
    }
    const struct tracking *real = &m->simulated.server->tracking;
    assert_int_equal(real->sessions, tracking);
    /* What sessions that are gone have read is known until it is changed. */
    assert_true(real->items >= items);
    assert_true(tracking_keys(real) >= known);
    if (tracking == 0) assert_int_equal(tracking_keys(real), 0);
    bool interested = m->simulated.server->interests & SERVER_INTEREST_TRACKING;
    assert_int_equal(interested, tracking > 0);
}

static void step(struct model *m) {
    uint32_t session = below(m, SESSIONS), what = below(m, 100);
    bool is_open = m->listeners[session].session != NULL;
    if (what < 4) {
        if (is_open)
            close_session(m, session);
        else
            open_session(m, session);
    } else if (what < 8) {
        broadcast(m);
    } else if (what < 9) {
        change_all(m);
    } else if (what < 40) {
        change(m);
    } else if (is_open && what < 50) {
        begin(m, session);
    } else if (is_open && what < 53) {
        end(m, session);
    } else if (is_on(m, session)) {
        read_keys(m, session);
    }
}

static void open_model(struct model *m) {
    m->random = random_from_seed();
    m->simulation = simulation_open(1);
    simulated_configure(&m->simulated, m->simulation, "server");
    simulated_open(&m->simulated, &command_table);
}

static void close_model(struct model *m) {
    for (uint32_t i = 0; i < SESSIONS; i++)
        if (m->listeners[i].session) close_session(m, i);
    check(m);
    assert_int_equal(m->simulated.server->tracking.prefix_count, 0);
    simulated_stop(&m->simulated);
    simulation_close(m->simulation);
    memory_free(m);
}

static void test_random_sessions(void **state) {
    (void)state;
    struct model *m = memory_alloc_zeroed(1, sizeof *m);
    open_model(m);
    for (uint32_t i = 0; i < STEPS; i++) {
        step(m);
        check(m);
    }
    broadcast(m);
    close_model(m);
}

/* Which keys are forgotten is drawn by lot: each of them is told of once, the others are not. */
static void test_too_many_keys(void **state) {
    (void)state;
    enum { MANY = 3000, ALLOWED = 500 };
    struct model *m = memory_alloc_zeroed(1, sizeof *m);
    open_model(m);
    struct server *server = m->simulated.server;
    listener_open(&m->listeners[0], server, 3);
    struct session *reader = m->listeners[0].session;
    tracking_begin(reader, 0, 0, NULL, 0);
    server->config->tracking_table_max_keys = 0;
    for (uint32_t i = 0; i < MANY; i++) {
        char name[16];
        struct bytes words[] = {BYTES("GET"),
                                {name, (size_t)snprintf(name, sizeof name, "key:%04u", i)}};
        struct call call = {.server = server,
                            .session = reader,
                            .command = server_find_command(server, words[0]),
                            .argv = words,
                            .argc = 2};
        tracking_note(&call);
    }
    assert_int_equal(tracking_keys(&server->tracking), MANY);
    server->config->tracking_table_max_keys = ALLOWED;
    tracking_limit(server);
    assert_int_equal(tracking_keys(&server->tracking), MANY - TRACKING_EVICT_MAX);
    while (tracking_keys(&server->tracking) > ALLOWED)
        tracking_limit(server);
    struct buffer text = listener_take(&m->listeners[0]);
    bool seen[MANY] = {false};
    uint32_t count = 0;
    static const char head[] = ">2\r\n$10\r\ninvalidate\r\n*1\r\n$8\r\nkey:";
    for (size_t at = 0; at < text.size; at += sizeof head - 1 + 6, count++) {
        assert_memory_equal(text.data + at, head, sizeof head - 1);
        unsigned key = (unsigned)strtoul(text.data + at + sizeof head - 1, NULL, 10);
        assert_false(seen[key]);
        seen[key] = true;
    }
    assert_int_equal(count, MANY - ALLOWED);
    assert_int_equal(tracking_keys(&server->tracking), ALLOWED);
    buffer_release(&text);
    m->tracked[0].mode = TRACKING_ON;
    close_model(m);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random_sessions),
        cmocka_unit_test(test_too_many_keys),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
