"""Random commands on hashes. Fields that expire are newer than the peer."""

HASH_KEYS = [b"h0", b"h1", b"h2", b"h3"]
HASH_FIELDS = [b"%d" % n for n in range(12)] + [b"f%d" % n for n in range(30)]
HASH_FIELDS += [b"", b"-5", b"01", b"9223372036854775807", b"\x00\xff", b"x" * 63, b"x" * 64, b"x" * 65, b"y" * 300]


def hash_key(g):
    return g.one(HASH_KEYS) if g.uniform() < 0.93 else g.key()


def hash_field(g):
    return g.one(HASH_FIELDS) if g.uniform() < 0.95 else g.value()


def make_hset(name):
    def make(g):
        command = [name, hash_key(g)]
        many = g.chance(0.03)
        for _ in range(200 if many else 1 + g.below(5)):
            command += [b"m%d" % g.below(1000) if many else hash_field(g), g.value()]
        if g.chance(0.01):
            command.append(b"x" * 1000)
            command.append(g.large_value())
        return tuple(command)

    return make


def make_hrandfield(g):
    command = [b"HRANDFIELD", hash_key(g)]
    if g.chance(0.9):
        command.append(g.one((b"1000", b"100000", b"0", b"x", b"", b"9223372036854775808", b"5", b"-3")))
        if g.chance(0.6):
            command.append(g.one((b"WITHVALUES", b"withvalues", b"WITHVALUES", b"foo")))
    return tuple(command)


def make_hscan(g):
    command = [b"HSCAN", hash_key(g), g.one((b"0", b"0", b"0", b"0", b"x", b"", b"-"))]
    options = [[b"COUNT", b"100000"]]
    if g.chance(0.4):
        options.append([g.cased(b"MATCH"), g.one((b"*", b"f*", b"f1?", b"[0-9]", b"", b"nothing", b"m*"))])
    if g.chance(0.05):
        options.append([g.one((b"COUNT", b"MATCH", b"foo"))])
    g.random.shuffle(options)
    for option in options:
        command += option
    return tuple(command)


HASHES = [
    (12, make_hset(b"HSET")),
    (3, make_hset(b"HMSET")),
    (3, lambda g: (b"HSETNX", hash_key(g), hash_field(g), g.value())),
    (6, lambda g: (b"HGET", hash_key(g), hash_field(g))),
    (4, lambda g: (b"HMGET", hash_key(g), *(hash_field(g) for _ in range(1 + g.below(5))))),
    (1.5, lambda g: (g.one((b"HGETALL", b"HKEYS", b"HVALS")), hash_key(g))),
    (2, lambda g: (b"HLEN", hash_key(g))),
    (2, lambda g: (b"HSTRLEN", hash_key(g), hash_field(g))),
    (2, lambda g: (b"HEXISTS", hash_key(g), hash_field(g))),
    (5, lambda g: (b"HDEL", hash_key(g), *(hash_field(g) for _ in range(1 + g.below(6))))),
    (6, lambda g: (b"HINCRBY", hash_key(g), hash_field(g), g.integer())),
    (6, lambda g: (b"HINCRBYFLOAT", hash_key(g), hash_field(g), g.float())),
    (2, make_hrandfield),
    (1.5, make_hscan),
    (1, lambda g: (b"DEL", g.one(HASH_KEYS))),
    (2, lambda g: (b"OBJECT", b"ENCODING", g.one(HASH_KEYS))),
    (0.6, lambda g: (b"COPY", g.one(HASH_KEYS), g.one(HASH_KEYS), b"REPLACE")),
    (0.6, lambda g: (b"RENAME", g.one(HASH_KEYS), g.one(HASH_KEYS))),
    (0.6, lambda g: (g.one((b"EXPIRE", b"TTL", b"PERSIST")), g.one(HASH_KEYS), *((b"100000",) if g.chance(0.5) else ()))),
]

LIMITS = [
    (0.4, lambda g: (b"CONFIG", b"SET", b"hash-max-listpack-entries", g.one((b"512", b"512", b"20", b"5", b"0")))),
    (0.4, lambda g: (b"CONFIG", b"SET", b"hash-max-listpack-value", g.one((b"64", b"64", b"10", b"200", b"0")))),
]
