"""SCAN's promise: what is there from beginning to end is returned at least once, whatever happens meanwhile."""

import random

import pytest


def scan(connection, *options, between=None):
    """All keys of a scan, and how many calls it took."""
    found, cursor, calls = [], b"0", 0
    while True:
        cursor, keys = connection.call("SCAN", cursor, *options)
        found += keys
        calls += 1
        if cursor == b"0":
            return found, calls
        assert cursor.isdigit() and calls < 100_000
        if between:
            between(calls)


def populate(connection, count, prefix="key"):
    connection.call_ok("DEBUG", "POPULATE", count, prefix)


@pytest.mark.parametrize("count", [1, 10, 100, 1000])
def test_whole_scan(connection, count):
    populate(connection, 3000)
    found, calls = scan(connection, "COUNT", count)
    assert len(found) == 3000 and set(found) == {b"key:%d" % n for n in range(3000)}
    assert calls <= 3000 * 4 // count + 8


def test_empty(connection):
    assert scan(connection) == ([], 1)


def test_match_and_type(connection):
    populate(connection, 1000)
    populate(connection, 10, "other")
    found, _ = scan(connection, "MATCH", "other:*")
    assert set(found) == {b"other:%d" % n for n in range(10)}
    found, _ = scan(connection, "MATCH", "key:1?", "COUNT", 50)
    assert set(found) == {b"key:1%d" % n for n in range(10)}
    assert len(scan(connection, "TYPE", "string")[0]) == 1010
    assert scan(connection, "TYPE", "zset")[0] == []


@pytest.mark.parametrize("seed", range(4))
def test_growing_and_shrinking(connection, seed):
    generator = random.Random(seed)
    populate(connection, 2000, "stays")
    extra = 0

    def between(call):
        nonlocal extra
        if generator.random() < 0.05:
            if generator.random() < 0.5:
                populate(connection, 20_000 + extra, "extra")
                extra += 20_000
            elif extra:
                connection.call("DEL", *(b"extra:%d" % n for n in range(extra)))
                extra = 0

    found, _ = scan(connection, "COUNT", 10, between=between)
    assert {b"stays:%d" % n for n in range(2000)} <= set(found)


def test_deleting_what_was_found(connection):
    """The loop that everybody writes: scan, and delete what comes."""
    populate(connection, 5000)
    cursor = b"0"
    while True:
        cursor, keys = connection.call("SCAN", cursor, "COUNT", 100)
        if keys:
            connection.call("DEL", *keys)
        if cursor == b"0":
            break
    assert connection.call("DBSIZE") == 0


def test_many_scans_at_once(server):
    connections = [server.connect() for _ in range(8)]
    populate(connections[0], 2000)
    generator = random.Random(5)
    cursors = {connection: b"0" for connection in connections}
    found = {connection: set() for connection in connections}
    going = list(connections)
    while going:
        connection = generator.choice(going)
        cursors[connection], keys = connection.call("SCAN", cursors[connection])
        found[connection].update(keys)
        if cursors[connection] == b"0":
            going.remove(connection)
    assert all(len(keys) == 2000 for keys in found.values())


def test_a_foreign_cursor_does_no_harm(connection):
    populate(connection, 1000)
    for cursor in (1, 12345, 2**32, 2**63, 2**64 - 1):
        reply = connection.call("SCAN", cursor)
        assert len(reply) == 2 and reply[0].isdigit()


def test_the_database_is_the_selected_one(connection):
    populate(connection, 10)
    connection.call_ok("SELECT", 1)
    assert scan(connection)[0] == []


def test_randomkey_reaches_everybody(connection):
    populate(connection, 20)
    found = {connection.call("RANDOMKEY") for _ in range(2000)}
    assert found == {b"key:%d" % n for n in range(20)}


def test_randomkey_is_fair(connection):
    populate(connection, 100)
    counts = {}
    for _ in range(10_000):
        connection.command("RANDOMKEY")
    for _ in range(10_000):
        key = connection.read()
        counts[key] = counts.get(key, 0) + 1
    assert len(counts) == 100
    assert max(counts.values()) < 1000
