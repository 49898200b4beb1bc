/* config_table.c: directives.def as a table, and the words of the choices in it. */
#include "base/log.h"
#include "engine/config_kind.h"

static const struct config_choice loglevel_choices[] = {
    {"debug", LOG_DEBUG},     {"verbose", LOG_VERBOSE}, {"notice", LOG_NOTICE},
    {"warning", LOG_WARNING}, {"nothing", LOG_NOTHING}, {NULL, 0}};
static const struct config_choice supervised_choices[] = {{"upstart", SUPERVISED_UPSTART},
                                                          {"systemd", SUPERVISED_SYSTEMD},
                                                          {"auto", SUPERVISED_AUTO},
                                                          {"no", SUPERVISED_NONE},
                                                          {NULL, 0}};
/* The values are the facilities' numbers of RFC 3164. */
static const struct config_choice facility_choices[] = {
    {"user", 1},    {"local0", 16}, {"local1", 17}, {"local2", 18}, {"local3", 19},
    {"local4", 20}, {"local5", 21}, {"local6", 22}, {"local7", 23}, {NULL, 0}};
static const struct config_choice guard_choices[] = {
    {"no", GUARD_NO}, {"yes", GUARD_YES}, {"local", GUARD_LOCAL}, {NULL, 0}};
static const struct config_choice policy_choices[] = {{"volatile-lru", POLICY_VOLATILE_LRU},
                                                      {"volatile-lfu", POLICY_VOLATILE_LFU},
                                                      {"volatile-random", POLICY_VOLATILE_RANDOM},
                                                      {"volatile-ttl", POLICY_VOLATILE_TTL},
                                                      {"allkeys-lru", POLICY_ALLKEYS_LRU},
                                                      {"allkeys-lfu", POLICY_ALLKEYS_LFU},
                                                      {"allkeys-random", POLICY_ALLKEYS_RANDOM},
                                                      {"noeviction", POLICY_NOEVICTION},
                                                      {"volatile-lrm", POLICY_VOLATILE_LRM},
                                                      {"allkeys-lrm", POLICY_ALLKEYS_LRM},
                                                      {NULL, 0}};
static const struct config_choice fsync_choices[] = {
    {"everysec", FSYNC_EVERYSEC}, {"always", FSYNC_ALWAYS}, {"no", FSYNC_NO}, {NULL, 0}};
static const struct config_choice sanitize_choices[] = {
    {"no", SANITIZE_NO}, {"yes", SANITIZE_YES}, {"clients", SANITIZE_CLIENTS}, {NULL, 0}};
static const struct config_choice diskless_load_choices[] = {
    {"disabled", DISKLESS_LOAD_DISABLED},
    {"on-empty-db", DISKLESS_LOAD_ON_EMPTY_DB},
    {"swapdb", DISKLESS_LOAD_SWAPDB},
    {NULL, 0}};
static const struct config_choice propagation_choices[] = {
    {"ignore", PROPAGATION_IGNORE},
    {"panic", PROPAGATION_PANIC},
    {"panic-on-replicas", PROPAGATION_PANIC_ON_REPLICAS},
    {NULL, 0}};
static const struct config_choice ack_policy_choices[] = {
    {"wait", ACK_WAIT}, {"refuse", ACK_REFUSE}, {"degrade", ACK_DEGRADE}, {NULL, 0}};
static const struct config_choice pubsub_choices[] = {
    {"allchannels", PUBSUB_ALLCHANNELS}, {"resetchannels", PUBSUB_RESETCHANNELS}, {NULL, 0}};
static const struct config_choice tls_auth_choices[] = {
    {"no", TLS_AUTH_NO}, {"yes", TLS_AUTH_YES}, {"optional", TLS_AUTH_OPTIONAL}, {NULL, 0}};
static const struct config_choice oom_choices[] = {{"no", OOM_NO},
                                                   {"yes", OOM_RELATIVE},
                                                   {"relative", OOM_RELATIVE},
                                                   {"absolute", OOM_ABSOLUTE},
                                                   {NULL, 0}};
static const struct config_choice endpoint_choices[] = {{"ip", ENDPOINT_IP},
                                                        {"hostname", ENDPOINT_HOSTNAME},
                                                        {"unknown-endpoint", ENDPOINT_UNKNOWN},
                                                        {NULL, 0}};
static const struct config_choice shutdown_choices[] = {
    {"default", 0},        {"save", SHUTDOWN_SAVE},   {"nosave", SHUTDOWN_NOSAVE},
    {"now", SHUTDOWN_NOW}, {"force", SHUTDOWN_FORCE}, {NULL, 0}};

/* A row's members that are common to all. */
#define ROW(field_, name_, alias_, standard_, kind_, flags_, ...)                                  \
    [CONFIG_##field_] = {.name = name_,                                                            \
                         .alias = alias_,                                                          \
                         .standard = standard_,                                                    \
                         .kind = &config_kind_##kind_,                                             \
                         .offset = offsetof(struct config, field_),                                \
                         .flags = (flags_),                                                        \
                         __VA_ARGS__},
#define WORKS              .state = CONFIG_WORKS
#define LATER              .state = CONFIG_LATER
#define POINTLESS(reason_) .state = CONFIG_POINTLESS, .reason = reason_

#define SECTION(title)
#define BOOLEAN(field_, name_, alias_, standard_, flags_, state_, sentence_)                       \
    ROW(field_, name_, alias_, standard_, boolean, flags_, state_, .sentence = sentence_)
#define INTEGER(field_, name_, alias_, standard_, min_, max_, unit_, flags_, state_, sentence_)    \
    ROW(field_, name_, alias_, standard_, integer, flags_, state_, .sentence = sentence_,          \
        .min = (min_), .max = (max_), .unit = unit_)
#define MEMORY(field_, name_, alias_, standard_, min_, max_, flags_, state_, sentence_)            \
    ROW(field_, name_, alias_, standard_, memory, flags_, state_, .sentence = sentence_,           \
        .min = (min_), .max = (max_), .unit = "bytes")
#define TEXT(field_, name_, alias_, standard_, flags_, state_, sentence_)                          \
    ROW(field_, name_, alias_, standard_, text, flags_, state_, .sentence = sentence_)
#define CHOICE(field_, name_, alias_, standard_, choices_, flags_, state_, sentence_)              \
    ROW(field_, name_, alias_, standard_, choice, flags_, state_, .sentence = sentence_,           \
        .choices = choices_)
#define OTHER(kind_, type_, field_, name_, alias_, standard_, choices_, flags_, state_, sentence_) \
    ROW(field_, name_, alias_, standard_, kind_, flags_, state_, .sentence = sentence_,            \
        .choices = choices_)

const struct config_directive config_directives[CONFIG_COUNT] = {
#include "engine/directives.def"
};

const struct config_directive *config_find(struct bytes name) {
    for (size_t i = 0; i < CONFIG_COUNT; i++) {
        const struct config_directive *d = &config_directives[i];
        if (bytes_is(name, d->name) || (d->alias != NULL && bytes_is(name, d->alias))) return d;
    }
    return NULL;
}
