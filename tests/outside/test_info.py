"""INFO beside the peer's: field by field, and what it says of memory and durations; the report of a crash."""

import random
import re

import pytest

import harness

# Sections whose lines are made of what happened, not of fixed names.
VARIABLE = ("Commandstats", "Errorstats", "Latencystats", "Keyspace")


def fields(connection, *sections):
    found, heading = {}, None
    for line in bytes(connection.call("INFO", *sections)).decode().split("\r\n"):
        if line.startswith("# "):
            heading = found.setdefault(line[2:], {})
        elif line:
            name, _, value = line.partition(":")
            assert name not in heading, f"{name} twice"
            heading[name] = value
    return found


def shape(value):
    """What a reader of the value has to expect: digits become 0."""
    value = re.sub(r"^-?\d+$", "0", value)
    value = re.sub(r"^-?\d+\.(\d+)", lambda match: "0." + "0" * len(match[1]), value)
    return re.sub(r"^0\.00[KMGT]$|^\d+B$", "0.00M", value)


# The values are text, or differ by their nature (an allocator's counts may be less than nothing).
FREE = {"os", "gcc_version", "executable", "config_file", "mem_allocator", "run_id", "master_replid", "redis_version",
        "redis_build_id", "redis_git_sha1"}


def test_every_field_of_the_peer(server, peer):
    ours, theirs = (fields(one.connect(), "everything") for one in (server, peer))
    assert [name for name in theirs if name not in ours] == []
    missing, shapes = [], []
    for section in theirs:
        if section in VARIABLE:
            continue
        for name, value in theirs[section].items():
            if name not in ours[section]:
                missing.append((section, name))
            elif name not in FREE and shape(value) != shape(ours[section][name]):
                shapes.append((name, value, ours[section][name]))
    assert not missing
    assert not shapes


@pytest.mark.since("7.2")
def test_turns_are_counted(server):
    """The fields of Redis 7.2: what turns took, and commands in them."""
    connection = server.connect()
    connection.call("CONFIG", "RESETSTAT")
    connection.call_ok("DEBUG", "SLEEP", "0.05")

    def stats():
        return {name: int(value) for name, value in fields(connection, "stats")["Stats"].items() if "eventloop" in name}

    found = stats()
    assert found["eventloop_cycles"] >= 1
    assert 50_000 <= found["eventloop_duration_cmd_sum"] <= found["eventloop_duration_sum"] < 20_000_000
    harness.wait_until(lambda: stats()["instantaneous_eventloop_cycles_per_sec"] > 0)
    assert stats()["instantaneous_eventloop_duration_usec"] < 1_000_000


def test_lines_of_what_happened(server, peer):
    for one in (server, peer):
        connection = one.connect()
        connection.call("SET", "key", "value", "PX", 100_000)
        connection.call("GET", "key")
        connection.call("NONSENSE")
        found = fields(connection, "everything")
        assert re.fullmatch(r"keys=1,expires=1,avg_ttl=\d+(,subexpiry=0)?", found["Keyspace"]["db0"])
        assert int(found["Errorstats"]["errorstat_ERR"].removeprefix("count=")) >= 1
        assert re.fullmatch(
            r"calls=\d+,usec=\d+,usec_per_call=\d+\.\d\d,rejected_calls=0,failed_calls=0", found["Commandstats"]["cmdstat_get"]
        )
        assert re.fullmatch(r"p50=\d+\.\d{3},p99=\d+\.\d{3},p99\.9=\d+\.\d{3}", found["Latencystats"]["latency_percentiles_usec_get"])


def test_percentiles_follow_the_configuration(server, config):
    connection = server.connect()
    connection.call("CONFIG", "RESETSTAT")
    config("latency-tracking-info-percentiles", "0 50 100")
    connection.call("DEBUG", "SLEEP", "0.02")
    line = fields(connection, "latencystats")["Latencystats"]["latency_percentiles_usec_debug"]
    found = dict(part.split("=") for part in line.split(","))
    assert list(found) == ["p0", "p50", "p100"]
    assert all(20_000 <= float(value) < 20_000_000 for value in found.values())
    config("latency-tracking", "no")
    assert fields(connection, "latencystats") == {"Latencystats": {}}


@pytest.mark.ours("used memory is exact here")
def test_used_memory_is_what_the_data_takes(server):
    connection = server.connect()
    before = fields(connection, "memory")["Memory"]
    connection.call_ok("DEBUG", "POPULATE", 200_000, "key", 100)
    filled = fields(connection, "memory")["Memory"]
    each = (int(filled["used_memory"]) - int(before["used_memory"])) / 200_000
    assert 115 < each < 145, "key, value, header, and the table's share"
    assert int(filled["used_memory"]) == int(filled["used_memory_overhead"]) + int(filled["used_memory_dataset"])
    connection.call_ok("FLUSHALL", "SYNC")
    harness.wait_until(
        lambda: int(fields(connection, "memory")["Memory"]["used_memory"]) - int(before["used_memory"]) < 1_000_000
    )
    assert int(fields(connection, "memory")["Memory"]["used_memory_peak"]) >= int(filled["used_memory"]) * 0.99


# LCS beside the peer's


def test_lcs_as_the_peer(server, peer):
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")
    chance = random.Random(seed)
    connections = [server.connect(3), peer.connect(3)]
    for _ in range(400):
        alphabet = chance.choice(["a", "ab", "abcd", "abcdefghijklmnopqrstuvwxyz", "0123456789"])
        texts = ["".join(chance.choices(alphabet, k=chance.choice([0, 1, 5, 18, 63, 64, 65, 130]))) for _ in range(2)]
        options = chance.choice([[], ["LEN"], ["IDX"], ["IDX", "WITHMATCHLEN"],
                                 ["IDX", "MINMATCHLEN", str(chance.randrange(-1, 5))], ["MINMATCHLEN", "2"], ["LEN", "IDX"]])
        found = []
        for connection in connections:
            connection.call("MSET", "a", texts[0], "b", texts[1])
            found.append(connection.call("LCS", "a", "b", *options))
        assert found[0] == found[1], (texts, options)


def test_lcs_limit(server, peer, config):
    for one in (server, peer):
        connection = one.connect()
        connection.call_ok("CONFIG", "SET", "proto-max-bulk-len", 1024 * 1024)
        connection.call("MSET", "a", "x" * 511, "b", "x" * 511, "c", "x" * 512)
        assert connection.call("LCS", "a", "b", "LEN") == 511
        assert b"exceeds proto-max-bulk-len" in connection.call("LCS", "a", "c")
        connection.call_ok("CONFIG", "SET", "proto-max-bulk-len", 512 * 1024 * 1024)


# DEBUG PROTOCOL beside the peer's, byte by byte


@pytest.mark.parametrize("protocol", [2, 3])
@pytest.mark.parametrize(
    "kind", "string integer double bignum null array set map attrib push verbatim true false STRING nonsense".split()
)
def test_protocol_bytes(server, peer, protocol, kind):
    found = []
    for one in (server, peer):
        connection = one.connect(protocol)
        connection.send(harness.encode("DEBUG", "PROTOCOL", kind) + harness.encode("ECHO", "the end"))
        end = b"$7\r\nthe end\r\n"
        text = b""
        while not text.endswith(end):
            text += connection.read_bytes(1)
        found.append(text)
    assert found[0] == found[1]


# Digests: the same data, the same digest


def digest(connection):
    return connection.call("DEBUG", "DIGEST-EXACT")


def test_digest_is_of_the_data_alone(server, start):
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")
    chance = random.Random(seed)
    pairs = [(f"key:{i}", chance.choice([str(i), "x" * chance.randrange(600)])) for i in range(3000)]
    other = start().connect()
    one = server.connect()
    assert digest(one) == b"0" * 40
    for key, value in pairs:
        one.call("SET", key, value)
    chance.shuffle(pairs)
    for i in range(2000):
        other.call("SET", f"passing:{i}", i)
    for key, value in pairs:  # in another order, and in pieces
        other.call("SET", key, value[: len(value) // 2])
        other.call("APPEND", key, value[len(value) // 2 :])
    assert digest(one) != digest(other)
    for i in range(2000):
        other.call("DEL", f"passing:{i}")
    assert digest(one) == digest(other)
    keys = [key for key, _ in pairs[:20]]
    assert one.call("DEBUG", "DIGEST-VALUE", *keys) == other.call("DEBUG", "DIGEST-VALUE", *keys)


def test_digest_sees_every_difference(connection):
    connection.call("SET", "key", "value")
    seen = {bytes(digest(connection))}

    def differs(*command):
        connection.call(*command)
        found = bytes(digest(connection))
        assert found not in seen, command
        seen.add(found)

    differs("SET", "key", "valuf")
    differs("SET", "kez", "valuf")
    differs("DEL", "key")
    differs("PEXPIREAT", "kez", 4_000_000_000_000)
    differs("PEXPIREAT", "kez", 4_000_000_000_001)
    differs("MOVE", "kez", 1)
    connection.call("SELECT", 1)
    differs("PERSIST", "kez")
    value = connection.call("DEBUG", "DIGEST-VALUE", "kez")
    connection.call("COPY", "kez", "key")
    assert connection.call("DEBUG", "DIGEST-VALUE", "key") == value
    connection.call("FLUSHALL")
    assert digest(connection) == b"0" * 40


# Crashes


@pytest.mark.ours("the report is our own")
@pytest.mark.parametrize("kind", ["ASSERT", "PANIC", "SEGFAULT"])
def test_crash_report(start, kind):
    server = start()
    connection = server.connect()
    connection.call("SET", "key", "value")
    connection.send(harness.encode("DEBUG", kind))
    assert connection.is_closed()
    assert server.wait() != 0
    log = server.log()
    for part in ("BUG REPORT START", "STACK TRACE", f"argv[1]: '{kind}'", "redstart_version:", "# Memory", "db0:keys=1",
                 "BUG REPORT END"):
        assert part in log, part
