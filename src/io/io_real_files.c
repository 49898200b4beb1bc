/* io_real_files.c: files and directories.
 *
 * Owns the descriptor of the io's directory: paths are relative to that, and not to the process's,
 * so that two servers fit in one process. All calls may come from any thread; a change of directory
 * replaces what stands behind the descriptor in one step. */
#include "io/io_real.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

static int directory_of(struct io *io) {
    return real_of(io)->directory_fd;
}

/* The process follows, for the sake of what looks there: core dumps, unix sockets, operators. */
int real_change_directory(struct io *io, const char *path) {
    int fd = openat(directory_of(io), path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) return -errno;
    int result = 0;
    if (fchdir(fd) < 0 || dup3(fd, directory_of(io), O_CLOEXEC) < 0) result = -errno;
    close(fd);
    return result;
}

int real_directory(struct io *io, char *out, size_t size) {
    char link[64];
    snprintf(link, sizeof(link), "/proc/self/fd/%d", directory_of(io));
    ssize_t length = readlink(link, out, size);
    if (length < 0) return -errno;
    if ((size_t)length >= size) return -ENAMETOOLONG;
    out[length] = '\0';
    return 0;
}

static int kernel_open_flags(uint32_t flags) {
    int result = O_CLOEXEC;
    if ((flags & IO_READ) && (flags & IO_WRITE)) {
        result |= O_RDWR;
    } else {
        result |= flags & IO_WRITE ? O_WRONLY : O_RDONLY;
    }
    if (flags & IO_CREATE) result |= O_CREAT;
    if (flags & IO_TRUNCATE) result |= O_TRUNC;
    if (flags & IO_APPEND) result |= O_APPEND;
    if (flags & IO_EXCLUSIVE) result |= O_EXCL;
    return result;
}

io_file real_open(struct io *io, const char *path, uint32_t flags, uint32_t mode) {
    for (;;) {
        int fd = openat(directory_of(io), path, kernel_open_flags(flags), (mode_t)mode);
        if (fd >= 0) return fd;
        if (errno != EINTR) return -errno;
    }
}

void real_close(struct io *io, io_file file) {
    (void)io;
    if (file >= 0) close(file);
}

int64_t real_read(struct io *io, io_file file, void *into, size_t size) {
    (void)io;
    for (;;) {
        ssize_t got = read(file, into, size);
        if (got >= 0) return got;
        if (errno != EINTR) return -errno;
    }
}

int64_t real_read_at(struct io *io, io_file file, void *into, size_t size, uint64_t offset) {
    (void)io;
    for (;;) {
        ssize_t got = pread(file, into, size, (off_t)offset);
        if (got >= 0) return got;
        if (errno != EINTR) return -errno;
    }
}

int64_t real_write(struct io *io, io_file file, const void *from, size_t size) {
    (void)io;
    for (;;) {
        ssize_t written = write(file, from, size);
        if (written >= 0) return written;
        if (errno != EINTR) return -errno;
    }
}

int64_t real_write_at(struct io *io, io_file file, const void *from, size_t size, uint64_t offset) {
    (void)io;
    for (;;) {
        ssize_t written = pwrite(file, from, size, (off_t)offset);
        if (written >= 0) return written;
        if (errno != EINTR) return -errno;
    }
}

int real_sync(struct io *io, io_file file, bool data_only) {
    (void)io;
    int result;
    do {
        result = data_only ? fdatasync(file) : fsync(file);
    } while (result < 0 && errno == EINTR);
    return result < 0 ? -errno : 0;
}

int real_sync_directory(struct io *io, const char *path) {
    int fd = openat(directory_of(io), path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) return -errno;
    int result = real_sync(io, fd, false);
    close(fd);
    return result;
}

int real_truncate(struct io *io, io_file file, uint64_t size) {
    (void)io;
    int result;
    do {
        result = ftruncate(file, (off_t)size);
    } while (result < 0 && errno == EINTR);
    return result < 0 ? -errno : 0;
}

int real_status(struct io *io, const char *path, struct io_file_status *out) {
    struct stat status;
    if (fstatat(directory_of(io), path, &status, 0) < 0) return -errno;
    enum io_file_kind kind = IO_KIND_OTHER;
    if (S_ISREG(status.st_mode)) kind = IO_KIND_FILE;
    if (S_ISDIR(status.st_mode)) kind = IO_KIND_DIRECTORY;
    *out = (struct io_file_status){
        .kind = kind,
        .size = (uint64_t)status.st_size,
        .modified_ms = (int64_t)status.st_mtim.tv_sec * 1000 + status.st_mtim.tv_nsec / 1000000,
        .mode = status.st_mode & 07777,
    };
    return 0;
}

int real_rename(struct io *io, const char *from, const char *to) {
    int at = directory_of(io);
    return renameat(at, from, at, to) < 0 ? -errno : 0;
}

int real_remove(struct io *io, const char *path) {
    return unlinkat(directory_of(io), path, 0) < 0 ? -errno : 0;
}

int real_make_directory(struct io *io, const char *path, uint32_t mode) {
    return mkdirat(directory_of(io), path, (mode_t)mode) < 0 ? -errno : 0;
}

int real_list(struct io *io, const char *path, void (*each)(void *, const char *name),
              void *context) {
    int fd = openat(directory_of(io), path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) return -errno;
    DIR *directory = fdopendir(fd);
    if (directory == NULL) {
        int failure = -errno;
        close(fd);
        return failure;
    }
    for (;;) {
        errno = 0;
        const struct dirent *entry = readdir(directory);
        if (entry == NULL) break;
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) continue;
        each(context, entry->d_name);
    }
    int result = -errno;
    closedir(directory);
    return result;
}
