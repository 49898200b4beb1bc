"""Random commands on places.

Left out is what has no one answer: which of members that are equally far away COUNT cuts off. So members do not
share places here, and what other families put into sorted sets, which all lies in one corner of the globe, is
searched without COUNT only. Middles are not at the poles, where Redis overlooks members (known_differences.py).
"""

OWN = (b"geo0", b"geo1", b"geo2")
UNITS = (b"m", b"km", b"KM", b"mi", b"ft")


def key(g):
    return g.one(OWN) if g.chance(0.9) else g.key()


def member(g):
    return b"m%d" % g.below(200)


def degrees(g, low, high):
    return b"%.9f" % (low + (high - low) * g.uniform())


def place(g):
    """Most are near each other, some are anywhere or nowhere."""
    if g.chance(0.6):
        return degrees(g, 10, 20), degrees(g, 35, 42)
    if g.chance(0.9):
        return degrees(g, -180, 180), degrees(g, -60, 60)
    return g.one((b"181", b"x", b"nan", b"-180.5", b"1e1")), degrees(g, -60, 60)


def length(g):
    if g.chance(0.9):
        return b"%.3f" % (g.uniform() * g.one((1, 30, 300, 2500)))
    return g.one((b"0", b"-1", b"x", b"100000000"))


def unit(g):
    return g.one(UNITS) if g.chance(0.97) else g.one((b"x", b""))


def make_geoadd(g):
    options = [option for option in (b"NX", b"XX", b"CH") if g.chance(0.1)]
    triples = []
    for _ in range(1 + g.below(6)):
        triples += [*place(g), member(g)]
    return (b"GEOADD", g.one(OWN) if g.chance(0.97) else g.key(), *options, *triples)


def options(g, where, storing):
    parts = [[word] for word in (b"WITHDIST", b"WITHCOORD", b"WITHHASH") if g.chance(0.02 if storing else 0.3)]
    if g.chance(0.5):
        parts.append([g.cased(g.one((b"ASC", b"DESC")))])
    if where in OWN and g.chance(0.3):
        parts.append([b"COUNT", g.one((b"1", b"3", b"20", b"0", b"x"))] + ([b"ANY"] if g.chance(0.4) else []))
    if g.chance(0.02):
        parts.append([g.one((b"ANY", b"COUNT", b"STORE", b"foo", b""))])
    return parts


def joined(g, parts):
    g.random.shuffle(parts)
    return [word for part in parts for word in part]


def make_georadius(g):
    where, storing, by_member = key(g), g.chance(0.3), g.chance(0.5)
    parts = options(g, where, storing)
    if storing:
        parts.append([g.one((b"STORE", b"STOREDIST", b"store")), g.one((b"geo3", b"geo4"))])
    name = b"GEORADIUSBYMEMBER" if by_member else b"GEORADIUS"
    if g.chance(0.3):
        name += b"_RO"
    middle = (member(g),) if by_member else place(g)
    return (name, where, *middle, length(g), unit(g), *joined(g, parts))


def make_geosearch(g):
    where, storing = key(g), g.chance(0.3)
    parts = options(g, where, storing)
    if storing and g.chance(0.4):
        parts.append([b"STOREDIST"])
    parts.append([b"FROMMEMBER", member(g)] if g.chance(0.5) else [b"FROMLONLAT", *place(g)])
    parts.append([b"BYRADIUS", length(g), unit(g)] if g.chance(0.5) else [b"BYBOX", length(g), length(g), unit(g)])
    words = joined(g, parts)
    return (b"GEOSEARCHSTORE", g.one((b"geo3", b"geo4")), where, *words) if storing else (b"GEOSEARCH", where, *words)


GEO = [
    (4, make_geoadd),
    (2, make_georadius),
    (3, make_geosearch),
    (1, lambda g: (b"GEODIST", key(g), member(g), member(g), *((unit(g),) if g.chance(0.6) else ()))),
    (1, lambda g: (b"GEOPOS", key(g), member(g), member(g))),
    (1, lambda g: (b"GEOHASH", key(g), member(g), member(g))),
    (0.5, lambda g: (b"ZREM", g.one(OWN), member(g), member(g))),
    (0.2, lambda g: (b"DEL", g.one(OWN))),
]
