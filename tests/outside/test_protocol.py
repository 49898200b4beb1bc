"""The protocol by its bytes: how requests are cut, what is refused and with which words."""

import random

import pytest

import harness
from harness import encode

ERROR = b"-ERR Protocol error: "


def refused(server, data, text):
    """The server answers the data with this error and closes the connection."""
    with harness.Connection(server.address) as connection:
        connection.send(data)
        assert connection.read_to_end(5) == ERROR + text + b"\r\n"


# Cutting


COMMANDS = [
    (encode("PING"), b"+PONG\r\n"),
    (encode("ECHO", "hello"), b"$5\r\nhello\r\n"),
    (encode("ECHO", ""), b"$0\r\n\r\n"),
    (encode("ECHO", b"\r\n$5\r\n*1\r\n"), b"$10\r\n\r\n$5\r\n*1\r\n\r\n"),
    (encode("SET", "key", b"\x00\xff\r\n"), b"+OK\r\n"),
    (encode("GET", "key"), b"$4\r\n\x00\xff\r\n\r\n"),
    (encode("MGET", "key", "missing"), b"*2\r\n$4\r\n\x00\xff\r\n\r\n$-1\r\n"),
    (encode("NONSENSE"), b"-ERR unknown command 'NONSENSE', with args beginning with: \r\n"),
    (b"*0\r\n", b""),
    (b"*-1\r\n", b""),
    (b"\r\n", b""),
    (b"\n", b""),
    (b"PING\r\n", b"+PONG\r\n"),
    (b"PING\n", b"+PONG\r\n"),
    (b"  ECHO   hello  \r\n", b"$5\r\nhello\r\n"),
    (b'ECHO "a b\\x00\\n\\"c"\r\n', b'$7\r\na b\x00\n"c\r\n'),
    (b"ECHO 'a \\n \\' b'\r\n", b"$8\r\na \\n ' b\r\n"),
    (b'ECHO ""\r\n', b"$0\r\n\r\n"),
]


@pytest.mark.parametrize("request_bytes, reply", COMMANDS, ids=[repr(c[0])[2:30] for c in COMMANDS])
def test_split_at_every_byte(server, request_bytes, reply):
    """The request in two pieces, cut at each of its bytes, each piece a packet of its own."""
    server.client().set("key", b"\x00\xff\r\n")
    connection = server.connect()
    probe = encode("PING", "after")
    for cut in range(1, len(request_bytes)):
        connection.send(request_bytes[:cut])
        # a reply to something else, on another connection, shows that the server has read the first piece
        assert connection.is_silent(0.001)
        connection.send(request_bytes[cut:] + probe)
        connection.expect(reply + b"$5\r\nafter\r\n")


def test_byte_by_byte(server):
    connection = server.connect()
    data = b"".join(request for request, _ in COMMANDS)
    for position in range(len(data)):
        connection.send(data[position : position + 1])
    connection.expect(b"".join(reply for _, reply in COMMANDS))


def test_random_pieces(server):
    generator = random.Random(11)
    connection = server.connect()
    for _ in range(30):
        chosen = [generator.choice(COMMANDS) for _ in range(200)]
        chosen.insert(0, (encode("SET", "key", b"\x00\xff\r\n"), b"+OK\r\n"))
        data = b"".join(request for request, _ in chosen)
        position = 0
        while position < len(data):
            size = generator.choice((1, 2, 3, 10, 100, 1000, 16384))
            connection.send(data[position : position + size])
            position += size
        connection.expect(b"".join(reply for _, reply in chosen))


@pytest.mark.parametrize("size", [16 * 1024, 32 * 1024 - 1, 32 * 1024, 32 * 1024 + 1, 65536, 1 << 20])
def test_large_argument_cut_around_its_edges(server, size):
    connection = server.connect()
    value = bytes(range(256)) * (size // 256 + 1)
    value = value[:size]
    request = encode("SET", "key", value, "EX", "100") + encode("STRLEN", "key") + encode("GET", "key")
    start = request.index(value[:64])
    cuts = sorted({start - 2, start - 1, start, start + 1, start + size // 2, start + size - 1, start + size, start + size + 1, start + size + 2})
    for cut in cuts:
        connection.send(request[:cut])
        connection.is_silent(0.01)
        connection.send(request[cut:])
        connection.expect(b"+OK\r\n:%d\r\n$%d\r\n%b\r\n" % (size, size, value))


def test_large_arguments_everywhere(server):
    """Several large arguments in one request, and in places where nobody keeps them."""
    connection = server.connect()
    large = [bytes([65 + n]) * (40_000 + n) for n in range(6)]
    connection.send(encode("MSET", "a", large[0], large[1], large[2], "c", large[3]))
    connection.expect(b"+OK\r\n")
    connection.send(encode("MGET", "a", large[1], "c"))
    connection.expect(b"*3\r\n" + b"".join(b"$%d\r\n%b\r\n" % (len(v), v) for v in (large[0], large[2], large[3])))
    connection.send(encode("SET", "key", "value", large[4]) + encode("GET", "a", large[5]) + encode(large[0], "x"))
    connection.expect(b"-ERR syntax error\r\n-ERR wrong number of arguments for 'get' command\r\n")
    assert connection.read().startswith(b"unknown command 'AAAA"[:0] + b"ERR unknown command 'AAAA")
    assert connection.call("PING") == b"PONG"


def test_many_arguments(server):
    connection = server.connect()
    count = 100_000
    pairs = [word for n in range(count) for word in (b"key:%d" % n, b"%d" % n)]
    assert connection.call("MSET", *pairs) == b"OK"
    assert connection.call("EXISTS", *pairs[::2]) == count
    assert connection.call("MGET", *pairs[::2]) == pairs[1::2]
    assert connection.call("DEL", *pairs[::2]) == count


def test_pipeline_of_thousands(server):
    connection = server.connect()
    count = 50_000
    connection.send(b"".join(encode("INCR", "counter") for _ in range(count)))
    connection.expect(b"".join(b":%d\r\n" % n for n in range(1, count + 1)))


def test_pipeline_with_mixed_forms(server):
    connection = server.connect()
    connection.send((encode("INCR", "n") + b"INCR n\r\n" + b"\r\n" + b"*0\r\n" + b"INCR n\n") * 1000)
    connection.expect(b"".join(b":%d\r\n" % n for n in range(1, 3001)))


def test_pipeline_whose_replies_nobody_reads_for_a_while(server):
    """The replies are larger than the socket takes; the server keeps them and goes on with others."""
    connection, other = server.connect(), server.connect()
    value = b"x" * 100_000
    connection.call_ok("SET", "key", value)
    connection.send(encode("GET", "key") * 200)
    for _ in range(20):
        assert other.call("PING") == b"PONG"
    for _ in range(200):
        assert connection.read() == value


# Refusals


def test_multibulk_length(server):
    refused(server, b"*abc\r\n", b"invalid multibulk length")
    refused(server, b"*\r\n", b"invalid multibulk length")
    refused(server, b"*1.0\r\n", b"invalid multibulk length")
    refused(server, b"* 1\r\n", b"invalid multibulk length")
    refused(server, b"*+1\r\n", b"invalid multibulk length")
    refused(server, b"*2147483648\r\n", b"invalid multibulk length")
    refused(server, b"*99999999999999999999\r\n", b"invalid multibulk length")


def test_bulk_length(server):
    refused(server, b"*1\r\n$abc\r\n", b"invalid bulk length")
    refused(server, b"*1\r\n$\r\n", b"invalid bulk length")
    refused(server, b"*1\r\n$-1\r\n", b"invalid bulk length")
    refused(server, b"*1\r\n$+1\r\n", b"invalid bulk length")
    refused(server, b"*1\r\n$536870913\r\n", b"invalid bulk length")
    refused(server, b"*1\r\n$9223372036854775808\r\n", b"invalid bulk length")
    refused(server, b"*2\r\n$3\r\nGET\r\n$x\r\n", b"invalid bulk length")


def test_expected_dollar(server):
    refused(server, b"*1\r\nPING\r\n", b"expected '$', got 'P'")
    refused(server, b"*1\r\n:1\r\n", b"expected '$', got ':'")
    refused(server, b"*2\r\n$3\r\nGET\r\n*\r\n", b"expected '$', got '*'")


def test_unbalanced_quotes(server):
    refused(server, b'ECHO "abc\r\n', b"unbalanced quotes in request")
    refused(server, b"ECHO 'abc\r\n", b"unbalanced quotes in request")
    refused(server, b'ECHO "abc"def\r\n', b"unbalanced quotes in request")


def test_too_big_inline(server):
    refused(server, b"x" * (64 * 1024 + 1), b"too big inline request")


def test_too_big_count_strings(server):
    refused(server, b"*" + b"1" * (64 * 1024 + 1), b"too big mbulk count string")
    refused(server, b"*1\r\n$" + b"1" * (64 * 1024 + 1), b"too big bulk count string")


def test_inline_up_to_the_limit(server):
    connection = server.connect()
    word = b"x" * (64 * 1024 - 20)
    connection.send(b"ECHO " + word + b"\r\n")
    connection.expect(b"$%d\r\n%b\r\n" % (len(word), word))


def test_what_came_before_is_answered(server):
    connection = server.connect()
    connection.send(encode("SET", "key", "value") + encode("GET", "key") + b"*1\r\nX" + encode("SET", "key", "never"))
    assert connection.read_to_end() == b"+OK\r\n$5\r\nvalue\r\n" + ERROR + b"expected '$', got 'X'\r\n"
    assert server.client().get("key") == b"value"


def test_bulk_not_ended_by_a_line_end(server):
    """The two bytes after an argument are not looked at; a client that sends others is out of step, not lost."""
    connection = server.connect()
    connection.send(b"*1\r\n$4\r\nPINGxx")
    connection.expect(b"+PONG\r\n")


def test_http_is_refused(server):
    """A web page must not be able to send commands."""
    for first in (b"POST / HTTP/1.1\r\n", b"Host: localhost\r\n"):
        with harness.Connection(server.address) as connection:
            connection.send(first + b"SET key value\r\n")
            assert connection.read_to_end() == b""
    assert harness.wait_until(lambda: "Possible SECURITY ATTACK detected" in server.log())
    assert server.client().exists("key") == 0


def test_an_error_never_breaks_the_line(server):
    connection = server.connect()
    connection.send(encode(b"a\r\nb\nc\rd", b"x\r\n+OK"))
    connection.expect(b"-ERR unknown command 'a  b c d', with args beginning with: 'x  +OK' \r\n")


# Limits


def test_proto_max_bulk_len(server, config):
    config("proto-max-bulk-len", "1mb")
    connection = server.connect()
    value = b"x" * (1 << 20)
    assert connection.call("SET", "key", value) == b"OK"
    refused(server, b"*3\r\n$3\r\nSET\r\n$3\r\nkey\r\n$1048577\r\n", b"invalid bulk length")
    assert connection.call("APPEND", "key", "x") == b"ERR string exceeds maximum allowed size (proto-max-bulk-len)"
    assert connection.call("SETRANGE", "key", 1 << 20, "x") == b"ERR string exceeds maximum allowed size (proto-max-bulk-len)"
    assert connection.call("STRLEN", "key") == 1 << 20


def test_limits_before_authentication(start):
    server = start(requirepass="secret")
    refused(server, b"*11\r\n", b"unauthenticated multibulk length")
    refused(server, b"*1\r\n$16385\r\n", b"unauthenticated bulk length")
    with harness.Connection(server.address) as connection:
        connection.send(encode("MGET", *["x"] * 9))
        connection.expect(b"-NOAUTH Authentication required.\r\n")
        connection.send(encode("AUTH", "x" * 16384))
        connection.expect(b"-WRONGPASS invalid username-password pair or user is disabled.\r\n")
        connection.send(encode("AUTH", "secret") + encode("MGET", *["x"] * 20) + encode("ECHO", "y" * 20000))
        connection.expect(b"+OK\r\n*20\r\n" + b"$-1\r\n" * 20 + b"$20000\r\n" + b"y" * 20000 + b"\r\n")


def test_without_a_password_there_are_no_small_limits(server):
    connection = server.connect()
    connection.send(encode("MGET", *["x"] * 11) + encode("ECHO", "y" * 16385))
    connection.expect(b"*11\r\n" + b"$-1\r\n" * 11 + b"$16385\r\n" + b"y" * 16385 + b"\r\n")


def test_client_query_buffer_limit(server, config):
    """A request that is not finished may not grow for ever."""
    config("client-query-buffer-limit", "1mb")
    with harness.Connection(server.address) as connection:
        try:
            connection.send(b"*3\r\n$3\r\nSET\r\n$3\r\nkey\r\n$10000000\r\n" + b"x" * 3_000_000)
        except OSError:
            pass  # closed while we were sending
        assert connection.is_closed()
    assert harness.wait_until(lambda: "query buffer" in server.log().lower())


def test_client_query_buffer_limit_allows_what_fits(server, config):
    config("client-query-buffer-limit", "1mb")
    connection = server.connect()
    for _ in range(20):
        assert connection.call("SET", "key", b"x" * 900_000) == b"OK"
    connection.send(encode("SET", "key", b"x" * 500_000) * 10)
    connection.expect(b"+OK\r\n" * 10)


# RESP3


def test_resp3_types(server):
    connection = server.connect(3)
    for request, reply in [
        (("GET", "missing"), b"_\r\n"),
        (("MGET", "missing"), b"*1\r\n_\r\n"),
        (("SET", "key", "value", "XX"), b"_\r\n"),
        (("CONFIG", "GET", "maxmemory"), b"%1\r\n$9\r\nmaxmemory\r\n$1\r\n0\r\n"),
        (("DEBUG", "PROTOCOL", "double"), b",3.141\r\n"),
        (("DEBUG", "PROTOCOL", "bignum"), b"(1234567999999999999999999999999999999\r\n"),
        (("DEBUG", "PROTOCOL", "true"), b"#t\r\n"),
        (("DEBUG", "PROTOCOL", "set"), b"~3\r\n:0\r\n:1\r\n:2\r\n"),
        (("DEBUG", "PROTOCOL", "verbatim"), b"=29\r\ntxt:This is a verbatim\nstring\r\n"),
        (("DEBUG", "PROTOCOL", "push"), b">2\r\n$16\r\nserver-cpu-usage\r\n:42\r\n"),
        (("PING",), b"$40\r\nSome real reply following the push reply\r\n+PONG\r\n"),
    ]:
        connection.command(*request)
        connection.expect(reply)


def test_protocol_changes_in_a_pipeline(server):
    connection = server.connect()
    for _ in range(3):
        connection.send(encode("GET", "missing") + encode("HELLO", "3") + encode("GET", "missing") + encode("HELLO", "2") + encode("GET", "missing"))
        connection.expect(b"$-1\r\n")
        assert isinstance(connection.read(), harness.Map)
        connection.expect(b"_\r\n")
        assert type(connection.read()) is list
        connection.expect(b"$-1\r\n")


# Ends of a connection


def test_quit(server):
    connection = server.connect()
    connection.send(encode("SET", "key", "value") + encode("QUIT") + encode("SET", "key", "never"))
    assert connection.read_to_end() == b"+OK\r\n+OK\r\n"
    assert server.client().get("key") == b"value"
    with harness.Connection(server.address) as connection:
        connection.send(encode("QUIT", "with", "arguments"))
        assert connection.read_to_end() == b"+OK\r\n"


def test_half_closed_connection_still_gets_its_replies_or_an_end(server):
    connection = server.connect()
    connection.send(encode("SET", "key", "value") + encode("GET", "key"))
    connection.socket.shutdown(1)
    data = connection.read_to_end()
    assert b"+OK\r\n$5\r\nvalue\r\n".startswith(data)
    assert harness.wait_until(lambda: server.client().get("key") == b"value")


def test_client_reply_off(server):
    connection = server.connect()
    connection.send(encode("CLIENT", "REPLY", "OFF") + encode("SET", "key", "value") + encode("NONSENSE") + encode("GET", "key"))
    assert connection.is_silent()
    connection.send(encode("CLIENT", "REPLY", "ON") + encode("GET", "key"))
    connection.expect(b"+OK\r\n$5\r\nvalue\r\n")


def test_reset_behind_skip_is_skipped(server):
    connection = server.connect()
    connection.send(encode("CLIENT", "REPLY", "SKIP") + encode("RESET") + encode("PING"))
    connection.expect(b"+PONG\r\n")
    connection.send(encode("CLIENT", "REPLY", "OFF") + encode("RESET") + encode("PING"))
    connection.expect(b"+RESET\r\n+PONG\r\n")


def test_client_reply_skip(server):
    connection = server.connect()
    connection.send(encode("CLIENT", "REPLY", "SKIP") + encode("SET", "key", "value") + encode("GET", "key"))
    connection.expect(b"$5\r\nvalue\r\n")
    connection.send(encode("CLIENT", "REPLY", "SKIP") * 2 + encode("PING") + encode("PING", "two"))
    connection.expect(b"$3\r\ntwo\r\n")
    connection.send(encode("CLIENT", "REPLY", "OFF") + encode("CLIENT", "REPLY", "SKIP") + encode("PING") * 2 + encode("CLIENT", "REPLY", "ON"))
    connection.expect(b"+OK\r\n")
    assert connection.is_silent()


def test_reset_switches_replies_on(server):
    connection = server.connect()
    connection.send(encode("CLIENT", "REPLY", "OFF") + encode("RESET") + encode("PING"))
    connection.expect(b"+RESET\r\n+PONG\r\n")


@pytest.mark.ours("Redis leaves such a connection open, deaf, for ever")
def test_protocol_error_with_replies_off(server):
    with harness.Connection(server.address) as connection:
        connection.send(encode("CLIENT", "REPLY", "OFF") + b"*1\r\nX\r\n")
        data = connection.read_to_end()
        assert data in (b"", ERROR + b"expected '$', got 'X'\r\n")
