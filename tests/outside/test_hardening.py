"""Secrets stay where they belong: in no log, no stream of MONITOR, no slow log and no crash report, and in no complaint about
a configuration. What else docs/security.md promises and other files do not test."""

import pytest

import harness

SECRET = "S3cret-7f1c"
# Said by a client that may do everything, with a right or a wrong secret.
SAYINGS = [
    ("AUTH", SECRET),
    ("AUTH", "default", SECRET),
    ("AUTH", "nobody", SECRET),
    ("AUTH", "nobody", SECRET, "and more"),
    ("XAUTH", "nobody", SECRET),
    ("HELLO", "2", "AUTH", "nobody", SECRET),
    ("HELLO", "2", "SETNAME", "me", "AUTH", "nobody", SECRET),
    ("HELLO", "2", "AUTH", "nobody", SECRET, "NOSUCH"),
    ("ACL", "SETUSER", "u", f">{SECRET}", "on"),
    ("ACL", "SETUSER", "u", f"<{SECRET}"),
    ("ACL", "SETUSER", "u", SECRET),
    ("ACL", "SETUSER", "u", f"(>{SECRET})"),
    ("ACL", "SETUSER", "u x", f">{SECRET}"),
    ("ACL", "GETUSER", "u"),
    ("ACL", "LIST"),
    ("CONFIG", "SET", "masterauth", SECRET),
    ("CONFIG", "SET", "maxmemory", "100mb", "masterauth", SECRET),
    ("CONFIG", "SET", "masterauth", SECRET, "maxmemory", "much"),
    ("CONFIG", "SET", "tls-key-file-pass", SECRET, "hz", "x"),
    ("CONFIG", "SET", "masterauth", SECRET, "hz"),
    ("CONFIG", "SET", "masterauht", SECRET),
    ("CONFIG", "SET", "requirepass", SECRET),
    ("CONFIG", "GET", "maxmemory"),
    ("CONFIG", "REWRITE"),
    ("EVAL", "return redis.pcall('AUTH', ARGV[1])", "0", "x"),
]


def start_with_ears(start, tmp_path):
    """A server that writes down as much as it can, and somebody who listens."""
    path = tmp_path / "server.conf"
    path.write_text("rename-command AUTH XAUTH\n")
    server = start(arguments=[str(path)], loglevel="debug", slowlog_log_slower_than="0", slowlog_max_len="1000", latency_monitor_threshold="1")
    monitor = server.connect()
    monitor.call_ok("MONITOR")
    return server, monitor


def heard(monitor):
    monitor.is_silent(0.3)
    return bytes(monitor.buffer).decode()


@pytest.mark.ours("Redis knows AUTH by the name it was sent with")
def test_secrets_are_told_nowhere(start, tmp_path):
    server, monitor = start_with_ears(start, tmp_path)
    client, other = server.connect(), server.connect()
    for words in SAYINGS:
        client.call(*words)
    client.call_ok("MULTI")
    for words in SAYINGS:
        client.call(*words)
    client.call("EXEC")
    other.call("XAUTH", SECRET)
    places = {
        "log": server.log(),
        "monitor": heard(monitor),
        "slow log": repr(other.call("SLOWLOG", "GET", "-1")),
        "users": repr(other.call("ACL", "LIST")),
        "log of refusals": repr(other.call("ACL", "LOG")),
        "clients": repr(other.call("CLIENT", "LIST")),
        "info": repr(other.call("INFO", "everything")),
        "latency": repr(other.call("LATENCY", "DOCTOR")),
    }
    for place, text in places.items():
        assert SECRET not in text, place
    assert '"HELLO" "2" "AUTH" "(redacted)"' in places["monitor"]
    assert "(redacted)" in places["slow log"] and "XAUTH" in places["slow log"]
    other.send(harness.encode("DEBUG", "SEGFAULT"))
    assert other.is_closed() and server.wait() != 0
    assert "BUG REPORT END" in server.log() and SECRET not in server.log()


@pytest.mark.ours("Redis shows the line that it does not understand, whatever stands in it")
@pytest.mark.parametrize(
    "lines",
    [
        f"requirepass {SECRET} b",
        f"masterauth {SECRET} b",
        f'requirepass "{SECRET}',
        f"requirepas {SECRET}",
        f"tls-key-file-pass {SECRET} b",
        f"user u on >{SECRET} +nosuch",
        f"user u on >{SECRET} (+get",
        f"user u on {SECRET}",
        f"user u on <{SECRET}",
    ],
)
def test_complaints_about_a_configuration_show_no_secret(start, tmp_path, lines):
    path = tmp_path / "server.conf"
    path.write_text(lines + "\n")
    server = start(arguments=[str(path)], wait=False)
    assert server.wait() == 1
    assert server.log() and SECRET not in server.log()


@pytest.mark.parametrize("rules", [f"on {SECRET}", f"on <{SECRET}", f"on >{SECRET} +nosuch", f"on >{SECRET} (+get"])
def test_complaints_about_a_file_of_users_show_no_secret(start, tmp_path, rules):
    path = tmp_path / "users.acl"
    path.write_text("user default on nopass ~* &* +@all\n")
    server = start(aclfile=str(path))
    path.write_text(f"user default on nopass ~* &* +@all\nuser u {rules}\n")
    reply = server.connect().call("ACL", "LOAD")
    assert isinstance(reply, harness.Error) and SECRET.encode() not in reply
    assert SECRET not in server.log()


@pytest.mark.ours("commands that this version does not have")
def test_there_are_no_modules(start, tmp_path):
    refused = harness.Error(
        b"ERR MODULE command not allowed. If the enable-module-command option is set to \"local\", you can run it from a local "
        b"connection, otherwise you need to set this option in the configuration file, and then restart the server."
    )
    failed = harness.Error(b"ERR Error loading the extension. Please check the server logs.")
    loads = [("LOAD", "/tmp/a.so"), ("LOAD", "/tmp/a.so", "b"), ("LOADEX", "/tmp/a.so", "CONFIG", "a", "b", "ARGS", "c")]
    for allowed in ("no", "local", "yes"):
        server = start(enable_module_command=allowed, enable_debug_command="no")
        connection = server.connect()
        assert connection.call("MODULE", "LIST") == []
        for load in loads:
            assert connection.call("MODULE", *load) == (refused if allowed == "no" else failed)
        unload = connection.call("MODULE", "UNLOAD", "a")
        assert unload == (refused if allowed == "no" else harness.Error(b"ERR Error unloading module: no such module with that name"))
        assert connection.call("MODULE", "LOAD") == harness.Error(b"ERR wrong number of arguments for 'module|load' command")
        assert connection.call("MODULE", "TRUST") == harness.Error(b"ERR unknown subcommand 'TRUST'. Try MODULE HELP.")
        assert connection.call("CONFIG", "SET", "enable-module-command", "yes").startswith(b"ERR CONFIG SET failed")
        assert connection.call("DEBUG", "OBJECT", "a").startswith(b"ERR DEBUG command not allowed")


def test_absent_commands_may_be_renamed_away(start, tmp_path):
    path = tmp_path / "server.conf"
    path.write_text('rename-command MODULE ""\nrename-command CLUSTER ""\nrename-command DEBUG ""\n')
    connection = start(arguments=[str(path)]).connect()
    assert connection.call("DEBUG", "SLEEP", "0").startswith(b"ERR unknown command 'DEBUG'")
    path.write_text('rename-command NOSUCH ""\n')
    assert start(arguments=[str(path)], wait=False).wait() == 1
