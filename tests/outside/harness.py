"""Servers and raw connections for the tests from outside.

A test sees the server as a client does: a process with options, a port, a log. Nothing here knows how the
server is made. `Server` owns one process and its folder, `Connection` one socket and the bytes that came.
"""

import os
import pathlib
import shutil
import signal
import socket
import subprocess
import time

import redis

ROOT = pathlib.Path(__file__).resolve().parents[2]
START_SECONDS_MAX = 10
READ_SECONDS_MAX = 20


def command_of(program):
    """The command line of a server program: `redstart server`, or a program that is a server by its name."""
    words = program.split()
    path = shutil.which(words[0]) or words[0]
    if "/" in path:
        path = os.path.abspath(path)
    name = os.path.basename(path)
    if len(words) == 1 and not name.endswith("-server"):
        return [path, "server"]
    return [path, *words[1:]]


def ours_command():
    return command_of(os.environ.get("REDSTART", str(ROOT / "build" / "redstart")))


def peer_command():
    return command_of(os.environ.get("REDIS_SERVER", "redis-server"))


def is_stand_in(command):
    """True for another project's server that stands in for ours while the tests are written."""
    return os.path.basename(command[0]) in ("redis-server", "valkey-server") and not os.path.realpath(
        command[0]
    ).endswith("redstart")


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Error(bytes):
    """An error reply, without its `-`."""


class Status(bytes):
    """A simple string."""


class Verbatim(bytes):
    """A verbatim string with its format: b"txt:..."."""


class Set(list):
    """A RESP3 set, in the order in which it came."""


class Push(list):
    """A RESP3 push message."""


class Map(list):
    """A RESP3 map: pairs, in the order in which they came."""

    def dict(self):
        return dict(self)


class Attribute:
    """A reply with attributes before it."""

    def __init__(self, pairs, reply):
        self.pairs, self.reply = pairs, reply


class NullArray:
    """RESP2's `*-1`, which differs from `$-1` on the wire."""

    def __eq__(self, other):
        return isinstance(other, NullArray)


class Double(float):
    """A RESP3 double; `text` is how it was written."""

    def __new__(cls, text):
        self = super().__new__(cls, text)
        self.text = text
        return self


class BigNumber(int):
    pass


class Closed(Exception):
    """The server closed the connection."""


def encode(*arguments):
    """A request as clients send it."""
    parts = [b"*%d\r\n" % len(arguments)]
    for argument in arguments:
        if isinstance(argument, str):
            argument = argument.encode("utf-8", "surrogateescape")
        elif not isinstance(argument, (bytes, bytearray)):
            argument = str(argument).encode()
        parts.append(b"$%d\r\n%b\r\n" % (len(argument), argument))
    return b"".join(parts)


class Connection:
    """A raw socket to a server, with a parser of replies that keeps their types apart."""

    def __init__(self, address, protocol=2, timeout=READ_SECONDS_MAX):
        family = socket.AF_UNIX if isinstance(address, str) else socket.AF_INET
        if isinstance(address, tuple) and ":" in address[0]:
            family = socket.AF_INET6
        self.socket = socket.socket(family, socket.SOCK_STREAM)
        self.socket.settimeout(timeout)
        self.socket.connect(address)
        if family != socket.AF_UNIX:
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buffer = bytearray()
        self.position = 0
        if protocol != 2:
            self.call("HELLO", protocol)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.socket.close()

    # Sending

    def send(self, data):
        self.socket.sendall(data)

    def command(self, *arguments):
        self.send(encode(*arguments))

    # Receiving

    def _receive(self):
        try:
            data = self.socket.recv(1 << 20)
        except ConnectionResetError:
            data = b""
        if not data:
            raise Closed(bytes(self.buffer[self.position :]))
        if self.position:
            del self.buffer[: self.position]
            self.position = 0
        self.buffer += data

    def _line(self):
        while True:
            end = self.buffer.find(b"\r\n", self.position)
            if end >= 0:
                line = bytes(self.buffer[self.position : end])
                self.position = end + 2
                return line
            self._receive()

    def _exactly(self, size):
        while len(self.buffer) - self.position < size:
            self._receive()
        data = bytes(self.buffer[self.position : self.position + size])
        self.position += size
        return data

    def _bulk(self, size):
        data = self._exactly(size + 2)
        assert data[-2:] == b"\r\n", data[-20:]
        return data[:-2]

    def read(self):
        """One reply, or one push message."""
        line = self._line()
        kind, rest = line[:1], line[1:]
        if kind == b"+":
            return Status(rest)
        if kind == b"-":
            return Error(rest)
        if kind == b":":
            return int(rest)
        if kind == b"$":
            return None if rest == b"-1" else self._bulk(int(rest))
        if kind == b"*":
            return NullArray() if rest == b"-1" else [self.read() for _ in range(int(rest))]
        if kind == b"_":
            assert rest == b""
            return None
        if kind == b"#":
            return {b"t": True, b"f": False}[rest]
        if kind == b",":
            return Double(rest.decode())
        if kind == b"(":
            return BigNumber(rest)
        if kind == b"=":
            return Verbatim(self._bulk(int(rest)))
        if kind == b"~":
            return Set(self.read() for _ in range(int(rest)))
        if kind == b">":
            return Push(self.read() for _ in range(int(rest)))
        if kind == b"%":
            return Map((self.read(), self.read()) for _ in range(int(rest)))
        if kind == b"|":
            pairs = [(self.read(), self.read()) for _ in range(int(rest))]
            return Attribute(pairs, self.read())
        raise AssertionError(f"not a reply: {line!r}")

    def call(self, *arguments):
        self.command(*arguments)
        return self.read()

    def call_ok(self, *arguments):
        reply = self.call(*arguments)
        assert reply == b"OK" and isinstance(reply, Status), (arguments, reply)

    def expect(self, data):
        """The next bytes are exactly these."""
        try:
            found = self._exactly(len(data))
        except (Closed, TimeoutError):
            found = bytes(self.buffer[self.position :])
        assert found == data

    def read_bytes(self, size):
        return self._exactly(size)

    def read_to_end(self, seconds=READ_SECONDS_MAX):
        """Everything until the server closes; fails if it does not."""
        self.socket.settimeout(seconds)
        try:
            while True:
                self._receive()
        except Closed:
            data = bytes(self.buffer[self.position :])
            self.position = len(self.buffer)
            return data

    def is_silent(self, seconds=0.1):
        """True if nothing comes for a while (and the connection stays open)."""
        if self.position < len(self.buffer):
            return False
        self.socket.settimeout(seconds)
        try:
            self._receive()
            return False
        except TimeoutError:
            return True
        finally:
            self.socket.settimeout(READ_SECONDS_MAX)

    def is_closed(self, seconds=5):
        """True if the server closes the connection in this time, whatever it still says."""
        try:
            self.read_to_end(seconds)
            return True
        except TimeoutError:
            return False


class Server:
    """One server process in a folder of its own. Started by start(), gone after stop()."""

    def __init__(self, command, folder, options=(), arguments=None, stdin=None, environment=None):
        self.command = command
        self.folder = pathlib.Path(folder)
        self.options = dict(options)
        self.port = int(self.options.get("port", 0)) or free_port()
        self.arguments = list(arguments or [])
        self.stdin = stdin
        self.environment = environment
        self.process = None
        self.log_path = self.folder / "server.out"
        self.connections = []

    @property
    def address(self):
        return ("127.0.0.1", self.port)

    def command_line(self):
        line = [*self.command, *self.arguments]
        options = {"port": self.port, "dir": self.folder, **self.options}
        for name, value in options.items():
            values = value if isinstance(value, (list, tuple)) else [value]
            line += ["--" + name.replace("_", "-"), *map(str, values)]
        return line

    def spawn(self):
        self.folder.mkdir(parents=True, exist_ok=True)
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(
                self.command_line(),
                stdin=subprocess.DEVNULL if self.stdin is None else subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=self.folder,
                env={**os.environ, **(self.environment or {})},
            )
        if self.stdin is not None:
            self.process.stdin.write(self.stdin)
            self.process.stdin.close()
        return self

    def start(self):
        self.spawn()
        deadline = time.monotonic() + START_SECONDS_MAX
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                break
            try:
                with Connection(self.address, timeout=1) as probe:
                    reply = probe.call("PING")
                    if reply == b"PONG" or reply.startswith(b"NOAUTH"):
                        return self
            except (OSError, Closed):
                pass
            time.sleep(0.01)
        raise AssertionError(f"server did not start: {self.command_line()}\n{self.log()}")

    def is_running(self):
        return self.process is not None and self.process.poll() is None

    def wait(self, seconds=START_SECONDS_MAX):
        """The exit code, once it has ended."""
        return self.process.wait(seconds)

    def stand_still(self):
        """Nothing of it runs until go_on."""
        self.process.send_signal(signal.SIGSTOP)
        stat = pathlib.Path(f"/proc/{self.process.pid}/stat")
        assert wait_until(lambda: stat.read_text().rpartition(")")[2].split()[0] == "T")

    def go_on(self):
        self.process.send_signal(signal.SIGCONT)

    def stop(self):
        for connection in self.connections:
            connection.close()
        self.connections.clear()
        if self.is_running():
            self.go_on()
            self.process.kill()
            self.process.wait()

    def log(self):
        return self.log_path.read_text(errors="replace") if self.log_path.exists() else ""

    def connect(self, protocol=2, timeout=READ_SECONDS_MAX):
        connection = Connection(self.address, protocol, timeout)
        self.connections.append(connection)
        return connection

    def client(self, **options):
        """A redis-py client that gives bytes."""
        return redis.Redis(host="127.0.0.1", port=self.port, socket_timeout=READ_SECONDS_MAX, **options)

    def info(self, *sections):
        """INFO's fields as a dict of strings."""
        with Connection(self.address) as connection:
            return parse_info(connection.call("INFO", *sections))

    def resident_bytes(self):
        with open(f"/proc/{self.process.pid}/statm") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))


def parse_info(text):
    fields = {}
    for line in bytes(text).decode().split("\r\n"):
        if line and not line.startswith("#"):
            name, value = line.split(":", 1)
            fields[name] = value
    return fields


def wait_until(condition, seconds=20, step=0.01):
    """Poll until the condition holds; its value. Fails the test when it never does."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() <= deadline, f"waited in vain, {seconds} s"
        time.sleep(step)
