"""Commands that wait for keys: who is served, when, by what, and what waiting costs."""

import resource
import time

import pytest

import harness
from harness import NullArray, wait_until

# How each type is put into a key, waited for, and what comes then.


class Zset:
    def push(self, key, *values):
        return ("ZADD", key, *(word for number, value in enumerate(values) for word in (number, value)))

    def pop(self, *keys, timeout=0):
        return ("BZPOPMIN", *keys, timeout)

    def popped(self, key, value, number=0):
        return [key, value, b"%d" % number]


class List:
    def push(self, key, *values):
        return ("RPUSH", key, *values)

    def pop(self, *keys, timeout=0):
        return ("BLPOP", *keys, timeout)

    def popped(self, key, value, number=0):
        return [key, value]


FAMILIES = {"list": List(), "zset": Zset()}


@pytest.fixture(params=FAMILIES, name="family")
def family_fixture(request):
    return FAMILIES[request.param]


def waiting_count(server):
    return int(server.info("clients")["blocked_clients"])


def wait(server, *command, protocol=2):
    """A new connection that has sent the command, and the server knows."""
    connection = server.connect(protocol)
    before = waiting_count(server)
    connection.command(*command)
    assert wait_until(lambda: waiting_count(server) == before + 1)
    return connection


def test_the_first_who_came_is_served_first(server, connection, family):
    waiting = [wait(server, *family.pop("key")) for _ in range(4)]
    for number in range(3):
        connection.call(*family.push("key", "v%d" % number))
        assert waiting[number].read() == family.popped(b"key", b"v%d" % number)
        assert connection.call("EXISTS", "key") == 0
    assert waiting[3].is_silent()
    # several at once: as many as there are
    more = [wait(server, *family.pop("key")) for _ in range(2)]
    connection.call(*family.push("key", "a", "b"))
    assert waiting[3].read() == family.popped(b"key", b"a")
    assert more[0].read() == family.popped(b"key", b"b", 1)
    assert more[1].is_silent()


def test_many_keys(server, connection, family):
    first = wait(server, *family.pop("a", "b", "c"))
    second = wait(server, *family.pop("c", "b"))
    twice = wait(server, *family.pop("c", "c"))
    connection.call(*family.push("c", "1"))
    assert first.read() == family.popped(b"c", b"1")
    connection.call(*family.push("b", "2"))
    assert second.read() == family.popped(b"b", b"2")
    connection.call(*family.push("c", "3"))
    assert twice.read() == family.popped(b"c", b"3")
    assert waiting_count(server) == 0
    # what is there is taken at once, from the left
    connection.call(*family.push("y", "1"))
    connection.call(*family.push("x", "2"))
    assert first.call(*family.pop("w", "x", "y")) == family.popped(b"x", b"2")


def test_between_the_requests_of_one_pipeline(server, connection, family):
    waiting = wait(server, *family.pop("key"))
    push = harness.encode(*family.push("key", "1"))
    connection.send(push + harness.encode("EXISTS", "key") + push + harness.encode("EXISTS", "key"))
    assert [connection.read() for _ in range(4)] == [1, 0, 1, 1]
    assert waiting.read() == family.popped(b"key", b"1")


def test_requests_behind_run_afterwards(server, connection, family):
    waiting = server.connect()
    waiting.send(harness.encode(*family.pop("key")) + harness.encode("PING") + harness.encode(*family.pop("other")) + harness.encode("ECHO", "x"))
    assert waiting.is_silent()
    connection.call(*family.push("key", "1", "2"))
    assert waiting.read() == family.popped(b"key", b"1")
    assert waiting.read() == b"PONG"
    assert waiting.is_silent()
    waiting.command("ECHO", "y")  # arrives while it waits
    connection.call(*family.push("other", "3"))
    assert waiting.read() == family.popped(b"other", b"3")
    assert [waiting.read(), waiting.read()] == [b"x", b"y"]
    assert waiting.call("PING") == b"PONG"


WRITERS = {
    "RENAME": [("RENAME", "source", "key")],
    "RENAMENX": [("RENAMENX", "source", "key")],
    "COPY": [("COPY", "source", "key")],
    "COPY to a database": [("SELECT", 3), ("COPY", "source", "key", "DB", 0)],
    "MOVE": [("SELECT", 3), ("RENAME", "source", "key"), ("MOVE", "key", 0)],
    "SWAPDB": [("SELECT", 3), ("RENAME", "source", "key"), ("SWAPDB", 0, 3)],
}


@pytest.mark.parametrize("writer", WRITERS)
def test_any_writer_wakes(server, connection, family, writer):
    waiting = wait(server, *family.pop("key"))
    commands = WRITERS[writer]
    if commands[0][0] == "SELECT":
        connection.call_ok(*commands[0])
        commands = commands[1:]
    connection.call(*family.push("source", "1"))
    for command in commands:
        assert not isinstance(connection.call(*command), harness.Error)
    assert waiting.read() == family.popped(b"key", b"1")


def test_another_type_wakes_nobody(server, connection, family):
    waiting = wait(server, *family.pop("key"))
    connection.call_ok("SET", "key", "1")
    connection.call("APPEND", "key", "2")
    assert waiting.is_silent()
    assert connection.call(*family.push("key", "1")).startswith(b"WRONGTYPE")
    connection.call("DEL", "key")
    assert waiting.is_silent()
    connection.call(*family.push("key", "1"))
    assert waiting.read() == family.popped(b"key", b"1")
    connection.call_ok("SET", "key", "1")
    assert waiting.call(*family.pop("none", "key")).startswith(b"WRONGTYPE")


def test_timeouts(server, connection, family):
    for timeout in (0.05, "0.1", "1e-1", 0.001, 0.0001):
        begun = time.monotonic()
        assert connection.call(*family.pop("key", timeout=timeout)) == NullArray()
        assert time.monotonic() - begun >= float(timeout)
    assert server.connect(3).call(*family.pop("key", timeout=0.01)) is None
    for timeout, error in (
        ("-1", b"ERR timeout is negative"),
        ("-0.002", b"ERR timeout is negative"),
        ("x", b"ERR timeout is not a float or out of range"),
        ("", b"ERR timeout is not a float or out of range"),
        ("nan", b"ERR timeout is not a float or out of range"),
        ("1e5000", b"ERR timeout is not a float or out of range"),
    ):
        assert connection.call(*family.pop("key", timeout=timeout)) == error
    assert int(server.info("clients")["clients_in_timeout_table"]) == 0


@pytest.mark.since("7.2")
def test_a_timeout_beyond_all_time(connection, family):
    for timeout in ("1e20", "9223372036854776", "inf"):
        assert connection.call(*family.pop("key", timeout=timeout)) == b"ERR timeout is out of range"


@pytest.mark.ours("elsewhere the clock's steps show")
def test_a_timeout_is_kept(connection, family):
    """Never too early; how late is for a benchmark to say, but not by a tick of the housekeeping."""
    late = []
    for timeout in (0.003, 0.017, 0.033, 0.041, 0.110, 0.250) * 3:
        begun = time.monotonic()
        connection.call(*family.pop("key", timeout=timeout))
        late.append(time.monotonic() - begun - timeout)
    assert min(late) >= 0
    assert sorted(late)[len(late) // 2] < 0.09, late


def test_the_place_in_the_line_is_kept(server, connection, family):
    """Whoever is not served by a change does not go to the end."""
    first = wait(server, *family.pop("key"))
    second = wait(server, *family.pop("key"))
    for _ in range(3):
        connection.call_ok("SET", "key", "1")
        connection.call("DEL", "key")
    connection.call(*family.push("key", "1"))
    assert first.read() == family.popped(b"key", b"1")
    assert second.is_silent()


def client_line(connection, waiting_id):
    line = connection.call("CLIENT", "LIST", "ID", waiting_id)
    return dict(field.split("=", 1) for field in bytes(line).decode().strip().split(" "))


def test_client_unblock(server, connection, family):
    waiting = server.connect()
    number = waiting.call("CLIENT", "ID")
    assert connection.call("CLIENT", "UNBLOCK", number) == 0
    assert connection.call("CLIENT", "UNBLOCK", 999999999) == 0
    assert connection.call("CLIENT", "UNBLOCK", connection.call("CLIENT", "ID")) == 0
    for words, answer in (
        ((), NullArray()),
        (("TIMEOUT",), NullArray()),
        (("error",), b"UNBLOCKED client unblocked via CLIENT UNBLOCK"),
    ):
        waiting.command(*family.pop("a", "b", timeout=100))
        assert wait_until(lambda: waiting_count(server) == 1)
        fields = client_line(connection, number)
        assert fields["flags"] == "b" and fields["cmd"] == family.pop()[0].lower()
        info = server.info("clients")
        assert info["clients_in_timeout_table"] == "1"
        assert connection.call("CLIENT", "UNBLOCK", number, *words) == 1
        assert waiting.read() == answer
        assert client_line(connection, number)["flags"] == "N"
    assert connection.call("CLIENT", "UNBLOCK", "x") == b"ERR value is not an integer or out of range"
    assert connection.call("CLIENT", "UNBLOCK", 1, "x") == b"ERR CLIENT UNBLOCK reason should be TIMEOUT or ERROR"
    connection.call(*family.push("a", "1"))
    assert connection.call("EXISTS", "a") == 1


def test_statistics(server, connection, family):
    connection.call_ok("CONFIG", "RESETSTAT")
    name = family.pop()[0].lower()
    waiting = wait(server, *family.pop("key"))

    def counted():
        fields = server.info("commandstats").get("cmdstat_" + name, "")
        return dict(field.split("=") for field in fields.split(",")) if fields else {}

    connection.call(*family.push("key", "1"))
    waiting.read()
    assert counted()["calls"] == "1" and counted()["failed_calls"] == "0"
    number = waiting.call("CLIENT", "ID")
    waiting.command(*family.pop("key"))
    assert wait_until(lambda: waiting_count(server) == 1)
    connection.call("CLIENT", "UNBLOCK", number, "ERROR")
    waiting.read()
    assert counted()["calls"] == "2" and counted()["failed_calls"] == "1"
    assert server.info("errorstats")["errorstat_UNBLOCKED"] == "count=1"


@pytest.mark.since("7.2")
def test_keys_waited_for_are_counted(server, connection, family):
    waiting = wait(server, *family.pop("a", "b", "a"))
    other = wait(server, *family.pop("b", "c"))
    assert server.info("clients")["total_blocking_keys"] == "3"
    waiting.close()
    assert wait_until(lambda: server.info("clients")["total_blocking_keys"] == "2")
    other.close()
    assert wait_until(lambda: server.info("clients")["total_blocking_keys"] == "0")


def test_who_has_gone_gets_nothing(server, connection, family):
    gone = wait(server, *family.pop("key"))
    half = wait(server, *family.pop("key"))
    killed = wait(server, *family.pop("key"))
    busy = server.connect()
    busy.send(harness.encode(*family.pop("key")) + harness.encode("PING") * 3)
    assert wait_until(lambda: waiting_count(server) == 4)
    stays = wait(server, *family.pop("key"))
    gone.close()
    half.socket.shutdown(1)
    busy.close()
    connection.call("CLIENT", "KILL", "ADDR", "%s:%d" % killed.socket.getsockname())
    assert wait_until(lambda: waiting_count(server) == 1)
    connection.call(*family.push("key", "1"))
    assert stays.read() == family.popped(b"key", b"1")


def test_killed_and_then_served_in_one_pipeline(server, connection, family):
    killed = wait(server, *family.pop("key"))
    address = "%s:%d" % killed.socket.getsockname()
    connection.send(harness.encode("CLIENT", "KILL", address) + harness.encode(*family.push("key", "1")) + harness.encode("EXISTS", "key"))
    assert [connection.read() for _ in range(3)] == [b"OK", 1, 1]
    assert killed.is_closed()


def test_replies_switched_off(server, connection, family):
    waiting = server.connect()
    waiting.send(harness.encode("CLIENT", "REPLY", "SKIP") + harness.encode(*family.pop("key")) + harness.encode("PING"))
    assert wait_until(lambda: waiting_count(server) == 1)
    connection.call(*family.push("key", "1"))
    assert waiting.read() == b"PONG"
    waiting.send(harness.encode("CLIENT", "REPLY", "OFF") + harness.encode(*family.pop("key", timeout=0.05)))
    waiting.send(harness.encode("CLIENT", "REPLY", "ON") + harness.encode("PING"))
    assert [waiting.read(), waiting.read()] == [b"OK", b"PONG"]


def test_pauses(server, connection, family):
    waiting = wait(server, *family.pop("key"))
    brief = wait(server, *family.pop("other", timeout=0.3))
    connection.call_ok("CLIENT", "PAUSE", 1000, "WRITE")
    begun = time.monotonic()
    writer = server.connect()
    writer.command(*family.push("key", "1"))
    assert brief.read() == NullArray()
    assert time.monotonic() - begun < 0.9
    assert waiting.is_silent()
    connection.call_ok("CLIENT", "UNPAUSE")
    assert writer.read() == 1
    assert waiting.read() == family.popped(b"key", b"1")


@pytest.mark.ours("where this needs no processor time")
def test_ten_thousand_wait_at_no_cost(start, family):
    count = 10_000
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, count + 2000), hard))
    server = start(maxclients=count + 100)
    clients = []
    for number in range(count):
        client = harness.Connection(server.address)
        client.command(*family.pop("key%d" % (number % 5000), "shared", timeout=1000 if number % 2 else 0))
        clients.append(client)
    assert wait_until(lambda: waiting_count(server) == count, 20)

    def used_seconds():
        with open(f"/proc/{server.process.pid}/stat") as file:
            fields = file.read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / 100

    before = used_seconds()
    time.sleep(2)
    assert used_seconds() - before <= 0.06
    # one write that concerns one of them finds that one at once
    control = server.connect()
    begun = time.monotonic()
    for number in range(1000):
        control.call(*family.push("key%d" % number, "1"))
    assert time.monotonic() - begun < 2
    assert all(clients[number].read()[1] == b"1" for number in range(1000))
    control.call(*family.push("shared", *range(count - 1000)))
    assert wait_until(lambda: waiting_count(server) == 0, 20)
    for client in clients:
        client.close()


def test_a_new_consumer_waits_behind_another(server):
    """That it is new changes the stream, which serves those who wait, and now it is one of them."""
    control, first, second = server.connect(), server.connect(), server.connect()
    control.call_ok("XGROUP", "CREATE", "stream", "group", "$", "MKSTREAM")
    for number, connection in enumerate((first, second)):
        connection.command("XREADGROUP", "GROUP", "group", f"consumer{number}", "BLOCK", 0, "STREAMS", "stream", ">")
        assert wait_until(lambda: server.info("clients")["blocked_clients"] == str(number + 1))
    for number, connection in enumerate((first, second)):
        control.call("XADD", "stream", f"{number + 1}-0", "field", number)
        assert connection.read() == [[b"stream", [[b"%d-0" % (number + 1), [b"field", b"%d" % number]]]]]
