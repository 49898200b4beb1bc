/* io_real_network.c: sockets: TCP over IPv4 and IPv6, and unix ones.
 *
 * Owns no state: a socket is its descriptor. All are non-blocking and closed on exec. receive and
 * send are one system call each, with nothing around it. */
#include "base/bytes.h"
#include "io/io_real.h"
#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>

enum { SEND_PARTS_MAX = 1024 }; /* IOV_MAX of Linux */

/* send() hands struct bytes to the kernel as they are. */
_Static_assert(sizeof(struct bytes) == sizeof(struct iovec), "bytes are laid out as iovec");
_Static_assert(offsetof(struct bytes, data) == offsetof(struct iovec, iov_base),
               "data is the base");
_Static_assert(offsetof(struct bytes, size) == offsetof(struct iovec, iov_len),
               "size is the length");

struct any_address {
    struct sockaddr_storage storage;
    socklen_t size;
};

static int set_option(int fd, int level, int option, int value) {
    return setsockopt(fd, level, option, &value, sizeof(value)) < 0 ? -errno : 0;
}

/* getaddrinfo's verdict as an errno. */
static int errno_of_lookup(int verdict) {
    switch (verdict) {
    case EAI_SYSTEM: return -errno;
    case EAI_MEMORY: return -ENOMEM;
    case EAI_AGAIN: return -EAGAIN;
    case EAI_FAMILY: return -EAFNOSUPPORT;
    default: return -EADDRNOTAVAIL;
    }
}

/* Looks up a numeric address or a name; the caller frees. A name may ask the network and block. */
static int look_up(const char *address, uint16_t port, int flags, struct addrinfo **out,
                   char *error, size_t error_size) {
    char service[8];
    snprintf(service, sizeof(service), "%u", port);
    struct addrinfo hints = {
        .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = flags | AI_NUMERICSERV};
    const char *node = address;
    if (strcmp(address, "*") == 0) {
        hints.ai_family = AF_INET;
        node = NULL;
    } else if (strcmp(address, "::*") == 0) {
        hints.ai_family = AF_INET6;
        node = NULL;
    }
    int verdict = getaddrinfo(node, service, &hints, out);
    if (verdict == 0) return 0;
    int failure = errno_of_lookup(verdict);
    snprintf(error, error_size, "%s", gai_strerror(verdict));
    return failure;
}

/* Puts "step: reason" into `error`, closes, and returns the negative errno. */
static int give_up(int fd, const char *step, char *error, size_t error_size) {
    int failure = -errno;
    snprintf(error, error_size, "%s: %s", step, strerror(-failure));
    if (fd >= 0) close(fd);
    return failure;
}

static io_socket listen_at(const struct addrinfo *at, const struct io_listen_tcp *where,
                           char *error, size_t error_size) {
    int fd = socket(at->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) return give_up(fd, "socket", error, error_size);
    int one = 1;
    if (at->ai_family == AF_INET6 &&
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof(one)) < 0)
        return give_up(fd, "setsockopt IPV6_V6ONLY", error, error_size);
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) < 0)
        return give_up(fd, "setsockopt SO_REUSEADDR", error, error_size);
    if (where->mark_id != 0 &&
        setsockopt(fd, SOL_SOCKET, SO_MARK, &where->mark_id, sizeof(where->mark_id)) < 0)
        return give_up(fd, "setsockopt SO_MARK", error, error_size);
    if (bind(fd, at->ai_addr, at->ai_addrlen) < 0) return give_up(fd, "bind", error, error_size);
    if (listen(fd, where->backlog) < 0) return give_up(fd, "listen", error, error_size);
    return fd;
}

io_socket real_listen_tcp(struct io *io, const struct io_listen_tcp *where, char *error,
                          size_t error_size) {
    (void)io;
    struct addrinfo *found = NULL;
    int result = look_up(where->address, where->port, AI_PASSIVE, &found, error, error_size);
    if (result < 0) return result;
    /* A name may stand for several addresses: the first that works is taken. */
    for (const struct addrinfo *at = found; at != NULL; at = at->ai_next) {
        result = listen_at(at, where, error, error_size);
        if (result >= 0) break;
    }
    freeaddrinfo(found);
    return result;
}

static int unix_address(const char *path, struct any_address *out) {
    struct sockaddr_un *address = (struct sockaddr_un *)(void *)&out->storage;
    size_t length = strlen(path);
    if (length == 0 || length >= sizeof(address->sun_path)) return -ENAMETOOLONG;
    *address = (struct sockaddr_un){.sun_family = AF_UNIX};
    memcpy(address->sun_path, path, length + 1);
    out->size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length + 1);
    return 0;
}

/* A socket that an earlier process left behind is replaced; another kind of file is not. The
 * permissions are set before listen: nobody can connect while they are still too wide. */
io_socket real_listen_unix(struct io *io, const struct io_listen_unix *where, char *error,
                           size_t error_size) {
    (void)io;
    struct any_address address;
    int failure = unix_address(where->path, &address);
    if (failure < 0) {
        snprintf(error, error_size, "the path has to be 1 to 107 bytes long: %s", where->path);
        return failure;
    }
    struct stat status;
    if (lstat(where->path, &status) == 0 && S_ISSOCK(status.st_mode)) unlink(where->path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) return give_up(fd, "socket", error, error_size);
    if (bind(fd, (struct sockaddr *)&address.storage, address.size) < 0)
        return give_up(fd, "bind", error, error_size);
    if (where->mode != 0 && chmod(where->path, (mode_t)where->mode) < 0)
        return give_up(fd, "chmod", error, error_size);
    if (listen(fd, where->backlog) < 0) return give_up(fd, "listen", error, error_size);
    return fd;
}

io_socket real_accept(struct io *io, io_socket listener) {
    (void)io;
    for (;;) {
        int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0) return fd;
        /* Interrupted, or the connection was gone before we took it: look at the next. */
        if (errno != EINTR && errno != ECONNABORTED) return -errno;
    }
}

static int bind_source(int fd, int family, const char *source_address) {
    struct addrinfo hints = {.ai_family = family, .ai_socktype = SOCK_STREAM};
    struct addrinfo *found = NULL;
    int verdict = getaddrinfo(source_address, NULL, &hints, &found);
    if (verdict != 0) return errno_of_lookup(verdict);
    int result = set_option(fd, SOL_SOCKET, SO_REUSEADDR, 1);
    if (result == 0 && bind(fd, found->ai_addr, found->ai_addrlen) < 0) result = -errno;
    freeaddrinfo(found);
    return result;
}

static io_socket connect_at(const struct addrinfo *at, const char *source_address) {
    int fd = socket(at->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) return -errno;
    int result = 0;
    if (source_address != NULL && source_address[0] != '\0')
        result = bind_source(fd, at->ai_family, source_address);
    if (result == 0 && connect(fd, at->ai_addr, at->ai_addrlen) < 0 && errno != EINPROGRESS)
        result = -errno;
    if (result == 0) return fd;
    close(fd);
    return result;
}

io_socket real_connect_tcp(struct io *io, const char *address, uint16_t port,
                           const char *source_address) {
    (void)io;
    struct addrinfo *found = NULL;
    char unused[IO_ADDRESS_TEXT_MAX];
    int result = look_up(address, port, 0, &found, unused, sizeof(unused));
    if (result < 0) return result;
    for (const struct addrinfo *at = found; at != NULL; at = at->ai_next) {
        result = connect_at(at, source_address);
        if (result >= 0) break;
    }
    freeaddrinfo(found);
    return result;
}

io_socket real_connect_unix(struct io *io, const char *path) {
    (void)io;
    struct any_address address;
    int failure = unix_address(path, &address);
    if (failure < 0) return failure;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) return -errno;
    if (connect(fd, (struct sockaddr *)&address.storage, address.size) == 0) return fd;
    failure = -errno;
    close(fd);
    return failure;
}

int real_connect_result(struct io *io, io_socket socket) {
    (void)io;
    int result = 0;
    socklen_t size = sizeof(result);
    if (getsockopt(socket, SOL_SOCKET, SO_ERROR, &result, &size) < 0) return -errno;
    return -result;
}

int64_t real_receive(struct io *io, io_socket socket, void *into, size_t size) {
    (void)io;
    for (;;) {
        ssize_t got = recv(socket, into, size, 0);
        if (got >= 0) return got;
        if (errno != EINTR) return -errno;
    }
}

int64_t real_send(struct io *io, io_socket socket, const struct bytes *parts, int count) {
    (void)io;
    for (;;) {
        ssize_t sent;
        if (count == 1) {
            sent = send(socket, parts[0].data, parts[0].size, MSG_NOSIGNAL);
        } else {
            struct msghdr message = {.msg_iov = (struct iovec *)(uintptr_t)parts,
                                     .msg_iovlen =
                                         (size_t)(count > SEND_PARTS_MAX ? SEND_PARTS_MAX : count)};
            sent = sendmsg(socket, &message, MSG_NOSIGNAL);
        }
        if (sent >= 0) return sent;
        if (errno != EINTR) return -errno;
    }
}

void real_close_socket(struct io *io, io_socket socket) {
    if (socket < 0) return;
    real_poller_forget(&real_of(io)->poller, socket);
    close(socket);
}

/* Three probes within about two intervals, as Redis sets them, so that a dead peer is noticed. */
int real_set_keepalive(struct io *io, io_socket socket, int interval_s) {
    (void)io;
    int result = set_option(socket, SOL_SOCKET, SO_KEEPALIVE, interval_s > 0);
    if (result < 0 || interval_s <= 0) return result;
    int probe_s = interval_s / 3 > 0 ? interval_s / 3 : 1;
    if ((result = set_option(socket, IPPROTO_TCP, TCP_KEEPIDLE, interval_s)) < 0) return result;
    if ((result = set_option(socket, IPPROTO_TCP, TCP_KEEPINTVL, probe_s)) < 0) return result;
    return set_option(socket, IPPROTO_TCP, TCP_KEEPCNT, 3);
}

int real_set_no_delay(struct io *io, io_socket socket, bool on) {
    (void)io;
    return set_option(socket, IPPROTO_TCP, TCP_NODELAY, on);
}

static bool name_of_socket(int fd, bool peer, struct any_address *out) {
    memset(&out->storage, 0, sizeof(out->storage));
    out->size = sizeof(out->storage);
    struct sockaddr *address = (struct sockaddr *)&out->storage;
    int result = peer ? getpeername(fd, address, &out->size) : getsockname(fd, address, &out->size);
    return result == 0;
}

static const char *unix_path(const struct any_address *address) {
    return ((const struct sockaddr_un *)(const void *)&address->storage)->sun_path;
}

/* "127.0.0.1:6379", "[::1]:6379", "/path.sock:0"; "?:0" when it cannot be known. */
static void format_address(const struct any_address *address, char out[IO_ADDRESS_TEXT_MAX]) {
    char text[INET6_ADDRSTRLEN] = "?";
    const void *storage = &address->storage;
    switch (address->storage.ss_family) {
    case AF_INET: {
        const struct sockaddr_in *v4 = storage;
        inet_ntop(AF_INET, &v4->sin_addr, text, sizeof(text));
        snprintf(out, IO_ADDRESS_TEXT_MAX, "%s:%u", text, ntohs(v4->sin_port));
        return;
    }
    case AF_INET6: {
        const struct sockaddr_in6 *v6 = storage;
        inet_ntop(AF_INET6, &v6->sin6_addr, text, sizeof(text));
        snprintf(out, IO_ADDRESS_TEXT_MAX, "[%s]:%u", text, ntohs(v6->sin6_port));
        return;
    }
    case AF_UNIX: snprintf(out, IO_ADDRESS_TEXT_MAX, "%s:0", unix_path(address)); return;
    default: snprintf(out, IO_ADDRESS_TEXT_MAX, "?:0"); return;
    }
}

/* One end of a unix connection has no name: both are called by the listener's path. */
static void name_either(int fd, bool peer, char out[IO_ADDRESS_TEXT_MAX]) {
    struct any_address address;
    bool known = name_of_socket(fd, peer, &address);
    if (known && address.storage.ss_family == AF_UNIX && unix_path(&address)[0] == '\0')
        known = name_of_socket(fd, !peer, &address);
    if (!known) address.storage.ss_family = AF_UNSPEC;
    format_address(&address, out);
}

void real_peer_name(struct io *io, io_socket socket, char out[IO_ADDRESS_TEXT_MAX]) {
    (void)io;
    name_either(socket, true, out);
}

void real_local_name(struct io *io, io_socket socket, char out[IO_ADDRESS_TEXT_MAX]) {
    (void)io;
    name_either(socket, false, out);
}

bool real_peer_is_local(struct io *io, io_socket socket) {
    (void)io;
    struct any_address address;
    if (!name_of_socket(socket, true, &address)) return false;
    const void *storage = &address.storage;
    if (address.storage.ss_family == AF_UNIX) return true;
    if (address.storage.ss_family == AF_INET)
        return ntohl(((const struct sockaddr_in *)storage)->sin_addr.s_addr) >> 24 == 127;
    if (address.storage.ss_family == AF_INET6)
        return IN6_IS_ADDR_LOOPBACK(&((const struct sockaddr_in6 *)storage)->sin6_addr);
    return false;
}

int real_socket_number(struct io *io, io_socket socket) {
    (void)io;
    return socket;
}
