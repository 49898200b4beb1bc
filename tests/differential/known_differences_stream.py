"""What may differ in the answers of commands on streams: rules for known_differences.py."""

from wire import elements, parse

TOLERANCE_MS = 10_000

# Streams. Fields that Redis 7.2 added, what is each server's own, and moments. Redis 7.2 and later, as Redstart, make
# a consumer when it asks, whatever it then gets, Redis 7.0 only when it gets something: so consumers for whom
# nothing is pending do not count.
# What a group has read and its lag are counted as Redis 7.4.2 does, which knows of entries that were deleted or trimmed
# behind the group's last one; test_stream.c holds them against a model.
STREAM_OWN = {b"inactive", b"active-time", b"seen-time", b"idle", b"radix-tree-keys", b"radix-tree-nodes", b"entries-read", b"lag"}


def is_idle_consumer(value):
    children = elements(value)
    if not children or children[0] != b"name" or b"last-delivered-id" in children:
        return False
    fields = dict(zip(children[::2], map(repr, children[1::2])))
    return "0" in (fields.get(b"pel-count"), fields.get(b"pending"))


def without_moments(value):
    """A parsed reply without the fields of STREAM_OWN and idle consumers; times since 1970 are all the same."""
    children = elements(value)
    if children is None:
        return b"a time" if isinstance(value, int) and 10**12 < value < 10**13 else value
    kept, skip = [], False
    for at, child in enumerate(children):
        if skip or isinstance(child, bytes) and child in STREAM_OWN:
            skip = not skip
        elif child == b"consumers" and isinstance(children[at + 1], int):
            skip = True
        elif not is_idle_consumer(child):
            kept.append(without_moments(child))
    return kept


def nodes_told(reply):
    fields = elements(parse(reply))
    return fields[fields.index(b"radix-tree-keys") + 1] if b"radix-tree-keys" in fields else 0


def stream_info(arguments, ours, peer, context):
    """Redis leaves nodes that have become empty while only a part of them was trimmed."""
    if ours[:1] != peer[:1] or nodes_told(ours) > nodes_told(peer):
        return False
    return without_moments(parse(ours)) == without_moments(parse(peer))


def stream_pending(arguments, ours, peer, context):
    """How long entries have been waiting is measured at slightly different times."""
    ours, peer = elements(parse(ours)), elements(parse(peer))

    def close(a, b):
        return a[:2] + a[3:] == b[:2] + b[3:] and abs(a[2] - b[2]) <= TOLERANCE_MS

    return len(arguments) > 3 and len(ours) == len(peer) and all(close(elements(a), elements(b)) for a, b in zip(ours, peer))


def stream_add(arguments, ours, peer, context):
    """An id that is the time."""
    return ours[:1] == peer[:1] == b"$" and b"*" in arguments


COMPARISONS = {
    b"XINFO STREAM": stream_info,
    b"XINFO CONSUMERS": stream_info,
    b"XINFO GROUPS": stream_info,
    b"XPENDING": stream_pending,
    b"XADD": stream_add,
}
