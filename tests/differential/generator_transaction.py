"""Transactions: commands of the other families between MULTI and EXEC, and keys watched on one connection while the
other changes them."""

# Not between MULTI and EXEC: they would end it, say something about the connection, or leave out its replies.
NOT_QUEUED = {
    b"MULTI", b"EXEC", b"DISCARD", b"RESET", b"QUIT", b"CLIENT", b"HELLO", b"AUTH", b"DEBUG", b"CONFIG", b"SHUTDOWN", b"SAVE",
    b"COMMAND", b"LOLWUT", b"INFO",
}  # fmt: skip


def is_queued(command):
    name = command[0].upper()
    # Redis's queue holds the words that become values, and counts that
    if name == b"OBJECT" and len(command) > 1 and command[1].upper() == b"REFCOUNT":
        return False
    # 7.0 refuses ZRANK's fourth word at once, newer ones when they run it
    return name not in NOT_QUEUED and (name not in (b"ZRANK", b"ZREVRANK") or len(command) == 3)


def make_commands(g):
    commands = []
    for _ in range(g.below(9)):
        commands += filter(is_queued, g.next())
    return commands


def make_transaction(g):
    if getattr(g, "is_in_transaction", False):
        return (b"PING",)
    g.is_in_transaction = True
    commands = make_commands(g)
    g.is_in_transaction = False
    if g.chance(0.05):
        commands.insert(g.below(len(commands) + 1), g.one(((b"MULTI",), (b"WATCH", g.key()), (b"nosuch",), (b"SAVE",), (b"GET",))))
    end = (b"EXEC",) if g.chance(0.9) else g.one(((b"DISCARD",), (b"EXEC", b"a"), (b"RESET",) if g.chance(0.1) else (b"DISCARD",)))
    return [(g.cased(b"MULTI"),), *commands, end]


def make_watch(g):
    return (g.cased(b"WATCH"), *g.keys(3))


TRANSACTIONS = [
    (5, make_transaction),
    (3, make_watch),
    (0.3, lambda g: (b"UNWATCH",)),
    (0.2, lambda g: g.one(((b"EXEC",), (b"DISCARD",), (b"EXEC", b"a"), (b"WATCH",), (b"UNWATCH", b"a"), (b"MULTI", b"a")))),
]
