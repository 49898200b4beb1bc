"""redis-check-rdb and redis-check-aof: beside Debian's on sound and on broken files, and what ours say and do
besides: what is inside, what a repair drops, and that the original is kept."""

import os
import shutil
import subprocess

import harness
import pytest
import rdb_bytes as rdb

SELECT = b"*2\r\n$6\r\nSELECT\r\n$1\r\n0\r\n"
SET = b"*3\r\n$3\r\nSET\r\n$1\r\na\r\n$1\r\n1\r\n"
UNIT = b"*1\r\n$5\r\nMULTI\r\n" + SET + SET + b"*1\r\n$4\r\nEXEC\r\n"
TIMES = b"#TS:1000\r\n" + SELECT + SET + b"#TS:1002\r\n" + SET + b"#TS:1005\r\n" + SET

DUMP = rdb.file(
    10,
    rdb.aux("redis-ver", "7.0.15"),
    rdb.select(0),
    rdb.resize(3, 1),
    rdb.key("a", rdb.STRING, rdb.string("1")),
    rdb.key("b", rdb.STRING, rdb.string("2"), expire_ms=99999999999999),
    rdb.key("l", rdb.LIST, rdb.strings(["x", "y"])),
    rdb.select(3),
    rdb.key("c", rdb.STRING, rdb.integer(-5000), expire_ms=1000),
)


@pytest.fixture
def ours(tmp_path):
    """Our tools under the names that scripts know."""
    folder = tmp_path / "bin"
    folder.mkdir()
    program = harness.ours_command()[0]
    for name in ("redis-check-rdb", "redis-check-aof"):
        os.symlink(program, folder / name)
    return folder


def run(program, *arguments, answer="", cwd=None):
    done = subprocess.run(
        [program, *map(str, arguments)], input=answer.encode(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, cwd=cwd
    )
    return done.returncode, done.stdout.decode(errors="replace").splitlines()


def with_files(tmp_path, files):
    folder = tmp_path / "files"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for name, data in files.items():
        (folder / name).write_bytes(data)
    return folder


def both(ours, tmp_path, name, files, *arguments, answer=""):
    """Exit codes, lines and files afterwards, of theirs and of ours."""
    results = []
    for program in (shutil.which(name), ours / name):
        folder = with_files(tmp_path, files)
        code, lines = run(program, *arguments, answer=answer, cwd=folder)
        results.append((code, lines, {file: (folder / file).read_bytes() for file in files}))
    return results


RDB_FILES = {
    "sound": DUMP,
    "no checksum": rdb.file(10, rdb.key("a", rdb.STRING, rdb.string("1")), checksum=False),
    "bytes behind": DUMP + b"more",
    "empty": b"",
    "short": DUMP[:5],
    "cut": DUMP[:60],
    "cut in the checksum": DUMP[:-3],
    "wrong checksum": DUMP[:-1] + bytes([DUMP[-1] ^ 1]),
    "no RDB": b"NOTREDIS1" + DUMP[9:],
    "too new": b"REDIS0099" + DUMP[9:],
    "absurd length": DUMP[:-9] + rdb.key("z", rdb.STRING, b"\x81" + b"\x7f" * 8),
    "unknown type": DUMP[:-9] + b"\x63\x01a\x01b",
}


def without_reasons(lines):
    """The lines that scripts look for: not where and why exactly it breaks, nor what only ours tell."""
    kept = []
    for line in lines:
        if line.startswith("--- RDB ERROR"):
            kept.append(line)
            continue
        if kept and kept[-1].startswith("--- RDB ERROR") and not line.startswith("[info]"):
            continue
        if kept and kept[-1].startswith("--- RDB ERROR") and line.endswith(" keys read"):
            continue  # theirs counts a key whose value it cannot read, at times
        if line.startswith("[info]") and not line.endswith((" keys read", " expires", " already expired")):
            continue
        if "Terminating server after rdb file reading failure" in line:
            continue
        kept.append(line)
    return kept


@pytest.mark.parametrize("name", RDB_FILES)
def test_rdb_beside_theirs(ours, tmp_path, name):
    theirs, mine = both(ours, tmp_path, "redis-check-rdb", {"f.rdb": RDB_FILES[name]}, "f.rdb")
    assert mine[0] == theirs[0], (theirs, mine)
    assert without_reasons(mine[1]) == without_reasons(theirs[1])


def test_rdb_contents(ours, tmp_path):
    folder = with_files(tmp_path, {"f.rdb": DUMP})
    code, lines = run(ours / "redis-check-rdb", folder / "f.rdb")
    assert code == 0
    for line in (
        "[info] RDB version 10, %d bytes" % len(DUMP),
        "[info] db0: 3 keys, 1 with an expiry",
        "[info] db3: 1 keys, 1 with an expiry",
        "[info] string: 3 keys, 3 elements, 34 bytes",
        "[info] list-linked: 1 keys, 2 elements, 8 bytes",
        "[info] 1 already expired",
    ):
        assert line in lines, lines


LIBRARY = "#!lua name=lib\nredis.register_function('f', function() return 1 end)"
ALL_OPCODES = rdb.file(
    12,
    rdb.aux("redis-ver", "7.4.0"),
    bytes([247]) + b"\x81" + b"\x11" * 8 + bytes([2, 1, 1, 9, 2, 9, 3]) + b"abcd" + bytes([4]) + b"abcdefgh" + bytes([5]) + rdb.string("x") + b"\0",
    bytes([rdb.FUNCTION]) + rdb.string(LIBRARY),
    rdb.select(0),
    bytes([244, 1, 1, 0]),
    rdb.resize(4, 2),
    rdb.key("seconds", rdb.STRING, rdb.string("1"), expire_s=2000000000),
    rdb.key("milliseconds", rdb.STRING, rdb.string("2"), expire_ms=99999999999999),
    bytes([248]) + rdb.length(70000) + rdb.key("idle", rdb.STRING, rdb.string("3")),
    bytes([249, 77]) + rdb.key("frequent", rdb.STRING, rdb.string("4")),
    rdb.key("of a module", 7, b"\x81" + b"\x11" * 8 + bytes([2, 5, 0])),
)


def test_rdb_of_every_opcode(ours, tmp_path):
    folder = with_files(tmp_path, {"f.rdb": ALL_OPCODES})
    code, lines = run(ours / "redis-check-rdb", folder / "f.rdb")
    assert code == 0, lines
    for line in (
        "[info] db0: 5 keys, 2 with an expiry",
        "[info] 1 function libraries",
        "[info] data of modules beside the keys: 1",
        "[info] values of modules: 1; a start refuses this file, as there are no modules here",
    ):
        assert line in lines, lines
    assert any(line.startswith("[info] string: 4 keys, 4 elements") for line in lines), lines


def test_rdb_of_every_opcode_cut_anywhere(ours, tmp_path):
    end = len(ALL_OPCODES)
    for size in sorted({*range(0, end, 7), *range(end - 12, end)}):
        folder = with_files(tmp_path, {"f.rdb": ALL_OPCODES[:size]})
        code, lines = run(ours / "redis-check-rdb", folder / "f.rdb")
        assert code == 1 and "--- RDB ERROR DETECTED ---" in lines, (size, lines)


@pytest.mark.parametrize("policy", ["noeviction", "allkeys-lru", "allkeys-lfu"])
def test_rdb_that_we_write(ours, start, policy):
    """Functions, times of fields, and how keys are used, as the policy has it."""
    server = start(**{"maxmemory-policy": policy})
    connection = server.connect()
    connection.call("FUNCTION", "LOAD", LIBRARY)
    connection.call_ok("SET", "a", 1, "PX", 10000000)
    connection.call("HSET", "small", "f", 1, "g", 2)
    connection.call("HSET", "large", *[word for i in range(1000) for word in (f"f{i}", i)])
    for name in ("small", "large"):
        assert connection.call("HEXPIRE", name, 10000, "FIELDS", 1, "f" if name == "small" else "f7") == [1]
    connection.call_ok("SAVE")
    opcode = {"noeviction": None, "allkeys-lru": 248, "allkeys-lfu": 249}[policy]
    data = (server.folder / "dump.rdb").read_bytes()
    if opcode:
        assert data.count(bytes([opcode])) >= 3
    code, lines = run(ours / "redis-check-rdb", server.folder / "dump.rdb")
    assert code == 0, lines
    for line in (
        "[info] db0: 3 keys, 1 with an expiry",
        "[info] 1 function libraries",
    ):
        assert line in lines, lines
    assert any(line.startswith("[info] hash-listpack-md: 1 keys, 2 elements") for line in lines), lines
    assert any(line.startswith("[info] hash-hashtable-md: 1 keys, 1000 elements") for line in lines), lines


def test_rdb_repair(ours, tmp_path, start):
    """What can be read before the break is kept, and loads."""
    folder = with_files(tmp_path, {"dump.rdb": DUMP[:-14]})
    program = harness.ours_command()[0]
    code, lines = run(program, "check", "rdb", "--fix", "--yes", folder / "dump.rdb")
    assert code == 0, lines
    assert (folder / "dump.rdb.before-fix").read_bytes() == DUMP[:-14]
    code, lines = run(shutil.which("redis-check-rdb"), folder / "dump.rdb")
    assert code == 0 and "[info] 3 keys read" in lines
    connection = start(dir=folder).connect()
    assert sorted(connection.call("KEYS", "*")) == [b"a", b"b", b"l"]
    code, lines = run(program, "check", "rdb", "--fix", folder / "dump.rdb.before-fix", answer="n\n")
    assert code == 1 and lines[-1].endswith("Aborting...")


def manifest(*names):
    return b"".join(
        b"file %s seq %d type %s\n" % (name.encode(), i + 1, b"i" if "incr" in name else b"b") for i, name in enumerate(names)
    )


TWO = manifest("b.aof", "1.incr.aof")
AOF_FILES = {
    "sound": {"f": TWO, "b.aof": DUMP, "1.incr.aof": SELECT + SET + UNIT},
    "times": {"f": TWO, "b.aof": DUMP, "1.incr.aof": TIMES},
    "RESP base": {"f": TWO, "b.aof": SELECT + SET, "1.incr.aof": SELECT + SET},
    "empty increment": {"f": TWO, "b.aof": DUMP, "1.incr.aof": b""},
    "torn": {"f": TWO, "b.aof": DUMP, "1.incr.aof": SELECT + SET + SET[:-3]},
    "torn unit": {"f": TWO, "b.aof": DUMP, "1.incr.aof": SELECT + SET + UNIT[:-10]},
    "garbage": {"f": TWO, "b.aof": DUMP, "1.incr.aof": SELECT + SET + b"garbage"},
    "stray EXEC": {"f": TWO, "b.aof": DUMP, "1.incr.aof": SELECT + SET + b"*1\r\n$4\r\nEXEC\r\n"},
    "broken base": {"f": TWO, "b.aof": DUMP[:50], "1.incr.aof": SELECT + SET},
    "broken in the middle": {
        "f": manifest("b.aof", "1.incr.aof", "2.incr.aof"),
        "b.aof": DUMP,
        "1.incr.aof": SELECT + SET[:-3],
        "2.incr.aof": SELECT,
    },
    "missing": {"f": TWO, "b.aof": DUMP},
    "history alone": {"f": b"file b.aof seq 1 type h\n", "b.aof": DUMP},
    "old style": {"f": SELECT + SET + UNIT},
    "old style, torn": {"f": SELECT + SET + UNIT + SET[:9]},
    "preamble": {"f": DUMP + SELECT + SET},
    "preamble, torn": {"f": DUMP + SELECT + SET[:-1]},
    "empty": {"f": b""},
    "text": {"f": b"hello\n"},
}


def aof_lines(lines):
    """Without what ours tell besides, and without the line and reason of the break."""
    kept = []
    for line in without_reasons(lines):
        line = line.replace("Continue? [y/N]: The original is kept", "The original is kept")
        line = line.replace("Continue? [y/N]: Successfully", "Successfully")
        if line.startswith(("0x", "The original is kept", "RDB preamble of AOF", "--- RDB ERROR")):
            continue
        if "format error" in line or "is damaged in the middle" in line:
            continue
        is_first = "incr" not in line  # theirs counts lines on from one file to the next
        if line.startswith("AOF analyzed") and not (is_first and line.endswith("diff=0")):
            line = line[: line.index(", ok_up_to_line")] + line[line.index(", diff") :]
        kept.append(line)
    return kept


@pytest.mark.parametrize("fix", ([], ["--fix"]), ids=("", "fix"))
@pytest.mark.parametrize("name", AOF_FILES)
def test_aof_beside_theirs(ours, tmp_path, name, fix):
    theirs, mine = both(ours, tmp_path, "redis-check-aof", AOF_FILES[name], *fix, "f", answer="y\n")
    assert mine[0] == theirs[0], (theirs, mine)
    assert aof_lines(mine[1]) == aof_lines(theirs[1])
    assert mine[2] == theirs[2]


@pytest.mark.parametrize("time", (999, 1000, 1001, 1002, 1004, 1005, 2000))
@pytest.mark.parametrize("alone", (False, True))
def test_truncate_to_timestamp_beside_theirs(ours, tmp_path, time, alone):
    files = {"f": TIMES} if alone else AOF_FILES["times"]
    theirs, mine = both(ours, tmp_path, "redis-check-aof", files, "--truncate-to-timestamp", time, "f")
    assert mine[0] == theirs[0], (theirs, mine)
    assert aof_lines(mine[1]) == aof_lines(theirs[1])
    assert mine[2] == theirs[2]


@pytest.mark.parametrize(
    "arguments",
    ([], ["--fix"], ["nothing"], ["--bogus", "f"], ["--truncate-to-timestamp", "x"], ["--truncate-to-timestamp", "x", "f"],
     ["--fix", "--truncate-to-timestamp", "5", "f"], ["f", "f"]),
)
def test_command_line_beside_theirs(ours, tmp_path, arguments):
    theirs, mine = both(ours, tmp_path, "redis-check-aof", {"f": SET}, *arguments)
    assert mine[0] == theirs[0]
    assert mine[1] == [line.replace("[--fix|", "[--fix [--yes]|").replace(shutil.which("redis-check-aof"), "redis-check-aof") for line in theirs[1]]


def test_aof_original_is_kept(ours, tmp_path):
    folder = with_files(tmp_path, AOF_FILES["torn"])
    before = (folder / "1.incr.aof").read_bytes()
    code, lines = run(ours / "redis-check-aof", "--fix", "f", answer="n\n", cwd=folder)
    assert code == 1 and lines[-1] == "Continue? [y/N]: Aborting..."
    assert (folder / "1.incr.aof").read_bytes() == before
    assert sorted(os.listdir(folder)) == ["1.incr.aof", "b.aof", "f"]
    code, lines = run(ours / "redis-check-aof", "--fix", "--yes", "f", cwd=folder)
    assert code == 0
    assert (folder / "1.incr.aof").read_bytes() == SELECT + SET
    assert (folder / "1.incr.aof.before-fix").read_bytes() == before


def test_aof_contents(tmp_path):
    folder = with_files(tmp_path, {"a.manifest": TWO, "b.aof": DUMP, "1.incr.aof": b"#TS:1000\r\n" + SELECT + UNIT + SET})
    code, lines = run(harness.ours_command()[0], "check", "aof", folder)
    assert code == 0
    assert "[info] 4 commands: SET 3, SELECT 1" in lines
    assert "[info] from 1970-01-01 00:16:40.000 UTC to 1970-01-01 00:16:40.000 UTC" in lines
