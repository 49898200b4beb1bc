"""Random commands on lists: short ones, long ones, and those in between."""

LONG_KEYS = [b"list0", b"list1"]


def key(g):
    return g.one(LONG_KEYS) if g.chance(0.25) else g.key()


def element(g):
    dice = g.uniform()
    if dice < 0.7:
        return g.one((b"a", b"b", b"c", b"1", b"2", b"10", b"-5", b"300", b"70000", b"xyz"))
    if dice < 0.98:
        return g.value()
    return g.large_value()


def elements(g):
    count = 1 + g.below(4)
    if g.chance(0.05):
        count = g.below(200) + 1
    return [element(g) for _ in range(count)]


def end(g):
    return g.one((b"LEFT", b"RIGHT", b"left", b"Right")) if g.chance(0.97) else g.one((b"UP", b""))


def index(g):
    dice = g.uniform()
    if dice < 0.5:
        return b"%d" % (g.below(12) - 6)
    if dice < 0.9:
        return b"%d" % (g.below(600) - 300)
    return g.integer()


def make_push(g):
    name = g.one((b"LPUSH", b"RPUSH", b"LPUSH", b"RPUSH", b"LPUSHX", b"RPUSHX"))
    return (name, key(g), *elements(g))


def make_pop(g):
    count = (g.integer() if g.chance(0.3) else b"%d" % g.below(6),) if g.chance(0.4) else ()
    return (g.one((b"LPOP", b"RPOP")), key(g), *count)


def make_lpos(g):
    options = []
    while g.chance(0.5):
        options += [g.one((b"RANK", b"COUNT", b"MAXLEN", b"rank")), g.integer() if g.chance(0.2) else b"%d" % (g.below(9) - 3)]
    # the smallest number as a rank: Redis 7.2 refuses it, 7.0 counts with it
    return (b"LPOS", key(g), element(g), *(b"-9" if o == b"-9223372036854775808" else o for o in options))


def make_lmpop(g):
    keys = [key(g) for _ in range(1 + g.below(3))]
    count = b"%d" % len(keys) if g.chance(0.9) else g.integer()
    return (b"LMPOP", count, *keys, end(g), *((b"COUNT", b"%d" % g.below(8)) if g.chance(0.5) else ()))


def make_waiting(g):
    """Where nothing is there to take they give up at once: as in a transaction they would."""
    name = g.one((b"BLPOP", b"BRPOP", b"BLMOVE", b"BRPOPLPUSH", b"BLMPOP"))
    timeout = b"0.01" if g.chance(0.9) else g.one((b"-1", b"x", b"", b"nan"))
    if name in (b"BLPOP", b"BRPOP"):
        return (name, *(key(g) for _ in range(1 + g.below(3))), timeout)
    if name == b"BLMOVE":
        return (name, key(g), key(g), end(g), end(g), timeout)
    if name == b"BRPOPLPUSH":
        return (name, key(g), key(g), timeout)
    return (name, timeout, *make_lmpop(g)[1:])


def make_limit(g):
    return (b"CONFIG", b"SET", b"list-max-listpack-size", g.one((b"-2", b"-1", b"4", b"16", b"128", b"1")))


def with_key(name, *makers):
    return lambda g: (name, key(g), *(make(g) for make in makers))


LISTS = [
    (6, make_push),
    (2.5, make_pop),
    (1, with_key(b"LINDEX", index)),
    (0.7, with_key(b"LLEN")),
    (2, with_key(b"LRANGE", index, index)),
    (0.5, with_key(b"LTRIM", index, index)),
    (1.2, with_key(b"LSET", index, element)),
    (1, with_key(b"LREM", lambda g: b"%d" % (g.below(7) - 3) if g.chance(0.9) else g.integer(), element)),
    (1.5, lambda g: (b"LINSERT", key(g), g.one((b"BEFORE", b"AFTER", b"after", b"x")), element(g), element(g))),
    (1, make_lpos),
    (1, lambda g: (b"LMOVE", key(g), key(g), end(g), end(g))),
    (0.5, lambda g: (b"RPOPLPUSH", key(g), key(g))),
    (1, make_lmpop),
    (0.3, make_waiting),
    (0.2, make_limit),
]
