"""Configuration: CONFIG against the peer, files, command lines and the start.

What differs from the peer on purpose stands in the tables below, each with its reason.
"""

import hashlib
import os
import re
import signal
import subprocess

import pytest

import harness

# Directives that the peer (7.0) does not have, and why we do.
ONLY_OURS = {
    "a bound for Lua's memory, which Redis has not": ["script-max-memory"],
    "7.2": ["locale-collate", "cluster-announce-human-nodename", "set-max-listpack-entries", "set-max-listpack-value"],
    "7.4": ["max-new-connections-per-cycle", "max-new-tls-connections-per-cycle", "hide-user-data-from-log"],
    "8": [
        "replica-full-sync-buffer-limit",
        "aof-load-corrupt-tail-max-size",
        "cluster-compatibility-sample-ratio",
        "key-memory-histograms",
        "lookahead",
    ],
    "the promise of replicas, which Redis has per command only (WAIT)": [
        "min-replicas-to-ack", "min-replicas-to-ack-timeout", "min-replicas-to-ack-policy"],
    "files that lead back to earlier moments": ["aof-increment-size", "aof-retention-size", "aof-retention-time"],
    "names with a hyphen, as 7.2 has them": [
        "server-cpulist",
        "bio-cpulist",
        "aof-rewrite-cpulist",
        "bgsave-cpulist",
    ],
}
# Directives that only the peer has.
ONLY_PEERS = {}
# Defaults that differ.
OTHER_DEFAULTS = {}
# These follow from how the servers of the test were started.
OF_THE_TEST = {"port", "dir", "save", "enable-debug-command", "pidfile", "logfile"}


def all_of(connection):
    pairs = connection.call("CONFIG", "GET", "*")
    return dict(zip([name.decode() for name in pairs[::2]], [value.decode() for value in pairs[1::2]]))


def test_names_and_defaults_are_the_peers(start, peer):
    ours, theirs = all_of(start().connect()), all_of(peer.connect())
    newer = {name for names in ONLY_OURS.values() for name in names}
    assert set(ours) - set(theirs) == newer
    assert set(theirs) - set(ours) == set(ONLY_PEERS)
    different = {
        name: (ours[name], theirs[name])
        for name in set(ours) & set(theirs) - OF_THE_TEST
        if ours[name] != theirs[name]
    }
    assert set(different) == set(OTHER_DEFAULTS), different


# Values that are tried on every directive that both have; the replies and what CONFIG GET says then are compared.
VALUES = [
    "", "yes", "no", "NO", "0", "1", "-1", "5", "017", "+5", "100", "511", "1000000", "4294967296", "2147483648",
    "99999999999999999999", "1kb", "1k", "1gb", "5%", "101%", "1.5", "abc", "a b", "1 2", "1 2 3", "900 1 300 10",
    "1  2", "0 0", "normal 1 2 3", "slave 1mb 1kb 5 pubsub 1 1 1", "normal 1 2", "normal -1 0 0", "KEA", "g$lsh",
    "Kxetdmn", "Q", "everysec", "ALWAYS", "volatile-ttl", "nosave now force", "save nosave", "default", "disabled",
    "50 99.999 100.0", "101", "local", "ip", "clients", "panic", "no one", "debug", "host.example", "a_b",
    "{title} x", "{bogus}", "0 100 -200", "0 100 9999", "a/b",
]
# Not tried: they would end, move or silence one of the servers, or depend on the machine.
UNTRIED = {
    "port", "bind", "dir", "tls-port", "maxclients", "requirepass", "bind-source-addr", "dbfilename",
    "oom-score-adj", "oom-score-adj-values", "appendonly", "timeout", "protected-mode", "client-query-buffer-limit",
    "client-output-buffer-limit", "maxmemory", "maxmemory-clients", "proto-max-bulk-len", "jemalloc-bg-thread",
    "enable-protected-configs", "min-replicas-to-write", "min-slaves-to-write",
}
# Directive and value whose outcome differs on purpose.
DIFFERENT_OUTCOMES = {
    ("notify-keyspace-events", "no"): "o is a class of events since 8.2",
    ("tls-cluster", "yes"): "the peer has no certificate; ours has no TLS yet, and says so",
    ("tls-replication", "yes"): "the same",
}
# More than 64 bits: the peer takes it for the largest number, ours refuses it where memory is meant.
TOO_LARGE = "99999999999999999999"
# Directives whose outcomes differ for whole classes of values.
DIFFERENT_DIRECTIVES = {
    "activedefrag": "the peer's allocator cannot",
    "loglevel": "7.2 adds 'nothing', which the error names",
    "maxmemory-samples": "7.2 limits it to 64, which the error names",
}
HARMLESS = {
    "client-output-buffer-limit": ["normal 1gb 1gb 60", "slave 1mb 1kb 5 pubsub 1 1 1", "normal 1 2", "foo 0 0 0",
                                   "normal -1 0 0", "master 1 2 3", ""],
    "maxmemory-clients": ["5%", "101%", "-5%", "1gb", "0", "%", "1.5%"],
    "maxmemory": ["1gb", "12xb", "-1", "", "0x10", "1 0", "5e", "0"],
    "oom-score-adj-values": ["0 100", "0 100 9999", "a b c", "0 100 200"],
    "oom-score-adj": ["blah", "no"],
    "proto-max-bulk-len": ["1", "1mb", "512mb", "x"],
    "client-query-buffer-limit": ["1", "2mb", "1gb"],
    "timeout": ["x", "-1", "0", "2147483648"],
    "maxclients": ["0", "4294967296", "x"],
    "port": ["70000", "-1", "x"],
    "dbfilename": ["x.rdb"],
    "requirepass": [""],
    "bind": ["a b c d e f g h i j k l m n o p q r s"],
}


NEWER_CHOICES = b", volatile-lrm, allkeys-lrm"  # of Redis 8.6


def outcome(connection, name, value):
    reply = connection.call("CONFIG", "SET", name, value)
    return bytes(reply).replace(NEWER_CHOICES, b""), connection.call("CONFIG", "GET", name)


def compare(ours, theirs, name, values):
    different = []
    for value in values:
        if (name, value) in DIFFERENT_OUTCOMES:
            continue
        found, expected = outcome(ours, name, value), outcome(theirs, name, value)
        if value == TOO_LARGE and found[0].endswith(b"argument must be a memory value"):
            theirs.call_ok("CONFIG", "SET", *found[1])
            continue
        if name in OF_THE_TEST:
            found, expected = found[0], expected[0]
        if found != expected:
            different.append((name, value, found, expected))
    return different


def test_set_answers_as_the_peer(start, peer):
    ours, theirs = start().connect(), peer.connect()
    both = sorted(set(all_of(ours)) & set(all_of(theirs)) - UNTRIED - set(DIFFERENT_DIRECTIVES))
    different = []
    for name in both:
        if name not in OF_THE_TEST or name == "save":
            different += compare(ours, theirs, name, VALUES)
    for name, values in HARMLESS.items():
        different += compare(ours, theirs, name, values)
    assert different == [], "\n".join(map(repr, different))


def test_set_of_several_is_all_or_nothing(start, peer):
    ours, theirs = start().connect(), peer.connect()
    for words in (
        ("timeout", "7", "hz", "x"),
        ("timeout", "7", "nosuch", "1"),
        ("hz", "x", "nosuch", "1"),
        ("daemonize", "no", "nosuch", "1"),
        ("maxclients", "abc", "daemonize", "no"),
        ("timeout", "7", "timeout", "8"),
        ("timeout", "7", "TIMEOUT", "8"),
        ("slave-priority", "5", "replica-priority", "6"),
        ("timeout",),
        ("timeout", "7", "hz"),
        (),
        ("timeout", "7", "tcp-keepalive", "60"),
        ("user", "x"),
        ("include", "x"),
        ("dir", "/tmp"),
        ("appendfilename", "x"),
    ):
        assert bytes(ours.call("CONFIG", "SET", *words)) == bytes(theirs.call("CONFIG", "SET", *words)), words
        for name in ("timeout", "tcp-keepalive", "hz", "replica-priority"):
            assert ours.call("CONFIG", "GET", name) == theirs.call("CONFIG", "GET", name), words


def test_get(connection, connection3):
    assert connection.call("CONFIG", "GET", "port", "PORT", "nosuch")[0] == b"port"
    assert len(connection.call("CONFIG", "GET", "port", "PORT", "p?rt")) == 2
    assert connection.call("CONFIG", "GET", "nosuch*") == []
    found = connection3.call("CONFIG", "GET", "*-priority")
    assert isinstance(found, harness.Map)
    assert found.dict() == {b"replica-priority": b"100", b"slave-priority": b"100"}
    assert connection.call("CONFIG", "GET") == b"ERR wrong number of arguments for 'config|get' command"
    assert connection.call("CONFIG", "GET", "watchdog*") == []
    assert connection.call("CONFIG", "GET", "watchdog-period") == [b"watchdog-period", b"0"]


def test_another_port(start):
    server = start()
    port = harness.free_port()
    with server.connect() as connection:
        connection.call_ok("CONFIG", "SET", "port", port)
        assert connection.call("PING") == b"PONG"
    with harness.Connection(("127.0.0.1", port)) as connection:
        assert connection.call("CONFIG", "SET", "bind", "192.0.2.1").endswith(b"Failed to bind to specified addresses.")
        assert connection.call("CONFIG", "GET", "bind") == [b"bind", b"* -::*"]
    with pytest.raises(ConnectionRefusedError):
        harness.Connection(server.address)
    with harness.Connection(("127.0.0.1", port)) as connection:
        assert connection.call("PING") == b"PONG"


# ---- the file


def write(folder, name, text):
    path = folder / name
    path.write_text(text)
    return path


def test_file_include_and_rewrite(start, tmp_path):
    port = harness.free_port()
    write(tmp_path, "a1.conf", "timeout 11\n")
    write(tmp_path, "a2.conf", "timeout 12\ntcp-keepalive 33\n")
    path = write(
        tmp_path,
        "main.conf",
        f"# first\nport {port}\ninclude {tmp_path}/a*.conf\ninclude {tmp_path}/none*.conf\n\n"
        "# points\nsave 900 1\nsave 300 10\nmaxmemory 100mb\n# last",
    )
    server = start(arguments=[str(path)], defaults=False, hz=20)
    with server.connect() as connection:
        config = all_of(connection)
        assert (config["timeout"], config["tcp-keepalive"], config["hz"]) == ("12", "33", "20")
        assert config["save"] == "900 1 300 10"
        connection.call_ok("CONFIG", "SET", "save", "5 5", "masterauth", b'x\x01\n"')
        connection.call_ok("CONFIG", "REWRITE")
        text = path.read_text()
        assert text.startswith(
            f"# first\nport {server.port}\ninclude {tmp_path}/a*.conf\ninclude {tmp_path}/none*.conf\n\n"
            "# points\nsave 5 5\nmaxmemory 100mb\n# last\n\n# Generated by CONFIG REWRITE\n"
        )
        assert 'masterauth "x\\x01\\n\\""\n' in text and "hz 20\n" in text
        connection.call_ok("CONFIG", "REWRITE")
        assert path.read_text() == text
        before = all_of(connection)
    server.stop()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a1.conf", "a2.conf", "main.conf"]
    again = start(arguments=[str(path)], defaults=False)
    after = all_of(again.connect())
    changing = {"port", "dir"}
    assert {n: v for n, v in after.items() if n not in changing} == {n: v for n, v in before.items() if n not in changing}


def test_rewritten_file_starts_the_peer(start, peer, tmp_path):
    """What we write, Redis reads: nothing in it but what the peer's version knows."""
    path = write(tmp_path, "main.conf", "timeout 3\n")
    server = start(arguments=[str(path)], defaults=False)
    values = {
        "save": "5 5 6 6", "client-output-buffer-limit": "replica 1gb 1mb 7", "notify-keyspace-events": "KA",
        "masterauth": b'a\x00\xff\\ "', "maxmemory-clients": "5%", "shutdown-on-sigterm": "now force",
        "latency-tracking-info-percentiles": "", "proc-title-template": "{title} x", "bind": "127.0.0.1",
    }  # fmt: skip
    with server.connect() as connection:
        for name, value in values.items():
            connection.call_ok("CONFIG", "SET", name, value)
        connection.call_ok("CONFIG", "REWRITE")
        ours = {name: connection.call("CONFIG", "GET", name) for name in values}
    other = start(command=harness.peer_command(), arguments=[str(path)], defaults=False)
    with other.connect() as connection:
        assert {name: connection.call("CONFIG", "GET", name) for name in values} == ours


def test_rewrite_without_file(connection):
    assert connection.call("CONFIG", "REWRITE") == b"ERR The server is running without a config file"


def test_rewrite_that_fails(start, tmp_path):
    """Whatever goes wrong, nothing is left beside the file."""
    path = write(tmp_path, "main.conf", "timeout 3\n")
    server = start(arguments=[str(path)], defaults=False)
    path.unlink()
    with server.connect() as connection:
        connection.call_ok("CONFIG", "REWRITE")
        assert "timeout 3\n" in path.read_text()
        path.unlink()
        path.mkdir()
        assert connection.call("CONFIG", "REWRITE") == b"ERR Rewriting config file: Is a directory"
    assert [p.name for p in tmp_path.iterdir()] == ["main.conf"]


def test_rewrite_says_what_an_included_file_says_otherwise(start, tmp_path):
    write(tmp_path, "more.conf", "maxclients 500\n")
    path = write(tmp_path, "main.conf", f"port {harness.free_port()}\ninclude {tmp_path}/more.conf\n")
    server = start(arguments=[str(path)], defaults=False)
    connection = server.connect()
    assert all_of(connection)["maxclients"] == "500"
    connection.call_ok("CONFIG", "SET", "maxclients", "10000")
    connection.call_ok("CONFIG", "REWRITE")
    assert "\nmaxclients 10000\n" in path.read_text()
    server.stop()
    assert all_of(start(arguments=[str(path)], defaults=False).connect())["maxclients"] == "10000"


def test_protected_configs(start, tmp_path):
    server = start(enable_protected_configs="local")
    with server.connect() as connection:
        connection.call_ok("CONFIG", "SET", "dir", str(tmp_path))
        assert connection.call("CONFIG", "GET", "dir") == [b"dir", str(tmp_path).encode()]
        assert connection.call("CONFIG", "SET", "dir", "/nosuch", "timeout", "5").endswith(
            b"'dir') - No such file or directory"
        )
        assert connection.call("CONFIG", "GET", "dir") == [b"dir", str(tmp_path).encode()]
        assert connection.call("CONFIG", "GET", "timeout") == [b"timeout", b"0"]


# ---- the start


def run(command, arguments, folder, text=None):
    done = subprocess.run([*command, *arguments], input=text, text=True, capture_output=True, cwd=folder, timeout=20)
    return done.returncode, done.stdout, done.stderr


FAULTS = [
    ["--port"],
    ["--port", "0", "--nosuch", "5"],
    ["--port", "0", "nosuch"],
    ["--port", "0", "--maxmemory", "1", "2"],
    ["-x"],
    ["--PORT", "0", "--HZ", "x"],
    ["--port=0"],
    ["--port", "0", "--daemonize"],
    ["--maxclients", "--save", "10"],
    ["--save", "900 1", "300 10"],
    ["--dir", "/nosuch"],
    ["--supervised", "foo"],
    ["--logfile", "/nosuch/x"],
    ["--unixsocketperm", "999"],
    ["--unixsocketperm", "1777"],
    ["--appendfilename", "a/b"],
    ["--appenddirname", ""],
    ["--replicaof", "a", "b"],
    ["--oom-score-adj-values", "1", "2"],
    ["--shutdown-on-sigterm", "save", "nosave"],
    ["--include", "bad.conf"],
    ["bad.conf", "--port", "0"],
    ["quotes.conf"],
    ["nested.conf"],
]


@pytest.mark.parametrize("arguments", FAULTS, ids=" ".join)
def test_fatal_faults_read_as_the_peers(arguments, tmp_path):
    write(tmp_path, "bad.conf", "port 0\n\n  Hz  x \n")
    write(tmp_path, "quotes.conf", 'logfile "x\n')
    write(tmp_path, "nested.conf", "port 0\ninclude bad.conf\n")
    ours = run(harness.ours_command(), arguments, tmp_path)
    theirs = run(harness.peer_command(), arguments, tmp_path)
    assert ours[0] == theirs[0] == 1
    assert re.sub(r"\(Redis [0-9.]+\)", "", ours[2]) == re.sub(r"\(Redis [0-9.]+\)", "", theirs[2])
    assert "FATAL CONFIG FILE ERROR" in ours[2]


def test_missing_files(tmp_path):
    write(tmp_path, "includes.conf", "include nothere.conf\n")
    for arguments in (["nothere.conf"], ["includes.conf"]):
        outputs = [run(c, arguments, tmp_path) for c in (harness.ours_command(), harness.peer_command())]
        texts = [re.search(r"# (Fatal error, .*)", output[1]).group(1) for output in outputs]
        assert texts[0] == texts[1]
        assert [output[0] for output in outputs] == [1, 1]


OPTIONS = [
    ["--save", "--appendonly", "no"],
    ["--appendonly", "no", "--save"],
    ["--save", "900", "1", "--save", "300", "10"],
    ["--save", "900 1 300 10"],
    ["--save", "  900  1 "],
    ["--save", '"900" 1'],
    ["--save", " "],
    ["--save", ""],
    ["--replicaof", "127.0.0.1  1"],
    ["--slaveof", "no one"],
    ["--oom-score-adj-values", "0  200 800"],
    ["--bind", " 127.0.0.1  -::1 "],
    ["--proc-title-template", "--my"],
    ["--client-output-buffer-limit", "normal", "0", "0", "0", "pubsub", "1", "2", "3"],
    ["--shutdown-on-sigterm", "now", "force"],
    ["--bind", "127.0.0.1", "-::1"],
    ["--masterauth", 'a "b\\'],
    ["--latency-tracking-info-percentiles", ""],
    ["--key-load-delay", "10"],
    ["--lua-replicate-commands", "no"],
    ["--list-max-ziplist-entries", "5"],
    ["--bind", "127.0.0.1", "--notify-keyspace-events", "KEA", "--hz", "1000"],
]


@pytest.mark.parametrize("arguments", OPTIONS, ids=" ".join)
def test_options_mean_what_the_peer_takes_them_for(arguments, start):
    found = []
    for command in (harness.ours_command(), harness.peer_command()):
        server = start(command=command, defaults=False)
        server.stop()
        server = start(command=[*command, "--port", str(server.port), *arguments], defaults=False)
        with server.connect() as connection:
            found.append(
                connection.call("CONFIG", "GET", *(word[2:] for word in arguments if word.startswith("--")))
            )
    assert sorted(zip(found[0][::2], found[0][1::2])) == sorted(zip(found[1][::2], found[1][1::2]))


def test_standard_input_and_options(start):
    server = start(arguments=["-"], stdin=b"timeout 7\nhz 30\n", hz=40)
    config = all_of(server.connect())
    assert (config["timeout"], config["hz"]) == ("7", "40")
    assert "Reading config from stdin" in server.log()


def test_no_effect_is_said_once(start, tmp_path):
    path = write(tmp_path, "main.conf", "disable-thp yes\nactiverehashing no\ntls-ciphers x\n")
    log = start(arguments=[str(path)]).log()
    assert log.count("disable-thp has no effect: ") == 1
    assert log.count("activerehashing has no effect: ") == 1
    (line,) = [line for line in log.splitlines() if "not part of this version yet" in line]
    assert "tls-ciphers" in line and "appendfsync" not in line


PROTECTING = {
    "tls-port": "tls-port 6380",
    "tls-replication": "tls-replication yes",
}


@pytest.mark.ours("what would not protect keeps the server from starting, until it does")
@pytest.mark.parametrize("line", PROTECTING.values(), ids=PROTECTING.keys())
def test_what_would_protect_nothing_is_refused(start, tmp_path, line):
    server = start(arguments=[str(write(tmp_path, "main.conf", line + "\n"))], wait=False)
    assert server.wait() == 1
    assert f"{line.split()[0]} is configured, but " in server.log()


def test_files_that_redis_has_rewritten_start(start, tmp_path):
    """Redis's CONFIG REWRITE writes the default user into every file."""
    path = write(tmp_path, "open.conf", "user default on nopass ~* &* +@all\ntls-port 0\naclfile \"\"\n")
    assert start(arguments=[str(path)]).connect().call("PING") == b"PONG"
    digest = hashlib.sha256(b"foo").hexdigest()
    path = write(tmp_path, "closed.conf", f'requirepass "foo"\nuser default on #{digest} ~* &* +@all\n')
    connection = start(arguments=[str(path)]).connect()
    assert connection.call("PING").startswith(b"NOAUTH")
    assert connection.call("AUTH", "foo") == b"OK"


@pytest.mark.ours("what would not protect keeps the server from starting, until it does")
def test_tls_cannot_be_switched_on(connection):
    assert connection.call("CONFIG", "SET", "tls-port", "7000").endswith(b"TLS is not part of this version yet")
    assert connection.call("CONFIG", "GET", "tls-port") == [b"tls-port", b"0"]


@pytest.mark.ours("the report is the server's own")
@pytest.mark.parametrize("enabled", ["yes", "no"])
def test_crash_log_can_be_switched_while_running(start, enabled):
    server = start(crash_log_enabled="no" if enabled == "yes" else "yes")
    connection = server.connect()
    connection.call_ok("CONFIG", "SET", "crash-log-enabled", enabled)
    connection.command("DEBUG", "SEGFAULT")
    server.wait()
    assert ("crashed by signal: 11" in server.log()) == (enabled == "yes")


@pytest.mark.ours("the report is the server's own")
@pytest.mark.parametrize("hidden", ["yes", "no"])
def test_user_data_can_be_kept_out_of_the_log(start, hidden):
    server = start(loglevel="verbose")
    connection = server.connect()
    connection.call_ok("CONFIG", "SET", "hide-user-data-from-log", hidden)
    connection.call_ok("CLIENT", "SETNAME", "somebody")
    connection.send(b"*1\r\nx\r\n")
    assert connection.is_closed()
    log = server.log()
    assert "Protocol error" in log
    assert ("somebody" in log) == (hidden == "no")


def test_lines_that_scripts_wait_for(start, tmp_path):
    log = start(unixsocket=str(tmp_path / "s")).log()
    for text in ("oO0OoO0OoO0Oo", "Server initialized", "Ready to accept connections tcp", "connections unix"):
        assert text in log
    assert re.search(r"^\d+:M \d\d \w{3} \d{4} \d\d:\d\d:\d\d\.\d{3} \* Server initialized$", log, re.M)


def test_programs(tmp_path):
    program = harness.ours_command()[0]
    for arguments, code in ((["version"], 0), (["help"], 0), ([], 0), (["nosuch"], 1), (["server", "-v"], 0)):
        assert run([program], arguments, tmp_path)[0] == code
    assert "v=7" in run([program], ["server", "--version"], tmp_path)[1]
    assert "Usage" in run([program], ["server", "--help"], tmp_path)[1]
    link = tmp_path / "redis-server"
    link.symlink_to(program)
    assert "v=7" in run([str(link)], ["-v"], tmp_path)[1]
    assert run([program], ["server", "--test-memory", "5"], tmp_path)[0] == 1
    assert run([program], ["server", "--check-system"], tmp_path)[0] == 0


def test_daemon_writes_pidfile_and_log(tmp_path):
    port = harness.free_port()
    pidfile, log = tmp_path / "pid", tmp_path / "log"
    arguments = ["--daemonize", "yes", "--port", str(port), "--pidfile", str(pidfile), "--logfile", str(log)]
    assert run(harness.ours_command(), arguments, tmp_path)[0] == 0
    harness.wait_until(lambda: log.exists() and "Ready to accept" in log.read_text())
    pid = int(pidfile.read_text())
    assert pid > 1
    with harness.Connection(("127.0.0.1", port)) as connection:
        assert connection.call("PING") == b"PONG"
    os.kill(pid, signal.SIGTERM)
    harness.wait_until(lambda: not pidfile.exists() and "bye bye" in log.read_text())
