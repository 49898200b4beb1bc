"""What people see of a running server: MONITOR, the slow log, LATENCY, INFO's statistics of commands and errors."""

import random
import re
import socket
import time

import pytest

import harness
from harness import Error, encode, wait_until


def line_of(connection):
    """One line of MONITOR without its time: (source, words as they stand there)."""
    reply = connection.read()
    assert isinstance(reply, harness.Status)
    found = re.fullmatch(r"(\d+)\.(\d{6}) \[(\d+) ([^]]+)\] (.*)", reply.decode())
    assert abs(time.time() - int(found[1])) < 30
    return f"{found[3]} {found[4]}", found[5]


def words(connection):
    return line_of(connection)[1]


@pytest.fixture
def monitor(server):
    monitor = server.connect()
    monitor.call_ok("MONITOR")
    return monitor


# MONITOR


def test_commands_are_told(server, monitor, connection):
    port = connection.socket.getsockname()[1]
    connection.call("SELECT", 3)
    connection.call("SET", "key", b'a\r\n\t\a\b\x00\xff\\"\'')
    assert line_of(monitor) == (f"3 127.0.0.1:{port}", '"SELECT" "3"')
    assert line_of(monitor) == (f"3 127.0.0.1:{port}", r'"SET" "key" "a\r\n\t\a\b\x00\xff\\\"' + "'\"")


def test_what_is_refused_or_administration_is_not_told(monitor, connection):
    for command in (("nosuch",), ("GET",), ("CONFIG", "GET", "port"), ("SLOWLOG", "LEN"), ("CLIENT", "LIST"), ("DEBUG", "SLEEP", 0)):
        connection.call(*command)
    connection.call("PING")
    assert words(monitor) == '"PING"'


def test_secrets_are_not_told(monitor, connection):
    connection.call("AUTH", "secret")
    connection.call("AUTH", "default", "secret")
    connection.call("AUTH", "nobody", "secret")
    connection.call("HELLO", 3, "AUTH", "nobody", "secret", "SETNAME", "me")
    connection.call("HELLO", 3, "AUTH", "default", "secret", "SETNAME", "me")
    assert words(monitor) == '"AUTH" "(redacted)"'
    assert [words(monitor) for _ in range(2)] == ['"AUTH" "(redacted)" "(redacted)"'] * 2
    assert [words(monitor) for _ in range(2)] == ['"HELLO" "3" "AUTH" "(redacted)" "(redacted)" "SETNAME" "me"'] * 2


def test_transactions_are_told_when_they_run(monitor, connection):
    for command in (("MULTI",), ("SET", "key", "value"), ("GET", "key"), ("EXEC",)):
        connection.call(*command)
    assert [words(monitor) for _ in range(4)] == ['"MULTI"', '"SET" "key" "value"', '"GET" "key"', '"EXEC"']


def test_scripts_are_told_before_their_commands(monitor, connection):
    connection.call("EVAL", "return redis.call('set', KEYS[1], 'value')", 1, "key")
    assert words(monitor) == '"EVAL" "return redis.call(\'set\', KEYS[1], \'value\')" "1" "key"'
    assert line_of(monitor) == ("0 lua", '"set" "key" "value"')


def test_what_waits_is_told_once(server, monitor, connection):
    connection.command("BLPOP", "list", 0)
    assert words(monitor) == '"BLPOP" "list" "0"'
    server.connect().call("RPUSH", "list", "value")
    assert connection.read() == [b"list", b"value"]
    assert words(monitor) == '"RPUSH" "list" "value"'
    connection.call("PING")
    assert words(monitor) == '"PING"'


def test_what_a_monitor_may_do(server, monitor, connection):
    assert monitor.call("PING") == b"PONG"
    assert words(monitor) == '"PING"'
    monitor.command("MONITOR")
    assert monitor.is_silent()
    assert monitor.call("GET", "key") == b"ERR Replica can't interact with the keyspace"
    assert monitor.call("SET", "key", "value") == b"ERR Replica can't interact with the keyspace"
    assert b" flags=O " in connection.call("CLIENT", "LIST")
    assert monitor.call("RESET") == b"RESET"
    connection.call("PING")
    assert monitor.is_silent()
    assert monitor.call("GET", "key") is None


def test_many_monitors(server, connection):
    monitors = [server.connect(2 + number % 2) for number in range(20)]
    for monitor in monitors:
        monitor.call_ok("MONITOR")
    for number, monitor in enumerate(monitors):
        while number and words(monitor) != '"ECHO" "0"':
            pass
        if number == 0:
            connection.call("ECHO", 0)
            while words(monitor) != '"ECHO" "0"':
                pass
    for monitor in monitors[::2]:
        monitor.close()
    connection.send(encode("ECHO", 1) * 50)
    assert [connection.read() for _ in range(50)] == [b"1"] * 50
    for monitor in monitors[1::2]:
        assert [words(monitor) for _ in range(50)] == ['"ECHO" "1"'] * 50


def test_large_words_are_told_whole(monitor, connection):
    connection.call("SET", "key", "v" * 1_000_000)
    assert words(monitor) == '"SET" "key" "' + "v" * 1_000_000 + '"'


def test_unix_sockets_are_told_by_their_path(start, tmp_path):
    path = str(tmp_path / "socket")
    server = start(unixsocket=path)
    monitor = server.connect()
    monitor.call_ok("MONITOR")
    with harness.Connection(path) as connection:
        connection.call("PING")
    assert line_of(monitor) == (f"0 unix:{path}", '"PING"')


# The slow log


def test_time_spent_waiting_is_not_time_taken(server, connection):
    control = server.connect()
    control.call("CONFIG", "SET", "slowlog-log-slower-than", 50_000, "latency-monitor-threshold", 50)
    control.call("SLOWLOG", "RESET")
    control.call("LATENCY", "RESET")
    connection.command("BLPOP", "list", 0)
    time.sleep(0.2)
    control.call("RPUSH", "list", "value")
    assert connection.read() == [b"list", b"value"]
    connection.call("BLPOP", "list", 0.1)
    control.call("CLIENT", "PAUSE", 100)
    connection.call("PING")
    assert control.call("SLOWLOG", "LEN") == 0
    assert control.call("LATENCY", "HISTORY", "command") == []
    info = server.info("commandstats")
    for name in ("blpop", "ping"):
        assert int(re.search(r"usec=(\d+)", info[f"cmdstat_{name}"])[1]) < 50_000


def test_who_has_waited_is_in_the_slow_log(server, connection):
    control = server.connect()
    control.call("CONFIG", "SET", "slowlog-log-slower-than", 0)
    control.call("SLOWLOG", "RESET")
    connection.command("BLPOP", "list", 0)
    assert wait_until(lambda: int(server.info("clients")["blocked_clients"]) == 1)
    control.call("RPUSH", "list", "value")
    assert connection.read() == [b"list", b"value"]
    entries = [entry[3] for entry in control.call("SLOWLOG", "GET", -1)]
    assert entries.count([b"BLPOP", b"list", b"0"]) == 1


def test_the_slow_log_names_client_and_moment(server, connection):
    connection.call("CLIENT", "SETNAME", "me")
    connection.call("CONFIG", "SET", "slowlog-log-slower-than", 10_000)
    connection.call("SLOWLOG", "RESET")
    connection.call("DEBUG", "SLEEP", 0.05)
    other = server.connect()
    connection.close()
    [(number, when, took, command, address, name)] = other.call("SLOWLOG", "GET")
    assert abs(when - time.time()) < 30
    assert 50_000 <= took < 1_000_000
    assert command == [b"DEBUG", b"SLEEP", b"0.05"]
    assert (address, name) == (b"127.0.0.1:%d" % int(address.split(b":")[1]), b"me")
    other.call("DEBUG", "SLEEP", 0.02)
    assert other.call("SLOWLOG", "GET", 1)[0][0] == number + 1


# LATENCY


def test_spikes_of_several_seconds(connection):
    connection.call("CONFIG", "SET", "latency-monitor-threshold", 20)
    connection.call("LATENCY", "RESET")
    for seconds in (0.03, 0.12, 0.03):
        connection.call("DEBUG", "SLEEP", seconds)
        time.sleep(1)
    history = connection.call("LATENCY", "HISTORY", "command")
    assert len(history) == 3
    assert [when for when, _ in history] == sorted({when for when, _ in history})
    assert history[1][1] >= 120 > history[0][1]
    [(event, when, last, worst)] = connection.call("LATENCY", "LATEST")
    assert (event, when, last, worst) == (b"command", *history[2], history[1][1])
    graph = bytes(connection.call("LATENCY", "GRAPH", "command")).decode().split("\n")
    assert graph[0].startswith(f"command - high {worst} ms, low")
    assert [line[1] for line in graph[2:6]] == ["#", "|", "|", "|"]
    connection.call("CONFIG", "SET", "latency-monitor-threshold", 0)


# INFO


def fields(text):
    return dict(field.split("=") for field in text.split(","))


def test_commandstats(server, connection):
    connection.call("CONFIG", "RESETSTAT")
    for _ in range(3):
        connection.call("SET", "key", "value")
    connection.call("INCR", "key")
    connection.call("INCR")
    connection.call("CLIENT", "ID")
    connection.call("DEBUG", "SLEEP", 0.02)
    for command in (("MULTI",), ("SET", "key", "value"), ("SAVE",), ("GET", "key"), ("EXEC",), ("MULTI",), ("GET", "key"), ("EXEC",)):
        connection.call(*command)
    info = server.info("commandstats")
    counted = fields(info["cmdstat_set"])
    assert list(counted) == ["calls", "usec", "usec_per_call", "rejected_calls", "failed_calls"]
    assert (counted["calls"], counted["rejected_calls"], counted["failed_calls"]) == ("3", "0", "0")
    counted = fields(info["cmdstat_incr"])
    assert (counted["calls"], counted["rejected_calls"], counted["failed_calls"]) == ("1", "1", "1")
    assert fields(info["cmdstat_client|id"])["calls"] == "1"
    assert 20_000 <= int(fields(info["cmdstat_debug"])["usec"]) < 1_000_000
    assert fields(info["cmdstat_get"])["calls"] == "1"
    assert fields(info["cmdstat_save"]) | {"usec": ""} == {
        "calls": "0", "usec": "", "usec_per_call": "0.00", "rejected_calls": "1", "failed_calls": "0"
    }  # fmt: skip
    counted = fields(info["cmdstat_exec"])
    assert (counted["calls"], counted["failed_calls"]) == ("2", "1")


def test_a_transaction_takes_the_time_of_its_commands(server, connection):
    connection.call("CONFIG", "RESETSTAT")
    for command in (("MULTI",), ("DEBUG", "SLEEP", 0.03), ("DEBUG", "SLEEP", 0.03), ("EXEC",)):
        connection.call(*command)
    info = server.info("commandstats")
    assert int(fields(info["cmdstat_exec"])["usec"]) >= int(fields(info["cmdstat_debug"])["usec"]) >= 60_000
    assert int(fields(info["cmdstat_multi"])["usec"]) < 30_000


def test_errorstats(server, connection):
    connection.call("CONFIG", "RESETSTAT")
    connection.call("SET", "key", "value")
    connection.call("nosuch")
    connection.call("INCR", "key")
    connection.call("LPUSH", "key", "value")
    connection.call("AUTH", "nobody", "nothing")
    for command in (("MULTI",), ("nosuch",), ("EXEC",)):
        connection.call(*command)
    info = server.info("errorstats")
    assert info == {
        "errorstat_ERR": "count=3", "errorstat_WRONGTYPE": "count=1", "errorstat_WRONGPASS": "count=1",
        "errorstat_EXECABORT": "count=1",
    }  # fmt: skip
    assert server.info("stats")["total_error_replies"] == "6"


def test_errors_without_a_code_are_counted_as_err(server, connection):
    for error in ("xyz", "", "X" * 33 + " y", "ab\\r\\ncd e"):
        connection.call("EVAL", "return {err = '%s'}" % error, 0)
    assert set(server.info("errorstats")) == {"errorstat_ERR"}


@pytest.mark.ours("7.0 has no limit")
def test_errorstats_are_bounded(server, connection):
    connection.call("CONFIG", "RESETSTAT")
    for number in range(200):
        connection.call("DEBUG", "ERROR", f"KIND{number} what")
    info = server.info("errorstats")
    assert len(info) == 129
    assert info["errorstat_ERRORSTATS_DISABLED"] == "count=1"
    connection.call("DEBUG", "ERROR", "KIND5 what")
    connection.call("DEBUG", "ERROR", "KIND5000 what")
    assert server.info("errorstats")["errorstat_KIND5"] == "count=2"
    assert server.log().count("Errorstats stopped adding new errors") == 1
    connection.call("CONFIG", "RESETSTAT")
    connection.call("DEBUG", "ERROR", "KIND5000 what")
    assert server.info("errorstats") == {"errorstat_KIND5000": "count=1"}


def test_latencystats(server, connection):
    connection.call("CONFIG", "RESETSTAT")
    for _ in range(10):
        connection.call("PING")
    connection.call("DEBUG", "SLEEP", 0.02)
    info = server.info("latencystats")
    assert list(fields(info["latency_percentiles_usec_ping"])) == ["p50", "p99", "p99.9"]
    assert 20_000 <= float(fields(info["latency_percentiles_usec_debug"])["p50"]) < 1_000_000
    connection.call("CONFIG", "SET", "latency-tracking-info-percentiles", "100 0 12.5")
    assert list(fields(server.info("latencystats")["latency_percentiles_usec_ping"])) == ["p100", "p0", "p12.5"]


# HOTKEYS


@pytest.fixture
def uncounted(server):
    """A server where nothing is counted, before and afterwards."""
    yield server
    connection = server.connect()
    connection.call("HOTKEYS", "STOP")
    connection.call_ok("HOTKEYS", "RESET")


def hotkeys(connection):
    """The one map, as a dictionary; lists of keys as dictionaries too."""
    (found,) = connection.call("HOTKEYS", "GET")
    found = dict(zip(found[::2], found[1::2]))
    for name in (b"by-cpu-time-us", b"by-net-bytes"):
        if name in found:
            found[name] = dict(zip(found[name][::2], found[name][1::2]))
    return found


def test_hotkeys_from_start_to_reset(uncounted):
    connection = uncounted.connect()
    assert connection.call("HOTKEYS", "GET") is None
    assert isinstance(connection.call("HOTKEYS", "STOP"), Error)
    connection.call_ok("HOTKEYS", "START", "METRICS", 2, "CPU", "NET", "COUNT", 3)
    assert isinstance(connection.call("HOTKEYS", "START", "METRICS", 1, "CPU"), Error)
    assert isinstance(connection.call("HOTKEYS", "RESET"), Error)
    connection.call_ok("SET", "large", b"x" * 100_000)
    connection.call_ok("SET", "small", b"x")
    for _ in range(20):
        connection.call("GET", "large")
        connection.call("GET", "small")
    for i in range(10):
        connection.call("SET", f"other:{i}", "x")
    found = hotkeys(connection)
    assert found[b"tracking-active"] == found[b"sample-ratio"] == 1
    assert found[b"selected-slots"] == [[0, 16383]]
    assert abs(found[b"collection-start-time-unix-ms"] / 1000 - time.time()) < 60
    by_bytes = found[b"by-net-bytes"]
    assert len(by_bytes) == len(found[b"by-cpu-time-us"]) == 3
    assert list(by_bytes)[:2] == [b"large", b"small"]
    assert 21 * 100_000 < by_bytes[b"large"] < 21 * 100_100
    assert 21 * 5 < by_bytes[b"small"] < 21 * 20
    assert by_bytes[b"large"] + by_bytes[b"small"] <= found[b"total-net-bytes"] == found[b"net-bytes-all-commands-all-slots"]
    assert sum(found[b"by-cpu-time-us"].values()) <= found[b"all-commands-all-slots-us"] + 3
    connection.call_ok("HOTKEYS", "STOP")
    stopped = hotkeys(connection)
    connection.call("GET", "large")
    time.sleep(0.01)
    assert hotkeys(connection) == stopped and stopped[b"tracking-active"] == 0
    connection.call_ok("HOTKEYS", "RESET")
    assert connection.call("HOTKEYS", "GET") is None
    connection.call_ok("HOTKEYS", "RESET")


def test_hotkeys_are_found_among_many(uncounted):
    connection = uncounted.connect()
    connection.call_ok("HOTKEYS", "START", "METRICS", 1, "NET", "COUNT", 5)
    requests = [("GET", f"cold:{i}") for i in range(20_000)]
    for i in range(5):
        requests += [("GET", f"hot:{i}")] * (300 + 100 * i)
    random.Random(3).shuffle(requests)
    connection.send(b"".join(encode(*request) for request in requests))
    for _ in requests:
        connection.read()
    found = hotkeys(connection)
    assert b"by-cpu-time-us" not in found and b"total-cpu-time-user-ms" not in found
    assert list(found[b"by-net-bytes"]) == [b"hot:%d" % i for i in range(4, -1, -1)]


def test_hotkeys_of_transactions_scripts_and_many_keys(uncounted):
    connection = uncounted.connect()
    connection.call_ok("HOTKEYS", "START", "METRICS", 1, "NET")
    for command in (("MULTI",), ("SET", "a", "x" * 1000), ("GET", "a"), ("EXEC",)):
        connection.call(*command)
    assert 2000 < hotkeys(connection)[b"by-net-bytes"][b"a"] < 2100
    connection.call("EVAL", "return redis.call('SET', KEYS[1], ARGV[1])", 1, "b", "y" * 500)
    connection.call("MSET", "c", "z" * 300, "d", "z" * 300)
    found = hotkeys(connection)[b"by-net-bytes"]
    assert 500 < found[b"b"] < 700
    assert found[b"c"] == found[b"d"] and 300 < found[b"c"] < 320
    connection.call_ok("HOTKEYS", "STOP")
    connection.call_ok("HOTKEYS", "START", "METRICS", 1, "NET", "SAMPLE", 1_000_000_000)
    connection.call("SET", "a", "x")
    assert hotkeys(connection)[b"by-net-bytes"] == {}


def test_hotkeys_end_after_their_time(uncounted):
    connection = uncounted.connect()
    connection.call_ok("HOTKEYS", "START", "METRICS", 1, "CPU", "DURATION", 1)
    assert hotkeys(connection)[b"tracking-active"] == 1
    assert wait_until(lambda: hotkeys(connection)[b"tracking-active"] == 0)
    assert 1000 <= hotkeys(connection)[b"collection-duration-ms"] < 20_000


@pytest.mark.parametrize("words", ["METRICS 0", "METRICS 1", "METRICS 3 CPU NET CPU", "METRICS 2 CPU", "METRICS 2 CPU CPU", "METRICS x CPU",
                                   "METRICS 1 CPU COUNT 0", "METRICS 1 CPU COUNT 65", "METRICS 1 CPU COUNT", "METRICS 1 CPU SAMPLE 0",
                                   "METRICS 1 CPU DURATION -1", "METRICS 1 CPU SLOTS 1 5", "METRICS 1 CPU NET", "COUNT 3 METRICS"])  # fmt: skip
def test_hotkeys_refuses(uncounted, words):
    connection = uncounted.connect()
    assert isinstance(connection.call("HOTKEYS", "START", *words.split()), Error)
    assert connection.call("HOTKEYS", "GET") is None


# INFO keysizes


def key_sizes(server):
    """{"db0_distrib_strings_sizes": {"0": 1, "1K": 5}}"""
    fields = server.info("keysizes")
    return {name: {bin: int(keys) for bin, keys in (pair.split("=") for pair in value.split(","))} for name, value in fields.items()}


@pytest.mark.ours("a section of Redis 8")
def test_key_sizes_of_a_few_keys(server):
    connection = server.connect()
    assert key_sizes(server) == {}
    for size in (0, 1, 2, 3, 4, 1023, 1024, 2047, 2048, 1 << 20):
        connection.call_ok("SET", "string:%d" % size, b"x" * size)
    connection.call_ok("SET", "number", "12345")
    connection.call("RPUSH", "list", "a")
    connection.call("SADD", "set", "a", "b", "c")
    connection.call("ZADD", "zset", *(word for i in range(8) for word in (i, "m%d" % i)))
    connection.call("HSET", "hash", *range(2000))
    connection.call("XADD", "stream", "*", "a", "b")
    connection.call_ok("SELECT", 3)
    connection.call("RPUSH", "list", *range(100))
    assert key_sizes(server) == {
        "db0_distrib_strings_sizes": {"0": 1, "1": 1, "2": 2, "4": 2, "512": 1, "1K": 2, "2K": 1, "1M": 1},
        "db0_distrib_lists_items": {"1": 1},
        "db0_distrib_sets_items": {"2": 1},
        "db0_distrib_zsets_items": {"8": 1},
        "db0_distrib_hashes_items": {"512": 1},
        "db3_distrib_lists_items": {"64": 1},
    }
    connection.call_ok("FLUSHALL")
    assert key_sizes(server) == {}


@pytest.mark.ours("a field of Redis 7.4")
def test_hashes_with_fields_that_expire_are_counted(server):
    connection = server.connect()
    for i in range(5):
        connection.call("HSET", b"hash:%d" % i, "a", "1", "b", "2")
    for i in range(1, 4):
        connection.call("HEXPIRE", b"hash:%d" % i, "1000", "FIELDS", "1", "a")
    assert server.info("keyspace")["db0"].endswith(",subexpiry=3")
    connection.call("HPERSIST", "hash:1", "FIELDS", "1", "a")
    connection.call("DEL", "hash:2")
    assert server.info("keyspace")["db0"].endswith(",subexpiry=1")


@pytest.mark.ours("a section of Redis 8")
def test_key_sizes_of_many_keys(server):
    connection = server.connect()
    keys = 20_000
    for begin in range(0, keys, 1000):
        connection.send(b"".join(encode(b"SET", b"key:%d" % i, b"x" * (10 if i % 4 else 100)) for i in range(begin, begin + 1000)))
        assert [connection.read() for _ in range(1000)] == [b"OK"] * 1000
    connection.call("RPUSH", "list", *range(1000))
    estimate = key_sizes(server)["db0_distrib_strings_sizes"]
    assert list(estimate) == ["8", "64"] and abs(sum(estimate.values()) - keys) < 30
    assert abs(estimate["64"] - keys / 4) < keys / 20, "what was seen stands for the whole"
    exact = {"db0_distrib_strings_sizes": {"8": keys * 3 // 4, "64": keys // 4}, "db0_distrib_lists_items": {"512": 1}}
    assert wait_until(lambda: key_sizes(server) == exact)
    connection.call("DEL", *["key:%d" % i for i in range(keys)])
    assert key_sizes(server) == {"db0_distrib_lists_items": {"512": 1}}
