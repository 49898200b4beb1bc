"""MEMORY: what the server says of its memory, beside the peer."""

import harness
from harness import Error


def test_stats_has_the_peers_fields(server, peer):
    ours, theirs = server.connect(3), peer.connect(3)
    for connection in (ours, theirs):
        connection.call_ok("SET", "key", "some value")
        connection.call_ok("SELECT", 3)
        connection.call_ok("SET", "key", "some value")
    found, expected = ours.call("MEMORY", "STATS").dict(), theirs.call("MEMORY", "STATS").dict()
    assert [name for name in found if name != b"allocator.muzzy"] == list(expected)
    assert list(found[b"db.3"].dict()) == list(expected[b"db.3"].dict())
    assert {name: type(value) for name, value in found.items() if name in expected} == {
        name: type(value) for name, value in expected.items()}
    assert found[b"keys.count"] == 2
    assert found[b"peak.allocated"] >= found[b"total.allocated"] > found[b"startup.allocated"]


def test_stats_in_resp2(server):
    reply = server.connect().call("MEMORY", "STATS")
    assert len(reply) % 2 == 0 and reply[0] == b"peak.allocated"
    assert float(reply[reply.index(b"fragmentation") + 1]) > 0


def test_the_allocator_is_asked(start):
    connection = start().connect()
    connection.call_ok("MEMORY", "PURGE")
    assert len(connection.call("MEMORY", "MALLOC-STATS")) > 20
    assert b"too little" in connection.call("MEMORY", "DOCTOR")
    assert connection.call("MEMORY", "PURGE", "x") == Error(b"ERR wrong number of arguments for 'memory|purge' command")


def test_the_doctor_notices_clients_and_limits(start):
    server = start()
    connection = server.connect()
    connection.call_ok("SET", "key", b"v" * 8_000_000)
    assert b"Nothing is unusual" in connection.call("MEMORY", "DOCTOR")
    connection.call_ok("CONFIG", "SET", "maxmemory", "1mb")
    assert b"Limit:" in connection.call("MEMORY", "DOCTOR")


def test_used_memory_is_exact(server):
    connection = server.connect()

    def used():
        return int(server.info("memory")["used_memory"])

    connection.call_ok("SET", "first", b"v" * 100)
    before = used()
    for i in range(2000):
        connection.call_ok("SET", "key:%06d" % i, b"v" * 100)
    grown = used() - before
    assert 2000 * 120 <= grown <= 2000 * 140
    assert connection.call("MEMORY", "USAGE", "key:000001") * 1990 <= grown + 8192
    connection.call_ok("SET", "large", b"v" * 1_000_000)
    assert abs(used() - before - grown - 1_000_000) < 70_000
    connection.call("DEL", "large")
    harness.wait_until(lambda: server.info("memory")["lazyfree_pending_objects"] == "0")  # by a worker
    assert abs(used() - before - grown) < 32768
