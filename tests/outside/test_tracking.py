"""Keyspace events and client-side caching: what a transcript cannot show."""

import pytest
import redis
from redis.cache import CacheConfig

from harness import encode, wait_until


def listen(server, events):
    with server.connect() as connection:
        connection.call_ok("CONFIG", "SET", "notify-keyspace-events", events)
    listener = server.connect()
    listener.call("PSUBSCRIBE", "__key*__:*")
    return listener


def events(listener, count):
    """(event, key) of messages to __keyevent@...__."""
    messages = [listener.read() for _ in range(count)]
    return [(message[2].split(b":", 1)[1].decode(), message[3].decode()) for message in messages]


def test_events_go_to_both_kinds_of_channels(server, connection):
    listener = listen(server, "KEA")
    connection.call("SET", "key", "value")
    assert listener.read() == [b"pmessage", b"__key*__:*", b"__keyspace@0__:key", b"set"]
    assert listener.read() == [b"pmessage", b"__key*__:*", b"__keyevent@0__:set", b"key"]
    connection.call("SELECT", "3")
    connection.call("LPUSH", "list", "a")
    assert listener.read()[2:] == [b"__keyspace@3__:list", b"lpush"]
    assert listener.read()[2:] == [b"__keyevent@3__:lpush", b"list"]
    connection.call_ok("CONFIG", "SET", "notify-keyspace-events", "")
    connection.call("SET", "key", "value")
    assert listener.is_silent()


def test_expiry_makes_events(server, connection):
    listener = listen(server, "Ex")
    connection.call("SET", "a", "1", "PX", "30")
    assert events(listener, 1) == [("expired", "a")]
    connection.call("DEBUG", "SET-ACTIVE-EXPIRE", "0")
    connection.call("SET", "b" * 100, "1", "PX", "1")
    wait_until(lambda: connection.call("GET", "b" * 100) is None)
    assert events(listener, 1) == [("expired", "b" * 100)]


@pytest.mark.since("7.4")
def test_fields_make_events(server, connection):
    listener = listen(server, "Ehg")
    connection.call("HSET", "hash", "a", "1", "b", "2", "c", "3")
    connection.call("HEXPIRE", "hash", "100", "FIELDS", "1", "a")
    connection.call("HPERSIST", "hash", "FIELDS", "1", "a")
    connection.call("HDEL", "hash", "a")
    connection.call("HPEXPIRE", "hash", "20", "FIELDS", "2", "b", "c")
    wanted = ["hset", "hexpire", "hpersist", "hdel", "hexpire", "hexpired", "del"]
    assert events(listener, 7) == [(event, "hash") for event in wanted]


@pytest.mark.ours("Redis has them since 8.2")
def test_new_overwritten_and_changed_types(server, connection):
    listener = listen(server, "EAnoc")
    for command in ("SET a 1", "SET a 2", "APPEND a 3", "LPUSH l x", "SET l 1", "RENAME a l", "SADD s x", "COPY s l REPLACE"):
        connection.call(*command.split())
    assert events(listener, 18) == [
        ("new", "a"), ("set", "a"), ("overwritten", "a"), ("set", "a"), ("append", "a"),
        ("new", "l"), ("lpush", "l"), ("overwritten", "l"), ("type_changed", "l"), ("set", "l"),
        ("new", "l"), ("rename_from", "a"), ("rename_to", "l"), ("overwritten", "l"),
        ("new", "s"), ("sadd", "s"), ("new", "l"), ("copy_to", "l"),
    ]  # fmt: skip
    assert events(listener, 2) == [("overwritten", "l"), ("type_changed", "l")]


def test_eviction_makes_events(server, connection):
    listener = listen(server, "Ee")
    connection.call("CONFIG", "SET", "maxmemory-policy", "allkeys-random")
    connection.send(b"".join(encode("SET", n, "x" * 1000) for n in range(3000)))
    for _ in range(3000):
        connection.read()
    used = int(server.info("memory")["used_memory"])
    connection.call_ok("CONFIG", "SET", "maxmemory", used - 1_000_000)
    connection.call("SET", "key", "value")
    assert events(listener, 1)[0][0] == "evicted"
    connection.call_ok("CONFIG", "SET", "maxmemory", "0")


def test_own_events_come_behind_the_reply(server):
    connection = server.connect(protocol=3)
    connection.call("CONFIG", "SET", "notify-keyspace-events", "EA")
    connection.call("SUBSCRIBE", "__keyevent@0__:set")
    connection.send(encode("MULTI") + encode("SET", "a", "1") + encode("SET", "b", "1") + encode("EXEC"))
    replies = [connection.read() for _ in range(6)]
    assert [reply for reply in replies if isinstance(reply, list) and reply[0] == b"message"] != []
    if "7.0" not in server.info("server")["redis_version"]:
        assert replies[3] == [b"OK", b"OK"]


# Tracking


def test_the_table_is_bounded(server, connection):
    reader = server.connect(protocol=3)
    connection.call_ok("CONFIG", "SET", "tracking-table-max-keys", "100")
    reader.call("CLIENT", "TRACKING", "ON")
    reader.call("MGET", *range(1000))
    told = set()
    while len(told) < 900:
        push = reader.read()
        assert push[0] == b"invalidate"
        told.update(push[1])
    assert int(server.info("stats")["tracking_total_keys"]) == 100
    reader.close()
    wait_until(lambda: int(server.info("clients")["tracking_clients"]) == 0)


def test_a_redirection_that_breaks(server, connection):
    target = server.connect()
    number = target.call("CLIENT", "ID")
    target.call("SUBSCRIBE", "__redis__:invalidate")
    for protocol in (2, 3):
        if protocol == 3:
            target = server.connect(protocol=3)
            number = target.call("CLIENT", "ID")
        reader = server.connect(protocol=protocol)
        reader.call_ok("CLIENT", "TRACKING", "ON", "REDIRECT", number)
        assert reader.call("CLIENT", "GETREDIR") == number
        reader.call("GET", "key")
        connection.call("SET", "key", "1")
        if protocol == 2:
            assert target.read() == [b"message", b"__redis__:invalidate", [b"key"]]
        else:
            assert target.read() == [b"invalidate", [b"key"]]
        connection.call("FLUSHALL")
        assert target.read()[-1] is None
        reader.call("GET", "key")
        target.close()
        wait_until(lambda: b"id=%d " % number not in connection.call("CLIENT", "LIST"))
        connection.call("SET", "key", "1")
        if protocol == 3:
            assert reader.read() == [b"tracking-redir-broken", number]
        line = connection.call("CLIENT", "LIST").decode()
        assert f" flags=tR " in line and f" redir={number} " in line


def test_scripts_and_eviction_are_tracked(server, connection):
    reader = server.connect(protocol=3)
    reader.call("CLIENT", "TRACKING", "ON")
    reader.call("EVAL", "return redis.call('GET', KEYS[1])", "1", "key")
    connection.call("EVAL", "return redis.call('SET', KEYS[1], '1')", "1", "key")
    assert reader.read() == [b"invalidate", [b"key"]]


def test_many_readers_of_one_key(server, connection):
    readers = [server.connect(protocol=3) for _ in range(100)]
    for reader in readers:
        reader.call("CLIENT", "TRACKING", "ON")
    for _ in range(3):
        for reader in readers:
            reader.call("GET", "key")
        assert int(server.info("stats")["tracking_total_items"]) == 100
        connection.call("SET", "key", "1")
        for reader in readers:
            assert reader.read() == [b"invalidate", [b"key"]]
        assert int(server.info("stats")["tracking_total_items"]) == 0


def test_redis_py_keeps_copies(server):
    client = redis.Redis(port=server.address[1], protocol=3, cache_config=CacheConfig(), decode_responses=True)
    other = server.client(decode_responses=True)
    other.set("key", "1")
    assert client.get("key") == "1" and client.get("key") == "1"
    assert client.get_cache().size == 1
    reads = int(server.info("commandstats")["cmdstat_get"].split("calls=")[1].split(",")[0])
    for _ in range(10):
        assert client.get("key") == "1"
    assert int(server.info("commandstats")["cmdstat_get"].split("calls=")[1].split(",")[0]) == reads
    other.set("key", "2")
    wait_until(lambda: client.get("key") == "2")
    other.mset({"key": "3", "another": "1"})
    wait_until(lambda: client.get("key") == "3")
    client.close()


@pytest.mark.parametrize("mode", ["", "on", "on optin", "on optout", "on bcast", "on noloop", "on optin noloop", "off"])
def test_what_caching_says_in_each_mode(server, peer, mode):
    seen = []
    for one in (server, peer):
        connection = one.connect(protocol=3)
        replies = [connection.call("CLIENT", "TRACKING", *mode.split())] if mode else []
        replies += [connection.call("CLIENT", "CACHING", word) for word in ("yes", "no", "x", "YES")]
        replies.append(connection.call("CLIENT", "TRACKINGINFO"))
        for word in ("yes", "no"):
            replies += [connection.call(*words) for words in (("MULTI",), ("CLIENT", "CACHING", word), ("GET", "a"), ("EXEC",))]
        seen.append(replies)
    assert seen[0] == seen[1]
