"""Transactions: many sessions at once, however their bytes come, in memory's bounds, and with redis-py."""

import concurrent.futures
import threading

import pytest
import redis
import redis.lock

import harness
from harness import Closed, NullArray, encode, wait_until

MEGABYTE = 1 << 20


def fields_of(line):
    return dict(field.split("=", 1) for field in bytes(line).decode().strip().split(" "))


def described(connection, name):
    """The line of CLIENT LIST of the session with this name."""
    lines = map(fields_of, connection.call("CLIENT", "LIST").splitlines())
    return next(fields for fields in lines if fields["name"] == name)


# How the bytes come


def test_a_transaction_in_pieces_of_any_size(connection):
    large = b"v" * 100_000
    commands = [("MULTI",), ("SET", "key", "value"), ("SET", "large", large), ("INCR", "number"), ("GET", "key"), ("GET", "large"), ("EXEC",)]
    data = b"".join(encode(*command) for command in commands)
    for pieces in (1, 2, 7, 50, 3000):
        connection.call("DEL", "number")
        size = len(data) // pieces + 1
        for begin in range(0, len(data), size):
            connection.send(data[begin : begin + size])
        replies = [connection.read() for _ in commands]
        assert replies[0] == b"OK" and replies[1:-1] == [b"QUEUED"] * 5
        assert replies[-1] == [b"OK", b"OK", 1, b"value", large]


def test_many_transactions_in_one_pipeline(connection):
    body = b"".join(encode(*command) for command in (("MULTI",), ("INCR", "a"), ("INCR", "b"), ("EXEC",)))
    connection.send(body * 1000)
    for number in range(1, 1001):
        assert [connection.read() for _ in range(4)] == [b"OK", b"QUEUED", b"QUEUED", [number, number]]


def test_a_transaction_longer_than_a_turn(connection):
    """More commands than one batch takes of a session."""
    count = 5000
    connection.send(encode("MULTI") + b"".join(encode("RPUSH", "list", n) for n in range(count)) + encode("EXEC"))
    assert [connection.read() for _ in range(count + 1)] == [b"OK"] + [b"QUEUED"] * count
    assert connection.read() == list(range(1, count + 1))
    assert connection.call("LRANGE", "list", 0, -1) == [b"%d" % n for n in range(count)]


def test_inline_commands(connection):
    connection.send(b"MULTI\r\nSET key 'a b'\r\nGET key\r\nEXEC\r\n")
    assert [connection.read() for _ in range(4)] == [b"OK", b"QUEUED", b"QUEUED", [b"OK", b"a b"]]


# Sessions together


def test_no_other_command_comes_between(server):
    """Two counters that every transaction raises together are never seen apart."""
    stop = threading.Event()

    def write():
        connection = server.connect()
        rounds = 0
        while not stop.is_set() or rounds < 100:
            connection.send(b"".join(encode(*words) for words in (("MULTI",), ("INCR", "a"), ("INCR", "b"), ("EXEC",))))
            replies = [connection.read() for _ in range(4)]
            assert replies[3][0] == replies[3][1]
            rounds += 1
        return rounds

    with concurrent.futures.ThreadPoolExecutor() as pool:
        writers = [pool.submit(write) for _ in range(3)]
        reader = server.connect()
        for _ in range(1000):
            a, b = reader.call("MGET", "a", "b")
            assert a == b
        stop.set()
        total = sum(writer.result() for writer in writers)
    assert reader.call("GET", "a") == b"%d" % total


def test_who_waits_is_served_behind_the_transaction(server, connection):
    first, second = server.connect(), server.connect()
    for waiting in (first, second):
        waiting.command("BLPOP", "list", 0)
        assert wait_until(lambda: int(server.info("clients")["blocked_clients"]) == 1 + (waiting is second))
    connection.call("MULTI")
    connection.call("RPUSH", "list", "a")
    connection.call("LLEN", "list")
    connection.call("RPUSH", "list", "b", "c")
    connection.call("LPOP", "list")
    assert first.is_silent()
    assert connection.call("EXEC") == [1, 1, 3, b"a"]
    assert first.read() == [b"list", b"b"]
    assert second.read() == [b"list", b"c"]


def test_a_key_that_is_gone_again_serves_nobody(server, connection):
    waiting = server.connect()
    waiting.command("BLPOP", "list", 0)
    assert wait_until(lambda: int(server.info("clients")["blocked_clients"]) == 1)
    connection.call("MULTI")
    connection.call("RPUSH", "list", "a")
    connection.call("DEL", "list")
    assert connection.call("EXEC") == [1, 1]
    assert waiting.is_silent()


def test_a_served_waiter_breaks_a_watch(server, connection):
    waiting, watching = server.connect(), server.connect()
    waiting.command("BLMOVE", "from", "to", "LEFT", "LEFT", 0)
    assert wait_until(lambda: int(server.info("clients")["blocked_clients"]) == 1)
    watching.call("WATCH", "to")
    connection.call("RPUSH", "from", "a")
    assert waiting.read() == b"a"
    watching.call("MULTI")
    assert isinstance(watching.call("EXEC"), NullArray)


def test_sessions_that_vanish(server, connection):
    """Their queues and watches go with them."""
    connection.call("SET", "key", "value")

    def wave():
        clients = [server.connect() for _ in range(100)]
        for number, client in enumerate(clients):
            client.call("WATCH", "key", "other", f"own{number}")
            client.call("MULTI")
            client.call("SET", "key", b"x" * 10_000)
            client.call("SET", "key", b"x" * 100_000)
        assert int(server.info("clients")["connected_clients"]) == 102
        for client in clients:
            client.close()
        assert wait_until(lambda: int(server.info("clients")["connected_clients"]) == 2)

    wave()
    used = int(server.info("memory")["used_memory"])
    wave()
    assert connection.call("GET", "key") == b"value"
    assert int(server.info("memory")["used_memory"]) - used < 200_000
    connection.call_ok("SET", "key", "other")


def test_everybody_who_watches_a_key_hears_of_it(server, connection):
    watching = [server.connect() for _ in range(50)]
    for number, client in enumerate(watching):
        client.call("WATCH", "key", f"own{number}")
    connection.call("SET", "key", "value")
    connection.call("WATCH", "own3")
    connection.call("SET", "own3", "value")
    for client in watching:
        client.call("MULTI")
        client.call("PING")
        assert isinstance(client.call("EXEC"), NullArray)
        client.call("MULTI")
        assert client.call("EXEC") == []


def test_a_thousand_keys_watched(connection, server):
    other = server.connect()
    keys = [f"key:{number}" for number in range(1000)]
    for changed in (None, "key:0", "key:500", "key:999"):
        connection.call_ok("WATCH", *keys)
        if changed:
            other.call("APPEND", changed, "x")
        connection.call("MULTI")
        connection.call("PING")
        reply = connection.call("EXEC")
        assert isinstance(reply, NullArray) if changed else reply == [b"PONG"]


def test_an_absent_key_that_is_set_and_gone_at_once(connection):
    connection.call_ok("WATCH", "key")
    connection.call_ok("SET", "key", "x", "PXAT", "1")
    connection.call("MULTI")
    assert isinstance(connection.call("EXEC"), NullArray)


def test_what_hangs_on_a_stream_is_not_watched(connection, server):
    """Groups and what they have read are no content: 7.0 and newer ones leave watches of the stream alone."""
    other = server.connect()
    for number in range(1, 4):
        connection.call("XADD", "stream", f"{number}-1", "field", "value")
    for words in (
        "XGROUP CREATE stream group 0", "XGROUP CREATECONSUMER stream group one", "XREADGROUP GROUP group one COUNT 2 STREAMS stream >",
        "XACK stream group 1-1", "XCLAIM stream group two 0 2-1", "XAUTOCLAIM stream group three 0 0", "XGROUP SETID stream group 0",
        "XGROUP DELCONSUMER stream group three", "XGROUP DESTROY stream group", "XSETID stream 9-9",
    ):  # fmt: skip
        connection.call_ok("WATCH", "stream")
        other.call(*words.split())
        connection.call("MULTI")
        assert connection.call("EXEC") == [], words
    connection.call_ok("WATCH", "absent")
    other.call("XGROUP", "CREATE", "absent", "group", "0", "MKSTREAM")
    connection.call("MULTI")
    assert isinstance(connection.call("EXEC"), NullArray)


# CLIENT


@pytest.mark.ours("the field watch of CLIENT LIST is of 7.4")
def test_client_list_says_what_is_queued_and_watched(server, connection):
    connection.call("CLIENT", "SETNAME", "me")
    other = server.connect()
    assert described(other, "me")["multi"] == "-1"
    connection.call("WATCH", "a", "b")
    info = server.info("clients")
    assert (info["watching_clients"], info["total_watched_keys"]) == ("1", "2")
    assert described(other, "me")["watch"] == "2"
    connection.call("MULTI")
    connection.call("SET", "a", "x" * 1000)
    found = described(other, "me")
    assert (found["multi"], found["flags"]) == ("1", "x")
    assert 1000 < int(found["multi-mem"]) < 3000
    assert int(found["tot-mem"]) > int(found["multi-mem"])
    other.call("SET", "b", "y")
    found = described(other, "me")
    assert (found["flags"], found["watch"]) == ("xd", "0")
    connection.call("DISCARD")
    found = described(other, "me")
    assert (found["multi"], found["flags"], found["multi-mem"], found["watch"]) == ("-1", "N", "0", "0")
    info = server.info("clients")
    assert (info["watching_clients"], info["total_watched_keys"]) == ("0", "0")


def test_replies_off(connection):
    """They are off from the command on that says so, as Redis has it; what is left is no answer."""
    for command in (("MULTI",), ("PING",), ("CLIENT", "REPLY", "OFF"), ("PING",), ("CLIENT", "REPLY", "ON"), ("PING",)):
        connection.call(*command)
    connection.command("EXEC")
    connection.expect(b"*5\r\n+PONG\r\n+OK\r\n+PONG\r\n")
    connection.command("CLIENT", "REPLY", "OFF")
    for command in (("MULTI",), ("SET", "key", "value"), ("EXEC",)):
        connection.command(*command)
    connection.command("CLIENT", "REPLY", "ON")
    assert connection.read() == b"OK"
    assert connection.call("GET", "key") == b"value"
    connection.command("CLIENT", "REPLY", "SKIP")
    for command in (("MULTI",), ("GET", "key"), ("EXEC",)):
        connection.command(*command)
    assert [connection.read(), connection.read()] == [b"QUEUED", [b"value"]]


def test_killed_by_itself(server, connection):
    connection.call("MULTI")
    connection.call("PING")
    connection.call("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "no")
    connection.call("SET", "key", "value")
    connection.command("EXEC")
    assert connection.read_to_end() == b"*3\r\n+PONG\r\n:1\r\n"
    assert server.connect().call("GET", "key") == b"value"


def test_a_pause_of_writes_holds_what_writes(server, connection):
    control, reading = server.connect(), server.connect()
    connection.call("MULTI")
    connection.call("SET", "key", "value")
    reading.call("MULTI")
    reading.call("GET", "key")
    control.call("CLIENT", "PAUSE", 100_000, "WRITE")
    connection.command("EXEC")
    assert reading.call("EXEC") == [None]
    assert connection.is_silent()
    control.call("CLIENT", "UNPAUSE")
    assert connection.read() == [b"OK"]


@pytest.mark.ours("7.0 holds CLIENT UNPAUSE too")
def test_a_pause_of_everything_in_the_middle(server, connection):
    control = server.connect()
    connection.call("MULTI")
    control.call("CLIENT", "PAUSE", 100_000)
    connection.send(encode("SET", "key", "v" * 50_000) + encode("GET", "key") + encode("EXEC"))
    assert connection.is_silent()
    control.call("CLIENT", "UNPAUSE")
    assert [connection.read() for _ in range(3)] == [b"QUEUED", b"QUEUED", [b"OK", b"v" * 50_000]]


# Bounds


@pytest.mark.ours("7.0 does not bound it")
def test_what_is_queued_is_bounded(server, connection):
    """It counts as input that has not been run."""
    control = server.connect()
    control.call("CONFIG", "SET", "client-query-buffer-limit", 2 * MEGABYTE)
    connection.call("MULTI")
    with pytest.raises((Closed, OSError)):
        for _ in range(30_000):
            assert connection.call("SET", "key", b"x" * 100) == b"QUEUED"
    assert control.call("GET", "key") is None
    assert wait_until(lambda: int(server.info("clients")["connected_clients"]) == 2)
    assert "reached max query buffer length" in server.log()


@pytest.mark.ours("7.0 does not bound it")
def test_what_is_queued_is_bounded_in_one_pipeline(server, connection):
    control = server.connect()
    control.call("CONFIG", "SET", "client-query-buffer-limit", 2 * MEGABYTE)
    try:
        connection.send(encode("MULTI") + encode("SET", "key", b"x" * 1000) * 10_000 + encode("EXEC"))
        connection.read_to_end()
    except OSError:
        pass
    assert control.call("GET", "key") is None


# Files


def test_a_background_save_sees_all_or_nothing(server, connection, start):
    for number in range(50):
        connection.send(
            encode("MULTI") + encode("SET", "a", number) + encode("BGSAVE") + encode("SET", "b", number) + encode("EXEC")
        )
        replies = [connection.read() for _ in range(5)]
        if isinstance(replies[4][1], harness.Error):
            assert b"in progress" in replies[4][1]
    assert connection.call("MGET", "a", "b") == [b"49", b"49"]
    assert wait_until(lambda: server.info("persistence")["rdb_bgsave_in_progress"] == "0")


# redis-py


@pytest.fixture(params=[2, 3], ids=["resp2", "resp3"])
def client(server, request):
    client = server.client(protocol=request.param)
    yield client
    client.close()


def test_pipelines(client):
    with client.pipeline(transaction=True) as pipe:
        replies = pipe.set("key", 1).incr("key").hset("hash", mapping={"f": "v"}).hgetall("hash").execute()
    assert replies == [True, 2, 1, {b"f": b"v"}]
    with client.pipeline() as pipe:
        pipe.set("key", "text").incr("key").get("key")
        with pytest.raises(redis.ResponseError, match="Command # 2 .*not an integer"):
            pipe.execute()
    with client.pipeline() as pipe:
        replies = pipe.incr("key").get("key").execute(raise_on_error=False)
    assert isinstance(replies[0], redis.ResponseError) and replies[1] == b"text"
    with client.pipeline() as pipe:
        pipe.execute_command("nosuch").get("key")
        with pytest.raises(redis.ResponseError, match="unknown command"):
            pipe.execute()


def test_watch_loops(server, client):
    """Counters raised by reading and writing, which only WATCH makes safe."""

    def raise_counter():
        own = server.client()
        retries = 0
        for _ in range(50):
            with own.pipeline() as pipe:
                while True:
                    try:
                        pipe.watch("counter")
                        number = int(pipe.get("counter") or 0)
                        pipe.multi()
                        pipe.set("counter", number + 1)
                        pipe.rpush("seen", number)
                        pipe.execute()
                        break
                    except redis.WatchError:
                        retries += 1
        own.close()
        return retries

    with concurrent.futures.ThreadPoolExecutor() as pool:
        retries = [future.result() for future in [pool.submit(raise_counter) for _ in range(4)]]
    assert client.get("counter") == b"200"
    assert client.lrange("seen", 0, -1) == [b"%d" % n for n in range(200)]
    assert sum(retries) > 0


def test_the_transaction_helper(client):
    client.mset({"a": 1, "b": 2})

    def swap(pipe):
        a, b = pipe.mget("a", "b")
        pipe.multi()
        pipe.mset({"a": b, "b": a})

    assert client.transaction(swap, "a", "b") == [True]
    assert client.mget("a", "b") == [b"2", b"1"]


def test_watched_keys_that_end(client):
    client.set("key", "value", px=40)
    with client.pipeline() as pipe:
        pipe.watch("key")
        threading.Event().wait(0.08)
        pipe.multi()
        pipe.ping()
        with pytest.raises(redis.WatchError):
            pipe.execute()


def test_a_rewrite_waits_for_the_end(start):
    server = start(appendonly="yes")
    connection = server.connect()
    assert wait_until(lambda: server.info("persistence")["aof_rewrite_in_progress"] == "0")
    for command in (("MULTI",), ("SET", "a", 1), ("BGREWRITEAOF",), ("SET", "b", 1)):
        connection.call(*command)
    assert connection.call("EXEC")[1] == b"Background append only file rewriting scheduled"
    assert wait_until(lambda: server.log().count("Background AOF rewrite finished successfully") >= 1)


def test_appending_is_switched_in_the_middle(start):
    """What is written of the transaction is as a whole as it can be; nothing breaks."""
    server = start(appendonly="yes")
    connection = server.connect()
    for value in ("no", "yes", "no"):
        connection.call("MULTI")
        for key in "abcd":
            connection.call("SET", key, value)
            if key == "b":
                connection.call("CONFIG", "SET", "appendonly", value)
        assert connection.call("EXEC") == [b"OK"] * 5
    assert connection.call("MGET", *"abcd") == [b"no"] * 4
