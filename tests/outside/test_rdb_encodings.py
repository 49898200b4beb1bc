"""RDB files of every age, made byte by byte: loaded here, and in Debian's redis-server where it can.

Both have the same dataset then (DEBUG DIGEST), also once one has saved it and the other has loaded that.
"""

import shutil
import struct

import harness
import pytest
import rdb_bytes as rdb

FAR = 99999999999999
NUMBERS = [0, 1, 12, 13, 127, 128, -1, -128, -129, 4095, -4096, 32767, -32768, 8388607, -8388608, 2147483647,
           -2147483648, 1 << 40, -(1 << 40), (1 << 63) - 1, -(1 << 63)]
TEXTS = ["", "a", "x" * 63, "y" * 64, "z" * 300, "w" * 20000, "007", "-0", "1.5"]
VALUES = [*NUMBERS, *TEXTS]
PAIRS = [item for i, value in enumerate(VALUES) for item in (f"field{i}", value)]
SCORES = [item for i, value in enumerate(VALUES) for item in (value, i / 4 - 3)]


def raw_id(ms, sequence):
    return rdb.stream_id(ms, sequence)


def lengths(*numbers):
    return b"".join(map(rdb.length, numbers))


RECORDS = [(0, 0, ["1", "v"]), (0, 1, ["2", "w"]), (5, 0, [300, "x" * 100])]
NODES = rdb.length(1) + rdb.stream_listpack((1000, 7), ["f", "g"], RECORDS)
PENDING = rdb.length(1) + raw_id(1000, 8) + struct.pack("<q", 5000) + rdb.length(3)


def consumers(seen, active=b""):
    return rdb.length(1) + rdb.string("consumer") + struct.pack("<q", seen) + active + rdb.length(1) + raw_id(1000, 8)


STREAM_1 = NODES + lengths(3, 1005, 7, 1) + rdb.string("group") + lengths(1000, 8) + PENDING + consumers(6000)
STREAM_2 = (
    NODES + lengths(3, 1005, 7, 1000, 7, 999, 1, 5, 1) + rdb.string("group") + lengths(1000, 8, 2) + PENDING + consumers(6000)
)
STREAM_3 = (
    NODES
    + lengths(3, 1005, 7, 1000, 7, 999, 1, 5, 1)
    + rdb.string("group")
    + lengths(1000, 8, 2)
    + PENDING
    + consumers(6000, struct.pack("<q", 6001))
)

# Name of the case: version of the file, its parts.
OF_ALL_AGES = {
    "1, linked lists and tables": (
        1,
        rdb.select(0),
        rdb.key("string", rdb.STRING, rdb.string("text")),
        rdb.key("number", rdb.STRING, rdb.integer(-70000)),
        rdb.key("small number", rdb.STRING, rdb.integer(-7)),
        rdb.key("compressed", rdb.STRING, rdb.compressed_zeros(10000)),
        rdb.key("list", rdb.LIST, rdb.strings(VALUES)),
        rdb.key("set", rdb.SET, rdb.strings(VALUES)),
        rdb.key("hash", rdb.HASH, rdb.length(len(VALUES)) + b"".join(map(rdb.string, PAIRS))),
        rdb.key("ends", rdb.STRING, rdb.string("x"), expire_s=2000000000),
        rdb.key("ended", rdb.STRING, rdb.string("x"), expire_s=1000000000),
    ),
    "2, scores as text": (
        2,
        rdb.select(3),
        rdb.key(
            "zset",
            rdb.ZSET,
            rdb.length(5)
            + b"".join(
                rdb.string(name) + rdb.old_double(score)
                for name, score in (("a", 1.5), ("b", -3), ("c", float("inf")), ("d", float("-inf")), ("e", 1e300))
            ),
        ),
    ),
    "2, zipmap": (
        2,
        rdb.select(0),
        rdb.key("zipmap", rdb.HASH_ZIPMAP, rdb.string(rdb.zipmap([("a", "1"), ("b", "x" * 400), ("c" * 300, "")]))),
        rdb.key("with room", rdb.HASH_ZIPMAP, rdb.string(rdb.zipmap([("a", "1"), ("b", "2")], free=3))),
        rdb.key("many", rdb.HASH_ZIPMAP, rdb.string(rdb.zipmap([(f"f{i}", i) for i in range(300)]))),
    ),
    "3, expiry in milliseconds": (3, rdb.select(0), rdb.key("a", rdb.STRING, rdb.string("1"), expire_ms=FAR)),
    "4, ziplists and intsets": (
        4,
        rdb.select(0),
        rdb.key("list", rdb.LIST_ZIPLIST, rdb.string(rdb.ziplist(VALUES))),
        rdb.key("texts", rdb.LIST_ZIPLIST, rdb.string(rdb.ziplist(NUMBERS, encode_integers=False))),
        rdb.key("hash", rdb.HASH_ZIPLIST, rdb.string(rdb.ziplist(PAIRS))),
        rdb.key("zset", rdb.ZSET_ZIPLIST, rdb.string(rdb.ziplist(SCORES))),
        rdb.key("intset 2", rdb.SET_INTSET, rdb.string(rdb.intset([-5, 3, 300], 2))),
        rdb.key("intset 4", rdb.SET_INTSET, rdb.string(rdb.intset([-5, 3, 70000], 4))),
        rdb.key("intset 8", rdb.SET_INTSET, rdb.string(rdb.intset([-5, 3, 1 << 60], 8))),
    ),
    "5, with a checksum": (5, rdb.select(0), rdb.key("a", rdb.STRING, rdb.string("1"))),
    "6": (6, rdb.select(15), rdb.key("a", rdb.LIST_ZIPLIST, rdb.string(rdb.ziplist(["x"])))),
    "7, quicklists of ziplists": (
        7,
        rdb.aux("redis-ver", "3.2.0"),
        rdb.aux("redis-bits", "64"),
        rdb.aux("something-new", "that nobody knows"),
        rdb.select(0),
        rdb.resize(1, 0),
        rdb.key(
            "list",
            rdb.LIST_QUICKLIST,
            rdb.length(3) + b"".join(rdb.string(rdb.ziplist(part)) for part in (VALUES, ["x"], NUMBERS)),
        ),
    ),
    "8, scores as numbers": (
        8,
        rdb.select(0),
        rdb.key(
            "zset",
            rdb.ZSET_2,
            rdb.length(4)
            + b"".join(
                rdb.string(name) + rdb.double(score)
                for name, score in (("a", 0.1), ("b", float("inf")), ("c", float("-inf")), ("d", -0.0))
            ),
        ),
    ),
    "9, streams, use": (
        9,
        rdb.select(0),
        rdb.key("stream", rdb.STREAM_1, STREAM_1),
        bytes([rdb.FREQ, 200]) + rdb.key("often", rdb.STRING, rdb.string("1")),
        bytes([rdb.IDLE]) + rdb.length(5000) + rdb.key("idle", rdb.STRING, rdb.string("1")),
    ),
    "10, listpacks": (
        10,
        rdb.select(0),
        rdb.key("hash", rdb.HASH_LISTPACK, rdb.string(rdb.listpack(PAIRS))),
        rdb.key("zset", rdb.ZSET_LISTPACK, rdb.string(rdb.listpack(SCORES))),
        rdb.key(
            "list",
            rdb.LIST_QUICKLIST_2,
            rdb.length(3)
            + (rdb.length(2) + rdb.string(rdb.listpack(VALUES)))
            + (rdb.length(1) + rdb.string("plain" * 5000))
            + (rdb.length(2) + rdb.string(rdb.listpack(["end"]))),
        ),
        rdb.key("stream", rdb.STREAM_2, STREAM_2),
    ),
}
# What Debian's 7.0 does not know: what ours must have.
NEWER = {
    "11, sets as listpacks": (
        11,
        [rdb.key("set", rdb.SET_LISTPACK, rdb.string(rdb.listpack(VALUES)))],
        lambda call: sorted(call("SMEMBERS", "set")) == sorted(str(value).encode() for value in VALUES),
    ),
    "11, consumers that were active": (
        11,
        [rdb.key("stream", rdb.STREAM_3, STREAM_3)],
        lambda call: call("XPENDING", "stream", "group")[0] == 1 and call("XLEN", "stream") == 3,
    ),
    "12, fields that end": (
        12,
        [
            rdb.key(
                "table",
                rdb.HASH_EXPIRING,
                struct.pack("<Q", FAR)
                + rdb.length(2)
                + (rdb.length(1) + rdb.string("f") + rdb.string("v"))
                + (rdb.length(0) + rdb.string("g") + rdb.string("w")),
            ),
            rdb.key(
                "small",
                rdb.HASH_LISTPACK_EXPIRING,
                struct.pack("<Q", FAR) + rdb.string(rdb.listpack(["f", "v", FAR, "g", "w", 0])),
            ),
            rdb.key(
                "gone",
                rdb.HASH_LISTPACK_EXPIRING,
                struct.pack("<Q", 1000) + rdb.string(rdb.listpack(["f", "v", 1000, "g", "w", 0])),
            ),
        ],
        lambda call: [call("HPEXPIRETIME", name, "FIELDS", 2, "f", "g") for name in ("table", "small", "gone")]
        == [[FAR, -1], [FAR, -1], [-2, -1]],
    ),
    "11, what modules keep beside the keys": (
        11,
        [
            bytes([rdb.MODULE_AUX])
            + b"\x81" + struct.pack(">Q", 1 << 60)
            + lengths(2, 2)
            + (lengths(5) + rdb.string("text"))
            + (lengths(3) + b"1234")
            + (lengths(4) + b"12345678")
            + lengths(1, 7, 0),
            rdb.key("a", rdb.STRING, rdb.string("1")),
        ],
        lambda call: call("GET", "a") == b"1" and call("DBSIZE") == 1,
    ),
    "12, places of slots": (
        12,
        [bytes([244]) + lengths(5, 1, 0), rdb.key("a", rdb.STRING, rdb.string("1"))],
        lambda call: call("GET", "a") == b"1",
    ),
}


def digest(connection):
    return bytes(connection.call("DEBUG", "DIGEST"))


def start_on(start, folder, command=None, **options):
    return start(command=command or harness.ours_command(), dir=folder, **options)


@pytest.mark.parametrize("limits", ({}, {"hash-max-listpack-entries": 4, "zset-max-listpack-entries": 4}), ids=("", "tables"))
@pytest.mark.parametrize("name", OF_ALL_AGES)
def test_old_files(start, tmp_path, name, limits):
    version, *parts = OF_ALL_AGES[name]
    for folder in ("theirs", "ours"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "dump.rdb").write_bytes(rdb.file(version, *parts))
    theirs = start_on(start, tmp_path / "theirs", harness.peer_command(), **limits).connect()
    ours = start_on(start, tmp_path / "ours", **limits).connect()
    before = digest(ours)
    assert before == digest(theirs)
    ours.call_ok("SAVE")
    shutil.copy(tmp_path / "ours" / "dump.rdb", tmp_path / "dump.rdb")
    assert digest(start_on(start, tmp_path, harness.peer_command()).connect()) == before
    theirs.call_ok("SAVE")
    shutil.copy(tmp_path / "theirs" / "dump.rdb", tmp_path / "dump.rdb")
    assert digest(start_on(start, tmp_path).connect()) == before


@pytest.mark.parametrize("name", NEWER)
def test_newer_files(start, tmp_path, name):
    version, parts, holds = NEWER[name]
    (tmp_path / "dump.rdb").write_bytes(rdb.file(version, *parts))
    server = start_on(start, tmp_path)
    connection = server.connect()
    assert holds(connection.call)
    before = digest(connection)
    connection.call_ok("DEBUG", "RELOAD")
    assert digest(connection) == before and holds(connection.call)


@pytest.mark.parametrize("name", [name for name in OF_ALL_AGES if name[0] not in "123"])
def test_old_payloads(start, name):
    """RESTORE of each value alone gives what theirs gives."""
    _, *parts = OF_ALL_AGES[name]
    theirs, ours = start(command=harness.peer_command()).connect(), start().connect()
    count = 0
    for part in parts:
        kind = part[0]
        if kind > rdb.STREAM_3:
            continue
        size = part[1]
        assert size < 64
        value = rdb.payload(kind, part[2 + size :], version=10)
        assert ours.call("RESTORE", part[2 : 2 + size], 0, value) == theirs.call("RESTORE", part[2 : 2 + size], 0, value) == b"OK"
        count += 1
    assert count > 0
    before = digest(ours)
    assert before == digest(theirs)
    for here, there in ((ours, theirs), (theirs, ours)):
        for key in here.call("KEYS", "*"):
            there.call_ok("RESTORE", key, 0, here.call("DUMP", key), "REPLACE")
        assert digest(there) == before


def stream(added=5, read=2, deliveries=3, fields=("f", "g")):
    nodes = rdb.length(1) + rdb.stream_listpack((1000, 7), fields, [(0, 0, ["1", "v"][: len(fields)]), (0, 1, ["2", "w"][: len(fields)])])
    pending = rdb.length(1) + raw_id(1000, 8) + struct.pack("<q", 5000) + rdb.length(deliveries)
    head = lengths(2, 1005, 7, 1000, 7, 999, 1, added, 1) + rdb.string("group") + lengths(1000, 8, read)
    return rdb.payload(rdb.STREAM_2, nodes + head + pending + consumers(6000), version=10)


@pytest.mark.parametrize("wrong", [{"added": 1 << 63}, {"read": (1 << 64) - 2}, {"deliveries": 1 << 63}, {"fields": ()}], ids=str)
def test_streams_that_commands_cannot_make(server, wrong):
    """What could not be said again, by an effect or in another file, is refused."""
    connection = server.connect()
    connection.call_ok("RESTORE", "good", 0, stream())
    connection.call_ok("RESTORE", "unknown", 0, stream(read=(1 << 64) - 1))
    assert connection.call("RESTORE", "bad", 0, stream(**wrong)) == b"ERR Bad data format"


SOUND = rdb.key("a", rdb.STRING, rdb.string("1"))
BROKEN = {
    "cut in the head": (b"REDIS00", "too short"),
    "cut in a key": (rdb.file(10, SOUND, rdb.key("b", rdb.STRING, rdb.string("x" * 50)))[:-40], "ends too early"),
    "without an end": (rdb.file(10, SOUND)[:-9], "ends too early"),
    "without a checksum": (rdb.file(10, SOUND)[:-8], "ends too early"),
    "an absurd string": (rdb.file(10, rdb.key("b", rdb.STRING, b"\x81" + b"\x7f" * 8)), "key 'b'"),
    "an absurd list": (rdb.file(10, rdb.key("b", rdb.LIST, b"\x80" + b"\x7f" * 4)), "key 'b'"),
    "an absurd compressed string": (
        rdb.file(10, rdb.key("b", rdb.STRING, b"\xc3" + lengths(3) + b"\x81" + b"\x7f" * 8 + b"abc")),
        "impossible size",
    ),
    "an absurd stream": (rdb.file(10, rdb.key("b", rdb.STREAM_2, b"\x81" + b"\x7f" * 8)), "key 'b'"),
    "an absurd database": (rdb.file(10, rdb.select(1 << 40), SOUND), "databases"),
    "a broken listpack": (rdb.file(10, rdb.key("b", rdb.HASH_LISTPACK, rdb.string(rdb.listpack(PAIRS)[:-4]))), "key 'b'"),
    "a broken ziplist": (rdb.file(10, rdb.key("b", rdb.LIST_ZIPLIST, rdb.string(rdb.ziplist(VALUES)[5:]))), "key 'b'"),
    "a field without a value": (rdb.file(10, rdb.key("b", rdb.HASH_ZIPLIST, rdb.string(rdb.ziplist(["a"])))), "key 'b'"),
    "a field twice": (rdb.file(10, rdb.key("b", rdb.HASH_LISTPACK, rdb.string(rdb.listpack(["a", 1, "a", 2])))), "key 'b'"),
    "an intset out of order": (rdb.file(10, rdb.key("b", rdb.SET_INTSET, rdb.string(rdb.intset([1], 2)[:8] + b"\2\0\1\0"))), "key 'b'"),
    "a score that is none": (rdb.file(10, rdb.key("b", rdb.ZSET, rdb.length(1) + rdb.string("m") + b"\x03abc")), "key 'b'"),
    "an empty list": (rdb.file(10, rdb.key("b", rdb.LIST, rdb.length(0))), "key 'b'"),
    "a key twice": (rdb.file(10, SOUND, SOUND), "there twice"),
    "an unknown type": (rdb.file(10, rdb.key("b", 77, rdb.string("x"))), "neither a key nor"),
    "a module's value": (rdb.file(10, rdb.key("b", rdb.MODULE_2, lengths(5, 0))), "module"),
    "a wrong checksum": (rdb.file(10, SOUND)[:-1] + b"\0", "Wrong RDB checksum"),
    "a version of tomorrow": (rdb.file(99, SOUND), "Can't handle RDB format version 0099"),
    "no RDB": (b"hello, world, this is text\n", "Wrong signature"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_broken_files_are_refused(start, tmp_path, name):
    data, reason = BROKEN[name]
    (tmp_path / "dump.rdb").write_bytes(data)
    server = start(wait=False, dir=tmp_path)
    assert server.wait() == 1
    assert reason in server.log(), server.log()


def test_functions_are_loaded(start, tmp_path):
    """A library of functions is there before the first client."""
    library = "#!lua name=lib\nredis.register_function('f', function() return 1 end)"
    (tmp_path / "dump.rdb").write_bytes(rdb.file(10, bytes([rdb.FUNCTION]) + rdb.string(library), SOUND))
    server = start(dir=tmp_path)
    connection = server.connect()
    assert connection.call("GET", "a") == b"1"
    assert connection.call("FCALL", "f", 0) == 1


def test_announced_keys_are_a_hint(start, tmp_path):
    """Tools that cut and join files leave it as it was."""
    (tmp_path / "dump.rdb").write_bytes(rdb.file(10, rdb.select(0), rdb.resize(1 << 50, 0), SOUND))
    assert start(dir=tmp_path).connect().call("GET", "a") == b"1"
