"""Random SORTs of whatever the keys hold, by whatever other keys hold.

Left out is what has no one answer: which of equal weights comes first, where Redis sorts only a part of the
elements (BY with ALPHA and LIMIT) or where the elements of a set are stored (BY with ALPHA and STORE).
"""

PATTERNS = [b"k*", b"k*", b"k*", b"*", b"k*->a", b"k*->1", b"*->b", b"k*x", b"list*", b"k*->", b"K*", b"k**", b"a\r\n*"]
UNSORTED = [b"nosort", b"k1", b"", b"#"]
# Redis takes an error that some command before left in errno for its own; this one clears it.
CLEAR = (b"INCRBYFLOAT", b"sort clears errno", b"1")


def pattern(g):
    return g.one(PATTERNS) if g.chance(0.9) else g.one(UNSORTED)


def number(g):
    return b"%d" % (g.below(12) - 2) if g.chance(0.9) else g.integer()


def make_sort(g):
    key = g.one((b"list0", b"list1")) if g.chance(0.15) else g.key()
    name = b"SORT" if g.chance(0.8) else b"SORT_RO"
    options = []
    by, alpha = g.chance(0.5), g.chance(0.7)
    if by:
        options.append([g.cased(b"BY"), pattern(g)])
    if alpha:
        options.append([g.cased(b"ALPHA")])
    if g.chance(0.4):
        options.append([g.cased(g.one((b"ASC", b"DESC", b"DESC")))])
    if g.chance(0.3) and not (by and alpha):
        options.append([g.cased(b"LIMIT"), number(g), number(g)])
    for _ in range(g.below(3) if g.chance(0.4) else 0):
        options.append([g.cased(b"GET"), b"#" if g.chance(0.4) else pattern(g)])
    if g.chance(0.35 if name == b"SORT" else 0.02) and not (by and alpha):
        options.append([g.cased(b"STORE"), g.key()])
    if g.chance(0.02):
        options.append([g.one((b"BY", b"GET", b"LIMIT", b"STORE", b"foo", b""))])
    g.random.shuffle(options)
    return [CLEAR, (name, key, *(word for option in options for word in option))]


SORTS = [(6, make_sort), (0.2, lambda g: (g.one((b"SORT", b"SORT_RO", b"sort")),))]
