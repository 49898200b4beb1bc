/* simulation_disk.c: what a simulated disk holds, and what a power failure leaves of it.
 *
 *   a file      content  = synced + every write and truncation since its last sync
 *   all names   names    = synced + every change since sync_directory of its directory
 *
 * At a power failure each file keeps, as the seed wants, nothing of what was not synced, or the
 * writes up to one that is torn, or any of them, each perhaps torn: file systems promise no more.
 * Changes of names happen in order within a directory: some of the first are kept, no later ones.
 *
 * Inodes are counted: names, changes and open files hold them. */
#include "base/memory.h"
#include "io/simulation_world.h"

enum crash_manner { CRASH_KEEPS_NOTHING, CRASH_KEEPS_FIRST, CRASH_KEEPS_ANY, CRASH_MANNERS };

struct simulated_inode *simulated_inode_make(enum io_file_kind kind, uint32_t mode) {
    struct simulated_inode *inode = memory_alloc_zeroed(1, sizeof(*inode));
    inode->holders = 1;
    inode->kind = kind;
    inode->mode = mode;
    return inode;
}

static struct simulated_inode *hold(struct simulated_inode *inode) {
    if (inode != NULL) inode->holders++;
    return inode;
}

static void forget_writes(struct simulated_inode *inode) {
    while (inode->first != NULL) {
        struct simulated_write *next = inode->first->next;
        memory_free(inode->first);
        inode->first = next;
    }
    inode->last = NULL;
}

void simulated_inode_let_go(struct simulated_inode *inode) {
    if (inode == NULL || --inode->holders > 0) return;
    forget_writes(inode);
    buffer_release(&inode->content);
    buffer_release(&inode->synced);
    memory_free(inode);
}

/* Cuts, or fills with zeros. */
static void set_size(struct buffer *content, uint64_t size) {
    if (size > content->size) {
        size_t more = (size_t)size - content->size;
        memset(buffer_reserve(content, more), 0, more);
    }
    content->size = (size_t)size;
}

static void put(struct buffer *content, uint64_t offset, struct bytes data) {
    if (data.size == 0) return;
    if (offset + data.size > content->size) set_size(content, offset + data.size);
    memcpy(content->data + offset, data.data, data.size);
}

static void note_write(struct simulated_inode *inode, bool is_truncation, uint64_t offset,
                       struct bytes data) {
    struct simulated_write *write = memory_alloc(sizeof(*write) + data.size);
    *write = (struct simulated_write){
        .is_truncation = is_truncation, .offset = offset, .size = data.size};
    if (data.size > 0) memcpy(write->data, data.data, data.size);
    if (inode->last == NULL) {
        inode->first = write;
    } else {
        inode->last->next = write;
    }
    inode->last = write;
}

void simulated_inode_write(struct simulated_inode *inode, uint64_t offset, struct bytes data) {
    put(&inode->content, offset, data);
    note_write(inode, false, offset, data);
}

void simulated_inode_truncate(struct simulated_inode *inode, uint64_t size) {
    set_size(&inode->content, size);
    note_write(inode, true, size, (struct bytes){0});
}

/* Makes the first `size` bytes of a write sure. */
static void settle(struct simulated_inode *inode, const struct simulated_write *write,
                   size_t size) {
    if (write->is_truncation) {
        set_size(&inode->synced, write->offset);
    } else {
        put(&inode->synced, write->offset, bytes_make(write->data, size));
    }
}

void simulated_inode_sync(struct simulation *simulation, struct simulated_inode *inode, bool lose) {
    for (const struct simulated_write *write = inode->first; write != NULL; write = write->next)
        if (!lose || simulation_random_below(simulation, 2) == 0) settle(inode, write, write->size);
    forget_writes(inode);
}

static void crash_inode(struct simulation *simulation, struct simulated_inode *inode) {
    enum crash_manner manner =
        (enum crash_manner)simulation_random_below(simulation, CRASH_MANNERS);
    for (const struct simulated_write *write = inode->first;
         write != NULL && manner != CRASH_KEEPS_NOTHING; write = write->next) {
        if (simulation_random_below(simulation, 4) != 0) {
            settle(inode, write, write->size);
            continue;
        }
        /* Torn: some of its first bytes are kept, perhaps none. A truncation is whole or not. */
        if (!write->is_truncation)
            settle(inode, write, simulation_random_below(simulation, write->size + 1));
        if (manner == CRASH_KEEPS_FIRST) break;
    }
    forget_writes(inode);
    buffer_clear(&inode->content);
    buffer_append(&inode->content, inode->synced.data, inode->synced.size);
    simulated_trace_bytes(simulation, buffer_bytes(&inode->content));
}

size_t simulated_names_place(const struct simulated_names *names, const char *path) {
    size_t low = 0, high = names->count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (strcmp(names->all[middle].path, path) < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

static bool is_at(const struct simulated_names *names, size_t place, const char *path) {
    return place < names->count && strcmp(names->all[place].path, path) == 0;
}

struct simulated_inode *simulated_names_find(const struct simulated_names *names,
                                             const char *path) {
    size_t place = simulated_names_place(names, path);
    return is_at(names, place, path) ? names->all[place].inode : NULL;
}

static void names_remove(struct simulated_names *names, size_t place) {
    memory_free(names->all[place].path);
    simulated_inode_let_go(names->all[place].inode);
    names->count--;
    memmove(names->all + place, names->all + place + 1,
            (names->count - place) * sizeof(*names->all));
}

static void names_set(struct simulated_names *names, const char *path,
                      struct simulated_inode *inode) {
    size_t place = simulated_names_place(names, path);
    hold(inode);
    if (is_at(names, place, path)) names_remove(names, place);
    if (inode == NULL) return;
    if (names->count == names->capacity) {
        names->capacity = names->capacity == 0 ? 16 : 2 * names->capacity;
        names->all = memory_resize(names->all, names->capacity * sizeof(*names->all));
    }
    memmove(names->all + place + 1, names->all + place,
            (names->count - place) * sizeof(*names->all));
    names->all[place] = (struct simulated_name){memory_copy_text(path), inode};
    names->count++;
}

static void names_clear(struct simulated_names *names) {
    while (names->count > 0)
        names_remove(names, names->count - 1);
}

static void apply(struct simulated_names *names, const struct simulated_name_change *change) {
    if (change->from != NULL) names_set(names, change->from, NULL);
    names_set(names, change->path, change->inode);
}

static void free_change(struct simulated_name_change *change) {
    memory_free(change->path);
    memory_free(change->from);
    simulated_inode_let_go(change->inode);
    memory_free(change);
}

void simulated_disk_change_name(struct simulated_disk *disk, const char *path, const char *from,
                                struct simulated_inode *inode) {
    struct simulated_name_change *change = memory_alloc_zeroed(1, sizeof(*change));
    change->path = memory_copy_text(path);
    change->from = from != NULL ? memory_copy_text(from) : NULL;
    change->inode = hold(inode);
    apply(&disk->names, change);
    if (disk->last == NULL) {
        disk->first = change;
    } else {
        disk->last->next = change;
    }
    disk->last = change;
}

size_t simulated_parent_length(const char *path) {
    size_t length = (size_t)(strrchr(path, '/') - path);
    return length == 0 ? 1 : length;
}

static bool is_in(const char *path, const char *directory) {
    size_t length = simulated_parent_length(path);
    return strlen(directory) == length && memcmp(path, directory, length) == 0;
}

static bool concerns(const struct simulated_name_change *change, const char *directory) {
    return is_in(change->path, directory) ||
           (change->from != NULL && is_in(change->from, directory));
}

void simulated_disk_sync_names(struct simulated_disk *disk, const char *directory) {
    struct simulated_name_change *change = disk->first;
    disk->first = disk->last = NULL;
    while (change != NULL) {
        struct simulated_name_change *next = change->next;
        change->next = NULL;
        if (concerns(change, directory)) {
            apply(&disk->synced, change);
            free_change(change);
        } else {
            if (disk->last == NULL) {
                disk->first = change;
            } else {
                disk->last->next = change;
            }
            disk->last = change;
        }
        change = next;
    }
}

/* Stopped when an earlier change of one of its directories did not happen. */
static bool is_stopped(const struct simulated_name_change *change,
                       const struct simulated_name_change *first, const bool *kept) {
    size_t i = 0;
    for (const struct simulated_name_change *at = first; at != change; at = at->next, i++) {
        if (kept[i]) continue;
        char directory[SIMULATED_PATH_MAX];
        const char *paths[2] = {at->path, at->from};
        for (int p = 0; p < 2 && paths[p] != NULL; p++) {
            size_t length = simulated_parent_length(paths[p]);
            memcpy(directory, paths[p], length);
            directory[length] = '\0';
            if (concerns(change, directory)) return true;
        }
    }
    return false;
}

static void crash_names(struct simulation *simulation, struct simulated_disk *disk) {
    size_t count = 0, i = 0;
    for (const struct simulated_name_change *at = disk->first; at != NULL; at = at->next)
        count++;
    bool *kept = memory_alloc_zeroed(count + 1, sizeof(*kept));
    uint64_t keeps_of_four = simulation_random_below(simulation, 5);
    for (const struct simulated_name_change *at = disk->first; at != NULL; at = at->next, i++) {
        kept[i] = simulation_random_below(simulation, 4) < keeps_of_four &&
                  !is_stopped(at, disk->first, kept);
        if (kept[i]) apply(&disk->synced, at);
    }
    memory_free(kept);
    while (disk->first != NULL) {
        struct simulated_name_change *next = disk->first->next;
        free_change(disk->first);
        disk->first = next;
    }
    disk->last = NULL;
}

/* What lies in a directory that does not exist cannot be found any more. */
static void drop_orphans(struct simulated_names *names) {
    for (size_t i = 0; i < names->count;) {
        char parent[SIMULATED_PATH_MAX];
        size_t length = simulated_parent_length(names->all[i].path);
        memcpy(parent, names->all[i].path, length);
        parent[length] = '\0';
        if (length > 1 && simulated_names_find(names, parent) == NULL) {
            names_remove(names, i);
        } else {
            i++; /* a parent sorts before what lies in it */
        }
    }
}

void simulated_disk_crash(struct simulation *simulation, struct simulated_disk *disk) {
    crash_names(simulation, disk);
    drop_orphans(&disk->synced);
    names_clear(&disk->names);
    for (size_t i = 0; i < disk->synced.count; i++) {
        struct simulated_inode *inode = disk->synced.all[i].inode;
        simulated_trace_bytes(simulation, bytes_from_text(disk->synced.all[i].path));
        crash_inode(simulation, inode);
        names_set(&disk->names, disk->synced.all[i].path, inode);
    }
}

void simulated_disk_open(struct simulated_disk *disk) {
    disk->faults = (struct simulation_disk_faults){.sync_us_max = 2000};
}

void simulated_disk_close(struct simulated_disk *disk) {
    while (disk->first != NULL) {
        struct simulated_name_change *next = disk->first->next;
        free_change(disk->first);
        disk->first = next;
    }
    names_clear(&disk->names);
    names_clear(&disk->synced);
    memory_free(disk->names.all);
    memory_free(disk->synced.all);
}
