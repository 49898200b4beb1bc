"""Connections in numbers and at their limits, and the commands that look at and act on them."""

import re
import socket
import threading
import time

import pytest

import harness
from harness import Connection, encode, wait_until

MEGABYTE = 1 << 20


def fields_of(line):
    """A line of CLIENT LIST as a dict."""
    return dict(field.split("=", 1) for field in bytes(line).decode().strip().split(" "))


def listed(connection, *arguments):
    text = connection.call("CLIENT", "LIST", *arguments)
    return [fields_of(line) for line in text.splitlines()]


# In numbers


def test_a_thousand_clients_vanish_in_the_middle_of_a_request(server):
    """They leave nothing: no session, no descriptor, no memory."""
    control = server.connect()
    halves = [
        encode("SET", "key", b"x" * 20_000)[:-7],
        b"*3\r\n$3\r\nSET\r\n$3\r\nkey\r\n$100000000\r\nxxxx",
        b"*1000000\r\n$3\r\nDEL\r\n$1",
        b"SET key half an inline",
        encode("PING") * 10 + b"*2\r\n$4\r\nECHO",
        b"*",
    ]

    def wave():
        clients = []
        for number in range(1000):
            client = socket.create_connection(server.address)
            client.sendall(halves[number % len(halves)])
            clients.append(client)
        assert wait_until(lambda: int(server.info("clients")["connected_clients"]) >= 1001)
        for number, client in enumerate(clients):
            if number % 2:  # half of them by a reset
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
            client.close()
        # info's own connection counts
        assert wait_until(lambda: int(server.info("clients")["connected_clients"]) == 2)

    wave()  # what is kept for reuse is allocated now
    descriptors = server.descriptors()
    used = int(server.info("memory")["used_memory"])
    wave()
    wave()
    assert wait_until(lambda: server.descriptors() <= descriptors)
    assert wait_until(lambda: int(server.info("memory")["used_memory"]) < used + MEGABYTE)
    assert control.call("EXISTS", "key") == 0
    assert len(listed(control)) == 1


def test_memory_of_half_sent_large_values_comes_back(server):
    before = int(server.info("memory")["used_memory"])
    clients = [server.connect() for _ in range(20)]
    for client in clients:
        client.send(b"*3\r\n$3\r\nSET\r\n$3\r\nkey\r\n$10000000\r\n" + b"x" * 5_000_000)
    wait_until(lambda: int(server.info("memory")["used_memory"]) > before + 50 * MEGABYTE, 5)
    for client in clients:
        client.close()
    assert wait_until(lambda: int(server.info("memory")["used_memory"]) < before + 4 * MEGABYTE)


def test_clients_are_counted(server):
    connections = [server.connect() for _ in range(50)]
    for connection in connections:
        connection.call("PING")
    info = server.info()
    assert int(info["connected_clients"]) == 51
    assert int(info["blocked_clients"]) == 0
    for connection in connections:
        connection.close()
    assert wait_until(lambda: int(server.info("clients")["connected_clients"]) == 1)
    assert int(server.info("stats")["total_connections_received"]) >= 51


def test_maxclients(start):
    server = start(maxclients=10)
    connections = [server.connect() for _ in range(10)]
    for connection in connections:
        assert connection.call("PING") == b"PONG"
    with Connection(server.address) as late:
        assert late.read_to_end() == b"-ERR max number of clients reached\r\n"
    connections[0].close()

    def admitted():
        with Connection(server.address) as another:
            try:
                return another.call("PING") == b"PONG"
            except (harness.Closed, OSError):
                return False

    assert wait_until(admitted)
    assert int(parse(connections[1])["rejected_connections"]) >= 1
    connections[1].call_ok("CONFIG", "SET", "maxclients", 20)
    more = [server.connect() for _ in range(8)]
    assert all(connection.call("PING") == b"PONG" for connection in more)


def parse(connection, *sections):
    return harness.parse_info(connection.call("INFO", *sections))


def test_idle_clients_are_closed(server, config):
    connection, busy, monitor = (server.connect() for _ in range(3))
    assert connection.call("PING") == b"PONG"
    monitor.call_ok("MONITOR")
    config("timeout", 1)
    end = time.monotonic() + 2.5
    while time.monotonic() < end:
        assert busy.call("PING") == b"PONG"
        time.sleep(0.2)
    assert connection.is_closed(2)
    assert b'"PING"' in monitor.read()


def test_without_timeout_nobody_is_closed(server):
    connection = server.connect()
    time.sleep(1.5)
    assert connection.call("PING") == b"PONG"


# Output buffers


def test_output_buffer_hard_limit(server, config):
    config("client-output-buffer-limit", "normal 1mb 0 0")
    slow, other = server.connect(), server.connect()
    other.call_ok("SET", "key", b"x" * 100_000)
    slow.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    slow.send(encode("GET", "key") * 400)
    assert wait_until(lambda: len(listed(other)) == 1)
    assert "overcoming of output buffer limits" in server.log()
    assert other.call("PING") == b"PONG"


@pytest.mark.since("7.4")
def test_disconnections_for_limits_are_counted(server, config):
    config("client-output-buffer-limit", "normal 1mb 0 0", "client-query-buffer-limit", "1mb")
    slow, loud, other = server.connect(), server.connect(), server.connect()
    other.call_ok("SET", "key", b"x" * 100_000)
    slow.send(encode("GET", "key") * 400)
    try:
        loud.send(b"*2\r\n$4\r\nECHO\r\n$10000000\r\n" + b"x" * 3_000_000)
    except OSError:
        pass
    assert wait_until(lambda: len(listed(other)) == 1)
    stats = parse(other, "stats")
    assert stats["client_output_buffer_limit_disconnections"] == "1"
    assert stats["client_query_buffer_limit_disconnections"] == "1"


def test_output_buffer_soft_limit(server, config):
    """Above the soft limit a client has its seconds, and may get below it again."""
    config("client-output-buffer-limit", "normal 0 1mb 2")
    slow, recovering, other = server.connect(), server.connect(), server.connect()
    recovering.call_ok("CLIENT", "SETNAME", "recovering")
    other.call_ok("CLIENT", "SETNAME", "other")
    other.call_ok("SET", "key", b"x" * 1_000_000)
    began = time.monotonic()
    slow.send(encode("GET", "key") * 40)
    recovering.send(encode("GET", "key") * 40)
    time.sleep(0.5)
    assert len(listed(other)) == 3
    for _ in range(40):
        recovering.read()
    assert wait_until(lambda: len(listed(other)) == 2, 6, 0.05)
    assert time.monotonic() - began > 1.5
    assert {client["name"] for client in listed(other)} == {"recovering", "other"}


def test_output_that_is_read_late_is_whole(server):
    slow, other = server.connect(), server.connect()
    value = bytes(range(256)) * 400
    slow.call_ok("SET", "key", value)
    slow.send(encode("GET", "key") * 300)
    wait_until(lambda: any(int(client["omem"]) > 0 for client in listed(other)), 3)
    for _ in range(300):
        assert slow.read() == value
    assert wait_until(lambda: all(client["omem"] == "0" or client["cmd"] == "client|list" for client in listed(other)))


# Fairness


def test_a_huge_pipeline_does_not_starve_others(server):
    connection, hog = server.connect(), server.connect()
    data = encode("SET", "key", b"x" * 100) * 300_000
    stop = threading.Event()

    def pour():
        try:
            hog.send(data)
            for _ in range(300_000):
                hog.read()
        finally:
            stop.set()

    thread = threading.Thread(target=pour)
    thread.start()
    waits = []
    while not stop.is_set():
        began = time.monotonic()
        assert connection.call("PING") == b"PONG"
        waits.append(time.monotonic() - began)
        time.sleep(0.001)
    thread.join()
    assert len(waits) > 20
    # the parser of replies above shares the interpreter with us, hence the generous bound
    assert sorted(waits)[len(waits) // 2] < 0.1


def test_many_pipelines_at_once(server, config):
    """More requests than a batch takes, all waiting when the engine comes to them: each does its own, and
    none is charged with what was done before it."""
    config("slowlog-log-slower-than", 100_000)
    control = server.connect()
    control.call_ok("SLOWLOG", "RESET")
    control.call("HSET", "hash", *[word for i in range(2000) for word in (f"field{i}", i)])
    control.call("SADD", "set", *range(2000))
    sessions = [server.connect() for _ in range(12)]
    control.send(encode("DEBUG", "SLEEP", "0.3"))
    time.sleep(0.1)
    for number, session in enumerate(sessions):
        session.send(encode("SELECT", number % 2) + b"".join(
            encode("INCR", f"counter{i % 40}") + encode("SET", f"{number}:{i}", f"{number} {i}")
            + encode("HGET", "hash", f"field{number * 100 + i}") + encode("SISMEMBER", "set", i * 40)
            + encode("MGET", *[f"{number}:{j}" for j in range(i + 2)]) for i in range(100)))
    assert control.read() == b"OK"
    counts = {0: {}, 1: {}}
    for number, session in enumerate(sessions):
        database = number % 2
        assert session.read() == b"OK"
        for i in range(100):
            counts[database].setdefault(i % 40, []).append(session.read())
            assert session.read() == b"OK"
            assert session.read() == (b"%d" % (number * 100 + i) if database == 0 else None)
            assert session.read() == int(database == 0 and i * 40 < 2000)
            assert session.read() == [b"%d %d" % (number, j) for j in range(i + 1)] + [None]
    for counters in counts.values():
        for each in counters.values():
            assert sorted(each) == list(range(1, len(each) + 1))
    time.sleep(0.15)
    sessions[0].call_ok("SET", "key", "after a rest")
    assert [entry[3][0] for entry in control.call("SLOWLOG", "GET", -1)] == [b"DEBUG"]


@pytest.mark.ours("a session's share of a turn is bounded, large values or not")
def test_many_large_replies_do_not_starve_others(server):
    connection, hog = server.connect(), server.connect()
    connection.call_ok("SET", "key", b"x" * 200_000)
    hog.send(encode("GET", "key") * 2000)
    began = time.monotonic()
    assert connection.call("PING") == b"PONG"
    assert time.monotonic() - began < 0.25


def test_a_slow_pipeline_is_run_to_its_end_though_nothing_more_will_come(server):
    """The client has closed its side, and waits for the replies."""
    client = socket.create_connection(server.address)
    client.settimeout(30)
    client.sendall((encode("DEBUG", "SLEEP", "0.002") + encode("INCR", "slow")) * 60)
    client.shutdown(socket.SHUT_WR)
    replies = b""
    while data := client.recv(65536):
        replies += data
    client.close()
    assert replies == b"".join(b"+OK\r\n:%d\r\n" % i for i in range(1, 61))


def test_large_values_behind_slow_commands(server):
    """They are late and still what they were, in a transaction, too."""
    connection = server.connect()
    values = [bytes([65 + i]) * 300_000 for i in range(8)]
    connection.send(b"".join(encode("DEBUG", "SLEEP", "0.002") + encode("SET", f"large{i}", value)
                             for i, value in enumerate(values)))
    connection.send(encode("DEBUG", "SLEEP", "0.002") + encode("MULTI")
                    + b"".join(encode("APPEND", f"large{i}", value) for i, value in enumerate(values)) + encode("EXEC"))
    for _ in values:
        assert [connection.read(), connection.read()] == [b"OK", b"OK"]
    assert [connection.read() for _ in range(2 + len(values))] == [b"OK", b"OK"] + [b"QUEUED"] * len(values)
    assert connection.read() == [600_000] * len(values)
    for i, value in enumerate(values):
        assert connection.call("GET", f"large{i}") == value * 2


@pytest.mark.parametrize("mute", [("OFF",), ("SKIP",)])
def test_quit_without_a_reply_closes(server, mute):
    connection = server.connect()
    connection.send(encode("CLIENT", "REPLY", *mute) + encode("QUIT"))
    with pytest.raises(harness.Closed):
        connection.read()


def test_what_is_refused_does_not_wait_for_the_end_of_a_pause(server):
    control, connection = server.connect(), server.connect()
    control.call_ok("CLIENT", "PAUSE", 60_000, "WRITE")
    assert connection.call("SET", "x") == b"ERR wrong number of arguments for 'set' command"
    connection.send(encode("SET", "x", 1))
    control.call_ok("CLIENT", "UNPAUSE")
    assert connection.read() == b"OK"
    control.call_ok("CLIENT", "PAUSE", 60_000, "ALL")
    assert connection.call("FOO").startswith(b"ERR unknown command")
    control.call_ok("CLIENT", "UNPAUSE")


# Authentication


def test_requirepass(start):
    server = start(requirepass="secret")
    connection = server.connect()
    assert connection.call("GET", "key") == b"NOAUTH Authentication required."
    assert connection.call("PING") == b"NOAUTH Authentication required."
    assert connection.call("NONSENSE").startswith(b"ERR unknown command 'NONSENSE'")
    assert connection.call("GET") == b"ERR wrong number of arguments for 'get' command"
    assert connection.call("AUTH", "wrong") == b"WRONGPASS invalid username-password pair or user is disabled."
    assert connection.call("AUTH", "default", "wrong") == b"WRONGPASS invalid username-password pair or user is disabled."
    assert connection.call("AUTH", "nobody", "secret") == b"WRONGPASS invalid username-password pair or user is disabled."
    # Redis 7.0 says "HELLO AUTH", 7.2 says "HELLO <proto> AUTH"
    unauthenticated = re.compile(
        rb"NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO (<proto> )?AUTH <user>"
        rb" <pass> option can be used to authenticate the client and select the RESP protocol version at the same time"
    )
    assert unauthenticated.fullmatch(connection.call("HELLO"))
    assert unauthenticated.fullmatch(connection.call("HELLO", 3))
    assert connection.call("HELLO", 3, "AUTH", "default", "wrong") == b"WRONGPASS invalid username-password pair or user is disabled."
    assert connection.call("RESET") == b"RESET"
    connection.call_ok("AUTH", "secret")
    assert connection.call("GET", "key") is None
    assert connection.call("AUTH", "wrong").startswith(b"WRONGPASS")
    assert connection.call("GET", "key") is None, "a failed AUTH does not take away what was there"
    assert connection.call("RESET") == b"RESET"
    assert connection.call("GET", "key") == b"NOAUTH Authentication required."
    reply = connection.call("HELLO", 3, "AUTH", "default", "secret", "SETNAME", "me")
    assert isinstance(reply, harness.Map) and reply.dict()[b"proto"] == 3
    assert connection.call("CLIENT", "GETNAME") == b"me"
    with Connection(server.address) as quitting:
        quitting.send(encode("QUIT"))
        assert quitting.read_to_end() == b"+OK\r\n"


def test_requirepass_at_run_time(server, config):
    """Who is connected stays authenticated; who comes later is asked."""
    connection = server.connect()
    assert connection.call("PING") == b"PONG"
    try:
        connection.call_ok("CONFIG", "SET", "requirepass", "secret")
        assert connection.call("CONFIG", "GET", "requirepass") == [b"requirepass", b"secret"]
        assert connection.call("PING") == b"PONG"
        late = server.connect()
        assert late.call("PING") == b"NOAUTH Authentication required."
        late.call_ok("AUTH", "secret")
    finally:
        connection.call_ok("CONFIG", "SET", "requirepass", "")
    late = server.connect()
    assert late.call("PING") == b"PONG"


def test_protected_mode(start):
    server = start(protected_mode="yes", bind="0.0.0.0")
    addresses = {info[4][0] for info in socket.getaddrinfo(socket.gethostname(), None, socket.AF_INET)}
    outside = [address for address in addresses if not address.startswith("127.")]
    if not outside:
        pytest.skip("this machine has no address but the loopback's")
    with Connection((outside[0], server.port)) as connection:
        assert connection.read_to_end().startswith(b"-DENIED Redis is running in protected mode because protected mode is enabled")
    server.client().config_set("protected-mode", "no")
    with Connection((outside[0], server.port)) as connection:
        assert connection.call("PING") == b"PONG"


# CLIENT LIST and INFO

FIELDS = (
    "id addr laddr fd name age idle flags db sub psub ssub multi qbuf qbuf-free argv-mem multi-mem rbs rbp obl oll omem"
    " tot-mem events cmd user redir resp"
).split()


def test_client_info_fields(connection):
    connection.call_ok("CLIENT", "SETNAME", "me")
    connection.call_ok("SELECT", 5)
    fields = fields_of(connection.call("CLIENT", "INFO"))
    assert [name for name in fields if name in FIELDS] == FIELDS
    host, port = connection.socket.getsockname()
    assert fields["addr"] == f"{host}:{port}"
    assert fields["laddr"] == "127.0.0.1:%d" % connection.socket.getpeername()[1]
    assert fields["id"] == str(connection.call("CLIENT", "ID"))
    assert (fields["name"], fields["db"], fields["flags"], fields["user"]) == ("me", "5", "N", "default")
    assert (fields["sub"], fields["psub"], fields["ssub"], fields["multi"]) == ("0", "0", "0", "-1")
    assert (fields["cmd"], fields["redir"], fields["resp"], fields["events"]) == ("client|info", "-1", "2", "r")
    assert int(fields["age"]) < 5 and fields["idle"] == "0" and int(fields["fd"]) > 2
    for name in "qbuf qbuf-free argv-mem multi-mem rbs rbp obl oll omem tot-mem".split():
        assert fields[name].isdigit()
    assert int(fields["tot-mem"]) > 0


@pytest.mark.since("7.2")
def test_client_info_fields_of_7_2(connection):
    fields = fields_of(connection.call("CLIENT", "INFO"))
    assert fields["lib-name"] == "" and fields["lib-ver"] == ""
    names = list(fields)
    assert names.index("resp") < names.index("lib-name") < names.index("lib-ver")


@pytest.mark.since("7.4")
def test_client_info_fields_of_7_4(connection):
    fields = fields_of(connection.call("CLIENT", "INFO"))
    assert fields["watch"] == "0"
    names = list(fields)
    assert names[names.index("watch") - 1] == "multi"


def test_client_info_in_resp3(server):
    connection = server.connect(3)
    reply = connection.call("CLIENT", "INFO")
    assert isinstance(reply, harness.Verbatim) and reply.startswith(b"txt:id=") and reply.endswith(b"\n")
    assert fields_of(reply[4:])["resp"] == "3"
    assert isinstance(connection.call("CLIENT", "LIST"), harness.Verbatim)


def test_client_list(server):
    first, second, third = (server.connect() for _ in range(3))
    identities = [connection.call("CLIENT", "ID") for connection in (first, second, third)]
    assert identities == sorted(identities) and len(set(identities)) == 3
    assert [int(client["id"]) for client in listed(first)] == identities
    assert [int(client["id"]) for client in listed(first, "ID", *identities[1:])] == identities[1:]
    assert [int(client["id"]) for client in listed(first, "ID", identities[2], 999999999, identities[0])] == [identities[2], identities[0]]
    assert len(listed(first, "TYPE", "normal")) == 3
    assert len(listed(first, "TYPE", "NORMAL")) == 3
    assert listed(first, "TYPE", "pubsub") == []
    text = first.call("CLIENT", "LIST")
    assert text.endswith(b"\n") and text.count(b"\n") == 3
    second.call("GET", "key")
    assert {int(client["id"]): client["cmd"] for client in listed(first)}[identities[1]] == "get"
    time.sleep(1.2)
    client = [client for client in listed(first) if int(client["id"]) == identities[1]][0]
    assert 1 <= int(client["idle"]) <= 3 and 1 <= int(client["age"]) <= 4


def test_client_list_shows_commands_that_do_not_exist(server):
    first, second = server.connect(), server.connect()
    assert fields_of(second.call("CLIENT", "INFO"))["cmd"] == "client|info"
    fresh = server.connect()
    identity = fresh.call("CLIENT", "ID")
    assert [client["cmd"] for client in listed(first, "ID", identity)] == ["client|id"]
    assert wait_until(lambda: len(listed(first)) == 3)


def test_connected_but_silent_client_is_listed(server):
    silent, connection = server.connect(), server.connect()
    assert wait_until(lambda: len(listed(connection)) == 2)
    names = {client["cmd"] for client in listed(connection)}
    assert names == {"client|list", "NULL"}


# CLIENT KILL


@pytest.fixture
def three(server):
    connections = [server.connect() for _ in range(3)]
    return connections, [connection.call("CLIENT", "ID") for connection in connections]


def test_kill_by_id(three):
    (first, second, third), identities = three
    assert first.call("CLIENT", "KILL", "ID", identities[1]) == 1
    assert second.is_closed()
    assert third.call("PING") == b"PONG"
    assert first.call("CLIENT", "KILL", "ID", identities[1]) == 0


def test_kill_by_address(three):
    (first, second, third), _ = three
    assert first.call("CLIENT", "KILL", "ADDR", "%s:%d" % second.socket.getsockname()) == 1
    assert second.is_closed()
    assert first.call("CLIENT", "KILL", "%s:%d" % third.socket.getsockname()) == b"OK"
    assert third.is_closed()


def test_kill_by_local_address_skips_me(three):
    (first, second, third), _ = three
    address = "%s:%d" % first.socket.getpeername()
    assert first.call("CLIENT", "KILL", "LADDR", address) == 2
    assert second.is_closed() and third.is_closed()
    assert first.call("PING") == b"PONG"


def test_kill_by_type_and_user(three):
    (first, second, third), identities = three
    assert first.call("CLIENT", "KILL", "TYPE", "normal", "ID", identities[2]) == 1
    assert third.is_closed()
    assert first.call("CLIENT", "KILL", "USER", "default", "TYPE", "pubsub") == 0
    assert first.call("CLIENT", "KILL", "USER", "default", "SKIPME", "yes") == 1
    assert second.is_closed()


def test_kill_myself(three):
    (first, second, third), identities = three
    first.send(encode("CLIENT", "KILL", "ID", identities[0]) + encode("PING"))
    first.expect(b":0\r\n+PONG\r\n")  # the filters skip the caller unless told otherwise
    second.send(encode("CLIENT", "KILL", "ID", identities[1], "SKIPME", "no") + encode("SET", "key", "never"))
    assert second.read_to_end() == b":1\r\n"
    third.send(encode("CLIENT", "KILL", "%s:%d" % third.socket.getsockname()) + encode("SET", "key", "never"))
    assert third.read_to_end() == b"+OK\r\n"


def test_kill_everybody(three, server):
    (first, second, third), _ = three
    assert first.call("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "no") == 3
    assert first.is_closed() and second.is_closed() and third.is_closed()
    assert server.connect().call("PING") == b"PONG"


def test_kill_in_the_middle_of_a_request(server):
    connection, half = server.connect(), server.connect()
    identity = half.call("CLIENT", "ID")
    half.send(b"*3\r\n$3\r\nSET\r\n$3\r\nkey\r\n$1000000\r\nxxxxx")
    assert connection.call("CLIENT", "KILL", "ID", identity) == 1
    assert half.is_closed()


@pytest.mark.since("7.4")
def test_kill_by_age(server):
    old = server.connect()
    old.call("PING")
    time.sleep(2.1)
    young, connection = server.connect(), server.connect()
    young.call("PING")
    assert connection.call("CLIENT", "KILL", "MAXAGE", 1) == 1
    assert old.is_closed()
    assert young.call("PING") == b"PONG"


# CLIENT PAUSE


def test_pause_all(server):
    connection, control = server.connect(), server.connect()
    control.call_ok("CLIENT", "PAUSE", 300)
    began = time.monotonic()
    assert connection.call("PING") == b"PONG"
    assert 0.2 < time.monotonic() - began < 2


def test_pause_write(server):
    reader, writer, control = (server.connect() for _ in range(3))
    control.call_ok("CLIENT", "PAUSE", 20_000, "WRITE")
    began = time.monotonic()
    assert reader.call("GET", "key") is None
    assert reader.call("PING") == b"PONG"
    writer.command("SET", "key", "value")
    assert writer.is_silent(0.2)
    assert reader.call("GET", "key") is None
    assert int(parse(control, "clients")["blocked_clients"]) == 1
    assert [client["flags"] for client in listed(control) if client["cmd"] == "set"] == ["b"]
    control.call_ok("CLIENT", "UNPAUSE")
    assert writer.read() == b"OK"
    assert reader.call("GET", "key") == b"value"
    assert time.monotonic() - began < 10

LIBRARY = """#!lua name=l
redis.register_function{function_name='reads', callback=function() return 'seen' end, flags={'no-writes'}}
redis.register_function('writes', function() return 'seen' end)"""


@pytest.mark.parametrize("command, waits", [
    (["EVAL", "#!lua flags=no-writes\nreturn 'seen'", 0], False),
    (["EVAL", "#!lua flags=allow-oom,no-writes\nreturn 'seen'", 0], False),
    (["EVAL", "#!lua flags=allow-oom\nreturn 'seen'", 0], True),
    (["EVAL", "return 'seen'", 0], True),
    (["EVALSHA", "reads", 0], False),
    (["EVALSHA", "writes", 0], True),
    (["FCALL", "reads", 0], False),
    (["FCALL", "writes", 0], True),
    (["EVAL_RO", "return 'seen'", 0], False),
    (["FCALL_RO", "reads", 0], False),
])  # fmt: skip
def test_scripts_that_write_nothing_are_not_paused(server, command, waits):
    """As far as they say so of themselves."""
    control, client = server.connect(), server.connect()
    control.call("FUNCTION", "LOAD", LIBRARY)
    digests = {"reads": control.call("SCRIPT", "LOAD", "#!lua flags=no-writes\nreturn 'seen'"),
               "writes": control.call("SCRIPT", "LOAD", "return 'seen'")}
    if command[0] == "EVALSHA":
        command = [command[0], digests[command[1]], *command[2:]]
    control.call_ok("CLIENT", "PAUSE", 20_000, "WRITE")
    client.send(encode(*command))
    if waits:
        assert client.is_silent(0.2)
        control.call_ok("CLIENT", "UNPAUSE")
    assert client.read() == b"seen"
    control.call_ok("CLIENT", "UNPAUSE")
    control.call("FUNCTION", "FLUSH")



def test_pause_keeps_the_order_of_a_pipeline(server):
    connection, control = server.connect(), server.connect()
    control.call_ok("CLIENT", "PAUSE", 20_000, "WRITE")
    connection.send(encode("PING") + encode("SET", "key", "value") + encode("GET", "key") + encode("INCR", "n"))
    connection.expect(b"+PONG\r\n")
    assert connection.is_silent(0.1)
    control.call_ok("CLIENT", "UNPAUSE")
    connection.expect(b"+OK\r\n$5\r\nvalue\r\n:1\r\n")


def test_pause_does_not_get_shorter(server):
    connection, control = server.connect(), server.connect()
    control.call_ok("CLIENT", "PAUSE", 600, "WRITE")
    control.call_ok("CLIENT", "PAUSE", 1, "WRITE")
    began = time.monotonic()
    connection.call_ok("SET", "key", "value")
    assert time.monotonic() - began > 0.4


def test_pause_stops_expiry(server):
    connection = server.connect()
    connection.call_ok("SET", "key", "value", "PX", 50)
    connection.call_ok("CLIENT", "PAUSE", 600, "WRITE")
    time.sleep(0.2)
    assert connection.call("GET", "key") is None
    connection.call_ok("CLIENT", "UNPAUSE")
    assert wait_until(lambda: connection.call("DBSIZE") == 0)


def test_paused_client_that_leaves(server):
    connection, control = server.connect(), server.connect()
    control.call_ok("CLIENT", "PAUSE", 20_000, "WRITE")
    connection.command("SET", "key", "value")
    assert wait_until(lambda: int(parse(control, "clients")["blocked_clients"]) == 1)
    connection.close()
    assert wait_until(lambda: int(parse(control, "clients")["connected_clients"]) == 1)
    control.call_ok("CLIENT", "UNPAUSE")
    assert control.call("EXISTS", "key") == 0


# State


def test_the_state_of_a_connection_is_its_own(server):
    first, second = server.connect(), server.connect()
    first.call_ok("SELECT", 3)
    first.call_ok("CLIENT", "SETNAME", "first")
    first.call("HELLO", 3)
    assert second.call("CLIENT", "GETNAME") is None
    assert fields_of(second.call("CLIENT", "INFO"))["db"] == "0"
    second.command("GET", "missing")
    second.expect(b"$-1\r\n")


@pytest.mark.since("7.2")
def test_no_touch_leaves_the_idle_time(server):
    connection, quiet = server.connect(), server.connect()
    connection.call_ok("SET", "key", "value")
    quiet.call_ok("CLIENT", "NO-TOUCH", "on")
    time.sleep(2.1)
    assert quiet.call("GET", "key") == b"value"
    assert connection.call("OBJECT", "IDLETIME", "key") >= 2
    assert quiet.call("TOUCH", "key") == 1
    assert connection.call("OBJECT", "IDLETIME", "key") == 0, "TOUCH touches all the same"


def test_idle_time(server):
    connection = server.connect()
    connection.call_ok("SET", "key", "value")
    connection.call_ok("SET", "other", "value")
    time.sleep(2.1)
    assert connection.call("OBJECT", "IDLETIME", "key") >= 1
    assert connection.call("EXISTS", "other") == 1
    assert connection.call("TOUCH", "key") == 1
    assert connection.call("OBJECT", "IDLETIME", "key") == 0
    assert connection.call("TTL", "other") == -1
    assert connection.call("OBJECT", "IDLETIME", "other") in (0, 1, 2, 3)


def test_without_a_password_any_more_all_are_welcome(start):
    server = start()
    known = server.connect()
    known.call_ok("CONFIG", "SET", "requirepass", "secret")
    stranger = server.connect()
    assert stranger.call("PING").startswith(b"NOAUTH")
    known.call_ok("CONFIG", "SET", "requirepass", "")
    assert stranger.call("PING") == b"PONG"
    known.call_ok("CONFIG", "SET", "requirepass", "other")
    assert stranger.call("PING").startswith(b"NOAUTH")
    assert known.call("PING") == b"PONG"


def test_a_client_is_the_default_user_before_its_password(start):
    server = start()
    known = server.connect()
    known.call_ok("CONFIG", "SET", "requirepass", "secret")
    stranger = server.connect()
    assert stranger.call("PING").startswith(b"NOAUTH")
    assert known.call("CLIENT", "LIST").count(b"user=default") == 2
    assert known.call("CLIENT", "KILL", "USER", "default") == 1
    assert stranger.is_closed()


@pytest.mark.parametrize("limit", ["1", "1000"])
def test_connections_at_once_are_accepted_in_portions(start, limit):
    server = start()
    connection = server.connect()
    if connection.call("CONFIG", "GET", "max-new-connections-per-cycle") != []:
        connection.call_ok("CONFIG", "SET", "max-new-connections-per-cycle", limit)
    many = [socket.create_connection(server.address) for _ in range(300)]
    for each in many:
        each.sendall(b"PING\r\n")
    assert all(each.recv(7) == b"+PONG\r\n" for each in many)
    for each in many:
        each.close()


# Output limits


def peak_of(server):
    """Bytes that it had resident at most."""
    with open(f"/proc/{server.process.pid}/status") as status:
        return int(re.search(r"VmHWM:\s+(\d+)", status.read()).group(1)) * 1024


LARGE_OUTPUT = {
    "one command": [("MGET", *["large"] * 300)],
    "a transaction": [("MULTI",), *[("GET", "large")] * 300, ("EXEC",)],
    "a script": [("EVAL", "local all = {} for i = 1, 300 do all[i] = redis.call('get', 'large') end return all", "0")],
}


@pytest.mark.parametrize("commands", LARGE_OUTPUT.values(), ids=LARGE_OUTPUT.keys())
def test_output_over_the_hard_limit_is_not_kept(start, commands):
    server = start(client_output_buffer_limit="normal 5mb 0 0")
    admin = server.connect()
    admin.call_ok("SET", "large", b"v" * 1_000_000)
    before = peak_of(server)
    connection = server.connect()
    connection.send(b"".join(harness.encode(*command) for command in commands) + harness.encode("SET", "behind", "1"))
    assert harness.wait_until(lambda: server.info("stats")["client_output_buffer_limit_disconnections"] == "1")
    assert connection.is_closed()
    is_script = commands[0][0] == "EVAL"  # Lua has each of them, as one text
    assert peak_of(server) - before < (330_000_000 if is_script else 30_000_000)
    assert admin.call("EXISTS", "behind") == 0
    assert "closed for overcoming of output buffer limits" in server.log()


def test_messages_over_the_hard_limit_are_not_kept(start):
    server = start(client_output_buffer_limit="pubsub 5mb 0 0")
    subscriber, admin = server.connect(), server.connect()
    subscriber.call("SUBSCRIBE", "channel")
    before = peak_of(server)
    admin.call("EVAL", "for i = 1, 100 do redis.call('publish', 'channel', ARGV[1]) end", "0", b"v" * 1_000_000)
    assert harness.wait_until(lambda: server.info("stats")["client_output_buffer_limit_disconnections"] == "1")
    assert peak_of(server) - before < 30_000_000
    assert subscriber.is_closed()


def test_who_reads_a_long_reply_is_not_idle(start):
    server = start(timeout=1)
    server.connect().call_ok("SET", "large", b"v" * 60_000_000)
    reader = server.connect()
    reader.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
    reader.command("GET", "large")
    until = time.monotonic() + 4
    while time.monotonic() < until:
        assert reader.socket.recv(65536), "it was closed"
        time.sleep(0.006)
