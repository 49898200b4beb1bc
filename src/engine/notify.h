/* notify.h: the classes of keyspace events, as bits: of an event, and of notify-keyspace-events. */
#ifndef REDSTART_ENGINE_NOTIFY_H
#define REDSTART_ENGINE_NOTIFY_H

enum notify_class {
    NOTIFY_GENERIC = 1 << 0,
    NOTIFY_STRING = 1 << 1,
    NOTIFY_LIST = 1 << 2,
    NOTIFY_SET = 1 << 3,
    NOTIFY_HASH = 1 << 4,
    NOTIFY_SORTED_SET = 1 << 5,
    NOTIFY_EXPIRED = 1 << 6,
    NOTIFY_EVICTED = 1 << 7,
    NOTIFY_STREAM = 1 << 8,
    NOTIFY_NEW = 1 << 9,
    NOTIFY_MISS = 1 << 10,
    NOTIFY_MODULE = 1 << 11,
};

/* Not classes: to which channels notify-keyspace-events sends. */
enum notify_target {
    NOTIFY_KEYSPACE = 1 << 16, /* __keyspace@0__:key */
    NOTIFY_KEYEVENT = 1 << 17, /* __keyevent@0__:event */
};

#endif
