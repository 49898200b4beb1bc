"""`redstart restore` on the log of a running server of Debian's: the day that somebody ran FLUSHALL."""

import subprocess
import time

import harness
import pytest


def restore(*arguments):
    program = harness.ours_command()[0]
    done = subprocess.run([program, "restore", *map(str, arguments)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    return done.returncode, done.stdout.decode()


def content_of(folder, start):
    """What Debian's server finds there."""
    connection = start(command=harness.peer_command(), dir=folder, appendonly="yes").connect()
    return {bytes(key): connection.call("GET", key) for key in connection.call("KEYS", "*")}


@pytest.fixture
def accident(start):
    """A server whose dataset was flushed, and has gone on since."""
    server = start(command=harness.peer_command(), appendonly="yes", aof_timestamp_enabled="yes")
    connection = server.connect()
    connection.call_ok("SET", "before", 1)
    connection.call("BGREWRITEAOF")
    assert harness.wait_until(lambda: server.info("persistence")["aof_rewrite_in_progress"] == "0")
    connection.call_ok("SET", "then", 2)
    now = int(time.time())
    while int(time.time()) < now + 2:
        time.sleep(0.01)
    for words in (("MULTI",), ("SET", "late", 3), ("DEL", "before"), ("FLUSHALL",), ("EXEC",), ("SET", "after", 4)):
        connection.call(*words)
    log = server.folder / "appendonlydir" / "appendonly.aof.2.incr.aof"
    assert harness.wait_until(lambda: b"after" in log.read_bytes())
    return server, now


def test_before_the_last_command(accident, start, tmp_path):
    server, _ = accident
    files = {path: path.read_bytes() for path in server.folder.rglob("*") if path.is_file()}
    code, output = restore("--dir", server.folder, "--to", tmp_path / "dry", "--dry-run", "--before-last", "flushall")
    assert code == 0 and "FLUSHALL 1" in output and not (tmp_path / "dry").exists()
    code, output = restore("--dir", server.folder, "--to", tmp_path / "new", "--before-last", "flushall")
    assert code == 0, output
    assert {path: path.read_bytes() for path in server.folder.rglob("*") if path.is_file()} == files
    assert content_of(tmp_path / "new", start) == {b"before": b"1", b"then": b"2"}


def test_until_a_time(accident, start, tmp_path):
    server, second = accident
    code, output = restore("--dir", server.folder, "--to", tmp_path / "new", "--until", f"@{second + 1}")
    assert code == 0, output
    assert content_of(tmp_path / "new", start) == {b"before": b"1", b"then": b"2"}
    code, output = restore("--dir", server.folder, "--to", tmp_path / "all", "--until", f"@{second + 1000}")
    assert code == 0, output
    assert content_of(tmp_path / "all", start) == {b"after": b"4"}


def test_what_is_refused(accident, tmp_path):
    server, second = accident
    (tmp_path / "there").mkdir()
    for arguments, reason in (
        (("--dir", tmp_path / "nothing", "--until", "5"), "there is no append-only log"),
        (("--dir", server.folder, "--until", "yesterday"), "neither a time"),
        (("--dir", server.folder, "--until", f"@{second - 1000}"), "before everything that is kept"),
        (("--dir", server.folder, "--until", "1000"), "says no offsets"),
        (("--dir", server.folder, "--before-last", "HSET"), "no such command"),
        (("--dir", server.folder, "--to", tmp_path / "there", "--before-last", "DEL"), "File exists"),
    ):
        code, output = restore(*arguments)
        assert code == 1 and reason in output, output
    assert restore("--dir", server.folder)[0] == 1
    assert not list((tmp_path / "there").iterdir())


def test_a_damaged_log(start, tmp_path):
    """Damage behind the moment does not matter; before it, it is said."""
    server = start(command=harness.peer_command(), appendonly="yes")
    connection = server.connect()
    for number in range(100):
        connection.call_ok("SET", f"key:{number}", number)
    connection.call("DEL", "key:5")
    for number in range(100):
        connection.call_ok("SET", f"late:{number}", number)
    server.stop()
    log = server.folder / "appendonlydir" / "appendonly.aof.1.incr.aof"
    data = log.read_bytes()
    at = data.index(b"late:50")
    log.write_bytes(data[: at - 4] + b"garbage" + data[at:])
    code, output = restore("--dir", server.folder, "--to", tmp_path / "new", "--before-last", "DEL", "key:5")
    assert code == 0, output
    assert len(content_of(tmp_path / "new", start)) == 100


def write_for_seconds(server, seconds):
    """Counts up, with a rewrite in between; gives (sent, answered, number) of each write."""
    connection, writes, number = server.connect(), [], 0
    end = time.time() + seconds
    rewrites = [end - seconds * part for part in (0.7, 0.3)]
    while time.time() < end:
        number += 1
        sent = time.time()
        connection.call("INCR", "count")
        connection.call("RPUSH", "list", number)
        writes.append((sent, time.time(), number))
        if rewrites and time.time() > rewrites[0]:
            rewrites.pop(0)
            connection.call("BGREWRITEAOF")
        time.sleep(0.005)
    return writes


def test_every_second_of_ours(start, tmp_path):
    """What is restored of each second is what was there at its end; from history, too."""
    server = start(appendonly="yes", aof_retention_time=3600)
    writes = write_for_seconds(server, 5)
    server.connect().call_ok("FLUSHALL")
    assert harness.wait_until(lambda: server.info("persistence")["aof_rewrite_in_progress"] == "0")
    first, last = int(writes[0][1]) + 1, int(writes[-1][0])
    for second in range(first, last):
        folder = tmp_path / str(second)
        code, output = restore("--dir", server.folder, "--to", folder, "--until", f"@{second}")
        assert code == 0, output
        connection = start(dir=folder, appendonly="yes").connect()
        count = int(connection.call("GET", "count"))
        least = max(number for _, answered, number in writes if answered < second + 0.9)
        most = max(number for sent, _, number in writes if sent < second + 1)
        assert least <= count <= most
        elements = [int(element) for element in connection.call("LRANGE", "list", 0, -1)]
        assert elements in (list(range(1, count + 1)), list(range(1, count)))
    code, output = restore("--dir", server.folder, "--to", tmp_path / "last", "--before-last", "FLUSHALL")
    assert code == 0, output
    assert int(start(dir=tmp_path / "last", appendonly="yes").connect().call("GET", "count")) == writes[-1][2]


def test_an_offset_of_ours(start, tmp_path):
    """Any offset: commands are whole, units are whole, and what is restored can be gone on from."""
    server = start(appendonly="yes", appendfsync="always")
    connection = server.connect()
    for number in range(20):
        for words in (("MULTI",), ("SET", "a", number), ("SET", "b", number), ("EXEC",)):
            connection.call(*words)
    code, output = restore("--dir", server.folder, "--dry-run", "--until", 10**9)
    assert code == 0, output
    end = int(output.split("the journal's offset is ")[1].split()[0])
    for offset in range(0, end + 1, 97):
        folder = tmp_path / str(offset)
        code, output = restore("--dir", server.folder, "--to", folder, "--until", offset)
        assert code == 0, output
    for offset in range(0, end + 1, 97 * 5):
        again = start(dir=tmp_path / str(offset), appendonly="yes")
        connection = again.connect()
        assert connection.call("GET", "a") == connection.call("GET", "b")
        connection.call_ok("SET", "a", "on")
        again.process.terminate()
        assert again.wait() == 0
        code, output = subprocess.getstatusoutput(f"{harness.ours_command()[0]} check aof {tmp_path / str(offset)}")
        assert code == 0, output


def test_damage_in_ours(start, tmp_path):
    """Up to the last sound offset, which the check tells, there is a dataset; beyond it, a refusal."""
    server = start(appendonly="yes", appendfsync="always")
    connection = server.connect()
    for number in range(50):
        connection.call_ok("SET", "number", number)
    server.stop()
    log = server.folder / "appendonlydir" / "appendonly.aof.1.incr.aof"
    data = bytearray(log.read_bytes())
    at = data.index(b"$2\r\n30\r\n") + 4
    data[at] ^= 1
    log.write_bytes(data)
    code, output = subprocess.getstatusoutput(f"{harness.ours_command()[0]} check aof {server.folder}")
    assert code == 1 and "is damaged in the middle" in output
    end = int(output.split("[info] offsets ")[1].split(" of history")[0].split()[-1])
    code, output = restore("--dir", server.folder, "--to", tmp_path / "all", "--until", end + 1000)
    assert code == 1 and "is damaged before that moment" in output
    code, output = restore("--dir", server.folder, "--to", tmp_path / "sound", "--until", end)
    assert code == 0, output
    assert start(dir=tmp_path / "sound", appendonly="yes").connect().call("GET", "number") == b"29"
