"""Random commands on streams and consumer groups, for generator.py.

Ids are given, as two servers' clocks are never the same.
"""

STREAMS = [b"s0", b"s1", b"s2", b"s3"]
GROUPS = [b"g0", b"g1", b"g2"]
CONSUMERS = [b"alice", b"bob", b"carol", b""]
FIELDS = [b"sensor", b"value", b"a", b"", b"12", b"-5", b"temperature"]
BAD_IDS = [b"", b"-", b"+", b"x", b"1-x", b"1-", b"-1", b"1-1-1", b"$", b">", b"**", b"18446744073709551616", b"(1"]
EDGE_IDS = [
    b"0", b"0-0", b"0-1", b"1", b"01-1", b"+3-1", b"18446744073709551615", b"18446744073709551615-18446744073709551615",
    b"18446744073709551615-0", b"0-18446744073709551615",
]  # fmt: skip


def stream(g):
    return g.one(STREAMS) if g.chance(0.95) else g.key()


def group(g):
    return g.one(GROUPS) if g.chance(0.95) else b"nobody"


def near(g):
    """An id about where the streams are."""
    g.stream_ms = getattr(g, "stream_ms", 100)
    ms = max(0, g.stream_ms - g.below(60))
    if g.chance(0.3):
        return b"%d" % ms
    return b"%d-%d" % (ms, g.below(4))


def some_id(g):
    dice = g.uniform()
    if dice < 0.93:
        return near(g)
    return g.one(EDGE_IDS) if dice < 0.98 else g.one(BAD_IDS)


def new_id(g):
    dice = g.uniform()
    g.stream_ms = getattr(g, "stream_ms", 100)
    if dice < 0.1:
        return some_id(g) if g.chance(0.97) else g.one(EDGE_IDS)
    if dice < 0.6:
        g.stream_ms += g.below(3)
    if dice < 0.5:
        return b"%d-%d" % (g.stream_ms, g.below(200))
    if dice < 0.95:
        return b"%d-*" % g.stream_ms
    return b"%d" % g.stream_ms


def trimming(g):
    option = []
    strategy = g.cased(g.one((b"MAXLEN", b"MAXLEN", b"MINID")))
    option.append(strategy)
    inexact = g.chance(0.5)
    if inexact:
        option.append(b"~")
    elif g.chance(0.5):
        option.append(b"=")
    option.append(some_id(g) if strategy.upper() == b"MINID" else g.integer() if g.chance(0.1) else b"%d" % g.below(80))
    if g.chance(0.4 if inexact else 0.05):
        option += [g.cased(b"LIMIT"), g.integer() if g.chance(0.2) else b"%d" % g.below(60)]
    return option


def pairs(g):
    count = 1 if g.chance(0.5) else 1 + g.below(5)
    if g.chance(0.5):
        return [word for i in range(count) for word in (FIELDS[i], g.value()[:60])]
    return [word for _ in range(count) for word in (g.one(FIELDS), g.value())]


def make_add(g):
    command = [b"XADD", stream(g)]
    if g.chance(0.1):
        command.append(g.cased(b"NOMKSTREAM"))
    if g.chance(0.25):
        command += trimming(g)
    command += [new_id(g), *pairs(g)]
    if g.chance(0.01):
        command.pop()
    return tuple(command)


def make_adds(g):
    key = g.one(STREAMS)
    return [(b"XADD", key, new_id(g), *pairs(g)) for _ in range(1 + g.below(60))]


def make_add_now(g):
    return [(b"XADD", b"now", b"*", b"a", b"b"), (b"XLEN", b"now"), (b"DEL", b"now")]


def count_option(g, probability=0.5):
    if not g.chance(probability):
        return []
    return [g.cased(b"COUNT"), g.integer() if g.chance(0.05) else b"%d" % g.below(20)]


def range_end(g, special):
    dice = g.uniform()
    if dice < 0.4:
        return special
    return b"(" + some_id(g) if dice < 0.55 else some_id(g)


def make_range(g):
    if g.chance(0.5):
        return (b"XRANGE", stream(g), range_end(g, b"-"), range_end(g, b"+"), *count_option(g))
    return (b"XREVRANGE", stream(g), range_end(g, b"+"), range_end(g, b"-"), *count_option(g))


def make_read(g):
    keys = [stream(g) for _ in range(1 if g.chance(0.6) else 1 + g.below(3))]
    options = [count_option(g)]
    if g.chance(0.1):
        options.append([b"BLOCK", b"1" if g.chance(0.9) else g.one((b"-1", b"x", b"1.5"))])
    g.random.shuffle(options)
    ids = [b"$" if g.chance(0.05) else some_id(g).replace(b"+", b"0") for _ in keys]
    return (b"XREAD", *sum(options, []), g.cased(b"STREAMS"), *keys, *ids)


def make_read_group(g):
    key, name, consumer = stream(g), group(g), g.one(CONSUMERS)
    options = [count_option(g, 0.8)]
    if g.chance(0.1):
        options.append([b"BLOCK", b"1"])
    if g.chance(0.15):
        options.append([b"NOACK"])
    g.random.shuffle(options)
    keys = [key] if g.chance(0.8) else [key, key]
    ids = [b">" if g.chance(0.7) else b"0" if g.chance(0.5) else some_id(g) for _ in keys]
    return (b"XREADGROUP", b"GROUP", name, consumer, *sum(options, []), b"STREAMS", *keys, *ids)


def idle(g):
    return g.one((b"0", b"0", b"0", b"50000", b"-5", b"x"))


def make_claim(g):
    key, name, consumer = stream(g), group(g), g.one(CONSUMERS)
    command = [b"XCLAIM", key, name, consumer, idle(g), *(near(g) for _ in range(1 + g.below(6)))]
    options = [
        [b"IDLE", g.one((b"0", b"100000", b"-1", b"x"))], [b"TIME", g.one((b"1000", b"-1", b"99999999999999", b"x"))],
        [b"RETRYCOUNT", g.one((b"0", b"7", b"-1", b"5000000000", b"x"))], [b"FORCE"], [b"FORCE"], [b"JUSTID"],
        [b"LASTID", some_id(g)], [b"foo"], [b"TIME"],
    ]  # fmt: skip
    for _ in range(g.below(3)):
        command += g.one(options[:6] if g.chance(0.9) else options)
    return tuple(command)


def make_auto_claim(g):
    key, name, consumer = stream(g), group(g), g.one(CONSUMERS)
    command = [b"XAUTOCLAIM", key, name, consumer, idle(g), range_end(g, b"-")]
    if g.chance(0.6):
        command += [b"COUNT", g.one((b"1", b"2", b"3", b"10", b"0", b"-1", b"x"))]
    if g.chance(0.3):
        command.append(b"JUSTID")
    return tuple(command)


def make_pending(g):
    command = [b"XPENDING", stream(g), group(g)]
    if g.chance(0.7):
        if g.chance(0.3):
            command += [b"IDLE", idle(g)]
        command += [range_end(g, b"-"), range_end(g, b"+"), g.one((b"0", b"1", b"5", b"100", b"-1", b"x"))]
        if g.chance(0.4):
            command.append(g.one(CONSUMERS))
    return tuple(command)


def make_group(g):
    dice = g.uniform()
    key, name = stream(g), group(g)
    place = g.one((b"$", b"0", some_id(g), some_id(g)))
    read = [b"ENTRIESREAD", g.one((b"0", b"5", b"-1", b"100", b"-2", b"x"))] if g.chance(0.15) else []
    if dice < 0.45:
        return (b"XGROUP", g.cased(b"CREATE"), key, name, place, *([b"MKSTREAM"] if g.chance(0.3) else []), *read)
    if dice < 0.65:
        return (b"XGROUP", b"SETID", key, name, place, *read)
    if dice < 0.7:
        return (b"XGROUP", b"DESTROY", key, name)
    if dice < 0.8:
        return (b"XGROUP", b"DELCONSUMER", key, name, g.one(CONSUMERS))
    if dice < 0.95:
        return (b"XGROUP", b"CREATECONSUMER", key, name, g.one(CONSUMERS))
    return g.one(
        [(b"XGROUP", b"HELP"), (b"XGROUP",), (b"XGROUP", b"foo"), (b"XINFO", b"HELP"), (b"XINFO",), (b"XINFO", b"foo", key),
         (b"XGROUP", b"CREATE", key, name), (b"XGROUP", b"SETID", key, name, b"0", b"MKSTREAM")]
    )  # fmt: skip


def make_info(g):
    dice = g.uniform()
    key = stream(g)
    if dice < 0.3:
        return (b"XINFO", b"STREAM", key)
    if dice < 0.6:
        return (b"XINFO", g.cased(b"STREAM"), key, g.cased(b"FULL"), *([b"COUNT", g.one((b"0", b"1", b"100", b"-1", b"x"))] if g.chance(0.6) else []))
    if dice < 0.8:
        return (b"XINFO", b"GROUPS", key)
    return (b"XINFO", b"CONSUMERS", key, group(g))


def make_set_id(g):
    command = [b"XSETID", stream(g), some_id(g)]
    if g.chance(0.4):
        command += [b"ENTRIESADDED", g.one((b"0", b"50", b"1000", b"-1", b"x"))]
    if g.chance(0.3):
        command += [b"MAXDELETEDID", some_id(g)]
    return tuple(command)


def make_limits(g):
    """Nodes are never smaller than an entry: Redis 7.0.15 ends there."""
    if g.chance(0.5):
        return (b"CONFIG", b"SET", b"stream-node-max-entries", g.one((b"100", b"0", b"1", b"3", b"10")))
    return (b"CONFIG", b"SET", b"stream-node-max-bytes", g.one((b"4096", b"0", b"1500", b"2000")))


# Single commands may be spoiled.
COMMANDS = [
    (10, make_add),
    (3, make_range),
    (3, make_read),
    (1, lambda g: (b"XLEN", stream(g))),
    (4, lambda g: (b"XDEL", stream(g), *(near(g) for _ in range(1 + g.below(4))))),
    (2, lambda g: (b"XTRIM", stream(g), *trimming(g))),
    (0.5, make_set_id),
    (4, make_group),
    (4, lambda g: (b"XACK", stream(g), group(g), *(some_id(g) for _ in range(1 + g.below(6))))),
    (3, make_pending),
    (4, make_info),
    (0.3, lambda g: (b"DEL", g.one(STREAMS))),
    (0.3, lambda g: (g.one((b"COPY", b"RENAME")), g.one(STREAMS), g.one(STREAMS))),
    (0.5, lambda g: (b"OBJECT", b"ENCODING", stream(g))),
    (0.2, make_limits),
    (6, make_read_group),
    (4, make_claim),
    (2, make_auto_claim),
]
GROUPS_OF_COMMANDS = [(1, make_adds), (0.1, make_add_now)]
SETTINGS = [(b"stream-node-max-entries", [b"100", b"0", b"5"]), (b"stream-node-max-bytes", [b"4096", b"0", b"1500"])]
NAMES = [
    b"xack", b"xadd", b"xautoclaim", b"xclaim", b"xdel", b"xgroup", b"xinfo", b"xlen", b"xpending", b"xrange", b"xread",
    b"xreadgroup", b"xrevrange", b"xsetid", b"xtrim",
]  # fmt: skip
