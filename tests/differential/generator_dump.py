"""DUMP, and RESTORE of payloads of every encoding, sound and broken, with all options.

Payloads have few distinct values, so that keys meet other commands' work. Times are far away or in the past.
"""

import struct

import rdb_bytes as rdb

WORDS = ["a", "b", "1", "-7", "300", "x" * 60, "1.5", ""]
PAIRS = [word for field in WORDS for word in (field, field)]
SCORED = [word for i, member in enumerate(WORDS) for word in (member, i)]
STREAM = (
    rdb.length(1)
    + rdb.stream_listpack((1000, 7), ["f"], [(0, 0, ["1"]), (0, 1, ["2"])])
    + b"".join(map(rdb.length, (2, 1000, 8, 1000, 7, 0, 0, 2, 0)))
)
VALUES = [
    (rdb.STRING, rdb.string("text")),
    (rdb.STRING, rdb.string("")),
    (rdb.STRING, rdb.integer(12)),
    (rdb.STRING, rdb.integer(-70000)),
    (rdb.STRING, rdb.compressed_zeros(1000)),
    (rdb.LIST, rdb.strings(WORDS)),
    (rdb.LIST_ZIPLIST, rdb.string(rdb.ziplist(WORDS))),
    (rdb.LIST_QUICKLIST, rdb.length(1) + rdb.string(rdb.ziplist(WORDS))),
    (rdb.LIST_QUICKLIST_2, rdb.length(1) + rdb.length(2) + rdb.string(rdb.listpack(WORDS))),
    (rdb.SET, rdb.strings(WORDS)),
    (rdb.SET, rdb.strings([1, 2, 3])),
    (rdb.SET_INTSET, rdb.string(rdb.intset([1, 2, 300], 2))),
    (rdb.ZSET, rdb.length(2) + rdb.string("a") + rdb.old_double(1.5) + rdb.string("b") + rdb.old_double(float("-inf"))),
    (rdb.ZSET_2, rdb.length(2) + rdb.string("a") + rdb.double(1.5) + rdb.string("b") + rdb.double(float("inf"))),
    (rdb.ZSET_ZIPLIST, rdb.string(rdb.ziplist(SCORED))),
    (rdb.ZSET_LISTPACK, rdb.string(rdb.listpack(SCORED))),
    (rdb.HASH, rdb.length(len(WORDS)) + b"".join(map(rdb.string, PAIRS))),
    (rdb.HASH_ZIPMAP, rdb.string(rdb.zipmap([("a", "1"), ("b", "2")]))),
    (rdb.HASH_ZIPLIST, rdb.string(rdb.ziplist(PAIRS))),
    (rdb.HASH_LISTPACK, rdb.string(rdb.listpack(PAIRS))),
    (rdb.STREAM_2, STREAM),
]
SOUND = [rdb.payload(kind, value, version) for kind, value in VALUES for version in (7, 10)]
MALFORMED = [
    (rdb.STRING, b"\x81" + b"\x7f" * 8),
    (rdb.LIST, rdb.length(0)),
    (rdb.SET, rdb.length(3) + rdb.string("a")),
    (rdb.HASH, rdb.length(1) + rdb.string("a")),
    (rdb.HASH_LISTPACK, rdb.string(rdb.listpack(["a"]))),
    (rdb.HASH_ZIPLIST, rdb.string(b"nonsense")),
    (rdb.SET_INTSET, rdb.string(b"")),
    (rdb.ZSET_2, rdb.length(1) + rdb.string("a") + rdb.double(float("nan"))),
    (rdb.STREAM_2, STREAM[:-3]),
    (66, b""),
]
BROKEN = [
    *(rdb.payload(kind, value, 10) for kind, value in MALFORMED),
    b"",
    b"short",
    b"0123456789",
    rdb.payload(rdb.STRING, rdb.string("a"), 99),
    SOUND[0][:-1] + b"\x00",
    b"\x01" + SOUND[0],
]


def ttl(g):
    if g.chance(0.5):
        return b"0"
    return g.one((b"100000000", b"1", b"-1", b"4102444800000", b"abc", b"", b"1.5"))


def options(g):
    words = []
    for _ in range(g.below(4)):
        words += g.one(
            ((b"REPLACE",), (b"replace",), (b"ABSTTL",), (b"IDLETIME", b"5"), (b"IDLETIME", b"-1"), (b"FREQ", b"7"), (b"FREQ", b"256"),
             (b"FREQ", b"x"), (b"IDLETIME",), (b"nonsense",))
        )  # fmt: skip
    return words


def make_restore(g):
    payload = g.one(SOUND) if g.chance(0.85) else g.one(BROKEN)
    if g.chance(0.7):
        return (b"RESTORE", g.key(), b"0", payload, b"REPLACE")
    expiry, words = ttl(g), options(g)
    if expiry in (b"1", b"100000000") and b"ABSTTL" not in words:
        expiry = b"100000000"  # what ends while they are compared is no difference
    return (b"RESTORE", g.key(), expiry, payload, *words)


def make_dump(g):
    return (b"DUMP", g.key())


DUMPS = [(3, make_dump), (6, make_restore)]


def same_payload(arguments, ours, peer, context):
    """The same bytes where order and compression leave no choice; else both are sound payloads of the same type."""
    if ours[:3] == b"$-1" or peer[:3] == b"$-1":
        return False
    parts = []
    for reply in (ours, peer):
        payload = reply[reply.index(b"\r\n") + 2 : -2]
        if rdb.crc64(payload[:-8]) != struct.unpack("<Q", payload[-8:])[0]:
            return False
        parts.append(payload)
    kinds = [TYPES[payload[0]] for payload in parts]
    return kinds[0] == kinds[1] != "string"


TYPES = {
    **{kind: "list" for kind in (rdb.LIST, rdb.LIST_ZIPLIST, rdb.LIST_QUICKLIST, rdb.LIST_QUICKLIST_2)},
    **{kind: "set" for kind in (rdb.SET, rdb.SET_INTSET, rdb.SET_LISTPACK)},
    **{kind: "zset" for kind in (rdb.ZSET, rdb.ZSET_2, rdb.ZSET_ZIPLIST, rdb.ZSET_LISTPACK)},
    **{kind: "hash" for kind in (rdb.HASH, rdb.HASH_ZIPLIST, rdb.HASH_ZIPMAP, rdb.HASH_LISTPACK)},
    **{kind: "stream" for kind in (rdb.STREAM_1, rdb.STREAM_2, rdb.STREAM_3)},
    rdb.STRING: "string",
}
