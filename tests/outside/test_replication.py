"""Replication: both roles, with the peer and among ourselves, through cuts, restarts and role swaps."""

import threading
import time

import pytest

import dataset
import harness

PAIRS = ["ours-ours", "ours-peer", "peer-ours"]
FAST = {"save": "", "enable-debug-command": "yes", "repl-diskless-sync-delay": "0"}


@pytest.fixture(params=PAIRS)
def pair(start, request):
    """A primary and a server that may become its replica."""
    commands = {"ours": harness.ours_command(), "peer": harness.peer_command()}
    first, second = request.param.split("-")
    return start(command=commands[first], **FAST), start(command=commands[second], **FAST)


def replication(server):
    return server.info("replication")


def follow(replica, primary):
    replica.connect().call("REPLICAOF", "127.0.0.1", primary.port)


def is_up(replica):
    return replication(replica).get("master_link_status") == "up"


def digest(server):
    return server.connect().call("DEBUG", "DIGEST")


def same(primary, replica, seconds=20):
    """The replica has all that the primary has."""
    harness.wait_until(lambda: is_up(replica), seconds)
    harness.wait_until(
        lambda: replication(primary)["master_repl_offset"] == replication(replica)["master_repl_offset"], seconds)
    assert replication(primary)["master_replid"] == replication(replica)["master_replid"]
    assert digest(primary) == digest(replica)


def end(server):
    """As an operator ends it: nothing that was answered is lost."""
    server.connect().send(harness.encode("SHUTDOWN"))
    server.wait()


def counts(server):
    stats = server.info("stats")
    return int(stats["sync_full"]), int(stats["sync_partial_ok"])


def write_some(server, seed, count=300):
    """Changes of every type, with expiry, transactions and scripts."""
    connection = server.connect()
    for i in range(count):
        n = (seed * 7919 + i * 104729) % 97
        connection.call("SET", f"s{n}", f"{seed}-{i}")
        connection.call("RPUSH", f"l{n}", i, "x" * n)
        connection.call("SADD", f"set{n}", i, f"m{i}")
        connection.call("SPOP", f"set{n}")
        connection.call("HSET", f"h{n}", f"f{i}", i)
        connection.call("HINCRBYFLOAT", f"h{n}", "float", "0.1")
        connection.call("ZINCRBY", f"z{n}", "1.5", f"m{i}")
        connection.call("XADD", f"x{n}", "*", "a", i)
        connection.call("SET", f"e{n}", i, "EX", 1000 + n)
        connection.call("INCR", "counter")
        if i % 10 == 0:
            connection.call("MULTI")
            connection.call("LPOP", f"l{n}")
            connection.call("SELECT", n % 4)
            connection.call("APPEND", "elsewhere", "y")
            connection.call("SELECT", 0)
            connection.call("EXEC")
            connection.call("EVAL", "redis.call('SET', KEYS[1], redis.call('INCR', 'counter')) return 1", 1, f"s{n}")
        if i % 50 == 49:
            connection.call("DEL", f"l{n}", f"x{n}")
            connection.call("EXPIRE", f"s{n}", 500)


def test_whole_dataset_and_stream(pair):
    primary, replica = pair
    dataset.fill(primary.connect())

    primary.connect().call("FUNCTION", "LOAD", "#!lua name=lib\nredis.register_function('f', function() return 7 end)")
    follow(replica, primary)
    same(primary, replica)
    assert dataset.content(primary.connect()) == dataset.content(replica.connect())
    write_some(primary, 1)
    same(primary, replica)
    assert replica.connect().call("FUNCTION", "LIST")[0][1] == b"lib"
    primary.connect().call_ok("FLUSHALL")
    write_some(primary, 2, 50)
    same(primary, replica)


def test_a_writer_meanwhile(pair):
    primary, replica = pair
    primary.connect().call_ok("DEBUG", "POPULATE", 200000, "key", 50)
    stop = threading.Event()

    def write():
        connection = primary.connect()
        i = 0
        while not stop.is_set():
            connection.call("SET", f"key:{i % 300000}", f"value-{i}")
            i += 1

    writer = threading.Thread(target=write)
    writer.start()
    try:
        follow(replica, primary)
        harness.wait_until(lambda: is_up(replica), 30)
    finally:
        stop.set()
        writer.join()
    same(primary, replica)


def test_partial_after_a_cut(pair):
    primary, replica = pair
    write_some(primary, 1, 50)
    follow(replica, primary)
    same(primary, replica)
    before = counts(primary)
    primary.connect().call("CLIENT", "KILL", "TYPE", "replica")
    write_some(primary, 3, 50)
    same(primary, replica)
    after = counts(primary)
    assert after[0] == before[0] and after[1] > before[1]


def test_newer_commands_reach_an_older_replica(start):
    """As effects that it knows."""
    primary, replica = start(**FAST), start(command=harness.peer_command(), **FAST)
    follow(replica, primary)
    harness.wait_until(lambda: is_up(replica))
    connection = primary.connect()
    connection.call_ok("SET", "a", "1", "IFNE", "2")
    connection.call_ok("SET", "a", "2", "IFEQ", "1", "EX", 1000)
    connection.call_ok("SET", "a", "3", "IFDEQ", connection.call("DIGEST", "a"), "KEEPTTL")
    assert connection.call("MSETEX", 2, "b", "x", "c", "y", "PX", 1000000) == 1
    assert connection.call("MSETEX", 2, "b", "z", "d", "w", "KEEPTTL") == 1
    assert connection.call("MSETEX", 1, "c", "gone", "EXAT", 1) == 1
    assert connection.call("DELEX", "d", "IFNE", "x") == 1
    same(primary, replica)
    assert replica.connect().call("MGET", "a", "b", "c", "d") == [b"3", b"z", None, None]
    assert replica.connect().call("TTL", "a") > 900 and replica.connect().call("TTL", "b") > 900
    for operation in ("DIFF", "DIFF1", "ANDOR", "ONE"):
        assert connection.call("BITOP", operation, operation, "a", "b") == 1
    connection.call_ok("SET", "empty", "x", "EX", 1000)
    assert connection.call("BITOP", "ONE", "empty", "nothing") == 0
    assert connection.call("HSETEX", "hash", "FIELDS", 2, "a", "1", "b", "2") == 1
    assert connection.call("HSETEX", "hash", "FXX", "FIELDS", 1, "a", "3") == 1
    same(primary, replica)


def test_newer_commands_on_streams_reach_an_older_replica(start):
    primary, replica = start(**FAST), start(command=harness.peer_command(), **FAST)
    follow(replica, primary)
    harness.wait_until(lambda: is_up(replica))
    connection = primary.connect()
    for i in range(1, 13):
        connection.call("XADD", "stream", f"{i}-1", "a", "1")
    for group in ("g", "h"):
        connection.call_ok("XGROUP", "CREATE", "stream", group, 0)
        connection.call("XREADGROUP", "GROUP", group, "consumer", "STREAMS", "stream", ">")
    for number, policy in enumerate(("KEEPREF", "DELREF", "ACKED")):
        ids = [f"{2 * number + 1}-1", f"{2 * number + 2}-1", "99-1"]
        assert connection.call("XACKDEL", "stream", "g", policy, "IDS", 3, *ids)[2] == -1
        ids = [f"{2 * number + 7}-1", f"{2 * number + 8}-1", "99-1"]
        assert connection.call("XDELEX", "stream", policy, "IDS", 3, *ids)[2] == -1
    connection.call("XDEL", "stream", "10-1")
    assert connection.call("XDELEX", "stream", "DELREF", "IDS", 1, "10-1") == [-1]
    same(primary, replica)
    for group in ("g", "h"):
        of = [each.connect().call("XPENDING", "stream", group, "-", "+", 100) for each in (primary, replica)]
        assert [entry[:2] + entry[3:] for entry in of[0]] == [entry[:2] + entry[3:] for entry in of[1]]


def test_role_swap(pair):
    primary, replica = pair
    write_some(primary, 1, 50)
    follow(replica, primary)
    same(primary, replica)
    full = [counts(server)[0] for server in pair]
    replica.connect().call_ok("REPLICAOF", "NO", "ONE")
    write_some(replica, 4, 50)
    follow(primary, replica)
    same(replica, primary)
    assert [counts(server)[0] for server in pair] == full
    assert replication(replica)["master_replid2"] != "0" * 40


def test_replica_refuses_writes_and_answers_as_if_expired(pair):
    primary, replica = pair
    connection = primary.connect()
    connection.call_ok("SET", "soon", "x", "PX", 700)
    connection.call_ok("SET", "stays", "x")
    follow(replica, primary)
    same(primary, replica)
    reader = replica.connect()
    assert reader.call("GET", "soon") == b"x"
    assert reader.call("SET", "a", "b").startswith(b"READONLY")
    connection.call("DEBUG", "SET-ACTIVE-EXPIRE", "0")
    time.sleep(0.8)
    assert reader.call("GET", "soon") is None
    assert reader.call("EXISTS", "soon") == 0
    assert reader.call("TTL", "soon") == -2
    assert reader.call("DBSIZE") == 2  # the primary has not said so yet
    assert connection.call("GET", "soon") is None
    same(primary, replica)
    assert reader.call("DBSIZE") == 1


def test_wait(pair):
    primary, replica = pair
    follow(replica, primary)
    same(primary, replica)
    connection = primary.connect()
    connection.call_ok("SET", "a", "b")
    assert connection.call("WAIT", 1, 5000) == 1
    assert connection.call("WAIT", 2, 100) == 1
    assert replica.connect().call("WAIT", 0, 0).startswith(b"ERR WAIT cannot be used with replica instances")


def test_chain(start):
    first, second, third = start(**FAST), start(**FAST), start(command=harness.peer_command(), **FAST)
    write_some(first, 1, 100)
    follow(second, first)
    same(first, second)
    follow(third, second)
    same(second, third)
    write_some(first, 2, 100)
    same(first, second)
    same(first, third)
    second.connect().call("CLIENT", "KILL", "TYPE", "master")
    write_some(first, 3, 50)
    same(first, third)
    first.stop()
    second.connect().call_ok("REPLICAOF", "NO", "ONE")
    write_some(second, 4, 50)
    same(second, third)
    assert counts(second)[0] == 1


@pytest.mark.parametrize("how", ["aof", "rdb"])
def test_primary_starts_again(start, how):
    options = {**FAST, "appendonly": "yes"} if how == "aof" else {**FAST, "save": "10000 1"}
    primary, replica = start(**options), start(**FAST)
    write_some(primary, 1, 50)
    follow(replica, primary)
    same(primary, replica)
    assert counts(primary)[0] == 1
    end(primary)
    primary.start()
    write_some(primary, 2, 50)
    same(primary, replica)
    assert counts(primary) == (0, 1)


def start_replica_again(primary, replica):
    """It has said in its files how far it had read, and reads on there."""
    write_some(primary, 1, 50)
    follow(replica, primary)
    same(primary, replica)
    harness.wait_until(lambda: replica.info("persistence")["aof_rewrite_in_progress"] == "0")
    end(replica)
    write_some(primary, 2, 50)
    replica.options["replicaof"] = ["127.0.0.1", primary.port]
    replica.start()
    same(primary, replica)
    assert counts(primary) == (1, 1)


def test_replica_starts_again_from_its_dataset(start):
    start_replica_again(start(**FAST), start(**{**FAST, "save": "10000 1"}))


def test_replica_starts_again(start):
    primary, replica = start(**FAST), start(**{**FAST, "appendonly": "yes"})
    start_replica_again(primary, replica)
    replica.connect().call("BGREWRITEAOF")
    write_some(primary, 3, 50)
    same(primary, replica)
    replica.connect().call_ok("DEBUG", "LOADAOF")
    assert digest(primary) == digest(replica)


def test_a_primary_loads_its_log_again(start):
    """Which is no change: its replica goes on with the same stream."""
    primary, replica = start(**{**FAST, "appendonly": "yes"}), start(**FAST)
    follow(replica, primary)
    connection = primary.connect()
    write_some(primary, 1, 50)
    connection.call_ok("MULTI")
    connection.call("SET", "a", "1")
    connection.call("SELECT", "3")
    connection.call("SET", "b", "2")
    connection.call("EXEC")
    same(primary, replica)
    for command in ("SET x 1", "EXPIRE x 1000", "LPUSH l 1 2 3", "LPOP l", "XADD s * f v", "SPOP l2", "INCRBYFLOAT f 1.5"):
        connection.call(*command.split())
    before = digest(primary), replication(primary)["master_replid"], counts(primary)
    for command in ("DEBUG LOADAOF", "DEBUG LOADAOF", "BGREWRITEAOF"):
        connection.call(*command.split())
        connection.call("SET", "after", command)
        assert connection.call("WAIT", 1, 5000) == 1
        write_some(primary, 2, 20)
        same(primary, replica)
    harness.wait_until(lambda: primary.info("persistence")["aof_rewrite_in_progress"] == "0")
    connection.call_ok("DEBUG", "LOADAOF")
    write_some(primary, 3, 20)
    same(primary, replica)
    assert (replication(primary)["master_replid"], counts(primary)) == before[1:]


def test_the_past_is_read_from_files(start):
    primary = start(**{**FAST, "appendonly": "yes", "repl-backlog-size": "16kb", "aof-increment-size": "1mb",
                       "aof-retention-time": "3600"})
    replica = start(**FAST)
    follow(replica, primary)
    same(primary, replica)
    before = counts(primary)
    replica.connect().call_ok("CONFIG", "SET", "masterauth", "wrong")  # so it stays away for a while
    primary.connect().call_ok("CONFIG", "SET", "requirepass", "secret")
    killer = harness.Connection(primary.address)
    killer.call_ok("AUTH", "secret")
    killer.call("CLIENT", "KILL", "TYPE", "replica")
    for i in range(3000):
        killer.call("SET", f"k{i % 500}", "x" * 1000)
        if i == 1500:
            killer.call("BGREWRITEAOF")
    killer.call_ok("CONFIG", "SET", "requirepass", "")
    replica.connect().call_ok("CONFIG", "SET", "masterauth", "")
    same(primary, replica)
    after = counts(primary)
    assert after[0] == before[0] and after[1] == before[1] + 1


def test_files_of_a_replica_load_elsewhere(start):
    """The append-only file that a replica writes is its primary's stream: the peer starts on it."""
    primary, replica = start(**FAST), start(**{**FAST, "appendonly": "yes"})
    primary.connect().call("SELECT", 3)
    other = primary.connect()
    other.call("SELECT", 3)
    other.call("SET", "there", 1)
    follow(replica, primary)
    same(primary, replica)
    other.call("SET", "there", 2)
    write_some(primary, 1, 50)
    other.call("SET", "there", 3)
    same(primary, replica)
    replica.connect().call("BGREWRITEAOF")
    harness.wait_until(lambda: replica.info("persistence")["aof_rewrite_in_progress"] == "0")
    other.call("SET", "there", 4)
    same(primary, replica)
    wanted = digest(primary)
    end(replica)
    peer = harness.Server(harness.peer_command(), replica.folder,
                          {**FAST, "appendonly": "yes"}).start()
    try:
        assert digest(peer) == wanted
    finally:
        peer.stop()


def test_swap_load_answers_meanwhile(start):
    primary, replica = start(**FAST), start(**{**FAST, "repl-diskless-load": "swapdb"})
    primary.connect().call_ok("DEBUG", "POPULATE", 300000)
    replica.connect().call_ok("SET", "old", "there")
    reader = replica.connect()
    follow(replica, primary)
    seen = set()
    while not is_up(replica):
        reply = reader.call("GET", "old")
        assert reply in (b"there", None), reply
        seen.add(reply)
    same(primary, replica)
    assert b"there" in seen


def test_diskless_and_by_file(start):
    primary = start(**{**FAST, "repl-diskless-sync": "no"})
    dataset.fill(primary.connect())
    replicas = [start(**FAST), start(command=harness.peer_command(), **FAST)]
    for replica in replicas:
        follow(replica, primary)
    write_some(primary, 1, 30)
    for replica in replicas:
        same(primary, replica)


@pytest.mark.parametrize("go", ["yes", "no"])
def test_files_of_replication_go(start, go):
    """Where nothing is kept on disk nothing is to be left there, if so wanted."""
    primary, replica = start(**FAST, **{"repl-diskless-sync": "no", "rdb-del-sync-files": go}), start(**FAST)
    primary.connect().call_ok("SET", "a", "b")
    follow(replica, primary)
    same(primary, replica)
    assert not list(replica.folder.glob("*.rdb"))
    assert [path.name for path in primary.folder.glob("*.rdb")] == ([] if go == "yes" else ["dump.rdb"])


def test_failover(start):
    primary, replica = start(**FAST), start(**FAST)
    assert primary.connect().call("FAILOVER") == b"ERR FAILOVER requires connected replicas."
    write_some(primary, 1, 50)
    follow(replica, primary)
    same(primary, replica)
    assert replica.connect().call("FAILOVER") == b"ERR FAILOVER is not valid when server is a replica."
    assert primary.connect().call("FAILOVER", "ABORT") == b"ERR No failover in progress."
    stop, errors = threading.Event(), []

    def write():
        connection = primary.connect()
        while not stop.is_set():
            reply = connection.call("INCR", "written")
            if isinstance(reply, int):
                errors.append(reply)

    writer = threading.Thread(target=write)
    writer.start()
    time.sleep(0.1)
    primary.connect().call_ok("FAILOVER", "TO", "127.0.0.1", replica.port, "TIMEOUT", 5000)
    harness.wait_until(lambda: replication(replica)["role"] == "master")
    harness.wait_until(lambda: is_up(primary))
    stop.set()
    writer.join()
    write_some(replica, 2, 50)
    same(replica, primary)
    assert counts(replica) == (0, 1)
    assert int(replica.connect().call("GET", "written")) == errors[-1]


def test_failover_to_the_peer_and_back(start):
    primary, replica = start(**FAST), start(command=harness.peer_command(), **FAST)
    follow(replica, primary)
    same(primary, replica)
    primary.connect().call_ok("FAILOVER")
    harness.wait_until(lambda: replication(replica)["role"] == "master")
    write_some(replica, 1, 50)
    same(replica, primary)
    replica.connect().call_ok("FAILOVER")
    harness.wait_until(lambda: replication(primary)["role"] == "master")
    write_some(primary, 2, 50)
    same(primary, replica)
    assert counts(primary)[0] == 1 and counts(replica)[0] == 0


def test_too_few_replicas_refuse_writes(start):
    primary, replica = start(**{**FAST, "min-replicas-to-write": 1}), start(**FAST)
    connection = primary.connect()
    assert connection.call("SET", "a", "b") == b"NOREPLICAS Not enough good replicas to write."
    assert connection.call("GET", "a") is None
    follow(replica, primary)
    same(primary, replica)
    assert connection.call("SET", "a", "b") == b"OK"


@pytest.mark.ours("a promise that the peer makes for single commands only")
def test_replies_wait_for_replicas(start):
    primary, replica = start(**{**FAST, "min-replicas-to-ack": 1, "min-replicas-to-ack-policy": "wait"}), start(**FAST)
    writer, reader = primary.connect(), primary.connect()
    writer.send(harness.encode("SET", "a", "b"))
    assert writer.is_silent(0.3)
    reader.send(harness.encode("GET", "a"))
    assert reader.is_silent(0.3)
    follow(replica, primary)
    assert writer.read() == b"OK"
    assert reader.read() == b"b"
    started = time.monotonic()
    for i in range(50):
        assert writer.call("SET", "a", i) == b"OK"
    assert time.monotonic() - started < 10
    assert replica.connect().call("GET", "a") == b"49"
    replica.stop()
    assert reader.call("GET", "a") == b"49"  # acknowledged before
    writer.send(harness.encode("SET", "a", "lost?"))
    assert writer.is_silent(0.3)


@pytest.mark.ours("the same")
@pytest.mark.parametrize("policy", ["refuse", "degrade"])
def test_promise_that_cannot_be_kept(start, policy):
    primary = start(**{**FAST, "min-replicas-to-ack": 1, "min-replicas-to-ack-policy": policy,
                       "min-replicas-to-ack-timeout": 200})
    writer, other = primary.connect(), primary.connect()
    writer.send(harness.encode("SET", "a", "b"))
    if policy == "degrade":
        assert writer.read() == b"OK"
        assert other.call("SET", "a", "c") == b"OK"
        assert replication(primary)["redstart_ack_promise"] == "broken"
    else:
        harness.wait_until(lambda: replication_of(other)["redstart_ack_promise"] == "broken")
        assert other.call("SET", "a", "c") == b"NOREPLICAS Not enough good replicas to write."
        assert writer.is_silent(0.1)


def replication_of(connection):
    return harness.parse_info(connection.call("INFO", "replication"))


def test_replica_without_its_primary(start):
    primary, replica = start(**FAST), start(**{**FAST, "replica-serve-stale-data": "no"})
    primary.connect().call_ok("SET", "a", "b")
    follow(replica, primary)
    same(primary, replica)
    assert replica.connect().call("GET", "a") == b"b"
    primary.stop()
    harness.wait_until(lambda: not is_up(replica))
    assert replica.connect().call("GET", "a").startswith(b"MASTERDOWN Link with MASTER is down")
    assert replica.connect().call("PING").startswith(b"MASTERDOWN Link with MASTER is down")
    replica.connect().call_ok("CONFIG", "SET", "replica-serve-stale-data", "yes")
    assert replica.connect().call("GET", "a") == b"b"


READS_TWICE = """
local before, until_s = redis.call('get', 'counter'), tonumber(ARGV[1])
while tonumber(redis.call('time')[1]) < until_s do end
return {before, redis.call('get', 'counter'), redis.call('dbsize')}
"""


@pytest.mark.parametrize("how", ["stream", "dataset"])
def test_a_long_script_on_a_replica_sees_one_moment(start, how):
    """The primary's changes, and a dataset that came from it, wait for the script's end."""
    primary = start(**{**FAST, "repl-diskless-sync-delay": "1"})
    replica = start(**{**FAST, "busy-reply-threshold": "50"})
    writer, reader, other = primary.connect(), replica.connect(), replica.connect()
    if how == "dataset":
        reader.call_ok("SET", "counter", 1)
        write_some(primary, 1, 50)
    else:
        writer.call_ok("SET", "counter", 1)
    follow(replica, primary)
    if how == "dataset":
        harness.wait_until(lambda: replication(primary).get("slave0", "").find("state=wait_bgsave") > 0)
    else:
        same(primary, replica)
    reader.command("EVAL_RO", READS_TWICE, 0, int(time.time()) + 3)
    harness.wait_until(lambda: other.call("GET", "counter").startswith(b"BUSY"))
    for i in range(200):
        writer.call("INCR", "counter")
        writer.command("MULTI")
        writer.command("SET", f"other{i}", "x" * 2000)
        writer.command("INCR", "counter")
        writer.command("EXEC")
        for _ in range(4):
            writer.read()
    assert other.call("GET", "counter").startswith(b"BUSY")
    assert reader.read() == [b"1", b"1", 1]
    same(primary, replica)


def test_password(start):
    primary = start(**{**FAST, "requirepass": "secret"})
    replica = start(**{**FAST, "masterauth": "secret"})
    owner = harness.Connection(primary.address)
    owner.call_ok("AUTH", "secret")
    owner.call_ok("SET", "a", "b")
    follow(replica, primary)
    harness.wait_until(lambda: is_up(replica))
    assert replica.connect().call("GET", "a") == b"b"


def test_what_is_no_primary(start):
    """A server that speaks something else leaves the replica as it was, trying on."""
    import socket

    listener = socket.create_server(("127.0.0.1", 0))
    listener.settimeout(10)
    replica = start(**FAST)
    replica.connect().call_ok("SET", "mine", "x")
    answers = [b"-ERR what\r\n", b"+PONG\r\n+OK\r\n+OK\r\n+FULLRESYNC short\r\n", b"x" * 100000,
               b"+PONG\r\n+OK\r\n+OK\r\n+FULLRESYNC " + b"a" * 40 + b" 5\r\n$12\r\nno dataset!!",
               b"+PONG\r\n+OK\r\n+OK\r\n+CONTINUE\r\n", b"+PONG\r\n+OK\r\n+OK\r\n+FULLRESYNC " + b"a" * 40 + b" 5\r\n:1\r\n"]
    replica.connect().call("REPLICAOF", "127.0.0.1", listener.getsockname()[1])
    for answer in answers:
        peer, _ = listener.accept()
        peer.settimeout(5)
        try:
            peer.sendall(answer)
            while peer.recv(65536):
                pass
        except OSError:
            pass
        peer.close()
    listener.close()
    assert replica.connect().call("PING") == b"PONG"
    assert replica.is_running()
    replica.connect().call_ok("REPLICAOF", "NO", "ONE")
    replica.connect().call_ok("SET", "mine", "y")


def test_a_shutdown_waits_for_replicas(start):
    primary, replica = start(**FAST), start(**FAST)
    follow(replica, primary)
    same(primary, replica)
    replica.stand_still()
    writer = primary.connect()
    for i in range(100):
        writer.call("SET", f"k{i}", i)
    primary.connect().send(harness.encode("SHUTDOWN", "NOSAVE"))
    time.sleep(0.1)
    assert primary.is_running()
    replica.go_on()
    assert primary.wait() == 0
    assert replica.connect().call("DBSIZE") == 100


def test_a_shutdown_that_waits_is_given_up(start):
    primary, replica = start(**FAST), start(**FAST)
    follow(replica, primary)
    same(primary, replica)
    replica.stand_still()
    connection = primary.connect()
    assert connection.call("SHUTDOWN", "ABORT") == b"ERR No shutdown in progress."
    connection.call_ok("SET", "a", "b")
    primary.connect().send(harness.encode("SHUTDOWN"))
    time.sleep(0.1)
    connection.call_ok("SHUTDOWN", "ABORT")
    connection.call_ok("SET", "a", "c")


def test_counting_on_a_replica_removes_nothing(start):
    """The primary says when a key has ended, also to PFCOUNT, which may write."""
    primary, replica = start(**FAST), start(**FAST)
    follow(replica, primary)
    primary.connect().call("PFADD", "key", "a", "b")
    primary.connect().call("PEXPIRE", "key", 300)
    same(primary, replica)
    primary.stand_still()
    connection = replica.connect()
    assert harness.wait_until(lambda: connection.call("EXISTS", "key") == 0)
    assert connection.call("PFCOUNT", "key") == 0
    assert connection.call("DBSIZE") == 1
    primary.go_on()
    assert harness.wait_until(lambda: connection.call("DBSIZE") == 0)


def test_a_count_is_kept_in_a_replica_as_in_its_primary(pair):
    primary, replica = pair
    follow(replica, primary)
    connection = primary.connect()
    connection.call("PFADD", "key", "a", "b", "c")
    assert connection.call("PFCOUNT", "key") == 3
    connection.call("PFADD", "key", "d")
    same(primary, replica)
    assert replica.connect().call("PFCOUNT", "key") == connection.call("PFCOUNT", "key") == 4
    same(primary, replica)
    assert replica.connect().call("GET", "key") == connection.call("GET", "key")


def test_who_waits_is_told_of_another_part(pair):
    primary, other = pair
    waiter = other.connect()
    waiter.send(harness.encode("BLPOP", "nothing", 0))
    harness.wait_until(lambda: other.info("clients")["blocked_clients"] == "1")
    follow(other, primary)
    assert waiter.read().startswith(b"UNBLOCKED force unblock from blocking operation")


def test_redis_py_behaves_through_a_failover(start):
    """A client that asks who the primary is when it is told READONLY loses nothing."""
    import redis

    servers = [start(**FAST), start(**FAST)]
    follow(servers[1], servers[0])
    same(servers[0], servers[1])
    clients = [redis.Redis(port=server.port, retry_on_timeout=True) for server in servers]
    written, current, stop = [], 0, threading.Event()

    def write():
        nonlocal current
        while not stop.is_set():
            try:
                written.append(clients[current].incr("n"))
            except redis.exceptions.ReadOnlyError:
                current = 1 - current
            except redis.exceptions.ConnectionError:
                time.sleep(0.01)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for old, new in ((0, 1), (1, 0)):
            time.sleep(0.2)
            harness.wait_until(lambda: servers[old].connect().call("FAILOVER") == b"OK")
            harness.wait_until(lambda: replication(servers[new])["role"] == "master")
            harness.wait_until(lambda: is_up(servers[old]))
    finally:
        stop.set()
        writer.join()
    assert written == list(range(1, len(written) + 1)) and len(written) > 20
    same(servers[0], servers[1])


def test_a_primary_by_its_name(start):
    """Names are looked up aside; one that nobody has is asked for again and again, and hurts nobody."""
    primary, replica = start(**FAST), start(**FAST)
    connection = replica.connect()
    connection.call_ok("REPLICAOF", "no-such-host.invalid", 6379)
    harness.wait_until(lambda: "Unable to connect to MASTER" in replica.log(), 60)
    assert connection.call("ROLE")[3] in (b"connect", b"connecting")
    connection.call_ok("REPLICAOF", "localhost", primary.port)
    primary.connect().call_ok("SET", "a", "b")
    same(primary, replica)
    assert replication(replica)["master_host"] == "localhost"
    connection.call_ok("REPLICAOF", "no-such-host.invalid", 6379)
    connection.call_ok("REPLICAOF", "NO", "ONE")
    connection.call_ok("SET", "a", "c")
    end(replica)


def test_nothing_is_acknowledged_before_it_is_on_disk(start):
    """A replica that promises its disk says nothing of the dataset as long as its log has no base."""
    primary = start(**FAST)
    replica = start(**{**FAST, "appendonly": "yes", "appendfsync": "always"})
    folder = replica.folder / "appendonlydir"
    folder.rename(replica.folder / "elsewhere")
    folder.write_text("in the way")
    writer = primary.connect()
    writer.call_ok("SET", "a", "b")
    follow(replica, primary)
    harness.wait_until(lambda: is_up(replica) and "state=online,offset=0," in replication(primary).get("slave0", ""))
    writer.call_ok("SET", "a", "c")
    assert writer.call("WAIT", 1, 1500) == 0
    folder.unlink()
    harness.wait_until(lambda: writer.call("WAIT", 1, 100) == 1, 20)
    assert writer.call("WAITAOF", 0, 1, 5000)[1] == 1


@pytest.mark.parametrize("which", ["ours", "peer"])
def test_scripts_on_a_stale_replica(start, which):
    replica = start(command=harness.ours_command() if which == "ours" else harness.peer_command(), **FAST)
    connection = replica.connect()
    connection.call_ok("CONFIG", "SET", "replica-serve-stale-data", "no")
    connection.call_ok("REPLICAOF", "127.0.0.1", 1)
    down = b"MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'."
    assert connection.call("EVAL", "return 1", 0) == down
    script = "#!lua flags=allow-stale,no-writes\nreturn redis."
    assert connection.call("EVAL", script + "call('GET', 'x')", 0).startswith(
        b"ERR Can not execute the command on a stale replica script: ")
    assert connection.call("EVAL", script + "pcall('GET', 'x')", 0) == b"ERR Can not execute the command on a stale replica"
    assert connection.call("EVAL", script + "sha1hex('')", 0) == b"da39a3ee5e6b4b0d3255bfef95601890afd80709"


def test_roles_are_told(pair):
    primary, replica = pair
    follow(replica, primary)
    same(primary, replica)
    harness.wait_until(lambda: primary.connect().call("ROLE")[2])
    role = primary.connect().call("ROLE")
    assert role[0] == b"master" and role[2][0][:2] == [b"127.0.0.1", str(replica.port).encode()]
    role = replica.connect().call("ROLE")
    assert role[:4] == [b"slave", b"127.0.0.1", primary.port, b"connected"]
    assert b"flags=S" in primary.connect().call("CLIENT", "LIST", "TYPE", "replica")
    assert b"flags=M" in replica.connect().call("CLIENT", "LIST", "TYPE", "master")
    hello = replica.connect().call("HELLO", 2)
    assert dict(zip(hello[::2], hello[1::2]))[b"role"] == b"replica"


def test_messages_reach_replicas(pair):
    primary, replica = pair
    follow(replica, primary)
    same(primary, replica)
    listener = replica.connect()
    listener.call("SUBSCRIBE", "news")
    primary.connect().call("PUBLISH", "news", "hello")
    assert listener.read() == [b"message", b"news", b"hello"]


def test_a_file_of_a_server_with_more_databases(start):
    """Where its stream stood in one that is not here, it cannot be read on: all is fetched."""
    primary, replica = start(**FAST, databases="64"), start(**FAST, databases="64")
    connection = primary.connect()
    connection.call_ok("SET", "a", 1)
    follow(replica, primary)
    same(primary, replica)
    connection.call_ok("SELECT", 40)
    connection.call_ok("SET", "b", 1)
    connection.call("DEL", "b")
    same(primary, replica)
    replica.connect().call_ok("SAVE")
    end(replica)
    connection.call_ok("SET", "b", 2)
    connection.call("DEL", "b")
    replica.options["databases"] = "16"
    replica.options["replicaof"] = ["127.0.0.1", primary.port]
    before = counts(primary)
    replica.start()
    harness.wait_until(lambda: is_up(replica))
    connection.call_ok("SELECT", 3)
    connection.call_ok("SET", "c", 1)
    harness.wait_until(lambda: digest(primary) == digest(replica))
    assert counts(primary) == (before[0] + 1, before[1])


def test_a_replica_does_not_cut_off_an_idle_primary(start):
    """`timeout` is about clients."""
    primary, replica = start(**FAST), start(**FAST, timeout="1")
    follow(replica, primary)
    same(primary, replica)
    time.sleep(3.5)
    assert counts(primary) == (1, 0) and is_up(replica)


def test_nobody_lets_writes_through_while_a_shutdown_waits(start):
    """CLIENT UNPAUSE ends what CLIENT PAUSE began."""
    primary, replica = start(**{**FAST, "save": "3600 1"}), start(**FAST)
    follow(replica, primary)
    same(primary, replica)
    replica.stand_still()
    connection, writer = primary.connect(), primary.connect()
    connection.call_ok("SET", "a", 2)
    connection.call_ok("CLIENT", "PAUSE", 60_000, "WRITE")
    primary.connect().send(harness.encode("SHUTDOWN"))
    time.sleep(0.1)
    writer.command("SET", "a", 3)
    connection.call_ok("CLIENT", "UNPAUSE")
    assert writer.is_silent(0.2)
    connection.call_ok("SHUTDOWN", "ABORT")
    assert writer.read() == b"OK"


def test_a_failover_and_a_pause_end_each_for_itself(start):
    primary, replica = start(**FAST), start(**FAST)
    follow(replica, primary)
    same(primary, replica)
    replica.stand_still()
    connection, writer = primary.connect(), primary.connect()
    connection.call_ok("SET", "a", 1)
    connection.call_ok("FAILOVER", "TIMEOUT", 60_000)
    connection.call_ok("CLIENT", "UNPAUSE")
    writer.command("SET", "a", 2)
    assert writer.is_silent(0.2)
    connection.call_ok("CLIENT", "PAUSE", 60_000, "WRITE")
    connection.call_ok("FAILOVER", "ABORT")
    assert writer.is_silent(0.2)
    connection.call_ok("CLIENT", "UNPAUSE")
    assert writer.read() == b"OK"
