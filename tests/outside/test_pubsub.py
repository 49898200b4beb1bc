"""Publish and subscribe: many subscribers, slow ones, the order of messages, and redis-py."""

import random
import resource
import socket
import threading
import time

import pytest

import harness
from harness import Closed, encode, wait_until

MEGABYTE = 1 << 20


def info(connection, section, field):
    return int(harness.parse_info(connection.call("INFO", section))[field])


def subscribed(server, *channels, protocol=2, command="SUBSCRIBE"):
    connection = server.connect(protocol=protocol)
    connection.send(encode(command, *channels))
    for _ in channels:
        connection.read()
    return connection


# Order


def test_replies_of_a_pipeline_with_subscriptions(connection):
    connection.send(encode("SUBSCRIBE", "a", "b") + encode("UNSUBSCRIBE") + encode("PING") + encode("GET", "key"))
    assert [connection.read() for _ in range(6)] == [
        [b"subscribe", b"a", 1],
        [b"subscribe", b"b", 2],
        [b"unsubscribe", b"a", 1],
        [b"unsubscribe", b"b", 0],
        b"PONG",
        None,
    ]


@pytest.mark.since("7.2")
def test_own_messages_come_behind_the_reply(server):
    connection = server.connect(protocol=3)
    connection.call("SUBSCRIBE", "a")
    connection.send(encode("PUBLISH", "a", "1") + encode("PUBLISH", "a", "2") + encode("ECHO", "x"))
    message = [b"message", b"a"]
    assert [connection.read() for _ in range(5)] == [1, message + [b"1"], 1, message + [b"2"], b"x"]


@pytest.mark.since("7.2")
@pytest.mark.parametrize("protocol", [2, 3])
def test_own_messages_come_behind_exec(server, protocol):
    connection = server.connect(protocol=protocol)
    commands = ("MULTI",), ("SUBSCRIBE", "a"), ("PUBLISH", "a", "m"), ("GET", "key"), ("EXEC",)
    connection.send(b"".join(encode(*command) for command in commands))
    assert [connection.read() for _ in range(4)] == [b"OK"] + [b"QUEUED"] * 3
    assert connection.read() == [[b"subscribe", b"a", 1], 1, None]
    assert connection.read() == [b"message", b"a", b"m"]


def test_messages_of_one_publisher_in_its_order(server):
    subscriber = subscribed(server, "a")
    publisher = server.connect()
    publisher.send(b"".join(encode("PUBLISH", "a", n) for n in range(2000)))
    assert [subscriber.read()[2] for _ in range(2000)] == [b"%d" % n for n in range(2000)]
    assert [publisher.read() for _ in range(2000)] == [1] * 2000


@pytest.mark.parametrize("protocol", [2, 3])
def test_messages_though_no_replies_are_wanted(server, protocol):
    connection = server.connect(protocol=protocol)
    other = server.connect()
    connection.send(encode("CLIENT", "REPLY", "OFF") + encode("SUBSCRIBE", "a"))
    assert connection.read() == [b"subscribe", b"a", 1]
    assert other.call("PUBLISH", "a", "m") == 1
    assert connection.read() == [b"message", b"a", b"m"]
    connection.send(encode("PING") + encode("UNSUBSCRIBE", "a"))
    assert connection.read() == [b"unsubscribe", b"a", 0]


# Many


def test_shared_messages_of_all_sizes(server):
    """Enough subscribers to share what they get, some of each protocol, some of several channels."""
    publisher = server.connect()
    subscribers = [subscribed(server, "a", protocol=2 + n % 2) for n in range(40)]
    both = [subscribed(server, "a", "b", protocol=2 + n % 2) for n in range(20)]
    for size in (0, 1, 100, 5000, 16000, 16320, 17000, 200_000, 3_000_000):
        payload = random.randbytes(size)
        publisher.send(encode("PUBLISH", "a", payload) + encode("PUBLISH", "b", payload[:10]) + encode("PUBLISH", "a", "end"))
        assert [publisher.read() for _ in range(3)] == [60, 20, 60]
        for subscriber in subscribers:
            assert subscriber.read() == [b"message", b"a", payload]
            assert subscriber.read() == [b"message", b"a", b"end"]
        for subscriber in both:
            assert subscriber.read() == [b"message", b"a", payload]
            assert subscriber.read() == [b"message", b"b", payload[:10]]
            assert subscriber.read() == [b"message", b"a", b"end"]


def test_random_subscriptions_against_a_model(server):
    seed = random.randrange(1 << 32)
    print("seed", seed)
    rng = random.Random(seed)
    clients = [server.connect(protocol=3) for _ in range(24)]
    publisher = server.connect()
    channels, patterns = [b"a", b"ab", b"abc", b"b"], [b"a*", b"*b*", b"?", b"ab", b"[^a]*"]
    matching = {b"a*": {b"a", b"ab", b"abc"}, b"*b*": {b"ab", b"abc", b"b"}, b"?": {b"a", b"b"}, b"ab": {b"ab"}, b"[^a]*": {b"b"}}
    model = [{"": [], "P": [], "S": []} for _ in clients]

    def change(client, have, kind):
        names = rng.sample(patterns if kind == "P" else channels, rng.randint(1, 3))
        lower = kind.lower().encode()
        if rng.random() < 0.6:
            client.send(encode(kind + "SUBSCRIBE", *names))
            for name in names:
                if name not in have[kind]:
                    have[kind].append(name)
                count = len(have["S"]) if kind == "S" else len(have[""]) + len(have["P"])
                assert client.read() == [lower + b"subscribe", name, count]
            return
        everything = rng.random() < 0.2
        names = list(have[kind]) if everything else names
        client.send(encode(kind + "UNSUBSCRIBE", *([] if everything else names)))
        got = []
        for name in names or [None]:
            reply = client.read()
            if reply[1] in have[kind]:
                have[kind].remove(reply[1])
            count = len(have["S"]) if kind == "S" else len(have[""]) + len(have["P"])
            assert reply[0] == lower + b"unsubscribe" and reply[2] == count
            got.append(reply[1])
        assert sorted(got, key=str) == sorted(names or [None], key=str)

    for step in range(1500):
        i = rng.randrange(len(clients))
        if rng.random() < 0.02:
            clients[i].close()
            clients[i] = server.connect(protocol=3)
            model[i] = {"": [], "P": [], "S": []}
            wait_until(lambda: info(publisher, "clients", "connected_clients") == len(clients) + 1)
        elif rng.random() < 0.5:
            change(clients[i], model[i], rng.choice(["", "P", "S"]))
        elif rng.random() < 0.1:
            for channel in channels:
                assert publisher.call("PUBSUB", "NUMSUB", channel)[1] == sum(channel in have[""] for have in model)
                assert publisher.call("PUBSUB", "SHARDNUMSUB", channel)[1] == sum(channel in have["S"] for have in model)
            assert publisher.call("PUBSUB", "NUMPAT") == len({name for have in model for name in have["P"]})
            assert set(publisher.call("PUBSUB", "CHANNELS")) == {name for have in model for name in have[""]}
        else:
            channel, payload = rng.choice(channels), b"%d" % step
            shard = rng.random() < 0.3
            told = publisher.call("SPUBLISH" if shard else "PUBLISH", channel, payload)
            expected = 0
            for client, have in zip(clients, model):
                messages = []
                if shard and channel in have["S"]:
                    messages.append([b"smessage", channel, payload])
                if not shard and channel in have[""]:
                    messages.append([b"message", channel, payload])
                if not shard:
                    messages += [[b"pmessage", name, channel, payload] for name in have["P"] if channel in matching[name]]
                got = [client.read() for _ in messages]
                assert sorted(got) == sorted(messages)
                expected += len(messages)
            assert told == expected


def test_ten_thousand_subscribers(start):
    server = start(maxclients=11000)
    count = 10_000
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < count + 1000:
        resource.setrlimit(resource.RLIMIT_NOFILE, (count + 1000, hard))
    sockets = []
    request = encode("SUBSCRIBE", "news")
    confirmation = b"*3\r\n$9\r\nsubscribe\r\n$4\r\nnews\r\n:1\r\n"

    def receive(connection, size):
        data = b""
        while len(data) < size:
            part = connection.recv(size - len(data))
            assert part
            data += part
        return data

    try:
        for _ in range(count):
            connection = socket.create_connection(server.address)
            connection.settimeout(20)
            connection.sendall(request)
            sockets.append(connection)
        for connection in sockets:
            assert receive(connection, len(confirmation)) == confirmation
        publisher = server.connect(timeout=20)
        payload = b"x" * 1000
        expected = b"*3\r\n$7\r\nmessage\r\n$4\r\nnews\r\n$1000\r\n" + payload + b"\r\n"
        before = server.resident_bytes()
        for _ in range(5):
            assert publisher.call("PUBLISH", "news", payload) == count
        for connection in sockets:
            assert receive(connection, 5 * len(expected)) == 5 * expected
        assert server.resident_bytes() - before < 20 * MEGABYTE
        assert int(server.info("stats")["pubsub_channels"]) == 1
    finally:
        for connection in sockets:
            connection.close()
    wait_until(lambda: int(server.info("stats")["pubsub_channels"]) == 0)


# Slow ones


@pytest.mark.parametrize("subscribers", [1, 30])
def test_slow_subscribers_are_cut(start, subscribers):
    server = start(**{"client-output-buffer-limit": "pubsub 2mb 1mb 60"})
    slow = [subscribed(server, "a") for _ in range(subscribers)]
    publisher = server.connect()
    quick = subscribed(server, "a")
    payload = b"x" * 50_000
    for n in range(400):
        publisher.call("PUBLISH", "a", payload)
        assert quick.read() == [b"message", b"a", payload]
        if info(publisher, "clients", "pubsub_clients") == 1:
            break
    wait_until(lambda: info(publisher, "clients", "pubsub_clients") == 1)
    assert publisher.call("PUBLISH", "a", "m") == 1
    for connection in slow:
        with pytest.raises(Closed):
            while True:
                assert connection.read() == [b"message", b"a", payload]
    assert server.log().count("overcoming of output buffer limits") == subscribers


def test_the_soft_limit_cuts_after_its_time(start):
    server = start(**{"client-output-buffer-limit": "pubsub 100mb 500kb 1"})
    slow, publisher = subscribed(server, "a"), server.connect()
    for _ in range(200):
        publisher.call("PUBLISH", "a", b"x" * 50_000)
    assert info(publisher, "clients", "pubsub_clients") == 1
    wait_until(lambda: info(publisher, "clients", "pubsub_clients") == 0, seconds=10)
    slow.close()


def test_idle_subscribers_stay(start):
    server = start(timeout=1)
    subscriber, idle = subscribed(server, "a"), server.connect()
    assert idle.call("PING") == b"PONG"
    assert idle.is_closed(seconds=6)
    assert server.connect().call("PUBLISH", "a", "m") == 1
    assert subscriber.read() == [b"message", b"a", b"m"]


def test_classes_of_clients(server):
    subscriber, connection = subscribed(server, "a", "b"), server.connect()
    line = connection.call("CLIENT", "LIST", "TYPE", "pubsub").decode()
    assert line.count("id=") == 1 and " flags=P " in line and " sub=2 psub=0 ssub=0 " in line
    assert info(connection, "clients", "pubsub_clients") == 1
    assert connection.call("CLIENT", "KILL", "TYPE", "pubsub") == 1
    assert subscriber.is_closed()
    wait_until(lambda: info(connection, "stats", "pubsub_channels") == 0)


# redis-py


@pytest.mark.parametrize("protocol", [2, 3])
def test_redis_py(server, protocol):
    client = server.client(protocol=protocol, decode_responses=True)
    listener = client.pubsub()
    heard = []
    listener.subscribe("news", **{"chat": lambda message: heard.append(message["data"])})
    listener.psubscribe("n*")
    wait_until(lambda: listener.get_message(timeout=0.1) is None and client.pubsub_numpat() == 1)
    assert client.publish("news", "hello") == 2
    assert client.publish("chat", "hi") == 1
    messages = []
    wait_until(lambda: messages.append(listener.get_message(timeout=0.1)) or heard)
    told = [(m["type"], m["channel"], m["data"]) for m in messages if m]
    assert told == [("message", "news", "hello"), ("pmessage", "news", "hello")] and heard == ["hi"]
    assert dict(client.pubsub_numsub("news", "chat")) == {"news": 1, "chat": 1}
    if protocol == 2:
        listener.ping()
        assert listener.get_message(timeout=1)["type"] == "pong"
    listener.close()
    wait_until(lambda: client.pubsub_channels() == [])


def test_a_chat_with_redis_py_threads(server):
    """Several rooms, several speakers: everyone hears everything of their room, once and in order."""
    client = server.client(decode_responses=True)
    heard = {name: [] for name in range(6)}
    threads = []
    for name in heard:
        listener = client.pubsub(ignore_subscribe_messages=True)
        listener.subscribe(**{f"room:{name % 2}": lambda message, name=name: heard[name].append(message["data"])})
        threads.append(listener.run_in_thread(sleep_time=0.01, daemon=True))
    wait_until(lambda: dict(client.pubsub_numsub("room:0", "room:1")) == {"room:0": 3, "room:1": 3})
    with client.pipeline(transaction=True) as pipeline:
        for n in range(300):
            pipeline.publish(f"room:{n % 2}", n)
        assert pipeline.execute() == [3] * 300
    wait_until(lambda: all(len(lines) == 150 for lines in heard.values()), seconds=10)
    for name, lines in heard.items():
        assert lines == [str(n) for n in range(300) if n % 2 == name % 2]
    for thread in threads:
        thread.stop()
        thread.join()


def test_messages_wait_for_the_disk_and_not_for_the_newest_write(start):
    """With fsync for every write, somebody always is ahead of the disk: subscribers still get what is safe."""
    server = start(appendonly="yes", appendfsync="always", **{"notify-keyspace-events": "E$"})
    subscribers = [subscribed(server, "__keyevent@0__:set") for _ in range(20)]
    stop, counts = threading.Event(), []

    def write():
        connection, count = server.connect(), 0
        while not stop.is_set():
            connection.send(b"".join(encode("SET", n, "value") for n in range(20)))
            for _ in range(20):
                assert connection.read() == b"OK"
            count += 20
        counts.append(count)

    threads = [threading.Thread(target=write) for _ in range(4)]
    for thread in threads:
        thread.start()
    received = 0
    for _ in range(200):  # while the writers never rest
        assert subscribers[0].read()[0] == b"message"
        received += 1
    stop.set()
    for thread in threads:
        thread.join()
    for subscriber in subscribers:
        for _ in range(sum(counts) - (received if subscriber is subscribers[0] else 0)):
            assert subscriber.read()[1] == b"__keyevent@0__:set"
        assert subscriber.is_silent()


def test_events_of_what_is_new_and_over(start):
    """BITOP replaces, a reload brings nothing new, and SCAN removes what is past its time."""
    server = start(**{"notify-keyspace-events": "EAn", "enable-debug-command": "yes"})
    connection, listener = server.connect(), server.connect()
    connection.call_ok("DEBUG", "SET-ACTIVE-EXPIRE", 0)
    for command in ("SET a 1", "RPUSH l x", "SET e 1"):
        connection.call(*command.split())
    listener.call("PSUBSCRIBE", "__keyevent@0__:*")
    connection.call("BITOP", "OR", "a", "a", "a")
    connection.call("BITOP", "NOT", "l", "a")
    connection.call("BITOP", "AND", "fresh", "a", "l")
    connection.call_ok("DEBUG", "RELOAD")
    connection.call("PEXPIRE", "e", 1)
    time.sleep(0.05)
    assert connection.call("DBSIZE") == 4
    assert sorted(connection.call("SCAN", 0, "COUNT", 100)[1]) == [b"a", b"fresh", b"l"]
    assert connection.call("DBSIZE") == 3
    connection.call("SET", "last", 1)
    seen = []
    while not seen or seen[-1] != (b"new", b"last"):
        _, _, channel, key = listener.read()
        seen.append((channel.split(b":")[1], key))
    assert seen == [(b"set", b"a"), (b"set", b"l"), (b"new", b"fresh"), (b"set", b"fresh"), (b"expire", b"e"),
                    (b"expired", b"e"), (b"new", b"last")]
