"""Keys that end: found when asked for, found without being asked for, and how much of the server that takes."""

import threading
import time

import pytest

import harness
from harness import encode, wait_until


def stop_active(connection):
    connection.call_ok("DEBUG", "SET-ACTIVE-EXPIRE", 0)


READS = [
    (("GET", "key"), None),
    (("EXISTS", "key"), 0),
    (("TYPE", "key"), b"none"),
    (("TTL", "key"), -2),
    (("PTTL", "key"), -2),
    (("EXPIRETIME", "key"), -2),
    (("PEXPIRETIME", "key"), -2),
    (("STRLEN", "key"), 0),
    (("GETRANGE", "key", 0, -1), b""),
    (("MGET", "key"), [None]),
    (("OBJECT", "ENCODING", "key"), None),
    (("KEYS", "*"), []),
    (("SCAN", 0), [b"0", []]),
    (("RANDOMKEY",), None),
    (("TOUCH", "key"), 0),
    (("GETEX", "key"), None),
    (("LCS", "key", "key"), b""),
]
WRITES = [
    (("SET", "key", "new", "GET"), None, b"new"),
    (("SET", "key", "new", "NX"), b"OK", b"new"),
    (("SET", "key", "new", "XX"), None, None),
    (("SET", "key", "new", "KEEPTTL"), b"OK", b"new"),
    (("SETNX", "key", "new"), 1, b"new"),
    (("MSETNX", "key", "new"), 1, b"new"),
    (("GETSET", "key", "new"), None, b"new"),
    (("GETDEL", "key"), None, None),
    (("APPEND", "key", "new"), 3, b"new"),
    (("SETRANGE", "key", 1, "x"), 2, b"\x00x"),
    (("INCR", "key"), 1, b"1"),
    (("INCRBYFLOAT", "key", "1.5"), b"1.5", b"1.5"),
    (("DEL", "key"), 0, None),
    (("UNLINK", "key"), 0, None),
    (("EXPIRE", "key", 100), 0, None),
    (("PERSIST", "key"), 0, None),
    (("RENAME", "key", "other"), b"ERR no such key", None),
    (("COPY", "key", "other"), 0, None),
    (("COPY", "source", "key"), 1, b"source"),
    (("RENAMENX", "source", "key"), 1, b"source"),
    (("MOVE", "key", 1), 0, None),
]


@pytest.mark.parametrize("command, reply", READS, ids=[" ".join(map(str, read[0])) for read in READS])
def test_reading_an_expired_key(server, command, reply):
    connection = server.connect()
    stop_active(connection)
    connection.call_ok("SET", "key", "1", "PX", 1)
    time.sleep(0.01)
    assert connection.call(*command) == reply


@pytest.mark.parametrize("command, reply, value", WRITES, ids=[" ".join(map(str, write[0])) for write in WRITES])
def test_writing_an_expired_key(server, command, reply, value):
    """What was there plays no part, and its expiry is not inherited."""
    connection = server.connect()
    stop_active(connection)
    connection.call_ok("SET", "source", "source")
    connection.call_ok("SET", "key", "1", "PX", 1)
    time.sleep(0.01)
    assert connection.call(*command) == reply
    assert connection.call("GET", "key") == value
    assert connection.call("PTTL", "key") == (-1 if value is not None else -2)


def test_commands_that_remove_the_expiry(server):
    connection = server.connect()
    for command in [("SET", "key", "2"), ("GETSET", "key", "2"), ("MSET", "key", "2"), ("PERSIST", "key"), ("GETEX", "key", "PERSIST")]:
        connection.call_ok("SET", "key", "1", "EX", 100)
        connection.call(*command)
        assert connection.call("TTL", "key") == -1, command


def test_commands_that_keep_the_expiry(server):
    connection = server.connect()
    for command in [
        ("SET", "key", "2", "KEEPTTL"), ("APPEND", "key", "2"), ("SETRANGE", "key", 0, "2"), ("INCR", "key"),
        ("INCRBYFLOAT", "key", 1), ("GET", "key"), ("GETEX", "key"), ("TOUCH", "key"), ("RENAME", "key", "key"),
    ]:  # fmt: skip
        connection.call_ok("SET", "key", "1", "EX", 100)
        connection.call(*command)
        assert connection.call("TTL", "key") in (99, 100), command


def test_expires_in_time(server):
    connection = server.connect()
    connection.call_ok("SET", "key", "value", "PX", 200)
    began = time.monotonic()
    while connection.call("GET", "key") is not None:
        assert time.monotonic() - began < 2
    assert 0.15 < time.monotonic() - began


def test_ttl_counts_down(server):
    connection = server.connect()
    connection.call_ok("SET", "key", "value", "PX", 5000)
    first = connection.call("PTTL", "key")
    time.sleep(0.05)
    second = connection.call("PTTL", "key")
    assert first > second > first - 1000 and first <= 5000


def test_time_stands_still_within_a_command(server):
    """A key does not end between two looks of one command."""
    connection = server.connect()
    for _ in range(300):
        connection.call_ok("SET", "key", "value", "PX", 2)
        values = connection.call("MGET", *["key"] * 200)
        assert len(set(values)) == 1


def test_active_expiry(server):
    """Found without anybody asking."""
    connection = server.connect()
    for number in range(1000):
        connection.command("SET", f"key:{number}", "value", "PX", 100)
    for _ in range(1000):
        assert connection.read() == b"OK"
    connection.call_ok("SET", "stays", "value", "EX", 1000)
    assert wait_until(lambda: connection.call("DBSIZE") == 1, 5)
    assert int(server.info("stats")["expired_keys"]) == 1000


def test_active_expiry_can_be_stopped(server):
    connection = server.connect()
    stop_active(connection)
    for number in range(100):
        connection.call_ok("SET", f"key:{number}", "value", "PX", 1)
    time.sleep(0.4)
    assert connection.call("DBSIZE") == 100
    connection.call_ok("DEBUG", "SET-ACTIVE-EXPIRE", 1)
    assert wait_until(lambda: connection.call("DBSIZE") == 0, 5)


def test_active_expiry_in_every_database(server):
    connection = server.connect()
    for database in range(16):
        connection.call_ok("SELECT", database)
        connection.call_ok("SET", "key", "value", "PX", 50)
    assert wait_until(lambda: "db0" not in server.info("keyspace") and len(server.info("keyspace")) == 0, 5)


def test_info_keyspace_counts_expiries(server):
    connection = server.connect()
    connection.call_ok("MSET", "a", 1, "b", 2, "c", 3)
    connection.call("EXPIRE", "a", 100)
    connection.call("EXPIRE", "b", 100)
    assert server.info("keyspace")["db0"].startswith("keys=3,expires=2,avg_ttl=")
    connection.call("PERSIST", "a")
    connection.call("DEL", "b")
    assert server.info("keyspace")["db0"].startswith("keys=2,expires=0,avg_ttl=0")


def fill(connection, count, *options):
    for start in range(0, count, 10_000):
        connection.send(b"".join(encode("SET", b"key:%d" % n, b"value", *options) for n in range(start, start + 10_000)))
        connection.expect(b"+OK\r\n" * 10_000)


def test_many_keys_at_once(server):
    """A hundred thousand keys end in the same second; others are served meanwhile, and memory comes back."""
    connection = server.connect()
    before = int(server.info("memory")["used_memory"])
    moment = int(time.time() * 1000) + 4000
    fill(connection, 100_000, "PXAT", moment)
    assert connection.call("DBSIZE") == 100_000, "filling took too long"
    time.sleep(max(0, moment / 1000 - time.time()))
    longest = 0
    deadline = time.monotonic() + 5
    while connection.call("DBSIZE") > 0:
        assert time.monotonic() < deadline
        began = time.monotonic()
        assert connection.call("PING") == b"PONG"
        longest = max(longest, time.monotonic() - began)
        time.sleep(0.001)
    assert longest < 0.25
    assert int(server.info("stats")["expired_keys"]) == 100_000
    assert wait_until(lambda: int(server.info("memory")["used_memory"]) < before + (2 << 20))


@pytest.mark.ours("a million keys that expire in the same second are gone within two, and memory with them")
@pytest.mark.timeout(120)
def test_a_million_keys_in_one_second(start):
    server = start()
    connection = server.connect()
    connection.call("DBSIZE")
    before = int(server.info("memory")["used_memory"])
    fill(connection, 1_000_000, "PXAT", int(time.time() * 1000) + 60_000)
    assert connection.call("DBSIZE") == 1_000_000
    moment = int(time.time() * 1000) + 12_000
    for begin in range(0, 1_000_000, 10_000):
        connection.send(b"".join(encode("PEXPIREAT", b"key:%d" % n, moment) for n in range(begin, begin + 10_000)))
        connection.expect(b":1\r\n" * 10_000)
    assert time.time() * 1000 < moment, "this machine is too busy for the test"
    time.sleep(moment / 1000 - time.time())
    waits = []
    while connection.call("DBSIZE") > 0:
        assert time.time() < moment / 1000 + 20
        assert connection.call("PING") == b"PONG"
        waits.append(connection.call("DBSIZE"))
    # Others were served in between, many times.
    assert len(set(waits)) > 20
    assert wait_until(lambda: int(server.info("memory")["used_memory"]) < before + (8 << 20))


def test_flush_of_many_keys_does_not_hold_others(server):
    connection, other = server.connect(), server.connect()
    fill(connection, 200_000)
    waits = []
    stop = threading.Event()

    def ask():
        while not stop.is_set():
            began = time.monotonic()
            assert other.call("PING") == b"PONG"
            waits.append(time.monotonic() - began)

    thread = threading.Thread(target=ask)
    thread.start()
    connection.call_ok("FLUSHALL", "ASYNC")
    assert connection.call("DBSIZE") == 0
    stop.set()
    thread.join()
    assert max(waits) < 0.5


def test_expiry_survives_copy_rename_move_and_swap(server):
    connection = server.connect()
    connection.call_ok("SET", "a", "value", "PXAT", 4102444800123)
    assert connection.call("COPY", "a", "b") == 1
    assert connection.call("PEXPIRETIME", "b") == 4102444800123
    connection.call_ok("RENAME", "b", "c")
    assert connection.call("PEXPIRETIME", "c") == 4102444800123
    assert connection.call("MOVE", "c", 1) == 1
    connection.call_ok("SWAPDB", 0, 1)
    assert connection.call("PEXPIRETIME", "c") == 4102444800123
    connection.call_ok("SET", "d", "value")
    connection.call_ok("SET", "e", "value", "EX", 100)
    connection.call_ok("RENAME", "d", "e")
    assert connection.call("TTL", "e") == -1


def test_keys_that_end_far_in_the_future(server):
    connection = server.connect()
    for moment in (4102444800123, 2**41, 2**48, 2**62, 2**63 - 2):
        assert connection.call("SET", "key", "value") == b"OK"
        assert connection.call("PEXPIREAT", "key", moment) == 1
        assert connection.call("PEXPIRETIME", "key") == moment
        assert connection.call("GET", "key") == b"value"
    assert int(server.info("stats")["expired_keys"]) == 0


def test_reading_removes_nothing_while_writes_are_paused(server):
    connection = server.connect()
    connection.call_ok("SET", "key", "value", "PX", 100)
    connection.call_ok("CLIENT", "PAUSE", 60_000, "WRITE")
    assert wait_until(lambda: connection.call("GET", "key") is None)
    assert connection.call("DBSIZE") == 1
    connection.call_ok("CLIENT", "UNPAUSE")
    assert wait_until(lambda: connection.call("DBSIZE") == 0)
