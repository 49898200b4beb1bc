"""RDB files: to Debian's redis-server and back, with all types and encodings; what the server does when it
starts on a file, when the file is broken, and when it ends."""

import os
import signal
import time

import harness
import pytest
from dataset import LIMITS, content, fill

def save_and_stop(server, connection):
    connection.call_ok("SAVE")
    server.stop()
    return server.folder / "dump.rdb"


@pytest.mark.parametrize("compression", ("yes", "no"))
def test_our_file_loads_in_redis(start, compression):
    ours = start(rdbcompression=compression, **LIMITS)
    connection = ours.connect()
    fill(connection)
    expected, seen = content(connection), connection.call("DEBUG", "DIGEST")
    file = save_and_stop(ours, connection)
    theirs = start(command=harness.peer_command(), dir=file.parent).connect()
    assert content(theirs) == expected
    assert theirs.call("DEBUG", "DIGEST") == seen


def test_stream_that_is_asked_in_vain_loads_in_redis(start):
    """A consumer was then seen at another time than it got something; Redis 7.0 knows one time of the two."""
    ours = start(**LIMITS)
    connection = ours.connect()
    connection.call_ok("XGROUP", "CREATE", "stream", "group", "$", "MKSTREAM")
    connection.call("XGROUP", "CREATECONSUMER", "stream", "group", "new")
    connection.call("XREADGROUP", "GROUP", "group", "polls", "STREAMS", "stream", ">")
    connection.call("XADD", "stream", "1-1", "a", "1")
    connection.call("XREADGROUP", "GROUP", "group", "polls", "STREAMS", "stream", ">")
    time.sleep(0.01)
    connection.call("XREADGROUP", "GROUP", "group", "polls", "STREAMS", "stream", ">")
    dump = connection.call("DUMP", "stream")
    pending = connection.call("XPENDING", "stream", "group")
    file = save_and_stop(ours, connection)
    theirs = start(command=harness.peer_command(), dir=file.parent).connect()
    assert theirs.call("XPENDING", "stream", "group") == pending
    assert len(theirs.call("XINFO", "CONSUMERS", "stream", "group")) == 2
    theirs.call_ok("RESTORE", "again", 0, dump)


@pytest.mark.parametrize("limits", (LIMITS, {}))
def test_redis_file_loads_in_ours(start, limits):
    theirs = start(command=harness.peer_command(), **limits)
    connection = theirs.connect()
    fill(connection)
    expected, seen = content(connection), connection.call("DEBUG", "DIGEST")
    file = save_and_stop(theirs, connection)
    ours = start(dir=file.parent).connect()
    assert content(ours) == expected
    assert ours.call("DEBUG", "DIGEST") == seen


def test_dump_of_redis_restores_in_ours(start):
    theirs, ours = start(command=harness.peer_command(), **LIMITS).connect(), start(**LIMITS).connect()
    fill(theirs)
    for key in theirs.call("KEYS", "*"):
        ours.call_ok("RESTORE", key, 0, theirs.call("DUMP", key))
    for command in (("SELECT", 3), ("SET", "elsewhere", "y"), ("SELECT", 0)):
        ours.call(*command)
    theirs.call("PERSIST", "expires")
    assert content(ours) == content(theirs)


def test_reload(start):
    connection = start(**LIMITS).connect()
    fill(connection)
    connection.call("HSET", "hash:fields", "a", 1, "b", 2)
    connection.call("HPEXPIREAT", "hash:fields", 60000000000000, "FIELDS", 1, "a")
    connection.call("HPEXPIREAT", "hash:big", 60000000000000, "FIELDS", 2, "f1", "f2")
    before = connection.call("DEBUG", "DIGEST-EXACT")
    connection.call_ok("DEBUG", "RELOAD")
    assert connection.call("DEBUG", "DIGEST-EXACT") == before
    connection.call_ok("DEBUG", "RELOAD", "NOSAVE", "NOFLUSH", "MERGE")
    assert connection.call("DEBUG", "DIGEST-EXACT") == before
    assert b"Error trying to load" in connection.call("DEBUG", "RELOAD", "NOSAVE", "NOFLUSH")
    for key in connection.call("KEYS", "*"):
        payload = connection.call("DUMP", key)
        expiry = connection.call("PEXPIRETIME", key)
        connection.call_ok("RESTORE", key, max(expiry, 0), payload, "REPLACE", "ABSTTL")
    assert connection.call("DEBUG", "DIGEST-EXACT") == before


def broken_start(start, file, change):
    data = bytearray(file.read_bytes())
    file.write_bytes(change(data))
    server = start(wait=False, dir=file.parent)
    return server.wait(), server.log()


@pytest.mark.parametrize(
    "change, line",
    (
        (lambda data: data[: len(data) // 2], "Unrecoverable error, aborting now."),
        (lambda data: data[:5], "Unrecoverable error, aborting now."),
        (lambda data: b"NOTRE" + data[5:], "Wrong signature trying to load DB from file"),
        (lambda data: b"REDIS0099" + data[9:], "Can't handle RDB format version 0099"),
        (lambda data: data[:-1] + bytes([data[-1] ^ 1]), "Wrong RDB checksum"),
    ),
)
def test_broken_file_ends_the_start(start, change, line):
    server = start()
    connection = server.connect()
    connection.call("DEBUG", "POPULATE", 100)
    code, log = broken_start(start, save_and_stop(server, connection), change)
    assert code == 1
    assert line in log


def test_what_shutdown_saves(start):
    server = start(save="")
    connection = server.connect()
    connection.call_ok("SET", "a", 1)
    connection.send(harness.encode("SHUTDOWN", "SAVE"))
    assert server.wait() == 0
    again = start(dir=server.folder, save="3600 1")
    connection = again.connect()
    assert connection.call("GET", "a") == b"1"
    connection.call_ok("SET", "a", 2)
    again.process.send_signal(signal.SIGTERM)
    assert again.wait() == 0
    last = start(dir=server.folder, save="3600 1")
    connection = last.connect()
    assert connection.call("GET", "a") == b"2"
    connection.call_ok("SET", "a", 3)
    connection.send(harness.encode("SHUTDOWN", "NOSAVE"))
    assert last.wait() == 0
    assert start(dir=server.folder).connect().call("GET", "a") == b"2"


def test_a_folder_that_cannot_be_written(start, tmp_path):
    server = start(dbfilename="sub.rdb")
    connection = server.connect()
    os.mkdir(server.folder / "sub.rdb")  # the rename fails
    assert connection.call("SAVE") == b"ERR"
    assert not [name for name in os.listdir(server.folder) if name.startswith("temp-")]
    assert connection.call("SHUTDOWN", "SAVE") == b"ERR Errors trying to SHUTDOWN. Check logs."
    assert connection.call("PING") == b"PONG"


def test_loading_is_told(start):
    server = start(rdbcompression="no")
    connection = server.connect()
    connection.call_ok("DEBUG", "POPULATE", 1500000)
    file = save_and_stop(server, connection)
    again = start(wait=False, dir=file.parent)
    replies = set()

    def is_ready():
        try:
            with harness.Connection(again.address) as early:
                reply = early.call("DBSIZE")
                replies.add(bytes(reply) if isinstance(reply, bytes) else reply)
                fields = harness.parse_info(early.call("INFO", "persistence"))
                if fields["loading"] == "1":
                    assert 0 <= int(fields["loading_loaded_bytes"]) <= int(fields["loading_total_bytes"])
                return reply == 1500000
        except OSError:
            return False

    assert harness.wait_until(is_ready, seconds=30, step=0.001)
    assert replies == {b"LOADING Redis is loading the dataset in memory", 1500000}


def test_streams_whose_last_entry_was_deleted(start):
    """XSETID may take the last id back, also behind what was deleted: later entries stand after that in their node."""
    ours, theirs = start(**LIMITS), start(command=harness.peer_command(), **LIMITS)
    connections = ours.connect(), theirs.connect()
    for connection in connections:
        connection.call("XADD", "s", "5-0", "a", 1)
        connection.call("XADD", "s", "10-0", "a", 1)
        connection.call("XDEL", "s", "10-0")
        connection.call_ok("XSETID", "s", "5-0")
        connection.call("XADD", "s", "6-0", "a", 2)
        connection.call("XGROUP", "CREATE", "s", "g", "0")
        connection.call_ok("DEBUG", "RELOAD")
        assert connection.call("XLEN", "s") == 2
    for one, other in (connections, connections[::-1]):
        one.call_ok("RESTORE", "copy", 0, other.call("DUMP", "s"), "REPLACE")
        one.call("XADD", "copy", "7-0", "a", 3)
        assert [entry[0] for entry in one.call("XRANGE", "copy", "-", "+")] == [b"5-0", b"6-0", b"7-0"]
    ours = connections[0]
    assert ours.call("XTRIM", "copy", "MINID", "7") == 2
    ours.call_ok("DEBUG", "RELOAD")
    assert [entry[0] for entry in ours.call("XREVRANGE", "copy", "+", "-")] == [b"7-0"]


def test_times_of_fields_that_were_taken_away(start):
    """Nothing newer than Redis 7.2 is needed for what is left."""
    ours, theirs = start(**LIMITS).connect(), start(command=harness.peer_command()).connect()
    ours.call("HSET", "h", "a", 1, "b", 2)
    ours.call("HEXPIRE", "h", 1000, "FIELDS", 2, "a", "b")
    ours.call("HPERSIST", "h", "FIELDS", 1, "a")
    assert isinstance(theirs.call("RESTORE", "h", 0, ours.call("DUMP", "h")), harness.Error)
    ours.call("HPERSIST", "h", "FIELDS", 1, "b")
    theirs.call_ok("RESTORE", "h", 0, ours.call("DUMP", "h"))
    assert theirs.call("HGETALL", "h") == [b"a", b"1", b"b", b"2"]
    ours.call_ok("DEBUG", "RELOAD")
    assert ours.call("HGETALL", "h") == [b"a", b"1", b"b", b"2"]
