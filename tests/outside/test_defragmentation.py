"""activedefrag: memory with holes is moved together, and what was moved is what it was."""

import time

import pytest

from harness import encode, wait_until

MANY = 30_000


def value_of(number, version):
    return str(number) * (1 + (number * 7919 + version * 104729) % 400)


def pipeline(connection, commands):
    connection.send(b"".join(encode(*command) for command in commands))
    return [connection.read() for _ in commands]


def fill(connection, numbers, version):
    for at in range(0, len(numbers), 500):
        pipeline(connection, [("SET", f"key:{n}", value_of(n, version)) for n in numbers[at : at + 500]])


def wear(connection):
    """Every second key gone, the others of another size; those that are left."""
    fill(connection, range(MANY), 0)
    for at in range(0, MANY, 1000):
        connection.call("DEL", *(f"key:{n}" for n in range(at, at + 1000, 2)))
    left = range(1, MANY, 2)
    fill(connection, left, 1)
    return left


@pytest.fixture
def worn(start):
    server = start(**{"active-defrag-ignore-bytes": "1mb", "active-defrag-cycle-min": "50", "active-defrag-cycle-max": "75", "hz": "100"})
    connection = server.connect()
    if server.info()["mem_allocator"] == "libc":
        pytest.skip("this build's allocator does not say how full its pages are")
    return server, connection, wear(connection)


def test_pages_that_are_all_as_full_are_moved_together(start):
    options = {"active-defrag-ignore-bytes": "1", "active-defrag-threshold-lower": "1", "active-defrag-cycle-min": "50"}
    server = start(**options)
    connection = server.connect()
    if server.info()["mem_allocator"] == "libc":
        pytest.skip("this build's allocator does not say how full its pages are")
    pipeline(connection, [("SET", f"key:{n}", "v" * 400) for n in range(MANY)])
    pipeline(connection, [("DEL", f"key:{n}") for n in range(MANY) if n % 7])
    connection.call_ok("CONFIG", "SET", "activedefrag", "yes")
    assert wait_until(lambda: int(server.info()["active_defrag_hits"]) > MANY / 7 * 0.7)


def test_memory_is_moved_together(worn):
    server, connection, left = worn
    before = server.info()
    assert before["active_defrag_hits"] == before["active_defrag_running"] == "0"
    holes = float(before["allocator_frag_ratio"]) - 1
    assert holes > 0.5
    connection.call("CONFIG", "SET", "activedefrag", "yes")
    assert wait_until(lambda: float(server.info()["allocator_frag_ratio"]) - 1 < holes * 0.6)
    after = server.info()
    assert int(after["active_defrag_hits"]) > 1000 and int(after["total_active_defrag_time"]) > 0
    assert abs(int(after["used_memory"]) - int(before["used_memory"])) < 1 << 20
    for at in range(0, len(left), 500):
        numbers = left[at : at + 500]
        assert connection.call("MGET", *(f"key:{n}" for n in numbers)) == [value_of(n, 1).encode() for n in numbers]
    assert wait_until(lambda: server.info()["active_defrag_running"] == "0")


def test_it_ends_when_it_is_switched_off(worn):
    server, connection, _ = worn
    connection.call("CONFIG", "SET", "active-defrag-cycle-min", "1", "active-defrag-cycle-max", "1", "activedefrag", "yes")
    assert wait_until(lambda: server.info()["active_defrag_running"] != "0")
    connection.call("CONFIG", "SET", "activedefrag", "no")
    assert wait_until(lambda: server.info()["active_defrag_running"] == "0")
    hits = server.info()["active_defrag_hits"]
    time.sleep(0.1)
    assert server.info()["active_defrag_hits"] == hits


def test_little_waste_is_left(worn):
    server, connection, _ = worn
    connection.call("CONFIG", "SET", "active-defrag-ignore-bytes", "1gb", "activedefrag", "yes")
    time.sleep(1.5)
    assert server.info()["active_defrag_hits"] == "0"


def test_snapshots_are_taken_meanwhile(worn):
    server, connection, left = worn
    connection.call("CONFIG", "SET", "activedefrag", "yes")
    digest = connection.call("DEBUG", "DIGEST")
    for _ in range(5):
        connection.call("BGSAVE")
        fill(connection, left[:2000], 1)
        assert wait_until(lambda: server.info()["rdb_bgsave_in_progress"] == "0")
    connection.call("DEBUG", "RELOAD")
    assert connection.call("DEBUG", "DIGEST") == digest
