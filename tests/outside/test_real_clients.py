"""Programs and libraries that people use, against the server: redis-py, redis-cli, redis-benchmark."""

import concurrent.futures
import os
import shutil
import stat
import subprocess
import threading

import pytest
import redis

import harness

MEGABYTE = 1 << 20


@pytest.fixture(params=[2, 3], ids=["resp2", "resp3"])
def protocol(request):
    return request.param


@pytest.fixture
def client(server, protocol):
    client = server.client(protocol=protocol)
    yield client
    client.close()


# redis-py


def test_everyday_use(client):
    assert client.ping() is True
    assert client.set("key", "value") is True
    assert client.get("key") == b"value"
    assert client.get("missing") is None
    assert client.set("key", "other", nx=True) is None
    assert client.set("key", "other", xx=True, get=True) == b"value"
    assert client.mset({"a": 1, "b": b"\x00\xff", "c": 1.5}) is True
    assert client.mget("a", "b", "c", "d") == [b"1", b"\x00\xff", b"1.5", None]
    assert client.incr("a", 41) == 42
    assert client.incrbyfloat("c", 0.25) == 1.75
    assert client.append("b", "xy") == 4
    assert client.getrange("b", 1, 2) == b"\xffx"
    assert client.exists("a", "b", "missing") == 2
    assert client.expire("a", 100) is True
    assert 0 < client.ttl("a") <= 100
    assert 99_000 < client.pttl("a") <= 100_000
    assert client.persist("a") is True
    assert client.type("a") == b"string"
    assert sorted(client.keys("*")) == [b"a", b"b", b"c", b"key"]
    assert sorted(client.scan_iter(count=1)) == [b"a", b"b", b"c", b"key"]
    assert client.rename("a", "z") is True
    assert client.copy("z", "y") is True
    assert client.delete("z", "y", "missing") == 2
    assert client.unlink("c") == 1
    assert client.dbsize() == 2
    assert client.randomkey() in (b"b", b"key")
    assert client.object("encoding", "key") == b"embstr"
    assert client.lcs("key", "key") == b"other"
    assert client.getdel("key") == b"other"
    assert client.getex("b", ex=10) == b"\x00\xffxy"
    assert client.flushdb() is True
    assert client.dbsize() == 0


def test_errors_are_exceptions(client):
    client.set("key", "value")
    with pytest.raises(redis.ResponseError, match="^value is not an integer or out of range$"):
        client.incr("key")
    with pytest.raises(redis.ResponseError, match="^unknown command 'NOTHING'"):
        client.execute_command("NOTHING", "x")
    assert client.get("key") == b"value"


def test_parsed_replies(client, server):
    info = client.info()
    assert info["tcp_port"] == server.port
    assert info["redis_mode"] == "standalone"
    assert client.config_get("maxmemory*")["maxmemory"] in ("0", b"0")
    assert client.config_set("timeout", 100) is True
    assert client.client_setname("me") is True
    assert client.client_getname() in ("me", b"me")
    listed = client.client_list()
    assert any(entry["name"] == "me" for entry in listed)
    assert client.client_info()["db"] in (0, "0")
    assert client.client_id() == int(client.client_info()["id"])
    seconds, microseconds = client.time()
    assert seconds > 1_600_000_000 and 0 <= microseconds < 1_000_000
    assert "get" in client.command()
    assert client.command_count() > 50
    assert client.command_getkeys("MSET", "a", 1, "b", 2) in (["a", "b"], [b"a", b"b"])
    assert client.echo("hello") == b"hello"


@pytest.mark.since("7.2")
def test_the_library_tells_its_name(client):
    """redis-py sends CLIENT SETINFO on connecting; Redis answers it from 7.2 on."""
    info = client.client_info()
    assert info["lib-name"] == "redis-py"
    assert info["lib-ver"] == redis.__version__


@pytest.mark.parametrize("transaction", [False])
def test_pipeline(client, transaction):
    pipeline = client.pipeline(transaction=transaction)
    for number in range(10_000):
        pipeline.set(f"key:{number}", number)
    for number in range(10_000):
        pipeline.incr(f"key:{number}")
    replies = pipeline.execute()
    assert replies[:10_000] == [True] * 10_000
    assert replies[10_000:] == list(range(1, 10_001))


def test_pipeline_with_an_error_inside(client):
    pipeline = client.pipeline(transaction=False)
    pipeline.set("key", "value")
    pipeline.incr("key")
    pipeline.get("key")
    replies = pipeline.execute(raise_on_error=False)
    assert replies[0] is True and replies[2] == b"value"
    assert isinstance(replies[1], redis.ResponseError)


def test_connection_pool_and_threads(server, protocol):
    pool = redis.ConnectionPool(host="127.0.0.1", port=server.port, max_connections=20, protocol=protocol)

    def work(thread):
        client = redis.Redis(connection_pool=pool)
        for number in range(200):
            client.incr("counter")
            client.set(f"{thread}:{number}", number)
            assert client.get(f"{thread}:{number}") == b"%d" % number

    with concurrent.futures.ThreadPoolExecutor(16) as executor:
        list(executor.map(work, range(16)))
    client = redis.Redis(connection_pool=pool)
    assert client.get("counter") == b"3200"
    assert client.dbsize() == 3201
    pool.disconnect()


def test_databases_are_apart(server, protocol):
    first, second = server.client(db=0, protocol=protocol), server.client(db=1, protocol=protocol)
    first.set("key", "zero")
    second.set("key", "one")
    assert (first.get("key"), second.get("key")) == (b"zero", b"one")
    assert first.swapdb(0, 1)
    assert (first.get("key"), second.get("key")) == (b"one", b"zero")
    first.flushall()
    assert second.dbsize() == 0


def test_password(start, protocol):
    server = start(requirepass="secret word")
    client = server.client(password="secret word", protocol=protocol)
    assert client.ping()
    assert server.client(username="default", password="secret word", protocol=protocol).ping()
    with pytest.raises(redis.AuthenticationError):
        server.client(password="wrong", protocol=protocol).ping()
    with pytest.raises(redis.AuthenticationError):
        server.client(protocol=protocol).ping()


@pytest.mark.parametrize("size", [MEGABYTE, 64 * MEGABYTE], ids=["1 MB", "64 MB"])
def test_large_values(client, size):
    value = os.urandom(4096) * (size // 4096)
    assert client.set("key", value) is True
    assert client.strlen("key") == size
    assert client.get("key") == value
    assert client.getrange("key", size - 5, -1) == value[-5:]
    assert client.append("key", b"end") == size + 3
    assert client.getrange("key", size - 2, -1) == value[-2:] + b"end"
    assert client.copy("key", "copy")
    assert client.getset("key", "small") == value + b"end"
    assert client.mget("key", "copy") == [b"small", value + b"end"]


def test_memory_of_large_values_comes_back(server, client):
    # what the tests before have left is freed by a worker
    assert harness.wait_until(lambda: server.info("memory")["lazyfree_pending_objects"] == "0")
    before = server.info("memory")
    for number in range(8):
        client.set(f"key:{number}", b"x" * (16 * MEGABYTE))
    during = server.info("memory")
    assert int(during["used_memory"]) - int(before["used_memory"]) >= 8 * 16 * MEGABYTE
    client.unlink(*(f"key:{number}" for number in range(8)))
    assert harness.wait_until(
        lambda: int(server.info("memory")["used_memory"]) < int(before["used_memory"]) + 20 * MEGABYTE
    )


def test_every_byte_in_keys_and_values(client):
    for byte in range(256):
        name = b"key" + bytes([byte]) + b"end"
        client.set(name, bytes([byte]) * 3)
    for byte in range(256):
        assert client.get(b"key" + bytes([byte]) + b"end") == bytes([byte]) * 3
    assert len(client.keys("*")) == 256
    everything = bytes(range(256)) * 300
    client.set(everything, everything)
    assert client.get(everything) == everything


def test_unix_socket(start, tmp_path, protocol):
    path = tmp_path / "server.sock"
    start(unixsocket=path, unixsocketperm="700")
    assert stat.S_IMODE(path.stat().st_mode) == 0o700
    client = redis.Redis(unix_socket_path=str(path), protocol=protocol)
    client.set("key", "value")
    assert client.get("key") == b"value"
    info = client.client_info()
    assert info["addr"] == f"{path}:0"
    assert "U" in info["flags"]


def test_only_a_unix_socket(start, tmp_path):
    path = tmp_path / "server.sock"
    server = start(wait=False, port="0", unixsocket=path)
    assert harness.wait_until(path.exists)
    client = redis.Redis(unix_socket_path=str(path))
    assert client.ping()
    assert client.info("server")["tcp_port"] == 0
    client.shutdown(nosave=True)
    assert server.wait() == 0
    assert not path.exists()


def test_ipv6(start):
    server = start(bind="127.0.0.1 ::1")
    try:
        connection = harness.Connection(("::1", server.port))
    except OSError:
        pytest.skip("no IPv6 on this machine")
    with connection:
        assert connection.call("PING") == b"PONG"
        assert f"addr=[::1]:".encode() in connection.call("CLIENT", "INFO")


def test_monitors_of_health_can_reconnect(server):
    """Many short connections, as a load balancer makes them."""
    for _ in range(500):
        with harness.Connection(server.address) as connection:
            assert connection.call("PING") == b"PONG"
    assert harness.wait_until(lambda: int(server.info("clients")["connected_clients"]) == 1)


# redis-cli

cli_needed = pytest.mark.skipif(shutil.which("redis-cli") is None, reason="redis-cli is not installed")


def cli(server, *arguments, stdin=b"", timeout=30):
    done = subprocess.run(
        ["redis-cli", "-p", str(server.port), *arguments], input=stdin, capture_output=True, timeout=timeout
    )
    return done.stdout, done.stderr, done.returncode


@cli_needed
def test_cli_one_command(server):
    assert cli(server, "SET", "key", "value") == (b"OK\n", b"", 0)
    assert cli(server, "GET", "key")[0] == b"value\n"
    assert cli(server, "--no-raw", "GET", "key")[0] == b'"value"\n'
    assert cli(server, "--no-raw", "GET", "missing")[0] == b"(nil)\n"
    assert cli(server, "--no-raw", "INCR", "key")[0] == b"(error) ERR value is not an integer or out of range\n"
    assert cli(server, "-e", "INCR", "key")[2] == 1
    assert cli(server, "--raw", "MGET", "key", "missing")[0] == b"value\n\n"
    assert cli(server, "--csv", "MGET", "key", "missing")[0] == b'"value",NULL\n'
    assert cli(server, "-x", "SET", "stdin", stdin=b"a\x00b")[0] == b"OK\n"
    assert cli(server, "STRLEN", "stdin")[0] == b"3\n"
    assert cli(server, "-n", "3", "SET", "key", "three")[0] == b"OK\n"
    assert cli(server, "-r", "3", "INCR", "counter")[0] == b"1\n2\n3\n"


@cli_needed
def test_cli_resp3(server):
    assert cli(server, "-3", "--no-raw", "CONFIG", "GET", "maxmemory")[0] == b'1# "maxmemory" => "0"\n'
    assert cli(server, "-3", "--no-raw", "DEBUG", "PROTOCOL", "set")[0] == b"1~ (integer) 0\n2~ (integer) 1\n3~ (integer) 2\n"
    assert cli(server, "-3", "--no-raw", "DEBUG", "PROTOCOL", "double")[0] == b"(double) 3.141\n"
    assert cli(server, "-3", "--json", "CONFIG", "GET", "maxmemory")[0] == b'{"maxmemory":"0"}\n'


@cli_needed
def test_cli_from_standard_input(server):
    lines = b"SET key \"a b\\x00\"\nGET key\nSELECT 2\nSET key two\nGET key\nSTRLEN key\nNONSENSE\nHELLO 3\nGET missing\n"
    output = cli(server, "--no-raw", stdin=lines)[0].decode().splitlines()
    assert output[:7] == ["OK", '"a b\\x00"', "OK", "OK", '"two"', "(integer) 3", "(error) ERR unknown command 'NONSENSE', with args beginning with: "]
    assert output[-1] == "(nil)"


@cli_needed
def test_cli_pipe(server):
    data = b"".join(harness.encode("SET", f"key:{n}", f"value:{n}") for n in range(20_000))
    output, _, code = cli(server, "--pipe", stdin=data)
    assert code == 0
    assert output.endswith(b"errors: 0, replies: 20000\n")
    assert server.client().dbsize() == 20_000


@cli_needed
def test_cli_pipe_with_errors(server):
    data = harness.encode("SET", "key", "value") + harness.encode("INCR", "key") + b"SET inline works\r\n"
    output, errors, code = cli(server, "--pipe", stdin=data)
    assert b"errors: 1, replies: 3" in output
    assert b"value is not an integer" in output + errors
    assert server.client().get("inline") == b"works"


@cli_needed
def test_cli_scan(server):
    client = server.client()
    client.mset({f"user:{n}": n for n in range(1000)} | {f"other:{n}": n for n in range(1000)})
    output = cli(server, "--scan", "--pattern", "user:*")[0].split()
    assert sorted(output) == sorted(b"user:%d" % n for n in range(1000))
    assert len(cli(server, "--scan")[0].split()) == 2000


@cli_needed
def test_cli_statistics(server):
    server.client().mset({f"key:{n}": "x" * n for n in range(100)})
    output = cli(server, "--bigkeys")[0]
    assert b"Sampled 100 keys in the keyspace!" in output
    assert b"Biggest string found" in output
    assert b"redis_version:" in cli(server, "INFO")[0]
    process = subprocess.Popen(["redis-cli", "-p", str(server.port), "--stat", "-i", "0.1"], stdout=subprocess.PIPE)
    lines = [process.stdout.readline() for _ in range(5)]
    process.kill()
    process.communicate()
    assert b"keys" in lines[1]
    assert lines[2].split()[0] == b"100"


@cli_needed
def test_cli_latency(server):
    process = subprocess.run(
        ["redis-cli", "-p", str(server.port), "--latency", "-i", "0.2", "--raw"], stdin=subprocess.DEVNULL, capture_output=True, timeout=30
    )
    assert len(process.stdout.split()) == 4


@cli_needed
def test_cli_password(start):
    server = start(requirepass="secret")
    assert cli(server, "PING")[0] == b"NOAUTH Authentication required.\n\n"
    assert cli(server, "-a", "secret", "--no-auth-warning", "PING")[0] == b"PONG\n"
    assert cli(server, "--user", "default", "--pass", "secret", "--no-auth-warning", "PING")[0] == b"PONG\n"


@cli_needed
def test_cli_help_comes_from_the_server(server):
    """redis-cli asks COMMAND DOCS for its hints; an interactive start must survive what we answer."""
    output, errors, code = cli(server, "--no-raw", "COMMAND", "DOCS", "get")
    assert code == 0 and b'"summary"' in output


# redis-benchmark

benchmark_needed = pytest.mark.skipif(shutil.which("redis-benchmark") is None, reason="redis-benchmark is not installed")
BENCHMARKS = "ping_inline,ping_mbulk,set,get,incr,mset"


@benchmark_needed
@pytest.mark.benchmark
@pytest.mark.parametrize(
    "options",
    [["-n", "20000"], ["-n", "50000", "-P", "32"], ["-n", "20000", "-r", "10000", "-d", "1024", "-c", "200"], ["-n", "20000", "-3"], ["-n", "20000", "--threads", "2"]],
    ids=["default", "pipelined", "large values", "resp3", "threads"],
)  # fmt: skip
def test_benchmark(server, options):
    done = subprocess.run(
        ["redis-benchmark", "-p", str(server.port), "-t", BENCHMARKS, "--csv", *options],
        capture_output=True, text=True, timeout=50,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    lines = [line for line in done.stdout.splitlines() if line.startswith('"') and not line.startswith('"test"')]
    names = [line.split('"')[1].split(" ")[0] for line in lines]
    assert names == ["PING_INLINE", "PING_MBULK", "SET", "GET", "INCR", "MSET"]
    assert all(float(line.split('","')[1]) > 0 for line in lines)
    assert "WARN" not in done.stderr or "Could not fetch server CONFIG" not in done.stderr


@benchmark_needed
@pytest.mark.benchmark
def test_benchmark_of_any_command(server):
    done = subprocess.run(
        ["redis-benchmark", "-p", str(server.port), "-n", "5000", "-q", "-r", "100", "SET", "key:__rand_int__", "value"],
        capture_output=True, text=True, timeout=50,
    )  # fmt: skip
    assert done.returncode == 0
    assert 0 < server.client().dbsize() <= 100
