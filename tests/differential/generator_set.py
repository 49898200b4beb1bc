"""Random commands on sets. Which members are taken or given at random two servers cannot agree on: there,
everything is taken, or what cannot differ is asked for."""

LARGE = [b"set0", b"set1"]


def key(g):
    return g.one(LARGE) if g.chance(0.2) else g.key()


def keys(g, limit=4):
    return [key(g) for _ in range(1 + g.below(limit))]


def member(g):
    dice = g.uniform()
    if dice < 0.45:
        return b"%d" % (g.below(30) - 5)
    if dice < 0.7:
        return g.one((b"a", b"b", b"c", b"d", b"e", b"f", b"xyz", b""))
    if dice < 0.8:
        return b"%d" % (g.random.getrandbits(g.one((8, 16, 33, 62))) - 1000)
    if dice < 0.99:
        return g.value()
    return g.large_value()


def members(g):
    if g.chance(0.06):
        start, step = g.below(1000), g.one((1, 7, 100000))
        return [b"%d" % (start + i * step) for i in range(1 + g.below(300))]
    if g.chance(0.03):
        return [b"member:%d" % g.below(500) for _ in range(1 + g.below(200))]
    return [member(g) for _ in range(1 + g.below(4))]


def make_intercard(g):
    names = keys(g)
    count = b"%d" % len(names) if g.chance(0.93) else g.integer()
    return (b"SINTERCARD", count, *names, *((b"LIMIT", g.integer() if g.chance(0.2) else b"%d" % g.below(9)) if g.chance(0.4) else ()))


def make_take(g):
    name = key(g)
    return g.one(
        [
            (b"SPOP", name, b"100000"),
            (b"SPOP", name, b"0"),
            (b"SPOP", name, g.one((b"-1", b"x", b"", b"-9223372036854775808", b"9223372036854775808"))),
            (b"SRANDMEMBER", name, b"100000"),
            (b"SRANDMEMBER", name, g.one((b"0", b"x", b"", b"-9223372036854775808"))),
            (b"SPOP", name, b"1", b"1"),
            (b"SRANDMEMBER", name, b"1", b"1"),
        ]
    )


def make_scan(g):
    options = []
    if g.chance(0.4):
        options += [b"MATCH", g.pattern()]
    if g.chance(0.1):
        return (b"SSCAN", key(g), g.one((b"x", b"-1", b"0")), *options, b"COUNT", g.one((b"0", b"x", b"-1")))
    return (b"SSCAN", key(g), b"0", *options, b"COUNT", b"100000")


def make_limit(g):
    return g.one(
        [
            (b"CONFIG", b"SET", b"set-max-intset-entries", g.one((b"512", b"8", b"0", b"30"))),
            (b"CONFIG", b"SET", b"set-max-intset-entries", b"512"),
        ]
    )


SETS = [
    (6, lambda g: (b"SADD", key(g), *members(g))),
    (3, lambda g: (b"SREM", key(g), *members(g))),
    (1, lambda g: (b"SISMEMBER", key(g), member(g))),
    (0.7, lambda g: (b"SMISMEMBER", key(g), *members(g))),
    (0.7, lambda g: (b"SCARD", key(g))),
    (1, lambda g: (b"SMEMBERS", key(g))),
    (1.2, lambda g: (b"SMOVE", key(g), key(g), member(g))),
    (1.5, lambda g: (g.one((b"SINTER", b"SUNION", b"SDIFF")), *keys(g))),
    (1.5, lambda g: (g.one((b"SINTERSTORE", b"SUNIONSTORE", b"SDIFFSTORE")), key(g), *keys(g))),
    (0.7, make_intercard),
    (0.4, make_take),
    (0.5, make_scan),
    (0.2, make_limit),
]
