"""maxmemory: what is evicted, what is refused, and that memory stays below the limit."""

import time

import pytest

from harness import Error, encode, wait_until

OOM = Error(b"OOM command not allowed when used memory > 'maxmemory'.")
MB = 1 << 20



def fill(connection, count, size=100, prefix=b"key", expire=None):
    value = b"v" * size
    for begin in range(0, count, 1000):
        end = min(begin + 1000, count)
        more = (b"PX", b"%d" % expire) if expire else ()
        connection.send(b"".join(encode(b"SET", b"%s:%d" % (prefix, i), value, *more) for i in range(begin, end)))
        for _ in range(begin, end):
            connection.read()


def test_without_eviction_commands_that_need_memory_are_refused(server):
    connection = server.connect()
    connection.call_ok("SET", "key", "value")
    connection.call_ok("CONFIG", "SET", "maxmemory", "1")
    for command in [("SET", "a", "b"), ("LPUSH", "l", "a"), ("HSET", "h", "a", "b"), ("APPEND", "key", "x"), ("SADD", "s", "a"),
                    ("ZADD", "z", "1", "a"), ("XADD", "x", "*", "a", "b"), ("SETRANGE", "key", "5", "x"), ("COPY", "key", "other")]:
        assert connection.call(*command) == OOM, command
    assert connection.call("GET", "key") == b"value"
    assert connection.call("SET", "a") == Error(b"ERR wrong number of arguments for 'set' command")
    assert connection.call("EXPIRE", "key", 100) == 1
    assert connection.call("DEL", "key") == 1
    assert server.info("commandstats")["cmdstat_set"].split("rejected_calls=")[1].startswith("2,")
    assert server.info("errorstats")["errorstat_OOM"] == "count=9"
    connection.call_ok("CONFIG", "SET", "maxmemory", "0")
    connection.call_ok("SET", "a", "b")


def test_what_a_transaction_may_do_above_the_limit(server):
    connection = server.connect()
    aborted = Error(b"EXECABORT Transaction discarded because of previous errors.")
    connection.call_ok("CONFIG", "SET", "maxmemory", "1")
    connection.call_ok("MULTI")
    assert connection.call("SET", "a", "b") == OOM
    assert connection.call("EXEC") == aborted
    for command in [("GET", "a"), ("MULTI",), ("WATCH", "a"), ("UNWATCH",), ("PING",)]:
        connection.call_ok("MULTI")
        assert connection.call(*command) == OOM, command
        assert connection.call("EXEC") == aborted
    for command, reply in [("DISCARD", b"OK"), ("RESET", b"RESET"), ("EXEC", [])]:
        connection.call_ok("MULTI")
        assert connection.call(command) == reply
    connection.call_ok("CONFIG", "SET", "maxmemory", "0")
    connection.call_ok("MULTI")
    assert connection.call("SET", "a", "b") == b"QUEUED"
    server.connect().call_ok("CONFIG", "SET", "maxmemory", "1")
    reply = connection.call("EXEC")
    assert reply == Error(b"EXECABORT Transaction discarded because of: " + OOM)


def test_what_a_script_may_do_above_the_limit(server):
    connection = server.connect()
    connection.call_ok("SET", "key", "value")
    connection.call_ok("CONFIG", "SET", "maxmemory", "1")
    for head, write, read in [("", OOM, b"value"), ("#!lua\n", OOM, OOM), ("#!lua flags=allow-oom\n", b"OK", b"value"),
                              ("#!lua flags=no-writes\n", b"ERR Write commands are not allowed", b"value")]:
        assert connection.call("EVAL", head + "return redis.call('get', 'key')", 0) == read
        reply = connection.call("EVAL", head + "return redis.call('set', 'key', 'value')", 0)
        assert reply.startswith(write), head
    assert connection.call("EVAL", "return redis.pcall('set', 'key', 'x').err", 0) == OOM
    assert connection.call("EVAL", "redis.call('del', 'key') return redis.call('set', 'key', 'x')", 0) == b"OK"


def test_volatile_policies_refuse_when_nothing_expires(server):
    connection = server.connect()
    connection.call_ok("SET", "key", "value")
    for policy in ["volatile-lru", "volatile-lfu", "volatile-random", "volatile-ttl"]:
        connection.call_ok("CONFIG", "SET", "maxmemory-policy", policy)
        connection.call_ok("CONFIG", "SET", "maxmemory", "1")
        assert connection.call("SET", "a", "b") == OOM
        assert connection.call("DBSIZE") == 1
        connection.call_ok("CONFIG", "SET", "maxmemory", "0")


POLICIES = ["allkeys-lru", "allkeys-lfu", "allkeys-random", "volatile-lru", "volatile-lfu", "volatile-random", "volatile-ttl"]
NEWER = [pytest.param(policy, marks=pytest.mark.ours("of Redis 8.6")) for policy in ("allkeys-lrm", "volatile-lrm")]


@pytest.mark.parametrize("policy", POLICIES + NEWER)
def test_each_policy_keeps_below_the_limit(start, policy):
    server = start()
    connection = server.connect()
    volatile = policy.startswith("volatile")
    fill(connection, 5000, prefix=b"stays")
    limit = int(server.info("memory")["used_memory"]) + 4 * MB
    connection.call_ok("CONFIG", "SET", "maxmemory", limit, "maxmemory-policy", policy)
    highest = 0
    for part in range(20):
        fill(connection, 4000, prefix=b"part%d" % part, expire=1000_000 if volatile else None)
        highest = max(highest, int(server.info("memory")["used_memory"]))
    assert highest <= limit * 1.02  # with what INFO itself needs
    stats = server.info("stats")
    assert int(stats["evicted_keys"]) == 85_000 - connection.call("DBSIZE")
    assert int(stats["evicted_keys"]) > 10_000
    if volatile:
        assert all(connection.call("EXISTS", "stays:%d" % i) for i in range(0, 5000, 7))


@pytest.mark.ours("Redis's clock of uses ticks once a second")
def test_lru_keeps_what_is_used(start):
    server = start(maxmemory_policy="allkeys-lru")
    connection = server.connect()
    fill(connection, 1000, prefix=b"used")
    connection.call_ok("CONFIG", "SET", "maxmemory", int(server.info("memory")["used_memory"]) + 2 * MB)
    for part in range(40):
        time.sleep(0.03)
        connection.send(b"".join(encode(b"GET", b"used:%d" % i) for i in range(1000)))
        assert all(connection.read() is not None for i in range(1000)), part
        time.sleep(0.03)
        fill(connection, 1000, prefix=b"part%d" % part)
    assert int(server.info("stats")["evicted_keys"]) > 5000


def test_lfu_keeps_what_is_used_often(start):
    server = start(maxmemory_policy="allkeys-lfu")
    connection = server.connect()
    fill(connection, 1000, prefix=b"used")
    for _ in range(50):
        connection.send(b"".join(encode(b"GET", b"used:%d" % i) for i in range(1000)))
        for i in range(1000):
            connection.read()
    connection.call_ok("CONFIG", "SET", "maxmemory", int(server.info("memory")["used_memory"]) + 2 * MB)
    fill(connection, 40_000, prefix=b"once")
    assert sum(connection.call("EXISTS", "used:%d" % i) for i in range(1000)) > 950
    assert int(server.info("stats")["evicted_keys"]) > 5000


@pytest.mark.ours("of Redis 8.6")
def test_lrm_looks_at_changes_alone(server):
    connection = server.connect()
    connection.call_ok("CONFIG", "SET", "maxmemory-policy", "allkeys-lrm")
    connection.call_ok("SET", "key", "value")
    time.sleep(2.1)
    connection.call("GET", "key")
    assert connection.call("OBJECT", "IDLETIME", "key") >= 1
    connection.call("APPEND", "key", "x")
    assert connection.call("OBJECT", "IDLETIME", "key") == 0


def test_a_lower_limit_is_reached_without_commands(start):
    server = start(maxmemory_policy="allkeys-random")
    connection = server.connect()
    fill(connection, 50_000)
    before = int(server.info("memory")["used_memory"])
    connection.call_ok("CONFIG", "SET", "maxmemory", before - 3 * MB)
    wait_until(lambda: int(server.info("memory")["used_memory"]) <= before - 3 * MB + 65536, 10)
    assert connection.call("DBSIZE") < 50_000
    assert "smaller than the current memory usage" in server.log()


def test_large_values_go_too(start):
    server = start(maxmemory="60mb", maxmemory_policy="allkeys-lru")
    connection = server.connect()
    for i in range(60):
        connection.call_ok("SET", "large:%d" % i, b"x" * (3 * MB))
        assert int(server.info("memory")["used_memory"]) < 60 * MB * 1.01 + 4 * MB
    assert 5 < connection.call("DBSIZE") < 20


def test_frequencies_are_counted_by_reads_and_writes(server):
    connection = server.connect()
    connection.call_ok("CONFIG", "SET", "maxmemory-policy", "allkeys-lfu", "lfu-log-factor", "0")
    connection.call_ok("SET", "key", "some value")
    expected = 5
    assert connection.call("OBJECT", "FREQ", "key") == expected
    for command in [("GET", "key"), ("SET", "key", "other"), ("APPEND", "key", "x"), ("STRLEN", "key"), ("TOUCH", "key"),
                    ("SETRANGE", "key", 2, "y"), ("GETRANGE", "key", 0, 1), ("EXPIRE", "key", 1000), ("PERSIST", "key")]:
        connection.call(*command)
        expected += 1
        assert connection.call("OBJECT", "FREQ", "key") == expected, command
    for command in [("TTL", "key"), ("EXISTS", "key"), ("TYPE", "key"), ("OBJECT", "ENCODING", "key"), ("MEMORY", "USAGE", "key")]:
        connection.call(*command)
        assert connection.call("OBJECT", "FREQ", "key") == expected, command


def test_the_largest_clients_go_first(start):
    server = start(maxmemory_clients="20mb")
    admin = server.connect()
    spared = server.connect()
    spared.call_ok("CLIENT", "NO-EVICT", "on")
    spared.send(b"*2\r\n$4\r\nECHO\r\n$8000000\r\n" + b"x" * 7_000_000)
    large, small = server.connect(), server.connect()
    small.call("CLIENT", "SETNAME", "small")
    large.send(b"*2\r\n$4\r\nECHO\r\n$8000000\r\n" + b"x" * 7_000_000)
    time.sleep(0.3)
    assert large.is_silent()
    other = server.connect()
    try:
        other.send(b"*2\r\n$4\r\nECHO\r\n$9000000\r\n" + b"x" * 6_000_000)
    except OSError:
        pass  # it was closed before all was sent
    wait_until(lambda: int(server.info("stats")["evicted_clients"]) == 1, 5)
    closed = [connection for connection in (large, other) if connection.is_closed(1)]
    assert len(closed) == 1
    large = other if closed == [large] else large
    assert small.call("PING") == b"PONG" and admin.call("PING") == b"PONG"
    assert spared.is_silent()
    spared.send(b"x" * 1_000_000 + b"\r\n")
    assert len(spared.read()) == 8_000_000
    assert "Evicting client: id=" in server.log()
    admin.call_ok("CONFIG", "SET", "maxmemory-clients", "4mb")
    wait_until(lambda: int(server.info("stats")["evicted_clients"]) == 2, 5)
    assert large.is_closed()


def test_the_limit_of_clients_may_be_a_share_of_maxmemory(start):
    server = start(maxmemory="100mb", maxmemory_clients="5%")
    connection = server.connect()
    with_replies = server.connect()
    connection.call_ok("SET", "key", b"v" * 1_000_000)
    try:
        for _ in range(40):
            with_replies.command("GET", "key")
    except OSError:
        pass
    wait_until(lambda: int(server.info("stats")["evicted_clients"]) == 1, 5)
    assert connection.call("STRLEN", "key") == 1_000_000
