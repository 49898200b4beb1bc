"""What replicas cost their primary, and when one is given up."""

import time

import pytest

import harness
from test_replication import FAST, follow, replication, same

MB = 1024 * 1024


class Sluggard:
    """Asks for everything as a replica does, and reads what it is told to."""

    def __init__(self, primary):
        self.connection = primary.connect()
        self.connection.call_ok("REPLCONF", "capa", "eof", "capa", "psync2")
        self.connection.send(harness.encode("PSYNC", "?", "-1"))

    def read_dataset(self):
        mark = b""
        while not mark.startswith(b"$EOF:"):
            mark = self.connection.read_bytes(1)
            while not mark.endswith(b"\n"):
                mark += self.connection.read_bytes(1)
        seen = self.connection.read_bytes(40)
        while not seen.endswith(mark[5:45]):
            seen += self.connection.read_bytes(1)
        self.connection.send(harness.encode("REPLCONF", "ACK", "0"))


def states(primary):
    return [value.split("state=")[1].split(",")[0] for name, value in replication(primary).items()
            if name.startswith("slave") and "state=" in value]


def write(primary, megabytes, keys=64):
    """So much of the stream, over few keys."""
    connection = primary.connect()
    for i in range(megabytes * 8):
        connection.command("SET", f"key:{i % keys}", bytes([97 + i % 26]) * (MB // 8))
    for _ in range(megabytes * 8):
        assert connection.read() == b"OK"


def memory(primary, field):
    return int(primary.info("memory")[field])


def slow_in_state(primary, state):
    if state == "send_bulk":
        primary.connect().call_ok("DEBUG", "POPULATE", 300, "big", 128 * 1024)
    slow = Sluggard(primary)
    if state == "online":
        slow.read_dataset()
    harness.wait_until(lambda: states(primary) == [state])
    return slow


@pytest.mark.parametrize("state", ["send_bulk", "online"])
def test_a_slow_replica_is_cut_at_the_limit(start, state):
    """A dataset that waits is not the stream, and costs no more than a bounded piece of it."""
    limit = 24
    primary = start(**FAST, **{"client-output-buffer-limit": f"replica {limit}mb 0 0"})
    slow_in_state(primary, state)
    write(primary, limit // 2)
    assert states(primary) == [state]
    write(primary, limit)
    harness.wait_until(lambda: states(primary) == [])
    assert primary.info("stats")["client_output_buffer_limit_disconnections"] == "1"
    backlog = memory(primary, "mem_replication_backlog")
    harness.wait_until(lambda: memory(primary, "mem_total_replication_buffers") == backlog)
    assert harness.wait_until(lambda: memory(primary, "redstart_mem_views") == 0)
    assert primary.connect().call("PING") == b"PONG"


@pytest.mark.parametrize("state", ["send_bulk", "online"])
def test_a_replica_may_be_slow_for_a_while(start, state):
    """The soft limit, and its seconds."""
    primary = start(**FAST, **{"client-output-buffer-limit": "replica 0 8mb 1"})
    slow_in_state(primary, state)
    write(primary, 24)
    assert states(primary) == [state]
    harness.wait_until(lambda: states(primary) == [], 10)


def test_who_loads_what_it_got_by_file_is_not_silent(start):
    """Without a mark it is online once it has all, and as long as it loads it sends empty lines."""
    primary = start(**FAST, **{"repl-diskless-sync": "no", "repl-timeout": "2"})
    connection = primary.connect()
    connection.call_ok("REPLCONF", "capa", "psync2")
    connection.send(harness.encode("PSYNC", "?", "-1"))
    harness.wait_until(lambda: states(primary) == ["online"])
    for _ in range(12):
        connection.send(b"\n")
        time.sleep(0.4)
    assert states(primary) == ["online"]
    harness.wait_until(lambda: states(primary) == [], 10)


def test_a_limit_below_the_backlog_is_the_backlog(start):
    primary = start(**FAST, **{"client-output-buffer-limit": "replica 100kb 50kb 0", "repl-backlog-size": "16mb"})
    slow_in_state(primary, "send_bulk")
    write(primary, 12)
    assert states(primary) == ["send_bulk"]
    write(primary, 6)
    harness.wait_until(lambda: states(primary) == [])


def test_a_slow_replica_evicts_nothing(start):
    """What waits for it beyond the backlog is not the dataset's; a limit would be reached otherwise, and evicting
    would only make more wait."""
    primary = start(**FAST, **{"client-output-buffer-limit": "replica 0 0 0", "maxmemory": "40mb",
                               "maxmemory-policy": "allkeys-random"})
    slow = slow_in_state(primary, "online")
    write(primary, 64)
    info = {field: memory(primary, field) for field in primary.info("memory") if field.startswith("mem_")
            and field not in ("mem_fragmentation_ratio", "mem_allocator")}
    assert info["mem_not_counted_for_evict"] > 32 * MB
    assert info["mem_total_replication_buffers"] > info["mem_replication_backlog"] + 32 * MB
    assert info["mem_clients_slaves"] > 32 * MB > info["mem_clients_normal"]
    assert primary.info("stats")["evicted_keys"] == "0"
    assert primary.connect().call("DBSIZE") == 64
    assert memory(primary, "used_memory_overhead") > 32 * MB
    slow.connection.close()
    harness.wait_until(lambda: memory(primary, "mem_not_counted_for_evict") < MB)


def test_numbers_of_replication(start):
    """On both sides; replicas are no clients, and the link to the primary is one, as the peer counts."""
    primary, replica = start(**FAST), start(**FAST)
    follow(replica, primary)
    same(primary, replica)
    connection = primary.connect()
    for i in range(100):
        connection.call_ok("SET", f"k{i}", "x" * 1000)
    same(primary, replica)
    for server, links in (primary, 0), (replica, 1):
        normal = server.connect().call("CLIENT", "LIST", "TYPE", "normal").count(b"\n")
        harness.wait_until(lambda: int(server.info("clients")["connected_clients"]) == normal + 1 + links)
    sent, got = primary.info("stats"), replica.info("stats")
    assert 100000 < int(sent["total_net_repl_output_bytes"]) <= int(sent["total_net_output_bytes"])
    assert 100000 < int(got["total_net_repl_input_bytes"]) <= int(got["total_net_input_bytes"])
    assert sent["total_net_repl_input_bytes"] == got["total_net_repl_output_bytes"] == "0"
    backlog = memory(primary, "mem_replication_backlog")
    assert 100000 < backlog == memory(primary, "mem_total_replication_buffers")
    stats = primary.connect(protocol=3).call("MEMORY", "STATS").dict()
    assert stats[b"replication.backlog"] == backlog
    assert 0 < stats[b"clients.slaves"] < 65536


def test_debug_replicate(start):
    primary, replica = start(**FAST), start(**FAST)
    follow(replica, primary)
    same(primary, replica)
    connection = primary.connect()
    for words in (["nothing", "a"], ["SET", "a"], ["CLIENT", "what"]):
        assert connection.call("DEBUG", "REPLICATE", *words).startswith(b"ERR DEBUG REPLICATE needs a command")
    connection.call_ok("DEBUG", "REPLICATE", "SET", "a", "b")
    harness.wait_until(lambda: replica.connect().call("GET", "a") == b"b")
    assert connection.call("GET", "a") is None
    assert replica.connect().call("DEBUG", "REPLICATE", "SET", "a", "b").startswith(b"ERR This server is a replica")


@pytest.mark.parametrize("words", [["GET", "a"], ["SET", "a", "b"], ["PING"], ["REPLCONF", "capa", "eof"], ["SUBSCRIBE", "a"]])
@pytest.mark.parametrize("state", ["wait_bgsave", "online"])
def test_a_replica_only_acknowledges(start, state, words):
    """A reply would stand in the middle of the stream."""
    primary = start(**{**FAST, "repl-diskless-sync-delay": "3"}) if state == "wait_bgsave" else start(**FAST)
    replica = slow_in_state(primary, state)
    replica.connection.send(harness.encode("REPLCONF", "GETACK", "*") + harness.encode("REPLCONF", "ACK", "0"))
    replica.connection.send(harness.encode(*words))
    assert replica.connection.is_closed()
    harness.wait_until(lambda: states(primary) == [])
    assert primary.connect().call("DBSIZE") == 0


def test_what_is_behind_wait_is_run_when_it_ends(start):
    """At once: but for the replica's word nothing comes that would move the primary."""
    primary = start(**FAST)
    slow = slow_in_state(primary, "online")
    connection = primary.connect()
    connection.send(harness.encode("SET", "a", "b") + harness.encode("WAIT", 1, 0) + harness.encode("PING"))
    assert connection.read() == b"OK"
    offset = replication(primary)["master_repl_offset"]
    slow.connection.send(harness.encode("REPLCONF", "ACK", offset))
    assert [connection.read(), connection.read()] == [1, b"PONG"]


@pytest.mark.parametrize("command", [("WAIT", 1, 1500), ("WAITAOF", 0, 1, 1500)])
def test_waiting_for_a_replica_asks_it_once(start, command):
    """Who waits for nothing that comes costs nothing: neither the stream nor the processor."""
    primary = start(**FAST)
    slow_in_state(primary, "online")
    connection = primary.connect()
    connection.send(harness.encode("SET", "a", "b") + harness.encode(*command))
    assert connection.read() == b"OK"
    assert harness.wait_until(lambda: primary.info("clients")["blocked_clients"] == "1")
    offset = int(replication(primary)["master_repl_offset"])
    assert connection.read() in (0, [0, 0])
    assert int(replication(primary)["master_repl_offset"]) < offset + 1000
