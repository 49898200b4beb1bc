/* stream_claim.c: XCLAIM and XAUTOCLAIM: pending entries change hands. */
#include "command/command_handlers.h"
#include "command/stream_arguments.h"

#include "engine/server.h"

/* What a claim does to the entries it gets. */
struct claim {
    int64_t idle_ms_min;
    int64_t delivered_ms;
    int64_t deliveries; /* -1: one more, or as many with JUSTID */
    bool force, just_id, has_last;
    struct stream_id last;
    uint32_t ids; /* arguments of XCLAIM, from 5 on */
};

static bool take_idle_min(struct call *call, struct claim *claim, const char *name) {
    if (!number_parse_i64(call->argv[4], &claim->idle_ms_min)) {
        call_error(call, "ERR Invalid min-idle-time argument for %s", name);
        return false;
    }
    if (claim->idle_ms_min < 0) claim->idle_ms_min = 0;
    return true;
}

static bool check_group(struct call *call, const struct stream *stream) {
    struct bytes key = call->argv[1], group = call->argv[2];
    if (stream && stream_group_find(stream, group)) return true;
    call_error(call, "NOGROUP No such key '%.*s' or consumer group '%.*s'", (int)key.size, key.data,
               (int)group.size, group.data);
    return false;
}

/* Is it pending for long enough? */
static bool may_claim(const struct call *call, const struct claim *claim,
                      const struct stream_pending *pending) {
    return claim->idle_ms_min == 0 || call->now_ms - pending->delivered_ms >= claim->idle_ms_min;
}

static void give_to(struct call *call, struct stream_edit *edit, struct stream_group *group,
                    struct stream_consumer *consumer, const struct claim *claim,
                    struct stream_pending *pending) {
    pending->consumer = consumer->member.number;
    pending->delivered_ms = claim->delivered_ms;
    if (claim->deliveries >= 0)
        pending->deliveries = (uint64_t)claim->deliveries;
    else if (!claim->just_id)
        stream_pending_delivered(pending);
    stream_pending_put(edit->stream, group, pending);
    consumer->active_ms = call->server->now_ms;
    call_changed_inside(call, call->database, edit->key.name, NOTIFY_STREAM, NULL);
    if (stream_wants_effects(call)) stream_effect_claim(call, edit->key.name, group, pending);
}

static void drop(struct call *call, struct stream_edit *edit, struct stream_group *group,
                 const struct stream_id *id) {
    stream_pending_remove(edit->stream, group, id);
    call_changed_inside(call, call->database, edit->key.name, NOTIFY_STREAM, NULL);
    stream_effect_ack(call, edit->key.name, stream_group_name(group), id);
}

/* Ids that were claimed, until their number is known. */
struct claimed {
    struct buffer ids;
    size_t count;
};

static void note(struct claimed *claimed, const struct stream_id *id) {
    buffer_append(&claimed->ids, id, sizeof *id);
    claimed->count++;
}

static void reply_claimed(struct call *call, const struct stream *stream,
                          const struct claimed *claimed, bool just_ids) {
    reply_array(call->reply, claimed->count);
    for (size_t i = 0; i < claimed->count; i++) {
        struct stream_id id;
        struct stream_walk walk;
        memcpy(&id, claimed->ids.data + i * sizeof id, sizeof id);
        if (just_ids) {
            stream_reply_id(call, &id);
            continue;
        }
        stream_walk_begin(&walk, stream, &id, &id, false);
        stream_walk_next(&walk);
        stream_reply_entry(call, &walk);
    }
}

/* ---- XCLAIM ---- */

static bool parse_number(struct call *call, uint32_t index, const char *option, int64_t *number) {
    if (number_parse_i64(call->argv[index], number)) return true;
    call_error(call, "ERR Invalid %s option argument for XCLAIM", option);
    return false;
}

/* One option at *i; false after an error reply. */
static bool take_option(struct call *call, uint32_t *i, struct claim *claim) {
    bool more = *i + 1 < call->argc;
    int64_t number;
    if (call_argument_is(call, *i, "force")) {
        claim->force = true;
    } else if (call_argument_is(call, *i, "justid")) {
        claim->just_id = true;
    } else if (more && call_argument_is(call, *i, "idle")) {
        if (!parse_number(call, ++*i, "IDLE", &number)) return false;
        if (__builtin_sub_overflow(call->server->now_ms, number, &claim->delivered_ms))
            claim->delivered_ms = -1;
    } else if (more && call_argument_is(call, *i, "time")) {
        return parse_number(call, ++*i, "TIME", &claim->delivered_ms);
    } else if (more && call_argument_is(call, *i, "retrycount")) {
        return parse_number(call, ++*i, "RETRYCOUNT", &claim->deliveries);
    } else if (more && call_argument_is(call, *i, "lastid")) {
        claim->has_last = true;
        return stream_take_id(call, ++*i, 0, &claim->last);
    } else {
        call_error(call, "ERR Unrecognized XCLAIM option '%.*s'", (int)call->argv[*i].size,
                   call->argv[*i].data);
        return false;
    }
    return true;
}

static bool parse_claim(struct call *call, struct claim *claim) {
    struct stream_id id;
    if (!take_idle_min(call, claim, "XCLAIM")) return false;
    uint32_t i = 5;
    while (i < call->argc && stream_id_parse(call->argv[i], 0, &id))
        i++;
    claim->ids = i - 5;
    for (; i < call->argc; i++)
        if (!take_option(call, &i, claim)) return false;
    /* A time that is not yet, or never was, is now. But an effect, which alone has all of these
     * options, is to do the same where clocks are behind. */
    bool is_effect = claim->force && claim->just_id && claim->deliveries >= 0 && claim->has_last;
    if (claim->delivered_ms < 0 || (claim->delivered_ms > call->server->now_ms && !is_effect))
        claim->delivered_ms = call->server->now_ms;
    return true;
}

static void claim_one(struct call *call, struct stream_edit *edit, struct stream_group *group,
                      struct stream_consumer *consumer, const struct claim *claim,
                      const struct stream_id *id, struct claimed *claimed) {
    struct stream_pending pending;
    bool known = stream_pending_find(group, id, &pending);
    if (!stream_has(edit->stream, id)) {
        if (known) drop(call, edit, group, id);
        return;
    }
    if (!known) {
        if (!claim->force) return;
        pending = (struct stream_pending){.id = *id, .deliveries = 1};
    } else if (!may_claim(call, claim, &pending)) {
        return;
    }
    give_to(call, edit, group, consumer, claim, &pending);
    note(claimed, id);
}

void command_xclaim(struct call *call) {
    struct claim claim = {.delivered_ms = call->now_ms, .deliveries = -1};
    struct claimed claimed = {.count = 0};
    struct stream_edit edit;
    if (!stream_edit_look(call, 1, &edit)) return;
    if (!edit.seen) call_missed(call, 1);
    if (!check_group(call, edit.seen)) return;
    if (!parse_claim(call, &claim)) return;
    stream_edit_begin(call, &edit);
    struct stream_group *group = stream_edit_group(call, &edit, 2);
    if (stream_id_compare(&claim.last, &group->last) > 0) {
        group->last = claim.last;
        call_changed_inside(call, call->database, edit.key.name, NOTIFY_STREAM, NULL);
        stream_effect_group_id(call, edit.key.name, group);
    }
    struct stream_consumer *consumer = stream_consumer_obtain(call, &edit, group, call->argv[3]);
    consumer->seen_ms = call->server->now_ms;
    for (uint32_t i = 5; i < 5 + claim.ids; i++) {
        struct stream_id id;
        stream_id_parse(call->argv[i], 0, &id);
        claim_one(call, &edit, group, consumer, &claim, &id, &claimed);
    }
    reply_claimed(call, edit.stream, &claimed, claim.just_id);
    stream_edit_end(&edit);
    buffer_release(&claimed.ids);
}

/* ---- XAUTOCLAIM ---- */

struct auto_claim {
    struct claim claim;
    struct stream_id from;
    int64_t count;
};

static bool parse_auto_claim(struct call *call, struct auto_claim *claim) {
    enum { COUNT = 100 };
    *claim = (struct auto_claim){{.delivered_ms = call->now_ms, .deliveries = -1}, {0, 0}, COUNT};
    if (!take_idle_min(call, &claim->claim, "XAUTOCLAIM")) return false;
    if (!stream_take_start(call, 5, &claim->from)) return false;
    for (uint32_t i = 6; i < call->argc; i++) {
        if (call_argument_is(call, i, "count") && i + 1 < call->argc) {
            if (!call_parse_range(call, ++i, 1, INT64_MAX / 16, &claim->count,
                                  "ERR COUNT must be > 0"))
                return false;
        } else if (call_argument_is(call, i, "justid")) {
            claim->claim.just_id = true;
        } else {
            call_error_syntax(call);
            return false;
        }
    }
    return true;
}

/* Look at pending entries from `claim->from` on, which becomes the one to go on with, 0-0 at the
 * end. */
static void claim_along(struct call *call, struct stream_edit *edit, struct stream_group *group,
                        struct stream_consumer *consumer, struct auto_claim *claim,
                        struct claimed *claimed, struct claimed *gone) {
    enum { LOOKS_PER_CLAIM = 10 };
    int64_t looks = claim->count * LOOKS_PER_CLAIM, left = claim->count;
    for (;;) {
        struct stream_pending_walk walk;
        struct stream_pending pending;
        stream_pending_begin(&walk, group, NULL, &claim->from);
        if (!stream_pending_next(&walk, &pending)) break;
        claim->from = pending.id;
        if (looks-- == 0 || left == 0) return;
        if (!stream_has(edit->stream, &pending.id)) {
            drop(call, edit, group, &pending.id);
            note(gone, &pending.id);
            left--;
        } else if (may_claim(call, &claim->claim, &pending)) {
            give_to(call, edit, group, consumer, &claim->claim, &pending);
            note(claimed, &pending.id);
            left--;
        }
        if (!stream_id_increment(&claim->from)) break;
    }
    claim->from = STREAM_ID_MIN;
}

void command_xautoclaim(struct call *call) {
    struct auto_claim claim;
    struct claimed claimed = {.count = 0}, gone = {.count = 0};
    struct stream_edit edit;
    if (!parse_auto_claim(call, &claim)) return;
    if (!stream_edit_look(call, 1, &edit)) return;
    if (!edit.seen) call_missed(call, 1);
    if (!check_group(call, edit.seen)) return;
    stream_edit_begin(call, &edit);
    struct stream_group *group = stream_edit_group(call, &edit, 2);
    struct stream_consumer *consumer = stream_consumer_obtain(call, &edit, group, call->argv[3]);
    consumer->seen_ms = call->server->now_ms;
    claim_along(call, &edit, group, consumer, &claim, &claimed, &gone);
    reply_array(call->reply, 3);
    stream_reply_id(call, &claim.from);
    reply_claimed(call, edit.stream, &claimed, claim.claim.just_id);
    reply_claimed(call, edit.stream, &gone, true);
    stream_edit_end(&edit);
    buffer_release(&claimed.ids);
    buffer_release(&gone.ids);
}
