"""Random commands on sorted sets: flat ones, large ones, and those in between.

Z-keys have any scores; in Y-keys all scores are the same, as ranges of names need it, and nothing else than the
commands here changes them.
"""

INFINITIES = [b"inf", b"-inf", b"+inf", b"Infinity", b"-INF", b"infinity"]
NOT_FLOATS = [b"", b" ", b" 1", b"1 ", b"abc", b"1e5000", b"nan", b"1.2.3", b"0x", b"e5", b"1\x00", b"infx", b"1e-5000"]
NOT_INTEGERS = [b"", b" ", b"abc", b"1.5", b"+1", b"1a", b"-0"]
Z_KEYS = [b"z0", b"z1", b"z2", b"z3", b"z4", b"z5"]
Y_KEYS = [b"y0", b"y1", b"y2"]
MEMBERS = [b"%d" % n for n in (-100, -2, -1, 0, 1, 2, 3, 10, 11, 20, 127, 128, 4095, 4096, 70000, 1 << 40)] + [
    b"a", b"b", b"c", b"d", b"e", b"aa", b"ab", b"b1", b"foo", b"foobar", b"", b"\x00", b"\xff\xfe", b"+1", b"01", b"a b",
    b"x" * 63, b"x" * 64, b"x" * 65, b"y" * 128, b"y" * 129, b"z" * 300, b"9223372036854775808",
]  # fmt: skip
ENTRIES_MAX = [b"128", b"128", b"0", b"1", b"3", b"10", b"1000"]
VALUE_MAX = [b"64", b"64", b"0", b"2", b"20", b"200"]


def z_key(g):
    return g.one(Z_KEYS) if g.uniform() < 0.97 else g.key()


def y_key(g):
    return g.one(Y_KEYS) if g.uniform() < 0.97 else b"nokey"


def z_keys(g):
    return [z_key(g) for _ in range(1 + g.below(4))]


def member(g):
    dice = g.uniform()
    if dice < 0.8:
        return g.one(MEMBERS)
    if dice < 0.95:
        return b"%d" % g.below(400)
    return g.value()


def score(g):
    dice = g.uniform()
    if dice < 0.5:
        return b"%d" % (g.below(20) - 5)
    if dice < 0.6:
        return g.one(INFINITIES)
    return g.float()


def score_bound(g):
    dice = g.uniform()
    if dice < 0.15:
        return b"-inf"
    if dice < 0.3:
        return b"+inf"
    text = g.one(NOT_FLOATS) if dice < 0.33 else score(g)
    return b"(" + text if g.chance(0.3) else text


def member_bound(g):
    dice = g.uniform()
    if dice < 0.15:
        return b"-"
    if dice < 0.3:
        return b"+"
    if dice < 0.33:
        return g.one((b"", b"a", b"--", b"-x", b"+\x00", b"{a"))
    return g.one((b"[", b"(")) + member(g)


def bounds(g, by):
    if by == b"BYSCORE":
        return [score_bound(g), score_bound(g)]
    if by == b"BYLEX":
        return [member_bound(g), member_bound(g)]
    return [g.index(), g.index()]


def limit(g):
    return [g.cased(b"LIMIT"), g.index() if g.chance(0.3) else b"%d" % g.below(4), g.index()]


def make_zadd(g):
    options = []
    for chance, words in ((0.25, (b"NX", b"XX")), (0.2, (b"GT", b"LT")), (0.2, (b"CH",)), (0.1, (b"INCR",))):
        if g.chance(chance):
            options.append(g.cased(g.one(words)))
    if g.chance(0.02):
        options.append(g.one((b"NX", b"XX", b"GT", b"LT", b"FOO")))
    g.random.shuffle(options)
    pairs = 1 if b"INCR" in options and g.chance(0.9) else 1 + int(g.uniform() ** 3 * 10)
    return (b"ZADD", z_key(g), *options, *(word for _ in range(pairs) for word in (score(g), member(g))))


def make_zadd_many(g):
    first = g.below(400)
    return (b"ZADD", z_key(g), *(word for n in range(first, first + 20 + g.below(200)) for word in (b"%d" % (n * 7 % 50), b"%d" % n)))


def make_yadd(g):
    return (b"ZADD", g.one(Y_KEYS), *(word for _ in range(1 + g.below(12)) for word in (b"0", member(g))))


def make_zrange(g):
    by = g.one((b"", b"", b"BYSCORE"))
    command = [b"ZRANGE", z_key(g), *bounds(g, by)]
    options = [[g.cased(by)]] if by else []
    if g.chance(0.4):
        options.append([g.cased(b"REV")])
    if g.chance(0.5):
        options.append([g.cased(b"WITHSCORES")])
    if g.chance(0.3 if by else 0.03):
        options.append(limit(g))
    if g.chance(0.02):
        options.append([g.one((b"REV", b"BYSCORE", b"LIMIT", b"foo", b"WITHSCORE"))])
    g.random.shuffle(options)
    return (*command, *(word for option in options for word in option))


def make_zrangestore(g):
    command = list(make_zrange(g))
    command[0:1] = [b"ZRANGESTORE", z_key(g)]
    return tuple(word for word in command if word.upper() != b"WITHSCORES" or g.chance(0.02))


def make_yrange(g):
    dice = g.uniform()
    low, high = member_bound(g), member_bound(g)
    more = limit(g) if g.chance(0.3) else []
    if dice < 0.3:
        return (b"ZRANGE", y_key(g), low, high, b"BYLEX", *([b"REV"] if g.chance(0.4) else []), *more)
    if dice < 0.4:
        return (b"ZRANGESTORE", g.one(Y_KEYS), y_key(g), low, high, b"BYLEX", *more)
    if dice < 0.5:
        return (b"ZLEXCOUNT", y_key(g), low, high)
    return (g.one((b"ZRANGEBYLEX", b"ZREVRANGEBYLEX")), y_key(g), low, high, *more)


def make_range_by_score(g):
    command = [g.one((b"ZRANGEBYSCORE", b"ZREVRANGEBYSCORE")), z_key(g), *bounds(g, b"BYSCORE")]
    if g.chance(0.5):
        command.append(g.cased(b"WITHSCORES"))
    return (*command, *(limit(g) if g.chance(0.3) else []))


def make_combination(g):
    name = g.one((b"ZUNION", b"ZINTER", b"ZDIFF", b"ZINTERCARD", b"ZUNIONSTORE", b"ZINTERSTORE", b"ZDIFFSTORE"))
    keys = z_keys(g)
    command = [name] + ([z_key(g)] if name.endswith(b"STORE") else [])
    command += [b"%d" % len(keys) if g.chance(0.97) else g.integer(), *keys]
    options = []
    if b"DIFF" not in name and b"CARD" not in name or g.chance(0.02):
        if g.chance(0.3):
            options.append([g.cased(b"WEIGHTS"), *(score(g) for _ in keys)])
        if g.chance(0.4):
            options.append([g.cased(b"AGGREGATE"), g.cased(g.one((b"SUM", b"MIN", b"MAX")))])
    if g.chance(0.6) and name in (b"ZUNION", b"ZINTER", b"ZDIFF") or g.chance(0.01):
        options.append([g.cased(b"WITHSCORES")])
    if b"CARD" in name and g.chance(0.5):
        options.append([g.cased(b"LIMIT"), g.integer()])
    g.random.shuffle(options)
    return (*command, *(word for option in options for word in option))


def make_zrank(g):
    return (g.one((b"ZRANK", b"ZREVRANK")), z_key(g), member(g), *([b"WITHSCORE"] if g.chance(0.05) else []))


def make_zpop(g):
    return (g.one((b"ZPOPMIN", b"ZPOPMAX")), z_key(g), *([g.integer()] if g.chance(0.5) else []))


def make_zmpop(g):
    keys = z_keys(g)
    command = [b"ZMPOP", b"%d" % len(keys) if g.chance(0.97) else g.integer(), *keys, g.cased(g.one((b"MIN", b"MAX")))]
    return (*command, *([g.cased(b"COUNT"), g.integer()] if g.chance(0.5) else []))


def make_blocking_zpop(g):
    """A short wait where there is nothing to be had; never without an end."""
    timeout = g.one((b"0.001", b"0.01", b"0.001", b"-1", b"x", b"", b"nan"))
    if g.chance(0.5):
        return (g.one((b"BZPOPMIN", b"BZPOPMAX")), *z_keys(g), timeout)
    return (b"BZMPOP", timeout, *make_zmpop(g)[1:])


def make_zscan(g):
    whole = g.chance(0.7)
    command = [b"ZSCAN", z_key(g), b"0" if whole else g.integer()]
    options = [[b"COUNT", b"100000" if whole else g.integer()]] if whole or g.chance(0.5) else []
    if g.chance(0.5):
        options.append([g.cased(b"MATCH"), g.pattern()])
    g.random.shuffle(options)
    return (*command, *(word for option in options for word in option))


def make_zrandmember(g):
    command = [b"ZRANDMEMBER", z_key(g)]
    if g.chance(0.8):
        command.append(b"%d" % (g.below(60) - 20) if g.chance(0.97) else g.one(NOT_INTEGERS + [b"-9223372036854775808"]))
        if g.chance(0.5):
            command.append(g.cased(g.one((b"WITHSCORES", b"WITHSCORES", b"WITHSCORES", b"WITHSCORE"))))
    return tuple(command)


def make_z_limit(g):
    if g.chance(0.5):
        return (b"CONFIG", b"SET", b"zset-max-listpack-entries", g.one(ENTRIES_MAX))
    return (b"CONFIG", b"SET", b"zset-max-ziplist-value", g.one(VALUE_MAX))


# (weight, function), to be spoiled now and then, and not.
SPOILED = [
    (10, make_zadd),
    (4, make_zrange),
    (4, make_range_by_score),
    (2, make_zrangestore),
    (5, make_combination),
    (4, make_zrank),
    (3, lambda g: (b"ZSCORE", z_key(g), member(g))),
    (1, lambda g: (b"ZMSCORE", z_key(g), *(member(g) for _ in range(1 + g.below(4))))),
    (3, lambda g: (b"ZINCRBY", z_key(g), score(g), member(g))),
    (3, lambda g: (b"ZREM", z_key(g), *(member(g) for _ in range(1 + g.below(4))))),
    (1, lambda g: (b"ZCARD", z_key(g))),
    (2, lambda g: (b"ZCOUNT", z_key(g), *bounds(g, b"BYSCORE"))),
    (1, lambda g: (g.one((b"ZREVRANGE", b"ZRANGE")), z_key(g), g.index(), g.index(), b"WITHSCORES")),
    (1, make_zpop),
    (1, make_zmpop),
    (1, lambda g: (b"ZREMRANGEBYRANK", z_key(g), g.index(), g.index())),
    (0.5, lambda g: (b"ZREMRANGEBYSCORE", z_key(g), *bounds(g, b"BYSCORE"))),
    (3, make_yrange),
    (1, lambda g: (b"ZREMRANGEBYLEX", y_key(g), *bounds(g, b"BYLEX"))),
    (2, lambda g: (b"OBJECT", b"ENCODING", z_key(g))),
    (0.3, lambda g: (b"DEL", z_key(g))),
    (0.3, lambda g: (b"COPY", z_key(g), z_key(g), b"REPLACE")),
    (0.2, lambda g: (b"RENAME", z_key(g), z_key(g))),
]

AS_THEY_ARE = [
    (0.7, make_zadd_many),
    (3, make_yadd),
    (0.5, lambda g: (b"ZREM", g.one(Y_KEYS), *(member(g) for _ in range(1 + g.below(8))))),
    (0.2, make_blocking_zpop),
    (0.7, make_zscan),
    (1, make_zrandmember),
    (0.7, make_z_limit),
]
