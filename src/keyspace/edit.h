/* edit.h: collections in the keyspace: reading one, and changing one.
 *
 *     struct edit edit;
 *     edit_begin(&edit, db, &key, &spot, VALUE_SET);     the object, empty when the key is absent
 *     set_add((struct set *)edit.object, ...);
 *     edit_end(&edit);                                   stored; removed when it is empty
 *
 * A small flat collection's bytes stand in the entry's block: edit_begin copies them to a buffer,
 * edit_end puts them back. What a view can see is copied first (see value/object.h). Two edits may
 * be open at the same time if they are of different keys. In between nothing else changes the
 * database. */
#ifndef REDSTART_KEYSPACE_EDIT_H
#define REDSTART_KEYSPACE_EDIT_H

#include "keyspace/database.h"
#include "value/object.h"

/* Make `room` an object around the entry's bytes, or give the entry's own object. Valid until the
 * database is changed. The type is the caller's to check. Also for readers of views. */
const struct object *entry_read_object(const struct entry *entry, struct record_world *world,
                                       union object_room *room);

struct edit {
    struct object *object; /* change this one */
    struct database *db;
    struct key key;
    struct spot spot;
    uint64_t version; /* of the store, as of `spot` */
    bool was_absent;
    bool removes; /* set it when nothing is to be left: edit_end then removes the key as DEL would,
                     and a worker frees what is large; no need to empty the object */
    union object_room room;
};

/* The key holds this type or nothing. `spot` is the key's. The key's bytes live until edit_end. */
void edit_begin(struct edit *edit, struct database *db, const struct key *key,
                const struct spot *spot, enum value_type type);
/* Another object, made apart and not empty, takes the place of the one that is being changed, and
 * is changed from then on: where it is less work to make what is left than to take away the rest.
 * The old one goes as it would with DEL. Takes what hangs on `made`; its struct is the caller's. */
void edit_exchange(struct edit *edit, struct object *made);
/* Store what was changed. An empty collection (but a stream) is removed: then spot.entry is NULL.
 * Otherwise edit->spot stands for the entry, and its time of expiry is what it was. */
void edit_end(struct edit *edit);
/* Give the key this object, whatever it held: for results that were built apart (SDIFFSTORE,
 * RESTORE). Takes what hangs on the object, which is flat or not; the struct is the caller's. An
 * empty collection (but a stream) removes the key. */
void database_put_object(struct database *db, const struct key *key, struct spot *spot,
                         struct object *object, int64_t expiry);
/* The same where the key's value only goes to another place: nobody is told that one was replaced.
 * The object is not empty. */
void database_put_object_quietly(struct database *db, const struct key *key, struct spot *spot,
                                 struct object *object, int64_t expiry);

#endif
