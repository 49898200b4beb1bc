"""maxmemory: what is evicted, what is refused, and that memory stays below the limit."""

import threading
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
    assert wait_until(lambda: int(server.info("memory")["used_memory"]) <= before - 3 * MB + 65536, 10)
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
    assert wait_until(lambda: int(server.info("stats")["evicted_clients"]) == 1, 5)
    closed = [connection for connection in (large, other) if connection.is_closed(1)]
    assert len(closed) == 1
    large = other if closed == [large] else large
    assert small.call("PING") == b"PONG" and admin.call("PING") == b"PONG"
    assert spared.is_silent()
    spared.send(b"x" * 1_000_000 + b"\r\n")
    assert len(spared.read()) == 8_000_000
    assert "Evicting client: id=" in server.log()
    admin.call_ok("CONFIG", "SET", "maxmemory-clients", "4mb")
    assert wait_until(lambda: int(server.info("stats")["evicted_clients"]) == 2, 5)
    assert large.is_closed()


@pytest.mark.parametrize("how", ["blocked", "paused"])
def test_what_clients_hold_counts_towards_their_limit(start, how):
    server = start(maxmemory_clients="10mb")
    admin = server.connect()
    if how == "paused":
        admin.call_ok("CLIENT", "PAUSE", 100_000, "WRITE")
    waiting = []
    for _ in range(12):
        waiting.append(server.connect())
        large = b"v" * 2_000_000
        try:
            waiting[-1].send(encode("SET", "key", large) if how == "paused" else encode("BLPOP", large, 0))
        except OSError:
            pass  # it was evicted itself
    assert wait_until(lambda: int(server.info("stats")["evicted_clients"]) >= 7)
    assert int(server.info("memory")["mem_clients_normal"]) < 12 * MB
    remains = [dict(word.split(b"=", 1) for word in line.split()) for line in admin.call("CLIENT", "LIST").split(b"\n") if line]
    assert all(int(each[b"tot-mem"]) > int(each[b"argv-mem"]) for each in remains)
    admin.call("CLIENT", "UNPAUSE")


def test_the_first_use_of_a_feature_costs_no_memory_to_speak_of(server):
    """A cache with a small limit would be thrown away for it."""
    before = int(server.info("memory")["used_memory"])
    for commands in [
        [("SUBSCRIBE", "a")], [("SSUBSCRIBE", "a")], [("PSUBSCRIBE", "a*")], [("BLPOP", "a", "0.01")],
        [("WATCH", "a"), ("MULTI",), ("SET", "a", "1"), ("EXEC",)], [("CLIENT", "TRACKING", "ON"), ("GET", "a")],
        [("XADD", "b", "*", "a", "1")], [("SADD", "c", "a")], [("ZADD", "d", "1", "a")], [("HSET", "e", "a", "1")],
    ]:  # fmt: skip
        with server.connect(protocol=3) as connection:
            for command in commands:
                connection.call(*command)
    assert int(server.info("memory")["used_memory"]) - before < 300_000


def test_a_search_for_keys_that_may_go_lets_few_writes_in(server):
    """Among many that may not; each that expires begins it anew."""
    connection = server.connect()
    fill(connection, 200_000)
    connection.call_ok("CONFIG", "SET", "maxmemory-policy", "volatile-lru")
    limit = counted_memory(connection) - 2 * MB
    connection.call_ok("CONFIG", "SET", "maxmemory", limit)
    accepted = 0
    for i in range(300):
        connection.call("EXPIRE", f"key:{i}", 1000)
        accepted += sum(connection.call("SET", f"more:{i}:{j}", b"v" * 20_000) == b"OK" for j in range(5))
    assert counted_memory(connection) < limit + 4 * MB
    assert accepted < 150


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
    assert wait_until(lambda: int(server.info("stats")["evicted_clients"]) == 1, 5)
    assert connection.call("STRLEN", "key") == 1_000_000


def counted_memory(connection):
    fields = dict(line.split(b":", 1) for line in connection.call("INFO", "memory").split(b"\r\n") if b":" in line)
    return int(fields[b"used_memory"]) - int(fields[b"mem_not_counted_for_evict"])


@pytest.mark.parametrize("policy", ["allkeys-lru", "noeviction"])
def test_large_values_of_many_clients_pass_the_limit_by_one_at_most(start, policy):
    server = start(maxmemory=20 * MB, maxmemory_policy=policy)
    value, rounds, most, failures = b"x" * MB, 12, 0, []

    def write(number):
        connection = server.connect()
        for i in range(rounds):
            connection.send(b"".join(encode(b"SET", b"key:%d:%d:%d" % (number, i, j), value) for j in range(4)))
            failures.extend(reply for reply in (connection.read() for _ in range(4)) if reply not in (b"OK", OOM))

    writers = [threading.Thread(target=write, args=(number,)) for number in range(6)]
    watcher = server.connect()
    for writer in writers:
        writer.start()
    while any(writer.is_alive() for writer in writers):
        most = max(most, counted_memory(watcher))
    assert not failures
    assert most < 20 * MB * 1.01 + MB
    assert 10 <= watcher.call("DBSIZE") <= 19
    evicted = int(server.info("stats")["evicted_keys"])
    assert (evicted == 0) if policy == "noeviction" else (evicted == 6 * rounds * 4 - watcher.call("DBSIZE"))


def full_server(start):
    server = start(maxmemory=10 * MB)
    admin = server.connect()
    while admin.call("SET", b"key:%d" % admin.call("DBSIZE"), b"x" * MB) != OOM:
        pass
    return server, admin


def begin_large(server, key=b"half", size=2 * MB):
    """A client that has sent the half of a value."""
    connection = server.connect()
    whole = encode(b"SET", key, b"y" * size)
    connection.send(whole[: len(whole) // 2])
    return connection, whole[len(whole) // 2 :]


def test_who_stops_within_a_value_holds_up_nobody(start):
    server, admin = full_server(start)
    stopped = [begin_large(server) for _ in range(3)]
    other = server.connect()
    assert other.call("SET", "large", b"z" * 3 * MB) == OOM
    for connection, rest in stopped:
        connection.send(rest)
        assert connection.read() == OOM
    assert counted_memory(admin) < 10 * MB


def test_who_waits_for_room_may_go(start):
    server, admin = full_server(start)
    before = counted_memory(admin)
    for _ in range(3):
        for connection, _ in [begin_large(server) for _ in range(4)]:
            connection.close()
    assert wait_until(lambda: server.info("clients")["connected_clients"] == "2", 10)
    assert counted_memory(admin) < before + 100_000
    admin.call("DEL", "key:0", "key:1", "key:2")
    admin.call_ok("SET", "large", b"x" * 2 * MB)


def test_several_large_arguments_of_one_command(start):
    server, _ = full_server(start)
    connections = [server.connect() for _ in range(4)]
    for i, connection in enumerate(connections):
        connection.send(encode(b"MSET", b"a:%d" % i, b"1" * MB, b"b:%d" % i, b"2" * MB) + encode(b"PING"))
    for connection in connections:
        assert connection.read() == OOM
        assert connection.read() == b"PONG"
    server.connect().call_ok("CONFIG", "SET", "maxmemory-policy", "allkeys-random")
    for i, connection in enumerate(connections):
        connection.send(encode(b"MSET", b"a:%d" % i, b"1" * MB, b"b:%d" % i, b"2" * MB) + encode(b"STRLEN", b"b:%d" % i))
    for connection in connections:
        assert connection.read() in (b"OK", OOM)  # all the others' first arguments may stand in the way
        assert connection.read() in (MB, 0)
    connection = server.connect()
    connection.call_ok("MSET", "a", b"1" * MB, "b", b"2" * MB)
    assert connection.call("STRLEN", "b") == MB


def test_a_large_value_behind_a_command_that_waits(start):
    server, admin = full_server(start)
    connection = server.connect()
    connection.send(encode(b"BLPOP", b"list", b"0") + encode(b"SET", b"large", b"y" * 2 * MB) + encode(b"PING"))
    assert wait_until(lambda: server.info("clients")["blocked_clients"] == "1", 10)
    assert server.connect().call("SET", "other", b"z" * MB) == OOM
    admin.call("DEL", *[b"key:%d" % i for i in range(5)])
    assert admin.call("RPUSH", "list", "item") == 1
    assert [connection.read() for _ in range(3)] == [[b"list", b"item"], b"OK", b"PONG"]
    assert admin.call("STRLEN", "large") == 2 * MB


def test_a_limit_that_goes_lets_everybody_in(start):
    server, admin = full_server(start)
    waiting = [begin_large(server, b"half:%d" % i) for i in range(3)]
    admin.call_ok("CONFIG", "SET", "maxmemory", "0")
    for connection, rest in waiting:
        connection.send(rest)
        assert connection.read() == b"OK"
    assert admin.call("EXISTS", "half:0", "half:1", "half:2") == 3
