/* simulation_files.c: the file calls of a simulated host: paths, open files, injected failures.
 *
 * Owns the host's open files. On a host that is off every call is -EIO. Not modelled: permissions,
 * links, opening a directory, renaming one. */
#include "base/memory.h"
#include "io/simulation_world.h"
#include <errno.h>

/* The disk is there, after the time that a call takes; 0 or -EIO, also by chance. */
static int begin_call(struct simulated_host *host, uint32_t error_chance) {
    if (host->is_off) return -EIO;
    struct simulation *simulation = host->simulation;
    if (host->disk.faults.call_us_max > 0)
        simulated_spend(host, simulated_between(simulation, 0, host->disk.faults.call_us_max));
    uint64_t *failing = &host->disk.faults.failing_call;
    if (*failing > 0 && --*failing == 0) return -EIO;
    return simulated_chance(simulation, error_chance) ? -EIO : 0;
}

/* Drops the last name of a path. */
static size_t step_up(const char *path, size_t length) {
    while (length > 0 && path[length - 1] != '/')
        length--;
    return length > 0 ? length - 1 : 0;
}

/* Makes a path absolute, and takes . .. and double slashes out. */
static int make_absolute(const struct simulated_host *host, const char *path,
                         char out[SIMULATED_PATH_MAX]) {
    size_t length = 0;
    if (path[0] == '\0') return -ENOENT;
    if (path[0] != '/' && strcmp(host->directory, "/") != 0) {
        length = strlen(host->directory);
        memcpy(out, host->directory, length);
    }
    while (*path != '\0') {
        size_t size = strcspn(path, "/");
        bool is_dot = size == 1 && path[0] == '.';
        bool is_up = size == 2 && path[0] == '.' && path[1] == '.';
        if (is_up) {
            length = step_up(out, length);
        } else if (size > 0 && !is_dot) {
            if (length + size + 2 > SIMULATED_PATH_MAX) return -ENAMETOOLONG;
            out[length] = '/';
            memcpy(out + length + 1, path, size);
            length += size + 1;
        }
        path += size;
        if (*path == '/') path++;
    }
    if (length == 0) out[length++] = '/';
    out[length] = '\0';
    return 0;
}

static bool is_directory(const struct simulated_host *host, const char *path) {
    if (strcmp(path, "/") == 0) return true;
    const struct simulated_inode *inode = simulated_names_find(&host->disk.names, path);
    return inode != NULL && inode->kind == IO_KIND_DIRECTORY;
}

static bool parent_exists(const struct simulated_host *host, const char *path) {
    char parent[SIMULATED_PATH_MAX];
    size_t length = simulated_parent_length(path);
    memcpy(parent, path, length);
    parent[length] = '\0';
    return is_directory(host, parent);
}

static int change_directory(struct io *io, const char *path) {
    struct simulated_host *host = host_of(io);
    char absolute[SIMULATED_PATH_MAX];
    int result = begin_call(host, 0);
    if (result == 0) result = make_absolute(host, path, absolute);
    if (result < 0) return result;
    if (!is_directory(host, absolute)) return -ENOENT;
    strcpy(host->directory, absolute);
    return 0;
}

static int directory(struct io *io, char *out, size_t size) {
    const char *path = host_of(io)->directory;
    if (strlen(path) >= size) return -ENAMETOOLONG;
    strcpy(out, path);
    return 0;
}

static struct simulated_file *find_file(struct simulated_host *host, io_file number) {
    if (number < 0 || number >= host->file_capacity) return NULL;
    return host->files[number].inode != NULL ? &host->files[number] : NULL;
}

static io_file take_number(struct simulated_host *host) {
    for (int i = 0; i < host->file_capacity; i++)
        if (host->files[i].inode == NULL) return i;
    int number = host->file_capacity, wanted = number == 0 ? 16 : 2 * number;
    host->files = memory_resize(host->files, (size_t)wanted * sizeof(*host->files));
    memset(host->files + number, 0, (size_t)(wanted - number) * sizeof(*host->files));
    host->file_capacity = wanted;
    return number;
}

static void touch(struct simulated_host *host, struct simulated_inode *inode) {
    inode->modified_ms = host->io.operations->wall_us(&host->io) / 1000;
}

static void truncate_inode(struct simulated_host *host, struct simulated_inode *inode,
                           uint64_t size) {
    simulated_inode_truncate(inode, size);
    touch(host, inode);
}

static io_file open_file(struct io *io, const char *path, uint32_t flags, uint32_t mode) {
    struct simulated_host *host = host_of(io);
    char absolute[SIMULATED_PATH_MAX];
    int result = begin_call(host, host->disk.faults.open_error);
    if (result == 0) result = make_absolute(host, path, absolute);
    if (result < 0) return result;
    if (is_directory(host, absolute)) return -EISDIR;
    struct simulated_inode *inode = simulated_names_find(&host->disk.names, absolute);
    if (inode != NULL && (flags & IO_CREATE) && (flags & IO_EXCLUSIVE)) return -EEXIST;
    if (inode == NULL) {
        if (!(flags & IO_CREATE) || !parent_exists(host, absolute)) return -ENOENT;
        inode = simulated_inode_make(IO_KIND_FILE, mode);
        touch(host, inode);
        simulated_disk_change_name(&host->disk, absolute, NULL, inode);
    } else {
        inode->holders++;
        if ((flags & IO_TRUNCATE) && (flags & IO_WRITE) && inode->content.size > 0)
            truncate_inode(host, inode, 0);
    }
    io_file number = take_number(host);
    host->files[number] = (struct simulated_file){.inode = inode, .flags = flags};
    return number;
}

static void close_file(struct io *io, io_file number) {
    struct simulated_file *file = find_file(host_of(io), number);
    if (file == NULL) return;
    simulated_inode_let_go(file->inode);
    file->inode = NULL;
}

void simulated_files_off(struct simulated_host *host) {
    for (int i = 0; i < host->file_capacity; i++)
        close_file(&host->io, i);
}

static int64_t read_at(struct io *io, io_file number, void *into, size_t size, uint64_t offset) {
    struct simulated_host *host = host_of(io);
    int result = begin_call(host, host->disk.faults.read_error);
    if (result < 0) return result;
    const struct simulated_file *file = find_file(host, number);
    if (file == NULL || !(file->flags & IO_READ)) return -EBADF;
    const struct buffer *content = &file->inode->content;
    if (offset >= content->size) return 0;
    size_t there = content->size - (size_t)offset;
    if (size > there) size = there;
    memcpy(into, content->data + offset, size);
    return (int64_t)size;
}

static int64_t read_file(struct io *io, io_file number, void *into, size_t size) {
    struct simulated_file *file = find_file(host_of(io), number);
    int64_t got = read_at(io, number, into, size, file != NULL ? file->offset : 0);
    if (got > 0) file->offset += (uint64_t)got;
    return got;
}

/* How much of `size` more bytes fits. */
static size_t room_for(const struct simulated_disk *disk, size_t size) {
    uint64_t room = disk->faults.capacity_bytes;
    if (room == 0) return size;
    for (size_t i = 0; i < disk->names.count; i++) {
        uint64_t used = disk->names.all[i].inode->content.size;
        room -= used < room ? used : room;
    }
    return room < size ? (size_t)room : size;
}

/* A part of a file that is there is written on a full disk, too. */
static int64_t put_bytes(struct simulated_host *host, struct simulated_file *file, uint64_t offset,
                         struct bytes bytes) {
    struct simulated_disk *disk = &host->disk;
    struct simulated_inode *inode = file->inode;
    uint64_t grows =
        offset + bytes.size > inode->content.size ? offset + bytes.size - inode->content.size : 0;
    uint64_t inside = grows < bytes.size ? bytes.size - grows : 0;
    if (grows > 0) bytes.size = (size_t)inside + room_for(disk, bytes.size - (size_t)inside);
    if (bytes.size == 0) return -ENOSPC;
    if (bytes.size > 1 && simulated_chance(host->simulation, disk->faults.partial_write))
        bytes.size = 1 + simulation_random_below(host->simulation, bytes.size);
    simulated_inode_write(inode, offset, bytes);
    touch(host, inode);
    simulated_trace(host->simulation, 'w', host->index, bytes.size);
    return (int64_t)bytes.size;
}

/* The open file, in `file`, for a call that writes; or a negative errno. */
static int begin_write(struct simulated_host *host, io_file number, struct simulated_file **file) {
    int result = begin_call(host, host->disk.faults.write_error);
    if (result < 0) return result;
    *file = find_file(host, number);
    return *file == NULL || !((*file)->flags & IO_WRITE) ? -EBADF : 0;
}

static int64_t write_file(struct io *io, io_file number, const void *from, size_t size) {
    struct simulated_host *host = host_of(io);
    struct simulated_file *file;
    int64_t result = begin_write(host, number, &file);
    if (result < 0 || size == 0) return result;
    uint64_t offset = file->flags & IO_APPEND ? file->inode->content.size : file->offset;
    result = put_bytes(host, file, offset, bytes_make(from, size));
    if (result > 0) file->offset = offset + (uint64_t)result;
    return result;
}

static int64_t write_at(struct io *io, io_file number, const void *from, size_t size,
                        uint64_t offset) {
    struct simulated_host *host = host_of(io);
    struct simulated_file *file;
    int64_t result = begin_write(host, number, &file);
    if (result < 0 || size == 0) return result;
    return put_bytes(host, file, offset, bytes_make(from, size));
}

static int begin_sync(struct simulated_host *host) {
    int result = begin_call(host, 0);
    if (result < 0) return result;
    struct simulation *simulation = host->simulation;
    simulated_spend(host, simulated_between(simulation, 0, host->disk.faults.sync_us_max));
    return simulated_chance(simulation, host->disk.faults.sync_error) ? -EIO : 0;
}

/* After a failed sync the system believes the data to be clean: a second one that succeeds proves
 * nothing. Rebello et al., "Can Applications Recover from fsync Failures?" (2020). */
static int sync_file(struct io *io, io_file number, bool data_only) {
    (void)data_only;
    struct simulated_host *host = host_of(io);
    int result = begin_sync(host);
    if (host->is_off) return result;
    struct simulated_file *file = find_file(host, number);
    if (file == NULL) return -EBADF;
    simulated_inode_sync(host->simulation, file->inode, result < 0);
    simulated_trace(host->simulation, 'y', host->index, file->inode->synced.size);
    return result;
}

static int sync_directory(struct io *io, const char *path) {
    struct simulated_host *host = host_of(io);
    char absolute[SIMULATED_PATH_MAX];
    int result = begin_sync(host);
    if (result == 0) result = make_absolute(host, path, absolute);
    if (result < 0) return result;
    if (!is_directory(host, absolute)) return -ENOENT;
    simulated_disk_sync_names(&host->disk, absolute);
    return 0;
}

static int truncate_file(struct io *io, io_file number, uint64_t size) {
    struct simulated_host *host = host_of(io);
    int result = begin_call(host, host->disk.faults.write_error);
    if (result < 0) return result;
    struct simulated_file *file = find_file(host, number);
    if (file == NULL || !(file->flags & IO_WRITE)) return -EBADF;
    truncate_inode(host, file->inode, size);
    return 0;
}

static int status(struct io *io, const char *path, struct io_file_status *out) {
    struct simulated_host *host = host_of(io);
    char absolute[SIMULATED_PATH_MAX];
    int result = begin_call(host, 0);
    if (result == 0) result = make_absolute(host, path, absolute);
    if (result < 0) return result;
    if (strcmp(absolute, "/") == 0) {
        *out = (struct io_file_status){.kind = IO_KIND_DIRECTORY, .mode = 0755};
        return 0;
    }
    const struct simulated_inode *inode = simulated_names_find(&host->disk.names, absolute);
    if (inode == NULL) return -ENOENT;
    *out = (struct io_file_status){.kind = inode->kind,
                                   .size = inode->content.size,
                                   .modified_ms = inode->modified_ms,
                                   .mode = inode->mode};
    return 0;
}

static int rename_file(struct io *io, const char *from, const char *to) {
    struct simulated_host *host = host_of(io);
    char source[SIMULATED_PATH_MAX], target[SIMULATED_PATH_MAX];
    int result = begin_call(host, host->disk.faults.write_error);
    if (result == 0) result = make_absolute(host, from, source);
    if (result == 0) result = make_absolute(host, to, target);
    if (result < 0) return result;
    struct simulated_inode *inode = simulated_names_find(&host->disk.names, source);
    if (inode == NULL || !parent_exists(host, target)) return -ENOENT;
    if (inode->kind == IO_KIND_DIRECTORY) return -EOPNOTSUPP;
    if (is_directory(host, target)) return -EISDIR;
    if (strcmp(source, target) == 0) return 0;
    simulated_disk_change_name(&host->disk, target, source, inode);
    return 0;
}

static int remove_file(struct io *io, const char *path) {
    struct simulated_host *host = host_of(io);
    char absolute[SIMULATED_PATH_MAX];
    int result = begin_call(host, host->disk.faults.write_error);
    if (result == 0) result = make_absolute(host, path, absolute);
    if (result < 0) return result;
    if (is_directory(host, absolute)) return -EISDIR;
    if (simulated_names_find(&host->disk.names, absolute) == NULL) return -ENOENT;
    simulated_disk_change_name(&host->disk, absolute, NULL, NULL);
    return 0;
}

static int make_directory(struct io *io, const char *path, uint32_t mode) {
    struct simulated_host *host = host_of(io);
    char absolute[SIMULATED_PATH_MAX];
    int result = begin_call(host, host->disk.faults.write_error);
    if (result == 0) result = make_absolute(host, path, absolute);
    if (result < 0) return result;
    if (is_directory(host, absolute) || simulated_names_find(&host->disk.names, absolute) != NULL)
        return -EEXIST;
    if (!parent_exists(host, absolute)) return -ENOENT;
    struct simulated_inode *inode = simulated_inode_make(IO_KIND_DIRECTORY, mode);
    touch(host, inode);
    simulated_disk_change_name(&host->disk, absolute, NULL, inode);
    simulated_inode_let_go(inode);
    return 0;
}

/* In the order of names, as they were when it began: `each` may change them. */
static int list(struct io *io, const char *path, void (*each)(void *, const char *name),
                void *context) {
    struct simulated_host *host = host_of(io);
    char absolute[SIMULATED_PATH_MAX];
    int result = begin_call(host, host->disk.faults.read_error);
    if (result == 0) result = make_absolute(host, path, absolute);
    if (result < 0) return result;
    if (!is_directory(host, absolute)) return -ENOENT;
    const struct simulated_names *names = &host->disk.names;
    struct buffer found = {0}; /* names, each with a zero behind it */
    size_t length = strlen(absolute);
    for (size_t i = simulated_names_place(names, absolute); i < names->count; i++) {
        const char *name = names->all[i].path;
        if (strncmp(name, absolute, length) != 0) break;
        if (simulated_parent_length(name) != length || strlen(name) <= length) continue;
        const char *last = strrchr(name, '/') + 1;
        buffer_append(&found, last, strlen(last) + 1);
    }
    for (size_t at = 0; at < found.size; at += strlen(found.data + at) + 1)
        each(context, found.data + at);
    buffer_release(&found);
    return 0;
}

void simulated_file_operations(struct io_operations *operations) {
    operations->change_directory = change_directory;
    operations->directory = directory;
    operations->open = open_file;
    operations->close = close_file;
    operations->read = read_file;
    operations->read_at = read_at;
    operations->write = write_file;
    operations->write_at = write_at;
    operations->sync = sync_file;
    operations->sync_directory = sync_directory;
    operations->truncate = truncate_file;
    operations->status = status;
    operations->rename = rename_file;
    operations->remove = remove_file;
    operations->make_directory = make_directory;
    operations->list = list;
}
