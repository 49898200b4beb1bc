"""The server as a process: start, configuration, log, INFO, DEBUG, and the ways in which it ends."""

import os
import re
import signal
import socket
import subprocess
import time

import pytest

import harness
from harness import Closed, encode, wait_until

# What INFO says in Redis 7.0 and has a meaning in a server without forks' children, modules or Lua; the order is
# the documented one. Fields of features that later issues bring are asked for there.
INFO_FIELDS = {
    "Server": """redis_version redis_git_sha1 redis_git_dirty redis_build_id redis_mode os arch_bits monotonic_clock
        multiplexing_api atomicvar_api gcc_version process_id process_supervised run_id tcp_port server_time_usec
        uptime_in_seconds uptime_in_days hz configured_hz lru_clock executable config_file io_threads_active""",
    "Clients": """connected_clients cluster_connections maxclients client_recent_max_input_buffer
        client_recent_max_output_buffer blocked_clients tracking_clients clients_in_timeout_table""",
    "Memory": """used_memory used_memory_human used_memory_rss used_memory_rss_human used_memory_peak
        used_memory_peak_human used_memory_peak_perc used_memory_overhead used_memory_startup used_memory_dataset
        used_memory_dataset_perc allocator_allocated allocator_active allocator_resident total_system_memory
        total_system_memory_human maxmemory maxmemory_human maxmemory_policy allocator_frag_ratio
        allocator_frag_bytes allocator_rss_ratio allocator_rss_bytes rss_overhead_ratio rss_overhead_bytes
        mem_fragmentation_ratio mem_fragmentation_bytes mem_not_counted_for_evict mem_replication_backlog
        mem_clients_slaves mem_clients_normal mem_cluster_links mem_aof_buffer mem_allocator active_defrag_running
        lazyfree_pending_objects lazyfreed_objects""",
    "Persistence": """loading async_loading rdb_changes_since_last_save rdb_bgsave_in_progress rdb_last_save_time
        rdb_last_bgsave_status rdb_last_bgsave_time_sec rdb_current_bgsave_time_sec rdb_saves aof_enabled
        aof_rewrite_in_progress aof_rewrite_scheduled aof_last_rewrite_time_sec aof_current_rewrite_time_sec
        aof_last_bgrewrite_status aof_last_write_status""",
    "Stats": """total_connections_received total_commands_processed instantaneous_ops_per_sec total_net_input_bytes
        total_net_output_bytes total_net_repl_input_bytes total_net_repl_output_bytes instantaneous_input_kbps
        instantaneous_output_kbps rejected_connections sync_full sync_partial_ok sync_partial_err expired_keys
        expired_stale_perc expired_time_cap_reached_count expire_cycle_cpu_milliseconds evicted_keys
        evicted_clients keyspace_hits keyspace_misses pubsub_channels pubsub_patterns latest_fork_usec total_forks
        tracking_total_keys unexpected_error_replies total_error_replies total_reads_processed
        total_writes_processed io_threaded_reads_processed io_threaded_writes_processed""",
    "Replication": """role connected_slaves master_failover_state master_replid master_replid2 master_repl_offset
        second_repl_offset repl_backlog_active repl_backlog_size repl_backlog_first_byte_offset
        repl_backlog_histlen""",
    "CPU": """used_cpu_sys used_cpu_user used_cpu_sys_children used_cpu_user_children used_cpu_sys_main_thread
        used_cpu_user_main_thread""",
    "Cluster": "cluster_enabled",
}


def sections_of(text):
    """INFO's text as {section: [field names]}."""
    found = {}
    for line in bytes(text).decode().split("\r\n"):
        if line.startswith("# "):
            found[line[2:]] = []
        elif line:
            found[list(found)[-1]].append(line.split(":")[0])
    return found


# INFO


@pytest.mark.parametrize("section", INFO_FIELDS)
def test_info_fields(connection, section):
    found = sections_of(connection.call("INFO", section.lower()))
    assert list(found) == [section]
    expected = INFO_FIELDS[section].split()
    missing = [name for name in expected if name not in found[section]]
    assert not missing
    assert [name for name in found[section] if name in expected] == expected, "in the order of Redis"


def test_info_sections(connection):
    connection.call_ok("SET", "key", "value")
    default = "Server Clients Memory Persistence Stats Replication CPU Modules Errorstats Cluster Keyspace".split()
    everything = "Server Clients Memory Persistence Stats Replication CPU Modules Commandstats Errorstats Latencystats Cluster Keyspace".split()
    newer = {"Threads", "Keysizes"}

    def headings(*arguments):
        return [name for name in sections_of(connection.call("INFO", *arguments)) if name not in newer]

    connection.call("GET")
    assert headings() == headings("default") == default
    assert headings("everything") == everything
    assert headings("all") == everything
    assert headings("keyspace", "server") == ["Server", "Keyspace"]
    assert headings("commandstats") == ["Commandstats"]
    assert headings("default", "commandstats") == [name for name in everything if name in default or name == "Commandstats"]
    assert headings("nothing") == []


def test_info_server(server):
    info = server.info("server")
    assert int(info["process_id"]) == server.process.pid
    assert int(info["tcp_port"]) == server.port
    assert re.fullmatch("[0-9a-f]{40}", info["run_id"])
    assert info["redis_mode"] == "standalone" and info["arch_bits"] == "64"
    assert abs(int(info["server_time_usec"]) / 1e6 - time.time()) < 5
    assert info["multiplexing_api"] == "epoll"


@pytest.mark.ours("the version of the protocol is Redis's, the server's own stands beside it")
def test_info_says_who_we_are(server):
    info = server.info("server")
    assert info["redis_version"] == "7.4.0"
    assert any("redstart" in (name + value).lower() for name, value in info.items() if name not in ("executable", "config_file"))


def test_info_counts(server):
    client = server.client()
    client.config_resetstat()
    client.set("key", "value")
    client.get("key")
    client.get("missing")
    client.mget("key", "missing", "missing")
    client.exists("key")
    info = server.info()
    assert (int(info["keyspace_hits"]), int(info["keyspace_misses"])) == (3, 3)
    assert int(info["total_commands_processed"]) >= 5
    assert int(info["total_net_input_bytes"]) > 100 and int(info["total_net_output_bytes"]) > 50


def test_info_command_statistics(server):
    connection = server.connect()
    connection.call("CONFIG", "RESETSTAT")
    connection.call("SET", "key", "value")
    connection.call("GET", "key")
    connection.call("GET", "key")
    connection.call("INCR", "key")
    connection.call("GET")
    connection.call("CONFIG", "GET", "maxmemory")
    connection.call("NONSENSE")
    stats = harness.parse_info(connection.call("INFO", "commandstats"))
    assert re.fullmatch(r"calls=2,usec=\d+,usec_per_call=\d+\.\d\d,rejected_calls=1,failed_calls=0", stats["cmdstat_get"])
    assert re.fullmatch(r"calls=1,usec=\d+,usec_per_call=\d+\.\d\d,rejected_calls=0,failed_calls=1", stats["cmdstat_incr"])
    assert stats["cmdstat_config|get"].startswith("calls=1,")
    assert harness.parse_info(connection.call("INFO", "errorstats")) == {"errorstat_ERR": "count=3"}
    latency = harness.parse_info(connection.call("INFO", "latencystats"))
    assert re.fullmatch(r"p50=[\d.]+,p99=[\d.]+,p99\.9=[\d.]+", latency["latency_percentiles_usec_get"])
    assert harness.parse_info(connection.call("INFO", "stats"))["total_error_replies"] == "3"
    connection.call("CONFIG", "RESETSTAT")
    assert "cmdstat_get" not in harness.parse_info(connection.call("INFO", "commandstats"))


def test_info_memory_follows_the_data(server):
    connection = server.connect()
    before = int(server.info("memory")["used_memory"])
    connection.call_ok("DEBUG", "POPULATE", 100_000, "key", 100)
    info = server.info("memory")
    used = int(info["used_memory"]) - before
    assert 100_000 * 110 < used < 100_000 * 400
    assert int(info["used_memory_peak"]) >= int(info["used_memory"]) * 0.9
    assert re.fullmatch(r"\d+\.\d\d[KMG]", info["used_memory_human"])
    connection.call_ok("FLUSHALL", "SYNC")
    assert wait_until(lambda: int(server.info("memory")["used_memory"]) < before + (4 << 20))


def test_info_keyspace(server):
    client = server.client()
    client.set("a", 1)
    client.set("b", 1, ex=100)
    server.client(db=7).set("c", 1)
    info = server.info("keyspace")
    assert list(info) == ["db0", "db7"]
    assert info["db0"].startswith("keys=2,expires=1,avg_ttl=") and info["db7"].startswith("keys=1,expires=0,avg_ttl=0")


# Start


def test_log_lines_that_programs_wait_for(start):
    server = start()
    log = server.log()
    line = rf"^{server.process.pid}:[MC] \d\d \w{{3}} \d{{4}} \d\d:\d\d:\d\d\.\d{{3}} [.\-*#] "
    assert re.search(line + r".*Server initialized$", log, re.M)
    assert re.search(line + r".*Ready to accept connections( tcp)?$", log, re.M)
    assert all(re.match(line, text) for text in log.splitlines() if re.match(r"\d+:", text))


def run_to_end(*arguments, stdin=None, cwd=None):
    return subprocess.run([*harness.ours_command(), *map(str, arguments)], input=stdin, capture_output=True, text=True, timeout=10, cwd=cwd)


def test_version():
    for option in ("--version", "-v"):
        done = run_to_end(option)
        assert done.returncode == 0 and re.search(r"v=\d+\.\d+\.\d+", done.stdout)


@pytest.mark.parametrize(
    "text, line, said",
    [
        ("nonsense 1\n", 1, "Bad directive or wrong number of arguments"),
        ("# remark\n\nmaxmemory\n", 3, None),
        ("port abc\n", 1, "argument couldn't be parsed into an integer"),
        ("port 70000\n", 1, "argument must be between 0 and 65535 inclusive"),
        ("appendonly perhaps\n", 1, "argument must be 'yes' or 'no'"),
        ("maxmemory 1 2\n", 1, None),
        ('logfile "unbalanced\n', 1, "Unbalanced quotes in configuration line"),
        ("loglevel loud\n", 1, "argument(s) must be one of the following"),
        ("maxmemory-policy none\n", 1, "argument(s) must be one of the following"),
        ("timeout -1\n", 1, "argument must be between 0 and 2147483647 inclusive"),
        ("save 1\n", 1, None),
        ("client-output-buffer-limit normal 1 2\n", 1, None),
    ],
)  # fmt: skip
def test_a_bad_configuration_stops_the_start(tmp_path, text, line, said):
    """The message names file or line and the line's text, and the exit code is 1."""
    path = tmp_path / "server.conf"
    path.write_text(text)
    done = run_to_end(path)
    assert done.returncode == 1
    output = done.stdout + done.stderr
    assert "FATAL CONFIG FILE ERROR" in output
    assert f"at line {line}" in output
    assert text.splitlines()[line - 1] in output
    assert said is None or said in output


def test_a_configuration_that_does_not_exist():
    done = run_to_end("/nonexistent/server.conf")
    assert done.returncode == 1
    assert "/nonexistent/server.conf" in done.stdout + done.stderr


def test_a_bad_option_stops_the_start():
    done = run_to_end("--maxmemry", "5")
    assert done.returncode == 1 and "maxmemry" in done.stdout + done.stderr


def test_a_port_that_is_taken(start):
    server = start()
    done = run_to_end("--port", server.port)
    assert done.returncode == 1
    assert re.search(f"{server.port}: bind: Address already in use", done.stdout + done.stderr)
    assert f"Failed listening on port {server.port} (TCP), aborting." in done.stdout


def test_a_start_that_fails_leaves_the_other_servers_pidfile(start, tmp_path):
    pid = tmp_path / "server.pid"
    server = start(pidfile=pid)
    assert run_to_end("--port", server.port, "--pidfile", pid).returncode == 1
    assert int(pid.read_text()) == server.process.pid


def test_options_in_one_word_with_their_values(start):
    server = start(arguments=["--hz 20", "--maxclients 50", "--save 60 1 300 2", "--timeout", "7"])
    client = server.client()
    assert client.config_get("hz", "maxclients", "timeout") == {"hz": "20", "maxclients": "50", "timeout": "7"}


def test_configuration_file(start, tmp_path):
    included = tmp_path / "more.conf"
    included.write_text("timeout 33\n")
    for name in ("a", "b"):
        (tmp_path / f"part-{name}.conf").write_text(f"maxmemory-samples {7 if name == 'a' else 8}\n")
    path = tmp_path / "server.conf"
    path.write_text(
        f"""# a remark
        MaxMemory 100mb
          maxmemory-policy   allkeys-lru\t
        requirepass "pass \\x77ord\\n'"
        save 900 1
        save 300 10
        include {included}
        include {tmp_path}/part-*.conf
        client-output-buffer-limit normal 1mb 512kb 10
        client-output-buffer-limit pubsub 2mb 1mb 20
        rename-command FLUSHALL ""
        hz 20
        """.replace("\n        ", "\n")
    )
    server = start(arguments=[path], defaults=False, hz="30", save='')
    client = server.client(password="pass word\n'")
    assert client.config_get("maxmemory")["maxmemory"] == "104857600"
    assert client.config_get("maxmemory-policy")["maxmemory-policy"] == "allkeys-lru"
    assert client.config_get("timeout")["timeout"] == "33"
    assert client.config_get("maxmemory-samples")["maxmemory-samples"] == "8"
    assert client.config_get("hz")["hz"] == "30", "the command line wins"
    assert client.config_get("client-output-buffer-limit")["client-output-buffer-limit"] == (
        "normal 1048576 524288 10 slave 268435456 67108864 60 pubsub 2097152 1048576 20"
    )
    with pytest.raises(Exception, match="unknown command 'FLUSHALL'"):
        client.flushall()


def test_repeated_save_directives(start, tmp_path):
    path = tmp_path / "server.conf"
    path.write_text("save 900 1\nsave 300 10 60 10000\n")
    assert start(arguments=[path], defaults=False).client().config_get("save")["save"] == "900 1 300 10 60 10000"
    path.write_text('save 900 1\nsave ""\n')
    assert start(arguments=[path], defaults=False).client().config_get("save")["save"] == ""
    path.write_text("")
    assert start(arguments=[path], defaults=False).client().config_get("save")["save"] == "3600 1 300 100 60 10000"


def test_configuration_from_standard_input(start):
    server = start(arguments=["-"], stdin=b"maxmemory 50mb\nhz 25\n")
    client = server.client()
    assert client.config_get("maxmemory")["maxmemory"] == str(50 << 20)
    assert client.config_get("hz")["hz"] == "25"


def test_values_on_the_command_line(start):
    server = start(maxmemory="1gb", client_output_buffer_limit=["normal", "1mb", "0", "0"], databases="4")
    client = server.client()
    assert client.config_get("maxmemory")["maxmemory"] == str(1 << 30)
    assert client.config_get("client-output-buffer-limit")["client-output-buffer-limit"].startswith("normal 1048576 0 0 ")
    connection = server.connect()
    connection.call_ok("SELECT", 3)
    assert connection.call("SELECT", 4) == b"ERR DB index is out of range"


def test_logfile_and_pidfile(start, tmp_path):
    log, pid = tmp_path / "server.log", tmp_path / "server.pid"
    server = start(logfile=log, pidfile=pid)
    assert "Ready to accept connections" in log.read_text()
    assert int(pid.read_text()) == server.process.pid
    server.client().shutdown(nosave=True)
    assert server.wait() == 0
    assert not pid.exists()


def test_loglevel(start):
    server = start(loglevel="warning")
    assert " * " not in server.log()
    server.client().config_set("loglevel", "notice")
    server.connect().call("DEBUG", "LOG", "a line of the test")
    assert wait_until(lambda: "DEBUG LOG: a line of the test" in server.log())


def test_daemonize(start, tmp_path):
    pid = tmp_path / "server.pid"
    server = start(wait=False, daemonize="yes", pidfile=pid, logfile=tmp_path / "server.log")
    assert server.wait() == 0
    assert wait_until(lambda: pid.exists() and pid.read_text().strip())
    daemon = int(pid.read_text())
    try:
        assert wait_until(lambda: "Ready to accept" in (tmp_path / "server.log").read_text())
        assert int(server.info("server")["process_id"]) == daemon
        assert os.getsid(daemon) == daemon
    finally:
        os.kill(daemon, signal.SIGTERM)
        assert wait_until(lambda: not pid.exists())


# CONFIG REWRITE


def test_config_rewrite(start, tmp_path):
    path = tmp_path / "server.conf"
    path.write_text("# my remark\nmaxmemory 100mb\n\nhz 20\n# timeout 5\n")
    server = start(arguments=[path])
    connection = server.connect()
    connection.call_ok("CONFIG", "SET", "maxmemory", "200mb", "timeout", "77", "requirepass", 'a"b c', "save", "60 1 30 5")
    connection.call_ok("CONFIG", "SET", "client-output-buffer-limit", "normal 1mb 512kb 9")
    connection.call_ok("CONFIG", "REWRITE")
    lines = path.read_text().splitlines()
    assert lines[0] == "# my remark" and lines[1].split()[0] == "maxmemory"
    assert "hz 20" in lines and "timeout 77" in lines and 'requirepass "a\\"b c"' in lines
    assert sum(line.startswith("maxmemory ") for line in lines) == 1
    server.process.send_signal(signal.SIGKILL)
    server.wait()
    again = start(arguments=[path], defaults=False, port=server.port)
    client = again.client(password='a"b c')
    assert client.config_get("maxmemory")["maxmemory"] == str(200 << 20)
    assert client.config_get("timeout")["timeout"] == "77"
    assert client.config_get("save")["save"] == "60 1 30 5"
    assert client.config_get("client-output-buffer-limit")["client-output-buffer-limit"].startswith("normal 1048576 524288 9 ")

    def settings():
        return sorted(line for line in path.read_text().splitlines() if line and not line.startswith(("#", "user ")))

    client.config_rewrite()
    first = settings()
    client.config_rewrite()
    assert settings() == first, "rewriting what is already there changes nothing"


def test_config_port_at_run_time(server):
    connection = server.connect()
    port = harness.free_port()
    connection.call_ok("CONFIG", "SET", "port", port)
    with harness.Connection(("127.0.0.1", port)) as moved:
        assert moved.call("PING") == b"PONG"
    assert connection.call("PING") == b"PONG"
    connection.call_ok("CONFIG", "SET", "port", server.port)
    with harness.Connection(server.address) as back:
        assert back.call("PING") == b"PONG"


# SHUTDOWN


def ends(connection, server, *command):
    connection.command(*command)
    try:
        reply = connection.read()
    except Closed:
        reply = None
    return reply, server.wait()


@pytest.mark.parametrize("options", [(), ("NOSAVE",), ("NOSAVE", "NOW"), ("NOSAVE", "FORCE"), ("nosave", "now", "force"), ("NOW",)], ids=" ".join)
def test_shutdown(start, options):
    server = start()
    connection, other = server.connect(), server.connect()
    connection.call_ok("SET", "key", "value")
    assert ends(connection, server, "SHUTDOWN", *options) == (None, 0)
    assert other.is_closed()
    assert "bye bye" in server.log()


def test_nothing_runs_after_shutdown(start):
    server = start()
    connection = server.connect()
    connection.send(encode("PING") + encode("SHUTDOWN", "NOSAVE") + encode("PING"))
    # Redis loses the first reply when it is in the same batch; keeping it is no fault
    assert connection.read_to_end() in (b"", b"+PONG\r\n")
    assert server.wait() == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "SIGINT"])
def test_signals(start, number):
    server = start()
    server.process.send_signal(number)
    assert server.wait() == 0
    assert f"Received {number.name} scheduling shutdown..." in server.log()
    assert "bye bye" in server.log()


def test_signals_that_do_nothing(server):
    connection = server.connect()
    for number in (signal.SIGHUP, signal.SIGPIPE):
        server.process.send_signal(number)
        assert connection.call("PING") == b"PONG"


# DEBUG


def test_debug_is_guarded(start):
    server = start(defaults=False, save="")
    error = server.connect().call("DEBUG", "SLEEP", 0)
    assert error.startswith(b"ERR DEBUG command not allowed. If the enable-debug-command option is set to \"local\", you can run it from a local connection, otherwise you need to set this option in the configuration file, and then restart the server.")
    local = start(defaults=False, save="", enable_debug_command="local")
    local.connect().call_ok("DEBUG", "SLEEP", 0)


def test_debug_sleep_stops_the_world(server):
    connection, other = server.connect(), server.connect()
    other.call("PING")
    began = time.monotonic()
    connection.command("DEBUG", "SLEEP", "0.3")
    time.sleep(0.05)
    assert other.call("PING") == b"PONG"
    assert time.monotonic() - began > 0.25
    assert connection.read() == b"OK"


def test_debug_digest_depends_on_the_data_alone(server, start):
    def digest_after(connection, *commands):
        connection.call_ok("FLUSHALL")
        for command in commands:
            connection.call(*command.split())
        return connection.call("DEBUG", "DIGEST-EXACT")

    first, second = server.connect(), start().connect()
    one = digest_after(first, "SET a 1", "SET b 2", "PEXPIREAT b 4102444800000")
    assert one == digest_after(second, "SET b 2 PXAT 4102444800000", "SET c 3", "SET a 1", "DEL c")
    assert one != digest_after(first, "SET a 1", "SET b 2")
    assert one != digest_after(first, "SET a 2", "SET b 1", "PEXPIREAT b 4102444800000")
    first.call_ok("SELECT", 1)
    other = digest_after(first, "SET a 1", "SET b 2", "PEXPIREAT b 4102444800000")
    assert other != one, "the database counts"
    first.call_ok("SET", "c", "1")
    values = first.call("DEBUG", "DIGEST-VALUE", "a", "c", "b", "missing")
    assert values[0] == values[1] != values[2] and values[3] == b"0" * 40


@pytest.mark.ours("DEBUG STRINGMATCH-LEN, which the peer of this version lacks, measures a hostile pattern")
def test_hostile_pattern(server):
    connection = server.connect()
    connection.call_ok("SET", "a" * 5000, "value")
    began = time.monotonic()
    assert connection.call("KEYS", "a*" * 200 + "b") == []
    assert not isinstance(connection.call("DEBUG", "STRINGMATCH-LEN", 100_000, "a*" * 50 + "b"), harness.Error)
    assert time.monotonic() - began < 2


# COMMAND

COMMANDS = """append auth client command config copy dbsize debug decr decrby del echo exists expire expireat
    expiretime flushall flushdb get getdel getex getrange getset hello incr incrby incrbyfloat info keys lcs lolwut
    mget move mset msetnx object persist pexpire pexpireat pexpiretime ping psetex pttl quit randomkey rename
    renamenx reset scan select set setex setnx setrange shutdown strlen substr swapdb time touch ttl type
    unlink""".split()


def test_command_table_is_complete(server):
    connection = server.connect()
    names = {name.decode() for name in connection.call("COMMAND", "LIST")}
    assert not set(COMMANDS) - names
    assert connection.call("COMMAND", "COUNT") == len([name for name in names if "|" not in name])
    entries = {entry[0].decode(): entry for entry in connection.call("COMMAND")}
    assert set(COMMANDS) <= set(entries)
    assert all(len(entry) == 10 for entry in entries.values())
    documents = server.connect(3).call("COMMAND", "DOCS").dict()
    for name in COMMANDS:
        entry = documents[name.encode()].dict()
        assert entry[b"summary"] and entry[b"since"] and entry[b"group"], name


def plain(value):
    """Sets and arrays of flags without their order."""
    if isinstance(value, list):
        parts = [plain(part) for part in value]
        return sorted(parts, key=repr) if isinstance(value, harness.Set) else parts
    return value


def without_notes(specs):
    """Key specifications without their notes, which are sentences of each server's own."""
    return [[pair for pair in spec if pair[0] != b"notes"] for spec in specs]


@pytest.mark.parametrize("name", COMMANDS)
def test_command_info_as_the_peer_has_it(server, session_peer, name):
    """Arity, flags, key positions, categories and key specifications; not the tips, which newer versions extended."""
    ours, theirs = (plain(one.connect(3).call("COMMAND", "INFO", name))[0] for one in (server, session_peer))
    assert ours[:7] == theirs[:7]
    assert without_notes(ours[8]) == without_notes(theirs[8])
    known = {entry[0] for entry in ours[9]}
    # subcommands of later issues may be missing; those that are there agree
    assert [plain(entry[:7]) for entry in sorted(theirs[9]) if entry[0] in known] == [
        plain(entry[:7]) for entry in sorted(ours[9]) if entry[0] in {other[0] for other in theirs[9]}
    ]


# Supervisors


@pytest.fixture
def systemd(tmp_path):
    """Where a service tells systemd its state: NOTIFY_SOCKET."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        receiver.bind(str(tmp_path / "notify"))
        receiver.settimeout(20)
        yield receiver


def messages_until(receiver, line):
    lines = []
    while line not in lines:
        lines += receiver.recv(4096).decode().split("\n")
    return lines


@pytest.mark.parametrize("mode", ["systemd", "auto"])
def test_systemd_is_told(start, systemd, mode):
    server = start(supervised=mode, daemonize="yes", environment={"NOTIFY_SOCKET": systemd.getsockname()})
    assert "STATUS=Ready to accept connections" in messages_until(systemd, "READY=1")
    with server.connect() as connection:
        assert "process_supervised:systemd" in connection.call("INFO", "server").decode()
    server.process.send_signal(signal.SIGTERM)
    messages_until(systemd, "STOPPING=1")


@pytest.mark.parametrize("mode", ["upstart", "auto"])
def test_upstart_continues_us(start, mode):
    server = start(supervised=mode, environment={"UPSTART_JOB": "redis"}, wait=False)
    _, status = os.waitpid(server.process.pid, os.WUNTRACED)
    assert os.WIFSTOPPED(status)
    os.kill(server.process.pid, signal.SIGCONT)
    assert wait_until(lambda: "Ready to accept connections" in server.log())
    with server.connect() as connection:
        assert "process_supervised:upstart" in connection.call("INFO", "server").decode()


@pytest.mark.parametrize("mode", ["systemd", "upstart", "auto", "no"])
def test_no_supervisor_is_there(start, mode):
    server = start(supervised=mode)
    with server.connect() as connection:
        assert "process_supervised:no" in connection.call("INFO", "server").decode()
    assert ("not found!" in server.log()) == (mode in ("systemd", "upstart"))


def test_systemd_takes_no_message(start, tmp_path):
    server = start(supervised="systemd", environment={"NOTIFY_SOCKET": str(tmp_path / "nobody")})
    with server.connect() as connection:
        assert "process_supervised:no" in connection.call("INFO", "server").decode()
    assert "systemd supervision error" in server.log()
