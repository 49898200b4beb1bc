/* memory_room.c: see memory_room.h. Owns the line of those who wait, and the promises. */
#include "engine/memory_room.h"

#include "base/memory.h"
#include "engine/server.h"

struct memory_room_wait {
    struct memory_room_wait *next, *before;
    struct session *session;
    size_t size;
    int64_t since_us; /* monotonic */
    bool is_promised; /* and no longer in line */
};

/* ---- the line ---- */

static void stand_in_line(struct session *session, size_t size) {
    struct memory_room *room = &session->server->room;
    struct memory_room_wait *wait = memory_alloc(sizeof *wait);
    *wait = (struct memory_room_wait){.before = room->last,
                                      .session = session,
                                      .size = size,
                                      .since_us = session->server->monotonic_us};
    if (room->last)
        room->last->next = wait;
    else
        room->first = wait;
    room->last = wait;
    session->room = wait;
    session_watch(session);
}

static void leave_line(struct memory_room *room, struct memory_room_wait *wait) {
    if (wait->before)
        wait->before->next = wait->next;
    else
        room->first = wait->next;
    if (wait->next)
        wait->next->before = wait->before;
    else
        room->last = wait->before;
}

/* In line or promised. */
static void end_wait(struct session *session) {
    struct memory_room *room = &session->server->room;
    struct memory_room_wait *wait = session->room;
    if (wait->is_promised)
        room->promised -= wait->size;
    else
        leave_line(room, wait);
    session->room = NULL;
    memory_free(wait);
}

void memory_room_forget(struct session *session) {
    struct memory_room *room = &session->server->room;
    if (session->room) end_wait(session);
    if (room->beyond == session) room->beyond = NULL;
}

static int64_t due_us(const struct memory_room_wait *wait) {
    return wait->since_us + MEMORY_ROOM_WAIT_US;
}

int64_t memory_room_due_us(const struct server *server) {
    return server->room.first ? due_us(server->room.first) : INT64_MAX;
}

/* ---- in and out ---- */

bool memory_room_admit(struct session *session, size_t size) {
    struct server *server = session->server;
    struct memory_room_wait *wait = session->room;
    if (wait) {
        if (!wait->is_promised) return false;
        end_wait(session);
        session_watch(session);
        return true;
    }
    if (!memory_limit_applies(server)) return true;
    if (!server->room.first && memory_limit_has_room(server, size)) return true;
    stand_in_line(session, size);
    return false;
}

static void promise(struct memory_room *room, struct memory_room_wait *wait) {
    leave_line(room, wait);
    wait->is_promised = true;
    room->promised += wait->size;
    turn_enqueue(wait->session->server, wait->session);
}

/* It receives, or is about to. */
static bool is_under_way(const struct session *session) {
    return (session->room && session->room->is_promised) ||
           request_parser_has_large(&session->parser);
}

/* False when it has to go on waiting. */
static bool make_room(struct server *server, const struct memory_room_wait *wait) {
    struct memory_room *room = &server->room;
    bool is_late = server->monotonic_us >= due_us(wait);
    switch (memory_limit_make_room(server, wait->size)) {
    case MEMORY_LIMIT_BELOW: return true;
    case MEMORY_LIMIT_UNFINISHED: return is_late;
    case MEMORY_LIMIT_NOTHING_LEFT: break;
    }
    if (room->beyond && room->beyond != wait->session) return is_late;
    room->beyond = wait->session;
    return true;
}

void memory_room_step(struct server *server) {
    struct memory_room *room = &server->room;
    if (room->beyond && !is_under_way(room->beyond)) room->beyond = NULL;
    while (room->first) {
        struct memory_room_wait *wait = room->first;
        if (wait->session->held)
            end_wait(wait->session); /* not read from; what came before is to run first: it will ask
                                        again */
        else if (!memory_limit_applies(server) || make_room(server, wait))
            promise(room, wait);
        else
            return;
    }
}
