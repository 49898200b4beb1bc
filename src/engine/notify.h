/* notify.h: keyspace events: their classes, as bits: of an event, and of notify-keyspace-events;
 * and sending them, as messages of publish/subscribe.
 *
 *     SET key value  -->  __keyspace@0__:key   set        and    __keyevent@0__:set   key
 *
 * While the directive is empty an event costs one test, of server->notify. */
#ifndef REDSTART_ENGINE_NOTIFY_H
#define REDSTART_ENGINE_NOTIFY_H

#include "base/bytes.h"

struct server;

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
    NOTIFY_OVERWRITTEN = 1 << 12,
    NOTIFY_TYPE_CHANGED = 1 << 13,
};

/* Not classes: to which channels notify-keyspace-events sends. */
enum notify_target {
    NOTIFY_KEYSPACE = 1 << 16, /* __keyspace@0__:key */
    NOTIFY_KEYEVENT = 1 << 17, /* __keyevent@0__:event */
};

/* Nobody is told of anything until the next call of notify_configure: what is loaded again is no
 * change. */
void notify_nobody(struct server *server);
/* Do as notify-keyspace-events says from now on. */
void notify_configure(struct server *server);
/* A value took the place of another, of this type or another. */
void notify_replaced(struct server *server, uint32_t database, struct bytes key, bool same_type);

#endif
