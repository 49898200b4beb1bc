/* tracking.c: CLIENT TRACKING, CACHING, TRACKINGINFO, GETREDIR. What is tracked stands in
 * engine/tracking.h. */
#include "engine/tracking.h"

#include "base/memory.h"
#include "command/command_handlers.h"
#include "engine/call.h"
#include "engine/server.h"

/* What was asked for. */
struct wanted {
    uint32_t mode;
    uint64_t target;
    struct bytes *prefixes; /* room for one behind each PREFIX */
    uint32_t prefix_count;
};

static bool parse_target(struct call *call, uint32_t index, struct wanted *wanted) {
    int64_t id;
    if (wanted->target != 0) {
        call_error(call, "ERR A client can only redirect to a single other client");
        return false;
    }
    if (!call_parse_i64(call, index, &id, NULL)) return false;
    wanted->target = (uint64_t)id;
    if (server_find_session(call->server, wanted->target)) return true;
    call_error(call, "ERR The client ID you want redirect to does not exist");
    return false;
}

static bool parse(struct call *call, struct wanted *wanted) {
    for (uint32_t i = 3; i < call->argc; i++) {
        bool more = i + 1 < call->argc;
        if (call_argument_is(call, i, "redirect") && more) {
            if (!parse_target(call, ++i, wanted)) return false;
        } else if (call_argument_is(call, i, "bcast")) {
            wanted->mode |= TRACKING_BCAST;
        } else if (call_argument_is(call, i, "optin")) {
            wanted->mode |= TRACKING_OPTIN;
        } else if (call_argument_is(call, i, "optout")) {
            wanted->mode |= TRACKING_OPTOUT;
        } else if (call_argument_is(call, i, "noloop")) {
            wanted->mode |= TRACKING_NOLOOP;
        } else if (call_argument_is(call, i, "prefix") && more) {
            wanted->prefixes[wanted->prefix_count++] = call->argv[++i];
        } else {
            call_error_syntax(call);
            return false;
        }
    }
    return true;
}

static bool overlap(struct bytes a, struct bytes b) {
    size_t size = a.size < b.size ? a.size : b.size;
    return size == 0 || memcmp(a.data, b.data, size) == 0;
}

static void refuse_overlap(struct call *call, struct bytes a, struct bytes b, const char *what) {
    call_error(call,
               "ERR Prefix '%.*s' overlaps with %s prefix '%.*s'. Prefixes for a single client "
               "must not overlap.",
               (int)(a.size < 128 ? a.size : 128), a.data, what, (int)(b.size < 128 ? b.size : 128),
               b.data);
}

/* A key must not have two of the session's prefixes. */
static bool check_prefixes(struct call *call, const struct wanted *wanted) {
    for (uint32_t i = 0; i < wanted->prefix_count; i++) {
        struct bytes name = wanted->prefixes[i];
        for (uint32_t k = 0; k < tracking_prefix_count(call->session); k++) {
            struct bytes other = tracking_prefix_at(call->session, k);
            if (!overlap(name, other)) continue;
            refuse_overlap(call, name, other, "an existing");
            return false;
        }
        for (uint32_t k = i + 1; k < wanted->prefix_count; k++) {
            if (!overlap(name, wanted->prefixes[k])) continue;
            refuse_overlap(call, name, wanted->prefixes[k], "another provided");
            return false;
        }
    }
    return true;
}

/* The error that the wish is answered with; NULL: none. */
static const char *refusal(uint32_t old, const struct wanted *wanted) {
    enum { OPT = TRACKING_OPTIN | TRACKING_OPTOUT };
    uint32_t mode = wanted->mode;
    if (wanted->prefix_count > 0 && !(mode & TRACKING_BCAST))
        return "ERR PREFIX option requires BCAST mode to be enabled";
    if (old & TRACKING_ON && (old & TRACKING_BCAST) != (mode & TRACKING_BCAST))
        return "ERR You can't switch BCAST mode on/off before disabling tracking for this client, "
               "and then re-enabling it with a different mode.";
    if (mode & TRACKING_BCAST && mode & OPT)
        return "ERR OPTIN and OPTOUT are not compatible with BCAST";
    if ((mode & OPT) == OPT) return "ERR You can't specify both OPTIN mode and OPTOUT mode";
    if ((mode & OPT && old & OPT) && (mode & OPT) != (old & OPT))
        return "ERR You can't switch OPTIN/OPTOUT mode before disabling tracking for this client, "
               "and then re-enabling it with a different mode.";
    return NULL;
}

static void track(struct call *call, const struct wanted *wanted) {
    if (call_argument_is(call, 2, "off")) {
        tracking_end(call->session);
    } else if (call_argument_is(call, 2, "on")) {
        const char *error = refusal(tracking_mode(call->session), wanted);
        if (error) {
            call_error(call, "%s", error);
            return;
        }
        if (!check_prefixes(call, wanted)) return;
        tracking_begin(call->session, wanted->mode, wanted->target, wanted->prefixes,
                       wanted->prefix_count);
    } else {
        call_error_syntax(call);
        return;
    }
    reply_ok(call->reply);
}

void command_client_tracking(struct call *call) {
    struct wanted wanted = {.prefixes = memory_alloc(call->argc * sizeof *wanted.prefixes)};
    if (parse(call, &wanted)) track(call, &wanted);
    memory_free(wanted.prefixes);
}

void command_client_caching(struct call *call) {
    uint32_t mode = tracking_mode(call->session);
    if (!(mode & TRACKING_ON)) {
        call_error(call, "ERR CLIENT CACHING can be called only when the client is in tracking "
                         "mode with OPTIN or OPTOUT mode enabled");
    } else if (call_argument_is(call, 2, "yes")) {
        if (!(mode & TRACKING_OPTIN)) {
            call_error(call, "ERR CLIENT CACHING YES is only valid when tracking is enabled in "
                             "OPTIN mode.");
            return;
        }
        tracking_set_caching(call->session);
        reply_ok(call->reply);
    } else if (call_argument_is(call, 2, "no")) {
        if (!(mode & TRACKING_OPTOUT)) {
            call_error(call, "ERR CLIENT CACHING NO is only valid when tracking is enabled in "
                             "OPTOUT mode.");
            return;
        }
        tracking_set_caching(call->session);
        reply_ok(call->reply);
    } else {
        call_error_syntax(call);
    }
}

void command_client_getredir(struct call *call) {
    reply_integer(call->reply, tracking_target(call->session));
}

static void reply_modes(struct call *call) {
    uint32_t mode = tracking_mode(call->session);
    bool caching = mode & TRACKING_CACHING;
    struct {
        bool holds;
        const char *name;
    } const modes[] = {
        {!(mode & TRACKING_ON), "off"},
        {mode & TRACKING_ON, "on"},
        {mode & TRACKING_BCAST, "bcast"},
        {mode & TRACKING_OPTIN, "optin"},
        {mode & TRACKING_OPTIN && caching, "caching-yes"},
        {mode & TRACKING_OPTOUT, "optout"},
        {mode & TRACKING_OPTOUT && caching, "caching-no"},
        {mode & TRACKING_NOLOOP, "noloop"},
        {mode & TRACKING_BROKEN, "broken_redirect"},
    };
    enum { COUNT = sizeof modes / sizeof modes[0] };
    size_t count = 0;
    for (size_t i = 0; i < COUNT; i++)
        count += modes[i].holds;
    reply_set(call->reply, count);
    for (size_t i = 0; i < COUNT; i++)
        if (modes[i].holds) reply_bulk_text(call->reply, modes[i].name);
}

void command_client_trackinginfo(struct call *call) {
    uint32_t count = tracking_prefix_count(call->session);
    reply_map(call->reply, 3);
    reply_bulk_text(call->reply, "flags");
    reply_modes(call);
    reply_bulk_text(call->reply, "redirect");
    reply_integer(call->reply, tracking_target(call->session));
    reply_bulk_text(call->reply, "prefixes");
    reply_array(call->reply, count);
    for (uint32_t i = 0; i < count; i++)
        reply_bulk(call->reply, tracking_prefix_at(call->session, i));
}
