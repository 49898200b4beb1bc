"""Fields of hashes that end without being asked for, and what is left of their keys."""

import pytest

from harness import encode, wait_until

pytestmark = pytest.mark.since("7.4")


def load(connection, commands):
    connection.send(b"".join(encode(*command) for command in commands))
    for _ in commands:
        reply = connection.read()
        assert not isinstance(reply, Exception), reply


def subkeys(connection):
    text = connection.call("INFO", "stats").decode()
    return int(text.split("expired_subkeys:")[1].split("\r\n")[0])


@pytest.mark.parametrize("encoding, limit", [("listpackex", 100000), ("hashtable", 10)])
def test_fields_are_removed(server, encoding, limit):
    connection = server.connect()
    connection.call_ok("CONFIG", "SET", "hash-max-listpack-entries", limit)
    fields = [b"f%d" % n for n in range(300)]
    connection.call("HSET", "h", *(word for field in fields for word in (field, b"v")), "stays", "v")
    connection.call("HSET", "gone", *(word for field in fields for word in (field, b"v")))
    for key in ("h", "gone"):
        connection.call("HPEXPIRE", key, 50, "FIELDS", len(fields), *fields)
    assert connection.call("OBJECT", "ENCODING", "h").decode() == encoding
    wait_until(lambda: connection.call("HLEN", "h") == 1, seconds=5)
    wait_until(lambda: connection.call("EXISTS", "gone") == 0, seconds=5)
    assert connection.call("HGETALL", "h") in ([b"stays", b"v"], {b"stays": b"v"})
    assert subkeys(connection) == 600


def test_many_hashes_and_a_large_one(server):
    connection = server.connect()
    load(connection, [("HSET", b"h%d" % n, "a", 1, "b", 2) for n in range(20000)])
    load(connection, [("HPEXPIRE", b"h%d" % n, 300, "FIELDS", 2, "a", "b") for n in range(20000)])
    for start in range(0, 200000, 1000):
        fields = [b"%d" % n for n in range(start, start + 1000)]
        connection.call("HSET", "large", *(word for field in fields for word in (field, field)))
        connection.call("HPEXPIRE", "large", 300, "FIELDS", 1000, *fields)
    wait_until(lambda: connection.call("DBSIZE") == 0, seconds=10)
    assert subkeys(connection) == 240000


def test_not_while_it_is_switched_off(server):
    connection = server.connect()
    connection.call_ok("DEBUG", "SET-ACTIVE-EXPIRE", 0)
    connection.call("HSET", "h", "a", 1)
    connection.call("HPEXPIRE", "h", 1, "FIELDS", 1, "a")
    wait_until(lambda: connection.call("HGET", "h", "a") is None, seconds=5)
    assert connection.call("EXISTS", "h") == 1
    connection.call_ok("DEBUG", "SET-ACTIVE-EXPIRE", 1)
    wait_until(lambda: connection.call("EXISTS", "h") == 0, seconds=5)
