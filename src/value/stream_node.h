/* stream_node.h: the entries of one chunk of a stream, in the form in which RDB files have them but
 * for the tight codes of what is in the listpack (struct/listpack.h).
 *
 *     chunk    | master id, 16 bytes (here in the machine's order) | saved | tight listpack |
 *
 *     listpack | live | deleted | fields | name 1 | ... | name n | 0 |      the master entry
 *              | flags | ms | seq |             value 1 ... value n | items | SAME_FIELDS
 *              | flags | ms | seq | fields | name 1 | value 1 | ... | items | others
 *
 * ms and seq are what is to be added to the master id's; `items` is how many items the entry has
 * before it, so that one can walk backwards. `saved` is by how many bytes the listpack is shorter
 * than in a file: how large a node gets is told in a file's bytes, as in Redis. A deleted entry is
 * marked and stays until the node is packed. (Format: Redis's public description of streams in RDB
 * files.) */
#ifndef REDSTART_VALUE_STREAM_NODE_H
#define REDSTART_VALUE_STREAM_NODE_H

#include "struct/listpack.h"
#include "value/stream_id.h"

enum {
    STREAM_NODE_HEAD = sizeof(struct stream_id) + sizeof(uint32_t),
    STREAM_ENTRY_DELETED = 1,
    STREAM_ENTRY_SAME_FIELDS = 2,
};

static inline char *stream_node_listpack(const struct tree_chunk *chunk) {
    return (char *)(uintptr_t)chunk->data + STREAM_NODE_HEAD;
}

/* Bytes that the listpack has in a file. */
size_t stream_node_file_size(const struct tree_chunk *chunk);
/* The buffer becomes that. */
void stream_node_put_file(struct buffer *b, const struct tree_chunk *chunk);
/* A file's listpack, found sound, becomes the node's: to be put in as it stands. */
void stream_node_take_file(struct buffer *b, const struct stream_id *master, const char *listpack);

/* What is to become an entry. */
struct stream_entry {
    struct stream_id id;
    const struct item *items; /* field, value, field, value ... */
    size_t fields;            /* pairs */
};

/* Walks over the entries of a node, live and deleted. */
struct stream_node_walk {
    const char *lp;
    struct stream_id master;
    uint64_t live, deleted; /* of the node */
    uint64_t master_fields;
    size_t deleted_at, names_at, entries_at; /* offsets in the listpack */
    /* the present entry */
    struct stream_id id;
    uint32_t flags;
    uint64_t fields; /* that were not taken yet */
    size_t entry_at; /* offset; 0: before the first or behind the last */
    /* where it goes on */
    size_t at, name_at;
    bool in_entry;
    char scratch[2][ITEM_TEXT_MAX]; /* where a name and a value may be made */
};
void stream_node_begin(struct stream_node_walk *walk, const struct tree_chunk *chunk);
/* Forwards from where it stands (first: from the first entry); false at the end. */
bool stream_node_next(struct stream_node_walk *walk);
/* Backwards; a walk that has begun only this way starts with the last entry. */
bool stream_node_previous(struct stream_node_walk *walk);
/* The next field of the present entry, borrowed until the next is taken; false when all were. */
bool stream_node_take(struct stream_node_walk *walk, struct item *name, struct item *value);

/* ---- changing; the chunk is open ---- */

/* Bytes of data of a node with this entry alone. */
size_t stream_node_size_of_first(const struct stream_entry *entry);
/* Make it so, in an empty chunk. */
void stream_node_begin_with(struct tree_chunk *chunk, const struct stream_entry *entry);
/* Bytes by which the node grows by an entry. `same` tells whether its fields are the master's. */
size_t stream_node_size_of_next(const struct stream_node_walk *walk,
                                const struct stream_entry *entry, bool *same);
void stream_node_append(struct tree_chunk *chunk, const struct stream_node_walk *walk,
                        const struct stream_entry *entry, bool same);
enum { STREAM_NODE_DELETE_GROWTH = 8 }; /* bytes by which deleting may make a node grow */
/* Mark the entry at this offset, without touching the counts. */
void stream_node_mark_deleted(struct tree_chunk *chunk, size_t entry_at);
/* Bring the counts up to date: so many more were marked. Packs the node if that pays and is wanted.
 */
void stream_node_count_deleted(struct tree_chunk *chunk, uint64_t more, bool pack);

/* Is this a node that we could have made? The listpack is looked at in whole. Its ids are greater
 * than *last, which becomes that of its last entry; *live are its live entries. */
bool stream_node_validate(const struct stream_id *master, struct bytes listpack,
                          struct stream_id *last, bool *has_last, uint64_t *live);

#endif
