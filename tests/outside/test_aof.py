"""The append-only file: written, read again, rewritten, damaged, and exchanged with Debian's redis-server."""

import os
import random
import shutil
import signal
import socket
import struct
import subprocess
import threading
import time

import harness
import pytest
from dataset import LIMITS, content, fill
from harness import wait_until

ON = {"appendonly": "yes", "appendfsync": "always", **LIMITS}


def digest(connection):
    return bytes(connection.call("DEBUG", "DIGEST-EXACT"))


def folder_of(server):
    return server.folder / "appendonlydir"


def files(server):
    names = os.listdir(folder_of(server))
    return sorted(name for name in names if not name.startswith("temp-") and not name.endswith(".redo"))


def manifest(server):
    return (folder_of(server) / "appendonly.aof.manifest").read_text()


def increment(server):
    """The one that is written now."""
    lines = [line.split() for line in manifest(server).splitlines()]
    return folder_of(server) / [words[1] for words in lines if "i" in words][-1]


def again(start, server, **options):
    """Another process on the same folder."""
    other = start(dir=server.folder, **{**ON, **options})
    other.folder = server.folder
    return other


def kill(server):
    server.process.send_signal(signal.SIGKILL)
    server.process.wait()


def persistence(server):
    return server.info("persistence")


def rewrite(server, connection):
    before = int(persistence(server)["aof_rewrites"])
    assert connection.call("BGREWRITEAOF") == b"Background append only file rewriting started"
    assert wait_until(lambda: int(persistence(server)["aof_rewrites"]) == before + 1)


def test_fresh_folder(start):
    server = start(**ON)
    assert files(server) == ["appendonly.aof.1.base.rdb", "appendonly.aof.1.incr.aof", "appendonly.aof.manifest"]
    fields = persistence(server)
    assert fields["aof_enabled"] == "1"
    assert fields["aof_last_write_status"] == "ok"
    assert "aof_current_size" in fields


@pytest.mark.parametrize("policy", ["always", "everysec", "no"])
@pytest.mark.parametrize("end", ["kill", "shutdown"])
def test_everything_comes_back(start, policy, end):
    server = start(**{**ON, "appendfsync": policy})
    connection = server.connect()
    fill(connection)
    expected, seen = digest(connection), content(connection)
    if end == "shutdown":
        connection.send(harness.encode("SHUTDOWN"))
        assert server.wait() == 0
    else:
        if policy != "always":
            assert wait_until(lambda: persistence(server)["aof_buffer_length"] == "0")
        kill(server)
    connection = again(start, server).connect()
    assert digest(connection) == expected
    assert content(connection) == seen


def test_rewriting_while_written(start):
    server = start(**{**ON, "appendfsync": "everysec"})
    connection, writer = server.connect(), server.connect()
    fill(connection)
    stop = threading.Event()

    def write():
        count = 0
        while not stop.is_set():
            writer.call("SET", f"w:{count % 1000}", count)
            writer.call("RPUSH", "w:list", count)
            writer.call("ZINCRBY", "zset:big", 1, f"{count % 50}")
            count += 1

    thread = threading.Thread(target=write)
    thread.start()
    for _ in range(5):
        rewrite(server, connection)
    stop.set()
    thread.join()
    rewrite(server, connection)
    connection.call("SET", "last", 1)
    expected = digest(connection)
    assert wait_until(lambda: len(files(server)) == 3)
    connection.send(harness.encode("SHUTDOWN"))
    assert server.wait() == 0
    assert digest(again(start, server).connect()) == expected


def test_automatic_rewriting(start):
    server = start(**{**ON, "auto-aof-rewrite-min-size": "64kb", "appendfsync": "no"})
    connection = server.connect()
    for i in range(3000):
        connection.call("SET", "key", "x" * 100 + str(i))
    assert wait_until(lambda: int(persistence(server)["aof_rewrites"]) > 1)
    assert wait_until(lambda: int(persistence(server)["aof_current_size"]) < 300 << 10)


def test_increments_roll_and_history_is_kept_or_not(start):
    server = start(**{**ON, "aof-increment-size": "10kb", "aof-retention-size": "1gb"})
    connection = server.connect()

    def write():
        for i in range(300):
            connection.call("SET", f"key:{i}", "x" * 30)
        return manifest(server).count(" type i") > 3

    assert wait_until(write, seconds=20)
    expected = digest(connection)
    rewrite(server, connection)
    assert wait_until(lambda: manifest(server).count(" type h") > 3)
    assert len(files(server)) > 5
    connection.call_ok("CONFIG", "SET", "aof-retention-size", 0)
    rewrite(server, connection)
    assert wait_until(lambda: len(files(server)) == 3)
    assert wait_until(lambda: " type h" not in manifest(server))
    kill(server)
    assert digest(again(start, server).connect()) == expected


def test_switched_at_run_time(start):
    server = start(**{**ON, "appendonly": "no"})
    connection = server.connect()
    fill(connection)
    connection.call_ok("CONFIG", "SET", "appendonly", "yes")
    connection.call("SET", "during", 1)
    assert wait_until(lambda: persistence(server)["aof_rewrite_in_progress"] == "0")
    connection.call("SET", "after", 1)
    expected = digest(connection)
    connection.call_ok("CONFIG", "SET", "appendonly", "no")
    assert persistence(server)["aof_enabled"] == "0"
    connection.call("SET", "not written down", 1)
    kill(server)
    server = again(start, server)
    connection = server.connect()
    assert digest(connection) == expected
    connection.call_ok("CONFIG", "SET", "appendonly", "no")
    connection.call("SET", "again", 1)
    connection.call_ok("CONFIG", "SET", "appendonly", "yes")
    expected = digest(connection)
    assert wait_until(lambda: persistence(server)["aof_rewrite_in_progress"] == "0" and len(files(server)) == 3)
    kill(server)
    assert digest(again(start, server).connect()) == expected


def test_rewriting_while_it_is_off(start):
    server = start(**{**ON, "appendonly": "no"})
    connection = server.connect()
    fill(connection)
    rewrite(server, connection)
    assert files(server) == ["appendonly.aof.1.base.rdb", "appendonly.aof.manifest"]
    expected = digest(connection)
    kill(server)
    assert digest(again(start, server).connect()) == expected


def test_dump_is_taken_where_there_is_no_log(start):
    server = start(**{**ON, "appendonly": "no"})
    connection = server.connect()
    fill(connection)
    connection.call_ok("SAVE")
    expected = digest(connection)
    kill(server)
    server = again(start, server)
    connection = server.connect()
    assert digest(connection) == expected
    assert "There is no append only file yet" in server.log()
    connection.call("SET", "more", 1)
    expected = digest(connection)
    kill(server)
    os.remove(server.folder / "dump.rdb")
    assert digest(again(start, server).connect()) == expected


def test_loadaof(start):
    server = start(**{**ON, "appendfsync": "no"})
    connection = server.connect()
    fill(connection)
    before = digest(connection)
    connection.call_ok("DEBUG", "LOADAOF")
    assert digest(connection) == before
    connection.call("SET", "more", 1)
    before = digest(connection)
    connection.call_ok("DEBUG", "LOADAOF")
    assert digest(connection) == before


def test_who_closes_its_half_gets_what_was_promised(start):
    """A reply that waits for the disk outlives the end of the client's requests."""
    server = start(**ON)
    for i in range(100):
        connection = server.connect()
        connection.send(harness.encode("SET", f"k{i}", i) + harness.encode("GET", f"k{i}"))
        connection.socket.shutdown(socket.SHUT_WR)
        assert connection.read_to_end() == b"+OK\r\n$%d\r\n%d\r\n" % (len(str(i)), i)
    wait_until(lambda: server.info("clients")["connected_clients"] == "1")


def test_who_closes_its_half_is_not_waited_for_for_ever(start):
    server = start(**{**LIMITS, "min-replicas-to-ack": "1", "min-replicas-to-ack-policy": "wait"})
    connection = server.connect()
    connection.send(harness.encode("SET", "a", 1))
    assert connection.is_silent(0.2)
    connection.socket.shutdown(socket.SHUT_WR)
    assert connection.is_silent(1)
    assert connection.is_closed(15)


def test_shutdown_is_refused_without_a_base(start):
    server = start(**LIMITS)
    connection = server.connect()
    in_the_way = server.folder / "appendonlydir" / f"temp-rewriteaof-{server.process.pid}.aof"
    in_the_way.mkdir(parents=True)
    connection.call_ok("CONFIG", "SET", "appendonly", "yes")
    assert connection.call("SHUTDOWN", "NOSAVE") == b"ERR Errors trying to SHUTDOWN. Check logs."
    assert connection.call("PING") == b"PONG"
    connection.send(harness.encode("SHUTDOWN", "NOSAVE", "FORCE"))
    assert server.wait() == 0


def test_waitaof_waits_for_the_first_base(start):
    """An increment that no manifest names is not found by the next start."""
    server = start(**LIMITS)
    connection = server.connect()
    connection.call_ok("SET", "a", "1")
    in_the_way = server.folder / "appendonlydir" / f"temp-rewriteaof-{server.process.pid}.aof"
    in_the_way.mkdir(parents=True)
    connection.call_ok("CONFIG", "SET", "appendonly", "yes")
    connection.call_ok("SET", "a", "2")
    assert connection.call("WAITAOF", 1, 0, 1500) == [0, 0]
    in_the_way.rmdir()
    connection.call("BGREWRITEAOF")
    assert connection.call("WAITAOF", 1, 0, 5000) == [1, 0]


@pytest.mark.parametrize("preamble", ["yes", "no"])
def test_folder_of_redis(start, preamble):
    theirs = start(command=harness.peer_command(), **{**ON, "aof-use-rdb-preamble": preamble})
    connection = theirs.connect()
    fill(connection)
    connection.call("BGREWRITEAOF")
    assert wait_until(lambda: persistence(theirs)["aof_rewrite_in_progress"] == "0")
    connection.call("SET", "more", 1)
    connection.call("EXPIRE", "list:big", 10000)
    connection.call("MULTI")
    connection.call("INCR", "in a unit")
    connection.call("INCR", "in a unit")
    connection.call("EXEC")
    expected = content(connection)
    theirs.stop()
    ours = again(start, theirs)
    connection = ours.connect()
    assert content(connection) == expected
    connection.call("SET", "ours", 1)
    connection.call("LPOP", "list:big", 5)
    expected = content(connection)
    ours.stop()
    theirs = again(start, ours, command=harness.peer_command())
    assert content(theirs.connect()) == expected


def test_our_folder_in_redis(start):
    ours = start(**ON)
    connection = ours.connect()
    fill(connection)
    rewrite(ours, connection)
    connection.call("SPOP", "set:big", 10)
    connection.call("INCRBYFLOAT", "float", 0.1)
    connection.call("SET", "expires", 1, "PX", 100000)
    expected = content(connection)
    ours.stop()
    theirs = again(start, ours, command=harness.peer_command())
    assert content(theirs.connect()) == expected


def test_directory_that_changes(start, tmp_path):
    """The log stays where it is, whole, also when it is rewritten."""
    server = start(**ON, **{"enable-protected-configs": "yes"})
    connection = server.connect()
    fill(connection)
    connection.call_ok("CONFIG", "SET", "dir", str(tmp_path))
    assert f"The append only file stays in {folder_of(server)}" in server.log()
    connection.call_ok("SET", "after", 1)
    rewrite(server, connection)
    time.sleep(1.1)  # whether the file is still there is looked at once a second
    connection.call_ok("SET", "after it was rewritten", 1)
    connection.call_ok("SAVE")
    assert [path.name for path in tmp_path.iterdir() if path != server.folder] == ["dump.rdb"]
    expected = digest(connection)
    kill(server)
    assert digest(again(start, server).connect()) == expected


COMMANDS = {**ON, "aof-use-rdb-preamble": "no"}


def fill_streams(connection):
    """Streams that are not as XADD alone makes them."""
    call = connection.call
    call("XGROUP", "CREATE", "stream:never used", "group", "0", "MKSTREAM")
    call("XGROUP", "CREATE", "stream:without groups", "group", "0", "MKSTREAM")
    call("XGROUP", "DESTROY", "stream:without groups", "group")
    call("XADD", "stream:emptied", "7-1", "a", "b")
    call("XDEL", "stream:emptied", "7-1")
    call("XGROUP", "CREATE", "stream:emptied", "group", "5-0")
    call("XGROUP", "CREATECONSUMER", "stream:emptied", "group", "idle")


def base_of(server):
    lines = [line.split() for line in manifest(server).splitlines()]
    return next(words[1] for words in lines if "b" in words)


def test_base_in_commands(start):
    """Also what only a RESTORE can say, the times of fields, and functions."""
    server = start(**COMMANDS)
    connection = server.connect()
    fill(connection)
    fill_streams(connection)
    for i in range(3):
        connection.call("XADD", "stream:pending", f"{i + 1}-0", "a", i)
    connection.call("XGROUP", "CREATE", "stream:pending", "group", "0")
    connection.call("XREADGROUP", "GROUP", "group", "consumer", "STREAMS", "stream:pending", ">")
    connection.call("XDEL", "stream:pending", "2-0")
    for name, count in (("small", 5), ("large", 600)):
        connection.call("HSET", f"fields:{name}", *[word for i in range(count) for word in (f"f{i}", i)])
        connection.call("HPEXPIREAT", f"fields:{name}", 4102444800123, "FIELDS", 2, "f1", "f3")
    connection.call("FUNCTION", "LOAD", "#!lua name=lib\nredis.register_function('answer', function() return 42 end)")
    rewrite(server, connection)
    assert wait_until(lambda: base_of(server) == "appendonly.aof.2.base.aof")
    text = (folder_of(server) / base_of(server)).read_bytes()
    assert text.startswith(b"*3\r\n$8\r\nFUNCTION\r\n")
    assert text.count(b"\r\nRESTORE\r\n") == 1
    expected, seen = digest(connection), content(connection)
    pending = connection.call("XPENDING", "stream:pending", "group", "-", "+", 10)
    history = [server.info("replication")[name] for name in ("master_replid", "master_repl_offset")]
    server.stop()
    server = again(start, server, **COMMANDS)
    connection = server.connect()
    assert digest(connection) == expected
    assert content(connection) == seen
    assert [p[:2] + p[3:] for p in connection.call("XPENDING", "stream:pending", "group", "-", "+", 10)] == \
        [p[:2] + p[3:] for p in pending]
    assert connection.call("HPEXPIRETIME", "fields:large", "FIELDS", 3, "f0", "f1", "f3") == [-1, 4102444800123, 4102444800123]
    assert connection.call("FCALL", "answer", 0) == 42
    assert server.info("replication")["master_replid2"] == history[0]
    assert int(server.info("replication")["second_repl_offset"]) == int(history[1]) + 1


def test_base_in_commands_in_redis(start):
    ours = start(**COMMANDS)
    connection = ours.connect()
    fill(connection)
    fill_streams(connection)
    rewrite(ours, connection)
    connection.call("SET", "more", 1)
    expected, seen = connection.call("DEBUG", "DIGEST"), content(connection)
    ours.stop()
    theirs = again(start, ours, command=harness.peer_command(), **COMMANDS)
    connection = theirs.connect()
    assert content(connection) == seen
    assert connection.call("DEBUG", "DIGEST") == expected


def test_form_of_base_changes_at_run_time(start):
    server = start(**ON)
    connection = server.connect()
    fill(connection)
    connection.call_ok("CONFIG", "SET", "aof-use-rdb-preamble", "no")
    rewrite(server, connection)
    assert wait_until(lambda: base_of(server).endswith(".base.aof"))
    connection.call_ok("CONFIG", "SET", "aof-use-rdb-preamble", "yes")
    rewrite(server, connection)
    assert wait_until(lambda: base_of(server).endswith(".base.rdb"))
    expected = digest(connection)
    kill(server)
    assert digest(again(start, server).connect()) == expected


@pytest.mark.parametrize("with_preamble", [False, True])
def test_old_single_file_is_taken_over(start, tmp_path, with_preamble):
    theirs = start(command=harness.peer_command(), **{**ON, "aof-use-rdb-preamble": "yes"})
    connection = theirs.connect()
    fill(connection)
    if with_preamble:
        connection.call("BGREWRITEAOF")
        assert wait_until(lambda: persistence(theirs)["aof_rewrite_in_progress"] == "0")
        connection.call("SET", "more", 1)
    expected = content(connection)
    theirs.stop()
    parts = [line.split()[1] for line in manifest(theirs).splitlines()]
    whole = b"".join((folder_of(theirs) / part).read_bytes() for part in parts)
    if not with_preamble:
        whole = (folder_of(theirs) / parts[-1]).read_bytes()
    (tmp_path / "appendonly.aof").write_bytes(whole)
    ours = start(dir=tmp_path, **ON)
    connection = ours.connect()
    assert content(connection) == expected
    assert "Successfully migrated" in ours.log()
    connection.call("SET", "and on", 1)
    expected = content(connection)
    kill(ours)
    connection = start(dir=tmp_path, **ON).connect()
    assert content(connection) == expected
    assert not (tmp_path / "appendonly.aof").exists()


def small(start, **options):
    server = start(**{**ON, **options})
    connection = server.connect()
    for i in range(20):
        connection.call("SET", f"key:{i}", i)
    kill(server)
    return server


def redo_of(server):
    return folder_of(server) / "appendonly.aof.redo"


def covered(server):
    """Of the last file, what the redo file has of it: from where, and up to where."""
    data = redo_of(server).read_bytes()
    begin = end = first = None
    at = 0
    while data[at : at + 8] == b"RSREDO1\n":
        generation, _, position, size = struct.unpack_from("<QQQQ", data, at + 8)
        if first is None:
            first, begin, end = generation, position, position
        if generation != first or position != end:
            break
        end += size
        at += 48 + size
    return begin, end


def power_failure(server, size):
    """As one leaves it: so much of what the last file got since it was synced never reached the disk."""
    kill(server)
    path = increment(server)
    begin, end = covered(server)
    assert end == path.stat().st_size
    assert begin <= end - size
    os.truncate(path, end - size)


def promised(start, count=200):
    """A server with `always`, and acknowledged writes that its log has not been synced for."""
    server = start(**ON)
    connection = server.connect()
    connection.call("SET", "first", "1")
    for i in range(count):
        connection.call("RPUSH", "list", i)
    return server, connection


@pytest.mark.parametrize("lost", [1, 100, 5000])
def test_redo_file_has_what_power_failure_took(start, lost):
    server, connection = promised(start)
    expected = digest(connection)
    assert redo_of(server).exists()
    power_failure(server, lost)
    for words in ("check", "aof", folder_of(server)), ("restore", "--dir", server.folder, "--until", "2100-01-01 00:00:00", "--dry-run"):
        said = subprocess.run([harness.ours_command()[0], *words], capture_output=True, text=True, check=False)
        assert f"has {lost} bytes that the last file lacks" in said.stdout
    other = again(start, server)
    assert digest(other.connect()) == expected
    assert f"lacked {lost} bytes, as a failure of power may leave it" in other.log()
    assert "Truncated" not in other.log()


def test_redo_file_goes_at_the_end(start):
    server, connection = promised(start)
    connection.send(harness.encode("SHUTDOWN"))
    assert server.wait() == 0
    assert not redo_of(server).exists()


def test_redo_file_is_full_and_begins_anew(start):
    server, connection = promised(start, 10)
    value = "x" * 1000
    for i in range(3000):
        connection.call("SET", f"key:{i}", value)
    expected = digest(connection)
    assert redo_of(server).stat().st_size == 1 << 20
    while covered(server)[1] != increment(server).stat().st_size:
        connection.call("SET", "more", value)  # the last one was for the log itself
        expected = digest(connection)
    power_failure(server, 500)
    assert digest(again(start, server).connect()) == expected


def test_redo_file_of_a_log_that_another_server_went_on_with(start):
    server, _ = promised(start)
    power_failure(server, 5000)
    path = increment(server)
    good = path.read_bytes().rindex(b"#RS:")
    os.truncate(path, good)
    with open(path, "ab") as log:
        for i in range(20):
            log.write(harness.encode("RPUSH", "theirs", i))
    other = again(start, server)
    assert other.connect().call("LLEN", "theirs") == 20
    assert "another server has written there since" in other.log()
    assert "appendonly.aof.redo.aside" in files(server)


def test_rotten_redo_file_does_no_harm(start):
    server, connection = promised(start)
    expected = digest(connection)
    kill(server)
    redo = redo_of(server)
    rng = random.Random(1)
    sound = redo.read_bytes()[:20000]
    for _ in range(20):
        redo.write_bytes(bytes(rng.randrange(256) if rng.random() < 0.001 else byte for byte in sound))
        other = again(start, server)
        assert digest(other.connect()) == expected
        kill(other)


def test_torn_tail_is_cut(start):
    server = small(start)
    file = increment(server)
    whole = file.read_bytes()
    redo_of(server).unlink()
    for size in sorted(random.sample(range(len(whole) - 200, len(whole)), 10)):
        file.write_bytes(whole[:size])
        one = again(start, server)
        connection = one.connect()
        keys = connection.call("DBSIZE")
        assert 17 <= keys <= 20
        assert [connection.call("GET", f"key:{i}") for i in range(keys)] == [str(i).encode() for i in range(keys)]
        connection.call_ok("SET", "on", 1)
        kill(one)
        two = again(start, server)
        assert two.connect().call("DBSIZE") == keys + 1
        kill(two)
        redo_of(server).unlink(missing_ok=True)


@pytest.mark.parametrize("added", [1, 500])
@pytest.mark.parametrize("cut", [1, 40, 300, "in the announcement"])
def test_what_redis_wrote_behind_a_torn_tail_stays(start, cut, added):
    """It cuts the file behind the last whole command, knows nothing of announcements, and goes on."""
    server = start(**{**ON, "appendfsync": "everysec"})
    connection = server.connect()
    connection.call_ok("SET", "first", 1)
    time.sleep(0.1)
    connection.send(b"".join(harness.encode("SET", f"key:{i}", i) for i in range(30)))
    for _ in range(30):
        connection.read()
    time.sleep(0.3)
    kill(server)
    file = increment(server)
    whole = file.read_bytes()
    redo_of(server).unlink(missing_ok=True)
    file.write_bytes(whole[: whole.rindex(b"#RS:") + 20] if isinstance(cut, str) else whole[:-cut])
    theirs = again(start, server, command=harness.peer_command())
    connection = theirs.connect()
    for i in range(added):
        connection.call_ok("SET", f"theirs:{i}", i)
    expected = content(connection)
    kill(theirs)
    one = again(start, server)
    assert content(one.connect()) == expected
    one.connect().call_ok("SET", "ours", 1)
    kill(one)
    redo_of(server).unlink(missing_ok=True)
    two = again(start, server)
    assert two.connect().call("DEL", "ours") == 1
    assert content(two.connect()) == expected


def test_torn_tail_ends_the_start_when_told_so(start):
    server = small(start)
    file = increment(server)
    file.write_bytes(file.read_bytes()[:-3])
    redo_of(server).unlink()
    one = start(wait=False, dir=server.folder, **{**ON, "aof-load-truncated": "no"})
    assert one.wait() == 1
    assert "Unexpected end of file reading the append only file" in one.log()
    assert "--fix" in one.log()


def test_rot_ends_the_start(start, tmp_path):
    server = small(start)
    file = increment(server)
    whole = bytearray(file.read_bytes())
    place = whole.index(b"key:7")
    whole[place] ^= 1
    file.write_bytes(whole)
    redo_of(server).rename(tmp_path / "redo")
    one = start(wait=False, dir=server.folder, **ON)
    assert one.wait() == 1
    assert "Bad file format reading the append only file" in one.log()
    assert bytes(whole) == file.read_bytes()
    shutil.copy(tmp_path / "redo", redo_of(server))
    assert again(start, server).connect().call("GET", "key:7") == b"7"


def test_garbage_in_another_servers_file(start, tmp_path):
    """Nobody knows how much behind it was good: nothing is cut unless the configuration says how much may be."""
    good = b"".join(harness.encode("SET", f"key:{i}", i) for i in range(10))
    bad = b"garbage\r\n" + b"".join(harness.encode("SET", f"key:{i}", i) for i in range(10, 20))
    file = tmp_path / "appendonly.aof"
    file.write_bytes(good + bad)
    one = start(wait=False, dir=str(tmp_path), **ON)
    assert one.wait() == 1
    assert "Bad file format reading the append only file" in one.log()
    taken = tmp_path / "appendonlydir" / "appendonly.aof"
    assert taken.read_bytes() == good + bad
    two = start(wait=False, dir=str(tmp_path), **{**ON, "aof-load-corrupt-tail-max-size": len(bad) - 1})
    assert two.wait() == 1
    assert taken.read_bytes() == good + bad
    three = start(dir=str(tmp_path), **{**ON, "aof-load-corrupt-tail-max-size": len(bad)})
    assert three.connect().call("DBSIZE") == 10
    assert taken.read_bytes() == good


@pytest.mark.parametrize("preamble", ["yes", "no"])
def test_damaged_base_ends_the_start(start, preamble):
    """It was whole before the manifest named it: what is wrong there from the first byte on is no crash's leftover."""
    server = start(**{**ON, "aof-use-rdb-preamble": preamble})
    with server.connect() as connection:
        for i in range(10):
            assert connection.call("SET", f"key:{i}", i) == b"OK"
        rewrite(server, connection)
    kill(server)
    increment(server).write_bytes(b"")
    redo_of(server).unlink(missing_ok=True)
    base = folder_of(server) / base_of(server)
    whole = base.read_bytes()
    base.write_bytes(b"?" + whole[1:])
    one = start(wait=False, dir=server.folder, **ON)
    assert one.wait() == 1
    assert "Bad file format reading the append only file" in one.log()
    assert base.read_bytes() == b"?" + whole[1:]
    base.write_bytes(whole)
    assert again(start, server).connect().call("DBSIZE") == 10


def test_missing_file_ends_the_start(start):
    server = small(start)
    increment(server).unlink()
    one = start(wait=False, dir=server.folder, **ON)
    assert one.wait() == 1
    assert "doesn't exist" in one.log()


def test_without_its_manifest_a_log_is_left_alone(start):
    """As in Redis the start knows nothing of it; but no file of it is written over."""
    server = small(start)
    kill(server)
    folder = folder_of(server)
    lost = (folder / "appendonly.aof.manifest").read_bytes()
    (folder / "appendonly.aof.manifest").unlink()
    before = {file.name: file.read_bytes() for file in folder.iterdir()}
    other = again(start, server)
    assert "no manifest that names them" in other.log()
    with other.connect() as connection:
        assert connection.call("DBSIZE") == 0
        assert connection.call("SET", "new", 1) == b"OK"
    kill(other)
    for name, content_before in before.items():
        name += ".aside" if name.endswith(".redo") else ""
        assert (folder / name).read_bytes() == content_before
    assert again(start, server).connect().call("GET", "new") == b"1"
    redo_of(server).unlink(missing_ok=True)
    (folder / "appendonly.aof.manifest").write_bytes(lost)
    (folder / "appendonly.aof.redo.aside").rename(folder / "appendonly.aof.redo")
    assert again(start, server).connect().call("GET", "key:7") == b"7"


def test_a_manifest_that_is_none_ends_the_start(start):
    server = small(start)
    (folder_of(server) / "appendonly.aof.manifest").write_text("file\n")
    one = start(wait=False, dir=server.folder, **ON)
    assert one.wait() == 1
    assert "manifest" in one.log()


@pytest.mark.parametrize("policy", ["always", "everysec"])
def test_a_folder_that_is_removed_is_made_again(start, policy):
    server = start(**{**ON, "appendfsync": policy})
    connection = server.connect()
    fill(connection)
    shutil.rmtree(folder_of(server))

    def write():
        reply = connection.call("INCR", "more")
        assert isinstance(reply, int) or reply.startswith(b"MISCONF")
        return "a new one is begun" in server.log()

    assert wait_until(write, seconds=20)
    assert wait_until(lambda: isinstance(connection.call("INCR", "more"), int))
    assert wait_until(lambda: persistence(server)["aof_rewrite_in_progress"] == "0")
    assert wait_until(lambda: persistence(server)["aof_buffer_length"] == "0")
    assert wait_until(lambda: (folder_of(server) / "appendonly.aof.manifest").exists())
    expected = digest(connection)
    kill(server)
    assert digest(again(start, server).connect()) == expected


@pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("mount"), reason="needs to mount a small disk")
def test_full_disk(start, tmp_path):
    if os.system(f"mount -t tmpfs -o size=3m tmpfs {tmp_path} 2>/dev/null") != 0:
        pytest.skip("may not mount")
    try:
        server = start(dir=tmp_path, **ON)
        connection = server.connect(timeout=60)
        (tmp_path / "ballast").write_bytes(b"x" * (1 << 20))
        acknowledged = 0
        pending = server.connect(timeout=60)
        for i in range(3000):
            pending.send(harness.encode("SET", f"key:{i}", "x" * 1000))
        assert wait_until(lambda: persistence(server)["aof_last_write_status"] == "err")
        assert connection.call("SET", "no", 1).startswith(b"MISCONF Errors writing to the AOF file")
        assert connection.call("GET", "no") is None
        (tmp_path / "ballast").unlink()
        (tmp_path / "ballast").write_bytes(b"")
        os.system(f"mount -o remount,size=64m {tmp_path}")
        assert wait_until(lambda: persistence(server)["aof_last_write_status"] == "ok")
        for i in range(3000):
            reply = pending.read()
            acknowledged += reply == b"OK"
            assert reply == b"OK" or reply.startswith(b"MISCONF")
        connection.call_ok("SET", "yes", 1)
        keys = connection.call("DBSIZE")
        assert keys == acknowledged + 1
        expected = digest(connection)
        kill(server)
        again_server = start(dir=tmp_path, **ON)
        assert digest(again_server.connect()) == expected
        kill(again_server)
    finally:
        os.system(f"umount -l {tmp_path}")


@pytest.mark.parametrize("policy", ["always", "everysec"])
def test_kills(start, policy):
    """Writers note what was acknowledged; the server is killed; all of it is there, and nothing is half there."""
    server = start(**{**ON, "appendfsync": policy, "auto-aof-rewrite-min-size": "100kb"})
    counters = [0] * 4
    acknowledged = [(0, 0.0)] * 4

    def write(number, connection):
        try:
            while True:
                count = counters[number] = counters[number] + 1
                connection.call("MSET", f"a:{number}", count, f"b:{number}", count)
                if count % 10 == 0:
                    connection.call("APPEND", f"c:{number}", "x" * 100)
                acknowledged[number] = (count, time.monotonic())
        except (OSError, harness.Closed):
            pass

    for _ in range(8):
        history = []
        threads = [threading.Thread(target=write, args=(n, server.connect())) for n in range(4)]
        for thread in threads:
            thread.start()
        end = time.monotonic() + random.uniform(0.05, 0.6)
        while time.monotonic() < end:
            history.append((time.monotonic(), [count for count, _ in acknowledged]))
            time.sleep(0.002)
        if policy == "always":
            sure = None
        else:
            old = [counts for moment, counts in history if moment < time.monotonic() - 2]
            sure = old[-1] if old else [0] * 4
        kill(server)
        for thread in threads:
            thread.join()
        server = again(start, server, appendfsync=policy)
        connection = server.connect()
        for number in range(4):
            a, b = (int(connection.call("GET", f"{name}:{number}") or 0) for name in "ab")
            assert a == b <= counters[number]
            assert a >= (acknowledged[number][0] if sure is None else sure[number])
            counters[number] = a


def test_counters_of_streams_stop_at_their_end(start):
    """What is counted further could not be said by a command."""
    end = 2**63 - 1
    server = start(**ON)
    connection = server.connect()
    connection.call_ok("XGROUP", "CREATE", "stream", "group", 0, "MKSTREAM", "ENTRIESREAD", end)
    connection.call("XADD", "stream", "1-0", "a", "b")
    connection.call_ok("XSETID", "stream", "1-0", "ENTRIESADDED", end)
    connection.call("XADD", "stream", "2-0", "a", "b")
    connection.call("XREADGROUP", "GROUP", "group", "first", "STREAMS", "stream", ">")
    connection.call("XCLAIM", "stream", "group", "first", 0, "1-0", "RETRYCOUNT", end)
    connection.call("XCLAIM", "stream", "group", "second", 0, "1-0")
    connection.call("XREADGROUP", "GROUP", "group", "second", "STREAMS", "stream", 0)
    questions = [("XINFO", "STREAM", "stream"), ("XINFO", "GROUPS", "stream"),
                 ("XPENDING", "stream", "group", "-", "+", 10)]
    before = [connection.call(*words) for words in questions]
    kill(server)
    connection = again(start, server).connect()
    after = [connection.call(*words) for words in questions]
    for pending in before[2] + after[2]:
        pending[2] = 0  # since when
    assert before == after
    assert [entry[1::2] for entry in after[2]] == [[b"second", end], [b"first", 1]]
