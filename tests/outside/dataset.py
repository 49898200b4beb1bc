"""A dataset of every type, small and large, and what clients see of one."""

import os

LIMITS = {
    "hash-max-listpack-entries": 8,
    "set-max-intset-entries": 8,
    "zset-max-listpack-entries": 8,
    "list-max-listpack-size": 8,
}


def fill(connection):
    """Every type that both know, small and large."""
    call = connection.call
    call("SET", "int", 12345)
    call("SET", "text", "hello " * 20)
    call("SET", "large", os.urandom(20000) + b"x" * 3000000)
    call("SET", "expires", "x", "EX", 100000)
    call("SELECT", 3)
    call("SET", "elsewhere", "y")
    call("SELECT", 0)
    for name, count in (("small", 5), ("big", 3000)):
        values = [f"{i}" if i % 3 else f"value-{i}-" + "z" * (i % 100) for i in range(count)]
        call("RPUSH", f"list:{name}", *values)
        call("SADD", f"set:{name}", *values)
        call("SADD", f"intset:{name}", *range(-count, count))
        call("HSET", f"hash:{name}", *[word for i, value in enumerate(values) for word in (f"f{i}", value)])
        call("ZADD", f"zset:{name}", *[word for i, value in enumerate(values) for word in (i / 7 - 50, value)])
        for i in range(count):
            call("XADD", f"stream:{name}", f"{i + 1}-{i % 3}", "field", i, "other", "v")
        call("XDEL", f"stream:{name}", "2-1")
        call("XGROUP", "CREATE", f"stream:{name}", "group", "0")
        call("XREADGROUP", "GROUP", "group", "consumer", "COUNT", 3, "STREAMS", f"stream:{name}", ">")
    call("ZADD", "zset:infinite", "-inf", "a", "inf", "b", "1e300", "c")


def numbers(pairs):
    return [(member, float(score)) for member, score in zip(pairs[::2], pairs[1::2])]


def content(connection):
    """All that a client can see, in a form that does not depend on the server."""
    call = connection.call
    seen = {b"elsewhere": (call("SELECT", 3), call("GET", "elsewhere"), call("SELECT", 0))}
    for key in call("KEYS", "*"):
        kind = bytes(call("TYPE", key))
        if kind == b"string":
            value = call("GET", key)
        elif kind == b"list":
            value = call("LRANGE", key, 0, -1)
        elif kind == b"set":
            value = sorted(call("SMEMBERS", key))
        elif kind == b"hash":
            words = call("HGETALL", key)
            value = sorted(zip(words[::2], words[1::2]))
        elif kind == b"zset":
            value = numbers(call("ZRANGE", key, 0, -1, "WITHSCORES"))
        else:
            info = call("XINFO", "STREAM", key)
            kept = {b"length", b"last-generated-id", b"max-deleted-entry-id", b"entries-added", b"groups"}
            fields = {name: field for name, field in zip(info[::2], info[1::2]) if name in kept}
            pending = call("XPENDING", key, "group", "-", "+", 100) if fields[b"groups"] else []
            value = (call("XRANGE", key, "-", "+"), fields, [entry[:2] for entry in pending])
        seen[key] = (kind, value, call("PEXPIRETIME", key))
    return seen
