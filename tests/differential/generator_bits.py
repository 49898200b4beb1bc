"""Random commands on strings as rows of bits, and as HyperLogLogs."""



def offset(g):
    if g.chance(0.9):
        return b"%d" % g.below(g.one((8, 70, 300, 2000)))
    return g.one((b"-1", b"x", b"", b"4294967296", b"9223372036854775807", b"1.5", b"+3"))


def index(g):
    return b"%d" % (g.below(40) - 20) if g.chance(0.9) else g.integer()


def unit(g):
    return g.one((b"BYTE", b"BIT", b"bit", b"x")) if g.chance(0.9) else g.value()[:8]


def make_bitcount(g):
    arguments = [] if g.chance(0.3) else [index(g), index(g)]
    if arguments and g.chance(0.5):
        arguments.append(unit(g))
    return (b"BITCOUNT", g.key(), *arguments)


def make_bitpos(g):
    arguments = [g.one((b"0", b"1", b"1", b"0", b"2", b"x"))]
    for make in (index, index, unit):
        if g.chance(0.4):
            break
        arguments.append(make(g))
    return (b"BITPOS", g.key(), *arguments)


def make_bitop(g):
    name = g.one((b"AND", b"OR", b"XOR", b"and", b"NAND"))
    if g.chance(0.2):
        return (b"BITOP", b"NOT", g.key(), *g.keys(1 if g.chance(0.9) else 3))
    return (b"BITOP", name, g.key(), *g.keys(4))


def field(g):
    if g.chance(0.04):
        return g.one((b"u64", b"i65", b"u0", b"x8", b"", b"u", b"U8"))
    return g.one((b"u", b"i")) + b"%d" % (1 + g.below(63))


def place(g):
    return (b"#" if g.chance(0.3) else b"") + offset(g)


def far_integer(g):
    """Not so low that what 7.0 subtracts overflows: it then saturates at the other end (SET, OVERFLOW SAT)."""
    value = g.integer()
    return b"-4611686018427387904" if value.startswith(b"-9223372036854775") else value


def make_bitfield(g):
    steps = []
    for _ in range(g.below(5)):
        dice = g.uniform()
        if dice < 0.35:
            steps += [b"GET", field(g), place(g)]
        elif dice < 0.6:
            steps += [b"SET", field(g), place(g), far_integer(g) if g.chance(0.5) else b"%d" % g.below(300)]
        elif dice < 0.85:
            steps += [b"INCRBY", field(g), place(g), g.integer() if g.chance(0.5) else b"%d" % (g.below(300) - 150)]
        else:
            steps += [b"OVERFLOW", g.one((b"WRAP", b"SAT", b"FAIL", b"fail", b"x"))]
    return (g.one((b"BITFIELD", b"BITFIELD", b"BITFIELD", b"BITFIELD_RO")), g.key(), *steps)


BITS = [
    (3, lambda g: (b"SETBIT", g.key(), offset(g), g.one((b"0", b"1", b"1", b"1", b"2", b"x")))),
    (1.5, lambda g: (b"GETBIT", g.key(), offset(g))),
    (2, make_bitcount),
    (2, make_bitpos),
    (1, make_bitop),
    (3, make_bitfield),
]


def hll_key(g):
    return g.one((b"hll0", b"hll1", b"hll2", b"hll3")) if g.chance(0.9) else g.key()


def hll_elements(g):
    if g.chance(0.1):
        return [b"%d" % g.below(100000) for _ in range(g.below(400))]
    return [g.value() for _ in range(g.below(5))]


def make_pfadd(g):
    """Of a damaged one 7.0 keeps what it changed before the element that meets the damage; so among keys that other
    commands damage there is only one element."""
    key = hll_key(g)
    elements = hll_elements(g)
    return (b"PFADD", key, *(elements if key.startswith(b"hll") else elements[:1]))


def make_pfdebug(g):
    return (b"PFDEBUG", g.one((b"ENCODING", b"DECODE", b"GETREG", b"TODENSE", b"encoding", b"foo")), hll_key(g))


HYPERLOGLOGS = [
    (4, make_pfadd),
    (2, lambda g: (b"PFCOUNT", *(hll_key(g) for _ in range(1 + g.below(3))))),
    (1, lambda g: (b"PFMERGE", *(hll_key(g) for _ in range(1 + g.below(3))))),
    (0.5, make_pfdebug),
    (1, lambda g: (b"GET", hll_key(g))),
    (0.3, lambda g: (b"DEL", hll_key(g))),
    (0.1, lambda g: (b"CONFIG", b"SET", b"hll-sparse-max-bytes", g.one((b"3000", b"60", b"200")))),
]
