"""A data folder is copied while the server runs, writes and rewrites, as docs/persistence.md says; the copy starts
elsewhere, with everything that was answered before the copy began."""

import shutil
import subprocess
import threading

import harness
import pytest


def copy(source, target):
    """The manifest first, then what is there besides."""
    target.mkdir(parents=True)
    shutil.copy(source / "appendonly.aof.manifest", target)
    for path in source.iterdir():
        if not (target / path.name).exists():
            try:
                shutil.copy(path, target)
            except FileNotFoundError:
                pass  # a temporary file, renamed meanwhile


@pytest.mark.timeout(120)
def test_a_copy_while_running(start, tmp_path):
    server = start(appendonly="yes", appendfsync="always", aof_retention_time=3600, aof_increment_size=20000)
    answered, ends = [0], threading.Event()

    def write():
        connection = server.connect()
        while not ends.is_set():
            connection.call("RPUSH", "list", answered[0] + 1)
            answered[0] += 1
            if answered[0] % 300 == 0:
                connection.call("BGREWRITEAOF")

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for number in range(8):
            before = answered[0]
            assert harness.wait_until(lambda: answered[0] > before + 150, seconds=20)
            before = answered[0]
            copy(server.folder / "appendonlydir", tmp_path / str(number) / "appendonlydir")
            other = start(dir=tmp_path / str(number), appendonly="yes")
            elements = [int(element) for element in other.connect().call("LRANGE", "list", 0, -1)]
            assert elements == list(range(1, len(elements) + 1))
            assert len(elements) >= before
            other.stop()
    finally:
        ends.set()
        writer.join()


def test_a_dump_is_whole_at_any_moment(start, tmp_path):
    """dump.rdb is replaced by renaming: whoever copies it gets the old or the new one."""
    server = start(save="")
    connection = server.connect()
    connection.call("DEBUG", "POPULATE", 20000)
    connection.call_ok("SAVE")
    check = [harness.ours_command()[0], "check", "rdb"]
    for number in range(10):
        connection.call("SET", "number", number)
        connection.call("BGSAVE")
        shutil.copy(server.folder / "dump.rdb", tmp_path / "copy.rdb")
        done = subprocess.run([*check, tmp_path / "copy.rdb"], stdout=subprocess.PIPE)
        assert done.returncode == 0, done.stdout
        assert harness.wait_until(lambda: server.info("persistence")["rdb_bgsave_in_progress"] == "0")
